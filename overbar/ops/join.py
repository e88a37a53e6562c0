"""Joining arrays: along an axis that they have, or a new one."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply, own
from ..errors import ShapeError
from ..handle import Tensor, as_tensor
from ..primitive import Primitive, public, shared
from ..spec import Spec, one_axis, spec
from .index import stretch
from .logic import zeros_of
from .repeat import broadcast_to, reshape, reshape_


def _joined(*xs: Spec, axis: int) -> Spec:
    first = xs[0]
    for x in xs[1:]:
        if x.ndim != first.ndim or any(
            i != axis and a != b for i, (a, b) in enumerate(zip(x.shape, first.shape, strict=False))
        ):
            raise ShapeError(
                "concat: the arrays differ in more than the joined axis",
                got={f"array {i}": x for i, x in enumerate(xs)},
                want=f"equal sizes in every axis but axis {axis}",
            )
    shape = (*first.shape[:axis], builtins.sum(x.shape[axis] for x in xs), *first.shape[axis + 1 :])
    return spec(shape, np.result_type(*(x.dtype for x in xs)))


def _cut_apart(wanted: Sequence[bool], y_bar: Any, _y: Any, *_xs: Any, axis: int) -> list[Any]:
    start, pieces = 0, []
    for x, w in zip(_xs, wanted, strict=True):
        n = x.shape[axis]
        pieces.append(stretch(y_bar, axis, start, n) if w else None)
        start += n
    return pieces


def _join_dots(dots: Sequence[Any], _y: Any, *_xs: Any, axis: int) -> Any:
    return concat_(
        *(zeros_of(x) if d is None else d for d, x in zip(dots, _xs, strict=True)), axis=axis
    )


def _join_lanes(n: int, mapped: Sequence[bool], *xs: Any, axis: int) -> Any:
    return concat_(
        *(x if m else broadcast_to(x, (n, *x.shape)) for x, m in zip(xs, mapped, strict=True)),
        axis=axis + 1,
    )


def _joined_entry(b: Any, i: Any, *xs: Any, axis: int) -> Any:
    """The entry of the one that holds it; the others are read at their nearest, and not used."""
    result, start, here = None, 0, list(i)
    for x in xs:
        n = x.shape[axis]
        if n:
            here[axis] = b.minimum(b.maximum(i[axis] - start, 0), n - 1)
            value = x(*here)
            result = value if result is None else b.where(i[axis] < start, result, value)
        start += n
    return result


concat_ = Primitive(
    "concat",
    forward=lambda xp, *xs, axis: xp.concatenate(xs, axis=axis),
    shape=_joined,
    moves=True,
    complex=True,
    vjp=shared(_cut_apart, 2),
    jvp=shared(_join_dots),
    batch=_join_lanes,
    text=lambda *xs, axis: f"[{'; '.join(xs)}]",
    samples=lambda r: [
        ((r(2, 3), r(4, 3)), {"axis": 0}),
        ((r(2, 1), r(2, 0), r(2, 2)), {"axis": 1}),
    ],
    entry=_joined_entry,
    doc="Arrays joined along one axis.",
)


def stack_(*xs: Any) -> Any:
    """Arrays stacked along a new first axis; raw arrays or Tensors."""
    return concat_(*(reshape_(x, shape=(1, *x.shape)) for x in xs), axis=0)


@public
def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Tensor:
    """The arrays joined along an axis (None: each flattened first).

    Rule:    each array receives its part of the adjoint.
    Raises:  ShapeError if they differ in another axis.
    Example:
        >>> ob.concat([[1.0, 2.0], [3.0]])
        Tensor([1., 2., 3.], float64)
    """
    xs = _as_one_dtype("concat", arrays)
    if axis is None:
        xs, axis = [reshape(x, (-1,)) for x in xs], 0
    axis = one_axis("concat", axis, xs[0].ndim)
    _joined(*(x.spec for x in xs), axis=axis)
    return apply(concat_, tuple(xs), {"axis": axis}) if len(xs) > 1 else own(xs[0])


@public
def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Tensor:
    """The arrays, of equal shape, side by side along a new axis.

    Example:
        >>> ob.stack([ob.tensor([1.0, 2.0]), ob.tensor([3.0, 4.0])], axis=1)
        Tensor([[1., 3.],
                [2., 4.]], float64)
    """
    xs = _as_one_dtype("stack", arrays)
    if len({x.shape for x in xs}) > 1:
        raise ShapeError(
            "stack: the arrays differ in shape", got={f"array {i}": x for i, x in enumerate(xs)}
        )
    axis = one_axis("stack", axis, xs[0].ndim + 1)
    return concat([reshape(x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in xs], axis=axis)


def _as_one_dtype(what: str, arrays: Any) -> list[Tensor]:
    xs = [as_tensor(x) for x in arrays]
    if not xs:
        raise ShapeError(f"{what}: there is no array", want="at least one")
    dtype = np.result_type(*(x.dtype for x in xs))
    return [as_tensor(x, dtype) if x.dtype != dtype or x.spec.weak else x for x in xs]
