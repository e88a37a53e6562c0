"""From a graph of kernels to the text of one program, and all that is needed to call it.

The program is a list of segments. A native one is a function that every thread runs: it goes from
level to level, takes the parts of that level's kernels as they come, and goes on when all parts are
done. Between native segments stand the operations that have no native form: they run with NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from ..graph import Graph, Node
from .access import Strided, strided
from .alike import merged
from .block import QUIET, Block, Program, shared
from .checks import HEADER, Checks, is_checked
from .kernel import Kernel
from .machine import Machine
from .place import Buffer, Plan, Step
from .runtime import shared_text
from .stages import Stages

STEPS = 100
"""In one function; a segment with more is several. The time it takes to compile a function grows
faster than its length."""

PLAIN = "nounwind noinline optnone"
"""Functions that only call kernels are not optimised: that was half of the time it took to compile
a Transformer of twelve layers, and the code is as fast without."""

ARGUMENTS = (
    ("ptr", "state"), ("i64", "thread"), ("i64", "threads"), ("i64", "spin"), ("ptr", "table"),
)  # fmt: skip
"""Of the function of a segment."""


class Native(NamedTuple):
    """A stretch of the program in machine code: the name of its function."""

    entry: str


class Fallback(NamedTuple):
    """An operation that runs with NumPy.

    sources   for each operand: its buffer and how it lies there, or a number
    targets   for each result its buffer; None if nobody needs it
    """

    node: Node
    sources: tuple[tuple[Buffer, Strided] | Any, ...]
    targets: tuple[Buffer | None, ...]


class Assembled(NamedTuple):
    """A program.

    shared: whether parts are shared out, so that it cannot be loaded before there is a pool
    kernels: by the number of their step, the functions of it; refused: why a loop has none
    table: the addresses of the inputs, the outputs, the constants, then of the arena, the threads'
    workspaces, the counters, and the error record (three numbers: check, value, step)
    """

    text: str
    segments: tuple[Native | Fallback, ...]
    inputs: int
    outputs: int
    constants: tuple[Any, ...]
    donated: dict[int, int]
    arena: int
    workspace: int
    counters: int
    threads: int
    shared: bool
    checks: Checks
    plan: Plan
    kernels: dict[int, tuple[Kernel, ...]]
    refused: dict[Node, str]


def assemble(
    graph: Graph,
    donated: dict[int, int],
    *,
    machine: Machine,
    threads: int,
    habits: dict[str, Any] | None = None,
) -> Assembled:
    """The program of a graph on which `passes.lowered` has done its work.

    donated: outputs, by number, that may be written over an input; habits: see `text.Module`
    """
    return Assembly(graph, donated, machine, threads, habits).done()


def _other(program: Program, step: Step, numbers: Sequence[int], name: str) -> Stages | None:
    """What is neither a nest nor a product; many programs have none, and import none of this."""
    from .control import control
    from .library import library
    from .matrices import matrices
    from .tiny import tiny

    tried = (write(program, step, numbers, name) for write in (control, library, tiny, matrices))
    return next((made for made in tried if made is not None), None)


class Assembly(Block):
    """The whole program."""

    def __init__(
        self,
        graph: Graph,
        donated: dict[int, int],
        machine: Machine,
        threads: int,
        habits: dict[str, Any] | None,
    ) -> None:
        super().__init__(Program(machine, _other, habits, threads), graph, donated)
        self.threads = threads if self.work() > QUIET else 1
        self.shared = threads > 1 and (self.threads > 1 or habits is not None)

    def done(self) -> Assembled:
        """Put it together."""
        plan, program = self.plan, self.program
        segments: list[Native | Fallback] = []
        stretches: dict[str, list[list[tuple[Step, int]]]] = {}
        waiting: list[list[tuple[Step, int]]] = []

        def close() -> None:
            if waiting:
                name = f"segment{len(segments)}"
                stretches[name] = list(waiting)
                segments.append(Native(name))
                waiting.clear()

        for native, foreign in zip(*self.levels(), strict=True):
            if native:
                waiting.append(native)
            if foreign:
                close()
                segments += [self._fallback(step) for step in foreign if step.node.spec]
        close()
        workspace = -(-program.workspace // 64) * 64
        for name, levels in stretches.items():
            self._entry(name, levels, workspace)
        alike = partial(merged, general=program.module.general)
        return Assembled(
            (shared_text() if self.shared else "") + program.module.written(alike),
            tuple(segments),
            len(plan.graph.inputs),
            len(plan.graph.outputs),
            tuple(node.value for node in plan.constants),
            plan.donated,
            plan.arena,
            workspace,
            program.counters,
            self.threads,
            self.shared,
            program.checks,
            plan,
            {n: stages.kernels for n, (stages, _) in self.stages.items()},
            program.refused,
        )

    def _fallback(self, step: Step) -> Fallback:
        plan = self.plan
        sources: list[Any] = []
        for x in step.node.inputs:
            view = strided(x)
            if view is None:
                raise AssertionError(f"an operand without strides: {x}")
            if view.root.value is not None and not view.root.inputs and view.root.spec.weak:
                sources.append(view.root.value)
            else:
                sources.append((plan.buffers[view.root], view, x.spec))
        spec = step.node.spec
        targets: list[Buffer | None] = [None] * (len(spec) if isinstance(spec, tuple) else 1)
        for y in step.outputs:
            i = y.params["index"] if isinstance(spec, tuple) else 0
            targets[i] = plan.buffers[y]
        return Fallback(step.node, tuple(sources), tuple(targets))

    # -- the function of a segment ------------------------------------------------------------

    def _entry(self, name: str, levels: Sequence[list[tuple[Step, int]]], workspace: int) -> None:
        """The function of a segment, which every thread calls."""
        stretches: list[list[list[tuple[Step, int]]]] = [[]]
        for level in levels:
            if sum(map(len, stretches[-1])) >= STEPS:
                stretches.append([])
            stretches[-1].append(level)
        if len(stretches) == 1:
            self._stretch(name, levels, workspace, public=True)
            return
        f = self.program.module.function(name, ARGUMENTS, public=True, attributes=PLAIN)
        for k, stretch in enumerate(stretches):
            self._stretch(f"{name}.{k}", stretch, workspace)
            f.call(f"{name}.{k}", "void", *((kind, f"%{x}") for kind, x in ARGUMENTS))
        f.give()

    def _stretch(
        self,
        name: str,
        levels: Sequence[list[tuple[Step, int]]],
        workspace: int,
        *,
        public: bool = False,
    ) -> None:
        """A function that goes through some levels, unless a check has failed before."""
        plan, graph = self.plan, self.plan.graph
        f = self.program.module.function(name, ARGUMENTS, public=public, attributes=PLAIN)
        first = {"input": 0, "output": len(graph.inputs)}
        first["constant"] = first["output"] + len(graph.outputs)
        fixed = first["constant"] + len(plan.constants)

        def slot(i: int) -> str:
            return f.load(f.at("%table", i, "ptr"), "ptr")

        arena = slot(fixed)
        header = f.at(slot(fixed + 1), f.mul("%thread", workspace), "i8")
        counters, record = slot(fixed + 2), slot(fixed + 3)
        f.store(record, header, "ptr")
        own = f.at(header, HEADER, "i8")

        def stop_if_wrong() -> None:
            with f.when(f.let(f"icmp ne i64 {f.load(record, 'i64')}, 0")):
                f.give()
                f.dead()

        def address(buffer: Buffer) -> str:
            if buffer.kind == "arena":
                return f.at(arena, buffer.offset, "i8")
            return slot(first[buffer.kind] + buffer.index)

        def run(step: Step, kernel: Kernel, part: Any, *more: tuple[str, str]) -> None:
            if is_checked(step):
                f.store(step.number, f.at(own, 8 - HEADER, "i8"), "i64")
            self.call(f, address, arena, step, kernel, own, part, *more)

        if not public:
            stop_if_wrong()
        for level in levels:
            jobs = self.jobs(level)
            if not self.shared:
                for step, kernel in jobs:
                    with f.loop(0, kernel.parts) as part:
                        run(step, kernel, part)
            else:
                apart = [job for job in jobs if not job[1].together]
                if apart:
                    written = [(partial(run, step, kernel), kernel.parts) for step, kernel in apart]
                    shared(self.program, f, written, counters)
                for step, kernel in jobs:
                    if kernel.together:
                        run(step, kernel, 0, ("ptr", counters), ("i64", "%spin"))
            if any(is_checked(step) for step, _ in level):
                stop_if_wrong()
        f.give()
