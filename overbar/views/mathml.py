"""A formula as MathML, which browsers and notebooks show without a script.

A bar is drawn by a border above the element (class `ob-bar`, see `STYLE`), not by a character:
without a font made for mathematics the character vanishes. Start at `written`; what it gives goes
into a `<math>` element, see `math`.
"""

from __future__ import annotations

import html
import re
from typing import Any

from .names import POINT, stem_and_index
from .notation import (
    APPLY,
    ATOM,
    BLANK,
    DOTTED,
    LOGIC,
    POWER,
    PRODUCT,
    RAISED,
    SUM,
    form_of,
    pieces,
    sides,
    skeleton_of,
    spelled,
    symbol_of,
)
from .terms import SILENT, Applied, Entry, Expr, Literal, Number, Over, Product, Sum, Symbol

STYLE = (
    ".ob-bar{border-top:0.07em solid currentColor;padding-top:0.08em}"
    ".ob-dot{font-style:italic}"
    "math .ob-shape{font-size:0.7em;opacity:0.75}"
)
"""The style sheet that the elements want."""

TIMES = '<mo>\u2062</mo><mspace width="0.15em"/>'
"""A product without a sign."""
_LOW = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_HIGH = str.maketrans(RAISED, "0123456789−+⊤()n")


def math(inside: str, *, display: bool = False) -> str:
    """The element around a formula; `display`: on a line of its own."""
    how = ' display="block"' if display else ' displaystyle="true"'
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML"{how}>{inside}</math>'


def symbol(name: str, barred: bool = False, *, dotted: bool = False) -> str:
    """A name: `w1` is w with the index 1."""
    stem, index = stem_and_index(name)
    kind = "mi" if stem.isalpha() else "mtext"
    letter = f"<{kind}>{html.escape(stem)}</{kind}>"
    if barred:
        letter = f'<mrow class="ob-bar">{letter}</mrow>'
    if dotted:
        letter = f'<mi class="ob-dot">{html.escape(stem[:1])}{POINT}{html.escape(stem[1:])}</mi>'
    below = "mn" if index.isdigit() else "mi"
    return f"<msub>{letter}<{below}>{html.escape(index)}</{below}></msub>" if index else letter


def indexed(text: str, index: tuple[str, ...]) -> str:
    """A name with its index."""
    parts = [f"<mn>{i}</mn>" if i.isdigit() else f"<mi>{i}</mi>" for i in index if i]
    return f"<msub>{text}<mrow>{''.join(parts)}</mrow></msub>" if parts else text


def written(e: Expr, how: Any) -> str:
    """The formula as one element; `how` says how names are written."""
    return _row(_write(e, how)[0])


