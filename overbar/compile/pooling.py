"""Pooling: the greatest or the sum of every window, and what flows back.

Vectors lie along the channels: one call of a small function that all poolings of a program share
does all channels of one place of the result. Windows at the border are cut to what is inside, so
that nothing is padded. Where channels do not lie side by side, so many planes as a vector has lanes
are turned on their way into the workspace, and the result on its way back.

    greatest   y and its position in the plane (row by row; the first of equals; a NaN wins)
    chosen     x̄: for every place of x, what arrived at the windows that it has won
    sum        y = scale Σ window
    spread     x = scale Σ what arrived at the windows that it is in

`chosen` and `spread` look from x at the windows (for windows that do not overlap, one), so that
every number is written once, by one part. Whole planes of x are in one part: there `chosen` adds
what arrived where it belongs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from .kernel import Kernel
from .machine import Machine
from .microkernel import SIZE, TYPE, plain_loop
from .moves import clear, move, transpose
from .stages import offset, share, whole_lines
from .taps import AXES
from .text import Function, Index, Module
from .window import Window, chosen, greatest, scatter, total

PART = 20_000
"""Numbers moved that make a part worth its while."""

PARTS = 8
"""Parts wanted of large work."""

ALIKE = 16
"""Groups of places that see equally many, at most: each is a call in the text."""

FUNCTIONS = {"greatest": greatest, "chosen": chosen, "sum": total, "spread": total}


@dataclass(frozen=True)
class Pooling:
    """Windows of `size` over x (batch, channels, *space), and y (batch, channels, *count).

    face         greatest, chosen, sum, spread: see above
    values       whether `greatest` writes y
    winners      whether `greatest` writes positions
    index        the dtype of positions
    x_last, y_last   whether their channels lie side by side; positions lie as y does
    scale        of sum and spread
    """

    dtype: str
    face: str
    batch: int
    channels: int
    space: tuple[int, ...]
    size: tuple[int, ...]
    count: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    x_last: bool
    y_last: bool
    values: bool = True
    winners: bool = True
    index: str = "int64"
    scale: float = 1.0


ARGUMENTS = [
    ("ptr noalias readonly", "given"),
    ("ptr noalias", "winners"),
    ("ptr noalias", "result"),
    ("ptr", "X"),
    ("ptr noalias", "workspace"),
    ("i64", "part"),
]


def pooling(module: Module, machine: Machine, p: Pooling, *, epilogue: str | None = None) -> Kernel:
    """The kernel of a pooling, `void @name(given, winners, result, X, workspace, part)`.

    given     x, or for `chosen` and `spread` what has arrived at y
    winners   positions: written by `greatest`, read by `chosen`, else not looked at
    epilogue  as for `convolution`: void @e(X, result, batch, i0, i1, j0, j1) for every finished
              block; channels last: rows (image, place), columns channels; first: in image `batch`
              rows channels, columns places
    """
    name = module.numbered(f"pool_{p.face}", (p, epilogue))
    seen = _plain(p, machine)
    how = _plan(seen, machine, of=0 if seen is p else p.channels)
    module.once(name, lambda: _write(module, machine, how, name, epilogue))
    return Kernel(name, how.parts, how.workspace)


# -- the plan ---------------------------------------------------------------------------------


def _plain(p: Pooling, machine: Machine) -> Pooling:
    """Sums along some axes only, of channels first: every plane as an image whose channels, last in
    memory, are the numbers of the axes behind those.
    """
    left = 0
    for size, stride, padding in zip(p.size[:0:-1], p.stride[:0:-1], p.padding[:0:-1], strict=True):
        if (size, stride, padding) != (1, 1, (0, 0)):
            break
        left += 1
    wide = math.prod(p.space[len(p.space) - left :])
    if p.face not in ("sum", "spread") or p.x_last or p.y_last or wide < machine.lanes(p.dtype):
        return p
    axes = {x: getattr(p, x)[:-left] for x in ("space", "size", "count", "stride", "padding")}
    return replace(
        p, batch=p.batch * p.channels, channels=wide, x_last=True, y_last=True, **axes
    )  # fmt: skip


class _Ways(NamedTuple):
    """How the places of one axis of the result see those of what is given: from ⌈(i·step + low) /
    unit⌉ up to ⌊(i·step + high) / unit⌋, as far as they exist.
    """

    step: int
    low: int
    high: int
    unit: int
    given: int
    result: int


@dataclass(frozen=True)
class _Plan:
    """How the work is cut: blocks of channels or planes, and of rows of the result.

    direct   both have channels last: no turning
    planes   both have channels first: a block may reach over several images
    of       so many images here are the planes of one (see `_plain`); 0: they are what they are
    """

    p: Pooling
    lanes: int
    ways: tuple[_Ways, ...]
    axis: int
    direct: bool
    planes: bool
    blocks: int
    rows: int
    row_groups: int
    parts: int
    of: int

    @property
    def back(self) -> bool:
        """Whether what is given is y."""
        return self.p.face in ("chosen", "spread")

    @property
    def scattered(self) -> bool:
        """Whether what arrived is added where it belongs, plane by plane."""
        return self.planes and self.p.face == "chosen"

    @property
    def seen(self) -> int:
        """Rows given that a block's rows see, at most."""
        w = self.ways[self.axis]
        return min(w.given, ((self.rows - 1) * w.step + w.high - w.low) // w.unit + 1)

    @property
    def rooms(self) -> tuple[int, int, int]:
        """Bytes for a block of what is given, of positions, of the result."""
        p = self.p
        if self.direct or self.scattered:
            return 0, 0, 0
        given = self.seen * math.prod(w.given for w in self.ways[self.axis + 1 :]) * self.lanes
        result = self.rows * math.prod(w.result for w in self.ways[self.axis + 1 :]) * self.lanes
        size, index = SIZE[p.dtype], 4 if p.index == "int32" else 8
        at = {"greatest": result, "chosen": given}.get(p.face, 0) * index
        return whole_lines(given * size), whole_lines(at), whole_lines(result * size)

    @property
    def workspace(self) -> int:
        """Bytes."""
        return sum(self.rooms)


def _plan(p: Pooling, machine: Machine, of: int) -> _Plan:
    back, lanes = p.face in ("chosen", "spread"), machine.lanes(p.dtype)
    ways = []
    for n, m, k, s, (before, _) in zip(p.space, p.count, p.size, p.stride, p.padding, strict=True):
        if back:  # window o sees i if o s − before ≤ i < o s − before + k
            ways.append(_Ways(1, before - k + 1, before, s, m, n))
        else:
            ways.append(_Ways(s, -before, k - 1 - before, 1, n, m))
    ways = [_Ways(1, 0, 0, 1, 1, 1)] * (AXES - len(ways)) + ways
    axis = next((a for a in range(AXES) if max(ways[a].given, ways[a].result) > 1), AXES - 1)
    direct, planes = p.x_last and p.y_last, not (p.x_last or p.y_last)
    moved = p.batch * p.channels * (math.prod(p.space) + math.prod(p.count))
    wanted = 1 if moved < PART else min(PARTS, -(-moved // PART))
    total = ways[axis].result
    if planes and p.face == "chosen":
        blocks, row_groups = p.batch * p.channels, 1
    elif direct:
        blocks = p.batch
        row_groups = min(total, -(-wanted // max(1, blocks)))
    else:
        blocks = -(-p.batch * p.channels // lanes) if planes else p.batch * -(-p.channels // lanes)
        width = math.prod(w.given for w in ways) * lanes * SIZE[p.dtype]
        row_groups = min(total, max(-(-wanted // max(1, blocks)), -(-width // (machine.l2 // 4))))
    row_groups = max(1, row_groups)
    parts = 1 if wanted == 1 else min(2 * PARTS, blocks * row_groups)
    rows = -(-total // row_groups)
    return _Plan(
        p, lanes, tuple(ways), axis, direct, planes, blocks, rows, row_groups, parts, of
    )  # fmt: skip


# -- the kernel -------------------------------------------------------------------------------


def _write(module: Module, machine: Machine, how: _Plan, name: str, epilogue: str | None) -> None:
    p, axis = how.p, how.axis
    f = module.function(name, ARGUMENTS)
    f.hint = plain_loop(module)
    low, high = share(f, how.blocks * how.row_groups, how.parts, "%part")
    with f.loop(low, high) as unit:
        block, group = f.div(unit, how.row_groups), f.mod(unit, how.row_groups)
        rows = share(f, how.ways[axis].result, how.row_groups, group)
        if how.direct:
            _direct(f, machine, how, block, rows)
            some = (block, f.add(block, 1), 0, p.channels)
        elif how.scattered:
            _scatter(f, how, block)
            some = (0, 1, block, f.add(block, 1))
        else:
            some = _turned(f, machine, how, block, rows)
        if epilogue is not None:
            _finish(f, how, epilogue, some, rows)
    f.give()


class _Memory(NamedTuple):
    """Three arrays with channels last: what is given, positions, the result; the numbers from place
    to place, and the first row (of the plan's axis) that is there.
    """

    given: str
    winners: str
    result: str
    step: int
    given_row: Index
    result_row: Index


def _direct(f: Function, machine: Machine, how: _Plan, n: Index, rows: tuple[Index, Index]) -> None:
    p, kind, index = how.p, TYPE[how.p.dtype], _index(how.p)
    given, result = (math.prod(getattr(w, side) for w in how.ways) for side in ("given", "result"))
    at = f.mul(n, (given if how.back else result) * p.channels)
    memory = _Memory(
        f.at("%given", f.mul(n, given * p.channels), kind),
        f.at("%winners", at, index),
        f.at("%result", f.mul(n, result * p.channels), kind),
        p.channels, 0, 0,
    )  # fmt: skip
    _places(f, machine, how, memory, rows, p.channels)


def _scatter(f: Function, how: _Plan, plane: Index) -> None:
    """Emit one plane: zeros, to which what arrived is added."""
    p, kind, index = how.p, TYPE[how.p.dtype], _index(how.p)
    places, count = math.prod(p.space), math.prod(p.count)
    to = f.at("%result", f.mul(plane, places), kind)
    clear(f, p.dtype, to, places)
    f.call(
        scatter(f.module, p.dtype, index),
        "void",
        ("ptr", to),
        ("ptr", f.at("%given", f.mul(plane, count), kind)),
        ("ptr", f.at("%winners", f.mul(plane, count), index)),
        ("i64", count),
    )


def _turned(
    f: Function, machine: Machine, how: _Plan, block: Index, rows: tuple[Index, Index]
) -> tuple[Index, Index, Index, Index]:
    """Emit one block; gives the images and channels (of planes: 0, 1 and the planes) it has."""
    p, lanes, axis, index = how.p, how.lanes, how.axis, _index(how.p)
    given, result = (math.prod(getattr(w, side) for w in how.ways) for side in ("given", "result"))
    g_row, r_row = (
        math.prod(getattr(w, side) for w in how.ways[axis + 1 :]) for side in ("given", "result")
    )
    channels = p.batch * p.channels if how.planes else p.channels
    per = -(-channels // lanes)
    n, column = (0, f.mul(block, lanes)) if how.planes else (
        f.div(block, per), f.mul(f.mod(block, per), lanes),
    )  # fmt: skip
    width = f.least(lanes, f.sub(channels, column))
    room = how.rooms
    memory = _Memory(
        "%workspace",
        f.at("%workspace", room[0], "i8"),
        f.at("%workspace", room[0] + room[1], "i8"),
        lanes, _seen(f, how.ways[axis], rows[0])[0], rows[0],
    )  # fmt: skip
    first, last = memory.given_row, _seen(f, how.ways[axis], f.sub(rows[1], 1))[1]

    def go(outside: str, inside: str, y: bool, places: int, start: Index, count: Index,
           dtype: str, out: bool) -> None:  # fmt: skip
        kind = TYPE[dtype]
        if p.y_last if y else p.x_last:
            at = f.add(f.mul(f.add(f.mul(n, places), start), p.channels), column)
            outside = f.at(outside, at, kind)
            to, source = (outside, inside) if out else (inside, outside)
            move(
                f, machine, dtype, to=to, to_row=p.channels if out else lanes, source=source,
                source_row=lanes if out else p.channels, rows=count, columns=width,
            )  # fmt: skip
            return
        at = f.add(f.mul(f.add(f.mul(n, p.channels), column), places), start)
        outside = f.at(outside, at, kind)
        if out:
            transpose(
                f, machine, dtype, to=outside, to_row=places, source=inside, source_row=lanes,
                rows=count, columns=width,
            )  # fmt: skip
        else:
            transpose(
                f, machine, dtype, to=inside, to_row=lanes, source=outside, source_row=places,
                rows=width, columns=count,
            )  # fmt: skip

    # Positions are moved as floating-point numbers of their size: nothing computes with them.
    positions = "float32" if index == "i32" else "float64"
    start, count = f.mul(first, g_row), f.mul(f.sub(last, first), g_row)
    go("%given", memory.given, how.back, given, start, count, p.dtype, out=False)
    if p.face == "chosen":
        go("%winners", memory.winners, True, given, start, count, positions, out=False)
    _places(f, machine, how, memory, rows, lanes)
    start, count = f.mul(rows[0], r_row), f.mul(f.sub(rows[1], rows[0]), r_row)
    if p.face != "greatest" or p.values:
        go("%result", memory.result, not how.back, result, start, count, p.dtype, out=True)
    if p.face == "greatest" and p.winners:
        go("%winners", memory.winners, True, result, start, count, positions, out=True)
    return n, f.add(n, 1), column, f.add(column, width)


def _seen(f: Function, w: _Ways, i: Index) -> tuple[Index, Index]:
    """From, to (exclusive): what place i of the result sees."""
    here = f.mul(i, w.step)
    low = f.most(f.add(here, w.low + w.unit - 1), 0)
    high = f.most(f.add(here, w.high + w.unit), 0)
    return f.div(low, w.unit), f.least(f.div(high, w.unit), w.given)


class _Some(NamedTuple):
    """Places of the last axis that see equally many: start + step n, n < count; the first that
    each sees: first + apart n.
    """

    start: int
    step: int
    count: int
    first: int
    apart: int
    seen: int


def _alike(w: _Ways) -> list[_Some]:
    """All places of an axis, those together that see equally many. (Of one residue to the unit,
    one place after the other sees things one step further on.)
    """
    found: list[_Some] = []
    for residue in range(min(w.unit, w.result)):
        for at in range(residue, w.result, w.unit):
            low = max(0, -(-(at * w.step + w.low) // w.unit))
            seen = min(w.given - 1, (at * w.step + w.high) // w.unit) - low + 1
            old = found[-1] if found and at > residue else None
            if (
                old
                and old.seen == seen
                and (old.count == 1 or old.first + old.apart * old.count == low)
            ):
                apart = low - old.first if old.count == 1 else old.apart
                found[-1] = old._replace(count=old.count + 1, apart=apart)
            else:
                found.append(_Some(at, w.unit, 1, low, 0, seen))
    return found


def _places(
    f: Function,
    machine: Machine,
    how: _Plan,
    memory: _Memory,
    rows: tuple[Index, Index],
    channels: int,
) -> None:
    """Emit the places of these rows of the result, all channels."""
    p, ways, axis = how.p, how.ways, how.axis
    kind, index = TYPE[p.dtype], _index(p)
    g_steps = [math.prod(w.given for w in ways[a + 1 :]) for a in range(AXES)]
    r_steps = [math.prod(w.result for w in ways[a + 1 :]) for a in range(AXES)]
    # Positions in registers are as wide as the numbers, unless there may be more than they count.
    counter = "i32" if kind == "float" and math.prod(p.space) < 1 << 31 else "i64"
    window = Window(
        machine, p.dtype, index, counter, 3 if len(p.space) > 2 else 2, p.values, p.winners, p.scale
    )
    function = FUNCTIONS[p.face](f.module, window)
    alike = _alike(ways[2]) if axis < AXES - 1 else []
    one_by_one = axis == AXES - 1 or len(alike) > ALIKE

    sizes = [f.sub(rows[1], rows[0]) if a == axis else w.result for a, w in enumerate(ways)]
    starts = [rows[0] if a == axis else 0 for a in range(AXES)]
    with f.loop(0, sizes[0]) as d, f.loop(0, sizes[1]) as h:
        outer = [f.add(i, starts[a]) for a, i in enumerate((d, h))]
        some = [_seen(f, ways[a], i) for a, i in enumerate(outer)]

        def call(group: _Some, start: Index, low: Index, seen: Index) -> None:
            at, first = [*outer, start], [*(i for i, _ in some), low]
            position = offset(f, at, r_steps) if how.back else offset(f, first, g_steps)
            inside = [f.sub(i, memory.given_row) if a == axis else i for a, i in enumerate(first)]
            there = [f.sub(i, memory.result_row) if a == axis else i for a, i in enumerate(at)]
            source = f.mul(offset(f, inside, g_steps), memory.step)
            target = f.mul(offset(f, there, r_steps), memory.step)
            s_place, r_place = group.apart * memory.step, group.step * memory.step
            i_place, p_place = (s_place, group.step) if how.back else (r_place, group.apart)
            f.call(
                function,
                "void",
                ("ptr", f.at(memory.given, source, kind)),
                *(("i64", s * memory.step) for s in g_steps),
                *(("i64", f.sub(j, i)) for i, j in some),
                ("i64", seen),
                ("ptr", f.at(memory.winners, source if how.back else target, index)),
                *(("i64", x) for x in (position, *g_steps[:2])),
                ("ptr", f.at(memory.result, target, kind)),
                *(("i64", x) for x in (channels, group.count, s_place, i_place, p_place, r_place)),
            )

        if one_by_one:
            with f.loop(0, sizes[2]) as w:
                start = f.add(w, starts[2])
                low, high = _seen(f, ways[2], start)
                call(_Some(0, 0, 1, 0, 0, 0), start, low, f.sub(high, low))
        for group in [] if one_by_one else alike:
            call(group, group.start, group.first, group.seen)


def _finish(
    f: Function,
    how: _Plan,
    epilogue: str,
    some: tuple[Index, Index, Index, Index],
    rows: tuple[Index, Index],
) -> None:
    """Emit the epilogue on one block."""
    p, (n, _, low, high) = how.p, some
    places = math.prod(w.result for w in how.ways)
    row = math.prod(w.result for w in how.ways[how.axis + 1 :])
    begin, end = (f.mul(i, row) for i in rows)
    first = [("ptr", "%X"), ("ptr", "%result")]
    if how.of:
        image, channel = f.div(n, how.of), f.mod(n, how.of)
        ends = (f.mul(begin, p.channels), f.mul(end, p.channels))
        block = (image, channel, f.add(channel, 1), *ends)
        f.call(epilogue, "void", *first, *(("i64", i) for i in block))
    elif p.x_last if how.back else p.y_last:
        before = f.mul(n, places)
        ends = (0, f.add(before, begin), f.add(before, end), low, high)
        f.call(epilogue, "void", *first, *(("i64", i) for i in ends))
    elif not how.planes:
        f.call(epilogue, "void", *first, *(("i64", i) for i in (n, low, high, begin, end)))
    else:  # the planes may belong to several images
        image = f.div(low, p.channels)
        with f.loop(image, f.add(f.div(f.sub(high, 1), p.channels), 1)) as n:
            before = f.mul(n, p.channels)
            top = f.most(f.sub(low, before), 0)
            bottom = f.least(f.sub(high, before), p.channels)
            f.call(epilogue, "void", *first, *(("i64", i) for i in (n, top, bottom, begin, end)))


def _index(p: Pooling) -> str:
    return {"int32": "i32", "int64": "i64"}[p.index]
