"""compiled: what the compiler made of a function, pass by pass, down to its kernels.

The compiler says what it did as plain data (`step.compilation`); here it is joined with the lines
of source, and shown: as text, or as a page with the lines, the graph after each pass, and the
kernels beside each other.
"""

from __future__ import annotations

import functools
import html
import json
import linecache
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DTypeError, FileError, file_name
from ..graph import Graph, Node, bodies_of
from .answer import Answer, Table, plain
from .columns import laid, terminal
from .page import as_json, filled, framed, shell, without_script

CODE = ("layers.js", "layout.js", "canvas.js", "passes/picture.js", "passes/main.js")
STYLES = ("theme.css", "passes/style.css")
AROUND = 2
"""So many lines of source are shown around those that became something."""

Line = tuple[str, int]


def compiled(step: Any, *args: Any) -> Compiled:
    """What became of a jitted function: the graph after each pass, the kernels, and which line of
    source became what.

    Of the call with these arguments, or of the last call. Nothing is run. It is a function and no
    method of the jitted step, as all questions are (`ob.explain(step, ...)`, `ob.draw(step, ...)`):
    `step.lower()`, `step.report()` and `step.cost()` are the compiler's own words, for programs;
    this is for people, and knows lines of source. `print` it, or show or save the page, on which a
    line, its nodes and its kernels light up together.

    Without llvmlite there is no native code; the passes and what each kernel would compute are
    shown all the same.

    Raises:  DTypeError for a function that is not jitted.
    Example:
        >>> step = ob.jit(lambda x: ob.sum(3 * x + 1))
        >>> answer = ob.compiled(step, np.ones(4))
        >>> [(p.name, len(p.graph.nodes)) for p in answer.passes[:2]]
        [('trace', 6), ('prune', 6)]
        >>> [(k.operations, k.flops) for k in answer.kernels]
        [(('multiply', 'add', 'sum'), 12)]
    """
    asked = getattr(step, "compilation", None)
    if asked is None:
        raise DTypeError(
            f"compiled: {getattr(step, '__name__', type(step).__name__)} is not jitted",
            want="a function that ob.jit made",
            hint="ob.compiled(ob.jit(f), *args)",
        )
    return Compiled(asked(*args))


class Pass:
    """A pass: `name`, `purpose`, the `graph` after it; `gone` and `came` count operations that were
    there before and are not now, and the other way round.
    """

    def __init__(self, name: str, purpose: str, graph: Graph, before: Graph | None) -> None:
        self.name, self.purpose, self.graph = name, purpose, graph
        was, now = (Counter(map(_word, g.nodes)) if g else Counter() for g in (before, graph))
        self.gone: dict[str, int] = dict(was - now) if before else {}
        self.came: dict[str, int] = dict(now - was) if before else {}


class Kernel:
    """A step of the program.

    name        of its function;  native: whether it is machine code;  why: if not, why not
    operations  what it does, in order;  graph: the same as a graph (None for a single operation)
    parts, level   how its work is shared, and when it runs
    flops, bytes   operations on numbers; bytes read and written
    lines       numbers of `Compiled.lines`
    """

    def __init__(self, work: Any, lines: Sequence[int]) -> None:
        self.name, self.native, self.why, self.graph = work.name, work.native, work.why, work.inner
        inside = work.inner.nodes if work.inner else (work.node,)
        self.operations = tuple(n.op.name for n in inside if n.inputs)
        self.parts = sum(parts for _, parts in work.functions) or 1
        self.level, self.flops, self.bytes = work.level, work.flops, work.bytes
        self.lines = tuple(lines)


class SourceLine:
    """A line of source: `file`, `line`, `source`, the numbers of the `kernels` that compute it, and
    for each pass by its name how many `nodes` it is.
    """

    def __init__(self, place: Line, kernels: Sequence[int], nodes: dict[str, int]) -> None:
        self.file, self.line = place
        self.source = linecache.getline(*place).strip()
        self.kernels, self.nodes = tuple(kernels), nodes


