"""A module's text as several, which LLVM can compile at the same time.

Functions that LLVM would inline into each other stay together; small ones that are always inlined
are copied to wherever they are called; a function that another text calls becomes visible to it.
What nothing calls is left out. The texts depend on the whole text alone: not on the number of
cores, nor on what was compiled before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

LINES, MOST = 700, 16
"""Lines worth a text of their own, and how many texts at most. Each costs 2 ms; with many of them
two threads are done at about the same time."""

_DEFINITION = re.compile(
    r"^define [^@]*@([\w.]+)[^{]*\{(?:[^\n]+\}|.*?^\})\n", re.MULTILINE | re.DOTALL
)
_NAMED = re.compile(r"@([\w.]+)(\(?)")
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
    owner = {name: k for k, names in enumerate(_shared_out(functions, count)) for name in names}
    texts = [outside + _part(functions, owner, k) for k in range(count)]
    return [_HOLES.sub(f"@holes{k}", part) if k else part for k, part in enumerate(texts)]


def _functions(text: str) -> dict[str, _Function]:
    """Those that a public one comes to."""
    texts = {m[1]: m[0] for m in _DEFINITION.finditer(text)}
    functions = {}
    for name, definition in texts.items():
        names: dict[str, bool] = {}
        for other, call in _NAMED.findall(definition, definition.index("{")):
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


def _shared_out(functions: dict[str, _Function], count: int) -> list[list[str]]:
    """So many lists of functions, of about the same length together."""
    group = {name: [name] for name, f in functions.items() if not f.copied}
    for name in list(group):
        whole = "optnone" in functions[name].head  # nothing is inlined into it
        for other in _reached(functions, [name], copied=True):
            if other not in group or group[other] is group[name]:
                continue
            f = functions[other]
            pointer = any(g.names.get(other) for g in functions.values())
            if pointer or not (whole or f.public or "noinline" in f.head):
                group[name] += group[other]
                group.update(dict.fromkeys(group[other], group[name]))
    groups = {id(names): names for names in group.values()}.values()
    lists: list[list[str]] = [[] for _ in range(count)]
    lines = [0] * count

    def length(names: Sequence[str]) -> int:
        return sum(functions[name].text.count("\n") for name in names)

    for names in sorted(groups, key=length, reverse=True):
        k = lines.index(min(lines))
        lists[k] += names
        lines[k] += length(names)
    return lists


def _part(functions: dict[str, _Function], owner: dict[str, int], k: int) -> str:
    """The functions of one list, what they need copied, and declarations of the rest."""
    own = [name for name in functions if owner.get(name) == k]
    needed = _reached(functions, own, copied=True)
    called = {
        other
        for name, f in functions.items()
        for other in _reached(functions, [name], copied=True)
        if owner.get(name, owner.get(other)) != owner.get(other)
    }
    pieces = []
    for name, f in functions.items():
        if name in called and owner.get(name) == k:
            pieces.append(f.text.replace("define internal ", "define ", 1))
        elif owner.get(name) == k or (f.copied and name in needed):
            pieces.append(f.text)
        elif name in needed:
            pieces.append(f.declared)
    return "".join(pieces)
