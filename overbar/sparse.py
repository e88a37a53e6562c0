"""Sparse Jacobians and Hessians: the pattern, its colours and the compiled sweeps, by themselves.

    J = ob.sparse.jacobian(f)
    J(x)            # a scipy.sparse.csr_array
    print(J.report)

At the first call with arguments of these shapes the pattern is found from the graph, without
evaluating f; columns (or rows) that cannot meet are coloured alike; and the sweeps of all colours
are compiled as lanes of one, which writes the entries in the order in which the matrix stores them.
Later calls run that. The pattern is found again when what the function sees has changed.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from .calculus.chains import Chain
from .calculus.compressed import MODES, Plan, picked, planned, planned_symmetric, products
from .calculus.local import jacobian_chain
from .calculus.pattern import DenseError, Pattern, pattern_of, restricted
from .calculus.structure import (
    Dense,
    Diagonal,
    Identity,
    Kronecker,
    RankOne,
    RowSparse,
    ScaledIdentity,
    Structured,
    Zero,
)
from .calculus.transforms import grad
from .compile.jit import jit
from .context import CONTEXT
from .errors import DomainError, GradientError
from .handle import Tensor
from .trees import tree_flatten

__all__ = [
    "CSR", "hessian", "jacobian", "Derivative", "Pattern", "DenseError", "Chain", "jacobian_chain",
    "Structured", "Zero", "Identity", "ScaledIdentity", "Diagonal", "RankOne", "Kronecker",
    "RowSparse", "Dense",
]  # fmt: skip

FINDING: ContextVar[bool] = ContextVar("overbar.sparse", default=False)
"""Whether a pattern has just been found: only then may f be traced."""

KEPT = 8
"""Patterns that one function keeps; then the oldest goes."""


class CSR:
    """A sparse matrix by rows, for where SciPy is not installed: row i has the entries
    data[indptr[i]:indptr[i + 1]] in the columns indices[indptr[i]:indptr[i + 1]].
    """

    def __init__(
        self, data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, shape: tuple[int, int]
    ) -> None:
        self.data, self.indices, self.indptr, self.shape = data, indices, indptr, shape

    @property
    def nnz(self) -> int:
        """How many entries are stored."""
        return self.data.size

    @property
    def _rows(self) -> np.ndarray:
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    def toarray(self) -> np.ndarray:
        """The matrix with its zeros."""
        dense = np.zeros(self.shape, self.data.dtype)
        dense[self._rows, self.indices] = self.data
        return dense

    def __matmul__(self, x: Any) -> np.ndarray:
        """The product with a vector, or with a matrix of columns."""
        x = np.asarray(x)
        terms = x[self.indices] * self.data.reshape(-1, *(1,) * (x.ndim - 1))
        y = np.zeros((self.shape[0], *x.shape[1:]), terms.dtype)
        np.add.at(y, self._rows, terms)
        return y

    def __repr__(self) -> str:
        m, n = self.shape
        return f"<CSR {m}×{n} of {self.data.dtype}, {self.nnz:,} entries stored>"


def jacobian(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, mode: str = "auto"
) -> Derivative:
    """A function that gives the Jacobian of f as a sparse matrix: a row for each number that f
    returns, a column for each number of the arguments `argnums`.

    mode: "forward" colours columns, "reverse" rows, "auto" takes the fewer colours.

    Raises:  DenseError if the pattern has too many entries to be of use.
    Example:
        >>> J = ob.sparse.jacobian(lambda x: x[1:] ** 2 - x[:-1])
        >>> J(np.array([1.0, 2.0, 3.0, 4.0])).toarray()
        array([[-1.,  4.,  0.,  0.],
               [ 0., -1.,  6.,  0.],
               [ 0.,  0., -1.,  8.]])
        >>> J.plan
        2 forward sweeps instead of 4: colours of the columns (reverse mode would take 2)
    """
    if mode not in MODES:
        raise DomainError(f"sparse.jacobian: mode={mode!r}", want='"auto", "forward" or "reverse"')
    return Derivative(f, argnums, mode)


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Derivative:
    """A function that gives the matrix of second derivatives of a scalar f as a sparse matrix.

    Its columns are coloured with the help of its symmetry, and each colour costs one
    Hessian-vector product.

    Raises:  GradientError if f gives no scalar; DenseError as `jacobian`.
    Example:
        >>> H = ob.sparse.hessian(lambda x: ob.sum(x[1:] * x[:-1] ** 2))
        >>> H(np.array([1.0, 2.0, 3.0])).toarray()
        array([[4., 2., 0.],
               [2., 6., 4.],
               [0., 4., 0.]])
    """
    return Derivative(f, argnums, "symmetric")


class Derivative:
    """A function of f's arguments that gives a sparse matrix. Made by `jacobian` and `hessian`.

    report   what the last call used: the pattern, the colours, the sweeps they spare
    """

    def __init__(self, f: Callable[..., Any], argnums: int | Sequence[int], mode: str) -> None:
        functools.update_wrapper(self, f, updated=())
        self.f, self.mode = f, mode
        self.argnums = [argnums] if isinstance(argnums, int | np.integer) else list(argnums)
        self._found: dict[Any, _Found] = {}
        self._last: _Found | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        key = _key(args, kwargs)
        found = self._found.get(key)
        if found is not None:
            try:
                data = found(args, kwargs)
            except _ChangedError:
                found = None
        if found is None:
            found = self._find(key, args, kwargs)
            data = found.first(args, kwargs)
        self._last = found
        return found.matrix(data)

    def _find(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Found:
        if CONTEXT.get().trace is not None or CONTEXT.get().level:
            raise GradientError(
                "a sparse matrix cannot be made inside a transform (jit, vmap, grad, ...)",
                hint="call it outside, or use ob.jacobian, which gives tensors",
            )
        if len(self._found) >= KEPT:
            del self._found[next(iter(self._found))]
        numbers = [i % len(args) for i in self.argnums if -len(args) <= i < len(args)]
        if len(numbers) < len(self.argnums):
            raise GradientError(
                f"sparse: the arguments {self.argnums} are to be differentiated by, but "
                f"{len(args)} came",
                want="positional arguments for every number in argnums",
            )
        found = self._found[key] = _Found(self.f, args, kwargs, numbers, self.mode)
        return found

    @property
    def plan(self) -> Plan:
        """The sweeps of the last call, and where they find each entry."""
        if self._last is None:
            raise GradientError(
                "the pattern is found when the function is called for the first time",
                hint="call it, or use ob.sparsity(f, *args)",
            )
        return self._last.plan

    @property
    def pattern(self) -> Pattern:
        """Where the matrix of the last call can be different from zero."""
        return self.plan.pattern

    @property
    def colours(self) -> np.ndarray:
        """The colour of each column of the last call's matrix; in reverse mode of each row."""
        return self.plan.colouring.of

    @property
    def report(self) -> str:
        """What the last call used."""
        return "not called yet" if self._last is None else self._last.report

    def __repr__(self) -> str:
        what = "Hessian" if self.mode == "symmetric" else "Jacobian"
        return f"<sparse {what} of {getattr(self.f, '__name__', 'f')}: {self.report}>"


