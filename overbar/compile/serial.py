"""Operations whose entries wait for each other: adding at positions, running sums, sorting.

Each is one function, a loop nest written by hand. What can be cut into independent lines is: the
lines are the parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..graph import Node
from . import sorting
from .access import row_major
from .entries import Reader
from .kernel import Kernel
from .nest import attributes
from .scalar import BOOL, INT, Scalar
from .text import Function, Index, type_of

LINES = 16
"""Parts at most."""
ENOUGH = 16384
"""Entries worth being a part of their own."""


class Written:
    """A function being written: its operands and its result."""

    def __init__(self, program: Any, node: Node, name: str, arguments: Sequence[Any]) -> None:
        module = program.module
        self.f: Function = module.function(name, arguments, attributes=attributes(program.machine))
        self.b = Reader(self.f, program.checks)
        self.node, self.parts, self.workspace = node, 1, 0

    def entry(self, pointer: str, place: Index, dtype: np.dtype) -> Scalar:
        """A number in memory."""
        x = self.f.load(self.f.at(pointer, place, type_of(dtype)), type_of(dtype))
        if dtype == BOOL:
            return self.b.make(f"trunc i8 {x} to i1", BOOL)
        return Scalar(self.b, x, dtype)

    def put(self, pointer: str, place: Index, x: Scalar) -> None:
        """Into memory."""
        name = self.f.let(f"zext i1 {x.name} to i8") if x.dtype == BOOL else x.name
        self.f.store(name, self.f.at(pointer, place, type_of(x.dtype)), type_of(x.dtype))

    def lines(self, count: int, work: int) -> tuple[Index, Index]:
        """Which of so many independent lines this part does."""
        self.parts = max(1, min(LINES, count, count * work // ENOUGH))
        if self.parts == 1 and not self.f.module.general:
            return 0, count
        each = -(-count // self.parts)
        self.parts = -(-count // each)
        low = self.f.mul("%part", each)
        return low, self.f.least(self.f.add(low, each), count)


def scatter(w: Written, pointers: Sequence[str]) -> None:
    """Zeros, to which rows are added at positions."""
    f, b, node = w.f, w.b, w.node
    index = node.inputs[1:]
    shape, dtype = node.params["shape"], node.spec.dtype
    axes = shape[: len(index)]
    width = math.prod(shape[len(index) :])
    count = index[0].spec.size
    low, high = w.lines(width, count + math.prod(axes))
    zero = b.constant(0, dtype)
    with f.loop(0, math.prod(axes)) as i, f.loop(low, high) as j:
        w.put(pointers[-1], f.add(f.mul(i, width), j), zero)
    with f.loop(0, count) as i:
        place: Index = 0
        for p, x, n in zip(pointers[1:-1], index, axes, strict=True):
            at = b.position(w.entry(p, i, x.spec.dtype), n)
            place = f.add(f.mul(place, n), at.name)
        with f.loop(low, high) as j:
            there = f.add(f.mul(place, width), j)
            now = w.entry(pointers[-1], there, dtype)
            more = w.entry(pointers[0], f.add(f.mul(i, width), j), dtype)
            w.put(pointers[-1], there, now + more)


def add_along(w: Written, pointers: Sequence[str]) -> None:
    """Zeros, to which entries are added at positions along one axis."""
    f, b, node = w.f, w.b, w.node
    y, index = node.inputs
    axis, size, dtype = node.params["axis"], node.params["size"], node.spec.dtype
    before, after = math.prod(y.spec.shape[:axis]), math.prod(y.spec.shape[axis + 1 :])
    count = y.spec.shape[axis]
    low, high = w.lines(before * after, count + size)
    with f.loop(low, high) as line:
        i, j = f.div(line, after), f.mod(line, after)
        start = f.add(f.mul(f.mul(i, size), after), j)
        with f.loop(0, size) as k:
            w.put(pointers[-1], f.add(start, f.mul(k, after)), b.constant(0, dtype))
        with f.loop(0, count) as k:
            here = f.add(f.mul(f.add(f.mul(i, count), k), after), j)
            at = b.position(w.entry(pointers[1], here, index.spec.dtype), size)
            there = f.add(start, f.mul(at.name, after))
            now = w.entry(pointers[-1], there, dtype)
            w.put(pointers[-1], there, now + w.entry(pointers[0], here, dtype))


def _walk(w: Written, axis: int) -> tuple[int, Index, Index, int]:
    """Lines along an axis of the operand: how many entries each, which are ours, and the step."""
    shape = w.node.inputs[0].spec.shape
    step = row_major(shape)[axis]
    low, high = w.lines(math.prod(shape) // shape[axis], shape[axis])
    return shape[axis], low, high, step


def _start(f: Function, line: Index, count: int, step: int) -> Index:
    """Where a line begins."""
    return f.add(f.mul(f.div(line, step), count * step), f.mod(line, step))


@contextmanager
def _carried(w: Written, first: int) -> Iterator[tuple[Index, Scalar, Callable[[Scalar], None]]]:
    """Along every line that is ours, entry after entry: its place, the number that is carried
    (`first` at the beginning), and what gives it another value.
    """
    f, b, dtype, params = w.f, w.b, w.node.spec.dtype, w.node.params
    count, low, high, step = _walk(w, params["axis"])
    with f.loop(low, high) as line:
        start = _start(f, line, count, step)
        state = f.variable(type_of(dtype), b.constant(first, dtype).name)
        with f.loop(0, count) as k:
            at = f.sub(count - 1, k) if params["reverse"] else k
            now = Scalar(b, f.get(state), dtype)
            yield f.add(start, f.mul(at, step)), now, lambda x: f.set(state, x.name)


def cumsum(w: Written, pointers: Sequence[str]) -> None:
    """The sums of the entries up to each one."""
    with _carried(w, 0) as (place, total, carry):
        now = total + w.entry(pointers[0], place, w.node.spec.dtype)
        carry(now)
        w.put(pointers[1], place, now)


def running_product(w: Written, pointers: Sequence[str]) -> None:
    """The products of the entries up to each one; of the `others`, those before it."""
    with _carried(w, 1) as (place, before, carry):
        now = before * w.entry(pointers[0], place, w.node.spec.dtype)
        carry(now)
        w.put(pointers[1], place, before if w.node.params["others"] else now)


def recurrence(w: Written, pointers: Sequence[str]) -> None:
    """sₜ = aₜ sₜ₋₁ + bₜ, each operation rounded."""
    dtype = w.node.spec.dtype
    with _carried(w, 0) as (place, state, carry):
        now = w.entry(pointers[0], place, dtype) * state + w.entry(pointers[1], place, dtype)
        carry(now)
        w.put(pointers[2], place, now)


def extreme(w: Written, pointers: Sequence[str]) -> None:
    """Where the greatest (or least) entry is: the first of equals; a NaN is the greatest."""
    f, b, node = w.f, w.b, w.node
    dtype = node.inputs[0].spec.dtype
    greatest = node.op.name == "argmax"
    count, low, high, step = _walk(w, node.params["axis"])
    kind = "i1" if dtype == BOOL else type_of(dtype)
    with f.loop(low, high) as line:
        start = _start(f, line, count, step)
        first = w.entry(pointers[0], start, dtype)
        best = f.variable(kind, first.name)
        where = f.variable("i64", 0)
        with f.loop(1, count) as k:
            x = w.entry(pointers[0], f.add(start, f.mul(k, step)), dtype)
            now = Scalar(b, f.get(best), dtype)
            if dtype == BOOL:
                better = x & ~now if greatest else now & ~x
            else:
                better = x > now if greatest else x < now
            if dtype.kind == "f":
                better = (better | b.isnan(x)) & ~b.isnan(now)
            f.set(best, b.where(better, x, now).name)
            place = Scalar(b, str(k), INT)
            f.set(where, b.where(better, place, Scalar(b, f.get(where), INT)).name)
        w.put(pointers[1], line, Scalar(b, f.get(where), INT))


WRITERS: dict[str, Callable[[Written, Sequence[str]], None]] = {
    "scatter": scatter,
    "add_along": add_along,
    "cumsum": cumsum,
    "argmax": extreme,
    "argmin": extreme,
    "running_product": running_product,
    "recurrence": recurrence,
    **sorting.WRITERS,
}
ALIKE = {"recurrence"}
"""Those whose operands are of the result's dtype."""


def serial(program: Any, node: Node, name: str, arguments: Any, pointers: Any) -> Kernel | None:
    """The kernel of such an operation."""
    writer = WRITERS.get(node.op.name)
    if writer is None or 0 in (x.spec.size for x in (node, *node.inputs)):
        return None
    if node.op.name in ALIKE and any(x.spec.dtype != node.spec.dtype for x in node.inputs):
        return None
    if node.op.name in sorting.WRITERS and sorting.is_long(node):
        return None
    w = Written(program, node, name, arguments)
    writer(w, pointers)
    w.f.give()
    return Kernel(name, w.parts, w.workspace)
