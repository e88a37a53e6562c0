"""Random programs: expressions over nearly all differentiable operations, drawn from a seed.

A `Program` is a list of `Step`s, each the name of a move, the values it takes (inputs first, then
the results of earlier steps, by number) and parameters. It names no library: a table of moves runs
it, and tests/oracles has such tables for torch and jax. `MOVES` says for each move how overbar
runs it and how its inputs and parameters are drawn; one whose public names are missing is left
out. Every value is used, reused or summed into the result, and stays between about −20 and 20.
"""

# ruff: noqa: PLW0108  (a lambda in a table gives the keywords of a step their names)

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

import overbar as ob
from overbar.primitive import PUBLIC

LARGEST = 48  # entries of any value
GREATEST = 20.0  # magnitude of any entry; what exceeds it is squashed


class Step(NamedTuple):
    name: str
    inputs: tuple[int, ...]
    params: dict[str, Any]


class Move(NamedTuple):
    """How a step is run by overbar, and how it is drawn: (inputs, params), or None if it cannot."""

    run: Callable[..., Any]
    draw: Callable[["Draft"], tuple[Sequence[int], dict[str, Any]] | None]
    needs: tuple[str, ...]


@dataclass
class Program:
    """Values for the inputs, the steps, and how the results are weighed into one number."""

    xs: list[np.ndarray]
    steps: list[Step]
    weights: dict[int, np.ndarray] = field(default_factory=dict)

    def values(self, table: dict[str, Callable[..., Any]], xs: Sequence[Any]) -> list[Any]:
        """Every value, by number, as the library of the table computes it."""
        found = list(xs)
        for step in self.steps:
            found.append(table[step.name](*(found[i] for i in step.inputs), **step.params))
        return found

    def __call__(self, table: dict[str, Callable[..., Any]], *xs: Any) -> Any:
        """The result: all sinks, weighed and added up."""
        found = self.values(table, xs)
        total = None
        for i, weight in self.weights.items():
            term = table["weighed"](found[i], weight=weight)
            total = term if total is None else total + term
        return total

    def __str__(self) -> str:
        lines = [f"{i}: input {x.shape}" for i, x in enumerate(self.xs)]
        for i, step in enumerate(self.steps, len(self.xs)):
            lines.append(f"{i}: {step.name}{step.inputs} {step.params}")
        return "\n".join([*lines, f"result: {list(self.weights)}"])


MOVES: dict[str, Move] = {}


def move(name, run, draw, *needs):
    """Enter a move into the table, if overbar has the names it needs."""
    if all(_has(n) for n in needs or (name,)):
        MOVES[name] = Move(run, draw, needs or (name,))


def named(name):
    """The public function of this name, "sin" or "linalg.inv"; None if there is none."""
    try:
        return attrgetter(name)(ob)
    except AttributeError:
        space, _, name = name.rpartition(".")
        return PUBLIC.get(space, {}).get(name)


def _has(name):
    return named(name) is not None


