"""What code calls things by: the globals that it uses, and the names of attributes."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Sequence

ANY = "*"
"""Among the names: some are computed (`getattr(x, f"w{i}")`, `vars(x)`), so it may be any."""


@functools.lru_cache(maxsize=4096)
def named_by(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The global names that code uses, and all names and words it could reach an attribute by."""
    outside: set[str] = set()
    names: set[str] = set(code.co_names)
    steps = list(dis.get_instructions(code))
    for k, step in enumerate(steps):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL"):
            outside.add(step.argval)
            if step.argval in ("getattr", "hasattr", "setattr") and not _is_told(steps[k + 1 :]):
                names.add(ANY)
    if "__dict__" in names or "vars" in outside:
        names.add(ANY)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = named_by(constant)
            outside |= inner[0]
            names |= inner[1]
        elif isinstance(constant, str) and constant.isidentifier():
            names.add(constant)
    return frozenset(outside), frozenset(names)


def _is_told(steps: Sequence[dis.Instruction]) -> bool:
    """Whether the second argument of the call that these steps prepare is a constant."""
    depth, second = 0, ""
    for step in steps:
        if step.opname != "PUSH_NULL":
            depth += dis.stack_effect(step.opcode, step.arg, jump=False)
        if depth == 2:
            second = step.opname
        if depth < 0:
            return second == "LOAD_CONST"
    return False
