"""The door of native code: what must hold before a program may run is checked, then it runs.

What Python would take microseconds to look at (are the arguments of the known kind, does nobody
else hold the parameters, is every global what it was) takes some tens of nanoseconds here. A gate
is a builtin function: called with the leaves of the arguments and with new arrays for the results,
it walks over a table of rows, each one thing that must hold, and if all do, it runs the program. If
one does not, nothing has happened; the call goes the general way, which decides the same in Python.

A row is eight words: the function that checks it, then numbers, mostly addresses. Whatever an
address names is kept alive by whoever made the row. Start at `CHECKS`.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import Node
from ..handle import Tensor
from . import native
from .objects import DATA, Layout, address_of, layout
from .text import Function, Module

WIDTH = 8
"""Words of a row."""

PLAIN, WRITTEN = 0x101, 0x505
"""Flags of an array that can be read where it is (in rows, aligned), and written (its own memory,
writeable).
"""
SHARED = 0x501
"""Those of an array whose memory another array owns."""

FACTS = ("ndarray", "tensor", "none", "yes", "no", "empty", "get", "hold")
"""Addresses that hold for the whole process: of types, objects, and two functions of Python's."""


class Looking:
    """Writes the native function that checks a row. `row(1)` is the row's first number."""

    def __init__(self, module: Module, name: str, where: Layout) -> None:
        self.where, self.module = where, module
        arguments = [("ptr", n) for n in ("row", "leaves", "made", "table", "facts")]
        self.f = module.function(name, arguments, result="i64", public=True)

    def row(self, i: int) -> str:
        return self.word("%row", i)

    def word(self, base: str, i: Any) -> str:
        return self.f.load(self.f.at(base, i, "i64"), "i64")

    def field(self, thing: str, offset: int) -> str:
        """The word so many bytes into an object."""
        return self.f.load(self.f.at(self.pointer(thing), offset, "i8"), "i64")

    def pointer(self, address: str) -> str:
        return self.f.let(f"inttoptr i64 {address} to ptr")

    def fact(self, name: str) -> str:
        return self.word("%facts", FACTS.index(name))

    def leaf(self, i: str) -> str:
        return self.word("%leaves", i)

    def require(self, a: Any, b: Any, relation: str = "eq") -> None:
        """The row does not hold unless a = b."""
        with self.f.when(self.f.let(f"icmp {_NOT[relation]} i64 {a}, {b}")):
            self.refuse()

    def refuse(self) -> None:
        self.f.give("0")
        self.f.dead()

    def slot(self, i: str, address: str) -> None:
        """Write an address into the program's table."""
        self.f.store(address, self.f.at("%table", i, "i64"), "i64")

    def held(self, thing: str) -> str:
        """How many references there are to an object."""
        count = self.f.load(self.pointer(thing), "i32")
        return self.f.let(f"zext i32 {count} to i64")

    def nothing(self, thing: str) -> str:
        """Whether it is no object, or None: an i1."""
        null = self.f.let(f"icmp eq i64 {thing}, 0")
        none = self.f.let(f"icmp eq i64 {thing}, {self.fact('none')}")
        return self.f.let(f"or i1 {null}, {none}")

    def equal(self, a: str, b: str, count: str) -> None:
        """So many words at two addresses are equal."""
        a, b = self.pointer(a), self.pointer(b)
        with self.f.loop(0, count) as i:
            self.require(self.word(a, i), self.word(b, i))

    def array(self, thing: str, flags: int) -> str:
        """The address of an array's numbers; it has these flags."""
        self.require(self.field(thing, 8), self.fact("ndarray"))
        have = self.f.load(self.f.at(self.pointer(thing), 64, "i8"), "i32")
        have = self.f.let(f"zext i32 {self.f.let(f'and i32 {have}, {flags}')} to i64")
        self.require(have, flags)
        return self.field(thing, DATA)

    def done(self) -> None:
        self.f.give("1")


_NOT = {"eq": "ne", "ne": "eq"}


