"""Pass `fuse`: operations are gathered into kernels.

A kernel goes over its memory once. Entry-by-entry operations of one shape share a loop; a reduction
makes its axes inner ones, and what is computed of its result row by row, or again for every entry,
stays in the same kernel: softmax, layer norm and cross-entropy are single passes over their rows. A
product of matrices takes with it what is done to every entry of its result: bias, activation, the
update of a parameter.

`Grouping` decides, oldest node first: a node joins the kernel of an input if it goes over the same
entries and no other input has to wait for that kernel; what others need is stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..graph import CONST, EMPTY, INPUT, Graph, Node
from ..primitive import PRIMITIVES
from ..spec import Specs
from .access import awaited, is_plain
from .entries import cuts
from .kinds import Sizes, is_pointwise, kind_of, real_axes, reduced_axes
from .making import Kernel
from .operations import NEST, PRODUCT
from .phases import FEW
from .rewrite import make, with_inputs

_QUICK = {
    "add", "subtract", "multiply", "divide", "negative", "cast", "equal", "not_equal", "less",
    "less_equal", "greater", "greater_equal", "where", "maximum", "minimum", "square",
    "heaviside", "within",
}  # fmt: skip
"""Quick enough to be computed again wherever they are needed."""


MOST = 128
"""Operations in one kernel: longer ones take LLVM more than their share of time."""
DEEP = 4
"""What is computed again is computed of so many operations at most, one after the other."""


def fuse(graph: Graph) -> Graph:
    """Gather operations into kernels.

    %1 = exp %0
    %2 = add %1 %0       ->      %3 = nest %0 graph: exp, add
    """
    return Grouping(graph).fused()


class Grouping:
    """Which node is computed in which kernel."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.kernels: list[Kernel] = []
        self.home: dict[Node, Kernel] = {}
        self.free: set[Node] = set()
        self.kinds = {node: kind_of(node) for node in graph.nodes}
        self.kinds.update(dict.fromkeys(graph.inputs, "leaf"))
        self.readers: dict[tuple[Sizes, Node], Kernel] = {}
        self.reads: dict[Node, list[Node]] = {}
        self.depth: dict[Node, int] = {}
        self.crossed = self._crossings()
        self.users: dict[Node, list[Node]] = {}
        for node in graph.nodes:
            for x in node.inputs:
                self.users.setdefault(x, []).append(node)
        stored = set(map(self._base, graph.outputs))
        for node in graph.nodes:
            if self.kinds[node] in ("product", "other"):
                stored.update(map(self._base, node.inputs))
        for node in graph.nodes:
            kind = self.kinds[node]
            if kind in ("leaf", "view"):
                continue
            if node not in stored and self._is_free(node, stored):
                self.free.add(node)
            elif kind == "other" and node.op.name == "part":
                self.home[node] = self.home[node.inputs[0]]
                self.home[node].members.append(node)
            elif kind in ("product", "other"):
                self._alone(node, kind)
            else:
                self._settle(node)

    def _is_free(self, node: Node, stored: set[Node]) -> bool:
        """Whether a node is computed again wherever it is needed: quick, of what is stored anyway,
        or is much smaller (a column plus a row).

        Of arrays only if it is made of one (and of much smaller ones: a row for every column), and
        needed entry by entry where it lies itself. What is placed in zeros is stored before, and
        once it is added to something else, nobody needs the zeros.
        """
        placed = node.op.name == "place" and self._is_added(node)
        if self.kinds[node] != "entry" or not (placed or node.op.name in _QUICK):
            return False
        bases = [self._base(x) for x in node.inputs]
        if any(b in self.free and not is_pointwise(b) for b in bases):
            return False
        arrays = self._arrays(node)
        large = [x for x in arrays if 8 * x.spec.size > node.spec.size]
        known = placed or all(b in stored for b in bases if b in self.home)
        if not known and (large or node.spec.size == 1):
            return False
        depth = 1 + max((self.depth.get(b, 0) for b in bases), default=0)
        self.depth[node] = depth
        if depth > DEEP:
            return False
        if node.spec.size > 1 and (len(large) > 1 or self.crossed.get(node, True)):
            return False
        self.reads[node] = arrays
        if placed:
            stored.update(bases)
        return True

    def _is_added(self, node: Node) -> bool:
        """Whether one operation uses a node, entry by entry."""
        user, *more = self.users[node]
        return not more and self.kinds[user] == "entry" and is_pointwise(user)

    def _arrays(self, node: Node) -> list[Node]:
        """The arrays that a node reads, through views and what is computed again."""
        bases = [self._base(x) for x in node.inputs]
        found = [b for x in bases for b in self.reads.get(x, (x,)) if b.spec.size > 1]
        return list(dict.fromkeys(found))

    def _crossings(self) -> dict[Node, bool]:
        """Of what is read by others: whether somebody reads it otherwise than entry by entry."""
        found: dict[Node, bool] = {}
        for node in self.graph.nodes:
            kind = self.kinds[node]
            if kind in ("leaf", "view"):
                continue
            simple = kind == "reduction" or (kind == "entry" and is_pointwise(node))
            simple = simple or _is_whole_part(node)
            for x in node.inputs:
                straight = simple
                while self.kinds[x] == "view":
                    straight = straight and is_plain(x) and x.op.name != "broadcast"
                    x = x.inputs[0]
                found[x] = found.get(x, False) or not straight
        return found

    def _base(self, x: Node) -> Node:
        """What a chain of views is a view of."""
        while self.kinds[x] == "view":
            x = x.inputs[0]
        return x

    def _sources(self, node: Node) -> list[Node]:
        """The computed nodes that have to be there before a node is."""
        return self._computed(node.inputs)

    def _computed(self, nodes: Iterable[Node], *, awaits: bool = True) -> list[Node]:
        """The computed nodes behind these, through views and free nodes; and, if `awaits`, those
        that barriers among them wait for.
        """
        found, stack = [], list(nodes)
        while stack:
            x = stack.pop()
            if awaits:
                stack.extend(awaited(x))
            x = self._base(x)
            if x in self.free:
                stack.extend(x.inputs)
            elif x in self.home:
                found.append(x)
        return found

    # -- where a node goes --------------------------------------------------------------------

    def _new(self, node: Node, kind: str, axes: Sizes) -> Kernel:
        kernel = Kernel(len(self.kernels), kind, axes)
        self.kernels.append(kernel)
        self._join(kernel, node, whole=True)
        return kernel

    def _alone(self, node: Node, kind: str) -> None:
        shape = () if isinstance(node.spec, tuple) else node.spec.shape
        self._new(node, kind, real_axes(shape))

    def _join(self, kernel: Kernel, node: Node, whole: bool) -> None:
        kernel.members.append(node)
        kernel.whole[node] = whole
        self.home[node] = kernel
        before = kernel.before
        for x in self._sources(node):
            other = self.home[x]
            if other is not kernel:
                before |= other.before | 1 << other.number
        if before != kernel.before:
            kernel.before = before
            bit = 1 << kernel.number
            for later in self.kernels:
                if later.before & bit:
                    later.before |= before
        for base in self._arrays(node):
            if self.home.get(base) is not kernel:
                self.readers[kernel.axes, base] = kernel

    def _settle(self, node: Node) -> None:
        """Into the youngest kernel of an input that it fits, or into a new one."""
        sources = self._sources(node)
        found = {self.home[x].number for x in self._computed(node.inputs, awaits=False)}
        for number in sorted(found, reverse=True):
            kernel = self.kernels[number]
            whole = self._fits(kernel, node)
            if whole is not None and self._waits(kernel, sources):
                self._join(kernel, node, whole)
                return
        if self.kinds[node] == "reduction":
            axes = real_axes(node.inputs[0].spec.shape)
            reduced = reduced_axes(node)
        else:
            axes, reduced = real_axes(node.spec.shape), frozenset()
        beside = self._beside(node, axes, reduced, sources)
        if beside is not None:
            self._join(beside, node, whole=not reduced)
            return
        kernel = self._new(node, "nest", axes)
        kernel.reduced = reduced
        kernel.whole[node] = self.kinds[node] != "reduction"

    def _beside(
        self, node: Node, axes: Sizes, reduced: frozenset[int], sources: Sequence[Node]
    ) -> Kernel | None:
        """A kernel that reads the same array over the same axes, though it feeds this one nothing;
        for single numbers, any kernel of single numbers.
        """
        candidates = [self.readers.get((axes, base)) for base in self._arrays(node)]
        if not axes:
            candidates += [k for k in self.kernels[-8:] if not k.axes and k.kind == "nest"]
        for kernel in candidates:
            if kernel is None or kernel.kind != "nest":
                continue
            if kernel.reduced != reduced and not kernel.takes_beside(node, reduced):
                continue
            if len(kernel.members) >= MOST:
                continue
            inside = any(self.home[x] is kernel for x in sources)
            if not inside and self._waits(kernel, sources):
                return kernel
        return None

    def _waits(self, kernel: Kernel, sources: Sequence[Node]) -> bool:
        """Whether nothing that a node reads has to wait for the kernel it would join."""
        bit = 1 << kernel.number
        return not any(self.home[x].before & bit for x in sources if self.home[x] is not kernel)

    def _fits(self, kernel: Kernel, node: Node) -> bool | None:
        """How a node would be computed in a kernel: per entry (True), per row (False); None: not
        at all.
        """
        if kernel.kind == "other" or len(kernel.members) >= MOST:
            return None
        if self.kinds[node] == "reduction":
            return self._fits_reduction(kernel, node)
        if not is_pointwise(node) and any(self.home[x] is kernel for x in self._sources(node)):
            return None
        sizes = real_axes(node.spec.shape)
        for whole in (True, False):
            if not (kernel.takes_each(node) if whole else kernel.takes_once(node)):
                continue
            if sizes == (kernel.axes if whole else kernel.rows) and all(
                self._lines_up(kernel, kernel.placement(node.spec.shape, whole), x)
                for x in node.inputs
            ):
                return whole
        return None

    def _fits_reduction(self, kernel: Kernel, node: Node) -> bool | None:
        x, reduced = node.inputs[0], reduced_axes(node)
        if kernel.kind != "nest" or real_axes(x.spec.shape) != kernel.axes:
            return None
        if self._is_in_pieces(kernel):
            return None
        beside = kernel.takes_beside(node, reduced)
        if kernel.reduced and kernel.reduced != reduced and not beside:
            return None
        if not self._lines_up(kernel, kernel.placement(x.spec.shape, True), x):
            return None
        if not beside:
            kernel.reduced = reduced
        return False

    def _is_in_pieces(self, kernel: Kernel) -> bool:
        """Whether a kernel puts together parts: its loops are cut where they begin and end, those
        of a reduction are not, and would look at every entry whose it is.
        """
        if kernel.reduced or math.prod(kernel.axes) < FEW:
            return False
        put = [*kernel.members, *(x for n in kernel.members for x in n.inputs if x in self.free)]
        return any(any(cuts(n)) for n in put)

    def _lines_up(self, kernel: Kernel, placement: Sequence[int | None], x: Node) -> bool:
        """Whether what the kernel computes of an input is needed at the entry being computed."""
        where: list[int | None] = list(range(x.spec.ndim))
        while self.kinds[x] == "view":
            if not is_plain(x):
                return all(self.home.get(s) is not kernel for s in self._sources_of(x))
            where = _below(x, where)
            x = x.inputs[0]
        if x in self.free and not is_pointwise(x):
            apart = all(self.home[s] is not kernel for s in self._sources(x))
            return apart and kernel.kind == "nest" and not kernel.reduced
        if x in self.free:
            there = [None if w is None else placement[w] for w in where]
            return all(self._lines_up(kernel, there, i) for i in x.inputs)
        if self.home.get(x) is not kernel:
            return True
        if x.op.reduces and not kernel.whole[x] and reduced_axes(x) != kernel.reduced:
            return False  # a total over all rows
        own = kernel.placement(x.spec.shape, kernel.whole[x])
        return all(
            mine is None or (there is not None and placement[there] == mine)
            for mine, there in zip(own, where, strict=True)
        )

    def _sources_of(self, x: Node) -> list[Node]:
        base = self._base(x)
        return self._sources(base) if base in self.free else [base] if base in self.home else []

    # -- the graph of kernels -----------------------------------------------------------------

    def fused(self) -> Graph:
        """One node for each kernel, in an order in which they can run."""
        stored = self._stored()
        made: dict[Node, Node] = {x: x for x in self.graph.inputs}
        inside: dict[Node, list[Node]] = {}  # the kernels in which a node is computed
        for kernel in self._ordered():
            if kernel.kind == "other":
                for node in kernel.members:
                    made[node] = with_inputs(
                        node, tuple(self._outside(x, made) for x in node.inputs)
                    )
                continue
            kept = [n for n in kernel.members if n in stored]
            inner, roots, computed, waits = self._inner(kernel, kept)
            params = {"axes": kernel.axes, "reduced": tuple(sorted(kernel.reduced)), "graph": inner}
            op = PRODUCT if kernel.kind == "product" else NEST
            given = [self._outside(r, made) for r in roots]
            if given and waits:
                given[0] = _late(given[0], [self._outside(w, made) for w in waits])
            if len(kept) == 1:
                whole = made[kept[0]] = make(op, given, params, kept[0].spec, kept[0])
            else:
                whole = make(op, given, params, Specs(n.spec for n in kept), kept[0])
                for i, n in enumerate(kept):
                    which = {"index": i, "count": len(kept)}
                    made[n] = make(PRIMITIVES["part"], (whole,), which, n.spec, n)
            for n in computed:
                inside.setdefault(n, []).append(whole)
        now = Graph(self.graph.inputs, [self._outside(y, made) for y in self.graph.outputs])
        now.derived["became"] = {**made, **inside}
        return now

    def _ordered(self) -> list[Kernel]:
        """Kernels after those they need; among several that could run, the one begun first."""
        done, order, waiting = 0, [], list(self.kernels)
        while waiting:
            rest = []
            for kernel in waiting:
                if kernel.before & ~done:
                    rest.append(kernel)
                else:
                    order.append(kernel)
                    done |= 1 << kernel.number
            waiting = rest
        return order

    def _stored(self) -> set[Node]:
        """What is needed outside the kernel that computes it."""
        stored = set(map(self._base, self.graph.outputs))
        for node, kernel in self.home.items():
            for x in self._sources(node):
                if self.home[x] is not kernel:
                    stored.add(x)
        for kernel in self.kernels:
            if kernel.kind == "other":
                stored.update(kernel.members)
        return stored

    def _outside(self, x: Node, made: dict[Node, Node]) -> Node:
        """A node of the new graph for one of the old: views and free nodes come along."""
        if x not in made and x.op.name == "barrier":
            waits = [self._outside(w, made) for w in self._computed(x.inputs[1:])]
            made[x] = _late(self._outside(x.inputs[0], made), waits)
        elif x not in made:
            made[x] = with_inputs(x, tuple(self._outside(i, made) for i in x.inputs))
        return made[x]

    def _inner(
        self, kernel: Kernel, kept: Sequence[Node]
    ) -> tuple[Graph, list[Node], list[Node], list[Node]]:
        """A kernel as a graph of its own, the nodes outside that are its inputs, those that it
        computes, and those outside that it waits for.
        """
        waits: dict[Node, None] = {}
        roots: dict[Node, Node] = {}
        inside: dict[Node, Node] = {}
        members = set(kernel.members)
        operands: set[Node] = set()  # of a product: they lie in memory, a single number too
        if kernel.kind == "product":
            operands.update(map(self._base, kernel.members[0].inputs))

        def local(x: Node) -> Node:
            if x in inside:
                return inside[x]
            if x.op.name == "barrier" and self.kinds[x] == "view":
                waits.update(dict.fromkeys(self._computed(x.inputs[1:])))
                now = local(x.inputs[0])
            elif x in members or self.kinds[x] == "view" or x in self.free:
                now = make(x.op, [local(i) for i in x.inputs], x.params, x.spec, x)
            elif not x.inputs and x.value is not None and x.spec.size == 1 and x not in operands:
                now = x
            else:
                known = _positions(x)
                now = roots[x] = Node(INPUT, (), known, x.spec, mask=x.mask, code=x.code, at=x.at)
            inside[x] = now
            return now

        for node in kernel.members:
            local(node)
        given = list(roots)
        computed = [x for x in inside if x not in roots]
        graph = Graph([roots[r] for r in given], [inside[n] for n in kept])
        return graph, given, computed, [w for w in waits if w not in members]


