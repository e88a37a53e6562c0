"""The answer of `health`, as data and as a report: layers, parameters, findings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..errors import place
from .answer import Answer, Table, number, plain
from .columns import fitted, laid, terminal, wrapped
from .names import bar


@dataclasses.dataclass(frozen=True)
class Finding:
    """One fault: its class, what it is about, what is so, the user's line, a cure.

    kind    "vanishing", "exploding", "dead", "saturated", "zero", "alike", "unused", "detached",
            "no_grad", "stop_gradient", "comparison", "integer", "rounded", "plain", "copied",
            "not finite", "update too large", "not updated", "accumulated"
    layers  the rows of the table that it is about
    value   the number behind it: a rate, a share
    """

    kind: str
    name: str
    what: str
    filename: str
    line: int
    cure: str
    layers: tuple[str, ...] = ()
    value: float | str | None = None

    @property
    def where(self) -> str:
        """`file, line n:  source`."""
        return place(self.filename, self.line) if self.filename else ""


@dataclasses.dataclass(frozen=True)
class Vital:
    """One parameter: norms of its gradient (None: none arrives) and of itself, their ratio, and the
    part of its norm by which the step moved it (None: it did not).
    """

    name: str
    gradient: float | None
    size: float
    ratio: float | None
    update: float | None
    where: str


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer: the norm of the adjoint where its weight enters, the norm of its gradient, that
    against its weights, the update against its weights; the shares that are dead or saturated.
    """

    name: str
    adjoint: float | None
    gradient: float | None
    ratio: float | None
    update: float | None
    dead: float | None
    saturated: float | None
    note: str
    where: str


HEADS = ["layer", f"‖{bar('y')}‖", f"‖{bar('W')}‖", f"‖{bar('W')}‖/‖W‖", "‖step‖/‖W‖", "dead",
         "saturated", ""]  # fmt: skip
MOST = 60
"""So many layers are shown; of more, those with a finding, and the ends."""


class Health(Answer):
    """The report: `.findings`, `.layers`, `.parameters` are plain data. True if something is wrong,
    as the other reports are if they found something.
    """

    def __init__(
        self, layers: Sequence[Layer], parameters: Sequence[Vital], findings: Sequence[Finding]
    ) -> None:
        self.layers, self.parameters = list(layers), list(parameters)
        self.findings = list(findings)

    def __bool__(self) -> bool:
        return bool(self.findings)

    def _cells(self) -> list[list[str]]:
        rows = [
            [
                r.name,
                _number(r.adjoint),
                "none" if r.gradient is None else number(r.gradient),
                _number(r.ratio),
                _number(r.update),
                _share(r.dead),
                _share(r.saturated),
                r.note.upper(),
            ]
            for r in self.layers
        ]
        if len(rows) <= MOST:
            return rows
        ends = {*range(10), *range(len(rows) - 10, len(rows))}
        kept = [i for i, r in enumerate(rows) if i in ends or r[-1]][:MOST]
        out: list[list[str]] = []
        for k, i in enumerate(kept):
            if k and i - kept[k - 1] > 1:
                out.append([f"… {i - kept[k - 1] - 1} more", *[""] * 7])
            out.append(rows[i])
        return out

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        """The columns that say anything."""
        cells = self._cells()
        keep = [i for i in range(len(HEADS)) if i in (0, 2) or any(r[i] for r in cells)]
        return [HEADS[i] for i in keep], [[r[i] for i in keep] for r in cells]

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """What is wrong, then the table; `columns`: the room for it."""
        lines = [self._said()]
        room = columns or 100
        for f in self.findings:
            lines += ["", *_indented(f"{f.kind.upper()}  {f.name}: {f.what}", room, "")]
            if f.where:
                lines.append(fitted(f"    {f.where}", columns))
            if f.cure:
                lines += _indented(f"cure: {f.cure}", room, "    ")
        heads, cells = self._shown()
        gives = [i == len(heads) - 1 for i in range(len(heads))]
        table = laid([heads, *cells], gap="  ", columns=columns, gives=gives)
        return plain("\n".join([*lines, "", *table]), ascii)

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii(), columns=terminal())

    __repr__ = __str__

    def _said(self) -> str:
        count = len(self.findings)
        if not count:
            return f"healthy: {_of(self.layers, 'layer')}, {_of(self.parameters, 'parameter')}"
        kinds = ", ".join(dict.fromkeys(f.kind for f in self.findings))
        return f"{count} {'fault' if count == 1 else 'faults'}: {kinds}"

    def tables(self) -> list[Table]:
        """The findings, and the layers."""
        heads, cells = self._shown()
        found = [[f.kind, f.name, f.what, f.where, f.cure] for f in self.findings]
        tables: list[Table] = [(self._said(), heads, cells)]
        if found:
            tables.insert(0, ("", ["", "", "what", "where", "cure"], found))
        return tables


def _of(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}" + ("" if len(things) == 1 else "s")


def _number(v: float | None) -> str:
    return "" if v is None else number(v)


def _share(v: float | None) -> str:
    return "" if v is None else f"{v:.0%}"


def _indented(text: str, room: int, indent: str) -> list[str]:
    return [indent + line for line in wrapped(text, room - len(indent))]
