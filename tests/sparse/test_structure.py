"""Structured Jacobians: every kind's algebra against NumPy's, the local Jacobian of every primitive
against sweeps, and chains multiplied in the cheapest order.
"""

import itertools

import numpy as np
import pytest

import overbar as ob
from overbar import sparse
from overbar.calculus import local
from overbar.calculus.chains import cost_of, profile
from overbar.calculus.local import jacobian_of
from overbar.errors import GradientError, ShapeError, StructureError
from overbar.ops.movement import parts
from overbar.primitive import PRIMITIVES
from overbar.sparse import (
    Chain,
    Dense,
    Diagonal,
    Identity,
    Kronecker,
    RankOne,
    RowSparse,
    ScaledIdentity,
    Structured,
    Zero,
)

RNG = np.random.default_rng(0)


def r(*shape):
    return RNG.standard_normal(shape)


def entries(m, n, count):
    return RowSparse((m, n), RNG.integers(0, m, count), RNG.integers(0, n, count), r(count))


SQUARE = {
    "zero": Zero(6, 6),
    "identity": Identity(6),
    "scaled identity": ScaledIdentity(6, -1.5),
    "diagonal": Diagonal(r(6)),
    "rank one": RankOne(r(6), r(6)),
    "Kronecker": Kronecker(Dense(r(2, 2)), Dense(r(3, 3))),
    "Kronecker with an identity": Kronecker(Identity(2), Dense(r(3, 3))),
    "row-sparse": entries(6, 6, 9),
    "dense": Dense(r(6, 6)),
}
OTHERS = [Zero(4, 6), RankOne(r(4), r(6)), entries(4, 6, 7), Dense(r(4, 6)),
          Kronecker(Dense(r(2, 3)), RankOne(r(2), r(2)))]  # fmt: skip


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("j", [*SQUARE.values(), *OTHERS], ids=lambda j: j.kind)
def test_a_kind_is_its_matrix(j):
    a = j.toarray()
    assert a.shape == j.shape
    close(j.T, a.T)
    x, y = r(j.shape[1]), r(j.shape[0], 3)
    close(j @ x, a @ x)
    close(j @ r_like(x), a @ r_like(x))
    close(y.T @ j, y.T @ a)
    close(y[:, 0] @ j, y[:, 0] @ a)
    close(j.scaled(2.5), 2.5 * a)
    rows, columns, data = j.entries()
    whole = np.zeros(j.shape)
    np.add.at(whole, (rows, columns), data)
    close(whole, a)
    close(np.asarray(j), a)
    assert repr(j).startswith(f"<{j.kind} {j.shape[0]}×{j.shape[1]}")
    with pytest.raises(ShapeError, match="inner sizes differ"):
        j @ r(j.shape[1] + 1)


def r_like(x):
    return np.stack([x, x + 1], axis=1)


@pytest.mark.parametrize(("a", "b"), list(itertools.product(SQUARE, SQUARE)))
def test_products_and_sums_are_those_of_the_matrices(a, b):
    a, b = SQUARE[a], SQUARE[b]
    close(a @ b, a.toarray() @ b.toarray())
    close(a + b, a.toarray() + b.toarray())
    assert isinstance(a @ b, Structured)
    assert isinstance(a + b, Structured)


@pytest.mark.parametrize(("a", "b"), list(itertools.product(OTHERS, OTHERS)), ids=lambda j: j.kind)
def test_products_and_sums_of_what_is_not_square(a, b):
    close(a @ b.T, a.toarray() @ b.toarray().T)
    close(a + b, a.toarray() + b.toarray())


KEPT = [
    ("diagonal", "diagonal", Diagonal), ("scaled identity", "scaled identity", ScaledIdentity),
    ("identity", "diagonal", Diagonal), ("rank one", "dense", RankOne),
    ("diagonal", "rank one", RankOne), ("row-sparse", "diagonal", RowSparse),
    ("row-sparse", "row-sparse", RowSparse), ("Kronecker", "Kronecker", Kronecker),
    ("scaled identity", "Kronecker", Kronecker), ("zero", "dense", Zero),
    ("Kronecker with an identity", "diagonal", RowSparse), ("diagonal", "dense", Dense),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "kind"), KEPT)
