"""Inner products: the tile for operands whose K is contiguous in memory, with few rows or columns.

    C[i·c_row + j·c_col] (+)= Σ_p  A[i·a_row + p] · B[j·b_col + p]        i < rows, j < columns

Here the lanes run along K, so that nothing is packed and no lane is idle however narrow C is; the
price is one sum over the lanes for every number of C, at the end, several at a time as a tree.
A matrix times a vector is the case of one column. Lanes and tree make the order of summation, which
depends on nothing but k.
"""

from __future__ import annotations

from typing import Any

from .machine import Machine
from .microkernel import SIZE, TYPE, multiply_add, plain_loop
from .packing import mask, masked_load, shuffle
from .text import Function, Index, Module, vector

CHAINS = 8
"""Sums that must be under way at once: two additions a cycle, four cycles each."""


def shape(rows: int, columns: int, machine: Machine) -> tuple[int, int]:
    """A good tile: the columns in equal groups, their vectors kept in a quarter of the registers,
    sums in three quarters.
    """
    groups = -(-columns // (machine.registers // 4 - 1))
    wide = -(-columns // groups)
    return max(1, min(rows, 8, 3 * machine.registers // 4 // wide)), wide


def dots(module: Module, machine: Machine, dtype: str, rows: int, columns: int) -> str:
    """The name of the tile's function, written at its first use. `call_dots` calls it."""
    lanes, kind = machine.lanes(dtype), TYPE[dtype]
    name = f"dots_{kind}_{rows}x{columns}x{lanes}"
    return module.once(name, lambda: _write(module, name, dtype, lanes, rows, columns))


def call_dots(
    f: Function,
    name: str,
    *,
    a: str,
    a_row: Index,
    b: str,
    b_col: Index,
    c: str,
    c_row: Index,
    c_col: Index,
    k: Index,
    accumulate: Any,
) -> None:
    """Call a tile; `accumulate` is an i1."""
    f.call(
        name,
        "void",
        *[("ptr", a), ("i64", a_row), ("ptr", b), ("i64", b_col)],
        *[("ptr", c), ("i64", c_row), ("i64", c_col), ("i64", k), ("i1", accumulate)],
    )


def _write(module: Module, name: str, dtype: str, lanes: int, rows: int, columns: int) -> None:
    kind, size = TYPE[dtype], SIZE[dtype]
    f = module.function(
        name,
        [
            *[("ptr noalias readonly", "A"), ("i64", "a_row")],
            *[("ptr noalias readonly", "B"), ("i64", "b_col")],
            *[("ptr noalias", "C"), ("i64", "c_row"), ("i64", "c_col")],
            *[("i64", "k"), ("i1", "accumulate")],
        ],
        attributes="noinline nounwind",
    )
    wide, hint = vector(kind, lanes), plain_loop(module)
    each = [(i, j) for i in range(rows) for j in range(columns)]
    times = -(-CHAINS // len(each))
    total = [{at: f.variable(wide, "zeroinitializer") for at in each} for _ in range(times)]
    lines_a = [f.at("%A", f.mul("%a_row", i), kind) for i in range(rows)]
    lines_b = [f.at("%B", f.mul("%b_col", j), kind) for j in range(columns)]

    def step(p: Index, sums: dict[tuple[int, int], Any], m: str | None) -> None:
        def numbers(line: str) -> str:
            at = f.at(line, p, kind)
            return masked_load(f, at, m, kind, lanes) if m else f.load(at, wide, align=size)

        column = [numbers(line) for line in lines_b]
        for i, line in enumerate(lines_a):
            x = numbers(line)
            for j, y in enumerate(column):
                f.set(sums[i, j], multiply_add(f, x, y, f.get(sums[i, j]), kind, lanes))

    whole = f.mul(f.div("%k", times * lanes), times * lanes)
    with f.loop(0, whole, times * lanes, hint=hint) as p:
        for u in range(times):
            step(f.add(p, u * lanes), total[u], None)
    with f.loop(whole, "%k", lanes, hint=hint) as p:
        step(p, total[0], mask(f, f.sub("%k", p), lanes))

    ends = []
    for at in each:
        x = f.get(total[0][at])
        for other in total[1:]:
            x = f.let(f"fadd {wide} {x}, {f.get(other[at])}")
        ends.append(x)
    for (i, j), x in zip(each, _summed(f, ends, kind, lanes), strict=True):
        place = f.at("%C", f.add(f.mul("%c_row", i), f.mul("%c_col", j)), kind)
        old = f.let(f"select i1 %accumulate, {kind} {f.load(place, kind)}, {kind} 0.0")
        f.store(f.let(f"fadd {kind} {x}, {old}"), place, kind)
    f.give()


def _summed(f: Function, vectors: list[str], kind: str, lanes: int) -> list[str]:
    """The sum over the lanes of each: two vectors become one that holds the sums of neighbours,
    until a vector holds one number of each of as many vectors as it has lanes. One that is alone
    is its own partner: its sums then stand there twice, behind the others.
    """
    wide = vector(kind, lanes)
    even, odd = list(range(0, 2 * lanes, 2)), list(range(1, 2 * lanes, 2))
    found = []
    for start in range(0, len(vectors), lanes):
        level = vectors[start : start + lanes]
        count = len(level)
        for _ in range(lanes.bit_length() - 1):
            pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
            level = [
                f.let(
                    f"fadd {wide} {shuffle(f, p[0], p[-1], kind, lanes, even)}, "
                    f"{shuffle(f, p[0], p[-1], kind, lanes, odd)}"
                )
                for p in pairs
            ]
        found += [f.let(f"extractelement {wide} {level[0]}, i64 {i}") for i in range(count)]
    return found
