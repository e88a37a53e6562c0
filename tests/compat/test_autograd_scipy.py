"""`autograd.scipy`: SciPy's functions of boxes, against SciPy's values and against differences."""

import numpy as onp
import pytest
import scipy.linalg
import scipy.signal
import scipy.special
import scipy.stats

import overbar.compat.autograd.numpy as np
from overbar.compat.autograd import grad, jacobian, make_vjp
from overbar.compat.autograd.scipy import integrate, linalg, signal, special, stats
from overbar.compat.autograd.test_util import check_grads

RNG = onp.random.default_rng(0)
P, Q, U = RNG.uniform(0.5, 3, 4), RNG.uniform(0.5, 3, 4), RNG.uniform(0.1, 0.9, 4)
MATRIX = RNG.normal(size=(4, 4))
DEFINITE = MATRIX @ MATRIX.T + 4 * onp.eye(4)


def value_in_a_box(f, x):
    """What f gives for a box."""
    return make_vjp(f)(x)[1]


UNARY = "gamma gammaln digamma psi rgamma j0 j1 y0 y1 i0 i1 erf erfc expit ndtr log_ndtr".split()
INVERSE = "erfinv erfcinv logit ndtri".split()


@pytest.mark.parametrize("name", UNARY + INVERSE)
def test_functions_of_one_number(name):
    f, x = getattr(special, name), U if name in INVERSE else P
    assert value_in_a_box(f, x) == pytest.approx(getattr(scipy.special, name)(x), rel=1e-12)
    check_grads(f)(x)


