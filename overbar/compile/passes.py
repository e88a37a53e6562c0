"""The passes, in their order: from what was traced to kernels."""

from __future__ import annotations

from collections.abc import Callable

from ..graph import Graph
from .bodies import bodies
from .contract import contract
from .expand import expand
from .fold import fold
from .fuse import fuse
from .prune import prune
from .share import share

Pass = Callable[[Graph], Graph]

PASSES: tuple[tuple[str, Pass], ...] = (
    ("prune", prune),
    ("bodies", bodies),
    ("expand", expand),
    ("fold", fold),
    ("share", share),
    ("contract", contract),
    ("fuse", fuse),
)
"""Name and function; `fold` and `share` once more after `contract` would find nothing new."""


def lowered(
    graph: Graph, until: str | None = None, show: Callable[[str, Graph], object] | None = None
) -> Graph:
    """The graph after all passes, or after the one named; `show` sees every one."""
    for name, apply in PASSES:
        graph = apply(graph)
        if show is not None:
            show(name, graph)
        if name == until:
            break
    return graph
