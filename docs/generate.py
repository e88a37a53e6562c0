"""The generated faces of overbar: `docs/reference/*.md` and the stubs `overbar/*.pyi`.

    python -m docs.generate          write them          (`python tasks.py docs` does this first)
    python -m docs.generate DIR      write them below DIR instead, to compare

Everything is read off the package itself: the registry of primitives, the public functions by
namespace, signatures and docstrings. Nothing is written by hand, so a new operation is in the
reference, and in an editor's completion, as soon as this has run. `catalogue` knows what there is,
`pages` and `stubs` how it is shown.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import overbar as ob
from docs import pages, stubs
from docs.catalogue import NAME, SPACES

ROOT = Path(__file__).resolve().parent.parent
MADE = "<!-- Made by docs/generate.py: `python tasks.py docs` makes it again. -->\n\n"


def faces() -> dict[str, str]:
    """Every generated file: its path from the root, its text."""
    texts = {
        "operations": pages.operations(),
        **{space: pages.space_page(space) for space in SPACES},
        "transforms": pages.transforms(),
        "tensor": pages.tensor_page(),
        "library": pages.library(),
        "primitives": pages.primitives(),
        "errors": pages.errors(),
    }
    made = {f"docs/reference/{name}.md": f"{MADE}{text}" for name, text in texts.items()}
    made["docs/reference/README.md"] = MADE + pages.index(texts)
    made[f"{NAME}/__init__.pyi"] = stubs.stub()
    for space in SPACES:
        if isinstance(getattr(ob, space, None), types.ModuleType):
            made[f"{NAME}/{space}.pyi"] = stubs.space_stub(space)
    return made


def write(below: Path) -> list[Path]:
    """Write every face below a folder, and remove generated pages that are no longer made."""
    made = faces()
    for path, text in made.items():
        target = below / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for page in (below / "docs" / "reference").glob("*.md"):
        if page.relative_to(below).as_posix() not in made:
            page.unlink()
    return [below / path for path in made]


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    print(f"{len(write(target))} files under {target}")
