"""Shapes and dtypes: what is known of an array before its numbers are.

A `Spec` is interned: two arrays of equal shape and dtype share one Spec object, so the
engine compares them with `is`. Broadcasting and promotion follow NumPy; a Python scalar is
`weak`: it takes the dtype of what it meets.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import DTypeError, IndexingError, ShapeError

Shape = tuple[int, ...]


class Spec:
    """The shape and dtype of an array. Made by `spec`, never directly: equal means identical."""

    __slots__ = ("dtype", "floating", "ndim", "shape", "size", "weak")

    shape: Shape
    dtype: np.dtype
    ndim: int
    size: int
    floating: bool
    weak: bool

    def __init__(self, shape: Shape, dtype: np.dtype, weak: bool) -> None:
        self.shape, self.dtype, self.weak = shape, dtype, weak
        self.ndim, self.size = len(shape), math.prod(shape)
        self.floating = dtype.kind in "fc"

    def __repr__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return spec, (self.shape, self.dtype, self.weak)


class Specs(tuple):
    """The Specs of an operation's several results."""

    __slots__ = ()
    weak = floating = False
    shape = ()


_interned: dict[tuple[Any, ...], Spec] = {}


def spec(shape: Shape, dtype: Any, weak: bool = False) -> Spec:
    """The one Spec of this shape and dtype."""
    key = (shape, dtype, weak)
    found = _interned.get(key)
    if found is None:
        shape = tuple(int(n) for n in shape)
        dtype = np.dtype(dtype)
        found = _interned.setdefault((shape, dtype, weak), Spec(shape, dtype, weak))
        _interned[key] = found
    return found


def spec_of(value: Any) -> Spec:
    """The Spec of an array, a NumPy scalar, or a Python number (weak)."""
    try:
        return _interned[value.shape, value.dtype, False]
    except KeyError:
        return spec(value.shape, value.dtype)
    except AttributeError:
        return spec((), np.result_type(type(value)), weak=True)


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of the real part of a number of this dtype."""
    return np.real(np.empty(0, dtype)).dtype


def as_number(value: Any) -> Any:
    """A NumPy scalar as a Python number, which stays as it is."""
    return value.item() if isinstance(value, np.generic | np.ndarray) else value


def broadcast_shape(what: str, shapes: dict[str, Shape]) -> Shape:
    """The common shape under NumPy's broadcasting.

    Raises:  ShapeError naming every operand if there is none.
    """
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        text = " against ".join(str(list(s)) for s in shapes.values())
        raise ShapeError(
            f"{what}: the shapes do not broadcast, {text}",
            got={name: str(list(s)) for name, s in shapes.items()},
            want="sizes that are equal, or 1, counted from the last axis",
            hint=_alignment_hint(list(shapes.values())),
        ) from None


def _alignment_hint(shapes: list[Shape]) -> str | None:
    if len(shapes) != 2:
        return None
    a, b = shapes
    if a == b[::-1] and len(a) == 2:
        return "transpose one side with .mT"
    if len(a) > len(b) >= 1 and a[: len(b)] == b:
        return f"the second lines up from the right; give it {len(a) - len(b)} trailing axis of 1"
    if len(b) > len(a) >= 1 and b[: len(a)] == a:
        return f"the first lines up from the right; give it {len(b) - len(a)} trailing axis of 1"
    return None


def one_axis(what: str, axis: int, ndim: int) -> int:
    """An axis counted from the front.

    Raises:  IndexingError if there is no such axis, DTypeError if it is no integer.
    """
    if not isinstance(axis, int | np.integer) or isinstance(axis, bool):
        raise DTypeError(
            f"{what}: an axis is an integer, not {axis!r}", want="axis=0, axis=-1, ..."
        )
    if not -ndim <= axis < ndim:
        raise IndexingError(
            f"{what}: axis {axis} does not exist, the array has {ndim} axes",
            want=f"an axis from {-ndim} to {ndim - 1}"
            if ndim
            else "no axis: the array is a number",
        )
    return int(axis) % ndim


def axes(what: str, axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, sorted; None means all of them.

    Raises:  IndexingError for an axis that does not exist, ShapeError for one named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    found = tuple(one_axis(what, a, ndim) for a in given)
    if len(set(found)) < len(found):
        raise ShapeError(f"{what}: an axis is named twice in {axis}", want="each axis once")
    return tuple(sorted(found))
