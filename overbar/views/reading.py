"""A formula that somebody wrote, read: Python, or the notation that overbar prints.

`z_bar*x + R_bar*w`, `z_bar @ x.T`, `z̄ x + R̄ w` and `-(1 - σ(u)) x` are all read. A name ending in
`_bar` is an adjoint. Nothing of it is run as Python: it becomes a tree of a few kinds, which is
evaluated on the numbers of a computation. Start at `read`.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DomainError
from .names import MACRON, bar

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A piece of a formula.

    kind   "number", "name", "sum" (data: the signs), "product" (data: "*", "@" or "/" before each),
           "power", "turned" (transposed), "call" (data: the function, and its keywords), "part"
           (data: the index), "is" (data: "<", ">", ...)
    """

    kind: str
    args: tuple[Part, ...] = ()
    data: Any = None


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(x)))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": _sigmoid, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "abs": np.abs, "sign": np.sign, "sum": np.sum,
    "mean": np.mean, "square": np.square, "relu": lambda x: np.maximum(x, 0), "diag": np.diag,
    "outer": np.outer, "dot": np.dot, "maximum": np.maximum, "minimum": np.minimum,
    "heaviside": lambda x: np.heaviside(x, 0), "cosh": np.cosh, "sinh": np.sinh,
    "softmax": lambda x: np.exp(x - np.max(x, -1, keepdims=True))
    / np.sum(np.exp(x - np.max(x, -1, keepdims=True)), -1, keepdims=True),
    "transpose": np.transpose, "ones": np.ones_like,
}  # fmt: skip
_ALSO = {"σ": "sigmoid", "sigma": "sigmoid", "Σ": "sum", "ln": "log", "multiply": "*"}
_SIGNS = {
    "−": "-", "⊙": "*", "·": "*", "×": "*", "²": "**2", "³": "**3", "ᵀ": ".T", "^": "**",
    "√": "sqrt ", "≤": "<=", "≥": ">=",
}  # fmt: skip


# -- reading ----------------------------------------------------------------------------------


def read(formula: str) -> Part:
    """The formula as a tree.

    Raises:  DomainError if it is not understood.
    """
    text = plainly(formula)
    for spelled in (str, _spelled_out):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # `2 (y - t)` looks like a call
                made = _part(ast.parse(spelled(text), mode="eval").body)
        except SyntaxError:
            continue
        if made is not None:
            return made
    raise _unread(formula)


def _unread(formula: str) -> DomainError:
    return DomainError(
        f"check: the formula {formula!r} is not understood",
        want="names, numbers, + - * / @ **, .T, and functions such as sigmoid, exp, sum",
        hint="an adjoint is written z_bar; for example: z_bar*x + R_bar*w",
    )


def plainly(formula: str) -> str:
    """Bars and signs as Python has them: `z̄ x` becomes `z_bar x`."""
    text = unicodedata.normalize(
        "NFD", formula.rpartition("=")[2] if _names_left(formula) else formula
    )
    text = re.sub(
        rf"((?:\w{MACRON})+)([\w]*)", lambda m: m[1].replace(MACRON, "") + m[2] + "_bar", text
    )
    for sign, said in _SIGNS.items():
        text = text.replace(sign, said)
    return text.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")).strip()


def _names_left(formula: str) -> bool:
    """Whether the formula is given with its left-hand side."""
    return re.fullmatch(r"[^=<>!(]*[^=<>!(]=[^=].*", formula, re.DOTALL) is not None


_TOKEN = re.compile(r"(\s*)(?:([^\W\d]\w*(?:\.T)?)|(\d+\.?\d*(?:e[-+]?\d+)?)|(\*\*|<=|>=|==|.))")


def _spelled_out(text: str) -> str:
    """What only stands side by side, spelled out: `z_bar x` is `z_bar @ x`, `log p` `log(p)`."""
    tokens = [(name or number or sign, blank) for blank, name, number, sign in _TOKEN.findall(text)]
    out: list[str] = []
    opened = 0  # functions without brackets that wait for their operand
    for i, (word, blank) in enumerate(tokens):
        after = tokens[i + 1][0] if i + 1 < len(tokens) else ""
        operand = word[0].isalnum() or word[0] == "_"
        begins = operand or word == "(" or (word == "[" and blank)
        function = _ALSO.get(word, word) in FUNCTIONS
        if begins and out and _ends_operand(out[-1]):
            out.append("@")
        out.append(word)
        if function and after != "(":
            out.append("(")
            opened += 1
        elif operand and opened and not function and after != "**":
            out += [")"] * opened
            opened = 0
    return " ".join(out + [")"] * opened)


