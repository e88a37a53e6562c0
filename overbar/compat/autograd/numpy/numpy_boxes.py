"""The box of arrays: a Tensor, with the methods and the `_value` that autograd's users know."""

from __future__ import annotations

from typing import Any

from ....handle import Tensor
from ..tracer import Box, getval
from . import numpy_wrapper as anp


class ArrayBox(Box):
    """What an array looks like inside a function that is differentiated: a Tensor."""


def _transpose(self: Tensor, *axes: Any) -> Any:
    return anp.transpose(self, axes[0] if len(axes) == 1 else axes or None)


Tensor._value = property(getval)  # type: ignore[attr-defined]  # noqa: SLF001
Tensor.transpose = _transpose  # type: ignore[attr-defined]
for _name in "argpartition argsort compress dot ptp round searchsorted trace".split():
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, getattr(anp, _name))
