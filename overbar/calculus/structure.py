"""Jacobians that keep their structure: what is diagonal is n numbers, and never n² of them.

Every kind is a matrix: a row for each entry of the result, a column for each entry of the input,
both counted row by row. Products and sums stay structured where the kinds allow it:

    zero            nothing
    identity        nothing             scaled identity  one number
    diagonal        n numbers           rank one         u vᵀ, two vectors
    Kronecker       A ⊗ B, two of these
    row-sparse      (row, column, number) for each entry that can be other than zero
    dense           all of it
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError


class Structured:
    """A matrix of some kind. `@` a matrix of numbers is a matrix of numbers; `@` and `+` another of
    these is one of these.

    numbers   how many are stored: what a product with a vector costs
    """

    kind = ""
    shape: tuple[int, int]

    @property
    def numbers(self) -> int:
        raise NotImplementedError

    @property
    def T(self) -> Structured:  # noqa: N802  (as NumPy has it)
        """The transpose."""
        raise NotImplementedError

    def times(self, x: np.ndarray) -> np.ndarray:
        """The product with a matrix of numbers, (n, k)."""
        raise NotImplementedError

    def scaled(self, by: Any) -> Structured:
        """The product with a number."""
        raise NotImplementedError

    def toarray(self) -> np.ndarray:
        """As a matrix of numbers."""
        return self.times(np.eye(self.shape[1]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.toarray(), dtype)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Structured):
            return product(self, other)
        x = np.asarray(other)
        _check_product(self.shape, x.shape)
        return self.times(x[:, None])[:, 0] if x.ndim == 1 else self.times(x)

    def __rmatmul__(self, other: Any) -> np.ndarray:
        x = np.asarray(other)
        return self.T @ x if x.ndim == 1 else (self.T @ x.T).T

    def __add__(self, other: Structured) -> Structured:
        return total(self, other)

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(rows, columns, numbers) of what can be other than zero."""
        dense = self.toarray()
        rows, columns = np.nonzero(np.ones(self.shape, bool))
        return rows, columns, dense[rows, columns]

    def __repr__(self) -> str:
        m, n = self.shape
        count = f"{self.numbers:,} number" + ("" if self.numbers == 1 else "s")
        return f"<{self.kind} {m}×{n}, {count}>"


def _check_product(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if not b or a[1] != b[0]:
        raise ShapeError(
            "the product of Jacobians: the inner sizes differ",
            got={"left": f"{list(a)}", "right": f"{list(b)}"},
            want="(m, k) @ (k, n)",
        )


class Zero(Structured):
    """0: nothing depends on anything."""

    kind = "zero"

    def __init__(self, m: int, n: int) -> None:
        self.shape = (m, n)

    numbers = 0  # type: ignore[assignment]

    @property
    def T(self) -> Zero:  # noqa: N802
        return Zero(*self.shape[::-1])

    def times(self, x: np.ndarray) -> np.ndarray:
        return np.zeros((self.shape[0], x.shape[1]))

    def scaled(self, by: Any) -> Zero:
        return self

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)


