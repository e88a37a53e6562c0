"""ob.linalg: values against NumPy, derivatives against differences, edges, and what is refused."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg

import overbar as ob
from overbar.errors import DomainError, DTypeError, RuleMissingError, ShapeError, SingularError
from overbar.testing import check_gradients

la, npla = ob.linalg, np.linalg


def general(rng, *shape):
    return rng.standard_normal(shape)


def regular(rng, *shape):
    return rng.standard_normal(shape) + 3 * np.eye(shape[-1])


def definite(rng, *shape):
    x = rng.standard_normal(shape)
    return x @ x.swapaxes(-1, -2) + 2 * np.eye(shape[-1])


def spread(rng, *shape):
    """Symmetric, with eigenvalues well apart."""
    x = rng.standard_normal(shape)
    return (x + x.swapaxes(-1, -2)) / 2 + np.diag(4.0 * np.arange(shape[-1]))


def graded(rng, *shape):
    """With singular values well apart."""
    x = rng.standard_normal(shape)
    k = min(shape[-2:])
    x[..., range(k), range(k)] += 4.0 * (1 + np.arange(k))
    return x


def number(name):
    """Of a result that is not determined but for signs, what is."""
    return {
        "qr": lambda y: (abs(y[1]), y[0] @ y[1]),
        "eigh": lambda y: (
            y[0],
            (y[1] * y[0][..., None, :] ** 2) @ y[1].mT
            if isinstance(y[1], ob.Tensor)
            else (y[1] * y[0][..., None, :] ** 2) @ y[1].swapaxes(-1, -2),
        ),
        "svd": lambda y: (
            y[1],
            y[0] @ (y[2] * y[1][..., :, None] ** 2) if y[0].shape[-1] == y[2].shape[-2] else y[1],
        ),
    }.get(name, lambda y: y if isinstance(y, tuple) else (y,))


def clear(rng, *shape):
    """Entries that are not near 0, and differ in size, as do their sums."""
    n = int(np.prod(shape))
    return 1.3 ** rng.permutation(n).reshape(shape) * rng.choice([-1.0, 1.0], shape)


# name, our function, NumPy's, how matrices are made, shapes of a
CASES = [
    ("inv", la.inv, npla.inv, regular, [(1, 1), (3, 3), (2, 4, 4)]),
    ("det", la.det, npla.det, general, [(1, 1), (2, 2), (4, 4), (2, 3, 3)]),
    ("slogdet", la.slogdet, lambda a: tuple(npla.slogdet(a)), general, [(1, 1), (4, 4), (2, 3, 3)]),
    ("pinv", la.pinv, npla.pinv, graded, [(3, 3), (4, 2), (2, 4), (2, 3, 2)]),
    ("cholesky", la.cholesky, npla.cholesky, definite, [(1, 1), (4, 4), (2, 3, 3)]),
    (
        "upper",
        lambda a: la.cholesky(a, upper=True),
        lambda a: npla.cholesky(a, upper=True),
        definite,
        [(3, 3)],
    ),
    (
        "qr",
        la.qr,
        lambda a: tuple(npla.qr(a)),
        graded,
        [(1, 1), (3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 2, 3)],
    ),
    ("eigh", la.eigh, lambda a: tuple(npla.eigh(a)), spread, [(1, 1), (4, 4), (2, 3, 3)]),
    ("eigvalsh", la.eigvalsh, npla.eigvalsh, spread, [(4, 4), (2, 3, 3)]),
    (
        "svd",
        lambda a: la.svd(a, full_matrices=False),
        lambda a: tuple(npla.svd(a, full_matrices=False)),
        graded,
        [(1, 1), (3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 2, 3)],
    ),
    ("svdvals", la.svdvals, npla.svdvals, graded, [(3, 3), (4, 2), (2, 4), (2, 2, 3)]),
    (
        "power",
        lambda a: la.matrix_power(a, 5),
        lambda a: npla.matrix_power(a, 5),
        general,
        [(3, 3), (2, 2, 2)],
    ),
    (
        "power, negative",
        lambda a: la.matrix_power(a, -3),
        lambda a: npla.matrix_power(a, -3),
        regular,
        [(3, 3)],
    ),
    (
        "power, one",
        lambda a: la.matrix_power(a, 1),
        lambda a: npla.matrix_power(a, 1),
        general,
        [(2, 2)],
    ),
    *[
        (
            f"vector norm {p}",
            lambda x, p=p: la.vector_norm(x, ord=p, axis=-1),
            lambda x, p=p: npla.vector_norm(x, ord=p, axis=-1),
            clear,
            [(3, 4)],
        )
        for p in (2, 1, math.inf, -math.inf, 3, 1.5, 0.5, -2)
    ],
    ("vector norm of all", la.vector_norm, npla.vector_norm, general, [(2, 3, 2)]),
    (
        "vector norm, kept",
        lambda x: la.vector_norm(x, axis=(0, 2), keepdims=True),
        lambda x: npla.vector_norm(x, axis=(0, 2), keepdims=True),
        general,
        [(2, 3, 2)],
    ),
    *[
        (
            f"matrix norm {p}",
            lambda x, p=p: la.matrix_norm(x, ord=p),
            lambda x, p=p: npla.matrix_norm(x, ord=p),
            made,
            [(3, 3), (2, 3, 4)],
        )
        for made, orders in ((graded, ("fro", "nuc", 2, -2)), (clear, (1, -1, math.inf, -math.inf)))
        for p in orders
    ],
    ("norm", la.norm, npla.norm, general, [(4,), (2, 3), (2, 3, 2)]),
    (
        "norm, an axis",
        lambda x: la.norm(x, 1, axis=0),
        lambda x: npla.norm(x, 1, axis=0),
        clear,
        [(2, 3)],
    ),
    (
        "norm, axes",
        lambda x: la.norm(x, 1, axis=(2, 0), keepdims=True),
        lambda x: npla.norm(x, 1, axis=(2, 0), keepdims=True),
        clear,
        [(2, 3, 4)],
    ),
    (
        "norm, of a matrix",
        lambda x: la.norm(x, "nuc"),
        lambda x: npla.norm(x, "nuc"),
        graded,
        [(3, 2)],
    ),
]
every_case = pytest.mark.parametrize(
    ("name", "ours", "theirs", "made", "shape"),
    [(n, f, g, m, s) for n, f, g, m, shapes in CASES for s in shapes],
    ids=[f"{n} {s}" for n, _, _, _, shapes in CASES for s in shapes],
)


@every_case
def test_values_are_those_of_numpy(name, ours, theirs, made, shape, rng):
    a = made(rng, *shape)
    found, wanted = ours(a), theirs(a)
    for y, w in zip(*(y if isinstance(y, tuple) else (y,) for y in (found, wanted)), strict=True):
        assert (y.shape, y.dtype) == (np.shape(w), w.dtype)
        np.testing.assert_allclose(y.numpy(), w, rtol=1e-11, atol=1e-12)


@every_case
def test_first_derivatives_agree_with_differences(name, ours, theirs, made, shape, rng):
    """All results together, against differences of NumPy's function, to 1e-7."""
    a, d = made(rng, *shape), rng.standard_normal(shape)
    if made in (definite, spread):
        d = d + d.swapaxes(-1, -2)  # a direction in which it stays symmetric
    weights = [rng.standard_normal(np.shape(y)) for y in number(name)(as_tuple(theirs(a)))]

    def total(y):
        return sum(
            (ob.sum(w * p) if isinstance(p, ob.Tensor) else np.sum(w * p))
            for w, p in zip(weights, number(name)(as_tuple(y)), strict=True)
        )

    wanted = slope(lambda t: total(theirs(a + t * d)))
    found = np.sum(ob.grad(lambda a: total(ours(a)))(a) * d)
    forward = ob.jvp(lambda a: total(ours(a)), (a,), (d,))[1]
    np.testing.assert_allclose([found, forward], wanted, rtol=1e-7, atol=1e-8)


