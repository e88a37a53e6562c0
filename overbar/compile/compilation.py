"""What compiling made of a function: the graph after each pass, and where each node is computed.

The passes are run once more and watched; what they made of each node is followed to the steps of
the program: kernels, and operations that run with NumPy. It is plain data, for others to show.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..graph import Graph, Node
from ..work import flops_of, flops_of_graph
from .access import base_of
from .passes import PASSES, lowered
from .place import Step, steps_of
from .program import Compiled
from .scalar import can_hold
from .tracing import Traced

Homes = dict[Node, tuple[int, ...]]
TRACED = "What was traced: the function ran once, without values."


class Work(NamedTuple):
    """A step of the program: a kernel, or one operation that runs with NumPy.

    name       of its first function, or of the operation
    node       of the last graph;  inner: what it computes, None if it is the one operation
    native     whether it is machine code;  why: if not, why not
    functions  one after the other: the name of each and in how many parts its work is
    level      steps of one level may run at the same time
    flops, bytes   operations on numbers; bytes read and written
    """

    name: str
    node: Node
    inner: Graph | None
    native: bool
    why: str
    functions: tuple[tuple[str, int], ...]
    level: int
    flops: int
    bytes: int


class Compilation(NamedTuple):
    """What became of a function.

    graphs   name, purpose and result of each pass; "trace" is the first
    steps    of the program, in their order
    homes    of every node of every graph the steps (by number) that compute it; empty for what goes
             in, and for what nobody needed
    inputs   what each input of the graph is called
    threads  that share the work;  why: nothing is native, if that is so
    place    file and line where the function begins
    """

    name: str
    graphs: list[tuple[str, str, Graph]]
    steps: list[Work]
    homes: Homes
    inputs: list[str]
    threads: int
    why: str
    place: tuple[str, int]


def compilation(f: Any, name: str, traced: Traced, inputs: list[str], program: Any) -> Compilation:
    """Run the passes over a trace and see."""
    graphs, became = [("trace", TRACED, traced.graph)], []
    purposes = {title: (inspect.getdoc(apply) or "").split("\n\n")[0] for title, apply in PASSES}

    def show(title: str, graph: Graph) -> None:
        graphs.append((title, " ".join(purposes[title].split()), graph))
        became.append(graph.derived.get("became", {}))

    last = lowered(Graph(traced.graph.inputs, traced.graph.outputs), show=show)
    steps = steps_of(last)
    homes: Homes = {s.node: (s.number,) for s in steps}
    homes.update({y: (s.number,) for s in steps for y in s.outputs})
    _settle(last, homes)
    for (_, _, graph), now in zip(reversed(graphs[:-1]), reversed(became), strict=True):
        for node in graph.nodes:
            found = now.get(node, node)
            images = found if isinstance(found, list) else [found]
            homes.setdefault(node, _joined(homes.get(x, ()) for x in images))
        _settle(graph, homes)
    code = getattr(f, "__code__", None)
    place = (code.co_filename, code.co_firstlineno) if code else ("", 0)
    why = "" if isinstance(program, Compiled) else program.why
    works = _works(steps, program if isinstance(program, Compiled) else None, why)
    threads = program.assembled.threads if isinstance(program, Compiled) else 1
    return Compilation(name, graphs, works, homes, inputs, threads, why, place)


def _settle(graph: Graph, homes: Homes) -> None:
    """What was taken into something else (a transpose into a product) is where its readers are."""
    given = set(graph.inputs)
    readers: dict[Node, list[Node]] = {}
    for x, node in graph.edges:
        readers.setdefault(x, []).append(node)
    for node in reversed(graph.nodes):
        if not homes.get(node) and node not in given:
            homes[node] = _joined(homes.get(y, ()) for y in readers.get(node, ()))


def _joined(found: Any) -> tuple[int, ...]:
    return tuple(sorted({i for some in found for i in some}))


def _works(steps: Sequence[Step], program: Compiled | None, why: str) -> list[Work]:
    placed = program.assembled.plan.steps if program else steps
    kernels = program.assembled.kernels if program else {}
    found = []
    for step, at in zip(steps, placed, strict=True):
        functions = tuple((k.name, k.parts) for k in kernels.get(at.number, ()))
        native = program is not None and at.native
        refused = program.assembled.refused.get(at.node) if program else None
        inner = step.node.params["graph"] if step.is_kernel else None
        found.append(
            Work(
                functions[0][0] if functions else step.node.op.name, step.node, inner, native,
                "" if native else why or _refusal(at.node, refused), functions, at.level,
                flops_of_graph(inner) if inner else flops_of(step.node), _bytes(step),
            )
        )  # fmt: skip
    return found


def _refusal(node: Node, refused: str | None) -> str:
    """Why an operation has no native form."""
    if refused:
        return refused
    specs = [s for x in (node, *node.inputs) for s in _specs(x)]
    if not can_hold(node):
        held = {str(s.dtype) for s in specs if s.dtype.kind not in "biuf" or s.dtype.itemsize < 1}
        return f"{', '.join(sorted(held)) or 'its dtype'} has no native form"
    if not all(s.size for s in specs):
        return "an array without entries"
    return f"{node.op.name} has no native form"


def _bytes(step: Step) -> int:
    """What is read and written: of an array no more than is looked at."""
    read: dict[Node, int] = {}
    for x in step.node.inputs:
        root = base_of(x)
        size = min(sum(map(_size, _specs(x))), sum(map(_size, _specs(root))))
        read[root] = max(read.get(root, 0), size)
    return sum(read.values()) + sum(map(_size, _specs(step.node)))


def _specs(node: Node) -> Sequence[Any]:
    return node.spec if isinstance(node.spec, tuple) else (node.spec,)


def _size(spec: Any) -> int:
    return spec.size * spec.dtype.itemsize