class Draft:
    """A program in the making. `pick` makes every choice, so that hypothesis can make them too."""

    def __init__(self, pick: Callable[[Sequence[Any]], Any], rng: np.random.Generator) -> None:
        self.pick, self.rng = pick, rng
        self.steps: list[Step] = []
        self.values: list[np.ndarray] = []
        shapes = [(3,), (2, 3), (), (3, 3), (1, 3), (2, 1, 3), (4,), (2, 2, 3), (2, 4)]
        self.xs = [np.asarray(rng.standard_normal(pick(shapes))) for _ in range(pick((1, 2, 3)))]
        self.values += self.xs

    # -- choosing ------------------------------------------------------------------------------

    def some(
        self, *, ndim: int = 0, most: int = LARGEST, ok: Callable[[Any], bool] | None = None
    ) -> int:
        """A value with at least so many axes; a recent one if there is a choice."""
        fits = [
            i
            for i, v in enumerate(self.values)
            if v.ndim >= ndim and 0 < v.size <= most and (ok is None or ok(v))
        ]
        if not fits:
            raise ImpossibleError
        return self.pick(fits[-6:])

    def axis(self, i: int) -> int:
        """An axis of a value, counted from either end."""
        n = self.values[i].ndim
        return self.pick(range(-n, n))

    def axes(self, i: int) -> Any:
        """One axis, several, or None."""
        n = self.values[i].ndim
        several = [t for k in range(1, n + 1) for t in itertools.permutations(range(n), k)]
        return self.pick([None, *range(-n, n), *several[:12]])

    def keepdims(self) -> bool:
        return self.pick((False, True))

    # -- adding steps --------------------------------------------------------------------------

    def add(self, name: str, inputs: Sequence[int], params: dict[str, Any] | None = None) -> int:
        """One more step; its result is squashed if it is large."""
        step = Step(name, tuple(int(i) for i in inputs), params or {})
        with np.errstate(all="ignore"):
            value = np.asarray(
                MOVES[name].run(*(self.values[i] for i in step.inputs), **step.params).value
            )
        if not np.all(np.isfinite(value)):
            raise ImpossibleError
        self.steps.append(step)
        self.values.append(value)
        at = len(self.values) - 1
        if np.max(np.abs(value), initial=0) > GREATEST:
            return self.add("tanh", (self.add("affine", (at,), {"a": 0.05, "b": 0.1}),))
        return at

    def positive(self, i: int) -> int:
        """A value made positive: x² + 0.5, at most about 5."""
        return self.add("affine", (self.add("square", (self.bounded(i),)),), {"a": 1.0, "b": 0.5})

    def bounded(self, i: int) -> int:
        """A value between −2 and 2."""
        if np.max(np.abs(self.values[i]), initial=0) <= 1.5:
            return i
        return self.add("tanh", (i,))

    def unit(self, i: int) -> int:
        """A value between −0.9 and 0.9."""
        return self.add("affine", (self.add("tanh", (i,)),), {"a": 0.9, "b": 0.0})

    def shaped(self, i: int, shape: tuple[int, ...]) -> int:
        """A value brought to a shape: cut or repeated, whatever it takes."""
        n, size = math.prod(shape), self.values[i].size
        flat = self.add("reshape", (i,), {"shape": (size,)})
        index = tuple(int(k) for k in np.arange(n) % size)
        return self.add(
            "reshape", (self.add("gather", (flat,), {"index": index}),), {"shape": shape}
        )

    def finished(self) -> Program:
        """The program; everything that nothing uses goes into its result, and the last value."""
        used = {i for step in self.steps for i in step.inputs}
        sinks = [i for i in range(len(self.values)) if i not in used or i == len(self.values) - 1]
        weights = {i: np.asarray(self.rng.uniform(0.5, 1.5, self.values[i].shape)) for i in sinks}
        return Program(self.xs, self.steps, weights)


class ImpossibleError(Exception):
    """The move that was picked does not fit what is there."""


def drafted(pick: Callable[[Sequence[Any]], Any], rng: np.random.Generator, length: int) -> Program:
    """A program of at least so many steps."""
    draft = Draft(pick, rng)
    names = sorted(MOVES)
    tries = 0
    while len(draft.steps) < length and tries < 10 * length:
        tries += 1
        name = pick(names)
        before = len(draft.steps), len(draft.values)
        try:
            drawn = MOVES[name].draw(draft)
            draft.add(name, *drawn)
        except ImpossibleError:
            del draft.steps[before[0] :], draft.values[before[1] :]
    return draft.finished()


def program(seed: int, length: int = 12) -> Program:
    """The program of this seed."""
    rng = np.random.default_rng([seed, 7])

    def pick(options: Sequence[Any]) -> Any:
        return options[int(rng.integers(len(options)))]

    return drafted(pick, rng, length)


# -- the moves: elementwise -------------------------------------------------------------------


def one(domain="some", **limits):
    """Drawn: one value, brought into a domain."""

    def draw(g):
        i = g.some(**limits)
        return (getattr(g, domain)(i) if domain != "some" else i,), {}

    return draw


