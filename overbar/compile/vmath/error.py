"""The error function and its family: erf, erfc, the normal distribution, gelu.

Away from 0, erfc x = exp(−x²) (k + s P(2s − 1)) / (k + x) with s = x / (x + c) and a polynomial P:
k + x takes away nearly all that erfc does besides exp(−x²), and s, exact in relative terms near 0,
does the rest. x² is taken in two pieces, for the exponential blows up what its rounding loses; what
is lost elsewhere is gathered and put back at the end. Of float32 the rest is a quotient of two
polynomials, which do not wait for one another. gelu is made of the lower tail alone, which has all
its digits: x Φ(x) = max(x, 0) − |x| Φ(−|x|).

Source:  Shepherd and Laframboise (1981), Chebyshev approximation of (1 + 2x) exp(x²) erfc x.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .coefficients import ERF, ERFC, ERFC_SHORT, ERFCX, LOG_ERFC, NDTR, NDTR_SHORT
from .exponential import exp_near, exp_of_square, exp_of_sum
from .logarithm import log, log1p
from .notation import above, below, fma, is_wide, narrow, paired, signed, size, where, wide


class _Family(NamedTuple):
    """exp(share x²) tail(x) = weight (k + s P(2s − 1)) / (k + x), s = x / (x + c)"""

    table: Any
    c: float
    k: float
    weight: float
    share: float
    end: float  # where the tail is 0


class _Short(NamedTuple):
    """Of float32: exp(share x²) tail(x) = weight (1 + x top(x) / bottom(x)) / (1 + g x)"""

    tables: Any
    g: float
    weight: float
    share: float
    end: float


_K = 0.6875
_ERFC = _Short(ERFC_SHORT, 2.0, 1.0, 1.0, 10.1), _Family(ERFC, 4.0, _K, 1.0, 1.0, 28.0)
_NDTR = _Short(NDTR_SHORT, 1.0, 0.5, 0.5, 14.6), _Family(NDTR, 6.0, 1.0, 0.5, 0.5, 39.6)
_ERFCX = _Family(ERFCX, 4.0, _K, 1.0, 1.0, math.inf)
_DENSITY = (float.fromhex("0x1.9884533d43651p-2"), float.fromhex("-0x1.cbc0d30ebfd15p-56"))  # at 0
_EDGE = {4: 0.82, 8: 0.875}
_ROOT_HALF = (float.fromhex("0x1.6a09e667f3bcdp-1"), float.fromhex("-0x1.bdd3413b26456p-55"))
_ONE = {4: 3.95, 8: 5.95}  # where erf is 1


def erf(x: Any) -> Any:
    """The error function: an odd polynomial near 0, further out 1 − exp(log erfc |x|)."""
    a = size(x)
    small = fma(x, paired(x * x, ERF), x)
    t = below(a, _ONE[x.dtype.itemsize])
    great = signed(1.0 - exp_near(paired(t, LOG_ERFC)), x)
    return where(a > _EDGE[x.dtype.itemsize], great, small)


def _quotient(x: Any, family: _Family) -> tuple[Any, Any, Any]:
    """(y, 1/z, off): exp(share x²) tail(x) = weight y / z (1 + off), for x >= 0."""
    k = family.k
    s = x / (x + family.c)
    r = paired(fma(s, 2.0, -1.0), family.table)
    y, z = fma(s, r, k), x + k
    inverse = 1.0 / z
    lost = x - (z - k)
    off = fma(-inverse, lost, fma(-inverse, z, 1.0))
    return y, inverse, fma(fma(s, r, k - y), 1 / k, off)  # y is nearly k


def _parts(x: Any, share: float, weight: float = 1.0) -> tuple[Any, Any, Any, Any]:
    """(a, b, p, lost) with weight exp(share x²) = a (1 + p + lost) b."""
    square = x * x
    low = fma(x, x, -square) * share
    return exp_of_sum(square * share, low, weight, left=share < 0.0)


def _short_tail(x: Any, family: _Short, times_x: bool) -> Any:
    """Of float32. What is added to 1 is gathered first: of all numbers from 1e-4 to 16 in size the
    error is below 2.34 units; as a quotient of two polynomials alone it would be twice that.
    """
    a, b, p = exp_of_square(x, -family.share, family.weight)
    top, bottom = (paired(x, table) for table in family.tables)
    q = x * top / bottom
    gx = x * family.g
    inverse = 1.0 / (gx + 1.0)
    off = fma(-inverse, gx, 1.0) - inverse
    more = fma(q, p, q + off) + p  # (1 + p) (1 + q) and what the division lost
    if not times_x:
        return fma(inverse, more, inverse) * a * b
    whole = x * inverse
    return (fma(whole, more, fma(x, inverse, -whole)) + whole) * a * b


def _tail(x: Any, families: tuple[_Short, _Family], times_x: bool = False) -> Any:
    """erfc x or Φ(−x), for x >= 0; or x times that."""
    short, family = families
    if not is_wide(x):
        return _short_tail(below(x, short.end), short, times_x)
    x = below(x, family.end)
    y, inverse, off = _quotient(x, family)
    a, b, p, more = _parts(x, -family.share, family.weight)
    if times_x:
        product = y * x
        whole = product * inverse
        lost = fma(fma(y, x, -product), inverse, fma(product, inverse, -whole))
    else:
        whole = y * inverse
        lost = fma(y, inverse, -whole)
    return (fma(whole, p, fma(whole, off + more, lost)) + whole) * a * b


def erfc(x: Any) -> Any:
    """1 − erf x, with all its digits where it is small."""
    y = _tail(size(x), _ERFC)
    return where(x < 0.0, 2.0 - y, y)


def ndtr(x: Any) -> Any:
    """The standard normal distribution function."""
    y = _tail(size(x), _NDTR)
    return where(x > 0.0, 1.0 - y, y)


def gelu(x: Any) -> Any:
    """x Φ(x)"""
    return where(x < 0.0, -0.0, x) - _tail(size(x), _NDTR, times_x=True)


# -- of a float32 computed in float64: seldom used, and short this way --------------------------


def widely(formula: Any) -> Any:
    """The formula for float64, used for float32 too."""

    def of_both(x: Any) -> Any:
        return formula(x) if is_wide(x) else narrow(formula(wide(x)))

    of_both.__doc__ = formula.__doc__
    return of_both


def _scaled(x: Any, low: Any = None) -> Any:
    """exp(x²) erfc x for x >= 0; `low` is what x lacks."""
    y, inverse, off = _quotient(below(x, 1e300), _ERFCX)
    if low is not None:
        off = fma(-inverse, low, off)
    whole = y * inverse
    y = fma(whole, off, fma(y, inverse, -whole)) + whole
    return where(x > 1e300, math.sqrt(1 / math.pi) / x, y)


def _scaled_half(x: Any) -> Any:
    """exp(x²/2) 2 Φ(−x) for x >= 0: `_scaled` of x √½, in two pieces."""
    high, low = _ROOT_HALF
    y = x * high
    return _scaled(y, fma(x, low, fma(x, high, -y)))


@widely
def scaled_erfc(x: Any) -> Any:
    """exp(x²) erfc x; left of 0 it is 2 exp(x²) less what it is on the right."""
    right = _scaled(size(x))
    a, b, p, _ = _parts(above(x, -27.0), 1.0, 2.0)
    return where(x < 0.0, fma(p, a, a) * b - right, right)


@widely
def log_ndtr(x: Any) -> Any:
    """log Φ(x): of the tail left of 0, of one less the tail right of it."""
    half_square = x * x * 0.5
    u = below(size(x), 1e160)  # the square is ∞ before
    left = log(_scaled_half(u) * 0.5) - half_square
    return where(x < 0.0, left, log1p(-_tail(above(x, 0.0), _NDTR)))


@widely
def mills(x: Any) -> Any:
    """The normal density over the normal distribution function."""
    u = size(x)
    a, b, p, lost = _parts(below(u, 39.6), -0.5)
    top, less = _DENSITY
    density = (fma(p, top, fma(lost, top, less)) + top) * a * b
    left = math.sqrt(2 / math.pi) / _scaled_half(u)
    right = density / (1.0 - _tail(u, _NDTR))
    return where(x < 0.0, where(u > 1e9, u, left), right)
