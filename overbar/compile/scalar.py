"""One number inside a loop, and the builder that the primitives' `native` rules speak to.

A rule is written in the textbook's letters, on Scalars: `lambda b, x, y: x * y + 1`. Operators
write the LLVM instruction for the dtype at hand.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..graph import Node
from ..spec import Spec
from . import vmath
from .text import TYPES, Function, Module, fused, literal, type_of

BOOL = np.dtype(bool)
INT = np.dtype(np.int64)
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_COMPARE = {"<": ("olt", "lt"), "<=": ("ole", "le"), ">": ("ogt", "gt"), ">=": ("oge", "ge")}


def register_type(dtype: np.dtype) -> str:
    """The type of a number in a register: a truth value is one bit there."""
    return "i1" if dtype == BOOL else type_of(dtype)


def can_hold(node: Node) -> bool:
    """Whether an operation's numbers, in and out, have a register type."""
    return all(x.spec.dtype.name in TYPES for x in (node, *node.inputs) if type(x.spec) is Spec)


class Scalar:
    """A number in a register: its name there, its dtype, and the builder that made it.

    known     its value, if it is a constant
    within    of a position: its least and its greatest value
    source    the array that it was read from, if it was
    """

    __slots__ = ("builder", "dtype", "known", "name", "source", "within")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        builder: Builder,
        name: str,
        dtype: np.dtype,
        known: Any = None,
        within: tuple[int, int] | None = None,
    ) -> None:
        self.builder, self.name, self.dtype = builder, name, dtype
        self.known, self.within = known, within
        self.source: Node | None = None

    @property
    def type(self) -> str:
        """Its LLVM type."""
        return register_type(self.dtype)

    @property
    def floating(self) -> bool:
        """Whether it is a floating number."""
        return self.dtype.kind == "f"

    def _other(self, y: Any) -> Scalar:
        return y if isinstance(y, Scalar) else self.builder.constant(y, self)

    def _binary(self, y: Any, of_floats: str, of_ints: str, swap: bool = False) -> Scalar:
        a, b = (self._other(y), self) if swap else (self, self._other(y))
        op = of_floats if self.floating else of_ints
        return self.builder.make(f"{op} {self.type} {a.name}, {b.name}", self.dtype)

    def _moved(self, y: Any, found: Scalar, sign: int = 1) -> Scalar:
        """A position that is so many further stays a position."""
        if self.within is not None and isinstance(y, int):
            found.within = self.within[0] + sign * y, self.within[1] + sign * y
        return found

    def __add__(self, y: Any) -> Scalar:
        return self._moved(y, self._binary(y, "fadd", "add" if self.dtype != BOOL else "or"))

    def __radd__(self, y: Any) -> Scalar:
        return self._binary(y, "fadd", "add", swap=True)

    def __sub__(self, y: Any) -> Scalar:
        return self._moved(y, self._binary(y, "fsub", "sub"), -1)

    def __rsub__(self, y: Any) -> Scalar:
        return self._binary(y, "fsub", "sub", swap=True)

    def __mul__(self, y: Any) -> Scalar:
        return self._binary(y, "fmul", "mul" if self.dtype != BOOL else "and")

    def __rmul__(self, y: Any) -> Scalar:
        return self._binary(y, "fmul", "mul", swap=True)

    def __truediv__(self, y: Any) -> Scalar:
        return self._binary(y, "fdiv", "sdiv" if self.dtype.kind == "i" else "udiv")

    def __rtruediv__(self, y: Any) -> Scalar:
        return self._binary(y, "fdiv", "sdiv" if self.dtype.kind == "i" else "udiv", swap=True)

    def __floordiv__(self, y: Any) -> Scalar:
        if isinstance(y, int) and y == 1:
            return self
        return self.builder.floor_divide(self, self._other(y))

    def __mod__(self, y: Any) -> Scalar:
        return self.builder.remainder(self, self._other(y))

    def __neg__(self) -> Scalar:
        if self.floating:
            return self.builder.make(f"fneg {self.type} {self.name}", self.dtype)
        return self.builder.make(f"sub {self.type} 0, {self.name}", self.dtype)

    def _compare(self, y: Any, op: str) -> Scalar:
        answer = self._decided(y, op)
        if answer is not None:
            return self.builder.constant(answer, BOOL)
        of_floats, of_ints = _COMPARE[op]
        of_ints = ("s" if self.dtype.kind == "i" else "u") + of_ints
        return self._condition(y, of_floats, of_ints)

    def _decided(self, y: Any, op: str) -> bool | None:
        """The answer, where it is the same for every value a position can have."""
        if self.within is None or not isinstance(y, int):
            return None
        self.builder.asked(self.name, y + (op in ("<=", ">")))
        answers = {_ORDER[op](i, y) for i in self.within}
        return answers.pop() if len(answers) == 1 else None

    def _condition(self, y: Any, of_floats: str, of_ints: str) -> Scalar:
        y = self._other(y)
        test = f"fcmp {of_floats}" if self.floating else f"icmp {of_ints}"
        return self.builder.make(f"{test} {self.type} {self.name}, {y.name}", BOOL)

    def __lt__(self, y: Any) -> Scalar:
        return self._compare(y, "<")

    def __le__(self, y: Any) -> Scalar:
        return self._compare(y, "<=")

    def __gt__(self, y: Any) -> Scalar:
        return self._compare(y, ">")

    def __ge__(self, y: Any) -> Scalar:
        return self._compare(y, ">=")

    def __eq__(self, y: object) -> Scalar:  # type: ignore[override]
        return self._condition(y, "oeq", "eq")

    def __ne__(self, y: object) -> Scalar:  # type: ignore[override]
        return self._condition(y, "une", "ne")

    def __and__(self, y: Any) -> Scalar:
        for a, b in ((self, y), (y, self)):
            if self.dtype == BOOL and isinstance(a, Scalar) and a.known is not None:
                return b if a.known else a
        return self._binary(y, "", "and")

    def __or__(self, y: Any) -> Scalar:
        return self._binary(y, "", "or")

    def __xor__(self, y: Any) -> Scalar:
        return self._binary(y, "", "xor")

    def __invert__(self) -> Scalar:
        return self._binary(
            self.builder.constant(True if self.dtype == BOOL else -1, self), "", "xor"
        )

    def __lshift__(self, y: Any) -> Scalar:
        return self._binary(y, "", "shl")

    def __rshift__(self, y: Any) -> Scalar:
        return self._binary(y, "", "ashr" if self.dtype.kind == "i" else "lshr")


