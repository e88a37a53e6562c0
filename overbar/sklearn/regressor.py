"""`MLPRegressor`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

import overbar as ob

from .perceptron import Perceptron

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, MultiOutputMixin, Perceptron):
    """A network that predicts numbers, one or several: half the squared error.

    As `sklearn.neural_network.MLPRegressor`; the arguments are those of `MLPClassifier`. Columns
    of very different size are better standardised first, and so is y.

    Example:
        >>> from overbar.sklearn import MLPRegressor
        >>> X = np.linspace(-1, 1, 20)[:, None]
        >>> model = MLPRegressor((8,), "tanh", solver="lbfgs", random_state=0)
        >>> model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99
        True
    """

    @staticmethod
    def _losses(z: Any, t: Any) -> ob.Tensor:
        return 0.5 * ob.mean((z - t) ** 2, -1)

    def _targets(self, y: np.ndarray, dtype: Any, *, fresh: bool) -> np.ndarray:
        self._flat = y.ndim == 1
        return y.reshape(len(y), -1).astype(dtype)

    def _width(self, t: np.ndarray) -> int:
        return t.shape[1]

    def _score(self, X: Any, t: Any, w: Any) -> float:
        return r2_score(t, self._of(X).numpy(), sample_weight=w)

    @available_if(lambda self: self.solver != "lbfgs")
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """One pass over these rows."""
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """What is predicted of each row: (rows,), or (rows, outputs)."""
        y = self._said(X).numpy()
        return y[:, 0] if self._flat else y
