"""Formulas as trees: what overbar's own rules build when they are run on symbols.

A tree is made by `built`, which applies an operation to trees and tidies the result by a few
identities: 1 · x = x, −(−x) = x, x + 0 = x, x + x = 2 x, x x = x², (xᵀ)ᵀ = x, (a b)ᵀ = bᵀ aᵀ.
Every tree knows its shape. What a reader does not want to see (a broadcast, a reshape) stays in
the tree where it matters, and is left out where it is written; so `evaluated` gives the number
that the formula stands for, and a formula can be held against the engine. How trees are written is
in `formula`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..primitive import PRIMITIVES

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Expr:
    """A formula. `scalar`: one number, so that a product with it needs no ⊙; `shape`, if known."""

    scalar: bool = field(default=True, compare=False, kw_only=True)
    shape: Shape | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True)
class Symbol(Expr):
    """A name; the adjoint of what bears that name if `barred`, its tangent if `dotted`."""

    name: str
    barred: bool = False
    dotted: bool = False


@dataclass(frozen=True)
class Derivative(Symbol):
    """Of `name` by `by`: total (d, every path followed) or partial (∂, all else held)."""

    by: str = ""
    whole: bool = True
    above: tuple[str, ...] = ()  # the index of what is differentiated, and of by what
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kronecker(Symbol):
    """δᵢⱼ of this size: the identity, entry by entry."""

    size: int = 1


@dataclass(frozen=True)
class Entry(Symbol):
    """One entry of `of`, by index letters and numbers: W₁ⱼₖ; an axis of size 1 has an empty index.
    `name` is not used.
    """

    of: Expr = field(default_factory=Expr)
    index: tuple[str, ...] = ()


@dataclass(frozen=True)
class Over(Expr):
    """The sum over index letters, each of which goes up to its size."""

    letters: tuple[str, ...]
    body: Expr
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Number(Expr):
    """A constant."""

    value: Any


@dataclass(frozen=True)
class Literal(Expr):
    """A constant array without a name, which is written c."""

    value: Any = field(compare=False)
    age: int


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
    text: str | Callable[..., str]
    tex: str | Callable[..., str]
    pointwise: bool = False


MORE = Symbol("…")
QUOTIENT = Mark("quotient", "{0} / {1}", r"\frac{{{0}}}{{{1}}}", pointwise=True)
SEVERAL = Mark("several", "({*})", r"\left({*}\right)")
"""How the adjoints of several results are written."""

SILENT = frozenset({"broadcast", "cast", "alias", "positive", "reshape", "within"})
"""Operations that a formula does not show."""


def facts(spec: Any) -> dict[str, Any]:
    """What a formula knows of its value, from a Spec."""
    return {"scalar": False} if isinstance(spec, tuple) else of_shape(spec.shape)


def of_shape(shape: Shape | None) -> dict[str, Any]:
    """The same, from a shape."""
    return {"scalar": shape == (), "shape": shape}


def _joint(parts: Sequence[Expr]) -> dict[str, Any]:
    """The shape that these have together, entry by entry."""
    if any(e.shape is None for e in parts):
        return {"scalar": all(e.scalar for e in parts)}
    return of_shape(np.broadcast_shapes(*(e.shape for e in parts)))  # type: ignore[arg-type]


# -- building ---------------------------------------------------------------------------------


def built(op: Any, params: dict[str, Any], args: Sequence[Expr], shape: Shape | None) -> Expr:
    """An operation applied to formulas, tidied; of this shape."""
    tidy = TIDY.get(op.name)
    if op.pointwise:
        args = tuple(map(bare, args))
        known = _joint(args)
        if op.name == "whole_power":
            return spread(power(args[0], params["n"]), shape)
        return spread(tidy(*args) if tidy else _plainly(op, params, args, known), shape)
    if tidy is not None:
        return tidy(*args)
    if op.name in _SHAPED:
        return _SHAPED[op.name](params, args[0], shape)
    if op.name == "matmul":
        return spread(_matmul(op, args[0], args[1], shape), shape)
    return _plainly(op, params, args, of_shape(shape) if shape is not None else {"scalar": False})


def _plainly(op: Any, params: dict[str, Any], args: Sequence[Expr], known: dict[str, Any]) -> Expr:
    return Applied(op, tuple(args), repr(sorted(params.items(), key=str)), params, **known)


def bare(e: Expr) -> Expr:
    """Without the broadcast around it, which entry by entry makes no difference."""
    while isinstance(e, Applied) and e.op.name == "broadcast":
        e = e.args[0]
    return e


def spread(e: Expr, shape: Shape | None) -> Expr:
    """The formula with the broadcast that gives it this shape."""
    if shape is None or e.shape is None or e.shape == shape:
        return e
    return _plainly(PRIMITIVES["broadcast"], {"shape": shape}, (bare(e),), of_shape(shape))


def reshaped(e: Expr, shape: Shape | None) -> Expr:
    """The same entries in another shape; factors that are numbers stay in front."""
    if shape is None or e.shape is None or e.shape == shape:
        return e
    inside = bare(e)
    if inside.scalar:
        return spread(inside, shape)
    if isinstance(e, Applied) and e.op.name == "reshape":
        return reshaped(e.args[0], shape)
    if isinstance(e, Product) and not e.bottom:
        arrays = [f for f in e.top if not f.scalar]
        if len(arrays) == 1 and arrays[0].shape == e.shape:
            rest = tuple(f for f in e.top if f.scalar)
            return _product(e.times, e.over, (*rest, reshaped(arrays[0], shape)), ())
    return _plainly(PRIMITIVES["reshape"], {"shape": shape}, (e,), of_shape(shape))


def _turned(params: dict[str, Any], x: Expr, shape: Shape | None) -> Expr:
    order = params["order"]
    x = x if x.shape is None or len(x.shape) == len(order) else spread(x, x.shape)
    if x.scalar:
        return x
    if x.shape is not None:
        moved = [i for i in order if x.shape[i] != 1]
        if moved == sorted(moved):  # only axes of size 1 change places
            return reshaped(x, shape)
    if isinstance(x, Applied) and x.op.name == "transpose":
        before = x.params["order"]
        if all(before[i] == j for j, i in enumerate(order)):
            return x.args[0]
    n = len(order)
    swapped = order == (*range(n - 2), n - 1, n - 2)
    if swapped and isinstance(x, Applied) and x.op.name == "matmul":
        turned = [_turned(params, a, _swap(a.shape)) for a in x.args[::-1]]
        return _plainly(x.op, x.params, turned, of_shape(shape))
    if isinstance(x, Product) and not x.bottom:
        arrays = [f for f in x.top if not f.scalar]
        if len(arrays) == 1 and arrays[0].shape == x.shape:
            rest = tuple(f for f in x.top if f.scalar)
            return _product(x.times, x.over, (*rest, _turned(params, arrays[0], shape)), ())
    return _plainly(PRIMITIVES["transpose"], params, (x,), of_shape(shape))


def _swap(shape: Shape | None) -> Shape | None:
    return None if shape is None else (*shape[:-2], shape[-1], shape[-2])


def _matmul(op: Any, a: Expr, b: Expr, shape: Shape | None) -> Expr:
    """a b; numbers go in front, a 1 × 1 matrix is a number."""
    times, over, front, factors = 1.0, 1.0, (), []
    for e in (a, b):
        if isinstance(e, Product) and not e.bottom:
            arrays = tuple(f for f in e.top if not f.scalar)
            if len(arrays) == 1 and arrays[0].shape == e.shape:
                times, over = times * e.times, over * e.over
                front += tuple(f for f in e.top if f.scalar)
                e = arrays[0]
        factors.append(e)
    a, b = factors
    if a.shape == (1, 1) or b.shape == (1, 1):
        one, other = (a, b) if a.shape == (1, 1) else (b, a)
        return _product(times, over, (*front, reshaped(one, ()), other), ())
    return _product(times, over, (*front, _plainly(op, {}, (a, b), of_shape(shape))), ())


# -- products and sums ------------------------------------------------------------------------


def split(e: Expr) -> tuple[float, float, tuple[Expr, ...], tuple[Expr, ...]]:
    """A formula as times · top / (over · bottom)."""
    if isinstance(e, Number) and isinstance(e.value, bool | int | float) and math.isfinite(e.value):
        return e.value, 1, (), ()
    if isinstance(e, Product):
        return e.times, e.over, e.top, e.bottom
    return 1, 1, (e,), ()


def product(a: Expr, b: Expr) -> Expr:
    """a b."""
    (t, o, top, bottom), (u, p, more, under) = split(a), split(b)
    return _product(t * u, o * p, top + more, bottom + under)


def quotient(a: Expr, b: Expr) -> Expr:
    """a / b."""
    (t, o, top, bottom), (u, p, more, under) = split(a), split(b)
    if u == 0:
        return Applied(QUOTIENT, (a, b), "[]", {}, **_joint((a, b)))
    return _product(t * p, o * u, top + under, bottom + more)


def _product(times: float, over: float, top: tuple[Expr, ...], bottom: tuple[Expr, ...]) -> Expr:
    if over < 0:
        times, over = -times, -over
    if over != 1 and (times / over).is_integer():
        times, over = times / over, 1
    elif over != 1 and abs(times) != 1 and times and (over / times).is_integer():
        times, over = math.copysign(1, times), abs(over / times)
    if times == 0 or (over == 1 and not top and not bottom):
        return Number(times, shape=())
    for e in {e for e in top if isinstance(e, Symbol) and top.count(e) == 2}:
        at = top.index(e)
        top = (*top[:at], squared(e), *(f for f in top[at + 1 :] if f != e))
    if times == over == 1 and len(top) == 1 and not bottom:
        return top[0]
    return Product(times, over, _outer(top), bottom, **_joint(top + bottom))


def _outer(top: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """A column times a row, entry by entry, is their matrix product."""
    arrays = [e for e in top if not e.scalar]
    if len(arrays) != 2 or any(e.shape is None or len(e.shape) != 2 for e in arrays):
        return top
    column, row = sorted(arrays, key=lambda e: e.shape[1])  # type: ignore[index]
    n, m = column.shape[0], row.shape[1]  # type: ignore[index]
    if column.shape != (n, 1) or row.shape != (1, m) or 1 in (n, m):
        return top
    made = _plainly(PRIMITIVES["matmul"], {}, (column, row), of_shape((n, m)))
    return (*(e for e in top if e.scalar), made)


def squared(e: Expr) -> Expr:
    """e²."""
    return _plainly(PRIMITIVES["square"], {}, (e,), {"scalar": e.scalar, "shape": e.shape})


def total(*terms: Expr) -> Expr:
    """The sum: nested sums flattened, like terms counted, zeros dropped."""
    found: dict[Expr, list[Expr]] = {}
    for term in (t for e in terms for t in (e.terms if isinstance(e, Sum) else (e,))):
        _, _, top, bottom = split(term)
        found.setdefault(_product(1, 1, top, bottom), []).append(term)
    kept = []
    for alike in found.values():
        count = math.fsum(t / o for t, o, *_ in map(split, alike))
        if count:
            kept.append(alike[0] if len(alike) == 1 else _product(count, 1, *split(alike[0])[2:]))
    if len(kept) < 2:
        return kept[0] if kept else Number(0, shape=())
    return _sign(*kept) or Sum(tuple(kept), **_joint(kept))


def _sign(a: Expr, b: Expr, *more: Expr) -> Expr | None:
    """2 [x > 0] − 1, with ½ for [0 > 0], is the sign of x: so the rule of |x| is read."""
    twice, one, top, bottom = split(a)
    if more or (twice, one, len(top), bottom) != (2, 1, 1, ()) or split(b) != split(MINUS):
        return None
    (step,) = top
    if not isinstance(step, Applied) or step.op.name != "heaviside" or step.params["kink"] != 0.5:
        return None
    return _plainly(PRIMITIVES["sign"], {}, step.args, of_shape(step.shape))


MINUS = Number(-1, shape=())


def power(x: Expr, n: int) -> Expr:
    """xⁿ for a whole n."""
    if n in (0, 1):
        return Number(1, shape=()) if n == 0 else x
    return _plainly(
        PRIMITIVES["whole_power"], {"n": n}, (x,), {"scalar": x.scalar, "shape": x.shape}
    )


def _same(x: Expr) -> Expr:
    return x


TIDY: dict[str, Callable[..., Expr]] = {
    **dict.fromkeys(("cast", "alias", "positive", "within"), _same),
    "add": total,
    "subtract": lambda a, b: total(a, product(MINUS, b)),
    "negative": lambda a: product(MINUS, a),
    "multiply": product,
    "times": product,
    "divide": quotient,
    "reciprocal": lambda a: quotient(Number(1, shape=()), a),
}
_SHAPED: dict[str, Callable[[dict[str, Any], Expr, Shape | None], Expr]] = {
    "broadcast": lambda _, x, shape: spread(x, shape),
    "reshape": lambda _, x, shape: reshaped(x, shape),
    "transpose": _turned,
}


# -- trees of trees ---------------------------------------------------------------------------


def rebuilt(e: Expr, swap: Callable[[Symbol], Expr | None]) -> Expr:
    """The formula with symbols replaced, and tidied again."""
    if isinstance(e, Symbol):
        other = swap(e)
        return e if other is None else spread(other, e.shape)
    if isinstance(e, Sum):
        return total(*(rebuilt(t, swap) for t in e.terms))
    if isinstance(e, Product):

        def again(f: Expr) -> Expr:
            return bare(rebuilt(f, swap))

        above = functools.reduce(product, map(again, e.top), _whole(e.times))
        under = functools.reduce(product, map(again, e.bottom), _whole(e.over))
        return spread(quotient(above, under), e.shape)
    if isinstance(e, Applied):
        args = [rebuilt(a, swap) for a in e.args]
        if isinstance(e.op, Mark):
            return dataclasses.replace(e, args=tuple(args))
        return built(e.op, e.params, args, e.shape)
    return e


def _whole(value: float) -> Number:
    return Number(value, shape=())


def simplified(e: Expr) -> Expr:
    """The formula with what stands above and below a fraction bar cancelled: p (1 − p) / p is
    1 − p. That holds wherever the fraction has a value.
    """
    if isinstance(e, Sum):
        return spread(total(*(bare(simplified(t)) for t in e.terms)), e.shape)
    if isinstance(e, Applied):
        args = tuple(map(simplified, e.args))
        if isinstance(e.op, Mark):
            return dataclasses.replace(e, args=args)
        return built(e.op, e.params, args, e.shape)
    if not isinstance(e, Product):
        return e
    exponents: dict[Expr, int] = {}
    for factors, sign in ((e.top, 1), (e.bottom, -1)):
        for f in factors:
            base, n = _raised(bare(simplified(f)))
            exponents[base] = exponents.get(base, 0) + sign * n
    plain = len(exponents) == len(e.top) + len(e.bottom)
    if plain and not any(map(_nested, e.top + e.bottom)):
        return e
    made: list[Expr] = [_whole(e.times), _whole(e.over)]
    for base, n in exponents.items():
        side = 0 if n > 0 else 1
        if n:
            factor = squared(base) if abs(n) == 2 else power(base, abs(n))
            made[side] = product(made[side], factor)
    return spread(quotient(*made), e.shape)


def _raised(e: Expr) -> tuple[Expr, int]:
    if isinstance(e, Applied) and e.op.name == "square":
        return e.args[0], 2
    if isinstance(e, Applied) and e.op.name == "whole_power" and e.params["n"] > 0:
        return e.args[0], e.params["n"]
    return e, 1


def _nested(e: Expr) -> bool:
    return isinstance(e, Applied | Sum | Product)


def symbols(e: Expr) -> list[Symbol]:
    """The symbols of a formula, in the order they are written, each once."""
    found: dict[Symbol, None] = {}
    stack = [e]
    while stack:
        at = stack.pop()
        if isinstance(at, Symbol):
            found[at] = None
        stack.extend(reversed(parts_of(at)))
    return list(found)


def parts_of(e: Expr) -> tuple[Expr, ...]:
    """What a formula is made of."""
    if isinstance(e, Sum):
        return e.terms
    if isinstance(e, Product):
        return e.top + e.bottom
    if isinstance(e, Over):
        return (e.body,)
    return e.args if isinstance(e, Applied) else ()


def size_of(e: Expr) -> int:
    """How many things are written in it."""
    silent = isinstance(e, Applied) and e.op.name in SILENT
    return (not silent) + sum(map(size_of, parts_of(e)))
