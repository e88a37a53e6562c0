"""Order: sorting, the k greatest, medians and quantiles, searching, and what is there at all.

A sort is a permutation that depends on the values: what arrives is sent back along it. NaN counts
as the greatest number, ties keep their order.
"""

from __future__ import annotations

import builtins
import operator
from typing import Any, NamedTuple

import numpy as np

from ..apply import apply
from ..errors import DomainError, ShapeError, UnknownValueError
from ..handle import Tensor, as_tensor, asarray
from ..primitive import FLAT, Primitive, public, shared
from ..spec import one_axis, spec
from .arithmetic import where
from .index import gather_, getitem, stretch
from .join import concat
from .logic import equal, isnan, logical_not
from .movement import astype, permute_dims
from .reduce import any
from .repeat import broadcast_to, kept, reshape
from .running import merged
from .searching import searchsorted_
from .select import along_

# -- primitives -------------------------------------------------------------------------------


def _flip(x: Any, axis: int) -> Any:
    return x[(slice(None),) * axis + (slice(None, None, -1),)]


def _argsort(xp: Any, x: Any, *, axis: int, descending: bool) -> Any:
    if not descending:
        return xp.argsort(x, axis=axis, kind="stable")
    last = x.shape[axis] - 1  # ties keep their order, so the flipped order is that of x flipped
    return last - _flip(xp.argsort(_flip(x, axis), axis=axis, kind="stable"), axis)


def _sort(xp: Any, x: Any, *, axis: int, descending: bool) -> Any:
    y = xp.sort(x, axis=axis)  # equal values are equal: only `argsort` can tell a stable sort
    return _flip(y, axis) if descending else y


def _sort_samples(r: Any) -> list[Any]:
    return [
        ((r(3, 4),), {"axis": 1, "descending": False}),
        ((r(4, 2),), {"axis": 0, "descending": True}),
        ((r(0),), {"axis": 0, "descending": False}),
    ]


argsort_ = Primitive(
    "argsort",
    forward=_argsort,
    shape=lambda x, *, axis, descending: spec(x.shape, np.dtype(np.intp)),
    vjp=FLAT,
    jvp=FLAT,
    batch=lambda n, mapped, x, *, axis, descending: argsort_(
        x, axis=axis + 1, descending=descending
    ),
    text=lambda x, axis, descending: f"argsort {x}",
    samples=_sort_samples,
    doc="The permutation that sorts along an axis; ties keep their order.",
)


def _reorder_lanes(n: int, mapped: Any, x: Any, order: Any, *, axis: int) -> Any:
    x, order = (
        a if m else broadcast_to(a, (n, *a.shape)) for a, m in zip((x, order), mapped, strict=True)
    )
    return reorder(x, order, axis=axis + 1)


def _inverse(order: Any, axis: int) -> Any:
    return argsort_(order, axis=axis, descending=False)


reorder = Primitive(
    "reorder",
    forward=lambda xp, x, order, *, axis: xp.take_along_axis(x, order, axis),
    shape=lambda x, order, *, axis: x,
    moves=True,
    complex=True,
    vjp=shared(
        lambda wanted, y_bar, _y, _x, order, *, axis: (
            reorder(y_bar, _inverse(order, axis), axis=axis),
            None,
        ),
        2,
    ),
    jvp=shared(lambda dots, _y, _x, order, *, axis: reorder(dots[0], order, axis=axis)),
    batch=_reorder_lanes,
    text="{0}[{1}]",
    samples=lambda r: [
        ((r(2, 3), np.array([[2, 0, 1], [0, 1, 2]])), {"axis": 1}),
        ((r(0), np.zeros(0, int)), {"axis": 0}),
    ],
    entry=lambda b, i, x, order, *, axis: x(
        *i[:axis], b.position(order(*i), x.shape[axis]), *i[axis + 1 :]
    ),
    doc="x permuted along an axis, each row in its own way.",
)


def _sort_reverse(y_bar: Any, _y: Any, x: Any, *, axis: int, descending: bool) -> Any:
    order = argsort_(x, axis=axis, descending=descending)
    return reorder(y_bar, _inverse(order, axis), axis=axis)


def _sort_dot(x_dot: Any, _y: Any, x: Any, *, axis: int, descending: bool) -> Any:
    return reorder(x_dot, argsort_(x, axis=axis, descending=descending), axis=axis)


