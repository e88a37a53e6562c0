"""Functions that minimise with exact second derivatives, each its textbook's algorithm.

`newton_cg` solves H p = −g by conjugate gradients, which need products with H only;
`levenberg_marquardt` fits a model, with the Jacobian of its residuals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DomainError

__all__ = ["Minimum", "levenberg_marquardt", "newton_cg"]


@dataclass(frozen=True)
class Minimum:
    """Where a function is least.

    x          the place; value: the function there (of a fit, half the sum of squares)
    converged  whether the tolerance was reached; `message` says what ended the search
    steps      how many were taken
    """

    x: Any
    value: float
    converged: bool
    steps: int
    message: str


def newton_cg(f: Callable[[Any], Any], x: Any, *, tol: float = 1e-8, steps: int = 200) -> Minimum:
    """The minimum of a smooth f near x, by Newton's method.

    Each step solves H p = −g only as well as it is worth, |H p + g| ≤ min(½, √|g|) |g|, by
    conjugate gradients over Hessian-vector products; a direction of negative curvature ends them.
    Then p is halved until f falls enough. The gradient and the products are compiled.

    tol: the largest entry that the gradient may have.

    Raises:  DomainError if f is not finite at x.
    Source:  Nocedal and Wright (2006), Numerical Optimization, algorithm 7.1.
    Example:
        >>> rosenbrock = lambda x: ob.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
        >>> found = ob.optim.newton_cg(rosenbrock, np.zeros(5))
        >>> found.converged, bool(np.allclose(found.x, 1.0))
        (True, True)
    """
    both, times = _compiled(f)
    x = _start("newton_cg", x)
    value, g = _numbers(*both(x))
    _finite("newton_cg", value, g)
    for done in range(steps):
        if np.abs(g).max(initial=0.0) <= tol:
            return Minimum(x, value, True, done, f"no entry of the gradient is above {tol:g}")
        p = _newton_direction(lambda v, x=x: np.asarray(times(x, v)), g)
        slope, t = float(np.sum(g * p)), 1.0
        while True:
            new, new_g = _numbers(*both(x + t * p))
            if new <= value + 1e-4 * t * slope + _rounding(value):
                break
            t /= 2
            if t < 1e-12:
                return Minimum(x, value, False, done, "no step along the direction makes f less")
        x, value, g = x + t * p, new, new_g
    return Minimum(x, value, False, steps, f"{steps} steps were not enough")


def _newton_direction(times: Callable[[np.ndarray], np.ndarray], g: np.ndarray) -> np.ndarray:
    """A direction of descent that solves H p = −g well enough."""
    size = float(np.sqrt(np.sum(g * g)))
    enough = min(0.5, np.sqrt(size)) * size
    p, r = np.zeros_like(g), g
    d = -r
    for _ in range(2 * g.size):
        h = times(d)
        curvature, now = float(np.sum(d * h)), float(np.sum(r * r))
        if curvature <= 0:
            return p if p.any() else d
        a = now / curvature
        p, r = p + a * d, r + a * h
        after = float(np.sum(r * r))
        if np.sqrt(after) <= enough:
            break
        d = -r + after / now * d
    return p


def levenberg_marquardt(
    residuals: Callable[[Any], Any], x: Any, *, tol: float = 1e-10, steps: int = 200
) -> Minimum:
    """The x near the start for which ½ |r(x)|² is least: a fit.

    Each step solves (JᵀJ + μ D) p = −Jᵀr with D the diagonal of JᵀJ: Gauss and Newton's for small
    μ, a short step downhill for large. μ falls where the step did what the linear model promised,
    and grows where it did not. r and J are compiled.

    tol: what may be left of the largest entry of Jᵀr, as a share of |J| |r|; and of a step.

    Raises:  DomainError if r is not finite at x.
    Source:  Marquardt (1963), An algorithm for least-squares estimation of nonlinear parameters;
             Nielsen (1999), Damping parameter in Marquardt's method.
    Example:
        >>> t = np.linspace(0.0, 4.0, 20)
        >>> data = 2.5 * np.exp(-1.3 * t)
        >>> found = ob.optim.levenberg_marquardt(
        ...     lambda x: x[0] * ob.exp(-x[1] * t) - data, [1.0, 1.0]
        ... )
        >>> bool(np.allclose(found.x, [2.5, 1.3]))
        True
    """
    r_of = ob.jit(lambda x: ob.reshape(residuals(x), (-1,)))
    slopes = ob.jit(ob.jacobian(lambda x: ob.reshape(residuals(x), (-1,))))
    x = _start("levenberg_marquardt", x)
    r = np.asarray(r_of(x))
    value = float(r @ r) / 2
    _finite("levenberg_marquardt", value, r)
    mu, grow, J = 1e-3, 2.0, np.asarray(slopes(x)).reshape(r.size, x.size)
    for done in range(steps):
        g = J.T @ r
        sizes = np.sqrt(np.sum(J * J, axis=0))
        if np.all(np.abs(g) <= tol * np.maximum(sizes * np.sqrt(2 * value), 1e-300)):
            return Minimum(x, value, True, done, "the residuals are at right angles to every slope")
        damping = np.sqrt(mu) * np.where(sizes > 0, sizes, 1.0)
        stacked = np.vstack([J, np.diag(damping)])
        p = np.linalg.lstsq(stacked, -np.concatenate([r, np.zeros(x.size)]), rcond=None)[0]
        new_x = x + p.reshape(x.shape)
        new_r = np.asarray(r_of(new_x))
        new = float(new_r @ new_r) / 2
        promised = -float(g @ p) - float(np.sum((J @ p) ** 2)) / 2
        ratio = (value - new) / promised if promised > 0 and np.isfinite(new) else -1.0
        if ratio > 0:
            x, r, value = new_x, new_r, new
            J = np.asarray(slopes(x)).reshape(r.size, x.size)
            mu *= max(1 / 3, 1 - (2 * ratio - 1) ** 3)
            grow = 2.0
        else:
            mu, grow = mu * grow, 2 * grow
        if np.sqrt(np.sum(p * p)) <= tol * (tol + np.sqrt(np.sum(x * x))):
            return Minimum(x, value, True, done + 1, "the steps have become too small to matter")
    return Minimum(x, value, False, steps, f"{steps} steps were not enough")


# -- what both need ---------------------------------------------------------------------------


def _compiled(f: Callable[[Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """f with its gradient, and the product of its Hessian with a direction."""
    return ob.jit(ob.value_and_grad(f)), ob.jit(lambda x, v: ob.hvp(f, (x,), (v,)))


def _start(what: str, x: Any) -> np.ndarray:
    x = np.array(x, dtype=np.result_type(np.asarray(x).dtype, np.float32))
    if x.dtype.kind != "f":
        raise DomainError(f"{what}: it starts from real numbers", got={"x": ob.asarray(x)})
    return x


def _numbers(value: Any, gradient: Any) -> tuple[float, np.ndarray]:
    return float(value), np.asarray(gradient)


def _finite(what: str, value: float, slopes: np.ndarray) -> None:
    if not (np.isfinite(value) and np.isfinite(slopes).all()):
        raise DomainError(
            f"{what}: the function is {value} at the start",
            want="a start where the value and its derivatives are finite",
            hint="ob.why_nan(f, x) says where it comes from",
        )


def _rounding(value: float) -> float:
    """Differences of values this small mean nothing."""
    return 4 * float(np.finfo(float).eps) * abs(value)
