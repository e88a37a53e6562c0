"""Logarithms.

x = 2ᵉ (1 + f) with e whole and √½ <= 1 + f < √2, read off the bits, so log x = e log 2 + log(1 + f)
with a polynomial for the last. log(1 + x) takes the same e, and finds f without rounding 1 + x.
"""

from __future__ import annotations

from typing import Any

from .coefficients import ATANH, LOG
from .exponential import LOG_2
from .notation import (
    INFINITY,
    NAN,
    bits,
    fma,
    format_of,
    is_wide,
    number,
    paired,
    polynomial,
    shift_right,
    size,
    unordered,
    where,
)

_ROOT_HALF = {4: 0x3F3504F3, 8: 0x3FE6A09E667F3BCD}  # its bits
_LOG2_E = {  # 1 / log 2 in two pieces
    4: (float.fromhex("0x1.715476p+0"), float.fromhex("0x1.4ae0c0p-26")),
    8: (float.fromhex("0x1.71547652b82fep+0"), float.fromhex("0x1.777d0ffda0d24p-56")),
}
_LOG10_E = {  # 1 / log 10
    4: (float.fromhex("0x1.bcb7b2p-2"), float.fromhex("-0x1.5b235ep-27")),
    8: (float.fromhex("0x1.bcb7b1526e50ep-2"), float.fromhex("0x1.95355baaafad3p-57")),
}
_LOG10_2 = {  # log 2 / log 10
    4: (float.fromhex("0x1.344136p-2"), float.fromhex("-0x1.ec10cp-27")),
    8: (float.fromhex("0x1.34413509f79ffp-2"), float.fromhex("-0x1.9dc1da994fd21p-59")),
}


def split(x: Any) -> tuple[Any, Any]:
    """(e, f) with x = 2ᵉ (1 + f), for x from the least normal number upwards."""
    form, offset = format_of(x), _ROOT_HALF[x.dtype.itemsize]
    i = bits(x) + (form.one - offset)  # the stored exponent is now that of 1 + f >= √½
    e = number(shift_right(i, form.mantissa) | (form.mantissa + form.bias << form.mantissa))
    f = number((i & form.fraction) + offset) - 1.0
    return e - (2.0**form.mantissa + form.bias), f


def tail(f: Any) -> Any:
    """log(1 + f) − f for √½ <= 1 + f <= √2; at most a fifth of f."""
    if not is_wide(f):
        square = f * f
        return fma(square, -0.5, paired(f, LOG) * f * square)
    half = f * f * 0.5  # a division costs less than twelve more coefficients
    s = f / (f + 2.0)
    z = s * s
    return fma(s, fma(z, polynomial(z, ATANH), half), -half)


def _edges(y: Any, x: Any, zero: float = 0.0) -> Any:
    """y, but −∞ where x is at the edge of its domain, NaN left of it, ∞ for ∞."""
    y = where(x == INFINITY, INFINITY, y)
    y = where(x == zero, -INFINITY, y)
    return where(unordered(x) | (x < zero), NAN, y)


def normal(x: Any) -> tuple[Any, Any]:
    """`split` for numbers from the least denormal one upwards."""
    form = format_of(x)
    low, up = x < form.least, form.mantissa + 1
    e, f = split(where(low, x * 2.0**up, x))
    return where(low, e - float(up), e), f


def log_parts(x: Any) -> tuple[Any, Any, Any]:
    """(e, f, t) with log x = e log 2 + (f + t), |t| a fifth of |f|."""
    e, f = normal(x)
    return e, f, tail(f)


def log(x: Any) -> Any:
    """The natural logarithm."""
    high, low = LOG_2[x.dtype.itemsize]
    e, f, t = log_parts(x)
    return _edges(fma(e, high, f + fma(e, low, t)), x)


def _scaled(f: Any, t: Any, pieces: tuple[float, float]) -> tuple[Any, Any]:
    """(f + t) times a number in two pieces, as a sum of two."""
    high, low = pieces
    y = f * high
    return y, fma(t, high, fma(f, low, fma(f, high, -y)))


def log2(x: Any) -> Any:
    """The logarithm to the base 2; exact for powers of 2."""
    e, f, t = log_parts(x)
    y, low = _scaled(f, t, _LOG2_E[x.dtype.itemsize])
    return _edges(e + (y + low), x)


def log10(x: Any) -> Any:
    """The logarithm to the base 10."""
    e, f, t = log_parts(x)
    high, low = _LOG10_2[x.dtype.itemsize]
    y, rest = _scaled(f, t, _LOG10_E[x.dtype.itemsize])
    return _edges(fma(e, high, y + fma(e, low, rest)), x)


def split_next(x: Any) -> tuple[Any, Any, Any]:
    """(e, f, k) with 1 + x = 2ᵉ (1 + f), k = 2⁻ᵉ: f = k x + (k − 1) is rounded once."""
    form, offset = format_of(x), _ROOT_HALF[x.dtype.itemsize]
    i = bits(x + 1.0) - offset
    e = i >> form.mantissa
    k = number((form.one + (2 << form.mantissa)) - (e << form.mantissa))  # 4 · 2⁻ᵉ, always normal
    f = fma(x * 0.25, k, fma(k, 0.25, -1.0))
    return x.builder.cast(e, x.dtype), f, k * 0.25


def log1p(x: Any) -> Any:
    """log(1 + x)"""
    high, low = LOG_2[x.dtype.itemsize]
    e, f, _ = split_next(x)
    y = fma(e, high, f + fma(e, low, tail(f)))
    y = where(size(x) < format_of(x).epsilon, x, y)  # −0, and what loses bits as x/4
    return _edges(y, x, -1.0)
