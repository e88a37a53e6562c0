"""`autograd.numpy`: NumPy's whole namespace, whose functions take boxes as well."""

from __future__ import annotations

from typing import Any

import numpy as _np

from . import fft, linalg, numpy_boxes, numpy_vjps, numpy_vspaces, random
from .dispatch import passed
from .numpy_wrapper import *  # noqa: F403
from .numpy_wrapper import __version__


def __getattr__(name: str) -> Any:
    return passed(_np, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_np)})
