"""L-BFGS: Newton's direction from the last few steps, for functions that are not noisy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DomainError, StructureError

from .optimizer import Optimizer
from .wolfe import Trial, strong_wolfe

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Steps along −H ḡ, where H is the inverse Hessian as the last steps s and the changes y of the
    gradient make it seem: H ← (1 − s yᵀ/yᵀs) H (1 − y sᵀ/yᵀs) + s sᵀ/yᵀs.

    PyTorch's names and defaults. `step(closure)` takes up to max_iter such steps; the closure
    clears the gradients, computes the loss, calls backward and returns the loss. With
    line_search_fn="strong_wolfe" each step is as long as it should be; without, it is lr.

    tolerance_grad     stop when no entry of the gradient is larger
    tolerance_change   stop when neither the parameters nor the loss change by more
    history_size       how many steps are remembered

    Raises:  DomainError for another line search, or a loss that is not finite at the start.
    Source:  Nocedal (1980), Updating quasi-Newton matrices with limited storage; Nocedal and Wright
             (2006), algorithm 7.4.
    Example:
        >>> x = ob.tensor([-1.2, 1.0], requires_grad=True)
        >>> optimizer = ob.optim.LBFGS([x], line_search_fn="strong_wolfe", max_iter=50)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        ...     loss.backward()
        ...     return loss
        >>> loss = optimizer.step(closure)
        >>> float(closure()) < 1e-6
        True
    """

    def __init__(
        self,
        params: Iterable[ob.Tensor],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn not in (None, "strong_wolfe"):
            raise DomainError(
                f"LBFGS: line_search_fn={line_search_fn!r}", want='None or "strong_wolfe"'
            )
        super().__init__(
            params, lr, _no_rule, max_iter=max_iter,
            max_eval=max_iter * 5 // 4 if max_eval is None else max_eval,
            tolerance_grad=tolerance_grad, tolerance_change=tolerance_change,
            history_size=history_size, line_search_fn=line_search_fn,
        )  # fmt: skip
        self._direction = self._gradient = np.zeros(0)
        self._length = 0.0
        self._steps: list[np.ndarray] = []
        self._changes: list[np.ndarray] = []
        self._scale = 1.0

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to max_iter steps; the loss that the closure gave before the first."""
        if closure is None:
            raise DomainError(
                "LBFGS: step() needs a function that computes the loss again",
                want="step(closure), where closure() clears the gradients, calls backward and "
                "returns the loss",
            )
        settings: dict[str, Any] = self.settings
        first = closure()
        value, gradient = float(first), self._flat_gradient()
        if not np.isfinite(value):
            raise DomainError(
                f"LBFGS: the loss is {value} at the start",
                hint="ob.why_nan(loss) says where it comes from",
            )
        runs = 1
        for i in range(1, settings["max_iter"] + 1):
            if np.abs(gradient).max(initial=0.0) <= settings["tolerance_grad"]:
                break
            fresh = not self._gradient.size
            self._remember(gradient)
            direction = self._direction = -self._newton(gradient)
            self._gradient, before = gradient, value
            rate = float(self.lr)
            t = min(1.0, 1.0 / np.abs(gradient).sum()) * rate if fresh else rate
            slope = float(gradient @ direction)
            if slope > -settings["tolerance_change"]:
                break
            here = self._values()
            if settings["line_search_fn"] is None:
                self._go(here, t * direction)
                tried = 0
                if i < settings["max_iter"]:
                    value, gradient, tried = float(closure()), self._flat_gradient(), 1
            else:

                def look(t: float, here: Any = here, direction: Any = direction) -> Trial:
                    self._go(here, t * direction)
                    value, gradient = float(closure()), self._flat_gradient()
                    return Trial(t, value, gradient, float(gradient @ direction))

                reach = float(np.abs(direction).max())
                found, tried = strong_wolfe(look, Trial(0.0, value, gradient, slope), t, reach)
                t, value, gradient = found.t, found.value, found.gradient
                self._go(here, t * direction)
            self._length = t
            runs += tried
            moved = np.abs(t * direction).max(initial=0.0)
            change = settings["tolerance_change"]
            if runs >= settings["max_eval"] or moved <= change or abs(value - before) < change:
                break
        return first

    def _remember(self, gradient: np.ndarray) -> None:
        """The last step and the change of the gradient it made."""
        if not self._gradient.size:
            return
        y, s = gradient - self._gradient, self._length * self._direction
        curvature = float(y @ s)
        if curvature > 1e-10:
            self._steps.append(s)
            self._changes.append(y)
            keep: int = self.settings["history_size"]  # type: ignore[assignment]
            del self._steps[:-keep], self._changes[:-keep]
            self._scale = curvature / float(y @ y)

    def _newton(self, q: np.ndarray) -> np.ndarray:
        """H q, by two loops over what is remembered."""
        pairs = list(zip(self._steps, self._changes, strict=True))
        weights = []
        for s, y in reversed(pairs):
            a = float(s @ q) / float(y @ s)
            weights.append(a)
            q = q - a * y
        q = self._scale * q
        for (s, y), a in zip(pairs, reversed(weights), strict=True):
            q = q + (a - float(y @ q) / float(y @ s)) * s
        return q

    # -- parameters as one vector -------------------------------------------------------------

    def _values(self) -> list[np.ndarray]:
        return [p.numpy() for p in self.params]

    def _flat_gradient(self) -> np.ndarray:
        return np.concatenate([
            np.zeros(p.size, p.dtype) if p.grad is None else np.ravel(p.grad.numpy())
            for p in self.params
        ])  # fmt: skip

    def _go(self, here: list[np.ndarray], by: np.ndarray) -> None:
        """All parameters at once to so far from where they were."""
        moved, start = [], 0
        for x in here:
            step = by[start : start + x.size].reshape(x.shape)
            moved.append(ob.tensor((x + step).astype(x.dtype)))
            start += x.size
        ob.rebind(self.params, moved)

    # -- saving -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """lr, settings and what is remembered, for a checkpoint."""
        state = super().state_dict()
        state["state"] = {
            "direction": self._direction, "gradient": self._gradient, "length": self._length,
            "scale": self._scale, "steps": np.array(self._steps),
            "changes": np.array(self._changes),
        }  # fmt: skip
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state.

        Raises:  StructureError if it is that of another optimiser, or of other parameters.
        """
        known = dict(state.get("state", {}))
        size = sum(p.size for p in self.params)
        sizes = {np.asarray(known.get(k, ())).shape[-1:] for k in ("direction", "gradient")}
        if set(known) != {"direction", "gradient", "length", "scale", "steps", "changes"} or (
            sizes - {(0,), (size,)}
        ):
            raise StructureError(
                "load_state_dict: this is not the state of this LBFGS",
                want="the state_dict() of an LBFGS with parameters alike",
            )
        super().load_state_dict({**state, "state": {}})
        known = {k: np.asarray(v) for k, v in known.items()}
        self._direction, self._gradient = known["direction"], known["gradient"]
        self._length, self._scale = float(known["length"]), float(known["scale"])
        self._steps, self._changes = list(known["steps"]), list(known["changes"])


def _no_rule(*_: Any, **__: Any) -> tuple:
    raise NotImplementedError("LBFGS moves all parameters together")
