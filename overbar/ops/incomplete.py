"""ob.special: the incomplete gamma and beta functions, and Student's distribution; their inverses.

Differentiable by everything, the parameters included: those derivatives are operations of their own
that carry their orders, computed in `scores`, so that derivatives of any order exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..elementwise import elementwise
from ..errors import DTypeError
from .arithmetic import square, where
from .logic import equal, less
from .scores import moment, of_beta, of_gamma
from .smooth import exp, log, log1p
from .special import betaln, from_scipy, gammaln, polygamma_, scipy_special, xlog1py, xlogy


def _in_float64(values: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """A forward of several arguments that computes in float64, of vectors."""

    def forward(_xp: Any, *xs: Any, **params: Any) -> Any:
        kind = np.result_type(*xs)
        if kind.kind == "c":
            raise DTypeError("of real numbers only", got={"x": xs[-1]})
        wide = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in xs))
        y = values(*(np.ravel(x) for x in wide), **params).reshape(wide[0].shape)
        return y.astype(kind if kind.kind == "f" else np.float64)[()]

    return forward


def _known_log(x: Any, of: Any = log) -> Any:
    """log x; at 0, where it is multiplied by a density of 0, the logarithm of something else."""
    return of(where(equal(x, 0 if of is log else -1), 0.5, x))


# -- gamma ------------------------------------------------------------------------------------


def _gamma_density(a: Any, x: Any, n: int = 0) -> Any:
    """x^(a−1) exp(−x) / Γ(a), differentiated n times by a."""
    density = exp(xlogy(a - 1, x) - x - gammaln(a))
    if not n:
        return density
    log_x = _known_log(x)

    def cumulant(i: int, _j: int) -> Any:
        return log_x - polygamma_(a, n=0) if i == 1 else -polygamma_(a, n=i - 1)

    return density * moment(n, 0, cumulant)


gammainc_by = elementwise(
    "gammainc_by", namespace=None, arity=2,
    forward=_in_float64(lambda a, x, *, n: of_gamma(a, x, n)),
    partials=(
        lambda _y, a, x, *, n: gammainc_by(a, x, n=n + 1),
        lambda _y, a, x, *, n: _gamma_density(a, x, n),
    ),
    text=lambda a, x, n: f"∂ⁿP({a}, {x}), n = {n}",
    samples=lambda r: [((abs(r(3, 2)) + 0.5, abs(r(3, 2)) + 0.3), {"n": n}) for n in (1, 2)],
    doc="The n-th derivative of the lower incomplete gamma function over Γ(a), by a.",
)  # fmt: skip
gammainc = elementwise(
    "gammainc", namespace="special", arity=2, forward=from_scipy("gammainc"), domain=(0.5, 4.0),
    text="P({0}, {1})", tex="P({0}, {1})",
    partials=(lambda _y, a, x: gammainc_by(a, x, n=1), lambda _y, a, x: _gamma_density(a, x)),
    doc="The lower incomplete gamma function over Γ(a).",
)  # fmt: skip
gammaincc = elementwise(
    "gammaincc", namespace="special", arity=2, forward=from_scipy("gammaincc"), domain=(0.5, 4.0),
    text="Q({0}, {1})", tex="Q({0}, {1})",
    partials=(lambda _y, a, x: -gammainc_by(a, x, n=1), lambda _y, a, x: -_gamma_density(a, x)),
    doc="The upper incomplete gamma function over Γ(a).",
)  # fmt: skip
gammaincinv = elementwise(
    "gammaincinv", namespace="special", arity=2, forward=from_scipy("gammaincinv"),
    domain=((0.5, 4.0), (0.1, 0.9)), text="P⁻¹({0}, {1})", tex="P^{{-1}}({0}, {1})",
    partials=(
        lambda x, a, _p: -gammainc_by(a, x, n=1) / _gamma_density(a, x),
        lambda x, a, _p: 1 / _gamma_density(a, x),
    ),
    doc="The x for which gammainc(a, x) is p.",
)  # fmt: skip

# -- beta -------------------------------------------------------------------------------------


def _beta_density(a: Any, b: Any, x: Any, i: int = 0, j: int = 0) -> Any:
    """x^(a−1) (1−x)^(b−1) / B(a, b), differentiated i times by a and j times by b."""
    density = exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b))
    if not i + j:
        return density
    logs = {(1, 0): _known_log(x), (0, 1): _known_log(-x, log1p)}

    def cumulant(k: int, l: int) -> Any:
        found = polygamma_(a + b, n=k + l - 1)
        if not l:
            found = found - polygamma_(a, n=k - 1)
        if not k:
            found = found - polygamma_(b, n=l - 1)
        return found + logs[k, l] if k + l == 1 else found

    return density * moment(i, j, cumulant)


betainc_by = elementwise(
    "betainc_by", namespace=None, arity=3,
    forward=_in_float64(lambda a, b, x, *, i, j: of_beta(a, b, x, i, j)),
    partials=(
        lambda _y, a, b, x, *, i, j: betainc_by(a, b, x, i=i + 1, j=j),
        lambda _y, a, b, x, *, i, j: betainc_by(a, b, x, i=i, j=j + 1),
        lambda _y, a, b, x, *, i, j: _beta_density(a, b, x, i, j),
    ),
    text=lambda a, b, x, i, j: f"∂I({a}, {b}, {x}), {i} times by a, {j} times by b",
    samples=lambda r: [
        ((abs(r(3)) + 0.5, abs(r(3)) + 0.5, 0.5 + 0.3 * np.tanh(r(3))), {"i": i, "j": j})
        for i, j in ((1, 0), (0, 1), (1, 1))
    ],
    doc="The regularised incomplete beta function, differentiated by its parameters.",
)  # fmt: skip
betainc = elementwise(
    "betainc", namespace="special", arity=3, forward=from_scipy("betainc"),
    domain=((0.5, 4.0), (0.5, 4.0), (0.1, 0.9)), text="I({0}, {1}, {2})", tex="I_{{{2}}}({0}, {1})",
    partials=(
        lambda _y, a, b, x: betainc_by(a, b, x, i=1, j=0),
        lambda _y, a, b, x: betainc_by(a, b, x, i=0, j=1),
        lambda _y, a, b, x: _beta_density(a, b, x),
    ),
    doc="The regularised incomplete beta function, of a, b and x.",
)  # fmt: skip
betaincinv = elementwise(
    "betaincinv", namespace="special", arity=3, forward=from_scipy("betaincinv"),
    domain=((0.5, 4.0), (0.5, 4.0), (0.1, 0.9)), text="I⁻¹({0}, {1}, {2})",
    tex="I^{{-1}}_{{{2}}}({0}, {1})",
    partials=(
        lambda x, a, b, _p: -betainc_by(a, b, x, i=1, j=0) / _beta_density(a, b, x),
        lambda x, a, b, _p: -betainc_by(a, b, x, i=0, j=1) / _beta_density(a, b, x),
        lambda x, a, b, _p: 1 / _beta_density(a, b, x),
    ),
    doc="The x for which betainc(a, b, x) is p.",
)  # fmt: skip

# -- Student's distribution -------------------------------------------------------------------


def student_log_density(df: Any, t: Any) -> Any:
    """The logarithm of the density of Student's distribution with df degrees of freedom."""
    far = 0.5 * (df + 1) * log1p(square(t) / df)
    return -far - betaln(0.5 * df, 0.5 + 0.0 * df) - 0.5 * log(df)


