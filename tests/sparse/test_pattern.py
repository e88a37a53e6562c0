"""Patterns found from the graph: a superset of every nonzero, for random programs, every primitive
and every kind of loop; and exactly it where the structure is plain.
"""

import os

import numpy as np
import pytest

import overbar as ob
from overbar.calculus import dependence, indexsets, pattern
from overbar.calculus.indexsets import EMPTY, FIRST, FULL, IndexSets
from overbar.calculus.pattern import DenseError, Pattern, sparsity
from overbar.errors import DomainError, DTypeError, GradientError
from overbar.ops.movement import parts
from overbar.primitive import PRIMITIVES
from tests.programs import OVERBAR, program

COUNT = int(os.environ.get("OVERBAR_PROGRAMS", "100"))
EACH = 10


def dense(f, xs):
    """The Jacobian by all floating arguments as one matrix, without colours."""
    blocks = ob.jacrev(f, tuple(range(len(xs))))(*xs)
    ys = [np.asarray(y) for y in ob.tree_flatten(f(*xs))[0]]
    rows = ob.tree_flatten(blocks)[0]
    k = len(xs)
    return np.vstack([
        np.hstack([
            np.asarray(b).reshape(y.size, np.size(x))
            for b, x in zip(rows[i * k : (i + 1) * k], xs, strict=True)
        ])
        for i, y in enumerate(ys)
    ])  # fmt: skip


def assert_covers(found, matrix):
    assert found.shape == matrix.shape
    missed = np.argwhere((matrix != 0) & ~found.toarray())
    assert not missed.size, f"entries {missed[:5].tolist()} are not zero, and not in the pattern"


def exact(f, *xs):
    found = sparsity(f, *xs)
    np.testing.assert_array_equal(found.toarray(), dense(f, xs) != 0)
    return found


# -- sets of indices --------------------------------------------------------------------------


def test_unions_are_those_of_sets_and_are_shared():
    rng = np.random.default_rng(0)
    sets = IndexSets(9)
    known = {EMPTY: frozenset(), FULL: frozenset(range(9))}
    known |= {FIRST + i: frozenset([i]) for i in range(9)}
    for _ in range(30):
        owner = rng.integers(0, 6, 14)
        numbers = rng.choice(list(known), 14)
        made = sets.grouped(owner, numbers, 6)
        for i, number in enumerate(made):
            union = frozenset().union(*(known[n] for n in numbers[owner == i]))
            assert set(sets.listed(made[i : i + 1])[1]) == union
            known[int(number)] = union
    again = sets.grouped([0, 0, 1, 1, 2, 2], [3, 4, 3, 4, 4, 5], 3)
    assert again[0] == again[1] != again[2]


def test_a_union_that_would_be_too_large_is_full(monkeypatch):
    sets = IndexSets(100)
    monkeypatch.setattr(indexsets, "MOST", 5)
    assert sets.grouped(np.zeros(8, int), np.arange(FIRST, FIRST + 8), 1) == FULL


# -- a superset of every nonzero --------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, COUNT, EACH))
def test_the_pattern_of_a_random_program_covers_its_jacobian(first):
    for seed in range(first, first + EACH):
        p = program(seed, 8)
        f = lambda *xs, p=p: [v for v in p.values(OVERBAR, xs)[len(xs) :] if v.size]
        assert_covers(sparsity(f, *p.xs), dense(f, p.xs))