@every_case
def test_second_derivatives_agree_with_differences_of_the_first(
    name, ours, theirs, made, shape, rng
):
    a, d, e = made(rng, *shape), rng.standard_normal(shape), rng.standard_normal(shape)
    if made in (definite, spread):
        d, e = d + d.swapaxes(-1, -2), e + e.swapaxes(-1, -2)
    weights = [rng.standard_normal(np.shape(y)) for y in number(name)(as_tuple(theirs(a)))]
    total = lambda a: sum(
        ob.sum(w * p) for w, p in zip(weights, number(name)(as_tuple(ours(a))), strict=True)
    )
    along = lambda a: ob.sum(ob.grad(total)(a) * d)
    wanted = slope(lambda t: float(along(ob.asarray(a + t * e))))
    found = np.sum(ob.grad(along)(a) * e)
    forward = ob.jvp(along, (a,), (e,))[1]
    np.testing.assert_allclose([found, forward], wanted, rtol=1e-6, atol=1e-6)


@every_case
def test_vmap_equals_a_loop(name, ours, theirs, made, shape, rng):
    a = made(rng, 3, *shape)
    found = ob.vmap(lambda a: as_tuple(ours(a)))(a)
    for i in range(3):
        for y, w in zip(found, as_tuple(ours(a[i])), strict=True):
            np.testing.assert_allclose(y[i], w.numpy(), rtol=1e-12, atol=1e-12)


def as_tuple(y):
    return y if isinstance(y, tuple) else (y,)


def slope(f, h=1e-2):
    """f'(0) by central differences extrapolated four times: error of order h^10."""
    row = [(f(h / 2**k) - f(-h / 2**k)) / (2 * h / 2**k) for k in range(5)]
    for m in range(1, 5):
        row = [b + (b - a) / (4**m - 1) for a, b in itertools.pairwise(row)]
    return row[0]


# -- solve ------------------------------------------------------------------------------------

