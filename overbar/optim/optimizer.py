"""`Optimizer`: what all optimisers share. The formulas are in `rules`, the step is here.

A rule is a pure function of one parameter p, its gradient p̄ and its state; it gives the new ones.
The optimiser holds the handles of both, allocated when it is made, and in each step computes all
new values first and then rebinds all handles at once: a step that is interrupted has not happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DomainError, DTypeError, StructureError
from overbar.settings import Checked

__all__ = ["Optimizer"]


class Optimizer(Checked):
    """Parameters, their state, and a rule that moves both. Subclasses choose the rule.

    rule      (p, p_bar, *state, lr=, **settings) -> (p, *state), all tensors
    state     for each parameter one tensor per name in `names`
    settings  numbers that the rule takes by name

    What is updated are leaves: no history grows from step to step. Parameters without a gradient
    are left alone, with their state.
    """

    names: tuple[str, ...] = ()
    kinds = "f"
    """Which dtypes the rule is right for: f real, c complex."""

    def __init__(
        self, params: Iterable[ob.Tensor], lr: float, rule: Callable[..., tuple], **settings: Any
    ) -> None:
        self.rule, self.settings = rule, settings
        self.params = _checked(params, type(self).__name__, self.kinds)
        self._lr = ob.tensor(_rate(lr), dtype=ob.float64, name="lr")
        self.state = [{name: self.start(name, p) for name in self.names} for p in self.params]

    def start(self, name: str, p: ob.Tensor) -> ob.Tensor:
        """The state called `name` before the first step: zeros like p, or 0 for the count t."""
        if name == "t":
            return ob.tensor(0.0, dtype=ob.float64, name="t")
        return ob.tensor(np.zeros(p.shape, p.dtype), name=f"{p.name}.{name}" if p.name else name)

    @property
    def lr(self) -> ob.Tensor:
        """The learning rate: a tensor without axes. Assigning a number sets it."""
        return self._lr

    @lr.setter
    def lr(self, lr: Any) -> None:
        if lr is not self._lr:
            rate = lr if isinstance(lr, ob.Tensor) else _rate(lr)
            self._lr.rebind(ob.asarray(rate, dtype=ob.float64).detach())

    def step(self) -> None:
        """Move every parameter that has a gradient. Ctrl-C comes before it or after it."""
        ob.rebind(*self._moved())

    @ob.no_grad()
    def _moved(self) -> tuple[list[ob.Tensor], list[ob.Tensor]]:
        """The parameters and their state, and what they are after a step."""
        handles: list[ob.Tensor] = []
        values: list[ob.Tensor] = []
        rates: dict[np.dtype, ob.Tensor] = {}
        for p, state in zip(self.params, self.state, strict=True):
            p_bar = p.grad
            if p_bar is None:
                continue
            if p.dtype not in rates:
                rates[p.dtype] = ob.astype(self._lr, p.dtype)
            own = [p, *state.values()]
            new = self.rule(own[0], p_bar, *own[1:], lr=rates[p.dtype], **self.settings)
            handles += own
            values += [v.detach() for v in new]
        return handles, values

    def zero_grad(self) -> None:
        """Forget the gradients of its parameters."""
        for p in self.params:
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """lr, settings and state, for a checkpoint; parameters are the model's to save."""
        state = {f"{i}.{name}": t.detach() for i, name, t in self._state()}
        return {"lr": self._lr.detach(), "settings": dict(self.settings), "state": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state, all or none.

        Raises:  StructureError if it is that of another optimiser, or of other parameters.
        """
        own = {f"{i}.{name}": t for i, name, t in self._state()}
        given = {name: ob.asarray(value) for name, value in state.get("state", {}).items()}
        wrong = [f"{name} is missing" for name in own.keys() - given.keys()]
        wrong += [f"{name} is not known here" for name in given.keys() - own.keys()]
        wrong += [
            f"{name} is {list(given[name].shape)}, here it is {list(t.shape)}"
            for name, t in own.items()
            if name in given and given[name].shape != t.shape
        ]
        settings = {
            name: tuple(x) if isinstance(x, list) else x
            for name, x in state.get("settings", {}).items()
        }
        if settings.keys() != self.settings.keys() or "lr" not in state:
            wrong.append(
                f"it has the settings {sorted(settings)}, here they are {sorted(self.settings)}"
            )
        if wrong:
            raise StructureError(
                f"load_state_dict: this is not the state of this {type(self).__name__}\n    "
                + "\n    ".join(sorted(wrong)),
                want=f"the state_dict() of a {type(self).__name__} with parameters alike",
            )
        values = [ob.asarray(given[name], dtype=t.dtype).detach() for name, t in own.items()]
        ob.rebind(
            [self._lr, *own.values()], [ob.asarray(state["lr"], dtype=ob.float64).detach(), *values]
        )
        self.settings = settings

    def _state(self) -> Iterable[tuple[int, str, ob.Tensor]]:
        return ((i, name, t) for i, state in enumerate(self.state) for name, t in state.items())

    def __repr__(self) -> str:
        count = sum(p.size for p in self.params)
        shown = "".join(f", {name}={x}" for name, x in self.settings.items())
        size = f"{len(self.params)} tensors, {count:,} numbers"
        return f"{type(self).__name__}({size}, lr={self._lr:g}{shown})"


def _checked(params: Iterable[ob.Tensor], name: str, kinds: str) -> list[ob.Tensor]:
    """The parameters as a list, if each is one and none comes twice."""
    if isinstance(params, ob.Tensor):
        raise DTypeError(
            f"{name}: the parameters come in a list",
            got={"params": params},
            hint="[w], or model.parameters()",
        )
    params = list(params.values() if isinstance(params, Mapping) else params)
    if not params:
        raise StructureError(
            f"{name}: there are no parameters",
            hint="an iterator, such as model.parameters(), is used up after one pass",
        )
    for i, p in enumerate(params):
        if isinstance(p, Mapping):
            raise StructureError(
                f"{name}: groups of parameters are not known",
                hint="make one optimiser for each group",
            )
        if not isinstance(p, ob.Tensor):
            raise DTypeError(
                f"{name}: parameter {i} is no tensor but a {type(p).__name__}",
                want="tensors that ask for gradients",
            )
        if not p.is_leaf:
            raise StructureError(
                f"{name}: parameter {i} was computed, and only what was given can be trained",
                got={"parameter": p},
                hint="make it with nn.Parameter, or ob.tensor(..., requires_grad=True)",
            )
        if p.dtype.kind not in kinds:
            raise DTypeError(
                f"{name}: parameter {i} is of a kind that it cannot train", got={"parameter": p}
            )
    if len({id(p) for p in params}) < len(params):
        first = next(i for i, p in enumerate(params) if any(p is q for q in params[:i]))
        called = f" ({params[first].name})" if params[first].name else ""
        raise StructureError(
            f"{name}: parameter {first}{called} comes twice, so it would be moved twice",
            hint="model.parameters() gives each once",
        )
    return params


def _rate(lr: Any) -> float:
    rate = float(lr)
    if not 0 <= rate < float("inf"):
        raise DomainError(f"lr={lr} is no learning rate", want="a finite number from 0")
    return rate
