"""One call of a compiled program in the making, the general way.

Its inputs are put in the table where they are, or copied; results get memory; then the program
runs. What `prepared` does quickly for the like of an earlier call is decided here, in Python.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ..context import within
from ..handle import Tensor, from_value, new
from ..ownership import solely_owned
from ..replay import explained_at
from ..spec import Spec
from .access import Strided
from .assemble import Fallback
from .frames import ALIGN, Frame, is_tidy, native_order, tidy
from .gate import HEAD, door
from .objects import address_of
from .place import Buffer
from .pool import Pool
from .results import blank

if TYPE_CHECKING:
    from .program import Compiled


class Running:
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
        if in_place and _is_off_line(handle.value) and solely_owned(handle):
            self.program.copies += 1
            _onto_line(handle)
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
        sources: tuple[Any, ...] = segment.sources
        values = [self._shown(*s) if isinstance(s, tuple) else s for s in sources]
        node = segment.node
        try:
            with within(allowed=0):
                found = node.op.run(*values, **node.params)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is told as in eager)
            raise explained_at(node, error) from error.__cause__
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
        return np.lib.stride_tricks.as_strided(
            flat[view.offset :], of.shape, [s * size for s in view.strides], writeable=False
        )

    def _array(self, buffer: Buffer) -> np.ndarray:
        """A buffer as an array."""
        if buffer.kind == "arena":
            dtype = native_order(buffer.spec.dtype)
            stop = buffer.offset + buffer.spec.size * dtype.itemsize
            return self.frame.memory[0][buffer.offset : stop].view(dtype).reshape(buffer.spec.shape)
        if buffer.kind == "constant":
            return self.program.constants[buffer.index]
        found = self.arrays[buffer.index] if buffer.kind == "input" else self.made[buffer.index]
        if found is None:
            raise AssertionError(f"nothing is known of {buffer}")
        return found.reshape(buffer.spec.shape)

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


def _is_off_line(value: Any) -> bool:
    """Whether an array of more than a few lines of the cache does not begin with one."""
    long = type(value) is np.ndarray and value.nbytes >= LINES * ALIGN
    return long and address_of(value) % ALIGN != 0


def _onto_line(handle: Tensor) -> None:
    """Move the array of a tensor, which nobody else sees, once and for all; the old one goes before
    the next is moved, so that a model is never in memory twice.
    """
    moved, node = tidy(handle.value, handle.spec), handle._node
    if node is not None and node.value is handle.value:
        node.value = moved
    handle.value = moved


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


LINES = 64
"""Lines of the cache from which on a tensor that is written at every call begins with one."""
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