SYSTEMS = [
    ((3, 3), (3,)),
    ((3, 3), (3, 2)),
    ((2, 3, 3), (2, 3, 2)),
    ((2, 3, 3), (3, 2)),
    ((3, 3), (2, 3, 1)),
    ((2, 1, 3, 3), (4, 3, 2)),
    ((2, 3, 3), (3,)),
    ((1, 1), (1,)),
    ((3, 3), (3, 0)),
]


@pytest.mark.parametrize(("of_a", "of_b"), SYSTEMS)
def test_solve_and_its_derivatives(of_a, of_b, rng):
    a, b = regular(rng, *of_a), general(rng, *of_b)
    x = la.solve(a, b)
    wanted = (
        npla.solve(a, np.broadcast_to(b, (*of_a[:-2], 3))[..., None])[..., 0]
        if of_b == (3,)
        else npla.solve(a, b)
    )
    np.testing.assert_allclose(x.numpy(), wanted, rtol=1e-11)
    check_gradients(la.solve, a, b, order=2)


def test_solve_of_complex_systems_sends_back_the_transpose_not_the_conjugate(rng):
    a = regular(rng, 3, 3) + 1j * general(rng, 3, 3)
    b = general(rng, 3, 2) + 1j * general(rng, 3, 2)
    x_bar = general(rng, 3, 2) + 1j * general(rng, 3, 2)
    x, pull = ob.vjp(la.solve, a, b)
    a_bar, b_bar = pull(x_bar)
    np.testing.assert_allclose(b_bar, npla.solve(a.T, x_bar), rtol=1e-11)
    np.testing.assert_allclose(a_bar, -b_bar @ x.T, rtol=1e-11)


def test_solve_never_forms_an_inverse_and_solves_once_per_sweep(rng):
    a = ob.tensor(regular(rng, 3, 3), requires_grad=True)
    b = ob.tensor(general(rng, 3), requires_grad=True)
    loss = la.solve(a, b).sum()
    graph = ob.backward(loss, create_graph=True)
    del graph
    names = [n.op.name for n in reached(a.grad, b.grad) if n.inputs]
    assert names.count("solve") == 2  # there and back
    assert "inv" not in names


def reached(*tensors):
    seen, todo = set(), [t.node for t in tensors]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += node.inputs
    return seen


@pytest.mark.parametrize("lower", [True, False])
def test_solve_triangular_looks_at_one_triangle(lower, rng):
    a, b = regular(rng, 3, 3), general(rng, 3, 2)
    np.testing.assert_allclose(
        la.solve_triangular(a, b, lower=lower).numpy(),
        scipy.linalg.solve_triangular(a, b, lower=lower),
        rtol=1e-11,
    )
    check_gradients(lambda a, b: la.solve_triangular(a, b, lower=lower), a, b, order=2)


def test_powers(rng):
    a = np.arange(4).reshape(2, 2)
    assert la.matrix_power(a, 3).tolist() == npla.matrix_power(a, 3).tolist()
    assert la.matrix_power(a, 0).tolist() == [[1, 0], [0, 1]]
    assert la.matrix_power(general(rng, 2, 3, 3), 0).shape == (2, 3, 3)
    found = ob.grad(lambda a: la.matrix_power(a, 0).sum())(np.eye(2))
    assert found.tolist() == [[0.0, 0.0], [0.0, 0.0]]


# -- determinants of singular matrices --------------------------------------------------------

SINGULAR = {
    "rank 1 of 2": np.array([[1.0, 2.0], [2.0, 4.0]]),
    "rank 0 of 1": np.zeros((1, 1)),
    "rank 0 of 2": np.zeros((2, 2)),
    "rank 2 of 3": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),
    "rank 1 of 3": np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0]),
    "rank 0 of 3": np.zeros((3, 3)),
    "rank 3 of 4": np.diag([1.0, 2.0, 0.0, 3.0])[[2, 0, 3, 1]],
    "rank 2 of 4": np.diag([1.0, 0.0, 0.0, 3.0]) + np.diag([1.0, 0.0, 2.0], 1) * 0,
    "the identity": np.eye(4),
    "nearly singular": np.array([[1.0, 1.0], [1.0, 1.0 + 1e-13]]),
}


def cofactors_by_minors(a):
    """∂det/∂a by its definition: signed determinants of what is left without a row and a column."""
    n = len(a)
    without = lambda i, j: np.delete(np.delete(a, i, 0), j, 1)
    return np.array(
        [[(-1) ** (i + j) * npla.det(without(i, j)) for j in range(n)] for i in range(n)]
    )


def second_minors(a):
    """∂²det/∂a∂a: signed determinants of what is left without two rows and two columns."""
    n = len(a)
    h = np.zeros((n, n, n, n))
    for i in range(n):
        for j in range(n):
            for k in range(n):
                for m in range(n):
                    if i != k and j != m:
                        left = np.delete(np.delete(a, [i, k], 0), [j, m], 1)
                        sign = (-1) ** (i + j + k + m) * (1 if (i < k) == (j < m) else -1)
                        h[i, j, k, m] = sign * npla.det(left)
    return h


