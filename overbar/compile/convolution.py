"""Convolution, forward and both gradients, as kernels.

    T(x, w, y) = Σ y[n, o, t]  w[o, c, k]  x[n, c, s t + d k − p]

`conv` is the derivative of this by y, `conv_input` by x, `conv_weight` by w (see `ops.convolve`);
each is one *face* here, for arrays with the channels first or last, as they lie in memory.
`convolution` chooses how it is done:

    correlation   tiles walk over the taps; x with its border stays in the second cache
    spread        the same where the result has few channels: products first, sums then
    crossing      the gradient of the kernels
    depthwise     channels that do not mix
    shifts        one channel and one kernel
    gemm          kernels of one entry and channels first: a product for each image
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .correlation import correlation
from .crossing import crossing
from .depthwise import depthwise, depthwise_crossing
from .gemm import Product, product
from .kernel import Kernel
from .machine import Machine
from .moves import clear
from .shifts import is_filter, shifts, shifts_crossing
from .spread import Spread, pays, spread
from .stages import Stages, finish, stage
from .taps import AXES, Correlation, backward, forward
from .text import Module

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Convolution:
    """One face of T, its sizes and how its arrays lie in memory.

    face             the result: "output" (y), "input" (x) or "weight" (w)
    batch, channels, space    x: (batch, channels, *space)
    out, count       y: (batch, out, *count)
    kernel, groups   w: (out, channels / groups, *kernel)
    stride, padding, dilation   for each space axis; padding before and after
    x_last, y_last   channels last: (batch, *space, channels)
    w_last           (*kernel, channels / groups, out)
    """

    dtype: str
    face: str
    batch: int
    channels: int
    space: Sizes
    out: int
    kernel: Sizes
    count: Sizes
    stride: Sizes
    padding: Pairs
    dilation: Sizes
    groups: int
    x_last: bool
    y_last: bool
    w_last: bool


def convolution(
    module: Module, machine: Machine, c: Convolution, *, epilogue: str | None = None
) -> Stages:
    """The kernels of one face, to be run one after the other with a barrier in between.

    Their arguments are (first, second, result, X, scratch, workspace, part): first and second are x
    and w for the output, y and w for the input, x and y for the kernels.

    epilogue   the name of a function `void @e(ptr X, ptr result, i64 batch, i64 i0, i64 i1, i64 j0,
               i64 j1)`, called for blocks of the result as they are finished, each number in one of
               them. The result is seen as matrices: y (or x) with channels last as one, of rows
               (image, place) and columns channels; with channels first as one for each image,
               `batch`, of rows channels and columns places; w as one of rows (kernel, channel) and
               columns out if `w_last`, else of rows out and columns (channel, kernel).
    """
    c = _plain(c)
    name = module.numbered(f"conv_{c.face}", (c, epilogue))
    places, taps = math.prod(c.count), math.prod(c.kernel)
    size, terms = {
        "output": (c.batch * c.out * places, c.channels * taps),
        "input": (c.batch * c.channels * math.prod(c.space), c.out * places * taps),
        "weight": (c.out * c.channels * taps, c.batch * places),
    }[c.face]
    if not size:
        return Stages((), 0)
    if not terms:
        return Stages((_zeros(module, c, name, epilogue),), 0)

    p = correlated(c)
    if is_filter(p, machine):
        if c.face == "weight":
            return shifts_crossing(module, machine, p, name, w_last=c.w_last, epilogue=epilogue)
        return shifts(module, machine, p, name, epilogue=epilogue)
    if c.groups == c.channels > 1 and (c.face != "input" or c.out == c.groups):
        if c.face == "weight":
            return depthwise_crossing(module, machine, p, name, w_last=c.w_last, epilogue=epilogue)
        return depthwise(module, machine, p, name, epilogue=epilogue)
    if c.face == "weight":
        p = _joined(p, machine)
        return crossing(module, machine, p, name, w_last=c.w_last, epilogue=epilogue)
    if _one_entry(c) and c.groups == 1 and not (c.x_last or c.y_last):
        return _products(module, machine, c, name, epilogue=epilogue)
    s = _spread(c, p)
    if s is not None and pays(s, machine):
        return spread(module, machine, s, name, epilogue=epilogue)
    return correlation(module, machine, p, name, epilogue=epilogue)


# -- the same, more simply --------------------------------------------------------------------


def _plain(c: Convolution) -> Convolution:
    """The same arrays described in the way that is quickest."""
    if c.face != "input" and (c.channels == 1 or math.prod(c.space) == 1):
        c = replace(c, x_last=True)  # which is also channels first
    if c.face != "output" and (c.out == 1 or math.prod(c.count) == 1):
        c = replace(c, y_last=True)
    if _one_entry(c) and c.x_last and c.y_last and 0 not in (c.batch, *c.space):
        # Each place is seen alone: all of them are one axis.
        all_of_them = (c.batch * math.prod(c.space),)
        one, none = (1,), ((0, 0),)
        c = replace(
            c, batch=1, space=all_of_them, count=all_of_them, kernel=one, stride=one, padding=none,
            dilation=one,
        )  # fmt: skip
    return c


def _one_entry(c: Convolution) -> bool:
    """Whether y at a place is a product of a matrix and x at the same place."""
    return set(c.kernel) | set(c.stride) == {1} and not any(map(any, c.padding))


def _filled(sizes: Sequence[Any], fill: Any) -> tuple[Any, Any, Any]:
    """As many as the generators have axes."""
    return (*(fill,) * (AXES - len(sizes)), *sizes)  # type: ignore[return-value]


def correlated(c: Convolution) -> Correlation:
    """A face as sums of taps. For the kernels' gradient, the convolution it belongs to."""
    inner, outer, taps = c.channels // c.groups, c.out // c.groups, math.prod(c.kernel)
    at_out, at_in, tap = (1, c.out, c.out * inner) if c.w_last else (inner * taps, taps, 1)
    kernel, space, count = (_filled(sizes, 1) for sizes in (c.kernel, c.space, c.count))
    how = list(
        zip(_filled(c.stride, 1), _filled(c.padding, (0, 0)), _filled(c.dilation, 1), strict=True)
    )
    if c.face == "input":
        axes = zip(kernel, space, how, strict=True)
        runs = [backward(k, n, s, before, d) for k, n, (s, (before, _), d) in axes]
        sizes, channels, lasts = (count, space), (outer, inner), (c.y_last, c.x_last)
        column, row = at_in, at_out
    else:
        axes = zip(kernel, count, how, strict=True)
        runs = [forward(k, n, s, before, d) for k, n, (s, (before, _), d) in axes]
        sizes, channels, lasts = (space, count), (inner, outer), (c.x_last, c.y_last)
        column, row = at_out, at_in
    return Correlation(
        c.dtype, c.batch, c.groups, *channels, *sizes, kernel, tuple(runs), *lasts,  # type: ignore[arg-type]
        w_group=outer * at_out, w_column=column, w_row=row, w_tap=tap,
    )  # fmt: skip


