"""Convolutions that do not mix channels: each channel of the result sees one of the source.

No sum runs over channels, so vectors lie along them: places are the rows of a tile, one vector of
channels its only column, and the kernels' entries are vectors too. Bands, lines and targets are
those of `correlation`; only the tile is another. Where several channels of the result see the same
one, that one is repeated in the copy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from .bands import Band, Plan, copy, plan
from .correlation import compute
from .kernel import Kernel
from .machine import Machine
from .microkernel import SIZE, TYPE, multiply_add, plain_loop
from .moves import clear, move, transpose
from .packing import mask, masked_load, masked_store
from .stages import Stages, share, stage, whole_lines
from .taps import AXES, Correlation, Run
from .text import Function, Index, Module, vector
from .tiling import heights
from .weights import order, table

PARTIAL = 8
"""Sums of their own that the parts of the kernels' gradient may hold."""

TAPS = 9
"""Entries of the kernel that are added up in registers at a time."""


def depthwise(
    module: Module, machine: Machine, p: Correlation, name: str, *, epilogue: str | None = None
) -> Stages:
    """A correlation with one channel of the source in each group."""
    how = _plan(p, machine)
    pack = _pack(module, machine, p, how, f"{name}_pack")
    scratch = whole_lines(len(order(p)) * how.panels.padded * SIZE[p.dtype])
    return Stages((pack, compute(module, machine, how, name, epilogue, _sums)), scratch)


