"""The incomplete gamma and beta functions by their parameters, held against mpmath."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy import special as theirs

import overbar as ob
from overbar.ops import scores

SHAPES = [1e-3, 0.01, 0.1, 0.5, 1.0, 2.0, 5.9, 6.1, 9.9, 30.0, 1e3, 1e4]


def errors(found, wanted):
    """Relative; where the right number is too small for a double, none."""
    tiny = np.abs(wanted) < 1e-290
    return np.where(tiny, 0.0, np.abs(found / np.where(tiny, 1.0, wanted) - 1))


# -- gamma ------------------------------------------------------------------------------------


def gamma_points():
    for a in SHAPES:
        for k in (-30, -8, -4, -2, -1, -0.3, 0, 0.1, 0.4, 1, 2, 4, 8, 20):
            x = a + k * math.sqrt(a) if a > 5 else a * math.exp(k / 2)
            if x > 0:
                yield a, x


def right_gamma(a, x):
    """∂P/∂a by a central difference of 18 digits' step with 90 digits."""
    with mp.workdps(90):
        a, x = mp.mpf(a), mp.mpf(x)
        left = x < a

        def f(b):
            lower = mp.gammainc(b, 0, x, regularized=True) if left else 0
            return lower if left else -mp.gammainc(b, x, mp.inf, regularized=True)

        h = mp.mpf(10) ** -18 * max(a, mp.mpf("1e-3"))
        return float((f(a + h) - f(a - h)) / (2 * h))


def test_the_derivative_of_gammainc_by_its_shape_is_exact():
    a, x = np.array(list(gamma_points())).T
    wanted = np.array([right_gamma(*p) for p in gamma_points()])
    found = ob.grad(lambda a: ob.sum(ob.special.gammainc(a, x)))(a)
    assert errors(found, wanted).max() < 1e-12
    upper = ob.grad(lambda a: ob.sum(ob.special.gammaincc(a, x)))(a)
    np.testing.assert_array_equal(upper, -found)


@pytest.mark.parametrize("n", [2, 3])
def test_higher_derivatives_of_gammainc_by_its_shape(n):
    for a, x in [(0.3, 0.2), (0.3, 2.0), (2.5, 1.0), (2.5, 6.0), (20.0, 17.0), (150.0, 160.0)]:
        with mp.workdps(60):
            f = lambda b, x=x: mp.gammainc(b, 0, x, regularized=True)
            wanted = float(mp.diff(f, mp.mpf(a), n))
            scale = max(abs(float(mp.diff(f, mp.mpf(a), k))) / a ** (n - k) for k in range(1, n))
        found = scores.of_gamma(np.array([a]), np.array([x]), n)[0]
        assert abs(found - wanted) < 1e-12 * max(abs(wanted), scale), (a, x)


def test_the_derivative_of_gammainc_by_x_is_the_density():
    a, x = np.array([1, 2, 5]), np.array([0.5, 3.0, 4.0])
    for f, sign in ((ob.special.gammainc, 1), (ob.special.gammaincc, -1)):
        found = ob.grad(lambda a, x, f=f: ob.sum(f(a, x)), argnums=1)(a, x)
        right = sign * x ** (a - 1) * np.exp(-x) / theirs.gamma(a)
        np.testing.assert_allclose(found, right, rtol=1e-13)


def test_at_the_ends_nothing_depends_on_the_shape():
    slopes = ob.grad(lambda a: ob.sum(ob.special.gammainc(a, np.array([0.0, np.inf]))))
    np.testing.assert_array_equal(slopes(np.array([2.0, 2.0])), 0.0)
    assert np.isnan(ob.grad(ob.special.gammainc)(np.nan, 1.0))


# -- beta -------------------------------------------------------------------------------------


def beta_points():
    for a in (1e-3, 0.2, 1.0, 3.0, 20.0, 1e3):
        for b in (1e-3, 0.2, 1.0, 3.0, 20.0, 1e3):
            m = a / (a + b)
            sd = math.sqrt(a * b / (a + b) ** 2 / (a + b + 1))
            for x in (
                1e-8 * m,
                1e-3 * m,
                0.1 * m,
                m - 2 * sd,
                m,
                m + sd / 2,
                *(1 - r * (1 - m) for r in (0.1, 1e-4, 1e-9)),
            ):
                if 0 < x < 1:
                    yield a, b, x


def right_beta(a, b, x):
    """∂I/∂a by the power series, in x or in 1 − x, whose terms are differentiated."""
    with mp.workdps(110):
        a, b, x = mp.mpf(a), mp.mpf(b), mp.mpf(x)
        left = x < 0.5
        p, q, u = (a, b, x) if left else (b, a, 1 - x)
        term = mp.exp(p * mp.log(u) + q * mp.log(1 - u) - mp.log(mp.beta(p, q))) / p
        both, own = mp.psi(0, p + q), mp.psi(0, p + 1)
        fixed = mp.log(x) - (0 if left else mp.psi(0, a))
        total, n = mp.mpf(0), 0
        while True:
            part = term * (fixed + both - (own if left else 0))
            total += part
            ratio = u * (p + q + n) / (p + n + 1)
            if n > 5 and abs(part) < abs(total) * mp.mpf(10) ** -20 and ratio < 1:
                return float(total if left else -total)
            term *= ratio
            both += 1 / (p + q + n)
            own += 1 / (p + n + 1)
            n += 1


