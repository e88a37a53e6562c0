"""explain: the story of a computation in two columns, forward down and backward up.

What is printed is a function of a `Telling`: its rows, its names, the engine's own numbers. Start
at `explain`, then `Explanation.text`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..elementwise import Elementwise
from ..errors import GradientError
from ..graph import Node
from ..handle import Tensor
from ..origin import users_frame
from .answer import Answer, Table, padded, plain, value_text
from .columns import narrowed, terminal, wrapped
from .formula import ASCII, SILENT, TEX, TEXT, Notation, Number, Symbol, total, written
from .names import bar, width
from .record import node_of, record_of
from .rows import Row, Telling

FEW = 40
"""So many rows are shown in full; of more, the first and the last ones."""
ENDS = 12
WIDEST = 56
"""Columns for a formula before it is cut, in text."""

WORDS = {
    "add": "add distributes: each input receives the adjoint as it is",
    "subtract": "subtract distributes: the adjoint goes to the first as it is, to the second "
    "with its sign turned",
    "negative": "the sign turns the adjoint's sign",
    "multiply": "multiply switches: each input receives the adjoint scaled by the other's value",
    "divide": "divide scales: the upper receives the adjoint over the lower's value, the lower "
    "minus that times the quotient",
    "matmul": "a matrix product switches: each factor receives the adjoint times the other, "
    "transposed",
    "maximum": "max routes: the adjoint goes to the greater input, the other receives nothing; a "
    "tie shares it",
    "minimum": "min routes: the adjoint goes to the lesser input, the other receives nothing; a "
    "tie shares it",
    "max": "max routes: the adjoint goes to the greatest entry, the others receive nothing; ties "
    "share it",
    "min": "min routes: the adjoint goes to the least entry, the others receive nothing; ties "
    "share it",
    "where": "where routes: the adjoint goes to what was chosen",
    "relu": "relu gates: the adjoint passes where the output is positive, and stops elsewhere",
    "ramp": "a ramp scales: by 1 right of zero, by its slope left of it",
    "sum": "sum copies: every entry receives the sum's adjoint",
    "broadcast": "what is used many times sums what comes back",
    "reshape": "entries move, and the adjoint moves back",
    "transpose": "entries move, and the adjoint moves back",
    "slice": "a part receives its part of the adjoint, the rest nothing",
    "gather": "what was read receives what comes back, summed where it was read twice",
    "stop_gradient": "nothing flows back",
}
"""The rules of thumb, for the operations that have one."""


@dataclasses.dataclass(frozen=True)
class Sent:
    """A message of the backward sweep: what `source` sent to `target`."""

    source: str
    target: str
    formula: str
    value: Any


@dataclasses.dataclass(frozen=True)
class Line:
    """One row as plain data. A leaf has no `formula`; where nothing arrived, `adjoint` is None."""

    name: str
    op: str
    formula: str
    value: Any
    shape: Any
    dtype: str
    where: str
    adjoint: Any
    messages: tuple[Sent, ...]
    words: str


def explain(subject: Any, *args: Any, wrt: Any = None) -> Explanation:
    """The story of a result: forward from top to bottom, backward from bottom to top.

    Of a result (also after `backward()`), of a Graph, or of a function with its arguments. Each
    row computes one variable and sends a message, an adjoint (with a bar), to each of its inputs.
    `wrt` chooses what the adjoints lead to: tensors, or the names or numbers of arguments.

    Raises:  GradientError if nothing could be differentiated by, or `wrt` is not part of it.
    Example:
        >>> w = ob.tensor(0.3, requires_grad=True)
        >>> b = ob.tensor(0.2, requires_grad=True)
        >>> x, t = 2.0, 0.85
        >>> z = w * x + b
        >>> y = ob.sigmoid(z)
        >>> L = (y - t) ** 2 / 2
        >>> story = ob.explain(L)
        >>> [row.formula for row in story.rows if row.formula]
        ['w x + b', 'σ(z)', '(y − t)² / 2']
        >>> story["w"].messages, round(float(story["w"].adjoint), 4)
        ((), -0.0685)
    """
    record = record_of("explain", subject, args, wrt)
    if not record.variables:
        raise GradientError(
            "explain: the result depends on nothing that asks for a gradient"
            if not record.missing
            else "explain: the result does not depend on what `wrt` names",
            hint="make a leaf with requires_grad=True, or explain the function with its arguments; "
            "ob.why_zero(parameter, L) says where a path was cut",
        )
    return Explanation(Telling(record.sweep(), callers_variables()))


def callers_variables() -> dict[str, Any]:
    """The tensors that the caller has names for."""
    frame = users_frame(2)
    both = {**frame.f_globals, **frame.f_locals}
    return {k: v for k, v in both.items() if isinstance(v, Tensor) and not k.startswith("_")}


class Explanation(Answer):
    """The story. `print` it; `story["w"]` is one row, `story.at("w")` what it sends and receives;
    `.rows` is plain data, leaves first; `.adjoint(name)` a number or an array.
    """

    def __init__(self, telling: Telling) -> None:
        self.telling, self.record = telling, telling.record
        self.senders: dict[Node, list[Row]] = {}
        for row in reversed(telling.rows):  # as the sweep goes
            for x in row.inputs:
                if telling.message(row, x) is not None:
                    self.senders.setdefault(x, []).append(row)
        self.row_of = {row.node: row for row in telling.rows}

    # -- plain data -------------------------------------------------------------------------------

    @property
    def rows(self) -> list[Line]:
        """Every row, leaves with a name first, then oldest first."""
        leaves = [
            n
            for n in self.record.nodes
            if not self.record.computed(n) and n.serial in self.telling.names
        ]
        return [self._leaf(n) for n in leaves] + [self.line(r) for r in self.telling.rows]

    def __getitem__(self, name: str) -> Line:
        node = self.node_called(name)
        row = self.row_of.get(node)
        return self._leaf(node) if row is None else self.line(row)

    def adjoint(self, name: Any) -> Any:
        """The adjoint of what is called so; None if nothing arrived."""
        return self.record.bars.get(self.node_called(name))

    def node_called(self, name: Any) -> Node:
        """The node of a name, or of a tensor."""
        if isinstance(name, Tensor):
            found = [n for n in self.record.nodes if n is node_of(name)]
        else:
            found = [n for n in self.record.nodes if self.telling.names.get(n.serial) == name]
        if not found:
            have = ", ".join(
                self.telling.names[n.serial]
                for n in self.record.nodes
                if n.serial in self.telling.names
            )
            raise GradientError(f"explain: nothing here is called {name!r}", want=f"one of {have}")
        return found[0]

    def _leaf(self, node: Node) -> Line:
        return self._described(node, "", (), "")

    def line(self, row: Row) -> Line:
        """One row as plain data."""
        t = self.telling
        sent = tuple(
            Sent(t.name(row.node), t.name(x), written(e), t.message(row, x))
            for x, e in t.backward(row).items()
            if t.message(row, x) is not None
        )
        return self._described(row.node, written(t.forward(row)), sent, words_of(row))

    def _described(self, node: Node, formula: str, sent: tuple[Sent, ...], words: str) -> Line:
        several = isinstance(node.spec, tuple)
        return Line(
            self.telling.name(node),
            node.op.name,
            formula,
            self.record.value(node),
            tuple(s.shape for s in node.spec) if several else node.spec.shape,
            ", ".join(str(s.dtype) for s in node.spec) if several else str(node.spec.dtype),
            str(node.origin) if node.origin else "",
            self.record.bars.get(node),
            sent,
            words,
        )

    # -- the two columns --------------------------------------------------------------------------

    def text(self, *, ascii: bool = False, full: bool = False, columns: int | None = None) -> str:
        """The story; `full` shows every row, however many there are; `columns`: the room for it."""
        how = ASCII if ascii else TEXT
        rows = list(enumerate(self.telling.rows, 1))
        long = len(rows) > FEW and not full
        told = rows[:ENDS] + rows[-ENDS:] if long else rows
        digits = max(2, len(str(len(rows))))
        for most in (4, 2):  # in a narrow terminal a short vector is told by its norm, too
            cells = [
                (i, self.forward_line(row, how, most), self.backward_lines(row, how, most))
                for i, row in told
            ]
            (left, middle, right), fits = _widths(cells, columns, digits + 3)
            if fits:
                break
        down, up = ("forward", "backward") if ascii else ("forward  ↓", "backward  ↑")
        indent = " " * (digits + 3)
        out = self._parameters(how) if long else []
        out.append((indent + padded(down, left + middle) + up).rstrip())
        for k, (i, (formula, value), lines) in enumerate(cells):
            if long and k == ENDS:
                out.append(f"{indent}{how.finish('…')} {len(rows) - 2 * ENDS} more")
            forward = [(f, "" if j else value) for j, f in enumerate(wrapped(formula, left - 2))]
            backward = [
                (m, "" if j else amount)
                for message, amount in lines
                for j, m in enumerate(wrapped(message, right - 2))
            ]
            for j in range(max(len(forward), len(backward))):
                f, v = forward[j] if j < len(forward) else ("", "")
                m, amount = backward[j] if j < len(backward) else ("", "")
                head = f"{i:>{digits}}   " if not j else indent
                line = head + padded(f, left) + padded(v, middle) + padded(m, right) + amount
                out.append(line.rstrip())
        return plain("\n".join(out), ascii)

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii(), columns=terminal())

    __repr__ = __str__

    def _parameters(self, how: Notation) -> list[str]:
        """The variables and their adjoints, first when the story is long."""
        table = [
            (
                self.telling.name(v),
                value_text(self.record.value(v)),
                _barred(self.telling.name(v), how),
                value_text(self.record.bars.get(v)) or "nothing arrived",
            )
            for v in self.record.variables[:FEW]
        ]
        wide = [max(width(row[i]) for row in table) + 3 for i in range(3)]
        lines = [
            "     " + "".join(padded(c, w) for c, w in zip(row, wide, strict=False)) + row[3]
            for row in table
        ]
        more = len(self.record.variables) - len(table)
        return [*lines, *([f"     {how.finish('…')} {more} more"] if more else []), ""]

    def forward_line(self, row: Row, how: Notation, most: int = 4) -> tuple[str, str]:
        """What the row computes, and its value."""
        t = self.telling
        formula = how.symbol(t.name(row.node), False) + how.equal + written(t.forward(row), how)
        return _cut(formula, how), _signed(self.record.value(row.node), most)

    def backward_lines(self, row: Row, how: Notation, most: int = 4) -> list[tuple[str, str]]:
        """What the row sends; the message that completes a sum brings the sum with it."""
        lines = []
        sent = self.telling.backward(row)
        for x, e in sent.items():
            senders = self.senders.get(x, [])
            if row not in senders:
                continue
            name = _barred(self.telling.name(x), how)
            if len(senders) == 1 and x not in self.record.outputs:
                lines.append(
                    (name + how.equal + written(e, how), _signed(self.record.bars.get(x), most))
                )
                continue
            if row is senders[-1]:
                whole = self._summed(x, senders, how)
                lines.append((name + how.equal + whole, _signed(self.record.bars.get(x), most)))
            lines.append(
                (name + how.more + written(e, how), _signed(self.telling.message(row, x), most))
            )
        if row.node in self.record.outputs:
            one = written(Number(1), how)
            lines.append((_barred(self.telling.name(row.node), how) + how.equal + one, ""))
        return [(_cut(f, how), v) for f, v in lines]

    def _summed(self, x: Node, senders: Sequence[Row], how: Notation) -> str:
        if len(senders) > 3:
            return how.said(f"the sum of {len(senders)} messages")
        terms = [self.telling.backward(row)[x] for row in reversed(senders)]
        return written(total(*terms), how)

    def tables(self) -> list[Table]:
        """The two columns, and where each row comes from."""
        rows = []
        for i, row in enumerate(self.telling.rows, 1):
            formula, value = self.forward_line(row, TEXT)
            sent = self.backward_lines(row, TEXT)
            where = str(row.node.origin) if row.node.origin else ""
            rows.append(
                [
                    str(i),
                    formula,
                    value.strip(),
                    "\n".join(f for f, _ in sent),
                    "\n".join(v.strip() for _, v in sent),
                    where,
                ]
            )
        return [("", ["", "forward ↓", "value", "backward ↑", "adjoint", "where"], rows)]

    def tex(self) -> str:
        """The story as LaTeX, one `aligned` block: forward, then backward."""
        t = self.telling
        lines = [
            f"{written(Symbol(t.name(row.node)), TEX)} &= {written(t.forward(row), TEX)}"
            for row in t.rows
        ]
        for row in reversed(t.rows):
            for x, e in t.backward(row).items():
                sign = "&=" if len(self.senders.get(x, [])) < 2 else r"&\mathrel{+}="
                lines.append(
                    f"{written(Symbol(t.name(x), barred=True), TEX)} {sign} {written(e, TEX)}"
                )
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def at(self, name: Any) -> Exchange:
        """What one variable receives and sends: see `Exchange`."""
        return Exchange(self, self.node_called(name))


class Exchange(Answer):
    """Message passing at one node: what came in from its consumers, their sum, what goes out.

    incoming, outgoing   lists of `Sent`; adjoint: the sum of what came in
    """

    def __init__(self, story: Explanation, node: Node) -> None:
        self.story, self.node = story, node
        t = story.telling
        self.name, self.adjoint = t.name(node), story.record.bars.get(node)
        self._from = story.senders.get(node, [])
        self.incoming = [
            Sent(t.name(r.node), self.name, written(t.backward(r)[node]), t.message(r, node))
            for r in self._from
        ]
        row = story.row_of.get(node)
        self.outgoing = list(story.line(row).messages) if row is not None else []
        self.words = words_of(row) if row is not None else ""

    def _locals(self) -> list[tuple[str, str]]:
        """Each consumer's local derivative: formula and number, where it is a product."""
        found = []
        for row in self._from:
            formula = self.story.telling.backward(row, Number(1))[self.node]
            simple = all(isinstance(n.op, Elementwise) or n.op.name in SILENT for n in row.members)
            if not simple or row.node.spec.shape != self.node.spec.shape:
                found.append((f"Jacobian {[*row.node.spec.shape, *self.node.spec.shape]}", ""))
                continue
            ones = np.ones(row.node.spec.shape, row.node.spec.dtype)[()]
            (local,) = self.story.telling.pulled(row, [self.node], ones)
            found.append((written(formula), value_text(local)))
        return found

    def tables(self) -> list[Table]:
        """What came in, and what goes out."""
        name = bar(self.name)
        came = [
            [
                f"from {m.source}",
                f"{bar(m.source)}",
                f"∂{m.source}/∂{self.name} = {f}" + (f" = {v}" if v else ""),
                m.formula,
                value_text(m.value),
            ]
            for m, (f, v) in zip(self.incoming, self._locals(), strict=True)
        ]
        came.append(
            [
                "",
                "",
                "",
                f"{name} = {'their sum' if len(came) != 1 else came[0][3]}"
                if came
                else f"{name} = 1",
                value_text(self.adjoint),
            ]
        )
        went = [[f"to {m.target}", m.formula, value_text(m.value)] for m in self.outgoing]
        return [
            (f"{self.name} receives", ["", "", "local derivative", "message", ""], came),
            (f"{self.name} sends", ["", "message", ""], went),
        ]

    def text(self, *, ascii: bool = False) -> str:
        """Both tables as text."""
        out = []
        for title, _, rows in self.tables():
            rows = list(rows)
            if not rows:
                continue
            wide = [max(width(r[i]) for r in rows) for i in range(len(rows[0]))]
            out.append(title)
            out += [
                "    "
                + "   ".join(padded(c, w) for c, w in zip(r, wide, strict=True) if w).rstrip()
                for r in rows
            ]
        if self.words:
            out.append(self.words)
        return plain("\n".join(out), ascii)


