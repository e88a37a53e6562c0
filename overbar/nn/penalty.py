"""Penalties on parameters, to be added to a loss. No hidden factor: what stands here is summed.

Each takes a module, a tensor, or several tensors. |x|′ = 0 at 0; for exact zeros take
`optim.ProximalSGD`.
"""

from __future__ import annotations

from typing import Any

import overbar as ob

from .roles import parameters_of

__all__ = ["l1", "l2", "elastic"]


def l1(params: Any) -> ob.Tensor:
    """‖W‖₁ = Σ |w|.

    Example:
        >>> float(ob.nn.penalty.l1(ob.tensor([3.0, -4.0])))
        7.0
    """
    return _summed([abs(w).sum() for w in parameters_of(params)])


def l2(params: Any) -> ob.Tensor:
    """‖W‖² = Σ w², without a factor ½.

    Example:
        >>> float(ob.nn.penalty.l2(ob.tensor([3.0, -4.0])))
        25.0
    """
    return _summed([(w * w).sum() for w in parameters_of(params)])


def elastic(params: Any, alpha: float, beta: float) -> ob.Tensor:
    """α ‖W‖² + β ‖W‖₁.

    Source:  Zou and Hastie (2005), Regularization and variable selection via the elastic net.
    Example:
        >>> float(ob.nn.penalty.elastic(ob.tensor([3.0, -4.0]), 1.0, 10.0))
        95.0
    """
    params = parameters_of(params)
    return alpha * l2(params) + beta * l1(params)


def _summed(terms: list[ob.Tensor]) -> ob.Tensor:
    total = ob.asarray(0.0) if not terms else terms[0]
    for term in terms[1:]:
        total = total + term
    return total
