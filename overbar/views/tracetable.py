"""The trace table: every variable of a computation with its value, its tangent and its adjoint.

Tangents are filled in from top to bottom by the engine's forward sweep, adjoints from bottom to top
by its backward sweep. With both, the two are held against each other: ⟨ȳ, ẏ⟩ = ⟨x̄, ẋ⟩, which must
hold whatever the program is, for one sweep is the transpose of the other.
"""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any

import numpy as np

from ..errors import DomainError, GradientError, ShapeError
from ..graph import Node
from ..handle import Tensor
from . import mathml
from .answer import Answer, Table, padded, plain, value_text
from .columns import narrowed, terminal, wrapped
from .evaluate import near
from .explain import Explanation, Sent, callers_variables
from .formula import ASCII, MATHML, TEX, TEXT, Notation, written
from .names import bar, dot, width
from .record import Record, node_of, record_of
from .rows import Row, Telling

MODES = ("reverse", "forward", "both")


@dataclasses.dataclass(frozen=True)
class Traced:
    """One line as plain data. A leaf has no formulas; `sent`: the messages of the backward sweep.

    name, formula, value            what was computed
    tangent_formula, tangent        its tangent, None without a forward sweep
    adjoint, sent                   its adjoint, and what it sends to its inputs; None and ()
                                    without a backward sweep
    """

    name: str
    formula: str
    value: Any
    tangent_formula: str
    tangent: Any
    adjoint: Any
    sent: tuple[Sent, ...]
    where: str


def trace_table(
    L: Any, *args: Any, mode: str = "reverse", seed: Any = None, wrt: Any = None
) -> TraceTable:
    """The table of a computation, as one works it out by hand: values, tangents, adjoints.

    mode   "reverse": adjoints, from bottom to top; "forward": tangents, from top to bottom; "both"
    seed   forward and both: the variable whose tangent is 1 (a name or a tensor), or {name:
           tangent}; the first variable by default. Reverse: the adjoint of the result; ones
    wrt    the variables: as for `explain`

    The answer has `.rows`, `.latex()` and `.markdown()`; with both modes `.identity`, the two sides
    of ⟨ȳ, ẏ⟩ = ⟨x̄, ẋ⟩.

    Raises:  DomainError for a mode or a seed that does not exist, GradientError if nothing can be
             differentiated, or if a rule and its transpose disagree.
    Example:
        >>> def f(x1, x2):
        ...     v1 = x1 * x2
        ...     v2 = ob.sin(x2)
        ...     y = v1 + v2
        ...     return y
        >>> table = ob.trace_table(f, 2.0, 5.0, mode="both")
        >>> [(row.name, float(row.value), float(row.tangent)) for row in table.rows[2:4]]
        [('v1', 10.0, 5.0), ('v2', -0.9589242746631385, 0.0)]
        >>> table.identity
        (5.0, 5.0)
    """
    if mode not in MODES:
        raise DomainError(f"trace_table: {mode!r} is no mode", want=f"one of {', '.join(MODES)}")
    record = record_of("trace_table", L, args, wrt)
    if not record.variables:
        raise GradientError(
            "trace_table: the result depends on nothing that asks for a gradient",
            hint="make a leaf with requires_grad=True, or give the function with its arguments",
        )
    if mode == "reverse" and seed is not None:
        record.seed = _adjoint(record, seed)
    telling = Telling(record.sweep(), callers_variables())
    dots = {} if mode == "reverse" else record.tangents(_tangents(telling, seed))
    return TraceTable(telling, mode, dots)


def _adjoint(record: Record, seed: Any) -> Any:
    spec = record.outputs[0].spec
    given = np.asarray(seed.value if isinstance(seed, Tensor) else seed, spec.dtype)
    if given.shape != spec.shape:
        raise ShapeError(
            "trace_table: a seed has the shape of the result",
            got={"seed": given, "result": record.outputs[0]},
        )
    return given[()]


