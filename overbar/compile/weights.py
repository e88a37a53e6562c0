"""The kernels of a convolution, packed for the tiles.

    packed[g, panel][i, c][j] = w[g, column j of the panel, row c, tap order[i]]

with zeros behind the last column. `order` lists the taps as the runs of a `Correlation` see them.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence

from .kernel import Kernel
from .machine import Machine
from .microkernel import SIZE, TYPE
from .moves import clear, move, transpose
from .stages import share, stage, whole_lines
from .taps import Correlation
from .text import Function, Index, Module
from .tiling import Panels

AT_LEAST = 40_000
"""So many numbers are worth being shared among threads."""

AT_ONCE = 1 << 13
"""How many numbers are turned before they are put in order."""


def order(p: Correlation) -> tuple[int, ...]:
    """The taps, counted row by row, in the order in which the runs see them."""
    _, high, wide = p.kernel
    return tuple(
        (k * high + i) * wide + j
        for runs in itertools.product(*p.runs)
        for k, i, j in itertools.product(*(run.taps for run in runs))
    )


def packed_size(p: Correlation, panels: Panels) -> int:
    """How many numbers the packed kernels of one group are."""
    return len(order(p)) * p.depth * panels.padded


def table(module: Module, numbers: Sequence[int]) -> str:
    """The name of a constant array of whole numbers."""
    text = ", ".join(f"i64 {n}" for n in numbers)
    name = f"table_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    module.declare(f"@{name} = internal constant [{len(numbers)} x i64] [{text}]")
    return name


def pack_weights(
    module: Module, machine: Machine, p: Correlation, panels: Panels, name: str
) -> Kernel:
    """The kernel that packs the second argument into the scratch memory."""
    kind, taps = TYPE[p.dtype], order(p)
    every = p.groups * p.width * p.depth * len(taps)
    units = p.groups if p.groups > 1 else p.depth
    parts = 1 if every < AT_LEAST else min(8, units)

    f = stage(module, name)
    low, high = share(f, units, parts, "%part")
    groups, rows = ((low, high), (0, p.depth)) if p.groups > 1 else ((0, 1), (low, high))
    chunk = _chunk(p, panels)
    workspace = chunk * math.prod(p.kernel) * panels.widest * SIZE[p.dtype]
    # Some rows of all panels, then the next rows: what one panel reads lies beside the next's.
    with f.loop(*groups) as g, f.loop(*rows, chunk or p.depth) as c:
        some = (c, f.least(f.add(c, chunk), rows[1])) if chunk else rows
        done = 0
        for vectors, columns, count in panels.each():
            wide = vectors * panels.lanes
            with f.loop(0, count) as n:
                start = f.add(f.mul(n, wide), done)
                source = f.at("%second", f.add(f.mul(g, p.w_group), f.mul(start, p.w_column)), kind)
                before = f.add(f.mul(g, packed_size(p, panels)), f.mul(start, len(taps) * p.depth))
                to = f.at("%scratch", before, kind)
                _panel(f, machine, p, taps, source, to, some, columns, wide, chunk)
            done += columns * count
    f.give()
    return Kernel(name, parts, whole_lines(workspace))


def _chunk(p: Correlation, panels: Panels) -> int:
    """How many rows are turned at a time before they are put in order; 0 if that is not needed."""
    count = math.prod(p.kernel)
    if count == 1 or p.w_tap != 1:
        return 0
    return max(1, AT_ONCE // (count * panels.widest))


def _panel(
    f: Function,
    machine: Machine,
    p: Correlation,
    taps: Sequence[int],
    source: str,
    to: str,
    rows: tuple[Index, Index],
    columns: int,
    wide: int,
    chunk: int,
) -> None:
    """One panel: how, depends on what is contiguous in the kernels."""
    kind, every, (low, high) = TYPE[p.dtype], math.prod(p.kernel), rows
    natural = tuple(taps) == tuple(range(len(taps)))
    listed = "" if natural else table(f.module, taps)

    def tap(i: Index) -> Index:
        return i if natural else f.load(f.at(f"@{listed}", i, "i64"), "i64")

    def target(i: Index, c: Index) -> str:
        return f.at(to, f.mul(f.add(f.mul(i, p.depth), c), wide), kind)

    if columns < wide:  # all at once, before the rest is written
        with f.loop(0, len(taps)) as i:
            clear(f, p.dtype, target(i, low), f.mul(f.sub(high, low), wide))

    if p.w_column == 1:
        with f.loop(0, len(taps)) as i:
            at = f.add(f.mul(tap(i), p.w_tap), f.mul(low, p.w_row))
            move(
                f, machine, p.dtype, to=target(i, low), to_row=wide,
                source=f.at(source, at, kind), source_row=p.w_row,
                rows=f.sub(high, low), columns=columns,
            )  # fmt: skip
        return
    if not chunk:  # the rows are contiguous
        with f.loop(0, len(taps)) as i:
            at = f.add(f.mul(tap(i), p.w_tap), f.mul(low, p.w_row))
            transpose(
                f, machine, p.dtype, to=target(i, low), to_row=wide,
                source=f.at(source, at, kind), source_row=p.w_column,
                rows=columns, columns=f.sub(high, low),
            )  # fmt: skip
        return

    # The taps are contiguous: turned into [row, tap][column], then put in order.
    some, joined = f.sub(high, low), p.w_row == every  # one row's taps lie behind the other's
    with f.loop(0, 1 if joined else some) as c:
        transpose(
            f, machine, p.dtype, to=f.at("%workspace", f.mul(c, every * wide), kind),
            to_row=wide, source=f.at(source, f.mul(f.add(low, c), p.w_row), kind),
            source_row=p.w_column, rows=columns,
            columns=f.mul(some, every) if joined else every,
        )  # fmt: skip
    with f.loop(0, len(taps)) as i:
        move(
            f, machine, p.dtype, to=target(i, low), to_row=wide,
            source=f.at("%workspace", f.mul(tap(i), wide), kind), source_row=every * wide,
            rows=some, columns=columns,
        )  # fmt: skip
