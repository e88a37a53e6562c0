"""Functions of matrices: the exponential; logarithm and square root of symmetric ones; and the
least-squares solution.

No rule divides by a difference of eigenvalues, so all hold where eigenvalues coincide, at every
order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DomainError, ShapeError
from ..handle import Tensor, as_tensor
from ..primitive import Primitive, public, shared
from ..spec import Spec, broadcast_shape, spec
from .factor import symmetric_matrix, symmetric_part
from .index import stretch
from .join import concat_
from .linear import H, matmul_, mT, star
from .repeat import broadcast_to, reshape
from .solve import decomposed, for_every_lane, matrices, pinv_

# -- the exponential --------------------------------------------------------------------------

_PADE = [
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
    10559470521600, 670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
]  # fmt: skip


def _exponential(xp: Any, a: Any) -> Any:
    """The Padé approximant of order 13 of a 2⁻ˢ, squared s times."""
    if not a.size:
        return a.copy()
    if not np.isfinite(a).all():
        raise DomainError("expm: the matrix holds a NaN or an infinity", got={"a": a})
    wide = a.astype(np.result_type(a.dtype, np.float64))
    norm = float(np.abs(wide).sum(-2).max())
    s = max(0, math.ceil(math.log2(norm / 5.37))) if norm else 0
    x = wide / 2.0**s
    b, one = _PADE, np.eye(a.shape[-1])
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    odd = x6 @ (b[13] * x6 + b[11] * x4 + b[9] * x2)
    odd = x @ (odd + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one)
    even = x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2)
    even = even + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    y = np.linalg.solve(even - odd, even + odd)
    for _ in range(s):
        y = y @ y
    return y.astype(a.dtype)


def _along(a: Any, e: Any) -> Any:
    """The derivative of exp at a in the direction e: a block of exp [[a, e], [0, a]]."""
    n, last = a.shape[-1], a.ndim - 1
    above = concat_(a, e, axis=last)
    below = concat_(np.zeros(a.shape, a.dtype), a, axis=last)
    y = expm_(concat_(above, below, axis=last - 1))
    return stretch(stretch(y, last - 1, 0, n), last, n, n)


expm_ = Primitive(
    "expm",
    forward=_exponential,
    shape=lambda a: a,
    vjp=(lambda y_bar, _y, a: _along(mT(a), y_bar),),
    jvp=(lambda a_dot, _y, a: _along(a, a_dot),),
    batch=lambda n, mapped, a: expm_(a),
    text="exp {0}",
    tex=r"\exp {0}",
    complex=True,
    samples=lambda r: [((r(3, 3),), {}), ((3 * r(2, 2, 2),), {}), ((r(0, 0),), {})],
    doc="The exponential of a square matrix.",
)


@public(namespace="linalg")
def expm(a: Any, /) -> Tensor:
    """The exponential Σ aᵏ / k! of a square matrix.

    Shapes:  a (..., n, n)  ->  (..., n, n)
    Rule:    ẏ is the upper right block of exp [[a, ȧ], [0, a]]; ā the same of aᵀ and ȳ.
    Cost:    about 8 products and one solve, and as many again as the norm of a has binary digits;
             each rule eight times that.
    Source:  Higham (2005), The scaling and squaring method for the matrix exponential revisited;
             Mathias (1996), A chain rule for matrix functions.
    Example:
        >>> ob.linalg.expm([[0.0, 1.0], [0.0, 0.0]])
        Tensor([[1., 1.],
                [0., 1.]], float64)
    """
    return apply(expm_, tuple(matrices("expm", a, square=True)))


# -- logarithm and square root of symmetric matrices -------------------------------------------
# Both are integrals of resolvents, log a = ∫ (1/(1+t) − (a+t)⁻¹) dt and
# √a = π⁻¹ ∫ √t (1/t − (a+t)⁻¹) dt over t > 0. So the k-th derivative is an integral of products of
# k + 1 resolvents of one sign, in which nothing cancels; with t = exp s the trapezoidal rule gives
# it to full precision, for the integrand is analytic in the strip |Im s| < π.

_STEP = 0.5
_NODES = {"log": (1.0, 1.0, 40.0), "sqrt": (1.5, 1 / math.pi, 80.0)}
"""Of each function: the power of t in t dt/ds, the factor, and how far above the largest eigenvalue
the integral reaches, in s."""


def _spectral(xp: Any, a: Any, *directions: Any, f: str) -> Any:
    wide = np.result_type(a.dtype, np.float64)
    w, v = decomposed(f"{f}m", np.linalg.eigh, symmetric_part(a.astype(wide)))
    w = _positive(f, w, a)
    back = v.swapaxes(-1, -2)
    if not directions:
        return ((v * getattr(np, f)(w)[..., None, :]) @ back).astype(a.dtype)
    turned = [back @ symmetric_part(e.astype(wide)) @ v for e in directions]
    y = np.zeros(turned[0].shape)
    if y.size:
        power, factor, reach = _NODES[f]
        low, high = math.log(max(w.min(), 1e-300)), math.log(max(w.max(), 1e-300))
        for s in np.arange(low - 40.0, high + reach, _STEP):
            r = 1 / (w + math.exp(s))
            weight = _STEP * factor * math.exp(power * s) * (-1) ** (len(directions) - 1)
            for order in itertools.permutations(turned):
                term = weight * r[..., :, None] * order[0] * r[..., None, :]
                for e in order[1:]:
                    term = (term @ e) * r[..., None, :]
                y += term
    return (v @ y @ back).astype(a.dtype)


def _positive(f: str, w: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The eigenvalues; what is negative by rounding only is zero."""
    noise = w.shape[-1] * np.finfo(a.dtype).eps * np.abs(w).max(initial=0.0)
    least = float(w.min(initial=np.inf))
    if least < -noise or (f == "log" and least <= 0):
        raise DomainError(
            f"{f}m: the smallest eigenvalue is {least:.3g}",
            got={"a": a},
            want=f"a symmetric matrix whose eigenvalues are {'positive' if f == 'log' else '≥ 0'}",
        )
    return np.maximum(w, 0.0)


