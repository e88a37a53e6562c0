"""What can be folded: modules, functions, and runs of equal siblings, as boxes around rows.

Rows in the order of their age are a valid order of the graph, so any stretch of them can be drawn
as one card without making a circle. A box is such a stretch:

module   the rows that one call of a module made (`blocks.0.attn`), or one turn of a loop; without
         either, those that one call of a function made
step     one turn of something repeated that has no module of its own
run      more than three equal siblings in a row, told by a structural hash: operations, params,
         shapes, wiring; all but the first and the last of them are a box "more"
part     a piece of something long that has no other structure

Nothing is drawn here: `fold` says what the boxes are, `Folding.opened` which of them to open at
first. `draw` and the explorer read the same answer.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..graph import Node
from .calls import Call, calls_of
from .record import asks, handle_of
from .rows import Row, Telling
from .siblings import REPEATED, Box, with_runs

EASY = 30
"""Cards that are taken in at a glance: beyond this, boxes are closed."""


def fold(telling: Telling) -> Folding:
    """The boxes of a telling, outer ones first."""
    rows = telling.rows
    made = [*_calls(rows, calls_of(telling.record.nodes)), *_turns(rows, telling.record.turns)]
    return Folding(telling, with_runs(rows, _merged(made) if made else _functions(rows)))


class Folding:
    """The boxes of `telling.rows`: `boxes`, and the innermost one around each row, `home`."""

    def __init__(self, telling: Telling, boxes: list[Box]) -> None:
        self.telling, self.rows, self.boxes = telling, telling.rows, boxes
        self.home = [-1] * len(self.rows)
        for b, box in enumerate(boxes):
            for i in range(box.start, box.stop):
                self.home[i] = b
        self.trails: list[list[int]] = []
        for box in boxes:
            self.trails.append(
                [*(self.trails[box.parent] if box.parent >= 0 else []), len(self.trails)]
            )

    def plain(self) -> list[dict[str, Any]]:
        """The boxes as plain data; `rows` are the numbers of the rows directly inside."""
        return [
            {"name": box.title, "kind": "run" if box.kind in REPEATED else "module",
             "parent": box.parent, "count": box.count,
             "rows": [i for i in range(box.start, box.stop) if self.home[i] == b]}
            for b, box in enumerate(self.boxes)
        ]  # fmt: skip

    def nested(self) -> list[dict[str, Any]]:
        """As `plain`, with the nodes of the rows as `nodes`."""
        return [{**box, "nodes": [self.rows[i].node for i in box["rows"]]} for box in self.plain()]

    def opened(self, depth: int = 1, easy: int = EASY) -> set[int]:
        """Which boxes to open: `depth` levels of modules, as long as few enough cards are shown.

        Closed are first the middles of runs, even where they would find room among `easy` cards,
        then their first and last turns, then modules of a single row (which hides their
        parameters), whole runs, and the deepest modules.
        """
        boxes = range(len(self.boxes))
        kind = [x.kind for x in self.boxes]
        level = [
            max(sum(kind[a] == "module" for a in t[:-1]), self.boxes[t[-1]].depth)
            for t in self.trails
        ]
        single = {b for b in boxes if self._size(b) == 1}
        shown = {b for b in boxes if level[b] < depth or b in single}
        closed = set(boxes) - shown
        if self.count(()) > EASY:
            closed |= {b for b in boxes if kind[b] == "more"}
        large = sorted(shown, key=lambda b: -self._size(b))
        runs = [b for b in large if kind[b] == "run"]
        turns = [
            *([b for b in large if self.boxes[b].parent == r] for r in runs),
            [b for b in large if kind[b] == "step" and self.boxes[b].parent not in runs],
        ]
        others = [
            sorted(single),
            *([r] for r in runs),
            *([b] for b in sorted(large, key=lambda b: -level[b]) if kind[b] not in REPEATED),
        ]
        few = easy if depth > 2 else min(EASY, easy)
        now = self.count(closed)
        for group, most in [*((t, few) for t in turns), *((o, easy) for o in others)]:
            if now > most and not closed.issuperset(group):
                closed |= set(group)
                now = self.count(closed)
        return set(boxes) - closed

    def _size(self, b: int) -> int:
        return self.boxes[b].stop - self.boxes[b].start

    def count(self, closed: Iterable[int]) -> int:
        """How many cards are shown if these boxes are closed."""
        closed = set(closed)
        cards: set[Any] = set()
        for i, row in enumerate(self.rows):
            card = self.card_of(i, closed)
            cards.add(card)
            cards |= {(card, x) for x in row.inputs if self.leaf_shown(x, card)}
        return len(cards)

    def card_of(self, i: int, closed: set[int]) -> tuple[str, int]:
        """The card that shows a row: its own, or the outermost closed box around it."""
        if self.home[i] >= 0:
            for b in self.trails[self.home[i]]:
                if b in closed:
                    return "box", b
        return "row", i

    def leaf_shown(self, x: Node, card: tuple[str, int]) -> bool:
        """Whether a leaf has a card of its own beside the card that uses it."""
        if self.telling.record.computed(x) or x.serial not in self.telling.names:
            return False
        if card[0] == "row":
            return True
        return not any(card[1] in self.trails[home] for home in self._homes.get(x, ()))

    def owner(self, x: Node) -> int:
        """The innermost box that holds every use of a leaf; not a run, whose turns share it.

        A parameter belongs to its module, wherever else it is used; an array that a module is
        given, it being used in its first row, belongs outside.
        """
        return next(iter(self._homes.get(x, ())), -1)

    @functools.cached_property
    def _homes(self) -> dict[Node, list[int]]:
        """The owner of each leaf; of a parameter, in each call of its module."""
        uses: dict[Node, list[int]] = {}
        for i, row in enumerate(self.rows):
            for leaf in row.inputs:
                if not self.telling.record.computed(leaf):
                    uses.setdefault(leaf, []).append(i)
        return {leaf: self._owning(leaf, rows) for leaf, rows in uses.items()}

    def _owning(self, leaf: Node, rows: Sequence[int]) -> list[int]:
        trails = [self.trails[self.home[i]] if self.home[i] >= 0 else [] for i in rows]
        path, boxes = path_of(leaf), self.boxes
        own = [
            [b for b in trail if boxes[b].path and boxes[b].path == path[: len(boxes[b].path)]]
            for trail in trails
        ]
        if own[0]:
            return list(dict.fromkeys(found[-1] for found in own if found))
        shared = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*trails, strict=False))
        found = [level[0] for level in shared]
        while found and boxes[found[-1]].kind in REPEATED and len(rows) > 1:
            found.pop()
        given = not asks(leaf) and not isinstance(leaf.spec, tuple) and leaf.spec.floating
        while found and given:
            box = boxes[found[-1]]
            if box.kind != "module" or box.start != rows[0]:
                break
            found.pop()
        return found[-1:]


# -- modules ------------------------------------------------------------------------------------


def path_of(leaf: Node) -> tuple[str, ...]:
    """The path of the module that a parameter is part of: `blocks.0.q.weight` -> blocks, 0, q."""
    if leaf.inputs:
        return ()
    handle = handle_of(leaf)
    name = leaf.params.get("name") or (handle.name if handle is not None else None) or ""
    return tuple(name.split(".")[:-1]) if "[" not in name else ()


def _calls(rows: Sequence[Row], calls: Sequence[Call]) -> list[Box]:
    """The calls of modules, without the one that is the whole model."""
    whole = [call for call in calls if not call.path]
    found = []
    for call in calls:
        start, stop = _stretch(rows, call.since), _stretch(rows, call.until)
        if start < stop and whole != [call]:
            path = tuple(filter(None, call.path.split(".")))
            name, depth = call.path or call.kind, len(path) - 1
            found.append(Box("module", name, start, stop, path, of=call.kind, depth=depth))
    return found


def _stretch(rows: Sequence[Row], age: int) -> int:
    """How many rows are no younger."""
    return bisect.bisect_right(rows, age, key=lambda row: row.node.serial)


def _turns(rows: Sequence[Row], turns: Mapping[Node, str]) -> list[Box]:
    """The iterations of loops that are written out."""
    found: list[Box] = []
    main = rows[-1].node.code if rows else None
    said = [turns.get(row.node, "").split(" within ")[::-1] for row in rows]
    for depth in range(max(map(len, said), default=0)):
        heads = [turn[: depth + 1] for turn in said]
        for turn, group in itertools.groupby(range(len(rows)), heads.__getitem__):
            inside = list(group)
            if len(turn) > depth and turn[depth]:
                code = rows[inside[0]].node.code
                known = "" if code is None or code is main else code.co_name
                name = "step" if "<" in known else known or "step"
                count = turn[depth].split()[1]  # "iteration 3 of 6"
                box = Box("module", f"{name} {count}", inside[0], inside[-1] + 1, depth=depth + 2)
                found.append(box)
    return found


def _merged(boxes: list[Box]) -> list[Box]:
    """Without boxes that are the same stretch as a box inside them; named as seen from outside."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda b: (b.start, -b.stop, len(b.path))):
        if kept and (kept[-1].start, kept[-1].stop) == (box.start, box.stop):
            kept.pop()
        kept.append(box)
    around: list[Box] = []
    for box in kept:
        while around and around[-1].stop <= box.start:
            around.pop()
        outer = next((b.path for b in reversed(around) if b.path), ())
        if outer == box.path[: len(outer)] and len(box.path) > len(outer):
            box.name = ".".join(box.path[len(outer) :])
        around.append(box)
    return kept


def _functions(rows: Sequence[Row]) -> list[Box]:
    """Stretches that one call of a function made, other than the function of the last row."""
    if not rows:
        return []
    main, boxes, i = rows[-1].node.code, [], 0
    while i < len(rows):
        code, j = rows[i].node.code, i + 1
        while (
            j < len(rows) and rows[j].node.code is code and rows[j].node.at >= rows[j - 1].node.at
        ):
            j += 1
        if code is not None and code is not main and j - i > 1 and "<" not in code.co_name:
            boxes.append(Box("module", code.co_name, i, j))
        i = j
    return boxes
