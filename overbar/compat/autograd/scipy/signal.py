"""`autograd.scipy.signal`: convolution along some axes, summed along others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import scipy.signal as _theirs

from .. import numpy as np
from ..numpy.dispatch import passed

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def __getattr__(name: str) -> Any:
    return passed(_theirs, name)


def convolve(
    A: Any,
    B: Any,
    axes: Sequence[Sequence[int]] | None = None,
    dot_axes: Sequence[Sequence[int]] = ((), ()),
    mode: str = "full",
) -> Any:
    """The convolution of A and B along pairs of axes, summed over the pairs `dot_axes`.

    Shapes:  (A's other axes, B's other axes, the convolved axes); mode "full", "valid" or "same"
             (the size of A), as in SciPy.
    """
    if mode not in ("full", "valid", "same"):
        raise ValueError(f"convolve: mode={mode!r}; it is 'full', 'valid' or 'same'")
    along = [list(range(np.ndim(A)))] * 2 if axes is None else [list(a) for a in axes]
    sizes = [(np.shape(A)[i], np.shape(B)[j]) for i, j in zip(*along, strict=True)]
    if mode == "valid" and any(n < m for n, m in sizes) and any(n > m for n, m in sizes):
        raise ValueError(f"convolve: valid, but neither is the larger along all axes: {sizes}")
    free = iter(_LETTERS)
    a = [next(free) for _ in np.shape(A)]
    b = [next(free) for _ in np.shape(B)]
    for i, j in zip(*dot_axes, strict=True):
        b[j] = a[i]
    kept = [x for i, x in enumerate(a) if i not in along[0] and i not in dot_axes[0]]
    kept += [x for j, x in enumerate(b) if j not in along[1] and j not in dot_axes[1]]
    wide, terms, cut = A, dict(enumerate(a)), []
    for (i, j), (n, m) in sorted(zip(zip(*along, strict=True), sizes, strict=True), reverse=True):
        wide = _windows(wide, i, n, m)
        terms[i] = next(free) + b[j]
    form = f"{''.join(terms.values())},{''.join(b)}->{''.join(kept)}"
    y = np.einsum(form + "".join(terms[i][0] for i in along[0]), wide, B)
    for n, m in sizes:
        start, size = {
            "full": (0, n + m - 1),
            "same": ((m - 1) // 2, n),
            "valid": (min(n, m) - 1, abs(n - m) + 1),
        }[mode]
        cut.append(slice(start, start + size))
    return y[(slice(None),) * len(kept) + tuple(cut)]


def _windows(x: Any, axis: int, n: int, m: int) -> Any:
    """x with an axis of size n as two, (n + m − 1, m): entry (i, k) is x[i − k], or 0."""
    margins = [(0, 0)] * np.ndim(x)
    margins[axis] = (m - 1, m - 1)
    index = np.arange(n + m - 1)[:, None] + (m - 1) - np.arange(m)
    return np.pad(x, margins, mode="constant")[(slice(None),) * axis + (index,)]
