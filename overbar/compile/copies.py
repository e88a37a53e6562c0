"""Pass `copies`: what others will read lies in memory as they can read it.

An output has memory of its own; an operand of a product, of a loop or of a foreign operation is
stored in a way that strides can describe. Where that is not so, a copy is put in between.
"""

from __future__ import annotations

from ..graph import EMPTY, Graph, Node
from ..primitive import PRIMITIVES
from ..spec import spec
from .access import is_dense, is_view, strided
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
    for y in graph.outputs:
        own = kind_of(y) not in ("leaf", "view") and y not in outputs
        outputs.append(y if own else make(COPY, (y,), EMPTY, y.spec, y))
    now = Graph(graph.inputs, outputs)
    now.derived["became"] = graph.derived["became"]
    return now


def _reachable(x: Node, dense: bool) -> Node:
    """The operand, or a copy of it: strides must do, for a loop those of a whole array."""
    if not is_view(x) or (is_dense(x) if dense else strided(x) is not None):
        return x
    return make(COPY, (x,), EMPTY, x.spec, x)


def _evenly(node: Node) -> Node:
    """A product whose operands are copied, so that what is summed over is one axis in both."""
    terms, output = letters_of(node)
    m, n, k, batch = groups(terms, output, sizes_of(node))
    copies, letters = [], []
    for x, here, order in zip(
        node.inputs, terms, ([*batch, *m, *k], [*batch, *k, *n]), strict=True
    ):
        order = [c for c in here if c not in order] + order
        axes = tuple(here.index(c) for c in order)
        shape = tuple(x.spec.shape[a] for a in axes)
        turned = make(PRIMITIVES["transpose"], (x,), {"order": axes}, spec(shape, x.spec.dtype), x)
        copies.append(make(COPY, (turned,), EMPTY, turned.spec, x))
        letters.append("".join(order))
    form = {"form": f"{letters[0]},{letters[1]}->{output}"}
    return make(node.op, copies, form, node.spec, node)
