"""Reading and adding at positions along any axis.

A gather reads along the first axes of an array, a scatter adds along them: x[:, i] is a gather of a
transposed x, transposed back. Both transposes would be copies. As one operation each entry is read
where it is, in the order in which it is stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Node
from ..ops.index import gather_, gathered_entry, scatter_
from .access import strided
from .operations import Operation
from .rewrite import make


def _entry(b: Any, i: Any, x: Any, *at: Any, order: tuple[int, ...]) -> Any:
    return gathered_entry(b, [i[order.index(a)] for a in range(len(order))], x, *at)


def _scattered(y: Any, *index: Any, shape: tuple[int, ...], axis: int) -> Any:
    width, k = index[0].ndim, len(index)
    first = np.moveaxis(y, range(axis, axis + width), range(width))
    inner = (*shape[axis : axis + k], *shape[:axis], *shape[axis + k :])
    return np.moveaxis(scatter_.run(first, *index, shape=inner), range(k), range(axis, axis + k))


GATHER = Operation("gather", lambda x, *at, order: x[at].transpose(order), entry=_entry)
"""A gather whose axes are put in another order."""
SCATTER = Operation("scatter", _scattered)
"""A scatter along the axes from `axis` on."""


def transposed(node: Node) -> Node | None:
    """The transpose of a gather or a scatter as one operation, where that saves a copy."""
    x, order = node.inputs[0], node.params["order"]
    if x.op in (gather_, GATHER):
        return _gathered(node, x, tuple(x.params.get("order", range(len(order)))[a] for a in order))
    return _added(node, x, order) if x.op is scatter_ else None


def _gathered(node: Node, x: Node, order: tuple[int, ...]) -> Node | None:
    """If it is read along memory in the order in which it is stored."""
    source, at = x.inputs[0], x.inputs[1]
    view = strided(source)
    last = max((a for a, n in enumerate(node.spec.shape) if n != 1), default=None)
    if view is None or last is None:
        return None
    width, count = at.spec.ndim, len(x.inputs) - 1
    axis = order[last]
    steps = view.strides[:count] if axis < width else view.strides[count + axis - width :][:1]
    return make(GATHER, x.inputs, {"order": order}, node.spec, node) if 1 in steps else None


def _added(node: Node, x: Node, order: tuple[int, ...]) -> Node | None:
    """If what is added was transposed for it."""
    y, *index = x.inputs
    width, count = index[0].spec.ndim, len(index)
    axis = order.index(0)
    if order != (*range(count, count + axis), *range(count), *range(count + axis, len(order))):
        return None
    before = (*range(axis, axis + width), *range(axis), *range(axis + width, y.spec.ndim))
    if y.op.name != "transpose" or not y.inputs or y.params["order"] != before:
        return None
    params = {"shape": node.spec.shape, "axis": axis}
    return make(SCATTER, (y.inputs[0], *index), params, node.spec, node)
