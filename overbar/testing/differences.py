"""Derivatives by central differences: the reference that knows nothing of rules.

Source:  Ridders (1982): halve the step, extrapolate to step 0 (Richardson), believe the entry of
         the table whose neighbours agree best. Done for each component by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

HALVINGS = 8
LADDERS = (4, 11, 18, 25, 32)
"""Each ladder of steps begins at 2^-k; the next is tried where the one before did not settle."""


class Slope(NamedTuple):
    """A derivative, and how far off it may be (infinite where nothing settled)."""

    value: np.ndarray
    error: np.ndarray


def along(
    f: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    v: np.ndarray,
    *,
    good: float = 1e-9,
    ladders: tuple[int, ...] = LADDERS,
) -> Slope:
    """The derivative of f, from vectors to vectors, at x in the direction v."""
    reach = max(1.0, float(np.max(np.abs(x * (v != 0)), initial=0.0)))
    with np.errstate(all="ignore"):
        best = _nearer(f, x, v, _ladder(f, x, v, reach * 2.0 ** -ladders[0]))
        for k in ladders[1:]:
            size = np.abs(best.value) + np.max(np.abs(best.value), initial=0.0)
            if np.all(best.error <= good * size):
                break
            found = _ladder(f, x, v, reach * 2.0**-k)
            best = _chosen(found.error < best.error, found, best)
    return best


def _chosen(which: np.ndarray, one: Slope, other: Slope) -> Slope:
    return Slope(np.where(which, one.value, other.value), np.where(which, one.error, other.error))


def _nearer(
    f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, v: np.ndarray, found: Slope
) -> Slope:
    """A second opinion close to 0: steps that go beyond it may agree and all be wrong."""
    sizes = np.abs(x[v != 0])
    if sizes.size != 1 or not 0 < sizes[0] < 2.0 ** -LADDERS[0]:
        return found
    close = _ladder(f, x, v, float(sizes[0]) / 4)
    differ = np.abs(close.value - found.value) > 4 * (close.error + found.error)
    return _chosen(differ, close, found)


def _ladder(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, v: np.ndarray, h: float) -> Slope:
    """Ridders' table for steps h, h/2, h/4, …"""
    above: list[np.ndarray] = []
    value = error = np.zeros(0)
    for _ in range(HALVINGS):
        up, down = x + h * v, x - h * v
        row = [(f(up) - f(down)) / (2 * h)]
        if not above:
            value, error = row[0], np.full(row[0].shape, np.inf)
        for j, before in enumerate(above):
            row.append(row[j] + (row[j] - before) / (4.0 ** (j + 1) - 1))
            off = np.maximum(np.abs(row[j + 1] - row[j]), np.abs(row[j + 1] - before))
            better = off < error  # False for NaN
            value, error = np.where(better, row[j + 1], value), np.where(better, off, error)
        above, h = row, h / 2
    return Slope(value, error)


def kinked(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, v: np.ndarray) -> bool:
    """Whether the slopes from the left and from the right differ, or f jumps.

    The gap between them shrinks with the step where f is smooth, and stays where it is not.
    """
    with np.errstate(all="ignore"):
        here = f(x)
        sides = [(f(x + h * v) - here, here - f(x - h * v), h) for h in (1e-4, 1e-6)]
    rounding = 1e-14 * np.max(np.abs(here), initial=0.0)
    gaps = [np.abs(right - left) / h for right, left, h in sides]
    jumps = [np.maximum(np.abs(right), np.abs(left)) for right, left, _ in sides]
    bent = (gaps[1] > rounding / sides[1][2]) & (gaps[1] > 0.3 * gaps[0])
    torn = (jumps[1] > rounding) & (jumps[1] > 0.3 * jumps[0])
    return bool(np.any(bent | torn))
