"""Loops written out: the inside of a `scan`, a `while_loop`, a `cond` or a compiled call.

To the engine a loop is one node whose body is a graph. For somebody who looks into it, the body's
operations stand there once for each turn, with the values they had in it, at their own lines of
source; then all that can be asked of operations can be asked of these. The engine's own sweep goes
through them as through any others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..graph import Graph, Node, bodies_of, newborn
from ..primitive import PRIMITIVES
from ..replay import interpret
from ..spec import spec
from .calls import carried
from .record import Record

MOST = 5000
"""A computation that would have more operations than this keeps its loops closed."""


def unrolled(record: Record, most: int = MOST) -> Record:
    """The same computation with its loops written out; itself if it has none, or they are long.

    Its `turns` say of a node in a loop which turn it belongs to: "iteration 3 of 6".
    """
    writer = _Writer(record)
    if not any(map(writer.is_open, record.nodes)) or writer.count() > most:
        return record
    with np.errstate(all="ignore"):
        pairs = []
        for node in record.nodes:
            began = newborn()
            writer.add(node, record.computed(node))
            if record.computed(node):
                pairs.append((node, writer.made[node], began))
        carried(pairs)
    made = writer.made
    outputs, stop = [made[y] for y in record.outputs], [made[x] for x in record.stop if x in made]
    now = Record(
        outputs, record.variables, given=record.given, known=writer.values, stop=tuple(stop)
    )
    now.missing, now.seed, now.turns = record.missing, record.seed, writer.turns
    return now


class _Writer:
    """What each node became: a node, or for a loop the nodes of its results."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.made: dict[Node, Any] = {}
        self.values: dict[Node, Any] = {}
        self.turns: dict[Node, str] = {}
        self.begun = False

    def is_open(self, node: Node) -> bool:
        """Whether a node is a loop or a call, and is written out."""
        return bool(node.inputs) and node.op.name in OPENERS and self.record.computed(node)

    def count(self) -> int:
        """How many nodes there would be."""
        return sum(map(self._size, self.record.nodes))

    def _size(self, node: Node) -> int:
        if not node.inputs or node.op.name not in OPENERS:
            return 1
        given = [self.record.values.get(x) for x in node.inputs]
        if any(v is None for v in given):  # of a loop in a loop the values come only later
            trips, bodies = node.params.get("length", 8), list(bodies_of(node).values())
        else:
            trips, bodies = OPENERS[node.op.name](node, given)
        return trips * sum(self._size(n) for g in bodies for n in g.nodes)

    # -- one node at a time ---------------------------------------------------------------------

    def add(self, node: Node, computed: bool) -> None:
        """A node of the record."""
        if not computed:
            self.made[node], self.values[node] = node, self.record.values[node]
            return
        inputs = [self.made[x] for x in node.inputs]
        if node.op.name == "part" and isinstance(inputs[0], list):
            self.made[node] = inputs[0][node.params["index"]]
        elif node.op.name in OPENERS:
            self.begun = True  # from here on all is new, so that it stays in order by age
            self.made[node] = self.written(node, inputs, "")
        else:
            now = self._twin(node, inputs) if self.begun else node
            self.made[node], self.values[now] = now, self.record.values[node]

    def _twin(self, node: Node, inputs: Sequence[Node]) -> Node:
        return Node(
            node.op, tuple(inputs), node.params, node.spec, mask=node.mask, code=node.code,
            at=node.at,
        )  # fmt: skip

    def new(
        self, op: Any, inputs: Sequence[Node], params: Any, of: Any, at: Node, turn: str
    ) -> Node:
        """A node of a body, computed."""
        mask = 0
        for x in inputs if not op.flat else ():
            mask |= x.mask
        made = Node(op, tuple(inputs), params, of, mask=mask, code=at.code, at=at.at)
        value = op.run(*(self.values[x] for x in inputs), **params)
        self.values[made] = value
        if turn:
            self.turns[made] = turn
        return made

    def body(self, graph: Graph, inputs: Sequence[Node], turn: str) -> list[Node]:
        """The outputs of a graph, its nodes written out."""
        env: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))
        pairs = []
        for node in graph.order():
            if node in env:
                continue
            if not node.inputs:
                env[node], self.values[node] = node, node.value
                continue
            began = newborn()
            given = [env[x] for x in node.inputs]
            if node.op.name == "part" and isinstance(given[0], list):
                env[node] = given[0][node.params["index"]]
            elif node.op.name in OPENERS:
                env[node] = self.written(node, given, turn)
            else:
                env[node] = self.new(node.op, given, node.params, node.spec, node, turn)
            pairs.append((node, env[node], began))
        carried(pairs)
        return [env[y] for y in graph.outputs]

    # -- loops ------------------------------------------------------------------------------------

    def written(self, node: Node, inputs: Sequence[Node], turn: str) -> list[Node]:
        """The results of a loop, a branch or a call."""
        trips, (*_, body) = OPENERS[node.op.name](node, [self.values[x] for x in inputs])
        if node.op.name == "scan":
            return self._scan(node, list(inputs), turn)
        if node.op.name != "while":
            return self.body(body, inputs[1:] if node.op.name == "switch" else inputs, turn)
        of_test, of_body = node.params["of_test"], node.params["of_body"]
        fixed, carry = inputs[of_test : of_test + of_body], list(inputs[of_test + of_body :])
        for i in range(trips):
            carry = self.body(body, [*fixed, *carry], _said(i, trips, node, turn))
        return carry

    def _scan(self, node: Node, inputs: list[Node], turn: str) -> list[Node]:
        k, c, n = (node.params[p] for p in ("constants", "carries", "length"))
        fixed, carry, xs = inputs[:k], inputs[k : k + c], inputs[k + c :]
        rows: list[list[Node]] = [[] for _ in node.spec[c:]]
        body = node.params["body"]
        for i in range(n):
            t = n - 1 - i if node.params["reverse"] else i
            said = _said(i, n, node, turn)
            given = [self._row(x, t, body, said) for x in xs]
            ends = self.body(body, [*fixed, *carry, *given], said)
            carry = ends[:c]
            for row, y in zip(rows, ends[c:], strict=True):
                row.append(y)
        if node.params["reverse"]:
            rows = [row[::-1] for row in rows]
        whole = zip(rows, node.spec[c:], strict=True)
        return [*carry, *(self._stacked(row, of, node, turn) for row, of in whole)]

    def _row(self, x: Node, t: int, body: Graph, turn: str) -> Node:
        """An argument of the body: a row, made where the body's function begins."""
        index = ((t, 1, 1), *((0, n, 1) for n in x.spec.shape[1:]))
        shape = x.spec.shape[1:]
        params = {"index": index, "shape": shape}
        at = next((n for n in body.nodes if n.inputs), x)
        made = self.new(PRIMITIVES["slice"], [x], params, spec(shape, x.spec.dtype), at, turn)
        made.at = 0
        return made

    def _stacked(self, rows: Sequence[Node], of: Any, at: Node, turn: str) -> Node:
        one = spec((1, *of.shape[1:]), of.dtype)
        shape = {"shape": one.shape}
        flat = [self.new(PRIMITIVES["reshape"], [y], shape, one, at, turn) for y in rows]
        return self.new(PRIMITIVES["concat"], flat, {"axis": 0}, of, at, turn)


def _said(i: int, n: int, loop: Node, turn: str) -> str:
    said = f"iteration {i + 1} of {n}"
    return f"{said} within {turn}" if turn else said


# -- how often, and which body -------------------------------------------------------------------


def _of_while(node: Node, given: Sequence[Any]) -> tuple[int, list[Graph]]:
    of_test, of_body = node.params["of_test"], node.params["of_body"]
    asked, fixed = given[:of_test], given[of_test : of_test + of_body]
    carry, trips = list(given[of_test + of_body :]), 0
    test, body = node.params["test"], node.params["body"]
    while bool(interpret(test, [*asked, *carry])[0]):
        carry, trips = list(interpret(body, [*fixed, *carry])), trips + 1
    return trips, [body]


def _of_switch(node: Node, given: Sequence[Any]) -> tuple[int, list[Graph]]:
    branches = node.params["branches"]
    return 1, [branches[min(max(int(given[0]), 0), len(branches) - 1)]]


OPENERS = {
    "scan": lambda node, given: (node.params["length"], [node.params["body"]]),
    "while": _of_while,
    "switch": _of_switch,
    "call": lambda node, given: (1, [node.params["graph"]]),
}
"""What is written out: how often, and which body."""
