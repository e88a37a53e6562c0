"""Python's own containers: they need no wrapping here, since trees of boxes are trees.

`isinstance` and `type` answer for the value in a box, as they did under autograd.
"""

from __future__ import annotations

import builtins as _python
from typing import Any

import numpy as _np

from .tracer import Box as _Box
from .tracer import getval as _getval

tuple, list, dict = _python.tuple, _python.list, _python.dict
tuple_, list_, dict_, isinstance_, type_ = (
    tuple, list, dict, _python.isinstance, _python.type,
)  # fmt: skip


def isinstance(x: Any, kinds: Any) -> bool:
    """Whether the value is one of these; a box counts as what it holds."""
    return isinstance_(x, kinds) or isinstance_(_getval(x), kinds)


def type(x: Any) -> Any:
    """The type of a value; of a box, of what it holds."""
    value = _getval(x)
    return _np.ndarray if isinstance_(value, _np.ndarray) else type_(value)


class SequenceBox(_Box):
    """For annotations: inside a function a list is a list of boxes."""


class DictBox(_Box):
    """For annotations: inside a function a dict is a dict of boxes."""
