"""The derivative rules of every primitive: first and second order, in both directions."""

import numpy as np
import pytest

import overbar as ob
from overbar.elementwise import Elementwise
from tests.rules.cases import (
    FLAT_OPS,
    SMOOTH,
    assert_close,
    cases,
    derivative,
    directions,
    name_of,
    noise,
    only,
    pairing,
    rng_for,
    saying,
    several_outputs,
    smooth_cases,
    value,
)

COMPLEX = [op for op in SMOOTH if op.complex]
ANALYTIC = [
    op for op in COMPLEX if isinstance(op, Elementwise) and op.partials and op.name != "where"
]
EVERY = [(op, "d") for op in SMOOTH] + [(op, "D") for op in COMPLEX]
every_primitive = pytest.mark.parametrize(
    ("op", "kind"), EVERY, ids=[op.name + (", complex" if k == "D" else "") for op, k in EVERY]
)


def questions(op, kind, seed=0):
    """(function, points, what to say): every sample, all its results together and each alone."""
    for case in smooth_cases(op, seed, kind):
        for chosen in several_outputs(case):
            yield only(case, chosen), case.points, f"{case}, results {chosen}"


def precisely(tolerance, results):
    """The tolerance; a cast to float32 rounds away what is finer, whatever the rule says."""
    single = any(value(v).dtype.char in "fF" for v in results)
    return max(tolerance, 2e-5) if single else tolerance


@every_primitive
def test_the_forward_rule_agrees_with_finite_differences(op, kind):
    rng = rng_for(op, 100)
    for f, xs, said in questions(op, kind):
        for i in range(len(xs) + 1):  # each input alone, then all together
            x_dots = directions(xs, rng)
            if i < len(xs):
                x_dots = [d if j == i else 0 * d for j, d in enumerate(x_dots)]
            with saying(f"{said}, direction {i}"):
                ys, y_dots = ob.jvp(f, tuple(xs), tuple(x_dots))
                for y_dot, wanted in zip(y_dots, derivative(f, xs, x_dots), strict=True):
                    assert_close(y_dot, wanted, precisely(1e-8, [y_dot]), noise(ys))


@every_primitive
def test_the_reverse_rule_agrees_with_finite_differences(op, kind):
    rng = rng_for(op, 101)
    for f, xs, said in questions(op, kind):
        ys, pull = ob.vjp(f, *xs)
        y_bars = directions([value(y) for y in ys], rng)
        x_bars = pull(tuple(y_bars))
        for i, x in enumerate(xs):
            with saying(f"{said}, input {i}"):
                assert (x_bars[i].shape, x_bars[i].dtype) == (x.shape, x.dtype)
                x_dots = [d if j == i else 0 * d for j, d in enumerate(directions(xs, rng))]
                wanted, scale = pairing(y_bars, derivative(f, xs, x_dots))
                found, also = pairing([x_bars[i]], [x_dots[i]])
                within = precisely(1e-8, ys)
                least = noise(ys) * sum(b.size for b in y_bars)
                assert found == pytest.approx(
                    wanted, rel=within, abs=within * max(scale, also, least)
                )


@every_primitive
@pytest.mark.parametrize("seed", range(3))
def test_forward_and_reverse_are_transposes(op, kind, seed):
    """<ȳ, J ẋ> = <Jᵀ ȳ, ẋ>."""
    rng = rng_for(op, 102 + seed)
    for f, xs, said in questions(op, kind, seed):
        with saying(said):
            x_dots = directions(xs, rng)
            ys, y_dots = ob.jvp(f, tuple(xs), tuple(x_dots))
            y_bars = directions([value(y) for y in ys], rng)
            _, pull = ob.vjp(f, *xs)
            left, size = pairing(y_bars, y_dots)
            right, also = pairing(pull(tuple(y_bars)), x_dots)
            within = precisely(1e-12, ys)
            assert left == pytest.approx(right, rel=within, abs=within * max(size, also))


