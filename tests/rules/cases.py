"""What the rules are tested on: every primitive of the registry, at sample points.

A `Case` is one primitive with arguments and params. They come from the primitive's `samples`, or
are drawn from an elementwise primitive's `domain`, so a primitive is tested the moment it exists.
`derivative` is the reference that knows nothing of rules: extrapolated central differences.
"""

import contextlib
import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import overbar as ob
from overbar.elementwise import Elementwise
from overbar.handle import Tensor, from_value
from overbar.ops.movement import parts
from overbar.primitive import PRIMITIVES, Primitive

# Primitives that these files cannot feed, and where they are tested instead.
ELSEWHERE = {
    "part": "takes the tuple of an operation with several results; runs in every test of those",
    # Their params are graphs or Python functions: tests/compositions.
    "call": "a graph for a parameter",
    "switch": "graphs for a parameter",
    "scan": "a graph for a parameter",
    "while": "graphs for a parameter",
    "deferred": "a function for a parameter",
    "gate": "a function for a parameter",
    "forward_gate": "a function for a parameter",
    "callback": "a function for a parameter",
    # Without the derivative of what completes a basis: tests/ops/test_linalg.py.
    "qr_complete": "its derivative is refused",
    "svd_bases": "its derivative is refused",
}

OPS = [op for op in PRIMITIVES.values() if op.name not in ELSEWHERE]
SMOOTH = [op for op in OPS if not op.flat]
FLAT_OPS = [op for op in OPS if op.flat]
ELEMENTWISE = [op for op in OPS if isinstance(op, Elementwise)]


def name_of(op: Any) -> str:
    """The parameter's id in a test's name."""
    return op.name


@dataclass(frozen=True, eq=False)
class Case:
    """One application: the operation, raw arguments, params."""

    op: Primitive
    xs: tuple[Any, ...]
    params: dict[str, Any]

    @property
    def floats(self) -> list[int]:
        """Which arguments are floating, that is: may be differentiated by."""
        return [i for i, x in enumerate(self.xs) if x.dtype.kind in "fc"]

    @property
    def points(self) -> list[Any]:
        """The floating arguments."""
        return [self.xs[i] for i in self.floats]

    def of(self, xs: Any) -> "Case":
        """The same application to other arguments."""
        return Case(self.op, tuple(xs), self.params)

    def __call__(self, *points: Any) -> tuple[Any, ...]:
        """The floating results, as a function of the floating arguments, in any world."""
        xs = list(self.xs)
        for i, x in zip(self.floats, points, strict=True):
            xs[i] = x
        return tuple(y for y in results(self.op, xs, self.params) if y.dtype.kind in "fc")

    def __str__(self) -> str:
        args = ", ".join(f"{x.dtype}{list(x.shape)}" for x in self.xs)
        return f"{self.op.name}({args}, {self.params})"


def results(op: Primitive, xs: Any, params: dict[str, Any]) -> tuple[Any, ...]:
    """All results of an operation, one or several, raw or Tensors."""
    y = op(*xs, **params)
    if isinstance(y, Tensor):
        return parts(y) if isinstance(y.spec, tuple) else (y,)
    return y if isinstance(y, tuple) else (y,)


def rng_for(op: Primitive, seed: int = 0) -> np.random.Generator:
    """Numbers that depend on the primitive's name and the seed only."""
    return np.random.default_rng([zlib.crc32(op.name.encode()), seed])


def cases(op: Primitive, seed: int = 0, kind: str = "d") -> list[Case]:
    """The sample points of a primitive; kind: "f", "d", "D" (or "F") float32 to complex."""
    rng = rng_for(op, seed)
    if op.samples is not None:
        found = [
            Case(op, tuple(np.asarray(x) for x in xs), dict(params))
            for xs, params in op.samples(lambda *shape: np.asarray(rng.standard_normal(shape)))
        ]
        if isinstance(op, Elementwise):
            found += [c.of(cut(x) for x in c.xs) for c in found[:1] for cut in (_number, _nothing)]
    else:
        assert isinstance(op, Elementwise), f"{op.name} has no samples, so nothing can test it"
        found = [Case(op, tuple(drawn(op, rng, shape)), {}) for shape in ((2, 3), (4,), (), (0, 2))]
    assert found, f"{op.name} has no samples, so nothing can test it"
    return [c.of(_as_kind(x, _kind_for(c, kind), rng) for x in c.xs) for c in found]