ANYWHERE = (
    "positive negative sin cos tanh sigmoid square abs relu atan asinh "
    "softplus silu gelu elu log_sigmoid hard_tanh"
)
SMALL = "exp expm1 sinh cosh exp2"
POSITIVE = "log sqrt log1p reciprocal log2 log10 cbrt"
UNIT = "asin acos atanh"
SPECIAL = {
    "erf": "bounded",
    "erfc": "bounded",
    "ndtr": "bounded",
    "log_ndtr": "bounded",
    "gammaln": "positive",
    "digamma": "positive",
    "expit": "some",
    "logit": "half",
    "erfinv": "unit",
    "ndtri": "half",
    "entr": "positive",
    "i0": "bounded",
    "i1": "bounded",
    "j0": "bounded",
    "j1": "bounded",
    "gamma": "positive",
    "erfcx": "bounded",
}
PLAIN = {"some": ANYWHERE, "bounded": SMALL, "positive": POSITIVE, "unit": UNIT}

Draft.half = lambda g, i: g.add("affine", (g.add("tanh", (i,)),), {"a": 0.4, "b": 0.5})

for _domain, _names in PLAIN.items():
    for _name in _names.split():
        move(_name, lambda x, _n=_name: getattr(ob, _n)(x), one(_domain))
for _name, _domain in SPECIAL.items():
    move(
        f"special.{_name}",
        lambda x, _n=f"special.{_name}": named(_n)(x),
        one(_domain),
        f"special.{_name}",
    )

move(
    "affine",
    lambda x, a, b: x * a + b if isinstance(x, ob.Tensor) else ob.asarray(x) * a + b,
    lambda g: ((g.some(),), {"a": g.pick((-1.5, 0.5, 2.0)), "b": g.pick((0.0, -0.25, 1.0))}),
    "add",
)
move(
    "weighed",
    lambda x, weight: ob.sum(ob.multiply(x, weight)),
    lambda g: (
        (i := g.some(),),
        {"weight": np.asarray(g.rng.uniform(0.5, 1.5, g.values[i].shape))},
    ),
    "sum",
)
move(
    "whole_power",
    lambda x, n: ob.pow(ob.asarray(x), n),
    lambda g: ((g.bounded(g.some()),), {"n": g.pick((0, 1, 2, 3, 4))}),
    "pow",
)
move(
    "leaky_relu", lambda x, slope: ob.leaky_relu(x, slope), lambda g: ((g.some(),), {"slope": 0.1})
)
move(
    "clip",
    lambda x, low, high: ob.clip(x, low, high),
    lambda g: ((g.some(),), {"low": -0.6, "high": 0.7}),
)


def broadcastable(g, i):
    """A value that broadcasts with value i, into something not too large."""

    def fits(v):
        try:
            return math.prod(np.broadcast_shapes(v.shape, g.values[i].shape)) <= LARGEST
        except ValueError:
            return False

    return g.some(ok=fits)


def two(left="some", right="some"):
    """Drawn: two values that broadcast together, each brought into a domain."""

    def draw(g):
        i = g.some()
        j = broadcastable(g, i)
        i, j = g.pick(((i, j), (j, i)))
        return tuple(getattr(g, d)(k) if d != "some" else k for d, k in ((left, i), (right, j))), {}

    return draw


BINARY = {
    "add": (),
    "subtract": (),
    "multiply": (),
    "divide": ("some", "positive"),
    "maximum": (),
    "minimum": (),
    "power": ("positive", "bounded"),
    "atan2": ("some", "positive"),
    "hypot": (),
    "logaddexp": (),
}
for _name, _domains in BINARY.items():
    move(_name, lambda x, y, _n=_name: getattr(ob, _n)(x, y), two(*_domains))
