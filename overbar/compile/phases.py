"""What a kernel's loops will be, before a line of them is written.

A row is done in phases: each is one pass over its entries. A sum of this phase can be used for
every entry in the next one.
"""

from __future__ import annotations

import itertools
import math
from itertools import pairwise

from ..graph import Graph, Node
from .access import base_of, is_view, strided
from .costs import KEPT, SLOW
from .entries import cuts
from .kinds import POSITIONS, reduced_axes

TILE = 512
"""Columns summed at a time."""
ROWS, MANY = 128, 32
"""Short rows done side by side, where there are so many."""
LINE = 64
"""Bytes of the widest vector."""
SHORT, RAGGED = 512, 640
"""A short row has fewer bytes; one that is not made of whole vectors, fewer than that. The columns
of longer ones are not in the nearest cache together.
"""
BLOCK = 32
"""Sides of the blocks in which an array is read that lies across."""
SHARED, ALONE = 16384, 4096
"""Entries (weighted by what they cost) worth being a part of their own, in rows that are summed and
in rows that are not: those need nothing done to put the parts together. 4096 are a microsecond."""

PIECES = 9
"""So many loops, at most, for what is put together of parts."""
THIN = 8
"""Parts that are thinner share a loop, which decides at every entry."""
BRIEF, MUCH = 8, 32
"""Turns of an innermost loop that are written one after the other, and operations in all of them,
at most: LLVM takes up to eight numbers apart, or puts them together, in registers."""
FEW = 4096


