"""Bands: a convolution cut into pieces whose source fits into the second cache.

A band is some rows of one image, or a few whole images. It is a part of its own, or one of several
of a part; where there are too few bands for the threads, parts share a band and take some columns
(groups, if there are any) each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from .machine import Machine
from .microkernel import SIZE, TYPE
from .moves import clear, move, transpose
from .stages import loops, offset, whole_lines
from .taps import AXES, Correlation
from .text import Function, Index
from .tiling import Panels, panels

PART = 100_000
"""Multiply-adds that make a part worth its while."""

PARTS = 8
"""Parts wanted of large work: enough for two threads of which one is disturbed, or for four."""

FEWEST = 64
"""Places in a band, if it can be helped: each band fetches all the kernels."""

SHORT = 6
"""Rows of images below this length are poor tiles; those run through several images instead."""


@dataclass(frozen=True)
class Plan:
    """How a correlation is cut.

    axis       whose rows make a band: the first that is not of size 1
    across     whether the rows of a tile are the same place in several images
    direct     whether the source is read where it is
    pixel      how far apart the places of a copy are, in numbers
    single     whether no sum runs over channels: one of the source makes one of the result
    repeat     how often each channel of the source is there in a copy
    images, rows            in one band at most
    image_groups, row_groups   how many bands there are, as a product
    band_parts, column_parts   how many parts there are, as a product
    """

    p: Correlation
    panels: Panels
    axis: int
    across: bool
    direct: bool
    pixel: int
    images: int
    rows: int
    image_groups: int
    row_groups: int
    band_parts: int
    column_parts: int
    single: bool = False
    repeat: int = 1

    @property
    def bands(self) -> int:
        """How many there are."""
        return self.image_groups * self.row_groups

    @property
    def parts(self) -> int:
        """How many there are."""
        return self.band_parts * self.column_parts

    @property
    def extent(self) -> tuple[int, ...]:
        """How many places of the source a band sees along each axis, at most."""
        return tuple(_seen(self.p, a, self._count(a)) for a in range(AXES))

    def _count(self, axis: int) -> int:
        return self.rows if axis == self.axis else self.p.rows(axis)

    @property
    def strides(self) -> tuple[int, ...]:
        """Of images and space axes where the source is read, in numbers."""
        p = self.p
        pixel = p.groups * p.depth if self.direct else self.pixel
        _, high, wide = p.source if self.direct else self.extent
        image = math.prod(p.source) * pixel if self.direct else self.image // SIZE[p.dtype]
        return image, high * wide * pixel, wide * pixel, pixel

    @property
    def terms(self) -> int:
        """How many channels a sum runs over."""
        return 1 if self.single else self.p.depth

    @property
    def image(self) -> int:
        """Bytes of the copy of one image. An odd number of cache lines: the tiles that run through
        several images would else find all of them in one set of the first cache.
        """
        size = math.prod(self.extent) * self.pixel * SIZE[self.p.dtype]
        return whole_lines(size) | 64

    @property
    def copies(self) -> int:
        """Bytes of the copies of a band."""
        return 0 if self.direct else self.images * self.image

    @property
    def places(self) -> int:
        """How many places of the result a band has in one image, at most."""
        p, a = self.p, self.axis
        full = min(self.rows * p.step[a], p.result[a])
        return math.prod(p.result[a + 1 :]) * full

    @property
    def by_line(self) -> bool:
        """Whether what is not computed in its place is put there line by line: its writing goes on
        while the next line is computed. Else a panel of a band at a time.
        """
        return not self.across and self.p.step[-1] == 1

    @property
    def turned(self) -> bool:
        """Whether some of the result is not computed in its place."""
        return not self.p.result_last or bool(self.panels.width % self.panels.lanes)

    @property
    def workspace(self) -> int:
        """Bytes."""
        places = self._count(AXES - 1) if self.by_line else self.images * self.places
        panel = places * self.panels.widest * SIZE[self.p.dtype] if self.turned else 0
        return self.copies + whole_lines(panel)


class Band(NamedTuple):
    """One band, at run time: images n0 to n1, rows q0 to q1 of the plan's axis."""

    n0: Index
    n1: Index
    q0: Index
    q1: Index


def _seen(p: Correlation, axis: int, count: int) -> int:
    return (count - 1) * p.stride[axis] + p.span(axis) if p.span(axis) else 0


def spaced(depth: int, dtype: str, bad: int) -> int:
    """How far apart places shall be whose neighbours must not share the sets of the first cache:
    an odd number of its lines if the distance would be a multiple of `bad` bytes.
    """
    size = SIZE[dtype]
    return (whole_lines(depth * size) | 64) // size if depth and depth * size % bad == 0 else depth


