"""Normalisation: what is averaged, the running statistics, gradients, and misuse."""

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.errors import DTypeError, ShapeError

F = nn.functional


@pytest.fixture(autouse=True)
def _in_double_precision():
    ob.random.seed(0)
    with ob.config(dtype=np.float64):
        yield


AXES = {
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6, eps=0), (5, 6), (0,)),
    "BatchNorm1d, sequences": (lambda: nn.BatchNorm1d(6, eps=0), (5, 6, 3), (0, 2)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(6, eps=0), (5, 6, 3, 2), (0, 2, 3)),
    "LayerNorm": (lambda: nn.LayerNorm(6, eps=0), (5, 6), (1,)),
    "LayerNorm, two axes": (lambda: nn.LayerNorm((4, 6), eps=0), (5, 4, 6), (1, 2)),
}


@pytest.mark.parametrize(("made", "shape", "axes"), AXES.values(), ids=AXES)
def test_the_mean_is_0_and_the_variance_1_over_what_is_normalised(rng, made, shape, axes):
    y = made()(rng.standard_normal(shape) * 3 + 1).numpy()
    assert y.shape == shape
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axes), 1, rtol=1e-10)


def test_groups_are_normalised_one_by_one(rng):
    x = rng.standard_normal((2, 6, 4))
    y = nn.GroupNorm(3, 6, eps=0)(x).numpy().reshape(2, 3, 8)
    np.testing.assert_allclose(y.mean(2), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(2), 1, rtol=1e-10)


def test_rms_norm_brings_the_root_of_the_mean_square_to_1(rng):
    y = nn.RMSNorm(6)(rng.standard_normal((5, 6))).numpy()
    np.testing.assert_allclose((y**2).mean(1), 1, rtol=1e-10)


def test_local_response_norm_is_what_alexnets_paper_says(rng):
    """b_i = a_i / (k + α Σ a_j²)^β over j from i − n/2 to i + n/2; our α is n times theirs."""
    a, n, k, alpha, beta = rng.standard_normal((2, 7, 3, 3)), 5, 2.0, 1e-1, 0.75
    y = nn.LocalResponseNorm(n, alpha=n * alpha, beta=beta, k=k)(a).numpy()
    for i in range(7):
        near = a[:, max(0, i - n // 2) : i + n // 2 + 1]
        want = a[:, i] / (k + alpha * (near**2).sum(1)) ** beta
        np.testing.assert_allclose(y[:, i], want, rtol=1e-12)


SMOOTH = {
    "BatchNorm1d": (lambda: nn.BatchNorm1d(2), (4, 2)),
    "BatchNorm2d, evaluation": (lambda: nn.BatchNorm2d(2).eval(), (2, 2, 1, 2)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (2, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (2, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 2)),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3, alpha=0.5), (1, 4, 2)),
}


@pytest.mark.parametrize(("made", "takes"), SMOOTH.values(), ids=SMOOTH)
def test_gradients_of_both_orders_are_those_of_differences(rng, made, takes):
    layer = made()
    ob.testing.check_gradients(lambda layer, x: ob.sin(layer(x)), layer, rng.standard_normal(takes))


# -- running statistics -----------------------------------------------------------------------


def test_running_statistics_follow_the_batches_eager_and_compiled(rng):
    batches = rng.standard_normal((5, 8, 3)) * 2 + 1
    mean, var = np.zeros(3), np.ones(3)
    for x in batches:
        mean, var = 0.7 * mean + 0.3 * x.mean(0), 0.7 * var + 0.3 * x.var(0, ddof=1)
    for wrapped in (lambda f: f, ob.jit):
        layer = nn.BatchNorm1d(3, momentum=0.3)
        f = wrapped(layer)
        for x in batches:
            f(x)
        np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
        np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-12)
        assert int(layer.num_batches_tracked) == 5
        assert layer.running_mean.is_leaf


