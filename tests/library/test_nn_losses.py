"""Losses: closed forms, extreme inputs, and what is refused."""

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError, DTypeError, IndexingError, ShapeError
from overbar.nn import functional as F  # noqa: N812  (everybody's name for it)

PAIRED = [F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss, F.squared_error,
          F.binary_cross_entropy, F.binary_cross_entropy_with_logits]  # fmt: skip


@pytest.mark.parametrize("loss", PAIRED)
def test_a_loss_does_not_broadcast_and_names_both_cures(loss):
    with pytest.raises(ShapeError) as caught:
        loss(np.full((4, 1), 0.5), np.full(4, 0.5))
    assert "y[..., 0]" in str(caught.value)
    assert "t[..., None]" in str(caught.value)
    with pytest.raises(ShapeError) as caught:
        loss(np.full(4, 0.5), np.full((4, 1), 0.5))
    assert "y[..., None]" in str(caught.value)
    assert "t[..., 0]" in str(caught.value)
    with pytest.raises(ShapeError, match=r"y.reshape\(2, 3\)"):
        loss(np.full(6, 0.5), np.full((2, 3), 0.5))


@pytest.mark.parametrize("loss", [f for f in PAIRED if f is not F.squared_error])
def test_reductions_agree_with_each_other(loss, rng):
    y, t = rng.uniform(0.1, 0.9, (3, 4)), rng.uniform(0.1, 0.9, (3, 4))
    each = loss(y, t, reduction="none")
    assert each.shape == (3, 4)
    assert float(loss(y, t)) == pytest.approx(each.numpy().mean(), rel=1e-14)
    assert float(loss(y, t, reduction="sum")) == pytest.approx(each.numpy().sum(), rel=1e-14)
    with pytest.raises(DomainError, match="reduction='average' is not a choice"):
        loss(y, t, reduction="average")


@pytest.mark.parametrize("loss", PAIRED)
def test_the_loss_has_the_dtype_of_the_predictions(loss):
    y = np.full(3, 0.5, np.float32)
    assert loss(y, np.array([0.0, 1.0, 0.0])).dtype == np.float32
    assert loss(y, [0, 1, 0]).dtype == np.float32


def test_the_gradients_of_square_and_absolute_errors():
    y, t = np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 0.0])
    np.testing.assert_allclose(ob.grad(F.mse_loss)(y, t), 2 * (y - t) / 3)
    np.testing.assert_allclose(ob.grad(F.squared_error)(y, t), 2 * (y - t))
    np.testing.assert_allclose(ob.grad(F.l1_loss)(y, t), np.array([0, -1, 1]) / 3)
    np.testing.assert_allclose(
        ob.grad(lambda y, t: F.huber_loss(y, t, 2.5, "sum"))(y, t), [0, -2, 2.5]
    )


def test_a_certain_prediction_costs_nothing_or_infinity():
    y, t = np.array([0.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0])
    assert F.binary_cross_entropy(y, t, reduction="none").tolist() == [0.0, 0.0, np.inf]


@pytest.mark.parametrize("wrong", [-0.001, 1.5])
def test_a_probability_outside_of_0_and_1_is_named(wrong):
    y = np.full((2, 3), 0.5)
    y[1, 2] = wrong
    with pytest.raises(DomainError, match=rf"prediction\[1, 2\] is {wrong}"):
        F.binary_cross_entropy(y, np.zeros((2, 3)))
    with pytest.raises(DomainError, match=r"target\[1, 2\]"):
        F.binary_cross_entropy(np.full((2, 3), 0.5), y)
    with pytest.raises(DomainError, match=r"target\[1, 2\]"):
        F.binary_cross_entropy_with_logits(np.zeros((2, 3)), y)


def test_the_domain_is_not_checked_where_values_are_not_known():
    assert float(ob.jit(F.binary_cross_entropy)(np.array([0.5]), np.array([1.0]))) == np.log(2)


