"""What a derivation is made of: the rule of each adjoint, and a check of every line.

The rules come from `Telling.backward` and `Telling.tangent`: the engine's own, run on symbols.
`Story.checked` evaluates a line back and holds it against the engine's number.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import GradientError
from ..graph import Node
from . import local
from .evaluate import UnknownSymbolError, agrees, evaluated, near
from .formula import TEXT, written
from .names import width
from .rows import Row, Telling
from .terms import (
    Derivative,
    Entry,
    Expr,
    Number,
    Symbol,
    facts,
    of_shape,
    parts_of,
    rebuilt,
    simplified,
    size_of,
    symbols,
    total,
)

FEW = 40
"""Of more rows than this, only those on the way to the variables are shown."""
LONGEST = 36
"""The size of a formula that is still written in one."""
WIDE, WIDEST = 96, 76
"""The width of a formula that is still written in one; and in the leaves alone."""

Env = dict[Symbol, Any]


@dataclasses.dataclass(frozen=True)
class Step:
    """One line: `left` = `right`, which is worth `value`.

    paths    how many messages are summed in it
    shared   the left-hand sides of the other lines that use this one
    again    the line goes on with the one before: the left-hand side is not written
    prefix   the first factors of a product that another line, `like`, begins with, too
    note     what else is to be said
    """

    part: str
    left: Expr
    right: Expr
    value: Any
    paths: int = 1
    shared: tuple[Expr, ...] = ()
    again: bool = False
    prefix: tuple[Expr, ...] = ()
    like: Expr | None = None
    note: str = ""


def environment(telling: Telling) -> Env:
    """What the symbols of a telling stand for: values, and adjoints where they arrived."""
    env: Env = {}
    record = telling.record
    for node in record.nodes:
        name = telling.names.get(node.serial)
        if name is None:
            continue
        env[Symbol(name)] = record.value(node)
        bar = record.bars.get(node)
        if bar is None:
            continue
        env[Symbol(name, barred=True)] = bar
        if isinstance(bar, tuple):
            for i, part in enumerate(bar):
                zeros = np.zeros(node.spec[i].shape, node.spec[i].dtype)
                env[Symbol(f"{name}[{i}]", barred=True)] = zeros if part is None else part
    return env


class Story:
    """A telling with what the styles ask of it.

    order    what has an adjoint, the result first: each after all its consumers
    senders  the rows that send something to each
    rules    the formula of each adjoint, by its symbol
    """

    def __init__(self, telling: Telling) -> None:
        self.telling, self.record = telling, telling.record
        self.env = environment(telling)
        on_path, bars = set(self.record.path), self.record.bars
        told = {row.node for row in telling.rows} | set(self.record.variables)
        self.order = [n for n in reversed(self.record.nodes) if n in on_path & told and n in bars]
        self.senders: dict[Node, list[Row]] = {n: [] for n in self.order}
        for row in reversed(telling.rows):
            for x in telling.followed(row):
                if telling.message(row, x) is not None and x in self.senders:
                    self.senders[x].append(row)
        self.rules = {self.bar(n): self._rule(n) for n in self.order}

    def bar(self, node: Node) -> Symbol:
        """The adjoint of a node."""
        return Symbol(self.telling.name(node), barred=True, **facts(node.spec))

    def symbol(self, node: Node) -> Symbol:
        """A node."""
        return Symbol(self.telling.name(node), **facts(node.spec))

    def _rule(self, node: Node) -> Expr:
        sent = [self.telling.backward(row)[node] for row in reversed(self.senders[node])]
        if node in self.record.outputs:
            sent.append(_seed(self.record.seeds()[self.record.outputs.index(node)]))
        return total(*sent)

    def forward(self) -> list[Step]:
        """The rows, as they were computed."""
        rows = self.telling.rows
        if len(rows) > FEW:
            on_path = set(self.record.path)
            rows = [row for row in rows if row.node in on_path]
        return [
            self.checked(
                Step(
                    "forward",
                    self.symbol(row.node),
                    self.telling.forward(row),
                    self.record.value(row.node),
                )
            )
            for row in rows
        ]

    def checked(self, step: Step, env: Env | None = None) -> Step:
        """A line that has been evaluated back.

        Raises:  GradientError if it is not worth what the engine found.
        """
        try:
            right = agrees(step.right, env or self.env, step.value)
        except UnknownSymbolError:  # a rule that calls opaque code has no formula
            return dataclasses.replace(step, note="by opaque code: not checked")
        if not right:
            raise ours(step.left, step.right)
        return step

    def closed(self, node: Node) -> list[Expr]:
        """The adjoint in one formula: of what was computed on the way, and of the leaves alone."""
        e = self._replaced(self.bar(node), self.rules, lambda s: s.barred)
        if e is None or e == self.rules[self.bar(node)]:
            return []
        e = simplified(e)
        if size_of(e) > LONGEST or width(written(e)) > WIDE:
            return []
        values = {self.symbol(row.node): self.telling.forward(row) for row in self.telling.rows}
        whole = self._replaced(e, values, lambda s: not s.barred)
        if whole is None or whole == e or width(written(whole)) > WIDEST:
            return [e]
        return [e, simplified(whole)]

    def _replaced(
        self, e: Expr, rules: dict[Symbol, Expr], asked: Callable[[Symbol], bool]
    ) -> Expr | None:
        """The formula with symbols replaced by their rules, again and again."""
        for _ in range(len(rules) + 1):
            if not any(asked(s) and s in rules for s in symbols(e)):
                return None if any(s.barred for s in symbols(e)) else e
            e = rebuilt(e, lambda s: rules.get(s) if asked(s) else None)
            if size_of(e) > 8 * LONGEST:
                return None
        return None

    def together(self, left: Callable[[Node], Expr]) -> list[Step]:
        """The adjoint of each variable in one formula, if it is not too long."""
        steps = []
        for v in self.record.variables:
            if v in self.senders:
                for i, e in enumerate(self.closed(v)):
                    step = Step("together", left(v), e, self.record.bars[v], again=i > 0)
                    steps.append(self.checked(step))
        return steps

    @functools.cached_property
    def result(self) -> str:
        """What the result is called."""
        return self.telling.name(self.record.outputs[0])

    @functools.cached_property
    def matrices(self) -> dict[tuple[Row, Node], Any]:
        """The local Jacobians as matrices, where they are small."""
        return {
            (row, x): local.matrix_of(self.telling, row, x)
            for x in self.order
            for row in self.senders[x]
        }

    def structure(self, row: Row, x: Node) -> Expr | None:
        """A local Jacobian, as a formula that has been held against the matrix."""
        if isinstance(x.spec, tuple) or isinstance(row.node.spec, tuple):
            return None
        dot = Symbol(self.telling.name(x), dotted=True, **facts(x.spec))
        e = local.structure(self.telling.tangent(row, [x]), dot)
        J = self.matrices[row, x]
        if e is None or J is None or size_of(e) > LONGEST:
            return None
        try:
            value, size = evaluated(e, {**self.env, **local.constants(e)})
        except UnknownSymbolError:
            return None
        if not near(value, size, J):
            raise ours(Derivative(self.telling.name(row.node), by=self.telling.name(x)), e)
        return e


def _seed(value: Any) -> Expr:
    value = np.asarray(value)
    return (
        Number(1, shape=())
        if np.all(value == 1)
        else Number(value.item(), shape=())
        if (value.size == 1)
        else Symbol("seed", **of_shape(value.shape))
    )


def ours(left: Expr, right: Expr) -> GradientError:
    """The error for a formula that the engine does not bear out."""
    return GradientError(
        f"derive: the formula {written(left, TEXT)} = {written(right, TEXT)} is not worth what the "
        "engine finds: this is a mistake of overbar's",
        hint="please report it, with the program; ob.explain(L) shows the engine's numbers",
    )


def used(steps: Sequence[Step]) -> list[Step]:
    """The steps, with the other lines that use each of them."""
    users: dict[Expr, dict[Expr, None]] = {}
    for s in steps:
        for e in _mentioned(s.right):
            if e != s.left:
                users.setdefault(e, {})[s.left] = None
    return [
        dataclasses.replace(s, shared=tuple(users[s.left]))
        if len(users.get(s.left, ())) > 1 and not s.again and not isinstance(s.right, Number)
        else s
        for s in steps
    ]


def _mentioned(e: Expr) -> Iterable[Expr]:
    stack, found = [e], dict[Expr, None]()
    while stack:
        at = stack.pop()
        if isinstance(at, Symbol):
            found[at.of if isinstance(at, Entry) else at] = None
        stack += parts_of(at)
    return found