def _is_whole_part(node: Node) -> bool:
    """Whether it places in zeros what is then a part without gaps."""
    return node.op.name == "place" and all(step == 1 for _, _, step in node.params["index"])


def _late(x: Node, waits: Sequence[Node]) -> Node:
    """x, for whoever has to wait for these."""
    return make(PRIMITIVES["barrier"], (x, *waits), EMPTY, x.spec, x) if waits else x


def _positions(x: Node) -> dict[str, Any]:
    """Of whole numbers that are known while compiling: the least and the greatest, so that those
    that are positions need not be checked.
    """
    if x.inputs or x.value is None or x.op is not CONST or x.spec.dtype.kind not in "iu":
        return EMPTY
    value = np.asarray(x.value)
    return {"within": (int(value.min()), int(value.max()))} if value.size else EMPTY


def _below(view: Node, where: list[int | None]) -> list[int | None]:
    """For axes of a plain view's input: which axis of the consumer they are."""
    x = view.inputs[0]
    if view.op.name == "broadcast":
        new = view.spec.ndim - x.spec.ndim
        return [None if n == 1 else where[a + new] for a, n in enumerate(x.spec.shape)]
    if view.op.name in ("alias", "stop_gradient", "barrier"):
        return where
    real = [where[a] for a, n in enumerate(view.spec.shape) if n != 1]
    return [None if n == 1 else real.pop(0) for n in x.spec.shape]
