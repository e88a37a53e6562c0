"""Graphs made from graphs: pulled back, pushed forward, batched.

What the sweeps do to nodes as they run, done once to a whole Graph, value-less, and remembered on
it. The operations whose parameters are Graphs (calls, loops, branches) state their rules with
these, so they differentiate and batch to any order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..capture import Trace, inline
from ..graph import Graph, Node, span
from ..handle import Tensor, from_value
from ..spec import spec
from .batch import batched
from .sweep import Handles, pullback, pushforward


def zeros(like: Tensor) -> Tensor:
    """A constant of zeros."""
    return from_value(np.zeros(like.shape, like.dtype))


def _finished(trace: Trace, outputs: Sequence[Tensor], of: Graph) -> Graph:
    made = Graph([t.node for t in trace.arguments], [t.node for t in outputs])
    if "by" in of.derived:
        made.derived["by"] = of.derived["by"]  # what runs the one runs the other
    return made


def pulled(
    graph: Graph, inputs: tuple[int, ...], outputs: tuple[int, ...], *, selected: bool = False
) -> Graph:
    """Adjoints of the numbered inputs: a Graph of (the inputs, adjoints of numbered outputs).

    selected: a zero in these means "not selected"
    """
    key = "pulled", inputs, outputs, selected
    if key not in graph.derived:
        with Trace() as trace:
            xs = [trace.argument(x.spec) for x in graph.inputs]
            y_bars = [trace.argument(graph.outputs[j].spec) for j in outputs]
            ys = inline(graph, xs)
            bars = pullback(
                [ys[j].node for j in outputs], [xs[i].node for i in inputs], y_bars,
                world=Handles(), selected=selected,
            )  # fmt: skip
            bars = [
                zeros(xs[i]) if b is None else trace.read(b)
                for i, b in zip(inputs, bars, strict=True)
            ]
        graph.derived[key] = _finished(trace, bars, graph)
    return graph.derived[key]


def pushed(graph: Graph, inputs: tuple[int, ...], *, primal: bool = False) -> Graph:
    """Tangents of the outputs (after the outputs, if `primal`): a Graph of (the inputs, tangents of
    the numbered inputs).
    """
    key = "pushed", inputs, primal
    if key not in graph.derived:
        with Trace() as trace:
            xs = [trace.argument(x.spec) for x in graph.inputs]
            x_dots = [trace.argument(graph.inputs[i].spec) for i in inputs]
            ys = inline(graph, xs)
            dots = pushforward(
                [y.node for y in ys], [xs[i].node for i in inputs], x_dots, world=Handles()
            )
            dots = [zeros(y) if d is None else trace.read(d) for y, d in zip(ys, dots, strict=True)]
        graph.derived[key] = _finished(trace, [*ys, *dots] if primal else dots, graph)
    return graph.derived[key]


def for_lanes(
    graph: Graph, n: int, mapped: tuple[bool, ...], force: tuple[bool, ...] | None = None
) -> tuple[Graph, tuple[bool, ...]]:
    """The graph for n lanes at once, and which of its outputs carry them: at least those forced."""
    key = "lanes", n, mapped, force
    if key not in graph.derived:
        with Trace() as trace:
            pairs = list(zip(graph.inputs, mapped, strict=True))
            xs = [
                trace.argument(spec((n, *x.spec.shape), x.spec.dtype) if m else x.spec)
                for x, m in pairs
            ]
            inner = [
                trace.argument(x.spec) if m else t for (x, m), t in zip(pairs, xs, strict=True)
            ]
            trace.arguments = xs
            env = {i.node: t for i, t, m in zip(inner, xs, mapped, strict=True) if m}
            ys = inline(graph, inner)
            carrying = depends([y.node for y in ys], list(env))
            wanted = tuple(c or bool(force and force[j]) for j, c in enumerate(carrying))
            outs = batched(ys, env, n)
            outs = [trace.read(o) if w else y for o, y, w in zip(outs, ys, wanted, strict=True)]
        graph.derived[key] = _finished(trace, outs, graph), wanted
    return graph.derived[key]


def depends(outputs: Sequence[Node], inputs: Sequence[Node]) -> list[bool]:
    """Which of the outputs depend on the inputs."""
    path = set(span(outputs, inputs))
    return [y in path for y in outputs]
