"""Images varied at random while they are learnt from, a whole batch at a time.

Each function takes images (N, C, H, W) and gives new ones of the same dtype; what it draws comes
from `rng`, a generator of NumPy's or overbar's, so that the same seed varies them the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overbar.errors import DataError, DomainError

__all__ = ["normalise", "random_crop", "random_flip", "random_shift"]


def random_crop(x: Any, size: int | Sequence[int], padding: int = 0, *, rng: Any = None) -> Any:
    """From each image another window of this size, after a border of zeros around it.

    Shapes:  x (N, C, H, W)  ->  (N, C, *size); one number is both sizes
    Example:
        >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
        >>> ob.data.random_crop(x, 2, rng=np.random.default_rng(0))
        array([[[[ 9., 10.],
                 [13., 14.]]]])
    """
    x = _images("random_crop", x)
    h, w = (size, size) if isinstance(size, int) else size
    down, right = x.shape[2] + 2 * padding - h, x.shape[3] + 2 * padding - w
    if padding < 0 or min(h, w) < 1 or min(down, right) < 0:
        raise DomainError(
            f"random_crop: a window of {h} x {w}, padding={padding}",
            got={"x": x},
            want="a window that fits into the image and its border",
        )
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rng = _generator(rng)
    rows = np.asarray(rng.integers(0, down + 1, (len(x),)))[:, None] + np.arange(h)
    columns = np.asarray(rng.integers(0, right + 1, (len(x),)))[:, None] + np.arange(w)
    n, c = np.arange(len(x))[:, None, None, None], np.arange(x.shape[1])[:, None, None]
    return x[n, c, rows[:, None, :, None], columns[:, None, None, :]]


def random_shift(x: Any, most: int, *, rng: Any = None) -> Any:
    """Each image moved by up to `most` pixels each way; zeros come in from outside.

    Shapes:  x (N, C, H, W)  ->  the same
    """
    x = _images("random_shift", x)
    return random_crop(x, x.shape[2:], padding=most, rng=rng)


def random_flip(x: Any, p: float = 0.5, *, rng: Any = None) -> Any:
    """Each image mirrored, left for right, with probability p.

    Shapes:  x (N, C, H, W)  ->  the same
    """
    x = _images("random_flip", x)
    if not 0 <= p <= 1:
        raise DomainError(f"random_flip: p={p} is no probability", want="a number from 0 to 1")
    drawn = np.asarray(_generator(rng).integers(0, 1 << 32, (len(x),)))
    return np.where((drawn < p * (1 << 32))[:, None, None, None], x[..., ::-1], x)


def normalise(x: Any, mean: Any, std: Any) -> Any:
    """(x − mean) / std, one number each for all channels, or one for each channel.

    Shapes:  x (N, C, H, W), mean and std () or (C,)  ->  x's shape, and its dtype if it is a float
    """
    x = _images("normalise", x)
    mean, std = (np.asarray(a, np.float64).reshape(-1, 1, 1) for a in (mean, std))
    if not (std > 0).all() or {len(mean), len(std)} - {1, x.shape[1]}:
        raise DomainError(
            "normalise: mean or std does not suit the images",
            got={"x": x, "mean": mean.ravel().tolist(), "std": std.ravel().tolist()},
            want="one number, or one for each channel; std above 0",
        )
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float32)
    return ((x - mean.astype(dtype)) / std.astype(dtype)).astype(dtype, copy=False)


def _images(name: str, x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 4:
        raise DataError(f"{name}: these are no images", got={"x": x}, want="x: (N, C, H, W)")
    return x


def _generator(rng: Any) -> Any:
    if rng is not None:
        return rng
    from overbar import random

    return random.default_generator()
