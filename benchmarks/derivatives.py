"""Cells of the scientific benchmark: whole Jacobians and Hessians, full and sparse.

CasADi finds patterns and colours itself; it takes part where derivatives are sparse, if installed.
JAX has no colours of its own: in the sparse cells it gets ours, found beforehand, which is the best
its user can do by hand; and where ours is a finished SciPy matrix, it gives the vector of entries.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

import overbar as ob

Contest = dict[str, Callable[[], Any]]


def _jax() -> Any:
    """JAX in float64, or None."""
    if find_spec("jax") is None:
        return None
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def _finished(call: Callable[..., Any], x: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: np.asarray(call(x))


def jacobian_dense(tiny: bool) -> Contest:
    """tanh(W x): a diagonal times W, if nothing is multiplied that need not be."""
    rng, n = np.random.default_rng(0), 6 if tiny else 256
    W, x = rng.normal(size=(n, n)) / np.sqrt(n), rng.normal(size=n)
    ob.config(threads=1)
    contest = {"overbar": _finished(ob.jit(ob.jacobian(lambda x: ob.tanh(W @ x))), x)}
    if (jax := _jax()) is not None:
        weight = jax.numpy.array(W)

        def layer(x: Any) -> Any:
            return jax.numpy.tanh(weight @ x)

        contest["jax, forward"] = _finished(jax.jit(jax.jacfwd(layer)), x)
        contest["jax, reverse"] = _finished(jax.jit(jax.jacrev(layer)), x)
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
        matrix, point = torch.tensor(W), torch.tensor(x)
        slopes = torch.func.jacrev(lambda x: torch.tanh(matrix @ x))
        contest["torch"] = lambda: slopes(point).numpy()
    if find_spec("autograd") is not None:
        import autograd
        import autograd.numpy as anp

        contest["autograd"] = _finished(autograd.jacobian(lambda x: anp.tanh(anp.dot(W, x))), x)
    return contest


def _entries_by_jax(f: Callable[[Any], Any], plan: Any) -> Callable[..., Any]:
    """The entries of f's Jacobian by a plan of ours."""
    import jax

    seeds = jax.numpy.array(plan.colouring.seeds())
    lane, at = jax.numpy.array(plan.lane), jax.numpy.array(plan.at)

    def found(x: Any) -> Any:
        return jax.vmap(lambda s: jax.jvp(f, (x,), (s,))[1])(seeds)[lane, at]

    return jax.jit(found)


def _entries_by_casadi(derivative: Callable[[Any, Any], Any], x: np.ndarray) -> Any:
    """The entries of a derivative by CasADi, row by row: those of its transpose, column by column.
    It finds pattern and colours itself, and writes into the same memory at every call.
    """
    import casadi

    unknown = casadi.SX.sym("x", len(x))
    function = casadi.Function("entries", [unknown], [derivative(casadi, unknown).T])
    entries = np.empty(function.nnz_out(0))
    buffer, run = function.buffer()
    buffer.set_arg(0, memoryview(x))
    buffer.set_res(0, memoryview(entries))

    def call() -> np.ndarray:
        run()
        return entries

    call.buffer = buffer  # type: ignore[attr-defined]  # alive as long as the call
    return call


def jacobian_stencil(tiny: bool) -> Contest:
    """Three neighbours each: three colours, and the entries in order."""
    x = np.random.default_rng(0).normal(size=12 if tiny else 20_000)

    def stencil(xp: Any, join: Any) -> Callable[[Any], Any]:
        def f(x: Any) -> Any:
            left, right = join([x[:1], x[:-1]]), join([x[1:], x[-1:]])
            return xp.exp(left) * x - xp.sin(x) * right + x**3

        return f

    ob.config(threads=1)
    ours = ob.sparse.jacobian(stencil(ob, ob.concat))
    ours(x)
    contest: Contest = {"overbar": lambda: ours(x).data}
    if (jax := _jax()) is not None:
        f = stencil(jax.numpy, jax.numpy.concatenate)
        contest["jax, our colours"] = _finished(_entries_by_jax(f, ours.plan), x)
    if find_spec("casadi") is not None:
        contest["casadi"] = _entries_by_casadi(
            lambda ca, u: ca.jacobian(stencil(ca, lambda xs: ca.vertcat(*xs))(u), u), x
        )
    return contest


def hessian_chain(tiny: bool) -> Contest:
    """Tridiagonal: three Hessian-vector products."""
    x = np.random.default_rng(0).normal(size=12 if tiny else 10_000)

    def valley(xp: Any) -> Callable[[Any], Any]:
        return lambda x: xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    ob.config(threads=1)
    ours = ob.sparse.hessian(valley(ob))
    ours(x)
    contest: Contest = {"overbar": lambda: ours(x).data}
    if (jax := _jax()) is not None:
        slope = jax.grad(valley(jax.numpy))
        contest["jax, our colours"] = _finished(_entries_by_jax(slope, ours.plan), x)
    if find_spec("casadi") is not None:

        def total(ca: Any, u: Any) -> Any:
            return ca.sum1(100 * (u[1:] - u[:-1] ** 2) ** 2 + (1 - u[:-1]) ** 2)

        contest["casadi"] = _entries_by_casadi(lambda ca, u: ca.hessian(total(ca, u), u)[0], x)
    return contest


CELLS: dict[str, tuple[str, Callable[[bool], Contest], str]] = {
    "jacobian_dense": ("full Jacobian of tanh(W x), 256 × 256", jacobian_dense, ""),
    "jacobian_stencil": (
        "Jacobian of a nonlinear stencil of 20,000 points, as a sparse matrix",
        jacobian_stencil,
        "a sixth of jax with colours by hand",
    ),
    "hessian_chain": (
        "Hessian of Rosenbrock's function of 10,000 variables, as a sparse matrix",
        hessian_chain,
        "",
    ),
}
"""Title, contestants and goal, by name."""
