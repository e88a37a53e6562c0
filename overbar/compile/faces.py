"""A node's convolution: which face, of which sizes, and how its result lies."""

from __future__ import annotations

import math

from ..graph import Node
from .convolution import Convolution
from .layout import Arrangement, Axis, result_letters


def convolution_of(node: Node) -> Convolution:
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
    return Convolution(
        node.spec.dtype.name, face, batch=x.shape[0], channels=x.shape[1], space=x.shape[2:],
        out=w.shape[0], kernel=w.shape[2:], count=y.shape[2:],
        x_last=False, y_last=False, w_last=False, **how,
    )  # fmt: skip


def faced(node: Node) -> Arrangement:
    """The result as the matrices that `convolution` tells an epilogue of: channels and places, one
    for each image; of kernels a single one. (What is summed over is not said.)
    """
    letters, shape = result_letters(node), node.spec.shape
    first = 0 if node.op.name == "conv_weight" else 1
    columns = math.prod(shape[first + 1 :])
    batch = (Axis(shape[0], (0, 0, shape[1] * columns), letters[0]),) if first else ()
    return Arrangement(
        Axis(shape[first], (0, columns), letters[first]),
        Axis(columns, (0, 1), letters[first + 1 :]),
        Axis(1, (0, 0), ""),
        batch,
    )
