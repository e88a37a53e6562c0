"""Whole derivatives: Jacobians, Hessians, and products with them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DomainError, GradientError
from ..handle import Tensor, as_tensor, asarray, from_value
from ..ops.repeat import reshape
from ..trees import tree_flatten, tree_unflatten
from .batch import vmap
from .calls import traced_call
from .transforms import _Call, grad, jvp, linearize, vjp


def _restricted(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], numbers: list[int]
) -> Callable[..., Any]:
    """f as a function of the chosen arguments only."""

    def g(*chosen: Any) -> Any:
        full = list(args)
        for i, x in zip(numbers, chosen, strict=True):
            full[i] = x
        return f(*full, **kwargs)

    return g


def _basis(leaves: Sequence[Any], args: Any) -> tuple[list[Any], list[int]]:
    """Unit directions through all leaves together: one array per leaf, lanes first; tensors, if
    there is one among the arguments, so that tensors come out.
    """
    sizes = [leaf.size for leaf in leaves]
    total = sum(sizes)
    rows, start = [], 0
    for leaf, size in zip(leaves, sizes, strict=True):
        unit = np.zeros((total, size), leaf.dtype)
        unit[start + np.arange(size), np.arange(size)] = 1
        rows.append(unit.reshape(total, *leaf.shape))
        start += size
    if any(isinstance(x, Tensor) for x in tree_flatten(args)[0]):
        rows = [from_value(r) for r in rows]
    return rows, sizes


def _numbers(argnums: int | Sequence[int], args: tuple[Any, ...]) -> list[int]:
    wanted = [argnums] if isinstance(argnums, int | np.integer) else list(argnums)
    _Call("jacobian", args, wanted)  # checks them
    return [int(i) % len(args) for i in wanted]


def jacrev(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The Jacobian of f by reverse sweeps, all at once: shape output + input, for each output leaf
    and each argument leaf. Cheap where outputs are few.

    Example:
        >>> ob.jacrev(lambda x: x * x)(np.array([1.0, 2.0]))
        array([[2., 0.],
               [0., 4.]])
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        numbers = _numbers(argnums, args)
        chosen = [args[i] for i in numbers]
        y, pull = vjp(_restricted(f, args, kwargs, numbers), *chosen)
        ys, y_tree = tree_flatten(y)
        ys = [asarray(t) for t in ys]
        _refuse_complex([*ys, *(as_tensor(x) for x in tree_flatten(chosen)[0])])
        rows, sizes = _basis(ys, args)
        # lanes: the entries of all outputs
        bars = vmap(lambda b: pull(tree_unflatten(y_tree, b)))(rows)
        return _arranged(
            ys, y_tree, sizes, bars, isinstance(argnums, int | np.integer), lanes_are_outputs=True
        )

    return wrapped


def jacfwd(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The Jacobian of f by forward sweeps, all at once: shape output + input, as `jacrev`. Cheap
    where inputs are few.

    Example:
        >>> ob.jacfwd(lambda x: x * x)(np.array([1.0, 2.0]))
        array([[2., 0.],
               [0., 4.]])
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        numbers = _numbers(argnums, args)
        chosen = tuple(args[i] for i in numbers)
        xs, x_tree = tree_flatten(chosen)
        xs = [asarray(x) for x in xs]
        y, at = linearize(_restricted(f, args, kwargs, numbers), *chosen)
        _refuse_complex([*xs, *(as_tensor(t) for t in tree_flatten(y)[0])])
        rows, sizes = _basis(xs, args)
        dots = vmap(lambda d: at(*tree_unflatten(x_tree, d)))(rows)
        return _columns(y, xs, x_tree, sizes, dots, isinstance(argnums, int | np.integer))

    return wrapped


def _refuse_complex(ts: Sequence[Tensor]) -> None:
    for t in ts:
        if t.dtype.kind == "c":
            raise GradientError(
                "jacobian: of complex numbers there are two", got={"tensor": t},
                hint="differentiate by the real and the imaginary part, or use ob.vjp and ob.jvp",
            )  # fmt: skip


def _cut(whole: Any, start: int, size: int) -> Any:
    return whole[start : start + size]


def _arranged(
    ys: list[Tensor],
    y_tree: Any,
    sizes: list[int],
    bars: Any,
    single: bool,
    *,
    lanes_are_outputs: bool,
) -> Any:
    blocks, start = [], 0
    for y, size in zip(ys, sizes, strict=True):
        leaves, tree = tree_flatten(bars)
        cut = [_shaped(_cut(b, start, size), (*y.shape, *b.shape[1:])) for b in leaves]
        per_argument = tree_unflatten(tree, cut)
        blocks.append(per_argument[0] if single else per_argument)
        start += size
    return tree_unflatten(y_tree, blocks)


def _columns(
    y: Any, xs: list[Tensor], x_tree: Any, sizes: list[int], dots: Any, single: bool
) -> Any:
    y_tree = tree_flatten(y)[1]
    columns = tree_flatten(dots)[0]
    blocks = []
    for c in columns:
        start, found = 0, []
        for x, size in zip(xs, sizes, strict=True):
            part = _cut(c, start, size)
            last = np.moveaxis(part, 0, -1) if isinstance(part, np.ndarray) else _moved(part)
            found.append(_shaped(last, (*c.shape[1:], *x.shape)))
            start += size
        per_argument = tree_unflatten(x_tree, found)
        blocks.append(per_argument[0] if single else per_argument)
    return tree_unflatten(y_tree, blocks)


def _moved(t: Tensor) -> Tensor:
    from ..ops.movement import move_axis

    return move_axis(t, 0, t.ndim - 1)


def _shaped(x: Any, shape: tuple[int, ...]) -> Any:
    return reshape(x, shape) if isinstance(x, Tensor) else np.reshape(x, shape)


def jacobian(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, mode: str = "auto"
) -> Callable[..., Any]:
    """The Jacobian of f, shape output + input, never transposed.

    mode: "reverse" takes one sweep per output entry, "forward" one per input entry, "auto" the
    fewer.

    Example:
        >>> A = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        >>> ob.jacobian(lambda x: A @ x)(np.array([1.0, 1.0]))
        array([[1., 2.],
               [3., 4.],
               [5., 6.]])
    """
    if mode not in ("auto", "forward", "reverse"):
        raise DomainError(f"jacobian: mode={mode!r}", want='"auto", "forward" or "reverse"')

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        chosen = mode
        if chosen == "auto":
            numbers = _numbers(argnums, args)
            leaves = [x for i in numbers for x in tree_flatten(args[i])[0]]
            inputs = sum(x.size if isinstance(x, Tensor) else np.size(x) for x in leaves)
            chosen = "forward" if inputs <= _outputs(f, args, kwargs) else "reverse"
        return (jacfwd if chosen == "forward" else jacrev)(f, argnums)(*args, **kwargs)

    return wrapped


def _outputs(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """How many numbers f returns, found by tracing it."""
    try:
        captured = traced_call(f, args, kwargs)[0]
    except Exception:  # noqa: BLE001  (it branches on values: run it)
        return sum(math.prod(np.shape(y)) for y in tree_flatten(f(*args, **kwargs))[0])
    return sum(y.spec.size for y in captured.graph.outputs[: captured.results])


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The matrix of second derivatives of a scalar f: forward sweeps over the reverse one.

    Example:
        >>> ob.hessian(lambda x: ob.sum(x**3))(np.array([1.0, 2.0]))
        array([[ 6.,  0.],
               [ 0., 12.]])
    """
    return jacfwd(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of f's Hessian with a direction: one forward sweep over the reverse one.

    Primals and tangents are sequences; the result is one product per primal, alone if there is one.

    Example:
        >>> ob.hvp(lambda x: ob.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
        array([ 6., 12.])
    """
    primals = tuple(primals)
    found = jvp(grad(f, tuple(range(len(primals)))), primals, tuple(tangents))[1]
    return found[0] if len(primals) == 1 else found


def linear_transpose(f: Callable[..., Any], *primals: Any) -> Callable[..., Any]:
    """The transpose of a linear f, as a function of its cotangent; only the primals' shapes matter.

    Example:
        >>> transpose = ob.linear_transpose(lambda x: 3.0 * x[::-1], np.zeros(2))
        >>> transpose(np.array([1.0, 2.0]))
        (array([6., 3.]),)
    """
    _, pull = vjp(f, *primals)
    return pull
