"""watch: a model looked at every so many steps while it trains, in constant memory.

Nothing is recorded from step to step but sums and sketches. Between two looks a call of the model
costs one more Python call. At a look the parameters are copied before the step and compared after
it; their adjoints are read as the engine's own sweep passes them.
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any, Self

import numpy as np

from ..calculus.custom import Function
from ..context import CONTEXT, WANTED
from ..errors import DomainError, DTypeError
from ..handle import Tensor
from .answer import Answer, Table, number, plain
from .columns import laid, terminal
from .sketch import Sketch, length

SHARE, GRACE = 0.01, 0.02
"""A look that is due waits until all looks, but for so many seconds, have taken less than this
share of the time. What a look does inside of the sweep is not all measured: the share is half of
what is promised.
"""
FADING = 0.8
"""The weight of what was, in the running means."""


def watch(model: Any, every: int = 50) -> Watch:
    """Watch a model while it trains: `with ob.watch(model) as w:`; then `print(w)`, at any time.

    A step is a call of the model in training mode. Every so many steps, and at the first, one is
    looked at: the norms of each parameter, of its gradient, and of its update, the shares of
    zeros, NaN and infinities, and a sketch of the gradient's entries. The memory is constant, the
    time under 2 % of that of the training (and a few hundredths of a second), however small the
    model: where a look takes long against a step, it waits until it may. A jitted step does not
    call the model: then say `w.step()` after each.

    Raises:  DTypeError if it is no model, DomainError if `every` is no positive number.
    Example:
        >>> model = ob.nn.Linear(3, 1)
        >>> opt = ob.optim.SGD(model.parameters(), lr=0.1)
        >>> x, t = np.ones((4, 3)), np.zeros((4, 1))
        >>> with ob.watch(model, every=2) as w:
        ...     for _ in range(10):
        ...         opt.zero_grad()
        ...         ob.mean((model(x) - t) ** 2).backward()
        ...         opt.step()
        >>> w.steps, w.looks, [p.name for p in w.parameters]
        (10, 5, ['weight', 'bias'])
    """
    return Watch(model, every)


@dataclasses.dataclass
class Trace:
    """What is known of one parameter: norms at the last look, and running means of them.

    gradient, size, update   norms: of its gradient, of itself, of the last update against itself;
                             None as long as none was seen
    first, largest           norms of its gradient: at the first look, and the largest seen
    mean                     of the gradient's norms, fading
    zeros, bad               shares of the gradient's entries, at the last look
    sketch                   of the gradient's entries, over all looks
    """

    name: str
    gradient: float | None = None
    size: float = 0.0
    update: float | None = None
    first: float | None = None
    largest: float = 0.0
    mean: float | None = None
    zeros: float = 0.0
    bad: float = 0.0
    bad_since: int | None = None
    sketch: Sketch = dataclasses.field(default_factory=Sketch)

    def saw(self, bar: Any, step: int) -> None:
        """A gradient came."""
        g = np.asarray(bar)
        size = length(g)
        self.gradient = size
        self.first = size if self.first is None else self.first
        if math.isfinite(size):
            self.largest = max(self.largest, size)
            self.mean = size if self.mean is None else FADING * self.mean + (1 - FADING) * size
        self.zeros = 1 - np.count_nonzero(g) / max(g.size, 1)
        self.bad = 0.0 if math.isfinite(size) else float(np.mean(~np.isfinite(g)))
        if self.bad and self.bad_since is None:
            self.bad_since = step
        self.sketch.add(g)


class Watch(Answer):
    """What was seen: `.parameters` a list of `Trace`, `.steps`, `.looks`, `.seconds` it took."""

    def __init__(self, model: Any, every: int = 50) -> None:
        if not callable(getattr(model, "named_parameters", None)):
            raise DTypeError(
                f"watch: {type(model).__name__} is no model", want="an nn.Module",
                hint="of a function ob.health(step, *args) looks at one step",
            )  # fmt: skip
        if not isinstance(every, int) or every < 1:
            raise DomainError(f"watch: every={every!r}", want="a whole number from 1")
        self.model, self.every = model, every
        self._handles = [p for _, p in model.named_parameters()]
        self.parameters = [Trace(name) for name, _ in model.named_parameters()]
        self._gates: list[type[Function]] = []
        self.steps = self.looks = 0
        self.seconds = 0.0
        self._before: list[Any] | None = None
        self._by_hand = False
        self._due = 1  # the step at which the next look is due
        self._began, self._lasted = time.perf_counter(), 0.0

    def _may_look(self) -> bool:
        """Whether the looks so far have taken little enough."""
        return self.seconds < GRACE + SHARE * (time.perf_counter() - self._began)

    # -- while it lasts -----------------------------------------------------------------------

    def __enter__(self) -> Self:
        forward = self.model.forward
        self._gates = [_listening(trace, self) for trace in self.parameters]

        def watched(*args: Any, **kwargs: Any) -> Any:
            context = CONTEXT.get()
            if (
                self._by_hand
                or context.trace is not None
                or not context.allowed & WANTED
                or not self.model.training
            ):
                return forward(*args, **kwargs)
            if self._before is not None:
                self._compare()
            self.steps += 1
            if self.steps < self._due or not self._may_look():
                return forward(*args, **kwargs)
            self._due = self.steps + self.every
            return self._looked_at(forward, args, kwargs)

        self._began = time.perf_counter() - self._lasted
        self._own = vars(self.model).get("forward")
        vars(self.model)["forward"] = watched
        return self

    def __exit__(self, *_: object) -> None:
        self._gates, self._lasted = [], time.perf_counter() - self._began
        if self._own is None:
            vars(self.model).pop("forward", None)
        else:
            vars(self.model)["forward"] = self._own
        if self._before is not None and not self._by_hand:
            self._compare()

    def step(self) -> None:
        """Say that a step is done: for steps that do not call the model, as jitted ones."""
        if not self._by_hand:
            self._by_hand, self.steps, self._before = True, 0, None
        self.steps += 1
        if self._before is not None:
            self._compare()
            start = time.perf_counter()
            for trace, p in zip(self.parameters, self._handles, strict=True):
                if p.grad is not None:
                    trace.saw(p.grad.value, self.steps)
            self.seconds += time.perf_counter() - start
        due = self.every == 1 or self.steps % self.every == self.every - 1
        if due and self._may_look():
            self._remember()

    def _looked_at(self, forward: Any, args: Any, kwargs: Any) -> Any:
        """A call whose parameters report the adjoints that pass them: for the time of the call each
        stands behind a gate that hands on what it gets.
        """
        self._remember()
        start = time.perf_counter()
        held = []
        for gate, p in zip(self._gates, self._handles, strict=True):
            leaf = p._node  # noqa: SLF001
            if leaf is None or not leaf.mask or leaf.inputs:
                continue
            node = gate()(p).node
            held.append((p, leaf, node))
            p._node = node  # noqa: SLF001
        self.seconds += time.perf_counter() - start
        try:
            return forward(*args, **kwargs)
        finally:
            for p, leaf, node in held:
                if p._node is node:  # noqa: SLF001
                    p._node = leaf  # noqa: SLF001

    def _remember(self) -> None:
        start = time.perf_counter()
        self.looks += 1
        self._before = [np.array(p.value) for p in self._handles]
        for trace, value in zip(self.parameters, self._before, strict=True):
            trace.size = length(value)
        self.seconds += time.perf_counter() - start

    def _compare(self) -> None:
        """How far the step moved each parameter; what was remembered goes."""
        start = time.perf_counter()
        before, self._before = self._before or [], None
        for trace, p, was in zip(self.parameters, self._handles, before, strict=True):
            moved = length(np.asarray(p.value) - was)
            trace.update = moved / trace.size if trace.size else None
        self.seconds += time.perf_counter() - start

    # -- the report ---------------------------------------------------------------------------

    def _note(self, t: Trace) -> str:
        if t.bad_since is not None:
            return f"NOT FINITE since step {t.bad_since}"
        if t.gradient is None:
            return "NO GRADIENT"
        if t.gradient == 0:
            return "ZERO"
        if t.update == 0:
            return "NOT UPDATED"
        if t.first and t.mean is not None and t.mean < 1e-6 * t.first:
            return "VANISHED since the first step"
        return "EXPLODED since the first step" if t.first and (t.mean or 0) > 1e4 * t.first else ""

    def _cells(self) -> list[list[str]]:
        return [
            [
                t.name,
                "none" if t.gradient is None else number(t.gradient),
                "" if t.mean is None else number(t.mean),
                "" if t.gradient is None or not t.size else number(t.gradient / t.size),
                "" if t.update is None else number(t.update),
                f"{t.zeros:.0%}" if t.gradient is not None else "",
                t.sketch.bars(),
                self._note(t),
            ]
            for t in self.parameters
        ]

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """One line per parameter."""
        said = f"{self.steps:,} steps, {self.looks:,} looked at, {self.seconds:.3f} s in all"
        keep = [i for i in range(8) if not (ascii and i == 6)]
        if columns is not None and columns < WIDE:
            keep = [i for i in keep if i not in (2, 6)]
        rows = [[r[i] for i in keep] for r in (HEADS, *self._cells())]
        return plain("\n".join([said, *laid(rows, gap="  ", columns=columns)]), ascii)

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii(), columns=terminal())

    __repr__ = __str__

    def tables(self) -> list[Table]:
        """One row per parameter."""
        return [(f"{self.steps:,} steps, {self.looks:,} looked at", HEADS, self._cells())]


HEADS = [
    "parameter",
    "‖W̄‖",
    "mean",
    "‖W̄‖/‖W‖",
    "‖step‖/‖W‖",
    "zeros",
    "entries of W̄, 2⁻²⁴ to 2¹²",
    "",
]
WIDE = 110
"""The least room for the column of sketches."""


def _listening(trace: Trace, watcher: Watch) -> type[Function]:
    """Gates that let everything pass, and tell of the adjoint that goes back through them."""

    class Listening(Function):
        def forward(self, x: Any) -> Any:
            return x

        def backward(self, x_bar: Any) -> Any:
            value = x_bar.value if isinstance(x_bar, Tensor) else x_bar
            if value is not None:
                start = time.perf_counter()
                trace.saw(value, watcher.steps)
                watcher.seconds += time.perf_counter() - start
            return x_bar

    return Listening
