"""Functions of matrices: values against SciPy, derivatives where eigenvalues coincide, errors."""

import numpy as np
import pytest
from scipy import linalg as theirs

import overbar as ob
from overbar.errors import DomainError, ShapeError, SingularError

L = ob.scipy.linalg


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def definite(rng, n, least=0.5):
    a = rng.normal(size=(n, n))
    return a @ a.T + least * np.eye(n)


def symmetric(rng, n):
    a = rng.normal(size=(n, n))
    return a + a.T


# -- the exponential --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-8, 0.1, 1.0, 10.0, 60.0])
def test_the_exponential_and_its_derivative_are_scipys(rng, size):
    a, e = size * rng.normal(size=(5, 5)), rng.normal(size=(5, 5))
    y, y_dot = ob.jvp(ob.linalg.expm, (a,), (e,))
    right, right_dot = theirs.expm_frechet(a, e)
    within = 1e-13 * max(1.0, size**2)
    assert np.abs(y - right).max() <= within * np.abs(right).max()
    assert np.abs(y_dot - right_dot).max() <= within * np.abs(right_dot).max()


def test_the_exponential_of_a_turn_is_a_turn():
    y = ob.linalg.expm([[0.0, -np.pi], [np.pi, 0.0]])
    np.testing.assert_allclose(y, -np.eye(2), atol=1e-14)


def test_the_exponential_of_complex_and_of_single_precision(rng):
    a = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
    np.testing.assert_allclose(ob.linalg.expm(a), theirs.expm(a), rtol=1e-13)
    assert ob.linalg.expm(a.real.astype(np.float32)).dtype == np.float32


def test_the_exponential_of_an_infinity_is_refused():
    with pytest.raises(DomainError, match="NaN or an infinity"):
        ob.linalg.expm([[np.inf]])
    with pytest.raises(ShapeError, match="not square"):
        ob.linalg.expm(np.ones((2, 3)))


# -- of symmetric matrices --------------------------------------------------------------------

SYMMETRIC = {"logm": (ob.linalg.logm, theirs.logm), "sqrtm": (ob.linalg.sqrtm, theirs.sqrtm)}


@pytest.mark.parametrize("name", SYMMETRIC)
@pytest.mark.parametrize("least", [1e-8, 1.0])
def test_values_are_scipys(rng, name, least):
    ours, right = SYMMETRIC[name]
    a = definite(rng, 6, least)
    np.testing.assert_allclose(ours(a), right(a), rtol=1e-9, atol=1e-12)
    assert ours(np.stack([a, 2 * a])).shape == (2, 6, 6)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [("logm", 1 / 3, -1 / 9), ("sqrtm", 3**-0.5 / 2, -(3**-1.5) / 4)],
)
def test_derivatives_are_exact_where_all_eigenvalues_coincide(rng, name, first, second):
    """f(3 + t e) for a symmetric e: f'(3) e, then f''(3) e²."""
    e, f = symmetric(rng, 4), SYMMETRIC[name][0]
    along = lambda t: f(3 * np.eye(4) + t * e)
    slope = lambda t: ob.jvp(along, (t,), (1.0,))[1]
    np.testing.assert_allclose(slope(0.0), first * e, rtol=1e-13, atol=1e-13)
    found = ob.jvp(slope, (0.0,), (1.0,))[1]
    np.testing.assert_allclose(found, second * e @ e, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spread", [1e-14, 1e-9, 1e-4, 1.0, 1e6])
def test_derivatives_are_exact_for_any_gap_between_eigenvalues(rng, spread):
    """With v the eigenvectors, ẏ = v (D ∘ vᵀ ȧ v) vᵀ and D the divided differences of f."""
    w = np.array([1.0, 1.0 + spread, 2.0 + spread])
    v = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    e = symmetric(rng, 3)
    x, y = w[:, None], w[None, :]
    gap = np.where(x == y, 1.0, x - y)
    logs = np.where(x == y, 1 / x, np.log1p((x - y) / y) / gap)
    for name, d in (("logm", logs), ("sqrtm", 1 / (np.sqrt(x) + np.sqrt(y)))):
        found = ob.jvp(SYMMETRIC[name][0], ((v * w) @ v.T,), (e,))[1]
        right = v @ (d * (v.T @ e @ v)) @ v.T
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-10)


def test_exponential_and_logarithm_undo_each_other(rng):
    a = symmetric(rng, 4)
    both = lambda x: ob.linalg.logm(ob.linalg.expm((x + x.T) / 2))
    np.testing.assert_allclose(both(a), a, rtol=1e-10, atol=1e-11)
    e = symmetric(rng, 4)
    np.testing.assert_allclose(ob.jvp(both, (a,), (e,))[1], e, rtol=1e-8, atol=1e-9)


