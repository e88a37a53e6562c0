"""Reading and writing parts of an array: slices, gathers, scatters, joins.

Every index is brought to one of two forms. A *slice* takes whole stretches: integers, slices and
new axes. A *gather* takes single entries along the first axes, by integer arrays, which are inputs
of the node like any other. The transpose of reading is adding what arrives to where it was read.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..apply import apply, own
from ..context import CONTEXT
from ..errors import DTypeError, IndexingError, UnknownValueError
from ..handle import Tensor, as_tensor
from ..primitive import Primitive, shared
from ..spec import Spec, broadcast_shape, spec
from .movement import move_axis, permute_dims
from .repeat import broadcast_to

Whole = slice(None)
Index = Sequence[tuple[int, int, int]]

# -- slices -----------------------------------------------------------------------------------
# A slice's params are `index`, one entry per axis: (start, count, step), and `shape`, the result's
# shape once axes indexed by an integer are gone and new ones are in.


def numpy_index(index: Index) -> tuple[slice, ...]:
    """A slice's `index` as NumPy wants it."""
    found = []
    for start, count, step in index:
        stop = start + count * step
        found.append(slice(start, None if stop < 0 else stop, step))
    return tuple(found)


def _put(xp: Any, y: Any, *, index: Any, shape: tuple[int, ...], inner: tuple[int, ...]) -> Any:
    x = xp.zeros(shape, y.dtype)
    x[numpy_index(index)] = y.reshape(inner)
    return x


def counts(index: Index) -> tuple[int, ...]:
    """How many entries a slice takes along each axis."""
    return tuple(count for _, count, _ in index)


def _cut_axes(i: Sequence[Any], shape: tuple[int, ...], inner: tuple[int, ...]) -> list[Any]:
    """The indices of an array for those of its reshape by axes of size 1."""
    real = [k for k, n in zip(i, shape, strict=True) if n != 1]
    return [real.pop(0) if n != 1 else 0 for n in inner]


def _slice_entry(b: Any, i: Any, x: Any, *, index: Index, shape: tuple[int, ...]) -> Any:
    inner = _cut_axes(i, shape, counts(index))
    return x(*(k * step + start for k, (start, _, step) in zip(inner, index, strict=True)))


def inside_part(
    b: Any, i: Any, index: Index, shape: tuple[int, ...], of: tuple[int, ...]
) -> tuple[Any, list[Any]]:
    """Whether an entry is in a rectangular part, and which of the part's it is (of an array with
    the shape `of`, the part's without axes of size 1); the nearest, if it is in none.
    """
    inside, there = b.constant(True, bool), []
    for k, size, (start, n, step) in zip(i, shape, index, strict=True):
        if (start, n, step) == (0, size, 1):
            there.append(k)
            continue
        first, last = min(start, start + (n - 1) * step), max(start, start + (n - 1) * step)
        inside = inside & (k >= first) & (k <= last)
        if abs(step) != 1:
            inside = inside & ((k - first) % abs(step) == 0)
        at = (k - start) // step if step > 0 else (start - k) // -step
        there.append(b.minimum(b.maximum(at, 0), builtins.max(n - 1, 0)))
    return inside, _cut_axes(there, counts(index), of)


def _place_entry(
    b: Any, i: Any, y: Any, *, index: Index, shape: tuple[int, ...], inner: tuple[int, ...]
) -> Any:
    """y's entry where there is one, else 0; what is read outside is not used."""
    if not all(inner):
        return b.constant(0, y.dtype)
    inside, there = inside_part(b, i, index, shape, y.shape)
    return b.where(inside, y(*there), 0)


