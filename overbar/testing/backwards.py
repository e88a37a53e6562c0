"""`check_backward`: what is wrong with a backward of one's own, in words.

The adjoints that came are compared with those wanted, at several points and for several ȳ. Where
they differ, the usual slips are tried one after the other: a slip that turns every wrong adjoint
into the right one is named.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import DomainError, DTypeError
from ..handle import Tensor, from_value
from ..trees import tree_flatten
from .differences import along
from .gates import fresh, is_gate
from .slips import diagnosed
from .trials import Recorded, Trial, recorded

POINTS = 3


class Finding(NamedTuple):
    """One thing that is wrong.

    argument  its position; None for the backward as a whole
    word      what: "transposed", "batch sum missing", "sign", "factor 2", "a path is missing", "a
              path is counted twice", "elementwise vs matrix product", "swapped", "ȳ is not used",
              "wrong order", "factor missing", "factor too many", "wrong place",
              "wrong shape", "None given", "not an array", "wrong number of adjoints", "wrong"
    detail    a sentence
    """

    argument: int | None
    word: str
    detail: str


class Report(NamedTuple):
    """What `check_backward` found; printed, it says so for each argument."""

    name: str
    arguments: tuple[str, ...]
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether every adjoint is right."""
        return not self.findings

    def __str__(self) -> str:
        lines = [f"backward of {self.name}: " + ("correct" if self.ok else "not correct")]
        lines += [f"    {f.word}: {f.detail}" for f in self.findings if f.argument is None]
        for i, said in enumerate(self.arguments):
            mine = [f for f in self.findings if f.argument == i]
            if any(f.argument is None for f in self.findings):
                continue
            lines += [f"    {said}: {f.word}: {f.detail}" for f in mine] or [f"    {said}: correct"]
        return "\n".join(lines)


def check_backward(f: Any, my_backward: Any, *args: Any, seed: int = 0) -> Report:
    """A Report on `my_backward(ȳ, *xs)`, which should give the adjoints of f's arguments.

    f is a function of arrays and numbers, written with NumPy or with overbar (then give tensors);
    my_backward gives one adjoint per argument (or, for one argument, just it), None for zero. Both
    may be an `ob.Function`, class or instance; with f such a class, my_backward may be None.

    Raises:  DTypeError if no argument is floating, DomainError if f is not finite there.
    Example:
        >>> def backward(y_bar, x, w):
        ...     return y_bar @ w.T, 2 * x.T @ y_bar
        >>> x, w = np.arange(4.0).reshape(2, 2), np.array([[1.0, 2.0], [4.0, 3.0]])
        >>> print(ob.testing.check_backward(lambda x, w: x @ w, backward, x, w))
        backward of <lambda>: not correct
            argument 0 (x): correct
            argument 1 (w): factor 2: what came is 2 times too large
    """
    gate = f if my_backward is None else my_backward
    if my_backward is None and not is_gate(f):
        raise DTypeError(
            "check_backward: no backward was given", hint="pass a function of (y_bar, *xs)"
        )
    tensors = is_gate(f) or is_gate(gate) or any(isinstance(a, Tensor) for a in args)
    forward = _forward_of(f)
    values = [a.value if isinstance(a, Tensor) else a for a in args]
    spots = [i for i, a in enumerate(values) if np.asarray(a).dtype.kind == "f"]
    if not spots:
        raise DTypeError(
            "check_backward: no argument holds floating numbers", hint="write 3.0 instead of 3"
        )
    problem = _Problem(forward, values, spots, tensors)
    rng = np.random.default_rng(seed)
    name = getattr(f, "__name__", type(f).__name__)
    names = _names(forward, len(args))
    trials: list[Trial] = []
    for xs in problem.points(rng):
        y_bars = [rng.standard_normal(np.shape(y)) for y in problem.results(xs)]
        bars = _bars_of(gate, y_bars, problem.fed(xs), problem.single)
        if len(bars) != len(args):
            said = f"{len(bars)} came, one for each of the {len(args)} arguments is wanted"
            return Report(name, names, [Finding(None, "wrong number of adjoints", said)])
        trials.append(problem.trial(xs, y_bars, bars))
    if not trials:
        raise DomainError(f"check_backward: {name} is not finite at these arguments")
    findings: list[Finding] = []
    for i in spots:
        findings += [Finding(i, word, detail) for word, detail in diagnosed(trials, i, names)]
    return Report(name, names, findings)


# -- the function -----------------------------------------------------------------------------


def _forward_of(f: Any) -> Callable[..., Any]:
    """The function itself: of a gate, its forward, without its rule."""
    if not is_gate(f):
        return f

    def forward(*xs: Any) -> Any:
        return fresh(f).forward(*xs)

    forward.__signature__ = inspect.signature(
        f.forward if not isinstance(f, type) else fresh(f).forward
    )  # type: ignore[attr-defined]
    return forward


def _bars_of(
    gate: Any, y_bars: Sequence[np.ndarray], xs: Sequence[Any], single: bool
) -> tuple[Any, ...]:
    """What the backward gives."""
    if is_gate(gate):
        instance = fresh(gate)
        instance.forward(*xs)
        found = instance.backward(*(from_value(b) for b in y_bars))
    else:
        given = [from_value(b) if any(isinstance(x, Tensor) for x in xs) else b for b in y_bars]
        given = [b[()] if isinstance(b, np.ndarray) and not b.ndim else b for b in given]
        found = gate(given[0] if single else tuple(given), *xs)
    return (
        found
        if isinstance(found, tuple)
        else tuple(found)
        if isinstance(found, list) and len(found) == len(xs)
        else (found,)
    )


