"""`autograd.scipy.stats`: SciPy's distributions; their functions of boxes are `ob.scipy.stats`'s.

Each distribution is a module of functions, as `autograd.scipy.stats.norm` is.
"""

from __future__ import annotations

import math
import sys
from types import ModuleType
from typing import Any

import numpy as _np
import scipy.stats as _theirs

import overbar as _ob
import overbar.scipy as _ours

from ... import numpy as np
from ...numpy.dispatch import lifted, passed

DISTRIBUTIONS = (
    "norm t gamma beta chi2 poisson dirichlet multivariate_normal expon binom uniform lognorm"
).split()
FUNCTIONS = "pdf logpdf pmf logpmf cdf logcdf sf logsf ppf isf entropy rvs".split()


def _chi2(function: str) -> Any:
    """χ² of ν degrees of freedom is a gamma distribution of shape ν/2 and scale 2."""
    of_gamma = getattr(_ours.stats.gamma, function)
    return lambda x, df, loc=0, scale=1: of_gamma(x, df / 2, loc=loc, scale=2 * scale)


def _normal_logpdf(x: Any, mean: Any = 0.0, cov: Any = 1.0, allow_singular: bool = False) -> Any:
    """With `allow_singular`, the density within the range of cov."""
    if not allow_singular:
        return _ours.stats.multivariate_normal.logpdf(x, mean, cov)
    w = _ob.linalg.eigvalsh(cov)
    inside = w > 1e6 * _np.finfo(float).eps * _ob.max(_ob.abs(w))  # SciPy's threshold
    log_det = _ob.sum(_ob.where(inside, _ob.log(_ob.where(inside, w, 1.0)), 0.0))
    off, rank = x - mean, _ob.sum(_ob.where(inside, 1.0, 0.0))
    distance = _ob.sum((off @ np.linalg.pinv(cov)) * off, axis=-1)
    return -(rank * math.log(2 * math.pi) + log_det + distance) / 2


def _normal_entropy(mean: Any = None, cov: Any = 1.0) -> Any:
    n = _ob.asarray(cov).shape[-1]
    return (n * (1 + math.log(2 * math.pi)) + _ob.linalg.slogdet(cov)[1]) / 2


_COMPOSED = {
    "chi2": {f: _chi2(f) for f in "pdf logpdf cdf logcdf sf logsf".split()},
    "multivariate_normal": {
        "logpdf": _normal_logpdf,
        "pdf": lambda *args, **kwargs: _ob.exp(_normal_logpdf(*args, **kwargs)),
        "entropy": _normal_entropy,
    },
}


def _module(name: str) -> ModuleType:
    """The functions of one distribution, as a module."""
    theirs, ours = getattr(_theirs, name), getattr(_ours.stats, name, None)
    composed = _COMPOSED.get(name, {})
    module = ModuleType(f"{__name__}.{name}", f"scipy.stats.{name}, which takes boxes as well.")
    for function in FUNCTIONS:
        method = getattr(theirs, function, None)
        if method is not None:
            answer = composed.get(function) or getattr(ours, function, None)
            setattr(module, function, lifted(method, answer))
    return module


for _name in DISTRIBUTIONS:
    globals()[_name] = sys.modules[f"{__name__}.{_name}"] = _module(_name)


def __getattr__(name: str) -> Any:
    return passed(_theirs, name)
