"""`overbar train DATA --model NAME`: each model of `ob.models`, trained on what it is for.

`plan` says which models there are and how they are usually trained; `pictures`, `texts` and
`copying` each know one kind of data: what there is to learn, how good a model is, and what it says
when it is asked. The file that is written holds the model and all that going on exactly needs.
"""

from __future__ import annotations

import io
import math
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import overbar as ob
from overbar.data.table import counted
from overbar.errors import DataError, FileError, NonFiniteError, StructureError
from overbar.tabular import writable
from overbar.terminal import progress, screen

from . import copying, pictures, texts
from .plan import HABITS, Lesson, Plan

__all__ = ["HABITS", "Plan", "is_lesson", "predicted", "resume", "train"]

_KIND = "overbar lesson"
_SUBJECTS = {"pictures": pictures, "text": texts, "copy": copying}


def train(plan: Plan, **asked: Any) -> None:
    """Train by a plan and write the model; `epochs`, `steps`, `out`, `log` are asked beside it."""
    _learn(plan, None, None, **asked)


def resume(path: str, **asked: Any) -> None:
    """Go on with the training in a file, by its plan."""
    saved = opened(path)
    _learn(Plan.from_json(saved["plan"]), saved, path, **asked)


def _learn(
    plan: Plan,
    saved: Mapping[str, Any] | None,
    begun: str | None,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    out: str | None = None,
    log: str | None = None,
) -> None:
    habit, subject = HABITS[plan.model], _SUBJECTS[HABITS[plan.model].subject]
    place = writable(
        out or begun or f"{Path(plan.data).stem}-{plan.model}.safetensors", not_over=[plan.data]
    )
    journal = None if log is None else writable(log, not_over=[plan.data, str(place)], name="--log")
    rng = ob.random.default_rng(plan.seed)
    ob.random.seed(plan.seed)  # what Dropout draws from
    lesson: Lesson = subject.lesson(plan, rng)
    trainer = ob.Trainer(
        lesson.model, lesson.loss, habit.optimizer(lesson.model.parameters(), lr=plan.lr),
        lesson.loader, validation=lesson.validation, metrics=lesson.metrics, clip=habit.clip,
        log=journal,
    )  # fmt: skip
    if saved is not None:
        _taken_up(trainer, saved, begun)
    each = len(lesson.loader)
    if epochs is None and steps is None:
        epochs = habit.epochs
    goal = int(min(math.inf if epochs is None else epochs * each, steps or math.inf))
    if goal <= trainer.record.steps:
        raise DataError(
            f"{begun}: {trainer.record.steps:,} steps are done already",
            hint="--epochs and --steps count from the beginning: "
            f"--steps {2 * trainer.record.steps}",
        )
    to = screen()
    to.title("train", f"{plan.model}, on {plan.data}: {lesson.says}")
    size = sum(p.size for p in lesson.model.parameters())
    done = f", {trainer.record.steps:,} of them done before" if saved else ""
    to.line(
        f"{size:,} numbers to find: {counted(goal, 'step')} of {plan.batch}{done}, seed {plan.seed}"
    )
    to.line()
    stopped = _trained(to, trainer, epochs, steps, goal)
    if journal is not None:
        trainer.record.write(journal)  # also if no epoch came to its end
    state = {name: part for name, part in trainer.state_dict().items() if name != "model"}
    found = trainer.evaluate(lesson.loader if lesson.validation is None else lesson.validation)
    to.head("How good it is" + ("" if lesson.validation else ", on what it was trained on"))
    to.table(subject.scores(trainer, found, lesson))
    ob.save(
        {"kind": _KIND, "plan": plan.to_json(), "facts": lesson.facts, "model": lesson.model,
         "trainer": state},
        place,
    )  # fmt: skip
    to.line(f"Written: {place}" + stopped)
    to.line(f"Use it:  overbar predict {place}")
    to.line(f"Go on:   overbar train --resume {place} --steps {2 * trainer.record.steps}")


def _trained(to: Any, trainer: Any, epochs: int | None, steps: int | None, goal: int) -> str:
    """Train; what is to be said of the end. Ctrl-C ends it after the step that is being made."""
    asked: list[int] = []

    def after_step(loss: float) -> None:
        bar.step(loss)
        if asked:
            raise KeyboardInterrupt

    mine = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *_: asked.append(1)) if mine else None
    each, done = len(trainer.loader), trainer.record.steps
    try:
        quiet = np.errstate(all="ignore")  # an explosion is told of below, in words
        with quiet, progress(to, math.ceil(goal / each), goal, done) as bar:
            for epoch in trainer.epochs(epochs, steps=steps, after_step=after_step):
                bar.epoch(epoch.number, str(epoch))
    except KeyboardInterrupt:
        return f", after {counted(trainer.record.steps, 'step')}, when you stopped it"
    except NonFiniteError:
        raise NonFiniteError(
            "the training loss is not a number; nothing was written",
            hint=f"a smaller learning rate: --lr {float(trainer.optimizer.lr) / 10:g}",
        ) from None
    finally:
        if mine:
            signal.signal(signal.SIGINT, before)
    return ""


def _taken_up(trainer: Any, saved: Mapping[str, Any], path: Any) -> None:
    try:
        trainer.load_state_dict({**saved["trainer"], "model": saved["model"].state_dict()})
    except (KeyError, TypeError, StructureError, DataError) as error:
        raise FileError(
            f"{path}: this training cannot be gone on with: {error}",
            hint="is the data the same as when it began?",
        ) from None


def is_lesson(saved: Any) -> bool:
    """Whether what was loaded is a file that `train` wrote."""
    return isinstance(saved, dict) and saved.get("kind") == _KIND


def opened(path: str) -> Mapping[str, Any]:
    """What `train` wrote, if it is that."""
    saved = ob.load(path)
    if not is_lesson(saved):
        raise FileError(
            f"{path} is no training that could be gone on with",
            want="a file written by `overbar train --model`",
        )
    return checked(saved, path)


def checked(saved: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The same, if its parts are there."""
    kinds = {"plan": dict, "facts": dict, "model": ob.nn.Module, "trainer": dict}
    try:
        good = all(isinstance(saved[name], kind) for name, kind in kinds.items())
        good = good and Plan.from_json(saved["plan"]).model in HABITS
    except (KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise FileError(f"{path}: its record lacks a part", want="a file as it was written")
    return saved


def predicted(saved: Mapping[str, Any], path: str, data: str | None, ask: Any) -> None:
    """What a model says when it is asked: see the `predicted` of its subject."""
    saved = checked(saved, path)
    subject = _SUBJECTS[HABITS[saved["plan"]["model"]].subject]
    place = writable(ask.out, not_over=[path, data or ""]) if ask.out else None
    saved["model"].eval()
    if place is None:
        subject.predicted(saved, data, sys.stdout, ask)
    else:  # first everything, then the file: one that is there stays if something fails
        answer = io.StringIO()
        subject.predicted(saved, data, answer, ask)
        place.write_text(answer.getvalue(), encoding="utf-8")