def _word(g: Looking) -> None:
    """The word at address 1 is 2."""
    g.require(g.field(g.row(1), 0), g.row(2))


def _items(g: Looking) -> None:
    """The list 1 has 2 items, those written at 3."""
    g.require(g.field(g.row(1), 16), g.row(2))
    g.equal(g.field(g.row(1), 24), g.row(3), g.row(2))


def _key(g: Looking) -> None:
    """The dict 1 has 3 for its key 2; 0: nothing."""
    get, table, key = (g.pointer(x) for x in (g.fact("get"), g.row(1), g.row(2)))
    found = g.f.let(f"call i64 {get}(ptr {table}, ptr {key})")
    g.require(found, g.row(3))


def _bytes(g: Looking) -> None:
    """The array 1 is still at address 2, and holds the 3 words written at 4."""
    g.require(g.field(g.row(1), DATA), g.row(2))
    g.equal(g.row(2), g.row(4), g.row(3))


def _same(g: Looking) -> None:
    """Leaf 1 is the object 2."""
    g.require(g.leaf(g.row(1)), g.row(2))


def _number(g: Looking) -> None:
    """Leaf 1 is of type 2, a float or a scalar of NumPy's; its eight bytes go to address 3."""
    leaf = g.leaf(g.row(1))
    g.require(g.field(leaf, 8), g.row(2))
    g.f.store(g.field(leaf, 16), g.pointer(g.row(3)), "i64")


def _array(g: Looking) -> None:
    """Leaf 1 is an array of dtype 2, rank 3 and the sizes written at 4; it goes to slot 5."""
    _array_of(g, g.leaf(g.row(1)))


def _outer(g: Looking) -> None:
    """The object 1 is such an array."""
    _array_of(g, g.row(1))


def _array_of(g: Looking, thing: str) -> None:
    data = g.array(thing, PLAIN)
    g.require(g.field(thing, 56), g.row(2))
    rank = g.f.load(g.f.at(g.pointer(thing), 24, "i8"), "i32")
    g.require(g.f.let(f"zext i32 {rank} to i64"), g.row(3))
    g.equal(g.field(thing, 32), g.row(4), g.row(3))
    g.slot(g.row(5), data)


def _history(g: Looking, handle: str) -> str:
    """The Tensor is of Spec 2, and nothing that its history has the mask 3; gives its node."""
    g.require(g.field(handle, g.where.spec), g.row(2))
    node = g.field(handle, g.where.node)
    none = g.nothing(node)
    with g.f.when(none):
        g.require(g.row(4), 0)  # 0: no history is as good as a mask of 0
    there = g.f.let(f"xor i1 {none}, true")
    with g.f.when(there):
        g.require(g.field(node, g.where.node_mask), g.row(3))
        g.require(g.field(node, g.where.node_inputs), g.fact("empty"))
    return node


def _tensor(g: Looking) -> None:
    """Leaf 1 is a Tensor of Spec 2 whose mask is 3 (4: 1 if it has one); it goes to slot 5."""
    leaf = g.leaf(g.row(1))
    g.require(g.field(leaf, 8), g.fact("tensor"))
    _history(g, leaf)
    g.slot(g.row(5), g.array(g.field(leaf, g.where.value), PLAIN))


def _read(g: Looking) -> None:
    """The Tensor 1 is of Spec 2, its mask is 3 (4: 1 if it has one); it goes to slot 5."""
    _history(g, g.row(1))
    g.slot(g.row(5), g.array(g.field(g.row(1), g.where.value), PLAIN))


def _kept(g: Looking) -> None:
    """The same, and its value is the object 5, of which there is a copy."""
    _history(g, g.row(1))
    g.require(g.field(g.row(1), g.where.value), g.row(5))