class _Square(Structured):
    """What is zero off the diagonal: `diagonal` are its n numbers."""

    def __init__(self, n: int) -> None:
        self.shape = (n, n)

    @property
    def diagonal(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def T(self) -> Structured:  # noqa: N802
        return self

    def times(self, x: np.ndarray) -> np.ndarray:
        return self.diagonal[:, None] * x

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = np.arange(self.shape[0])
        return at, at, self.diagonal


class Identity(_Square):
    """1: the result is the input, perhaps in another shape."""

    kind = "identity"
    numbers = 0  # type: ignore[assignment]

    @property
    def diagonal(self) -> np.ndarray:
        return np.ones(self.shape[0])

    def times(self, x: np.ndarray) -> np.ndarray:
        return np.array(x)

    def scaled(self, by: Any) -> ScaledIdentity:
        return ScaledIdentity(self.shape[0], by)


class ScaledIdentity(_Square):
    """c times the identity."""

    kind = "scaled identity"
    numbers = 1  # type: ignore[assignment]

    def __init__(self, n: int, by: Any) -> None:
        super().__init__(n)
        self.by = np.asarray(by)[()]

    @property
    def diagonal(self) -> np.ndarray:
        return np.full(self.shape[0], self.by)

    def scaled(self, by: Any) -> ScaledIdentity:
        return ScaledIdentity(self.shape[0], self.by * by)


class Diagonal(_Square):
    """diag(d): entry by entry, with the derivatives d."""

    kind = "diagonal"

    def __init__(self, diagonal: Any) -> None:
        self._diagonal = np.ravel(diagonal)
        super().__init__(self._diagonal.size)

    @property
    def diagonal(self) -> np.ndarray:
        return self._diagonal

    @property
    def numbers(self) -> int:
        return self.shape[0]

    def scaled(self, by: Any) -> Diagonal:
        return Diagonal(self._diagonal * by)


class RankOne(Structured):
    """u vᵀ: all rows are multiples of one. A single row is one, and so is a single column."""

    kind = "rank one"

    def __init__(self, u: Any, v: Any) -> None:
        self.u, self.v = np.ravel(u), np.ravel(v)
        self.shape = (self.u.size, self.v.size)

    @property
    def numbers(self) -> int:
        return sum(self.shape)

    @property
    def T(self) -> RankOne:  # noqa: N802
        return RankOne(self.v, self.u)

    def times(self, x: np.ndarray) -> np.ndarray:
        return np.outer(self.u, self.v @ x)

    def scaled(self, by: Any) -> RankOne:
        return RankOne(self.u * by, self.v)


class Kronecker(Structured):
    """A ⊗ B, of two of these: vec(A X Bᵀ) = (A ⊗ B) vec(X), counted row by row."""

    kind = "Kronecker"

    def __init__(self, a: Structured, b: Structured) -> None:
        self.a, self.b = a, b
        self.shape = (a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])

    @property
    def numbers(self) -> int:
        return self.a.numbers + self.b.numbers

    @property
    def T(self) -> Kronecker:  # noqa: N802
        return Kronecker(self.a.T, self.b.T)

    def times(self, x: np.ndarray) -> np.ndarray:
        p, q, k = self.a.shape[1], self.b.shape[1], x.shape[1]
        y = self.a.times(x.reshape(p, q * k)).reshape(-1, q, k)
        y = self.b.times(y.transpose(1, 0, 2).reshape(q, -1)).reshape(-1, y.shape[0], k)
        return y.transpose(1, 0, 2).reshape(self.shape[0], k)

    def scaled(self, by: Any) -> Kronecker:
        return Kronecker(self.a, self.b.scaled(by))

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        (i, j, a), (k, m, b) = self.a.entries(), self.b.entries()
        rows = (i[:, None] * self.b.shape[0] + k).ravel()
        columns = (j[:, None] * self.b.shape[1] + m).ravel()
        return rows, columns, (a[:, None] * b).ravel()

    def __repr__(self) -> str:
        return f"<Kronecker {self.shape[0]}×{self.shape[1]}: {self.a!r} ⊗ {self.b!r}>"


class RowSparse(Structured):
    """A few entries in each row: (row, column, number), sorted by rows."""

    kind = "row-sparse"

    def __init__(self, shape: tuple[int, int], rows: Any, columns: Any, data: Any) -> None:
        keys, where = np.unique(
            np.asarray(rows, np.int64) * max(1, shape[1]) + columns, return_inverse=True
        )
        self.shape = shape
        self.rows, self.columns = np.divmod(keys, max(1, shape[1]))
        self.data = np.bincount(where, data, minlength=keys.size) if keys.size else np.zeros(0)

    @property
    def numbers(self) -> int:
        return self.data.size

    @property
    def T(self) -> RowSparse:  # noqa: N802
        m, n = self.shape
        return RowSparse((n, m), self.columns, self.rows, self.data)

    def times(self, x: np.ndarray) -> np.ndarray:
        y = np.zeros((self.shape[0], x.shape[1]))
        np.add.at(y, self.rows, self.data[:, None] * x[self.columns])
        return y

    def scaled(self, by: Any) -> RowSparse:
        return RowSparse(self.shape, self.rows, self.columns, self.data * by)

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.rows, self.columns, self.data


