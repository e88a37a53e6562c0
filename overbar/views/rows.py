"""A computation as the rows of a story: which nodes are told together, and what is said of each.

A row is a node that has a name of its own, with the unnamed parts of the same expression folded
into it: `z = w x + b` is one row of two nodes. The backward formulas of a row are what the
engine's sweep emits when it is run on symbols: on nodes without values that bear the names of the
operands. Nothing is written down twice; the formula shown is the rule used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..calculus.sweep import Handles, Raw, finish, pullback_steps, pushforward_steps
from ..context import CONTEXT, UNKNOWN, changed, tracker
from ..graph import INPUT, Node, by_age, span
from ..handle import Tensor, from_node
from ..ops.movement import Parts
from ..origin import statement
from .calls import innermost
from .formula import LONGEST, constant, constant_of, fits, formula_of
from .names import letter_for, names_of
from .record import Message, Record, node_of
from .terms import SEVERAL, SILENT, Applied, Expr, Number, Symbol, facts, product, total

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

    @property
    def spoken(self) -> Node:
        """The operation that it is called by: the last, but for a reshape and the like."""
        members = reversed(self.members)
        return next((n for n in members if n.op.name not in SILENT), self.node)


class Telling:
    """A record with names, told in rows.

    fine      what a function such as tanh is applied to is a row of its own: its adjoint has a
              name then, and is worked out once
    longest   the size beyond which a formula is cut short; None: never
    """

    longest: int | None = LONGEST

    def __init__(
        self,
        record: Record,
        variables: dict[str, Any] | None = None,
        *,
        fine: bool = False,
        longest: int | None = LONGEST,
    ) -> None:
        self.record, self.longest = record, longest
        self.names = names_of(record.nodes, record.outputs, record.given, variables)
        folded = _folded(record, self.names, fine=fine)
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
        return Symbol(name, **facts(node.spec))

    def name(self, node: Node) -> str:
        """What a node is called; its number if it is only part of an expression."""
        return self.names.get(node.serial) or f"#{node.serial}"

    def called(self, node: Node) -> Expr | None:
        """The symbol that stands for a node, None for part of an expression."""
        return self._symbols[node.serial]

    def forward(self, row: Row) -> Expr:
        """The row's node in terms of what it uses."""
        return formula_of(
            row.node, lambda n: None if n is row.node else self.called(n), self.longest
        )

    def backward(self, row: Row, seed: Expr | None = None) -> dict[Node, Expr]:
        """What the row sends to each of its inputs, in terms of its adjoint (or of `seed`)."""
        if seed is None and row in self._rules:
            return self._rules[row]
        sent = self._from_rules(row, seed)
        return sent if seed is not None else self._rules.setdefault(row, sent)

    def _from_rules(self, row: Row, seed: Expr | None) -> dict[Node, Expr]:
        name = self.name(row.node)
        bar_of = seed or Symbol(name, barred=True, **facts(row.node.spec))
        wanted = self.followed(row)
        twins, back = _twins(row)
        bar = _unknowns(row.node)
        try:
            sent = _on_symbols(_pulled, twins[row.node], [twins[x] for x in wanted], bar)
        except Exception:  # noqa: BLE001  (a rule that calls opaque code cannot be run on symbols)
            return dict.fromkeys(wanted, opaque(name, bar_of))
        several = isinstance(bar, tuple)
        seeds = {
            t.node: Symbol(f"{name}[{i}]", barred=True, **facts(t.spec)) if several else bar_of
            for i, t in enumerate(bar if several else (bar,))
        }
        called = self._caller(seeds, back)
        return {
            x: _expression(b, called, self.longest)
            for x, b in zip(wanted, sent, strict=True)
            if b is not None
        }

    def tangent(self, row: Row, of: Sequence[Node] | None = None) -> Expr:
        """The row's tangent in terms of those of its inputs (or of some of them): its forward rule,
        on symbols.
        """
        wanted = self.followed(row) if of is None else list(of)
        twins, back = _twins(row)
        dots = {x: _unknowns(x) for x in wanted}
        dot_of = {x: Symbol(self.name(x), dotted=True, **facts(x.spec)) for x in wanted}
        try:
            inputs = [twins[x] for x in wanted]
            (made,) = _on_symbols(_pushed, twins[row.node], inputs, list(dots.values()))
        except Exception:  # noqa: BLE001  (as above)
            name = self.name(row.node)
            return total(*(opaque(name, d) for d in dot_of.values()))
        seeds = {
            t.node: Symbol(f"{self.name(x)}[{i}]", dotted=True, **facts(t.spec))
            if isinstance(dots[x], tuple)
            else dot_of[x]
            for x in wanted
            for i, t in enumerate(dots[x] if isinstance(dots[x], tuple) else (dots[x],))
        }
        if made is None:
            return Number(0, shape=())
        return _expression(made, self._caller(seeds, back), self.longest)

    def sent_by(self, node: Node, seed: Expr) -> list[Expr]:
        """What one node sends for this adjoint: a formula for each message, in the sweep's order.

        Nodes without a name stand there with their formulas. Empty if the rule is opaque.
        """
        row = Row(node, (), list(dict.fromkeys(node.inputs)))
        twins, back = _twins(row)
        bar = _unknowns(node)
        wanted = [twins[x] for x in self.followed(row)]
        try:
            sent = _on_symbols(_first_messages, twins[node], wanted, bar)
        except Exception:  # noqa: BLE001  (as above)
            return []

        def called(n: Node) -> Expr | None:
            if not isinstance(bar, tuple) and n is bar.node:
                return seed
            source = back.get(n)
            if source is None or source is node:
                return None if source is None else self.called(node)
            return formula_of(source, self.called)

        return [_expression(m, called, self.longest) for m in sent]

    def uses(self, row: Row, x: Node) -> list[tuple[Expr, Any]]:
        """What each use of an input in a row sends to it: (formula, number), youngest use first.

        Without formulas of their own, all uses together.
        """
        members = set(row.members)
        sent = [m.value for m in self._sent.get(x, ()) if m.source in members]
        whole = [(self.backward(row)[x], self.message(row, x))] if sent else []
        if len(sent) < 2:
            return whole
        twins, back = _twins(row)
        bar = _unknowns(row.node)
        try:
            made = _on_symbols(_messages_to, twins[row.node], [twins[x]], bar)
        except Exception:  # noqa: BLE001  (as above)
            return whole
        if isinstance(bar, tuple) or len(made) != len(sent):
            return whole
        seed = Symbol(self.name(row.node), barred=True, **facts(row.node.spec))
        called = self._caller({bar.node: seed}, back)
        formulas = [_expression(m, called, self.longest) for m in made]
        return list(zip(formulas, sent, strict=True))

    def followed(self, row: Row) -> list[Node]:
        """The inputs of a row through which adjoints flow."""
        return [x for x in row.inputs if x in self._on_path]

    @functools.cached_property
    def _on_path(self) -> set[Node]:
        return set(self.record.path)

    def _caller(
        self, seeds: Mapping[Node, Expr], back: dict[Node, Node]
    ) -> Callable[[Node], Expr | None]:
        """What the nodes of a rule that was run on symbols are called."""

        def called(node: Node) -> Expr | None:
            if node in seeds:
                return seeds[node]
            source = back.get(node)
            if source is None:
                return None
            return self.called(source) or (
                None if self.record.computed(source) else constant(source)
            )

        return called

    def pulled(self, row: Row, wanted: Sequence[Node], bar: Any) -> list[Any]:
        """What a row sends to some of its inputs for an adjoint, by the engine's rules.

        It is partial: whether one of its inputs was computed from another does not matter.
        """
        world, members = Raw(), self._on_path.intersection(row.members)
        world.recovered = dict(self.record.values)
        sent = []
        with np.errstate(all="ignore"):
            for x in wanted:
                path = sorted({x, *members}, key=by_age)
                sent += finish(pullback_steps([row.node], [x], [bar], path, world))
        return sent

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


