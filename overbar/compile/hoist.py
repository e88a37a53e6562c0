"""Pass `hoist`: products that do not have to be computed step by step leave their loop.

A product in the body of a loop is small, and it waits for the step before it. One product for all
steps is large, reads its operands once, and is shared by all threads. So

* what is the same in every step is computed before the loop;
* products of rows are computed for all rows before the loop (the input's part of a recurrent
  layer's sums);
* products that no later step needs are computed for all steps after it: those that give results,
  and those that are only added up, as the gradients of the weights are.

    h = tanh(x Wᵀ + h Uᵀ)     ->    XW = X Wᵀ;   h = tanh(xw + h Uᵀ)
    W̄ = W̄ + z̄ᵀ x             ->    keep z̄;      W̄ = Z̄ᵀ X
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from ..calculus.derived import for_lanes
from ..graph import EMPTY, INPUT, Graph, Node
from ..primitive import PRIMITIVES
from .access import is_view
from .join import STACKED, Loop, bytes_of, loop_of, result
from .rewrite import make, rebuilt, with_inputs

Ready = Callable[[Graph], Graph]
"""Brings a body into the form in which products can be seen."""


def hoist(graph: Graph, ready: Ready) -> Graph:
    """Compute products of all steps at once."""
    results: dict[Node, list[Node]] = {}

    def replace(node: Node, inputs: tuple[Node, ...]) -> Node:
        if inputs and node.op.name == "part" and inputs[0] in results:
            return results[inputs[0]][node.params["index"]]
        now = with_inputs(node, inputs) if inputs else node
        loop = loop_of(now)
        if loop is not None:
            results[now] = Hoisting(loop, ready(loop.body)).results()
        return now

    return rebuilt(graph, replace)


class Hoisting:
    """One loop, being relieved.

    body      as it is now; given: the operands outside, for each of its inputs
    """

    def __init__(self, loop: Loop, body: Graph) -> None:
        self.loop, self.body = loop, body
        self.given = list(loop.node.inputs)
        self.constants = loop.constants

    def results(self) -> list[Node]:
        """The loop's results, after it and around it."""
        self._before()
        after = After(self)
        loop = after.loop()
        return after.results(loop)

    @property
    def rows(self) -> int:
        """The number of the first input that is a row."""
        return self.constants + self.loop.carries

    def outside(self) -> dict[Node, Node]:
        """What the inputs of the body are outside; none for carries."""
        pairs = list(zip(self.body.inputs, self.given, strict=True))
        return dict(pairs[: self.constants] + pairs[self.rows :])

    # -- before the loop ----------------------------------------------------------------------

    def _before(self) -> None:
        body, k = self.body, self.constants
        fixed = _made_of(body, body.inputs[:k])
        known = [n for n in fixed if not is_view(n) and not n.spec.weak]
        self._replaced(_last(body, known, fixed), row=False)
        body = self.body
        simple = [*body.inputs[: self.constants], *body.inputs[self.rows :]]
        of_rows = {n for n in _made_of(body, simple) if _batches(n)}
        products = [n for n in body.nodes if n in of_rows and is_product_of_two(n)]
        products = [n for n in products if _path_in(n, of_rows, simple)]
        if bytes_of(products, self.loop.length) <= STACKED:
            self._replaced(products, row=True)

    def _replaced(self, nodes: Sequence[Node], *, row: bool) -> None:
        """Compute nodes of the body outside: for all rows, or once."""
        if not nodes:
            return
        outer = self.outside()
        made = _outside(nodes, outer, self._rows_of(outer) if row else (), self.loop.length)
        inner = {n: Node(INPUT, (), EMPTY, n.spec) for n in nodes}
        body = rebuilt(self.body, lambda n, xs: inner.get(n) or (with_inputs(n, xs) if xs else n))
        inputs = list(self.body.inputs)
        at = len(inputs) if row else self.constants
        inputs[at:at] = inner.values()
        self.given[at:at] = made
        self.constants += 0 if row else len(made)
        self.body = Graph(inputs, body.outputs)

    def _rows_of(self, outer: dict[Node, Node]) -> set[Node]:
        return {x for x in self.body.inputs[self.rows :] if x in outer}


