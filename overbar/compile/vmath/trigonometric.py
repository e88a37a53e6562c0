"""sin, cos and tan.

x = n π/2 + r with |r| <= π/4, and the value is ± sin r or ± cos r by the last two bits of n. r has
all its digits also next to a multiple of π/2: π/2 is in three pieces, and what is subtracted first
leaves no rounding. From 2⁴⁰ (float32: 2³⁰) on that ends, and `turns` takes over.
"""

from __future__ import annotations

import math
from typing import Any

from .coefficients import COS, SIN
from .notation import (
    bits,
    fma,
    format_of,
    is_wide,
    narrow,
    nearest,
    number,
    polynomial,
    size,
    where,
    wide,
)
from .rare import mended
from .turns import reduced

_HALF_PI = tuple(
    map(float.fromhex, ("0x1.921fb54442d18p+0", "0x1.1a62633145c07p-54", "-0x1.f1976b7ed8fbcp-110"))
)
_FAR = {4: 2.0**30, 8: 2.0**40}


def _reduced(x: Any) -> tuple[Any, Any, Any]:
    """(q, r, low): the last bits of n, as a whole number of x's size; r, and what r lacks where
    it is not small.
    """
    t = x if is_wide(x) else wide(x)
    z, n = nearest(t, 2 / math.pi)
    first = fma(n, -_HALF_PI[0], t)  # exact
    r = fma(n, -_HALF_PI[1], first)
    if not is_wide(x):
        short = narrow(r)
        return x.builder.cast(bits(z), bits(x).dtype), short, narrow(r - wide(short))
    r = fma(n, -_HALF_PI[2], r)
    low = fma(n, -_HALF_PI[1], first - r)  # exact, if r is about as great as the first
    return bits(z), r, where(size(r) > 0.0625, low, 0.0)


def sin_cos(r: Any) -> tuple[Any, Any]:
    """sin r and cos r for |r| <= π/4."""
    z = r * r
    return fma(r * z, polynomial(z, SIN), r), fma(z, fma(z, polynomial(z, COS), -0.5), 1.0)


def _sin_of(q: Any, r: Any, _low: Any) -> Any:
    """± sin r or ± cos r, by the last two bits of q."""
    sine, cosine = sin_cos(r)
    y = where((q & 1) != 0, cosine, sine)
    return number(bits(y) ^ ((q & 2) << (format_of(y).bits - 2)))


def _tan_of(q: Any, r: Any, low: Any) -> Any:
    """sin/cos or −cos/sin; what the two lost to rounding goes into the quotient's remainder."""
    z = r * r
    s = fma(r * z, polynomial(z, SIN), low)
    c = fma(z, fma(z, polynomial(z, COS), -0.5), -(r * low))
    sine, cosine = r + s, c + 1.0
    odd = (q & 1) != 0
    above, below = where(odd, -cosine, sine), where(odd, sine, cosine)
    s, c = (r - sine) + s, (1.0 - cosine) + c
    lost_above, lost_below = where(odd, -c, s), where(odd, s, c)
    inverse = 1.0 / below
    y = above * inverse
    rest = fma(-y, below, above) + fma(-y, lost_below, lost_above)
    return fma(rest, inverse, y)


_SIN, _COS, _TAN = 0, 1, 2


def _of_far(x: Any, which: Any) -> Any:
    q, r, low = reduced(x)
    turned = _sin_of(q + x.builder.cast(which, q.dtype), r, low)
    return where(which == _TAN, _tan_of(q, r, low), turned)


def _far(x: Any, y: Any, which: int) -> Any:
    return mended((x,), y, "far", which, _FAR[x.dtype.itemsize], _of_far)


def sin(x: Any) -> Any:
    """The sine."""
    y = _sin_of(*_reduced(x))
    return _far(x, where(x == 0.0, x, y), _SIN)  # −0 was lost in the sum


def cos(x: Any) -> Any:
    """The cosine: the sine a quarter of a turn further."""
    q, r, low = _reduced(x)
    return _far(x, _sin_of(q + 1, r, low), _COS)


def tan(x: Any) -> Any:
    """The tangent."""
    y = _tan_of(*_reduced(x))
    return _far(x, where(x == 0.0, x, y), _TAN)