_ARITHMETIC = SILENT | {
    "add", "subtract", "multiply", "times", "divide", "negative", "reciprocal", "square", "power",
    "whole_power", "matmul", "sum", "maximum", "minimum", "where",
}  # fmt: skip


def _folded(record: Record, names: dict[int, str], *, fine: bool = False) -> dict[Node, Node]:
    """The nodes that are told with their only consumer: {node: consumer}."""
    keep = {*record.outputs, *record.variables}
    on_path = set(record.path)
    above: dict[Node, Node] = {}
    made_by = innermost(record.nodes)
    loud = {made_by.get(n) for n in record.nodes if n.inputs and n.op.name not in SILENT}
    for node, users in record.consumers.items():
        if len(users) != 1 or node in keep or not record.computed(node) or node.serial in names:
            continue
        user = users[0]
        if fine and node in on_path and _stands_alone(node, user, names):
            continue
        implicit = node.op.name in SILENT and user.op.name not in SILENT
        made = made_by.get(node)
        if made is not made_by.get(user) and made in loud:
            continue  # a row is no part of two modules
        if implicit or node.code is None or _same_statement(node, user):
            above[node] = user
    return _not_too_long(record, above)


def _stands_alone(node: Node, user: Node, names: dict[int, str]) -> bool:
    """Whether textbooks give it a name: what a function is applied to, and what it gives to a
    matrix product.
    """
    if _is_function(user.op):
        return _is_compound(node, names)
    return _is_function(node.op) and user.op.name == "matmul"


