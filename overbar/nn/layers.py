"""Layers: linear maps, containers, dropout, and the activations as modules.

A layer holds parameters and settings; what it computes stands in `functional`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import overbar as ob
from overbar.errors import DomainError, ShapeError

from . import functional, init
from .module import Module
from .roles import Parameter

__all__ = [
    "Sequential", "ModuleList", "Linear", "Identity", "Flatten", "Dropout",
    "ReLU", "LeakyReLU", "ELU", "Sigmoid", "Tanh", "Softplus", "GELU", "SiLU", "Softmax",
]  # fmt: skip


class _Listed(Module):
    """Modules in a row, named "0", "1", ..."""

    def append(self, layer: Module) -> _Listed:
        """Put one more at the end; gives the list."""
        if not callable(layer):
            raise ShapeError(
                f"{type(self).__name__}: {layer!r} is no layer", want="a Module, or a function"
            )
        setattr(self, str(len(self)), layer)
        return self

    def __iter__(self) -> Iterator[Any]:
        return (thing for name, thing in vars(self).items() if name.isdigit())

    def __len__(self) -> int:
        return sum(name.isdigit() for name in vars(self))

    def __getitem__(self, i: int | slice) -> Any:
        found = list(self)[i]
        return type(self)(*found) if isinstance(i, slice) else found  # type: ignore[call-arg]


class Sequential(_Listed):
    """One layer after the other: y = f_n(… f_2(f_1(x))). Functions may stand between the layers.

    Example:
        >>> model = ob.nn.Sequential(ob.nn.Linear(2, 3), ob.nn.Tanh(), ob.nn.Linear(3, 1))
        >>> model
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): Tanh()
          (2): Linear(in_features=3, out_features=1, bias=True)
        )
        >>> model(np.zeros((5, 2))).shape
        (5, 1)
    """

    def __init__(self, *layers: Any) -> None:
        for layer in layers:
            self.append(layer)

    def forward(self, x: Any) -> Any:
        for layer in self:
            x = layer(x)
        return x


class ModuleList(_Listed):
    """Modules in a list, to be used one by one. A plain list in an attribute does as well."""

    def __init__(self, layers: Iterable[Module] = ()) -> None:
        for layer in layers:
            self.append(layer)

    def __getitem__(self, i: int | slice) -> Any:
        found = list(self)[i]
        return ModuleList(found) if isinstance(i, slice) else found


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
        return functional.linear(x, self.weight, self.bias)


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
        return functional.flatten(x, self.start, self.end)


class Dropout(Module):
    """In training: each number is 0 with probability p, and divided by 1 − p otherwise.

    After `model.eval()` it does nothing. `rng` is what it draws from: a generator of its own, or
    by default overbar's.

    Source:  Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from
             overfitting.
    """

    def __init__(self, p: float = 0.5, *, rng: Any = None) -> None:
        if not 0 <= p <= 1:
            raise DomainError(f"Dropout: p={p} is no probability", want="a number from 0 to 1")
        self.p, self.rng = p, rng

    def forward(self, x: Any) -> Any:
        return functional.dropout(x, self.p, self.training, rng=self.rng)


# -- activations ------------------------------------------------------------------------------


class ReLU(Module):
    """max(0, x); its derivative at 0 is 0, or what `ob.config(kinks=)` says."""

    def forward(self, x: Any) -> ob.Tensor:
        return functional.relu(x)


class LeakyReLU(Module):
    """x right of zero, slope · x left of it."""

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def forward(self, x: Any) -> ob.Tensor:
        return functional.leaky_relu(x, self.slope)


class ELU(Module):
    """x right of zero, alpha (eˣ − 1) left of it."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> ob.Tensor:
        return functional.elu(x, self.alpha)


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ)."""

    def forward(self, x: Any) -> ob.Tensor:
        return functional.sigmoid(x)


class Tanh(Module):
    """tanh x."""

    def forward(self, x: Any) -> ob.Tensor:
        return functional.tanh(x)


class Softplus(Module):
    """(1/beta) log(1 + exp(beta x)): a smooth relu."""

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def forward(self, x: Any) -> ob.Tensor:
        return functional.softplus(x, self.beta)


class GELU(Module):
    """x Φ(x), Φ the normal distribution function; `approximate` takes the tanh formula."""

    def __init__(self, approximate: bool = False) -> None:
        self.approximate = approximate

    def forward(self, x: Any) -> ob.Tensor:
        return functional.gelu(x, self.approximate)


class SiLU(Module):
    """x σ(x)."""

    def forward(self, x: Any) -> ob.Tensor:
        return functional.silu(x)


class Softmax(Module):
    """exp(xᵢ) / Σ exp(xⱼ) along an axis: a soft argmax."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> ob.Tensor:
        return functional.softmax(x, self.axis)
