"""grad, vjp, jvp and what is made of them: functions of functions.

Each follows its inputs as fresh `alias` nodes with a tracker of their own, runs the function, and
sweeps the graph that came of it. Fresh nodes are all it takes to nest transforms in any order
without confusing one's perturbation with another's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from ..capture import is_for_numpy, to_numpy
from ..context import CONTEXT, UNKNOWN, WANTED, Context, changed, is_tracing, tracker
from ..errors import DTypeError, GradientError, ShapeError
from ..graph import EMPTY, INPUT, Node
from ..handle import Tensor, as_tensor, asarray, from_value, handle
from ..ops.movement import alias, conj
from ..trees import same_structure, tree_flatten, tree_unflatten
from .sweep import Handles, Raw, World, pullback, pushforward


class Following:
    """While it lasts, what is computed from these tensors carries their tracker."""

    def __init__(self, leaves: Sequence[Tensor], *, keep: bool = False) -> None:
        self.outer = CONTEXT.get()
        self.leaves, self.keep = leaves, keep
        self.bit = tracker(self.outer.level)
        self.inputs: list[Tensor] = []

    def __enter__(self) -> Self:
        outer, bit = self.outer, self.bit
        inner = changed(
            outer, level=outer.level + 1, active=outer.active | bit, allowed=outer.allowed | bit,
            keep=outer.keep or self.keep,
        )  # fmt: skip
        self.token = CONTEXT.set(inner)
        self.inputs = [followed(t, bit, outer) for t in self.leaves]
        return self

    def __exit__(self, *_: object) -> None:
        CONTEXT.reset(self.token)

    def handles(self) -> list[Tensor]:
        """The inputs as the function gets them: it may rebind these handles (`x += 1`)."""
        return [_twin(t) for t in self.inputs]

    @property
    def spent(self) -> int:
        """Its tracker, unless a transform of now has the same one (a pull may be called late)."""
        return self.bit & ~self.outer.active

    def world(self, outputs: Sequence[Tensor], dropped: bool) -> World:
        """Raw if nobody else follows the outputs, or what they follow is dropped."""
        others = self.outer.active | UNKNOWN | (0 if dropped else WANTED & self.outer.allowed)
        followed_by = 0
        for y in outputs:
            if y._node is not None:
                followed_by |= y._node.mask
        return (
            Handles()
            if self.outer.trace is not None or followed_by & others & ~self.spent
            else Raw()
        )

    def sweeping(self) -> Any:
        """The context in which rules run: what they record does not carry this tracker."""
        return _Sweeping(changed(self.outer, allowed=self.outer.allowed & ~self.spent))

    def released(self, t: Tensor) -> Tensor:
        """A result without the tracker of this transform."""
        node = t._node
        if node is None or not node.mask & self.spent:
            return t
        mask = node.mask & ~self.spent
        if not mask:
            return handle(None, t.value, t.spec)
        twin = Node(
            alias, (node,), EMPTY, node.spec, t.value, mask=mask, code=node.code, at=node.at
        )
        if self.outer.trace is not None:
            self.outer.trace.adopt(twin)
        return handle(twin, t.value, t.spec)


def _twin(t: Tensor) -> Tensor:
    return handle(t._node, t.value, t.spec)


class _Sweeping:
    def __init__(self, context: Context) -> None:
        self.context = context

    def __enter__(self) -> None:
        self.token = CONTEXT.set(self.context)
        self.quiet = np.errstate(all="ignore")
        self.quiet.__enter__()

    def __exit__(self, *_: object) -> None:
        self.quiet.__exit__(None, None, None)
        CONTEXT.reset(self.token)


def followed(t: Tensor, bit: int, outer: Context) -> Tensor:
    """The tensor as a fresh node with a tracker."""
    if outer.trace is not None:
        twin = outer.trace.stage(alias, [t], EMPTY)
        twin._node.mask |= bit
        return twin
    before = t._node
    if before is None:
        node = Node(INPUT, (), {"name": t.name} if t.name else EMPTY, t.spec, t.value, mask=bit)
    else:
        mask = before.mask & outer.allowed | bit
        node = Node(alias, (before,), EMPTY, t.spec, t.value, mask=mask)
        node.code, node.at = before.code, before.at
    return handle(node, t.value, t.spec)


class _Call:
    """The arguments of one call of a transformed function: which are differentiated, and how
    results are handed out: NumPy for NumPy at the outermost transform, Tensors otherwise.
    """

    def __init__(self, what: str, args: tuple[Any, ...], argnums: int | Sequence[int]) -> None:
        self.args = args
        self.single = isinstance(argnums, int | np.integer)
        numbers = [int(argnums)] if self.single else [int(i) for i in argnums]  # type: ignore[arg-type]
        for i in numbers:
            if not -len(args) <= i < len(args):
                raise GradientError(
                    f"{what}: argument {i} is to be differentiated, but {len(args)} came",
                    want="positional arguments for every number in argnums",
                )
        self.numbers = [i % len(args) for i in numbers]
        self.structures, self.leaves, self.counts = [], [], []
        for i in self.numbers:
            leaves, structure = tree_flatten(args[i])
            self.leaves += [differentiable(what, leaf, i) for leaf in leaves]
            self.structures.append(structure)
            self.counts.append(len(leaves))
        self.plain = is_for_numpy(tree_flatten(list(args))[0])

    def arguments(self, inputs: Sequence[Tensor]) -> list[Any]:
        """The arguments with the differentiated ones replaced."""
        args, at = list(self.args), 0
        for i, structure, count in zip(self.numbers, self.structures, self.counts, strict=True):
            args[i] = tree_unflatten(structure, list(inputs[at : at + count]))
            at += count
        return args

    def gathered(self, results: Sequence[Any]) -> Any:
        """One result per leaf, in the arguments' structure."""
        trees, at = [], 0
        for structure, count in zip(self.structures, self.counts, strict=True):
            trees.append(tree_unflatten(structure, list(results[at : at + count])))
            at += count
        return trees[0] if self.single else tuple(trees)

    def out(self, t: Any) -> Any:
        """A result as the caller gets it."""
        if isinstance(t, Tensor):
            return to_numpy(t) if self.plain else t
        return t

    def out_tree(self, tree: Any) -> Any:
        """A tree of results as the caller gets it."""
        leaves, structure = tree_flatten(tree)
        return tree_unflatten(structure, [self.out(leaf) for leaf in leaves])

    def returned(self, following: Following, t: Any) -> Any:
        """What the function returned as the caller gets it, without the tracker."""
        if not isinstance(t, Tensor):
            return t
        twin = following.released(t)
        if not self.plain:
            return twin
        return to_numpy(twin if twin is not t else _twin(t))  # the function may hold on to t

    def returned_tree(self, following: Following, tree: Any) -> Any:
        """A tree of what the function returned as the caller gets it."""
        leaves, structure = tree_flatten(tree)
        return tree_unflatten(structure, [self.returned(following, leaf) for leaf in leaves])