def _row(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"


def _bracketed(parts: list[str]) -> list[str]:
    return [f"<mrow><mo>(</mo>{''.join(parts)}<mo>)</mo></mrow>"]


def _write(e: Expr, how: Any) -> tuple[list[str], int, bool]:
    """(elements, how tightly they bind, whether they end in an operand without brackets)."""
    if isinstance(e, Entry):
        parts, level, _ = _write(e.of, how)
        return (
            [how.index(_row(parts if level == ATOM else _bracketed(parts)), e.index)],
            ATOM,
            False,
        )
    if isinstance(e, Symbol):
        return [symbol_of(e, how)], ATOM, False
    if isinstance(e, Number):
        text = spelled(e.value)
        if text.startswith("-"):
            return ["<mo>−</mo>", f"<mn>{text[1:]}</mn>"], SUM, False
        return [f"<mn>{text}</mn>"], ATOM, False
    if isinstance(e, Literal):
        return ["<mi>c</mi>"], ATOM, False
    if isinstance(e, Over):
        parts, level, _ = _write(e.body, how)
        sign = how.index("<mo>Σ</mo>", e.letters).replace("msub>", "munder>")
        return [sign, *(_bracketed(parts) if level < DOTTED else parts)], APPLY, True
    if isinstance(e, Sum):
        return _sum(e, how)
    if isinstance(e, Product):
        return _product(e, how)
    assert isinstance(e, Applied)  # noqa: S101  (nothing else is a formula)
    if e.op.name in SILENT and skeleton_of(e) == chr(BLANK):
        return _write(e.args[0], how)
    return _applied(e, how)


def _sum(e: Sum, how: Any) -> tuple[list[str], int, bool]:
    out: list[str] = []
    opened = False
    for term in e.terms:
        parts, _, opened = _write(term, how)
        if not out:
            out = parts
        elif parts[0] == "<mo>−</mo>":
            out = [*out, *parts]
        else:
            out = [*out, "<mo>+</mo>", *parts]
    return out, SUM, opened


def _product(e: Product, how: Any) -> tuple[list[str], int, bool]:
    negative, top, under = sides(e)
    sign = ["<mo>−</mo>"] * negative
    above, level, opened = _factors(top, how)
    if under:
        below, _, _ = _factors(under, how)
        made = [f"<mfrac>{_row(above)}{_row(below)}</mfrac>"]
        return sign + made, SUM if sign else POWER, False
    if sign and level < DOTTED:
        above = _bracketed(above)
    return sign + above, SUM if sign else level, opened


def _factors(factors: tuple[Expr, ...], how: Any) -> tuple[list[str], int, bool]:
    if len(factors) == 1:
        return _write(factors[0], how)
    dotted = sum(not f.scalar for f in factors) > 1
    out: list[str] = []
    array = opened = False
    for i, f in enumerate(factors):
        parts, level, opened = _write(f, how)
        need = PRODUCT if not (dotted and not f.scalar) else APPLY
        if level < need or (opened and i < len(factors) - 1):
            parts, opened = _bracketed(parts), False
        if out:
            number = parts[0].startswith("<mn>")
            between = "<mo>·</mo>" if number else TIMES
            out.append("<mo>⊙</mo>" if array and not f.scalar else between)
        out += parts
        array = array or not f.scalar
    return out, DOTTED if dotted else PRODUCT, opened


def _applied(e: Applied, how: Any) -> tuple[list[str], int, bool]:
    """An operation as its text says: superscripts raised, roots drawn, quotients over a bar."""
    skeleton = skeleton_of(e, axes=how.axes)
    form = form_of(skeleton)
    said: dict[str, list[str]] = {}
    opened = False
    for i, arg in enumerate(e.args):
        parts, level, ends = _write(arg, how)
        held = _holds(skeleton, chr(BLANK + i))
        need = LOGIC if held else form.needs.get(i, LOGIC)
        bracketed = level < need or (ends and i in form.left)
        opened = (form.level == APPLY and not bracketed) or (ends and i in form.last)
        said[chr(BLANK + i)] = _bracketed(parts) if bracketed else parts
    if skeleton == f"{chr(BLANK)} / {chr(BLANK + 1)}":
        above, below = said.values()
        return [f"<mfrac>{_row(above)}{_row(below)}</mfrac>"], POWER, False
    made = _assembled(pieces(skeleton), said)
    return [_row(made)] if form.level >= POWER else made, form.level, opened


def _holds(skeleton: str, blank: str) -> bool:
    """Whether an operand stands below a root, or alone over a bar: no brackets are needed."""
    return f"√{blank}" in skeleton or skeleton == f"{chr(BLANK)} / {chr(BLANK + 1)}"


def _assembled(tokens: list[str], said: dict[str, list[str]]) -> list[str]:
    out: list[str] = []
    raised = rooted = False
    for i, piece in enumerate(tokens):
        if piece == " ":
            before, after = tokens[i - 1], tokens[i + 1] if i + 1 < len(tokens) else ""
            if before in said and after in said:
                out.append(TIMES)
            elif (before in said or before[-1:].isalnum()) and (after in said or after.isalpha()):
                out.append('<mspace width="0.2em"/>')
            continue
        if piece in ("√", "∛"):
            rooted = piece
            continue
        if piece == "^":
            raised = True
            continue
        parts = said.get(piece) or [_element(piece)]
        if piece[0] in RAISED:
            power = piece.translate(_HIGH)
            kind = "mn" if power.isdigit() else "mo" if len(power) == 1 else "mtext"
            out[-1:] = [f"<msup>{out[-1]}<{kind}>{power}</{kind}></msup>"]
        elif re.fullmatch(r"[₀-₉]+", piece):
            out[-1:] = [f"<msub>{out[-1]}<mn>{piece.translate(_LOW)}</mn></msub>"]
        elif raised:
            out[-1:] = [f"<msup>{out[-1]}{_row(parts)}</msup>"]
            raised = False
        elif rooted:
            out.append(
                f"<msqrt>{''.join(parts)}</msqrt>"
                if rooted == "√"
                else f"<mroot>{_row(parts)}<mn>3</mn></mroot>"
            )
            rooted = False
        else:
            out += parts
    return out


def _element(piece: str) -> str:
    if piece[0].isdigit():
        return f"<mn>{piece}</mn>"
    if piece[0].isalpha() and piece not in "ΣΠ":
        return f"<mi>{html.escape(piece)}</mi>"
    return f"<mo>{html.escape(piece)}</mo>"
