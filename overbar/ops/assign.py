"""x[i] = v: a new array with one part replaced, to which the handle is rebound.

Graphs keep the old array: what was computed from it before stays true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DTypeError, ShapeError
from ..handle import Tensor, as_tensor, from_value
from ..primitive import FLAT, Primitive, shared
from ..spec import spec
from .arithmetic import where
from .index import (
    Index,
    counts,
    gather_,
    getitem,
    inside_part,
    numpy_index,
    parsed,
    slice_,
)
from .logic import zeros_of
from .repeat import broadcast_to, reshape

# -- whole stretches --------------------------------------------------------------------------


def _set(xp: Any, x: Any, v: Any, *, index: Index) -> Any:
    y = xp.array(x)  # a number has no room to be written into
    y[numpy_index(index)] = v.reshape(counts(index))
    return y


def _set_back(
    wanted: Sequence[bool], y_bar: Any, _y: Any, _x: Any, _v: Any, *, index: Index
) -> Any:
    return (
        set_(y_bar, zeros_of(_v), index=index) if wanted[0] else None,
        slice_(y_bar, index=index, shape=_v.shape) if wanted[1] else None,
    )


def _set_dots(dots: Sequence[Any], _y: Any, _x: Any, _v: Any, *, index: Index) -> Any:
    x_dot, v_dot = dots
    return set_(
        zeros_of(_x) if x_dot is None else x_dot,
        zeros_of(_v) if v_dot is None else v_dot,
        index=index,
    )


def _set_lanes(n: int, mapped: Sequence[bool], *xs: Any, index: Index) -> Any:
    x, v = (a if m else broadcast_to(a, (n, *a.shape)) for a, m in zip(xs, mapped, strict=True))
    return set_(x, v, index=((0, n, 1), *index))


def _set_entry(b: Any, i: Any, x: Any, v: Any, *, index: Index) -> Any:
    """v's entry where there is one, else x's."""
    if not all(counts(index)):
        return x(*i)
    inside, there = inside_part(b, i, index, x.shape, v.shape)
    return b.where(inside, v(*there), x(*i))


set_ = Primitive(
    "set",
    forward=_set,
    shape=lambda x, v, *, index: x,
    vjp=shared(_set_back, 2),
    jvp=shared(_set_dots),
    batch=_set_lanes,
    text="{0} with a part = {1}",
    selects=True,
    complex=True,
    samples=lambda r: [
        ((r(4, 3), r(2, 3)), {"index": ((1, 2, 1), (2, 3, -1))}),
        ((r(4, 3), r(3)), {"index": ((2, 1, 1), (0, 3, 1))}),
        ((r(4), r(0)), {"index": ((0, 0, 1),)}),
    ],
    entry=_set_entry,
    doc="x with a rectangular part replaced.",
)

# -- single entries ---------------------------------------------------------------------------


def _put_flat(xp: Any, x: Any, v: Any, index: Any) -> Any:
    y = x.copy()
    y[index] = v
    return y


def _winners(xp: Any, index: Any, *, size: int) -> Any:
    last = xp.full(size, -1)
    last[index] = xp.arange(index.size)
    return last[index] == xp.arange(index.size)


winners = Primitive(
    "winners",
    forward=_winners,
    shape=lambda i, *, size: spec(i.shape, np.dtype(bool)),
    vjp=FLAT,
    jvp=FLAT,
    samples=lambda r: [((np.array([0, 2, 2]),), {"size": 4})],
    doc="Which entries of an index are the last to name their place.",
)


def _put_back(wanted: Sequence[bool], y_bar: Any, _y: Any, _x: Any, _v: Any, index: Any) -> Any:
    there = winners(index, size=_x.shape[0])
    return (
        put_(y_bar, zeros_of(_v), index) if wanted[0] else None,
        where(there, gather_(y_bar, index), zeros_of(_v)) if wanted[1] else None,
        None,
    )


def _put_dots(dots: Sequence[Any], _y: Any, _x: Any, _v: Any, index: Any) -> Any:
    x_dot, v_dot, _ = dots
    return put_(
        zeros_of(_x) if x_dot is None else x_dot, zeros_of(_v) if v_dot is None else v_dot, index
    )


def _put_lanes(n: int, mapped: Sequence[bool], *args: Any) -> Any:
    x, v, index = (
        a if m else broadcast_to(a, (n, *a.shape)) for a, m in zip(args, mapped, strict=True)
    )
    size = x.shape[1]
    index = where(index < 0, index + size, index)  # from the end of its own lane
    index = index + np.arange(n)[:, None] * size
    flat = put_(reshape(x, (n * size,)), reshape(v, (v.size,)), reshape(index, (index.size,)))
    return reshape(flat, (n, size))


put_ = Primitive(
    "put",
    forward=_put_flat,
    shape=lambda x, v, index: x,
    vjp=shared(_put_back, 2),
    jvp=shared(_put_dots),
    batch=_put_lanes,
    text="{0} with [{2}] = {1}",
    selects=True,
    complex=True,
    samples=lambda r: [((r(5), r(3), np.array([0, 2, 2])), {})],
    doc="A vector with some entries replaced; the last one wins where an entry is named twice.",
)

# -- x[...] = v -------------------------------------------------------------------------------


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value: the handle is rebound to x with that part replaced; graphs keep the old."""
    x.rebind(replaced(x, index, value))


