"""One product of a kernel being written: what the three ways of doing it have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from .blocking import Plan, Product
from .machine import Machine
from .microkernel import SIZE, TYPE, plain_loop
from .text import Function, Index


@dataclass(frozen=True)
class Job:
    """A product, or a part of it, in the middle of a function.

    p, plan           what is done: of a turned plan, p is the transpose already
    a, b, c           addresses of A[0, 0], B[0, 0], C[0, 0] of this product of the batch
    rows, columns     which tiles and which panels: (first, behind the last)
    terms, last       which p of every sum: (first, behind the last); p.k of them, of the last
                      slice of K `last`
    accumulate        whether C's numbers are kept and added to
    epilogue, batch   what to call for finished blocks, and the number of this product for it
    """

    f: Function
    machine: Machine
    p: Product
    plan: Plan
    a: str
    b: str
    c: str
    rows: tuple[Index, Index]
    columns: tuple[Index, Index]
    terms: tuple[Index, Index]
    last: int
    accumulate: bool
    epilogue: str | None
    batch: Index

    @property
    def kind(self) -> str:
        """What a number is called in LLVM's language."""
        return TYPE[self.p.dtype]

    @property
    def lanes(self) -> int:
        """Numbers of a vector."""
        return self.machine.lanes(self.p.dtype)

    def at_a(self, i: Index, p: Index) -> str:
        """The address of A[i, p]."""
        return self._at(self.a, self.p.a, i, p)

    def at_b(self, p: Index, j: Index) -> str:
        """The address of B[p, j]."""
        return self._at(self.b, self.p.b, p, j)

    def at_c(self, i: Index, j: Index) -> str:
        """The address of C[i, j]."""
        return self._at(self.c, self.p.c, i, j)

    def _at(self, start: str, strides: tuple[int, int], row: Index, column: Index) -> str:
        f = self.f
        return f.at(start, f.add(f.mul(row, strides[0]), f.mul(column, strides[1])), self.kind)

    def room(self, which: int) -> str:
        """The address of one of `rooms` in the workspace."""
        sizes = rooms(self.p, self.plan, self.machine)
        return self.f.at("%workspace", sum(sizes[:which]), "i8")

    @property
    def fewest(self) -> int:
        """How many terms a block of K has at least."""
        depth = self.plan.depth
        return min(n - (n - 1) // depth * depth for n in (self.p.k, self.last))

    def adds(self, first: Index) -> str:
        """An i1: whether C holds something to be added to, at the first term of a block of K."""
        if self.accumulate:
            return "true"
        if self.plan.depth >= self.p.k:
            return "false"
        return self.f.let(f"icmp ne i64 {first}, {self.terms[0]}")

    def finished(self, i0: Index, i1: Index, j0: Index, j1: Index) -> None:
        """Tell the epilogue that C[i0:i1, j0:j1] holds its sums."""
        if self.epilogue is None:
            return
        at = (j0, j1, i0, i1) if self.plan.turned else (i0, i1, j0, j1)
        block = [("i64", x) for x in (self.batch, *at)]
        self.f.call(self.epilogue, "void", ("ptr", "%X"), ("ptr", "%C"), *block)

    def loop(self, start: Index, stop: Index, step: Index = 1) -> AbstractContextManager[Index]:
        """A loop that stays one: LLVM would unroll short ones, and take long to compile them."""
        return self.f.loop(start, stop, step, hint=plain_loop(self.f.module))

    @contextmanager
    def if_(self, condition: str) -> Iterator[None]:
        """The body if an i1 holds, which may be known."""
        if condition == "true":
            yield
            return
        with self.f.when(condition):
            yield


STRIPS = 8
"""Tiles one under the other whose rows of A are packed together."""

FOR_A, FOR_B, FOR_C, END = range(4)


def rooms(p: Product, plan: Plan, machine: Machine) -> tuple[int, int, int]:
    """Bytes of the workspace for packed panels of A, of B, and for a tile of C."""
    size, lanes = SIZE[p.dtype], machine.lanes(p.dtype)
    if plan.way == "rows":
        return 0, 0, 0
    if plan.way == "dots":
        return 0, _room(p.n * p.k * size) if plan.pack_b else 0, 0
    columns = plan.wide * lanes
    full, rest = divmod(p.n, columns)
    for_a = STRIPS * row_of_a(plan.tall, lanes) * plan.depth * size if plan.pack_a else 0
    count = min(plan.together, full + bool(rest)) if plan.pack_b else bool(rest)
    for_b = _room(count * columns * plan.depth * size) if count else 0
    for_c = _room(plan.tall * columns * size) if rest or p.c[1] != 1 else 0
    return _room(for_a), for_b, for_c


def row_of_a(tall: int, lanes: int) -> int:
    """Numbers from one step of a packed strip of A to the next: whole vectors."""
    return -(-tall // lanes) * lanes


def _room(size: int) -> int:
    return -(-size // 64) * 64
