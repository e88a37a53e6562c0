"""The exponential function and the hyperbolic ones.

x = n log 2 + r with n whole and |r| <= log(2)/2, so eˣ = 2ⁿ (1 + p) with p = eʳ − 1 a polynomial.
r comes without loss from two pieces of log 2; 2ⁿ is made of bits, and as a product of two powers
where it may be too great or too small for one.
"""

from __future__ import annotations

import math
from typing import Any

from .coefficients import COSH, EXP, EXP2, SINH
from .notation import (
    above,
    below,
    bits,
    const,
    fma,
    format_of,
    is_wide,
    nearest,
    number,
    polynomial,
    signed,
    size,
    where,
)

LOG_2 = {  # in two pieces
    4: (float.fromhex("0x1.62e43p-1"), float.fromhex("-0x1.05c61p-29")),
    8: (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56")),
}
# For float32, the first piece so short that n times it is exact.
_LOG_2_SHORT = (float.fromhex("0x1.62e4p-1"), float.fromhex("0x1.7f7d1cp-20"))
_LOG2_E = 1 / math.log(2)
# Beyond these eˣ is 0 (also if it is multiplied by 1000) or ∞.
_LIMITS = {4: (-115.0, 89.0), 8: (-760.0, 710.0)}
_NOTHING = {4: -104.0, 8: -745.5}  # below, eˣ is rounded to 0
_DOWN = {4: 64, 8: 128}  # so many twos in the second power, left of zero


def _powers(x: Any, factor: float, weight: float, left: bool) -> tuple[Any, Any, Any]:
    """(n, a, b): the whole number n next to `factor` x, and weight 2ⁿ = a b.

    The exponent of a is made by the rounding itself: what is added to round leaves n, and whatever
    else was added, in the low bits. `left` tells that x is not above 0.
    """
    form, down = format_of(x), _DOWN[x.dtype.itemsize]
    whole, b = const(form.whole + (form.bias + down), x), const(weight * 2.0**-down, x)
    if not left:  # right of 0, n may be one too great for one power
        negative = x < 0.0
        whole = where(negative, whole, form.whole + (form.bias - 1))
        b = where(negative, b, weight * 2.0)
    z = x + whole if factor == 1.0 else fma(x, factor, whole)
    return z - whole, number(bits(z) << form.mantissa), b


def _rest(x: Any, n: Any) -> Any:
    """x − n log 2: the first subtraction leaves no rounding."""
    high, low = LOG_2[x.dtype.itemsize]
    return fma(n, -low, fma(n, -high, x))


def _grown(r: Any) -> Any:
    """eʳ − 1 for |r| <= log(2)/2."""
    return fma(r * r, polynomial(r, EXP), r)


def _clamped(x: Any, left: bool) -> Any:
    bottom, top = _LIMITS[x.dtype.itemsize]
    return above(x if left else below(x, top), bottom)


def exp_parts(x: Any, *, left: bool = False) -> tuple[Any, Any, Any]:
    """(a, b, p) with eˣ = a (1 + p) b; `left` tells that x is not above 0."""
    x = _clamped(x, left)
    n, a, b = _powers(x, _LOG2_E, 1.0, left)
    return a, b, _grown(_rest(x, n))


def exp_of_sum(
    x: Any, low: Any, weight: float = 1.0, *, left: bool = False
) -> tuple[Any, Any, Any, Any]:
    """(a, b, p, lost) with weight e^(x + low) = a (1 + p + lost) b for a weight that is a power of
    two; what is lost to rounding is told of float64 only.
    """
    x = _clamped(x, left)
    n, a, b = _powers(x, _LOG2_E, weight, left)
    high, less = LOG_2[x.dtype.itemsize]
    first = fma(n, -high, x)
    second = fma(n, -less, low)
    r = first + second
    if not is_wide(x):
        return a, b, _grown(r), const(0.0, x)
    square, q = r * r, polynomial(r, EXP)
    p = fma(square, q, r)
    return a, b, p, fma(square, q, r - p) + (second - (r - first))


def exp_of_square(x: Any, share: float, weight: float) -> tuple[Any, Any, Any]:
    """(a, b, p) with weight exp(share x²) = a (1 + p) b of a float32, for share < 0 and an x that
    is no greater than it needs to be 0: x² is rounded only when n log 2 is taken away from it.
    """
    part = x * share
    n, a, b = _powers(part * x, _LOG2_E, weight, left=True)
    high, low = _LOG_2_SHORT
    return a, b, _grown(fma(n, -low, fma(part, x, n * -high)))


def exp(x: Any) -> Any:
    """eˣ"""
    a, b, p = exp_parts(x)
    return fma(p, a, a) * _none_below(x, b)


def exp_left(x: Any) -> Any:
    """eˣ for x <= 0."""
    a, b, p = exp_parts(x, left=True)
    return fma(p, a, a) * _none_below(x, b)


def _none_below(x: Any, b: Any) -> Any:
    """0 for b where eˣ is 0: a product with 0 costs nothing, one that comes out below all numbers
    three times as much as all the rest. Masks for attention are made of such x.
    """
    return where(x < _NOTHING[x.dtype.itemsize], 0.0, b)


def exp_near(x: Any) -> Any:
    """eˣ where it is neither near 0 nor near ∞."""
    form = format_of(x)
    z, n = nearest(x, _LOG2_E, form.bias)
    a = number(bits(z) << form.mantissa)
    return fma(_grown(_rest(x, n)), a, a)


def exp2(x: Any) -> Any:
    """2ˣ"""
    bottom, top = {4: (-151.0, 128.0), 8: (-1076.0, 1024.0)}[x.dtype.itemsize]
    x = above(below(x, top), bottom)
    n, a, b = _powers(x, 1.0, 1.0, left=False)
    r = x - n
    return fma(r * polynomial(r, EXP2), a, a) * b


def _minus_one(x: Any) -> tuple[Any, Any]:
    """(a, p) with eˣ − 1 = 2 (a p + (a − 1/2)), a = 2ⁿ⁻¹."""
    form = format_of(x)
    z, n = nearest(x, _LOG2_E, form.bias - 1)
    return number(bits(z) << form.mantissa), _grown(_rest(x, n))


def expm1(x: Any) -> Any:
    """eˣ − 1"""
    top = _LIMITS[x.dtype.itemsize][1]
    a, p = _minus_one(above(below(x, top), -40.0))
    half = fma(a, p, a - 0.5)
    return signed(half + half, x)


def tanh(x: Any) -> Any:
    """(1 − y) / (1 + y) with y = e^∓2|x|: below log(2)/4 y < 1 is rounded less, above it y > 1."""
    t = below(size(x), 20.0 if is_wide(x) else 10.0)
    a, p = _minus_one(t * where(t < 0.17328, -2.0, const(2.0, t)))
    half = fma(a, p, a - 0.5)
    more = half + 1.0
    y = half / more
    if is_wide(x):  # of float32 all numbers were tried: the error is 2.38 units as it is
        lost = where(half < 1.0, (more - 1.0) - half, 0.0)
        y = fma(lost, fma(-y, y, y), y)  # 1 / more = 1 − y
    return signed(y, x)


def _both(x: Any) -> tuple[Any, Any, Any, Any]:
    """2ⁿ⁻¹, 2⁻ⁿ⁻¹, sinh r, cosh r − 1 for |x|."""
    form, top = format_of(x), {4: 89.5, 8: 710.5}[x.dtype.itemsize]
    t = below(size(x), top)
    z, n = nearest(t, _LOG2_E, form.bias - 2)
    r = _rest(t, n)
    s = r * r
    a = number(bits(z) << form.mantissa)
    b = number(((2 * form.bias - 4) << form.mantissa) - bits(a))
    b = where(n < 60.0, b, 0.0)  # it has no such exponents, and no weight there
    odd = fma(r * s, polynomial(s, SINH), r)
    even = fma(s * s, polynomial(s, COSH), s * 0.5)
    return a, b, odd, even


def sinh(x: Any) -> Any:
    """(eˣ − e⁻ˣ) / 2"""
    a, b, odd, even = _both(x)
    less, more = a - b, a + b
    return signed((fma(more, odd, less * even) + less) * 2.0, x)


def cosh(x: Any) -> Any:
    """(eˣ + e⁻ˣ) / 2"""
    a, b, odd, even = _both(x)
    less, more = a - b, a + b
    return (fma(less, odd, more * even) + more) * 2.0
