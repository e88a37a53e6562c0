"""What a drawing shows: cards, the wires between them, and frames around open modules.

A scene is made of a telling and of its folding: which boxes are open. A row is a card, and so is
a closed box; a leaf has a card beside every card that uses it, the first one solid, the others
aliases. A wire carries one node's value from card to card, and back on it comes the message: what
the engine's sweep sent, summed where a closed box sent several.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..graph import Node, bodies_of
from .answer import norm
from .fold import Folding, path_of
from .operations import Operations
from .record import asks
from .rows import Row
from .siblings import REPEATED

MANY = 12
"""More equal leaves than this beside one card share a card."""


class Card:
    """One card.

    kind    "op", "box", "leaf" or "alias" (of a leaf that has a card already), "bundle" of many
            equal leaves; in a bipartite drawing "function" and "tensor" instead of "op"
    node    whose value it shows; of a closed box, its youngest one
    rows    what it stands for;  leaves: of a bundle;  box: the number of a closed box, else -1
    frame   around it, or -1
    """

    __slots__ = ("box", "frame", "kind", "leaves", "node", "rows")

    def __init__(
        self, kind: str, node: Node, rows: Sequence[Row] = (), *, box: int = -1, frame: int = -1
    ) -> None:
        self.kind, self.node, self.rows, self.box, self.frame = kind, node, list(rows), box, frame
        self.leaves: list[Node] = []


class Wire:
    """From card to card (their numbers) goes the value of `node`; `message` comes back, or None."""

    __slots__ = ("message", "node", "source", "target")

    def __init__(self, source: int, target: int, node: Node, message: Any) -> None:
        self.source, self.target, self.node, self.message = source, target, node, message


class Scene:
    """The cards, the wires, and the frames: {"box": its number, "parent": a frame or -1}."""

    def __init__(
        self,
        folding: Folding,
        opened: set[int],
        *,
        apart: bool = False,
        bipartite: bool = False,
        many: float = MANY,
    ) -> None:
        """apart: each operation is a card, not each row;  bipartite: and each tensor another;
        many: so many equal leaves of one card may have cards of their own.
        """
        self.many = many
        self.folding, self.opened = folding, opened
        self.telling = Operations(folding.telling) if apart else folding.telling
        self.record = self.telling.record.sweep()
        self._consumers = self.record.consumers
        self._by_target: dict[Node, dict[Node, list[Any]]] = {}
        for m in self.record.messages:
            self._by_target.setdefault(m.target, {}).setdefault(m.source, []).append(m.value)
        self.closed = set(range(len(folding.boxes))) - opened
        self.cards: list[Card] = []
        self.wires: list[Wire] = []
        self.frames: list[dict[str, int]] = []
        self._number: dict[Any, int] = {}
        self._made: dict[Node, int] = {}
        self._seen: set[Node] = set()
        self._units = self._homes()
        self._frame_of = self._framed()
        self._place(apart=apart, bipartite=bipartite)

    # -- which cards ------------------------------------------------------------------------------

    def _homes(self) -> list[tuple[Row, int]]:
        """The rows, or their operations, each with the number of its row, oldest first."""
        if not isinstance(self.telling, Operations):
            return list(zip(self.telling.rows, itertools.count(), strict=False))
        number = {row: i for i, row in enumerate(self.folding.rows)}
        of = self.telling.row_of
        found = [(part, number[of[part]]) for part in self.telling.rows]
        return sorted(found, key=lambda pair: pair[0].node.serial)

    def _framed(self) -> dict[int, int]:
        """The frame of each open box that has one: with at least two cards inside."""
        inside: dict[int, set[Any]] = {}
        for k, (_, i) in enumerate(self._units):
            kind, b = self.folding.card_of(i, self.closed)
            home = self.folding.home[i]
            for a in self.folding.trails[home] if home >= 0 else ():
                if a in self.closed:
                    break
                inside.setdefault(a, set()).add(b if kind == "box" else (k,))
        # a run that is open from end to end needs no frames
        partly = {a for c in self.closed for a in self.folding.trails[c][:-1]}
        partly |= {
            b
            for b, t in enumerate(self.folding.trails)
            if not partly.isdisjoint(t) and self.folding.boxes[b].kind == "step"
        }
        frames: dict[int, int] = {}
        for b, cards in sorted(inside.items()):
            if len(cards) > 1 and (b in partly or self.folding.boxes[b].kind in {"module", "part"}):
                above = [frames[a] for a in self.folding.trails[b][:-1] if a in frames]
                frames[b] = len(self.frames)
                self.frames.append({"box": b, "parent": above[-1] if above else -1})
        return frames

    def _frame(self, trail: Iterable[int]) -> int:
        """The innermost frame among these boxes."""
        found = -1
        for b in trail:
            if b in self.closed:
                break
            found = self._frame_of.get(b, found)
        return found

    def _card(self, key: Any, card: Card) -> int:
        if key not in self._number:
            self._number[key] = len(self.cards)
            self.cards.append(card)
        return self._number[key]

    def _place(self, *, apart: bool, bipartite: bool) -> None:
        uses: dict[tuple[int, int, Node], list[Row]] = {}
        for row, i in self._units:
            key = self.folding.card_of(i, self.closed)
            home = self.folding.home[i]
            trail = self.folding.trails[home] if home >= 0 else []
            box = key[1] if key[0] == "box" else -1
            user = key if box >= 0 else ("row", row)
            shown = [x for x in dict.fromkeys(row.inputs) if self.folding.leaf_shown(x, key)]
            leaves = [(x, c) for x, c in zip(shown, self._leaves(shown, user, trail), strict=True)]
            frame = self._frame(trail)
            if box >= 0:
                card = out = self._card(key, Card("box", row.node, box=box, frame=frame))
            else:
                kind = "function" if bipartite else "op"
                card = out = self._card(row, Card(kind, row.node, frame=frame))
                if bipartite:
                    out = self._card(row.node, Card("tensor", row.node, [row], frame=frame))
                    self.wires.append(Wire(card, out, row.node, self.record.bars.get(row.node)))
            self.cards[card].rows.append(row)
            self.cards[card].node = row.node
            for member in row.members:
                self._made[member] = out
            of_leaf = dict(leaves)
            for x in row.inputs:
                source = of_leaf.get(x, self._made.get(x, card))
                if source != card:
                    what = self.cards[source].node if self.cards[source].leaves else x
                    uses.setdefault((source, card, what), []).append(row)
        for (a, b, x), rows in uses.items():
            sent = self._apart(rows, x) if apart and not self.cards[a].leaves else []
            if len(sent) > 1:
                self.wires += [Wire(a, b, x, m) for m in sent]
            else:
                whole = self._messages(rows, self.cards[a].leaves or [x])
                self.wires.append(Wire(a, b, x, whole))
        self.wires.sort(key=lambda w: (w.target, w.source))

    def _leaves(self, found: list[Node], user: Any, trail: list[int]) -> list[int]:
        """The cards of the leaves beside a card: many equal ones share one."""
        alike: dict[Any, list[Node]] = {}
        for x in found:
            alike.setdefault((asks(x), x.spec, path_of(x)), []).append(x)
        bundles: dict[Node, int] = {}
        for group in alike.values():
            if len(group) > self.many:
                card = self._card(
                    (tuple(group), user), Card("bundle", group[0], frame=self._frame(trail))
                )
                self.cards[card].leaves = group
                bundles |= dict.fromkeys(group, card)
        return [bundles[x] if x in bundles else self._leaf(x, user, trail) for x in found]

    def _leaf(self, x: Node, user: Any, trail: list[int]) -> int:
        """The card of a leaf beside a card that uses it."""
        kind = "alias" if x in self._seen else "leaf"
        if (x, user) in self._number:
            return self._number[x, user]
        self._seen.add(x)
        if not asks(x):  # what is computed on may come from outside of modules
            owner = self.folding.owner(x)
            around = self.folding.trails[owner] if owner >= 0 else []
            trail = [b for b in trail if b in around]
        return self._card((x, user), Card(kind, x, frame=self._frame(trail)))

    def _apart(self, rows: Sequence[Row], x: Node) -> list[Any]:
        """The messages of one operation to something it uses more than once, as in x + x."""
        if len(rows) != 1:
            return []
        slots = sum(n.inputs.count(x) for n in rows[0].members)
        sent = self._by_target.get(x, {})
        found = [m for n in reversed(rows[0].members) for m in sent.get(n, ())]
        return found if len(found) == slots else [None] * slots if not found else []

    def _messages(self, rows: Sequence[Row], nodes: Sequence[Node]) -> Any:
        """What these rows send to a node; to the leaves of a bundle, all of it as a tuple."""
        rows = list(dict.fromkeys(rows))
        sent = [self._sent([r for r in rows if x in r.inputs], x) for x in nodes]
        return (
            sent[0]
            if len(nodes) == 1
            else tuple(sent)
            if any(m is not None for m in sent)
            else None
        )

    def _sent(self, rows: Sequence[Row], x: Node) -> Any:
        """What these rows send to a node, as the sweep adds it: the youngest first."""
        total = None
        for row in reversed(rows):
            m = self.telling.message(row, x)
            if m is not None:
                total = m if total is None or isinstance(m, tuple) else total + m
        return total

    # -- what a card says -------------------------------------------------------------------------

    def parameters(self, card: Card) -> list[Node]:
        """The parameters that a closed box hides."""
        if card.box < 0:
            return []
        within = {b for b, t in enumerate(self.folding.trails) if card.box in t}
        found = dict.fromkeys(
            x
            for row in card.rows
            for x in row.inputs
            if asks(x) and self.folding.owner(x) in within
        )
        return list(found)

    def gradient(self, card: Card) -> float | None:
        """The norm of the adjoints of all parameters that a closed box hides."""
        bars = [self.record.bars.get(p) for p in self.parameters(card)]
        known = [norm(b) for b in bars if b is not None]
        return math.hypot(*known) if known else None

    def turns(self, card: Card) -> list[float | None]:
        """Of a closed run: the norm of the adjoint of what each turn made, first turn first."""
        boxes = self.folding.boxes
        if card.box < 0 or boxes[card.box].kind not in REPEATED:
            return []
        size = len(card.rows) // boxes[card.box].count
        last = card.rows[-size:]
        end = next(i for i, row in enumerate(last) if row.node is self.state(card))
        bars = [self.record.bars.get(row.node) for row in card.rows[end::size]]
        return [None if b is None else norm(b) for b in bars]

    def state(self, card: Card) -> Node:
        """Of what a closed box hands on, the largest: the state of a loop rather than its loss."""
        turn = card.rows
        if card.box >= 0 and self.folding.boxes[card.box].kind in REPEATED:
            turn = card.rows[-(len(card.rows) // self.folding.boxes[card.box].count) :]
        inside = {n for row in card.rows for n in row.members}
        out = [
            row.node
            for row in turn
            if row.node in self.record.outputs
            or any(user not in inside for user in self._consumers[row.node])
        ]
        sizes = [(sum(s.size for s in n.spec) if isinstance(n.spec, tuple) else n.spec.size, i)
                 for i, n in enumerate(out)]  # fmt: skip
        return out[max(sizes)[1]] if out else card.node

    def title(self, card: Card) -> str:
        """The name of a closed box."""
        return self.folding.boxes[card.box].title

    def name(self, card: Card) -> str:
        """What its node is called, without the path of the modules around it."""
        return self.short(card.node, card.frame)

    def short(self, node: Node, frame: int) -> str:
        """The name of a node, seen from inside a frame."""
        name = self.telling.name(node)
        path = path_of(node)
        while frame >= 0:
            box = self.folding.boxes[self.frames[frame]["box"]]
            if box.path and path[: len(box.path)] == box.path:
                return name.removeprefix(".".join(box.path) + ".")
            frame = self.frames[frame]["parent"]
        return name


def loop_of(node: Node) -> tuple[str, int] | None:
    """What repeats, and of how many operations its body is: of a scan, a while loop, a branch."""
    bodies = bodies_of(node).values()
    if not bodies:
        return None
    length = node.params.get("length")
    said = f"{node.op.name} × {length}" if isinstance(length, int) else str(node.op.name)
    return said, sum(bool(n.inputs) for g in bodies for n in g.nodes)
