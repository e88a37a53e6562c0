"""A loop's body: a function of one step as a Graph, and what to feed it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..capture import Captured, Trace
from ..errors import ShapeError, StructureError
from ..graph import Graph
from ..handle import Tensor, as_tensor, asarray
from ..rebinding import rebind
from ..spec import Spec, spec, spec_of
from ..trees import Structure, same_structure, tree_flatten, tree_unflatten
from .calls import traced
from .derived import pushed


def zeros_like(x: Any) -> Any:
    """Zeros, raw: they mix with both worlds."""
    of = strong(x)
    return np.zeros(of.shape, of.dtype)


def strong(x: Any) -> Spec:
    """The Spec of an operand of either world; a Python number counts as an array."""
    of = x if isinstance(x, Spec) else x.spec if isinstance(x, Tensor) else spec_of(x)
    return spec(of.shape, of.dtype)


class Loop:
    """A loop's body as a Graph of (constants, carries, rows) -> (carries, ys), and its operands."""

    def __init__(
        self, what: str, body: Callable[..., Any], init: Any, rows: list[Spec], *, ys: bool = True
    ) -> None:
        leaves, self.tree = tree_flatten(init)
        start = [asarray(x) for x in leaves]
        self.y_tree: Structure = tree_flatten(None)[1]
        for _ in range(3):  # an integer start that becomes a float is made one first
            captured = self._captured(what, body, start, rows, ys)
            outs = captured.graph.outputs[: len(start)]
            dtypes = [
                np.result_type(s.dtype, o.spec.dtype) for s, o in zip(start, outs, strict=True)
            ]
            weak = [
                bool(x is not s and not isinstance(x, Tensor))
                for x, s in zip(leaves, start, strict=True)
            ]
            if all(d == s.dtype or not w for d, s, w in zip(dtypes, start, weak, strict=True)):
                break
            start = [
                as_tensor(s, d) if w else s for s, d, w in zip(start, dtypes, weak, strict=True)
            ]
        for i, (s, o) in enumerate(zip(start, outs, strict=True)):
            if s.spec is not o.spec:
                raise ShapeError(
                    f"{what}: a step changes the carry"
                    + (f" (its part {i})" if len(start) > 1 else ""),
                    got={"before": s, "after": o.spec},
                    want="the same shape and dtype before and after each step",
                    hint="convert with .astype, or start from a carry of the shape it takes",
                )
        if captured.grads:
            raise StructureError(
                f"{what}: the body wrote a .grad", hint="use ob.grad inside, or backward() outside"
            )
        n = len(start)
        graph, reads = captured.graph, captured.reads
        handles = captured.rebinds
        read_nodes = dict(
            zip((id(r.handle) for r in reads), graph.inputs[n + len(rows) :], strict=True)
        )
        rebound_ids = {id(h) for h in handles}
        fixed_nodes = [read_nodes[id(r.handle)] for r in reads if id(r.handle) not in rebound_ids]
        self.fixed = [r.now for r in reads if id(r.handle) not in rebound_ids]
        with Trace() as trace:
            carried = [read_nodes.get(id(h)) or trace.argument(h.spec).node for h in handles]
        self.handles = handles
        self.carry = [*start, *handles]
        rebound = graph.outputs[captured.results :]
        self.graph = Graph(
            [*fixed_nodes, *graph.inputs[:n], *carried, *graph.inputs[n : n + len(rows)]],
            [*graph.outputs[:n], *rebound, *graph.outputs[n : captured.results]],
        )
        self.count = n

    def _captured(
        self, what: str, body: Any, start: list[Tensor], rows: list[Spec], ys: bool
    ) -> Captured:
        n = len(start)

        def flat(*inner: Tensor) -> Any:
            result = body(tree_unflatten(self.tree, inner[:n]), *([list(inner[n:])] if ys else []))
            carry, y = result if ys else (result, None)
            out, structure = tree_flatten(carry)
            same_structure(
                what, self.tree, structure, ("the carry before a step", "the carry after it")
            )
            y_leaves, self.y_tree = tree_flatten(y)
            return [*out, *y_leaves]

        return traced(flat, [*start, *rows])

    def carry_of(self, outs: Sequence[Tensor]) -> Any:
        return tree_unflatten(self.tree, outs[: self.count])

    def rebind(self, outs: Sequence[Tensor]) -> None:
        rebind(self.handles, outs[self.count : self.count + len(self.handles)])


def forward_body(body: Graph, k: int, c: int, fixed: tuple, carry: tuple, xs: tuple) -> Graph:
    """One step with tangents: (constants, ẋ of constants; carries, ẋ of carries; xs, ẋ of xs) ->
    (carries, their tangents; ys, their tangents).
    """
    key = "forward", fixed, carry, xs
    if key not in body.derived:
        ahead = pushed(body, (*fixed, *carry, *xs), primal=True)
        n, m = len(body.inputs), len(body.outputs)
        a, b = n + len(fixed), n + len(fixed) + len(carry)
        x = ahead.inputs
        groups = [x[:k], x[n:a], x[k : k + c], x[a:b], x[k + c : n], x[b:]]
        outs, dots = ahead.outputs[:m], ahead.outputs[m:]
        body.derived[key] = Graph(
            [x for g in groups for x in g],
            [*outs[:c], *(dots[i - k] for i in carry), *outs[c:], *dots[c:]],
        )
    return body.derived[key]
