"""Pass `fold`: what is known while compiling is computed now, and identities are used up.

Only identities that hold for every IEEE number are in the table: x · 1, x − 0, x / 1, −(−x) are;
x · 0 and x + 0 are not (NaN, −0).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..elementwise import Elementwise
from ..graph import Graph, Node, bodies_of, number
from ..primitive import PRIMITIVES
from ..spec import spec
from . import positions
from .access import groups, strided
from .rewrite import constant, is_constant, make, rebuilt, with_inputs

PARTS = 8
"""So many arrays, at most, are joined: the kernel has a loop for each."""

SMALL = 4096
"""Constants of at most so many entries are computed while compiling."""


def fold(graph: Graph) -> Graph:
    """Compute what is known; use identities.

    %1 = transpose %0 order=(1, 0)
    %2 = transpose %1 order=(1, 0)       ->      %4 = exp %0
    %3 = multiply %2 1
    %4 = exp %3
    """
    leaves = set(graph.inputs)

    def replace(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in leaves or not inputs:
            return node
        node = with_inputs(node, inputs)
        known = _computed(node) or _uniform(node) or _of_nothing(node) or _once(node)
        if known is not None:
            return known
        for identity in _identities(node):
            simpler = identity(node)
            if simpler is not None and simpler.spec is node.spec:
                return simpler
        return node

    return rebuilt(graph, replace)


def _identities(node: Node) -> tuple[Callable[[Node], Node | None], ...]:
    """Those of its operation. Neutral numbers are real: a part of (∞ + 0i) (1 + 0i) is 0 ∞."""
    if node.op.name in ("multiply", "divide", "subtract") and node.spec.dtype.kind == "c":
        return ()
    return IDENTITIES.get(node.op.name, ())


def _computed(node: Node) -> Node | None:
    """The constant it is, if all its inputs are constants and it is small."""
    if not all(map(is_constant, node.inputs)) or isinstance(node.spec, tuple):
        return None
    if node.spec.size > SMALL or node.op.name not in PRIMITIVES:
        return None
    if node.op.name in ("broadcast", "reshape") and node.spec.size > 1:
        return None  # a number that is repeated is best left a number
    if not isinstance(node.op, Elementwise) and node.op.name not in _PURE:
        return None
    with np.errstate(all="ignore"):
        value = node.op.run(*(x.value for x in node.inputs), **node.params)
    if not node.spec.weak:
        value = np.asarray(value, node.spec.dtype)
    elif isinstance(value, np.generic | np.ndarray):
        value = value.item()
    return constant(value, node.spec, node)


def _of_nothing(node: Node) -> Node | None:
    """A result of a loop that nothing goes into is known."""
    loop = node.inputs[0]
    if node.op.name != "part" or loop.inputs:
        return None
    bodies = bodies_of(loop).values()
    if not bodies or any(n.op.name == "callback" for body in bodies for n in body.nodes):
        return None
    value = loop.op.run(**loop.params)[node.params["index"]]
    return constant(np.asarray(value, node.spec.dtype), node.spec, node)


def _uniform(node: Node) -> Node | None:
    """Of numbers that are the same everywhere, entry by entry: one number, repeated."""
    if not isinstance(node.op, Elementwise) or node.spec.size <= 1:
        return None
    sources = [_repeated(x) for x in node.inputs]
    if any(x is None for x in sources):
        return None
    of = spec((), node.spec.dtype)
    one = _computed(make(node.op, sources, node.params, of, node))  # type: ignore[arg-type]
    if one is None:
        return None
    return make(PRIMITIVES["broadcast"], (one,), {"shape": node.spec.shape}, node.spec, node)


def _once(node: Node) -> Node | None:
    """f(broadcast x) = broadcast f(x): of numbers that are repeated, once."""
    if not isinstance(node.op, Elementwise):
        return None
    repeated = [x for x in node.inputs if x.op.name == "broadcast" and x.inputs]
    shapes = {x.inputs[0].spec.shape for x in repeated}
    if len(shapes) != 1 or any(
        x.spec.shape != node.spec.shape if x in repeated else x.spec.ndim or not is_constant(x)
        for x in node.inputs
    ):
        return None
    sources = [x.inputs[0] if x in repeated else x for x in node.inputs]
    one = make(node.op, sources, node.params, spec(shapes.pop(), node.spec.dtype), node)
    return make(PRIMITIVES["broadcast"], (one,), {"shape": node.spec.shape}, node.spec, node)


def _repeated(x: Node) -> Node | None:
    """The constant that a broadcast repeats, as a 0-d constant."""
    if is_constant(x) and np.size(x.value) == 1:
        return x if x.spec.weak else constant(np.reshape(x.value, ()), spec((), x.spec.dtype), x)
    if x.op.name in ("broadcast", "reshape") and x.inputs:
        return _repeated(x.inputs[0])
    return None


_PURE = {"cast", "reshape", "broadcast", "transpose", "slice", "sum", "alias", "stop_gradient"}


def _number(node: Node) -> Any:
    """The one number that a constant holds everywhere, or None."""
    while node.op.name in ("broadcast", "reshape", "cast") and node.inputs:
        node = node.inputs[0]
    if is_constant(node) and np.size(node.value) == 1:
        return np.asarray(node.value).item()
    return None


def _drops(position: int, neutral: float) -> Callable[[Node], Node | None]:
    """x op neutral = x, the neutral number at a position"""

    def identity(node: Node) -> Node | None:
        n = _number(node.inputs[position])
        same = n is not None and n == neutral and math.copysign(1, n) == math.copysign(1, neutral)
        return node.inputs[1 - position] if same else None

    return identity


def _twice(name: str) -> Callable[[Node], Node | None]:
    """f(f(x)) = x"""

    def identity(node: Node) -> Node | None:
        x = node.inputs[0]
        return x.inputs[0] if x.op.name == name and x.inputs else None

    return identity


def _transposed_twice(node: Node) -> Node | None:
    x = node.inputs[0]
    if x.op.name != "transpose" or not x.inputs:
        return None
    order = tuple(x.params["order"][i] for i in node.params["order"])
    if order == tuple(range(len(order))):
        return x.inputs[0]
    return make(node.op, x.inputs, {"order": order}, node.spec, node)


def _reshaped_twice(node: Node) -> Node | None:
    x = node.inputs[0]
    if x.op.name != "reshape" or not x.inputs:
        return None
    if x.inputs[0].spec.shape == node.spec.shape:
        return x.inputs[0]
    return make(node.op, x.inputs, node.params, node.spec, node)


def _broadcast_twice(node: Node) -> Node | None:
    x = node.inputs[0]
    if x.op.name != "broadcast" or not x.inputs:
        return None
    return make(node.op, x.inputs, node.params, node.spec, node)


def _repeated_twice(node: Node) -> Node | None:
    """What is repeated, reshaped and repeated again is repeated at once, and reshaped then: so that
    it is stored once.
    """
    x = node.inputs[0]
    if x.op.name != "reshape" or strided(x) is not None:
        return None
    y = x.inputs[0]
    if y.op.name != "broadcast":
        return None
    apart: dict[int, list[int]] = {}
    for of_y, of_x in groups(y.spec.shape, x.spec.shape):
        if len(of_x) > 1:
            return None
        apart.update({a: [y.spec.shape[c] for c in of_y] for a in of_x})
    new = node.spec.ndim - x.spec.ndim
    ones = [n for a in range(x.spec.ndim) for n in apart.get(a, [1])]
    wide = [n for a in range(x.spec.ndim) for n in apart.get(a, [node.spec.shape[new + a]])]
    shape = (*node.spec.shape[:new], *wide)
    repeated = make(
        node.op, (_with_shape(y, tuple(ones), node),), {"shape": shape},
        spec(shape, node.spec.dtype), node,
    )  # fmt: skip
    return _with_shape(repeated, node.spec.shape, node)


def _reshape_of_number(node: Node) -> Node | None:
    """One number reshaped and broadcast is that number broadcast."""
    x = node.inputs[0]
    if x.op.name == "reshape" and x.inputs and x.inputs[0].spec.size == 1 and x.spec.size == 1:
        flat = x.inputs[0]
        if flat.spec.ndim <= node.spec.ndim:
            return make(node.op, (flat,), node.params, node.spec, node)
    return None


def _negated(node: Node) -> Node | None:
    """x · (−1) = −x"""
    for i in (0, 1):
        if _number(node.inputs[i]) == -1 and node.inputs[1 - i].spec.shape == node.spec.shape:
            return make(PRIMITIVES["negative"], (node.inputs[1 - i],), {}, node.spec, node)
    return None


def _first_power(node: Node) -> Node | None:
    """x¹ = x"""
    return node.inputs[0] if node.params["n"] == 1 else None


def _of_one(node: Node) -> Node | None:
    """A reduction over axes of size 1 is a reshape, in the result's dtype (`all` of numbers)."""
    x, axis = node.inputs[0], node.params["axis"]
    sizes = [x.spec.shape[a] for a in (axis if isinstance(axis, tuple) else (axis,))]
    if any(n != 1 for n in sizes):
        return None
    if x.spec.dtype != node.spec.dtype:
        of = spec(x.spec.shape, node.spec.dtype)
        x = make(PRIMITIVES["cast"], (x,), {"dtype": of.dtype}, of, node)
    return _with_shape(x, node.spec.shape, node)


