"""The digits that come with the package."""

import time
from pathlib import Path

import numpy as np

import overbar.data
from overbar.data import digits

HERE = Path(overbar.data.__file__).parent


def test_shapes_dtypes_and_range():
    X_train, y_train, X_test, y_test = digits()
    assert X_train.shape == (1437, 64)
    assert X_test.shape == (360, 64)
    assert y_train.shape == (1437,)
    assert y_test.shape == (360,)
    assert X_train.dtype == X_test.dtype == np.float32
    assert y_train.dtype == y_test.dtype == np.int64
    for X in (X_train, X_test):
        assert X.min() == 0
        assert X.max() == 1
    assert (X_train * 16 == np.round(X_train * 16)).all()


def test_no_row_is_lost_or_used_twice():
    """The 1,797 rows are all different, so the parts together are the file, in another order."""
    X_train, y_train, X_test, y_test = digits()
    X, y = np.concatenate([X_train, X_test]), np.concatenate([y_train, y_test])
    found = np.column_stack([X * 16, y]).astype(np.int64)
    rows = np.loadtxt(HERE / "digits.csv.gz", delimiter=",", dtype=np.int64)
    assert np.array_equal(np.unique(found, axis=0), np.unique(rows, axis=0))
    assert len(np.unique(rows, axis=0)) == len(rows) == len(found) == 1797


def test_pixels_stay_with_their_digit():
    """The first row of the file is a 0, and it is found beside its label."""
    first = np.loadtxt(HERE / "digits.csv.gz", delimiter=",", dtype=np.int64, max_rows=1)
    X_train, y_train, X_test, y_test = digits()
    X, y = np.concatenate([X_train, X_test]), np.concatenate([y_train, y_test])
    pixels = (X * 16).astype(np.int64)
    (at,) = np.flatnonzero((pixels == first[:64]).all(axis=1))
    label = first[64]
    assert label == 0
    assert y[at] == label


def test_every_digit_has_its_share_of_both_parts():
    _, y_train, _, y_test = digits()
    for_training, for_testing = np.bincount(y_train), np.bincount(y_test)
    assert np.abs(for_testing - (for_training + for_testing) / 5).max() <= 1


def test_the_split_is_always_the_same():
    _, y_train, _, y_test = digits()
    assert y_train[:10].tolist() == [3, 3, 8, 8, 7, 2, 4, 2, 9, 3]
    assert y_test[:10].tolist() == [2, 4, 7, 8, 0, 2, 3, 6, 9, 1]


def test_each_call_gives_arrays_of_its_own():
    first, *_ = digits()
    first[:] = -1
    assert digits()[0].min() == 0


def test_a_linear_rule_learns_them():
    """Labels and images belong together: least squares on one-hot targets gets 9 in 10 right."""
    X_train, y_train, X_test, y_test = digits()
    w, *_ = np.linalg.lstsq(X_train, np.eye(10)[y_train], rcond=None)
    assert ((X_test @ w).argmax(axis=1) == y_test).mean() > 0.9


def test_the_source_and_the_licence_are_beside_the_data():
    said = (HERE / "DIGITS-LICENCE.md").read_text(encoding="utf-8")
    for fact in ("Alpaydin", "Kaynak", "1998", "10.24432/C50P49", "CC BY 4.0", "changed"):
        assert fact in said


def test_they_load_in_50_ms():
    digits()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        digits()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05
