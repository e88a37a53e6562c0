"""`overbar train` and `overbar predict`: a network for somebody's table, without a line of Python.

Training reads a table, keeps rows apart for judging, fits a `Recipe` to the rest, trains a network
until the validation rows stop getting better, and writes one file that holds network and recipe.
Predicting applies both to another table. Everything decided on the way is said.
"""

from __future__ import annotations

import contextlib
import csv
import math
import os
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import numpy as np

import overbar as ob
from overbar import nn
from overbar.data.recipe import Recipe, TextColumn
from overbar.data.table import Table, counted, listed, read_table
from overbar.errors import DataError, FileError, NonFiniteError
from overbar.terminal import Row, Screen, progress, screen
from overbar.training import predict

ACTIVATIONS = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU,
    "elu": nn.ELU, "softplus": nn.Softplus,
}  # fmt: skip
OPTIMIZERS = {"adam": 3e-3, "adamw": 3e-3, "sgd": 3e-2, "rmsprop": 1e-3, "adagrad": 3e-2}
"""The optimisers, and the learning rate of each unless another is asked for."""

FEWEST = 20
"""A table with fewer rows is trained on whole: there is nothing to judge with."""

_KIND = "overbar table model"
_SHOWN = 12


@dataclass(frozen=True)
class Plan:
    """What was asked for on the command line."""

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    epochs: int = 200
    batch_size: int = 32
    optimizer: str = "adam"
    lr: float | None = None
    seed: int = 0
    task: str | None = None
    patience: int = 20
    log: str | None = None


def train(data: str, target: str, out: str | None, plan: Plan) -> None:
    """Learn to predict a column; write the model to `out`."""
    table = read_table(data)
    place = writable(out or f"{Path(data).stem}-model.safetensors", not_over=[data])
    if plan.log is not None:
        writable(plan.log, not_over=[data, str(place)], name="--log")
    whole = Recipe.fit(table, target, task=plan.task)
    to = screen()
    to.title("train", f"{table.source}, {counted(table.rows, 'row')}, to predict {target!r}")
    rng = ob.random.default_rng(plan.seed)
    parts = split(whole.targets(table), whole.task, rng)
    recipe = _fitted(table, whole, parts["train"])
    _say_what_is_done(to, table, whole, recipe, parts)

    features, targets = recipe.apply(table), recipe.targets(table)
    X = {name: features[rows] for name, rows in parts.items()}
    y = {name: targets[rows] for name, rows in parts.items()}
    model = network(X["train"].shape[1], max(1, len(recipe.classes)), plan, rng)
    to.plain(repr(model))
    to.line()
    best, stopped = _trained(to, model, recipe, X, y, plan, rng)
    to.line(f"The best was epoch {best}{stopped}. It is the one that is kept.")
    to.line()

    judged = "test" if len(parts["test"]) else "train"
    to.head("How good it is" + ("" if judged == "test" else ", on the rows it was trained on"))
    guess = baseline(recipe, y["train"])
    found, without = (
        scores(recipe, p, y[judged])
        for p in (outputs(model, X[judged]), np.broadcast_to(guess, (len(y[judged]), len(guess))))
    )
    width = max(len(value) for value in without.values())
    rows = [(name, found[name], f"   {without[name]:>{width}}") for name in found]
    to.table([("", "this model", "   always the same guess"), *rows])
    ob.save(
        {
            "kind": _KIND,
            "model": model,
            "recipe": recipe.to_json(),
            "scores": {"rows": judged, **found},
        },
        place,
    )
    to.line(f"Written: {place}")
    to.line(f"Use it:  overbar predict {place} {data}")


def split(y: np.ndarray, task: str, rng: Any) -> dict[str, np.ndarray]:
    """Row numbers for training (65 %), validation (15 %) and testing (20 %).

    Every class has its share of each part, and a row in the first, however rare it is.
    """
    shuffled = np.asarray(rng.permutation(len(y)))
    kinds = y if task == "classification" else np.zeros(len(y), int)
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    seen = 0
    for kind in np.unique(kinds):
        members = shuffled[kinds[shuffled] == kind].tolist()
        seen += len(members)
        for name, share in (("test", 0.2), ("validation", 0.15)):
            count = round(share * seen) - len(parts[name]) if len(y) >= FEWEST else 0
            count = min(max(count, 0), len(members) - 1)
            parts[name] += members[:count]
            members = members[count:]
        parts["train"] += members
    return {name: np.sort(np.array(rows, np.int64)) for name, rows in parts.items()}


def _fitted(table: Table, whole: Recipe, rows: np.ndarray) -> Recipe:
    """The recipe of the training rows alone: what is judged with must not be looked at."""
    try:
        return Recipe.fit(table.take(rows), whole.target, task=whole.task)
    except DataError:  # a column that has something only in the rows kept apart
        return whole


