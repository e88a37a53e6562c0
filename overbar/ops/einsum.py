"""Einstein's summation: any sum of products of entries, said with one letter per axis.

The public function reads the specification (implicit outputs, `...`, repeated letters), brings it
to a plain one, and hands it to one multilinear primitive. Its reverse rule is the same primitive
again, with ȳ in the place of the operand asked about. The forward contracts two operands at a
time, each pair by one matrix product, in the cheapest order.
"""

from __future__ import annotations

import functools
import itertools
import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DTypeError, ShapeError
from ..handle import Tensor
from ..primitive import Primitive, public, shared
from ..spec import Spec, spec
from .linear import of_one_dtype
from .movement import permute_dims, transpose
from .repeat import broadcast, kept, reshape, reshape_, sum_
from .triangles import diagonal_, undiagonal_

Shapes = tuple[tuple[int, ...], ...]


def _split(form: str) -> tuple[list[str], str]:
    """'ij,jk->ik' as (['ij', 'jk'], 'ik')."""
    inputs, _, output = form.partition("->")
    return inputs.split(","), output


def _form(inputs: Sequence[str], output: str) -> str:
    return f"{','.join(inputs)}->{output}"


# -- forward ----------------------------------------------------------------------------------


def _order(inputs: list[str], output: str, sizes: dict[str, int]) -> list[tuple[int, int]]:
    """Which two operands to contract next, until one is left.

    Every order is tried up to five operands (180 of them), beyond that the cheapest next pair.
    """

    def after(terms: list[str], i: int, j: int) -> tuple[int, list[str]]:
        rest = [t for k, t in enumerate(terms) if k not in (i, j)]
        needed = set(output).union(*rest)
        union = dict.fromkeys(terms[i] + terms[j])
        return math.prod(sizes[c] for c in union), [*rest, "".join(c for c in union if c in needed)]

    def best(terms: list[str]) -> tuple[int, list[tuple[int, int]]]:
        if len(terms) == 1:
            return 0, []
        found = []
        for i, j in itertools.combinations(range(len(terms)), 2):
            cost, rest = after(terms, i, j)
            more, steps = best(rest)
            found.append((cost + more, [(i, j), *steps]))
        return min(found, key=lambda f: f[0])

    chosen = []
    while len(inputs) > 5:
        pairs = itertools.combinations(range(len(inputs)), 2)
        i, j = min(pairs, key=lambda p: after(inputs, *p)[0])
        chosen.append((i, j))
        inputs = after(inputs, i, j)[1]
    return chosen + best(inputs)[1]


@functools.lru_cache(maxsize=4096)
def plan(form: str, shapes: Shapes) -> tuple[tuple[int, int, str], ...]:
    """The contractions to do: (one operand, another, the letters of what comes of them)."""
    terms, output = _split(form)
    sizes = dict(zip("".join(terms), itertools.chain(*shapes), strict=True))
    steps = []
    for i, j in _order([*terms], output, sizes):
        rest = [t for k, t in enumerate(terms) if k not in (i, j)]
        needed = set(output).union(*rest)
        result = (
            output
            if not rest
            else "".join(c for c in dict.fromkeys(terms[i] + terms[j]) if c in needed)
        )
        steps.append((i, j, result))
        terms = [*rest, result]
    return tuple(steps)


def _alone(x: Any, letters: str, needed: str) -> tuple[Any, str]:
    """The diagonal of what is repeated, the sum over what nobody else needs."""
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i, j = letters.index(c), letters.rindex(c)
            x = x.diagonal(0, i, j)
            letters = letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + c
    over = tuple(i for i, c in enumerate(letters) if c not in needed)
    if over:
        x = x.sum(over, dtype=x.dtype)
    return x, "".join(c for c in letters if c in needed)


