"""NumPy's functions that are composed of ours: NumPy's values, and derivatives by differences."""

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DTypeError, ShapeError

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 4))
C = RNG.normal(size=(4, 3, 2))
V = RNG.normal(size=5)
S = RNG.normal(size=(3, 3)) / 4 + np.diag([1.0, 3.0, 6.0])
HOLES = np.where(A > 0.5, np.nan, A)

CASES = {
    "flipud": (np.flipud, A),
    "fliplr": (np.fliplr, A),
    **{f"rot90 {k}": (lambda x, k=k: np.rot90(x, k, axes=(1, 2)), C) for k in range(-1, 4)},
    **{
        f"rollaxis {a} {s}": (lambda x, a=a, s=s: np.rollaxis(x, a, s), C)
        for a in (-1, 0, 1, 2)
        for s in (-1, 0, 1, 3)
    },
    "hsplit": (lambda x: np.hsplit(x, 2), A),
    "hsplit of a vector": (lambda x: np.hsplit(x, [1, 3]), V),
    "vsplit": (lambda x: np.vsplit(x, [1]), A),
    "dsplit": (lambda x: np.dsplit(x, 2), C),
    "atleast_3d": (lambda x: np.atleast_3d(x, x[0], x[0, 0]), A),
    "dstack": (lambda x: np.dstack([x, x[:, ::-1]]), A),
    "vstack of a dtype": (lambda x: np.vstack([x, x[0]], dtype=np.float64), A),
    "hstack": (lambda x: np.hstack([x, x[:, :1]]), A),
    "column_stack": (lambda x: np.column_stack([x, x[:, 0]]), A),
    "column_stack of rows": (np.column_stack, A),
    "block": (lambda x: np.block([[x, x[:, :1]], [np.zeros((1, 5))]]), A),
    "compress": (lambda x: np.compress([True, False, True], x, axis=0), A),
    "compress of all": (lambda x: np.compress([False, True, True], x), A),
    "diagonal": (lambda x: np.diagonal(x, 1), C),
    "diagonal of axes": (lambda x: np.diagonal(x, axis1=1, axis2=2), C),
    "trace": (lambda x: np.trace(x, offset=-1), C),
    "diagflat": (lambda x: np.diagflat(x, 1), A[:2]),
    "select": (lambda x: np.select([x > 1, x > 0], [x**2, 3 * x], default=-1.0), A),
    "partition": (lambda x: np.sort(np.partition(x, 2, axis=0), axis=0), A),
    "nan_to_num": (lambda x: np.nan_to_num(x * np.array([1.0, np.inf, np.nan, -np.inf])), A**2),
    "real_if_close": (np.real_if_close, A),
    "ptp": (lambda x: np.ptp(x, axis=1), A),
    "average": (np.average, A),
    "average weighted": (lambda x: np.average(x, axis=0, weights=[1.0, 2.0, 3.0]), A),
    "average of weights": (lambda x: np.average(A, weights=x**2), A),
    "average returned": (lambda x: np.average(x, axis=1, weights=x**2, returned=True), A),
    "nansum": (lambda x: np.nansum(x + HOLES, axis=1), A),
    "nanprod": (lambda x: np.nanprod(x + HOLES), A),
    "nanmax": (lambda x: np.nanmax(x + HOLES, axis=0, keepdims=True), A),
    "nanmin": (lambda x: np.nanmin(x + HOLES), A),
    "nanmean": (lambda x: np.nanmean(x + HOLES, axis=1), A),
    "trapezoid": (lambda x: np.trapezoid(x, dx=0.5, axis=0), A),
    "trapezoid of points": (lambda x: np.trapezoid(A, np.cumsum(x**2)), A[0]),
    "vdot": (lambda x: np.vdot(x, np.arange(12.0)), A),
    "cov": (np.cov, A),
    "cov of columns": (lambda x: np.cov(x, rowvar=False, bias=True), A),
    "cov of one": (np.cov, V),
    "cov of two": (lambda x: np.cov(x, x**2, ddof=0), V),
    "gradient": (lambda x: np.gradient(x, 0.5), V),
    "gradient of axes": (lambda x: np.gradient(x, 2.0, 3.0), A),
    "gradient along one": (lambda x: np.gradient(x, axis=1), A),
    "linspace": (lambda x: np.linspace(x[0], x[1], 7), V),
    "linspace open": (lambda x: np.linspace(x, 2 * x, 3, endpoint=False, axis=1), V),
    "linspace and its step": (lambda x: np.linspace(x[0], x[1], 3, retstep=True), V),
    "interp": (lambda x: np.interp(x, [-1.0, 0.0, 2.0], [1.0, 4.0, 2.0]), V),
    "interp of values": (
        lambda x: np.interp([-2.0, 0.1, 0.5, 9.0], [0.0, 0.2, 1.0, 2.0, 3.0], x),
        V,
    ),
    "interp outside": (lambda x: np.interp(x, [0.0, 0.1], [3.0, 4.0], left=7.0, right=8.0), V),
    "polyval": (lambda x: np.polyval(x, x[0]), V),
    "convolve": (lambda x: np.convolve(x, x[:2]), V),
    "convolve same": (lambda x: np.convolve(x[:2], x, mode="same"), V),
    "convolve valid": (lambda x: np.convolve(x, [1.0, 2.0, 3.0], mode="valid"), V),
    "angle": (np.angle, np.abs(A)),
    "angle in degrees": (lambda x: np.angle(x + 1j * x**2, deg=True), A),
    "logaddexp2": (lambda x: np.logaddexp2(x, 2 * x), A),
    "heaviside": (lambda x: np.heaviside(x, 0.5) * x, A),
    "fmod": (lambda x: np.fmod(x, 0.7), A),
    "fix": (lambda x: np.fix(3 * x) * x, A),
    "divmod": (lambda x: np.divmod(x, 0.7), A),
    "degrees": (lambda x: np.degrees(np.radians(x) * x), A),
    "einsum of lists": (lambda x: np.einsum(x, [0, 1], x, [2, 1], [0, 2]), A),
    "einsum of dots": (lambda x: np.einsum(x, [..., 0], x, [..., 0]), C),
    "einsum": (lambda x: np.einsum("ij,kj->ik", x, x, optimize=True), A),
    "cross": (lambda x: np.cross(x[:, :3], x[:, 1:]), A),
    "cross along an axis": (lambda x: np.cross(x, x[::-1] ** 2, axis=0), A),
    "svd values": (lambda x: np.linalg.svd(x, compute_uv=False), A),
    "cond": (np.linalg.cond, S),
    "cond of norm 1": (lambda x: np.linalg.cond(x, 1), S),
    "eigenvalues": (lambda x: np.abs(np.linalg.eigvals(x)), S),
    "moveaxis by name": (lambda x: np.moveaxis(x, source=0, destination=2), C),
    "repeat by name": (lambda x: np.repeat(x, repeats=2, axis=1), A),
    "tile by name": (lambda x: np.tile(x, reps=(2, 1)), A),
}


