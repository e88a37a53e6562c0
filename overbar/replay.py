"""Values again: running nodes in order, and recomputing what was let go.

Nodes are pure functions of their inputs (random operations of their key), so a value that nobody
kept can be made again from the leaves, which are always kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .apply import explained
from .context import UNKNOWN
from .errors import OverbarError, UnknownValueError
from .graph import INPUT, Graph, Node, bodies_of


def whole_value(value: Any, node: Node) -> Any:
    """A node's value in its full shape: an implicit broadcast holds its source's."""
    if isinstance(value, np.ndarray | np.generic) and value.shape != node.spec.shape:
        return np.broadcast_to(value, node.spec.shape)
    return value


def values_of(nodes: Iterable[Node]) -> dict[Node, Any]:
    """The values of these nodes, recomputed from the nearest ancestors that hold one.

    Raises:  UnknownValueError if an ancestor is an argument of a trace.
    """
    missing: list[Node] = []
    seen: set[Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node in seen or node.value is not None:
            continue
        if not node.inputs:
            raise UnknownValueError(
                f"the value of {node!r} is not known: it is an argument of a trace"
            )
        seen.add(node)
        missing.append(node)
        stack.extend(node.inputs)
    missing.sort(key=lambda n: n.serial)
    values: dict[Node, Any] = {}
    for node in missing:
        operands = [x.value if x.value is not None else values[x] for x in node.inputs]
        if not node.op.pointwise:
            operands = [whole_value(v, x) for v, x in zip(operands, node.inputs, strict=True)]
        values[node] = node.op.run(*operands, **node.params)
    wanted = {n: n.value if n.value is not None else values[n] for n in (*nodes, *missing)}
    return {n: whole_value(v, n) for n, v in wanted.items()}


def is_known(node: Node) -> bool:
    """Whether its value can be had: it does not depend on an argument of a trace."""
    return not node.mask & UNKNOWN


def interpret(graph: Graph, arguments: Sequence[Any]) -> list[Any]:
    """The outputs of a graph for these values of its inputs, node by node with NumPy.

    Every value is dropped after its last use. The oracle of compiled code, and its fallback.
    """
    program = graph.program
    if program is None:
        program = graph.program = _assembled(graph)
    constants, instructions, size, outputs = program
    slots: list[Any] = [None] * size
    slots[: len(arguments)] = arguments
    for slot, value in constants:
        slots[slot] = value
    node = None
    try:
        for node, run, sources, target, dead in instructions:
            slots[target] = run(*[slots[s] for s in sources], **node.params)
            for s in dead:
                slots[s] = None
    except Exception as error:  # noqa: BLE001  (whatever it is, it is told as in eager)
        raise explained_at(node, error) from error.__cause__
    return [slots[s] for s in outputs]


def explained_at(node: Node | None, error: Exception) -> Exception:
    """What went wrong in an operation of a graph, in overbar's words and of the user's line."""
    if node is None:
        return error
    if not isinstance(error, OverbarError):
        error = explained(node.op, node.inputs, node.params, error)
    elif bodies_of(node):  # told by one of the operations inside
        return error
    return error.of(str(node.origin)) if node.origin else error


def _assembled(graph: Graph) -> tuple[Any, ...]:
    """The graph as a list of instructions on numbered slots."""
    nodes = graph.nodes
    slot = {node: i for i, node in enumerate(nodes)}
    inputs = set(graph.inputs)
    keep = {slot[y] for y in graph.outputs}
    last: dict[int, Node] = {}
    for node in nodes:
        if node not in inputs:
            for x in node.inputs:
                last[slot[x]] = node
    dying: dict[Node, list[int]] = {}
    for s, node in last.items():
        if s not in keep:
            dying.setdefault(node, []).append(s)
    constants, instructions = [], []
    for node in nodes[len(graph.inputs) :]:
        if not node.inputs and (node.value is not None or node.op is INPUT):
            if node.value is None:
                raise UnknownValueError(f"{node!r} is neither an input of the graph nor a constant")
            constants.append((slot[node], node.value))
        else:
            sources = tuple(slot[x] for x in node.inputs)
            instructions.append(
                (node, node.op.run, sources, slot[node], tuple(dying.get(node, ())))
            )
    return constants, instructions, len(nodes), [slot[y] for y in graph.outputs]