def test_products_keep_the_structure_that_both_have(a, b, kind):
    assert type(SQUARE[a] @ SQUARE[b]) is kind
    assert type((SQUARE[b].T @ SQUARE[a].T).T) is kind


def test_sums_keep_the_structure_that_both_have():
    assert type(Identity(6) + Identity(6)) is ScaledIdentity
    assert (Identity(6) + Identity(6)).by == 2
    assert type(Identity(6) + SQUARE["diagonal"]) is Diagonal
    assert type(SQUARE["row-sparse"] + SQUARE["diagonal"]) is RowSparse
    assert (Zero(6, 6) + SQUARE["rank one"]) is SQUARE["rank one"]
    with pytest.raises(ShapeError, match="differ in shape"):
        Identity(3) + Identity(4)


# -- of operations ----------------------------------------------------------------------------

SAMPLED = [n for n, op in PRIMITIVES.items() if op.samples is not None and n != "gamma_draw"]


@pytest.mark.parametrize("name", SAMPLED)
def test_the_local_jacobian_of_every_primitive_is_that_of_sweeps(name):
    op = PRIMITIVES[name]
    rng = np.random.default_rng(0)
    for args, params in op.samples(lambda *shape: rng.standard_normal(shape))[:2]:
        args = [np.asarray(a) for a in args]
        if any(a.dtype.kind == "c" or not a.size for a in args):
            continue
        tensors = [ob.tensor(a, requires_grad=a.dtype.kind == "f") for a in args]
        with ob.record():
            out = op(*tensors, **params)
        results = parts(out) if isinstance(out.spec, tuple) else [out]
        for k, y in enumerate(results):
            if y.dtype.kind != "f":
                continue
            for i, x in enumerate(args):
                if x.dtype.kind != "f":
                    continue
                several = k if isinstance(out.spec, tuple) else None

                def f(x, i=i, several=several, args=args, params=params):
                    y = op(*args[:i], x, *args[i + 1 :], **params)
                    return y if several is None else parts(y)[several]

                found = jacobian_of(out.node, i, several).toarray()
                wanted = np.reshape(np.asarray(ob.jacrev(f)(x)), (y.size, x.size))
                scale = max(1.0, np.abs(wanted).max(initial=0.0))
                np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11 * scale)


