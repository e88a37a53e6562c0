"""Pooling: the greatest or the mean of windows, over one or two space axes.

Windows may overlap. Channels come before space, and a single sample may lack the batch axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DTypeError, ShapeError

from .convolution import per_sample
from .module import Module

__all__ = [
    "MaxPool1d", "MaxPool2d", "AvgPool1d", "AvgPool2d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d",
    "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d",
]  # fmt: skip

# -- functions --------------------------------------------------------------------------------


def max_pool1d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> ob.Tensor:
    """The greatest entry of every window; the border counts as −∞.

    Shapes:  x (N, C, L)  ->  (N, C, ⌊(L + 2 padding − kernel_size) / stride⌋ + 1)
    """
    return _pooled("max_pool1d", ob.max_pool, 1, x, kernel_size, stride, padding)


def max_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> ob.Tensor:
    """The greatest entry of every window; the border counts as −∞.

    Shapes:  x (N, C, H, W)  ->  (N, C, rows, columns)
    """
    return _pooled("max_pool2d", ob.max_pool, 2, x, kernel_size, stride, padding)


def avg_pool1d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True
) -> ob.Tensor:
    """The mean of every window; `count_include_pad` is whether the border's zeros count.

    Shapes:  x (N, C, L)  ->  (N, C, ⌊(L + 2 padding − kernel_size) / stride⌋ + 1)
    """
    how = {"count_include_pad": count_include_pad}
    return _pooled("avg_pool1d", ob.avg_pool, 1, x, kernel_size, stride, padding, **how)


def avg_pool2d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True
) -> ob.Tensor:
    """The mean of every window; `count_include_pad` is whether the border's zeros count.

    Shapes:  x (N, C, H, W)  ->  (N, C, rows, columns)
    """
    how = {"count_include_pad": count_include_pad}
    return _pooled("avg_pool2d", ob.avg_pool, 2, x, kernel_size, stride, padding, **how)


def _pooled(
    what: str,
    pool: Callable[..., ob.Tensor],
    space: int,
    x: Any,
    size: Any,
    stride: Any,
    padding: Any,
    **how: Any,
) -> ob.Tensor:
    def of_batch(x: Any) -> ob.Tensor:
        return pool(x, size, stride=stride, padding=padding, **how)

    return per_sample(what, space, ob.asarray(x), of_batch)


def adaptive_avg_pool1d(x: Any, output_size: int | None) -> ob.Tensor:
    """The means of `output_size` windows that share the length as evenly as can be.

    Shapes:  x (N, C, L)  ->  (N, C, output_size)
    """
    return _adapted("adaptive_avg_pool1d", 1, x, output_size)


def adaptive_avg_pool2d(x: Any, output_size: Any) -> ob.Tensor:
    """The means of windows that share the space as evenly as can be.

    Shapes:  x (N, C, H, W)  ->  (N, C, rows, columns), `output_size` being (rows, columns), or one
             number for both; None leaves an axis as it is.
    Rule:    window i of m on an axis of n is from ⌊i n / m⌋ to ⌈(i + 1) n / m⌉.
    Example:
        >>> ob.nn.functional.adaptive_avg_pool2d(np.ones((1, 3, 7, 9)), (2, None)).shape
        (1, 3, 2, 9)
    """
    return _adapted("adaptive_avg_pool2d", 2, x, output_size)


def _adapted(what: str, space: int, x: Any, given: Any) -> ob.Tensor:
    asked = tuple(given) if isinstance(given, list | tuple) else (given,) * space
    if len(asked) != space or any(m is not None and m < 1 for m in asked):
        raise ShapeError(
            f"{what}: output_size={given!r}",
            want="a whole number from 1, or None" + (", or a pair of them" if space == 2 else ""),
        )
    x = ob.asarray(x)
    if x.dtype.kind != "f":
        raise DTypeError(f"{what}: the mean of {x.dtype}", got={"x": x}, hint="x.astype(float)")
    return per_sample(what, space, x, lambda x: _means(what, x, asked))


def _means(what: str, x: ob.Tensor, asked: tuple[int | None, ...]) -> ob.Tensor:
    """The mean over a box is the mean along one axis after the other."""
    space = x.shape[2:]
    if 0 in space:
        raise ShapeError(f"{what}: there is nothing to take the mean of", got={"x": x})
    out = [n if m is None else m for n, m in zip(space, asked, strict=True)]
    if all(n % m == 0 for n, m in zip(space, out, strict=True)):  # equal windows
        split = [size for n, m in zip(space, out, strict=True) for size in (m, n // m)]
        inner = tuple(range(3, 3 + 2 * len(out), 2))
        return ob.mean(ob.reshape(x, (*x.shape[:2], *split)), inner)
    x = ob.matmul(x, _shares(space[-1], out[-1], x.dtype).T)
    return x if len(out) == 1 else ob.matmul(_shares(space[0], out[0], x.dtype), x)


def _shares(n: int, m: int, dtype: np.dtype) -> np.ndarray:
    """The matrix (m, n) that takes the means of m windows."""
    rows = np.zeros((m, n), dtype)
    for i in range(m):
        start, stop = i * n // m, -(-(i + 1) * n // m)
        rows[i, start:stop] = 1 / (stop - start)
    return rows


# -- layers -----------------------------------------------------------------------------------


class _Windows(Module):
    """Settings of windows; the stride is the size unless it is given."""

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding


class MaxPool1d(_Windows):
    """The greatest entry of every window of a sequence.

    Shapes:  x (N, C, L) or (C, L)  ->  (N, C, places) or (C, places)
    Rule:    x̄ is ȳ, added where the winners are; of equals, the first wins.
    """

    def forward(self, x: Any) -> ob.Tensor:
        return max_pool1d(x, self.kernel_size, self.stride, self.padding)


class MaxPool2d(_Windows):
    """The greatest entry of every window of an image. The stride is the size unless it is given.

    Shapes:  x (N, C, H, W) or (C, H, W)  ->  (N, C, rows, columns) or (C, rows, columns)
    Rule:    x̄ is ȳ, added where the winners are; of equals, the first (row by row) wins.
    Example:
        >>> ob.nn.MaxPool2d(3, stride=2)(np.ones((1, 96, 55, 55))).shape  # overlapping
        (1, 96, 27, 27)
    """

    def forward(self, x: Any) -> ob.Tensor:
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)


class _Means(_Windows):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.count_include_pad = count_include_pad


class AvgPool1d(_Means):
    """The mean of every window of a sequence.

    Shapes:  x (N, C, L) or (C, L)  ->  (N, C, places) or (C, places)
    """

    def forward(self, x: Any) -> ob.Tensor:
        return avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.count_include_pad)


class AvgPool2d(_Means):
    """The mean of every window of an image; `count_include_pad`: whether the border's zeros count.

    Shapes:  x (N, C, H, W) or (C, H, W)  ->  (N, C, rows, columns) or (C, rows, columns)
    """

    def forward(self, x: Any) -> ob.Tensor:
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.count_include_pad)


class _Adaptive(Module):
    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size


class AdaptiveAvgPool1d(_Adaptive):
    """The means of `output_size` windows, whatever the length.

    Shapes:  x (N, C, L) or (C, L)  ->  (N, C, output_size) or (C, output_size)
    """

    def forward(self, x: Any) -> ob.Tensor:
        return adaptive_avg_pool1d(x, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """The means of (rows, columns) windows, whatever the size of the image.

    Shapes:  x (N, C, H, W) or (C, H, W)  ->  (N, C, rows, columns) or (C, rows, columns)
    Example:
        >>> ob.nn.AdaptiveAvgPool2d(1)(np.ones((2, 5, 7, 9))).shape
        (2, 5, 1, 1)
    """

    def forward(self, x: Any) -> ob.Tensor:
        return adaptive_avg_pool2d(x, self.output_size)
