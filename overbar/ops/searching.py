"""Searching in sorted lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..primitive import FLAT, Primitive
from ..spec import Spec, spec
from .logic import less, less_equal
from .movement import astype
from .repeat import broadcast_to, reshape, sum


def _search_shape(x1: Spec, x2: Spec, *, side: str) -> Spec:
    if x1.ndim != 1:
        raise ShapeError("searchsorted: a sorted list has one axis", got={"x1": x1})
    return spec(x2.shape, np.dtype(np.intp))


def _search_lanes(n: int, mapped: Any, x1: Any, x2: Any, *, side: str) -> Any:
    if not mapped[0]:
        return searchsorted_(x1, x2, side=side)
    x2 = x2 if mapped[1] else broadcast_to(x2, (n, *x2.shape))
    wide = reshape(x2, (n, 1, *x2.shape[1:]))
    rows = reshape(x1, (*x1.shape, *(1,) * (x2.ndim - 1)))
    return sum(astype(less(rows, wide) if side == "left" else less_equal(rows, wide), np.intp), 1)


def _search_entry(b: Any, i: Any, x1: Any, x2: Any, *, side: str) -> Any:
    """Bisection: how many entries come before, in powers of two; NaN is the greatest."""
    n, dtype = x1.shape[0], np.result_type(x1.dtype, x2.dtype)
    v = b.cast(x2(*i), dtype)
    found = b.constant(0, np.dtype(np.intp))
    for k in reversed(range(n.bit_length())):
        more = found + (1 << k)
        x = b.cast(x1(b.minimum(more, n) - 1), dtype)
        among = b.isnan(v) & ~b.isnan(x) if side == "left" else b.isnan(v)
        before = among | (x < v if side == "left" else x <= v)
        found = b.where(before & (more <= n), more, found)
    return found


searchsorted_ = Primitive(
    "searchsorted",
    forward=lambda xp, x1, x2, *, side: xp.searchsorted(x1, x2, side=side),
    shape=_search_shape,
    vjp=FLAT,
    jvp=FLAT,
    batch=_search_lanes,
    text="place of {1} in {0}",
    samples=lambda r: [
        ((np.array([-1.0, 0.0, 1.0]), r(3, 2)), {"side": s}) for s in ("left", "right")
    ],
    entry=_search_entry,
    doc="Where to put entries into a sorted list so that it stays sorted.",
)
