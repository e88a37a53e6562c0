"""Repeating and adding up: broadcast and sum are each other's transpose.

What is read in many places receives the sum of what they send back; here, for arrays, once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply, own
from ..errors import DTypeError, ShapeError
from ..handle import Tensor, as_tensor, asarray
from ..primitive import Primitive, public
from ..spec import Spec, axes, broadcast_shape, spec

reshape_ = Primitive(
    "reshape",
    forward=lambda xp, x, *, shape: xp.reshape(x, shape),
    shape=lambda x, *, shape: spec(shape, x.dtype),
    moves=True,
    complex=True,
    vjp=(lambda y_bar, _y, _x, **_: reshape_(y_bar, shape=_x.shape),),
    batch=lambda n, mapped, x, *, shape: reshape_(x, shape=(n, *shape)),
    text=lambda x, shape: x,
    samples=lambda r: [((r(3, 4),), {"shape": (2, 6)}), ((r(0, 3),), {"shape": (0,)})],
    doc="x in another shape, its entries in the same order.",
)


@public
def reshape(x: Any, /, shape: Sequence[int] | int, *, copy: bool | None = None) -> Tensor:
    """x in another shape, its entries in the same (row by row) order; one size may be −1.

    Raises:  ShapeError if the number of entries differs.
    Example:
        >>> ob.reshape([1, 2, 3, 4], (2, -1)).shape
        (2, 2)
    """
    x = as_tensor(x)
    wanted = (shape,) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known and x.size % known == 0:
        wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    if -1 in wanted or math.prod(wanted) != x.size:
        raise ShapeError(
            f"reshape: {x.size} entries do not fill {list(wanted)}",
            got={"x": x},
            want="a shape with as many entries",
        )
    return own(x) if wanted == x.shape else apply(reshape_, (x,), {"shape": wanted})


def _unbroadcast(y_bar: Any, _y: Any, _x: Any, *, shape: tuple[int, ...]) -> Any:
    """Sum over every axis along which x was repeated."""
    there = _x.shape
    new = len(shape) - len(there)
    over = tuple(range(new)) + tuple(
        i + new for i, n in enumerate(there) if n == 1 and shape[i + new] != 1
    )
    total = sum_(y_bar, axis=over) if over else y_bar
    return total if total.shape == there else reshape_(total, shape=there)


def _broadcast_lanes(n: int, mapped: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    lane = x.shape[1:]
    wide = reshape_(x, shape=(n, *(1,) * (len(shape) - len(lane)), *lane))
    return broadcast(wide, shape=(n, *shape))


def _repeated(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """A view; but a small array is filled: a quarter of the time that a view takes to make."""
    if math.prod(shape) > 2048:
        return xp.broadcast_to(x, shape)
    y = xp.empty(shape, x.dtype if hasattr(x, "dtype") else None)
    y[...] = x
    return y


broadcast = Primitive(
    "broadcast",
    forward=_repeated,
    shape=lambda x, *, shape: spec(shape, x.dtype),
    vjp=(_unbroadcast,),
    batch=_broadcast_lanes,
    moves=True,
    text=lambda x, shape: x,
    complex=True,
    samples=lambda r: [
        ((r(3, 1),), {"shape": (2, 3, 4)}),
        ((r(),), {"shape": (2,)}),
        ((r(1, 2),), {"shape": (0, 2)}),
    ],
    doc="x repeated along new axes and axes of size 1.",
)


@public
def broadcast_to(x: Any, /, shape: Sequence[int]) -> Tensor:
    """x repeated along new axes and along axes of size 1.

    Rule:    x̄ is ȳ summed over the repetitions.
    Raises:  ShapeError if x does not fit.
    Example:
        >>> ob.broadcast_to([1.0, 2.0], (2, 2))
        Tensor([[1., 2.],
                [1., 2.]], float64)
    """
    x, shape = as_tensor(x), tuple(int(n) for n in shape)
    if broadcast_shape("broadcast_to", {"x": x.shape, "shape": shape}) != shape:
        raise ShapeError(
            f"broadcast_to: {list(x.shape)} does not fit into {list(shape)}", got={"x": x}
        )
    return own(x) if x.shape == shape else apply(broadcast, (x,), {"shape": shape})


def kept(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with these axes of size 1."""
    return tuple(1 if i in axis else n for i, n in enumerate(shape))


