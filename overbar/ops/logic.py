"""Comparisons, logic, rounding, bits: flat, and said to be flat."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .. import handle as handles
from ..apply import apply
from ..elementwise import elementwise
from ..handle import Tensor
from ..primitive import FLAT, Primitive, public
from ..spec import Spec, spec


def _flat(name: str, forward: str, text: str, arity: int, doc: str, **facts: Any) -> Any:
    return elementwise(
        name, forward=forward, text=text, arity=arity, doc=doc, partials=FLAT, **facts
    )


equal = _flat(
    "equal",
    "equal",
    "[{0} = {1}]",
    2,
    "Whether a = b.",
    complex=True,
    native=lambda b, x, y: x == y,
)
not_equal = _flat(
    "not_equal",
    "not_equal",
    "[{0} ≠ {1}]",
    2,
    "Whether a ≠ b.",
    complex=True,
    native=lambda b, x, y: x != y,
)
less = _flat(
    "less",
    "less",
    "[{0} < {1}]",
    2,
    "Whether a < b.",
    native=lambda b, x, y: x < y,
)
less_equal = _flat(
    "less_equal",
    "less_equal",
    "[{0} ≤ {1}]",
    2,
    "Whether a ≤ b.",
    native=lambda b, x, y: x <= y,
)
greater = _flat(
    "greater",
    "greater",
    "[{0} > {1}]",
    2,
    "Whether a > b.",
    native=lambda b, x, y: x > y,
)
greater_equal = _flat(
    "greater_equal",
    "greater_equal",
    "[{0} ≥ {1}]",
    2,
    "Whether a ≥ b.",
    native=lambda b, x, y: x >= y,
)

logical_and = _flat(
    "logical_and",
    "logical_and",
    "{0} ∧ {1}",
    2,
    "Whether both hold.",
    native=lambda b, x, y: (x != 0) & (y != 0),
)
logical_or = _flat(
    "logical_or",
    "logical_or",
    "{0} ∨ {1}",
    2,
    "Whether one holds.",
    native=lambda b, x, y: (x != 0) | (y != 0),
)
logical_xor = _flat(
    "logical_xor",
    "logical_xor",
    "{0} ⊕ {1}",
    2,
    "Whether exactly one holds.",
    native=lambda b, x, y: (x != 0) ^ (y != 0),
)
logical_not = _flat(
    "logical_not",
    "logical_not",
    "¬{0}",
    1,
    "Whether it does not hold.",
    native=lambda b, x: x == 0,
)

isfinite = _flat(
    "isfinite",
    "isfinite",
    "finite({0})",
    1,
    "Whether neither infinite nor NaN.",
    complex=True,
    native=lambda b, x: b.abs(x) < math.inf if x.floating else b.constant(True, np.bool_),
)
isinf = _flat(
    "isinf",
    "isinf",
    "infinite({0})",
    1,
    "Whether infinite.",
    complex=True,
    native=lambda b, x: b.abs(x) == math.inf if x.floating else b.constant(False, np.bool_),
)
isnan = _flat(
    "isnan",
    "isnan",
    "nan({0})",
    1,
    "Whether NaN.",
    complex=True,
    native=lambda b, x: b.isnan(x),
)
signbit = _flat(
    "signbit",
    "signbit",
    "negative({0})",
    1,
    "Whether the sign bit is set.",
    native=lambda b, x: (b.intrinsic("copysign", b.constant(1, x), x) if x.floating else x) < 0,
)

floor = _flat(
    "floor",
    "floor",
    "⌊{0}⌋",
    1,
    "The greatest whole number not above x.",
    native=lambda b, x: b.intrinsic("floor", x) if x.floating else x,
)
ceil = _flat(
    "ceil",
    "ceil",
    "⌈{0}⌉",
    1,
    "The least whole number not below x.",
    native=lambda b, x: b.intrinsic("ceil", x) if x.floating else x,
)
trunc = _flat(
    "trunc",
    "trunc",
    "trunc({0})",
    1,
    "x without its fraction.",
    native=lambda b, x: b.intrinsic("trunc", x) if x.floating else x,
)
sign = _flat(
    "sign",
    "sign",
    "sign({0})",
    1,
    "−1, 0 or 1.",
    namespace=None,
    native=lambda b, x: (
        b.where(x > 0, b.constant(1, x), b.where(x < 0, b.constant(-1, x), b.where(x == 0, 0, x)))
        if x.dtype.kind in "fi"
        else b.where(x != 0, b.constant(1, x), 0)
    ),
)


_EXACT = 22
"""The greatest power of ten that a float64 holds."""


def _rounded(b: Any, x: Any, *, decimals: int) -> Any:
    if not x.floating:
        return x
    scale = b.constant(10.0 ** abs(decimals), x)
    if not decimals:
        return b.intrinsic("rint", x)
    if decimals < 0:
        return b.intrinsic("rint", x / scale) * scale
    return b.intrinsic("rint", x * scale) / scale


round_ = elementwise(
    "round", namespace=None, forward=lambda xp, x, *, decimals: xp.round(x, decimals),
    partials=FLAT, text=lambda x, decimals: f"round({x}{f', {decimals}' * bool(decimals)})",
    complex=True, samples=lambda r: [((r(3, 2),), {"decimals": d}) for d in (0, 1)],
    native=_rounded,
    declines=lambda node: abs(node.params["decimals"]) > _EXACT
    or (node.params["decimals"] < 0 and node.spec.dtype.kind != "f"),
    doc="The nearest number with so many decimals; halves to even.",
)  # fmt: skip
floor_divide = elementwise(
    "floor_divide", arity=2, forward="floor_divide", partials=FLAT, text="⌊{0} / {1}⌋",
    tex=r"\lfloor {0} / {1} \rfloor", domain=((-2.0, 2.0), (0.5, 2.0)),
    doc="The greatest whole number not above a / b.", native=lambda b, x, y: x // y,
)  # fmt: skip


@public
def round(x: Any, /, decimals: int = 0) -> Tensor:
    """x rounded to so many decimals, halves to even; nothing flows back through it.

    Example:
        >>> ob.round([0.5, 1.5, -1.7])
        Tensor([ 0.,  2., -2.], float64)
    """
    return apply(round_, (x,), {"decimals": operator.index(decimals)})


# -- bits -------------------------------------------------------------------------------------


def _bits(name: str, forward: str, text: str, arity: int, doc: str, **facts: Any) -> Any:
    def samples(r: Any) -> list[Any]:
        few = [(np.abs(r(3, 2)) * k).astype(np.int64) for k in (9, 3)]
        return [(tuple(few[:arity]), {})]

    return _flat(name, forward, text, arity, doc, samples=samples, **facts)


bitwise_and = _bits(
    "bitwise_and",
    "bitwise_and",
    "{0} & {1}",
    2,
    "The bits that both have.",
    native=lambda b, x, y: x & y,
)
bitwise_or = _bits(
    "bitwise_or",
    "bitwise_or",
    "{0} | {1}",
    2,
    "The bits that one has.",
    native=lambda b, x, y: x | y,
)
bitwise_xor = _bits(
    "bitwise_xor",
    "bitwise_xor",
    "{0} ^ {1}",
    2,
    "The bits that just one has.",
    native=lambda b, x, y: x ^ y,
)
bitwise_invert = _bits(
    "bitwise_invert",
    "bitwise_not",
    "~{0}",
    1,
    "The bits it has not.",
    native=lambda b, x: ~x,
)


def _shifted(b: Any, x: Any, y: Any, up: bool) -> Any:
    """By more bits than there are nothing is left, but the sign."""
    most = 8 * x.dtype.itemsize - 1
    inside = b.cast(y, f"u{y.dtype.name.removeprefix('u')}") <= most
    if up or x.dtype.kind == "u":
        return b.where(inside, x << y if up else x >> y, 0)
    return x >> b.where(inside, y, most)


bitwise_left_shift = _bits(
    "bitwise_left_shift", "left_shift", "{0} << {1}", 2, "The bits moved up.",
    native=lambda b, x, y: _shifted(b, x, y, True),
)  # fmt: skip
bitwise_right_shift = _bits(
    "bitwise_right_shift", "right_shift", "{0} >> {1}", 2, "The bits moved down.",
    native=lambda b, x, y: _shifted(b, x, y, False),
)  # fmt: skip


stop_gradient_ = Primitive(
    "stop_gradient",
    numbers=True,
    forward=lambda xp, x: x,
    shape=lambda x: x,
    vjp=FLAT,
    jvp=FLAT,
    batch=lambda n, mapped, x: stop_gradient_(x),
    text="stop({0})",
    tex=r"\operatorname{{stop}}({0})",
    samples=lambda r: [((r(3, 2),), {})],
    complex=True,
    doc="x, with nothing flowing back through it.",
    native=lambda b, x: x,
)


@public
def stop_gradient(x: Any, /) -> Tensor:
    """x itself, with nothing flowing back through it.

    Example:
        >>> float(ob.grad(lambda x: x * ob.stop_gradient(x))(3.0))
        3.0
    """
    return apply(stop_gradient_, (x,))


handles.stop = stop_gradient


def zeros_of(of: Spec) -> np.ndarray:
    """Zeros of this Spec, as a raw array."""
    return np.zeros(of.shape, of.dtype)


def bool_spec(x: Spec) -> Spec:
    """The Spec of a condition on x."""
    return spec(x.shape, np.dtype(bool))
