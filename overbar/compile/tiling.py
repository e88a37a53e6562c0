"""How a block of sums is cut into tiles: how many columns, how many rows, at what cost."""

from __future__ import annotations

from dataclasses import dataclass

from .machine import Machine


@dataclass(frozen=True)
class Panels:
    """Columns, cut: as many panels of `vectors` vectors as there are, then perhaps a rest."""

    lanes: int
    width: int
    vectors: int

    @property
    def full(self) -> int:
        """How many panels are full."""
        return self.width // self.widest

    @property
    def rest(self) -> int:
        """How many columns are behind them."""
        return self.width % self.widest

    @property
    def count(self) -> int:
        """How many panels there are."""
        return self.full + bool(self.rest)

    @property
    def padded(self) -> int:
        """How many columns there are, as whole vectors."""
        return -(-self.width // self.lanes) * self.lanes

    @property
    def widest(self) -> int:
        """Columns of a full panel."""
        return self.lanes * self.vectors

    def each(self) -> list[tuple[int, int, int]]:
        """(vectors, columns, how many) of the full ones and of the rest."""
        both = [(self.vectors, self.widest, self.full), (-(-self.rest // self.lanes), self.rest, 1)]
        return [(v, columns, n) for v, columns, n in both if columns and n]


def tallest(machine: Machine, vectors: int) -> int:
    """Rows of the highest tile: registers for its sums, for a row of B and a number of A."""
    return max(1, min(20, (machine.registers - 1 - vectors) // vectors))


def heights(rows: int, most: int) -> list[tuple[int, int]]:
    """So many rows in tiles of nearly equal height: (height, how often).
    >>> heights(27, 14), heights(13, 14), heights(55, 14)
    ([(14, 1), (13, 1)], [(13, 1)], [(14, 3), (13, 1)])
    """
    count = -(-rows // most)
    low = rows // max(count, 1)
    more = rows - low * count
    return [(h, n) for h, n in ((low + 1, more), (low, count - more)) if h and n]


def height(shortest: int, longest: int, most: int) -> int:
    """One height for lines whose length is known at run time only; their last tile overlaps the
    one before.
    """
    top = max(1, min(most, shortest))
    return min(range((top + 1) // 2, top + 1), key=lambda h: (-(-longest // h) * (h + 0.5), -h))


def cost(machine: Machine, rows: int, vectors: int) -> float:
    """Cycles a tile takes for each product of its sums: for arithmetic, for loads, waiting for the
    sum before, or for B's row from the second cache.
    """
    behind = 2 * vectors * machine.bits / 512
    return max(rows * vectors / 2, (rows + vectors) / 2, 4, behind) + 0.3


def panels(machine: Machine, width: int, lanes: int, line: int) -> Panels:
    """Columns cut so that lines of so many rows cost least.

    Two vectors unless others are much better: a program with fewer different tiles compiles faster.
    """

    def cycles(vectors: int) -> float:
        return (1 if vectors == 2 else 1.07) * sum(
            n * times * cost(machine, rows, wide)
            for wide, _, n in Panels(lanes, width, vectors).each()
            for rows, times in heights(line, tallest(machine, wide))
        )

    most = min(4 if machine.registers > 16 else 3, max(1, -(-width // lanes)))
    return Panels(lanes, width, min(range(1, most + 1), key=lambda v: (cycles(v), -v)))
