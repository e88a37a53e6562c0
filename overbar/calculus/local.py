"""The Jacobian of one operation by each of its inputs, with its structure.

What kind it is follows from what the primitive is, and never from looking at a full matrix: entry
by entry is diagonal, a matrix product is a Kronecker product, a single result is a single row. Of
everything else the pattern is known (`dependence`), and sweeps over one colour each fill it in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import GradientError
from ..graph import Node, span
from ..handle import Tensor, asarray, from_value
from ..ops.movement import parts
from ..primitive import shared
from ..replay import values_of
from .chains import Chain
from .compressed import entries, planned
from .pattern import pattern_of
from .structure import (
    Dense,
    Diagonal,
    Identity,
    Kronecker,
    RankOne,
    RowSparse,
    ScaledIdentity,
    Structured,
    Zero,
    product,
    total,
)
from .sweep import Raw

SPARSE = 0.25
"""Up to this share of entries a Jacobian is kept as row-sparse."""
SHAPES = {"alias", "cast", "reshape"}
"""The operations whose results are their inputs, in another shape or dtype."""
ADDED = SHAPES | {"broadcast", "transpose"}
"""What overbar adds around an operation: with the same place in the source, it belongs to it."""


def local_jacobian(t: Any, wrt: Any = None) -> Any:
    """The Jacobians of the operation that made t, by each of its inputs: a tuple of structured
    matrices (Identity, ScaledIdentity, Diagonal, RankOne, Kronecker, RowSparse, Zero, Dense), see
    `ob.sparse`. A row for each entry of t, a column for each of the input, counted row by row.

    wrt: an earlier tensor: the one Jacobian of t by it, over all paths, with what structure is
         left; a cascade of operations is multiplied in the cheapest order.

    Raises:  GradientError if t was not computed, or not from wrt.
    Example:
        >>> x = ob.tensor([1.0, -2.0, 3.0], requires_grad=True)
        >>> y = ob.relu(x)
        >>> ob.local_jacobian(y)
        (<diagonal 3×3, 3 numbers>,)
        >>> ob.local_jacobian(y)[0].toarray()
        array([[1., 0., 0.],
               [0., 0., 0.],
               [0., 0., 1.]])
        >>> ob.local_jacobian(ob.sum(y * y), wrt=x)
        <rank one 1×3, 4 numbers>
    """
    t = asarray(t)
    if wrt is not None:
        return _along_paths(t.node, _variable(t, wrt))
    if t._node is None or not t.node.inputs:
        raise GradientError(
            "local_jacobian: this tensor was not computed from one that asks for a gradient",
            got={"t": t},
            hint="make the leaf with requires_grad=True, or compute under ob.record()",
        )
    return tuple(_through(t.node, path) for path in _operands(t.node))


def jacobian_chain(t: Any, wrt: Any) -> Chain:
    """The structured Jacobians of a cascade, from wrt to t, as a `Chain`: the last one first.

    Raises:  GradientError if there is more than one path.
    Example:
        >>> x = ob.tensor(np.ones(50), requires_grad=True)
        >>> A, B, C = np.ones((5, 50)), np.ones((100, 5)), np.ones((10, 100))
        >>> ob.sparse.jacobian_chain(C @ (B @ (A @ x)), x)
        (J1 J2) J3: 7,500 multiplications (forward mode 75,000, reverse mode 7,500)
    """
    t = asarray(t)
    x = _variable(t, wrt)
    factors = _cascade(t.node, x)
    if factors is None:
        raise GradientError(
            "jacobian_chain: several paths lead from wrt to t, so their products are added",
            hint="ob.local_jacobian(t, wrt=x) adds them up",
        )
    return _chain(factors, x)


def _chain(factors: Sequence[Structured], x: Node) -> Chain:
    """The chain without the factors that change nothing."""
    kept = [j for j in factors if not isinstance(j, Identity)]
    return Chain(kept or [Identity(x.spec.size)])


def _variable(t: Tensor, wrt: Any) -> Node:
    x = wrt._node if isinstance(wrt, Tensor) else None
    if x is None or t._node is None or (x is not t.node and not span([t.node], [x])):
        raise GradientError(
            "local_jacobian: t was not computed from wrt", got={"t": t, "wrt": asarray(wrt)}
        )
    return x


# -- from an operation to its operands --------------------------------------------------------
# A path is [(node, number of its input), ...] from the result to an operand of the user's: through
# what overbar added before the operation (reshapes, casts), the operation, and what it added after.


def _operands(node: Node) -> list[list[tuple[Node, int]]]:
    head: list[tuple[Node, int]] = []
    here = node
    while _is_added(here) and _same_place(here, here.inputs[0]) and here.inputs[0].inputs:
        head.append((here, 0))
        here = here.inputs[0]
    if here.op.name == "part":
        head.append((here, 0))
        here = here.inputs[0]
    paths = []
    for i, x in enumerate(here.inputs):
        if x.spec.weak and not x.mask:  # a number in the source
            continue
        path = [*head, (here, i)]
        while _is_added(x) and _same_place(x, node):
            path.append((x, 0))
            x = x.inputs[0]
        paths.append(path)
    return paths


def _is_added(node: Node) -> bool:
    return bool(node.inputs) and node.op.name in ADDED


def _same_place(a: Node, b: Node) -> bool:
    return a.code is b.code and a.at == b.at


def _through(node: Node, path: Sequence[tuple[Node, int]]) -> Structured:
    """The product of the Jacobians along a path; results of several are taken with their node."""
    found: Structured = Identity(node.spec.size)
    result: int | None = None
    for n, i in path:
        if n.op.name == "part":
            result = n.params["index"]
            continue
        found = product(found, jacobian_of(n, i, result))
        result = None
    return found


def _cascade(t: Node, x: Node) -> list[Structured] | None:
    """The Jacobians along the only path from x to t; None if there are several."""
    on_path = set(span([t], [x]))
    factors: list[Structured] = []
    while t is not x:
        result = None
        if t.op.name == "part":
            result, t = t.params["index"], t.inputs[0]
        ahead = [i for i, n in enumerate(t.inputs) if n in on_path]
        if len(ahead) != 1:
            return None
        factors.append(jacobian_of(t, ahead[0], result))
        t = t.inputs[ahead[0]]
    return factors


def _along_paths(t: Node, x: Node) -> Structured:
    """The Jacobian of t by x: a cascade in the cheapest order, else sums, from x on."""
    factors = _cascade(t, x)
    if factors is not None:
        return _chain(factors, x).product()
    found: dict[Node, Structured] = {x: Identity(x.spec.size)}
    for node in span([t], [x]):
        if node is x or isinstance(node.spec, tuple):
            continue
        base, result = node, None
        if node.op.name == "part":
            base, result = node.inputs[0], node.params["index"]
        made: Structured = Zero(node.spec.size, x.spec.size)
        for i, operand in enumerate(base.inputs):
            if operand in found:
                made = total(made, product(jacobian_of(base, i, result), found[operand]))
        found[node] = made
    return found[t]


# -- one operation by one input ---------------------------------------------------------------


def jacobian_of(node: Node, i: int, result: int | None = None) -> Structured:
    """The structured Jacobian of a node by its input number i; of one of its results, if it has
    several.
    """
    op, x = node.op, node.inputs[i]
    out = node.spec if result is None else node.spec[result]
    m, n = out.size, x.spec.size
    if op.flat or not x.spec.floating or not out.floating:
        return Zero(m, n)
    if op.name in SHAPES:
        return Identity(m)
    if op.pointwise and type(op.vjp) is not shared:
        return _of_partial(node, i)
    if op.name == "sum" and m == 1:
        return RankOne(np.ones(1), np.ones(n))
    if op.name == "broadcast" and n == 1:
        return RankOne(np.ones(m), np.ones(1))
    if op.name == "matmul" and out.ndim == 2:
        other = Dense(_value(node.inputs[1 - i]))
        if i == 0:
            return _kronecker(Identity(out.shape[0]), other.T)
        return _kronecker(other, Identity(out.shape[1]))
    return _filled(node, i, result)


def _value(node: Node) -> np.ndarray:
    return np.broadcast_to(values_of([node])[node], node.spec.shape)


def _kronecker(a: Structured, b: Structured) -> Structured:
    """A ⊗ B; without a factor of one entry, and a single row or column as rank one."""
    if isinstance(a, Identity) and a.shape == (1, 1):
        return _narrow(b)
    if isinstance(b, Identity) and b.shape == (1, 1):
        return _narrow(a)
    return Kronecker(_narrow(a), _narrow(b))


def _narrow(a: Structured) -> Structured:
    if isinstance(a, Dense) and a.shape[0] == 1:
        return RankOne(np.ones(1), a.matrix)
    if isinstance(a, Dense) and a.shape[1] == 1:
        return RankOne(a.matrix, np.ones(1))
    return a


def _of_partial(node: Node, i: int) -> Structured:
    """Entry by entry: the partial derivative, one number for each entry or one for all."""
    rule, m = node.op.vjp[i], node.spec.size
    partial: Any
    if callable(rule):
        own, kept = node.op.needs(1 << i, len(node.inputs))
        with np.errstate(all="ignore"):
            y, xs = Raw().operands(node, own, kept)
            partial = rule(np.ones(node.spec.shape, node.spec.dtype), y, *xs, **node.params)
    else:
        partial = float(rule)
    if node.inputs[i].spec.size != m:  # a Python number for all entries
        return RankOne(np.broadcast_to(partial, node.spec.shape), np.ones(1))
    if not callable(rule) or _is_one_number(node, i):
        by = float(np.ravel(partial)[0]) if np.size(partial) else 1.0
        return Identity(m) if by == 1 else ScaledIdentity(m, by)
    return Diagonal(np.broadcast_to(partial, node.spec.shape))


def _is_one_number(node: Node, i: int) -> bool:
    """Whether the partial is the same for all entries: it needs nothing but Python numbers."""
    own, kept = node.op.needs(1 << i, len(node.inputs))
    return not own and all(node.inputs[k].spec.weak for k in kept)


def _filled(node: Node, i: int, result: int | None) -> Structured:
    """By the pattern, and sweeps that each give all entries of one colour."""
    operands = [from_value(v) for v in map(_value, node.inputs)]

    def f(x: Any) -> Any:
        y = node.op(*operands[:i], x, *operands[i + 1 :], **node.params)
        return y if result is None else parts(y)[result]

    x = operands[i]
    pattern = pattern_of(f, (x,), {}, [0])
    m, n = pattern.shape
    if not pattern.nnz:
        return Zero(m, n)
    data = np.asarray(_detached(entries(planned(pattern), f, x)))
    if m == 1 or n == 1:
        row = np.zeros(m * n)
        row[pattern.rows * n + pattern.columns] = data
        return RankOne(np.ones(1), row) if m == 1 else RankOne(row, np.ones(1))
    sparse = RowSparse((m, n), pattern.rows, pattern.columns, data)
    return sparse if node.op.moves or pattern.density <= SPARSE else Dense(sparse.toarray())


def _detached(t: Any) -> Any:
    return t.detach() if isinstance(t, Tensor) else t
