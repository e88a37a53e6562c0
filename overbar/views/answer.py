"""What every question returns: text for a terminal, a table for a notebook, a file, plain data."""

from __future__ import annotations

import html
import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from .names import ascii_of, width

Table = tuple[str, Sequence[str], Iterable[Sequence[str]]]
"""A title, the heads of the columns, the rows."""


class Answer:
    """The answer to a question about a graph: print it, show it in a notebook, or save it."""

    def text(self, *, ascii: bool = False) -> str:
        """The answer as plain text."""
        raise NotImplementedError

    def tables(self) -> list[Table]:
        """The answer as tables, for HTML."""
        raise NotImplementedError

    def in_ascii(self) -> bool:
        """Whether standard output wants plain ASCII."""
        return not _speaks(getattr(sys.stdout, "encoding", None))

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "\n".join(_html(*table) for table in self.tables())

    def save(self, path: str | Path) -> None:
        """Write it to a file: `.txt` (UTF-8) or `.html`.

        Raises:  FileError for another ending.
        """
        path = Path(path)
        if path.suffix == ".txt":
            path.write_text(self.text() + "\n", encoding="utf-8")
        elif path.suffix in {".html", ".htm"}:
            path.write_text(_page(path.stem, self._repr_html_()), encoding="utf-8")
        else:
            raise FileError(
                f"save: {path.name} ends in nothing that can be written", want=".txt or .html"
            )


class Pictured(Answer):
    """An answer that is a picture: `svg()` and `png()` give it."""

    def svg(self) -> str:
        """The picture as SVG."""
        raise NotImplementedError

    def png(self) -> bytes:
        """The picture as PNG."""
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Write it to a file: `.svg`, `.png`, `.html` or `.txt`.

        Raises:  FileError for another ending.
        """
        path = Path(path)
        if path.suffix == ".png":
            path.write_bytes(self.png())
        elif path.suffix == ".svg":
            path.write_text(self.svg(), encoding="utf-8")
        elif path.suffix in {".html", ".htm", ".txt"}:
            super().save(path)
        else:
            raise FileError(
                f"save: {path.name} ends in nothing that can be drawn",
                want=".svg, .png, .html or .txt",
            )


def _speaks(encoding: str | None) -> bool:
    """Whether an output can show bars and Greek letters."""
    try:
        "x̄ = σ(z) − Σ w₁² ↓".encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


_CELL = "padding:0.2em 0.8em;text-align:{};white-space:pre;vertical-align:top"
_NUMBER = re.compile(r"[-−+]?(\d[\d,]*(\.\d+)?(e[-+]?\d+)?|inf|nan)( ?%)?")


def _html(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rows = [list(row) for row in rows]
    if not rows and not any(heads):
        return f"<p>{html.escape(title)}</p>"
    count = max(len(row) for row in (heads, *rows))
    columns = [[row[i].strip() for row in rows if i < len(row)] for i in range(count)]
    right = [any(c) and all(not x or _NUMBER.fullmatch(x) for x in c) for c in columns]

    def cells(tag: str, row: Sequence[str]) -> str:
        inside = ""
        for i, cell in enumerate(row):
            scope = ' scope="col"' if tag == "th" else ""
            said = html.escape(cell.strip() if right[i] else cell)
            style = _CELL.format("right" if right[i] else "left")
            inside += f'<{tag}{scope} style="{style}">{said}</{tag}>'
        return f"<tr>{inside}</tr>"

    left = "text-align:left;padding:0.2em 0.8em;white-space:pre-wrap"
    caption = f'<caption style="{left}">{html.escape(title)}</caption>' if title else ""
    head = f"<thead>{cells('th', heads)}</thead>" if any(heads) else ""
    body = "".join(cells("td", row) for row in rows)
    return f"<table>{caption}{head}<tbody>{body}</tbody></table>"


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title></head>\n<body>{body}</body></html>\n"
    )


# -- numbers ----------------------------------------------------------------------------------


def number(v: Any) -> str:
    """One number to three digits: `0.800`, `-0.0342`, `1.20e-09`, `672`."""
    if isinstance(v, bool | np.bool_):
        return "true" if v else "false"
    if isinstance(v, int | np.integer):
        return str(int(v))
    if isinstance(v, complex | np.complexfloating):
        sign = "-" if math.copysign(1, v.imag) < 0 else "+"
        return f"{number(v.real)}{sign}{number(abs(v.imag))}i"
    v = float(v)
    if v == 0 or not math.isfinite(v):
        return "0" if v == 0 else str(v)
    if 1e-4 <= abs(v) < 100:
        return f"{v:#.3g}".rstrip(".")
    return (
        f"{v:.6g}"
        if v.is_integer() and abs(v) < 1e6
        else f"{v:.4g}"
        if 100 <= abs(v) < 1e4
        else f"{v:.2e}"
    )


def value_text(value: Any, most: int = 4) -> str:
    """A value in a few words: a number, the entries of a short vector, or shape and norm.

    most   so many entries of a vector are shown
    """
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "(" + ", ".join(value_text(v) if v is not None else "none" for v in value) + ")"
    a = np.asarray(value)
    if a.ndim == 0:
        return number(a[()])
    shape = shape_text(a.shape)
    if not a.size:
        return f"{shape} empty"
    if a.ndim == 1 and a.size <= most:
        return "[" + " ".join(number(v) for v in a) + "]"
    if a.dtype.kind not in "fc":
        return f"{shape} {a.dtype}"
    return f"{shape} ‖{number(norm(a))}‖"


def shape_text(shape: tuple[int, ...]) -> str:
    """`5×8`."""
    return "×".join(map(str, shape)) if len(shape) != 1 else f"{shape[0]} entries"


def norm(value: Any) -> float:
    """The Euclidean norm, without overflow on the way."""
    if isinstance(value, tuple):
        return math.hypot(*(norm(v) for v in value if v is not None))
    a = np.asarray(value)
    if a.dtype.kind != "f":
        a = np.abs(a).astype(np.float64, copy=False)
    top = float(np.maximum(a.max(), -a.min())) if a.size else 0.0
    if top == 0 or not math.isfinite(top):
        return top
    return top * math.sqrt(inner(a, a, top))


CHUNK = 1 << 13
"""So many entries at a time: they stay in the cache, and on one thread."""


def inner(a: Any, b: Any, scale: float) -> float:
    """⟨a, b⟩ / scale², real, in double precision."""
    order: Any = "K" if np.asarray(a).strides == np.asarray(b).strides else "C"
    x, y = np.ravel(a, order), np.ravel(b, order)
    apart = 1.0 if 1e-100 < scale < 1e100 else scale
    total = 0.0
    for k in range(0, x.size, CHUNK):
        u = _double(x[k : k + CHUNK], apart)
        v = u if b is a else _double(y[k : k + CHUNK], apart)
        total += float(np.vdot(u, v).real)
    return total if apart != 1.0 else total / scale / scale


def _double(a: np.ndarray, scale: float) -> np.ndarray:
    wide = a.astype(np.complex128 if a.dtype.kind == "c" else np.float64, copy=False)
    return wide if scale == 1.0 else wide / scale


def padded(text: str, to: int) -> str:
    """Text filled with blanks to a width; a bar has no width of its own."""
    return text + " " * max(0, to - width(text))


def plain(text: str, ascii: bool) -> str:
    """The text, in ASCII if asked."""
    return ascii_of(text) if ascii else text
