"""How x and y go together at each tap: the gradient of a convolution's kernels.

    w[o, c, k] = Σ_n Σ_t  y[n, o, t]  x[n, c, s t + d k − p]

A tile has channels of x as its rows (side by side where channels are last), channels of y as its
columns (packed, a panel at a time), and walks over the places t; those of a row of the image are
one segment. Two ways to share the work:

* few kernels, many places (`_by_bands`): each part takes some bands, as in `correlation`, and adds
  up kernels of its own; another stage adds those, always in the same order;
* many kernels, few places (`_by_panels`): each part owns a panel of kernels, or some channels of
  one, and walks over all places; x has been put inside its border by a stage before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .bands import Band, Plan, copy, plan, spaced
from .kernel import Kernel
from .machine import Machine
from .microkernel import SIZE, TYPE, call_tile, tile
from .moves import clear, move, transpose
from .stages import Stages, loops, offset, share, stage, whole_lines
from .taps import AXES, Correlation
from .text import Function, Index, Module
from .tiling import Panels, heights, panels, tallest

TOGETHER = 1024
"""Places whose y is packed at a time: their x and this much of a panel stay in the second cache."""

FEW = 8
"""With fewer channels than this, those of neighbouring taps are rows of the same tile."""

PARTIAL = 8
"""How many sums of their own the parts of `_by_bands` may hold; more cost more memory."""

BLOCK = 256 << 10
"""Bytes of kernels that a part of `_by_panels` adds to at a time: a quarter of the second cache."""


@dataclass(frozen=True)
class _Blocks:
    """How the kernels' sums lie while they are added up: [row][column of the panel].

    chunk       channels of x in one block
    by_tap      rows are (tap, channel), else (channel, tap), as kernels with channels first are
    along       how many taps of the last axis are rows of one tile
    """

    cut: Panels
    chunk: int
    chunks: int
    by_tap: bool
    along: int


def crossing(
    module: Module,
    machine: Machine,
    p: Correlation,
    name: str,
    *,
    w_last: bool,
    epilogue: str | None = None,
) -> Stages:
    """The kernels' sums for a convolution p that has some."""
    how = _spaced(plan(p, machine))
    bordered = p.batch * math.prod(_all(how).extent) * p.depth * p.groups
    entries = p.groups * p.width * p.depth * math.prod(p.kernel)
    if entries * PARTIAL <= bordered:
        return _by_bands(module, machine, how, name, w_last, epilogue)
    return _by_panels(module, machine, how, name, w_last, epilogue)


def _spaced(how: Plan) -> Plan:
    """The same with places of x apart so that a tile's walk over them uses all of the first cache.

    A walk whose steps are a multiple of 1024 bytes sees 48 of its lines; 9 % of the time was lost.
    """
    p, size = how.p, SIZE[how.p.dtype]
    pixel = spaced(p.depth, p.dtype, 64) if p.depth >= FEW else p.depth
    step = p.groups * p.depth * p.stride[-1] * size
    return replace(how, pixel=pixel, direct=how.direct and step % 1024 != 0)


