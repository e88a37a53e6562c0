"""Index notation: a formula of arrays, entry by entry.

W̄ = z̄ xᵀ becomes W̄ⱼₖ = z̄ⱼ xₖ, a matrix product a sum over its inner index. Where an operation has
no such form, its formula stands in brackets with the index outside. Local derivatives come with
Kronecker's δ, which a sum over one of its indices removes. Start at `by_entries`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .evaluate import LETTERS
from .terms import (
    QUOTIENT,
    Applied,
    Derivative,
    Entry,
    Expr,
    Kronecker,
    Literal,
    Number,
    Over,
    Product,
    Shape,
    Sum,
    Symbol,
    of_shape,
    product,
    quotient,
    total,
)

Index = tuple[str, ...]
DELTA = "δ"


def letters_for(shape: Shape, taken: Index = ()) -> Index:
    """A letter for each axis; an axis of size 1 has none."""
    free = (c for c in LETTERS if c not in taken)
    return tuple(next(free) if n != 1 else "" for n in shape)


class _Fresh:
    """Letters nobody uses yet, and up to what each goes."""

    def __init__(self, taken: Index) -> None:
        self.free = [c for c in LETTERS if c not in taken][::-1]
        self.sizes: dict[str, int] = {}

    def __call__(self, n: int) -> str:
        if n == 1:
            return ""
        letter = self.free.pop()
        self.sizes[letter] = n
        return letter


def by_entries(e: Expr, index: Index, taken: Index = ()) -> Expr:
    """The entry of a formula at an index: a formula of entries.

    taken   letters that stand for something else already
    """
    try:
        return _contracted(_entry(e, index, _Fresh((*index, *taken))))
    except IndexError:  # the alphabet is at its end
        return Entry("", of=e, index=_aligned(e, index), **of_shape(()))


def _entry(e: Expr, index: Index, fresh: _Fresh) -> Expr:
    index = _aligned(e, index)
    if isinstance(e, Number):
        return e
    if e.shape is not None and not e.shape and isinstance(e, Symbol | Literal):
        return e
    if isinstance(e, Sum):
        return total(*(_entry(t, index, fresh) for t in e.terms))
    if isinstance(e, Product):
        made: Expr = quotient(Number(e.times, shape=()), Number(e.over, shape=()))
        for f in e.top:
            made = product(made, _entry(f, index, fresh))
        for f in e.bottom:
            made = quotient(made, _entry(f, index, fresh))
        return made
    if isinstance(e, Applied):
        found = _applied(e, index, fresh)
        if found is not None:
            return found
    return Entry("", of=e, index=index, **of_shape(()))


def _aligned(e: Expr, index: Index) -> Index:
    """The index of a part, which is lined up from the right and may be of size 1."""
    shape = e.shape if e.shape is not None else ()
    tail = index[len(index) - len(shape) :]
    return tuple("" if n == 1 else i for i, n in zip(tail, shape, strict=True))


def _applied(e: Applied, index: Index, fresh: _Fresh) -> Expr | None:
    name, args = e.op.name, e.args
    if e.op is QUOTIENT:
        return quotient(*(_entry(a, index, fresh) for a in args))
    if e.op.pointwise:
        parts = tuple(_entry(a, index, fresh) for a in args)
        return Applied(e.op, parts, e.said, e.params, **of_shape(()))
    if any(a.shape is None for a in args) or e.shape is None:
        return None
    (x, *more) = args
    if name == "broadcast":
        return _entry(x, index, fresh)
    if name == "reshape":
        kept = [i for i, n in zip(index, e.shape, strict=True) if n != 1]
        if [n for n in x.shape if n != 1] != [n for n in e.shape if n != 1]:  # type: ignore[union-attr]
            return None
        spots = iter(kept)
        return _entry(x, tuple("" if n == 1 else next(spots) for n in x.shape), fresh)  # type: ignore[union-attr]
    if name == "transpose":
        order = e.params["order"]
        return _entry(x, tuple(index[order.index(k)] for k in range(len(order))), fresh)
    if name == "matmul":
        (y,) = more
        inner = fresh(x.shape[-1])  # type: ignore[index]
        left = _entry(x, (*index[:-1], inner), fresh)
        right = _entry(y, (*index[:-2], inner, index[-1]), fresh)
        return _over((inner,), product(left, right), fresh.sizes)
    if name == "sum":
        axes, spots = e.params["axis"], iter(index)
        whole = tuple(
            fresh(n) if k in axes else next(spots)
            for k, n in enumerate(x.shape)  # type: ignore[arg-type]
        )
        return _over(tuple(whole[k] for k in axes), _entry(x, whole, fresh), fresh.sizes)
    if name == "slice" and all(
        count == 1 or (start, count, step) == (0, n, 1)
        for (start, count, step), n in zip(e.params["index"], x.shape, strict=True)  # type: ignore[arg-type]
    ):
        spots = iter(i for i, n in zip(index, e.shape, strict=True) if n != 1)
        whole = tuple(
            next(spots) if count != 1 else str(start) if n != 1 else ""
            for (start, count, _), n in zip(e.params["index"], x.shape, strict=True)  # type: ignore[arg-type]
        )
        return _entry(x, whole, fresh)
    return None


def _over(letters: Index, body: Expr, sizes: Mapping[str, int]) -> Expr:
    """The sum over letters; factors in front, and sums within, are taken in."""
    letters = tuple(i for i in letters if i.isalpha())
    if not letters:
        return body
    if isinstance(body, Over):
        inner = _sizes(body)
        return _over((*letters, *body.letters), body.body, {**sizes, **inner})
    if isinstance(body, Product) and not body.bottom:
        sums = [f for f in body.top if isinstance(f, Over)]
        if len(sums) == 1:
            rest = Product(
                body.times, body.over, tuple(f for f in body.top if f is not sums[0]), (), shape=()
            )
            inner = _sizes(sums[0])
            body = product(rest, sums[0].body)
            return _over((*letters, *sums[0].letters), body, {**sizes, **inner})
    return Over(letters, body, tuple(sizes[i] for i in letters), shape=())


def _sizes(e: Over) -> dict[str, int]:
    return dict(zip(e.letters, e.sizes, strict=True))


# -- Kronecker's delta ------------------------------------------------------------------------


def delta(i: str, j: str, n: int) -> Expr:
    """δᵢⱼ: 1 where the indices are equal, else 0."""
    base = Kronecker(DELTA, size=n, **of_shape((n, n)))
    return Entry(DELTA, of=base, index=(i, j), **of_shape(()))


def local_derivative(tangent: Expr, x: Symbol, index: Index, below: Index) -> Expr:
    """∂y[index]/∂x[below], of the tangent of y as a formula of that of x alone, `x`."""
    e = by_entries(tangent, index, below)

    def swap(f: Expr) -> Expr:
        if isinstance(f, Entry) and f.of == x:
            found: Expr = Number(1, shape=())
            for i, j, n in zip(f.index, below, x.shape or (), strict=True):
                if n != 1:
                    found = product(found, delta(i, j, n))
            return found
        if f == x:
            return Number(1, shape=())
        return f

    return _contracted(mapped(e, swap))


def mapped(e: Expr, swap: Callable[[Expr], Expr]) -> Expr:
    """A formula of entries with entries replaced."""
    if isinstance(e, Sum):
        return total(*(mapped(t, swap) for t in e.terms))
    if isinstance(e, Product):
        made: Expr = quotient(Number(e.times, shape=()), Number(e.over, shape=()))
        for f in e.top:
            made = product(made, mapped(f, swap))
        for f in e.bottom:
            made = quotient(made, mapped(f, swap))
        return made
    if isinstance(e, Over):
        return _over(e.letters, mapped(e.body, swap), _sizes(e))
    if isinstance(e, Applied):
        args = tuple(mapped(a, swap) for a in e.args)
        return Applied(e.op, args, e.said, e.params, **of_shape(()))
    return swap(e)


def _contracted(e: Expr) -> Expr:
    """Sums over an index of a δ, carried out: Σⱼ δᵢⱼ xⱼ = xᵢ."""
    if isinstance(e, Sum):
        return total(*map(_contracted, e.terms))
    if not isinstance(e, Over):
        return _distributed(e)
    body = e.body
    if isinstance(body, Sum):  # a sum of sums
        return total(*(_contracted(_over(e.letters, t, _sizes(e))) for t in body.terms))
    factors = body.top if isinstance(body, Product) else (body,)
    for f in factors:
        if not (isinstance(f, Entry) and f.name == DELTA):
            continue
        i, j = f.index
        gone, kept = (i, j) if i in e.letters else (j, i)
        if gone not in e.letters:
            continue
        rest = _without(body, f)
        rest = mapped(rest, lambda g, gone=gone, kept=kept: _renamed(g, gone, kept))
        letters = tuple(k for k in e.letters if k != gone)
        return _contracted(_over(letters, rest, _sizes(e)))
    return e


def _distributed(e: Expr) -> Expr:
    if isinstance(e, Product) and not e.bottom and any(isinstance(f, Over) for f in e.top):
        made: Expr = quotient(Number(e.times, shape=()), Number(e.over, shape=()))
        for f in e.top:
            made = product(made, _contracted(f))
        return made
    return e


def _without(body: Expr, f: Expr) -> Expr:
    if body == f:
        return Number(1, shape=())
    assert isinstance(body, Product)  # noqa: S101  (f is one of its factors)
    at = body.top.index(f)
    rest = Number(body.times, shape=())
    made: Expr = quotient(rest, Number(body.over, shape=()))
    for g in (*body.top[:at], *body.top[at + 1 :]):
        made = product(made, g)
    for g in body.bottom:
        made = quotient(made, g)
    return made


def _renamed(e: Expr, before: str, after: str) -> Expr:
    if isinstance(e, Entry):
        index = tuple(after if i == before else i for i in e.index)
        return Entry(e.name, of=e.of, index=index, **of_shape(()))
    return e


def deltas(e: Expr) -> dict[Symbol, np.ndarray]:
    """What the δ's of a formula stand for."""
    found: dict[Symbol, np.ndarray] = {}
    stack = [e]
    while stack:
        at = stack.pop()
        if isinstance(at, Entry) and isinstance(at.of, Kronecker):
            found[at.of] = np.eye(at.of.size)
        elif isinstance(at, Sum):
            stack += at.terms
        elif isinstance(at, Product):
            stack += at.top + at.bottom
        elif isinstance(at, Over):
            stack.append(at.body)
        elif isinstance(at, Applied):
            stack += at.args
    return found


def named_derivative(name: str, by: str, above: Index, below: Index) -> Derivative:
    """∂zᵢ/∂Wⱼₖ, as it is written."""
    return Derivative(name, by=by, whole=False, above=above, below=below, **of_shape(()))
