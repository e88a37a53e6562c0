"""Elementwise and special functions: values, first and second derivatives, against mpmath with 40
digits, against NumPy and SciPy at the edges, and complex ones against their definition."""

import math
import sys

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import overbar as ob

EDGES = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 5e-324, -5e-324])


def _phi(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _gelu_tanh(x):
    return x / (1 + mp.exp(-mp.sqrt(8 / mp.pi) * (x + mp.mpf(0.044715) * x**3)))


# name -> (ours, the same in mpmath, intervals to draw 200 points from)
SMOOTH = {
    "acos": (ob.acos, mp.acos, [(-0.999, 0.999)]),
    "acosh": (ob.acosh, mp.acosh, [(1.001, 50)]),
    "asin": (ob.asin, mp.asin, [(-0.999, 0.999)]),
    "asinh": (ob.asinh, mp.asinh, [(-50, 50), (1e3, 1e8)]),
    "atan": (ob.atan, mp.atan, [(-50, 50)]),
    "atanh": (ob.atanh, mp.atanh, [(-0.999, 0.999)]),
    "cbrt": (ob.cbrt, lambda x: mp.sign(x) * mp.cbrt(abs(x)), [(0.01, 50), (-50, -0.01)]),
    "cos": (ob.cos, mp.cos, [(-10, 10)]),
    "cosh": (ob.cosh, mp.cosh, [(-20, 20)]),
    "exp": (ob.exp, mp.exp, [(-50, 50)]),
    "exp2": (ob.exp2, lambda x: mp.mpf(2) ** x, [(-50, 50)]),
    "expm1": (ob.expm1, mp.expm1, [(-40, 5), (-1e-6, 1e-6)]),
    "log": (ob.log, mp.log, [(1e-3, 50)]),
    "log10": (ob.log10, mp.log10, [(1e-3, 50)]),
    "log1p": (ob.log1p, mp.log1p, [(-0.999, 50), (-1e-6, 1e-6)]),
    "log2": (ob.log2, lambda x: mp.log(x, 2), [(1e-3, 50)]),
    "reciprocal": (ob.reciprocal, lambda x: 1 / x, [(-50, -0.01), (0.01, 50)]),
    "sin": (ob.sin, mp.sin, [(-10, 10)]),
    "sinc": (ob.sinc, mp.sincpi, [(-0.45, 0.45), (-1e-5, 1e-5), (-9, 9)]),
    "sinh": (ob.sinh, mp.sinh, [(-20, 20)]),
    "sqrt": (ob.sqrt, mp.sqrt, [(1e-3, 50)]),
    "square": (ob.square, lambda x: x * x, [(-50, 50)]),
    "tan": (ob.tan, mp.tan, [(-1.5, 1.5)]),
    "tanh": (ob.tanh, mp.tanh, [(-2, 2)]),
    "elu": (lambda x: ob.elu(x, 0.7), lambda x: x if x > 0 else mp.mpf(0.7) * mp.expm1(x), [(-40, -1e-3), (1e-3, 9)]),
    "gelu": (ob.gelu, lambda x: x * _phi(x), [(-36, -2), (-0.6, 9)]),
    "gelu_tanh": (lambda x: ob.gelu(x, approximate=True), _gelu_tanh, [(-9, -2), (-0.6, 1.3), (1.6, 4)]),
    "log_sigmoid": (ob.log_sigmoid, lambda x: -mp.log1p(mp.exp(-x)), [(-40, 40)]),
    "sigmoid": (ob.sigmoid, lambda x: 1 / (1 + mp.exp(-x)), [(-40, -0.1), (0.1, 5)]),
    "silu": (ob.silu, lambda x: x / (1 + mp.exp(-x)), [(-40, -2.6), (-1, 2), (2.7, 40)]),
    "softplus": (lambda x: ob.softplus(x, 2), lambda x: mp.log1p(mp.exp(2 * x)) / 2, [(-40, 40)]),
    "digamma": (ob.special.digamma, mp.digamma, [(0.1, 1.3), (1.6, 30)]),
    "entr": (ob.special.entr, lambda x: -x * mp.log(x), [(1e-6, 0.3), (0.4, 30)]),
    "erf": (ob.special.erf, mp.erf, [(-5, 5)]),
    "erfc": (ob.special.erfc, mp.erfc, [(-5, 20)]),
    "erfcx": (ob.special.erfcx, lambda x: mp.exp(x * x) * mp.erfc(x), [(-5, 5), (5, 1e4)]),
    "erfinv": (ob.special.erfinv, mp.erfinv, [(-0.99, -0.01), (0.01, 0.99)]),
    "expit": (ob.special.expit, lambda x: 1 / (1 + mp.exp(-x)), [(-40, -0.1), (0.1, 40)]),
    "gamma": (ob.special.gamma, mp.gamma, [(0.1, 1.3), (1.6, 20)]),
    "gammaln": (ob.special.gammaln, mp.loggamma, [(0.1, 0.9), (2.1, 90)]),
    "i0": (ob.special.i0, lambda x: mp.besseli(0, x), [(-20, -0.1), (0.1, 20)]),
    "i1": (ob.special.i1, lambda x: mp.besseli(1, x), [(-20, -0.1), (0.1, 20)]),
    "log_ndtr": (ob.special.log_ndtr, lambda x: mp.log(_phi(x)), [(-1000, 5)]),
    "logit": (ob.special.logit, lambda x: mp.log(x / (1 - x)), [(1e-6, 0.49), (0.51, 0.999)]),
    "ndtr": (ob.special.ndtr, _phi, [(-36, -0.1), (0.1, 6)]),
    "ndtri": (ob.special.ndtri, lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1), [(0.001, 0.49), (0.51, 0.99)]),
    "polygamma": (lambda x: ob.special.polygamma(2, x), lambda x: mp.polygamma(2, x), [(0.1, 30)]),
}  # fmt: skip

def points(name, intervals, n=200):
    rng = np.random.default_rng(sum(map(ord, name)))
    share = -(-n // len(intervals))
    return np.concatenate([rng.uniform(low, high, share) for low, high in intervals])


def total(f):
    return lambda x: ob.sum(f(x))


def derivatives(f, x):
    """f, f' and f'' at every entry."""
    first = ob.grad(total(f))
    second = ob.grad(lambda t: ob.sum(first(t)))
    return np.asarray(ob.asarray(f(x)).numpy()), first(x), second(x)


def exact(f, x, order):
    with mp.workdps(60):
        return np.array([float(mp.diff(f, mp.mpf(float(t)), order)) if order else float(f(mp.mpf(float(t)))) for t in x])


def worst(ours, right):
    return np.max(np.abs(ours - right) / np.abs(right))


@pytest.mark.parametrize("name", SMOOTH)
def test_values_and_derivatives_have_twelve_digits(name):
    f, g, intervals = SMOOTH[name]
    x = points(name, intervals)
    for order, ours in enumerate(derivatives(f, x)):
        right = exact(g, x, order)
        there = np.abs(right) > 1e-300  # what underflows, or is 0, has no relative error
        assert np.all(np.abs(ours[~there] - right[~there]) < 1e-300), f"order {order}"
        if there.any():
            assert worst(ours[there], right[there]) < 1e-12, f"order {order}"
