"""Operations with a generator of their own: convolution, pooling, and what `serial` writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph import Node
from .access import base_of, is_dense
from .block import Program
from .convolution import Convolution, convolution
from .kernel import Kernel
from .place import Step
from .pooling import Pooling, pooling
from .scalar import can_hold
from .serial import serial
from .stages import Stages


def library(program: Program, step: Step, numbers: Sequence[int], name: str) -> Stages | None:
    """The kernels of such an operation; None if it is none, or not of this dtype or layout."""
    node = step.node
    if isinstance(node.spec, tuple) or not node.spec.size or not can_hold(node):
        return None
    if not all(is_dense(x) and x.spec.size for x in node.inputs):
        return None
    of = dict(zip((*step.inputs, *step.outputs), numbers, strict=True))
    operands = [f"%p{of[base_of(x)]}" for x in (*node.inputs, *step.outputs)]
    arguments = [("ptr noalias", f"p{k}") for k in range(max(numbers) + 1)]
    arguments += [("ptr", "scratch"), ("ptr", "workspace"), ("i64", "part")]
    kernel = serial(program, node, name, arguments, operands)
    if kernel is not None:
        return Stages((kernel,), 0)
    if node.op.name in POOLS and node.inputs[0].spec.dtype.kind == "f":
        return Stages((_pool(program, node, name, arguments, operands),), 0)
    generator = GENERATORS.get(node.op.name)
    if generator is None or node.spec.dtype.kind != "f":
        return None
    made = generator(program, node)
    kernels = []
    for i, kernel in enumerate(made.kernels):
        f = program.module.function(f"{name}.{i}", arguments)
        given = [("ptr", p) for p in (*operands, "null", "%scratch", "%workspace")]
        f.call(kernel.name, "void", *given, ("i64", "%part"))
        f.give()
        kernels.append(Kernel(f.name, kernel.parts, kernel.workspace))
    return Stages(tuple(kernels), made.scratch)


def _convolution(program: Program, node: Node) -> Stages:
    """One of the three faces, channels first in memory."""
    first, second = (x.spec for x in node.inputs)
    match node.op.name:
        case "conv":
            face, x, w, y = "output", first, second, node.spec
        case "conv_input":
            face, x, w, y = "input", node.spec, second, first
        case _:
            face, x, w, y = "weight", first, node.spec, second
    how = {k: node.params[k] for k in ("stride", "padding", "dilation", "groups")}
    c = Convolution(
        node.spec.dtype.name,
        face,
        batch=x.shape[0],
        channels=x.shape[1],
        space=x.shape[2:],
        out=w.shape[0],
        kernel=w.shape[2:],
        count=y.shape[2:],
        x_last=False,
        y_last=False,
        w_last=False,
        **how,
    )
    return convolution(program.module, program.machine, c)


POOLS = {"pool_winners": "greatest", "window_sum": "sum", "window_spread": "spread"}
"""What `pooling` calls them."""


def _pool(program: Program, node: Node, name: str, arguments: Any, operands: list[str]) -> Kernel:
    """Windows, channels first in memory."""
    given, result = node.inputs[0].spec, node.spec
    wide, narrow = (result, given) if node.op.name == "window_spread" else (given, result)
    p = Pooling(
        given.dtype.name,
        POOLS[node.op.name],
        batch=wide.shape[0],
        channels=wide.shape[1],
        space=wide.shape[2:],
        count=narrow.shape[2:],
        x_last=False,
        y_last=False,
        values=False,
        index="int64",
        **{k: node.params[k] for k in ("size", "stride", "padding")},
    )
    kernel = pooling(program.module, program.machine, p)
    source, target = operands
    places = (target, "null") if node.op.name == "pool_winners" else ("null", target)
    f = program.module.function(name, arguments)
    pointers = [("ptr", x) for x in (source, *places, "null", "%workspace")]
    f.call(kernel.name, "void", *pointers, ("i64", "%part"))
    f.give()
    return Kernel(name, kernel.parts, kernel.workspace)


GENERATORS: dict[str, Callable[[Any, Node], Stages]] = {
    "conv": _convolution,
    "conv_input": _convolution,
    "conv_weight": _convolution,
}
