"""Operations whose parameter is a Graph: calls and branches.

Each is a single node, in eager too, and its rules are again calls of derived graphs. A call keeps
its inputs only and runs its graph again for the backward sweep: that is what `checkpoint` sells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..apply import apply
from ..capture import Captured, Trace
from ..errors import DTypeError, ShapeError, StructureError
from ..graph import Graph, Node
from ..handle import Tensor, as_tensor, asarray
from ..ops.arithmetic import where
from ..ops.logic import zeros_of
from ..ops.movement import Parts, parts
from ..ops.repeat import broadcast_to, reshape
from ..primitive import Primitive, shared
from ..rebinding import rebind
from ..replay import interpret
from ..spec import Spec
from ..trees import Structure, same_structure, tree_flatten, tree_unflatten
from .derived import for_lanes, pulled, pushed


def floating(specs: Sequence[Any]) -> list[int]:
    """The numbers of those that can be differentiated."""
    return [i for i, s in enumerate(specs) if s.spec.floating]


def arrived(y_bars: Sequence[Any]) -> tuple[int, ...]:
    """The numbers of the results that received an adjoint."""
    return tuple(j for j, b in enumerate(y_bars) if b is not None)


def whole(n: int, mapped: Sequence[bool], xs: Sequence[Any]) -> list[Any]:
    """Every input with the lanes in front."""
    return [x if m else broadcast_to(x, (n, *x.shape)) for x, m in zip(xs, mapped, strict=True)]


# -- calls ------------------------------------------------------------------------------------

barrier_ = Primitive(
    "barrier", numbers=True, forward=lambda xp, x, *others: x, shape=lambda x, *others: x,
    vjp=shared(lambda wanted, y_bar, _y, *_xs: [y_bar, *[None] * (len(_xs) - 1)], 2),
    jvp=shared(lambda dots, _y, *_xs: zeros_of(_y) if dots[0] is None else dots[0]),
    batch=lambda n, mapped, x, *others: barrier_(*whole(n, mapped[:1], (x,)), *others),
    text="{0}", tex="{0}", moves=True, complex=True,
    samples=lambda r: [((r(3, 2), r(4)), {}), ((r(), r(2), r(0)), {})],
    doc="x, not before the others are there: what is made of it is made then, and not shared.",
)  # fmt: skip


def _call_back(
    wanted: Sequence[bool], y_bars: Any, _ys: Any, *xs: Any, graph: Graph, selected: bool = False
) -> list[Any]:
    inputs = tuple(i for i in floating(graph.inputs) if wanted[i])
    outputs = arrived(y_bars)
    found = [y_bars[j] for j in outputs]
    late = [barrier_(x, *found) for x in xs]  # or a compiler would keep what the first run computed
    back = pulled(graph, inputs, outputs, selected=selected)
    bars = parts(call_(*late, *found, graph=back))
    x_bars = dict(zip(inputs, bars, strict=True))
    return [x_bars.get(i) for i in range(len(xs))]


def _call_dot(dots: Sequence[Any], _ys: Any, *xs: Any, graph: Graph) -> Any:
    inputs = tuple(i for i, d in enumerate(dots) if d is not None)
    return call_(*xs, *(dots[i] for i in inputs), graph=pushed(graph, inputs))


def _call_lanes(n: int, mapped: Sequence[bool], *xs: Any, graph: Graph) -> Any:
    force = (True,) * len(graph.outputs)
    return call_(*xs, graph=for_lanes(graph, n, tuple(mapped), force)[0])


def outputs_of(graph: Graph, xs: Sequence[Any]) -> Sequence[Any]:
    """The outputs of a graph for these inputs: by the interpreter, or by whoever compiles it."""
    by = graph.derived.get("by")
    return interpret(graph, xs) if by is None else by(graph, xs)


call_ = Primitive(
    "call", numbers=True, forward=lambda xp, *xs, graph: tuple(outputs_of(graph, xs)),
    shape=lambda *xs, graph: tuple(y.spec for y in graph.outputs),
    vjp=shared(_call_back, 2), jvp=shared(_call_dot), batch=_call_lanes, complex=True,
    doc="A graph, run as one operation.",
)  # fmt: skip
call_.vjp_selected = shared(partial(_call_back, selected=True), 2)


def call(captured: Captured, arguments: Sequence[Tensor]) -> list[Tensor]:
    """The results of a captured function, applied; the handles it rebound and the gradients it
    wrote follow.
    """
    inputs = [*arguments, *(r.now for r in captured.reads)]
    outs = list(parts(apply(call_, tuple(inputs), {"graph": captured.graph})))
    results = outs[: captured.results]
    rebound = outs[captured.results : captured.results + len(captured.rebinds)]
    nodes = captured.graph.outputs[captured.results :]
    rebind(
        captured.rebinds,
        [t.detach() if is_cut(n) else t for t, n in zip(rebound, nodes, strict=False)],
    )
    grads = iter(outs[captured.results + len(captured.rebinds) :])
    for handle, there in captured.grads:
        handle.grad = next(grads) if there else None
    return results


def is_cut(node: Node) -> bool:
    """Whether the value of a rebound handle had no history inside: it shall grow none outside, or
    a buffer (the state of a generator) would gather it from call to call.
    """
    flat = getattr(node.op, "flat", False)
    return flat or hasattr(node, "handle") or not node.spec.floating


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, whose inner values are not kept for the backward sweep but computed again there.

    Random numbers drawn inside are the same both times.

    Example:
        >>> slope = ob.grad(ob.checkpoint(lambda x: ob.sin(ob.exp(x))))(0.0)
        >>> bool(slope == np.cos(1.0))
        True
    """

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        captured, tensors, _ = traced_call(f, args, kwargs)
        return tree_unflatten(captured.out_tree, call(captured, tensors))

    wrapped.__name__ = getattr(f, "__name__", "f")
    wrapped.__doc__ = f.__doc__
    return wrapped


