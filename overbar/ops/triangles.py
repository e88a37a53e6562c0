"""Triangles and diagonals of matrices: what lies where, read and put back.

Every primitive works on the last two axes, whatever leads them. Reading a diagonal and putting it
back into zeros are each other's transpose; cutting out a triangle is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import ShapeError
from ..handle import Tensor, as_tensor
from ..primitive import Primitive, public
from ..spec import Spec, one_axis, spec
from .movement import permute_dims
from .repeat import sum as total


def _triangle_entry(*, lower: bool) -> Callable[..., Any]:
    def entry(b: Any, i: Any, x: Any, *, k: int) -> Any:
        right = i[-1] - i[-2]
        return b.where(right <= k if lower else right >= k, x(*i), 0)

    return entry


def _triangle(name: str, what: str, tex: str) -> Primitive:
    def cut(x: Any, *, k: int) -> Any:
        return op(x, k=k)

    op = Primitive(
        name,
        forward=lambda xp, x, *, k: getattr(xp, name)(x, k),
        shape=lambda x, *, k: x,
        vjp=(lambda y_bar, _y, _x, *, k: cut(y_bar, k=k),),
        batch=lambda n, mapped, x, *, k: cut(x, k=k),
        entry=_triangle_entry(lower=name == "tril"),
        text=name + "({0})",
        tex=rf"\operatorname{{{{{tex}}}}}({{0}})",
        moves=True,
        selects=True,
        complex=True,
        samples=lambda r: [
            ((r(3, 4),), {"k": 0}),
            ((r(2, 4, 3),), {"k": 1}),
            ((r(3, 3),), {"k": -1}),
            ((r(0, 2),), {"k": 0}),
        ],
        doc=f"The entries on and {what} the k-th diagonal, zeros elsewhere.",
    )
    return op


tril_, triu_ = _triangle("tril", "below", "tril"), _triangle("triu", "above", "triu")


def _length(shape: tuple[int, ...], offset: int) -> int:
    """How many entries the diagonal has."""
    return max(0, min(shape[-2] + min(offset, 0), shape[-1] - max(offset, 0)))


def _put_diagonal(xp: Any, y: Any, *, offset: int, shape: tuple[int, int]) -> Any:
    x = xp.zeros((*y.shape[:-1], *shape), y.dtype)
    along = np.arange(_length(shape, offset))
    x[..., along + max(-offset, 0), along + max(offset, 0)] = y
    return x


diagonal_ = Primitive(
    "diagonal",
    forward=lambda xp, x, *, offset: xp.diagonal(x, offset, -2, -1),
    moves=True,
    complex=True,
    shape=lambda x, *, offset: spec((*x.shape[:-2], _length(x.shape, offset)), x.dtype),
    vjp=(lambda y_bar, _y, _x, *, offset: undiagonal_(y_bar, offset=offset, shape=_x.shape[-2:]),),
    batch=lambda n, mapped, x, *, offset: diagonal_(x, offset=offset),
    text="diagonal({0})",
    tex=r"\operatorname{{diag}}({0})",
    selects=True,
    samples=lambda r: [
        ((r(3, 4),), {"offset": 0}),
        ((r(2, 4, 3),), {"offset": -2}),
        ((r(2, 2),), {"offset": 2}),
    ],
    entry=lambda b, i, x, *, offset: x(*i[:-1], i[-1] + max(-offset, 0), i[-1] + max(offset, 0)),
    doc="The entries on one diagonal of the last two axes.",
)


def _undiagonal_entry(b: Any, i: Any, y: Any, *, offset: int, shape: tuple[int, ...]) -> Any:
    *rest, row, column = i
    at = b.minimum(row if offset >= 0 else column, max(y.shape[-1] - 1, 0))
    return b.where(column - row == offset, y(*rest, at), 0)


undiagonal_ = Primitive(
    "undiagonal",
    forward=_put_diagonal,
    moves=True,
    complex=True,
    shape=lambda y, *, offset, shape: spec((*y.shape[:-1], *shape), y.dtype),
    vjp=(lambda x_bar, _x, _y, *, offset, shape: diagonal_(x_bar, offset=offset),),
    batch=lambda n, mapped, y, *, offset, shape: undiagonal_(y, offset=offset, shape=shape),
    text="diag({0})",
    tex=r"\operatorname{{diag}}({0})",
    samples=lambda r: [
        ((r(3),), {"offset": 0, "shape": (3, 3)}),
        ((r(2, 2),), {"offset": 1, "shape": (4, 3)}),
    ],
    entry=_undiagonal_entry,
    doc="Zeros with y on one diagonal: the transpose of reading it.",
)


def _matrix(what: str, x: Any) -> Tensor:
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"{what}: a matrix has two axes", got={"x": x}, want="x: (..., n, m)")
    return x


@public
def tril(x: Any, /, *, k: int = 0) -> Tensor:
    """The lower triangle of x: the entries on and below the k-th diagonal, zeros above.

    Shapes:  x (..., n, m)  ->  (..., n, m); k > 0 keeps k more diagonals, k < 0 fewer.
    Rule:    x̄ is the same triangle of ȳ; a NaN above never leaks.
    Example:
        >>> ob.tril([[1.0, 2.0], [3.0, 4.0]])
        Tensor([[1., 0.],
                [3., 4.]], float64)
    """
    return apply(tril_, (_matrix("tril", x),), {"k": int(k)})


@public
def triu(x: Any, /, *, k: int = 0) -> Tensor:
    """The upper triangle of x: the entries on and above the k-th diagonal, zeros below.

    Shapes:  x (..., n, m)  ->  (..., n, m); k > 0 keeps fewer diagonals, k < 0 more.
    Rule:    x̄ is the same triangle of ȳ; a NaN below never leaks.
    Example:
        >>> ob.triu([[1.0, 2.0], [3.0, 4.0]])
        Tensor([[1., 2.],
                [0., 4.]], float64)
    """
    return apply(triu_, (_matrix("triu", x),), {"k": int(k)})


@public
@public(namespace="linalg")
def diagonal(x: Any, /, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    """The entries x[..., i, i + offset]: one diagonal of every matrix.

    Shapes:  x (..., n, m)  ->  (..., k); the axes of the matrices are the last two, as in the Array
             API (NumPy's own `diagonal` takes the first two).
    Rule:    x̄ has ȳ on that diagonal and zeros elsewhere.
    Example:
        >>> ob.diagonal([[1.0, 2.0], [3.0, 4.0]], offset=1)
        Tensor([2.], float64)
    """
    x = _matrix("diagonal", x)
    first, second = one_axis("diagonal", axis1, x.ndim), one_axis("diagonal", axis2, x.ndim)
    if first == second:
        raise ShapeError(
            f"diagonal: axis {axis1} is named twice", got={"x": x}, want="two different axes"
        )
    rest = tuple(i for i in range(x.ndim) if i not in (first, second))
    return apply(diagonal_, (permute_dims(x, (*rest, first, second)),), {"offset": int(offset)})


@public(namespace="linalg")
def trace(
    x: Any, /, *, offset: int = 0, axis1: int = -2, axis2: int = -1, dtype: Any = None
) -> Tensor:
    """The sum of one diagonal of every matrix.

    Shapes:  x (..., n, m)  ->  (...); the axes of the matrices are the last two.
    Rule:    x̄ = ȳ I.
    Example:
        >>> ob.linalg.trace([[1.0, 2.0], [3.0, 4.0]])
        Tensor(5., float64)
    """
    return total(
        diagonal(_matrix("trace", x), offset=offset, axis1=axis1, axis2=axis2), -1, dtype=dtype
    )


@public
def diag(x: Any, /, *, offset: int = 0) -> Tensor:
    """Of a vector the matrix that carries it on a diagonal, of a matrix its diagonal.

    Shapes:  (n,)  ->  (n + |offset|, n + |offset|);   (n, m)  ->  (k,)
    Raises:  ShapeError for more axes: `diagonal` and `linalg.diag_embed` take any number.
    Example:
        >>> ob.diag([1.0, 2.0])
        Tensor([[1., 0.],
                [0., 2.]], float64)
    """
    x = as_tensor(x)
    if x.ndim not in (1, 2):
        raise ShapeError(
            "diag: a vector or a matrix",
            got={"x": x},
            want="x: (n,) or (n, m)",
            hint="ob.diagonal reads, ob.linalg.diag_embed builds, with any leading axes",
        )
    return diag_embed(x, offset=offset) if x.ndim == 1 else diagonal(x, offset=offset)


@public(namespace="linalg")
def diag_embed(x: Any, /, *, offset: int = 0) -> Tensor:
    """Square matrices that carry the last axis of x on one diagonal.

    Shapes:  x (..., n)  ->  (..., n + |offset|, n + |offset|)
    Rule:    x̄ is that diagonal of ȳ.
    Example:
        >>> ob.linalg.diag_embed([1.0], offset=1)
        Tensor([[0., 1.],
                [0., 0.]], float64)
    """
    x = as_tensor(x)
    if not x.ndim:
        raise ShapeError(
            "diag_embed: a number has no axis to lay along a diagonal",
            got={"x": x},
            want="x: (..., n)",
        )
    n = x.shape[-1] + abs(int(offset))
    return apply(undiagonal_, (x,), {"offset": int(offset), "shape": (n, n)})


def unit(of: Spec | Any) -> np.ndarray:
    """The identity of the size and dtype of a square matrix, as a raw array."""
    return np.eye(of.shape[-1], dtype=of.dtype)
