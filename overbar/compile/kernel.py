"""What a kernel generator hands back: a function of the module that works on one part at a time."""

from __future__ import annotations

from typing import NamedTuple


class Kernel(NamedTuple):
    """A function of the module, `void @name(ptr ..., ptr workspace, i64 part)`.

    parts        how many parts its work has; any order, any thread, several at a time
    workspace    bytes of memory that each thread brings along, aligned to 64; contents are free
    together     it is one part, which all threads run at the same time: they share the work inside,
                 and it gets `ptr counters, i64 spin` as well
    """

    name: str
    parts: int
    workspace: int
    together: bool = False
