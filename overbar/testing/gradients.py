"""`check_gradients`: the derivatives of a function against central differences, to any order.

The arguments become real float64 arrays (a complex one becomes two), the results too; so one check
of real Jacobians serves everything. The next order is the same check of a derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..calculus.transforms import linearize, vjp
from ..context import within
from ..errors import DomainError, DTypeError, GradientError, RuleMissingError
from ..handle import Tensor, asarray, from_value
from ..primitive import PUBLIC
from ..trees import tree_flatten, tree_paths, tree_unflatten
from .differences import Slope, along, kinked
from .gates import fresh, is_gate

SMALL = 40
"""With at most so many numbers in and out, the whole Jacobian is compared, else some directions."""
DIRECTIONS = 3

Vector = Callable[[np.ndarray], np.ndarray]


def check_gradients(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    modes: Sequence[str] = ("forward", "reverse"),
    rtol: float = 1e-6,
    seed: int = 0,
) -> None:
    """Compare the first `order` derivatives of f at `args` with central differences, in float64.

    f may be an `ob.Function`, class or instance. args may be nested; floats and complex numbers in
    them are varied, everything else stays. Each
    mode is checked, each order by each mode of the one before, and forward against reverse
    (⟨ȳ, J ẋ⟩ = ⟨Jᵀ ȳ, ẋ⟩). A mode without a rule (`Function` and `custom_vjp` have a reverse
    one only) is left out, unless it is the only one.

    Raises:  GradientError that says which argument and entry, what came and what was wanted; also
             where there is nothing to compare with, because f is not smooth, finite or repeatable.
    Example:
        >>> ob.testing.check_gradients(lambda x, w: ob.tanh(x @ w), np.ones(3), np.eye(3))
    """
    modes = tuple(modes)
    if not modes or set(modes) - {"forward", "reverse"}:
        raise DomainError(
            f"check_gradients: modes={modes!r}", want='some of "forward" and "reverse"'
        )
    if order < 1:
        raise DomainError(f"check_gradients: order={order!r}", want="a whole number from 1")
    with within(dtype=np.dtype(np.float64)), np.errstate(all="ignore"):
        problem = _Problem(f, args)
        problem.repeatable()
        _check(
            _Level(problem, problem.real, "the derivative", rtol),
            modes,
            order,
            np.random.default_rng(seed),
        )


class _Problem:
    """f as a function of real float64 leaves, with real results."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.f = (lambda *xs: fresh(f)(*xs)) if is_gate(f) else f  # noqa: PLW0108
        self.name = getattr(f, "__name__", type(f).__name__)
        self.leaves, self.structure = tree_flatten(args)
        self.spots: list[tuple[int, bool]] = []  # (leaf, is it complex)
        self.xs: list[np.ndarray] = []
        self.narrow = False  # f casts to float32 inside: differences are worth less
        self.names: list[str] = []
        for i, (path, leaf) in enumerate(tree_paths(args)):
            value = leaf.value if isinstance(leaf, Tensor) else leaf
            if not isinstance(value, np.ndarray | np.generic | float | complex):
                continue
            value = np.asarray(value)
            number, _, rest = path[1:].partition("]")
            said = f"argument {number}{rest}"
            if value.dtype.kind == "c":
                self._add(i, np.real(value), said + ", real part", True)
                self._add(None, np.imag(value), said + ", imaginary part", True)
            elif value.dtype.kind == "f":
                self._add(i, value, said, False)
        if not self.xs:
            raise DTypeError(
                "check_gradients: no argument holds floating numbers",
                want="at least one float or array of floats",
                hint="write 3.0 instead of 3",
            )
        self.offsets = np.cumsum([0, *(x.size for x in self.xs)])
        self.x = np.concatenate([x.ravel() for x in self.xs])

    def _add(self, spot: int | None, x: np.ndarray, name: str, pair: bool) -> None:
        if spot is not None:
            self.spots.append((spot, pair))
        self.xs.append(np.array(x, np.float64))
        self.names.append(name)

    def real(self, *xs: Any) -> list[Any]:
        """f of real leaves; every floating result is a real leaf, or two."""
        filled, given = list(self.leaves), iter(xs)
        for i, pair in self.spots:
            x = next(given)
            filled[i] = x + 1j * next(given) if pair else x
        ys = [asarray(y) for y in tree_flatten(self.f(*tree_unflatten(self.structure, filled)))[0]]
        found: list[Any] = []
        for y in ys:
            if y.dtype.kind == "c":
                found += [PUBLIC[""]["real"](y), PUBLIC[""]["imag"](y)]
            elif y.dtype.kind == "f":
                found.append(y)
        if not found:
            raise GradientError(f"check_gradients: {self.name} returns no floating numbers")
        return found

    def tensors(self, x: np.ndarray) -> list[Tensor]:
        """The leaves that a long vector stands for."""
        pieces = np.split(x, self.offsets[1:-1])
        return [from_value(p.reshape(like.shape)) for p, like in zip(pieces, self.xs, strict=True)]

    def entry(self, i: int) -> tuple[str, tuple[int, ...]]:
        """Which argument, and which of its entries, is component i of the long vector."""
        leaf = int(np.searchsorted(self.offsets, i, side="right")) - 1
        return self.names[leaf], _index(i - self.offsets[leaf], self.xs[leaf].shape)

    def repeatable(self) -> None:
        """Refuse what cannot be compared."""
        first, again = (joined(self.real(*self.tensors(self.x))) for _ in range(2))
        if not np.array_equal(first, again, equal_nan=True):
            raise GradientError(
                f"check_gradients: {self.name} gives other results for the same arguments",
                hint="if it draws random numbers, make the generator inside: "
                "rng = ob.random.default_rng(0)",
            )
        if not np.all(np.isfinite(first)):
            raise GradientError(
                f"check_gradients: {self.name} is not finite at these arguments",
                hint="choose others",
            )


