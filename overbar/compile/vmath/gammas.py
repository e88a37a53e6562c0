"""The logarithm of the gamma function, and its first two derivatives.

Far out, Stirling's formula; nearer, the recurrence x Γ(x) = Γ(x + 1) leads to numbers around 2 (1.5
of the digamma function), where there is a polynomial that has the zero there as a factor. Left of 0
by the reflection −x Γ(x) Γ(−x) = π / sin πx. Of float32 it is all done in float64.

Source:  Abramowitz and Stegun (1964), 6.1.15 to 6.1.41, 6.3.5 to 6.4.12.
"""

from __future__ import annotations

import math
from typing import Any

from .coefficients import LOG_GAMMA, PSI, PSI_TAIL, STIRLING, TRIGAMMA_TAIL
from .error import widely
from .logarithm import log, log1p
from .notation import INFINITY, NAN, const, fma, is_wide, narrow, paired, signed, size, where, wide
from .trigonometric import sin_cos

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_PSI_ZERO = (float.fromhex("0x1.762d86356be3fp+0"), float.fromhex("0x1.b86a722197829p-54"))
_STIRLING, _TAIL = 4.5, 4.0  # from where on the formulas for great numbers hold


def _turned(a: Any) -> tuple[Any, Any]:
    """sin πa and cos πa, but for the same sign of both, for a >= 0; exact at whole numbers."""
    r = a - a.builder.intrinsic("rint", a)
    near = size(r) < 0.25
    sine, cosine = sin_cos(math.pi * where(near, r, 0.5 - size(r)))
    return where(near, sine, a.builder.intrinsic("copysign", cosine, r)), where(near, cosine, sine)


def _near(x: Any) -> tuple[Any, Any, Any]:
    """(y, p, up) for 0 < x < 4.5: log Γ(x) = y ± log p, + if x was taken down to 2 (`up`)."""
    low, least = x < 1.5, x < 0.5
    high, most = x >= 2.5, x >= 3.5
    r = where(low, where(least, x, x - 1.0), where(high, where(most, x - 4.0, x - 3.0), x - 2.0))
    below = where(least, x * (x + 1.0), x)
    above = where(most, (x - 1.0) * (x - 2.0), x - 1.0)
    p = where(low, below, where(high, above, 1.0))
    return r * paired(r, LOG_GAMMA), p, high


def _log_gamma(x: Any) -> Any:
    """log Γ(x) for x > 0."""
    small = x < _STIRLING
    y, p, up = _near(x)
    l = log(where(small, p, x))
    inverse = 1.0 / where(small, 5.0, x)
    rest = fma(inverse, paired(inverse * inverse, STIRLING), _HALF_LOG_2PI)
    far = fma(x - 0.5, l, rest - x)
    return where(small, where(up, y + l, y - l), far)


@widely
def gammaln(x: Any) -> Any:
    """log |Γ(x)|; infinite at 0, −1, −2, ..."""
    a = size(x)
    y = _log_gamma(a)
    sine, _ = _turned(a)
    mirrored = log(math.pi / (a * size(sine))) - y
    y = where((x < 0.0) & (a > 1e-300), mirrored, y)
    y = where(a == INFINITY, x, y)
    return where((x < 0.0) & (sine == 0.0) & (a != INFINITY) & (a > 0.5), INFINITY, y)


@widely
def digamma(x: Any) -> Any:
    """ψ(x) = Γ'(x) / Γ(x)"""
    a = where(x < 0.0, 1.0 - x, x)
    first, most, high = a < 1.0, a >= 3.0, a >= 2.0
    t = where(first, a + 1.0, where(most, a - 2.0, where(high, a - 1.0, a)))
    y = ((t - _PSI_ZERO[0]) - _PSI_ZERO[1]) * paired(t - 1.5, PSI)
    small = a < _TAIL
    one = where(high, a - 1.0, where(small, a, 1.0))
    two = where(most, a - 2.0, 1.0)
    inverse = 1.0 / one
    y = where(first, y - inverse, where(high, y + inverse, y))
    y = where(most, y + 1.0 / two, y)
    inverse = 1.0 / where(small, 4.0, a)
    square = inverse * inverse
    far = log(a) - fma(square, paired(square, PSI_TAIL), inverse * 0.5)
    y = where(small, y, far)
    y = where(x == 0.0, signed(const(INFINITY, a), -x), y)
    sine, cosine = _turned(size(x))
    y = where(x < 0.0, y + math.pi * (cosine / sine), y)
    return where((x < 0.0) & ((sine == 0.0) | (x == -INFINITY)), NAN, y)


@widely
def trigamma(x: Any) -> Any:
    """ψ'(x): infinite at 0, −1, −2, ..."""
    a = where(x < 0.0, 1.0 - x, x)
    small = a < _TAIL
    b = where(small, a + 4.0, a)
    inverse = 1.0 / b
    square = inverse * inverse
    y = fma(square * inverse, paired(square, TRIGAMMA_TAIL), fma(square, 0.5, inverse))
    terms = y
    for k in (3, 2, 1, 0):
        step = 1.0 / (a + float(k))
        terms = fma(step, step, terms)
    y = where(small, terms, y)
    sine, _ = _turned(size(x))
    slope = math.pi / sine
    y = where(x < 0.0, slope * slope - y, y)
    return where(x == -INFINITY, INFINITY, y)


def betaln(a: Any, b: Any) -> Any:
    """log |B(a, b)|; where one is great, without the difference of great logarithms."""
    if not is_wide(a):
        return narrow(betaln(wide(a), wide(b)))
    a, b = _moved(a, b), _moved(b, a)
    of_a, of_b = gammaln(a), gammaln(b)
    direct = of_a + (of_b - gammaln(a + b))
    x, y = where(a > b, a, b), where(a > b, b, a)
    far = (x >= _STIRLING) & (x + y >= _STIRLING)
    x, y = where(far, x, 5.0), where(far, y, 1.0)
    both = x + y
    rest = _correction(x) - _correction(both)
    great = where(a > b, of_b, of_a) - fma(x - 0.5, log1p(y / x), y * (log(both) - 1.0)) + rest
    end = where(y == INFINITY, NAN, where(y < 0.0, INFINITY, const(-INFINITY, x)))
    great = where(x == INFINITY, end, great)
    found = where(far, great, direct)
    return where(_is_pole(a) | _is_pole(b), INFINITY, found)


def _correction(x: Any) -> Any:
    """What Stirling's formula is mended by."""
    inverse = 1.0 / x
    return inverse * paired(inverse * inverse, STIRLING)


def _is_pole(x: Any) -> Any:
    return (x <= 0.0) & (x == x.builder.intrinsic("trunc", x))


def _moved(a: Any, b: Any) -> Any:
    """B(a, b) = ± B(1 − a − b, b) where both are whole, a <= 0 < 1 − a − b: no pole there."""
    other = 1.0 - a - b
    whole = b == b.builder.intrinsic("trunc", b)
    finite = (b > 0.0) & (other > 0.0) & (other < INFINITY)
    return where(_is_pole(a) & whole & finite, other, a)
