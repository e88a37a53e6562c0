"""Pass `contract`: products of matrices take in what stands around them.

A product is an einsum of two operands, one letter for each axis. A transpose in front of it or
behind it only changes the letters; a broadcast operand loses letters; a sum behind it drops one.
What is left are the products a micro-kernel can compute, and plain sums of products. The greatest
of windows are read where they are found.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import reduce

from ..graph import Graph, Node
from ..primitive import PRIMITIVES
from ..spec import spec
from .rewrite import make, rebuilt, with_inputs
from .winners import greatest, pooled, read_winners

STREAMED, LONG = 1 << 22, 512
"""Numbers of a matrix, and of its rows, from which on its product with a vector is for `gemm`."""
TINY, MANY = 8, 16
"""So many products of matrices no larger than that are not for `gemm`, which does them one after
the other: entry by entry, those of several fill a vector.
"""


def contract(graph: Graph) -> Graph:
    """Take transposes, broadcasts and sums into products.

    %2 = transpose %1 order=(1, 0)
    %3 = einsum %0 %2 form='ij,jk->ik'     ->     %4 = einsum %0 %1 form='ij,kj->ik'
    """
    leaves = set(graph.inputs)
    uses: dict[Node, int] = {}
    for node in graph.nodes:
        for x in node.inputs:
            uses[x] = uses.get(x, 0) + 1
    for y in graph.outputs:
        uses[y] = uses.get(y, 0) + 1
    won = read_winners(graph)
    lone: set[Node] = set()  # new nodes with a single consumer

    def replace(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in leaves or not inputs:
            return node
        if node in won:
            return pooled(node, inputs[0])
        now = with_inputs(node, inputs)
        if node.op.name == "along":
            now = greatest(now)
        elif node.op.name == "einsum":
            now = _ended(_simplest(_absorbed(now)))
        elif node.op.name in ("transpose", "sum") and inputs[0] in lone:
            now = _behind(now) or now
        if uses.get(node) == 1:
            lone.add(now)
        return now

    return rebuilt(graph, replace)


def _ended(node: Node) -> Node:
    """A product whose last axis is a matrix's own; a transpose behind it if it was a batch's."""
    if node.op.name != "einsum" or len(node.inputs) != 2:
        return node
    (a, b), output = letters_of(node)
    real = [c for c, n in zip(output, node.spec.shape, strict=True) if n > 1]
    if not real or not (real[-1] in a and real[-1] in b):
        return node
    own = [c for c in output if not (c in a and c in b)]
    inner = "".join([c for c in output if c not in own] + own)
    shape = tuple(node.spec.shape[output.index(c)] for c in inner)
    form = {"form": f"{a},{b}->{inner}"}
    y = make(node.op, node.inputs, form, spec(shape, node.spec.dtype), node)
    order = {"order": tuple(inner.index(c) for c in output)}
    return make(PRIMITIVES["transpose"], (y,), order, node.spec, node)


def letters_of(node: Node) -> tuple[list[str], str]:
    """The letters of a product's operands, and of its result."""
    inputs, _, output = node.params["form"].partition("->")
    return inputs.split(","), output


def _absorbed(node: Node) -> Node:
    """A product whose operands are no transposes and no broadcasts."""
    if len(node.inputs) != 2:
        return node
    terms, output = letters_of(node)
    inputs = list(node.inputs)
    for i in (0, 1):
        while inputs[i].inputs:
            x = inputs[i]
            if x.op.name == "transpose":
                before = ["?"] * len(terms[i])
                for here, there in zip(terms[i], x.params["order"], strict=True):
                    before[there] = here
                terms[i] = "".join(before)
            elif x.op.name == "broadcast" and _drops_whole(x, terms[i], terms[1 - i]):
                terms[i] = terms[i][x.spec.ndim - x.inputs[0].spec.ndim :]
            else:
                break
            inputs[i] = x.inputs[0]
    form = f"{terms[0]},{terms[1]}->{output}"
    if form == node.params["form"]:
        return node
    return make(node.op, inputs, {"form": form}, node.spec, node)


def _drops_whole(x: Node, here: str, other: str) -> bool:
    """Whether a broadcast only adds leading axes, all of which the other operand has."""
    source = x.inputs[0].spec.shape
    new = x.spec.ndim - len(source)
    return x.spec.shape[new:] == source and all(c in other for c in here[:new])


def _behind(node: Node) -> Node | None:
    """A transpose or a sum of a product, as one product."""
    product = node.inputs[0]
    if product.op.name != "einsum" or len(product.inputs) != 2:
        return None
    terms, output = letters_of(product)
    if node.op.name == "transpose":
        output = "".join(output[a] for a in node.params["order"])
    else:
        output = "".join(c for a, c in enumerate(output) if a not in node.params["axis"])
    form = f"{terms[0]},{terms[1]}->{output}"
    return _simplest(make(product.op, product.inputs, {"form": form}, node.spec, product))


