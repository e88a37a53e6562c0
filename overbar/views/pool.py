"""Arrays in a few numbers each, every different one once.

Most of what an explorer's page holds is values, adjoints and messages. A message that is all its
receiver gets is that receiver's adjoint, and addition passes adjoints on as they are: so most of
these arrays are the same, and one line of the pool serves them all.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .answer import norm


class Pool:
    """Lines of numbers: `add` gives the number of an array's line.

    A line is the number itself (of an array without axes), or
    [shape, norm, least, greatest, entries, how many are not finite]; `entries` are the first
    `head` ones in C order, all of them if `whole` says so. Of several results: [None, norm].
    """

    def __init__(self, head: int, *, whole: bool = False) -> None:
        self.head, self.whole = head, whole
        self.lines: list[Any] = []
        self._by_id: dict[int, tuple[Any, int]] = {}
        self._by_line: dict[str, int] = {}

    def add(self, value: Any) -> int | None:
        """The number of the line of a value; None for no value."""
        if value is None:
            return None
        known = self._by_id.get(id(value))
        if known is not None:
            return known[1]
        line = self._line(value)
        at = self._by_line.setdefault(repr(line), len(self.lines))
        if at == len(self.lines):
            self.lines.append(line)
        self._by_id[id(value)] = (value, at)  # the value is held: no other one gets its id
        return at

    def _line(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return [None, plain(norm(value))]
        a = np.asarray(value)
        if a.ndim == 0:
            return plain(a[()])
        size = a.size if self.whole else min(a.size, self.head)
        first = a.ravel()[:size] if a.flags.c_contiguous else a.flat[:size]
        entries = [plain(v) for v in first.tolist()]
        if a.dtype.kind not in "fc":
            real = a.astype(np.float64) if a.dtype.kind in "biu" and a.size else None
            least, most = (plain(real.min()), plain(real.max())) if real is not None else (0, 0)
            return [list(a.shape), plain(norm(a)) if a.size else 0, least, most, entries, 0]
        finite = np.isfinite(a)
        lost = int(a.size - np.count_nonzero(finite))
        seen = a[finite] if lost else a
        if a.dtype.kind == "c":
            seen = np.abs(seen)
        least, most = (plain(seen.min()), plain(seen.max())) if seen.size else (0, 0)
        return [list(a.shape), plain(norm(a)), least, most, entries, lost]


def plain(v: Any) -> Any:
    """A number as JSON can hold it: "nan", "inf" and "-inf" are words, complex ones are pairs."""
    if isinstance(v, np.generic):
        v = v.item()
    if isinstance(v, bool | int):
        return int(v)
    if isinstance(v, complex):
        return {"re": plain(v.real), "im": plain(v.imag)}
    if not isinstance(v, float):
        return str(v)
    if math.isfinite(v):
        return int(v) if v.is_integer() and abs(v) < 1e15 else v
    return "nan" if v != v else "inf" if v > 0 else "-inf"  # noqa: PLR0124
