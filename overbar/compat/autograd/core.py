"""The two sweeps and the rules: what HIPS autograd calls `core`."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import overbar as ob

from ...calculus.transforms import Following, _again, adjoints_of, differentiable, like
from ...context import CONTEXT
from ...handle import Tensor, asarray
from ...trees import LEAF, same_structure, tree_flatten, tree_unflatten
from .tracer import (
    getval,
    isbox,
    named_after,
    primitive_jvps,
    primitive_vjps,
    unboxed,
)
from .tracer import primitive_with_deprecation_warnings as primitive
from .vspaces import VSpace, vspace

# -- sweeps -----------------------------------------------------------------------------------


def make_vjp(fun: Callable[..., Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    """(pull, fun(x)): pull(g) is the product of g with the Jacobian of fun at x."""
    if type(x) is np.ndarray or type(x) is float or isinstance(x, Tensor):
        return _make_vjp_of_array(fun, x)
    seen: list[bool] = []

    def watched(x: Any) -> Any:
        y = fun(x)
        seen.append(depends(y))
        return y

    y, pull = ob.vjp(watched, ob.tree_map(floats, x))
    if not seen[0]:
        _warn()
    return (lambda g: unpacked(pull(g)[0])), unpacked(y)


def _make_vjp_of_array(fun: Callable[..., Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    """The same, without looking for trees: half of the time of a small gradient."""
    with Following([differentiable("make_vjp", floats(x))]) as following:
        y = fun(*following.handles())
    if type(y) is not Tensor:
        if not depends(y):
            _warn()
        leaves, structure = tree_flatten(y)
        ys = [asarray(t) for t in leaves]
    else:
        if y._node is None:  # noqa: SLF001
            _warn()
        ys, structure = [y], LEAF
    dropped = not isinstance(x, Tensor) and following.outer.level == 0

    def pull(g: Any) -> Any:
        gs = [g]
        if structure is not LEAF:
            gs, theirs = tree_flatten(g)
            same_structure("vjp", structure, theirs, ("the result", "the cotangent"))
        seeds = [like(b, t, "cotangent") for b, t in zip(gs, ys, strict=True)]
        raw = dropped and not any(map(isbox, gs)) and CONTEXT.get().level == 0
        (x_bar,) = adjoints_of(_again(following), ys, seeds, dropped=raw)
        return unboxed(x_bar)

    if structure is LEAF:
        return pull, unboxed(following.released(ys[0]))
    return pull, tree_unflatten(structure, [unboxed(following.released(t)) for t in ys])


def _warn() -> None:
    warnings.warn("Output seems independent of input.", stacklevel=4)


def make_jvp(fun: Callable[..., Any], x: Any) -> Callable[[Any], tuple[Any, Any]]:
    """push(v) gives (fun(x), the product of the Jacobian with v)."""

    def push(v: Any) -> tuple[Any, Any]:
        y, y_dot = ob.jvp(fun, (ob.tree_map(floats, x),), (v,))
        return unpacked(y), unpacked(y_dot)

    return push


def floats(x: Any) -> Any:
    """An array of integers as one of floats: autograd takes it, and its gradient is no integer."""
    return x.astype(float) if isinstance(x, np.ndarray) and x.dtype.kind in "iub" else x


def depends(tree: Any) -> bool:
    """Whether anything in it is being differentiated."""
    return any(isbox(t) and t._node is not None and t._node.mask for t in tree_flatten(tree)[0])  # noqa: SLF001


def unpacked(tree: Any) -> Any:
    """A tree of results, those that nobody differentiates as NumPy."""
    return unboxed(tree) if isbox(tree) else ob.tree_map(unboxed, tree)


def jit(fun: Callable[..., Any]) -> Callable[..., Any]:
    """`ob.jit`, whose results are NumPy's: compiled at the first call for arrays of these shapes.

    autograd has no such thing: what is given to it, gradients among them, runs as machine code.

    Example:
        >>> from overbar.compat.autograd import grad, jit
        >>> import overbar.compat.autograd.numpy as np
        >>> slope = jit(grad(lambda x: np.sum(np.sin(x))))
        >>> slope(np.zeros(2))
        array([1., 1.])
    """
    compiled = ob.jit(fun)

    def call(*args: Any, **kwargs: Any) -> Any:
        y = compiled(*args, **kwargs)
        return unboxed(y) if type(y) is Tensor else unpacked(y)

    return named_after(fun)(call)


# -- rules ------------------------------------------------------------------------------------


def defvjp_argnums(fun: Any, vjpmaker: Callable[..., Any]) -> None:
    """State the reverse rule: vjpmaker(argnums, ans, args, kwargs)(g) is one adjoint each."""
    primitive_vjps[fun] = vjpmaker


def defvjp_argnum(fun: Any, vjpmaker: Callable[..., Any]) -> None:
    """State the reverse rule for any one argument: vjpmaker(argnum, ans, args, kwargs)(g)."""

    def maker(argnums: Iterable[int], *call: Any) -> Any:
        pulls = [vjpmaker(n, *call) for n in argnums]
        return lambda g: [pull(g) for pull in pulls]

    defvjp_argnums(fun, maker)


def defvjp(fun: Any, *vjpmakers: Any, argnums: Iterable[int] | None = None) -> None:
    """State the reverse rules, one per argument: vjpmaker(ans, *args, **kwargs)(g); None is zero.

    Raises:  TypeError for a rule that is neither.
    """
    numbers = itertools.count() if argnums is None else argnums
    makers = dict(zip(numbers, (_checked(m, fun) for m in vjpmakers), strict=False))

    def maker(argnum: int, ans: Any, args: Any, kwargs: Any) -> Any:
        if argnum not in makers:
            name = getattr(fun, "__name__", fun)
            raise NotImplementedError(f"VJP of {name} wrt argnum {argnum} not defined")
        stated = makers[argnum]
        return (lambda g: None) if stated is None else stated(ans, *args, **kwargs)

    defvjp_argnum(fun, maker)


def defjvp_argnums(fun: Any, jvpmaker: Callable[..., Any]) -> None:
    """State the forward rule: jvpmaker(argnums, gs, ans, args, kwargs) is the tangent."""
    primitive_jvps[fun] = jvpmaker


def defjvp_argnum(fun: Any, jvpmaker: Callable[..., Any]) -> None:
    """State the forward rule of any one argument: jvpmaker(argnum, g, ans, args, kwargs)."""

    def rule(argnums: Iterable[int], gs: Iterable[Any], *call: Any) -> Any:
        terms = [jvpmaker(n, g, *call) for n, g in zip(argnums, gs, strict=True)]
        return functools.reduce(vspace(call[0]).add, terms)

    defjvp_argnums(fun, rule)


def defjvp(fun: Any, *jvpfuns: Any, argnums: Iterable[int] | None = None) -> None:
    """State the forward rules, one per argument: jvpfun(g, ans, *args, **kwargs); None is zero,
    "same" the function itself with g in the argument's place (it is linear in it).
    """
    numbers = itertools.count() if argnums is None else argnums
    rules = dict(zip(numbers, (_checked(r, fun, "same") for r in jvpfuns), strict=False))

    def rule(argnum: int, g: Any, ans: Any, args: Any, kwargs: Any) -> Any:
        stated = rules[argnum]
        if stated is None:
            return vspace(ans).zeros()
        if stated == "same":
            return fun(*args[:argnum], g, *args[argnum + 1 :], **kwargs)
        return stated(g, ans, *args, **kwargs)

    defjvp_argnum(fun, rule)


def def_linear(fun: Any) -> None:
    """Say that a function is linear in each of its arguments."""
    defjvp_argnum(fun, lambda n, g, ans, args, kwargs: fun(*args[:n], g, *args[n + 1 :], **kwargs))


def _checked(rule: Any, fun: Any, *words: str) -> Any:
    if rule is None or callable(rule) or rule in words:
        return rule
    raise TypeError(
        f"a rule of {getattr(fun, '__name__', fun)} is a function or None, not {rule!r}"
    )


# -- names that extensions import ------------------------------------------------------------


class VJPNode:
    """The kind of node of reverse mode: what `register_notrace` is told."""


class JVPNode:
    """The kind of node of forward mode."""


class SparseObject:
    """An adjoint that is zero but for what `mut_add(x)` adds to x."""

    def __init__(self, vs: VSpace, mut_add: Callable[[Any], Any]) -> None:
        self.vs, self.mut_add = vs, mut_add


VSpace.register(SparseObject, lambda x: x.vs)

__all__ = [
    "JVPNode",
    "SparseObject",
    "VJPNode",
    "VSpace",
    "def_linear",
    "defjvp",
    "defjvp_argnum",
    "defjvp_argnums",
    "defvjp",
    "defvjp_argnum",
    "defvjp_argnums",
    "getval",
    "isbox",
    "make_jvp",
    "make_vjp",
    "primitive",
    "primitive_jvps",
    "primitive_vjps",
    "vspace",
]
