"""Rules of your own: by function (`custom_vjp`, `custom_jvp`) and by class (`Function`); and opaque
NumPy inside a graph (`callback`).

The result is computed by ordinary operations; then it passes through a `gate`, which knows what it
was computed from and uses the stated rule instead of the operations' own. So a function with a rule
of its own is traced, batched and differentiated again like any other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..context import CONTEXT
from ..errors import DomainError, GradientError, RuleMissingError, ShapeError, StructureError
from ..handle import Tensor, as_tensor, asarray, from_value
from ..ops.logic import stop_gradient
from ..ops.movement import alias, parts
from ..primitive import Primitive, shared
from ..spec import spec
from ..trees import same_structure, tree_flatten, tree_unflatten
from .batch import vmap
from .calls import is_array, whole
from .derived import zeros
from .transforms import vjp


def _handles(values: Sequence[Any]) -> list[Tensor]:
    return [_cleared(v) if isinstance(v, Tensor) else from_value(np.asarray(v)) for v in values]


def _cleared(t: Tensor) -> Tensor:
    """Without the tracker of the sweep that is running: a transform inside the rule would take it
    for its own.
    """
    node = t._node
    return t if node is None or not node.mask & ~CONTEXT.get().allowed else apply(alias, (t,))


def _like_world(results: Sequence[Tensor | None], given: Sequence[Any]) -> list[Any]:
    """Raw for raw: the rule was fed tensors, the sweep may run on arrays."""
    raw = not any(isinstance(g, Tensor) for g in given)
    return [r.value if raw and r is not None else r for r in results]


# -- reverse ----------------------------------------------------------------------------------
# The gate's inputs are: the results, what the rule kept, the arguments.


def _gate_back(
    wanted: Sequence[bool], y_bars: Any, ys: Any, *inputs: Any, rule: Any, results: int, kept: int
) -> list[Any]:
    tensors = _handles(inputs)
    residuals, xs = tensors[results : results + kept], tensors[results + kept :]
    bars = [
        zeros(t) if b is None else _handles([b])[0] for b, t in zip(y_bars, tensors, strict=False)
    ]
    x_bars = rule(residuals, bars, xs)
    return [None] * (results + kept) + _like_world(x_bars, [*inputs, *y_bars])


def _gate_lanes(
    n: int, mapped: Sequence[bool], *inputs: Any, rule: Any, results: int, kept: int
) -> Any:
    def lanes(residuals: list[Tensor], bars: list[Tensor], xs: list[Tensor]) -> list[Tensor | None]:
        return list(
            vmap(
                lambda r, b, x: [
                    zeros(t) if m is None else m for m, t in zip(rule(r, b, x), x, strict=True)
                ]
            )(residuals, bars, xs)
        )

    return gate(*whole(n, mapped, inputs), rule=lanes, results=results, kept=kept)


def _no_forward_rule(dots: Sequence[Any], ys: Any, *inputs: Any, **_: Any) -> Any:
    raise RuleMissingError(
        "forward mode through a function with a reverse rule only",
        hint="give the forward rule instead with ob.custom_jvp: the reverse one follows from it",
    )


gate = Primitive(
    "gate", numbers=True, forward=lambda xp, *inputs, rule, results, kept: tuple(inputs[:results]),
    shape=lambda *inputs, rule, results, kept: tuple(inputs[:results]),
    vjp=shared(_gate_back, 2), jvp=shared(_no_forward_rule), batch=_gate_lanes, complex=True,
    doc="Results whose reverse rule is stated by the user.",
)  # fmt: skip


class custom_vjp:  # noqa: N801  (used as a decorator)
    """A function with a reverse rule of your own.

    `f.defvjp(forward, backward)`: forward(*args) gives (the result, residuals); backward(residuals,
    ȳ) gives one adjoint per argument, None for zero. Both are written with overbar's functions, and
    are differentiated, batched and traced in their turn.

    Example:
        >>> @ob.custom_vjp
        ... def clipped(x):
        ...     return x
        >>> clipped.defvjp(lambda x: (x, None), lambda _, y_bar: (ob.minimum(y_bar, 1.0),))
        >>> float(ob.grad(lambda x: 5.0 * clipped(x))(2.0))
        1.0
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.__name__: str = getattr(f, "__name__", type(f).__name__)
        self.forward: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """State the rule."""
        self.forward, self.backward = forward, backward

    def __call__(self, *args: Any) -> Any:
        forward, backward = self.forward, self.backward
        if forward is None or backward is None:
            raise RuleMissingError(
                f"custom_vjp: {self.__name__} has no rule yet",
                hint="state it with f.defvjp(forward, backward)",
            )
        leaves, structure = tree_flatten(args)
        spots = [i for i, x in enumerate(leaves) if is_array(x)]
        pair = forward(*args)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise StructureError(
                "custom_vjp: forward returns a pair (result, residuals)",
                got={"result": type(pair).__name__},
            )
        out, residuals = pair
        rule = _one_each(backward, self.__name__, len(args))
        xs = [asarray(leaves[i]) for i in spots]
        return _gated(rule, out, residuals, xs, structure, spots)


