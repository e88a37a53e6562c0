"""Schedules: the learning rate as a function of the number of steps taken.

Each is one formula `at(n)`, η after n calls of `step()`, written with tensors: so a schedule may be
part of a compiled step. η₀ is the optimiser's rate when the schedule is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import overbar as ob
from overbar.errors import DomainError, StructureError
from overbar.settings import Checked

from .optimizer import Optimizer

__all__ = [
    "LRScheduler", "LambdaLR", "StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR",
    "LinearLR", "SequentialLR", "ReduceLROnPlateau",
]  # fmt: skip


class LRScheduler(Checked):
    """A schedule: it sets `optimizer.lr` when it is made, and in each `step()`."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base = optimizer.lr.detach()
        self.count = ob.tensor(0.0, name="count")
        optimizer.lr = self.at(self.count)

    def at(self, n: Any) -> Any:
        """The learning rate after n steps."""
        raise NotImplementedError(f"{type(self).__name__} has no at(self, n)")

    def step(self) -> None:
        """Count one step, or one epoch, and set the rate."""
        n = self.count + 1
        lr = ob.asarray(self.at(n), dtype=ob.float64)
        ob.rebind([self.count, self.optimizer.lr], [n.detach(), lr.detach()])

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands."""
        return {"base": self.base.detach(), "count": self.count.detach()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there; the optimiser's own state has the rate."""
        if state.keys() != {"base", "count"}:
            raise StructureError(
                f"load_state_dict: no state of a {type(self).__name__}",
                got={"state": f"{sorted(state)}"},
            )
        ob.rebind(
            [self.base, self.count],
            [ob.asarray(state[k], dtype=ob.float64).detach() for k in ("base", "count")],
        )


class LambdaLR(LRScheduler):
    """η₀ f(n) for a function f of one's own."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[Any], Any]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def at(self, n: Any) -> Any:
        return self.base * self.lr_lambda(n)


class StepLR(LRScheduler):
    """η₀ γ^⌊n / step_size⌋."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = _positive("step_size", step_size), gamma
        super().__init__(optimizer)

    def at(self, n: Any) -> Any:
        return self.base * self.gamma ** ob.floor(n / self.step_size)


class MultiStepLR(LRScheduler):
    """η₀ γᵏ, k the number of milestones that n has reached."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def at(self, n: Any) -> Any:
        lr = self.base
        for milestone in self.milestones:
            lr = ob.where(n >= milestone, self.gamma * lr, lr)
        return lr


class ExponentialLR(LRScheduler):
    """η₀ γⁿ."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def at(self, n: Any) -> Any:
        return self.base * self.gamma**n


class CosineAnnealingLR(LRScheduler):
    """η_min + ½ (η₀ − η_min) (1 + cos(π n / T_max)): down to η_min in T_max steps.

    Source:  Loshchilov and Hutter (2017), SGDR, without the restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = _positive("T_max", T_max), eta_min
        super().__init__(optimizer)

    def at(self, n: Any) -> Any:
        return self.eta_min + 0.5 * (self.base - self.eta_min) * (
            1 + ob.cos(math.pi * n / self.T_max)
        )


class LinearLR(LRScheduler):
    """η₀ times a factor that goes from `start_factor` to `end_factor` in total_iters steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = _positive("total_iters", total_iters)
        super().__init__(optimizer)

    def at(self, n: Any) -> Any:
        done = ob.minimum(n, self.total_iters) / self.total_iters
        return self.base * (self.start_factor + (self.end_factor - self.start_factor) * done)


class SequentialLR(LRScheduler):
    """One schedule after the other, the next from each milestone on, counting from there.

    Make all of them first, with the same optimiser; each starts from the η₀ of the first.

    Example:
        >>> optimizer = ob.optim.SGD([ob.nn.Parameter(1.0)], lr=1.0)
        >>> S = ob.optim.lr_scheduler
        >>> warm, down = S.LinearLR(optimizer, 0.5, total_iters=2), S.ExponentialLR(optimizer, 0.5)
        >>> schedule = S.SequentialLR(optimizer, [warm, down], milestones=[2])
        >>> rates = [float(optimizer.lr)]
        >>> for _ in range(4):
        ...     schedule.step()
        ...     rates.append(float(optimizer.lr))
        >>> rates
        [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]
    ) -> None:
        if len(schedulers) != len(milestones) + 1 or list(milestones) != sorted(milestones):
            raise StructureError(
                f"SequentialLR: {len(schedulers)} schedules and the milestones {list(milestones)}",
                want="one milestone fewer than schedules, in ascending order",
            )
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        for scheduler in schedulers[1:]:
            scheduler.base.rebind(schedulers[0].base.detach())
        optimizer.lr = schedulers[0].base
        super().__init__(optimizer)

    def at(self, n: Any) -> Any:
        lr = self.schedulers[0].at(n)
        for milestone, scheduler in zip(self.milestones, self.schedulers[1:], strict=True):
            lr = ob.where(n >= milestone, scheduler.at(n - milestone), lr)
        return lr


class ReduceLROnPlateau(Checked):
    """η ← factor · η when `step(metric)` has brought nothing better for more than `patience` calls.

    Better: below (1 − threshold) · best for mode "min", above (1 + threshold) · best for "max".
    It looks at numbers, so it belongs outside of a compiled step.
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0,
    ) -> None:  # fmt: skip
        if mode not in ("min", "max") or not 0 < factor < 1:
            raise DomainError(
                f"ReduceLROnPlateau: mode={mode!r}, factor={factor}",
                want='"min" or "max"; a factor between 0 and 1',
            )
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.cooldown, self.min_lr = threshold, cooldown, min_lr
        self.best, self.bad, self.resting = math.inf if mode == "min" else -math.inf, 0, 0

    def step(self, metric: Any) -> None:
        """Judge one epoch by its metric."""
        metric = float(metric)
        if self.mode == "min":
            better = metric < self.best * (1 - self.threshold)
        else:
            better = metric > self.best * (1 + self.threshold)
        self.best, self.bad = (metric, 0) if better else (self.best, self.bad + 1)
        if self.resting:
            self.resting, self.bad = self.resting - 1, 0
        if self.bad > self.patience:
            self.optimizer.lr = max(float(self.optimizer.lr) * self.factor, self.min_lr)
            self.resting, self.bad = self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands."""
        return {"best": self.best, "bad": self.bad, "resting": self.resting}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        if state.keys() != {"best", "bad", "resting"}:
            raise StructureError(
                "load_state_dict: no state of a ReduceLROnPlateau",
                got={"state": f"{sorted(state)}"},
            )
        self.best, self.bad, self.resting = (
            float(state["best"]),
            int(state["bad"]),
            int(state["resting"]),
        )


def _positive(name: str, n: int) -> int:
    if n < 1:
        raise DomainError(f"{name}={n}", want="a whole number from 1")
    return n