slice_ = Primitive(
    "slice",
    forward=lambda xp, x, *, index, shape: x[numpy_index(index)].reshape(shape),
    shape=lambda x, *, index, shape: spec(shape, x.dtype),
    moves=True,
    selects=True,
    complex=True,
    vjp=(
        lambda y_bar, _y, _x, *, index, shape: place_(
            y_bar, index=index, shape=_x.shape, inner=counts(index)
        ),
    ),
    batch=lambda n, mapped, x, *, index, shape: slice_(
        x, index=((0, n, 1), *index), shape=(n, *shape)
    ),
    text=lambda x, index, shape: f"{x}[{_spelled(index)}]",
    samples=lambda r: [
        ((r(4, 3),), {"index": ((1, 2, 1), (2, 3, -1)), "shape": (2, 3)}),
        ((r(4, 3),), {"index": ((0, 2, 2), (1, 1, 1)), "shape": (2,)}),
        ((r(3),), {"index": ((0, 0, 1),), "shape": (0,)}),
    ],
    entry=_slice_entry,
    doc="A rectangular part of x.",
)
place_ = Primitive(
    "place",
    forward=_put,
    shape=lambda y, *, index, shape, inner: spec(shape, y.dtype),
    moves=True,
    complex=True,
    vjp=(lambda x_bar, _x, _y, *, index, shape, inner: slice_(x_bar, index=index, shape=_y.shape),),
    batch=lambda n, mapped, y, *, index, shape, inner: place_(
        y, index=((0, n, 1), *index), shape=(n, *shape), inner=(n, *inner)
    ),
    text=lambda y, index, shape, inner: f"into[{_spelled(index)}]({y})",
    samples=lambda r: [
        ((r(2, 3),), {"index": ((1, 2, 1), (2, 3, -1)), "shape": (4, 3), "inner": (2, 3)})
    ],
    entry=_place_entry,
    doc="Zeros with y in one rectangular part: the transpose of a slice.",
)


def _spelled(index: Index) -> str:
    return ", ".join(
        str(start)
        if count == 1
        else f"{start}:{start + count * step}" + (f":{step}" if step != 1 else "")
        for start, count, step in index
    )


def lane_of(x: Any, i: int) -> Any:
    """x[i] along the first axis, of a raw array or a Tensor."""
    rest = tuple((0, n, 1) for n in x.shape[1:])
    return slice_(x, index=((i, 1, 1), *rest), shape=x.shape[1:])


def stretch(x: Any, axis: int, start: int, count: int) -> Any:
    """`count` entries of x along one axis, of a raw array or a Tensor."""
    index = tuple((start, count, 1) if i == axis else (0, n, 1) for i, n in enumerate(x.shape))
    return slice_(x, index=index, shape=counts(index))


# -- gathers ----------------------------------------------------------------------------------


def _gathered(x: Spec, *index: Spec) -> Spec:
    return spec(index[0].shape + x.shape[len(index) :], x.dtype)


def _gather_lanes(n: int, mapped: Sequence[bool], x: Any, *index: Any) -> Any:
    k = len(index)
    if not any(mapped[1:]):
        y = gather_(move_axis(x, 0, k), *index)
        return move_axis(y, index[0].ndim, 0)
    index = tuple(
        i if m else broadcast_to(i, (n, *i.shape)) for i, m in zip(index, mapped[1:], strict=True)
    )
    if not mapped[0]:
        return gather_(x, *index)
    return gather_(x, _lane_index(n, index[0].shape), *index)


def _lane_index(n: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.arange(n).reshape((n,) + (1,) * (len(shape) - 1)), shape)


def gathered_entry(b: Any, i: Any, x: Any, *at: Any) -> Any:
    """The entry of a gather."""
    width = len(at[0].shape)
    found = [b.position(k(*i[:width]), n) for k, n in zip(at, x.shape, strict=False)]
    return x(*found, *i[width:])


gather_ = Primitive(
    "gather",
    forward=lambda xp, x, *index: x[index],
    shape=_gathered,
    moves=True,
    selects=True,
    complex=True,
    vjp=shared(
        lambda wanted, y_bar, _y, _x, *index: (
            scatter_(y_bar, *index, shape=_x.shape),
            *(None,) * len(index),
        ),
        2,
    ),
    jvp=shared(lambda dots, _y, _x, *index: gather_(dots[0], *index)),
    batch=_gather_lanes,
    text=lambda x, *index: f"{x}[{', '.join(index)}]",
    samples=lambda r: [
        ((r(4, 3), np.array([0, 2, 2, -1])), {}),
        ((r(4, 3), np.array([[0, 2], [3, 3]]), np.array([[1, 1], [2, 2]])), {}),
    ],
    entry=gathered_entry,
    doc="Entries of x along its first axes, at integer positions.",
)


def _add_at(xp: Any, y: Any, *index: Any, shape: tuple[int, ...]) -> Any:
    x, k = xp.zeros(shape, y.dtype), len(index)
    width = math.prod(shape[k:])
    if width > 1:  # number by number: NumPy takes six times as long for rows
        rows = xp.arange(math.prod(shape[:k])).reshape(shape[:k])[index].reshape(-1, 1)
        index, y = ((rows * width + xp.arange(width)).reshape(-1),), y.reshape(-1)
    xp.add.at(x.reshape(-1) if width > 1 else x, index, y)
    return x