def _owned(g: Looking) -> None:
    """The same as `_read`, and nobody else can see its array: its references are the handle's and
    its own leaf's, and those of the memory's owner, if that is another array, are the array's.
    """
    f, where = g.f, g.where
    node = _history(g, g.row(1))
    value = g.field(g.row(1), where.value)
    count = f.variable("i64", 1)
    there = f.let(f"xor i1 {g.nothing(node)}, true")
    with f.when(there):
        g.require(g.held(node), 1)
        own = f.let(f"icmp eq i64 {g.field(node, where.node_value)}, {value}")
        f.set(count, f.add(1, f.let(f"zext i1 {own} to i64")))
    g.require(g.field(value, 8), g.fact("ndarray"))
    g.require(g.held(value), f.get(count))
    base = g.field(value, 48)
    none = f.let(f"icmp eq i64 {base}, 0")
    with f.when(none):
        g.array(value, WRITTEN)
    with f.when(f.let(f"xor i1 {none}, true")):
        g.array(value, SHARED)
        g.array(base, WRITTEN)
        g.require(g.held(base), 1)
    g.slot(g.row(5), g.field(value, DATA))


def _grad(g: Looking) -> None:
    """Whether the Tensor 1 has a gradient is 2."""
    grad = g.field(g.row(1), g.where.grad)
    there = g.f.let(f"xor i1 {g.nothing(grad)}, true")
    g.require(g.f.let(f"zext i1 {there} to i64"), g.row(2))


def _leaf_grad(g: Looking) -> None:
    """The same of leaf 1."""
    grad = g.field(g.leaf(g.row(1)), g.where.grad)
    there = g.f.let(f"xor i1 {g.nothing(grad)}, true")
    g.require(g.f.let(f"zext i1 {there} to i64"), g.row(2))


def _new(g: Looking) -> None:
    """Array 1 of those just made takes a result: slot 5."""
    made = g.word("%made", g.row(1))
    g.slot(g.row(5), g.field(made, DATA))


CHECKS: dict[str, Callable[[Looking], None]] = {
    "word": _word, "items": _items, "key": _key, "bytes": _bytes, "same": _same,
    "number": _number, "array": _array, "outer": _outer, "tensor": _tensor, "read": _read,
    "kept": _kept, "owned": _owned, "grad": _grad, "leaf_grad": _leaf_grad, "new": _new,
}  # fmt: skip
"""What a row can say; `Gate` takes rows as (name, *numbers)."""

HEAD = ("body", "table", "launch", "counters", "count", "record", "facts", "rows", "length",
        "given", "givens", "written", "writtens", "leaves", "times", "done", "refused")  # fmt: skip
"""The words in front. body, table, ...: how to run it; rows and how many; the (slot, bytes) of
arrays given and of arrays written, and how many; how many leaves there must be; how many times it
is to run, and ran before something was wrong; which row did not hold, of the last call.
"""


def _running(module: Module) -> None:
    """@run: the program once; 0 if all is well, 1 if a check inside failed, 2 if the pool's threads
    are not there. @repeat: so many times, or until something is wrong.
    """
    f = module.function("run", [("ptr", "words")], result="i64", public=True)

    def head(name: str, kind: str = "ptr") -> str:
        return f.load(f.at("%words", HEAD.index(name), "i64"), kind)

    body, table, launch, record = (head(n) for n in ("body", "table", "launch", "record"))
    counters = head("counters")
    with f.loop(0, head("count", "i64")) as i:
        f.store(0, f.at(counters, i, "i64"), "i64")
    f.store(0, record, "i64")
    alone = f.let(f"icmp eq ptr {launch}, null")
    with f.when(alone):
        f.line(f"call void {body}(ptr null, i64 0, i64 1, i64 0, ptr {table})")
    with f.when(f.let(f"xor i1 {alone}, true")):
        absent = f.let(f"call i32 {launch}(ptr {body}, ptr {table})")
        with f.when(f.let(f"icmp ne i32 {absent}, 0")):
            f.give("2")
            f.dead()
    wrong = f.let(f"icmp ne i64 {f.load(record, 'i64')}, 0")
    f.give(f.let(f"zext i1 {wrong} to i64"))

    f = module.function("repeat", [("ptr", "words"), ("i64", "times")], result="i64", public=True)
    with f.loop(0, "%times") as i:
        code = f.call("run", "i64", ("ptr", "%words"))
        with f.when(f.let(f"icmp ne i64 {code}, 0")):
            f.store(i, f.at("%words", HEAD.index("done"), "i64"), "i64")
            f.give(code)
            f.dead()
    f.give("0")


