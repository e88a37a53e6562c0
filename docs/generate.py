"""The generated faces of overbar: `docs/reference/*.md` and the stubs `overbar/*.pyi`.

    python docs/generate.py          write them          (`python tasks.py docs` does this first)
    python docs/generate.py DIR      write them below DIR instead, to compare

Everything is read off the package itself: the registry of primitives, the public functions by
namespace, signatures and docstrings. Nothing is written by hand, so a new operation is in the
reference, and in an editor's completion, as soon as this has run. Start at `faces`.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import overbar as ob
from overbar.primitive import PRIMITIVES, PUBLIC, Elementwise, Primitive

ROOT = Path(__file__).resolve().parent.parent
NAME = ob.__name__
SPACES = [space for space in PUBLIC if space]
LIBRARY = (
    "random", "nn", "nn.functional", "nn.init", "nn.penalty", "optim", "optim.lr_scheduler",
    "data", "models", "testing", "sparse",
)  # fmt: skip
ARRAYS = set("abcdeiqvwxyz") | {
    "x1",
    "x2",
    "condition",
    "indices",
    "index",
    "values",
    "bins",
    "data",
    "matrix",
    "A",
    "B",
}
"""Names under which an operation takes anything that is an array of numbers."""


def faces() -> dict[str, str]:
    """Every generated file: its path from the root, its text."""
    pages = {
        "operations": operations(),
        **{space: space_page(space) for space in SPACES},
        "transforms": transforms(),
        "tensor": tensor_page(),
        "library": library(),
        "primitives": primitives(),
        "errors": errors(),
    }
    made = {f"docs/reference/{name}.md": f"{MADE}{text}" for name, text in pages.items()}
    made["docs/reference/README.md"] = MADE + index(pages)
    made[f"{NAME}/__init__.pyi"] = stub()
    for space in SPACES:
        if isinstance(getattr(ob, space, None), types.ModuleType):
            made[f"{NAME}/{space}.pyi"] = space_stub(space)
    return made


MADE = "<!-- Made by docs/generate.py: `python tasks.py docs` makes it again. -->\n\n"
LEGEND = """
Derivatives: **R** in reverse, **F** forward, **C** of complex numbers too, **B** batched by a rule
of its own under `ob.vmap`, **L** lane by lane. *flat*: the derivative is zero wherever there is
one, nothing flows through. *composed*: made of other operations, whose rules apply. —: no operation
on arrays.
"""


# -- what there is ----------------------------------------------------------------------------


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


def cell(text: str) -> str:
    """Text inside a table; docstrings index and call, they do not link."""
    return text.replace("|", r"\|").replace("](", r"]\(")


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join("| " + " | ".join(map(cell, line)) + " |\n" for line in lines)


def rows_with_links(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table whose first column links."""
    return table(heads, rows).replace(r"]\(../", "](../")


def call_of(path: str, value: Any) -> str:
    """How something is written: a call, or a plain name."""
    return f"`{path}({usage(value)})`" if callable(value) else f"`{path}`"


