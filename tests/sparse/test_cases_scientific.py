"""The course notes' rows on modes, structure and sparsity, each as a test named after its id."""

import ast
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import overbar as ob
from overbar import sparse
from overbar.calculus import matrices
from overbar.calculus.chains import cost_of, profile
from overbar.calculus.colouring import column_colours, row_colours
from overbar.sparse import Chain, Dense, Diagonal, Identity, RankOne
from tests.sparse.test_structure import bracketings
from tests.test_cases import OWNERS

RNG = np.random.default_rng(0)


def leaf(value):
    return ob.tensor(value, requires_grad=True)


def test_every_row_has_its_test():
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    found = {
        f"{a.upper()}-{b}" for n in names for a, b in re.findall(r"^test_(s\d)_(\d+)(?:_|$)", n)
    }
    assert found == set(OWNERS["scientific"].split())


@pytest.mark.parametrize(("n", "m"), [(100, 1), (1, 100), (50, 50)])
def test_s0_4_as_many_sweeps_as_the_fewer_of_inputs_and_outputs(n, m, monkeypatch):
    lanes = []
    monkeypatch.setattr(
        matrices, "vmap",
        lambda f: lambda rows: (lanes.append(len(rows[0])), ob.vmap(f)(rows))[1],
    )  # fmt: skip
    W = RNG.standard_normal((m, n))
    f = lambda x: ob.tanh(W @ x)
    x = RNG.standard_normal(n)
    J = ob.jacobian(f)
    by_hand = (1 - np.tanh(W @ x) ** 2)[:, None] * W
    np.testing.assert_allclose(J(x), by_hand, rtol=1e-12, atol=1e-14)
    assert lanes == [min(n, m)]
    assert J.report.startswith("reverse" if m < n else "forward")
    modes = ob.cost(f, x).modes
    assert (modes["forward"].passes, modes["reverse"].passes) == (n, m)
    for mode, count in (("forward", n), ("reverse", m)):
        ob.jacobian(f, mode=mode)(x)
        assert lanes.pop() == count


def test_s0_4_colours_count_where_the_jacobian_is_sparse():
    J = ob.jacobian(lambda x: x[1:] * x[:-1])
    J(np.ones(51))
    assert "so 2 forward sweeps instead of 51" in J.report


def test_s0_6_local_jacobians_keep_their_structure():
    W, x = leaf(RNG.standard_normal((3, 4))), leaf(np.array([1.5, -2.0, 0.5, -0.1]))
    of_w, of_x = ob.local_jacobian(W @ x)  # ∂(Wx)/∂x = W
    assert isinstance(of_x, Dense)
    np.testing.assert_array_equal(of_x.toarray(), W.numpy())
    np.testing.assert_array_equal(of_w.toarray(), np.kron(np.eye(3), x.numpy()))
    (j,) = ob.local_jacobian(ob.relu(x))  # diag(u(x)), n numbers
    assert isinstance(j, Diagonal)
    assert j.numbers == 4
    np.testing.assert_array_equal(j.diagonal, [1.0, 0.0, 1.0, 0.0])
    h = 1e-6
    columns = [
        (np.maximum(x.numpy() + h * e, 0) - np.maximum(x.numpy() - h * e, 0)) / (2 * h)
        for e in np.eye(4)
    ]
    np.testing.assert_allclose(j.toarray(), np.transpose(columns), atol=1e-9)
    (j,) = ob.local_jacobian(ob.sin(x))  # diag(f'(x))
    assert isinstance(j, Diagonal)
    np.testing.assert_allclose(j.diagonal, np.cos(x.numpy()), rtol=1e-15)
    y = RNG.standard_normal(4)
    j = ob.local_jacobian(ob.sum((x - y) ** 2), wrt=x)  # 2(ŷ − y)ᵀ
    assert isinstance(j, RankOne)
    np.testing.assert_allclose(j.toarray(), 2 * (x.numpy() - y)[None], rtol=1e-15)


@pytest.mark.parametrize(("k", "m"), [(3, 5), (7, 2)])
def test_s1_5_a_linear_layer_against_its_weight_takes_one_reverse_colour(k, m):
    x = RNG.standard_normal(m)
    layer = lambda W: W @ x
    found = ob.sparsity(layer, np.zeros((k, m)))
    assert found.shape == (k, k * m)
    assert found.nnz == k * m
    np.testing.assert_array_equal(found.toarray(), np.kron(np.eye(k), np.ones(m)) != 0)
    assert (row_colours(found).count, column_colours(found).count) == (1, m)
    J = sparse.jacobian(layer)
    A = J(RNG.standard_normal((k, m)))
    assert (J.plan.mode, J.plan.sweeps) == ("reverse", 1)
    np.testing.assert_array_equal(A.toarray(), np.kron(np.eye(k), x))


