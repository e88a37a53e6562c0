"""Operations with a generator of their own: pooling, and what `serial` writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph import Node
from .access import base_of, is_dense
from .block import Program
from .kernel import Kernel
from .place import Step
from .scalar import can_hold
from .serial import serial
from .stages import Stages
from .winners import MAX_POOL


def library(program: Program, step: Step, numbers: Sequence[int], name: str) -> Stages | None:
    """The kernels of such an operation; None if it is none, or not of this dtype or layout."""
    node = step.node
    if isinstance(node.spec, tuple) != (node.op is MAX_POOL) or not can_hold(node):
        return None
    if not all(x.spec.size for x in (*step.outputs, *node.inputs)):
        return None
    if not all(map(is_dense, node.inputs)):
        return None
    of = dict(zip((*step.inputs, *step.outputs), numbers, strict=True))
    operands = [f"%p{of[base_of(x)]}" for x in (*node.inputs, *step.outputs)]
    arguments = [("ptr noalias", f"p{k}") for k in range(max(numbers) + 1)]
    arguments += [("ptr", "scratch"), ("ptr", "workspace"), ("i64", "part")]
    kernel = None
    if node.op.name not in POOLS:
        kernel = serial(program, node, name, arguments, operands)
    elif node.inputs[0].spec.dtype.kind == "f":
        kernel = _pool(program, step, name, arguments, operands)
    return kernel and Stages((kernel,), 0)


POOLS = {
    "pool_winners": "greatest", "max_pool": "greatest", "window_sum": "sum",
    "window_spread": "spread",
}  # fmt: skip
"""What `pooling` calls them."""


def _pool(program: Program, step: Step, name: str, arguments: Any, operands: list[str]) -> Kernel:
    """Windows, channels first in memory."""
    from .pooling import Pooling, pooling

    node, (source, *targets) = step.node, operands
    given, result = node.inputs[0].spec, step.outputs[0].spec
    wide, narrow = (result, given) if node.op.name == "window_spread" else (given, result)
    written = dict(zip((_written(y) for y in step.outputs), targets, strict=True))
    p = Pooling(
        given.dtype.name,
        POOLS[node.op.name],
        batch=wide.shape[0],
        channels=wide.shape[1],
        space=wide.shape[2:],
        count=narrow.shape[2:],
        x_last=False,
        y_last=False,
        values="values" in written,
        winners="winners" in written,
        index="int64",
        **{k: node.params[k] for k in ("size", "stride", "padding")},
    )
    kernel = pooling(program.module, program.machine, p)
    f = program.module.function(name, arguments)
    places = (written.get(x, "null") for x in ("winners", "values"))
    pointers = [("ptr", x) for x in (source, *places, "null", "%workspace")]
    f.call(kernel.name, "void", *pointers, ("i64", "%part"))
    f.give()
    return Kernel(name, kernel.parts, kernel.workspace)


def _written(y: Node) -> str:
    """Which of a pooling's two results it is."""
    if y.op.name == "part":
        return ("values", "winners")[y.params["index"]]
    return "winners" if y.op.name == "pool_winners" else "values"