def grouped(items: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Names by the module that knows them: (its last word, its first line, the names)."""
    homes: dict[str, dict[str, Any]] = {}
    for name, value in items.items():
        homes.setdefault(home(value), {})[name] = value
    for module in sorted(homes, key=lambda m: m.rpartition(".")[2]):
        yield module.rpartition(".")[2], said(sys.modules[module]), homes[module]


def function_table(prefix: str, items: dict[str, Any]) -> str:
    """Functions with what they are and what may be differentiated."""
    rows = [(call_of(f"{prefix}.{n}", v), said(v), support(n, v)) for n, v in items.items()]
    return table(("call", "what it is", "derivatives"), rows)


# -- the pages --------------------------------------------------------------------------------


def operations() -> str:
    """`ob.sin` and its kin."""
    every = public_names()
    ours = {n: v for n, v in every.items() if is_operation(n, v)}
    text = f"# Operations\n\n{len(ours)} functions on arrays, by subject.\n{LEGEND}"
    for word, line, items in grouped(ours):
        text += f"\n## {word}\n\n{line}\n\n{function_table('ob', items)}"
    constants = {n: v for n, v in every.items() if not callable(v)}
    dtypes = ", ".join(f"`ob.{n}`" for n, v in constants.items() if isinstance(v, np.dtype))
    others = ", ".join(f"`ob.{n}`" for n, v in constants.items() if not isinstance(v, np.dtype))
    return text + f"\n## constants\n\nDtypes: {dtypes}.\n\nNumbers: {others}.\n"


def space_page(space: str) -> str:
    """`ob.linalg` and its kin."""
    items = dict(sorted(PUBLIC[space].items()))
    items = {n: v for n, v in items.items() if callable(v)}
    return (
        f"# ob.{space}\n\n{len(items)} functions.\n{LEGEND}\n{function_table(f'ob.{space}', items)}"
    )


def transforms() -> str:
    """Everything of `ob` that is neither an operation nor a constant."""
    rest = {
        n: v
        for n, v in public_names().items()
        if callable(v) and not is_operation(n, v) and n != "Tensor"
    }
    text = "# Transforms, control flow, graphs and questions\n\n"
    text += "Functions of functions, and what is asked of results.\n"
    for word, line, items in grouped(rest):
        rows = [(call_of(f"ob.{n}", v), said(v)) for n, v in items.items()]
        text += f"\n## {word}\n\n{line}\n\n{table(('call', 'what it is'), rows)}"
    return text


def tensor_page() -> str:
    """What a Tensor can do."""
    rows = []
    for name in sorted(n for n in dir(ob.Tensor) if n[:1] != "_" and n not in ("spec", "value")):
        member = inspect.getattr_static(ob.Tensor, name)
        if isinstance(member, property):
            rows.append((f"`t.{name}`", said(member.fget)))
        elif callable(member):
            first, _, rest = usage(member).partition(", ")
            arguments = rest.removeprefix("/, ") if first in ("x", "a", "e") else usage(member)
            rows.append((f"`t.{name}({'' if arguments == '/' else arguments})`", said(member)))
    text = f"# Tensor\n\n{said(ob.Tensor)}\n\nOperators, comparisons, `@`, indexing and assignment "
    return f"{text}work as in NumPy.\n\n{table(('member', 'what it is'), rows)}"


def library() -> str:
    """Random numbers, layers, optimisers, data."""
    text = "# The library\n"
    for path in LIBRARY:
        module = ob
        for word in path.split("."):
            module = getattr(module, word, None)
        if module is None:
            continue
        offered = offered_by(module)
        rows = [(call_of(f"{path}.{n}", v), said(v)) for n, v in offered]
        text += f"\n## ob.{path}\n\n{said(module)}\n\n{table(('call', 'what it is'), rows)}"
        text += "".join(methods(f"{path}.{n}", v) for n, v in offered if isinstance(v, type))
    return text


def methods(path: str, kind: type) -> str:
    """What a class offers, if that is more than being called."""
    own = [
        (n, v)
        for n, v in vars(kind).items()
        if n[:1] != "_" and n != "forward" and inspect.isfunction(v)
    ]
    if len(own) < 3:  # a layer has its forward, and says the rest in one line
        return ""
    rows = [(call_of(f".{n}", v), said(v)) for n, v in own]
    return f"\nMethods of `{path}`:\n\n{table(('call', 'what it is'), rows)}"


def offered_by(module: types.ModuleType) -> list[tuple[str, Any]]:
    """The public functions and classes of a module, in its own order if it states one."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = sorted(n for n, v in vars(module).items() if n[:1] != "_" and _own(v, module))
    found = [(n, getattr(module, n)) for n in names]
    return [(n, v) for n, v in found if callable(v)]


def _own(value: Any, module: types.ModuleType) -> bool:
    return getattr(value, "__module__", "") == module.__name__


def primitives() -> str:
    """The registry."""
    rows, flat = [], []
    for name, op in sorted(PRIMITIVES.items()):
        if op.flat:
            flat.append((f"`{name}`", op.doc))
        else:
            marks = ", ".join(
                word
                for word, there in (
                    ("moves", op.moves and not op.pointwise),
                    ("selects", op.selects),
                    ("entry by entry", op.pointwise),
                )
                if there
            )
            rows.append((f"`{name}`", op.doc, supported(op), marks))
    text = f"""# Primitives

The {len(PRIMITIVES)} operations that have rules of their own; everything else is made of them. The
tests take this very list: transposes agree, finite differences agree, second order, batch equals
loop.
{LEGEND}
*selects*: a NaN below what was not chosen never leaks into a gradient. *moves*: results are entries
of the inputs, or sums of them.

"""
    text += table(("name", "what it is", "derivatives", "kind"), rows)
    return (
        text + f"\n## Flat\n\nNothing flows through these.\n\n{table(('name', 'what it is'), flat)}"
    )


def error_classes() -> list[type]:
    """The classes of `overbar.errors`, the root first."""
    from overbar import errors as module

    found = [
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Exception) and _own(v, module)
    ]
    return sorted(
        found, key=lambda c: (len(c.__mro__) > len(module.OverbarError.__mro__), c.__name__)
    )


