"""`autograd.numpy.linalg`: np.linalg, lifted."""

from __future__ import annotations

from typing import Any

import numpy as _np
import numpy.linalg as _linalg

import overbar as _ob

from ....handle import Tensor as _Tensor
from . import numpy_wrapper as anp
from .dispatch import passed, wrap_namespace

wrap_namespace(vars(_linalg), globals())


def __getattr__(name: str) -> Any:
    return passed(_linalg, name)


def eigh(a: Any, UPLO: str = "L") -> Any:
    """np.linalg.eigh: of one triangle of a, to which the whole derivative goes."""
    if UPLO == "L" and not isinstance(a, _Tensor):
        return _np.linalg.eigh(a)
    half, strict = (anp.tril, -1) if UPLO == "L" else (anp.triu, 1)
    rest, eye = half(a, k=strict), _np.eye(a.shape[-1], dtype=a.dtype)
    whole = rest + anp.conj(anp.swapaxes(rest, -1, -2)) + anp.real(a * eye)
    return _ob.linalg.eigh(whole) if isinstance(a, _Tensor) else _np.linalg.eigh(whole)


def T(x: Any) -> Any:  # noqa: N802  (autograd's name)
    """The matrices, transposed."""
    return anp.swapaxes(x, -1, -2)


_dot = anp.matmul
