"""The graph: what was computed, from what, and where.

One record, `Node`, serves every part of overbar. Running eagerly makes nodes with values;
tracing makes the same nodes without. Differentiating, batching, compiling, drawing and
explaining all read nodes and never anything else. A node is younger than its inputs, so *age
is a topological order*: no recursion, no tape.

Start at `Node`, then `span`, the question that every sweep asks first.
"""

from __future__ import annotations

import itertools
import operator
import weakref
from collections.abc import Iterable, Sequence
from types import CodeType
from typing import Any

from .origin import Origin, resolve
from .spec import spec_of


class Leaf:
    """The operation of a node that was not computed."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


INPUT = Leaf("input")
"""An argument of a graph, or a tensor that asks for a gradient."""
CONST = Leaf("const")
"""A value that nothing can differentiate."""

EMPTY: dict[str, Any] = {}
newborn = itertools.count().__next__


class Node:
    """One application of a primitive, or a leaf.

    op       the primitive; the leaves' ops are INPUT and CONST
    inputs   the nodes it was applied to, all of them older
    params   what else it was told: axes, shapes, graphs
    spec     shape and dtype (a tuple of them if it has several results)
    value    written once; held only if a rule needs it, always for leaves, let go by `backward`
    serial   its age: smaller is older
    mask     a set of bits, one for every tracker it depends on, see `context`
    handle   only of a leaf that requires a gradient: a weak reference to its Tensor
    code, at the user's instruction that made it, see `origin`
    calls    only of what modules gave: the calls of theirs that it is a result of, see `note_call`
    """

    __slots__ = (
        "__weakref__", "at", "calls", "code", "handle", "inputs", "mask", "op", "params", "serial",
        "spec", "value",
    )  # fmt: skip

    op: Any  # a Primitive, or a Leaf
    inputs: tuple[Node, ...]
    params: dict[str, Any]
    spec: Any
    value: Any
    serial: int
    mask: int
    handle: weakref.ref[Any]  # of the Tensor
    code: CodeType | None
    at: int
    calls: tuple[tuple[int, str, str], ...]

    def __init__(
        self,
        op: Any,
        inputs: tuple[Node, ...],
        params: dict[str, Any],
        spec: Any,
        value: Any = None,
        *,
        mask: int = 0,
        code: CodeType | None = None,
        at: int = 0,
    ) -> None:
        self.op, self.inputs, self.params, self.spec, self.value = op, inputs, params, spec, value
        self.serial, self.mask, self.code, self.at = newborn(), mask, code, at

    @property
    def origin(self) -> Origin | None:
        """Where in the user's source it was made; None for what overbar made by itself."""
        return resolve(self.code, self.at)

    @property
    def name(self) -> str | None:
        """The name the user gave it: `name=`, else the variable it was assigned to."""
        if "name" in self.params and not self.inputs:
            given = self.params["name"]
            if given:
                return given
        origin = self.origin
        return origin.name if origin else None

    def __repr__(self) -> str:
        return f"<{self.op.name} #{self.serial} {self.spec}>"


def number(x: Any) -> Node:
    """The node of a Python number: weak, it takes the dtype of what it meets."""
    return Node(CONST, (), EMPTY, spec_of(x), x)


def note_call(result: Any, since: int, path: str, kind: str) -> None:
    """Write down on what the call of a module gave which call that was: (its age, path, class).

    The call made what is younger than `since` and no younger than its results. Of calls within
    calls that give the same, the inner ones come first.
    """
    if isinstance(result, tuple | list):
        for part in result:
            note_call(part, since, path, kind)
        return
    node = getattr(result, "_node", None)
    if node is not None and node.serial > since:
        node.calls = (*getattr(node, "calls", ()), (since, path, kind))


def ancestors(outputs: Iterable[Node], *, stop: Iterable[Node] = (), since: int = 0) -> list[Node]:
    """Every node that `outputs` depend on, oldest first; not past `stop`, not before `since`."""
    seen: set[Node] = set()
    stop = set(stop)
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node in seen or node.serial < since:
            continue
        seen.add(node)
        if node not in stop:
            stack.extend(node.inputs)
    return sorted(seen, key=by_age)


by_age = operator.attrgetter("serial")


