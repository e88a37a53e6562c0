"""What things count as, where it is asked whether they are still what they were."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from ..handle import Tensor
from ..trees import tree_flatten

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), range)
"""Types whose values are what they are: nothing inside them changes."""

LARGE = 1000
"""Containers with more entries count by identity and length."""

MISSING = object()
"""In a Watch: there was nothing."""


def counted(thing: Any) -> tuple[Any, str]:
    """What a thing counts as, comparable, and how it is shown."""
    kind = type(thing)
    if isinstance(thing, float | complex) and kind in (float, complex):
        return (kind, repr(thing)), repr(thing)  # 0.0 is not -0.0, and nan is nan
    if isinstance(thing, PLAIN):
        return (kind, thing), shown(thing)
    if isinstance(thing, np.generic):
        return (kind, thing.tobytes()), shown(thing)
    if isinstance(thing, np.dtype):
        return (kind, thing.str), str(thing)
    if kind in (list, dict, set) and len(thing) <= LARGE:
        return (kind,), f"a {kind.__name__}"
    if kind in (tuple, frozenset) and len(thing) <= LARGE:
        return (kind, len(thing)), f"a {kind.__name__} of {len(thing)}"
    if isinstance(thing, types.FunctionType):
        return ("code", id(thing.__code__)), f"{thing.__name__}()"
    if isinstance(thing, types.MethodType):
        return ("method", id(thing.__func__), id(thing.__self__)), f"{thing.__name__}()"
    if thing is MISSING:
        return ("missing",), "nothing"
    return ("id", id(thing)), f"a {kind.__name__}"


def described(value: Any) -> tuple[Any, ...]:
    """What a tree with tensors in it is like: for these it does not count which they are."""
    leaves, structure = tree_flatten(value)
    return structure, tuple(
        (t.spec, t.requires_grad, t.is_leaf) if isinstance(t, Tensor) else counted(t)[0]
        for t in leaves
    )


def shown(thing: Any) -> str:
    """It, in a few letters."""
    text = repr(thing)
    return text if len(text) <= 60 else text[:57] + "..."