def _one_each(backward: Callable[..., Any], name: str, arguments: int) -> Callable[..., Any]:
    """The user's rule, which must give one adjoint per argument."""

    def rule(residuals: Any, y_bar: Any) -> Any:
        bars = backward(residuals, y_bar)
        if not isinstance(bars, tuple) or len(bars) != arguments:
            came = type(bars).__name__
            raise StructureError(
                f"custom_vjp: backward of {name} returns one adjoint per argument",
                got={
                    "arguments": str(arguments),
                    "result": f"{came} of {len(bars)}" if isinstance(bars, tuple) else came,
                },
                hint="return a tuple; for one argument (x_bar,)",
            )
        return bars

    return rule


def _gated(
    rule: Callable[..., Any],
    out: Any,
    residuals: Any,
    xs: list[Tensor],
    structure: Any,
    spots: list[int],
) -> Any:
    """The results behind a gate that uses the rule."""
    ys, out_tree = tree_flatten(out)
    ys = [stop_gradient(asarray(y)) for y in ys]  # what flows through the gate obeys its rule alone
    kept, kept_tree = tree_flatten(residuals)
    tensors = [i for i, r in enumerate(kept) if isinstance(r, Tensor)]

    def flat(
        residual_values: list[Tensor], y_bars: list[Tensor], args: list[Tensor]
    ) -> list[Tensor | None]:
        filled = list(kept)
        for i, r in zip(tensors, residual_values, strict=True):
            filled[i] = r
        bars = rule(tree_unflatten(kept_tree, filled), tree_unflatten(out_tree, y_bars))
        return _adjoints_of(bars, structure, spots, args)

    fixed = [kept[i] for i in tensors]
    for i in tensors:
        kept[i] = None  # the gate holds them, once
    outs = apply(gate, (*ys, *fixed, *xs), {"rule": flat, "results": len(ys), "kept": len(fixed)})
    return tree_unflatten(out_tree, parts(outs))


def _adjoints_of(
    bars: Any, structure: Any, spots: list[int], args: list[Tensor]
) -> list[Tensor | None]:
    """The adjoints that a user's rule returned, one per array argument, checked."""
    found: list[Any] = []
    for bar, child in zip(bars, structure.children, strict=True):
        if bar is None:
            found += [None] * child.leaves
        else:
            leaves, theirs = tree_flatten(bar)
            same_structure("backward", child, theirs, ("the argument", "its adjoint"))
            found += leaves
    checked: list[Tensor | None] = []
    for i, x in zip(spots, args, strict=True):
        bar = found[i]
        if bar is not None:
            bar = asarray(bar)
            if bar.shape != x.shape:
                raise ShapeError(
                    "backward: an adjoint does not have the shape of its argument",
                    got={"argument": x, "adjoint": bar},
                    hint="ob.testing.check_backward says what is wrong with it",
                )
            bar = as_tensor(bar, x.dtype) if bar.dtype != x.dtype else bar
        checked.append(bar)
    return checked


