"""Choosing entries by position, putting entries in positions, and widening the border.

`along` and `add_along` are each other's transpose, as are gather and scatter in `index`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..apply import apply, own
from ..context import is_tracing
from ..errors import DomainError, DTypeError, IndexingError, ShapeError
from ..handle import Tensor, as_tensor, asarray, cast_to, from_value
from ..primitive import Primitive, public, shared
from ..spec import broadcast_shape, one_axis, spec
from .arithmetic import add, where
from .assign import part_value, replaced
from .bounds import within
from .dtypes import default_float, dtype_of, result_type
from .index import added, gather_, place_
from .logic import equal
from .movement import move_axis, permute_dims
from .repeat import broadcast, broadcast_to, reshape

# -- one position per entry -------------------------------------------------------------------


def _add_along(xp: Any, y: Any, index: Any, *, axis: int, size: int) -> Any:
    x = xp.zeros((*y.shape[:axis], size, *y.shape[axis + 1 :]), y.dtype)
    grid = list(xp.ogrid[tuple(slice(n) for n in y.shape)])
    grid[axis] = index
    xp.add.at(x, tuple(grid), y)
    return x


def _both_mapped(n: int, mapped: Sequence[bool], xs: Sequence[Any]) -> list[Any]:
    return [x if m else broadcast(x, shape=(n, *x.shape)) for x, m in zip(xs, mapped, strict=True)]


along_ = Primitive(
    "along",
    forward=lambda xp, x, index, *, axis: xp.take_along_axis(x, index, axis),
    shape=lambda x, index, *, axis: spec(index.shape, x.dtype),
    moves=True,
    complex=True,
    vjp=shared(
        lambda wanted, y_bar, _y, _x, index, *, axis: (
            add_along_(y_bar, index, axis=axis, size=_x.shape[axis]),
            None,
        ),
        2,
    ),
    jvp=shared(lambda dots, _y, _x, index, *, axis: along_(dots[0], index, axis=axis)),
    batch=lambda n, mapped, *xs, axis: along_(*_both_mapped(n, mapped, xs), axis=axis + 1),
    text=lambda x, index, axis: f"{x}[{index}]",
    samples=lambda r: [
        ((r(3, 4), np.array([[0, 2, 2], [1, 1, -1], [3, 0, 2]])), {"axis": 1}),
        ((r(4), np.zeros(0, int)), {"axis": 0}),
    ],
    entry=lambda b, i, x, at, *, axis: x(
        *i[:axis], b.position(at(*i), x.shape[axis]), *i[axis + 1 :]
    ),
    doc="For every place of the index, the entry of x at that position along one axis.",
)


def _add_along_entry(b: Any, i: Any, y: Any, at: Any, *, axis: int, size: int) -> Any:
    """The sum of what was added here: of few positions only, each is looked at."""
    total = None
    for k in range(y.shape[axis]):
        here = (*i[:axis], k, *i[axis + 1 :])
        hit = b.where(b.position(at(*here), size) == i[axis], y(*here), 0)
        total = hit if total is None else total + hit
    return b.constant(0, y.dtype) if total is None else total


add_along_ = Primitive(
    "add_along",
    forward=_add_along,
    moves=True,
    complex=True,
    shape=lambda y, index, *, axis, size: spec(
        (*y.shape[:axis], size, *y.shape[axis + 1 :]), y.dtype
    ),
    vjp=shared(
        lambda wanted, x_bar, _x, _y, index, *, axis, size: (along_(x_bar, index, axis=axis), None),
        2,
    ),
    jvp=shared(
        lambda dots, _x, _y, index, *, axis, size: add_along_(dots[0], index, axis=axis, size=size)
    ),
    batch=lambda n, mapped, *xs, axis, size: add_along_(
        *_both_mapped(n, mapped, xs), axis=axis + 1, size=size
    ),
    text=lambda y, index, axis, size: f"into[{index}]({y})",
    samples=lambda r: [
        ((r(3, 3), np.array([[0, 2, 2], [1, 1, -1], [3, 0, 2]])), {"axis": 1, "size": 4})
    ],
    entry=_add_along_entry,
    doc="Zeros to which entries are added at positions along one axis: the transpose of `along`.",
)


def _positions(what: str, index: Any, size: int) -> Tensor:
    """An array of integers, each a position along an axis of this size.

    Raises:  DTypeError for other things, IndexingError for a (known) position outside.
    """
    index = as_tensor(
        np.asarray(index, np.intp) if isinstance(index, list | tuple) and not len(index) else index
    )
    if index.dtype.kind not in "iu":
        raise DTypeError(f"{what}: positions are integers", got={"index": index})
    if index.value is not None and index.size:
        low, high = int(np.min(index.value)), int(np.max(index.value))
        bad = high if high >= size else low
        if low < -size or high >= size:
            raise IndexingError(
                f"{what}: position {bad} is outside an axis of size {size}",
                got={"index": index},
                want=f"positions from {-size} to {size - 1}" if size else "none: the axis is empty",
            )
    return index


@public
def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Tensor:
    """The parts of x at these positions along an axis (None: of x flattened).

    Shapes:  the axis is replaced by the axes of `indices`.
    Rule:    x̄ is ȳ, added where it was taken from; a position taken twice receives twice.
    Raises:  IndexingError for a position outside.
    Example:
        >>> ob.take([10, 20, 30], [2, 0, 0])
        Tensor([30, 10, 10], int64)
    """
    x = asarray(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = one_axis("take", axis, x.ndim)
    index = asarray(_positions("take", indices, x.shape[axis]))
    y = apply(gather_, (move_axis(x, axis, 0), index))
    order = (
        *range(index.ndim, index.ndim + axis),
        *range(index.ndim),
        *range(index.ndim + axis, y.ndim),
    )
    return permute_dims(y, order)


@public
def take_along_axis(x: Any, indices: Any, /, axis: int = -1) -> Tensor:
    """For every place of `indices`, the entry of x at that position along the axis.

    Shapes:  x and indices have the same axes; all but the one broadcast.  ->  the shape of indices
    Rule:    x̄ is ȳ, added where it was taken from.
    Example:
        >>> ob.take_along_axis([[3.0, 1.0, 2.0]], [[1, 2, 0]])
        Tensor([[1., 2., 3.]], float64)
    """
    x, index, axis = _aligned("take_along_axis", asarray(x), indices, axis)
    return apply(along_, (x, index), {"axis": axis})


def _aligned(what: str, x: Tensor, indices: Any, axis: int) -> tuple[Tensor, Tensor, int]:
    axis = one_axis(what, axis, x.ndim)
    index = asarray(_positions(what, indices, x.shape[axis]))
    if index.ndim != x.ndim:
        raise ShapeError(
            f"{what}: the index has {index.ndim} axes, the array {x.ndim}",
            got={"x": x, "index": index},
        )
    rest = [(*t.shape[:axis], 1, *t.shape[axis + 1 :]) for t in (x, index)]
    common = broadcast_shape(what, {"x": rest[0], "index": rest[1]})
    x, index = (
        broadcast_to(t, (*common[:axis], t.shape[axis], *common[axis + 1 :])) for t in (x, index)
    )
    return x, index, axis


@public
def put_along_axis(x: Any, indices: Any, values: Any, /, axis: int = -1) -> Tensor:
    """A copy of x with the entries at these positions along the axis replaced; the last one wins.

    Example:
        >>> ob.put_along_axis([[1.0, 2.0, 3.0]], [[1]], 9.0)
        Tensor([[1., 9., 3.]], float64)
    """
    x = asarray(x)
    axis = one_axis("put_along_axis", axis, x.ndim)
    index = asarray(_positions("put_along_axis", indices, x.shape[axis]))
    shape = broadcast_shape(
        "put_along_axis", {"x": (*x.shape[:axis], 1, *x.shape[axis + 1 :]), "index": index.shape}
    )
    if shape[:axis] + shape[axis + 1 :] != x.shape[:axis] + x.shape[axis + 1 :]:
        raise ShapeError("put_along_axis: the index does not fit", got={"x": x, "index": index})
    grid: list[Any] = list(np.ogrid[tuple(slice(n) for n in shape)])
    grid[axis] = index
    return replaced(x, tuple(grid), values)


@public
def scatter_add(x: Any, index: Any, values: Any, /) -> Tensor:
    """x with values added at x[index]; where the index names an entry twice, it receives both.

    index: whatever `x[index]` understands: integer arrays, slices, masks, tuples of them.
    Rule:    x̄ is ȳ;  v̄ is ȳ read at the index: the transpose of a gather.
    Example:
        >>> ob.scatter_add(ob.zeros(3), [0, 2, 2], [1.0, 2.0, 3.0])
        Tensor([1., 0., 5.], float64)
    """
    x, values = asarray(x), as_tensor(values)
    if x.dtype.kind == "b":
        raise DTypeError(
            "scatter_add: truth values do not add", got={"x": x}, hint="convert with x.astype(int)"
        )
    if isinstance(index, list):
        index = np.asarray(index, np.intp if not index else None)
    dtype = result_type(x, values)
    x = as_tensor(x, dtype)
    given = partial(part_value, "scatter_add", x, values, dtype=dtype)
    return add(x, added(x, index, given))


@public
def one_hot(i: Any, n: int, /, *, dtype: Any = None) -> Tensor:
    """For each integer a row of n zeros with a one in its place.

    Shapes:  i (...)  ->  (..., n)
    Raises:  IndexingError for an integer that is not from 0 to n − 1.
    Example:
        >>> ob.one_hot([0, 2], 3)
        Tensor([[1., 0., 0.],
                [0., 0., 1.]], float64)
    """
    i = asarray(i)
    n = n.__index__()
    if i.dtype.kind not in "iu":
        raise DTypeError("one_hot: classes are integers", got={"i": i}, hint="use .astype(int)")
    if i.value is not None and i.size and (np.min(i.value) < 0 or np.max(i.value) >= n):
        raise IndexingError(
            f"one_hot: classes from {np.min(i.value)} to {np.max(i.value)} do not fit into {n}",
            got={"i": i},
            want=f"integers from 0 to {n - 1}",
        )
    if i.value is None or is_tracing():
        i = within(i, 0, n - 1, name="one_hot: i")
    dtype = default_float() if dtype is None else dtype_of("one_hot", dtype)
    hot = equal(reshape(i, (*i.shape, 1)), from_value(np.arange(n)))
    return cast_to(hot, dtype)


# -- borders ----------------------------------------------------------------------------------

_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def _widths(x: Tensor, widths: Any) -> tuple[tuple[int, int], ...]:
    """(before, after) for every axis."""
    given = np.asarray(widths.numpy() if isinstance(widths, Tensor) else widths)
    fits = given.ndim <= 2 and all(
        g in (1, n) for g, n in zip(given.shape[::-1], (2, x.ndim), strict=False)
    )
    if not fits or (given.dtype.kind not in "iu" and given.size):
        flat = given.ndim == 1 and given.size > 2
        raise ShapeError(
            f"pad: the widths {widths!r} do not fit {x.ndim} axes",
            got={"x": x},
            want="one number, (before, after), or one such pair for each axis",
            hint="a flat list is another library's: give a pair per axis, from the first"
            if flat
            else None,
        )
    pairs = np.broadcast_to(given, (x.ndim, 2))
    if (pairs < 0).any():
        raise ShapeError(
            "pad: a width is negative", want="widths from 0", hint="cut with a slice: x[1:-1]"
        )
    return tuple((int(a), int(b)) for a, b in pairs)


@public
def pad(x: Any, /, widths: Any, mode: str = "constant", value: Any = 0) -> Tensor:
    """x with a border.

    widths  one number, (before, after), or such a pair for each axis
    mode    "constant": `value` all round; "edge": the outermost entries; "reflect": mirrored at
            them; "symmetric": mirrored behind them; "wrap": from the other side

    Example:
        >>> ob.pad([1, 2, 3], (1, 2), mode="edge")
        Tensor([1, 1, 2, 3, 3, 3], int64)
    """
    x = asarray(x)
    if mode not in _MODES:
        raise DomainError(f"pad: mode={mode!r} is not a choice", want=f"one of {', '.join(_MODES)}")
    pairs = _widths(x, widths)
    if not any(a or b for a, b in pairs):
        return own(x)
    if mode == "constant":
        return _framed(x, pairs, value)
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            n = x.shape[axis]
            if not n:
                raise ShapeError(
                    f"pad: axis {axis} is empty, there is nothing to repeat", got={"x": x}
                )
            positions = from_value(np.pad(np.arange(n), (before, after), mode=mode))  # type: ignore[call-overload]
            x = move_axis(apply(gather_, (move_axis(x, axis, 0), positions)), 0, axis)
    return x


def _framed(x: Tensor, pairs: Sequence[tuple[int, int]], value: Any) -> Tensor:
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, pairs, strict=True))
    index = tuple((a, n, 1) for n, (a, _) in zip(x.shape, pairs, strict=True))
    y = apply(place_, (x,), {"index": index, "shape": shape, "inner": x.shape})
    if not isinstance(value, Tensor) and np.ndim(value) == 0 and value == 0:
        return y
    value = as_tensor(value)
    if value.ndim:
        raise ShapeError("pad: the value of the border is one number", got={"value": value})
    if result_type(x, value) != x.dtype and value.dtype.kind != x.dtype.kind:
        raise DTypeError(
            "pad: the border's value does not fit into the array", got={"x": x, "value": value}
        )
    inside = np.zeros(shape, bool)
    inside[tuple(slice(a, a + n) for a, n, _ in index)] = True
    return where(from_value(inside), y, as_tensor(value, x.dtype))
