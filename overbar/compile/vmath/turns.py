"""How often a huge number goes around the circle: x − n π/2 for any x, in whole numbers.

x = m 2ᵉ with m whole. Of m · (2/π) · 2ᵉ only the last two bits before the point and what comes
after it count; so from the bits of 2/π those are taken that make them, 192 of them, and multiplied
by m exactly.

Source:  Payne and Hanek (1983), Radian reduction for trigonometric functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..text import Module
from .notation import DOUBLE, bits, fma, is_wide, narrow, wide

# The bits of 2/π after the point.
_TWO_OVER_PI = (
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
    q = b.make(f"extractvalue {_FOUND} {found}, 0", np.dtype(np.int64))
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
    i = f.let("bitcast double %x to i64")
    e = f.let(f"and i64 {f.let(f'lshr i64 {i}, 52')}, 2047")
    m = f.let(f"or i64 {f.let(f'and i64 {i}, {(1 << 52) - 1}')}, {1 << 52}")
    # x = m 2^(e − 1075). The first bit of 2/π that counts is number e − 1076: m times it is
    # a multiple of 2. Before the first word there are only zeros.
    first = f.let(f"sub i64 {e}, 1077")
    early = f.let(f"icmp slt i64 {first}, 0")
    start = f.let(f"select i1 {early}, i64 0, i64 {first}")
    word, shift = f.let(f"lshr i64 {start}, 6"), f.let(f"and i64 {start}, 63")
    window = None
    for k in range(4):
        at = f.let(f"add i64 {word}, {k}")
        place = f.let(f"getelementptr inbounds {table}, ptr @{_NAME}.bits, i64 0, i64 {at}")
        part = f.let(f"zext i64 {f.load(place, 'i64', align=8)} to i256")
        part = f.let(f"shl i256 {part}, {64 * (3 - k)}") if k < 3 else part
        window = part if window is None else f.let(f"or i256 {window}, {part}")
    window = f.let(f"shl i256 {window}, {f.let(f'zext i64 {shift} to i256')}")
    window = f.let(f"lshr i256 {window}, 64")
    short = f.let(f"select i1 {early}, i64 {f.let(f'sub i64 0, {first}')}, i64 0")
    window = f.let(f"lshr i256 {window}, {f.let(f'zext i64 {short} to i256')}")
    bits192 = f.let(f"trunc i256 {window} to i192")
    # In units of 2^-190: two bits before the point.
    turns = f.let(f"mul i192 {bits192}, {f.let(f'zext i64 {m} to i192')}")
    half = f.let(f"add i192 {turns}, {1 << 189}")
    q = f.let(f"trunc i192 {f.let(f'lshr i192 {half}, 190')} to i64")
    rest = f.let(f"shl i192 {turns}, 2")  # the fraction, signed: −1/2 to 1/2, in units of 2^-192
    negative = f.let(f"icmp slt i192 {rest}, 0")
    size = f.let(f"select i1 {negative}, i192 {f.let(f'sub i192 0, {rest}')}, i192 {rest}")
    zeros = f.call(
        module.intrinsic("llvm.ctlz.i192", "i192", "i192", "i1"), "i192",
        ("i192", size), ("i1", "true"),
    )  # fmt: skip
    top = f.let(f"lshr i192 {f.let(f'shl i192 {size}, {zeros}')}, 128")
    top = f.let(f"trunc i192 {top} to i64")
    # top 2^(128 − zeros − 192): its upper 32 bits and its lower ones are exact
    high = f.let(f"uitofp i64 {f.let(f'and i64 {top}, -4294967296')} to double")
    low = f.let(f"uitofp i64 {f.let(f'and i64 {top}, 4294967295')} to double")
    b = builder(f)
    high, low = scalar(b, high, DOUBLE), scalar(b, low, DOUBLE)
    product = high * _HALF_PI[0]
    rest = fma(high, _HALF_PI[0], -product)
    rest = fma(low, _HALF_PI[0], fma(high, _HALF_PI[1], rest))
    r = product + rest
    low = rest - (r - product)
    power = f.let(f"sub i64 {1023 - 64}, {f.let(f'trunc i192 {zeros} to i64')}")
    scale = scalar(b, f.let(f"bitcast i64 {f.let(f'shl i64 {power}, 52')} to double"), DOUBLE)
    flip = f.let(f"icmp slt i64 {i}, 0")
    minus = scalar(b, f.let(f"xor i1 {flip}, {negative}"), np.dtype(bool))
    scale = b.where(minus, -scale, scale)
    q = f.let(f"select i1 {flip}, i64 {f.let(f'sub i64 0, {q}')}, i64 {q}")
    found = f.let(f"insertvalue {_FOUND} poison, i64 {q}, 0")
    found = f.let(f"insertvalue {_FOUND} {found}, double {(r * scale).name}, 1")
    f.give(f.let(f"insertvalue {_FOUND} {found}, double {(low * scale).name}, 2"))