def _scatter_lanes(
    n: int, mapped: Sequence[bool], y: Any, *index: Any, shape: tuple[int, ...]
) -> Any:
    index = tuple(
        i if m else broadcast_to(i, (n, *i.shape)) for i, m in zip(index, mapped[1:], strict=True)
    )
    if not mapped[0]:
        y = broadcast_to(y, (n, *y.shape))
    return scatter_(y, _lane_index(n, index[0].shape), *index, shape=(n, *shape))


scatter_ = Primitive(
    "scatter",
    forward=_add_at,
    shape=lambda y, *index, shape: spec(shape, y.dtype),
    moves=True,
    complex=True,
    vjp=shared(
        lambda wanted, x_bar, _x, _y, *index, shape: (
            gather_(x_bar, *index),
            *(None,) * len(index),
        ),
        2,
    ),
    jvp=shared(lambda dots, _x, _y, *index, shape: scatter_(dots[0], *index, shape=shape)),
    batch=_scatter_lanes,
    text=lambda y, *index, shape: f"scatter({y}, {', '.join(index)})",
    samples=lambda r: [((r(4, 3), np.array([0, 2, 2, -1])), {"shape": (5, 3)})],
    doc="Zeros to which y is added at integer positions: the transpose of a gather.",
)


# -- x[...] -----------------------------------------------------------------------------------


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index], as NumPy reads it.

    Raises:  IndexingError outside the array; UnknownValueError for a mask whose value is not known.
    """
    x = as_tensor(x)
    basic, advanced = parsed(x, index)
    y = own(x) if basic is None else apply(slice_, (x,), basic)
    if not advanced:
        return y
    arrays, first, back = _orders(y.ndim, *advanced)
    return permute_dims(apply(gather_, (permute_dims(y, first), *arrays)), back)


def added(x: Tensor, index: Any, give: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
    """Zeros like x, with `give(shape of x[index])` added at x[index]: the transpose of reading."""
    basic, advanced = parsed(x, index)
    inner = basic["shape"] if basic else x.shape
    if not advanced:
        y = give(inner)
    else:
        arrays, first, back = _orders(len(inner), *advanced)
        turned = tuple(inner[a] for a in first)
        read = (*arrays[0].shape, *turned[len(arrays) :])
        v = permute_dims(give(tuple(read[a] for a in back)), np.argsort(back))
        y = permute_dims(apply(scatter_, (v, *arrays), {"shape": turned}), np.argsort(first))
    if basic is None:
        return y
    return apply(place_, (y,), {**basic, "shape": x.shape, "inner": counts(basic["index"])})


def _orders(
    ndim: int, arrays: Sequence[Tensor], axes: Sequence[int], front: bool
) -> tuple[Sequence[Tensor], tuple[int, ...], tuple[int, ...]]:
    """The index arrays; in which order axes go to a gather, and how they come back from it."""
    width, at = arrays[0].ndim, axes[0]
    rest = range(width, width + ndim - len(axes))
    back = (*range(width), *rest) if front else (*rest[:at], *range(width), *rest[at:])
    return arrays, (*axes, *(a for a in range(ndim) if a not in axes)), back


def parsed(x: Tensor, index: Any) -> tuple[dict[str, Any] | None, Any]:
    """An index as a slice (or None) and a gather: (arrays, axes, whether their axes come first)."""
    entries = [_entry(e) for e in (index if isinstance(index, tuple) else (index,))]
    used = builtins.sum(_axes_taken(e) for e in entries)
    dots = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(dots) > 1:
        raise IndexingError("an index holds one ... at most", got={"x": x})
    if used > x.ndim:
        raise IndexingError(f"{used} indices for {x.ndim} axes", got={"x": x})
    fill = [Whole] * (x.ndim - used)
    at = dots[0] if dots else len(entries)
    entries = entries[:at] + fill + entries[at + bool(dots) :]
    arrays_there = any(isinstance(e, Tensor) for e in entries)
    cut, shape, gathers, axis = [], [], [], 0
    for e in entries:
        if e is None:
            shape.append(1)
            continue
        if isinstance(e, Tensor):
            if not e.ndim and e.dtype.kind == "b":  # True or False: a new axis, of size 1 or 0
                gathers.append((len(shape), _lone(e)))
                shape.append(1)
                continue
            for part_of in _as_positions(e, x, axis):
                gathers.append((len(shape), part_of))
                cut.append((0, x.shape[axis], 1))
                shape.append(x.shape[axis])
                axis += 1
            continue
        n = x.shape[axis]
        if isinstance(e, slice):
            start, stop, step = e.indices(n)
            count = max(0, -(-(stop - start) // step))
            cut.append((start, count, step) if count else (0, 0, 1))
            shape.append(count)
        else:
            if not -n <= e < n:
                raise IndexingError(
                    f"index {e} is outside axis {axis} of size {n}",
                    got={"x": x},
                    want=f"an index from {-n} to {n - 1}" if n else "nothing: the axis is empty",
                )
            if arrays_there:  # NumPy counts it among the arrays
                gathers.append((len(shape), as_tensor(np.asarray(e % n))))
                cut.append((0, n, 1))
                shape.append(n)
            else:
                cut.append((e % n, 1, 1))
        axis += 1
    whole = (
        all(c == (0, n, 1) for c, n in zip(cut, x.shape, strict=True)) and tuple(shape) == x.shape
    )
    basic = None if whole else {"index": tuple(cut), "shape": tuple(shape)}
    if not gathers:
        return basic, None
    axes = [a for a, _ in gathers]
    _check_positions(x, [p for _, p in gathers], [shape[a] for a in axes])
    common = broadcast_shape("index", {f"index {i}": p.shape for i, (_, p) in enumerate(gathers)})
    arrays = tuple(broadcast_to(p, common) for _, p in gathers)
    apart = axes != list(range(axes[0], axes[0] + len(axes)))
    return basic, (arrays, tuple(axes), apart)


def _entry(e: Any) -> Any:
    if e is None or e is Ellipsis or isinstance(e, slice):
        return (
            e
            if not isinstance(e, slice)
            else slice(*(_bound(b) for b in (e.start, e.stop, e.step)))
        )
    if isinstance(e, bool | np.bool_):
        return as_tensor(np.asarray(e))
    if isinstance(e, int | np.integer):
        return int(e)
    if (
        isinstance(e, Tensor)
        and e.ndim == 0
        and e.dtype.kind in "iu"
        and e.value is not None
        and not e.requires_grad
    ):
        return as_tensor(e)
    try:
        t = as_tensor(
            np.asarray(e, dtype=np.intp) if isinstance(e, list | tuple) and not len(e) else e
        )
    except DTypeError:
        t = None
    if t is None or t.dtype.kind not in "biu":
        raise DTypeError(
            f"{e!r} is no index" if t is None else "an index is made of integers or booleans",
            got={"index": t if t is not None else type(e).__name__},
            want="integers, slices, None, ..., or arrays of integers or booleans",
        )
    return t


def _bound(b: Any) -> int | None:
    return None if b is None else operator.index(b)


def _axes_taken(e: Any) -> int:
    if e is None or e is Ellipsis:
        return 0
    return e.ndim if isinstance(e, Tensor) and e.dtype.kind == "b" else 1


def _as_positions(e: Tensor, x: Tensor, axis: int) -> list[Tensor]:
    """An index array, or a mask as one index array per axis."""
    if e.dtype.kind != "b":
        return [e]
    trace = CONTEXT.get().trace
    if e.value is None or (trace is not None and not trace.is_constant(e)):
        raise UnknownValueError(
            "a mask as an index gives a result whose size depends on values not known here",
            got={"mask": e},
            hint="keep the shape: ob.where(mask, x, 0); or say how many entries there are: ob.take",
        )
    if e.shape != x.shape[axis : axis + e.ndim]:
        raise IndexingError(
            "the mask does not have the shape of what it selects from", got={"mask": e, "x": x}
        )
    return [as_tensor(i) for i in np.nonzero(np.asarray(e.value))]


def _lone(e: Tensor) -> Tensor:
    """The positions along an axis of size 1 that a single truth value selects."""
    return as_tensor(np.zeros(int(bool(e)), np.intp))


def _check_positions(x: Tensor, positions: Sequence[Tensor], sizes: Sequence[int]) -> None:
    for p, n in zip(positions, sizes, strict=True):
        if p.value is not None and p.size:
            low, high = int(np.min(p.value)), int(np.max(p.value))
            if low < -n or high >= n:
                raise IndexingError(
                    f"index {high if high >= n else low} is outside an axis of size {n}",
                    got={"x": x, "index": p},
                )
