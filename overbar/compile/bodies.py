"""Pass `bodies`: what a loop's body does not need to do is taken out of it.

A result of the body that nobody asks for is not computed; an array that is constant in the body
becomes an argument of the loop, so that the body has no memory of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph import EMPTY, INPUT, Graph, Node
from ..primitive import PRIMITIVES
from ..spec import Specs
from .rewrite import is_constant, make, rebuilt, with_inputs

LOOPS = {"scan", "while", "switch"}


def bodies(graph: Graph) -> Graph:
    """Free loops of unused rows, and of arrays held inside."""
    leaves = set(graph.inputs)
    used: dict[Node, set[int]] = {}
    for node in graph.nodes:
        if node.inputs and node.op.name == "part":
            used.setdefault(node.inputs[0], set()).add(node.params["index"])
    numbers: dict[Node, dict[int, int]] = {}

    def replace(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in leaves or not inputs:
            return node
        if node.op.name == "part" and inputs[0] in numbers:
            now = numbers[inputs[0]]
            which = {"index": now[node.params["index"]], "count": len(now)}
            return make(PRIMITIVES["part"], inputs, which, node.spec, node)
        if node.op.name not in LOOPS:
            return with_inputs(node, inputs)
        kept = _needed(node, used.get(node, set()))
        made = _closed(node, inputs, kept)
        numbers[made] = {old: new for new, old in enumerate(kept)}
        return made

    return rebuilt(graph, replace)


def _needed(node: Node, used: set[int]) -> list[int]:
    """The results to keep: a carry is needed by the loop itself."""
    always = {"scan": node.params.get("carries", 0), "while": len(node.spec), "switch": 0}
    first = always[node.op.name]
    kept = [i for i in range(len(node.spec)) if i < first or i in used]
    return kept or [0]


def _closed(node: Node, inputs: Sequence[Node], kept: Sequence[int]) -> Node:
    params = dict(node.params)
    given = list(inputs)
    if node.op.name == "switch":
        branches = []
        for branch in node.params["branches"]:
            graph = Graph(branch.inputs, [branch.outputs[j] for j in kept])
            graph, constants = _opened(graph, len(branch.inputs))
            extra = [Node(INPUT, (), EMPTY, c.spec) for c in constants]
            branches = [Graph((*b.inputs, *extra), b.outputs) for b in branches]
            ones = [Node(INPUT, (), EMPTY, x.spec) for x in given[1 + len(branch.inputs) :]]
            n = len(branch.inputs)
            order = (*graph.inputs[:n], *ones, *graph.inputs[n:])
            branches.append(Graph(order, graph.outputs))
            given += constants
        params["branches"] = tuple(branches)
    elif node.op.name == "scan":
        body, constants = node.params["body"], node.params["constants"]
        body, held = _opened(Graph(body.inputs, [body.outputs[j] for j in kept]), constants)
        params["body"], params["constants"] = body, constants + len(held)
        given[constants:constants] = held
    else:
        of_test, of_body = node.params["of_test"], node.params["of_body"]
        body, held = _opened(node.params["body"], of_body)
        test, asked = _opened(node.params["test"], of_test)
        params.update(body=body, test=test)
        params["of_body"], params["of_test"] = of_body + len(held), of_test + len(asked)
        given[of_test + of_body : of_test + of_body] = held
        given[of_test:of_test] = asked
    return make(node.op, given, params, Specs(node.spec[i] for i in kept), node)


def _opened(graph: Graph, at: int) -> tuple[Graph, list[Node]]:
    """A graph whose constant arrays are inputs, from this position on, and those arrays."""
    given = set(graph.inputs)
    held = [n for n in graph.nodes if n not in given and is_constant(n) and n.spec.size > 1]
    if not held:
        return graph, []
    now: dict[Node, Any] = {n: Node(INPUT, (), EMPTY, n.spec) for n in held}
    inner = rebuilt(graph, lambda n, xs: now.get(n) or (with_inputs(n, xs) if xs else n))
    inputs = list(graph.inputs)
    inputs[at:at] = now.values()
    return Graph(inputs, inner.outputs), held