def joined(ys: Sequence[Any]) -> np.ndarray:
    """All numbers of some tensors as one long vector."""
    return np.concatenate(
        [np.asarray(y.value if isinstance(y, Tensor) else y, np.float64).ravel() for y in ys]
    )


def _index(i: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(int(i), shape)) if shape else ()


class _Level:
    """One function to be checked: f, or a derivative of it."""

    def __init__(
        self, problem: _Problem, g: Callable[..., list[Any]], what: str, rtol: float
    ) -> None:
        self.problem, self.g, self.what = problem, g, what
        results = g(*problem.tensors(problem.x))
        self.shapes, self.dtypes = [y.shape for y in results], [y.dtype for y in results]
        self.n, self.m = problem.x.size, sum(y.size for y in results)
        narrow = problem.narrow = problem.narrow or any(y.dtype.itemsize < 8 for y in results)
        self.rtol, self.settled = (max(rtol, 2e-2), 1e-1) if narrow else (rtol, 1e-4)
        self.steps = {"good": 1e-3, "ladders": (2,)} if narrow else {}

    def vector(self, x: np.ndarray) -> np.ndarray:
        """The function on long vectors."""
        return joined(self.g(*self.problem.tensors(x)))

    def split(self, y: np.ndarray) -> list[Tensor]:
        """The results that a long vector stands for."""
        sizes = np.cumsum([int(np.prod(s)) for s in self.shapes])
        pieces = zip(np.split(y, sizes[:-1]), self.shapes, self.dtypes, strict=True)
        return [from_value(p.reshape(shape).astype(dtype)) for p, shape, dtype in pieces]

    def forward(self) -> Vector:
        """ẋ -> J ẋ by the library."""
        at = linearize(self.g, *self.problem.tensors(self.problem.x))[1]
        return lambda v: joined(at(*self.problem.tensors(v)))

    def reverse(self) -> Vector:
        """ȳ -> Jᵀ ȳ by the library."""
        pull = vjp(self.g, *self.problem.tensors(self.problem.x))[1]
        return lambda u: joined(pull(self.split(u)))

    def along(self, v: np.ndarray) -> Slope:
        """J ẋ by differences.

        Raises:  GradientError if they do not settle.
        """
        slope = along(self.vector, self.problem.x, v, **self.steps)
        scale = max(
            np.max(np.abs(slope.value), initial=0.0),
            np.max(np.abs(self.vector(self.problem.x)), initial=0.0),
        )
        if not np.all(slope.error <= self.settled * scale):
            where = self._place(int(np.argmax(np.abs(v))))
            raise GradientError(
                f"check_gradients: central differences of {self.problem.name} do not settle, "
                "so there is "
                f"nothing to compare {self.what} with",
                got={"where": where},
                hint="it has a kink or a jump there, or is noisy: choose other arguments",
            )
        return slope

    def tolerance(self, came: np.ndarray, wanted: Slope, scale: float) -> np.ndarray:
        """How far a derivative may be from its reference."""
        return (
            self.rtol * np.maximum(np.abs(came), np.abs(wanted.value))
            + 1e-2 * self.rtol * scale
            + 4 * wanted.error
        )

    def _place(self, i: int) -> str:
        name, index = self.problem.entry(i)
        return name + (f", entry {list(index)}" if index else "")

    def _result(self, j: int) -> str:
        for k, shape in enumerate(self.shapes):
            size = int(np.prod(shape))
            if j < size:
                index = _index(j, shape)
                number = f"result {k}" if len(self.shapes) > 1 else "the result"
                return number + (f", entry {list(index)}" if index else "")
            j -= size
        raise AssertionError

    def refuse(
        self,
        mode: str,
        i: int,
        j: int | None,
        came: float,
        wanted: float,
        v: np.ndarray,
        hint: str | None,
    ) -> None:
        """Say where a derivative is wrong."""
        of = f"of {self._result(j)} by" if j is not None else "of a combination of the results by"
        off = abs(came - wanted)
        hint = _ratio(came, wanted) if hint is None else hint
        if kinked(self.vector, self.problem.x, v):
            hint = (
                "the slopes from the left and from the right differ: these arguments lie on a "
                "kink, "
                "where the derivative is a convention; move them a little"
            )
        raise GradientError(
            f"check_gradients: {self.what} of {self.problem.name} is wrong in {mode} mode",
            got={
                "where": f"{of} {self._place(i)}",
                "came": f"{came:.10g}",
                "off by": f"{off:.3g}" + (f" ({off / abs(wanted):.2%})" if wanted else ""),
            },
            want=f"{wanted:.10g}, by central differences",
            hint=hint,
        )


