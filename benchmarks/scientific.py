"""Derivatives of NumPy code, as people who fit models need them: against autograd, JAX and PyTorch.

    python -m benchmarks.scientific --list        the cells
    python -m benchmarks.scientific               all of them, a minute each
    python -m benchmarks.scientific --quick hvp   those with "hvp" in their name; shorter rounds

Everything is float64, NumPy in and NumPy out, one thread; each library runs the same formula, in
its best form that needs no other code (`jax.jit`; PyTorch's `torch.func`, not compiled). They are
compared before the clock starts. A cell whose call is a whole fit counts what SciPy does itself,
too; compiling is not in the times but in the line "first".

A cell is a function that `cell` has marked; it gives a callable for each contestant.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import argparse
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

import overbar as ob
from benchmarks import derivatives
from benchmarks.measure import interleave, show

Function = Callable[..., Any]
"""f(xp, x, *data): a formula over overbar, autograd.numpy, jax.numpy or torch."""
Contest = dict[str, Callable[[], Any]]
TOLERANCE = 1e-5
"""Relative to the largest entry; a fit ends where its gradient is below 1e-4."""


@dataclass(frozen=True)
class Cell:
    """Something to be timed: `contest` gives the contestants, few numbers if `tiny`."""

    title: str
    contest: Callable[[bool], Contest]
    goal: str = ""


CELLS: dict[str, Cell] = {}


def cell(title: str, goal: str = "") -> Callable[..., Any]:
    """Marks a function of `tiny` that gives the contestants; its name is the cell's."""

    def mark(contest: Callable[[bool], Contest]) -> Callable[[bool], Contest]:
        CELLS[contest.__name__] = Cell(title, contest, goal)
        return contest

    return mark


# -- the libraries ----------------------------------------------------------------------------
# Each: of a formula and its data, functions of NumPy arrays that give NumPy arrays.


