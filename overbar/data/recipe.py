"""What is done to a table before a network can take it: learnt once, applied again.

`Recipe.fit` looks at a training table and decides; the result is plain data that can be stored
beside the weights (`to_json`), so that new rows are treated as the training rows were. Whatever
is decided is said aloud, in `says`.
"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from overbar.errors import DataError

from .table import Table, counted, listed, missing

MOST_LEVELS = 50
"""A text column with more different texts than this is left out."""

MOST_CLASSES = 20
"""A target with more different integers than this is a quantity, not a choice."""

_IDENTIFIER = re.compile(r"(?:^|[\W_])(?:id|ID|Id|index|Index|key|Key)$|[a-z]I[dD]$")

_ENOUGH = 10  # rows, before "all different" says anything about a column


@dataclass(frozen=True)
class NumberColumn:
    """x  ->  (x − mean) / scale, blanks filled; a second column says where it was blank."""

    name: str
    fill: float
    mean: float
    scale: float
    blanks: bool

    @property
    def features(self) -> list[str]:
        """The names of the columns it becomes."""
        return [self.name, f"{self.name} is blank"] if self.blanks else [self.name]

    def apply(self, table: Table, say) -> np.ndarray:
        """The column of `table`, float64 (rows, len(features))."""
        x = table.numbers(self.name)
        blank = np.isnan(x)
        if blank.any() and not self.blanks:
            blanks = counted(blank.sum(), "blank")
            say(f"{self.name!r}: {blanks} filled with the median, {self.fill:g}.")
        with np.errstate(over="ignore"):
            x = (np.where(blank, self.fill, x) - self.mean) / self.scale
        return np.stack([x, blank], axis=1) if self.blanks else x[:, None]


@dataclass(frozen=True)
class TextColumn:
    """One column of 0 and 1 for each text that the training table had; others are all 0."""

    name: str
    levels: list[str]

    @property
    def features(self) -> list[str]:
        """The names of the columns it becomes."""
        return [f"{self.name} = {level or 'blank'}" for level in self.levels]

    def apply(self, table: Table, say) -> np.ndarray:
        """The column of `table`, float64 (rows, len(levels))."""
        texts = table.texts(self.name)
        new = sorted(set(texts) - set(self.levels))
        if new:
            say(f"{self.name!r} has texts that training did not: {listed(map(repr, new))}.")
        x = np.zeros((table.rows, len(self.levels)))
        column_of = {level: j for j, level in enumerate(self.levels)}
        for i, text in enumerate(texts):
            if text in column_of:
                x[i, column_of[text]] = 1
        return x


@dataclass(frozen=True)
class Recipe:
    """From the columns of a table to X and y; pure data.

    `task` is "classification" or "regression". `classes` are the target's values in the order
    of their numbers, texts or integers; empty for regression, where `target_mean` and
    `target_scale` are those of the training rows, for whoever wants to standardise y. `dropped`
    columns are known and not used. `says` collects sentences to print.
    """

    target: str
    task: str
    classes: list[str] | list[int]
    columns: list[NumberColumn | TextColumn]
    dropped: list[str]
    target_mean: float = 0.0
    target_scale: float = 1.0
    says: list[str] = field(default_factory=list, compare=False)

    @property
    def features(self) -> list[str]:
        """The names of the columns of X."""
        return [name for column in self.columns for name in column.features]

    @classmethod
    def fit(cls, table: Table, target: str, *, task: str | None = None) -> Recipe:
        """The recipe for `table`, with the column `target` to be predicted.

        Numbers: blanks become the median, with a column that says where; then (x − mean) / std.
        Texts:   a column of 0 and 1 for each, up to 50; more are left out.
        Left out: columns with one value only, row numbers, names that differ in every row.
        Task:    a target of texts, or of few integers, is classification; `task` overrules.
        Raises:  DataError for a table that cannot be learnt from, with rows and columns.
        Example:
            >>> table = Table("t.csv", {"x": ["1", "3"], "kind": ["a", "b"]}, [2, 3])
            >>> recipe = Recipe.fit(table, "kind")
            >>> recipe.apply(table), recipe.targets(table)
            (array([[-1.],
                   [ 1.]], dtype=float32), array([0, 1]))
            >>> recipe.says
            ["'kind' has the texts 'a', 'b': classification."]
        """
        says: list[str] = []
        task, classes, mean, scale = _judged(table, target, task, says.append)
        columns, dropped = [], []
        for name in table.columns:
            if name == target:
                continue
            if table.is_blank(name):
                raise DataError(
                    f"{table.source}: the column {name!r} has nothing in it",
                    hint="delete the column, or fill it",
                )
            why = _useless(table, name)
            if why:
                says.append(f"{name!r} is left out: {why}.")
                dropped.append(name)
            else:
                columns.append(_learnt(table, name, says.append))
        if not columns:
            raise DataError(
                f"{table.source} has no column to predict {target!r} from",
                got={"left out": listed(map(repr, dropped)) or "nothing"},
            )
        return cls(target, task, classes, columns, dropped, mean, scale, says)

    def apply(self, table: Table) -> np.ndarray:
        """The rows of `table` as X, float32 (rows, len(features)).

        The target need not be there. Columns that the recipe does not know are ignored, and
        that is said; so are texts and blanks that the training table did not have.

        Raises:  DataError for columns that are missing, and for cells that are no numbers.
        """
        lost = [column.name for column in self.columns if column.name not in table.columns]
        if lost:
            raise missing(lost, table)
        known = {self.target, *self.dropped, *(column.name for column in self.columns)}
        if extra := [name for name in table.columns if name not in known]:
            self._say(f"Not used, because training did not have them: {listed(map(repr, extra))}.")
        parts = [column.apply(table, self._say) for column in self.columns]
        with np.errstate(over="ignore"):
            X = np.concatenate(parts, axis=1).astype(np.float32)
        if not np.isfinite(X).all():
            i, j = np.argwhere(~np.isfinite(X))[0]
            owner = [column.name for column in self.columns for _ in column.features][j]
            raise DataError(
                f"{table.place(i, owner)}: the number is too far from those of the training table",
                got={"cell": str(table.column(owner)[i])},
            )
        return X

    def targets(self, table: Table) -> np.ndarray:
        """The target column as y: int64 class numbers, or float32 quantities; shape (rows,).

        Raises:  DataError naming the rows that are blank, or of a class unknown to training.
        """
        _refuse_blanks(table, self.target)
        if self.task == "regression":
            return _as_float32(table, self.target)
        number_of = {value: k for k, value in enumerate(self.classes)}
        numeric = not isinstance(self.classes[0], str)
        cells = table.numbers(self.target) if numeric else table.texts(self.target)
        unknown = [i for i, cell in enumerate(cells) if cell not in number_of]
        if unknown:
            raise DataError(
                f"{table.place(unknown[0], self.target)}: {table.texts(self.target)[unknown[0]]!r} "
                "is no class of the training table",
                got={"rows like this": listed(table.labels[i] for i in unknown)},
                want=f"one of {listed(self.classes, 20)}",
            )
        return np.array([number_of[cell] for cell in cells], np.int64)

    def to_json(self) -> dict:
        """A dict that `json.dumps` takes as it is, and `from_json` gives back."""
        plain = asdict(self)
        del plain["says"]
        return plain

    @classmethod
    def from_json(cls, plain: dict) -> Recipe:
        """The recipe that `to_json` wrote; DataError if it is none."""
        try:
            columns = [_column(**column) for column in plain["columns"]]
            recipe = cls(**{**plain, "columns": columns, "says": []})
        except (TypeError, KeyError) as error:
            raise DataError("this is not a recipe", got={"because": str(error)}) from None
        for wrong in _wrongs(recipe):
            raise DataError(f"this is not a recipe: {wrong}")
        return recipe

    def _say(self, sentence: str) -> None:
        if sentence not in self.says:
            self.says.append(sentence)


# --- the target -----------------------------------------------------------------------------


def _judged(table: Table, target: str, task: str | None, say) -> tuple[str, list, float, float]:
    """(task, classes, mean, scale) of the target column."""
    if task not in (None, "classification", "regression"):
        raise DataError(
            f"there is no task {task!r}", want='"classification" or "regression", or None to guess'
        )
    table.column(target)  # raises if there is none
    _refuse_blanks(table, target)
    asked = " (as asked)" if task else ""
    if table.first_text(target) is not None and task != "regression":
        classes = sorted(set(table.texts(target)))
        _refuse_one(table, target, classes)
        if len(classes) == table.rows >= _ENOUGH:
            raise DataError(
                f"{table.source}: every row has its own {target!r}, so there is nothing to learn",
                got={"texts": listed(map(repr, classes))},
                hint="is another column the target?",
            )
        say(f"{target!r} has the texts {listed(map(repr, classes))}: classification{asked}.")
        return "classification", classes, 0.0, 1.0
    y = table.numbers(target)
    values = np.unique(y)
    _refuse_one(table, target, values)
    whole = bool((values == np.round(values)).all() and np.abs(values).max() < 1 << 53)
    few = len(values) <= max(2, min(MOST_CLASSES, table.rows // 5))
    if task == "classification" or (task is None and whole and few):
        if not whole:
            raise DataError(
                f"{table.source}: {target!r} has fractions, which cannot be classes",
                got={"values": listed(values)},
                hint='take task="regression"',
            )
        classes = [int(value) for value in values]
        say(f"{target!r} has the integers {listed(classes)}: classification{asked}.")
        return "classification", classes, 0.0, 1.0
    say(f"{target!r} has {len(values):,} different numbers: regression{asked}.")
    mean, scale = _spread(_as_float32(table, target).astype(np.float64))
    return "regression", [], mean, scale


def _refuse_blanks(table: Table, target: str) -> None:
    if table.first_text(target) is None:
        blank = np.flatnonzero(np.isnan(table.numbers(target))).tolist()
    else:
        blank = [i for i, cell in enumerate(table.texts(target)) if not cell]
    if blank or table.is_blank(target):
        rows = blank or range(table.rows)
        raise DataError(
            f"{table.source}: the target {target!r} is blank in {counted(len(rows), 'row')}",
            got={"rows": listed((table.labels[i] for i in rows), 10)},
            hint="fill these cells, or delete the rows",
        )


def _refuse_one(table: Table, target: str, values) -> None:
    if len(values) == 1:
        raise DataError(
            f"{table.source}: the target {target!r} is {values[0]!s:.60} in every row",
            want="at least two different values: there is nothing to learn from one",
        )


def _as_float32(table: Table, target: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        y = table.numbers(target).astype(np.float32)
    if not np.isfinite(y).all():
        i = int(np.argmin(np.isfinite(y)))
        raise DataError(
            f"{table.place(i, target)}: the number is too large for float32",
            got={"cell": str(table.column(target)[i])},
        )
    return y


# --- the other columns ----------------------------------------------------------------------


def _useless(table: Table, name: str) -> str | None:
    """Why a column is left out, if it is."""
    text = table.first_text(name)
    if text is not None:
        levels = set(table.texts(name))
        if len(levels) == 1:
            return f"it is {levels.pop()!r:.60} in every row"
        why = None
        if len(levels) == table.rows >= _ENOUGH:
            why = "it differs in every row, like a name or an identifier"
        elif len(levels) > MOST_LEVELS:
            why = f"it has {len(levels):,} different texts, more than {MOST_LEVELS}"
        if why and 2 * table.count_numbers(name) > table.rows:
            why += f"; {_cells_without_numbers(table, name, text)}"
        return why
    x = table.numbers(name)
    if (x == x[0]).all():
        return f"it is {x[0]:g} in every row"
    if table.rows < _ENOUGH or not (x == np.round(x)).all() or len(np.unique(x)) < table.rows:
        return None
    if x[0] in (0, 1) and (np.diff(x) == 1).all():
        return "it counts the rows"
    if _IDENTIFIER.search(name):
        return "it is an identifier, different in every row"
    return None


def _learnt(table: Table, name: str, say) -> NumberColumn | TextColumn:
    text = table.first_text(name)
    if text is None:
        return _learnt_number(table, name, say)
    column = TextColumn(name, sorted(set(table.texts(name))))
    if 2 * table.count_numbers(name) > table.rows:
        say(f"{name!r} is taken as text: {_cells_without_numbers(table, name, text)}.")
    return column


def _cells_without_numbers(table: Table, name: str, first: int) -> str:
    """One wrong cell turns a column of numbers into texts: that has to be said."""
    others = counted(table.rows - table.count_numbers(name), "cell")
    cell = table.texts(name)[first]
    row = table.labels[first]
    return f"{others} of {table.rows:,} without a number, first {cell!r:.40} in row {row}"


def _learnt_number(table: Table, name: str, say) -> NumberColumn:
    x = table.numbers(name)
    blank = np.isnan(x)
    fill = float(np.median(x[~blank]))
    if blank.any():
        say(
            f"{name!r}: {counted(blank.sum(), 'blank')} filled with the median, {fill:g}; "
            "one more column says where."
        )
    mean, scale = _spread(np.where(blank, fill, x))
    return NumberColumn(name, fill, mean, scale, bool(blank.any()))


def _spread(x: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation, the latter 1 where it would be 0; safe for large numbers."""
    largest = float(np.abs(x).max()) or 1.0
    return float(np.mean(x / largest) * largest), float(np.std(x / largest) * largest) or 1.0


