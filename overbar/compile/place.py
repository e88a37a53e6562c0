"""Pass `place`: when each kernel runs, and where each array lies.

Kernels that wait for nothing from each other share a level and may run at the same time; between
levels there is a barrier. Arrays that only kernels see lie in one arena: an array's bytes are used
again from the level after its last reader on. What replaces a donated input is written over it, if
every other reader comes before and the kernel itself reads only the entry that it writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..graph import Graph, Node
from ..spec import Spec
from .access import awaited, base_of, is_plain, is_view, strided
from .layout import CORES
from .operations import NEST, PRODUCT
from .phases import Shape, is_reduction

ALIGN = 64


@dataclass
class Buffer:
    """An array of the program.

    kind    "input", "output", "constant" or "arena"; index: its number among those
    offset  of an arena's, in bytes
    """

    kind: str
    index: int
    spec: Spec
    offset: int = 0
    value: Any = None


@dataclass
class Step:
    """A kernel, or an operation without one, in its place.

    native  whether it is machine code
    level   when it runs; it takes `length` levels
    """

    node: Node
    number: int
    inputs: list[Node]
    outputs: list[Node]
    after: set[int] = field(default_factory=set)
    native: bool = True
    level: int = 0
    length: int = 1
    scratch: int = 0

    @property
    def is_kernel(self) -> bool:
        """Whether it is a kernel made by `fuse`."""
        return self.node.op is NEST or self.node.op is PRODUCT


@dataclass
class Plan:
    """Steps in order, and the buffer of every stored node.

    donated   outputs (by number) that are written over an input (by number)
    """

    graph: Graph
    steps: list[Step]
    buffers: dict[Node, Buffer]
    donated: dict[int, int]
    arena: int = 0
    scratch: dict[int, int] = field(default_factory=dict)
    constants: list[Node] = field(default_factory=list)
    temporaries: dict[Node, Buffer] = field(default_factory=dict)


def steps_of(graph: Graph) -> list[Step]:
    """The computed nodes of a fused graph, with what they read and write."""
    given = set(graph.inputs)
    steps: list[Step] = []
    by_node: dict[Node, Step] = {}
    for node in graph.nodes:
        if node in given or is_view(node) or not (node.inputs or node.op is NEST):
            continue
        if node.op.name == "part" and node.inputs[0] in by_node:
            step = by_node[node.inputs[0]]
            step.outputs.append(node)
            continue
        roots = list(dict.fromkeys(map(base_of, node.inputs)))
        step = Step(node, len(steps), roots, [] if isinstance(node.spec, tuple) else [node])
        by_node[node] = step
        steps.append(step)
    writer = {y: s for s in steps for y in s.outputs}
    for step in steps:
        late = [base_of(w) for x in step.node.inputs for w in awaited(x)]
        step.after = {writer[x].number for x in (*step.inputs, *late) if x in writer}
        if isinstance(step.node.spec, tuple):
            step.outputs.sort(key=lambda y: y.params["index"])
    return steps


def levels(steps: list[Step], later: dict[int, set[int]]) -> None:
    """Give every step its level; `later` says what it must wait for besides its inputs."""
    waits = {s.number: s.after | later.get(s.number, set()) for s in steps}
    users: dict[int, list[int]] = {}
    for n, before in waits.items():
        for m in before:
            users.setdefault(m, []).append(n)
    missing = {n: len(before) for n, before in waits.items()}
    ready = [n for n, count in missing.items() if not count]
    for s in steps:
        s.level = 0
    while ready:
        n = ready.pop()
        for m in users.get(n, ()):
            steps[m].level = max(steps[m].level, steps[n].level + steps[n].length)
            missing[m] -= 1
            if not missing[m]:
                ready.append(m)


def place(
    graph: Graph,
    donated: dict[int, int],
    lengths: Callable[[Plan, Step], tuple[int, int]],
    checks: Callable[[list[Step]], set[int]],
) -> Plan:
    """Decide order and memory.

    lengths   of a step: how many levels it takes, and bytes of scratch memory; asked once the
              buffers of inputs and outputs are known
    checks    the steps (by number) that may find an error: they come before what writes over an
              input
    """
    steps = steps_of(graph)
    readers: dict[Node, list[Step]] = {}
    for s in steps:
        for x in s.inputs:
            readers.setdefault(x, []).append(s)
    writer = {y: s for s in steps for y in s.outputs}
    kept, later = _donations(graph, donated, steps, readers, writer, checks(steps))
    plan = Plan(graph, steps, {}, kept)
    for i, x in enumerate(graph.inputs):
        plan.buffers[x] = Buffer("input", i, x.spec)
    for i, y in enumerate(graph.outputs):
        x = base_of(y)
        if i in kept:
            plan.buffers[x] = plan.buffers[y] = plan.buffers[graph.inputs[kept[i]]]
        elif x in writer:
            plan.buffers[x] = plan.buffers[y] = Buffer("output", i, x.spec)
    for node in graph.nodes:
        if not node.inputs and node not in plan.buffers and node.value is not None:
            plan.buffers[node] = Buffer(
                "constant", len(plan.constants), node.spec, value=node.value
            )
            plan.constants.append(node)
    for s in steps:
        s.length, s.scratch = lengths(plan, s)
    levels(steps, later)
    _arena(plan, readers)
    return plan


def _donations(
    graph: Graph,
    donated: dict[int, int],
    steps: list[Step],
    readers: dict[Node, list[Step]],
    writer: dict[Node, Step],
    checks: set[int],
) -> tuple[dict[int, int], dict[int, set[int]]]:
    """Which donations can be had, and what the steps that write over inputs must wait for."""
    later: dict[int, set[int]] = {}
    kept: dict[int, int] = {}
    taken: set[int] = set()
    results = Counter(map(base_of, graph.outputs))
    users: dict[int, list[int]] = {}
    for s in steps:
        for n in s.after:
            users.setdefault(n, []).append(s.number)
    for out, given in donated.items():
        y, x = base_of(graph.outputs[out]), graph.inputs[given]
        step = writer.get(y)
        if step is None or graph.outputs[out].spec is not x.spec or not step.is_kernel:
            continue
        if given in taken or x in results or results[y] > 1:
            continue
        if x in step.inputs and not can_overwrite(step, x, y):
            continue
        others = {s.number for s in readers.get(x, []) if s is not step} | checks
        if step.number in others or not others.isdisjoint(_following(step.number, users)):
            continue  # it would wait for itself
        kept[out] = given
        taken.add(given)
        later.setdefault(step.number, set()).update(others)
        for n in others:
            users.setdefault(n, []).append(step.number)
    return kept, later


def _following(number: int, users: dict[int, list[int]]) -> set[int]:
    """The steps that wait for this one, directly or not."""
    found: set[int] = set()
    waiting = [number]
    while waiting:
        for n in users.get(waiting.pop(), ()):
            if n not in found:
                found.add(n)
                waiting.append(n)
    return found


def can_overwrite(step: Step, x: Node, y: Node) -> bool:
    """Whether a kernel that writes y over x reads of x only the entry that it writes, before."""
    inner: Graph = step.node.params["graph"]
    root = inner.inputs[[base_of(i) for i in step.node.inputs].index(x)]
    if sum(base_of(i) is x for i in step.node.inputs) > 1:
        return False
    made = inner.outputs[step.outputs.index(y)]
    given = set(inner.inputs)
    computed = [n for n in inner.nodes if n.inputs and n not in given and not is_view(n)]
    using = [n for n in computed if any(base_of(i) is root for i in n.inputs)]
    if step.node.op is NEST:
        shape = Shape(step.node)
        mine = shape.phase.get(made)
        if mine is None or not _again(shape, mine, inner.outputs).isdisjoint(using):
            return False
        for n in using:
            early = n in shape.whole and not shape.whole[n] and shape.phase[n] <= mine
            if n not in shape.whole or not (early or shape.phase[n] == mine):
                return False
            if shape.whole[n] != shape.whole[made] and not is_reduction(n):
                return False
            if is_reduction(n) and not shape.whole[made]:
                return False
    for n in using:
        if n.op.name in CORES or n.op.entry is not None:
            return False
        for i in n.inputs:
            if base_of(i) is root and not _is_the_entry(i, root):
                return False
    return True


def _again(shape: Shape, phase: int, stored: Sequence[Node]) -> set[Node]:
    """Members whose entries may be computed once more after a phase: those used then, and what they
    are made of; not what is stored.
    """
    found: set[Node] = set()
    later = [n for n, p in shape.sides.items() if p > phase]
    for n in (*later, *reversed(shape.members)):
        if n in found or shape.phase.get(n, phase + 1) > phase:
            found.update(x for x in map(base_of, n.inputs) if shape.whole.get(x))
            found.difference_update(stored)
    return found


def _is_the_entry(x: Node, root: Node) -> bool:
    """Whether a chain of views shows every entry where it is."""
    view = strided(x)
    while is_view(x):
        if not is_plain(x) or x.op.name == "broadcast":
            return False
        x = x.inputs[0]
    return view is not None and x is root


def _arena(plan: Plan, readers: dict[Node, list[Step]]) -> None:
    """Give every array that only kernels see its bytes: for as long as it is needed."""
    events: dict[int, list[tuple[int, int, Any]]] = {}
    for s in plan.steps:
        for y in s.outputs:
            if y in plan.buffers:
                continue
            last = max([r.level + r.length - 1 for r in readers.get(y, [])], default=s.level)
            last = max(last, s.level + s.length - 1)
            size = y.spec.size * y.spec.dtype.itemsize
            events.setdefault(s.level, []).append((size, last, y))
        if s.scratch:
            last = s.level + s.length - 1
            events.setdefault(s.level, []).append((s.scratch, last, s))
    free: list[tuple[int, int]] = []  # (offset, size)
    ends: dict[int, list[tuple[int, int]]] = {}
    top = 0
    for level in range(max(events, default=-1) + 1):
        for offset, size in ends.pop(level - 1, ()):
            free = _joined([*free, (offset, size)])
        for size, last, what in sorted(events.get(level, ()), key=lambda e: -e[0]):
            size = max(ALIGN, -(-size // ALIGN) * ALIGN)
            fitting = [b for b in free if b[1] >= size]
            if fitting:
                block = min(fitting, key=lambda b: b[1])
                free.remove(block)
                offset = block[0]
                if block[1] > size:
                    free.append((offset + size, block[1] - size))
            else:
                offset, top = top, top + size
            ends.setdefault(last, []).append((offset, size))
            if isinstance(what, Step):
                plan.scratch[what.number] = offset
            else:
                buffer = plan.temporaries.get(what) or Buffer("arena", 0, what.spec)
                buffer.offset, plan.buffers[what] = offset, buffer
    plan.arena = top


def _joined(blocks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Free blocks, neighbours as one."""
    found: list[tuple[int, int]] = []
    for offset, size in sorted(blocks):
        if found and found[-1][0] + found[-1][1] == offset:
            offset, size = found[-1][0], found.pop()[1] + size
        found.append((offset, size))
    return found
