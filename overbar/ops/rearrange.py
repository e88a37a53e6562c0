"""The same entries elsewhere: axes added, dropped, moved, turned round, cut up and repeated.

Nothing here is a primitive: everything is said with reshape, transpose, slice, broadcast, gather
and concat, which know how to be differentiated, batched and compiled.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply, own
from ..errors import DTypeError, IndexingError, ShapeError
from ..handle import Tensor, as_tensor, asarray
from ..primitive import public
from ..spec import axes, broadcast_shape, one_axis
from .index import gather_, slice_, stretch
from .join import concat
from .movement import move_axis, permute_dims
from .repeat import broadcast_to, reshape

# -- axes -------------------------------------------------------------------------------------


@public
def expand_dims(x: Any, /, axis: Any = 0) -> Tensor:
    """x with new axes of size 1, counted in the result.

    Example:
        >>> ob.expand_dims(ob.zeros((2, 3)), axis=-1).shape
        (2, 3, 1)
    """
    x = asarray(x)
    count = len(axis) if isinstance(axis, list | tuple) else 1
    places = tuple(axis) if isinstance(axis, list) else axis
    new = axes("expand_dims", places, x.ndim + count)
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if i in new else next(sizes) for i in range(x.ndim + count)))


@public
def squeeze(x: Any, /, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """x without the given axes of size 1 (None: without all of them).

    Raises:  ShapeError if one of them has another size.
    Example:
        >>> ob.squeeze(ob.zeros((1, 2, 1)), axis=0).shape
        (2, 1)
    """
    x = asarray(x)
    if axis is None:
        return reshape(x, tuple(n for n in x.shape if n != 1))
    drop = axes("squeeze", axis, x.ndim)
    for a in drop:
        if x.shape[a] != 1:
            raise ShapeError(f"squeeze: axis {a} has size {x.shape[a]}, not 1", got={"x": x})
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in drop))


@public
def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int], /) -> Tensor:
    """x with some axes moved to other places, the rest in their order.

    Example:
        >>> ob.moveaxis(ob.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    x = asarray(x)
    start, end = (
        (a,) if isinstance(a, int | np.integer) else tuple(a) for a in (source, destination)
    )
    start, end = (tuple(one_axis("moveaxis", a, x.ndim) for a in where) for where in (start, end))
    if len(start) != len(end) or len({*start}) < len(start) or len({*end}) < len(end):
        raise ShapeError(
            f"moveaxis: {source} does not go to {destination}",
            want="as many places as axes, each once",
        )
    order = [i for i in range(x.ndim) if i not in start]
    for to, a in sorted(zip(end, start, strict=True)):
        order.insert(to, a)
    return permute_dims(x, order)


@public
def swapaxes(x: Any, axis1: int, axis2: int, /) -> Tensor:
    """x with two axes exchanged.

    Example:
        >>> ob.swapaxes(ob.zeros((2, 3, 4)), 0, 2).shape
        (4, 3, 2)
    """
    x = asarray(x)
    a, b = one_axis("swapaxes", axis1, x.ndim), one_axis("swapaxes", axis2, x.ndim)
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return permute_dims(x, order)


@public
def flatten(x: Any, /, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """x with the axes from `start_axis` to `end_axis`, both included, made one.

    Example:
        >>> ob.flatten(ob.zeros((2, 3, 4)), 1).shape
        (2, 12)
    """
    x = asarray(x)
    if not x.ndim:
        return reshape(x, (1,))
    a, b = one_axis("flatten", start_axis, x.ndim), one_axis("flatten", end_axis, x.ndim)
    if a > b:
        raise ShapeError(f"flatten: axis {start_axis} comes after axis {end_axis}", got={"x": x})
    return reshape(x, (*x.shape[:a], math.prod(x.shape[a : b + 1]), *x.shape[b + 1 :]))


@public
def ravel(x: Any, /) -> Tensor:
    """All entries of x in a row.

    Example:
        >>> ob.ravel([[1, 2], [3, 4]])
        Tensor([1, 2, 3, 4], int64)
    """
    return reshape(asarray(x), (-1,))


@public
def broadcast_arrays(*arrays: Any) -> tuple[Tensor, ...]:
    """The arrays, each repeated to their common shape."""
    xs = [asarray(x) for x in arrays]
    shape = broadcast_shape("broadcast_arrays", {f"array {i}": x.shape for i, x in enumerate(xs)})
    return tuple(broadcast_to(x, shape) for x in xs)


@public
def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape of arrays of these shapes.

    Raises:  ShapeError if there is none.
    Example:
        >>> ob.broadcast_shapes((2, 1), (3,))
        (2, 3)
    """
    return broadcast_shape(
        "broadcast_shapes", {f"shape {i}": tuple(s) for i, s in enumerate(shapes)}
    )


@public
def atleast_1d(x: Any, /) -> Tensor:
    """x, with an axis if it has none."""
    x = asarray(x)
    return reshape(x, x.shape or (1,))


@public
def atleast_2d(x: Any, /) -> Tensor:
    """x, with axes of size 1 in front until it has two."""
    x = asarray(x)
    return reshape(x, (*(1,) * (2 - x.ndim), *x.shape))


# -- order along an axis ----------------------------------------------------------------------


@public
def flip(x: Any, /, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """x with the order of its entries reversed along the given axes (all of them by default).

    Example:
        >>> ob.flip([1, 2, 3])
        Tensor([3, 2, 1], int64)
    """
    x = asarray(x)
    over = axes("flip", axis, x.ndim)
    index = tuple((n - 1, n, -1) if i in over and n else (0, n, 1) for i, n in enumerate(x.shape))
    return apply(slice_, (x,), {"index": index, "shape": x.shape}) if over else own(x)


@public
def roll(
    x: Any, /, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None
) -> Tensor:
    """x with its entries moved on by `shift` along an axis; what falls off comes in at the front.

    Without an axis x is rolled as if it were flat. Several shifts go with several axes.

    Example:
        >>> ob.roll([1, 2, 3, 4], 1)
        Tensor([4, 1, 2, 3], int64)
    """
    x = asarray(x)
    if axis is None:
        total = sum(shift) if isinstance(shift, tuple | list) else shift
        return reshape(_rolled(reshape(x, (-1,)), total, 0), x.shape)
    over = tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    shifts = tuple(shift) if isinstance(shift, tuple | list) else (shift,) * len(over)
    if len(shifts) == 1:
        shifts *= len(over)
    if len(over) == 1:
        over *= len(shifts)
    if len(shifts) != len(over):
        raise ShapeError(
            f"roll: {len(shifts)} shifts for {len(over)} axes", want="one shift for each axis"
        )
    for by, a in zip(shifts, over, strict=True):
        x = _rolled(x, by, one_axis("roll", a, x.ndim))
    return x


def _rolled(x: Tensor, by: int, axis: int) -> Tensor:
    n = x.shape[axis]
    by = by.__index__() % n if n else 0
    if not by:
        return own(x)
    return concat([stretch(x, axis, n - by, by), stretch(x, axis, 0, n - by)], axis=axis)


# -- repeated ---------------------------------------------------------------------------------


@public
def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """x with each entry repeated in place, along an axis (None: of x flattened).

    repeats: how often; a number, or one for each entry along the axis, whose values must be known.

    Example:
        >>> ob.repeat([1, 2], [1, 3])
        Tensor([1, 2, 2, 2], int64)
    """
    x = asarray(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = one_axis("repeat", axis, x.ndim)
    times = repeats.numpy() if isinstance(repeats, Tensor) else np.asarray(repeats)
    if times.dtype.kind not in "iu":
        raise DTypeError("repeat: the numbers of repetitions are integers", got={"repeats": times})
    if (times < 0).any():
        raise ShapeError(f"repeat: an entry cannot be there {times.min()} times")
    n = x.shape[axis]
    if times.size == 1:
        k = int(times.reshape(()))
        wide = broadcast_to(
            reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])),
            (*x.shape[: axis + 1], k, *x.shape[axis + 1 :]),
        )
        return reshape(wide, (*x.shape[:axis], n * k, *x.shape[axis + 1 :]))
    if times.shape != (n,):
        raise ShapeError(
            f"repeat: {list(times.shape)} numbers for {n} entries",
            got={"x": x},
            want=f"one number, or {n}",
        )
    where = as_tensor(np.repeat(np.arange(n), times))
    return move_axis(apply(gather_, (move_axis(x, axis, 0), where)), 0, axis)


@public
def tile(x: Any, repetitions: Any, /) -> Tensor:
    """x side by side with itself, so often along each axis.

    Example:
        >>> ob.tile([1, 2], 2)
        Tensor([1, 2, 1, 2], int64)
    """
    x = asarray(x)
    times = tuple(repetitions) if isinstance(repetitions, tuple | list) else (repetitions,)
    if any(n < 0 for n in times):
        raise ShapeError(f"tile: an array cannot be there {min(times)} times")
    ndim = max(len(times), x.ndim)
    times, shape = (1,) * (ndim - len(times)) + times, (1,) * (ndim - x.ndim) + x.shape
    wide = broadcast_to(
        reshape(x, tuple(itertools.chain(*((1, n) for n in shape)))),
        tuple(itertools.chain(*zip(times, shape, strict=True))),
    )
    return reshape(wide, tuple(t * n for t, n in zip(times, shape, strict=True)))


# -- cut up -----------------------------------------------------------------------------------


@public
def split(x: Any, indices_or_sections: int | Sequence[int], /, axis: int = 0) -> list[Tensor]:
    """x cut along an axis: into so many equal parts, or before the given points.

    Raises:  ShapeError if equal parts do not go: see `ob.array_split`.
    Example:
        >>> [part.shape for part in ob.split(ob.zeros(7), [2, 5])]
        [(2,), (3,), (2,)]
    """
    x = asarray(x)
    axis = one_axis("split", axis, x.ndim)
    if isinstance(indices_or_sections, int | np.integer):
        n, parts = x.shape[axis], int(indices_or_sections)
        if parts < 1 or n % parts:
            raise ShapeError(
                f"split: {n} entries along axis {axis} do not make {parts} equal parts",
                got={"x": x},
                hint="ob.array_split makes parts that differ by one; ob.split(x, [2, 5]) cuts at "
                "2 and 5",
            )
    return array_split(x, indices_or_sections, axis)


@public
def array_split(x: Any, indices_or_sections: int | Sequence[int], /, axis: int = 0) -> list[Tensor]:
    """x cut along an axis into parts as equal as can be, or before the given points.

    Example:
        >>> [part.size for part in ob.array_split(ob.zeros(7), 3)]
        [3, 2, 2]
    """
    x = asarray(x)
    axis = one_axis("array_split", axis, x.ndim)
    n = x.shape[axis]
    if isinstance(indices_or_sections, int | np.integer):
        parts = int(indices_or_sections)
        if parts < 1:
            raise ShapeError(f"array_split: {parts} parts", want="at least one")
        small, rest = divmod(n, parts)
        bounds = list(
            itertools.accumulate([small + 1] * rest + [small] * (parts - rest), initial=0)
        )
    else:  # like the bounds of slices: negative ones count from the end, too great ones stop there
        points = [slice(p).indices(n)[1] for p in _points(indices_or_sections)]
        bounds = [0, *points, n]
    return [
        stretch(x, axis, a, max(b - a, 0)) if b > a else stretch(x, axis, 0, 0)
        for a, b in itertools.pairwise(bounds)
    ]


def _points(points: Any) -> list[int]:
    found = points.tolist() if isinstance(points, Tensor | np.ndarray) else list(points)
    if not all(isinstance(p, int | np.integer) for p in found):
        raise DTypeError(f"split: the points are integers, not {found}")
    return [int(p) for p in found]


@public
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of x along an axis, without that axis: what `ob.stack` undoes.

    Example:
        >>> a, b = ob.unstack([[1, 2], [3, 4]])
        >>> b
        Tensor([3, 4], int64)
    """
    x = asarray(x)
    if not x.ndim:
        raise IndexingError("unstack: a number has no axis", got={"x": x})
    axis = one_axis("unstack", axis, x.ndim)
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    whole = [(0, n, 1) for n in x.shape]
    return tuple(
        apply(
            slice_,
            (x,),
            {
                "index": tuple((i, 1, 1) if a == axis else w for a, w in enumerate(whole)),
                "shape": shape,
            },
        )
        for i in range(x.shape[axis])
    )
