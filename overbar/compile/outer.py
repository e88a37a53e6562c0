"""Sums of outer products of channels, in blocks: what `crossing` adds up, and where it belongs.

    [row][column] += Σ_t  x[…, the row's channel and tap]  y[…, the column's channel]

A block has some channels of x and all taps as its rows and a panel of y's channels as its columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .bands import Band, Plan
from .machine import Machine
from .microkernel import SIZE, TYPE, call_tile, tile
from .moves import clear, move, transpose
from .stages import loops, offset, whole_lines
from .taps import AXES, Correlation
from .text import Function, Index
from .tiling import Panels, heights, panels, tallest

FEW = 8
"""With fewer channels of x than this, those of neighbouring taps are rows of the same tile."""

BLOCK = 256 << 10
"""Bytes of a block, at most: a quarter of the second cache."""


@dataclass(frozen=True)
class Blocks:
    """How the kernels' sums lie while they are added up: [row][column of the panel].

    cut         the columns
    chunk       channels of x in one block
    chunks      how many blocks a panel has
    by_tap      rows are (tap, channel), else (channel, tap), as kernels with channels first are
    along       how many taps of the last axis are rows of one tile
    """

    cut: Panels
    chunk: int
    chunks: int
    by_tap: bool
    along: int


def blocked(machine: Machine, how: Plan, w_last: bool, wanted: int) -> Blocks:
    """Blocks that fit into the cache, at least so many."""
    p = how.p
    taps, lanes = math.prod(p.kernel), machine.lanes(p.dtype)
    run = p.runs[-1][0]
    side = p.depth < FEW and run.dilation * how.strides[-1] == p.depth
    along = len(run.taps) if side else 1
    cut = panels(machine, p.width, lanes, along * p.depth)
    least = -(-taps * p.depth * cut.widest * SIZE[p.dtype] // BLOCK)
    least = max(least, -(-wanted // (p.groups * cut.count))) if wanted > 1 else least
    divisors = [n for n in range(1, p.depth + 1) if p.depth % n == 0 and p.depth // n >= FEW]
    chunks = 1 if along > 1 or p.joined > 1 else next((n for n in divisors if n >= least), 1)
    return Blocks(cut, p.depth // chunks, chunks, w_last or along > 1, along)


# -- adding up --------------------------------------------------------------------------------


def pack(
    f: Function,
    machine: Machine,
    how: Plan,
    band: Band,
    column: Index,
    width: int,
    wide: int,
    to: str,
) -> None:
    """Emit the packing of y: [image, place][column]."""
    p, kind = how.p, TYPE[how.p.dtype]
    places, channels = math.prod(p.result), p.groups * p.width
    row = math.prod(p.result[how.axis + 1 :])
    begin, count = f.mul(band.q0, row), f.mul(f.sub(band.q1, band.q0), row)
    with f.loop(0, f.sub(band.n1, band.n0)) as i:
        n, d = f.add(band.n0, i), f.at(to, f.mul(i, how.places * wide), kind)
        if width < wide:  # what is there might be denormal, and slow
            clear(f, p.dtype, d, f.mul(count, wide))
        if p.result_last:
            start = f.add(f.mul(f.add(f.mul(n, places), begin), channels), column)
            move(
                f, machine, p.dtype, to=d, to_row=wide, source=f.at("%second", start, kind),
                source_row=channels, rows=count, columns=width,
            )  # fmt: skip
        else:
            start = f.add(f.mul(f.add(f.mul(n, channels), column), places), begin)
            transpose(
                f, machine, p.dtype, to=d, to_row=wide, source=f.at("%second", start, kind),
                source_row=places, rows=width, columns=count,
            )  # fmt: skip


def add(
    f: Function,
    machine: Machine,
    how: Plan,
    blocks: Blocks,
    vectors: int,
    *,
    images: Index,
    rows: Index,
    strides: tuple[int, ...],
    x: str,
    y: str,
    to: str,
    later: str,
) -> None:
    """Emit the tiles of a panel over one band; `later` (an i1): add to what is there."""
    p, kind = how.p, TYPE[how.p.dtype]
    wide, taps = vectors * blocks.cut.lanes, math.prod(p.kernel)
    line = math.prod(p.result[1:]) * wide, p.result[2] * wide, wide
    levels = [(images, how.images, strides[0], how.places * wide)]
    for a in range(AXES):
        most = how.rows if a == how.axis else p.result[a]
        count = rows if a == how.axis else p.result[a]
        levels.append((count, most, p.stride[a] * strides[a + 1], line[a]))
    along = levels[-1]
    *outer, segments, inner = sorted(levels, key=lambda n: (n is along and n[1] >= FEW, n[1]))

    *taps_outer, last = [
        (len(runs[0].taps), runs[0].dilation * stride)
        for runs, stride in zip(p.runs, strides[1:], strict=True)
    ]
    count = last[0] // blocks.along
    height, most = blocks.chunk * blocks.along, tallest(machine, vectors)
    with loops(f, *(n for n, _ in taps_outer), count) as at:
        tap = offset(f, at, [p.kernel[1] * count, count, 1])
        here = f.at(x, offset(f, at, [*(s for _, s in taps_outer), last[1]]), kind)
        before = 0
        for tall, times in heights(height, most):
            name = tile(f.module, machine, p.dtype, tall, vectors)
            with f.loop(0, times) as t, loops(f, *(level[0] for level in outer)) as k:
                c = f.add(f.mul(t, tall), before)
                if blocks.by_tap:
                    row, c_row = f.add(f.mul(tap, height), c), wide
                else:
                    row, c_row = f.add(f.mul(c, taps), tap), taps * wide
                accumulate = later
                for i in k:
                    if not isinstance(i, int):
                        some = f.let(f"icmp ne i64 {i}, 0")
                        accumulate = f.let(f"or i1 {accumulate}, {some}")
                a = f.add(c, offset(f, k, [level[2] for level in outer]))
                call_tile(
                    f, name,
                    a=f.at(here, a, kind), a_row=1, a_step=inner[2],
                    a_segment=segments[2], segments=segments[0], k=inner[0],
                    b=f.at(y, offset(f, k, [level[3] for level in outer]), kind),
                    b_step=inner[3], b_segment=segments[3],
                    c=f.at(to, f.mul(row, wide), kind), c_row=c_row, accumulate=accumulate,
                )  # fmt: skip
            before += tall * times


# -- in its place -----------------------------------------------------------------------------


def place(
    f: Function,
    machine: Machine,
    p: Correlation,
    blocks: Blocks,
    w_last: bool,
    *,
    sums: str,
    copies: int,
    apart: int,
    group: Index,
    column: Index,
    width: int,
    wide: int,
    first: Index,
    low: Index,
    high: Index,
    workspace: str,
) -> None:
    """Emit w for the channels low to high: the total of `copies` blocks, where it belongs.

    first: the channel of x with which a block begins
    """
    kind, taps = TYPE[p.dtype], math.prod(p.kernel)
    channels, span = p.groups * p.width, blocks.chunk
    depth, own = p.depth // p.joined, p.width // p.joined
    if p.joined > 1:  # only the blocks along the diagonal
        row = depth if blocks.by_tap else depth * taps
        one = replace(p, groups=p.groups * p.joined, depth=depth, width=own, joined=1)
        with f.loop(0, p.joined) as s:
            place(
                f, machine, one, blocks, w_last,
                sums=f.at(sums, f.mul(s, row * wide + own), kind), copies=copies, apart=apart,
                group=f.add(f.mul(group, p.joined), s), column=0, width=own, wide=wide,
                first=0, low=0, high=depth, workspace=workspace,
            )  # fmt: skip
        return

    def rows(tap: Index, c: Index) -> str:
        c = f.sub(c, first)
        row = f.add(f.mul(tap, span), c) if blocks.by_tap else f.add(f.mul(c, taps), tap)
        return f.at(sums, f.mul(row, wide), kind)

    if w_last:
        to = f.at("%result", f.add(f.mul(group, p.width), column), kind)
        with f.loop(0, taps) as t:
            at = f.mul(f.add(f.mul(t, p.depth), low), channels)
            move(
                f, machine, p.dtype, to=f.at(to, at, kind), to_row=channels,
                source=rows(t, low), source_row=wide, rows=f.sub(high, low), columns=width,
                copies=copies, apart=apart,
            )  # fmt: skip
        return
    together, entries = _together(p), p.depth * taps
    to = f.at("%result", f.mul(f.add(f.mul(group, p.width), column), entries), kind)
    with f.loop(low, high, together) as c0:
        some = f.least(together, f.sub(high, c0))
        source = workspace
        if blocks.by_tap:
            with f.loop(0, taps) as t:
                move(
                    f, machine, p.dtype, to=f.at(workspace, f.mul(t, wide), kind),
                    to_row=taps * wide, source=rows(t, c0), source_row=wide,
                    rows=some, columns=width, copies=copies, apart=apart,
                )  # fmt: skip
        elif copies > 1:
            move(
                f, machine, p.dtype, to=workspace, to_row=wide, source=rows(0, c0),
                source_row=wide, rows=f.mul(some, taps), columns=width, copies=copies, apart=apart,
            )  # fmt: skip
        else:
            source = rows(0, c0)
        transpose(
            f, machine, p.dtype, to=f.at(to, f.mul(c0, taps), kind), to_row=entries,
            source=source, source_row=wide, rows=f.mul(some, taps), columns=width,
        )  # fmt: skip


def _together(p: Correlation) -> int:
    """Channels whose kernels are put in order at a time."""
    return min(p.depth, max(1, 512 // math.prod(p.kernel)))


def turning(p: Correlation, blocks: Blocks) -> int:
    """Bytes for that."""
    return whole_lines(_together(p) * math.prod(p.kernel) * blocks.cut.widest * SIZE[p.dtype])


def finish_kernels(
    f: Function,
    p: Correlation,
    epilogue: str,
    w_last: bool,
    columns: tuple[Index, Index],
    low: Index,
    high: Index,
) -> None:
    """Emit the epilogue on these columns (numbers of y's channels), x's channels low to high."""
    taps, depth = math.prod(p.kernel), p.depth // p.joined
    low, high = f.least(low, depth), f.least(high, depth)
    first = [("ptr", "%X"), ("ptr", "%result"), ("i64", 0)]
    if w_last:
        with f.loop(0, taps) as t:
            rows = [("i64", f.add(f.mul(t, depth), c)) for c in (low, high)]
            f.call(epilogue, "void", *first, *rows, *(("i64", c) for c in columns))
        return
    ends = [("i64", f.mul(c, taps)) for c in (low, high)]
    f.call(epilogue, "void", *first, *(("i64", c) for c in columns), *ends)