def traced(f: Callable[..., Any], arguments: Sequence[Tensor | Spec]) -> Captured:
    """f captured on flat arguments; every result is a tensor."""
    with Trace() as trace:
        inner = [trace.argument(a if isinstance(a, Spec) else a.spec) for a in arguments]
        leaves, structure = tree_flatten(f(*inner))
        results = [trace.result(asarray(y)) for y in leaves]
    return Captured(trace, results, structure)


def is_array(x: Any) -> bool:
    """Whether an argument is an input of a trace: arrays, tensors, and Python's real and complex
    numbers.
    """
    return isinstance(x, Tensor | np.ndarray | np.generic) or type(x) in (float, complex)


def traced_call(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Captured, list[Tensor], tuple[Structure, list[int], list[Any]]]:
    """f captured on the arrays among its arguments; these; and where they stand: the structure of
    (args, kwargs), the numbers of the arrays among its leaves, the leaves.
    """
    leaves, structure = tree_flatten((args, kwargs))
    spots = [i for i, x in enumerate(leaves) if is_array(x)]
    tensors = [asarray(leaves[i]) for i in spots]

    def flat(*inner: Tensor) -> Any:
        filled = list(leaves)
        for i, t in zip(spots, inner, strict=True):
            filled[i] = t
        a, k = tree_unflatten(structure, filled)
        return f(*a, **k)

    return traced(flat, tensors), tensors, (structure, spots, leaves)


# -- branches ---------------------------------------------------------------------------------
# A switch takes the number of a branch, then the inputs that every branch takes.


def _taken(branches: Sequence[Graph], i: Any) -> Graph:
    return branches[min(max(int(i), 0), len(branches) - 1)]


def _switch_back(
    wanted: Sequence[bool], y_bars: Any, _ys: Any, i: Any, *xs: Any,
    branches: tuple[Graph, ...], selected: bool = False,
) -> list[Any]:  # fmt: skip
    inputs = tuple(j for j in floating(branches[0].inputs) if wanted[j + 1])
    outputs = arrived(y_bars)
    back = tuple(pulled(b, inputs, outputs, selected=selected) for b in branches)
    found = dict(
        zip(
            inputs,
            parts(switch_(i, *xs, *(y_bars[j] for j in outputs), branches=back)),
            strict=True,
        )
    )
    return [None, *(found.get(j) for j in range(len(xs)))]


def _switch_dot(
    dots: Sequence[Any], _ys: Any, i: Any, *xs: Any, branches: tuple[Graph, ...]
) -> Any:
    inputs = tuple(j for j, d in enumerate(dots[1:]) if d is not None)
    ahead = tuple(pushed(b, inputs) for b in branches)
    return switch_(i, *xs, *(dots[j + 1] for j in inputs), branches=ahead)


def _switch_lanes(
    n: int, mapped: Sequence[bool], i: Any, *xs: Any, branches: tuple[Graph, ...]
) -> Any:
    force = (True,) * len(branches[0].outputs)
    wide = tuple(for_lanes(b, n, tuple(mapped[1:]), force)[0] for b in branches)
    if not mapped[0]:
        return switch_(i, *xs, branches=wide)
    rows = [parts(call_(*xs, graph=b)) for b in wide]  # lanes differ: run all, choose
    chosen = list(rows[0])
    for k, row in enumerate(rows[1:], 1):
        chosen = [
            where(over_lanes(i >= k, y.shape), new, y) for y, new in zip(chosen, row, strict=True)
        ]
    return tuple(chosen)


def over_lanes(condition: Any, shape: tuple[int, ...]) -> Any:
    """A condition per lane, for every entry of an array with the lanes in front."""
    wide = reshape(condition, (*condition.shape, *(1,) * (len(shape) - condition.ndim)))
    return broadcast_to(wide, shape)


