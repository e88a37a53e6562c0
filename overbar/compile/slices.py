"""Products with a long K and a small C: K is cut into slices, whose products are summed afterwards.

C alone does not give work to several threads there (the gradient of a narrow layer over a large
batch, an inner product). Slices are cut by the sizes alone, and summed in order, so that results
do not depend on the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from .blocking import PARTS, SHARE, Product, even, planned
from .gemm import offset, product
from .kernel import Kernel
from .machine import Machine
from .microkernel import SIZE, TYPE
from .text import Module

SHORTEST = 512
"""Terms that a slice has at least."""


class Sliced(NamedTuple):
    """Two kernels, one after the other, and the bytes of memory between them.

    partial    `void @name(A, B, between, X, workspace, part)`
    gathered   `void @name(between, C, X, workspace, part)`
    """

    partial: Kernel
    gathered: Kernel
    between: int


def sliced(
    module: Module,
    machine: Machine,
    p: Product,
    *,
    epilogue: str | None = None,
    accumulate: bool = False,
) -> Sliced | None:
    """The kernels of a product whose K is cut, or None where `product` has parts enough.

    `epilogue` and `accumulate` as for `product`; blocks are whole rows (columns of a C whose
    columns are contiguous).
    """
    if 0 in (p.count, p.m, p.n, p.k):
        return None
    parts = math.prod(planned(p, machine)[1].parts)
    count = min(PARTS // parts, p.work // SHARE // parts, p.k // SHORTEST)
    if count < 2:
        return None
    lanes = machine.lanes(p.dtype)
    length = -(-p.k // count // lanes) * lanes
    count = -(-p.k // length)
    strides = _strides(p)
    between = replace(p, c=strides[-2:], c_batch=strides[:-2])
    partial = product(module, machine, between, length=length)
    name = module.numbered("slices", (p, epilogue, accumulate, length))
    size = p.count * p.m * p.n
    rows = p.m if p.c[1] == 1 else p.n
    parts = even(rows, max(1, min(PARTS, size * count // SHARE)))
    module.once(name, lambda: _gather(module, name, p, strides, count, parts, epilogue, accumulate))
    return Sliced(partial, Kernel(name, parts, 0), count * size * SIZE[p.dtype])


def _strides(p: Product) -> tuple[int, ...]:
    """Of one slice's C in the memory between: batch, row, column; contiguous where C is."""
    sizes = (*p.batch, p.m, p.n) if p.c[1] == 1 else (*p.batch, p.n, p.m)
    strides = tuple(math.prod(sizes[i + 1 :]) for i in range(len(sizes)))
    return strides if p.c[1] == 1 else (*strides[:-2], strides[-1], strides[-2])


def _gather(
    module: Module,
    name: str,
    p: Product,
    strides: tuple[int, ...],
    count: int,
    parts: int,
    epilogue: str | None,
    accumulate: bool,
) -> None:
    """C (+)= the sum of the slices, in order."""
    kind, row_by_row = TYPE[p.dtype], p.c[1] == 1
    arguments = [("ptr noalias readonly", "S"), ("ptr", "C"), ("ptr", "X")]
    arguments += [("ptr", "workspace"), ("i64", "part")]
    f = module.function(name, arguments)
    outer, inner = (p.m, p.n) if row_by_row else (p.n, p.m)
    each = -(-outer // parts)
    start = f.mul("%part", each)
    stop = f.least(f.add(start, each), outer)
    size = p.count * p.m * p.n
    with f.loop(0, p.count) as batch:
        s, c = (
            f.at(at, offset(f, p.batch, along, batch), kind)
            for at, along in (("%S", strides[:-2]), ("%C", p.c_batch))
        )
        with f.loop(start, stop) as u, f.loop(0, inner) as v:
            i, j = (u, v) if row_by_row else (v, u)
            from_ = f.at(s, f.add(f.mul(i, strides[-2]), f.mul(j, strides[-1])), kind)
            to = f.at(c, f.add(f.mul(i, p.c[0]), f.mul(j, p.c[1])), kind)
            x = f.load(to, kind) if accumulate else None
            for slice_ in range(count):
                y = f.load(f.at(from_, slice_ * size, kind), kind)
                x = f.let(f"fadd {kind} {x}, {y}") if x else y
            f.store(x, to, kind)
        if epilogue:
            block = (start, stop, 0, inner) if row_by_row else (0, inner, start, stop)
            about = [("i64", x) for x in (batch, *block)]
            f.call(epilogue, "void", ("ptr", "%X"), ("ptr", "%C"), *about)
    f.give()