def _student_by_df(df: Any, t: Any) -> Any:
    """∂F(t)/∂ν. Left of 0 F = I_x(ν/2, 1/2) / 2 with x = ν/(ν + t²); and F is odd around 1/2.

    With y = 1 − x the same is 1/2 − I_y(1/2, ν/2) / 2, which serves where y is the smaller.
    """
    t = t + where(equal(t, 0), 1e-100 + 0.0 * t, 0.0)  # a kink of the formula, not of the function
    size, half = where(less(t, 0), -t, t), 0.5 + 0.0 * df
    both = df + square(t)
    x, y, inner = df / both, square(t) / both, less(square(t), df)
    by_y = betainc_by(half, 0.5 * df, where(inner, y, 0.5), i=0, j=1)
    by_x = betainc_by(0.5 * df, half, where(inner, 0.5, x), i=1, j=0)
    drift = size * exp(student_log_density(df, t)) / (2 * df)
    left = where(inner, -0.25 * by_y, 0.25 * by_x) + drift
    return where(less(t, 0), left, -left)


stdtr = elementwise(
    "stdtr", namespace="special", arity=2, forward=from_scipy("stdtr"),
    domain=((1.0, 9.0), (-3.0, 3.0)), text="F({1}; ν = {0})", tex=r"F_{{{0}}}({1})",
    partials=(
        lambda _y, df, t: _student_by_df(df, t),
        lambda _y, df, t: exp(student_log_density(df, t)),
    ),
    doc="Student's distribution function, of the degrees of freedom and t.",
)  # fmt: skip


def _student_quantile(df: np.ndarray, p: np.ndarray) -> np.ndarray:
    """SciPy's near the middle; in the tails, where that fails, by the beta distribution."""
    special = scipy_special()
    tail = np.minimum(p, 1 - p)
    middle = tail > 0.1
    with np.errstate(all="ignore"):
        x = special.betaincinv(0.5 * df, 0.5, 2 * tail)
        theirs = special.stdtrit(df, p)
        far = np.where(x > 0, np.sqrt(df) * np.sqrt((1 - x) / x), np.abs(theirs))
        return np.where(middle, theirs, np.copysign(far, p - 0.5))


stdtrit = elementwise(
    "stdtrit", namespace="special", arity=2, forward=_in_float64(_student_quantile),
    domain=((1.0, 9.0), (0.1, 0.9)), text="F⁻¹({1}; ν = {0})", tex=r"F^{{-1}}_{{{0}}}({1})",
    partials=(
        lambda t, df, _p: -_student_by_df(df, t) * exp(-student_log_density(df, t)),
        lambda t, df, _p: exp(-student_log_density(df, t)),
    ),
    doc="The t for which stdtr(df, t) is p.",
)  # fmt: skip
