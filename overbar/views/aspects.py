"""Four views of one graph: as a list of modules, as a program in bar notation, as products of
Jacobians, as a graph. They say the same, and can be run: `evaluate` works each of them out in its
own way, to the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import DomainError, GradientError
from ..graph import Graph, Node
from .answer import Answer, Table, plain, shape_text
from .columns import laid
from .evaluate import value_of
from .explain import words_of
from .formula import ASCII, TEXT, Notation, written
from .local import chained, constants, dense, matrix_of, structure
from .record import Record, record_of
from .rows import Row, Telling
from .terms import Derivative, Expr, Number, Symbol, facts, of_shape, size_of, total

KINDS = ("modules", "bars", "jacobians", "graph")
PATHS = 8
LONGEST = 24


class Evaluated(NamedTuple):
    """The result, and the adjoint of every input that has one, by name."""

    value: Any
    adjoints: dict[str, Any]


def view(graph: Graph, kind: str = "graph") -> View:
    """A graph, seen as one of four things.

    kind   "modules": its parts, each with what it takes and gives, and what it sends back. "bars":
           the program in bar notation, forward and backward. "jacobians": the derivatives as
           products of local Jacobians. "graph": nodes, and what goes along the edges

    The answer prints, and `.evaluate(*args)` works it out: all four give the same numbers.

    Raises:  DomainError for another kind.
    Example:
        >>> def f(w, x):
        ...     z = w * x
        ...     y = ob.sigmoid(z)
        ...     return y
        >>> g = ob.trace(f)(0.5, 2.0)
        >>> print(g.view("bars"))
        z = w x
        y = σ(z)
        ȳ = 1
        z̄ = ȳ y (1 − y)
        x̄ = z̄ w
        w̄ = z̄ x
        >>> [float(g.view(k).evaluate(0.5, 2.0).adjoints["x"]) for k in ("modules", "jacobians")]
        [0.09830596662074093, 0.09830596662074093]
    """
    if kind not in KINDS:
        raise DomainError(f"view: {kind!r} is no view", want=f"one of {', '.join(KINDS)}")
    return {"modules": Modules, "bars": Bars, "jacobians": Jacobians, "graph": Edges}[kind](graph)


class View(Answer):
    """A view of a graph; `record` and `telling` are those of the graph, without values."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        outputs = [y for y in graph.outputs if not isinstance(y.spec, tuple) and y.spec.floating]
        inputs = graph.inputs or [n for n in graph.sources if n.value is not None]
        variables = [n for n in inputs if not isinstance(n.spec, tuple) and n.spec.floating]
        if not outputs:
            raise GradientError("view: the graph has no floating result", got={"graph": str(graph)})
        given = {n: n.params.get("name") or "" for n in graph.inputs}
        self.record = Record(outputs[:1], variables, given=given, known={}, stop=graph.inputs)
        self.telling = Telling(self.record, fine=True, longest=None)

    @property
    def result(self) -> Node:
        """The result that is looked at."""
        return self.record.outputs[0]

    def evaluate(self, *args: Any) -> Evaluated:
        """The result and the adjoints of the inputs, worked out the way this view shows them."""
        there = record_of("view", self.graph, args)
        values = {n: there.values[n] for n in self.record.nodes if not self.record.computed(n)}
        value, bars = self.worked_out(values)
        name = self.telling.name
        found = {name(v): np.asarray(bars[v])[()] for v in self.record.variables if v in bars}
        return Evaluated(value, found)

    def worked_out(self, values: dict[Node, Any]) -> tuple[Any, dict[Node, Any]]:
        """(the result, adjoints by node) for values of the leaves."""
        raise NotImplementedError

    def seed(self) -> Any:
        """What the backward pass starts from."""
        return self.record.seeds()[0]

    def with_values(self, values: dict[Node, Any]) -> Telling:
        """The telling with the value of every node."""
        full = dict(values)
        with np.errstate(all="ignore"):
            for n in self.record.nodes:
                if n not in full:
                    operands = [_whole(full[x], x) for x in n.inputs]
                    full[n] = n.op.run(*operands, **n.params)
        self.telling.record.values = full
        return self.telling


def _whole(value: Any, node: Node) -> Any:
    if isinstance(value, np.ndarray | np.generic) and value.shape != node.spec.shape:
        return np.broadcast_to(value, node.spec.shape)
    return value


def _add(bars: dict[Node, Any], x: Node, message: Any) -> None:
    bars[x] = bars[x] + message if x in bars else message


