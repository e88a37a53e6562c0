"""Running what was traced: by the interpreter, or compiled. Two classes, one interface.

`call(traced, leaves)` is one call: it takes the inputs from where they come, runs, rebinds what the
function rebound, writes the gradients it left, and gives the results. An exception leaves every
handle as it was.

Compiled programs write the new value of a parameter over the old one, if nobody else can see that
(`ownership.solely_owned`); otherwise into a copy, which the parameter stands for afterwards. What
another Python thread could watch is always done in a copy.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..context import within
from ..errors import IndexingError, OverbarError
from ..graph import Graph
from ..handle import Tensor, from_value
from ..rebinding import moves, rebind
from ..replay import interpret
from ..spec import Spec
from .access import Strided, base_of, strided
from .assemble import Fallback
from .checks import Undecided, checked_nodes
from .family import Family
from .frames import Frame, native_order, tidy
from .objects import address_of
from .passes import lowered
from .place import Buffer
from .pool import Pool
from .running import Running, others_run, tensor_of
from .tracing import Traced

LONG = 1e-3
"""Programs that take so many seconds let other Python threads run meanwhile. Those could look at
what is written over, so copies are written then instead.
"""
COPIED = 50_000_000
"""Bytes that may be copied for that, per second of running: a hundredth of the time. If it is more,
the other threads wait.
"""

Accept = Callable[[list[Any]], None]
"""Looks at all that was computed, and raises if it is not to be."""


class Program(Protocol):
    """What runs a trace."""

    native: bool

    def call(
        self, traced: Traced, leaves: Sequence[Any], accept: Accept | None = None
    ) -> list[Tensor]:
        """One call; the results. With `accept` no array is written over; it is given all that was
        computed, and may raise, before anything is rebound.
        """
        ...

    def values(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs of the graph for these values of its inputs; nothing is rebound."""
        ...