def leaves(tree):
    return [np.asarray(x) for x in (tree if isinstance(tree, tuple | list) else [tree])]


@pytest.mark.parametrize("name", CASES)
def test_the_values_are_numpys(name):
    f, x = CASES[name]
    found, want = ob.tree_map(lambda t: t, f(ob.tensor(x))), f(x)
    for ours, theirs in zip(leaves(found), leaves(want), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_the_derivatives_are_right(name):
    f, x = CASES[name]
    with np.errstate(all="ignore"):
        ob.testing.check_gradients(lambda t: tuple(ob.tree_flatten(f(t))[0]), x, order=1)


@pytest.mark.parametrize(
    ("ask", "want"),
    [
        (np.isreal, True),
        (lambda x: np.flatnonzero(x > 0), None),
        (lambda x: np.digitize(x, [0.0, 1.0]), None),
        (lambda x: np.array_equiv(x, x), True),
        (np.isposinf, False),
    ],
)
def test_questions_look_at_the_values(ask, want):
    answer = ask(ob.tensor(A))
    assert np.array_equal(answer, ask(A))
    assert want is None or np.all(np.asarray(answer) == want)


def test_what_is_not_composed_is_refused():
    x = ob.tensor(V)
    with pytest.raises(DTypeError, match="evenly"):
        np.gradient(x, np.arange(5.0))
    with pytest.raises(ShapeError, match="choices"):
        np.select([x > 0], [x, x])
    with pytest.raises(DTypeError, match="period"):
        np.interp(x, V, V, period=1.0)


# -- eigenvectors -----------------------------------------------------------------------------


def test_eigenvectors_solve_the_equation():
    for a in (
        S,
        RNG.normal(size=(2, 4, 4)),
        RNG.normal(size=(3, 3)) + 1j * RNG.normal(size=(3, 3)),
    ):
        w, v = ob.linalg.eig(a)
        np.testing.assert_allclose(a @ v.numpy(), v.numpy() * w.numpy()[..., None, :], atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(v.numpy(), axis=-2), 1.0)


def test_eigenvectors_keep_their_length_when_the_matrix_moves():
    def lengths(a):
        _, v = ob.linalg.eig(a)
        return ob.sum(ob.abs(v) ** 2, axis=-2)

    np.testing.assert_allclose(ob.jacobian(lengths)(S), 0.0, atol=1e-12)


def test_eigenvectors_have_derivatives():
    ob.testing.check_gradients(lambda a: ob.abs(ob.linalg.eig(a)[1]), S)
    turning = RNG.normal(size=(4, 4))
    ob.testing.check_gradients(lambda a: ob.real(ob.linalg.eigvals(a)) ** 2, turning)
    with pytest.raises(ShapeError, match="square"):
        ob.linalg.eig(A)


# -- defects found by foreign programs --------------------------------------------------------


@pytest.mark.parametrize("f", [ob.tan, ob.atan, ob.asinh], ids=lambda f: f.__name__)
def test_rules_that_ask_for_a_dtype_take_python_numbers(f):
    assert ob.grad(f)(0.5) == pytest.approx(ob.grad(f)(np.float64(0.5)), rel=1e-15)


def test_two_python_numbers_are_operands():
    assert float(ob.divide(1.0, 4.0)) == 0.25
    assert float(ob.logaddexp(0.0, 0.0)) == np.log(2)


def test_logaddexp_bends_where_its_arguments_are_equal():
    slope = ob.grad(lambda x: ob.logaddexp(x, 0.5))
    assert float(ob.grad(slope)(0.5)) == pytest.approx(0.25)
    assert float(ob.grad(lambda x: ob.logaddexp(x, -np.inf))(-np.inf)) == 0.0


def test_a_number_that_is_broadcast_has_second_derivatives_in_forward_mode():
    x, v = (np.array([0.3, 0.5]), 0.6), (np.array([1.0, 2.0]), 3.0)

    def push(x, v):
        return ob.jvp(lambda a, b: a / b, x, v)[1]

    moved = ob.jvp(lambda a, b: push((a, b), v), x, v)[1]
    a, b, da, db = x[0], x[1], v[0], v[1]
    np.testing.assert_allclose(moved, -2 * da * db / b**2 + 2 * a * db**2 / b**3, rtol=1e-14)