def _entering(module: Module) -> None:
    """@enter, a builtin function of Python: (leaves, *made) -> True if the program ran, None if it
    ran and a check inside it failed, False if some row did not hold and it did not run.
    """
    f = module.function(
        "enter", [("ptr", "self"), ("ptr", "args"), ("i64", "n")], result="ptr", public=True
    )
    words = f.load(f.at("%self", DATA, "i8"), "ptr")

    def head(name: str, kind: str = "ptr") -> str:
        return f.load(f.at(words, HEAD.index(name), "i64"), kind)

    facts, table = head("facts"), head("table")

    def answer(name: str) -> None:
        found = f.load(f.at(facts, FACTS.index(name), "i64"), "ptr")
        hold = f.load(f.at(facts, FACTS.index("hold"), "i64"), "ptr")
        f.line(f"call void {hold}(ptr {found})")
        f.give(found)

    leaves = f.load("%args", "ptr")
    count = f.load(f.at(leaves, 16, "i8"), "i64")
    with f.when(f.let(f"icmp ne i64 {count}, {head('leaves', 'i64')}")):
        f.store(-3, f.at(words, HEAD.index("refused"), "i64"), "i64")
        answer("no")
        f.dead()
    leaves = f.at(leaves, 24, "i8")
    made = f.at("%args", 1, "i64")
    rows = head("rows")
    with f.loop(0, head("length", "i64")) as i:
        row = f.at(rows, f.mul(i, WIDTH), "i64")
        check = f.load(row, "ptr")
        arguments = ", ".join(f"ptr {x}" for x in (row, leaves, made, table, facts))
        holds = f.let(f"call i64 {check}({arguments})")
        with f.when(f.let(f"icmp eq i64 {holds}, 0")):
            f.store(i, f.at(words, HEAD.index("refused"), "i64"), "i64")
            answer("no")
            f.dead()
    given, written = head("given"), head("written")
    with f.loop(0, head("writtens", "i64")) as i:
        start, end = _extent(f, written, i, table)
        with f.loop(0, head("givens", "i64")) as j:
            first, last = _extent(f, given, j, table)
            below = f.let(f"icmp slt i64 {first}, {end}")
            above = f.let(f"icmp slt i64 {start}, {last}")
            with f.when(f.let(f"and i1 {below}, {above}")):
                f.store(-1, f.at(words, HEAD.index("refused"), "i64"), "i64")
                answer("no")
                f.dead()
    code = f.call("repeat", "i64", ("ptr", words), ("i64", head("times", "i64")))
    with f.when(f.let(f"icmp eq i64 {code}, 0")):
        answer("yes")
        f.dead()
    with f.when(f.let(f"icmp eq i64 {code}, 2")):
        f.store(-2, f.at(words, HEAD.index("refused"), "i64"), "i64")
        answer("no")
        f.dead()
    answer("none")


def _extent(f: Function, pairs: str, i: Any, table: str) -> tuple[str, str]:
    """Where the i-th array of a list begins and ends."""
    slot = f.load(f.at(pairs, f.mul(i, 2), "i64"), "i64")
    size = f.load(f.at(pairs, f.add(f.mul(i, 2), 1), "i64"), "i64")
    start = f.load(f.at(table, slot, "i64"), "i64")
    return start, str(f.add(start, size))


def text(where: Layout | None) -> str:
    """The module: how programs are run, and, where Python's objects are known, all checks."""
    module = Module()
    _running(module)
    if where is not None:
        for name, write in CHECKS.items():
            looking = Looking(module, f"is_{name}", where)
            write(looking)
            looking.done()
        _entering(module)
    return str(module)