class After:
    """What is computed after the loop.

    sums     of carries that are only added to: the terms that are added afterwards
    sunk     nodes of the body that are computed afterwards, for all steps at once
    kept     what the loop has to give out for that
    """

    def __init__(self, hoisting: Hoisting) -> None:
        self.h, self.body = hoisting, hoisting.body
        self.c = hoisting.loop.carries
        self.uses = _uses(self.body)
        self.next = list(self.body.outputs[: self.c])
        self.sums: dict[int, list[Node]] = {}
        for j in range(self.c):
            self._find_sum(j)
        self.core = _ancestors(y for y in self.next if y is not None)
        self._settle()

    def _carry(self, j: int) -> Node:
        return self.body.inputs[self.h.constants + j]

    def _find_sum(self, j: int) -> None:
        """Whether a step only adds products or sums to a carry: these can be added afterwards."""
        carry, after = self._carry(j), self.body.outputs[j]
        if carry.spec.dtype.kind != "f" or len(self.uses.get(carry, ())) != 1:
            return
        terms = self._terms(after)
        if carry not in terms:
            return
        late = [
            x for x in terms
            if x.spec is carry.spec and self._is_total(x)
        ]  # fmt: skip
        if late:
            self.sums[j] = late
            rest = [x for x in terms if x not in late]
            total = rest[0]
            for x in rest[1:]:
                total = make(PRIMITIVES["add"], (total, x), EMPTY, carry.spec, x)
            self.next[j] = total

    def _is_total(self, node: Node) -> bool:
        """Whether a node is a product or a sum (or a view of one) that nobody else needs."""
        while is_view(node) and len(self.uses[node]) == 1:
            node = node.inputs[0]
        simple = is_product_of_two(node) or node.op.name == "sum"
        return simple and len(self.uses[node]) == 1

    def _terms(self, node: Node) -> list[Node]:
        """What is added up to a node, where nobody else needs the parts."""
        found, stack = [], [node]
        while stack:
            x = stack.pop()
            if x.inputs and x.op.name == "add" and len(self.uses[x]) == 1:
                stack.extend(x.inputs)
            else:
                found.append(x)
        return found

    def _settle(self) -> None:
        """Which nodes are computed afterwards, and of what."""
        given = set(self.body.inputs)
        terms = [x for late in self.sums.values() for x in late]
        needed = [y for y in self.body.outputs[self.c :] if y not in given]
        late = _ancestors([*terms, *needed]) - self.core - given
        sunk = set(terms)
        for node in self.body.nodes:
            if node in late and (is_product_of_two(node) or any(x in sunk for x in node.inputs)):
                sunk.add(node)
        stack = [x for n in sunk for x in n.inputs]
        while stack:  # a view is looked through: its array is kept
            x = stack.pop()
            if x not in sunk and x not in given and x.inputs and is_view(x):
                sunk.add(x)
                stack.extend(x.inputs)
        self.sunk = [n for n in self.body.nodes if n in sunk]
        self.kept = [
            x
            for x in dict.fromkeys(x for n in self.sunk for x in n.inputs)
            if x not in sunk and x not in self._plain() and (x.inputs or x in given)
        ]
        if not self._is_possible([*self.kept, *(n for n in self.sunk if n not in terms)]):
            self.sums, self.sunk, self.kept = {}, [], []
            self.next = list(self.body.outputs[: self.c])

    def _is_possible(self, stacked: Sequence[Node]) -> bool:
        """Whether there are rules for all of it, and memory."""
        if not all(map(_batches, self.sunk)):
            return False
        if any(isinstance(x.spec, tuple) or x.spec.weak for x in stacked):
            return False
        return bytes_of(stacked, self.h.loop.length) <= STACKED

    def _plain(self) -> set[Node]:
        """Inputs of the body that are there outside."""
        return set(self.h.outside())

    @property
    def _dead(self) -> list[int]:
        """Carries that nothing is left of."""
        return [j for j in self.sums if self.next[j] is self._carry(j)]

    def loop(self) -> Node | None:
        """The loop that is left; None if nothing is."""
        h, body = self.h, self.body
        sunk, dead = set(self.sunk), self._dead
        self.carries = [j for j in range(self.c) if j not in dead]
        self.ys = [y for y in dict.fromkeys(body.outputs[self.c :]) if y not in sunk]
        self.ys += [x for x in self.kept if x not in self.ys]
        outputs = [*(self.next[j] for j in self.carries), *self.ys]
        if not outputs:
            return None
        needed = _ancestors(outputs)
        at = [i for i, x in enumerate(body.inputs) if self._stays(i, x, needed, dead)]
        inner = Graph([body.inputs[i] for i in at], outputs)
        constants = sum(i < h.constants for i in at)
        return h.loop.with_body(
            inner, [h.given[i] for i in at], constants=constants, carries=len(self.carries)
        )

    def _stays(self, i: int, x: Node, needed: Collection[Node], dead: Sequence[int]) -> bool:
        """Whether an input of the body is one still; a loop keeps its carries."""
        if self.h.constants <= i < self.h.rows:
            return i - self.h.constants not in dead
        return x in needed

    def results(self, loop: Node | None) -> list[Node]:
        """What stands for each result of the loop."""
        h, body, n = self.h, self.body, self.h.loop.length
        first = len(self.carries)
        stacked = {}
        if loop is not None:
            stacked = {x: result(loop, first + i) for i, x in enumerate(self.ys)}
        outer = {**h.outside(), **stacked}
        rows = {*h.body.inputs[h.rows :], *stacked}
        found: list[Node] = []
        for j in range(self.c):
            start = h.given[h.constants + j]
            total = result(loop, self.carries.index(j)) if j in self.carries and loop else start
            for term in self.sums.get(j, ()):
                (each,) = _outside([term], outer, rows, n)
                all_of = make(PRIMITIVES["sum"], (each,), {"axis": (0,)}, term.spec, term)
                total = make(PRIMITIVES["add"], (total, all_of), EMPTY, term.spec, term)
            found.append(total)
        late = [y for y in dict.fromkeys(body.outputs[self.c :]) if y not in stacked]
        made = dict(zip(late, _outside(late, outer, rows, n), strict=True))
        return found + [stacked.get(y) or made[y] for y in body.outputs[self.c :]]