def test_the_derivatives_of_betainc_by_its_shapes_are_exact():
    points = list(beta_points())
    a, b, x = np.array(points).T
    wanted = np.array([right_beta(*p) for p in points])
    wanted[np.abs(wanted) < 1e-85] = 0  # more digits were lost than there are
    found = ob.grad(lambda a: ob.sum(ob.special.betainc(a, b, x)))(a)
    assert errors(found, wanted).max() < 3e-11
    mirrored = ob.grad(lambda b: ob.sum(ob.special.betainc(a, b, x)))(b)
    swapped = scores.of_beta(b, a, 1 - x, 1, 0)
    near = (x > 1e-3) & (x < 0.999)  # where 1 − x keeps its digits
    np.testing.assert_allclose(mirrored[near], -swapped[near], rtol=1e-9)


@pytest.mark.parametrize("orders", [(2, 0), (1, 1), (0, 2), (2, 1)])
def test_higher_derivatives_of_betainc_by_its_shapes(orders):
    for a, b, x in [(0.4, 0.7, 0.3), (2.5, 1.5, 0.8), (12.0, 30.0, 0.25), (3.0, 0.5, 0.97)]:
        with mp.workdps(50):
            f = lambda p, q, x=x: mp.betainc(p, q, 0, x, regularized=True)
            wanted = float(mp.diff(f, (mp.mpf(a), mp.mpf(b)), orders))
        found = scores.of_beta(*(np.array([v]) for v in (a, b, x)), *orders)[0]
        assert found == pytest.approx(wanted, rel=1e-10, abs=1e-13)


# -- inverses and Student's distribution ------------------------------------------------------


def test_the_inverses_undo_the_functions():
    s = ob.special
    p = np.array([1e-8, 0.01, 0.3, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(s.gammainc(2.5, s.gammaincinv(2.5, p)), p, rtol=1e-12)
    np.testing.assert_allclose(s.betainc(2.5, 0.7, s.betaincinv(2.5, 0.7, p)), p, rtol=1e-12)
    np.testing.assert_allclose(s.stdtr(2.5, s.stdtrit(2.5, p)), p, rtol=1e-12)


@pytest.mark.parametrize("df", [0.5, 1.0, 3.0, 30.0, 1000.0])
def test_students_distribution_by_its_degrees_of_freedom(df):
    t = np.array([-40.0, -5.0, -1.0, -0.01, 0.3, 2.0, 10.0])
    found = ob.grad(lambda v: ob.sum(ob.special.stdtr(v, t)))(np.full(t.shape, df))
    for at, slope in zip(t, found, strict=True):
        with mp.workdps(50):

            def f(v, at=at):
                x = v / (v + mp.mpf(float(at)) ** 2)
                return mp.betainc(v / 2, mp.mpf(1) / 2, 0, x, regularized=True) / 2

            wanted = float(mp.diff(f, mp.mpf(df))) * (-1 if at > 0 else 1)
        if abs(wanted) > 1e-200:
            assert slope == pytest.approx(wanted, rel=2e-14 * df + 1e-12), at


def test_students_distribution_is_smooth_at_zero():
    by_df = ob.grad(ob.special.stdtr)
    assert by_df(3.0, 0.0) == pytest.approx(0.0, abs=1e-90)
    mixed = ob.grad(by_df, 1)(3.0, 0.0)
    density = lambda v: mp.gamma((v + 1) / 2) / mp.gamma(v / 2) / mp.sqrt(v * mp.pi)
    assert mixed == pytest.approx(float(mp.diff(density, 3.0)), rel=1e-6)


def test_quantiles_of_students_distribution_reach_into_the_tails():
    for p in (1e-300, 1e-20, 1e-5):
        t = float(ob.special.stdtrit(4.5, p))
        with mp.workdps(40):
            x = mp.mpf(4.5) / (4.5 + mp.mpf(t) ** 2)
            back = mp.betainc(2.25, 0.5, 0, x, regularized=True) / 2
        assert float(back) == pytest.approx(p, rel=1e-10)
    assert float(ob.special.stdtrit(4.5, 0.0)) == -np.inf


def test_single_precision_stays_single():
    a, x = np.float32(2.0), np.float32([1.0, 3.0])
    assert ob.special.gammainc(a, x).dtype == np.float32
    assert ob.grad(lambda a: ob.sum(ob.special.gammainc(a, x)))(a).dtype == np.float32
