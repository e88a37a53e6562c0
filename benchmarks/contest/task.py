"""What a library gives for a workload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Task(NamedTuple):
    """Something to be timed.

    call    does it once, and returns when it is done
    state   arrays that calls change (parameters); compared after three calls
    report  what became of the function (overbar only)
    memory  bytes that its plan says it takes (overbar only)
    amount  operations or bytes of a call, where the workload does not say (the machine's limits)
    """

    call: Callable[[], Any]
    state: Callable[[], Any] = list
    report: Callable[[], str] = str
    memory: Callable[[], int] = int
    amount: float = 0.0
