"""Operations that only a graph being compiled has: a copy, and several operations in one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Graph
from ..replay import interpret


class Operation:
    """An operation of compiled graphs. It runs with NumPy like a primitive; nobody differentiates
    it any more.
    """

    pointwise = False
    numbers = True
    expands = reduces = declines = None
    moves = selects = False

    def __init__(
        self,
        name: str,
        run: Callable[..., Any],
        *,
        native: Callable[..., Any] | None = None,
        entry: Callable[..., Any] | None = None,
    ) -> None:
        self.name, self.run, self.native, self.entry = name, run, native, entry

    def __repr__(self) -> str:
        return self.name


COPY = Operation("copy", np.array, native=lambda b, x: x)
"""The same numbers in memory of their own."""


def _run(*values: Any, graph: Graph, **_: Any) -> Any:
    results = interpret(graph, values)
    return results[0] if len(results) == 1 else tuple(results)


NEST = Operation("nest", _run)
"""Operations in one nest of loops: entry by entry over `axes`, or row by row over those of them
that are not `reduced`.
"""
PRODUCT = Operation("product", _run)
"""A product of matrices, and what is done with every entry of it while it is at hand."""
