"""Distributions: values against SciPy, tails against mpmath, derivatives against differences."""

import itertools

import mpmath as mp
import numpy as np
import pytest
from scipy import stats as theirs

import overbar as ob
from overbar.errors import DomainError, ShapeError, SingularError, SpellingError
from tests.rules.cases import derivative

S = ob.scipy.stats
X = np.array([-40.0, -3.0, -1.0, -0.2, 0.0, 0.1, 0.5, 0.7, 1.0, 1.3, 2.5, 7.0, 40.0, 700.0,
              np.inf, -np.inf, np.nan])  # fmt: skip
REAL = [
    ("norm", ()), ("norm", (0.3, 2.0)), ("expon", ()), ("expon", (0.5, 2.0)),
    ("gamma", (0.7,)), ("gamma", (1.0,)), ("gamma", (3.0, 0.5, 2.0)), ("beta", (0.5, 2.0)),
    ("beta", (1.0, 1.0)), ("beta", (3.0, 2.0, -1.0, 3.0)), ("t", (1.0,)), ("t", (4.5, 1.0, 2.0)),
    ("t", (100.0,)),
]  # fmt: skip
NONE = [("norm", (0.0, -1.0)), ("gamma", (-1.0,)), ("beta", (1.0, 0.0)), ("t", (0.0,)),
        ("expon", (0.0, 0.0))]  # fmt: skip
K = np.array([-1.0, 0, 1, 2, 3, 5, 10, 2.5, 100, np.nan])
WHOLE = [
    ("poisson", (2.0,)), ("poisson", (0.0,)), ("poisson", (30.0, 2)), ("binom", (10, 0.3)),
    ("binom", (10, 0.0)), ("binom", (10, 1.0)), ("binom", (0, 0.5)), ("binom", (5, 0.4, 1)),
]  # fmt: skip
LOGS_NEAR_ONE = {("gamma", "logcdf"), ("gamma", "logsf"), ("t", "logcdf"), ("t", "logsf"),
                 ("beta", "logcdf"), ("beta", "logsf")}  # fmt: skip


def of(name, method, where=S):
    return getattr(getattr(where, name), method)


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


# -- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["logpdf", "pdf", "cdf", "sf", "logcdf", "logsf"])
@pytest.mark.parametrize(("name", "args"), [*REAL, *NONE])
def test_values_and_edges_are_scipys(name, args, method):
    found, wanted = of(name, method)(X, *args).numpy(), of(name, method, theirs)(X, *args)
    if (name, method) in LOGS_NEAR_ONE:  # SciPy takes the logarithm of what rounds to 1
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=2.5e-16)
    else:
        np.testing.assert_allclose(found, wanted, rtol=2e-13)


@pytest.mark.parametrize("method", ["logpmf", "pmf", "cdf", "sf", "logcdf", "logsf"])
@pytest.mark.parametrize(("name", "args"), WHOLE)
def test_values_and_edges_on_whole_numbers_are_scipys(name, args, method):
    found, wanted = of(name, method)(K, *args).numpy(), of(name, method, theirs)(K, *args)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "args"),
    [("poisson", (-1.0,)), ("binom", (5, 1.2)), ("binom", (2.5, 0.5)), ("binom", (-1, 0.5))],
)
def test_parameters_that_make_no_distribution_give_nan(name, args):
    for method in ("logpmf", "pmf", "cdf", "sf"):
        assert np.isnan(of(name, method)(2.0, *args))


@pytest.mark.parametrize(("name", "args"), REAL)
def test_quantiles_undo_the_distribution_function(name, args):
    q = np.array([1e-6, 1e-3, 0.1, 0.5, 0.8, 0.999])
    x = of(name, "ppf")(q, *args)
    np.testing.assert_allclose(of(name, "cdf")(x, *args), q, rtol=1e-9)
    np.testing.assert_allclose(x[1:], of(name, "ppf", theirs)(q[1:], *args), rtol=1e-12, atol=1e-15)
    edges = of(name, "ppf")(np.array([0.0, 1.0, -0.1, 1.1, np.nan]), *args)
    np.testing.assert_array_equal(
        edges, of(name, "ppf", theirs)([0.0, 1.0, -0.1, 1.1, np.nan], *args)
    )