move(
    "special.xlogy",
    lambda x, y: named("special.xlogy")(x, y),
    two("positive", "positive"),
    "special.xlogy",
)
move(
    "acosh",
    lambda x: ob.acosh(x),
    lambda g: ((g.add("affine", (g.positive(g.some()),), {"a": 2.0, "b": 1.0}),), {}),
)
move("sinc", lambda x: ob.sinc(x), one())
move("tan", lambda x: ob.tan(x), one("unit"))
move("gelu_tanh", lambda x: ob.gelu(x, approximate=True), one(), "gelu")
move(
    "special.polygamma",
    lambda x, n: named("special.polygamma")(n, x),
    lambda g: ((g.positive(g.some()),), {"n": g.pick((1, 2))}),
    "special.polygamma",
)
move(
    "special.beta",
    lambda x, y: named("special.beta")(x, y),
    two("positive", "positive"),
    "special.beta",
)
move(
    "special.xlog1py",
    lambda x, y: named("special.xlog1py")(x, y),
    two("some", "positive"),
    "special.xlog1py",
)
move(
    "special.betaln",
    lambda x, y: named("special.betaln")(x, y),
    two("positive", "positive"),
    "special.betaln",
)


def draw_where(g):
    i = g.some()
    j = broadcastable(g, i)
    return (i, j, broadcastable(g, g.add("add", (i, j)))), {}


move("where", lambda x, y, z: ob.where(ob.greater(x, y), x, z), draw_where)

# -- moving entries about ---------------------------------------------------------------------