def _ratio(came: float, wanted: float) -> str | None:
    if came == 0:
        return "nothing flows: is a rule FLAT, or a path missing?"
    ratio = wanted / came
    if abs(ratio + 1) < 1e-5:
        return "the sign is wrong"
    for k in (2, 3, 4, 0.5, 0.25, -2, -0.5):
        if abs(ratio - k) < 1e-5 * abs(k):
            return f"it would be right times {k:g}"
    return None


def _check(level: _Level, modes: tuple[str, ...], order: int, rng: np.random.Generator) -> None:
    """One order, and then the next ones of what each mode gave."""
    maps, missing = {}, None
    for mode in modes:
        try:
            maps[mode] = level.forward() if mode == "forward" else level.reverse()
            maps[mode](np.zeros(level.n if mode == "forward" else level.m))
        except RuleMissingError as error:
            maps.pop(mode, None)
            missing = error
    if missing is not None and not maps:
        raise missing
    (_whole if level.n <= SMALL and level.m <= SMALL else _sampled)(level, maps, rng)
    if len(maps) == 2:
        _transposes(level, maps, rng)
    if order == 1:
        return
    g, problem = level.g, level.problem
    for mode in maps:
        following = _derivative(g, mode, level, rng)
        what = (
            f"the derivative of the {mode} derivative"
            if level.what == "the derivative"
            else f"the derivative of ({level.what}, {mode})"
        )
        _check(_Level(problem, following, what, level.rtol), tuple(maps), order - 1, rng)


def _derivative(
    g: Callable[..., list[Any]], mode: str, level: _Level, rng: np.random.Generator
) -> Callable[..., list[Any]]:
    """The derivative of g in a random direction, as a function of the same leaves."""
    if mode == "forward":
        x_dots = level.problem.tensors(rng.standard_normal(level.n))
        return lambda *xs: list(linearize(g, *xs)[1](*x_dots))
    y_bars = level.split(rng.standard_normal(level.m))
    return lambda *xs: list(vjp(g, *xs)[1](list(y_bars)))


def _whole(level: _Level, maps: dict[str, Vector], rng: np.random.Generator) -> None:
    """All of the Jacobian."""
    n, m = level.n, level.m
    slopes = [level.along(e) for e in np.eye(n)]
    wanted = Slope(
        np.array([s.value for s in slopes]).T.reshape(m, n),
        np.array([s.error for s in slopes]).T.reshape(m, n),
    )
    scale = float(np.max(np.abs(wanted.value), initial=0.0))
    for mode, times in maps.items():
        if mode == "forward":
            came = np.array([times(e) for e in np.eye(n)]).T.reshape(m, n)
        else:
            came = np.array([times(e) for e in np.eye(m)]).reshape(m, n)
        excess = np.abs(came - wanted.value) - level.tolerance(came, wanted, scale)
        if not np.all(excess <= 0):
            j, i = np.unravel_index(
                int(np.argmax(np.where(np.isnan(excess), np.inf, excess))), excess.shape
            )
            level.refuse(
                mode,
                int(i),
                int(j),
                came[j, i],
                wanted.value[j, i],
                np.eye(n)[i],
                _pattern(level, came, wanted.value),
            )


