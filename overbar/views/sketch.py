"""A sketch of many numbers in constant memory: how large they are, by powers of the root of two.

One counter per half octave from 2⁻⁴⁸ to 2⁴⁸, for either sign: quantiles are right to a factor of
1.2, whatever came.
"""

from __future__ import annotations

import numpy as np

LOW, HIGH = -96, 96
"""Half octaves; what is smaller than the first counts as zero, what is larger as the last."""
SIZE = HIGH - LOW
MOST = 4096
"""So many entries of an array are looked at, evenly spaced."""


class Sketch:
    """Counts by size: `negative` and `positive` per half octave, `zeros`, `bad` (NaN, infinite)."""

    __slots__ = ("bad", "count", "negative", "positive", "zeros")

    def __init__(self) -> None:
        self.negative, self.positive = np.zeros(SIZE, np.int64), np.zeros(SIZE, np.int64)
        self.zeros = self.bad = self.count = 0

    def add(self, values: np.ndarray) -> None:
        """Count the entries of an array, or an even choice of them."""
        flat = np.asarray(values).reshape(-1)
        flat = flat[:: max(1, flat.size // MOST)].astype(np.float64)
        finite = flat[np.isfinite(flat)]
        with np.errstate(divide="ignore"):
            at = np.floor(2 * np.log2(np.abs(finite)))
        small = at < LOW
        place = np.clip(at, LOW, HIGH - 1).astype(np.int64, copy=False) if at.size else at
        self.bad += flat.size - finite.size
        self.zeros += int(small.sum())
        self.count += flat.size
        for counts, sign in ((self.positive, finite > 0), (self.negative, finite < 0)):
            chosen = place[sign & ~small].astype(np.int64) - LOW
            counts += np.bincount(chosen, minlength=SIZE)

    def quantile(self, q: float) -> float:
        """The entry below which a part q of them lies, to within a factor of 1.2; NaN of none."""
        counts = np.concatenate([self.negative[::-1], [self.zeros], self.positive])
        total = int(counts.sum())
        if not total:
            return float("nan")
        i = int(np.searchsorted(np.cumsum(counts), q * total, side="left"))
        i = min(i, len(counts) - 1)
        if i == SIZE:
            return 0.0
        step = SIZE - 1 - i if i < SIZE else i - SIZE - 1
        middle = 2.0 ** ((step + LOW + 0.5) / 2)
        return -middle if i < SIZE else middle

    def bars(self, width: int = 24) -> str:
        """The sizes of all entries, both signs, as a line of blocks from small to large."""
        both = (self.negative + self.positive)[SIZE // 2 - 2 * width : SIZE // 2 + width]
        columns = both.reshape(width, -1).sum(axis=1)
        top = columns.max()
        marks = " ▁▂▃▄▅▆▇█"
        return "".join(marks[int(np.ceil(8 * c / top))] if top else " " for c in columns)
