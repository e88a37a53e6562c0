"""`autograd.numpy.random`: NumPy's generators as they are; nothing flows through a sample."""

from __future__ import annotations

from typing import Any

import numpy.random as _random

from .dispatch import passed

globals().update({n: getattr(_random, n) for n in _random.__all__})


def __getattr__(name: str) -> Any:
    return passed(_random, name)
