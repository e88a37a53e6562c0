"""Running what was traced: by the interpreter, or compiled. Two classes, one interface.

`call(traced, leaves)` is one call: it takes the inputs from where they come, runs, rebinds what the
function rebound, writes the gradients it left, and gives the results. An exception leaves every
handle as it was.

Compiled programs write the new value of a parameter over the old one, if nobody else can see that
(`objects.solely_owned`); otherwise into a copy, which the parameter stands for afterwards. What
another Python thread could watch is always done in a copy.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..context import within
from ..errors import IndexingError, OverbarError
from ..graph import Graph
from ..handle import Tensor, from_value, new
from ..rebinding import moves, rebind
from ..replay import interpret
from ..spec import Spec
from . import native
from .access import Strided, strided
from .assemble import Fallback, assemble
from .checks import checked_nodes
from .frames import ALIGN, Frame, aligned, is_tidy, native_order, tidy
from .gate import HEAD, door
from .objects import address_of, solely_owned
from .passes import lowered
from .place import Buffer, root_of
from .pool import Pool
from .tracing import Traced

LARGE = 1 << 12
"""Bytes from which on an array for a result begins with a line of the cache."""

LONG = 1e-3
"""Programs that take so many seconds let other Python threads run meanwhile."""


Accept = Callable[[list[Any]], None]


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
        return interpret(self.graph, inputs)


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
    """

    native = True

    def __init__(self, graph: Graph, donated: dict[int, int], threads: int) -> None:
        began = time.perf_counter()
        self.asked = donated
        self.graph = lowered(Graph(graph.inputs, graph.outputs))
        made = assemble(self.graph, donated, machine=native.host(), threads=threads)
        self.assembled, self.library = made, native.load(made.text)
        self.segments = [
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
        return End("view", 0, plan.buffers[root_of(y)], view)

    def _is_late(self) -> bool:
        plan = self.assembled.plan
        last = max((s.level for s in plan.steps if not s.native), default=-1)
        written = {self.graph.outputs[k] for k in plan.donated}
        return all(s.level > last for s in plan.steps if not written.isdisjoint(s.outputs))

    def frame(self) -> Frame:
        """Memory for one more call in progress."""
        made = self.assembled
        return Frame(
            self.specs, made.outputs, self.constants, made.arena,
            made.workspace * max(made.threads, 1), made.counters,
        )  # fmt: skip

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
        alone = self.seconds < LONG or not others_run()
        with _Borrowed(self) as frame:
            call = _Call(self, frame)
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
        with _Borrowed(self) as frame:
            call = _Call(self, frame)
            for i, value in enumerate(inputs):
                if i in self.written:
                    call.copy(i, value)
                else:
                    call.read(i, value, outside=True)
            call.make()
            call.run(iter(()), alone=not others_run())
            return [tensor_of(call.output(k), of).value for k, of in enumerate(self.outputs)]

    def failed(self, record: np.ndarray) -> OverbarError:
        """The error of a check: which index was outside, and where."""
        check, value, step = (int(x) for x in record)
        size = self.assembled.checks.sizes[check - 1]
        nodes = checked_nodes(self.assembled.plan.steps[step])
        index = value - size if value < 0 else value
        node = next((n for n in nodes if n.origin is not None), nodes[0])
        return IndexingError(
            f"{node.op.name}: index {index} is out of bounds for an axis of size {size}",
            want=f"an index from {-size} to {size - 1}" if size else "no index: the axis is empty",
            where=str(node.origin) if node.origin else None,
        )

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
        try:
            self.frame = self.program._frames.pop()
        except IndexError:
            self.frame = self.program.frame()
        return self.frame

    def __exit__(self, *_: object) -> None:
        self.program._frames.append(self.frame)


class _Call:
    """One call in the making.

    arrays  the inputs as they are read; fresh: new memory for inputs that are written, by number
    """

    def __init__(self, program: Compiled, frame: Frame) -> None:
        self.program, self.frame = program, frame
        self.arrays: list[np.ndarray | None] = [None] * len(program.specs)
        self.fresh: dict[int, np.ndarray] = {}
        self.made: dict[int, np.ndarray] = {}
        self.pending: dict[int, Tensor] = {}
        self._given: list[tuple[int, int]] = []

    def read(self, i: int, value: Any, *, outside: bool) -> None:
        """Input i has this value. outside: it is an array that somebody may change later."""
        program, of = self.program, self.program.specs[i]
        cell = self.frame.cells[i]
        if cell is not None:
            cell[...] = value
            self.arrays[i] = cell
            return
        if is_tidy(value, native_order(of.dtype)):
            array = value
        elif outside:
            program.copies += isinstance(value, np.ndarray)
            array = tidy(value, of)
        else:
            array = program.tidied(i, value)
        address = address_of(array)
        self.frame.table[i] = address
        self.arrays[i] = array
        if outside:
            self._given.append((address, address + array.nbytes))

    def write(self, i: int, handle: Tensor, in_place: bool) -> None:
        """Input i is the value of this tensor, which is written over: where it is, or in a copy."""
        if in_place and not self.program.single:
            self.pending[i] = handle
            self.arrays[i] = handle.value
            self.frame.table[i] = address_of(handle.value)
            return
        if in_place and self._is_free(handle):
            self.frame.table[i] = address_of(handle.value)
            return
        self.copy(i, handle.value)

    def _is_free(self, handle: Tensor) -> bool:
        """Whether the array of a tensor may be written over."""
        if not solely_owned(handle):
            return False
        start = address_of(handle.value)
        end = start + handle.value.nbytes
        if end - start >= LARGE and start % ALIGN:
            return False  # it moves, this one time
        return not any(first < end and start < last for first, last in self._given)

    def _settle(self) -> None:
        """Everything that can fail is over, and only now is it known who holds what."""
        for i, handle in self.pending.items():
            if handle.value is self.arrays[i]:
                self.arrays[i] = None  # it would count
                if self._is_free(handle):
                    continue
                self.arrays[i] = handle.value
            self.copy(i, self.arrays[i])

    def copy(self, i: int, value: Any) -> None:
        """Input i begins with this value, in memory of its own."""
        self.program.copies += 1
        self.fresh[i] = self.arrays[i] = tidy(value, self.program.specs[i])
        self.frame.table[i] = address_of(self.fresh[i])

    def make(self) -> None:
        """Memory for the results."""
        program, first = self.program, len(self.program.specs)
        for k, end in enumerate(program.ends):
            if end.kind == "new":
                self.made[k] = blank(program.outputs[k])
                self.frame.table[first + k] = address_of(self.made[k])

    def run(self, after: Iterator[Any], *, alone: bool) -> None:
        """Run the program, then go through `after`: both, or (a check failed) none."""
        program, frame = self.program, self.frame
        if not program.single:
            self._segments()
            deque(after, maxlen=0)
            return
        body = program.segments[0]
        if alone:
            # One call of C, in which no signal handler can run: were there one between the program
            # and the rebinding, some parameters could be of this step and some of the last.
            code = _swept(program.head(frame, body), frame.record, after)
            if code == ABSENT and program.pool is not None:
                program.pool._start()
                code = _swept(program.head(frame, body), frame.record, after)
            if code == ABSENT:
                head = {**program.head(frame, body), "launch": 0}
                code = _swept(head, frame.record, after)
        else:
            frame.begin()
            (program.pool or Pool.of(1)).run(body, frame.address)
            code = WRONG if frame.record[0] else 0
        if code == WRONG:
            raise program.failed(frame.record)
        if not alone:
            deque(after, maxlen=0)

    def _segments(self) -> None:
        program, frame = self.program, self.frame
        frame.begin()
        pool = program.pool or Pool.of(1)
        for k, segment in enumerate(program.segments):
            if k == len(program.segments) - 1:
                self._settle()
            if isinstance(segment, Fallback):
                self._fall_back(segment)
                continue
            pool.run(segment, frame.address)
            if frame.record[0]:
                raise program.failed(frame.record)

    def _fall_back(self, segment: Fallback) -> None:
        """An operation with NumPy, its results copied to where the program expects them."""
        values = [
            self._shown(*s) if isinstance(s, tuple) and isinstance(s[0], Buffer) else s
            for s in segment.sources
        ]
        node = segment.node
        with within(allowed=0):
            found = node.op.run(*values, **node.params)
        several = isinstance(node.spec, tuple)
        for target, value in zip(segment.targets, found if several else (found,), strict=True):
            if target is not None:
                self._array(target)[...] = value

    def _shown(self, buffer: Buffer, view: Strided, of: Spec) -> Any:
        """The operand of an operation that runs with NumPy."""
        array = self._view(buffer, view, of)
        return array.item() if of.weak else array

    def _view(self, buffer: Buffer, view: Strided, of: Spec) -> np.ndarray:
        flat = self._array(buffer).reshape(-1)
        size = flat.dtype.itemsize
        if not of.size:
            return np.empty(of.shape, flat.dtype)
        shown = np.lib.stride_tricks.as_strided(
            flat[view.offset :], of.shape, [s * size for s in view.strides], writeable=False
        )
        return shown

    def _array(self, buffer: Buffer) -> np.ndarray:
        """A buffer as an array."""
        if buffer.kind == "arena":
            dtype = native_order(buffer.spec.dtype)
            stop = buffer.offset + buffer.spec.size * dtype.itemsize
            return self.frame.arena[buffer.offset : stop].view(dtype).reshape(buffer.spec.shape)
        if buffer.kind == "constant":
            return self.program.constants[buffer.index]
        found = self.arrays[buffer.index] if buffer.kind == "input" else self.made[buffer.index]
        if found is None:
            raise AssertionError(f"nothing is known of {buffer}")
        return found

    def output(self, k: int) -> Any:
        """The array of an output; None if it was written over a tensor's."""
        end = self.program.ends[k]
        if end.kind == "view" and end.buffer is not None and end.view is not None:
            return self._given_back(end.buffer, end.view, self.program.outputs[k])
        if end.kind == "written":
            return self.fresh.get(end.index)
        return self.made[end.index if end.kind == "as" else k]

    def _given_back(self, buffer: Buffer, view: Strided, of: Spec) -> Any:
        return np.array(self._view(buffer, view, of))


def blank(of: Spec) -> np.ndarray:
    """Memory for a result."""
    dtype = native_order(of.dtype)
    if of.size * dtype.itemsize >= LARGE:
        return aligned(of.shape, dtype)
    return np.empty(of.shape, dtype)


def tensor_of(value: Any, of: Spec) -> Tensor:
    """A handle on a result. None: on nothing, it is not handed out."""
    if value is None or of.weak or value.dtype != of.dtype:
        return from_value(value.item() if of.weak and value is not None else value)
    t = new(Tensor)
    t._node, t.value, t.spec = None, value, of
    return t


def others_run() -> bool:
    """Whether there are other Python threads than this one and the pools'."""
    here = threading.current_thread()
    return any(t is not here and not t.name.startswith("overbar-") for t in threading.enumerate())


WRONG, ABSENT = 1, 2
"""What `gate.run` gives: a check inside failed; the threads of the pool are not there."""


def _swept(head: dict[str, int], record: np.ndarray, after: Iterator[Any]) -> int:
    """Run a program and, if all is well, go through `after`; gives what `run` gave."""
    words = np.array([head.get(name, 0) for name in HEAD], np.int64)
    codes = map(door().run, (address_of(words),))
    try:
        deque(chain.from_iterable(map([after].__getitem__, codes)), maxlen=0)
    except IndexError:  # there is only number 0
        return WRONG if record[0] else ABSENT
    return 0