def _tangents(telling: Telling, seed: Any) -> dict[Node, Any]:
    """The tangents that the forward sweep starts from."""
    variables = telling.record.variables
    called = {telling.name(v): v for v in variables}
    if seed is None:
        seed = telling.name(variables[0])
    given = seed if isinstance(seed, dict) else {seed: None}
    found = {}
    for key, x_dot in given.items():
        node = node_of(key) if isinstance(key, Tensor) else called.get(key)
        if node not in variables:
            raise DomainError(
                f"trace_table: no variable here is called {key!r}",
                want=f"one of {', '.join(called)}",
            )
        spec = node.spec
        dot = np.ones(spec.shape, spec.dtype) if x_dot is None else np.asarray(x_dot, spec.dtype)
        if dot.shape != spec.shape:
            raise ShapeError(
                "trace_table: a tangent has the shape of its variable",
                got={"tangent": dot, "variable": node},
            )
        found[node] = dot[()]
    return found


class TraceTable(Answer):
    """The table. `print` it; `.rows` is plain data, leaves first; `.latex()`, `.markdown()`.

    identity   in mode "both": (⟨ȳ, ẏ⟩, ⟨x̄, ẋ⟩)
    """

    def __init__(self, telling: Telling, mode: str, dots: dict[Node, Any]) -> None:
        self.telling, self.record, self.mode = telling, telling.record, mode
        self._dots, self._story = dots, Explanation(telling)
        self._rules = {} if mode == "reverse" else {r: telling.tangent(r) for r in telling.rows}
        self.identity = self._identity() if mode == "both" else None

    def _identity(self) -> tuple[float, float]:
        record, dots = self.record, self._dots

        def dot(nodes: list[Node], bars: list[Any]) -> tuple[Any, Any]:
            pairs = [
                (np.asarray(bar), np.asarray(dots[n]))
                for n, bar in zip(nodes, bars, strict=True)
                if bar is not None and n in dots
            ]
            value = sum((np.sum(np.real(b * d)) for b, d in pairs), 0.0)
            return value, sum((np.sum(np.abs(b * d)) for b, d in pairs), 0.0)

        ends, size = dot(record.outputs, record.seeds())
        starts, more = dot(record.variables, [record.bars.get(v) for v in record.variables])
        same = not np.isfinite(ends) or not np.isfinite(starts) or near(starts, size + more, ends)
        if not same:
            raise GradientError(
                f"trace_table: ⟨ȳ, ẏ⟩ is {ends}, ⟨x̄, ẋ⟩ is {starts}: the forward and the reverse "
                "rule of some operation are not transposes",
                hint="ob.testing.check_gradients(f, *args) finds which; rules of your own: "
                "custom_vjp, custom_jvp, Function",
            )
        ends, starts = np.asarray(ends)[()], np.asarray(starts)[()]
        return ends.item(), starts.item()

    # -- plain data -------------------------------------------------------------------------------

    @property
    def rows(self) -> list[Traced]:
        """Every line: leaves that have a name first, then oldest first."""
        backward, story = self.mode != "forward", self._story
        found = []
        for line in story.rows:
            node = story.node_called(line.name)
            row = story.row_of.get(node)
            rule = self._rules.get(row) if row is not None else None
            found.append(
                Traced(
                    line.name,
                    line.formula,
                    line.value,
                    written(rule) if rule is not None else "",
                    self._dot(node),
                    line.adjoint if backward else None,
                    line.messages if backward else (),
                    line.where,
                )
            )
        return found

    def _dot(self, node: Node) -> Any:
        """The tangent of a node: zero where none arrived."""
        if self.mode == "reverse":
            return None
        if node in self._dots:
            return self._dots[node]
        spec = node.spec
        return None if isinstance(spec, tuple) else np.zeros(spec.shape, spec.dtype)[()]

    # -- the table --------------------------------------------------------------------------------

    def heads(self) -> list[str]:
        """What stands above the columns."""
        seeds = ", ".join(
            f"{TEXT.dotted(self.telling.name(v))} = {value_text(self._dots[v])}"
            for v in self.record.variables
            if v in self._dots
        )
        heads = ["forward ↓"]
        if self.mode != "reverse":
            heads.append(f"tangent ↓   {seeds}")
        if self.mode != "forward":
            heads.append("adjoint ↑")
        return heads

    def cells(self, how: Notation, most: int = 4) -> list[list[list[tuple[str, str]]]]:
        """For each line and column the entries, each a formula and its value.

        most   so many entries of a vector are shown
        """
        t, story = self.telling, self._story
        lines: list[list[list[tuple[str, str]]]] = []
        for v in self.record.variables:
            name, value = t.name(v), value_text(self.record.value(v), most)
            line = [[(how.symbol(name, False), value)]]
            if self.mode != "reverse":
                line.append([(how.dotted(name), value_text(self._dot(v), most))])
            if self.mode != "forward":
                bar = self.record.bars.get(v)
                line.append([(how.symbol(name, True), value_text(bar, most) or "nothing arrived")])
            lines.append(line)
        for row in t.rows:
            line = [[_pair(*story.forward_line(row, how, most))]]
            if self.mode != "reverse":
                line.append([self._forward(row, how, most)])
            if self.mode != "forward":
                line.append([_pair(*entry) for entry in self._backward(row, how, most)])
            lines.append(line)
        return lines

    def _forward(self, row: Row, how: Notation, most: int) -> tuple[str, str]:
        name = how.dotted(self.telling.name(row.node))
        value = value_text(self._dot(row.node), most)
        if row.node not in self.record.path:
            return name, value
        return name + how.equal + written(self._rules[row], how), value

    def _backward(self, row: Row, how: Notation, most: int) -> list[tuple[str, str]]:
        entries = self._story.backward_lines(row, how, most)
        if row.node in self.record.outputs and self.record.seed is not None:
            name = how.symbol(self.telling.name(row.node), True)
            entries[-1] = (name, value_text(self.record.seed))
        return entries

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """The table; `columns`: the room for it."""
        how = ASCII if ascii else TEXT
        heads = [plain(h, ascii) for h in self.heads()]
        count = len(heads)
        for most in (4, 2):  # where there is little room, a short vector is told by its norm, too
            lines = self.cells(how, most)
            values = [max(width(v) for line in lines for _, v in line[i]) for i in range(count)]
            formulas = [max(width(f) for line in lines for f, _ in line[i]) for i in range(count)]
            room = None if columns is None else columns - sum(values) - 6 * count
            if room is None or sum(formulas) <= room:
                break
        natural, formulas = formulas, narrowed(formulas, room, [True] * count)
        wide = [max(width(h), f + 3 + v) for h, f, v in zip(heads, formulas, values, strict=True)]
        below = columns is not None and sum(wide) + 3 * count > columns  # values below formulas
        if below:
            room = columns - 3 * count  # type: ignore[operator]
            wide = narrowed(
                [max(f, v + 4) for f, v in zip(natural, values, strict=True)], room, [True] * count
            )
            heads = [wrapped(h, w)[0] for h, w in zip(heads, wide, strict=True)]
            formulas = wide
        grid = [heads, ["─" * w for w in wide]]
        for line in lines:
            columns_of = [
                _set(entries, f, below=below) for entries, f in zip(line, formulas, strict=True)
            ]
            high = max(map(len, columns_of))
            filled = (c + [""] * (high - len(c)) for c in columns_of)
            grid += [list(across) for across in zip(*filled, strict=True)]
        rows = ["│".join(f" {padded(c, w)} " for c, w in zip(r, wide, strict=True)) for r in grid]
        rows[1] = "┼".join("─" * (w + 2) for w in wide)
        out = [row.rstrip() for row in rows]
        if self.identity is not None:
            out += ["", " " + _said(self.identity)]
        return plain("\n".join(out), ascii)

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii(), columns=terminal())

    __repr__ = __str__

    def tables(self) -> list[Table]:
        """The table, for HTML."""
        rows = [
            ["\n".join(f"{f} = {v}" if v else f for f, v in entries) for entries in line]
            for line in self.cells(TEXT)
        ]
        return [(_said(self.identity) if self.identity else "", self.heads(), rows)]

    def _repr_html_(self) -> str:
        def cell(entries: list[tuple[str, str]]) -> str:
            return "<br>".join(
                mathml.math(f) + (f" = {html.escape(v)}" if v else "") for f, v in entries
            )

        head = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in self.heads())
        body = "".join(
            "<tr>" + "".join(f"<td>{cell(entries)}</td>" for entries in line) + "</tr>"
            for line in self.cells(MATHML)
        )
        said = f"<caption>{html.escape(_said(self.identity))}</caption>" if self.identity else ""
        table = f"<table>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="ob-trace"><style>{mathml.STYLE}{_STYLE}</style>{table}</div>'

    def latex(self) -> str:
        """The table as LaTeX: an `array` for display mathematics (package amsmath)."""
        columns = "|".join("l" * len(self.heads()))
        heads = " & ".join(rf"\text{{{h}}}" for h in self._tex_heads())
        lines = []
        for line in self.cells(TEX):
            high = max(map(len, line))
            for k in range(high):
                entries = [e[k] if k < len(e) else ("", "") for e in line]
                lines.append(" & ".join(_tex(f, v) for f, v in entries))
        body = " \\\\\n".join(lines)
        table = f"\\begin{{array}}{{{columns}}}\n{heads} \\\\ \\hline\n{body}\n\\end{{array}}"
        if self.identity is None:
            return table
        left, right = (value_text(v) for v in self.identity)
        said = rf"\langle \bar{{y}}, \dot{{y}} \rangle = {left} = {right}"
        said = rf"{said} = \langle \bar{{x}}, \dot{{x}} \rangle"
        return f"\\begin{{gathered}}\n{table} \\\\[1ex]\n{said}\n\\end{{gathered}}"

    def _tex_heads(self) -> list[str]:
        seeds = ", ".join(
            f"${TEX.dotted(self.telling.name(v))} = {tex_value(self._dots[v])}$"
            for v in self.record.variables
            if v in self._dots
        )
        heads = ["forward"]
        if self.mode != "reverse":
            heads.append(f"tangent, {seeds}")
        if self.mode != "forward":
            heads.append("adjoint (bottom to top)")
        return heads

    def markdown(self) -> str:
        """The table as Markdown, formulas between dollar signs."""
        rows = [
            [" <br> ".join(f"${_tex(f, v)}$" for f, v in entries) for entries in line]
            for line in self.cells(TEX)
        ]
        lines = [self._tex_heads(), ["---"] * len(self.heads()), *rows]
        said = f"\n\n{_said(self.identity)}" if self.identity else ""
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + said


