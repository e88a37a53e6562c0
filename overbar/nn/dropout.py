"""Dropout: noise that keeps a network from relying on any one number."""

from __future__ import annotations

from typing import Any

import overbar as ob
from overbar.errors import DomainError

from .module import Module

__all__ = ["Dropout", "dropout"]


def dropout(x: Any, p: float = 0.5, training: bool = True, *, rng: Any = None) -> ob.Tensor:
    """Each number 0 with probability p and divided by 1 − p otherwise; x itself if not training.

    Rule:    x̄ = ȳ / (1 − p) where x was kept, 0 elsewhere, even if x is infinite or NaN there.
    """
    if not 0 <= p <= 1:
        raise DomainError(f"dropout: p={p} is no probability", want="a number from 0 to 1")
    x = ob.asarray(x)
    if not training or p == 0:
        return x[...]  # not x itself: `y += 1` shall mean the same in training and after it
    rng = ob.random.default_generator() if rng is None else rng
    kept = rng.uniform(x.shape, dtype=ob.float32) >= p
    return ob.where(kept, x if p == 1 else x / (1 - p), 0)


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
        return dropout(x, self.p, self.training, rng=self.rng)