def drawn(op: Elementwise, rng: np.random.Generator, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Arguments inside the domain of an elementwise primitive."""
    domain = op.domain
    if isinstance(domain[0], int | float):
        domain = [domain] * op.arity
    return [np.asarray(rng.uniform(low, high, shape)) for low, high in domain]


def _number(x: Any) -> Any:
    return np.asarray(x.reshape(-1)[0])


def _nothing(x: Any) -> Any:
    return x.reshape(-1)[:0]


def _kind_for(case: Case, kind: str) -> str:
    """A case that names a real dtype of its own stays real."""
    to = case.params.get("dtype")
    real = to is not None and np.dtype(to).kind != "c"
    return kind.lower() if real else kind


def _as_kind(x: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    if x.dtype.kind == "f" and kind in "DF":
        return (x + 0.25j * np.asarray(rng.standard_normal(x.shape))).astype(kind)
    if x.dtype.kind in "fc" and kind in "fF":
        return x.astype("F" if x.dtype.kind == "c" else "f")
    return x


def smooth_cases(op: Primitive, seed: int = 0, kind: str = "d") -> list[Case]:
    """Those with something to differentiate; there must be one."""
    found = [c for c in cases(op, seed, kind) if c.floats and c(*c.points)]
    assert found, f"{op.name} has a derivative, but no sample with floating arguments and results"
    return found


def several_outputs(case: Case) -> list[tuple[int, ...]]:
    """Which results to ask about: all together, and each alone if there are several."""
    n = len(case(*case.points))
    return [tuple(range(n))] + ([(i,) for i in range(n)] if n > 1 else [])


def only(case: Case, chosen: tuple[int, ...]) -> Callable[..., tuple[Any, ...]]:
    """The case's function, restricted to some of its results."""

    def f(*points: Any) -> tuple[Any, ...]:
        ys = case(*points)
        return tuple(ys[i] for i in chosen)

    return f


def directions(values: Any, rng: np.random.Generator) -> list[np.ndarray]:
    """One array like each value, entries of size 1/2 to 1 with random signs (or phases)."""
    found = []
    for v in values:
        d = rng.uniform(0.5, 1, v.shape) * rng.choice([-1.0, 1.0], v.shape)
        if v.dtype.kind == "c":
            d = d + 1j * rng.uniform(0.5, 1, v.shape)
        found.append(np.asarray(d, v.dtype))
    return found


# -- the reference ----------------------------------------------------------------------------


def derivative(f: Callable[..., Any], xs: Any, x_dots: Any, *, h: float = 0.02) -> list[np.ndarray]:
    """The derivative of f at xs in the direction x_dots, by Ridders' method.

    Central differences at eight steps, extrapolated to step 0; entry by entry the element of the
    tableau whose neighbours agree best. Reaches about 1e-11 where f is smooth on that scale, and
    steps back from a kink or an edge of the domain that is near.
    """
    steps = [h / 2**i for i in range(8)]
    with np.errstate(all="ignore"):
        columns = [_difference(f, xs, x_dots, step) for step in steps]
    return [_extrapolated([c[k] for c in columns]) for k in range(len(columns[0]))]


def _difference(f: Callable[..., Any], xs: Any, x_dots: Any, h: float) -> list[np.ndarray]:
    right = f(*(x + h * d for x, d in zip(xs, x_dots, strict=True)))
    left = f(*(x - h * d for x, d in zip(xs, x_dots, strict=True)))
    return [(np.asarray(b) - np.asarray(a)) / (2 * h) for a, b in zip(left, right, strict=True)]


def _extrapolated(column: list[np.ndarray]) -> np.ndarray:
    best, doubt = column[-1], np.full(column[-1].shape, np.inf)
    row: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        for level, first in enumerate(column):
            new, weight = [first], 1.0
            for k in range(level):
                weight *= 4
                new.append(new[k] + (new[k] - row[k]) / (weight - 1))
                error = np.maximum(abs(new[k + 1] - new[k]), abs(new[k + 1] - row[k]))
                better = error < doubt
                best = np.where(better, new[k + 1], best)
                doubt = np.where(better, error, doubt)
            row = new
    return best


# -- comparing --------------------------------------------------------------------------------


@contextlib.contextmanager
def saying(what: Any):
    """Let an error inside say which case it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case {what}")
        raise


def value(x: Any) -> np.ndarray:
    """The plain array of a Tensor or an array."""
    return np.asarray(x.value if isinstance(x, Tensor) else x)


def assert_same_bits(found: Any, wanted: Any) -> None:
    """Equal shapes, dtypes and entries; NaN equals NaN, 0 does not equal −0."""
    found, wanted = value(found), value(wanted)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_array_equal(found, wanted)
    if found.dtype.kind in "fc":
        for part in ("real", "imag"):
            a, b = getattr(found, part), getattr(wanted, part)
            np.testing.assert_array_equal(np.signbit(a[~np.isnan(b)]), np.signbit(b[~np.isnan(b)]))


def assert_close(found: Any, wanted: Any, tolerance: float, scale: float = 0.0) -> None:
    """Equal to within a tolerance relative to the greatest entry (or to `scale`, if greater)."""
    found, wanted = value(found), value(wanted)
    assert found.shape == wanted.shape
    size = max(float(np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted))), scale)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * size)


def noise(values: Any) -> float:
    """Below which differences of these values say nothing: their rounding, at the least step."""
    return 1e-4 * max(1e-4, *(float(np.max(np.abs(value(v)), initial=0)) for v in values), 0.0)


def pairing(bars: Any, dots: Any) -> tuple[float, float]:
    """(Re Σ x̄ ẋ, Σ |x̄ ẋ|): the number that both sweeps must agree on, and its scale."""
    total, scale = 0.0, 0.0
    for bar, dot in zip(bars, dots, strict=True):
        products = value(bar) * value(dot)
        total += float(np.sum(products).real)
        scale += float(np.sum(np.abs(products)))
    return total, scale


# -- lanes and layouts ------------------------------------------------------------------------


def lanes(op: Primitive, n: int = 3, kind: str = "d") -> list[list[Case]]:
    """For each sample, n cases of equal shapes and params with different numbers."""
    rows = zip(*(cases(op, seed, kind) for seed in range(n)), strict=True)
    return [[_turned(case, i) for i, case in enumerate(row)] for row in rows]


def _turned(case: Case, i: int) -> Case:
    """The same index arrays in every lane would hide a rule that uses the first lane's."""
    return case.of(
        np.roll(x.reshape(-1), i).reshape(x.shape) if x.dtype.kind in "iu" else x for x in case.xs
    )


def patterns(arity: int) -> list[tuple[bool, ...]]:
    """Which inputs are mapped: every way, at least one; of many, one, all but one, or all."""
    if arity <= 4:
        return [p for p in itertools.product((True, False), repeat=arity) if any(p)]
    single = [tuple(i == j for j in range(arity)) for i in range(arity)]
    return [*single, *(tuple(not m for m in p) for p in single), (True,) * arity]


def strided(x: np.ndarray) -> np.ndarray:
    """Every second entry of something larger, along every axis."""
    wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    view = wide[(..., *(slice(None, None, 2),) * x.ndim)]
    view[...] = x
    return view


def reversed_strides(x: np.ndarray) -> np.ndarray:
    """The same entries, stored backwards along every axis."""
    back = (..., *(slice(None, None, -1),) * x.ndim)
    return np.array(x[back], order="C")[back]


def column_major(x: np.ndarray) -> np.ndarray:
    """The same entries, stored column by column."""
    return np.array(x, order="F")


def read_only(x: np.ndarray) -> np.ndarray:
    """A rule that writes into what it was handed fails on this."""
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = [strided, reversed_strides, column_major, read_only]


def tensors(xs: Any) -> list[Tensor]:
    """Handles on these very arrays, layout and all."""
    return [from_value(x) for x in xs]


def gradients(case: Case, points: Any, y_bars: Any) -> list[np.ndarray]:
    """The adjoints of the case's floating arguments."""
    _ys, pull = ob.vjp(case, *points)
    return [value(b) for b in pull(tuple(y_bars))]
