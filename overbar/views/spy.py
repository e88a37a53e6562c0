"""spy: the Jacobian as a picture, one pixel for each entry.

Its columns are those of forward sweeps, or its rows those of backward sweeps, whichever are fewer:
the engine's own.
"""

from __future__ import annotations

import base64
import html
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..calculus.sweep import Raw, finish, pullback_steps
from ..errors import GradientError
from ..graph import Node
from .answer import Pictured, Table, number, plain, shape_text
from .explain import callers_variables
from .measure import FACES, text_width
from .names import known_as, names_of
from .raster import png_of
from .record import Record, record_of

LARGEST = 512
"""Pixels of a picture in each direction: what has more entries is binned, the largest is shown."""
DENSE = 0.25
"""From this share of entries on, colours show sign and size; below, only where entries are."""
PAPER, INK = (255, 255, 255), (29, 33, 41)
POSITIVE, NEGATIVE = (178, 24, 43), (33, 102, 172)


def spy(subject: Any, *args: Any, wrt: Any = None) -> Spy:
    """The Jacobian of a function at its arguments, or of a result by its leaves, as a picture.

    A row for each entry of the result, a column for each entry of what it is differentiated by. A
    sparse one shows where entries are; a dense one their sign and size, red for positive and blue
    for negative. More than 512 rows or columns are binned, and the largest entry of a bin shows.

    `.matrix` is the Jacobian, `.pattern` where it is not zero, `.density` the share of that,
    `.blocks` the (name, first column, past the last one) of each variable.

    Of `ob.sparsity(f, *args)`, or of what `ob.sparse.jacobian` and `hessian` give: the pattern,
    with a colour for what comes from one sweep.

    Example:
        >>> picture = ob.spy(lambda x: x[1:] - x[:-1], np.arange(4.0))
        >>> picture.density
        0.5
        >>> print(picture)
        3×4, 6 of 12 entries are not zero (50 %)
        ▪▪··
        ·▪▪·
        ··▪▪
        <BLANKLINE>
        columns 0 to 3: x
    """
    from .colours import coloured

    picture = None if args else coloured(subject)
    if picture is not None:
        return picture
    record = record_of("spy", subject, args, wrt)
    if not record.variables or len(record.outputs) != 1:
        raise GradientError(
            "spy: the result depends on nothing that asks for a gradient",
            hint="make a leaf with requires_grad=True, or pass the function with its arguments",
        )
    names = names_of(record.nodes, record.outputs, record.given, callers_variables())
    matrix = _jacobian(record)
    blocks, at = [], 0
    for v in record.variables:
        blocks.append((known_as(names, v), at, at + v.spec.size))
        at += v.spec.size
    return Spy(matrix, blocks, known_as(names, record.outputs[0]))


def _jacobian(record: Record) -> np.ndarray:
    """The Jacobian as a matrix, by the direction that takes fewer sweeps."""
    (y,) = record.outputs
    columns = sum(v.spec.size for v in record.variables)
    matrix = np.zeros((y.spec.size, columns), np.result_type(y.spec.dtype, np.float32))
    if columns <= y.spec.size:
        at = 0
        for v in record.variables:
            for i in range(v.spec.size):
                y_dot = record.tangents({v: _unit(v, i)}).get(y)
                if y_dot is not None:
                    matrix[:, at + i] = np.ravel(np.broadcast_to(y_dot, y.spec.shape))
            at += v.spec.size
        return matrix
    world = Raw()
    world.recovered = dict(record.values)
    with np.errstate(all="ignore"):
        for j in range(y.spec.size):
            steps = pullback_steps([y], record.variables, [_unit(y, j)], record.path, world)
            at = 0
            for v, bar in zip(record.variables, finish(steps), strict=True):
                if bar is not None:
                    matrix[j, at : at + v.spec.size] = np.ravel(np.broadcast_to(bar, v.spec.shape))
                at += v.spec.size
    return matrix


def _unit(node: Node, i: int) -> Any:
    unit = np.zeros(node.spec.size, node.spec.dtype)
    unit[i] = 1
    return unit.reshape(node.spec.shape)[()]


