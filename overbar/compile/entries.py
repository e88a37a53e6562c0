"""One entry of an array: how it is read from memory, or computed of other entries.

What a kernel does at one place of its loops, whatever the loops around it are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..elementwise import Elementwise
from ..graph import Graph, Node
from .access import is_view, linear, source, strided
from .scalar import BOOL, INT, Builder, Scalar
from .stages import share
from .text import Function, Index, Module, type_of


class Entries:
    """How one entry is computed, whatever the loops around it."""

    def __init__(
        self, function: Function, graph: Graph, pointers: dict[Node, str], checks: Any = None
    ) -> None:
        self.function, self.graph, self.pointers = function, graph, pointers
        self.builder = Reader(function, checks)
        self.fetch, self.put = self.builder.fetch, self.builder.put
        self.inputs = set(graph.inputs)
        self.within: dict[Index, tuple[int, int]] = {}
        self.memo: list[dict[Any, Scalar]] = [{}]

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is computed inside is forgotten after it."""
        self.memo.append({})
        yield
        self.memo.pop()

    def known(self, key: Any) -> Scalar | None:
        """What was computed before, here or in a loop around."""
        for level in reversed(self.memo):
            if key in level:
                return level[key]
        return None

    def read(self, x: Node, at: Sequence[Index]) -> Scalar:
        """An entry of anything that is not computed by the kernel itself."""
        key = x, tuple(at)
        found = self.known(key)
        if found is None:
            found = self.memo[-1][key] = self._read(x, at)
        return found

    def _read(self, x: Node, at: Sequence[Index]) -> Scalar:
        f, b = self.function, self.builder
        if not x.inputs and x not in self.inputs:
            return b.constant(np.asarray(x.value).reshape(()).item(), x.spec.dtype)
        if x in self.inputs or is_view(x):
            view = strided(x)
            if view is not None and view.root in self.inputs:
                found = self.fetch(self.pointers[view.root], linear(f, view, at), x.spec.dtype)
                found.within, found.source = view.root.params.get("within"), view.root
                return found
            return self.read(x.inputs[0], source(f, x, at))
        return self.apply(x, at, lambda i: self.read(i, at if i.spec.ndim else ()))

    def apply(self, n: Node, at: Sequence[Index], operand: Callable[[Node], Scalar]) -> Scalar:
        """The entry of an operation's result, of its operands' entries."""
        b = self.builder
        if n.op.entry is not None and n.op.native is None:
            places = tuple(Scalar(b, str(i), INT, within=self._range(i)) for i in at)
            return n.op.entry(b, places, *(_Entry(self, x) for x in n.inputs), **n.params)
        values = [operand(x) for x in n.inputs]
        if isinstance(n.op, Elementwise):
            values = _alike(b, n, values)
        if n.op.native is None:
            raise AssertionError(f"{n.op.name} has no native rule")
        made = n.op.native(b, *values, **n.params)
        return b.cast(made, n.spec.dtype) if made.dtype != n.spec.dtype else made

    def _range(self, i: Index) -> tuple[int, int] | None:
        """The least and the greatest value of an index."""
        return (i, i) if isinstance(i, int) else self.within.get(i)


def _alike(b: Builder, n: Node, values: list[Scalar]) -> list[Scalar]:
    """Operands in the dtype they are computed in: the result's, or, for a condition, their own."""
    dtype = n.spec.dtype
    promotes = n.op.promotes
    if dtype == BOOL and n.op.name != "where":
        specs = [n.inputs[i].spec for i in promotes]
        dtype = np.result_type(*(s.dtype.type(1).item() if s.weak else s.dtype for s in specs))
    return [b.cast(v, dtype) if i in promotes else v for i, v in enumerate(values)]


class _Entry:
    """An operand of an `entry` rule: called with indices it gives the entry there."""

    def __init__(self, entries: Entries, node: Node) -> None:
        self.entries, self.node = entries, node
        self.shape, self.dtype = node.spec.shape, node.spec.dtype

    def __call__(self, *at: Any) -> Scalar:
        places = [i.name if isinstance(i, Scalar) else int(i) for i in at]
        numbers = [int(p) if isinstance(p, str) and p.lstrip("-").isdigit() else p for p in places]
        return self.entries.read(self.node, numbers)


