"""ob.special: gamma, beta and Bessel functions, the normal distribution, and x log y.

The values of most come from SciPy, which is imported at the first use and is optional; the error
function and its family (`erf`), and what is made of logarithms, do not need it. Families that are
closed under the derivative (polygamma, Bessel) carry their order as a parameter.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..apply import apply
from ..elementwise import elementwise
from ..errors import DomainError, MissingPackageError
from ..handle import Tensor
from ..primitive import public
from .arithmetic import where
from .erf import in_float64
from .logic import equal
from .smooth import exp, expit, log, log1p

__all__ = ["expit"]


@functools.cache
def scipy_special() -> Any:
    """`scipy.special`, imported at the first use.

    Raises:  MissingPackageError without SciPy.
    """
    try:
        import scipy.special
    except ImportError:
        raise MissingPackageError(
            "ob.special: this function takes its values from SciPy, which is not installed",
            hint="pip install overbar[scipy]",
        ) from None
    return scipy.special


def from_scipy(name: str) -> Callable[..., Any]:
    """A forward that is SciPy's function of that name."""

    def forward(xp: Any, *xs: Any) -> Any:
        if len(xs) > 1:  # SciPy takes a Python number for float64
            xs = _together(xp, *xs)
        return getattr(scipy_special(), name)(*xs)

    return forward


def _together(xp: Any, *xs: Any) -> tuple[Any, ...]:
    """Numbers and arrays in their common dtype; Python numbers are weak."""
    dtype = xp.result_type(*xs)
    return tuple(xp.asarray(x, dtype=dtype)[()] for x in xs)


def _order(what: str, n: Any, least: int) -> int:
    try:
        n = operator.index(n)
    except TypeError:
        raise DomainError(f"{what}: the order is a whole number, not {n!r}") from None
    if n < least:
        raise DomainError(f"{what}: order {n}", want=f"a whole number from {least}")
    return n


# -- gamma and beta ---------------------------------------------------------------------------


def _polygamma(_xp: Any, x: Any, *, n: int) -> Any:
    special = scipy_special()
    if n == 0:
        return special.psi(x)
    kind = np.result_type(np.asarray(x).dtype, np.float32) if not isinstance(x, float) else float
    sign = 1 if n % 2 else -1
    return (sign * math.factorial(n) * special.zeta(n + 1, np.asarray(x, np.float64))).astype(kind)[
        ()
    ]


polygamma_ = elementwise(
    "polygamma", namespace=None, forward=_polygamma, domain=(0.5, 4.0),
    partials=(lambda _y, x, *, n: polygamma_(x, n=n + 1),),
    text=lambda x, n: f"ψ({x})" if n == 0 else f"ψ⁽{n}⁾({x})",
    samples=lambda r: [((abs(r(3, 2)) + 0.5,), {"n": n}) for n in (0, 1, 2)],
    native=lambda b, x, *, n: b.call(("digamma", "trigamma")[n], x),
    declines=lambda node: node.params["n"] > 1,
    doc="The n-th derivative of the digamma function.",
)  # fmt: skip


def _psi(x: Any) -> Any:
    return polygamma_(x, n=0)


def _gammaln(xp: Any, x: Any) -> Any:
    """SciPy's, which is infinite where 1 / x is."""
    y = scipy_special().gammaln(x)
    with np.errstate(divide="ignore"):
        return xp.where((xp.abs(x) < 1e-300) & (x != 0), -xp.log(xp.abs(x)), y)[()].astype(y.dtype)


gammaln = elementwise(
    "gammaln", namespace="special", forward=_gammaln, domain=(0.5, 4.0),
    text="log |Γ({0})|", tex=r"\log|\Gamma({0})|", partials=(lambda _y, x: _psi(x),),
    native=lambda b, x: b.call("gammaln", x),
    doc="The logarithm of the size of the gamma function.",
)  # fmt: skip
gamma = elementwise(
    "gamma", namespace="special", forward=from_scipy("gamma"), domain=(0.5, 4.0),
    text="Γ({0})", tex=r"\Gamma({0})", partials=(lambda y, x: y * _psi(x),),
    doc="The gamma function, (x − 1)! for whole x.",
)  # fmt: skip
betaln = elementwise(
    "betaln", namespace="special", arity=2, forward=from_scipy("betaln"), domain=(0.5, 4.0),
    text="log |B({0}, {1})|", tex=r"\log|B({0}, {1})|",
    partials=(lambda _y, a, b: _psi(a) - _psi(a + b), lambda _y, a, b: _psi(b) - _psi(a + b)),
    native=lambda b, x, y: b.call("betaln", x, y),
    doc="The logarithm of the size of the beta function.",
)  # fmt: skip
beta = elementwise(
    "beta", namespace="special", arity=2, forward=from_scipy("beta"), domain=(0.5, 4.0),
    text="B({0}, {1})", tex="B({0}, {1})",
    partials=(
        lambda y, a, b: y * (_psi(a) - _psi(a + b)),
        lambda y, a, b: y * (_psi(b) - _psi(a + b)),
    ),
    doc="The beta function, Γ(a) Γ(b) / Γ(a + b).",
)  # fmt: skip


