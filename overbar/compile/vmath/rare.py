"""What only rare numbers need: a way out of straight code that leaves a loop a loop of vectors.

A branch in a loop would keep LLVM from computing many numbers at once, and computing what is
needed for one number in a million for all of them is slow. So the straight code ends with a call,
`y = mend(x, y)`, that gives y back unless x is rare. LLVM is told that the function is also there
for 2, 4, 8, ... numbers at once: these look whether any lane is rare, nearly always find none, and
else mend those lanes one by one.

Source:  LLVM language reference, vector-function-abi-variant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..text import Function, Module, vector

LANES = (2, 4, 8, 16, 32)
_PURE = "noinline nounwind willreturn memory(none)"
_SHORT = {"float": "f32", "double": "f64"}


def mended(x: Any, y: Any, name: str, limit: float, slow: Callable[[Any], Any]) -> Any:
    """y, but `slow(x)` where limit < |x| < ∞."""
    module, kind = x.builder.function.module, x.type
    scalar = f"ob.{name}.{_SHORT[kind]}.mend"
    module.once(scalar, lambda: _write(module, scalar, kind, x, limit, slow))
    return x.builder.make(
        f"call {kind} @{scalar}({kind} {x.name}, {kind} {y.name}) "
        f'"vector-function-abi-variant"="{",".join(_variant(scalar, n) for n in LANES)}"',
        x.dtype,
    )


def _variant(scalar: str, lanes: int) -> str:
    return f"_ZGV_LLVM_N{lanes}vv_{scalar}({scalar}.{lanes})"


def _write(
    module: Module, scalar: str, kind: str, like: Any, limit: float, slow: Callable[[Any], Any]
) -> None:
    builder, number = type(like.builder), type(like)

    def rare(f: Function, x: str, lanes: int = 0) -> str:
        """Which are: at once for all lanes."""
        b = builder(f)
        wide = vector(kind, lanes)
        suffix = f"v{lanes}{_SHORT[kind]}" if lanes else _SHORT[kind]
        size = f.call(module.intrinsic(f"llvm.fabs.{suffix}", wide, wide), wide, (wide, x))
        bounds = [b.constant(v, like).name for v in (limit, float("inf"))]
        if lanes:
            bounds = [f"splat ({kind} {v})" for v in bounds]
        above = f.let(f"fcmp ogt {wide} {size}, {bounds[0]}")
        finite = f.let(f"fcmp olt {wide} {size}, {bounds[1]}")
        return f.let(f"and {vector('i1', lanes)} {above}, {finite}")

    computed = f"{scalar}.one"
    f = module.function(computed, [(kind, "x")], result=kind, attributes=_PURE)
    f.give(slow(number(builder(f), "%x", like.dtype)).name)

    f = module.function(scalar, [(kind, "x"), (kind, "y")], result=kind, attributes=_PURE)
    y = f.variable(kind, "%y")
    with f.when(rare(f, "%x")):
        f.set(y, f.call(computed, kind, (kind, "%x")))
    f.give(f.get(y))

    for lanes in LANES:
        wide = vector(kind, lanes)
        f = module.function(
            f"{scalar}.{lanes}", [(wide, "x"), (wide, "y")], result=wide,
            public=True, attributes=_PURE,  # public: nothing calls it yet, and it must not be lost
        )  # fmt: skip
        y = f.variable(wide, "%y")
        which = rare(f, "%x", lanes)
        mask = f.let(f"bitcast <{lanes} x i1> {which} to i{lanes}")
        with f.when(f.let(f"icmp ne i{lanes} {mask}, 0")), f.loop(0, lanes) as i:
            with f.when(f.let(f"extractelement <{lanes} x i1> {which}, i64 {i}")):
                one = f.let(f"extractelement {wide} %x, i64 {i}")
                got = f.call(computed, kind, (kind, one))
                f.set(y, f.let(f"insertelement {wide} {f.get(y)}, {kind} {got}, i64 {i}"))
        f.give(f.get(y))