@pytest.mark.parametrize("first", range(0, COUNT // 4, EACH))
def test_the_pattern_of_a_random_gradient_covers_its_hessian(first):
    for seed in range(first, first + EACH):
        p = program(seed, 6)
        f = lambda *xs, p=p: p(OVERBAR, *xs)
        slope = ob.grad(f, tuple(range(len(p.xs))))
        assert_covers(sparsity(f, *p.xs, order=2), dense(slope, p.xs))


SAMPLED = [n for n, op in PRIMITIVES.items() if op.samples is not None and not op.flat]


@pytest.mark.parametrize("name", SAMPLED)
def test_the_pattern_of_every_primitive_covers_its_jacobian(name):
    op = PRIMITIVES[name]
    rng = np.random.default_rng(0)
    for args, params in op.samples(lambda *shape: rng.standard_normal(shape)):
        args = [np.asarray(a) for a in args]
        if any(a.dtype.kind == "c" or not a.size for a in args):
            continue
        spots = [i for i, a in enumerate(args) if a.dtype.kind == "f"]

        def f(*xs, args=args, spots=spots, params=params):
            full = list(args)
            for i, x in zip(spots, xs, strict=True):
                full[i] = x
            ys = op(*full, **params)
            ys = parts(ys) if isinstance(getattr(ys, "spec", ys), tuple) else [ys]
            return [ob.real(y) for y in ys] + [ob.imag(y) for y in ys if y.dtype.kind == "c"]

        xs = [args[i] for i in spots]
        assert_covers(sparsity(f, *xs), dense(f, xs))


# -- exactly equal where the structure is plain -----------------------------------------------

X = np.random.default_rng(1).standard_normal(6)
EXACT = {
    "elementwise": (lambda x: ob.sin(x) * x, X),
    "a stencil": (lambda x: x[2:] - 2 * x[1:-1] + x[:-2], X),
    "a shift around": (lambda x: x * ob.roll(x, 2), X),
    "a transpose of a reshape": (lambda x: ob.reshape(x, (2, 3)).T, X),
    "a gather": (lambda x: x[np.array([4, 0, 0])] ** 2, X),
    "a scatter": (lambda x: ob.scatter_add(ob.zeros(4), np.array([1, 1, 3, 0, 0, 0]), x), X),
    "an assignment": (lambda x: assigned(x), X),  # noqa: PLW0108  (it is below)
    "sums over an axis": (lambda x: ob.sum(ob.reshape(x, (2, 3)), axis=0), X),
    "a running sum": (ob.cumsum, X),
    "a running sum back": (lambda x: ob.flip(ob.cumsum(ob.flip(x))), X),
    "a broadcast": (lambda x: x[:2, None] * x[None, 3:], X),
    "a matrix product by blocks": (lambda x: ob.reshape(x, (2, 3)) @ ob.ones((3, 2)), X),
    "an einsum": (lambda x: ob.einsum("ij,ij->i", ob.reshape(x, (2, 3)), np.ones((2, 3))), X),
    "a triangle": (lambda x: ob.tril(ob.reshape(x[:4], (2, 2))), X),
    "a choice": (lambda x: ob.where(np.arange(6) < 7, x, x[::-1] * 0 + 1.0), X),
    "a convolution": (lambda x: ob.conv(x[None, None], ob.ones((1, 1, 3)), padding=1), X),
    "what is cut off": (lambda x: ob.stop_gradient(x[0]) * x, X),
    "a constant": (lambda x: ob.ones(3), X),
    "nothing": (lambda x: x[:0], X),
    "a solution, by columns": (
        lambda x: ob.linalg.solve(np.eye(2) + 0.5, ob.reshape(x, (2, 3))),
        X,
    ),
}


def assigned(x):
    t = x + 0.0
    t[1:3] = x[4:6] * 2.0
    return t


@pytest.mark.parametrize("case", EXACT)
def test_the_pattern_is_exact_where_the_structure_is_plain(case):
    f, x = EXACT[case]
    if case == "a choice":  # both sides can be chosen
        assert_covers(sparsity(f, x), dense(f, (x,)))
        return
    exact(f, x)


def test_loops_and_branches_carry_their_dependence():
    x = X
    step = lambda c, v: (0.5 * c + v[0], c * v[1])
    loop = lambda x: ob.scan(step, x[0], ob.reshape(x, (3, 2)))
    exact(lambda x: loop(x)[1], x)
    either = lambda x: ob.cond(x[0] > 0, lambda x: x[:2], lambda x: x[1:3] * 2.0, x)
    assert sparsity(either, x).nnz == 4  # of both sides
    halved = lambda x: ob.while_loop(
        lambda c: ob.sum(c * c) > 1.0, lambda c: 0.5 * ob.concat([c[1:], c[-1:]]), x
    )
    assert_covers(sparsity(halved, x), dense(halved, (x,)))
    np.testing.assert_array_equal(sparsity(halved, x).toarray(), np.triu(np.ones((6, 6), bool)))
    exact(ob.checkpoint(lambda x: x[1:] * x[:-1]), x)
    exact(lambda x: ob.map(lambda v: v * v, x), x)


def test_a_loop_of_many_steps_is_taken_for_an_endless_one(monkeypatch):
    f = lambda x: ob.scan(lambda c, v: (ob.roll(c, 1) * v, c[0]), x, x)[0]
    followed = sparsity(f, X)
    monkeypatch.setattr(pattern, "STEPS", 3)
    endless = sparsity(f, X)
    assert not (followed.toarray() & ~endless.toarray()).any()
    assert_covers(followed, dense(f, (X,)))


def test_half_of_a_long_axis_is_taken_for_all_of_it(monkeypatch):
    monkeypatch.setattr(dependence, "LONG", 5)
    assert sparsity(ob.cumsum, X).nnz == 36
    assert sparsity(ob.cumsum, X[:5]).nnz == 15


def test_a_linear_operation_that_is_too_large_to_probe_is_full(monkeypatch):
    f = lambda x: ob.conv(x[None, None], ob.ones((1, 1, 3)))
    assert sparsity(f, X).nnz == 12
    monkeypatch.setattr(dependence, "UNITS", 20)
    assert sparsity(f, X).nnz == 24


def test_indices_that_are_not_known_may_be_anywhere():
    f = lambda x, i: ob.vmap(lambda k: x[k] * 2.0)(i)
    i = np.array([1, 2])
    assert sparsity(f, X, i, argnums=0).nnz == 2
    argmax = lambda x: x[ob.argmax(x)] * x[:2]
    assert_covers(sparsity(argmax, X), dense(argmax, (X,)))
    assert sparsity(argmax, X).nnz == 12


def test_the_pattern_says_whether_it_looked_at_indices():
    assert not sparsity(lambda x: x[1:] * 2, X).assumed
    assert sparsity(lambda x: x[np.array([1, 2])], X).assumed


def test_what_a_rule_of_ones_own_may_use_is_everything():
    @ob.custom_vjp
    def rounded(x):
        return ob.round(x)

    rounded.defvjp(lambda x: (ob.round(x), None), lambda _, bar: (bar[::-1],))
    assert_covers(sparsity(rounded, X), dense(rounded, (X,)))


# -- second order -----------------------------------------------------------------------------


def test_a_linear_function_has_no_second_derivatives():
    assert sparsity(lambda x: ob.sum(3 * x[1:] - x[:-1]), X, order=2).nnz == 0


def test_the_hessian_of_a_chain_of_pairs_is_tridiagonal():
    rosenbrock = lambda x: ob.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    found = sparsity(rosenbrock, X, order=2)
    np.testing.assert_array_equal(found.toarray(), ob.hessian(rosenbrock)(X + 3.0) != 0)
    assert found.nnz == 16


def test_a_pattern_can_be_asked_and_printed():
    found = sparsity(lambda x: x[1:] * x[:-1], X)
    assert (found.shape, found.nnz, found.density) == ((5, 6), 10, 10 / 30)
    assert found.starts.tolist() == [0, 2, 4, 6, 8, 10]
    np.testing.assert_array_equal(found.T.toarray(), found.toarray().T)
    np.testing.assert_array_equal(np.asarray(found), found.toarray())
    assert str(found).splitlines()[1] == "▪▪····"
    assert len(str(sparsity(ob.sin, np.zeros(99))).splitlines()) == 1


def test_a_symmetric_pattern_is_what_both_sides_have():
    found = Pattern((3, 3), np.array([0, 0, 1]), np.array([0, 1, 2])).symmetric()
    assert list(zip(found.rows, found.columns, strict=True)) == [(0, 0)]


def test_what_cannot_be_asked_is_refused(monkeypatch):
    with pytest.raises(DomainError, match="order=3"):
        sparsity(ob.sin, X, order=3)
    with pytest.raises(GradientError, match="no argument is of floating numbers"):
        sparsity(lambda i: i, np.arange(3))
    with pytest.raises(DTypeError):
        sparsity(lambda i: i, np.arange(3), argnums=0)
    monkeypatch.setattr(pattern, "MOST", 10)
    with pytest.raises(DenseError, match="36 of 6 × 6 entries"):
        sparsity(lambda x: x - ob.mean(x), X)
