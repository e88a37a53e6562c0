"""What the package offers, read off it: names, homes, signatures, what can be differentiated."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import overbar as ob
from overbar.elementwise import Elementwise
from overbar.primitive import PRIMITIVES, PUBLIC, Primitive

NAME = ob.__name__
SPACES = [space for space in PUBLIC if space]
LIBRARY = (
    "random", "nn", "nn.functional", "nn.init", "nn.penalty", "optim", "optim.lr_scheduler",
    "data", "models", "metrics", "testing", "sparse", "scipy", "scipy.stats", "scipy.linalg",
    "scipy.integrate",
)  # fmt: skip
"""The modules of the library that have a section in the reference."""


def public_names() -> dict[str, Any]:
    """The names of the package that are neither private nor modules, in the alphabet's order."""
    names = sorted((n for n in dir(ob) if n[:1] != "_"), key=str.lower)
    found = {n: getattr(ob, n) for n in names}
    return {n: v for n, v in found.items() if not isinstance(v, types.ModuleType)}


def is_operation(name: str, value: Any) -> bool:
    """Whether `ob.name` is one of the operations, and not shadowed by something else."""
    return callable(value) and PUBLIC[""].get(name) is value


def unwrapped(function: Any) -> Any:
    """The function as its author wrote it."""
    return inspect.unwrap(function) if callable(function) else function


def home(function: Any) -> str:
    """The module that knows an operation; of an elementwise one, that of its forward or rules."""
    function = unwrapped(function)
    op = getattr(function, "primitive", None)
    return home_of_primitive(op) if op is not None else function.__module__


@functools.cache
def home_of_primitive(op: Primitive) -> str:
    """The module that assigns a primitive to a name; others may import it."""
    for module in [m for n, m in sorted(sys.modules.items()) if n.startswith(f"{NAME}.")]:
        for name, value in vars(module).items():
            if value is op and re.search(rf"^{name}\b.*= ", source(module), re.MULTILINE):
                return module.__name__
    for rule in op.partials if isinstance(op, Elementwise) and not op.flat else (op.forward,):
        if hasattr(rule, "__module__"):
            return rule.__module__
    return f"{NAME}.primitive"


@functools.cache
def source(module: types.ModuleType) -> str:
    """The text of a module."""
    return inspect.getsource(module)


def primitive_of(name: str, function: Any) -> Primitive | None:
    """The primitive behind a public function, if there is one of its own."""
    return getattr(unwrapped(function), "primitive", None) or PRIMITIVES.get(name)


def support(name: str, function: Any) -> str:
    """The last column of the tables: see LEGEND."""
    op = primitive_of(name, function)
    if op is not None:
        return supported(op)
    returns = str(getattr(unwrapped(function), "__annotations__", {}).get("return", ""))
    return (
        "composed"
        if any(word in returns for word in ("Tensor", "TopK", "SVD", "QR", "Eig"))
        else "—"
    )


def supported(op: Primitive) -> str:
    """What the rules of a primitive cover."""
    if op.flat:
        return "flat"
    forward = getattr(getattr(op.jvp, "rule", None), "__code__", None)
    refuses = forward is not None and "RuleMissingError" in forward.co_names
    letters = ["R", "" if refuses else "F", "C" if op.complex else "", "B" if op.batch else "L"]
    return " ".join(filter(None, letters))


def is_offered(name: str) -> bool:
    """Whether `ob.name` is a module that users are meant to reach."""
    top = {path.partition(".")[0] for path in LIBRARY} | set(SPACES) | {"errors", "trees", "store"}
    return name in top and isinstance(getattr(ob, name), types.ModuleType)


def offered_by(module: types.ModuleType) -> list[tuple[str, Any]]:
    """The public functions and classes of a module, in its own order if it states one."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = sorted(n for n, v in vars(module).items() if n[:1] != "_" and is_own(v, module))
    found = [(n, getattr(module, n)) for n in names]
    return [(n, v) for n, v in found if callable(v)]


def is_own(value: Any, module: types.ModuleType) -> bool:
    """Whether a module defines this itself."""
    return getattr(value, "__module__", "") == module.__name__


def error_classes() -> list[type]:
    """The classes of `overbar.errors`, the root first."""
    from overbar import errors as module

    found = [
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Exception) and is_own(v, module)
    ]
    return sorted(
        found, key=lambda c: (len(c.__mro__) > len(module.OverbarError.__mro__), c.__name__)
    )


# -- how it is said ---------------------------------------------------------------------------


def said(thing: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    text = inspect.getdoc(thing) or ""
    return " ".join(text.partition("\n\n")[0].split())


def usage(function: Any) -> str:
    """The arguments as one would write them: `x, /, axis=None`; no types."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "..."
    bare = [
        p.replace(annotation=p.empty, default=p.default if plain(p.default) else _Dots())
        for p in signature.parameters.values()
        if p.name != "self"
    ]
    text = str(inspect.Signature(bare))[1:-1]
    return "" if text == "*args, **kwargs" and isinstance(function, type) else text


class _Dots:
    def __repr__(self) -> str:
        return "..."


def plain(default: Any) -> bool:
    """Whether a default can be written down as it is."""
    return (
        default is inspect.Parameter.empty
        or default is None
        or type(default) in (bool, int, float, str, tuple)
    )


def grouped(items: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Names by the module that knows them: (its last word, its first line, the names)."""
    homes: dict[str, dict[str, Any]] = {}
    for name, value in items.items():
        homes.setdefault(home(value), {})[name] = value
    for module in sorted(homes, key=lambda m: m.rpartition(".")[2]):
        yield module.rpartition(".")[2], said(sys.modules[module]), homes[module]
