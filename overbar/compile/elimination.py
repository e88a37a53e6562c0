"""Triangles and elimination: the loops that solving, factoring and inverting matrices are made of.

Each is a function of its own, written once for a dtype; sizes are arguments. A matrix lies in
scratch memory row by row, its rows `row` numbers apart, with zeros behind it, so that whole vectors
and whole tiles can be read and written everywhere. `BLOCK` rows are done at a time; what they mean
for all others is one product, done by the tiles that products of matrices are made of, and most of
the work.

The tiles add. So what is to be subtracted is kept with its sign turned: the multipliers of an
elimination, the solutions of a system until they are handed out.

Source:  Golub and Van Loan (2013), Matrix Computations, 3.1, 3.4 and 4.2: block algorithms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from .machine import Machine
from .microkernel import TYPE, call_tile, height, multiply_add, plain_loop, tile
from .text import Function, Index, Module, splat, vector

BLOCK = 32
"""Rows done at a time: a multiple of the rows of a tile and of the columns of any."""
SEVERAL = 8
"""Vectors side by side in a substitution: enough sums at a time to wait for none."""


class Shape(NamedTuple):
    """How a matrix with `extra` columns beside it lies in scratch memory.

    left    columns that the matrix takes, with zeros behind it; the others begin there
    row     numbers from one row to the next;  rows: of them, with zeros below
    """

    left: int
    row: int
    rows: int


class Elimination:
    """Writes the functions for numbers of one dtype."""

    def __init__(self, module: Module, machine: Machine, dtype: str) -> None:
        self.module, self.machine, self.dtype = module, machine, dtype
        self.kind, self.lanes = TYPE[dtype], machine.lanes(dtype)
        self.wide = vector(self.kind, self.lanes)
        self.size = 8 if dtype == "float64" else 4
        self.tall = 2 * height(machine) // 3
        self.panel = 2 * self.lanes

    def shape(self, n: int, extra: int) -> Shape:
        """Whole panels; an odd number of them, so that rows do not meet in the cache."""
        left, right = (-(-k // self.panel) * self.panel for k in (n, extra))
        row = left + right
        if row // self.panel % 2 == 0:
            row += self.panel
        return Shape(left, row, -(-n // self.tall) * self.tall)

    def _once(
        self,
        name: str,
        arguments: str,
        write: Callable[[Function], None],
        result: str = "void",
    ) -> str:
        full = f"ob.{name}.{self.kind}"
        pairs = [(a.split()[0], a.split()[1]) for a in arguments.split(", ")]

        def make() -> None:
            f = self.module.function(
                full, pairs, result=result, attributes="noinline nounwind alignstack(64)"
            )
            f.hint = plain_loop(self.module)
            write(f)

        return self.module.once(full, make)

    def _load(self, f: Function, pointer: str, at: Index) -> str:
        return f.load(f.at(pointer, at, self.kind), self.wide, align=self.size)

    def _store(self, f: Function, x: str, pointer: str, at: Index) -> None:
        f.store(x, f.at(pointer, at, self.kind), self.wide, align=self.size)

    def _number(self, f: Function, pointer: str, at: Index) -> str:
        return f.load(f.at(pointer, at, self.kind), self.kind)

    def _splat(self, f: Function, x: str) -> str:
        return splat(f, x, self.kind, self.lanes)

    def _choice(self, f: Function, condition: str, kind: str, x: Index, y: Index) -> str:
        return f.let(f"select i1 {condition}, {kind} {x}, {kind} {y}")

    # -- products -----------------------------------------------------------------------------

    def update(self) -> str:
        """C += A B. C and A have the same rows, of which so many more than m are there that tiles
        find whole ones; n is a whole number of panels. `lower`: of a square C its lower triangle.
        """

        def write(f: Function) -> None:
            micro = tile(self.module, self.machine, self.dtype, self.tall, 2)
            with f.loop(0, "%m", self.tall) as i:
                panels = f.div("%n", self.panel)
                reach = f.add(f.div(f.add(i, self.tall - 1), self.panel), 1)
                some = self._choice(f, "%lower", "i64", f.least(panels, reach), panels)
                call_tile(
                    f,
                    micro,
                    a=f.at("%A", f.mul(i, "%row"), self.kind),
                    a_row="%row",
                    a_step=1,
                    b="%B",
                    b_step="%b_row",
                    c=f.at("%C", f.mul(i, "%row"), self.kind),
                    c_row="%row",
                    k="%k",
                    accumulate=True,
                    panels=some,
                    b_panel=self.panel,
                )
            f.give()

        what = "ptr C, i64 row, ptr A, ptr B, i64 b_row, i64 m, i64 n, i64 k, i1 lower"
        return self._once("update", what, write)

    # -- triangles ----------------------------------------------------------------------------

    def substitute(self) -> str:
        """X becomes −T⁻¹ X, T the lower (`up`: the upper) triangle of k rows; or, of multipliers
        with their sign turned and ones on the diagonal (`unit`), T⁻¹ X. n: whole panels.
        """

        def rows(f: Function, first: Index, vectors: int) -> None:
            with f.loop(0, "%k") as t:
                last = f.sub(f.sub("%k", 1), t)
                i = self._choice(f, "%up", "i64", last, t)
                start = self._choice(f, "%up", "i64", f.add(i, 1), 0)
                stop = self._choice(f, "%up", "i64", "%k", i)
                here = f.at("%X", f.add(f.mul(i, "%x_row"), first), self.kind)
                line = f.at("%T", f.mul(i, "%row"), self.kind)
                at = [v * self.lanes for v in range(vectors)]
                sums = [f.variable(self.wide, self._load(f, here, v)) for v in at]
                with f.loop(start, stop) as j:
                    factor = self._splat(f, self._number(f, line, j))
                    there = f.at("%X", f.add(f.mul(j, "%x_row"), first), self.kind)
                    for total, v in zip(sums, at, strict=True):
                        x = self._load(f, there, v)
                        new = multiply_add(f, factor, x, f.get(total), self.kind, self.lanes)
                        f.set(total, new)
                pivot = self._choice(f, "%unit", self.kind, "1.0", self._number(f, line, i))
                divisor = self._splat(f, f.let(f"fneg {self.kind} {pivot}"))
                for total, v in zip(sums, at, strict=True):
                    x = f.let(f"fdiv {self.wide} {f.get(total)}, {divisor}")
                    signed = self._choice(f, "%unit", self.wide, f.let(f"fneg {self.wide} {x}"), x)
                    self._store(f, signed, here, v)

        def write(f: Function) -> None:
            many = SEVERAL * self.lanes
            whole = f.mul(f.div("%n", many), many)
            with f.loop(0, whole, many) as c:
                rows(f, c, SEVERAL)
            with f.loop(whole, "%n", self.panel) as c:
                rows(f, c, 2)
            f.give()

        return self._once(
            "substitute", "ptr T, i64 row, ptr X, i64 x_row, i64 k, i64 n, i1 up, i1 unit", write
        )

    def solve(self, n: int, *, up: bool) -> str:
        """X becomes −T⁻¹ X, T the lower (upper) triangle of n rows; both have the same rows."""

        def write(f: Function) -> None:
            with self._blocks(f, up) as (first, k):
                corner = f.at("%T", f.mul(first, f.add("%row", 1)), self.kind)
                mine = f.at("%X", f.mul(first, "%row"), self.kind)
                self.call(
                    f, self.substitute(),
                    T=corner, row="%row", X=mine, x_row="%row", k=k, n="%columns",
                    up=up, unit=False,
                )  # fmt: skip
                if n > BLOCK:
                    begin = 0 if up else f.add(first, k)
                    column = f.at("%T", f.add(f.mul(begin, "%row"), first), self.kind)
                    self.call(
                        f, self.update(),
                        C=f.at("%X", f.mul(begin, "%row"), self.kind), row="%row", A=column, B=mine,
                        b_row="%row", m=first if up else f.sub("%n", begin), n="%columns", k=k,
                        lower=False,
                    )  # fmt: skip
            f.give()

        name = ("back" if up else "forward") + (".small" if n <= BLOCK else "")
        return self._once(name, "ptr T, ptr X, i64 row, i64 n, i64 columns", write)

    @contextmanager
    def _blocks(self, f: Function, up: bool = False) -> Iterator[tuple[Index, Index]]:
        """A loop over the blocks of n rows (from the last one up): the first row, how many."""
        count = f.div(f.add("%n", BLOCK - 1), BLOCK)
        with f.loop(0, count) as b:
            which = f.sub(f.sub(count, 1), b) if up else b
            first = f.mul(which, BLOCK)
            yield first, f.least(BLOCK, f.sub("%n", first))

    def call(self, f: Function, name: str, **given: Index | bool) -> str:
        """Call one of the functions; the arguments by their names, in order."""
        function, values = self.module.get(name), []
        for kind, argument in function.arguments:
            x = given[argument]
            values.append((kind, ("false", "true")[x] if isinstance(x, bool) else x))
        return f.call(name, function.result, *values)

    # -- Cholesky -----------------------------------------------------------------------------

    def factor_block(self) -> str:
        """The lower triangle of k rows becomes its factor; gives whether there is none.

        It is done on the transpose, in U, whose rows are what is subtracted of others.
        """

        def write(f: Function) -> None:
            bad = f.variable("i1", "false", align=8)
            stop = f.mul(f.div(f.add("%k", self.lanes - 1), self.lanes), self.lanes)
            with f.loop(0, "%k") as i, f.loop(0, stop, self.lanes) as c:
                self._store(f, "zeroinitializer", "%U", f.add(f.mul(i, BLOCK), c))
            with f.loop(0, "%k") as i, f.loop(0, f.add(i, 1)) as j:
                x = self._number(f, "%W", f.add(f.mul(i, "%row"), j))
                f.store(x, f.at("%U", f.add(f.mul(j, BLOCK), i), self.kind), self.kind)
            with f.loop(0, "%k") as j:
                mine = f.at("%U", f.mul(j, BLOCK), self.kind)
                pivot = self._number(f, mine, j)
                positive = f.let(f"fcmp ogt {self.kind} {pivot}, 0.0")
                finite = f.let(f"fcmp olt {self.kind} {pivot}, 0x7FF0000000000000")
                fine = f.let(f"and i1 {positive}, {finite}")
                f.set(bad, f.let(f"or i1 {f.get(bad)}, {f.let(f'xor i1 {fine}, true')}"))
                short = "f64" if self.size == 8 else "f32"
                sqrt = self.module.intrinsic(f"llvm.sqrt.{short}", self.kind, self.kind)
                root = f.call(sqrt, self.kind, (self.kind, pivot))
                divisor = self._splat(f, root)
                with f.loop(self._down(f, j), stop, self.lanes) as c:
                    x = self._load(f, mine, c)
                    self._store(f, f.let(f"fdiv {self.wide} {x}, {divisor}"), mine, c)
                f.store(root, f.at(mine, j, self.kind), self.kind)
                with f.loop(f.add(j, 1), "%k") as i:
                    factor = f.let(f"fneg {self.kind} {self._number(f, mine, i)}")
                    self._add_row(f, f.at("%U", f.mul(i, BLOCK), self.kind), factor, mine, i, stop)
            with f.loop(0, "%k") as i, f.loop(0, f.add(i, 1)) as j:
                x = self._number(f, "%U", f.add(f.mul(j, BLOCK), i))
                f.store(x, f.at("%W", f.add(f.mul(i, "%row"), j), self.kind), self.kind)
            f.give(f.get(bad))

        return self._once("factor.block", "ptr W, i64 row, ptr U, i64 k", write, "i1")

    def _down(self, f: Function, i: Index) -> Index:
        """Where the vector of this column begins."""
        return f.mul(f.div(i, self.lanes), self.lanes)

    def _add_row(
        self, f: Function, to: str, factor: str, source: str, start: Index, stop: Index
    ) -> None:
        """to += factor · source from the vector of `start` on."""
        wide = self._splat(f, factor)
        with f.loop(self._down(f, start), stop, self.lanes) as c:
            now = self._load(f, to, c)
            x = self._load(f, source, c)
            self._store(f, multiply_add(f, wide, x, now, self.kind, self.lanes), to, c)

    def factor(self, n: int) -> str:
        """The lower triangle of n rows becomes its factor; gives whether there is none. U has room
        for `BLOCK` rows of `BLOCK` and of `row` numbers.
        """

        def write(f: Function) -> None:
            bad = f.variable("i1", "false", align=8)
            turned = f.at("%U", BLOCK * BLOCK, self.kind)
            with self._blocks(f) as (first, k):
                corner = f.at("%W", f.mul(first, f.add("%row", 1)), self.kind)
                none = self.call(f, self.factor_block(), W=corner, row="%row", U="%U", k=k)
                f.set(bad, f.let(f"or i1 {f.get(bad)}, {none}"))
                if n > BLOCK:
                    begin = f.add(first, k)
                    rest, columns = f.sub("%n", begin), f.sub("%left", begin)
                    below = f.at("%W", f.add(f.mul(begin, "%row"), first), self.kind)
                    # −X of L Xᵀ: the rows below, turned; there is a whole block above them
                    with f.when(f.let(f"icmp sgt i64 {rest}, 0")):
                        self._turn(f, below, turned, rest, columns)
                        self.call(
                            f, self.substitute(),
                            T=corner, row="%row", X=turned, x_row="%row", k=BLOCK, n=columns,
                            up=False, unit=False,
                        )  # fmt: skip
                        self._turn_back(f, below, turned, rest)
                        self.call(
                            f, self.update(),
                            C=f.at(below, BLOCK, self.kind), row="%row", A=below, B=turned,
                            b_row="%row", m=rest, n=columns, k=BLOCK, lower=True,
                        )  # fmt: skip
            f.give(f.get(bad))

        name = "factor" + (".small" if n <= BLOCK else "")
        return self._once(name, "ptr W, ptr U, i64 row, i64 n, i64 left", write, "i1")

    def _turn(self, f: Function, source: str, to: str, count: Index, columns: Index) -> None:
        """`count` rows of a block as columns, zeros behind them."""
        with f.loop(0, BLOCK) as p, f.loop(self._down(f, count), columns, self.lanes) as c:
            self._store(f, "zeroinitializer", to, f.add(f.mul(p, "%row"), c))
        with f.loop(0, count) as j, f.loop(0, BLOCK) as p:
            x = self._number(f, source, f.add(f.mul(j, "%row"), p))
            f.store(x, f.at(to, f.add(f.mul(p, "%row"), j), self.kind), self.kind)

    def _turn_back(self, f: Function, to: str, source: str, count: Index) -> None:
        """The same backwards, with the sign turned."""
        with f.loop(0, count) as j, f.loop(0, BLOCK) as p:
            x = self._number(f, source, f.add(f.mul(p, "%row"), j))
            minus = f.let(f"fneg {self.kind} {x}")
            f.store(minus, f.at(to, f.add(f.mul(j, "%row"), p), self.kind), self.kind)

    # -- elimination with pivots --------------------------------------------------------------

    def eliminate_block(self) -> str:
        """k columns from `first` on, of all rows below: rows are exchanged (whole ones) so that
        the greatest number comes up, and what is below becomes −multipliers. The columns beside
        them up to `end` are done too. Gives 1 for an odd number of exchanges, + 2 if a column has
        nothing but zeros, + 4 if one has a pivot that is not finite.
        """

        def write(f: Function) -> None:
            state = f.variable("i64", 0, align=8)
            fabs = f"llvm.fabs.{'f64' if self.size == 8 else 'f32'}"
            fabs = self.module.intrinsic(fabs, self.kind, self.kind)

            def size_at(i: Index, j: Index) -> str:
                x = self._number(f, "%W", f.add(f.mul(i, "%row"), j))
                return f.call(fabs, self.kind, (self.kind, x))

            with f.loop(0, "%k") as t:
                j = f.add("%first", t)
                best = f.variable(self.kind, size_at(j, j), align=8)
                at = f.variable("i64", j, align=8)
                with f.loop(f.add(j, 1), "%n") as i:
                    x, now = size_at(i, j), f.get(best)
                    more = f.let(f"fcmp ogt {self.kind} {x}, {now}")
                    f.set(best, self._choice(f, more, self.kind, x, now))
                    f.set(at, self._choice(f, more, "i64", i, f.get(at)))
                mine = f.at("%W", f.mul(j, "%row"), self.kind)
                with f.when(f.let(f"icmp ne i64 {f.get(at)}, {j}")):
                    theirs = f.at("%W", f.mul(f.get(at), "%row"), self.kind)
                    with f.loop(0, "%row", self.lanes) as c:
                        x, y = self._load(f, mine, c), self._load(f, theirs, c)
                        self._store(f, y, mine, c)
                        self._store(f, x, theirs, c)
                    f.set(state, f.let(f"xor i64 {f.get(state)}, 1"))
                pivot = self._number(f, mine, j)
                zero = f.let(f"fcmp oeq {self.kind} {pivot}, 0.0")
                finite = f.let(f"fcmp olt {self.kind} {size_at(j, j)}, 0x7FF0000000000000")
                sort = self._choice(f, zero, "i64", 2, self._choice(f, finite, "i64", 0, 4))
                f.set(state, f.let(f"or i64 {f.get(state)}, {sort}"))
                safe = self._choice(f, zero, self.kind, "1.0", pivot)
                stop = f.sub("%end", "%first")
                with f.loop(0, stop, self.lanes) as c:
                    self._store(f, self._load(f, mine, f.add("%first", c)), "%P", c)
                with f.loop(0, f.add(t, 1)) as c:
                    f.store("0.0", f.at("%P", c, self.kind), self.kind)
                with f.loop(f.add(j, 1), "%n") as i:
                    line = f.at("%W", f.add(f.mul(i, "%row"), "%first"), self.kind)
                    share = f.let(f"fdiv {self.kind} {self._number(f, line, t)}, {safe}")
                    factor = f.let(f"fneg {self.kind} {share}")
                    self._add_row(f, line, factor, "%P", t, stop)
                    f.store(factor, f.at(line, t, self.kind), self.kind)
            f.give(f.get(state))

        what = "ptr W, ptr P, i64 row, i64 first, i64 k, i64 n, i64 end"
        return self._once("eliminate.block", what, write, "i64")

    def eliminate(self, n: int) -> str:
        """The matrix of n rows, and all that is beside it, becomes upper triangular; P has room for
        `BLOCK` numbers. Gives what `eliminate_block` does.
        """

        def write(f: Function) -> None:
            state = f.variable("i64", 0, align=8)
            with self._blocks(f) as (first, k):
                end = f.least(f.add(first, BLOCK), "%left")
                found = self.call(
                    f, self.eliminate_block(),
                    W="%W", P="%P", row="%row", first=first, k=k, n="%n", end=end,
                )  # fmt: skip
                odd = f.let(f"xor i64 {f.get(state)}, {f.let(f'and i64 {found}, 1')}")
                f.set(state, f.let(f"or i64 {odd}, {f.let(f'and i64 {found}, 6')}"))
                rest = f.sub("%row", end)
                corner = f.at("%W", f.mul(first, f.add("%row", 1)), self.kind)
                beside = f.at("%W", f.add(f.mul(first, "%row"), end), self.kind)
                self.call(
                    f, self.substitute(),
                    T=corner, row="%row", X=beside, x_row="%row", k=k, n=rest, up=False, unit=True,
                )  # fmt: skip
                if n > BLOCK:
                    down = f.mul(k, "%row")
                    self.call(
                        f, self.update(),
                        C=f.at(beside, down, self.kind), row="%row",
                        A=f.at(corner, down, self.kind), B=beside, b_row="%row",
                        m=f.sub(f.sub("%n", first), k), n=rest, k=k, lower=False,
                    )  # fmt: skip
            f.give(f.get(state))

        name = "eliminate" + (".small" if n <= BLOCK else "")
        return self._once(name, "ptr W, ptr P, i64 row, i64 n, i64 left", write, "i64")
