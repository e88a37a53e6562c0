"""The pages of the reference, as Markdown."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np

import overbar as ob
from docs.catalogue import (
    LIBRARY,
    NAME,
    error_classes,
    grouped,
    is_operation,
    offered_by,
    public_names,
    said,
    support,
    supported,
    usage,
)  # fmt: skip
from overbar.primitive import PRIMITIVES, PUBLIC

LEGEND = """
Derivatives: **R** in reverse, **F** forward, **C** of complex numbers too, **B** batched by a rule
of its own under `ob.vmap`, **L** lane by lane. *flat*: the derivative is zero wherever there is
one, nothing flows through. *composed*: made of other operations, whose rules apply. —: no operation
on arrays.
"""


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
