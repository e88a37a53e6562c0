"""Boxes and primitives: what HIPS autograd calls `tracer`.

A box is a `Tensor`. A `primitive` is a NumPy function that nothing is known about but the rules
that `core.defvjp` and `core.defjvp` state for it: one operation of the engine, `opaque`, that
carries the call with it. Of a function with one rule the other is found by transposing it.
"""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

import overbar as ob

from ...apply import apply
from ...context import CONTEXT
from ...errors import RuleMissingError, ShapeError
from ...handle import Tensor
from ...ops.movement import parts
from ...primitive import PRIMITIVES, Primitive, shared
from ...trees import LEAF, tree_flatten, tree_unflatten

primitive_vjps: dict[Any, Callable[..., Any]] = {}
"""A function -> maker(argnums, ans, args, kwargs), which gives g -> one adjoint per argnum."""
primitive_jvps: dict[Any, Callable[..., Any]] = {}
"""A function -> rule(argnums, gs, ans, args, kwargs), which gives the tangent of its result."""
notrace_primitives: dict[Any, set[Any]] = defaultdict(set)
"""A kind of node -> the functions that are not differentiated."""


class _Boxes(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor)


class Box(metaclass=_Boxes):
    """What is differentiated looks like this inside a function: `isinstance(x, Box)`."""

    type_mappings: dict[Any, Any] = {}  # noqa: RUF012  (autograd's name, shared on purpose)
    types = {Tensor}  # noqa: RUF012

    @classmethod
    def register(cls, value_type: type) -> None:
        """Accepted; containers and arrays need no boxes of their own."""
        Box.type_mappings[value_type] = cls


def isbox(x: Any) -> bool:
    """Whether it is a value that somebody may be differentiating."""
    return isinstance(x, Tensor)


def getval(x: Any) -> Any:
    """The value in a box, out of all transforms; whatever else comes passes through."""
    if not isinstance(x, Tensor):
        return x
    return x._known("getval()")  # noqa: SLF001  (to look is meant here)


def unboxed(y: Any) -> Any:
    """A result that nobody differentiates, as NumPy; a named tuple by its parts."""
    if isinstance(y, Tensor):
        known = y.value is not None and (y._node is None or not y._node.mask)  # noqa: SLF001
        return y.value if known and CONTEXT.get().trace is None else y
    if isinstance(y, tuple):
        fields = [unboxed(part) for part in y]
        return type(y)(*fields) if hasattr(y, "_fields") else type(y)(fields)
    return [unboxed(part) for part in y] if type(y) is list else y


def named_after(f: Any, pattern: str = "{fun}", doc: str = "{doc}", **words: Any) -> Any:
    """A decorator that gives a function the name and docstring of `f`, in a pattern."""

    def decorate(wrapper: Any) -> Any:
        name = getattr(f, "__name__", "[unknown name]")
        wrapper.__name__ = pattern.format(fun=name, **words)
        wrapper.__doc__ = doc.format(fun=name, doc=getattr(f, "__doc__", ""), **words)
        return wrapper

    return decorate


# -- primitives -------------------------------------------------------------------------------


def primitive(f_raw: Any) -> Any:
    """A function of NumPy arrays whose rules will be stated with `defvjp` and `defjvp`.

    Example:
        >>> from overbar.compat.autograd import grad
        >>> from overbar.compat.autograd.extend import defvjp, primitive
        >>> cube = primitive(lambda x: x**3)
        >>> defvjp(cube, lambda y, x: lambda y_bar: 3 * x**2 * y_bar)
        >>> float(grad(cube)(2.0))
        12.0
    """

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return called(wrapped, f_raw, args, kwargs) if holds_box(args) else f_raw(*args, **kwargs)

    named_after(f_raw)(wrapped)
    wrapped.fun, wrapped._is_autograd_primitive = f_raw, True  # type: ignore[attr-defined]  # noqa: SLF001
    return wrapped


