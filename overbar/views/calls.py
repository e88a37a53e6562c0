"""Calls of modules in a record: which of them made each node.

The results of a call bear a note of it (`graph.note_call`): what is younger than the call and no
younger than its results was made by it. So a call is a stretch of the record's nodes, oldest
first, and calls within calls are stretches within stretches.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import Any

from ..graph import Node


class Call:
    """A call of a module: its path ("" of the outermost) and its class; it made the nodes whose
    age is above `since` and up to `until`.
    """

    __slots__ = ("kind", "path", "since", "until")

    def __init__(self, path: str, kind: str, since: int, until: int) -> None:
        self.path, self.kind, self.since, self.until = path, kind.lstrip("_"), since, until


def calls_of(nodes: Iterable[Node]) -> list[Call]:
    """The calls noted on some nodes, outer ones first."""
    found: dict[tuple[int, str, str], Call] = {}
    order: dict[Call, int] = {}
    for node in nodes:
        for depth, note in enumerate(getattr(node, "calls", ())):
            call = found.setdefault(note, Call(note[1], note[2], note[0], node.serial))
            call.until = max(call.until, node.serial)
            order[call] = max(order.get(call, 0), depth)
    calls = sorted(order, key=lambda c: (c.since, -c.until, -order[c]))
    around: list[Call] = []
    for call in calls:
        while around and around[-1].until <= call.since:
            around.pop()
        for outer in around:  # what an inner call gave may be used without being returned
            outer.until = max(outer.until, call.until)
        around.append(call)
    return calls


def innermost(nodes: Sequence[Node]) -> dict[Node, Call]:
    """The innermost call that made each node; the nodes come oldest first."""
    found: dict[Node, Call] = {}
    serials = [node.serial for node in nodes]
    for call in calls_of(nodes):
        start = bisect.bisect_right(serials, call.since)
        stop = bisect.bisect_right(serials, call.until)
        found.update(dict.fromkeys(nodes[start:stop], call))
    return found


def carried(written: Sequence[tuple[Node, Any, int]]) -> None:
    """Note on new nodes the calls of those they stand for: (old, new, age before it was written),
    oldest first. A call begins where the first of what it made was written.
    """
    ages = [old.serial for old, _, _ in written]
    for old, new, began in written:
        if not hasattr(old, "calls") or not isinstance(new, Node) or new.serial <= began:
            continue  # what stands for it was there before
        for since, path, kind in old.calls:
            first, now, at = written[bisect.bisect_right(ages, since)]
            note = (since if now is first else at, path, kind)
            new.calls = (*getattr(new, "calls", ()), note)
