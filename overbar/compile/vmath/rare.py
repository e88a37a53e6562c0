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
from collections.abc import Callable, Sequence
from typing import Any

from ..text import Function, Module, literal, vector
from .notation import WHOLE

_PURE = "noinline nounwind willreturn memory(none)"
_SHORT = {"float": "f32", "double": "f64"}
Slow = Callable[..., Any]
"""The number at any price: of the x, and of which function it is (a whole number in a register)."""


def mended(xs: Sequence[Any], y: Any, family: str, which: int, limit: float, slow: Slow) -> Any:
    """y, but `slow(*xs, which)` where the first x is huge, limit < |x| < ∞; of two, beside the
    second: limit |x₂| < |x₁| < ∞. A family shares one `slow`.
    """
    module, kind = y.builder.function.module, y.type
    name = f"ob.{family}.{_SHORT[kind]}"
    module.once(name, lambda: _write(module, name, xs, limit, slow))
    each = "v" * (len(xs) + 1)
    variants = ",".join(f"_ZGV_LLVM_N{n}{each}u_{name}({name}.{n})" for n in _lanes(module, kind))
    given = ", ".join(f"{kind} {x.name}" for x in (*xs, y))
    return y.builder.make(
        f'call {kind} @{name}({given}, i64 {which}) "vector-function-abi-variant"="{variants}"',
        y.dtype,
    )


def _lanes(module: Module, kind: str) -> tuple[int, ...]:
    """How many numbers a loop may take at once: a whole vector, or what fits beside wider or
    narrower numbers.
    """
    if module.bits is None:
        return (2, 4, 8, 16)
    whole = module.bits // (32 if kind == "float" else 64)
    return (whole // 2, whole) if kind == "float" else (whole, whole * 2)


def _write(module: Module, name: str, like: Sequence[Any], limit: float, slow: Slow) -> None:
    """The function of one number, one for numbers in memory, and one for every width."""
    builder, number, kind, dtype = (
        type(like[0].builder), type(like[0]), like[0].type, like[0].dtype
    )  # fmt: skip
    names = [f"x{i}" for i in range(len(like))]
    xs = [f"%{x}" for x in names]

    f = module.function(
        name, [*((kind, x) for x in (*names, "y")), ("i64", "which")], result=kind,
        public=True, attributes=_PURE,  # public: no argument may be lost that the others have
    )  # fmt: skip
    y = f.variable(kind, "%y")
    with f.when(_rare(f, xs, kind, limit)):
        b = builder(f)
        given = [number(b, x, dtype) for x in xs]
        f.set(y, slow(*given, number(b, "%which", WHOLE)).name)
    f.give(f.get(y))

    several = f"{name}.several"
    places = [*(("ptr", x) for x in (*names, "y")), ("i64", "which"), ("i64", "n")]
    f = module.function(several, places, attributes="noinline nounwind")
    with f.loop(0, "%n") as i:
        place = f.at("%y", i, kind)
        values = [*(f.load(f.at(x, i, kind), kind) for x in xs), f.load(place, kind)]
        one = f.call(name, kind, *((kind, v) for v in values), ("i64", "%which"))
        f.store(one, place, kind)
    f.give()

    for lanes in _lanes(module, kind):
        wide = vector(kind, lanes)
        arguments = [*((wide, x) for x in (*names, "y")), ("i64", "which")]
        # In two: where nothing is rare no stack is needed, not even to be aligned.
        kept = module.function(f"{name}.{lanes}.kept", arguments, result=wide, attributes=_PURE)
        stored = [kept.variable(wide, x) for x in (*xs, "%y")]
        where = [*(("ptr", v.place) for v in stored), ("i64", "%which"), ("i64", lanes)]
        kept.call(several, "void", *where)
        kept.give(kept.get(stored[-1]))
        f = module.function(
            f"{name}.{lanes}", arguments, result=wide,
            public=True, attributes=_PURE,  # public: nothing calls it yet, and it must not be lost
        )  # fmt: skip
        mask = f.let(f"bitcast <{lanes} x i1> {_rare(f, xs, kind, limit, lanes)} to i{lanes}")
        with f.when(f.let(f"icmp ne i{lanes} {mask}, 0")):
            values = [*((wide, x) for x in (*xs, "%y")), ("i64", "%which")]
            f.give(f.call(kept.name, wide, *values))
        f.give("%y")


def _rare(f: Function, xs: Sequence[str], kind: str, limit: float, lanes: int = 0) -> str:
    """Which are: one truth value, or one per lane."""
    wide = vector(kind, lanes)
    suffix = f"v{lanes}{_SHORT[kind]}" if lanes else _SHORT[kind]
    fabs = f.module.intrinsic(f"llvm.fabs.{suffix}", wide, wide)
    size, *others = [f.call(fabs, wide, (wide, x)) for x in xs]
    low, high = (literal(v, kind) for v in (limit, math.inf))
    if lanes:
        low, high = f"splat ({kind} {low})", f"splat ({kind} {high})"
    for x in others:
        low = f.let(f"fmul {wide} {x}, {low}")
    above = f.let(f"fcmp ogt {wide} {size}, {low}")
    finite = f.let(f"fcmp olt {wide} {size}, {high}")
    return f.let(f"and {vector('i1', lanes)} {above}, {finite}")