@pytest.mark.parametrize("op", ANALYTIC, ids=name_of)
def test_the_partials_agree_with_a_complex_step(op):
    """f(x + ih) = f(x) + ih f'(x): no difference is taken, so nothing cancels."""
    for case in smooth_cases(op):
        for i, x in enumerate(case.points):
            stepped = [np.asarray(p, complex) for p in case.points]
            stepped[i] = x + 1e-30j
            with saying(case):
                (y,) = case(*stepped)
                if y.dtype.kind != "c":
                    continue  # of one value only in real life, like abs
                dots = [np.ones_like(p) * (j == i) for j, p in enumerate(case.points)]
                _, (y_dot,) = ob.jvp(case, tuple(case.points), tuple(dots))
                np.testing.assert_allclose(y_dot, y.imag / 1e-30, rtol=2e-14, atol=1e-300)


UNCLAIMED = [op for op in SMOOTH if not op.complex]
PHASES_ARE_FREE = {"eigh", "svd"}  # vectors up to a phase: see the test after the next


@pytest.mark.parametrize(
    "op", [op for op in UNCLAIMED if op.name not in PHASES_ARE_FREE], ids=name_of
)
def test_complex_numbers_are_refused_by_what_does_not_claim_them_or_else_right(op):
    rng = rng_for(op, 103)
    for case in cases(op, kind="D"):
        if not any(x.dtype.kind == "c" for x in case.points):
            continue
        with saying(case):
            x_dots = directions(case.points, rng)
            try:
                case(*case.points)
                ys, y_dots = ob.jvp(case, tuple(case.points), tuple(x_dots))
            except TypeError:  # DTypeError is one; so is NumPy's own
                continue
            for y_dot, wanted in zip(y_dots, derivative(case, case.points, x_dots), strict=True):
                assert_close(y_dot, wanted, 1e-8, noise(ys))
            y_bars = directions([value(y) for y in ys], rng)
            _, pull = ob.vjp(case, *case.points)
            left, size = pairing(y_bars, y_dots)
            right, also = pairing(pull(tuple(y_bars)), x_dots)
            assert left == pytest.approx(right, rel=1e-12, abs=1e-12 * max(size, also))


def hermitian(a):
    return a + ob.conj(ob.matrix_transpose(a))


def by_eigenvectors(a):
    """Three matrices made of eigenvectors in ways that no phase can change."""
    w, u = ob.linalg.eigh(hermitian(a))
    ut = ob.conj(ob.matrix_transpose(u))
    return ob.matmul(u * ob.sin(w), ut), ob.matmul(u[:, :1], ut[:1]), ob.abs(u)


def by_singular_vectors(a):
    u, s, vh = ob.linalg.svd(a, full_matrices=False)
    return ob.matmul(u * ob.sin(s), vh), ob.matmul(u[:, :1], vh[:1]), ob.abs(u), ob.abs(vh)


@pytest.mark.parametrize("f", [by_eigenvectors, by_singular_vectors], ids=["eigh", "svd"])
def test_of_complex_eigenvectors_what_no_phase_changes_has_the_right_derivative(f, rng):
    a, a_dot = (rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3)) for _ in range(2))
    ys, y_dots = ob.jvp(f, (a,), (a_dot,))
    for y_dot, wanted in zip(
        y_dots, derivative(lambda x: [*map(value, f(x))], [a], [a_dot]), strict=True
    ):
        assert_close(y_dot, wanted, 1e-8)
    y_bars = directions([value(y) for y in ys], rng)
    (a_bar,) = ob.vjp(f, a)[1](tuple(y_bars))
    left, size = pairing(y_bars, y_dots)
    right, also = pairing([a_bar], [a_dot])
    assert left == pytest.approx(right, rel=1e-11, abs=1e-11 * max(size, also))


# -- second order -----------------------------------------------------------------------------


def adjoint_of(f, n):
    """(xs, ȳs) -> x̄s, as a function to be differentiated again."""

    def g(*args):
        _, pull = ob.vjp(f, *args[:n])
        return pull(tuple(args[n:]))

    return g