class Spy(Pictured):
    """The picture: `.png()`, `.svg()`, `.save(path)`; its data: `.matrix`, `.pattern`."""

    def __init__(
        self, matrix: np.ndarray, blocks: Sequence[tuple[str, int, int]], result: str
    ) -> None:
        self.matrix, self.blocks, self.result = matrix, list(blocks), result
        self.pattern = matrix != 0

    @property
    def density(self) -> float:
        """The share of the entries that are not zero."""
        return float(self.pattern.mean()) if self.pattern.size else 0.0

    @property
    def dense(self) -> bool:
        """Whether the picture shows sign and size."""
        return self.density > DENSE

    def pixels(self) -> np.ndarray:
        """The colours of the picture, (height, width, 3), a pixel for each entry or bin."""
        values = _binned(self.matrix)
        if not self.dense:
            shown = np.where((values != 0)[..., None], np.array(INK), np.array(PAPER))
            return shown.astype(np.uint8)
        finite = np.abs(values[np.isfinite(values)])
        top = float(finite.max()) if finite.size else 0.0
        share = np.clip(np.nan_to_num(np.abs(values) / top if top else values, nan=1.0), 0, 1)
        share = np.where(values == 0, 0.0, 0.12 + 0.88 * share)[
            ..., None
        ]  # a small entry shows too
        colour = np.where((values < 0)[..., None], np.array(NEGATIVE), np.array(POSITIVE))
        return np.rint(np.array(PAPER) * (1 - share) + colour * share).astype(np.uint8)

    def png(self) -> bytes:
        """The picture as PNG, a pixel for each entry or bin."""
        return png_of(self.pixels())

    def svg(self) -> str:
        """The picture with its axes as SVG."""
        rows, columns = _binned(self.matrix).shape
        scale = max(1.0, min(16.0, 360 / max(rows, columns, 1)))
        width, height = columns * scale, rows * scale
        data = base64.b64encode(self.png()).decode()
        left, top = text_width(self.result, 12) + 14, 26.0
        per = width / max(1, self.matrix.shape[1])
        axes = "".join(
            f'<path d="M{left + a * per:.1f} {top - 4:.1f}h{(b - a) * per:.1f}" stroke="#67707c"/>'
            f'<text class="ink" x="{left + (a + b) / 2 * per:.1f}" y="{top - 9:.1f}">'
            f"{html.escape(name)}</text>"
            for name, a, b in self.blocks
        ) + "".join(
            f'<path d="M{left + a * per:.1f} {top:.1f}v{height:.1f}" stroke="#67707c" '
            'stroke-dasharray="2 2"/>'
            for _, a, _ in self.blocks[1:]
        )
        wide, tall = max(left + width + 14, 320.0), top + height + 34
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ob-spy" role="img" '
            f'aria-label="{html.escape(self._said())}" viewBox="0 0 {wide:.1f} {tall:.1f}" '
            f'width="{wide:.1f}" height="{tall:.1f}" font-family="{FACES}" font-size="12" '
            f'text-anchor="middle" fill="#1d2129">{STYLE}'
            f'<rect class="paper" width="{wide:.1f}" height="{tall:.1f}" fill="#ffffff"/>'
            f'<image x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
            'preserveAspectRatio="none" style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{data}"/>'
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="none" stroke="#67707c"/>{axes}'
            f'<text class="ink" x="{left - 8:.1f}" y="{top + height / 2 + 4:.1f}" '
            f'text-anchor="end">{html.escape(self.result)}</text>'
            f'<text class="ink" x="{left:.1f}" y="{top + height + 20:.1f}" text-anchor="start">'
            f"{html.escape(self._said())}</text></svg>"
        )

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return self.svg()

    def _said(self) -> str:
        rows, columns = self.matrix.shape
        count = int(self.pattern.sum())
        return (
            f"{shape_text((rows, columns))}, {count} of {rows * columns} entries are not zero "
            f"({number(100 * self.density)} %)"
        ).replace(".0 %", " %")

    def text(self, *, ascii: bool = False) -> str:
        """The pattern in characters: one for each entry, or for a bin of a large one."""
        small = _binned(self.matrix, 72)
        full, empty = ("x", ".") if ascii else ("▪", "·")
        lines = ["".join(full if v else empty for v in row) for row in small != 0]
        names = [
            f"column {a}: {name}" if b - a == 1 else f"columns {a} to {b - 1}: {name}"
            for name, a, b in self.blocks
        ]
        return plain("\n".join([self._said(), *lines, "", *names]), ascii)

    def tables(self) -> list[Table]:
        """The blocks of columns."""
        rows = []
        for name, a, b in self.blocks:
            part = self.pattern[:, a:b]
            rows.append([name, f"{a} to {b - 1}", f"{int(part.sum())} of {part.size}"])
        return [(self._said(), ["variable", "columns", "not zero"], rows)]


STYLE = (
    "<style>@media(prefers-color-scheme:dark){.ob-spy .paper{fill:#14171c}"
    ".ob-spy .ink{fill:#eceef1}}</style>"
)


def _binned(matrix: np.ndarray, largest: int = LARGEST) -> np.ndarray:
    """The matrix with at most so many rows and columns: the largest entry of each bin, signed."""
    for axis in (0, 1):
        n = matrix.shape[axis]
        if n > largest:
            edges = np.linspace(0, n, largest + 1).astype(int)
            size = np.abs(matrix)
            size = np.where(np.isnan(size), np.inf, size)
            parts = []
            for a, b in itertools.pairwise(edges):
                piece = np.take(matrix, range(a, b), axis)
                best = np.argmax(np.take(size, range(a, b), axis), axis)
                parts.append(np.take_along_axis(piece, np.expand_dims(best, axis), axis))
            matrix = np.concatenate(parts, axis)
    return matrix