@pytest.mark.parametrize("name", SINGULAR)
def test_the_derivatives_of_det_are_the_minors_at_singular_matrices_too(name):
    a = SINGULAR[name]
    scale = max(1.0, np.abs(a).max() ** (len(a) - 1))
    np.testing.assert_allclose(
        ob.grad(la.det)(a), cofactors_by_minors(a), rtol=1e-12, atol=1e-13 * scale
    )
    np.testing.assert_allclose(
        ob.hessian(la.det)(a), second_minors(a), rtol=1e-12, atol=1e-13 * scale
    )


def test_the_matrix_for_which_others_give_zeros():
    np.testing.assert_allclose(
        ob.grad(la.det)(np.array([[1.0, 2.0], [2.0, 4.0]])), [[4.0, -2.0], [-2.0, 1.0]], rtol=1e-13
    )


def test_det_of_a_complex_singular_matrix(rng):
    u = general(rng, 3, 2) + 1j * general(rng, 3, 2)
    a = u @ (general(rng, 2, 3) + 1j * general(rng, 2, 3))
    d = general(rng, 3, 3) + 1j * general(rng, 3, 3)
    _, pull = ob.vjp(la.det, a)
    wanted = slope(lambda t: npla.det(a + t * d))
    np.testing.assert_allclose(np.sum(pull(np.array(1.0 + 0j))[0] * d), wanted, rtol=1e-9)


def test_a_batch_of_regular_and_singular_matrices(rng):
    a = np.stack([np.array([[1.0, 2.0], [2.0, 4.0]]), regular(rng, 2, 2)])
    found = ob.grad(lambda a: la.det(a).sum())(a)
    np.testing.assert_allclose(found, [cofactors_by_minors(m) for m in a], rtol=1e-12)


def test_the_third_derivative_of_det_at_a_regular_matrix(rng):
    a, d, e, f = (regular(rng, 3, 3), *(general(rng, 3, 3) for _ in range(3)))
    once = lambda a: ob.sum(ob.grad(la.det)(a) * d)
    twice = lambda a: ob.sum(ob.grad(once)(a) * e)
    found = np.sum(ob.grad(twice)(a) * f)
    polarised = 0.0  # det is cubic: its third derivative is a sum over signs
    for s in np.ndindex(2, 2, 2):
        sign = (-1) ** sum(s)
        polarised += sign * npla.det((-1) ** s[0] * d + (-1) ** s[1] * e + (-1) ** s[2] * f) / 8
    np.testing.assert_allclose(found, polarised, rtol=1e-9)


def test_slogdet_of_a_singular_matrix_is_infinitely_steep():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    sign, log = la.slogdet(a)
    assert (float(sign), float(log)) == (0.0, -math.inf)
    found = ob.grad(lambda a: la.slogdet(a)[1])(a)
    assert found.tolist() == [[math.inf, -math.inf], [-math.inf, math.inf]]
    both = ob.grad(lambda a: la.slogdet(a)[1].sum())(np.stack([a, np.diag([2.0, 4.0])]))
    assert both[1].tolist() == [[0.5, 0.0], [0.0, 0.25]]


def test_slogdet_does_not_overflow_where_det_does():
    a = np.eye(400) * 1e3
    np.testing.assert_allclose(float(la.slogdet(a)[1]), 400 * math.log(1e3), rtol=1e-13)
    np.testing.assert_allclose(
        ob.grad(lambda a: la.slogdet(a)[1])(a), np.eye(400) / 1e3, rtol=1e-13
    )


def test_slogdet_of_complex_matrices(rng):
    a, d = (general(rng, 3, 3) + 1j * general(rng, 3, 3) for _ in range(2))
    y, y_dot = ob.jvp(la.slogdet, (a,), (d,))
    np.testing.assert_allclose(y[0] * np.exp(y[1]), npla.det(a), rtol=1e-12)
    np.testing.assert_allclose(y_dot[0], slope(lambda t: npla.slogdet(a + t * d)[0]), rtol=1e-8)
    np.testing.assert_allclose(y_dot[1], slope(lambda t: npla.slogdet(a + t * d)[1]), rtol=1e-8)
    _, pull = ob.vjp(la.slogdet, a)
    y_bar = (np.array(0.3 - 0.7j), np.array(1.1))
    left = (y_bar[0] * y_dot[0] + y_bar[1] * y_dot[1]).real
    np.testing.assert_allclose(np.sum(pull(y_bar)[0] * d).real, left, rtol=1e-10)


# -- factors ----------------------------------------------------------------------------------


