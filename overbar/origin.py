"""Where in the user's source a node was made.

While recording, a node keeps two words: the code object and the instruction of the innermost
frame that is not overbar's own. File, line, the name assigned to and the operands' names are
worked out from them only when somebody asks, so that origins are cheap enough to be always on.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import sys
from types import CodeType, FrameType
from typing import NamedTuple

from .errors import place


def _files() -> set[str]:
    """Every source file of the package, as code objects name them."""
    root = os.path.dirname(__file__)  # noqa: PTH120  (strings, as in code objects; and at each import)
    return {
        f"{here}{os.sep}{f}" for here, _, files in os.walk(root) for f in files if f.endswith(".py")
    }


OURS: set[str] = _files()
"""overbar's own files: their frames are never an origin."""

Place = tuple[int | None, int | None, int | None, int | None]
"""First line, last line, first column, last column: of an instruction, or of an expression."""


class Origin(NamedTuple):
    """A place in the user's source: `name` is the variable that the expression was assigned to."""

    filename: str
    line: int
    name: str | None

    @property
    def source(self) -> str:
        """The line of source, without its indentation; empty if the file cannot be read."""
        return linecache.getline(self.filename, self.line).strip()

    def __str__(self) -> str:
        return place(self.filename, self.line)


def users_frame(depth: int) -> FrameType:
    """The innermost frame outside overbar, looking from `depth` frames above the caller."""
    frame = sys._getframe(depth + 1)
    while frame.f_code.co_filename in OURS:
        outer = frame.f_back
        if outer is None:
            break
        frame = outer
    return frame


def resolve(code: CodeType | None, at: int) -> Origin | None:
    """The Origin of an instruction, or None where nothing was recorded."""
    return None if code is None else _resolve(code, at, code.co_filename)


@functools.lru_cache(maxsize=4096)
def _resolve(code: CodeType, at: int, filename: str) -> Origin:
    # `filename` is part of the key: equal code in two files is equal to Python
    where = _place(code, at)
    line = where[0] or code.co_firstlineno
    return Origin(filename, line, parsed(filename).assigned(where))


