"""Determinants: the volume that a matrix makes of the unit cube.

det is a polynomial in the entries, so it has derivatives everywhere, at singular matrices too; the
usual rule ȳ det(a) a⁻ᵀ has not. Here the derivative is the matrix of cofactors, and its derivative
that of the minors, both computed from the singular value decomposition without dividing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..handle import Tensor
from ..primitive import Primitive, public, shared
from ..spec import Spec, real_dtype, spec
from .arithmetic import negative
from .linear import matmul_, mT
from .logic import zeros_of
from .movement import parts, real
from .repeat import broadcast_to, reshape_, sum_
from .solve import decomposed, inv_, matrices
from .triangles import diagonal_


def _numbers(a: Spec) -> Spec:
    """One number per matrix."""
    return spec(a.shape[:-2], a.dtype)


def _wide(scalar: Any) -> Any:
    """One number per matrix, as a matrix of one entry."""
    return reshape_(scalar, shape=(*scalar.shape, 1, 1))


def _traced(x: Any) -> Any:
    """The sum of all entries of every matrix."""
    return sum_(x, axis=(x.ndim - 2, x.ndim - 1))


def _trace(x: Any) -> Any:
    y = diagonal_(x, offset=0)
    return sum_(y, axis=(y.ndim - 1,))


# -- products of all singular values but one, and but two -------------------------------------


def _but_one(s: np.ndarray) -> np.ndarray:
    """Πₖ sₖ over k ≠ i, for every i: without a division, so zeros are no trouble."""
    ones = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([ones, s[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([ones, s[..., :0:-1]], -1), -1)[..., ::-1]
    return before * after


def _but_two(s: np.ndarray) -> np.ndarray:
    """Πₖ sₖ over k ≠ i, k ≠ j, for every pair i ≠ j; zeros on the diagonal."""
    n = s.shape[-1]
    ones = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([ones, s[..., :-1]], -1), -1)[..., :, None]
    after = np.cumprod(np.concatenate([ones, s[..., :0:-1]], -1), -1)[..., None, ::-1]
    i, k = np.arange(n)[:, None], np.arange(n)
    later = np.where(k > i, s[..., None, :], 1)
    between = np.cumprod(np.concatenate([np.ones_like(later[..., :1]), later[..., :-1]], -1), -1)
    upper = np.where(k > i, before * between * after, 0)
    return upper + upper.swapaxes(-1, -2)


def _rotations(a: np.ndarray) -> tuple[Any, Any, Any, Any]:
    """a = u s vh, and det(u) det(vh)."""
    u, s, vh = decomposed("det", np.linalg.svd, a)
    turn = np.linalg.slogdet(u)[0] * np.linalg.slogdet(vh)[0]
    return u, s, vh, turn[..., None, None]


def _cofactors(xp: Any, a: Any) -> Any:
    """det(a) a⁻ᵀ where a is far from singular (cheap), else by the singular values (exact)."""
    if not a.size:
        return xp.zeros_like(a)
    with np.errstate(all="ignore"):
        try:
            inverse = np.linalg.inv(a)
            sizes = np.linalg.norm(a, axis=(-2, -1)) * np.linalg.norm(inverse, axis=(-2, -1))
            if (sizes < 1e3).all():  # three digits are all that can be lost
                return np.linalg.det(a)[..., None, None] * inverse.swapaxes(-1, -2)
        except np.linalg.LinAlgError:
            pass
        if not np.isfinite(a).all():
            return xp.full_like(a, np.nan)
    u, s, vh, turn = _rotations(a)
    return (turn * (u.conj() * _but_one(s)[..., None, :]) @ vh.conj()).astype(a.dtype)


def _minors(xp: Any, a: Any, x: Any) -> Any:
    """The derivative of the cofactors of a in the direction x.

    In the coordinates of a = u s vh, with m = uᴴ x v and p[i, j] the product of all singular
    values but two, its entries are Σⱼ pᵢⱼ mⱼⱼ on the diagonal and −pᵢⱼ mⱼᵢ off it.
    """
    if not a.size:
        return xp.zeros_like(a)
    if not np.isfinite(a).all():
        return xp.full_like(a, np.nan)
    u, s, vh, turn = _rotations(a)
    m = u.conj().swapaxes(-1, -2) @ x @ vh.conj().swapaxes(-1, -2)
    p = _but_two(s)
    along = (p @ np.diagonal(m, 0, -2, -1)[..., None])[..., 0]
    k = -p * m.swapaxes(-1, -2)
    k[..., np.arange(s.shape[-1]), np.arange(s.shape[-1])] = along
    return (turn * (u.conj() @ k @ vh.conj())).astype(np.result_type(a, x))


def _third(y_bar: Any, _y: Any, a: Any, x: Any) -> Any:
    """ā of the minors: the third derivative of det, through the inverse; 0 below three rows."""
    if a.shape[-1] < 3:
        return zeros_of(a)
    b = inv_(a)
    bx, by = matmul_(b, x), matmul_(b, y_bar)
    tx, ty = _trace(bx), _trace(by)
    pairs = tx * ty - _trace(matmul_(bx, by))
    turned = (
        matmul_(matmul_(bx, by) + matmul_(by, bx), b)
        - _wide(tx) * matmul_(by, b)
        - _wide(ty) * matmul_(bx, b)
    )
    return _wide(det_(a)) * mT(_wide(pairs) * b + turned)


def _both(n: int, mapped: Sequence[bool], a: Any, x: Any) -> Any:
    return minors_(
        *(z if m else broadcast_to(z, (n, *z.shape)) for z, m in zip((a, x), mapped, strict=True))
    )


def _singular(a: np.ndarray) -> np.ndarray:
    """a with its last row twice."""
    a[..., -1, :] = a[..., 0, :]
    return a


det_ = Primitive(
    "det",
    forward=lambda xp, a: xp.linalg.det(a),
    shape=_numbers,
    complex=True,
    text="det {0}",
    tex=r"\det {0}",
    vjp=(lambda y_bar, _y, a: _wide(y_bar) * cofactors_(a),),
    jvp=(lambda a_dot, _y, a: _traced(cofactors_(a) * a_dot),),
    batch=lambda n, mapped, a: det_(a),
    samples=lambda r: [
        ((r(3, 3),), {}),
        ((_singular(r(2, 3, 3)),), {}),
        ((r(1, 1),), {}),
        ((r(0, 0),), {}),
    ],
    doc="The determinant of a square matrix.",
)
cofactors_ = Primitive(
    "cofactors",
    forward=_cofactors,
    shape=lambda a: a,
    complex=True,
    text="cof {0}",
    tex=r"\operatorname{{cof}} {0}",
    vjp=(lambda y_bar, _y, a: minors_(a, y_bar),),
    jvp=(lambda a_dot, _y, a: minors_(a, a_dot),),
    batch=lambda n, mapped, a: cofactors_(a),
    samples=lambda r: [((r(3, 3),), {}), ((r(2, 4, 4),), {}), ((r(1, 1),), {})],
    doc="The matrix of cofactors, the derivative of the determinant.",
)
minors_ = Primitive(
    "minors",
    forward=_minors,
    shape=lambda a, x: spec(a.shape, np.result_type(a.dtype, x.dtype)),
    complex=True,
    vjp=(_third, lambda y_bar, _y, a, _x: minors_(a, y_bar)),
    jvp=(_third, lambda x_dot, _y, a, _x: minors_(a, x_dot)),
    batch=_both,
    text="minors({0}, {1})",
    samples=lambda r: [
        ((r(3, 3) + 2 * np.eye(3), r(3, 3)), {}),
        ((r(2, 4, 4) + 2 * np.eye(4), r(2, 4, 4)), {}),
    ],
    doc="The derivative of the cofactors of a in the direction x.",
)


@public(namespace="linalg")
def det(a: Any, /) -> Tensor:
    """The determinant of a.

    Shapes:  a (..., n, n)  ->  (...)
    Rule:    ā = ȳ cof(a), the cofactors, exact at singular matrices, and so is the second
             derivative; a third one asks for the inverse.
    Source:  Giles (2008), 2.2.4; Magnus and Neudecker (2019), Matrix Differential Calculus, 8.3;
             products that leave out one or two singular values instead of dividing by them.
    Example:
        >>> ob.linalg.det([[1.0, 2.0], [2.0, 4.0]])
        Tensor(0., float64)
        >>> np.round(ob.grad(ob.linalg.det)(np.array([[1.0, 2.0], [2.0, 4.0]])), 12)
        array([[ 4., -2.],
               [-2.,  1.]])
    """
    return apply(det_, tuple(matrices("det", a, square=True)))


# -- its logarithm ----------------------------------------------------------------------------


def _slope(xp: Any, a: Any) -> Any:
    """a⁻ᵀ; where a is singular its limit cof(a) / 0, infinite or NaN."""
    try:
        return xp.linalg.inv(a).swapaxes(-1, -2)
    except np.linalg.LinAlgError:
        with np.errstate(all="ignore"):
            lost = np.linalg.slogdet(a)[0] == 0
            y = _cofactors(xp, a) / np.zeros((), a.dtype)
            y[~lost] = xp.linalg.inv(a[~lost]).swapaxes(-1, -2)
            return y


slope_ = Primitive(
    "log_det_slope",
    forward=_slope,
    shape=lambda a: a,
    complex=True,
    text="{0}⁻ᵀ",
    tex=r"{0}^{{-\top}}",
    vjp=(lambda y_bar, y, _a: negative(matmul_(y, matmul_(mT(y_bar), y))),),
    jvp=(lambda a_dot, y, _a: negative(matmul_(y, matmul_(mT(a_dot), y))),),
    batch=lambda n, mapped, a: slope_(a),
    samples=lambda r: [((r(3, 3) + 3 * np.eye(3),), {}), ((r(2, 2, 2) + 3 * np.eye(2),), {})],
    doc="The derivative of log |det a|: the transposed inverse.",
)


def _slogdet_back(wanted: Sequence[bool], y_bar: Any, y: Any, a: Any) -> tuple[Any]:
    sign_bar, log_bar = y_bar
    turned = a.dtype.kind == "c" and sign_bar is not None
    if log_bar is None and not turned:
        return (None,)  # a real sign is constant almost everywhere
    weight = log_bar
    if turned:  # s = e^iφ:  ṡ = i s Im tr(a⁻¹ ȧ)
        around = real(-1j * (sign_bar * parts(y)[0])) * 1j
        weight = around if weight is None else weight + around
    return (_wide(weight) * slope_(a),)


def _slogdet_dot(dots: Sequence[Any], y: Any, a: Any) -> tuple[Any, Any]:
    rate = _traced(slope_(a) * dots[0])
    sign = parts(y)[0]
    if a.dtype.kind != "c":
        return zeros_of(sign), rate
    return sign * (1j * real(-1j * rate)), real(rate)


slogdet_ = Primitive(
    "slogdet",
    forward=lambda xp, a: tuple(xp.linalg.slogdet(a)),
    complex=True,
    shape=lambda a: (_numbers(a), spec(a.shape[:-2], real_dtype(a.dtype))),
    vjp=shared(_slogdet_back, 2),
    jvp=shared(_slogdet_dot),
    batch=lambda n, mapped, a: slogdet_(a),
    text="slogdet({0})",
    samples=lambda r: [((r(3, 3),), {}), ((r(2, 2, 2),), {}), ((r(0, 0),), {})],
    doc="The sign of the determinant, and the logarithm of its size.",
)


@public(namespace="linalg")
def slogdet(a: Any, /) -> tuple[Tensor, Tensor]:
    """(sign, log |det a|): det(a) = sign · exp(logdet), without overflow.

    Shapes:  a (..., n, n)  ->  (...), (...). Of a singular matrix (0, −inf); the sign of a complex
             matrix is a number of size 1.
    Rule:    ā = ȳ a⁻ᵀ for the logarithm; nothing for a real sign. At a singular matrix the
             derivative is infinite, cof(a) / 0, as that of log at 0.
    Source:  Giles (2008), 2.2.4.
    Example:
        >>> sign, log = ob.linalg.slogdet([[0.0, 1.0], [1.0, 0.0]])
        >>> float(sign), float(log)
        (-1.0, 0.0)
    """
    return parts(apply(slogdet_, tuple(matrices("slogdet", a, square=True))))  # type: ignore[return-value]
