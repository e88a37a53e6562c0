"""Local Jacobians, by their structure: what one row's rule does to its input, as a matrix.

Read off the forward rule run on symbols, which is linear in ẋ: what stands before ẋ is the
Jacobian. Entry by entry it is diag(…), of a product the other factor, of a sum a row of ones.
Arrays are counted as vectors, row by row; so the Jacobian of z = W x by W is I ⊗ xᵀ. The numbers
are the engine's own: the row's rules, applied to one unit vector after the other.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..graph import Node
from ..primitive import PRIMITIVES
from .evaluate import Env, value_of
from .rows import Row, Telling
from .terms import (
    Applied,
    Expr,
    Mark,
    Number,
    Product,
    Shape,
    Sum,
    Symbol,
    built,
    of_shape,
    parts_of,
    product,
    quotient,
    reshaped,
    spread,
    total,
)

DIAGONAL = Mark("diag", "diag({0})", r"\operatorname{{diag}}({0})")
KRONECKER = Mark("kron", "{0} ⊗ {1}", r"{0} \otimes {1}")
CHAIN = Mark("chain", lambda *J: " · ".join(J), lambda *J: r" \cdot ".join(J))
"""The product of two Jacobians."""
VEC = Mark("vec", "vec({0})", r"\operatorname{{vec}}({0})")
"""The entries of an array, row by row."""
ONE, ONES = Number(1, shape=()), "𝟏"
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
MOST, ROWS = 1 << 18, 512
"""Entries, and rows, of a Jacobian that is worked out as a matrix, at most."""


def structure(tangent: Expr, x: Symbol) -> Expr | None:
    """The matrix that takes ẋ to this tangent of it; None if there is no short way to write it."""
    if tangent == x:
        return _identity(_size(x))
    if isinstance(tangent, Sum):
        found = [structure(spread(t, tangent.shape), x) for t in tangent.terms]
        return None if any(f is None for f in found) else total(*found)  # type: ignore[arg-type]
    if isinstance(tangent, Product):
        return _of_product(tangent, x)
    if isinstance(tangent, Applied) and not isinstance(tangent.op, Mark):
        return _of_operation(tangent, x)
    return None


def _size(e: Expr) -> int:
    return math.prod(e.shape or ())


def _identity(n: int) -> Expr:
    return ONE if n == 1 else Symbol("I" + str(n).translate(_LOW), **of_shape((n, n)))


def _ones(n: int) -> Expr:
    return Symbol(ONES + str(n).translate(_LOW), **of_shape((n,)))


def _is_identity(e: Expr) -> bool:
    return e == ONE or (isinstance(e, Symbol) and e.name[0] == "I" and not e.barred)


def _matrix(op: Mark, a: Expr, *b: Expr, shape: Shape) -> Expr:
    return Applied(op, (a, *b), "[]", {}, **of_shape(shape))


def _times(a: Expr, b: Expr) -> Expr:
    """The product of two Jacobians; a number goes in front."""
    if _is_identity(a) or _is_identity(b):
        return b if _is_identity(a) else a
    if a.scalar or b.scalar:
        return product(a, b)
    for i, e in enumerate((a, b)):  # numbers in front of either come in front of both
        arrays = [f for f in e.top if not f.scalar] if isinstance(e, Product) else []
        if isinstance(e, Product) and len(arrays) == 1 and not e.bottom:
            front = quotient(Number(e.times, shape=()), Number(e.over, shape=()))
            front = _all(front, [f for f in e.top if f.scalar])
            return product(front, _times(*((arrays[0], b) if i == 0 else (a, arrays[0]))))
    return chained(a, b)


def chained(*factors: Expr) -> Expr:
    """The matrix product of Jacobians."""
    flat = [
        f for e in factors for f in (e.args if isinstance(e, Applied) and e.op is CHAIN else (e,))
    ]
    shape = ((flat[0].shape or (1, 1))[0], (flat[-1].shape or (1, 1))[1])
    return _matrix(CHAIN, *flat, shape=shape)


def _mentions(e: Expr, x: Symbol) -> bool:
    stack = [e]
    while stack:
        at = stack.pop()
        if at == x:
            return True
        stack += parts_of(at)
    return False


def _of_product(e: Product, x: Symbol) -> Expr | None:
    inside = [f for f in e.top if _mentions(f, x)]
    if len(inside) != 1 or any(_mentions(f, x) for f in e.bottom):
        return None
    inner = structure(spread(inside[0], e.shape), x)
    if inner is None or e.shape is None:
        return None
    others = [f for f in e.top if f is not inside[0]]
    numbers = [f for f in others if f.scalar], [f for f in e.bottom if f.scalar]
    arrays = [f for f in others if not f.scalar], [f for f in e.bottom if not f.scalar]
    front = quotient(Number(e.times, shape=()), Number(e.over, shape=()))
    front = quotient(_all(front, numbers[0]), _all(ONE, numbers[1]))
    if not any(arrays):
        return product(front, inner)
    weights = quotient(_all(ONE, arrays[0]), _all(ONE, arrays[1]))
    weights, n = spread(weights, e.shape), _size(e)
    return product(front, _times(_matrix(DIAGONAL, weights, shape=(n, n)), inner))


def _all(start: Expr, factors: list[Expr]) -> Expr:
    return functools.reduce(product, factors, start)


def _of_operation(e: Applied, x: Symbol) -> Expr | None:
    name = e.op.name
    if name == "reshape":  # the entries, row by row, are the same
        return structure(e.args[0], x)
    if name == "broadcast":
        inner = structure(e.args[0], x)
        size = _size(e.args[0])
        if inner is None or (size != 1 and (e.args[0].shape or ())[-1:] != (size,)):
            return None  # only a vector repeated as rows has a short form
        column = reshaped(_ones(_size(e) // size), (_size(e) // size, 1))
        if size == 1:
            return product(inner, column) if inner.scalar else _times(column, inner)
        return _times(_kron(column, _identity(size)), inner)
    if name == "sum" and len(e.params["axis"]) == len(e.args[0].shape or ()):
        inner = structure(e.args[0], x)
        return None if inner is None else _summed(inner, _size(e.args[0]))
    if name == "matmul" and len(e.shape or ()) == 2:
        return _of_matmul(e.args[0], e.args[1], x)
    return None


def _summed(inner: Expr, n: int) -> Expr:
    """𝟏ᵀ J: of a diagonal, the row of its entries."""
    numbers: Expr = ONE
    if isinstance(inner, Product):
        arrays = [f for f in inner.top if not f.scalar]
        if len(arrays) == 1 and not inner.bottom:
            numbers = quotient(Number(inner.times, shape=()), Number(inner.over, shape=()))
            numbers = _all(numbers, [f for f in inner.top if f.scalar])
            inner = arrays[0]
    if isinstance(inner, Applied) and inner.op is DIAGONAL:
        return product(numbers, _row(inner.args[0]))
    ones = _row(_ones(n))
    return product(numbers, ones if _is_identity(inner) else _times(ones, inner))


def _row(e: Expr) -> Expr:
    """An array as one row."""
    n = _size(e)
    flat = e if len(e.shape or ()) == 1 else Applied(VEC, (e,), "[]", {}, **of_shape((n,)))
    return reshaped(flat, (1, n))


def _kron(a: Expr, b: Expr) -> Expr:
    if ONE in (a, b):
        return a if b == ONE else b
    (m, n), (p, q) = a.shape or (1, 1), b.shape or (1, 1)
    return _matrix(KRONECKER, a, b, shape=(m * p, n * q))


def _of_matmul(a: Expr, b: Expr, x: Symbol) -> Expr | None:
    left, right = _mentions(a, x), _mentions(b, x)
    if left == right or a.shape is None or b.shape is None:
        return None
    moving = a if left else b
    inner = structure(moving, x)
    if inner is None:
        return None
    (n, k), m = a.shape, b.shape[1]
    if left:  # vec(A B) = (I ⊗ Bᵀ) vec(A)
        turned = built(PRIMITIVES["transpose"], {"order": (1, 0)}, (b,), (m, k))
        return _times(_kron(_identity(n), turned), inner)
    return _times(_kron(a, _identity(m)), inner)  # vec(A B) = (A ⊗ I) vec(B)


# -- numbers ----------------------------------------------------------------------------------


def matrix_of(telling: Telling, row: Row, x: Node) -> np.ndarray | None:
    """The Jacobian of a row by one of its inputs, by the engine's rules; None if it is too large.

    Shapes:  (entries of the row's node, entries of x)
    """
    spec = row.node.spec
    if isinstance(spec, tuple) or isinstance(x.spec, tuple) or spec.size > ROWS:
        return None
    if spec.size * x.spec.size > MOST:
        return None
    out = np.zeros((spec.size, x.spec.size), np.result_type(spec.dtype, x.spec.dtype))
    for i in range(spec.size):
        seed = np.zeros(spec.size, spec.dtype)
        seed[i] = 1
        (x_bar,) = telling.pulled(row, [x], seed.reshape(spec.shape)[()])
        if x_bar is not None:
            out[i] = np.reshape(x_bar, -1)
    return out


def dense(e: Expr, env: Env) -> np.ndarray:
    """A structured Jacobian as a matrix."""
    return np.atleast_2d(value_of(e, env))


def constants(e: Expr) -> dict[Symbol, Any]:
    """What I and 𝟏 stand for in a structured Jacobian."""
    found: dict[Symbol, Any] = {}
    stack = [e]
    while stack:
        at = stack.pop()
        if _is_identity(at) and isinstance(at, Symbol):
            found[at] = np.eye((at.shape or (1,))[0])
        elif isinstance(at, Symbol) and at.name.startswith(ONES):
            found[at] = np.ones(at.shape or ())
        stack += parts_of(at)
    return found
