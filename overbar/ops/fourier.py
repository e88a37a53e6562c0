"""Fourier transforms. The matrix of the discrete one is symmetric: it is its own transpose.

So the reverse rule of a transform is the same transform. Of a real signal half the spectrum is
enough; what is left out is the conjugate of what is there, and the reverse rules weigh it:
every frequency stands for two, but the lowest, and the highest of an even number.

Padding and cropping (`n=`, `s=`) happen before the transform, as nodes of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DomainError, DTypeError, ShapeError
from ..handle import Tensor, as_tensor, from_value
from ..primitive import Primitive, public
from ..spec import Spec, one_axis, real_dtype, spec
from .dtypes import default_float
from .index import place_, stretch
from .movement import astype, conj, conj_
from .rearrange import roll

_OTHER = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The scaling of the opposite direction, by the same factor."""


def _complex(dtype: np.dtype) -> np.dtype:
    return np.result_type(dtype, np.complex64)


def _fft(xp: Any, x: Any, *, axes: tuple[int, ...], norm: str, inverse: bool) -> Any:
    return (xp.fft.ifftn if inverse else xp.fft.fftn)(x, axes=axes, norm=norm)


fft_ = Primitive(
    "fft",
    forward=_fft,
    shape=lambda x, **_: spec(x.shape, _complex(x.dtype)),
    complex=True,
    vjp=(
        lambda y_bar, _y, _x, *, axes, norm, inverse: fft_(
            y_bar, axes=axes, norm=norm, inverse=inverse
        ),
    ),
    batch=lambda n, mapped, x, *, axes, norm, inverse: fft_(
        x, axes=tuple(a + 1 for a in axes), norm=norm, inverse=inverse
    ),
    text=lambda x, axes, norm, inverse: f"{'F⁻¹' if inverse else 'F'}({x})",
    samples=lambda r: [
        ((r(3, 5) + 1j * r(3, 5),), {"axes": (1,), "norm": "backward", "inverse": False}),
        ((r(3, 4) + 1j * r(3, 4),), {"axes": (0, 1), "norm": "ortho", "inverse": True}),
        ((r(4) + 1j * r(4),), {"axes": (0,), "norm": "backward", "inverse": True}),
    ],
    doc="The discrete Fourier transform, or its inverse, over some axes.",
)


