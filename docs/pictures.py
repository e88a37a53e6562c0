"""The pictures of a page: its examples make them, they are kept beside it.

A page saves a picture as any program would, `ob.draw(L).save("pictures/chain.svg")`, and shows what
it saved, `![The chain](pictures/chain.svg)`. Its examples run in an empty folder (`workroom`), so a
test can hold what they made against what is kept; `python -m docs.outputs PAGE` keeps it anew.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

PLACE = "pictures"
SAVED = re.compile(rf'\.save\("({PLACE}/[^"]+)"\)')
SHOWN = re.compile(rf"!\[[^\]]+\]\(({PLACE}/[^)\s]+)\)")


@contextlib.contextmanager
def workroom() -> Iterator[Path]:
    """A folder for the examples of a page to run in, empty but for an empty folder of pictures."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path(PLACE).mkdir()
        yield Path(folder)


def made(room: Path) -> dict[str, str]:
    """The pictures that were saved in a workroom, by their path as the page says it."""
    return {
        path.relative_to(room).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((room / PLACE).iterdir())
    }


def keep(page: Path, room: Path) -> None:
    """Put what a page made beside it."""
    for name, text in made(room).items():
        kept = page.parent / name
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text, encoding="utf-8")


def stale(page: Path, room: Path) -> list[str]:
    """The pictures of a page that are not what it made."""
    return [
        name
        for name, text in made(room).items()
        if not (page.parent / name).exists()
        or (page.parent / name).read_text(encoding="utf-8") != text
    ]
