"""Functions that differ in numbers alone are written once, and get their numbers as arguments.

The steps of an unrolled loop read other rows, the layers of a network have other sizes: their
kernels are the same text but for some numbers. LLVM's work is most of compiling, and it grows with
the text; a loop whose end is an argument is as fast as one whose end is written down, if it is not
very short.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .holes import Text, kind_of

WORTH = 100
"""Lines that must be spared: about 20 ms."""

_NAME = re.compile(r"^define internal .*?@([\w.]+)\(")
_CALLED = re.compile(r"(?<=@)[\w.]+(?=\()")


def merged(functions: Sequence[str], *, general: bool = False) -> list[str]:
    """The same program; each string is a function or a few of them. general: what leads from tile
    to tile stays as it is, since many of its numbers change with the sizes.
    """
    texts = list(functions)
    while True:
        groups: dict[tuple[str, ...], list[int]] = {}
        apart: dict[int, Text] = {}
        for i, text in enumerate(texts):
            name = _NAME.match(text)
            glue = general and "optnone" in text.partition("\n")[0]
            if name and not glue and "\ndefine " not in text:
                apart[i] = Text.of(text.replace(f"@{name[1]}(", "@(", 1))
                groups.setdefault(apart[i].frame, []).append(i)
        calls: dict[str, str] = {}
        for frame, which in groups.items():
            lines = sum(piece.count("\n") for piece in frame)
            if (len(which) - 1) * lines < WORTH:
                continue
            made = _one([apart[i] for i in which])
            if made is None:
                continue
            text, given = made
            names = [_name(texts[i]) for i in which]
            for i, name, numbers in zip(which, names, given, strict=True):
                calls[name] = f"{names[0]}({numbers}"
                texts[i] = ""
            texts[which[0]] = text.replace("@(", f"@{names[0]}(", 1)
        if not calls:
            return [text for text in texts if text]
        texts = [_calling(text, calls) for text in texts]


def _name(text: str) -> str:
    found = _NAME.match(text)
    return found[1] if found else ""


def _calling(text: str, calls: dict[str, str]) -> str:
    """The same text, calling what was merged."""
    if not text or not any(name in calls for name in _CALLED.findall(text)):
        return text
    head, line, body = text.partition("\n")
    body = re.sub(r"@([\w.]+)\(", lambda m: f"@{calls[m[1]]}" if m[1] in calls else m[0], body)
    return head + line + body


def _one(texts: Sequence[Text]) -> tuple[str, list[str]] | None:
    """One function for all, and for each its numbers as they are written in front of its arguments;
    None if some of them must be known. Numbers that are equal everywhere are one argument: LLVM
    then sees that a loop ends where a row does (twice the speed for the update of a parameter).
    """
    first = texts[0]
    named: dict[tuple[object, ...], tuple[str, str]] = {}
    numbers = list(first.numbers)
    for i, column in enumerate(zip(*(t.numbers for t in texts), strict=True)):
        if len(set(column)) == 1:
            continue
        kind = kind_of(first, i)
        if kind is None:
            return None
        key = (*column, kind)
        _, numbers[i] = named.setdefault(key, (kind, f"%number{len(named)}"))
    arguments = "".join(f"{kind} {name}, " for kind, name in named.values())
    text = str(Text(first.frame, tuple(numbers))).replace("@(", f"@({arguments}", 1)
    given = [
        "".join(f"{kind} {key[k]}, " for key, (kind, _) in named.items()) for k in range(len(texts))
    ]
    return text, given