def _weights(of: Any, axis: int, n: int, ends: float, others: float) -> np.ndarray:
    """One weight per frequency, shaped for the axis: `ends` for those that stand for themselves."""
    w = np.full(n // 2 + 1, others, real_dtype(of.dtype))
    w[0] = ends
    if n % 2 == 0:
        w[-1] = ends
    return w.reshape([-1 if i == axis else 1 for i in range(of.ndim)])


def _half_back(y_bar: Any, _y: Any, _x: Any, *, axis: int, norm: str) -> Any:
    """x̄ = Re Σₖ ȳₖ wᵏ over the frequencies there are, by the transform that counts most twice."""
    n = _x.shape[axis]
    return irfft_(
        conj_(y_bar) * _weights(y_bar, axis, n, 1.0, 0.5), axis=axis, n=n, norm=_OTHER[norm]
    )


def _whole_back(y_bar: Any, _y: Any, _x: Any, *, axis: int, n: int, norm: str) -> Any:
    z_bar = rfft_(y_bar, axis=axis, norm=_OTHER[norm])
    return conj_(z_bar) * _weights(z_bar, axis, n, 1.0, 2.0)


def _resized(x: Spec, axis: int, n: int, dtype: np.dtype) -> Spec:
    return spec((*x.shape[:axis], n, *x.shape[axis + 1 :]), dtype)


rfft_ = Primitive(
    "rfft",
    forward=lambda xp, x, *, axis, norm: xp.fft.rfft(x, axis=axis, norm=norm),
    shape=lambda x, *, axis, norm: _resized(x, axis, x.shape[axis] // 2 + 1, _complex(x.dtype)),
    vjp=(_half_back,),
    batch=lambda n, mapped, x, *, axis, norm: rfft_(x, axis=axis + 1, norm=norm),
    text="rfft({0})",
    samples=lambda r: [
        ((r(3, 5),), {"axis": 1, "norm": "backward"}),
        ((r(6, 2),), {"axis": 0, "norm": "ortho"}),
        ((r(1),), {"axis": 0, "norm": "forward"}),
        ((r(2),), {"axis": 0, "norm": "forward"}),
    ],
    doc="Half the spectrum of real signals along one axis.",
)
irfft_ = Primitive(
    "irfft",
    forward=lambda xp, x, *, axis, n, norm: xp.fft.irfft(x, n, axis=axis, norm=norm),
    shape=lambda x, *, axis, n, norm: _resized(x, axis, n, real_dtype(x.dtype)),
    vjp=(_whole_back,),
    complex=True,
    batch=lambda lanes, mapped, x, *, axis, n, norm: irfft_(x, axis=axis + 1, n=n, norm=norm),
    text="irfft({0})",
    samples=lambda r: [
        ((r(3, 3) + 1j * r(3, 3),), {"axis": 1, "n": 5, "norm": "backward"}),
        ((r(4, 2) + 1j * r(4, 2),), {"axis": 0, "n": 6, "norm": "ortho"}),
        ((r(1) + 1j * r(1),), {"axis": 0, "n": 1, "norm": "forward"}),
    ],
    doc="The real signals of half a spectrum along one axis.",
)


# -- the public functions ---------------------------------------------------------------------


def _checked(what: str, norm: str | None) -> str:
    norm = norm or "backward"
    if norm not in _OTHER:
        raise DomainError(
            f"{what}: norm={norm!r} is not a choice",
            want='"backward" (the inverse is divided by n), "ortho" or "forward"',
        )
    return norm


def _signal(what: str, x: Any, complex_: bool) -> Tensor:
    """x as floats, or as complex numbers."""
    x = as_tensor(x)
    if not x.ndim:
        raise ShapeError(
            f"{what}: a number has no axis to transform", got={"x": x}, want="at least one axis"
        )
    if complex_:
        return astype(x, _complex(x.dtype))
    if x.dtype.kind == "c":
        raise DTypeError(
            f"{what}: the signal is complex",
            got={"x": x},
            want="real numbers",
            hint=f"use ob.fft.{what.replace('r', '', 1).replace('ih', '')}",
        )
    return astype(x, real_dtype(_complex(x.dtype)))


def _fitted(what: str, x: Tensor, n: int | None, axis: int) -> Tensor:
    """x cropped, or padded with zeros, to n entries along an axis."""
    there = x.shape[axis]
    n = there if n is None else int(n)
    if n < 1:
        raise ShapeError(
            f"{what}: {n} entries cannot be transformed", got={"x": x}, want="at least one"
        )
    if n < there:
        return stretch(x, axis, 0, n)
    if n == there:
        return x
    index = tuple((0, size, 1) for size in x.shape)
    shape = (*x.shape[:axis], n, *x.shape[axis + 1 :])
    return apply(place_, (x,), {"index": index, "shape": shape, "inner": x.shape})


def _several(
    what: str, x: Tensor, s: Sequence[int] | None, axes: Sequence[int] | None
) -> tuple[list[int], list[int | None]]:
    """Which axes are transformed, and to how many entries each."""
    if axes is None:
        axes = range(x.ndim) if s is None else range(-len(s), 0)
    found = [one_axis(what, a, x.ndim) for a in axes]
    sizes: list[int | None] = (
        [None] * len(found) if s is None else [None if n is None or n == -1 else int(n) for n in s]
    )
    if len(set(found)) < len(found):
        raise ShapeError(f"{what}: an axis is named twice in {tuple(axes)}", want="each axis once")
    if len(sizes) != len(found):
        raise ShapeError(
            f"{what}: {len(sizes)} sizes for {len(found)} axes", want="one size per axis"
        )
    return found, sizes


def _transformed(
    what: str, x: Tensor, s: Sequence[int | None], axes: Sequence[int], norm: str, inverse: bool
) -> Tensor:
    for n, a in zip(s, axes, strict=True):
        x = _fitted(what, x, n, a)
    return (
        apply(fft_, (x,), {"axes": tuple(sorted(axes)), "norm": norm, "inverse": inverse})
        if axes
        else x
    )


def _halved(what: str, x: Any, s: Any, axes: Any, norm: str | None) -> Tensor:
    x, norm = _signal(what, x, False), _checked(what, norm)
    over, sizes = _several(what, x, s, axes)
    if not over:
        raise ShapeError(f"{what}: no axis is named", got={"x": x}, want="at least one axis")
    x = _fitted(what, x, sizes[-1], over[-1])
    y = apply(rfft_, (x,), {"axis": over[-1], "norm": norm})
    return _transformed(what, y, sizes[:-1], over[:-1], norm, False)


def _doubled(what: str, x: Any, s: Any, axes: Any, norm: str | None) -> Tensor:
    x, norm = _signal(what, x, True), _checked(what, norm)
    over, sizes = _several(what, x, s, axes)
    if not over:
        raise ShapeError(f"{what}: no axis is named", got={"x": x}, want="at least one axis")
    x = _transformed(what, x, sizes[:-1], over[:-1], norm, True)
    n = 2 * (x.shape[over[-1]] - 1) if sizes[-1] is None else sizes[-1]
    if n < 1:
        raise ShapeError(f"{what}: a signal of {n} entries", got={"x": x}, want="n of at least one")
    x = _fitted(what, x, n // 2 + 1, over[-1])
    return apply(irfft_, (x,), {"axis": over[-1], "n": n, "norm": norm})


@public(namespace="fft")
def fft(
    x: Any, /, *, n: int | None = None, axis: int = -1, norm: str | None = "backward"
) -> Tensor:
    """The discrete Fourier transform yₖ = Σⱼ xⱼ exp(−2πi jk / n) along one axis.

    Shapes:  that of x, with n entries along the axis (cropped, or padded with zeros).
    Rule:    x̄ is the transform of ȳ: its matrix is symmetric.
    Source:  numpy.fft for the values. norm "backward" divides the inverse by n, "forward" this one,
             "ortho" each by √n.
    Example:
        >>> ob.fft.fft([1.0, 0.0, 0.0])
        Tensor([1.+0.j, 1.+0.j, 1.+0.j], complex128)
    """
    x = _signal("fft", x, True)
    return _transformed(
        "fft", x, [n], [one_axis("fft", axis, x.ndim)], _checked("fft", norm), False
    )


@public(namespace="fft")
def ifft(
    x: Any, /, *, n: int | None = None, axis: int = -1, norm: str | None = "backward"
) -> Tensor:
    """The inverse of `fft`: yⱼ = 1/n Σₖ xₖ exp(2πi jk / n).

    Example:
        >>> ob.fft.ifft([1.0, 1.0])
        Tensor([1.+0.j, 0.+0.j], complex128)
    """
    x = _signal("ifft", x, True)
    return _transformed(
        "ifft", x, [n], [one_axis("ifft", axis, x.ndim)], _checked("ifft", norm), True
    )


@public(namespace="fft")
def fftn(
    x: Any,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = "backward",
) -> Tensor:
    """`fft` along several axes, all of them by default; `s` gives the entries along each."""
    x = _signal("fftn", x, True)
    over, sizes = _several("fftn", x, s, axes)
    return _transformed("fftn", x, sizes, over, _checked("fftn", norm), False)


@public(namespace="fft")
def ifftn(
    x: Any,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = "backward",
) -> Tensor:
    """The inverse of `fftn`."""
    x = _signal("ifftn", x, True)
    over, sizes = _several("ifftn", x, s, axes)
    return _transformed("ifftn", x, sizes, over, _checked("ifftn", norm), True)


@public(namespace="fft")
def fft2(
    x: Any,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = "backward",
) -> Tensor:
    """`fft` along two axes, the last ones by default."""
    return fftn(x, s=s, axes=axes, norm=norm)


@public(namespace="fft")
def ifft2(
    x: Any,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = "backward",
) -> Tensor:
    """The inverse of `fft2`."""
    return ifftn(x, s=s, axes=axes, norm=norm)


@public(namespace="fft")
def rfft(
    x: Any, /, *, n: int | None = None, axis: int = -1, norm: str | None = "backward"
) -> Tensor:
    """Half the spectrum of a real signal; the other half is its conjugate.

    Shapes:  n entries along the axis  ->  n // 2 + 1
    Rule:    x̄ = Re Σₖ ȳₖ wᵏ over the half that is there.
    Example:
        >>> ob.fft.rfft([1.0, 0.0, 0.0])
        Tensor([1.+0.j, 1.+0.j], complex128)
    """
    return _halved("rfft", x, None if n is None else (n,), (axis,), norm)


@public(namespace="fft")
def irfft(
    x: Any, /, *, n: int | None = None, axis: int = -1, norm: str | None = "backward"
) -> Tensor:
    """The real signal of n entries whose half spectrum is x: the inverse of `rfft`.

    Shapes:  n // 2 + 1 entries along the axis  ->  n; None: the even one of the two possible.
    Rule:    x̄ counts every frequency twice but the lowest, and the highest of an even n. Their
             imaginary parts are not read, as in NumPy.
    Example:
        >>> ob.fft.irfft([1.0, 1.0], n=3)
        Tensor([1., 0., 0.], float64)
    """
    return _doubled("irfft", x, None if n is None else (n,), (axis,), norm)


@public(namespace="fft")
def rfftn(
    x: Any,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = "backward",
) -> Tensor:
    """`rfft` along the last of the axes, then `fft` along the others."""
    return _halved("rfftn", x, s, axes, norm)


@public(namespace="fft")
def irfftn(
    x: Any,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = "backward",
) -> Tensor:
    """The inverse of `rfftn`: `ifft` along all axes but the last, then `irfft` along that."""
    return _doubled("irfftn", x, s, axes, norm)


@public(namespace="fft")
def rfft2(
    x: Any,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = "backward",
) -> Tensor:
    """`rfftn` along two axes, the last ones by default."""
    return _halved("rfft2", x, s, axes, norm)


@public(namespace="fft")
def irfft2(
    x: Any,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = "backward",
) -> Tensor:
    """The inverse of `rfft2`."""
    return _doubled("irfft2", x, s, axes, norm)


@public(namespace="fft")
def hfft(
    x: Any, /, *, n: int | None = None, axis: int = -1, norm: str | None = "backward"
) -> Tensor:
    """The real spectrum of a signal of which half is given, the other half being its conjugate."""
    return irfft(
        conj(_signal("hfft", x, True)), n=n, axis=axis, norm=_OTHER[_checked("hfft", norm)]
    )


@public(namespace="fft")
def ihfft(
    x: Any, /, *, n: int | None = None, axis: int = -1, norm: str | None = "backward"
) -> Tensor:
    """Half of the signal whose spectrum is real: the inverse of `hfft`."""
    return conj(rfft(x, n=n, axis=axis, norm=_OTHER[_checked("ihfft", norm)]))


# -- frequencies ------------------------------------------------------------------------------


def _counted(what: str, n: int, dtype: Any) -> tuple[int, np.dtype]:
    if n < 1:
        raise ShapeError(f"{what}: n={n}", want="at least one entry")
    return int(n), np.dtype(dtype) if dtype is not None else default_float()


@public(namespace="fft")
def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None) -> Tensor:
    """The frequencies of `fft`'s results, in cycles per unit of the spacing d.

    Example:
        >>> ob.fft.fftfreq(4)
        Tensor([ 0.  ,  0.25, -0.5 , -0.25], float64)
    """
    n, dtype = _counted("fftfreq", n, dtype)
    return from_value(np.fft.fftfreq(n, d).astype(dtype))


@public(namespace="fft")
def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None) -> Tensor:
    """The frequencies of `rfft`'s results, in cycles per unit of the spacing d.

    Example:
        >>> ob.fft.rfftfreq(4)
        Tensor([0.  , 0.25, 0.5 ], float64)
    """
    n, dtype = _counted("rfftfreq", n, dtype)
    return from_value(np.fft.rfftfreq(n, d).astype(dtype))


def _shifted(what: str, x: Any, axes: int | Sequence[int] | None, back: bool) -> Tensor:
    x = as_tensor(x)
    given = (
        range(x.ndim) if axes is None else (axes,) if isinstance(axes, int | np.integer) else axes
    )
    over = tuple(one_axis(what, a, x.ndim) for a in given)
    return (
        roll(x, tuple(-(x.shape[a] // 2) if back else x.shape[a] // 2 for a in over), over)
        if over
        else x
    )


@public(namespace="fft")
def fftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """The entries along the axes (all by default) by rising frequency, 0 in the middle.

    Example:
        >>> ob.fft.fftshift([0, 1, -2, -1])
        Tensor([-2, -1,  0,  1], int64)
    """
    return _shifted("fftshift", x, axes, False)


@public(namespace="fft")
def ifftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`."""
    return _shifted("ifftshift", x, axes, True)
