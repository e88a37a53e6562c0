"""Slips that show entry by entry: a sign in some places, a factor that is a value at hand, a
derivative taken at the wrong place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .trials import Trial, equal

PLACES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "the square of {x}": lambda x, y: x * x,
    "the result": lambda x, y: y,
    "the negative of {x}": lambda x, y: -x,
    "twice {x}": lambda x, y: 2 * x,
    "half of {x}": lambda x, y: x / 2,
}
"""Where one may have taken a derivative, instead of at x; y is the result."""


def by_entries(
    trials: Sequence[Trial],
    came: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray],
    i: int,
    names: tuple[str, ...],
) -> list[tuple[str, str]]:
    """The (word, detail) pairs for an adjoint of the right shape: one, or none."""
    for slip in (
        _signs(came, wanted),
        _values(trials, came, wanted, names),
        _place(trials, came, i, names),
    ):
        for found in slip:
            return [found]
    return []


def _signs(came: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> Iterator[tuple[str, str]]:
    """Entries that are negative where they should be positive, or the other way round."""
    if not all(equal(np.abs(c), np.abs(w)) for c, w in zip(came, wanted, strict=True)):
        return
    wrong = np.argwhere(came[0] * wanted[0] < 0)
    at = [int(k) for k in wrong[0]]
    more = f", as are {len(wrong) - 1} more" if len(wrong) > 1 else ""
    yield (
        "sign",
        f"at {at} what came is the negative of what is wanted{more}; other entries are right",
    )


def _values(
    trials: Sequence[Trial],
    came: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray],
    names: tuple[str, ...],
) -> Iterator[tuple[str, str]]:
    """A factor that is an argument or a result, missing or one too many."""
    for said, values in _at_hand(trials, names):
        if np.shape(values[0]) not in ((), came[0].shape):
            continue
        if all(equal(c * v, w) for c, w, v in zip(came, wanted, values, strict=True)):
            yield "factor missing", f"the factor {said} is missing"
        if all(equal(c, w * v) for c, w, v in zip(came, wanted, values, strict=True)):
            yield "factor too many", f"the factor {said} is too many"


def _at_hand(
    trials: Sequence[Trial], names: tuple[str, ...]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """What could be a factor, at every point: a whole argument, a whole result."""
    for j, name in enumerate(names):
        x = trials[0].xs[j]
        if isinstance(x, float | np.ndarray | np.generic):
            yield name, [np.asarray(t.xs[j], np.float64) for t in trials]
    graphs = [t.graph for t in trials]
    if all(g is not None and len(g.outputs) == 1 for g in graphs):
        yield "y, the result,", [np.asarray(g.outputs[0].value) for g in graphs if g is not None]


def _place(
    trials: Sequence[Trial], came: Sequence[np.ndarray], i: int, names: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """The right rule with another value in the place of x."""
    if any(t.graph is None for t in trials):
        return
    for said, place in PLACES.items():
        if all(equal(c, w) for c, w in zip(came, _moved(trials, i, place), strict=False)):
            where = said.format(x=names[i])
            yield "wrong place", f"the derivative is taken at {where}, not at {names[i]}"


def _moved(
    trials: Sequence[Trial], i: int, place: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Iterator[np.ndarray]:
    """The adjoints of argument i at the other place; something that equals nothing if there are
    none.
    """
    for t in trials:
        x = np.asarray(t.xs[i], np.float64)
        y = np.asarray(t.graph.outputs[0].value) if t.graph is not None else x
        there: list[Any] = list(t.xs)
        there[i] = place(x, y)[()]
        bars = t.elsewhere(there) if np.shape(there[i]) == x.shape else None
        yield np.full(x.shape, np.nan) if bars is None else bars[i]
