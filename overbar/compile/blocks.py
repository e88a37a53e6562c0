"""A product by tiles: panels of B, under them tile after tile.

For a few panels of B at a time, which stay in the second cache, and a part of K: the rows of one
height of A run past all of these panels, and stay in the first cache meanwhile. What a tile cannot
read as it lies is packed first: B if its rows are not contiguous or far apart, the last columns of
B if they do not fill a panel. What it cannot write (these columns; a C whose rows are not
contiguous) it writes to a scratch tile.
"""

from __future__ import annotations

from .blocking import panels, tiles
from .job import FOR_A, FOR_B, FOR_C, STRIPS, Job, row_of_a
from .microkernel import SIZE, call_tile, tile
from .packing import pack, place
from .text import Index

BLOCK = 1024
"""Numbers of C that an epilogue should get at once, at least."""

FETCH = 64
"""Terms of a sum from which on C is asked for ahead: 2 to 5 % of products of 1024 and more."""


def by_tiles(job: Job) -> None:
    """Emit the rows and columns of a job."""
    f, plan = job.f, job.plan
    with job.loop(*job.terms, plan.depth) as first:
        depth = f.least(plan.depth, f.sub(job.terms[1], first))
        adds = job.adds(first)
        complete = "true"
        if plan.depth < job.p.k:
            complete = f.let(f"icmp eq i64 {f.add(first, depth)}, {job.terms[1]}")
        with job.loop(*job.columns, plan.together) as begin:
            end = f.least(f.add(begin, plan.together), job.columns[1])
            group = _Group(job, begin, end, first, depth, adds, complete)
            group.pack()
            group.tiles()


