"""Many columns, or rows, of a Jacobian from one sweep: `colouring` says which can go together.

The sweeps of all colours are lanes of one; then every entry is read where it stands alone. How a
pattern is turned into sweeps is a `Plan`, made once; running it is ordinary operations, which can
be traced and differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DomainError
from ..handle import Tensor, asarray, from_value
from ..ops.index import gather_, scatter_
from ..ops.join import concat
from ..ops.repeat import reshape
from ..trees import tree_flatten, tree_unflatten
from .batch import vmap
from .colouring import Colouring, column_colours, read_at, row_colours, star_colours
from .pattern import Pattern
from .transforms import linearize, vjp

MODES = ("auto", "forward", "reverse")


class Plan:
    """Which sweeps give the entries of a pattern, and where each entry is found among them.

    mode       "forward", "reverse" or "symmetric" (forward over a gradient)
    colouring  of columns; of rows in reverse mode
    lane, at   entry k of the pattern is entry at[k] of sweep lane[k]
    """

    def __init__(self, pattern: Pattern, mode: str, colouring: Colouring, others: int) -> None:
        self.pattern, self.mode, self.colouring, self.others = pattern, mode, colouring, others
        if mode == "symmetric":
            self.lane, self.at = read_at(pattern, colouring)
        elif mode == "forward":
            self.lane, self.at = colouring.of[pattern.columns], pattern.rows
        else:
            self.lane, self.at = colouring.of[pattern.rows], pattern.columns

    @property
    def sweeps(self) -> int:
        """How many sweeps it takes."""
        return self.colouring.count

    @property
    def dense(self) -> int:
        """How many it would take without colours."""
        return self.colouring.of.size

    def __repr__(self) -> str:
        if self.mode == "symmetric":
            said = f"{_count(self.sweeps, 'Hessian-vector product')} instead of {self.dense:,}"
            return f"{said}: star colours of the columns"
        kind, other = ("columns", "reverse") if self.mode == "forward" else ("rows", "forward")
        said = f"{_count(self.sweeps, f'{self.mode} sweep')} instead of {self.dense:,}"
        return f"{said}: colours of the {kind} ({other} mode would take {self.others:,})"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def planned(pattern: Pattern, mode: str = "auto") -> Plan:
    """The plan with the fewer colours; forward if there are as many of either."""
    if mode not in MODES:
        raise DomainError(f"jacobian: mode={mode!r}", want='"auto", "forward" or "reverse"')
    columns, rows = column_colours(pattern), row_colours(pattern)
    if mode == "forward" or (mode == "auto" and columns.count <= rows.count):
        return Plan(pattern, "forward", columns, rows.count)
    return Plan(pattern, "reverse", rows, columns.count)


def planned_symmetric(pattern: Pattern) -> Plan:
    """The plan of a symmetric pattern."""
    colours = star_colours(pattern)
    return Plan(pattern, "symmetric", colours, colours.count)


def entries(plan: Plan, f: Callable[..., Any], *args: Any) -> Any:
    """The entries of the Jacobian of f, which is a function of its arguments only, in the order of
    the pattern: one vector.
    """
    return picked(plan, products(plan.mode, plan.colouring.seeds(), f, args))


def products(mode: str, seeds: np.ndarray, f: Callable[..., Any], args: Sequence[Any]) -> Tensor:
    """One sweep per row of seeds, all at once: (sweeps, entries of what comes out)."""
    tensors = any(isinstance(x, Tensor) for x in tree_flatten(tuple(args))[0])
    if mode == "reverse":
        y, pull = vjp(f, *args)
        leaves, structure = tree_flatten(y)
    else:
        leaves, structure = tree_flatten(tuple(args))
        _, at = linearize(f, *args)

    def sweep(row: Any) -> Any:
        direction = tree_unflatten(structure, row)
        return pull(direction) if mode == "reverse" else at(*direction)

    rows = _cut(seeds, leaves)
    found = vmap(sweep)([from_value(r) for r in rows] if tensors else rows)
    count = len(seeds)
    flat = [asarray(x) for x in tree_flatten(found)[0]]
    flat = [reshape(x, (count, x.size // max(1, count))) for x in flat]
    return flat[0] if len(flat) == 1 else concat(flat, axis=1)


def _cut(seeds: np.ndarray, leaves: Sequence[Any]) -> list[np.ndarray]:
    """The seeds' part of each leaf, in its shape and dtype."""
    rows, start = [], 0
    for leaf in map(asarray, leaves):
        part = seeds[:, start : start + leaf.size].astype(leaf.dtype)
        rows.append(part.reshape(len(seeds), *leaf.shape))
        start += leaf.size
    return rows


def picked(plan: Plan, found: Any) -> Any:
    """The entries, in order, from what the sweeps gave."""
    if not plan.pattern.nnz:
        return np.zeros(0)
    flat = reshape(found, (found.size,))
    return gather_(flat, plan.lane * found.shape[1] + plan.at)


def filled(pattern: Pattern, data: Any) -> Any:
    """The matrix with these entries and zeros elsewhere."""
    m, n = pattern.shape
    flat = scatter_(asarray(data), pattern.rows * n + pattern.columns, shape=(m * n,))
    return reshape(flat, (m, n))
