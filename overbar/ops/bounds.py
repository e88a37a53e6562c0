"""Numbers that must lie within bounds: looked at where they are known, in a traced function too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..apply import apply
from ..context import CONTEXT
from ..errors import DomainError, DTypeError
from ..handle import Tensor, asarray
from ..primitive import Primitive, public


def _seen(x: Any, *, low: float, high: float, name: str, hint: str | None) -> Any:
    """x, if none of its numbers is outside. NaN passes: it is neither below nor above."""
    outside = (x < low) | (x > high)
    if np.any(outside):
        first = tuple(int(i) for i in np.argwhere(outside)[0])
        place = f"[{', '.join(map(str, first))}]" if first else ""
        raise DomainError(
            f"{name}{place} is {np.asarray(x)[first]:g}",
            got={name.rpartition(" ")[2]: x},
            want=_bounds(low, high),
            hint=hint,
        )
    return x


def _bounds(low: float, high: float) -> str:
    if high == math.inf:
        return f"numbers from {low:g} on"
    return f"numbers up to {high:g}" if low == -math.inf else f"numbers from {low:g} to {high:g}"


def _seen_natively(b: Any, x: Any, low: float, high: float, **_: Any) -> Any:
    y = x if x.floating else b.cast(x, np.dtype(np.float64))
    if low != -math.inf:
        b.refuse(y < low)
    if high != math.inf:
        b.refuse(y > high)
    return x


within_ = Primitive(
    "within",
    forward=lambda xp, x, **bounds: _seen(x, **bounds),
    shape=lambda x, **_: x,
    text="{0}",
    tex="{0}",
    vjp=(1,),
    jvp=(lambda x_dot, _y, _x, **_: x_dot,),
    batch=lambda n, mapped, x, **bounds: within_(x, **bounds),
    samples=lambda r: [
        ((r(3, 2),), {"low": -20.0, "high": 20.0, "name": "x", "hint": None}),
        ((r(),), {"low": -20.0, "high": math.inf, "name": "x", "hint": None}),
    ],
    doc="x itself, if its numbers are within bounds.",
    native=_seen_natively,
)


@public
def within(
    x: Any,
    /,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    name: str = "within: x",
    hint: str | None = None,
) -> Tensor:
    """x itself, after a look at its numbers: none is below `low`, none above `high`.

    A compiled function looks as well, at every call, while it reads x for what uses the result
    (what nothing uses is not computed, and not looked at).

    name    what the error calls x; `hint` its last line
    Rule:    x̄ is ȳ.
    Raises:  DomainError naming the first number outside; NaN is not outside.
    Example:
        >>> ob.jit(lambda p: ob.log(ob.within(p, 0, 1)))(np.array(1.0))
        Tensor(0., float64)
    """
    x = asarray(x)
    if x.dtype.kind == "c":
        raise DTypeError("within: complex numbers have no order", got={"x": x})
    bounds = {"low": float(low), "high": float(high), "name": name, "hint": hint}
    trace = CONTEXT.get().trace
    if x.value is not None and (trace is None or trace.is_constant(x)):
        _seen(x.value, **bounds)
        return x
    return apply(within_, (x,), bounds)
