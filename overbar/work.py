"""How much work an operation is: additions and multiplications of nodes and graphs."""

from __future__ import annotations

import math

from .graph import Graph, Node, bodies_of

FREE = {
    "transpose", "reshape", "broadcast", "slice", "alias", "stop_gradient", "part", "const", "cast",
    "place", "gather", "concat", "barrier", "within",
}  # fmt: skip
"""Operations that move numbers and compute none."""


def flops_of(node: Node) -> int:
    """Additions and multiplications of a node; a function counts as one per entry, the body of a
    loop as often as it runs.
    """
    if not node.inputs:
        return 0
    bodies = bodies_of(node)
    if bodies:
        times = int(node.params.get("length") or 1)
        return times * max(map(flops_of_graph, bodies.values()))
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