def network(inputs: int, outs: int, plan: Plan, rng: Any) -> nn.Sequential:
    """Linear layers with activations between them."""
    sizes = [inputs, *plan.hidden]
    layers: list[Any] = []
    for n, m in pairwise(sizes):
        layers += [nn.Linear(n, m, rng=rng), ACTIVATIONS[plan.activation]()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outs, rng=rng))


# -- training ---------------------------------------------------------------------------------


def _trained(
    to: Screen, model: Any, recipe: Recipe, X: dict, y: dict, plan: Plan, rng: Any
) -> tuple[int, str]:
    """Train until validation stops improving: the best epoch, and why it ended. Keeps the best."""
    data = {name: (X[name], learnable(recipe, part)) for name, part in y.items()}
    loss = (
        nn.functional.cross_entropy if recipe.task == "classification" else nn.functional.mse_loss
    )
    optimizer, loader = (
        _optimizer(model, plan),
        ob.data.DataLoader(data["train"], batch_size=plan.batch_size, shuffle=True, rng=rng),
    )
    validation = ob.data.DataLoader(data["validation"], 4096) if len(y["validation"]) else None
    trainer = ob.Trainer(
        model, loss, optimizer, loader, validation=validation, patience=plan.patience, log=plan.log
    )
    ended = ""
    quiet = np.errstate(all="ignore")  # an explosion is told of below, in words
    with quiet, progress(to, plan.epochs, plan.epochs * len(loader)) as bar:
        try:
            for epoch in trainer.epochs(plan.epochs, after_step=bar.step):
                bar.epoch(epoch.number, str(epoch))
            if trainer.stopped:
                ended = f", and {plan.patience} more brought nothing better"
        except KeyboardInterrupt:
            if trainer.best is None:
                raise
            ended = ", when you stopped it"
        except NonFiniteError:
            if trainer.best is None:
                raise NonFiniteError(
                    "the training loss was not a number before the first epoch was over",
                    hint=f"a smaller learning rate: --lr {float(optimizer.lr) / 10:g}",
                ) from None
            ended = ", before the loss was no number any more"
    trainer.restore_best()
    return trainer.record.best, ended


def _optimizer(model: Any, plan: Plan) -> Any:
    lr = OPTIMIZERS[plan.optimizer] if plan.lr is None else plan.lr
    names = {
        "adam": ob.optim.Adam,
        "adamw": ob.optim.AdamW,
        "rmsprop": ob.optim.RMSprop,
        "adagrad": ob.optim.Adagrad,
    }
    if plan.optimizer == "sgd":
        return ob.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return names[plan.optimizer](model.parameters(), lr=lr)


def learnable(recipe: Recipe, y: np.ndarray) -> np.ndarray:
    """Class numbers as they are; quantities as (rows, 1), with mean 0 and standard deviation 1."""
    if recipe.task == "classification":
        return y
    return ((y[:, None] - recipe.target_mean) / recipe.target_scale).astype(np.float32)


# -- judging ----------------------------------------------------------------------------------


def outputs(model: Any, X: np.ndarray) -> np.ndarray:
    """What the network says: logits (rows, classes), or standardised quantities (rows, 1)."""
    return predict(model, X) if len(X) else np.zeros((0, 1), np.float32)


def baseline(recipe: Recipe, y: np.ndarray) -> np.ndarray:
    """What somebody would say who knows the training targets only: their shares, or their mean."""
    if recipe.task == "regression":
        return np.array([(y.mean() - recipe.target_mean) / recipe.target_scale])
    shares = np.bincount(y, minlength=len(recipe.classes)) / len(y)
    return np.log(np.maximum(shares, 1e-12))


def scores(recipe: Recipe, z: np.ndarray, y: np.ndarray) -> dict[str, str]:
    """How well the outputs z fit the targets y, for people to read."""
    if recipe.task == "classification":
        right = int((z.argmax(axis=1) == y).sum())
        entropy = nn.functional.cross_entropy(z, y).item()
        return {
            "accuracy": f"{right / len(y):.1%}",
            "right": f"{right} of {len(y)}",
            "cross-entropy": f"{entropy:.3f}",
        }
    e = z[:, 0] * recipe.target_scale + recipe.target_mean - y
    spread = float(((y - y.mean()) ** 2).sum())
    r2 = 1 - float((e**2).sum()) / spread if spread else math.nan
    return {
        "R²": f"{r2 + 0.0:.3f}",
        "RMSE": f"{math.sqrt(float((e**2).mean())):.4g}",
        "mean error": f"{float(np.abs(e).mean()):.4g}",
    }


# -- saying -----------------------------------------------------------------------------------


