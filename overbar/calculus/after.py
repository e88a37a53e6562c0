"""After the fact: adjoints of any intermediate, and graphs as objects to run, step and keep."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..context import CONTEXT, UNKNOWN, within
from ..errors import DomainError, GradientError, ShapeError, StructureError
from ..graph import CONST, Graph, Node, ancestors, span
from ..graphfile import load, save
from ..handle import Tensor, asarray, from_value
from ..replay import interpret
from ..trees import tree_flatten, tree_unflatten
from .calls import traced_call
from .derived import pulled
from .sweep import Handles, Raw, finish, pullback, pullback_steps, pushforward_steps
from .transforms import conjugate, ones_of, scalar_result


def adjoint(L: Tensor, wrt: Any, hold: Sequence[Tensor] | Tensor = ()) -> Any:
    """The derivative of the scalar L by any tensor it was computed from, after the fact.

    wrt may be one tensor or a tree of them; a tensor on the way to another does not stop it: the
    derivative is total. `hold` names tensors to keep fixed instead of following them: then it is
    partial.

    Raises:  GradientError if L was not computed from one of them.
    Example:
        >>> x = ob.tensor(3.0, requires_grad=True)
        >>> u = 2 * x
        >>> y = u * u + x
        >>> float(ob.adjoint(y, x)), float(ob.adjoint(y, u)), float(ob.adjoint(y, x, hold=[u]))
        (25.0, 12.0, 1.0)
    """
    L = scalar_result("adjoint", L, "L")
    leaves, structure = tree_flatten(wrt)
    held = [hold] if isinstance(hold, Tensor) else list(hold)
    for t in [*leaves, *held]:
        if not isinstance(t, Tensor):
            raise GradientError(
                "adjoint: wrt and hold are tensors", got={"given": type(t).__name__}
            )
    context = CONTEXT.get()
    known = context.trace.read if context.trace is not None else lambda t: t
    stops = {known(t).node for t in held}
    nodes = [known(t).node for t in leaves]
    path = _path(L.node, nodes, stops)
    there = set(path)
    for t, node in zip(leaves, nodes, strict=True):
        if node not in there and not stops:
            raise GradientError(
                "adjoint: L was not computed from this tensor, as far as was recorded",
                got={"L": L, "wrt": t},
                hint="operations are recorded if an input has requires_grad=True, or under "
                "ob.record()",
            )
    raw = context.trace is None and not L.node.mask & (context.active | UNKNOWN)
    seed = ones_of(L)
    with np.errstate(all="ignore"):
        bars = finish(
            pullback_steps(
                [L.node], nodes, [seed.value if raw else seed], path, Raw() if raw else Handles()
            )
        )
    outs = []
    for bar, t in zip(bars, leaves, strict=True):
        if bar is None:
            outs.append(from_value(np.zeros(t.shape, t.dtype)))
        else:
            outs.append(conjugate(bar if isinstance(bar, Tensor) else from_value(np.asarray(bar))))
    return tree_unflatten(structure, outs)


def _path(output: Node, inputs: Sequence[Node], stops: set[Node]) -> list[Node]:
    """The nodes on some path from the inputs to the output that meets no stop, oldest first."""
    since = min(x.serial for x in inputs)
    reached = {x for x in inputs if x not in stops}
    path = []
    for node in ancestors([output], stop=stops, since=since):
        if node not in stops and (node in reached or not reached.isdisjoint(node.inputs)):
            reached.add(node)
            path.append(node)
    return path


# -- graphs as objects ------------------------------------------------------------------------


def trace(f: Callable[..., Any]) -> Callable[..., Graph]:
    """A function that gives f's Graph on arguments of these shapes, without running it.

    Inputs are the array arguments in order, then what f read from outside.

    Example:
        >>> print(ob.trace(lambda x: x * x + 1.0)(2.0))
        %0 = input  float64[]
        %1 = multiply %0 %0  float64[]
        %2 = const 1.0  float64[]
        %3 = add %1 %2  float64[]
        return %3
    """

    def graph_of(*args: Any, **kwargs: Any) -> Graph:
        captured, tensors, stand = traced_call(f, args, kwargs)
        graph = captured.graph
        for node, read in zip(graph.inputs[len(tensors) :], captured.reads, strict=True):
            node.params = {**node.params, "name": read.now.name}
            graph.derived.setdefault("reads", []).append(read.now)
        graph.derived["trees"] = (*stand, captured.out_tree, captured.results)
        return graph

    return graph_of


@contextlib.contextmanager
def record() -> Iterator[Graph]:
    """Record every operation of the body, wanted by a gradient or not, and keep every value.

    The Graph is complete when the body ends: its inputs are the leaves, its outputs what nothing
    consumed.

    Example:
        >>> with ob.record() as g:
        ...     y = ob.sin(ob.tensor(0.0)) + 1.0
        >>> [node.op.name for node in g.sinks]
        ['add']
    """
    nodes: list[Node] = []
    graph = Graph((), ())
    with within(record_all=nodes, keep=True):
        yield graph
    made = set(nodes)
    used = {x for n in nodes for x in n.inputs}
    leaves = {x for x in ancestors(nodes) if not x.inputs and x.op is not CONST}
    graph.inputs = tuple(sorted(leaves, key=lambda n: n.serial))
    graph.outputs = tuple(n for n in nodes if n not in used) if made else ()
    graph._nodes = None


class Step(NamedTuple):
    """One step of a sweep.

    node      the node whose rule was applied
    given     backward: its adjoint; forward: (input, tangent) pairs
    messages  backward: (input, message) pairs; forward: its tangent
    """

    node: Node
    given: Any
    messages: Any


def steps(
    graph: Graph, direction: str = "backward", seeds: Sequence[Any] | None = None
) -> Iterator[Step]:
    """The sweep of a graph whose values are known, one Step at a time: "forward" or "backward".

    seeds: one per output (backward) or per input (forward); ones by default.
    """
    if direction not in ("forward", "backward"):
        raise DomainError(f"steps: {direction!r} is no direction", want='"forward" or "backward"')
    inputs = [n for n in graph.inputs or graph.sources if n.spec.floating]
    ends = [n for n in graph.outputs if n.spec.floating]
    starts = inputs if direction == "forward" else ends
    given = (
        [np.ones(n.spec.shape, n.spec.dtype) for n in starts]
        if seeds is None
        else [np.asarray(s) for s in seeds]
    )
    path = span(ends, inputs)
    if direction == "backward":
        for node, y_bar, messages in pullback_steps(ends, inputs, given, path, Raw()):
            yield Step(node, y_bar, messages)
    else:
        for node, y_dot, dots in pushforward_steps(ends, inputs, given, path, Raw()):
            yield Step(node, dots, y_dot)


def run(graph: Graph, *args: Any) -> Any:
    """The graph's results for other arguments, by the interpreter."""
    trees = graph.derived.get("trees")
    if trees is None:
        values = [x.value if isinstance(x, Tensor) else np.asarray(x) for x in args]
        if len(values) != len(graph.inputs):
            raise StructureError(
                f"run: the graph takes {len(graph.inputs)} arguments",
                got={"arguments": str(len(values))},
            )
        outs = [from_value(v) for v in interpret(graph, values)]
        return outs[0] if len(outs) == 1 else tuple(outs)
    _, spots, before, out_tree, count = trees
    leaves = tree_flatten((args, {}))[0]
    if len(leaves) != len(before):
        raise StructureError(
            f"run: the graph takes {len(before)} argument leaves", got={"leaves": str(len(leaves))}
        )
    values = [asarray(leaves[i]).value for i in spots] + [
        t.value for t in graph.derived.get("reads", [])
    ]
    outs = interpret(graph, values)
    return tree_unflatten(out_tree, [from_value(v) for v in outs[:count]])


