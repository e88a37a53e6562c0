"""Which entries of a result depend on which entries of the inputs: one short rule per primitive.

A rule is given the numbers of the index sets of its inputs' entries (see `indexsets`) and gives
those of its result's entries. Most follow from what the primitive is:

* applied entry by entry: the union of the operands' sets;
* a copy (a slice, a transpose, a gather, ...): the primitive's own forward, run on the numbers;
* a reduction: the union along its axes;
* linear, and small enough: unit vectors through its own forward, absolute values only.

Of what is not known every entry depends on everything, which is safe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import Node
from ..ops.repeat import dropped
from .indexsets import IndexSets

Numbers = Any
"""An array of the numbers of index sets; a tuple of them for several results."""

UNITS = 1 << 22
"""Entries of the matrix of a linear operation, up to which it is probed with unit vectors."""

LONG = 256
"""Entries of an axis along which what came before each entry is followed one by one."""

Rule = Callable[[IndexSets, Node, Sequence[Numbers], Callable[[Node], Any]], Numbers]
RULES: dict[str, Rule] = {}
"""By primitive: rule(sets, node, numbers of its inputs, value of a node or None) -> numbers."""


def dependence(
    sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Callable[[Node], Any]
) -> Numbers:
    """The numbers of a node's entries, of those of its inputs."""
    op, out = node.op, node.spec
    if op.flat or not any(np.any(a) for x in xs for a in (x if isinstance(x, tuple) else (x,))):
        return _nothing(out)
    if op.name in RULES:
        return RULES[op.name](sets, node, xs, value)
    if op.pointwise:
        return sets.paired(*(np.broadcast_to(x, out.shape) for x in xs))
    if op.reduces:
        return _reduced(sets, node, xs, value)
    return _everything(sets, node, xs, value)


def _nothing(out: Any) -> Numbers:
    if isinstance(out, tuple):
        return tuple(map(_nothing, out))
    return np.zeros(out.shape, np.int64)


def _filled(out: Any, number: np.ndarray) -> Numbers:
    if isinstance(out, tuple):
        return tuple(_filled(o, number) for o in out)
    return np.broadcast_to(number, out.shape)


