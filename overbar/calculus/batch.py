"""vmap: the batch walk. A function of one lane becomes a function of all lanes at once.

The function runs once, on lanes without values; then its nodes are walked from old to young and
each operation's `batch` rule makes the same operation for all lanes. The mapped axis is always
axis 0, so a rule is told only *which* of its inputs carry it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..capture import is_for_numpy, to_numpy
from ..context import CONTEXT, changed, tracker
from ..errors import DTypeError, ShapeError
from ..graph import Node, span
from ..handle import Tensor, as_tensor, asarray, from_node, from_value, unknown
from ..ops.index import lane_of
from ..ops.join import stack_
from ..ops.movement import move_axis
from ..ops.repeat import broadcast_to
from ..replay import is_known, values_of
from ..spec import one_axis, spec
from ..trees import Structure, tree_flatten, tree_unflatten


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """f for every lane at once: `in_axes` says which axis of each argument counts the lanes (None:
    the same for all), `out_axes` where the results put it. Both may be trees like the arguments.
    Keyword arguments are mapped along their first axis.

    Equal to a loop over the lanes and a stack of the results, without the loop. Random numbers
    differ from lane to lane.

    Raises:  ShapeError if the lanes of the arguments differ in number.
    Example:
        >>> ob.vmap(lambda x, y: x @ y)(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([1., 4.])
    """

    @functools.wraps(f)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree_flatten((args, kwargs))
        axes = _spread(in_axes, args, "in_axes")
        axes += [0] * (len(leaves) - len(axes))
        tensors = [
            leaf if a is None and not isinstance(leaf, np.ndarray) else as_tensor(leaf)
            for leaf, a in zip(leaves, axes, strict=True)
        ]
        n, tensors = _lanes(tensors, axes)
        outer = CONTEXT.get()
        plain = is_for_numpy(leaves)
        bit = tracker(outer.level)
        lane = _argument(spec((), np.dtype(np.int64)), bit)
        inside = [
            t if a is None else _argument(spec(t.shape[1:], t.dtype), bit)
            for t, a in zip(tensors, axes, strict=True)
        ]
        handed = [
            t if a is None else from_node(t.node) for t, a in zip(inside, axes, strict=True)
        ]  # f may rebind these
        token = CONTEXT.set(
            changed(
                outer, level=outer.level + 1, active=outer.active | bit,
                staging=outer.staging | bit, allowed=outer.allowed | bit,
                lane=(*(outer.lane or ()), lane),
            )
        )  # fmt: skip
        try:
            positional, named = tree_unflatten(structure, handed)
            result = f(*positional, **named)
            if outer.trace is not None:
                outer.trace.own.update(
                    t._node for t in inside if isinstance(t, Tensor) and t._node is not None
                )
        finally:
            CONTEXT.reset(token)
        env: dict[Node, Any] = {lane.node: from_value(np.arange(n))}
        for x, t, a in zip(inside, tensors, axes, strict=True):
            if a is not None:
                env[x.node] = t
        outs, out_structure = tree_flatten(result)
        with np.errstate(all="ignore"):  # the lanes not chosen, and rules, make NaN and infinity
            ys = batched([asarray(y) for y in outs], env, n, bit)
        places = _spread(out_axes, result, "out_axes", of=out_structure)
        ys = [_placed(y, a) for y, a in zip(ys, places, strict=True)]
        return tree_unflatten(out_structure, [to_numpy(y) if plain else y for y in ys])

    return mapped


def _argument(of: Any, bit: int) -> Tensor:
    t = unknown(of, bit)
    trace = CONTEXT.get().trace
    if trace is not None:
        t.node.mask |= trace.bit
        trace.adopt(t.node)
    return t


def batched(outputs: Sequence[Tensor], env: dict[Node, Any], n: int, bit: int = 0) -> list[Tensor]:
    """The outputs for all lanes, given what the lanes' inputs are for all lanes."""
    inputs = list(env)
    wanted = [y.node for y in outputs]
    path = [x for x in span(wanted, inputs, mask=bit) if x.inputs and x not in env]
    last = {x: node for node in path for x in node.inputs}
    keep = {*wanted, *inputs}
    for node in path:
        mapped = tuple(x in env for x in node.inputs)
        if not any(mapped):  # here only because an earlier transform had the same tracker
            continue
        xs = [env[x] if m else _same_for_all(x) for x, m in zip(node.inputs, mapped, strict=True)]
        env[node] = _lanes_of(node, n, mapped, xs)
        for x in node.inputs:
            if last[x] is node and x not in keep:
                env.pop(x, None)
    ys = []
    for y in outputs:
        whole = env.get(y.node)
        ys.append(broadcast_to(y, (n, *y.shape)) if whole is None else whole)
    return ys


def _lanes_of(node: Node, n: int, mapped: tuple[bool, ...], xs: list[Any]) -> Any:
    """One operation for all lanes: by its rule, else lane by lane."""
    rule, op, params = node.op.batch, node.op, node.params
    if rule is not None:
        return rule(n, mapped, *xs, **params)
    lanes = [
        op(*[lane_of(x, i) if m else x for x, m in zip(xs, mapped, strict=True)], **params)
        for i in range(n)
    ]
    if isinstance(node.spec, tuple):
        from ..ops.movement import parts

        rows = [parts(lane) for lane in lanes]
        return tuple(stack_(*column) for column in zip(*rows, strict=True))
    return stack_(*lanes)


def _same_for_all(node: Node) -> Tensor:
    """A tensor from outside the lanes."""
    t = from_node(node)
    if t.value is None and is_known(node):
        t.value = values_of([node])[node]
    return t


def _lanes(tensors: list[Any], axes: list[int | None]) -> tuple[int, list[Any]]:
    """How many lanes there are, and the arguments with the lanes in front."""
    sizes: dict[int, Tensor] = {}
    moved = []
    for t, a in zip(tensors, axes, strict=True):
        if a is None:
            moved.append(t)
            continue
        if not t.ndim:
            raise ShapeError(
                "vmap: a number has no axis to map over",
                got={"argument": t},
                hint="pass in_axes=None for what is the same in all lanes",
            )
        a = one_axis("vmap", a, t.ndim)
        sizes[t.shape[a]] = t
        moved.append(move_axis(t, a, 0))
    if not sizes:
        raise ShapeError(
            "vmap: no argument is mapped", want="at least one in_axes that is not None"
        )
    if len(sizes) > 1:
        got = {f"{n} lanes": t for n, t in sizes.items()}
        raise ShapeError("vmap: the arguments differ in their number of lanes", got=got)
    return next(iter(sizes)), moved


def _placed(y: Tensor, axis: int | None) -> Tensor:
    if axis is None:
        return lane_of(y, 0)
    return move_axis(y, 0, one_axis("vmap out_axes", axis, y.ndim))


def _spread(axes: Any, tree: Any, what: str, of: Structure | None = None) -> list[int | None]:
    """One axis per leaf, from an axis or a tree of axes that is a prefix of `tree`."""
    return _prefix(axes, of or tree_flatten(tree)[1], what)


def _prefix(axes: Any, structure: Structure, what: str) -> list[Any]:
    if axes is None or isinstance(axes, int | np.integer):
        return [axes] * structure.leaves
    if isinstance(axes, tuple | list):
        children = axes
    elif isinstance(axes, dict):
        children = [axes.get(name) for name in structure.names]
    else:
        raise DTypeError(
            f"vmap: {what} is {axes!r}",
            want="an integer, None, or a tuple of these like the arguments",
        )
    if len(children) != len(structure.children):
        raise ShapeError(
            f"vmap: {what} has {len(children)} entries for {len(structure.children)} arguments",
            want="one for each",
        )
    return [
        a for c, s in zip(children, structure.children, strict=True) for a in _prefix(c, s, what)
    ]