def errors() -> str:
    """One line per error class, with its page."""
    rows = [
        (f"[{c.__name__}](../errors/{c.__name__}.md)", said(c), pythons(c)) for c in error_classes()
    ]
    text = "# Errors\n\nEvery class has a page with an example that fails and its repair.\n\n"
    return text + rows_with_links(("class", "what it means", "is also a"), rows)


def pythons(kind: type) -> str:
    """What else an error class is: the exceptions of Python and NumPy among its bases."""
    others = (b for b in kind.__bases__ if b is not Exception and not b.__module__.startswith(NAME))
    return ", ".join(f"`{b.__name__}`" for b in others)


def index(pages: dict[str, str]) -> str:
    """The list of the reference."""
    lines = []
    for name, text in pages.items():
        title = re.search(r"^# (.*)$", text, re.MULTILINE)
        lines.append(f"- [{title[1] if title else name}]({name}.md)\n")
    conventions = "The conventions behind all of it are in the [manual](../manual/README.md).\n"
    return f"# Reference\n\n{''.join(lines)}\n{conventions}"


# -- the stubs --------------------------------------------------------------------------------


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
# ruff: noqa
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
    constants = {n: v for n, v in names.items() if not callable(v)}
    offered = [f"from . import {m} as {m}" for m in sorted(n for n in dir(ob) if is_offered(n))]
    for name, value in names.items():
        if name not in ours and name not in constants:
            offered.append(f"from {_relative(value.__module__)} import {_real(value)} as {name}")
    body = "".join(f"{n}: {_type_name(v)}\n" for n, v in constants.items())
    body += "\n" + functions_of("", ours, imports)
    return _assembled(
        f"`import {NAME}`",
        imports,
        body,
        [*offered, "import numpy as np", "import numpy.typing as npt"],
    )


def _real(value: Callable[..., Any]) -> str:
    return getattr(value, "__name__", "")


def is_offered(name: str) -> bool:
    """Whether `ob.name` is a module that users are meant to reach."""
    top = {path.partition(".")[0] for path in LIBRARY} | set(SPACES) | {"errors", "trees", "store"}
    return name in top and isinstance(getattr(ob, name), types.ModuleType)


# -- writing ----------------------------------------------------------------------------------


def write(below: Path) -> list[Path]:
    """Write every face below a folder, and remove generated pages that are no longer made."""
    made = faces()
    for path, text in made.items():
        target = below / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for page in (below / "docs" / "reference").glob("*.md"):
        if page.relative_to(below).as_posix() not in made:
            page.unlink()
    return [below / path for path in made]


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    print(f"{len(write(target))} files under {target}")