def _say_what_is_done(
    to: Screen, table: Table, whole: Recipe, recipe: Recipe, parts: dict[str, np.ndarray]
) -> None:
    for sentence in [*table.says, *whole.says[:1]]:
        to.line(sentence)
    if len(parts["test"]):
        train, validation, test = (
            f"{len(parts[name]):,}" for name in ("train", "validation", "test")
        )
        to.line(
            f"Rows: {train} to train on, {validation} to know when to stop, {test} for the test."
        )
    else:
        to.line(
            f"Fewer than {FEWEST} rows: all of them are trained on, and none is left to judge with."
        )
    to.line()
    to.head("Columns")
    rows: list[Row] = [(c.name, *_treatment(c)) for c in recipe.columns]
    more = len(rows) - _SHOWN
    to.table(rows[:_SHOWN] + ([("...", "", f"{more} more columns")] if more > 0 else []))
    learnt = [s for s in recipe.says[1:] if " is left out: " in s or " is taken as text: " in s]
    for sentence in learnt:
        to.line(sentence)
    if learnt:
        to.line()


def _treatment(column: Any) -> tuple[str, str]:
    if isinstance(column, TextColumn):
        return "text  ", f"one column of 0 and 1 for each of {listed(map(repr, column.levels), 4)}"
    if column.blanks:
        return (
            "number",
            f"blanks become the median, {column.fill:g}, and one more column says where",
        )
    return "number", f"mean {column.mean:.4g}, standard deviation {column.scale:.4g}"


# -- predicting -------------------------------------------------------------------------------


def predicted(saved: Any, path: str, data: str, out: str | None) -> None:
    """Apply a model to a table; write the predictions as CSV to `out`, or show them."""
    model, recipe = checked(saved, path)
    table = read_table(data)
    place = writable(out, not_over=[path, data]) if out else None
    z = outputs(model, recipe.apply(table))
    notes = Screen(sys.stderr)
    for sentence in [*table.says, *recipe.says]:
        notes.line(sentence)
    rows = _answers(recipe, table, z)
    if place is not None:
        with place.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        notes.line(f"{counted(table.rows, 'prediction')} written: {place}")
    else:
        show(rows, sys.stdout, notes)
    if recipe.target in table.columns:
        with contextlib.suppress(DataError):  # blank, or with classes that training did not have
            found = scores(recipe, z, recipe.targets(table))
            notes.line(
                f"{recipe.target!r} is in the table: "
                + ", ".join(f"{name} {value}" for name, value in found.items())
            )


def opened(path: str) -> tuple[Any, Recipe]:
    """The model and the recipe in a file that `train` wrote."""
    return checked(ob.load(path), path)


def checked(saved: Any, path: str) -> tuple[Any, Recipe]:
    """The model and the recipe in what was loaded, if it is that."""
    if (
        not isinstance(saved, dict)
        or saved.get("kind") != _KIND
        or not isinstance(saved.get("model"), nn.Sequential)
    ):
        raise FileError(
            f"{path} is not a model for tables", want="a file written by `overbar train`"
        )
    recipe, model = Recipe.from_json(saved["recipe"]), saved["model"]
    first, last = model[0], model[len(model) - 1]
    fits = isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    if not fits or (first.in_features, last.out_features) != (
        len(recipe.features),
        max(1, len(recipe.classes)),
    ):
        raise FileError(f"{path}: its network does not fit its own columns")
    return model, recipe


def _answers(recipe: Recipe, table: Table, z: np.ndarray) -> list[list[Any]]:
    """Header and rows: the row's label, the prediction, and how sure it is of a class."""
    if recipe.task == "regression":
        values = z[:, 0].astype(np.float64) * recipe.target_scale + recipe.target_mean
        return [
            ["row", recipe.target],
            *([label, f"{v:.6g}"] for label, v in zip(table.labels, values, strict=True)),
        ]
    p = ob.softmax(z.astype(np.float64)).numpy()
    best = p.argmax(axis=1)
    body = (
        [label, recipe.classes[k], f"{p[i, k]:.4f}"]
        for i, (label, k) in enumerate(zip(table.labels, best, strict=True))
    )
    return [["row", recipe.target, "probability"], *body]


def show(rows: list[list[Any]], file: TextIO, notes: Screen) -> None:
    """All rows as CSV into a pipe; the first few as a table on a terminal."""
    if not file.isatty():
        csv.writer(file, lineterminator="\n").writerows(rows)
        return
    to = Screen(file)
    shown = rows[: _SHOWN + 1]
    widths = [max(len(str(row[i])) for row in shown) for i in range(len(rows[0]))]
    for i, row in enumerate(shown):
        to.line(
            "  " + "  ".join(str(cell).rjust(w) for cell, w in zip(row, widths, strict=True)),
            "" if i else "bold",
        )
    if len(rows) > len(shown):
        notes.line(f"and {len(rows) - len(shown):,} more: --out FILE writes all of them")


def writable(out: str, *, not_over: list[str], name: str = "--out") -> Path:
    """The place to write to, found wanting before anything long begins."""
    place = Path(out)
    if place.is_dir() or not place.parent.is_dir():
        raise DataError(
            f"{name} {out}: "
            + ("this is a folder" if place.is_dir() else f"there is no folder {place.parent}")
        )
    for path in not_over:
        if place.exists() and Path(path).exists() and place.samefile(path):
            raise DataError(f"{name} {out} would overwrite what is read")
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        raise DataError(f"{name} {out} cannot be written to")
    return place
