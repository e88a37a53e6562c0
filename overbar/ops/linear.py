"""Products: matrix products and everything said with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..primitive import Primitive, public
from ..spec import Spec, broadcast_shape, spec
from ..apply import apply
from ..handle import Tensor, as_tensor
from .movement import transpose
from .repeat import broadcast_to, reshape


def _matmul_shape(a: Spec, b: Spec) -> Spec:
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"matmul: the inner sizes differ, {a.shape[-1]} against {b.shape[-2]}",
            got={"a": a, "b": b},
            want="a: (..., n, k)   b: (..., k, m)   ->   (..., n, m)",
            hint="transpose one side with .mT" if a.shape[-1] == b.shape[-1] else None,
        )
    return spec(a.shape[:-1] + b.shape[-1:], np.result_type(a.dtype, b.dtype))


def mT(x: Any) -> Any:  # noqa: N802  (the Array API's name)
    """The transpose of the last two axes, of a raw array or a Tensor."""
    return transpose(x, order=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _matmul_lanes(n: int, mapped: Any, a: Any, b: Any) -> Any:
    if mapped == (True, False) and b.ndim == 2:  # noqa: PLR2004  (one product, the lanes are rows)
        flat = matmul_(reshape(a, (-1, a.shape[-1])) if a.size else a.reshape((math.prod(a.shape[:-1]), a.shape[-1])), b)
        return reshape(flat, (*a.shape[:-1], b.shape[-1]))
    if not mapped[0]:
        a = broadcast_to(a, (n, *a.shape))
    if not mapped[1]:
        b = broadcast_to(b, (n, *b.shape))
    return matmul_(a, b)


matmul_ = Primitive(
    "matmul", forward="matmul", shape=_matmul_shape, complex=True,
    vjp=(
        lambda y_bar, _y, _a, b: matmul_(y_bar, mT(b)),
        lambda y_bar, _y, a, _b: matmul_(mT(a), y_bar),
    ),
    batch=_matmul_lanes, text="{0} {1}", tex=r"{0}\,{1}",
    samples=lambda r: [((r(3, 4), r(4, 2)), {}), ((r(2, 3, 4), r(2, 4, 2)), {}), ((r(0, 4), r(4, 2)), {})],
    doc="The matrix product; both sides carry the same leading axes.",
)  # fmt: skip


@public
def matmul(a: Any, b: Any, /) -> Tensor:
    """The matrix product a b, what `a @ b` does.

    Shapes:  a (..., n, k), b (..., k, m)  ->  (..., n, m); leading axes broadcast; a vector on the
             left is a row, on the right a column, and its axis is dropped.
    Rule:    ā = ȳ bᵀ,  b̄ = aᵀ ȳ.
    Raises:  ShapeError if the inner sizes differ.
    """
    a, b = as_tensor(a), as_tensor(b)
    if not a.ndim or not b.ndim:
        raise ShapeError("matmul: a number is no matrix", got={"a": a, "b": b}, hint="use * to scale")
    dtype = np.result_type(a.dtype, b.dtype)
    a, b = as_tensor(a, dtype), as_tensor(b, dtype)
    if dtype.kind == "b":
        return matmul(as_tensor(a, np.int64), as_tensor(b, np.int64)) > 0
    row, column = a.ndim == 1, b.ndim == 1
    if row:
        a = reshape(a, (1, *a.shape))
    if column:
        b = reshape(b, (*b.shape, 1))
    lead = a.shape[:-1]
    if b.ndim == 2 and a.ndim > 2:  # noqa: PLR2004  (one big product instead of many small)
        _matmul_shape(a.spec, b.spec)
        a = reshape(a, (math.prod(lead), a.shape[-1]))
        y = reshape(apply(matmul_, (a, b)), (*lead, b.shape[-1]))
    else:
        if a.shape[:-2] != b.shape[:-2]:
            _matmul_shape(a.spec, b.spec)
            common = broadcast_shape("matmul", {"a's leading axes": a.shape[:-2], "b's leading axes": b.shape[:-2]})
            a, b = broadcast_to(a, common + a.shape[-2:]), broadcast_to(b, common + b.shape[-2:])
        y = apply(matmul_, (a, b))
    if row:
        y = reshape(y, (*y.shape[:-2], *y.shape[-1:]))
    return reshape(y, y.shape[:-1]) if column else y
