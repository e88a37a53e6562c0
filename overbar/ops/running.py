"""Running sums and products, and the product of all.

Nothing is divided by: the derivative of a product by one factor is the product of the others, which
is a product of what comes before it and what comes after it, zeros or not. With that, and with the
recurrence sₜ = aₜ sₜ₋₁ + bₜ, the rules are closed: they are exact to all orders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..apply import apply, own
from ..errors import DTypeError
from ..handle import Tensor, as_tensor
from ..primitive import Primitive, public, shared
from ..spec import Spec, axes, one_axis, spec
from .join import concat
from .movement import permute_dims
from .repeat import broadcast_to, dropped, kept, reshape, spread, sum_, summable


def _like(x: Spec, **_: Any) -> Spec:
    return x


def _ahead(axis: int, *where: int | None) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(*where),)


def _flipped(x: Any, axis: int, reverse: bool) -> Any:
    return x[_ahead(axis, None, None, -1)] if reverse else x


def _in_float32(f: Callable[..., Any], x: Any, axis: int, **facts: Any) -> Any:
    """A running sum or product; half precision is added up in single."""
    inner = np.float32 if x.dtype == np.float16 else x.dtype
    return f(x, axis=axis, dtype=inner, **facts).astype(x.dtype, copy=False)


# -- shifts and recurrences -------------------------------------------------------------------


def _shift(xp: Any, x: Any, *, axis: int, by: int) -> Any:
    y = xp.zeros_like(x)
    y[_ahead(axis, max(by, 0), None if by >= 0 else by)] = x[
        _ahead(axis, max(-by, 0), None if by <= 0 else -by)
    ]
    return y


def _shift_entry(b: Any, i: Any, x: Any, *, axis: int, by: int) -> Any:
    at, n = i[axis] - by, x.shape[axis]
    value = x(*i[:axis], b.minimum(b.maximum(at, 0), n - 1), *i[axis + 1 :])
    return b.where((at >= 0) & (at < n), value, 0)


shift_ = Primitive(
    "shift",
    forward=_shift,
    shape=_like,
    moves=True,
    complex=True,
    vjp=(lambda y_bar, _y, _x, *, axis, by: shift_(y_bar, axis=axis, by=-by),),
    batch=lambda n, mapped, x, *, axis, by: shift_(x, axis=axis + 1, by=by),
    samples=lambda r: [
        ((r(3, 4),), {"axis": 1, "by": 1}),
        ((r(3),), {"axis": 0, "by": -1}),
        ((r(0, 2),), {"axis": 0, "by": 1}),
    ],
    text=lambda x, axis, by: f"shift {x}",
    entry=_shift_entry,
    doc="x moved along an axis; zeros come in, what leaves is lost.",
)


def _recur(xp: Any, a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    s = xp.empty(b.shape, xp.result_type(a, b))
    a, b, out = (xp.moveaxis(x, axis, 0) for x in (a, b, s))
    steps = range(b.shape[0])
    before = b.dtype.type(0)
    for t in reversed(steps) if reverse else steps:
        before = out[t] = a[t] * before + b[t]
    return s


def _late(reverse: bool) -> int:
    """The shift by which an entry meets the one that came before it."""
    return -1 if reverse else 1


def _recurrence_reverse(
    wanted: Any, s_bar: Any, s: Any, a: Any, _b: Any, *, axis: int, reverse: bool
) -> list[Any]:
    late = _late(reverse)
    b_bar = recurrence(shift_(a, axis=axis, by=-late), s_bar, axis=axis, reverse=not reverse)
    return [
        b_bar * shift_(s, axis=axis, by=late) if wanted[0] else None,
        b_bar if wanted[1] else None,
    ]


def _recurrence_dots(dots: Any, s: Any, a: Any, _b: Any, *, axis: int, reverse: bool) -> Any:
    a_dot, b_dot = dots
    if a_dot is not None:
        push = a_dot * shift_(s, axis=axis, by=_late(reverse))
        b_dot = push if b_dot is None else b_dot + push
    return recurrence(a, b_dot, axis=axis, reverse=reverse)


def _recurrence_lanes(n: int, mapped: Any, *xs: Any, axis: int, reverse: bool) -> Any:
    a, b = (x if m else broadcast_to(x, (n, *x.shape)) for x, m in zip(xs, mapped, strict=True))
    return recurrence(a, b, axis=axis + 1, reverse=reverse)


recurrence = Primitive(
    "recurrence", forward=_recur, complex=True,
    shape=lambda a, b, *, axis, reverse: spec(b.shape, np.result_type(a.dtype, b.dtype)),
    vjp=shared(_recurrence_reverse, 2), jvp=shared(_recurrence_dots), batch=_recurrence_lanes,
    samples=lambda r: [
        ((r(4, 2), r(4, 2)), {"axis": 0, "reverse": False}),
        ((r(2, 3), r(2, 3)), {"axis": 1, "reverse": True}),
        ((r(0), r(0)), {"axis": 0, "reverse": False}),
    ],
    text="recur({0}, {1})", tex=r"s_t = {0}_t s_{{t-1}} + {1}_t",
    doc="sₜ = aₜ sₜ₋₁ + bₜ along an axis, from nothing.",
)  # fmt: skip

# -- sums -------------------------------------------------------------------------------------


def _cumsum(xp: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    return _flipped(_in_float32(xp.cumsum, _flipped(x, axis, reverse), axis), axis, reverse)


cumsum_ = Primitive(
    "cumsum", forward=_cumsum, shape=_like, moves=True, complex=True,
    vjp=(lambda y_bar, _y, _x, *, axis, reverse: cumsum_(y_bar, axis=axis, reverse=not reverse),),
    batch=lambda n, mapped, x, *, axis, reverse: cumsum_(x, axis=axis + 1, reverse=reverse),
    samples=lambda r: [
        ((r(3, 4),), {"axis": 1, "reverse": False}), ((r(3),), {"axis": 0, "reverse": True}),
        ((r(0, 2),), {"axis": 0, "reverse": False}),
    ],
    text=lambda x, axis, reverse: f"cumsum {x}", doc="The sums of the entries up to each one.",
)  # fmt: skip

# -- products ---------------------------------------------------------------------------------


def _running(xp: Any, x: Any, *, axis: int, reverse: bool, others: bool) -> Any:
    x = _flipped(x, axis, reverse)
    y = _in_float32(xp.cumprod, x, axis)
    if others and x.shape[axis]:
        y = xp.concatenate([xp.ones_like(x[_ahead(axis, 1)]), y[_ahead(axis, 0, -1)]], axis)
    return _flipped(y, axis, reverse)


def _running_reverse(y_bar: Any, _y: Any, x: Any, *, axis: int, reverse: bool, others: bool) -> Any:
    """x̄ₜ = (Π_{i<t} xᵢ) · sₜ, where sₜ = ȳₜ + xₜ₊₁ sₜ₊₁ gathers what later products send back."""
    early = -_late(reverse)
    b = shift_(y_bar, axis=axis, by=early) if others else y_bar
    s = recurrence(shift_(x, axis=axis, by=early), b, axis=axis, reverse=not reverse)
    return running_product(x, axis=axis, reverse=reverse, others=True) * s


def _running_dots(x_dot: Any, _y: Any, x: Any, *, axis: int, reverse: bool, others: bool) -> Any:
    """ẏₜ = xₜ ẏₜ₋₁ + ẋₜ Π_{i<t} xᵢ."""
    b = x_dot * running_product(x, axis=axis, reverse=reverse, others=True)
    if not others:
        return recurrence(x, b, axis=axis, reverse=reverse)
    late = _late(reverse)
    return recurrence(
        shift_(x, axis=axis, by=late), shift_(b, axis=axis, by=late), axis=axis, reverse=reverse
    )


def _running_samples(r: Any) -> list[Any]:
    return [
        ((r(3, 4),), {"axis": axis, "reverse": reverse, "others": others})
        for axis, reverse, others in ((1, False, False), (0, True, True))
    ] + [((np.array([2.0, 0.0, -1.5, 0.5]),), {"axis": 0, "reverse": False, "others": False})]


running_product = Primitive(
    "running_product", forward=_running, shape=_like, complex=True,
    vjp=(_running_reverse,), jvp=(_running_dots,), samples=_running_samples,
    batch=lambda n, mapped, x, *, axis, **how: running_product(x, axis=axis + 1, **how),
    text=lambda x, axis, reverse, others: f"cumprod {x}",
    doc="The products of the entries up to each one, with it or (`others`) without it.",
)  # fmt: skip


def _prod(xp: Any, x: Any, *, axis: int) -> Any:
    return _in_float32(xp.prod, x, axis)


def _all_others(x: Any, axis: int) -> Any:
    """For each entry the product of all others along the axis."""
    before = running_product(x, axis=axis, reverse=False, others=True)
    return before * running_product(x, axis=axis, reverse=True, others=True)


prod_ = Primitive(
    "prod",
    forward=_prod,
    complex=True,
    shape=lambda x, *, axis: spec(dropped(x.shape, (axis,)), x.dtype),
    vjp=(lambda y_bar, _y, x, *, axis: spread(y_bar, x.shape, (axis,)) * _all_others(x, axis),),
    jvp=(lambda x_dot, _y, x, *, axis: sum_(x_dot * _all_others(x, axis), axis=(axis,)),),
    batch=lambda n, mapped, x, *, axis: prod_(x, axis=axis + 1),
    samples=lambda r: [
        ((r(3, 4),), {"axis": 0}),
        ((np.array([2.0, 0.0, -1.5]),), {"axis": 0}),
        ((r(2, 0),), {"axis": 1}),
    ],
    text=lambda x, axis: f"Π {x}",
    tex=r"\prod {0}",
    reduces="multiply",
    doc="The product along an axis.",
)


# -- public -----------------------------------------------------------------------------------


def merged(what: str, x: Tensor, axis: Any) -> tuple[Tensor, tuple[int, ...]]:
    """(x with the given axes as one, the last; those axes)."""
    over = axes(what, axis, x.ndim)
    rest = tuple(i for i in range(x.ndim) if i not in over)
    if len(over) == x.ndim:
        return reshape(x, (x.size,)), over
    if len(over) == 1 and over[0] == x.ndim - 1:
        return x, over
    shape = tuple(x.shape[i] for i in rest)
    size = int(np.prod([x.shape[i] for i in over], dtype=np.int64))
    return reshape(permute_dims(x, (*rest, *over)), (*shape, size)), over


@public
def prod(x: Any, /, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """The product over the given axes (all of them by default).

    Rule:    x̄ is ȳ times the product of all others: exact with any number of zeros.
    Example:
        >>> ob.grad(ob.prod)(np.array([2.0, 0.0, 3.0]))
        array([0., 6., 0.])
    """
    x = summable("prod", x, dtype)
    rows, over = merged("prod", x, axis)
    y = apply(prod_, (rows,), {"axis": rows.ndim - 1}) if over else own(x)
    return reshape(y, kept(x.shape, over)) if keepdims else y


def _one(what: str, x: Tensor, axis: int | None) -> tuple[Tensor, int]:
    """x and an axis; None is the only one, or all of them in a row."""
    if axis is None:
        return (x, 0) if x.ndim == 1 else (reshape(x, (x.size,)), 0)
    return x, one_axis(what, axis, x.ndim)


@public
def cumsum(x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Tensor:
    """The sums of the entries up to each one along an axis (None: of x in a row).

    Rule:    x̄ is the running sum of ȳ from the other end.
    Example:
        >>> ob.cumsum([1.0, 2.0, 3.0])
        Tensor([1., 3., 6.], float64)
    """
    x, axis = _one("cumsum", summable("cumsum", x, dtype), axis)
    return apply(cumsum_, (x,), {"axis": axis, "reverse": False})


@public
def cumprod(x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Tensor:
    """The products of the entries up to each one along an axis (None: of x in a row).

    Rule:    exact to all orders with any number of zeros: nothing is divided by.
    Cost:    the forward sweep is one pass of NumPy; each derivative walks the axis once in Python.
    Example:
        >>> ob.cumprod([1.0, 2.0, 3.0])
        Tensor([1., 2., 6.], float64)
    """
    x, axis = _one("cumprod", summable("cumprod", x, dtype), axis)
    return apply(running_product, (x,), {"axis": axis, "reverse": False, "others": False})


def _cumulative(
    what: str, running: Any, first: int, x: Any, axis: int | None, dtype: Any, initial: bool
) -> Tensor:
    x = as_tensor(x)
    if axis is None and x.ndim != 1:
        raise DTypeError(
            f"{what}: of {x.ndim} axes, which one?", got={"x": x}, want="axis=0, axis=-1, ..."
        )
    at = one_axis(what, 0 if axis is None else axis, x.ndim)
    y = running(x, at, dtype=dtype)
    if not initial:
        return y
    shape = tuple(1 if i == at else n for i, n in enumerate(y.shape))
    return concat([np.full(shape, first, y.dtype), y], axis=at)


@public
def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """`cumsum`, the Array API's way; `include_initial` puts the sum of nothing, 0, in front.

    Example:
        >>> ob.cumulative_sum([1.0, 2.0], include_initial=True)
        Tensor([0., 1., 3.], float64)
    """
    return _cumulative("cumulative_sum", cumsum, 0, x, axis, dtype, include_initial)


@public
def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """`cumprod`, the Array API's way; `include_initial` puts the product of nothing, 1, in front.

    Example:
        >>> ob.cumulative_prod([1.0, 2.0], include_initial=True)
        Tensor([1., 1., 2.], float64)
    """
    return _cumulative("cumulative_prod", cumprod, 1, x, axis, dtype, include_initial)
