"""Arrays made from nothing: constants, ranges, grids.

All of them are constants: nothing flows back through them (`linspace`, `full` and `meshgrid` of
tensors are computed from those, and something does). Floats are float64 unless `dtype=` or
`ob.config(dtype=)` says otherwise. Inside a trace they are constants of the trace.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DomainError, DTypeError, ShapeError
from ..handle import Tensor, as_tensor, asarray, from_value
from ..primitive import PUBLIC, public
from ..spec import Spec
from .arithmetic import add, multiply
from .dtypes import default_float, dtype_of
from .repeat import broadcast_to, reshape

PUBLIC[""]["asarray"] = asarray


def as_shape(what: str, shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of sizes.

    Raises:  ShapeError for negative sizes, DTypeError for what is no integer.
    """
    if isinstance(shape, list | tuple):
        sizes = tuple(_size(what, n) for n in shape)
    else:
        sizes = (_size(what, shape),)
    if any(n < 0 for n in sizes):
        raise ShapeError(f"{what}: a size is negative in {shape}", want="sizes from 0")
    return sizes


def _size(what: str, n: Any) -> int:
    try:
        return n.__index__()
    except AttributeError:
        raise DTypeError(
            f"{what}: {n!r} is no size", want="a whole number, or a tuple of them"
        ) from None


def _check_device(what: str, device: Any) -> None:
    if device not in (None, "cpu"):
        raise DTypeError(f"{what}: there is no device {device!r}", want='"cpu", or nothing')


def _filled(what: str, shape: Any, value: Any, dtype: Any, device: Any = None) -> Tensor:
    _check_device(what, device)
    dtype = default_float() if dtype is None else dtype_of(what, dtype)
    return from_value(np.full(as_shape(what, shape), value, dtype))


@public
def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of zeros.

    Example:
        >>> ob.zeros((2, 2))
        Tensor([[0., 0.],
                [0., 0.]], float64)
    """
    return _filled("zeros", shape, 0, dtype, device)


@public
def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of ones.

    Example:
        >>> ob.ones(3, dtype=ob.float32)
        Tensor([1., 1., 1.], float32)
    """
    return _filled("ones", shape, 1, dtype, device)


@public
def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array whose entries one must not rely on. Here they are zeros: runs repeat exactly."""
    return _filled("empty", shape, 0, dtype, device)


@public
def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array with one value everywhere.

    Example:
        >>> ob.full(2, 7)
        Tensor([7, 7], int64)
    """
    _check_device("full", device)
    shape = as_shape("full", shape)
    if isinstance(fill_value, Tensor):
        value = (
            as_tensor(fill_value, dtype)
            if dtype is not None or not fill_value.spec.weak
            else asarray(fill_value)
        )
        return broadcast_to(value, shape)
    if dtype is None:
        dtype = default_float() if type(fill_value) is float else np.asarray(fill_value).dtype
    value = np.asarray(fill_value, dtype_of("full", dtype))
    if value.ndim:
        raise ShapeError(
            "full: the value to fill with is no number",
            got={"value": value},
            hint="ob.broadcast_to(value, shape) repeats an array",
        )
    return from_value(np.full(shape, value))


