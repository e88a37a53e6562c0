"""What `scipy.optimize` is handed: values, exact derivatives, errors that name the user's line."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import optimize

import overbar as ob
from overbar.errors import (
    GradientError,
    MissingPackageError,
    NonFiniteError,
    ShapeError,
)

START = np.array([-1.2, 1.0, -1.2, 1.0, 0.5])


def rosenbrock(x):
    return ob.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def valley(x):
    """The same, as residuals."""
    return ob.concat([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])


# -- objectives -------------------------------------------------------------------------------


def test_an_objective_gives_what_scipys_own_formulas_give():
    of = ob.scipy.objective(rosenbrock)
    p = np.arange(5.0)
    assert type(of.fun(START)) is float
    assert of.fun(START) == pytest.approx(optimize.rosen(START), rel=1e-14)
    for found, wanted in [
        (of.jac(START), optimize.rosen_der(START)),
        (of.hess(START), optimize.rosen_hess(START)),
        (of.hessp(START, p), optimize.rosen_hess_prod(START, p)),
    ]:
        assert type(found) is np.ndarray
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-11)


SECOND = {
    "BFGS": (), "L-BFGS-B": (), "CG": (), "SLSQP": (), "TNC": (), "Newton-CG": ("hessp",),
    "trust-constr": ("hessp",), "trust-exact": ("hess",),
    "trust-ncg": ("hessp",),
}  # fmt: skip


@pytest.mark.parametrize("method", SECOND)
@pytest.mark.filterwarnings("ignore:delta_grad == 0.0")
def test_every_method_of_minimize_finds_the_minimum(method):
    of = ob.scipy.objective(rosenbrock, np.full(4, 0.9))
    more = {name: getattr(of, name) for name in SECOND[method]}
    found = optimize.minimize(**of, **more, method=method, tol=1e-10)
    np.testing.assert_allclose(found.x, np.ones(4), atol=1e-4)


def test_sparse_hessians_go_to_trust_constr():
    of = ob.scipy.objective(rosenbrock, np.full(30, 0.9), sparse=True)
    hessian = of.hess(of.x0)
    assert hessian.nnz <= 3 * 30
    np.testing.assert_allclose(hessian.toarray(), optimize.rosen_hess(of.x0), rtol=1e-12)
    found = optimize.minimize(**of, hess=of.hess, method="trust-constr")
    np.testing.assert_allclose(found.x, np.ones(30), atol=1e-4)


def test_exact_gradients_need_fewer_evaluations_than_differences():
    plain = lambda x: float(rosenbrock(ob.asarray(x)))
    of = ob.scipy.objective(rosenbrock)
    for method in ("BFGS", "L-BFGS-B"):
        exact = optimize.minimize(of.fun, START, jac=of.jac, method=method)
        differences = optimize.minimize(plain, START, method=method)
        assert 5 * exact.nfev < differences.nfev
        assert exact.fun <= differences.fun + 1e-9


def test_value_and_gradient_at_one_point_are_computed_once():
    of = ob.scipy.objective(rosenbrock)
    of.fun(START)
    calls, both = [], of._both
    of._both = lambda *args: calls.append(args) or both(*args)
    first = of.fun(START)
    gradient = of.jac(START.copy())
    assert len(calls) == 1
    np.testing.assert_allclose(gradient, optimize.rosen_der(START), rtol=1e-12)
    of.fun(START)
    np.testing.assert_allclose(of.jac(START + 1), optimize.rosen_der(START + 1), rtol=1e-12)
    assert len(calls) == 3
    assert of.fun(START) == first


def test_what_was_found_for_other_arguments_is_not_handed_out():
    of = ob.scipy.objective(lambda x, c: ob.sum(c * x))
    one, two = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    x = np.zeros(2)
    of.fun(x, one)
    np.testing.assert_array_equal(of.jac(x, two), two)
    of.fun(x, one)
    np.testing.assert_array_equal(of.jac(x, one), one)


def test_gradients_that_were_handed_out_never_change():
    of = ob.scipy.objective(rosenbrock)
    of.fun(START)
    first = of.jac(START)
    kept = first.copy()
    of.fun(START + 1)
    of.jac(START + 1)
    np.testing.assert_array_equal(first, kept)
    first[0] = 7.0  # SciPy may write into it
    of.fun(START)
    np.testing.assert_array_equal(of.jac(START), kept)


def test_the_start_may_be_a_tree():
    start = {"w": np.zeros((2, 2)), "b": [1.0, np.ones(3)]}

    def loss(p):
        return ob.sum((p["w"] - 1) ** 2) + (p["b"][0] - 2) ** 2 + ob.sum((p["b"][1] - 3) ** 2)

    of = ob.scipy.objective(loss, start)
    assert of.x0.shape == (8,)
    best = of.unravel(optimize.minimize(**of).x)
    np.testing.assert_allclose(best["w"], np.ones((2, 2)), atol=1e-6)
    assert best["b"][0] == pytest.approx(2.0)
    np.testing.assert_allclose(of.ravel(best), [3 - 1.0] + [3.0] * 3 + [1.0] * 4, atol=1e-6)
    with pytest.raises(ShapeError, match="not like the one at the start"):
        of.ravel({"w": np.zeros(4), "b": [1.0, np.ones(3)]})
    with pytest.raises(ShapeError, match="as many numbers as x0"):
        of.fun(np.zeros(7))


def test_further_arguments_go_through():
    of = ob.scipy.objective(lambda x, c: ob.sum((x - c) ** 2), np.zeros(2), (np.array([1.0, 2.0]),))
    assert set(of) == {"fun", "jac", "x0", "args"}
    np.testing.assert_allclose(optimize.minimize(**of).x, [1.0, 2.0], atol=1e-6)


def test_an_objective_with_several_results_is_refused_with_its_line():
    with pytest.raises(GradientError, match="no scalar") as raised:
        ob.scipy.objective(lambda x: x * x, np.ones(3))
    assert "lambda x: x * x" in str(raised.value)
    assert "ob.scipy.residuals" in str(raised.value)
    late = ob.scipy.objective(lambda x: x * x)  # said in the middle of SciPy
    with pytest.raises(GradientError, match=r"test_optimize\.py"):
        optimize.minimize(**late, x0=np.ones(3))


def test_a_start_that_is_not_finite_is_refused_with_the_line_where_that_is_born():
    def f(x):
        return ob.sum(ob.log(x - 1.0))

    with pytest.raises(NonFiniteError, match="log made nan") as raised:
        ob.scipy.objective(f, np.zeros(2))
    assert "return ob.sum(ob.log(x - 1.0))" in str(raised.value)
    with pytest.raises(NonFiniteError, match="log made nan"):
        optimize.minimize(**ob.scipy.objective(f), x0=np.zeros(2))


def test_later_values_may_be_infinite():
    """A line search may step outside of the domain, and back."""
    of = ob.scipy.objective(lambda x: ob.sum(x - ob.log(x)))
    assert of.fun([2.0]) == pytest.approx(2 - np.log(2))
    assert np.isinf(of.fun([0.0]))
    with np.errstate(all="ignore"):
        assert np.isnan(of.fun([-1.0]))


# -- residuals --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_least_squares_takes_residuals(method):
    found = optimize.least_squares(**ob.scipy.residuals(valley, np.full(4, 0.5)), method=method)
    np.testing.assert_allclose(found.x, np.ones(4), atol=1e-8)


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root_takes_residuals(method):
    f = lambda x: ob.cos(x) - x * x[::-1]
    found = optimize.root(**ob.scipy.residuals(f, np.ones(3)), method=method)
    assert found.success
    np.testing.assert_allclose(np.asarray(f(found.x)), 0, atol=1e-9)


def test_residuals_of_any_shape_and_tree_are_one_vector():
    of = ob.scipy.residuals(lambda p: {"a": p["u"][:, None] * p["u"], "b": p["v"]},
                            {"u": np.arange(2.0), "v": 3.0})  # fmt: skip
    np.testing.assert_array_equal(of.fun(of.x0), [0, 0, 0, 1, 3])
    assert of.jac(of.x0).shape == (5, 3)


def test_sparse_jacobians_go_to_least_squares():
    of = ob.scipy.residuals(valley, np.zeros(40), sparse=True)
    jacobian = of.jac(of.x0)
    assert jacobian.nnz <= 3 * 39
    np.testing.assert_allclose(jacobian.toarray(), ob.jacobian(valley)(of.x0))
    found = optimize.least_squares(**of, tr_solver="lsmr")
    np.testing.assert_allclose(found.x, np.ones(40), atol=1e-6)


def test_residuals_that_are_not_finite_at_the_start_are_refused():
    with pytest.raises(NonFiniteError, match="residuals: not finite at the start"):
        ob.scipy.residuals(lambda x: 1 / x, np.array([1.0, 0.0]))


# -- constraints ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "sparse"), [("SLSQP", False), ("trust-constr", False), ("trust-constr", True)]
)
def test_constraints_hold_at_the_minimum(method, sparse):
    """The point of the disc x² + y² ≤ 2 with y = x that is nearest to (3, 1)."""
    start = np.array([0.5, 0.2])
    of = ob.scipy.objective(lambda x: (x[0] - 3) ** 2 + (x[1] - 1) ** 2, start)
    second = method == "trust-constr"
    how = {"x0": start, "sparse": sparse, "hess": second}
    disc = ob.scipy.constraint(lambda x: ob.sum(x**2), hi=2.0, **how)
    line = ob.scipy.constraint(lambda x: x[1] - x[0], 0.0, 0.0, **how)
    more = {"hess": of.hess} if second else {}
    found = optimize.minimize(**of, **more, constraints=[disc, line], method=method, tol=1e-10)
    within = 1e-4 if second else 1e-7  # a barrier keeps it away from the edge
    np.testing.assert_allclose(found.x, [1.0, 1.0], atol=within)


def test_the_derivatives_of_a_constraint_are_exact():
    c = ob.scipy.constraint(lambda x: ob.stack([x[0] * x[1], ob.sin(x[1])]), 0.0, 1.0)
    x, v = np.array([2.0, 0.5]), np.array([3.0, 4.0])
    np.testing.assert_allclose(c.jac(x), [[0.5, 2.0], [0.0, np.cos(0.5)]])
    np.testing.assert_allclose(c.hess(x, v), [[0.0, 3.0], [3.0, -4 * np.sin(0.5)]])


def test_bounds_that_are_not_as_long_as_the_constraint_are_refused():
    with pytest.raises(ShapeError, match="3 bounds for 2 constraints"):
        ob.scipy.constraint(lambda x: x, np.zeros(3), 1.0, x0=np.zeros(2))
    late = ob.scipy.constraint(lambda x: x, np.zeros(3), 1.0)
    with pytest.raises(ShapeError, match=r"in test_optimize\.py"):
        late.fun(np.zeros(2))


def test_a_constraint_that_is_not_finite_at_the_start_is_refused():
    with pytest.raises(NonFiniteError, match="log made -inf"):
        ob.scipy.constraint(ob.log, hi=1.0, x0=np.zeros(2))


def test_without_scipy_a_constraint_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingPackageError, match=r"pip install overbar\[scipy\]"):
        ob.scipy.constraint(lambda x: x)


def test_what_needs_no_scipy_does_without_it():
    program = """
import sys
sys.modules["scipy"] = None
import overbar as ob
assert ob.scipy.objective(lambda x: ob.sum(x**2)).fun([3.0]) == 9.0
assert ob.scipy.stats.norm.cdf(0.0) == 0.5
assert ob.scipy.linalg.expm([[0.0]]) == 1.0
assert abs(ob.scipy.integrate.odeint(lambda y, t: -y, 1.0, [0.0, 1.0])[-1] - 0.36788) < 1e-5
try:
    ob.scipy.stats.gamma.logpdf(1.0, 2.0)
except ob.errors.MissingPackageError as error:
    assert "pip install overbar[scipy]" in str(error)
else:
    raise AssertionError
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- compiled and not -------------------------------------------------------------------------


def test_compiled_and_eager_agree():
    of = ob.scipy.objective(rosenbrock)
    compiled = of.fun(START), of.jac(START), of.hess(START)
    with ob.config(jit="off"):
        eager = of.fun(START), of.jac(START), of.hess(START)
    for a, b in zip(compiled, eager, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-12)