def _key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a pattern depends on: the arguments' shapes, and the values of whole numbers."""
    if len(args) == 1 and not kwargs and type(args[0]) is np.ndarray and args[0].dtype.kind == "f":
        return args[0].shape, args[0].dtype
    leaves, structure = tree_flatten((args, kwargs))
    return structure, *(_part(leaf) for leaf in leaves)


def _part(leaf: Any) -> Any:
    if isinstance(leaf, Tensor) and leaf.value is not None:
        return _part(leaf.value)
    if isinstance(leaf, np.ndarray | np.generic):
        known = leaf.tobytes() if leaf.dtype.kind in "iub" else None
        return leaf.shape, leaf.dtype, known
    if type(leaf) in (float, complex):
        return type(leaf)
    try:
        hash(leaf)
    except TypeError:
        return id(leaf)
    return type(leaf), leaf


class _ChangedError(Exception):
    """The pattern was found for something else than there is now."""


class _Found:
    """The pattern for arguments of some shapes, and the compiled sweeps.

    A function that jit traces again sees something that it did not see when the pattern was found.
    And where indices were looked at, whose values may be others next time, one more sweep in a
    random direction tells whether the entries account for all of the derivative.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        numbers: list[int],
        mode: str,
    ) -> None:
        began = time.perf_counter()
        self.mode, self.numbers = mode, numbers
        if mode == "symmetric":
            pattern = pattern_of(grad(f, numbers), args, kwargs, numbers).symmetric()
            self.plan = planned_symmetric(pattern)
            f = grad(f, numbers)
        else:
            pattern = pattern_of(f, args, kwargs, numbers)
            self.plan = planned(pattern, mode)
        self.seconds = time.perf_counter() - began
        self.f = f
        self.sweeps = jit(self._sweeps)
        small = max(*pattern.shape, pattern.nnz) < 2**31
        kind = np.int32 if small else np.int64
        self.indices, self.starts = pattern.columns.astype(kind), pattern.starts.astype(kind)
        self.indices.flags.writeable = self.starts.flags.writeable = (
            False  # every call's share them
        )
        self.probe = None
        if pattern.assumed:
            size = pattern.shape[0 if self.plan.mode == "reverse" else 1]
            self.probe = np.random.default_rng(0).uniform(0.5, 1.5, size)

    def _sweeps(self, *args: Any, **kwargs: Any) -> Any:
        if not FINDING.get():
            raise _ChangedError
        g = restricted(self.f, args, kwargs, self.numbers)
        seeds = self.plan.colouring.seeds()
        if self.probe is not None:
            seeds = np.vstack([seeds, self.probe])
        mode = "reverse" if self.plan.mode == "reverse" else "forward"
        found = products(mode, seeds, g, [args[i] for i in self.numbers])
        if found.dtype.kind == "c":
            raise GradientError(
                "sparse: of complex numbers there are two Jacobians",
                hint="differentiate the real and the imaginary part by themselves",
            )
        return picked(self.plan, found), None if self.probe is None else found[-1]

    def first(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> np.ndarray:
        """The entries, for the first time.

        Raises:  DomainError if they are not all there are.
        """
        token = FINDING.set(True)
        try:
            return self(args, kwargs)
        except _ChangedError:
            raise DomainError(
                "sparse: the derivative has entries outside of the pattern that was found",
                got={"pattern": repr(self.plan.pattern).splitlines()[0]},
                want="a function whose derivative depends on its arguments only",
            ) from None
        finally:
            FINDING.reset(token)

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> np.ndarray:
        """The entries.

        Raises:  _ChangedError if they are not all there are.
        """
        data, along = self.sweeps(*args, **kwargs)
        data = np.asarray(data)
        if self.probe is not None and not self._accounts(data, self.probe, np.asarray(along)):
            raise _ChangedError
        return data

    def _accounts(self, data: np.ndarray, probe: np.ndarray, along: np.ndarray) -> bool:
        """Whether the entries make the whole derivative in the direction of the probe."""
        pattern = self.plan.pattern
        row, column = pattern.rows, pattern.columns
        if self.plan.mode == "reverse":
            row, column = column, row
        terms = data * probe[column]
        total = np.bincount(row, terms, minlength=along.size)
        size = np.bincount(row, np.abs(terms), minlength=along.size)
        near = 1e3 * np.finfo(along.dtype).eps * (size + np.abs(along).max(initial=1.0))
        return bool(np.all((np.abs(total - along) <= near) | ~np.isfinite(along)))

    def matrix(self, data: np.ndarray) -> Any:
        """The entries as a sparse matrix."""
        parts = data, self.indices, self.starts
        kind = _scipys()
        if kind is None:
            return CSR(*parts, self.plan.pattern.shape)
        matrix = kind(parts, shape=self.plan.pattern.shape)
        matrix.has_canonical_format = True
        return matrix

    @property
    def report(self) -> str:
        """The pattern, the colours and what they spare."""
        plan, pattern = self.plan, self.plan.pattern
        m, n = pattern.shape
        what = "Hessian" if self.mode == "symmetric" else "Jacobian"
        row = np.bincount(pattern.rows, minlength=1).max(initial=0)
        column = np.bincount(pattern.columns, minlength=1).max(initial=0)
        share = f"{100 * pattern.density:.2g} %"
        most = f"at most {row:,} in a row and {column:,} in a column"
        found = f"found in {self.seconds:.3f} s"
        lines = [
            f"{what} {m:,} × {n:,}",
            f"    pattern: {pattern.nnz:,} entries ({share}), {most}; {found}",
            f"    sweeps:  {plan!r}",
        ]
        if plan.sweeps:
            lines.append(f"    spared:  {plan.dense / plan.sweeps:,.0f} times fewer sweeps")
        if self.probe is not None:
            lines.append("    checked: one more sweep, as the pattern depends on values of indices")
        return "\n".join(lines)


@functools.cache
def _scipys() -> Any:
    """SciPy's sparse matrix by rows; None if SciPy is not installed."""
    try:
        from scipy.sparse import csr_array
    except ImportError:
        return None
    return csr_array
