"""Where a convolution reads: along each axis, the taps that a place of the result sees.

Two faces of a convolution have one form: every place of the result is a sum of taps,

    r[n, j, start + step q] = Σ_t Σ_c  s[n, c, base + stride q + dilation t]  w[j, c, taps[t]]

with s = 0 outside. For y = conv(x, w) one `Run` along each axis says it all. For x̄, the transpose,
the places of x fall into as many runs as the stride counts: those of one run see the same entries
of the kernel, and none of the zeros that a stride leaves is ever multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

AXES = 3
"""Space axes inside the generators: fewer are filled up with axes of size 1 in front."""

Three = tuple[int, int, int]


class Run(NamedTuple):
    """Places of one axis that see the same taps, and what they see (the formula is above)."""

    start: int
    step: int
    count: int
    base: int
    stride: int
    dilation: int
    taps: tuple[int, ...]

    @property
    def reach(self) -> int:
        """From the first tap to the last."""
        return self.dilation * (len(self.taps) - 1)


def forward(kernel: int, count: int, stride: int, before: int, dilation: int) -> tuple[Run, ...]:
    """The run of a convolution along one axis; `before`: its padding there."""
    return (Run(0, 1, count, -before, stride, dilation, tuple(range(kernel))),)


def backward(kernel: int, space: int, stride: int, before: int, dilation: int) -> tuple[Run, ...]:
    """The runs of its transpose: i is reached by the taps k for which stride divides
    i + before − dilation k.
    """
    runs = []
    for start in range(min(stride, space)):
        count = -(-(space - start) // stride)
        seen = [k for k in range(kernel) if (start + before - dilation * k) % stride == 0]
        seen.reverse()  # the last entry of the kernel sees the first place
        places = [(start + before - dilation * k) // stride for k in seen]
        apart = places[1] - places[0] if len(places) > 1 else 1
        runs.append(Run(start, stride, count, places[0] if places else 0, 1, apart, tuple(seen)))
    return tuple(runs)


@dataclass(frozen=True)
class Correlation:
    """All that the generator of `correlation` must know: the formula above over three axes.

    depth, width     channels of the source and of the result in one group
    runs             for each axis
    joined           how many of the kernels' own groups one group here is
    w_…              how far apart the kernels' entries lie: from (own) group to group, column (j)
                     to column, row (c) to row, and, taps counted row by row, tap to tap
    """

    dtype: str
    batch: int
    groups: int
    depth: int
    width: int
    source: Three
    result: Three
    kernel: Three
    runs: tuple[tuple[Run, ...], tuple[Run, ...], tuple[Run, ...]]
    source_last: bool
    result_last: bool
    w_group: int
    w_column: int
    w_row: int
    w_tap: int
    joined: int = 1

    @property
    def stride(self) -> Three:
        """The same for all runs of an axis."""
        return tuple(runs[0].stride for runs in self.runs)  # type: ignore[return-value]

    @property
    def step(self) -> Three:
        """The same for all runs of an axis."""
        return tuple(runs[0].step for runs in self.runs)  # type: ignore[return-value]

    def first(self, axis: int) -> int:
        """Where the first tap of all reads, at q = 0."""
        return min((r.base for r in self.runs[axis] if r.taps), default=0)

    def span(self, axis: int) -> int:
        """How many entries of the source all taps together see from one q."""
        ends = [r.base + r.reach for r in self.runs[axis] if r.taps]
        return max(ends) - self.first(axis) + 1 if ends else 0

    def rows(self, axis: int) -> int:
        """How many q there are."""
        return max(r.count for r in self.runs[axis])

    @property
    def inside(self) -> bool:
        """Whether every tap of every place reads the source itself, never the border."""
        return all(
            r.base >= 0 and r.base + (r.count - 1) * r.stride + r.reach < size
            for runs, size in zip(self.runs, self.source, strict=True)
            for r in runs
            if r.taps
        )