class Overbar:
    """Jitted."""

    def __init__(self) -> None:
        ob.config(threads=1)

    def value_and_gradient(self, f: Function, *data: Any) -> Callable[..., Any]:
        """For SciPy."""
        objective = ob.scipy.objective(lambda x: f(ob, x, *data))
        return lambda x: (objective.fun(x), objective.jac(x))

    def gradient(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇f."""
        g = ob.jit(ob.grad(lambda x: f(ob, x, *data)))
        return lambda x: np.asarray(g(x))

    def hessian(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇²f."""
        h = ob.jit(ob.hessian(lambda x: f(ob, x, *data)))
        return lambda x: np.asarray(h(x))

    def product(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇²f · v."""
        h = ob.jit(lambda x, v: ob.hvp(lambda x: f(ob, x, *data), (x,), (v,)))
        return lambda x, v: np.asarray(h(x, v))


class Autograd:
    """The original."""

    def __init__(self) -> None:
        self.xp = importlib.import_module("autograd.numpy")
        self.autograd = importlib.import_module("autograd")

    def _of(self, f: Function, data: Any) -> Callable[..., Any]:
        return lambda x: f(self.xp, x, *data)

    def value_and_gradient(self, f: Function, *data: Any) -> Callable[..., Any]:
        """For SciPy."""
        return self.autograd.value_and_grad(self._of(f, data))

    def gradient(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇f."""
        return self.autograd.grad(self._of(f, data))

    def hessian(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇²f."""
        return self.autograd.hessian(self._of(f, data))

    def product(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇²f · v."""
        return self.autograd.hessian_vector_product(self._of(f, data))


class Jax:
    """Jitted, in double precision."""

    def __init__(self) -> None:
        self.jax = importlib.import_module("jax")
        self.jax.config.update("jax_enable_x64", True)
        self.xp = importlib.import_module("jax.numpy")

    def _of(self, f: Function, data: Any) -> Callable[..., Any]:
        return lambda x: f(self.xp, x, *data)

    def value_and_gradient(self, f: Function, *data: Any) -> Callable[..., Any]:
        """For SciPy."""
        both = self.jax.jit(self.jax.value_and_grad(self._of(f, data)))
        return lambda x: [np.asarray(y) for y in both(x)]

    def gradient(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇f."""
        g = self.jax.jit(self.jax.grad(self._of(f, data)))
        return lambda x: np.asarray(g(x))

    def hessian(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇²f."""
        h = self.jax.jit(self.jax.hessian(self._of(f, data)))
        return lambda x: np.asarray(h(x))

    def product(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇²f · v."""
        g = self.jax.grad(self._of(f, data))
        h = self.jax.jit(lambda x, v: self.jax.jvp(g, (x,), (v,))[1])
        return lambda x, v: np.asarray(h(x, v))


class Torch:
    """Eager, by `torch.func`."""

    def __init__(self) -> None:
        self.xp = importlib.import_module("torch")
        self.xp.set_num_threads(1)
        self.func = importlib.import_module("torch.func")

    def _of(self, f: Function, data: Any) -> Callable[..., Any]:
        tensors = [self.xp.from_numpy(d) if isinstance(d, np.ndarray) else d for d in data]
        return lambda x: f(self.xp, x, *tensors)

    def _numpy(self, g: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *xs: g(*(self.xp.from_numpy(x) for x in xs)).numpy()

    def value_and_gradient(self, f: Function, *data: Any) -> Callable[..., Any]:
        """For SciPy; by `backward`, which is the quicker way."""
        of = self._of(f, data)

        def both(x: np.ndarray) -> tuple[float, np.ndarray]:
            t = self.xp.from_numpy(x).requires_grad_()
            y = of(t)
            y.backward()
            return float(y.detach()), t.grad.numpy()

        return both

    def gradient(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇f."""
        both = self.value_and_gradient(f, *data)
        return lambda x: both(x)[1]

    def hessian(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇²f."""
        return self._numpy(self.func.hessian(self._of(f, data)))

    def product(self, f: Function, *data: Any) -> Callable[..., Any]:
        """∇²f · v."""
        g = self.func.grad(self._of(f, data))
        return self._numpy(lambda x, v: self.func.jvp(g, (x,), (v,))[1])


LIBRARIES = {"overbar": Overbar, "autograd": Autograd, "jax": Jax, "torch": Torch}


def present() -> dict[str, Any]:
    """Those that are installed."""
    found = {}
    for name, library in LIBRARIES.items():
        try:
            found[name] = library()
        except ImportError:
            print(f"({name} is not installed)")
    return found


def everyone(what: str, f: Function, points: Sequence[np.ndarray], *data: Any) -> Contest:
    """The same derivative by every library: "gradient", "hessian", "product"."""
    return {
        name: partial(getattr(library, what)(f, *data), *points)
        for name, library in present().items()
    }


def everyone_fits(f: Function, start: np.ndarray, *data: Any) -> Contest:
    """SciPy's BFGS to its end, with values and gradients by every library."""
    from scipy.optimize import minimize

    def fit(both: Callable[..., Any]) -> np.ndarray:
        return minimize(both, start, jac=True, method="BFGS", options={"gtol": 1e-4}).x

    return {
        name: partial(fit, library.value_and_gradient(f, *data))
        for name, library in present().items()
    }


# -- formulas ---------------------------------------------------------------------------------


def rosenbrock(xp: Any, x: Any) -> Any:
    """The valley."""
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def logistic(xp: Any, w: Any, x: Any, y: Any) -> Any:
    """Logistic regression with a ridge; y is −1 or 1."""
    return xp.sum(xp.log1p(xp.exp(-y * (x @ w)))) + 0.5 * xp.sum(w * w)


def weibull(xp: Any, p: Any, x: Any, t: Any, died: Any) -> Any:
    """Accelerated failure times: covariates x, times t, some of them cut off (died = 0)."""
    k, z = xp.exp(p[0]), xp.log(t) - x @ p[1:]
    return -xp.sum(died * (p[0] + k * z - xp.log(t)) - xp.exp(k * z))


def gaussian_process(xp: Any, p: Any, squares: Any, y: Any, unit: Any) -> Any:
    """The negative log marginal likelihood of a kernel of Gauss's: scale, length, noise."""
    k = xp.exp(2 * p[0] - 0.5 * squares * xp.exp(-2 * p[1])) + xp.exp(2 * p[2]) * unit
    l = xp.linalg.cholesky(k)
    return 0.5 * xp.sum(y * xp.linalg.solve(k, y)) + xp.sum(xp.log(xp.sum(l * unit, 1)))


# -- cells ------------------------------------------------------------------------------------


@cell("gradient of a function of 4 numbers, NumPy in and out", goal="3 µs a call")
def gradient_4(tiny: bool) -> Contest:
    """What a call costs when there is nothing to compute."""
    return everyone("gradient", rosenbrock, [np.array([1.2, 0.7, 0.3, 1.1])])


@cell("Hessian of a logistic regression: 200 variables, 1,000 rows")
def hessian_logistic(tiny: bool) -> Contest:
    """200 products with the data, or one."""
    rng, (m, n) = np.random.default_rng(0), (20, 5) if tiny else (1000, 200)
    x, y = rng.normal(size=(m, n)) / np.sqrt(n), rng.choice([-1.0, 1.0], m)
    return everyone("hessian", logistic, [rng.normal(size=n)], x, y)


@cell("Hessian-vector product of Rosenbrock's function of 10,000 variables")
def hvp_rosenbrock(tiny: bool) -> Contest:
    """Bandwidth, and the cost of a call."""
    rng, n = np.random.default_rng(0), 10 if tiny else 10_000
    return everyone("product", rosenbrock, [rng.normal(size=n), rng.normal(size=n)])


@cell("maximum likelihood of a Weibull survival model: 2,000 times, 8 covariates; whole fit")
def fit_survival(tiny: bool) -> Contest:
    """Some dozens of gradients of a small formula, and SciPy."""
    rng, (m, n) = np.random.default_rng(0), (50, 3) if tiny else (2000, 8)
    x = np.column_stack([np.ones(m), rng.normal(size=(m, n))])
    t = np.exp(x @ rng.normal(size=n + 1) * 0.3) * rng.weibull(1.5, m)
    died = (rng.random(m) < 0.7).astype(float)
    return everyone_fits(weibull, np.zeros(n + 2), x, t, died)


@cell("maximum likelihood of a Gaussian process of 150 points; whole fit")
def fit_gaussian_process(tiny: bool) -> Contest:
    """Cholesky factors and solutions."""
    rng, n = np.random.default_rng(0), 10 if tiny else 150
    x = np.sort(rng.random(n)) * 6
    y = np.sin(x) + 0.1 * rng.normal(size=n)
    squares = (x[:, None] - x) ** 2
    return everyone_fits(gaussian_process, np.array([0.0, 0.0, -1.0]), squares, y, np.eye(n))


CELLS |= {name: Cell(*about) for name, about in derivatives.CELLS.items()}

# -- the run ----------------------------------------------------------------------------------


def first_calls(contest: Contest) -> dict[str, float]:
    """Seconds of each first call, which may compile.

    Raises:  AssertionError if the results are not the same.
    """
    seconds, results = {}, {}
    for name, call in contest.items():
        begin = perf_counter()
        results[name] = call()
        seconds[name] = perf_counter() - begin
    ours = np.asarray(next(iter(results.values())))
    for name, theirs in results.items():
        size = np.abs(ours).max() + 1e-300
        apart = np.abs(np.asarray(theirs) - ours).max() / size
        assert apart < TOLERANCE, f"{name}: other values, {apart:.2g} apart"
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of the names of cells; all if none")
    parser.add_argument("--list", action="store_true", help="the cells")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--tiny", action="store_true", help="hardly any numbers: a test")
    asked = parser.parse_args(arguments)
    chosen = {n: c for n, c in CELLS.items() if not asked.names or any(p in n for p in asked.names)}
    if asked.list:
        print("\n".join(f"{name:22} {c.title}" for name, c in chosen.items()))
        return
    for c in chosen.values():
        contest = c.contest(asked.tiny)
        first = first_calls(contest)
        rounds, least = (5, 0.005) if asked.quick or asked.tiny else (15, 0.02)
        timings = interleave(contest, rounds=rounds, min_time=least)
        show(timings, base="overbar", title=c.title + (f" (goal: {c.goal})" if c.goal else ""))
        print("first: " + ", ".join(f"{n} {s:.2f} s" for n, s in first.items()), end="\n\n")


if __name__ == "__main__":
    main()
