"""A formula for a derivative, held against the engine: whether it is right, and if not, why.

It is evaluated at the point of the computation and at points nearby, so that no accident of the
numbers passes for right. Then the usual slips are undone one by one (a lost plus, a sign, a
transpose, a factor, a path); the first that makes the formula right at every point is named.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ..errors import OverbarError
from ..graph import Node, ancestors
from ..replay import whole_value
from .answer import Answer, Table, plain
from .formula import written
from .names import bar
from .reading import Part, Values, multiplied, names_in, read, said, summed, worth
from .record import Record
from .rows import Row, Telling
from .terms import total

CLOSE = 1e-8
POINTS = 3
PAIRS = 6000
"""So many pairs of edits are tried, at most."""
_HIGH = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


class Verdict(Answer):
    """What became of a check: true if the formula is right.

    kind     "right", "by luck", "missing plus", "sign", "factor", "transposed", "path missing",
             "path twice", "wrong name", "square", "product", "factor missing", "factor too many",
             "this point only", "shape", "unknown name", "wrong"
    reason   the same, as a sentence
    came, wanted   the numbers
    """

    def __init__(
        self, name: str, formula: str, kind: str, reason: str, came: Any, wanted: Any, right: str
    ) -> None:
        self.name, self.formula, self.kind, self.reason = name, formula, kind, reason
        self.came, self.wanted, self.rule = came, wanted, right

    def __bool__(self) -> bool:
        return self.kind == "right"

    def text(self, *, ascii: bool = False) -> str:
        """The verdict."""
        verdict = {"right": "right", "by luck": "right, by luck"}.get(self.kind, "not right")
        lines = [f"{bar(self.name)} = {self.formula}: {verdict}"]
        if self.reason:
            lines.append(f"    {self.reason}")
        if verdict == "not right" and self.wanted is not None:
            lines.append(f"    {_difference(self.came, self.wanted)}")
        if self.kind != "right":
            lines.append(f"    the rule: {bar(self.name)} = {self.rule}")
        return plain("\n".join(lines), ascii)

    def tables(self) -> list[Table]:
        """The verdict as a table."""
        first, *rest = self.text().split("\n")
        return [(first, [], [[line.strip()] for line in rest])]


def _difference(came: Any, wanted: Any) -> str:
    if came is None:
        return "as it stands, the shapes do not fit"
    a, b = np.asarray(came, float), np.asarray(wanted, float)
    if a.shape != b.shape:
        return f"the shape {list(a.shape)} came, {list(b.shape)} is wanted"
    at = np.unravel_index(int(np.argmax(np.abs(a - b))), a.shape) if a.size else ()
    where = f"at {[int(i) for i in at]} " if a.ndim else ""
    return f"{where}{_digits(a[at])} came, {_digits(b[at])} is wanted"


def _digits(v: float) -> str:
    return f"{v:.6g}"


class Point(NamedTuple):
    """The numbers at one point: by name, and what is wanted; what each row sends."""

    values: Values
    wanted: np.ndarray
    sent: list[Any]


def judged(telling: Telling, variable: Node, formula: str) -> Verdict:
    """The verdict on a formula for the adjoint of a variable."""
    name = telling.name(variable)
    rows = [
        row
        for row in reversed(telling.rows)
        if variable in telling.followed(row) and telling.message(row, variable) is not None
    ]
    rule = written(total(*(telling.backward(row)[variable] for row in reversed(rows))))
    e = read(formula)
    telling = copy.copy(telling)
    telling.__dict__.pop("_sent", None)
    telling.record = telling.record.widened(telling.names)
    points = list(_points(telling, variable, rows))
    unknown = [n for n in names_in(e) if n not in points[0].values]
    shown = said(e)
    if unknown:
        kind, reason = "unknown name", _unknown(unknown[0], name, points[0].values)
        return Verdict(name, shown, kind, reason, None, None, rule)
    kind, reason = _Diagnosis(telling, variable, rows, points).of(e)
    there = next((p for p in points if not _fits(_worth(e, p), p.wanted)), points[0])
    return Verdict(name, shown, kind, reason, _worth(e, there), there.wanted, rule)


def _unknown(word: str, name: str, values: Values) -> str:
    if word == f"{key_of(name)}_bar":
        return f"{bar(name)} is what is asked for"
    there = [n for n in values if "." not in n]
    more = ", ..." if len(there) > 12 else ""
    return f"nothing here is called {word}; there are {', '.join(there[:12])}{more}"


def key_of(name: str) -> str:
    """A name as it can be written in a formula: `h₁` is h1, `fc.weight` is fc.weight."""
    return re.sub(r"[^\w.]", "_", name.translate(_HIGH))


# -- the points -------------------------------------------------------------------------------


def _points(telling: Telling, variable: Node, rows: Sequence[Row]) -> Iterator[Point]:
    yield _point(telling, variable, rows)
    rng = np.random.default_rng(0)
    for _ in range(POINTS - 1):
        record = _nearby(telling, rng)
        if record is not None:
            there = copy.copy(telling)
            there.__dict__.pop("_sent", None)
            there.record = record
            yield _point(there, variable, rows)


def _nearby(telling: Telling, rng: np.random.Generator) -> Record | None:
    """The computation for other numbers: every leaf that has a name is moved a little."""
    record = telling.record
    values: dict[Node, Any] = {}
    try:
        with np.errstate(all="ignore"):
            for node in record.nodes:
                if record.computed(node):
                    operands = [values[x] for x in node.inputs]
                    values[node] = node.op.run(*operands, **node.params)
                else:
                    values[node] = record.values[node]
                    if node.serial in telling.names and node.spec.floating:
                        x = np.asarray(values[node], node.spec.dtype)
                        moved = x * (1 + 0.2 * rng.uniform(-1, 1, x.shape))
                        values[node] = (moved + 0.05 * (x == 0)).astype(x.dtype)[()]
                values[node] = whole_value(values[node], node)
    except (OverbarError, ValueError, FloatingPointError, np.linalg.LinAlgError):
        return None
    ends = [values[y] for y in record.outputs]
    if not all(np.all(np.isfinite(v)) for v in ends):
        return None
    return record.elsewhere(values)


def _point(telling: Telling, variable: Node, rows: Sequence[Row]) -> Point:
    record, values = telling.record, dict[str, Any]()
    for node in record.nodes:
        name = telling.names.get(node.serial)
        if name is None or isinstance(node.spec, tuple):
            continue
        values.setdefault(key_of(name), record.value(node))
        if node in record.bars and node is not variable:
            values[f"{key_of(name)}_bar"] = record.bars[node]
    sent = [telling.message(row, variable) for row in rows]
    return Point(values, np.asarray(record.bars[variable], float), sent)


def _worth(e: Part, p: Point) -> Any:
    """What a formula is worth at a point; None if its shapes do not fit."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(worth(e, p.values), float)
    except (ValueError, TypeError, IndexError):
        return None


