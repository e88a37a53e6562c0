"""Distributions of vectors: dirichlet, multivariate_normal."""

from __future__ import annotations

import math
from typing import Any

import overbar as ob
from overbar import linalg, special
from overbar.errors import DomainError, ShapeError, UnknownValueError

from ..point import real


def _surely(condition: Any) -> bool | None:
    """Whether it holds everywhere; None while tracing."""
    try:
        return bool(ob.all(condition))
    except UnknownValueError:
        return None


class Dirichlet:
    """Vectors of positive shares that sum to 1. The one there is is `dirichlet`."""

    def logpdf(self, x: Any, alpha: Any) -> ob.Tensor:
        """The logarithm of the density at x: −log B(α) + Σ (αᵢ − 1) log xᵢ.

        Shapes:  alpha (k,); x (k,) or (k, m), one column a vector; the last share may be left out,
                 k − 1 rows  ->  a number or (m,).
        Raises:  DomainError if the shares do not sum to 1, or an alpha or a share is not positive.
        Example:
            >>> ob.round(ob.scipy.stats.dirichlet.logpdf([0.2, 0.8], [1.0, 1.0]), decimals=12)
            Tensor(0., float64)
        """
        x, alpha = real(x), real(alpha)
        if alpha.ndim != 1 or not x.ndim or x.shape[0] not in (alpha.size, alpha.size - 1):
            raise ShapeError(
                "dirichlet: x has as many rows as alpha has numbers, or one fewer",
                got={"x": x, "alpha": alpha},
            )
        if x.shape[0] == alpha.size - 1:
            x = ob.concat([x, 1 - ob.sum(x, axis=0, keepdims=True)])
        checks = {
            "an alpha is not positive": alpha > 0,
            "a share is negative": x >= 0,
            "the shares do not sum to 1": ob.abs(ob.sum(x, axis=0) - 1) < 1e-9,
        }
        for what, holds in checks.items():
            if _surely(holds) is False:
                raise DomainError(f"dirichlet: {what}", got={"x": repr(x), "alpha": repr(alpha)})
        log_beta = ob.sum(special.gammaln(alpha)) - special.gammaln(ob.sum(alpha))
        powers = ob.reshape(alpha - 1, (-1, *(1,) * (x.ndim - 1)))
        return ob.sum(special.xlogy(powers, x), axis=0) - log_beta

    def pdf(self, x: Any, alpha: Any) -> ob.Tensor:
        """The density."""
        return ob.exp(self.logpdf(x, alpha))


class MultivariateNormal:
    """The normal distribution of vectors. The one there is is `multivariate_normal`."""

    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1.0) -> ob.Tensor:
        """The logarithm of the density at x, by the Cholesky factor of the covariance.

        Shapes:  mean (k,), cov (k, k), or (k,) its diagonal, or a number; x (..., k)  ->  (...);
                 of k = 1, x (...).
        Raises:  SingularError if cov is not positive definite; ShapeError if they do not fit.
        Example:
            >>> normal = ob.scipy.stats.multivariate_normal
            >>> ob.round(normal.logpdf([0.0, 0.0], cov=[1.0, 4.0]), decimals=6)
            Tensor(-2.531024, float64)
        """
        x, cov = real(x), real(cov)
        center = None if mean is None else ob.reshape(real(mean), (-1,))
        k = cov.shape[-1] if cov.ndim else 1
        k = center.size if center is not None and not cov.ndim else k
        if not cov.ndim:
            cov = cov * ob.eye(k)
        elif cov.ndim == 1:
            cov = ob.diag(cov)
        if k == 1 and (not x.ndim or x.shape[-1] != 1 or x.ndim == 1):
            x = x[..., None]
        fits = x.ndim > 0 and x.shape[-1] == k and cov.shape == (k, k)
        if not fits or (center is not None and center.size != k):
            raise ShapeError(
                f"multivariate_normal: of vectors of {k} numbers",
                got={"x": x, "mean": "None" if center is None else center, "cov": cov},
                want=f"x: (..., {k})   mean: ({k},)   cov: ({k}, {k})",
            )
        off = x if center is None else x - center
        l = linalg.cholesky(cov)
        white = linalg.solve_triangular(l, ob.reshape(off, (-1, k)).T, lower=True)
        distance = ob.reshape(ob.sum(white * white, axis=0), x.shape[:-1])
        log_det = 2 * ob.sum(ob.log(ob.diagonal(l)))
        return -0.5 * (distance + log_det + k * math.log(2 * math.pi))

    def pdf(self, x: Any, mean: Any = None, cov: Any = 1.0) -> ob.Tensor:
        """The density."""
        return ob.exp(self.logpdf(x, mean, cov))


dirichlet = Dirichlet()
multivariate_normal = MultivariateNormal()
