"""Pages: one HTML file each, which asks for nothing from anywhere.

A page is a skeleton in which `[[name]]` stands for what is put in. Its program and its style sheets
are deflated, which makes them a third as long.
"""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEIGHT = 680
"""Of a page in a notebook, in pixels."""


def shell(skeleton: str, styles: Sequence[str], code: Sequence[str]) -> str:
    """A page but for its data: the names of its files, as seen from here."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    program = "\n".join(map(_lean, styles)) + "\f" + "\n".join(map(_lean, code))
    packed = base64.b64encode(squeeze.compress(program.encode()) + squeeze.flush()).decode()
    return filled(_lean(skeleton), {"program": filled(_lean("loader.js"), {"code": packed})})


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with some of its parts."""
    return re.sub(r"\[\[(\w+)\]\]", lambda m: parts.get(m[1], m[0]), page)


def as_json(data: Any) -> str:
    """Data to stand in a page."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c")


def without_script(text: str) -> str:
    """What a page says where no script may run."""
    said = html.escape(text)
    return f"<p>This page needs JavaScript. The story without it:</p><pre>{said}</pre>"


def framed(page: str, title: str, text: str) -> str:
    """A page in a notebook: in a frame of its own that may run scripts and nothing else.

    Where a notebook is not trusted the frame is dropped, and the text is left.
    """
    return (
        f'<iframe sandbox="allow-scripts" title="{html.escape(title)}" '
        f'srcdoc="{html.escape(page)}" '
        f'style="width:100%;height:{HEIGHT}px;border:1px solid #8885;border-radius:8px">'
        f"</iframe><details><summary>as text</summary><pre>{html.escape(text)}</pre></details>"
    )


def _lean(name: str) -> str:
    """A file of the program without indentation, comments on lines of their own, empty lines."""
    lines = (line.strip() for line in (HERE / name).read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not re.match(r"//|/\*.*\*/$", line))
