"""What the result is when an input is moved: the engine's own values, and what the adjoint said.

The nodes that depend on what is moved are run again, on the graph that was recorded: a branch that
the program took stays taken. Nothing of the record changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..graph import Node
from ..work import flops_of
from .answer import norm
from .pool import plain
from .record import Record

POSITIONS = 41
MOST = 8
"""So many variables have a slider of their own; those with the greatest adjoints are chosen."""
WORK = 100_000
"""So many nodes are run again at most, a thousand entries of arrays, or ten thousand operations on
them, counting as a second node.
"""
MOST_WORK = 5 * WORK
"""What the first of them may take."""
IMPURE = frozenset({"callback"})
"""Operations that are not run again: what they do is not ours."""


class Again:
    """The program from some leaves on, to be run again with other values for them."""

    def __init__(self, record: Record, moved: Iterable[Node]) -> None:
        self.record, self.steps = record, list[tuple[Node, tuple[tuple[Node, Any], ...]]]()
        reached, kept = set(moved), dict[Node, Any]()
        for node in record.nodes:
            if record.computed(node) and not reached.isdisjoint(node.inputs):
                reached.add(node)
                for x in node.inputs:
                    if x not in reached and x not in kept:
                        kept[x] = record.value(x)
                self.steps.append((node, tuple((x, kept.get(x)) for x in node.inputs)))
        self.work = sum(
            1
            + sum(getattr(x.spec, "size", 1) for x in (*n.inputs, n)) / 1000
            + flops_of(n) / 10_000
            for n, _ in self.steps
        )

    def __call__(self, values: Mapping[Node, Any]) -> Any:
        """The sum of the results: what the sweep, which starts from ones, differentiates."""
        new = dict(values)
        with np.errstate(all="ignore"):
            for node, operands in self.steps:
                run = (new.get(x, kept) for x, kept in operands)
                new[node] = node.op.run(*run, **node.params)
            total: Any = 0.0
            for y in self.record.outputs:
                total = total + np.sum(new[y] if y in new else self.record.value(y))
        return total


def slides(record: Record) -> list[dict[str, Any]]:
    """A table of the result along some directions through the inputs.

    Each: `node` (a Node, None for all variables together), `entry` (its flat index, None for a
    number), `at` (where it stands), `reach` (how far the first and the last of the positions are),
    `slope` (what the adjoint says: change of the result per unit), `values` at the positions.
    The one for all variables goes along the negative gradient, by `reach` in norm.
    """
    if any(n.op.name in IMPURE for n in record.nodes) or not record.outputs:
        return []
    moved = [v for v in record.variables if _movable(record, v)]
    if not moved:
        return []
    sizes = {v: norm(record.bars[v]) for v in moved}
    loudest = sorted(moved, key=lambda v: -sizes[v])[:MOST]
    left, found = float(WORK), []
    whole = _downhill(record, moved)
    chosen = [_entry(record, v) for v in moved if v in loudest]
    for slide, values in [*([whole] if whole and len(moved) > 1 else []), *chosen]:
        again = Again(record, moved if slide["node"] is None else [slide["node"]])
        work = POSITIONS * again.work
        if work > (left if found else MOST_WORK):
            continue
        left -= work
        reached = [again(values(slide["reach"] * p)) for p in positions()]
        found.append({**slide, "values": [plain(y) for y in reached]})
    return found


def positions() -> list[float]:
    """Where the result is computed, in parts of the reach: from −1 to 1."""
    half = POSITIONS // 2
    return [p / half for p in range(-half, half + 1)]


def _movable(record: Record, v: Node) -> bool:
    bar = record.bars.get(v)
    if bar is None or isinstance(bar, tuple) or v.spec.dtype.kind != "f" or not v.spec.size:
        return False
    return bool(np.all(np.isfinite(bar)) and np.all(np.isfinite(record.value(v))))


def _entry(record: Record, v: Node) -> tuple[dict[str, Any], Any]:
    """One entry of a variable: the one whose adjoint is greatest."""
    value, bar = np.asarray(record.value(v)), np.asarray(record.bars[v])
    k = int(np.abs(bar).argmax()) if value.ndim else None
    at = value.flat[k] if k is not None else value[()]
    slope = bar.flat[k] if k is not None else bar[()]
    reach = rounded(2 * max(abs(float(at)), norm(value) / math.sqrt(value.size)) or 1.0)

    def values(by: float) -> dict[Node, Any]:
        moved = np.array(value)
        if k is None:
            return {v: np.asarray(value + by, value.dtype)[()]}
        moved.flat[k] = at + by
        return {v: moved}

    return {
        "node": v, "entry": k, "at": plain(at), "reach": reach, "slope": plain(slope),
    }, values  # fmt: skip


def _downhill(record: Record, moved: Sequence[Node]) -> tuple[dict[str, Any], Any] | None:
    """All variables together, against the gradient."""
    bars = {v: np.asarray(record.bars[v]) for v in moved}
    steep = math.hypot(*(norm(b) for b in bars.values()))
    if not 0 < steep < math.inf:
        return None
    height = abs(float(Again(record, ())({})))
    here = math.hypot(*(norm(record.value(v)) for v in moved))
    reach = rounded(min(height / steep or 1.0, max(1.0, here)))

    def values(by: float) -> dict[Node, Any]:
        return {
            v: np.asarray(record.value(v) - (by / steep) * b, v.spec.dtype)[()]
            for v, b in bars.items()
        }

    return {"node": None, "entry": None, "at": 0, "reach": reach, "slope": -steep}, values


def rounded(x: float) -> float:
    """The next of 1, 2, 5, 10, 20, ..."""
    power = 10.0 ** math.floor(math.log10(x))
    step = next(m for m in (1, 2, 5, 10) if m * power >= x * (1 - 1e-9))
    return float(f"{step * power:.3g}")
