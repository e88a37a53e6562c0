"""Chains of Jacobians, multiplied in the cheapest order.

The product J₃ J₂ J₁ is the same in any order, its cost is not: from the right is forward mode, from
the left reverse mode, and neither need be the best. Which order is, dynamic programming finds over
the costs of structured products, which are counted without multiplying anything.

Source: Godbole (1973), On efficient computation of matrix chain products; Griewank and Walther
(2008), Evaluating Derivatives, chapter 9 (cross-country elimination).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import StructureError
from .structure import Kronecker, Structured, product


class Profile(NamedTuple):
    """What the cost of a product depends on: a kind, a shape, how many numbers are stored."""

    kind: str
    m: int
    n: int
    numbers: int


SQUARE = ("identity", "scaled identity", "diagonal")


def profile(j: Structured) -> Profile:
    """A Jacobian's; of a Kronecker product, what a vector times it costs."""
    work = _work_of(j) if isinstance(j, Kronecker) else j.numbers
    return Profile(j.kind, *j.shape, work)


def _work_of(j: Kronecker) -> int:
    """Multiplications of a product with a vector: A on every column of X, then B on every row."""
    a, b = profile(j.a), profile(j.b)
    return a.numbers * b.n + b.numbers * a.m


def multiplied(a: Profile, b: Profile) -> tuple[Profile, int]:
    """(the product's profile, the multiplications it takes)."""
    m, n = a.m, b.n
    if "zero" in (a.kind, b.kind):
        return Profile("zero", m, n, 0), 0
    if a.kind == "identity":
        return b, 0
    if b.kind == "identity":
        return a, 0
    if a.kind == "scaled identity":
        return b, b.numbers
    if b.kind == "scaled identity":
        return a, a.numbers
    if b.kind == "rank one":
        return Profile("rank one", m, n, m + n), _on_vector(a)
    if a.kind == "rank one":
        return Profile("rank one", m, n, m + n), _on_vector(b)
    if a.kind == b.kind == "diagonal":
        return a, m
    if a.kind == "dense":
        return Profile("dense", m, n, m * n), m * b.numbers
    if b.kind == "dense":
        return Profile("dense", m, n, m * n), a.numbers * n
    if "diagonal" in (a.kind, b.kind):
        other = a if b.kind == "diagonal" else b
        return Profile("row-sparse", m, n, other.numbers), other.numbers
    met = -(-a.numbers * b.numbers // max(1, b.m))  # each entry meets an average row
    return Profile("row-sparse", m, n, min(met, m * n)), met


def _on_vector(a: Profile) -> int:
    return a.m if a.kind == "diagonal" else a.numbers


class Chain:
    """Jacobians to be multiplied, the last of the computation first: `factors[0] @ factors[1] …`.

    order     the best bracketing, nested pairs of the factors' numbers
    cost      the multiplications it takes; `forward` and `reverse` those of the two modes

    Example:
        >>> dense = lambda m, n: ob.sparse.Dense(np.ones((m, n)))
        >>> chain = ob.sparse.Chain([dense(10, 100), dense(100, 5), dense(5, 50)])
        >>> chain
        (J1 J2) J3: 7,500 multiplications (forward mode 75,000, reverse mode 7,500)
    """

    def __init__(self, factors: Sequence[Structured]) -> None:
        self.factors = list(factors)
        if not self.factors:
            raise StructureError("a chain of no Jacobians", want="at least one")
        for a, b in zip(self.factors, self.factors[1:], strict=False):
            if a.shape[1] != b.shape[0]:
                raise StructureError(
                    "a chain of Jacobians: the inner sizes differ",
                    got={"left": f"{list(a.shape)}", "right": f"{list(b.shape)}"},
                    hint="the last function's Jacobian comes first",
                )
        profiles = list(map(profile, self.factors))
        self.order, self.cost = _best(profiles)
        count = len(profiles)
        ahead: Any = count - 1
        for i in range(count - 2, -1, -1):
            ahead = (i, ahead)
        back: Any = 0
        for i in range(1, count):
            back = (back, i)
        self.forward, self.reverse = cost_of(profiles, ahead), cost_of(profiles, back)

    def product(self) -> Structured:
        """The product, in the best order."""

        def of(order: Any) -> Structured:
            if isinstance(order, int):
                return self.factors[order]
            return product(of(order[0]), of(order[1]))

        return of(self.order)

    def __repr__(self) -> str:
        return (
            f"{_written(self.order)}: {self.cost:,} multiplications (forward mode "
            f"{self.forward:,}, reverse mode {self.reverse:,})"
        )


def cost_of(profiles: Sequence[Profile], order: Any) -> int:
    """What multiplying in this order costs."""

    def of(order: Any) -> tuple[Profile, int]:
        if isinstance(order, int):
            return profiles[order], 0
        (a, before), (b, after) = of(order[0]), of(order[1])
        made, cost = multiplied(a, b)
        return made, before + after + cost

    return of(order)[1]


def _best(profiles: Sequence[Profile]) -> tuple[Any, int]:
    """The bracketing that costs least. Several profiles can come of one stretch of the chain, by
    its order; of each the cheapest is kept.
    """
    count = len(profiles)
    table: dict[tuple[int, int], dict[Profile, tuple[int, Any]]] = {
        (i, i): {p: (0, i)} for i, p in enumerate(profiles)
    }
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length - 1
            found: dict[Profile, tuple[int, Any]] = {}
            for k in range(i, j):
                for a, (before, left) in table[i, k].items():
                    for b, (after, right) in table[k + 1, j].items():
                        made, cost = multiplied(a, b)
                        cost += before + after
                        if made not in found or cost < found[made][0]:
                            found[made] = cost, (left, right)
            table[i, j] = found
    cost, order = min(table[0, count - 1].values(), key=lambda c: c[0])
    return order, cost


def _written(order: Any) -> str:
    """The bracketing as products of J1, J2, …"""
    if isinstance(order, int):
        return f"J{order + 1}"
    return " ".join(f"({_written(o)})" if isinstance(o, tuple) else _written(o) for o in order)
