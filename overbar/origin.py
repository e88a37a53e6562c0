"""Where in the user's source a node was made.

While recording, a node keeps two words: the code object and the instruction of the innermost
frame that is not overbar's own. File, line and the name assigned to are worked out from them
only when somebody asks, so that origins are cheap enough to be always on.
"""

from __future__ import annotations

import ast
import functools
import linecache
import sys
from types import CodeType, FrameType
from typing import NamedTuple

from .errors import place

OURS: set[str] = {__name__}
"""The engine's own modules: their frames are never an origin."""


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
    while frame.f_globals.get("__name__") in OURS:
        outer = frame.f_back
        if outer is None:
            break
        frame = outer
    return frame


def resolve(code: CodeType | None, at: int) -> Origin | None:
    """The Origin of an instruction, or None where nothing was recorded."""
    return None if code is None else _resolve(code, at)


@functools.lru_cache(maxsize=4096)
def _resolve(code: CodeType, at: int) -> Origin:
    positions = list(code.co_positions())
    line, _, column, _ = positions[at // 2] if at // 2 < len(positions) else (None,) * 4
    line = line or code.co_firstlineno
    return Origin(code.co_filename, line, _assigned(code.co_filename, line, column, positions[at // 2]))


def _assigned(filename: str, line: int, column: int | None, span: tuple) -> str | None:
    """The variable whose whole right-hand side is the expression at this position."""
    for target, value in _assignments(filename).get(line, ()):
        here = (value.lineno, value.end_lineno, value.col_offset, value.end_col_offset)
        if column is None or here == span:
            return target
    return None


@functools.lru_cache(maxsize=64)
def _assignments(filename: str) -> dict[int, list[tuple[str, ast.expr]]]:
    """For each line: the (name, expression) pairs of the assignments that start there."""
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, list[tuple[str, ast.expr]]] = {}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            pairs = [(statement.targets[0], statement.value)]
        elif isinstance(statement, ast.AnnAssign | ast.NamedExpr) and statement.value is not None:
            pairs = [(statement.target, statement.value)]
        else:
            continue
        for target, value in pairs:
            if isinstance(target, ast.Name | ast.Attribute):
                found.setdefault(value.lineno, []).append((ast.unparse(target), value))
    return found
