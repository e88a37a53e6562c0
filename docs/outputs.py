"""The outputs of the examples in a document, written into it as they really are.

    python -m docs.outputs docs/manual/values.md ...

Whoever writes a page writes the lines after `>>>`; this runs them and fills in what they print. An
output that is already there and fits, with `...` for what varies, stays. The pictures that the page
saves are put beside it (see `docs.pictures`). Read the difference before you keep it: what is
printed is what is so, not what should be.
"""

from __future__ import annotations

import doctest
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

import overbar as ob
from docs import pictures

FITS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
VARIES = (
    (re.compile(r"<doctest [^>]*>(?=, line)"), "..."),  # the user's file
    (re.compile(r"/\S*/tmp\w+/"), ".../"),
)


class Taker(doctest.DocTestRunner):
    """Runs every example and keeps what it printed, or the exception as doctest wants it."""

    def __init__(self) -> None:
        super().__init__(verbose=False)
        self.printed: dict[int, str] = {}

    def report_success(self, out: Any, test: Any, example: Any, got: str) -> None:
        self.printed[example.lineno] = got

    report_failure = report_success

    def report_unexpected_exception(self, out: Any, test: Any, example: Any, exc_info: Any) -> None:
        said = traceback.format_exception_only(*exc_info[:2])[-1]
        self.printed[example.lineno] = f"Traceback (most recent call last):\n    ...\n{said}"


def filled(text: str, name: str) -> str:
    """The document with the outputs of its examples."""
    lines = text.split("\n")
    bare = "\n".join("" if line.lstrip().startswith("```") else line for line in lines)
    test = doctest.DocTestParser().get_doctest(bare, {"ob": ob, "np": np}, name, name, 0)
    for example in test.examples:
        example.exc_msg = None  # so that every exception is reported
    taker = Taker()
    taker.run(test, out=lambda _: None, clear_globs=False)
    for example in reversed(test.examples):
        start = example.lineno + example.source.count("\n")
        lines[start : start + example.want.count("\n")] = output(
            example.want, taker.printed[example.lineno]
        )
    return "\n".join(lines)


def output(before: str, printed: str) -> list[str]:
    """What stands below an example: what is there if it fits, else what was printed."""
    if before and doctest.OutputChecker().check_output(before, printed, FITS):
        return before.rstrip("\n").split("\n")
    for pattern, said in VARIES:
        printed = pattern.sub(said, printed)
    return [
        line if line.strip() else "<BLANKLINE>"
        for line in printed.rstrip("\n").split("\n")
        if printed
    ]


if __name__ == "__main__":
    for page in [Path(name).resolve() for name in sys.argv[1:]]:
        with pictures.workroom() as room:
            text = filled(page.read_text(encoding="utf-8"), page.name)
            page.write_text(text, encoding="utf-8")
            pictures.keep(page, room)
