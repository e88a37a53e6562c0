"""The tile: a small block of C held in registers while all of K runs past it.

    C[i, j] (+)= Σ_s Σ_p  A[i·a_row + s·a_segment + p·a_step] · B[s·b_segment + p·b_step + j]

for i in rows, j in vectors · lanes; strides count numbers, not bytes. Every stride, k and the
number of segments are arguments, so one tile serves every shape and layout of a program: the text
of the tiles is what takes time to compile. A plain product has one segment; a convolution has one
for each row of its window, whose numbers lie side by side. A tile always writes full vectors: the
last columns of a narrow product go to a scratch tile and are copied from there (see `packing`).

What decides the speed, found on an AVX-512 machine where it runs at 99 % of the peak:
* the loads of A are splats that two vectors of B share: with one vector only, 85 %;
* the loop over p is not unrolled (unrolling doubles the text and gains nothing);
* LLVM makes one chain of additions out of the row addresses, as long as the tile is high, unless
  it cannot see that they belong together: hence a pointer for every four rows, each of them hidden.
"""

from __future__ import annotations

from typing import Any

from .machine import Machine
from .text import Function, Index, Module, splat, vector

TYPE = {"float32": "float", "float64": "double"}
SIZE = {"float32": 4, "float64": 8}
TOGETHER = 4
"""Rows addressed from one pointer."""


def height(machine: Machine) -> int:
    """Rows of the full tile: with two vectors each, three quarters of the registers accumulate."""
    return 3 * machine.registers // 8


def heights(rows: int, full: int) -> list[tuple[int, int]]:
    """So many rows as (height, how often), in order, with few heights among all shapes.

    Full tiles, and at the end one of 2/3 and a rest that is not low: 12 a + 8 b reaches every
    multiple of 4, so that most shapes share two tiles, and few need a third.
        >>> heights(128, 12), heights(38, 12), heights(7, 12)
        ([(12, 10), (8, 1)], [(12, 2), (8, 1), (6, 1)], [(7, 1)])
    """
    short = 2 * full // 3
    whole, rest = divmod(rows, full)
    if rest == 0 or rest >= short or whole == 0:
        parts = [(full, whole), (rest, 1 if rest else 0)]
    elif rest + full - short == short:
        parts = [(full, whole - 1), (short, 2)]
    else:
        parts = [(full, whole - 1), (short, 1), (rest + full - short, 1)]
    return [(h, times) for h, times in parts if times]


def multiply_add(f: Function, a: str, b: str, c: str, kind: str, lanes: int) -> str:
    """a · b + c in one instruction where the machine has it (else two, not a call of fma)."""
    wide = vector(kind, lanes)
    name = f"llvm.fmuladd.v{lanes}f{64 if kind == 'double' else 32}"
    f.module.intrinsic(name, wide, wide, wide, wide)
    return f.call(name, wide, (wide, a), (wide, b), (wide, c))


def plain_loop(module: Module) -> str:
    """The hint for a loop that LLVM shall neither unroll nor vectorise."""
    module.declare("!90 = distinct !{!90, !91, !92}")
    module.declare('!91 = !{!"llvm.loop.unroll.disable"}')
    module.declare('!92 = !{!"llvm.loop.vectorize.enable", i1 false}')
    return ", !llvm.loop !90"