x = ob.tensor([1.0, -2.0, 3.0, 0.5], requires_grad=True)
W = ob.tensor(r(3, 4), requires_grad=True)
X = ob.tensor(r(4, 2), requires_grad=True)
OPERATIONS = {
    "an activation": (lambda: ob.tanh(x), [Diagonal]),
    "a number times": (lambda: 2.0 * x, [ScaledIdentity]),
    "a number more": (lambda: x + 1.0, [Identity]),
    "the negative": (lambda: -x, [ScaledIdentity]),
    "a sum of two": (lambda: x + x, [Identity, Identity]),
    "a product of two": (lambda: x * x, [Diagonal, Diagonal]),
    "another shape": (lambda: ob.reshape(x, (2, 2)), [Identity]),
    "a total": (lambda: ob.sum(x), [RankOne]),
    "the greatest": (lambda: ob.max(x), [RankOne]),
    "a slice": (lambda: x[1:], [RowSparse]),
    "a transpose": (lambda: ob.permute_dims(W, (1, 0)), [RowSparse]),
    "sums of rows": (lambda: ob.sum(W, axis=1), [RowSparse]),
    "a number for all": (lambda: x * ob.sum(x), [Diagonal, RankOne]),
    "a matrix times a vector": (lambda: W @ x, [Kronecker, Dense]),
    "a matrix times a matrix": (lambda: W @ X, [Kronecker, Kronecker]),
    "a softmax": (lambda: ob.softmax(x), [Dense]),
    "what is flat": (lambda: ob.sign(x), [Zero]),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_an_operation_has_the_jacobians_its_kind_says(case):
    make, kinds = OPERATIONS[case]
    with ob.record():
        y = make()
    assert [type(j) for j in ob.local_jacobian(y)] == kinds


def test_nothing_full_is_made_of_what_is_not(monkeypatch):
    big = ob.tensor(np.ones(200_000), requires_grad=True)
    y = ob.tanh(2.0 * big)[1:] * big[:-1]
    j = ob.local_jacobian(y, wrt=big)
    assert isinstance(j, RowSparse)
    assert j.numbers <= 400_000
    monkeypatch.setattr(local, "Dense", None)
    assert ob.local_jacobian(ob.sum(y), wrt=big).numbers == 200_001


def test_of_an_earlier_tensor_all_paths_count():
    u = ob.tanh(x)
    y = W @ (u * u + x)
    wanted = ob.jacrev(lambda x: W.detach() @ (ob.tanh(x) ** 2 + x))(x.detach())
    close(ob.local_jacobian(y, wrt=x), wanted.numpy())
    s = ob.linalg.slogdet(ob.reshape(x, (2, 2)))[1]
    wanted = ob.grad(lambda x: ob.linalg.slogdet(ob.reshape(x, (2, 2)))[1])(x.detach())
    close(ob.local_jacobian(s, wrt=x).toarray()[0], wanted.numpy())
    assert type(ob.local_jacobian(x, wrt=x)) is Identity


def test_what_was_not_computed_is_refused():
    with pytest.raises(GradientError, match="was not computed"):
        ob.local_jacobian(x)
    with pytest.raises(GradientError, match="was not computed from wrt"):
        ob.local_jacobian(ob.tanh(x), wrt=W)
    with pytest.raises(GradientError, match="several paths"):
        sparse.jacobian_chain(x * x, x)


# -- chains -----------------------------------------------------------------------------------


def bracketings(i, j):
    """Every way to multiply factors i to j."""
    if i == j:
        yield i
    for k in range(i, j):
        for left in bracketings(i, k):
            for right in bracketings(k + 1, j):
                yield left, right


def drawn(seed):
    """A chain of Jacobians of all kinds that fit."""
    rng = np.random.default_rng(seed)
    n, factors = int(rng.integers(1, 7)) * 2, []
    for _ in range(int(rng.integers(2, 7))):
        m = int(rng.integers(1, 7)) * 2
        kinds = [
            lambda m=m, n=n: Dense(rng.standard_normal((m, n))),
            lambda m=m, n=n: RankOne(rng.standard_normal(m), rng.standard_normal(n)),
            lambda m=m, n=n: Kronecker(Identity(2), Dense(rng.standard_normal((m // 2, n // 2)))),
            lambda m=m, n=n: RowSparse(
                (m, n), rng.integers(0, m, 5), rng.integers(0, n, 5), rng.standard_normal(5)
            ),
            lambda n=n: Diagonal(rng.standard_normal(n)),
            lambda n=n: ScaledIdentity(n, 3.0),
            lambda n=n: Identity(n),
        ]
        factors.insert(0, kinds[int(rng.integers(0, len(kinds)))]())
        n = factors[0].shape[0]
    return factors


@pytest.mark.parametrize("seed", range(40))
def test_the_cheapest_order_is_that_of_brute_force(seed):
    factors = drawn(seed)
    chain = Chain(factors)
    profiles = list(map(profile, factors))
    every = [cost_of(profiles, order) for order in bracketings(0, len(factors) - 1)]
    assert chain.cost == cost_of(profiles, chain.order) == min(every)
    assert {chain.forward, chain.reverse} <= set(every)
    wanted = factors[0].toarray()
    for j in factors[1:]:
        wanted = wanted @ j.toarray()
    np.testing.assert_allclose(chain.product().toarray(), wanted, rtol=1e-10, atol=1e-10)


def test_a_chain_of_a_network_is_written_with_its_costs():
    loss = ob.sum(ob.tanh(W @ X) ** 2)
    chain = sparse.jacobian_chain(loss, X)
    assert [type(j) for j in chain.factors] == [RankOne, Diagonal, Diagonal, Kronecker]
    assert chain.cost <= min(chain.forward, chain.reverse)
    assert str(chain).endswith(
        f"multiplications (forward mode {chain.forward:,}, reverse mode {chain.reverse:,})"
    )
    slope = ob.grad(lambda X: ob.sum(ob.tanh(W.detach() @ X) ** 2))(X.detach())
    close(chain.product().toarray()[0], slope.numpy().ravel())


def test_a_chain_must_fit():
    with pytest.raises(StructureError, match="no Jacobians"):
        Chain([])
    with pytest.raises(StructureError, match="the inner sizes differ"):
        Chain([Identity(3), Identity(4)])