def _side_by_side(node: Node) -> Node | None:
    """A sum of arrays each in its own part of zeros, the parts one after the other along one axis,
    is the arrays joined: the gradient of what was cut into parts. (+ 0, as −0 + 0 is 0.)
    """
    parts = _parts(node)
    if parts is None or len(parts) > PARTS:
        return None
    bounds = [p.params["index"] for p in parts]
    whole = node.spec.shape
    axes = [a for a in range(len(whole)) if any(b[a] != bounds[0][a] for b in bounds)]
    if len(axes) != 1 or any(step != 1 for b in bounds for _, _, step in b):
        return None
    (axis,) = axes
    parts.sort(key=lambda p: p.params["index"][axis][0])
    end = 0
    for p in parts:
        start, count, _ = p.params["index"][axis]
        if start != end:
            return None
        end += count
    pieces = [_with_shape(p.inputs[0], p.params["inner"], p) for p in parts]
    if (*pieces[0].spec.shape[:axis], end, *pieces[0].spec.shape[axis + 1 :]) != whole:
        return None
    joined = make(PRIMITIVES["concat"], pieces, {"axis": axis}, node.spec, node)
    return make(node.op, (joined, number(0)), {}, node.spec, node)


def _parts(node: Node) -> list[Node] | None:
    """The nodes that place arrays in zeros, if it is a sum of those."""
    if node.op.name == "place":
        return [node]
    if node.op.name != "add":
        return None
    found: list[Node] = []
    for x in node.inputs:
        parts = _parts(x)
        if parts is None or len(found) + len(parts) > PARTS:
            return None
        found += parts
    return found


def _with_shape(x: Node, shape: tuple[int, ...], at: Node) -> Node:
    if x.spec.shape == shape:
        return x
    params = {"shape": shape}
    return make(PRIMITIVES["reshape"], (x,), params, spec(shape, x.spec.dtype), at)


IDENTITIES: dict[str, tuple[Callable[[Node], Node | None], ...]] = {
    "add": (_side_by_side,),
    "multiply": (_drops(0, 1), _drops(1, 1), _negated),
    "divide": (_drops(1, 1),),
    "subtract": (_drops(1, 0),),
    "negative": (_twice("negative"),),
    "transpose": (_transposed_twice, positions.transposed),
    "reshape": (_reshaped_twice,),
    "broadcast": (_broadcast_twice, _reshape_of_number, _repeated_twice),
    "logical_not": (_twice("logical_not"),),
    "conj": (_twice("conj"),),
    "whole_power": (_first_power,),
    **dict.fromkeys(("sum", "max", "min", "prod", "any", "all"), (_of_one,)),
}
"""For each operation: functions of a node that give something simpler and equal, or None."""
