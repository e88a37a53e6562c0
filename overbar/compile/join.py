"""Pass `join`: loops over the same steps do nothing twice.

The reverse of a loop runs it once more for the carries that each step began with, and computes in
each step again what it needs of the step. Both are the rule's way to say what is needed, with
little memory. Where memory allows, the first loop keeps what the later ones ask for:

* loops over the same carries become one loop with the results of both;
* what a later loop computes only from what an earlier one had in the same step, and what that one
  computes too, it reads: the earlier loop gives it out, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..elementwise import Elementwise
from ..graph import EMPTY, INPUT, Graph, Node
from ..primitive import PRIMITIVES
from ..spec import Specs, spec
from .access import is_view
from .rewrite import is_constant, make, rebuilt, with_inputs
from .share import key_of

STACKED = 1 << 28
"""Bytes that a loop may keep so, over all its steps."""

CHEAP = {
    "add", "subtract", "multiply", "divide", "negative", "cast", "where", "maximum", "minimum",
    "square", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
}  # fmt: skip
"""Computed again sooner than read."""


class Loop(NamedTuple):
    """A scan, its operands by what they are for."""

    node: Node
    body: Graph
    constants: int
    carries: int
    length: int

    @property
    def rows(self) -> int:
        """The number of its first operand that it takes row by row."""
        return self.constants + self.carries

    def with_body(self, body: Graph, given: Sequence[Node], **params: Any) -> Node:
        """The loop with another body, which takes these operands."""
        specs = [y.spec for y in body.outputs]
        c = params.get("carries", self.carries)
        rows = [spec((self.length, *s.shape), s.dtype) for s in specs[c:]]
        params = {**self.node.params, "body": body, **params}
        return make(self.node.op, given, params, Specs((*specs[:c], *rows)), self.node)


def loop_of(node: Node) -> Loop | None:
    """The loop a node is; None if it is none, or one without steps."""
    if node.op.name != "scan" or not node.inputs or not node.params["length"]:
        return None
    p = node.params
    return Loop(node, p["body"], p["constants"], p["carries"], p["length"])


def result(loop: Node, index: int) -> Node:
    """One of a loop's results."""
    which = {"index": index, "count": len(loop.spec)}
    return make(PRIMITIVES["part"], (loop,), which, loop.spec[index], loop)


def bytes_of(nodes: Sequence[Node], length: int) -> int:
    """What the nodes take, over so many steps."""
    return length * sum(n.spec.size * n.spec.dtype.itemsize for n in nodes)


def join(graph: Graph) -> Graph:
    """Compute what loops have in common once.

    %4 = scan %0 %1 %2 ...                     %4 = scan %0 %1 %2 ...
    %5 = scan %0 %1 %2 ...            ->       %7 = part %4 index=1
    %7 = part %5 index=1                       %8 = part %4 index=2
    %9 = scan %0 %3 %7 ...                     %9 = scan %0 %3 %7 %8 ...
    """
    while True:
        pair = next(_pairs(graph), None)
        if pair is None:
            break
        graph = _united(graph, *pair)
    done: set[tuple[Node, Node]] = set()
    while True:
        found = _asked(graph, done)
        if found is None:
            return graph
        graph = _handed(graph, *found)


# -- equal nodes of two bodies ----------------------------------------------------------------


