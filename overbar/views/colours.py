"""A sparse matrix and its colours as a picture: what has one colour comes from one sweep."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..calculus.colouring import Colouring, column_colours
from ..calculus.compressed import Plan
from ..calculus.pattern import Pattern
from .answer import Table, number, plain, shape_text
from .spy import LARGEST, PAPER, Spy

INKS = [
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0),
    (170, 150, 20), (90, 90, 90),
]  # fmt: skip
"""Colours that those who see few can tell apart (Okabe and Ito); then they begin again."""


def coloured(subject: Any) -> Coloured | None:
    """The picture of a pattern, of a plan, or of what has one; None if it is none of these."""
    plan = getattr(subject, "plan", subject)
    if isinstance(plan, Pattern):
        return Coloured(plan, column_colours(plan), "columns")
    if isinstance(plan, Plan):
        kind = "rows" if plan.mode == "reverse" else "columns"
        return Coloured(plan.pattern, plan.colouring, kind)
    return None


class Coloured(Spy):
    """The picture: `.png()`, `.svg()`, `.save(path)`; `.colours` of its columns, or of its rows.

    Of a matrix with more than 512 rows or columns a pixel is a bin, in the colour of one of its
    entries.
    """

    def __init__(self, found: Pattern, colouring: Colouring, kind: str) -> None:
        self.found, self.colours, self.count, self.kind = found, colouring.of, colouring.count, kind
        image = self._image(LARGEST)
        super().__init__(image, [(kind, 0, image.shape[1])], "")

    def _image(self, largest: int) -> np.ndarray:
        """The colour of each pixel, counted from 1; 0 is paper."""
        m, n = self.found.shape
        image = np.zeros((min(m, largest), min(n, largest)), np.int64)
        rows, columns = self.found.rows, self.found.columns
        own = self.colours[rows if self.kind == "rows" else columns]
        image[rows * image.shape[0] // max(1, m), columns * image.shape[1] // max(1, n)] = own + 1
        return image

    @property
    def density(self) -> float:
        """The share of the entries that can be other than zero."""
        return self.found.density

    def pixels(self) -> np.ndarray:
        """The colours of the picture, (height, width, 3)."""
        inks = np.array([INKS[i % len(INKS)] for i in range(max(1, self.count))])
        there = (self.matrix > 0)[..., None]
        return np.where(there, inks[self.matrix - 1], np.array(PAPER)).astype(np.uint8)

    def _said(self) -> str:
        colours = f"{self.count} colour" + ("" if self.count == 1 else "s")
        share = number(100 * self.density).removesuffix(".0")
        return (
            f"{shape_text(self.found.shape)}, {self.found.nnz:,} entries ({share} %), "
            f"{colours} of the {self.kind}"
        )

    def text(self, *, ascii: bool = False) -> str:
        """The colours as letters, one for each entry, or for a bin of a large matrix."""
        letters = ("." if ascii else "·") + "abcdefghijklmnopqrstuvwxyz"
        lines = [
            "".join(letters[(c - 1) % 26 + 1 if c else 0] for c in row) for row in self._image(72)
        ]
        return plain("\n".join([self._said(), *lines]), ascii)

    def tables(self) -> list[Table]:
        """How many rows or columns have each colour."""
        counts = np.bincount(self.colours, minlength=self.count)
        rows = [[str(i), f"{c:,}"] for i, c in enumerate(counts)]
        return [(self._said(), ["colour", self.kind], rows)]
