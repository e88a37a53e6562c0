"""`backward()`: from some results to `.grad` of every leaf that asked for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import handle as handles
from ..context import CONTEXT, UNKNOWN, WANTED, within
from ..errors import DTypeError, GradientError, ShapeError
from ..graph import INPUT, Node, by_age
from ..handle import Tensor, as_tensor, from_value
from ..ops.movement import conj
from .sweep import Handles, Raw, World, finish, guarded, pullback_steps


def backward(
    roots: Tensor | Sequence[Tensor],
    seeds: Any = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> None:
    """Add the derivative of the sum of `roots` to `.grad` of every leaf that asked for one.

    Several losses go through the trunk they share once. `seeds` are the adjoints to start from,
    one per root, each of its root's shape. Values kept for the sweep are let go as it passes
    unless `retain_graph`; a second call replays them. `create_graph` records the sweep itself, so
    that `.grad` can be differentiated again.

    Raises:  GradientError if no root depends on a leaf that asked, or a root without a seed is no
             scalar; ShapeError if a seed does not have its root's shape.
    Example:
        >>> w = ob.tensor(3.0, requires_grad=True)
        >>> ob.backward([w * w, 2 * w])
        >>> w.grad
        Tensor(8., float64)
    """
    roots = [roots] if isinstance(roots, Tensor) else list(roots)
    backward_of(roots, seeds, retain_graph, create_graph)


def backward_of(roots: list[Tensor], seeds: Any, retain_graph: bool, create_graph: bool) -> None:
    """`backward`, of a list."""
    y_bars = [
        _seed(y, s)
        for y, s in zip(roots, [None] * len(roots) if seeds is None else seeds, strict=True)
    ]
    tracked = [(y.node, y_bar) for y, y_bar in zip(roots, y_bars, strict=True) if y.requires_grad]
    if not tracked:
        raise GradientError(
            "backward(): nothing to differentiate: no leaf that this was computed from asks for "
            "a gradient",
            got={"root": roots[0]} if roots else None,
            hint="make the leaf with requires_grad=True; what .detach(), .numpy() or ob.no_grad() "
            "cut off does not count",
        )
    outputs = [y for y, _ in tracked]
    context = CONTEXT.get()
    mask = 0
    for y in outputs:
        mask |= y.mask
    raw = not create_graph and not mask & (context.active | UNKNOWN) and context.trace is None
    world: World = Raw() if raw else Handles()
    path = path_from_leaves(outputs)
    leaves = [n for n in path if hasattr(n, "handle")]
    if context.trace is not None:
        _check_closed(path)
    seeds = [y_bar.value for _, y_bar in tracked] if raw else [y_bar for _, y_bar in tracked]
    changes = {} if create_graph or raw else {"allowed": context.allowed & ~WANTED}
    with within(**changes), np.errstate(all="ignore"):
        release = raw and not retain_graph
        steps = pullback_steps(
            outputs, leaves, seeds, path, world, pause=context.guard, release=release
        )
        bars = finish(guarded(steps) if context.guard else steps)
        for leaf, bar in zip(leaves, bars, strict=True):
            handle = leaf.handle()
            if handle is not None and bar is not None:
                _accumulate(handle, bar)


def path_from_leaves(outputs: Sequence[Node]) -> list[Node]:
    """Every node between the leaves that asked for a gradient and the outputs, oldest first."""
    seen = set(outputs)
    stack, path = list(seen), []
    while stack:
        node = stack.pop()
        path.append(node)
        for x in node.inputs:
            if x.mask & WANTED and x not in seen:
                seen.add(x)
                stack.append(x)
    path.sort(key=by_age)
    return path


def _check_closed(path: Sequence[Node]) -> None:
    """While tracing, adjoints cannot flow on into what was computed outside."""
    for node in path:
        if node.op is INPUT and node.mask & WANTED and not hasattr(node, "handle"):
            raise GradientError(
                "backward(): inside a traced function (jit, scan, ...) the gradient would flow on "
                "into a tensor that was computed outside, where it would be lost",
                got={"tensor": f"{node.spec}, {node.origin}" if node.origin else node.spec},
                hint="compute it inside, cut it off with .detach(), or return the loss and call "
                "backward() outside",
            )


def _seed(y: Tensor, seed: Any) -> Tensor:
    if seed is None:
        if y.size != 1:
            raise GradientError(
                "backward(): only a scalar has a gradient",
                got={"root": y},
                want="a tensor with one element, or a seed",
                hint="reduce it (.sum(), .mean()), or pass the adjoint to start from: "
                "y.backward(seed)",
            )
        if not y.spec.floating:
            raise DTypeError("backward(): only floating numbers have derivatives", got={"root": y})
        return from_value(np.ones(y.shape, y.dtype))
    y_bar = as_tensor(seed)
    if y_bar.shape != y.shape:
        raise ShapeError(
            "backward(): the seed does not have the shape of the tensor it seeds",
            got={
                "seed": y_bar,
                "tensor": f"{y.spec}" + (f", made at {y.node.origin}" if y.node.origin else ""),
            },
            want=f"a seed of shape {list(y.shape)}",
        )
    return as_tensor(y_bar, y.dtype) if y_bar.spec.weak or y_bar.dtype != y.dtype else y_bar


def _accumulate(handle: Tensor, bar: Any) -> None:
    """Complex gradients follow PyTorch: the conjugate of the sweep's adjoint."""
    x_bar = bar if isinstance(bar, Tensor) else from_value(np.asarray(bar))
    if x_bar.dtype.kind == "c":
        x_bar = as_tensor(conj(x_bar))
    before = handle.grad
    handle.grad = x_bar if before is None else before + x_bar


handles.backward_of = backward_of
