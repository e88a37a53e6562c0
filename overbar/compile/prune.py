"""Pass `prune`: what changes nothing is taken out, and with it all that nobody asks for."""

from __future__ import annotations

from ..graph import Graph, Node
from .rewrite import rebuilt, with_inputs


def prune(graph: Graph) -> Graph:
    """Leave out what gives its input back.

    %1 = alias %0
    %2 = transpose %1 order=(0, 1)       ->      %4 = exp %0
    %3 = cast %2 dtype=float64
    %4 = exp %3
    """
    inputs = set(graph.inputs)

    def replace(node: Node, now: tuple[Node, ...]) -> Node:
        if node in inputs or not now:
            return node
        x = now[0]
        if isinstance(node.spec, tuple) or isinstance(x.spec, tuple):
            return with_inputs(node, now)
        kept = x.spec.shape == node.spec.shape and x.spec.dtype == node.spec.dtype
        if kept and len(now) == 1 and not x.spec.weak and _does_nothing(node):
            return x
        return with_inputs(node, now)

    return rebuilt(graph, replace)


def _does_nothing(node: Node) -> bool:
    """Whether an operation gives its input back, if neither shape nor dtype changes."""
    match node.op.name:
        case "alias" | "stop_gradient" | "positive" | "cast" | "reshape" | "broadcast":
            return True
        case "transpose":
            return node.params["order"] == tuple(range(node.spec.ndim))
        case "slice":
            return all(start == 0 and step == 1 for start, _, step in node.params["index"])
        case "conj" | "real":
            return node.spec.dtype.kind != "c"
    return False
