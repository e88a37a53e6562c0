"""Which entries of a Jacobian can be different from zero, found from the graph without evaluating
it.

The graph is walked once, from old to young, and each entry carries the set of inputs it depends
on (`dependence`). The pattern of a Hessian is that of the gradient's Jacobian: the gradient is a
graph like any other, so second order needs no rules of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..capture import Captured
from ..errors import DomainError, GradientError, UnknownValueError
from ..graph import Graph, Node
from ..handle import asarray
from ..replay import interpret, whole_value
from ..trees import tree_flatten
from .calls import traced_call
from .dependence import Numbers, dependence
from .indexsets import MOST, IndexSets
from .transforms import differentiable, grad


class DenseError(DomainError):
    """There are too many entries for a pattern to be of use."""


STEPS = 20_000
"""Operations of a loop that are followed one by one; a longer loop is taken for an endless one."""


class Pattern:
    """Where a matrix can be different from zero: entry k is at (rows[k], columns[k]), row by row.

    assumed   the values of indices were looked at, so others can give another pattern
    """

    def __init__(
        self, shape: tuple[int, int], rows: np.ndarray, columns: np.ndarray, assumed: bool = False
    ) -> None:
        self.shape, self.rows, self.columns, self.assumed = shape, rows, columns, assumed

    @property
    def nnz(self) -> int:
        """How many entries there are."""
        return self.rows.size

    @property
    def density(self) -> float:
        """Their share of all."""
        return self.nnz / max(1, self.shape[0] * self.shape[1])

    @property
    def starts(self) -> np.ndarray:
        """Where each row begins: `indptr` of a matrix stored by rows."""
        counts = np.bincount(self.rows, minlength=self.shape[0])
        return np.concatenate([[0], np.cumsum(counts)])

    @property
    def T(self) -> Pattern:  # noqa: N802  (as NumPy has it)
        """The pattern of the transpose."""
        order = np.lexsort((self.rows, self.columns))
        m, n = self.shape
        return Pattern((n, m), self.columns[order], self.rows[order], self.assumed)

    def symmetric(self) -> Pattern:
        """What it has in common with its transpose: all there can be in a symmetric matrix."""
        other = self.T
        n = self.shape[0]
        both = self.rows * n + self.columns, other.rows * n + other.columns
        keys = np.intersect1d(*both, assume_unique=True)
        return Pattern(self.shape, *np.divmod(keys, n), self.assumed)

    def toarray(self) -> np.ndarray:
        """As a matrix of truth values."""
        dense = np.zeros(self.shape, bool)
        dense[self.rows, self.columns] = True
        return dense

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.toarray(), dtype)

    def __repr__(self) -> str:
        m, n = self.shape
        said = f"{m}×{n}, {self.nnz:,} of {m * n:,} entries can be other than zero"
        if max(m, n) > 64:
            return said
        return "\n".join([said, *("".join("▪" if v else "·" for v in r) for r in self.toarray())])


def sparsity(
    f: Callable[..., Any], *args: Any, argnums: int | Sequence[int] | None = None, order: int = 1
) -> Pattern:
    """Which entries of f's Jacobian can be different from zero, without evaluating f.

    A row for each number that f returns, a column for each number of the arguments `argnums` (all
    of floating numbers by default), each counted row by row. Only the arguments' shapes matter. It
    is right for all values of them: what is not in it is zero; what is in it may be zero too.

    order: 2 for the Hessian of a scalar f.

    Raises:  GradientError if no argument is of floating numbers.
    Example:
        >>> ob.sparsity(lambda x: x[1:] * x[:-1], np.zeros(4))
        3×4, 6 of 12 entries can be other than zero
        ▪▪··
        ·▪▪·
        ··▪▪
    """
    if order not in (1, 2):
        raise DomainError(f"sparsity: order={order}", want="1 for the Jacobian, 2 for the Hessian")
    numbers = _floating(args) if argnums is None else argnums
    numbers = [numbers] if isinstance(numbers, int | np.integer) else numbers
    numbers = [int(i) % len(args) for i in numbers]
    if not numbers:
        raise GradientError(
            "sparsity: no argument is of floating numbers",
            got={f"argument {i}": asarray(x) for i, x in enumerate(args)},
            hint="write 3.0 instead of 3",
        )
    found = pattern_of(grad(f, numbers) if order == 2 else f, args, {}, numbers)
    return found.symmetric() if order == 2 else found


def _floating(args: tuple[Any, ...]) -> list[int]:
    found = []
    for i, x in enumerate(args):
        leaves = tree_flatten(x)[0]
        if leaves and all(asarray(leaf).spec.floating for leaf in leaves):
            found.append(i)
    return found


def restricted(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], numbers: Sequence[int]
) -> Callable[..., Any]:
    """f as a function of the chosen arguments only."""

    def g(*chosen: Any) -> Any:
        full = list(args)
        for i, x in zip(numbers, chosen, strict=True):
            full[i] = x
        return f(*full, **kwargs)

    return g


def pattern_of(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], numbers: Sequence[int]
) -> Pattern:
    """The pattern of f's Jacobian by the numbered arguments."""
    chosen = tuple(args[i] for i in numbers)
    for i, x in zip(numbers, chosen, strict=True):
        for leaf in tree_flatten(x)[0]:
            differentiable("sparsity", leaf, i)
    captured = traced_call(restricted(f, args, kwargs, numbers), chosen, {})[0]
    return pattern_in(captured)


