"""Capture: running a function once, without values, to get its Graph.

While a Trace is in progress every operation is staged into it, whether or not its inputs have
values: the context decides. It sees handles, so it can log what the function reads from outside
(those become inputs), what it rebinds and which `.grad` it writes (those become outputs). When it
ends, all handles are as they were. One mechanism serves jit, scan, cond, while_loop, checkpoint.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, Self

from .apply import apply, stage
from .context import CONTEXT, UNKNOWN, WANTED, changed, tracker
from .errors import GradientError, LeakedTraceError, RebindError
from .graph import CONST, EMPTY, INPUT, Graph, Leaf, Node
from .handle import Tensor, as_tensor, from_node, from_value
from .ownership import handed_out
from .primitive import PRIMITIVES
from .spec import Spec, spec
from .trees import Structure, tree_flatten


class Read:
    """A tensor from outside that was used: the handle, or the handle whose `.grad` it is."""

    __slots__ = ("handle", "inner", "of_grad", "outer")

    def __init__(self, outer: Tensor, inner: Tensor, handle: Tensor, of_grad: bool) -> None:
        self.outer, self.inner, self.handle, self.of_grad = outer, inner, handle, of_grad

    @property
    def now(self) -> Tensor:
        """The tensor that stands there at this moment."""
        if not self.of_grad:
            return self.handle
        grad = self.handle.grad
        if grad is None:
            raise GradientError(
                "a .grad that was read while tracing has been cleared", got={"of": self.handle}
            )
        return grad


class Trace:
    """One capture in progress. Use it as a context manager around the call."""

    def __init__(self) -> None:
        self.outer = CONTEXT.get()
        self.bit = tracker(self.outer.level)
        self.bits = self.bit | (0 if self.outer.trace is None else self.outer.trace.bits)
        self.own: set[Node] = set()
        self.arguments: list[Tensor] = []
        self.reads: dict[int, Read] = {}
        self.rebinds: dict[int, tuple[Tensor, Any]] = {}
        self.grads: dict[int, tuple[Tensor, Any]] = {}
        self.grad_owner: dict[int, Tensor] = {}
        self.asked: dict[int, tuple[Tensor, bool]] = {}
        self.inside: dict[int, Tensor] = {}
        self.looked: dict[int, tuple[Tensor, bool]] = {}
        self.arrays: dict[int, Any] = {}
        self.given: dict[int, tuple[Any, Tensor]] = {}
        self.frozen: dict[int, Any] = {}
        self.plain: dict[int, Tensor] = {}
        self.finals: list[tuple[Tensor, tuple[Any, Any, Spec]]] = []
        self.final_grads: list[tuple[Tensor, Tensor | None]] = []
        self.refused: Tensor | None = None

    def __enter__(self) -> Self:
        outer = self.outer
        self.token = CONTEXT.set(
            changed(
                outer, trace=self, level=outer.level + 1, active=outer.active | self.bit,
                staging=outer.staging | self.bit, allowed=outer.allowed | self.bit, guard=False,
                record_all=None, keep=False,
            )
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        CONTEXT.reset(self.token)
        self.finals = [
            (h, (h._node, h.value, h.spec))
            for h, _ in self.rebinds.values()
            if id(h) not in self.grad_owner
        ]
        for h, _ in self.grads.values():
            grad = getattr(h, "_grad", None)
            if grad is not None and id(grad) in self.rebinds:  # it is about to be put back
                grad = from_node(grad.node)
            self.final_grads.append((h, grad))
        for handle, (node, value, of) in self.rebinds.values():
            handle._node, handle.value, handle.spec = node, value, of
        for handle, grad in self.grads.values():
            handle._grad = grad
        for handle, wanted in self.asked.values():
            if self.refused is None and handle._wants is not wanted:
                self.refused = handle
            handle._wants = wanted

    # -- what the engine asks ------------------------------------------------------------------

    def argument(self, of: Spec, mask: int = 0, name: str | None = None) -> Tensor:
        """A value-less argument."""
        node = Node(
            INPUT, (), {"name": name} if name else EMPTY, of, mask=mask | UNKNOWN | self.bit
        )
        self.arguments.append(from_node(node))  # its own handle: the function may rebind the other
        return self._mine(from_node(node))

    def array(self, x: Any) -> Tensor | None:
        """The argument that stands for a NumPy array from outside, one of `arrays`; else None: it
        was made inside, and is a constant. So are masks and short lists of indices, whose values
        may be needed; `frozen` says which.
        """
        if self.outer.trace is not None:
            return self.outer.trace.array(x)
        if id(x) not in self.arrays:
            return None
        if x.dtype.kind not in "fc" and (x.dtype.kind not in "iu" or x.size <= 256):
            self.frozen[id(x)] = x
            return None
        found = self.given.get(id(x))
        if found is None:
            dtype = x.dtype if x.dtype.isnative else x.dtype.newbyteorder("=")
            found = self.given[id(x)] = x, self.argument(spec(x.shape, dtype))
        return from_node(found[1].node)

    def _mine(self, t: Tensor) -> Tensor:
        self.own.add(t.node)
        return t

    def adopt(self, node: Node) -> None:
        """A node that a transform made inside the trace."""
        self.own.add(node)

    def constant(self, t: Tensor) -> None:
        """A tensor made inside from plain values."""
        t._node = Node(CONST, (), EMPTY, t.spec, t.value)
        self.own.add(t._node)

    def is_constant(self, t: Tensor) -> bool:
        """Whether its value may be looked at while tracing."""
        node = t._node
        return node is not None and node.op is CONST and (node in self.own or t.spec.weak)

    def read(self, t: Tensor) -> Tensor:
        """The tensor as the trace knows it: its own, a constant, or a read from outside."""
        node = t._node
        if node is not None and (node in self.own or (t.spec.weak and node.op is CONST)):
            return t
        found = self.reads.get(id(t))
        if found is None or found.outer._node is not node:
            owner = self.grad_owner.get(id(t))
            inner = from_node(
                Node(INPUT, (), EMPTY, t.spec, mask=(node.mask if node else 0) | UNKNOWN | self.bit)
            )
            if t.name is not None:
                inner.node.params = {"name": t.name}
            if node is not None:
                inner.node.code, inner.node.at = node.code, node.at
                if hasattr(node, "handle"):
                    inner.node.handle = node.handle
                if "name" in node.params:
                    inner.node.params = node.params
            if node is not None and node.mask & UNKNOWN and not node.mask & self.outer.staging:
                raise LeakedTraceError(
                    "a value from inside a transform (jit, vmap, scan, ...) was used "
                    "after it ended",
                    hint="return it from the transformed function instead of storing it outside",
                )
            handle = t if owner is None else owner
            found = self.reads[id(t)] = Read(t, self._mine(inner), handle, owner is not None)
        return found.inner

    def is_made(self, thing: Any) -> bool:
        """Whether it is a tensor that was made inside."""
        inside = isinstance(thing, Tensor) and thing._node in self.own
        return inside and id(thing) not in self.rebinds

    def made(self, thing: Any) -> bool:
        """Whether an object, a module of gradients say, holds tensors that were made inside."""
        return any(map(self.is_made, tree_flatten(thing)[0]))

    def result(self, t: Tensor) -> Tensor:
        """As `read`, on a handle of its own: the one returned may be rebound, and is put back."""
        return from_node(self.read(t).node)

    def stage(self, op: Any, inputs: Sequence[Tensor], params: dict[str, Any]) -> Tensor:
        """One operation, without its value."""
        nodes, mask = [], 0
        for t in inputs:
            node = self.read(t).node
            nodes.append(node)
            mask |= node.mask
        allowed = CONTEXT.get().allowed
        t = self._mine(stage(op, nodes, params, mask & allowed | UNKNOWN | self.bit))
        self.own.update(t.node.inputs)  # the broadcasts and casts in between
        return t

    def rebind(self, handle: Tensor, to: Tensor) -> Tensor:
        """A handle is about to stand for another value: for the one that is given back. If it asks
        for gradients and the value has no history, it is a leaf from here on, as in eager.
        """
        self._log(handle)
        owner = self.grad_owner.get(id(handle))
        if owner is not None:
            self.write_grad(owner)
        if getattr(handle, "_wants", False) and not self.read(to).node.mask & WANTED:
            return self._leaf(handle, to)
        return to

    def _log(self, handle: Tensor) -> bool:
        """Remember what a handle from outside stands for; False for one that was made inside."""
        if id(handle) in self.rebinds:
            return True
        if handle._node is not None and handle._node in self.own:
            return False
        self.rebinds[id(handle)] = handle, (handle._node, handle.value, handle.spec)
        if self.outer.trace is not None:
            self.outer.trace._log(handle)
        return True

    def _leaf(self, handle: Tensor, t: Tensor) -> Tensor:
        """The value of t as the leaf of a handle that asks for a gradient."""
        leaf = self.stage(PRIMITIVES["alias"], [t], EMPTY)
        leaf.node.mask |= WANTED
        leaf.node.handle = weakref.ref(handle)
        return leaf

    def may_ask(self, handle: Tensor) -> bool:
        """Whether a handle is no result with history."""
        node = self.read(handle).node
        return not node.mask & WANTED or hasattr(node, "handle")

    def ask(self, handle: Tensor, wanted: bool) -> None:
        """A handle becomes a leaf that asks for a gradient, or no longer does."""
        inner = self.read(handle)
        if bool(inner.node.mask & WANTED) is not wanted:
            if self._log(handle):
                self.asked.setdefault(id(handle), (handle, getattr(handle, "_wants", False)))
            else:
                self.inside[id(handle)] = handle
            if wanted:
                to = self._leaf(handle, inner)
            else:
                to = self.stage(PRIMITIVES["stop_gradient"], [inner], EMPTY)
            handle._node, handle.value = to._node, None
        handle._wants = wanted

    def read_grad(self, handle: Tensor, grad: Tensor | None) -> Tensor | None:
        """`.grad` of a handle is being looked at."""
        if id(handle) not in self.grads and id(handle) not in self.inside:
            self.looked.setdefault(id(handle), (handle, grad is not None))
            if grad is not None:
                self.grad_owner[id(grad)] = handle
        return grad

    def write_grad(self, handle: Tensor) -> None:
        """`.grad` of a handle is about to be written."""
        if id(handle) not in self.grads and id(handle) not in self.inside:
            self.grads[id(handle)] = handle, getattr(handle, "_grad", None)


class Captured:
    """What came of a capture.

    graph    inputs: the arguments, then the reads; outputs: the results, then the rebound values,
             then the gradients written
    reads    what to feed the inputs that are reads
    rebinds  the handles to rebind, grads the handles whose `.grad` to write (None: clear it)
    looked   the handles whose `.grad` was looked at, and whether there was one: for such only it
             holds
    """

    def __init__(self, trace: Trace, results: Sequence[Tensor], out_tree: Structure) -> None:
        if trace.refused is not None:
            raise RebindError(
                "requires_grad is changed inside a traced function (jit, scan, ...), which would "
                "happen once and then never again",
                got={"tensor": trace.refused},
                hint="change it outside, before the call",
            )
        self.reads = list(trace.reads.values())
        self.looked = list(trace.looked.values())
        self.out_tree = out_tree
        self.results = len(results)
        self.rebinds = [h for h, _ in trace.finals]
        self.grads = [(h, g is not None) for h, g in trace.final_grads]
        outputs = [r.node for r in results]
        for _, (node, _, _) in trace.finals:
            outputs.append(node)
        outputs += [g.node for _, g in trace.final_grads if g is not None]
        inputs = [t.node for t in trace.arguments] + [r.inner.node for r in self.reads]
        self.graph = Graph(inputs, outputs)
        known = set(inputs)
        for node in self.graph.nodes:
            if node not in known and isinstance(node.op, Leaf) and node.value is None:
                raise LeakedTraceError(
                    "a value from another trace (jit, vmap, scan, ...) was used inside this one",
                    got={"value": node},
                )


def capture(f: Callable[..., Any], arguments: Sequence[Spec]) -> Captured:
    """What comes of f, traced on flat arguments given by their Specs."""
    with Trace() as trace:
        inner = [trace.argument(of) for of in arguments]
        leaves, structure = tree_flatten(f(*inner))
        results = [trace.result(as_tensor(y)) for y in leaves]
    return Captured(trace, results, structure)


def inline(graph: Graph, arguments: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a graph on these tensors: its operations happen again, here and now."""
    made: dict[Node, Tensor] = dict(zip(graph.inputs, arguments, strict=True))
    for node in graph.nodes:
        if node not in made:
            if node.inputs:
                made[node] = apply(node.op, tuple(made[x] for x in node.inputs), node.params)
            else:
                made[node] = from_node(node) if node.spec.weak else from_value(node.value)
    return [made[y] for y in graph.outputs]


# -- NumPy in, NumPy out ----------------------------------------------------------------------


def is_for_numpy(leaves: Sequence[Any]) -> bool:
    """Whether a transform with these arguments gives NumPy's arrays: it is the outermost one, and
    no argument is a tensor. In a trace those that stand for NumPy's own are none.
    """
    context = CONTEXT.get()
    trace = context.trace
    if trace is None:
        return context.level == 0 and not any(isinstance(x, Tensor) for x in leaves)
    outermost = context.level == trace.outer.level + 1
    return outermost and all(id(x) in trace.plain for x in leaves if isinstance(x, Tensor))


def to_numpy(t: Tensor) -> Any:
    """A tensor as NumPy's, the caller's own; in a trace, noted as one that will be."""
    trace = CONTEXT.get().trace
    if trace is None:
        return handed_out(t)
    trace.plain[id(t)] = t
    return t
