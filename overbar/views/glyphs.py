"""A scene as text for a terminal: cards of box characters, joined by lines.

The places are those of `layout`, measured in characters. Between two rows every wire has a track
of its own for its way across, so that lines cross but never merge: wires leave cards in even
columns, arrive in columns 4k + 3, and pass rows in columns 4k + 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from .faces import Face
from .layout import layout
from .names import ascii_of, width

LINES = " ╵╶└╷│┌├╴┘─┴┐┤┬┼"
"""Drawn by what meets in a cell: 1 from above, 2 from the right, 4 from below, 8 from the left."""
ASCII_LINES = " |-+||++-+-+++++"
ROUND = {"rect": "┌─┐│└┘", "pill": "╭─╮│╰╯", "circle": "╭─╮│╰╯", "stack": "╔═╗║╚╝"}
DASHED = "┌╌┐╎└╯"
ASCII_EDGES = {"rect": "+-+|++", "pill": ".-.|''", "circle": ".-.|''", "stack": "+=+|++"}
LEAST = 8
"""Columns of the narrowest card."""

Segment = tuple[int, int, int]
"""Of a wire, between two rows: the column it comes from, the one it goes to, and which wire."""


def drawn(
    faces: Sequence[Face],
    dashed: Sequence[bool],
    wires: Sequence[tuple[int, int]],
    columns: int,
    *,
    ascii: bool = False,
) -> str | None:
    """The drawing, or None if it is wider than the columns however its cards are cut."""
    write: Callable[[str], str] = ascii_of if ascii else str
    comes, goes = Counter(b for _, b in wires), Counter(a for a, _ in wires)
    for room in (40, 30, 22, 16, 11):
        cards = [[_cut(write(line.text), room) for line in f.lines] for f in faces]
        sizes = [
            (
                max(LEAST, 4 * comes[k] + 3, 2 * goes[k] + 3, max(map(width, c), default=0) + 4),
                len(c) + 2,
            )
            for k, c in enumerate(cards)
        ]
        places = layout(sizes, wires, across=3, down=1, lane=5, spread=4)
        if places["width"] <= columns:
            sheet = _Sheet(sizes, wires, places)
            edges = ASCII_EDGES if ascii else ROUND
            shapes = [
                DASHED if d and not ascii else edges[f.shape]
                for f, d in zip(faces, dashed, strict=True)
            ]
            return sheet.text(cards, shapes, ascii=ascii)
    return None


def _cut(text: str, room: int) -> str:
    if width(text) <= room:
        return text
    while width(text) > room - 1:
        text = text[:-1]
    return text + ("…" if not text.isascii() or "…" in text else "~")


class _Sheet:
    """The rows of cards, and the tracks between them."""

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        wires: Sequence[tuple[int, int]],
        places: dict,
    ) -> None:
        self.sizes, self.wires = sizes, wires
        self.left = [round(x - w / 2) for x, (w, _) in zip(places["x"], sizes, strict=True)]
        shift = min(self.left, default=0)
        self.left = [x - shift for x in self.left]
        self.rows = self._rows(places)
        self.columns = max((x + w for x, (w, _) in zip(self.left, sizes, strict=True)), default=0)
        self.gaps: list[list[Segment]] = [[] for _ in self.rows]
        self.lanes: list[list[int]] = [[] for _ in self.rows]
        for k, (a, b) in enumerate(wires):
            route = places["routes"][k]
            first = places["rows"][a]
            x = self._port(a, route[0][0] - shift, 0, 2)
            for j in range(2, len(route) - 2, 2):
                r = first + j // 2
                lane = 4 * round((route[j][0] - shift - 1) / 4) + 1
                self.gaps[r - 1].append((x, max(1, lane), k))
                self.lanes[r].append(max(1, lane))
                x = max(1, lane)
                self.columns = max(self.columns, x + 1)
            end = self._port(b, route[-1][0] - shift, 3, 4)
            self.gaps[first + len(route) // 2 - 2].append((x, end, k))
        self.gaps = [self._straightened(gap) for gap in self.gaps]

    def _straightened(self, gap: list[Segment]) -> list[Segment]:
        """A wire that need not bend does not, if it has a column to itself."""
        made: list[Segment] = []
        for x, end, k in gap:
            i = self.wires[k][0]
            inside = self.left[i] < end < self.left[i] + self.sizes[i][0] - 1
            free = all(end not in (s[0], s[1]) for s in gap if s[2] != k)
            straight = inside and free and abs(x - end) < 4 and x % 2 == 0
            made.append((end, end, k) if straight else (x, end, k))
        return made

    def _rows(self, places: dict) -> list[list[int]]:
        """The cards of each row, from above."""
        rows: list[list[int]] = [[] for _ in range(max(places["rows"], default=-1) + 1)]
        for i, r in enumerate(places["rows"]):
            rows[r].append(i)
        return rows

    def _port(self, i: int, x: float, rest: int, by: int) -> int:
        """The column of a card's border nearest to x that leaves this rest when divided."""
        low, high = self.left[i] + 1, self.left[i] + self.sizes[i][0] - 2
        spots = [c for c in range(low, high + 1) if c % by == rest]
        return min(spots, key=lambda c: (abs(c - x), c))

    def _tracks(self, gap: list[Segment]) -> tuple[dict[Segment, int], int]:
        """A track for each segment that goes across, and how many there are."""
        across = sorted((s for s in gap if s[0] != s[1]), key=lambda s: (min(s[:2]), max(s[:2])))
        before = {s: [t for t in across if t is not s and t[0] == s[1]] for s in across}
        track: dict[Segment, int] = {}
        used: list[list[tuple[int, int]]] = []
        waiting = list(across)
        while waiting:
            s = next((s for s in waiting if all(t in track for t in before[s])), waiting[0])
            waiting.remove(s)
            low, high = min(s[:2]), max(s[:2])
            n = max((track[t] + 1 for t in before[s] if t in track), default=0)
            while n < len(used) and any(a <= high + 1 and low <= b + 1 for a, b in used[n]):
                n += 1
            if n == len(used):
                used.append([])
            used[n].append((low, high))
            track[s] = n
        return track, len(used)

    def text(self, cards: Sequence[Sequence[str]], shapes: Sequence[str], *, ascii: bool) -> str:
        """The finished drawing."""
        lines: list[str] = []
        for r, row in enumerate(self.rows):
            lines += self._row_text(row, cards, shapes, r, ascii=ascii)
            if r < len(self.rows) - 1:
                lines += self._gap_text(self.gaps[r], self.lanes[r + 1], ascii=ascii)
        return "\n".join(line.rstrip() for line in lines)

    def _row_text(
        self, row: list[int], cards: Sequence[Sequence[str]], shapes: Sequence[str],
        r: int, *, ascii: bool,
    ) -> Iterable[str]:  # fmt: skip
        gap, lanes = self.gaps[r], self.lanes[r]
        tall = max(self.sizes[i][1] for i in row)
        outs = {a: [] for a in row}
        for s in gap:
            if self.wires[s[2]][0] in outs:
                outs[self.wires[s[2]][0]].append(s[0])
        bar = "|" if ascii else "│"
        for j in range(tall):
            spots: dict[int, str] = dict.fromkeys(lanes, bar)
            for i in row:
                h = self.sizes[i][1]
                if j < h:
                    spots[self.left[i]] = _slice(cards[i], shapes[i], self.sizes[i][0], j, h)
                else:
                    spots |= dict.fromkeys(outs[i], bar)
            yield _laid(spots)

    def _gap_text(self, gap: list[Segment], lanes: Sequence[int], *, ascii: bool) -> Iterable[str]:
        track, count = self._tracks(gap)
        grid = [[0] * (self.columns + 2) for _ in range(count + 1)]
        for s in gap:
            a, b, _ = s
            at = track.get(s, -1)
            for n in range(count + 1):
                if at < 0 or n < at:
                    grid[n][a] |= 5
                elif n > at:
                    grid[n][b] |= 5
            if at >= 0:
                low, high = min(a, b), max(a, b)
                grid[at][a] |= 1
                grid[at][b] |= 4
                for c in range(low, high + 1):
                    grid[at][c] |= (2 if c < high else 0) | (8 if c > low else 0)
        signs = ASCII_LINES if ascii else LINES
        passing = set(lanes)
        for n, cells in enumerate(grid):
            text = "".join(signs[c] for c in cells)
            if n == count:
                ends = {b for _, b, _ in gap if b not in passing}
                text = "".join(
                    ("v" if ascii else "▼") if c in ends else t for c, t in enumerate(text)
                )
            yield text


