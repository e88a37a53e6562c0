"""Activations as modules; the functions are `ob`'s own."""

from __future__ import annotations

from typing import Any

import overbar as ob

from .module import Module

__all__ = [
    "ReLU", "LeakyReLU", "ELU", "Sigmoid", "Tanh", "Softplus", "GELU", "SiLU", "Softmax",
]  # fmt: skip


class ReLU(Module):
    """max(0, x); its derivative at 0 is 0, or what `ob.config(kinks=)` says."""

    def forward(self, x: Any) -> ob.Tensor:
        return ob.relu(x)


class LeakyReLU(Module):
    """x right of zero, slope · x left of it."""

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def forward(self, x: Any) -> ob.Tensor:
        return ob.leaky_relu(x, self.slope)


class ELU(Module):
    """x right of zero, alpha (eˣ − 1) left of it."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> ob.Tensor:
        return ob.elu(x, self.alpha)


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ)."""

    def forward(self, x: Any) -> ob.Tensor:
        return ob.sigmoid(x)


class Tanh(Module):
    """tanh x."""

    def forward(self, x: Any) -> ob.Tensor:
        return ob.tanh(x)


class Softplus(Module):
    """(1/beta) log(1 + exp(beta x)): a smooth relu."""

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def forward(self, x: Any) -> ob.Tensor:
        return ob.softplus(x, self.beta)


class GELU(Module):
    """x Φ(x), Φ the normal distribution function; `approximate` takes the tanh formula."""

    def __init__(self, approximate: bool = False) -> None:
        self.approximate = approximate

    def forward(self, x: Any) -> ob.Tensor:
        return ob.gelu(x, self.approximate)


class SiLU(Module):
    """x σ(x)."""

    def forward(self, x: Any) -> ob.Tensor:
        return ob.silu(x)


class Softmax(Module):
    """exp(xᵢ) / Σ exp(xⱼ) along an axis: a soft argmax."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> ob.Tensor:
        return ob.softmax(x, self.axis)
