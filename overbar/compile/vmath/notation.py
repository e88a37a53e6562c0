"""The words that the formulas of this folder are written in.

A formula takes Scalars and gives a Scalar: operators, comparisons and these functions, straight on,
without a branch, so that LLVM can do the same to many numbers at once. Python numbers among the
arguments take the kind of the Scalar beside them. `is_wide` tells float64 from float32 where the
two need different formulas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

INFINITY = math.inf
NAN = math.nan
WHOLE = np.dtype(np.int64)
_INTS = {4: np.dtype(np.int32), 8: WHOLE}
DOUBLE = np.dtype(np.float64)
SINGLE = np.dtype(np.float32)


def is_wide(x: Any) -> bool:
    """Whether it is a float64."""
    return x.dtype.itemsize == 8


def const(value: float, like: Any) -> Any:
    """A number of the same kind."""
    return like.builder.constant(value, like)


def _scalars(*xs: Any) -> tuple[Any, ...]:
    like = next(x for x in xs if hasattr(x, "builder"))
    return tuple(x if hasattr(x, "builder") else const(x, like) for x in xs)


def fma(a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once."""
    a, b, c = _scalars(a, b, c)
    return a.builder.fused(a, b, c)


def where(condition: Any, x: Any, y: Any) -> Any:
    """x if the condition holds, else y."""
    x, y = _scalars(x, y)
    return x.builder.where(condition, x, y)


def below(x: Any, top: float) -> Any:
    """The lesser of x and a number; NaN stays."""
    return where(x > top, top, x)


def above(x: Any, bottom: float) -> Any:
    """The greater of x and a number; NaN stays."""
    return where(x < bottom, bottom, x)


def unordered(x: Any) -> Any:
    """Whether it is NaN."""
    return x.builder.isnan(x)


def size(x: Any) -> Any:
    """|x|"""
    return x.builder.intrinsic("fabs", x)


def signed(x: Any, sign: Any) -> Any:
    """The size of x with the sign of another."""
    return x.builder.intrinsic("copysign", x, sign)


def root(x: Any) -> Any:
    """√x"""
    return x.builder.intrinsic("sqrt", x)


def _terms(x: Any, coefficients: Mapping[int, Sequence[float]]) -> list[Any]:
    return [const(c, x) for c in coefficients[x.dtype.itemsize]]


def polynomial(x: Any, coefficients: Mapping[int, Sequence[float]]) -> Any:
    """c₀ + c₁ x + c₂ x² + ..., with the coefficients for its size, by Horner's rule: the fewest
    operations and the least rounding.
    """
    *rest, y = _terms(x, coefficients)
    while rest:
        y = fma(y, x, rest.pop())
    return y


def paired(x: Any, coefficients: Mapping[int, Sequence[float]]) -> Any:
    """The same by Estrin's rule, for long ones: neighbours in pairs, then pairs of pairs. What is
    needed next is there sooner, and the processor waits less: erf of float64 is a third faster.
    """
    terms = _terms(x, coefficients)
    while len(terms) > 1:
        last = terms[-1:] if len(terms) % 2 else []
        terms = [fma(terms[i + 1], x, terms[i]) for i in range(0, len(terms) - 1, 2)] + last
        x = x * x
    return terms[0]


# -- between the two sizes, and between numbers and their bits ----------------------------------


def wide(x: Any) -> Any:
    """As float64, exactly."""
    return x.builder.cast(x, DOUBLE)


def narrow(x: Any) -> Any:
    """As float32, rounded."""
    return x.builder.cast(x, SINGLE)


def bits(x: Any) -> Any:
    """The bits of a floating number, as a signed whole number."""
    to = _INTS[x.dtype.itemsize]
    return x.builder.make(f"bitcast {x.type} {x.name} to i{8 * to.itemsize}", to)


def number(i: Any) -> Any:
    """The floating number that has these bits."""
    to = DOUBLE if i.dtype.itemsize == 8 else SINGLE
    kind = "double" if to is DOUBLE else "float"
    return i.builder.make(f"bitcast {i.type} {i.name} to {kind}", to)


def shift_right(i: Any, n: int) -> Any:
    """The bits moved down, zeros moving in."""
    return i.builder.make(f"lshr {i.type} {i.name}, {n}", i.dtype)


class Format:
    """How a kind of floating number is made of bits."""

    def __init__(self, mantissa: int, bias: int) -> None:
        self.bits = 32 if mantissa == 23 else 64
        self.mantissa = mantissa  # bits after the point
        self.bias = bias  # the stored exponent of 1.0
        self.fraction = (1 << mantissa) - 1  # a mask
        self.one = bias << mantissa  # the bits of 1.0
        self.whole = 1.5 * 2.0**mantissa  # added, it rounds to a whole number in the low bits
        self.least = 2.0 ** (1 - bias)  # the least normal number
        self.epsilon = 2.0**-mantissa  # from 1.0 to the next


FORMATS = {4: Format(23, 127), 8: Format(52, 1023)}


def format_of(x: Any) -> Format:
    """How it is made of bits."""
    return FORMATS[x.dtype.itemsize]


def nearest(x: Any, scale: float = 1.0, offset: int = 0) -> tuple[Any, Any]:
    """(z, n): n is the whole number next to scale x, as a floating number; the low bits of z hold
    n + offset. For |scale x| below 2²² (2⁵¹ for float64).
    """
    whole = format_of(x).whole + offset
    z = x + whole if scale == 1.0 else fma(x, scale, whole)
    return z, z - whole
