"""What room there is in a picture: what stands where, and what it would cost to write over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class Room:
    """Where something stands already."""

    CELL = 24.0

    def __init__(self) -> None:
        self.boxes: dict[tuple[int, int], list[tuple[Rectangle, float]]] = {}
        self.points: dict[tuple[int, int], list[tuple[int, float, float]]] = {}

    def _cells(self, r: Rectangle) -> Iterable[tuple[int, int]]:
        for i in range(int(r[0] // self.CELL), int(r[2] // self.CELL) + 1):
            for j in range(int(r[1] // self.CELL), int(r[3] // self.CELL) + 1):
                yield i, j

    def block(self, r: Rectangle, price: float) -> None:
        """A rectangle that costs so much to cover."""
        for cell in self._cells(r):
            self.boxes.setdefault(cell, []).append((r, price))

    def trace(self, k: int, line: Sequence[Point]) -> None:
        """A wire."""
        for x, y in line:
            self.points.setdefault((int(x // self.CELL), int(y // self.CELL)), []).append((k, x, y))

    def cost(self, k: int, r: Rectangle) -> float:
        """What it costs to write here."""
        price, seen = 0.0, set()
        for cell in self._cells(r):
            for s, p in self.boxes.get(cell, ()):
                if s not in seen and r[0] < s[2] and s[0] < r[2] and r[1] < s[3] and s[1] < r[3]:
                    seen.add(s)
                    price += p
            for j, x, y in self.points.get(cell, ()):
                if r[0] <= x <= r[2] and r[1] <= y <= r[3]:
                    price += 0.3 if j == k else 1
        return price
