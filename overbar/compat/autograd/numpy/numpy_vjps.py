"""What rules of one's own need: adjoints summed over the axes that were broadcast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np

from . import numpy_wrapper as anp
from .numpy_wrapper import metadata


def unbroadcast(x: Any, target_meta: tuple[Any, ...], broadcast_idx: int = 0) -> Any:
    """x summed over the axes along which something of the target's shape was repeated."""
    shape, ndim, _, is_complex = target_meta
    while anp.ndim(x) > ndim:
        x = anp.sum(x, axis=broadcast_idx)
    for axis, size in enumerate(shape):
        if size == 1 and anp.shape(x)[axis] != 1:
            x = anp.sum(x, axis=axis, keepdims=True)
    return anp.real(x) if anp.iscomplexobj(x) and not is_complex else x


def unbroadcast_f(target: Any, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f, whose results are summed to the target's shape."""
    meta = metadata(target)
    return lambda g: unbroadcast(f(g), meta)


def match_complex(target: Any, x: Any) -> Any:
    """x, made real or complex as the target is."""
    if anp.iscomplexobj(target) == anp.iscomplexobj(x):
        return x
    return x + 0j if anp.iscomplexobj(target) else anp.real(x)


def replace_zero(x: Any, val: Any) -> Any:
    """x with another value in place of zeros."""
    return anp.where(x, x, val)


def repeat_to_match_shape(
    g: Any, shape: tuple[int, ...], dtype: Any, axis: Any, keepdims: bool
) -> tuple[Any, float]:
    """(A reduction's adjoint spread over the shape that was reduced, how many each stands for)."""
    if shape == ():
        return g, 1
    axes = tuple(range(len(shape))) if axis is None else _np.atleast_1d(axis)
    whole = _np.array(shape)
    whole[list(axes)] = 1
    spread = anp.broadcast_to(anp.reshape(g, tuple(int(n) for n in whole)), shape)
    return spread, float(_np.prod([shape[a] for a in axes]))
