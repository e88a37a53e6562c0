"""What a Tensor can do: its operators and methods, each one of the public functions.

Every file of this folder is imported here, so that an operation is known, offered and tested as
soon as its file is there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DTypeError, ShapeError
from ..handle import Tensor, as_tensor
from ..primitive import PUBLIC
from . import protocols, spellings
from .assign import setitem
from .index import getitem
from .movement import alias

_HERE = __name__.rpartition(".")[0]
for _file in pkgutil.iter_modules(importlib.import_module(_HERE).__path__):
    importlib.import_module(f"{_HERE}.{_file.name}")

OURS = PUBLIC[""]

_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "matmul": "matmul",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
_COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "bitwise_invert"}
_METHODS = (
    "sum",
    "mean",
    "max",
    "min",
    "prod",
    "std",
    "var",
    "argmax",
    "argmin",
    "any",
    "all",
    "cumsum",
    "cumprod",
    "squeeze",
    "flatten",
    "ravel",
    "astype",
    "take",
    "conj",
    "clip",
    "diagonal",
    "swapaxes",
    "repeat",
    "nonzero",
)
_PROPERTIES = ("real", "imag")


def install() -> None:
    """Give Tensor its operators, methods and protocols."""
    for dunder, name in _OPERATORS.items():
        function = OURS.get(name)
        if function is not None:
            function = getattr(function, "__wrapped__", function)
            setattr(Tensor, f"__{dunder}__", function)
            setattr(Tensor, f"__r{dunder}__", _reflected(function))
            setattr(Tensor, f"__i{dunder}__", _in_place(function, dunder))
    Tensor.__divmod__ = lambda x, y: (x // y, x % y)  # type: ignore[attr-defined]
    Tensor.__rdivmod__ = lambda x, y: (y // x, y % x)  # type: ignore[attr-defined]
    for dunder, name in (_COMPARISONS | _UNARY).items():
        if name in OURS:
            setattr(Tensor, f"__{dunder}__", getattr(OURS[name], "__wrapped__", OURS[name]))
    Tensor.__eq__ = _or_not(OURS["equal"])  # type: ignore[method-assign]
    Tensor.__ne__ = _or_not(OURS["not_equal"])  # type: ignore[method-assign]
    Tensor.__getitem__ = getitem  # type: ignore[method-assign]
    Tensor.__setitem__ = setitem  # type: ignore[method-assign]
    Tensor.__iter__ = _lanes  # type: ignore[method-assign]
    Tensor.__contains__ = _contains  # type: ignore[attr-defined]
    Tensor.__getattr__ = spellings.of_tensor  # type: ignore[method-assign]
    Tensor.reshape = _reshape  # type: ignore[method-assign]
    Tensor.copy = _copy  # type: ignore[attr-defined]
    Tensor.T = property(_reversed_axes)  # type: ignore[assignment]
    Tensor.mT = property(OURS["matrix_transpose"])  # type: ignore[assignment]
    for name in _METHODS:
        if name in OURS:
            setattr(Tensor, name, OURS[name])
    for name in _PROPERTIES:
        if name in OURS:
            setattr(Tensor, name, property(OURS[name]))
    protocols.install()


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Tensor, other: Any) -> Any:
        return function(other, self)

    return method


def _in_place(function: Callable[..., Any], dunder: str) -> Callable[..., Any]:
    def method(self: Tensor, other: Any) -> Tensor:
        y = function(self, other)
        if y.shape != self.shape:
            raise ShapeError(
                f"in-place {dunder}: the result has another shape, {list(y.shape)}",
                got={"x": self, "other": as_tensor(other)},
                hint="write x = x ... to give x another shape",
            )
        if y.dtype != self.dtype or y.spec.weak != self.spec.weak:
            if not np.can_cast(y.dtype, self.dtype, "same_kind"):
                raise DTypeError(
                    f"in-place {dunder}: the result, {y.dtype}, does not fit into {self.dtype}",
                    got={"x": self, "other": as_tensor(other)},
                    hint="write x = x ... to let x change its dtype",
                )
            y = as_tensor(y, self.dtype)
        self.rebind(y)
        return self

    return method


def _lanes(self: Tensor) -> Iterator[Tensor]:
    """Its parts along the first axis."""
    for i in range(len(self)):
        yield self[i]


def _contains(self: Tensor, value: Any) -> bool:
    """Whether an entry equals the value."""
    return bool(OURS["any"](self == value))


def _reshape(self: Tensor, *shape: Any) -> Tensor:
    """The same entries in another shape: `t.reshape(2, 3)` or `t.reshape((2, 3))`."""
    return OURS["reshape"](self, shape[0] if len(shape) == 1 else shape)


def _copy(self: Tensor) -> Tensor:
    """A tensor of its own with the same value and history: rebinding one leaves the other."""
    return apply(alias, (self,))


def _reversed_axes(self: Tensor) -> Tensor:
    """The axes in reverse order."""
    return OURS["permute_dims"](self, tuple(range(self.ndim))[::-1])


def _or_not(function: Callable[..., Any]) -> Any:
    def method(self: Tensor, other: Any) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else function(self, other)

    return method


spellings.guard(PUBLIC)
install()