class Compiled(Answer):
    """`.passes`, `.kernels` and `.lines` are lists of `Pass`, `Kernel`, `SourceLine`;
    `.homes(node)` says of a node of any of the graphs which kernels compute it, by number. `.data`
    is all of it as plain lists and dicts, which `.save("x.json")` writes.
    """

    def __init__(self, made: Any) -> None:
        self.name, self.threads, self.why, self._made = made.name, made.threads, made.why, made
        graphs = [None, *(g for _, _, g in made.graphs)]
        self.passes = [
            Pass(name, purpose, graph, before)
            for (name, purpose, graph), before in zip(made.graphs, graphs, strict=False)
        ]
        self._lines_of = {g: [_lines(n, given=g) for n in g.nodes] for g in graphs if g}
        traced = self.passes[0].graph
        own = [self._own(i, traced) for i in range(len(made.steps))]
        found = {at for some in self._lines_of.values() for lines in some for at in lines}
        places = sorted(found.union(*own))
        number = {at: k for k, at in enumerate(places)}
        self.kernels = [
            Kernel(work, sorted(number[at] for at in lines))
            for work, lines in zip(made.steps, own, strict=True)
        ]
        self.lines = [
            SourceLine(
                at,
                [i for i, kernel in enumerate(self.kernels) if k in kernel.lines],
                {p.name: sum(at in some for some in self._lines_of[p.graph]) for p in self.passes},
            )
            for at, k in number.items()
        ]
        self._number = number

    def homes(self, node: Node) -> tuple[int, ...]:
        """The numbers of the kernels that compute a node of one of the graphs, or take it in."""
        return self._made.homes[node]

    def _own(self, step: int, traced: Graph) -> set[Line]:
        """The lines of a step: of all that it computes of what was traced, else (of a copy) of what
        it reads, else that of the function.
        """
        inside = zip(traced.nodes, self._lines_of[traced], strict=True)
        found = {at for n, lines in inside if step in self.homes(n) for at in lines}
        if not found:
            found = {at for x in self._made.steps[step].node.inputs for at in _lines(x)}
        return found or {self._made.place}

    # -- as text ----------------------------------------------------------------------------------

    @property
    def summary(self) -> str:
        """All of it in one sentence."""
        native = sum(k.native for k in self.kernels)
        foreign = len(self.kernels) - native
        parts = [_count(native, "kernel")] if native or not foreign else []
        parts += [_count(foreign, "operation") + " with NumPy"] if foreign and not self.why else []
        parts += [_count(foreign, "step") + f" with NumPy ({self.why})"] if self.why else []
        threads = f" on {_count(self.threads, 'thread')}" if native else ""
        nodes = _count(len(self.passes[0].graph.nodes), "node")
        return f"{self.name}: {nodes} become {' and '.join(parts)}{threads}"

    def _of_passes(self) -> tuple[list[str], list[list[str]]]:
        rows = []
        for p in self.passes:
            changes = [f"−{n} {op}" for op, n in p.gone.items()]
            changes += [f"+{n} {op}" for op, n in p.came.items()]
            rows.append([p.name, f"{len(p.graph.nodes):,}", ", ".join(changes)])
        return _right(["after", "nodes", "gone and come"], rows, 1)

    def _of_kernels(self) -> tuple[list[str], list[list[str]]]:
        rows = [
            [
                f"{i}", k.name, str(k.level), f"{k.parts:,}", f"{k.flops:,}", f"{k.bytes:,}",
                " ".join(k.operations) if k.native else f"with NumPy: {k.why}",
            ]
            for i, k in enumerate(self.kernels, 1)
        ]  # fmt: skip
        heads = ["", "kernel", "level", "parts", "FLOPs", "bytes", "what it does"]
        return _right(heads, rows, 0, 2, 3, 4, 5)

    def _of_lines(self) -> tuple[list[str], list[list[str]]]:
        last = self.passes[-2].name  # before they are gathered into kernels
        rows = [
            [
                f"{file_name(x.file)}:{x.line}", x.source, f"{x.nodes['trace']} → {x.nodes[last]}",
                " ".join(str(k + 1) for k in x.kernels) or "–",
            ]
            for x in self.lines
        ]  # fmt: skip
        return ["line", "", "nodes", "kernels"], rows

    def tables(self) -> list[Table]:
        """The passes, the kernels, the lines."""
        of = (("passes", self._of_passes), ("kernels", self._of_kernels), ("lines", self._of_lines))
        return [(title, *make()) for title, make in of]

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """Three tables: passes, kernels, lines."""
        out = [self.summary]
        for (heads, rows), gives in (
            (self._of_passes(), (2,)), (self._of_kernels(), (6,)), (self._of_lines(), (1, 3)),
        ):  # fmt: skip
            wide = [i in gives for i in range(len(heads))]
            out += ["", *laid([heads, *rows], gap="  ", columns=columns, gives=wide)]
        return plain("\n".join(out), ascii)

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii(), columns=terminal())

    __repr__ = __str__

    # -- as data, and as a page -------------------------------------------------------------------

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """Everything as plain data: what the page shows."""
        passes, before = [], None
        for p in self.passes:
            nodes = self._plain(p.graph)
            passes.append(
                {
                    "name": p.name, "purpose": p.purpose, "gone": p.gone, "came": p.came,
                    "nodes": None if nodes == before else nodes,
                }
            )  # fmt: skip
            before = nodes
        runs = "Kernels" if any(k.native for k in self.kernels) else "Kernels as they would be"
        return {
            "schema": "overbar.compiled", "version": 1, "name": self.name,
            "summary": self.summary, "threads": self.threads, "why": self.why, "kernels": runs,
            "passes": passes, "files": self._files(),
            "lines": [
                {"file": file_name(x.file), "line": x.line, "source": x.source, "steps": x.kernels}
                for x in self.lines
            ],
            "steps": [
                {
                    "name": k.name, "native": k.native, "why": k.why, "operations": k.operations,
                    "parts": k.parts, "level": k.level, "flops": k.flops, "bytes": k.bytes,
                    "lines": k.lines, "text": str(k.graph) if k.graph else "",
                }
                for k in self.kernels
            ],
        }  # fmt: skip

    def _plain(self, graph: Graph) -> list[dict[str, Any]]:
        """The nodes of a graph."""
        number = {n: i for i, n in enumerate(graph.nodes)}
        given = dict(zip(graph.inputs, self._made.inputs, strict=True))
        kernels = {w.node: i for i, w in enumerate(self._made.steps)}
        found = []
        for n, lines in zip(graph.nodes, self._lines_of[graph], strict=True):
            kind = "input" if n in given else "op" if n.inputs else "const"
            node = {
                "op": _word(n) if kind != "input" else "input",
                "kind": kind,
                "label": given.get(n) or (_value(n) if kind == "const" else _word(n)),
                "note": _params(n) if kind == "op" else _value(n) if kind == "const" else "",
                "spec": str(n.spec),
                "inputs": [] if n in given else [number[x] for x in n.inputs],
                "lines": sorted(self._number[at] for at in lines),
                "steps": self.homes(n),
            }
            if n in kernels:
                work = self._made.steps[kernels[n]]
                node["kernel"] = kernels[n]
                node["label"] = work.name
                if work.inner is not None:
                    node["note"] = " ".join(self.kernels[kernels[n]].operations)
            found.append(node)
        return found

    def _files(self) -> list[dict[str, Any]]:
        """The lines of source with those around them: (number, text, number of the line or None),
        None where some are left out.
        """
        by_file: dict[str, list[tuple[int, int]]] = {}
        for k, x in enumerate(self.lines):
            by_file.setdefault(x.file, []).append((x.line, k))
        found = []
        for file, lines in by_file.items():
            text, known = linecache.getlines(file), dict(lines)
            shown = {no + d for no in known for d in range(-AROUND, AROUND + 1)}
            shown = sorted(no for no in shown if 1 <= no <= len(text) or no in known)
            rows: list[Any] = []
            for before, no in zip([None, *shown], shown, strict=False):
                if before is not None and no > before + 1:
                    rows.append(None)
                source = text[no - 1].rstrip("\n") if no <= len(text) else ""
                rows.append((no, source, known.get(no)))
            found.append({"name": file_name(file), "rows": _dedented(rows)})
        return found

    def html(self) -> str:
        """The page: one file, which needs nothing else."""
        parts = {
            "title": html.escape(f"{self.name}, compiled"),
            "record": as_json(self.data),
            "story": without_script(self.text()),
        }
        return filled(skeleton(), parts)

    def _repr_html_(self) -> str:
        return framed(self.html(), "compiled", self.text())

    def save(self, path: str | Path) -> None:
        """Write the page (`.html`), the data (`.json`) or the text (`.txt`).

        Raises:  FileError for another ending.
        """
        path = Path(path)
        make: dict[str, Callable[[], str]] = {
            ".html": self.html, ".htm": self.html, ".txt": lambda: self.text() + "\n",
            ".json": lambda: json.dumps(self.data, ensure_ascii=False, indent=1) + "\n",
        }  # fmt: skip
        if path.suffix not in make:
            raise FileError(
                f"save: {path.name} ends in nothing that can be written",
                want=".html, .json or .txt",
            )
        path.write_text(make[path.suffix](), encoding="utf-8")


