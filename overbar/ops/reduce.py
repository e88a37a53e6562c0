"""From many entries to few: sums, products, extremes, and their running forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..primitive import LINEAR, Primitive, public
from ..spec import Spec, axes, spec
from ..apply import apply
from ..handle import Tensor, as_tensor
from .repeat import sum


@public
def mean(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over the given axes (all of them by default).

    Rule:    x̄ is ȳ / n, repeated.
    Raises:  ShapeError for the mean of nothing.
    """
    x = as_tensor(x)
    over = axes("mean", axis, x.ndim)
    n = math.prod(x.shape[a] for a in over)
    if n == 0:
        raise ShapeError("mean: there is nothing to take the mean of", got={"x": x})
    return sum(x, axis, keepdims) / n

