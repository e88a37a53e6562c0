"""explore: a page that steps through a computation, forward and then backward.

One HTML file: the record as data (`schema`) and a program that shows it (`explorer/*.js`). It asks
for nothing from anywhere and computes no derivative: every number on it is in its data.
"""

from __future__ import annotations

import functools
import html
import json
from pathlib import Path
from typing import Any

from ..errors import DomainError, FileError, GradientError
from .answer import Answer, Table
from .draw import Drawing
from .explain import Explanation, callers_variables
from .page import as_json, filled, framed, shell, without_script
from .record import record_of
from .rows import Telling
from .schema import data_of
from .unroll import unrolled

PARTS = ("record", "words", "scene", "graph", "panel", "whatif", "search", "main")
CODE = ("layers.js", "layout.js", "canvas.js", *(f"explorer/{part}.js" for part in PARTS))
"""The program of the page, in the order in which its parts need each other."""
LONG = 2000
"""Loops are written out if that makes no more operations than this."""
KEYS = (
    ("→ ← ↓ ↑ Space", "next step, one step back"),
    ("PgDn PgUp", "ten steps"),
    ("Home End", "the first step, the last"),
    ("b", "where the way back begins"),
    ("Enter", "open what is folded, or show the hidden message"),
    ("Backspace", "fold what is around"),
    ("] [", "unfold, fold one level"),
    ("/ n N", "search, next hit, the one before"),
    ("q", "hide each message until Enter: predict first"),
    ("+ − 0", "larger type, smaller, as it was"),
    ("?", "this"),
)


def explore(subject: Any, *args: Any, wrt: Any = None, values: str = "heads") -> Explorer:
    """A page on which to step through a computation: forward, then backward, message by message.

    Of a result (also after `backward()`), of a Graph, or of a function with its arguments. In a
    notebook it shows itself; `.save("page.html")` writes one file that needs nothing else. Each
    step shows the adjoint that arrives, the local rule with its values, the messages that go out
    with their norms and shares, and the line of source. Modules and expressions open and close;
    inputs can be moved, to see what happens beside what their adjoints said would.

    values="heads" keeps the first entries of each array, its norm, its least and its greatest
    entry; "all" keeps every entry.

    Raises:  GradientError if nothing could be differentiated by.
    Example:
        >>> w = ob.tensor(0.3, requires_grad=True)
        >>> L = (w * 2.0 - 1.0) ** 2
        >>> page = ob.explore(L)
        >>> page
             forward  ↓                     backward  ↑
         1   L = (2 w − 1)²    0.160        w̄ = 4 L̄ (2 w − 1)   -1.60
                                            L̄ = 1
        >>> nodes = {n["name"]: n for n in page.data["nodes"]}
        >>> page.data["pool"][nodes["w"]["bar"]]
        -1.6
    """
    if values not in {"heads", "all"}:
        raise DomainError(f"explore: values={values!r} is unknown", want='"heads" or "all"')
    record = unrolled(record_of("explore", subject, args, wrt), LONG)
    if not record.variables:
        raise GradientError(
            "explore: the result depends on nothing that asks for a gradient"
            if not record.missing
            else "explore: the result does not depend on what `wrt` names",
            hint="make a leaf with requires_grad=True, or explore the function with its arguments; "
            "ob.why_zero(parameter, L) says where a path was cut",
        )
    telling = Telling(record.sweep(), callers_variables(), fine=True)
    return Explorer(telling, whole=values == "all")


class Explorer(Answer):
    """The page: `.save(path)` writes it (`.html`), or its record alone (`.json`), the picture
    (`.svg`), the story (`.txt`); `.html()` and `.svg()` give them as text. `.data` is the record
    as plain data, version 1 of the schema in `overbar.views.schema`.
    """

    def __init__(self, telling: Telling, *, whole: bool = False) -> None:
        self.telling, self._whole = telling, whole

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """The record as plain data: everything that the page shows."""
        return data_of(self.telling, whole=self._whole)

    def text(self, *, ascii: bool = False) -> str:
        """The story in two columns, for where no page can be shown."""
        return Explanation(self.telling).text(ascii=ascii)

    def tables(self) -> list[Table]:
        """The story as a table."""
        return Explanation(self.telling).tables()

    def html(self) -> str:
        """The page: one file, which needs nothing else."""
        outputs = ", ".join(self.telling.name(y) for y in self.telling.record.outputs)
        parts = {
            "title": html.escape(f"{outputs}: forward and backward"),
            "record": as_json(self.data),
            "story": without_script(self.text()),
        }
        return filled(skeleton(), parts)

    def _repr_html_(self) -> str:
        return framed(self.html(), "explorer", self.text())

    def svg(self) -> str:
        """The picture alone, with everything on it: for where no script may run."""
        return Drawing(self.telling).svg()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """The page, and beside it the picture and the story for notebooks that do not show it."""
        return {
            "text/html": self._repr_html_(),
            "image/svg+xml": self.svg(),
            "text/plain": self.text(),
        }

    def save(self, path: str | Path) -> None:
        """Write the page (`.html`), the record (`.json`), the picture (`.svg`) or the story
        (`.txt`).

        Raises:  FileError for another ending.
        """
        path = Path(path)
        if path.suffix in {".html", ".htm"}:
            text = self.html()
        elif path.suffix == ".json":
            text = json.dumps(self.data, ensure_ascii=False, indent=1) + "\n"
        elif path.suffix == ".svg":
            text = self.svg()
        elif path.suffix == ".txt":
            text = self.text() + "\n"
        else:
            raise FileError(
                f"save: {path.name} ends in nothing that can be written",
                want=".html, .json, .svg or .txt",
            )
        path.write_text(text, encoding="utf-8")


# -- the page without a record ----------------------------------------------------------------


@functools.cache
def skeleton() -> str:
    """The page but for [[title]], [[record]] and [[story]]."""
    keys = "".join(
        f"<dt>{' '.join(f'<kbd>{html.escape(k)}</kbd>' for k in keys.split())}</dt>"
        f"<dd>{html.escape(what)}</dd>"
        for keys, what in KEYS
    )
    styles = ("theme.css", "explorer/style.css")
    return filled(shell("explorer/page.html", styles, CODE), {"keys": keys})
