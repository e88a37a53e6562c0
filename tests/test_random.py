"""Random numbers: their distributions, and that they are pure functions of a state."""

import threading

import numpy as np
import pytest
import scipy.stats

import overbar as ob
from overbar.errors import DomainError, DTypeError, RuleMissingError, ShapeError

N = 40_000


def rng(seed=1):
    return ob.random.default_rng(seed)


def same_bits(a, b):
    a, b = (t.detach().numpy() if isinstance(t, ob.Tensor) else np.asarray(t) for t in (a, b))
    assert (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


DRAWS = {
    "uniform": lambda g: g.uniform((50, 3), -1.0, 2.0),
    "uniform float32": lambda g: g.uniform((7,), dtype=np.float32),
    "normal": lambda g: g.normal((50, 3), 1.0, 2.0),
    "normal float32": lambda g: g.normal((7,), dtype=np.float32),
    "integers": lambda g: g.integers(-3, 11, (50,)),
    "permutation": lambda g: g.permutation(17),
    "permutation of rows": lambda g: g.permutation(np.arange(12.0).reshape(6, 2)),
    "bernoulli": lambda g: g.bernoulli(0.3, (50,)),
    "exponential": lambda g: g.exponential((50,), 2.0),
    "gamma": lambda g: g.gamma(np.array([0.5, 1.0, 7.0])),
    "categorical": lambda g: g.categorical(np.log([0.1, 0.2, 0.7]), shape=(50,)),
}
draws = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


# -- distributions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "law"),
    [
        (lambda g: g.uniform((N,), -1.0, 3.0), scipy.stats.uniform(-1, 4)),
        (lambda g: g.normal((N,), 1.0, 2.0), scipy.stats.norm(1, 2)),
        (lambda g: g.exponential((N,), 3.0), scipy.stats.expon(scale=3)),
        (lambda g: g.gamma(0.4, (N,)), scipy.stats.gamma(0.4)),
        (lambda g: g.gamma(5.5, (N,), 2.0), scipy.stats.gamma(5.5, scale=2)),
        (lambda g: g.normal((N,), dtype=np.float32), scipy.stats.norm()),
    ],
    ids=["uniform", "normal", "exponential", "gamma below 1", "gamma", "normal float32"],
)
@pytest.mark.parametrize("seed", [0, 1, 2**63 + 5])
def test_continuous_draws_follow_their_law(draw, law, seed):
    x = draw(rng(seed)).numpy().astype(np.float64)
    assert scipy.stats.kstest(x, law.cdf).pvalue > 1e-4
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 4.5 / np.sqrt(N)


@pytest.mark.parametrize(
    ("draw", "shares"),
    [
        (lambda g: g.integers(0, 7, (N,)), np.full(7, 1 / 7)),
        (lambda g: g.bernoulli(0.3, (N,)).astype(int), [0.7, 0.3]),
        (lambda g: g.categorical(np.log([0.1, 0.2, 0.7]), shape=(N,)), [0.1, 0.2, 0.7]),
    ],
    ids=["integers", "bernoulli", "categorical"],
)
def test_discrete_draws_have_their_shares(draw, shares):
    counts = np.bincount(draw(rng()).numpy(), minlength=len(shares))
    assert len(counts) == len(shares)
    assert scipy.stats.chisquare(counts, np.asarray(shares) * N).pvalue > 1e-4


def test_permutations_are_permutations_and_all_equally_likely():
    g = rng()
    seen = [tuple(g.permutation(4).tolist()) for _ in range(2400)]
    assert all(sorted(p) == [0, 1, 2, 3] for p in seen)
    counts = np.unique([hash(p) for p in seen], return_counts=True)[1]
    assert len(counts) == 24
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    rows = g.permutation(np.arange(12.0).reshape(6, 2)).numpy()
    assert sorted(rows[:, 0]) == [0, 2, 4, 6, 8, 10]
    assert (rows[:, 1] == rows[:, 0] + 1).all()


