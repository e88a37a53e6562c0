"""Vector spaces: what can be added, scaled and multiplied with its like.

An array of floats is one, and so is every nested container of them, leaf by leaf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

import overbar as ob

from ...errors import DTypeError
from ...trees import LEAF, tree_flatten, tree_unflatten
from .tracer import isbox


class VSpace:
    """A vector space; made of one of its vectors by `vspace`."""

    mappings: ClassVar[dict[type, Callable[[Any], Any]]] = {}
    iscomplex = False
    size: Any = 0

    def __init__(self, value: Any) -> None:
        pass

    @classmethod
    def register(cls, value_type: type, vspace_maker: Callable[[Any], Any] | None = None) -> None:
        """Say that values of this type are vectors of this space, or of vspace_maker(value)."""
        VSpace.mappings[value_type] = vspace_maker or cls

    def add(self, x_prev: Any, x_new: Any) -> Any:
        """The sum."""
        return self._add(x_prev, x_new)

    def mut_add(self, x_prev: Any, x_new: Any) -> Any:
        """The sum; None is zero."""
        return self.add(self.zeros() if x_prev is None else x_prev, x_new)

    def scalar_mul(self, x: Any, a: Any) -> Any:
        """The vector times a number."""
        return self._scalar_mul(x, a)

    def inner_prod(self, x: Any, y: Any) -> Any:
        """The product of two vectors, a real number."""
        return self._inner_prod(x, y)

    def covector(self, x: Any) -> Any:
        """The vector as a linear function, and back: the conjugate."""
        return self._covector(x)

    def zeros(self) -> Any:
        """The zero vector."""
        raise NotImplementedError

    def _add(self, x: Any, y: Any) -> Any:
        return x + y

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        return x * a

    def _inner_prod(self, x: Any, y: Any) -> Any:
        raise NotImplementedError

    def _covector(self, x: Any) -> Any:
        return x

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__dict__})"


class ArrayVSpace(VSpace):
    """Arrays of one shape and dtype."""

    def __init__(self, value: Any) -> None:
        self.shape = np.shape(value)
        self.dtype = value.dtype if hasattr(value, "dtype") else np.result_type(value)

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many real numbers make a vector."""
        return math.prod(self.shape)

    def zeros(self) -> np.ndarray:
        """The zero vector."""
        return np.zeros(self.shape, self.dtype)

    def ones(self) -> np.ndarray:
        """The sum of the basis."""
        return np.ones(self.shape, self.dtype)

    def standard_basis(self) -> Iterator[np.ndarray]:
        """One vector for each real number."""
        for index in np.ndindex(*self.shape):
            for unit in (1.0, 1.0j) if self.iscomplex else (1.0,):
                vector = self.zeros()
                vector[index] = unit
                yield vector

    def randn(self) -> np.ndarray:
        """A vector of standard-normal numbers."""
        return np.array(np.random.randn(*self.shape)).astype(self.dtype)  # noqa: NPY002

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return (x * y).sum()


class ComplexArrayVSpace(ArrayVSpace):
    """The same, of complex numbers: a real vector space of twice the size."""

    iscomplex = True

    @property
    def size(self) -> int:
        """How many real numbers make a vector."""
        return 2 * super().size

    def ones(self) -> np.ndarray:
        """The sum of the basis."""
        return super().ones() * (1 + 1j)

    def randn(self) -> np.ndarray:
        """A vector of standard-normal numbers."""
        return super().randn() + 1j * super().randn()

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return (x.conj() * y).sum().real

    def _covector(self, x: Any) -> Any:
        return x.conj()


class ContainerVSpace(VSpace):
    """Lists, tuples, dicts of vectors: everything goes leaf by leaf."""

    def __init__(self, value: Any) -> None:
        leaves, self.structure = tree_flatten(value)
        self.spaces = [vspace(x) for x in leaves]

    @property
    def shape(self) -> Any:
        """The container with a space in place of each vector."""
        return self._tree(self.spaces)

    @property
    def size(self) -> int:
        """How many real numbers make a vector."""
        return sum(s.size for s in self.spaces)

    def _tree(self, leaves: list[Any]) -> Any:
        return tree_unflatten(self.structure, leaves)

    def _each(self, method: str, *trees: Any) -> list[Any]:
        columns = zip(*(tree_flatten(t)[0] for t in trees), strict=True)
        rows = columns if trees else [()] * len(self.spaces)
        return [getattr(s, method)(*row) for s, row in zip(self.spaces, rows, strict=True)]

    def zeros(self) -> Any:
        """The zero vector."""
        return self._tree(self._each("zeros"))

    def ones(self) -> Any:
        """The sum of the basis."""
        return self._tree(self._each("ones"))

    def randn(self) -> Any:
        """A vector of standard-normal numbers."""
        return self._tree(self._each("randn"))

    def standard_basis(self) -> Iterator[Any]:
        """One vector for each real number."""
        for i, space in enumerate(self.spaces):
            for vector in space.standard_basis():  # type: ignore[attr-defined]
                leaves = self._each("zeros")
                leaves[i] = vector
                yield self._tree(leaves)

    def _add(self, x: Any, y: Any) -> Any:
        return self._tree(self._each("add", x, y))

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        leaves = tree_flatten(x)[0]
        return self._tree([s.scalar_mul(v, a) for s, v in zip(self.spaces, leaves, strict=True)])

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return sum(self._each("inner_prod", x, y))

    def _covector(self, x: Any) -> Any:
        return self._tree(self._each("covector", x))


def _of_array(value: Any) -> VSpace:
    complex_ = getattr(value, "dtype", np.dtype(type(value))).kind == "c"
    return ComplexArrayVSpace(value) if complex_ else ArrayVSpace(value)


for _kind in (np.ndarray, float, complex, *(np.dtype(c).type for c in "efdgFDG"), ob.Tensor):
    VSpace.register(_kind, _of_array)
for _kind in (list, tuple, dict):
    VSpace.register(_kind, ContainerVSpace)


def vspace(value: Any) -> Any:
    """The vector space that a value lies in.

    Raises:  DTypeError (a TypeError) for what is no vector, such as an int.
    """
    maker = VSpace.mappings.get(type(value))
    if maker is not None:
        return maker(value)
    if isbox(value):
        return _of_array(value)
    if tree_flatten(value)[1] != LEAF and value is not None:
        return ContainerVSpace(value)
    raise DTypeError(
        f"a value of type {type(value).__name__} is in no vector space",
        got={"value": value},
        want="floats, complex numbers, arrays, or containers of them",
        hint="write 3.0 instead of 3; VSpace.register makes a class of yours one",
    )
