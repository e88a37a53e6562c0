"""Sums of taps as products of tiles: a convolution, and its transpose in x.

Nothing is unfolded. A tile (see `microkernel`) has places of the result as its rows and channels
as its columns; it walks over the taps, and for each over the channels of the source, which lie
side by side. What is needed for that:

* the kernels, packed (`weights`): for every panel of columns, tap by tap, channel by channel;
* the source, channels last, inside a border of zeros (`bands`): copied into the workspace of the
  thread that needs it, a piece that stays in the second cache; the turning from channels-first
  happens on the way. Without a border and with channels last, the source itself is read.

The result is written where it belongs if its channels are last and fill their vectors; else a panel
at a time into the workspace, and from there to its place.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from .bands import Band, Plan, copy, plan
from .kernel import Kernel
from .machine import Machine
from .microkernel import SIZE, TYPE, call_tile, tile
from .moves import move, transpose
from .stages import Stages, finish, loops, offset, share, stage, whole_lines
from .taps import AXES, Correlation, Run
from .text import Function, Index, Module
from .tiling import height, heights, tallest
from .weights import order, pack_weights, packed_size

LINE = AXES - 1
"""The axis along which the rows of a tile lie (unless they run across images)."""

Sums = Callable[..., None]
"""Emits the sums of one tile, see `_sums`."""

SINGLE = 8
"""Places of a tile where no sum runs over channels: as many sums as hide each other's latency."""


def correlation(
    module: Module, machine: Machine, p: Correlation, name: str, *, epilogue: str | None = None
) -> Stages:
    """The kernels of a correlation that has a result: pack the kernels, compute."""
    how = plan(p, machine)
    scratch = whole_lines(p.groups * packed_size(p, how.panels) * SIZE[p.dtype])
    pack = pack_weights(module, machine, p, how.panels, f"{name}_pack")
    return Stages((pack, compute(module, machine, how, name, epilogue)), scratch)


def compute(
    module: Module,
    machine: Machine,
    how: Plan,
    name: str,
    epilogue: str | None,
    sums: Sums | None = None,
) -> Kernel:
    """The kernel that computes the result from packed kernels."""
    sums = sums or _sums
    p, cut = how.p, how.panels
    f = stage(module, name)
    ours = f.mod("%part", how.column_parts)
    bands = share(f, how.bands, how.band_parts, f.div("%part", how.column_parts))
    groups = share(f, p.groups, how.column_parts if p.groups > 1 else 1, ours)
    columns = share(f, cut.count, how.column_parts if p.groups == 1 else 1, ours)
    buffer = f.at("%workspace", how.copies, "i8")

    with f.loop(*bands) as b:
        image, rows = f.div(b, how.row_groups), f.mod(b, how.row_groups)
        band = Band(
            *share(f, p.batch, how.image_groups, image),
            *share(f, p.rows(how.axis), how.row_groups, rows),
        )
        with f.loop(*groups) as g:
            if not how.direct:
                copy(f, machine, how, band, g, "%workspace")
            first, last = columns
            before = 0
            for vectors, width, count in cut.each():
                wide, at = vectors * cut.lanes, before // cut.widest
                with f.loop(f.most(first, at), f.least(last, at + count)) as n:
                    panel = _Panel(g, f.mul(n, cut.widest), vectors, width, wide)
                    _panel(f, machine, how, band, panel, buffer, sums)
                before += width * count
        if epilogue is not None:
            low, high = (
                (f.mul(g, p.width) for g in groups)
                if p.groups > 1
                else (f.least(f.mul(n, cut.widest), p.width) for n in columns)
            )
            step, size = p.step[how.axis], math.prod(p.result[how.axis + 1 :])
            rows = (f.mul(band.q0, step), f.least(f.mul(band.q1, step), p.result[how.axis]))
            finish(
                f, epilogue, last=p.result_last, images=(band.n0, band.n1),
                places=math.prod(p.result), columns=(low, high),
                some=(f.mul(rows[0], size), f.mul(rows[1], size)) if how.row_groups > 1 else None,
            )  # fmt: skip
    f.give()
    return Kernel(name, how.parts, how.workspace)


class _Panel(NamedTuple):
    """Columns `column` to column + width of a group."""

    group: Index
    column: Index
    vectors: int
    width: int
    wide: int