class Shape:
    """What is known of a kernel before a line of it is written.

    whole     of a member: computed per entry, or per row
    phase     of a member: in which pass over the row
    sides     totals over all rows, one number per entry of a row, by the pass that adds to them
    pieces    loops one after the other, over everything, with nothing to decide inside
    lane      the outer axis whose entries are computed side by side, `tile` of them at a time
    split     the axis that parts divide, and into how many pieces
    brief     whether the turns of the innermost loop are written one after the other: then LLVM's
              vectors lie along the loop around it

    general: a loop is written as if it were long, whatever its length is here.
    """

    def __init__(self, node: Node, *, general: bool = False) -> None:
        self.graph: Graph = node.params["graph"]
        self.general = general
        self.axes: tuple[int, ...] = node.params["axes"]
        self.reduced: tuple[int, ...] = node.params["reduced"]
        given = set(self.graph.inputs)
        self.members = [
            n for n in self.graph.nodes if n.inputs and n not in given and not is_view(n)
        ]
        self.outer = [a for a in range(len(self.axes)) if a not in self.reduced]
        self.inner = list(self.reduced)
        self.whole: dict[Node, bool] = {}
        self.phase: dict[Node, int] = {}
        self.sides: dict[Node, int] = {}
        for n in self.members:
            self._classify(n)
        self.members = [n for n in self.members if n in self.whole]
        accesses = self._accesses()
        self._merge(accesses)
        if not self.reduced and self.outer:
            self.inner = [self.outer.pop()]
            self._exchange(accesses)
        self.across = self._crossed(accesses or [])
        passes = [*self.phase.values(), *self.sides.values()]
        self.phases = max([p + 1 for p in passes], default=1) or 1
        self.lane, self.tile = self._lane()
        self._divide()
        self.brief = self._is_brief(accesses)
        self.pieces = [{}] if self.reduced or self.across is not None else self._pieces()

    def _lane(self) -> tuple[int | None, int]:
        """The outer axis that the innermost loop runs along, and how far: the last axis, if it is
        an outer one; that of the rows, if they are short and something slow is computed along them.
        """
        last = len(self.axes) - 1
        if not self.reduced or not self.outer:
            return None, 0
        if last not in self.reduced:
            return last, TILE
        many = self.general or self.size[self.outer[-1]] >= MANY
        many = many and self.inner == [last] and not self.sides
        inside = [n for n in self.members if self.whole[n] or is_reduction(n)]
        slow = any(_is_slow(n, self.size[last]) for n in inside)
        return (self.outer[-1], ROWS) if many and slow else (None, 0)

    def _pieces(self) -> list[dict[int, tuple[int, int]]]:
        """Where arrays lie side by side, one piece for each: from and to, along the axes cut."""
        ends = {a: {0, n} for a, n in self.size.items()}
        for n in self.members:
            real = [p for p, size in zip(cuts(n), n.spec.shape, strict=True) if size != 1]
            for a, places in enumerate(real):
                ends[a].update(places)
        if self.brief:
            ends[self.inner[-1]].clear()  # each turn knows where it is
        ranges = {a: list(pairwise(sorted(e))) for a, e in ends.items() if len(e) > 2}
        if math.prod(map(len, ranges.values())) > PIECES:
            if math.prod(self.axes) < FEW:
                return [{}]
            ranges = {a: _thin_as_one(parts) for a, parts in ranges.items()}
        if len(ranges) == 1:
            ranges = {a: _in_groups(parts) for a, parts in ranges.items()}
        if math.prod(map(len, ranges.values())) > PIECES:
            return [{}]
        combined = itertools.product(*ranges.values())
        return [dict(zip(ranges, piece, strict=True)) for piece in combined]

    def _exchange(self, accesses: list[list[int]] | None) -> None:
        """What lies side by side in a few lines, and is to be one line after the other, is taken a
        few numbers at a time.
        """
        if not self.outer:
            return
        few, last = self.outer[-1], self.inner[-1]
        if any(s[few] == 1 < s[last] for s in accesses or ()) and self._is_short(
            few, last, accesses
        ):
            self.outer[-1], self.inner = last, [few]

    def _is_brief(self, accesses: list[list[int]] | None) -> bool:
        if self.reduced or self.across is not None or not self.outer:
            return False
        last = self.inner[-1]
        return self.axis != last and self._is_short(last, self.outer[-1], accesses)

    def _is_short(self, few: int, around: int, accesses: list[list[int]] | None) -> bool:
        """Whether an axis has few entries, and the one whose loop would be around it many, which
        are read without gaps.
        """
        turns, long = self.size[few], self.general or self.size[around] >= 2 * BRIEF
        if turns > BRIEF or turns * len(self.members) > MUCH or not long:
            return False
        if any(n.op.name in POSITIONS for n in self.members):
            return False
        return all(s[around] in (0, 1, turns * abs(s[few])) for s in accesses or ())

    def _crossed(self, accesses: list[list[int]]) -> int | None:
        """The outer axis along which an array lies that is read across by the innermost loop: the
        two loops then go over small blocks, so that what a cache line brings is used.
        """
        if self.reduced or not self.inner:
            return None
        last = self.inner[-1]
        for s in accesses:
            if s[last] > 1:
                for a in self.outer:
                    if s[a] == 1 and self.size[a] >= BLOCK and self.size[last] >= BLOCK:
                        return a
        return None

    def _merge(self, accesses: list[list[int]] | None) -> None:
        """Neighbouring axes that every array takes as one become one loop: that of the last."""
        self.size = dict(enumerate(self.axes))
        self.still: set[int] = set()
        if accesses is None:
            return
        for loops in (self.outer, self.inner):
            for a, b in reversed(list(pairwise(loops))):
                if b != a + 1:
                    continue
                if all(s[a] == s[b] * self.axes[b] for s in accesses):
                    last = max(
                        c for c in loops if c >= b and all(x in self.still for x in range(b, c))
                    )
                    self.size[last] *= self.axes[a]
                    self.still.add(a)
            loops[:] = [a for a in loops if a not in self.still]

    def _accesses(self) -> list[list[int]] | None:
        """For every array read, its stride along each axis; None if one has none."""
        found = []
        for n in self.members:
            if n.op.entry is not None and n.op.native is None:
                return None
            for x in n.inputs:
                base = base_of(x)
                if base in self.whole or base.spec.size == 1 or not x.spec.ndim:
                    continue
                view = strided(x)
                if view is None or view.root.inputs:
                    return None
                strides = iter(
                    [s for s, n in zip(view.strides, x.spec.shape, strict=True) if n != 1]
                )
                real = sum(n != 1 for n in x.spec.shape)
                along = [0] * len(self.axes)
                rows = [a for a in range(len(self.axes)) if a not in self.reduced]
                for a in range(len(self.axes)) if real == len(self.axes) else rows:
                    along[a] = next(strides)
                found.append(along)
        return found

    def _classify(self, n: Node) -> None:
        inside = [x for x in map(base_of, n.inputs) if x in self.whole]
        after = [self.phase[x] if self.whole[x] else self.phase[x] + 1 for x in inside]
        sizes = tuple(s for s in n.spec.shape if s != 1)
        rows = tuple(s for a, s in enumerate(self.axes) if a not in self.reduced)
        if is_reduction(n) and reduced_axes(n) != frozenset(self.reduced):
            self.sides[n] = max(after, default=0)
        elif is_reduction(n):
            self.whole[n], self.phase[n] = False, max(after, default=0)
        elif sizes == self.axes and (self.axes or not self.reduced):
            self.whole[n], self.phase[n] = True, max(after, default=0)
        elif self.reduced and sizes == rows:
            self.whole[n], self.phase[n] = False, max([self.phase[x] for x in inside], default=-1)

    def _divide(self) -> None:
        """Into how many parts, and of what."""
        weight = 1 + sum(4 if n.op.name in KEPT else 1 for n in self.members) // 8
        worth = SHARED if self.reduced else ALONE
        wanted = min(16, math.prod(self.axes) * weight // worth)
        self.splits = False
        self.axis, pieces = None, 1
        candidates = self.outer or (self.inner if not self.reduced else [])
        candidates = sorted(candidates, key=lambda a: a == self.across)  # its lines are read whole
        if candidates and 0 not in self.axes:  # the axis also where it stays one piece: see `holes`
            self.axis = next(
                (a for a in candidates if self.size[a] >= wanted),
                max(candidates, key=lambda a: self.size[a]),
            )
            if self.size[self.axis] < wanted and not self.reduced:
                self.axis = max([*self.outer, *self.inner], key=lambda a: self.size[a])
            pieces = max(1, min(wanted, self.size[self.axis]))
        if wanted > 1:
            alone = self.reduced and self.phases == 1 and not self.sides
            long = alone and self.size[self.inner[0]] >= 2 * wanted
            if long and pieces < 4 and wanted >= 4:
                self.splits, self.axis, pieces = True, self.inner[0], wanted
        step = 1
        if pieces > 1 and (self.axis in self.inner or self._is_tiled(self.axis)):
            step = 64 if self.axis in self.inner and not self.splits else 1
            step = self.tile if self._is_tiled(self.axis) else step
        size = self.size[self.axis] if self.axis is not None else 1
        self.piece = -(-size // pieces)
        self.piece = -(-self.piece // step) * step
        self.parts = -(-size // self.piece)

    def _is_tiled(self, axis: int | None) -> bool:
        return axis is not None and axis == self.lane


def _thin_as_one(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Parts of an axis, neighbours that are thin as one."""
    found: list[tuple[int, int]] = []
    was_thin = False
    for first, end in parts:
        thin = end - first < THIN
        if thin and was_thin:
            first, _ = found.pop()
        found.append((first, end))
        was_thin = thin
    return found


def _in_groups(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Parts of an axis, neighbours as one where there would be too many loops: each of them has
    only its own few parts to decide between.
    """
    count = -(-len(parts) // PIECES)
    groups = [parts[k : k + count] for k in range(0, len(parts), count)]
    return [(group[0][0], group[-1][1]) for group in groups]


def _is_slow(n: Node, length: int) -> bool:
    """Whether a loop along rows of so many entries is slower than turning them into columns.

    A greatest one minds NaN, and each row ends with finding the greatest number of a vector. What
    is done entry by entry only suffers from rows that do not fill their vectors.
    """
    size = length * n.inputs[0].spec.dtype.itemsize
    if n.op.reduces in ("maximum", "minimum") and n.spec.dtype.kind == "f":
        return size < (RAGGED if size % LINE else SHORT)
    return n.op.name in SLOW and size % LINE != 0 and size < SHORT // 2


def is_reduction(n: Node) -> bool:
    """Whether a node makes one entry of many."""
    return n.op.reduces is not None and n.op.native is None