def _fits(came: Any, wanted: np.ndarray) -> bool:
    """Whether what came is what is wanted; a number stands for an array filled with it."""
    if came is None:
        return False
    if came.shape != wanted.shape:
        alike = [n for n in came.shape if n != 1] == [n for n in wanted.shape if n != 1]
        if not alike and came.ndim:
            return False
        came = came.reshape(wanted.shape) if alike else np.broadcast_to(came, wanted.shape)
    scale = np.max(np.abs(wanted), initial=0.0)
    return bool(np.all(np.abs(came - wanted) <= CLOSE * (np.abs(wanted) + scale) + 1e-300))


# -- what is wrong ----------------------------------------------------------------------------


class _Diagnosis:
    def __init__(
        self, telling: Telling, variable: Node, rows: Sequence[Row], points: Sequence[Point]
    ) -> None:
        self.telling, self.variable, self.rows, self.points = telling, variable, rows, points
        self.name = telling.name(variable)

    def right(self, e: Part, points: Sequence[Point] | None = None) -> bool:
        """Whether a formula is right at every point."""
        return all(_fits(_worth(e, p), p.wanted) for p in points or self.points)

    def of(self, e: Part) -> tuple[str, str]:
        """(kind, reason)."""
        if self.right(e):
            return self._luck(e) or ("right", "")
        here = self.right(e, self.points[:1])
        found = (
            self._turned(e) or self._factor(e) or self._paths(e) or self._edited(e)
            or self._edited_twice(e)
        )  # fmt: skip
        if here:
            why = f": {found[1]}" if found else ""
            return "this point only", f"right for these numbers only, by luck, not nearby{why}"
        return found or ("wrong", "")

    def _luck(self, e: Part) -> tuple[str, str] | None:
        """Adjoints of what does not depend on the variable at all, but have the same value."""
        called = {f"{key_of(self.telling.name(n))}_bar": n for n in self.telling.record.bars}
        for name in names_in(e):
            node = called.get(name)
            if node is None or self.variable in ancestors([node]):
                continue
            sends = " and ".join(self.telling.name(row.node) for row in self.rows)
            other = self.telling.name(node)
            return "by luck", (
                f"{self.name} goes into {sends}, not into {other}; {bar(other)} only happens to "
                "have the same value"
            )
        return None

    def _turned(self, e: Part) -> tuple[str, str] | None:
        came = [_worth(e, p) for p in self.points]
        if any(c is None for c in came):
            return None
        shape, wanted = came[0].shape, self.points[0].wanted.shape
        if came[0].ndim == 2 and all(
            _fits(c.T, p.wanted) for c, p in zip(came, self.points, strict=True)
        ):
            return "transposed", (
                f"transposed: the shape is {list(shape)}, but a gradient has the shape of its "
                f"variable, {list(wanted)}"
                if shape != wanted
                else "transposed: it is the transpose that is right"
            )
        for axis in range(came[0].ndim):
            if all(_fits(c.sum(axis), p.wanted) for c, p in zip(came, self.points, strict=True)):
                return "shape", (
                    f"a sum over axis {axis} is missing: the variable was used for each of the "
                    f"{shape[axis]} rows"
                )
        return None

    def _factor(self, e: Part) -> tuple[str, str] | None:
        """A constant by which everything is off."""
        factors = []
        for p in self.points:
            came = _worth(e, p)
            if came is None or came.size != p.wanted.size or not np.any(came):
                return None
            came = came.reshape(p.wanted.shape)
            k = float(np.sum(came * p.wanted) / np.sum(came * came))
            if not k or not _fits(k * came, p.wanted):
                return None
            factors.append(k)
        k = factors[0]
        if any(abs(f - k) > CLOSE * abs(k) for f in factors):
            return None
        if abs(k + 1) < CLOSE:
            return "sign", "the sign is wrong"
        simple = Fraction(abs(k)).limit_denominator(64)
        size = str(simple) if abs(float(simple) - abs(k)) < CLOSE * abs(k) else f"{abs(k):.6g}"
        much = f"{1 / simple} times too large" if simple and simple < 1 and len(size) < 6 else ""
        turned = ", and its sign is wrong" if k < 0 else ""
        return "factor", (f"it is {much}" if much else f"a factor {size} is missing") + turned

    def _paths(self, e: Part) -> tuple[str, str] | None:
        """A message that is not there, or there twice."""
        came = [_worth(e, p) for p in self.points]
        if any(c is None for c in came) or len(self.rows) < 2:
            return None
        for k, row in enumerate(self.rows):
            to = self.telling.name(row.node)
            text = written(self.telling.backward(row)[self.variable])
            pairs = list(zip(came, self.points, strict=True))
            if all(_fits(c + p.sent[k], p.wanted) for c, p in pairs):
                return "path missing", (
                    f"a path is missing: {self.name} goes into {to}, too, and what comes back adds "
                    f"up: + {text}"
                )
            if all(_fits(c - p.sent[k], p.wanted) for c, p in pairs):
                return "path twice", f"the path through {to} is counted twice: {text}"
        return None

    def _edited(self, e: Part) -> tuple[str, str] | None:
        for other, kind, reason in edits(e, self.points[0].values):
            if self.right(other, self.points[:1]) and self.right(other):
                return kind, self._with_senders(kind, reason)
        return None

    def _with_senders(self, kind: str, reason: str) -> str:
        if kind != "missing plus" or len(self.rows) < 2:
            return reason
        to = " and ".join(self.telling.name(row.node) for row in reversed(self.rows))
        head, _, right = reason.partition(": ")
        return f"{head}: {self.name} goes into {to}, and what comes back adds up: {right}"

    def _edited_twice(self, e: Part) -> tuple[str, str] | None:
        values = self.points[0].values
        pairs = (
            (once, twice)
            for once in edits(e, values)
            for twice in edits(once[0], values)
            if (once[1], twice[1]) in _TOGETHER
        )
        for once, twice in itertools.islice(pairs, PAIRS):
            if self.right(twice[0], self.points[:1]) and self.right(twice[0]):
                both = dict.fromkeys((once[2], twice[2]))
                return once[1], "; and ".join(both)
        return None


