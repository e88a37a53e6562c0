"""Norms: how long a vector is, how much a matrix stretches.

The derivative of a norm at 0, where it has none, is 0; so is that of |x|. Entries whose squares
would overflow are scaled first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DomainError, ShapeError
from ..handle import Tensor, as_tensor
from ..primitive import Primitive, public
from ..spec import Spec, axes, one_axis, real_dtype, spec
from .arithmetic import where
from .complexes import abs_
from .linear import star
from .logic import equal, less, not_equal
from .movement import astype, permute_dims, real
from .reduce import max as greatest
from .reduce import min as least
from .repeat import broadcast_to, dropped, kept, reshape, spread, sum_
from .repeat import sum as total
from .singular import svdvals
from .smooth import power, sqrt


def _reduced(x: Spec, *, axis: tuple[int, ...], **_: Any) -> Spec:
    return spec(dropped(x.shape, axis), real_dtype(x.dtype))


def _length(xp: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    """√Σ|x|², with the entries scaled if their squares would leave the range of the dtype."""
    size = xp.abs(x)
    limits, largest = np.finfo(size.dtype), size.max(axis, keepdims=True, initial=0)
    low, high = math.sqrt(limits.tiny) / limits.eps, math.sqrt(limits.max / max(x.size, 1))
    if ((largest == 0) | ((low < largest) & (largest < high))).all():
        return xp.sqrt((size * size).sum(axis))
    scale = xp.where((largest > 0) & (largest < np.inf), largest, size.dtype.type(1))
    with np.errstate(over="ignore", under="ignore"):  # beside an infinity, or far below the largest
        size = size / scale
        return xp.sqrt((size * size).sum(axis)) * scale.reshape(dropped(x.shape, axis))


def _length_formula(x: Any, *, axis: tuple[int, ...]) -> Any:
    """The same in one pass. Squares of short floats are summed in float64, which holds them all;
    of float64 there are three sums: one of the squares, and, for where those leave the range, one
    with the entries scaled up and one with the great ones scaled down, by powers of two, which
    round nothing.

    Source:  Blue (1978), A Portable Fortran Program to Find the Euclidean Norm of a Vector.
    """
    size = abs_(x)
    if size.dtype != np.float64:
        size = astype(size, np.float64)
        return astype(sqrt(total(size * size, axis)), real_dtype(x.dtype))
    middle, tiny = (where(less(most, size), most, size) for most in (2.0**480, 2.0**-300))
    great = where(less(2.0**400, size), size, 0.0)
    scaled = middle, tiny * 2.0**600, great * 2.0**-600  # none of the squares overflows
    near, above, below = (total(s * s, axis) for s in scaled)
    up, down = less(near, 2.0**-900), less(2.0**950, near)
    root = sqrt(where(up, above, where(down, below, near)))
    return root * where(up, 2.0**-600, where(down, 2.0**600, 1.0))


def _reciprocal(y: Any) -> Any:
    """1 / y, and 0 where y is 0: the choice at the tip of the norm."""
    zero = equal(y, 0)
    return where(zero, y * 0, 1 / where(zero, y * 0 + 1, y))


def _length_dot(x_dot: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    along = star(x) * x_dot
    return sum_(real(along) if along.dtype.kind == "c" else along, axis=axis) * _reciprocal(y)


length_ = Primitive(
    "length",
    forward=_length,
    shape=_reduced,
    complex=True,
    selects=True,
    vjp=(lambda y_bar, y, x, *, axis: spread(y_bar * _reciprocal(y), x.shape, axis) * star(x),),
    jvp=(_length_dot,),
    batch=lambda n, mapped, x, *, axis: length_(x, axis=tuple(a + 1 for a in axis)),
    text="‖{0}‖",
    tex=r"\lVert {0} \rVert",
    samples=lambda r: [
        ((r(3, 4),), {"axis": (1,)}),
        ((r(3, 4),), {"axis": (0, 1)}),
        ((r(2, 0),), {"axis": (1,)}),
    ],
    expands=_length_formula,
    doc="The Euclidean length over some axes.",
)


def _p_norm(xp: Any, m: Any, *, p: float, axis: tuple[int, ...]) -> Any:
    with np.errstate(all="ignore"):
        if p < 0 or not m.size:
            return xp.power(xp.power(m, m.dtype.type(p)).sum(axis), m.dtype.type(1 / p))
        scale = m.max(axis, keepdims=True)
        scale = xp.where((scale > 0) & (scale < np.inf), scale, m.dtype.type(1))
        total_of = xp.power(m / scale, m.dtype.type(p)).sum(axis)
        return xp.power(total_of, m.dtype.type(1 / p)) * scale.reshape(dropped(m.shape, axis))


def _p_formula(m: Any, *, p: float, axis: tuple[int, ...]) -> Any:
    if p < 0:
        return power(total(power(m, p), axis), 1 / p)
    top = greatest(m, axis, keepdims=True)
    scale = where(less(0, top) & less(top, math.inf), top, 1.0)
    sums = total(power(m / broadcast_to(scale, m.shape), p), axis)
    return power(sums, 1 / p) * reshape(scale, dropped(m.shape, axis))


def _p_slope(y: Any, m: Any, p: float, axis: tuple[int, ...]) -> Any:
    """(m / y)^(p − 1), and 0 where m is 0."""
    zero = equal(m, 0)
    ratio = m * spread(_reciprocal(y), m.shape, axis)
    return where(zero, m * 0, power(where(zero, m * 0 + 1, ratio), p - 1))


p_norm_ = Primitive(
    "p_norm",
    forward=_p_norm,
    shape=_reduced,
    vjp=(lambda y_bar, y, m, *, p, axis: spread(y_bar, m.shape, axis) * _p_slope(y, m, p, axis),),
    jvp=(lambda m_dot, y, m, *, p, axis: sum_(m_dot * _p_slope(y, m, p, axis), axis=axis),),
    batch=lambda n, mapped, m, *, p, axis: p_norm_(m, p=p, axis=tuple(a + 1 for a in axis)),
    text=lambda m, p, axis: f"‖{m}‖{p:g}",
    samples=lambda r: [
        ((abs(r(3, 4)) + 0.1,), {"p": 3.0, "axis": (1,)}),
        ((abs(r(3, 4)) + 0.1,), {"p": 1.5, "axis": (0, 1)}),
    ],
    expands=_p_formula,
    doc="(Σ mᵖ)^(1/p) of numbers that are not negative.",
)


def _floating(what: str, x: Any) -> Tensor:
    x = as_tensor(x)
    return (
        x if x.spec.floating and not x.spec.weak else astype(x, np.result_type(x.dtype, np.float64))
    )


def _order(what: str, ord: Any) -> float:
    if (
        isinstance(ord, bool)
        or not isinstance(ord, int | float | np.integer | np.floating)
        or math.isnan(ord)
    ):
        raise DomainError(f"{what}: ord={ord!r} names no norm", want="a number, or ob.inf")
    return float(ord)


def _extreme(m: Tensor, over: tuple[int, ...], most: bool) -> Tensor:
    return greatest(m, over) if most else least(m, over)


@public(namespace="linalg")
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The length of vectors: ord 2 Euclid's √Σ|x|², 1 the sum of sizes, inf (−inf) the largest
    (smallest) size, 0 how many entries are not zero, else (Σ|x|^ord)^(1/ord).

    Shapes:  over the given axes, all of them by default: x counts as one vector.
    Rule:    x̄ = ȳ x / ‖x‖ for ord 2; 0 where the norm is 0.
    Example:
        >>> ob.linalg.vector_norm([3.0, 4.0])
        Tensor(5., float64)
        >>> ob.grad(ob.linalg.vector_norm)(np.zeros(2))
        array([0., 0.])
    """
    x = _floating("vector_norm", x)
    over, p = axes("vector_norm", axis, x.ndim), _order("vector_norm", ord)
    if p == 2:
        y = apply(length_, (x,), {"axis": over})
    elif p == 0:
        m = apply(not_equal, (x, 0))
        y = total(astype(m, real_dtype(x.dtype)), over)
    elif math.isinf(p):
        if not all(x.shape[a] for a in over):
            raise ShapeError(
                "vector_norm: there is no largest or smallest entry of nothing", got={"x": x}
            )
        y = _extreme(abs_(x), over, p > 0)
    elif p == 1:
        y = total(abs_(x), over)
    else:
        y = apply(p_norm_, (abs_(x),), {"p": p, "axis": over})
    return reshape(y, kept(x.shape, over)) if keepdims else y


