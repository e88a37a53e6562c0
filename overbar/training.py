"""The loop that trains a model, once, for everyone who only wants it run.

`fit` is a generator: it trains for one epoch each time it is asked, and tells what came of it. Who
wants another loop writes one; it is ten lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import overbar as ob

__all__ = ["Epoch", "fit", "predict"]


class Epoch(NamedTuple):
    """What one epoch brought: its number from 1, the mean training loss, seconds."""

    number: int
    loss: float
    seconds: float


def fit(
    model: Any,
    loss: Callable[[Any, Any], Any],
    optimizer: Any,
    loader: Any,
    *,
    epochs: int,
    schedule: Any = None,
    after_batch: Callable[[float], Any] | None = None,
    compiled: bool = False,
) -> Iterator[Epoch]:
    """Train, one epoch per item: forward, loss, backward, step for each batch.

    loss          (predictions, targets) -> a scalar, the mean over the batch
    schedule      its `step()` is called after each batch
    after_batch   is told the batch's loss, for a progress bar
    compiled      run the step under `ob.jit`; then nothing in the model may look at values

    Example:
        >>> model = ob.nn.Linear(1, 1)
        >>> X = np.linspace(-1, 1, 32).reshape(32, 1)
        >>> optimizer = ob.optim.SGD(model.parameters(), lr=0.3)
        >>> loader = ob.data.DataLoader((X, 2 * X + 1), batch_size=8)
        >>> for epoch in fit(model, ob.nn.functional.mse_loss, optimizer, loader, epochs=30):
        ...     pass
        >>> epoch.number, epoch.loss < 1e-3
        (30, True)
    """

    def step(x: Any, t: Any) -> Any:
        L = loss(model(x), t)
        L.backward()
        optimizer.step()
        optimizer.zero_grad()  # last, so that a compiled step need not hand the gradients out
        return L

    optimizer.zero_grad()
    run = ob.jit(step) if compiled else step
    for number in range(1, epochs + 1):
        start, total, rows = time.perf_counter(), 0.0, 0
        model.train()
        for x, t in loader:
            value = run(x, t).item()
            if schedule is not None:
                schedule.step()
            total, rows = total + value * len(x), rows + len(x)
            if after_batch is not None:
                after_batch(value)
        yield Epoch(number, total / max(rows, 1), time.perf_counter() - start)


def predict(model: Any, x: np.ndarray, batch_size: int = 4096) -> np.ndarray:
    """The model's results in evaluation mode, batch by batch; it is left in the mode it was in."""
    mode = model.training
    model.eval()
    try:
        with ob.no_grad():
            parts = [model(x[i : i + batch_size]).numpy() for i in range(0, len(x), batch_size)]
    finally:
        model.train(mode)
    return np.concatenate(parts)
