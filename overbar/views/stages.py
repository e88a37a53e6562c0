"""The stages a gradient passes on its way back: where each layer's parameters enter.

A layer is what shares the path of a module ("blocks.3.fc"), else a parameter by itself. A stage is
one use of it: the operation that its widest parameter enters, and the adjoint there. What the
adjoints do from stage to stage, going back, is vanish, explode, or neither.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ..graph import Node, ancestors
from .answer import norm
from .record import Record
from .runs import Parameter

SILENT = {"transpose", "cast", "broadcast", "alias", "reshape", "part"}
"""Between a parameter and the operation it enters."""
LOST = 1e-4
"""An adjoint that shrinks to less than this part has vanished; one that grows by more than its
reciprocal has exploded."""
SLOW = 0.8
"""At a rate nearer to 1 than this, a long way is to blame, not its steps."""
REPEATED = 4
"""Uses of one layer from which on they are looked at as a chain in time."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """One use of a layer: the operation that its weight enters, the norm of the adjoint there."""

    layer: str
    node: Node
    size: float
    use: int = 0


@dataclasses.dataclass(frozen=True)
class Trend:
    """Adjoints that shrink (or grow) from stage to stage, going back from `begins` to `ends`.

    ratio   per stage; count: of steps from stage to stage
    op      the operation that did most of it, with the ratio at each of its uses
    """

    begins: Stage
    ends: Stage
    ratio: float
    count: int
    op: Node | None
    at_op: float

    @property
    def vanishes(self) -> bool:
        """Whether it shrinks."""
        return self.ratio < 1


def layer_of(name: str) -> str:
    """`blocks.3.fc` of `blocks.3.fc.weight`; a name without a path stands for itself."""
    return name.rpartition(".")[0] or name


def stages_of(record: Record, parameters: Sequence[Parameter]) -> dict[str, list[Stage]]:
    """By layer, in the order of their first use: the uses of each, oldest first."""
    there = [p for p in parameters if p.node is not None]
    widest: dict[str, int] = {}
    for p in there:
        layer = layer_of(p.name)
        widest[layer] = max(widest.get(layer, 0), p.node.spec.ndim)  # type: ignore[union-attr]
    most = max(widest.values(), default=0)
    entries = _entries(record, [p.node for p in there])  # type: ignore[misc]
    found: dict[str, list[Stage]] = {}
    for p in there:
        layer, ndim = layer_of(p.name), p.node.spec.ndim  # type: ignore[union-attr]
        if ndim < widest[layer] or (ndim < 2 <= most):
            continue
        for node in entries[p.node]:  # type: ignore[index]
            bar = record.bars.get(node)
            if bar is not None:
                found.setdefault(layer, []).append(Stage(layer, node, norm(bar)))
    for layer, stages in found.items():
        once = {s.node: s for s in sorted(stages, key=lambda s: s.node.serial)}
        found[layer] = [dataclasses.replace(s, use=i) for i, s in enumerate(once.values())]
    return dict(sorted(found.items(), key=lambda item: item[1][0].node.serial))


def _entries(record: Record, leaves: Sequence[Node]) -> dict[Node, list[Node]]:
    """The operations that each leaf enters, seen through what only moves it."""
    entries: dict[Node, list[Node]] = {leaf: [] for leaf in leaves}
    behind = {leaf: leaf for leaf in leaves}
    for node in record.path:
        if not record.computed(node):
            continue
        for x in dict.fromkeys(node.inputs):
            leaf = behind.get(x)
            if leaf is None:
                continue
            if node.op.name in SILENT and len(node.inputs) == 1:
                behind[node] = leaf
            else:
                entries[leaf].append(node)
    return entries


def trends(record: Record, stages: dict[str, list[Stage]]) -> list[Trend]:
    """Through the layers, and the repeated uses of each: where adjoints vanish or explode."""
    deep = [uses[-1] for uses in stages.values()]
    chains = [sorted(deep, key=lambda s: s.node.serial)]
    chains += [uses for uses in stages.values() if len(uses) >= REPEATED]
    found: list[Trend] = []
    for chain in chains:
        for sign in (1, -1):
            trend = _steepest(record, chain, sign)
            if trend is not None and not any(
                t.begins.node is trend.begins.node and t.vanishes == trend.vanishes for t in found
            ):
                found.append(trend)
    return found


def _steepest(record: Record, chain: Sequence[Stage], sign: int) -> Trend | None:
    """The run of stages along which the adjoints fall (sign 1) or rise (-1) most, going back."""
    back = [s for s in reversed(chain) if s.size > 0 and math.isfinite(s.size)]
    best, here, start = (0.0, 0, 0), 0.0, 0
    for i in range(1, len(back)):
        step = sign * (math.log(back[i - 1].size) - math.log(back[i].size)) + math.log(SLOW)
        if here <= 0:
            here, start = 0.0, i - 1
        here += step
        if here > best[0]:
            best = (here, start, i)
    _, first, last = best
    if last == first:
        return None
    begins, ends, count = back[first], back[last], last - first
    fall = sign * (math.log(begins.size) - math.log(ends.size))
    if fall < -math.log(LOST) or ends.node not in set(ancestors([begins.node])):
        return None
    op, at_op = _culprit(record, begins.node, ends.node, sign)
    return Trend(begins, ends, math.exp(-sign * fall / count), count, op, at_op)


def _culprit(record: Record, begins: Node, ends: Node, sign: int) -> tuple[Node | None, float]:
    """The line between two nodes whose rule shrank (or grew) the adjoint most, in all its uses."""
    between = set(ancestors([begins], since=ends.serial))
    total: dict[tuple[str, str], list[float]] = {}
    first: dict[tuple[str, str], Node] = {}
    for m in record.messages:
        if m.source not in between or m.source is ends or m.target not in between:
            continue
        before, after = norm(record.bars[m.source]), norm(m.value)
        if before > 0 and after > 0 and math.isfinite(before) and math.isfinite(after):
            key = (m.source.op.name, str(m.source.origin))
            total.setdefault(key, []).append(sign * math.log(before / after))
            first.setdefault(key, m.source)
    if not total:
        return None, 1.0
    key = max(total, key=lambda k: sum(total[k]))
    return first[key], math.exp(-sign * sum(total[key]) / len(total[key]))
