"""Constraints, as `scipy.optimize.minimize` takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import MissingPackageError, ShapeError

from .jacobians import hessian_of, jacobian_of
from .objective import flattened
from .point import Vector, as_float, line_of, of_vector, refuse_start


def constraint(
    g: Callable[..., Any],
    lo: Any = -np.inf,
    hi: Any = np.inf,
    *,
    x0: Any = None,
    sparse: bool = False,
    hess: bool = True,
    keep_feasible: Any = False,
) -> Any:
    """lo ≤ g(x) ≤ hi as a `scipy.optimize.NonlinearConstraint` whose derivatives are exact.

    For every method of `minimize` that takes constraints. lo and hi are numbers or as long as g's
    result; where they are equal, so is g. x0: a point, or a tree of arrays like that of the
    objective, at which g is tried.
    sparse: Jacobian and Hessian as SciPy matrices; their patterns are found by themselves.
    hess: False gives no Hessian, at which SLSQP and COBYLA would warn that they ignore it.

    Rule:    of the multipliers v SciPy asks for Σ vᵢ ∇²gᵢ(x): the Hessian of v · g.
    Raises:  MissingPackageError without SciPy; ShapeError if lo or hi do not have the length of g;
             NonFiniteError if g is not finite at x0.
    Example:
        >>> disc = ob.scipy.constraint(lambda x: ob.sum(x**2), hi=1.0)
        >>> disc.jac(np.array([3.0, 4.0]))
        array([[6., 8.]])
    """
    try:
        from scipy.optimize import NonlinearConstraint
    except ImportError:
        raise MissingPackageError(
            "ob.scipy.constraint: SciPy is not installed", hint="pip install overbar[scipy]"
        ) from None
    vector = None if x0 is None else Vector(x0)
    flat = flattened(of_vector(g, vector))
    line, compiled = line_of(g), ob.jit(flat)
    jacobian = jacobian_of(flat, sparse=sparse)
    hessian = hessian_of(lambda x, v: ob.sum(v * flat(x)), sparse=sparse)
    low, high = np.asarray(lo, np.float64), np.asarray(hi, np.float64)

    def value(x: Any) -> np.ndarray:
        y = np.array(compiled(as_float(x)))
        for name, bound in (("lo", low), ("hi", high)):
            if bound.size not in (1, y.size):
                raise ShapeError(
                    f"constraint: {bound.size} bounds for {y.size} constraints",
                    got={name: bound, "g(x)": y},
                    want=f"{name}: a number or ({y.size},)",
                    where=line,
                )
        return y

    if vector is not None and not np.isfinite(value(vector.start)).all():
        raise refuse_start("constraint", flat, vector.start, (), line)
    second = {"hess": lambda x, v: hessian(as_float(x), as_float(v))} if hess else {}
    return NonlinearConstraint(
        value,
        low,
        high,
        jac=lambda x: jacobian(as_float(x)),  # type: ignore[arg-type]  (SciPy says str)
        keep_feasible=keep_feasible,
        **second,
    )
