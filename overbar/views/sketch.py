"""A sketch of many numbers in constant memory: how large they are, by powers of the root of two.

One counter per half octave from 2⁻⁴⁸ to 2⁴⁸, for either sign: quantiles are right to a factor of
1.2, whatever came.
"""

from __future__ import annotations

import math

import numpy as np

from .answer import norm

LOW, HIGH = -96, 96
"""Half octaves; what is smaller than the first counts as zero, what is larger as the last."""
SIZE = HIGH - LOW
MOST = 2048
"""So many entries of an array are looked at, evenly spaced."""


class Sketch:
    """Counts by size, in `counts` from the largest negative numbers over zero to the largest
    positive ones; `bad` counts NaN and infinities.
    """

    __slots__ = ("bad", "counts")

    def __init__(self) -> None:
        self.counts = np.zeros(2 * SIZE + 1, np.int64)
        self.bad = 0

    def add(self, values: np.ndarray) -> None:
        """Count the entries of an array, or an even choice of them."""
        flat = np.asarray(values).reshape(-1)
        flat = flat[:: -(-flat.size // MOST) or 1]
        finite = np.isfinite(flat)
        if not finite.all():
            self.bad += int(flat.size - np.count_nonzero(finite))
            flat = flat[finite]
        mantissa, exponent = np.frexp(flat)
        place = 2 * exponent.astype(np.int64) - 2 - LOW + 1
        place += np.abs(mantissa) >= HALFWAY
        place = np.minimum(np.maximum(place, 0), SIZE)
        place[flat == 0] = 0
        self.counts += np.bincount(SIZE + np.where(flat < 0, -place, place), minlength=2 * SIZE + 1)

    @property
    def zeros(self) -> int:
        """How many entries were zero, or next to it."""
        return int(self.counts[SIZE])

    @property
    def count(self) -> int:
        """How many entries were counted."""
        return int(self.counts.sum()) + self.bad

    def quantile(self, q: float) -> float:
        """The entry below which a part q of them lies, to a factor of 1.2; NaN of none."""
        total = int(self.counts.sum())
        if not total:
            return float("nan")
        i = int(np.searchsorted(np.cumsum(self.counts), q * total, side="left"))
        step = min(i, 2 * SIZE) - SIZE
        middle = 2.0 ** ((abs(step) - 0.5 + LOW) / 2)
        return 0.0 if step == 0 else math.copysign(middle, step)

    def bars(self, width: int = 24) -> str:
        """The sizes of all entries, both signs, as a line of blocks from small to large."""
        both = self.counts[SIZE + 1 :] + self.counts[SIZE - 1 :: -1]
        both = both[SIZE // 2 - 2 * width : SIZE // 2 + width]
        columns = both.reshape(width, -1).sum(axis=1)
        top = columns.max()
        marks = " ▁▂▃▄▅▆▇█"
        return "".join(marks[int(np.ceil(8 * c / top))] if top else " " for c in columns)


HALFWAY = math.sqrt(0.5)
"""Of a mantissa from 1/2 to 1: where the second half of the octave begins."""


def length(values: np.ndarray) -> float:
    """The Euclidean norm: the fast way, and the careful one where the squares leave the range."""
    total = float(np.square(values, dtype=np.float64).sum()) if values.dtype.kind == "f" else 0.0
    return math.sqrt(total) if 1e-280 < total < 1e280 else norm(values)
