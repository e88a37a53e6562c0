"""kinks: where a run met a point at which it has no derivative, and which one was taken.

The choice is stamped on the node when it is made (`ob.config(kinks=)`); here it is read back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import GradientError
from ..graph import Node
from .answer import Answer, Table, padded, plain
from .formula import spelled
from .names import known_as, names_of, width
from .record import Record, record_of


class Corner(NamedTuple):
    """What a primitive does at its kink.

    met      of (y, *xs, **params): where it was met, as booleans
    between  of the params: the least and the greatest subgradient (both infinite: it is steep)
    taken    of the params: the one the rule takes, as a number or in words
    note     in words
    """

    met: Callable[..., Any]
    between: Callable[[dict[str, Any]], tuple[float, float]]
    taken: Callable[[dict[str, Any]], Any]
    note: str


def _zero(_y: Any, x: Any, **_: Any) -> Any:
    return x == 0


def _nothing(y: Any, *_: Any, **__: Any) -> Any:
    return y == 0


def _tie(_y: Any, x: Any, other: Any, **_: Any) -> Any:
    return (x == other) & np.isfinite(x)


def _ties(y: Any, x: Any, *, axis: tuple[int, ...], **_: Any) -> Any:
    kept = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    met = x == np.reshape(y, kept)
    return met & (met.sum(axis=axis, keepdims=True) > 1)


def _neighbours(y: Any, x: Any, *, axis: int, **_: Any) -> Any:
    first = np.take(y, range(y.shape[axis] - 1), axis) == np.take(y, range(1, y.shape[axis]), axis)
    pad = [(0, 0)] * y.ndim
    pad[axis] = (0, 1)
    return np.pad(first, pad)


def _bounds(_y: Any, x: Any, low: Any, high: Any, **_: Any) -> Any:
    return (x == low) | (x == high)


def _steep(_y: Any, x: Any, p: Any, **_: Any) -> Any:
    return (x == 0) & (p > 0) & (p < 1)


UNIT = (0.0, 1.0)
BALL = (-1.0, 1.0)
INFINITE = (np.inf, np.inf)

CORNERS: dict[str, Corner] = {
    "relu": Corner(_zero, lambda p: UNIT, lambda p: 0.0, "max(0, x) at 0"),
    "ramp": Corner(
        _zero,
        lambda p: (min(p["left"], 1.0), max(p["left"], 1.0)),
        lambda p: p["left"] + (1 - p["left"]) * p["kink"],
        "a ramp at 0",
    ),
    "elu": Corner(
        lambda _y, x, **p: (x == 0) & (p["alpha"] != 1),
        lambda p: (min(p["alpha"], 1.0), max(p["alpha"], 1.0)),
        lambda p: p["alpha"] + (1 - p["alpha"]) * p["kink"],
        "elu at 0",
    ),
    "abs": Corner(_zero, lambda p: BALL, lambda p: 2 * p.get("kink", 0.5) - 1, "|x| at 0"),
    "maximum": Corner(
        _tie, lambda p: UNIT, lambda p: p.get("kink", 0.5), "both are equal; the share of the first"
    ),
    "minimum": Corner(
        _tie,
        lambda p: UNIT,
        lambda p: 1 - p.get("kink", 0.5),
        "both are equal; the share of the first",
    ),
    "clip": Corner(
        _bounds,
        lambda p: UNIT,
        lambda p: f"{spelled(p['below'])} at the lower, {spelled(1 - p['above'])} at the upper",
        "x is at a bound",
    ),
    "max": Corner(
        _ties, lambda p: UNIT, lambda p: _TIES[p["ties"]], "several entries are the greatest"
    ),
    "min": Corner(
        _ties, lambda p: UNIT, lambda p: _TIES[p["ties"]], "several entries are the least"
    ),
    "sort": Corner(
        _neighbours, lambda p: UNIT, lambda p: "their order is kept", "entries are equal"
    ),
    "sqrt": Corner(_zero, lambda p: INFINITE, lambda p: np.inf, "√x at 0"),
    "cbrt": Corner(_zero, lambda p: INFINITE, lambda p: np.inf, "the cube root at 0"),
    "power": Corner(_steep, lambda p: INFINITE, lambda p: np.inf, "x^y at x = 0, 0 < y < 1"),
    "length": Corner(_nothing, lambda p: BALL, lambda p: 0.0, "the norm of zeros"),
    "p_norm": Corner(_nothing, lambda p: BALL, lambda p: 0.0, "the norm of zeros"),
    "root_of_squares": Corner(
        _nothing, lambda p: BALL, lambda p: 0.0, "the deviation of a constant"
    ),
    "hypot": Corner(_nothing, lambda p: BALL, lambda p: 0.0, "the hypotenuse of (0, 0)"),
    "complex_abs": Corner(_nothing, lambda p: BALL, lambda p: 0.0, "|z| at 0"),
}
"""Every primitive with a kink that its rule decides about."""

_TIES = {"share": "equal shares", "first": "all to the first", "last": "all to the last"}


@dataclasses.dataclass(frozen=True)
class Kink:
    """An operation evaluated exactly where it has no derivative, `count` times, first at `first`.

    between  the interval of subgradients; taken: the choice that the rule made
    """

    name: str
    op: str
    where: str
    line: int
    count: int
    size: int
    first: tuple[int, ...]
    between: tuple[float, float]
    taken: Any
    note: str


class KinkReport(Answer):
    """The kinks a run met: `.found` is a list of `Kink`; false if there are none."""

    def __init__(self, found: Sequence[Kink], operations: int) -> None:
        self.found, self.operations = list(found), operations

    def __bool__(self) -> bool:
        return bool(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def _rows(self) -> list[list[str]]:
        rows = []
        for k in self.found:
            low, high = k.between
            interval = "infinite" if np.isinf(low) else f"[{spelled(low)}, {spelled(high)}]"
            taken = k.taken if isinstance(k.taken, str) else spelled(k.taken)
            at = f"{k.count} of {k.size}" + (f", first at {list(k.first)}" if k.first else "")
            rows.append([k.name, k.op, k.note, at, interval, taken, k.where])
        return rows

    def text(self, *, ascii: bool = False) -> str:
        """One line per operation."""
        if not self.found:
            return f"no kink was met in {self.operations} operations"
        rows = [["", "", "", "where it was met", "subgradients", "taken", ""], *self._rows()]
        wide = [max(width(r[i]) for r in rows) + 2 for i in range(6)]
        lines = ["".join(padded(c, w) for c, w in zip(r, wide, strict=False)) + r[6] for r in rows]
        return plain("\n".join(line.rstrip() for line in lines), ascii)

    def tables(self) -> list[Table]:
        """One row per operation."""
        heads = ["", "operation", "", "where it was met", "subgradients", "taken", "line"]
        return [("kinks", heads, self._rows())]


def kinks(subject: Any, *args: Any) -> KinkReport:
    """The operations that a run evaluated exactly at a point without a derivative.

    Of a result, a Graph, or a function with its arguments. Reported are how often, first at which
    index, the interval of subgradients, and the one that the rules take.

    Example:
        >>> report = ob.kinks(ob.relu, np.array([-1.0, 0.0, 2.0]))
        >>> [(k.op, k.count, k.first, k.between, k.taken) for k in report.found]
        [('relu', 1, (1,), (0.0, 1.0), 0.0)]
    """
    record = record_of("kinks", subject, args)
    if not record.nodes:
        raise GradientError("kinks: nothing was computed")
    names = names_of(record.nodes, record.outputs, record.given)
    there = set(record.path) or set(record.nodes)
    found = [k for n in record.nodes if n in there for k in _met(record, n, names)]
    return KinkReport(found, sum(record.computed(n) for n in record.nodes))


def _met(record: Record, node: Node, names: dict[int, str]) -> list[Kink]:
    corner = CORNERS.get(node.op.name) if record.computed(node) else None
    if corner is None:
        return []
    values = [np.asarray(record.value(x)) for x in node.inputs]
    met = np.asarray(corner.met(np.asarray(record.value(node)), *values, **node.params))
    if not met.any():
        return []
    origin = node.origin
    return [
        Kink(
            known_as(names, node),
            node.op.name,
            str(origin) if origin else "",
            origin.line if origin else 0,
            int(met.sum()),
            met.size,
            tuple(int(i) for i in np.argwhere(met)[0]),
            corner.between(node.params),
            corner.taken(node.params),
            corner.note,
        )
    ]
