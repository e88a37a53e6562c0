"""Functions run once and replayed: `const_graph`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....calculus.transforms import Following
from ....graph import Graph, Node
from ....handle import asarray
from ....replay import interpret
from ....trees import tree_flatten, tree_unflatten
from ..tracer import getval, named_after


def _followed(fun: Callable[..., Any], args: Any) -> tuple[Graph, Any, Any]:
    """The graph of one run, its result, and the structure of the result."""
    leaves, structure = tree_flatten(args)
    with Following([asarray(x) for x in leaves], keep=True) as following:
        outputs, shape = tree_flatten(fun(tree_unflatten(structure, following.handles())))
    ys = [asarray(y) for y in outputs]
    return Graph([x.node for x in following.inputs], [y.node for y in ys]), ys, shape


def const_graph_unary(fun: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that runs fun at its first call, and replays at later ones what depends on x."""
    kept: list[Any] = []

    def replayed(x: Any) -> Any:
        if not kept:
            graph, ys, shape = _followed(fun, x)
            kept.append((graph, shape))
            return tree_unflatten(shape, [getval(y) for y in ys])
        graph, shape = kept[0]
        return tree_unflatten(shape, list(interpret(graph, tree_flatten(x)[0])))

    return replayed


def const_graph(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """A function of the remaining arguments that runs fun once and then replays it: what does not
    depend on them, branches included, stays as it was.
    """
    replayed = const_graph_unary(lambda rest: fun(*args, *rest, **kwargs))
    return named_after(fun)(lambda *rest: replayed(rest))


def full_graph(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Node:
    """The last node of the graph of one run."""
    return _followed(lambda xs: fun(*xs, **kwargs), args)[0].outputs[0]
