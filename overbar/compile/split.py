"""Kernels as stages: a nest of loops is one; a long sum into few numbers, or rows with totals over
all of them, are two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..graph import Node
from .kernel import Kernel
from .machine import Machine
from .nest import START, Writer, combine
from .phases import Shape, is_reduction
from .scalar import Scalar
from .stages import Stages, whole_lines
from .text import Index, Module


def nest(
    module: Module, machine: Machine, name: str, node: Node, buffers: Sequence[int], checks: Any
) -> Stages:
    """The functions of a kernel. `buffers`: for each of its inputs, then its outputs, the number of
    the pointer that it is reached by; an output that takes its input's place has the same number.
    """
    shape = Shape(node, general=module.general)
    if shape.splits:
        return two_stages(module, machine, name, shape, buffers, checks)
    if shape.sides:
        return with_totals(module, machine, name, shape, buffers, checks)
    writer = Writer(module, machine, name, shape, buffers, checks)
    writer.rows()
    writer.function.give()
    return Stages((Kernel(name, shape.parts, writer.workspace),), 0)


def two_stages(
    module: Module, machine: Machine, name: str, shape: Shape, buffers: Sequence[int], checks: Any
) -> Stages:
    """A long sum into few numbers: each part sums a stretch of the first reduced axis; a second
    stage adds the parts' totals, always in the same order.
    """
    summed = [n for n in shape.members if is_reduction(n)]
    rows = math.prod(shape.size[a] for a in shape.outer)
    sizes = [n.spec.dtype.itemsize * rows for n in summed]
    starts = [sum(-(-s // 64) * 64 for s in sizes[:i]) for i in range(len(summed))]
    each = sum(-(-s // 64) * 64 for s in sizes)
    first = Partial(module, machine, f"{name}.parts", shape, buffers, checks)
    first.places = {n: first.function.add(first.function.mul("%part", each), s)
                    for n, s in zip(summed, starts, strict=True)}  # fmt: skip
    first.rows()
    first.function.give()
    last = Final(module, machine, name, shape, buffers, checks)
    last.layout = dict(zip(summed, starts, strict=True)), each
    last.range = 0, shape.size[shape.inner[0]]
    last.rows()
    last.function.give()
    stages = (
        Kernel(first.function.name, shape.parts, first.workspace),
        Kernel(name, 1, last.workspace),
    )
    return Stages(stages, each * shape.parts)


def with_totals(
    module: Module, machine: Machine, name: str, shape: Shape, buffers: Sequence[int], checks: Any
) -> Stages:
    """Rows, and totals over all rows: each part adds up its own in scratch memory; a second stage
    adds the parts' totals, always in the same order.
    """
    size = math.prod(shape.size[a] for a in shape.inner)
    starts, each = {}, 0
    for n in shape.sides:
        starts[n] = each
        each += whole_lines(n.spec.dtype.itemsize * size)
    first = Writer(module, machine, f"{name}.rows", shape, buffers, checks)
    f, b = first.function, first.builder
    for n, start in starts.items():
        first.totals[n] = f.at("%scratch", f.add(f.mul("%part", each), start), "i8")
        with f.loop(0, size) as i:
            first.put(first.totals[n], i, b.constant(START["add"](n.spec.dtype), n.spec.dtype))
    first.rows()
    f.give()
    last = Writer(module, machine, name, shape, buffers, checks)
    f = last.function
    for n, start in starts.items():
        dtype = n.spec.dtype
        for part in range(shape.parts):
            pointer = f.at("%scratch", part * each + start, "i8")
            with f.loop(0, size) as i:
                x = last.fetch(pointer, i, dtype)
                if part:
                    x = combine(last.builder, "add", last.fetch(last.totals[n], i, dtype), x)
                last.put(last.totals[n], i, x)
    f.give()
    kernels = Kernel(f"{name}.rows", shape.parts, first.workspace), Kernel(name, 1, 0)
    return Stages(kernels, each * shape.parts)


class Partial(Writer):
    """The first stage of a split reduction: sums of a stretch, into scratch memory."""

    places: dict[Node, Index]

    def once(self, phase: int) -> None:
        """Only the totals, no more."""
        if phase < 0:
            return
        with self.tiled():
            for n in self.shape.members:
                if is_reduction(n):
                    pointer = self.function.at("%scratch", self.places[n], "i8")
                    self.put(pointer, row_number(self), self.value(n))


class Final(Writer):
    """The second stage: the totals of the parts together, and what is computed of them."""

    layout: tuple[dict[Node, int], int]

    def sums(self, phase: int) -> None:
        """Add the parts' totals."""
        f, b = self.function, self.builder
        starts, each = self.layout
        for n, start in starts.items():
            total = self.total(n)
            with f.loop(0, self.shape.parts) as part, self.tiled(), self.scope():
                pointer = f.at("%scratch", f.add(f.mul(part, each), start), "i8")
                self.put_in(n, total, self.fetch(pointer, row_number(self), n.spec.dtype))
            if self.shape.lane is None:
                self.memo[-1][n] = Scalar(b, f.get(total), n.spec.dtype)


def row_number(writer: Writer) -> Index:
    """Which row is being computed, counted in row-major order."""
    at: Index = 0
    for a in writer.shape.outer:
        at = writer.function.add(writer.function.mul(at, writer.shape.size[a]), writer.index[a])
    return at
