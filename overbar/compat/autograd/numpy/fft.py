"""`autograd.numpy.fft`: np.fft, lifted."""

from __future__ import annotations

from typing import Any

import numpy.fft as _fft

from .dispatch import passed, wrap_namespace

wrap_namespace(vars(_fft), globals())


def __getattr__(name: str) -> Any:
    return passed(_fft, name)
