"""A kernel in the making: what it goes over, and what it takes in."""

from __future__ import annotations

import math

from ..graph import Node
from .costs import SLOW
from .kinds import Sizes
from .layout import CONVOLUTIONS
from .phases import LINE, RAGGED

LONG = 1 << 16
"""Entries of a kernel that is worth adding up totals over its rows on the side."""
WIDE = 1 << 14
"""Entries of such a total, at most: each part has its own."""
SHORT, MANY = 64, 1024
"""Rows below so many entries, and at least so many of them, that what is slow and needed once per
row takes longer than the row: a kernel of its own computes it of several rows side by side.
"""


class Kernel:
    """A kernel in the making.

    kind      "nest", "product" or "other"
    axes      the sizes it goes over, without ones; `reduced`: the inner ones, by number
    members   its nodes, oldest first; `whole` says of each whether it is per entry or per row
    before    the kernels that it waits for, and those before them, as bits
    """

    def __init__(self, number: int, kind: str, axes: Sizes) -> None:
        self.number, self.kind, self.axes = number, kind, axes
        self.reduced: frozenset[int] = frozenset()
        self.members: list[Node] = []
        self.whole: dict[Node, bool] = {}
        self.before = 0

    @property
    def rows(self) -> Sizes:
        """The sizes of its outer axes."""
        return tuple(n for a, n in enumerate(self.axes) if a not in self.reduced)

    def placement(self, shape: Sizes, whole: bool) -> list[int | None]:
        """For each axis of a member's shape the kernel's axis it goes along."""
        numbers = [a for a in range(len(self.axes)) if whole or a not in self.reduced]
        left = iter(numbers)
        return [None if n == 1 else next(left) for n in shape]

    def takes_once(self, node: Node) -> bool:
        """Whether a node may be computed once per row, between the loops over its entries."""
        if not self.reduced or self.kind != "nest":
            return False
        if node.op.name not in SLOW or len(self.axes) - 1 not in self.reduced:
            return True
        rows = math.prod(self.rows)
        return rows < MANY or math.prod(self.axes) >= SHORT * rows

    def takes_each(self, node: Node) -> bool:
        """Whether a node may be computed for every entry. Not where it is slow, and short rows of a
        product of matrices fill no vectors: a kernel of its own goes over all of them as over one.
        """
        if self.kind != "product" or node.op.name not in SLOW or not self.axes:
            return True
        row = self.axes[-1] * node.spec.dtype.itemsize
        return self.members[0].op.name in CONVOLUTIONS or row % LINE == 0 or row > RAGGED

    def takes_beside(self, node: Node, reduced: frozenset[int]) -> bool:
        """Whether a total over all rows (one number per entry of a row) can be added up while the
        rows are computed: the gradients of a scale and a shift.
        """
        return (
            len(self.axes) - 1 in self.reduced
            and bool(reduced)
            and reduced == frozenset(range(len(self.axes))) - self.reduced
            and node.op.reduces == "add"
            and node.spec.dtype.kind == "f"
            and node.spec.size <= WIDE
            and math.prod(self.axes) >= LONG
        )
