"""ob.sparse.jacobian and hessian: the numbers of the full matrices, by few compiled sweeps; the
pattern is kept, and found again when what the function sees has changed. And jacobian(mode="auto").
"""

import numpy as np
import pytest
from scipy import sparse as theirs

import overbar as ob
from overbar import sparse
from overbar.calculus import matrices, pattern
from overbar.calculus.pattern import DenseError
from overbar.errors import CutError, DomainError, GradientError
from tests.programs import OVERBAR, program

RNG = np.random.default_rng(0)
X = RNG.standard_normal(20)


def stencil(x):
    left, right = ob.concat([x[:1], x[:-1]]), ob.concat([x[1:], x[-1:]])
    return ob.exp(left) * x - ob.sin(x) * right + x**3


def rosenbrock(x):
    return ob.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def assert_same(found, wanted):
    scale = max(1.0, np.abs(wanted).max(initial=0.0))
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_a_sparse_jacobian_has_the_numbers_of_the_full_one(mode):
    J = sparse.jacobian(stencil, mode=mode)
    A = J(X)
    assert isinstance(A, theirs.csr_array)
    assert_same(A, ob.jacrev(stencil)(X))
    assert A.has_canonical_format
    assert J.plan.sweeps == 3
    assert_same(J(X + 1.0), ob.jacrev(stencil)(X + 1.0))


HESSIANS = {
    "a chain": rosenbrock,
    "an arrow": lambda x: ob.sum(x**2 * x[0]) + ob.sum(ob.sin(x)),
    "a grid": lambda x: ob.sum(ob.cos(ob.reshape(x, (2, 10))[1:] * ob.reshape(x, (2, 10))[:-1])),
    "a full one": ob.logsumexp,
    "a linear one": lambda x: ob.sum(3 * x),
}


@pytest.mark.parametrize("case", HESSIANS)
def test_a_sparse_hessian_has_the_numbers_of_the_full_one(case):
    f = HESSIANS[case]
    H = sparse.hessian(f)
    assert_same(H(X), ob.hessian(f)(X))
    assert H.plan.sweeps <= X.size


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_have_the_jacobians_of_the_full_way(seed):
    p = program(seed, 6)
    f = lambda *xs: ob.concat([ob.reshape(v, (-1,)) for v in p.values(OVERBAR, xs)[len(xs) :]])
    numbers = tuple(range(len(p.xs)))
    wanted = ob.jacrev(f, numbers)(*p.xs)
    full = np.hstack([np.reshape(b, (len(b), -1)) for b in wanted])
    with np.errstate(all="ignore"):
        found = sparse.jacobian(f, numbers)(*p.xs).toarray()
    scale = max(1.0, np.abs(full).max(initial=0.0))
    np.testing.assert_allclose(found, full, rtol=1e-9, atol=1e-10 * scale)


def test_several_arguments_trees_and_float32_are_columns_one_after_the_other():
    f = lambda p, k, y: {"a": p["u"] * y, "b": p["v"] ** k}
    p = {"u": X[:4], "v": X[4:7]}
    A = sparse.jacobian(f, (0, 2))(p, 3, X[:4])
    assert A.shape == (7, 11)
    wanted = np.zeros((7, 11))
    wanted[range(4), range(4)] = wanted[range(4), range(7, 11)] = X[:4]
    wanted[range(4, 7), range(4, 7)] = 3 * X[4:7] ** 2
    assert_same(A, wanted)
    assert sparse.jacobian(stencil)(X.astype(np.float32)).dtype == np.float32


def test_a_hessian_of_several_arguments_is_one_matrix():
    f = lambda x, y: ob.sum(x[1:] ** 2 * y[:-1]) + ob.sum(ob.exp(y))
    blocks = ob.hessian(f, (0, 1))(X[:5], X[5:10])
    assert_same(sparse.hessian(f, (0, -1))(X[:5], X[5:10]), np.block([list(b) for b in blocks]))


def test_tensors_are_taken_and_a_history_is_not_lost_without_a_word():
    J = sparse.jacobian(stencil)
    assert_same(J(ob.tensor(X)), ob.jacrev(stencil)(X))
    with pytest.raises(CutError, match=r"\.detach\(\)"):
        J(ob.tensor(X, requires_grad=True))


# -- patterns are kept ------------------------------------------------------------------------