def _panel(
    f: Function,
    machine: Machine,
    how: Plan,
    band: Band,
    panel: _Panel,
    buffer: str,
    sums: Sums,
) -> None:
    """Emit one panel of one band."""
    p, kind, axis = how.p, TYPE[how.p.dtype], how.axis
    column = len(order(p)) * how.terms  # numbers of packed kernels for a column
    before = f.mul(f.add(f.mul(panel.group, how.panels.padded), panel.column), column)
    packed = f.at("%scratch", before, kind)
    target = _target(f, how, band, panel, buffer)
    done = 0
    for runs in itertools.product(*p.runs):
        b = f.at(packed, done * how.terms * panel.wide, kind)
        _runs(f, machine, how, band, panel, runs, b, target, sums)
        done += math.prod(len(run.taps) for run in runs)
    if target.direct or how.by_line:
        return
    ends = (f.least(f.mul(q, p.step[axis]), p.result[axis]) for q in (band.q1, band.q0))
    count = f.mul(f.sub(*ends), math.prod(p.result[axis + 1 :]))
    with f.loop(0, f.sub(band.n1, band.n0)) as n:
        source = f.at(buffer, f.mul(n, target.strides[0]), kind)
        _put(f, machine, how, panel, source, f.add(band.n0, n), target.begin, count)


class _Target(NamedTuple):
    """Where the tiles of a panel write: in the result (`direct`) or in the buffer.

    strides   of images and axes
    begin     the band's first place in its image
    """

    direct: bool
    start: str
    strides: tuple[int, ...]
    begin: Index


def _target(f: Function, how: Plan, band: Band, panel: _Panel, buffer: str) -> _Target:
    p, kind = how.p, TYPE[how.p.dtype]
    channels, places = p.groups * p.width, math.prod(p.result)
    row = math.prod(p.result[how.axis + 1 :])
    begin = f.mul(f.mul(band.q0, p.step[how.axis]), row)
    direct = p.result_last and panel.width == panel.wide
    pixel = channels if direct else panel.wide
    strides = (p.result[1] * p.result[2] * pixel, p.result[2] * pixel, pixel)
    if not direct:
        return _Target(False, buffer, (how.places * pixel, *strides), begin)
    at = f.mul(f.add(f.mul(band.n0, places), begin), channels)
    at = f.add(at, f.add(f.mul(panel.group, p.width), panel.column))
    return _Target(True, f.at("%result", at, kind), (places * pixel, *strides), begin)


def _put(
    f: Function,
    machine: Machine,
    how: Plan,
    panel: _Panel,
    source: str,
    n: Index,
    place: Index,
    count: Index,
) -> None:
    """Emit the way of so many places of a panel, from `place` of image n on, to the result."""
    p, kind = how.p, TYPE[how.p.dtype]
    channels, places = p.groups * p.width, math.prod(p.result)
    column = f.add(f.mul(panel.group, p.width), panel.column)
    if p.result_last:
        at = f.add(f.mul(f.add(f.mul(n, places), place), channels), column)
        move(
            f, machine, p.dtype, to=f.at("%result", at, kind), to_row=channels, source=source,
            source_row=panel.wide, rows=count, columns=panel.width,
        )  # fmt: skip
    else:
        at = f.add(f.mul(f.add(f.mul(n, channels), column), places), place)
        transpose(
            f, machine, p.dtype, to=f.at("%result", at, kind), to_row=places, source=source,
            source_row=panel.wide, rows=count, columns=panel.width,
        )  # fmt: skip


