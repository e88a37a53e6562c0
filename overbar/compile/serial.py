"""Operations whose entries wait for each other: adding at positions, running sums, sorting.

Each is one function, a loop nest written by hand. What can be cut into independent lines is: the
lines are the parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..graph import Node
from . import sorting
from .access import row_major
from .entries import Reader
from .kernel import Kernel
from .nest import attributes
from .scalar import INT, Scalar
from .stages import offset, share
from .text import Function, Index, type_of

LINES = 16
"""Parts at most."""
ENOUGH = 8192
"""Entries worth being a part of their own."""
LINE = 64
"""Bytes of a line of the cache: two threads that write into one wait for each other."""
BESIDE = 256
"""So many lines go side by side."""


class Written:
    """A function being written: its operands and its result."""

    def __init__(self, program: Any, node: Node, name: str, arguments: Sequence[Any]) -> None:
        module = program.module
        self.f: Function = module.function(name, arguments, attributes=attributes(program.machine))
        self.b = Reader(self.f, program.checks)
        self.entry, self.put = self.b.fetch, self.b.put
        self.node, self.parts, self.workspace = node, 1, 0

    def lines(self, count: int, work: int, most: int = LINES) -> tuple[Index, Index]:
        """Which of so many independent lines this part does, of `most` parts."""
        self.parts = max(1, min(most, count, count * work // ENOUGH))
        return share(self.f, count, self.parts, "%part")

    def position(self, pointer: str, place: Index, array: Node, size: int) -> Scalar:
        """What an array says there, as a position along an axis of this size."""
        said = self.entry(pointer, place, array.spec.dtype)
        said.source = array
        return self.b.position(said, size)


def scatter(w: Written, pointers: Sequence[str]) -> None:
    """Zeros, to which what lies behind some axes is added at positions along them."""
    f, b, node = w.f, w.b, w.node
    index, shape, dtype = node.inputs[1:], node.params["shape"], node.spec.dtype
    axis = node.params.get("axis", 0)
    axes, after = shape[axis : axis + len(index)], math.prod(shape[axis + len(index) :])
    before, places, count = math.prod(shape[:axis]), math.prod(axes), index[0].spec.size
    line = after if before > 1 else max(1, LINE // dtype.itemsize)
    low, high = w.lines(before if before > 1 else -(-after // line), line * (count + places))
    if before > 1:
        rows, columns = (low, high), (0, after)
    else:
        rows, columns = (0, 1), (f.mul(low, line), f.least(f.mul(high, line), after))
    for p, x, n in zip(pointers[1:-1], index, axes, strict=True):
        b.look_at(x, p, n, w.parts)
    zero = b.constant(0, dtype)
    with f.loop(*rows) as row:
        with f.loop(0, places) as i, f.loop(*columns) as j:
            w.put(pointers[-1], offset(f, (row, i, j), (places * after, after, 1)), zero)
        with f.loop(0, count) as i:
            place: Index = 0
            for p, x, n in zip(pointers[1:-1], index, axes, strict=True):
                place = f.add(f.mul(place, n), w.position(p, i, x, n).name)
            with f.loop(*columns) as j:
                there = offset(f, (row, place, j), (places * after, after, 1))
                more = w.entry(
                    pointers[0], offset(f, (row, i, j), (count * after, after, 1)), dtype
                )
                w.put(pointers[-1], there, w.entry(pointers[-1], there, dtype) + more)


def put(w: Written, pointers: Sequence[str]) -> None:
    """A vector with other numbers at some positions: the last one where several go to one. Parts
    are stretches of it, few if there are many positions, as each part looks at all of them.
    """
    f, b, (x, v, index) = w.f, w.b, w.node.inputs
    size, count, dtype = x.spec.size, index.spec.size, w.node.spec.dtype
    low, high = w.lines(size, 1, min(LINES, size // (4 * count)))
    b.look_at(index, pointers[2], size, w.parts)
    with f.loop(low, high) as i:
        w.put(pointers[-1], i, w.entry(pointers[0], i, dtype))
    with f.loop(0, count) as i:
        at = w.position(pointers[2], i, index, size)
        ours = (at >= Scalar(b, str(low), INT)) & (at < Scalar(b, str(high), INT))
        with f.when(ours.name):
            w.put(pointers[-1], at.name, w.entry(pointers[1], i, v.spec.dtype))


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
            at = w.position(pointers[1], here, index, size)
            there = f.add(start, f.mul(at.name, after))
            now = w.entry(pointers[-1], there, dtype)
            w.put(pointers[-1], there, now + w.entry(pointers[0], here, dtype))


@contextmanager
def _carried(w: Written, first: int) -> Iterator[tuple[Index, Scalar, Callable[[Scalar], None]]]:
    """Along every line that is ours, entry after entry: its place, the number that is carried
    (`first` at the beginning), and what gives it another value. Lines that lie beside each other
    go side by side.
    """
    f, b, dtype, axis = w.f, w.b, w.node.spec.dtype, w.node.params["axis"]
    shape, kind = w.node.spec.shape, type_of(w.node.spec.dtype)
    count, step = shape[axis], row_major(shape)[axis]
    tile = min(step, BESIDE)
    tiles = -(-step // tile)
    low, high = w.lines(math.prod(shape[:axis]) * tiles, count * tile)
    state = f.variable(f"[{tile} x {kind}]").place
    with f.loop(low, high) as line:
        start = f.mul(f.mod(line, tiles), tile)
        size = f.least(tile, f.sub(step, start)) if tiles > 1 else tile
        start = f.add(f.mul(f.div(line, tiles), count * step), start)
        with f.loop(0, size) as j:
            w.put(state, j, b.constant(first, dtype))
        with f.loop(0, count) as k, f.loop(0, size) as j:
            at = f.sub(count - 1, k) if w.node.params["reverse"] else k
            place = f.add(f.add(start, f.mul(at, step)), j)
            yield place, w.entry(state, j, dtype), lambda x: w.put(state, j, x)


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


WRITERS: dict[str, Callable[[Written, Sequence[str]], None]] = {
    "scatter": scatter,
    "put": put,
    "add_along": add_along,
    "cumsum": cumsum,
    "running_product": running_product,
    "recurrence": recurrence,
    **sorting.WRITERS,
}
ALIKE = {"recurrence": 2, "put": 2}
"""Those whose first operands, so many, are of the result's dtype."""


def serial(program: Any, node: Node, name: str, arguments: Any, pointers: Any) -> Kernel | None:
    """The kernel of such an operation."""
    writer = WRITERS.get(node.op.name)
    if writer is None or 0 in (x.spec.size for x in (node, *node.inputs)):
        return None
    alike = node.inputs[: ALIKE.get(node.op.name, 0)]
    if any(x.spec.dtype != node.spec.dtype for x in alike):
        return None
    if node.op.name in sorting.WRITERS and sorting.is_long(node):
        return None
    w = Written(program, node, name, arguments)
    writer(w, pointers)
    w.f.give()
    return Kernel(name, w.parts, w.workspace)