def backward_graph(graph: Graph) -> Graph:
    """The Graph of the adjoints of the inputs: of (the inputs, the adjoints of the outputs)."""
    inputs = tuple(i for i, x in enumerate(graph.inputs) if x.spec.floating)
    outputs = tuple(j for j, y in enumerate(graph.outputs) if y.spec.floating)
    return pulled(graph, inputs, outputs)


def node_vjp(node: Node, y_bar: Any) -> dict[str, Tensor]:
    """What one node sends to its inputs for the adjoint ȳ: by name, or by letter where it has none.

    Broadcasts and casts that the operation made of its operands are undone.

    Example:
        >>> x = ob.tensor([[1.0, 2.0]], name="x")
        >>> w = ob.tensor([[1.0, 0.0], [3.0, 4.0]], requires_grad=True, name="w")
        >>> sent = (x @ w).node.vjp(np.array([[1.0, 10.0]]))
        >>> sent["x"].tolist(), sent["w"].tolist()
        ([[1.0, 43.0]], [[1.0, 10.0], [2.0, 20.0]])
    """
    if isinstance(node.spec, tuple) or not node.inputs:
        raise GradientError(
            "vjp: only a node with inputs and one result has adjoints to send", got={"node": node}
        )
    given = np.asarray(y_bar.value if isinstance(y_bar, Tensor) else y_bar, node.spec.dtype)
    if given.shape != node.spec.shape:
        raise ShapeError("vjp: ȳ has not the shape of the node", got={"ȳ": given, "node": node})
    inputs = []
    for x in node.inputs:
        while x.op.name in ("broadcast", "cast"):
            x = x.inputs[0]
        inputs.append(x)
    letters = [x.name or "abcdefgh"[i % 8] for i, x in enumerate(inputs)]
    if len(set(inputs)) != len(set(letters)):
        letters = ["abcdefgh"[i % 8] for i in range(len(inputs))]
    found = {
        n: x for n, x in zip(letters, inputs, strict=True) if x.spec.floating and not x.spec.weak
    }
    with np.errstate(all="ignore"):
        bars = pullback([node], list(found.values()), [given], world=Raw())
    return {
        n: from_value(np.zeros(x.spec.shape) if b is None else np.asarray(b))
        for (n, x), b in zip(found.items(), bars, strict=True)
    }


Node.vjp = node_vjp  # type: ignore[attr-defined]
Graph.steps = steps  # type: ignore[attr-defined]
Graph.run = run  # type: ignore[attr-defined]
Graph.backward_graph = backward_graph  # type: ignore[attr-defined]
Graph.save = save  # type: ignore[attr-defined]
Graph.load = staticmethod(load)  # type: ignore[attr-defined]