def test_parameters_broadcast_and_go_by_position_or_name():
    x, df, loc = np.ones((4, 1)), np.array([1.0, 2.0, 3.0]), 0.5
    found = S.t.logpdf(x, df, scale=2.0, loc=loc)
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found, theirs.t.logpdf(x, df, loc, 2.0), rtol=1e-13)
    np.testing.assert_allclose(S.gamma.cdf(1, a=2), theirs.gamma.cdf(1, a=2), rtol=1e-14)
    assert S.norm.cdf(np.float32(1)).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: S.gamma.pdf(1.0), "gamma: a is missing"),
        (lambda: S.norm.pdf(1.0, sigma=2.0), "sigma= is unknown"),
        (lambda: S.norm.pdf(1.0, 0.0, loc=0.0), "loc= is unknown or given twice"),
        (lambda: S.norm.pdf(1.0, 0.0, 1.0, 2.0), "too many"),
    ],
)
def test_wrong_parameters_are_refused(call, said):
    with pytest.raises(SpellingError, match=said) as raised:
        call()
    assert "wanted x, " in str(raised.value)


# -- tails ------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [-1e4, -40.0, -9.0, 0.0, 9.0, 38.0])
def test_the_logarithms_of_normal_tails_and_their_slopes_are_exact(z):
    with mp.workdps(60):
        wanted = mp.log(mp.erfc(-mp.mpf(z) / mp.sqrt(2)) / 2)
        slope = mp.exp(-(mp.mpf(z) ** 2) / 2 - wanted) / mp.sqrt(2 * mp.pi)
    assert float(S.norm.logcdf(z)) == pytest.approx(float(wanted), rel=1e-14)
    assert float(S.norm.logsf(-z)) == pytest.approx(float(wanted), rel=1e-14)
    assert float(ob.grad(S.norm.logcdf)(z)) == pytest.approx(float(slope), rel=1e-12)


@pytest.mark.parametrize("x", [1e-20, 1e-3, 0.5, 30.0, 600.0])
def test_small_and_large_probabilities_keep_their_digits(x):
    with mp.workdps(60):
        wanted = {
            "expon": (mp.log(-mp.expm1(-mp.mpf(x))), -mp.mpf(x)),
            "gamma": (
                mp.log(mp.gammainc(2.5, 0, x, regularized=True)),
                mp.log(mp.gammainc(2.5, x, mp.inf, regularized=True)),
            ),
        }
    for name, (below, above) in wanted.items():
        shapes = (2.5,) if name == "gamma" else ()
        assert float(of(name, "logcdf")(x, *shapes)) == pytest.approx(float(below), rel=1e-12)
        assert float(of(name, "logsf")(x, *shapes)) == pytest.approx(float(above), rel=1e-12)


# -- derivatives ------------------------------------------------------------------------------

INNER = {"norm": (), "expon": (), "gamma": (2.3,), "beta": (1.7, 2.6), "t": (3.4,)}
METHODS = ["logpdf", "pdf", "cdf", "sf", "logcdf", "logsf", "ppf"]


@pytest.mark.parametrize(("name", "method"), list(itertools.product(INNER, METHODS)))
def test_every_argument_has_its_derivative(name, method):
    """By x (or q), the shapes, loc and scale, first and second order."""
    f = of(name, method)
    args = [np.float64(v) for v in (0.4, *INNER[name], 0.1, 1.3)]
    every = tuple(range(len(args)))
    gradient = ob.grad(f, every)
    for i in every:
        dots = [np.float64(j == i) for j in every]
        (wanted,) = derivative(lambda *xs: [f(*xs).numpy()], args, dots)
        assert gradient(*args)[i] == pytest.approx(float(wanted), rel=1e-8, abs=1e-9)
        found = ob.jvp(gradient, tuple(args), tuple(dots))[1]
        wanted = derivative(lambda *xs: [np.asarray(g) for g in gradient(*xs)], args, dots)
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("name", "args"), REAL)
def test_the_slope_of_the_distribution_function_is_the_density(name, args):
    for x in (0.6, 0.9):
        slope = ob.grad(of(name, "cdf"))(x, *args)
        assert float(slope) == pytest.approx(of(name, "pdf", theirs)(x, *args), rel=1e-12)


