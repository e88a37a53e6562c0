"""`Traced`: a function run once without values, and what has to be true for that to serve again.

The tensors among the arguments go in as they are, like those from outside: the function may rebind
them, read and write their `.grad`, be differentiated through them. Afterwards they are replaced by
their places among the arguments, so that a trace serves any tensors of the same kind.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..calculus.calls import is_cut
from ..capture import Captured, Read, Trace
from ..context import CONTEXT, WANTED
from ..errors import RebindError, StructureError
from ..graph import Graph, Node
from ..handle import Tensor
from ..spec import Spec, spec, spec_of
from ..trees import LEAF, Structure, changes, tree_flatten, tree_unflatten
from .draws import Draws
from .stores import Kept, Spot, Stores
from .surroundings import Survey

MISS: Any = object()
"""What is given instead of a result by what does not serve a call; nothing has happened then."""

UNTIDY = ("array", "number")
"""Rows of a prepared call that may hold for a copy of the argument."""

SMALL = 1 << 14
"""Bytes of an array from outside that NumPy, and not overbar, computed with: up to so many, its
content is watched, since it is built in.
"""


class Place(NamedTuple):
    """A tensor: itself, the number of an argument leaf, or that of a leaf in a spot that the
    function writes.
    """

    handle: Tensor | None
    leaf: int = -1
    spot: Spot | None = None

    def of(self, leaves: Sequence[Any]) -> Tensor:
        """The tensor that it is in this call."""
        if self.handle is not None:
            return self.handle
        return leaves[self.leaf] if self.spot is None else self.spot.leaf(self.leaf)


class Source(NamedTuple):
    """Where an input of the graph comes from.

    kind   "leaf" (an array or number among the arguments), "tensor", "grad" (of a tensor), or
           "array" (one that the function closes over)
    """

    kind: str
    place: Place
    array: Any = None

    def tensor(self, leaves: Sequence[Any]) -> Tensor | None:
        """The tensor that it is now; None if it is none."""
        if self.kind == "tensor":
            return self.place.of(leaves)
        if self.kind == "leaf":
            found = leaves[self.place.leaf]
            return found if isinstance(found, Tensor) else None
        return getattr(self.place.of(leaves), "_grad", None) if self.kind == "grad" else None

    def value(self, leaves: Sequence[Any]) -> Any:
        """Its value now."""
        t = self.tensor(leaves)
        if t is not None:
            return t.value
        return leaves[self.place.leaf] if self.kind == "leaf" else self.array

    def called(self, paths: Sequence[str]) -> str:
        """What it is called, where the leaves of the arguments are called so."""
        if self.kind == "array":
            return "array"
        handle, leaf, spot = self.place
        name = paths[leaf] if spot is None else spot.path
        if handle is not None:
            name = handle.name or "tensor"
        return f"{name}.grad" if self.kind == "grad" else name


class Plain:
    """Stands for a result that is handed out as NumPy's: of a transform of NumPy's arrays."""


def plain_of(t: Tensor) -> Any:
    """A result as NumPy's."""
    return t.value if t.ndim else np.asarray(t.value)[()]