sort_ = Primitive(
    "sort", forward=_sort, shape=lambda x, *, axis, descending: x, moves=True,
    vjp=(_sort_reverse,), jvp=(_sort_dot,),
    batch=lambda n, mapped, x, *, axis, descending: sort_(x, axis=axis + 1, descending=descending),
    text=lambda x, axis, descending: f"sort {x}", samples=_sort_samples,
    doc="The entries in ascending (or descending) order along an axis; NaN is the greatest.",
)  # fmt: skip


def _argtopk(xp: Any, x: Any, *, axis: int, k: int) -> Any:
    order = _argsort(xp, x, axis=axis, descending=True)
    return order[(slice(None),) * axis + (slice(k),)]


argtopk_ = Primitive(
    "argtopk",
    forward=_argtopk,
    shape=lambda x, *, axis, k: spec((*x.shape[:axis], k, *x.shape[axis + 1 :]), np.dtype(np.intp)),
    vjp=FLAT,
    jvp=FLAT,
    batch=lambda n, mapped, x, *, axis, k: argtopk_(x, axis=axis + 1, k=k),
    text=lambda x, axis, k: f"argtopk {x}",
    samples=lambda r: [
        ((r(3, 4),), {"axis": 1, "k": 2}),
        ((r(4, 2),), {"axis": 0, "k": 4}),
        ((r(5),), {"axis": 0, "k": 0}),
    ],
    doc="Where the k greatest entries along an axis are, greatest first; ties keep their order.",
)


# -- sorting ----------------------------------------------------------------------------------


@public
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The entries in ascending order along an axis; NaN counts as the greatest.

    Rule:    what arrives is sent back along the permutation; ties keep their order (always: a
             stable sort is also an unstable one).
    Example:
        >>> ob.sort([3.0, 1.0, 2.0], descending=True)
        Tensor([3., 2., 1.], float64)
    """
    x = asarray(x)
    return apply(
        sort_, (x,), {"axis": one_axis("sort", axis, x.ndim), "descending": bool(descending)}
    )


@public
def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The permutation that sorts along an axis; ties keep their order; flat.

    Example:
        >>> ob.argsort([3.0, 1.0, 2.0])
        Tensor([1, 2, 0], int64)
    """
    x = asarray(x)
    return apply(
        argsort_, (x,), {"axis": one_axis("argsort", axis, x.ndim), "descending": bool(descending)}
    )


class TopK(NamedTuple):
    """The k greatest entries, and where they are."""

    values: Tensor
    indices: Tensor


@public
def topk(x: Any, /, k: int, axis: int = -1) -> TopK:
    """(values, indices): the k greatest entries along an axis, in descending order.

    Rule:    the adjoint of the values goes back to where they came from; indices are flat.
    Raises:  ShapeError if there are fewer than k.
    Example:
        >>> values, indices = ob.topk([1.0, 5.0, 3.0], 2)
        >>> values, indices
        (Tensor([5., 3.], float64), Tensor([1, 2], int64))
    """
    x, k = asarray(x), operator.index(k)
    at = one_axis("topk", axis, x.ndim)
    if not 0 <= k <= x.shape[at]:
        raise ShapeError(
            f"topk: {k} of {x.shape[at]} entries", got={"x": x}, want=f"k from 0 to {x.shape[at]}"
        )
    places = apply(argtopk_, (x,), {"axis": at, "k": k})
    return TopK(apply(along_, (x, places), {"axis": at}), places)


# -- quantiles --------------------------------------------------------------------------------


def _entry(y: Tensor, i: int) -> Tensor:
    return reshape(stretch(y, y.ndim - 1, i, 1), y.shape[:-1])


def _ranked(what: str, x: Any, axis: Any) -> tuple[Tensor, tuple[int, ...]]:
    """(x sorted along the given axes, made one and the last; those axes)."""
    x = asarray(x)
    if not x.spec.floating:
        x = astype(x, np.float64)
    rows, over = merged(what, x if x.ndim else reshape(x, (1,)), axis if x.ndim else 0)
    if not rows.shape[-1]:
        raise ShapeError(
            f"{what}: of nothing", got={"x": x}, want="at least one entry along the axes"
        )
    y = sort(rows)
    return y, over if x.ndim else ()


