"""The kinds of numbers: their names, their limits, how they mix; and a few constants.

The dtypes are NumPy's, and `ob.float32 is np.dtype("float32")`. Promotion is NumPy's too; Python
numbers are weak: they take the dtype of what they meet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..context import CONTEXT
from ..errors import DTypeError
from ..handle import Tensor
from ..primitive import PUBLIC, public

NAMES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
DTYPES = {name: np.dtype(name) for name in NAMES}
CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan, "newaxis": None}

_offered: dict[str, Any] = PUBLIC[""]
_offered.update(DTYPES | CONSTANTS | {"__array_api_version__": "2024.12"})

_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}
_PYTHON = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}


def dtype_of(what: str, dtype: Any) -> np.dtype:
    """The dtype that this names.

    Raises:  DTypeError if it is none of numbers.
    """
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind not in "biufc" or dtype is None:
        name = str(dtype).removeprefix("torch.")
        known = name if name in DTYPES else "float32"
        raise DTypeError(
            f"{what}: {dtype!r} is no dtype of numbers", want=f"ob.{known} or the like"
        ) from None
    return found


def default_float() -> np.dtype:
    """The dtype of floats made from nothing: `ob.config(dtype=)`, else float64."""
    chosen = CONTEXT.get().dtype
    return DTYPES["float64"] if chosen is None else dtype_of("config", chosen)


def _dtype_in(what: str, x: Any) -> np.dtype:
    """The dtype of an array, or the dtype itself."""
    return x.dtype if isinstance(x, Tensor | np.ndarray | np.generic) else dtype_of(what, x)


@dataclass(frozen=True)
class FloatInfo:
    """The limits of a floating dtype. `eps` is the distance from 1 to the next number."""

    dtype: np.dtype
    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float


@dataclass(frozen=True)
class IntInfo:
    """The limits of an integer dtype."""

    dtype: np.dtype
    bits: int
    max: int
    min: int


@public
def finfo(type: Any, /) -> FloatInfo:
    """The limits of a floating dtype (of a complex one: those of its parts).

    Raises:  DTypeError for integers.
    Example:
        >>> ob.finfo(ob.float32).bits
        32
    """
    dtype = _dtype_in("finfo", type)
    if dtype.kind not in "fc":
        raise DTypeError(
            f"finfo: {dtype} is not floating", hint="the limits of integers are ob.iinfo(...)"
        )
    f = np.finfo(dtype)
    return FloatInfo(
        f.dtype, f.bits, float(f.eps), float(f.max), float(f.min), float(f.smallest_normal)
    )


@public
def iinfo(type: Any, /) -> IntInfo:
    """The limits of an integer dtype.

    Raises:  DTypeError for anything else.
    Example:
        >>> ob.iinfo(ob.int8).max
        127
    """
    dtype = _dtype_in("iinfo", type)
    if dtype.kind not in "iu":
        raise DTypeError(
            f"iinfo: {dtype} is no integer dtype", hint="the limits of floats are ob.finfo(...)"
        )
    i = np.iinfo(dtype)
    return IntInfo(dtype, i.bits, int(i.max), int(i.min))


@public
def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype of an operation on these arrays, dtypes and Python numbers (which are weak).

    Example:
        >>> ob.result_type(ob.float32, ob.int64, 1.0)
        dtype('float64')
        >>> ob.result_type(ob.float32, 1.0)
        dtype('float32')
    """
    if not arrays_and_dtypes:
        raise DTypeError("result_type: there is nothing to take it of", want="arrays or dtypes")
    return np.result_type(*(_weak_or_dtype(x) for x in arrays_and_dtypes))


def _weak_or_dtype(x: Any) -> Any:
    if isinstance(x, Tensor) and x.spec.weak:
        return x.dtype.type(1).item()
    if type(x) in _PYTHON:
        return x
    return _dtype_in("result_type", x)


@public
def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether every number of one dtype (or of an array's) is one of the other.

    Example:
        >>> ob.can_cast(ob.int32, ob.float64), ob.can_cast(ob.float64, ob.int32)
        (True, False)
    """
    return bool(np.can_cast(_dtype_in("can_cast", from_), dtype_of("can_cast", to)))


@public
def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a dtype, "bool", "integral", "real floating", "numeric", ...

    Example:
        >>> ob.isdtype(ob.float32, "real floating"), ob.isdtype(ob.int8, ("bool", "integral"))
        (True, True)
    """
    found = dtype_of("isdtype", dtype)
    if isinstance(kind, tuple):
        return any(isdtype(found, k) for k in kind)
    if isinstance(kind, str) and kind not in DTYPES | _KINDS:
        raise DTypeError(f"isdtype: there is no kind {kind!r}", want=f"one of {', '.join(_KINDS)}")
    if isinstance(kind, str) and kind in _KINDS:
        return found.kind in _KINDS[kind]
    return found == dtype_of("isdtype", kind)


class ArrayNamespaceInfo:
    """What this implementation of the Array API can do: see `__array_namespace_info__`."""

    def capabilities(self) -> dict[str, Any]:
        """Masks as indices are read where values are known; as many axes as NumPy."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Where arrays live."""
        return "cpu"

    def devices(self) -> list[str]:
        """Where arrays can live."""
        return ["cpu"]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype]:
        """What floats, integers, complex numbers and indices are unless said otherwise."""
        real = default_float()
        return {
            "real floating": real,
            "complex floating": np.result_type(real, np.complex64),
            "integral": DTYPES["int64"],
            "indexing": DTYPES["int64"],
        }

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, np.dtype]:
        """The dtypes of the Array API by name; only those of a kind, if one is given."""
        standard = {name: d for name, d in DTYPES.items() if name != "float16"}
        return (
            standard
            if kind is None
            else {name: d for name, d in standard.items() if isdtype(d, kind)}
        )


@public
def __array_namespace_info__() -> ArrayNamespaceInfo:  # noqa: N807  (the Array API's name)
    """What this implementation of the Array API can do: its dtypes, devices and limits.

    Example:
        >>> ob.__array_namespace_info__().default_dtypes()["real floating"]
        dtype('float64')
    """
    return ArrayNamespaceInfo()
