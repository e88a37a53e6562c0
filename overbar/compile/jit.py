"""`ob.jit`: a function traced once per signature, then run as a Graph.

The same body runs eagerly. Tracing finds what it reads (parameters, optimiser state, generators:
inputs), what it rebinds and which gradients it leaves behind (outputs). The Graph is run by the
interpreter of `replay`, the oracle of the native code to come.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..calculus.calls import call
from ..capture import Captured, Trace
from ..context import CONTEXT, Context, within
from ..errors import DomainError, DTypeError, RebindError
from ..graph import Graph
from ..handle import Tensor, as_tensor, from_value
from ..rebinding import rebind
from ..replay import interpret
from ..spec import spec
from ..trees import Structure, changes, tree_flatten, tree_unflatten

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Jitted:
    """A function and its traces. Made by `jit`."""

    def __init__(
        self, f: Callable[..., Any], static: Sequence[Any], dynamic: Sequence[Any]
    ) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.__name__: str = getattr(f, "__name__", type(f).__name__)
        self._static, self._dynamic = frozenset(static), frozenset(dynamic)
        self._traces: dict[Any, list[tuple[Captured, Structure, list[Any]]]] = {}
        self._last: tuple[Any, Captured] | None = None
        self._why: list[str] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        context = CONTEXT.get()
        if context.jit == "off" or context.trace is not None:
            return self.f(*args, **kwargs)
        leaves, structure = tree_flatten((args, kwargs), objects=False)
        kinds, spots = self._kinds(leaves, structure)
        key = (
            structure,
            kinds,
            context.kinks,
            context.dtype,
            bool(context.allowed & 1),
            changes(),
            _surroundings(self.f),
        )
        found = next((t for t in self._traces.get(key, ()) if _holds(t[0])), None)
        tensors = [
            leaves[i] if isinstance(leaves[i], Tensor) else as_tensor(leaves[i]) for i in spots
        ]
        if found is None:
            self._why.append(_reason(self._last and self._last[0], key))
            found = self._trace(leaves, spots, tensors, structure)
            self._traces.setdefault(key, []).append(found)
        captured, out_tree, outs = found
        self._last = key, captured
        results = iter(_run(captured, tensors, context))
        return tree_unflatten(out_tree, [next(results) if o is Tensor else o for o in outs])

    def _kinds(self, leaves: list[Any], structure: Structure) -> tuple[tuple, list[int]]:
        """For each leaf its part of the key, and the leaves that are inputs at run time."""
        names = _argument_of_leaf(structure)
        kinds, spots = [], []
        for i, (leaf, name) in enumerate(zip(leaves, names, strict=True)):
            if name in self._static:
                kinds.append(("static", _hashable(leaf, name)))
            elif isinstance(leaf, Tensor):
                kinds.append((leaf.spec, bool(leaf._node is not None and leaf._node.mask)))
                spots.append(i)
            elif isinstance(leaf, np.ndarray | np.generic):
                kinds.append((spec(leaf.shape, leaf.dtype), False))
                spots.append(i)
            elif type(leaf) in (float, complex) or (
                name in self._dynamic and type(leaf) in (int, bool)
            ):
                kinds.append(type(leaf))
                spots.append(i)
            else:
                kinds.append(("static", leaf if isinstance(leaf, _PLAIN) else _Same(leaf)))
        return tuple(kinds), spots

    def _trace(
        self, leaves: list[Any], spots: list[int], tensors: list[Tensor], structure: Structure
    ) -> tuple[Captured, Structure, list[Any]]:
        before = _global_random_state()
        with Trace() as trace:
            filled = list(leaves)
            for i, t in zip(spots, tensors, strict=True):
                filled[i] = trace.argument(
                    t.spec, t._node.mask & ~3 if t._node is not None else 0, t.name
                )
            args, kwargs = tree_unflatten(structure, filled)
            out_leaves, out_tree = tree_flatten(self.f(*args, **kwargs), objects=False)
            outs = [Tensor if isinstance(y, Tensor) else y for y in out_leaves]
            results = [trace.result(y) for y in out_leaves if isinstance(y, Tensor)]
        after = _global_random_state()
        if any(not np.array_equal(before[k], after[k]) for k in before):
            raise RebindError(
                "jit: the function draws from np.random, which would be drawn once and then never "
                "again",
                hint="use ob.random (a Generator can be passed in or closed over)",
            )
        return Captured(trace, results, out_tree), out_tree, outs

    # -- questions ----------------------------------------------------------------------------

    def run(self, n: int, *args: Any) -> Any:
        """The result of the last of n calls with the same arguments."""
        result = None
        for _ in range(n):
            result = self(*args)
        return result

    def lower(
        self, until: str | None = None, show: Callable[[str, Graph], Any] | None = None
    ) -> Graph:
        """The graph of the last call."""
        if until is not None:
            raise DomainError(f"lower: there is no pass {until!r} yet", want="until=None")
        graph = self._captured().graph
        if show is not None:
            show("trace", graph)
        return graph

    def report(self) -> str:
        """What became of the function: how many operations, and how they are run."""
        captured = self._captured()
        graph = captured.graph
        return (
            f"{self.__name__}: {len(graph.nodes) - len(graph.inputs)} operations, run one by one "
            f"with NumPy; {len(captured.reads)} reads, {len(captured.rebinds)} rebinds, "
            f"{len(captured.grads)} gradients; {sum(map(len, self._traces.values()))} traces"
        )

    def why_compiled(self) -> str:
        """For every trace that was made: why the ones before did not serve."""
        return "\n".join(f"{i}. {why}" for i, why in enumerate(self._why, 1)) or "not called yet"

    def _captured(self) -> Captured:
        if self._last is None:
            raise DomainError(f"{self.__name__} was not called yet", hint="call it once, then ask")
        return self._last[1]


def _holds(captured: Captured) -> bool:
    """Whether every `.grad` that the trace looked at is there (or is not) as it was then."""
    return all((getattr(h, "_grad", None) is not None) == there for h, there in captured.looked)


class _Same:
    """Equal to itself only: objects count by identity."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing) >> 4

    def __repr__(self) -> str:
        return type(self.thing).__name__


