"""Checks inside kernels: positions that must lie within an axis, and what a kernel leaves to NumPy.

A kernel that reads at a position given by an array writes down the first that lies outside, reads
at the nearest instead, and goes on; the program stops before anything is overwritten, and the error
names the value and the user's line. One that meets something it has no answer for (a matrix without
an inverse, a whole number to a negative power) writes that down: the call is then done once more by
the interpreter, which has eager's answer, or its error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..graph import Graph, Node, bodies_of
from .access import base_of, is_view, without_views
from .kinds import POSITIONS
from .place import Step
from .scalar import Builder, Scalar
from .text import Function, Index, Variable

HEADER = 64
"""Bytes in front of a thread's workspace: where the error record is, and the step's number."""
REFUSING = {"within", "cholesky", "solve", "solve_triangular", "inv", "log_det_slope"}
"""Those that not every number, or matrix, has an answer for."""


Position = tuple[Node, int]
"""An array of positions, and the size of the axis that they are positions along."""


class Undecided(Exception):  # noqa: N818  (nothing is wrong yet)
    """What was given has to be looked at by the interpreter."""


def _is_checked(node: Node) -> bool:
    if node.op.name == "power":
        return node.spec.dtype.kind == "i"
    return node.op.name in POSITIONS or node.op.name in REFUSING


def is_checked(step: Step) -> bool:
    """Whether a kernel may find an error."""
    return bool(checked_nodes(step))


def checked_nodes(step: Step) -> list[Node]:
    """The operations of a kernel that check something."""
    if step.is_kernel:
        return [n for n in step.node.params["graph"].nodes if _is_checked(n)]
    bodies = list(bodies_of(step.node).values())
    return _checked_in(bodies) if bodies else [step.node] if _is_checked(step.node) else []


def _checked_in(graphs: list[Graph]) -> list[Node]:
    """Of loops those inside count."""
    found = []
    for graph in graphs:
        for node in graph.nodes:
            inner = list(bodies_of(node).values())
            found += _checked_in(inner) if inner else [node] if _is_checked(node) else []
    return found


def first_checks(steps: Sequence[Step]) -> set[int]:
    """The numbers of the steps that may find an error which none before them looks for.

    What adds rows up at positions (the gradient of an embedding) looks at the positions that were
    read from before: had one been wrong, the program would have stopped there.
    """
    looked: list[set[Position]] = []  # by step: by it, and by all that it waits for
    found = set()
    for step in steps:
        known = set[Position]().union(*(looked[n] for n in step.after))
        if is_checked(step):
            positions = _positions_of(step)
            if positions is None or not positions <= known:
                found.add(step.number)
            known |= positions or set()
        looked.append(known)
    return found


def _positions_of(step: Step) -> set[Position] | None:
    """The positions that a step looks at, all entries of them; None if that is not known, or it
    looks at something else as well.
    """
    outside: dict[Node, Node] = {}
    if step.is_kernel:
        inner = step.node.params["graph"]
        if any(n.op.name == "slice" for n in inner.nodes):
            return None  # perhaps of a part of the entries only
        outside = dict(zip(inner.inputs, map(base_of, step.node.inputs), strict=True))
    found = set()
    for node in checked_nodes(step):
        looked = looked_at(node)
        if looked is None:
            return None
        for i, size in looked:
            if is_view(i) or (step.is_kernel and i not in outside):
                return None
            found.add((outside.get(i, i), size))
    return found


def looked_at(node: Node) -> list[Position] | None:
    """The positions that an operation looks at, all entries of them; None if that is not known."""
    if node.op.name not in POSITIONS or node.op.name == "reorder":
        return None
    x, *index = node.inputs
    if node.op.name == "put":
        return [(without_views(index[1]), x.spec.size)]
    if node.op.name in ("gather", "scatter"):
        axis = node.params.get("axis", 0)
        sizes = x.spec.shape if node.op.name == "gather" else node.params["shape"][axis:]
    else:
        sizes = (node.params.get("size", x.spec.shape[node.params["axis"]]),)
    return [(without_views(i), size) for i, size in zip(index, sizes, strict=False)]


@dataclass
class Checks:
    """Writes the checks into kernels.

    sizes    of every check, the size of the axis; None: it is one of those that leave it to the
             interpreter
    refused  whether a function has met something to be left: its loops collect that, for many
             numbers at once, and it is looked at when they are done
    """

    sizes: list[int | None] = field(default_factory=list)
    refused: dict[Function, Variable] = field(default_factory=dict)

    @property
    def may_refuse(self) -> bool:
        """Whether some are of those."""
        return None in self.sizes

    def is_refusal(self, record: np.ndarray) -> bool:
        """Whether it was such a one that stopped the program."""
        return self.sizes[int(record[0]) - 1] is None

    def position(self, b: Builder, i: Scalar, size: int) -> None:
        """Note a position outside. The record's address is in front of the workspace."""
        bad = (i < 0) | (i >= size)
        self._note(b.function, bad.name, i.name, size)

    def refuse(self, f: Function, condition: str) -> None:
        """Leave the call to the interpreter, if an i1 holds."""
        if f not in self.refused:
            self.refused[f] = f.flag(lambda bad: self._note(f, bad, 0, None))
        bad = self.refused[f]
        f.set(bad, f.let(f"or i8 {f.get(bad)}, {f.let(f'zext i1 {condition} to i8')}"))

    def _note(self, f: Function, condition: str, value: Index, size: int | None) -> None:
        self.sizes.append(size)
        with f.when(condition):
            own = f.at("%workspace", -HEADER, "i8")
            record = f.load(own, "ptr")
            f.store(value, f.at(record, 1, "i64"), "i64")
            f.store(f.load(f.at(own, 8, "i8"), "i64"), f.at(record, 2, "i64"), "i64")
            f.store(len(self.sizes), record, "i64")