@public
def median(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle of the sorted entries over the given axes, the mean of the two middle ones if
    their number is even; NaN if one is.

    Rule:    the adjoint goes to the entry in the middle, or half to each of the two.
    Raises:  ShapeError for the median of nothing.
    Example:
        >>> ob.median([5.0, 1.0, 2.0, 3.0])
        Tensor(2.5, float64)
    """
    x = as_tensor(x)
    y, over = _ranked("median", x, axis)
    n = y.shape[-1]
    low, high, last = _entry(y, (n - 1) // 2), _entry(y, n // 2), _entry(y, n - 1)
    middle = low if n % 2 else (low + high) * 0.5
    middle = apply(where, (isnan(last), last, middle))
    return reshape(middle, kept(x.shape, over)) if keepdims else middle


_METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


@public
def quantile(
    x: Any, q: Any, /, axis: Any = None, keepdims: bool = False, *, method: str = "linear"
) -> Tensor:
    """The value below which the fraction q of the entries lies, over the given axes; NaN if one is.

    q is a number from 0 to 1, or an array of them: its axes come first in the result. Between two
    entries the `method` decides: "linear", "lower", "higher", "nearest" or "midpoint".

    Rule:    the adjoint goes to the two neighbours, by their weights.
    Raises:  DomainError for q outside [0, 1], ShapeError for the quantile of nothing.
    Example:
        >>> ob.quantile([1.0, 2.0, 4.0], [0.5, 0.75])
        Tensor([2., 3.], float64)
    """
    if method not in _METHODS:
        raise DomainError(f"quantile: method={method!r} is not a choice", want=f"one of {_METHODS}")
    fractions = np.asarray(q.numpy() if isinstance(q, Tensor) else q, dtype=np.float64)
    if not ((fractions >= 0) & (fractions <= 1)).all():
        raise DomainError("quantile: q is a fraction", got={"q": str(q)}, want="0 <= q <= 1")
    x = as_tensor(x)
    y, over = _ranked("quantile", x, axis)
    last = y.shape[-1] - 1
    place = fractions * last
    low, weight = np.floor(place).astype(np.intp), place - np.floor(place)
    high = np.minimum(low + 1, last)
    if method == "nearest":
        low = high = np.round(place).astype(np.intp)
    elif method == "lower":
        high = low
    elif method == "higher":
        low = high = np.ceil(place).astype(np.intp)
    elif method == "midpoint":
        weight = np.where(weight > 0, 0.5, 0.0)
    under, above = getitem(y, (..., low)), getitem(y, (..., high))
    weight = weight.astype(y.dtype)
    found = under if low is high else under * (1 - weight) + above * weight
    greatest = reshape(_entry(y, last), (*y.shape[:-1], *(1,) * fractions.ndim))
    found = apply(where, (isnan(greatest), greatest, found))
    rest = y.ndim - 1
    found = permute_dims(found, (*range(rest, found.ndim), *range(rest)))
    return reshape(found, (*fractions.shape, *kept(x.shape, over))) if keepdims else found


# -- searching --------------------------------------------------------------------------------


@public
def isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Tensor:
    """Whether each entry of x1 is among those of x2 (with `invert`: is not). Nothing flows back.

    Shapes:  x1 any, x2 any  ->  that of x1. Takes as much room as x1 and x2 multiplied.
    Example:
        >>> ob.isin([1, 2, 3], [3, 1])
        Tensor([ True, False,  True], bool)
    """
    x1, x2 = asarray(x1), asarray(x2)
    found = any(equal(reshape(x1, (*x1.shape, 1)), reshape(x2, (-1,))), axis=-1)
    return logical_not(found) if invert else found


@public
def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Tensor:
    """Where to put the entries of x2 into the sorted list x1 so that it stays sorted; flat.

    side: "left" puts them before their equals, "right" behind.

    Example:
        >>> ob.searchsorted([1.0, 2.0, 3.0], [2.0, 2.5])
        Tensor([1, 2], int64)
    """
    if side not in ("left", "right"):
        raise DomainError(f"searchsorted: side={side!r} is not a choice", want="'left' or 'right'")
    x1, x2 = asarray(x1), asarray(x2)
    if sorter is not None:
        x1 = apply(gather_, (x1, asarray(sorter)))
    return apply(searchsorted_, (x1, x2), {"side": side})


@public
def digitize(x: Any, bins: Any, /, right: bool = False) -> Tensor:
    """The number of the bin each entry falls into, given the bins' ascending bounds; flat.

    Bin i holds bins[i−1] <= x < bins[i], or with `right` bins[i−1] < x <= bins[i].

    Example:
        >>> ob.digitize([0.5, 1.0, 9.0], [0.0, 1.0, 2.0])
        Tensor([1, 2, 3], int64)
    """
    bins = asarray(bins)
    if bins.value is not None and bins.ndim == 1 and np.any(np.diff(bins.value) < 0):
        raise DomainError(
            "digitize: the bounds descend",
            got={"bins": bins},
            want="ascending bounds",
            hint="flip them: ob.digitize(x, bins[::-1]), and count from the other end",
        )
    return searchsorted(bins, x, side="left" if right else "right")


@public
def diff(
    x: Any, /, *, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None
) -> Tensor:
    """The differences of neighbours along an axis, taken n times.

    prepend, append: what to put in front and behind first; a number stands for a row of them.

    Example:
        >>> ob.diff([1.0, 4.0, 9.0])
        Tensor([3., 5.], float64)
    """
    x, n = asarray(x), operator.index(n)
    if n < 0:
        raise DomainError(f"diff: n={n}", want="a whole number from 0")
    at = one_axis("diff", axis, x.ndim)
    ends = [as_tensor(e) if e is not None else None for e in (prepend, append)]
    row = kept(x.shape, (at,))
    ends = [broadcast_to(asarray(e), row) if e is not None and e.ndim == 0 else e for e in ends]
    x = concat([e for e in (ends[0], x, ends[1]) if e is not None], axis=at)
    for _ in range(n):
        count = builtins.max(x.shape[at] - 1, 0)
        above, below = stretch(x, at, builtins.min(1, x.shape[at]), count), stretch(x, at, 0, count)
        x = above != below if x.dtype.kind == "b" else above - below
    return x


# -- results whose size depends on the values -------------------------------------------------


def _known(what: str, x: Tensor) -> np.ndarray:
    """The value that the size of a result depends on.

    Raises:  UnknownValueError while tracing.
    """
    if x.value is None:
        raise UnknownValueError(
            f"{what}: the size of the result depends on the values, which are not known here",
            got={"x": x},
            hint="keep the shape: ob.where(condition, x, 0), ob.sort, ob.count_nonzero",
        )
    return np.asarray(x._known(what))  # noqa: SLF001  (the handle's own check; nothing is cut)


@public
def nonzero(x: Any, /) -> tuple[Tensor, ...]:
    """Where x is not zero (or true): one array of indices per axis; flat.

    Raises:  ShapeError for a number, UnknownValueError while tracing.
    Example:
        >>> ob.nonzero([0.0, 3.0, 4.0])
        (Tensor([1, 2], int64),)
    """
    x = asarray(x)
    if not x.ndim:
        raise ShapeError(
            "nonzero: a number has no axes to index", got={"x": x}, hint="write x != 0"
        )
    return tuple(asarray(i) for i in np.nonzero(_known("nonzero", x)))


class UniqueAll(NamedTuple):
    """The distinct values, where each is first, which one each entry is, how often each occurs."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The distinct values and how often each occurs."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The distinct values and which one each entry is."""

    values: Tensor
    inverse_indices: Tensor


@public
def unique_all(x: Any, /) -> UniqueAll:
    """The distinct values of x in ascending order, each NaN for itself; and of each the index (in
    x in a row) where it is first, which one each entry of x is, and how often it occurs.

    Rule:    the adjoint of a value goes to the entry where it is first.
    Raises:  UnknownValueError while tracing.
    Example:
        >>> ob.unique_all([3.0, 1.0, 3.0]).counts
        Tensor([1, 2], int64)
    """
    x = asarray(x)
    found = np.unique(
        _known("unique", x),
        return_index=True,
        return_inverse=True,
        return_counts=True,
        equal_nan=False,
    )
    _, first, inverse, counts = found
    values = apply(gather_, (reshape(x, (x.size,)), asarray(first)))
    return UniqueAll(values, asarray(first), asarray(inverse.reshape(x.shape)), asarray(counts))


@public
def unique_counts(x: Any, /) -> UniqueCounts:
    """The distinct values of x in ascending order, and how often each occurs: see `unique_all`."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


@public
def unique_inverse(x: Any, /) -> UniqueInverse:
    """The distinct values of x, ascending, and which one each entry is: see `unique_all`."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


@public
def unique_values(x: Any, /) -> Tensor:
    """The distinct values of x in ascending order, each NaN for itself: see `unique_all`.

    Example:
        >>> ob.unique_values([3.0, 1.0, 3.0])
        Tensor([1., 3.], float64)
    """
    return unique_all(x).values
