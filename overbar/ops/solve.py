"""Linear systems: the solution, the inverse, and what is made of them.

Every operation takes matrices in the last two axes and does all leading axes at once. That a
matrix has no inverse is found in the forward, on values; the rules never look at values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply, own
from ..errors import DomainError, DTypeError, ShapeError, SingularError
from ..handle import Tensor, as_tensor
from ..primitive import FLAT, Primitive, public, shared
from ..spec import Spec, broadcast_shape, spec
from .linear import H, matmul, matmul_, mT, of_one_dtype, star
from .movement import astype
from .repeat import broadcast_to, reshape
from .triangles import tril_, triu_, unit


def matrices(what: str, *xs: Any, square: bool = False) -> list[Tensor]:
    """The arguments as matrices of one floating dtype; integers become float64.

    Raises:  ShapeError for fewer than two axes, or for the first if it is to be square.
    """
    found = of_one_dtype(what, *xs)
    if found[0].dtype.kind not in "fc":
        found = [astype(x, np.float64) for x in found]
    if found[0].dtype == np.float16:
        raise DTypeError(
            f"{what}: half precision is too coarse for this",
            got={"a": found[0]},
            want="float32 or float64",
            hint="convert: x.astype(ob.float32)",
        )
    for name, x in zip("abc", found, strict=False):
        if x.ndim < 2:
            raise ShapeError(
                f"{what}: a matrix has two axes",
                got={name: x},
                want=f"{name}: (..., n, {'n' if square else 'm'})",
            )
    a = found[0]
    if square and a.shape[-1] != a.shape[-2]:
        raise ShapeError(
            f"{what}: the matrix is not square, {a.shape[-2]} by {a.shape[-1]}",
            got={"a": a},
            want="a: (..., n, n)",
            hint="ob.linalg.pinv serves matrices of any shape"
            if what in ("inv", "solve")
            else None,
        )
    return found


def decomposed(what: str, function: Any, a: Any, **how: Any) -> Any:
    """What LAPACK makes of a; its refusal in words.

    Entries are looked at first: of an infinity LAPACK's iterations may never end.

    Raises:  DomainError for a NaN or an infinity, SingularError if LAPACK does not converge.
    """
    if not np.isfinite(a).all():
        raise DomainError(
            f"{what}: the matrix holds a NaN or an infinity", got={"a": a}, want="finite entries"
        )
    try:
        return function(a, **how)
    except np.linalg.LinAlgError as error:
        raise SingularError(f"{what}: {error}", got={"a": a}) from None


def singular(what: str, a: np.ndarray) -> SingularError:
    """The error for a matrix without an inverse: which one it is, and its rank."""
    n = a.shape[-1]
    signs = np.linalg.slogdet(a)[0]
    at = tuple(int(i) for i in np.argwhere(signs == 0)[0]) if (signs == 0).any() else ()
    rank = int(np.linalg.matrix_rank(a[at])) if np.isfinite(a[at]).all() and n else 0
    which = f"matrix {list(at)}" if at else "the matrix"
    return SingularError(
        f"{what}: {which} has no inverse, its rank is {rank} and not {n}",
        got={"a": a},
        want="rows that are linearly independent",
        hint="ob.linalg.pinv(a) @ b is the least-squares solution of least norm",
    )


def _solve(xp: Any, a: Any, b: Any) -> Any:
    try:
        return xp.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        raise singular("solve", a) from None


def _solution(a: Spec, b: Spec, **_: bool) -> Spec:
    return spec(b.shape, np.result_type(a.dtype, b.dtype))


def _solve_back(wanted: Sequence[bool], x_bar: Any, x: Any, a: Any, _b: Any) -> tuple[Any, Any]:
    """b̄ = a⁻ᵀ x̄, and ā = −b̄ xᵀ: one more solve for both."""
    b_bar = solve_(mT(a), x_bar)
    return (-matmul_(b_bar, mT(x)) if wanted[0] else None), b_bar


def _solve_dot(dots: Sequence[Any], x: Any, a: Any, _b: Any) -> Any:
    """a ẋ = ḃ − ȧ x."""
    a_dot, b_dot = dots
    if a_dot is None:
        return solve_(a, b_dot)
    moved = matmul_(a_dot, x)
    return solve_(a, -moved if b_dot is None else b_dot - moved)


def _solve_lanes(n: int, mapped: Sequence[bool], a: Any, b: Any) -> Any:
    return solve_(*for_every_lane(n, mapped, a, b))


def for_every_lane(n: int, mapped: Sequence[bool], *xs: Any) -> list[Any]:
    """The operands with the lanes in front, those too that are the same for all."""
    pairs = zip(xs, mapped, strict=True)
    return [x if m else broadcast_to(x, (n, *x.shape)) for x, m in pairs]


solve_ = Primitive(
    "solve",
    forward=_solve,
    shape=_solution,
    vjp=shared(_solve_back, 2),
    jvp=shared(_solve_dot),
    batch=_solve_lanes,
    text="{0}⁻¹ {1}",
    tex=r"{0}^{{-1}}\,{1}",
    complex=True,
    samples=lambda r: [
        ((r(3, 3) + 4 * np.eye(3), r(3, 2)), {}),
        ((r(2, 3, 3) + 4 * np.eye(3), r(2, 3, 1)), {}),
        ((r(0, 0), r(0, 2)), {}),
    ],
    doc="The x for which a x = b; both sides carry the same leading axes.",
)


@public(namespace="linalg")
def solve(a: Any, b: Any, /) -> Tensor:
    """The x for which a @ x = b.

    Shapes:  a (..., n, n), b (..., n, m)  ->  (..., n, m); a vector b (n,) gives a vector; the
             leading axes broadcast.
    Rule:    b̄ = a⁻ᵀ x̄,  ā = −b̄ xᵀ: one more solve with the transpose, never an inverse.
    Raises:  SingularError if elimination finds no pivot.
    Cost:    2/3 n³ + 2 n² m operations, and as many for the reverse rule of both sides together.
    Source:  Giles (2008), Collected matrix derivative results, 2.3.1.
    Example:
        >>> ob.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 4.0])
        Tensor([1., 1.], float64)
    """
    a, b, vector = _system("solve", a, b)
    x = apply(solve_, (a, b))
    return reshape(x, x.shape[:-1]) if vector else x


def _system(what: str, a: Any, b: Any) -> tuple[Tensor, Tensor, bool]:
    """Both sides as matrices with the same leading axes; whether the right one was a vector."""
    b = as_tensor(b)
    if not b.ndim:
        raise ShapeError(
            f"{what}: a number is no right-hand side", got={"b": b}, want="b: (n,) or (..., n, m)"
        )
    vector = b.ndim == 1
    a, b = matrices(what, a, reshape(b, (*b.shape, 1)) if vector else b, square=True)
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"{what}: {a.shape[-1]} unknowns against {b.shape[-2]} rows on the right",
            got={"a": a, "b": b},
            want="a: (..., n, n)   b: (..., n, m)   ->   (..., n, m)",
            hint="a batch of vectors is b[..., None]" if b.shape[-1] == a.shape[-1] else None,
        )
    lead = broadcast_shape(
        what, {"a's leading axes": a.shape[:-2], "b's leading axes": b.shape[:-2]}
    )
    return broadcast_to(a, lead + a.shape[-2:]), broadcast_to(b, lead + b.shape[-2:]), vector


# -- triangles --------------------------------------------------------------------------------

_BLOCK = 48
"""Triangles up to this size are left to LAPACK; larger ones are halved, and most of the work is a
product: of 150 rows and right-hand sides, twice as fast as one call.
"""


def _triangular(xp: Any, a: Any, b: Any, *, lower: bool) -> Any:
    if not np.diagonal(a, 0, -2, -1).all():
        raise singular("solve_triangular", np.tril(a) if lower else np.triu(a))
    return _substituted(a, b, lower=lower)


def _substituted(a: np.ndarray, b: np.ndarray, *, lower: bool) -> np.ndarray:
    n = a.shape[-1]
    if n <= _BLOCK:
        return np.linalg.solve(np.tril(a) if lower else np.triu(a), b)
    h = n // 2
    upper, under = slice(None, h), slice(h, None)
    first, then = (upper, under) if lower else (under, upper)
    x = np.empty(b.shape, np.result_type(a, b))
    x[..., first, :] = _substituted(a[..., first, first], b[..., first, :], lower=lower)
    rest = b[..., then, :] - a[..., then, first] @ x[..., first, :]
    x[..., then, :] = _substituted(a[..., then, then], rest, lower=lower)
    return x


def _cut(x: Any, lower: bool) -> Any:
    return tril_(x, k=0) if lower else triu_(x, k=0)


def _triangular_back(
    wanted: Sequence[bool], x_bar: Any, x: Any, a: Any, _b: Any, *, lower: bool
) -> tuple[Any, Any]:
    b_bar = triangular_(mT(a), x_bar, lower=not lower)
    return (-_cut(matmul_(b_bar, mT(x)), lower) if wanted[0] else None), b_bar


def _triangular_dot(dots: Sequence[Any], x: Any, a: Any, _b: Any, *, lower: bool) -> Any:
    a_dot, b_dot = dots
    if a_dot is None:
        return triangular_(a, b_dot, lower=lower)
    moved = matmul_(_cut(a_dot, lower), x)
    return triangular_(a, -moved if b_dot is None else b_dot - moved, lower=lower)


def _triangular_lanes(n: int, mapped: Sequence[bool], a: Any, b: Any, *, lower: bool) -> Any:
    return triangular_(*for_every_lane(n, mapped, a, b), lower=lower)


triangular_ = Primitive(
    "solve_triangular",
    forward=_triangular,
    shape=_solution,
    vjp=shared(_triangular_back, 2),
    jvp=shared(_triangular_dot),
    batch=_triangular_lanes,
    text="{0}⁻¹ {1}",
    tex=r"{0}^{{-1}}\,{1}",
    complex=True,
    samples=lambda r: [
        ((r(3, 3) + 4 * np.eye(3), r(3, 2)), {"lower": True}),
        ((r(2, 3, 3) + 4 * np.eye(3), r(2, 3, 1)), {"lower": False}),
        ((0.1 * r(50, 50) + 4 * np.eye(50), r(50, 1)), {"lower": True}),
        ((r(0, 0), r(0, 2)), {"lower": False}),
    ],
    doc="The x for which a triangle of a times x is b; both sides carry the same leading axes.",
)


@public(namespace="linalg")
def solve_triangular(a: Any, b: Any, /, *, lower: bool = False) -> Tensor:
    """The x for which triangle(a) @ x = b; the other triangle of a is not looked at.

    Shapes:  a (..., n, n), b (..., n, m) or (n,)  ->  that of b
    Rule:    that of `solve`, of which ā keeps the triangle.
    Raises:  SingularError for a zero on the diagonal.
    Cost:    n² m operations, as many for b̄, and as many for ā.
    Example:
        >>> ob.linalg.solve_triangular([[2.0, 9.0], [1.0, 1.0]], [2.0, 2.0], lower=True)
        Tensor([1., 1.], float64)
    """
    a, b, vector = _system("solve_triangular", a, b)
    x = apply(triangular_, (a, b), {"lower": bool(lower)})
    return reshape(x, x.shape[:-1]) if vector else x


# -- the inverse ------------------------------------------------------------------------------


def _inverse(xp: Any, a: Any) -> Any:
    try:
        return xp.linalg.inv(a)
    except np.linalg.LinAlgError:
        raise singular("inv", a) from None


inv_ = Primitive(
    "inv",
    forward=_inverse,
    shape=lambda a: a,
    complex=True,
    text="{0}⁻¹",
    tex=r"{0}^{{-1}}",
    vjp=(lambda y_bar, y, _a: -matmul_(mT(y), matmul_(y_bar, mT(y))),),
    jvp=(lambda a_dot, y, _a: -matmul_(y, matmul_(a_dot, y)),),
    batch=lambda n, mapped, a: inv_(a),
    samples=lambda r: [
        ((r(3, 3) + 4 * np.eye(3),), {}),
        ((r(2, 2, 2) + 3 * np.eye(2),), {}),
        ((r(0, 0),), {}),
    ],
    doc="The inverse of a square matrix.",
)


@public(namespace="linalg")
def inv(a: Any, /) -> Tensor:
    """The inverse y of a: y a = a y = 1. To solve a x = b, `solve` is faster and more accurate.

    Shapes:  a (..., n, n)  ->  (..., n, n)
    Rule:    ā = −yᵀ ȳ yᵀ.
    Raises:  SingularError if elimination finds no pivot.
    Source:  Giles (2008), Collected matrix derivative results, 2.2.3.
    Example:
        >>> ob.linalg.inv([[2.0, 0.0], [0.0, 4.0]])
        Tensor([[0.5 , 0.  ],
                [0.  , 0.25]], float64)
    """
    return apply(inv_, tuple(matrices("inv", a, square=True)))


@public(namespace="linalg")
def matrix_power(a: Any, n: int, /) -> Tensor:
    """a multiplied n times by itself; of the inverse for n < 0, the identity for n = 0.

    Shapes:  a (..., n, n)  ->  (..., n, n)
    Raises:  SingularError for n < 0 and a matrix without an inverse.
    Cost:    at most 2 log₂ n products.
    Example:
        >>> ob.linalg.matrix_power([[1.0, 1.0], [0.0, 1.0]], 5)
        Tensor([[1., 5.],
                [0., 1.]], float64)
    """
    if not isinstance(n, int | np.integer) or isinstance(n, bool):
        raise DTypeError(f"matrix_power: the power is a whole number, not {n!r}", want="n: an int")
    (a,) = of_one_dtype("matrix_power", a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or n < 0:
        (a,) = matrices("matrix_power", a, square=True)
    if n == 0:
        return broadcast_to(unit(a), a.shape)
    square, n = (inv(a) if n < 0 else a), abs(int(n))
    y = None
    while n:
        if n & 1:
            y = square if y is None else matmul(y, square)
        n >>= 1
        if n:
            square = matmul(square, square)
    return own(y)  # type: ignore[arg-type]


# -- the pseudo-inverse and the rank ----------------------------------------------------------


def _threshold(a: Any, rtol: float | None) -> float:
    """Singular values below this share of the largest count as zero."""
    return max(a.shape[-2:], default=0) * float(np.finfo(a.dtype).eps) if rtol is None else rtol


def _pseudo_inverse(xp: Any, a: Any, *, rtol: float | None) -> Any:
    if not a.size:
        return xp.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
    return decomposed("pinv", xp.linalg.pinv, a, rcond=_threshold(a, rtol))


def _pinv_back(p_bar: Any, p: Any, a: Any, *, rtol: float | None) -> Any:
    g, ph = star(p_bar), H(p)
    rows, columns = (
        unit(spec(a.shape[-1:], a.dtype)) - matmul_(p, a),
        unit(spec(a.shape[-2:-1], a.dtype)) - matmul_(a, p),
    )
    a_bar = -matmul_(ph, matmul_(g, ph))
    a_bar = a_bar + matmul_(columns, matmul_(H(g), matmul_(p, ph)))
    return star(a_bar + matmul_(matmul_(ph, p), matmul_(H(g), rows)))


def _pinv_dot(a_dot: Any, p: Any, a: Any, *, rtol: float | None) -> Any:
    ph, dh = H(p), H(a_dot)
    rows, columns = (
        unit(spec(a.shape[-1:], a.dtype)) - matmul_(p, a),
        unit(spec(a.shape[-2:-1], a.dtype)) - matmul_(a, p),
    )
    p_dot = -matmul_(p, matmul_(a_dot, p)) + matmul_(matmul_(p, ph), matmul_(dh, columns))
    return p_dot + matmul_(rows, matmul_(dh, matmul_(ph, p)))


pinv_ = Primitive(
    "pinv",
    forward=_pseudo_inverse,
    shape=lambda a, *, rtol: spec((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype),
    vjp=(_pinv_back,),
    jvp=(_pinv_dot,),
    batch=lambda n, mapped, a, *, rtol: pinv_(a, rtol=rtol),
    text="{0}⁺",
    tex=r"{0}^{{+}}",
    complex=True,
    samples=lambda r: [((r(4, 2),), {"rtol": None}), ((r(2, 2, 3),), {"rtol": None})],
    doc="The pseudo-inverse of Moore and Penrose.",
)


@public(namespace="linalg")
def pinv(a: Any, /, *, rtol: float | None = None) -> Tensor:
    """The pseudo-inverse p of a: p b is the least-squares solution of a x = b that has least norm.

    Shapes:  a (..., n, m)  ->  (..., m, n). Singular values up to `rtol` times the largest count as
             zero; None: max(n, m) times the precision of the dtype.
    Rule:    ṗ = −p ȧ p + p pᴴ ȧᴴ (1 − a p) + (1 − p a) ȧᴴ pᴴ p, which holds where the rank does not
             change; where it does, p itself jumps.
    Source:  Golub and Pereyra (1973), The differentiation of pseudo-inverses.
    Example:
        >>> ob.linalg.pinv([[2.0], [0.0]])
        Tensor([[0.5, 0. ]], float64)
    """
    return apply(pinv_, tuple(matrices("pinv", a)), {"rtol": None if rtol is None else float(rtol)})


def _rank(xp: Any, a: Any, *, rtol: float | None) -> Any:
    if not a.size:
        return xp.zeros(a.shape[:-2], np.int64)[()]
    s = decomposed("matrix_rank", xp.linalg.svd, a, compute_uv=False)
    return xp.sum(s > s.max(-1, keepdims=True) * _threshold(a, rtol), axis=-1, dtype=np.int64)


rank_ = Primitive(
    "matrix_rank",
    forward=_rank,
    shape=lambda a, *, rtol: spec(a.shape[:-2], np.dtype(np.int64)),
    vjp=FLAT,
    jvp=FLAT,
    batch=lambda n, mapped, a, *, rtol: rank_(a, rtol=rtol),
    text="rank {0}",
    complex=True,
    samples=lambda r: [((r(3, 2),), {"rtol": None}), ((r(2, 3, 3),), {"rtol": 1e-3})],
    doc="How many singular values are not zero.",
)


@public(namespace="linalg")
def matrix_rank(a: Any, /, *, rtol: float | None = None) -> Tensor:
    """How many singular values of a are larger than `rtol` times the largest.

    Shapes:  a (..., n, m)  ->  (...), integers: nothing flows back through it.
    Example:
        >>> ob.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]])
        Tensor(1, int64)
    """
    return apply(
        rank_, tuple(matrices("matrix_rank", a)), {"rtol": None if rtol is None else float(rtol)}
    )
