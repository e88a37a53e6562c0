"""A graph's kernels in their order: the whole program, or the body of a loop."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..graph import Graph, Node, bodies_of
from .access import is_view
from .checks import HEADER, Checks, first_checks
from .costs import COSTS
from .kernel import Kernel
from .layout import CONVOLUTIONS, CORES, sizes_of
from .machine import Machine
from .operations import NEST, PRODUCT
from .place import Buffer, Plan, Step, place
from .runtime import FINISH
from .split import nest
from .stages import Stages
from .text import Function, Index, Module

QUIET = 1_000_000
"""Programs with less work than so many multiply-adds (some 7 µs of it) run on one thread."""

EXPECTED = 8
"""Steps of a loop that ends when a test fails."""

Other = Callable[["Program", Step, Sequence[int], str], Stages | None]
"""Writes what is neither a nest nor a product; None if it has no native form."""


def signature(node: Node) -> Any:
    """Equal for kernels that have the same text."""
    graph: Graph = node.params["graph"]
    number = {n: i for i, n in enumerate(graph.nodes)}
    given = set(graph.inputs)
    lines = []
    for n in graph.nodes:
        if n in given:
            lines.append((n.spec, n.params.get("within")))
        elif not n.inputs:
            lines.append((n.spec, np.asarray(n.value).tobytes()))
        else:
            params = tuple((k, v if _hashable(v) else id(v)) for k, v in n.params.items())
            lines.append((n.op.name, *(number[x] for x in n.inputs), params, n.spec))
    outputs = tuple(number[y] for y in graph.outputs)
    return node.op.name, tuple(lines), outputs, node.params["axes"], node.params["reduced"]


def _hashable(thing: Any) -> bool:
    try:
        hash(thing)
    except TypeError:
        return False
    return True


class Program:
    """What all graphs of a program share: the module, and the kernels made so far."""

    def __init__(
        self,
        machine: Machine,
        other: Other,
        habits: dict[str, Any] | None = None,
        threads: int = 1,
    ) -> None:
        self.machine, self.other, self.threads = machine, other, threads
        self.module, self.checks = Module(machine.bits, habits), Checks()
        self.made: dict[Any, Stages] = {}
        self.refused: dict[Node, str] = {}  # why a loop has no native form
        self.number = itertools.count()
        self.workspace = HEADER
        self.counters = 0

    def stages(self, plan: Plan, step: Step) -> tuple[Stages, list[Buffer]] | None:
        """The functions of a step, and the buffers they get; None if it has no native form."""
        numbers: list[int] = []
        buffers: list[Buffer] = []
        for x in (*step.inputs, *step.outputs):
            buffer = plan.buffers.get(x) or plan.temporaries.setdefault(
                x, Buffer("arena", 0, x.spec)
            )
            if not any(b is buffer for b in buffers):
                buffers.append(buffer)
            numbers.append(next(i for i, b in enumerate(buffers) if b is buffer))
        name = f"{step.node.op.name}{next(self.number)}"
        if step.is_kernel:
            key = signature(step.node), tuple(numbers)
            found = self.made.get(key)
            if found is None:
                if step.node.op is NEST:
                    write = nest
                else:
                    from .products import product_stages as write  # many modules, for products only
                found = write(self.module, self.machine, name, step.node, numbers, self.checks)
                self.made[key] = found
        else:
            found = self.other(self, step, numbers, name)
            if found is None:
                return None
            self.made[name] = found
        for kernel in found.kernels:
            self.workspace = max(self.workspace, HEADER + kernel.workspace)
        return found, buffers


def work_of(node: Node) -> int:
    """About how many multiply-adds a step takes; an entry of an array counts as eight, and more if
    it is costly to compute.
    """
    graphs = list(bodies_of(node).values())
    if node.op is PRODUCT or node.op is NEST:
        (graph,) = graphs
        total = 8 * math.prod(node.params["axes"]) * len(graph.outputs)
        for n in graph.nodes:
            if n.op.name in CORES:
                total += work_of(n)
            elif n.op.name in COSTS:
                total += COSTS[n.op.name] * n.spec.size * n.spec.dtype.itemsize
        return total
    if node.op.name == "einsum":
        return math.prod(sizes_of(node).values())
    if node.op.name == "matmul":  # in the body of a loop, which is lowered on its own
        return node.spec.size * node.inputs[0].spec.shape[-1]
    if graphs:
        inside = [n for g in graphs for n in g.nodes if n.inputs and not is_view(n)]
        return sum(map(work_of, inside)) * node.params.get("length", EXPECTED)
    sizes = [x.spec.size for x in (node, *node.inputs) if not isinstance(x.spec, tuple)]
    if node.op.name in CONVOLUTIONS:
        return math.isqrt(math.prod(sizes))  # exact where nothing is padded
    slow = COSTS.get(node.op.name)
    return 8 * sum(sizes) + (slow * node.spec.size * node.spec.dtype.itemsize if slow else 0)


class Block:
    """A graph's kernels in their order: the whole program, or the body of a loop."""

    def __init__(self, program: Program, graph: Graph, donated: dict[int, int]) -> None:
        self.program = program
        self.stages: dict[int, tuple[Stages, list[Buffer]]] = {}
        self.plan = place(graph, donated, self._lengths, first_checks)

    def _lengths(self, plan: Plan, step: Step) -> tuple[int, int]:
        found = self.program.stages(plan, step) if step.native else None
        if found is None:
            step.native = False
            return 1, 0
        self.stages[step.number] = found
        return len(found[0].kernels), found[0].scratch

    @property
    def is_native(self) -> bool:
        """Whether all of it is machine code."""
        return all(s.native for s in self.plan.steps)

    def levels(self) -> tuple[list[list[tuple[Step, int]]], list[list[Step]]]:
        """For each level its native steps (and which of their stages), and the foreign ones."""
        top = max((s.level + s.length for s in self.plan.steps), default=0)
        native: list[list[tuple[Step, int]]] = [[] for _ in range(top)]
        foreign: list[list[Step]] = [[] for _ in range(top)]
        for step in self.plan.steps:
            if step.native:
                for i in range(step.length):
                    native[step.level + i].append((step, i))
            else:
                foreign[step.level].append(step)
        return native, foreign

    def jobs(self, level: Sequence[tuple[Step, int]]) -> list[tuple[Step, Kernel]]:
        """The kernels of a level, those of many parts first."""
        found = [(step, self.stages[step.number][0].kernels[i]) for step, i in level]
        return found if self.program.module.general else sorted(found, key=lambda j: -j[1].parts)

    def work(self) -> int:
        """About how many multiply-adds it does."""
        return sum(work_of(s.node) for s in self.plan.steps if s.native)

    def call(
        self,
        f: Function,
        address: Callable[[Buffer], str],
        arena: str,
        step: Step,
        kernel: Kernel,
        workspace: str,
        part: Any,
        *more: tuple[str, str],
    ) -> None:
        """Call a kernel of the block for one part."""
        pointers = [("ptr", address(b)) for b in self.stages[step.number][1]]
        scratch = "null"
        if step.number in self.plan.scratch:
            scratch = f.at(arena, self.plan.scratch[step.number], "i8")
        if kernel.parts > 1 or f.module.general:
            # What LLVM learns of the number from where it comes from (there are 16, say) is another
            # for one thread and for several, and with it the order in which a part is added up.
            part = f.let(f'call i64 asm "", "=r,0"(i64 {part})')
        given = [("ptr", scratch), ("ptr", workspace), ("i64", part)]
        f.call(kernel.name, "void", *pointers, *given, *more)

    def inside(
        self,
        f: Function,
        address: Callable[[Buffer], str],
        arena: str,
        turn: Index | None,
    ) -> None:
        """All of it, in another kernel: by all threads (see `shared`), or by one."""
        for level in self.levels()[0]:
            jobs = [
                (partial(self.call, f, address, arena, step, kernel, "%workspace"), kernel.parts)
                for step, kernel in self.jobs(level)
            ]
            if turn is not None:
                shared(self.program, f, jobs, "%counters", turn=turn)
                continue
            for write, parts in jobs:
                with f.loop(0, parts) as part:
                    write(part)


def shared(
    program: Program,
    f: Function,
    jobs: Sequence[tuple[Callable[[Index], object], int]],
    counters: str,
    *,
    turn: Index = 0,
) -> None:
    """The parts of several jobs, each taken by the thread that comes first; then all are done.

    jobs    what writes a part, given its number, and how many parts there are
    turn    how often the threads have been here before, in this call of the program
    """
    every = sum(parts for _, parts in jobs)
    record = f.at(counters, program.counters, "i64")
    program.counters += 8  # a cache line of its own
    did = f.variable("i64", 0)
    with f.forever() as leave:
        taken = f.call("take", "i64", ("ptr", record), ("i64", turn), ("i64", every))
        leave(f.let(f"icmp sge i64 {taken}, {every}"))
        f.set(did, f.add(f.get(did), 1))
        start = 0
        for write, parts in jobs:
            part = f.sub(taken, start)
            with f.when(f.let(f"icmp ult i64 {part}, {parts}")):
                write(part)
            start += parts
    numbers = [("i64", n) for n in (turn, f.get(did), every, "%spin")]
    f.call(FINISH, "void", ("ptr", record), *numbers)
