"""Blocks of numbers moved: copied, added up, turned.

Functions that all kernels of a program share, so that they are compiled once. Rows are moved as
whole vectors and an incomplete one; nothing is touched outside the block, so that it may be a part
of something larger: an image inside its border, a panel of kernels, some channels of a result.
"""

from __future__ import annotations

from collections.abc import Callable

from .machine import Machine
from .microkernel import SIZE, TYPE, plain_loop
from .packing import group, mask, masked_load, masked_store, turned
from .text import Function, Index, Module, vector

FEW = 4
"""With so few rows (the colours of an image), `transpose` moves single numbers, several rows in one
pass."""


ARGUMENTS = [
    *[("ptr noalias", "D"), ("i64", "d_row"), ("ptr noalias readonly", "S"), ("i64", "s_row")],
    *[("i64", "rows"), ("i64", "columns")],
]


def clear(f: Function, dtype: str, to: str, count: Index) -> None:
    """Emit zeros for so many numbers."""
    name = f.module.intrinsic("llvm.memset.p0.i64", "void", "ptr", "i8", "i64", "i1")
    size = f.mul(count, SIZE[dtype])
    f.call(name, "void", ("ptr", to), ("i8", 0), ("i64", size), ("i1", "false"))


def move(
    f: Function,
    machine: Machine,
    dtype: str,
    *,
    to: str,
    to_row: Index,
    source: str,
    source_row: Index,
    rows: Index,
    columns: Index,
    copies: Index = 1,
    apart: Index = 0,
) -> None:
    """Emit to[i·to_row + j] = Σ_n source[n·apart + i·source_row + j]   i < rows, j < columns

    for n from 0 to copies, in this order.
    """
    if copies == 1 and rows == 1:
        name = f.module.intrinsic("llvm.memcpy.p0.p0.i64", "void", "ptr", "ptr", "i64", "i1")
        size = f.mul(columns, SIZE[dtype])
        f.call(name, "void", ("ptr", to), ("ptr", source), ("i64", size), ("i1", "false"))
        return
    f.call(
        _mover(f.module, machine, dtype, several=copies != 1),
        "void",
        *[("ptr", to), ("i64", to_row), ("ptr", source), ("i64", source_row)],
        *[("i64", rows), ("i64", columns), ("i64", copies), ("i64", apart)],
    )


def _mover(module: Module, machine: Machine, dtype: str, several: bool) -> str:
    kind, lanes, size = TYPE[dtype], machine.lanes(dtype), SIZE[dtype]
    wide, hint = vector(kind, lanes), plain_loop(module)
    name = f"{'total' if several else 'move'}_{kind}_{lanes}"

    def write() -> None:
        f = module.function(
            name,
            [*ARGUMENTS, ("i64", "copies"), ("i64", "apart")],
            attributes="noinline nounwind",
        )

        def value(at: str, read: Callable[[str], str]) -> str:
            if not several:
                return read(at)
            total = f.variable(wide, read(at))
            with f.loop(1, "%copies", hint=hint) as n:
                x = read(f.at(at, f.mul(n, "%apart"), kind))
                f.set(total, f.let(f"fadd {wide} {f.get(total)}, {x}"))
            return f.get(total)

        whole = f.let(f"and i64 %columns, {-lanes}")
        rest = f.sub("%columns", whole)
        some, m = f.let(f"icmp ne i64 {rest}, 0"), mask(f, rest, lanes)
        with f.loop(0, "%rows", hint=hint) as i:
            s, d = f.at("%S", f.mul(i, "%s_row"), kind), f.at("%D", f.mul(i, "%d_row"), kind)
            with f.loop(0, whole, lanes, hint=hint) as j:
                x = value(f.at(s, j, kind), lambda at: f.load(at, wide, align=size))
                f.store(x, f.at(d, j, kind), wide, align=size)
            with f.when(some):
                x = value(f.at(s, whole, kind), lambda at: masked_load(f, at, m, kind, lanes))
                masked_store(f, x, f.at(d, whole, kind), m, kind, lanes)
        f.give()

    return module.once(name, write)


def transpose(
    f: Function,
    machine: Machine,
    dtype: str,
    *,
    to: str,
    to_row: Index,
    source: str,
    source_row: Index,
    rows: Index,
    columns: Index,
) -> None:
    """Emit to[j·to_row + i] = source[i·source_row + j]   i < rows, j < columns"""
    few = rows if isinstance(rows, int) and rows <= FEW else 0
    name = _few(f.module, dtype, few) if few else _blocks(f.module, machine, dtype)
    f.call(
        name,
        "void",
        *[("ptr", to), ("i64", to_row), ("ptr", source), ("i64", source_row)],
        *[("i64", rows), ("i64", columns)],
    )


def _few(module: Module, dtype: str, rows: int) -> str:
    kind = TYPE[dtype]
    name = f"transpose_{rows}_{kind}"

    def write() -> None:
        f = module.function(name, ARGUMENTS, attributes="noinline nounwind")
        lines = [f.at("%S", f.mul("%s_row", i), kind) for i in range(rows)]
        packed = f.let(f"icmp eq i64 %d_row, {rows}")  # then LLVM may use whole vectors
        for d_row, condition in ((rows, packed), ("%d_row", f.let(f"xor i1 {packed}, true"))):
            with f.when(condition), f.loop(0, "%columns") as j:
                d = f.at("%D", f.mul(j, d_row), kind)
                for i, line in enumerate(lines):
                    f.store(f.load(f.at(line, j, kind), kind), f.at(d, i, kind), kind)
        f.give()

    return module.once(name, write)


def _blocks(module: Module, machine: Machine, dtype: str) -> str:
    """As many rows as a vector has lanes, a few columns at a time; the last ones overlap."""
    kind, lanes, size = TYPE[dtype], machine.lanes(dtype), SIZE[dtype]
    wide, name, step = vector(kind, lanes), f"transpose_{kind}_{lanes}", group(dtype, lanes)

    def write() -> None:
        f = module.function(name, ARGUMENTS, attributes="noinline nounwind")
        hint = plain_loop(module)
        last = f.sub("%rows", 1)
        enough = f.let(f"icmp sge i64 %columns, {step}")
        with f.loop(0, f.let(f"select i1 {enough}, i64 %rows, i64 0"), lanes, hint=hint) as i:
            lines = [
                f.at("%S", f.mul(f.least(f.add(i, n), last), "%s_row"), kind) for n in range(lanes)
            ]
            left, d = f.sub("%rows", i), f.at("%D", i, kind)
            m, whole = mask(f, left, lanes), f.let(f"icmp sge i64 {left}, {lanes}")
            for full in (True, False):
                condition = whole if full else f.let(f"xor i1 {whole}, true")
                with f.when(condition), f.loop(0, "%columns", step, hint=hint) as q:
                    j = f.least(q, f.sub("%columns", step))
                    to = f.at(d, f.mul(j, "%d_row"), kind)
                    for n, x in enumerate(turned(f, lines, j, dtype)):
                        at = f.at(to, f.mul("%d_row", n), kind)
                        if full:
                            f.store(x, at, wide, align=size)
                        else:
                            masked_store(f, x, at, m, kind, lanes)
        with (
            f.when(f.let(f"xor i1 {enough}, true")),
            f.loop(0, "%rows", hint=hint) as i,
            f.loop(0, "%columns", hint=hint) as j,
        ):
            x = f.load(f.at("%S", f.add(f.mul(i, "%s_row"), j), kind), kind)
            f.store(x, f.at("%D", f.add(f.mul(j, "%d_row"), i), kind), kind)
        f.give()

    return module.once(name, write)
