"""What stands between the layers of a network: activations, and the softmax family.

`softmax` is a soft *arg*max: it gives a distribution. The soft maximum, one number, is
`logsumexp`, or `softmaximum`, which does not grow with the number of entries; its derivative is
the soft argmax. `relu`, `leaky_relu` and `ramp` are in `arithmetic`, `sigmoid` and `tanh` in
`smooth`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..apply import apply
from ..elementwise import elementwise
from ..errors import DomainError, ShapeError
from ..handle import Tensor, as_tensor
from ..primitive import Primitive, public
from ..spec import axes, one_axis, spec
from .arithmetic import at_kink, clip, heaviside, minimum_, times, where
from .erf import in_float64, ndtr, ndtr_values, normal_density
from .logic import equal, isfinite
from .reduce import max_
from .repeat import dropped, kept, reshape, spread, sum_
from .smooth import exp, expit, log, logistic

# -- entry by entry ---------------------------------------------------------------------------


def _elu_partial(_y: Any, x: Any, *, alpha: float, kink: float) -> Any:
    right = heaviside(x, kink=kink)
    return right + (1 - right) * (alpha * exp(minimum_(x, 0.0, kink=0.5)))


elu_ = elementwise(
    "elu",
    namespace=None,
    partials=(_elu_partial,),
    forward=lambda xp, x, *, alpha, kink: xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0))),
    text="elu({0})",
    native=lambda b, x, *, alpha, kink: b.where(x > 0, x, alpha * b.call("expm1", b.minimum(x, 0))),
    samples=lambda r: [((r(3, 2),), {"alpha": a, "kink": 0.0}) for a in (1.0, 0.5)],
    doc="x right of zero, alpha (exp(x) − 1) left of it.",
)


def _softplus(xp: Any, x: Any) -> Any:
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.fabs(x)))


softplus_ = elementwise(
    "softplus",
    namespace=None,
    forward=_softplus,
    text="log(1 + exp {0})",
    tex=r"\log(1 + e^{{{0}}})",
    partials=(lambda _y, x: expit(x),),
    native=lambda b, x: b.call("softplus", x),
    doc="log(1 + exp x), without overflow.",
)
log_sigmoid = elementwise(
    "log_sigmoid", forward=lambda xp, x: xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.fabs(x))),
    text="log σ({0})", tex=r"\log \sigma({0})", partials=(lambda _y, x: expit(-x),),
    native=lambda b, x: b.call("log_sigmoid", x),
    doc="The logarithm of the logistic function, without underflow.",
)  # fmt: skip
_ZERO_FROM = -1e4  # so far left the logistic function is 0, and so are the products, at −∞ too


def _silu(xp: Any, x: Any) -> Any:
    x = xp.maximum(x, _ZERO_FROM)
    return x * logistic(xp, x)


silu = elementwise(
    "silu",
    forward=_silu,
    text="{0} σ({0})",
    tex=r"{0}\,\sigma({0})",
    partials=(lambda _y, x: expit(x) * (1 + x * expit(-x)),),
    native=lambda b, x: b.call("silu", x),
    doc="x times the logistic function of x.",
)
gelu_ = elementwise(
    "gelu",
    namespace=None,
    forward=in_float64(lambda x: np.where(np.isinf(x), np.maximum(x, 0), x * ndtr_values(x))),
    text="gelu({0})",
    partials=(lambda _y, x: ndtr(x) + x * normal_density(x),),
    native=lambda b, x: b.call("gelu", x),
    doc="x Φ(x), with Φ the standard normal distribution function.",
)

_GELU = math.sqrt(8 / math.pi)


def _gelu_inner(x: Any) -> Any:
    return _GELU * (x + 0.044715 * x * x * x)


def _gelu_tanh_partial(_y: Any, x: Any) -> Any:
    u = _gelu_inner(x)
    return expit(u) * (1 + x * expit(-u) * (_GELU * (1 + 3 * 0.044715 * x * x)))


gelu_tanh = elementwise(
    "gelu_tanh", namespace=None,
    forward=lambda xp, x: xp.maximum(x, _ZERO_FROM) * logistic(xp, _gelu_inner(x)),
    text="gelu({0})", partials=(_gelu_tanh_partial,),
    native=lambda b, x: b.call("gelu_tanh", x),
    doc="The approximation of gelu by a tanh: x σ(√(8/π) (x + 0.044715 x³)).",
)  # fmt: skip


@public
def elu(x: Any, /, alpha: float = 1.0) -> Tensor:
    """x right of zero, alpha (exp(x) − 1) left of it.

    Rule:    x̄ = ȳ for x > 0, alpha exp(x) ȳ for x < 0; at 0 alpha ȳ, or `ob.config(kinks=)`.
    Example:
        >>> ob.elu([-1.0, 2.0])
        Tensor([-0.63212056,  2.        ], float64)
    """
    return apply(elu_, (x,), {"alpha": float(alpha), "kink": at_kink(0.0)})


@public
def softplus(x: Any, /, beta: Any = 1) -> Tensor:
    """(1/beta) log(1 + exp(beta x)): a smooth relu, without overflow.

    Rule:    x̄ = σ(beta x) ȳ.
    Example:
        >>> ob.softplus([-1000.0, 0.0, 1000.0])
        Tensor([0.00000000e+00, 6.93147181e-01, 1.00000000e+03], float64)
    """
    return (
        apply(softplus_, (x,)) if _is_one(beta) else apply(softplus_, (as_tensor(x) * beta,)) / beta
    )


def _is_one(beta: Any) -> bool:
    return isinstance(beta, int | float) and beta == 1


@public
def gelu(x: Any, /, approximate: bool | str = False) -> Tensor:
    """x Φ(x), with Φ the standard normal distribution function; accurate far into its tail.

    approximate: True (or "tanh") for x σ(√(8/π) (x + 0.044715 x³)), at most 5e-4 away.

    Source:  Hendrycks and Gimpel (2016), Gaussian error linear units.
    Example:
        >>> ob.gelu([-1.0, 0.0, 1.0])
        Tensor([-0.15865525,  0.        ,  0.84134475], float64)
    """
    if approximate not in (False, True, "none", "tanh"):
        raise DomainError(
            f"gelu: approximate={approximate!r} is not a choice",
            want="False, True, 'none' or 'tanh'",
        )
    return apply(gelu_tanh if approximate in (True, "tanh") else gelu_, (x,))


@public
def hard_tanh(x: Any, /) -> Tensor:
    """x, cut off at −1 and 1: `clip(x, −1, 1)`.

    Example:
        >>> ob.hard_tanh([-3.0, 0.5, 2.0])
        Tensor([-1. ,  0.5,  1. ], float64)
    """
    return clip(x, -1.0, 1.0)


# -- softmax ----------------------------------------------------------------------------------
# All the maximum of an axis is subtracted from loses nothing: the family is unchanged by shifts.
# Where every entry is −∞ there is nothing to choose from: softmax is 0 there, and logsumexp −∞
# with derivative 0.


def _inside(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _shifted(xp: Any, x: Any, axis: tuple[int, ...]) -> tuple[Any, Any]:
    """x minus its maximum, and that; a maximum that is not finite is not subtracted."""
    top = xp.max(x, axis=axis, keepdims=True, initial=-xp.inf)
    top = xp.where(xp.isfinite(top), top, x.dtype.type(0))
    return x - top, top


def _softmax(xp: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    wide = _inside(x)
    with np.errstate(invalid="ignore", over="ignore"):
        e, _ = _shifted(xp, wide, axis)
        e = xp.exp(e)
        total = xp.sum(e, axis=axis, keepdims=True)
        e /= xp.where(total == 0, e.dtype.type(1), total)
        return e.astype(x.dtype, copy=False)


def _logsumexp(xp: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    wide = _inside(x)
    with np.errstate(divide="ignore", over="ignore"):
        below, top = _shifted(xp, wide, axis)
        total = xp.log(xp.sum(xp.exp(below), axis=axis, keepdims=True)) + top
    return total.reshape(dropped(x.shape, axis)).astype(x.dtype)[()]


def _log_softmax(xp: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    wide = _inside(x)
    with np.errstate(divide="ignore", over="ignore"):
        below, _ = _shifted(xp, wide, axis)
        total = xp.log(xp.sum(xp.exp(below), axis=axis, keepdims=True))
        return (below - xp.where(total == -xp.inf, 0, total)).astype(x.dtype)


def _up(axis: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + 1 for a in axis)


def _total(x: Any, axis: tuple[int, ...]) -> Any:
    """The sum over the axes, repeated along them."""
    return spread(sum_(x, axis=axis), x.shape, axis)


def _softmax_rule(bar: Any, y: Any, _x: Any, *, axis: tuple[int, ...]) -> Any:
    """y (x̄ − Σ y x̄): the Jacobian diag(y) − y yᵀ is its own transpose."""
    return y * (bar - _total(bar * y, axis))


def _logsumexp_reverse(y_bar: Any, _y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    return spread(y_bar, x.shape, axis) * softmax_(x, axis=axis)


def _below(x: Any, axis: tuple[int, ...]) -> tuple[Any, Any]:
    """x minus its maximum, and that, as `_shifted`, of primitives."""
    top = max_(x, axis=axis, ties="share")
    top = where(isfinite(top), top, 0.0)
    return x - spread(top, x.shape, axis), top


def _softmax_of(x: Any, *, axis: tuple[int, ...]) -> Any:
    e = exp(_below(x, axis)[0])
    total = sum_(e, axis=axis)
    return e / spread(where(equal(total, 0.0), 1.0, total), x.shape, axis)


def _log_softmax_of(x: Any, *, axis: tuple[int, ...]) -> Any:
    below, _ = _below(x, axis)
    total = log(sum_(exp(below), axis=axis))
    return below - spread(where(equal(total, -math.inf), 0.0, total), x.shape, axis)


def _logsumexp_of(x: Any, *, axis: tuple[int, ...]) -> Any:
    below, top = _below(x, axis)
    return log(sum_(exp(below), axis=axis)) + top


def _samples(r: Any) -> list[Any]:
    return [
        ((r(3, 4),), {"axis": (1,)}),
        ((r(3, 2, 2),), {"axis": (0, 2)}),
        ((r(0, 3),), {"axis": (1,)}),
    ]


softmax_ = Primitive(
    "softmax", forward=_softmax, shape=lambda x, *, axis: x,
    vjp=(_softmax_rule,), jvp=(_softmax_rule,),
    batch=lambda n, mapped, x, *, axis: softmax_(x, axis=_up(axis)),
    text=lambda x, axis: f"softmax {x}", tex=r"\operatorname{{softmax}} {0}", samples=_samples,
    expands=_softmax_of,
    doc="exp(x) over its sum along some axes: a distribution; 0 where all of x is −∞.",
)  # fmt: skip
log_softmax_ = Primitive(
    "log_softmax",
    forward=_log_softmax,
    shape=lambda x, *, axis: x,
    vjp=(lambda y_bar, y, _x, *, axis: y_bar - exp(y) * _total(y_bar, axis),),
    jvp=(lambda x_dot, y, _x, *, axis: x_dot - _total(times(exp(y), x_dot), axis),),
    batch=lambda n, mapped, x, *, axis: log_softmax_(x, axis=_up(axis)),
    text=lambda x, axis: f"log softmax {x}",
    tex=r"\log\operatorname{{softmax}} {0}",
    samples=_samples,
    expands=_log_softmax_of,
    doc="The logarithm of softmax, without underflow.",
)
logsumexp_ = Primitive(
    "logsumexp", forward=_logsumexp, shape=lambda x, *, axis: spec(dropped(x.shape, axis), x.dtype),
    vjp=(_logsumexp_reverse,),
    jvp=(lambda x_dot, _y, x, *, axis: sum_(times(softmax_(x, axis=axis), x_dot), axis=axis),),
    batch=lambda n, mapped, x, *, axis: logsumexp_(x, axis=_up(axis)),
    text=lambda x, axis: f"log Σ exp {x}", tex=r"\log \sum e^{{{0}}}", samples=_samples,
    expands=_logsumexp_of,
    doc="The logarithm of the sum of exp(x) over some axes.",
)  # fmt: skip


def _floats(x: Any) -> Tensor:
    x = as_tensor(x)
    if x.dtype.kind == "c":
        raise DomainError("softmax and its family are of real numbers", got={"x": x})
    return as_tensor(x, np.float64) if not x.spec.floating or x.spec.weak else x


@public
def softmax(x: Any, /, axis: int = -1) -> Tensor:
    """exp(x) over its sum along one axis: the soft argmax, a distribution.

    Where all entries are −∞, all results are 0.

    Rule:    x̄ = y (ȳ − Σ y ȳ).
    Example:
        >>> ob.softmax([10000.0, 10000.0])
        Tensor([0.5, 0.5], float64)
    """
    x = _floats(x)
    return apply(softmax_, (x,), {"axis": (one_axis("softmax", axis, x.ndim),)})


@public
def softargmax(e: Any, /, beta: Any = 1, axis: int = -1) -> Tensor:
    """softmax(beta e): the larger beta, the nearer to 1 at the maximum and 0 elsewhere.

    Example:
        >>> ob.softargmax([1.0, 2.0], beta=100.0).numpy().round(6)
        array([0., 1.])
    """
    return softmax(e if _is_one(beta) else as_tensor(e) * beta, axis)


@public
def log_softmax(x: Any, /, axis: int = -1) -> Tensor:
    """The logarithm of softmax, without underflow.

    Rule:    x̄ = ȳ − exp(y) Σ ȳ.
    Example:
        >>> ob.log_softmax([0.0, 1000.0])
        Tensor([-1000.,     0.], float64)
    """
    x = _floats(x)
    return apply(log_softmax_, (x,), {"axis": (one_axis("log_softmax", axis, x.ndim),)})


@public
def logsumexp(
    x: Any, /, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Tensor:
    """log Σ exp(x) over the given axes (all of them by default), without overflow.

    Where all entries are −∞ it is −∞, with derivative 0.

    Rule:    x̄ = ȳ softmax(x).
    Example:
        >>> ob.logsumexp([10000.0, 10000.0])
        Tensor(10000.69314718, float64)
    """
    x = _floats(x)
    over = axes("logsumexp", axis, x.ndim)
    y = apply(logsumexp_, (x,), {"axis": over})
    return reshape(y, kept(x.shape, over)) if keepdims else y


@public
def softmaximum(
    e: Any, /, beta: Any = 1, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Tensor:
    """(1/beta) log mean exp(beta e): between the mean (beta → 0) and the maximum (beta → ∞).

    Rule:    ē = ȳ softargmax(e, beta).
    Raises:  ShapeError for the soft maximum of nothing.
    Example:
        >>> float(ob.softmaximum([1.0, 1.0, 1.0], beta=2.0))
        1.0
    """
    e = _floats(e)
    n = math.prod(e.shape[a] for a in axes("softmaximum", axis, e.ndim))
    if n == 0:
        raise ShapeError("softmaximum: there is nothing to take the maximum of", got={"e": e})
    if _is_one(beta):
        return logsumexp(e, axis, keepdims) - math.log(n)
    return (logsumexp(e * beta, axis, keepdims) - math.log(n)) / beta
