"""Pooling: the greatest or the mean of every window.

Max pooling records where each window's winner was, and only that: the rest is reading entries at
positions, whose transpose adds what arrives there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DomainError, DTypeError
from ..handle import Tensor, as_tensor, asarray
from ..primitive import FLAT, Primitive, public
from ..spec import Spec, spec
from .repeat import reshape, reshape_
from .select import along_
from .windows import Pairs, Sizes, padded, places, window_arguments, window_count, windows

# -- the greatest -----------------------------------------------------------------------------


def _winners(xp: Any, x: Any, *, size: Sizes, stride: Sizes, padding: Pairs) -> Any:
    space = x.shape[2:]
    ones, n, c = (1,) * len(size), *x.shape[:2]
    count = window_count(space, size, stride, padding, ones)

    def columns(a: Any) -> Any:
        rows = windows(xp, a, size, stride, ones, count)
        return rows.reshape(*a.shape[:2], math.prod(size), math.prod(count))

    lowest = (
        -xp.inf if x.dtype.kind == "f" else xp.iinfo(x.dtype).min if x.dtype.kind in "iu" else False
    )
    entries = columns(padded(xp, x, padding, lowest))
    position = columns(padded(xp, xp.arange(math.prod(space)).reshape(1, 1, *space), padding, -1))[
        0, 0
    ]
    best = entries.argmax(2)  # the first of equals; a NaN wins
    where = xp.take_along_axis(position[None], best.reshape(n * c, 1, math.prod(count)), 1)[:, 0]
    if any(a or b for a, b in padding):  # all −∞: the first that is no padding
        inside = xp.take_along_axis(position, (position >= 0).argmax(0)[None], 0)[0]
        where = xp.where(where < 0, inside, where)
    return where.reshape(n, c, *count)


def _winners_shape(x: Spec, *, size: Sizes, stride: Sizes, padding: Pairs) -> Spec:
    count = window_count(x.shape[2:], size, stride, padding, (1,) * len(size))
    return spec((*x.shape[:2], *count), np.dtype(np.intp))


def _lanes(n: int, x: Any) -> Any:
    return reshape_(x, shape=(n * x.shape[1], *x.shape[2:]))


def _unlaned(n: int, y: Any) -> Any:
    return reshape_(y, shape=(n, y.shape[0] // n, *y.shape[1:]))


pool_winners = Primitive(
    "pool_winners",
    forward=_winners,
    shape=_winners_shape,
    vjp=FLAT,
    jvp=FLAT,
    batch=lambda n, mapped, x, **how: _unlaned(n, pool_winners(_lanes(n, x), **how)),
    samples=lambda r: [
        ((r(2, 3, 5, 4),), {"size": (2, 3), "stride": (2, 1), "padding": ((1, 0), (0, 1))})
    ],
    doc="Where the greatest entry of each window is, counted row by row; the first of equals.",
)


@public
def max_pool(x: Any, size: Any, /, *, stride: Any = None, padding: Any = 0) -> Tensor:
    """The greatest entry of every window; the border counts as −∞.

    Shapes:  x (N, C, *space)  ->  (N, C, *places);
             places = ⌊(space + padding − size) / stride⌋ + 1
    stride:  by default the size: windows do not overlap.
    Rule:    x̄ is ȳ, added where the winners are; of equals, the first (row by row) wins.
    Raises:  DomainError if the padding is more than half the size.
    Example:
        >>> ob.max_pool([[[1.0, 3.0, 2.0, 5.0]]], 2)
        Tensor([[[3., 5.]]], float64)
    """
    x = asarray(x)
    if x.dtype.kind not in "iuf":
        raise DTypeError(f"max_pool: {x.dtype} has no greatest", got={"x": x})
    how = _how("max_pool", x, size, stride, padding)
    n, c = x.shape[:2]
    where = apply(pool_winners, (x,), how)
    flat = reshape(x, (n, c, math.prod(x.shape[2:])))
    y = apply(along_, (flat, reshape(where, (n, c, math.prod(where.shape[2:])))), {"axis": 2})
    return reshape(y, where.shape)


def _how(what: str, x: Tensor, size: Any, stride: Any, padding: Any) -> dict[str, Any]:
    kernel, stride, pairs, _ = window_arguments(
        what, x, size, size if stride is None else stride, padding
    )
    if any(2 * max(pair) > k for pair, k in zip(pairs, kernel, strict=True)):
        raise DomainError(
            f"{what}: padding={padding!r} for windows of {list(kernel)}",
            got={"x": x},
            want="at most half the size: every window sees something",
        )
    return {"size": kernel, "stride": stride, "padding": pairs}


# -- the mean ---------------------------------------------------------------------------------


def _window(k: Sizes, stride: Sizes, count: Sizes) -> tuple[Any, ...]:
    return (slice(None), slice(None), *places(k, stride, (1,) * len(k), count))


def _sums(xp: Any, x: Any, *, size: Sizes, stride: Sizes, padding: Pairs) -> Any:
    count = window_count(x.shape[2:], size, stride, padding, (1,) * len(size))
    x = padded(xp, x, padding)
    y = xp.zeros((*x.shape[:2], *count), x.dtype)
    for k in np.ndindex(*size):
        y += x[_window(k, stride, count)]
    return y


def _spread(xp: Any, y: Any, *, space: Sizes, size: Sizes, stride: Sizes, padding: Pairs) -> Any:
    wide = tuple(m + a + b for m, (a, b) in zip(space, padding, strict=True))
    x = xp.zeros((*y.shape[:2], *wide), y.dtype)
    for k in np.ndindex(*size):
        x[_window(k, stride, y.shape[2:])] += y
    return x[
        (
            slice(None),
            slice(None),
            *(slice(a, a + m) for m, (a, _) in zip(space, padding, strict=True)),
        )
    ]


def _sums_shape(x: Spec, *, size: Sizes, stride: Sizes, padding: Pairs) -> Spec:
    count = window_count(x.shape[2:], size, stride, padding, (1,) * len(size))
    return spec((*x.shape[:2], *count), x.dtype)


_SAMPLE = {"size": (2, 3), "stride": (2, 1), "padding": ((1, 0), (0, 1))}

window_sum = Primitive(
    "window_sum",
    forward=_sums,
    shape=_sums_shape,
    moves=True,
    complex=True,
    vjp=(lambda y_bar, _y, _x, **how: window_spread(y_bar, space=_x.shape[2:], **how),),
    batch=lambda n, mapped, x, **how: _unlaned(n, window_sum(_lanes(n, x), **how)),
    samples=lambda r: [((r(2, 3, 5, 4),), _SAMPLE), ((r(0, 3, 5, 4),), _SAMPLE)],
    doc="The sum over every window; the border counts as 0.",
)
window_spread = Primitive(
    "window_spread",
    forward=_spread,
    moves=True,
    complex=True,
    shape=lambda y, *, space, **_: spec((*y.shape[:2], *space), y.dtype),
    vjp=(lambda x_bar, _x, _y, *, space, **how: window_sum(x_bar, **how),),
    batch=lambda n, mapped, y, **how: _unlaned(n, window_spread(_lanes(n, y), **how)),
    samples=lambda r: [((r(2, 3, 3, 3),), {"space": (5, 4), **_SAMPLE})],
    doc="Each entry given to its whole window: the transpose of the sum over windows.",
)


@public
def avg_pool(
    x: Any, size: Any, /, *, stride: Any = None, padding: Any = 0, count_include_pad: bool = True
) -> Tensor:
    """The mean of every window.

    Shapes:  x (N, C, *space)  ->  (N, C, *places)
    count_include_pad: whether the zeros of the border count (PyTorch's default): if not, a window
             at the border is divided by the number of entries of x it sees.
    Rule:    x̄ is ȳ / n, given to the whole window.
    Example:
        >>> ob.avg_pool([[[1.0, 3.0, 2.0, 6.0]]], 2)
        Tensor([[[2., 4.]]], float64)
    """
    x = asarray(x)
    if not x.spec.floating:
        raise DTypeError(
            "avg_pool: the mean of integers is none",
            got={"x": x},
            hint="convert with x.astype(float)",
        )
    how = _how("avg_pool", x, size, stride, padding)
    total = apply(window_sum, (x,), how)
    if count_include_pad:
        return total / math.prod(how["size"])
    return total / as_tensor(_sums(np, np.ones((1, 1, *x.shape[2:]), x.dtype), **how))
