"""What the layers compute, as functions of tensors; the losses are in `losses`, and here too.

Real inputs are taken into the dtype of the parameters, by a visible `astype`: float64 data from
NumPy and a float32 network give float32 results.
"""

from __future__ import annotations

import math
from typing import Any

import overbar as ob
from overbar import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus, tanh
from overbar.errors import DomainError, ShapeError

from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
    squared_error,
)

__all__ = [
    "linear", "flatten", "dropout", "like",
    "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "silu",
    "softmax", "log_softmax",
    "mse_loss", "l1_loss", "squared_error", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "cross_entropy", "nll_loss", "huber_loss", "smooth_l1_loss",
]  # fmt: skip


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


def dropout(x: Any, p: float = 0.5, training: bool = True, *, rng: Any = None) -> ob.Tensor:
    """Each number 0 with probability p and divided by 1 − p otherwise; x itself if not training.

    Rule:    x̄ = ȳ / (1 − p) where x was kept, 0 elsewhere, even if x is infinite or NaN there.
    """
    if not 0 <= p <= 1:
        raise DomainError(f"dropout: p={p} is no probability", want="a number from 0 to 1")
    x = ob.asarray(x)
    if not training or p == 0:
        return x
    rng = ob.random.default_generator() if rng is None else rng
    kept = rng.uniform(x.shape, dtype=ob.float32) >= p
    return ob.where(kept, x if p == 1 else x / (1 - p), 0)