@pytest.mark.parametrize(
    ("name", "args", "argnum"),
    [
        ("beta", (P, Q), (0, 1)),
        ("betaln", (P, Q), (0, 1)),
        ("betainc", (P, Q, U), 2),
        ("gammainc", (P, Q), 1),
        ("gammaincc", (P, Q), 1),
        ("polygamma", (1, P), 1),
        ("jn", (2, P), 1),
        ("jv", (1.5, P), 1),
        ("yn", (2, P), 1),
        ("iv", (1.5, P), 1),
        ("ive", (1.5, P), 1),
        ("kv", (1.5, P), 1),
        ("multigammaln", (P + 2, 3), 0),
        ("xlogy", (P, Q), (0, 1)),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_functions_of_several_numbers(name, args, argnum):
    f = getattr(special, name)
    one = argnum if isinstance(argnum, int) else argnum[0]
    held = value_in_a_box(lambda x: f(*args[:one], x, *args[one + 1 :]), args[one])
    assert held == pytest.approx(getattr(scipy.special, name)(*args), rel=1e-11)
    check_grads(f, argnum)(*args)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("b", [None, P])
def test_logsumexp(axis, keepdims, b):
    f = lambda x: special.logsumexp(x, axis=axis, b=b, keepdims=keepdims)
    want = scipy.special.logsumexp(1000 * MATRIX, axis=axis, b=b, keepdims=keepdims)
    assert value_in_a_box(f, 1000 * MATRIX) == pytest.approx(want, rel=1e-13)
    check_grads(f)(MATRIX)


def test_error_functions_of_complex_numbers():
    for name in ("erf", "erfc"):
        check_grads(getattr(special, name))(U + 0.3j)


def test_what_scipy_has_and_we_lack_passes_and_raises_with_a_box():
    assert special.struve(1, 2.0) == scipy.special.struve(1, 2.0)
    with pytest.raises(TypeError, match="struve"):
        grad(lambda x: special.struve(1, x))(2.0)


# -- distributions ----------------------------------------------------------------------------

CONTINUOUS = {
    "norm": (P - 1, Q, U),
    "t": (P - 1, Q + 2, Q, U),
    "gamma": (P, Q),
    "beta": (U, P, Q),
    "chi2": (P, Q),
    "expon": (P,),
}


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("function", ["pdf", "logpdf", "cdf"])
def test_distributions(name, function):
    f, args = getattr(getattr(stats, name), function), CONTINUOUS[name]
    want = getattr(getattr(scipy.stats, name), function)(*args)
    assert value_in_a_box(lambda x: f(x, *args[1:]), args[0]) == pytest.approx(want, rel=1e-10)
    assert f(*args) == pytest.approx(want, rel=1e-15)
    check_grads(f, modes=["rev"])(*args)


def test_counts():
    counts = onp.array([0.0, 2.0, 5.0, 1.0])
    for function in ("pmf", "logpmf", "cdf"):
        check_grads(getattr(stats.poisson, function), 1)(counts, P)


@pytest.mark.parametrize("function", ["pdf", "logpdf"])
def test_vectors(function):
    f = getattr(stats.multivariate_normal, function)
    symmetric = lambda x, mean, cov: f(x, mean, (cov + np.swapaxes(cov, 0, 1)) / 2)
    check_grads(symmetric, (0, 1, 2), modes=["rev"])(P, Q, DEFINITE)
    alpha = stats.dirichlet.rvs(onp.ones(3), random_state=0)[0]
    check_grads(getattr(stats.dirichlet, function), 1)(alpha, P[:3])


def test_a_covariance_without_full_rank():
    cov = onp.diag([1.0, 2.0, 0.0])
    f = lambda x, mean: stats.multivariate_normal.logpdf(x, mean, cov, allow_singular=True)
    x, mean = onp.array([0.3, 0.5, 0.0]), onp.zeros(3)
    want = scipy.stats.multivariate_normal.logpdf(x, mean, cov, allow_singular=True)
    assert value_in_a_box(lambda x: f(x, mean), x) == pytest.approx(want)
    assert grad(f)(x, mean) == pytest.approx([-0.3, -0.25, 0.0])
    entropy = lambda cov: stats.multivariate_normal.entropy(P, (cov + cov.T) / 2)
    check_grads(entropy)(DEFINITE)


# -- linear algebra, signals, equations -------------------------------------------------------


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("trans", [0, 1, "T"])
def test_triangles(lower, trans):
    f = lambda a, b: linalg.solve_triangular(a, b, trans=trans, lower=lower)
    for b in (P, MATRIX[:, :2]):
        want = scipy.linalg.solve_triangular(DEFINITE, b, trans=trans, lower=lower)
        assert value_in_a_box(lambda a, b=b: f(a, b), DEFINITE) == pytest.approx(want)
        check_grads(f, (0, 1))(DEFINITE, b)


@pytest.mark.parametrize("bands", [(1, 1), (2, 0), (1, 2)])
def test_bands(bands):
    ab = RNG.normal(size=(sum(bands) + 1, 5))
    ab[bands[1]] += 5
    for b in (RNG.normal(size=5), RNG.normal(size=(5, 2))):
        check_grads(linalg.solve_banded, (1, 2), modes=["rev"], order=1)(bands, ab, b)


def test_equations_of_matrices():
    check_grads(linalg.solve_sylvester, (0, 1, 2))(DEFINITE, MATRIX, MATRIX.T)
    check_grads(linalg.sqrtm)(DEFINITE)
    assert linalg.sqrtm(DEFINITE) @ linalg.sqrtm(DEFINITE) == pytest.approx(DEFINITE)
    check_grads(lambda a: linalg.cholesky((a + a.T) / 2, lower=True))(DEFINITE)
    check_grads(linalg.solve, (0, 1))(DEFINITE, P)
    check_grads(linalg.expm)(MATRIX / 4)
    check_grads(linalg.det)(DEFINITE)


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
def test_convolution(mode):
    for a, b in ((P, Q[:2]), (MATRIX, MATRIX[:2, :3])):
        want = scipy.signal.convolve(a, b, mode)
        assert signal.convolve(a, b, mode=mode) == pytest.approx(want)
        check_grads(signal.convolve, (0, 1))(a, b, mode=mode)


def test_convolution_along_some_axes():
    a, b = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 4, 2))
    y = signal.convolve(a, b, axes=([1], [2]), dot_axes=([0], [0]))
    want = sum(onp.convolve(a[i], b[i, 2]) for i in range(3))
    assert y.shape == (4, 6)
    assert y[2] == pytest.approx(want)
    check_grads(signal.convolve, (0, 1))(a, b, axes=([1], [2]), dot_axes=([0], [0]))
    with pytest.raises(ValueError, match="mode"):
        signal.convolve(P, P, mode="circular")
    with pytest.raises(ValueError, match="neither"):
        signal.convolve(onp.ones((3, 4)), onp.ones((4, 3)), mode="valid")


def test_differential_equations():
    decay = lambda y, t, rate: -rate * y
    times = onp.array([0.0, 1.0, 2.0])
    at_end = lambda rate: integrate.odeint(decay, onp.array([1.0]), times, (rate,))[-1, 0]
    assert at_end(0.5) == pytest.approx(onp.exp(-1), rel=1e-6)
    assert grad(at_end)(0.5) == pytest.approx(-2 * onp.exp(-1), rel=1e-6)
    assert jacobian(lambda y0: integrate.odeint(decay, y0, times, (0.5,))[-1])(P) == pytest.approx(
        onp.exp(-1) * onp.eye(4), rel=1e-6
    )