def plan(p: Correlation, machine: Machine, *, single: bool = False) -> Plan:
    """The plan for a machine."""
    size, lanes = SIZE[p.dtype], machine.lanes(p.dtype)
    axis = next((a for a in range(AXES) if p.result[a] > 1), AXES - 1)
    line = p.rows(AXES - 1)
    across = line < SHORT and p.batch > line
    direct = (p.source_last and p.inside) or not (p.depth and all(map(p.span, range(AXES))))

    room = machine.l2 * 3 // 8
    rows = p.rows(axis)
    image = math.prod(_seen(p, a, p.rows(a)) for a in range(AXES)) * p.depth * size
    taps = math.prod(p.kernel) / math.prod(p.step)
    work = p.batch * math.prod(p.result) * taps * p.groups * p.width * (1 if single else p.depth)
    wanted = 1 if work < PART / 2 else min(PARTS, math.ceil(work / PART))

    row_groups = 1 if across else max(1, min(rows, math.ceil(image / room)))
    fit = max(1, room // max(1, image)) if row_groups == 1 else 1
    if across:
        cut = panels(machine, p.width, lanes, max(SHORT, p.batch // wanted))
        high = min(p.batch, 8)
        images = min(p.batch, max(high, min(fit, p.batch // wanted)))
    else:
        cut = panels(machine, p.width, lanes, line)
        images = min(p.batch, fit, max(1, p.batch // wanted))
    image_groups = -(-p.batch // images)
    if image_groups * row_groups < wanted and not across:
        places = max(1, math.prod(p.result) // p.result[axis] * p.step[axis])
        most = max(1, rows // max(1, -(-FEWEST // places)))
        row_groups = max(row_groups, min(most, -(-wanted // image_groups)))
    if single:
        cut = Panels(lanes, p.width, -(-p.width // lanes))
    bands = image_groups * row_groups
    band_parts = min(bands, 2 * PARTS) if wanted > 1 else 1
    columns = p.groups if p.groups > 1 else cut.count
    column_parts = max(1, min(columns, wanted // band_parts))
    return Plan(
        p, cut, axis, across, direct, spaced(p.depth, p.dtype, 4096),
        images=-(-p.batch // image_groups), rows=-(-rows // row_groups),
        image_groups=image_groups, row_groups=row_groups,
        band_parts=band_parts, column_parts=column_parts, single=single,
    )  # fmt: skip


def copy(f: Function, machine: Machine, how: Plan, band: Band, group: Index, to: str) -> None:
    """Emit the copy of a group's channels of a band, channels last, inside zeros."""
    p, kind = how.p, TYPE[how.p.dtype]
    images = f.sub(band.n1, band.n0)
    strides, size = how.strides, p.source
    low, high, border = [], [], False
    for a in range(AXES):
        count = f.sub(band.q1, band.q0) if a == how.axis else p.rows(a)
        moved = f.mul(band.q0, p.stride[a]) if a == how.axis else 0
        first = f.add(moved, p.first(a))
        end = f.add(f.add(first, f.mul(f.sub(count, 1), p.stride[a])), p.span(a))
        low.append((f.most(first, 0), first))
        high.append(f.least(end, size[a]))
        border |= p.first(a) < 0 or p.first(a) + _seen(p, a, p.rows(a)) > size[a]
    if border:
        clear(f, p.dtype, to, f.mul(images, strides[0]))

    channels, places = p.groups * p.depth // how.repeat, math.prod(size)
    steps = (size[1] * size[2], size[2], 1)
    # Axes behind which nothing is cut or added are one axis in both memories.
    joined = AXES - 1
    while (
        joined > 0
        and how.extent[joined] == size[joined]
        and p.first(joined) == 0
        and joined != how.axis
    ):
        joined -= 1
    with loops(f, images, *(f.sub(high[a], low[a][0]) for a in range(joined))) as at:
        n, lines = f.add(at[0], band.n0), [f.add(i, low[a][0]) for a, i in enumerate(at[1:])]
        lines.append(low[joined][0])
        place = offset(f, lines, steps[: joined + 1])
        count = f.mul(f.sub(high[joined], low[joined][0]), steps[joined])
        inner = [f.sub(i, low[a][1]) for a, i in enumerate(lines)]
        d = f.at(
            to, f.add(f.mul(at[0], strides[0]), offset(f, inner, strides[1 : joined + 2])), kind
        )
        if how.repeat > 1:
            with loops(f, count, channels, how.repeat) as (i, c, j):
                line = f.add(f.add(f.mul(f.mul(n, channels), places), place), i)
                at = (
                    f.add(f.mul(f.add(f.add(f.mul(n, places), place), i), channels), c)
                    if p.source_last
                    else f.add(line, f.mul(c, places))
                )
                x = f.load(f.at("%first", at, kind), kind)
                inner = f.add(f.add(f.mul(i, how.pixel), f.mul(c, how.repeat)), j)
                f.store(x, f.at(d, inner, kind), kind)
        elif not p.source_last:
            start = f.add(f.mul(f.add(f.mul(n, channels), f.mul(group, p.depth)), places), place)
            transpose(
                f, machine, p.dtype, to=d, to_row=how.pixel, source=f.at("%first", start, kind),
                source_row=places, rows=p.depth, columns=count,
            )  # fmt: skip
        else:
            start = f.add(f.mul(f.add(f.mul(n, places), place), channels), f.mul(group, p.depth))
            one = p.groups == 1 and how.pixel == p.depth
            move(
                f, machine, p.dtype, to=d, to_row=how.pixel, source=f.at("%first", start, kind),
                source_row=channels, rows=1 if one else count,
                columns=f.mul(count, p.depth) if one else p.depth,
            )  # fmt: skip
