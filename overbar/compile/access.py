"""Where an entry is: views as arithmetic on indices, and as strides over a buffer.

A transpose, a slice, a broadcast or a reshape computes nothing: an entry of its result is an entry
of its input somewhere else. `source` says where; `strided` says it once for all entries, if a start
and one stride per axis can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ..graph import Node
from ..ops.index import counts
from .text import Function, Index

VIEWS = {"transpose", "reshape", "broadcast", "slice", "alias", "stop_gradient", "barrier"}
"""The operations that are views: of their first input; others of a barrier's it waits for."""

Shape = tuple[int, ...]


class Strided(NamedTuple):
    """The entries of an array in a buffer: offset + Σ index · stride, in elements."""

    root: Node
    offset: int
    strides: Shape


def row_major(shape: Sequence[int]) -> Shape:
    """The strides of an array stored row by row."""
    strides, size = [], 1
    for n in reversed(shape):
        strides.append(size)
        size *= n
    return tuple(reversed(strides))


def is_view(node: Node) -> bool:
    """Whether an operation computes nothing."""
    return bool(node.inputs) and node.op.name in VIEWS


def base_of(x: Node) -> Node:
    """What a chain of views is a view of."""
    while is_view(x):
        x = x.inputs[0]
    return x


def awaited(x: Node) -> list[Node]:
    """What the barriers in a chain of views wait for."""
    found: list[Node] = []
    while is_view(x):
        found += x.inputs[1:]
        x = x.inputs[0]
    return found


def without_views(x: Node) -> Node:
    """What is seen in other ways, but all of it: no slice is gone through."""
    while x.op.name in ("reshape", "transpose", "broadcast", "alias", "stop_gradient"):
        x = x.inputs[0]
    return x


def is_dense(x: Node) -> bool:
    """Whether it lies in memory row by row, from the start of its buffer."""
    view = strided(x)
    return view is not None and not view.offset and view.strides == row_major(x.spec.shape)


def strided(node: Node) -> Strided | None:
    """A chain of views over something stored as a start and strides; None if it is not so simple.

    What is no view itself is taken as stored, row by row.
    """
    if not is_view(node):
        return Strided(node, 0, row_major(node.spec.shape))
    x = node.inputs[0]
    below = strided(x)
    if below is None:
        return None
    root, offset, strides = below
    match node.op.name:
        case "transpose":
            return Strided(root, offset, tuple(strides[a] for a in node.params["order"]))
        case "broadcast":
            new = node.spec.ndim - x.spec.ndim
            kept = (
                0 if n == 1 and m != 1 else s
                for n, m, s in zip(x.spec.shape, node.spec.shape[new:], strides, strict=True)
            )
            return Strided(root, offset, (0,) * new + tuple(kept))
        case "slice":
            index = node.params["index"]
            offset += sum(s * start for s, (start, _, _) in zip(strides, index, strict=True))
            stepped = tuple(s * step for s, (_, _, step) in zip(strides, index, strict=True))
            strides = reshaped(counts(index), stepped, node.spec.shape)
        case "reshape":
            strides = reshaped(x.spec.shape, strides, node.spec.shape)
    return None if strides is None else Strided(root, offset, strides)


def groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Axes of two shapes of equal size, in the smallest groups of equal size; without ones."""
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        a, b = [], []
        m = n = 1
        while True:
            if m == n and (a or b) and m > 1:
                break
            if m <= n and i < len(old):
                m *= old[i]
                if old[i] != 1:
                    a.append(i)
                i += 1
            elif j < len(new):
                n *= new[j]
                if new[j] != 1:
                    b.append(j)
                j += 1
            elif i < len(old):
                m *= old[i]
                if old[i] != 1:
                    a.append(i)
                i += 1
            else:
                break
        found.append((a, b))
    return found


def reshaped(old: Shape, strides: Shape, new: Shape) -> Shape | None:
    """The strides of a reshape without a copy; None if it needs one."""
    if 0 in old:
        return (0,) * len(new)
    result = [0] * len(new)
    for a, b in groups(old, new):
        if not a:
            continue
        if any(strides[p] != strides[q] * old[q] for p, q in pairwise(a)):
            return None
        step = strides[a[-1]]
        for axis in reversed(b):
            result[axis] = step
            step *= new[axis]
    return tuple(result)


def is_plain(node: Node) -> bool:
    """Whether a view only adds, drops or repeats axes: its other axes are its input's, in order."""
    match node.op.name:
        case "alias" | "stop_gradient" | "barrier" | "broadcast":
            return True
        case "reshape":
            x = node.inputs[0].spec.shape
            return [n for n in x if n != 1] == [n for n in node.spec.shape if n != 1]
        case "slice":
            x = node.inputs[0].spec.shape
            return all(
                c == n for c, n in zip(counts(node.params["index"]), x, strict=True)
            ) and all(step == 1 for _, _, step in node.params["index"])
    return False


def source(f: Function, node: Node, at: Sequence[Index]) -> tuple[Index, ...]:
    """Where in its input an entry of a view is."""
    x = node.inputs[0]
    match node.op.name:
        case "transpose":
            order = node.params["order"]
            return tuple(at[order.index(a)] for a in range(len(order)))
        case "broadcast":
            new = node.spec.ndim - x.spec.ndim
            pairs = zip(x.spec.shape, at[new:], strict=True)
            return tuple(0 if n == 1 else i for n, i in pairs)
        case "slice":
            index = node.params["index"]
            inner = rearranged(f, node.spec.shape, counts(index), at)
            return tuple(
                f.add(f.mul(i, step), start)
                for i, (start, _, step) in zip(inner, index, strict=True)
            )
        case "reshape":
            return rearranged(f, node.spec.shape, x.spec.shape, at)
    return tuple(at)


def rearranged(f: Function, new: Shape, old: Shape, at: Sequence[Index]) -> tuple[Index, ...]:
    """Indices into a shape as indices into a reshape of it."""
    if new == old:
        return tuple(at)
    result: list[Index] = [0] * len(old)
    for a, b in groups(old, new):
        if not a:
            continue
        flat: Index = 0
        for axis in b:
            flat = f.add(f.mul(flat, new[axis]), at[axis])
        rest = math.prod(old[axis] for axis in a)
        for k, axis in enumerate(a):
            rest //= old[axis]
            step = f.div(flat, rest)
            result[axis] = step if k == 0 else f.mod(step, old[axis])
    return tuple(result)


def linear(f: Function, view: Strided, at: Sequence[Index]) -> Index:
    """The place of an entry in its buffer."""
    place: Index = view.offset
    for i, stride in zip(at, view.strides, strict=True):
        place = f.add(place, f.mul(i, stride))
    return place
