"""What LLVM complains about: which line of the text, in which function."""

from __future__ import annotations

import re


class InternalError(RuntimeError):
    """Text that LLVM refuses: a fault of overbar, never of the user's program.

    line   the offending one, where LLVM says which; counted from 1
    text   the whole module
    """

    def __init__(self, what: str, text: str, line: int | None = None) -> None:
        parts = [f"the compiler wrote text that LLVM refuses: {what.strip()}"]
        if line is not None:
            lines = text.splitlines()
            first = max(0, line - 3)
            parts.append(f"line {line}, {_function_at(lines, line)}:")
            for number, content in enumerate(lines[first : line + 2], first + 1):
                parts.append(f"  {'>' if number == line else ' '} {number:5d}  {content}")
        parts.append("This is a fault of overbar; ob.config(jit='interpret') does without LLVM.")
        super().__init__("\n".join(parts))
        self.text, self.line = text, line


def line_of(message: str, text: str) -> int | None:
    """The line that a complaint of LLVM is about."""
    lines = text.splitlines()
    place = re.search(r"<string>:(\d+):\d+: error", message)
    if place:
        return min(int(place[1]), len(lines))
    # The verifier quotes instructions without saying where. The same may stand in many functions:
    # the one that holds most of them is meant.
    quoted = [line.strip() for line in message.splitlines()[1:] if line.strip()]
    found: dict[str, dict[str, int]] = {}
    function = ""
    for number, line in enumerate(lines, 1):
        function = line if line.startswith("define") else function
        if line.strip() in quoted:
            found.setdefault(function, {}).setdefault(line.strip(), number)
    if not found:
        return None
    there = max(found.values(), key=len)
    return next(there[line] for line in quoted if line in there)


def line_with(part: str, lines: list[str]) -> int | None:
    """The first line with this in it."""
    return next((n for n, line in enumerate(lines, 1) if part in line), None)


def _function_at(lines: list[str], line: int) -> str:
    for content in reversed(lines[:line]):
        if content.startswith("define"):
            return "in @" + content.partition("@")[2].partition("(")[0]
        if content.startswith("}"):
            break
    return "outside of functions"