switch_ = Primitive(
    "switch", numbers=True,
    forward=lambda xp, i, *xs, branches: tuple(interpret(_taken(branches, i), xs)),
    shape=lambda i, *xs, branches: tuple(y.spec for y in branches[0].outputs),
    vjp=shared(_switch_back, 2), jvp=shared(_switch_dot), batch=_switch_lanes, complex=True,
    doc="One of several graphs, chosen by a number.",
)  # fmt: skip
switch_.vjp_selected = shared(partial(_switch_back, selected=True), 2)


def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any
) -> Any:
    """true_fun(*operands) if pred, else false_fun(*operands): one node; only one side runs.

    Both sides give the same structure, shapes and dtypes.

    Raises:  ShapeError or StructureError if they do not.
    Example:
        >>> f = lambda x: ob.cond(x > 0, lambda x: x * x, lambda x: -x, x)
        >>> float(ob.grad(f)(3.0)), float(ob.grad(f)(-3.0))
        (6.0, -1.0)
    """
    pred = as_tensor(pred)
    if pred.shape != ():
        raise ShapeError(
            "cond: the predicate is no scalar",
            got={"pred": pred},
            hint="use ob.where for a choice per entry",
        )
    return _switched("cond", _number_of(pred), (false_fun, true_fun), operands)


def _number_of(pred: Tensor) -> Tensor:
    """A condition as the number of its branch."""
    truth = pred if pred.dtype.kind == "b" else pred != 0
    return as_tensor(truth, np.int64)


def switch(i: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """branches[i](*operands), i clamped to the branches there are: one node; only one branch runs.

    Example:
        >>> float(ob.switch(1, [lambda x: x, lambda x: x * x], 3.0))
        9.0
    """
    i = as_tensor(i)
    if i.shape != () or i.dtype.kind not in "iu":
        raise DTypeError("switch: the number of the branch is a whole number", got={"i": i})
    return _switched("switch", i, tuple(branches), operands)


def _switched(
    what: str, i: Tensor, functions: Sequence[Callable[..., Any]], operands: tuple[Any, ...]
) -> Any:
    leaves, structure = tree_flatten(operands)
    tensors = [asarray(x) for x in leaves]
    sides = [traced(lambda *xs, f=f: f(*tree_unflatten(structure, xs)), tensors) for f in functions]
    reads: dict[int, Any] = {id(r.handle): r for s in sides for r in s.reads}
    handles = {id(h): h for s in sides for h in s.rebinds}
    for h in handles.values():
        reads.setdefault(id(h), None)
    order = list(reads)
    graphs = [_unified(s, tensors, order, reads, handles) for s in sides]
    same_results(what, sides, graphs)
    outside = [reads[k].now if reads[k] is not None else handles[k] for k in order]
    outs = parts(apply(switch_, (i, *tensors, *outside), {"branches": tuple(graphs)}))
    count = sides[0].results
    rebind(handles.values(), outs[count:])
    return tree_unflatten(sides[0].out_tree, outs[:count])


def _unified(
    side: Captured,
    tensors: Sequence[Tensor],
    order: list[int],
    reads: dict[int, Any],
    handles: dict[int, Tensor],
) -> Graph:
    """One side's graph, with the inputs and rebound handles of all sides."""
    if side.grads:
        raise StructureError(
            "a branch wrote a .grad", hint="call backward() outside, or use ob.grad inside"
        )
    mine = dict(
        zip((id(r.handle) for r in side.reads), side.graph.inputs[len(tensors) :], strict=True)
    )
    with Trace() as trace:
        inputs = list(side.graph.inputs[: len(tensors)])
        for k in order:
            node = mine.get(k)
            inputs.append(
                node
                or trace.argument((reads[k].now if reads[k] is not None else handles[k]).spec).node
            )
    by_handle = dict(
        zip((id(h) for h in side.rebinds), side.graph.outputs[side.results :], strict=True)
    )
    unread = dict(zip(order, inputs[len(tensors) :], strict=True))
    rebound = [by_handle.get(k) or unread[k] for k in handles]
    return Graph(inputs, [*side.graph.outputs[: side.results], *rebound])


def same_results(what: str, sides: Sequence[Captured], graphs: Sequence[Graph]) -> None:
    """Refuse sides that differ in what they return."""
    for side, graph in zip(sides[1:], graphs[1:], strict=True):
        same_structure(what, sides[0].out_tree, side.out_tree, ("one side", "the other"))
        for a, b in zip(graphs[0].outputs, graph.outputs, strict=True):
            if a.spec is not b.spec:
                raise ShapeError(
                    f"{what}: the sides return different shapes or dtypes",
                    got={"one side": a.spec, "the other": b.spec},
                    hint="make them equal with ob.broadcast_to or .astype",
                )


__all__ = ["Parts", "call", "call_", "checkpoint", "cond", "switch", "traced"]