class Dense(Structured):
    """A matrix of which nothing is known."""

    kind = "dense"

    def __init__(self, matrix: Any) -> None:
        self.matrix = np.asarray(matrix)
        self.shape = self.matrix.shape

    @property
    def numbers(self) -> int:
        return self.matrix.size

    @property
    def T(self) -> Dense:  # noqa: N802
        return Dense(self.matrix.T)

    def times(self, x: np.ndarray) -> np.ndarray:
        return self.matrix @ x

    def scaled(self, by: Any) -> Dense:
        return Dense(self.matrix * by)

    def toarray(self) -> np.ndarray:
        return self.matrix


# -- products and sums ------------------------------------------------------------------------


def product(a: Structured, b: Structured) -> Structured:
    """a @ b, with as much structure as the two have together."""
    _check_product(a.shape, b.shape)
    if isinstance(a, Zero) or isinstance(b, Zero):
        return Zero(a.shape[0], b.shape[1])
    if isinstance(a, Identity):
        return b
    if isinstance(b, Identity):
        return a
    if isinstance(a, ScaledIdentity):
        return b.scaled(a.by)
    if isinstance(b, ScaledIdentity):
        return a.scaled(b.by)
    if isinstance(a, Diagonal) and isinstance(b, Diagonal):
        return Diagonal(a.diagonal * b.diagonal)
    if isinstance(b, RankOne):
        return RankOne(a @ b.u, b.v)
    if isinstance(a, RankOne):
        return RankOne(a.u, b.T @ a.v)
    if isinstance(a, Kronecker) and isinstance(b, Kronecker) and _fit(a, b):
        return Kronecker(product(a.a, b.a), product(a.b, b.b))
    if isinstance(a, Dense) or isinstance(b, Dense):
        return Dense(a.times(b.toarray()) if isinstance(b, Dense) else b.T.times(a.toarray().T).T)
    return _sparse_product(a, b)


def _fit(a: Kronecker, b: Kronecker) -> bool:
    return a.a.shape[1] == b.a.shape[0] and a.b.shape[1] == b.b.shape[0]


def _sparse_product(a: Structured, b: Structured) -> RowSparse:
    """Each entry of a meets the entries of b's row."""
    i, j, x = a.entries()
    k, n, y = b.entries()
    order = np.argsort(k, kind="stable")
    k, n, y = k[order], n[order], y[order]
    count = np.bincount(k, minlength=b.shape[0])
    first = np.cumsum(count) - count
    met = count[j]
    own = np.repeat(np.arange(j.size), met)
    at = first[j[own]] + np.arange(own.size) - (np.cumsum(met) - met)[own]
    return RowSparse((a.shape[0], b.shape[1]), i[own], n[at], x[own] * y[at])


def total(a: Structured, b: Structured) -> Structured:
    """a + b, with as much structure as the two have together."""
    if a.shape != b.shape:
        raise ShapeError(
            "the sum of Jacobians: they differ in shape",
            got={"left": f"{list(a.shape)}", "right": f"{list(b.shape)}"},
        )
    if isinstance(a, Zero):
        return b
    if isinstance(b, Zero):
        return a
    if isinstance(a, _Square) and isinstance(b, _Square):
        if isinstance(a, Diagonal) or isinstance(b, Diagonal):
            return Diagonal(a.diagonal + b.diagonal)
        return ScaledIdentity(a.shape[0], getattr(a, "by", 1.0) + getattr(b, "by", 1.0))
    if isinstance(a, Dense | RankOne) or isinstance(b, Dense | RankOne):
        return Dense(a.toarray() + b.toarray())
    rows, columns, data = map(np.concatenate, zip(a.entries(), b.entries(), strict=True))
    return RowSparse(a.shape, rows, columns, data)
