"""A telling once more, with every operation on its own: what a row is made of.

A row such as `h = tanh(x Wᵀ + b)` is three operations. The explorer opens it; what a row does not
show by itself (a broadcast, a cast) stays with the operation it serves.
"""

from __future__ import annotations

from .rows import Row, Telling
from .terms import SILENT, Expr

LETTER = "u"
"""What the unnamed parts of an expression are called: u₁, u₂, ..."""
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Operations(Telling):
    """The operations of a telling as rows of their own. `row_of`: the row each came from."""

    def __init__(self, telling: Telling) -> None:
        self.record, self.names = telling.record, dict(telling.names)
        self.rows: list[Row] = []
        self.row_of: dict[Row, Row] = {}
        for row in telling.rows:
            for part in _split(row):
                self.rows.append(part)
                self.row_of[part] = row
        used, count = set(self.names.values()), 0
        for part in self.rows:
            serial = part.node.serial
            while serial not in self.names:
                count += 1
                name = LETTER + str(count).translate(_LOW)
                if name not in used:
                    self.names[serial] = name
        self._rules: dict[Row, dict] = {}
        self._symbols: dict[int, Expr | None] = {
            n.serial: self._symbol(n) for n in self.record.nodes
        }


def _split(row: Row) -> list[Row]:
    """The operations of a row, oldest first, each with the silent ones before it; the last one with
    those after it.
    """
    members = set(row.members)
    users: dict = {}
    for n in row.members:
        for x in n.inputs:
            if x in members:
                users.setdefault(x, []).append(n)
    alone = {n for n, found in users.items() if len(found) == 1}
    first = row.node
    while first.op.name in SILENT and first.inputs[0] in alone:
        first = first.inputs[0]  # told with the last operation, which only reshapes it
    root = {}
    for n in reversed(row.members):
        told = n in alone and (n is first or n.op.name in SILENT)
        root[n] = root[users[n][0]] if told else n
    made = []
    for n in row.members:
        if root[n] is n:
            inner = [m for m in row.inner if m is not n and root[m] is n]
            inside = {*inner, n}
            used = (x for m in (*inner, n) for x in m.inputs if x not in inside)
            made.append(Row(n, inner, list(dict.fromkeys(used))))
    return made