def dropped(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without these axes."""
    return tuple(n for i, n in enumerate(shape) if i not in axis)


def spread(y: Any, shape: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """A reduced array, repeated to the shape it was reduced from."""
    return broadcast(reshape_(y, shape=kept(shape, axis)), shape=shape)


def _reduced(x: Spec, *, axis: tuple[int, ...], **_: Any) -> Spec:
    return spec(dropped(x.shape, axis), x.dtype)


def _shifted(axis: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + 1 for a in axis)


def _sum(xp: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    if x.dtype == np.float16:
        return xp.sum(x, axis=axis, dtype=np.float32).astype(np.float16)
    if x.dtype.itemsize <= 8 and x.dtype.kind in "fc" and x.ndim > 1 and x.ndim - 1 not in axis:
        return _sum_in_blocks(xp, x, axis)
    return xp.sum(x, axis=axis, dtype=x.dtype)


def _sum_in_blocks(xp: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """Over leading axes NumPy adds row after row, and float32 loses digits: add blocks of rows.

    Error at 300,000 rows of float32: 2.7e-3 one after the other, under 1e-6 in blocks.
    """
    if len(axis) != 1 or x.dtype.itemsize > 4 or x.shape[axis[0]] <= 256:
        return xp.sum(x, axis=axis, dtype=x.dtype)
    a, n = axis[0], x.shape[axis[0]]
    block = math.isqrt(n)
    whole = n // block * block
    head = (
        xp.take(x, range(0), axis=a) if whole == 0 else x[(slice(None),) * a + (slice(0, whole),)]
    )
    rows = head.reshape(*x.shape[:a], n // block, block, *x.shape[a + 1 :]).sum(
        a + 1, dtype=x.dtype
    )
    total = rows.sum(a, dtype=x.dtype)
    return (
        total + x[(slice(None),) * a + (slice(whole, n),)].sum(a, dtype=x.dtype)
        if whole < n
        else total
    )


sum_ = Primitive(
    "sum",
    forward=_sum,
    shape=_reduced,
    moves=True,
    complex=True,
    vjp=(lambda y_bar, _y, _x, *, axis: spread(y_bar, _x.shape, axis),),
    batch=lambda n, mapped, x, *, axis: sum_(x, axis=_shifted(axis)),
    text=lambda x, axis: f"Σ {x}",
    tex=r"\sum {0}",
    samples=lambda r: [
        ((r(3, 4),), {"axis": (0,)}),
        ((r(3, 4),), {"axis": (0, 1)}),
        ((r(3, 0),), {"axis": (1,)}),
    ],
    reduces="add",
    doc="The sum over some axes.",
)


def summable(what: str, x: Any, dtype: Any = None) -> Tensor:
    """x in the dtype its sums and products are in: booleans and small integers count as int64.

    Raises:  DTypeError if they are asked for as booleans.
    """
    x = asarray(x, dtype=dtype)
    if x.dtype.kind == "b" and dtype is not None:
        raise DTypeError(
            f"{what}: booleans are counted, the result is no boolean",
            want="a dtype of numbers, or none: booleans count as int64",
            hint="use ob.any for their sum as booleans, ob.all for their product",
        )
    if x.dtype.kind in "biu" and x.dtype.itemsize < 8 and dtype is None:
        x = as_tensor(x, np.uint64 if x.dtype.kind == "u" else np.int64)
    return x


@public
def sum(x: Any, /, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over the given axes (all of them by default).

    Rule:    x̄ is ȳ, repeated.
    Raises:  DTypeError for dtype=bool.
    Example:
        >>> ob.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
        Tensor([4., 6.], float64)
    """
    x = summable("sum", x, dtype)
    over = axes("sum", axis, x.ndim)
    y = apply(sum_, (x,), {"axis": over}) if over else own(x)
    return reshape(y, kept(x.shape, over)) if keepdims else y
