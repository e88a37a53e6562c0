"""Drawing the next of a sequence from a model's logits."""

from __future__ import annotations

from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DomainError

__all__ = ["drawn"]


def drawn(logits: Any, temperature: float, top: int | None, rng: Any) -> np.ndarray:
    """One index per row, from softmax(logits / temperature), of the `top` likeliest if given.

    Temperature 0 takes the likeliest. By Gumbel's trick: the greatest of logits plus noise.

    Shapes:  logits (N, C)  ->  (N,)
    """
    if temperature < 0:
        raise DomainError(f"sampling: temperature={temperature}", want="0 or more")
    if top is not None and top < 1:
        raise DomainError(f"sampling: top={top}", want="a whole number from 1")
    z = ob.asarray(logits).detach().numpy()
    if temperature == 0:
        return z.argmax(-1)
    if top is not None and top < z.shape[-1]:
        z = np.where(z < np.sort(z)[:, -top, None], -np.inf, z)
    rng = ob.random.default_generator() if rng is None else rng
    noise = -np.log(rng.exponential(z.shape).numpy())
    return (z / temperature + noise).argmax(-1)