class Traced:
    """A trace.

    graph    its inputs come from `sources`, one each; its outputs are `results` results, then the
             values of `rebinds`, then the gradients of those of `grads` that have one at the end
    grads    (place, whether there is a gradient afterwards)
    looked   (place, whether there was a gradient): it serves only where that is so again
    outs     the leaves of what the function returned: Tensor for the next result, Plain where it is
             NumPy's, or a value
    wanted   whether a result, or what is rebound, has history that `requires_grad` asks for, and
             leads to more than the leaves whose gradients the function has taken itself
    spots    where it stores what: then the function returned a pair, its result and these things
    lane     whether it asks under which lane of a `vmap` it runs: for that one it was made
    donated  output -> input: the new value of a tensor whose old one nothing else needs
    number   which trace of its function it is, counted from 1
    families by number of threads the `Family` of its programs, shared with those of other sizes
    """

    def __init__(
        self,
        f: Callable[..., Any],
        leaves: Sequence[Any],
        spots: Sequence[int],
        structure: Structure,
        survey: Survey,
        again: Callable[[], Survey],
    ) -> None:
        draws = Draws([*survey.things(), *leaves])
        filled, own, weak = list(leaves), {}, {}
        with Trace() as trace:
            trace.arrays = {id(a): a for a in survey.arrays.values()}
            sources: list[Source] = []
            for i in spots:
                leaf = leaves[i]
                if isinstance(leaf, Tensor) and not leaf.spec.weak:
                    own.setdefault(id(leaf), i)
                    continue
                sources.append(Source("leaf", Place(None, i)))
                stand = trace.argument(input_spec(leaf), 0, getattr(leaf, "name", None))
                filled[i] = stand
                if isinstance(leaf, Tensor):
                    weak[id(stand)] = i, stand, stand.node
                else:
                    trace.plain[id(stand)] = stand
            args, kwargs = tree_unflatten(structure, filled)
            try:
                result = f(*args, **kwargs)
            finally:
                later = again()
                stores = Stores(survey, later, trace, own)
                stores.put_back()
            stores.refuse()
            self.spots = stores.spots
            given = (result, stores.values) if self.spots else result
            returned, tree = tree_flatten(given, objects=trace.made)
            _refuse_changes(f, (args, kwargs), structure, filled)
            _refuse_husks(trace, returned)
            results = [trace.result(y) for y in returned if isinstance(y, Tensor)]
            rebound = [(i, trace.result(t)) for i, t, node in weak.values() if t._node is not node]
        draws.refuse()
        captured = Captured(trace, results, tree)
        self.survey = survey.without(later, stores.dicts)
        stores.loosen()
        built_in = [a for i, a in survey.arrays.items() if i not in trace.given]
        self.survey.freeze(a for a in built_in if a.nbytes <= SMALL or id(a) in trace.frozen)
        self.tree = tree
        plain = trace.plain.keys() - set(map(id, filled))  # an argument comes back as a tensor
        self.outs = [
            y if not isinstance(y, Tensor) else Plain if id(y) in plain else Tensor
            for y in returned
        ]
        self.results = len(results)
        sources += [Source("array", Place(None), a) for a, _ in trace.given.values()]

        def place(handle: Tensor) -> Place:
            i = own.get(id(handle))
            if i is None and id(handle) in stores.reads:
                spot, leaf = stores.reads[id(handle)]
                return Place(None, leaf, stores.spots[spot])
            return Place(handle) if i is None else Place(None, i)

        self.sources = tuple(sources) + tuple(
            Source("grad" if r.of_grad else "tensor", place(r.handle)) for r in captured.reads
        )
        lanes = set(map(id, CONTEXT.get().lane or ()))
        self.lane = any(id(r.handle) in lanes for r in captured.reads)
        self.rebinds = [place(h) for h in captured.rebinds]
        self.grads = [(place(h), there) for h, there in captured.grads]
        self.looked = [(place(h), there) for h, there in captured.looked]
        self.graph = captured.graph
        if rebound:  # Python numbers as tensors: their handles inside were stand-ins
            at = self.results + len(self.rebinds)
            outputs = self.graph.outputs
            new = tuple(t.node for _, t in rebound)
            self.graph = Graph(self.graph.inputs, (*outputs[:at], *new, *outputs[at:]))
            self.rebinds += [Place(None, i) for i, _ in rebound]
        self.kinds = [_kind_of_read(r, place(r.handle)) for r in captured.reads]
        self.bound = {i: leaves[i] for h, i in own.items() if h in survey.handles}
        self.fixed = {id(s.place.handle) for s in self.sources if s.place.handle is not None}
        self.wanted = self._wanted()
        self.donated = self._donated()
        self.programs: dict[Any, Any] = {}
        self.families: dict[int, Any] = {}
        self.number = 0
        self.epoch, self.unready = changes(), 0
        survey.held = {}

    def _wanted(self) -> bool:
        ends = self.graph.outputs[: self.results + len(self.rebinds)]
        asking = [
            k
            for k, y in enumerate(ends)
            if y.mask & WANTED and not (k >= self.results and is_cut(y))
        ]
        if not asking or not self.grads:
            return bool(asking)
        # A step has taken the gradients of its parameters: its loss is handed out without history,
        # as long as that leads to such leaves only.
        taken = {place for place, _ in self.grads}
        others = 0
        for i, (source, node) in enumerate(zip(self.sources, self.graph.inputs, strict=True)):
            if node.mask & WANTED and source.place not in taken:
                others |= 1 << i
        return any(self.flows[k] & others for k in asking)

    def _donated(self) -> dict[int, int]:
        at = {
            s.place: i
            for i, s in enumerate(self.sources)
            if s.kind == "tensor" and s.place.handle is not None
        }
        found = {}
        for k, place in enumerate(self.rebinds, self.results):
            i = at.get(place)
            if i is not None and self.graph.inputs[i].spec is self.graph.outputs[k].spec:
                found[k] = i
        return found

    @functools.cached_property
    def flows(self) -> list[int]:
        """For each output the inputs (bits) that it could be differentiated by."""
        found: dict[Node, int] = {}
        for i, node in enumerate(self.graph.inputs):
            found[node] = 1 << i if node.spec.floating else 0
        for node in self.graph.nodes:
            if node not in found:
                bits = 0
                if node.inputs and not node.op.flat and not hasattr(node, "handle"):
                    for x in node.inputs:
                        bits |= found[x]
                integers = not isinstance(node.spec, tuple) and not node.spec.floating
                found[node] = 0 if integers else bits
        return [found[y] for y in self.graph.outputs]

    def serves(self, leaves: Sequence[Any]) -> str | None:
        """What is not as it was, besides the arguments' own kinds; None if the trace serves."""
        reads = self.sources[len(self.sources) - len(self.kinds) :]
        for source, (of, kind, name) in zip(reads, self.kinds, strict=True):
            t = source.tensor(leaves)
            if t is None and source.place.spot is not None:
                return f"{source.place.spot.path} is no tensor now"
            if t is None:
                return "a .grad that was there before is None now, or the other way round"
            if t.spec is not of:
                return f"{name or 'a tensor from outside'} changed: {of} -> {t.spec}"
            if source.place.handle is not None and kind_of(t) != kind:
                return f"whether {name or 'a tensor from outside'} requires a gradient changed"
        for place, there in self.looked:
            if (getattr(place.of(leaves), "_grad", None) is not None) != there:
                return "a .grad that was there before is None now, or the other way round"
        for source, node in zip(self.sources, self.graph.inputs, strict=True):
            if source.kind == "array" and native_spec(source.array) is not node.spec:
                return f"an array from outside changed: {node.spec} -> {spec_of(source.array)}"
        for i, t in self.bound.items():
            if leaves[i] is not t:
                return "a tensor that the function also reads from outside was an argument before"
        for i, t in enumerate(leaves):
            if id(t) in self.fixed and i not in self.bound:
                return "a tensor that the function also reads from outside is an argument now"
        return None

    @contextmanager
    def as_before(self, leaves: Sequence[Any]) -> Iterator[None]:
        """Should an eager run of the function raise inside, what it has changed is put back."""
        touched = [p.of(leaves) for p in [*self.rebinds, *(p for p, _ in self.grads)]]
        before = [(t, t._node, t.value, t.spec, getattr(t, "_grad", None)) for t in touched]
        try:
            yield
        except BaseException:
            for t, node, value, of, grad in before:
                t._node, t.value, t.spec, t._grad = node, value, of, grad
            raise

    def unflattened(self, results: Sequence[Any]) -> Any:
        """What the function returns, with these results for its tensors."""
        found, plain = iter(results), CONTEXT.get().level == 0
        leaves = [
            next(found) if o is Tensor else o if o is not Plain else plain_of(next(found))
            if plain else next(found)
            for o in self.outs
        ]  # fmt: skip
        made: Any = leaves[0] if self.tree == LEAF else tree_unflatten(self.tree, leaves)
        if not self.spots:
            return made
        returned, stored = made
        for spot, thing in zip(self.spots, stored, strict=True):
            spot.put(thing.value if isinstance(thing, Kept) else thing)
        return returned