def test_s1_6_the_jacobian_of_relu_is_multiplied_entry_by_entry():
    x = leaf(np.array([1.0, -2.0, 3.0, -1.0]))
    z = ob.relu(x)
    np.testing.assert_array_equal(z.numpy(), [1, 0, 3, 0])
    (j,) = ob.local_jacobian(z)
    assert isinstance(j, Diagonal)
    z_bar = np.array([4.0, -1.0, 5.0, 9.0])
    np.testing.assert_array_equal(z_bar @ j, [4, 0, 5, 0])
    z.backward(z_bar)
    np.testing.assert_array_equal(x.grad.numpy(), [4, 0, 5, 0])


def test_s1_8_a_cascade_is_bracketed_by_cost():
    sizes = (10, 100, 5, 50)
    factors = [Dense(RNG.standard_normal(s)) for s in itertools.pairwise(sizes)]
    chain = Chain(factors)
    profiles = [profile(j) for j in factors]
    every = {order: cost_of(profiles, order) for order in bracketings(0, 2)}
    assert every == {((0, 1), 2): 7500, (0, (1, 2)): 75_000}
    assert (chain.order, chain.cost) == (((0, 1), 2), 7500)
    x = leaf(RNG.standard_normal(50))
    h = [j.matrix for j in factors]
    whole = ob.local_jacobian(h[0] @ (h[1] @ (h[2] @ x)), wrt=x)
    np.testing.assert_allclose(whole.toarray(), h[0] @ h[1] @ h[2], rtol=1e-12)


def test_s3_4_the_jacobians_of_a_two_layer_net():
    """s1 = W1 x + b1, a1 = 3 relu(s1), s2 = W2 a1 + b2, ỹ = s2, C = |ỹ − y|²."""
    s1 = leaf(np.array([0.5, -1.0, 2.0]))
    a1 = 3 * ob.relu(s1)
    j = ob.local_jacobian(a1, wrt=s1)
    assert isinstance(j, Diagonal)
    np.testing.assert_array_equal(j.diagonal, [3, 0, 3])
    s2 = leaf(np.array([0.2, 0.7]))
    y_tilde = ob.reshape(s2, (2,)) + 0.0
    assert isinstance(ob.local_jacobian(y_tilde, wrt=s2), Identity)
    y = np.array([1.0, -1.0])
    C = ob.sum((y_tilde - y) ** 2)
    np.testing.assert_allclose(
        ob.local_jacobian(C, wrt=y_tilde).toarray(), 2 * (y_tilde.numpy() - y)[None], rtol=1e-15
    )


def test_s3_11_the_algebra_of_linear_maps():
    W1, W2 = RNG.standard_normal((4, 4)), RNG.standard_normal((4, 4))
    f, g = lambda x: W1 @ x, lambda x: W2 @ x
    total, twice, after = (
        lambda x: f(x) + g(x), lambda x: f(x) + f(x), lambda x: g(f(x)),
    )  # fmt: skip
    x = leaf(RNG.standard_normal(4))
    for h, wanted in [(f, W1), (total, W1 + W2), (twice, 2 * W1), (after, W2 @ W1)]:
        j = ob.local_jacobian(h(x), wrt=x)
        assert isinstance(j, Dense)
        np.testing.assert_array_equal(j.toarray(), wanted)  # the algebra, and no value of x
        np.testing.assert_allclose(ob.jacobian(h)(x.numpy()), wanted, rtol=1e-13)
    W, v = leaf(W1), RNG.standard_normal(4)  # tied weights: both uses count
    tied = ob.local_jacobian(W @ v + W @ (2 * v), wrt=W)
    np.testing.assert_allclose(tied.toarray(), np.kron(np.eye(4), 3 * v), rtol=1e-14)
    once = ob.local_jacobian(W @ v, wrt=W)
    np.testing.assert_array_equal(ob.local_jacobian(W @ v + W @ v, wrt=W), 2 * once.toarray())
    tied = lambda W: W @ (W @ v)
    wanted = np.kron(np.eye(4), W1 @ v) + np.kron(W1, v)
    np.testing.assert_allclose(ob.jacobian(tied)(W1).reshape(4, 16), wanted, rtol=1e-12)
