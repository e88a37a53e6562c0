"""A line search: how far to go in a direction of descent.

A step t is taken when it satisfies the strong conditions of Wolfe: the value has fallen enough for
the distance, φ(t) ≤ φ(0) + c₁ t φ'(0), and the slope has flattened enough, |φ'(t)| ≤ c₂ |φ'(0)|.

Source: Nocedal and Wright (2006), Numerical Optimization, algorithms 3.5 and 3.6, with the cubic
interpolation of Schmidt's minFunc, as PyTorch has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["Trial", "strong_wolfe"]


class Trial(NamedTuple):
    """A step t along the direction, and what is there: the value, the gradient and the slope."""

    t: float
    value: float
    gradient: np.ndarray
    slope: float


def strong_wolfe(
    look: Callable[[float], Trial],
    start: Trial,
    t: float,
    reach: float,
    *,
    c1: float = 1e-4,
    c2: float = 0.9,
    smallest: float = 1e-9,
    most: int = 25,
) -> tuple[Trial, int]:
    """(the step taken, how many were tried).

    look      tries a step; start is the one of length 0, t the first to try
    reach     the largest entry of the direction: steps closer than smallest / reach are the same
    """
    new, before, tried = look(t), start, 1
    for i in range(most):
        if new.value > start.value + c1 * new.t * start.slope or (
            i > 1 and new.value >= before.value
        ):
            bracket = [before, new]
            break
        if abs(new.slope) <= -c2 * start.slope:
            return new, tried
        if new.slope >= 0:
            bracket = [before, new]
            break
        further = _cubic(before, new, (new.t + 0.01 * (new.t - before.t), 10 * new.t))
        before, new, tried = new, look(further), tried + 1
    else:
        bracket = [start, new]
    return _between(look, start, bracket, tried, c1, c2, smallest / reach, most)


def _between(
    look: Callable[[float], Trial],
    start: Trial,
    bracket: list[Trial],
    tried: int,
    c1: float,
    c2: float,
    closest: float,
    most: int,
) -> tuple[Trial, int]:
    """Close in on a step between the two of the bracket; the lower of the two if none is found."""
    low, high = sorted(bracket, key=lambda trial: trial.value)
    timid = False  # the last step hardly left an end of the bracket
    while tried <= most and abs(high.t - low.t) >= closest:
        left, right = sorted((low.t, high.t))
        t, margin = _cubic(low, high), 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if timid or not left < t < right:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                timid = False
            else:
                timid = True
        else:
            timid = False
        new, tried = look(t), tried + 1
        if new.value > start.value + c1 * t * start.slope or new.value >= low.value:
            high = new
            if high.value < low.value:
                low, high = high, low
            continue
        if abs(new.slope) <= -c2 * start.slope:
            return new, tried
        if new.slope * (high.t - low.t) >= 0:
            high = low
        low = new
    return low, tried


def _cubic(a: Trial, b: Trial, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic with these two values and slopes is least, kept within the bounds."""
    low, high = bounds or (min(a.t, b.t), max(a.t, b.t))
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    if a.t > b.t:
        a, b = b, a
    d2 = math.sqrt(square)
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, low), high)
