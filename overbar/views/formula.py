"""A node, or an adjoint, as a formula.

Each primitive carries its own notation, `{0} + {1}`; how tightly it binds is read off that text,
so that brackets stand where they are needed and nowhere else. What the rules emit is tidied for
the reader by a few identities: 1 · x = x, −(−x) = x, x + 0 = x, x + x = 2 x, x x = x²,
(xᵀ)ᵀ = x, (a b)ᵀ = bᵀ aᵀ.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..graph import Node
from ..primitive import PRIMITIVES
from .names import ascii_of, bar, tex_of

LOGIC, SUM, DOTTED, PRODUCT, APPLY, POWER, ATOM = range(7)
"""How tightly a text binds."""
LONGEST = 60
"""The size, in operations, beyond which a formula is cut short with an ellipsis."""


@dataclass(frozen=True)
class Expr:
    """A formula. `scalar`: one number, so that a product with it needs no ⊙."""

    scalar: bool = field(default=True, compare=False, kw_only=True)


@dataclass(frozen=True)
class Symbol(Expr):
    """A name; the adjoint of what bears that name if `barred`."""

    name: str
    barred: bool = False


@dataclass(frozen=True)
class Number(Expr):
    """A constant."""

    value: Any


@dataclass(frozen=True)
class Product(Expr):
    """times · top / (over · bottom), entry by entry."""

    times: float
    over: float
    top: tuple[Expr, ...]
    bottom: tuple[Expr, ...]


@dataclass(frozen=True)
class Sum(Expr):
    """The sum of the terms."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True)
class Applied(Expr):
    """Any other operation, written as its primitive says."""

    op: Any
    args: tuple[Expr, ...]
    said: str  # the params, spelled out: equal formulas have equal ones
    params: dict[str, Any] = field(compare=False)


class Mark(NamedTuple):
    """A way of writing things together that is no primitive."""

    name: str
    text: str
    tex: str


MORE = Symbol("…")
QUOTIENT = Mark("quotient", "{0} / {1}", r"\frac{{{0}}}{{{1}}}")


# -- from nodes to formulas -------------------------------------------------------------------


def formula_of(node: Node, called: Callable[[Node], Expr | None]) -> Expr:
    """The formula of a node in terms of the nodes that are `called` something."""
    found: dict[Node, Expr] = {}
    size: dict[Node, int] = {}
    stack = [node]
    while stack:
        at = stack[-1]
        if at in found:
            stack.pop()
            continue
        name = called(at)
        if name is not None or not at.inputs:
            found[at], size[at] = name or constant(at), 1
            continue
        waiting = [x for x in at.inputs if x not in found]
        if waiting and len(found) < 20 * LONGEST:
            stack.extend(waiting)
            continue
        size[at] = 1 + sum(size.get(x, LONGEST) for x in at.inputs)
        long = size[at] > LONGEST or waiting
        found[at] = MORE if long else applied(at, tuple(found[x] for x in at.inputs))
    return found[node]


def constant(node: Node) -> Expr:
    """A leaf without a name: its value if that is one number, or the same number everywhere."""
    value = node.value
    if value is None or isinstance(value, tuple):
        return Symbol("c", scalar=False)
    flat = np.asarray(value).ravel()
    if flat.size and flat.dtype.kind in "biuf" and (flat.size == 1 or (flat == flat[0]).all()):
        return Number(flat[0].item())
    return Symbol("c", scalar=not np.ndim(value))


def applied(node: Node, args: tuple[Expr, ...]) -> Expr:
    """The operation of a node applied to formulas, tidied."""
    tidy = TIDY.get(node.op.name)
    if tidy is not None:
        return tidy(node, *args)
    scalar = not isinstance(node.spec, tuple) and node.spec.ndim == 0
    return Applied(
        node.op, args, repr(sorted(node.params.items(), key=str)), node.params, scalar=scalar
    )


def _plainly(node: Node, *args: Expr) -> Expr:
    return Applied(
        node.op,
        args,
        repr(sorted(node.params.items(), key=str)),
        node.params,
        scalar=node.spec.ndim == 0,
    )


def _split(e: Expr) -> tuple[float, float, tuple[Expr, ...], tuple[Expr, ...]]:
    if isinstance(e, Number) and isinstance(e.value, bool | int | float) and math.isfinite(e.value):
        return e.value, 1, (), ()
    if isinstance(e, Product):
        return e.times, e.over, e.top, e.bottom
    return 1, 1, (e,), ()


