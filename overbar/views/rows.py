"""A computation as the rows of a story: which nodes are told together, and what is said of each.

A row is a node that has a name of its own, with the unnamed parts of the same expression folded
into it: `z = w x + b` is one row of two nodes. The backward formulas of a row are what the
engine's sweep emits when it is run on symbols: on nodes without values that bear the names of the
operands. Nothing is written down twice; the formula shown is the rule used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..calculus.sweep import Handles, finish, pullback_steps
from ..context import CONTEXT, UNKNOWN, changed, tracker
from ..graph import INPUT, Node, span
from ..handle import Tensor, from_node
from ..ops.movement import Parts
from ..origin import statement
from .formula import (
    SILENT,
    Applied,
    Expr,
    Mark,
    Number,
    Symbol,
    constant,
    fits,
    formula_of,
    product,
)
from .names import letter_for, names_of
from .record import Message, Record, node_of

TOGETHER = 4
"""An expression with more operations than this is told in several rows."""


class Row:
    """Some nodes told as one: `node` is the last, `inner` the others, `inputs` what they use."""

    __slots__ = ("inner", "inputs", "node")

    def __init__(self, node: Node, inner: Sequence[Node], inputs: Sequence[Node]) -> None:
        self.node, self.inner, self.inputs = node, tuple(inner), tuple(inputs)

    @property
    def members(self) -> tuple[Node, ...]:
        """Its nodes, oldest first."""
        return (*self.inner, self.node)


class Telling:
    """A record with names, told in rows."""

    def __init__(self, record: Record, variables: dict[str, Any] | None = None) -> None:
        self.record = record
        self.names = names_of(record.nodes, record.outputs, record.given, variables)
        folded = _folded(record, self.names)
        self.rows = _rows(record, folded)
        self._christen()
        self._rules: dict[Row, dict[Node, Expr]] = {}
        self._symbols = {n.serial: self._symbol(n) for n in record.nodes}

    def _christen(self) -> None:
        """Letters for the rows without a name."""
        counts: dict[str, int] = {}
        used = set(self.names.values())
        nameless = [row.node for row in self.rows if row.node.serial not in self.names]
        letters = [letter_for(n) for n in nameless]
        for node, letter in zip(nameless, letters, strict=True):
            name = letter
            while name in used or (letter == "v" and name == "v"):
                counts[letter] = counts.get(letter, 0) + 1
                name = letter + str(counts[letter]).translate(
                    str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
                )
            used.add(name)
            self.names[node.serial] = name

    def _symbol(self, node: Node) -> Expr | None:
        name = self.names.get(node.serial)
        if name is None:
            return None
        return Symbol(name, scalar=not isinstance(node.spec, tuple) and node.spec.ndim == 0)

    def name(self, node: Node) -> str:
        """What a node is called; its number if it is only part of an expression."""
        return self.names.get(node.serial) or f"#{node.serial}"

    def called(self, node: Node) -> Expr | None:
        """The symbol that stands for a node, None for part of an expression."""
        return self._symbols[node.serial]

    def forward(self, row: Row) -> Expr:
        """The row's node in terms of what it uses."""
        return formula_of(row.node, lambda n: None if n is row.node else self.called(n))

    def backward(self, row: Row, seed: Expr | None = None) -> dict[Node, Expr]:
        """What the row sends to each of its inputs, in terms of its adjoint (or of `seed`)."""
        if seed is None and row in self._rules:
            return self._rules[row]
        sent = self._from_rules(row, seed)
        return sent if seed is not None else self._rules.setdefault(row, sent)

    def _from_rules(self, row: Row, seed: Expr | None) -> dict[Node, Expr]:
        name = self.name(row.node)
        bar_of = seed or Symbol(name, barred=True, scalar=getattr(row.node.spec, "ndim", 1) == 0)
        on_path = set(self.record.path)
        wanted = [x for x in row.inputs if x in on_path]
        twins, back = _twins(row)
        bar = _bars(row.node)
        try:
            sent = _swept(row, wanted, twins, bar)
        except Exception:  # noqa: BLE001  (a rule that calls opaque code cannot be run on symbols)
            return dict.fromkeys(wanted, opaque(name, bar_of))

        seeds = {t.node: i for i, t in enumerate(bar if isinstance(bar, tuple) else (bar,))}

        def called(node: Node) -> Expr | None:
            if node in seeds:
                return (
                    bar_of
                    if not isinstance(bar, tuple)
                    else Symbol(f"{name}[{seeds[node]}]", barred=True, scalar=False)
                )
            source = back.get(node)
            if source is None:
                return None
            return self.called(source) or (
                None if self.record.computed(source) else constant(source)
            )

        return {
            x: _expression(b, called) for x, b in zip(wanted, sent, strict=True) if b is not None
        }

    def message(self, row: Row, target: Node) -> Any:
        """The number that a row sends to one of its inputs: the sum of its nodes' messages."""
        found, members = None, set(row.members)
        for m in self._sent.get(target, ()):
            if m.source in members:
                found = m.value if found is None else found + m.value
        return found

    @functools.cached_property
    def _sent(self) -> dict[Node, list[Message]]:
        sent: dict[Node, list[Message]] = {}
        for m in self.record.sweep().messages:
            sent.setdefault(m.target, []).append(m)
        return sent


