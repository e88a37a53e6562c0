"""Where a training stands, what came of each epoch, and the table of it."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from overbar.store import replacing

from .step import Kinds, Step

__all__ = ["Epoch", "Record"]


class Epoch(NamedTuple):
    """What one epoch brought.

    Its number from 1, the mean training loss, seconds, the learning rate of its last step, the
    steps so far, and what the validation set says: its loss and metrics by name.
    """

    number: int
    loss: float
    seconds: float
    lr: float
    steps: int
    validation: Mapping[str, float]

    def __str__(self) -> str:
        judged = "  ".join(f"{name} {value:.4f}" for name, value in self.validation.items())
        return f"loss {self.loss:.4f}" + (f"  validation: {judged}" if judged else "")


class Record:
    """The counts of a training, and its epochs. `monitor` and `sign` say which epoch is the best:
    the one with the least `sign` times `monitor`.
    """

    def __init__(self, monitor: str, sign: int) -> None:
        self.monitor, self.sign = monitor, sign
        self.epochs: list[Epoch] = []
        self.steps = 0
        self.batches, self.rows, self.total = 0, 0, 0.0  # of the epoch that runs: Σ loss · rows
        self.met: list[Kinds] = []
        """The kinds of steps that brought something new, in the order they came: see `rehearse`."""
        self._known: set[Any] = set()

    @property
    def loss(self) -> float:
        """The mean loss of the epoch that runs."""
        return self.total / max(self.rows, 1)

    def add(self, step: Step) -> None:
        """One step was made."""
        self.steps, self.batches = self.steps + 1, self.batches + len(step.kinds)
        self.rows, self.total = self.rows + step.rows, self.total + step.loss * step.rows
        if step.kinds not in self.met:
            self._meet(step.kinds)

    def _meet(self, kinds: Kinds) -> None:
        """Remember a step if the first, an inner or the last of its batches has not been so yet."""
        end = len(kinds) - 1
        places = {(i > 0, i == end, kind) for i, kind in enumerate(kinds)}
        if not places <= self._known:
            self._known |= places
            self.met.append(kinds)

    def end(self, seconds: float, lr: float, validation: Mapping[str, float]) -> Epoch:
        """An epoch is over."""
        number = len(self.epochs) + 1
        self.epochs.append(Epoch(number, self.loss, seconds, lr, self.steps, validation))
        self.batches, self.rows, self.total = 0, 0, 0.0
        return self.epochs[-1]

    def judged(self, epoch: Epoch) -> float:
        """What an epoch is judged by."""
        return epoch.validation.get(self.monitor, epoch.loss)

    def _rank(self, epoch: Epoch) -> float:
        """Smaller for a better one; NaN is the worst."""
        rank = self.sign * self.judged(epoch)
        return math.inf if math.isnan(rank) else rank

    @property
    def best(self) -> int:
        """The number of the best epoch, the first of equal ones; 0 before there is one."""
        return min(self.epochs, key=self._rank).number if self.epochs else 0

    def write(self, path: str | os.PathLike) -> None:
        """The epochs as CSV, all of them anew: the file is complete at every moment."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        names = list(self.epochs[0].validation) if self.epochs else []
        table.writerow(
            ["epoch", "steps", "lr", "loss", *(f"validation {n}" for n in names), "seconds"]
        )
        for e in self.epochs:
            judged = [e.validation[name] for name in names]
            table.writerow([e.number, e.steps, e.lr, e.loss, *judged, f"{e.seconds:.3f}"])
        with replacing(path) as file:
            file.write(text.getvalue().encode())

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and text."""
        counts = {name: getattr(self, name) for name in ("steps", "batches", "rows", "total")}
        epochs = [{**e._asdict(), "validation": dict(e.validation)} for e in self.epochs]
        return {**counts, "epochs": epochs, "met": self.met}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.steps, self.batches = state["steps"], state["batches"]
        self.rows, self.total = state["rows"], state["total"]
        self.epochs = [Epoch(**row) for row in state["epochs"]]
        self.met, self._known = [], set()
        for kinds in state["met"]:
            self._meet(
                tuple(tuple((tuple(shape), dtype) for shape, dtype in batch) for batch in kinds)
            )