def notrace_primitive(f_raw: Any) -> Any:
    """A function that is given values instead of boxes, and is not differentiated."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return f_raw(*map(getval, args), **kwargs)

    return named_after(f_raw)(wrapped)


def register_notrace(trace_type: Any, primitive_fun: Any) -> None:
    """Let nothing flow through a primitive in this mode."""
    notrace_primitives[trace_type].add(primitive_fun)
    _flat.add(primitive_fun)


_flat: set[Any] = set()


def holds_box(xs: Any) -> bool:
    """Whether there is a box among them, in nested lists, tuples and dicts too."""
    for x in xs:
        kind = type(x)
        if kind is Tensor or isinstance(x, Tensor):
            return True
        if (kind is tuple or kind is list) and holds_box(x):
            return True
        if kind is dict and holds_box(x.values()):
            return True
    return False


_NOTHING = object()


class Call:
    """One call of a primitive: everything about it but its boxes."""

    def __init__(self, fun: Any, raw: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.fun, self.raw, self.kwargs = fun, raw, kwargs
        self.first: Any = _NOTHING
        leaves, self.structure = tree_flatten(args, objects=False)
        self.spots = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        self.boxes = [leaves[i] for i in self.spots]
        # an array that is changed later must not change the gradient
        self.leaves = [np.array(x) if type(x) is np.ndarray else x for x in leaves]
        for i in self.spots:
            self.leaves[i] = None
        ends, end = [], 0
        for child in self.structure.children:
            end += child.leaves
            ends.append(end)
        self.argnum = [next(n for n, e in enumerate(ends) if i < e) for i in self.spots]
        self.starts = [e - c.leaves for e, c in zip(ends, self.structure.children, strict=True)]

    def args(self, xs: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments, with these for its boxes."""
        leaves = list(self.leaves)
        for i, x in zip(self.spots, xs, strict=True):
            leaves[i] = x
        return tree_unflatten(self.structure, leaves)

    def run(self, xs: Sequence[Any]) -> Any:
        """The result on plain values, as the engine keeps it: an array, or a tuple of them."""
        found, self.out = tree_flatten(self.raw(*self.args(xs), **self.kwargs))
        values = tuple(np.array(y)[()] for y in found)
        return values[0] if self.out is LEAF else values

    def several(self, ys: Any) -> tuple[Any, ...]:
        """The engine's result as the leaves of the function's."""
        return (ys,) if self.out is LEAF else parts(ys)

    def result(self, ys: Any) -> Any:
        """The engine's result as the function returned it."""
        return tree_unflatten(self.out, self.several(ys))