class Numbering:
    """Numbers for nodes of several graphs: equal numbers for what is computed alike."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def fresh(self) -> int:
        """The number of something unlike everything."""
        return self._numbers.setdefault(object(), len(self._numbers))

    def of(self, graph: Graph, given: dict[Node, int]) -> dict[Node, int]:
        """The numbers of a graph's nodes, its inputs' being given."""
        found = dict(given)
        for node in graph.nodes:
            if node not in found:
                found[node] = self._number(node, found)
        return found

    def _number(self, node: Node, found: dict[Node, int]) -> int:
        key = key_of(node, tuple(found[x] for x in node.inputs))
        if key is None and not node.inputs and node.value is not None:
            key = id(node)  # a large constant is equal to itself
        return self.fresh() if key is None else self._numbers.setdefault(key, len(self._numbers))


# -- loops over the same carries --------------------------------------------------------------


def _pairs(graph: Graph) -> Iterator[tuple[Loop, Loop]]:
    """Loops that take the same and carry the same, the older one first."""
    seen: dict[Any, list[Loop]] = {}
    for node in graph.nodes:
        loop = loop_of(node)
        if loop is None:
            continue
        key = node.inputs, loop.constants, loop.carries, loop.length, node.params["reverse"]
        for other in seen.setdefault(key, []):
            if _carry_alike(other, loop):
                yield other, loop
        seen[key].append(loop)


def _carry_alike(a: Loop, b: Loop) -> bool:
    numbering = Numbering()
    given = [numbering.fresh() for _ in a.body.inputs]
    ours = numbering.of(a.body, dict(zip(a.body.inputs, given, strict=True)))
    theirs = numbering.of(b.body, dict(zip(b.body.inputs, given, strict=True)))
    c = a.carries
    pairs = zip(a.body.outputs[:c], b.body.outputs[:c], strict=True)
    return all(ours[x] == theirs[y] for x, y in pairs)


def _united(graph: Graph, a: Loop, b: Loop) -> Graph:
    """The graph with one loop for two."""
    c = a.carries
    outputs = _in_terms_of(b.body, a.body)[c:]
    whole = Graph(a.body.inputs, [*a.body.outputs, *outputs])
    shift = len(a.body.outputs) - c
    made: list[Node] = []

    def replace(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node is a.node:
            made.append(a.with_body(whole, inputs))
        if node is a.node or node is b.node:
            return made[0]
        if inputs and node.op.name == "part" and node.inputs[0] in (a.node, b.node):
            i = node.params["index"]
            return result(made[0], i + shift if node.inputs[0] is b.node and i >= c else i)
        return with_inputs(node, inputs) if inputs else node

    return rebuilt(graph, replace)


def _in_terms_of(graph: Graph, other: Graph) -> list[Node]:
    """A graph's outputs, computed of another's inputs, with its nodes where they are the same."""
    numbering = Numbering()
    given = [numbering.fresh() for _ in graph.inputs]
    theirs = numbering.of(other, dict(zip(other.inputs, given, strict=True)))
    there = {number: node for node, number in theirs.items()}
    ours = numbering.of(graph, dict(zip(graph.inputs, given, strict=True)))
    made: dict[Node, Node] = dict(zip(graph.inputs, other.inputs, strict=True))
    for node in graph.nodes:
        if node not in made:
            same = there.get(ours[node])
            made[node] = same or with_inputs(node, tuple(made[x] for x in node.inputs))
    return [made[y] for y in graph.outputs]


# -- what a later loop asks of an earlier one -------------------------------------------------


def _asked(
    graph: Graph, done: set[tuple[Node, Node]]
) -> tuple[Loop, Loop, dict[Node, Node]] | None:
    """An earlier loop, a later one that reads its rows, and for nodes of the later one's body the
    nodes of the earlier one's that they equal: those that are worth being handed on.
    """
    loops = [loop for loop in map(loop_of, graph.nodes) if loop is not None]
    for later in loops:
        for earlier in _sources(later):
            if (earlier.node, later.node) in done or earlier.length != later.length:
                continue
            done.add((earlier.node, later.node))
            same = _equal(earlier, later)
            wanted = [node for node in _frontier(later.body, same) if _is_dear(node, same)]
            if wanted and bytes_of(wanted, later.length) <= STACKED:
                return earlier, later, {node: same[node] for node in wanted}
    return None


def _sources(later: Loop) -> list[Loop]:
    """The loops whose rows it takes."""
    found = {}
    for x in later.node.inputs[later.rows :]:
        loop = loop_of(x.inputs[0]) if x.op.name == "part" and x.inputs else None
        if loop is not None and x.params["index"] >= loop.carries:
            found[loop.node] = loop
    return list(found.values())


def _equal(earlier: Loop, later: Loop) -> dict[Node, Node]:
    """Nodes of the later body that are computed in the earlier one, and which these are."""
    numbering = Numbering()
    k, rows = earlier.constants, earlier.rows
    inner = earlier.body.inputs
    theirs = numbering.of(earlier.body, {x: numbering.fresh() for x in inner})
    outside: dict[tuple[str, Node], int] = {}
    for where, (x, i) in enumerate(zip(earlier.node.inputs, inner, strict=True)):
        if where < k or where >= rows:
            outside["constant" if where < k else "row", x] = theirs[i]
    given = {}
    for where, (x, i) in enumerate(zip(later.node.inputs, later.body.inputs, strict=True)):
        kind = "constant" if where < later.constants else "row"
        number = None if later.constants <= where < later.rows else outside.get((kind, x))
        if number is None and where >= later.rows and x.op.name == "part" and x.inputs:
            index = x.params["index"]
            if x.inputs[0] is earlier.node and index >= earlier.carries:
                number = theirs[earlier.body.outputs[index]]
        given[i] = numbering.fresh() if number is None else number
    there = {number: node for node, number in theirs.items()}
    ours = numbering.of(later.body, given)
    return {node: there[number] for node, number in ours.items() if number in there}


def _frontier(body: Graph, same: dict[Node, Node]) -> list[Node]:
    """Of the nodes that are computed elsewhere too, those that others need; a view's array instead
    of the view.
    """
    given = set(body.inputs)
    needed = dict.fromkeys(y for y in body.outputs if y in same)
    for node in body.nodes:
        if node not in given and node not in same:
            needed.update(dict.fromkeys(x for x in node.inputs if x in same))
    stack, found = list(needed), {}
    while stack:
        node = stack.pop()
        if node in given or is_constant(node):
            continue
        if is_view(node) or (node.op.name in CHEAP and _varying(node) == 1):
            stack.extend(node.inputs)
        else:
            found[node] = None
    return [node for node in body.nodes if node in found]


def _varying(node: Node) -> int:
    return sum(not is_constant(x) for x in node.inputs)


def _is_dear(node: Node, same: dict[Node, Node]) -> bool:
    """Whether a node takes more than some arithmetic."""
    stack, seen = [node], set()
    if isinstance(node.spec, tuple) or node.spec.weak or node.spec.dtype.kind not in "fbiu":
        return False
    while stack:
        x = stack.pop()
        if x in seen or not x.inputs or x not in same:
            continue
        seen.add(x)
        if x.op.name not in CHEAP and (isinstance(x.op, Elementwise) or not is_view(x)):
            return True
        stack.extend(x.inputs)
    return False


def _handed(graph: Graph, earlier: Loop, later: Loop, asked: dict[Node, Node]) -> Graph:
    """The graph where the earlier loop gives out what is asked, and the later one reads it."""
    given_out = list(dict.fromkeys(asked.values()))
    first = len(earlier.body.outputs)
    more = Graph(earlier.body.inputs, [*earlier.body.outputs, *given_out])
    rows = {node: Node(INPUT, (), EMPTY, node.spec) for node in asked}
    inner = rebuilt(
        later.body, lambda node, xs: rows.get(node) or (with_inputs(node, xs) if xs else node)
    )
    fewer = Graph([*later.body.inputs, *rows.values()], inner.outputs)
    made: dict[Node, Node] = {}

    def replace(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node is earlier.node:
            made[node] = earlier.with_body(more, inputs)
        elif node is later.node:
            whole = made[earlier.node]
            extra = [result(whole, first + given_out.index(same)) for same in asked.values()]
            made[node] = later.with_body(fewer, [*inputs, *extra])
        elif inputs and node.op.name == "part" and node.inputs[0] in made:
            return result(made[node.inputs[0]], node.params["index"])
        else:
            return with_inputs(node, inputs) if inputs else node
        return made[node]

    return rebuilt(graph, replace)
