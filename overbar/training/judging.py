"""What a model says of a whole set, in evaluation mode, and how good that is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DataError

__all__ = ["evaluate", "judge", "predict"]


def judge(model: Any, loss: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A function (*xs, t) -> (the loss, the predictions)."""

    def judged(*batch: Any) -> tuple[Any, Any]:
        *xs, t = batch
        y = model(*xs)
        return loss(y, t), y

    return judged


def evaluate(
    model: Any,
    judged: Callable[..., Any],
    batches: Iterable[Any],
    metrics: Mapping[str, Callable[[Any, Any], float]],
) -> dict[str, float]:
    """The loss, each row counted once, and the metrics of all predictions and targets together."""
    total, rows, parts = 0.0, 0, []
    with _evaluating(model):
        for batch in batches:
            L, y = judged(*batch)
            total, rows = total + L.item() * len(batch[-1]), rows + len(batch[-1])
            if metrics:
                parts.append((np.asarray(y), np.asarray(batch[-1])))
    if not rows:
        raise DataError("evaluate: there are no rows to judge by")
    y, t = (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else ((), ())
    return {"loss": total / rows, **{name: metric(y, t) for name, metric in metrics.items()}}


def predict(model: Any, x: np.ndarray, batch_size: int = 4096) -> np.ndarray:
    """The model's results in evaluation mode, batch by batch; it is left in the mode it was in."""
    with _evaluating(model):
        parts = [model(x[i : i + batch_size]).numpy() for i in range(0, len(x), batch_size)]
    return np.concatenate(parts)


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    mode = model.training
    model.eval()
    try:
        with ob.no_grad():
            yield
    finally:
        model.train(mode)
