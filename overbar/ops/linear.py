"""Products: matrix products and everything said with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import ShapeError
from ..handle import Tensor, as_tensor
from ..primitive import Primitive, public
from ..spec import Spec, broadcast_shape, one_axis, spec
from .index import stretch
from .join import stack
from .movement import astype, conj, conj_, matrix_transpose, permute_dims, transpose
from .repeat import broadcast_to, reshape
from .repeat import sum as total


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


def star(x: Any) -> Any:
    """The complex conjugate; real numbers as they are. Of a raw array or a Tensor."""
    return conj_(x) if x.dtype.kind == "c" else x


def H(x: Any) -> Any:  # noqa: N802  (the textbook's letter)
    """The conjugate transpose of the last two axes, of a raw array or a Tensor."""
    return mT(star(x))


def of_one_dtype(what: str, *xs: Any) -> list[Tensor]:
    """The operands as Tensors of their common dtype; Python numbers take that of what they meet.

    Raises:  ShapeError if there is none.
    """
    if not xs:
        raise ShapeError(f"{what}: there is no array", want="at least one")
    found = [as_tensor(x) for x in xs]
    dtype = np.result_type(*(x.dtype.type(1).item() if x.spec.weak else x.dtype for x in found))
    return [astype(x, dtype) for x in found]


def _are_units(x: Any, n: int) -> bool:
    """Whether lane i is the i-th unit vector: the basis in which a Jacobian is asked for."""
    node, value = x.node, x.value
    while value is None and node.op.name in ("reshape", "alias"):
        node = node.inputs[0]
        value = node.value
    if value is None or node.mask or value.size != n * n:
        return False
    return bool(np.array_equal(np.reshape(value, (n, n)), np.eye(n)))


def _matmul_lanes(n: int, mapped: Any, a: Any, b: Any) -> Any:
    # A basis of lanes picks columns of a, or rows of b: nothing to multiply.
    alike = a.dtype == b.dtype
    if alike and not mapped[0] and a.ndim == 2 and b.shape == (n, n, 1) and _are_units(b, n):
        return reshape(mT(a), (n, a.shape[0], 1))
    if alike and not mapped[1] and b.ndim == 2 and a.shape == (n, 1, n) and _are_units(a, n):
        return reshape(b, (n, 1, b.shape[1]))
    if mapped == (True, False) and b.ndim == 2:  # one product, the lanes are rows
        rows = reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))
        flat = matmul_(rows, b)
        return reshape(flat, (*a.shape[:-1], b.shape[-1]))
    if not mapped[0]:
        a = broadcast_to(a, (n, *a.shape))
    if not mapped[1]:
        b = broadcast_to(b, (n, *b.shape))
    return matmul_(a, b)


matmul_ = Primitive(
    "matmul",
    forward="matmul",
    shape=_matmul_shape,
    complex=True,
    vjp=(
        lambda y_bar, _y, _a, b: matmul_(y_bar, mT(b)),
        lambda y_bar, _y, a, _b: matmul_(mT(a), y_bar),
    ),
    batch=_matmul_lanes,
    text="{0} {1}",
    tex=r"{0}\,{1}",
    samples=lambda r: [
        ((r(3, 4), r(4, 2)), {}),
        ((r(2, 3, 4), r(2, 4, 2)), {}),
        ((r(0, 4), r(4, 2)), {}),
    ],
    doc="The matrix product; both sides carry the same leading axes.",
)


@public
@public(namespace="linalg")
def matmul(a: Any, b: Any, /) -> Tensor:
    """The matrix product a b, what `a @ b` does.

    Shapes:  a (..., n, k), b (..., k, m)  ->  (..., n, m); leading axes broadcast; a vector on the
             left is a row, on the right a column, and its axis is dropped.
    Rule:    ā = ȳ bᵀ,  b̄ = aᵀ ȳ.
    Raises:  ShapeError if the inner sizes differ.
    """
    a, b = as_tensor(a), as_tensor(b)
    if not a.ndim or not b.ndim:
        raise ShapeError(
            "matmul: a number is no matrix", got={"a": a, "b": b}, hint="use * to scale"
        )
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
    if b.ndim == 2 and a.ndim > 2:  # one big product instead of many small
        _matmul_shape(a.spec, b.spec)
        a = reshape(a, (math.prod(lead), a.shape[-1]))
        y = reshape(apply(matmul_, (a, b)), (*lead, b.shape[-1]))
    else:
        if a.shape[:-2] != b.shape[:-2]:
            _matmul_shape(a.spec, b.spec)
            common = broadcast_shape(
                "matmul", {"a's leading axes": a.shape[:-2], "b's leading axes": b.shape[:-2]}
            )
            a, b = broadcast_to(a, common + a.shape[-2:]), broadcast_to(b, common + b.shape[-2:])
        y = apply(matmul_, (a, b))
    if row:
        y = reshape(y, (*y.shape[:-2], *y.shape[-1:]))
    return reshape(y, y.shape[:-1]) if column else y


public(matrix_transpose, namespace="linalg")


@public
@public(namespace="linalg")
def outer(a: Any, b: Any, /) -> Tensor:
    """Every entry of a vector times every entry of another: a bᵀ.

    Shapes:  a (n,), b (m,)  ->  (n, m)
    Rule:    ā = ȳ b,  b̄ = ȳᵀ a.
    Raises:  ShapeError for what is no vector.
    Example:
        >>> ob.outer([1.0, 2.0], [3.0, 4.0])
        Tensor([[3., 4.],
                [6., 8.]], float64)
    """
    a, b = of_one_dtype("outer", a, b)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(
            "outer: both sides are vectors",
            got={"a": a, "b": b},
            want="a: (n,)   b: (m,)   ->   (n, m)",
            hint="for other shapes: ob.tensordot(a, b, axes=0), or ob.einsum",
        )
    return reshape(a, (a.shape[0], 1)) * b


@public
@public(namespace="linalg")
def vecdot(a: Any, b: Any, /, *, axis: int = -1) -> Tensor:
    """The dot products Σ a* b of the vectors along one axis; of complex ones a is conjugated.

    Shapes:  a (..., n), b (..., n)  ->  (...); the other axes broadcast.
    Rule:    ā = ȳ b,  b̄ = ȳ a.
    Raises:  ShapeError if the sizes along the axis differ.
    Example:
        >>> ob.vecdot([1.0, 2.0], [3.0, 4.0])
        Tensor(11., float64)
    """
    a, b = of_one_dtype("vecdot", a, b)
    if not a.ndim or not b.ndim:
        raise ShapeError(
            "vecdot: a number is no vector", got={"a": a, "b": b}, hint="use * to scale"
        )
    narrow = min(a.ndim, b.ndim)
    if (axis >= 0 and a.ndim != b.ndim) or not -narrow <= axis < narrow:
        raise ShapeError(
            f"vecdot: axis {axis} is not one axis of both",
            got={"a": a, "b": b},
            want="an axis counted from the end: -1, -2, ...",
        )
    at = axis if axis < 0 else axis - a.ndim
    if a.shape[at] != b.shape[at]:
        raise ShapeError(
            f"vecdot: the vectors differ in length, {a.shape[at]} against {b.shape[at]}",
            got={"a": a, "b": b},
        )
    wide = max(a.ndim, b.ndim)
    return total((conj(a) if a.dtype.kind == "c" else a) * b, wide + at)


@public
@public(namespace="linalg")
def tensordot(a: Any, b: Any, /, *, axes: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """The sum of products over pairs of axes: the last `axes` of a with the first of b, or the
    pairs named in two sequences.

    Shapes:  the remaining axes of a, then those of b.
    Rule:    of the matrix product it is.
    Raises:  ShapeError if paired sizes differ.
    Example:
        >>> ob.tensordot(ob.ones((2, 3, 4)), ob.ones((4, 3, 5)), axes=((1, 2), (1, 0))).shape
        (2, 5)
    """
    a, b = of_one_dtype("tensordot", a, b)
    if isinstance(axes, int | np.integer):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ShapeError(
                f"tensordot: {axes} axes cannot be paired",
                got={"a": a, "b": b},
                want=f"axes from 0 to {min(a.ndim, b.ndim)}",
            )
        of_a, of_b = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    else:
        pairs: Any = axes
        of_a, of_b = ((g,) if isinstance(g, int | np.integer) else tuple(g) for g in pairs)
        of_a = tuple(one_axis("tensordot", int(i), a.ndim) for i in of_a)
        of_b = tuple(one_axis("tensordot", int(i), b.ndim) for i in of_b)
    paired = [a.shape[i] for i in of_a], [b.shape[i] for i in of_b]
    if paired[0] != paired[1] or len({*of_a}) < len(of_a) or len({*of_b}) < len(of_b):
        raise ShapeError(
            f"tensordot: axes {of_a} of a do not pair with axes {of_b} of b, "
            f"sizes {paired[0]} against {paired[1]}",
            got={"a": a, "b": b},
            want="pairs of axes of equal size, each axis once",
        )
    left, right = (
        [i for i in range(x.ndim) if i not in over] for x, over in ((a, of_a), (b, of_b))
    )
    inner = math.prod(paired[0])
    lead, rest = tuple(a.shape[i] for i in left), tuple(b.shape[i] for i in right)
    rows = reshape(permute_dims(a, (*left, *of_a)), (math.prod(lead), inner))
    columns = reshape(permute_dims(b, (*of_b, *right)), (inner, math.prod(rest)))
    return reshape(matmul(rows, columns), lead + rest)


@public
def inner(a: Any, b: Any, /) -> Tensor:
    """The sum of products over the last axis of both, not conjugated; of numbers the product.

    Shapes:  a (..., n), b (... , n)  ->  the other axes of a, then those of b.
    Raises:  ShapeError if the last sizes differ.
    Example:
        >>> ob.inner([1.0, 2.0], [3.0, 4.0])
        Tensor(11., float64)
    """
    a, b = of_one_dtype("inner", a, b)
    return tensordot(a, b, axes=((-1,), (-1,))) if a.ndim and b.ndim else a * b


@public
def dot(a: Any, b: Any, /) -> Tensor:
    """NumPy's product: of vectors Σ a b, of matrices a b, of a number the multiple; else the sum
    over the last axis of a and the last but one of b.

    Example:
        >>> ob.dot([1.0, 2.0], [3.0, 4.0])
        Tensor(11., float64)
    """
    a, b = of_one_dtype("dot", a, b)
    if not a.ndim or not b.ndim:
        return a * b
    return tensordot(a, b, axes=((-1,), (max(b.ndim - 2, 0),)))


@public
def kron(a: Any, b: Any, /) -> Tensor:
    """Kronecker's product: every entry of a, times the whole of b.

    Shapes:  a (n, m), b (p, q)  ->  (n p, m q); likewise for more axes, missing ones are 1.
    Rule:    of a product of entries.
    Example:
        >>> ob.kron([1.0, 10.0], [1.0, 2.0])
        Tensor([ 1.,  2., 10., 20.], float64)
    """
    a, b = of_one_dtype("kron", a, b)
    wide = max(a.ndim, b.ndim)
    one, other = ((1,) * (wide - x.ndim) + x.shape for x in (a, b))
    a = reshape(a, tuple(n for size in one for n in (size, 1)))
    b = reshape(b, tuple(n for size in other for n in (1, size)))
    return reshape(a * b, tuple(n * m for n, m in zip(one, other, strict=True)))


@public(namespace="linalg")
def cross(a: Any, b: Any, /, *, axis: int = -1) -> Tensor:
    """The cross products of the vectors of size 3 along one axis.

    Shapes:  a (..., 3), b (..., 3)  ->  (..., 3); the other axes broadcast.
    Rule:    ā = b × ȳ,  b̄ = ȳ × a.
    Raises:  ShapeError for vectors of another size.
    Example:
        >>> ob.linalg.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        Tensor([0., 0., 1.], float64)
    """
    a, b = of_one_dtype("cross", a, b)
    shape = broadcast_shape("cross", {"a": a.shape, "b": b.shape})
    axis = one_axis("cross", axis, len(shape))
    a, b = broadcast_to(a, shape), broadcast_to(b, shape)
    if shape[axis] != 3:
        raise ShapeError(
            "cross: the vectors have three entries",
            got={"a": a, "b": b},
            want="size 3 along the axis",
        )
    a0, a1, a2 = _entries(a, axis)
    b0, b1, b2 = _entries(b, axis)
    return stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=axis)


def _entries(x: Tensor, axis: int) -> list[Tensor]:
    """The three slices along an axis, without that axis."""
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return [reshape(stretch(x, axis, i, 1), shape) for i in range(3)]


@public(namespace="linalg")
def multi_dot(matrices: Sequence[Any], /) -> Tensor:
    """The product of several matrices, in the order that costs least.

    Shapes:  (n, k), (k, l), ..., (l, m)  ->  (n, m); the first and the last may be vectors.
    Raises:  ShapeError if neighbours do not fit.
    Source:  Cormen et al., Introduction to Algorithms, 15.2: dynamic programming over the chain.
    Example:
        >>> ob.linalg.multi_dot([[1.0, 2.0], [[1.0, 0.0], [0.0, 2.0]], [1.0, 1.0]])
        Tensor(5., float64)
    """
    xs = of_one_dtype("multi_dot", *matrices)
    if any(x.ndim != 2 and not (x.ndim == 1 and i in (0, len(xs) - 1)) for i, x in enumerate(xs)):
        raise ShapeError(
            "multi_dot: matrices, and at the ends perhaps vectors",
            got={f"matrix {i}": x for i, x in enumerate(xs)},
        )
    if len(xs) == 1:
        return xs[0]
    row, column = xs[0].ndim == 1, xs[-1].ndim == 1
    first = reshape(xs[0], (1, xs[0].shape[0])) if row else xs[0]
    last = reshape(xs[-1], (xs[-1].shape[0], 1)) if column else xs[-1]
    xs = [first, *xs[1:-1], last]
    for a, b in itertools.pairwise(xs):
        _matmul_shape(a.spec, b.spec)
    split = _brackets([xs[0].shape[0], *(x.shape[1] for x in xs)])
    done: dict[tuple[int, int], Tensor] = {(i, i): x for i, x in enumerate(xs)}
    stack_of = [(0, len(xs) - 1)]
    while stack_of:  # depth first without recursion: a chain may be long
        i, j = stack_of[-1]
        k = split[i, j]
        missing = [part for part in ((i, k), (k + 1, j)) if part not in done]
        if missing:
            stack_of += missing
        else:
            done[i, j] = matmul(done[i, k], done[k + 1, j])
            stack_of.pop()
    y = done[0, len(xs) - 1]
    return reshape(y, tuple(n for n, gone in zip(y.shape, (row, column), strict=True) if not gone))


def _brackets(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """For every stretch of a chain of matrices, after which one to split it for the least cost."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            found = [
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            ]
            cost[i, j], split[i, j] = min(found)
    return split