def _place(code: CodeType, at: int) -> Place:
    positions = list(code.co_positions())
    return positions[at // 2] if at // 2 < len(positions) else (None, None, None, None)


def operands(code: CodeType | None, at: int) -> tuple[str, tuple[str | None, ...]]:
    """What the source calls the operation at an instruction, and its operands; ("", ()) if unknown.

    An operand that is no variable, attribute or constant subscript has no name.
    """
    if code is None:
        return "", ()
    expression = parsed(code.co_filename).expression(_place(code, at))
    if isinstance(expression, ast.BinOp):
        return type(expression.op).__name__, (_called(expression.left), _called(expression.right))
    if isinstance(expression, ast.AugAssign):
        return type(expression.op).__name__, (_called(expression.target), _called(expression.value))
    if isinstance(expression, ast.UnaryOp):
        return type(expression.op).__name__, (_called(expression.operand),)
    if isinstance(expression, ast.Subscript):
        return "getitem", (_called(expression.value),)
    if isinstance(expression, ast.Call):
        function, args = expression.func, tuple(_called(a) for a in expression.args)
        if isinstance(function, ast.Attribute):
            receiver = _called(function.value)
            module = (receiver or "").partition(".")[0] in parsed(code.co_filename).modules
            return function.attr, args if module else (receiver, *args)
        if isinstance(function, ast.Name):
            return function.id, args
    return "", ()


def unpacked(code: CodeType | None, at: int) -> tuple[str, ...]:
    """The names that the results of an instruction are unpacked into: `Q, R = qr(A)`."""
    return () if code is None else parsed(code.co_filename).unpacked.get(_place(code, at), ())


def statement(code: CodeType | None, at: int) -> tuple[str, int] | None:
    """The file and the first line of the statement that an instruction belongs to."""
    if code is None:
        return None
    line = _place(code, at)[0] or code.co_firstlineno
    return code.co_filename, parsed(code.co_filename).starts.get(line, line)


def _called(expression: ast.expr) -> str | None:
    """`w`, `self.w` and `params["w"]` as they are written; None for what is computed."""
    inner = expression
    while isinstance(inner, ast.Attribute) or (
        isinstance(inner, ast.Subscript) and isinstance(inner.slice, ast.Constant)
    ):
        inner = inner.value
    return ast.unparse(expression) if isinstance(inner, ast.Name) else None


# -- a file, read once ------------------------------------------------------------------------


class Parsed:
    """What a file of source says: its expressions and assignments, by place.

    starts   line -> the first line of the innermost simple statement it belongs to
    modules  the names that stand for imported modules
    unpacked the place of an expression -> the names its several results are given
    """

    def __init__(self, source: str) -> None:
        try:
            self.tree: ast.Module | None = ast.parse(source)
        except (SyntaxError, ValueError):
            self.tree = None
        self._expressions: dict[Place, ast.AST] = {}
        self._targets: dict[Place, str] = {}
        self._lines: dict[int, str] = {}
        self.starts: dict[int, int] = {}
        self.modules = {"ob"}
        self.unpacked: dict[Place, tuple[str, ...]] = {}
        for node in ast.walk(self.tree) if self.tree else ():
            if isinstance(node, ast.expr | ast.AugAssign):
                self._expressions.setdefault(_span(node), node)
            if isinstance(node, ast.stmt) and not hasattr(node, "body"):
                self.starts.update(
                    dict.fromkeys(range(node.lineno, (node.end_lineno or 0) + 1), node.lineno)
                )
            if isinstance(node, ast.Import):
                self.modules.update(a.asname or a.name.partition(".")[0] for a in node.names)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple | ast.List):
                self.unpacked[_span(node.value)] = tuple(
                    ast.unparse(t) for t in node.targets[0].elts
                )
            for target, value in assignments(node):
                self._targets.setdefault(_span(value), target)
                self._lines.setdefault(value.lineno, target)

    def assigned(self, where: Place) -> str | None:
        """The variable whose whole right-hand side is the expression at this place."""
        if where[0] is None:
            return None
        return self._lines.get(where[0]) if where[2] is None else self._targets.get(where)

    def expression(self, where: Place) -> ast.AST | None:
        """The expression at this place."""
        return self._expressions.get(where)


def _span(node: ast.expr | ast.stmt) -> Place:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def assignments(statement: ast.AST) -> list[tuple[str, ast.expr | ast.stmt]]:
    """The (name, expression) pairs of a statement: `a = x`, `a: T = x`, `(a := x)`, `a, b = x, y`,
    `a += x` (the whole statement makes a) and `a[i] = x` (the place written to makes a).
    """
    if isinstance(statement, ast.AugAssign):
        pairs: list[tuple[ast.expr, ast.expr | ast.stmt]] = [(statement.target, statement)]
    elif isinstance(statement, ast.Assign):
        pairs = [(statement.targets[0], statement.value)]
    elif isinstance(statement, ast.AnnAssign | ast.NamedExpr) and statement.value is not None:
        pairs = [(statement.target, statement.value)]
    else:
        return []
    (target, value), found = pairs[0], []
    if (
        isinstance(target, ast.Tuple)
        and isinstance(value, ast.Tuple)
        and len(target.elts) == len(value.elts)
    ):
        pairs = list(zip(target.elts, value.elts, strict=True))
    for target, value in pairs:
        if isinstance(target, ast.Name | ast.Attribute):
            found.append((ast.unparse(target), value))
        elif isinstance(target, ast.Subscript) and (name := _called(target.value)):
            found.append((name, value if value is statement else target))
    return found


def parsed(filename: str) -> Parsed:
    """The file as it is known to `linecache`; one that cannot be read says nothing."""
    return _parsed("".join(linecache.getlines(filename)))


@functools.lru_cache(maxsize=64)
def _parsed(source: str) -> Parsed:
    return Parsed(source)
