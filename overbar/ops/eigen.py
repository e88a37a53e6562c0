"""Eigenvalues and eigenvectors of square matrices of any kind; symmetric ones are in `factor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..handle import Tensor
from ..primitive import FLAT, Primitive, public, shared
from ..spec import Spec, spec
from .complexes import imag_
from .factor import apart, columns, complexes, on_diagonal, rows
from .linear import H, matmul_, star
from .movement import cast, parts, real
from .repeat import sum_
from .solve import decomposed, matrices, solve_
from .triangles import diagonal_, unit


def _complex(dtype: Any) -> np.dtype:
    return np.result_type(dtype, np.complex64)


def _eig(xp: Any, a: Any) -> tuple[Any, Any]:
    w, v = decomposed("eig", xp.linalg.eig, a)
    return w.astype(_complex(a.dtype)), v.astype(_complex(a.dtype))


def _eig_shape(a: Spec) -> tuple[Spec, Spec]:
    return spec(a.shape[:-1], _complex(a.dtype)), spec(a.shape, _complex(a.dtype))


def _gaps(w: Any) -> Any:
    """wⱼ − wᵢ, with ones on the diagonal."""
    return columns(w) - rows(w) + complexes(unit(w), w)


largest = Primitive(
    "largest",
    forward=lambda xp, v: (
        xp.arange(v.shape[-1])[:, None] == xp.argmax(abs(v), axis=-2)[..., None, :]
    ).astype(v.dtype),
    shape=lambda v: v,
    vjp=FLAT,
    jvp=FLAT,
    batch=lambda n, mapped, v: largest(v),
    complex=True,
    text="largest({0})",
    samples=lambda r: [((r(3, 3),), {}), ((r(2, 4, 4),), {})],
    doc="One at the entry of the greatest modulus in each column of a square matrix, else zero.",
)


def _over_rows(x: Any) -> Any:
    """The sum of each column."""
    return sum_(x, axis=(x.ndim - 2,))


# A column of v has length 1, and LAPACK turns it so that its largest entry, vₘ, is real: what would
# change either is taken out, v̇ → v̇ − v (Re vᴴ v̇ + i Im v̇ₘ / vₘ).


def _steady(v_dot: Any, v: Any) -> Any:
    most = largest(v)
    longer = real(diagonal_(matmul_(H(v), v_dot), offset=0))
    turned = imag_(_over_rows(most * v_dot)) / real(_over_rows(most * v))
    return v_dot - v * columns(complexes(longer, v) + 1j * complexes(turned, v))


def _steady_back(v_bar: Any, v: Any) -> Any:
    most, along = largest(v), diagonal_(matmul_(H(v), v_bar), offset=0)
    turned = imag_(along) / real(_over_rows(most * v))
    return (
        v_bar - v * columns(complexes(real(along), v)) - 1j * most * columns(complexes(turned, v))
    )


def _eig_back(wanted: Sequence[bool], y_bar: Any, y: Any, _a: Any) -> tuple[Any]:
    (w, v), (w_bar, v_bar) = parts(y), y_bar
    inner = None if w_bar is None else on_diagonal(star(w_bar))
    if v_bar is not None:
        turn = apart(matmul_(H(v), _steady_back(star(v_bar), v)), star(_gaps(w)))
        inner = turn if inner is None else inner + turn
    a_bar = star(matmul_(solve_(H(v), inner), H(v)))
    return (a_bar if _a.dtype.kind == "c" else cast(real(a_bar), dtype=_a.dtype),)


def _eig_dot(dots: Sequence[Any], y: Any, _a: Any) -> tuple[Any, Any]:
    w, v = parts(y)
    inner = solve_(v, matmul_(complexes(dots[0], v), v))
    return diagonal_(inner, offset=0), _steady(matmul_(v, apart(inner, _gaps(w))), v)


eig_ = Primitive(
    "eig",
    forward=_eig,
    shape=_eig_shape,
    vjp=shared(_eig_back, 2),
    jvp=shared(_eig_dot),
    batch=lambda n, mapped, a: eig_(a),
    complex=True,
    text="eig({0})",
    samples=lambda r: [
        ((r(3, 3) / 4 + np.diag([1.0, 3.0, 6.0]),), {}),
        ((r(2, 2, 2) / 4 + np.diag([1.0, 3.0]),), {}),
    ],
    doc="Eigenvalues and eigenvectors of a square matrix, complex.",
)


@public(namespace="linalg")
def eig(a: Any, /) -> tuple[Tensor, Tensor]:
    """(w, v): the eigenvalues of a square matrix and its eigenvectors of length 1, both complex.

    Shapes:  a (..., n, n)  ->  (..., n), (..., n, n); a v = v diag(w).
             The entry of v of the greatest modulus is real in each column.
    Rule:    ẇ = diag M,  v̇ = v (F ∘ M) less what would change its length or turn its largest entry,
             with M = v⁻¹ ȧ v and Fᵢⱼ = 1 / (wⱼ − wᵢ);  ā = v⁻ᴴ (diag w̄ + F* ∘ vᴴ v̄) vᴴ.
    Source:  Boeddeker et al. (2017), On the computation of complex-valued gradients,
             arXiv:1701.00392, 4.17.
    Example:
        >>> w, v = ob.linalg.eig([[0.0, 1.0], [-1.0, 0.0]])
        >>> w.imag
        Tensor([ 1., -1.], float64)
    """
    return parts(apply(eig_, tuple(matrices("eig", a, square=True))))  # type: ignore[return-value]


@public(namespace="linalg")
def eigvals(a: Any, /) -> Tensor:
    """The eigenvalues of a square matrix, complex.

    Shapes:  a (..., n, n)  ->  (..., n)
    Example:
        >>> ob.linalg.eigvals([[0.0, 1.0], [-1.0, 0.0]]).imag
        Tensor([ 1., -1.], float64)
    """
    return eig(a)[0]
