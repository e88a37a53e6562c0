"""How a product of matrices is cut: which of three ways, which blocks, how many parts.

Pure arithmetic on sizes and strides; `gemm` does what is decided here. Times are estimates in
clock cycles of one core, two vector multiply-adds a cycle; only their ratios matter. They were set
by measurements on one AVX-512 machine, and everything that depends on the width of vectors, the
number of registers or the caches comes from `Machine`.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from .dots import shape
from .machine import Machine
from .microkernel import SIZE, covering, height, heights

ALONE = 50_000
"""Multiply-adds under which a product is one part."""

SHARE = 40_000
"""Multiply-adds that a part should have at least."""

PARTS = 8
"""Parts wanted of a product that is large enough; twice as many of one that takes long."""

RUN = 1024
"""Bytes of a row that a part should read at least where reading is all."""

LOW = 128
"""Rows of a product whose B is read only a few times: what it waits for is memory."""

CROWDED = 9.5
"""Cycles of a step of K, at least, if every one finds its line of A in the second cache only."""

PAGE = 4096
"""Bytes. Rows of B that far apart miss the first table of pages at every step: they are packed.
Columns of A, even a quarter as far apart, are read as they lie, if possible, but only as many at a
time as the second cache has places for numbers whose addresses differ by a page."""


@dataclass(frozen=True)
class Product:
    """C = A B, or C + A B, in memory. Strides count numbers, not bytes.

    m, n, k                      rows of C, columns of C, terms of every sum
    a, b, c                      strides of A[i, p], B[p, j], C[i, j]: (row, column); any, also 0;
                                 those of C must keep its numbers apart
    batch                        so many products, an axis after the other
    a_batch, b_batch, c_batch    strides along the axes of the batch (0: shared; not for C)
    """

    dtype: str
    m: int
    n: int
    k: int
    a: tuple[int, int]
    b: tuple[int, int]
    c: tuple[int, int]
    batch: tuple[int, ...] = ()
    a_batch: tuple[int, ...] = ()
    b_batch: tuple[int, ...] = ()
    c_batch: tuple[int, ...] = ()

    def transposed(self) -> Product:
        """Cᵀ = Bᵀ Aᵀ, the same numbers in the same places."""
        return replace(
            self,
            m=self.n,
            n=self.m,
            a=self.b[::-1],
            b=self.a[::-1],
            c=self.c[::-1],
            a_batch=self.b_batch,
            b_batch=self.a_batch,
        )

    def plain(self) -> Product:
        """With stride 1 along axes of one element, where a stride means nothing."""
        one = [n == 1 for n in (self.m, self.n, self.k)]

        def strides(pair: tuple[int, int], row: int, column: int) -> tuple[int, int]:
            return (1 if one[row] else pair[0], 1 if one[column] else pair[1])

        return replace(
            self, a=strides(self.a, 0, 2), b=strides(self.b, 2, 1), c=strides(self.c, 0, 1)
        )

    @property
    def count(self) -> int:
        """How many products."""
        return math.prod(self.batch)

    @property
    def work(self) -> int:
        """Multiply-adds of all of them."""
        return self.m * self.n * self.k * self.count


@dataclass(frozen=True)
class Plan:
    """How it is done.

    way            "tiles": blocks of C in registers, lanes along its rows (`microkernel`)
                   "dots": inner products, lanes along K (`dots`)
                   "rows": one row of C as a sum of rows of B (`matvec`)
    turned         it is Cᵀ = Bᵀ Aᵀ that is done; what follows is about that product
    tall           rows of a tile
    wide           vectors of a tile; of "dots", its columns
    pack_a, pack_b whether the operand is packed first
    depth          how much of K at a time
    together       panels of B at a time: they stay in the second cache
    parts          of the batch, of the rows of tiles, of the panels
    """

    way: str
    turned: bool
    tall: int
    wide: int
    pack_a: bool
    pack_b: bool
    depth: int
    together: int
    parts: tuple[int, int, int]

    @property
    def kind(self) -> tuple[Any, ...]:
        """Equal for plans whose text differs in numbers only."""
        return self.way, self.turned, self.tall, self.wide, self.pack_a, self.pack_b


@functools.lru_cache(1024)
def planned(
    p: Product,
    machine: Machine,
    slices: int = 1,
    *,
    general: bool = False,
    like: tuple[Any, ...] | None = None,
) -> tuple[Product, Plan]:
    """The product that is done, p or its transpose with strides made plain, and how.

    slices   K is cut into so many, each a part of its own, so that fewer others are wanted
    general  tiles do not depend on the exact size
    like     the kind of plan that is wanted, if it is possible
    """
    p = p.plain()
    found = [
        (cost, q, plan)
        for turned, q in ((False, p), (True, p.transposed()))
        for cost, plan in _plans(q, machine, turned, slices, general)
    ]
    found = [each for each in found if each[2].kind == like] or found
    return min(found, key=lambda each: each[0])[1:]


def panels(p: Product, plan: Plan, lanes: int) -> tuple[int, int]:
    """Full panels of columns and how many columns are behind them."""
    return divmod(p.n, plan.wide * lanes if plan.way == "tiles" else plan.wide)


def tiles(p: Product, plan: Plan, *, general: bool = False) -> list[tuple[int, int]]:
    """Tiles from top to bottom as (first row, height). general: those of `covering`."""
    if general:
        tall, (full, short) = plan.tall, covering(p.m, plan.tall)
        behind = [(full * tall + i * (2 * tall // 3), 2 * tall // 3) for i in range(short)]
        return [(i * tall, tall) for i in range(full)] + behind
    starts, row = [], 0
    for tall, times in heights(p.m, plan.tall):
        for _ in range(times):
            starts.append((row, tall))
            row += tall
    return starts


def even(count: int, parts: int) -> int:
    """So many parts at most that none of them is empty."""
    each = -(-count // max(1, parts))
    return -(-count // max(1, each))


def _plans(
    p: Product, machine: Machine, turned: bool, slices: int, general: bool
) -> Iterator[tuple[float, Plan]]:
    wanted = -(-_wanted(p) // slices)
    batches = even(p.count, min(p.count, wanted))
    wanted = -(-wanted // batches)
    ways = [_tiled]
    if p.a[1] == 1:
        ways.append(_dotted)
    if p.m == 1 < p.n and p.b[1] == 1 and p.c[1] == 1:
        ways = [_by_rows]
    for way in ways:
        for cost, plan in way(p, machine, turned, (batches, wanted), general):
            # Work that is one part leaves the other cores without any.
            yield cost * (1 + 0.6 / math.prod(plan.parts) * (wanted > 1)), plan


def _by_rows(
    p: Product, machine: Machine, turned: bool, wanted: tuple[int, int], _general: bool
) -> Iterator[tuple[float, Plan]]:
    lanes = machine.lanes(p.dtype)
    units = -(-p.n * SIZE[p.dtype] // RUN)
    parts = (wanted[0], 1, even(units, min(wanted[1], units, PARTS // 2)))
    yield (
        p.k * p.n / lanes * 0.75,
        Plan("rows", turned, 1, 4, False, False, p.k, units, parts),
    )


def _dotted(
    p: Product, machine: Machine, turned: bool, wanted: tuple[int, int], general: bool
) -> Iterator[tuple[float, Plan]]:
    lanes, size = machine.lanes(p.dtype), SIZE[p.dtype]
    tall, wide = shape(8 if general else p.m, p.n, machine)
    pack_b = p.b[0] != 1
    if pack_b and p.n * p.k * size > machine.l2 / 4:
        return
    places, groups = -(-p.m // tall), -(-p.n // wide)
    full, rest = divmod(p.m, tall)
    steps = -(-p.k // lanes)
    each = steps * max(tall * wide, tall + wide, 8) / 2 + 2.5 * tall * wide + 30
    single = steps * max(wide / 2 + 0.5, 4) + 4 * wide + 30
    cost = groups * (full * each + rest * single)
    bytes_b = p.k * p.n * size
    if bytes_b > machine.l1 / 2:  # read again for every tile
        cost += places * bytes_b / (48 if bytes_b < machine.l2 / 2 else 24)
    for most in (1, 2, 4, 8, 16):
        if most > wanted[1]:
            break
        parts = even(places, min(most, places))
        moved = p.k * (0.35 * p.n if p.n >= 4 else 1.3 * p.n) * size / 4 * parts * pack_b
        yield (
            cost + moved,
            Plan("dots", turned, tall, wide, False, pack_b, p.k, groups, (wanted[0], parts, 1)),
        )


def _tiled(
    p: Product, machine: Machine, turned: bool, wanted: tuple[int, int], general: bool
) -> Iterator[tuple[float, Plan]]:
    lanes, size = machine.lanes(p.dtype), SIZE[p.dtype]
    far = p.b[0] * size >= PAGE and p.k > 64
    for pack_a, pack_b in itertools.product((False, True), repeat=2):
        if (p.b[1] != 1 and not pack_b) or (1 not in p.a and not pack_a):
            continue
        if pack_b and not far and p.b[1] == 1:
            continue
        tall, most = _shape(p, machine, far and not pack_b, general)
        wide = min(most, -(-p.n // lanes))
        columns = wide * lanes
        full, rest = divmod(p.n, columns)
        count = full + bool(rest)
        level = sum(times for _, times in heights(p.m, tall))
        deep = 2 * machine.l1 / 3 / (columns * size) if far else 0.8 * machine.l1 / (tall * size)
        if p.a[0] == 1 and p.a[1] * size >= PAGE // 4:
            deep = min(deep, machine.l2 // PAGE)
        blocks = -(-p.k // max(64, int(deep)))
        depth = -(-p.k // blocks)
        crowded = _crowded(p, machine, depth)
        if pack_a and 1 in p.a and not crowded:
            continue
        least = CROWDED if crowded and not pack_a else 4
        per_row = sum(
            _steps(h, v, least) * times * how_often
            for h, times in heights(p.m, tall)
            for v, how_often in ((wide, full), (-(-rest // lanes), bool(rest)))
        )
        together = max(1, int(0.45 * machine.l2 / (columns * size * depth)))
        for cut in (1, 2, 4, 8, 16):
            across = even(count, min(count, cut))
            down = even(level, min(level, -(-wanted[1] // across)))
            cost = p.k * per_row * (1.06 if far and not pack_b else 1) + 30 * level * count * blocks
            moved = p.k * p.n * down * 0.3 * pack_b
            moved += p.k * p.m * across * 0.3 * pack_a
            moved += p.m * p.n * blocks * 0.4 * (p.c[1] != 1)
            moved += (p.k * down + p.m) * rest * 0.3 * (not pack_b and p.c[1] == 1)
            cost += moved * size / 4
            cost += p.k * (p.n * down + p.m * across) * size / 40
            cost += p.m * p.n * size / 32 * (1 + 512 * across / (p.n * size))
            cost *= 1 + 0.3 * _unevenness(level, down) + 0.3 * _unevenness(count, across)
            parts = (wanted[0], down, across)
            yield (
                cost,
                Plan("tiles", turned, tall, wide, pack_a, pack_b, depth, together, parts),
            )
            if cut >= min(count, wanted[1]):
                break


def _shape(p: Product, machine: Machine, far: bool, general: bool) -> tuple[int, int]:
    """Rows of a tile, and vectors at most; `far`: a row of B begins in another page than the last.

    Low products have wider tiles, so that enough sums are under way. So have those of up to `LOW`
    rows whose B comes from main memory: a tile waits for each row of B anew, and should get more of
    it then than two vectors (8 x 4096 x 9216: 14.2 ms with 8 x 2 vectors, 8.5 with twice 4 x 6).
    """
    tall, sums = height(machine), 3 * machine.registers // 4
    if general:
        return tall, 2
    if p.m <= 6:
        return tall, min(8, sums // p.m)
    if far and p.m <= LOW and p.n * p.k * SIZE[p.dtype] > machine.l2:
        low = tall // 3 if p.m <= tall else tall // 2
        return low, sums // low
    return tall, 2


def _crowded(p: Product, machine: Machine, depth: int) -> bool:
    """Whether a strip of A, rows contiguous, has no place in the first cache: lines whose addresses
    differ by a multiple of a page share what the cache has room for 12 or so of.
    """
    if p.a[0] != 1 or p.a[1] == 1:
        return False
    places = PAGE // math.gcd(PAGE, p.a[1] * SIZE[p.dtype])
    return places * (machine.l1 // PAGE) < depth


def _steps(tall: int, wide: int, least: float) -> float:
    """Cycles that a tile takes for one step of K."""
    return max(tall * wide / (1.7 if wide == 1 else 2), least, (tall + wide) / 2)


def _unevenness(units: int, parts: int) -> float:
    """How much the largest part is larger than the mean."""
    return -(-units // max(1, parts)) * parts / max(1, units) - 1


def _wanted(p: Product) -> int:
    if p.work < ALONE:
        return 1
    most = PARTS if p.work < 400_000_000 else 2 * PARTS
    return max(2, min(most, p.work // SHARE))