def product(a: Expr, b: Expr) -> Expr:
    """a b."""
    (t, o, top, bottom), (u, p, more, under) = _split(a), _split(b)
    return _product(t * u, o * p, top + more, bottom + under)


def quotient(a: Expr, b: Expr) -> Expr:
    """a / b."""
    (t, o, top, bottom), (u, p, more, under) = _split(a), _split(b)
    if u == 0:
        return Applied(QUOTIENT, (a, b), "[]", {}, scalar=a.scalar and b.scalar)
    return _product(t * p, o * u, top + under, bottom + more)


def _product(times: float, over: float, top: tuple[Expr, ...], bottom: tuple[Expr, ...]) -> Expr:
    if over < 0:
        times, over = -times, -over
    if over != 1 and (times / over).is_integer():
        times, over = times / over, 1
    elif over != 1 and abs(times) != 1 and times and (over / times).is_integer():
        times, over = math.copysign(1, times), abs(over / times)
    if times == 0 or (over == 1 and not top and not bottom):
        return Number(times)
    for e in {e for e in top if isinstance(e, Symbol) and top.count(e) == 2}:
        at = top.index(e)
        top = (*top[:at], _squared(e), *(f for f in top[at + 1 :] if f != e))
    if times == over == 1 and len(top) == 1 and not bottom:
        return top[0]
    return Product(times, over, top, bottom, scalar=all(e.scalar for e in top + bottom))


def _squared(e: Expr) -> Expr:
    return Applied(PRIMITIVES["square"], (e,), "[]", {}, scalar=e.scalar)


def total(*terms: Expr) -> Expr:
    """The sum: nested sums flattened, like terms counted, zeros dropped."""
    found: dict[Expr, list[Expr]] = {}
    for term in (t for e in terms for t in (e.terms if isinstance(e, Sum) else (e,))):
        _, _, top, bottom = _split(term)
        found.setdefault(_product(1, 1, top, bottom), []).append(term)
    kept = []
    for alike in found.values():
        count = math.fsum(t / o for t, o, *_ in map(_split, alike))
        if count:
            kept.append(alike[0] if len(alike) == 1 else _product(count, 1, *_split(alike[0])[2:]))
    if len(kept) < 2:
        return kept[0] if kept else Number(0)
    return Sum(tuple(kept), scalar=all(e.scalar for e in kept))


MINUS = Number(-1)


def _power(node: Node, x: Expr, **_: Any) -> Expr:
    n = node.params["n"]
    return Number(1) if n == 0 else x if n == 1 else _plainly(node, x)


def _turned(node: Node, x: Expr) -> Expr:
    order = node.params["order"]
    if isinstance(x, Applied) and x.op is node.op:
        before = x.params["order"]
        if all(before[i] == j for j, i in enumerate(order)):
            return x.args[0]
    if isinstance(x, Applied) and x.op.name == "matmul" and order == (1, 0):
        return dataclasses.replace(x, args=tuple(_turned(node, a) for a in x.args[::-1]))
    return x if x.scalar else _plainly(node, x)


def _same(_node: Node, x: Expr) -> Expr:
    return x


SILENT = frozenset({"broadcast", "cast", "alias", "positive", "reshape"})
"""Operations that a formula does not show."""

TIDY: dict[str, Callable[..., Expr]] = {
    **dict.fromkeys(SILENT, _same),
    "add": lambda _, a, b: total(a, b),
    "subtract": lambda _, a, b: total(a, product(MINUS, b)),
    "negative": lambda _, a: product(MINUS, a),
    "multiply": lambda _, a, b: product(a, b),
    "times": lambda _, a, b: product(a, b),
    "divide": lambda _, a, b: quotient(a, b),
    "reciprocal": lambda _, a: quotient(Number(1), a),
    "whole_power": _power,
    "transpose": _turned,
}


# -- from formulas to text --------------------------------------------------------------------


@dataclass(frozen=True)
class Notation:
    """A way of writing."""

    symbol: Callable[[str, bool], str]
    minus: str
    space: str
    dot: str
    group: tuple[str, str]
    finish: Callable[[str], str] = str
    tex: bool = False


TEXT = Notation(lambda n, b: bar(n) if b else n, "−", " ", " ⊙ ", ("(", ")"))
ASCII = Notation(
    lambda n, b: ascii_of(n) + "_bar" * b, "-", " ", " * ", ("(", ")"), finish=ascii_of
)
TEX = Notation(tex_of, "-", r"\,", r" \odot ", (r"\left(", r"\right)"), tex=True)


