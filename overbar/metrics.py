"""How good predictions are: plain functions of all predictions and all targets, to one number.

They are for people and tests, so they take NumPy arrays and give a float; what is differentiated is
in `ob.nn.functional`. `Trainer.evaluate` hands them the whole set at once: a mean over batches
would be wrong if the last is smaller, and of R² it would be wrong always.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DomainError, DTypeError, ShapeError

__all__ = [
    "accuracy", "top_k_accuracy", "binary_accuracy", "confusion_matrix",
    "mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "r2_score",
]  # fmt: skip


def accuracy(y: Any, t: Any) -> float:
    """The share of rows whose greatest score is that of the right class.

    Shapes:  y (..., classes), t (...) whole numbers
    Example:
        >>> ob.metrics.accuracy([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]], [0, 1, 1])
        0.6666666666666666
    """
    y, t = _classes("accuracy", y, t)
    return float((y.argmax(-1) == t).mean())


def top_k_accuracy(y: Any, t: Any, k: int = 5) -> float:
    """The share of rows whose right class is among the k greatest scores.

    A class that ties with others counts as behind those with smaller numbers.

    Shapes:  y (..., classes), t (...) whole numbers
    """
    y, t = _classes("top_k_accuracy", y, t)
    if not 1 <= k <= y.shape[-1]:
        raise DomainError(f"top_k_accuracy: k={k}", want=f"from 1 to {y.shape[-1]} classes")
    right = np.take_along_axis(y, t[..., None], -1)
    before = (y == right) & (np.arange(y.shape[-1]) < t[..., None])
    ahead = (y > right).sum(-1) + before.sum(-1)
    return float(((ahead < k) & ~np.isnan(right[..., 0])).mean())


def binary_accuracy(y: Any, t: Any, threshold: float = 0.0) -> float:
    """The share of numbers on the right side: y > threshold where t is 1.

    Logits have the threshold 0, probabilities 0.5.
    """
    y, t = _pair("binary_accuracy", y, t)
    return float(((y > threshold) == (t > 0.5)).mean())


def confusion_matrix(y: Any, t: Any) -> np.ndarray:
    """How often class t was taken for class y: rows are what is, columns what was said.

    Shapes:  y (..., classes), t (...)  ->  int64 (classes, classes)
    """
    y, t = _classes("confusion_matrix", y, t)
    n = y.shape[-1]
    return np.bincount((t * n + y.argmax(-1)).ravel(), minlength=n * n).reshape(n, n)


def mean_absolute_error(y: Any, t: Any) -> float:
    """Mean of |y − t|."""
    y, t = _pair("mean_absolute_error", y, t)
    return float(abs(y - t).mean())


def mean_squared_error(y: Any, t: Any) -> float:
    """Mean of (y − t)²."""
    y, t = _pair("mean_squared_error", y, t)
    return float(((y - t) ** 2).mean())


def root_mean_squared_error(y: Any, t: Any) -> float:
    """√ of the mean of (y − t)²: in the units of t."""
    return mean_squared_error(y, t) ** 0.5


def r2_score(y: Any, t: Any) -> float:
    """1 − Σ (y − t)² / Σ (t − mean t)²: 1 is perfect, 0 as good as the mean; the mean of columns.

    Shapes:  y and t (N,) or (N, columns)
    Raises:  DomainError if all targets of a column are the same: then it says nothing.
    """
    y, t = _pair("r2_score", y, t)
    spread = ((t - t.mean(0)) ** 2).sum(0)
    if not (spread > 0).all():
        raise DomainError("r2_score: all targets are the same", got={"t": t})
    return float((1 - ((y - t) ** 2).sum(0) / spread).mean())


def _array(x: Any) -> np.ndarray:
    return x.numpy() if isinstance(x, ob.Tensor) else np.asarray(x)


def _classes(name: str, y: Any, t: Any) -> tuple[np.ndarray, np.ndarray]:
    y, t = _array(y), _array(t)
    if y.ndim < 1 or y.shape[:-1] != t.shape or not t.size:
        raise ShapeError(
            f"{name}: these are no scores with a class each",
            got={"y": y, "t": t},
            want="y: (..., classes)   t: (...)",
        )
    if t.dtype.kind not in "iu":
        raise DTypeError(f"{name}: classes are whole numbers", got={"t": t})
    if t.min() < 0 or t.max() >= y.shape[-1]:
        raise DomainError(
            f"{name}: a class from {t.min()} to {t.max()}", want=f"0 to {y.shape[-1] - 1}"
        )
    return y, t.astype(np.int64)


def _pair(name: str, y: Any, t: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both in float64: a sum over a whole set in float32 would lose digits."""
    y, t = _array(y), _array(t)
    if y.shape != t.shape or not t.size or not t.ndim:
        raise ShapeError(
            f"{name}: predictions and targets are not alike",
            got={"y": y, "t": t},
            want="the same shape, at least one row",
        )
    return y.astype(np.float64), t.astype(np.float64)
