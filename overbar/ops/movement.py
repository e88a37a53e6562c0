"""Moving entries about: copies, casts, broadcasts, reshapes, transposes, slices, joins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import handle as handles
from ..apply import apply, own
from ..errors import DTypeError, ShapeError
from ..handle import Tensor, as_tensor
from ..primitive import Primitive, public
from ..spec import one_axis, real_dtype, spec

alias = Primitive(
    "alias",
    numbers=True,
    forward=lambda xp, x: x,
    shape=lambda x: x,
    text="{0}",
    tex="{0}",
    moves=True,
    complex=True,
    vjp=(1,),
    batch=lambda n, mapped, x: alias(x),
    samples=lambda r: [((r(3, 2),), {})],
    doc="x itself, as a new node: what a transform differentiates by.",
    native=lambda b, x: x,
)

# Several results of one operation: one node with a tuple for its value, and one `part` each.


class Parts(tuple):
    """Adjoints of a tuple of results; None where nothing arrived yet."""

    __slots__ = ()

    def __add__(self, other: tuple) -> Parts:  # type: ignore[override]
        return Parts(
            b if a is None else a if b is None else a + b for a, b in zip(self, other, strict=True)
        )


part = Primitive(
    "part",
    numbers=True,
    forward=lambda xp, ys, *, index, count: ys[index],
    shape=lambda ys, *, index, count: ys[index],
    vjp=(
        lambda y_bar, _y, _ys, *, index, count: Parts(
            y_bar if i == index else None for i in range(count)
        ),
    ),
    jvp=(lambda y_dots, _y, _ys, *, index, count: parts(y_dots)[index],),
    batch=lambda n, mapped, ys, *, index, count: parts(ys)[index],
    text=lambda ys, index, count: f"{ys}[{index}]",
    moves=True,
    complex=True,
    doc="One result of an operation that has several.",
)


def parts(ys: Any) -> tuple[Any, ...]:
    """The results of an operation that has several."""
    if not isinstance(ys, Tensor):
        return tuple(ys)
    count = len(ys.spec)
    return tuple(apply(part, (ys,), {"index": i, "count": count}) for i in range(count))


# -- casts ------------------------------------------------------------------------------------


def _cast_back(y_bar: Any, _y: Any, _x: Any, **_: Any) -> Any:
    if y_bar.dtype.kind == "c" and _x.dtype.kind != "c":
        y_bar = real(y_bar)
    return y_bar if y_bar.dtype == _x.dtype else cast(y_bar, dtype=_x.dtype)


cast = Primitive(
    "cast",
    numbers=True,
    forward=lambda xp, x, *, dtype: (
        x.astype(dtype) if hasattr(x, "astype") else xp.asarray(x, dtype)
    ),
    shape=lambda x, *, dtype: spec(x.shape, dtype),
    moves=True,
    complex=True,
    vjp=(_cast_back,),
    batch=lambda n, mapped, x, *, dtype: cast(x, dtype=dtype),
    text=lambda x, dtype: x,
    samples=lambda r: [((r(3, 2),), {"dtype": np.dtype(np.float32)})],
    doc="x in another dtype.",
    native=lambda b, x, *, dtype: b.cast(x, dtype),
)
real = Primitive(
    "real",
    forward="real",
    shape=lambda x: spec(x.shape, real_dtype(x.dtype)),
    moves=True,
    vjp=(lambda y_bar, _y, _x: y_bar if _x.dtype.kind != "c" else cast(y_bar, dtype=_x.dtype),),
    complex=True,
    batch=lambda n, mapped, x: real(x),
    text="Re {0}",
    tex=r"\Re {0}",
    samples=lambda r: [((r(3, 2),), {}), ((r(3, 2) + 1j * r(3, 2),), {})],
    doc="The real part.",
    native=lambda b, x: x,
)
conj_ = Primitive(
    "conj",
    forward=lambda xp, x: xp.conj(x) if x.dtype.kind == "c" else x,
    shape=lambda x: x,
    vjp=(lambda y_bar, _y, _x: conj_(y_bar),),
    complex=True,
    batch=lambda n, mapped, x: conj_(x),
    text="{0}*",
    tex=r"{0}^*",
    moves=True,
    samples=lambda r: [((r(3, 2),), {}), ((r(3, 2) + 1j * r(3, 2),), {})],
    doc="The complex conjugate.",
    native=lambda b, x: x,
)


@public
def conj(x: Any, /) -> Tensor:
    """The complex conjugate of x."""
    return apply(conj_, (x,))


@public
def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Tensor:
    """x with its entries converted to another dtype.

    Rule:    the adjoint is converted back; nothing flows through integers and booleans.
    Example:
        >>> ob.astype([1.5, 2.5], ob.int64)
        Tensor([1, 2], int64)
    """
    x, dtype = as_tensor(x), np.dtype(dtype)
    if dtype.kind not in "biufc":
        raise DTypeError(f"astype: {dtype} is no dtype of numbers", got={"x": x})
    if x.dtype == dtype and not x.spec.weak:
        return own(x)
    if x.dtype.kind == "c" and dtype.kind != "c":
        raise DTypeError(
            "astype: a complex number is no real one", got={"x": x}, hint="take ob.real(x)"
        )
    if dtype.kind not in "fc" or not x.spec.floating:
        x = handles.stop(x)
    return apply(cast, (x,), {"dtype": dtype})


handles.cast_to = astype


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


transpose = Primitive(
    "transpose",
    forward=lambda xp, x, *, order: xp.transpose(x, order),
    shape=lambda x, *, order: spec(tuple(x.shape[i] for i in order), x.dtype),
    moves=True,
    complex=True,
    vjp=(lambda y_bar, _y, _x, *, order: transpose(y_bar, order=_inverse(order)),),
    batch=lambda n, mapped, x, *, order: transpose(x, order=(0, *(i + 1 for i in order))),
    text=lambda x, order: f"{x}ᵀ",
    tex=r"{0}^\top",
    samples=lambda r: [((r(2, 3),), {"order": (1, 0)}), ((r(2, 3, 4),), {"order": (2, 0, 1)})],
    entry=lambda b, i, x, *, order: x(*(i[order.index(a)] for a in range(len(order)))),
    doc="x with its axes in another order.",
)


@public
def permute_dims(x: Any, /, axes: Sequence[int]) -> Tensor:
    """x with its axes in the given order.

    Example:
        >>> ob.permute_dims(ob.zeros((2, 3, 4)), (2, 0, 1)).shape
        (4, 2, 3)
    """
    x = as_tensor(x)
    order = tuple(one_axis("permute_dims", a, x.ndim) for a in axes)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"permute_dims: {tuple(axes)} is no order of {x.ndim} axes", got={"x": x})
    return own(x) if order == tuple(range(x.ndim)) else apply(transpose, (x,), {"order": order})


@public
def matrix_transpose(x: Any, /) -> Tensor:
    """x with its last two axes swapped: `x.mT`."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(
            ".mT: the transpose of a matrix needs two axes",
            got={"x": x},
            hint="give it an axis with x[:, None]",
        )
    return permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def move_axis(x: Any, source: int, target: int) -> Any:
    """x with one axis moved, of a raw array or a Tensor; axes counted from the front."""
    order = [i for i in range(x.ndim) if i != source]
    order.insert(target, source)
    return x if source == target else transpose(x, order=tuple(order))
