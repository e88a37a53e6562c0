"""Where the cards of a drawing stand: layers from the sources down to the result.

`layout.js` is the same algorithm, statement by statement, and gives the same coordinates. Three
steps for each box, innermost first (Sugiyama, Tagawa & Toda 1981):

rank    the row of a card is one below its lowest input; what only leaves hang from comes down to
        its consumer
order   within the rows: barycentre sweeps and exchanges of neighbours, the best order is kept
place   in each row the places nearest to what the cards are joined to, by isotonic regression
        (pool adjacent violators); once downwards and once upwards, and the mean of both, in which
        the drift of each cancels that of the other

A box that has been laid out is a card of the box around it; an edge that crosses its border does
so at a port, one for each source, and has a lane of its own inside. Edges bend between the rows
only, so that none runs over a card.

    layout(sizes, edges, inside=..., groups=..., ...) ->
        x, y       of the centre of each card;  rows: the row of each in its group, from 0
        boxes      (left, top, width, height) of each group
        routes     for each edge its points, from the source's border to the target's: between
                   points 2k and 2k + 1 it is straight down, else it may bend
        width, height, crossings
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .layers import Net
from .ranks import Link, rank


def layout(
    sizes: Sequence[Sequence[float]],
    edges: Sequence[Sequence[int]],
    *,
    inside: Sequence[int] | None = None,
    groups: Sequence[dict[str, Any]] = (),
    across: float = 20,
    down: float = 34,
    pad: float = 12,
    lane: float = 14,
    spread: float = 14,
    turned: bool = False,
) -> dict[str, Any]:
    """The places of cards and the routes of edges.

    sizes   (width, height) of each card
    edges   (source, target) by their numbers, or (source, target, what it carries): those that
            carry the same from one card share the port of a box
    inside  the group of each card, -1 for none;  groups: {"parent": an earlier group or -1,
            "title": (width, height)} for each
    across, down   the least distance of cards in a row, and of rows;  pad: inside the border of a
            box;  lane: the room a long edge takes;  spread: of the ends of edges at a card
    turned  from left to right
    """
    if turned:
        sizes = [(h, w) for w, h in sizes]
    n = len(sizes)
    home = [0] * n if inside is None else [g + 1 for g in inside]
    above = [-1] + [g["parent"] + 1 for g in groups]
    o = {"across": across, "down": down, "lane": lane, "spread": spread}
    levels = [_Level() for _ in above]
    trails = _trails(above)
    for i in range(n):
        levels[home[i]].item(("card", i), sizes[i])
    parts: list[tuple[list[Any], list[Any]]] = [([], []) for _ in edges]  # leaving, then entering
    jobs: list[list[tuple[int, int]]] = [[] for _ in above]
    ends = [(e[0], e[1], (e[0], e[2] if len(e) > 2 else -1)) for e in edges]
    for e, (a, b, _) in enumerate(ends):
        p, q = trails[home[a]], trails[home[b]]
        k = 0
        while k < len(p) and k < len(q) and p[k] == q[k]:
            k += 1
        for g in p[k:]:
            jobs[g].append((e, 1))
        jobs[p[k - 1]].append((e, 0))
        for g in q[k:]:
            jobs[g].append((e, -1))
    crossings = 0
    for g in range(len(above) - 1, -1, -1):
        level = levels[g]
        for e, way in jobs[g]:
            link = _join(levels, trails, home, g, e, ends[e], way)
            parts[e][1 if way < 0 else 0].append((g, link))
        if not level.sizes:
            continue
        level.place(o)
        crossings += level.crossings
        if g:
            _as_card(levels, g, above[g], groups[g - 1]["title"], pad, turned)
    return _gathered(levels, n, edges, home, parts, crossings, turned)


class _Level:
    """One box while it is laid out: its items, the links between them, and where they stand."""

    def __init__(self) -> None:
        self.sizes: list[Sequence[float]] = []
        self.number: dict[Any, int] = {}
        self.ends: list[int] = []  # -1 for a port of entry, 1 for one of leaving, else 0
        self.links: list[Link] = []
        self.known: dict[Any, int] = {}
        self.ports: dict[Any, float] = {}  # of (way, port): its place in the border
        self.x: list[float] = []
        self.y: list[float] = []
        self.routes: list[list[tuple[float, float]]] = []
        self.width = self.height = 0.0
        self.left = self.top = 0.0  # of the contents, in the box around
        self.box: tuple[float, float] | None = None
        self.crossings = 0
        self.rows: list[int] = []

    def item(self, key: Any, size: Sequence[float], end: int = 0) -> int:
        """The number of an item, which is new or known."""
        if key not in self.number:
            self.number[key] = len(self.sizes)
            self.sizes.append(size)
            self.ends.append(end)
        return self.number[key]

    def link(self, key: Any, link: Link) -> int:
        """The number of a link; links with one key are one."""
        if key not in self.known:
            self.known[key] = len(self.links)
            self.links.append(link)
        return self.known[key]

    def place(self, o: dict[str, float]) -> None:
        """Rank, order, place."""
        rows, flipped = rank(len(self.sizes), self.links, self.ends)
        net = Net(self.sizes, self.links, rows, flipped, o["lane"])
        net.order(self.ends)
        net.place(o)
        self.crossings, self.rows = net.crossings, rows
        self.x, self.y, self.routes = net.finished(self.ends, o)
        self.width, self.height = net.width, net.height


def _trails(above: list[int]) -> list[list[int]]:
    """For each group the groups around it, outermost first, and itself."""
    trails: list[list[int]] = []
    for g, parent in enumerate(above):
        trails.append([*trails[parent], g] if parent >= 0 else [g])
    return trails


def _join(
    levels: list[_Level],
    trails: list[list[int]],
    home: list[int],
    g: int,
    e: int,
    edge: tuple[int, int, Any],
    way: int,
) -> int:
    """The link that stands for an edge inside one group."""
    a, b, port = edge
    level, depth = levels[g], len(trails[g])
    du = dv = 0.0
    if way < 0:
        u = level.item(("in", port), (0, 0), -1)
    elif home[a] == g:
        u = level.number["card", a]
    else:
        inner = trails[home[a]][depth]
        u, du = level.number["box", inner], levels[inner].ports[1, port]
    if way > 0:
        v = level.item(("out", port), (0, 0), 1)
    elif home[b] == g:
        return level.link(("edge", e), (u, level.number["card", b], du, 0.0))
    else:
        inner = trails[home[b]][depth]
        v, dv = level.number["box", inner], levels[inner].ports[-1, port]
    return level.link((u, v, port), (u, v, du, dv))


def _as_card(
    levels: list[_Level], g: int, parent: int, title: Sequence[float], pad: float, turned: bool
) -> None:
    """A box that is done becomes an item of the box around it."""
    level = levels[g]
    head, wide = title[1], title[0]
    if turned:
        level.left, level.top = pad + head, pad
        width, height = level.width + 2 * pad + head, max(level.height, wide) + 2 * pad
    else:
        width, height = max(level.width, wide) + 2 * pad, level.height + 2 * pad + head
        level.left, level.top = (width - level.width) / 2, pad + head
    level.box = (width, height)
    for (kind, port), i in level.number.items():
        if kind in {"in", "out"}:
            level.ports[-1 if kind == "in" else 1, port] = level.left + level.x[i] - width / 2
    levels[parent].item(("box", g), level.box)


def _gathered(
    levels: list[_Level],
    n: int,
    edges: Sequence[Sequence[int]],
    home: list[int],
    parts: list[tuple[list[Any], list[Any]]],
    crossings: int,
    turned: bool,
) -> dict[str, Any]:
    """All places in one picture."""
    origin = [(0.0, 0.0)] * len(levels)
    boxes: list[Any] = [None] * (len(levels) - 1)
    for g, level in enumerate(levels):
        for (kind, inner), i in level.number.items():
            if kind == "box":
                width, height = levels[inner].box or (0.0, 0.0)
                left = origin[g][0] + level.x[i] - width / 2
                top = origin[g][1] + level.y[i] - height / 2
                boxes[inner - 1] = (left, top, width, height)
                origin[inner] = (left + levels[inner].left, top + levels[inner].top)
    x, y, rows = [], [], []
    for i in range(n):
        k = levels[home[i]].number["card", i]
        rows.append(levels[home[i]].rows[k])
        x.append(origin[home[i]][0] + levels[home[i]].x[k])
        y.append(origin[home[i]][1] + levels[home[i]].y[k])
    routes = []
    for e in range(len(edges)):
        route: list[tuple[float, float]] = []
        leaving, entering = parts[e]
        for g, link in [*leaving, *entering[::-1]]:
            points = [(origin[g][0] + u, origin[g][1] + v) for u, v in levels[g].routes[link]]
            route = route[:-1] + points[1:] if route else points  # straight through the border
        routes.append(route)
    width, height = levels[0].width, levels[0].height
    if turned:
        x, y, width, height = y, x, height, width
        routes = [[(v, u) for u, v in route] for route in routes]
        boxes = [b and (b[1], b[0], b[3], b[2]) for b in boxes]
    return {
        "x": x, "y": y, "rows": rows, "boxes": boxes, "routes": routes, "width": width,
        "height": height, "crossings": crossings,
    }  # fmt: skip
