"""A nest of loops: entries computed one by one, rows summed up, rows used again.

A kernel of kind `nest` goes over axes, some of them `reduced`. Its members are per entry or per
row. A row is done in phases: in each one pass over the row's entries sums what this phase sums, and
stores what is complete; what is computed of the sums alone follows; the next phase may use it for
every entry. softmax has three phases (the maximum, the sum, the quotient), and its row stays in the
nearest cache between them.

Loops are written scalar and left to LLVM's vectoriser. If the last axis is an outer one (the sum of
columns), rows are taken in tiles of columns, so that the innermost loop still runs along memory. If
rows are short and what is done with their entries is slow, a tile is some rows, turned into columns
(`rows`), and the innermost loop runs from row to row: each of its vectors is full.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ..graph import Node
from .access import Strided, base_of, linear, row_major
from .checks import looked_at
from .costs import KEPT
from .entries import Entries
from .machine import Machine
from .narrow import add_up, narrow
from .phases import BLOCK, Shape, is_reduction
from .rows import column, is_beside, is_turned, turn_back, turn_in
from .scalar import BOOL, Builder, Scalar
from .text import Index, Module, type_of
from .turning import turn, turned_lines

CHUNK = 4096
"""So many numbers are added up at a time, so that a long sum of float32 keeps its digits."""
WORDS = {"float": "i32", "double": "i64"}
"""Whole numbers of as many bits: any processor's registers hold them."""
START = {
    "add": lambda d: -0.0 if d.kind == "f" else 0,
    "multiply": lambda d: 1,
    "maximum": lambda d: -math.inf if d.kind == "f" else np.iinfo(d).min if d != BOOL else False,
    "minimum": lambda d: math.inf if d.kind == "f" else np.iinfo(d).max if d != BOOL else True,
    "and": lambda d: True,
    "or": lambda d: False,
}


def combine(b: Builder, kind: str, total: Scalar, x: Scalar) -> Scalar:
    """A reduction's total with one more entry. The order is left open, so that several lanes add
    side by side; it is the same at every run.
    """
    match kind:
        case "add" | "multiply" if total.floating:
            op = "fadd" if kind == "add" else "fmul"
            return b.make(f"{op} reassoc {total.type} {total.name}, {x.name}", total.dtype)
        case "add":
            return total + x
        case "multiply":
            return total * x
        case "and":
            return total & x
        case "or":
            return total | x
        case "maximum":
            return b.maximum(total, x)
    return b.minimum(total, x)


