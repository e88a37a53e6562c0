"""Operations on tiny square matrices: all numbers of one are in registers, and no loop is left.

Rows are exchanged by selections, so that the code is the same for every matrix, and several are
under way at a time; the greatest number of a column comes up as in `elimination`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .access import row_major
from .block import Program
from .entries import Reader
from .kernel import Kernel
from .matrices import Batch, beside, is_held
from .place import Step
from .scalar import BOOL, Scalar
from .stages import Stages, offset

ROWS = 4
"""Rows, and columns beside them, at most."""
Rows = list[list[Scalar]]


class Tiny(Batch):
    """The kernel of such an operation; what does one matrix gives whether there is no answer."""

    def __init__(self, program: Program, step: Step, numbers: Sequence[int], name: str) -> None:
        super().__init__(program, step, numbers, name)
        self.b = Reader(self.f, None)
        self.dtype = self.spec.dtype

    def straight(self, write: Callable[[Tiny], Scalar | None]) -> Stages:
        """The kernel."""
        f, parts, each = self.f, *self.shared(beside(self.node))
        lost = f.variable("i1", "false", align=8)
        with self.one_by_one(parts, each):
            none = write(self)
            if none is not None:
                f.set(lost, f.let(f"or i1 {f.get(lost)}, {none.name}"))
        if none is not None:
            self.refuse(f.get(lost))
        f.give()
        return Stages((Kernel(self.name, parts, 0),), 0)

    # -- in and out ---------------------------------------------------------------------------

    def _number(self, x: float) -> Scalar:
        return self.b.constant(x, self.dtype)

    def _rows(self, k: int) -> Rows:
        """Operand k."""
        entry = self.read(k)
        columns = range(self.node.inputs[k].spec.shape[-1])
        return [[Scalar(self.b, entry(i, j), self.dtype) for j in columns] for i in range(self.n)]

    def _give(self, rows: Rows, *, turned: bool = False) -> None:
        """The result."""
        strides = row_major(self.node.spec.shape)
        to = self.f.at(self.outputs[0], self.lead(strides), self.e.kind)
        last = strides[:-3:-1] if turned else strides[-2:]
        for i, row in enumerate(rows):
            for j, x in enumerate(row):
                self.b.put(to, offset(self.f, (i, j), last), x)

    # -- what is done -------------------------------------------------------------------------

    def _eliminated(self, rows: Rows) -> tuple[Scalar, Scalar, Scalar]:
        """The rows become upper triangular. Whether an odd number of them was exchanged, whether a
        pivot is 0, whether all are finite.
        """
        b, n = self.b, self.n
        odd, zero, finite = b.constant(False, BOOL), b.constant(False, BOOL), b.constant(True, BOOL)
        for j in range(n):
            for i in range(j + 1, n):
                more = b.abs(rows[i][j]) > b.abs(rows[j][j])
                pairs = list(zip(rows[j], rows[i], strict=True))
                rows[j] = [b.where(more, y, x) for x, y in pairs]
                rows[i] = [b.where(more, x, y) for x, y in pairs]
                odd = odd ^ more
            pivot = rows[j][j]
            zero, finite = zero | (pivot == 0.0), finite & (b.abs(pivot) < math.inf)
            safe = b.where(pivot == 0.0, 1.0, pivot)
            for i in range(j + 1, n):
                share = -(rows[i][j] / safe)
                rows[i] = [b.fused(share, x, y) for x, y in zip(rows[j], rows[i], strict=True)]
        return odd, zero, finite

    def _substituted(self, t: Rows, x: Rows, *, up: bool) -> Rows:
        """T⁻¹ X, T the lower (`up`: the upper) triangle."""
        b, n = self.b, self.n
        for i in reversed(range(n)) if up else range(n):
            for k in range(i + 1, n) if up else range(i):
                x[i] = [b.fused(-t[i][k], u, v) for u, v in zip(x[k], x[i], strict=True)]
            x[i] = [v / t[i][i] for v in x[i]]
        return x

    def _solution(self, right: Rows) -> tuple[Rows, Scalar]:
        rows = [[*row, *more] for row, more in zip(self._rows(0), right, strict=True)]
        _, zero, finite = self._eliminated(rows)
        x = self._substituted(rows, [row[self.n :] for row in rows], up=True)
        return x, zero | ~finite

    def solve(self) -> Scalar:
        """Elimination, and a substitution."""
        x, none = self._solution(self._rows(1))
        self._give(x)
        return none

    def inv(self) -> Scalar:
        """The solution for the columns of the unit matrix."""
        every = range(self.n)
        x, none = self._solution([[self._number(float(i == j)) for j in every] for i in every])
        self._give(x, turned=self.node.op.name == "log_det_slope")
        return none

    def solve_triangular(self) -> Scalar:
        """A substitution."""
        t = self._rows(0)
        self._give(self._substituted(t, self._rows(1), up=not self.node.params["lower"]))
        none = self.b.constant(False, BOOL)
        for i in range(self.n):
            none = none | (t[i][i] == 0.0)
        return none

    def cholesky(self) -> Scalar:
        """The factor of the symmetric part."""
        b, a, every = self.b, self._rows(0), range(self.n)
        l = [[self._number(0.0) for _ in every] for _ in every]
        fine = b.constant(True, BOOL)
        for j in every:
            for i in range(j, self.n):
                x = (a[i][j] + a[j][i]) * 0.5
                for k in range(j):
                    x = b.fused(-l[i][k], l[j][k], x)
                if i == j:
                    fine = fine & (x > 0.0) & (x < math.inf)
                l[i][j] = b.intrinsic("sqrt", x) if i == j else x / l[j][j]
        self._give(l)
        return ~fine

    def det(self) -> None:
        """The product of the pivots; a zero among them makes it zero."""
        b, rows = self.b, self._rows(0)
        odd, zero, _ = self._eliminated(rows)
        total = b.where(odd, -1.0, self._number(1.0))
        for i in range(self.n):
            total = total * rows[i][i]
        b.put(self.outputs[0], self.which, b.where(zero, 0.0, total))

    def slogdet(self) -> None:
        """The product of the pivots' signs, the sum of their logarithms."""
        b, rows = self.b, self._rows(0)
        odd, zero, _ = self._eliminated(rows)
        total = self._number(0.0)
        for i in range(self.n):
            total = total + b.call("log", b.abs(rows[i][i]))
            odd = odd ^ (rows[i][i] < 0.0)
        sign = b.where(odd, -1.0, self._number(1.0))
        for k, x, lost in ((0, sign, 0.0), (1, total, -math.inf)):
            if k in self.outputs:
                b.put(self.outputs[k], self.which, b.where(zero, lost, x))


WRITERS: dict[str, Callable[[Tiny], Any]] = {
    "cholesky": Tiny.cholesky,
    "solve_triangular": Tiny.solve_triangular,
    "solve": Tiny.solve,
    "inv": Tiny.inv,
    "log_det_slope": Tiny.inv,
    "det": Tiny.det,
    "slogdet": Tiny.slogdet,
}


def tiny(program: Program, step: Step, numbers: Sequence[int], name: str) -> Stages | None:
    """The kernel of an operation on tiny square matrices; None if it is none."""
    node = step.node
    write = WRITERS.get(node.op.name)
    if write is None or not is_held(node):
        return None
    if max(node.inputs[0].spec.shape[-1], beside(node)) > ROWS:
        return None
    return Tiny(program, step, numbers, name).straight(write)
