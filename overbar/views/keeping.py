"""What is kept for the backward pass, and for which rule: the engine's own plan, read back.

Whether a value is kept is decided by the rules' arguments (see `primitive`): one that begins with
an underscore is not needed. Here the same question is asked once more, of every node on the path.
Bytes are those of the arrays behind the values: a view of another array takes none of its own.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..graph import Node
from .record import Record, asks


@dataclasses.dataclass(frozen=True)
class Reason:
    """A rule that needs a value: that of `user`, its own output or its input number `which`."""

    user: Node
    which: int | None

    @property
    def words(self) -> str:
        """`tanh needs its output`, `matmul needs an input`."""
        if self.which is None:
            return f"{self.user.op.name} needs its output"
        several = len(self.user.inputs) > 1
        return f"{self.user.op.name} needs its " + (
            f"input {self.which + 1}" if several else "input"
        )


@dataclasses.dataclass
class Held:
    """A value that is kept, why, and how many bytes that takes: none if an array counted elsewhere
    is behind it (`shares` says whose), or if it is there anyway (a parameter, an argument).
    """

    node: Node
    reasons: list[Reason]
    bytes: int
    shares: Node | None = None


@dataclasses.dataclass
class Keep:
    """Everything that is kept: `computed` in the order it came to be, and `given`, there anyway."""

    computed: list[Held]
    given: list[Held]

    @property
    def bytes(self) -> int:
        """Of what was computed and is kept."""
        return sum(h.bytes for h in self.computed)


def keep_of(record: Record) -> Keep:
    """What the rules of a run need, if the adjoints of its variables are wanted."""
    on_path, reasons = set(record.path), dict[Node, list[Reason]]()
    for node in record.path:
        if not record.computed(node) or node.op.flat:
            continue
        wanted = sum(1 << i for i, x in enumerate(node.inputs) if x in on_path)
        own, kept = node.op.needs(wanted, len(node.inputs))
        if own:
            reasons.setdefault(node, []).append(Reason(node, None))
        for i in kept:
            reasons.setdefault(node.inputs[i], []).append(Reason(node, i))
    owners: dict[int, Node] = {}
    for node in record.nodes:
        if is_given(record, node):
            for buffer in buffers(record.values[node]):
                owners.setdefault(id(buffer), node)
    keep = Keep([], [])
    for node in sorted(reasons, key=lambda n: n.serial):
        held = Held(node, reasons[node], 0)
        if is_given(record, node):
            if asks(node) or node.spec.size > 1:
                held.bytes = sum(b.nbytes for b in buffers(record.values[node]))
                keep.given.append(held)
            continue
        for buffer in buffers(record.values[node]):
            if id(buffer) in owners:
                held.shares = owners[id(buffer)]
            else:
                owners[id(buffer)] = node
                held.bytes += buffer.nbytes
        keep.computed.append(held)
    return keep


def is_given(record: Record, node: Node) -> bool:
    """Whether it was there, or was computed from nothing that anybody differentiates by."""
    return not record.computed(node) or not node.mask


def buffers(value: Any) -> list[Any]:
    """The arrays that own the memory of a value; none for a Python number."""
    if isinstance(value, tuple):
        return [b for v in value for b in buffers(v)]
    if isinstance(value, np.generic):
        return [value]
    if not isinstance(value, np.ndarray):
        return []
    while isinstance(value.base, np.ndarray):
        value = value.base
    return [value]
