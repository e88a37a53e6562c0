"""Arithmetic, the greater and the lesser, and choosing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import apply, own
from ..context import CONTEXT
from ..elementwise import elementwise
from ..errors import DomainError, DTypeError
from ..handle import Tensor, as_tensor, asarray
from ..primitive import FLAT, public
from .logic import floor_divide, isnan, logical_not, sign

add = elementwise(
    "add", arity=2, forward="add", text="{0} + {1}", tex="{0} + {1}", complex=True,
    partials=(1, 1), doc="a + b.", native=lambda b, x, y: x + y,
)  # fmt: skip
subtract = elementwise(
    "subtract", arity=2, forward="subtract", text="{0} − {1}", tex="{0} - {1}", complex=True,
    partials=(1, -1), doc="a − b.", native=lambda b, x, y: x - y,
)  # fmt: skip
multiply = elementwise(
    "multiply", arity=2, forward="multiply", text="{0} {1}", tex=r"{0}\,{1}", complex=True,
    partials=(lambda _z, _x, y: y, lambda _z, x, _y: x), doc="a b, entry by entry.",
    native=lambda b, x, y: x * y,
)  # fmt: skip
divide = elementwise(
    "divide", arity=2, forward="divide", text="{0} / {1}", tex=r"\frac{{{0}}}{{{1}}}", complex=True,
    domain=((-2.0, 2.0), (0.5, 2.0)),
    partials=(lambda _z, _x, y: 1 / y, lambda z, _x, y: -z / y), doc="a / b.",
    native=lambda b, x, y: x / y,
)  # fmt: skip
negative = elementwise(
    "negative", forward="negative", text="−{0}", tex="-{0}", complex=True,
    partials=(-1,), doc="−x.", native=lambda b, x: -x,
)  # fmt: skip
positive = elementwise(
    "positive", forward="positive", text="{0}", tex="{0}", complex=True, partials=(1,), doc="+x.",
    native=lambda b, x: x,
)  # fmt: skip
square = elementwise(
    "square", forward="square", text="{0}²", tex="{0}^2", complex=True,
    partials=(lambda _y, x: 2 * x,), doc="x².", native=lambda b, x: x * x,
)  # fmt: skip
reciprocal = elementwise(
    "reciprocal", forward=lambda xp, x: 1 / x, text="1/{0}", tex=r"\frac{{1}}{{{0}}}", complex=True,
    domain=(0.5, 2.0), partials=(lambda y, _x: -y * y,), doc="1 / x.", native=lambda b, x: 1 / x,
)  # fmt: skip
remainder = elementwise(
    "remainder", arity=2, forward="remainder", text="{0} mod {1}", tex=r"{0} \bmod {1}",
    domain=((-2.0, 2.0), (0.5, 2.0)), partials=(1, lambda _z, x, y: -floor_divide(x, y)),
    doc="What is left of a after taking out b a whole number of times; it has the sign of b.",
    native=lambda b, x, y: x % y,
)  # fmt: skip
copysign = elementwise(
    "copysign",
    arity=2,
    forward="copysign",
    text="|{0}| sign({1})",
    tex=r"|{0}| \operatorname{{sign}} {1}",
    partials=(lambda _z, x, y: sign(x) * copysign(1.0, y), 0),
    doc="The size of a with the sign of b, that of a zero included.",
    native=lambda b, x, y: b.intrinsic("copysign", x, y),
)
nextafter = elementwise(
    "nextafter", arity=2, forward="nextafter", text="next({0} to {1})", partials=(1, 0),
    doc="The next number after a on the way to b; as a function of a its slope is 1.",
)  # fmt: skip


def _times(xp: Any, bar: Any, partial: Any) -> Any:
    with np.errstate(invalid="ignore", over="ignore"):
        return xp.where(bar == 0, 0, bar * partial)


times = elementwise(
    "times", namespace=None, arity=2, forward=_times, text="{0} {1}", tex=r"{0}\,{1}", complex=True,
    rules=(lambda bar, _z, _x, y: times(bar, y), lambda bar, _z, x, _y: times(x, bar)),
    partials=(lambda _z, _x, y: y, lambda _z, x, _y: x),
    selects=True,
    doc="x y, and 0 where x is 0, whatever y: for an x that is zero because y was not selected.",
    native=lambda b, x, y: b.where(x == 0, 0, x * y),
)  # fmt: skip


# -- kinks ------------------------------------------------------------------------------------
# The value of a derivative where there is none: chosen by ob.config(kinks=) when the node is made
# and kept on it as `kink`, between 0 (the left derivative) and 1 (the right one).


def at_kink(default: float) -> float:
    """The weight of the right derivative under the choice in force."""
    chosen = CONTEXT.get().kinks
    return default if chosen == "default" else {"left": 0.0, "right": 1.0, "middle": 0.5}[chosen]


heaviside = elementwise(
    "heaviside",
    namespace=None,
    forward=lambda xp, x, *, kink: xp.heaviside(x, kink),
    partials=FLAT,
    text="[{0} > 0]",
    tex="[{0} > 0]",
    samples=lambda r: [((r(3, 2),), {"kink": 0.5})],
    doc="0 left of zero, 1 right of it, `kink` at zero.",
    native=lambda b, x, *, kink: b.where(
        x > 0, 1, b.where(x < 0, 0, b.where(x == 0, b.constant(kink, x), x))
    ),
)
relu_ = elementwise(
    "relu", namespace=None, forward=lambda xp, x: xp.maximum(x, 0),
    partials=(lambda y, _x: heaviside(y, kink=0.0),), selects=True,
    text="relu({0})", tex=r"\operatorname{{relu}}({0})",
    doc="The positive part, max(0, x); its derivative is read off the output, so x is not kept.",
    native=lambda b, x: b.where(x < 0, 0, x),
)  # fmt: skip
ramp = elementwise(
    "ramp", namespace=None, selects=True,
    forward=lambda xp, x, *, left, kink: xp.where(x < 0, left * x, x),
    partials=(lambda _y, x, *, left, kink: left + (1 - left) * heaviside(x, kink=kink),),
    text="ramp({0})", samples=lambda r: [((r(3, 2),), {"left": 0.1, "kink": 0.0})],
    doc="x right of zero, `left` times x left of it.",
    native=lambda b, x, *, left, kink: b.where(x < 0, x * left, x),
)  # fmt: skip
absolute_ = elementwise(
    "abs",
    namespace=None,
    forward=lambda xp, x, *, kink=0.5: xp.absolute(x),
    text="|{0}|",
    tex="|{0}|",
    partials=(lambda _y, x, *, kink=0.5: 2 * heaviside(x, kink=kink) - 1,),
    samples=lambda r: [((r(3, 2),), {"kink": 0.5})],
    doc="The absolute value of a real number.",
    native=lambda b, x, *, kink=0.5: b.abs(x),
)


@public
def relu(x: Any, /) -> Tensor:
    """The positive part of x, max(0, x), entry by entry.

    Rule:    x̄ = ȳ [x > 0]; at 0 the derivative is 0, or what `ob.config(kinks=)` says.
    Example:
        >>> ob.relu([-1.0, 0.0, 2.0])
        Tensor([0., 0., 2.], float64)
    """
    kink = at_kink(0.0)
    return apply(relu_, (x,)) if kink == 0 else apply(ramp, (x,), {"left": 0.0, "kink": kink})


@public
def leaky_relu(x: Any, /, slope: float = 0.01) -> Tensor:
    """x right of zero, slope · x left of it.

    Rule:    x̄ = ȳ for x > 0, slope ȳ for x < 0; at 0 the slope, or what `ob.config(kinks=)` says.
    Example:
        >>> ob.leaky_relu([-1.0, 2.0], 0.1)
        Tensor([-0.1,  2. ], float64)
    """
    return apply(ramp, (x,), {"left": float(slope), "kink": at_kink(0.0)})


# -- the greater and the lesser ---------------------------------------------------------------


def _wins(xp: Any, x: Any, y: Any, *, kink: float) -> Any:
    dtype = xp.result_type(x, y)
    return xp.where(xp.equal(x, y), dtype.type(kink), xp.greater(x, y).astype(dtype))


wins = elementwise(
    "wins", namespace=None, arity=2, partials=FLAT, text="[{0} > {1}]", tex="[{0} > {1}]",
    forward=_wins,
    samples=lambda r: [((r(3, 2), r(3, 2)), {"kink": 0.5})],
    doc="1 where the first is greater, 0 where it is less, `kink` at a tie.",
    native=lambda b, x, y, *, kink: b.where(
        x == y, b.constant(kink, x), b.where(x > y, b.constant(1, x), 0)
    ),
)  # fmt: skip


def _extreme(name: str, sign: int) -> Any:
    def share(first: bool) -> Any:  # the part of ȳ that goes to this input
        def partial(_z: Any, x: Any, y: Any, *, kink: float = 0.5) -> Any:
            up, down = (x, y) if first == (sign > 0) else (y, x)
            return wins(up, down, kink=kink if first == (sign > 0) else 1 - kink)

        return partial

    return elementwise(
        name,
        namespace=None,
        arity=2,
        forward=lambda xp, x, y, *, kink=0.5: getattr(xp, name)(x, y),
        partials=(share(True), share(False)),
        selects=True,
        text=name[:3] + "({0}, {1})",
        tex=rf"\{name[:3]}({{0}}, {{1}})",
        samples=lambda r: [((r(3, 2), r(3, 2)), {"kink": 0.5})],
        native=lambda b, x, y, *, kink=0.5: getattr(b, name)(x, y),
        doc=f"The {'greater' if sign > 0 else 'lesser'} of two; NaN if either is.",
    )


maximum_, minimum_ = _extreme("maximum", 1), _extreme("minimum", -1)


@public
def maximum(x: Any, y: Any, /) -> Tensor:
    """The greater of x and y, entry by entry; NaN where either is.

    Rule:    the adjoint goes to the greater one; a tie shares it equally (`ob.config(kinks=)`).
    Example:
        >>> ob.maximum([1.0, 5.0], [3.0, 2.0])
        Tensor([3., 5.], float64)
    """
    return apply(maximum_, (x, y), {"kink": at_kink(0.5)})


@public
def minimum(x: Any, y: Any, /) -> Tensor:
    """The lesser of x and y, entry by entry; NaN where either is.

    Rule:    the adjoint goes to the lesser one; a tie shares it equally (`ob.config(kinks=)`).
    Example:
        >>> ob.minimum([1.0, 5.0], [3.0, 2.0])
        Tensor([1., 2.], float64)
    """
    return apply(minimum_, (x, y), {"kink": at_kink(0.5)})


# At a bound the adjoint passes: the right derivative of max(x, low), the left of min(x, high).


def _clip(xp: Any, x: Any, low: Any, high: Any, **_: Any) -> Any:
    return xp.minimum(xp.maximum(x, low), high)


def _inside(_y: Any, x: Any, low: Any, high: Any, *, below: float, above: float) -> Any:
    return wins(x, low, kink=below) * wins(high, x, kink=1 - above)


def _at_low(_y: Any, x: Any, low: Any, high: Any, *, below: float, above: float) -> Any:
    return wins(low, x, kink=1 - below) * wins(high, low, kink=1 - above)


def _at_high(_y: Any, x: Any, low: Any, high: Any, *, below: float, above: float) -> Any:
    return wins(maximum_(x, low, kink=0.5), high, kink=above)


clip_ = elementwise(
    "clip", namespace=None, arity=3, forward=_clip, partials=(_inside, _at_low, _at_high),
    selects=True, text="clip({0}, {1}, {2})",
    samples=lambda r: [((r(3, 2), r(3, 2) - 1, r(3, 2) + 1), {"below": 1.0, "above": 0.0})],
    doc="x, but not below the one bound and not above the other; NaN stays NaN.",
    native=lambda b, x, low, high, **_: b.minimum(b.maximum(x, low), high),
)  # fmt: skip


@public
def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """x, but not below `min` and not above `max`, entry by entry; NaN stays NaN.

    Shapes:  x and the bounds broadcast together; None is no bound.
    Rule:    the adjoint goes to x inside the bounds and at them (`ob.config(kinks=)`), outside to
             the bound that was met.
    Example:
        >>> ob.clip([-3.0, 0.5, 2.0], -1.0, 1.0)
        Tensor([-1. ,  0.5,  1. ], float64)
    """
    below, above = at_kink(1.0), at_kink(0.0)
    if min is None and max is None:
        return own(asarray(x))
    if max is None:
        return apply(maximum_, (x, min), {"kink": below})
    if min is None:
        return apply(minimum_, (x, max), {"kink": above})
    return apply(clip_, (x, min, max), {"below": below, "above": above})


where = elementwise(
    "where", namespace=None, arity=3, promotes=(1, 2), forward="where", complex=True, selects=True,
    text="({1} where {0}, else {2})", tex=r"({1}\text{{ where }}{0}\text{{, else }}{2})",
    partials=(0, lambda _z, c, _x, _y: c, lambda _z, c, _x, _y: logical_not(c)),
    samples=lambda r: [((r(3, 2) > 0, r(3, 2), r(3, 2)), {})],
    doc="x where the condition holds, y elsewhere.", native=lambda b, c, x, y: b.where(c, x, y),
)  # fmt: skip


@public(names=("where",))
def where_public(condition: Any, x: Any, y: Any, /) -> Tensor:
    """x where the condition holds, y elsewhere.

    Shapes:  the three broadcast together.
    Rule:    the adjoint goes to what was chosen. A NaN or an infinity in the branch not taken,
             or in its derivative, never leaks.
    Raises:  DomainError for a Python integer that the other's dtype has no room for.
    Example:
        >>> ob.where([True, False], [1.0, 2.0], [3.0, 4.0])
        Tensor([1., 4.], float64)
    """
    condition = as_tensor(condition)
    if condition.dtype.kind != "b":
        raise DTypeError("where: the condition is no boolean array", got={"condition": condition},
                         want="a condition such as x > 0")  # fmt: skip
    x, y = as_tensor(x), as_tensor(y)
    for n, other in ((x.value, y), (y.value, x)):  # NumPy's own lets it wrap round
        if type(n) is int and other.dtype.kind in "iu" and not other.spec.weak:
            room = np.iinfo(other.dtype)
            if not room.min <= n <= room.max:
                raise DomainError(f"where: Python integer {n} out of bounds for {other.dtype}")
    return apply(where, (condition, x, y))


@public
def fmax(x: Any, y: Any, /) -> Tensor:
    """The greater of x and y, entry by entry; where one is NaN, the other.

    Rule:    that of `maximum`; nothing flows to a NaN.
    Example:
        >>> ob.fmax([1.0, np.nan], [0.0, 2.0])
        Tensor([1., 2.], float64)
    """
    return maximum(*_without_nan(x, y))


@public
def fmin(x: Any, y: Any, /) -> Tensor:
    """The lesser of x and y, entry by entry; where one is NaN, the other.

    Rule:    that of `minimum`; nothing flows to a NaN.
    Example:
        >>> ob.fmin([1.0, np.nan], [0.0, 2.0])
        Tensor([0., 2.], float64)
    """
    return minimum(*_without_nan(x, y))


def _without_nan(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """x and y, each with the other where it is NaN."""
    x, y = as_tensor(x), as_tensor(y)
    return apply(where, (isnan(x), y, x)), apply(where, (isnan(y), x, y))
