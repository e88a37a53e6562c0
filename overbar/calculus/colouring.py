"""Colours: columns that share no row can be asked for together, in one sweep.

Colour j's sweep gives the sum of its columns, and as no row has two of them, every entry of the sum
is an entry of the matrix. Finding the fewest colours is as hard as colouring graphs, so they are
taken greedily: each column the first colour that no row of its has. Sets of colours are bits.

Source: Gebremedhin, Manne and Pothen (2005), What color is your Jacobian?
"""

from __future__ import annotations

import numpy as np

from .pattern import Pattern


class Colouring:
    """of[j] is the colour of column j (or row j), below `count`; what is empty has colour 0."""

    def __init__(self, of: np.ndarray) -> None:
        self.of = of
        self.count = int(of.max()) + 1 if of.size else 0

    def seeds(self) -> np.ndarray:
        """One direction per colour: ones at its columns."""
        return (self.of == np.arange(self.count)[:, None]).astype(np.float64)


def column_colours(pattern: Pattern) -> Colouring:
    """Colours such that no row has two columns of one colour; in the better of two orders."""
    m, n = pattern.shape
    counts = np.bincount(pattern.rows, minlength=m)
    most = int(counts.max()) if m else 0
    if most == n:
        return Colouring(np.arange(n))
    by_column = pattern.T
    starts = by_column.starts.tolist()
    rows = by_column.columns.tolist()
    first = _greedy(range(n), starts, rows, m)
    if first.count <= most:  # a row with so many columns needs as many colours
        return first
    largest = np.argsort(-np.diff(by_column.starts), kind="stable")
    second = _greedy(largest.tolist(), starts, rows, m)
    return min(first, second, key=lambda c: c.count)


def row_colours(pattern: Pattern) -> Colouring:
    """Colours such that no column has two rows of one colour."""
    return column_colours(pattern.T)


def _greedy(order: range | list[int], starts: list[int], rows: list[int], m: int) -> Colouring:
    taken = [0] * m  # the colours that each row has, as bits
    of = np.zeros(len(order), np.int64)
    for j in order:
        mine = rows[starts[j] : starts[j + 1]]
        met = 0
        for i in mine:
            met |= taken[i]
        bit = ~met & (met + 1)  # the lowest that is not set
        of[j] = bit.bit_length() - 1
        for i in mine:
            taken[i] |= bit
    return Colouring(of)


def star_colours(pattern: Pattern) -> Colouring:
    """Colours of a symmetric matrix such that each entry is alone in its row or in its column.

    Fewer than `column_colours`, as an entry that has company is read at its mirror image: no path
    of four neighbours may have two colours only. Columns with many entries come first.
    """
    n = pattern.shape[0]
    starts, others = pattern.starts.tolist(), pattern.columns.tolist()
    of = [-1] * n
    around = [0] * n  # colours of the neighbours, as bits
    refused = [0] * n  # of neighbours that have two neighbours of one's own colour
    first: list[dict[int, int]] = [{} for _ in range(n)]  # by colour, a neighbour that has it
    twice = [0] * n  # colours that two neighbours have
    for v in np.argsort(-np.diff(pattern.starts), kind="stable").tolist():
        neighbours = [w for w in others[starts[v] : starts[v + 1]] if w != v]
        met = around[v]
        for w in neighbours:
            if of[w] >= 0:
                met |= refused[w]  # v − w − x − y, with y coloured as w
                if twice[v] >> of[w] & 1:
                    met |= around[w]  # w' − v − w − x, with w' coloured as w
        bit = ~met & (met + 1)
        colour = of[v] = bit.bit_length() - 1
        for w in neighbours:
            if of[w] >= 0 and twice[v] >> of[w] & 1:
                refused[w] |= bit
            around[w] |= bit
            if colour not in first[w]:
                first[w][colour] = v
                continue
            twice[w] |= bit
            if of[w] >= 0:
                refused[v] |= 1 << of[w]
                refused[first[w][colour]] |= 1 << of[w]
    return Colouring(np.array(of, np.int64))


def read_at(pattern: Pattern, colouring: Colouring) -> tuple[np.ndarray, np.ndarray]:
    """For each entry of a symmetric matrix (colour, row) of the product in which it stands alone:
    its own, or its mirror image's.
    """
    i, j = pattern.rows, pattern.columns
    own = i * colouring.count + colouring.of[j]
    alone = np.bincount(own, minlength=pattern.shape[0] * colouring.count)[own] == 1
    return np.where(alone, colouring.of[j], colouring.of[i]), np.where(alone, i, j)
