"""`ob.scipy.linalg`: functions of matrices with SciPy's arguments, differentiable.

The mathematics is that of `ob.linalg`; here are the names, the order of arguments and the defaults
of SciPy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import overbar as ob
from overbar.errors import DomainError
from overbar.linalg import expm, inv, logm, sqrtm

__all__ = [
    "Factor",
    "LeastSquares",
    "cho_factor",
    "cho_solve",
    "cholesky",
    "expm",
    "inv",
    "logm",
    "lstsq",
    "solve_triangular",
    "sqrtm",
]


class Factor(NamedTuple):
    """A Cholesky factor, as `cho_factor` gives and `cho_solve` takes it."""

    c: ob.Tensor
    lower: bool


class LeastSquares(NamedTuple):
    """What `lstsq` gives, in SciPy's order."""

    x: ob.Tensor
    residues: ob.Tensor
    rank: ob.Tensor
    s: ob.Tensor


def cholesky(a: Any, lower: bool = False) -> ob.Tensor:
    """The upper triangle c with cᵀ c = a; `lower`: the lower one with c cᵀ = a.

    Example:
        >>> ob.scipy.linalg.cholesky([[4.0, 2.0], [2.0, 2.0]], lower=True)
        Tensor([[2., 0.],
                [1., 1.]], float64)
    """
    return ob.linalg.cholesky(a, upper=not lower)


def cho_factor(a: Any, lower: bool = False) -> Factor:
    """The Cholesky factor of a, for `cho_solve`. The other triangle is zero."""
    return Factor(cholesky(a, lower), lower)


def cho_solve(c_and_lower: Any, b: Any) -> ob.Tensor:
    """The x with a x = b, of the factor of a.

    Shapes:  c (..., n, n), b (..., n, m) or (n,)  ->  that of b
    Example:
        >>> factor = ob.scipy.linalg.cho_factor([[4.0, 0.0], [0.0, 1.0]])
        >>> ob.scipy.linalg.cho_solve(factor, [4.0, 3.0])
        Tensor([1., 3.], float64)
    """
    c, lower = c_and_lower
    first, second = (0, 1) if lower else (1, 0)
    return solve_triangular(c, solve_triangular(c, b, first, lower), second, lower)


def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False
) -> ob.Tensor:
    """The x with triangle(a) x = b; trans=1 or "T": of its transpose.

    lower says which triangle of a is meant, before it is transposed.

    Shapes:  a (..., n, n), b (..., n, m) or (n,)  ->  that of b
    Example:
        >>> ob.scipy.linalg.solve_triangular([[2.0, 1.0], [9.0, 1.0]], [3.0, 1.0])
        Tensor([1., 1.], float64)
    """
    if trans not in (0, 1, "N", "T"):
        raise DomainError(f"solve_triangular: trans={trans!r}", want='0, 1, "N" or "T"')
    a = ob.asarray(a)
    if unit_diagonal:
        a = (ob.tril if lower else ob.triu)(a, k=-1 if lower else 1) + ob.eye(a.shape[-1])
    if trans in (1, "T"):
        a, lower = ob.matrix_transpose(a), not lower
    return ob.linalg.solve_triangular(a, b, lower=lower)


def lstsq(a: Any, b: Any, cond: float | None = None) -> LeastSquares:
    """(x, residues, rank, s): the least-squares solution of a x = b, and what SciPy gives with it.

    residues are the sums of squares of b − a x, and empty if a's columns depend on each other or
    there are no more rows than columns; s are the singular values of a.

    Shapes:  a (n, m), b (n,) or (n, k)  ->  x (m,) or (m, k)
    Example:
        >>> x, *_ = ob.scipy.linalg.lstsq([[1.0], [1.0]], [1.0, 3.0])
        >>> ob.round(x, decimals=12)
        Tensor([2.], float64)
    """
    a, b = ob.asarray(a), ob.asarray(b)
    x = ob.linalg.lstsq(a, b, rtol=cond)
    rank = ob.linalg.matrix_rank(a, rtol=cond)
    full = not ob.is_tracing() and a.shape[0] > a.shape[1] == int(rank)
    residues = ob.sum((b - a @ x) ** 2, axis=0) if full else ob.zeros(0)
    return LeastSquares(x, residues, rank, ob.linalg.svdvals(a))
