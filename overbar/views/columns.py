"""Text in columns, within the width of a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from .answer import padded
from .names import width

NARROWEST = 14
"""No column becomes narrower than this for want of room."""


def terminal() -> int | None:
    """How many columns standard output shows; None if it is no terminal."""
    try:
        shown = sys.stdout.isatty()
    except (AttributeError, ValueError):
        return None
    return shutil.get_terminal_size().columns if shown else None


def narrowed(widths: Sequence[int], room: int | None, gives: Sequence[bool]) -> list[int]:
    """Widths that fit into the room: the widest of those that may give gives first."""
    found = list(widths)
    while room is not None and sum(found) > room:
        i = max((i for i, g in enumerate(gives) if g), key=lambda i: found[i], default=None)
        if i is None or found[i] <= NARROWEST:
            break
        found[i] -= 1
    return found


def fitted(line: str, columns: int | None) -> str:
    """A line of source, cut where it is wider than the room."""
    return line if columns is None or len(line) <= columns else line[: columns - 1] + "…"


_SIGNS = {"+", "−", "-", "⊙", "*", "/", "·", "=", "+="}


def wrapped(text: str, room: int) -> list[str]:
    """A text in lines of at most this width, those after the first indented; broken at blanks, if
    possible before a sign.
    """
    lines: list[str] = []
    for part in text.split("\n"):
        rest, indent = part, ""
        while width(rest) > room - len(indent):
            at = _break(rest, room - len(indent))
            if at is None:
                break
            lines.append(indent + rest[:at].rstrip())
            rest, indent = rest[at:].lstrip(), "  "
        lines.append(indent + rest)
    return lines


def _break(text: str, room: int) -> int | None:
    """Where to break a text that is too wide."""
    lead = len(text) - len(text.lstrip())
    blanks = [i for i, c in enumerate(text) if c == " " and i > lead]
    fitting = [i for i in blanks if width(text[:i]) <= room]
    signs = [
        i
        for i in fitting
        if 2 * width(text[:i]) >= room and text[i + 1 :].partition(" ")[0] in _SIGNS
    ]
    return (signs or fitting or blanks[:1] or [None])[-1]  # type: ignore[return-value]


def laid(
    rows: Sequence[Sequence[str]],
    *,
    gap: str = "   ",
    columns: int | None = None,
    gives: Sequence[bool] | None = None,
    indent: str = "",
) -> list[str]:
    """Rows of cells as lines: a cell with several lines makes its row as high.

    columns   the room; a cell of a column that `gives` is broken to fit
    """
    if not rows:
        return []
    count = max(map(len, rows))
    cells = [[*row, *("" for _ in range(count - len(row)))] for row in rows]
    natural = [
        max((width(line) for row in cells for line in row[i].split("\n")), default=0)
        for i in range(count)
    ]
    there = [i for i in range(count) if natural[i]]
    room = (
        None if columns is None else columns - width(gap) * max(len(there) - 1, 0) - width(indent)
    )
    widths = narrowed(natural, room, gives or [True] * count)
    out = []
    for row in cells:
        broken = [wrapped(c, w) if c else [""] for c, w in zip(row, widths, strict=True)]
        for k in range(max(map(len, broken))):
            line = [
                padded(b[k] if k < len(b) else "", w) for b, w in zip(broken, widths, strict=True)
            ]
            out.append((indent + gap.join(line[i] for i in there)).rstrip())
    return out
