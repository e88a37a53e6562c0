"""Functions of NumPy that are not ours under another name: composed of ours, in NumPy's signature.

Which of them answers for which function of NumPy is in `FOREIGN`, which `protocols` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError
from ..handle import Tensor, as_tensor, asarray
from ..primitive import PUBLIC

OURS, LINALG = PUBLIC[""], PUBLIC["linalg"]
FOREIGN: dict[Any, Callable[..., Any]] = {}
"""A function of NumPy -> what it does to tensors."""


def answers(*theirs: Any) -> Callable[[Any], Any]:
    """Marks the answer to a call of these functions of NumPy."""

    def mark(function: Any) -> Any:
        FOREIGN.update(dict.fromkeys(theirs, function))
        return function

    return mark


# -- questions about shapes and values --------------------------------------------------------


@answers(np.shape)
def _shape(a: Any) -> tuple[int, ...]:
    return asarray(a).shape


@answers(np.ndim)
def _ndim(a: Any) -> int:
    return asarray(a).ndim


@answers(np.size)
def _size(a: Any, axis: int | None = None) -> int:
    return asarray(a).size if axis is None else asarray(a).shape[axis]


@answers(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Tensor:
    a = asarray(a)
    return OURS["permute_dims"](a, tuple(range(a.ndim))[::-1] if axes is None else axes)


@answers(np.where)
def _where(condition: Any, *branches: Any) -> Any:
    if not branches:
        return OURS["nonzero"](condition)
    condition = as_tensor(condition)
    return OURS["where"](condition if condition.dtype.kind == "b" else condition != 0, *branches)


@answers(np.dot)
def _dot(a: Any, b: Any) -> Tensor:
    a, b = asarray(a), asarray(b)
    if not a.ndim or not b.ndim:
        return OURS["multiply"](a, b)
    if b.ndim <= 2:
        return OURS["matmul"](a, b)
    return OURS["tensordot"](a, b, axes=((a.ndim - 1,), (b.ndim - 2,)))


def _joined(xs: Sequence[Tensor], axis: int, dtype: Any) -> Tensor:
    y = OURS["concat"](xs, axis=axis)
    return y if dtype is None else y.astype(dtype)


@answers(np.vstack)
def _vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Tensor:
    return _joined([OURS["atleast_2d"](x) for x in tup], 0, dtype)


@answers(np.hstack)
def _hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Tensor:
    xs = [OURS["atleast_1d"](x) for x in tup]
    return _joined(xs, 0 if xs[0].ndim == 1 else 1, dtype)


@answers(np.column_stack)
def _column_stack(tup: Any) -> Tensor:
    xs = [OURS["atleast_1d"](x) for x in tup]
    return OURS["concat"]([x[:, None] if x.ndim == 1 else x for x in xs], axis=1)


@answers(np.append)
def _append(arr: Any, values: Any, axis: int | None = None) -> Tensor:
    return OURS["concat"]([asarray(arr), asarray(values)], axis=axis)


@answers(np.copy)
def _copy(a: Any, order: Any = "K", subok: bool = False) -> Tensor:
    return a.copy()


@answers(np.pad)
def _pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Tensor:
    value = kwargs.pop("constant_values", 0)
    if kwargs:
        raise DTypeError(f"np.pad: the keyword {next(iter(kwargs))}= is not supported on tensors")
    return OURS["pad"](array, pad_width, mode, value)


@answers(np.diag)
def _diag(v: Any, k: int = 0) -> Tensor:
    v = asarray(v)
    if v.ndim == 2:
        return OURS["diagonal"](v, offset=k)
    if v.ndim != 1:
        raise DTypeError("np.diag: a vector or a matrix", got={"v": v})
    n = v.shape[0] + abs(k)
    rows = np.arange(v.shape[0])
    return OURS["scatter_add"](np.zeros((n, n), v.dtype), (rows + max(-k, 0), rows + max(k, 0)), v)


@answers(np.delete)
def _delete(arr: Any, obj: Any, axis: int | None = None) -> Tensor:
    arr = asarray(arr)
    arr, axis = (OURS["ravel"](arr), 0) if axis is None else (arr, axis)
    return OURS["take"](arr, np.delete(np.arange(arr.shape[axis]), obj), axis=axis)


@answers(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    x = asarray(x)
    over = tuple(range(x.ndim)) if axis is None else axis
    pair = isinstance(over, tuple) and len(over) == 2
    if pair and ord is not None:
        return PUBLIC["linalg"]["matrix_norm"](
            OURS["moveaxis"](x, over, (-2, -1)), ord=ord, keepdims=keepdims
        )
    if ord is None:
        return PUBLIC["linalg"]["vector_norm"](x, axis=axis, keepdims=keepdims)
    return PUBLIC["linalg"]["vector_norm"](x, ord=ord, axis=axis, keepdims=keepdims)


@answers(np.iscomplexobj)
def _iscomplexobj(x: Any) -> bool:
    return x.dtype.kind == "c"


@answers(np.isrealobj)
def _isrealobj(x: Any) -> bool:
    return x.dtype.kind != "c"


def _values(what: str, *xs: Any) -> list[Any]:
    """Plain arrays, for questions whose answer is yes or no: no gradient could be cut."""
    return [np.asarray(x._known(what)) if isinstance(x, Tensor) else x for x in xs]  # noqa: SLF001


@answers(np.isclose)
def _isclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    a, b = _values("np.isclose", a, b)
    return asarray(np.isclose(a, b, rtol, atol, equal_nan))


@answers(np.allclose)
def _allclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    a, b = _values("np.allclose", a, b)
    return np.allclose(a, b, rtol, atol, equal_nan)


@answers(np.array_equal)
def _array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    a1, a2 = _values("np.array_equal", a1, a2)
    return np.array_equal(a1, a2, equal_nan)


@answers(np.result_type)
def _result_type(*arrays_and_dtypes: Any) -> np.dtype:
    return OURS["result_type"](*arrays_and_dtypes)


@answers(np.may_share_memory)
def _may_share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    return False
