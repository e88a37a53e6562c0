"""Operations on square matrices in machine code: factors, systems, inverses, determinants.

A matrix and what stands beside it are copied into scratch memory, where `elimination` works on
them, and the answer is copied out. The matrices of a batch are the parts. A matrix that has no
answer is left to the interpreter, which says why as eager code does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..graph import Node
from .access import base_of, row_major, strided
from .block import Program
from .elimination import BLOCK, Elimination
from .entries import Reader
from .kernel import Kernel
from .place import Step
from .scalar import Scalar
from .stages import Stages, loops, offset, whole_lines
from .text import Function, Index

PARTS = 8
"""Parts at most."""
WORK = 20_000
"""Multiply-adds worth being a part of their own."""


class Batch:
    """The kernel of such an operation, being written: the matrices one by one.

    step    of the program; of: for operands and results the parameter they come in
    """

    def __init__(self, program: Program, step: Step, numbers: Sequence[int], name: str) -> None:
        self.program, self.node, self.name = program, step.node, name
        of = dict(zip((*step.inputs, *step.outputs), numbers, strict=True))
        self.inputs = [f"%p{of[base_of(x)]}" for x in step.node.inputs]
        several = isinstance(step.node.spec, tuple)
        self.outputs = {y.params["index"] if several else 0: f"%p{of[y]}" for y in step.outputs}
        self.spec = step.node.inputs[0].spec
        self.n = self.spec.shape[-1]
        self.e = Elimination(program.module, program.machine, self.spec.dtype.name)
        arguments = [("ptr", f"p{k}") for k in range(max(numbers) + 1)]
        arguments += [("ptr", "scratch"), ("ptr", "workspace"), ("i64", "part")]
        self.f: Function = program.module.function(name, arguments, attributes="nounwind noinline")
        self.f.hint = ""

    def shared(self, extra: int) -> tuple[int, int]:
        """How many parts, and how many matrices in each; `extra` columns stand beside each."""
        n, count = self.n, math.prod(self.spec.shape[:-2])
        parts = max(1, min(PARTS, count, count * n * n * (n + extra) // WORK))
        each = -(-count // parts)
        return -(-count // each), each

    @contextmanager
    def one_by_one(self, parts: int, each: int) -> Iterator[None]:
        """A loop over the matrices of a part."""
        f, count = self.f, math.prod(self.spec.shape[:-2])
        low: Index = f.mul("%part", each) if parts > 1 else 0
        with f.loop(low, f.least(f.add(low, each), count) if parts > 1 else count) as one:
            self.which = one
            yield

    def lead(self, strides: Sequence[int]) -> Index:
        """Where the matrix begins."""
        f, place, rest = self.f, 0, self.which
        for n, stride in zip(reversed(self.spec.shape[:-2]), reversed(strides[:-2]), strict=True):
            place = f.add(place, f.mul(f.mod(rest, n), stride))
            rest = f.div(rest, n)
        return place

    def read(self, k: int) -> Callable[[Index, Index], str]:
        """The entries of operand k."""
        f, view = self.f, strided(self.node.inputs[k])
        if view is None:
            raise AssertionError("an operand without strides")
        start = f.at(self.inputs[k], f.add(view.offset, self.lead(view.strides)), self.e.kind)
        strides = view.strides[-2:]
        return lambda i, j: f.load(
            f.at(start, offset(f, (i, j), strides), self.e.kind), self.e.kind
        )

    def refuse(self, condition: str) -> None:
        """Leave it to the interpreter."""
        self.program.checks.refuse(self.f, condition)


class Matrices(Batch):
    """Each is copied into scratch memory, done there, and copied out."""

    def written(self, write: Callable[[Matrices, str], None], extra: int, more: int) -> Stages:
        """The kernel; `write` does one matrix, with so many columns beside it and so many numbers
        of scratch memory besides.
        """
        f = self.f
        self.at = self.e.shape(self.n, extra)
        size = whole_lines((self.at.rows * self.at.row + more) * self.e.size)
        parts, each = self.shared(extra)
        place = f.at("%scratch", f.mul("%part", size), "i8")
        with self.one_by_one(parts, each):
            write(self, place)
        f.give()
        return Stages((Kernel(self.name, parts, 0),), size * parts)

    # -- in and out ---------------------------------------------------------------------------

    def clear(self, place: str) -> None:
        """Zeros everywhere."""
        name = self.f.module.intrinsic("llvm.memset.p0.i64", "void", "ptr", "i8", "i64", "i1")
        size = self.at.rows * self.at.row * self.e.size
        given = [("ptr", place), ("i8", 0), ("i64", size), ("i1", "false")]
        self.f.call(name, "void", *given)

    def put(self, place: str, i: Index, j: Index, x: str) -> None:
        """A number into scratch memory."""
        f = self.f
        f.store(x, f.at(place, f.add(f.mul(i, self.at.row), j), self.e.kind), self.e.kind)

    def get(self, place: str, i: Index, j: Index) -> str:
        """A number of scratch memory."""
        f = self.f
        return f.load(f.at(place, f.add(f.mul(i, self.at.row), j), self.e.kind), self.e.kind)

    def copy(self, place: str, k: int, column: int, columns: int) -> None:
        """Operand k as columns of scratch memory."""
        f, entry = self.f, self.read(k)
        with loops(f, self.n, columns) as (i, j):
            self.put(place, i, f.add(column, j), entry(i, j))

    def hand_out(self, place: str, column: int, columns: int, *, turned: bool = False) -> None:
        """Columns of scratch memory, their sign turned, as the result."""
        f, e = self.f, self.e
        strides = row_major(self.node.spec.shape)
        to = f.at(self.outputs[0], self.lead(strides), e.kind)
        last = tuple(reversed(strides[-2:])) if turned else strides[-2:]
        with loops(f, self.n, columns) as (i, j):
            x = f.let(f"fneg {e.kind} {self.get(place, i, f.add(column, j))}")
            f.store(x, f.at(to, offset(f, (i, j), last), e.kind), e.kind)

    # -- what is done -------------------------------------------------------------------------

    def cholesky(self, place: str) -> None:
        """The factor of the symmetric part."""
        f, e, n = self.f, self.e, self.n
        self.clear(place)
        entry = self.read(0)
        with f.loop(0, n) as i, f.loop(0, f.add(i, 1)) as j:
            both = f.let(f"fadd {e.kind} {entry(i, j)}, {entry(j, i)}")
            self.put(place, i, j, f.let(f"fmul {e.kind} {both}, 0.5"))
        none = e.call(
            f, e.factor(n),
            W=place, U=self._behind(place), row=self.at.row, n=n, left=self.at.left,
        )  # fmt: skip
        self.refuse(none)
        to = f.at(self.outputs[0], f.mul(self.which, n * n), e.kind)
        with loops(f, n, n) as (i, j):
            inside = f.let(f"icmp sle i64 {j}, {i}")
            x = f.let(f"select i1 {inside}, {e.kind} {self.get(place, i, j)}, {e.kind} 0.0")
            f.store(x, f.at(to, f.add(f.mul(i, n), j), e.kind), e.kind)

    def solve_triangular(self, place: str) -> None:
        """A substitution."""
        f, e, n = self.f, self.e, self.n
        lower, columns = self.node.params["lower"], self.node.inputs[1].spec.shape[-1]
        self.clear(place)
        self.copy(place, 0, 0, n)
        self.copy(place, 1, self.at.left, columns)
        zero = f.variable("i1", "false", align=8)
        with f.loop(0, n) as i:
            mine = f.let(f"fcmp oeq {e.kind} {self.get(place, i, i)}, 0.0")
            f.set(zero, f.let(f"or i1 {f.get(zero)}, {mine}"))
        self.refuse(f.get(zero))
        self._substituted(place, up=not lower)
        self.hand_out(place, self.at.left, columns)

    def solve(self, place: str) -> None:
        """Elimination, and a substitution."""
        columns = self.node.inputs[1].spec.shape[-1]
        self.clear(place)
        self.copy(place, 0, 0, self.n)
        self.copy(place, 1, self.at.left, columns)
        self._solved(place)
        self.hand_out(place, self.at.left, columns)

    def inv(self, place: str) -> None:
        """The solution for the columns of the unit matrix."""
        self.clear(place)
        self.copy(place, 0, 0, self.n)
        with self.f.loop(0, self.n) as i:
            self.put(place, i, self.f.add(self.at.left, i), "1.0")
        self._solved(place)
        turned = self.node.op.name == "log_det_slope"
        self.hand_out(place, self.at.left, self.n, turned=turned)

    def det(self, place: str) -> None:
        """The product of the pivots; a zero among them makes it zero."""
        f, e = self.f, self.e
        state = self._eliminated_alone(place)
        total = f.variable(e.kind, self._sign(state), align=8)
        with f.loop(0, self.n) as i:
            f.set(total, f.let(f"fmul {e.kind} {f.get(total)}, {self.get(place, i, i)}"))
        x = self._unless_singular(state, f.get(total), "0.0")
        f.store(x, f.at(self.outputs[0], self.which, e.kind), e.kind)

    def slogdet(self, place: str) -> None:
        """The product of the pivots' signs, the sum of their logarithms."""
        f, e = self.f, self.e
        b = Reader(f, None)
        state = self._eliminated_alone(place)
        sign = f.variable(e.kind, self._sign(state), align=8)
        total = f.variable(e.kind, "0.0", align=8)
        with f.loop(0, self.n) as i:
            pivot = Scalar(b, self.get(place, i, i), self.spec.dtype)
            f.set(total, (b.call("log", b.abs(pivot)) + Scalar(b, f.get(total), pivot.dtype)).name)
            before = Scalar(b, f.get(sign), pivot.dtype)
            f.set(sign, b.where(pivot < 0, -before, before).name)
        infinite = b.constant(-math.inf, self.spec.dtype).name
        for k, x, lost in ((0, sign, "0.0"), (1, total, infinite)):
            if k in self.outputs:
                value = self._unless_singular(state, f.get(x), lost)
                f.store(value, f.at(self.outputs[k], self.which, e.kind), e.kind)

    # -- the same for several -----------------------------------------------------------------

    def _behind(self, place: str) -> str:
        """Scratch memory behind the rows."""
        return self.f.at(place, self.at.rows * self.at.row, self.e.kind)

    def _eliminated(self, place: str) -> str:
        e = self.e
        return e.call(
            self.f, e.eliminate(self.n),
            W=place, P=self._behind(place), row=self.at.row, n=self.n, left=self.at.left,
        )  # fmt: skip

    def _eliminated_alone(self, place: str) -> str:
        self.clear(place)
        self.copy(place, 0, 0, self.n)
        return self._eliminated(place)

    def _substituted(self, place: str, *, up: bool) -> None:
        e = self.e
        e.call(
            self.f, e.solve(self.n, up=up),
            T=place, X=self.f.at(place, self.at.left, e.kind), row=self.at.row, n=self.n,
            columns=self.at.row - self.at.left,
        )  # fmt: skip

    def _solved(self, place: str) -> None:
        state = self._eliminated(place)
        self.refuse(self.f.let(f"icmp sge i64 {state}, 2"))
        self._substituted(place, up=True)

    def _sign(self, state: str) -> str:
        """−1 for an odd number of exchanged rows."""
        odd = self.f.let(f"trunc i64 {state} to i1")
        return self.f.let(f"select i1 {odd}, {self.e.kind} -1.0, {self.e.kind} 1.0")

    def _unless_singular(self, state: str, x: str, lost: str) -> str:
        zero = self.f.let(f"and i64 {state}, 2")
        lacks = self.f.let(f"icmp ne i64 {zero}, 0")
        return self.f.let(f"select i1 {lacks}, {self.e.kind} {lost}, {self.e.kind} {x}")


