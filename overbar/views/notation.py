"""How an operation is written, and how tightly what is written binds.

Each primitive carries its own notation, `{0} + {1}`; how tightly it binds is read off that text,
so that brackets stand where they are needed and nowhere else. A primitive that says nothing about
LaTeX is written there as its text is.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from .terms import Applied, Derivative, Expr, Number, Product, Symbol

LOGIC, SUM, DOTTED, PRODUCT, APPLY, POWER, ATOM = range(7)
"""How tightly a text binds."""

BLANK = 0xE000
"""Private characters stand for the operands while a notation is read."""


def notation(op: Any, arity: int, params: dict[str, Any], *, tex: bool = False) -> str:
    """How a primitive is written, with a private character for each operand."""
    blanks = [chr(BLANK + i) for i in range(arity)]
    if op.name == "transpose" and not _swaps(params["order"]):
        return f"{rf'{_WORD}{{perm}}' if tex else 'perm'}{_axes(params['order'])}({blanks[0]})"
    template = op.tex if tex else op.text
    if tex and (template is None or (isinstance(template, str) and " = " in template)):
        return tex_of_text(notation(op, arity, params))
    try:
        if callable(template):
            return str(template(*blanks, **params))
        if template is not None:
            return template.replace("{*}", ", ".join(blanks)).format(*blanks, **params)
    except Exception:  # noqa: BLE001, S110  (a notation that does not fit its params: the name will do)
        pass
    plain = f"{_WORD}{{{op.name}}}".replace("_", r"\_") if tex else op.name
    return f"{plain}({', '.join(blanks)})"


def skeleton_of(e: Applied, *, tex: bool = False, axes: bool = False) -> str:
    """The notation with blanks for the operands."""
    if is_row(e):
        return chr(BLANK) + (r"^\top" if tex else "ᵀ")
    text = notation(e.op, len(e.args), e.params, tex=tex)
    if axes and e.op.name == "sum" and e.args[0].shape is not None:
        over = e.params["axis"]
        if len(over) < len(e.args[0].shape):
            said = "".join(map(str, over)) if len(over) < 2 or max(over) < 10 else str(over)
            low = said.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
            text = text.replace(r"\sum", rf"\sum_{{{said}}}").replace("Σ", "Σ" + low)
    return text


def is_row(e: Applied) -> bool:
    """Whether a vector is made a row, or a row a column: it is written transposed."""
    before, after = e.args[0].shape, e.shape
    if e.op.name != "reshape" or before is None or after is None or len(after) != 2:
        return False
    n = max(after)
    return (after == (1, n) and before in ((n,), (n, 1))) or (after, before) == ((n, 1), (1, n))


def sides(e: Product) -> tuple[bool, tuple[Expr, ...], tuple[Expr, ...]]:
    """Whether a product is negative, what stands above the bar, and what below."""
    under = (Number(e.over, shape=()),) * (e.over != 1) + e.bottom
    number = (Number(abs(e.times), shape=()),) if abs(e.times) != 1 or not e.top else ()
    return e.times < 0, number + e.top, under


def symbol_of(e: Symbol, how: Any) -> str:
    """A symbol as it is written."""
    if isinstance(e, Derivative):
        d = "d" if e.whole else "∂"
        above, below = (
            how.index(how.symbol(n, False), i) if i else how.symbol(n, False)
            for n, i in ((e.name, e.above), (e.by, e.below))
        )
        text = how.quotient(d, above, below)
    else:
        text = how.dotted(e.name) if e.dotted else how.symbol(e.name, e.barred)
    return text if how.mark is None else how.mark(e, text)


_LOWERED = dict(zip("ijklmnprstuv0123456789", "ᵢⱼₖₗₘₙₚᵣₛₜᵤᵥ₀₁₂₃₄₅₆₇₈₉", strict=True))


def lowered(text: str, index: tuple[str, ...]) -> str:
    """A name with its index: `W1ⱼₖ`."""
    comma = "," if any(len(i) > 1 for i in index) else ""
    return text + comma.join("".join(_LOWERED.get(c, c) for c in i) for i in index)


def tex_index(text: str, index: tuple[str, ...]) -> str:
    """The same in LaTeX: `W_{1,jk}`."""
    said = "".join(index)
    if not said:
        return text
    found = re.fullmatch(r"(.*)_\{([^{}]*)\}", text)
    return f"{found[1]}_{{{found[2]},{said}}}" if found else f"{text}_{{{said}}}"


def spelled(v: Any) -> str:
    """A constant as short as it can be read: `2`, `0.1`, `1e-08`."""
    if isinstance(v, float) and v.is_integer() and abs(v) < 1e6:
        return str(int(v))
    return f"{v:.4g}" if isinstance(v, float) else str(v)


def _swaps(order: tuple[int, ...]) -> bool:
    """Whether an order of axes swaps the last two: the transpose of a matrix."""
    n = len(order)
    return order == (*range(n - 2), n - 1, n - 2)


def _axes(order: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, order))}]"


# -- a text in LaTeX --------------------------------------------------------------------------

_WORD = r"\operatorname"
_TEX = {
    "−": "-", "⊙": r"\odot ", "Σ": r"\sum ", "Π": r"\prod ", "√": r"\surd ", "∛": r"\sqrt[3]",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "¬": r"\neg ", "∧": r"\land ", "∨": r"\lor ",
    "⊕": r"\oplus ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "…": r"\dots ", "·": r"\cdot ", "×": r"\times ", "→": r"\to ", "∗": r"\ast ", "⋆": r"\star ",
    "‖": r"\Vert ", "|": r"\vert ", "&": r"\mathbin{\&}", "~": r"\sim ", "%": r"\%", "#": r"\#",
    "<<": r"\ll ", ">>": r"\gg ", "σ": r"\sigma ", "Γ": r"\Gamma ", "Φ": r"\Phi ",
    "φ": r"\varphi ", "π": r"\pi ", "ψ": r"\psi ", "′": "'", "∂": r"\partial ", "^": r"\wedge ",
}  # fmt: skip
RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ᵀ⁽⁾ⁿ"
"""Characters of a superscript."""
_HIGH = str.maketrans(RAISED, "0123456789-+⊤()n")
_LOW = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def tex_of_text(text: str) -> str:
    """A notation written as text, in LaTeX: `a[1:3]`, `[a > b]`, `⌊a⌋`."""
    out = []
    for piece in pieces(text):
        if piece[0] in RAISED:
            out.append(f"^{{{piece.translate(_HIGH)}}}".replace("⊤", r"\top"))
        elif re.fullmatch(r"[₀-₉]+", piece):
            out.append(f"_{{{piece.translate(_LOW)}}}")
        elif len(piece) > 1 and piece[0].isalpha():
            out.append(rf"{_WORD}{{{piece}}}".replace("_", r"\_"))
        elif piece == " ":
            out.append(" " if out and out[-1].startswith(_WORD) else r"\,")
        else:
            out.append(_TEX.get(piece, piece))
    return "".join(out)


_PIECES = re.compile(
    rf"[A-Za-z_][A-Za-z_0-9]*|\d+(?:\.\d+)?|[{RAISED}]+|[₀-₉]+|<<|>>|[\uE000-\uEFFF]|\s+|."
)


def pieces(text: str) -> list[str]:
    """A text as words, numbers, operands, superscripts, subscripts and signs."""
    return [" " if p.isspace() else p for p in _PIECES.findall(text)]


# -- how tightly it binds ---------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """A notation, read: `level` of the whole, `needs` of each operand outside brackets; the
    operands on the `left`, which must not end open, and the `last` ones, which may.
    """

    skeleton: str
    level: int
    needs: dict[int, int]
    left: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()


@functools.lru_cache(maxsize=1024)
def form_of(skeleton: str) -> Form:
    """How tightly a notation binds, read off its text."""
    flat, outside = _flattened(skeleton)
    if not outside:
        return Form(skeleton, POWER if "^" in flat or r"\frac" in flat else ATOM, {})
    if flat == "S":
        return Form(skeleton, ATOM, dict.fromkeys(outside, LOGIC))
    first, rest = outside[0], outside[1:]
    if re.search(r"S [+−-] S", flat):
        after = PRODUCT if re.search(r"S [−-] S", flat) else SUM
        return Form(skeleton, SUM, {first: SUM, **dict.fromkeys(rest, after)}, last=frozenset(rest))
    if re.fullmatch(r"[−-]S", flat):
        return Form(skeleton, SUM, {first: PRODUCT}, last=frozenset(outside))
    if re.fullmatch(r"S / S", flat):
        return Form(skeleton, PRODUCT, {first: PRODUCT, rest[0]: POWER}, left=frozenset({first}))
    if re.fullmatch(r"1/S", flat):
        return Form(skeleton, PRODUCT, {first: POWER})
    if re.fullmatch(r"S( |\\,)S", flat):
        return Form(
            skeleton, PRODUCT, dict.fromkeys(outside, PRODUCT), frozenset({first}), frozenset(rest)
        )
    if re.fullmatch(r"[^S]+ S", flat):
        return Form(skeleton, APPLY, {first: POWER}, last=frozenset(outside))
    if re.fullmatch(r"S[^S ]+|[^S ]+S|S\^S", flat):
        return Form(skeleton, POWER, dict.fromkeys(outside, ATOM))
    if re.search(r"[∧∨⊕&⊻]", flat):
        return Form(skeleton, LOGIC, dict.fromkeys(outside, APPLY))
    # words, or a sign of its own, between operands: S log S, S⁻¹ S, S mod n, S ∗ S
    tight = re.findall(r"\S*S\S*", flat)
    needs = {i: POWER if t in {"S", "−S"} else ATOM for i, t in zip(outside, tight, strict=False)}
    signs = re.search(r" [^\w\s□] | [^\w\s□]\S* ", flat)
    level = SUM if flat[0] in "−-" else DOTTED if signs else PRODUCT
    return Form(skeleton, level, needs, frozenset(outside), frozenset(rest))


_PAIRS = {"(": ")", "[": "]", "{": "}", "⌊": "⌋", "⌈": "⌉"}


def _flattened(skeleton: str) -> tuple[str, list[int]]:
    """The notation with S for each operand outside brackets, □ for each bracket; and which."""
    flat, outside, closing, bars = "", [], [], False
    for c in skeleton.replace(" | ", " ∨ "):
        if c in "|‖":
            bars = not bars
            flat += "□" if bars and not closing else ""
        elif c in _PAIRS:
            flat += "" if closing or bars else "□"
            closing.append(_PAIRS[c])
        elif closing and c == closing[-1]:
            closing.pop()
        elif not closing and not bars:
            blank = ord(c) >= BLANK
            flat += "S" if blank else "," if c == "S" else c
            if blank:
                outside.append(ord(c) - BLANK)
    return flat, outside
