"""Functions to be minimised and equations to be solved, as `scipy.optimize` takes them.

`objective` is for a function with one number as its result: `minimize`. `residuals` is for one with
a vector: `least_squares`, `root`. Both are mappings of SciPy's keywords, so that two stars pass
them on: `minimize(**ob.scipy.objective(f, x0), method="BFGS")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import GradientError

from .jacobians import hessian_of, jacobian_of
from .point import Vector, as_float, line_of, of_vector, refuse_start


class Given(Mapping[str, Any]):
    """SciPy's keywords: `fun` and `jac`; `x0` and `args` if the start is known."""

    what = "function"

    def __init__(self, f: Callable[..., Any], x0: Any, args: tuple[Any, ...]) -> None:
        self._vector = None if x0 is None else Vector(x0)
        self._f, self._line = of_vector(f, self._vector), line_of(f)
        self._started = False
        self.args = args

    @property
    def x0(self) -> np.ndarray | None:
        """The start as a vector, if one was given."""
        return None if self._vector is None else self._vector.start

    def ravel(self, tree: Any) -> np.ndarray:
        """A tree like x0 as a vector."""
        return as_float(tree) if self._vector is None else self._vector.ravel(tree)

    def unravel(self, x: Any) -> Any:
        """A vector as a tree like x0."""
        return x if self._vector is None else self._vector.unravel(x)

    def fun(self, x: Any, *args: Any) -> Any:
        """f(x, *args)."""
        raise NotImplementedError

    def _start(self) -> None:
        """Evaluate at the start that was given, so that what is wrong is said here."""
        if self._vector is not None:
            self.fun(self._vector.start, *self.args)

    def _checked(self, x: np.ndarray, value: Any, args: tuple[Any, ...]) -> Any:
        """The value; the first there is must be finite."""
        if not self._started:
            if not np.isfinite(value).all():
                raise refuse_start(self.what, self._f, x, args, self._line)
            self._started = True
        return value

    @property
    def _names(self) -> tuple[str, ...]:
        return ("fun", "jac") if self._vector is None else ("fun", "jac", "x0", "args")

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Objective(Given):
    """A function of a vector with one number as its result, and its exact derivatives.

    Made by `objective`. Each is compiled at its first call. Value and gradient are computed
    together: `jac` hands out what `fun` has just found at the same point.
    """

    what = "objective"

    def __init__(
        self, f: Callable[..., Any], x0: Any, args: tuple[Any, ...], *, sparse: bool
    ) -> None:
        super().__init__(f, x0, args)
        point = self._f
        self._both = ob.jit(ob.value_and_grad(point))
        self._hessian = hessian_of(point, sparse=sparse)
        self._product = ob.jit(lambda x, p, *args: ob.hvp(lambda x: point(x, *args), (x,), (p,)))
        self._last: tuple[bytes, tuple[Any, ...], np.ndarray] | None = None
        self._start()

    def fun(self, x: Any, *args: Any) -> float:
        """f(x, *args)."""
        x = as_float(x)
        value, gradient = self._at(x, args)
        self._last = x.tobytes(), args, gradient
        return value

    def jac(self, x: Any, *args: Any) -> np.ndarray:
        """The gradient."""
        x, last, self._last = as_float(x), self._last, None
        if last is not None and last[0] == x.tobytes() and _same(last[1], args):
            return last[2]
        return self._at(x, args)[1]

    def hess(self, x: Any, *args: Any) -> Any:
        """The matrix of second derivatives."""
        return self._hessian(as_float(x), *args)

    def hessp(self, x: Any, p: Any, *args: Any) -> np.ndarray:
        """The product of that matrix with p, without making it."""
        return np.array(self._product(as_float(x), as_float(p), *args))

    def _at(self, x: np.ndarray, args: tuple[Any, ...]) -> tuple[float, np.ndarray]:
        try:
            value, gradient = self._both(x, *args)
        except GradientError as error:
            raise GradientError(
                error.what.replace("grad:", "objective:"),
                want="a function with one number as its result",
                hint="for `least_squares` and `root` write ob.scipy.residuals(f)",
                where=self._line,
            ) from None
        return self._checked(x, float(value), args), np.array(gradient)