def test_uniform_numbers_stay_inside_and_wide_integers_reach_far():
    for dtype in (np.float32, np.float64):
        x = rng().uniform((N,), dtype=dtype).numpy()
        assert x.dtype == dtype
        assert x.min() >= 0
        assert x.max() < 1
    big = rng().integers(0, 2**62, (1000,)).numpy()
    assert big.min() >= 0
    assert big.max() > 2**61


# -- pure functions of a state -----------------------------------------------------------------


@draws
class TestEveryDraw:
    def test_is_repeated_by_the_same_seed_and_not_by_another(self, draw):
        same_bits(draw(rng(5)), draw(rng(5)))
        assert draw(rng(5)).numpy().tobytes() != draw(rng(6)).numpy().tobytes()
        g = rng(5)
        first, second = draw(g), draw(g)
        same_bits(first, draw(rng(5)))
        assert first.numpy().tobytes() != second.numpy().tobytes()

    def test_has_the_same_bits_traced(self, draw):
        eager, traced = rng(3), rng(3)
        step = ob.jit(lambda: draw(traced))
        with ob.config(jit="interpret"):
            same_bits(step(), draw(eager))
        for _ in range(3):
            found, wanted = step().numpy(), draw(eager).numpy()
            assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
            tolerance = 1e-14 if found.dtype == np.float64 else 4e-6
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
        same_bits(traced.state, eager.state)

    def test_is_repeated_from_a_saved_state(self, draw):
        g = rng(4)
        draw(g)
        saved = {k: v.numpy().copy() for k, v in g.state_dict().items()}
        wanted = [draw(g).numpy() for _ in range(2)]
        other = rng(99)
        other.load_state_dict(saved)
        for w in wanted:
            same_bits(draw(other), w)

    def test_differs_from_lane_to_lane_and_is_repeated(self, draw):
        lanes = lambda g: ob.vmap(lambda x: draw(g) + 0 * x.astype(int))(np.zeros(5))
        one, two = lanes(rng(2)), lanes(rng(2))
        same_bits(one, two)
        assert len({lane.tobytes() for lane in np.asarray(_plain(one))}) == 5

    def test_is_the_same_in_a_scan_as_in_a_loop(self, draw):
        inside, outside = rng(8), rng(8)
        _, ys = ob.scan(lambda c, _: (c, draw(inside)), 0.0, length=3)
        same_bits(ys, np.stack([draw(outside).numpy() for _ in range(3)]))


def _plain(t):
    return t.detach().numpy() if isinstance(t, ob.Tensor) else t


def test_lanes_within_lanes_and_draws_after_each_other_all_differ():
    g = rng()
    x = ob.vmap(ob.vmap(lambda x: ob.stack([g.uniform(()), g.uniform(())]) + x))(np.zeros((3, 4)))
    assert len(set(np.ravel(_plain(x)))) == 24


def test_lanes_are_uniform_together():
    g = rng()
    x = _plain(ob.vmap(lambda x: g.uniform((10,)) + x)(np.zeros(2000)))
    assert scipy.stats.kstest(x.ravel(), "uniform").pvalue > 1e-4
    assert scipy.stats.kstest(x.mean(1) * np.sqrt(120) - np.sqrt(30), "norm").pvalue > 1e-4


def test_split_generators_have_nothing_to_do_with_each_other_nor_with_their_parent():
    parent = rng()
    children = parent.split(3)
    xs = [g.uniform((2000,)).numpy() for g in (*children, parent, *children[0].split(2))]
    for i, x in enumerate(xs):
        assert scipy.stats.kstest(x, "uniform").pvalue > 1e-4
        for y in xs[:i]:
            assert abs(np.corrcoef(x, y)[0, 1]) < 0.1
            assert not set(x) & set(y)
    again = rng().split(3)
    same_bits(again[1].normal((3,)), rng().split(3)[1].normal((3,)))


def test_neighbouring_seeds_are_unrelated():
    x = np.stack([rng(seed).uniform((200,)).numpy() for seed in range(50)])
    assert scipy.stats.kstest(x[:, 0], "uniform").pvalue > 1e-4
    assert np.abs(np.corrcoef(x) - np.eye(50)).max() < 0.35


