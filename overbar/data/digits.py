"""1,797 real handwritten digits, 8 × 8 pixels each, that come with the package.

Source and licence are in DIGITS-LICENCE.md beside the data.
"""

from __future__ import annotations

import gzip
from importlib import resources

import numpy as np

_SEED = 1998
_EVERY = 5  # one digit in five is for testing


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The arrays (X_train, y_train, X_test, y_test): pixels and digits.

    Shapes:  X_train float32 (1437, 64), y_train int64 (1437,), X_test (360, 64), y_test (360,);
             a pixel is from 0 (paper) to 1 (ink), `X.reshape(-1, 8, 8)` are the images.
    Split:   always the same, and every digit has the same share of both parts. The same people
             wrote both, so this says nothing about a stranger's handwriting.
    Source:  Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
             Learning Repository, doi 10.24432/C50P49, CC BY 4.0.
    Example:
        >>> X_train, y_train, X_test, y_test = digits()
        >>> X_train.shape, y_test[:5]
        ((1437, 64), array([2, 4, 7, 8, 0]))
    """
    packed = resources.files("overbar.data").joinpath("digits.csv.gz").read_bytes()
    text = gzip.decompress(packed).replace(b"\n", b",").rstrip(b",")
    table = np.fromstring(text.decode("ascii"), np.int64, sep=",").reshape(-1, 65)
    X, y = (table[:, :64] / 16).astype(np.float32), table[:, 64].copy()
    train, test = _split(y)
    return X[train], y[train], X[test], y[test]


def _split(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and testing: shuffled, then every fifth of each digit is for testing."""
    shuffled = np.random.RandomState(_SEED).permutation(len(y))  # a stream frozen for ever
    by_digit = shuffled[np.argsort(y[shuffled], kind="stable")]
    is_test = np.zeros(len(y), bool)
    is_test[by_digit[::_EVERY]] = True
    return shuffled[~is_test[shuffled]], shuffled[is_test[shuffled]]
