"""Pass `copies`: what others will read lies in memory as they can read it.

An output has memory of its own, as computed or in another shape; an operand of a product, of a loop
or of a foreign operation is stored in a way that strides can describe. Where that is not so, a copy
is put in between.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import EMPTY, Graph, Node
from ..primitive import PRIMITIVES
from ..spec import spec
from .access import awaited, base_of, is_dense, is_view, strided
from .bodies import LOOPS
from .contract import letters_of
from .kinds import WHOLE, kind_of
from .layout import arrangement, groups, is_product, sizes_of
from .operations import COPY
from .rewrite import make, rebuilt, with_inputs


def copies(graph: Graph) -> Graph:
    """Every output in memory of its own, every operand of a product or a foreign operation stored
    in a way that strides can describe.
    """
    leaves = set(graph.inputs)

    def replace(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in leaves or not inputs:
            return node
        if kind_of(node) in ("product", "other"):
            dense = node.op.name in LOOPS or node.op.name in WHOLE
            inputs = tuple(_reachable(x, dense) for x in inputs)
        now = with_inputs(node, inputs)
        if node.op.name == "reshape" and strided(now) is None and strided(now.inputs[0]):
            x = now.inputs[0]  # copied in its own shape, so that no index is taken apart
            return make(now.op, (make(COPY, (x,), EMPTY, x.spec, x),), now.params, now.spec, now)
        return _evenly(now) if is_product(now) and arrangement(now) is None else now

    graph = rebuilt(graph, replace)
    outputs: list[Node] = []
    ends, taken = set(graph.outputs), set[Node]()
    for y in graph.outputs:
        x = base_of(y)
        own = x not in taken and (y is x or (x not in ends and _is_all_of(y, x)))
        if kind_of(x) == "leaf" or not own:
            x = y = make(COPY, (y,), EMPTY, y.spec, y)
        taken.add(x)
        outputs.append(y)
    now = Graph(graph.inputs, outputs)
    now.derived["became"] = graph.derived["became"]
    return now


def _is_all_of(y: Node, x: Node) -> bool:
    """Whether a chain of views over x is x in another shape, so that it is had by storing x."""
    return y.spec.size == x.spec.size and is_dense(y) and not awaited(y)


def _reachable(x: Node, dense: bool) -> Node:
    """The operand, or a copy of it: strides must do, for a loop those of a whole array."""
    if not is_view(x) or (is_dense(x) if dense else strided(x) is not None):
        return x
    return make(COPY, (x,), EMPTY, x.spec, x)


def _evenly(node: Node) -> Node:
    """A product of which one operand is copied, or both, so that what is summed over is one axis in
    both: as it lies in the larger operand, if that can be.
    """
    terms, output = letters_of(node)
    summed = groups(terms, output, sizes_of(node))[2]
    for kept in sorted((0, 1), key=lambda i: -node.inputs[i].spec.size):
        view = strided(node.inputs[kept])
        if view is not None:
            strides = dict(zip(terms[kept], view.strides, strict=True))
            now = _ordered(node, (1 - kept,), sorted(summed, key=lambda c: -strides[c]))
            if arrangement(now) is not None:
                return now
    return _ordered(node, (0, 1), summed)


def _ordered(node: Node, which: Sequence[int], summed: list[str]) -> Node:
    """A product some of whose operands are copied: in them these letters follow each other, and so
    do those that make the rows or the columns of the result.
    """
    inputs = list(node.inputs)
    terms, output = letters_of(node)
    m, n, _, batch = groups(terms, output, sizes_of(node))
    for i in which:
        x, here, own = inputs[i], terms[i], (m, n)[i]
        order = [*own, *summed] if here[-1] in summed else [*summed, *own]
        ones = [c for c in here if c not in order and c not in batch]
        terms[i] = "".join([*ones, *batch, *order])
        axes = tuple(here.index(c) for c in terms[i])
        shape = tuple(x.spec.shape[a] for a in axes)
        turned = make(PRIMITIVES["transpose"], (x,), {"order": axes}, spec(shape, x.spec.dtype), x)
        inputs[i] = make(COPY, (turned,), EMPTY, turned.spec, x)
    form = {"form": f"{terms[0]},{terms[1]}->{output}"}
    return make(node.op, inputs, form, node.spec, node)