def _runs(
    f: Function,
    machine: Machine,
    how: Plan,
    band: Band,
    panel: _Panel,
    runs: Sequence[Run],
    b: str,
    to: _Target,
    sums: Sums,
) -> None:
    """Emit the places of a panel that see the same taps: line by line, tile by tile."""
    p, kind, axis, sources = how.p, TYPE[how.p.dtype], how.axis, how.strides
    # Where the first tap of the band's first place reads.
    read: Index = 0
    if how.direct:
        read = f.add(f.mul(band.n0, sources[0]), f.mul(panel.group, p.depth))
        read = f.add(read, f.mul(f.mul(band.q0, p.stride[axis]), sources[axis + 1]))
    for a, run in enumerate(runs):
        first = 0 if how.direct else p.first(a)
        read = f.add(read, (run.base - first) * sources[a + 1] if run.taps else 0)
    source = f.at("%first" if how.direct else "%workspace", read, kind)
    strides, lined = to.strides, how.by_line and not to.direct
    target = to.start
    if not lined:
        starts = sum(run.start * s for run, s in zip(runs, strides[1:], strict=True))
        target = f.at(to.start, starts, kind)

    sizes: list[Index] = [f.sub(band.n1, band.n0)]
    for a, run in enumerate(runs):
        here = f.sub(f.least(band.q1, run.count), band.q0) if a == axis else run.count
        sizes.append(here)
    s_steps = [sources[0], *(run.stride * s for run, s in zip(runs, sources[1:], strict=True))]
    t_steps = [strides[0], *(run.step * s for run, s in zip(runs, strides[1:], strict=True))]

    line = 0 if how.across else AXES
    outer = [a for a in range(AXES + 1) if a != line]
    if how.across:
        shortest, longest = p.batch // how.image_groups, how.images
    elif axis == LINE:
        shortest = p.rows(axis) // how.row_groups - (p.step[axis] > 1)
        longest = how.rows
    else:
        shortest = longest = runs[LINE].count
    if not longest:
        return
    most = SINGLE if how.single else tallest(machine, panel.vectors)
    with loops(f, *(sizes[a] for a in outer)) as at:
        source = f.at(source, offset(f, at, [s_steps[a] for a in outer]), kind)
        if not lined:
            target = f.at(target, offset(f, at, [t_steps[a] for a in outer]), kind)
        for rows, start in _tiles(f, sizes[line], shortest, longest, most):
            with start as i:
                sums(
                    f, machine, how, runs, panel, rows,
                    a=f.at(source, f.mul(i, s_steps[line]), kind), a_row=s_steps[line],
                    b=b, c=f.at(target, f.mul(i, t_steps[line]), kind), c_row=t_steps[line],
                )  # fmt: skip
        if lined:
            steps = [p.result[1] * p.result[2], p.result[2]]
            place = to.begin
            for a, step in enumerate(steps):
                run = runs[a]
                place = f.add(place, f.mul(f.add(f.mul(at[a + 1], run.step), run.start), step))
            _put(f, machine, how, panel, target, f.add(band.n0, at[0]), place, sizes[line])


def _tiles(
    f: Function, length: Index, shortest: int, longest: int, most: int
) -> list[tuple[int, AbstractContextManager[Index]]]:
    """A line in tiles: (rows, loop over where they start)."""

    @contextmanager
    def starts(before: int, rows: int, times: int) -> Iterator[Index]:
        with f.loop(0, times) as t:
            yield f.add(f.mul(t, rows), before)

    @contextmanager
    def overlapping(rows: int) -> Iterator[Index]:
        with f.loop(0, length, rows) as i:
            yield f.least(i, f.sub(length, rows))

    if not isinstance(length, int):
        rows = height(shortest, longest, most)
        return [(rows, overlapping(rows))]
    found: list[tuple[int, AbstractContextManager[Index]]] = []
    before = 0
    for rows, times in heights(length, most):
        found.append((rows, starts(before, rows, times)))
        before += rows * times
    return found


def levels(terms: int, runs: Sequence[Run], strides: Sequence[int]) -> list[tuple[int, int]]:
    """The numbers of one sum as loops, (count, how far apart), outermost first; numbers that lie
    side by side are one loop.
    """
    if not all(run.taps for run in runs):
        return [(0, 1)]
    found = [(terms, 1)]
    for run, stride in zip(reversed(runs), reversed(strides[1:]), strict=True):
        count, apart = len(run.taps), run.dilation * stride
        if found[0][1] * found[0][0] == apart or count == 1:
            found[0] = (found[0][0] * count, found[0][1])
        else:
            found.insert(0, (count, apart))
    return found


def _sums(
    f: Function,
    machine: Machine,
    how: Plan,
    runs: Sequence[Run],
    panel: _Panel,
    rows: int,
    *,
    a: str,
    a_row: int,
    b: str,
    c: str,
    c_row: int,
) -> None:
    """Emit one tile: over all taps, in as few calls as there are steps that are not regular."""
    p, kind = how.p, TYPE[how.p.dtype]
    name = tile(f.module, machine, p.dtype, rows, panel.vectors)
    (*outer, (segments, apart), (k, _)) = [(1, 0), *levels(p.depth, runs, how.strides)]
    each = segments * k * panel.wide
    inner = [each * math.prod(n for n, _ in outer[i + 1 :]) for i in range(len(outer))]
    with loops(f, *(n for n, _ in outer)) as at:
        later: str | bool = False
        for t in at:
            if not isinstance(t, int):
                some = f.let(f"icmp ne i64 {t}, 0")
                later = some if later is False else f.let(f"or i1 {later}, {some}")
        call_tile(
            f, name,
            a=f.at(a, offset(f, at, [s for _, s in outer]), kind), a_row=a_row, a_step=1,
            a_segment=apart, segments=segments, k=k,
            b=f.at(b, offset(f, at, inner), kind), b_step=panel.wide, b_segment=k * panel.wide,
            c=c, c_row=c_row, accumulate=later,
        )  # fmt: skip