def test_the_derivative_of_cholesky_is_symmetric_and_half_the_inverse_for_the_log_determinant(rng):
    a = definite(rng, 4, 4)
    found = ob.grad(lambda a: ob.sum(ob.log(ob.diagonal(la.cholesky(a)))))(a)
    np.testing.assert_allclose(found, npla.inv(a) / 2, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(found, found.T)


def recombined(a, la, only=slice(None)):
    """The matrix again, or the part of it that belongs to some singular values."""
    u, s, vh = la.svd(a, full_matrices=False)
    return (u * s)[:, only] @ vh[only]


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)])
def test_the_factors_multiply_to_the_matrix_and_so_do_their_derivatives(shape, rng):
    a, y_bar = graded(rng, *shape), general(rng, *shape)
    products = {"qr": lambda a: ob.matmul(*la.qr(a)), "svd": lambda a: recombined(a, la)}
    for f in products.values():
        y, pull = ob.vjp(f, a)
        np.testing.assert_allclose(y, a, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(pull(y_bar)[0], y_bar, rtol=1e-9, atol=1e-10)


def gram(a):
    """A Hermitian matrix made of a."""
    return a.conj().mT @ a + np.eye(a.shape[-1])


def first(v):
    """The projection on the first column, whatever its phase."""
    return v[:, :1] @ v[:, :1].conj().mT


def test_complex_factors(rng):
    """Of what is determined: products, sizes, projections. Against directional differences."""
    a, d = (general(rng, 4, 3) + 1j * general(rng, 4, 3) for _ in range(2))
    w = general(rng, 4, 4) + 1j * general(rng, 4, 4)
    number = lambda p: ob.sum(ob.square(ob.abs(p * w[: p.shape[-2], : p.shape[-1]] + 0.5)))
    of = {
        "cholesky": lambda a, la: la.cholesky(gram(a)),
        "q": lambda a, la: la.qr(a)[0],
        "r": lambda a, la: la.qr(a)[1],
        "r of a wide one": lambda a, la: la.qr(a.mT)[1],
        "eigh": lambda a, la: first(la.eigh(gram(a))[1]),
        "u": lambda a, la: first(la.svd(a, full_matrices=False)[0]),
        "v": lambda a, la: first(la.svd(a, full_matrices=False)[2].mT),
        "both": lambda a, la: recombined(a, la, slice(1)),
        "both of a wide one": lambda a, la: recombined(a.mT, la, slice(1, 2)),
        "pinv": lambda a, la: la.pinv(a),
    }
    for name, f in of.items():
        ours = lambda a, f=f: number(f(a, la))
        theirs = lambda a, f=f: float(number(ob.asarray(f(a, npla))))
        y, pull = ob.vjp(ours, a)
        wanted = slope(lambda t, theirs=theirs: theirs(a + t * d))
        found = np.sum(pull(np.array(1.0))[0] * d).real
        forward = ob.jvp(ours, (a,), (d,))[1]
        np.testing.assert_allclose(y, theirs(a), rtol=1e-11, err_msg=name)
        np.testing.assert_allclose(found, wanted, rtol=1e-7, err_msg=name)
        np.testing.assert_allclose(forward, wanted, rtol=1e-7, err_msg=name)


@pytest.mark.parametrize(
    "f", [la.svdvals, lambda a: la.svd(a, full_matrices=False)[1], lambda a: la.svd(a)[1]]
)
@pytest.mark.parametrize(
    "a", [np.eye(3), np.zeros((2, 3)), np.ones((3, 3)), np.diag([2.0, 2.0, 1.0]), np.eye(4)[:, :2]]
)
def test_singular_values_alone_have_a_finite_derivative_where_they_coincide(f, a):
    assert np.isfinite(ob.grad(lambda a: f(a).sum())(a)).all()
    assert np.isfinite(ob.jvp(lambda a: f(a).sum(), (a,), (np.ones_like(a),))[1])


def test_the_sum_of_coinciding_eigenvalues_is_smooth(rng):
    a = np.diag([1.0, 1.0, 5.0])
    q = npla.qr(general(rng, 3, 3))[0]
    a = q @ a @ q.T
    for f in (la.eigvalsh, lambda a: la.eigh(a)[0]):
        np.testing.assert_allclose(ob.grad(lambda a, f=f: f(a).sum())(a), np.eye(3), atol=1e-12)
        np.testing.assert_allclose(ob.grad(lambda a, f=f: (f(a) ** 2).sum())(a), 2 * a, atol=1e-11)


def test_the_derivative_of_a_singular_value_at_zero_is_that_of_a_size():
    assert ob.grad(lambda a: la.svdvals(a).sum())(np.zeros((1, 1))).tolist() == [[0.0]]
    assert ob.grad(lambda a: la.matrix_norm(a, ord="nuc"))(np.zeros((2, 2))).tolist() == [
        [0.0, 0.0],
        [0.0, 0.0],
    ]


def test_qr_of_a_complete_basis_has_values_but_no_derivative(rng):
    a = general(rng, 4, 2)
    for y, w in zip(la.qr(a, mode="complete"), npla.qr(a, mode="complete"), strict=True):
        np.testing.assert_allclose(y.numpy(), w, rtol=1e-12, atol=1e-13)
    with pytest.raises(RuleMissingError, match="are not determined by a"):
        ob.grad(lambda a: la.qr(a, mode="complete")[1].sum())(a)
    with pytest.raises(RuleMissingError, match="are not determined by a"):
        ob.jvp(lambda a: la.qr(a, mode="complete")[0], (a,), (a,))
    check_gradients(
        lambda a: la.qr(a, mode="complete")[1], graded(rng, 2, 4)
    )  # nothing to complete
    wanted = [npla.qr(m, mode="complete")[1] for m in (a, 2 * a)]
    np.testing.assert_allclose(
        ob.vmap(lambda a: la.qr(a, mode="complete")[1])(np.stack([a, 2 * a])), wanted, rtol=1e-12
    )


def test_svd_of_full_matrices_has_a_derivative_of_its_values_only(rng):
    a = graded(rng, 4, 2)
    for y, w in zip(la.svd(a), npla.svd(a), strict=True):
        np.testing.assert_allclose(y.numpy(), w, rtol=1e-12, atol=1e-13)
    check_gradients(lambda a: la.svd(a)[1], a)
    check_gradients(lambda a: la.svd(a)[1], a.T)
    for i in (0, 2):
        with pytest.raises(RuleMissingError, match="are not determined by a"):
            ob.grad(lambda a, i=i: la.svd(a)[i].sum())(a)
        with pytest.raises(RuleMissingError, match="are not determined by a"):
            ob.jvp(lambda a, i=i: la.svd(a)[i], (a,), (a,))
    check_gradients(lambda a: la.svd(a)[1], graded(rng, 3, 3), order=2)
    np.testing.assert_allclose(
        ob.vmap(lambda a: la.svd(a)[1])(np.stack([a, 2 * a]))[1], npla.svdvals(2 * a), rtol=1e-12
    )


def test_the_pseudo_inverse_of_a_matrix_of_lower_rank(rng):
    """Along directions that keep the rank."""
    u, v = general(rng, 4, 2), general(rng, 2, 3)
    wanted = npla.pinv(u @ v)
    np.testing.assert_allclose(la.pinv(u @ v).numpy(), wanted, rtol=1e-10, atol=1e-12)
    check_gradients(lambda u, v: la.pinv(u @ v, rtol=1e-8), u, v)
    assert la.pinv(np.zeros((2, 3))).tolist() == np.zeros((3, 2)).tolist()
    assert la.pinv(np.zeros((0, 3))).shape == (3, 0)


@pytest.mark.parametrize(
    ("a", "rank"),
    [(np.eye(3), 3), ([[1.0, 2.0], [2.0, 4.0]], 1), (np.zeros((2, 3)), 0), (np.zeros((0, 3)), 0)],
)
def test_ranks(a, rank):
    found = la.matrix_rank(a)
    assert (found.tolist(), found.dtype) == (rank, np.int64)
    assert npla.matrix_rank(a) == rank if np.size(a) else rank == 0


def test_a_rank_has_its_own_threshold():
    a = np.diag([1.0, 1e-4])
    assert (int(la.matrix_rank(a)), int(la.matrix_rank(a, rtol=1e-3))) == (2, 1)


# -- norms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [2, 1, 3, 1.5, 0.5, 0, math.inf])
def test_the_derivative_of_a_norm_at_zero_is_zero(p):
    x = np.zeros(3)
    assert ob.grad(lambda x: la.vector_norm(x, ord=p))(x).tolist() == [0.0, 0.0, 0.0]
    assert float(ob.jvp(lambda x: la.vector_norm(x, ord=p), (x,), (np.ones(3),))[1]) == 0.0


@pytest.mark.parametrize("p", [2, 3, 4])
def test_a_zero_beside_others_has_derivative_zero_and_no_nan(p):
    x = np.array([0.0, 3.0, -4.0])
    found = ob.grad(lambda x: la.vector_norm(x, ord=p))(x)
    assert found[0] == 0.0
    assert np.isfinite(ob.hessian(lambda x: la.vector_norm(x, ord=p))(x)).all()


def test_the_second_derivative_of_a_length_at_zero_is_zero():
    assert ob.hessian(la.vector_norm)(np.zeros(2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("x", "dtype"), [(1e200, float), (1e-200, float), (1e30, np.float32), (1e-30, np.float32)]
)
def test_squares_that_overflow_are_no_trouble(x, dtype):
    v = np.array([3 * x, 4 * x], dtype)
    np.testing.assert_allclose(
        float(la.vector_norm(v)), 5 * float(dtype(x)), rtol=1e-6 if dtype is np.float32 else 1e-14
    )
    np.testing.assert_allclose(ob.grad(la.vector_norm)(v), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(
        float(la.vector_norm(v, ord=3)), (27 + 64) ** (1 / 3) * float(dtype(x)), rtol=1e-6
    )


def test_lengths_beside_zeros_and_of_infinities():
    x = np.array([[3e200, 4e200], [0.0, 0.0], [np.inf, 1.0], [3e-200, 4e-200]])
    np.testing.assert_allclose(
        la.vector_norm(x, axis=1).numpy(), [5e200, 0.0, np.inf, 5e-200], rtol=1e-13
    )
    assert math.isnan(la.vector_norm([np.nan, 1.0]))
    assert la.vector_norm(np.zeros((2, 0)), axis=1).tolist() == [0.0, 0.0]


def test_complex_norms(rng):
    x = general(rng, 3, 3) + 1j * general(rng, 3, 3)
    for p in (2, 1, 3, math.inf, 0):
        np.testing.assert_allclose(
            la.vector_norm(x, ord=p).numpy(), npla.vector_norm(x, ord=p), rtol=1e-13
        )
        assert la.vector_norm(x, ord=p).dtype == np.float64
        check_gradients(lambda x, p=p: la.vector_norm(x, ord=p), x)
    for p in ("fro", "nuc", 2, 1, math.inf):
        np.testing.assert_allclose(
            la.matrix_norm(x, ord=p).numpy(), npla.matrix_norm(x, ord=p), rtol=1e-12
        )
        check_gradients(lambda x, p=p: la.matrix_norm(x, ord=p), x)


def test_how_many_entries_are_not_zero():
    y = la.vector_norm([[1.0, 0.0], [0.0, 0.0]], ord=0, axis=1)
    assert (y.tolist(), y.dtype) == ([1.0, 0.0], np.float64)


# -- dtypes -----------------------------------------------------------------------------------


def test_float32_stays_float32(rng):
    a = definite(rng, 3, 3).astype(np.float32)
    fs = [
        la.inv,
        la.det,
        la.cholesky,
        la.pinv,
        la.svdvals,
        la.eigvalsh,
        la.vector_norm,
        la.matrix_norm,
        lambda a: la.solve(a, a[0]),
        lambda a: la.qr(a)[1],
        lambda a: la.eigh(a)[1],
        lambda a: la.svd(a)[0],
        lambda a: la.slogdet(a)[1],
        lambda a: la.vector_norm(a, ord=3),
    ]
    for f in fs:
        assert f(a).dtype == np.float32
        assert ob.grad(lambda a, f=f: f(a).sum())(a).dtype == np.float32
        once = lambda a, f=f: ob.sum(ob.square(ob.grad(lambda a: f(a).sum())(a)))
        assert ob.grad(once)(a).dtype == np.float32


def test_integers_become_float64():
    a = np.array([[2, 1], [1, 3]])
    for f, g in (
        (la.inv, npla.inv),
        (la.det, npla.det),
        (la.cholesky, npla.cholesky),
        (la.vector_norm, npla.vector_norm),
    ):
        np.testing.assert_allclose(f(a).numpy(), g(a), rtol=1e-13)


def test_matrices_of_nothing():
    for a in (np.zeros((0, 0)), np.zeros((0, 3, 3)), np.zeros((2, 0, 0))):
        for f, g in (
            (la.det, npla.det),
            (la.inv, npla.inv),
            (la.cholesky, npla.cholesky),
            (la.eigvalsh, npla.eigvalsh),
        ):
            np.testing.assert_array_equal(f(a).numpy(), g(a))
            assert ob.grad(lambda a, f=f: f(a).sum())(a).shape == a.shape


# -- what is refused --------------------------------------------------------------------------

FLAT_MATRIX = np.array([[1.0, 2.0], [2.0, 4.0]])
REFUSED = {
    "solve, singular": (
        SingularError,
        lambda: la.solve(FLAT_MATRIX, np.ones(2)),
        "solve: the matrix has no inverse, its rank is 1 and not 2",
    ),
    "solve, one of many": (
        SingularError,
        lambda: la.solve(np.stack([np.eye(2), FLAT_MATRIX]), np.ones((2, 1))),
        r"matrix \[1\] has no inverse",
    ),
    "inv, singular": (
        SingularError,
        lambda: la.inv(np.zeros((2, 2))),
        "inv: the matrix has no inverse, its rank is 0 and not 2",
    ),
    "power, singular": (SingularError, lambda: la.matrix_power(FLAT_MATRIX, -1), "no inverse"),
    "solve, not square": (
        ShapeError,
        lambda: la.solve(np.ones((2, 3)), np.ones(2)),
        "not square, 2 by 3",
    ),
    "solve, sizes": (
        ShapeError,
        lambda: la.solve(np.eye(2), np.ones((3, 2))),
        "2 unknowns against 3 rows",
    ),
    "solve, a batch of vectors": (
        ShapeError,
        lambda: la.solve(np.eye(2), np.ones((5, 2))),
        r"a batch of vectors is b\[..., None\]",
    ),
    "solve, a number": (
        ShapeError,
        lambda: la.solve(np.eye(2), 1.0),
        "a number is no right-hand side",
    ),
    "a vector": (ShapeError, lambda: la.inv(np.ones(3)), "a matrix has two axes"),
    "half precision": (DTypeError, lambda: la.inv(np.eye(2, dtype=np.float16)), "half precision"),
    "a power that is none": (
        DTypeError,
        lambda: la.matrix_power(np.eye(2), 0.5),
        "a whole number, not 0.5",
    ),
    "cholesky, indefinite": (
        SingularError,
        lambda: la.cholesky([[1.0, 2.0], [2.0, 1.0]]),
        "cholesky: the matrix is not positive definite, its smallest eigenvalue is -1",
    ),
    "cholesky, one of many": (
        SingularError,
        lambda: la.cholesky(np.stack([np.eye(2), -np.eye(2)])),
        r"matrix \[1\] is not positive definite",
    ),
    "cholesky, one triangle": (
        DomainError,
        lambda: la.cholesky([[2.0, 0.0], [1.0, 2.0]]),
        r"not symmetric, \[0, 1\] and \[1, 0\] differ",
    ),
    "eigh, asymmetric": (
        DomainError,
        lambda: la.eigh(np.array([np.eye(2), [[0.0, 1.0], [-1.0, 0.0]]])),
        r"of matrix \[1\] differ",
    ),
    "svd of NaN": (
        DomainError,
        lambda: la.svd([[np.nan, 1.0]]),
        "svd: the matrix holds a NaN or an infinity",
    ),
    "svd of infinity": (
        DomainError,
        lambda: la.svdvals([[np.inf, 1.0], [1.0, 1.0]]),
        "holds a NaN or an infinity",
    ),
    "eigh of infinity": (
        DomainError,
        lambda: la.eigvalsh([[np.inf, 1.0], [1.0, 1.0]]),
        "holds a NaN or an infinity",
    ),
    "cholesky of NaN": (DomainError, lambda: la.cholesky([[np.nan]]), "holds a NaN or an infinity"),
    "pinv of infinity": (DomainError, lambda: la.pinv([[np.inf]]), "holds a NaN or an infinity"),
    "rank of NaN": (DomainError, lambda: la.matrix_rank([[np.nan]]), "holds a NaN or an infinity"),
    "qr, mode": (DomainError, lambda: la.qr(np.eye(2), mode="r"), "mode='r' is not a choice"),
    "matrix norm": (DomainError, lambda: la.matrix_norm(np.eye(2), ord=3), "ord=3 names no norm"),
    "vector norm": (
        DomainError,
        lambda: la.vector_norm(np.ones(2), ord="fro"),
        "ord='fro' names no norm",
    ),
    "norm of three": (ShapeError, lambda: la.norm(np.ones((2, 2, 2)), 1), "no norm of 3 axes"),
    "largest of nothing": (
        ShapeError,
        lambda: la.vector_norm(np.ones(0), ord=math.inf),
        "of nothing",
    ),
    "a keyword": (TypeError, lambda: la.cholesky(np.eye(2), lower=True), "lower"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_in_words(name):
    kind, f, said = REFUSED[name]
    with np.errstate(invalid="ignore"), pytest.raises(kind, match=said):
        f()


def test_a_refusal_says_all_five_facts():
    with pytest.raises(SingularError) as caught:
        la.solve(FLAT_MATRIX, np.ones((2, 1)))
    lines = str(caught.value).splitlines()
    assert lines[0] == "solve: the matrix has no inverse, its rank is 1 and not 2"
    assert lines[1] == "    a: float64[2, 2]"
    assert lines[2] == "wanted rows that are linearly independent"
    assert lines[3].startswith("hint: ob.linalg.pinv(a) @ b")
    assert lines[4].startswith("    in test_linalg.py, line ")


def test_rounding_and_steps_of_differences_do_not_make_a_matrix_asymmetric(rng):
    a = definite(rng, 3, 3)
    for f in (la.cholesky, la.eigvalsh, lambda a: la.eigh(a)[0]):
        check_gradients(f, a, order=2)
        check_gradients(f, np.diag([2.0, 3.0, 5.0]))
    x = rng.standard_normal((50, 20)).astype(np.float32)
    la.cholesky(
        (x / 3).T @ (x / 3) * 9
        + (np.eye(20) + rng.uniform(-1e-6, 1e-6, (20, 20))).astype(np.float32)
    )


@pytest.mark.parametrize("other", [1.0, np.nan, np.inf, 0.0])
@pytest.mark.parametrize("size", [1e-200, 1e200, 1e-320])
def test_the_length_of_one_row_does_not_depend_on_the_others(size, other):
    rows = np.array([[3.0, 4.0], [3 * size, 4 * size], [other, 0.0]])
    want = np.array([5.0, np.hypot(*rows[1]), other])
    np.testing.assert_allclose(la.vector_norm(rows, axis=1).numpy(), want, rtol=1e-15, atol=0)
    unit = np.array([[0.6, 0.8], rows[1] / want[1]])
    slope = ob.grad(lambda x: ob.sum(la.vector_norm(x, axis=1)))(rows)
    if size > 1e-300:  # of what is smaller, 1 / ‖x‖ is infinite
        np.testing.assert_allclose(slope[:2], unit, rtol=1e-15)
