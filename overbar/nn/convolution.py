"""Convolutions, and their transposes, over one or two space axes.

Channels come before space, and a single sample may lack the batch axis. What a convolution computes
is `ob.conv`; here are the bias, the borders and where the kernels start.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import overbar as ob
from overbar.errors import DomainError, ShapeError

from . import init
from .linear import like
from .module import Module
from .roles import Parameter

__all__ = [
    "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d",
    "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "per_sample",
]  # fmt: skip

_BORDERS = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""PyTorch's names of what stands beyond the border, and ours."""

# -- functions --------------------------------------------------------------------------------


def per_sample(what: str, space: int, x: ob.Tensor, f: Callable[[Any], ob.Tensor]) -> ob.Tensor:
    """f(x), where f wants a batch axis that x may lack.

    Raises:  ShapeError if x has neither (N, C, *space) nor (C, *space).
    """
    if x.ndim == space + 1:
        return f(x[None])[0]
    if x.ndim != space + 2:
        axes = ("L", "H, W")[space - 1]
        raise ShapeError(
            f"{what}: x has {x.ndim} axes", got={"x": x}, want=f"x: (N, C, {axes}) or (C, {axes})"
        )
    return f(x)


def conv1d(
    x: Any,
    weight: ob.Tensor,
    bias: ob.Tensor | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> ob.Tensor:
    """The convolution of x with the kernels, plus a bias for each channel.

    Shapes:  x (N, C, L), weight (O, C / groups, k), bias (O,)  ->  (N, O, places)
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return _convolved("conv1d", ob.conv, 1, x, weight, bias, how)


def conv2d(
    x: Any,
    weight: ob.Tensor,
    bias: ob.Tensor | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> ob.Tensor:
    """The convolution of x with the kernels, plus a bias for each channel.

    Shapes:  x (N, C, H, W), weight (O, C / groups, k, l), bias (O,)  ->  (N, O, rows, columns)
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return _convolved("conv2d", ob.conv, 2, x, weight, bias, how)


def conv_transpose1d(
    x: Any,
    weight: ob.Tensor,
    bias: ob.Tensor | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> ob.Tensor:
    """Every entry of x spread by its kernel, plus a bias for each channel.

    Shapes:  x (N, C, places), weight (C, O / groups, k), bias (O,)  ->  (N, O, L)
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    how["output_padding"] = output_padding
    return _convolved("conv_transpose1d", ob.conv_transpose, 1, x, weight, bias, how)


def conv_transpose2d(
    x: Any,
    weight: ob.Tensor,
    bias: ob.Tensor | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> ob.Tensor:
    """Every entry of x spread by its kernel, plus a bias for each channel.

    Shapes:  x (N, C, rows, columns), weight (C, O / groups, k, l), bias (O,)  ->  (N, O, H, W)
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    how["output_padding"] = output_padding
    return _convolved("conv_transpose2d", ob.conv_transpose, 2, x, weight, bias, how)


def _convolved(
    what: str,
    form: Callable[..., ob.Tensor],
    space: int,
    x: Any,
    weight: ob.Tensor,
    bias: ob.Tensor | None,
    how: dict[str, Any],
) -> ob.Tensor:
    def of_batch(x: Any) -> ob.Tensor:
        y = form(x, weight, **how)
        return y if bias is None else y + ob.reshape(bias, (-1, *(1,) * space))

    return per_sample(what, space, like(x, weight), of_batch)


# -- layers -----------------------------------------------------------------------------------


class _Convolution(Module):
    """What the four have in common: their settings, kernels and bias."""

    space: int
    in_channels: int
    out_channels: int
    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    groups: int

    def _start(self, first: int, second: int, bias: bool, rng: Any, dtype: Any) -> None:
        """Kernels (first, second / groups, *size) and the bias, uniform on ±1/√(fan in)."""
        kind = type(self).__name__
        channels, groups = (self.in_channels, self.out_channels), self.groups
        if groups < 1 or any(c < 1 or c % groups for c in channels):
            raise ShapeError(
                f"{kind}: {channels[0]} to {channels[1]} channels in {groups} groups",
                want="channels in and out that are multiples of groups",
            )
        given = self.kernel_size
        size = tuple(given) if isinstance(given, Sequence) else (given,) * self.space
        whole = all(isinstance(k, numbers.Integral) for k in size)
        if len(size) != self.space or not whole or min(size) < 1:
            raise ShapeError(
                f"{kind}: kernel_size={given!r}",
                want=f"a whole number from 1, or {self.space} of them",
            )
        reach = 1 / math.sqrt(second // groups * math.prod(size))
        shape = first, second // groups, *size
        self.weight = Parameter(init.uniform(shape, reach, rng=rng, dtype=dtype))
        self.bias = (
            Parameter(init.uniform((self.out_channels,), reach, rng=rng, dtype=dtype))
            if bias
            else None
        )

    def _how(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


class _Conv(_Convolution):
    """A convolution; the subclasses say over how many axes."""

    function: Callable[..., ob.Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode not in _BORDERS:
            raise DomainError(
                f"{type(self).__name__}: padding_mode={padding_mode!r} is not a choice",
                want=f"one of {', '.join(_BORDERS)}",
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.groups, self.padding_mode = dilation, groups, padding_mode
        self._start(out_channels, in_channels, bias, rng, dtype)

    def forward(self, x: Any) -> ob.Tensor:
        how = self._how()
        if self.padding_mode != "zeros":
            x = _bordered(ob.asarray(x), self, _BORDERS[self.padding_mode])
            how["padding"] = 0
        return type(self).function(x, self.weight, self.bias, **how)


def _bordered(x: ob.Tensor, layer: _Conv, mode: str) -> ob.Tensor:
    """x with a border that is not zeros, as wide as the layer's padding says."""
    space = layer.space

    def each(given: Any) -> tuple[int, ...]:
        return (given,) * space if isinstance(given, int) else tuple(given)

    if layer.padding == "valid":
        return x
    if layer.padding == "same":
        size = layer.weight.shape[2:]
        total = [d * (k - 1) for k, d in zip(size, each(layer.dilation), strict=True)]
        pairs = [(t // 2, t - t // 2) for t in total]
    else:
        pairs = [(p, p) for p in each(layer.padding)]
    return ob.pad(x, [(0, 0)] * (x.ndim - space) + pairs, mode=mode)


class Conv1d(_Conv):
    """The convolution of sequences with learnt kernels (kernels are not turned round).

    Shapes:  x (N, C, L) or (C, L)  ->  y (N, O, places) or (O, places);
             weight (O, C / groups, k), bias (O,);
             places = ⌊(L + 2 padding − dilation (k − 1) − 1) / stride⌋ + 1
    padding: a number, "valid" (none), or "same" (at stride 1 the length stays).
    padding_mode: what stands beyond the border: "zeros", "reflect", "replicate" or "circular".
    Start:   weight and bias uniform on ±1/√(C / groups · k).
    Example:
        >>> layer = ob.nn.Conv1d(4, 6, 3, padding="same")
        >>> layer(np.ones((2, 4, 10))).shape, layer.weight.shape
        ((2, 6, 10), (6, 4, 3))
    """

    space = 1
    function = staticmethod(conv1d)


class Conv2d(_Conv):
    """The convolution of images with learnt kernels (kernels are not turned round).

    Shapes:  x (N, C, H, W) or (C, H, W)  ->  y (N, O, rows, columns) or (O, rows, columns);
             weight (O, C / groups, k, l), bias (O,)
    kernel_size, stride, padding, dilation: a number, or one for each axis.
    padding: also "valid" (none), or "same" (at stride 1 the size stays).
    groups:  channels in so many parts that do not see each other; groups=C is depthwise.
    padding_mode: what stands beyond the border: "zeros", "reflect", "replicate" or "circular".
    Start:   weight and bias uniform on ±1/√(C / groups · k l).
    Example:
        >>> layer = ob.nn.Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2))
        >>> layer(np.ones((2, 3, 16, 16))).shape
        (2, 8, 8, 8)
    """

    space = 2
    function = staticmethod(conv2d)


class _ConvTranspose(_Convolution):
    """A transposed convolution; the subclasses say over how many axes."""

    function: Callable[..., ob.Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.output_padding, self.dilation, self.groups = output_padding, dilation, groups
        self._start(in_channels, out_channels, bias, rng, dtype)

    def forward(self, x: Any) -> ob.Tensor:
        how = {**self._how(), "output_padding": self.output_padding}
        return type(self).function(x, self.weight, self.bias, **how)


class ConvTranspose1d(_ConvTranspose):
    """The transpose of a convolution of sequences: every entry spread by its kernel.

    Shapes:  x (N, C, places)  ->  y (N, O, L);   weight (C, O / groups, k), bias (O,);
             L = (places − 1) stride − 2 padding + dilation (k − 1) + output_padding + 1
    Start:   weight and bias uniform on ±1/√(O / groups · k).
    """

    space = 1
    function = staticmethod(conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a convolution of images: every entry spread by its kernel.

    Shapes:  x (N, C, rows, columns)  ->  y (N, O, H, W);   weight (C, O / groups, k, l), bias (O,)
    Start:   weight and bias uniform on ±1/√(O / groups · k l).
    Example:
        >>> layer = ob.nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1)
        >>> layer(np.ones((1, 3, 8, 8))).shape
        (1, 2, 16, 16)
    """

    space = 2
    function = staticmethod(conv_transpose2d)