def _pair(xp: Any, a: Any, of_a: str, b: Any, of_b: str, output: str) -> Any:
    """Two operands contracted: by a matrix product, or entry by entry if nothing is summed."""
    a, of_a = _alone(a, of_a, of_b + output)
    b, of_b = _alone(b, of_b, of_a + output)
    inner = [c for c in of_a if c in of_b and c not in output]
    if not inner:
        return _spread_out(a, of_a, output) * _spread_out(b, of_b, output)
    lanes = [c for c in of_a if c in of_b and c in output]
    left, right = [c for c in of_a if c not in of_b], [c for c in of_b if c not in of_a]
    sizes = dict(zip(of_a + of_b, a.shape + b.shape, strict=True))

    def grouped(x: Any, letters: str, *groups: list[str]) -> Any:
        x = x.transpose([letters.index(c) for group in (lanes, *groups) for c in group])
        return x.reshape(
            [sizes[c] for c in lanes] + [math.prod(sizes[c] for c in g) for g in groups]
        )

    y = xp.matmul(grouped(a, of_a, left, inner), grouped(b, of_b, inner, right))
    made = lanes + left + right
    return y.reshape([sizes[c] for c in made]).transpose([made.index(c) for c in output])


def _spread_out(x: Any, letters: str, output: str) -> Any:
    """The axes in the order of the output, with axes of size 1 for letters that are not there."""
    x = x.transpose([letters.index(c) for c in output if c in letters])
    sizes = iter(x.shape)
    return x.reshape([next(sizes) if c in letters else 1 for c in output])


def _contracted(xp: Any, *xs: Any, form: str) -> Any:
    terms, output = _split(form)
    operands = list(xs)
    for i, j, result in plan(form, tuple(x.shape for x in xs)):
        y = _pair(xp, operands[i], terms[i], operands[j], terms[j], result)
        operands = [x for k, x in enumerate(operands) if k not in (i, j)] + [y]
        terms = [t for k, t in enumerate(terms) if k not in (i, j)] + [result]
    y, letters = _alone(operands[0], terms[0], output)
    return xp.asarray(y.transpose([letters.index(c) for c in output]))


# -- rules ------------------------------------------------------------------------------------


def _result(*xs: Spec, form: str) -> Spec:
    inputs, output = _split(form)
    sizes = dict(zip("".join(inputs), itertools.chain(*(x.shape for x in xs)), strict=True))
    return spec(tuple(sizes[c] for c in output), np.result_type(*(x.dtype for x in xs)))


def _back(wanted: Sequence[bool], y_bar: Any, _y: Any, *xs: Any, form: str) -> list[Any]:
    """x̄ᵢ: the summation with ȳ in the place of xᵢ, and xᵢ's letters as the output."""
    inputs, output = _split(form)
    bars: list[Any] = []
    for i, letters in enumerate(inputs):
        if not wanted[i]:
            bars.append(None)
            continue
        terms = [output, *inputs[:i], *inputs[i + 1 :]]
        once = dict.fromkeys(letters)
        there = "".join(c for c in once if any(c in t for t in terms))
        bar = einsum_(y_bar, *xs[:i], *xs[i + 1 :], form=_form(terms, there))
        bars.append(_repeated(bar, there, letters, xs[i].shape))
    return bars


def _repeated(bar: Any, there: str, letters: str, shape: tuple[int, ...]) -> Any:
    """What was summed over alone is repeated; what was a diagonal is put back on it."""
    sizes = dict(zip(letters, shape, strict=True))
    once = [*dict.fromkeys(letters)]
    if len(there) < len(once):
        full = tuple(sizes[c] for c in once)
        gone = tuple(i for i, c in enumerate(once) if c not in there)
        bar = broadcast(reshape_(bar, shape=kept(full, gone)), shape=full)
    for c in dict.fromkeys(letters):
        for _ in range(letters.count(c) - 1):
            at = once.index(c)
            bar = transpose(bar, order=(*(i for i in range(len(once)) if i != at), at))
            bar = undiagonal_(bar, offset=0, shape=(sizes[c], sizes[c]))
            once = [*once[:at], *once[at + 1 :], c, c]
    order = []
    for c in letters:  # axes of one letter are alike
        at = once.index(c)
        order.append(at)
        once[at] = ""
    return bar if order == sorted(order) else transpose(bar, order=tuple(order))


def _unused(letters: str) -> str:
    """A letter that does not occur; there is always another one."""
    return next(
        c
        for c in itertools.chain(string.ascii_letters, map(chr, range(0x3B1, 0xD000)))
        if c not in letters
    )