class Builder:
    """What a `native` rule speaks to: makes Scalars in a function."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def make(self, instruction: str, dtype: np.dtype) -> Scalar:
        """The result of an instruction."""
        return Scalar(self, self.function.let(instruction), dtype)

    def asked(self, name: str, place: int) -> None:
        """A position was compared: on this side of a place it is something else than beyond."""

    def constant(self, value: Any, like: Scalar | np.dtype) -> Scalar:
        """A number of the same dtype as another."""
        dtype = like.dtype if isinstance(like, Scalar) else np.dtype(like)
        if dtype == BOOL:
            return Scalar(self, "true" if value else "false", dtype, bool(value))
        if dtype.kind == "f":
            return Scalar(self, literal(value, type_of(dtype)), dtype, value)
        return Scalar(self, str(int(value)), dtype, int(value))

    def cast(self, x: Scalar, dtype: Any) -> Scalar:
        """x in another dtype, as NumPy converts it."""
        dtype = np.dtype(dtype)
        if x.dtype == dtype:
            return x
        if x.known is not None and dtype.kind == "f":
            return self.constant(float(x.known), dtype)
        if dtype == BOOL:
            return x != 0
        to = type_of(dtype)
        bits, wanted = x.dtype.itemsize, dtype.itemsize
        if x.floating and dtype.kind == "f":
            return self.make(
                f"{'fpext' if wanted > bits else 'fptrunc'} {x.type} {x.name} to {to}", dtype
            )
        if x.floating:
            return self._whole(x, dtype)
        if dtype.kind == "f":
            word = "sitofp" if x.dtype.kind == "i" else "uitofp"
            return self.make(f"{word} {x.type} {x.name} to {to}", dtype)
        if x.dtype == BOOL:
            return self.make(f"zext i1 {x.name} to {to}", dtype)
        if wanted == bits:
            return Scalar(self, x.name, dtype)
        word = "trunc" if wanted < bits else "sext" if x.dtype.kind == "i" else "zext"
        return self.make(f"{word} {x.type} {x.name} to {to}", dtype)

    def _whole(self, x: Scalar, dtype: np.dtype) -> Scalar:
        """A floating number without its fraction: out of range it is the least integer, as x86 and
        NumPy there have it, and never undefined.
        """
        wide, to = "i64" if dtype.itemsize > 4 or dtype.kind == "u" else "i32", type_of(dtype)
        least = np.iinfo(np.int64 if wide == "i64" else np.int32).min
        top = self.constant(-float(least), x)
        upper = x >= top if dtype == np.uint64 else None
        if upper is not None:
            x = self.where(upper, x - top, x)
        fits = (x < top) & (x >= self.constant(float(least), x))
        safe = self.where(fits, x, self.constant(0, x))
        raw = self.make(f"fptosi {x.type} {safe.name} to {wide}", np.dtype(f"int{wide[1:]}"))
        raw = self.where(fits, raw, self.constant(least, raw))
        if upper is not None:
            raw = self.where(upper, raw ^ self.constant(least, raw), raw)
        if to == wide:
            return Scalar(self, raw.name, dtype)
        return self.make(f"trunc {wide} {raw.name} to {to}", dtype)

    def where(self, condition: Scalar, x: Any, y: Any) -> Scalar:
        """x where the condition holds, else y."""
        if not isinstance(x, Scalar):
            x = self.constant(x, y)
        y = x._other(y)
        if condition.known is not None:
            return x if condition.known else y
        test = condition if condition.dtype == BOOL else condition != 0
        return self.make(f"select i1 {test.name}, {x.type} {x.name}, {x.type} {y.name}", x.dtype)

    def floor_divide(self, x: Scalar, y: Scalar) -> Scalar:
        """⌊x / y⌋; of whole numbers by zero it is 0, and the least by −1 is itself, as it wraps."""
        if x.floating:
            return self.call("floor_divide", x, y)
        if x.dtype.kind == "u":
            return self.where(y == 0, 0, x / self.where(y == 0, 1, y))
        safe = self.where((y == 0) | (y == -1), 1, y)
        quotient = x / safe
        rest = x - quotient * safe
        below = (rest != 0) & ((rest < 0) ^ (safe < 0))
        quotient = self.where(below, quotient - 1, quotient)
        return self.where(y == 0, 0, self.where(y == -1, -x, quotient))

    def remainder(self, x: Scalar, y: Scalar) -> Scalar:
        """x − ⌊x / y⌋ y; of whole numbers by zero it is 0."""
        if x.floating:
            return self.call("remainder", x, y)
        # of the quotient rounded down: LLVM's `srem` takes three times as long
        return self.where(y == 0, 0, x - self.floor_divide(x, y) * y)

    def intrinsic(self, name: str, *xs: Scalar) -> Scalar:
        """One of LLVM's own functions of numbers of one type: `fabs`, `maximum`, `copysign`."""
        x = xs[0]
        short = {"float": "f32", "double": "f64"}.get(x.type, x.type)
        full = self.function.module.intrinsic(f"llvm.{name}.{short}", x.type, *(y.type for y in xs))
        return Scalar(
            self, self.function.call(full, x.type, *((y.type, y.name) for y in xs)), x.dtype
        )

    def call(self, name: str, *xs: Scalar) -> Scalar:
        """One of the functions of `vmath`."""
        full = vmath.define(self.function.module, name, xs[0].type)
        called = self.function.call(full, xs[0].type, *((x.type, x.name) for x in xs))
        return Scalar(self, called, xs[0].dtype)

    def refuse(self, condition: Scalar) -> None:
        """Leave the call to the interpreter, if that holds."""
        raise NotImplementedError

    def whole_power(self, x: Scalar, y: Scalar) -> Scalar:
        """xʸ of whole numbers, which wraps; NumPy has the word for y < 0."""
        if x.dtype.kind == "i":
            self.refuse(y < 0)
        module, name = self.function.module, f"ob.power.{x.dtype.name}"
        module.once(name, lambda: _write_power(module, name, x))
        given = [(x.type, x.name), (x.type, y.name)]
        return Scalar(self, self.function.call(name, x.type, *given), x.dtype)

    def fused(self, a: Scalar, b: Scalar, c: Scalar) -> Scalar:
        """a b + c, rounded once"""
        return Scalar(self, fused(self.function, a.name, b.name, c.name, a.type), a.dtype)

    def abs(self, x: Scalar) -> Scalar:
        """|x|"""
        if x.floating:
            return self.intrinsic("fabs", x)
        return x if x.dtype.kind in "ub" else self.where(x < 0, -x, x)

    def maximum(self, x: Scalar, y: Any) -> Scalar:
        """The greater; NaN if one is."""
        y = x._other(y)
        if x.floating:
            return self.intrinsic("maximum", x, y)
        if x.within is not None and y.known is not None and x.within[0] >= y.known:
            return x
        return self.where(x > y, x, y) if x.dtype != BOOL else x | y

    def minimum(self, x: Scalar, y: Any) -> Scalar:
        """The lesser; NaN if one is."""
        y = x._other(y)
        if x.floating:
            return self.intrinsic("minimum", x, y)
        if x.within is not None and y.known is not None and x.within[1] <= y.known:
            return x
        return self.where(x < y, x, y) if x.dtype != BOOL else x & y

    def isnan(self, x: Scalar) -> Scalar:
        """Whether it is NaN."""
        return x._condition(x, "uno", "ne") if x.floating else self.constant(False, BOOL)


def _write_power(module: Module, name: str, like: Scalar) -> None:
    """Squared, and times x where the exponent has a 1, from its lowest digit up."""
    kind = like.type
    f = module.function(name, [(kind, "x"), (kind, "y")], result=kind, attributes="nounwind")
    total, square, rest = (f.variable(kind, start, align=8) for start in (1, "%x", "%y"))
    with f.forever() as leave:
        left, x = f.get(rest), f.get(square)
        leave(f.let(f"icmp eq {kind} {left}, 0"))
        odd = f.let(f"trunc {kind} {left} to i1")
        factor = f.let(f"select i1 {odd}, {kind} {x}, {kind} 1")
        f.set(total, f.let(f"mul {kind} {f.get(total)}, {factor}"))
        f.set(square, f.let(f"mul {kind} {x}, {x}"))
        f.set(rest, f.let(f"lshr {kind} {left}, 1"))
    f.give(f.get(total))
