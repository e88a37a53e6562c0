"""`ob.verify`: compiled against interpreted, output by output, in units of the last place.

Both run the same trace on the same values, in memory of their own: nothing is rebound, so asking
changes nothing.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..context import CONTEXT, within
from ..errors import FileError
from .jit import Jitted, jit
from .program import Interpreted
from .reports import table
from .tracing import Traced

HEADS = ("output", "what", "ulps", "differ", "at", "compiled", "interpreted")


class Compared(NamedTuple):
    """One output, computed twice.

    ulps    the greatest distance, in units of the last place of the interpreted value; inf where
            one is finite and the other is not
    differ  how many entries are not the same, bit for bit (any NaN is like any other)
    at      where the greatest distance is; compiled, interpreted: the values there
    """

    name: str
    what: str
    ulps: float
    differ: int
    at: tuple[int, ...]
    compiled: Any
    interpreted: Any


class Verification:
    """What came of a comparison: `rows`, one per output, and the worst of their distances."""

    def __init__(self, rows: list[Compared], how: str) -> None:
        self.rows, self.how = rows, how
        self.ulps = max((r.ulps for r in rows), default=0.0)

    def _cells(self) -> list[tuple[str, ...]]:
        cells = []
        for r in self.rows:
            at = str(list(r.at)) if r.differ else ""
            values = (f"{r.compiled:.17g}", f"{r.interpreted:.17g}") if r.differ else ("", "")
            cells.append((r.name, r.what, f"{r.ulps:.4g}", str(r.differ), at, *values))
        return cells

    def __str__(self) -> str:
        return f"{self.how}\n{table([HEADS, *self._cells()])}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def line(tag: str, cells: tuple[str, ...]) -> str:
            return f"<tr>{''.join(f'<{tag}>{html.escape(c)}</{tag}>' for c in cells)}</tr>"

        body = "".join(line("td", cells) for cells in self._cells())
        caption = f"<caption>{html.escape(self.how)}</caption>"
        return f"<table>{caption}{line('th', HEADS)}{body}</table>"

    def save(self, path: str | Path) -> None:
        """Write it to a file: `.txt` or `.html`.

        Raises:  FileError for another ending.
        """
        path = Path(path)
        if path.suffix not in (".txt", ".html"):
            raise FileError(
                f"save: {path.name} ends in nothing that can be written", want=".txt or .html"
            )
        text = self._repr_html_() if path.suffix == ".html" else f"{self}\n"
        path.write_text(text, encoding="utf-8")


def verify(f: Callable[..., Any], *args: Any) -> Verification:
    """Compiled against interpreted, for a jitted function (or one to be jitted) on arguments.

    Example:
        >>> ob.verify(ob.jit(lambda x: ob.sum(x * x)), np.ones(3)).ulps
        0.0
    """
    step = f if isinstance(f, Jitted) else jit(f)
    context = CONTEXT.get()
    kind = "native" if context.jit == "off" else context.jit
    with within(jit=kind, guard=False, record_all=None):
        traced, program, values = step._inputs_of(args)
    with np.errstate(all="ignore"), within(allowed=0):
        found = program.values(values)
        wanted = Interpreted(traced.graph).values(values)
    names = _names(traced)
    rows = [compared(n, a, b) for n, a, b in zip(names, found, wanted, strict=True)]
    how = "interpreted against itself: " + program.why if isinstance(program, Interpreted) else ""
    return Verification(rows, how or f"{step.__name__}: compiled against interpreted")


def _names(traced: Traced) -> list[str]:
    """What each output is."""
    one = traced.results == 1
    names = ["result" if one else f"result {i}" for i in range(traced.results)]
    for i, place in enumerate(traced.rebinds):
        handle = place.handle
        name = handle.name if handle is not None else f"argument {place.leaf}"
        names.append(f"new {name or f'value {i}'}")
    for i, (place, there) in enumerate(traced.grads):
        if there:
            handle = place.handle
            name = handle.name if handle is not None else f"argument {place.leaf}"
            names.append(f"grad of {name or f'value {i}'}")
    return names


def compared(name: str, a: Any, b: Any) -> Compared:
    """Two arrays, entry by entry."""
    a, b = np.asarray(a), np.asarray(b)
    what = f"{b.dtype}{list(b.shape)}"
    if a.shape != b.shape or a.dtype != b.dtype:
        return Compared(
            name, f"{what} (compiled: {a.dtype}{list(a.shape)})", np.inf, b.size, (), 0, 0
        )
    distance = distances(a, b)
    same = (a == b) & (np.signbit(a) == np.signbit(b)) if a.dtype.kind == "f" else a == b
    same |= (a != a) & (b != b)  # noqa: PLR0124  (NaN)
    if same.all():
        return Compared(name, what, 0.0, 0, (), 0, 0)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(distance)), a.shape))
    return Compared(
        name, what, float(distance[at]), int(np.sum(~same)), at, a[at].item(), b[at].item()
    )


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far a is from b, entry by entry, in units of the last place of b."""
    if a.dtype.kind == "c":
        parts = (np.real(a), np.real(b)), (np.imag(a), np.imag(b))
        return np.maximum(*(distances(x, y) for x, y in parts))
    if a.dtype.kind != "f":
        return np.where(a == b, 0.0, np.inf)
    with np.errstate(all="ignore"):
        unit = np.spacing(np.maximum(np.abs(b), np.finfo(b.dtype).tiny))
        found = np.abs(a - b).astype(np.float64) / unit
    found = np.where(a == b, 0.0, found)
    found = np.where(np.isnan(a) & np.isnan(b), 0.0, found)
    return np.where(np.isnan(found), np.inf, found)