def _simplest(node: Node) -> Node:
    """A product that needs no micro-kernel as a sum of products of entries."""
    terms, output = letters_of(node)
    if node.spec.dtype.kind != "f" or any(len(set(t)) < len(t) for t in (*terms, output)):
        return node
    sizes = {
        c: n
        for t, x in zip(terms, node.inputs, strict=True)
        for c, n in zip(t, x.spec.shape, strict=True)
    }
    if not all(sizes.values()):
        return node
    if len(terms) == 2:
        node = _alone_summed(node)
        (a, b), output = letters_of(node)
        terms = [a, b]
        over = [c for c in a if c in b and c not in output and sizes[c] > 1]
        rows = [c for c in a if c not in b and sizes[c] > 1]
        columns = [c for c in b if c not in a and sizes[c] > 1]
        if over and rows and columns and set(output) >= {*rows, *columns}:
            size = [math.prod(sizes[c] for c in letters) for letters in (rows, columns, over)]
            if max(size) > TINY or node.spec.size < MANY * size[0] * size[1]:
                return node
            return _term_by_term(node, sizes)
        if any(_is_streamed(x, t, output) for x, t in zip(node.inputs, terms, strict=True)):
            return node
    every = _in_order(terms, output, sizes)
    spread = [_spread(x, t, every, sizes, node) for x, t in zip(node.inputs, terms, strict=True)]
    y = spread[0]
    if len(spread) == 2:
        y = make(PRIMITIVES["multiply"], spread, {}, y.spec, node)
    summed = tuple(a for a, c in enumerate(every) if c not in output)
    return _summed(y, summed, node) if summed else y


def _term_by_term(node: Node, sizes: dict[str, int]) -> Node:
    """A product as the sum of its terms, each of them as large as the result."""
    terms, output = letters_of(node)
    over = [c for c in terms[0] if c not in output]

    def factor(x: Node, here: str, place: dict[str, int]) -> Node:
        lengths = zip(here, x.spec.shape, strict=True)
        index = tuple((place[c], 1, 1) if c in place else (0, n, 1) for c, n in lengths)
        kept = "".join(c for c in here if c not in place)
        of = spec(tuple(sizes[c] for c in kept), x.spec.dtype)
        part = make(PRIMITIVES["slice"], (x,), {"index": index, "shape": of.shape}, of, node)
        return _spread(part, kept, output, sizes, node)

    ys = []
    for at in itertools.product(*(range(sizes[c]) for c in over)):
        place = dict(zip(over, at, strict=True))
        factors = [factor(x, t, place) for x, t in zip(node.inputs, terms, strict=True)]
        ys.append(make(PRIMITIVES["multiply"], factors, {}, node.spec, node))
    return reduce(lambda x, y: make(PRIMITIVES["add"], (x, y), {}, node.spec, node), ys)


def _is_streamed(x: Node, here: str, output: str) -> bool:
    """Whether an operand is a matrix for a vector, and too large for any cache: `gemm` reads it as
    fast as memory can, a plain sum at two thirds of that.
    """
    real = [a for a, n in enumerate(x.spec.shape) if n > 1]
    if len(real) != 2 or x.spec.size < STREAMED or x.spec.shape[real[1]] < LONG:
        return False
    return (here[real[0]] in output) != (here[real[1]] in output)


def _in_order(terms: Sequence[str], output: str, sizes: dict[str, int]) -> str:
    """The axes of a sum of products, those of the result in its order: as the larger operand lies,
    if that can be, so that its rows are read one after the other.
    """
    summed = "".join(dict.fromkeys(c for t in terms for c in t if c not in output))
    large = max(terms, key=lambda t: math.prod(sizes[c] for c in t))
    if set(large) >= {*output, *summed} and [c for c in large if c in output] == list(output):
        return large
    real = [c for c in large if sizes[c] > 1]
    return summed + output if real and real[-1] in output else output + summed


def _summed(x: Node, axis: tuple[int, ...], at: Node) -> Node:
    """The sum over some axes; a reshape, if they are all of size 1."""
    of = spec(tuple(n for a, n in enumerate(x.spec.shape) if a not in axis), x.spec.dtype)
    if of.size == x.spec.size:
        return make(PRIMITIVES["reshape"], (x,), {"shape": of.shape}, of, at)
    return make(PRIMITIVES["sum"], (x,), {"axis": axis}, of, at)


def _alone_summed(node: Node) -> Node:
    """Letters that neither the other operand nor the result has are summed over beforehand."""
    terms, output = letters_of(node)
    inputs = list(node.inputs)
    for i in (0, 1):
        x, needed = inputs[i], terms[1 - i] + output
        over = tuple(a for a, c in enumerate(terms[i]) if c not in needed)
        if over:
            inputs[i] = _summed(x, over, node)
            terms[i] = "".join(c for c in terms[i] if c in needed)
    form = f"{terms[0]},{terms[1]}->{output}"
    if form == node.params["form"]:
        return node
    return make(node.op, inputs, {"form": form}, node.spec, node)


def _spread(x: Node, here: str, every: str, sizes: dict[str, int], at: Node) -> Node:
    """An operand with all the axes of a product, in their order."""
    dtype = x.spec.dtype
    order = tuple(here.index(c) for c in every if c in here)
    if order != tuple(range(len(order))):
        shape = tuple(x.spec.shape[a] for a in order)
        x = make(PRIMITIVES["transpose"], (x,), {"order": order}, spec(shape, dtype), at)
    ones = tuple(sizes[c] if c in here else 1 for c in every)
    if ones != x.spec.shape:
        x = make(PRIMITIVES["reshape"], (x,), {"shape": ones}, spec(ones, dtype), at)
    whole = tuple(sizes[c] for c in every)
    if whole != ones:
        x = make(PRIMITIVES["broadcast"], (x,), {"shape": whole}, spec(whole, dtype), at)
    return x
