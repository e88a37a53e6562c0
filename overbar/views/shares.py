"""What a gradient is made of: parts that add up to it exactly, each with its share.

A share is the signed projection ⟨m, g⟩ / ⟨g, g⟩: shares add up to 1, and a part that pulls the
other way has a negative one. Of a gradient that is zero there are no shares: its messages cancel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .answer import Answer, Table, inner, norm, padded, plain, value_text
from .names import bar, width

ROUNDING = 1e-12
"""A sum this much smaller than its parts has cancelled."""
BAR = 12
"""How many characters 100 % is wide."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a gradient.

    name      where it comes from: a variable, a path, a loss, a sample
    value     what it adds; norm: its size
    share     ⟨value, gradient⟩ / ⟨gradient, gradient⟩; None if the gradient is zero
    formula   its formula, if it has a short one
    """

    name: str
    value: Any
    share: float | None
    formula: str = ""

    @property
    def norm(self) -> float:
        """The Euclidean norm of the value."""
        return norm(self.value)


def share_of(value: Any, whole: Any) -> float:
    """⟨value, whole⟩ / ⟨whole, whole⟩, real."""
    g = np.asarray(whole)
    return inner(g, np.broadcast_to(np.asarray(value), g.shape), norm(g))


class Parts(Answer, list):  # type: ignore[type-arg]
    """A gradient in parts: a list of `Part`, which prints as a table.

    of         the name of the variable; value: its whole gradient, the sum of the parts
    cancels    whether the gradient is zero though its parts are not
    """

    def __init__(
        self,
        of: str,
        result: str,
        whole: Any,
        parts: Iterable[tuple[str, Any, str]],
        kind: tuple[str, str],
        *,
        top: int | None = None,
    ) -> None:
        found = list(parts)
        size = norm(whole)
        total = sum(norm(v) for _, v, _ in found)
        self.of, self.result, self.value, self.kind, self.top = of, result, whole, kind, top
        self.zero = size <= ROUNDING * total or size == 0
        self.cancels = self.zero and total > 0
        list.__init__(
            self,
            [Part(n, v, None if self.zero else share_of(v, whole), f) for n, v, f in found],
        )

    def shown(self) -> list[Part]:
        """The parts by size, the greatest first; no more than `top`."""
        ordered = sorted(self, key=lambda p: -(p.norm if p.share is None else abs(p.share)))
        return ordered if self.top is None else ordered[: self.top]

    def head(self) -> str:
        """What is split, and into how many parts."""
        one, many = self.kind
        count = f"{len(self)} {one if len(self) == 1 else many}"
        return f"{bar(self.of)} = d{self.result}/d{self.of} = {value_text(self.value)}: {count}"

    def text(self, *, ascii: bool = False) -> str:
        """The parts, the greatest first."""
        rows = self._rows()
        wide = [max(width(r[i]) for r in rows) for i in range(3)] if rows else []
        lines = [self.head()]
        for name, formula, value, share, drawn in rows:
            cells = [padded(name, wide[0]), padded(formula, wide[1]) if wide[1] else None]
            cells += [padded(value, wide[2]), share, drawn]
            lines.append(("  " + "   ".join(c for c in cells if c is not None)).rstrip())
        lines += self._rest()
        if ascii:
            lines = [line.replace("█", "#").replace("░", "-") for line in lines]
        return plain("\n".join(lines), ascii)

    def _rows(self) -> list[tuple[str, str, str, str, str]]:
        return [
            (
                p.name,
                p.formula,
                _signed(value_text(p.value)),
                "" if p.share is None else f"{100 * p.share:7.1f} %",
                "" if p.share is None else _drawn(p.share),
            )
            for p in self.shown()
        ]

    def _rest(self) -> list[str]:
        """What is not shown, and what a zero means."""
        shown = self.shown()
        lines = []
        if len(shown) < len(self):
            ids = {id(p) for p in shown}
            hidden = [p for p in self if id(p) not in ids]
            if not self.zero:
                share = sum(p.share or 0.0 for p in hidden)
                lines.append(f"  and {len(hidden)} more: together {100 * share:.1f} %")
            else:
                lines.append(f"  and {len(hidden)} more")
        if self.cancels:
            sizes = ", ".join(f"‖{value_text(p.norm)}‖" for p in shown)
            lines.append(
                f"  the {self.kind[1]} cancel: their norms are {sizes}, that of the sum is 0"
            )
        elif self.zero:
            lines.append("  the gradient is zero, and so is every part of it")
        return lines

    def tables(self) -> list[Table]:
        """The parts as a table."""
        rows = [[*row[:3], row[3].strip()] for row in self._rows()]
        return [
            (self.head(), ["", "formula", "value", "share"], rows),
            *([("", [], [[line.strip()] for line in self._rest()])] if self._rest() else []),
        ]

    def __eq__(self, other: object) -> bool:
        return list.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]


def _signed(text: str) -> str:
    return text if text[:1] in "-([" else " " + text


def _drawn(share: float) -> str:
    """A share as a bar: filled if it is positive, hollow if it pulls the other way."""
    length = min(round(BAR * abs(share)), 4 * BAR)
    return ("█" if share > 0 else "░") * (length or (1 if share else 0))


def summed(values: Sequence[Any]) -> Any:
    """The sum of some values; None of none."""
    made = None
    for v in values:
        made = v if made is None else made + v
    return made
