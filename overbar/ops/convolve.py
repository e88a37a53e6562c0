"""Convolution: one trilinear form and its three faces.

    T(x, w, y) = Σ  y[n, o, t]  w[o, c, k]  x[n, c, s t + d k − p]     (s, d, p: stride, dilation,
                                                                       padding)

`conv_` is its derivative by y, `conv_input_` by x, `conv_weight_` by w. So each one's rules are the
other two, and derivatives of any order are convolutions again. Arrays have the channels first,
(N, C, *space), and any number of space axes; what is computed is, as everywhere in deep learning,
a correlation: the kernel is not turned round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DomainError, DTypeError, ShapeError
from ..handle import Tensor, as_tensor, asarray
from ..primitive import Primitive, public
from ..spec import Spec, spec
from .movement import transpose
from .repeat import broadcast, reshape, reshape_
from .windows import (
    Pairs,
    Sizes,
    check_windows,
    padded,
    paddings,
    per_axis,
    window_arguments,
    window_count,
    windows,
)
from .windows import places as places_of

AT_ONCE = 1 << 24
"""How many entries of the unfolded input are held at a time: 64 MB of float32."""

# -- windows ----------------------------------------------------------------------------------


def _blocks(n: int, each: int) -> Iterator[slice]:
    """The samples, so many at a time that their windows fit."""
    block = max(1, AT_ONCE // max(each, 1))
    for start in range(0, n, block):
        yield slice(start, start + block)


def _conv(
    xp: Any, x: Any, w: Any, *, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Any:
    n, (out, per_group), kernel = x.shape[0], w.shape[:2], w.shape[2:]
    count = window_count(x.shape[2:], kernel, stride, padding, dilation)
    x, depth, places = padded(xp, x, padding), per_group * math.prod(kernel), math.prod(count)
    w = w.reshape(groups, out // groups, depth)
    y = xp.empty((n, groups, out // groups, places), xp.result_type(x, w))
    for block in _blocks(n, groups * depth * places):
        columns = windows(xp, x[block], kernel, stride, dilation, count)
        xp.matmul(w, columns.reshape(len(columns), groups, depth, places), out=y[block])
    return y.reshape(n, out, *count)


def _conv_input(
    xp: Any,
    y: Any,
    w: Any,
    *,
    space: Sizes,
    stride: Sizes,
    padding: Pairs,
    dilation: Sizes,
    groups: int,
) -> Any:
    n, (out, per_group), kernel, count = y.shape[0], w.shape[:2], w.shape[2:], y.shape[2:]
    depth, places = per_group * math.prod(kernel), math.prod(count)
    back = w.reshape(groups, out // groups, depth).swapaxes(1, 2)
    wide = tuple(m + a + b for m, (a, b) in zip(space, padding, strict=True))
    x = xp.zeros((n, groups * per_group, *wide), xp.result_type(y, w))
    for block in _blocks(n, groups * depth * places):
        part = y[block]
        rows = part.reshape(len(part), groups, out // groups, places)
        columns = xp.matmul(back, rows).reshape(len(part), groups * per_group, *kernel, *count)
        for k in np.ndindex(*kernel):
            x[block][(slice(None), slice(None), *places_of(k, stride, dilation, count))] += columns[
                :, :, *k
            ]
    return x[
        (
            slice(None),
            slice(None),
            *(slice(a, a + m) for m, (a, _) in zip(space, padding, strict=True)),
        )
    ]


def _conv_weight(
    xp: Any,
    x: Any,
    y: Any,
    *,
    kernel: Sizes,
    stride: Sizes,
    padding: Pairs,
    dilation: Sizes,
    groups: int,
) -> Any:
    (n, channels), out, count = x.shape[:2], y.shape[1], y.shape[2:]
    per_group = channels // groups
    x, depth, places = padded(xp, x, padding), per_group * math.prod(kernel), math.prod(count)
    w = xp.zeros((groups, out // groups, depth), xp.result_type(x, y))
    k = len(kernel)
    order = (1, *range(2, 2 + k), 0, *range(2 + k, 2 + 2 * k))  # (C, *kernel, N, *count)
    for block in _blocks(n, groups * depth * places):
        columns = windows(xp, x[block], kernel, stride, dilation, count).transpose(order)
        part = y[block]
        samples = len(part)
        rows = part.reshape(samples, groups, out // groups, places).transpose(1, 2, 0, 3)
        w += xp.matmul(
            rows.reshape(groups, out // groups, samples * places),
            columns.reshape(groups, depth, samples * places).swapaxes(1, 2),
        )
    return w.reshape(out, per_group, *kernel)


# -- lanes: vmap ------------------------------------------------------------------------------
# A lane becomes a part of the batch where only the data carry lanes, and a group where the kernel
# carries them too: channels are then ordered (lane, group, channel of the group).


def _widened(n: int, mapped: Sequence[bool], xs: Sequence[Any]) -> list[Any]:
    return [x if m else broadcast(x, shape=(n, *x.shape)) for x, m in zip(xs, mapped, strict=True)]


def _into_batch(x: Any) -> Any:
    return reshape_(x, shape=(x.shape[0] * x.shape[1], *x.shape[2:]))


def _out_of_batch(x: Any, n: int) -> Any:
    return reshape_(x, shape=(n, x.shape[0] // n, *x.shape[1:]))


def _into_channels(x: Any) -> Any:
    """(n, N, C, ...) -> (N, n C, ...)"""
    x = transpose(x, order=(1, 0, *range(2, x.ndim)))
    return reshape_(x, shape=(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]))


def _out_of_channels(x: Any, n: int) -> Any:
    x = reshape_(x, shape=(x.shape[0], n, x.shape[1] // n, *x.shape[2:]))
    return transpose(x, order=(1, 0, *range(2, x.ndim)))


def _conv_lanes(n: int, mapped: Sequence[bool], x: Any, w: Any, *, groups: int, **how: Any) -> Any:
    if not mapped[1]:
        return _out_of_batch(conv_(_into_batch(x), w, groups=groups, **how), n)
    if not mapped[0] and groups == 1:  # one input, more output channels
        return _out_of_channels(conv_(x, _into_batch(w), groups=1, **how), n)
    x, w = _widened(n, mapped, (x, w))
    return _out_of_channels(conv_(_into_channels(x), _into_batch(w), groups=n * groups, **how), n)


def _input_lanes(n: int, mapped: Sequence[bool], y: Any, w: Any, *, groups: int, **how: Any) -> Any:
    if not mapped[1]:
        return _out_of_batch(conv_input_(_into_batch(y), w, groups=groups, **how), n)
    y, w = _widened(n, mapped, (y, w))
    return _out_of_channels(
        conv_input_(_into_channels(y), _into_batch(w), groups=n * groups, **how), n
    )


def _weight_lanes(
    n: int, mapped: Sequence[bool], x: Any, y: Any, *, groups: int, **how: Any
) -> Any:
    if not mapped[0] and groups == 1:
        return _out_of_batch(conv_weight_(x, _into_channels(y), groups=1, **how), n)
    x, y = _widened(n, mapped, (x, y))
    return _out_of_batch(
        conv_weight_(_into_channels(x), _into_channels(y), groups=n * groups, **how), n
    )


# -- the primitives ---------------------------------------------------------------------------


def _conv_shape(
    x: Spec, w: Spec, *, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Spec:
    count = window_count(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return spec((x.shape[0], w.shape[0], *count), np.result_type(x.dtype, w.dtype))


def _input_shape(y: Spec, w: Spec, *, space: Sizes, groups: int, **_: Any) -> Spec:
    return spec((y.shape[0], groups * w.shape[1], *space), np.result_type(y.dtype, w.dtype))


def _weight_shape(x: Spec, y: Spec, *, kernel: Sizes, groups: int, **_: Any) -> Spec:
    return spec((y.shape[1], x.shape[1] // groups, *kernel), np.result_type(x.dtype, y.dtype))


_PLAIN = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
_WIDE = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": 2}

conv_ = Primitive(
    "conv",
    forward=_conv,
    shape=_conv_shape,
    batch=_conv_lanes,
    complex=True,
    text="{0} ∗ {1}",
    tex=r"{0} \ast {1}",
    vjp=(
        lambda y_bar, _y, _x, w, **how: conv_input_(y_bar, w, space=_x.shape[2:], **how),
        lambda y_bar, _y, x, _w, **how: conv_weight_(x, y_bar, kernel=_w.shape[2:], **how),
    ),
    samples=lambda r: [
        ((r(2, 3, 7), r(4, 3, 3)), _PLAIN),
        ((r(2, 4, 6, 5), r(6, 2, 3, 2)), _WIDE),
        ((r(0, 3, 7), r(4, 3, 3)), _PLAIN),
    ],
    doc="The convolution of x with the kernels w.",
)
conv_input_ = Primitive(
    "conv_input",
    forward=_conv_input,
    shape=_input_shape,
    batch=_input_lanes,
    complex=True,
    text="{0} ∗ᵀ {1}",
    tex=r"{0} \ast^\top {1}",
    vjp=(
        lambda x_bar, _x, _y, w, *, space, **how: conv_(x_bar, w, **how),
        lambda x_bar, _x, y, _w, *, space, **how: conv_weight_(
            x_bar, y, kernel=_w.shape[2:], **how
        ),
    ),
    samples=lambda r: [
        ((r(2, 4, 5), r(4, 3, 3)), {"space": (7,), **_PLAIN}),
        ((r(2, 6, 3, 6), r(6, 2, 3, 2)), {"space": (6, 5), **_WIDE}),
    ],
    doc="The transpose of a convolution in x: every entry of y spread by its kernel.",
)
conv_weight_ = Primitive(
    "conv_weight",
    forward=_conv_weight,
    shape=_weight_shape,
    batch=_weight_lanes,
    complex=True,
    text="{0} ⋆ {1}",
    tex=r"{0} \star {1}",
    vjp=(
        lambda w_bar, _w, _x, y, *, kernel, **how: conv_input_(y, w_bar, space=_x.shape[2:], **how),
        lambda w_bar, _w, x, _y, *, kernel, **how: conv_(x, w_bar, **how),
    ),
    samples=lambda r: [
        ((r(2, 3, 7), r(2, 4, 5)), {"kernel": (3,), **_PLAIN}),
        ((r(2, 4, 6, 5), r(2, 6, 3, 6)), {"kernel": (3, 2), **_WIDE}),
    ],
    doc="The transpose of a convolution in w: how x and y go together at each offset.",
)

# -- public -----------------------------------------------------------------------------------


def _operands(what: str, x: Any, w: Any, groups: Any) -> tuple[Tensor, Tensor]:
    x, w = asarray(x), asarray(w)
    got = {"x": x, "w": w}
    if x.ndim != w.ndim or x.ndim < 3:
        raise ShapeError(
            f"{what}: the input has {max(x.ndim - 2, 0)} space axes, "
            f"the kernel {max(w.ndim - 2, 0)}",
            got=got,
            want="x (N, C, *space), w (channels, channels, *kernel): as many space axes in both, "
            "at least one",
            hint="a single sample needs a batch axis: x[None]" if x.ndim == w.ndim - 1 else None,
        )
    if isinstance(groups, bool) or not isinstance(groups, int | np.integer) or groups < 1:
        raise DomainError(f"{what}: groups={groups!r}", want="a whole number from 1")
    dtype = np.result_type(x.dtype, w.dtype)
    if dtype.kind == "b":
        raise DTypeError(f"{what}: truth values have no products and sums", got=got)
    return as_tensor(x, dtype), as_tensor(w, dtype)


@public
def conv(
    x: Any, w: Any, /, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """The convolution of x with the kernels w (a correlation: kernels are not turned round).

    Shapes:  x (N, C, *space), w (O, C / groups, *kernel)  ->  (N, O, *places); any number of space
             axes;  places = ⌊(space + padding − dilation (kernel − 1) − 1) / stride⌋ + 1
    padding: a number, one for each axis, (before, after) for each axis; "valid" is none, "same"
             keeps the size at stride 1 (of an odd total the greater half comes after).
    groups:  input and output channels in so many parts that do not see each other.
    Rule:    x̄ is the transposed convolution of ȳ with w; w̄ the correlation of x with ȳ.
    Raises:  ShapeError if channels, groups and sizes do not go together.
    Source:  Dumoulin, Visin (2016), A guide to convolution arithmetic for deep learning.
    Example:
        >>> ob.conv([[[1.0, 2.0, 3.0, 4.0]]], [[[1.0, -1.0]]])
        Tensor([[[-1., -1., -1.]]], float64)
    """
    x, w = _operands("conv", x, w, groups)
    kernel = w.shape[2:]
    stride = per_axis("conv", "stride", stride, len(kernel), 1)
    dilation = per_axis("conv", "dilation", dilation, len(kernel), 1)
    pairs = paddings("conv", padding, kernel, stride, dilation)
    _check_channels(x, w, groups)
    check_windows("conv", x, kernel, pairs, dilation)
    return apply(
        conv_,
        (x, w),
        {"stride": stride, "padding": pairs, "dilation": dilation, "groups": int(groups)},
    )


def _check_channels(x: Tensor, w: Tensor, groups: int) -> None:
    got = {"x": x, "w": w}
    if w.shape[0] % groups:
        raise ShapeError(
            f"conv: {w.shape[0]} output channels do not make {groups} equal groups", got=got
        )
    if x.shape[1] != w.shape[1] * groups:
        split = f" in each of {groups} groups" if groups > 1 else ""
        raise ShapeError(
            f"conv: x has {x.shape[1]} channels, the kernel expects {w.shape[1]}{split}",
            got=got,
            want="x: (N, C, *space)   w: (O, C / groups, *kernel)",
            hint=f"groups={x.shape[1] // w.shape[1]} would fit"
            if w.shape[1]
            and x.shape[1] % w.shape[1] == 0
            and w.shape[0] % (x.shape[1] // w.shape[1] or 1) == 0
            else None,
        )


@public
def conv_transpose(
    x: Any,
    w: Any,
    /,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The transpose of a convolution: every entry of x spread by its kernel.

    Shapes:  x (N, C, *places), w (C, O / groups, *kernel)  ->  (N, O, *space);
             space = (places − 1) stride − padding + dilation (kernel − 1) + output_padding + 1
    padding: what the convolution that it transposes was padded with, and so is cut off here.
    output_padding: of the several sizes that one convolution takes to `places`, so much more than
             the least; less than the stride.
    Raises:  ShapeError if channels, groups and sizes do not go together.
    Example:
        >>> ob.conv_transpose([[[1.0, 2.0]]], [[[1.0, 10.0]]], stride=2)
        Tensor([[[ 1., 10.,  2., 20.]]], float64)
    """
    x, w = _operands("conv_transpose", x, w, groups)
    kernel, got = w.shape[2:], {"x": x, "w": w}
    stride = per_axis("conv_transpose", "stride", stride, len(kernel), 1)
    dilation = per_axis("conv_transpose", "dilation", dilation, len(kernel), 1)
    pairs = paddings("conv_transpose", padding, kernel, stride, dilation)
    more = per_axis("conv_transpose", "output_padding", output_padding, len(kernel), 0)
    if any(m >= s for m, s in zip(more, stride, strict=True)):
        raise DomainError(
            f"conv_transpose: output_padding={output_padding!r}",
            want=f"less than the stride, {stride}",
        )
    if x.shape[1] != w.shape[0] or w.shape[0] % groups:
        raise ShapeError(
            f"conv_transpose: x has {x.shape[1]} channels, the kernel {w.shape[0]}, "
            f"in {groups} groups",
            got=got,
            want="x: (N, C, *places)   w: (C, O / groups, *kernel), C a multiple of groups",
        )
    space = tuple(
        (n - 1) * s - a - b + d * (k - 1) + m + 1
        for n, k, s, (a, b), d, m in zip(
            x.shape[2:], kernel, stride, pairs, dilation, more, strict=True
        )
    )
    if any(n < 1 for n in space) or any(k < 1 for k in kernel):
        raise ShapeError(
            f"conv_transpose: the result would have the sizes {list(space)}",
            got=got,
            hint="less padding",
        )
    how = {"stride": stride, "padding": pairs, "dilation": dilation, "groups": int(groups)}
    return apply(conv_input_, (x, w), {"space": space, **how})


@public
def unfold(x: Any, size: Any, /, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """The windows that a kernel of this size sees, as columns.

    Shapes:  x (N, C, *space)  ->  (N, C · entries of the kernel, places)
    Rule:    x̄ is ȳ, each window added where it was read.
    Example:
        >>> ob.unfold([[[1.0, 2.0, 3.0, 4.0]]], 2)
        Tensor([[[1., 2., 3.],
                 [2., 3., 4.]]], float64)
    """
    x = asarray(x)
    kernel, stride, pairs, dilation = window_arguments("unfold", x, size, stride, padding, dilation)
    n, c, k = x.shape[0], x.shape[1], math.prod(kernel)
    pick = np.eye(k, dtype=x.dtype).reshape(k, 1, *kernel)  # one kernel for each of its entries
    flat = reshape(x, (n * c, 1, *x.shape[2:]))
    y = apply(
        conv_, (flat, pick), {"stride": stride, "padding": pairs, "dilation": dilation, "groups": 1}
    )
    return reshape(y, (n, c * k, math.prod(y.shape[2:])))
