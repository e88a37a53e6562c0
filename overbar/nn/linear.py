"""Linear maps, and the reshaping before them.

Real inputs are taken into the dtype of the parameters, by a visible `astype`: float64 data from
NumPy and a float32 network give float32 results.
"""

from __future__ import annotations

import math
from typing import Any

import overbar as ob
from overbar.errors import ShapeError

from . import init
from .module import Module
from .roles import Parameter

__all__ = ["Linear", "Identity", "Flatten", "like", "linear", "flatten"]

# -- functions --------------------------------------------------------------------------------


def like(x: Any, parameter: ob.Tensor) -> ob.Tensor:
    """x in the dtype of a parameter: a visible cast. Complex numbers stay complex."""
    x = ob.asarray(x)
    return x if x.dtype == parameter.dtype or x.dtype.kind == "c" else ob.astype(x, parameter.dtype)


def linear(x: Any, weight: ob.Tensor, bias: ob.Tensor | None = None) -> ob.Tensor:
    """x Wᵀ + b.

    Shapes:  x (..., n), weight (m, n), bias (m,)  ->  (..., m)
    """
    x = like(x, weight)
    if x.ndim < 1 or x.shape[-1] != weight.shape[-1]:
        has = x.shape[-1] if x.ndim else "no axis"
        raise ShapeError(
            f"linear: the weight takes {weight.shape[-1]} features, x has {has}",
            got={"x": x, "weight": weight},
            want=f"x: (..., {weight.shape[-1]})",
            hint="a single feature per row is x[:, None]"
            if weight.shape[-1] == 1 and x.ndim == 1
            else None,
        )
    y = x @ weight.mT
    return y if bias is None else y + bias


def flatten(x: Any, start: int = 1, end: int = -1) -> ob.Tensor:
    """x with the axes from `start` to `end`, both included, as one.

    Example:
        >>> ob.nn.functional.flatten(np.zeros((5, 2, 3))).shape
        (5, 6)
    """
    x = ob.asarray(x)
    first, last = start + x.ndim * (start < 0), end + x.ndim * (end < 0)
    if not 0 <= first <= last < x.ndim:
        raise ShapeError(f"flatten: there are no axes from {start} to {end}", got={"x": x})
    middle = math.prod(x.shape[first : last + 1])
    return ob.reshape(x, (*x.shape[:first], middle, *x.shape[last + 1 :]))


# -- layers -----------------------------------------------------------------------------------


class Linear(Module):
    """y = x Wᵀ + b.

    Shapes:  x (..., n)  ->  y (..., m);   weight (m, n), bias (m,)
    Start:   weight and bias uniform on ±1/√n.
    Example:
        >>> layer = ob.nn.Linear(4, 2)
        >>> layer(np.ones((3, 4))).shape, layer.weight.dtype
        ((3, 2), dtype('float32'))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        if in_features < 0 or out_features < 0:
            raise ShapeError(
                f"Linear: {in_features} to {out_features} features", want="numbers from 0"
            )
        self.in_features, self.out_features = in_features, out_features
        reach = 1 / math.sqrt(in_features) if in_features else 0.0
        shape = out_features, in_features
        self.weight = Parameter(init.uniform(shape, reach, rng=rng, dtype=dtype))
        self.bias = (
            Parameter(init.uniform(shape[:1], reach, rng=rng, dtype=dtype)) if bias else None
        )

    def forward(self, x: Any) -> ob.Tensor:
        return linear(x, self.weight, self.bias)


class Identity(Module):
    """y = x."""

    def forward(self, x: Any) -> Any:
        return x


class Flatten(Module):
    """The axes from `start` to `end` as one; by default all but the first.

    Shapes:  x (N, ...)  ->  y (N, product of the rest)
    """

    def __init__(self, start: int = 1, end: int = -1) -> None:
        self.start, self.end = start, end

    def forward(self, x: Any) -> ob.Tensor:
        return flatten(x, self.start, self.end)