def _joined(p: Correlation, machine: Machine) -> Correlation:
    """As many narrow groups as one as make a vector, for the kernels' gradient: what the others'
    channels give is not wanted, but costs nothing, and there are fewer and larger tiles. (Not for
    the other faces: there zeros would stand between the groups, and 0 · ∞ is not 0.)
    """
    lanes = machine.lanes(p.dtype)
    fit = (n for n in range(p.groups, 0, -1) if p.groups % n == 0 and n * p.width <= lanes)
    n = next(fit, 1)
    return replace(
        p, groups=p.groups // n, depth=p.depth * n, width=p.width * n, joined=n
    )  # fmt: skip


def _spread(c: Convolution, p: Correlation) -> Spread | None:
    """The same as products that are spread, if it can be seen so."""
    step, distance = _filled(c.stride, 1), _filled(c.dilation, 1)
    before = tuple(a for a, _ in _filled(c.padding, (0, 0)))
    if c.face == "input":
        return Spread(p, step, distance, before, backwards=False)  # type: ignore[arg-type]
    if math.prod(step) > 1:
        return None
    reach = (d * (k - 1) for d, k in zip(distance, p.kernel, strict=True))
    back = tuple(r - b for r, b in zip(reach, before, strict=True))
    return Spread(p, step, distance, back, backwards=True)  # type: ignore[arg-type]


# -- what needs no convolution ----------------------------------------------------------------


def _products(
    module: Module, machine: Machine, c: Convolution, name: str, *, epilogue: str | None
) -> Stages:
    """result[n] = w · first[n], or wᵀ · first[n]"""
    places = math.prod(c.space)
    rows, terms = (c.out, c.channels) if c.face == "output" else (c.channels, c.out)
    w = (1, c.out) if c.w_last else (c.channels, 1)  # of out, of channels
    kernel = product(
        module,
        machine,
        Product(
            c.dtype, rows, places, terms,
            a=w if c.face == "output" else (w[1], w[0]), b=(places, 1), c=(places, 1),
            batch=(c.batch,), a_batch=(0,), b_batch=(terms * places,), c_batch=(rows * places,),
        ),
        epilogue=epilogue,
    )  # fmt: skip
    f = stage(module, name)
    pointers = ("second", "first", "result", "X", "workspace")
    f.call(kernel.name, "void", *(("ptr", f"%{x}") for x in pointers), ("i64", "%part"))
    f.give()
    return Stages((Kernel(name, kernel.parts, kernel.workspace),), 0)


def _zeros(module: Module, c: Convolution, name: str, epilogue: str | None) -> Kernel:
    """Sums of nothing."""
    taps, inner = math.prod(c.kernel), c.channels // c.groups
    images, channels, places, last = {
        "output": (c.batch, c.out, math.prod(c.count), c.y_last),
        "input": (c.batch, c.channels, math.prod(c.space), c.x_last),
        "weight": (1, c.out, inner * taps, c.w_last),
    }[c.face]
    f = stage(module, name)
    clear(f, c.dtype, "%result", images * channels * places)
    if epilogue is not None:
        finish(
            f, epilogue, last=last, images=(0, images), places=places, some=None,
            columns=(0, channels),
        )  # fmt: skip
    f.give()
    return Kernel(name, 1, 0)
