"""Derivatives that wait for values.

How often a while runs is known only when it runs; so its reverse is a function that is called
then. It differentiates like any other: its derivative waits too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..context import EVERY, within
from ..handle import Tensor, from_value
from ..ops.movement import parts
from ..primitive import Primitive, shared
from ..spec import Spec
from .body import strong
from .calls import arrived
from .transforms import jvp, vjp


def _run_deferred(xp: Any, *values: Any, f: Callable[..., Any], specs: tuple[Spec, ...]) -> tuple:
    with within(trace=None, level=0, active=0, staging=0, allowed=EVERY, lane=None):
        outs = f(*(from_value(np.asarray(v)) for v in values))
    return tuple(np.asarray(y.value if isinstance(y, Tensor) else y) for y in outs)


def _deferred_back(
    wanted: Sequence[bool],
    y_bars: Any,
    _ys: Any,
    *xs: Any,
    f: Callable[..., Any],
    specs: tuple[Spec, ...],
) -> list[Any]:
    chosen = tuple(i for i, w in enumerate(wanted) if w)
    sent = arrived(y_bars)

    def back(*args: Any) -> Any:
        values, bars = list(args[: len(xs)]), args[len(xs) :]

        def g(*some: Any) -> Any:
            full = list(values)
            for i, x in zip(chosen, some, strict=True):
                full[i] = x
            outs = f(*full)
            return [outs[j] for j in sent]

        return list(vjp(g, *(values[i] for i in chosen))[1](list(bars)))

    shapes = tuple(strong(xs[i]) for i in chosen)
    found = dict(
        zip(
            chosen,
            parts(deferred_(*xs, *(y_bars[j] for j in sent), f=back, specs=shapes)),
            strict=True,
        )
    )
    return [found.get(i) for i in range(len(xs))]


def _deferred_dot(
    dots: Sequence[Any], _ys: Any, *xs: Any, f: Callable[..., Any], specs: tuple[Spec, ...]
) -> Any:
    chosen = tuple(i for i, d in enumerate(dots) if d is not None)

    def ahead(*args: Any) -> Any:
        values, given = list(args[: len(xs)]), args[len(xs) :]

        def g(*some: Any) -> Any:
            full = list(values)
            for i, x in zip(chosen, some, strict=True):
                full[i] = x
            return list(f(*full))

        return jvp(g, [values[i] for i in chosen], list(given))[1]

    return deferred_(*xs, *(dots[i] for i in chosen), f=ahead, specs=specs)


deferred_ = Primitive(
    "deferred", numbers=True, forward=_run_deferred, shape=lambda *xs, f, specs: specs,
    vjp=shared(_deferred_back, 2), jvp=shared(_deferred_dot),
    doc="A function of tensors that needs their values; it is called when they are there.",
)  # fmt: skip
