"""`MLPClassifier`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
)

import overbar as ob
from overbar import nn
from overbar.errors import DomainError

from .perceptron import Perceptron

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, Perceptron):
    """A network that tells classes apart: log-loss, over softmax, or over sigmoids if a row may
    have several labels (y of zeros and ones, (rows, labels)).

    As `sklearn.neural_network.MLPClassifier`, and fitted the same way: Adam or SGD with Nesterov's
    momentum until the loss stops falling, or L-BFGS.

    hidden_layer_sizes   numbers of units;  activation: "identity", "logistic", "tanh", "relu" or
                         "gelu"
    alpha                of the penalty ½ α ‖W‖²
    early_stopping       hold back validation_fraction of the rows, keep what is best on them

    Example:
        >>> from overbar.sklearn import MLPClassifier
        >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> model = MLPClassifier((8,), solver="lbfgs", random_state=0)
        >>> model.fit(X, ["low", "low", "high", "high"]).predict([[0.4], [2.6]]).tolist()
        ['low', 'high']
    """

    @staticmethod
    def _losses(z: Any, t: Any) -> ob.Tensor:
        if t.dtype.kind != "f":
            return nn.functional.cross_entropy(z, t, "none")
        each = nn.functional.binary_cross_entropy_with_logits(z, t, "none")
        return ob.sum(each, -1)

    def _targets(self, y: np.ndarray, dtype: Any, *, fresh: bool) -> np.ndarray:
        check_classification_targets(y)
        self._several = type_of_target(y) == "multilabel-indicator"
        if self._several:
            if fresh:
                self.classes_ = np.arange(y.shape[1])
            return y.astype(dtype)
        y = column_or_1d(y)
        if fresh:
            self.classes_ = np.unique(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise DomainError(
                f"{type(self).__name__}: y has classes that are not in classes_",
                got={"y": str(unknown)},
                want=f"of {self.classes_}",
            )
        return np.searchsorted(self.classes_, y)

    def _width(self, t: np.ndarray) -> int:
        return len(self.classes_)

    def _score(self, X: Any, t: Any, w: Any) -> float:
        right = self._chosen(self._of(X)) == t
        return float(np.average(right.all(-1) if right.ndim > 1 else right, weights=w))

    def _chosen(self, z: ob.Tensor) -> np.ndarray:
        """The number of the likeliest class; of several labels, 0 or 1 for each."""
        said = z.numpy()
        return (said > 0).astype(int) if self._several else said.argmax(-1)

    @available_if(lambda self: self.solver != "lbfgs")
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """One pass over these rows; the first call says which classes there are."""
        _check_partial_fit_first_call(self, classes)
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row; of several labels, 0 or 1 for each."""
        found = self._chosen(self._said(X))
        return found if self._several else self.classes_[found]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, (rows, classes)."""
        z = self._said(X)
        return (ob.sigmoid(z) if self._several else ob.softmax(z, -1)).numpy()

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Its logarithm, exact where the probability is too small to be written."""
        z = self._said(X)
        return (ob.log_sigmoid(z) if self._several else ob.log_softmax(z, -1)).numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
