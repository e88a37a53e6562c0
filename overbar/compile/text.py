"""LLVM's language, written as text: a module of functions, a function of lines.

Nothing here knows LLVM itself (`native` alone does) nor what is computed. A value is a string, the
name of a register or a literal; an index is a string or a Python int, and arithmetic on ints is
done here. Variables are allocas, which LLVM turns into registers; loops are context managers. Text
is easy to read, to compare, to keep as a key, and quick to parse.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

Index = int | str
"""A whole number, known while compiling (int) or in a register (str)."""

TYPES = {
    "float32": "float", "float64": "double", "bool": "i8",
    "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "uint8": "i8", "uint16": "i16", "uint32": "i32", "uint64": "i64",
}  # fmt: skip
"""What a number of each dtype is in memory."""


class Variable(NamedTuple):
    """Something that changes: a place on the stack and what it holds."""

    place: str
    type: str


def type_of(dtype: Any) -> str:
    """The memory type of a dtype; KeyError where there is none (complex, float16)."""
    return TYPES[np.dtype(dtype).name]


def literal(x: float, kind: str) -> str:
    """A number written in LLVM's language, exactly."""
    if kind == "float":
        x = float(np.float32(x))
    if kind in ("float", "double"):
        return f"0x{struct.unpack('<Q', struct.pack('<d', float(x)))[0]:016X}"
    return str(int(x))


class Module:
    """A program: declarations and functions, each defined once.

    bits     of the vectors it will be made for, where that is known: spares what no loop will call
    habits   what was chosen in programs for other sizes, by function. With it the module is
             `general`: its text shall depend on sizes as little as possible, other than by the
             numbers in it (see `holes`): a loop that runs once is a loop, x + 0 an addition
    """

    def __init__(self, bits: int | None = None, habits: dict[str, Any] | None = None) -> None:
        self.bits, self.general = bits, habits is not None
        self.habits: dict[str, Any] = {} if habits is None else habits
        self._declared: dict[str, None] = {}
        self._functions: dict[str, Function | str] = {}
        self._numbered: dict[object, str] = {}

    def declare(self, line: str) -> None:
        """A line that stands once, before the functions."""
        self._declared[line] = None

    def intrinsic(self, name: str, result: str, *arguments: str) -> str:
        """The name of one of LLVM's own functions, declared."""
        self.declare(f"declare {result} @{name}({', '.join(arguments)})")
        return name

    def has(self, name: str) -> bool:
        """Whether a function of this name is there."""
        return name in self._functions

    def get(self, name: str) -> Function:
        """The function of this name that was written line by line."""
        found = self._functions[name]
        if isinstance(found, str):
            raise TypeError(f"{name} came as text")
        return found

    def add(self, name: str, text: str) -> str:
        """A function that is already text."""
        self._functions.setdefault(name, text)
        return name

    def numbered(self, kind: str, what: object) -> str:
        """A name for a function that is asked for by more than a name can say: `product3`."""
        return self._numbered.setdefault((kind, what), f"{kind}.{len(self._numbered)}")

    def once(self, name: str, write: Callable[[], Any]) -> str:
        """The name, after `write()` has defined the function if it is not there yet."""
        if name not in self._functions:
            write()
        return name

    def function(
        self,
        name: str,
        arguments: Sequence[tuple[str, str]],
        *,
        result: str = "void",
        public: bool = False,
        attributes: str = "nounwind",
    ) -> Function:
        """A new function; arguments are (type with attributes, name)."""
        made = Function(self, name, arguments, result, public, attributes)
        self._functions[name] = made
        return made

    def __str__(self) -> str:
        return self.written(list)

    def written(self, change: Callable[[list[str]], list[str]]) -> str:
        """Its text, after something has been made of its functions."""
        return "\n".join([*self._declared, *change([*map(str, self._functions.values())]), ""])


