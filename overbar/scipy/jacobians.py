"""The Jacobian of a function of a vector, dense or sparse, as SciPy takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import overbar as ob


def jacobian_of(f: Callable[..., Any], *, sparse: bool) -> Callable[..., Any]:
    """A compiled function that gives the Jacobian of f by its first argument, of NumPy or SciPy."""
    if sparse:
        return ob.sparse.jacobian(f)
    dense = ob.jit(ob.jacobian(f))
    return lambda x, *args: np.array(dense(x, *args))


def hessian_of(f: Callable[..., Any], *, sparse: bool) -> Callable[..., Any]:
    """The same of the second derivatives of f, which gives one number."""
    if sparse:
        return ob.sparse.hessian(f)
    dense = ob.jit(ob.hessian(f))
    return lambda x, *args: np.array(dense(x, *args))