@public(namespace="special")
def digamma(x: Any, /) -> Tensor:
    """ψ, the derivative of log Γ.

    Example:
        >>> ob.special.digamma([1.0, 2.0])
        Tensor([-0.57721566,  0.42278434], float64)
    """
    return apply(polygamma_, (x,), {"n": 0})


@public(namespace="special")
def polygamma(n: int, x: Any, /) -> Tensor:
    """The n-th derivative of the digamma function, n a whole number.

    Rule:    x̄ = ȳ polygamma(n + 1, x).
    Example:
        >>> ob.special.polygamma(1, [1.0])
        Tensor([1.64493407], float64)
    """
    return apply(polygamma_, (x,), {"n": _order("polygamma", n, 0)})


# -- Bessel functions -------------------------------------------------------------------------
# Between neighbours in their order the derivatives have no singularity at 0.


def _bessel(kind: str) -> Callable[..., Any]:
    known = {0: f"{kind}0", 1: f"{kind}1"}

    def forward(_xp: Any, x: Any, *, n: int) -> Any:
        special = scipy_special()
        return getattr(special, known[n])(x) if n in known else getattr(special, f"{kind}v")(n, x)

    return forward


def _bessel_samples(r: Any) -> list[Any]:
    return [((r(3, 2),), {"n": n}) for n in (0, 1, 2)]


bessel_i = elementwise(
    "bessel_i",
    namespace=None,
    forward=_bessel("i"),
    text=lambda x, n: f"I{n}({x})",
    tex="I_{{{n}}}({0})",
    samples=_bessel_samples,
    partials=(
        lambda _y, x, *, n: (
            0.5 * (bessel_i(x, n=n - 1) + bessel_i(x, n=n + 1)) if n else bessel_i(x, n=1)
        ),
    ),
    native=lambda b, x, *, n: b.call(f"i{n}", x),
    declines=lambda node: node.params["n"] > 1,
    doc="The modified Bessel function of the first kind, of whole order.",
)
bessel_j = elementwise(
    "bessel_j",
    namespace=None,
    forward=_bessel("j"),
    text=lambda x, n: f"J{n}({x})",
    tex="J_{{{n}}}({0})",
    samples=_bessel_samples,
    partials=(
        lambda _y, x, *, n: (
            0.5 * (bessel_j(x, n=n - 1) - bessel_j(x, n=n + 1)) if n else -bessel_j(x, n=1)
        ),
    ),
    native=lambda b, x, *, n: b.call(f"j{n}", x),
    declines=lambda node: node.params["n"] > 1,
    doc="The Bessel function of the first kind, of whole order.",
)


def _of_order(op: Any, letter: str, n: int) -> None:
    name = f"{letter.lower()}{n}"

    def function(x: Any, /) -> Tensor:
        return apply(op, (x,), {"n": n})

    function.__name__ = function.__qualname__ = name
    kind = "The modified" if letter == "I" else "The"
    function.__doc__ = f"{kind} Bessel function of the first kind, of order {n}."
    public(function, namespace="special")


for _op, _letter in ((bessel_i, "I"), (bessel_j, "J")):
    for _n in (0, 1):
        _of_order(_op, _letter, _n)

# -- inverses of distribution functions -------------------------------------------------------

erfinv = elementwise(
    "erfinv", namespace="special", forward=from_scipy("erfinv"), domain=(-0.9, 0.9),
    text="erf⁻¹ {0}", tex=r"\operatorname{{erf}}^{{-1}} {0}",
    partials=(lambda y, _x: (0.5 * math.sqrt(math.pi)) * exp(y * y),),
    native=lambda b, x: b.call("erfinv", x), doc="The inverse of erf.",
)  # fmt: skip
ndtri = elementwise(
    "ndtri", namespace="special", forward=from_scipy("ndtri"), domain=(0.05, 0.95),
    text="Φ⁻¹({0})", tex=r"\Phi^{{-1}}({0})",
    partials=(lambda y, _x: math.sqrt(2 * math.pi) * exp(0.5 * y * y),),
    native=lambda b, x: b.call("ndtri", x),
    doc="The inverse of the standard normal distribution function.",
)  # fmt: skip


def _logit(xp: Any, x: Any) -> Any:
    """Near 1/2 by way of 2x − 1, which is exact there."""
    with np.errstate(all="ignore"):
        ends = xp.log(xp.where(x < 0.5, x / (1.0 - x), (1.0 - x) / x))
        ends = xp.where(x < 0.5, ends, -ends)
        return xp.where(xp.abs(x - 0.5) < 0.2, 2 * xp.arctanh(2 * x - 1), ends)


def _native_logit(b: Any, x: Any) -> Any:
    low = x < 0.5
    ends = b.call("log", b.where(low, x, 1 - x) / b.where(low, 1 - x, x))
    near = 2 * b.call("atanh", 2 * x - 1)
    return b.where(b.abs(x - 0.5) < 0.2, near, b.where(low, ends, -ends))