def test_without_momentum_the_running_mean_is_that_of_all_batches(rng):
    batches = rng.standard_normal((5, 8, 3))
    with ob.config(dtype=np.float32):
        layer = nn.BatchNorm1d(3, momentum=None, dtype=np.float64)
    f = ob.jit(layer)
    for x in batches:
        f(x)
    np.testing.assert_allclose(layer.running_mean.numpy(), batches.mean((0, 1)), rtol=1e-12)


def test_evaluation_uses_the_running_statistics_and_leaves_them_alone(rng):
    layer = nn.BatchNorm2d(2).eval()
    layer.running_mean, layer.running_var = np.array([1.0, 2.0]), np.array([4.0, 9.0])
    x = rng.standard_normal((3, 2, 2, 2))
    want = (x - [[[1.0]], [[2.0]]]) / np.sqrt(np.array([[[4.0]], [[9.0]]]) + 1e-5)
    np.testing.assert_allclose(layer(x).numpy(), want, rtol=1e-12)
    assert layer.running_mean.tolist() == [1.0, 2.0]
    assert int(layer.num_batches_tracked) == 0


def test_a_whole_training_step_with_batch_norm_compiles_to_what_it_does_eagerly(rng):
    x, t = rng.standard_normal((8, 4)), rng.standard_normal((8, 2))
    ends = []
    for compiled in (False, True):
        r = ob.random.default_rng(1)
        model = nn.Sequential(nn.Linear(4, 3, rng=r), nn.BatchNorm1d(3), nn.Linear(3, 2, rng=r))
        optimizer = ob.optim.SGD(model.parameters(), lr=0.1)

        def step(x, t, model=model, optimizer=optimizer):
            L = F.mse_loss(model(x), t)
            L.backward()
            optimizer.step()
            optimizer.zero_grad()
            return L

        run = ob.jit(step) if compiled else step
        losses = [float(run(x, t)) for _ in range(4)]
        ends.append((losses, model.state_dict()))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=1e-10)
    assert ends[0][0][-1] < ends[0][0][0]
    for name, before in ends[0][1].items():
        np.testing.assert_allclose(ends[1][1][name].numpy(), before.numpy(), rtol=1e-9, atol=1e-12)


def test_the_function_moves_the_handles_it_is_given(rng):
    mean, var = ob.tensor(np.zeros(3)), ob.tensor(np.ones(3))
    x = rng.standard_normal((4, 3))
    F.batch_norm(x, mean, var, training=True, momentum=1.0)
    np.testing.assert_allclose(mean.numpy(), x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(var.numpy(), x.var(0, ddof=1), rtol=1e-12)


WRONG = {
    "another number of channels": (
        lambda: nn.BatchNorm2d(3)(np.ones((2, 4, 5, 5))), ShapeError, r"\(N, C, H, W\) with C = 3",
    ),
    "axes": (lambda: nn.BatchNorm1d(3)(np.ones((2, 3, 5, 5))), ShapeError, "batch with 3 channels"),
    "one number per channel": (
        lambda: nn.BatchNorm1d(3)(np.ones((1, 3))), ShapeError, r"model\.eval\(\)",
    ),
    "features": (lambda: nn.LayerNorm((2, 3))(np.ones((3, 2))), ShapeError, r"axes \[2, 3\]"),
    "too few axes": (lambda: nn.RMSNorm((2, 3))(np.ones(3)), ShapeError, r"axes \[2, 3\]"),
    "groups": (lambda: nn.GroupNorm(4, 6), ShapeError, "6 channels in 4 groups"),
    "other channels than groups": (
        lambda: F.group_norm(np.ones((2, 5)), 3), ShapeError, "do not make 3 equal groups",
    ),
    "no channels": (lambda: nn.LocalResponseNorm(3)(np.ones(4)), ShapeError, "no channels"),
    "integers": (lambda: F.layer_norm(np.ones((2, 3), int), 3), DTypeError, "astype"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "said"), WRONG.values(), ids=WRONG)
def test_misuse_is_named(call, kind, said):
    with pytest.raises(kind, match=said):
        call()
