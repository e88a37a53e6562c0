"""What is left of a after taking out b a whole number of times, and how often that is.

For a quotient below 2²³ (2⁵² for float64) its whole part is known but for one, and what is left,
a − q b, is a number: a fused multiplication gives it without rounding. Greater quotients are
divided in whole numbers, bit after bit. Signs, zeros and the last rounding are those of NumPy,
which are Python's: the rest has the sign of b.

Source:  CPython, float_divmod; Sterbenz (1974), Floating-Point Computation, 4.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .notation import (
    FORMATS,
    INFINITY,
    NAN,
    bits,
    fma,
    is_wide,
    narrow,
    number,
    signed,
    size,
    where,
    wide,
)
from .rare import mended

_FAR = {4: 2.0**23, 8: 2.0**52}


def _left(a: Any, b: Any) -> Any:
    """a − ⌊|a/b|⌋ b with the sign of a; a 0 has any sign."""
    q = a.builder.intrinsic("trunc", a / b)
    r = fma(-q, b, a)
    too_far = (r != 0.0) & ((r < 0.0) ^ (a < 0.0))
    r = where(too_far, r + signed(b, a), r)
    r = where((size(b) == INFINITY) & (size(a) < INFINITY), a, r)
    return mended((a, b), r, "left", 0, _FAR[a.dtype.itemsize], _long)


def _long(a: Any, b: Any, which: Any) -> Any:
    """m 2ᵉ mod n 2ᶠ = (m 2ᵉ⁻ᶠ mod n) 2ᶠ, some bits of 2ᵉ⁻ᶠ at a time."""
    if not is_wide(a):
        return narrow(_long(wide(a), wide(b), which))
    builder, f, form = a.builder, a.builder.function, FORMATS[8]

    def parts(x: Any) -> tuple[Any, Any]:
        i = bits(size(x))
        e = i >> form.mantissa
        return (i & form.fraction) | where(e == 0, 0, e * 0 + form.fraction + 1), where(
            e == 0, 1, e
        )

    (m, e), (n, k) = parts(a), parts(b)
    safe = where(n == 0, 1, n)
    rest = f.variable("i64", f.let(f"urem i64 {m.name}, {safe.name}"), align=8)
    bits_left = f.variable("i64", (e - k).name, align=8)
    with f.forever() as leave:
        now = f.get(bits_left)
        leave(f.let(f"icmp sle i64 {now}, 0"))
        some = f.least(now, 63 - form.mantissa)
        moved = f.let(f"shl i64 {f.get(rest)}, {some}")
        f.set(rest, f.let(f"urem i64 {moved}, {safe.name}"))
        f.set(bits_left, f.sub(now, some))
    last = k << form.mantissa
    unit = number(last | 1) - number(last)
    found = builder.cast(type(a)(builder, f.get(rest), np.dtype(np.uint64)), a.dtype) * unit
    return where(n == 0, NAN, signed(found, a))


def remainder(a: Any, b: Any) -> Any:
    """a − ⌊a/b⌋ b"""
    r = _left(a, b)
    return where(r != 0.0, where((b < 0.0) ^ (r < 0.0), r + b, r), signed(r, b))


def floor_divide(a: Any, b: Any) -> Any:
    """⌊a/b⌋: the whole number next to what is left when the rest is gone."""
    r = _left(a, b)
    q = (a - r) / b
    q = where((r != 0.0) & ((b < 0.0) ^ (r < 0.0)), q - 1.0, q)
    whole = a.builder.intrinsic("floor", q)
    whole = where(q - whole > 0.5, whole + 1.0, whole)
    quotient = a / b
    return where(b == 0.0, quotient, where(q != 0.0, whole, signed(q, quotient)))
