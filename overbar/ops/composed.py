"""More functions of NumPy, each a few of ours in a row: what `np.gradient(t)`, `np.select`, ... do.

In NumPy's signature; the derivatives follow from the parts. `of_values` at the end are questions
whose answers no gradient flows through.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError
from ..handle import Tensor, as_tensor, asarray
from .foreign import FOREIGN, LINALG, OURS, answers

# -- turning, cutting, joining ----------------------------------------------------------------


@answers(np.flipud)
def _flipud(m: Any) -> Tensor:
    return OURS["flip"](m, axis=0)


@answers(np.fliplr)
def _fliplr(m: Any) -> Tensor:
    return OURS["flip"](m, axis=1)


@answers(np.rot90)
def _rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    a, b = axes
    if k % 4 == 0:
        return asarray(m)
    if k % 4 == 2:
        return OURS["flip"](m, axis=(a, b))
    if k % 4 == 1:
        return OURS["swapaxes"](OURS["flip"](m, axis=b), a, b)
    return OURS["flip"](OURS["swapaxes"](m, a, b), axis=b)


@answers(np.rollaxis)
def _rollaxis(a: Any, axis: int, start: int = 0) -> Tensor:
    a = asarray(a)
    axis, start = axis % a.ndim, start + a.ndim if start < 0 else start
    return OURS["moveaxis"](a, axis, start - (axis < start))


@answers(np.hsplit)
def _hsplit(ary: Any, indices_or_sections: Any) -> Any:
    return OURS["split"](ary, indices_or_sections, axis=0 if asarray(ary).ndim == 1 else 1)


@answers(np.vsplit)
def _vsplit(ary: Any, indices_or_sections: Any) -> Any:
    return OURS["split"](ary, indices_or_sections, axis=0)


@answers(np.dsplit)
def _dsplit(ary: Any, indices_or_sections: Any) -> Any:
    return OURS["split"](ary, indices_or_sections, axis=2)


@answers(np.atleast_3d)
def _atleast_3d(*arys: Any) -> Any:
    found = []
    for x in map(asarray, arys):
        shape = {0: (1, 1, 1), 1: (1, *x.shape, 1), 2: (*x.shape, 1)}.get(x.ndim, x.shape)
        found.append(OURS["reshape"](x, shape))
    return found[0] if len(found) == 1 else tuple(found)


@answers(np.dstack)
def _dstack(tup: Any) -> Tensor:
    return OURS["concat"]([_atleast_3d(x) for x in tup], axis=2)


@answers(np.block)
def _block(arrays: Any) -> Tensor:
    def depth(x: Any) -> int:
        return 1 + max(map(depth, x)) if isinstance(x, list) else 0

    def joined(x: Any, axis: int) -> Tensor:
        if not isinstance(x, list):
            x = asarray(x)
            return OURS["reshape"](x, (1,) * (deep - x.ndim) + x.shape)
        return OURS["concat"]([joined(e, axis + 1) for e in x], axis=axis)

    deep = depth(arrays)
    return joined(arrays, -deep)


@answers(np.compress)
def _compress(condition: Any, a: Any, axis: int | None = None) -> Tensor:
    a = OURS["ravel"](a) if axis is None else asarray(a)
    return OURS["take"](a, np.flatnonzero(np.asarray(condition)), axis=axis or 0)


@answers(np.diagonal)
def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    return OURS["diagonal"](a, offset=offset, axis1=axis1, axis2=axis2)


@answers(np.trace)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Tensor:
    return OURS["sum"](_diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@answers(np.diagflat)
def _diagflat(v: Any, k: int = 0) -> Tensor:
    return FOREIGN[np.diag](OURS["ravel"](v), k)


# -- choosing ---------------------------------------------------------------------------------


@answers(np.select)
def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    if len(condlist) != len(choicelist):
        raise ShapeError(f"np.select: {len(condlist)} conditions and {len(choicelist)} choices")
    chosen = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        chosen = OURS["where"](condition, choice, chosen)
    return chosen


@answers(np.partition)
def _partition(a: Any, kth: Any, axis: int | None = -1, **_: Any) -> Tensor:
    a = OURS["ravel"](a) if axis is None else asarray(a)
    axis = -1 if axis is None else axis
    return OURS["take_along_axis"](a, OURS["argsort"](a, axis=axis), axis=axis)


@answers(np.nan_to_num)
def _nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Tensor:
    x = asarray(x)
    most = np.finfo(x.dtype).max if x.spec.floating else 0
    y = OURS["where"](OURS["isnan"](x), nan, x)
    y = OURS["where"](OURS["equal"](x, math.inf), most if posinf is None else posinf, y)
    return OURS["where"](OURS["equal"](x, -math.inf), -most if neginf is None else neginf, y)


@answers(np.real_if_close)
def _real_if_close(a: Any, tol: float = 100) -> Tensor:
    a = asarray(a)
    if a.dtype.kind != "c":
        return a
    near = np.isrealobj(np.real_if_close(a._known("np.real_if_close"), tol))  # noqa: SLF001
    return OURS["real"](a) if near else a


# -- sums and averages ------------------------------------------------------------------------


@answers(np.ptp)
def _ptp(a: Any, axis: Any = None, **kw: Any) -> Tensor:
    return OURS["max"](a, axis=axis, **kw) - OURS["min"](a, axis=axis, **kw)


@answers(np.average)
def _average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, **kw: Any
) -> Any:
    a = asarray(a)
    if weights is None:
        mean = OURS["mean"](a, axis=axis, **kw)
        return (mean, OURS["full_like"](mean, a.size / mean.size)) if returned else mean
    w = asarray(weights)
    if w.shape != a.shape:
        shape = [1] * a.ndim
        shape[axis] = w.size
        w = OURS["reshape"](w, tuple(shape))
    total = OURS["sum"](OURS["broadcast_to"](w, a.shape), axis=axis, **kw)
    mean = OURS["sum"](a * w, axis=axis, **kw) / total
    return (mean, total) if returned else mean


def _without_nan(name: str, instead: float) -> Any:
    theirs = getattr(np, f"nan{name}")

    @answers(theirs)
    def reduced(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        a = asarray(a)
        return OURS[name](
            OURS["where"](OURS["isnan"](a), instead, a), axis=axis, keepdims=bool(keepdims)
        )

    return reduced


_nansum = _without_nan("sum", 0.0)
for _name, _instead in {"prod": 1.0, "max": -math.inf, "min": math.inf}.items():
    _without_nan(_name, _instead)


@answers(np.nanmean)
def _nanmean(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
    there = OURS["isfinite"](OURS["where"](OURS["isnan"](a), math.nan, 0.0))
    many = OURS["sum"](OURS["where"](there, 1.0, 0.0), axis=axis, keepdims=bool(keepdims))
    return _nansum(a, axis, keepdims=keepdims) / many


@answers(np.trapezoid)
def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    y = OURS["moveaxis"](y, axis, -1)
    if x is not None:
        x = asarray(x)
        dx = OURS["diff"](x) if x.ndim == 1 else OURS["diff"](OURS["moveaxis"](x, axis, -1))
    return OURS["sum"](dx * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)


@answers(np.vdot)
def _vdot(a: Any, b: Any) -> Tensor:
    return OURS["sum"](OURS["conj"](OURS["ravel"](a)) * OURS["ravel"](b))


@answers(np.cov)
def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None
) -> Tensor:
    def rows(x: Any) -> Tensor:
        x = OURS["atleast_2d"](x)
        return x if rowvar or x.shape[0] == 1 else x.mT

    x = rows(m) if y is None else OURS["concat"]([rows(m), rows(y)], axis=0)
    off = x - OURS["mean"](x, axis=1, keepdims=True)
    less = (0 if bias else 1) if ddof is None else ddof
    covariance = off @ OURS["conj"](off.mT) / (x.shape[1] - less)
    return OURS["reshape"](covariance, ()) if covariance.size == 1 else covariance


# -- differences and lines --------------------------------------------------------------------


@answers(np.gradient)
def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = asarray(f)
    axes = range(f.ndim) if axis is None else (axis,) if np.ndim(axis) == 0 else tuple(axis)
    steps = list(varargs) or [1.0]
    steps = steps * len(axes) if len(steps) == 1 else steps
    if edge_order != 1 or any(asarray(h).ndim for h in steps):
        raise DTypeError(
            "np.gradient on tensors: evenly spaced points and edge_order=1",
            hint="differences of slices: (f[2:] - f[:-2]) / (x[2:] - x[:-2])",
        )
    found = [_slope(f, h, a) for a, h in zip(axes, steps, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _slope(f: Tensor, h: Any, axis: int) -> Tensor:
    f = OURS["moveaxis"](f, axis, 0)
    inner = (f[2:] - f[:-2]) / (2 * h)
    whole = OURS["concat"]([(f[1:2] - f[:1]) / h, inner, (f[-1:] - f[-2:-1]) / h], axis=0)
    return OURS["moveaxis"](whole, 0, axis)


@answers(np.linspace)
def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    start, stop = as_tensor(start), as_tensor(stop)
    parts = max(num - 1 if endpoint else num, 1)
    wide = max(start.ndim, stop.ndim)
    at = np.reshape(np.arange(num) / parts, (num,) + (1,) * wide)
    points = OURS["moveaxis"](start * (1 - at) + stop * at, 0, axis)
    points = points if dtype is None else points.astype(dtype)
    return (points, (stop - start) / parts) if retstep else points


@answers(np.interp)
def _interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Tensor:
    if period is not None:
        raise DTypeError("np.interp: the keyword period= is not supported on tensors")
    x, xp, fp = asarray(x), asarray(xp), asarray(fp)
    n = xp.shape[0]
    i = OURS["clip"](OURS["searchsorted"](xp, x, side="right") - 1, 0, n - 2)
    part = (x - xp[i]) / (xp[i + 1] - xp[i])
    y = fp[i] + part * (fp[i + 1] - fp[i])
    y = OURS["where"](x < xp[0], fp[0] if left is None else left, y)
    return OURS["where"](x > xp[n - 1], fp[n - 1] if right is None else right, y)


@answers(np.polyval)
def _polyval(p: Any, x: Any) -> Tensor:
    p, x = asarray(p), asarray(x)
    return functools.reduce(lambda y, c: y * x + c, OURS["unstack"](p), OURS["zeros_like"](x))


@answers(np.convolve)
def _convolve(a: Any, v: Any, mode: str = "full") -> Tensor:
    a, v = asarray(a), asarray(v)
    if v.shape[0] > a.shape[0]:
        a, v = v, a
    n, m = a.shape[0], v.shape[0]
    wide = OURS["pad"](a, ((m - 1, m - 1),), "constant", 0)
    whole = wide[np.arange(n + m - 1)[:, None] + np.arange(m)] @ OURS["flip"](v)
    cut = {"full": 0, "same": (m - 1) // 2, "valid": m - 1}[mode]
    return whole[cut : cut + {"full": n + m - 1, "same": n, "valid": n - m + 1}[mode]]


# -- numbers ----------------------------------------------------------------------------------


@answers(np.angle)
def _angle(z: Any, deg: bool = False) -> Tensor:
    z = asarray(z)
    y, x = (OURS["imag"](z), OURS["real"](z)) if z.dtype.kind == "c" else (0.0 * z, z)
    angle = OURS["atan2"](y, x)
    return OURS["rad2deg"](angle) if deg else angle


@answers(np.logaddexp2)
def _logaddexp2(a: Any, b: Any) -> Tensor:
    return OURS["logaddexp"](a * math.log(2), b * math.log(2)) / math.log(2)


@answers(np.heaviside)
def _heaviside(x: Any, h0: Any) -> Tensor:
    return OURS["where"](OURS["equal"](x, 0), h0, OURS["where"](OURS["less"](x, 0), 0.0, 1.0))


@answers(np.fmod)
def _fmod(a: Any, b: Any) -> Tensor:
    return a - b * OURS["trunc"](a / b)


@answers(np.fix)
def _fix(x: Any) -> Tensor:
    return OURS["trunc"](x)


@answers(np.divmod)
def _divmod(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    return OURS["floor_divide"](a, b), OURS["remainder"](a, b)


# -- products and factors ---------------------------------------------------------------------


@answers(np.einsum)
def _einsum(*operands: Any, optimize: Any = None) -> Tensor:
    if isinstance(operands[0], str):
        return OURS["einsum"](*operands)
    *pairs, last = operands if len(operands) % 2 else (*operands, None)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    def term(axes: Any) -> str:
        return "".join("..." if a is Ellipsis else letters[int(a)] for a in axes)

    form = ",".join(term(axes) for axes in pairs[1::2])
    return OURS["einsum"](form if last is None else f"{form}->{term(last)}", *pairs[::2])


@answers(np.cross)
def _cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = OURS["moveaxis"](a, axisa, -1), OURS["moveaxis"](b, axisb, -1)
    if a.shape[-1] == b.shape[-1] == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b = (_lifted(x) for x in (a, b))
    return OURS["moveaxis"](LINALG["cross"](a, b), -1, axisc)


def _lifted(x: Tensor) -> Tensor:
    """Vectors of the plane as vectors of space."""
    if x.shape[-1] != 2:
        return x
    return OURS["concat"]([x, np.zeros((*x.shape[:-1], 1), x.dtype)], axis=-1)


@answers(np.linalg.svd)
def _svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    return LINALG["svd"](a, full_matrices=full_matrices) if compute_uv else LINALG["svdvals"](a)


@answers(np.linalg.cond)
def _cond(x: Any, p: Any = None) -> Tensor:
    if p is not None:
        return FOREIGN[np.linalg.norm](x, p, (-2, -1)) * FOREIGN[np.linalg.norm](
            LINALG["inv"](x), p, (-2, -1)
        )
    s = LINALG["svdvals"](x)
    return s[..., 0] / s[..., -1]


# -- questions --------------------------------------------------------------------------------


def of_values(theirs: Any) -> None:
    """Let a question of NumPy look at the values: its answer is constant almost everywhere."""

    @answers(theirs)
    def asked(*args: Any, **kwargs: Any) -> Any:
        plain = [
            np.asarray(x._known(f"np.{theirs.__name__}")) if isinstance(x, Tensor) else x  # noqa: SLF001
            for x in args
        ]
        return theirs(*plain, **kwargs)


for _question in (
    *(np.argpartition, np.argwhere, np.flatnonzero, np.nanargmax, np.nanargmin, np.digitize),
    *(np.iscomplex, np.isreal, np.isneginf, np.isposinf, np.array_equiv),
):
    of_values(_question)
