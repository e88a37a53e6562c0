"""How much work the engine's own sweeps are: additions and multiplications.

The sweeps are not estimated: they are run, with everything recorded, and the operations that the
rules applied are counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..calculus.sweep import Handles, finish, pullback_steps, pushforward_steps
from ..context import within
from ..graph import Node
from ..handle import from_value
from ..work import flops_of
from .record import Record

__all__ = ["flops_of", "forward_nodes", "reverse_nodes", "total"]


def total(nodes: Iterable[Node]) -> int:
    """Of all these nodes."""
    return sum(map(flops_of, nodes))


def reverse_nodes(record: Record) -> list[Node]:
    """What one backward sweep computes, as nodes."""
    seeds = [from_value(np.asarray(s)) for s in record.seeds()]
    wanted = list(record.variables)
    world = _world(record)
    made: list[Node] = []
    with within(record_all=made, jit="off"), np.errstate(all="ignore"):
        finish(pullback_steps(record.outputs, wanted, seeds, record.path, world, pause=False))
    return made


def forward_nodes(record: Record) -> list[Node]:
    """What one forward sweep computes, as nodes: the tangents, the values being there."""
    seeds: list[Any] = [from_value(np.ones(x.spec.shape, x.spec.dtype)) for x in record.variables]
    world = _world(record)
    made: list[Node] = []
    with within(record_all=made, jit="off"), np.errstate(all="ignore"):
        finish(pushforward_steps(record.outputs, record.variables, seeds, record.path, world))
    return made


def _world(record: Record) -> Handles:
    world = Handles()
    world.recovered = dict(record.values)
    return world