def written(e: Expr, how: Notation = TEXT) -> str:
    """The formula as text, or as LaTeX."""
    return how.finish(_write(e, how)[0])


def spelled(v: Any) -> str:
    """A constant as short as it can be read: `2`, `0.1`, `1e-08`."""
    if isinstance(v, float) and v.is_integer() and abs(v) < 1e6:
        return str(int(v))
    return f"{v:.4g}" if isinstance(v, float) else str(v)


def _write(e: Expr, how: Notation) -> tuple[str, int, bool]:
    """(text, how tightly it binds, whether it ends in an operand without brackets)."""
    if isinstance(e, Symbol):
        text = how.symbol(e.name, e.barred)
        return text, POWER if re.search(r"[ᵀ²]$", e.name) else ATOM, False
    if isinstance(e, Number):
        text = spelled(e.value)
        return (how.minus + text[1:], SUM, False) if text.startswith("-") else (text, ATOM, False)
    if isinstance(e, Sum):
        return _write_sum(e, how)
    if isinstance(e, Product):
        return _write_product(e, how)
    if not isinstance(e, Applied):
        raise TypeError(e)
    form = form_of(_skeleton(e, how.tex))
    text, opened = form.skeleton, False
    for i, arg in enumerate(e.args):
        if chr(BLANK + i) in text:
            need = form.needs.get(i, LOGIC)
            inside, level, ends = _write(arg, how)
            bracketed = level < need or (ends and i in form.left)
            if bracketed:
                inside = inside.join(how.group)
            if bracketed and form.level == APPLY:
                text = re.sub(rf" ?{chr(BLANK + i)}", lambda _, s=inside: s, text)
            else:
                opened = form.level == APPLY or (ends and i in form.last)
                text = text.replace(chr(BLANK + i), inside)
    return text, form.level, opened


def _write_sum(e: Sum, how: Notation) -> tuple[str, int, bool]:
    text, opened = "", False
    for term in e.terms:
        part, _, opened = _write(term, how)
        if not text:
            text = part
        elif part.startswith(how.minus):
            text += f" {how.minus} {part.removeprefix(how.minus)}"
        else:
            text += f" + {part}"
    return text, SUM, opened


def _write_product(e: Product, how: Notation) -> tuple[str, int, bool]:
    under = (Number(e.over),) * (e.over != 1) + e.bottom
    sign = how.minus if e.times < 0 else ""
    number = (Number(abs(e.times)),) if abs(e.times) != 1 or not e.top else ()
    above, level, opened = _factors(number + e.top, how, closed=bool(under) and not how.tex)
    if sign and level < DOTTED:
        above = above.join(how.group)
    if not under:
        return sign + above, SUM if sign else level, opened
    below, tight, _ = _factors(under, how, closed=False)
    mixed = level if sum(not f.scalar for f in e.top) > 1 else PRODUCT
    if how.tex:
        return rf"{sign}\frac{{{above}}}{{{below}}}", SUM if sign else POWER, False
    below = below.join(how.group) if tight < POWER else below
    return f"{sign}{above} / {below}", SUM if sign else mixed, False


def _factors(factors: tuple[Expr, ...], how: Notation, *, closed: bool) -> tuple[str, int, bool]:
    """Factors side by side; ⊙ between two arrays, for a space there is a matrix product."""
    if len(factors) == 1 and not closed:
        return _write(factors[0], how)
    dotted = sum(not f.scalar for f in factors) > 1
    text, array, opened = "", False, False
    for i, f in enumerate(factors):
        last = i == len(factors) - 1
        part, level, opened = _write(f, how)
        need = PRODUCT if len(factors) == 1 or not (dotted and not f.scalar) else APPLY
        if level < need or (opened and (closed or not last)):
            part, opened = part.join(how.group), False
        digits = part[:1].isdigit() and text
        text += (
            how.dot if array and not f.scalar else " · " if digits else how.space if text else ""
        ) + part
        array = array or not f.scalar
    return text, DOTTED if dotted else PRODUCT, opened


# -- how tightly a notation binds -------------------------------------------------------------

BLANK = 0xE000
"""Private characters stand for the operands while a notation is read."""


def _skeleton(e: Applied, tex: bool) -> str:
    """The primitive's notation with blanks for its operands."""
    return notation(e.op, len(e.args), e.params, tex=tex)


