"""Runs of equal siblings among the boxes of a drawing, told by a structural hash: see `fold`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..graph import Graph
from .rows import Row

FEW = 3
"""More equal siblings than this are one run."""
LONGEST = 256
"""Rows in one turn of something repeated, at most."""
MOST = 300
"""Cards that are ever shown without being asked for."""
REPEATED = frozenset({"run", "more"})


class Box:
    """A stretch of rows: `start` <= its rows < `stop`.

    kind    "module", "step", "run", "more" or "part"
    parent  its number among the boxes, -1 for none
    name    what it is called inside its parent;  path, of: of a module, and its class
    count   of "run" and "more": how many equal siblings
    depth   so many levels have to be open for it to be opened, even if fewer boxes are around it
    """

    __slots__ = ("count", "depth", "kind", "name", "of", "parent", "path", "start", "stop")

    def __init__(
        self,
        kind: str,
        name: str,
        start: int,
        stop: int,
        path: tuple[str, ...] = (),
        count: int = 0,
        *,
        of: str = "",
        depth: int = 0,
    ) -> None:
        self.kind, self.name, self.start, self.stop = kind, name, start, stop
        self.path, self.count, self.parent, self.of, self.depth = path, count, -1, of, depth

    @property
    def title(self) -> str:
        """`blocks × 12`, `blocks.0`, `attn`."""
        if self.kind in REPEATED:
            return f"{self.name} × {self.count}"
        return ".".join(self.path[-2:]) if self.name.isdigit() and self.path else self.name

    @property
    def heading(self) -> str:
        """`features.0: Conv2d`."""
        return f"{self.title}: {self.of}" if self.of and self.of != self.title else self.title


Children = list[tuple[Box, list[Box]]]
"""What is directly inside a box, each with the boxes inside it."""


def with_runs(rows: Sequence[Row], boxes: list[Box]) -> list[Box]:
    """The boxes, nested, with runs of equal siblings found in each."""
    marks = _Marks(rows)
    whole = Box("module", "", 0, len(rows))
    out: list[Box] = []

    stack: list[tuple[Box, list[Box], int]] = [(whole, boxes, -1)]
    while stack:
        box, inner, parent = stack.pop()
        here = parent
        if box is not whole:
            box.parent = parent
            here = len(out)
            out.append(box)
        children = _children(box, inner)
        if box.kind == "run":
            children = _middle(children, box)
        elif box.kind != "more":
            children = _parted(rows, _runs(marks, children))
        for child, below in reversed(children):
            if child.kind != "row":
                stack.append((child, below, here))
    return _unwrapped(_in_order(out))


def _in_order(boxes: list[Box]) -> list[Box]:
    """Outer ones first, then by age; parents renumbered."""
    order = sorted(range(len(boxes)), key=lambda b: (boxes[b].start, -boxes[b].stop, b))
    place = {b: k for k, b in enumerate(order)}
    for box in boxes:
        box.parent = place[box.parent] if box.parent >= 0 else -1
    return [boxes[b] for b in order]


def _unwrapped(boxes: list[Box]) -> list[Box]:
    """A module that holds nothing but one run gives its name to it."""
    gone = set()
    for at, box in enumerate(boxes):
        if box.kind == "run" and box.parent >= 0:
            outer = boxes[box.parent]
            if outer.kind == "module" and (outer.start, outer.stop) == (box.start, box.stop):
                box.path = outer.path
                for part in boxes:
                    if part is box or (part.parent == at and part.kind == "more"):
                        part.name = outer.name
                gone.add(box.parent)
    kept = [b for b in range(len(boxes)) if b not in gone]
    place = {b: k for k, b in enumerate(kept)}
    for b in kept:
        box = boxes[b]
        if box.parent in gone:
            box.parent = boxes[box.parent].parent
        box.parent = place.get(box.parent, -1)
    return [boxes[b] for b in kept]


def _children(box: Box, inner: Sequence[Box]) -> Children:
    """What is directly inside a box: boxes, with what is inside them, and single rows."""
    found: Children = []
    at = box.start
    for b in inner:
        if b.start < at:
            if found and found[-1][0].stop >= b.stop:
                found[-1][1].append(b)
            continue
        found += [(Box("row", "", i, i + 1), []) for i in range(at, b.start)]
        found.append((b, []))
        at = b.stop
    return [*found, *((Box("row", "", i, i + 1), []) for i in range(at, box.stop))]


def _middle(turns: Children, run: Box) -> Children:
    """The first, the last, and a box for all between."""
    if run.count <= FEW + 1:
        return turns
    first, *between, last = turns
    more = Box("more", run.name, first[0].stop, last[0].start, count=run.count - 2)
    return [first, (more, _below(between)), last]


def _below(children: Iterable[tuple[Box, list[Box]]]) -> list[Box]:
    """The boxes among children, each before what is inside it."""
    return [b for c, inside in children for b in ([c] if c.kind != "row" else []) + inside]


def _parted(rows: Sequence[Row], children: Children) -> Children:
    """What is too long to be shown and has no structure, in pieces."""
    if len(children) <= MOST // 3:
        return children
    size = math.ceil(len(children) / math.ceil(math.sqrt(len(children))))
    parts = []
    for k in range(0, len(children), size):
        piece = children[k : k + size]
        start, stop = piece[0][0].start, piece[-1][0].stop
        origin = rows[start].node.origin
        name = f"from line {origin.line}" if origin else f"rows {start + 1} to {stop}"
        parts.append((Box("part", name, start, stop), _below(piece)))
    return parts


def _runs(marks: _Marks, children: Children) -> Children:
    """The children, with each run of equal ones put into a box."""
    keys = [marks.key(c.start, c.stop) for c, _ in children]
    found = _repeats(keys, [marks.begins(c.start) for c, _ in children])
    if found is None:
        return children
    at, period, count = found
    run = Box("run", "", children[at][0].start, children[at + period * count - 1][0].stop)
    before, after = children[:at], children[at + period * count :]
    nearly = _nearly(marks, before[::-1], keys[at : at + period], run)
    before, first = before[: len(before) - nearly], before[len(before) - nearly :]
    nearly = _nearly(marks, after, keys[at : at + period], run)
    last, after = after[:nearly], after[nearly:]
    turns: Children = []
    for k in range(count):
        part = children[at + k * period : at + (k + 1) * period]
        if period == 1:
            turns += part
            continue
        step = Box("step", f"step {k + 1 + bool(first)}", part[0][0].start, part[-1][0].stop)
        turns.append((step, _below(part)))
    run.name, run.count = _called(marks.rows, turns), count
    return [
        *_runs(marks, before), *_one(first, f"first {run.name}"), (run, _below(turns)),
        *_one(last, f"last {run.name}"), *_runs(marks, after),
    ]  # fmt: skip


def _nearly(marks: _Marks, beside: Children, turn: Sequence[Any], run: Box) -> int:
    """How many of the children beside a run, nearest first, are one more turn, but not quite equal:
    what a loop does first, from its start, or last. They stand where the run's rows do.
    """
    places = {_place(marks.rows[i]) for i in range(run.start, run.stop)}
    count = 0
    for child, _ in beside:
        if any(_place(marks.rows[i]) not in places for i in range(child.start, child.stop)):
            break
        count += 1
    keys = Counter(marks.key(child.start, child.stop) for child, _ in beside[:count])
    alike = (keys & Counter(turn)).total()
    return count if count > FEW and 2 * alike >= count else 0


def _place(row: Row) -> tuple[Any, int]:
    return row.node.code, row.node.at


def _one(children: Children, name: str) -> Children:
    """The children in a box, if there are any."""
    if not children:
        return []
    return [(Box("step", name, children[0][0].start, children[-1][0].stop), _below(children))]


def _called(rows: Sequence[Row], turns: Sequence[tuple[Box, list[Box]]]) -> str:
    """What a run is called: the name its turns share, or the function they were made in."""
    names = {b.name.rstrip("0123456789._ ") for b, _ in turns if b.kind == "module"}
    if len(names) == 1 and (name := names.pop()):
        return name
    first = turns[0][0]
    if first.kind == "row":
        return str(rows[first.start].node.op.name)
    return "block" if first.kind == "module" else "step"


def _repeats(keys: Sequence[Any], begins: Sequence[bool]) -> tuple[int, int, int] | None:
    """(where, how many at a time, how often) of the repetition that covers most.

    Where a turn may begin in several places, it does where the user's code begins anew.
    """
    number: dict[Any, int] = {}
    codes = np.array([number.setdefault(k, len(number)) for k in keys], np.int64)
    best, found = 0, None
    for period in range(1, min(LONGEST, len(codes) // (FEW + 1)) + 1):
        same = codes[period:] == codes[:-period]
        edges = np.flatnonzero(np.diff(np.concatenate(([0], same.astype(np.int8), [0]))))
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            count = (int(b - a) + period) // period
            if count > FEW and count * period > best:
                spare = (int(b - a) + period) % period
                anew = [i for i in range(int(a), int(a) + spare + 1) if begins[i]]
                best, found = count * period, (anew[0] if anew else int(a), period, count)
    return found


class _Marks:
    """Structural hashes: equal for stretches of rows that do the same to equal shapes."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.number = {row.node: i for i, row in enumerate(rows)}
        self.signs = [_sign(row) for row in rows]

    def begins(self, i: int) -> bool:
        """Whether the code that made a row is other than that of the row before, or earlier."""
        here, before = self.rows[i].node, self.rows[i - 1].node
        return not i or here.code is not before.code or here.at < before.at

    def key(self, start: int, stop: int) -> Any:
        """Of a stretch: what its rows do, and how they are wired inside."""
        if stop - start == 1:
            return self.signs[start]
        wires = tuple(
            tuple(
                j - start if start <= (j := self.number.get(x, -1)) < stop else str(x.spec)
                for x in self.rows[i].inputs
            )
            for i in range(start, stop)
        )
        return tuple(self.signs[start:stop]), wires


def _sign(row: Row) -> Any:
    """What one row does; of a slice no matter where: each turn takes another."""
    place = {n: k for k, n in enumerate(row.members)}
    return tuple(
        (
            n.op.name,
            tuple((k, _stable(v)) for k, v in sorted(n.params.items()) if n.op.name != "slice"),
            str(n.spec),
            tuple(place.get(x, str(x.spec)) for x in n.inputs),
        )
        for n in row.members
    )


def _stable(param: Any) -> Any:
    """A param as something that can be compared."""
    return (len(param.nodes), str(param)) if isinstance(param, Graph) else repr(param)
