"""Stochastic optimisers: short functions of (grad, x0), for trees of arrays.

`grad(x, i)` gives the gradient at step i; `callback(x, i, g)` looks on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import numpy as np
from ..wrap_util import wraps
from .flatten import flatten


def unflatten_optimizer(optimize: Callable[..., Any]) -> Callable[..., Any]:
    """An optimiser of vectors as one of trees."""

    @wraps(optimize)
    def optimized(grad: Any, x0: Any, callback: Any = None, *args: Any, **kwargs: Any) -> Any:
        vector, unflatten = flatten(x0)

        def slope(x: Any, i: int) -> Any:
            return flatten(grad(unflatten(x), i))[0]

        def look(x: Any, i: int, g: Any) -> None:
            callback(unflatten(x), i, unflatten(g))

        return unflatten(optimize(slope, vector, look if callback else None, *args, **kwargs))

    return optimized


def _steps(grad: Any, x: Any, callback: Any, count: int, step: Callable[..., Any]) -> Any:
    for i in range(count):
        g = grad(x, i)
        if callback:
            callback(x, i, g)
        x = step(x, i, g)
    return x


@unflatten_optimizer
def sgd(grad: Any, x: Any, callback: Any = None, num_iters: int = 200, step_size: float = 0.1,
        mass: float = 0.9) -> Any:  # fmt: skip
    """Gradient descent with momentum: v ← m v − (1 − m) g,  x ← x + η v."""
    v = np.zeros(len(x))

    def step(x: Any, _i: int, g: Any) -> Any:
        nonlocal v
        v = mass * v - (1 - mass) * g
        return x + step_size * v

    return _steps(grad, x, callback, num_iters, step)


@unflatten_optimizer
def rmsprop(grad: Any, x: Any, callback: Any = None, num_iters: int = 100, step_size: float = 0.1,
            gamma: float = 0.9, eps: float = 1e-8) -> Any:  # fmt: skip
    """RMSprop: s ← γ s + (1 − γ) g²,  x ← x − η g / (√s + ε)."""
    s = np.ones(len(x))

    def step(x: Any, _i: int, g: Any) -> Any:
        nonlocal s
        s = gamma * s + (1 - gamma) * g**2
        return x - step_size * g / (np.sqrt(s) + eps)

    return _steps(grad, x, callback, num_iters, step)


@unflatten_optimizer
def adam(grad: Any, x: Any, callback: Any = None, num_iters: int = 100, step_size: float = 0.001,
         b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Any:  # fmt: skip
    """Adam: m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − η m̂ / (√v̂ + ε)."""
    m = v = np.zeros(len(x))

    def step(x: Any, i: int, g: Any) -> Any:
        nonlocal m, v
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1 ** (i + 1)), v / (1 - b2 ** (i + 1))
        return x - step_size * m_hat / (np.sqrt(v_hat) + eps)

    return _steps(grad, x, callback, num_iters, step)