def _is_function(op: Any) -> bool:
    """Whether an operation is neither arithmetic nor a mere move: tanh, softmax, log."""
    return op.name not in _ARITHMETIC and (op.pointwise or not op.moves)


def _is_compound(node: Node, names: dict[int, str]) -> bool:
    """Whether a node is an expression, and not just a part of something that has a name."""
    while node.op.name in SILENT or (node.inputs and node.op.moves and not node.op.pointwise):
        if node.op.name == "sum":
            return True
        node = node.inputs[0]
        if node.serial in names or not node.inputs:
            return False
    return bool(node.inputs)


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
        inputs = {x: text.get(x) or Symbol(f"a{x.serial}", **facts(x.spec)) for x in node.inputs}
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
            rows.append(Row(node, inner, _used(node, {*inner, node})))
    return rows


def _used(node: Node, inside: set[Node]) -> list[Node]:
    """What an expression uses, each once, in the order in which it is written."""
    found: dict[Node, None] = {}
    seen, stack = {node}, list(reversed(node.inputs))
    while stack:
        x = stack.pop()
        if x not in inside:
            found[x] = None
        elif x not in seen:
            seen.add(x)
            stack += reversed(x.inputs)
    return list(found)


# -- the sweep, run on symbols ----------------------------------------------------------------


def opaque(name: str, bar_of: Expr) -> Expr:
    """What is written for a rule that cannot be run on symbols: `y′ ȳ`."""
    return product(Symbol(f"{name}′"), bar_of)


def _bit() -> int:
    return tracker(CONTEXT.get().level)


def _unknown(spec: Any) -> Node:
    return Node(INPUT, (), {}, spec, mask=UNKNOWN | _bit())


def _unknowns(node: Node) -> Any:
    """A symbol for the adjoint or the tangent of a node; one for each result if it has several."""
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


def _pulled(end: Node, inputs: list[Node], bar: Any) -> list[Any]:
    """The adjoints of the inputs, as nodes."""
    return finish(pullback_steps([end], inputs, [bar], span([end], inputs), Handles()))


def _first_messages(end: Node, inputs: list[Node], bar: Any) -> list[Any]:
    """What the end sends to its inputs, one for each use."""
    steps = pullback_steps([end], inputs, [bar], span([end], inputs), Handles())
    _, _, messages = next(steps)
    return [m for _, m in messages]


def _messages_to(end: Node, inputs: list[Node], bar: Any) -> list[Any]:
    """What is sent to the one input, one for each use."""
    steps = pullback_steps([end], inputs, [bar], span([end], inputs), Handles())
    return [m for _, _, messages in steps for x, m in messages if x is inputs[0]]


def _pushed(end: Node, inputs: list[Node], dots: list[Any]) -> list[Any]:
    """The tangent of the end, as a node."""
    return finish(pushforward_steps([end], inputs, dots, span([end], inputs), Handles()))


def _on_symbols(sweep: Callable[..., list[Any]], *args: Any) -> list[Any]:
    """A sweep over nodes without values, which records what its rules do."""
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
        with np.errstate(all="ignore"):
            return sweep(*args)
    finally:
        CONTEXT.reset(token)


def _expression(
    made: Any, called: Callable[[Node], Expr | None], longest: int | None = LONGEST
) -> Expr:
    """What a rule made: a Tensor with or without a value, a raw array, or several of these."""
    if isinstance(made, tuple):
        parts = tuple(Number(0) if m is None else _expression(m, called, longest) for m in made)
        return Applied(SEVERAL, parts, "[]", {}, scalar=False)
    if isinstance(made, Tensor) and node_of(made) is not None:
        return formula_of(made.node, called, longest)
    return constant_of(made.value if isinstance(made, Tensor) else made)