def _everything(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    """Every entry of every result depends on every entry of every input."""
    flat = [np.ravel(a) for x in xs for a in (x if isinstance(x, tuple) else (x,))]
    return _filled(node.spec, sets.grouped(0, np.concatenate(flat), 1)[0])


def _copied(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    return node.op.run(*xs, **node.params)


def _same(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    return xs[0]


def _axes_of(node: Node) -> tuple[int, ...]:
    axis = node.params["axes" if "axes" in node.params else "axis"]
    return (axis,) if isinstance(axis, int) else tuple(axis)


def _reduced(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    axes = _axes_of(node)
    return sets.along(xs[0], axes).reshape(dropped(xs[0].shape, axes))


def _mixed(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    """Along its axes every entry depends on every one."""
    return np.broadcast_to(sets.along(xs[0], _axes_of(node)), node.spec.shape)


def _prefixed(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    """Along its axis every entry depends on itself and on those before it; half of a long axis is
    as good as all of it.
    """
    both = sets.paired(*xs)
    if both.shape[node.params["axis"]] > LONG:
        return _mixed(sets, node, [both], value)
    x = np.moveaxis(both, node.params["axis"], 0)
    x = x[::-1] if node.params["reverse"] else x
    rows = [*x[:1]]
    for row in x[1:]:
        rows.append(sets.paired(rows[-1], row))
    y = np.stack(rows) if rows else x
    return np.moveaxis(y[::-1] if node.params["reverse"] else y, 0, node.params["axis"])


def _probed(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    """Of an operation that is linear in each input: what unit vectors give."""
    found = []
    for i, x in enumerate(xs):
        if not np.any(x):
            continue
        if x.size * node.spec.size > UNITS:
            return _everything(sets, node, xs, value)
        given = [np.ones(other.shape) for other in xs]
        given[i] = np.eye(x.size).reshape(x.size, *x.shape)
        mapped = tuple(k == i for k in range(len(xs)))
        rows = node.op.batch(x.size, mapped, *given, **node.params)
        at, entry = np.nonzero(np.reshape(rows, (x.size, node.spec.size)))
        reached = sets.grouped(entry, np.ravel(x)[at], node.spec.size)
        found.append(reached.reshape(node.spec.shape))
    return sets.paired(*found)


# -- products ---------------------------------------------------------------------------------


def _matmul(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    a, b = xs
    rows, columns = sets.along(a, (a.ndim - 1,)), sets.along(b, (b.ndim - 2,))
    return sets.paired(*(np.broadcast_to(x, node.spec.shape) for x in (rows, columns)))


def _einsum(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    """Of each operand the union over the letters that the result does not have."""
    terms, _, output = node.params["form"].partition("->")
    found = []
    for x, term in zip(xs, terms.split(","), strict=True):
        letters = "".join(dict.fromkeys(term))
        x = np.einsum(f"{term}->{letters}", x)  # of a letter twice, the diagonal
        x = sets.along(x, tuple(i for i, c in enumerate(letters) if c not in output))
        kept = [c for c in output if c in letters]
        x = x.transpose(
            [letters.index(c) for c in kept] + [i for i, c in enumerate(letters) if c not in output]
        )
        x = x[(..., *(0,) * (x.ndim - len(kept)))] if x.size else x
        shape = tuple(
            n if c in letters else 1 for c, n in zip(output, node.spec.shape, strict=True)
        )
        found.append(np.broadcast_to(x.reshape(shape), node.spec.shape))
    return sets.paired(*found)


def _matrices(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    """Functions of whole matrices: every result of a matrix depends on all of it."""
    outs = node.spec if isinstance(node.spec, tuple) else (node.spec,)
    stacked = xs[0].ndim - 2
    one = sets.along(xs[0], (stacked, stacked + 1))[..., 0, 0]
    for x in xs[1:]:
        axes = tuple(range(stacked, x.ndim))
        one = sets.paired(one, sets.along(x, axes).reshape(one.shape))
    found = tuple(
        np.broadcast_to(one.reshape(one.shape + (1,) * (len(o.shape) - stacked)), o.shape)
        for o in outs
    )
    return found if isinstance(node.spec, tuple) else found[0]


def _solve(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    a, b = xs
    whole = sets.along(a, (a.ndim - 2, a.ndim - 1))
    column = sets.along(b, (b.ndim - 2,))
    return sets.paired(*(np.broadcast_to(x, node.spec.shape) for x in (whole, column)))


# -- reading and writing at indices -----------------------------------------------------------
# With the indices known, the primitive is a copy, or adds up what comes to the same place.


def _known(value: Callable[[Node], Any], index: Sequence[Node]) -> list[Any] | None:
    values = [value(i) for i in index]
    return None if any(v is None for v in values) else values


def _gather(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    x, index = xs[0], _known(value, node.inputs[1:])
    if index is not None:
        return x[tuple(index)]
    count, width = len(xs) - 1, xs[1].ndim
    any_row = sets.along(x, tuple(range(count)))
    return np.broadcast_to(any_row.reshape((1,) * width + x.shape[count:]), node.spec.shape)


def _scatter(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    y, index, shape = xs[0], _known(value, node.inputs[1:]), node.spec.shape
    if index is not None:
        return _added(sets, y, np.arange(math.prod(shape)).reshape(shape)[tuple(index)], shape)
    width = xs[1].ndim
    any_row = sets.along(y, tuple(range(width)))
    return np.broadcast_to(any_row.reshape((1,) * (len(xs) - 1) + y.shape[width:]), shape)


def _along(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    index = value(node.inputs[1])
    if index is None:
        return _mixed(sets, node, xs, value)
    return np.take_along_axis(xs[0], index, node.params["axis"])


def _add_along(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    index, shape = value(node.inputs[1]), node.spec.shape
    if index is None:
        return _mixed(sets, node, xs, value)
    places = np.arange(math.prod(shape)).reshape(shape)
    return _added(sets, xs[0], np.take_along_axis(places, index, node.params["axis"]), shape)


def _added(
    sets: IndexSets, y: np.ndarray, places: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    return sets.grouped(places, y, math.prod(shape)).reshape(shape)


def _put(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    x, v, _ = xs
    index = value(node.inputs[2])
    if index is not None:
        return node.op.run(x, v, index, **node.params)
    return sets.paired(x, np.broadcast_to(sets.along(v, (0,)), x.shape))


def _part(sets: IndexSets, node: Node, xs: Sequence[Numbers], value: Any) -> Numbers:
    return xs[0][node.params["index"]]


_FAMILIES: dict[Rule, str] = {
    _same: "alias cast real imag conj angle complex_abs",
    _copied: "transpose reshape broadcast slice place concat tril triu diagonal undiagonal shift "
    "set",
    _reduced: "logsumexp length p_norm",
    _mixed: "softmax log_softmax deviations sort fft rfft irfft",
    _prefixed: "cumsum running_product recurrence",
    _probed: "window_sum window_spread conv conv_input conv_weight",
    _matrices: "inv pinv det cofactors minors log_det_slope slogdet cholesky qr qr_complete eigh "
    "eigvalsh svd svd_bases svdvals",
    _matmul: "matmul", _einsum: "einsum", _solve: "solve", _part: "part",
    _gather: "gather", _scatter: "scatter", _along: "along reorder", _add_along: "add_along",
    _put: "put",
}  # fmt: skip
RULES.update({name: rule for rule, names in _FAMILIES.items() for name in names.split()})