def test_matrices_without_a_logarithm_or_a_root_are_refused():
    with pytest.raises(DomainError, match="smallest eigenvalue is -1"):
        ob.linalg.sqrtm([[1.0, 0.0], [0.0, -1.0]])
    with pytest.raises(DomainError, match="smallest eigenvalue is 0"):
        ob.linalg.logm([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(DomainError, match="not symmetric"):
        ob.linalg.logm([[1.0, 1.0], [0.0, 1.0]])
    root = ob.linalg.sqrtm([[1.0, 1.0], [1.0, 1.0]])  # of rank 1, so one eigenvalue is rounding
    np.testing.assert_allclose(root @ root, np.ones((2, 2)), rtol=1e-14)


# -- least squares ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (4, 4)])
def test_least_squares_is_scipys(rng, shape):
    a, b = rng.normal(size=shape), rng.normal(size=(shape[0], 2))
    np.testing.assert_allclose(ob.linalg.lstsq(a, b), theirs.lstsq(a, b)[0], rtol=1e-11)
    ours = L.lstsq(a, b[:, 0])
    for found, right in zip(ours, theirs.lstsq(a, b[:, 0]), strict=True):
        assert np.shape(found) == np.shape(right)
        np.testing.assert_allclose(found, right, rtol=1e-11, atol=1e-25)


def test_of_dependent_columns_the_solution_of_least_norm_has_a_derivative(rng):
    """Along directions that keep the rank."""
    u, w = rng.normal(size=(5, 2)), rng.normal(size=(2, 4))
    b = rng.normal(size=5)
    f = lambda u, w: ob.sum(ob.linalg.lstsq(u @ w, b, rtol=1e-10) ** 3)
    ob.testing.check_gradients(f, u, w, order=1)


def test_tall_systems_make_no_square_matrix(rng):
    a, b = rng.normal(size=(30_000, 2)), rng.normal(size=30_000)
    slope = ob.grad(lambda a: ob.sum(ob.linalg.lstsq(a, b)))(a)  # n by n were 7 GB
    assert slope.shape == a.shape
    assert np.isfinite(slope).all()


def test_systems_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="3 equations against 2 rows"):
        ob.linalg.lstsq(np.ones((3, 2)), np.ones(2))


# -- triangles, with SciPy's arguments --------------------------------------------------------


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("trans", [0, 1, "N", "T"])
@pytest.mark.parametrize("unit", [False, True])
def test_triangular_systems_are_scipys(rng, lower, trans, unit):
    a, b = rng.normal(size=(4, 4)) + 3 * np.eye(4), rng.normal(size=(4, 2))
    found = L.solve_triangular(a, b, trans, lower, unit)
    right = theirs.solve_triangular(a, b, trans, lower, unit)
    np.testing.assert_allclose(found, right, rtol=1e-12)
    f = lambda a, b: ob.sum(L.solve_triangular(a, b, trans, lower, unit) ** 2)
    ob.testing.check_gradients(f, a, b, order=1)


@pytest.mark.parametrize("lower", [False, True])
def test_a_system_by_its_cholesky_factor(rng, lower):
    a, b = definite(rng, 4), rng.normal(size=4)
    factor = L.cho_factor(a, lower)
    right = theirs.cho_factor(a, lower)[0]
    cut = np.tril if lower else np.triu
    np.testing.assert_allclose(factor.c, cut(right), rtol=1e-12)
    np.testing.assert_allclose(L.cho_solve(factor, b), np.linalg.solve(a, b), rtol=1e-11)
    f = lambda a, b: ob.sum(L.cho_solve(L.cho_factor((a + a.T) / 2, lower), b) ** 2)
    ob.testing.check_gradients(f, a, b)


def test_what_is_refused():
    with pytest.raises(SingularError):
        L.cho_factor([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(DomainError, match="trans="):
        L.solve_triangular(np.eye(2), np.ones(2), trans=2)


def test_compiled_and_eager_agree(rng):
    a, b = definite(rng, 4), rng.normal(size=4)
    for f in (ob.linalg.expm, ob.linalg.logm, ob.linalg.sqrtm, lambda a: ob.linalg.lstsq(a, b)):
        g = ob.value_and_grad(lambda a, f=f: ob.sum(f(a) ** 2))
        for eager, compiled in zip(g(a), ob.jit(g)(a), strict=True):
            np.testing.assert_allclose(eager, compiled, rtol=1e-12)
