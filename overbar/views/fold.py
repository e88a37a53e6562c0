"""What can be folded: modules, functions, and runs of equal siblings, as boxes around rows.

Rows in the order of their age are a valid order of the graph, so any stretch of them can be drawn
as one card without making a circle. A box is such a stretch:

module   the rows between the first and the last that use a parameter below one path
         (`blocks.0.attn`), or, without modules, those that one call of a function made
step     one turn of something repeated that has no module of its own
run      more than three equal siblings in a row, told by a structural hash: operations, params,
         shapes, wiring; all but the first and the last of them are a box "more"
part     a piece of something long that has no other structure

Nothing is drawn here: `fold` says what the boxes are, `Folding.opened` which of them to open at
first. `draw` and the explorer read the same answer.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from ..graph import Node
from .record import asks, handle_of
from .rows import Row, Telling
from .siblings import REPEATED, Box, with_runs

EASY = 30
"""Cards that are taken in at a glance: beyond this, boxes are closed."""


def fold(telling: Telling) -> Folding:
    """The boxes of a telling, outer ones first."""
    rows = telling.rows
    ties = [_ties(row, telling.record.computed) for row in rows]
    boxes = _modules(rows, ties)
    if not boxes:
        boxes = _functions(rows)
    return Folding(telling, with_runs(rows, boxes))


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

        Closed are first the middles of runs, then their first and last turns, then modules of a
        single row (which hides their parameters), whole runs, and the deepest modules.
        """
        boxes = range(len(self.boxes))
        kind = [x.kind for x in self.boxes]
        level = [sum(kind[a] == "module" for a in t[:-1]) for t in self.trails]
        single = {b for b in boxes if self._size(b) == 1}
        shown = {b for b in boxes if level[b] < depth or b in single}
        closed = set(boxes) - shown
        large = sorted(shown, key=lambda b: -self._size(b))
        runs = [b for b in large if kind[b] == "run"]
        groups = [
            *([b] for b in large if kind[b] == "more"),
            *([b for b in large if self.boxes[b].parent == r] for r in runs),
            sorted(single),
            *([r] for r in runs),
            *([b] for b in sorted(large, key=lambda b: -level[b]) if kind[b] not in REPEATED),
        ]
        for group in groups:
            if self.count(closed) <= easy:
                break
            closed |= set(group)
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
        return card[0] == "row" or self.owner(x) not in self._within(card[1])

    def owner(self, x: Node) -> int:
        """The innermost box that holds every use of a leaf; not a run, whose turns share it.

        A parameter belongs to its module, wherever else it is used; an array that a module is
        given, it being used in its first row, belongs outside.
        """
        return self._owners.get(x, -1)

    @functools.cached_property
    def _owners(self) -> dict[Node, int]:
        uses: dict[Node, list[int]] = {}
        for i, row in enumerate(self.rows):
            for leaf in row.inputs:
                if not self.telling.record.computed(leaf):
                    uses.setdefault(leaf, []).append(i)
        return {leaf: self._owner(leaf, rows) for leaf, rows in uses.items()}

    def _owner(self, leaf: Node, rows: Sequence[int]) -> int:
        trails = [self.trails[self.home[i]] if self.home[i] >= 0 else [] for i in rows]
        path, boxes = path_of(leaf), self.boxes
        named = [(b, boxes[b].path) for b in trails[0] if boxes[b].path]
        own = [b for b, p in named if p == path[: len(p)]]
        if own:
            return own[-1]
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
        return found[-1] if found else -1

    def _within(self, b: int) -> set[int]:
        """A box and those inside it."""
        return {c for c, trail in enumerate(self.trails) if b in trail}


# -- modules ------------------------------------------------------------------------------------


def path_of(leaf: Node) -> tuple[str, ...]:
    """The path of the module that a parameter is part of: `blocks.0.q.weight` -> blocks, 0, q."""
    if leaf.inputs:
        return ()
    handle = handle_of(leaf)
    name = leaf.params.get("name") or (handle.name if handle is not None else None) or ""
    return tuple(name.split(".")[:-1]) if "[" not in name else ()


def _ties(row: Row, computed: Any) -> tuple[tuple[str, ...], frozenset[Node]]:
    """The path that a row's parameters have in common, and these parameters."""
    own = [x for x in row.inputs if asks(x) and path_of(x)]
    if not own or not any(x not in own and not x.spec.weak for x in row.inputs):
        return (), frozenset()  # a penalty on parameters is no part of their module
    path = path_of(own[0])
    for x in own[1:]:
        path = _shared(path, path_of(x))
    return path, frozenset(own)


