"""From many entries to few: means, extremes, spread, counts. Sums are in `repeat`, products in
`running`, order statistics in `sorting`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..apply import apply, own
from ..context import CONTEXT
from ..elementwise import elementwise
from ..errors import DomainError, ShapeError
from ..handle import Tensor, as_tensor, asarray
from ..primitive import FLAT, Primitive, public
from ..spec import Spec, axes, one_axis, spec
from . import movement
from .arithmetic import maximum_, minimum_, square, times, where
from .logic import equal, isnan, logical_and, logical_or, not_equal
from .movement import astype, conj
from .repeat import dropped, kept, reshape, spread, sum, sum_


def _up(axis: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + 1 for a in axis)


def _fewer(x: Spec, *, axis: tuple[int, ...], **_: Any) -> Spec:
    return spec(dropped(x.shape, axis), x.dtype)


def _count(what: str, x: Tensor, axis: tuple[int, ...]) -> int:
    """How many entries become one.

    Raises:  ShapeError if there is none.
    """
    n = math.prod(x.shape[a] for a in axis)
    if n == 0:
        raise ShapeError(
            f"{what}: of nothing", got={"x": x}, want="at least one entry along the axes"
        )
    return n


# -- the mean and the spread ------------------------------------------------------------------


@public
def mean(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over the given axes (all of them by default).

    Half precision is added up in single, integers in float64.

    Rule:    x̄ is ȳ / n, repeated.
    Raises:  ShapeError for the mean of nothing.
    Example:
        >>> ob.mean([[1.0, 2.0], [3.0, 4.0]], axis=1)
        Tensor([1.5, 3.5], float64)
    """
    x = as_tensor(x)
    n = _count("mean", x, axes("mean", axis, x.ndim))
    if x.dtype == np.float16:
        return astype(mean(astype(x, np.float32), axis, keepdims), np.float16)
    return sum(x if x.spec.floating else astype(x, np.float64), axis, keepdims) / n