class Modules(View):
    """A list of parts, each of which can go forward and backward."""

    def worked_out(self, values: dict[Node, Any]) -> tuple[Any, dict[Node, Any]]:
        """Part after part forward; then part after part backward."""
        telling = self.telling
        values = dict(values)
        with np.errstate(all="ignore"):
            for row in telling.rows:
                for n in row.members:
                    values[n] = n.op.run(*(_whole(values[x], x) for x in n.inputs), **n.params)
            self.record.values = values
            bars: dict[Node, Any] = {self.result: self.seed()}
            for row in reversed(telling.rows):
                wanted = telling.followed(row)
                if row.node not in bars or not wanted:
                    continue
                sent = telling.pulled(row, wanted, bars[row.node])
                for x, message in zip(wanted, sent, strict=True):
                    if message is not None:
                        _add(bars, x, message)
        return values[self.result], bars

    def text(self, *, ascii: bool = False) -> str:
        """One line for each part: what it takes, what it gives, what it sends back."""
        how = ASCII if ascii else TEXT
        return plain(
            "\n".join(laid([_HEADS, *(self._line(r, how) for r in self.telling.rows)])), ascii
        )

    def _line(self, row: Row, how: Notation) -> list[str]:
        t = self.telling
        kinds = dict.fromkeys(n.op.name for n in row.members if n.op.name not in _QUIET)
        back = ", ".join(how.symbol(t.name(x), True) for x in t.backward(row))
        return [
            ", ".join(kinds) or row.node.op.name,
            ", ".join(t.name(x) for x in row.inputs if x.serial in t.names),
            how.symbol(t.name(row.node), False) + how.equal + written(t.forward(row), how),
            shape_text(getattr(row.node.spec, "shape", ())).removesuffix(" entries") or "number",
            f"{how.symbol(t.name(row.node), True)} {how.finish('→')} {back}" if back else "",
        ]

    def tables(self) -> list[Table]:
        """The list."""
        return [("", _HEADS, [self._line(r, TEXT) for r in self.telling.rows])]


_HEADS = ["module", "takes", "gives", "shape", "backward"]
_QUIET = {"broadcast", "cast", "alias", "reshape", "transpose", "positive"}


