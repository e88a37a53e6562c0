"""Factors of matrices: Cholesky, QR, singular values, eigenvalues.

Each takes matrices in the last two axes and does all leading axes at once. Rules are stated for
the textbook's gradient, and `star` turns it into the adjoint as sweeps carry it (not conjugated).

Where singular values or eigenvalues coincide, the vectors belonging to them are not determined and
have no derivative: it is infinite or NaN there, unless nothing is asked of how they turn within
their own space. The derivative of the values alone needs no such thing and is finite everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DomainError, RuleMissingError, SingularError
from ..handle import Tensor
from ..primitive import Primitive, public, shared
from ..spec import Spec, real_dtype, spec
from .arithmetic import times
from .index import stretch
from .join import concat_
from .linear import H, matmul_, mT, star
from .movement import cast, parts, real
from .repeat import reshape_
from .solve import decomposed, matrices, solve_, triangular_
from .triangles import diagonal_, tril_, triu_, undiagonal_, unit


def real_part(x: Any) -> Any:
    """Of real numbers themselves."""
    return real(x) if x.dtype.kind == "c" else x


def complexes(x: Any, like: Any) -> Any:
    """Real numbers among complex ones."""
    return x if x.dtype.kind == like.dtype.kind else cast(x, dtype=like.dtype)


def _hermitian(x: Any) -> Any:
    """The part of x that is its own conjugate transpose."""
    return (x + H(x)) / 2


def columns(s: Any) -> Any:
    """Numbers that scale the columns of a matrix."""
    return reshape_(s, shape=(*s.shape[:-1], 1, s.shape[-1]))


def rows(s: Any) -> Any:
    """Numbers that scale the rows of a matrix."""
    return reshape_(s, shape=(*s.shape, 1))


def on_diagonal(x: Any) -> Any:
    """The square matrices that carry x on their diagonal."""
    return undiagonal_(x, offset=0, shape=(x.shape[-1], x.shape[-1]))


def _from_right(x: Any, a: Any) -> Any:
    """x a⁻¹."""
    return mT(solve_(mT(a), mT(x)))


def symmetric_part(a: np.ndarray) -> np.ndarray:
    """What is decomposed of a matrix that is meant to be symmetric.

    So the derivative is that of the very function computed, and symmetric.
    """
    return (a + a.conj().swapaxes(-1, -2)) / 2


def symmetric_matrix(what: str, a: Any) -> Tensor:
    """A square matrix, refused if its value is known and plainly not meant to be symmetric.

    That is: of which one triangle was left empty, as other libraries allow, or whose halves differ
    by much. Rounding passes, and so do the steps of finite differences, which move single entries.

    Raises:  DomainError
    """
    (t,) = matrices(what, a, square=True)
    value = t.value
    if value is None or not value.size:
        return t
    apart_by = np.abs(value - value.conj().swapaxes(-1, -2))
    odd = apart_by.max((-2, -1)) > 0.3 * np.abs(value).max((-2, -1))
    below, above = (
        np.count_nonzero(cut(value, k), (-2, -1)) for cut, k in ((np.tril, -1), (np.triu, 1))
    )
    odd |= (np.minimum(below, above) == 0) & (np.maximum(below, above) > 1)
    if odd.any():
        at = tuple(int(i) for i in np.argwhere(odd)[0])
        i, j = (int(k) for k in np.unravel_index(np.argmax(apart_by[at]), value.shape[-2:]))
        which = f" of matrix {list(at)}" if at else ""
        raise DomainError(
            f"{what}: the matrix is not symmetric, [{i}, {j}] and [{j}, {i}]{which} differ",
            got={"a": t},
            want="a symmetric matrix (of complex numbers: a Hermitian one)",
            hint="of a lower triangle l make l + ob.tril(l, k=-1).mT; else (a + a.mT) / 2",
        )
    return t


def _like(a: Spec) -> Spec:
    return a


# -- Cholesky ---------------------------------------------------------------------------------


def _cholesky(xp: Any, a: Any) -> Any:
    a = symmetric_part(a)
    try:
        return decomposed("cholesky", xp.linalg.cholesky, a)
    except SingularError:
        raise _indefinite(a) from None


def _indefinite(a: np.ndarray) -> SingularError:
    """The error for a matrix without the factor: which one it is, and why."""
    least = np.linalg.eigvalsh(a)[..., 0]
    at = np.unravel_index(np.argmin(least), least.shape)
    which = f"matrix {[int(i) for i in at]}" if at else "the matrix"
    return SingularError(
        f"cholesky: {which} is not positive definite, "
        f"its smallest eigenvalue is {float(least[at]):.3g}",
        got={"a": a},
        want="a symmetric matrix whose eigenvalues are all positive",
        hint="if it is singular but for rounding, add a little: a + 1e-6 * ob.eye(n)",
    )


def _half_lower(x: Any) -> Any:
    """The lower triangle with its diagonal halved."""
    return (tril_(x, k=0) + tril_(x, k=-1)) / 2


def _cholesky_back(l_bar: Any, l: Any, _a: Any) -> Any:
    s = triangular_(H(l), _half_lower(matmul_(H(l), star(l_bar))), lower=False)
    return star(_hermitian(mT(triangular_(mT(l), mT(s), lower=False))))


def _cholesky_dot(a_dot: Any, l: Any, _a: Any) -> Any:
    inner = H(triangular_(l, H(triangular_(l, _hermitian(a_dot), lower=True)), lower=True))
    return matmul_(l, _half_lower(inner))


def _definite(x: np.ndarray) -> np.ndarray:
    return x @ x.swapaxes(-1, -2) + 2 * np.eye(x.shape[-1])


cholesky_ = Primitive(
    "cholesky",
    forward=_cholesky,
    shape=_like,
    vjp=(_cholesky_back,),
    jvp=(_cholesky_dot,),
    text="cholesky({0})",
    batch=lambda n, mapped, a: cholesky_(a),
    samples=lambda r: [
        ((_definite(r(3, 3)),), {}),
        ((_definite(r(2, 2, 2)),), {}),
        ((r(0, 0),), {}),
    ],
    doc="The lower triangle l for which l lᴴ is a.",
)


@public(namespace="linalg")
def cholesky(a: Any, /, *, upper: bool = False) -> Tensor:
    """The lower triangle l with a positive diagonal for which l lᴴ = a; `upper`: lᴴ.

    Shapes:  a (..., n, n)  ->  (..., n, n)
    Rule:    ā is the symmetric part of l⁻ᵀ Φ(lᵀ l̄) l⁻¹, Φ taking the lower triangle and halving
             the diagonal. The symmetric part of a is what is factored.
    Raises:  SingularError if a is not positive definite, DomainError if it is not symmetric.
    Source:  Murray (2016), Differentiation of the Cholesky decomposition, arXiv:1602.07527.
    Example:
        >>> ob.linalg.cholesky([[4.0, 2.0], [2.0, 2.0]])
        Tensor([[2., 0.],
                [1., 1.]], float64)
    """
    l = apply(cholesky_, (symmetric_matrix("cholesky", a),))
    return H(l) if upper else l


# -- QR ---------------------------------------------------------------------------------------


def _qr_shape(a: Spec) -> tuple[Spec, Spec]:
    n, m = a.shape[-2:]
    k = min(n, m)
    return spec((*a.shape[:-2], n, k), a.dtype), spec((*a.shape[:-2], k, m), a.dtype)


def _square_qr_back(q_bar: Any, r_bar: Any, q: Any, r: Any) -> Any:
    """The rule for as many rows as columns, or more: r is square. None is zero."""
    inner = 0
    if r_bar is not None:
        inner = matmul_(r_bar, H(r))
    if q_bar is not None:
        inner = inner - matmul_(H(q), q_bar)
    half = (triu_(inner, k=0) + triu_(inner, k=1)) / 2
    turned = matmul_(q, half + H(half))
    return _from_right(turned if q_bar is None else q_bar + turned, H(r))


def _qr_back(wanted: Sequence[bool], y_bar: Any, y: Any, _a: Any) -> tuple[Any]:
    (q, r), (q_bar, r_bar) = parts(y), (None if b is None else star(b) for b in y_bar)
    k, m = r.shape[-2:]
    if k == m:
        return (star(_square_qr_back(q_bar, r_bar, q, r)),)
    last = r.ndim - 1
    u, v = stretch(r, last, 0, k), stretch(r, last, k, m - k)
    u_bar = v_bar = None
    if r_bar is not None:  # a = [x, z] = q [u, v]:  z = q v
        u_bar, v_bar = stretch(r_bar, last, 0, k), stretch(r_bar, last, k, m - k)
        from_z = matmul_(matmul_(q, v), H(v_bar))
        q_bar = from_z if q_bar is None else q_bar + from_z
    x_bar = _square_qr_back(q_bar, u_bar, q, u)
    z_bar = np.zeros((*q.shape[:-1], m - k), q.dtype) if v_bar is None else matmul_(q, v_bar)
    return (star(concat_(x_bar, z_bar, axis=last)),)


def _qr_dot(dots: Sequence[Any], y: Any, _a: Any) -> tuple[Any, Any]:
    (a_dot,), (q, r) = dots, parts(y)
    k, m = r.shape[-2:]
    last = r.ndim - 1
    u = r if k == m else stretch(r, last, 0, k)
    inner = _from_right(a_dot if k == m else stretch(a_dot, last, 0, k), u)
    w = matmul_(H(q), inner)
    turn = tril_(w, k=-1) - H(tril_(w, k=-1))
    if q.dtype.kind == "c":  # the diagonal of r stays real
        along = diagonal_(w, offset=0)
        turn = turn + on_diagonal(along - cast(real(along), dtype=w.dtype))
    q_dot = matmul_(q, turn) + (inner - matmul_(q, w))
    u_dot = matmul_(triu_(w - turn, k=0), u)
    if k == m:
        return q_dot, u_dot
    z_dot, v = stretch(a_dot, last, k, m - k), stretch(r, last, k, m - k)
    v_dot = matmul_(H(q), z_dot) - matmul_(H(q), matmul_(q_dot, v))
    return q_dot, concat_(u_dot, v_dot, axis=last)


qr_ = Primitive(
    "qr",
    forward=lambda xp, a: tuple(xp.linalg.qr(a, mode="reduced")),
    shape=_qr_shape,
    vjp=shared(_qr_back, 2),
    jvp=shared(_qr_dot),
    batch=lambda n, mapped, a: qr_(a),
    text="qr({0})",
    complex=True,
    samples=lambda r: [((r(3, 3),), {}), ((r(4, 2),), {}), ((r(2, 2, 4),), {})],
    doc="Orthonormal columns q and an upper triangle r with q r = a.",
)


def _complete_shape(a: Spec) -> tuple[Spec, Spec]:
    n = a.shape[-2]
    return spec((*a.shape[:-1], n), a.dtype), a


def no_complement(*_: Any, **__: Any) -> Any:
    """Refuses the derivative of a completed basis."""
    raise RuleMissingError(
        "the columns that complete q (or u, or v) to a square matrix are not determined by a: "
        "they have no derivative",
        want='qr(a, mode="reduced"), or svd(a, full_matrices=False)',
    )


qr_complete_ = Primitive(
    "qr_complete",
    forward=lambda xp, a: tuple(xp.linalg.qr(a, mode="complete")),
    shape=_complete_shape,
    complex=True,
    vjp=(no_complement,),
    jvp=(no_complement,),
    batch=lambda n, mapped, a: qr_complete_(a),
    text="qr({0})",
    doc="qr with q completed to a square matrix: without a derivative.",
)


@public(namespace="linalg")
def qr(a: Any, /, *, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """(q, r): orthonormal columns q and an upper triangle r with q r = a.

    Shapes:  a (..., n, m)  ->  (..., n, k), (..., k, m) with k = min(n, m); mode "complete": k = n.
    Rule:    of n ≥ m: with M = r r̄ᵀ − q̄ᵀ q, ā = (q̄ + q copyltu(M)) r⁻ᵀ, copyltu mirroring the
             lower triangle; of n < m by its first n columns, of which a's other columns are q v.
    Raises:  SingularError in the reverse rule if the first k columns of a depend on each other;
             RuleMissingError for the derivative of "complete" with n > m.
    Source:  Seeger et al. (2017), Auto-differentiating linear algebra, arXiv:1710.08717;
             Roberts and Roberts (2020), QR and LQ decomposition matrix backpropagation algorithms.
    Example:
        >>> q, r = ob.linalg.qr(ob.tensor([[3.0], [4.0]]))
        >>> bool(abs(r[0, 0].item()) == 5.0)
        True
    """
    if mode not in ("reduced", "complete"):
        raise DomainError(f"qr: mode={mode!r} is not a choice", want='"reduced" or "complete"')
    (a,) = matrices("qr", a)
    complete = mode == "complete" and a.shape[-2] > a.shape[-1]
    return parts(apply(qr_complete_ if complete else qr_, (a,)))  # type: ignore[return-value]


# -- eigenvalues of symmetric matrices --------------------------------------------------------


def _vectors_shape(a: Spec) -> tuple[Spec, Spec]:
    return spec(a.shape[:-1], real_dtype(a.dtype)), a


def _gaps(w: Any) -> Any:
    """wⱼ − wᵢ, with ones on the diagonal."""
    return columns(w) - rows(w) + unit(w)


def apart(x: Any, gaps: Any) -> Any:
    """xᵢⱼ / (wⱼ − wᵢ), zero on the diagonal, and where x is zero."""
    off = tril_(x, k=-1) + triu_(x, k=1)
    return times(off, complexes(1 / gaps, x))


def _eigh_back(wanted: Sequence[bool], y_bar: Any, y: Any, _a: Any) -> tuple[Any]:
    (w, v), (w_bar, v_bar) = parts(y), y_bar
    inner = None if w_bar is None else on_diagonal(complexes(w_bar, v))
    if v_bar is not None:
        turn = apart(matmul_(H(v), star(v_bar)), _gaps(w))
        inner = turn if inner is None else inner + turn
    return (star(_hermitian(matmul_(v, matmul_(inner, H(v))))),)


def _eigh_dot(dots: Sequence[Any], y: Any, _a: Any) -> tuple[Any, Any]:
    w, v = parts(y)
    inner = matmul_(H(v), matmul_(_hermitian(dots[0]), v))
    return real_part(diagonal_(inner, offset=0)), matmul_(v, apart(inner, _gaps(w)))


def _spread_out(x: np.ndarray) -> np.ndarray:
    return (x + x.swapaxes(-1, -2)) / 2 + np.diag(3.0 * np.arange(x.shape[-1]))


eigh_ = Primitive(
    "eigh",
    forward=lambda xp, a: tuple(decomposed("eigh", xp.linalg.eigh, symmetric_part(a))),
    shape=_vectors_shape,
    vjp=shared(_eigh_back, 2),
    jvp=shared(_eigh_dot),
    batch=lambda n, mapped, a: eigh_(a),
    text="eigh({0})",
    samples=lambda r: [((_spread_out(r(3, 3)),), {}), ((_spread_out(r(2, 2, 2)),), {})],
    doc="Eigenvalues, rising, and orthonormal eigenvectors of a symmetric matrix.",
)


def _values_back(w_bar: Any, _w: Any, a: Any) -> Any:
    _, v = parts(eigh_(a))
    return star(matmul_(v * columns(complexes(w_bar, v)), H(v)))


def _values_dot(a_dot: Any, _w: Any, a: Any) -> Any:
    _, v = parts(eigh_(a))
    return real_part(diagonal_(matmul_(H(v), matmul_(_hermitian(a_dot), v)), offset=0))


eigvalsh_ = Primitive(
    "eigvalsh",
    forward=lambda xp, a: decomposed("eigvalsh", xp.linalg.eigvalsh, symmetric_part(a)),
    shape=lambda a: spec(a.shape[:-1], real_dtype(a.dtype)),
    vjp=(_values_back,),
    jvp=(_values_dot,),
    batch=lambda n, mapped, a: eigvalsh_(a),
    text="eigvalsh({0})",
    samples=lambda r: [((_spread_out(r(3, 3)),), {}), ((_spread_out(r(2, 2, 2)),), {})],
    doc="The eigenvalues, rising, of a symmetric matrix.",
)


@public(namespace="linalg")
def eigh(a: Any, /) -> tuple[Tensor, Tensor]:
    """(w, v): the eigenvalues of a symmetric matrix, rising, and orthonormal eigenvectors.

    Shapes:  a (..., n, n)  ->  (..., n), (..., n, n)
    Rule:    ā = v (diag w̄ + F ∘ vᵀ v̄) vᵀ, its symmetric part, with Fᵢⱼ = 1 / (wⱼ − wᵢ).
             Of w alone it is finite always; of v it is not where eigenvalues coincide and v̄
             asks how v turns. The symmetric part of a is what is decomposed.
    Raises:  DomainError if a is not symmetric.
    Source:  Giles (2008), 3.1.
    Example:
        >>> w, v = ob.linalg.eigh([[2.0, 0.0], [0.0, 1.0]])
        >>> w
        Tensor([1., 2.], float64)
    """
    return parts(apply(eigh_, (symmetric_matrix("eigh", a),)))  # type: ignore[return-value]


@public(namespace="linalg")
def eigvalsh(a: Any, /) -> Tensor:
    """The eigenvalues of a symmetric matrix, rising.

    Shapes:  a (..., n, n)  ->  (..., n)
    Rule:    ā = v diag(w̄) vᵀ: finite always. Where eigenvalues coincide, only their sum is
             differentiable; each is given the derivative along one of the eigenvectors.
    Raises:  DomainError if a is not symmetric.
    Example:
        >>> ob.linalg.eigvalsh([[2.0, 0.0], [0.0, 1.0]])
        Tensor([1., 2.], float64)
    """
    return apply(eigvalsh_, (symmetric_matrix("eigvalsh", a),))
