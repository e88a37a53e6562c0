"""`autograd.scipy.linalg`: SciPy's functions; boxes go through ours, or the rules stated here."""

from __future__ import annotations

from typing import Any

import scipy.linalg as _theirs

import overbar as ob

from .. import numpy as np
from ..extend import defjvp, defjvp_argnums, defvjp, defvjp_argnums, primitive
from ..numpy.dispatch import lifted, passed

_LIKE_NUMPY = "det inv pinv cholesky eigh eigvalsh svd svdvals norm expm logm".split()


def _solve(a: Any, b: Any, **_: Any) -> Any:
    return np.linalg.solve(a, b)


def _cholesky(a: Any, lower: bool = False, **_: Any) -> Any:
    factor = ob.linalg.cholesky((a + a.mT) / 2)
    return factor if lower else factor.mT


def _solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, **_: Any
) -> Any:
    a = ob.tril(a) if lower else ob.triu(a)
    if unit_diagonal:
        eye = np.eye(a.shape[-1])
        a = a * (1 - eye) + eye
    if trans not in (0, "N"):
        a, lower = (ob.conj(a.mT) if trans in (2, "C") else a.mT), not lower
    b = ob.asarray(b)
    x = ob.linalg.solve_triangular(a, b[:, None] if b.ndim == 1 else b, lower=lower)
    return x[:, 0] if b.ndim == 1 else x


_COMPOSED = {"solve": _solve, "cholesky": _cholesky, "solve_triangular": _solve_triangular}
for _name in _theirs.__all__:
    _function = getattr(_theirs, _name)
    if callable(_function) and not isinstance(_function, type):
        _ours = getattr(ob.linalg, _name, None) if _name in _LIKE_NUMPY else None
        globals()[_name] = lifted(_function, _COMPOSED.get(_name) or _ours)


def __getattr__(name: str) -> Any:
    return passed(_theirs, name)


def _star(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


# -- A X + X B = Q ----------------------------------------------------------------------------

solve_sylvester = primitive(_theirs.solve_sylvester)


def _sylvester_pull(argnums: Any, x: Any, args: Any, kwargs: Any) -> Any:
    a, b, _ = args

    def pull(x_bar: Any) -> list[Any]:
        q_bar = solve_sylvester(_star(a), _star(b), x_bar)
        bars = (-np.dot(q_bar, _star(x)), -np.dot(_star(x), q_bar), q_bar)
        return [bars[n] for n in argnums]

    return pull


def _sylvester_push(argnums: Any, dots: Any, x: Any, args: Any, kwargs: Any) -> Any:
    a, b, _ = args
    terms = {0: lambda d: -np.dot(d, x), 1: lambda d: -np.dot(x, d), 2: lambda d: d}
    moved = [terms[n](d) for n, d in zip(argnums, dots, strict=True)]
    return solve_sylvester(a, b, sum(moved[1:], start=moved[0]))


defvjp_argnums(solve_sylvester, _sylvester_pull)
defjvp_argnums(solve_sylvester, _sylvester_push)

# -- the square root: R R = A -----------------------------------------------------------------

sqrtm = primitive(_theirs.sqrtm)
defvjp(sqrtm, lambda r, a, **_: lambda r_bar: solve_sylvester(_star(r), _star(r), r_bar))
defjvp(sqrtm, lambda a_dot, r, a, **_: solve_sylvester(r, r, a_dot))

# -- banded systems: ab[u + i - j, j] = a[i, j] -----------------------------------------------

solve_banded = primitive(_theirs.solve_banded)


def _transposed(l_and_u: tuple[int, int], ab: Any) -> Any:
    """The bands of the transpose: a diagonal's entry at column j stands at column j + d there."""
    l, u = l_and_u
    return np.stack([np.roll(ab[u + d], d) for d in range(l, -u - 1, -1)])


def _bands(l_and_u: tuple[int, int], rows: Any, columns: Any) -> Any:
    """The bands of rows @ columnsᵀ."""
    l, u = l_and_u
    n = rows.shape[0]
    rows, columns = np.reshape(rows, (n, -1)), np.reshape(columns, (n, -1))
    found = []
    for d in range(-u, l + 1):
        entries = np.sum(np.roll(rows, -d, axis=0) * columns, axis=1)
        there = (np.arange(n) + d >= 0) & (np.arange(n) + d < n)
        found.append(np.where(there, entries, 0.0))
    return np.stack(found)


def _banded_b(l_and_u: tuple[int, int], ab: Any, x_bar: Any) -> Any:
    return solve_banded(l_and_u[::-1], _transposed(l_and_u, ab), x_bar)


defvjp(
    solve_banded,
    lambda x, l_and_u, ab, b, **_: lambda x_bar: -_bands(l_and_u, _banded_b(l_and_u, ab, x_bar), x),
    lambda x, l_and_u, ab, b, **_: lambda x_bar: _banded_b(l_and_u, ab, x_bar),
    argnums=(1, 2),
)
