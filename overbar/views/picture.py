"""A scene with places: where its cards stand, how its wires run, where messages are written.

What is drawn from it: `svg`; how much of it is to be seen at a step: `slide`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from .faces import Face, faces, message_text
from .layout import layout
from .measure import text_width
from .room import Point, Rectangle, Room
from .scene import Card, Scene, Wire

SMALL = 10
"""The size of a message's text."""


class Picture:
    """Cards and wires with their places.

    shown    the numbers of the scene's cards that are drawn;  faces: of them, in that order
    wires    (source, target, Wire) among the drawn;  places: what `layout` said
    """

    def __init__(
        self, scene: Scene, style: str, direction: str = "TB", colour: str | None = None
    ) -> None:
        self.scene, self.style, self.turned, self.colour = scene, style, direction == "LR", colour
        back = style == "backward"
        bars = scene.record.bars
        self.shown = [
            i for i, c in enumerate(scene.cards) if not back or c.node in bars or c.box >= 0
        ]
        place = {i: k for k, i in enumerate(self.shown)}
        self.cards: list[Card] = [scene.cards[i] for i in self.shown]
        every = faces(scene, style, colour)
        self.faces: list[Face] = [every[i] for i in self.shown]
        self.wires: list[tuple[int, int, Wire]] = []
        for w in scene.wires:
            if back and w.message is None:
                continue
            ends = (
                (place[w.target], place[w.source]) if back else (place[w.source], place[w.target])
            )
            self.wires.append((*ends, w))
        labelled = style in {"overlay", "backward", "bipartite"}
        self.labels = [self._label(w) if labelled else "" for _, _, w in self.wires]
        self._arrange()

    def _label(self, w: Wire) -> str:
        """What is written at a wire: its message, unless the card says the same."""
        if w.message is None or self.scene.cards[w.source].kind == "function":
            return ""
        return message_text(w.message)

    def _arrange(self) -> None:
        double = self.style in {"overlay", "bipartite", "compact"}
        groups = []
        for f in self.scene.frames:
            title = self.scene.folding.boxes[f["box"]].heading
            groups.append({"parent": f["parent"], "title": (text_width(title, 11), 16.0)})
        room = any(self.labels)
        wide = max((text_width(t, SMALL) for t in self.labels), default=0.0)
        tall = not self.turned
        self.places = layout(
            [(f.width, f.height) for f in self.faces],
            [(a, b, w.node.serial) for a, b, w in self.wires],
            inside=[c.frame for c in self.cards],
            groups=groups,
            across=26 if tall else 18,
            down=(44 if tall else wide + 38) if room else 30,
            pad=14,
            lane=22 if double else 14,
            spread=(22 if tall else 20) if double else 14,
            turned=self.turned,
        )

    # -- the steps of the sweep -------------------------------------------------------------------

    def steps(self) -> list[tuple[str, int]]:
        """("forward", card) for each, in order; then ("backward", card) for each that sends."""
        made = [
            k
            for k, c in enumerate(self.cards)
            if c.kind not in {"leaf", "alias", "bundle", "tensor"}
        ]
        sends = {
            b if self.style != "backward" else a for a, b, w in self.wires if w.message is not None
        }
        return [
            *(("forward", k) for k in made if self.style != "backward"),
            *(("backward", k) for k in reversed(made) if k in sends),
        ]

    # -- wires and labels -------------------------------------------------------------------------

    def route(self, k: int, shift: float = 0.0) -> list[Point]:
        """The points of a wire, shifted across its direction."""
        dx, dy = (0.0, shift) if self.turned else (shift, 0.0)
        points = [(x + dx, y + dy) for x, y in self.places["routes"][k]]
        a, b, _ = self.wires[k]
        points[0], points[-1] = self._touching(a, points[0]), self._touching(b, points[-1])
        return points

    def _touching(self, k: int, point: Point) -> Point:
        """Where a wire that comes to this point of the frame of a round card touches the card."""
        face = self.faces[k]
        if face.shape != "circle":
            return point
        x, y = self.places["x"][k], self.places["y"][k]
        a, b = face.width / 2, face.height / 2
        u, v = point[0] - x, point[1] - y
        if self.turned:
            return x + math.copysign(a * math.sqrt(max(0.0, 1 - v * v / (b * b))), u), point[1]
        return point[0], y + math.copysign(b * math.sqrt(max(0.0, 1 - u * u / (a * a))), v)

    def label_places(self) -> dict[int, tuple[float, float, str]]:
        """Where each message is written: beside its wire, where it covers least."""
        taken = Room()
        for k, face in enumerate(self.faces):
            x, y = self.places["x"][k], self.places["y"][k]
            w, h = face.width / 2 + 1, face.height / 2 + 1
            taken.block((x - w, y - h, x + w, y + h), 40)
        lines = [self._sampled(self.route(k)) for k in range(len(self.wires))]
        for k, line in enumerate(lines):
            taken.trace(k, line)
        found = {}
        for k, label in enumerate(self.labels):
            if not label:
                continue
            wide = text_width(label, SMALL)
            best = min(
                self._spots(lines[k], wide), key=lambda spot: taken.cost(k, rectangle(*spot, wide))
            )
            taken.block(rectangle(*best, wide), 60)
            found[k] = best
        return found

    def _spots(self, line: list[Point], wide: float) -> Iterable[tuple[float, float, str]]:
        """Places for a label along a wire, the usual one first."""
        if self.turned:
            for part, off in itertools.product(
                (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8), (16, -9, 22, -16)
            ):
                x, y = line[int(part * (len(line) - 1))]
                yield x, y + off, "middle"
            return
        for part in (0.1, 0.9, 0.5, 0.3, 0.7, 0.2, 0.8):
            x, y = line[int(part * (len(line) - 1))]
            y = y + 8 if part < 0.15 else y - 2 if part > 0.85 else y + 3
            yield x + 9, y, "start"
            yield x - 10, y, "end"
        for part in (0.3, 0.5, 0.7):
            x, y = line[int(part * (len(line) - 1))]
            yield x + 6, y + 14, "end"
            yield x + 6, y - 7, "start"
            yield x - 6, y + 14, "start"
            yield x - 6, y - 7, "end"

    def _sampled(self, points: Sequence[Point]) -> list[Point]:
        """A wire as points, no farther apart than a few pixels."""
        found = [points[0]]
        for k in range(1, len(points)):
            (x, y), (u, v) = points[k - 1], points[k]
            n = max(1, int(math.hypot(u - x, v - y) / 6))
            for i in range(1, n + 1):
                t = i / n
                s = 3 * t * t - 2 * t * t * t if k % 2 == 0 else t
                along, over = (s, t) if not self.turned else (t, s)
                found.append((x + (u - x) * along, y + (v - y) * over))
        return found


def rectangle(x: float, y: float, anchor: str, wide: float) -> Rectangle:
    """What a label covers."""
    left = x if anchor == "start" else x - wide if anchor == "end" else x - wide / 2
    return left, y - SMALL, left + wide, y + 3