class Door:
    """The native functions of this module, loaded once.

    run, repeat   as functions of the address of a head; they hold the interpreter's lock, so no
                  other Python thread sees an array while it is written
    """

    def __init__(self) -> None:
        self.layout = layout()
        self.library = native.load(text(self.layout), quick=True)
        address, integer, pointer = self.library.address, ctypes.c_int64, ctypes.c_void_p
        self.run = ctypes.PYFUNCTYPE(integer, pointer)(address("run"))
        self.repeat = ctypes.PYFUNCTYPE(integer, pointer, pointer)(address("repeat"))
        self.facts = np.zeros(len(FACTS), np.int64)
        if self.layout is not None:
            self.checks = {name: address(f"is_{name}") for name in CHECKS}
            python = ctypes.pythonapi
            functions = python.PyDict_GetItemWithError, python.Py_IncRef
            things = np.ndarray, Tensor, None, True, False, ()
            self.facts[:] = [
                *map(id, things), *(ctypes.cast(f, ctypes.c_void_p).value for f in functions)
            ]  # fmt: skip
            # PyMethodDef: name, function, METH_FASTCALL, no text. It lives as long as the process.
            self._name = ctypes.create_string_buffer(b"overbar")
            self._method = (ctypes.c_int64 * 4)(
                ctypes.addressof(self._name), address("enter"), 0x80, 0
            )
            self._builtin = python.PyCFunction_NewEx
            self._builtin.restype = ctypes.py_object
            self._builtin.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]

    def builtin(self, words: np.ndarray) -> Callable[..., bool | None]:
        """A builtin function that enters with these words; it keeps them alive."""
        return self._builtin(ctypes.addressof(self._method), words, None)


@functools.cache
def door() -> Door:
    """The one of this process."""
    return Door()


class Gate:
    """The rows of one prepared call, and the function that walks over them.

    enter(leaves, *made) -> True: it ran; False: it did not; None: it did, and a check failed
    """

    def __init__(
        self,
        head: dict[str, int],
        rows: Sequence[tuple[Any, ...]],
        given: Sequence[tuple[int, int]],
        written: Sequence[tuple[int, int]],
        leaves: int,
        keep: Any,
    ) -> None:
        way = door()
        self.words = np.zeros(len(HEAD), np.int64)
        self._rows = np.zeros((len(rows), WIDTH), np.int64)
        for i, (name, *numbers) in enumerate(rows):
            self._rows[i, : 1 + len(numbers)] = [way.checks[name], *numbers]
        self._given = np.array([*given, (0, 0)], np.int64)
        self._written = np.array([*written, (0, 0)], np.int64)
        self._keep = keep
        words = {
            **head, "leaves": leaves, "times": 1,
            "facts": address_of(way.facts),
            "rows": address_of(self._rows), "length": len(rows),
            "given": address_of(self._given), "givens": len(given),
            "written": address_of(self._written), "writtens": len(written),
        }  # fmt: skip
        self.names = [row[0] for row in rows]
        for name, value in words.items():
            self.words[HEAD.index(name)] = value
        self.enter = way.builtin(self.words)

    def repeat(self, times: int) -> None:
        """From now on, entering means running it so many times."""
        self.words[HEAD.index("times")] = times
        self.words[HEAD.index("done")] = 0

    @property
    def done(self) -> int:
        """How many times it ran before something inside was wrong."""
        return int(self.words[HEAD.index("done")])

    @property
    def refused(self) -> str:
        """Which row did not hold when it was last entered."""
        i = int(self.words[HEAD.index("refused")])
        return {-1: "overlap", -2: "threads", -3: "leaves"}.get(i) or self.names[i]


def mask_of(node: Node | None) -> tuple[int, int]:
    """For a row: the address of a mask, and 1 if there must be a node."""
    mask = 0 if node is None else node.mask
    return id(mask), int(mask != 0)
