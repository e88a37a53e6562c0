"""Copies of transposes: lines become columns in registers, a few of them at a time."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from ..graph import Node
from .access import Strided, row_major, strided
from .machine import Machine
from .moves import transpose
from .phases import Shape
from .text import Function, Index, type_of

WIDE = {4: "float32", 8: "float64"}
"""As what numbers of so many bytes are moved."""
LINES = 16
"""So many lines of the copy are written at the same time: more of them, a power of two apart, push
each other out of the nearest cache."""


class Turned(NamedTuple):
    """A copy whose columns are lines of its source.

    view             where the source lies
    source_row       from one of the source's lines to the next
    row              from one of the copy's
    dtype            as what its numbers are moved
    """

    view: Strided
    source_row: int
    row: int
    dtype: str


def turned_lines(shape: Shape, across: int, inputs: Container[Node]) -> Turned | None:
    """What a kernel does that goes over two axes in blocks, if that is a copy and nothing else."""
    (last,), (n, *more) = shape.inner, shape.members
    if more or n.op.name != "copy" or n.spec.dtype.itemsize not in WIDE:
        return None
    (x,) = n.inputs
    view = strided(x)
    if view is None or view.root not in inputs:
        return None
    read, written = (
        [s for s, m in zip(strides, n.spec.shape, strict=True) if m != 1]
        for strides in (view.strides, row_major(n.spec.shape))
    )
    if read[across] != 1 or written[last] != 1:
        return None
    return Turned(view, read[last], written[across], WIDE[n.spec.dtype.itemsize])


def turn(
    f: Function,
    machine: Machine,
    how: Turned,
    source: tuple[str, Index],
    to: tuple[str, Index],
    count: Index,
    length: Index,
) -> None:
    """Emit so many lines of the copy, of this length; source and copy begin so far behind their
    pointers.
    """
    kind = type_of(how.view.root.spec.dtype)
    first, target = f.at(*source, kind), f.at(*to, kind)
    with f.loop(0, count, LINES) as i:
        transpose(
            f, machine, how.dtype, to=f.at(target, f.mul(i, how.row), kind), to_row=how.row,
            source=f.at(first, i, kind), source_row=how.source_row, rows=length,
            columns=f.least(LINES, f.sub(count, i)),
        )  # fmt: skip
