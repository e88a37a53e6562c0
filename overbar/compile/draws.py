"""Draws from generators that are not overbar's: they would be drawn once, while tracing, and then
never again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import RebindError
from ..trees import tree_flatten

KINDS = (np.random.Generator, np.random.RandomState, random.Random)


class Draws:
    """How far NumPy's and Python's own generators have come, and those among some things."""

    def __init__(self, things: Iterable[Any]) -> None:
        found = {id(t): t for t in things if isinstance(t, KINDS)}
        found = {i: t for i, t in found.items() if not isinstance(t, random.SystemRandom)}
        self._before = [(t, _state(t)) for t in (np.random, random, *found.values())]

    def refuse(self) -> None:
        """RebindError if something was drawn since."""
        for source, before in self._before:
            if _state(source) != before:
                raise RebindError(
                    f"jit: the function draws from {_called(source)}, which would be drawn once "
                    "and then never again",
                    hint="use ob.random (a Generator can be passed in or closed over)",
                )


def _state(source: Any) -> Any:
    """What its next numbers depend on, comparable."""
    if hasattr(source, "getstate"):  # Python's
        return source.getstate()
    numpys = isinstance(source, np.random.Generator)
    known = source.bit_generator.state if numpys else source.get_state(legacy=False)
    leaves = tree_flatten(known)[0]
    return [x.tobytes() if isinstance(x, np.ndarray) else x for x in leaves]


def _called(source: Any) -> str:
    if source is np.random:
        return "np.random"
    kind = source if source is random else type(source)
    return (
        f"Python's {kind.__name__}"
        if hasattr(source, "getstate")
        else f"a np.random.{kind.__name__}"
    )