_TOGETHER = {
    ("factor too many", "factor missing"), ("square", "square"), ("transposed", "transposed"),
    ("sign", "factor missing"), ("factor too many", "factor too many"), ("sign", "sign"),
    ("wrong name", "wrong name"), ("missing plus", "sign"), ("factor too many", "sign"),
}  # fmt: skip


# -- one slip undone --------------------------------------------------------------------------

Edit = tuple[Part, str, str]


def edits(e: Part, values: Values) -> Iterator[Edit]:
    """The formula with one slip undone: (formula, kind, reason), likely ones first."""
    found = list(_everywhere(e, lambda p: _at(p, values)))
    order = (
        "missing plus",
        "sign",
        "square",
        "transposed",
        "product",
        "factor too many",
        "wrong name",
    )
    yield from sorted(found, key=lambda f: order.index(f[1]))
    yield from _with_factor(e, values)
    if e.kind == "sum":
        for i, a in enumerate(e.args):
            for other, kind, reason in _with_factor(a, values):
                args = (*e.args[:i], other, *e.args[i + 1 :])
                yield Part("sum", args, e.data), kind, f"{reason} in the term {said(a)}"


def _everywhere(e: Part, at: Any) -> Iterator[Edit]:
    """The edits of a formula and of all its parts."""
    yield from at(e)
    for i, a in enumerate(e.args):
        for other, kind, reason in _everywhere(a, at):
            args = (*e.args[:i], other, *e.args[i + 1 :])
            again = Part(e.kind, args, e.data)
            if e.kind == "sum":
                again = summed(list(zip(e.data, args, strict=True)))
            elif e.kind == "product":
                again = Part("product", args, e.data)
            yield again, kind, reason


