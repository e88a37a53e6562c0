"""What classifier and regressor have in common: all but what the targets mean."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d, gen_batches
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

import overbar as ob
from overbar.errors import DomainError, NonFiniteError

from .settings import ACTIVATIONS, check, hidden_sizes
from .training import Loss, Training, assign, linear_maps, objective_of

__all__ = ["Perceptron"]

LARGEST = 200
"""Rows of a batch, unless the user says otherwise."""


class Perceptron(BaseEstimator):
    """What both have in common: all but what the targets mean."""

    model_: Any

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
    ) -> None:
        self.hidden_layer_sizes, self.activation = hidden_layer_sizes, activation
        self.solver, self.alpha, self.batch_size = solver, alpha, batch_size
        self.learning_rate_init, self.max_iter, self.shuffle = learning_rate_init, max_iter, shuffle
        self.random_state, self.tol, self.verbose = random_state, tol, verbose
        self.warm_start, self.momentum = warm_start, momentum
        self.early_stopping, self.validation_fraction = early_stopping, validation_fraction
        self.n_iter_no_change = n_iter_no_change

    # -- what the targets mean ----------------------------------------------------------------

    def _targets(self, y: np.ndarray, dtype: Any, *, fresh: bool) -> np.ndarray:
        """What the network learns: numbers of classes, or numbers (rows, outputs)."""
        raise NotImplementedError

    def _width(self, t: np.ndarray) -> int:
        """How many numbers the network has to say of a row."""
        raise NotImplementedError

    _losses: Loss
    """How wrong the network's outputs are, row by row."""

    # -- fitting ------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X (rows, features) and y: (rows,), or (rows, outputs)."""
        check(self)
        fresh = not (self.warm_start and hasattr(self, "model_"))
        X, t, w = self._given(X, y, sample_weight, fresh=fresh)
        random = check_random_state(self.random_state)
        if fresh:
            self._begin(X, t, random)
        if self.solver == "lbfgs":
            self._descend(X, t, w)
        else:
            self._training = self._started()
            self._train(X, t, w, random)
        return self._finite()

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """One pass over these rows."""
        check(self)
        if self.early_stopping:
            raise DomainError(
                "partial_fit: it cannot know when to stop", want="early_stopping=False"
            )
        fresh = not hasattr(self, "model_")
        X, t, w = self._given(X, y, sample_weight, fresh=fresh)
        random = check_random_state(self.random_state)
        if fresh:
            self._begin(X, t, random)
        if not hasattr(self, "_training"):
            self._training = self._started()
        self._epoch(X, t, w, random)
        return self._finite()

    def _given(self, X: Any, y: Any, sample_weight: Any, *, fresh: bool) -> tuple[Any, Any, Any]:
        """Rows, targets and weights, checked."""
        X, y = validate_data(
            self, X, y, dtype=(np.float64, np.float32), multi_output=True, reset=fresh
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        w = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        return X, self._targets(y, X.dtype, fresh=fresh), w

    def _begin(self, X: np.ndarray, t: np.ndarray, random: Any) -> None:
        """A new network."""
        sizes = (X.shape[1], *hidden_sizes(self), self._width(t))
        rng = ob.random.default_rng(int(random.randint(2**31 - 1)))
        self.model_ = ob.models.MLP(sizes, ACTIVATIONS[self.activation], rng=rng, dtype=X.dtype)
        self.loss_curve_: list[float] = []
        self.n_iter_ = 0

    def _started(self) -> Training:
        """The network with an optimiser that has not moved it yet."""
        params, lr = self.model_.parameters(), self.learning_rate_init
        if self.solver == "adam":
            optimizer: Any = ob.optim.Adam(params, lr)
        else:
            optimizer = ob.optim.SGD(params, lr, self.momentum, nesterov=self.momentum > 0)
        return Training(self.model_, objective_of(self._losses, self.alpha), optimizer)

    def _train(self, X: Any, t: Any, w: Any, random: Any) -> None:
        """Epochs until nothing gets better any more: the loss, or the score of rows held back."""
        held: Any = None
        if self.early_stopping:
            X, t, w, *held = self._split(X, t, w, random)
            self.validation_scores_: list[float] = []
        best, since, kept, self.n_iter_ = np.inf, 0, self.model_.state_dict(), 0
        while since <= self.n_iter_no_change:
            if self.n_iter_ == self.max_iter:
                _not_converged(self.max_iter)
                break
            judged = self._epoch(X, t, w, random)
            if held:
                self.validation_scores_.append(self._score(*held))
                judged = -self.validation_scores_[-1]
            since = 0 if judged <= best - self.tol else since + 1
            if judged < best:
                best, kept = judged, self.model_.state_dict()
        if held:
            self.model_.load_state_dict(kept)
            self.best_validation_score_ = -best
        else:
            self.best_loss_ = best

    def _split(self, X: Any, t: Any, w: Any, random: Any) -> tuple[Any, ...]:
        """Rows, targets and weights to train with, and those to judge with."""
        parts = train_test_split(
            X, t, w, test_size=self.validation_fraction, random_state=random,
            stratify=t if t.ndim == 1 else None,
        )  # fmt: skip
        if len(parts[1]) < 2:
            raise DomainError(
                f"early_stopping: {len(parts[1])} rows to judge with are too few",
                hint="a larger validation_fraction, or more rows",
            )
        return (*parts[::2], *parts[1::2])

    def _score(self, X: Any, t: Any, w: Any) -> float:
        """How good the network is on rows that it has not seen."""
        raise NotImplementedError

    def _epoch(self, X: Any, t: Any, w: Any, random: Any) -> float:
        """All rows once; the mean loss."""
        rows = random.permutation(len(X)) if self.shuffle else np.arange(len(X))
        size = min(LARGEST if self.batch_size == "auto" else int(self.batch_size), len(X))
        total = 0.0
        for part in gen_batches(len(X), size):
            some = rows[part]
            if w[some].any():
                total += self._training.step(X[some], t[some], w[some]) * len(some)
        self._tell(total / len(X))
        return self.loss_

    def _tell(self, loss: float) -> None:
        """One more iteration is over."""
        self.n_iter_, self.loss_ = self.n_iter_ + 1, float(loss)
        self.loss_curve_.append(self.loss_)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")  # noqa: T201

    def _descend(self, X: Any, t: Any, w: Any) -> None:
        """L-BFGS, over all rows at once."""
        self.n_iter_ = 0
        found = minimize(
            **ob.scipy.objective(objective_of(self._losses, self.alpha), self.model_, (X, t, w)),
            method="L-BFGS-B",
            options={"maxiter": self.max_iter, "maxfun": 15000, "gtol": self.tol},
            callback=lambda intermediate_result: self._tell(intermediate_result.fun),
        )
        self.loss_ = self.best_loss_ = float(found.fun)
        params = list(self.model_.parameters())
        pieces = np.split(found.x, np.cumsum([p.size for p in params])[:-1])
        assign(params, [x.reshape(p.shape) for x, p in zip(pieces, params, strict=True)])
        if found.nit >= self.max_iter:
            _not_converged(self.max_iter)

    def _finite(self) -> Self:
        """The estimator, if training came to something."""
        if not all(np.isfinite(p.numpy()).all() for p in self.model_.parameters()):
            raise NonFiniteError(
                f"{type(self).__name__}: the weights grew beyond all numbers",
                hint="standardise the columns (StandardScaler), or a smaller learning_rate_init",
            )
        return self

    # -- what was fitted ----------------------------------------------------------------------

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each layer, (inputs, outputs) as scikit-learn has them."""
        return [layer.weight.numpy().T for layer in linear_maps(self.model_)]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each layer."""
        return [layer.bias.numpy() for layer in linear_maps(self.model_)]

    @property
    def n_layers_(self) -> int:
        """The layers of numbers, inputs and outputs among them."""
        return len(self.model_.sizes)

    @property
    def n_outputs_(self) -> int:
        """How many numbers the network says of a row."""
        return self.model_.sizes[-1]

    def _said(self, X: Any) -> ob.Tensor:
        """The network's outputs."""
        check_is_fitted(self, "model_")
        dtype = next(self.model_.parameters()).dtype
        return self._of(validate_data(self, X, dtype=dtype, reset=False))

    def _of(self, X: Any) -> ob.Tensor:
        with ob.no_grad():
            return self.model_(X)

    # -- keeping ------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        found: Any = super().__getstate__()
        state: dict[str, Any] = {**found}
        training = state.pop("_training", None)
        if "model_" in state:
            model = state.pop("model_")
            state["_network"] = {
                "sizes": model.sizes,
                "activation": model.activation,
                "params": [p.numpy() for p in model.parameters()],
            }
        if training is not None:
            kept = training.optimizer.state_dict()
            numbers = {name: x.numpy() for name, x in kept["state"].items()}
            state["_optimizer"] = {**kept, "lr": float(kept["lr"]), "state": numbers}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = {**state}
        network, optimizer = state.pop("_network", None), state.pop("_optimizer", None)
        super().__setstate__(state)
        if network is not None:
            params, rng = network.pop("params"), ob.random.default_rng(0)
            self.model_ = ob.models.MLP(**network, rng=rng, dtype=params[0].dtype)
            assign(self.model_.parameters(), params)
        if optimizer is not None:
            self._training = self._started()
            self._training.optimizer.load_state_dict(optimizer)


def _not_converged(iterations: int) -> None:
    warnings.warn(
        f"Maximum iterations ({iterations}) reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=4,
    )
