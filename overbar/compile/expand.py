"""Pass `expand`: what is a formula of simpler operations becomes that formula, a call its body.

softmax, logsumexp, the deviations from a mean: as single primitives they have exact rules and read
well; as a maximum, an exponential and a sum they can be fused with what stands around them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..capture import capture
from ..graph import Graph, Node
from ..ops.einsum import plan
from ..primitive import PRIMITIVES
from ..spec import Spec, spec
from .rewrite import constant, make, rebuilt
from .scalar import can_hold


def expand(graph: Graph) -> Graph:
    """Write composite operations with simpler ones.

    %1 = softmax %0 axis=(1,)     ->     max, subtract, exp, sum, divide
    """
    leaves = set(graph.inputs)
    results: dict[Node, list[Node]] = {}

    def replace(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in leaves or (not inputs and node.op.name != "call"):
            return node
        if node.op.name == "part" and inputs[0] in results:
            return results[inputs[0]][node.params["index"]]
        if node.op.name == "deviations" and _deviates(node.inputs[0], node.params["axis"]):
            return inputs[0]
        now = make(node.op, inputs, node.params, node.spec, node)
        if node.op.name == "call":
            results[now] = expand_into(now.params["graph"], inputs)
        if node.op.name in ("gate", "forward_gate"):
            results[now] = list(inputs[: node.params["results"]])
        return expanded(now)

    def expand_into(body: Graph, given: tuple[Node, ...]) -> list[Node]:
        """A graph's outputs, computed here of other inputs."""
        made = dict(zip(body.inputs, given, strict=True))
        for node in body.nodes:
            if node not in made:
                made[node] = replace(node, tuple([made[x] for x in node.inputs]))
        return [made[y] for y in body.outputs]

    return rebuilt(graph, replace)


def expanded(node: Node) -> Node:
    """The node, or the formula that stands for it."""
    if node.op.name == "einsum":
        return _pairs(node)
    if node.op.name == "matmul":
        return _einsum_of(node)
    if not _is_formula(node):
        return node
    formula = _formula(node.op, tuple(x.spec for x in node.inputs), tuple(node.params.items()))
    made: dict[Node, Node] = dict(zip(formula.inputs, node.inputs, strict=True))
    for step in formula.nodes:
        if step in made:
            continue
        now = [made[x] for x in step.inputs]
        if now:
            made[step] = make(step.op, now, step.params, step.spec, node)
        else:  # anew: it would be older than the rest of the graph the second time, and go first
            made[step] = constant(step.value, step.spec, node)
    return made[formula.outputs[0]]


def _is_formula(node: Node) -> bool:
    if getattr(node.op, "expands", None) is None or any(x.spec.size == 0 for x in node.inputs):
        return False
    return can_hold(node) and not (node.op.declines and node.op.declines(node))


@lru_cache(maxsize=1024)
def _formula(op: Any, specs: tuple[Spec, ...], params: tuple[tuple[str, Any], ...]) -> Graph:
    return capture(lambda *xs: op.expands(*xs, **dict(params)), specs).graph


def _deviates(x: Node, axis: tuple[int, ...]) -> bool:
    """Whether x is made of deviations along these axes by factors that are the same along them: its
    mean is 0, and its deviations from it are x.
    """
    while x.inputs and x.op.name in ("multiply", "divide"):
        along = [y for y in x.inputs if not _is_even(y, axis)]
        if len(along) != 1 or (x.op.name == "divide" and along[0] is not x.inputs[0]):
            return False
        x = along[0]
    return bool(x.inputs) and x.op.name == "deviations" and x.params["axis"] == axis


def _is_even(x: Node, axis: tuple[int, ...]) -> bool:
    """Whether x is the same along these axes."""
    shape = x.spec.shape
    while x.inputs and x.op.name == "broadcast":
        x = x.inputs[0]
    source = (1,) * (len(shape) - x.spec.ndim) + x.spec.shape
    return all(source[a] == 1 for a in axis) if shape else True


# -- products ---------------------------------------------------------------------------------


def _einsum_of(node: Node) -> Node:
    """matmul %0 %1  ->  einsum form='aij,ajk->aik'"""
    batch = "abcdefgh"[: node.spec.ndim - 2]
    form = f"{batch}ij,{batch}jk->{batch}ik"
    return make(PRIMITIVES["einsum"], node.inputs, {"form": form}, node.spec, node)


def _pairs(node: Node) -> Node:
    """A contraction of many operands as contractions of two."""
    if len(node.inputs) <= 2 or node.spec.dtype.kind != "f":
        return node
    operands = list(node.inputs)
    terms = node.params["form"].partition("->")[0].split(",")
    shapes = tuple(x.spec.shape for x in operands)
    sizes = dict(zip("".join(terms), [n for s in shapes for n in s], strict=True))
    for i, j, result in plan(node.params["form"], shapes):
        form = {"form": f"{terms[i]},{terms[j]}->{result}"}
        of = spec(tuple(sizes[c] for c in result), node.spec.dtype)
        y = make(node.op, (operands[i], operands[j]), form, of, node)
        operands = [x for k, x in enumerate(operands) if k not in (i, j)] + [y]
        terms = [t for k, t in enumerate(terms) if k not in (i, j)] + [result]
    return operands[0]
