"""What to call a node, and how a name is written.

In this order: the name it was given (`name=`, a path in a module), the variable the user assigned
it to, the argument of the function explained, the way the source calls it where it is used, a
variable of the caller, a textbook letter. Names are unique: what a loop makes is numbered,
h₁ h₂ h₃. They are kept by age, never by node, so that no name holds an array alive.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..graph import CONST, INPUT, Node
from ..origin import operands, unpacked
from .record import node_of

MACRON = "\u0304"
POINT = "\u0307"
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_HIGH = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_IMPLICIT = {"broadcast", "cast", "reshape", "alias"}
_CALLED = {
    "Add": ("add",), "Sub": ("subtract",), "Mult": ("multiply",), "Div": ("divide",),
    "MatMult": ("matmul",), "Pow": ("power", "whole_power"), "pow": ("power", "whole_power"),
    "power": ("power", "whole_power"), "USub": ("negative",), "getitem": ("slice", "gather"),
}  # fmt: skip
"""What the source says, and the operations it may mean."""


# -- how a name is written --------------------------------------------------------------------


def bar(name: str) -> str:
    """The name with a bar over its letters, and over those of its last part only: `fc.w̄`, `W̄1`."""
    name, bracket, index = name.partition("[")
    head, dot, last = name.rpartition(".")
    return head + dot + re.sub(r"[^\W\d_₀-₉]", lambda m: m[0] + MACRON, last) + bracket + index


def dot(name: str) -> str:
    """The name with a dot over the first letter of its last part: `ẋ1`, `fc.ẇeight`."""
    name, bracket, index = name.partition("[")
    head, point, last = name.rpartition(".")
    return (
        head + point + re.sub(r"[^\W\d_]", lambda m: m[0] + POINT, last, count=1) + bracket + index
    )


def width(text: str) -> int:
    """How many columns a text takes: a combining bar takes none."""
    return sum(not unicodedata.combining(c) for c in text)


_ASCII = {
    "−": "-", "σ": "sigmoid", "√": "sqrt ", "Σ": "sum", "²": "^2", "³": "^3", "ᵀ": ".T", "⊙": "*",
    "⟨": "<", "⟩": ">", "─": "-", "│": "|", "┼": "+",
    "≤": "<=", "≥": ">=", "≠": "!=", "¬": "not ", "∧": "and", "∨": "or", "⊕": "xor", "⌊": "floor(",
    "⌋": ")", "⌈": "ceil(", "⌉": ")", "…": "...", "·": "*", "×": "x", "‖": "|", "∂": "d", "←": "<-",
    "→": "->", "↓": "", "↑": "", "′": "'", "⁻": "^-",
    **{c: f"^{i}" for i, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}  # fmt: skip


def ascii_of(text: str) -> str:
    """The text in ASCII: `w̄` is `w_bar`, `σ(z)` is `sigmoid(z)`."""
    barred = re.sub(
        rf"((?:\w{MACRON})+)(\w*)", lambda m: m[1].replace(MACRON, "") + m[2] + "_bar", text
    )
    dotted = re.sub(rf"(\w){POINT}(\w*)", r"\1\2_dot", barred)
    plain = "".join(_ASCII.get(c, c) for c in dotted.translate(_HIGH))
    return unicodedata.normalize("NFKD", plain).encode("ascii", "backslashreplace").decode()


_GREEK = {
    **{w: "\\" + w for w in (
        "alpha", "beta", "gamma", "delta", "epsilon", "eta", "theta", "kappa", "lambda", "mu",
        "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "zeta",
    )},
    **dict(zip(
        "αβγδεηθκλμνξπρστφχψωζ",
        (r"\alpha", r"\beta", r"\gamma", r"\delta", r"\epsilon", r"\eta", r"\theta",
         r"\kappa", r"\lambda", r"\mu", r"\nu", r"\xi", r"\pi", r"\rho", r"\sigma", r"\tau",
         r"\phi", r"\chi", r"\psi", r"\omega", r"\zeta"), strict=True,
    )),
    **dict(zip(
        "ΓΔΘΛΞΠΣΥΦΨΩ",
        (r"\Gamma", r"\Delta", r"\Theta", r"\Lambda", r"\Xi", r"\Pi", r"\Sigma", r"\Upsilon",
         r"\Phi", r"\Psi", r"\Omega"), strict=True,
    )),
    "ℓ": r"\ell", "lam": r"\lambda", "lambda_": r"\lambda", "…": r"\dots", "□": r"\square",
    "𝟏": r"\mathbf{1}",
}  # fmt: skip


def stem_and_index(name: str) -> tuple[str, str]:
    """A name as textbooks write it, with an index: `w1`, `x_1`, `W_h`, `h₃`."""
    name = name.translate(_HIGH)
    found = re.fullmatch(r"([^\W\d_])_(\w+)", name) or re.fullmatch(
        r"(.*?)_?([0-9]*)", name, re.DOTALL
    )
    stem, index = found.groups()  # type: ignore[union-attr]
    return (stem, index) if stem else (name, "")


def tex_of(name: str, barred: bool = False, *, dotted: bool = False) -> str:
    r"""The name in LaTeX: `\bar{w}_{1}`."""
    stem, index = stem_and_index(unicodedata.normalize("NFC", name))
    short = len(stem) == 1 or stem in _GREEK
    letter = _GREEK.get(stem) or _escaped(stem)
    if not short:
        letter = rf"\mathrm{{{letter}}}"
    if barred:
        letter = rf"\bar{{{letter}}}" if short else rf"\overline{{{letter}}}"
    if dotted:
        letter = rf"\dot{{{letter}}}"
    below = _escaped(index)
    if len(index) > 1 and not index.isdigit():
        below = rf"\mathrm{{{below}}}"
    return letter + (f"_{{{below}}}" if index else "")


_SPECIAL = {
    "\\": r"\backslash ", "^": r"\wedge ", "~": r"\sim ", "{": r"\{", "}": r"\}",
    **{c: "\\" + c for c in "_#%&$"},
}  # fmt: skip


_ACCENTS = {
    "\u0300": r"\grave", "\u0301": r"\acute", "\u0302": r"\hat", "\u0303": r"\tilde",
    "\u0304": r"\bar", "\u0306": r"\breve", "\u0307": r"\dot", "\u0308": r"\ddot",
    "\u030c": r"\check",
}  # fmt: skip


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(c) or _accented(c) for c in text)


def _accented(letter: str) -> str:
    r"""A letter with its accents in LaTeX: `ŷ` is `\hat{y}`."""
    base, *marks = unicodedata.normalize("NFD", letter)
    if not base.isascii() or any(m not in _ACCENTS for m in marks):
        return f"{_GREEK[letter]} " if letter in _GREEK else rf"\text{{{letter}}}"
    for mark in marks:
        base = rf"{_ACCENTS[mark]}{{{base}}}"
    return base


# -- which name -------------------------------------------------------------------------------


def names_of(
    nodes: Sequence[Node],
    outputs: Iterable[Node] = (),
    given: Mapping[Node, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> dict[int, str]:
    """A unique name for every node that deserves one, by serial; oldest first in `nodes`.

    Weak constants and nodes that are only part of an expression may have none. `given` names come
    from the arguments of a function, `variables` from the caller.
    """
    given = given or {}
    wishes = _wishes(nodes, list(outputs), given, variables or {})
    wanted = Counter(wishes.values())
    numbers: dict[str, int] = defaultdict(int)
    names: dict[int, str] = {}
    used = set(wishes.values())
    leaves = {n.serial: n for n in nodes if not n.inputs or n in given}
    first: dict[str, Node] = {}  # the leaf that keeps a name as it is
    for serial, wish in wishes.items():
        if serial in leaves:
            first.setdefault(wish, leaves[serial])
    for node in nodes:
        wish = wishes.get(node.serial)
        if wish is None:
            continue
        own = first.get(wish)
        if wanted[wish] == 1 or node is own or (own is not None and _same(node, own)):
            names[node.serial] = wish  # a constant that is brought in twice has one name
            continue
        while True:
            numbers[wish] += 1
            name = wish + ("_" if wish[-1].isdigit() else "") + str(numbers[wish]).translate(_LOW)
            if name not in used:
                break
        names[node.serial] = name
        used.add(name)
    return names


def known_as(names: Mapping[int, str], node: Node) -> str:
    """The name of a node, or that of its operation."""
    return names.get(node.serial) or str(node.op.name)


def _wishes(
    nodes: Sequence[Node],
    outputs: list[Node],
    given: Mapping[Node, str],
    variables: Mapping[str, Any],
) -> dict[int, str]:
    """What each node would like to be called; what is only given a letter comes last."""
    assigned = _assigned(nodes)
    spoken = _spoken(nodes)
    held = {
        n.serial: k
        for k, v in variables.items()
        if k.isidentifier() and (n := node_of(v)) is not None  # pytest keeps values as @py_assert1
    }
    wishes: dict[int, str] = {}
    for node in nodes:
        serial = node.serial
        wish = (
            given.get(node)
            or _own(node)
            or assigned.get(serial)
            or spoken.get(serial)
            or held.get(serial)
        )
        if wish is not None:
            wishes[serial] = _short(wish)
    ends = [y for y in outputs if y.inputs and y.serial not in wishes]
    for y in ends:
        wishes[y.serial] = "L" if not isinstance(y.spec, tuple) and y.spec.size == 1 else "y"
    for node in nodes:
        if not node.inputs and node.serial not in wishes and not _is_number(node):
            wishes[node.serial] = _letter(node)
    return wishes


def _same(a: Node, b: Node) -> bool:
    """Whether two constants are equal."""
    return a.op is b.op is CONST and a.spec is b.spec and np.array_equal(a.value, b.value)


def _short(name: str) -> str:
    """`self.w` and `params['w']` are called w."""
    return re.sub(r"^.*\[['\"](\w+)['\"]\]$", r"\1", name.removeprefix("self."))


def _own(node: Node) -> str | None:
    """The name it was given, or that of its handle."""
    if node.inputs:
        return None
    handle = node.handle() if hasattr(node, "handle") else None
    return node.params.get("name") or (handle.name if handle is not None else None)


def _is_number(node: Node) -> bool:
    """Whether a constant is one number, once or everywhere: it is told as that number."""
    if node.op is INPUT:
        return False
    flat = np.asarray(node.value).ravel()
    return flat.size == 1 or (flat.size > 0 and bool((flat == flat[0]).all()))


def _letter(node: Node) -> str:
    """A textbook letter for a leaf."""
    matrix = node.spec.ndim >= 2
    if hasattr(node, "handle"):
        return "W" if matrix else "w"
    return "X" if matrix else "x"


def letter_for(node: Node) -> str:
    """A textbook letter for an inner node: e for a difference, z for a sum, h = tanh(z), y = σ(z),
    else v.
    """
    while node.op.name in _IMPLICIT and node.inputs:
        node = node.inputs[0]
    return _LETTERS.get(node.op.name, "v")


_LETTERS = {
    "subtract": "e", "add": "z", "matmul": "z", "sigmoid": "y", "softmax": "y",
    **dict.fromkeys(("relu", "ramp", "tanh", "elu", "gelu", "gelu_tanh", "silu", "softplus"), "h"),
}  # fmt: skip


def _assigned(nodes: Sequence[Node]) -> dict[int, str]:
    """The variables that nodes were assigned to.

    One instruction may make many nodes: a call of `mean` makes a sum and a quotient, and only the
    last is what is assigned; an instruction in a loop makes one after the other, and each is.
    """
    made: dict[Any, list[Node]] = defaultdict(list)
    for node in nodes:
        if (node.inputs or hasattr(node, "handle")) and node.code is not None:
            made[node.code, node.at].append(node)
    names: dict[int, str] = {}
    for group in made.values():
        origin = group[0].origin
        if origin is None or origin.name is None:
            names |= _parts(group)
            continue
        shown = [n for n in group if n.op.name not in {"broadcast", "cast"}] or group
        period = _period([n.op.name for n in shown])
        for i in range(period - 1, len(shown), period):
            names[shown[i].serial] = origin.name
    return names


def _parts(group: Sequence[Node]) -> dict[int, str]:
    """`Q, R = qr(A)`, `i, f = split(z, 2)`: what several results are unpacked into."""
    words = unpacked(group[0].code, group[0].at)
    there = [n for n in group if n.op.name == "part" and n.params["count"] == len(words)]
    if there:
        return {n.serial: words[n.params["index"]] for n in there}
    pieces = [n.serial for n in group if n.op.name == "slice"]
    return dict(zip(pieces, words, strict=True)) if len(pieces) == len(words) else {}


def _period(words: list[str]) -> int:
    """The length of the shortest word sequence that repeats to give the whole."""
    n = len(words)
    return next(p for p in range(1, n + 1) if n % p == 0 and words == words[:p] * (n // p))


def _spoken(nodes: Sequence[Node]) -> dict[int, str]:
    """What the source calls leaves where it uses them, if it calls them one thing.

    A Python number is one leaf wherever it occurs, so it has a name only if every use gives it.
    """
    said: dict[int, set[str | None]] = defaultdict(set)
    for node in nodes:
        if not node.inputs or node.op.name in _IMPLICIT:
            continue
        called, words = operands(node.code, node.at)
        told = len(node.inputs) == 1 or len(words) == len(node.inputs)
        if not told or node.op.name not in _CALLED.get(called, (called,)):
            words = ()
        for i, x in enumerate(node.inputs):
            leaf, word = x, words[i] if i < len(words) else None
            while (
                leaf.inputs
                and leaf.op.name in _IMPLICIT
                and (leaf.code, leaf.at) == (node.code, node.at)
            ):
                leaf = leaf.inputs[0]
            if not leaf.inputs and (word is not None or leaf.spec.weak):
                said[leaf.serial].add(word)
    return {serial: word for serial, (word, *more) in said.items() if word is not None and not more}