class _Group:
    """Some panels of columns, `begin` to `end`, and some terms of the sums, `depth` from `first`.

    `adds`, `complete`: whether C is added to, and whether its sums are complete afterwards.
    """

    def __init__(
        self,
        job: Job,
        begin: Index,
        end: Index,
        first: Index,
        depth: Index,
        adds: str,
        complete: str,
    ) -> None:
        self.job, self.f, self.p, self.plan, self.kind = job, job.f, job.p, job.plan, job.kind
        self.begin, self.end, self.first, self.depth = begin, end, first, depth
        self.adds, self.complete = adds, complete
        self.full, self.rest = panels(job.p, job.plan, job.lanes)
        self.columns = job.plan.wide * job.lanes
        self.row_of_a = row_of_a(job.plan.tall, job.lanes)
        self.stop = self.f.least(end, self.full)
        self.last: str = "false"  # whether the columns that fill no panel are among these
        self.general = self.f.module.general
        self.rest_columns = self.columns if self.general else self.rest
        if self.rest and isinstance(end, int):
            self.last = "true" if end > self.full else "false"
        elif self.rest or self.general:
            self.last = self.f.let(f"icmp sgt i64 {end}, {self.full}")

    def pack(self) -> None:
        """Put the panels into the workspace, those that tiles cannot read as they lie."""
        if self.plan.pack_b and (self.full or self.general):
            self._pack(self.begin, self.f.sub(self.stop, self.begin), self.columns)
        if self.last != "false":
            with self.job.if_(self.last):
                self._pack(self.full, 1, self.rest_columns, self.rest)

    def _pack(self, panel: Index, count: Index, width: int, used: int | None = None) -> None:
        lanes = self.job.lanes
        pack(
            self.f,
            self.job.machine,
            self.p.dtype,
            to=self._packed(panel),
            d_row=-(-width // lanes) * lanes,
            d_panel=self.columns * self.plan.depth,
            source=self.job.at_b(self.first, self.f.mul(panel, self.columns)),
            s_row=self.p.b[0],
            s_col=self.p.b[1],
            s_panel=self.columns * self.p.b[1],
            rows=self.depth,
            fewest=self.job.fewest,
            width=width,
            used=used,
            panels=count,
        )

    def _packed(self, panel: Index) -> str:
        if not self.plan.pack_b:
            return self.job.room(FOR_B)
        f = self.f
        at = f.mul(f.sub(panel, self.begin), self.columns * self.plan.depth)
        return f.at(self.job.room(FOR_B), at, self.kind)

    def tiles(self) -> None:
        """All tiles from top to bottom: full ones in a loop, the last ones one by one."""
        f, job, tall, (t0, t1) = self.f, self.job, self.plan.tall, self.job.rows
        found = tiles(job.p, self.plan, general=self.general)
        full = sum(high == tall for _, high in found)
        stop, several = f.least(t1, full), self._several()
        if full or self.general:
            with job.loop(t0, stop, several) as t:
                count = f.least(several, f.sub(stop, t))
                self._band(f.mul(t, tall), tall, count)
        if self.general:
            short = 2 * tall // 3
            with job.loop(f.most(t0, full), t1) as t:
                row = f.add(f.mul(f.sub(t, full), short), full * tall)
                self._band(row, short, 1, f.least(short, f.sub(job.p.m, row)))
            return
        for e in range(full, len(found)):
            inside = "true"
            if isinstance(t0, str) or isinstance(t1, str):
                after, before = f.let(f"icmp sle i64 {t0}, {e}"), f.let(f"icmp sgt i64 {t1}, {e}")
                inside = f.let(f"and i1 {after}, {before}")
            with job.if_(inside):
                self._band(*found[e], 1)

    def _several(self) -> int:
        """How many tiles, one under the other, are done before the epilogue is called."""
        several = STRIPS if self.plan.pack_a else 1
        if self.job.epilogue:
            width = min(self.p.n, self.plan.together * self.columns)
            several = max(several, BLOCK // (self.plan.tall * width))
        return several

    def _band(self, row: Index, tall: int, count: Index, left: Index | None = None) -> None:
        """So many tiles one under the other, across all panels. left: one of fewer rows."""
        f, p, job = self.f, self.p, self.job
        a, a_row, a_step, apart = job.at_a(row, self.first), *p.a, tall * p.a[0]
        if self.plan.pack_a:
            to, apart = job.room(FOR_A), self.row_of_a * self.plan.depth
            pack(
                f,
                job.machine,
                p.dtype,
                to=to,
                d_row=self.row_of_a,
                d_panel=apart,
                source=a,
                s_row=a_step,
                s_col=a_row,
                s_panel=tall * a_row,
                rows=self.depth,
                fewest=self.job.fewest,
                width=tall,
                used=left,
                panels=count,
            )
            a, a_row, a_step = to, 1, self.row_of_a
        with job.loop(0, count) as each:
            lines = (f.at(a, f.mul(each, apart), self.kind), a_row, a_step)
            self._strip(f.add(row, f.mul(each, tall)), tall, lines, left)
        if job.epilogue is not None:
            with job.if_(self.complete):
                i1 = f.add(row, f.mul(count, tall) if left is None else left)
                j1 = f.least(f.mul(self.end, self.columns), p.n)
                job.finished(row, i1, f.mul(self.begin, self.columns), j1)

    def _strip(self, row: Index, tall: int, a: tuple[str, int, int], left: Index | None) -> None:
        """All panels, one tile high."""
        f, p, job = self.f, self.p, self.job
        if self.plan.pack_b:
            b, step = job.room(FOR_B), self.columns
            apart: Index = self.columns * self.plan.depth
        else:
            b, step = job.at_b(self.first, f.mul(self.begin, self.columns)), p.b[0]
            apart = self.columns
        if (self.full or self.general) and p.c[1] == 1:
            self._tiles(row, tall, a, (b, step, apart), f.sub(self.stop, self.begin), left)
        elif self.full or self.general:
            with job.loop(self.begin, self.stop) as j:
                at = f.at(b, f.mul(f.sub(j, self.begin), apart), self.kind)
                self._scattered(row, tall, a, (at, step), j, self.columns, left)
        if self.last != "false":
            with job.if_(self.last):
                step = -(-self.rest_columns // job.lanes) * job.lanes
                at = self._packed(self.full)
                self._scattered(row, tall, a, (at, step), self.full, self.rest, left)

    def _tiles(
        self,
        row: Index,
        tall: int,
        a: tuple[str, int, int],
        b: tuple[str, int, Index],
        count: Index,
        left: Index | None,
    ) -> None:
        """Full tiles side by side, written where they belong."""
        f, p, job = self.f, self.p, self.job
        far = p.m * p.n * p.count * SIZE[p.dtype] > job.machine.l1
        call_tile(
            f,
            tile(f.module, job.machine, p.dtype, tall, self.plan.wide, cut=left is not None),
            a=a[0],
            a_row=a[1],
            a_step=a[2],
            b=b[0],
            b_step=b[1],
            c=job.at_c(row, f.mul(self.begin, self.columns)),
            c_row=p.c[0],
            k=self.depth,
            accumulate=self.adds,
            panels=count,
            b_panel=b[2],
            fetch=far and self.plan.depth >= FETCH,
            last=None if left is None else f.sub(left, 1),
        )

    def _scattered(
        self,
        row: Index,
        tall: int,
        a: tuple[str, int, int],
        b: tuple[str, int],
        panel: Index,
        width: int,
        left: Index | None,
    ) -> None:
        """One tile, by way of scratch memory."""
        f, p, job = self.f, self.p, self.job
        scratch = job.room(FOR_C)
        wide = self.plan.wide if self.general else -(-width // job.lanes)
        call_tile(
            f,
            tile(f.module, job.machine, p.dtype, tall, wide, cut=left is not None),
            a=a[0],
            a_row=a[1],
            a_step=a[2],
            b=b[0],
            b_step=b[1],
            c=scratch,
            c_row=self.columns,
            k=self.depth,
            accumulate=False,
            last=None if left is None else f.sub(left, 1),
        )
        place(
            f,
            job.machine,
            p.dtype,
            c=job.at_c(row, f.mul(panel, self.columns)),
            c_row=p.c[0],
            c_col=p.c[1],
            scratch=scratch,
            t_row=self.columns,
            rows=tall if left is None else left,
            width=width,
            accumulate=self.adds,
        )