def _widths(
    cells: Sequence[tuple[int, tuple[str, str], list[tuple[str, str]]]],
    columns: int | None,
    indent: int,
) -> tuple[tuple[int, int, int], bool]:
    """How wide formulas, values and messages are set, blanks behind them included; and whether
    they fit as they are.
    """
    left = max((width(f) for _, (f, _), _ in cells), default=0)
    middle = max((width(v) for _, (_, v), _ in cells), default=0)
    right = max((width(f) for _, _, lines in cells for f, _ in lines), default=0)
    last = max((width(v) for _, _, lines in cells for _, v in lines), default=0)
    roomy = max(17, 3 + left), max(14, 3 + middle), 3 + right
    if columns is None or indent + sum(roomy) + last <= columns:
        return roomy, True
    room = columns - indent - 6 - last
    left, middle, right = narrowed([left, middle, right], room, [True, False, True])
    return (left + 2, middle + 2, right + 2), False


_QUIET = ("reshape", "transpose")
"""What goes without saying beside other operations."""


def words_of(row: Row) -> str:
    """What the operations of a row do to an adjoint, in words."""
    said: Iterable[str] = (
        WORDS.get(n.op.name)
        or f"{n.op.name} scales: the adjoint is multiplied by its local derivative"
        for n in row.members
        if (n.op.name in WORDS or isinstance(n.op, Elementwise))
        and (n.op.name not in _QUIET or len(row.members) == 1)
    )
    return "; ".join(dict.fromkeys(said))


def _barred(name: str, how: Notation) -> str:
    return how.symbol(name, True)


def _signed(value: Any, most: int = 4) -> str:
    """Room for a sign in front of a number, so that digits stand below digits."""
    text = value_text(value, most)
    return text if text[:1] in "-([" or not text else " " + text


def _cut(text: str, how: Notation) -> str:
    if how.tex or how.mathml or width(text) <= WIDEST:
        return text
    shown = ""
    for c in text:
        if width(shown) >= WIDEST - 3:
            break
        shown += c
    return shown + " " + how.finish("…")