class Function:
    """A gate of your own: a class with `forward(self, *xs)` and `backward(self, y_bar)`.

    One instance serves one application: forward may keep on `self` what backward needs. backward
    gives one adjoint per input (or, for one input, just it); None is zero.

    Example:
        >>> class Multiply(ob.Function):
        ...     def forward(self, x, y):
        ...         self.x, self.y = x, y
        ...         return x * y
        ...
        ...     def backward(self, z_bar):
        ...         return z_bar * self.y, z_bar * self.x
        >>> float(ob.grad(lambda x: Multiply()(x, 5.0))(3.0))
        5.0
    """

    _used = False

    def forward(self, *xs: Any) -> Any:
        """The result."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, *y_bars: Any) -> Any:
        """One adjoint per input."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *xs: Any) -> Any:
        if self._used:
            raise GradientError(
                f"{type(self).__name__}: one instance serves one application",
                hint=f"write {type(self).__name__}()(x)",
            )
        self._used = True
        xs = tuple(asarray(x) if is_array(x) else x for x in xs)
        out = self.forward(*xs)
        leaves, structure = tree_flatten(xs)
        spots = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        state = {k: v for k, v in self.__dict__.items() if k != "_used" and tree_flatten(v)[0]}

        def rule(kept: dict[str, Any], y_bar: Any) -> Any:
            self.__dict__.update(kept)
            bars = self.backward(*(y_bar if isinstance(y_bar, tuple) else (y_bar,)))
            self.__dict__.update(dict.fromkeys(kept))
            bars = bars if isinstance(bars, tuple) else (bars,)
            if len(bars) != len(xs):
                raise StructureError(
                    f"{type(self).__name__}.backward returns one adjoint per input",
                    got={"inputs": str(len(xs)), "adjoints": str(len(bars))},
                )
            return bars

        gated = _gated(rule, out, state, [leaves[i] for i in spots], structure, spots)
        self.__dict__.update(dict.fromkeys(state))  # the gate holds the values
        return gated


# -- forward ----------------------------------------------------------------------------------
# The gate's inputs are: the results, the arguments.


def _dot_through(dots: Sequence[Any], ys: Any, *inputs: Any, rule: Any, results: int) -> Any:
    xs = _handles(inputs[results:])
    x_dots = [
        zeros(x) if d is None else _handles([d])[0] for d, x in zip(dots[results:], xs, strict=True)
    ]
    return tuple(_like_world(rule(xs, x_dots), [*inputs, *dots]))


def _back_through(
    wanted: Sequence[bool], y_bars: Any, ys: Any, *inputs: Any, rule: Any, results: int
) -> list[Any]:
    """The reverse rule is the transpose of the stated tangent rule, which is linear in ẋ."""
    tensors = _handles(inputs)
    xs = tensors[results:]
    smooth = [i for i, x in enumerate(xs) if x.spec.floating]

    def linear(*x_dots: Any) -> Any:
        full: list[Any] = [zeros(x) for x in xs]
        for i, d in zip(smooth, x_dots, strict=True):
            full[i] = d
        return rule(xs, full)

    _, pull = vjp(linear, *(zeros(xs[i]) for i in smooth))
    bars = [
        zeros(t) if b is None else _handles([b])[0] for b, t in zip(y_bars, tensors, strict=False)
    ]
    found = dict(zip(smooth, pull(bars), strict=True))
    return [None] * results + _like_world(
        [found.get(i) for i in range(len(xs))], [*inputs, *y_bars]
    )


def _forward_lanes(n: int, mapped: Sequence[bool], *inputs: Any, rule: Any, results: int) -> Any:
    return forward_gate(
        *whole(n, mapped, inputs),
        rule=lambda xs, dots: list(vmap(rule)(xs, dots)),
        results=results,
    )


forward_gate = Primitive(
    "forward_gate", numbers=True,
    forward=lambda xp, *inputs, rule, results: tuple(inputs[:results]),
    shape=lambda *inputs, rule, results: tuple(inputs[:results]),
    vjp=shared(_back_through, 2), jvp=shared(_dot_through), batch=_forward_lanes, complex=True,
    doc="Results whose forward rule is stated by the user.",
)  # fmt: skip