@public(namespace="linalg")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """The size of matrices: "fro" Frobenius' √Σ|x|², "nuc" the sum of the singular values, 2 (−2)
    the largest (smallest) of them, 1 (−1) the largest (smallest) sum of sizes in a column, inf
    (−inf) in a row.

    Shapes:  x (..., n, m)  ->  (...)
    Rule:    x̄ = ȳ x / ‖x‖ for "fro"; that of the singular values, and of sums, for the others.
    Raises:  DomainError for another ord.
    Example:
        >>> ob.linalg.matrix_norm([[1.0, 2.0], [2.0, 4.0]])
        Tensor(5., float64)
    """
    x = _floating("matrix_norm", x)
    if x.ndim < 2:
        raise ShapeError("matrix_norm: a matrix has two axes", got={"x": x}, want="x: (..., n, m)")
    rows, columns = x.ndim - 2, x.ndim - 1
    if ord == "fro":
        y = apply(length_, (x,), {"axis": (rows, columns)})
    elif ord == "nuc":
        y = total(svdvals(x), -1)
    elif ord in (2, -2):
        y = _extreme(svdvals(x), (x.ndim - 2,), ord > 0)
    elif ord in (1, -1):
        y = _extreme(total(abs_(x), rows), (x.ndim - 2,), ord > 0)
    elif ord in (math.inf, -math.inf):
        y = _extreme(total(abs_(x), columns), (x.ndim - 2,), ord > 0)
    else:
        raise DomainError(
            f"matrix_norm: ord={ord!r} names no norm",
            want='"fro", "nuc", 1, -1, 2, -2, inf or -inf',
        )
    return reshape(y, (*y.shape, 1, 1)) if keepdims else y


