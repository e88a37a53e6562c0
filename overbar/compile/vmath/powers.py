"""Powers, roots and lengths.

xʸ = exp(y log x), where the logarithm has more bits than a float64 holds: it is a sum of two.
"""

from __future__ import annotations

import math
from typing import Any

from .coefficients import ATANH_LONG, CBRT, EXP_SHORT, LOG_SHORT
from .exponential import LOG_2, exp_of_sum
from .logarithm import normal, split
from .notation import (
    INFINITY,
    NAN,
    above,
    below,
    bits,
    const,
    fma,
    format_of,
    is_wide,
    narrow,
    nearest,
    number,
    paired,
    root,
    signed,
    size,
    unordered,
    where,
    wide,
)

_TWO_THIRDS = (float.fromhex("0x1.5555555555555p-1"), float.fromhex("0x1.5555555555555p-55"))


def sqrt(x: Any) -> Any:
    """√x"""
    return root(x)


def _log_long(x: Any) -> tuple[Any, Any]:
    """log x of a float64 as a sum of two, with an error of 2⁻⁶⁶ of it."""
    e, f = normal(x)
    below = f + 2.0
    inverse = 1.0 / below
    s = f * inverse
    lost = f - (below - 2.0)  # of 2 + f
    s_low = fma(-s, lost, fma(-s, below, f)) * inverse
    z = s * s
    z_low = fma(s, s, -z) + 2.0 * s * s_low
    cube = z * s
    cube_low = fma(z, s, -cube) + fma(z_low, s, z * s_low)
    part = fma(z, paired(z, ATANH_LONG), _TWO_THIRDS[1])
    w = part + _TWO_THIRDS[0]
    w_low = part - (w - _TWO_THIRDS[0])
    t = cube * w
    t_low = fma(cube, w, -t) + fma(cube, w_low, cube_low * w)
    high, low = LOG_2[8]
    p = e * high
    p_low = fma(e, low, fma(e, high, -p))
    double = s + s
    first = p + double
    y = first + t
    rest = (double - (first - p)) + (t - (y - first))
    return y, rest + (fma(s_low, 2.0, t_low) + p_low)


def _power_wide(a: Any, y: Any) -> Any:
    log, log_low = _log_long(a)
    u = y * log
    low = fma(y, log, -u) + y * log_low
    low = where(size(u) < 800.0, low, 0.0)
    high, b, p, _ = exp_of_sum(u, low)
    return fma(p, high, high) * b


def _power_narrow(a: Any, y: Any) -> Any:
    """Of float32, in float64 with fewer coefficients: log to 35 bits, exp to 29."""
    e, f = split(wide(a))
    log = fma(e, math.log(2), fma(f * f, paired(f, LOG_SHORT), f))
    u = above(below(wide(y) * log, 128.0), -128.0)
    form = format_of(u)
    z, n = nearest(u, 1 / math.log(2), form.bias)
    r = fma(n, -LOG_2[8][0], u)
    return narrow(paired(r, EXP_SHORT) * number(bits(z) << form.mantissa))


def pow(x: Any, y: Any) -> Any:
    """xʸ; 1 for x = 1 or y = 0 whatever the other, signed where y is odd."""
    a = size(x)
    r = _power_wide(a, y) if is_wide(x) else _power_narrow(a, y)
    rising = y > 0.0
    r = where(a == 0.0, where(rising, 0.0, const(INFINITY, a)), r)
    r = where(a == INFINITY, where(rising, INFINITY, const(0.0, a)), r)
    r = where(a == 1.0, 1.0, r)
    b = x.builder
    half = y * 0.5
    whole = b.intrinsic("trunc", y) == y
    odd = whole & (b.intrinsic("trunc", half) != half)
    r = signed(r, where(odd, x, 1.0))
    r = where((x < 0.0) & ~whole & (a != INFINITY), NAN, r)
    r = where(unordered(x) | unordered(y), NAN, r)
    return where((y == 0.0) | (x == 1.0), 1.0, r)


def cbrt(x: Any) -> Any:
    """∛x: 2ᵉ m = 8ᵏ 2ʲ m, a polynomial for ∛m, one of three numbers for ∛2ʲ, a step of Halley's."""
    a = size(x)
    form = format_of(a)
    e, f = normal(a)
    _, k = nearest(e, 1 / 3)
    j = fma(k, -3.0, e)
    m = f + 1.0
    up, down = j > 0.5, j < -0.5
    v = m * where(up, 2.0, where(down, 0.5, const(1.0, a)))
    y = paired(m, CBRT) * where(up, 2 ** (1 / 3), where(down, 2 ** (-1 / 3), const(1.0, a)))
    square = y * y
    rest = fma(-square, y, v)
    y = fma(y, rest / fma(square * 2.0, y, v), y)
    z = k + (form.whole + form.bias)
    y = y * number(bits(z) << form.mantissa)
    plain = (a == 0.0) | (a == INFINITY) | unordered(x)
    return signed(where(plain, a, y), x)


def hypot(x: Any, y: Any) -> Any:
    """√(x² + y²), without overflow or underflow."""
    a, b = size(x), size(y)
    if not is_wide(x):
        u, v = wide(a), wide(b)
        r = narrow(root(fma(u, u, v * v)))
    else:
        top = where(a > b, a, b)
        up, down = top > 2.0**500, top < 2.0**-450
        scale = where(up, 2.0**-600, where(down, 2.0**600, const(1.0, a)))
        back = where(up, 2.0**600, where(down, 2.0**-600, const(1.0, a)))
        u, v = a * scale, b * scale
        r = root(fma(u, u, v * v)) * back
    return where((a == INFINITY) | (b == INFINITY), INFINITY, r)
