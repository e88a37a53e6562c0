"""cost: what the derivatives of a function cost in each mode, and which one to take.

A derivative of f: Rⁿ → Rᵐ needs n forward sweeps, or m backward sweeps, or n + 1 runs of f for a
difference quotient that is not exact. The sweeps' work is counted in what they really compute.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from .answer import Answer, Table, plain
from .columns import laid, terminal
from .keeping import keep_of
from .names import width
from .runs import need_something, run_of
from .work import forward_nodes, reverse_nodes, total


@dataclasses.dataclass(frozen=True)
class Mode:
    """One way to all the derivatives.

    passes       how many sweeps (or runs of f, for differences) it takes
    each         FLOPs of one of them, without the run of f that comes first
    flops        in all, with that run
    kept         bytes that must be kept from the run of f
    exact        to rounding; else `error` says how well, at best
    """

    name: str
    passes: int
    each: int
    flops: int
    kept: int
    exact: bool
    error: str = ""


class CostReport(Answer):
    """`.modes` by name: "reverse", "forward", "numeric", "central"; `.best` the one to take, `.why`
    the reason; `.inputs` and `.outputs` count numbers, `.flops` are those of f alone.
    """

    def __init__(self, inputs: int, outputs: int, flops: int, modes: list[Mode]) -> None:
        self.inputs, self.outputs, self.flops = inputs, outputs, flops
        self.modes = {m.name: m for m in modes}
        exact = [m for m in modes if m.exact]
        self.best = min(exact, key=lambda m: (m.flops, m.kept)).name
        self.why = self._reason()

    def _reason(self) -> str:
        reverse, forward = self.modes["reverse"], self.modes["forward"]
        n, m = _count(self.inputs, "input"), _count(self.outputs, "output")
        if reverse.flops == forward.flops:
            return f"{n}, {m}: both take the same work, and forward mode keeps nothing"
        times = max(reverse.flops, forward.flops) / max(min(reverse.flops, forward.flops), 1)
        by, less, more = (
            ("backward", reverse, forward)
            if self.best == "reverse"
            else ("forward", forward, reverse)
        )
        sweeps = _count(less.passes, f"{by} sweep")
        said = f"{n}, {m}: {sweeps} instead of {more.passes:,}"
        return f"{said}, {_times(times)} times less work"

    def _cells(self) -> list[list[str]]:
        rows = []
        for m in self.modes.values():
            sweep = "runs" if not m.exact else "sweep" if m.passes == 1 else "sweeps"
            rows.append(
                [
                    ("→ " if m.name == self.best else "  ") + m.name,
                    f"{m.passes:,} {sweep}",
                    f"{m.each:,}",
                    f"{m.flops:,}",
                    _times(m.flops / max(self.flops, 1)),
                    f"{m.kept:,}",
                    "rounding" if m.exact else m.error,
                ]
            )
        for i in (1, 2, 3, 4, 5):
            wide = max(len(HEADS[i]), *(len(r[i]) for r in rows))
            for r in rows:
                r[i] = r[i].rjust(wide)
        return rows

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """The table, and what to take."""
        f = f"f: {_count(self.inputs, 'input')}, {_count(self.outputs, 'output')}, "
        f += f"{self.flops:,} FLOPs"
        cells = self._cells()
        heads = [
            h.rjust(len(c)) if 0 < i < 6 else h
            for i, (h, c) in enumerate(zip(HEADS, cells[0], strict=True))
        ]
        table = laid([heads, *cells], gap="  ")
        if columns is not None and max(map(width, table)) > columns:  # it is the easiest to spare
            table = laid([r[:2] + r[3:] for r in (heads, *cells)], gap="  ")
        return plain("\n".join([f, *table, f"take {self.best} mode: {self.why}"]), ascii)

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii(), columns=terminal())

    __repr__ = __str__

    def tables(self) -> list[Table]:
        """One row per mode."""
        title = f"take {self.best} mode: {self.why}"
        return [(title, HEADS, self._cells())]


HEADS = ["  mode", "passes", "FLOPs each", "FLOPs in all", "in runs of f", "bytes kept", "error"]


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}" + ("" if n == 1 else "s")


def cost(subject: Any, *args: Any) -> CostReport:
    """What all first derivatives of a function cost: by reverse mode, by forward mode, and by
    difference quotients; with the mode to take, and why.

    Additions and multiplications are counted, those of the sweeps in what the rules really
    compute; a function such as exp counts as one per entry. Of a function with its arguments, of a
    model, a loss, a training step, or a result. (A jitted step has `.cost()`, by operation.)

    Raises:  GradientError if nothing could be differentiated.
    Example:
        >>> def f(w, x):
        ...     return ob.sum(ob.tanh(x @ w))
        >>> report = ob.cost(f, np.ones((50, 20)), np.ones((4, 50)))
        >>> report.inputs, report.outputs, report.modes["reverse"].passes, report.best
        (1200, 1, 1, 'reverse')
    """
    run = run_of("cost", subject, args)
    need_something("cost", run)
    record = run.record
    n = sum(x.spec.size for x in record.variables)
    m = sum(y.spec.size for y in record.outputs)
    f = total(x for x in record.nodes if record.computed(x))
    back, ahead = total(reverse_nodes(record)), total(forward_nodes(record))
    double = all(x.spec.dtype.itemsize >= 8 for x in record.variables)
    one, two = ("1e-8", "1e-11") if double else ("3e-4", "5e-6")
    modes = [
        Mode("reverse", m, back, f + m * back, keep_of(record).bytes, True),
        Mode("forward", n, ahead, f + n * ahead, 0, True),
        Mode("numeric", n + 1, f, (n + 1) * f, 0, False, f"≥ {one}"),
        Mode("central", 2 * n, f, 2 * n * f, 0, False, f"≥ {two}"),
    ]
    return CostReport(n, m, f, modes)
