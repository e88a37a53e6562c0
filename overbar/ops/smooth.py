"""Powers, exponentials, logarithms, trigonometric and hyperbolic functions, and the activations."""

from __future__ import annotations

from typing import Any

from ..primitive import elementwise, public
from ..apply import apply
from ..handle import Tensor, as_tensor
from .arithmetic import where
from .logic import equal

exp = elementwise(
    "exp", forward="exp", text="exp {0}", tex="e^{{{0}}}", complex=True,
    partials=(lambda y, _x: y,), doc="e to the power x.",
)  # fmt: skip
log = elementwise(
    "log", forward="log", text="log {0}", tex=r"\log {0}", complex=True, domain=(0.2, 3.0),
    partials=(lambda _y, x: 1 / x,), doc="The natural logarithm of x.",
)  # fmt: skip
sqrt = elementwise(
    "sqrt", forward="sqrt", text="√{0}", tex=r"\sqrt{{{0}}}", complex=True, domain=(0.2, 3.0),
    partials=(lambda y, _x: 0.5 / y,), doc="The square root of x; its derivative at 0 is infinite.",
)  # fmt: skip
sin = elementwise(
    "sin", forward="sin", text="sin {0}", tex=r"\sin {0}", complex=True,
    partials=(lambda _y, x: cos(x),), doc="The sine of x radians.",
)  # fmt: skip
cos = elementwise(
    "cos", forward="cos", text="cos {0}", tex=r"\cos {0}", complex=True,
    partials=(lambda _y, x: -sin(x),), doc="The cosine of x radians.",
)  # fmt: skip


def _one_minus_square(y: Any) -> Any:
    """1 − y², without the cancellation near |y| = 1."""
    return (1 - y) * (1 + y)


tanh = elementwise(
    "tanh", forward="tanh", text="tanh {0}", tex=r"\tanh {0}", complex=True,
    partials=(lambda y, _x: _one_minus_square(y),), doc="The hyperbolic tangent of x.",
)  # fmt: skip


def _sigmoid(xp: Any, x: Any) -> Any:
    """1 / (1 + e^−x) by way of e^−|x|, which cannot overflow."""
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, small) / (1 + small)


sigmoid = elementwise(
    "sigmoid", forward=_sigmoid, text="σ({0})", tex=r"\sigma({0})",
    partials=(lambda y, _x: y * (1 - y),), doc="The logistic function 1 / (1 + exp(−x)).",
)  # fmt: skip


# -- powers -----------------------------------------------------------------------------------


def _whole_power(xp: Any, x: Any, *, n: int) -> Any:
    return xp.square(x) if n == 2 else x**n  # noqa: PLR2004


whole_power = elementwise(
    "whole_power", namespace=None, forward=_whole_power, complex=True, domain=(0.5, 2.0),
    text=lambda x, n: f"{x}{''.join('⁰¹²³⁴⁵⁶⁷⁸⁹'[int(d)] if d.isdigit() else '⁻' for d in str(n))}",
    tex="{0}^{{{n}}}",
    partials=(lambda _y, x, *, n: n * whole_power(x, n=n - 1) if n > 1 or n < 0 else float(n),),
    samples=lambda r: [((r(3, 2),), {"n": n}) for n in (0, 1, 2, 3, 5)] + [((2 + 0.1 * r(3),), {"n": -2})],
    doc="x to a whole power known in advance: exact to all orders, at 0 too.",
)  # fmt: skip


def _base_partial(_z: Any, x: Any, y: Any) -> Any:
    """y x^(y−1), and 0 where y is 0, also at x = 0."""
    return where(equal(y, 0), y * 0, y * power(x, where(equal(y, 0), y * 0 + 1, y) - 1))


def _exponent_partial(z: Any, x: Any, _y: Any) -> Any:
    """z log x, and 0 where x is 0."""
    zero = equal(x, 0)
    return where(zero, z * 0, z * log(where(zero, x * 0 + 1, x)))


power = elementwise(
    "power", namespace=None, arity=2, forward="power", text="{0}^{1}", tex="{0}^{{{1}}}", complex=True,
    domain=((0.5, 2.0), (-2.0, 2.0)),
    partials=(_base_partial, _exponent_partial), doc="x to the power y.",
)  # fmt: skip


@public(names=("pow", "power"))
def pow(x: Any, y: Any, /) -> Tensor:  # noqa: A001  (the Array API's name)
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
