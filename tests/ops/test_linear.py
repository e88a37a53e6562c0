"""Products, triangles and diagonals: values against NumPy, derivatives against differences."""

import itertools

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DTypeError, ShapeError
from overbar.testing import check_gradients

PRODUCTS = {
    "matmul": (ob.matmul, np.matmul, [(3, 4), (4, 2)]),
    "matmul, rows and columns": (ob.matmul, np.matmul, [(4,), (4,)]),
    "matmul, a row": (ob.matmul, np.matmul, [(4,), (2, 4, 3)]),
    "matmul, a column": (ob.matmul, np.matmul, [(2, 3, 4), (4,)]),
    "matmul, leading axes": (ob.matmul, np.matmul, [(2, 1, 3, 4), (5, 4, 2)]),
    "matmul, of many": (ob.matmul, np.matmul, [(2, 3, 4), (4, 2)]),
    "matmul, of nothing": (ob.matmul, np.matmul, [(3, 0), (0, 2)]),
    "outer": (ob.outer, np.outer, [(3,), (4,)]),
    "inner": (ob.inner, np.inner, [(2, 3), (4, 3)]),
    "inner, vectors": (ob.inner, np.inner, [(3,), (3,)]),
    "inner, numbers": (ob.inner, np.inner, [(), (3,)]),
    "dot": (ob.dot, np.dot, [(2, 3), (4, 3, 5)]),
    "dot, vectors": (ob.dot, np.dot, [(3,), (3,)]),
    "dot, numbers": (ob.dot, np.dot, [(3,), ()]),
    "kron": (ob.kron, np.kron, [(2, 3), (3, 2)]),
    "kron, axes": (ob.kron, np.kron, [(2,), (3, 2, 2)]),
    "vecdot": (ob.vecdot, np.vecdot, [(2, 1, 3), (4, 3)]),
    "vecdot, axis": (
        lambda a, b: ob.vecdot(a, b, axis=-2),
        lambda a, b: np.vecdot(a, b, axis=-2),
        [(2, 3, 1), (3, 4)],
    ),
    "tensordot": (ob.tensordot, np.tensordot, [(2, 3, 4), (3, 4, 5)]),
    "tensordot, none": (
        lambda a, b: ob.tensordot(a, b, axes=0),
        lambda a, b: np.tensordot(a, b, axes=0),
        [(2,), (3, 2)],
    ),
    "tensordot, pairs": (
        lambda a, b: ob.tensordot(a, b, axes=((0, -1), (2, 0))),
        lambda a, b: np.tensordot(a, b, axes=((0, -1), (2, 0))),
        [(2, 3, 4), (4, 5, 2)],
    ),
    "cross": (ob.linalg.cross, np.cross, [(2, 3), (2, 3)]),
    "cross, axis": (
        lambda a, b: ob.linalg.cross(a, b, axis=0),
        lambda a, b: np.linalg.cross(a, b, axis=0),
        [(3, 4), (3, 1)],
    ),
    "multi_dot": (
        lambda *xs: ob.linalg.multi_dot(xs),
        lambda *xs: np.linalg.multi_dot(xs),
        [(4,), (4, 10), (10, 2), (2, 5), (5,)],
    ),
    "tril": (lambda x: ob.tril(x, k=-1), lambda x: np.tril(x, -1), [(2, 3, 4)]),
    "triu": (lambda x: ob.triu(x, k=1), lambda x: np.triu(x, 1), [(4, 3)]),
    "diagonal": (
        lambda x: ob.diagonal(x, offset=1),
        lambda x: np.linalg.diagonal(x, offset=1),
        [(2, 3, 4)],
    ),
    "diagonal, axes": (
        lambda x: ob.diagonal(x, axis1=2, axis2=0),
        lambda x: np.diagonal(x, 0, 2, 0),
        [(3, 2, 4)],
    ),
    "trace": (
        lambda x: ob.linalg.trace(x, offset=-1),
        lambda x: np.linalg.trace(x, offset=-1),
        [(2, 3, 4)],
    ),
    "diag, of a vector": (lambda x: ob.diag(x, offset=-2), lambda x: np.diag(x, -2), [(3,)]),
    "diag, of a matrix": (ob.diag, np.diag, [(3, 2)]),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_values_are_those_of_numpy(name, rng):
    ours, theirs, shapes = PRODUCTS[name]
    xs = [rng.standard_normal(shape) for shape in shapes]
    y, wanted = ours(*xs), theirs(*xs)
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", PRODUCTS)
def test_derivatives_are_right_to_second_order(name, rng):
    ours, _, shapes = PRODUCTS[name]
    check_gradients(ours, *(rng.standard_normal(shape) for shape in shapes), order=2)


@pytest.mark.parametrize(
    "name", ["matmul", "outer", "inner", "dot", "kron", "tensordot", "cross", "multi_dot"]
)
def test_complex_numbers(name, rng):
    ours, theirs, shapes = PRODUCTS[name]
    xs = [rng.standard_normal(s) + 1j * rng.standard_normal(s) for s in shapes]
    np.testing.assert_allclose(ours(*xs).numpy(), theirs(*xs), rtol=1e-12, atol=1e-13)


def test_vecdot_conjugates_its_first_vector(rng):
    a, b = (rng.standard_normal(3) + 1j * rng.standard_normal(3) for _ in range(2))
    np.testing.assert_allclose(ob.vecdot(a, b).numpy(), np.vecdot(a, b), rtol=1e-13)
    check_gradients(lambda a: ob.real(ob.vecdot(a, b)), a)


def test_float32_stays_float32():
    a = np.ones((2, 3), np.float32)
    for y in (
        a @ ob.asarray(a.T),
        ob.tensordot(a, a.T, axes=1),
        ob.kron(a, a),
        ob.outer(a[0], a[1]),
        ob.tril(a),
    ):
        assert y.dtype == np.float32


def test_integers_are_multiplied_as_integers():
    a = np.arange(6).reshape(2, 3)
    for y, wanted in (
        (ob.inner(a, a), np.inner(a, a)),
        (ob.kron(a, a), np.kron(a, a)),
        (ob.dot(a, a.T), a @ a.T),
    ):
        assert y.dtype == np.int64
        assert y.tolist() == wanted.tolist()


def test_booleans_are_multiplied_as_booleans():
    a = np.array([[True, True], [False, False]])
    assert ob.matmul(a, a).tolist() == (a @ a).tolist()
    assert ob.matmul(a, a).dtype == np.bool_


def test_a_nan_outside_a_triangle_or_a_diagonal_never_leaks():
    x = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert ob.tril(x).tolist() == [[1.0, 0.0], [2.0, 3.0]]
    with np.errstate(invalid="ignore"):
        found = ob.grad(lambda x: ob.tril(ob.sqrt(x)).sum())(np.array([[1.0, -1.0], [4.0, 1.0]]))
        assert found.tolist() == [[0.5, 0.0], [0.25, 0.5]]
        found = ob.grad(lambda x: ob.linalg.trace(ob.sqrt(x)))(np.array([[1.0, -1.0], [-4.0, 1.0]]))
        assert found.tolist() == [[0.5, 0.0], [0.0, 0.5]]


def least(sizes):
    """The least cost of a chain of products, by trying every way to split it."""
    inner = range(1, len(sizes) - 1)
    ways = (
        least(sizes[: k + 1]) + least(sizes[k:]) + sizes[0] * sizes[k] * sizes[-1] for k in inner
    )
    return min(ways, default=0)


def test_the_chain_is_bracketed_as_the_best_of_all_bracketings(rng):
    for _ in range(20):
        sizes = [int(n) for n in rng.integers(1, 30, size=rng.integers(3, 7))]

        spent = []
        xs = [
            ob.tensor(rng.standard_normal(s), requires_grad=True) for s in itertools.pairwise(sizes)
        ]
        y = ob.linalg.multi_dot(xs)
        todo = [y.node]
        while todo:
            node = todo.pop()
            if node.inputs and node.op.name == "matmul":
                (n, k), (_, m) = (x.spec.shape for x in node.inputs)
                spent.append(n * k * m)
            todo += node.inputs
        assert sum(spent) == least(sizes)


REFUSED = {
    "matmul": (lambda: ob.ones((4, 3)) @ ob.ones((5, 3)), "the inner sizes differ, 3 against 5"),
    "a number": (lambda: ob.ones(3) @ 2.0, "a number is no matrix"),
    "outer": (lambda: ob.outer(np.eye(2), np.ones(2)), "both sides are vectors"),
    "vecdot": (lambda: ob.vecdot(np.ones(2), np.ones(3)), "differ in length, 2 against 3"),
    "vecdot, axis": (
        lambda: ob.vecdot(np.ones(2), np.ones((3, 2)), axis=0),
        "axis 0 is not one axis of both",
    ),
    "tensordot": (lambda: ob.tensordot(np.ones((2, 3)), np.ones((2, 3))[:, :2]), "do not pair"),
    "tensordot, too many": (
        lambda: ob.tensordot(np.ones(2), np.ones(2)),
        "2 axes cannot be paired",
    ),
    "tensordot, twice": (
        lambda: ob.tensordot(np.eye(2), np.eye(2), axes=((0, 0), (0, 1))),
        "each axis once",
    ),
    "cross": (lambda: ob.linalg.cross(np.ones(2), np.ones(2)), "three entries"),
    "multi_dot": (lambda: ob.linalg.multi_dot([np.eye(2), np.ones((2, 2, 2))]), "matrices"),
    "multi_dot, sizes": (
        lambda: ob.linalg.multi_dot([np.eye(2), np.eye(3), np.eye(2)]),
        "inner sizes differ",
    ),
    "tril": (lambda: ob.tril(np.ones(3)), "a matrix has two axes"),
    "diag": (lambda: ob.diag(np.ones((2, 2, 2))), "a vector or a matrix"),
    "diagonal": (lambda: ob.diagonal(np.eye(2), axis1=0, axis2=-2), "named twice"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_words(name):
    f, said = REFUSED[name]
    with pytest.raises(ShapeError, match=said):
        f()


def test_a_batched_product_equals_a_loop(rng):
    a, b = rng.standard_normal((5, 3, 4)), rng.standard_normal((5, 4))
    for f in (
        lambda a, b: a @ b,
        lambda a, b: ob.outer(b, a[0]),
        ob.kron,
        ob.inner,
    ):
        for axes in ((0, 0), (0, None), (None, 0)):
            got = ob.vmap(f, in_axes=axes)(
                *(x if m == 0 else x[0] for x, m in zip((a, b), axes, strict=True))
            )
            wanted = [
                f(
                    *(ob.asarray(x[i if m == 0 else 0]) for x, m in zip((a, b), axes, strict=True))
                ).numpy()
                for i in range(5)
            ]
            np.testing.assert_allclose(got, wanted, rtol=1e-13)


def test_text_is_no_matrix():
    with pytest.raises(DTypeError):
        ob.tril([["a"]])
