"""A module's text as several, which LLVM can compile at the same time.

Functions that LLVM would inline into each other stay together; small ones that are always inlined
are copied to wherever they are called; a function that another text calls becomes visible to it.
What nothing calls is left out. The texts depend on the whole text alone: not on the number of
cores, nor on what was compiled before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

LINES, MOST = 700, 16
"""Lines worth a text of their own, and how many texts at most. Each costs 2 ms; with many of them
two threads are done at about the same time."""

RULES = 2
"""Counted up when a text is divided in another way: code on the disk is from before."""

_DEFINITION = re.compile(
    r"^define [^@]*@([\w.]+)[^{]*\{(?:[^\n]+\}|.*?^\})\n", re.MULTILINE | re.DOTALL
)
_NAMED = re.compile(r"@([\w.]+)(\(?)|\(([\w.]+)\)[,\"]")  # or one of a call's vector variants
_HOLES = re.compile(r"@holes\b")


class _Function(NamedTuple):
    """A definition. names: the functions in it; True where it is not only called."""

    text: str
    names: dict[str, bool]

    @property
    def head(self) -> str:
        return self.text[: self.text.index("{")]

    @property
    def copied(self) -> bool:
        return "alwaysinline" in self.head

    @property
    def public(self) -> bool:
        return not self.head.startswith("define internal ")

    @property
    def declared(self) -> str:
        head = self.head.removeprefix("define ").removeprefix("internal ")
        return f"declare {head[: head.rindex(')') + 1]} nounwind\n"


def divided(text: str) -> list[str]:
    """The texts; a short one stays as it is. Where numbers are filled in (see `holes`), each text
    has them all, in a variable of its own: `holes`, `holes1`, ...
    """
    count = min(text.count("\n") // LINES, MOST)
    if count < 2:
        return [text]
    functions, outside = _functions(text), _DEFINITION.sub("", text)
    needs = {name: _reached(functions, [name], copied=True) for name in functions}
    lists = _shared_out(functions, needs, count)
    texts = [outside + part for part in _parts(functions, needs, lists)]
    return [_HOLES.sub(f"@holes{k}", part) if k else part for k, part in enumerate(texts)]


def _functions(text: str) -> dict[str, _Function]:
    """Those that a public one comes to."""
    texts = {m[1]: m[0] for m in _DEFINITION.finditer(text)}
    functions = {}
    for name, definition in texts.items():
        names: dict[str, bool] = {}
        for called, call, variant in _NAMED.findall(definition, definition.index("{")):
            other = called or variant
            if other in texts:
                names[other] = names.get(other, False) or not call
        functions[name] = _Function(definition, names)
    reached = _reached(functions, [name for name, f in functions.items() if f.public])
    return {name: f for name, f in functions.items() if name in reached}


def _reached(
    functions: dict[str, _Function], names: Iterable[str], *, copied: bool = False
) -> set[str]:
    """What these functions come to; through copied ones only, if it is asked for."""
    waiting, reached = list(names), set(names)
    while waiting:
        new = functions[waiting.pop()].names.keys() - reached
        reached |= new
        waiting += [name for name in new if functions[name].copied or not copied]
    return reached


def _shared_out(
    functions: dict[str, _Function], needs: dict[str, set[str]], count: int
) -> list[list[str]]:
    """So many lists of functions, of about the same length together."""
    pointers = {name for f in functions.values() for name, taken in f.names.items() if taken}
    group = {name: [name] for name, f in functions.items() if not f.copied}
    for name in list(group):
        whole = "optnone" in functions[name].head  # nothing is inlined into it
        for other in sorted(needs[name] & group.keys()):
            f = functions[other]
            inlined = not (whole or f.public or "noinline" in f.head)
            if (inlined or other in pointers) and group[other] is not group[name]:
                group[name] += group[other]
                group.update(dict.fromkeys(group[other], group[name]))
    groups = {id(names): names for names in group.values()}.values()
    sizes = [(sum(functions[n].text.count("\n") for n in names), names) for names in groups]
    lists: list[list[str]] = [[] for _ in range(count)]
    length = [0] * count
    for lines, names in sorted(sizes, reverse=True):
        k = length.index(min(length))
        lists[k] += names
        length[k] += lines
    return lists


def _parts(
    functions: dict[str, _Function], needs: dict[str, set[str]], lists: Sequence[Sequence[str]]
) -> Iterator[str]:
    """For each list its functions, what they need copied, and declarations of the rest."""
    owner = {name: k for k, names in enumerate(lists) for name in names}
    called = {
        other
        for name in owner
        for other in needs[name]
        if owner.get(other, owner[name]) != owner[name]
    }
    for k, names in enumerate(lists):
        needed = set().union(*(needs[name] for name in names))
        pieces = []
        for name, f in functions.items():
            if owner.get(name) == k and name in called:
                pieces.append(f.text.replace("define internal ", "define ", 1))
            elif owner.get(name) == k or (f.copied and name in needed):
                pieces.append(f.text)
            elif name in needed:
                pieces.append(f.declared)
        yield "".join(pieces)
