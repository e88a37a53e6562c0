"""Metrics beside scikit-learn's and NumPy's, and what they refuse."""

import numpy as np
import pytest

import overbar as ob
from overbar import metrics
from overbar.errors import DomainError, DTypeError, ShapeError

sk = pytest.importorskip("sklearn.metrics")


@pytest.fixture
def classes(rng):
    return rng.standard_normal((200, 7)).astype(np.float32), rng.integers(0, 7, 200)


@pytest.fixture
def numbers(rng):
    t = rng.standard_normal((100, 3))
    return t + 0.3 * rng.standard_normal((100, 3)), t


def test_accuracy_is_scikit_learns(classes):
    y, t = classes
    assert metrics.accuracy(y, t) == sk.accuracy_score(t, y.argmax(1))


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_top_k_accuracy_is_scikit_learns(classes, k):
    y, t = classes
    want = sk.top_k_accuracy_score(t, y, k=k, labels=range(7)) if k < 7 else 1.0
    assert metrics.top_k_accuracy(y, t, k) == pytest.approx(want, rel=1e-15)


def test_of_equal_scores_the_first_is_ahead_and_nan_is_never_right():
    y = np.zeros((3, 4))
    assert metrics.top_k_accuracy(y, np.array([0, 1, 2]), 2) == pytest.approx(2 / 3)
    assert metrics.top_k_accuracy(np.full((2, 3), np.nan), np.array([0, 1]), 3) == 0


def test_the_confusion_matrix_is_scikit_learns(classes):
    y, t = classes
    want = sk.confusion_matrix(t, y.argmax(1), labels=range(7))
    assert np.array_equal(metrics.confusion_matrix(y, t), want)


def test_binary_accuracy_counts_the_right_side(rng):
    y, t = rng.standard_normal((50, 1)), rng.integers(0, 2, (50, 1))
    assert metrics.binary_accuracy(y, t) == sk.accuracy_score(t, y > 0)


@pytest.mark.parametrize(
    "name", ["mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "r2_score"]
)
def test_errors_of_numbers_are_scikit_learns(numbers, name):
    y, t = numbers
    assert getattr(metrics, name)(y[:, 0], t[:, 0]) == pytest.approx(
        getattr(sk, name)(t[:, 0], y[:, 0]), rel=1e-13
    )


@pytest.mark.parametrize("name", ["mean_absolute_error", "mean_squared_error", "r2_score"])
def test_several_columns_are_averaged(numbers, name):
    y, t = numbers
    assert getattr(metrics, name)(y, t) == pytest.approx(getattr(sk, name)(t, y), rel=1e-13)


def test_float32_is_summed_in_float64():
    y = np.full(10_000_000, 0.1, np.float32)
    assert metrics.mean_absolute_error(y, np.zeros_like(y)) == pytest.approx(
        float(np.float32(0.1)), rel=1e-12
    )


def test_tensors_are_taken(classes):
    y, t = classes
    assert metrics.accuracy(ob.asarray(y), ob.asarray(t)) == metrics.accuracy(y, t)


WRONG = {
    "other rows": (metrics.accuracy, np.zeros((3, 2)), np.zeros(4, int), ShapeError),
    "no rows": (metrics.accuracy, np.zeros((0, 2)), np.zeros(0, int), ShapeError),
    "classes that are floats": (metrics.accuracy, np.zeros((3, 2)), np.zeros(3), DTypeError),
    "a class too high": (metrics.accuracy, np.zeros((3, 2)), np.array([0, 1, 2]), DomainError),
    "a broadcast": (metrics.r2_score, np.zeros((3, 1)), np.arange(3.0), ShapeError),
    "one target": (metrics.r2_score, np.zeros(3), np.ones(3), DomainError),
    "k too large": (metrics.top_k_accuracy, np.zeros((3, 2)), np.zeros(3, int), DomainError),
}


@pytest.mark.parametrize(("metric", "y", "t", "error"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(metric, y, t, error):
    with pytest.raises(error):
        metric(y, t)