def span(
    outputs: Sequence[Node], inputs: Sequence[Node], *, mask: int = 0, flows: bool = False
) -> list[Node]:
    """The nodes on some path from `inputs` to `outputs`, oldest first, inputs included; with
    `flows` on one along which derivatives flow, through nothing flat.

    If `mask` is given, the trackers of the inputs: every node that carries one of them lies on a
    path from an input, which saves the second walk.
    """
    if not inputs:
        return []
    since = min(x.serial for x in inputs)
    if mask:
        seen = set(outputs)
        stack = list(seen)  # an output may stand there twice
        path = []
        while stack:
            node = stack.pop()
            path.append(node)
            for x in node.inputs:
                if x.mask & mask and x not in seen and x.serial >= since:
                    seen.add(x)
                    stack.append(x)
        path.sort(key=by_age)
        return path
    reached = set(inputs)
    path = []
    for node in ancestors(outputs, since=since):
        stops = reached.isdisjoint(node.inputs) or (flows and node.op.flat)
        if node in reached or not stops:
            reached.add(node)
            path.append(node)
    return path


class Graph:
    """A function as nodes: `inputs` are its arguments, `outputs` its results.

    Leaves that are not inputs are constants (or, in a recorded graph, everything that was not
    computed). `print(graph)` shows it as numbered lines.
    """

    __slots__ = ("__weakref__", "_nodes", "derived", "inputs", "outputs", "program")

    def __init__(self, inputs: Sequence[Node], outputs: Sequence[Node]) -> None:
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.derived: dict[Any, Any] = {}
        self._nodes: tuple[Node, ...] | None = None
        self.program: Any = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, in order: a valid order in which to run them, the same every time."""
        if self._nodes is None:
            needed = ancestors(self.outputs, stop=self.inputs)
            inputs = set(self.inputs)
            self._nodes = self.inputs + tuple(n for n in needed if n not in inputs)
        return self._nodes

    def order(self) -> tuple[Node, ...]:
        """The nodes, oldest first."""
        return tuple(sorted(self.nodes, key=by_age))

    @property
    def edges(self) -> list[tuple[Node, Node]]:
        """(input, consumer) pairs; a node used twice by one consumer gives two edges."""
        inputs = set(self.inputs)
        return [(x, n) for n in self.nodes if n not in inputs for x in n.inputs]

    @property
    def sources(self) -> list[Node]:
        """What it starts from: arguments, parameters, constants."""
        inputs = set(self.inputs)
        return [n for n in self.nodes if n in inputs or not n.inputs]

    @property
    def sinks(self) -> list[Node]:
        """What nothing in the graph consumes."""
        used = {x for x, _ in self.edges}
        return [n for n in self.nodes if n not in used]

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        return "\n".join(lines_of(self))

    def __repr__(self) -> str:
        return (
            f"<Graph: {len(self.inputs)} inputs, {len(self.nodes)} nodes, "
            f"{len(self.outputs)} outputs>"
        )


def bodies_of(node: Node) -> dict[str, Graph]:
    """The graphs among a node's parameters, by name: what a call, a loop or a branch runs."""
    found: dict[str, Graph] = {}
    for name, thing in node.params.items():
        if isinstance(thing, Graph):
            found[name] = thing
        elif isinstance(thing, tuple):
            several = {f"{name}[{i}]": g for i, g in enumerate(thing) if isinstance(g, Graph)}
            found.update(several)
    return found


def lines_of(graph: Graph, indent: str = "") -> list[str]:
    """The graph as numbered lines: `%2 = multiply %0 %1  float64[3]`."""
    number = {node: i for i, node in enumerate(graph.nodes)}
    inputs = set(graph.inputs)
    lines = []
    for node, i in number.items():
        head = "input" if node in inputs else node.op.name
        words = [
            f"{indent}%{i} = {head}",
            *(f"%{number[x]}" for x in (() if node in inputs else node.inputs)),
        ]
        params = {} if node in inputs else node.params
        graphs = {} if node in inputs else bodies_of(node)
        below = {name.partition("[")[0] for name in graphs}
        words += [f"{k}={_short(p)}" for k, p in params.items() if p is not None and k not in below]
        if not node.inputs and node.op.name == "const":
            words.append(_short(node.value))
        lines.append(f"{' '.join(words)}  {node.spec}")
        for key, inner in graphs.items():
            lines.append(f"{indent}    {key}:")
            lines += lines_of(inner, indent + "        ")
    lines.append(f"{indent}return {' '.join(f'%{number[y]}' for y in graph.outputs)}")
    return lines


def _short(thing: Any) -> str:
    text = " ".join(repr(thing).split())
    return text if len(text) <= 60 else text[:57] + "..."