def factorisations(n):
    """Shapes with n entries."""
    shapes = [(n,), (1, n), (n, 1)]
    for a in range(2, n):
        if n % a == 0:
            shapes += [(a, n // a), (a, 1, n // a)]
            shapes += [(a, b, n // a // b) for b in range(2, n // a) if n // a % b == 0][:2]
    return shapes


def draw_reshape(g):
    i = g.some()
    return (i,), {"shape": g.pick(factorisations(g.values[i].size))}


def draw_transpose(g):
    i = g.some(ndim=2)
    return (i,), {"axes": g.pick(list(itertools.permutations(range(g.values[i].ndim))))}


def draw_broadcast(g):
    i = g.some(most=12)
    return (i,), {"shape": (2, *g.values[i].shape)}


def draw_slice(g):
    i = g.some(ndim=1)
    first, *rest = (slice_of(g, n) for n in g.values[i].shape)
    index = (g.pick((first, first, None)), *rest)
    return (i,), {"index": index}


def slice_of(g, n):
    """An index of an axis of size n."""
    whole, back, every_other = slice(None), slice(None, None, -1), slice(None, None, 2)
    return g.pick([whole, 0, -1, back, slice(min(1, n - 1), None), every_other, slice(-1, None)])


def draw_gather(g):
    i = g.some(ndim=1, most=24)
    n = g.values[i].shape[0]
    return (i,), {"index": tuple(g.pick(range(-n, n)) for _ in range(g.pick((1, 2, 3))))}


def draw_take_pairs(g):
    i = g.some(ndim=2)
    n, m = g.values[i].shape[:2]
    k = g.pick((1, 2, 4))
    return (i,), {
        "rows": tuple(g.pick(range(n)) for _ in range(k)),
        "columns": tuple(g.pick(range(m)) for _ in range(k)),
    }


def draw_join(g):
    i = g.some(ndim=1, most=24)
    like = [k for k, v in enumerate(g.values) if v.shape == g.values[i].shape]
    return (i, g.pick(like), g.pick(like)), {"axis": g.axis(i)}


def draw_axis(ndim=1, ok=None, domain="some"):
    def draw(g):
        i = g.some(ndim=ndim, ok=ok)
        i = getattr(g, domain)(i) if domain != "some" else i
        return (i,), {"axis": g.axis(i)}

    return draw


def draw_put(g):
    i = g.some(ndim=1)
    j = g.shaped(g.some(), (2, *g.values[i].shape[1:]))
    n = g.values[i].shape[0]
    return (i, j), {"index": (g.pick(range(n)), g.pick(range(n)))}


def replaced(x, v, index):
    t = ob.asarray(x) + 0.0
    t[np.array(index)] = v
    return t


move("reshape", lambda x, shape: ob.reshape(x, shape), draw_reshape)
move("permute_dims", lambda x, axes: ob.permute_dims(x, axes), draw_transpose)
move("broadcast_to", lambda x, shape: ob.broadcast_to(x, shape), draw_broadcast)
move("slice", lambda x, index: ob.asarray(x)[index], draw_slice, "asarray")
move("gather", lambda x, index: ob.asarray(x)[np.array(index)], draw_gather, "asarray")
move(
    "pairs",
    lambda x, rows, columns: ob.asarray(x)[np.array(rows), np.array(columns)],
    draw_take_pairs,
    "asarray",
)
move("put", replaced, draw_put, "asarray")
move("concat", lambda *xs, axis: ob.concat(xs, axis=axis), draw_join)
move("stack", lambda *xs, axis: ob.stack(xs, axis=axis), draw_join)
move("flip", lambda x, axis: ob.flip(x, axis=axis), draw_axis())
move(
    "roll",
    lambda x, shift, axis: ob.roll(x, shift, axis=axis),
    lambda g: ((i := g.some(ndim=1),), {"shift": g.pick((-2, 1, 3)), "axis": g.axis(i)}),
)
move(
    "repeat",
    lambda x, n, axis: ob.repeat(x, n, axis=axis),
    lambda g: ((i := g.some(ndim=1, most=16),), {"n": g.pick((1, 2, 3)), "axis": g.axis(i)}),
)
move(
    "tile",
    lambda x, n: ob.tile(x, n),
    lambda g: ((g.some(ndim=1, most=12),), {"n": g.pick(((2,), (1, 2), (2, 1)))}),
)
move(
    "expand_dims",
    lambda x, axis: ob.expand_dims(x, axis=axis),
    lambda g: ((g.some(),), {"axis": g.pick((0, -1))}),
)
move(
    "pad",
    lambda x, widths: ob.pad(x, widths),
    lambda g: (
        (i := g.some(ndim=1, most=9),),
        {"widths": tuple((g.pick((0, 1)), g.pick((0, 1, 2))) for _ in g.values[i].shape)},
    ),
)
move("tril", lambda x, k: ob.tril(x, k=k), lambda g: ((g.some(ndim=2),), {"k": g.pick((-1, 0, 1))}))
move("triu", lambda x, k: ob.triu(x, k=k), lambda g: ((g.some(ndim=2),), {"k": g.pick((-1, 0, 1))}))
move("diagonal", lambda x: ob.diagonal(x), one(ndim=2), "diagonal")


def draw_split(g):
    i = g.some(ndim=1, ok=lambda v: v.shape[0] % 2 == 0)
    return (i,), {"axis": 0, "part": g.pick((0, 1))}


move("split", lambda x, axis, part: ob.split(x, 2, axis=axis)[part], draw_split)


def draw_along(g):
    i = g.some(ndim=1, most=16)
    v = g.values[i]
    axis = g.pick(range(v.ndim))
    index = np.asarray(g.rng.integers(0, v.shape[axis], v.shape))
    return (i,), {"index": index, "axis": axis}


move("take_along_axis", lambda x, index, axis: ob.take_along_axis(x, index, axis=axis), draw_along)
move(
    "take",
    lambda x, index, axis: ob.take(x, np.array(index), axis=axis),
    lambda g: ((i := g.some(ndim=1, most=16),), {"index": (0, 0, -1), "axis": g.axis(i)}),
)


def draw_scatter(g):
    i = g.some(ndim=1, most=16)
    n = g.values[i].shape[0]
    return (i, g.shaped(g.some(), (2, *g.values[i].shape[1:]))), {
        "index": (g.pick(range(n)), g.pick(range(n)))
    }


move("scatter_add", lambda x, v, index: ob.scatter_add(x, np.array(index), v), draw_scatter)

# -- from many to few -------------------------------------------------------------------------


def draw_reduce(domain="some", ok=None):
    def draw(g):
        i = g.some(ok=ok)
        i = getattr(g, domain)(i) if domain != "some" else i
        return (i,), {"axis": g.axes(i), "keepdims": g.keepdims()}

    return draw


def spread_out(v):
    """Whether no slice is (nearly) constant: a deviation or a norm of 0 has no derivative."""
    return v.size > 1 and all(n > 1 for n in v.shape) and len(np.unique(v.round(3))) == v.size


for _name in ("sum", "mean", "max", "min", "logsumexp"):
    move(_name, lambda x, _n=_name, **how: getattr(ob, _n)(x, **how), draw_reduce())
move("prod", lambda x, **how: ob.prod(x, **how), draw_reduce("bounded"))
for _name in ("std", "var"):
    move(
        _name, lambda x, _n=_name, **how: getattr(ob, _n)(x, **how), draw_reduce("some", spread_out)
    )
for _name in ("softmax", "log_softmax", "cumsum"):
    move(_name, lambda x, axis, _n=_name: getattr(ob, _n)(x, axis=axis), draw_axis())
move("cumprod", lambda x, axis: ob.cumprod(x, axis=axis), draw_axis(domain="bounded"))
for _name in ("sort", "median"):
    move(_name, lambda x, axis, _n=_name: getattr(ob, _n)(x, axis=axis), draw_axis(ok=spread_out))

# -- products ---------------------------------------------------------------------------------


def draw_matmul(g):
    left, right = g.pick(
        (
            ((2, 3), (3, 2)),
            ((3,), (3, 2)),
            ((2, 3), (3,)),
            ((3,), (3,)),
            ((2, 2, 3), (3, 2)),
            ((2, 3), (2, 3, 2)),
            ((2, 1, 2, 3), (2, 3, 1)),
            ((2, 1, 3), (2, 3, 2)),
        )
    )
    return (g.shaped(g.some(), left), g.shaped(g.some(), right)), {}


EINSUMS = {
    "ij,jk->ik": ((2, 3), (3, 2)),
    "ij,ij->": ((2, 3), (2, 3)),
    "i,j->ij": ((3,), (2,)),
    "ii->i": ((3, 3),),
    "ij->ji": ((2, 3),),
    "bij,bjk->bik": ((2, 2, 3), (2, 3, 2)),
    "ij,j->i": ((2, 3), (3,)),
    "ii": ((3, 3),),
    "...i,ij->...j": ((2, 2, 3), (3, 2)),
    "i,i,i->i": ((3,), (3,), (3,)),
    "ijk->j": ((2, 2, 3),),
}


def draw_einsum(g):
    spec = g.pick(list(EINSUMS))
    return tuple(g.shaped(g.some(), s) for s in EINSUMS[spec]), {"spec": spec}


def square_matrix(g):
    """A well-conditioned matrix."""
    return g.add("dominant", (g.unit(g.shaped(g.some(), g.pick(((2, 2), (3, 3), (2, 2, 2))))),))


def draw_apart(g):
    """A symmetric matrix whose eigenvalues are well apart."""
    a = g.add("gram", (g.unit(g.shaped(g.some(), (3, 2))),))
    i = g.add("ladder", (a,))
    if np.min(np.diff(np.linalg.eigvalsh(g.values[i]))) < 0.2:
        raise ImpossibleError
    return (i,), {}


def draw_solve(g):
    a = square_matrix(g)
    return (a, g.shaped(g.some(), (*g.values[a].shape[:-1], 2))), {}


move("matmul", lambda a, b: ob.matmul(a, b), draw_matmul)
move("einsum", lambda *xs, spec: ob.einsum(spec, *xs), draw_einsum)
move(
    "outer",
    lambda a, b: ob.outer(a, b),
    lambda g: ((g.shaped(g.some(), (3,)), g.shaped(g.some(), (2,))), {}),
)
move(
    "kron",
    lambda a, b: ob.kron(a, b),
    lambda g: ((g.shaped(g.some(), (2, 2)), g.shaped(g.some(), (1, 3))), {}),
)
move(
    "tensordot",
    lambda a, b: ob.tensordot(a, b, axes=1),
    lambda g: ((g.shaped(g.some(), (2, 3)), g.shaped(g.some(), (3, 2))), {}),
)
move(
    "dominant",
    lambda x: ob.add(x, 3 * np.eye(ob.asarray(x).shape[-1])),
    lambda g: ((g.unit(g.shaped(g.some(), (3, 3))),), {}),
    "add",
)
move(
    "gram",
    lambda x: ob.add(
        ob.matmul(x, ob.matrix_transpose(ob.asarray(x))), np.eye(ob.asarray(x).shape[-2])
    ),
    lambda g: ((g.unit(g.shaped(g.some(), (3, 2))),), {}),
    "matmul",
)
move(
    "ladder",
    lambda x: ob.add(x, np.diag([0.0, 2.0, 5.0])),
    lambda g: ((g.shaped(g.some(), (3, 3)),), {}),
    "add",
)
move("linalg.solve", lambda a, b: named("linalg.solve")(a, b), draw_solve, "linalg.solve")
for _name in ("inv", "det"):
    move(
        f"linalg.{_name}",
        lambda a, _n=f"linalg.{_name}": named(_n)(a),
        lambda g: ((square_matrix(g),), {}),
        f"linalg.{_name}",
    )
move(
    "linalg.cholesky",
    lambda a: named("linalg.cholesky")(a),
    lambda g: ((g.add("gram", (g.unit(g.shaped(g.some(), (3, 2))),)),), {}),
    "linalg.cholesky",
)
move(
    "linalg.slogdet",
    lambda a: named("linalg.slogdet")(a)[1],
    lambda g: ((square_matrix(g),), {}),
    "linalg.slogdet",
)
move("linalg.eigvalsh", lambda a: named("linalg.eigvalsh")(a), draw_apart, "linalg.eigvalsh")
move("linalg.svdvals", lambda a: named("linalg.svdvals")(a), draw_apart, "linalg.svdvals")
move(
    "linalg.norm_of_rows",
    lambda x, p: named("linalg.vector_norm")(x, ord=p, axis=-1),
    lambda g: ((g.some(ndim=1, ok=spread_out),), {"p": g.pick((1, 2, 3, math.inf))}),
    "linalg.vector_norm",
)
move(
    "linalg.norm",
    lambda x: named("linalg.vector_norm")(x),
    one(ok=spread_out),
    "linalg.vector_norm",
)

# -- windows ----------------------------------------------------------------------------------

move(
    "conv",
    lambda x, w, stride, padding: ob.conv(x, w, stride=stride, padding=padding),
    lambda g: (
        (g.shaped(g.some(), (1, 2, 5)), g.shaped(g.some(), (2, 2, 3))),
        {"stride": g.pick((1, 2)), "padding": g.pick((0, 1))},
    ),
)
move(
    "conv2",
    lambda x, w, stride, padding: ob.conv(x, w, stride=stride, padding=padding),
    lambda g: (
        (g.shaped(g.some(), (1, 1, 4, 4)), g.shaped(g.some(), (2, 1, 2, 2))),
        {"stride": g.pick((1, 2)), "padding": g.pick((0, 1))},
    ),
    "conv",
)
move(
    "conv_transpose",
    lambda x, w, stride: ob.conv_transpose(x, w, stride=stride),
    lambda g: (
        (g.shaped(g.some(), (1, 2, 4)), g.shaped(g.some(), (2, 1, 3))),
        {"stride": g.pick((1, 2))},
    ),
)
move(
    "unfold",
    lambda x, size: ob.unfold(x, size),
    lambda g: ((g.shaped(g.some(), (1, 1, 4, 3)),), {"size": 2}),
)
move(
    "max_pool",
    lambda x, size: ob.max_pool(x, size),
    lambda g: ((g.shaped(g.some(ok=spread_out, ndim=2), (1, 1, 4, 4)),), {"size": 2}),
)
move(
    "avg_pool",
    lambda x, size: ob.avg_pool(x, size),
    lambda g: ((g.shaped(g.some(), (1, 1, 4, 4)),), {"size": 2}),
)

OVERBAR = {name: m.run for name, m in MOVES.items()}
