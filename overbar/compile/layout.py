"""How the operands of a product lie in memory: letters become rows, columns and batches.

The letters of an einsum of two operands fall into four groups: m (of the first and the result), n
(of the second and the result), k (of both, summed) and batch (of all three). Letters of a group
that follow each other evenly in memory are one axis; what is left over of m and n becomes batch.
"""

from __future__ import annotations

from typing import NamedTuple

from ..graph import Node
from .access import Strided, row_major, strided
from .contract import letters_of
from .taps import AXES

CONVOLUTIONS = frozenset({"conv", "conv_input", "conv_weight"})
CORES = CONVOLUTIONS | {"einsum"}
"""What a kernel of kind "product" has at its heart: sums of products."""


class Axis(NamedTuple):
    """An axis of a product: its size, and its stride in each array it goes along."""

    size: int
    strides: tuple[int, ...]
    letters: str


class Arrangement(NamedTuple):
    """A product as axes, with their element strides.

    rows, columns   of the result; strides in (a, c) and (b, c)
    inner           what is summed over; strides in (a, b)
    batch           what it is repeated over; strides in (a, b, c)
    """

    rows: Axis
    columns: Axis
    inner: Axis
    batch: tuple[Axis, ...]


def is_product(node: Node) -> bool:
    """Whether an einsum is a product of two matrices, or a batch of them."""
    if node.op.name != "einsum" or len(node.inputs) != 2:
        return False
    if node.spec.dtype.name not in ("float32", "float64") or not node.spec.size:
        return False
    if any(x.spec.dtype != node.spec.dtype for x in node.inputs):
        return False
    terms, output = letters_of(node)
    if any(len(set(t)) < len(t) for t in (*terms, output)):
        return False
    sizes = sizes_of(node)
    m, n, k, batch = groups(terms, output, sizes)
    lone = set("".join(terms)) ^ {*m, *n, *k, *batch}
    real = [c for c in output if sizes[c] > 1]
    if not (k and (m or n) and all(sizes[c] == 1 for c in lone)):
        return False
    return real[-1] not in batch


def is_convolution(node: Node) -> bool:
    """Whether it is one of the three faces of a convolution, and has a native form."""
    arrays = (node, *node.inputs)
    return (
        node.op.name in CONVOLUTIONS
        and node.spec.ndim <= AXES + 2
        and node.spec.dtype.name in ("float32", "float64")
        and all(x.spec.size and x.spec.dtype == node.spec.dtype for x in arrays)
    )


def result_letters(node: Node) -> str:
    """A letter for each axis of its result; of a product its own."""
    if node.op.name in CONVOLUTIONS:
        return "abcde"[: node.spec.ndim]
    return letters_of(node)[1]


def sizes_of(node: Node) -> dict[str, int]:
    """The size of each letter."""
    terms, _ = letters_of(node)
    return {
        c: s
        for t, x in zip(terms, node.inputs, strict=True)
        for c, s in zip(t, x.spec.shape, strict=True)
    }


def groups(terms: list[str], output: str, sizes: dict[str, int]) -> tuple[list[str], ...]:
    """The letters m, n, k and batch; those of size 1 left out."""
    a, b = terms
    real = [c for c in dict.fromkeys(output + a + b) if sizes[c] > 1]
    return (
        [c for c in real if c in a and c in output and c not in b],
        [c for c in real if c in b and c in output and c not in a],
        [c for c in real if c in a and c in b and c not in output],
        [c for c in real if c in a and c in b and c in output],
    )


def arrangement(node: Node) -> Arrangement | None:
    """How a product's operands lie; None if an operand must be copied first."""
    terms, output = letters_of(node)
    sizes = sizes_of(node)
    views: list[Strided] = []
    for x in node.inputs:
        view = strided(x)
        if view is None:
            return None
        views.append(view)
    of = [dict(zip(t, v.strides, strict=True)) for t, v in zip(terms, views, strict=True)]
    of.append(dict(zip(output, row_major(node.spec.shape), strict=True)))
    m, n, k, batch = groups(terms, output, sizes)

    def along(letters: list[str], *arrays: int) -> list[Axis]:
        return _merged([Axis(sizes[c], tuple(of[i][c] for i in arrays), c) for c in letters])

    ms, ns = along(m, 0, 2), along(n, 1, 2)
    ks = along(sorted(k, key=lambda c: -of[0][c]), 0, 1)
    if len(ks) > 1:
        ks = along(sorted(k, key=lambda c: -of[1][c]), 0, 1)
    if len(ks) > 1:
        return None
    rows, more_m = _main(ms)
    columns, more_n = _main(ns)
    repeated = [Axis(x.size, (x.strides[0], 0, x.strides[1]), x.letters) for x in more_m]
    repeated += [Axis(x.size, (0, *x.strides), x.letters) for x in more_n]
    return Arrangement(rows, columns, ks[0], (*repeated, *along(batch, 0, 1, 2)))


def _merged(axes: list[Axis]) -> list[Axis]:
    """Neighbours that follow each other evenly, as one."""
    found: list[Axis] = []
    for axis in axes:
        if found and all(
            s == t * axis.size for s, t in zip(found[-1].strides, axis.strides, strict=True)
        ):
            last = found.pop()
            axis = Axis(last.size * axis.size, axis.strides, last.letters + axis.letters)
        found.append(axis)
    return found


def _main(axes: list[Axis]) -> tuple[Axis, list[Axis]]:
    """The axis that a matrix has, and the others: the one with neighbours in the result, else the
    longest. A vector has one of size 1.
    """
    if not axes:
        return Axis(1, (0, 0), ""), []
    chosen = next((x for x in axes if x.strides[-1] == 1), None)
    if chosen is None:
        chosen = max(axes, key=lambda x: x.size)
    return chosen, [x for x in axes if x is not chosen]
