"""Windows: where a kernel lies on an array, and how its arguments are given.

A window is read with a view, without a copy; convolution and pooling share what is here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DomainError, DTypeError, ShapeError
from ..handle import Tensor

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

# -- geometry ---------------------------------------------------------------------------------


def window_count(
    space: Sizes, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes
) -> Sizes:
    """How many places the kernel has along each axis."""
    return tuple(
        max(0, (n + a + b - d * (k - 1) - 1) // s + 1)
        for n, k, s, (a, b), d in zip(space, kernel, stride, padding, dilation, strict=True)
    )


def padded(xp: Any, x: Any, padding: Pairs, fill: Any = 0) -> Any:
    """x with a border round its space axes."""
    if not any(a or b for a, b in padding):
        return x
    return xp.pad(x, ((0, 0), (0, 0), *padding), constant_values=fill)


def windows(xp: Any, x: Any, kernel: Sizes, stride: Sizes, dilation: Sizes, count: Sizes) -> Any:
    """A view (N, C, *kernel, *count) of the padded x."""
    step = x.strides
    return xp.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:2], *kernel, *count),
        (
            *step[:2],
            *(b * d for b, d in zip(step[2:], dilation, strict=True)),
            *(b * s for b, s in zip(step[2:], stride, strict=True)),
        ),
        writeable=False,
    )


def places(k: Sizes, stride: Sizes, dilation: Sizes, count: Sizes) -> tuple[slice, ...]:
    """Where entry k of the kernel lies in each of its places, in the padded input."""
    return tuple(
        slice(i * d, i * d + (m - 1) * s + 1 if m else i * d, s)
        for i, s, d, m in zip(k, stride, dilation, count, strict=True)
    )


# -- arguments --------------------------------------------------------------------------------


def per_axis(what: str, name: str, given: Any, space: int, least: int) -> Sizes:
    """One whole number for each space axis.

    Raises:  ShapeError for another count of them, DomainError for one below `least`.
    """
    numbers = tuple(given) if isinstance(given, list | tuple) else (given,) * space
    if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in numbers):
        raise DTypeError(f"{what}: {name}={given!r}", want=f"a whole number, or {space} of them")
    if len(numbers) != space:
        raise ShapeError(
            f"{what}: {name}={given!r} for {space} space axes", want=f"one number, or {space}"
        )
    if any(n < least for n in numbers):
        raise DomainError(f"{what}: {name}={given!r}", want=f"whole numbers from {least}")
    return tuple(int(n) for n in numbers)


def paddings(what: str, given: Any, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Pairs:
    """(before, after) for each space axis, from a number, numbers, pairs, "same" or "valid"."""
    if given == "valid":
        return ((0, 0),) * len(kernel)
    if given == "same":
        if any(s != 1 for s in stride):
            raise DomainError(
                f'{what}: padding="same" goes with stride 1 only',
                hint="give the padding in numbers",
            )
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    if isinstance(given, str):
        raise DomainError(
            f"{what}: padding={given!r} is not a choice", want='numbers, "same" or "valid"'
        )
    if (
        isinstance(given, list | tuple)
        and len(given) == len(kernel)
        and all(isinstance(p, list | tuple) for p in given)
    ):
        return tuple(per_axis(what, "padding", p, 2, 0) for p in given)  # type: ignore[misc]
    return tuple((p, p) for p in per_axis(what, "padding", given, len(kernel), 0))


def check_windows(what: str, x: Tensor, kernel: Sizes, padding: Pairs, dilation: Sizes) -> None:
    """Raise ShapeError if the kernel is empty, or has no place."""
    for i, (n, k, (a, b), d) in enumerate(zip(x.shape[2:], kernel, padding, dilation, strict=True)):
        if k < 1:
            raise ShapeError(f"{what}: the kernel is empty along space axis {i}", got={"x": x})
        if d * (k - 1) + 1 > n + a + b:
            raise ShapeError(
                f"{what}: the kernel spans {d * (k - 1) + 1} along space axis {i}, "
                f"the padded input only {n + a + b}",
                got={"x": x, "kernel": str(list(kernel))},
                hint="a smaller kernel or dilation, or more padding",
            )


def window_arguments(
    what: str, x: Tensor, size: Any, stride: Any, padding: Any, dilation: Any = 1
) -> tuple[Sizes, Sizes, Pairs, Sizes]:
    """Kernel, stride, padding and dilation of windows on x, checked."""
    if x.ndim < 3:
        raise ShapeError(
            f"{what}: the input has no space axes",
            got={"x": x},
            want="x (N, C, *space)",
            hint="a single sample needs a batch axis: x[None]" if x.ndim == 2 else None,
        )
    space = x.ndim - 2
    kernel = per_axis(what, "size", size, space, 1)
    stride = per_axis(what, "stride", stride, space, 1)
    dilation = per_axis(what, "dilation", dilation, space, 1)
    pairs = paddings(what, padding, kernel, stride, dilation)
    check_windows(what, x, kernel, pairs, dilation)
    return kernel, stride, pairs, dilation
