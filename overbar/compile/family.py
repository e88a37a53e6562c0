"""Programs of one function that differ in the leading sizes of its arguments.

The first size is compiled as it is. At the second one both are written once more in the general
form (`text.Module.general`), in which little depends on the exact size, and become one text with
`holes`, which is compiled. From then on a size is traced and written, and if its text is that one
with other numbers in the holes, its machine code is there already. Otherwise (1 row instead of 2,
another way to cut a product) it is compiled like the first: what runs is always the text of this
very size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..graph import Graph
from . import native
from .assemble import Assembled, assemble
from .holes import General, Text, general
from .pool import Pool

KEPT = 8
"""Forms whose texts are kept, to be made general with the next one of the form."""


class Made(NamedTuple):
    """A program, and its machine code.

    holes   how many numbers are filled in; None if the code was compiled for it alone
    fresh   whether LLVM's work, or what the disk kept of it, was needed
    """

    assembled: Assembled
    library: native.Library
    holes: int | None = None
    fresh: bool = True


class _Shared(NamedTuple):
    """Machine code for many sizes."""

    form: General
    image: bytes


class Family:
    """What is known of the programs so far: the first graph, a text of each form, and the code."""

    def __init__(self) -> None:
        self._first: tuple[Graph, dict[int, int], int] | None = None
        self._habits: dict[str, Any] = {}
        self._texts: dict[tuple[str, ...], Text] = {}
        self._shared: dict[tuple[str, ...], _Shared] = {}

    def made(self, graph: Graph, donated: dict[int, int], threads: int) -> Made:
        """The program of a graph on which `passes.lowered` has done its work."""
        found = None
        if self._first is None:
            self._first = graph, donated, threads
        else:
            if not self._texts:
                self._keep(Text.of(self._written(*self._first, self._habits).text))
            found = self._generalised(self._written(graph, donated, threads, self._habits))
        if found is not None:
            return found
        assembled = self._written(graph, donated, threads)
        return Made(assembled, native.load(assembled.text))

    def _generalised(self, assembled: Assembled) -> Made | None:
        """A program in its general form with code, if another one had the same form."""
        text = Text.of(assembled.text)
        known, code = self._texts.get(text.frame), self._shared.get(text.frame)
        if known is None:
            self._keep(text)
            return None
        numbers = None if code is None else code.form.filled(text)
        fresh = code is None or numbers is None
        if code is None or numbers is None:
            form = general(*(code.form.texts if code else (known,)), text)
            if form is None or not form.holes:
                return None
            code = self._shared[text.frame] = _Shared(form, native.image(form.text))
            numbers = form.filled(text) or b""
        library = native.Library(code.image)
        library.fill(numbers)
        return Made(assembled, library, len(code.form.holes), fresh)

    def _keep(self, text: Text) -> None:
        self._texts[text.frame] = text
        for frame in list(self._texts)[: max(0, len(self._texts) - KEPT)]:
            if frame not in self._shared:
                self._texts.pop(frame, None)

    def _written(
        self,
        graph: Graph,
        donated: dict[int, int],
        threads: int,
        habits: dict[str, Any] | None = None,
    ) -> Assembled:
        machine = native.host()
        written = assemble(graph, donated, machine=machine, threads=threads, habits=habits)
        if written.shared:
            Pool.of(threads)
        return written
