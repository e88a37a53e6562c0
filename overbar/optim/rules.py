"""The update rules: pure functions of one parameter p, its gradient p̄ and its state.

Each gives (p, *state), new. Greek letters of the formulas are words in the code: η lr, μ friction,
β beta, ε eps, λ decay. `with_decay` adds the coupled weight decay that most of them share: the
gradient of ½ λ ‖p‖².
"""

from __future__ import annotations

from typing import Any

import overbar as ob


def with_decay(p_bar: Any, p: Any, decay: float) -> Any:
    """p̄ + λ p."""
    return p_bar + decay * p if decay else p_bar


def descent(p: Any, p_bar: Any, *, lr: Any, decay: float = 0.0) -> tuple:
    """Gradient descent: p ← p − η p̄."""
    return (p - lr * with_decay(p_bar, p, decay),)


def momentum(
    p: Any,
    p_bar: Any,
    v: Any,
    *,
    lr: Any,
    friction: float = 0.9,
    nesterov: bool = False,
    decay: float = 0.0,
) -> tuple:
    """Gradient descent with momentum: v ← μ v + p̄,  p ← p − η v.   (Nesterov: p ← p − η (p̄ + μ v))

    Source:  Polyak (1964); Sutskever et al. (2013), in PyTorch's form: η outside of v.
    """
    p_bar = with_decay(p_bar, p, decay)
    v = friction * v + p_bar
    return p - lr * (p_bar + friction * v if nesterov else v), v


def adam(
    p: Any,
    p_bar: Any,
    m: Any,
    v: Any,
    t: Any,
    *,
    lr: Any,
    betas: tuple = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.0,
) -> tuple:
    """Adam: m ← β₁ m + (1 − β₁) p̄,  v ← β₂ v + (1 − β₂) p̄²,  p ← p − η m̂ / (√v̂ + ε).

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) undo the start at zero; t counts the steps.

    Source:  Kingma and Ba (2015), Adam: a method for stochastic optimization.
    """
    p_bar = with_decay(p_bar, p, decay)
    (beta1, beta2), t = betas, t + 1
    m = beta1 * m + (1 - beta1) * p_bar
    v = beta2 * v + (1 - beta2) * p_bar * p_bar
    m_scale, v_scale = (1 / ob.astype(1 - beta**t, p.dtype) for beta in betas)
    return p - (lr * m_scale) * m / (ob.sqrt(v * v_scale) + eps), m, v, t


def adamw(
    p: Any,
    p_bar: Any,
    m: Any,
    v: Any,
    t: Any,
    *,
    lr: Any,
    betas: tuple = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.01,
) -> tuple:
    """Adam with decoupled weight decay: p ← (1 − η λ) p, then as Adam with p̄ alone.

    Source:  Loshchilov and Hutter (2019), Decoupled weight decay regularization.
    """
    return adam(p * (1 - lr * decay), p_bar, m, v, t, lr=lr, betas=betas, eps=eps)


def rmsprop(
    p: Any,
    p_bar: Any,
    s: Any,
    *,
    lr: Any,
    smoothing: float = 0.99,
    eps: float = 1e-8,
    decay: float = 0.0,
) -> tuple:
    """RMSprop: s ← α s + (1 − α) p̄²,  p ← p − η p̄ / (√s + ε).   (α = smoothing)

    Source:  Tieleman and Hinton (2012), lecture 6.5 of Neural networks for machine learning.
    """
    p_bar = with_decay(p_bar, p, decay)
    s = smoothing * s + (1 - smoothing) * p_bar * p_bar
    return p - lr * p_bar / (ob.sqrt(s) + eps), s


def rmsprop_momentum(
    p: Any,
    p_bar: Any,
    s: Any,
    v: Any,
    *,
    lr: Any,
    smoothing: float = 0.99,
    eps: float = 1e-8,
    friction: float = 0.9,
    decay: float = 0.0,
) -> tuple:
    """RMSprop with momentum: s as in `rmsprop`,  v ← μ v + p̄ / (√s + ε),  p ← p − η v."""
    p_bar = with_decay(p_bar, p, decay)
    s = smoothing * s + (1 - smoothing) * p_bar * p_bar
    v = friction * v + p_bar / (ob.sqrt(s) + eps)
    return p - lr * v, s, v


def adagrad(
    p: Any,
    p_bar: Any,
    s: Any,
    t: Any,
    *,
    lr: Any,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    decay: float = 0.0,
) -> tuple:
    """Adagrad: s ← s + p̄²,  p ← p − ηₜ p̄ / (√s + ε),  ηₜ = η / (1 + (t − 1) d).   (d = lr_decay)

    Source:  Duchi, Hazan and Singer (2011), Adaptive subgradient methods.
    """
    p_bar, t = with_decay(p_bar, p, decay), t + 1
    s = s + p_bar * p_bar
    lr = lr / ob.astype(1 + (t - 1) * lr_decay, p.dtype)
    return p - lr * p_bar / (ob.sqrt(s) + eps), s, t


def proximal(p: Any, p_bar: Any, *, lr: Any, l1: float, decay: float = 0.0) -> tuple:
    """Proximal gradient descent: q ← p − η p̄,  p ← sign(q) max(|q| − η λ₁, 0).

    The second half is exact where |p| has no derivative, so that weights become 0 and stay there.
    It minimises loss + λ₁ ‖p‖₁; the loss that is differentiated leaves the penalty out.

    Source:  Parikh and Boyd (2014), Proximal algorithms, sections 4.2 and 6.5.2.
    """
    q = p - lr * with_decay(p_bar, p, decay)
    return (ob.sign(q) * ob.maximum(abs(q) - lr * l1, 0),)
