"""The optimisers by name: PyTorch's names and defaults, and the rule each one stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DomainError

from . import rules
from .optimizer import Optimizer

__all__ = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "ProximalSGD"]

Params = Iterable[ob.Tensor]


class SGD(Optimizer):
    """Gradient descent, p ← p − η p̄; with momentum v ← μ v + p̄, p ← p − η v.

    weight_decay adds λ p to the gradient. See `rules.descent` and `rules.momentum`.

    Example:
        >>> w = ob.tensor(3.0, requires_grad=True)
        >>> optimizer = ob.optim.SGD([w], lr=0.1)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> round(float(w), 6)
        2.4
    """

    kinds = "fc"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        _not_negative(momentum=momentum, weight_decay=weight_decay)
        if nesterov and not momentum:
            raise DomainError("SGD: nesterov=True without momentum", hint="momentum=0.9")
        if not momentum:
            super().__init__(params, lr, rules.descent, decay=weight_decay)
        else:
            self.names = ("v",)
            super().__init__(
                params, lr, rules.momentum, friction=momentum, nesterov=nesterov, decay=weight_decay
            )


class Adam(Optimizer):
    """Steps in proportion to m̂ / √v̂, running means of the gradient and of its square.

    weight_decay adds λ p to the gradient. See `rules.adam`.
    """

    names = "m", "v", "t"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        _not_negative(eps=eps, weight_decay=weight_decay)
        super().__init__(
            params, lr, rules.adam, betas=_fractions(betas), eps=eps, decay=weight_decay
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay: p ← (1 − η λ) p before each step. See `rules.adamw`."""

    names = "m", "v", "t"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        _not_negative(eps=eps, weight_decay=weight_decay)
        super().__init__(
            params, lr, rules.adamw, betas=_fractions(betas), eps=eps, decay=weight_decay
        )


class RMSprop(Optimizer):
    """Steps in proportion to p̄ / √s, s a running mean of p̄². See `rules.rmsprop`."""

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        _not_negative(eps=eps, weight_decay=weight_decay, momentum=momentum)
        _fractions((alpha,))
        settings: dict[str, Any] = {"smoothing": alpha, "eps": eps, "decay": weight_decay}
        self.names = ("s", "v") if momentum else ("s",)
        if momentum:
            super().__init__(params, lr, rules.rmsprop_momentum, friction=momentum, **settings)
        else:
            super().__init__(params, lr, rules.rmsprop, **settings)


class Adagrad(Optimizer):
    """Steps in proportion to p̄ / √s, s the sum of all p̄² so far. See `rules.adagrad`."""

    names = "s", "t"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        _not_negative(
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            eps=eps,
            initial_accumulator_value=initial_accumulator_value,
        )
        self.initial = initial_accumulator_value
        super().__init__(params, lr, rules.adagrad, lr_decay=lr_decay, eps=eps, decay=weight_decay)

    def start(self, name: str, p: ob.Tensor) -> ob.Tensor:
        if name == "s" and self.initial:
            return ob.tensor(np.full(p.shape, self.initial, p.dtype))
        return super().start(name, p)


class ProximalSGD(Optimizer):
    """Gradient descent on loss + l1 ‖p‖₁ that reaches exact zeros. See `rules.proximal`.

    Give it the loss without the penalty; weight_decay adds ½ λ ‖p‖² (the elastic net).

    Example:
        >>> w = ob.tensor([2.0, 0.05], requires_grad=True)
        >>> optimizer = ob.optim.ProximalSGD([w], lr=1.0, l1=0.1)
        >>> (0.5 * ((w - ob.tensor([2.0, 0.05])) ** 2).sum()).backward()
        >>> optimizer.step()
        >>> w.tolist()
        [1.9, 0.0]
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, l1: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        _not_negative(l1=l1, weight_decay=weight_decay)
        super().__init__(params, lr, rules.proximal, l1=l1, decay=weight_decay)


def _not_negative(**numbers: float) -> None:
    for name, x in numbers.items():
        if not x >= 0:
            raise DomainError(f"{name}={x}", want="a number from 0")


def _fractions(betas: Iterable[float]) -> tuple[float, ...]:
    betas = tuple(float(beta) for beta in betas)
    if not all(0 <= beta < 1 for beta in betas):
        raise DomainError(f"running means with the factors {betas}", want="numbers from 0, below 1")
    return betas
