"""The passes, in their order: from what was traced to kernels."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import DomainError
from ..graph import Graph
from .bodies import bodies
from .contract import contract
from .copies import copies
from .expand import expand
from .fold import fold
from .fuse import fuse
from .hoist import hoist
from .join import join
from .prune import prune
from .share import share

Pass = Callable[[Graph], Graph]


def _hoisted(graph: Graph) -> Graph:
    return hoist(graph, lambda body: lowered(body, until="share"))


PASSES: tuple[tuple[str, Pass], ...] = (
    ("prune", prune),
    ("bodies", bodies),
    ("join", join),
    ("hoist", _hoisted),
    ("expand", expand),
    ("fold", fold),
    ("share", share),
    ("contract", contract),
    ("copies", copies),
    ("fuse", fuse),
)
"""Name and function."""


def lowered(
    graph: Graph, until: str | None = None, show: Callable[[str, Graph], object] | None = None
) -> Graph:
    """The graph after all passes, or after the one named; `show` sees every one, and in its
    `derived["became"]` what the pass made of each node of the one before.

    Raises:  DomainError if no pass is named so.
    """
    names = [name for name, _ in PASSES]
    if until is not None and until not in names:
        raise DomainError(f"lower: {until!r} is no pass", want=f"trace, {', '.join(names)}")
    for name, apply in PASSES:
        after = apply(graph)
        verify(name, graph, after)
        graph = after
        if show is not None:
            show(name, graph)
        graph.derived.pop("became", None)
        if name == until:
            break
    return graph


def verify(name: str, before: Graph, after: Graph) -> None:
    """Whether a pass kept what a graph is for: its inputs, and the shapes and dtypes it gives.

    Raises:  AssertionError if not: a fault of overbar.
    """
    same = before.inputs == after.inputs and len(before.outputs) == len(after.outputs)
    pairs = zip(before.outputs, after.outputs, strict=False)
    if not same or any(a.spec is not b.spec for a, b in pairs):
        raise AssertionError(f"the pass {name} changed what the graph is:\n{before}\n->\n{after}")
    ages = {x: i for i, x in enumerate(after.nodes)}
    given = set(before.inputs)
    for node in after.nodes:
        if node not in given and any(ages[x] > ages[node] for x in node.inputs):
            raise AssertionError(f"the pass {name} made a node older than its inputs: {node}")
