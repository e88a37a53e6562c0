"""Differential equations: values against SciPy and closed forms, derivatives of every kind."""

import numpy as np
import pytest
import scipy.integrate

import overbar as ob
from overbar.errors import DomainError, ShapeError
from tests.rules.cases import derivative

odeint, solve_ivp = ob.scipy.integrate.odeint, ob.scipy.integrate.solve_ivp
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
P, Y0, TS = np.array([1.0, 0.1, 0.075, 1.5]), np.array([10.0, 5.0]), np.array([0.0, 0.4, 1.0])


def hunters(y, t, p):
    """Lotka and Volterra's."""
    eaten = y[0] * y[1]
    return ob.stack([p[0] * y[0] - p[1] * eaten, p[2] * eaten - p[3] * y[1]])


def loss(p, y0, ts):
    return ob.sum(odeint(hunters, y0, ts, (p,), **TIGHT)[-1] ** 2)


# -- values -----------------------------------------------------------------------------------


def test_values_are_scipys():
    f = lambda y, t: np.asarray(hunters(ob.asarray(y), t, P))
    right = scipy.integrate.odeint(f, Y0, TS, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(odeint(hunters, Y0, TS, (P,)), right, rtol=1e-6)
    np.testing.assert_allclose(odeint(hunters, Y0, TS, (P,), **TIGHT), right, rtol=1e-9)


def test_steps_grow_smaller_with_the_tolerance():
    """The error follows the tolerance over seven orders of magnitude."""
    turn = lambda y, t: ob.stack([y[1], -y[0]])
    for tolerance in (1e-4, 1e-7, 1e-11):
        y = odeint(turn, [1.0, 0.0], [0.0, 10.0], rtol=tolerance, atol=tolerance)[-1]
        error = np.abs(y - np.array([np.cos(10), -np.sin(10)])).max()
        assert tolerance / 1000 < float(error) < 100 * tolerance


def test_solve_ivp_takes_scipys_steps():
    """The same method with the same control of its step: the same error to a few digits."""
    f = lambda t, y: ob.stack([y[1], -y[0]])
    ours = solve_ivp(f, (0.0, 5.0), [1.0, 0.0]).y[:, -1]
    right = scipy.integrate.solve_ivp(lambda t, y: [y[1], -y[0]], (0.0, 5.0), [1.0, 0.0]).y[:, -1]
    exact = np.array([np.cos(5), -np.sin(5)])
    np.testing.assert_allclose(ours - exact, right - exact, rtol=1e-6)


def test_the_results_have_scipys_shapes():
    f = lambda t, y: -y
    s = solve_ivp(f, (0.0, 2.0), [1.0, 2.0, 3.0], t_eval=[0.5, 1.0, 1.5, 2.0])
    assert s.y.shape == (3, 4)
    np.testing.assert_array_equal(s.t, [0.5, 1.0, 1.5, 2.0])
    assert bool(s.success)
    assert solve_ivp(f, (0.0, 2.0), [1.0, 2.0]).y.shape == (2, 2)
    assert odeint(lambda y, t: -y, 1.0, [0.0, 1.0]).shape == (2,)
    assert odeint(lambda t, y: -y * t, np.ones((2, 3)), [0.0, 1.0], tfirst=True).shape == (2, 2, 3)


def test_time_may_run_backwards():
    y = odeint(lambda y, t: -y, 1.0, [1.0, 0.5, 0.0], **TIGHT)
    np.testing.assert_allclose(y, np.exp([0.0, 0.5, 1.0]), rtol=1e-9)


# -- derivatives ------------------------------------------------------------------------------


def test_gradients_by_start_parameters_and_times():
    """Along one direction for each of them, in which every entry moves."""
    xs = (P, Y0, TS)
    found = ob.grad(loss, (0, 1, 2))(*xs)
    for i, along in enumerate((0.1 * P, np.array([1.0, -2.0]), np.array([-0.1, 0.2, 0.3]))):
        dots = [along if j == i else np.zeros_like(x) for j, x in enumerate(xs)]
        (wanted,) = derivative(lambda *xs: [loss(*xs).numpy()], xs, dots)
        assert float(np.sum(found[i] * along)) == pytest.approx(float(wanted), rel=1e-7)
        assert float(ob.jvp(loss, xs, tuple(dots))[1]) == pytest.approx(float(wanted), rel=1e-7)


def test_gradients_of_decay_are_those_of_the_exponential():
    """y = y0 e^(−rt): ∂/∂r = −t y, ∂²/∂r² = t² y, ∂/∂y0 = e^(−rt), ∂/∂t = −r y."""
    end = lambda r, y0, t: odeint(
        lambda y, s, r: -r * y, y0, ob.stack([0.0 * t, t]), (r,), **TIGHT
    )[-1]
    r, y0, t = 0.7, 2.0, 1.3
    y = y0 * np.exp(-r * t)
    np.testing.assert_allclose(
        ob.grad(end, (0, 1, 2))(r, y0, t), [-t * y, y / y0, -r * y], rtol=1e-8
    )
    np.testing.assert_allclose(ob.grad(ob.grad(end))(r, y0, t), t * t * y, rtol=1e-7)


def test_hessian_products_are_differences_of_gradients():
    v = np.array([0.3, 0.01, -0.01, 0.2])
    found = ob.hvp(lambda p: loss(p, Y0, TS), (P,), (v,))
    slope = ob.grad(lambda p: loss(p, Y0, TS))
    wanted = (slope(P + 1e-4 * v) - slope(P - 1e-4 * v)) / 2e-4
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_what_the_right_hand_side_reads_is_differentiated_by():
    rate = ob.tensor(0.5, requires_grad=True)
    odeint(lambda y, t: -rate * y, 1.0, [0.0, 2.0], **TIGHT)[-1].backward()
    assert float(rate.grad) == pytest.approx(-2 * np.exp(-1), rel=1e-8)


def test_compiled_and_batched_they_are_the_same():
    g = ob.grad(loss)
    np.testing.assert_allclose(ob.jit(g)(P, Y0, TS), g(P, Y0, TS), rtol=1e-9)
    starts = np.stack([Y0, Y0 + 1])
    each = ob.vmap(lambda y0: odeint(hunters, y0, TS, (P,), **TIGHT)[-1])(starts)
    for start, y in zip(starts, each, strict=True):
        np.testing.assert_allclose(y, odeint(hunters, start, TS, (P,), **TIGHT)[-1], rtol=1e-9)


# -- errors -----------------------------------------------------------------------------------


def test_a_solution_that_runs_to_infinity_is_refused():
    with pytest.raises(DomainError, match="step size became too small"):
        odeint(lambda y, t: y * y, 1.0, [0.0, 2.0])
    s = solve_ivp(lambda t, y: y * y, (0.0, 2.0), [1.0])
    assert not bool(s.success)
    assert np.isnan(s.y[0, -1])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="shape of y"):
        odeint(lambda y, t: y[:1], np.ones(2), [0.0, 1.0])
    with pytest.raises(ShapeError, match="times are a vector"):
        odeint(lambda y, t: y, 1.0, 2.0)
    with pytest.raises(DomainError, match="RK45"):
        solve_ivp(lambda t, y: y, (0, 1), [1.0], method="LSODA")
    with pytest.raises(DomainError, match="t_eval leaves t_span"):
        solve_ivp(lambda t, y: y, (0, 1), [1.0], t_eval=[0.5, 1.5])
