"""Distributions of real numbers: norm, t, gamma, beta, expon."""

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
class Continuous:
    """A family of distributions, in its standard form: of z = (x − loc) / scale.

    Every method takes SciPy's arguments: x (or q), the shapes in their order, loc=0, scale=1, by
    position or by name; they broadcast. Outside of the support the density is 0; for parameters
    that make no distribution everything is NaN.

    Example:
        >>> ob.round(ob.scipy.stats.norm.logpdf(0.0, loc=0.0, scale=1.0), decimals=6)
        Tensor(-0.918939, float64)
        >>> slope = ob.grad(lambda a: ob.scipy.stats.gamma.cdf(1.0, a))(2.0)
        >>> bool(slope < 0)
        True
    """

    name: str
    shapes: tuple[str, ...]
    low: float
    high: float
    inside: float
    """A point of the support where every formula is finite."""
    log_density: Formula
    lower: Formula
    """The distribution function, of z and the shapes; `upper` is what it lacks to 1."""
    upper: Formula
    quantile: Formula
    log_lower: Formula | None = None
    log_upper: Formula | None = None
    valid: Formula | None = None
    """Of the shapes, whether they make a distribution; None: there are none."""

    def logpdf(self, x: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The logarithm of the density."""
        z, shapes, scale, valid = self._standard(x, args, kwargs)
        out = (z < self.low) | (z > self.high)
        inner = self.log_density(ob.where(out, self.inside, z), *shapes) - ob.log(scale)
        return ob.where(valid, ob.where(out, -math.inf, inner), math.nan)

    def pdf(self, x: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The density."""
        return ob.exp(self.logpdf(x, *args, **kwargs))

    def cdf(self, x: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The probability of at most x."""
        return self._sum(self.lower, 0.0, 1.0, x, args, kwargs)

    def sf(self, x: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The probability of more than x: 1 − cdf, exact where cdf is nearly 1."""
        return self._sum(self.upper, 1.0, 0.0, x, args, kwargs)

    def logcdf(self, x: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The logarithm of `cdf`; of norm and expon exact however small that is."""
        found = self.log_lower or _log_of(self.lower, self.upper)
        return self._sum(found, -math.inf, 0.0, x, args, kwargs)

    def logsf(self, x: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The logarithm of `sf`; of norm and expon exact however small that is."""
        found = self.log_upper or _log_of(self.upper, self.lower)
        return self._sum(found, 0.0, -math.inf, x, args, kwargs)

    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> ob.Tensor:
        """The x below which lies the probability q: the inverse of `cdf`."""
        q, *shapes, loc, scale = self._read(q, args, kwargs)
        good = (q >= 0) & (q <= 1) & self._valid(scale, shapes)
        z = self.quantile(ob.where(good, q, 0.5), *shapes)
        return ob.where(good, loc + scale * z, math.nan)

    def _read(self, x: Any, args: Any, kwargs: dict[str, Any]) -> list[ob.Tensor]:
        names = (*self.shapes, "loc", "scale")
        return read(self.name, names, {"loc": 0.0, "scale": 1.0}, x, args, kwargs)

    def _standard(
        self, x: Any, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, list[ob.Tensor], Any, Any]:
        """z, the shapes, the scale, and whether they make a distribution."""
        x, *shapes, loc, scale = self._read(x, args, kwargs)
        valid = self._valid(scale, shapes)
        scale = ob.where(scale > 0, scale, 1.0)
        return (x - loc) / scale, shapes, scale, valid

    def _valid(self, scale: Any, shapes: list[ob.Tensor]) -> Any:
        return scale > 0 if self.valid is None else (scale > 0) & self.valid(*shapes)

    def _sum(
        self, formula: Formula, below: float, above: float, x: Any, args: Any, kwargs: Any
    ) -> ob.Tensor:
        """A formula inside the support, and what it is on either side."""
        z, shapes, _, valid = self._standard(x, args, kwargs)
        left, right = z <= self.low, z >= self.high
        inner = formula(ob.where(left | right, self.inside, z), *shapes)
        whole = ob.where(left, below, ob.where(right, above, inner))
        return ob.where(valid, whole, math.nan)


def _log_of(part: Formula, rest: Formula) -> Formula:
    """The logarithm of a probability, by way of what it lacks to 1 where that is the less."""

    def log_part(*args: Any) -> Any:
        less = part(*args)
        near = less > 0.5
        small = ob.log(ob.where(near, 1.0, less))
        return ob.where(near, ob.log1p(-ob.where(near, rest(*args), 0.0)), small)

    return log_part


def _positive(*shapes: Any) -> Any:
    found = shapes[0] > 0
    for s in shapes[1:]:
        found = found & (s > 0)
    return found


def _log_1_minus_exp(x: Any) -> Any:
    """log(1 − exp x) for x < 0. (Mächler, 2012, Accurately computing log(1 − exp(−|a|)))"""
    near = x > -math.log(2)
    small = ob.log(-ob.expm1(ob.where(near, x, -1.0)))
    return ob.where(near, small, ob.log1p(-ob.exp(ob.where(near, -1.0, x))))


norm = Continuous(
    "norm", (), -math.inf, math.inf, 0.0,
    log_density=lambda z: -0.5 * z * z - 0.5 * math.log(2 * math.pi),
    lower=special.ndtr,
    upper=lambda z: special.ndtr(-z),
    quantile=special.ndtri,
    log_lower=special.log_ndtr,
    log_upper=lambda z: special.log_ndtr(-z),
)  # fmt: skip
"""The normal distribution: norm.logpdf(x, loc=0, scale=1)."""

expon = Continuous(
    "expon", (), 0.0, math.inf, 1.0,
    log_density=lambda z: -z,
    lower=lambda z: -ob.expm1(-z),
    upper=lambda z: ob.exp(-z),
    quantile=lambda q: -ob.log1p(-q),
    log_lower=lambda z: _log_1_minus_exp(-z),
    log_upper=lambda z: -z,
)  # fmt: skip
"""The exponential distribution: expon.logpdf(x, loc=0, scale=1)."""

gamma = Continuous(
    "gamma", ("a",), 0.0, math.inf, 1.0,
    log_density=lambda z, a: special.xlogy(a - 1, z) - z - special.gammaln(a),
    lower=lambda z, a: special.gammainc(a, z),
    upper=lambda z, a: special.gammaincc(a, z),
    quantile=lambda q, a: special.gammaincinv(a, q),
    valid=_positive,
)  # fmt: skip
"""The gamma distribution: gamma.logpdf(x, a, loc=0, scale=1)."""

beta = Continuous(
    "beta", ("a", "b"), 0.0, 1.0, 0.5,
    log_density=lambda z, a, b: (
        special.xlogy(a - 1, z) + special.xlog1py(b - 1, -z) - special.betaln(a, b)
    ),
    lower=lambda z, a, b: special.betainc(a, b, z),
    upper=lambda z, a, b: special.betainc(b, a, 1 - z),
    quantile=lambda q, a, b: special.betaincinv(a, b, q),
    valid=_positive,
)  # fmt: skip
"""The beta distribution: beta.logpdf(x, a, b, loc=0, scale=1)."""

t = Continuous(
    "t", ("df",), -math.inf, math.inf, 0.0,
    log_density=lambda z, df: (
        -0.5 * (df + 1) * ob.log1p(z * z / df) - special.betaln(0.5 * df, 0.5) - 0.5 * ob.log(df)
    ),
    lower=lambda z, df: special.stdtr(df, z),
    upper=lambda z, df: special.stdtr(df, -z),
    quantile=lambda q, df: special.stdtrit(df, q),
    valid=_positive,
)  # fmt: skip
"""Student's distribution: t.logpdf(x, df, loc=0, scale=1)."""
