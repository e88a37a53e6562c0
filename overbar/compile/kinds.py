"""What an operation is for the compiler."""

from __future__ import annotations

from ..graph import Node
from .access import is_view
from .layout import CONVOLUTIONS, is_convolution, is_product
from .scalar import can_hold

Sizes = tuple[int, ...]
WHOLE = {
    *CONVOLUTIONS, "scatter", "add_along", "cumsum", "pool_winners", "max_pool", "window_sum",
    "window_spread", "running_product", "recurrence", "sort", "argsort", "argtopk", "put",
}  # fmt: skip
"""Operations whose operands lie in memory row by row."""

POSITIONS = {"gather", "along", "add_along", "scatter", "reorder", "put"}
"""The operations whose inputs are positions."""


def real_axes(shape: Sizes) -> Sizes:
    """The sizes that are not 1."""
    return tuple(n for n in shape if n != 1)


def kind_of(node: Node) -> str:
    """What a node is for the compiler: "leaf", "view", "entry" (computed entry by entry),
    "reduction", "product", or "other".
    """
    if not node.inputs:
        return "leaf"
    if is_view(node):
        return "view"
    if isinstance(node.spec, tuple) or node.op.name == "part":
        return "other"
    if not can_hold(node) or not node.spec.size:
        return "other"
    if node.op.native is not None and not (node.op.declines and node.op.declines(node)):
        return "entry"
    if node.op.entry is not None and _few(node):
        return "entry"
    if node.op.reduces and all(x.spec.size for x in node.inputs):
        return "reduction"
    if is_product(node) or is_convolution(node):
        return "product"
    return "other"


def _few(node: Node) -> bool:
    """`add_along` looks at every position: of few only."""
    return node.op.name != "add_along" or node.inputs[0].spec.shape[node.params["axis"]] <= 4


def is_pointwise(node: Node) -> bool:
    """Whether an entry needs its inputs' entries at the same place only."""
    return node.op.entry is None


def reduced_axes(node: Node) -> frozenset[int]:
    """The axes a reduction goes over, by their number among those that are not 1."""
    shape = node.inputs[0].spec.shape
    given = node.params["axis"]
    axis = given if isinstance(given, tuple) else (given,)
    real = [a for a, n in enumerate(shape) if n != 1]
    return frozenset(real.index(a) for a in axis if shape[a] != 1)
