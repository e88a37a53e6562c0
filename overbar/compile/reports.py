"""What a jitted function says of itself: how it is run, what it costs, what memory it takes."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from ..graph import INPUT, Graph, Node, bodies_of
from ..work import flops_of
from .assemble import Fallback
from .program import Compiled
from .tracing import Traced


def with_values(graph: Graph, values: list[Any]) -> Graph:
    """The same graph whose inputs hold these values, to be asked and replayed."""
    made: dict[Node, Node] = {}
    for node, value in zip(graph.inputs, values, strict=True):
        made[node] = Node(INPUT, (), node.params, node.spec, value, code=node.code, at=node.at)
    for node in graph.nodes:
        if node not in made:
            inputs = tuple(made[x] for x in node.inputs)
            made[node] = (
                Node(node.op, inputs, node.params, node.spec, code=node.code, at=node.at)
                if inputs
                else node
            )
    return Graph([made[x] for x in graph.inputs], [made[y] for y in graph.outputs])


def reported(name: str, traced: Traced, traces: int) -> str:
    """The text of `report`."""
    graph = traced.graph
    counts = (
        (sum(1 for n in graph.nodes if n.inputs), "operation"),
        (sum(s.kind in ("tensor", "grad", "array") for s in traced.sources), "read"),
        (len(traced.rebinds), "rebind"),
        (len(traced.grads), "gradient"),
        (traces, "trace"),
    )
    lines = [f"{name}: " + ", ".join(_plural(*c) for c in counts)]
    for program in traced.programs.values():
        made = isinstance(program, Compiled)
        lines += _of_compiled(program) if made else [f"one by one with NumPy: {program.why}"]
    for program in traced.graph.derived.get("programs", {}).values():
        lines += ["as one operation, whose gradient somebody follows", *_of_compiled(program)]
    return "\n    ".join(lines)


def _of_compiled(program: Compiled) -> list[str]:
    made = program.assembled
    foreign = [s.node for s in made.segments if isinstance(s, Fallback)]
    levels = max((s.level + s.length for s in made.plan.steps), default=0)
    kernels = len(made.plan.steps) - len(foreign)
    counts = (
        (kernels, "kernel"),
        (levels, "level"),
        (len(made.segments), "segment"),
        (made.threads, "thread"),
    )
    donated = f"{len(made.donated)} of {len(program.asked)} new values are written over the old"
    copied = f"{_plural(program.copies, 'array')} copied so far"
    lines = [
        "native: " + ", ".join(_plural(*c) for c in counts),
        f"memory: {made.arena:,} bytes of arena; {donated}; {copied}",
        f"made in {program.took:.3f} s",
    ]
    if program.holes is not None:
        filled = _plural(program.holes, "number")
        lines.append(f"generalised over the leading size: {filled} in its code are filled in")
    if foreign:
        names = Counter(f"{n.op.name} of {n.inputs[0].spec}" for n in foreign if n.inputs)
        said = ", ".join(f"{n} ({c} times)" if c > 1 else n for n, c in sorted(names.items()))
        lines.append(f"with NumPy, for lack of a native form: {said}")
    return lines


def _plural(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


# -- cost -------------------------------------------------------------------------------------


class Row(NamedTuple):
    """Of all operations of one name: how many, operations on numbers, bytes read and written."""

    op: str
    count: int
    flops: int
    bytes: int


class Cost:
    """What a graph costs, before anything is fused: one row per operation, the dearest first."""

    def __init__(self, graph: Graph) -> None:
        sums: dict[str, list[int]] = {}
        self._add(graph, sums, 1)
        rows = [Row(op, *total) for op, total in sums.items()]
        self.rows = sorted(rows, key=lambda r: (-r.flops, -r.bytes, r.op))
        self.flops = sum(r.flops for r in rows)
        self.bytes = sum(r.bytes for r in rows)

    def _add(self, graph: Graph, sums: dict[str, list[int]], times: int) -> None:
        given = set(graph.inputs)
        for node in graph.nodes:
            if node in given or not node.inputs:
                continue
            bodies = bodies_of(node)
            for body in bodies.values():
                self._add(body, sums, times * int(node.params.get("length") or 1))
            if bodies:
                continue
            row = sums.setdefault(node.op.name, [0, 0, 0])
            row[0] += times
            row[1] += times * flops_of(node)
            row[2] += times * sum(map(_bytes, (node, *node.inputs)))

    def __str__(self) -> str:
        rows = [("operation", "count", "FLOPs", "bytes")]
        rows += [(r.op, str(r.count), f"{r.flops:,}", f"{r.bytes:,}") for r in self.rows]
        rows.append(("total", "", f"{self.flops:,}", f"{self.bytes:,}"))
        return table(rows)

    __repr__ = __str__


def _bytes(node: Node) -> int:
    specs = node.spec if isinstance(node.spec, tuple) else (node.spec,)
    return sum(s.size * s.dtype.itemsize for s in specs)


class Memory:
    """Bytes of a program.

    inputs, outputs   what goes in, and new arrays that come out
    donated           of values that are written over old ones
    constants, arena, workspace   what the program keeps for itself, for each call in progress
    """

    def __init__(self, traced: Traced) -> None:
        graph = traced.graph
        self.inputs = sum(map(_bytes, graph.inputs))
        outputs = list(map(_bytes, graph.outputs))
        self.donated = self.constants = self.arena = self.workspace = 0
        for program in traced.programs.values():
            if isinstance(program, Compiled):
                made = program.assembled
                self.donated = sum(outputs[k] for k in made.donated)
                self.constants = sum(c.nbytes for c in program.constants)
                self.arena, self.workspace = made.arena, made.workspace * made.threads
        self.outputs = sum(outputs) - self.donated

    def __str__(self) -> str:
        return table([("bytes", ""), *((k, f"{v:,}") for k, v in vars(self).items())])

    __repr__ = __str__


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows in columns: the first to the left, numbers to the right."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