class Reader(Builder):
    """The builder of a kernel: it can also check positions."""

    def __init__(self, function: Function, checks: Any) -> None:
        super().__init__(function)
        self.checks = checks
        self.looked: set[tuple[Node | None, int]] = set()

    def fetch(self, pointer: str, place: Index, dtype: np.dtype) -> Scalar:
        """What is stored, so many numbers after a pointer."""
        f, kind = self.function, type_of(dtype)
        x = f.load(f.at(pointer, place, kind), kind)
        return self.make(f"trunc i8 {x} to i1", BOOL) if dtype == BOOL else Scalar(self, x, dtype)

    def put(self, pointer: str, place: Index, x: Scalar) -> None:
        """Store it there."""
        f, kind = self.function, type_of(x.dtype)
        name = f.let(f"zext i1 {x.name} to i8") if x.dtype == BOOL else x.name
        f.store(name, f.at(pointer, place, kind), kind)

    def refuse(self, condition: Scalar) -> None:
        """Leave the call to the interpreter, if that holds."""
        if self.checks is not None:
            self.checks.refuse(self.function, condition.name)

    def look_at(self, array: Node, pointer: str, size: int, parts: int) -> None:
        """Check a part of an array of positions, all at once: then nothing is left to decide where
        they are used.
        """
        if self.checks is None or (array, size) in self.looked:
            return
        f = self.function
        low, high = share(f, array.spec.size, parts, "%part")
        outside = f.variable("i64", 0)

        def position(at: Index) -> Scalar:
            return self.from_front(self.fetch(pointer, at, array.spec.dtype), size)

        with f.loop(low, high) as at:
            i = position(at)
            bad = f.let(f"zext i1 {((i < 0) | (i >= size)).name} to i64")
            f.set(outside, f.let(f"or i64 {f.get(outside)}, {bad}"))
        with f.when(f.let(f"icmp ne i64 {f.get(outside)}, 0")), f.loop(low, high) as at:
            self.checks.position(self, position(at), size)
        self.looked.add((array, size))

    def position(self, i: Scalar, size: int) -> Scalar:
        """A position along an axis of this size, counted from the front. One outside is noted as
        an error, and read as the nearest one.
        """
        source, i = i.source, self.from_front(i, size)
        if i.within is not None and i.within[0] >= 0 and i.within[1] < size:
            return i
        if self.checks is not None and (source, size) not in self.looked:
            self.checks.position(self, i, size)
        return self.minimum(self.maximum(i, 0), max(size - 1, 0))

    def from_front(self, i: Scalar, size: int) -> Scalar:
        """A position counted from the front, inside or not."""
        within, i = i.within, self.cast(i, INT)
        i.within = within
        return self.where(i < 0, i + size, i)


class _Unread:
    """An operand of an `entry` rule of which only the shape matters."""

    def __init__(self, builder: Builder, node: Node) -> None:
        self.builder, self.shape, self.dtype = builder, node.spec.shape, node.spec.dtype

    def __call__(self, *_at: Any) -> Scalar:
        return self.builder.constant(0, self.dtype)


class _Asked(Reader):
    """Notes at which places a rule looks whether a position is below or above."""

    def __init__(self) -> None:
        super().__init__(Module(128).function("asked", []), None)
        self.places: dict[str, set[int]] = {}

    def asked(self, name: str, place: int) -> None:
        self.places.setdefault(name, set()).add(place)


def cuts(node: Node) -> list[list[int]]:
    """For each axis of what is put together of parts: where a part ends and another begins."""
    shape = node.spec.shape
    chooses = node.op.moves or node.op.selects
    if node.op.entry is None or node.op.native is not None or not chooses:
        return [[] for _ in shape]
    b = _Asked()
    at = tuple(Scalar(b, f"%{a}", INT, within=(0, n - 1)) for a, n in enumerate(shape))
    node.op.entry(b, at, *(_Unread(b, x) for x in node.inputs), **node.params)
    found = (b.places.get(f"%{a}", set()) for a in range(len(shape)))
    return [sorted(p for p in s if 0 < p < n) for s, n in zip(found, shape, strict=True)]