def _refuse_changes(f: Any, given: Any, structure: Structure, filled: Sequence[Any]) -> None:
    """A list or dict of the arguments that the function changed: only the trace would have seen it.

    Raises:  RebindError.
    """
    leaves, now = tree_flatten(given, objects=False)
    if now != structure or any(a is not b for a, b in zip(leaves, filled, strict=True)):
        raise RebindError(
            f"jit: {getattr(f, '__qualname__', f)} changes a list or a dict that it was given, "
            "which would happen once and then never again",
            want="what is new as a result",
            hint="return it, as in `loss, state = step(state, x)`, and append or store it outside",
        )


def _refuse_husks(trace: Trace, returned: Sequence[Any]) -> None:
    """Tensors made inside, in what is returned but is no tree: they would come without values.

    Raises:  StructureError.
    """
    for y in returned:
        if isinstance(y, dict):
            inner = list(y.values())
        elif isinstance(y, list | tuple | set | frozenset | deque):
            inner = list(y)
        else:
            inner = list(getattr(y, "__dict__", {}).values())
        if trace.made(inner):
            raise StructureError(
                f"jit: a {type(y).__name__} with tensors in it cannot be returned",
                want="tensors, numbers, or tuples, lists, dicts, dataclasses and modules of them",
                hint=f"return what the {type(y).__name__} is made of, and make it outside",
            )


def kind_of(t: Tensor) -> tuple[bool, bool]:
    """What a trace knows of a tensor's history: is a gradient wanted, is it a leaf that asks."""
    node = t._node
    if node is None:
        return False, False
    return bool(node.mask & WANTED), hasattr(node, "handle")


def _kind_of_read(read: Read, at: Place) -> tuple[Spec, tuple[bool, bool], str | None]:
    node: Node = read.inner.node
    kind = bool(node.mask & WANTED), hasattr(node, "handle")
    return read.inner.spec, kind, at.spot.path if at.spot else read.handle.name


def input_spec(x: Any) -> Spec:
    """The Spec of an argument: arrays as they will be read, in this machine's order of bytes."""
    if isinstance(x, Tensor):
        return x.spec
    if isinstance(x, np.ndarray | np.generic):
        return native_spec(x)
    return spec_of(x)


def native_spec(x: Any) -> Spec:
    """The Spec of an array in this machine's order of bytes."""
    return spec(x.shape, x.dtype if x.dtype.isnative else x.dtype.newbyteorder("="))
