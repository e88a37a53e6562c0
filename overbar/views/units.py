"""Units that no longer answer: dead behind a ramp, saturated behind a squashing function.

A unit is a column of an activation: one channel of what a convolution gave, one entry of the last
axis elsewhere. It is dead if nothing positive goes in for any sample. What is saturated is read off
the messages that the engine's own rules sent: next to nothing, of what arrived.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..graph import CONST, Node
from .answer import norm
from .record import Record

SATURATED = 0.01
"""An entry is saturated if less than this part of the steepest slope comes through."""
SLOPES = {"sigmoid": 0.25, "tanh": 1.0, "softmax": 0.25, "erf": 1.13, "ndtr": 0.4, "atan": 1.0,
          "clip": 1.0}  # fmt: skip
"""What can saturate, and its steepest slope."""
CONVOLVED = {"conv", "conv_input", "max_pool", "pool_winners", "window_sum"}
FEWEST = 16
"""Fewer samples cannot tell a dead unit from one that is silent by chance."""
ENTRIES = 8
"""Of fewer entries no share is worth a warning."""


@dataclasses.dataclass(frozen=True)
class Units:
    """An activation, by all of its uses in one place (the steps of a loop): the share of its units
    that are dead in every use, or of its entries that are saturated.

    nodes     its uses, oldest first
    count     how many units (dead) or entries to which something arrived (saturated)
    samples   so many times each unit was asked
    """

    nodes: tuple[Node, ...]
    dead: float | None = None
    saturated: float | None = None
    count: int = 0
    samples: int = 0

    @property
    def node(self) -> Node:
        """The first use."""
        return self.nodes[0]

    @property
    def is_dead(self) -> bool:
        """Whether it deserves a warning."""
        if self.dead is None or self.count * self.samples < ENTRIES:
            return False
        return self.dead == 1 or (self.dead >= 0.5 and self.samples >= FEWEST)

    @property
    def is_saturated(self) -> bool:
        """Whether it deserves a warning."""
        return self.saturated is not None and self.saturated >= 0.5 and self.count >= ENTRIES


def units_of(record: Record, owner: dict[Node, str]) -> list[Units]:
    """Every activation on the path that can be dead or saturated, oldest first.

    owner   the layer that a node comes after: what stands in one line after one layer is one
    """
    sent = {m.source: m.value for m in record.messages}
    dead: dict[tuple, list[tuple[Node, np.ndarray, int]]] = {}
    lost: dict[tuple, list[tuple[Node, np.ndarray]]] = {}
    for node in record.path:
        if not record.computed(node) or isinstance(node.spec, tuple) or not node.spec.size:
            continue
        key = (node.op, node.code, node.at, owner.get(node))
        if node.op.name in SLOPES:
            share = _squashed(record, node, sent.get(node))
            if share is not None:
                lost.setdefault(key, []).append((node, share))
        elif (x := _ramp(record, node)) is not None:
            value = np.asarray(record.value(x))
            others = tuple(i for i in range(value.ndim) if i != _unit_axis(x))
            silent = np.atleast_1d((value <= 0).all(axis=others))
            same = (*key, silent.size)
            dead.setdefault(same, []).append((node, silent, value.size // silent.size))
    found = []
    for uses in dead.values():
        silent = np.logical_and.reduce([s for _, s, _ in uses])
        nodes, samples = tuple(n for n, _, _ in uses), sum(n for _, _, n in uses)
        found.append(Units(nodes, float(np.mean(silent)), None, silent.size, samples))
    for at in lost.values():
        gone = np.concatenate([s for _, s in at])
        found.append(Units(tuple(n for n, _ in at), None, float(np.mean(gone)), gone.size, 1))
    return sorted(found, key=lambda u: u.node.serial)


def _ramp(record: Record, node: Node) -> Node | None:
    """What goes into a relu, however it is written."""
    if node.op.name == "relu":
        return node.inputs[0]
    if node.op.name == "maximum":
        zeros = [n for n in node.inputs if _source(n).op is CONST and not np.any(record.values[n])]
        return next(n for n in node.inputs if n is not zeros[0]) if len(zeros) == 1 else None
    return None


def _source(node: Node) -> Node:
    while node.op.name in {"broadcast", "cast"}:
        (node,) = node.inputs
    return node


def _unit_axis(x: Node) -> int:
    """Channels stand in axis 1 of what a convolution gave, in the last one elsewhere."""
    node, ndim = x, x.spec.ndim
    while ndim > 2 and node.inputs and not isinstance(node.spec, tuple) and node.spec.ndim == ndim:
        if node.op.name in CONVOLVED:
            return 1
        node = max(node.inputs, key=lambda n: 0 if isinstance(n.spec, tuple) else n.spec.size)
    return ndim - 1


def _squashed(record: Record, node: Node, message: Any) -> np.ndarray | None:
    """Of the entries to which something arrived: which let next to nothing through."""
    bar = record.bars.get(node)
    if bar is None or message is None or np.shape(message) != np.shape(bar) or norm(bar) == 0:
        return None
    came, sent = np.abs(np.asarray(bar)), np.abs(np.asarray(message))
    if node.op.name == "softmax":  # each row as one: its entries share what arrives
        axis = node.params.get("axis", -1)
        came, sent = came.max(axis=axis), sent.max(axis=axis)
    given = came > 0
    return np.atleast_1d(sent[given] <= SATURATED * SLOPES[node.op.name] * came[given])