def _lanes(n: int, mapped: Sequence[bool], *xs: Any, form: str) -> Any:
    inputs, output = _split(form)
    lane = _unused(form)
    return einsum_(
        *xs, form=_form([lane * m + t for t, m in zip(inputs, mapped, strict=True)], lane + output)
    )


einsum_ = Primitive(
    "einsum",
    forward=_contracted,
    shape=_result,
    vjp=shared(_back, 2),
    batch=_lanes,
    complex=True,
    text=lambda *xs, form: f"einsum[{form.replace('->', ' → ')}]({', '.join(xs)})",
    samples=lambda r: [
        ((r(3, 4), r(4, 2)), {"form": "ij,jk->ik"}),
        ((r(2, 3), r(2, 3)), {"form": "ij,ij->"}),
        ((r(3, 3, 2), r(4)), {"form": "iij,k->ji"}),
        ((r(2, 3), r(3, 4), r(4, 2)), {"form": "ij,jk,ki->ik"}),
        ((r(3, 2, 3, 3),), {"form": "ijii->j"}),
        ((r(3, 4), r(2)), {"form": "ij,k->i"}),
        ((r(0, 2), r(2, 3)), {"form": "ij,jk->ik"}),
        ((r(2), r()), {"form": "i,->i"}),
    ],
    doc="A sum of products of entries, one letter per axis.",
)


# -- the public function ----------------------------------------------------------------------


@public
def einsum(form: str, /, *operands: Any) -> Tensor:
    """Einstein's summation: entries multiplied, and summed over the letters not in the output.

    Shapes:  one letter per axis, "ij,jk->ik". A letter repeated within an operand takes its
             diagonal; `...` stands for any leading axes, which broadcast. Without `->` the output
             is `...` and then every letter that occurs once, in alphabetical order.
    Rule:    x̄ᵢ is the summation with ȳ in the place of xᵢ: einsum again.
    Raises:  ShapeError for a letter with two sizes, an output that names what is not there, or a
             number of axes that does not fit.
    Cost:    two operands at a time, each pair one matrix product, in the cheapest order.
    Example:
        >>> ob.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
        Tensor([21., 43.], float64)
        >>> ob.einsum("ii", [[1.0, 2.0], [3.0, 4.0]])
        Tensor(5., float64)
    """
    if not isinstance(form, str):
        raise DTypeError(
            "einsum: the specification comes first, as a string",
            got={"first argument": type(form).__name__},
            want='einsum("ij,jk->ik", a, b)',
        )
    xs = of_one_dtype("einsum", *operands) if operands else []
    inputs, output, shapes = _understood(form, tuple(x.spec for x in xs))
    xs = [reshape(x, shape) for x, shape in zip(xs, shapes, strict=True)]
    if len(xs) == 1:
        return _of_one(xs[0], inputs[0], output)
    return apply(einsum_, tuple(xs), {"form": _form(inputs, output)})


@functools.lru_cache(maxsize=4096)
def _understood(form: str, xs: tuple[Spec, ...]) -> tuple[tuple[str, ...], str, Shapes]:
    """What a specification says of such operands: all letters, and the shapes to take them in."""
    inputs, output, dots = _read(form, xs)
    shapes, terms = _stretched(xs, inputs, dots)
    _check_sizes(form, xs, shapes, terms, dots)
    return tuple(terms), output, tuple(shapes)


