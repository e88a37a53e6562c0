"""Second order for practice: Gauss-Newton products, full Hessians as one product, Newton-CG,
Levenberg-Marquardt, L-BFGS.
"""

import numpy as np
import pytest
from scipy import optimize

import overbar as ob
from overbar import optim
from overbar.errors import DomainError, StructureError

RNG = np.random.default_rng(0)


def rosenbrock(x):
    return ob.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


# -- products ---------------------------------------------------------------------------------


def test_a_gauss_newton_product_is_the_jacobians_around_the_losss_hessian():
    A = RNG.standard_normal((5, 3))
    f = lambda x, y: ob.tanh(A @ x) * y
    loss = lambda z: ob.logsumexp(z) + ob.sum(z**4)
    x, y, v, w = (RNG.standard_normal(n) for n in (3, 5, 3, 5))
    J = np.hstack(ob.jacrev(f, (0, 1))(x, y))
    H = ob.hessian(loss)(np.asarray(f(x, y)))
    found = ob.ggnvp(f, loss, (x, y), (v, w))
    np.testing.assert_allclose(
        np.concatenate(found), J.T @ H @ J @ np.concatenate([v, w]), rtol=1e-10
    )
    alone = ob.jit(lambda x, v: ob.ggnvp(lambda x: f(x, y), loss, (x,), (v,)))(x, v)
    np.testing.assert_allclose(np.asarray(alone), J[:, :3].T @ H @ J[:, :3] @ v, rtol=1e-10)


def test_of_residuals_that_vanish_it_is_the_hessian():
    half = lambda r: 0.5 * ob.sum(r * r)
    r = lambda x: x**2 - 1.0
    x, v = np.array([1.0, -1.0]), np.array([2.0, 3.0])
    np.testing.assert_allclose(
        ob.ggnvp(r, half, (x,), (v,)), ob.hvp(lambda x: half(r(x)), (x,), (v,))
    )


X, LABELS = RNG.standard_normal((50, 8)), RNG.choice([-1.0, 1.0], 50)


def logistic(w):
    return ob.sum(ob.softplus(-LABELS * (X @ w))) + 0.5 * ob.sum(w * w)


def products_in(lowered):
    return sum(
        f"{op} " in line for line in str(lowered).splitlines() for op in ("einsum", "matmul")
    )


def test_the_hessian_of_a_logistic_loss_is_one_product():
    w = RNG.standard_normal(8)
    p = 1 / (1 + np.exp(LABELS * (X @ w)))
    wanted = X.T @ ((p * (1 - p))[:, None] * X) + np.eye(8)
    hessian = ob.jit(ob.hessian(logistic))
    np.testing.assert_allclose(np.asarray(hessian(w)), wanted, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(ob.hessian(logistic)(w), wanted, rtol=1e-11, atol=1e-12)
    assert products_in(hessian.lower()) == 1  # X'(DX); X w is a sum


@pytest.mark.parametrize("how", ["forward", "reverse"])
def test_a_product_with_unit_vectors_is_not_computed(how):
    A = np.array([[1.0, np.inf], [2.0, 3.0], [0.0, -1.0]])
    f = (lambda x: A @ x) if how == "forward" else (lambda x: x @ A)
    x = np.ones(2 if how == "forward" else 3)
    np.testing.assert_array_equal(ob.jacfwd(f)(x), A if how == "forward" else A.T)
    jitted = ob.jit(ob.jacfwd(f))
    np.testing.assert_array_equal(np.asarray(jitted(x)), A if how == "forward" else A.T)
    assert products_in(jitted.lower()) == 0
    A = A.astype(np.float32)
    assert ob.jacfwd(f)(x).dtype == np.float64


def test_what_only_looks_like_unit_vectors_is_multiplied():
    A = RNG.standard_normal((3, 3))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13)
    close(ob.vmap(lambda v: A @ v)(2 * np.eye(3)), 2 * A.T)
    close(ob.vmap(lambda v: A @ v)(np.eye(3)[[1, 0, 2]]), A.T[[1, 0, 2]])
    t = ob.tensor(np.eye(3), requires_grad=True)  # units, but asked about
    ob.sum(ob.vmap(lambda v: A @ v)(t) ** 2).backward()
    close(t.grad.numpy(), 2 * A.T @ A)


# -- Newton and conjugate gradients -----------------------------------------------------------


@pytest.mark.parametrize("start", [np.zeros(6), np.full(6, -1.2), np.linspace(-2, 2, 6)])
def test_newton_cg_finds_the_minimum(start):
    found = optim.newton_cg(rosenbrock, start)
    assert found.converged
    theirs = optimize.minimize(optimize.rosen, start, jac=optimize.rosen_der, method="BFGS")
    assert found.value <= theirs.fun + 1e-9
    assert np.abs(ob.grad(rosenbrock)(found.x)).max() <= 1e-8


