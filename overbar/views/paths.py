"""The paths along which a result depends on a variable, and what each adds to its gradient.

Paths are counted first, by dynamic programming over the graph, for there may be more than anybody
could walk. What one path adds is the adjoint carried along it alone: at every node the engine's own
rule, of whose messages one is followed.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..calculus.sweep import Raw
from ..errors import GradientError
from ..graph import Node
from .explain import callers_variables
from .formula import formula_of, written
from .names import width
from .record import Record, record_of
from .rows import Telling
from .shares import Parts
from .terms import SILENT, Expr, Number, product

MOST = 4096
"""So many paths are walked."""
SHORT = 16
"""Columns for the formula that stands for a node without a name."""


@dataclasses.dataclass(frozen=True)
class Edge:
    """One message of the sweep: the k-th that `source` sends."""

    source: Node
    target: Node
    k: int


def paths(L: Any, *args: Any, wrt: Any = None, top: int | None = 5) -> Parts:
    """Every path from a result to a variable, and what it adds to the gradient.

    Of a result, a Graph, or a function with its arguments. The values of the paths add up to the
    gradient exactly; `top` says how many are printed, the list has all of them.

    Raises:  GradientError if there are too many to walk: then the count is told, and
             `ob.contributions` splits the gradient by message instead.
    Example:
        >>> def f(x, y):
        ...     h1 = 2 * x
        ...     h2 = 2 * h1**2
        ...     h3 = h1 + y
        ...     l = h2 * h3
        ...     return l
        >>> print(ob.paths(f, 3.0, 5.0, wrt="x"))
        x̄ = dl/dx = 672: 2 paths
          l → h2 → h1 → x   h3 · 4 h1 · 2    528      78.6 %   █████████
          l → h3 → h1 → x   h2 · 1 · 2       144      21.4 %   ███
    """
    record = one_variable("paths", record_of("paths", L, args, wrt))
    telling = Telling(record.sweep(), callers_variables())
    return paths_of(telling, top)


def one_variable(what: str, record: Record) -> Record:
    """The record, if it is about exactly one variable.

    Raises:  GradientError otherwise.
    """
    if record.missing or not record.variables:
        raise GradientError(
            f"{what}: the result does not depend on what `wrt` names",
            hint="ob.why_zero(parameter, L) says where a path was cut",
        )
    if len(record.variables) != 1:
        names = [v.name or "?" for v in record.variables[:8]]
        raise GradientError(
            f"{what}: the result depends on {len(record.variables)} variables",
            want=f"wrt=, one of them: {', '.join(names)}",
        )
    return record


def paths_of(telling: Telling, top: int | None = 5) -> Parts:
    """The paths of a telling to its one variable."""
    record, (variable,) = telling.record, telling.record.variables
    edges = _edges(record)
    count = counted(record, edges)
    if count > MOST:
        said = f"{count:,}" if count < 10**9 else f"about {count:.1e}"
        raise GradientError(
            f"paths: {said} paths lead from {telling.name(record.outputs[0])} to "
            f"{telling.name(variable)}, too many to walk",
            want=f"at most {MOST:,}",
            hint="ob.contributions(L, wrt=...) splits the gradient by message, exactly",
        )
    walked = list(_walked(record, edges))
    names = _chains(telling, [path for path, _ in walked])
    parts = [
        (name, value, _factors(telling, path))
        for name, (path, value) in zip(names, walked, strict=True)
    ]
    whole = record.gradient(variable)
    result = telling.name(record.outputs[0])
    return Parts(telling.name(variable), result, whole, parts, ("path", "paths"), top=top)


def _edges(record: Record) -> dict[Node, list[Edge]]:
    """The messages of the sweep that lead to the variable, by sender."""
    leads = set(record.variables)
    sent: dict[Node, list[Edge]] = {}
    for m in record.messages:
        edges = sent.setdefault(m.source, [])
        edges.append(Edge(m.source, m.target, len(edges)))
    for node in record.nodes:  # oldest first: what leads to the variable
        if any(e.target in leads for e in sent.get(node, ())) and node not in record.variables:
            leads.add(node)
    return {n: [e for e in edges if e.target in leads] for n, edges in sent.items() if n in leads}


def counted(record: Record, edges: dict[Node, list[Edge]]) -> int:
    """How many paths lead to the variable: for every node the sum over what uses it."""
    count: dict[Node, int] = dict.fromkeys(record.outputs, 1)
    for node in reversed(record.path):  # youngest first: all its users came before
        for e in edges.get(node, ()):
            count[e.target] = count.get(e.target, 0) + count.get(node, 0)
    return count.get(record.variables[0], 0)


def _walked(record: Record, edges: dict[Node, list[Edge]]) -> Iterator[tuple[list[Edge], Any]]:
    """Each path with what it carries to the variable; common beginnings are walked once."""
    world, (variable,) = Raw(), record.variables
    world.recovered = dict(record.values)
    on_path, chosen = set(record.path), _chosen(record)
    for y, seed in zip(record.outputs, record.seeds(), strict=True):
        stack: list[tuple[Node, Any, list[Edge]]] = [(y, seed, [])]
        while stack:
            node, bar, path = stack.pop()
            if node is variable:
                yield path, bar
                continue
            if node not in edges:
                continue
            with np.errstate(all="ignore"):
                sent = world.messages(node, bar, on_path, node in chosen)
            stack += [
                (e.target, m, [*path, e])
                for e in reversed(edges[node])
                if (m := _along(e, sent)) is not None
            ]


def _along(e: Edge, sent: list[tuple[Node, Any]]) -> Any:
    """The message of an edge; None if along this path nothing is sent there."""
    if e.k < len(sent) and sent[e.k][0] is e.target:
        return sent[e.k][1]
    return next((m for x, m in sent if x is e.target), None)


def _chosen(record: Record) -> set[Node]:
    """The nodes in whose adjoints a zero means "not selected", as the sweep keeps them."""
    chosen: set[Node] = set()
    for m in record.messages:
        op = m.source.op
        if op.selects or (m.source in chosen and op.tells):
            chosen.add(m.target)
    return chosen


# -- how a path is told -----------------------------------------------------------------------


def _chains(telling: Telling, walked: list[list[Edge]]) -> list[str]:
    """`L → y → z → w`: the names along each path; with what has none, where it takes that to tell
    paths apart.
    """
    said = [_chain(telling, path, full=False) for path in walked]
    count = Counter(said)
    said = [
        _chain(telling, path, full=True) if count[s] > 1 else s
        for path, s in zip(walked, said, strict=True)
    ]
    count, use = Counter(said), Counter[str]()
    for i, s in enumerate(said):
        if count[s] > 1:
            use[s] += 1
            said[i] = f"{s} (use {use[s]})"
    return said


def _chain(telling: Telling, path: list[Edge], *, full: bool) -> str:
    nodes = [path[0].source, *(e.target for e in path)] if path else telling.record.outputs
    words = []
    for node in nodes:
        name = telling.names.get(node.serial)
        if name is None and (not full or node.op.name in SILENT):
            continue
        words.append(name or _label(telling, node))
    return " → ".join(words)


def _label(telling: Telling, node: Node) -> str:
    text = written(_formula(telling, node))
    return text if width(text) <= SHORT else node.op.name


def _formula(telling: Telling, node: Node) -> Expr:
    return formula_of(node, lambda n: None if n is node else telling.called(n))


def _factors(telling: Telling, path: list[Edge]) -> str:
    """`h3 · 4 h1 · 2`: the local derivatives along a path of numbers, one for each name."""
    nodes = [e.source for e in path] + [e.target for e in path[-1:]]
    if any(isinstance(n.spec, tuple) or n.spec.size != 1 for n in nodes):
        return ""
    factors: list[str] = []
    here: Expr = Number(1, shape=())
    for e in path:
        local = _local(telling, e)
        if local is None:
            return ""
        here = product(here, local)
        if e.target.serial in telling.names:
            text = written(here)
            factors.append(text)
            here = Number(1, shape=())
    if len(factors) > 1:
        factors = [f"({f})" if _is_sum(f) else f for f in factors]
    return " · ".join(factors)


def _is_sum(text: str) -> bool:
    bare = re.sub(r"\([^()]*\)", "", text)
    return " + " in bare or " − " in bare or text.startswith("−")


def _local(telling: Telling, e: Edge) -> Expr | None:
    """The derivative of a node by what it uses, as the rule says it; of one use only."""
    found = telling.sent_by(e.source, Number(1, shape=()))
    return found[e.k] if e.k < len(found) else None
