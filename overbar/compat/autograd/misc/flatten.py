"""A nested container as one vector, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....trees import tree_flatten, tree_unflatten
from .. import numpy as np


def flatten(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """(All numbers of a tree as one vector, a function that makes such trees of vectors)."""
    leaves, structure = tree_flatten(value)
    shapes = [np.shape(x) for x in leaves]
    ends = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])
    kinds = [np.iscomplexobj(x) for x in leaves]

    def unflatten(vector: Any) -> Any:
        parts = [
            np.reshape(vector[a:b], shape)[()]
            for a, b, shape in zip(ends[:-1], ends[1:], shapes, strict=True)
        ]
        real = [p if c else np.real(p) for p, c in zip(parts, kinds, strict=True)]
        return tree_unflatten(structure, real if any(kinds) else parts)

    flat = [np.ravel(x) for x in leaves]
    return (np.concatenate(flat) if flat else np.array([])), unflatten


def flatten_func(func: Callable[..., Any], example: Any) -> tuple[Any, Any, Any]:
    """(func as a function of vectors, unflatten, the example as a vector)."""
    vector, unflatten = flatten(example)
    return (lambda x, *args: flatten(func(unflatten(x), *args))[0]), unflatten, vector