def _pattern(level: _Level, came: np.ndarray, wanted: np.ndarray) -> str | None:
    """What turns the whole wrong Jacobian into the right one, if it is that simple."""
    if (
        came.shape == came.T.shape
        and not np.allclose(came, wanted)
        and np.allclose(came.T, wanted, rtol=1e-5)
    ):
        return "it is the transpose of the right one"
    return None


def _sampled(level: _Level, maps: dict[str, Vector], rng: np.random.Generator) -> None:
    """Some directions through one argument at a time; a wrong one is halved down to the entry."""
    offsets = level.problem.offsets
    u = rng.standard_normal(level.m)
    x_bar = maps["reverse"](u) if "reverse" in maps else None
    for a, b in pairwise(offsets):
        for _ in range(DIRECTIONS if b > a else 0):
            v = np.zeros(level.n)
            v[a:b] = rng.standard_normal(b - a)
            slope = level.along(v)
            scale = float(np.max(np.abs(slope.value), initial=0.0))
            if "forward" in maps:
                came = maps["forward"](v)
                excess = np.abs(came - slope.value) - level.tolerance(came, slope, scale)
                if not np.all(excess <= 0):
                    j = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
                    _narrowed(
                        level,
                        "forward",
                        v,
                        j,
                        lambda d, j=j: maps["forward"](d)[j],
                        lambda d, j=j: level.along(d).value[j],
                    )
            if x_bar is not None:
                got, want = float(x_bar @ v), float(u @ slope.value)
                room = (
                    level.rtol * (np.abs(x_bar) @ np.abs(v) + np.abs(u) @ np.abs(slope.value))
                    + 4 * np.abs(u) @ slope.error
                )
                if not abs(got - want) <= room:
                    _narrowed(
                        level,
                        "reverse",
                        v,
                        None,
                        lambda d: float(x_bar @ d),
                        lambda d: float(u @ level.along(d).value),
                    )


def _narrowed(
    level: _Level,
    mode: str,
    v: np.ndarray,
    j: int | None,
    came: Callable[[np.ndarray], float],
    wanted: Callable[[np.ndarray], float],
) -> None:
    """The entry of v that is to blame, by halving; refused."""
    where = np.flatnonzero(v)
    while len(where) > 1:
        halves = np.array_split(where, 2)
        gaps = []
        for half in halves:
            part = np.zeros_like(v)
            part[half] = v[half]
            gap = abs(came(part) - wanted(part))
            gaps.append(np.inf if np.isnan(gap) else gap)
        where = halves[int(np.argmax(gaps))]
    unit = np.zeros_like(v)
    unit[where] = 1.0
    level.refuse(mode, int(where[0]), j, came(unit), wanted(unit), unit, None)


def _transposes(level: _Level, maps: dict[str, Vector], rng: np.random.Generator) -> None:
    """⟨ȳ, J ẋ⟩ = ⟨Jᵀ ȳ, ẋ⟩."""
    for _ in range(DIRECTIONS):
        v, u = rng.standard_normal(level.n), rng.standard_normal(level.m)
        y_dot, x_bar = maps["forward"](v), maps["reverse"](u)
        left, right = float(u @ y_dot), float(x_bar @ v)
        room = max(1e-8, 1e-2 * level.rtol) * (
            np.abs(u) @ np.abs(y_dot) + np.abs(x_bar) @ np.abs(v)
        )
        if not abs(left - right) <= room:
            raise GradientError(
                f"check_gradients: {level.what} of {level.problem.name} by forward "
                "and by reverse mode disagree",
                got={
                    "forward ⟨ȳ, J ẋ⟩": f"{left:.12g}",
                    "reverse ⟨Jᵀ ȳ, ẋ⟩": f"{right:.12g}",
                    "off by": f"{abs(left - right):.3g}",
                },
                want="the same number: each mode's rule is the transpose of the other's",
            )
