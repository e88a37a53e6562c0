"""How much work: additions and multiplications of nodes, and of the engine's own sweeps.

The sweeps are not estimated: they are run, with everything recorded, and the operations that the
rules applied are counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..calculus.sweep import Handles, finish, pullback_steps, pushforward_steps
from ..context import within
from ..graph import Graph, Node
from ..handle import from_value
from .record import Record

FREE = {
    "transpose", "reshape", "broadcast", "slice", "alias", "stop_gradient", "part", "const", "cast",
    "place", "gather", "concat", "barrier",
}  # fmt: skip
"""Operations that move numbers and compute none."""


def flops_of(node: Node) -> int:
    """Additions and multiplications of a node; a function counts as one per entry, the body of a
    loop as often as it runs.
    """
    if not node.inputs:
        return 0
    bodies = [p for p in node.params.values() if isinstance(p, Graph)]
    if bodies:
        times = int(node.params.get("length") or 1)
        return times * max(flops_of_graph(body) for body in bodies)
    name, x = node.op.name, node.inputs[0].spec
    if isinstance(node.spec, tuple) or isinstance(x, tuple) or name in FREE:
        return 0
    if name == "matmul":
        return 2 * node.spec.size * x.shape[-1]
    if name == "einsum":
        sizes: dict[str, int] = {}
        letters = node.params["form"].partition("->")[0].split(",")
        for word, operand in zip(letters, node.inputs, strict=True):
            sizes.update(zip(word, operand.spec.shape, strict=True))
        return 2 * math.prod(sizes.values())
    if name.startswith("conv") and len(node.inputs) > 1:
        return _of_convolution(node)
    return max(node.spec.size, x.size)


def _of_convolution(node: Node) -> int:
    """The products of the forward pass; each of its two rules has as many."""
    if node.op.name == "conv":
        return 2 * node.spec.size * math.prod(node.inputs[1].spec.shape[1:])
    if node.op.name == "conv_input":  # of (ȳ, w)
        return 2 * node.inputs[0].spec.size * math.prod(node.inputs[1].spec.shape[1:])
    return 2 * node.inputs[1].spec.size * math.prod(node.spec.shape[1:])  # of (x, ȳ)


def flops_of_graph(graph: Graph) -> int:
    """Of all operations of a graph, once."""
    given = set(graph.inputs)
    return sum(flops_of(n) for n in graph.nodes if n not in given)


def total(nodes: Iterable[Node]) -> int:
    """Of all these nodes."""
    return sum(map(flops_of, nodes))


def reverse_nodes(record: Record) -> list[Node]:
    """What one backward sweep computes, as nodes."""
    seeds = [from_value(np.asarray(s)) for s in record.seeds()]
    wanted = list(record.variables)
    world = _world(record)
    made: list[Node] = []
    with within(record_all=made, jit="off"), np.errstate(all="ignore"):
        finish(pullback_steps(record.outputs, wanted, seeds, record.path, world, pause=False))
    return made


def forward_nodes(record: Record) -> list[Node]:
    """What one forward sweep computes, as nodes: the tangents, the values being there."""
    seeds: list[Any] = [from_value(np.ones(x.spec.shape, x.spec.dtype)) for x in record.variables]
    world = _world(record)
    made: list[Node] = []
    with within(record_all=made, jit="off"), np.errstate(all="ignore"):
        finish(pushforward_steps(record.outputs, record.variables, seeds, record.path, world))
    return made


def _world(record: Record) -> Handles:
    world = Handles()
    world.recovered = dict(record.values)
    return world
