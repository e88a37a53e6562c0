"""Pictures and their classes, for `mlp`, `lenet` and `alexnet`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import overbar as ob
from overbar.data.table import counted, listed
from overbar.errors import DataError
from overbar.tabular import show, split
from overbar.terminal import Row, Screen
from overbar.training import predict

from .plan import Lesson, Plan

DIGITS = "digits"
"""The name of the pictures that come with the package."""

SHAPES = {"mlp": (1, 28, 28), "lenet": (1, 28, 28), "alexnet": (3, 224, 224)}
"""Channels, height and width that each is made for; of digits, an MLP takes what there is."""


def lesson(plan: Plan, rng: Any) -> Lesson:
    """What there is to learn for this plan."""
    shape = (1, 8, 8) if (plan.model, plan.data) == ("mlp", DIGITS) else SHAPES[plan.model]
    X, y, X_test, y_test, classes = _read(plan.data, shape, rng)
    facts = {
        "shape": list(shape), "classes": classes,
        "mean": float(X.mean()), "std": float(X.std()) or 1.0,
    }  # fmt: skip

    def prepared(_: Any, x: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return ready(x, facts, plan.model), t

    loader = ob.data.DataLoader(
        (X, y), plan.batch, shuffle=True, rng=rng, transform=prepared, prefetch=2
    )
    test = ob.data.DataLoader((X_test, y_test), plan.batch, transform=prepared, rng=rng)
    kept = f", {len(y_test)} kept for the test" if len(y_test) else ""
    return Lesson(
        network(plan, facts, rng),
        ob.nn.functional.cross_entropy,
        loader,
        test if len(y_test) else None,
        {"accuracy": ob.metrics.accuracy},
        f"{len(y):,} pictures of {counted(len(classes), 'class', 'classes')}{kept}",
        facts,
    )


def network(plan: Plan, facts: Mapping[str, Any], rng: Any) -> Any:
    """The model, with as many inputs and outputs as there are."""
    classes = len(facts["classes"])
    if plan.model == "mlp":
        sizes = (int(np.prod(facts["shape"])), *plan.sizes["hidden"], classes)
        return ob.models.MLP(sizes, plan.sizes["activation"], rng=rng)
    kind = {"lenet": ob.models.LeNet, "alexnet": ob.models.AlexNet}[plan.model]
    return kind(classes, **plan.sizes, rng=rng)


def ready(x: np.ndarray, facts: Mapping[str, Any], model: str) -> np.ndarray:
    """Pictures as the network takes them: enlarged if they are smaller, of mean 0, of deviation 1.

    Shapes:  x (N, c, h, w)  ->  (N, *shape), or (N, numbers) for an MLP
    """
    c, *space = facts["shape"]
    for axis, n in enumerate(space, 2):
        times = n // x.shape[axis]
        rest = n - times * x.shape[axis]
        x = np.repeat(x, times, axis)
        border = [(0, 0)] * 4
        border[axis] = (rest // 2, rest - rest // 2)
        x = np.pad(x, border)
    x = ob.data.normalise(np.repeat(x, c // x.shape[1], 1), facts["mean"], facts["std"])
    return x.reshape(len(x), -1) if model == "mlp" else x


def _read(data: str, shape: tuple[int, int, int], rng: Any) -> tuple[Any, ...]:
    """X, y, X_test, y_test, classes."""
    if data == DIGITS:
        X, y, X_test, y_test = ob.data.digits()
        X, X_test = (images.reshape(-1, 1, 8, 8) for images in (X, X_test))
        return X, y, X_test, y_test, [str(n) for n in range(10)]
    if not Path(data).is_dir():
        raise DataError(
            f"{data}: there are no pictures", want="digits, or a folder with a folder per class"
        )
    X, y, classes = ob.data.image_folder(data, (shape[1], shape[2]), shape[0])
    parts = split(y, "classification", rng)
    train = np.sort(np.concatenate([parts["train"], parts["validation"]]))
    return X[train], y[train], X[parts["test"]], y[parts["test"]], classes


def scores(trainer: Any, found: Mapping[str, float], lesson: Lesson) -> list[Row]:
    """How good it is, for people to read."""
    guess = 1 / len(lesson.facts["classes"])
    return [
        ("loss", f"{found['loss']:.4f}", f"guessing costs {-np.log(guess):.4f}"),
        ("accuracy", f"{found['accuracy']:.1%}", f"guessing gets {guess:.1%}"),
    ]


def predicted(saved: Mapping[str, Any], data: str, out: Any, ask: Any) -> None:
    """The class of each picture of `digits`, of a folder, or of one file, as CSV."""
    facts, model, plan = saved["facts"], saved["model"], Plan.from_json(saved["plan"])
    names, X, truth = _asked(data or plan.data, facts)
    p = ob.softmax(predict(model, ready(X, facts, plan.model), 64).astype(np.float64)).numpy()
    best = p.argmax(1)
    rows: list[list[Any]] = [["picture", "class", "probability"]]
    rows += [
        [name, facts["classes"][k], f"{p[i, k]:.4f}"]
        for i, (name, k) in enumerate(zip(names, best, strict=True))
    ]
    notes = Screen(sys.stderr)
    show(rows, out, notes)
    if truth is not None:
        said = np.array(facts["classes"])[best]
        right = int((said == truth).sum())
        notes.line(f"{right} of {len(names)} right: {right / len(names):.1%}")


def _asked(data: str, facts: Mapping[str, Any]) -> tuple[list[str], np.ndarray, Any]:
    """Names, pictures, and their classes if they are known."""
    channels, height, width = facts["shape"]
    if data == DIGITS:
        _, _, X, y = ob.data.digits()
        return [str(i) for i in range(len(y))], X.reshape(-1, 1, 8, 8), y.astype(str)
    path = Path(data)
    if path.is_dir():
        X, y, classes = ob.data.image_folder(path, (height, width), channels)
        unknown = sorted(set(classes) - set(facts["classes"]))
        if unknown:
            raise DataError(
                f"{data}: the model knows no class {listed(map(repr, unknown), 4)}",
                want=listed(map(repr, facts["classes"]), 12),
            )
        return [str(i) for i in range(len(y))], X, np.array(classes)[y]
    return [data], ob.data.read_image(path, (height, width), channels)[None], None
