"""A network, what is minimised, and the step that moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import overbar as ob
from overbar import nn

__all__ = ["Loss", "Training", "assign", "linear_maps", "objective_of"]

Loss = Callable[[Any, Any], ob.Tensor]
"""How wrong outputs are, row by row."""
PATIENCE = 200
"""Steps after which training is compiled: a short one is over before a compiler would be."""


def objective_of(losses: Loss, alpha: float) -> Callable[..., ob.Tensor]:
    """What is minimised: (Σ wᵢ lossᵢ + ½ α ‖W‖²) / Σ wᵢ; a row of weight 2 is two rows."""

    def objective(model: Any, x: Any, t: Any, w: Any) -> ob.Tensor:
        weights = nn.penalty.l2([layer.weight for layer in linear_maps(model)])
        return (ob.sum(w * losses(model(x), t)) + 0.5 * alpha * weights) / ob.sum(w)

    return objective


class Training:
    """A network on its way: its optimiser, and the step that moves it."""

    def __init__(self, model: Any, objective: Callable[..., ob.Tensor], optimizer: Any) -> None:
        def step(*batch: Any) -> ob.Tensor:
            L = objective(model, *batch)
            L.backward()
            optimizer.step()
            optimizer.zero_grad()
            return L

        self.optimizer = optimizer
        self._eager, self._compiled, self._steps = step, ob.jit(step), 0

    def step(self, *batch: np.ndarray) -> float:
        """One step down; the loss of the batch before it."""
        self._steps += 1
        return (self._compiled if self._steps > PATIENCE else self._eager)(*batch).item()


def linear_maps(model: Any) -> list[Any]:
    """The linear maps of a network."""
    return [layer for layer in model.layers if isinstance(layer, nn.Linear)]


def assign(params: Iterable[ob.Tensor], values: Iterable[np.ndarray]) -> None:
    """Give parameters these values."""
    params = list(params)
    ob.rebind(params, [ob.asarray(x, dtype=p.dtype) for p, x in zip(params, values, strict=True)])