def _recut(how: Plan, images: int, row_groups: int) -> Plan:
    """Bands of so many images and row groups, or of fewer places: `TOGETHER` of them."""
    p = how.p
    rows, places = p.rows(how.axis), math.prod(p.result)
    row_groups = min(rows, max(row_groups, -(-places // TOGETHER)))
    image_groups = -(-p.batch // min(images, max(1, TOGETHER // places)))
    return replace(
        how, across=False, images=-(-p.batch // image_groups), rows=-(-rows // row_groups),
        image_groups=image_groups, row_groups=row_groups,
    )  # fmt: skip


def _all(how: Plan) -> Plan:
    """The same with everything in one band."""
    p = how.p
    return replace(
        how, images=p.batch, rows=p.rows(how.axis), image_groups=1, row_groups=1, across=False
    )


def _blocks(machine: Machine, how: Plan, w_last: bool, wanted: int) -> _Blocks:
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
    return _Blocks(cut, p.depth // chunks, chunks, w_last or along > 1, along)


# -- adding up --------------------------------------------------------------------------------


def _pack(
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


def _add(
    f: Function,
    machine: Machine,
    how: Plan,
    blocks: _Blocks,
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


def _place(
    f: Function,
    machine: Machine,
    p: Correlation,
    blocks: _Blocks,
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
            _place(
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


def _turning(p: Correlation, blocks: _Blocks) -> int:
    """Bytes for that."""
    return whole_lines(_together(p) * math.prod(p.kernel) * blocks.cut.widest * SIZE[p.dtype])


def _finish(
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


# -- few kernels ------------------------------------------------------------------------------


def _by_bands(
    module: Module,
    machine: Machine,
    how: Plan,
    name: str,
    w_last: bool,
    epilogue: str | None,
) -> Stages:
    p, kind = how.p, TYPE[how.p.dtype]
    how = _recut(how, how.images, how.row_groups)
    parts = min(how.bands, PARTIAL) if how.parts > 1 else 1
    how = replace(how, band_parts=parts, column_parts=1)
    blocks = _blocks(machine, how, w_last, 1)
    blocks = replace(blocks, chunk=p.depth, chunks=1)
    taps, cut = math.prod(p.kernel), blocks.cut
    group_size = taps * p.depth * cut.padded
    apart = whole_lines(p.groups * group_size * SIZE[p.dtype]) // SIZE[p.dtype]

    f = stage(module, name)
    packed = f.at("%workspace", how.copies, "i8")
    low, high = share(f, how.bands, how.parts, "%part")
    ours = f.at("%scratch", f.mul("%part", apart), kind)
    with f.loop(low, high) as b:
        image, rows = f.div(b, how.row_groups), f.mod(b, how.row_groups)
        band = Band(
            *share(f, p.batch, how.image_groups, image),
            *share(f, p.rows(how.axis), how.row_groups, rows),
        )
        later = f.let(f"icmp ne i64 {b}, {low}")
        with f.loop(0, p.groups) as g:
            x = _source(f, how, how, band, g)
            if not how.direct:
                copy(f, machine, how, band, g, x)
            begin = 0
            for vectors, width, count in cut.each():
                wide = vectors * cut.lanes
                with f.loop(0, count) as n:
                    column = f.add(f.mul(n, cut.widest), begin)
                    _pack(
                        f, machine, how, band, f.add(f.mul(g, p.width), column), width, wide, packed
                    )
                    at = f.add(f.mul(g, group_size), f.mul(column, taps * p.depth))
                    _add(
                        f, machine, how, blocks, vectors,
                        images=f.sub(band.n1, band.n0), rows=f.sub(band.q1, band.q0),
                        strides=how.strides, x=x, y=packed, to=f.at(ours, at, kind), later=later,
                    )  # fmt: skip
                begin += width * count
    f.give()
    size = whole_lines(how.images * how.places * cut.widest * SIZE[p.dtype])
    adding = Kernel(name, how.parts, how.copies + size)

    f = stage(module, f"{name}_total")
    by_group = p.groups > 1 or p.joined > 1
    units = p.groups if by_group else p.depth
    entries = p.groups * group_size * how.parts
    parts = 1 if entries < 40_000 else min(8, units)
    low, high = share(f, units, parts, "%part")
    groups, (low, high) = ((low, high), (0, p.depth)) if by_group else ((0, 1), (low, high))
    with f.loop(*groups) as g:
        begin = 0
        for vectors, width, count in cut.each():
            with f.loop(0, count) as n:
                column = f.add(f.mul(n, cut.widest), begin)
                at = f.add(f.mul(g, group_size), f.mul(column, taps * p.depth))
                _place(
                    f, machine, p, blocks, w_last,
                    sums=f.at("%scratch", at, kind), copies=how.parts, apart=apart,
                    group=g, column=column, width=width, wide=vectors * cut.lanes,
                    first=0, low=low, high=high, workspace="%workspace",
                )  # fmt: skip
            begin += width * count
        if epilogue is not None:
            ends = (f.mul(g, p.width), f.mul(f.add(g, 1), p.width))
            _finish(f, p, epilogue, w_last, ends, low, high)
    f.give()
    total = Kernel(f"{name}_total", parts, _turning(p, blocks))
    return Stages((adding, total), how.parts * apart * SIZE[p.dtype])


def _source(f: Function, how: Plan, where: Plan, band: Band, group: Index) -> str:
    """Where x's band begins: in the workspace, or (`direct`) in x itself."""
    p, kind = how.p, TYPE[how.p.dtype]
    if not how.direct:
        return "%workspace"
    at = f.add(f.mul(band.n0, where.strides[0]), f.mul(group, p.depth))
    at = f.add(at, f.mul(band.q0, p.stride[how.axis] * where.strides[how.axis + 1]))
    first = sum(p.first(a) * where.strides[a + 1] for a in range(AXES))
    return f.at("%first", f.add(at, first), kind)


# -- many kernels -----------------------------------------------------------------------------


def _by_panels(
    module: Module,
    machine: Machine,
    how: Plan,
    name: str,
    w_last: bool,
    epilogue: str | None,
) -> Stages:
    p, kind, size = how.p, TYPE[how.p.dtype], SIZE[how.p.dtype]
    where = _all(how)
    how = _recut(how, p.batch, 1)
    wanted = how.parts
    blocks = _blocks(machine, where, w_last, wanted)
    taps, cut = math.prod(p.kernel), blocks.cut

    kernels, scratch = [], 0
    if not where.direct:
        f = stage(module, f"{name}_border")
        every = p.batch * p.groups
        parts = 1 if wanted == 1 else min(every, 8)
        with f.loop(*share(f, every, parts, "%part")) as i:
            g, n = f.div(i, p.batch), f.mod(i, p.batch)
            to = f.at("%scratch", f.mul(i, where.image), "i8")
            copy(f, machine, where, Band(n, f.add(n, 1), 0, p.rows(how.axis)), g, to)
        f.give()
        kernels.append(Kernel(f"{name}_border", parts, 0))
        scratch = every * where.image

    f = stage(module, name)
    units = p.groups * blocks.chunks * cut.count
    parts = 1 if wanted == 1 else min(units, 16)
    block = whole_lines(taps * blocks.chunk * cut.widest * size)
    packed = whole_lines(how.images * how.places * cut.widest * size)
    y = f.at("%workspace", block, "i8")
    with f.loop(*share(f, units, parts, "%part")) as unit:
        panel, rest = f.mod(unit, cut.count), f.div(unit, cut.count)
        chunk, g = f.mod(rest, blocks.chunks), f.div(rest, blocks.chunks)
        low = f.mul(chunk, blocks.chunk)
        begin = 0
        for vectors, width, count in cut.each():
            wide = vectors * cut.lanes
            is_full = begin < cut.full * cut.widest
            test = f"icmp {'slt' if is_full else 'sge'} i64 {panel}, {cut.full}"
            with f.when(f.let(test)):
                column = f.add(f.mul(g, p.width), f.mul(panel, cut.widest))
                with f.loop(0, how.bands) as b:
                    image, rows = f.div(b, how.row_groups), f.mod(b, how.row_groups)
                    band = Band(
                        *share(f, p.batch, how.image_groups, image),
                        *share(f, p.rows(how.axis), how.row_groups, rows),
                    )
                    _pack(f, machine, how, band, column, width, wide, y)
                    if where.direct:
                        x = _source(f, how, where, band, g)
                    else:
                        at = f.mul(f.add(f.mul(g, p.batch), band.n0), where.strides[0])
                        step = p.stride[how.axis] * where.strides[how.axis + 1]
                        x = f.at("%scratch", f.add(at, f.mul(band.q0, step)), kind)
                    _add(
                        f, machine, how, blocks, vectors,
                        images=f.sub(band.n1, band.n0), rows=f.sub(band.q1, band.q0),
                        strides=where.strides, x=f.at(x, low, kind), y=y, to="%workspace",
                        later=f.let(f"icmp ne i64 {b}, 0"),
                    )  # fmt: skip
                _place(
                    f, machine, p, blocks, w_last,
                    sums="%workspace", copies=1, apart=0,
                    group=g, column=f.mul(panel, cut.widest), width=width, wide=wide,
                    first=low, low=low, high=f.add(low, blocks.chunk), workspace=y,
                )  # fmt: skip
                if epilogue is not None:
                    ends = (column, f.add(column, width))
                    _finish(f, p, epilogue, w_last, ends, low, f.add(low, blocks.chunk))
            begin += width * count
    f.give()
    kernels.append(Kernel(name, parts, block + max(packed, _turning(p, blocks))))
    return Stages(tuple(kernels), scratch)
