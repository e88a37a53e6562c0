"""Operations with a generator of their own: convolution and pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph import Node
from .access import row_major, strided
from .block import Program
from .convolution import Convolution, convolution
from .kernel import Kernel
from .place import Step, root_of
from .stages import Stages


def library(program: Program, step: Step, numbers: Sequence[int], name: str) -> Stages | None:
    """The kernels of such an operation; None if it is none, or not of this dtype or layout."""
    node = step.node
    generator = GENERATORS.get(node.op.name)
    if generator is None or node.spec.dtype.name not in ("float32", "float64"):
        return None
    if not node.spec.size or not all(map(_is_whole, node.inputs)):
        return None
    made = generator(program, node)
    of = dict(zip((*step.inputs, *step.outputs), numbers, strict=True))
    operands = [f"%p{of[root_of(x)]}" for x in (*node.inputs, *step.outputs)]
    kernels = []
    for i, kernel in enumerate(made.kernels):
        arguments = [("ptr", f"p{k}") for k in range(max(numbers) + 1)]
        arguments += [("ptr", "scratch"), ("ptr", "workspace"), ("i64", "part")]
        f = program.module.function(f"{name}.{i}", arguments)
        given = [("ptr", p) for p in (*operands, "null", "%scratch", "%workspace")]
        f.call(kernel.name, "void", *given, ("i64", "%part"))
        f.give()
        kernels.append(Kernel(f.name, kernel.parts, kernel.workspace))
    return Stages(tuple(kernels), made.scratch)


def _is_whole(x: Node) -> bool:
    view = strided(x)
    return (
        view is not None
        and not view.offset
        and view.strides == row_major(x.spec.shape)
        and x.spec.size > 0
    )


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


GENERATORS: dict[str, Callable[[Any, Node], Stages]] = {
    "conv": _convolution,
    "conv_input": _convolution,
    "conv_weight": _convolution,
}