def _hashable(leaf: Any, name: Any) -> Any:
    try:
        hash(leaf)
    except TypeError:
        raise DTypeError(
            f"jit: the static argument {name!r} is a {type(leaf).__name__}, which cannot be a key",
            want="something hashable",
        ) from None
    return leaf


def _argument_of_leaf(structure: Structure) -> list[Any]:
    """For each leaf of (args, kwargs): the number or the name of its argument."""
    args, kwargs = structure.children
    names: list[Any] = []
    for group in (args, kwargs):
        for name, child in zip(group.names, group.children, strict=True):
            names += [name] * child.leaves
    return names


def _global_random_state() -> dict[str, Any]:
    """How far np.random's own generator has come: a draw while tracing would happen once only."""
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002  (watched, never drawn from)
    return state["state"]


def _surroundings(f: Any) -> tuple[Any, ...]:
    """The plain values that the code names in its globals and closure."""
    code = getattr(f, "__code__", None)
    if code is None:
        return ()
    names = [(n, f.__globals__[n]) for n in code.co_names if n in f.__globals__]
    cells = [(n, _content(c)) for n, c in zip(code.co_freevars, f.__closure__ or (), strict=True)]
    return tuple((n, type(v), v) for n, v in _plain(names + cells))


def _plain(pairs: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [
        (n, v)
        for n, v in pairs
        if isinstance(v, _PLAIN) or (isinstance(v, tuple) and all(isinstance(e, _PLAIN) for e in v))
    ]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _run(captured: Captured, tensors: list[Tensor], context: Context) -> list[Tensor]:
    """One call: as one node if somebody follows what goes in, else just the values."""
    inputs = [*tensors, *(r.now for r in captured.reads)]
    mask = 0
    for t in inputs:
        if t._node is not None:
            mask |= t._node.mask
    if (mask & context.allowed and not captured.grads) or context.record_all is not None:
        return call(captured, tensors)
    with within(allowed=0):
        values = interpret(captured.graph, [t.value for t in inputs])
        results = [from_value(v) for v in values[: captured.results]]
        rebound = values[captured.results : captured.results + len(captured.rebinds)]
    rebind(captured.rebinds, [from_value(value) for value in rebound])  # all of them, or none
    grads = iter(values[captured.results + len(captured.rebinds) :])
    for handle, there in captured.grads:
        handle.grad = from_value(next(grads)) if there else None
    return results


def _reason(before: Any, now: Any) -> str:
    """Why a trace was made, from the key of the last call and this one's."""
    if before is None:
        return "the first call"
    words = (
        "the structure of the arguments", "an argument", "ob.config(kinks=)", "ob.config(dtype=)",
        "ob.no_grad()", "an attribute of a module (or train/eval)",
        "a value the function closes over",
    )  # fmt: skip
    for i, (a, b) in enumerate(zip(before, now, strict=True)):
        if a != b:
            if i == 1:
                return _argument_reason(a, b)
            detail = ""
            if i == len(words) - 1:
                changed = [
                    f"{n}: {v!r} -> {w!r}"
                    for (n, _, v), (_, _, w) in zip(a, b, strict=False)
                    if v != w
                ]
                detail = (
                    f" ({', '.join(changed)}; pass it as an argument to keep one trace)"
                    if changed
                    else ""
                )
            return f"{words[i]} changed{detail}"
    return "a .grad that was there before is None now, or the other way round"


def _argument_reason(before: tuple, now: tuple) -> str:
    for i, (a, b) in enumerate(zip(before, now, strict=True)):
        if a != b:
            static = isinstance(b, tuple) and b[0] == "static"
            cure = "; a float, or an array, would be an input at run time" if static else ""
            return f"argument leaf {i} changed: {_said(a)} -> {_said(b)}{cure}"
    return "an argument changed"


def _said(kind: Any) -> str:
    if isinstance(kind, tuple):
        return repr(kind[1]) if kind[0] == "static" else repr(kind[0])
    return kind.__name__


def jit(
    f: Callable[..., Any] | None = None,
    *,
    static: Sequence[Any] | str | int = (),
    dynamic: Sequence[Any] | str | int = (),
    keep_grads: bool = False,
) -> Any:
    """f, traced once for each signature and then run as one program.

    The signature is made of shapes, dtypes and structure. Arrays, tensors and Python floats are
    inputs at run time; int, bool and str are static (`static=` and `dynamic=` name arguments, by
    position or keyword, to be taken the other way). What f reads from outside (parameters,
    optimiser state, generators) is read at every call; what it rebinds is rebound at every call;
    `.grad` that is there at the end of the body is there after the call (`keep_grads` changes
    nothing while programs are interpreted).

    Raises:  UnknownValueError where f needs a value while it is traced.
    Example:
        >>> step = ob.jit(lambda x: x * 2.0 + 1.0)
        >>> step(np.array([1.0, 2.0]))
        Tensor([3., 5.], float64)
    """
    if f is None:
        return functools.partial(jit, static=static, dynamic=dynamic, keep_grads=keep_grads)
    several = [(n,) if isinstance(n, str | int) else tuple(n) for n in (static, dynamic)]
    return Jitted(f, *several)
