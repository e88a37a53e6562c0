"""Convolutions of one channel with one kernel: filters of signals and of images.

A place of the result is the sum of as many numbers as the kernel has entries, each from another
line of the source, or from the same one, shifted. So vectors lie along the last axis of space, and
nothing is packed. The source is copied only where it has a border.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .kernel import Kernel
from .machine import Machine
from .microkernel import SIZE, TYPE, multiply_add, plain_loop
from .moves import clear, move
from .packing import mask, masked_load
from .stages import Stages, finish, offset, share, stage, whole_lines
from .taps import Correlation, Run, Three
from .text import Function, Index, Module, splat, vector
from .weights import order, table

WORK = 50_000
"""Products worth a part of their own."""
PARTS = 8
"""Parts at most."""
VECTORS = 8
"""Vectors of a line that are computed together, at most."""
TAPS = 8
"""Taps of the gradient that are."""


def is_filter(p: Correlation, machine: Machine) -> bool:
    """Whether this way can be taken, and pays: lines are long."""
    return (
        p.groups == p.depth == p.width == p.w_tap == 1
        and all(len(runs) == 1 and runs[0].taps for runs in p.runs)
        and p.stride[-1] == 1
        and p.result[-1] >= machine.lanes(p.dtype)
    )


def shifts(
    module: Module, machine: Machine, p: Correlation, name: str, *, epilogue: str | None = None
) -> Stages:
    """The result of such a convolution."""
    kind, lanes, taps = TYPE[p.dtype], machine.lanes(p.dtype), len(order(p))
    lines, vectors = p.batch * math.prod(p.result[:-1]), min(VECTORS, p.result[-1] // lanes)
    parts = _parts(lines * p.result[-1] * taps)
    pieces = max(1, min(-(-parts // lines), p.result[-1] // (vectors * lanes)))  # of a line
    parts = min(parts, lines * pieces)
    away, which = (table(module, x) for x in (_away(p), order(p)))
    row = _row(module, machine, p.dtype, vectors)
    f = stage(module, name)
    with f.loop(*share(f, lines * pieces, parts, "%part")) as i:
        line = f.div(i, pieces)
        begin, end = share(f, p.result[-1], pieces, f.mod(i, pieces))
        n, places = f.div(line, lines // p.batch), math.prod(p.result)
        before = f.mul(f.mod(line, lines // p.batch), p.result[-1])
        x = _line(f, p, line)
        y = f.at("%result", f.mul(line, p.result[-1]), kind)
        f.call(
            row, "void", ("ptr", x), ("ptr", "%second"), ("ptr", y), ("i64", begin), ("i64", end),
            ("ptr", f"@{away}"), ("ptr", f"@{which}"), ("i64", taps),
        )  # fmt: skip
        if epilogue is not None:
            some = f.add(before, begin), f.add(before, end)
            finish(
                f, epilogue, last=p.result_last, images=(n, f.add(n, 1)), places=places, some=some,
                columns=(0, 1),
            )  # fmt: skip
    f.give()
    return _stages(module, machine, p, name, Kernel(name, parts, 0))


def shifts_crossing(
    module: Module,
    machine: Machine,
    p: Correlation,
    name: str,
    *,
    w_last: bool,
    epilogue: str | None = None,
) -> Stages:
    """The gradient of its kernel: for every tap, what the shifted source and the result have in
    common.
    """
    kind, lanes, taps = TYPE[p.dtype], machine.lanes(p.dtype), math.prod(p.kernel)
    lines, wide = p.batch * math.prod(p.result[:-1]), vector(kind, lanes)
    groups = -(-taps // TAPS)
    parts = min(groups, _parts(lines * p.result[-1] * taps))
    listed = table(module, [*_away(p), *[0] * (groups * TAPS - taps)])
    dots = _dots(module, machine, p.dtype)
    total = f"llvm.vector.reduce.fadd.v{lanes}f{8 * SIZE[p.dtype]}"
    module.intrinsic(total, kind, kind, wide)
    f = stage(module, name)
    with f.loop(*share(f, groups, parts, "%part")) as g:
        first = f.mul(g, TAPS)
        clear(f, p.dtype, "%workspace", TAPS * lanes)
        with f.loop(0, lines) as line:
            y = f.at("%second", f.mul(line, p.result[-1]), kind)
            f.call(
                dots, "void", ("ptr", _line(f, p, line)), ("ptr", f.at(f"@{listed}", first, "i64")),
                ("ptr", y), ("ptr", "%workspace"), ("i64", p.result[-1]),
            )  # fmt: skip
        last = f.least(f.add(first, TAPS), taps)
        with f.loop(first, last) as t:
            at = f.at("%workspace", f.mul(f.sub(t, first), lanes), kind)
            x = f.load(at, wide, align=SIZE[p.dtype])
            f.store(f.call(total, kind, (kind, "-0.0"), (wide, x)), f.at("%result", t, kind), kind)
        if epilogue is not None:
            ends = (first, last, 0, 1) if w_last else (0, 1, first, last)
            f.call(
                epilogue, "void", ("ptr", "%X"), ("ptr", "%result"), ("i64", 0),
                *(("i64", i) for i in ends),
            )  # fmt: skip
    f.give()
    return _stages(module, machine, p, name, Kernel(name, parts, TAPS * lanes * SIZE[p.dtype]))


def _parts(work: int) -> int:
    return max(1, min(PARTS, work // WORK))


# -- the source with its border ---------------------------------------------------------------


def _runs(p: Correlation) -> tuple[Run, ...]:
    return tuple(runs[0] for runs in p.runs)


def _seen(p: Correlation) -> Three:
    """How much of the source, border included, is read."""
    return tuple((r.count - 1) * r.stride + r.reach + 1 for r in _runs(p))  # type: ignore[return-value]


def _strides(p: Correlation) -> tuple[int, int, int]:
    """Of what is read: the source, or its copy."""
    _, high, wide = p.source if p.inside else _seen(p)
    return high * wide, wide, 1


def _away(p: Correlation) -> list[int]:
    """How far from where a line begins each tap reads, in the order of `order`."""
    deep, high, wide = (
        [i * r.dilation * s for i in range(len(r.taps))]
        for r, s in zip(_runs(p), _strides(p), strict=True)
    )
    return [i + j + k for i in deep for j in high for k in wide]


def _line(f: Function, p: Correlation, line: Index) -> str:
    """Where the first tap of a line of the result reads."""
    of, strides = _runs(p), _strides(p)
    n, rest = f.div(line, p.result[0] * p.result[1]), f.mod(line, p.result[0] * p.result[1])
    at = offset(
        f, (n, f.div(rest, p.result[1]), f.mod(rest, p.result[1])),
        ((p.source if p.inside else _seen(p))[0] * strides[0], of[0].stride * strides[0],
         of[1].stride * strides[1]),
    )  # fmt: skip
    if p.inside:
        at = f.add(at, sum(r.base * s for r, s in zip(of, strides, strict=True)))
    return f.at("%first" if p.inside else "%scratch", at, TYPE[p.dtype])


def _stages(module: Module, machine: Machine, p: Correlation, name: str, kernel: Kernel) -> Stages:
    """With the copy in front, if there is one."""
    if p.inside:
        return Stages((kernel,), 0)
    seen, kind = _seen(p), TYPE[p.dtype]
    f = stage(module, f"{name}_border")
    lines = p.batch * seen[0] * seen[1]
    parts = max(1, min(PARTS, lines, lines * seen[2] // WORK))
    (d0, d1), (h0, h1), (w0, w1) = (
        (max(0, -r.base), max(0, min(n, size - r.base)))
        for r, n, size in zip(_runs(p), seen, p.source, strict=True)
    )
    base = [r.base for r in _runs(p)]
    with f.loop(*share(f, lines, parts, "%part")) as line:
        to = f.at("%scratch", f.mul(line, seen[2]), kind)
        clear(f, p.dtype, to, seen[2])
        n, rest = f.div(line, seen[0] * seen[1]), f.mod(line, seen[0] * seen[1])
        i, j = f.div(rest, seen[1]), f.mod(rest, seen[1])
        ends = ((i, d0, d1), (j, h0, h1))
        tests = [
            f.let(f"icmp {c} i64 {a}, {b}") for a, x, y in ends for c, b in (("sge", x), ("slt", y))
        ]
        inside = tests[0]
        for test in tests[1:]:
            inside = f.let(f"and i1 {inside}, {test}")
        if w1 > w0:
            with f.when(inside):
                at = offset(
                    f, (n, f.add(i, base[0]), f.add(j, base[1]), 1),
                    (math.prod(p.source), p.source[1] * p.source[2], p.source[2], base[2] + w0),
                )  # fmt: skip
                move(
                    f, machine, p.dtype, to=f.at(to, w0, kind), to_row=0,
                    source=f.at("%first", at, kind), source_row=0, rows=1, columns=w1 - w0,
                )  # fmt: skip
    f.give()
    size = whole_lines(p.batch * math.prod(seen) * SIZE[p.dtype])
    return Stages((Kernel(f"{name}_border", parts, 0), kernel), size)


# -- the tiles --------------------------------------------------------------------------------


def _row(module: Module, machine: Machine, dtype: str, vectors: int) -> str:
    """C[j] = Σ_t A[away[t] + j] B[which[t]]   j from `begin` to `end`, which are not near"""
    kind, lanes, size = TYPE[dtype], machine.lanes(dtype), SIZE[dtype]
    wide, hint, name = vector(kind, lanes), plain_loop(module), f"shifts_{kind}_{vectors}x{lanes}"

    def write() -> None:
        f = module.function(
            name,
            [
                *[("ptr noalias readonly", "A"), ("ptr noalias readonly", "B")],
                *[("ptr noalias", "C"), ("i64", "begin"), ("i64", "end")],
                *[("ptr noalias readonly", "away"), ("ptr noalias readonly", "which")],
                *[("i64", "taps")],
            ],
            attributes="noinline nounwind",
        )
        total = [f.variable(wide) for _ in range(vectors)]
        last = f.sub("%end", vectors * lanes)  # those at the end are computed twice
        with f.loop("%begin", "%end", vectors * lanes, hint=hint) as i:
            j = f.least(i, last)
            a, c = f.at("%A", j, kind), f.at("%C", j, kind)
            for x in total:
                f.set(x, "zeroinitializer")
            with f.loop(0, "%taps", hint=hint) as t:
                from_here = f.at(a, f.load(f.at("%away", t, "i64"), "i64"), kind)
                w = f.load(f.at("%B", f.load(f.at("%which", t, "i64"), "i64"), kind), kind)
                w = splat(f, w, kind, lanes)
                for k, x in enumerate(total):
                    v = f.load(f.at(from_here, k * lanes, kind), wide, align=size)
                    f.set(x, multiply_add(f, v, w, f.get(x), kind, lanes))
            for k, x in enumerate(total):
                f.store(f.get(x), f.at(c, k * lanes, kind), wide, align=size)
        f.give()

    return module.once(name, write)


def _dots(module: Module, machine: Machine, dtype: str) -> str:
    """C[t] += Σ_j A[away[t] + j] B[j]   in lanes; j below `count`"""
    kind, lanes, size = TYPE[dtype], machine.lanes(dtype), SIZE[dtype]
    wide, hint, name = vector(kind, lanes), plain_loop(module), f"dots_{kind}_{lanes}"

    def write() -> None:
        f = module.function(
            name,
            [
                *[("ptr noalias readonly", "A"), ("ptr noalias readonly", "away")],
                *[("ptr noalias readonly", "B"), ("ptr noalias", "C"), ("i64", "count")],
            ],
            attributes="noinline nounwind",
        )
        taps = range(TAPS)
        starts = [f.at("%A", f.load(f.at("%away", t, "i64"), "i64"), kind) for t in taps]
        places = [f.at("%C", t * lanes, kind) for t in taps]
        total = [f.variable(wide, f.load(at, wide, align=size)) for at in places]
        whole = f.let(f"and i64 %count, {-lanes}")

        def add(read: Sequence[str], y: str) -> None:
            for x, v in zip(total, read, strict=True):
                f.set(x, multiply_add(f, v, y, f.get(x), kind, lanes))

        with f.loop(0, whole, lanes, hint=hint) as j:
            y = f.load(f.at("%B", j, kind), wide, align=size)
            add([f.load(f.at(a, j, kind), wide, align=size) for a in starts], y)
        m = mask(f, f.sub("%count", whole), lanes)
        y = masked_load(f, f.at("%B", whole, kind), m, kind, lanes)
        add([masked_load(f, f.at(a, whole, kind), m, kind, lanes) for a in starts], y)
        for x, at in zip(total, places, strict=True):
            f.store(f.get(x), at, wide, align=size)
        f.give()

    return module.once(name, write)
