"""The stubs: what a type checker and an editor see of the package; running programs never do."""

from __future__ import annotations

import inspect
import math
import re
import types
from typing import Any

import numpy as np

import overbar as ob
from docs.catalogue import NAME, is_offered, is_operation, public_names, said, unwrapped
from overbar.primitive import PUBLIC

ARRAYS = {
    *"abcdeiqvwxyzAB",
    *("x1", "x2", "condition", "indices", "index", "values", "bins", "data", "matrix"),
}
"""Names under which an operation takes anything that is an array of numbers."""


class Imports:
    """What a stub has to import, found while its signatures are written."""

    def __init__(self) -> None:
        self.lines: set[str] = set()

    def annotation(self, text: Any, names: dict[str, Any]) -> str:
        """An annotation as the stub may say it; what it names is imported."""
        text = text if isinstance(text, str) else inspect.formatannotation(text)
        for word in set(re.findall(r"(?<![.\w'\"])[A-Za-z_]\w*", text)):
            found = names.get(word)
            if isinstance(found, types.ModuleType):
                self.lines.add(f"import {found.__name__} as {word}")
            elif found is not None and word != "Tensor":
                self.lines.add(f"from {_relative(found.__module__)} import {word}")
        return re.sub(r"(?<![.\w])(bool|float16)\b", r"builtins.\1", text)


def _relative(module: str) -> str:
    return "." + module.removeprefix(NAME + ".") if module.startswith(NAME + ".") else module


def definition(name: str, function: Any, imports: Imports) -> str:
    """One function of a stub, docstring and all."""
    source = unwrapped(function)
    names = getattr(source, "__globals__", {})
    signature = inspect.signature(function)
    parts, positional, starred = [], False, False
    for p in signature.parameters.values():
        if positional and p.kind is not p.POSITIONAL_ONLY:
            parts.append("/")
            positional = False
        if p.kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
        positional = positional or p.kind is p.POSITIONAL_ONLY
        starred = starred or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        said_type = "Any" if p.annotation is p.empty else p.annotation
        array = said_type == "Any" and p.name in ARRAYS and p.kind is p.POSITIONAL_ONLY
        kind = "ArrayLike" if array else imports.annotation(said_type, names)
        if said_type == "Any" and not array:
            imports.lines.add("from typing import Any")
        default = (
            "" if p.default is p.empty else f" = {p.default!r}" if _literal(p.default) else " = ..."
        )
        parts.append(f"{star}{p.name}: {kind}{default}")
    if positional:
        parts.append("/")
    back = signature.return_annotation
    returns = "Tensor" if back is signature.empty else imports.annotation(back, names)
    return f'def {name}({", ".join(parts)}) -> {returns}:\n    """{_quoted(said(function))}"""\n'


def _literal(default: Any) -> bool:
    """Whether a stub may state a default: there is no way to write down a NaN or an infinity."""
    if type(default) is float:
        return math.isfinite(default)
    return default is None or type(default) in (bool, int, str)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''") + (" " if text.endswith('"') else "")


HEAD = """# Made by docs/generate.py: `python tasks.py docs` makes it again.
# fmt: off
# What a type checker and an editor see of {what}; running programs never read it.

"""


def functions_of(space: str, among: dict[str, Any], imports: Imports) -> str:
    """The definitions of a namespace, in the alphabet's order."""
    return "\n".join(
        definition(n, v, imports)
        for n, v in sorted(among.items())
        if inspect.isroutine(v) or hasattr(v, "primitive")
    )


def space_stub(space: str) -> str:
    """The stub of `ob.linalg` and its kin."""
    imports = Imports()
    body = functions_of(space, PUBLIC[space], imports)
    rest = "".join(
        f"{n}: {_type_name(v)}\n" for n, v in sorted(PUBLIC[space].items()) if not callable(v)
    )
    return _assembled(
        f"{NAME}.{space}",
        imports,
        rest + body,
        ["from .handle import Tensor", "import numpy.typing as npt"],
    )


def _assembled(what: str, imports: Imports, body: str, more: list[str]) -> str:
    lines = sorted({*imports.lines, *more, "import builtins", "from typing import TypeAlias"})
    return (
        HEAD.format(what=what)
        + "\n".join(lines)
        + "\n\nArrayLike: TypeAlias = Tensor | npt.ArrayLike\n\n"
        + body
    )


def _type_name(value: Any) -> str:
    if value is None:
        return "None"
    return "np.dtype" if isinstance(value, np.dtype) else type(value).__name__


def stub() -> str:
    """The stub of the package: operations written out, all else imported from where it is."""
    imports = Imports()
    names = public_names()
    ours = {
        n: v
        for n, v in names.items()
        if is_operation(n, v) and unwrapped(v) is not getattr(ob.handle, n, None)
    }
    ours = {n: v for n, v in ours.items() if not isinstance(v, type)}
    ours["__array_namespace_info__"] = ob.__array_namespace_info__
    constants = {n: v for n, v in names.items() if not callable(v)}
    offered = [f"from . import {m} as {m}" for m in sorted(n for n in dir(ob) if is_offered(n))]
    for name, value in names.items():
        if name not in ours and name not in constants:
            offered.append(f"from {_relative(value.__module__)} import {value.__name__} as {name}")
    said_of_itself = {n: getattr(ob, n) for n in ("__version__", "__array_api_version__")}
    body = "".join(f"{n}: {_type_name(v)}\n" for n, v in {**said_of_itself, **constants}.items())
    body += "\n" + functions_of("", ours, imports)
    return _assembled(
        f"`import {NAME}`",
        imports,
        body,
        [*offered, "import numpy as np", "import numpy.typing as npt"],
    )