def pattern_in(captured: Captured) -> Pattern:
    """The pattern of what was captured: its results by its arguments, which are all floating."""
    graph = captured.graph
    count = len(graph.inputs) - len(captured.reads)
    variables, reads = graph.inputs[:count], graph.inputs[count:]
    columns = sum(x.spec.size for x in variables)
    sets, start = IndexSets(columns), 0
    given = {
        x: r.outer.value for x, r in zip(reads, captured.reads, strict=True)
        if r.outer.value is not None
    }  # fmt: skip
    walk = _Walk(sets)
    inputs: list[Numbers] = []
    for x in variables:
        inputs.append(sets.singletons(start, x.spec.shape))
        start += x.spec.size
    inputs += [np.zeros(x.spec.shape, np.int64) for x in reads]
    outs = walk(graph, inputs, given)[: captured.results]
    flat = np.concatenate([np.ravel(y) for y in outs]) if outs else np.zeros(0, np.int64)
    count = int(sets.lengths(flat).sum())
    if count > MOST:
        raise DenseError(
            f"sparsity: {count:,} of {flat.size} × {columns} entries can be other than zero",
            want=f"a pattern of at most {MOST:,} entries",
            hint="a matrix as full as this has no use for a pattern: take products with it, by "
            "ob.jvp, ob.vjp or ob.hvp",
        )
    rows, found = sets.listed(flat)
    return Pattern((flat.size, columns), rows, found, walk.assumed)


class _Walk:
    """A graph's outputs as numbers of index sets, from those of its inputs."""

    def __init__(self, sets: IndexSets) -> None:
        self.sets, self.assumed = sets, False

    def __call__(
        self, graph: Graph, inputs: Sequence[Numbers], given: dict[Node, Any]
    ) -> list[Numbers]:
        numbers: dict[Node, Numbers] = dict(zip(graph.inputs, inputs, strict=True))
        values = dict(given)

        def value(node: Node) -> Any:
            if node not in values:
                values[node] = _value(node, given)
            self.assumed |= values[node] is not None
            return values[node]

        for node in graph.nodes:
            if node in numbers:
                continue
            if not node.inputs:
                numbers[node] = np.zeros(node.spec.shape, np.int64)
                continue
            xs = [numbers[x] for x in node.inputs]
            rule = _BODIES.get(node.op.name)
            if rule is None:
                numbers[node] = dependence(self.sets, node, xs, value)
            else:
                known = [value(x) if _is_index(x) else None for x in node.inputs]
                numbers[node] = tuple(rule(self, xs, known, **node.params))
        return [numbers[y] for y in graph.outputs]

    def joined(self, one: Sequence[Numbers], other: Sequence[Numbers]) -> list[Numbers]:
        return [self.sets.paired(a, b) for a, b in zip(one, other, strict=True)]

    def settled(
        self, step: Callable[[Sequence[Numbers]], Sequence[Numbers]], carry: Sequence[Numbers]
    ) -> list[Numbers]:
        """The carry when any number of steps changes it no more; sets only grow."""
        while True:
            after = self.joined(carry, step(carry))
            if all(
                np.array_equal(self.sets.lengths(a), self.sets.lengths(b))
                for a, b in zip(carry, after, strict=True)
            ):
                return after
            carry = after


