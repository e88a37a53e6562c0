"""The logistic function σ(x) = 1 / (1 + e⁻ˣ), x times it, and log(1 + eˣ).

All go by e^−|x|, which cannot overflow.
"""

from __future__ import annotations

from typing import Any

from .coefficients import ATANH_UNIT, LOG1P
from .exponential import exp_left, exp_of_sum, exp_parts
from .notation import above, below, fma, is_wide, paired, polynomial, size, where

# √(8/π) and 0.044715 times it, in two pieces
_GELU = {
    4: ((float.fromhex("0x1.988454p+0"), float.fromhex("-0x1.857936p-25")),
        (float.fromhex("0x1.2444f2p-4"), float.fromhex("0x1.49b16ap-29"))),
    8: ((float.fromhex("0x1.9884533d43651p+0"), float.fromhex("-0x1.cbc0d30ebfd15p-54")),
        (float.fromhex("0x1.2444f2a4d8b4bp-4"), float.fromhex("-0x1.6c843a29d1c70p-61"))),
}  # fmt: skip
_FLAT = {4: 12.0, 8: 24.0}  # beyond, σ is 0 or 1 in x σ(√(8/π) (x + 0.044715 x³))


def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ)"""
    e = exp_left(-size(x))
    more = e + 1.0
    y = where(x < 0.0, e, 1.0) / more
    # Of float32 all numbers were tried: the error is 2.41 units as it is.
    return fma(y, (more - 1.0) - e, y) if is_wide(x) else y


def _gated(x: Any, u: Any, low: Any = None) -> Any:
    """x σ(u), for an u (and what it lacks) with the sign of x."""
    left = u < 0.0
    if low is None:
        a, b, p = exp_parts(-size(u), left=True)
    else:
        a, b, p, _ = exp_of_sum(-size(u), where(left, low, -low), left=True)
    e = fma(p, a, a) * b
    share, more = x * a, e + 1.0
    y = where(left, fma(p, share, share) * b, x) / more
    return fma(where(left, y, -0.0), (more - 1.0) - e, y)  # what the sum e + 1 lost


def silu(x: Any) -> Any:
    """x σ(x)"""
    return _gated(above(x, -800.0), x)


def gelu_tanh(x: Any) -> Any:
    """x σ(√(8/π) (x + 0.044715 x³)); the argument in two pieces, the tail blows up its rounding."""
    (first, first_low), (third, third_low) = _GELU[x.dtype.itemsize]
    end = _FLAT[x.dtype.itemsize]
    t = above(below(x, end), -end)
    square = t * t
    square_low = fma(t, t, -square)
    term = square * third
    term_low = fma(square, third, -term) + fma(square, third_low, square_low * third)
    y = term + first
    part = y - term  # y = term + first, and what that sum lost
    low = (term - (y - part)) + (first - part) + (term_low + first_low)
    u = t * y
    return _gated(above(x, -end), u, fma(t, y, -u) + t * low)


# -- log(1 + eˣ) --------------------------------------------------------------------------------


def _log1p(x: Any) -> Any:
    """log(1 + x) for 0 <= x <= 1."""
    if not is_wide(x):
        return fma(x * x, polynomial(x, LOG1P), x)
    half = x * x * 0.5
    s = x / (x + 2.0)
    z = s * s
    return x - fma(-s, fma(z, paired(z, ATANH_UNIT), half), half)


def softplus(x: Any) -> Any:
    """log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|)"""
    return above(x, 0.0) + _log1p(exp_left(-size(x)))


def log_sigmoid(x: Any) -> Any:
    """−log(1 + e⁻ˣ)"""
    return below(x, 0.0) - _log1p(exp_left(-size(x)))


def logaddexp(x: Any, y: Any) -> Any:
    """log(eˣ + eʸ) = max(x, y) + log(1 + e^−|x − y|)"""
    gap = where(x == y, 0.0, x - y)  # not ∞ − ∞
    return where(x > y, x, y) + _log1p(exp_left(-size(gap)))