@pytest.mark.parametrize("method", ["logpmf", "cdf", "sf"])
def test_probabilities_of_whole_numbers_by_their_parameters(method):
    for name, args, by in (("poisson", (2.3,), 1), ("binom", (7.0, 0.4), 2)):
        f = of(name, method)
        for k in (0.0, 3.0, 6.0):
            found = ob.grad(f, by)(k, *args)
            (wanted,) = derivative(
                lambda p, k=k, args=args, f=f: [f(k, *args[:-1], p).numpy()],
                [np.float64(args[-1])], [np.float64(1)],
            )  # fmt: skip
            assert float(found) == pytest.approx(float(wanted), rel=1e-9)


def test_outside_of_the_support_the_slope_is_zero():
    for name, args in (("expon", ()), ("gamma", (2.0,)), ("beta", (2.0, 2.0))):
        for method in ("logpdf", "cdf", "logcdf", "logsf"):
            every = tuple(range(len(args) + 1))
            found = ob.grad(of(name, method), every)(-1.0, *args)
            np.testing.assert_array_equal(found, 0.0)


@pytest.mark.parametrize(("name", "args"), REAL[::2])
def test_compiled_and_batched_they_are_the_same(name, args):
    x = np.array([0.2, 0.6, 0.9])
    for method in ("logpdf", "cdf"):
        f = ob.value_and_grad(lambda x, m=method: ob.sum(of(name, m)(x, *args)))
        for a, b in zip(f(x), ob.jit(f)(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
        each = ob.vmap(lambda x, m=method: of(name, m)(x, *args))(x)
        np.testing.assert_allclose(each, of(name, method)(x, *args), rtol=1e-14)


# -- of vectors -------------------------------------------------------------------------------


def test_dirichlet_is_scipys():
    alpha = np.array([0.5, 2.0, 3.0])
    x = np.random.default_rng(0).dirichlet(alpha, 5).T
    for given in (x, x[:, 0], x[:2]):
        found = S.dirichlet.logpdf(given, alpha)
        np.testing.assert_allclose(found, theirs.dirichlet.logpdf(given, alpha), rtol=1e-13)
        np.testing.assert_allclose(S.dirichlet.pdf(given, alpha), np.exp(found), rtol=1e-13)
    ob.testing.check_gradients(lambda a: ob.sum(S.dirichlet.logpdf(x, a)), alpha)


def test_shares_that_are_none_are_refused():
    for x, alpha, said in (
        ([0.2, 0.9], [1.0, 1.0], "do not sum to 1"),
        ([-0.2, 1.2], [1.0, 1.0], "a share is negative"),
        ([0.2, 0.8], [1.0, 0.0], "an alpha is not positive"),
    ):
        with pytest.raises(DomainError, match=said):
            S.dirichlet.logpdf(x, alpha)
    with pytest.raises(ShapeError, match="as many rows"):
        S.dirichlet.logpdf(np.ones(4) / 4, [1.0, 1.0])


def test_the_multivariate_normal_is_scipys():
    rng = np.random.default_rng(1)
    cov, mean = np.array([[2.0, 0.3], [0.3, 1.0]]), np.array([0.1, 0.2])
    x = rng.normal(size=(4, 3, 2))
    for args in (
        (x, mean, cov), (x[0, 0], mean, cov), (x, None, cov), (x, mean, [1.0, 2.0]),
        (x, mean, 2.0), (rng.normal(size=7), 0.3, 2.0), (0.3,), (x[0, 0], mean),
    ):  # fmt: skip
        found = S.multivariate_normal.logpdf(*args)
        wanted = theirs.multivariate_normal.logpdf(*args)
        assert found.shape == np.shape(wanted)
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
        np.testing.assert_allclose(S.multivariate_normal.pdf(*args), np.exp(wanted), rtol=1e-12)
    log_likelihood = lambda x, m, l: ob.sum(S.multivariate_normal.logpdf(x, m, l @ l.T))
    ob.testing.check_gradients(log_likelihood, x[0], mean, np.linalg.cholesky(cov))


def test_a_covariance_that_is_none_is_refused():
    with pytest.raises(SingularError, match="not positive definite"):
        S.multivariate_normal.logpdf([0.0, 0.0], cov=[[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ShapeError, match="vectors of 2 numbers"):
        S.multivariate_normal.logpdf([0.0, 0.0, 0.0], cov=[1.0, 1.0])
