"""`Trainer`: the loop over epochs and steps, and what is usually asked of one."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import overbar as ob
from overbar.errors import DataError, DomainError, NonFiniteError, StructureError
from overbar.settings import Checked
from overbar.terminal import Screen, progress

from .drawing import generators, load_generators
from .judging import evaluate, judge
from .record import Epoch, Record
from .step import Stepper

__all__ = ["Trainer", "fit"]


class Trainer(Checked):
    """Trains a model on the batches of a loader; can be saved after any step, and resumed.

    loss         (predictions, targets) -> a scalar, the mean over the rows
    loader       has a length, gives batches (*xs, t); the model is called with the xs
    validation   a loader as well: judged after each epoch, by the loss and the metrics
    metrics      functions (predictions, targets) -> a number, of the whole set: see `ob.metrics`
    schedule     of `ob.optim.lr_scheduler`: its step() comes after each step, or after each epoch
                 with per="epoch"; that of ReduceLROnPlateau always after an epoch
    accumulate   so many batches make one step, with the gradient of all their rows
    clip         the greatest norm of a step's gradient
    patience     stop when so many epochs brought nothing better in `monitor`, "loss" or the name
                 of a metric, of the validation set if there is one, and go back to the best epoch.
                 Better is less, or more with mode="max"
    checkpoint   a file, replaced after each epoch, after every so many steps (`every`), at the end
    log          a CSV file with a row for each epoch
    compiled     the step runs under `ob.jit`; False for a model that looks at values

    Resume:  make everything as before, `ob.load(checkpoint, into=trainer)`, and `fit` again: what
             follows is the same, bit for bit, as without the interruption.
    Example:
        >>> X = np.linspace(-1, 1, 32).reshape(32, 1)
        >>> model = ob.nn.Linear(1, 1, rng=ob.random.default_rng(0))
        >>> optimizer = ob.optim.SGD(model.parameters(), lr=0.3)
        >>> loader = ob.data.DataLoader((X, 2 * X + 1), batch_size=8)
        >>> trainer = ob.Trainer(model, ob.nn.functional.mse_loss, optimizer, loader)
        >>> last = trainer.fit(epochs=30)[-1]
        >>> last.number, last.loss < 1e-3
        (30, True)
    """

    def __init__(
        self, model: Any, loss: Callable[[Any, Any], Any], optimizer: Any, loader: Any, *,
        validation: Any = None, metrics: Sequence[Callable] | Mapping[str, Callable] = (),
        schedule: Any = None, per: str = "step", accumulate: int = 1, clip: float | None = None,
        patience: int | None = None, monitor: str = "loss", mode: str = "min",
        checkpoint: str | os.PathLike | None = None, every: int | None = None,
        log: str | os.PathLike | None = None, compiled: bool = True,
    ) -> None:  # fmt: skip
        if not isinstance(metrics, Mapping):
            metrics = {metric.__name__: metric for metric in metrics}
        _check(accumulate=accumulate, patience=patience, every=every)
        _one_of(per=(per, ("step", "epoch")), mode=(mode, ("min", "max")))
        _one_of(monitor=(monitor, ("loss", *(metrics if validation is not None else ()))))
        self.model, self.optimizer, self.schedule = model, optimizer, schedule
        self.loader, self.validation, self.metrics = loader, validation, metrics
        on_plateau = isinstance(schedule, ob.optim.lr_scheduler.ReduceLROnPlateau)
        self.per = "judged" if on_plateau else per
        self.patience = patience
        self.checkpoint, self.every, self.log = checkpoint, every, log
        self.compiled = compiled
        run: Callable[[Any], Any] = ob.jit if compiled else lambda f: f
        self.stepper = Stepper(model, loss, optimizer, clip, accumulate, run)
        self.judge = run(judge(model, loss))
        self.record = Record(monitor, 1 if mode == "min" else -1)
        self.best: dict[str, Any] | None = None  # the model's state after the best epoch

    def fit(
        self, epochs: int | None = None, *, steps: int | None = None, show: bool = True
    ) -> list[Epoch]:
        """Train until so many epochs or steps are done in all: what came of each epoch.

        Meanwhile a terminal shows a bar, unless show=False. With `patience`, the model is then as
        it was after its best epoch.
        """
        if epochs is None and steps is None:
            raise DomainError("Trainer.fit: for how long?", want="epochs= or steps=")
        to, each = Screen(sys.stderr), max(1, math.ceil(len(self.loader) / self.stepper.accumulate))
        goal = min(n for n in (epochs and epochs * each, steps) if n is not None)
        moving = progress(to, math.ceil(goal / each), goal, self.record.steps)
        with moving if show and to.rich else contextlib.nullcontext() as bar:
            for epoch in self.epochs(epochs, steps=steps, after_step=bar and bar.step):
                if bar:
                    bar.epoch(epoch.number, str(epoch))
        self.restore_best()
        return self.record.epochs

    def epochs(
        self, epochs: int | None = None, *, steps: int | None = None,
        after_step: Callable[[float], Any] | None = None,
    ) -> Iterator[Epoch]:  # fmt: skip
        """As `fit`, one epoch each time it is asked; `after_step` is told the loss of each step."""
        at = self.record
        while not (self.stopped or _reached(len(at.epochs), epochs) or _reached(at.steps, steps)):
            start, batches = time.perf_counter(), self._rest()
            self.model.train()
            self.optimizer.zero_grad()
            for step in self.stepper.walk(batches):
                at.add(step)
                if self.schedule is not None and self.per == "step":
                    self.schedule.step()
                if after_step is not None:
                    after_step(step.loss)
                inside = _reached(at.steps, steps) and at.batches < len(self.loader)
                if inside or (self.every is not None and at.steps % self.every == 0):
                    self._checked()
                    self._save()
                if inside:
                    return  # in the middle of an epoch
            yield self._ended(time.perf_counter() - start)

    def _rest(self) -> Iterator[Any]:
        """What is left of the epoch: all of it if it has not begun."""
        if not self.record.batches or not hasattr(self.loader, "load_state_dict"):
            return islice(self.loader, self.record.batches, None)
        self.loader.load_state_dict(self.loader.state_dict())  # to go on, and not to begin anew
        return iter(self.loader)

    def _ended(self, seconds: float) -> Epoch:
        """The books of an epoch that is over."""
        self._checked()
        at = self.record
        judged = {} if self.validation is None else self.evaluate(self.validation)
        epoch = at.end(seconds, float(self.optimizer.lr), judged)
        if self.patience is not None and at.best == epoch.number:
            self.best = self.model.state_dict()
        if self.per == "judged":
            self.schedule.step(at.judged(epoch))
        elif self.schedule is not None and self.per == "epoch":
            self.schedule.step()
        self._save()
        if self.log is not None:
            at.write(self.log)
        return epoch

    def _save(self) -> None:
        if self.checkpoint is not None:
            ob.save(self, self.checkpoint)

    def _checked(self) -> None:
        at = self.record
        if not at.rows:
            raise DataError("Trainer: the loader gives no rows to learn from")
        if not math.isfinite(at.loss):
            raise NonFiniteError(
                f"Trainer: the training loss of epoch {len(at.epochs) + 1} is {at.loss}",
                hint="a smaller learning rate, or clip=; ob.nan_guard() finds where it was born",
            )

    @property
    def stopped(self) -> bool:
        """Whether patience has come to its end."""
        at = self.record
        return self.patience is not None and len(at.epochs) - at.best >= self.patience

    def restore_best(self) -> None:
        """Make the model what it was after its best epoch, if `patience` watched for that."""
        if self.best is not None:
            self.model.load_state_dict(self.best)

    @property
    def step(self) -> Any:
        """The function of a batch that makes a step; compiled, it has `.why_compiled()`."""
        return self.stepper.step

    def evaluate(self, loader: Any) -> dict[str, float]:
        """The loss and the metrics of a whole set, in evaluation mode."""
        return evaluate(self.model, self.judge, loader, self.metrics)

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs; `ob.save(trainer, path)` writes it."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {**parts, "best": self.best, "generators": generators(self.model, self._loaders())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there; through `ob.load(path, into=trainer)` all of it, or none."""
        parts = self._parts()
        if state.keys() != {*parts, "best", "generators"}:
            raise StructureError(
                "Trainer: this is not the state of a training like this one",
                got={"state": str(sorted(state))},
                want=str(sorted({*parts, "best", "generators"})),
            )
        self._take(state)
        if self.compiled and self.record.met:
            self.model.train()
            self.optimizer.zero_grad()
            self.stepper.rehearse(self.record.met)
            self._take(state)

    def _take(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        load_generators(state["generators"], self.model, self._loaders())
        self.best = state["best"]

    def _parts(self) -> dict[str, Any]:
        """What has a state, by name."""
        found = {
            "model": self.model, "optimizer": self.optimizer, "schedule": self.schedule,
            "loader": self.loader, "record": self.record,
        }  # fmt: skip
        return {name: part for name, part in found.items() if hasattr(part, "state_dict")}

    def _loaders(self) -> dict[str, Any]:
        return {"loader": self.loader, "validation": self.validation}


def fit(
    model: Any,
    loss: Callable[[Any, Any], Any],
    optimizer: Any,
    loader: Any,
    *,
    epochs: int,
    schedule: Any = None,
    after_batch: Callable[[float], Any] | None = None,
    compiled: bool = False,
) -> Iterator[Epoch]:
    """As `Trainer(...).epochs(...)`: train, one epoch per item.

    Example:
        >>> model = ob.nn.Linear(1, 1)
        >>> X = np.linspace(-1, 1, 32).reshape(32, 1)
        >>> optimizer = ob.optim.SGD(model.parameters(), lr=0.3)
        >>> loader = ob.data.DataLoader((X, 2 * X + 1), batch_size=8)
        >>> for epoch in fit(model, ob.nn.functional.mse_loss, optimizer, loader, epochs=30):
        ...     pass
        >>> epoch.number, epoch.loss < 1e-3
        (30, True)
    """
    trainer = Trainer(model, loss, optimizer, loader, schedule=schedule, compiled=compiled)
    return trainer.epochs(epochs, after_step=after_batch)


def _reached(done: int, goal: int | None) -> bool:
    return goal is not None and done >= goal


def _check(**counts: int | None) -> None:
    for name, n in counts.items():
        if n is not None and n < 1:
            raise DomainError(f"Trainer: {name}={n}", want="a whole number from 1")


def _one_of(**choices: tuple[str, tuple[str, ...]]) -> None:
    for name, (chosen, known) in choices.items():
        if chosen not in known:
            raise DomainError(
                f"Trainer: {name}={chosen!r}", want=f"one of {', '.join(map(repr, known))}"
            )