def _ends_operand(word: str) -> bool:
    called = _ALSO.get(word, word) in FUNCTIONS
    return not called and (word[-1].isalnum() or word[-1] in "_)]")


_OPERATORS = {ast.Mult: "*", ast.MatMult: "@", ast.Div: "/"}
_COMPARED = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<=", ast.Eq: "=="}


def _part(e: ast.AST) -> Part | None:
    if isinstance(e, ast.Constant) and type(e.value) in (int, float):
        return Part("number", (), e.value)
    if isinstance(e, ast.Name):
        return Part("name", (), e.id)
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub | ast.UAdd):
        inside = _part(e.operand)
        sign = -1 if isinstance(e.op, ast.USub) else 1
        return inside and summed([(sign, inside)])
    if isinstance(e, ast.BinOp):
        return _operation(e)
    if isinstance(e, ast.Attribute) and e.attr in ("T", "mT"):
        inside = _part(e.value)
        return inside and Part("turned", (inside,))
    if isinstance(e, ast.Attribute):  # fc.weight
        inside = _part(e.value)
        return (
            Part("name", (), f"{inside.data}.{e.attr}")
            if inside and inside.kind == "name"
            else None
        )
    if isinstance(e, ast.Call):
        return _call(e)
    if isinstance(e, ast.Subscript) and isinstance(e.slice, ast.Constant):
        inside = _part(e.value)
        return inside and Part("part", (inside,), e.slice.value)
    if isinstance(e, ast.Compare) and len(e.ops) == 1 and type(e.ops[0]) in _COMPARED:
        left, right = _part(e.left), _part(e.comparators[0])
        return Part("is", (left, right), _COMPARED[type(e.ops[0])]) if left and right else None
    if isinstance(e, ast.List) and len(e.elts) == 1:  # [h > 0]
        return _part(e.elts[0])
    return None


def _operation(e: ast.BinOp) -> Part | None:
    left, right = _part(e.left), _part(e.right)
    if left is None or right is None:
        return None
    if isinstance(e.op, ast.Add | ast.Sub):
        return summed([(1, left), (1 if isinstance(e.op, ast.Add) else -1, right)])
    if isinstance(e.op, ast.Pow):
        return Part("power", (left, right))
    sign = _OPERATORS.get(type(e.op))
    return sign and multiplied([("*", left), (sign, right)])  # type: ignore[return-value]


def _call(e: ast.Call) -> Part | None:
    function = e.func.attr if isinstance(e.func, ast.Attribute) else getattr(e.func, "id", "")
    name = _ALSO.get(function, function)
    args = [_part(a) for a in e.args]
    if isinstance(e.func, ast.Attribute) and not (
        isinstance(e.func.value, ast.Name) and e.func.value.id in ("np", "ob", "torch", "jnp")
    ):
        args.insert(0, _part(e.func.value))  # x.sum()
    words = {k.arg: k.value.value for k in e.keywords if isinstance(k.value, ast.Constant)}
    if any(a is None for a in args) or (name not in FUNCTIONS and name != "*"):
        return None
    if name == "*":
        return multiplied([("*", a) for a in args if a])
    return Part("call", tuple(a for a in args if a), (name, tuple(words.items())))


def summed(terms: list[tuple[int, Part]]) -> Part:
    """A sum; sums within are taken in."""
    flat: list[tuple[int, Part]] = []
    for sign, t in terms:
        if t.kind == "sum" and (sign > 0 or len(t.args) == 1):
            flat += [(sign * s, a) for s, a in zip(t.data, t.args, strict=True)]
        else:
            flat.append((sign, t))
    if len(flat) == 1 and flat[0][0] == 1:
        return flat[0][1]
    return Part("sum", tuple(a for _, a in flat), tuple(s for s, _ in flat))