# --- recipes from files ---------------------------------------------------------------------


def _column(**plain: Any) -> NumberColumn | TextColumn:
    return TextColumn(**plain) if "levels" in plain else NumberColumn(**plain)


def _wrongs(recipe: Recipe):
    """What a recipe made by hand, or by an enemy, may have wrong."""

    def texts(thing):
        return isinstance(thing, list) and all(isinstance(item, str) for item in thing)

    def numbers(*things):
        return all(isinstance(x, int | float) and abs(x) <= sys.float_info.max for x in things)

    names = [column.name for column in recipe.columns]
    if not texts([recipe.target, *names]) or not texts(recipe.dropped) or not names:
        yield "it lacks the names of its columns"
    elif len(set(names)) < len(names):
        yield "it has a column twice"
    if recipe.task not in ("classification", "regression"):
        yield f"its task is {recipe.task!r:.40}"
    whole = isinstance(recipe.classes, list) and all(type(k) is int for k in recipe.classes)
    if not (whole or texts(recipe.classes)) or (
        (len(recipe.classes) > 1) != (recipe.task == "classification")
    ):
        yield "its classes are no list of texts or integers"
    if not numbers(recipe.target_mean, recipe.target_scale) or recipe.target_scale <= 0:
        yield "its target has no mean or no scale"
    for column in recipe.columns:
        if isinstance(column, TextColumn):
            if not texts(column.levels):
                yield f"{column.name!r:.40} has no list of texts"
        elif not numbers(column.fill, column.mean, column.scale) or column.scale <= 0:
            yield f"{column.name!r:.40} has no mean or no scale"
        elif not isinstance(column.blanks, bool):
            yield f"{column.name!r:.40} does not say whether it had blanks"