def _is_index(node: Node) -> bool:
    return not isinstance(node.spec, tuple) and node.spec.dtype.kind in "iu"


def _value(node: Node, given: dict[Node, Any]) -> Any:
    """A value that does not depend on what is not known; None if it does."""
    if node.value is not None:
        return whole_value(node.value, node)
    try:
        return interpret(Graph(list(given), [node]), list(given.values()))[0]
    except UnknownValueError:
        return None


# -- operations whose parameter is a graph ----------------------------------------------------


def _given(graph: Graph, known: Sequence[Any]) -> dict[Node, Any]:
    return {x: v for x, v in zip(graph.inputs, known, strict=True) if v is not None}


def _call(walk: _Walk, xs: list[Numbers], known: list[Any], *, graph: Graph) -> Sequence[Numbers]:
    return walk(graph, xs, _given(graph, known))


def _switch(
    walk: _Walk, xs: list[Numbers], known: list[Any], *, branches: tuple[Graph, ...]
) -> Sequence[Numbers]:
    outs = [walk(b, xs[1:], _given(b, known[1:])) for b in branches]
    found = outs[0]
    for other in outs[1:]:
        found = walk.joined(found, other)
    return found


def _scan(
    walk: _Walk, xs: list[Numbers], known: list[Any], *, body: Graph, constants: int, carries: int,
    length: int, reverse: bool,
) -> Sequence[Numbers]:  # fmt: skip
    k, c = constants, carries
    fixed, carry, rows = xs[:k], xs[k : k + c], xs[k + c :]
    here = [*known[:k], *[None] * c]

    def step(carry: Sequence[Numbers], rows: list[Numbers], row: list[Any]) -> list[Numbers]:
        return walk(body, [*fixed, *carry, *rows], _given(body, [*here, *row]))

    if length * len(body.nodes) > STEPS:
        rows = [walk.sets.along(x, (0,))[0] for x in rows]
        nothing = [None] * len(rows)
        carry = walk.settled(lambda now: step(now, rows, nothing)[:c], carry)
        ys = step(carry, rows, nothing)[c:]
        return [*carry, *(np.broadcast_to(y, (length, *y.shape)) for y in ys)]
    ys = [np.zeros((length, *y.spec.shape), np.int64) for y in body.outputs[c:]]
    for t in range(length - 1, -1, -1) if reverse else range(length):
        row = [None if v is None else v[t] for v in known[k + c :]]
        outs = step(carry, [x[t] for x in rows], row)
        carry = outs[:c]
        for y, made in zip(ys, outs[c:], strict=True):
            y[t] = made
    return [*carry, *ys]


def _while(
    walk: _Walk, xs: list[Numbers], known: list[Any], *, test: Graph, body: Graph, of_test: int,
    of_body: int,
) -> Sequence[Numbers]:  # fmt: skip
    k = of_test + of_body
    fixed = xs[of_test:k]
    here = _given(body, [*known[of_test:k], *[None] * (len(xs) - k)])
    return walk.settled(lambda carry: walk(body, [*fixed, *carry], here), xs[k:])


_BODIES: dict[str, Callable[..., Sequence[Numbers]]] = {
    "call": _call, "switch": _switch, "scan": _scan, "while": _while,
}  # fmt: skip
