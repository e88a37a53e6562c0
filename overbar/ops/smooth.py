"""Powers, exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from typing import Any

from ..apply import apply
from ..elementwise import elementwise
from ..handle import Tensor, as_tensor
from ..primitive import public
from .arithmetic import maximum_, multiply, square, where
from .logic import equal, isinf, logical_and

_LOG_2 = math.log(2)

exp = elementwise(
    "exp", forward="exp", text="exp {0}", tex="e^{{{0}}}", complex=True,
    partials=(lambda y, _x: y,), native=lambda b, x: b.call("exp", x),
    doc="e to the power x.",
)  # fmt: skip
log = elementwise(
    "log", forward="log", text="log {0}", tex=r"\log {0}", complex=True, domain=(0.2, 3.0),
    partials=(lambda _y, x: 1 / x,), native=lambda b, x: b.call("log", x),
    doc="The natural logarithm of x.",
)  # fmt: skip
sqrt = elementwise(
    "sqrt", forward="sqrt", text="√{0}", tex=r"\sqrt{{{0}}}", complex=True, domain=(0.2, 3.0),
    partials=(lambda y, _x: 0.5 / y,), native=lambda b, x: b.intrinsic("sqrt", x),
    doc="The square root of x; its derivative at 0 is infinite.",
)  # fmt: skip
sin = elementwise(
    "sin", forward="sin", text="sin {0}", tex=r"\sin {0}", complex=True,
    partials=(lambda _y, x: cos(x),), native=lambda b, x: b.call("sin", x),
    doc="The sine of x radians.",
)  # fmt: skip
cos = elementwise(
    "cos", forward="cos", text="cos {0}", tex=r"\cos {0}", complex=True,
    partials=(lambda _y, x: -sin(x),), native=lambda b, x: b.call("cos", x),
    doc="The cosine of x radians.",
)  # fmt: skip


def _one_minus_square(y: Any) -> Any:
    """1 − y², without the cancellation near |y| = 1."""
    return (1 - y) * (1 + y)


tanh = elementwise(
    "tanh", forward="tanh", text="tanh {0}", tex=r"\tanh {0}", complex=True,
    partials=(lambda y, _x: 1 - y * y,), native=lambda b, x: b.call("tanh", x),
    doc="The hyperbolic tangent of x.",
)  # fmt: skip


# The derivatives of tanh and sigmoid are read off their output, so that x need not be kept: where
# they are flat to the last digit, so is the derivative, to 1e-16 absolutely.


def logistic(xp: Any, x: Any) -> Any:
    """1 / (1 + e^−x) by way of e^−|x|, which cannot overflow."""
    small = xp.exp(-xp.fabs(x))
    return xp.where(x >= 0, 1, small) / (1 + small)


sigmoid = elementwise(
    "sigmoid", forward=logistic, text="σ({0})", tex=r"\sigma({0})",
    partials=(lambda y, _x: y * (1 - y),), native=lambda b, x: b.call("sigmoid", x),
    doc="The logistic function 1 / (1 + exp(−x)).",
)  # fmt: skip
expit = elementwise(
    "expit", namespace="special", forward=logistic, text="σ({0})", tex=r"\sigma({0})",
    partials=(lambda y, x: y * expit(-x),),
    native=lambda b, x: b.call("sigmoid", x),
    doc="The logistic function 1 / (1 + exp(−x)), with derivatives exact far into both tails.",
)  # fmt: skip

# -- more exponentials and logarithms ---------------------------------------------------------

expm1 = elementwise(
    "expm1", forward="expm1", text="(exp {0} − 1)", tex=r"(e^{{{0}}} - 1)", complex=True,
    partials=(lambda _y, x: exp(x),), native=lambda b, x: b.call("expm1", x),
    doc="exp(x) − 1, with all its digits near 0.",
)  # fmt: skip
log1p = elementwise(
    "log1p", forward="log1p", text="log(1 + {0})", tex=r"\log(1 + {0})", complex=True,
    domain=(-0.8, 3.0), partials=(lambda _y, x: 1 / (1 + x),),
    native=lambda b, x: b.call("log1p", x),
    doc="log(1 + x), with all its digits near 0.",
)  # fmt: skip
exp2 = elementwise(
    "exp2", forward="exp2", text="2^{0}", tex="2^{{{0}}}", partials=(lambda y, _x: y * _LOG_2,),
    native=lambda b, x: b.call("exp2", x),
    doc="2 to the power x.",
)  # fmt: skip
log2 = elementwise(
    "log2", forward="log2", text="log₂ {0}", tex=r"\log_2 {0}", complex=True, domain=(0.2, 3.0),
    partials=(lambda _y, x: (1 / _LOG_2) / x,), native=lambda b, x: b.call("log2", x),
    doc="The logarithm of x to the base 2.",
)  # fmt: skip
log10 = elementwise(
    "log10", forward="log10", text="log₁₀ {0}", tex=r"\log_{{10}} {0}", complex=True,
    domain=(0.2, 3.0), partials=(lambda _y, x: (1 / math.log(10)) / x,),
    native=lambda b, x: b.call("log10", x),
    doc="The logarithm of x to the base 10.",
)  # fmt: skip
cbrt = elementwise(
    "cbrt", forward="cbrt", text="∛{0}", tex=r"\sqrt[3]{{{0}}}", domain=(0.2, 3.0),
    partials=(lambda y, _x: (1 / 3) / (y * y),), native=lambda b, x: b.call("cbrt", x),
    doc="The cube root of x; its derivative at 0 is infinite.",
)  # fmt: skip


def _share(x: Any, y: Any) -> Any:
    """eˣ / (eˣ + eʸ), and 0 where both are −∞."""
    alike = logical_and(equal(x, y), isinf(x))  # ∞ − ∞
    share = expit(where(alike, 0.0, x - y))
    return where(equal(maximum_(x, y, kink=0.5), -math.inf), 0.0, share)


logaddexp = elementwise(
    "logaddexp", arity=2, forward="logaddexp", text="log(exp {0} + exp {1})",
    tex=r"\log(e^{{{0}}} + e^{{{1}}})",
    partials=(lambda _z, x, y: _share(x, y), lambda _z, x, y: _share(y, x)),
    native=lambda b, x, y: b.call("logaddexp", x, y),
    doc="log(exp a + exp b), without overflow.",
)  # fmt: skip

# -- circles and hyperbolas -------------------------------------------------------------------


def _root_one_minus_square(x: Any) -> Any:
    """√(1 − x²), without cancellation, and on the right branch for complex x."""
    return sqrt(1 - x) * sqrt(1 + x)


def _root_one_plus_square(x: Any) -> Any:
    """√(1 + x²), without overflow, and on the right branch for complex x."""
    return _root_one_minus_square(x * 1j) if x.dtype.kind == "c" else hypot(x, 1.0)


def _one_plus_square(x: Any) -> Any:
    return _one_minus_square(x * 1j) if x.dtype.kind == "c" else 1 + x * x


def _tan_partial(y: Any, x: Any) -> Any:
    """1 + y²; for complex numbers that cancels, 1/cos² does not."""
    if y.dtype.kind == "c":
        return square(1 / cos(x))
    return 1 + y * y


tan = elementwise(
    "tan", forward="tan", text="tan {0}", tex=r"\tan {0}", complex=True, domain=(-1.2, 1.2),
    partials=(_tan_partial,), native=lambda b, x: b.call("tan", x),
    doc="The tangent of x radians.",
)  # fmt: skip
asin = elementwise(
    "asin", forward="arcsin", text="asin {0}", tex=r"\arcsin {0}", complex=True, domain=(-0.9, 0.9),
    partials=(lambda _y, x: 1 / _root_one_minus_square(x),),
    native=lambda b, x: b.call("asin", x), doc="The angle whose sine is x.",
)  # fmt: skip
acos = elementwise(
    "acos", forward="arccos", text="acos {0}", tex=r"\arccos {0}", complex=True, domain=(-0.9, 0.9),
    partials=(lambda _y, x: -1 / _root_one_minus_square(x),),
    native=lambda b, x: b.call("acos", x), doc="The angle whose cosine is x.",
)  # fmt: skip
atan = elementwise(
    "atan", forward="arctan", text="atan {0}", tex=r"\arctan {0}", complex=True,
    partials=(lambda _y, x: 1 / _one_plus_square(x),),
    native=lambda b, x: b.call("atan", x), doc="The angle whose tangent is x.",
)  # fmt: skip
sinh = elementwise(
    "sinh", forward="sinh", text="sinh {0}", tex=r"\sinh {0}", complex=True,
    partials=(lambda _y, x: cosh(x),), native=lambda b, x: b.call("sinh", x),
    doc="The hyperbolic sine of x.",
)  # fmt: skip
cosh = elementwise(
    "cosh", forward="cosh", text="cosh {0}", tex=r"\cosh {0}", complex=True,
    partials=(lambda _y, x: sinh(x),), native=lambda b, x: b.call("cosh", x),
    doc="The hyperbolic cosine of x.",
)  # fmt: skip
asinh = elementwise(
    "asinh", forward="arcsinh", text="asinh {0}", tex=r"\operatorname{{arsinh}} {0}", complex=True,
    partials=(lambda _y, x: 1 / _root_one_plus_square(x),),
    native=lambda b, x: b.call("asinh", x), doc="The number whose sinh is x.",
)  # fmt: skip
acosh = elementwise(
    "acosh", forward="arccosh", text="acosh {0}", tex=r"\operatorname{{arcosh}} {0}", complex=True,
    domain=(1.2, 3.0), partials=(lambda _y, x: 1 / (sqrt(x - 1) * sqrt(x + 1)),),
    native=lambda b, x: b.call("acosh", x), doc="The number not below 0 whose cosh is x.",
)  # fmt: skip
atanh = elementwise(
    "atanh", forward="arctanh", text="atanh {0}", tex=r"\operatorname{{artanh}} {0}", complex=True,
    domain=(-0.9, 0.9), partials=(lambda _y, x: 1 / _one_minus_square(x),),
    native=lambda b, x: b.call("atanh", x), doc="The number whose tanh is x.",
)  # fmt: skip


def _direction(xp: Any, x: Any, y: Any) -> Any:
    r = xp.hypot(x, y)
    return xp.where(r == 0, r, x / xp.where(r == 0, 1, r))


def _native_direction(b: Any, x: Any, y: Any) -> Any:
    r = b.call("hypot", x, y)
    return b.where(r == 0, r, x / b.where(r == 0, 1, r))


direction = elementwise(
    "direction", namespace=None, arity=2, forward=_direction, domain=((0.3, 2.0), (0.3, 2.0)),
    text="{0} / √({0}² + {1}²)", tex=r"{0} / \sqrt{{{0}^2 + {1}^2}}",
    partials=(
        lambda _c, x, y: square(direction(y, x)) / hypot(x, y),
        lambda c, x, y: -c * direction(y, x) / hypot(x, y),
    ),
    native=_native_direction,
    doc="The cosine of the angle of the point (a, b), and 0 at the origin.",
)  # fmt: skip
hypot = elementwise(
    "hypot", arity=2, forward="hypot", text="√({0}² + {1}²)", tex=r"\sqrt{{{0}^2 + {1}^2}}",
    partials=(lambda _z, x, y: direction(x, y), lambda _z, x, y: direction(y, x)),
    native=lambda b, x, y: b.call("hypot", x, y),
    doc="The distance of (a, b) from the origin, without overflow; its derivative there is 0.",
)  # fmt: skip
atan2 = elementwise(
    "atan2", arity=2, forward="arctan2", text="atan2({0}, {1})",
    tex=r"\operatorname{{atan2}}({0}, {1})", domain=((0.3, 2.0), (0.3, 2.0)),
    partials=(
        lambda _z, y, x: direction(x, y) / hypot(x, y),
        lambda _z, y, x: -direction(y, x) / hypot(x, y),
    ),
    native=lambda b, y, x: b.call("atan2", y, x),
    doc="The angle of the point with height a and abscissa b, from −π to π.",
)  # fmt: skip


@public
def deg2rad(x: Any, /) -> Tensor:
    """Degrees as radians."""
    return apply(multiply, (x, math.pi / 180))


@public
def rad2deg(x: Any, /) -> Tensor:
    """Radians as degrees."""
    return apply(multiply, (x, 180 / math.pi))


# -- powers -----------------------------------------------------------------------------------


def _whole_power(xp: Any, x: Any, *, n: int) -> Any:
    return xp.square(x) if n == 2 else x**n


def _native_whole_power(b: Any, x: Any, *, n: int) -> Any:
    """A few products where their rounding is no more than that of a logarithm and a power."""
    if x.floating and not -3 <= n <= 4:
        return b.call("pow", x, b.constant(n, x))
    x = x if n >= 0 else 1 / x
    y = b.constant(1, x)
    for digit in f"{abs(n):b}":  # from the highest down: squared, and times x where it is 1
        y = y * y
        y = y * x if digit == "1" else y
    return y


whole_power = elementwise(
    "whole_power",
    namespace=None,
    forward=_whole_power,
    complex=True,
    domain=(0.5, 2.0),
    text=lambda x, n: f"{x}{''.join('⁰¹²³⁴⁵⁶⁷⁸⁹'[int(d)] if d.isdigit() else '⁻' for d in str(n))}",
    tex="{0}^{{{n}}}",
    partials=(lambda _y, x, *, n: n * whole_power(x, n=n - 1) if n > 1 or n < 0 else float(n),),
    samples=lambda r: (
        [((r(3, 2),), {"n": n}) for n in (0, 1, 2, 3, 5)] + [((2 + 0.1 * r(3),), {"n": -2})]
    ),
    native=_native_whole_power,
    doc="x to a whole power known in advance: exact to all orders, at 0 too.",
)


def _base_partial(_z: Any, x: Any, y: Any) -> Any:
    """y x^(y−1), and 0 where y is 0, also at x = 0."""
    return where(equal(y, 0), y * 0, y * power(x, where(equal(y, 0), y * 0 + 1, y) - 1))


def _exponent_partial(z: Any, x: Any, _y: Any) -> Any:
    """z log x, and 0 where x is 0."""
    zero = equal(x, 0)
    return where(zero, z * 0, z * log(where(zero, x * 0 + 1, x)))


power = elementwise(
    "power",
    namespace=None,
    arity=2,
    forward="power",
    text="{0}^{1}",
    tex="{0}^{{{1}}}",
    complex=True,
    domain=((0.5, 2.0), (-2.0, 2.0)),
    partials=(_base_partial, _exponent_partial),
    native=lambda b, x, y: b.call("pow", x, y) if x.floating else b.whole_power(x, y),
    doc="x to the power y.",
)


@public(names=("pow", "power"))
def pow(x: Any, y: Any, /) -> Tensor:
    """x to the power y.

    Shapes:  x, y broadcast together.
    Rule:    x̄ = z̄ y x^(y−1),  ȳ = z̄ z log x; a whole-number exponent is exact at 0 to all orders.
    Example:
        >>> ob.pow(ob.tensor([1.0, 2.0, 3.0]), 2)
        Tensor([1., 4., 9.], float64)
    """
    if type(y) is int and (isinstance(x, Tensor) or type(x) is not int):
        x = as_tensor(x)
        if x.spec.floating or y >= 0:
            return apply(whole_power, (x,), {"n": y})
    return apply(power, (x, y))
