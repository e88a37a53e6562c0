"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import overbar as ob
from overbar import nn
from overbar.errors import DomainError, ShapeError

__all__ = ["MLP"]

_ACTIVATIONS = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU,
    "identity": nn.Identity,
}  # fmt: skip


class MLP(nn.Module):
    """Linear maps with an activation between them: y = W₂ f(W₁ x + b₁) + b₂, and so on.

    Shapes:  x (..., sizes[0])  ->  (..., sizes[-1])
    Example:
        >>> ob.models.MLP((64, 100, 10))(np.ones((5, 64))).shape
        (5, 10)
    """

    def __init__(
        self, sizes: Sequence[int], activation: str = "relu", *, rng: Any = None, dtype: Any = None
    ) -> None:
        if len(sizes) < 2:
            raise ShapeError(f"MLP: sizes={sizes!r}", want="the sizes of input and output at least")
        if activation not in _ACTIVATIONS:
            raise DomainError(
                f"MLP: activation={activation!r}", want=f"one of {', '.join(_ACTIVATIONS)}"
            )
        self.sizes, self.activation = tuple(sizes), activation
        layers: list[Any] = []
        for size, after in pairwise(self.sizes):
            layers += [nn.Linear(size, after, rng=rng, dtype=dtype), _ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Any) -> ob.Tensor:
        return self.layers(x)