def finding(monkeypatch):
    """A list that grows each time a pattern is found."""
    found = []
    whole = sparse.pattern_of
    monkeypatch.setattr(sparse, "pattern_of", lambda *how: (found.append(None), whole(*how))[1])
    return found


def test_a_pattern_is_found_once_for_arguments_of_some_shapes(monkeypatch):
    found = finding(monkeypatch)
    J = sparse.jacobian(stencil)
    for x in (X, X + 1.0, X[:9], X, X[:9]):
        assert_same(J(x), ob.jacrev(stencil)(x))
    assert len(found) == 2
    for n in range(1, 12):
        J(np.ones(n))
    assert len(J._found) == sparse.KEPT


def test_a_pattern_is_found_again_when_what_the_function_sees_has_changed(monkeypatch):
    found = finding(monkeypatch)
    seen = {"k": 1}
    f = lambda x: x[seen["k"] :] * x[: -seen["k"]]
    J = sparse.jacobian(f)
    assert_same(J(X), ob.jacrev(f)(X))
    seen["k"] = 3
    assert_same(J(X), ob.jacrev(f)(X))
    assert_same(J(X), ob.jacrev(f)(X))
    assert len(found) == 2


@pytest.mark.parametrize("n", [20, 600])  # jit takes few indices for constants, many as inputs
def test_indices_that_change_are_noticed(n, monkeypatch):
    found = finding(monkeypatch)
    x, index = RNG.standard_normal(n), np.arange(n)[::-1].copy()
    f = lambda x: x[index] * x
    J = sparse.jacobian(f)
    assert_same(J(x), ob.jacrev(f)(x))
    assert_same(J(x + 1), ob.jacrev(f)(x + 1))
    assert len(found) == 1
    assert "checked" in J.report
    index[:] = np.roll(np.arange(n), 3)
    assert_same(J(x), ob.jacrev(f)(x))
    assert len(found) == 2


def test_indices_that_are_arguments_have_a_pattern_each(monkeypatch):
    found = finding(monkeypatch)
    J = sparse.jacobian(lambda x, i: x[i] * 2.0)
    for i in ([1, 2], [3, 2], [1, 2]):
        assert J(X, np.array(i)).indices.tolist() == i
    assert len(found) == 2


def test_a_function_that_is_not_the_same_twice_is_refused():
    turns = iter(range(100))

    class Turning:
        def __array__(self, dtype=None, copy=None):
            return np.array([next(turns) % 5])

    f = lambda x: x[np.asarray(Turning())] * x[:3]
    with pytest.raises(DomainError, match="entries outside of the pattern"):
        sparse.jacobian(f)(X)


@pytest.mark.parametrize("how", ["native", "interpret", "off"])
def test_the_way_of_running_makes_no_difference(how):
    with ob.config(jit=how):
        J = sparse.jacobian(stencil)
        for x in (X, X + 1.0):
            assert_same(J(x), ob.jacrev(stencil)(x))


# -- what is said -----------------------------------------------------------------------------


def test_the_report_says_pattern_colours_and_what_they_spare():
    H = sparse.hessian(rosenbrock)
    assert H.report == "not called yet"
    with pytest.raises(GradientError, match="called for the first time"):
        _ = H.pattern
    H(np.zeros(1000))
    said = H.report.splitlines()
    assert said[0] == "Hessian 1,000 × 1,000"
    assert "2,998 entries (0.3 %), at most 3 in a row and 3 in a column" in said[1]
    assert "3 Hessian-vector products instead of 1,000" in said[2]
    assert "333 times fewer sweeps" in said[3]
    assert H.pattern.nnz == 2998
    assert set(H.colours) == {0, 1, 2}
    assert "sparse Hessian of rosenbrock" in repr(H)


def test_what_cannot_be_done_is_refused(monkeypatch):
    with pytest.raises(DomainError, match="mode='up'"):
        sparse.jacobian(stencil, mode="up")
    with pytest.raises(GradientError, match="inside a transform"):
        ob.jit(lambda x: sparse.jacobian(stencil)(x).data)(X)
    with pytest.raises(GradientError, match="no scalar"):
        sparse.hessian(stencil)(X)
    with pytest.raises(GradientError, match="of complex numbers there are two"):
        sparse.jacobian(ob.fft.fft)(X[:4])
    with pytest.raises(GradientError, match="1 came"):
        sparse.jacobian(stencil, 1)(X)
    monkeypatch.setattr(pattern, "MOST", 10)
    with pytest.raises(DenseError):
        sparse.jacobian(lambda x: x - ob.mean(x))(X)


