"""What all passes share: a graph, walked once from its inputs, becomes another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph import CONST, EMPTY, Graph, Node

Replace = Callable[[Node, tuple[Node, ...]], Node]


def rebuilt(graph: Graph, replace: Replace) -> Graph:
    """The graph after every node, oldest first, went through `replace(node, its new inputs)`.

    What became of each node stands in its `derived["became"]` until the pass is over.
    """
    made: dict[Node, Node] = {x: x for x in graph.inputs}
    for node in graph.nodes:
        if node not in made:
            made[node] = replace(node, tuple([made[x] for x in node.inputs]))
    now = Graph(graph.inputs, [made[y] for y in graph.outputs])
    before = graph.derived.get("became")  # of a pass that walks several times
    now.derived["became"] = {x: made.get(y, y) for x, y in before.items()} if before else made
    return now


def with_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The same operation on other inputs; itself if they are the same."""
    if inputs == node.inputs:
        return node
    return make(node.op, inputs, node.params, node.spec, node)


def make(op: Any, inputs: Sequence[Node], params: dict[str, Any], spec: Any, at: Node) -> Node:
    """A new node, made at another's place in the user's source."""
    return Node(op, tuple(inputs), params, spec, mask=at.mask, code=at.code, at=at.at)


def constant(value: Any, spec: Any, at: Node) -> Node:
    """A new node for a value known while compiling."""
    return Node(CONST, (), EMPTY, spec, value, code=at.code, at=at.at)


def is_constant(node: Node) -> bool:
    """Whether its value is known while compiling."""
    return not node.inputs and node.value is not None and node.op is CONST
