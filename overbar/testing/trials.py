"""What `check_backward` compares: at one point and for one ȳ, what came and what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..calculus.backward import path_from_leaves
from ..calculus.sweep import Raw, pullback, pullback_steps
from ..errors import OverbarError
from ..graph import Node
from ..handle import asarray, tensor
from ..trees import tree_flatten

CLOSE = 1e-5
"""How far apart, relatively, two adjoints may be and still be called equal."""


# -- what f computed --------------------------------------------------------------------------


class Recorded(NamedTuple):
    """What f computed, if it is written with overbar."""

    leaves: list[Node]
    outputs: list[Node]
    path: list[Node]

    def adjoints(self, y_bars: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Of the leaves."""
        bars = pullback(self.outputs, self.leaves, list(y_bars), world=Raw())
        return [
            np.zeros(x.spec.shape) if b is None else np.asarray(b)
            for b, x in zip(bars, self.leaves, strict=True)
        ]

    def messages(self, y_bars: Sequence[np.ndarray]) -> dict[Node, list[tuple[Node, Any]]]:
        """For each node that several uses send something to: (use, what it sends)."""
        got: dict[Node, list[tuple[Node, Any]]] = {}
        for node, _, sent in pullback_steps(
            self.outputs, self.leaves, list(y_bars), self.path, Raw()
        ):
            for x, message in sent:
                got.setdefault(x, []).append((node, message))
        return {x: sent for x, sent in got.items() if len(sent) > 1}

    def operands(self, y_bars: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The adjoints of the inner nodes, and their values."""
        bars = [
            np.asarray(bar)
            for _, bar, _ in pullback_steps(
                self.outputs, self.leaves, list(y_bars), self.path, Raw()
            )
        ]
        return bars[:12], [np.asarray(n.value) for n in self.path if n.value is not None][:12]


def recorded(f: Callable[..., Any], xs: Sequence[Any], spots: Sequence[int]) -> Recorded | None:
    """What f computes at this point; None if it does not take tensors."""
    given = list(xs)
    for i in spots:
        given[i] = tensor(np.asarray(xs[i]), requires_grad=True)
    try:
        ys = [asarray(y) for y in tree_flatten(f(*given))[0]]
    except (OverbarError, TypeError, AttributeError, ValueError):
        return None  # it is written with NumPy, in a way that tensors do not take
    outputs = [y.node for y in ys]
    if not all(y.requires_grad for y in ys):
        return None
    return Recorded([given[i].node for i in spots], outputs, path_from_leaves(outputs))


class Trial(NamedTuple):
    """One point and one ȳ: what came for each argument, and what was wanted.

    with_ones   the adjoints for ȳ = 1; rows: those for one row of ȳ each
    elsewhere   the adjoints for the same ȳ at other arguments; None if f is not finite there
    """

    xs: list[Any]
    y_bars: list[np.ndarray]
    came: list[Any]
    wanted: list[np.ndarray]
    with_ones: list[np.ndarray]
    rows: list[list[np.ndarray]]
    graph: Recorded | None
    elsewhere: Callable[[list[Any]], list[Any] | None]


# -- whether they are equal -----------------------------------------------------------------


def equal(came: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether two adjoints have one shape and, to differences' precision, one value."""
    scale = np.max(np.abs(wanted), initial=0.0)
    return came.shape == wanted.shape and bool(
        np.all(np.abs(came - wanted) <= CLOSE * (np.abs(wanted) + 1e-2 * scale) + 1e-12)
    )


def all_equal(
    changed: Callable[[np.ndarray], np.ndarray],
    came: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray],
) -> bool:
    """Whether what came is what is wanted at every point, once it is changed."""
    return all(equal(changed(c), w) for c, w in zip(came, wanted, strict=True))