def _spectral_back(
    wanted: Sequence[bool], y_bar: Any, _y: Any, a: Any, *directions: Any, f: str
) -> list[Any]:
    """tr(ȳ Dᵏf(a)[e₁, …]) is symmetric in ȳ and all e: each adjoint is such a derivative."""
    bars: list[Any] = [spectral_(a, y_bar, *directions, f=f) if wanted[0] else None]
    for i in range(len(directions)):
        rest = directions[:i] + directions[i + 1 :]
        bars.append(spectral_(a, y_bar, *rest, f=f) if wanted[i + 1] else None)
    return bars


def _spectral_dot(dots: Sequence[Any], _y: Any, a: Any, *directions: Any, f: str) -> Any:
    a_dot, total = dots[0], None
    terms = [] if a_dot is None else [spectral_(a, a_dot, *directions, f=f)]
    for i, dot in enumerate(dots[1:]):
        if dot is not None:
            rest = directions[:i] + directions[i + 1 :]
            terms.append(spectral_(a, dot, *rest, f=f))
    for term in terms:
        total = term if total is None else total + term
    return total


def _spectral_lanes(n: int, mapped: Sequence[bool], *xs: Any, f: str) -> Any:
    lanes = [x if m else broadcast_to(x, (n, *x.shape)) for x, m in zip(xs, mapped, strict=True)]
    return spectral_(*lanes, f=f)


def _definite(x: np.ndarray) -> np.ndarray:
    return x @ x.swapaxes(-1, -2) + np.eye(x.shape[-1])


spectral_ = Primitive(
    "spectral",
    forward=_spectral,
    shape=lambda a, *directions, f: a,
    vjp=shared(_spectral_back, 2),
    jvp=shared(_spectral_dot),
    batch=_spectral_lanes,
    text=lambda a, *directions, f: f"{f}({', '.join((a, *directions))})",
    samples=lambda r: [
        ((_definite(r(3, 3)),), {"f": "log"}),
        ((_definite(r(2, 2, 2)),), {"f": "sqrt"}),
        ((_definite(r(2, 2)), r(2, 2)), {"f": "log"}),
        ((_definite(r(2, 2)), r(2, 2), r(2, 2)), {"f": "sqrt"}),
    ],
    doc="A function of a symmetric matrix, or its derivative along as many directions as follow.",
)


@public(namespace="linalg")
def logm(a: Any, /) -> Tensor:
    """The logarithm of a symmetric matrix: the symmetric y with exp y = a.

    Shapes:  a (..., n, n)  ->  (..., n, n)
    Rule:    ẏ = ∫ (a + t)⁻¹ ȧ (a + t)⁻¹ dt over t > 0, ā the same of ȳ.
    Raises:  DomainError if a is not symmetric, or has an eigenvalue that is not positive.
    Source:  Bhatia (1997), Matrix Analysis, V.3; Higham (2008), Functions of Matrices, 11.1.
    Example:
        >>> ob.linalg.logm([[1.0, 0.0], [0.0, 1.0]])
        Tensor([[0., 0.],
                [0., 0.]], float64)
    """
    return apply(spectral_, (symmetric_matrix("logm", a),), {"f": "log"})


@public(namespace="linalg")
def sqrtm(a: Any, /) -> Tensor:
    """The square root of a symmetric matrix: the symmetric y ≥ 0 with y y = a.

    Shapes:  a (..., n, n)  ->  (..., n, n)
    Rule:    y ẏ + ẏ y = ȧ, ā the same of ȳ; infinite where a is singular.
    Raises:  DomainError if a is not symmetric, or has a negative eigenvalue.
    Source:  Higham (2008), Functions of Matrices, 6.1.
    Example:
        >>> ob.linalg.sqrtm([[4.0, 0.0], [0.0, 9.0]])
        Tensor([[2., 0.],
                [0., 3.]], float64)
    """
    return apply(spectral_, (symmetric_matrix("sqrtm", a),), {"f": "sqrt"})


