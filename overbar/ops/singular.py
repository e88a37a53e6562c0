"""The singular value decomposition, its values alone, and what it says at coinciding values.

Conventions are those of `factor`: rules are stated for the textbook's gradient, `star` turns it
into the adjoint as sweeps carry it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..handle import Tensor
from ..primitive import Primitive, public, shared
from ..spec import Spec, real_dtype, spec
from .factor import (
    apart,
    columns,
    complexes,
    no_complement,
    on_diagonal,
    real_part,
    rows,
)
from .linear import H, matmul_, star
from .logic import sign
from .movement import parts
from .solve import decomposed, matrices
from .triangles import diagonal_, unit


def _svd_shape(a: Spec) -> tuple[Spec, Spec, Spec]:
    n, m = a.shape[-2:]
    k, lead = min(n, m), a.shape[:-2]
    return (
        spec((*lead, n, k), a.dtype),
        spec((*lead, k), real_dtype(a.dtype)),
        spec((*lead, k, m), a.dtype),
    )


def _square_gaps(s: Any) -> Any:
    """sⱼ² − sᵢ², without the cancellation of near values, and ones on the diagonal."""
    return (columns(s) - rows(s)) * (columns(s) + rows(s)) + unit(s)


def _skew(x: Any) -> Any:
    return x - H(x)


def _svd_back(wanted: Sequence[bool], y_bar: Any, y: Any, _a: Any) -> tuple[Any]:
    u, s, vh = parts(y)
    u_bar, s_bar, v_bar = (None if b is None else star(b) for b in y_bar)
    if u_bar is None and v_bar is None:
        return (star(matmul_(u * columns(complexes(s_bar, u)), vh)),)
    of_s = complexes(s, u)
    v_bar = None if v_bar is None else H(v_bar)  # of v, the conjugate transpose of vh
    k, inner, phase = s.shape[-1], None, None
    for bar, basis, near in ((u_bar, u, columns), (v_bar, H(vh), rows)):
        if bar is None:
            continue
        turn = _skew(matmul_(H(basis), bar))
        term = apart(turn, _square_gaps(s)) * near(of_s)
        inner = term if inner is None else inner + term
        along = diagonal_(turn, offset=0) if near is columns else -diagonal_(turn, offset=0)
        phase = along if phase is None else phase + along
    if s_bar is not None:
        inner = inner + on_diagonal(complexes(s_bar, u))
    if u.dtype.kind == "c":
        inner = inner + on_diagonal(phase / (4 * of_s))
    a_bar = matmul_(u, matmul_(inner, vh))
    if u_bar is not None and u.shape[-2] > k:
        out = u_bar - matmul_(u, matmul_(H(u), u_bar))
        a_bar = a_bar + matmul_(out / columns(of_s), vh)
    if v_bar is not None and vh.shape[-1] > k:
        out = H(v_bar) - matmul_(matmul_(H(v_bar), H(vh)), vh)
        a_bar = a_bar + matmul_(u / columns(of_s), out)
    return (star(a_bar),)


def _svd_dot(dots: Sequence[Any], y: Any, _a: Any) -> tuple[Any, Any, Any]:
    (a_dot,), (u, s, vh) = dots, parts(y)
    of_s, k = complexes(s, u), s.shape[-1]
    m = matmul_(H(u), matmul_(a_dot, H(vh)))
    s_dot = real_part(diagonal_(m, offset=0))
    gaps = _square_gaps(s)
    left, right = m * columns(of_s), rows(of_s) * m
    turn_u, turn_v = apart(left + H(left), gaps), apart(right + H(right), gaps)
    if u.dtype.kind == "c":
        phase = on_diagonal((diagonal_(m, offset=0) - complexes(s_dot, u)) / (2 * of_s))
        turn_u, turn_v = turn_u + phase, turn_v - phase
    u_dot, vh_dot = matmul_(u, turn_u), matmul_(H(turn_v), vh)
    if u.shape[-2] > k:
        moved = matmul_(a_dot, H(vh))
        u_dot = u_dot + (moved - matmul_(u, m)) / columns(of_s)
    if vh.shape[-1] > k:
        moved = matmul_(H(u), a_dot)
        vh_dot = vh_dot + (moved - matmul_(m, vh)) / rows(of_s)
    return u_dot, s_dot, vh_dot


svd_ = Primitive(
    "svd",
    forward=lambda xp, a: tuple(decomposed("svd", xp.linalg.svd, a, full_matrices=False)),
    shape=_svd_shape,
    vjp=shared(_svd_back, 2),
    jvp=shared(_svd_dot),
    batch=lambda n, mapped, a: svd_(a),
    text="svd({0})",
    samples=lambda r: [
        ((r(3, 3) + np.diag([2.0, 4.0, 6.0]),), {}),
        ((r(4, 2),), {}),
        ((r(2, 2, 3),), {}),
    ],
    doc="Orthonormal u, falling s, orthonormal vh with a = u diag(s) vh.",
)


def _bases_shape(a: Spec) -> tuple[Spec, Spec]:
    n, m = a.shape[-2:]
    return spec((*a.shape[:-2], n, n), a.dtype), spec((*a.shape[:-2], m, m), a.dtype)


svd_bases_ = Primitive(
    "svd_bases",
    forward=lambda xp, a: decomposed("svd", xp.linalg.svd, a)[::2],
    shape=_bases_shape,
    vjp=(no_complement,),
    jvp=(no_complement,),
    batch=lambda n, mapped, a: svd_bases_(a),
    complex=True,
    text="svd({0})",
    doc="u and vh of svd completed to square matrices: without a derivative.",
)


def _sizes_back(s_bar: Any, s: Any, a: Any) -> Any:
    u, _, vh = parts(svd_(a))
    return star(matmul_(u * columns(complexes(s_bar * sign(s), u)), vh))


def _sizes_dot(a_dot: Any, s: Any, a: Any) -> Any:
    u, _, vh = parts(svd_(a))
    return real_part(diagonal_(matmul_(H(u), matmul_(a_dot, H(vh))), offset=0)) * sign(s)


svdvals_ = Primitive(
    "svdvals",
    forward=lambda xp, a: decomposed("svdvals", xp.linalg.svd, a, compute_uv=False),
    shape=lambda a: _svd_shape(a)[1],
    vjp=(_sizes_back,),
    jvp=(_sizes_dot,),
    batch=lambda n, mapped, a: svdvals_(a),
    text="svdvals({0})",
    samples=lambda r: [((r(3, 3) + np.diag([2.0, 4.0, 6.0]),), {}), ((r(2, 2, 3),), {})],
    doc="The singular values, falling.",
)


@public(namespace="linalg")
def svd(a: Any, /, *, full_matrices: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """(u, s, vh): a = u diag(s) vh, with orthonormal columns of u, rows of vh, and falling s ≥ 0.

    Shapes:  a (..., n, m)  ->  (..., n, k), (..., k), (..., k, m) with k = min(n, m); with
             `full_matrices`, the default of the Array API, u (..., n, n) and vh (..., m, m).
    Rule:    ā = u (diag s̄ + (F ∘ skew(uᵀ ū)) s + s (F ∘ skew(vᵀ v̄))) vᵀ and, of matrices that are
             not square, what leaves their range; Fᵢⱼ = 1 / (sⱼ² − sᵢ²). Of s alone it is always
             finite; of u and v it is not where singular values coincide and ū, v̄ ask how they turn.
    Raises:  RuleMissingError for the derivative of u or vh with full_matrices, unless a is square.
    Source:  Townsend (2016), Differentiating the singular value decomposition; Giles (2008), 3.2.
    Example:
        >>> u, s, vh = ob.linalg.svd([[0.0, 2.0], [1.0, 0.0]])
        >>> s
        Tensor([2., 1.], float64)
    """
    (a,) = matrices("svd", a)
    if not full_matrices or a.shape[-1] == a.shape[-2]:
        return parts(apply(svd_, (a,)))  # type: ignore[return-value]
    u, vh = parts(apply(svd_bases_, (a,)))
    return u, svdvals(a), vh


@public(namespace="linalg")
def svdvals(a: Any, /) -> Tensor:
    """The singular values of a, falling.

    Shapes:  a (..., n, m)  ->  (..., min(n, m))
    Rule:    ā = u diag(s̄) vh: finite always. The derivative of a singular value at 0,
             where it has a kink like |x|, is 0.
    Example:
        >>> ob.linalg.svdvals([[0.0, 2.0], [1.0, 0.0]])
        Tensor([2., 1.], float64)
    """
    return apply(svdvals_, tuple(matrices("svdvals", a)))