def _shared(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))
    return tuple(p for p, _ in same)


def _modules(
    rows: Sequence[Row], ties: Sequence[tuple[tuple[str, ...], frozenset[Node]]]
) -> list[Box]:
    """Calls of modules: the rows from the first that uses something of theirs to the last.

    A parameter that comes again begins a new call; a call ends when another module is at work.
    """
    done: list[Box] = []
    calls: list[tuple[Box, set[Node]]] = []
    for i, (path, own) in enumerate(ties):
        if not path:
            continue
        again = next((k for k, (_, used) in enumerate(calls) if used & own), len(calls))
        keep = next(
            (k for k, (c, _) in enumerate(calls[:again]) if c.path != path[: len(c.path)]), again
        )
        del calls[keep:]
        for n in range(len(calls) + 1, len(path) + 1):
            box = Box("module", path[n - 1], i, i + 1, path[:n])
            done.append(box)
            calls.append((box, set()))
        for box, used in calls:
            box.stop = i + 1
            used |= own
    _absorb(rows, done)
    _widen(rows, done)
    return _merged(done)


def _absorb(rows: Sequence[Row], boxes: list[Box]) -> None:
    """What joins two results of one module right after it belongs to it: a residual sum."""
    made = {row.node: i for i, row in enumerate(rows)}
    for box in reversed(boxes):
        limit = min((b.start for b in boxes if b.start >= box.stop), default=len(rows))
        while box.stop < limit:
            from_rows = {made[x] for x in rows[box.stop].inputs if x in made}
            if len(from_rows) < 2 or min(from_rows) < box.start:
                break
            old, box.stop = box.stop, box.stop + 1
            for b in boxes:
                if b is not box and b.start <= box.start and b.stop == old:
                    b.stop = max(b.stop, box.stop) if b.path == box.path[: len(b.path)] else b.stop


def _widen(rows: Sequence[Row], boxes: list[Box]) -> None:
    """A module of modules holds all that the same call of Python code made.

    Either all of it was made at one instruction of the user's, `x = self.features(x)`; or the
    module is called several times, and each call of its `forward` runs its instructions in order.
    """
    turns = _turns(rows)
    for box in boxes:
        inner = {b.path for b in boxes if b.path[:-1] == box.path and b is not box}
        if len(inner) < 2:
            continue
        at = {(rows[i].node.code, rows[i].node.at) for i in range(box.start, box.stop)}
        if len(at) == 1:
            _grow(boxes, box, [(r.node.code, r.node.at) in at for r in rows])
            continue
        codes = {rows[i].node.code for i in range(box.start, box.stop)}
        turn = {turns[i] for i in range(box.start, box.stop)}
        twins = [
            b for b in boxes
            if b.path[:-1] == box.path[:-1] and b.start != box.start
            and rows[b.start].node.code in codes
        ]  # fmt: skip
        if twins and not any(turns[b.start] in turn for b in twins):
            _grow(boxes, box, [t in turn for t in turns])


def _grow(boxes: Sequence[Box], box: Box, also: Sequence[bool]) -> None:
    """The box with the rows beside it that belong to it as well, and the boxes around it."""
    around = [b for b in boxes if b.start <= box.start and box.stop <= b.stop]
    others = [b for b in boxes if b not in around and (b.stop <= box.start or b.start >= box.stop)]
    outer = [b for b in around if b.path != box.path and b.path == box.path[: len(b.path)]]
    start, stop = box.start, box.stop
    while start and also[start - 1] and not any(b.start < start <= b.stop for b in others):
        start -= 1
    while stop < len(also) and also[stop] and not any(b.start <= stop < b.stop for b in others):
        stop += 1
    for b in [box, *outer]:
        b.start, b.stop = min(b.start, start), max(b.stop, stop)


def _turns(rows: Sequence[Row]) -> list[int]:
    """A number for each call: rows of one function while its instructions come in order."""
    turns, last = [], {}
    count = 0
    for row in rows:
        node = row.node
        turn, at = last.get(node.code, (-1, -1))
        if turn < 0 or node.at < at:
            count += 1
            turn = count
        last[node.code] = turn, node.at
        turns.append(turn)
    return turns


def _merged(boxes: list[Box]) -> list[Box]:
    """Without boxes that are the same stretch as the box inside them, whose name grows."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda b: (b.start, -b.stop, len(b.path))):
        if kept and kept[-1].start == box.start and kept[-1].stop == box.stop:
            box.name = f"{kept[-1].name}.{box.name}"
            kept[-1] = box
        else:
            kept.append(box)
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