@every_primitive
def test_the_reverse_rule_can_be_differentiated_forward_and_in_reverse(op, kind):
    rng = rng_for(op, 110)
    for f, xs, said in questions(op, kind):
        if not sum(x.size for x in xs):
            continue
        with saying(said):
            y_bars = directions([value(y) for y in f(*xs)], rng)
            args = [*xs, *y_bars]
            g = adjoint_of(f, len(xs))
            dots = directions(args, rng)
            bars, forward = ob.jvp(g, tuple(args), tuple(dots))
            wanted = derivative(g, args, dots)
            scale = max(float(np.max(np.abs(b), initial=0)) for b in bars)
            for found, by_differences in zip(forward, wanted, strict=True):
                assert_close(found, by_differences, precisely(1e-8, y_bars), scale)
            seeds = directions(bars, rng)
            _, pull = ob.vjp(g, *args)
            left, size = pairing(seeds, forward)
            right, also = pairing(pull(tuple(seeds)), dots)
            within = precisely(1e-11, f(*xs))
            assert left == pytest.approx(right, rel=within, abs=within * max(size, also, scale))


@every_primitive
def test_the_forward_rule_can_be_differentiated_forward_and_in_reverse(op, kind):
    rng = rng_for(op, 111)
    for f, xs, said in questions(op, kind):
        if not sum(x.size for x in xs):
            continue
        with saying(said):
            n = len(xs)

            def g(*args, f=f, n=n):
                return ob.jvp(f, args[:n], args[n:])[1]

            args = [*xs, *directions(xs, rng)]
            dots = directions(args, rng)
            y_dots, forward = ob.jvp(g, tuple(args), tuple(dots))
            wanted = derivative(g, args, dots)
            scale = max(float(np.max(np.abs(d), initial=0)) for d in y_dots)
            for found, by_differences in zip(forward, wanted, strict=True):
                assert_close(found, by_differences, precisely(1e-8, y_dots), scale)
            seeds = directions(y_dots, rng)
            _, pull = ob.vjp(g, *args)
            left, size = pairing(seeds, forward)
            right, also = pairing(pull(tuple(seeds)), dots)
            within = precisely(1e-11, f(*xs))
            assert left == pytest.approx(right, rel=within, abs=within * max(size, also, scale))


# -- kinds of numbers -------------------------------------------------------------------------


@pytest.mark.parametrize("op", SMOOTH, ids=name_of)
def test_the_derivatives_of_float32_are_float32(op):
    rng = rng_for(op, 120)
    for case in smooth_cases(op, kind="f"):
        with saying(case):
            xs = case.points
            ys, pull = ob.vjp(case, *xs)
            y_bars = directions([value(y) for y in ys], rng)
            for x, x_bar in zip(xs, pull(tuple(y_bars)), strict=True):
                assert (x_bar.dtype, x_bar.shape) == (x.dtype, x.shape)
            _, y_dots = ob.jvp(case, tuple(xs), tuple(directions(xs, rng)))
            for y, y_dot in zip(ys, y_dots, strict=True):
                assert (y_dot.dtype, y_dot.shape) == (y.dtype, y.shape)


@pytest.mark.parametrize("op", FLAT_OPS, ids=name_of)
def test_a_flat_primitive_passes_nothing(op):
    for case in cases(op):
        if not case.floats:
            continue
        with saying(case):
            ys, pull = ob.vjp(case, *case.points)
            for x, x_bar in zip(case.points, pull(tuple(np.ones_like(y) for y in ys)), strict=True):
                np.testing.assert_array_equal(x_bar, np.zeros_like(x))
            _, y_dots = ob.jvp(case, tuple(case.points), tuple(map(np.ones_like, case.points)))
            for y, y_dot in zip(ys, y_dots, strict=True):
                np.testing.assert_array_equal(y_dot, np.zeros_like(y))
