"""Arithmetic, the greater and the lesser, and choosing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..context import CONTEXT
from ..errors import DTypeError
from ..primitive import FLAT, elementwise, public
from ..apply import apply
from ..handle import Tensor, as_tensor
from .logic import logical_not

add = elementwise(
    "add", arity=2, forward="add", text="{0} + {1}", tex="{0} + {1}", complex=True,
    partials=(1, 1), doc="a + b.",
)  # fmt: skip
subtract = elementwise(
    "subtract", arity=2, forward="subtract", text="{0} − {1}", tex="{0} - {1}", complex=True,
    partials=(1, -1), doc="a − b.",
)  # fmt: skip
multiply = elementwise(
    "multiply", arity=2, forward="multiply", text="{0} {1}", tex=r"{0}\,{1}", complex=True,
    partials=(lambda _z, _x, y: y, lambda _z, x, _y: x), doc="a b, entry by entry.",
)  # fmt: skip
divide = elementwise(
    "divide", arity=2, forward="divide", text="{0} / {1}", tex=r"\frac{{{0}}}{{{1}}}", complex=True,
    domain=((-2.0, 2.0), (0.5, 2.0)),
    partials=(lambda _z, _x, y: 1 / y, lambda z, _x, y: -z / y), doc="a / b.",
)  # fmt: skip
negative = elementwise(
    "negative", forward="negative", text="−{0}", tex="-{0}", complex=True,
    partials=(-1,), doc="−x.",
)  # fmt: skip
positive = elementwise(
    "positive", forward="positive", text="{0}", tex="{0}", complex=True, partials=(1,), doc="+x.",
)  # fmt: skip
square = elementwise(
    "square", forward="square", text="{0}²", tex="{0}^2", complex=True,
    partials=(lambda _y, x: 2 * x,), doc="x².",
)  # fmt: skip
reciprocal = elementwise(
    "reciprocal", forward=lambda xp, x: 1 / x, text="1/{0}", tex=r"\frac{{1}}{{{0}}}", complex=True,
    domain=(0.5, 2.0), partials=(lambda y, _x: -y * y,), doc="1 / x.",
)  # fmt: skip


def _times(xp: Any, bar: Any, partial: Any) -> Any:
    with np.errstate(invalid="ignore", over="ignore"):
        return xp.where(bar == 0, bar * 0, bar * partial)


times = elementwise(
    "times", namespace=None, arity=2, forward=_times, text="{0} {1}", tex=r"{0}\,{1}", complex=True,
    partials=(lambda _z, _x, y: y, lambda _z, x, _y: x), selects=True,
    doc="ȳ · ∂y/∂x where ȳ may be zero because it was not selected: then 0, whatever the partial.",
)  # fmt: skip


# -- kinks ------------------------------------------------------------------------------------
# The value of a derivative where there is none: chosen by ob.config(kinks=) when the node is made
# and kept on it as `kink`, between 0 (the left derivative) and 1 (the right one).


def at_kink(default: float) -> float:
    """The weight of the right derivative under the choice in force."""
    chosen = CONTEXT.get().kinks
    return default if chosen == "default" else {"left": 0.0, "right": 1.0, "middle": 0.5}[chosen]


heaviside = elementwise(
    "heaviside", namespace=None, forward=lambda xp, x, *, kink: xp.heaviside(x, x.dtype.type(kink)),
    partials=FLAT, text="[{0} > 0]", tex="[{0} > 0]", samples=lambda r: [((r(3, 2),), {"kink": 0.5})],
    doc="0 left of zero, 1 right of it, `kink` at zero.",
)  # fmt: skip
relu_ = elementwise(
    "relu", namespace=None, forward=lambda xp, x: xp.maximum(x, 0),
    partials=(lambda y, _x: heaviside(y, kink=0.0),),
    text="relu({0})", tex=r"\operatorname{{relu}}({0})",
    doc="The positive part, max(0, x); its derivative is read off the output, so x is not kept.",
)  # fmt: skip
ramp = elementwise(
    "ramp", namespace=None, forward=lambda xp, x, *, left, kink: xp.where(x < 0, left * x, x),
    partials=(lambda _y, x, *, left, kink: left + (1 - left) * heaviside(x, kink=kink),),
    text="ramp({0})", samples=lambda r: [((r(3, 2),), {"left": 0.1, "kink": 0.0})],
    doc="x right of zero, `left` times x left of it.",
)  # fmt: skip
absolute_ = elementwise(
    "abs", namespace=None, forward="absolute", text="|{0}|", tex="|{0}|",
    partials=(lambda _y, x, *, kink=0.5: 2 * heaviside(x, kink=kink) - 1,),
    samples=lambda r: [((r(3, 2),), {"kink": 0.5})],
    doc="The absolute value of a real number.",
)  # fmt: skip


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


wins = elementwise(
    "wins", namespace=None, arity=2, partials=FLAT, text="[{0} > {1}]", tex="[{0} > {1}]",
    forward=lambda xp, x, y, *, kink: xp.where(x == y, xp.result_type(x, y).type(kink), (x > y).astype(xp.result_type(x, y))),
    samples=lambda r: [((r(3, 2), r(3, 2)), {"kink": 0.5})],
    doc="1 where the first is greater, 0 where it is less, `kink` at a tie.",
)  # fmt: skip


def _extreme(name: str, sign: int) -> Any:
    def share(first: bool) -> Any:  # the part of ȳ that goes to this input
        def partial(_z: Any, x: Any, y: Any, *, kink: float = 0.5) -> Any:
            up, down = (x, y) if first == (sign > 0) else (y, x)
            return wins(up, down, kink=kink if first == (sign > 0) else 1 - kink)
        return partial

    return elementwise(
        name, namespace=None, arity=2, forward=lambda xp, x, y, *, kink=0.5: getattr(xp, name)(x, y),
        partials=(share(True), share(False)), selects=True, text=name[:3] + "({0}, {1})",
        tex=rf"\{name[:3]}({{0}}, {{1}})", samples=lambda r: [((r(3, 2), r(3, 2)), {"kink": 0.5})],
        doc=f"The {'greater' if sign > 0 else 'lesser'} of two; NaN if either is.",
    )  # fmt: skip


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


where = elementwise(
    "where", namespace=None, arity=3, promotes=(1, 2), forward="where", complex=True, selects=True,
    text="({1} where {0}, else {2})", tex=r"({1}\text{{ where }}{0}\text{{, else }}{2})",
    partials=(0, lambda _z, c, _x, _y: c, lambda _z, c, _x, _y: logical_not(c)),
    samples=lambda r: [((r(3, 2) > 0, r(3, 2), r(3, 2)), {})],
    doc="x where the condition holds, y elsewhere.",
)  # fmt: skip


@public(names=("where",))
def where_public(condition: Any, x: Any, y: Any, /) -> Tensor:
    """x where the condition holds, y elsewhere.

    Shapes:  the three broadcast together.
    Rule:    the adjoint goes to what was chosen. A NaN or an infinity in the branch not taken,
             or in its derivative, never leaks.
    Example:
        >>> ob.where([True, False], [1.0, 2.0], [3.0, 4.0])
        Tensor([1., 4.], float64)
    """
    condition = as_tensor(condition)
    if condition.dtype.kind != "b":
        raise DTypeError("where: the condition is no boolean array", got={"condition": condition},
                         want="a condition such as x > 0")  # fmt: skip
    return apply(where, (condition, x, y))
