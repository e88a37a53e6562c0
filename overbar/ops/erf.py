"""The error function and its family, to the last digits and without SciPy.

erf x = 2/√π ∫₀ˣ exp(−t²) dt. Everything here is made from two quotients of polynomials: erf itself
near 0, and exp(x²) erfc x further out. They were found by interpolation at Chebyshev points with
60 digits (each is within 1.3e-17 of its function) and are evaluated in float64, whatever
the dtype; tests/ops/test_elementwise_values.py holds the results to 2 units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..apply import apply
from ..elementwise import elementwise
from ..errors import DTypeError
from ..handle import Tensor
from ..primitive import public
from .arithmetic import where
from .logic import less
from .smooth import exp

_2_SQRT_PI = 2 / math.sqrt(math.pi)
_SQRT_HALF = math.sqrt(0.5)
_BLOCK = 4096  # entries at a time: what is made on the way stays in the cache

# Numerator and denominator, highest power first.
_SMALL = (  # erf(x)/x − 1 as a function of x², for |x| <= 7/8
    (-2.00170157613129e-05, -0.0004797155753582822, -0.008712774923031725,
     -0.04766986364765085, -0.3172734537906883, 0.1283791670955126),
    (1.9960438931717756e-05, 0.0006735014276418165, 0.010504255098184687,
     0.0928503921160802, 0.4584305738435223, 1.0),
)  # fmt: skip
# x exp(x²) erfc x = K (1 + r): r is small, so what its evaluation rounds off hardly counts.
_NEAR = (  # r as a function of x − 7/8, for 7/8 <= x <= 2, with K = 59/128
    (0.00048167402759655684, 0.007155115668348197, 0.04544161162783844, 0.15385373591916407,
     0.2718557923319499, 0.17668310167867804, -0.11859496070001817),
    (0.0021504281254162527, 0.03193838784798564, 0.2087787117106499, 0.7634405991326954,
     1.6383974926690357, 1.9485469722148054, 1.0),
)  # fmt: skip
_MIDDLE = (  # r as a function of x − 2, for 2 <= x <= 4, with K = 17/32
    (3.5255402233129725e-05, 0.0006733872353983578, 0.005274939966847591, 0.020966673744777956,
     0.039996600279546976, 0.017118664290493663, -0.03851039506633131),
    (0.0005686011674091062, 0.010860340559153407, 0.08994482276552003, 0.4116682128396197,
     1.0945693433386392, 1.5987597612535143, 1.0),
)  # fmt: skip
_FAR = (  # r as a function of 1/x², for x >= 4, with K = 9/16
    (-295.0541840778445, -796.5477471883627, -540.2255657453761, -135.6311248944861,
     -13.45991678473908, -0.41060552485040797, 0.0030037040849000655),
    (418.83921758984917, 2231.1853109808726, 2950.2040405147636, 1475.9281538908365,
     320.9319667563323, 30.261412117454135, 1.0),
)  # fmt: skip


def _polynomial(powers: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    y = powers[0] * x
    for c in powers[1:-1]:
        y += c
        y *= x
    y += powers[-1]
    return y


def _quotient(table: Any, x: np.ndarray) -> np.ndarray:
    return _polynomial(table[0], x) / _polynomial(table[1], x)


def in_float64(values: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """A forward that computes in float64 and gives the dtype that came (float64 for integers)."""

    def forward(_xp: Any, x: Any, **params: Any) -> Any:
        x = np.asarray(x)
        if x.dtype.kind == "c":
            raise DTypeError("of real numbers only", got={"x": x})
        flat = x.reshape(-1)
        y = np.empty(x.size, x.dtype if x.dtype.kind == "f" else np.float64)
        with np.errstate(all="ignore"):
            for start in range(0, x.size, _BLOCK):
                block = slice(start, start + _BLOCK)
                y[block] = values(flat[block].astype(np.float64), **params)
        return y.reshape(x.shape)[()]

    return forward


def _leading(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k, r) with exp(x²) erfc x = k (1 + r), for x >= 7/8; k is exact, r small."""
    near, far = x < 2, x >= 4
    k = np.where(near, 59 / 128, np.where(far, 9 / 16, 17 / 32))
    r = np.empty_like(x)
    _fill(r, near, x, lambda x: _quotient(_NEAR, x - 0.875))
    _fill(r, ~(near | far), x, lambda x: _quotient(_MIDDLE, x - 2))
    _fill(r, far, x, lambda x: _quotient(_FAR, 1 / x**2))
    y, fine = k / x, x < 1e9
    y, x = np.where(fine, _halved(y), y), np.where(fine, x, 1.0)
    z = _halved(x)
    off = ((k - y * z) - y * (x - z)) / (y * x)  # K/x = y (1 + off); the products are exact
    return y, np.where(fine, r + off + r * off, r)