def multiplied(factors: list[tuple[str, Part]]) -> Part:
    """A product; products on the left are taken in."""
    (_, first), *rest = factors
    flat = (
        list(zip(first.data, first.args, strict=True)) if first.kind == "product" else factors[:1]
    )
    flat += rest
    return (
        flat[0][1]
        if len(flat) == 1
        else Part("product", tuple(a for _, a in flat), tuple(s for s, _ in flat))
    )


# -- evaluating -------------------------------------------------------------------------------


def worth(e: Part, values: Values) -> Any:
    """What a formula is worth.

    Raises:  KeyError for a name that stands for nothing, ValueError for shapes that do not fit.
    """
    if e.kind == "number":
        return e.data
    if e.kind == "name":
        return values[e.data]
    args = [worth(a, values) for a in e.args]
    if e.kind == "sum":
        return sum(s * a for s, a in zip(e.data, args, strict=True))
    if e.kind == "product":
        made = args[0]
        for sign, a in zip(e.data[1:], args[1:], strict=True):
            made = made / a if sign == "/" else made * a if sign == "*" else _matrix(made, a)
        return made
    if e.kind == "power":
        return np.asarray(args[0], np.result_type(float, args[0])) ** args[1]
    if e.kind == "turned":
        x = np.asarray(args[0])
        return x[None, :] if x.ndim == 1 else np.swapaxes(x, -1, -2) if x.ndim else x
    if e.kind == "part":
        return np.asarray(args[0])[e.data]
    if e.kind == "is":
        compare = {">": np.greater, "<": np.less, ">=": np.greater_equal, "<=": np.less_equal}
        return compare.get(e.data, np.equal)(*args).astype(float)
    name, words = e.data
    return FUNCTIONS[name](*args, **dict(words))


def _matrix(a: Any, b: Any) -> Any:
    """The matrix product; a number scales, a vector is a column."""
    a, b = np.asarray(a), np.asarray(b)
    if not a.ndim or not b.ndim:
        return a * b
    if a.ndim == 1 and b.ndim == 2 and b.shape[0] == 1:
        a = a[:, None]
    made = a @ b
    return made[0] if a.shape == (1, a.size) and b.ndim == 1 else made


# -- writing ----------------------------------------------------------------------------------


def said(e: Part, level: int = 0) -> str:
    """The formula as overbar would print it."""
    if e.kind == "number":
        return f"{e.data:g}".replace("-", "−")
    if e.kind == "name":
        name = str(e.data)
        return bar(name.removesuffix("_bar")) if name.endswith("_bar") else name
    if e.kind == "sum":
        text = ""
        for sign, a in zip(e.data, e.args, strict=True):
            plus, minus = (" + ", " − ") if text else ("", "−")
            text += (plus if sign > 0 else minus) + said(a, 1 if sign > 0 else 2)
        return f"({text})" if level > 0 else text
    if e.kind == "product":
        first = e.args[0]
        negative = first.kind == "sum" and first.data == (-1,)
        text = "−" + said(first.args[0], 2) if negative else said(first, 2)
        for sign, a in zip(e.data[1:], e.args[1:], strict=True):
            text += (" / " if sign == "/" else " · " if a.kind == "number" else " ") + said(
                a, 2 + (sign == "/")
            )
        return f"({text})" if level > (0 if negative else 2) else text
    if e.kind == "power":
        exponent = {"2": "²", "3": "³"}.get(said(e.args[1]), f"^{said(e.args[1], 4)}")
        return said(e.args[0], 4) + exponent
    if e.kind == "turned":
        return said(e.args[0], 4) + "ᵀ"
    if e.kind == "part":
        return f"{said(e.args[0], 4)}[{e.data}]"
    if e.kind == "is":
        return f"[{said(e.args[0])} {e.data} {said(e.args[1])}]"
    name, words = e.data
    inside = ", ".join([said(a) for a in e.args] + [f"{k}={v}" for k, v in words])
    sign = {"sigmoid": "σ", "sum": "Σ"}.get(name, str(name))
    return f"{sign}({inside})"


def names_in(e: Part) -> list[str]:
    """The names of a formula, each once."""
    found: dict[str, None] = {}
    stack = [e]
    while stack:
        at = stack.pop()
        if at.kind == "name":
            found[at.data] = None
        stack.extend(reversed(at.args))
    return list(found)
