"""Products with few rows or columns, where reading the large matrix once is all that counts.

`by_dots`: the large matrix has rows along K, so each number of C is an inner product (`dots`).
`by_rows`: C is one row, a sum of rows of the large matrix, four of them at a time.
"""

from __future__ import annotations

from .blocking import RUN
from .dots import call_dots, dots
from .job import FOR_B, Job
from .microkernel import SIZE, TYPE, multiply_add, plain_loop
from .packing import mask, masked_load, masked_store, place
from .text import Function, Index, Module, splat, vector

BAND = 4096
"""Numbers of C in one block: they stay in the first cache."""

TOGETHER = 4
"""Rows added at a time. With 8, large matrices are read 10 % slower (measured)."""


def by_dots(job: Job) -> None:
    """Emit the rows of a job, as inner products."""
    f, p, plan = job.f, job.p, job.plan
    tall, wide = plan.tall, plan.wide
    first, last = job.terms
    k = f.sub(last, first)
    b, b_col = job.at_b(first, 0), p.b[1]
    if plan.pack_b:
        to = job.room(FOR_B)
        place(
            f,
            job.machine,
            p.dtype,
            c=to,
            c_row=1,
            c_col=p.k,
            scratch=b,
            t_row=p.b[0],
            t_col=p.b[1],
            rows=k,
            width=p.n,
            accumulate="false",
        )
        b, b_col = to, p.k

    def row_of_tiles(i: Index, low: int) -> None:
        def one(j: Index, narrow: int) -> None:
            call_dots(
                f,
                dots(f.module, job.machine, p.dtype, low, narrow),
                a=job.at_a(i, first),
                a_row=p.a[0],
                b=f.at(b, f.mul(j, b_col), job.kind),
                b_col=b_col,
                c=job.at_c(i, j),
                c_row=p.c[0],
                c_col=p.c[1],
                k=k,
                accumulate="true" if job.accumulate else "false",
            )

        with job.loop(0, p.n - p.n % wide, wide) as j:
            one(j, wide)
        if p.n % wide:
            one(p.n - p.n % wide, p.n % wide)

    top, bottom = f.mul(job.rows[0], tall), f.least(f.mul(job.rows[1], tall), p.m)
    band = tall * max(1, BAND // (tall * p.n))
    with job.loop(top, bottom, band) as i0:
        i1 = f.least(f.add(i0, band), bottom)
        whole = f.add(i0, f.mul(f.div(f.sub(i1, i0), tall), tall))
        with job.loop(i0, whole, tall) as i:
            row_of_tiles(i, tall)
        if p.m % tall or f.module.general:
            with job.loop(whole, i1) as i:
                row_of_tiles(i, 1)
        job.finished(i0, i1, 0, p.n)


def by_rows(job: Job) -> None:
    """Emit the columns of a job of one row."""
    f, p = job.f, job.p
    unit = RUN // SIZE[p.dtype]
    first, last = job.terms
    whole = f.add(first, f.mul(f.div(f.sub(last, first), TOGETHER), TOGETHER))
    stop = f.least(f.mul(job.columns[1], unit), p.n)
    with job.loop(f.mul(job.columns[0], unit), stop, BAND) as j0:
        j1 = f.least(f.add(j0, BAND), stop)
        for count, begin, end in ((TOGETHER, first, whole), (1, whole, last)):
            if isinstance(begin, int) and isinstance(end, int) and begin >= end:
                continue
            name = _adder(f.module, p.dtype, job.lanes, count)
            with job.loop(begin, end, count) as q:
                adds = "true" if job.accumulate else _not_equal(f, q, first)
                f.call(
                    name,
                    "void",
                    *[("ptr", job.at_a(0, q)), ("i64", p.a[1])],
                    *[("ptr", job.at_b(q, j0)), ("i64", p.b[0])],
                    *[("ptr", job.at_c(0, j0)), ("i64", f.sub(j1, j0)), ("i1", adds)],
                )
        job.finished(0, 1, j0, j1)


def _not_equal(f: Function, x: Index, y: Index) -> str:
    if isinstance(x, int) and isinstance(y, int):
        return "true" if x != y else "false"
    return f.let(f"icmp ne i64 {x}, {y}")


def _adder(module: Module, dtype: str, lanes: int, count: int) -> str:
    """C[j] (+)= Σ_q A[q·a_step] · B[q·b_row + j]   q < count, j < width"""
    kind, size = TYPE[dtype], SIZE[dtype]
    wide, name = vector(kind, lanes), f"rows_{kind}_{count}x{lanes}"

    def write() -> None:
        f = module.function(
            name,
            [
                *[("ptr noalias readonly", "A"), ("i64", "a_step")],
                *[("ptr noalias readonly", "B"), ("i64", "b_row")],
                *[("ptr noalias", "C"), ("i64", "width"), ("i1", "adds")],
            ],
            attributes="noinline nounwind",
        )
        xs = [
            splat(f, f.load(f.at("%A", f.mul("%a_step", q), kind), kind), kind, lanes)
            for q in range(count)
        ]
        lines = [f.at("%B", f.mul("%b_row", q), kind) for q in range(count)]
        whole, zero = f.mul(f.div("%width", lanes), lanes), "zeroinitializer"
        keep = f.let(f"select i1 %adds, <{lanes} x i1> {_all(lanes)}, <{lanes} x i1> {zero}")

        def sums(j: Index, m: str | None) -> None:
            def numbers(line: str, some: str | None) -> str:
                at = f.at(line, j, kind)
                return (
                    masked_load(f, at, some, kind, lanes) if some else f.load(at, wide, align=size)
                )

            if m:
                y = numbers("%C", f.let(f"and <{lanes} x i1> {m}, {keep}"))
            else:
                y = f.let(f"select i1 %adds, {wide} {numbers('%C', None)}, {wide} {zero}")
            for x, line in zip(xs, lines, strict=True):
                y = multiply_add(f, x, numbers(line, m), y, kind, lanes)
            if m:
                masked_store(f, y, f.at("%C", j, kind), m, kind, lanes)
            else:
                f.store(y, f.at("%C", j, kind), wide, align=size)

        with f.loop(0, whole, lanes, hint=plain_loop(module)) as j:
            sums(j, None)
        rest = f.sub("%width", whole)
        with f.when(f.let(f"icmp ne i64 {rest}, 0")):
            sums(whole, mask(f, rest, lanes))
        f.give()

    return module.once(name, write)


def _all(lanes: int) -> str:
    return "<" + ", ".join(["i1 true"] * lanes) + ">"