def test_without_scipy_the_matrix_is_a_plain_record(monkeypatch):
    monkeypatch.setattr(sparse, "_scipys", lambda: None)
    A = sparse.jacobian(stencil)(X)
    wanted = ob.jacrev(stencil)(X)
    assert isinstance(A, sparse.CSR)
    assert_same(A, wanted)
    np.testing.assert_allclose(A @ X, wanted @ X, rtol=1e-12)
    np.testing.assert_allclose(A @ np.eye(20)[:, :3], wanted[:, :3], rtol=1e-12)
    assert repr(A) == "<CSR 20×20 of float64, 58 entries stored>"


# -- jacobian(mode="auto") --------------------------------------------------------------------


def sweeps(monkeypatch):
    """A list of how many lanes each batch of sweeps had."""
    lanes = []
    for module in (matrices, __import__("overbar.calculus.compressed", fromlist=["vmap"])):
        monkeypatch.setattr(
            module, "vmap",
            lambda f, whole=module.vmap: lambda rows: (
                lanes.append(len(ob.tree_flatten(rows)[0][0])), whole(f)(rows)
            )[1],
        )  # fmt: skip
    return lanes


def test_a_jacobian_takes_colours_where_they_spare_sweeps(monkeypatch):
    lanes = sweeps(monkeypatch)
    J = ob.jacobian(stencil)
    np.testing.assert_allclose(J(X), ob.jacrev(stencil)(X), rtol=1e-13, atol=1e-13)
    assert lanes == [3, 20]
    assert J.report.startswith("compressed: 14 % of the entries can be other than zero, so 3 f")
    full = ob.jacobian(lambda x: x - ob.mean(x))
    full(X)
    assert lanes[2:] == [20]
    assert full.report.startswith("forward: 20 inputs, 20 outputs, so 20 forward sweeps instead")
    asked = ob.jacobian(stencil, mode="reverse")
    asked(X)
    assert (lanes[3:], asked.report) == ([20], "reverse: as asked")


def test_a_compressed_jacobian_has_the_structure_of_the_full_one():
    f = lambda x, y: (x * y, {"a": ob.sin(x), "b": ob.reshape(y, (2, 10))})
    for numbers in (0, 1, (0, 1)):
        found = ob.jacobian(f, numbers, mode="compressed")(X, X + 1.0)
        wanted = ob.jacrev(f, numbers)(X, X + 1.0)
        found, one = ob.tree_flatten(found)
        wanted, other = ob.tree_flatten(wanted)
        assert one == other
        for a, b in zip(found, wanted, strict=True):
            assert type(a) is type(b)
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


def test_a_compressed_jacobian_is_differentiated_traced_and_batched():
    J = ob.jacobian(stencil, mode="compressed")
    plain = ob.jacrev(stencil)
    np.testing.assert_allclose(ob.jacfwd(J)(X), ob.jacfwd(plain)(X), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(np.asarray(ob.jit(J)(X)), plain(X), rtol=1e-12, atol=1e-12)
    lanes = np.stack([X, X + 1])
    np.testing.assert_allclose(ob.vmap(J)(lanes)[1], plain(X + 1), rtol=1e-12, atol=1e-12)
    t = ob.tensor(X, requires_grad=True)
    ob.sum(J(t) ** 2).backward()
    wanted = ob.grad(lambda x: ob.sum(plain(x) ** 2))(X)
    np.testing.assert_allclose(t.grad.numpy(), wanted, rtol=1e-11, atol=1e-11)


def test_a_function_that_branches_on_values_is_swept_without_colours():
    f = lambda x: x * 2.0 if float(ob.stop_gradient(x)[0]) > 0 else x * 3.0
    J = ob.jacobian(f)
    np.testing.assert_array_equal(np.diag(J(np.abs(X))), np.full(20, 2.0))
    assert J.report.startswith("forward")


def test_the_unknown_mode_is_refused():
    with pytest.raises(DomainError, match='"auto", "forward", "reverse" or "compressed"'):
        ob.jacobian(stencil, mode="up")
