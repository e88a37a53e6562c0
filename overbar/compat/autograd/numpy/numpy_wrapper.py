"""The functions of NumPy, lifted; and those that NumPy does not ask Tensors about."""

from __future__ import annotations

from builtins import any as _any
from typing import Any

import numpy as _np

import overbar as _ob

from ..tracer import getval as _getval
from ..tracer import holds_box as _holds_box
from ..tracer import notrace_primitive, primitive
from ..tracer import unboxed as _unboxed
from .dispatch import _lists, array, passed, wrap_namespace

__version__ = numpy_version = _np.__version__

_SPECIAL = {"array": array}
wrap_namespace(vars(_np), globals())
globals().update(_SPECIAL)
_where, _full = globals()["where"], globals()["full"]


def __getattr__(name: str) -> Any:
    return passed(_np, name)


def where(condition: Any, *args: Any, **kwargs: Any) -> Any:
    """np.where; of plain Python numbers and lists a plain Python number or list."""
    if not args and not kwargs:
        return _where(condition)
    x, y = (*args, *(kwargs[k] for k in ("x", "y") if k in kwargs))
    found = _where(condition, x, y)
    arrays = (_np.ndarray, _np.generic, _ob.Tensor)
    if isinstance(found, _ob.Tensor) or _any(_holds(t, arrays) for t in (condition, x, y)):
        return found
    return found.tolist()


def _holds(x: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(x, list | tuple):
        return _any(_holds(e, kinds) for e in x)
    return isinstance(x, kinds)


def asarray(a: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    """np.asarray, of boxes too."""
    if isinstance(a, _ob.Tensor) or _lists(a):
        return array(a, dtype)
    return _np.asarray(a, dtype, *args, **kwargs)


asanyarray = ascontiguousarray = asfarray = asarray


def full(shape: Any, fill_value: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    """np.full, of a box too."""
    if not _holds_box([fill_value]):
        return _np.full(shape, fill_value, dtype, *args, **kwargs)
    return _ob.broadcast_to(array(fill_value, dtype), shape)


def concatenate_args(axis: int, *args: Any) -> Any:
    """np.concatenate of the arguments."""
    return globals()["concatenate"](args, axis)


def array_from_args(array_args: Any, array_kwargs: Any, *args: Any) -> Any:
    """np.array of the arguments."""
    return array(args, *array_args, **array_kwargs)


def make_diagonal(D: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Matrices with D on their diagonals: the inverse of np.diagonal, in the last two axes."""
    if offset or {axis1, axis2} != {-1, -2}:
        raise NotImplementedError("make_diagonal: offset=0, axis1=-1, axis2=-2")
    return D[..., None] * _np.eye(D.shape[-1])


def metadata(A: Any) -> tuple[Any, ...]:
    """Shape, number of axes, dtype, and whether it is complex."""
    return _np.shape(A), _np.ndim(A), _np.result_type(A), _np.iscomplexobj(A)


class _Rows:
    """`r_[...]` and `c_[...]`, of boxes too."""

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs

    def __getitem__(self, key: Any) -> Any:
        pieces = key if isinstance(key, tuple) else (key,)
        if not _holds_box(pieces):
            return self.theirs[key]
        if _any(isinstance(p, str) for p in pieces):
            raise NotImplementedError("r_ with a directive: use concatenate, or stack")
        arrays = [_np.r_[p] if isinstance(p, slice) else array(p) for p in pieces]
        if self.theirs is _np.c_:
            return globals()["column_stack"](arrays)
        return globals()["concatenate"]([globals()["atleast_1d"](a) for a in arrays])


r_, c_ = _Rows(_np.r_), _Rows(_np.c_)
