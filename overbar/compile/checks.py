"""Checks inside kernels: positions that must lie within an axis.

A kernel that reads at a position given by an array writes down the first that lies outside, reads
at the nearest instead, and goes on; the program stops before anything is overwritten, and the error
names the value and the user's line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..graph import Node
from .place import Step
from .scalar import Builder, Scalar

HEADER = 64
"""Bytes in front of a thread's workspace: where the error record is, and the step's number."""
CHECKED = {"gather", "along", "add_along", "scatter"}
"""The operations whose inputs are positions."""


def is_checked(step: Step) -> bool:
    """Whether a kernel may find an error."""
    if step.is_kernel:
        return any(n.op.name in CHECKED for n in step.node.params["graph"].nodes)
    return step.node.op.name in CHECKED


def checked_nodes(step: Step) -> list[Node]:
    """The operations of a kernel that check positions."""
    if not step.is_kernel:
        return [step.node]
    return [n for n in step.node.params["graph"].nodes if n.op.name in CHECKED]


@dataclass
class Checks:
    """Writes the checks into kernels. `sizes`: of every check, the size of the axis."""

    sizes: list[int] = field(default_factory=list)

    def position(self, b: Builder, i: Scalar, size: int) -> None:
        """Note a position outside. The record's address is in front of the workspace."""
        f = b.function
        bad = (i < 0) | (i >= size)
        self.sizes.append(size)
        with f.when(bad.name):
            own = f.at("%workspace", -HEADER, "i8")
            record = f.load(own, "ptr")
            f.store(i.name, f.at(record, 1, "i64"), "i64")
            f.store(f.load(f.at(own, 8, "i8"), "i64"), f.at(record, 2, "i64"), "i64")
            f.store(len(self.sizes), record, "i64")
