"""Sums over the rows of a narrow array: each row is as many whole vectors as it takes.

The sum of the columns of 20,000 x 10 adds rows of 10 to 10 totals: as a loop over columns a vector
is never full, and each total goes through memory once per row. Here a row of 10 is read as a
vector of 16, with 6 numbers of the next row that are added up and never looked at; several rows go
into totals of their own, so that none waits for the one before. The last rows, behind which there
is nothing to read, are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..graph import Node
from .access import base_of, strided
from .kinds import is_pointwise
from .machine import Machine
from .phases import Shape, is_reduction

if TYPE_CHECKING:
    from .nest import Writer

FEW, MANY = 8, 256
"""Rows from which on vectors are made whole; from which on adding up several is worth its text."""
VECTORS = 4
"""In a row at most; so many are added up side by side, as an addition takes four cycles."""


class Narrow(NamedTuple):
    """How the rows of a narrow array are read.

    lanes, vectors   numbers in a vector, and vectors in a row
    side             rows that are added up side by side
    spare            rows at the end of which vectors would end outside of an array
    """

    lanes: int
    vectors: int
    side: int
    spare: int

    @property
    def width(self) -> int:
        """Numbers in the vectors of a row."""
        return self.lanes * self.vectors


def narrow(shape: Shape, machine: Machine, phase: int) -> Narrow | None:
    """How the sums of a pass over narrow rows are done; None if its rows are to be taken as they
    are: they are wide, or few, or more than sums is asked for, or something has no number there.
    """
    last = len(shape.axes) - 1
    if shape.lane != last or phase in shape.sides.values():
        return None
    down = shape.inner[-1]
    summed = [n for n in shape.members if is_reduction(n) and shape.phase.get(n) == phase]
    dtypes = {n.spec.dtype.name for n in summed}
    if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
        return None
    if shape.size[down] < FEW and not shape.general:
        return None
    lanes = machine.lanes(dtypes.pop())
    vectors = -(-shape.size[last] // lanes)
    if vectors > VECTORS:
        return None
    beyond, spare = vectors * lanes - shape.size[last], 0
    for steps in _read(shape, summed):
        if steps is None or min(steps) < 0:
            return None
        if steps[last]:
            if steps[down] < steps[last]:
                return None
            spare = max(spare, -(-beyond * steps[last] // steps[down]))
    side = VECTORS // vectors if shape.size[down] >= MANY or shape.general else 1
    return Narrow(lanes, vectors, side, spare)


def _read(shape: Shape, summed: list[Node]) -> Iterator[list[int] | None]:
    """The stride along each axis of every array that is read for these sums; None for what is not
    read so simply.
    """
    seen, stack = set(summed), list(summed)
    while stack:
        n = stack.pop()
        if not is_pointwise(n):
            yield None
        for x in n.inputs:
            base = base_of(x)
            if x.spec.dtype.kind not in "fb":
                yield None
            if base in shape.whole:
                if not shape.whole[base]:
                    continue  # in the totals of an earlier pass there is room
                if base in shape.graph.outputs:
                    yield None
                if base not in seen:
                    seen.add(base)
                    stack.append(base)
            elif base.spec.size > 1:
                yield _strides(shape, x)


def _strides(shape: Shape, x: Node) -> list[int] | None:
    """An array's stride along each axis; None if it has none or is no array over all of them."""
    view = strided(x)
    if view is None or view.root.inputs:
        return None
    real = [s for s, n in zip(view.strides, x.spec.shape, strict=True) if n != 1]
    return real if len(real) == len(shape.axes) else None


def add_up(writer: Writer, axis: int, how: Narrow, summed: list[Node]) -> None:
    """The innermost loop over the rows of a narrow array, several of them side by side."""
    f, shape, arrays = writer.function, writer.shape, writer.arrays
    low, high = writer.span(axis)
    whole = f.most(f.sub(f.least(high, shape.size[axis] - how.spare), low), 0)
    whole = f.add(low, f.mul(f.div(whole, how.side), how.side))
    first, totals = {n: arrays[n] for n in summed}, dict.fromkeys(summed)
    columns, sides = (writer.tile, writer.tile_start), [first]
    writer.tile, writer.tile_start = (0, how.width), 0
    for _ in range(1, how.side):
        for n in summed:
            writer.total(n)
        sides.append({n: arrays[n] for n in summed})
    with f.loop(low, whole, how.side) as row:
        for side, own in enumerate(sides):
            arrays.update(own)
            writer.index[axis] = f.add(row, side)
            for start in range(0, how.width, how.lanes):
                writer.tile = start, start + how.lanes
                with writer.tiled():
                    writer.entry(summed, totals, [], [])
    writer.tile, writer.tile_start = columns
    for own in sides[1:]:
        with writer.tiled():
            for n in summed:
                arrays[n] = own[n]
                more = writer.from_array(n)
                arrays[n] = first[n]
                writer.put_in(n, None, more)
    arrays.update(first)
    with f.loop(whole, high) as writer.index[axis], writer.tiled():
        writer.entry(summed, totals, [], [])