@functools.cache
def skeleton() -> str:
    """The page but for [[title]], [[record]] and [[story]]."""
    return shell("passes/page.html", STYLES, CODE)


# -- nodes in words -------------------------------------------------------------------------------


def _lines(node: Node, given: Graph | None = None) -> set[Line]:
    """The lines of source that made a node, and what is inside of it; none of what goes in."""
    if not node.inputs or (given is not None and node in given.inputs):
        return set()
    stack, found = [node], set()
    while stack:
        n = stack.pop()
        origin = n.origin if n.inputs else None
        if origin is not None:
            found.add((origin.filename, origin.line))
        stack += [m for g in bodies_of(n).values() for m in g.nodes if m.inputs]
    return found


def _word(node: Node) -> str:
    return str(node.op.name)


def _params(node: Node) -> str:
    """What an operation was told, but for graphs."""
    below = {name.partition("[")[0] for name in bodies_of(node)}
    told = {k: p for k, p in node.params.items() if p is not None and k not in below}
    return _short(" ".join(f"{k}={p!r}" for k, p in told.items()))


def _value(node: Node) -> str:
    if np.ndim(node.value):
        return "constant" if np.size(node.value) > 1 else repr(np.ravel(node.value)[0].item())
    return _short(repr(node.value.item() if hasattr(node.value, "item") else node.value))


def _short(text: str, most: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _dedented(rows: list[Any]) -> list[Any]:
    """The rows without the blanks that all of them begin with."""
    told = [row[1] for row in rows if row and row[1].strip()]
    lead = min((len(t) - len(t.lstrip()) for t in told), default=0)
    return [(row[0], row[1][lead:], row[2]) if row else None for row in rows]


def _right(
    heads: list[str], rows: list[list[str]], *columns: int
) -> tuple[list[str], list[list[str]]]:
    """A table whose numbers stand to the right."""
    for i in columns:
        wide = max(len(r[i]) for r in (heads, *rows))
        for r in (heads, *rows):
            r[i] = r[i].rjust(wide)
    return heads, rows


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"
