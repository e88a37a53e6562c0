"""The inverse functions: angles from their sines, cosines and tangents, and the inverse hyperbolic
ones, which are logarithms.
"""

from __future__ import annotations

from typing import Any

from .coefficients import ASIN, ATAN, ATANH
from .exponential import LOG_2
from .logarithm import split, split_next, tail
from .notation import (
    INFINITY,
    NAN,
    bits,
    const,
    fma,
    format_of,
    number,
    paired,
    root,
    signed,
    size,
    unordered,
    where,
)

_HALF_PI = {  # in two pieces
    4: (float.fromhex("0x1.921fb6p+0"), float.fromhex("-0x1.777a5cp-25")),
    8: (float.fromhex("0x1.921fb54442d18p+0"), float.fromhex("0x1.1a62633145c07p-54")),
}


def atan(x: Any) -> Any:
    """The angle whose tangent is x: beyond 1 by way of −1/x."""
    high, low = _HALF_PI[x.dtype.itemsize]
    a = size(x)
    steep = a > 1.0
    t = where(steep, const(-1.0, a), a) / where(steep, a, 1.0)
    z = t * t
    y = fma(t * z, paired(z, ATAN), t)
    return signed(where(steep, y + low + high, y), x)


def atan2(y: Any, x: Any) -> Any:
    """The angle of the point (x, y), from −π to π."""
    high, low = _HALF_PI[x.dtype.itemsize]
    a, b = size(y), size(x)
    steep, back = a > b, bits(x) < 0
    above, below = where(steep, b, a), where(steep, a, b)
    t = above / below
    t = where(below == 0.0, 0.0, t)
    t = where(above == INFINITY, 1.0, t)
    t = where(unordered(x) | unordered(y), NAN, t)
    t = where(steep ^ back, -t, t)
    z = t * t
    angle = fma(t * z, paired(z, ATAN), t)
    moved = where(steep, angle + low + high, angle + 2 * low + 2 * high)
    return signed(where(steep | back, moved, angle), y)


def _folded(x: Any) -> tuple[Any, Any, Any]:
    """(steep, r, y) with asin r = r + y: r = |x|, or, beyond 1/2, asin |x| = π/2 − 2 asin r."""
    a = size(x)
    steep = a > 0.5
    z = where(steep, fma(a, -0.5, 0.5), a * a)
    r = where(steep, root(z), a)
    return steep, r, r * z * paired(z, ASIN)


def asin(x: Any) -> Any:
    """The angle whose sine is x."""
    high, low = _HALF_PI[x.dtype.itemsize]
    steep, r, y = _folded(x)
    far = high - fma(r + y, 2.0, -low)
    return signed(where(steep, far, r + y), x)


def acos(x: Any) -> Any:
    """The angle whose cosine is x."""
    high, low = _HALF_PI[x.dtype.itemsize]
    steep, r, y = _folded(x)
    left = x < 0.0
    angle = r + y
    double = angle + angle
    far = where(left, 2 * high - (double - 2 * low), double)
    near = high - (signed(angle, x) - low)
    return where(steep, far, near)


# -- inverse hyperbolic -------------------------------------------------------------------------


def atanh(x: Any) -> Any:
    """log((1 + x) / (1 − x)) / 2. The quotient is 2ᵉ (1 + s) / (1 − s): with k = 2⁻ᵉ
    s = (k (1 + x) − (1 − x)) / (k (1 + x) + (1 − x)), where 1 ± k, or else 1 − x, is exact.
    """
    a = size(x)
    form = format_of(a)
    e, _ = split((a + 1.0) / (1.0 - a))
    e = where(a < 1.0, e, 0.0)
    k = number(bits((form.whole + form.bias) - e) << form.mantissa)
    near = a < 0.5
    more, less = where(near, a, a + 1.0), 1.0 - a
    above = fma(more, where(near, k + 1.0, k), where(near, k - 1.0, -less))
    below = fma(more, where(near, k - 1.0, k), where(near, k + 1.0, less))
    s = above / below
    z = s * s
    high, low = LOG_2[a.dtype.itemsize]
    y = fma(s * z, paired(z, ATANH) * 0.5, e * (low / 2)) + s
    y = where(a == 1.0, INFINITY, fma(e, high / 2, y))
    return signed(where(a > 1.0, NAN, y), x)


def _next(v: Any, low: Any, more: Any) -> Any:
    """log(1 + v + low) + more log 2"""
    high, rest = LOG_2[v.dtype.itemsize]
    e, f, k = split_next(v)
    f = fma(low, k, f)
    e = e + more
    return fma(e, high, f + fma(e, rest, tail(f)))


_GREAT = {4: 2.0**30, 8: 2.0**60}  # the square must not overflow; from here on x² + 1 = x²


def asinh(x: Any) -> Any:
    """log(1 + a + a² / (1 + √(1 + a²))), a = |x|"""
    a = size(x)
    great = a > _GREAT[a.dtype.itemsize]
    t = where(great, 1.0, a)
    square = t * t
    part = square / (root(square + 1.0) + 1.0)
    v = t + part
    low = where(great, 0.0, part - (v - t))
    y = _next(where(great, a, v), low, where(great, const(1.0, a), 0.0))
    return signed(where((a < format_of(a).epsilon) | (a == INFINITY), a, y), x)


def acosh(x: Any) -> Any:
    """log(1 + t + √(t² + 2t)), t = x − 1"""
    great = x > _GREAT[x.dtype.itemsize]
    t = where(great, 1.0, x - 1.0)
    part = root(fma(t, t, t + t))
    v = t + part
    low = where(great, 0.0, where(t < part, t - (v - part), part - (v - t)))
    y = _next(where(great, x, v), low, where(great, const(1.0, x), 0.0))
    y = where(x == INFINITY, INFINITY, y)
    return where(unordered(x) | (x < 1.0), NAN, y)
