"""Products of matrices: C = A B of any strides, one or a whole batch of them.

`product` writes a function that computes one part of a product and gives the `Kernel` that says how
many parts there are. `blocking` decides how it is done, `blocks` and `matvec` do it, with the
kernels of `microkernel`, `dots` and `packing`, which all products of a module share.

The order in which the terms of a sum are added depends on the product alone, never on who computes
which part when: results are the same to the last bit for any number of threads.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from .blocking import Plan, Product, panels, planned, tiles
from .blocks import by_tiles
from .job import Job, rooms
from .kernel import Kernel
from .machine import Machine
from .matvec import by_dots, by_rows
from .microkernel import TYPE, plain_loop
from .text import Function, Index, Module

__all__ = ["Product", "product"]

WAYS = {"tiles": by_tiles, "dots": by_dots, "rows": by_rows}

ARGUMENTS = [
    ("ptr noalias readonly", "A"),
    ("ptr noalias readonly", "B"),
    ("ptr", "C"),  # an epilogue may reach it through X as well
    ("ptr", "X"),
    ("ptr noalias", "workspace"),
    ("i64", "part"),
]

PLAIN = "noinline optnone nounwind"
"""What is written here only leads from tile to tile. Optimising it takes half of the time that
LLVM takes for a product, and makes nothing faster (measured, also for tiny products)."""


def product(
    module: Module,
    machine: Machine,
    p: Product,
    *,
    epilogue: str | None = None,
    accumulate: bool = False,
    length: int | None = None,
) -> Kernel:
    """The kernel of a product, `void @name(A, B, C, X, workspace, part)`, written once.

    epilogue     the name of a function `void @e(ptr X, ptr C, i64 batch, i64 i0, i64 i1, i64 j0,
                 i64 j1)` to be called for every block C[i0:i1, j0:j1] of the product number `batch`
                 (axes of the batch counted in C order) when its sums are complete, and still in
                 the nearest caches; every number of C is in exactly one block. C and X are passed
                 on as they came; i is a row and j a column of the C that was asked for.
    accumulate   C's numbers are added to, not replaced.
    length       K is cut into slices of so many terms, and C receives one product after the other,
                 each as large as the whole batch (see `slices`).

    Blocks reach along the contiguous axis of C as far as panels are kept together (commonly all of
    a part's columns: 32 to 512 with 512-bit vectors; a multiple of the panel, but for the last),
    and across it over one tile (12 rows, at the end 8 and what is left, with 512 bits; 6 and 4
    else), over as many as make a thousand numbers, or over eight where A is packed. Narrow
    products come in blocks of up to 4096 numbers, all of their columns; a matrix times a vector in
    runs of up to 4096.
    """
    known = p, epilogue, accumulate, length, machine.bits, machine.registers
    name = module.numbered("matmul", known)
    if 0 in (p.count, p.m, p.n, p.k):
        module.once(name, lambda: _empty(module, name, p, epilogue, accumulate))
        return Kernel(name, 1, 0)
    length = length or p.k
    slices = -(-p.k // length)
    done, plan = planned(
        replace(p, k=length),
        machine,
        slices,
        general=module.general,
        like=module.habits.get(name),
    )
    module.habits.setdefault(name, plan.kind)
    whole = _Whole(name, p.k, slices, epilogue, accumulate)
    module.once(name, lambda: _write(module, machine, whole, done, plan))
    return Kernel(name, slices * math.prod(plan.parts), sum(rooms(done, plan, machine)))


class _Whole(NamedTuple):
    """What a kernel is asked for, beside its plan."""

    name: str
    k: int
    slices: int
    epilogue: str | None
    accumulate: bool


def _write(module: Module, machine: Machine, whole: _Whole, p: Product, plan: Plan) -> None:
    f = module.function(whole.name, ARGUMENTS, attributes=PLAIN)
    a, b = ("%B", "%A") if plan.turned else ("%A", "%B")
    batches, down, across = plan.parts
    columns = _share(f, _columns(p, plan, machine), f.mod("%part", across), across)
    left = f.div("%part", across)
    rows = _share(f, _rows(p, plan, module.general), f.mod(left, down), down)
    left = f.div(left, down)
    c, terms = "%C", (0, p.k)
    if whole.slices > 1:
        which, left = f.div(left, batches), f.mod(left, batches)
        first = f.mul(which, p.k)
        terms = (first, f.least(f.add(first, p.k), whole.k))
        c = f.at(c, f.mul(which, p.count * p.m * p.n), TYPE[p.dtype])
    last = whole.k - (whole.slices - 1) * p.k
    share, hint = _share(f, p.count, left, batches), plain_loop(module)
    with f.loop(*share, hint=hint) as batch:

        def start(pointer: str, along: tuple[int, ...]) -> str:
            return f.at(pointer, offset(f, p.batch, along, batch), TYPE[p.dtype])

        job = Job(
            f, machine, p, plan,
            start(a, p.a_batch), start(b, p.b_batch), start(c, p.c_batch),
            rows, columns, terms, last, whole.accumulate, whole.epilogue, batch,
        )  # fmt: skip
        WAYS[plan.way](job)
    f.give()


def _rows(p: Product, plan: Plan, general: bool) -> int:
    """What the rows are counted in, and how many there are."""
    return len(tiles(p, plan, general=general)) if plan.way == "tiles" else -(-p.m // plan.tall)


def _columns(p: Product, plan: Plan, machine: Machine) -> int:
    if plan.way == "rows":
        return plan.together
    full, rest = panels(p, plan, machine.lanes(p.dtype))
    return full + bool(rest)


def _share(f: Function, count: int, which: Index, parts: int) -> tuple[Index, Index]:
    """One of equal shares: (first, behind the last); the last ones may be smaller, or empty."""
    if parts == 1 and not f.module.general:
        return 0, count
    each = -(-count // parts)
    first = f.mul(which, each)
    return first, f.least(f.add(first, each), count)


def offset(f: Function, sizes: tuple[int, ...], strides: tuple[int, ...], batch: Index) -> Index:
    """Where the product of a number (in C order of the axes of the batch) begins."""
    found: Index = 0
    for axis in reversed(range(len(sizes))):
        at = f.mod(batch, sizes[axis]) if axis else batch
        batch = f.div(batch, sizes[axis])
        found = f.add(found, f.mul(at, strides[axis]))
    return found


def _empty(module: Module, name: str, p: Product, epilogue: str | None, accumulate: bool) -> None:
    """Sums of nothing."""
    f, kind = module.function(name, ARGUMENTS), TYPE[p.dtype]
    if p.m and p.n:
        with f.loop(0, p.count) as batch:
            if not accumulate:
                c = f.at("%C", offset(f, p.batch, p.c_batch, batch), kind)
                with f.loop(0, p.m) as i, f.loop(0, p.n) as j:
                    at = f.at(c, f.add(f.mul(i, p.c[0]), f.mul(j, p.c[1])), kind)
                    f.store("0.0", at, kind)
            if epilogue:
                block = [("i64", x) for x in (batch, 0, p.m, 0, p.n)]
                f.call(epilogue, "void", ("ptr", "%X"), ("ptr", "%C"), *block)
    f.give()
