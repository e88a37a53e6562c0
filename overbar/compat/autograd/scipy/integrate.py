"""`autograd.scipy.integrate`: the solution of an ordinary differential equation."""

from __future__ import annotations

from typing import Any

import scipy.integrate as _theirs

import overbar.scipy as _ours

from ..numpy.dispatch import passed
from ..tracer import holds_box, unboxed


def __getattr__(name: str) -> Any:
    return passed(_theirs, name)


def odeint(func: Any, y0: Any, t: Any, args: tuple[Any, ...] = (), **kwargs: Any) -> Any:
    """scipy.integrate.odeint; of boxes by `ob.scipy.integrate.odeint`."""
    if not holds_box((y0, t, args)):
        return _theirs.odeint(func, y0, t, args, **kwargs)
    kept = {k: v for k, v in kwargs.items() if k in ("rtol", "atol")}
    return unboxed(_ours.integrate.odeint(func, y0, t, args, **kept))
