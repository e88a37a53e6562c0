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
from dataclasses import replace

from .bands import Band, Plan, copy, plan, spaced
from .kernel import Kernel
from .machine import Machine
from .microkernel import SIZE, TYPE
from .outer import FEW, add, blocked, finish_kernels, pack, place, turning
from .stages import Stages, share, stage, whole_lines
from .taps import AXES, Correlation
from .text import Function, Index, Module

TOGETHER = 1024
"""Places whose y is packed at a time: their x and this much of a panel stay in the second cache."""

PARTIAL = 8
"""How many sums of their own the parts of `_by_bands` may hold; more cost more memory."""


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
    blocks = blocked(machine, how, w_last, 1)
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
                    pack(
                        f, machine, how, band, f.add(f.mul(g, p.width), column), width, wide, packed
                    )
                    at = f.add(f.mul(g, group_size), f.mul(column, taps * p.depth))
                    add(
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
                place(
                    f, machine, p, blocks, w_last,
                    sums=f.at("%scratch", at, kind), copies=how.parts, apart=apart,
                    group=g, column=column, width=width, wide=vectors * cut.lanes,
                    first=0, low=low, high=high, workspace="%workspace",
                )  # fmt: skip
            begin += width * count
        if epilogue is not None:
            ends = (f.mul(g, p.width), f.mul(f.add(g, 1), p.width))
            finish_kernels(f, p, epilogue, w_last, ends, low, high)
    f.give()
    total = Kernel(f"{name}_total", parts, turning(p, blocks))
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
    blocks = blocked(machine, where, w_last, wanted)
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
                    pack(f, machine, how, band, column, width, wide, y)
                    if where.direct:
                        x = _source(f, how, where, band, g)
                    else:
                        at = f.mul(f.add(f.mul(g, p.batch), band.n0), where.strides[0])
                        step = p.stride[how.axis] * where.strides[how.axis + 1]
                        x = f.at("%scratch", f.add(at, f.mul(band.q0, step)), kind)
                    add(
                        f, machine, how, blocks, vectors,
                        images=f.sub(band.n1, band.n0), rows=f.sub(band.q1, band.q0),
                        strides=where.strides, x=f.at(x, low, kind), y=y, to="%workspace",
                        later=f.let(f"icmp ne i64 {b}, 0"),
                    )  # fmt: skip
                place(
                    f, machine, p, blocks, w_last,
                    sums="%workspace", copies=1, apart=0,
                    group=g, column=f.mul(panel, cut.widest), width=width, wide=wide,
                    first=low, low=low, high=f.add(low, blocks.chunk), workspace=y,
                )  # fmt: skip
                if epilogue is not None:
                    ends = (column, f.add(column, width))
                    finish_kernels(f, p, epilogue, w_last, ends, low, f.add(low, blocks.chunk))
            begin += width * count
    f.give()
    kernels.append(Kernel(name, parts, block + max(packed, turning(p, blocks))))
    return Stages(tuple(kernels), scratch)
