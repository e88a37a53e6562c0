"""The greatest of windows, and where they are: one operation, as they are found together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph import Graph, Node
from ..ops.pool import pool_winners
from ..primitive import PRIMITIVES
from ..spec import Specs, spec
from .operations import Operation
from .rewrite import make
from .taps import AXES


def _run(x: Any, **how: Any) -> tuple[Any, Any]:
    where = pool_winners.run(x, **how)
    rows = math.prod(x.shape[:2]), math.prod(x.shape[2:])
    positions = where.reshape(rows[0], math.prod(where.shape[2:]))
    return np.take_along_axis(x.reshape(rows), positions, 1).reshape(where.shape), where


MAX_POOL = Operation("max_pool", _run)
"""What the windows of a `pool_winners` have as their greatest, and its positions."""


def read_winners(graph: Graph) -> set[Node]:
    """The `pool_winners` whose winners are read, as their values."""
    found = ((x, _source(x)) for x in graph.nodes if x.op.name == "along")
    return {w for x, w in found if w is not None and _reads(x, w)}


def pooled(winners: Node, x: Node) -> Node:
    """The positions, of the one operation that gives both."""
    specs = Specs((spec(winners.spec.shape, x.spec.dtype), winners.spec))
    return _part(make(MAX_POOL, (x,), winners.params, specs, winners), 1)


def greatest(node: Node) -> Node:
    """The values instead of reading them at those positions."""
    where = _bare(node.inputs[1])
    pool = where.inputs[0] if where.op.name == "part" else None
    if pool is None or pool.op is not MAX_POOL or not _reads(node, pool):
        return node
    return make(
        PRIMITIVES["reshape"], (_part(pool, 0),), {"shape": node.spec.shape}, node.spec, node
    )


def _part(pool: Node, index: int) -> Node:
    return make(
        PRIMITIVES["part"], (pool,), {"index": index, "count": 2}, pool.spec[index], pool
    )  # fmt: skip


def _source(node: Node) -> Node | None:
    """The `pool_winners` that gives the positions."""
    where = _bare(node.inputs[1])
    native = where.op is pool_winners and where.spec.size and where.spec.ndim <= AXES + 2
    return where if native and where.inputs[0].spec.dtype.name in ("float32", "float64") else None


def _reads(node: Node, pool: Node) -> bool:
    """Whether an `along` reads at positions in the planes that the windows are of."""
    x, flat = pool.inputs[0], node.inputs[0]
    planes = (*x.spec.shape[:2], math.prod(x.spec.shape[2:]))
    return node.params["axis"] == 2 and flat.spec.shape == planes and _bare(flat) is _bare(x)


def _bare(x: Node) -> Node:
    """What was reshaped."""
    while x.op.name == "reshape":
        x = x.inputs[0]
    return x