def _like(what: str, x: Any, dtype: Any, device: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype: all that is read of the model, so it may be traced."""
    _check_device(what, device)
    of: Spec = x.spec if isinstance(x, Tensor) else as_tensor(x).spec
    return of.shape, of.dtype if dtype is None else dtype_of(what, dtype)


@public
def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros in the shape and dtype of x."""
    return from_value(np.zeros(*_like("zeros_like", x, dtype, device)))


@public
def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones in the shape and dtype of x."""
    return from_value(np.ones(*_like("ones_like", x, dtype, device)))


@public
def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Entries one must not rely on (zeros), in the shape and dtype of x."""
    return from_value(np.zeros(*_like("empty_like", x, dtype, device)))


@public
def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One value everywhere, in the shape and dtype of x.

    Example:
        >>> ob.full_like(ob.zeros(2), 7)
        Tensor([7., 7.], float64)
    """
    shape, dtype = _like("full_like", x, dtype, device)
    return full(shape, fill_value, dtype=dtype)


@public
def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None
) -> Tensor:
    """The identity matrix; `k` moves its diagonal to the right.

    Example:
        >>> ob.eye(2)
        Tensor([[1., 0.],
                [0., 1.]], float64)
    """
    _check_device("eye", device)
    (n,) = as_shape("eye", n_rows)
    m = n if n_cols is None else as_shape("eye", n_cols)[0]
    return from_value(np.eye(n, m, k, default_float() if dtype is None else dtype_of("eye", dtype)))


def _number(what: str, x: Any) -> Any:
    """A Python number, also from a tensor with one entry."""
    if isinstance(x, Tensor):
        return x.item()
    if not isinstance(x, int | float | np.number):
        raise DTypeError(f"{what}: {x!r} is no number")
    return x


@public
def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Numbers from start (0, if only one is given) up to, not including, stop.

    Example:
        >>> ob.arange(2, 10, 3)
        Tensor([2, 5, 8], int64)
    """
    _check_device("arange", device)
    start, step = _number("arange", start), _number("arange", step)
    stop = None if stop is None else _number("arange", stop)
    if step == 0:
        raise DomainError("arange: a step of 0 never arrives")
    if stop is None:
        start, stop = 0, start
    if dtype is None:
        whole = all(isinstance(n, int | np.integer) for n in (start, stop, step))
        dtype = np.dtype(np.int64) if whole else default_float()
    return from_value(np.arange(start, stop, step, dtype=dtype_of("arange", dtype)))


@public
def linspace(
    start: Any,
    stop: Any,
    /,
    num: int = 50,
    *,
    endpoint: bool = True,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """`num` numbers at equal distances from start to stop, both included.

    Tensors may be given: something then flows back to them.

    Example:
        >>> ob.linspace(0.0, 1.0, 5)
        Tensor([0.  , 0.25, 0.5 , 0.75, 1.  ], float64)
    """
    _check_device("linspace", device)
    (num,) = as_shape("linspace", num)
    if isinstance(start, Tensor) or isinstance(stop, Tensor):
        a, b = as_tensor(start), as_tensor(stop)
        here = (
            np.result_type(a.dtype, b.dtype, np.float16)
            if dtype is None
            else dtype_of("linspace", dtype)
        )
        share = np.linspace(0, 1, num, endpoint=endpoint).astype(here)
        share = share.reshape(num, *(1,) * max(a.ndim, b.ndim))
        # a (1 − t) + b t: exact at both ends
        return add(multiply(as_tensor(a, here), 1 - share), multiply(as_tensor(b, here), share))
    if dtype is None:
        dtype = np.result_type(default_float(), np.asarray(start).dtype, np.asarray(stop).dtype)
        dtype = default_float() if dtype.kind != "c" else dtype
    return from_value(
        np.linspace(start, stop, num, endpoint=endpoint, dtype=dtype_of("linspace", dtype))
    )


@public
def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor with the data of any array that speaks DLPack: a copy, since tensors never change.

    Raises:  DTypeError if it does not, or if `copy=False` is insisted on.
    """
    _check_device("from_dlpack", device)
    if copy is False:
        raise DTypeError(
            "from_dlpack: copy=False cannot be had: the data could change under the tensor"
        )
    if isinstance(x, Tensor):
        return x
    if not hasattr(x, "__dlpack__"):
        raise DTypeError(
            "from_dlpack: this does not speak DLPack",
            got={"x": type(x).__name__},
            hint="ob.asarray(x)",
        )
    return from_value(np.array(np.from_dlpack(x)))


@public
def meshgrid(*arrays: Any, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinates of a grid, from the coordinates along each axis.

    Shapes:  n vectors  ->  n arrays; indexing "ij": their sizes in order, "xy": the first two
             swapped.
    Example:
        >>> x, y = ob.meshgrid([1.0, 2.0, 3.0], [10.0, 20.0])
        >>> x.shape, y[1, 0].item()
        ((2, 3), 20.0)
    """
    if indexing not in ("xy", "ij"):
        raise DomainError(f"meshgrid: indexing={indexing!r} is not a choice", want='"xy" or "ij"')
    xs = [asarray(x) for x in arrays]
    for i, x in enumerate(xs):
        if x.ndim > 1:
            raise ShapeError(
                "meshgrid: the coordinates along an axis are a vector", got={f"array {i}": x}
            )
    swap = indexing == "xy" and len(xs) > 1
    places = [1 - i if swap and i < 2 else i for i in range(len(xs))]
    shape = [0] * len(xs)
    for x, p in zip(xs, places, strict=True):
        shape[p] = x.size
    return tuple(
        broadcast_to(reshape(x, tuple(x.size if i == p else 1 for i in range(len(xs)))), shape)
        for x, p in zip(xs, places, strict=True)
    )