class custom_jvp:  # noqa: N801  (used as a decorator)
    """A function with a forward rule of your own; the reverse one is its transpose.

    `f.defjvp(rule)`: rule(primals, tangents) gives (the result, its tangent), linear in the
    tangents.

    Example:
        >>> @ob.custom_jvp
        ... def f(x):
        ...     return ob.sin(x)
        >>> f.defjvp(lambda xs, dots: (ob.sin(xs[0]), 2.0 * ob.cos(xs[0]) * dots[0]))
        >>> float(ob.grad(f)(0.0))
        2.0
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.__name__: str = getattr(f, "__name__", type(f).__name__)
        self.rule: Callable[..., Any] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> None:
        """State the rule."""
        self.rule = rule

    def __call__(self, *args: Any) -> Any:
        stated = self.rule
        if stated is None:
            raise RuleMissingError(
                f"custom_jvp: {self.__name__} has no rule yet", hint="state it with f.defjvp(rule)"
            )
        leaves, structure = tree_flatten(args)
        spots = [i for i, x in enumerate(leaves) if is_array(x)]
        xs = [asarray(leaves[i]) for i in spots]
        ys, out_tree = tree_flatten(self.f(*args))
        ys = [stop_gradient(asarray(y)) for y in ys]  # the gate's rule alone is obeyed

        def flat(primals: list[Tensor], dots: list[Tensor]) -> list[Tensor]:
            filled: list[Any] = list(leaves)
            moved: list[Any] = [None] * len(leaves)
            for i, x, d in zip(spots, primals, dots, strict=True):
                filled[i], moved[i] = x, d
            pair = stated(tree_unflatten(structure, filled), tree_unflatten(structure, moved))
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise StructureError("custom_jvp: the rule returns a pair (result, tangent)")
            y_dots, theirs = tree_flatten(pair[1])
            same_structure("custom_jvp", out_tree, theirs, ("the result", "its tangent"))
            return [asarray(d) for d in y_dots]

        for i in spots:
            leaves[i] = None
        outs = apply(forward_gate, (*ys, *xs), {"rule": flat, "results": len(ys)})
        return tree_unflatten(out_tree, parts(outs))


# -- opaque NumPy -----------------------------------------------------------------------------


def _call_out(xp: Any, *xs: Any, f: Callable[..., Any], out: Any) -> tuple:
    arrays = []
    for x in xs:
        a = np.array(x)
        a.flags.writeable = False
        arrays.append(a)
    try:
        found = f(*arrays)
    except Exception as error:
        name = getattr(f, "__name__", "the function")
        raise DomainError(f"callback: {name} raised {type(error).__name__}: {error}") from error
    found = found if isinstance(found, tuple) else (found,)
    if len(found) != len(out):
        raise ShapeError(
            "callback: the number of results is not what was announced",
            got={"results": str(len(found)), "announced": str(len(out))},
        )
    made = []
    for value, of in zip(found, out, strict=True):
        value = np.array(value)
        if value.shape != of.shape or value.dtype != of.dtype:
            raise ShapeError(
                "callback: a result is not what was announced",
                got={"result": value, "announced": of},
            )
        made.append(value)
    return tuple(made)


def _opaque(*_: Any, **__: Any) -> Any:
    raise RuleMissingError(
        "callback: an opaque NumPy function has no derivative",
        hint="wrap it in ob.custom_vjp or ob.custom_jvp, or stop the gradient with "
        "ob.stop_gradient",
    )


callback_ = Primitive(
    "callback", forward=_call_out, shape=lambda *xs, f, out: out,
    vjp=shared(_opaque, 2), jvp=shared(_opaque),
    doc="A NumPy function that nothing is known about.",
)  # fmt: skip


def callback(f: Callable[..., Any], spec_of_result: Any, *xs: Any) -> Any:
    """f(*xs) for a function of NumPy arrays that overbar cannot look into, also under jit and vmap.

    spec_of_result: anything with .shape and .dtype, or a tuple of these, that says what f returns.

    Raises:  ShapeError if f returns something else; RuleMissingError if a derivative is asked for.
    Example:
        >>> ob.callback(np.cumsum, np.empty(3), ob.tensor([1.0, 2.0, 3.0]))
        Tensor([1., 3., 6.], float64)
    """
    several = isinstance(spec_of_result, tuple) and not hasattr(spec_of_result, "dtype")
    announced: list[Any] = list(spec_of_result) if several else [spec_of_result]
    out = tuple(spec(tuple(s.shape), s.dtype) for s in announced)
    if not xs:  # an operation has inputs
        return callback(lambda _nothing: f(), spec_of_result, 0)
    found = parts(apply(callback_, tuple(asarray(x) for x in xs), {"f": f, "out": out}))
    return tuple(found) if several else found[0]
