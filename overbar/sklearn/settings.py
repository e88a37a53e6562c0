"""What the arguments of an estimator may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from overbar.errors import DomainError

__all__ = ["ACTIVATIONS", "check", "hidden_sizes"]

ACTIVATIONS = {
    "identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu", "gelu": "gelu",
}  # fmt: skip
"""scikit-learn's names, and one that it does not have; what `ob.models.MLP` calls them."""


def hidden_sizes(e: Any) -> tuple[Any, ...]:
    """The sizes of the hidden layers; one number is one layer."""
    hidden = e.hidden_layer_sizes
    return tuple(hidden) if np.iterable(hidden) else (hidden,)


def check(e: Any) -> None:
    """Refuse settings that make no sense, by name."""
    rules: dict[str, tuple[bool, str]] = {
        "hidden_layer_sizes": (all(map(_counts, hidden_sizes(e))), "whole numbers from 1"),
        "activation": (e.activation in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}"),
        "solver": (e.solver in ("adam", "sgd", "lbfgs"), "adam, sgd or lbfgs"),
        "alpha": (e.alpha >= 0, "a number from 0"),
        "batch_size": (e.batch_size == "auto" or _counts(e.batch_size), '"auto", or a count'),
        "learning_rate_init": (e.learning_rate_init > 0, "a number above 0"),
        "max_iter": (_counts(e.max_iter), "a whole number from 1"),
        "momentum": (0 <= e.momentum < 1, "a number from 0 to below 1"),
        "validation_fraction": (0 < e.validation_fraction < 1, "a number between 0 and 1"),
        "n_iter_no_change": (e.n_iter_no_change > 0, "a number above 0"),
    }
    for name, (holds, want) in rules.items():
        if not holds:
            what = f"{type(e).__name__}: {name}={getattr(e, name)!r}"
            raise DomainError(what, want=want)


def _counts(n: Any) -> bool:
    return isinstance(n, int | np.integer) and int(n) >= 1
