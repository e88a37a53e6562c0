"""The birth of a NaN or an infinity, as data and as a report."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..errors import place
from ..handle import Tensor
from .answer import Answer, Table, plain

Index = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Birth:
    """The first value that is not finite.

    born      "forward", "backward" (by the rule of `op`), or "input" (it was there before)
    made      "nan", "inf" or "-inf", at `index`; operands: (name, value) pairs there
    where     the user's line that applied the operation; `filename`, `line`, `source` its parts
    sender    backward: the line whose rule sent the adjoint
    path      the operations between it and the result (or the variable whose gradient it spoils)
    turn      of a loop in which it happened: "iteration 3 of 6"
    """

    op: str
    name: str
    born: str
    made: str
    index: Index
    operands: tuple[tuple[str, str], ...]
    filename: str
    line: int
    source: str
    sender: str
    path: tuple[str, ...]
    cure: str
    turn: str = ""

    @property
    def where(self) -> str:
        """`file, line n:  source`."""
        return place(self.filename, self.line) if self.filename else ""


class NonFiniteReport(Answer):
    """Where the first NaN or infinity came from: `.birth`, or None if all is finite."""

    def __init__(self, birth: Birth | None, said: str) -> None:
        self.birth, self.said = birth, said

    def __bool__(self) -> bool:
        return self.birth is not None

    def text(self, *, ascii: bool = False) -> str:
        """The report."""
        b = self.birth
        if b is None:
            return plain(self.said, ascii)
        lines = [self.said]
        if b.where:
            lines.append(f"    {b.where}")
        if b.operands:
            lines.append("    " + ", ".join(f"{n} = {v}" for n, v in b.operands))
        if b.sender:
            lines.append(f"    the adjoint came from {b.sender}")
        if b.path:
            lines.append("    from there: " + " → ".join(b.path))
        if b.cure:
            lines.append(f"    cure: {b.cure}")
        return plain("\n".join(lines), ascii)

    def tables(self) -> list[Table]:
        """The facts, one per row."""
        if self.birth is None:
            return [(self.said, [], [])]
        b = self.birth
        facts = [
            ("operation", b.op),
            ("pass", b.born),
            ("made", b.made),
            ("index", str(list(b.index))),
            ("loop", b.turn),
            ("line", b.where),
            ("operands", ", ".join(f"{n} = {v}" for n, v in b.operands)),
            ("adjoint from", b.sender),
            ("path", " → ".join(b.path)),
            ("cure", b.cure),
        ]
        return [(self.said, ["", ""], [[k, v] for k, v in facts if v])]


# -- what is finite ---------------------------------------------------------------------------


def finite(value: Any) -> bool:
    """Whether a value, or every one of a tuple, is free of NaN and infinities."""
    if value is None:
        return True
    if isinstance(value, tuple):
        return all(finite(v) for v in value)
    value = np.asarray(value.value if isinstance(value, Tensor) else value)
    return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())


def first_bad(value: Any) -> tuple[Index, str]:
    """Where the first NaN is, or the first infinity; and which it is."""
    if isinstance(value, tuple):
        value = next(v for v in value if not finite(v))
    a = np.asarray(value)
    bad = np.isnan(a) if np.isnan(a).any() else ~np.isfinite(a)
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    v = a[at]
    return at, "nan" if np.isnan(v) else "-inf" if np.real(v) < 0 else "inf"