def _plan(p: Correlation, machine: Machine) -> Plan:
    """All groups as one, whose channels are the columns of one panel."""
    channels, lanes = p.groups * p.width, machine.lanes(p.dtype)
    one = replace(p, groups=1, depth=channels, width=channels)
    how = plan(one, machine, single=True)
    return replace(
        how,
        repeat=p.width,
        direct=how.direct and p.width == 1 and channels % lanes == 0,
        pixel=-(-channels // lanes) * lanes,
    )


def _pack(module: Module, machine: Machine, p: Correlation, how: Plan, name: str) -> Kernel:
    """[tap][channel]"""
    kind, wide, taps = TYPE[p.dtype], how.panels.padded, math.prod(p.kernel)
    channels, channel = p.groups * p.width, p.w_group // p.width
    f = stage(module, name)
    clear(f, p.dtype, "%scratch", len(order(p)) * wide)
    source, row = "%second", p.w_tap
    if channel != 1:
        source, row = "%workspace", wide
        transpose(
            f, machine, p.dtype, to=source, to_row=wide, source="%second", source_row=channel,
            rows=channels, columns=taps,
        )  # fmt: skip
    listed = table(module, order(p))
    with f.loop(0, len(order(p))) as i:
        tap = f.load(f.at(f"@{listed}", i, "i64"), "i64")
        move(
            f, machine, p.dtype, to=f.at("%scratch", f.mul(i, wide), kind), to_row=wide,
            source=f.at(source, f.mul(tap, row), kind), source_row=wide, rows=1, columns=channels,
        )  # fmt: skip
    f.give()
    return Kernel(name, 1, whole_lines(taps * wide * SIZE[p.dtype]) if channel != 1 else 0)


def _sums(
    f: Function,
    machine: Machine,
    how: Plan,
    runs: Sequence[Run],
    panel: tuple,
    rows: int,
    *,
    a: str,
    a_row: int,
    b: str,
    c: str,
    c_row: int,
) -> None:
    """Emit some places, all channels."""
    p, kind, wide = how.p, TYPE[how.p.dtype], how.panels.padded
    some = all(run.taps for run in runs)
    deep, high, across = (len(run.taps) if some else 0 for run in runs)
    apart = [run.dilation * s for run, s in zip(runs, how.strides[1:], strict=True)]
    name = _tile(f.module, machine, p.dtype, rows)
    with f.loop(0, max(deep, 1)) as t:
        later = "false" if isinstance(t, int) else f.let(f"icmp ne i64 {t}, 0")
        f.call(
            name,
            "void",
            *[("ptr", f.at(a, f.mul(t, apart[0]), kind)), ("i64", a_row)],
            *[("i64", apart[1]), ("i64", apart[2])],
            *[("ptr", f.at(b, f.mul(t, high * across * wide), kind)), ("i64", wide)],
            *[("ptr", c), ("i64", c_row), ("i64", high), ("i64", across)],
            *[("i64", p.width), ("i1", later)],
        )


def _tile(module: Module, machine: Machine, dtype: str, places: int) -> str:
    """C[n·c_row + j] (+)= Σ_i Σ_k A[n·a_row + i·a_line + k·a_step + j] B[(i·steps + k)·b_step + j]

    for n in places, j in channels.
    """
    kind, lanes, size = TYPE[dtype], machine.lanes(dtype), SIZE[dtype]
    wide, hint, name = vector(kind, lanes), plain_loop(module), f"single_{kind}_{places}x{lanes}"

    def write() -> None:
        f = module.function(
            name,
            [
                *[("ptr noalias readonly", "A"), ("i64", "a_row"), ("i64", "a_line")],
                *[("i64", "a_step"), ("ptr noalias readonly", "B"), ("i64", "b_step")],
                *[("ptr noalias", "C"), ("i64", "c_row"), ("i64", "lines"), ("i64", "steps")],
                *[("i64", "channels"), ("i1", "accumulate")],
            ],
            attributes="noinline nounwind",
        )
        total = [f.variable(wide) for _ in range(places)]
        with f.loop(0, "%channels", lanes, hint=hint) as j:
            for n in range(places):
                f.set(total[n], "zeroinitializer")
            b = f.variable("ptr", f.at("%B", j, kind), align=8)
            with f.loop(0, "%lines", hint=hint) as i, f.loop(0, "%steps", hint=hint) as k:
                at = f.add(f.add(f.mul(i, "%a_line"), f.mul(k, "%a_step")), j)
                x, y = f.at("%A", at, kind), f.load(f.get(b), wide, align=size)
                for n in range(places):
                    z = f.load(f.at(x, f.mul("%a_row", n), kind), wide, align=size)
                    f.set(total[n], multiply_add(f, z, y, f.get(total[n]), kind, lanes))
                f.set(b, f.at(f.get(b), "%b_step", kind))
            left = f.sub("%channels", j)
            m, whole = mask(f, left, lanes), f.let(f"icmp sge i64 {left}, {lanes}")
            to = [f.at("%C", f.add(f.mul("%c_row", n), j), kind) for n in range(places)]
            with f.when("%accumulate"):
                for n in range(places):
                    old = masked_load(f, to[n], m, kind, lanes)
                    f.set(total[n], f.let(f"fadd {wide} {f.get(total[n])}, {old}"))
            with f.when(whole):
                for n in range(places):
                    f.store(f.get(total[n]), to[n], wide, align=size)
            with f.when(f.let(f"xor i1 {whole}, true")):
                for n in range(places):
                    masked_store(f, f.get(total[n]), to[n], m, kind, lanes)
        f.give()

    return module.once(name, write)


# -- the kernels' gradient --------------------------------------------------------------------


def depthwise_crossing(
    module: Module,
    machine: Machine,
    p: Correlation,
    name: str,
    *,
    w_last: bool,
    epilogue: str | None = None,
) -> Stages:
    """Its gradient in the kernels: each part adds up over some bands, another stage over parts."""
    how = _plan(p, machine)
    how = replace(how, band_parts=min(how.band_parts, PARTIAL), across=False)
    size, wide, taps = SIZE[p.dtype], how.panels.padded, math.prod(p.kernel)
    apart = whole_lines(taps * wide * size) // size
    adding = _adding(module, machine, how, name, apart)
    total = _total(module, machine, how, f"{name}_total", apart, w_last, epilogue)
    return Stages((adding, total), how.band_parts * apart * size)


def _adding(module: Module, machine: Machine, how: Plan, name: str, apart: int) -> Kernel:
    p, kind, wide = how.p, TYPE[how.p.dtype], how.panels.padded
    channels, places = p.width, math.prod(p.result)
    in_place = p.result_last and channels == wide
    row = math.prod(p.result[how.axis + 1 :])
    f = stage(module, name)
    buffer = f.at("%workspace", how.copies, "i8")
    ours = f.at("%scratch", f.mul("%part", apart), kind)
    first, last = share(f, how.bands, how.band_parts, "%part")
    with f.loop(first, last) as b:
        image, rows = f.div(b, how.row_groups), f.mod(b, how.row_groups)
        band = Band(
            *share(f, p.batch, how.image_groups, image),
            *share(f, p.rows(how.axis), how.row_groups, rows),
        )
        x = "%workspace"
        if how.direct:
            at = f.mul(f.mul(band.q0, p.stride[how.axis]), how.strides[how.axis + 1])
            at = f.add(at, f.mul(band.n0, how.strides[0]))
            at = f.add(at, sum(p.first(a) * how.strides[a + 1] for a in range(AXES)))
            x = f.at("%first", at, kind)
        else:
            copy(f, machine, how, band, 0, x)
        begin, count = f.mul(band.q0, row), f.mul(f.sub(band.q1, band.q0), row)
        with f.loop(0, f.sub(band.n1, band.n0)) as i:
            n = f.add(band.n0, i)
            if in_place:
                at = f.mul(f.add(f.mul(n, places), begin), channels)
                y = f.at("%second", at, kind)
            elif p.result_last:
                y, at = buffer, f.mul(f.add(f.mul(n, places), begin), channels)
                move(
                    f, machine, p.dtype, to=y, to_row=wide, source=f.at("%second", at, kind),
                    source_row=channels, rows=count, columns=channels,
                )  # fmt: skip
            else:
                y, at = buffer, f.add(f.mul(f.mul(n, channels), places), begin)
                transpose(
                    f, machine, p.dtype, to=y, to_row=wide, source=f.at("%second", at, kind),
                    source_row=places, rows=channels, columns=count,
                )  # fmt: skip
            later = f.let(f"icmp ne i64 {f.add(f.sub(b, first), i)}, 0")
            image = f.at(x, f.mul(i, how.strides[0]), kind)
            _all_taps(f, machine, how, band, image, y, ours, later)
    f.give()
    size = 0 if in_place else whole_lines(how.places * wide * SIZE[p.dtype])
    return Kernel(name, how.band_parts, how.copies + size)


def _all_taps(
    f: Function,
    machine: Machine,
    how: Plan,
    band: Band,
    x: str,
    y: str,
    to: str,
    later: str,
) -> None:
    """Emit the sums of one image's part of a band, a few taps at a time."""
    p, kind, wide = how.p, TYPE[how.p.dtype], how.panels.padded
    apart = [runs[0].dilation * s for runs, s in zip(p.runs, how.strides[1:], strict=True)]
    away = [
        sum(i * s for i, s in zip(at, apart, strict=True))
        for at in itertools.product(*(range(n) for n in p.kernel))
    ]
    sizes: list[Index] = list(p.result)
    sizes[how.axis] = f.sub(band.q1, band.q0)
    steps = [a * b for a, b in zip(p.stride, how.strides[1:], strict=True)]
    y_steps = [p.result[1] * p.result[2] * wide, p.result[2] * wide, wide]
    done = 0
    for taps, times in heights(len(away), TAPS):
        name = _tap_sums(f.module, machine, p.dtype, taps)
        listed = table(f.module, away[done : done + taps * times])
        with f.loop(0, times) as t, f.loop(0, sizes[0]) as d:
            before = f.mul(t, taps)
            again = later
            if not isinstance(d, int):
                again = f.let(f"or i1 {later}, {f.let(f'icmp ne i64 {d}, 0')}")
            f.call(
                name,
                "void",
                *[("ptr", f.at(x, f.mul(d, steps[0]), kind)), ("i64", steps[1])],
                *[("i64", steps[2]), ("ptr", f.at(f"@{listed}", before, "i64"))],
                *[("ptr", f.at(y, f.mul(d, y_steps[0]), kind)), ("i64", wide)],
                *[("ptr", f.at(to, f.mul(f.add(before, done), wide), kind)), ("i64", wide)],
                *[("i64", sizes[1]), ("i64", sizes[2]), ("i64", wide), ("i1", again)],
            )
        done += taps * times


def _tap_sums(module: Module, machine: Machine, dtype: str, taps: int) -> str:
    """C[t·c_row + j] (+)= Σ_i Σ_k A[table[t] + i·a_line + k·a_step + j] B[(i·steps + k)·b_step + j]

    for t in taps, j in channels, a multiple of the lanes.
    """
    kind, lanes, size = TYPE[dtype], machine.lanes(dtype), SIZE[dtype]
    wide, hint, name = vector(kind, lanes), plain_loop(module), f"taps_{kind}_{taps}x{lanes}"

    def write() -> None:
        f = module.function(
            name,
            [
                *[("ptr noalias readonly", "A"), ("i64", "a_line"), ("i64", "a_step")],
                *[("ptr noalias readonly", "table"), ("ptr noalias readonly", "B")],
                *[("i64", "b_step"), ("ptr noalias", "C"), ("i64", "c_row"), ("i64", "lines")],
                *[("i64", "steps"), ("i64", "channels"), ("i1", "accumulate")],
            ],
            attributes="noinline nounwind",
        )
        total = [f.variable(wide) for _ in range(taps)]
        away = [f.load(f.at("%table", t, "i64"), "i64") for t in range(taps)]
        starts = [f.at("%A", i, kind) for i in away]
        with f.loop(0, "%channels", lanes, hint=hint) as j:
            for t in range(taps):
                f.set(total[t], "zeroinitializer")
            b = f.variable("ptr", f.at("%B", j, kind), align=8)
            with f.loop(0, "%lines", hint=hint) as i:
                at = f.variable("i64", f.add(f.mul(i, "%a_line"), j), align=8)
                with f.loop(0, "%steps", hint=hint):
                    here, y = f.get(at), f.load(f.get(b), wide, align=size)
                    for t in range(taps):
                        x = f.load(f.at(starts[t], here, kind), wide, align=size)
                        f.set(total[t], multiply_add(f, x, y, f.get(total[t]), kind, lanes))
                    f.set(at, f.add(here, "%a_step"))
                    f.set(b, f.at(f.get(b), "%b_step", kind))
            for t in range(taps):
                to = f.at("%C", f.add(f.mul("%c_row", t), j), kind)
                with f.when("%accumulate"):
                    old = f.load(to, wide, align=size)
                    f.set(total[t], f.let(f"fadd {wide} {f.get(total[t])}, {old}"))
                f.store(f.get(total[t]), to, wide, align=size)
        f.give()

    return module.once(name, write)


def _total(
    module: Module,
    machine: Machine,
    how: Plan,
    name: str,
    apart: int,
    w_last: bool,
    epilogue: str | None,
) -> Kernel:
    p, wide, taps = how.p, how.panels.padded, math.prod(how.p.kernel)
    channels = p.width
    f = stage(module, name)
    move(
        f, machine, p.dtype, to="%result" if w_last else "%workspace",
        to_row=channels if w_last else wide, source="%scratch", source_row=wide, rows=taps,
        columns=channels, copies=how.band_parts, apart=apart,
    )  # fmt: skip
    if not w_last:
        transpose(
            f, machine, p.dtype, to="%result", to_row=taps, source="%workspace", source_row=wide,
            rows=taps, columns=channels,
        )  # fmt: skip
    if epilogue is not None:
        ends = (0, taps, 0, channels) if w_last else (0, channels, 0, taps)
        f.call(
            epilogue, "void", ("ptr", "%X"), ("ptr", "%result"), ("i64", 0),
            *(("i64", i) for i in ends),
        )  # fmt: skip
    f.give()
    return Kernel(name, 1, 0 if w_last else whole_lines(taps * wide * SIZE[p.dtype]))