def _same(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> bool:
    """Whether the arguments are the same things, not only equal ones."""
    return len(ours) == len(theirs) and all(a is b for a, b in zip(ours, theirs, strict=True))


def objective(
    f: Callable[..., Any], x0: Any = None, args: tuple[Any, ...] = (), *, sparse: bool = False
) -> Objective:
    """f for `scipy.optimize.minimize`: `.fun`, `.jac`, `.hess`, `.hessp`, exact and compiled.

    f(x, *args) gives one number. x0, if given, may be any tree of arrays: f is called with such
    trees, SciPy sees one vector, `.ravel` and `.unravel` go between them; and f is tried there.
    sparse: the Hessian as a SciPy matrix of compressed rows; its pattern is found by itself.

    Shapes:  x (n,)  ->  fun: a number, jac: (n,), hess: (n, n), hessp(x, p): (n,), float64.
    Raises:  GradientError if f gives no single number; NonFiniteError if it gives a NaN or an
             infinity at the start, with the line at which that was born.
    Example:
        >>> f = lambda x: ob.sum((x - 1.0) ** 4)
        >>> of = ob.scipy.objective(f)
        >>> x = np.array([0.0, 3.0])
        >>> of.fun(x), of.jac(x), of.hessp(x, [1.0, 0.0])
        (17.0, array([-4., 32.]), array([12.,  0.]))
    """
    return Objective(f, x0, args, sparse=sparse)


class Residuals(Given):
    """A function of a vector with a vector as its result, and its exact Jacobian.

    Made by `residuals`; compiled at the first call.
    """

    what = "residuals"

    def __init__(
        self, f: Callable[..., Any], x0: Any, args: tuple[Any, ...], *, sparse: bool
    ) -> None:
        super().__init__(f, x0, args)
        vector = flattened(self._f)
        self._value = ob.jit(vector)
        self._jacobian = jacobian_of(vector, sparse=sparse)
        self._start()

    def fun(self, x: Any, *args: Any) -> np.ndarray:
        """f(x, *args), as a vector."""
        x = as_float(x)
        return self._checked(x, np.array(self._value(x, *args)), args)

    def jac(self, x: Any, *args: Any) -> Any:
        """The Jacobian: a row for each entry of the result."""
        return self._jacobian(as_float(x), *args)


def flattened(f: Callable[..., Any]) -> Callable[..., Any]:
    """f with all its results in one vector."""

    def vector(x: Any, *args: Any) -> ob.Tensor:
        leaves, _ = ob.tree_flatten(f(x, *args))
        parts = [ob.reshape(leaf, (-1,)) for leaf in leaves]
        return parts[0] if len(parts) == 1 else ob.concat(parts)

    return vector


def residuals(
    f: Callable[..., Any], x0: Any = None, args: tuple[Any, ...] = (), *, sparse: bool = False
) -> Residuals:
    """f for `scipy.optimize.least_squares` and `root`: `.fun` and `.jac`, exact and compiled.

    f(x, *args) gives an array, or a tree of arrays, of any shape; x0 as in `objective`.
    sparse: the Jacobian as a SciPy matrix of compressed rows; its pattern is found by itself.

    Shapes:  x (n,)  ->  fun: (m,), jac: (m, n), float64.
    Raises:  NonFiniteError if f gives a NaN or an infinity at the start.
    Example:
        >>> of = ob.scipy.residuals(lambda x: x**2 - np.array([1.0, 4.0]))
        >>> of.jac(np.array([1.0, 3.0]))
        array([[2., 0.],
               [0., 6.]])
    """
    return Residuals(f, x0, args, sparse=sparse)
