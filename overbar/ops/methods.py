"""What a Tensor can do: its operators and methods, each one of the public functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..primitive import PUBLIC, caller
from ..handle import Tensor
from . import arithmetic, assign, create, dtypes, index, linear, logic, movement, rearrange, reduce, repeat, select, smooth  # noqa: F401

_NUMPY = PUBLIC[""]


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Tensor, other: Any) -> Any:
        return function(other, self)

    return method


_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "matmul": "matmul",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "pow", "and": "bitwise_and",
    "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}  # fmt: skip
_COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "bitwise_invert"}


def install() -> None:
    """Give Tensor its operators."""
    for dunder, name in _OPERATORS.items():
        function = _NUMPY.get(name)
        if function is not None:
            setattr(Tensor, f"__{dunder}__", function)
            setattr(Tensor, f"__r{dunder}__", _reflected(function))
    for dunder, name in (_COMPARISONS | _UNARY).items():
        if name in _NUMPY:
            setattr(Tensor, f"__{dunder}__", _NUMPY[name])
    Tensor.__eq__ = _or_not(_NUMPY["equal"])  # type: ignore[method-assign]
    Tensor.__ne__ = _or_not(_NUMPY["not_equal"])  # type: ignore[method-assign]
    Tensor.__getitem__ = index.getitem  # type: ignore[method-assign]
    Tensor.__setitem__ = assign.setitem  # type: ignore[method-assign]
    Tensor.__iter__ = _lanes  # type: ignore[method-assign]
    Tensor.reshape = _reshape  # type: ignore[method-assign]
    Tensor.flatten = lambda self: _NUMPY["reshape"](self, (-1,))  # type: ignore[attr-defined]
    Tensor.copy = lambda self: _NUMPY["asarray_copy"](self) if "asarray_copy" in _NUMPY else self  # type: ignore[attr-defined]
    Tensor.T = property(_reversed_axes)  # type: ignore[assignment]
    Tensor.mT = property(_NUMPY["matrix_transpose"])  # type: ignore[assignment]
    for name in ("sum", "mean", "max", "min", "prod", "std", "var", "argmax", "argmin", "any", "all",
                 "cumsum", "cumprod", "squeeze", "astype", "take", "conj", "round", "clip", "diagonal"):  # fmt: skip
        if name in _NUMPY:
            setattr(Tensor, name, _NUMPY[name])


def _lanes(self: Tensor) -> Iterator[Tensor]:
    for i in range(len(self)):
        yield self[i]


def _reshape(self: Tensor, *shape: Any) -> Tensor:
    """The same entries in another shape: `t.reshape(2, 3)` or `t.reshape((2, 3))`."""
    return _NUMPY["reshape"](self, shape[0] if len(shape) == 1 else shape)


def _reversed_axes(self: Tensor) -> Tensor:
    """The axes in reverse order."""
    return _NUMPY["permute_dims"](self, tuple(range(self.ndim))[::-1])


def _or_not(function: Callable[..., Any]) -> Any:
    def method(self: Tensor, other: Any) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else function(self, other)

    return method


install()