def _fill(y: np.ndarray, where: np.ndarray, x: np.ndarray, f: Callable[..., np.ndarray]) -> None:
    """y = f(x) at some places."""
    at = np.flatnonzero(where)
    if at.size:
        y[at] = f(x.take(at))


def _halved(x: np.ndarray) -> np.ndarray:
    """x with half of its digits: products of two such numbers are exact."""
    return x.astype(np.float32).astype(np.float64)


def _scaled(x: np.ndarray) -> np.ndarray:
    """exp(x²) erfc x for x >= 7/8."""
    k, r = _leading(x)
    return k + k * r


def _damped(x: np.ndarray, y: np.ndarray, r: Any, scale: float) -> np.ndarray:
    """exp(−scale x²) y (1 + r).

    x² loses digits that the exponential blows up; the square of x in half precision does not, and
    the rest is a small correction.
    """
    x = np.clip(x, -1e9, 1e9)
    z = _halved(x)
    rest = np.expm1(scale * (z - x) * (z + x))
    return np.exp(-scale * z * z) * (y + y * (r + rest + r * rest))


def _near_zero(x: np.ndarray) -> np.ndarray:
    """erf(x)/x − 1 for |x| <= 7/8."""
    return _quotient(_SMALL, x * x)


def erf_values(x: np.ndarray) -> np.ndarray:
    """erf of float64 numbers."""
    y, far = np.empty_like(x), np.abs(x) > 0.875
    _fill(y, ~far, x, lambda x: x + x * _near_zero(x))
    _fill(y, far, x, lambda x: np.copysign(1 - _tail(np.abs(x)), x))
    return y


def _tail(x: np.ndarray) -> np.ndarray:
    """erfc x for x >= 7/8."""
    return np.where(x > 28, 0.0, _damped(x, *_leading(x), 1.0))


def erfc_values(x: np.ndarray) -> np.ndarray:
    """erfc of float64 numbers."""
    y = np.empty_like(x)
    right, left = x > 0.875, x < 0.25
    _fill(y, right, x, _tail)
    _fill(y, left, x, lambda x: 1 - erf_values(x))
    _fill(y, ~(right | left), x, _middle)
    return y


def _middle(x: np.ndarray) -> np.ndarray:
    """erfc x for 1/4 <= x <= 7/8: 1 − x − (erf x − x), where 1 − x or else x − 1/2 is exact."""
    rest = x * _near_zero(x)
    return np.where(x < 0.5, 0.5 - ((x - 0.5) + rest), (1 - x) - rest)


def _lower_tail(x: np.ndarray) -> np.ndarray:
    """Φ(x) for x/√2 < −7/8."""
    u = -x * _SQRT_HALF
    k, r = _leading(u)
    return np.where(u > 28, 0.0, _damped(x, 0.5 * k, r, 0.5))


def ndtr_values(x: np.ndarray) -> np.ndarray:
    """The standard normal distribution function of float64 numbers."""
    y, tail = np.empty_like(x), -x * _SQRT_HALF > 0.875
    _fill(y, tail, x, _lower_tail)
    _fill(y, ~tail, x, lambda x: 0.5 * erfc_values(-x * _SQRT_HALF))
    return y


def _scaled_values(x: np.ndarray, *, n: int) -> np.ndarray:
    """exp(x²) iⁿerfc x.

    Source:  Abramowitz and Stegun 7.2.5, 2(n+1) wₙ₊₁ = wₙ₋₁ − 2 x wₙ, upwards left of 3/2; right
             of it the same recurrence as a continued fraction for wₙ/wₙ₋₁, from its far end.
    """
    first, a = np.empty_like(x), np.abs(x)
    out, near = x > 0.875, a <= 0.875
    left = ~(out | near)
    first[out] = _scaled(x[out])
    first[near] = np.exp(x[near] ** 2) * erfc_values(x[near])
    z = a[left]
    first[left] = 2 / _damped(z, np.ones_like(z), 0.0, 1.0) - _scaled(z)
    if n == 0:
        return first
    before, y = np.full_like(x, _2_SQRT_PI), first
    for k in range(1, n + 1):
        before, y = y, (before - 2 * x * y) / (2 * k)
    right = x > 1.5
    t = x[right]
    last = n + 80
    ratio, product = (np.sqrt(t * t + 2 * last) - t) / (2 * last), first[right]
    for k in range(last - 1, 0, -1):
        ratio = 1 / (2 * t + 2 * (k + 1) * ratio)
        if k <= n:
            product = product * ratio
    y[right] = product
    return y