def _read(form: str, xs: Sequence[Spec]) -> tuple[list[str], str, str]:
    """The specification with its spaces, dots and implications worked out: letters only."""
    text = form.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    for term in (*terms, output):
        letters = term.replace("...", "", 1)
        bad = [c for c in letters if not (c.isascii() and c.isalpha())]
        if bad:
            raise ShapeError(
                f'einsum: {bad[0]!r} in "{form}" is no index',
                want='letters, "...", "," and one "->"',
            )
    if len(terms) != len(xs):
        raise ShapeError(
            f'einsum: the terms of "{form}" are {len(terms)}, the operands {len(xs)}',
            got={f"operand {i}": x for i, x in enumerate(xs)},
            want="one term per operand, separated by commas",
        )
    letters = "".join(terms).replace(".", "")
    spare = [
        c
        for c in itertools.chain(string.ascii_uppercase[::-1], map(chr, range(0x3B1, 0x3C9)))
        if c not in text
    ]
    widths = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, xs, strict=True)]
    for i, (term, x, width) in enumerate(zip(terms, xs, widths, strict=True)):
        if width < 0 or (width and "..." not in term):
            raise ShapeError(
                f'einsum: "{term}" names {x.ndim - width} axes, operand {i} has {x.ndim}',
                got={f"operand {i}": x},
                want="one letter per axis, or ... for the axes without one",
            )
    widest = max((w for t, w in zip(terms, widths, strict=True) if "..." in t), default=0)
    if widest > len(spare):
        raise ShapeError(
            f"einsum: ... stands for {widest} axes, more than there are letters left",
            want=f"at most {len(spare)}",
        )
    dots = "".join(spare[:widest])
    if not arrow:
        output = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    else:
        _check_output(form, output, letters, dots)
        output = output.replace("...", dots)
    return (
        [
            t.replace("...", dots[widest - w :] if w else "")
            for t, w in zip(terms, widths, strict=True)
        ],
        output,
        dots,
    )


def _check_output(form: str, output: str, letters: str, dots: str) -> None:
    for c in output.replace(".", ""):
        if c not in letters:
            raise ShapeError(
                f'einsum: index {c} of the output occurs in no operand, in "{form}"',
                want="an output made of the operands' indices",
            )
        if output.count(c) > 1:
            raise ShapeError(
                f'einsum: index {c} occurs twice in the output of "{form}"',
                want="each index once in the output",
                hint="ob.linalg.diag_embed lays a result along a diagonal",
            )
    if dots and "..." not in output:
        raise ShapeError(
            f'einsum: the axes behind ... are lost in the output of "{form}"',
            want='"..." in the output, too',
            hint="to sum over them, give them letters",
        )


def _stretched(
    xs: Sequence[Spec], inputs: Sequence[str], dots: str
) -> tuple[list[tuple[int, ...]], list[str]]:
    """Axes of size 1 behind `...` leave where others are larger: the product repeats them."""
    found: dict[str, set[int]] = {c: set() for c in dots}
    for x, term in zip(xs, inputs, strict=True):
        for c, n in zip(term, x.shape, strict=True):
            if c in found:
                found[c].add(n)
    wide = {c for c, sizes in found.items() if len(sizes) > 1}
    shapes, terms = [], []
    for x, term in zip(xs, inputs, strict=True):
        stays = [i for i, c in enumerate(term) if not (c in wide and x.shape[i] == 1)]
        shapes.append(tuple(x.shape[i] for i in stays))
        terms.append("".join(term[i] for i in stays))
    return shapes, terms


def _check_sizes(
    form: str, xs: Sequence[Spec], shapes: Sequence[Any], terms: Sequence[str], dots: str
) -> None:
    """Every index has one size."""
    first: dict[str, tuple[int, int]] = {}
    for i, (shape, term) in enumerate(zip(shapes, terms, strict=True)):
        for c, n in zip(term, shape, strict=True):
            there, size = first.setdefault(c, (i, n))
            if size != n:
                which = "an axis behind ..." if c in dots else f"index {c}"
                raise ShapeError(
                    f"einsum: {which} has size {size} in operand {there} and {n} in operand {i}",
                    got={f"operand {k}": y for k, y in enumerate(xs)},
                    want=f'one size per index of "{form}"',
                    hint="only axes behind ... are repeated"
                    if c not in dots and 1 in (size, n)
                    else None,
                )


def _of_one(x: Tensor, letters: str, output: str) -> Tensor:
    """A diagonal, a sum, another order of the axes: what one operand allows, keeping no value."""
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i, j = letters.index(c), letters.rindex(c)
            x = permute_dims(x, (*(a for a in range(x.ndim) if a not in (i, j)), i, j))
            x = apply(diagonal_, (x,), {"offset": 0})
            letters = letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + c
    over = tuple(i for i, c in enumerate(letters) if c not in output)
    if over:
        x = apply(sum_, (x,), {"axis": over})
        letters = "".join(c for c in letters if c in output)
    return permute_dims(x, tuple(letters.index(c) for c in output))