def _at(e: Part, values: Values) -> Iterator[Edit]:
    if e.kind == "product":
        factors = list(zip(e.data, e.args, strict=True))
        for i in range(1, len(factors)):
            left, right = (
                multiplied(factors[:i]),
                multiplied([("*", factors[i][1]), *factors[i + 1 :]]),
            )
            if factors[i][0] != "/":
                made = summed([(1, left), (1, right)])
                yield made, "missing plus", f"a plus is missing: {said(made)}"
            swap = {"*": "@", "@": "*", "/": "*"}[factors[i][0]]
            words = {"*": "entry by entry", "@": "a matrix product", "/": "divided by"}
            other = multiplied([*factors[:i], (swap, factors[i][1]), *factors[i + 1 :]])
            yield (
                other,
                "product",
                f"{said(factors[i][1])} comes in {words[swap]}, not {words[factors[i][0]]}",
            )
        for i, (_, f) in enumerate(factors):
            rest = [*factors[:i], *factors[i + 1 :]]
            yield multiplied(rest), "factor too many", f"the factor {said(f)} is too many"
    elif e.kind == "sum":
        for i, a in enumerate(e.args):
            signs = tuple(-s if j == i else s for j, s in enumerate(e.data))
            yield Part("sum", e.args, signs), "sign", f"the sign of {said(a)} is wrong"
        if len(e.args) > 1:
            for i, a in enumerate(e.args):
                rest = [
                    (s, b) for j, (s, b) in enumerate(zip(e.data, e.args, strict=True)) if j != i
                ]
                yield summed(rest), "factor too many", f"the term {said(a)} is too many"
    elif e.kind == "power":
        yield e.args[0], "square", f"{said(e)} stands where {said(e.args[0])} is meant"
    elif e.kind == "turned":
        yield e.args[0], "transposed", f"{said(e.args[0])} is not to be transposed"
    elif e.kind == "name":
        x = np.asarray(values[e.data])
        if x.ndim == 2:
            yield Part("turned", (e,)), "transposed", f"{said(e)} is to be transposed"
        for other, v in values.items():
            if (
                other != e.data
                and np.shape(v) == x.shape
                and other.endswith("_bar") == e.data.endswith("_bar")
            ):
                there = Part("name", (), other)
                yield there, "wrong name", f"{said(e)} stands where {said(there)} is meant"


def _with_factor(e: Part, values: Values) -> Iterator[Edit]:
    """The formula times something that has a name."""
    for name, v in values.items():
        f = Part("name", (), name)
        reason = f"the factor {said(f)} is missing"
        yield multiplied([("*", e), ("*", f)]), "factor missing", reason
        if np.ndim(v):
            turned = Part("turned", (f,))
            yield multiplied([("*", e), ("@", turned)]), "factor missing", reason + ", as a row"
            yield multiplied([("*", turned), ("@", e)]), "factor missing", reason + ", transposed"
            yield multiplied([("*", e), ("@", f)]), "factor missing", reason
            yield multiplied([("*", f), ("@", e)]), "factor missing", reason
        one_minus = summed([(1, Part("number", (), 1)), (-1, f)])
        yield (
            multiplied([("*", e), ("*", one_minus)]),
            "factor missing",
            f"the factor {said(one_minus, 2)} is missing",
        )
