"""Gradients made smaller, between `backward()` and `step()`."""

from __future__ import annotations

import math
from typing import Any

import overbar as ob
from overbar.errors import DomainError

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def clip_grad_norm_(params: Any, max_norm: float, norm_type: float = 2.0) -> ob.Tensor:
    """Scale all gradients so that their common norm is at most max_norm; gives the old norm.

    Rule:    p̄ ← p̄ min(1, max_norm / (‖p̄‖ + 10⁻⁶)), the norm over all entries of all gradients.
    Source:  Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent networks.
    Example:
        >>> w = ob.tensor([3.0, 4.0], requires_grad=True)
        >>> (0.5 * (w * w).sum()).backward()
        >>> float(ob.optim.clip_grad_norm_([w], 1.0)), w.grad.numpy().round(3)
        (5.0, array([0.6, 0.8]))
    """
    if not max_norm > 0 or not norm_type > 0:
        raise DomainError(
            f"clip_grad_norm_: max_norm={max_norm}, norm_type={norm_type}", want="positive numbers"
        )
    found = _with_gradients(params)
    if not found:
        return ob.asarray(0.0)
    with ob.no_grad():
        sizes = [abs(p_bar) for _, p_bar in found]
        if norm_type == math.inf:
            norm = ob.stack([size.max() for size in sizes]).max()
        elif norm_type == 2:
            norm = ob.sqrt(sum((size * size).sum() for size in sizes))
        else:
            norm = sum((size**norm_type).sum() for size in sizes) ** (1 / norm_type)
        scale = ob.minimum(max_norm / (norm + 1e-6), 1.0)
        for p, p_bar in found:
            p.grad = p_bar * ob.astype(scale, p.dtype)
    return norm


def clip_grad_value_(params: Any, clip_value: float) -> None:
    """Bring each entry of each gradient into [−clip_value, clip_value]."""
    if not clip_value > 0:
        raise DomainError(f"clip_grad_value_: clip_value={clip_value}", want="a positive number")
    with ob.no_grad():
        for p, p_bar in _with_gradients(params):
            p.grad = ob.clip(p_bar, -clip_value, clip_value)


def _with_gradients(params: Any) -> list[tuple[ob.Tensor, ob.Tensor]]:
    """(p, p̄) of a module's parameters, of an iterable's, or of the tensor itself."""
    if isinstance(params, ob.Tensor):
        params = [params]
    elif isinstance(params, ob.nn.Module):
        params = params.parameters()
    return [(p, p.grad) for p in params if p.grad is not None]
