"""What only rare numbers need: a way out of straight code that leaves a loop a loop of vectors.

A branch in a loop would keep LLVM from computing many numbers at once, and computing what is
needed for one number in a million for all of them is slow. So the straight code ends with a call
that gives its result back unless the argument is rare. LLVM is told that the function is also there
for 2, 4, 8, ... numbers at once: these look whether any lane is rare, nearly always find none, and
else mend those lanes one by one.

Source:  LLVM language reference, vector-function-abi-variant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..text import Function, Module, literal, vector
from .notation import WHOLE

_PURE = "noinline nounwind willreturn memory(none)"
_SHORT = {"float": "f32", "double": "f64"}
Slow = Callable[[Any, Any], Any]
"""The number at any price: of x, and of which function it is (a whole number in a register)."""


def mended(x: Any, y: Any, family: str, which: int, limit: float, slow: Slow) -> Any:
    """y, but `slow(x, which)` where limit < |x| < ∞. A family shares one `slow`."""
    module, kind = x.builder.function.module, x.type
    name = f"ob.{family}.{_SHORT[kind]}"
    module.once(name, lambda: _write(module, name, x, limit, slow))
    variants = ",".join(f"_ZGV_LLVM_N{n}vvu_{name}({name}.{n})" for n in _lanes(module, kind))
    return x.builder.make(
        f"call {kind} @{name}({kind} {x.name}, {kind} {y.name}, i64 {which}) "
        f'"vector-function-abi-variant"="{variants}"',
        x.dtype,
    )


def _lanes(module: Module, kind: str) -> tuple[int, ...]:
    """How many numbers a loop may take at once: a whole vector, or what fits beside wider or
    narrower numbers.
    """
    if module.bits is None:
        return (2, 4, 8, 16)
    whole = module.bits // (32 if kind == "float" else 64)
    return (whole // 2, whole) if kind == "float" else (whole, whole * 2)


def _write(module: Module, name: str, like: Any, limit: float, slow: Slow) -> None:
    """The function of one number, one for numbers in memory, and one for every width."""
    builder, number, kind = type(like.builder), type(like), like.type

    arguments = [(kind, "x"), (kind, "y"), ("i64", "which")]
    f = module.function(name, arguments, result=kind, attributes=_PURE)
    y = f.variable(kind, "%y")
    with f.when(_rare(f, "%x", kind, limit)):
        b = builder(f)
        f.set(y, slow(number(b, "%x", like.dtype), number(b, "%which", WHOLE)).name)
    f.give(f.get(y))

    several = f"{name}.several"
    arguments = [("ptr", "x"), ("ptr", "y"), ("i64", "which"), ("i64", "n")]
    f = module.function(several, arguments, attributes="noinline nounwind")
    with f.loop(0, "%n") as i:
        x, place = f.load(f.at("%x", i, kind), kind), f.at("%y", i, kind)
        one = f.call(name, kind, (kind, x), (kind, f.load(place, kind)), ("i64", "%which"))
        f.store(one, place, kind)
    f.give()

    for lanes in _lanes(module, kind):
        wide = vector(kind, lanes)
        arguments = [(wide, "x"), (wide, "y"), ("i64", "which")]
        # In two: where nothing is rare no stack is needed, not even to be aligned.
        kept = module.function(f"{name}.{lanes}.kept", arguments, result=wide, attributes=_PURE)
        x, y = kept.variable(wide, "%x"), kept.variable(wide, "%y")
        places = [("ptr", x.place), ("ptr", y.place), ("i64", "%which"), ("i64", lanes)]
        kept.call(several, "void", *places)
        kept.give(kept.get(y))
        f = module.function(
            f"{name}.{lanes}", arguments, result=wide,
            public=True, attributes=_PURE,  # public: nothing calls it yet, and it must not be lost
        )  # fmt: skip
        mask = f.let(f"bitcast <{lanes} x i1> {_rare(f, '%x', kind, limit, lanes)} to i{lanes}")
        with f.when(f.let(f"icmp ne i{lanes} {mask}, 0")):
            values = [(wide, "%x"), (wide, "%y"), ("i64", "%which")]
            f.give(f.call(kept.name, wide, *values))
        f.give("%y")


def _rare(f: Function, x: str, kind: str, limit: float, lanes: int = 0) -> str:
    """Which are: one truth value, or one per lane."""
    wide = vector(kind, lanes)
    suffix = f"v{lanes}{_SHORT[kind]}" if lanes else _SHORT[kind]
    size = f.call(f.module.intrinsic(f"llvm.fabs.{suffix}", wide, wide), wide, (wide, x))
    low, high = (literal(v, kind) for v in (limit, math.inf))
    if lanes:
        low, high = f"splat ({kind} {low})", f"splat ({kind} {high})"
    above = f.let(f"fcmp ogt {wide} {size}, {low}")
    finite = f.let(f"fcmp olt {wide} {size}, {high}")
    return f.let(f"and {vector('i1', lanes)} {above}, {finite}")
