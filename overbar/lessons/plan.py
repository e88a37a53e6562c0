"""What a model is trained on and how: the plan of a training, and what a lesson is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import overbar as ob
from overbar.errors import DataError

__all__ = ["HABITS", "Habit", "Lesson", "Plan"]


class Habit(NamedTuple):
    """How a model is usually trained: on what, by which steps, and its sizes."""

    subject: str
    data: str
    epochs: int
    batch: int
    optimizer: Callable[..., Any]
    lr: float
    clip: float | None
    sizes: Mapping[str, Any]


HABITS = {
    "mlp": Habit(
        "pictures", "digits", 20, 64, ob.optim.Adam, 3e-3, None,
        {"hidden": (100,), "activation": "relu"},
    ),
    "lenet": Habit("pictures", "digits", 10, 32, ob.optim.Adam, 2e-3, None, {}),
    "alexnet": Habit(
        "pictures", "digits", 2, 32, ob.optim.Adam, 1e-4, None, {"dropout": 0.5},
    ),
    "charlstm": Habit(
        "text", "sonnets", 2, 32, ob.optim.Adam, 4e-3, 1.0,
        {"hidden_size": 128, "num_layers": 1, "context": 64},
    ),
    "gpt": Habit(
        "text", "sonnets", 3, 16, ob.optim.AdamW, 2e-3, 1.0,
        {"context": 64, "width": 96, "heads": 4, "layers": 3, "dropout": 0.0},
    ),
    "ntm": Habit(
        "copy", "copy", 60, 16, partial(ob.optim.RMSprop, momentum=0.9), 1e-3, 10.0,
        {"longest": 20, "bits": 8, "hidden_size": 100, "rows": 128, "width": 20,
         "read_heads": 1, "write_heads": 1},
    ),
}  # fmt: skip
"""The models that can be trained by name, and what each is for."""


@dataclass(frozen=True)
class Plan:
    """All that decides what a training does, so that it can be gone on with."""

    model: str
    data: str
    batch: int
    lr: float
    seed: int
    sizes: Mapping[str, Any]

    @classmethod
    def made(cls, model: str, data: str | None, asked: Mapping[str, Any], sizes: dict) -> Plan:
        """The usual one, but for what was asked for."""
        habit = HABITS[model]
        unknown = sorted(sizes.keys() - habit.sizes.keys())
        if unknown:
            known = ", ".join(f"{name} ({value})" for name, value in habit.sizes.items())
            raise DataError(
                f"--set {unknown[0]}: {model} has no such size",
                want=known and f"one of {known}",
                hint=None if known else f"{model} has none that can be set",
            )
        kept = {name: _like(name, sizes.get(name, x), x) for name, x in habit.sizes.items()}
        return cls(
            model,
            data or habit.data,
            asked.get("batch_size") or habit.batch,
            asked.get("lr") or habit.lr,
            asked.get("seed") or 0,
            kept,
        )

    def to_json(self) -> dict[str, Any]:
        """For the file: tuples as lists."""
        sizes = {k: list(v) if isinstance(v, tuple) else v for k, v in self.sizes.items()}
        return {**asdict(self), "sizes": sizes}

    @classmethod
    def from_json(cls, plan: Mapping[str, Any]) -> Plan:
        """The plan in a file."""
        sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in plan["sizes"].items()}
        return cls(**{**plan, "sizes": sizes})


def _like(name: str, value: Any, usual: Any) -> Any:
    """The value, if it is of the kind that is usual."""
    fits = isinstance(value, type(usual)) and not isinstance(value, bool)
    if isinstance(usual, float) and type(value) is int:
        value, fits = float(value), True
    if not fits or (isinstance(usual, int) and value < 1):
        raise DataError(f"--set {name}={value}", want=f"something like {name}={usual}")
    return value


class Lesson(NamedTuple):
    """A model with what it learns from, and what is remembered beside its weights."""

    model: Any
    loss: Callable[[Any, Any], Any]
    loader: Any
    validation: Any
    metrics: Mapping[str, Callable[[Any, Any], float]]
    says: str
    """What there is to learn from, in a line."""
    facts: Mapping[str, Any]
    """Plain data that predicting needs."""
