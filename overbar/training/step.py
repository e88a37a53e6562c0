"""What is done with the batches of one step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

import overbar as ob

__all__ = ["Kinds", "Step", "Stepper"]

Kinds = tuple[tuple[tuple[tuple[int, ...], str], ...], ...]
"""Of each batch of a step, of each of its arrays: the shape and the dtype."""


class Step(NamedTuple):
    """One step of the optimiser: the mean loss over its rows, and what its batches were."""

    loss: float
    rows: int
    kinds: Kinds


class Stepper:
    """Makes steps of batches: forward, backward, and the optimiser's step.

    `accumulate` batches make a step, their gradients added up, each by its share of the rows; all
    but the last of them are `poured`, and `step` is the last, or the only one.
    """

    def __init__(
        self, model: Any, loss: Callable[[Any, Any], Any], optimizer: Any,
        clip: float | None, accumulate: int, run: Callable[[Any], Any],
    ) -> None:  # fmt: skip
        def pour(*batch: Any) -> Any:
            share, (*xs, t) = (None, batch) if accumulate == 1 else (batch[0], batch[1:])
            L = loss(model(*xs), t)
            if share is not None:
                L = L * ob.astype(share, L.dtype)
            L.backward()
            return L

        def step(*batch: Any) -> Any:
            L = pour(*batch)
            if clip is not None:
                ob.optim.clip_grad_norm_(optimizer.params, clip)
            optimizer.step()
            optimizer.zero_grad()  # in here, so that a compiled step need not hand them out
            return L

        self.pour, self.step, self.accumulate = run(pour), run(step), accumulate

    def walk(self, batches: Iterable[Any]) -> Iterator[Step]:
        """Every batch once; the last step takes what is left."""
        batches = iter(batches)
        while together := list(islice(batches, self.accumulate)):
            rows = [len(batch[-1]) for batch in together]
            if self.accumulate == 1:
                value = self.step(*together[0]).item()
            else:
                parts = [
                    (np.array(n / sum(rows)), *batch)
                    for n, batch in zip(rows, together, strict=True)
                ]
                losses = [self.pour(*part) for part in parts[:-1]] + [self.step(*parts[-1])]
                value = sum(L.item() for L in losses)
            kinds = tuple(tuple((x.shape, x.dtype.str) for x in batch) for batch in together)
            yield Step(value, sum(rows), kinds)

    def rehearse(self, met: Iterable[Kinds]) -> None:
        """A step with zeros for each of these, for the code that a compiler makes on the way.

        Of batches that differ in size, the first gets code of its own, the later ones share other
        code, which may add in another order. So the same bits want the sizes in the same order.
        """
        with np.errstate(all="ignore"):
            for kinds in met:
                deque(self.walk([tuple(np.zeros(*kind) for kind in batch) for batch in kinds]), 0)
