"""Gates (`ob.Function`) under test: one instance serves one application, a test makes many."""

from __future__ import annotations

import copy
from typing import Any

from ..calculus.custom import Function


def is_gate(f: Any) -> bool:
    """Whether it is a `Function`, class or instance."""
    return isinstance(f, Function) or (isinstance(f, type) and issubclass(f, Function))


def fresh(gate: Any) -> Function:
    """An instance that has served nothing yet."""
    return gate() if isinstance(gate, type) else copy.copy(gate)