def test_newton_cg_solves_a_quadratic_in_few_steps_and_leaves_a_saddle():
    A = X.T @ X + np.eye(8)
    b = RNG.standard_normal(8)
    found = optim.newton_cg(lambda x: 0.5 * ob.sum(x * (A @ x)) - ob.sum(b * x), np.zeros(8))
    np.testing.assert_allclose(found.x, np.linalg.solve(A, b), rtol=1e-8)
    assert found.steps <= 10
    saddle = optim.newton_cg(lambda x: x[0] ** 2 + x[1] ** 4 - x[1] ** 2, np.array([1.0, 1e-3]))
    np.testing.assert_allclose(saddle.x, [0.0, np.sqrt(0.5)], atol=1e-7)


def test_newton_cg_keeps_shapes_and_says_why_it_stopped():
    found = optim.newton_cg(lambda x: ob.sum((x - 2.0) ** 4), np.zeros((2, 3)), steps=3)
    assert (found.x.shape, found.converged, found.steps) == ((2, 3), False, 3)
    assert found.message == "3 steps were not enough"
    with pytest.raises(DomainError, match="is inf at the start"):
        optim.newton_cg(lambda x: ob.sum(1 / x), np.zeros(2))


# -- fits -------------------------------------------------------------------------------------

T = np.linspace(0.0, 4.0, 30)
DATA = 2.5 * np.exp(-1.3 * T) + 0.4 + 0.05 * RNG.standard_normal(30)


def model(x):
    return x[0] * ob.exp(-x[1] * T) + x[2] - DATA


def test_a_fit_is_that_of_scipy():
    found = optim.levenberg_marquardt(model, [1.0, 1.0, 0.0])
    theirs = optimize.least_squares(
        lambda x: x[0] * np.exp(-x[1] * T) + x[2] - DATA, [1.0, 1.0, 0.0], xtol=1e-14, ftol=1e-14
    )
    assert found.converged
    np.testing.assert_allclose(found.x, theirs.x, rtol=1e-6)
    assert found.value == pytest.approx(theirs.cost, rel=1e-10)


def test_a_fit_comes_through_a_narrow_valley_and_a_parameter_without_effect():
    valley = lambda x: ob.stack([10 * (x[1] - x[0] ** 2), 1 - x[0], 0 * x[2]])
    found = optim.levenberg_marquardt(valley, [-1.2, 1.0, 7.0])
    assert found.converged
    np.testing.assert_allclose(found.x, [1.0, 1.0, 7.0], rtol=1e-7)
    with pytest.raises(DomainError, match="at the start"):
        optim.levenberg_marquardt(ob.log, [-1.0])
    assert not optim.levenberg_marquardt(valley, [-1.2, 1.0, 7.0], steps=2).converged


# -- L-BFGS -----------------------------------------------------------------------------------


def minimised(optimizer, params, steps=8):
    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(params[0]) + ob.sum((params[1] - 3.0) ** 2)
        loss.backward()
        return loss

    return [float(optimizer.step(closure)) for _ in range(steps)]


def leaves():
    return [ob.tensor([-1.2, 1.0, 0.5], requires_grad=True), ob.tensor([[0.0]], requires_grad=True)]


def test_lbfgs_finds_the_minimum():
    params = leaves()
    losses = minimised(
        optim.LBFGS(params, line_search_fn="strong_wolfe", tolerance_change=1e-14), params
    )
    assert losses == sorted(losses, reverse=True)
    np.testing.assert_allclose(params[0].numpy(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(params[1].numpy(), 3.0, rtol=1e-6)


def test_a_saved_lbfgs_goes_on_as_if_nothing_had_happened():
    settings = {"line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 4}
    whole, cut, again = leaves(), leaves(), leaves()
    one = minimised(optim.LBFGS(whole, **settings), whole, 6)
    first = optim.LBFGS(cut, **settings)
    two = minimised(first, cut, 3)
    for p, q in zip(again, cut, strict=True):
        p.rebind(q.detach())
    second = optim.LBFGS(again, **settings)
    second.load_state_dict(first.state_dict())
    assert two + minimised(second, again, 3) == one
    with pytest.raises(StructureError, match="not the state of this LBFGS"):
        second.load_state_dict(optim.SGD(again, lr=0.1).state_dict())


def test_lbfgs_refuses_what_it_cannot_do():
    params = leaves()
    with pytest.raises(DomainError, match='None or "strong_wolfe"'):
        optim.LBFGS(params, line_search_fn="armijo")
    optimizer = optim.LBFGS(params)
    with pytest.raises(DomainError, match="closure"):
        optimizer.step()
    with pytest.raises(DomainError, match="nan at the start"):
        optimizer.step(lambda: float("nan"))