class Function:
    """One function, written from top to bottom."""

    def __init__(
        self,
        module: Module,
        name: str,
        arguments: Sequence[tuple[str, str]],
        result: str,
        public: bool,
        attributes: str,
    ) -> None:
        self.module, self.name, self.arguments = module, name, tuple(arguments)
        self.result = result
        self._head = (result, public, attributes)
        self._entry: list[str] = []
        self._endings: list[Callable[[], None]] = []
        self._lines: list[str] = []
        self._registers = self._labels = 0
        self._allocas: list[str] = []
        self.hint = ""
        """Metadata of the back edges of loops that bring none of their own."""

    @property
    def body(self) -> str:
        """Everything between the braces."""
        return "\n".join([*self._allocas, *self._entry, *self._lines])

    def __str__(self) -> str:
        result, public, attributes = self._head
        arguments = ", ".join(f"{kind} %{name}" for kind, name in self.arguments)
        internal = "" if public else "internal "
        return (
            f"define {internal}{result} @{self.name}({arguments}) {attributes} "
            f"{{\nentry:\n{self.body}\n}}"
        )

    # -- lines --------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self._lines.append(f"  {text}")

    def let(self, text: str) -> str:
        """An instruction's result, in a new register."""
        self._registers += 1
        self._lines.append(f"  %t{self._registers} = {text}")
        return f"%t{self._registers}"

    def call(self, name: str, result: str, *arguments: tuple[str, Any]) -> str:
        """The result of a function of the module; "" for void."""
        text = f"call {result} @{name}({', '.join(f'{t} {x}' for t, x in arguments)})"
        if result == "void":
            self.line(text)
            return ""
        return self.let(text)

    def give(self, value: str | None = None) -> None:
        """Return."""
        for write in self._endings:
            write()
        self.line("ret void" if value is None else f"ret {self._head[0]} {value}")

    # -- variables ----------------------------------------------------------------------------

    def variable(self, kind: str, start: Any = None, *, align: int = 64) -> Variable:
        """A new variable; made at the function's entry, set to `start` here."""
        self._registers += 1
        place = f"%t{self._registers}"
        self._allocas.append(f"  {place} = alloca {kind}, align {align}")
        made = Variable(place, kind)
        if start is not None:
            self.set(made, start)
        return made

    def get(self, variable: Variable) -> str:
        """What it holds."""
        return self.let(f"load {variable.type}, ptr {variable.place}")

    def set(self, variable: Variable, value: Any) -> None:
        """Let it hold this from here on."""
        self.line(f"store {variable.type} {value}, ptr {variable.place}")

    # -- whole numbers ------------------------------------------------------------------------

    def _is(self, x: Index, number: int) -> bool:
        """Whether this is the number, and may be taken for what it always is."""
        return x == number and not self.module.general

    def add(self, a: Index, b: Index) -> Index:
        """a + b"""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if self._is(a, 0):
            return b
        return a if self._is(b, 0) else self.let(f"add nsw i64 {a}, {b}")

    def sub(self, a: Index, b: Index) -> Index:
        """a - b"""
        if isinstance(a, int) and isinstance(b, int):
            return a - b
        return a if self._is(b, 0) else self.let(f"sub nsw i64 {a}, {b}")

    def tell_below(self, a: Index, end: int) -> None:
        """Tell LLVM that 0 <= a < end: then it knows of addresses made of it that they do not wrap,
        and reads numbers that are some apart as vectors.
        """
        name = self.module.intrinsic("llvm.assume", "void", "i1")
        self.call(name, "void", ("i1", self.let(f"icmp ult i64 {a}, {end}")))

    def mul(self, a: Index, b: Index) -> Index:
        """a · b"""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if self._is(a, 0) or self._is(b, 0):
            return 0
        if self._is(a, 1):
            return b
        return a if self._is(b, 1) else self.let(f"mul nsw i64 {a}, {b}")

    def div(self, a: Index, b: Index) -> Index:
        """⌊a / b⌋ for a not negative"""
        if isinstance(a, int) and isinstance(b, int):
            return a // b
        return a if self._is(b, 1) else self.let(f"udiv i64 {a}, {b}")

    def mod(self, a: Index, b: Index) -> Index:
        """The rest of a / b, for a not negative"""
        if isinstance(a, int) and isinstance(b, int):
            return a % b
        return 0 if self._is(b, 1) else self.let(f"urem i64 {a}, {b}")

    def least(self, a: Index, b: Index) -> Index:
        """The smaller"""
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        name = self.module.intrinsic("llvm.smin.i64", "i64", "i64", "i64")
        return self.call(name, "i64", ("i64", a), ("i64", b))

    def most(self, a: Index, b: Index) -> Index:
        """The greater"""
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        name = self.module.intrinsic("llvm.smax.i64", "i64", "i64", "i64")
        return self.call(name, "i64", ("i64", a), ("i64", b))

    # -- memory -------------------------------------------------------------------------------

    def at(self, pointer: str, index: Index, kind: str = "float") -> str:
        """The address of an element, so many elements further."""
        if self._is(index, 0):
            return pointer
        return self.let(f"getelementptr inbounds {kind}, ptr {pointer}, i64 {index}")

    def load(self, pointer: str, kind: str = "float", *, align: int | None = None) -> str:
        """What is at an address."""
        end = f", align {align}" if align else ""
        return self.let(f"load {kind}, ptr {pointer}{end}")

    def store(
        self, value: Any, pointer: str, kind: str = "float", *, align: int | None = None
    ) -> None:
        """Write it there."""
        end = f", align {align}" if align else ""
        self.line(f"store {kind} {value}, ptr {pointer}{end}")

    # -- control ------------------------------------------------------------------------------

    @contextmanager
    def loop(
        self, start: Index, stop: Index, step: Index = 1, *, hint: str | None = None
    ) -> Iterator[Any]:
        """The body for start, start + step, ... below stop; gives the counter. A loop known to
        run once is no loop. `hint`: metadata of the back edge, `, !llvm.loop !3`.
        """
        known = isinstance(start, int) and isinstance(stop, int) and isinstance(step, int)
        known = known and not self.module.general
        if known and start + step >= stop > start:  # type: ignore[operator]
            yield start
            return
        self._labels += 1
        n = self._labels
        counter = self.variable("i64", start, align=8)
        self.line(f"br label %head{n}")
        self._lines.append(f"head{n}:")
        i = self.get(counter)
        self.line(f"br i1 {self.let(f'icmp slt i64 {i}, {stop}')}, label %body{n}, label %exit{n}")
        self._lines.append(f"body{n}:")
        yield i
        self.set(counter, self.let(f"add nsw i64 {self.get(counter)}, {step}"))
        self.line(f"br label %head{n}{self.hint if hint is None else hint}")
        self._lines.append(f"exit{n}:")

    @contextmanager
    def forever(self) -> Iterator[Callable[[str], None]]:
        """The body again and again; gives a function that leaves it if an i1 holds."""
        self._labels += 1
        n = self._labels
        self.line(f"br label %again{n}")
        self._lines.append(f"again{n}:")

        def leave(condition: str) -> None:
            self._labels += 1
            self.line(f"br i1 {condition}, label %left{n}, label %stay{self._labels}")
            self._lines.append(f"stay{self._labels}:")

        yield leave
        self.line(f"br label %again{n}")
        self._lines.append(f"left{n}:")

    def flag(self, write: Callable[[str], None]) -> Variable:
        """A byte, at first 0; if it is not when the function returns, what `write` writes is done.
        It is given the i1 that says so. (Of i1 LLVM would make a slower loop.)
        """
        made = self.variable("i8")
        self._entry.append(f"  store i8 0, ptr {made.place}")
        self._endings.append(lambda: write(self.let(f"icmp ne i8 {self.get(made)}, 0")))
        return made

    def dead(self) -> None:
        """After a return in the middle: what follows is never reached."""
        self._labels += 1
        self._lines.append(f"never{self._labels}:")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """The body if an i1 holds."""
        self._labels += 1
        n = self._labels
        self.line(f"br i1 {condition}, label %then{n}, label %after{n}")
        self._lines.append(f"then{n}:")
        yield
        self.line(f"br label %after{n}")
        self._lines.append(f"after{n}:")


# -- vectors ----------------------------------------------------------------------------------


def vector(kind: str, lanes: int) -> str:
    """The type of so many numbers side by side."""
    return f"<{lanes} x {kind}>" if lanes else kind


def splat(f: Function, x: str, kind: str, lanes: int) -> str:
    """The same number in every lane."""
    wide = vector(kind, lanes)
    first = f.let(f"insertelement {wide} poison, {kind} {x}, i64 0")
    zeros = f"<{lanes} x i32> zeroinitializer"
    return f.let(f"shufflevector {wide} {first}, {wide} poison, {zeros}")


def fused(f: Function, a: str, b: str, c: str, kind: str, lanes: int = 0) -> str:
    """a · b + c, rounded once"""
    wide = vector(kind, lanes)
    short = {"float": "f32", "double": "f64"}[kind]
    name = f"llvm.fma.v{lanes}{short}" if lanes else f"llvm.fma.{short}"
    f.module.intrinsic(name, wide, wide, wide, wide)
    return f.call(name, wide, (wide, a), (wide, b), (wide, c))