class Writer(Entries):
    """One function of a kernel, being written."""

    def __init__(
        self,
        module: Module,
        machine: Machine,
        name: str,
        shape: Shape,
        buffers: Sequence[int],
        checks: Any,
    ) -> None:
        graph = shape.graph
        count = len(graph.inputs)
        written = set(buffers[count:])
        arguments = [
            ("ptr noalias" if k in written else "ptr noalias readonly", f"p{k}")
            for k in range(max(buffers, default=-1) + 1)
        ]
        arguments += [("ptr noalias", "scratch"), ("ptr noalias", "workspace"), ("i64", "part")]
        function = module.function(name, arguments, attributes=attributes(machine))
        names = [f"%p{k}" for k in buffers]
        super().__init__(function, graph, dict(zip(graph.inputs, names, strict=False)), checks)
        self.shape, self.machine = shape, machine
        results = list(zip(graph.outputs, names[count:], strict=True))
        self.results = [(n, p) for n, p in results if n not in shape.sides]
        self.totals = {n: p for n, p in results if n in shape.sides}
        self.workspace = 0
        self.index: dict[int, Index] = dict.fromkeys(shape.still, 0)
        self.arrays: dict[Node, str] = {}
        self.saved: dict[Node, str] = {}
        self.columns: dict[Node, str] = {}
        self.tile_start: Index = 0
        self.phase_now = 0
        self.piece: dict[int, tuple[int, int]] = {}
        several = shape.parts > 1 or module.general
        if several:
            function.tell_below("%part", shape.parts)
        low = function.mul("%part", shape.piece) if several else 0
        size = shape.size[shape.axis] if shape.axis is not None else 1
        high = function.least(function.add(low, shape.piece), size) if several else size
        self.range = low, high
        extremes = any(n.op.reduces in ("maximum", "minimum") for n in shape.members)
        self.hidden = self._hidden() if extremes and shape.lane is None else {}

    def _hidden(self) -> dict[Node, Scalar]:
        """Infinite constants, beside a greatest or least entry, as numbers that LLVM does not know:
        of max(where(m, x, -inf)) it would make a sum over those with m, one number at a time.
        """
        f, found = self.function, {}
        for root in dict.fromkeys(base_of(x) for n in self.shape.members for x in n.inputs):
            if root.inputs or root in self.inputs or root.spec.dtype.kind != "f":
                continue
            value = self.builder.constant(
                np.asarray(root.value).reshape(()).item(), root.spec.dtype
            )
            if math.isinf(value.known) and value.type in WORDS:
                word = WORDS[value.type]
                bits = f.let(f"bitcast {value.type} {value.name} to {word}")
                bits = f.let(f'call {word} asm "", "=r,0"({word} {bits})')
                found[root] = self.builder.make(
                    f"bitcast {word} {bits} to {value.type}", value.dtype
                )
        return found

    def _read(self, x: Node, at: Sequence[Index]) -> Scalar:
        """An entry of what is not computed here."""
        return self.hidden.get(base_of(x)) or super()._read(x, at)

    # -- loops --------------------------------------------------------------------------------

    def span(self, axis: int) -> tuple[Index, Index]:
        """Where the loop over an axis begins and ends, in this part and this piece."""
        low, high = self.range if axis == self.shape.axis else (0, self.shape.size[axis])
        if axis in self.piece:
            first, end = self.piece[axis]
            low, high = self.function.most(low, first), self.function.least(high, end)
        return low, high

    @contextmanager
    def over(self, axes: Sequence[int]) -> Iterator[None]:
        """Loops over these axes, the last one innermost."""
        with ExitStack() as stack:
            for axis in axes:
                i = self.index[axis] = stack.enter_context(self.function.loop(*self.span(axis)))
                first, end = self.piece.get(axis, (0, self.shape.size[axis]))
                self.within[i] = first, end - 1
            stack.enter_context(self.scope())
            yield

    def rows(self) -> None:
        """The whole work of a part."""
        shape, f = self.shape, self.function
        self.look_at_positions()
        if shape.across is not None:
            self.in_blocks(shape.across)
            return
        if shape.lane is None:
            for self.piece in shape.pieces:
                with self.over(shape.outer):
                    self.row()
            return
        with self.over(shape.outer[:-1]):
            low, high = self.span(shape.lane)
            with f.loop(low, high, shape.tile) as start, self.scope():
                self.tile_start = start
                self.tile = start, f.least(f.add(start, shape.tile), high)
                self.columns = turn_in(self)
                self.row()

    def look_at_positions(self) -> None:
        """Before the loops: those that lie in memory."""
        if any(n.op.name == "slice" for n in self.graph.nodes):
            return
        for n in self.shape.members:
            for array, size in looked_at(n) or ():
                if array in self.inputs and "within" not in array.params:
                    self.builder.look_at(array, self.pointers[array], size, self.shape.parts)

    def in_blocks(self, across: int) -> None:
        """Two loops over blocks, and two inside each, so that both arrays are read along memory."""
        shape, f = self.shape, self.function
        (last,) = shape.inner
        stored = [(n, p) for n, p in self.results if shape.whole[n]]
        with self.over([a for a in shape.outer if a != across]):
            low, high = self.span(across)
            first, end = self.span(last)
            lines = turned_lines(shape, across, self.inputs)
            if lines is not None:
                ((n, pointer),) = stored
                self.index.update({across: low, last: first})
                start = linear(f, lines.view, self.place(n.spec.shape))
                source, to = (self.pointers[lines.view.root], start), (pointer, self.where(n))
                turn(f, self.machine, lines, source, to, f.sub(high, low), f.sub(end, first))
                return
            with f.loop(low, high, BLOCK) as i, f.loop(first, end, BLOCK) as j:
                below, right = (f.least(f.add(k, BLOCK), top) for k, top in ((i, high), (j, end)))
                with f.loop(i, below) as row, f.loop(j, right) as column, self.scope():
                    self.index.update({across: row, last: column})
                    self.entry([], {}, stored, [])

    def row(self) -> None:
        """One row (or a tile of columns, or of short rows), phase after phase."""
        self.once(-1)
        for phase in range(self.shape.phases):
            self.phase_now = phase
            self.sums(phase)
            self.once(phase)

    @contextmanager
    def tiled(self) -> Iterator[None]:
        """In a tile, the loop over its lanes."""
        if self.shape.lane is None:
            yield
            return
        with self.function.loop(*self.tile) as column, self.scope():
            self.index[self.shape.lane] = column
            yield

    def sums(self, phase: int) -> None:
        """One pass over the entries of the row: what is summed, saved and stored in it."""
        shape, f = self.shape, self.function
        mine = [n for n in shape.members if shape.phase[n] == phase]
        summed = [n for n in mine if is_reduction(n)]
        stored = [(n, p) for n, p in self.results if n in mine and shape.whole[n]]
        turned = [each for each in stored if is_beside(shape) and is_turned(each[0])]
        stored = [each for each in stored if each not in turned]
        kept = [n for n in mine if shape.whole[n] and self.is_needed_later(n)]
        kept += [n for n, _ in turned]
        for n in kept:
            self.saved[n] = self.room(n.spec.dtype.itemsize)
        totals = {n: self.total(n) for n in summed}
        if not (summed or stored or kept or phase in shape.sides.values()):
            return
        inner = shape.inner
        filled = None if stored or kept else narrow(shape, self.machine, phase)
        if filled is not None:
            with self.over(inner[:-1]):
                add_up(self, inner[-1], filled, summed)
            return
        if shape.brief:
            (axis,) = inner
            for k in range(shape.size[axis]):
                with self.scope():
                    self.index[axis] = k
                    self.entry([], {}, stored, kept)
            return
        long = summed and inner and shape.lane is None and shape.size[inner[-1]] > CHUNK
        with self.over(inner[:-1] if long else inner):
            if long:
                self.in_chunks(inner[-1], summed, totals, stored, kept)
            else:
                with self.tiled():
                    self.entry(summed, totals, stored, kept)
        for n, pointer in turned:
            turn_back(self, n, pointer)
        if shape.lane is None:
            for n, total in totals.items():
                self.memo[-1][n] = Scalar(self.builder, f.get(total), n.spec.dtype)

    def in_chunks(self, axis: int, summed: Any, totals: Any, stored: Any, kept: Any) -> None:
        """The innermost loop over a long row, in pieces that are summed on their own."""
        f = self.function
        low, high = self.span(axis)
        with f.loop(low, high, CHUNK) as start:
            parts = {n: self.total(n) for n in summed}
            with f.loop(start, f.least(f.add(start, CHUNK), high)) as i, self.scope():
                self.index[axis] = i
                self.entry(summed, parts, stored, kept)
            for n in summed:
                self.put_in(n, totals[n], Scalar(self.builder, f.get(parts[n]), n.spec.dtype))

    def entry(self, summed: Any, totals: Any, stored: Any, kept: Any) -> None:
        """The work at one entry. Stores come last: one may overwrite what was read here."""
        for n in self.shape.members:  # oldest first, so that nothing is computed deep down
            if self.shape.whole[n] and self.shape.phase[n] == self.phase_now:
                self.value(n)
        values = [(n, self.operand(n.inputs[0])) for n in summed]
        beside = [n for n, phase in self.shape.sides.items() if phase == self.phase_now]
        others = [(n, self.operand(n.inputs[0])) for n in beside]
        results = [(n, self.value(n)) for n, _ in stored]
        saved = [(n, self.value(n)) for n in kept]
        for n, x in values:
            self.put_in(n, totals[n], x)
        for n, x in others:
            now = self.fetch(self.totals[n], self._row_place(), n.spec.dtype)
            self.put(self.totals[n], self._row_place(), combine(self.builder, "add", now, x))
        for n, x in saved:
            self.keep(n, x)
        for (n, x), (_, pointer) in zip(results, stored, strict=True):
            self.write(pointer, n, x)

    def once(self, phase: int) -> None:
        """What is computed per row of this phase's sums."""
        shape, self.phase_now = self.shape, phase
        mine = [n for n in shape.members if not shape.whole[n] and shape.phase[n] == phase]
        if not mine:
            return
        stored = [(n, p) for n, p in self.results if n in mine]
        if shape.lane is None:
            for n in mine:
                self.value(n)
            for n, pointer in stored:
                self.write(pointer, n, self.value(n))
            return
        computed = [n for n in mine if not is_reduction(n)]
        for n in computed:
            self.arrays[n] = self.array(n)
        with self.tiled():
            values = [(n, self.value(n)) for n in computed]
            results = [(n, p, self.value(n)) for n, p in stored]
            for n, x in values:
                self.into_array(n, x)
            for n, pointer, x in results:
                self.write(pointer, n, x)

    # -- totals -------------------------------------------------------------------------------

    def total(self, n: Node) -> Any:
        """A fresh total: a variable, or a row of them for a tile."""
        start = self.builder.constant(START[n.op.reduces](n.spec.dtype), n.spec.dtype)
        if self.shape.lane is None:
            return self.function.variable(start.type, start.name)
        self.arrays[n] = self.array(n)
        with self.tiled():
            self.into_array(n, start)
        return None

    def put_in(self, n: Node, total: Any, x: Scalar) -> None:
        """One more entry into a total."""
        b, f = self.builder, self.function
        x = b.cast(x, n.spec.dtype)
        if self.shape.lane is not None:
            now = self.from_array(n)
            self.into_array(n, combine(b, n.op.reduces, now, x))
            return
        now = Scalar(b, f.get(total), n.spec.dtype)
        f.set(total, combine(b, n.op.reduces, now, x).name)

    def array(self, n: Node) -> str:
        """Room for one number per lane of a tile."""
        kind = type_of(n.spec.dtype)
        return self.function.variable(f"[{self.shape.tile} x {kind}]").place

    def _in_tile(self, n: Node) -> str:
        return self.function.at(self.arrays[n], self._lane(), type_of(n.spec.dtype))

    def _lane(self) -> Index:
        lane = self.shape.lane
        return 0 if lane is None else self.function.sub(self.index[lane], self.tile_start)

    def into_array(self, n: Node, x: Scalar) -> None:
        """One number per lane."""
        f = self.function
        name = f.let(f"zext i1 {x.name} to i8") if n.spec.dtype == BOOL else x.name
        f.store(name, self._in_tile(n), type_of(n.spec.dtype))

    def from_array(self, n: Node) -> Scalar:
        """The number of the lane being computed."""
        f, b = self.function, self.builder
        x = f.load(self._in_tile(n), type_of(n.spec.dtype))
        if n.spec.dtype == BOOL:
            return b.make(f"trunc i8 {x} to i1", BOOL)
        return Scalar(b, x, n.spec.dtype)

    # -- values -------------------------------------------------------------------------------

    def operand(self, x: Node) -> Scalar:
        """An operand of a member at the entry being computed."""
        base = base_of(x)
        if base in self.shape.whole:
            return self.value(base)
        if x not in self.columns:
            return self.read(x, self.place(x.spec.shape))
        found = self.known(x)
        if found is None:
            found = self.memo[-1][x] = column(self, x, self.columns[x], self._row_place())
        return found

    def place(self, shape: Sequence[int]) -> list[Index]:
        """The indices of the entry being computed, for an array over all axes, or over rows."""
        real = [n for n in shape if n != 1]
        whole = len(real) == len(self.shape.axes)
        axes = [a for a in range(len(self.shape.axes)) if whole or a not in self.shape.reduced]
        left = iter(axes)
        return [0 if n == 1 else self.index[next(left)] for n in shape]

    def value(self, n: Node) -> Scalar:
        """A member at the entry, or the row, being computed."""
        found = self.known(n)
        if found is None:
            found = self.memo[-1][n] = self._value(n)
        return found

    def _value(self, n: Node) -> Scalar:
        if n in self.arrays and (is_reduction(n) or self.shape.phase[n] < self.phase_now):
            return self.from_array(n)
        if self.shape.whole[n] and self.shape.phase[n] < self.phase_now:
            if n in self.saved:
                return self._from_workspace(n)
            for stored, pointer in self.results:
                if stored is n:
                    return self._again(n, pointer)
        return self.apply(n, self.place(n.spec.shape), self.operand)

    def _again(self, n: Node, pointer: str) -> Scalar:
        """What this kernel has stored itself."""
        return self.fetch(pointer, self.where(n), n.spec.dtype)

    def write(self, pointer: str, n: Node, x: Scalar) -> None:
        """Into an output."""
        self.put(pointer, self.where(n), x)

    def where(self, n: Node) -> Index:
        """How far into its memory the entry of a member is that is being computed."""
        whole = Strided(n, 0, row_major(n.spec.shape))
        return linear(self.function, whole, self.place(n.spec.shape))

    # -- saved for a later phase --------------------------------------------------------------

    def is_needed_later(self, n: Node) -> bool:
        """Whether a later phase uses an entry that is costly to compute again."""
        shape = self.shape
        if any(kept is n for kept, _ in self.results):
            return False
        later = any(
            shape.phase[m] > shape.phase[n] and any(base_of(x) is n for x in m.inputs)
            for m in shape.members
            if shape.whole[m] or is_reduction(m)
        )
        return later and self._is_costly(n)

    def _is_costly(self, n: Node) -> bool:
        if n.op.name in KEPT:
            return True
        shape = self.shape
        return any(
            self._is_costly(x)
            for x in map(base_of, n.inputs)
            if shape.whole.get(x) and shape.phase[x] == shape.phase[n]
        )

    def room(self, size: int) -> str:
        """Room in the workspace for a row, or a tile of rows, of numbers of this size."""
        size *= math.prod(self.shape.size[a] for a in self.shape.inner)
        if self.shape.lane is not None:
            size *= self.shape.tile
        pointer = self.function.at("%workspace", self.workspace, "i8")
        self.workspace += -(-size // 64) * 64
        return pointer

    def _row_place(self) -> Index:
        f, shape = self.function, self.shape
        at: Index = 0
        for a in shape.inner:
            at = f.add(f.mul(at, shape.size[a]), self.index[a])
        if shape.lane is not None:
            at = f.add(f.mul(at, shape.tile), self._lane())
        return at

    def keep(self, n: Node, x: Scalar) -> None:
        """Into the workspace."""
        self.put(self.saved[n], self._row_place(), x)

    def _from_workspace(self, n: Node) -> Scalar:
        return self.fetch(self.saved[n], self._row_place(), n.spec.dtype)


def attributes(machine: Machine) -> str:
    """What every function of a kernel says to LLVM.

    The stack is aligned as vectors are: a loop whose constants do not fit into the registers reads
    them from there, and half of the reads would touch two cache lines (sin of float64: 1.6 times).
    """
    return f'nounwind noinline alignstack(64) "prefer-vector-width"="{machine.bits}"'