def differentiable(what: str, leaf: Any, i: int | None = None) -> Tensor:
    """The leaf as a tensor of floats.

    Raises:  DTypeError for integers, booleans and what is no number.
    """
    t = leaf if isinstance(leaf, Tensor) else as_tensor(leaf)
    if not t.spec.floating:
        raise DTypeError(
            f"{what}: only floating numbers can be differentiated"
            + (f"; argument {i} holds {t.dtype}" if i is not None else f", not {t.dtype}"),
            got={"argument": t},
            hint="write 3.0 instead of 3, or convert: x.astype(float); choose other arguments "
            "with argnums=",
        )
    return t


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives (f(...), its gradient by the arguments `argnums`).

    f returns a scalar, or (scalar, anything) with `has_aux`. Arguments may be nested containers
    and modules; the gradient has their structure and shapes. NumPy in, NumPy out.

    Rule:    one reverse sweep with ȳ = 1. Of complex arguments: PyTorch's convention, the
             direction of steepest ascent.
    Raises:  GradientError if f gives no scalar, DTypeError for integer arguments.
    Example:
        >>> value, slope = ob.value_and_grad(lambda x: x**3)(2.0)
        >>> float(value), float(slope)
        (8.0, 12.0)
    """
    name = getattr(f, "__name__", "f")

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call = _Call("grad", args, argnums)
        with Following(call.leaves) as following:
            result = f(*call.arguments(following.handles()), **kwargs)
        y, aux = _with_aux("grad", result, has_aux)
        y = scalar_result("grad", y, name)
        if y.dtype.kind == "c":
            raise GradientError(
                "grad: the result is complex, so it has no gradient",
                got={"result": y},
                hint="take ob.real, ob.imag or ob.abs of it, or use ob.vjp",
            )
        x_bars = adjoints_of(following, [y], [ones_of(y)], dropped=call.plain and not is_tracing())
        grads = [call.out(conjugate(b)) for b in x_bars]
        value = call.returned(following, y)
        gradient = call.gathered(grads)
        if has_aux:
            return (value, call.returned_tree(following, aux)), gradient
        return value, gradient

    return wrapped


def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives the gradient of the scalar f by the arguments `argnums`.

    With `has_aux` f returns (scalar, anything), and the result is (gradient, anything).
    See `value_and_grad`.

    Example:
        >>> float(ob.grad(lambda x: x**3)(2.0))
        12.0
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def ones_of(y: Tensor) -> Tensor:
    """The adjoint of a result by itself."""
    return from_value(np.ones(y.shape, y.dtype))


def conjugate(x_bar: Tensor) -> Tensor:
    """Sweeps do not conjugate; gradients that are handed out follow PyTorch."""
    return conj(x_bar) if x_bar.dtype.kind == "c" else x_bar


def _with_aux(what: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise GradientError(f"{what}: with has_aux the function returns a pair (result, anything)",
                            got={"result": type(result).__name__})  # fmt: skip
    return result


def scalar_result(what: str, y: Any, name: str) -> Tensor:
    """What a function returned, if it is one number; GradientError if not."""
    if isinstance(y, tuple | list | dict) or y is None:
        raise GradientError(
            f"{what}: {name} returned a {type(y).__name__}, a gradient is that of one scalar",
            hint="for (loss, anything) pass has_aux=True; for several results use ob.vjp or "
            "ob.jacobian",
        )
    y = asarray(y)
    if y.size != 1:
        raise GradientError(
            f"{what}: the result of {name} is no scalar",
            got={"result": y},
            want="a result with one element",
            hint="reduce it with .sum() or .mean(); for all derivatives use ob.jacobian, for one "
            "combination ob.vjp",
        )
    return y


def adjoints_of(
    following: Following,
    outputs: Sequence[Tensor],
    y_bars: Sequence[Tensor],
    *,
    dropped: bool = False,
) -> list[Tensor]:
    """The adjoints of what is followed; zeros where nothing arrived."""
    world = following.world([*outputs, *y_bars], dropped)
    with following.sweeping():
        seeds = [b.value for b in y_bars] if world.raw else list(y_bars)
        bars = pullback(
            [y.node for y in outputs],
            [x.node for x in following.inputs],
            seeds,
            world=world,
            mask=following.bit,
        )
        return [_handed(b, x) for b, x in zip(bars, following.inputs, strict=True)]


def tangents_of(
    following: Following, outputs: Sequence[Tensor], x_dots: Sequence[Any], *, dropped: bool = False
) -> list[Tensor]:
    """The tangents of the outputs; zeros where nothing arrived."""
    given = [d for d in x_dots if d is not None]
    world = following.world([*outputs, *given], dropped)
    with following.sweeping():
        pairs = [
            (x.node, d.value if world.raw else d)
            for x, d in zip(following.inputs, x_dots, strict=True)
            if d is not None
        ]
        dots = pushforward(
            [y.node for y in outputs],
            [x for x, _ in pairs],
            [d for _, d in pairs],
            world=world,
            mask=following.bit,
        )
        return [_handed(d, y) for d, y in zip(dots, outputs, strict=True)]


def _handed(bar: Any, like: Tensor) -> Tensor:
    if bar is None:
        return from_value(np.zeros(like.shape, like.dtype))
    return (
        bar
        if isinstance(bar, Tensor)
        else from_value(np.asarray(bar) if like.ndim else np.asarray(bar)[()])
    )


# -- vector-Jacobian and Jacobian-vector products ---------------------------------------------


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """(f(*primals), pull): pull(ȳ) gives ȳ · ∂f/∂xᵢ, one per primal. With `has_aux` also the rest.

    Rule:    one reverse sweep per call of pull; adjoints are not conjugated.
    Example:
        >>> y, pull = ob.vjp(lambda x: x * x, np.array([1.0, 2.0]))
        >>> pull(np.array([1.0, 10.0]))
        (array([ 2., 40.]),)
    """
    call = _Call("vjp", primals, tuple(range(len(primals))))
    with Following(call.leaves) as following:
        result = f(*call.arguments(following.handles()))
    result, aux = _with_aux("vjp", result, has_aux)
    leaves, structure = tree_flatten(result)
    outputs = [asarray(y) for y in leaves]

    def pull(y_bar: Any) -> tuple[Any, ...]:
        given, theirs = tree_flatten(y_bar)
        same_structure("pull", structure, theirs, ("the result", "the cotangent"))
        plain = call.plain and is_for_numpy(given)
        seeds = [like(b, y, "cotangent") for b, y in zip(given, outputs, strict=True)]
        now = _again(following)
        x_bars = adjoints_of(now, outputs, seeds, dropped=plain and not is_tracing())
        return call.gathered([to_numpy(b) if plain else b for b in x_bars])

    out = tree_unflatten(structure, [call.returned(following, y) for y in outputs])
    return (out, pull, call.returned_tree(following, aux)) if has_aux else (out, pull)


def _again(following: Following) -> Following:
    """The same graph, swept in the context of now."""
    now = Following(following.leaves)
    now.inputs, now.bit = following.inputs, following.bit
    return now


def like(b: Any, y: Tensor, what: str) -> Tensor:
    """A cotangent or tangent as a tensor of the shape and dtype of what it belongs to."""
    t = as_tensor(b)
    if t.shape != y.shape:
        raise ShapeError(
            f"the {what} does not have the shape of what it belongs to",
            got={what: t, "belongs to": y},
        )
    if not t.spec.floating and t.size and t.value is not None and np.any(t.value):
        t = as_tensor(t, y.dtype)
    if t.dtype.kind == "c" and y.dtype.kind != "c":
        raise DTypeError(f"the {what} of a real tensor is real", got={what: t, "belongs to": y})
    return as_tensor(t, y.dtype) if t.dtype != y.dtype or t.spec.weak else t


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """(f(*primals), its derivative in the direction of the tangents).

    Rule:    one forward sweep.
    Example:
        >>> y, y_dot = ob.jvp(lambda x: x * x, (3.0,), (1.0,))
        >>> float(y), float(y_dot)
        (9.0, 6.0)
    """
    out, at = linearize(f, *primals)
    primals, tangents = tuple(primals), tuple(tangents)
    if len(primals) != len(tangents):
        raise ShapeError(
            f"jvp: {len(primals)} primals and {len(tangents)} tangents",
            want="one tangent per primal",
        )
    return out, at(*tangents)


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """(f(*primals), jvp_at): jvp_at(*tangents) is f's derivative there, without running f again."""
    call = _Call("jvp", tuple(primals), tuple(range(len(primals))))
    with Following(call.leaves, keep=True) as following:
        result = f(*call.arguments(following.handles()))
    leaves, structure = tree_flatten(result)
    outputs = [asarray(y) for y in leaves]

    def jvp_at(*x_dots: Any) -> Any:
        given = []
        for x_dot, theirs in zip(x_dots, call.structures, strict=True):
            dots, ours = tree_flatten(x_dot)
            same_structure("jvp", theirs, ours, ("the primal", "the tangent"))
            given += dots
        plain = call.plain and is_for_numpy(given)
        seeds = [like(d, x, "tangent") for d, x in zip(given, following.inputs, strict=True)]
        y_dots = tangents_of(_again(following), outputs, seeds, dropped=plain and not is_tracing())
        return tree_unflatten(structure, [to_numpy(d) if plain else d for d in y_dots])

    return tree_unflatten(structure, [call.returned(following, y) for y in outputs]), jvp_at