# -- least squares ----------------------------------------------------------------------------


def _least_squares(xp: Any, a: Any, b: Any, *, rtol: float | None) -> Any:
    return pinv_.run(a, rtol=rtol) @ b


def _unknowns(a: Spec, b: Spec, *, rtol: float | None) -> Spec:
    dtype = np.result_type(a.dtype, b.dtype)
    return spec((*a.shape[:-2], a.shape[-1], b.shape[-1]), dtype)


def _least_squares_back(
    wanted: Sequence[bool], x_bar: Any, x: Any, a: Any, b: Any, *, rtol: float | None
) -> tuple[Any, Any]:
    p = pinv_(a, rtol=rtol)
    g = star(x_bar)
    b_bar = matmul_(H(p), g)
    a_bar = None
    if wanted[0]:
        rest, free = b - matmul_(a, x), g - matmul_(p, matmul_(a, g))
        a_bar = -matmul_(b_bar, H(x)) + matmul_(rest, H(matmul_(p, b_bar)))
        a_bar = star(a_bar + matmul_(matmul_(H(p), x), H(free)))
    return a_bar, star(b_bar)


def _least_squares_dot(dots: Sequence[Any], x: Any, a: Any, b: Any, *, rtol: float | None) -> Any:
    a_dot, b_dot = dots
    p = pinv_(a, rtol=rtol)
    if a_dot is None:
        return matmul_(p, b_dot)
    moved = -matmul_(a_dot, x)
    x_dot = matmul_(p, moved if b_dot is None else b_dot + moved)
    x_dot = x_dot + matmul_(p, matmul_(H(p), matmul_(H(a_dot), b - matmul_(a, x))))
    turned = matmul_(H(a_dot), matmul_(H(p), x))
    return x_dot + (turned - matmul_(p, matmul_(a, turned)))


def _least_squares_lanes(n: int, mapped: Sequence[bool], a: Any, b: Any, **params: Any) -> Any:
    return lstsq_(*for_every_lane(n, mapped, a, b), **params)


lstsq_ = Primitive(
    "lstsq",
    forward=_least_squares,
    shape=_unknowns,
    vjp=shared(_least_squares_back, 2),
    jvp=shared(_least_squares_dot),
    batch=_least_squares_lanes,
    text="{0}⁺ {1}",
    tex=r"{0}^{{+}}\,{1}",
    complex=True,
    samples=lambda r: [
        ((r(4, 2), r(4, 3)), {"rtol": None}),
        ((r(2, 2, 3), r(2, 2, 1)), {"rtol": None}),
    ],
    doc="The x of least norm for which a x − b is least; both carry the same leading axes.",
)


@public(namespace="linalg")
def lstsq(a: Any, b: Any, /, *, rtol: float | None = None) -> Tensor:
    """The x for which |a x − b|² is least; of several, the one of least norm.

    Shapes:  a (..., n, m), b (..., n, k) or (n,)  ->  (..., m, k) or (m,). Singular values up to
             `rtol` times the largest count as zero; None: max(n, m) times the dtype's precision.
    Rule:    ẋ = a⁺(ḃ − ȧ x) + a⁺ a⁺ᵀ ȧᵀ (b − a x) + (1 − a⁺ a) ȧᵀ a⁺ᵀ x, where the rank does not
             change; no matrix of n by n is made.
    Raises:  ShapeError if a and b do not have the same rows.
    Source:  Golub and Pereyra (1973), The differentiation of pseudo-inverses.
    Example:
        >>> line = ob.linalg.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, 3.0, 5.0])
        >>> bool(ob.max(ob.abs(line - np.array([1.0, 2.0]))) < 1e-14)
        True
    """
    b = as_tensor(b)
    vector = b.ndim == 1
    a, b = matrices("lstsq", a, reshape(b, (*b.shape, 1)) if vector else b)
    if a.shape[-2] != b.shape[-2]:
        raise ShapeError(
            f"lstsq: {a.shape[-2]} equations against {b.shape[-2]} rows on the right",
            got={"a": a, "b": b},
            want="a: (..., n, m)   b: (..., n, k)   ->   (..., m, k)",
        )
    lead = broadcast_shape(
        "lstsq", {"a's leading axes": a.shape[:-2], "b's leading axes": b.shape[:-2]}
    )
    xs = (broadcast_to(a, lead + a.shape[-2:]), broadcast_to(b, lead + b.shape[-2:]))
    x = apply(lstsq_, xs, {"rtol": None if rtol is None else float(rtol)})
    return reshape(x, x.shape[:-1]) if vector else x
