"""The point at which a function is evaluated: for SciPy a vector of float64, for whoever wrote the
function any tree of arrays. And what is checked where an optimiser starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import NonFiniteError, ShapeError, place


class Vector:
    """A tree of arrays as one vector, and back."""

    def __init__(self, tree: Any) -> None:
        leaves, self._structure = ob.tree_flatten(tree)
        arrays = [as_float(leaf) for leaf in leaves]
        self._shapes = [a.shape for a in arrays]
        self._ends = [0, *np.cumsum([a.size for a in arrays], dtype=int).tolist()]
        self._plain = _is_vector(tree)
        self.start = np.concatenate([np.zeros(0), *(a.reshape(-1) for a in arrays)])

    def ravel(self, tree: Any) -> np.ndarray:
        """The tree's numbers, one after the other."""
        other = Vector(tree)
        if other._structure != self._structure or other._shapes != self._shapes:
            raise ShapeError(
                "ravel: the tree is not like the one at the start",
                got={"tree": str(other._shapes), "x0": str(self._shapes)},
            )
        return other.start

    def unravel(self, x: Any) -> Any:
        """The tree that a vector stands for; of a tensor, its history goes on."""
        if x.shape != self.start.shape:
            raise ShapeError(
                "the point does not have as many numbers as x0", got={"x": x, "x0": self.start}
            )
        if self._plain:
            return x
        pieces = zip(self._shapes, self._ends[:-1], self._ends[1:], strict=True)
        leaves = [x[a:b].reshape(shape) for shape, a, b in pieces]
        return ob.tree_unflatten(self._structure, leaves)


def _is_vector(x: Any) -> bool:
    return isinstance(x, np.ndarray | ob.Tensor) and x.ndim == 1


def as_float(x: Any) -> np.ndarray:
    """A point as SciPy hands it on: float64."""
    return np.asarray(x.numpy() if isinstance(x, ob.Tensor) else x, np.float64)


def of_vector(f: Callable[..., Any], vector: Vector | None) -> Callable[..., Any]:
    """f as a function of a vector, whatever it was written for."""
    if vector is None:
        return f
    return lambda x, *args: f(vector.unravel(x), *args)


def refuse_start(
    what: str, f: Callable[..., Any], x: np.ndarray, args: tuple[Any, ...], line: str | None
) -> NonFiniteError:
    """The error for a start at which f is not finite; it says where in f that was born."""
    born, facts = "", {}
    try:
        with ob.config(jit="off"), ob.nan_guard():
            f(x, *args)
    except NonFiniteError as error:
        born, line, facts = f": {error.what}", error.where, error.facts
    refused = NonFiniteError(
        f"{what}: not finite at the start point{born}",
        got={"x0": np.array2string(x, threshold=8)},
        want="a start at which every value is finite",
        where=line,
    )
    refused.facts = facts
    return refused


def line_of(f: Callable[..., Any]) -> str | None:
    """Where a function is defined: SciPy stands between it and whoever called."""
    code = getattr(f, "__code__", None)
    return None if code is None else place(code.co_filename, code.co_firstlineno)


def real(x: Any) -> ob.Tensor:
    """A tensor of floating numbers; whole ones become float64."""
    x = ob.asarray(x)
    return x if x.dtype.kind == "f" else ob.astype(x, ob.float64)