def notation(op: Any, arity: int, params: dict[str, Any], *, tex: bool = False) -> str:
    """How a primitive is written, with a private character for each operand."""
    blanks = [chr(BLANK + i) for i in range(arity)]
    plain = rf"\operatorname{{{op.name}}}" if tex else op.name
    template = op.tex if tex else op.text
    try:
        if callable(template):
            return str(template(*blanks, **params))
        if template is not None:
            return template.replace("{*}", ", ".join(blanks)).format(*blanks, **params)
    except Exception:  # noqa: BLE001, S110  (a notation that does not fit its params: the name will do)
        pass
    return f"{plain}({', '.join(blanks)})"


@dataclass(frozen=True)
class Form:
    """A notation, read: `level` of the whole, `needs` of each operand outside brackets; the
    operands on the `left`, which must not end open, and the `last` ones, which may.
    """

    skeleton: str
    level: int
    needs: dict[int, int]
    left: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()


@functools.lru_cache(maxsize=1024)
def form_of(skeleton: str) -> Form:
    """How tightly a notation binds, read off its text."""
    flat, outside = _flattened(skeleton)
    if not outside:
        return Form(skeleton, POWER if "^" in flat or r"\frac" in flat else ATOM, {})
    if flat == "S":
        return Form(skeleton, ATOM, dict.fromkeys(outside, LOGIC))
    first, rest = outside[0], outside[1:]
    if re.search(r"S [+−-] S", flat):
        after = PRODUCT if re.search(r"S [−-] S", flat) else SUM
        return Form(skeleton, SUM, {first: SUM, **dict.fromkeys(rest, after)}, last=frozenset(rest))
    if re.fullmatch(r"[−-]S", flat):
        return Form(skeleton, SUM, {first: PRODUCT}, last=frozenset(outside))
    if re.fullmatch(r"S / S", flat):
        return Form(skeleton, PRODUCT, {first: PRODUCT, rest[0]: POWER}, left=frozenset({first}))
    if re.fullmatch(r"1/S", flat):
        return Form(skeleton, PRODUCT, {first: POWER})
    if re.fullmatch(r"S( |\\,)S", flat):
        return Form(
            skeleton, PRODUCT, dict.fromkeys(outside, PRODUCT), frozenset({first}), frozenset(rest)
        )
    if re.fullmatch(r"[^S]+ S", flat):
        return Form(skeleton, APPLY, {first: POWER}, last=frozenset(outside))
    if re.fullmatch(r"S[^S ]+|[^S ]+S|S\^S", flat):
        return Form(skeleton, POWER, dict.fromkeys(outside, ATOM))
    if re.search(r"[∧∨⊕&⊻]", flat):
        return Form(skeleton, LOGIC, dict.fromkeys(outside, APPLY))
    # words, or a sign of its own, between operands: S log S, S⁻¹ S, S mod n, S ∗ S
    tight = re.findall(r"\S*S\S*", flat)
    needs = {i: POWER if t in {"S", "−S"} else ATOM for i, t in zip(outside, tight, strict=False)}
    signs = re.search(r" [^\w\s□] | [^\w\s□]\S* ", flat)
    level = SUM if flat[0] in "−-" else DOTTED if signs else PRODUCT
    return Form(skeleton, level, needs, frozenset(outside), frozenset(rest))


_PAIRS = {"(": ")", "[": "]", "{": "}", "⌊": "⌋", "⌈": "⌉"}


def _flattened(skeleton: str) -> tuple[str, list[int]]:
    """The notation with S for each operand outside brackets, □ for each bracket; and which."""
    flat, outside, closing, bars = "", [], [], False
    for c in skeleton.replace(" | ", " ∨ "):
        if c in "|‖":
            bars = not bars
            flat += "□" if bars and not closing else ""
        elif c in _PAIRS:
            flat += "" if closing or bars else "□"
            closing.append(_PAIRS[c])
        elif closing and c == closing[-1]:
            closing.pop()
        elif not closing and not bars:
            blank = ord(c) >= BLANK
            flat += "S" if blank else "," if c == "S" else c
            if blank:
                outside.append(ord(c) - BLANK)
    return flat, outside


def fits(node: Node, i: int, child: Expr) -> bool:
    """Whether the formula of the i-th input is arithmetic that needs no brackets in a node's."""
    if isinstance(child, Applied):
        form = form_of(notation(child.op, len(child.args), child.params))
        if not form.needs or form.level == APPLY:
            return False
    blanks = tuple(Symbol("□", scalar=False) if j != i else child for j in range(len(node.inputs)))
    if node.op.name in SILENT:
        return True
    parts = notation(node.op, len(node.inputs), node.params)
    if i not in form_of(parts).needs:
        return False
    with_child, alone = written(applied(node, blanks)), written(child)
    return f"({alone})" not in with_child