def called(fun: Any, raw: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a primitive on arguments with boxes."""
    call = Call(fun, raw, args, kwargs)
    boxes, call.boxes = call.boxes, []
    values = [getval(x) for x in boxes]
    first = call.run(values)
    if fun in _flat or not any(x._node is not None and x._node.mask for x in boxes):  # noqa: SLF001
        return call.result(first)
    call.first = first
    outs = apply(opaque, tuple(boxes), {"call": call})
    call.first = _NOTHING
    return call.result(outs)


def _forward(_xp: Any, *xs: Any, call: Call) -> Any:
    return call.run(xs) if call.first is _NOTHING else call.first


def _shape(*_xs: Any, call: Call) -> Any:
    raise RuleMissingError(
        f"{_name(call.fun)}: the shape of a primitive's result is known only when it has run",
        hint="define it with ob.custom_vjp to use it under jit and vmap",
    )


def _name(fun: Any) -> str:
    return getattr(fun, "__name__", repr(fun))


def _back(wanted: Sequence[bool], y_bars: Any, ys: Any, *xs: Any, call: Call) -> list[Any]:
    given = y_bars if isinstance(y_bars, tuple) else (y_bars,)
    raw = not any(isinstance(t, Tensor) for t in (*xs, *given))
    args, ans = call.args(xs), call.result(ys)
    argnums = tuple(sorted({n for n, w in zip(call.argnum, wanted, strict=True) if w}))
    full = [_zeros(y) if b is None else b for b, y in zip(given, call.several(ys), strict=True)]
    g = tree_unflatten(call.out, full)
    maker = primitive_vjps.get(call.fun)
    if maker is not None:
        found = list(maker(argnums, ans, args, call.kwargs)(g))
    elif call.fun in primitive_jvps and call.fun not in _transposed.get():
        found = _transpose(call, argnums, ans, args, g)
    else:
        raise _missing("vjp", call, argnums)
    bars: list[Any] = []
    for i, n, x, w in zip(call.spots, call.argnum, xs, wanted, strict=True):
        bar = _part(found[argnums.index(n)], i - call.starts[n]) if w else None
        bars.append(None if bar is None else fitted(bar, x, raw, call.fun))
    return bars


_transposed: ContextVar[frozenset[Any]] = ContextVar("transposed", default=frozenset())
"""The functions whose forward rules are being transposed: one that calls itself has no end."""


def _transpose(call: Call, argnums: tuple[int, ...], ans: Any, args: Any, g: Any) -> Any:
    """The adjoints by the forward rule, which is linear in the tangents."""
    token = _transposed.set(_transposed.get() | {call.fun})
    try:
        rule, zeros = primitive_jvps[call.fun], _zeros([args[n] for n in argnums])
        pull = ob.vjp(lambda *gs: rule(argnums, gs, ans, args, call.kwargs), *zeros)[1]
        return pull(g)
    finally:
        _transposed.reset(token)


def _dot(dots: Sequence[Any], ys: Any, *xs: Any, call: Call) -> Any:
    raw = not any(isinstance(t, Tensor) for t in (*xs, *dots))
    args, ans = call.args(xs), call.result(ys)
    argnums = tuple(sorted({n for n, d in zip(call.argnum, dots, strict=True) if d is not None}))
    full = call.args([_zeros(x) if d is None else d for d, x in zip(dots, xs, strict=True)])
    gs = [full[n] for n in argnums]
    rule, maker = primitive_jvps.get(call.fun), primitive_vjps.get(call.fun)
    if rule is not None:
        found = rule(argnums, gs, ans, args, call.kwargs)
    elif maker is not None:
        pull = maker(argnums, ans, args, call.kwargs)
        found = ob.vjp(lambda g: tuple(pull(g)), _zeros(ans))[1](tuple(gs))[0]
    else:
        raise _missing("jvp", call, argnums)
    leaves = tree_flatten(found)[0]
    made = [fitted(d, y, raw, call.fun) for d, y in zip(leaves, call.several(ys), strict=True)]
    return made[0] if call.out is LEAF else tuple(made)


def _zeros(tree: Any) -> Any:
    leaves, structure = tree_flatten(tree)
    zeros = [np.zeros(np.shape(x), getattr(x, "dtype", float)) for x in leaves]
    return tree_unflatten(structure, zeros)


def _part(bar: Any, i: int) -> Any:
    """What an argument's adjoint says of its i-th leaf."""
    if hasattr(bar, "mut_add"):  # a SparseObject
        bar = bar.mut_add(bar.vs.zeros())
    leaves = tree_flatten(bar)[0]
    return leaves[i] if leaves else None


def fitted(bar: Any, x: Any, raw: bool, fun: Any) -> Any:
    """An adjoint (or tangent) in the shape and dtype of what it belongs to."""
    t = ob.asarray(bar)
    if t.shape != x.shape:
        try:
            t = ob.broadcast_to(t, x.shape)
        except ShapeError:
            raise ShapeError(
                f"a rule of {_name(fun)} gives a derivative of the wrong shape",
                got={"argument": x, "derivative": t},
                hint="sum it over the broadcast axes: autograd.numpy.numpy_vjps.unbroadcast_f",
            ) from None
    if t.dtype.kind == "c" and x.dtype.kind != "c":
        t = ob.real(t)
    if t.dtype != x.dtype:
        t = t.astype(x.dtype)
    return t.value if raw else t


def _missing(kind: str, call: Call, argnums: tuple[int, ...]) -> RuleMissingError:
    return RuleMissingError(
        f"{kind.upper()} of {_name(call.fun)} wrt argnums {argnums} not defined",
        hint=f"state it with def{kind}({_name(call.fun)}, ...)",
    )


opaque = Primitive(
    "opaque",
    numbers=True,
    forward=_forward,
    shape=_shape,
    vjp=shared(_back, 2),
    jvp=shared(_dot),
    complex=True,
    doc="A NumPy function with rules stated through `overbar.compat.autograd.extend`.",
)
del PRIMITIVES[opaque.name]  # the registry is of the library's own operations, whoever is imported


def primitive_with_deprecation_warnings(f_raw: Any) -> Any:
    """A primitive that also has the methods of old: f.defvjp, f.defgrad, f.defvjp_is_zero."""
    from . import core

    f = primitive(f_raw)
    stated: dict[int, Any] = {}

    def state(argnum: int, maker: Any) -> None:
        warnings.warn("f.defvjp and f.defgrad are deprecated: use defvjp(f, ...)", stacklevel=3)
        stated[argnum] = maker
        core.defvjp(f, *(stated[n] for n in sorted(stated)), argnums=sorted(stated))

    def defvjp(maker: Any, argnum: int = 0) -> None:
        def staged(ans: Any, *args: Any, **kwargs: Any) -> Any:
            def pull(g: Any) -> Any:
                return maker(g, ans, core.vspace(args[argnum]), core.vspace(g), *args, **kwargs)

            return pull

        state(argnum, staged)

    def defvjp_is_zero(argnums: Sequence[int] = (0,)) -> None:
        for n in argnums:
            state(n, None)

    f.defvjp, f.defvjp_is_zero = defvjp, defvjp_is_zero
    f.defgrad = lambda maker, argnum=0: state(argnum, maker)
    return functools.update_wrapper(f, f_raw, assigned=("__doc__",), updated=())
