"""Short rows side by side: turned into columns, so that the innermost loop runs along memory.

A kernel whose innermost loop goes from row to row (`Shape.lane`) would gather its operands number
by number, and scatter what it stores: softmax of 1000 x 10 spends three quarters of its time so.
Therefore the rows of a tile are turned first, in registers, into columns in the workspace, and
what a pass has computed is turned back when the pass is over.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

import numpy as np

from ..graph import Node
from .access import Strided, base_of, linear, strided
from .moves import transpose
from .packing import group
from .phases import Shape, is_reduction
from .scalar import BOOL, Scalar
from .text import Index, type_of
from .turning import WIDE

if TYPE_CHECKING:
    from .nest import Writer


def is_beside(shape: Shape) -> bool:
    """Whether a kernel's lanes are rows."""
    return shape.lane is not None and shape.inner == [len(shape.axes) - 1]


def is_turned(x: Node) -> bool:
    """Whether numbers of this kind can be turned in registers."""
    return x.spec.dtype.kind in "fiu" and x.spec.dtype.itemsize in WIDE


def turn_in(writer: Writer) -> dict[Node, str]:
    """Emit the turning of the rows of a tile; gives where the columns of each operand lie."""
    f, shape, (start, end) = writer.function, writer.shape, writer.tile
    operands = _turned_rows(shape, writer.inputs, writer.machine.lanes("float32"))
    count, length = f.sub(end, start), shape.size[len(shape.axes) - 1]
    places: dict[Strided, str] = {}
    _begin(writer)
    for x, view in operands.items():
        if view in places:
            continue
        kind, at = type_of(x.spec.dtype), linear(f, view, writer.place(x.spec.shape))
        source, step = f.at(writer.pointers[view.root], at, kind), _step(x, view, shape)
        if x.spec.dtype == BOOL:
            wide = writer.room(_size(x))
            with f.loop(0, count) as i, f.loop(0, length) as j:
                bit = f.load(f.at(source, f.add(f.mul(i, step), j), kind), kind)
                number = f.let(f"zext i8 {bit} to i32")
                f.store(number, f.at(wide, f.add(f.mul(i, length), j), "i32"), "i32")
            source, step = wide, length
        places[view] = to = writer.room(_size(x))
        transpose(
            f, writer.machine, WIDE[_size(x)], to=to, to_row=shape.tile,
            source=source, source_row=step, rows=count, columns=length,
        )  # fmt: skip
    return {x: places[view] for x, view in operands.items()}


def column(writer: Writer, x: Node, pointer: str, at: Index) -> Scalar:
    """An entry of an operand that was turned. Truth values were made numbers of 32 bits."""
    root = base_of(x)
    if x.spec.dtype == BOOL:
        return writer.fetch(pointer, at, np.dtype(np.int32)) != 0
    found = writer.fetch(pointer, at, x.spec.dtype)
    found.within, found.source = root.params.get("within"), root
    return found


def turn_back(writer: Writer, n: Node, pointer: str) -> None:
    """Emit the way of a member's columns to its rows."""
    f, shape, (start, end) = writer.function, writer.shape, writer.tile
    length = shape.size[len(shape.axes) - 1]
    _begin(writer)
    transpose(
        f, writer.machine, WIDE[_size(n)],
        to=f.at(pointer, writer.where(n), type_of(n.spec.dtype)), to_row=length,
        source=writer.saved[n], source_row=shape.tile, rows=length, columns=f.sub(end, start),
    )  # fmt: skip


def _turned_rows(shape: Shape, inputs: Container[Node], lanes: int) -> dict[Node, Strided]:
    """The operands that are turned, and how they lie. lanes: numbers of float32 in a vector."""
    if not is_beside(shape):
        return {}
    found, (last,) = {}, shape.inner
    for n in shape.members:
        single = n.op.entry is not None and n.op.native is None
        if single or not (shape.whole[n] or is_reduction(n)):
            continue
        for x in n.inputs:
            view = None if base_of(x) in shape.whole else strided(x)
            if view is None or view.root not in inputs:
                continue
            if not is_turned(x) and x.spec.dtype != BOOL:
                continue
            enough = shape.size[last] >= group(WIDE[_size(x)], lanes)
            if enough and _steps(x, view)[last:] == [1] and _step(x, view, shape) != 1:
                found[x] = view
    return found


def _begin(writer: Writer) -> None:
    """Be at the first entry of a tile."""
    writer.index.update(dict.fromkeys(writer.shape.inner, 0))
    if writer.shape.lane is not None:
        writer.index[writer.shape.lane] = writer.tile[0]


def _size(x: Node) -> int:
    """Bytes of a number in a column."""
    return 4 if x.spec.dtype == BOOL else x.spec.dtype.itemsize


def _steps(x: Node, view: Strided) -> list[int]:
    """Strides along the axes that are there."""
    return [s for s, m in zip(view.strides, x.spec.shape, strict=True) if m != 1]


def _step(x: Node, view: Strided, shape: Shape) -> int:
    """From one row to the next."""
    return next(s for a, s in enumerate(_steps(x, view)) if a == shape.lane)