def _deviations(xp: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    """x minus its mean; the mean is kept between the extremes, so that a constant deviates by 0."""
    if x.dtype.kind == "c":
        return x - xp.mean(x, axis=axis, keepdims=True)
    middle = xp.mean(x, axis=axis, keepdims=True, dtype=np.result_type(x.dtype, np.float64))
    low, high = (f(x, axis=axis, keepdims=True) for f in (xp.min, xp.max))
    return x - xp.minimum(xp.maximum(middle.astype(x.dtype), low), high)


def _deviations_of(x: Any, *, axis: tuple[int, ...]) -> Any:
    """As `_deviations`, of primitives. Of equal numbers of float32 the sum in float64 is exact, and
    the mean is that number: it needs no extremes.
    """
    if not axis:
        return x - x
    n = math.prod(x.shape[a] for a in axis)
    wide = movement.cast(x, dtype=np.dtype(np.float64))
    middle = movement.cast(sum_(wide, axis=axis) / n, dtype=x.dtype)
    if x.dtype == np.float32 and n < 1 << 29:
        return x - spread(middle, x.shape, axis)
    low, high = (f(x, axis=axis, ties="share") for f in (min_, max_))
    return x - spread(minimum_(maximum_(middle, low), high), x.shape, axis)


deviations = Primitive(
    "deviations",
    forward=_deviations,
    shape=lambda x, *, axis: x,
    complex=True,
    vjp=(lambda y_bar, _y, _x, *, axis: deviations(y_bar, axis=axis),),
    batch=lambda n, mapped, x, *, axis: deviations(x, axis=_up(axis)),
    samples=lambda r: [
        ((r(3, 4),), {"axis": (1,)}),
        ((r(3, 2),), {"axis": (0, 1)}),
        ((r(2),), {"axis": ()}),
    ],
    text=lambda x, axis: f"({x} − mean)",
    tex=r"({0} - \overline{{{0}}})",
    expands=_deviations_of,
    doc="x minus its mean over some axes: exactly 0 where x is constant.",
)
root_of_squares = elementwise(
    "root_of_squares", namespace=None, forward="sqrt", text="√{0}", tex=r"\sqrt{{{0}}}",
    domain=(0.2, 3.0),
    partials=(lambda y, _x: where(equal(y, 0), 0.0, 0.5 / where(equal(y, 0), 1.0, y)),),
    doc="√x of a sum of squares; its derivative at 0 is 0.",
    native=lambda b, x: b.intrinsic("sqrt", x),
)  # fmt: skip


@public
def var(x: Any, /, axis: Any = None, keepdims: bool = False, *, correction: float = 0) -> Tensor:
    """The variance over the given axes: the mean square of the deviations from the mean.

    The sum of squares is divided by n − correction; of complex numbers it is that of |x|.

    Rule:    x̄ = 2 (x − mean) ȳ / (n − correction).
    Raises:  ShapeError of nothing, DomainError if correction leaves nothing to divide by.
    Example:
        >>> ob.var([1.0, 3.0]), ob.var([1.0, 3.0], correction=1)
        (Tensor(1., float64), Tensor(2., float64))
    """
    x = asarray(x)
    over = axes("var", axis, x.ndim)
    n = _count("var", x, over)
    if n - correction <= 0:
        raise DomainError(
            f"var: of {n} entries, correction={correction} leaves nothing to divide by",
            got={"x": x}, want="correction < n",
        )  # fmt: skip
    if x.dtype == np.float16:
        return astype(var(astype(x, np.float32), axis, keepdims, correction=correction), np.float16)
    d = apply(deviations, (x if x.spec.floating else astype(x, np.float64),), {"axis": over})
    squares = square(d) if d.dtype.kind != "c" else apply(movement.real, (conj(d) * d,))
    return sum(squares, over, keepdims) / (n - correction)


@public
def std(x: Any, /, axis: Any = None, keepdims: bool = False, *, correction: float = 0) -> Tensor:
    """The standard deviation over the given axes: the root of the variance.

    Rule:    x̄ = (x − mean) ȳ / ((n − correction) std); 0 where all entries are equal.
    Raises:  as `var`.
    Example:
        >>> ob.std([1.0, 3.0])
        Tensor(1., float64)
    """
    x = asarray(x)
    if x.dtype == np.float16:
        return astype(std(astype(x, np.float32), axis, keepdims, correction=correction), np.float16)
    return apply(root_of_squares, (var(x, axis, keepdims, correction=correction),))


# -- the greatest and the least ---------------------------------------------------------------

_TIES = {"default": "share", "middle": "share", "right": "first", "left": "last"}


def _shares(xp: Any, x: Any, y: Any, *, axis: tuple[int, ...], ties: str) -> Any:
    y = y.reshape(kept(x.shape, axis))
    met = (x == y) | (xp.isnan(x) & xp.isnan(y))
    if ties == "share":
        weights = met / xp.maximum(met.sum(axis=axis, keepdims=True), 1)
        return weights.astype(x.dtype if x.dtype.kind == "f" else np.float64)
    order = (*(i for i in range(x.ndim) if i not in axis), *axis)
    moved = met.transpose(order)
    rows = moved.reshape(*moved.shape[: x.ndim - len(axis)], -1)
    rows = rows if ties == "first" else rows[..., ::-1]
    one = xp.zeros(rows.shape, x.dtype)
    xp.put_along_axis(one, rows.argmax(-1)[..., None], 1, -1)
    one = one if ties == "first" else one[..., ::-1]
    return one.reshape(moved.shape).transpose(np.argsort(order))


def _shares_lanes(n: int, mapped: Any, x: Any, y: Any, *, axis: tuple[int, ...], ties: str) -> Any:
    x, y = (a if m else spread(a, (n, *a.shape), (0,)) for a, m in zip((x, y), mapped, strict=True))
    return shares(x, y, axis=_up(axis), ties=ties)


def _shares_of(x: Any, y: Any, *, axis: tuple[int, ...], ties: str) -> Any:
    """As `_shares`, of primitives."""
    top = spread(y, x.shape, axis)
    met = movement.cast(logical_or(equal(x, top), logical_and(isnan(x), isnan(top))), dtype=x.dtype)
    return met / spread(maximum_(sum_(met, axis=axis), 1.0), x.shape, axis)


shares = Primitive(
    "shares",
    forward=_shares,
    shape=lambda x, y, *, axis, ties: x,
    vjp=FLAT,
    jvp=FLAT,
    batch=_shares_lanes,
    text="[{0} = {1}]",
    samples=lambda r: [
        (
            (np.array([[1.0, 2.0, 2.0], [3.0, 0.0, 1.0]]), np.array([2.0, 3.0])),
            {"axis": (1,), "ties": ties},
        )
        for ties in ("share", "first", "last")
    ],
    expands=_shares_of,
    declines=lambda node: node.spec.dtype.kind != "f" or node.params["ties"] != "share",
    doc="How much of an extreme each entry is: equal shares to those that reach it, or all to one.",
)


def _extreme(name: str) -> Primitive:
    def reverse(y_bar: Any, y: Any, x: Any, *, axis: tuple[int, ...], ties: str) -> Any:
        return times(shares(x, y, axis=axis, ties=ties), spread(y_bar, x.shape, axis))

    def dot(x_dot: Any, y: Any, x: Any, *, axis: tuple[int, ...], ties: str) -> Any:
        return sum_(times(shares(x, y, axis=axis, ties=ties), x_dot), axis=axis)

    def lanes(_n: int, _mapped: Any, x: Any, *, axis: tuple[int, ...], ties: str) -> Any:
        return op(x, axis=_up(axis), ties=ties)

    op = Primitive(
        name,
        forward=lambda xp, x, *, axis, ties: getattr(xp, name)(x, axis=axis),
        shape=_fewer,
        vjp=(reverse,),
        jvp=(dot,),
        batch=lanes,
        selects=True,
        text=lambda x, axis, ties: f"{name} {x}",
        tex=rf"\{name} {{0}}",
        samples=lambda r: [
            ((r(3, 4),), {"axis": (0,), "ties": "share"}),
            ((r(2, 3, 2),), {"axis": (0, 2), "ties": "first"}),
            ((r(1),), {"axis": (0,), "ties": "last"}),
        ],
        reduces=f"{name}imum",
        doc=f"The {'greatest' if name == 'max' else 'least'} entry over some axes; NaN if one is.",
    )
    return op


max_, min_ = _extreme("max"), _extreme("min")


def _extreme_of(op: Primitive, x: Any, axis: Any, keepdims: bool) -> Tensor:
    x = asarray(x)
    over = axes(op.name, axis, x.ndim)
    _count(op.name, x, over)
    if not over:
        return own(x)
    y = apply(op, (x,), {"axis": over, "ties": _TIES[CONTEXT.get().kinks]})
    return reshape(y, kept(x.shape, over)) if keepdims else y


@public
def max(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The greatest entry over the given axes (all of them by default); NaN if one is.

    Rule:    the adjoint goes to the greatest; ties share it equally. `ob.config(kinks="right")`
             gives it to the first of them, "left" to the last.
    Raises:  ShapeError for the maximum of nothing.
    Example:
        >>> ob.grad(ob.max)(np.array([1.0, 3.0, 3.0]))
        array([0. , 0.5, 0.5])
    """
    return _extreme_of(max_, x, axis, keepdims)


@public
def min(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The least entry over the given axes (all of them by default); NaN if one is.

    Rule:    the adjoint goes to the least; ties as in `max`.
    Raises:  ShapeError for the minimum of nothing.
    Example:
        >>> ob.min([[1.0, 5.0], [4.0, 2.0]], axis=1)
        Tensor([1., 2.], float64)
    """
    return _extreme_of(min_, x, axis, keepdims)


# -- positions, conditions and counts: flat ---------------------------------------------------


def _position(name: str, extreme: Primitive) -> Primitive:
    def first(x: Any, *, axis: int) -> Any:
        """The least place at which the extreme stands, or a NaN."""
        n, over = x.shape[axis], (axis,)
        met = equal(x, spread(extreme(x, axis=over, ties="share"), x.shape, over))
        met = logical_or(met, not_equal(x, x)) if x.dtype.kind == "f" else met
        places = np.arange(n, dtype=np.int32 if n < 1 << 31 else np.int64)
        places = places.reshape(tuple(n if a == axis else 1 for a in range(x.ndim)))
        found = min_(where(met, places, places.dtype.type(n)), axis=over, ties="share")
        return movement.cast(found, dtype=np.dtype(np.intp))

    op = Primitive(
        name,
        forward=lambda xp, x, *, axis: getattr(xp, name)(x, axis=axis),
        shape=lambda x, *, axis: spec(dropped(x.shape, (axis,)), np.dtype(np.intp)),
        vjp=FLAT,
        jvp=FLAT,
        batch=lambda n, mapped, x, *, axis: op(x, axis=axis + 1),
        text=lambda x, axis: f"{name} {x}",
        samples=lambda r: [((r(3, 4),), {"axis": 1}), ((r(1),), {"axis": 0})],
        expands=first,
        doc=f"Where the {'greatest' if name == 'argmax' else 'least'} entry is along an axis.",
    )
    return op


def _condition(name: str) -> Primitive:
    op = Primitive(
        name,
        forward=lambda xp, x, *, axis: getattr(xp, name)(x, axis=axis),
        shape=lambda x, *, axis: spec(dropped(x.shape, axis), np.dtype(bool)),
        vjp=FLAT,
        jvp=FLAT,
        batch=lambda n, mapped, x, *, axis: op(x, axis=_up(axis)),
        text=lambda x, axis: f"{name} {x}",
        samples=lambda r: [((r(3, 4) > 0,), {"axis": (1,)}), ((r(0, 2) > 0,), {"axis": (0,)})],
        reduces="or" if name == "any" else "and",
        doc=f"Whether {'one' if name == 'any' else 'every'} entry is true over some axes.",
    )
    return op


argmax_, argmin_, any_, all_ = (
    _position("argmax", max_),
    _position("argmin", min_),
    _condition("any"),
    _condition("all"),
)


def _position_of(op: Primitive, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = asarray(x)
    if not x.size:
        _count(op.name, x, axes(op.name, axis, x.ndim))
    if axis is None:
        y = apply(op, (reshape(x, (x.size,)),), {"axis": 0})
        return reshape(y, (1,) * x.ndim) if keepdims else y
    at = one_axis(op.name, axis, x.ndim)
    y = apply(op, (x,), {"axis": at})
    return reshape(y, kept(x.shape, (at,))) if keepdims else y


@public
def argmax(x: Any, /, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the greatest entry is (None: in x in a row), the first of several; flat.

    Example:
        >>> ob.argmax([1.0, 3.0, 3.0])
        Tensor(1, int64)
    """
    return _position_of(argmax_, x, axis, keepdims)


@public
def argmin(x: Any, /, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the least entry is (None: in x in a row), the first of several; flat.

    Example:
        >>> ob.argmin([3.0, 1.0, 1.0])
        Tensor(1, int64)
    """
    return _position_of(argmin_, x, axis, keepdims)


def _condition_of(op: Primitive, x: Any, axis: Any, keepdims: bool) -> Tensor:
    x = asarray(x)
    over = axes(op.name, axis, x.ndim)
    y = apply(op, (x,), {"axis": over})
    return reshape(y, kept(x.shape, over)) if keepdims else y


@public
def any(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether one entry is true (not zero) over the given axes.

    Example:
        >>> ob.any([0.0, 2.0])
        Tensor(True, bool)
    """
    return _condition_of(any_, x, axis, keepdims)


@public
def all(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether every entry is true (not zero) over the given axes; true of nothing.

    Example:
        >>> ob.all([0.0, 2.0])
        Tensor(False, bool)
    """
    return _condition_of(all_, x, axis, keepdims)


@public
def count_nonzero(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """How many entries are not zero, over the given axes; flat.

    Example:
        >>> ob.count_nonzero([0.0, 2.0, -1.0])
        Tensor(2, int64)
    """
    return sum(astype(as_tensor(x) != 0, np.int64), axis, keepdims)