WRITERS: dict[str, Callable[[Matrices, str], None]] = {
    "cholesky": Matrices.cholesky,
    "solve_triangular": Matrices.solve_triangular,
    "solve": Matrices.solve,
    "inv": Matrices.inv,
    "log_det_slope": Matrices.inv,
    "det": Matrices.det,
    "slogdet": Matrices.slogdet,
}


def matrices(program: Program, step: Step, numbers: Sequence[int], name: str) -> Stages | None:
    """The kernel of an operation on square matrices; None if it is none, or not of this dtype."""
    node = step.node
    write = WRITERS.get(node.op.name)
    if write is None or not is_held(node):
        return None
    made, extra = Matrices(program, step, numbers, name), beside(node)
    room = BLOCK * BLOCK
    if node.op.name == "cholesky" and made.n > BLOCK:
        room += BLOCK * made.e.shape(made.n, 0).row
    return made.written(write, extra, room)


def beside(node: Node) -> int:
    """How many columns stand beside each matrix."""
    if node.op.name in ("inv", "log_det_slope"):
        return node.spec.shape[-1]
    return node.inputs[1].spec.shape[-1] if len(node.inputs) == 2 else 0


def is_held(node: Node) -> bool:
    """Whether all operands are of the same dtype, and have entries, where strides say."""
    specs: list[Any] = [x.spec for x in node.inputs]
    names = {s.dtype.name for s in specs}
    return (
        len(names) == 1
        and names <= {"float32", "float64"}
        and all(s.size for s in specs)
        and all(strided(x) is not None for x in node.inputs)
    )