def test_the_default_generator_is_seeded_and_used():
    ob.random.seed(3)
    a = [
        ob.random.normal((2,)),
        ob.random.uniform(()),
        ob.random.integers(9),
        ob.random.permutation(5),
        ob.random.bernoulli(0.5, (4,)),
        ob.random.exponential(()),
        ob.random.gamma(2.0),
        ob.random.categorical(np.zeros(5)),
    ]
    ob.random.seed(3)
    b = [
        ob.random.normal((2,)),
        ob.random.uniform(()),
        ob.random.integers(9),
        ob.random.permutation(5),
        ob.random.bernoulli(0.5, (4,)),
        ob.random.exponential(()),
        ob.random.gamma(2.0),
        ob.random.categorical(np.zeros(5)),
    ]
    for x, y in zip(a, b, strict=True):
        same_bits(x, y)
    state = np.random.get_state()[1].tobytes()  # noqa: NPY002
    ob.random.normal((100,))
    assert np.random.get_state()[1].tobytes() == state  # noqa: NPY002


def test_threads_that_share_a_generator_never_draw_the_same_numbers():
    g, found = rng(), []

    def work():
        found.extend(float(g.uniform(())) for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(found)) == 800
    assert set(found) == {float(v) for v in _first(800)}


def _first(n):
    g = rng()
    return [g.uniform(()) for _ in range(n)]


# -- derivatives -------------------------------------------------------------------------------


def test_draws_are_differentiable_in_their_location_and_scale():
    f = lambda m, s: ob.sum(rng().normal((5,), m, s))
    z = rng().normal((5,)).numpy()
    m_bar, s_bar = ob.grad(f, argnums=(0, 1))(1.0, 2.0)
    assert float(m_bar) == 5.0
    assert float(s_bar) == pytest.approx(z.sum(), rel=1e-14)
    u = rng().uniform((5,)).numpy()
    low, high = ob.grad(lambda a, b: ob.sum(rng().uniform((5,), a, b)), argnums=(0, 1))(1.0, 2.0)
    assert float(low) == pytest.approx((1 - u).sum())
    assert float(high) == pytest.approx(u.sum())
    ob.testing.check_gradients(
        lambda s: rng().exponential((4,), s) * rng(2).gamma(2.0, (4,), s), 1.5
    )


def test_a_draw_itself_has_no_history():
    x = rng().normal((3,))
    assert x.is_leaf
    assert not x.requires_grad
    with pytest.raises(RuleMissingError, match="stop_gradient"):
        rng().gamma(ob.tensor(2.0, requires_grad=True))


# -- refusals and edges ------------------------------------------------------------------------


def test_shapes_at_the_edge():
    assert rng().normal(()).shape == ()
    assert rng().normal((0, 3)).shape == (0, 3)
    assert rng().uniform(4).shape == (4,)
    assert rng().permutation(0).shape == (0,)
    assert rng().permutation(1).tolist() == [0]
    assert rng().bernoulli(np.array([0.0, 1.0])).tolist() == [False, True]
    assert rng().integers(5, 6, (3,)).tolist() == [5, 5, 5]
    assert rng().categorical(np.array([[0.0, -np.inf], [-np.inf, 0.0]])).tolist() == [0, 1]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ShapeError):
        rng().normal((-1,))
    with pytest.raises(DomainError):
        rng().integers(3, 3)
    with pytest.raises(DTypeError):
        rng().normal((2,), dtype=np.int64)
    for seed in (1.5, "a", True):
        with pytest.raises(DTypeError):
            ob.random.default_rng(seed)


def test_a_generator_without_a_seed_differs_from_the_next():
    assert float(ob.random.default_rng().uniform(())) != float(ob.random.default_rng().uniform(()))


def test_float32_arguments_give_float32_draws():
    assert rng().gamma(np.float32([0.5])).dtype == np.float32
    with ob.config(dtype=np.float32):
        assert rng().normal((2,)).dtype == np.float32