def _slice(lines: Sequence[str], shape: str, wide: int, j: int, tall: int) -> str:
    """Line j of a card."""
    corner, flat, right, side, low, last = shape
    if j == 0:
        return corner + flat * (wide - 2) + right
    if j == tall - 1:
        return low + flat * (wide - 2) + last
    text = lines[j - 1]
    room = wide - 4 - width(text)
    return f"{side} {' ' * (room // 2)}{text}{' ' * (room - room // 2)} {side}"


def _laid(spots: dict[int, str]) -> str:
    """Texts at their columns."""
    line, at = "", 0
    for x, text in sorted(spots.items()):
        line += " " * (x - at) + text
        at = x + width(text)
    return line


def listed(
    faces: Sequence[Face],
    wires: Sequence[tuple[int, int]],
    columns: int,
    *,
    ascii: bool = False,
) -> str:
    """One line for each card, with the cards it uses: for what is too wide to be drawn."""
    write: Callable[[str], str] = ascii_of if ascii else str
    uses: dict[int, dict[str, None]] = {}
    name = [write(f.lines[0].text.partition(" = ")[0]) if f.lines else "" for f in faces]
    for a, b in wires:
        uses.setdefault(b, {})[name[a]] = None
    room = max(8, (columns - 8) // 4)
    rows = []
    for f in faces:
        cells = [_cut(write(line.text), room) for line in f.lines[:3]]
        rows.append([*cells, *[""] * (3 - len(cells))])
    wide = [max((width(r[i]) for r in rows), default=0) for i in range(3)]
    arrow, lines = "<-" if ascii else "←", []
    for k, r in enumerate(rows):
        line = "  ".join(c + " " * (w - width(c)) for c, w in zip(r, wide, strict=True))
        from_ = f"  {arrow} {' '.join(uses[k])}" if k in uses else ""
        lines.append(_cut((line + from_).rstrip(), columns))
    return "\n".join(lines)
