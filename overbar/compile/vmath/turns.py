"""How often a huge number goes around the circle: x − n π/2 for any x, in whole numbers.

x = m 2ᵉ with m whole. Of m · (2/π) · 2ᵉ only the last two bits before the point and what comes
after it count; so of the bits of 2/π those are taken that make them, 192 of them, and multiplied by
m exactly.

Source:  Payne and Hanek (1983), Radian reduction for trigonometric functions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..text import Module
from .notation import DOUBLE, WHOLE, bits, fma, is_wide, narrow, wide

# The bits of 2/π: 64 zeros before the point, then those after it.
_TWO_OVER_PI = (
    0,
    0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0, 0x06492EEA09D1921C, 0xFE1DEB1CB129A73E, 0xE88235F52EBB4484,
    0xE99C7026B45F7E41, 0x3991D639835339F4, 0x9C845F8BBDF9283B, 0x1FF897FFDE05980F,
    0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7, 0x4F463F669E5FEA2D, 0x7527BAC7EBE5F17B,
    0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08, 0x56033046FC7B6BAB, 0xF0CFBC209AF4361D,
)  # fmt: skip
_HALF_PI = (float.fromhex("0x1.921fb54442d18p+0"), float.fromhex("0x1.1a62633145c07p-54"))
_NAME = "ob.turns"
_FOUND = "{ i64, double, double }"


def reduced(x: Any) -> tuple[Any, Any, Any]:
    """(q, r, low) with x = n π/2 + (r + low), |r| <= π/4, q = n modulo 4, for |x| >= 2."""
    b = x.builder
    function = b.function
    function.module.once(_NAME, lambda: _write(function.module, type(b), type(x)))
    found = function.call(_NAME, _FOUND, ("double", (x if is_wide(x) else wide(x)).name))
    q = b.make(f"extractvalue {_FOUND} {found}, 0", WHOLE)
    r, low = (b.make(f"extractvalue {_FOUND} {found}, {k}", DOUBLE) for k in (1, 2))
    if is_wide(x):
        return q, r, low
    short = narrow(r)
    return b.cast(q, bits(x).dtype), short, narrow(r - wide(short))


def _write(module: Module, builder: type, scalar: type) -> None:
    words = ", ".join(f"i64 {w}" for w in _TWO_OVER_PI)
    table = f"[{len(_TWO_OVER_PI)} x i64]"
    module.declare(f"@{_NAME}.bits = internal constant {table} [{words}]")
    f = module.function(
        _NAME, [("double", "x")], result=_FOUND,
        attributes="noinline nounwind willreturn memory(none)",
    )  # fmt: skip

    def long(x: str) -> str:
        return f.let(f"zext i64 {x} to i128")

    def upper(x: str) -> str:
        return f.let(f"trunc i128 {f.let(f'lshr i128 {x}, 64')} to i64")

    i = f.let("bitcast double %x to i64")
    e = f.let(f"and i64 {f.let(f'lshr i64 {i}, 52')}, 2047")
    m = f.let(f"or i64 {f.let(f'and i64 {i}, {(1 << 52) - 1}')}, {1 << 52}")
    # x = m 2^(e − 1075): m times the bits of 2/π before bit e − 1077 is a multiple of 4. For
    # x < 4 that is before the point, where there are two zeros.
    first = f.let(f"add i64 {e}, {64 - 1077}")
    word, shift = f.let(f"lshr i64 {first}, 6"), f.let(f"and i64 {first}, 63")
    four = []
    for k in range(4):
        at = f.let(f"getelementptr inbounds {table}, ptr @{_NAME}.bits, i64 0, i64 {word}")
        four.append(f.load(f.at(at, k, "i64"), "i64", align=8))
    fshl = module.intrinsic("llvm.fshl.i64", "i64", "i64", "i64", "i64")
    a, b, c = (
        f.call(fshl, "i64", ("i64", high), ("i64", low), ("i64", shift))
        for high, low in pairwise(four)
    )
    # m (a, b, c), whose upper 128 bits are a whole number of units of 2^-126: turns of π/2
    top = f.let(f"shl i128 {long(f.let(f'mul i64 {m}, {a}'))}, 64")
    middle = f.let(f"mul i128 {long(m)}, {long(b)}")
    carry = long(upper(f.let(f"mul i128 {long(m)}, {long(c)}")))
    turns = f.let(f"add i128 {f.let(f'add i128 {top}, {middle}')}, {carry}")
    q = f.let(f"lshr i64 {upper(f.let(f'add i128 {turns}, {1 << 125}'))}, 62")
    rest = f.let(f"shl i128 {turns}, 2")  # the fraction, from −1/2 to 1/2, in units of 2^-128
    negative = f.let(f"icmp slt i128 {rest}, 0")
    size = f.let(f"select i1 {negative}, i128 {f.let(f'sub i128 0, {rest}')}, i128 {rest}")
    ctlz = module.intrinsic("llvm.ctlz.i128", "i128", "i128", "i1")
    zeros = f.call(ctlz, "i128", ("i128", size), ("i1", "true"))
    digits = upper(f.let(f"shl i128 {size}, {zeros}"))  # the fraction is 2^(−64 − zeros) of these
    high = f.let(f"uitofp i64 {f.let(f'and i64 {digits}, {-1 << 32}')} to double")
    low = f.let(f"uitofp i64 {f.let(f'and i64 {digits}, {(1 << 32) - 1}')} to double")
    build = builder(f)
    high, low = scalar(build, high, DOUBLE), scalar(build, low, DOUBLE)
    product = high * _HALF_PI[0]
    lost = fma(high, _HALF_PI[0], -product)
    lost = fma(low, _HALF_PI[0], fma(high, _HALF_PI[1], lost))
    r = product + lost
    power = f.let(f"sub i64 {1023 - 64}, {f.let(f'trunc i128 {zeros} to i64')}")
    scale = scalar(build, f.let(f"bitcast i64 {f.let(f'shl i64 {power}, 52')} to double"), DOUBLE)
    flip = f.let(f"icmp slt i64 {i}, 0")
    minus = scalar(build, f.let(f"xor i1 {flip}, {negative}"), np.dtype(bool))
    scale = build.where(minus, -scale, scale)
    q = f.let(f"select i1 {flip}, i64 {f.let(f'sub i64 0, {q}')}, i64 {q}")
    found = f.let(f"insertvalue {_FOUND} poison, i64 {q}, 0")
    found = f.let(f"insertvalue {_FOUND} {found}, double {(r * scale).name}, 1")
    low = (lost - (r - product)) * scale
    f.give(f.let(f"insertvalue {_FOUND} {found}, double {low.name}, 2"))
