"""The error function and its family: erf, erfc, the normal distribution, gelu.

Far out, erfc x = exp(−x²) times a function that hardly changes, a polynomial in t = (x − c)/(x + c)
over 1 + 2x. x² is taken in two pieces, for the exponential blows up what its rounding loses. gelu
is made of the lower tail alone, which has all its digits: x Φ(x) = max(x, 0) − |x| Φ(−|x|).

Source:  Shepherd and Laframboise (1981), Chebyshev approximation of (1 + 2x) exp(x²) erfc x.
"""

from __future__ import annotations

import math
from typing import Any

from .coefficients import ERF, ERFC, LOG_ERFC, NDTR
from .exponential import exp_near, exp_parts
from .logarithm import log, log1p
from .notation import below, fma, is_wide, polynomial, signed, size, where

_EDGE = {4: 0.82, 8: 0.875}
_END = {4: 3.92, 8: 5.92}  # where erf is 1
# name -> the table, c, how often x in the denominator, half of x² or all of it, where it is 0
_ERFC = {4: (ERFC, 3.0, 2.0, 1.0, 10.1), 8: (ERFC, 4.0, 2.0, 1.0, 28.0)}
_NDTR = {4: (NDTR, 4.0, 1.0, 0.5, 14.6), 8: (NDTR, 6.0, 1.0, 0.5, 39.6)}


def erf(x: Any) -> Any:
    """The error function: an odd polynomial near 0, further out 1 − exp(log erfc |x|)."""
    a = size(x)
    small = fma(x, polynomial(x * x, ERF), x)
    t = below(a, _END[x.dtype.itemsize])
    great = signed(1.0 - exp_near(polynomial(t, LOG_ERFC)), x)
    return where(a > _EDGE[x.dtype.itemsize], great, small)


def _rational(x: Any, family: Any) -> tuple[Any, Any, Any, Any]:
    """(y, 1/z, off) with exp(x²) erfc x = y / z (1 + off) or the like, for x >= 0."""
    table, c, slope, *_ = family[x.dtype.itemsize]
    s = x / (x + c)
    r = polynomial(fma(s, 2.0, -1.0), table)
    y, z = fma(s, r, 1.0), fma(x, slope, 1.0)
    inverse = 1.0 / z
    lost = fma(x, slope, 1.0 - z)
    off = fma(-inverse, lost, fma(-inverse, z, 1.0))
    return y, inverse, off + fma(s, r, 1.0 - y)  # y is nearly 1


def _tail(x: Any, family: Any, factor: Any = None) -> Any:
    """erfc x or 2 Φ(−x), for x >= 0, times a factor."""
    share, end = family[x.dtype.itemsize][3:]
    x = below(x, end)
    y, inverse, off = _rational(x, family)
    square = x * x
    a, b, p = exp_parts(square * -share, fma(x, x, -square) * -share)
    if factor is None:
        whole = y * inverse
        lost = fma(y, inverse, -whole)
    else:
        factor = below(factor, end)
        product = y * factor
        whole = product * inverse
        lost = fma(fma(y, factor, -product), inverse, fma(product, inverse, -whole))
    return (fma(whole, p + off, lost) + whole) * a * b


def erfc(x: Any) -> Any:
    """1 − erf x, with all its digits where it is small."""
    y = _tail(size(x), _ERFC)
    return where(x < 0.0, 2.0 - y, y)


def ndtr(x: Any) -> Any:
    """The standard normal distribution function."""
    y = _tail(size(x), _NDTR) * 0.5
    return where(x > 0.0, 1.0 - y, y)


def gelu(x: Any) -> Any:
    """x Φ(x)"""
    a = size(x)
    return where(x < 0.0, 0.0, x) - _tail(a, _NDTR, a) * 0.5