logit = elementwise(
    "logit", namespace="special", forward=_logit, domain=(0.05, 0.95), text="logit {0}",
    tex=r"\operatorname{{logit}} {0}", partials=(lambda _y, x: 1 / (x * (1 - x)),),
    native=_native_logit, doc="log(x / (1 − x)), the inverse of the logistic function.",
)  # fmt: skip

# -- x log y ----------------------------------------------------------------------------------
# 0 where x is 0, whatever y is but NaN.


def _xlog(name: str) -> Callable[..., Any]:
    def forward(xp: Any, x: Any, y: Any) -> Any:
        x, y = _together(xp, x, y)
        with np.errstate(divide="ignore", invalid="ignore"):
            return xp.where((x == 0) & ~xp.isnan(y), x * xp.ones_like(y), x * getattr(xp, name)(y))

    return forward


def _native_xlog(name: str) -> Callable[..., Any]:
    def rule(b: Any, x: Any, y: Any) -> Any:
        nothing = (x == 0) & ~b.isnan(y)
        return b.where(nothing, x, x * b.call(name, y))

    return rule


def _ratio(x: Any, y: Any) -> Any:
    """x / y, and 0 where x is 0."""
    zero = equal(x, 0)
    return where(zero, 0.0, x / where(zero, 1.0, y))


xlogy = elementwise(
    "xlogy",
    namespace="special",
    arity=2,
    forward=_xlog("log"),
    domain=((-2.0, 2.0), (0.2, 3.0)),
    text="{0} log {1}",
    tex=r"{0} \log {1}",
    partials=(lambda _z, _x, y: log(y), lambda _z, x, y: _ratio(x, y)),
    native=_native_xlog("log"),
    doc="x log y, and 0 where x is 0.",
)
xlog1py = elementwise(
    "xlog1py",
    namespace="special",
    arity=2,
    forward=_xlog("log1p"),
    domain=((-2.0, 2.0), (-0.8, 3.0)),
    text="{0} log(1 + {1})",
    tex=r"{0} \log(1 + {1})",
    partials=(lambda _z, _x, y: log1p(y), lambda _z, x, y: _ratio(x, 1 + y)),
    native=_native_xlog("log1p"),
    doc="x log(1 + y), and 0 where x is 0.",
)


def _entr(xp: Any, x: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = xp.where(x == 0, 0 * x, -(x * xp.log(xp.abs(x))))
        return xp.where(x < 0, -xp.inf, inner)


def _native_entr(b: Any, x: Any) -> Any:
    inner = b.where(x == 0, 0 * x, -x * b.call("log", b.abs(x)))
    return b.where(x < 0, -math.inf, inner)


entr = elementwise(
    "entr", namespace="special", forward=_entr, domain=(0.1, 3.0), text="−{0} log {0}",
    tex=r"-{0} \log {0}", partials=(lambda _y, x: -1 - log(x),),
    native=_native_entr, doc="−x log x: 0 at 0, −∞ left of it.",
)  # fmt: skip

# -- sin(πx) / (πx) ---------------------------------------------------------------------------


def _spherical(x: np.ndarray, *, n: int) -> np.ndarray:
    """πⁿ jₙ(πx), jₙ the spherical Bessel function: a power series near 0, else the recurrence.

    Source:  Abramowitz and Stegun 10.1.2, 10.1.11 and 10.1.19.
    """
    x = math.pi * x
    near = np.abs(x) < n + 1.5
    t = np.where(near, x, 0.0)
    term = t**n / math.prod(range(1, 2 * n + 2, 2))
    series = term
    for k in range(1, 16 + n):
        term = term * (t * t) * (-0.5 / (k * (2 * (n + k) + 1)))
        series = series + term
    t = np.where(near, 1.0, x)
    before, out = np.cos(t) / t, np.sin(t) / t
    for k in range(n):
        before, out = out, (2 * k + 1) / t * out - before
    out = np.where(np.isinf(x), 0.0, out)
    return math.pi**n * np.where(near, series, out)


def _sinc_partial(_y: Any, x: Any, *, n: int) -> Any:
    """jₙ' = (n jₙ₋₁ − (n + 1) jₙ₊₁) / (2n + 1), with a factor π for every order."""
    above = spherical(x, n=n + 1) * (-(n + 1) / (2 * n + 1))
    return above + spherical(x, n=n - 1) * (n * math.pi**2 / (2 * n + 1)) if n else above


spherical = elementwise(
    "spherical", namespace=None, forward=in_float64(_spherical), partials=(_sinc_partial,),
    text=lambda x, n: f"sinc {x}" if n == 0 else f"πⁿ j{n}(π {x})",
    samples=lambda r: [((r(3, 2),), {"n": n}) for n in (0, 1, 2)],
    doc="πⁿ times the spherical Bessel function jₙ of πx; of order 0 it is sinc.",
)  # fmt: skip


@public
def sinc(x: Any, /) -> Tensor:
    """sin(πx) / (πx), and 1 at 0; its derivatives do not cancel near 0.

    Example:
        >>> ob.sinc([0.0, 0.5])
        Tensor([1.        , 0.63661977], float64)
    """
    return apply(spherical, (x,), {"n": 0})