class Interpreted:
    """Node by node with NumPy: the oracle of compiled code, and its fallback."""

    native = False

    def __init__(self, graph: Graph, why: str = "") -> None:
        self.graph, self.why = graph, why

    def call(
        self, traced: Traced, leaves: Sequence[Any], accept: Accept | None = None
    ) -> list[Tensor]:
        """One call; the results."""
        inputs = []
        for source in traced.sources:
            value = source.value(leaves)
            if isinstance(value, np.ndarray | np.generic) and source.kind in ("leaf", "array"):
                value = np.array(value, native_order(value.dtype))  # a result may be a view of it
            inputs.append(value)
        with within(allowed=0):
            made = [from_value(v) for v in self.values(inputs)]
        if accept is not None:
            accept([t.value for t in made])
        at, end = traced.results, traced.results + len(traced.rebinds)
        rebind([p.of(leaves) for p in traced.rebinds], made[at:end])
        _leave_grads(traced, leaves, made[end:])
        return made[:at]

    def values(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs of the graph for these values of its inputs."""
        try:
            return interpret(self.graph, inputs)
        except OverbarError as error:
            error.of_program = True
            raise


def _leave_grads(traced: Traced, leaves: Sequence[Any], made: Sequence[Tensor]) -> None:
    grads = iter(made)
    for p, there in traced.grads:
        p.of(leaves).grad = next(grads) if there else None


class End(NamedTuple):
    """How an output is had. kind: "new" memory, "written" over input `index`, "as" another output,
    or a "view" of something that is there anyway (an input, a constant).
    """

    kind: str
    index: int = 0
    buffer: Buffer | None = None
    view: Strided | None = None


class Compiled:
    """Native code.

    copies   how many arrays were copied so far, because they could not be used where they were
    single   whether it is one native segment: nothing of Python runs in between
    late     whether what is written over inputs is written in the last segment, a native one
    took     how long it took to make, in seconds; seconds: a call of it, `timed` so often
    holes    how many numbers are filled into its machine code, which serves other sizes as well;
             None: it has its own;  fresh: whether it was compiled for this program
    """

    native = True

    def __init__(
        self, graph: Graph, donated: dict[int, int], threads: int, family: Family | None = None
    ) -> None:
        began = time.perf_counter()
        self.asked = donated
        self.graph = lowered(Graph(graph.inputs, graph.outputs))
        made, self.library, self.holes, self.fresh = (family or Family()).made(
            self.graph, donated, threads
        )
        self.assembled = made
        self.segments: list[Any] = [  # addresses, and what runs with NumPy
            s if isinstance(s, Fallback) else self.library.address(s.entry) for s in made.segments
        ]
        self.single = len(self.segments) == 1 and isinstance(self.segments[0], int)
        self.late = self._is_late()
        self.specs = [x.spec for x in graph.inputs]
        self.ends = [self._end(i) for i in range(len(graph.outputs))]
        self.outputs: list[Spec] = [y.spec for y in graph.outputs]
        self.written = {e.index: k for k, e in enumerate(self.ends) if e.kind == "written"}
        self.constants = [
            tidy(value, node.spec)
            for value, node in zip(made.constants, made.plan.constants, strict=True)
        ]
        self.pool = Pool.of(made.threads) if made.threads > 1 else None
        self.launch = self.pool._library.address("launch_plain") if self.pool else 0
        self.copies, self.seconds, self.timed = 0, 0.0, 0
        self.took = time.perf_counter() - began
        self._frames: list[Frame] = []
        self._tidied: dict[int, tuple[Any, np.ndarray]] = {}

    def _end(self, i: int) -> End:
        plan, y = self.assembled.plan, self.graph.outputs[i]
        if i in plan.donated:
            return End("written", plan.donated[i])
        buffer = plan.buffers.get(y)
        if buffer is not None and buffer.kind == "output":
            return End("new") if buffer.index == i else End("as", buffer.index)
        view = strided(y)
        if view is None:
            raise AssertionError(f"an output without memory: {y}")
        return End("view", 0, plan.buffers[base_of(y)], view)

    def _is_late(self) -> bool:
        plan = self.assembled.plan
        last = max((s.level for s in plan.steps if not s.native), default=-1)
        written = {base_of(self.graph.outputs[k]) for k in plan.donated}
        return all(s.level > last for s in plan.steps if not written.isdisjoint(s.outputs))

    def frame(self) -> Frame:
        """For one more call in progress, in the memory of one that is over."""
        made, spare = self.assembled, self._spare()
        return Frame(
            self.specs, made.outputs, self.constants, made.arena,
            made.workspace * max(made.threads, 1), made.counters, spare and spare.memory,
        )  # fmt: skip

    def _spare(self) -> Frame | None:
        try:
            return self._frames.pop()
        except IndexError:
            return None

    def head(self, frame: Frame, body: int) -> dict[str, int]:
        """What `gate.run` has to know."""
        return {
            "body": body, "table": frame.address, "launch": self.launch,
            "counters": address_of(frame.counters), "count": self.assembled.counters,
            "record": address_of(frame.record),
        }  # fmt: skip

    # -- a call -------------------------------------------------------------------------------

    def call(
        self, traced: Traced, leaves: Sequence[Any], accept: Accept | None = None
    ) -> list[Tensor]:
        """One call; the results."""
        try:
            return self._called(traced, leaves, accept)
        except Undecided:
            return Interpreted(traced.graph).call(traced, leaves, accept)

    def _called(self, traced: Traced, leaves: Sequence[Any], accept: Accept | None) -> list[Tensor]:
        alone = not self.gives_way()
        with _Borrowed(self) as frame:
            call = Running(self, frame)
            for i, source in enumerate(traced.sources):
                if i not in self.written:
                    call.read(i, source.value(leaves), outside=source.kind in ("leaf", "array"))
            for i in self.written:
                handle = traced.sources[i].place.of(leaves)
                call.write(i, handle, accept is None and alone and self.late)
            call.make()
            handles, tensors, late = [], [], []
            for k, place in enumerate(traced.rebinds, traced.results):
                if self.ends[k].kind == "written" and self.single:
                    if self.ends[k].index not in call.fresh:
                        continue  # written where it is: there is nothing to rebind
                elif self.outputs[k].weak or not self.single or self.ends[k].kind == "view":
                    late.append((place.of(leaves), k))
                    continue
                handles.append(place.of(leaves))
                tensors.append(tensor_of(call.output(k), self.outputs[k]))
            after = moves(handles, tensors)
            call.run(iter(()) if accept else after, alone=alone)
            if accept is not None:
                accept([call.output(k) for k in range(len(self.outputs))])
                deque(after, maxlen=0)
            late = [(h, k) for h, k in late if call.output(k) is not None]
            rebind(
                [h for h, _ in late],
                [tensor_of(call.output(k), self.outputs[k]) for _, k in late],
            )
            at, end = traced.results, traced.results + len(traced.rebinds)
            rest = [*range(at), *range(end, len(self.outputs))]
            made = [tensor_of(call.output(k), self.outputs[k]) for k in rest]
        _leave_grads(traced, leaves, made[at:])
        return made[:at]

    def values(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs of the graph for these values of its inputs."""
        try:
            return self._values(inputs)
        except Undecided:
            return Interpreted(self.graph).values(inputs)

    def _values(self, inputs: Sequence[Any]) -> list[Any]:
        with _Borrowed(self) as frame:
            call = Running(self, frame)
            for i, value in enumerate(inputs):
                if i in self.written:
                    call.copy(i, value)
                else:
                    call.read(i, value, outside=True)
            call.make()
            call.run(iter(()), alone=not others_run())  # nothing that others know is written
            return [tensor_of(call.output(k), of).value for k, of in enumerate(self.outputs)]

    def gives_way(self) -> bool:
        """Whether other Python threads shall run while it runs."""
        if self.seconds < LONG:
            return False
        written = sum(self.specs[i].size * self.specs[i].dtype.itemsize for i in self.written)
        return written <= self.seconds * COPIED and others_run()

    def failed(self, record: np.ndarray) -> Exception:
        """The error of a check: which index was outside, and where."""
        check, value, step = (int(x) for x in record)
        size = self.assembled.checks.sizes[check - 1]
        if size is None:
            return Undecided()
        nodes = checked_nodes(self.assembled.plan.steps[step])
        index = value - size if value < 0 else value
        node = next((n for n in nodes if n.origin is not None), nodes[0])
        error = IndexingError(
            f"{node.op.name}: index {index} is outside an axis of size {size}",
            want=f"an index from {-size} to {size - 1}" if size else "no index: the axis is empty",
            where=str(node.origin) if node.origin else None,
        )
        error.of_program = True
        return error

    def tidied(self, i: int, value: Any) -> np.ndarray:
        """The copy of a value that cannot be read as it is. It is made once: what a tensor holds
        never changes, unless it can be read as it is.
        """
        known = self._tidied.get(i)
        if known is None or known[0] is not value:
            self.copies += 1
            known = self._tidied[i] = value, tidy(value, self.specs[i])
        return known[1]


class _Borrowed:
    """A frame for the time of a call: calls in progress never share one."""

    def __init__(self, program: Compiled) -> None:
        self.program = program

    def __enter__(self) -> Frame:
        self.frame = self.program._spare() or self.program.frame()
        return self.frame

    def __exit__(self, *_: object) -> None:
        self.program._frames.append(self.frame)