class Bars(View):
    """The program in bar notation: lines that compute values, then lines that compute adjoints."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        t = self.telling
        self.forward = [(row.node, t.forward(row)) for row in t.rows]
        sent: dict[Node, list[Expr]] = {self.result: [Number(1, shape=())]}
        for row in reversed(t.rows):
            if row.node in sent:
                for x, e in t.backward(row).items():
                    sent.setdefault(x, []).append(e)
        on_path = [n for n in reversed(self.record.path) if n in sent]
        self.backward = [(n, total(*reversed(sent[n]))) for n in on_path]

    def worked_out(self, values: dict[Node, Any]) -> tuple[Any, dict[Node, Any]]:
        """Line after line."""
        name = self.telling.name
        env: dict[Symbol, Any] = {Symbol(name(n)): _whole(v, n) for n, v in values.items()}
        for n, e in self.forward:
            env[Symbol(name(n))] = _filled(value_of(e, env), n)
        bars = {}
        for n, e in self.backward:
            env[Symbol(name(n), barred=True)] = bars[n] = _filled(value_of(e, env), n)
            if isinstance(bars[n], tuple):
                for i, part in enumerate(bars[n]):
                    env[Symbol(f"{name(n)}[{i}]", barred=True)] = part
        return env[Symbol(name(self.result))], bars

    def lines(self, how: Notation = TEXT) -> list[str]:
        """The program."""
        name = self.telling.name
        return [
            how.symbol(name(n), barred) + how.equal + written(e, how)
            for barred, part in ((False, self.forward), (True, self.backward))
            for n, e in part
        ]

    def text(self, *, ascii: bool = False) -> str:
        """The program, one line below the other."""
        return plain("\n".join(self.lines(ASCII if ascii else TEXT)), ascii)

    def tables(self) -> list[Table]:
        """The program."""
        return [("", [], [[line] for line in self.lines()])]


def _filled(value: Any, node: Node) -> Any:
    if isinstance(node.spec, tuple):
        return tuple(
            np.zeros(s.shape, s.dtype) if not np.ndim(v) and not np.any(v) else v
            for v, s in zip(value, node.spec, strict=True)
        )
    return np.broadcast_to(value, node.spec.shape)[()]


class Jacobians(View):
    """Derivatives as products of local Jacobians, one for each path, or one step at a time."""

    def worked_out(self, values: dict[Node, Any]) -> tuple[Any, dict[Node, Any]]:
        """Row vectors times matrices, from the result on; refused if a matrix is too large."""
        t = self.with_values(values)
        rows: dict[Node, Any] = {self.result: np.reshape(self.seed(), (1, -1))}
        for row in reversed(t.rows):
            if row.node not in rows:
                continue
            for x in t.followed(row):
                J = matrix_of(t, row, x)
                if J is None:
                    raise GradientError(
                        f"view: the Jacobian of {t.name(row.node)} by {t.name(x)} is too large for "
                        "a matrix",
                        got={"of": row.node, "by": x},
                        hint="the views 'modules', 'bars' and 'graph' never form it",
                    )
                _add(rows, x, rows[row.node] @ J)
        bars = {n: np.reshape(r, n.spec.shape) for n, r in rows.items()}
        return t.record.value(self.result), bars

    def products(self) -> list[tuple[Derivative, Expr]]:
        """dL/dx for every input, as a product along each path; for many paths, step by step."""
        t = self.telling
        senders: dict[Node, list[Row]] = {}
        for row in reversed(t.rows):
            for x in t.followed(row):
                senders.setdefault(x, []).append(row)
        count: dict[Node, int] = {self.result: 1}
        for n in reversed(self.record.path):
            for row in senders.get(n, ()):
                count[n] = count.get(n, 0) + count.get(row.node, 0)
        lines = []
        many = any(count.get(v, 0) > PATHS for v in self.record.variables)
        asked = (
            [n for n in reversed(self.record.path) if n in senders]
            if many
            else [v for v in self.record.variables if v in senders]
        )
        for x in asked:
            if many:
                terms = [self._after(row, x) for row in reversed(senders[x])]
            else:
                terms = [chained(*p) for p in self._paths(x, senders)]
            lines.append((self._derivative(self.result, x, whole=True), total(*terms)))
        return lines

    def _after(self, row: Row, x: Node) -> Expr:
        partial = self._derivative(row.node, x, whole=False)
        if row.node is self.result:
            return partial
        return chained(self._derivative(self.result, row.node, whole=True), partial)

    def _paths(self, x: Node, senders: dict[Node, list[Row]]) -> list[list[Expr]]:
        if x is self.result:
            return [[]]
        return [
            [*p, self._derivative(row.node, x, whole=False)]
            for row in reversed(senders.get(x, []))
            for p in self._paths(row.node, senders)
        ]

    def _derivative(self, y: Node, x: Node, *, whole: bool) -> Derivative:
        name = self.telling.name
        size = (getattr(y.spec, "size", 1), getattr(x.spec, "size", 1))
        return Derivative(name(y), by=name(x), whole=whole, **of_shape(size))

    def locals(self) -> list[tuple[Derivative, Expr | None]]:
        """The local Jacobians, with their formulas where these are short."""
        t, found = self.telling, []
        for row in t.rows:
            for x in t.followed(row):
                if isinstance(row.node.spec, tuple) or isinstance(x.spec, tuple):
                    continue
                dot = Symbol(t.name(x), dotted=True, **facts(x.spec))
                e = structure(t.tangent(row, [x]), dot)
                short = e is not None and size_of(e) <= LONGEST
                found.append((self._derivative(row.node, x, whole=False), e if short else None))
        return found

    def dense(self, values: dict[Node, Any]) -> dict[str, np.ndarray]:
        """The local Jacobians that have a formula, worked out from it."""
        t = self.with_values(values)
        env = {Symbol(t.name(n)): t.record.value(n) for n in t.record.nodes if n.serial in t.names}
        return {
            written(d): dense(e, {**env, **constants(e)}) for d, e in self.locals() if e is not None
        }

    def _rows(self, how: Notation) -> list[list[str]]:
        return [
            [
                written(d, how),
                f"= {written(e, how)}" if e is not None else "",
                "×".join(map(str, d.shape or (1, 1))),
            ]
            for d, e in (*self.locals(), *self.products())
        ]

    def text(self, *, ascii: bool = False) -> str:
        """The local Jacobians, then the products."""
        return plain("\n".join(laid(self._rows(ASCII if ascii else TEXT))), ascii)

    def tables(self) -> list[Table]:
        """The local Jacobians, then the products."""
        return [("", ["", "", "size"], self._rows(TEXT))]


class Edges(View):
    """Nodes and edges: values go along them, adjoints against them; `.drawing(*args)` draws it."""

    def drawing(self, *args: Any) -> Any:
        """The graph as `ob.draw` draws it, for these arguments."""
        from .draw import draw

        return draw(self.graph, *args)

    def worked_out(self, values: dict[Node, Any]) -> tuple[Any, dict[Node, Any]]:
        """Node after node: the engine's own sweep."""
        t = self.with_values(values)
        there = self.record.elsewhere({n: _whole(v, n) for n, v in t.record.values.items()})
        return there.value(self.result), there.bars

    def _rows(self, how: Notation) -> list[list[str]]:
        t = self.telling
        rows = [
            [how.symbol(t.name(n), False), "", "", ""]
            for n in self.record.nodes
            if not self.record.computed(n) and n.serial in t.names
        ]
        for row in t.rows:
            name = t.name(row.node)
            takes = ", ".join(t.name(x) for x in row.inputs if x.serial in t.names)
            sends = ", ".join(t.name(x) for x in t.backward(row))
            rows.append(
                [
                    how.symbol(name, False),
                    f"{how.finish('←')} {takes}",
                    f"{how.symbol(name, True)} {how.finish('→')} {sends}" if sends else "",
                    words_of(row).partition(":")[0],
                ]
            )
        return rows

    def text(self, *, ascii: bool = False) -> str:
        """One line for each node: where its value comes from, where its adjoint goes."""
        return plain("\n".join(laid(self._rows(ASCII if ascii else TEXT))), ascii)

    def tables(self) -> list[Table]:
        """The nodes."""
        heads: Sequence[str] = ["node", "its value comes from", "its adjoint goes to", ""]
        return [("", heads, self._rows(TEXT))]
