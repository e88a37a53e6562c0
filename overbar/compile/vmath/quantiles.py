"""The inverses of the error function and of the normal distribution.

In the middle erf⁻¹ x is x times a polynomial in −log(1 − x²). In the tails what is left,
q = 1 − |x|, is what is known exactly, and the inverse is little else than s = √(−log q): a
polynomial in s / (s + c) mends the rest. Of float32 it is done in float64.

Source:  Giles (2010), Approximating the erfinv function, for the variable in the middle.
"""

from __future__ import annotations

from typing import Any

from .coefficients import ERFINV, ERFINV_END, ERFINV_TAIL
from .error import widely
from .logarithm import log
from .notation import INFINITY, below, fma, paired, root, signed, size, where

_LEAST = 0.0034  # the q up to which it is a tail
_ROOT_TWO = (float.fromhex("0x1.6a09e667f3bcdp+0"), float.fromhex("-0x1.bdd3413b26456p-54"))


def _parts(q: Any) -> tuple[Any, Any, Any]:
    """(tail, f, y): whether it is one; erf⁻¹ x = x f in the middle, erfc⁻¹ q = y in the tail."""
    tail = q < _LEAST
    w = -log(where(tail, q, q * (2.0 - q)))
    f = paired(below(w, 5.0) - 2.5, ERFINV)
    s = root(where(tail, w, 6.0))
    far = s > 6.0
    near = paired(s / (s + 2.0) - 0.65, ERFINV_TAIL)
    end = paired(s / (s + 8.0) - 0.6, ERFINV_END)
    y = where(q == 0.0, INFINITY, s + where(far, end, near))
    return tail, f, y


@widely
def erfinv(x: Any) -> Any:
    """The y for which erf y = x."""
    tail, f, y = _parts(1.0 - size(x))
    return where(tail, signed(y, x), x * f)


@widely
def ndtri(p: Any) -> Any:
    """The z for which Φ(z) = p."""
    q = 2.0 * where(p < 0.5, p, 1.0 - p)
    tail, f, y = _parts(q)
    x = p * 2.0 - 1.0
    y = where(tail, signed(y, x), x * f)
    return where(size(y) == INFINITY, y, fma(y, _ROOT_TWO[0], y * _ROOT_TWO[1]))
