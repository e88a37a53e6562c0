"""A node, or an adjoint, as a formula; and a formula as text, LaTeX or MathML.

What a formula is, and the identities that tidy it, are in `terms`; how an operation is written is
in `notation`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Node
from . import mathml
from .names import ascii_of, bar, tex_of
from .names import dot as with_dot
from .notation import (
    APPLY,
    ATOM,
    BLANK,
    DOTTED,
    LOGIC,
    POWER,
    PRODUCT,
    SUM,
    form_of,
    is_row,
    lowered,
    notation,
    sides,
    skeleton_of,
    spelled,
    symbol_of,
    tex_index,
)
from .terms import (
    MORE,
    SILENT,
    Applied,
    Entry,
    Expr,
    Literal,
    Mark,
    Number,
    Over,
    Product,
    Sum,
    Symbol,
    built,
    facts,
    of_shape,
    product,
    spread,
    total,
)

__all__ = [
    "ASCII", "BLANK", "LOGIC", "MATHML", "SILENT", "TEX", "TEXT", "Applied", "Expr", "Mark",
    "Notation", "Number", "Symbol", "constant", "fits", "form_of", "formula_of", "notation",
    "product", "spelled", "total", "written",
]  # fmt: skip

LONGEST = 60
"""The size, in operations, beyond which a formula is cut short with an ellipsis."""


# -- from nodes to formulas -------------------------------------------------------------------


def formula_of(
    node: Node, called: Callable[[Node], Expr | None], longest: int | None = LONGEST
) -> Expr:
    """The formula of a node in terms of the nodes that are `called` something."""
    found: dict[Node, Expr] = {}
    size: dict[Node, int] = {}
    most = longest or 10**9
    stack = [node]
    while stack:
        at = stack[-1]
        if at in found:
            stack.pop()
            continue
        name = called(at)
        if name is not None or not at.inputs:
            found[at], size[at] = name or constant(at), 1
            continue
        waiting = [x for x in at.inputs if x not in found]
        if waiting and len(found) < 20 * most:
            stack.extend(waiting)
            continue
        size[at] = 1 + sum(size.get(x, most) for x in at.inputs)
        long = size[at] > most or waiting
        found[at] = MORE if long else applied(at, tuple(found[x] for x in at.inputs))
    return found[node]


def constant(node: Node) -> Expr:
    """A leaf without a name: its value if that is one number, or the same number everywhere."""
    return spread(_constant(node), None if isinstance(node.spec, tuple) else node.spec.shape)


def _constant(node: Node) -> Expr:
    value = node.value
    if value is None or isinstance(value, tuple):
        return Symbol("c", **facts(node.spec))
    return constant_of(value, node.serial)


def constant_of(value: Any, age: int = 0) -> Expr:
    """A value as a number if it is one, or the same one everywhere."""
    flat = np.asarray(value).ravel()
    if flat.size and flat.dtype.kind in "biufc" and (flat.size == 1 or (flat == flat[0]).all()):
        return spread(Number(flat[0].item(), shape=()), np.shape(value))
    return Literal(value, age, **of_shape(np.shape(value)))


def applied(node: Node, args: tuple[Expr, ...]) -> Expr:
    """The operation of a node applied to formulas, tidied."""
    return built(
        node.op, node.params, args, None if isinstance(node.spec, tuple) else node.spec.shape
    )


# -- from formulas to text --------------------------------------------------------------------


@dataclass(frozen=True)
class Notation:
    """A way of writing.

    symbol   of a name, and whether it is barred
    dotted   of a name with a dot, a tangent
    mark     of a symbol and its text: what stands in the formula; for shapes below factors
    axes     whether sums say over which axes
    index    of a name and its index
    quotient of d or ∂, what is differentiated, and by what
    equal    what stands between two sides; more: where a sum is added to; said: of words
    """

    symbol: Callable[[str, bool], str]
    minus: str
    space: str
    dot: str
    group: tuple[str, str]
    finish: Callable[[str], str] = str
    dotted: Callable[[str], str] = with_dot
    mark: Callable[[Symbol, str], str] | None = None
    axes: bool = False
    index: Callable[[str, tuple[str, ...]], str] = lowered
    quotient: Callable[[str, str, str], str] = lambda d, above, below: f"{d}{above}/{d}{below}"
    equal: str = " = "
    more: str = " += "
    said: Callable[[str], str] = str
    tex: bool = False
    mathml: bool = False


TEXT = Notation(lambda n, b: bar(n) if b else n, "−", " ", " ⊙ ", ("(", ")"))
ASCII = Notation(
    lambda n, b: ascii_of(n) + "_bar" * b, "-", " ", " * ", ("(", ")"), finish=ascii_of,
    dotted=lambda n: ascii_of(n) + "_dot", said=ascii_of,
    index=lambda text, index: f"{text}[{','.join(filter(None, index))}]" if any(index) else text,
)  # fmt: skip
TEX = Notation(
    tex_of, "-", r"\,", r" \odot ", (r"\left(", r"\right)"), tex=True,
    dotted=lambda n: tex_of(n, dotted=True), more=r" \mathrel{+}= ",
    said=lambda words: rf"\text{{{words}}}", index=tex_index,
    quotient=lambda d, above, below: (
        rf"\frac{{d {above}}}{{d {below}}}" if d == "d"
        else rf"\frac{{\partial {above}}}{{\partial {below}}}"
    ),
)  # fmt: skip
MATHML = Notation(
    mathml.symbol, "−", "", "", ("", ""), mathml=True,
    dotted=lambda n: mathml.symbol(n, dotted=True), equal="<mo>=</mo>", more="<mo>+=</mo>",
    said=lambda words: f"<mtext>{words.replace(' ', chr(160))}</mtext>", index=mathml.indexed,
    quotient=lambda d, above, below: (
        f"<mfrac><mrow><mo>{d}</mo>{above}</mrow><mrow><mo>{d}</mo>{below}</mrow></mfrac>"
    ),
)  # fmt: skip


def written(e: Expr, how: Notation = TEXT) -> str:
    """The formula as text, as LaTeX or as MathML."""
    return mathml.written(e, how) if how.mathml else how.finish(_write(e, how)[0])


def _write(e: Expr, how: Notation) -> tuple[str, int, bool]:
    """(text, how tightly it binds, whether it ends in an operand without brackets)."""
    if isinstance(e, Entry):
        return _write_entry(e, how), ATOM, False
    if isinstance(e, Symbol):
        return symbol_of(e, how), POWER if re.search(r"[ᵀ²]$", e.name) else ATOM, False
    if isinstance(e, Number):
        text = spelled(e.value)
        return (how.minus + text[1:], SUM, False) if text.startswith("-") else (text, ATOM, False)
    if isinstance(e, Literal):
        return "c", ATOM, False
    if isinstance(e, Over):
        text, level, _ = _write(e.body, how)
        text = text.join(how.group) if level < DOTTED else text
        sign = r"\sum" if how.tex else how.finish("Σ")
        return f"{how.index(sign, e.letters)} {text}", APPLY, True
    if isinstance(e, Sum):
        return _write_sum(e, how)
    if isinstance(e, Product):
        return _write_product(e, how)
    if not isinstance(e, Applied):
        raise TypeError(e)
    if e.op.name in SILENT and not is_row(e):
        return _write(e.args[0], how)
    form = form_of(skeleton_of(e, tex=how.tex, axes=how.axes))
    text, opened = form.skeleton, False
    for i, arg in enumerate(e.args):
        if chr(BLANK + i) in text:
            need = form.needs.get(i, LOGIC)
            inside, level, ends = _write(arg, how)
            bracketed = level < need or (ends and i in form.left)
            if bracketed:
                inside = inside.join(how.group)
            if bracketed and form.level == APPLY:
                text = re.sub(rf" ?{chr(BLANK + i)}", lambda _, s=inside: s, text)
            else:
                opened = form.level == APPLY or (ends and i in form.last)
                text = text.replace(chr(BLANK + i), inside)
    return text, form.level, opened


def _write_entry(e: Entry, how: Notation) -> str:
    text, level, _ = _write(e.of, how)
    return how.index(text if level == ATOM else text.join(how.group), e.index)


def _write_sum(e: Sum, how: Notation) -> tuple[str, int, bool]:
    text, opened = "", False
    for term in e.terms:
        part, _, opened = _write(term, how)
        if not text:
            text = part
        elif part.startswith(how.minus):
            text += f" {how.minus} {part.removeprefix(how.minus)}"
        else:
            text += f" + {part}"
    return text, SUM, opened


def _write_product(e: Product, how: Notation) -> tuple[str, int, bool]:
    sign, above_all, under = sides(e)
    minus = how.minus if sign else ""
    above, level, opened = _factors(above_all, how, closed=bool(under) and not how.tex)
    if minus and level < DOTTED:
        above = above.join(how.group)
    if not under:
        return minus + above, SUM if minus else level, opened
    below, tight, _ = _factors(under, how, closed=False)
    mixed = level if sum(not f.scalar for f in e.top) > 1 else PRODUCT
    if how.tex:
        return rf"{minus}\frac{{{above}}}{{{below}}}", SUM if minus else POWER, False
    below = below.join(how.group) if tight < POWER else below
    return f"{minus}{above} / {below}", SUM if minus else mixed, False


def _factors(factors: tuple[Expr, ...], how: Notation, *, closed: bool) -> tuple[str, int, bool]:
    """Factors side by side; ⊙ between two arrays, for a space there is a matrix product."""
    if len(factors) == 1 and not closed:
        return _write(factors[0], how)
    dotted = sum(not f.scalar for f in factors) > 1
    text, array, opened = "", False, False
    for i, f in enumerate(factors):
        last = i == len(factors) - 1
        part, level, opened = _write(f, how)
        need = PRODUCT if len(factors) == 1 or not (dotted and not f.scalar) else APPLY
        if level < need or (opened and (closed or not last)):
            part, opened = part.join(how.group), False
        digits = part[:1].isdigit() and text
        times = r" \cdot " if how.tex else " · "
        text += (
            how.dot if array and not f.scalar else times if digits else how.space if text else ""
        ) + part
        array = array or not f.scalar
    return text, DOTTED if dotted else PRODUCT, opened


def fits(node: Node, i: int, child: Expr) -> bool:
    """Whether the formula of the i-th input is arithmetic that needs no brackets in a node's."""
    if isinstance(child, Applied) and child.op.name not in SILENT:
        form = form_of(notation(child.op, len(child.args), child.params))
        if not form.needs or form.level == APPLY:
            return False
    blanks = tuple(
        Symbol("□", **facts(x.spec)) if j != i else child for j, x in enumerate(node.inputs)
    )
    if node.op.name in SILENT:
        return True
    parts = notation(node.op, len(node.inputs), node.params)
    if i not in form_of(parts).needs:
        return False
    with_child, alone = written(applied(node, blanks)), written(child)
    return f"({alone})" not in with_child