def replaced(x: Tensor, index: Any, value: Any) -> Tensor:
    """x with value at x[index]; where an index array names an entry twice, the last one wins."""
    value = as_tensor(value)
    masked = _masked(x, index, value)
    if masked is not None:
        return masked
    basic, advanced = parsed(x, index)
    if not advanced:
        index, shape = (
            (basic["index"], basic["shape"])
            if basic
            else (tuple((0, n, 1) for n in x.shape), x.shape)
        )
        v = part_value("x[i] = v", x, value, shape, x.dtype)
        return v if shape == x.shape and basic is None else apply(set_, (x, v), {"index": index})
    there = flat_positions(x, index)
    flat = reshape(part_value("x[i] = v", x, value, there.shape, x.dtype), (-1,))
    return reshape(apply(put_, (reshape(x, (-1,)), flat, reshape(there, (-1,)))), x.shape)


def _masked(x: Tensor, index: Any, value: Tensor) -> Tensor | None:
    """x[mask] = v as a choice, if v is the same for all that is masked: no value need be known."""
    if not isinstance(index, Tensor | np.ndarray) or index.dtype.kind != "b" or not index.ndim:
        return None
    rest = x.shape[index.ndim :]
    if (
        index.shape != x.shape[: index.ndim]
        or not _fits(value.shape, rest)
        or value.ndim > len(rest)
    ):
        return None
    v = part_value("x[mask] = v", x, value, rest, x.dtype)
    mask = reshape(as_tensor(index), (*index.shape, *(1,) * len(rest)))
    return where(mask, v, x)


def flat_positions(x: Tensor, index: Any) -> Tensor:
    """For each entry of x[index]: where it is, counted row by row."""
    positions = np.arange(x.size).reshape(x.shape)
    if not any(isinstance(e, Tensor) for e in (index if isinstance(index, tuple) else (index,))):
        parsed(x, index)  # says it clearly, if the index is at fault
        return from_value(np.asarray(positions[index]))
    return getitem(from_value(positions), index)


def part_value(
    what: str, x: Tensor, value: Tensor, shape: tuple[int, ...], dtype: np.dtype
) -> Tensor:
    """The value, in the shape and dtype of the part of x that it goes to.

    Raises:  ShapeError if it does not fit, DTypeError if it is of a wider kind of number.
    """
    if value.dtype.kind == "c" and dtype.kind != "c":
        raise DTypeError(
            f"{what}: a complex number does not fit into a real array", got={"x": x, "v": value}
        )
    if value.dtype.kind == "f" and dtype.kind not in "fc":
        raise DTypeError(
            f"{what}: floats do not fit into {dtype}",
            got={"x": x, "v": value},
            hint="convert one of them: x.astype(float), or v.astype(int)",
        )
    if not _fits(value.shape, shape):
        raise ShapeError(
            f"{what}: the value does not fit into the part it goes to",
            got={"part": str(list(shape)), "v": value},
        )
    if value.dtype != dtype or value.spec.weak:
        value = as_tensor(value, dtype)
    while value.ndim > len(shape):
        value = reshape(value, value.shape[1:])
    return broadcast_to(value, shape)


def _fits(value: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    while len(value) > len(shape) and value[:1] == (1,):
        value = value[1:]
    try:
        return np.broadcast_shapes(value, shape) == shape
    except ValueError:
        return False
