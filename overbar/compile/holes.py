"""Numbers as holes in a program's text: programs that differ in sizes alone share machine code.

Two texts with the same frame (all but the numbers in it) and different numbers become one, in which
the numbers that differ are read from memory, at the entry of each function:

    %t3 = icmp slt i64 %t2, 32         @holes = global [1 x i64] zeroinitializer
    %t3 = icmp slt i64 %t2, 64    ->   %hole0 = load i64, ptr @holes, !invariant.load !89
                                       %t3 = icmp slt i64 %t2, %hole0

Filled with its numbers it is the text of either program, and of every other with the same frame
that differs in these numbers alone. Nothing is assumed of what they mean.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

_NUMBER = re.compile(r"(?<= )(-?\d+|0x[0-9A-F]{16}|true|false)(?=[,)\n ])")
"""Numbers that stand as operands; those in types (`[4 x float]`) and names stand otherwise."""

_TYPE = re.compile(r"\b(i64|i32|i8|i1|float|double)\b")
_FIXED = re.compile(
    r"\b(alloca|asm|switch|splat|shufflevector|(insert|extract)(element|value))\b|"
    r"<(i\d+|float|double) |^\S|^\s*i\d+ \d+, label"
)
"""In such lines numbers are part of the instruction, not operands."""

_ENTRY = re.compile(r"^define .*\{\n(?:[\w.]+:\n)?", re.MULTILINE)
_DEFINITION = re.compile(r"^define .*", re.MULTILINE)
_PACKED = {"float": "=f4x", "double": "=d", "i64": "=q", "i32": "=i4x", "i8": "=b7x", "i1": "=?7x"}

SLOT = 8
"""Bytes for each number."""


class Text(NamedTuple):
    """A program's text, taken apart: frame[0], numbers[0], frame[1], numbers[1], ..."""

    frame: tuple[str, ...]
    numbers: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Text:
        """Take apart."""
        pieces = _NUMBER.split(text)
        return cls(tuple(pieces[::2]), tuple(pieces[1::2]))

    def __str__(self) -> str:
        pieces = [x for pair in zip(self.frame, self.numbers, strict=False) for x in pair]
        return "".join([*pieces, self.frame[-1]])


class Hole(NamedTuple):
    """A number that is filled in. kind: its type; at: where in `Text.numbers` it stands."""

    kind: str
    at: int


class General:
    """The text of many programs.

    texts   those that it was made of; text: what is compiled, with a global variable `holes`
    """

    def __init__(self, texts: tuple[Text, ...], holes: list[Hole]) -> None:
        self.texts, self.holes = texts, holes
        free = {hole.at for hole in holes}
        self._fixed = [i for i in range(len(texts[0].numbers)) if i not in free]
        self.text = self._written()

    def filled(self, text: Text) -> bytes | None:
        """What to put into the holes so that it is this text; None if no numbers do that."""
        first = self.texts[0]
        if text.frame != first.frame or any(
            text.numbers[i] != first.numbers[i] for i in self._fixed
        ):
            return None
        return b"".join(_bytes(text.numbers[at], kind) for kind, at in self.holes)

    def _written(self) -> str:
        """Numbers are read at the entry of a function; in glue, where they are used."""
        (frame, numbers), glue = self.texts[0], _glue(self.texts[0])
        which = {hole.at: k for k, hole in enumerate(self.holes)}
        pieces, entry, line = [""], 0, 0
        for i, piece in enumerate(frame):
            found = _ENTRY.findall(piece)
            begin = piece.rindex(found[-1]) + len(found[-1]) if found else 0
            pieces.append(piece[:begin])
            entry = len(pieces) - 1 if found else entry
            end = max(begin, piece.rfind("\n") + 1)
            if end:
                pieces.append(piece[begin:end])
                line = len(pieces) - 1
            pieces.append(piece[end:])
            if i in which:
                k = which[i]
                pieces[line if i in glue else entry] += (
                    f"  %hole{k} = load {self.holes[k].kind}, ptr getelementptr (i8, ptr @holes, "
                    f"i64 {SLOT * k}), align {SLOT}, !invariant.load !89\n"
                )
                pieces.append(f"%hole{k}")
            elif i < len(numbers):
                pieces.append(numbers[i])
        room = f"@holes = global [{len(self.holes)} x i64] zeroinitializer, align {SLOT}\n"
        return f"{room}!89 = !{{}}\n{''.join(pieces)}"


def _bytes(number: str, kind: str) -> bytes:
    """A number as it lies in memory, in a slot of its own."""
    if kind in ("float", "double"):
        value = struct.unpack("<d", int(number, 16).to_bytes(8, "little"))[0]
    else:
        value = {"true": 1, "false": 0}[number] if kind == "i1" else int(number)
    return struct.pack(_PACKED[kind], value)


def general(*texts: Text) -> General | None:
    """The text that each of these is when its holes are filled; None if there is none."""
    if any(t.frame != texts[0].frame for t in texts):
        return None
    holes = []
    glue = _glue(texts[0])
    for i, column in enumerate(zip(*(t.numbers for t in texts), strict=True)):
        differs = len(set(column)) > 1
        if differs or i in glue:
            kind = kind_of(texts[0], i)
            if kind is not None:
                holes.append(Hole(kind, i))
            elif differs:
                return None
    return General(texts, holes)


def _glue(text: Text) -> set[int]:
    """The numbers of functions that only call others, where a number read from memory costs
    nothing: they are holes even where they have not differed so far.
    """
    found, inside = set(), False
    for i, piece in enumerate(text.frame[:-1]):
        for line in _DEFINITION.findall(piece):
            inside = "optnone" in line or line.startswith("define void @")
        if inside and "%table" not in piece.rpartition("\n")[2]:
            found.add(i)
    return found


def kind_of(text: Text, i: int) -> str | None:
    """The type of a number; None if the instruction wants it known."""
    before, j = text.frame[i], i
    while "\n" not in before and j:
        j -= 1
        before = text.frame[j] + text.numbers[j] + before
    before = before[before.rfind("\n") + 1 :]
    if _FIXED.search(before) or before.endswith("align "):
        return None
    word = before.split()[-1].rpartition("(")[2]
    types = _TYPE.findall(before)
    kind = word if word in _PACKED else types[0] if types else None
    if kind in ("i1", "i32") and ("@llvm." in before or "getelementptr" in before):
        return None
    return kind
