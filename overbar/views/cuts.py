"""Where a value lost its history, as the user's source tells it.

What was cut off leaves no node behind: `x.detach()` is a new constant, and under `no_grad` nothing
is recorded. So the source is read backwards, from the expression a constant came from, through the
assignments it used, to a step that cuts (`.detach()`, `float()`, a comparison, `no_grad()`) and
behind which the parameter is found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..errors import place
from ..origin import assignments, parsed

CALLS = {
    "detach": ("detached", "leave .detach() out where the gradient should flow"),
    "stop_gradient": (
        "stopped by stop_gradient",
        "leave ob.stop_gradient out where the gradient should flow",
    ),
    **dict.fromkeys(
        ("numpy", "tolist", "item", "float", "int", "array", "asarray"),
        (
            "turned into plain numbers",
            "stay with overbar's functions and tensors: ob.stack collects results",
        ),
    ),
    "tensor": (
        "copied into a new leaf by ob.tensor",
        "use the tensor itself, or ob.asarray, which keeps its history",
    ),
    **dict.fromkeys(
        ("round", "floor", "ceil", "trunc", "sign", "rint"),
        (
            "rounded, and steps are flat",
            "use a smooth function, or pass the gradient on with ob.custom_vjp",
        ),
    ),
    **dict.fromkeys(
        ("argmax", "argmin", "argsort", "argtopk", "nonzero", "searchsorted"),
        (
            "turned into positions, which are integers",
            "use ob.softmax or ob.max, which have derivatives",
        ),
    ),
    **dict.fromkeys(
        (
            "greater",
            "less",
            "equal",
            "greater_equal",
            "less_equal",
            "not_equal",
            "isfinite",
            "isnan",
        ),
        (
            "compared, and a comparison is flat",
            "use a smooth stand-in such as ob.sigmoid(k * (a - b))",
        ),
    ),
}
"""Calls that cut a gradient: what they do, and the cure."""

INTEGERS = {"int", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"}
TO_INTEGER = ("converted to integers", "stay with floats: integers and booleans have no derivative")
NO_GRAD = ("computed under no_grad()", "move it out of the `with` block")
COMPARED = CALLS["greater"]


class Cut(NamedTuple):
    """One step that cuts: what it does, where, what to do about it."""

    what: str
    filename: str
    line: int
    cure: str

    def __str__(self) -> str:
        return place(self.filename, self.line)


class Scope(NamedTuple):
    """A function (or a module) of a file, and what its arguments were called with."""

    filename: str
    tree: ast.AST
    arguments: dict[str, Any]  # name -> (what it was called with, the caller's scope)


def cut_before(filename: str, line: int, names: Iterable[str], wanted: set[str]) -> Cut | None:
    """The nearest step that cuts, going back from some variables (or a line) to the wanted ones."""
    file = parsed(filename)
    if file.tree is None:
        return None
    scope = Scope(filename, _function_at(file.tree, line), {})
    start: list[ast.AST] = [ast.Name(n, ast.Load()) for n in names]
    start = start or _expressions_on(file.tree, line)
    return next(iter(_cuts(start, scope, line, wanted, frozenset(), 0)), None)


def _expressions_on(tree: ast.Module, line: int) -> list[ast.AST]:
    found = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.stmt) and n.lineno <= line <= (n.end_lineno or 0)
    ]
    smallest = [n for n in found if not hasattr(n, "body")]
    return [v for n in smallest for v in (getattr(n, "value", None),) if v is not None]


def _function_at(tree: ast.Module, line: int) -> ast.AST:
    """The innermost function around a line, or the module."""
    found: ast.AST = tree
    for n in ast.walk(tree):  # from the outside in
        inside = isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        if inside and n.lineno <= line <= (n.end_lineno or 0):
            found = n
    return found


def _cuts(
    expressions: Iterable[ast.AST],
    scope: Scope,
    line: int,
    wanted: set[str],
    seen: frozenset,
    depth: int,
) -> Iterator[Cut]:
    """The cuts behind which a wanted variable is found, nearest first."""
    if depth > 12:
        return
    later = []
    for expression in expressions:
        for node in _walk(expression):
            said = _cutter(node)
            if said and _reaches(node, scope, line, wanted, frozenset(), 0):
                yield Cut(said[0], scope.filename, getattr(node, "lineno", line), said[1])
                return
            later.append(node)
    for node in later:
        for inner, where, at, covered in _behind(node, scope, line):
            key = (id(inner), where.filename)
            if key in seen:
                continue
            if covered and _reaches(inner, where, at, wanted, frozenset(), 0):
                yield Cut(NO_GRAD[0], where.filename, getattr(inner, "lineno", at), NO_GRAD[1])
                return
            yield from _cuts([inner], where, at, wanted, seen | {key}, depth + 1)


def _walk(expression: ast.AST) -> Iterator[ast.AST]:
    """From the outside in: what is nearest to the result comes first."""
    yield expression
    for child in ast.iter_child_nodes(expression):
        yield from _walk(child)


def _cutter(node: ast.AST) -> tuple[str, str] | None:
    """What an expression does to history, and the cure; None if it keeps it."""
    if isinstance(node, ast.Compare):
        return COMPARED
    if not isinstance(node, ast.Call):
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "astype" and node.args:
        kind = node.args[-1]
        word = (
            kind.attr
            if isinstance(kind, ast.Attribute)
            else getattr(kind, "id", getattr(kind, "value", ""))
        )
        return TO_INTEGER if word in INTEGERS else None
    if (
        name == "asarray"
        and isinstance(node.func, ast.Attribute)
        and getattr(node.func.value, "id", "") != "np"
    ):
        return None
    return CALLS.get(name)


def _behind(node: ast.AST, scope: Scope, line: int) -> Iterator[tuple[ast.AST, Scope, int, bool]]:
    """What a variable was assigned, or a function of this file returns.

    Yields (expression, its scope, line, whether it stands under no_grad).
    """
    if isinstance(node, ast.Name | ast.Attribute):
        name = ast.unparse(node)
        found = [(v, s) for s in _statements(scope.tree) for n, v in assignments(s) if n == name]
        before = [(v, s) for v, s in found if v.lineno < line] or found[-1:]
        if before:
            value, statement = before[-1]
            inner = statement.value if isinstance(statement, ast.AugAssign | ast.Assign) else value
            yield inner, scope, value.lineno, _under_no_grad(scope.tree, value.lineno)
        elif name in scope.arguments:
            passed, outer = scope.arguments[name]
            yield passed, outer, getattr(passed, "lineno", line), False
        elif isinstance(node, ast.Name) and not isinstance(scope.tree, ast.Module):
            file = parsed(scope.filename)
            if file.tree is not None:
                outside = Scope(scope.filename, file.tree, {})
                yield from _behind(node, outside, 10**9)
    elif isinstance(node, ast.Call):
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        file = parsed(scope.filename)
        meant = {name, "forward"} if isinstance(node.func, ast.Name) else {name}
        for f in ast.walk(file.tree) if file.tree is not None else ():
            if isinstance(f, ast.FunctionDef) and f.name in meant:
                words = [a.arg for a in f.args.args if a.arg != "self"]
                passed = [(a, scope) for a in node.args]
                given: dict[str, Any] = dict(zip(words, passed, strict=False))
                inside = Scope(scope.filename, f, given)
                decorated = any("no_grad" in ast.unparse(d) for d in f.decorator_list)
                for r in ast.walk(f):
                    if isinstance(r, ast.Return) and r.value is not None:
                        yield r.value, inside, r.lineno, decorated or _under_no_grad(f, r.lineno)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements of a function, not those of functions inside it."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.AsyncFunctionDef):
            continue
        yield child
        yield from _statements(child)


def _under_no_grad(tree: ast.AST, line: int) -> bool:
    return any(
        isinstance(w, ast.With) and w.lineno <= line <= (w.end_lineno or 0)
        and any("no_grad" in ast.unparse(item.context_expr) for item in w.items)
        for w in ast.walk(tree)
    )  # fmt: skip


def _reaches(
    expression: ast.AST, scope: Scope, line: int, wanted: set[str], seen: frozenset, depth: int
) -> bool:
    """Whether a wanted variable is somewhere behind an expression."""
    nodes = list(_walk(expression))
    if any(isinstance(n, ast.Name | ast.Attribute) and _short(n) in wanted for n in nodes):
        return True
    if depth > 12:
        return False
    for node in nodes:
        for inner, where, at, _ in _behind(node, scope, line):
            if id(inner) not in seen and _reaches(
                inner, where, at, wanted, seen | {id(inner)}, depth + 1
            ):
                return True
    return False


def _short(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr
