"""Few channels of the result: every place of the source is spread over what it reaches.

The tiles of `correlation` have channels of the result as columns. Of three channels (the gradient
of an image, the last layer of a decoder) a vector of sixteen lanes would waste thirteen. Here the
columns are all numbers that one place of the source contributes to,

    u[t, (k, j)] = Σ_c s[n, c, t] w[j, c, k]
    r[n, j, step t + distance k − before] += u[t, (k, j)]

a line of places at a time: first the product, then the sum, in an image with a border that is wide
enough for all. That is the transpose in x of a convolution as it stands, and a convolution of
stride 1 read backwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .bands import PART, PARTS
from .kernel import Kernel
from .machine import Machine
from .microkernel import SIZE, TYPE, call_tile, plain_loop, tile
from .moves import clear, move, transpose
from .packing import mask, masked_load, masked_store
from .stages import Stages, finish, loops, offset, share, stage, whole_lines
from .taps import AXES, Correlation, Three
from .text import Function, Index, Module, vector
from .tiling import Panels, height, heights, panels, tallest

LINE = 64
"""Places of the source that are multiplied before they are spread."""


@dataclass(frozen=True)
class Spread:
    """A correlation seen from its source: the second formula above, over three axes."""

    p: Correlation
    step: Three
    distance: Three
    before: Three
    backwards: bool

    @property
    def taps(self) -> int:
        """How many there are."""
        return math.prod(self.p.kernel)

    @property
    def columns(self) -> int:
        """Numbers that a place of the source contributes to."""
        return self.taps * self.p.width

    @property
    def run(self) -> int:
        """Those that lie side by side."""
        return self.p.width * (self.p.kernel[-1] if self.distance[-1] == 1 else 1)

    def reach(self, axis: int) -> int:
        """From the first tap to the last."""
        return self.distance[axis] * (self.p.kernel[axis] - 1)


def pays(s: Spread, machine: Machine) -> bool:
    """Whether it is quicker than `correlation`, by a count of cycles.

    Two things speak for it: few channels, and a border (of a gradient: nearly the whole kernel)
    that is wide beside the image, whose zeros `correlation` multiplies.
    """
    p, lanes = s.p, machine.lanes(s.p.dtype)
    vectors = -(-p.width // lanes)
    sums = math.prod(p.result) / math.prod(s.step) * s.taps
    there = sums * p.depth * vectors * (0.6 if vectors == 1 else 0.5)
    product = p.depth * -(-s.columns // lanes) / 2
    adding = s.columns // s.run * -(-s.run // lanes) * 4
    here = math.prod(p.source) * (product + adding)
    return s.taps > 1 and min(s.before) >= 0 and here < there


@dataclass(frozen=True)
class _Plan:
    s: Spread
    cut: Panels
    axis: int
    row_groups: int
    parts: int
    blocks: int

    @property
    def row(self) -> int:
        """Numbers of a row of the packed kernels, and of u: whole vectors, not a power of two."""
        lanes = self.cut.lanes
        return self.cut.padded + (lanes if self.cut.padded % (8 * lanes) == 0 else 0)

    @property
    def extent(self) -> tuple[int, ...]:
        """Places of the image with its border."""
        s, sizes = self.s, []
        for a in range(AXES):
            rows = -(-s.p.result[a] // self.row_groups) if a == self.axis else s.p.result[a]
            all_of_it = (s.p.source[a] - 1) * s.step[a] + s.reach(a) + 1
            some = rows + 2 * s.reach(a) + s.step[a]
            sizes.append(
                some
                if a == self.axis and self.row_groups > 1
                else max(all_of_it, s.before[a] + s.p.result[a])
            )
        return tuple(sizes)

    @property
    def rooms(self) -> tuple[int, int, int]:
        """Bytes of the image, of u, of the source's line."""
        p = self.s.p
        long, size = -(-p.source[-1] // self.blocks), SIZE[p.dtype]
        return (
            whole_lines(math.prod(self.extent) * p.width * size),
            whole_lines(long * self.row * size),
            0 if p.source_last else whole_lines(long * p.depth * size),
        )


def spread(
    module: Module, machine: Machine, s: Spread, name: str, *, epilogue: str | None = None
) -> Stages:
    """The kernels: pack, then multiply and spread."""
    p, lanes = s.p, machine.lanes(s.p.dtype)
    axis = next((a for a in range(AXES) if p.result[a] > 1), AXES - 1)
    blocks = -(-p.source[-1] // LINE)
    cut = panels(machine, s.columns, lanes, -(-p.source[-1] // blocks))
    work = p.batch * math.prod(p.source) * s.columns * p.depth * p.groups
    wanted = 1 if work < PART / 2 else min(PARTS, math.ceil(work / PART))
    row_groups = 1
    if axis < AXES - 1 and p.batch < wanted:
        most = max(1, p.result[axis] // max(8, 4 * s.reach(axis)))
        row_groups = min(most, -(-wanted // p.batch))
    parts = min(wanted if wanted < PARTS else 2 * PARTS, p.batch * row_groups)
    how = _Plan(s, cut, axis, row_groups, parts, blocks)
    pack = _pack(module, machine, how, f"{name}_pack")
    scratch = whole_lines(p.groups * p.depth * how.row * SIZE[p.dtype])
    return Stages((pack, _compute(module, machine, how, name, epilogue)), scratch)


def _pack(module: Module, machine: Machine, how: _Plan, name: str) -> Kernel:
    """[group, row][tap, column]"""
    s, p = how.s, how.s.p
    kind = TYPE[p.dtype]
    units = p.groups * p.depth
    parts = 1 if units * s.columns < 40_000 else min(8, units)
    f = stage(module, name)
    with f.loop(*share(f, units, parts, "%part")) as i:
        g, c = f.div(i, p.depth), f.mod(i, p.depth)
        source = f.at("%second", f.add(f.mul(g, p.w_group), f.mul(c, p.w_row)), kind)
        line = f.at("%scratch", f.mul(i, how.row), kind)
        clear(f, p.dtype, f.at(line, s.columns, kind), how.row - s.columns)
        to = f.at(line, (s.taps - 1) * p.width if s.backwards else 0, kind)
        to_row = -p.width if s.backwards else p.width
        if p.w_column == 1:
            move(
                f, machine, p.dtype, to=to, to_row=to_row, source=source, source_row=p.w_tap,
                rows=s.taps, columns=p.width,
            )  # fmt: skip
        elif p.w_tap == 1:
            transpose(
                f, machine, p.dtype, to=to, to_row=to_row, source=source, source_row=p.w_column,
                rows=p.width, columns=s.taps,
            )  # fmt: skip
        else:
            with loops(f, s.taps, p.width) as (k, j):
                at = f.add(f.mul(k, p.w_tap), f.mul(j, p.w_column))
                x = f.load(f.at(source, at, kind), kind)
                f.store(x, f.at(to, f.add(f.mul(k, to_row), j), kind), kind)
    f.give()
    return Kernel(name, parts, 0)


def _compute(
    module: Module, machine: Machine, how: _Plan, name: str, epilogue: str | None
) -> Kernel:
    s, p, axis = how.s, how.s.p, how.axis
    kind, extent, rooms = TYPE[p.dtype], how.extent, how.rooms
    sheet = (extent[1] * extent[2] * p.width, extent[2] * p.width, p.width)
    places, channels = math.prod(p.result), p.groups * p.width
    steps = (p.result[1] * p.result[2], p.result[2], 1)

    f = stage(module, name)
    u = f.at("%workspace", rooms[0], "i8")
    line = f.at(u, rooms[1], "i8")
    with f.loop(*share(f, p.batch * how.row_groups, how.parts, "%part")) as band:
        n, group = f.div(band, how.row_groups), f.mod(band, how.row_groups)
        first, last = share(f, p.result[axis], how.row_groups, group)
        begin: list[Index] = [0] * AXES
        end: list[Index] = list(p.source)
        if how.row_groups > 1:  # of the source, only what reaches these rows
            low = f.sub(f.add(first, s.before[axis]), s.reach(axis))
            begin[axis] = f.div(f.most(low, 0), s.step[axis])
            high = f.div(f.add(f.sub(last, 1), s.before[axis]), s.step[axis])
            end[axis] = f.least(f.add(high, 1), p.source[axis])
        with f.loop(0, p.groups) as g:
            clear(f, p.dtype, "%workspace", rooms[0] // SIZE[p.dtype])
            with loops(f, *(f.sub(end[a], begin[a]) for a in range(AXES - 1))) as at:
                to = offset(f, at, [s.step[a] * sheet[a] for a in range(AXES - 1)])
                here = [f.add(at[a], begin[a]) for a in range(AXES - 1)]
                with f.loop(0, how.blocks) as block:
                    left, right = share(f, p.source[-1], how.blocks, block)
                    before = f.add(offset(f, here, [p.source[1] * p.source[2], p.source[2]]), left)
                    a, a_row = _line(f, machine, how, n, g, before, f.sub(right, left), line)
                    _product(f, machine, how, g, a, a_row, f.sub(right, left), u)
                    target = f.at("%workspace", f.add(to, f.mul(left, s.step[2] * p.width)), kind)
                    _add(f, machine, how, u, target, sheet, f.sub(right, left))
            ranges = [(first, last) if a == axis else (0, p.result[a]) for a in range(AXES - 1)]
            if axis == AXES - 1:
                ranges = [(0, 1)] * (AXES - 1)
            with loops(f, *(f.sub(j, i) for i, j in ranges)) as at:
                row = [f.add(i, at[a]) for a, (i, _) in enumerate(ranges)]
                inside = [
                    f.sub(f.add(i, s.before[a]), f.mul(begin[a], s.step[a]))
                    for a, i in enumerate(row)
                ]
                start = f.add(offset(f, inside, sheet[:2]), s.before[2] * p.width)
                _out(f, machine, how, n, g, start, offset(f, row, steps[:2]))
        if epilogue is not None:
            size = math.prod(p.result[axis + 1 :])
            finish(
                f, epilogue, last=p.result_last, images=(n, f.add(n, 1)), places=places,
                some=(f.mul(first, size), f.mul(last, size)), columns=(0, channels),
            )  # fmt: skip
    f.give()
    return Kernel(name, how.parts, sum(rooms))


def _line(
    f: Function,
    machine: Machine,
    how: _Plan,
    n: Index,
    group: Index,
    before: Index,
    count: Index,
    line: str,
) -> tuple[str, int]:
    """Where some places of the source are with their channels side by side, and how far apart."""
    p = how.s.p
    kind, places, channels = TYPE[p.dtype], math.prod(p.source), p.groups * p.depth
    if p.source_last:
        start = f.mul(f.add(f.mul(n, places), before), channels)
        return f.at("%first", f.add(start, f.mul(group, p.depth)), kind), channels
    start = f.add(f.mul(f.add(f.mul(n, channels), f.mul(group, p.depth)), places), before)
    transpose(
        f, machine, p.dtype, to=line, to_row=p.depth, source=f.at("%first", start, kind),
        source_row=places, rows=p.depth, columns=count,
    )  # fmt: skip
    return line, p.depth


def _product(
    f: Function,
    machine: Machine,
    how: _Plan,
    group: Index,
    a: str,
    a_row: int,
    length: Index,
    u: str,
) -> None:
    """Emit u for a line."""
    p, cut, kind = how.s.p, how.cut, TYPE[how.s.p.dtype]
    shortest, longest = p.source[-1] // how.blocks, -(-p.source[-1] // how.blocks)
    before = 0
    for vectors, width, count in cut.each():
        most = tallest(machine, vectors)
        tiles = (
            heights(length, most)
            if isinstance(length, int)
            else [(height(shortest, longest, most), 0)]
        )
        with f.loop(0, count) as i:
            column = f.add(f.mul(i, cut.widest), before)
            b = f.at("%scratch", f.add(f.mul(group, p.depth * how.row), column), kind)
            done = 0
            for rows, times in tiles:
                name = tile(f.module, machine, p.dtype, rows, vectors)
                with f.loop(0, times or length, 1 if times else rows) as t:
                    at = f.add(f.mul(t, rows), done) if times else f.least(t, f.sub(length, rows))
                    call_tile(
                        f, name,
                        a=f.at(a, f.mul(at, a_row), kind), a_row=a_row, a_step=1,
                        b=b, b_step=how.row,
                        c=f.at(u, f.add(f.mul(at, how.row), column), kind), c_row=how.row,
                        k=p.depth, accumulate=False,
                    )  # fmt: skip
                done += rows * times
        before += width * count


def _add(
    f: Function, machine: Machine, how: _Plan, u: str, to: str, sheet: Three, count: Index
) -> None:
    """Emit the sums over a line."""
    s, p = how.s, how.s.p
    kind = TYPE[p.dtype]
    deep, high, wide = p.kernel
    merged = s.run > p.width or wide == 1
    rows, row = (high, s.distance[1] * sheet[1]) if merged else (wide, s.distance[2] * sheet[2])
    lines = (deep,) if merged else (deep, high)
    moved = [s.distance[0] * sheet[0], s.distance[1] * sheet[1]][: len(lines)]
    with loops(f, *lines) as at:
        before = offset(f, at, [high * wide * p.width, wide * p.width][: len(lines)])
        f.call(
            _adder(f.module, machine, p.dtype),
            "void",
            *[("ptr", f.at(to, offset(f, at, moved), kind)), ("i64", s.step[2] * p.width)],
            *[("i64", row), ("ptr", f.at(u, before, kind)), ("i64", how.row), ("i64", s.run)],
            *[("i64", count), ("i64", rows), ("i64", s.run)],
        )


def _adder(module: Module, machine: Machine, dtype: str) -> str:
    """D[t·d_place + i·d_row + j] += S[t·s_place + i·s_row + j]   t < places, i < rows, j < columns,
    t after t.
    """
    kind, lanes, size = TYPE[dtype], machine.lanes(dtype), SIZE[dtype]
    wide, hint, name = vector(kind, lanes), plain_loop(module), f"spread_{kind}_{lanes}"

    def write() -> None:
        f = module.function(
            name,
            [
                *[("ptr noalias", "D"), ("i64", "d_place"), ("i64", "d_row")],
                *[("ptr noalias readonly", "S"), ("i64", "s_place"), ("i64", "s_row")],
                *[("i64", "places"), ("i64", "rows"), ("i64", "columns")],
            ],
            attributes="noinline nounwind",
        )
        whole = f.let(f"and i64 %columns, {-lanes}")
        rest = f.sub("%columns", whole)
        some, m = f.let(f"icmp ne i64 {rest}, 0"), mask(f, rest, lanes)
        with f.loop(0, "%places", hint=hint) as t, f.loop(0, "%rows", hint=hint) as i:
            d = f.at("%D", f.add(f.mul(t, "%d_place"), f.mul(i, "%d_row")), kind)
            s = f.at("%S", f.add(f.mul(t, "%s_place"), f.mul(i, "%s_row")), kind)
            with f.loop(0, whole, lanes, hint=hint) as j:
                at = f.at(d, j, kind)
                x, y = f.load(f.at(s, j, kind), wide, align=size), f.load(at, wide, align=size)
                f.store(f.let(f"fadd {wide} {y}, {x}"), at, wide, align=size)
            with f.when(some):
                at = f.at(d, whole, kind)
                x = masked_load(f, f.at(s, whole, kind), m, kind, lanes)
                y = masked_load(f, at, m, kind, lanes)
                masked_store(f, f.let(f"fadd {wide} {y}, {x}"), at, m, kind, lanes)
        f.give()

    return module.once(name, write)


def _out(
    f: Function, machine: Machine, how: _Plan, n: Index, group: Index, start: Index, place: Index
) -> None:
    """Emit the way of a line of the image to the result."""
    p = how.s.p
    kind, places, channels = TYPE[p.dtype], math.prod(p.result), p.groups * p.width
    source = f.at("%workspace", start, kind)
    if p.result_last:
        at = f.mul(f.add(f.mul(n, places), place), channels)
        one = p.groups == 1
        move(
            f, machine, p.dtype, source=source, source_row=p.width,
            to=f.at("%result", f.add(at, f.mul(group, p.width)), kind), to_row=channels,
            rows=1 if one else p.result[-1], columns=p.result[-1] * p.width if one else p.width,
        )  # fmt: skip
        return
    at = f.add(f.mul(f.add(f.mul(n, channels), f.mul(group, p.width)), places), place)
    transpose(
        f, machine, p.dtype, source=source, source_row=p.width, to=f.at("%result", at, kind),
        to_row=places, rows=p.result[-1], columns=p.width,
    )  # fmt: skip
