"""Whole derivatives: Jacobians, Hessians, and products with them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DomainError, GradientError
from ..handle import Tensor, as_tensor, asarray, from_value
from ..ops.repeat import reshape
from ..trees import tree_flatten, tree_unflatten
from .batch import vmap
from .calls import traced_call
from .compressed import Plan, entries, filled, planned
from .pattern import DenseError, pattern_in, restricted
from .transforms import _Call, grad, jvp, linearize, vjp


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
        y, pull = vjp(restricted(f, args, kwargs, numbers), *chosen)
        ys, y_tree = tree_flatten(y)
        ys = [asarray(t) for t in ys]
        _refuse_complex([*ys, *(as_tensor(x) for x in tree_flatten(chosen)[0])])
        rows, sizes = _basis(ys, args)
        # lanes: the entries of all outputs
        bars = vmap(lambda b: pull(tree_unflatten(y_tree, b)))(rows)
        single = isinstance(argnums, int | np.integer)
        return _Call("jacobian", args, argnums).out_tree(
            _arranged(ys, y_tree, sizes, bars, single, lanes_are_outputs=True)
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
        y, at = linearize(restricted(f, args, kwargs, numbers), *chosen)
        _refuse_complex([*xs, *(as_tensor(t) for t in tree_flatten(y)[0])])
        rows, sizes = _basis(xs, args)
        dots = vmap(lambda d: at(*tree_unflatten(x_tree, d)))(rows)
        single = isinstance(argnums, int | np.integer)
        return _Call("jacobian", args, argnums).out_tree(
            _columns(y, xs, x_tree, sizes, dots, single)
        )

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


FEW = 16
"""Sweeps that are taken without asking whether colours would spare some."""


def jacobian(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, mode: str = "auto"
) -> Callable[..., Any]:
    """The Jacobian of f, shape output + input, never transposed.

    mode: "forward" takes one sweep per input entry, "reverse" one per output entry, "compressed"
    one per colour: columns (or rows) that cannot meet in a row share one, see `ob.sparsity`. "auto"
    takes the fewest sweeps. `.report` of the function says what the last call took, and why.

    Example:
        >>> A = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        >>> J = ob.jacobian(lambda x: A @ x)
        >>> J(np.array([1.0, 1.0]))
        array([[1., 2.],
               [3., 4.],
               [5., 6.]])
        >>> J.report
        'forward: 2 inputs, 3 outputs, so 2 forward sweeps instead of 3 reverse ones'
    """
    if mode not in ("auto", "forward", "reverse", "compressed"):
        raise DomainError(
            f"jacobian: mode={mode!r}", want='"auto", "forward", "reverse" or "compressed"'
        )

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if mode in ("forward", "reverse"):
            wrapped.report = f"{mode}: as asked"  # type: ignore[attr-defined]
            return (jacfwd if mode == "forward" else jacrev)(f, argnums)(*args, **kwargs)
        way = _Way(f, args, kwargs, _numbers(argnums, args), compress=mode == "compressed")
        wrapped.report = way.report  # type: ignore[attr-defined]
        if way.plan is not None:
            return way.compressed(way.plan, argnums)
        return (jacfwd if way.mode == "forward" else jacrev)(f, argnums)(*args, **kwargs)

    wrapped.report = "not called yet"  # type: ignore[attr-defined]
    return wrapped


class _Way:
    """The way to a Jacobian with the fewest sweeps: `mode`, the `plan` if compressed, a `report`.

    compress: take colours whether or not they spare sweeps
    """

    def __init__(
        self, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any], numbers: list[int], *,
        compress: bool,
    ) -> None:  # fmt: skip
        self.f, self.args, self.kwargs, self.numbers = f, args, kwargs, numbers
        self.chosen = tuple(args[i] for i in numbers)
        self.xs = [as_tensor(x) for x in tree_flatten(self.chosen)[0]]
        self.plan: Plan | None = None
        inputs = sum(x.size for x in self.xs)
        try:
            self.captured = traced_call(restricted(f, args, kwargs, numbers), self.chosen, {})[0]
            self.ys = [y.spec for y in self.captured.graph.outputs[: self.captured.results]]
        except Exception:  # it branches on values: run it
            if compress:
                raise
            self.ys = [asarray(y).spec for y in tree_flatten(f(*args, **kwargs))[0]]
            outputs = sum(y.size for y in self.ys)
        else:
            outputs = sum(y.size for y in self.ys)
            if compress or min(inputs, outputs) > FEW:
                self.plan = self._plan(min(inputs, outputs), compress)
        self.mode = "forward" if inputs <= outputs else "reverse"
        less, more = sorted((inputs, outputs))
        other = "reverse" if self.mode == "forward" else "forward"
        self.report = (
            f"{self.mode}: {inputs:,} inputs, {outputs:,} outputs, so {less:,} {self.mode} sweeps "
            f"instead of {more:,} {other} ones"
        )
        if self.plan is not None:
            share = f"{100 * self.plan.pattern.density:.2g} % of the entries"
            self.report = f"compressed: {share} can be other than zero, so {self.plan!r}"

    def _plan(self, plain: int, compress: bool) -> Plan | None:
        """The plan by colours; None if it spares nothing."""
        if not compress and not _alike([*self.xs, *self.ys]):
            return None
        try:
            pattern = pattern_in(self.captured)
        except DenseError:
            if compress:
                raise
            return None
        plan = planned(pattern)
        return plan if compress or plan.sweeps < plain else None

    def compressed(self, plan: Plan, argnums: Any) -> Any:
        """The Jacobian by the plan, cut into blocks: for each result one per argument."""
        g = restricted(self.f, self.args, self.kwargs, self.numbers)
        call = _Call("jacobian", self.args, argnums)
        whole = filled(plan.pattern, entries(plan, g, *self.chosen))
        rows, top = [], 0
        for y in self.ys:
            row, left = [], 0
            for x in self.xs:
                part = whole[top : top + y.size, left : left + x.size]
                row.append(call.out(reshape(part, (*y.shape, *x.shape))))
                left += x.size
            rows.append(call.gathered(row))
            top += y.size
        return tree_unflatten(self.captured.out_tree, rows)


def _alike(tensors: Sequence[Any]) -> bool:
    """Whether all are of one floating dtype."""
    return len({t.dtype for t in tensors}) == 1 and tensors[0].dtype.kind == "f"


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


def ggnvp(
    f: Callable[..., Any],
    loss: Callable[[Any], Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
) -> Any:
    """The product of the generalised Gauss-Newton matrix of loss(f(x)) with a direction.

    Of the Hessian of loss ∘ f it is the part without f's second derivatives: Jᵀ H J, with f's
    Jacobian J and the loss's Hessian H. Where the loss is convex it has no negative curvature, and
    of a linear f, or residuals that vanish, it is the Hessian itself.

    Primals and tangents are sequences; the result is one product per primal, alone if there is one.

    Rule:    one forward sweep through f, one Hessian-vector product of the loss, one reverse sweep.
    Source:  Schraudolph (2002), Fast curvature matrix-vector products.
    Example:
        >>> half_square = lambda r: 0.5 * ob.sum(r * r)
        >>> x, v = np.array([1.0, 2.0]), np.array([1.0, 0.0])
        >>> ob.ggnvp(lambda x: x * x, half_square, (x,), (v,))
        array([4., 0.])
    """
    primals = tuple(primals)
    y, y_dot = jvp(f, primals, tuple(tangents))
    bent = hvp(loss, (y,), (y_dot,))
    found = vjp(f, *primals)[1](bent)
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