_STYLE = (
    ".ob-trace table{border-collapse:collapse}"
    ".ob-trace td,.ob-trace th{padding:.25em .9em;text-align:left;vertical-align:top}"
    ".ob-trace td+td,.ob-trace th+th{border-left:1px solid currentColor}"
    ".ob-trace thead th{border-bottom:1px solid currentColor}"
)


def _pair(formula: str, value: str) -> tuple[str, str]:
    return formula, value.strip()


def _set(entries: list[tuple[str, str]], room: int, *, below: bool) -> list[str]:
    """The entries of a cell as lines; the values behind the formulas, or below them."""
    out = []
    for formula, value in entries:
        if below:
            fits = width(formula) + 3 + width(value) <= room
            out += [f"{formula} = {value}"] if fits and value else wrapped(formula, room)
            out += [f"  = {value}"] if value and not fits else []
            continue
        for k, line in enumerate(wrapped(formula, room)):
            sign = " = " if value and not k else ""
            out.append(padded(line, room) + sign + (value if not k else ""))
    return out


def _said(identity: tuple[float, float]) -> str:
    left, right = map(value_text, identity)
    y, x = (f"⟨{bar(n)}, {dot(n)}⟩" for n in "yx")
    return f"{y} = {left} = {right} = {x}"


def _tex(formula: str, value: str) -> str:
    return formula + (f" = {tex_value_of(value)}" if value else "")


def tex_value(value: Any) -> str:
    """A value in LaTeX."""
    return tex_value_of(value_text(value))


_PIECES = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?|[A-Za-z]+(?: [A-Za-z]+)*|.")
_SIGNS: dict[str, str] = {"×": r" \times ", " ": r"\;"}


def tex_value_of(text: str) -> str:
    """A value as it is told, in LaTeX: vectors in brackets, shapes with ×, norms in bars."""
    out, inside = "", False
    pieces: list[str] = _PIECES.findall(text)
    for piece in pieces:
        if "e" in piece and piece[-1].isdigit():
            digits, exponent = piece.split("e")
            out += rf"{digits} \cdot 10^{{{int(exponent)}}}"
        elif piece[0].isalpha():
            out += r"\infty" if piece == "inf" else rf"\text{{{piece}}}"
        elif piece == "‖":
            out += r"\rVert" if inside else r"\lVert "
            inside = not inside
        else:
            out += _SIGNS.get(piece, piece)
    return out
