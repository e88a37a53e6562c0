"""derive: a derivative worked out line by line, from the rules themselves.

Every right-hand side is a tree that the engine's rules build when they are run on symbols. Before
it is shown it is evaluated back and held against the engine's own adjoint: what is printed is what
runs. Start at `derive`; `Derivation` shows the lines, `styles` makes them.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DomainError, GradientError
from . import mathml
from .answer import Answer, Table, plain, value_text
from .checking import Verdict, judged
from .columns import laid, terminal
from .explain import callers_variables
from .formula import ASCII, MATHML, TEX, TEXT, Notation, written
from .names import width
from .record import record_of
from .rows import Telling
from .styles import PARTS, STYLES, Step, derivation_of
from .terms import Applied, Entry, Expr, Number, Over, Product, Sum, Symbol, bare
from .tracetable import tex_value

FORMATS = ("text", "latex", "mathml", "markdown")
LONG = 60
"""So many lines of a derivation are shown; of more, the first and the last ones."""
TITLES = {
    "forward": "forward",
    "local": "local derivatives",
    "backward": "backward",
    "together": "together",
}


@dataclasses.dataclass(frozen=True)
class Derived:
    """One line as plain data.

    part       "forward", "local", "backward" or "together"
    numbers    the formula with numbers for its symbols, where all of them are numbers
    note       "2 paths summed", "used by W̄1, b̄1", ...
    factors    (symbol, shape) of what the formula is made of, in the order it is written
    """

    part: str
    left: str
    formula: str
    numbers: str
    value: Any
    note: str
    factors: tuple[tuple[str, tuple[int, ...]], ...]
    latex: str


def derive(
    L: Any,
    *args: Any,
    wrt: Any = None,
    style: str = "bar",
    to: str = "text",
    numbers: bool = True,
    shapes: bool = True,
) -> Derivation:
    """The derivative of a result by a variable, derived line by line.

    L        a result, a Graph, or a function with its arguments
    wrt      the variable: a tensor, a name or the number of an argument, or several of these
    style    "bar": z̄ = ȳ σ′(z). "leibniz": dL/dz = dL/dy ∂y/∂z, with d for total and ∂ for partial
             derivatives. "jacobian": the product of local Jacobians along the paths. "index":
             entry by entry, with sums and Kronecker's δ
    to       "text", "latex" (one `aligned` block; package amsmath), "mathml" or "markdown"
    numbers  the numbers beside the symbols
    shapes   the shape below each factor that is an array

    Every formula is evaluated back and compared with the engine's adjoint before it is shown. The
    answer has `.lines`, `.shapes`, `.shared`, and `.check(formula)` for a formula of one's own.

    Raises:  GradientError if the result does not depend on wrt, DomainError for an unknown style.
    Example:
        >>> w, x = ob.tensor([0.5, -1.0], requires_grad=True), ob.tensor([1.0, 2.0])
        >>> u = w @ x
        >>> p = ob.sigmoid(u)
        >>> L = -ob.log(p)
        >>> d = ob.derive(L, wrt=w)
        >>> [line.formula for line in d.lines if line.part == "together"]
        ['−(1 − p) x', '−(1 − σ(wᵀ x)) x']
    """
    for word, given, known in (("style", style, STYLES), ("to", to, FORMATS)):
        if given not in known:
            raise DomainError(f"derive: {word}={given!r}", want=f"one of {', '.join(known)}")
    record = record_of("derive", L, args, wrt)
    if not record.variables or record.missing:
        raise GradientError(
            "derive: the result does not depend on what `wrt` names"
            if record.missing
            else "derive: the result depends on nothing that asks for a gradient",
            hint="wrt is a tensor it was computed from, or the name of an argument; "
            "ob.why_zero(parameter, L) says where a path was cut",
        )
    telling = Telling(record.sweep(), callers_variables(), fine=True, longest=None)
    return Derivation(telling, style, to, numbers=numbers, shapes=shapes)


class Derivation(Answer):
    """The lines. `print` it (in the format asked for); `.text()`, `.latex()`, `.mathml()`,
    `.markdown()`; `.lines` is plain data.

    shapes    {left-hand side: ((factor, shape), ...)}
    shared    the adjoints that more than one line uses: worked out once
    """

    def __init__(
        self, telling: Telling, style: str, to: str, *, numbers: bool, shapes: bool
    ) -> None:
        self.telling, self.record, self.style, self.to = telling, telling.record, style, to
        self._numbers, self._with_shapes = numbers, shapes and style != "index"
        self.steps, self.env = derivation_of(telling, style)
        self.shared = [s.left.name for s in self.steps if s.shared and isinstance(s.left, Symbol)]

    def check(self, formula: str, wrt: Any = None) -> Verdict:
        """Whether a formula for the derivative is right; if not, what is wrong with it.

        formula   Python over the names of the derivation: `z_bar*x + R_bar*w`, `z_bar @ x.T`;
                  also as it is printed, `z̄ x + R̄ w`
        wrt       of which variable, if the derivation has several

        Example:
            >>> w, b = ob.tensor(0.5, requires_grad=True), ob.tensor(-1.0, requires_grad=True)
            >>> x, t, lam = 2.0, 1.0, 0.1
            >>> z = w * x + b
            >>> R = w**2 / 2
            >>> L = (ob.sigmoid(z) - t) ** 2 / 2 + lam * R
            >>> print(ob.derive(L, wrt=w).check("z_bar * x * R_bar * w"))
            w̄ = z̄ x R̄ w: not right
                a plus is missing: w goes into z and R, and what comes back adds up: z̄ x + R̄ w
                -0.0125 came, -0.2 is wanted
                the rule: w̄ = z̄ x + R̄ w
        """
        variables = self.record.variables
        if wrt is not None:
            variables = [v for v in variables if wrt in (self.telling.name(v), v)] or variables
        return judged(self.telling, variables[0], formula)

    # -- plain data -------------------------------------------------------------------------------

    @property
    def lines(self) -> list[Derived]:
        """The lines of the derivation."""
        return [self._line(s) for s in self.steps]

    @property
    def shapes(self) -> dict[str, tuple[tuple[str, tuple[int, ...]], ...]]:
        """The shape of every factor, by left-hand side: of the first line that has it."""
        return {line.left: line.factors for line in reversed(self.lines)}

    def _line(self, s: Step) -> Derived:
        factors: list[tuple[str, tuple[int, ...]]] = []

        def mark(e: Symbol, text: str) -> str:
            if e.shape is not None:
                factors.append((text, e.shape))
            return text

        marked = dataclasses.replace(TEXT, axes=True, mark=mark)
        formula = written(s.right, marked)
        return Derived(
            s.part,
            written(s.left, TEXT),
            formula,
            self._numbered(s, TEXT),
            s.value,
            self._note(s, TEXT),
            tuple(factors),
            self._tex_line(s, shapes=False),
        )

    def _numbered(self, s: Step, how: Notation) -> str:
        """The formula with numbers for its symbols, where they say something."""
        if not self._numbers or s.part not in ("forward", "local", "backward"):
            return ""
        e = _with_numbers(bare(s.right), self.env)
        dotted = r" \cdot " if how.tex else " · "
        if e is None or isinstance(e, Number):  # the value says it already
            return ""
        return written(e, dataclasses.replace(how, space=dotted))

    def _note(self, s: Step, how: Notation) -> str:
        notes = []
        if s.paths > 1:
            notes.append(how.said(f"{s.paths} paths summed"))
        if s.shared:
            names = how.said(", ").join(written(e, how) for e in s.shared)
            notes.append(how.said("used by ") + names)
        if s.like is not None:
            same = how.said(" · ").join(written(e, how) for e in s.prefix)
            notes.append(same + how.said(" shared with ") + written(s.like, how))
        if s.note:
            notes.append(how.said(s.note))
        return how.said("; ").join(notes)

    # -- as text ----------------------------------------------------------------------------------

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """The derivation as text; `columns`: the room for it."""
        how = ASCII if ascii else TEXT
        full = self._set(how, self._with_shapes, self._numbers, None)
        if columns is not None and max(map(width, full)) > columns:
            for shapes, numbers in ((self._with_shapes, False), (False, False)):
                full = self._set(how, shapes, numbers, None)
                if max(map(width, full)) <= columns:
                    break
            else:
                full = self._set(how, False, False, columns)
        return plain("\n".join(full), ascii)

    def _set(self, how: Notation, shapes: bool, numbers: bool, columns: int | None) -> list[str]:
        out = []
        for part in PARTS:
            steps = [s for s in self.steps if s.part == part]
            if not steps:
                continue
            rows: list[list[str]] = []
            for s in _ends(steps):
                rows += self._rows(s, how, shapes, numbers) if s is not None else [["…"]]
            if out:
                out.append("")
            out.append(TITLES[part])
            out += laid(
                rows, gap=" ", columns=columns, indent="  ", gives=[False, True, True, False, True]
            )
        return out

    def _rows(self, s: Step, how: Notation, shapes: bool, numbers: bool) -> list[list[str]]:
        left, below_left = _marked(s.left, how, shapes)
        right, below = _marked(s.right, how, shapes)
        if s.again:
            left, below_left = "", ""
        said = self._numbered(s, how) if numbers else ""
        if said == right or s.part == "forward":
            said = ""
        value = value_text(s.value) if s.value is not None else ""
        cells = [
            left,
            f"= {right}" if right else "",
            f"= {said}" if said else "",
            f"= {value}" if value and value != right else "",
            f"  {self._note(s, how)}".rstrip(),
        ]
        if not below.strip():
            return [cells]
        return [cells, [below_left, f"  {below}"]]

    def __str__(self) -> str:
        if self.to == "text":
            return self.text(ascii=self.in_ascii(), columns=terminal())
        return {"latex": self.latex, "mathml": self.mathml, "markdown": self.markdown}[self.to]()

    __repr__ = __str__

    def tables(self) -> list[Table]:
        """The derivation as tables."""
        heads = ["", "formula", "value", ""]
        return [
            (
                TITLES[part],
                heads,
                [
                    [
                        written(s.left, TEXT),
                        written(s.right, TEXT),
                        value_text(s.value),
                        self._note(s, TEXT),
                    ]
                    for s in self.steps
                    if s.part == part
                ],
            )
            for part in PARTS
            if any(s.part == part for s in self.steps)
        ]

    # -- as LaTeX, MathML, Markdown ---------------------------------------------------------------

    def latex(self) -> str:
        """One `aligned` block for display mathematics (package amsmath)."""
        blocks = []
        for part in PARTS:
            steps = [s for s in self.steps if s.part == part]
            if steps:
                lines = [self._tex_line(s, shapes=self._with_shapes) for s in steps]
                blocks.append(" \\\\\n".join(lines))
        return "\\begin{aligned}\n" + " \\\\[1ex]\n".join(blocks) + "\n\\end{aligned}"

    def _tex_line(self, s: Step, *, shapes: bool) -> str:
        how = dataclasses.replace(TEX, axes=True, mark=_under_tex if shapes else None)
        left = "" if s.again else written(s.left, how)
        text = f"{left} &= {written(s.right, how)}"
        numbers = self._numbered(s, TEX) if s.part != "forward" else ""
        if numbers and numbers != written(s.right, TEX):
            text += f" = {numbers}"
        value = tex_value(s.value) if s.value is not None else ""
        if value and value != written(s.right, TEX) and self._numbers:
            text += f" = {value}"
        note = self._note(s, TEX)
        return text + (rf" && {note}" if note else "")

    def mathml(self) -> str:
        """One `<math>` element: a table of the lines. `overbar.views.mathml.STYLE` goes with it."""
        rows = []
        for part in PARTS:
            steps = [s for s in self.steps if s.part == part]
            if steps:
                head = f'<mtext class="ob-part">{TITLES[part]}</mtext>'
                rows.append(f'<mtr><mtd columnspan="5">{head}</mtd></mtr>')
                rows += [self._mathml_row(s) for s in steps]
        return mathml.math(f'<mtable displaystyle="true">{"".join(rows)}</mtable>', display=True)

    def _mathml_row(self, s: Step) -> str:
        shared = {e.left for e in self.steps if e.shared}

        def mark(e: Symbol, text: str) -> str:
            if e in shared:
                text = f'<mrow class="ob-shared">{text}</mrow>'
            if not self._with_shapes or not e.shape:
                return text
            return f'<munder>{text}<mtext class="ob-shape">{_times(e.shape)}</mtext></munder>'

        how = dataclasses.replace(MATHML, axes=True, mark=mark)
        left = "" if s.again else written(s.left, how)
        cells = [left, "<mo>=</mo>", written(s.right, how)]
        value = value_text(s.value) if s.value is not None and self._numbers else ""
        cells.append(f"<mtext>=&#160;{html.escape(value)}</mtext>" if value else "")
        note = self._note(s, MATHML)
        cells.append(f"<mrow>{note}</mrow>" if note else "")
        return "<mtr>" + "".join(f"<mtd>{c}</mtd>" for c in cells) + "</mtr>"

    def _repr_html_(self) -> str:
        return f'<div class="ob-derive"><style>{mathml.STYLE}{_STYLE}</style>{self.mathml()}</div>'

    def markdown(self) -> str:
        """Each part as a heading and a block of display mathematics."""
        out = []
        for part in PARTS:
            lines = [
                self._tex_line(s, shapes=self._with_shapes) for s in self.steps if s.part == part
            ]
            if lines:
                body = " \\\\\n".join(lines)
                out.append(
                    f"**{TITLES[part]}**\n\n$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"
                )
        return "\n\n".join(out)


_STYLE = (
    ".ob-derive mtd{text-align:left;padding:.15em .3em}"
    ".ob-derive .ob-shared{background:rgba(255,200,0,.35)}"
    ".ob-derive .ob-part{font-weight:bold;font-family:sans-serif;font-size:.8em}"
)


def _ends(steps: Sequence[Step]) -> list[Step | None]:
    """The steps, or the first and the last of many, with None between."""
    if len(steps) <= LONG:
        return list(steps)
    return [*steps[: LONG // 2], None, *steps[-LONG // 2 :]]


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "1×1"


def _under_tex(e: Symbol, text: str) -> str:
    said = r" \times ".join(map(str, e.shape or ()))
    return rf"\underset{{{said}}}{{{text}}}" if said else text


# -- a formula with the shapes below its factors ----------------------------------------------

_MARK = 0xF000


def _marked(e: Expr, how: Notation, shapes: bool) -> tuple[str, str]:
    """A formula, and a line with the shape of each array below it."""
    labels: list[str] = []

    def mark(e: Symbol, text: str) -> str:
        if not e.shape:
            return text
        labels.append(_times(e.shape))
        return chr(_MARK + len(labels) - 1) + text

    how = dataclasses.replace(how, axes=True, mark=mark if shapes else None)
    text, above, below = written(e, how), "", ""
    room = 0  # the column from which on the line below is free
    for c in text:
        if _MARK <= ord(c) < _MARK + len(labels):
            while width(above) < room:  # the label before this one needs its room
                above = _widened(above)
            below += " " * (width(above) - width(below)) + labels[ord(c) - _MARK]
            room = width(below) + 1
        else:
            above += c
    return above, below


def _widened(text: str) -> str:
    """One blank more, at the last blank of a text."""
    at = text.rfind(" ")
    return text + " " if at < 0 else text[: at + 1] + " " + text[at + 1 :]


# -- a formula with numbers -------------------------------------------------------------------


def _with_numbers(e: Expr, env: dict[Symbol, Any]) -> Expr | None:
    """The formula with a number for each symbol; None if one of them is an array."""
    if isinstance(e, Entry | Over):
        return None
    if isinstance(e, Symbol):
        value = env.get(e)
        if value is None or isinstance(value, tuple) or np.ndim(value) or np.iscomplexobj(value):
            return None
        return Number(_short(float(value)), shape=())
    if isinstance(e, Sum):
        terms = [_with_numbers(t, env) for t in e.terms]
        return None if None in terms else dataclasses.replace(e, terms=tuple(terms))
    if isinstance(e, Product):
        top = [_with_numbers(t, env) for t in e.top]
        bottom = [_with_numbers(t, env) for t in e.bottom]
        if None in top or None in bottom:
            return None
        return dataclasses.replace(e, top=tuple(top), bottom=tuple(bottom))
    if isinstance(e, Applied):
        args = [_with_numbers(a, env) for a in e.args]
        return None if None in args else dataclasses.replace(e, args=tuple(args))
    return e


def _short(value: float) -> float:
    """A number to three digits, as it is shown."""
    return float(f"{value:.3g}") if np.isfinite(value) else value