# -- nodes of a body --------------------------------------------------------------------------


def is_product_of_two(node: Node) -> bool:
    """Whether a node contracts two arrays."""
    return bool(node.inputs) and node.op.name == "einsum" and len(node.inputs) == 2


def _batches(node: Node) -> bool:
    """Whether there is a rule for all steps at once."""
    return node.op.batch is not None and not isinstance(node.spec, tuple)


def _uses(graph: Graph) -> dict[Node, list[Node | None]]:
    """Who needs each node; None: whoever asked for the graph."""
    found: dict[Node, list[Node | None]] = {}
    for x, node in graph.edges:
        found.setdefault(x, []).append(node)
    for y in graph.outputs:
        found.setdefault(y, []).append(None)
    return found


def _ancestors(nodes: Iterable[Node]) -> set[Node]:
    """The nodes, and all they are made of."""
    stack, found = list(nodes), set()
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(node.inputs)
    return found


def _made_of(graph: Graph, inputs: Iterable[Node]) -> list[Node]:
    """The nodes that depend on these inputs, and on no others."""
    given, allowed = set(graph.inputs), set(inputs)
    found: dict[Node, None] = {}
    for node in graph.nodes:
        if node in given or not node.inputs:
            continue
        if all(x in allowed or x in found or not (x.inputs or x in given) for x in node.inputs):
            found[node] = None
    varying = set()
    for node in found:
        if any(x in allowed or x in varying for x in node.inputs):
            varying.add(node)
    return [node for node in found if node in varying]


def _last(graph: Graph, nodes: Collection[Node], within: Collection[Node]) -> list[Node]:
    """Those that something else needs than the nodes within, them or a view of them."""
    inside, wanted = set(within), set(nodes)
    uses = _uses(graph)

    def leaves(n: Node) -> bool:
        return any(u not in inside or (is_view(u) and leaves(u)) for u in uses[n])

    return [n for n in graph.nodes if n in wanted and leaves(n)]


def _path_in(node: Node, allowed: Collection[Node], inputs: Collection[Node]) -> bool:
    """Whether all that a node is made of is there for all steps."""
    ends = set(inputs)
    return all(x in allowed or x in ends or not x.inputs for x in _ancestors([node]))


def _outside(
    nodes: Sequence[Node], outer: dict[Node, Node], rows: Collection[Node], length: int
) -> list[Node]:
    """Nodes of a body, computed outside of it: once, or where rows are given, for all steps.

    outer: what inputs of the body, and other nodes of it, are outside
    """
    if not nodes:
        return []
    ends = [x for x in outer if x in _ancestors(nodes)]
    graph = Graph(ends, nodes)
    if rows:
        mapped = tuple(x in set(rows) for x in ends)
        graph, _ = for_lanes(graph, length, mapped, (True,) * len(nodes))
    made = dict(zip(graph.inputs, (outer[x] for x in ends), strict=True))
    for node in graph.nodes:
        if node not in made:
            now = tuple(made[x] for x in node.inputs)
            made[node] = make(node.op, now, node.params, node.spec, nodes[0]) if now else node
    return [made[y] for y in graph.outputs]
