"""Distributions of whole numbers: poisson, binom. Differentiable by their parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import overbar as ob
from overbar import special

from .parameters import read

Formula = Callable[..., Any]


@dataclass(frozen=True)
class Discrete:
    """A family of distributions of whole numbers k ≥ loc.

    Every method takes SciPy's arguments: k, the shapes in their order, loc=0, by position or by
    name; they broadcast. Between whole numbers, and outside of the support, the mass is 0; for
    parameters that make no distribution everything is NaN.

    Example:
        >>> ob.round(ob.scipy.stats.poisson.pmf(0, 2.0), decimals=6)
        Tensor(0.135335, float64)
        >>> ob.grad(lambda mu: ob.scipy.stats.poisson.logpmf(3, mu))(2.0)
        np.float64(0.5)
    """

    name: str
    shapes: tuple[str, ...]
    log_mass: Formula
    lower: Formula
    """The probability of at most k, of k and the shapes; `upper` is what it lacks to 1."""
    upper: Formula
    valid: Formula
    most: Formula
    """The largest k there is, of the shapes."""

    def logpmf(self, k: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The logarithm of the probability of k."""
        k, shapes, valid, most = self._standard(k, args, kwargs)
        out = (k < 0) | (k > most) | (ob.floor(k) < k)
        inner = self.log_mass(ob.where(out, 0.0, k), *shapes)
        return ob.where(valid, ob.where(out, -math.inf, inner), math.nan)

    def pmf(self, k: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The probability of k."""
        return ob.exp(self.logpmf(k, *args, **kwargs))

    def cdf(self, k: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The probability of at most k."""
        return self._sum(self.lower, 0.0, 1.0, k, args, kwargs)

    def sf(self, k: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The probability of more than k: 1 − cdf, exact where cdf is nearly 1."""
        return self._sum(self.upper, 1.0, 0.0, k, args, kwargs)

    def logcdf(self, k: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The logarithm of `cdf`."""
        return ob.log(self.cdf(k, *args, **kwargs))

    def logsf(self, k: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The logarithm of `sf`."""
        return ob.log(self.sf(k, *args, **kwargs))

    def _standard(
        self, k: Any, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, list[Any], Any, Any]:
        names = (*self.shapes, "loc")
        k, *shapes, loc = read(self.name, names, {"loc": 0.0}, k, args, kwargs)
        return k - loc, shapes, self.valid(*shapes), self.most(*shapes)

    def _sum(
        self, formula: Formula, below: float, above: float, k: Any, args: Any, kwargs: Any
    ) -> ob.Tensor:
        k, shapes, valid, most = self._standard(k, args, kwargs)
        k = ob.floor(k)
        left, right = k < 0, k >= most
        inner = formula(ob.where(left | right, 0.0, k), *shapes)
        whole = ob.where(left, below, ob.where(right, above, inner))
        return ob.where(valid & ~ob.isnan(k), whole, math.nan)


poisson = Discrete(
    "poisson", ("mu",),
    log_mass=lambda k, mu: special.xlogy(k, mu) - mu - special.gammaln(k + 1),
    lower=lambda k, mu: special.gammaincc(k + 1, mu),
    upper=lambda k, mu: special.gammainc(k + 1, mu),
    valid=lambda mu: mu >= 0,
    most=lambda mu: math.inf,
)  # fmt: skip
"""The Poisson distribution: poisson.logpmf(k, mu, loc=0)."""


def _log_choose(n: Any, k: Any) -> Any:
    """log of n over k, without the difference of large logarithms for k or n − k near 0."""
    return -ob.log1p(n) - special.betaln(n - k + 1, k + 1)


def _inner_n(n: Any, k: Any) -> Any:
    """n − k, and 1 where there is none."""
    return ob.where(n > k, n - k, 1.0)


binom = Discrete(
    "binom", ("n", "p"),
    log_mass=lambda k, n, p: (
        _log_choose(n, k) + special.xlogy(k, p) + special.xlog1py(n - k, -p)
    ),
    lower=lambda k, n, p: special.betainc(_inner_n(n, k), k + 1, 1 - p),
    upper=lambda k, n, p: special.betainc(k + 1, _inner_n(n, k), p),
    valid=lambda n, p: (n >= 0) & (ob.floor(n) == n) & (p >= 0) & (p <= 1),
    most=lambda n, p: n,
)  # fmt: skip
"""The binomial distribution: binom.logpmf(k, n, p, loc=0)."""