@public(namespace="linalg")
def norm(x: Any, /, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """NumPy's norm: of all entries as one vector by default; with `ord` that of the vector or the
    matrix that x is; with an `axis` of vectors, with two of matrices.

    Raises:  ShapeError for the norm of more than two axes at once.
    Example:
        >>> ob.linalg.norm([[3.0, 0.0], [0.0, 4.0]])
        Tensor(5., float64)
    """
    x = _floating("norm", x)
    if axis is None and ord is None:
        return vector_norm(x, keepdims=keepdims)
    over = tuple(range(x.ndim)) if axis is None else _in_order(axis, x.ndim)
    if len(over) == 1:
        return vector_norm(x, axis=over, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(over) != 2:
        raise ShapeError(
            f"norm: there is no norm of {len(over)} axes together",
            got={"x": x},
            want="axis: one axis, or two",
            hint="ob.linalg.vector_norm takes any number of axes as one vector",
        )
    rest = tuple(i for i in range(x.ndim) if i not in over)
    y = matrix_norm(permute_dims(x, (*rest, *over)), ord="fro" if ord is None else ord)
    return reshape(y, kept(x.shape, over)) if keepdims else y


def _in_order(axis: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    """The axes in the order in which they are named: rows, then columns."""
    axes("norm", axis if isinstance(axis, int | np.integer) else tuple(axis), ndim)
    return tuple(
        one_axis("norm", a, ndim) for a in ((axis,) if isinstance(axis, int | np.integer) else axis)
    )
