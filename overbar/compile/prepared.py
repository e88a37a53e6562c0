"""The second call: what had to be found out for the first one is a table for a `gate` now.

A `Prepared` serves one trace under one context. Called with the leaves of the arguments it runs the
program and gives what the function returns, or says `MISS`, and nothing has happened. It is made of
what is there at the moment, and made anew when that was replaced by its like.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..context import WANTED, Context
from ..handle import Tensor, new
from ..rebinding import moves
from ..trees import LEAF, changes
from .frames import is_tidy, native_order
from .gate import Gate, door
from .likeness import MISSING
from .objects import address_of
from .program import LONG, Compiled
from .results import MAPPED, blank
from .running import tensor_of
from .signature import Array, Same, Signature
from .surroundings import Watch
from .tracing import MISS, UNTIDY, Plain, Traced

TIMED = 3
"""So many calls are timed, and the shortest counts: whatever else runs only makes them longer."""

_MINE = {"word", "items", "key", "bytes", "kept", "read"}
"""Rows about what a new table would know better."""


class Unprepared(Exception):  # noqa: N818  (no error: it goes the general way)
    """This trace has something that only the general way does."""


class Prepared:
    """One trace, ready to be called.

    context   under which it was prepared; epoch: see `trees.touch`
    flat      whether every argument is a leaf; words: the names of those given by keyword
    quick     a function that does what `whole` does, if that is one tensor and nothing else
    """

    def __init__(
        self,
        traced: Traced,
        signature: Signature,
        program: Compiled,
        leaves: Sequence[Any],
        context: Context,
    ) -> None:
        self.traced, self.context, self.epoch = traced, context, traced.epoch
        self.program, self._outdated = program, False
        self.structure = signature.structure
        args, kwargs = self.structure.children
        self.flat = all(c == LEAF for c in (*args.children, *kwargs.children))
        self.words = tuple(kwargs.names)
        self._check_shape(traced)
        self.frame = program.frame()
        self._keep: list[Any] = []
        self._watches: list[Watch] = []
        self._rows: list[tuple[Any, ...]] = []
        self._given: list[tuple[int, int]] = []
        self._arrays: list[tuple[int, np.dtype, bool]] = []
        self._written: list[tuple[int, int]] = []
        self._look_at_leaves(leaves, signature)
        self._look_at_sources()
        self._look_at_grads(leaves)
        self._look_around()
        first = len(program.specs)
        self.specs = [of for of, end in zip(program.outputs, program.ends, strict=True)
                      if end.kind == "new"]  # fmt: skip
        fresh = [k for k, end in enumerate(program.ends) if end.kind == "new"]
        for j, k in enumerate(fresh):
            self._rows.append(("new", j, 0, 0, 0, first + k))
        body = program.segments[0]
        self.gate = Gate(
            program.head(self.frame, body), self._rows, self._given, self._written, len(leaves),
            (self._keep, self.frame),
        )  # fmt: skip
        at = {k: j for j, k in enumerate(fresh)}
        self._made_at = [
            at.get(end.index if end.kind == "as" else k, -1) for k, end in enumerate(program.ends)
        ]
        self._rebinds = [
            (place.handle, k)
            for k, place in enumerate(traced.rebinds, traced.results)
            if program.ends[k].kind != "written"
        ]
        ends = range(traced.results + len(traced.rebinds), len(program.outputs))
        left = [p.handle for p, there in traced.grads if there and p.handle is not None]
        self._grads = [
            (handle, self._made_at[k], program.outputs[k])
            for handle, k in zip(left, ends, strict=True)
        ]
        self._results = [(self._made_at[k], program.outputs[k]) for k in range(traced.results)]
        alone = traced.tree == LEAF
        self._single = alone and traced.outs == [Tensor]
        self._single_plain = alone and traced.outs == [Plain]
        self.quick: Callable[[tuple[Any, ...]], Any] | None = None
        self.loops = not self._rebinds and self._steady()
        if program.timed >= TIMED:
            self.quick = self._quick()

    # -- rows ---------------------------------------------------------------------------------

    def _check_shape(self, traced: Traced) -> None:
        program = self.program
        places = [*traced.rebinds, *(p for p, _ in traced.grads)]
        weak = any(of.weak for of in program.outputs[traced.results :])
        if (
            not program.single
            or weak
            or any(p.handle is None for p in places)
            or any(s.kind == "grad" or s.place.spot is not None for s in traced.sources)
            or any(end.kind == "view" for end in program.ends)
            or any(not of.weak and not of.dtype.isnative for of in program.outputs)
        ):
            raise Unprepared

    def _note(self, name: str, *numbers: int) -> None:
        self._rows.append((name, *numbers))

    def _alive(self, thing: Any) -> int:
        """The address of an object, which is kept alive."""
        self._keep.append(thing)
        return id(thing)

    def _while_alive(self, thing: Any) -> int:
        """The address of an object, which is not kept alive: without it this serves no more."""
        there = np.ones(1, np.int64)
        try:
            watched = weakref.ref(thing, lambda _: there.fill(0))
        except TypeError:
            return self._alive(thing)
        self._keep += [there, watched]
        self._note("word", address_of(there), 1)
        return id(thing)

    def _words(self, numbers: Sequence[int]) -> int:
        """The address of some numbers."""
        words = np.array(numbers, np.int64)
        self._keep.append(words)
        return address_of(words)

    def _look_at_leaves(self, leaves: Sequence[Any], signature: Signature) -> None:
        slots = {
            s.place.leaf: i for i, s in enumerate(self.traced.sources) if s.place.handle is None
        }
        unread = len(self.frame.table) - 1
        for i, (leaf, kind) in enumerate(zip(leaves, signature.kinds, strict=True)):
            slot = slots.get(i, unread)
            if isinstance(kind, Array) and type(leaf) is np.ndarray:
                if not is_tidy(leaf, leaf.dtype) or not leaf.dtype.isnative:
                    raise Unprepared
                self._note("array", i, *self._array(leaf, slot))
                self._arrays.append((i, leaf.dtype, False))
            elif isinstance(kind, Array) and isinstance(leaf, Tensor):
                if kind.weak or kind.followed:
                    raise Unprepared
                self._note("tensor", i, id(leaf.spec), *self._mask(leaf), slot)
            elif kind is float:
                cell = self.frame.cells[slot]
                if cell is None:
                    raise Unprepared
                self._note("number", i, id(float), address_of(cell))
                continue
            elif isinstance(kind, Array) and isinstance(leaf, np.generic) and leaf.itemsize <= 8:
                cell = np.zeros(1, np.int64)
                self._keep.append(cell)
                self.frame.table[slot] = address_of(cell)
                self._note("number", i, id(type(leaf)), address_of(cell))
                self._arrays.append((i, leaf.dtype, True))
                continue
            elif kind is complex or isinstance(kind, Array | type):
                raise Unprepared
            elif isinstance(kind, Same):
                self._note("same", i, self._while_alive(leaf))
                continue
            else:
                self._note("same", i, self._alive(leaf))
                continue
            self._given.append((slot, leaf.size * leaf.dtype.itemsize))

    def _array(self, array: np.ndarray, slot: int) -> tuple[int, ...]:
        dtype = self._alive(array.dtype)
        return dtype, array.ndim, self._words([*array.shape, 0]), slot

    def _mask(self, handle: Tensor) -> tuple[int, int]:
        mask = handle._node.mask if handle._node is not None else 0
        if mask not in (0, WANTED):
            raise Unprepared
        return id(mask), mask

    def _look_at_sources(self) -> None:
        program, frame = self.program, self.frame
        for i, source in enumerate(self.traced.sources):
            if source.kind == "array":
                array = source.array
                if not is_tidy(array, native_order(array.dtype)):
                    raise Unprepared
                self._note("outer", self._alive(array), *self._array(array, i))
                self._given.append((i, array.nbytes))
                continue
            handle = source.place.handle
            if source.kind != "tensor" or handle is None:
                continue
            of, value = program.specs[i], handle.value
            history = self._alive(handle), id(of), *self._mask(handle)
            cell = frame.cells[i]
            if i in program.written:
                self._note("owned", *history, i)
                self._written.append((i, of.size * of.dtype.itemsize))
            elif cell is not None:
                cell[...] = value
                self._note("kept", *history, self._alive(value))
            elif is_tidy(value, native_order(of.dtype)):
                self._note("read", *history, i)
            else:
                copy = program.tidied(i, value)
                self._keep.append(copy)
                frame.table[i] = address_of(copy)
                self._note("kept", *history, self._alive(value))

    def _look_at_grads(self, leaves: Sequence[Any]) -> None:
        for place, there in self.traced.looked:
            if place.handle is None:
                if not isinstance(leaves[place.leaf], Tensor):
                    raise Unprepared
                self._note("leaf_grad", place.leaf, int(there))
            else:
                self._note("grad", self._alive(place.handle), int(there))
        seen = {place for place, _ in self.traced.looked}
        for place, there in self.traced.grads:
            if not there and place not in seen:
                self._note("grad", self._alive(place.handle), 0)

    def _look_around(self) -> None:
        layout = door().layout
        if layout is None:
            raise Unprepared
        for watch in self.traced.survey.watches.values():
            kind, where, name, found = watch
            self._keep.append(watch)
            held = 0 if found is MISSING else id(found)
            if kind == "key":
                self._note("key", id(where), id(name), held)
            elif kind == "cell":
                self._note("word", id(where) + 16, held)
            elif kind == "size":
                self._note("word", id(where) + 16, found)
            elif kind == "items":
                self._note("items", id(where), len(found), self._words([*map(id, found), 0]))
            elif kind == "code":
                for place, part in zip(layout[-3:], found, strict=True):
                    self._note("word", id(where) + place, 0 if part is None else id(part))
            elif kind == "bytes" and where.nbytes % 8 == 0 and where.flags.c_contiguous:
                copy = where.copy()
                self._keep.append(copy)
                numbers = address_of(where), where.nbytes // 8, address_of(copy)
                self._note("bytes", id(where), *numbers)
            else:
                self._watches.append(watch)

    def _steady(self) -> bool:
        """Whether the next call would find everything as this one leaves it."""
        after = dict(self.traced.grads)
        return all(after.get(place, there) == there for place, there in self.traced.looked)

    @property
    def stretch(self) -> int:
        """How many steps may be taken at once: Ctrl-C waits for them."""
        return max(1, int(0.05 / max(self.program.seconds, 1e-7)))

    def repeated(self, times: int, leaves: tuple[Any, ...]) -> tuple[Any, int]:
        """So many calls, in native code: what the last one gives, and how many were done. MISS: the
        next is to be called in another way.
        """
        if self.program.gives_way():
            return MISS, 0
        self.gate.repeat(times)
        try:
            result = self.whole(leaves)
            return result, self.gate.done if result is MISS else times
        finally:
            self.gate.repeat(1)

    # -- calls --------------------------------------------------------------------------------

    def joined(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The leaves of flat arguments; none where the keywords are not those."""
        words = self.words
        if len(kwargs) != len(words) or not all(word in kwargs for word in words):
            return ()
        return (*args, *(kwargs[word] for word in words))

    def serves(self, context: Context) -> bool:
        """Whether it may be tried."""
        return self.epoch == changes() and (context is self.context or self.suits(context))

    def suits(self, context: Context) -> bool:
        """Whether another context is the same for this."""
        own = self.context
        return (
            context.kinks == own.kinks
            and context.dtype == own.dtype
            and context.allowed & WANTED == own.allowed & WANTED
            and context.jit == own.jit
            and context.threads == own.threads
            and context.trace is None
            and not context.lane
            and context.record_all is None
            and not context.guard
        )

    @property
    def again(self) -> bool:
        """Whether, after a call that missed, a new one would know better."""
        return self._outdated or self.gate.refused in _MINE

    def whole(self, leaves: tuple[Any, ...]) -> Any:
        """One call: what the function returns, or MISS."""
        program = self.program
        if program.gives_way():
            return MISS
        if not all(w.holds() for w in self._watches):
            self._outdated = True
            return MISS
        made = [blank(of) for of in self.specs]
        began = time.perf_counter() if program.timed < TIMED else 0.0
        ran = self._entered(leaves, made)
        if ran is False and self.gate.refused in UNTIDY:
            tidied = self._tidied(leaves)
            ran = False if tidied is None else self._entered(tidied, made)
        if ran is None:
            if program.assembled.checks.is_refusal(self.frame.record):
                return MISS
            raise program.failed(self.frame.record)
        if not ran:
            return MISS
        if began:
            took, program.timed = time.perf_counter() - began, program.timed + 1
            program.seconds = took if program.timed == 1 else min(took, program.seconds)
            self.quick = self._quick() if program.timed >= TIMED else None
        for handle, j, of in self._grads:
            handle._grad = tensor_of(made[j], of)
        results = [tensor_of(made[j], of) for j, of in self._results]
        return results[0] if self._single else self.traced.unflattened(results)

    def _tidied(self, leaves: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The leaves with arrays as the rows want them; None if they were so already."""
        found, changed = list(leaves), False
        for i, dtype, scalar in self._arrays:
            leaf = leaves[i] if i < len(leaves) else None
            if not isinstance(leaf, np.ndarray | np.generic) or leaf.dtype != dtype:
                continue
            if scalar != isinstance(leaf, np.generic) and leaf.ndim == 0:
                found[i] = dtype.type(leaf.item()) if scalar else np.array(leaf, dtype)
            elif not scalar and (not is_tidy(leaf, dtype) or leaf.dtype is not dtype):
                found[i] = np.array(leaf, dtype, order="C", subok=False)
                self.program.copies += 1
            changed |= found[i] is not leaf
        return tuple(found) if changed else None

    def _quick(self) -> Callable[[tuple[Any, ...]], Any] | None:
        """It holds on to nothing that holds on to it."""
        plain = not (self._watches or self._rebinds or self._grads)
        one = len(self.specs) == 1 and (self._single or self._single_plain)
        if not (plain and one) or self.specs[0].weak or self._made_at[0] != 0:
            return None
        enter, of, program, record = self.gate.enter, self.specs[0], self.program, self.frame.record
        shape, dtype, empty = of.shape, of.dtype, np.empty
        large = of.size * dtype.itemsize >= MAPPED
        long = program.seconds >= LONG
        as_numpy, number = self._single_plain, not shape

        def call(leaves: tuple[Any, ...]) -> Any:
            if long and program.gives_way():
                return MISS
            value = blank(of) if large else empty(shape, dtype)
            ran = enter(leaves, value)
            if ran is None:
                if program.assembled.checks.is_refusal(record):
                    return MISS
                raise program.failed(record)
            if not ran:
                return MISS
            if as_numpy:
                return value[()] if number else value
            t = new(Tensor)
            t._node, t.value, t.spec = None, value, of
            return t

        return call

    def _entered(self, leaves: tuple[Any, ...], made: list[np.ndarray]) -> bool | None:
        """Enter, and rebind what is not written where it is; nothing comes in between."""
        if not self._rebinds:
            return self.gate.enter(leaves, *made)
        handles = [h for h, _ in self._rebinds if h is not None]
        outputs, where = self.program.outputs, self._made_at
        tensors = [tensor_of(made[where[k]], outputs[k]) for _, k in self._rebinds]
        entered = map(self.gate.enter, (leaves,), *((m,) for m in made))
        after: dict[Any, Any] = {True: moves(handles, tensors)}
        try:
            deque(chain.from_iterable(map(after.__getitem__, entered)), maxlen=0)
        except KeyError as answer:
            return answer.args[0]
        return True
