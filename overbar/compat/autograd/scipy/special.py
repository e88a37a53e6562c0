"""`autograd.scipy.special`: what `ob.special` has is ours; a few more are composed, or stated here.

The rules at the end are those of the Digital Library of Mathematical Functions.
"""

from __future__ import annotations

import math
from typing import Any

import scipy.special as _theirs

import overbar as ob

from .. import numpy as np
from ..extend import defjvp, defvjp, primitive
from ..numpy.dispatch import lifted, passed
from ..numpy.numpy_vjps import unbroadcast_f

_OURS = {"psi": "digamma"}


def _rgamma(x: Any) -> Any:
    return 1 / ob.special.gamma(x)


def _multigammaln(a: Any, d: int) -> Any:
    known = d * (d - 1) / 4 * math.log(math.pi)
    return sum((ob.special.gammaln(a - j / 2) for j in range(d)), start=known)


def _erfcinv(y: Any) -> Any:
    return -ob.special.ndtri(y / 2) / math.sqrt(2)


def _logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    if b is None and not return_sign:
        return ob.logsumexp(a, axis=axis, keepdims=keepdims)
    top = ob.stop_gradient(ob.max(a, axis=axis, keepdims=True))
    top = ob.where(ob.isfinite(top), top, 0.0)
    terms = ob.exp(a - top)
    total = ob.sum(terms if b is None else b * terms, axis=axis, keepdims=keepdims)
    above = top if keepdims else ob.reshape(top, total.shape)
    if return_sign:
        return ob.log(ob.abs(total)) + above, ob.sign(total)
    return ob.log(total) + above


def _softmax(x: Any, axis: Any = None) -> Any:
    flat = axis is None
    return ob.reshape(ob.softmax(ob.ravel(x) if flat else x, axis=-1 if flat else axis), x.shape)


def _log_softmax(x: Any, axis: Any = None) -> Any:
    flat = axis is None
    y = ob.log_softmax(ob.ravel(x) if flat else x, axis=-1 if flat else axis)
    return ob.reshape(y, x.shape)


_COMPOSED = {
    "rgamma": _rgamma,
    "multigammaln": _multigammaln,
    "erfcinv": _erfcinv,
    "logsumexp": _logsumexp,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
}


def _of_complex(name: str, sign: float) -> Any:
    """The error function, or its complement, of complex numbers too."""
    entire = primitive(getattr(_theirs, name))
    slope = lambda x: sign * 2 / math.sqrt(math.pi) * np.exp(-(x**2))  # noqa: E731
    defvjp(entire, lambda y, x: lambda y_bar: y_bar * slope(x))
    defjvp(entire, lambda x_dot, y, x: x_dot * slope(x))
    return lambda x: entire(x) if x.dtype.kind == "c" else getattr(ob.special, name)(x)


_COMPOSED |= {"erf": _of_complex("erf", 1.0), "erfc": _of_complex("erfc", -1.0)}
for _name in [str(n) for n in _theirs.__all__]:
    _function = getattr(_theirs, _name)
    if callable(_function) and not isinstance(_function, type):
        _ours = _COMPOSED.get(_name) or getattr(ob.special, _OURS.get(_name, _name), None)
        globals()[_name] = lifted(_function, _ours)


def __getattr__(name: str) -> Any:
    return passed(_theirs, name)


def _state(name: str, *partials: Any) -> None:
    """A function with these partial derivatives of (y, *xs); None where none is known."""
    if hasattr(ob.special, name):
        return
    function = globals()[name] = primitive(getattr(_theirs, name))
    known = [i for i, p in enumerate(partials) if p is not None]
    pulls = [_pull(i, partials[i]) for i in known]
    pushes = [_push(partials[i]) for i in known]
    defvjp(function, *pulls, argnums=known)
    defjvp(function, *pushes, argnums=known)


def _pull(i: int, partial: Any) -> Any:
    return lambda y, *xs: unbroadcast_f(xs[i], lambda y_bar: y_bar * partial(y, *xs))


def _push(partial: Any) -> Any:
    return lambda x_dot, y, *xs: x_dot * partial(y, *xs)


def _of(name: str) -> Any:
    def late(*xs: Any) -> Any:  # it is replaced below
        return globals()[name](*xs)

    return late


_jn, _yn, _iv, _ive, _j1, _y1 = map(_of, "jn yn iv ive j1 y1".split())
for _name, _f in {"jn": _jn, "jv": _of("jv"), "yn": _yn, "yv": _of("yv")}.items():
    _state(_name, None, lambda y, n, x, f=_f: (f(n - 1, x) - f(n + 1, x)) / 2)  # 10.6.1
_state("iv", None, lambda y, n, x: (_iv(n - 1, x) + _iv(n + 1, x)) / 2)  # 10.29.1
_state("ive", None, lambda y, n, x: y * (n / x - np.sign(x)) + _ive(n + 1, x))  # 10.29.2
_state("kv", None, lambda y, n, x: -(_of("kv")(n - 1, x) + _of("kv")(n + 1, x)) / 2)
_state("j0", lambda y, x: -_j1(x))
_state("j1", lambda y, x: (_of("j0")(x) - _jn(2, x)) / 2)
_state("y0", lambda y, x: -_y1(x))
_state("y1", lambda y, x: (_of("y0")(x) - _yn(2, x)) / 2)
_state(
    "betainc",
    None,
    None,
    lambda y, a, b, x: np.exp(
        (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - _of("betaln")(a, b)
    ),  # 8.17.1
)
_state("gammasgn", lambda y, x: 0.0 * x)