@pytest.mark.parametrize("z", [-1e4, -800.0, -40.0, 0.0, 40.0, 800.0, 1e4])
@pytest.mark.parametrize("t", [0.0, 1.0])
def test_logits_of_any_size_have_an_exact_loss_and_gradient(z, t):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        sign = 1 if t == 0 else -1
        want = mpmath.log1p(mpmath.exp(sign * mpmath.mpf(z)))
        slope = sign / (1 + mpmath.exp(-sign * mpmath.mpf(z)))
    value, z_bar = ob.value_and_grad(F.binary_cross_entropy_with_logits)(z, t)
    assert float(value) == pytest.approx(float(want), rel=1e-14)
    assert float(z_bar) == pytest.approx(float(slope), rel=1e-14)


def test_cross_entropy_of_extreme_logits_is_finite():
    z = np.array([[1e4, 0.0, -1e4], [0.0, 0.0, 0.0]])
    value, z_bar = ob.value_and_grad(lambda z: F.cross_entropy(z, [1, 2], reduction="sum"))(z)
    assert float(value) == pytest.approx(1e4 + np.log(3), rel=1e-15)
    np.testing.assert_allclose(z_bar, [[1, -1, 0], [1 / 3, 1 / 3, -2 / 3]], rtol=1e-14)


def test_cross_entropy_is_that_of_one_hot_probabilities(rng):
    z, t = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    assert float(F.cross_entropy(z, t)) == pytest.approx(
        float(F.cross_entropy(z, np.eye(4)[t])), rel=1e-14
    )
    assert F.cross_entropy(z, t, reduction="none").shape == (6,)


def test_the_class_axis_can_be_the_last():
    z, t = np.zeros((2, 5, 4)), np.zeros((2, 5), int)
    assert float(F.cross_entropy(z, t, axis=-1)) == pytest.approx(np.log(4))
    with pytest.raises(ShapeError, match="say axis=-1"):
        F.cross_entropy(z, t)


def test_labels_are_checked():
    z = np.zeros((3, 4))
    with pytest.raises(IndexingError, match=r"target\[2\] is 4, but there are 4 classes"):
        F.cross_entropy(z, [0, 1, 4])
    with pytest.raises(IndexingError, match=r"target\[0\] is -1"):
        F.cross_entropy(z, [-1, 1, 2])
    with pytest.raises(ShapeError, match=r"t\[..., 0\]"):
        F.cross_entropy(z, [[0], [1], [2]])
    with pytest.raises(DTypeError, match="class labels are integers"):
        F.nll_loss(z, [0.0, 1.0, 2.0])
    with pytest.raises(DTypeError, match="class labels are integers"):
        F.cross_entropy(z, [True, False, True])
    with pytest.raises(DomainError, match=r"target\[1, 0\] is -0.5"):
        F.cross_entropy(z, np.array([[1.0, 0, 0, 0], [-0.5, 1.5, 0, 0], [0, 0, 0, 1.0]]))


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize("label", [-1, 4])
def test_labels_are_checked_where_they_are_known_later(loss, label):
    for dtype in (np.int64, np.int8):
        z, t = ob.tensor(np.zeros((1, 4))), ob.tensor(np.array([label], dtype))
        with pytest.raises(IndexingError):
            ob.jit(loss)(z, t)
        with pytest.raises(IndexingError):
            ob.vmap(loss)(z, t)
        assert ob.jit(loss)(z, t % 4) == loss(z, t % 4)


def test_labels_that_are_floats_are_told_to_be_integers():
    for z, t in ((np.ones((2, 3)), np.ones(2)), (np.ones(3), np.float64(1.0))):
        with pytest.raises(DTypeError, match="class labels are integers"):
            F.cross_entropy(z, t)


def test_a_loss_is_real():
    with pytest.raises(DTypeError, match="a loss is real"):
        F.mse_loss(np.array([1j]), np.array([1.0]))
    with pytest.raises(DTypeError, match="a loss is real"):
        F.mse_loss(np.array([1.0]), np.array([1j]))
