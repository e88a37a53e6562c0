"""memory: what is kept for the backward pass, by line, and why; and the peak.

The forward pass keeps what the rules will ask for (`keeping`); the backward pass lets each value go
when it has passed it, and holds adjoints instead. Both are followed here operation by operation,
the second by pausing the engine's own sweep.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..errors import place
from ..graph import Node
from .answer import Answer, Table, plain, shape_text
from .columns import fitted, laid, terminal
from .keeping import Held, Keep, buffers, is_given, keep_of
from .names import known_as, names_of
from .record import Record
from .runs import need_something, run_of


@dataclasses.dataclass(frozen=True)
class Saved:
    """One value that is kept: `bytes` of its own (0 for a view of something else that is kept),
    `why` in words, and the user's line that computed it.
    """

    name: str
    op: str
    shape: Any
    dtype: str
    bytes: int
    why: tuple[str, ...]
    filename: str
    line: int

    @property
    def where(self) -> str:
        """`file, line n:  source`."""
        return place(self.filename, self.line) if self.filename else ""


@dataclasses.dataclass(frozen=True)
class Moment:
    """The memory while one operation runs, forward or backward: of values, and of adjoints."""

    op: str
    backward: bool
    values: int
    adjoints: int
    where: str

    @property
    def bytes(self) -> int:
        """Of both."""
        return self.values + self.adjoints


class MemoryReport(Answer):
    """`.saved` the values kept, the largest first, `.bytes` their sum, `.by_line` sums by
    (file, line); `.given` what is needed and there anyway; `.timeline` moments in order, `.peak`
    the greatest. Temporaries inside an operation, and what your own variables hold, are not in it;
    `.loops` says inside of which loops.
    """

    def __init__(
        self,
        saved: list[Saved],
        given: list[Saved],
        timeline: list[Moment],
        loops: Sequence[str] = (),
    ) -> None:
        self.loops = tuple(loops)
        self.saved = sorted(saved, key=lambda s: -s.bytes)
        self.given, self.timeline = given, timeline
        self.bytes = sum(s.bytes for s in saved)
        self.peak = max(timeline, key=lambda m: m.bytes)
        lines: Counter[tuple[str, int]] = Counter()
        for s in saved:
            lines[s.filename, s.line] += s.bytes
        self.by_line = dict(lines.most_common())

    def _said(self) -> str:
        there = sum(g.bytes for g in self.given)
        count = f"{len(self.saved)} value" + ("" if len(self.saved) == 1 else "s")
        return (
            f"kept for the backward pass: {self.bytes:,} bytes in {count}; "
            f"{there:,} bytes of parameters and inputs are needed, too, and there anyway"
        )

    def _cells(self) -> list[list[str]]:
        """By line, the heaviest first; in each line its values."""
        rows = []
        for (filename, line), size in self.by_line.items():
            where = place(filename, line) if filename else "made by overbar"
            share = f"{size / self.bytes:.0%}" if self.bytes else ""
            rows.append([f"{size:,}", share, where, ""])
            rows += [
                [
                    f"{s.bytes:,}" if s.bytes else "a view",
                    "",
                    f"  {s.name}  {_shape(s.shape)} {s.dtype}",
                    ", ".join(s.why),
                ]
                for s in self.saved
                if (s.filename, s.line) == (filename, line)
            ]
        return rows

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """By line: bytes, values, why; then the peak."""
        cells = self._cells()
        kept = cells[:MOST]
        wide = max((len(r[0]) for r in cells), default=5)
        rows = [["bytes".rjust(wide), "", "line, and what it keeps", "why"]]
        rows += [[r[0].rjust(wide), r[1].rjust(4), *r[2:]] for r in kept]
        lines = laid(rows, gap="  ", columns=columns, gives=[False, False, True, True])
        if len(cells) > MOST:
            lines.append(f"… {len(cells) - MOST} rows more")
        p = self.peak
        way = "backward" if p.backward else "forward"
        peak = f"peak: {p.bytes:,} bytes, {way}, in {p.op}"
        peak += f" ({p.values:,} of values, {p.adjoints:,} of adjoints)" if p.backward else ""
        said = laid([[self._said()]], columns=columns)
        ends = laid([[peak]], columns=columns)
        ends += [fitted(f"    {p.where}", columns)] if p.where else []
        ends += laid([[f"not counted: inside of {loop}"] for loop in self.loops], columns=columns)
        return plain("\n".join([*said, "", *lines, "", *ends]), ascii)

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii(), columns=terminal())

    __repr__ = __str__

    def tables(self) -> list[Table]:
        """By line, and the timeline."""
        moments = [
            [m.op, "backward" if m.backward else "forward", f"{m.values:,}", f"{m.adjoints:,}",
             f"{m.bytes:,}", m.where]
            for m in self.timeline
        ]  # fmt: skip
        heads = ["operation", "", "values", "adjoints", "bytes", "line"]
        return [
            (self._said(), ["bytes", "", "line, and what it keeps", "why"], self._cells()),
            (f"peak: {self.peak.bytes:,} bytes", heads, moments),
        ]


MOST = 60
"""So many rows are shown."""


LOOPS = {"scan", "while"}
"""To the engine one operation each, whatever their bodies keep meanwhile."""


def _shape(shape: Any) -> str:
    return "several" if shape is None else shape_text(shape) if shape else "number"


def memory(subject: Any, *args: Any) -> MemoryReport:
    """What the backward pass needs to be kept, by line, how many bytes, and which rule needs it;
    and the peak over both passes.

    Of a result, a model or a loss with its arguments, or a whole training step, as it runs
    operation by operation. (A jitted step has `.memory()`: what the compiled program takes.)

    Raises:  GradientError if nothing could be differentiated.
    Example:
        >>> w = ob.tensor(np.ones((100, 50)), requires_grad=True)
        >>> x = ob.ones((8, 100))
        >>> h = ob.tanh(x @ w)
        >>> report = ob.memory(ob.sum(h))
        >>> [(s.name, s.bytes, s.why) for s in report.saved]
        [('h', 3200, ('tanh needs its output',))]
    """
    run = run_of("memory", subject, args)
    need_something("memory", run)
    record = run.record
    keep = keep_of(record)
    names = names_of(record.nodes, record.outputs, record.given)
    saved = [_saved(h, names) for h in keep.computed]
    given = [_saved(h, names) for h in keep.given]
    loops = [
        f"{n.op.name}, {n.origin}" if n.origin else str(n.op.name)
        for n in record.nodes
        if record.computed(n) and n.op.name in LOOPS
    ]
    return MemoryReport(saved, given, [*_forward(record, keep), *_backward(record, keep)], loops)


def _saved(held: Held, names: dict[int, str]) -> Saved:
    node, origin = held.node, held.node.origin
    several = isinstance(node.spec, tuple)
    why = [r.words for r in held.reasons]
    if held.shares is not None:
        why.append(f"a view of {known_as(names, held.shares)}")
    return Saved(
        known_as(names, node),
        node.op.name,
        None if several else node.spec.shape,
        "" if several else str(node.spec.dtype),
        held.bytes,
        tuple(dict.fromkeys(why)),
        origin.filename if origin else "",
        origin.line if origin else 0,
    )


# -- moment by moment -------------------------------------------------------------------------


class _Live:
    """Arrays that are alive, each counted once however many hold it."""

    def __init__(self, there: Iterable[Any] = ()) -> None:
        self.count: Counter[int] = Counter()
        self.bytes = 0
        self.there = {id(b) for b in there}  # leaves: never counted

    def hold(self, value: Any) -> None:
        for b in buffers(value):
            if id(b) not in self.there:
                self.bytes += 0 if self.count[id(b)] else b.nbytes
                self.count[id(b)] += 1

    def drop(self, value: Any) -> None:
        for b in buffers(value):
            if id(b) not in self.there:
                self.count[id(b)] -= 1
                self.bytes -= 0 if self.count[id(b)] else b.nbytes


def _leaves(record: Record) -> list[Any]:
    return [b for n in record.nodes if is_given(record, n) for b in buffers(record.values[n])]


def _forward(record: Record, keep: Keep) -> list[Moment]:
    """Held are what is kept, what is still to be used, and the results."""
    stay = {h.node for h in keep.computed} | set(record.outputs)
    made = [n for n in record.nodes if not is_given(record, n)]
    last = {x: n for n in made for x in n.inputs}
    live, moments = _Live(_leaves(record)), []
    for node in made:
        live.hold(record.values[node])
        moments.append(Moment(node.op.name, False, live.bytes, 0, str(node.origin or "")))
        for x in dict.fromkeys(node.inputs):
            if last[x] is node and x not in stay and not is_given(record, x):
                live.drop(record.values[x])
        if node not in last and node not in stay:
            live.drop(record.values[node])
    return moments


def _backward(record: Record, keep: Keep) -> list[Moment]:
    """The engine's sweep, paused after each node: values still kept, adjoints on their way."""
    values, adjoints = _Live(_leaves(record)), _Live(_leaves(record))
    held = {h.node for h in keep.computed}
    for node in held | set(record.outputs):
        values.hold(record.values[node])
    bars: dict[Node, Any] = {}  # a message, or the bytes of a sum, which is an array of its own
    kept = set(record.variables) | set(record.outputs)
    moments = []

    def let_go(bar: Any) -> None:
        if isinstance(bar, _Sum):
            adjoints.bytes -= bar.bytes
        elif bar is not None:
            adjoints.drop(bar)

    for node, y_bar, messages in record.steps():
        let_go(bars.get(node))
        bars[node] = y_bar  # a sum is seen here for the first time
        adjoints.hold(y_bar)
        for x, x_bar in messages:
            adjoints.hold(x_bar)
            if x not in bars:
                bars[x] = x_bar
                adjoints.hold(x_bar)
                continue
            let_go(bars[x])
            bars[x] = _Sum(x.spec.size * x.spec.dtype.itemsize)
            adjoints.bytes += bars[x].bytes
        moments.append(
            Moment(node.op.name, True, values.bytes, adjoints.bytes, str(node.origin or ""))
        )
        for _, x_bar in messages:
            adjoints.drop(x_bar)
        if node not in kept:
            let_go(bars.pop(node))
        if node in held:
            values.drop(record.values[node])
    return moments


class _Sum(NamedTuple):
    """The sum of several messages: an array of its own."""

    bytes: int