def covering(rows: int, full: int) -> tuple[int, int]:
    """So many rows as full tiles, and tiles of 2/3 of their height of which the last one may reach
    beyond the end: how many of each. What fits all numbers of rows, and wastes little of a tile.
        >>> covering(128, 12), covering(38, 12), covering(77, 12)
        ((10, 1), (2, 2), (6, 1))
    """
    short, most = 2 * full // 3, rows // full
    ways = [(n, -(-(rows - n * full) // short)) for n in (most, most - 1) if n >= 0]
    return min(ways, key=lambda way: way[0] * full + way[1] * short)


def tile(
    module: Module, machine: Machine, dtype: str, rows: int, vectors: int, *, cut: bool = False
) -> str:
    """The name of the tile's function, written at its first use. `call_tile` calls it. One that is
    cut is told its last row; those behind it are that row once more, computed and written.
    """
    lanes, kind = machine.lanes(dtype), TYPE[dtype]
    name = f"tile_{kind}_{rows}x{vectors}x{lanes}" + ("_cut" if cut else "")
    size = SIZE[dtype]
    return module.once(name, lambda: _write(module, name, kind, size, lanes, rows, vectors, cut))


def call_tile(
    f: Function,
    name: str,
    *,
    a: str,
    a_row: Index,
    a_step: Index,
    b: str,
    b_step: Index,
    c: str,
    c_row: Index,
    k: Index,
    accumulate: Any,
    segments: Index = 1,
    a_segment: Index = 0,
    b_segment: Index = 0,
    panels: Index = 1,
    b_panel: Index = 0,
    fetch: bool = False,
    last: Index | None = None,
) -> None:
    """Call a tile; `accumulate` (an i1, or a bool) adds to what is in C instead of replacing it.

    With `panels` it is so many tiles side by side, whose parts of B are `b_panel` apart. `fetch`:
    each asks for its part of C before it begins, which pays where C is not in a near cache. `last`:
    the last row of one that is cut.
    """
    adds, asks = ({True: "true", False: "false"}.get(x, x) for x in (accumulate, fetch))
    f.call(
        name,
        "void",
        *[("ptr", a), ("i64", a_row), ("i64", a_step), ("i64", a_segment)],
        *[("ptr", b), ("i64", b_step), ("i64", b_segment), ("i64", b_panel)],
        *[("ptr", c), ("i64", c_row)],
        *[("i64", panels), ("i64", segments), ("i64", k), ("i1", adds), ("i1", asks)],
        *([] if last is None else [("i64", last)]),
    )


def _write(
    module: Module, name: str, kind: str, size: int, lanes: int, rows: int, vectors: int, cut: bool
) -> None:
    f = module.function(
        name,
        [
            *[("ptr noalias readonly", "A"), ("i64", "a_row"), ("i64", "a_step"), ("i64", "a_seg")],
            *[("ptr noalias readonly", "B"), ("i64", "b_step"), ("i64", "b_seg")],
            *[("i64", "b_panel"), ("ptr noalias", "C"), ("i64", "c_row"), ("i64", "panels")],
            *[("i64", "segments"), ("i64", "k"), ("i1", "accumulate"), ("i1", "fetch")],
            *([("i64", "last")] if cut else []),
        ],
        attributes="noinline nounwind",
    )
    wide, hint = vector(kind, lanes), plain_loop(module)
    each = [(i, j) for i in range(rows) for j in range(vectors)]
    total = {at: f.variable(wide) for at in each}
    starts = ["%A"]
    number: list[Index] = [f.least(i, "%last") if cut and i else i for i in range(rows)]
    together = rows if cut else TOGETHER
    for i in range(together, rows, together):
        start = f.at("%A", f.mul("%a_row", i), kind)
        starts.append(f.let(f'call ptr asm "", "=r,0"(ptr {start})'))  # hidden: see the top
    pointers = [f.variable("ptr", align=8) for _ in starts]
    below = [f.mul("%a_row", i) for i in number[:together]]
    behind = f.variable("ptr", align=8)
    a_jump = f.sub("%a_seg", f.mul("%k", "%a_step"))
    b_jump = f.sub("%b_seg", f.mul("%k", "%b_step"))

    with f.loop(0, "%panels", hint=hint) as panel:
        c = f.at("%C", f.mul(panel, vectors * lanes), kind)
        with f.when("%fetch"):
            _fetch(f, c, rows, [f.mul(j, lanes) for j in range(vectors)], kind)
        for variable, start in zip(pointers, starts, strict=True):
            f.set(variable, start)
        f.set(behind, f.at("%B", f.mul(panel, "%b_panel"), kind))
        for at in each:
            f.set(total[at], "zeroinitializer")
        with f.loop(0, "%segments", hint=hint):
            with f.loop(0, "%k", hint=hint):
                a, b = [f.get(p) for p in pointers], f.get(behind)
                column = [
                    f.load(f.at(b, lanes * j, kind), wide, align=size) for j in range(vectors)
                ]
                for i in range(rows):
                    x = f.load(f.at(a[i // together], below[i % together], kind), kind)
                    x = splat(f, x, kind, lanes)
                    for j in range(vectors):
                        at = total[i, j]
                        f.set(at, multiply_add(f, x, column[j], f.get(at), kind, lanes))
                for variable, pointer in zip(pointers, a, strict=True):
                    f.set(variable, f.at(pointer, "%a_step", kind))
                f.set(behind, f.at(b, "%b_step", kind))
            for variable in pointers:
                f.set(variable, f.at(f.get(variable), a_jump, kind))
            f.set(behind, f.at(f.get(behind), b_jump, kind))

        place = {
            (i, j): f.at(c, f.add(f.mul("%c_row", number[i]), lanes * j), kind) for i, j in each
        }
        with f.when("%accumulate"):
            for at in each:
                old = f.load(place[at], wide, align=size)
                f.set(total[at], f.let(f"fadd {wide} {f.get(total[at])}, {old}"))
        for at in each:
            f.store(f.get(total[at]), place[at], wide, align=size)
    f.give()


def _fetch(f: Function, c: str, rows: int, columns: list[Index], kind: str) -> None:
    """Ask for the lines that a tile of C lies in: they are there when its sums are."""
    name = f.module.intrinsic("llvm.prefetch.p0", "void", "ptr", "i32", "i32", "i32")
    with f.loop(0, rows, hint=plain_loop(f.module)) as i:
        for j in columns:
            at = f.at(c, f.add(f.mul(i, "%c_row"), j), kind)
            f.call(name, "void", ("ptr", at), ("i32", 1), ("i32", 3), ("i32", 1))
