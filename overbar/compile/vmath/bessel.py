"""Bessel functions of the first kind of orders 0 and 1, and the modified ones.

Near 0 a polynomial in x², times the factors of the zeros; far out eˣ/√x, or a wave whose height and
phase are polynomials in 1/x². Of float32 it is done in float64.

Source:  Abramowitz and Stegun (1964), 9.2.5, 9.2.9 and 9.7.1.
"""

from __future__ import annotations

import math
from typing import Any

from . import coefficients as c
from .error import widely
from .exponential import exp
from .notation import INFINITY, NAN, above, below, paired, polynomial, root, signed, size, where
from .trigonometric import cos, sin

_FAR_I, _FAR_J = 7.75, 8.0
_ZEROS = {  # in two pieces
    0: (
        (float.fromhex("0x1.33d152e971b40p+1"), float.fromhex("-0x1.0f539d7da258ep-53")),
        (float.fromhex("0x1.6148f5b2c2e45p+2"), float.fromhex("0x1.75054cd60a517p-54")),
    ),
    1: (
        (float.fromhex("0x1.ea75575af6f09p+1"), float.fromhex("-0x1.60155a9d1b256p-53")),
        (float.fromhex("0x1.c0ff5f3b47250p+2"), float.fromhex("-0x1.b226d9d243827p-54")),
    ),
}


def _far_i(a: Any, table: Any) -> Any:
    """eˣ/√x in halves, for eˣ may be too great."""
    u = 1.0 / above(a, _FAR_I)
    half = exp(below(a, 1500.0) * 0.5)
    y = half * (paired(u - 0.0625, table) * root(u)) * half
    return where(a == INFINITY, NAN, y)  # as SciPy has it


@widely
def i0(x: Any) -> Any:
    """I₀"""
    a = size(x)
    t = below(a, _FAR_I)
    t = t * t * 0.25
    near = 1.0 + t * polynomial(t, c.BESSEL_I0)
    return where(a <= _FAR_I, near, _far_i(a, c.BESSEL_I0_FAR))


@widely
def i1(x: Any) -> Any:
    """I₁"""
    a = size(x)
    t = below(a, _FAR_I)
    t = t * t * 0.25
    near = a * 0.5 + a * 0.5 * (t * polynomial(t, c.BESSEL_I1))
    return signed(where(a <= _FAR_I, near, _far_i(a, c.BESSEL_I1_FAR)), x)


def _near_j(a: Any, n: int, table: Any) -> Any:
    t = below(a, _FAR_J)
    y = paired(t * t - 32.0, table)
    for high, low in _ZEROS[n]:
        y = y * (((t - high) - low) * (t + high))
    return y


def _far_j(a: Any, n: int, p: Any, q: Any) -> Any:
    """cos(x − π/4) is (cos x + sin x) √½, and so on: √½ has gone into the root."""
    u = 1.0 / above(a, _FAR_J)
    w = u * u
    sine, cosine = sin(a), cos(a)
    plus, minus = cosine + sine, sine - cosine
    along, across = (plus, minus) if n == 0 else (minus, -plus)
    return (paired(w, p) * along - u * paired(w, q) * across) * root(u * (1 / math.pi))


@widely
def j0(x: Any) -> Any:
    """J₀"""
    a = size(x)
    far = _far_j(a, 0, c.BESSEL_P0, c.BESSEL_Q0)
    y = where(a <= _FAR_J, _near_j(a, 0, c.BESSEL_J0), far)
    return where(a < 1e-8, 1.0, y)


@widely
def j1(x: Any) -> Any:
    """J₁"""
    a = size(x)
    far = _far_j(a, 1, c.BESSEL_P1, c.BESSEL_Q1)
    near = _near_j(a, 1, c.BESSEL_J1) * a
    y = where(a <= _FAR_J, near, far)
    return where(x < 0.0, -y, where(x == 0.0, x, y))