# -- primitives -------------------------------------------------------------------------------

erf = elementwise(
    "erf", namespace="special", forward=in_float64(erf_values), text="erf {0}",
    tex=r"\operatorname{{erf}} {0}", partials=(lambda _y, x: _2_SQRT_PI * exp(-x * x),),
    native=lambda b, x: b.call("erf", x), doc="The error function, 2/√π ∫₀ˣ exp(−t²) dt.",
)  # fmt: skip
erfc = elementwise(
    "erfc", namespace="special", forward=in_float64(erfc_values), text="erfc {0}",
    tex=r"\operatorname{{erfc}} {0}", partials=(lambda _y, x: -_2_SQRT_PI * exp(-x * x),),
    native=lambda b, x: b.call("erfc", x),
    doc="1 − erf x, with all its digits where erf x is nearly 1.",
)  # fmt: skip
scaled_erfc = elementwise(
    "scaled_erfc",
    namespace=None,
    forward=in_float64(_scaled_values),
    text=lambda x, n: f"exp({x}²) i{n}erfc {x}" if n else f"erfcx {x}",
    partials=(lambda _y, x, *, n: (-2 * (n + 1)) * scaled_erfc(x, n=n + 1),),
    samples=lambda r: [((r(3, 2),), {"n": 0}), ((3 + r(4),), {"n": 1}), ((r(0),), {"n": 0})],
    native=lambda b, x, *, n: b.call("scaled_erfc", x),
    declines=lambda node: node.params["n"] > 0,
    doc="exp(x²) times the n-th repeated integral of erfc; the derivative is the next of them.",
)
ndtr = elementwise(
    "ndtr",
    namespace="special",
    forward=in_float64(ndtr_values),
    text="Φ({0})",
    tex=r"\Phi({0})",
    partials=(lambda _y, x: normal_density(x),),
    native=lambda b, x: b.call("ndtr", x),
    doc="The standard normal distribution function Φ, accurate far into its lower tail.",
)


def normal_density(x: Any) -> Any:
    """The standard normal density exp(−x²/2) / √(2π), of a raw array or a Tensor."""
    return exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


def _mills_values(x: np.ndarray) -> np.ndarray:
    density = _damped(x, np.full_like(x, 1 / math.sqrt(2 * math.pi)), 0.0, 0.5)
    left = math.sqrt(2 / math.pi) / _scaled_values(-np.minimum(x, 0) * _SQRT_HALF, n=0)
    return np.where(x > 0, density / ndtr_values(x), left)


def _mills_partial(y: Any, x: Any) -> Any:
    """−y (x + y); left of zero x + y is √2 w₁/w₀ at −x/√2, which does not cancel."""
    left = less(x, 0)
    u = where(left, x * -_SQRT_HALF, 0.0)
    gap = math.sqrt(2) * scaled_erfc(u, n=1) / scaled_erfc(u, n=0)
    return -y * where(left, gap, x + y)


mills = elementwise(
    "mills", namespace=None, forward=in_float64(_mills_values), partials=(_mills_partial,),
    text="φ({0})/Φ({0})", tex=r"\tfrac{{\phi}}{{\Phi}}({0})",
    native=lambda b, x: b.call("mills", x),
    doc="The normal density over the normal distribution function.",
)  # fmt: skip


def _log_ndtr_values(x: np.ndarray) -> np.ndarray:
    low = x < -1
    y = np.empty_like(x)
    y[~low] = np.log1p(-ndtr_values(-x[~low]))
    t = x[low]
    y[low] = np.log(0.5 * _scaled_values(-t * _SQRT_HALF, n=0)) - 0.5 * t * t
    return y


log_ndtr = elementwise(
    "log_ndtr", namespace="special", forward=in_float64(_log_ndtr_values), text="log Φ({0})",
    tex=r"\log\Phi({0})", partials=(lambda _y, x: mills(x),),
    native=lambda b, x: b.call("log_ndtr", x),
    doc="The logarithm of the standard normal distribution function, without underflow.",
)  # fmt: skip


@public(namespace="special")
def erfcx(x: Any, /) -> Tensor:
    """exp(x²) erfc x, which neither overflows nor underflows for x > 0.

    Example:
        >>> ob.special.erfcx([0.0, 1e6])
        Tensor([1.00000000e+00, 5.64189584e-07], float64)
    """
    return apply(scaled_erfc, (x,), {"n": 0})
