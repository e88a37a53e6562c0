"""Sorting: lines of numbers put in order, stable, by the bits of keys.

A number becomes a whole number without sign that is the greater, the greater it is; NaN the
greatest. Those are sorted digit by digit, from the last one, by counting: every pass keeps the
order of equals. A digit that is the same in all is passed over. Short lines are sorted by
insertion. A key of at most 32 bits shares its word with the place that the number came from.

Source:  Knuth (1998), The Art of Computer Programming 3, 5.2.1 and 5.2.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import Node
from .access import row_major
from .scalar import BOOL, INT, Builder, Scalar
from .text import Function, Module, type_of

UINT8, UINT64 = np.dtype(np.uint8), np.dtype(np.uint64)
SHORT = 64
"""Numbers that are sorted by insertion."""
BLOCK = 32
"""Numbers that are passed over together if none of them is great enough."""
LONGEST = 1 << 20
"""Numbers of a line; the memory for more is left to NumPy to find."""
HALF = 32
"""Bits of a word that a short key, above, and its place, below, take each."""


def room(count: int) -> int:
    """Bytes that the sorting of such a line needs: keys and places, twice, and the counts."""
    return (4 * count + 8 * 256) * 8


def is_long(node: Node) -> bool:
    """Whether its lines are left to NumPy."""
    size = node.inputs[0].spec.shape[node.params["axis"]]
    kept = _kept(node) if node.op.name == "argtopk" else size
    return kept > LONGEST or size >= 1 << HALF


def _key(b: Builder, x: Scalar) -> Scalar:
    """The key of a number: as many bits as it has, in 64."""
    bits = 8 * x.dtype.itemsize
    whole, plain = np.dtype(f"int{bits}"), np.dtype(f"uint{bits}")
    least = b.constant(np.iinfo(whole).min, whole)
    if x.dtype.kind == "u":
        return b.cast(x, INT)
    i = x
    if x.floating:
        i = b.make(f"bitcast {x.type} {x.name} to i{bits}", whole)
        key = b.where(b.isnan(x), b.constant(-1, whole), i ^ ((i >> (bits - 1)) | least))
    else:
        key = i ^ least
    return b.cast(Scalar(b, key.name, plain), INT)


def _number(b: Builder, key: Scalar, dtype: np.dtype) -> Scalar:
    """The number of a key."""
    if dtype.kind in "ub":
        return b.cast(key, dtype)
    bits = 8 * dtype.itemsize
    whole = np.dtype(f"int{bits}")
    k, least = b.cast(key, whole), b.constant(np.iinfo(whole).min, whole)
    if dtype.kind == "i":
        return k ^ least
    i = b.where(k < 0, k ^ least, ~k)
    return b.make(f"bitcast i{bits} {i.name} to {type_of(dtype)}", dtype)


def _turned(key: Scalar, dtype: np.dtype) -> Scalar:
    """The key in the opposite order."""
    bits = 8 * dtype.itemsize
    return key ^ ((1 << bits) - 1 if bits < 64 else -1)


def _key_at(b: Builder, pointer: str, at: Any, dtype: np.dtype, places: bool) -> Scalar:
    """The key of a number in memory."""
    f, kind = b.function, type_of(dtype)
    x = Scalar(b, f.load(f.at(pointer, at, kind), kind), UINT8 if dtype == BOOL else dtype)
    if places and x.floating:
        x = x + 0.0  # −0 and 0 are equal: they keep their order
    return _key(b, x)


class Words:
    """Keys in memory, and the places that go with them: in the same words, or `count` further."""

    def __init__(self, f: Function, dtype: np.dtype, count: int) -> None:
        self.f, self.count, self.short = f, count, is_short(dtype)

    def put(self, pointer: str, i: Any, key: str, place: Any = None) -> None:
        """Write both, or the key alone."""
        f = self.f
        word = f.let(f"shl i64 {key}, {HALF}") if self.short else key
        if place is not None and self.short:
            word = f.let(f"or i64 {word}, {place}")
        f.store(word, f.at(pointer, i, "i64"), "i64")
        if place is not None and not self.short:
            f.store(place, f.at(pointer, f.add(i, self.count), "i64"), "i64")

    def key(self, pointer: str, i: Any) -> str:
        """Read one."""
        word = self.f.load(self.f.at(pointer, i, "i64"), "i64")
        return self.f.let(f"lshr i64 {word}, {HALF}") if self.short else word

    def place(self, pointer: str, i: Any) -> str:
        """Read one."""
        if not self.short:
            return self.f.load(self.f.at(pointer, self.f.add(i, self.count), "i64"), "i64")
        word = self.f.load(self.f.at(pointer, i, "i64"), "i64")
        return self.f.let(f"and i64 {word}, {(1 << HALF) - 1}")


def is_short(dtype: np.dtype) -> bool:
    """Whether keys share their words with places."""
    return 8 * dtype.itemsize <= HALF


def _sorted(module: Module, dtype: np.dtype, places: bool) -> str:
    """The name of the function that sorts `Words`: it gives the address where they then are. The
    `first` of them are in order already.
    """
    short, passes = is_short(dtype), dtype.itemsize
    name = f"ob.{'words' if short else 'places' if places else 'keys'}.{passes}"
    arguments = [("ptr", "room"), ("i64", "n"), ("i64", "first")]

    def write() -> None:
        f = module.function(name, arguments, result="ptr", attributes="noinline nounwind")
        _write(f, passes, HALF if short else 0, places and not short)

    return module.once(name, write)


def _write(f: Function, passes: int, below: int, places: bool) -> None:
    keys = f.variable("ptr", "%room", align=8)
    other = f.variable("ptr", f.at("%room", f.mul("%n", 2), "i64"), align=8)
    counts = f.at("%room", f.mul("%n", 4), "i64")

    def take(pointer: str, i: Any) -> tuple[str, str]:
        at = f.add(i, "%n")
        return f.load(f.at(pointer, i, "i64"), "i64"), (
            f.load(f.at(pointer, at, "i64"), "i64") if places else ""
        )

    def put(pointer: str, i: Any, what: tuple[str, str]) -> None:
        f.store(what[0], f.at(pointer, i, "i64"), "i64")
        if places:
            f.store(what[1], f.at(pointer, f.add(i, "%n"), "i64"), "i64")

    short = f.let(f"icmp sle i64 %n, {SHORT}")
    with f.when(short):
        with f.loop("%first", "%n") as i:
            mine = take("%room", i)
            j = f.variable("i64", i, align=8)
            with f.forever() as leave:
                leave(f.let(f"icmp eq i64 {f.get(j)}, 0"))
                before = take("%room", f.sub(f.get(j), 1))
                leave(f.let(f"icmp ule i64 {before[0]}, {mine[0]}"))
                put("%room", f.get(j), before)
                f.set(j, f.sub(f.get(j), 1))
            put("%room", f.get(j), mine)
        f.give("%room")
        f.dead()

    def digit(key: str, p: int) -> str:
        return f.let(f"and i64 {f.let(f'lshr i64 {key}, {below + 8 * p}')}, 255")

    with f.loop(0, passes * 256) as i:
        f.store(0, f.at(counts, i, "i64"), "i64")
    with f.loop(0, "%n") as i:
        key = f.load(f.at("%room", i, "i64"), "i64")
        for p in range(passes):
            at = f.at(counts, f.add(digit(key, p), 256 * p), "i64")
            f.store(f.add(f.load(at, "i64"), 1), at, "i64")
    for p in range(passes):
        mine = f.at(counts, 256 * p, "i64")
        now, then = f.get(keys), f.get(other)
        first = f.load(f.at(mine, digit(f.load(now, "i64"), p), "i64"), "i64")
        with f.when(f.let(f"icmp ne i64 {first}, %n")):
            total = f.variable("i64", 0, align=8)
            with f.loop(0, 256) as d:
                count = f.load(f.at(mine, d, "i64"), "i64")
                f.store(f.get(total), f.at(mine, d, "i64"), "i64")
                f.set(total, f.add(f.get(total), count))
            with f.loop(0, "%n") as i:
                what = take(now, i)
                at = f.at(mine, digit(what[0], p), "i64")
                place = f.load(at, "i64")
                f.store(f.add(place, 1), at, "i64")
                put(then, place, what)
            f.set(keys, then)
            f.set(other, now)
    f.give(f.get(keys))


def ordered(w: Any, pointers: Sequence[str]) -> None:
    """The entries along an axis in order, or where they were."""
    f, b, node = w.f, w.b, w.node
    x = node.inputs[0].spec
    axis, places = node.params["axis"], node.op.name == "argsort"
    count, step = x.shape[axis], row_major(x.shape)[axis]
    low, high = w.lines(math.prod(x.shape) // count, count * 16)
    w.workspace = room(count)
    down = node.params["descending"] and places
    sort, kind = _sorted(f.module, x.dtype, places), type_of(x.dtype)
    words = Words(f, x.dtype, count)
    with f.loop(low, high) as line:
        start = f.add(f.mul(f.div(line, step), count * step), f.mod(line, step))
        first = f.at(pointers[0], start, kind)
        with f.loop(0, count) as i:
            key = _key_at(b, first, f.mul(i, step), x.dtype, places)
            key = _turned(key, x.dtype) if down else key
            words.put("%workspace", i, key.name, i if places else None)
        found = f.call(sort, "ptr", ("ptr", "%workspace"), ("i64", count), ("i64", 1))
        with f.loop(0, count) as i:
            at = i
            if node.params["descending"] and not places:
                at = f.sub(count - 1, i)
            if places:
                y = Scalar(b, words.place(found, at), INT)
            else:
                y = _number(b, Scalar(b, words.key(found, at), INT), x.dtype)
            w.put(pointers[1], f.add(start, f.mul(i, step)), y)


def foremost(w: Any, pointers: Sequence[str]) -> None:
    """Where the k greatest entries along an axis are. The best so far are kept in order; what is
    greater than the last of them is put behind them, and as soon as the room is full, it is
    sorted and cut down to k. Of more entries than a few nearly all are passed over, a block at
    a time.
    """
    f, b, node = w.f, w.b, w.node
    x, axis, k = node.inputs[0].spec, node.params["axis"], node.params["k"]
    count, step, kept = x.shape[axis], row_major(x.shape)[axis], _kept(node)
    low, high = w.lines(math.prod(x.shape) // count, count * 4)
    w.workspace = room(kept)
    sort, kind = _sorted(f.module, x.dtype, True), type_of(x.dtype)
    number = UINT8 if x.dtype == BOOL else x.dtype
    filled, last = f.variable("i64", align=8), f.variable("i64", align=8)
    limit, word = f.variable(kind, align=8), f"i{8 * x.dtype.itemsize}"
    hit, words = f.variable(word, align=8), Words(f, x.dtype, kept)

    def key_of(first: str, i: Any) -> Scalar:
        key = _key_at(b, first, f.mul(i, step), x.dtype, True)
        return b.cast(_turned(key, x.dtype), UINT64)

    def cut(ordered: int) -> None:
        """Sort what is there; only the k best stay."""
        found = f.call(sort, "ptr", ("ptr", "%workspace"), ("i64", kept), ("i64", ordered))
        if kept > SHORT:
            with f.loop(0, k) as i:
                words.put("%workspace", i, words.key(found, i), words.place(found, i))
        key = words.key("%workspace", k - 1)
        f.set(filled, k)
        f.set(last, key)
        f.set(limit, _number(b, _turned(Scalar(b, key, INT), x.dtype), number).name)

    def look(first: str, i: Any) -> None:
        key = key_of(first, i)
        with f.when((key < Scalar(b, f.get(last), UINT64)).name):
            words.put("%workspace", f.get(filled), key.name, i)
            f.set(filled, f.add(f.get(filled), 1))
            with f.when(f.let(f"icmp eq i64 {f.get(filled)}, {kept}")):
                cut(k)

    with f.loop(low, high) as line:
        before, after = f.div(line, step), f.mod(line, step)
        first = f.at(pointers[0], f.add(f.mul(before, count * step), after), kind)
        with f.loop(0, kept) as i:
            words.put("%workspace", i, key_of(first, i).name, i)
        cut(1)
        with f.loop(kept, count, BLOCK) as i:
            f.set(hit, 1)
            with f.when(f.let(f"icmp sle i64 {i}, {count - BLOCK}")):
                f.set(hit, 0)
                with f.loop(0, BLOCK) as j:
                    at = f.at(first, f.mul(f.add(i, j), step), kind)
                    test = "fcmp ugt" if x.dtype.kind == "f" else "icmp ugt"
                    test = "icmp sgt" if x.dtype.kind == "i" else test
                    new = f.let(f"{test} {kind} {f.load(at, kind)}, {f.get(limit)}")
                    new = f.let(f"zext i1 {new} to {word}")
                    f.set(hit, f.let(f"or {word} {f.get(hit)}, {new}"))
            some, end = f.let(f"icmp ne {word} {f.get(hit)}, 0"), f.least(f.add(i, BLOCK), count)
            with f.when(some), f.loop(i, end) as j:
                look(first, j)
        if k + 1 < kept < count:
            with f.when(f.let(f"icmp ne i64 {f.get(filled)}, {k}")):
                with f.loop(f.get(filled), kept) as i:
                    words.put("%workspace", i, "-1", -1)  # behind all
                cut(1)
        begin = f.add(f.mul(before, k * step), after)
        with f.loop(0, k) as i:
            place = words.place("%workspace", i)
            w.put(pointers[1], f.add(begin, f.mul(i, step)), Scalar(b, place, INT))


def _kept(node: Node) -> int:
    """How many entries `foremost` has room for: few are put in order one by one."""
    k = node.params["k"]
    return min(k + 1 if k < SHORT else 2 * k, node.inputs[0].spec.shape[node.params["axis"]])


WRITERS: dict[str, Callable[[Any, Sequence[str]], None]] = {
    "sort": ordered,
    "argsort": ordered,
    "argtopk": foremost,
}