# -- which nodes make a row -------------------------------------------------------------------


def _folded(record: Record, names: dict[int, str]) -> dict[Node, Node]:
    """The nodes that are told with their only consumer: {node: consumer}."""
    keep = {*record.outputs, *record.variables}
    above: dict[Node, Node] = {}
    for node, users in record.consumers.items():
        if len(users) != 1 or node in keep or not record.computed(node) or node.serial in names:
            continue
        user = users[0]
        implicit = node.op.name in SILENT and user.op.name not in SILENT
        if implicit or node.code is None or _same_statement(node, user):
            above[node] = user
    return _not_too_long(record, above)


def _same_statement(a: Node, b: Node) -> bool:
    return a.code is b.code and statement(a.code, a.at) == statement(b.code, b.at)


def _not_too_long(record: Record, above: dict[Node, Node]) -> dict[Node, Node]:
    """Long expressions are cut where the text of a part would need brackets, or stands in some."""
    root: dict[Node, Node] = {}
    for node in reversed(record.nodes):
        root[node] = root[above[node]] if node in above else node
    size: dict[Node, int] = {}
    for node in record.nodes:
        if record.computed(node) and node.op.name not in SILENT:
            size[root[node]] = size.get(root[node], 0) + 1
    kept: dict[Node, Node] = {}
    text: dict[Node, Expr] = {}
    for node in record.nodes:
        user = above.get(node)
        if user is None:
            continue
        inputs = {x: text.get(x) or Symbol(f"a{x.serial}", scalar=False) for x in node.inputs}
        here = formula_of(
            node, lambda n, node=node, inputs=inputs: None if n is node else inputs.get(n)
        )
        if (
            size[root[node]] <= TOGETHER
            or node.op.name in SILENT
            or (size[root[node]] <= TOGETHER**3 and fits(user, user.inputs.index(node), here))
        ):
            kept[node], text[node] = user, here
    return kept


def _rows(record: Record, above: dict[Node, Node]) -> list[Row]:
    root: dict[Node, Node] = {}
    members: dict[Node, list[Node]] = {}
    for node in reversed(record.nodes):
        if record.computed(node):
            top = root[node] = root[above[node]] if node in above else node
            if node is not top:
                members.setdefault(top, []).append(node)
    rows = []
    for node in record.nodes:
        if root.get(node) is node:
            inner = members.get(node, [])[::-1]
            inside = {*inner, node}
            used = (x for n in (*inner, node) for x in n.inputs if x not in inside)
            rows.append(Row(node, inner, list(dict.fromkeys(used))))
    return rows


# -- the sweep, run on symbols ----------------------------------------------------------------


def opaque(name: str, bar_of: Expr) -> Expr:
    """What is written for a rule that cannot be run on symbols: `y′ ȳ`."""
    return product(Symbol(f"{name}′"), bar_of)


def _bit() -> int:
    return tracker(CONTEXT.get().level)


def _unknown(spec: Any) -> Node:
    return Node(INPUT, (), {}, spec, mask=UNKNOWN | _bit())


def _bars(node: Node) -> Any:
    """A symbol for the adjoint of a node; one for each result if it has several."""
    if isinstance(node.spec, tuple):
        return Parts(from_node(_unknown(s)) for s in node.spec)
    return from_node(_unknown(node.spec))


def _twins(row: Row) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """The row's nodes once more, without values: (the twin of each, whose twin each is)."""
    twins: dict[Node, Node] = {x: _unknown(x.spec) for x in row.inputs}
    for n in row.members:
        twins[n] = Node(
            n.op, tuple(twins[x] for x in n.inputs), n.params, n.spec, mask=UNKNOWN | _bit()
        )
    return twins, {twin: n for n, twin in twins.items()}


def _swept(row: Row, wanted: Sequence[Node], twins: dict[Node, Node], bar: Any) -> list[Any]:
    """The adjoints of the wanted inputs, as nodes."""
    outer, bit = CONTEXT.get(), _bit()
    context = changed(
        outer,
        trace=None,
        record_all=None,
        keep=False,
        guard=False,
        level=outer.level + 1,
        active=outer.active | bit,
        staging=outer.staging | bit,
        allowed=outer.allowed | bit | UNKNOWN,
    )
    token = CONTEXT.set(context)
    try:
        inputs, end = [twins[x] for x in wanted], twins[row.node]
        with np.errstate(all="ignore"):
            return finish(pullback_steps([end], inputs, [bar], span([end], inputs), Handles()))
    finally:
        CONTEXT.reset(token)


SEVERAL = Mark("several", "({*})", r"\left({*}\right)")
"""How the adjoints of several results are written."""


def _expression(made: Any, called: Callable[[Node], Expr | None]) -> Expr:
    """What a rule made: a Tensor with or without a value, a raw array, or several of these."""
    if isinstance(made, tuple):
        parts = tuple(Symbol("0") if m is None else _expression(m, called) for m in made)
        return Applied(SEVERAL, parts, "[]", {}, scalar=False)
    if isinstance(made, Tensor) and node_of(made) is not None:
        return formula_of(made.node, called)
    value = np.asarray(made.value if isinstance(made, Tensor) else made)
    flat = value.ravel()
    return (
        Number(flat[0].item())
        if flat.size and (flat == flat[0]).all()
        else Symbol("c", scalar=not value.ndim)
    )