def _names(f: Callable[..., Any], count: int) -> tuple[str, ...]:
    try:
        names = [p.name for p in inspect.signature(f).parameters.values() if p.kind in (0, 1)]
    except (TypeError, ValueError):
        names = []
    return tuple(
        f"argument {i}" + (f" ({names[i]})" if i < len(names) else "") for i in range(count)
    )


class _Problem:
    """f at different points, and its adjoints there."""

    def __init__(
        self, f: Callable[..., Any], values: list[Any], spots: list[int], tensors: bool
    ) -> None:
        self.f, self.values, self.spots, self.tensors = f, values, spots, tensors
        self.single = True

    def fed(self, xs: Sequence[Any]) -> list[Any]:
        """The arguments as f and the backward get them."""
        return [
            from_value(np.asarray(x)) if self.tensors and i in self.spots else x
            for i, x in enumerate(xs)
        ]

    def points(self, rng: np.random.Generator) -> Iterator[list[Any]]:
        """The arguments as they are, then moved a little."""
        for k in range(POINTS):
            xs = list(self.values)
            for i in self.spots:
                x = np.asarray(xs[i], np.float64)
                moved = x * (1 + 0.1 * k * rng.uniform(-1, 1, x.shape)) + 0.03 * k * rng.uniform(
                    -1, 1, x.shape
                )
                xs[i] = moved if x.ndim else np.float64(moved)
            with np.errstate(all="ignore"):
                finite = all(np.all(np.isfinite(y)) for y in self.results(xs))
            if finite:
                yield xs

    def results(self, xs: Sequence[Any]) -> list[np.ndarray]:
        """f's results as arrays."""
        y = self.f(*self.fed(xs))
        self.single = not isinstance(y, tuple | list | dict)
        return [np.asarray(t.value if isinstance(t, Tensor) else t) for t in tree_flatten(y)[0]]

    def trial(self, xs: list[Any], y_bars: list[np.ndarray], bars: Sequence[Any]) -> Trial:
        graph = recorded(self.f, xs, self.spots)
        pull = (
            graph.adjoints
            if graph is not None and self._trusted(graph, xs, y_bars)
            else lambda bars: self._differences(xs, bars)
        )
        rows = []
        if len(y_bars) == 1 and y_bars[0].ndim and y_bars[0].shape[0] <= 8 and graph is not None:
            only = [np.where(_row(y_bars[0], k), y_bars[0], 0.0) for k in range(y_bars[0].shape[0])]
            rows = [self._spread(pull([b])) for b in only]
        wanted, ones = (
            self._spread(pull(y_bars)),
            self._spread(pull([np.ones_like(b) for b in y_bars])),
        )

        def elsewhere(there: list[Any]) -> list[Any] | None:
            with np.errstate(all="ignore"):
                if not all(np.all(np.isfinite(y)) for y in self.results(there)):
                    return None
                return self._spread(self._differences(there, y_bars))

        return Trial(xs, y_bars, list(bars), wanted, ones, rows, graph, elsewhere)

    def _spread(self, found: list[np.ndarray]) -> list[Any]:
        full: list[Any] = [None] * len(self.values)
        for i, x_bar in zip(self.spots, found, strict=True):
            full[i] = x_bar
        return full

    def _combined(
        self, xs: Sequence[Any], y_bars: Sequence[np.ndarray]
    ) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
        """⟨ȳ, f⟩ as a function of one long vector, and the point."""
        arrays = [np.asarray(xs[i]) for i in self.spots]
        cuts = np.cumsum([a.size for a in arrays])[:-1]

        def combined(x: np.ndarray) -> np.ndarray:
            filled = list(xs)
            for i, like, piece in zip(self.spots, arrays, np.split(x, cuts), strict=True):
                filled[i] = piece.reshape(like.shape) if like.ndim else np.float64(piece[0])
            return np.array(
                [
                    sum(
                        float(np.sum(b * y))
                        for b, y in zip(y_bars, self.results(filled), strict=True)
                    )
                ]
            )

        return combined, np.concatenate([a.ravel() for a in arrays])

    def _differences(self, xs: Sequence[Any], y_bars: Sequence[np.ndarray]) -> list[np.ndarray]:
        combined, x = self._combined(xs, y_bars)
        slopes = np.array([along(combined, x, e).value[0] for e in np.eye(x.size)])
        shapes = [np.shape(xs[i]) for i in self.spots]
        pieces = np.split(slopes, np.cumsum([int(np.prod(s)) for s in shapes])[:-1])
        return [p.reshape(s) for p, s in zip(pieces, shapes, strict=True)]

    def _trusted(self, graph: Recorded, xs: Sequence[Any], y_bars: list[np.ndarray]) -> bool:
        """Whether central differences agree with overbar's own derivative, in one direction."""
        combined, x = self._combined(xs, y_bars)
        v = np.random.default_rng(1).standard_normal(x.size)
        came = float(np.concatenate([b.ravel() for b in graph.adjoints(y_bars)]) @ v)
        wanted = along(combined, x, v)
        return abs(came - wanted.value[0]) <= 1e-6 * (1 + abs(came)) + 4 * wanted.error[0]


def _row(y_bar: np.ndarray, k: int) -> np.ndarray:
    return np.reshape(np.arange(y_bar.shape[0]) == k, (-1, *(1,) * (y_bar.ndim - 1)))
