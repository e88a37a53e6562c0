"""What ran: the nodes of one computation, their values, and the engine's own backward sweep.

Every view is a function of a `Record`. Its numbers are those of `pullback_steps`, the sweep that
`grad` and `backward` run: nothing here computes a derivative. Making one changes nothing.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import inspect
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..calculus.backward import path_from_leaves
from ..calculus.sweep import Raw, pullback_steps, pushforward_steps
from ..calculus.transforms import Following
from ..context import within
from ..errors import DTypeError, GradientError, UnknownValueError
from ..graph import Graph, Node, ancestors, span
from ..handle import Tensor, as_tensor
from ..replay import values_of
from ..trees import tree_flatten, tree_paths, tree_unflatten

_SLOTS = ("_node", "value", "spec", "_grad", "_wants", "_name", "_role")


class Message(NamedTuple):
    """What one node sends to one of its inputs in the backward sweep."""

    source: Node
    target: Node
    value: Any


class Record:
    """One computation.

    outputs   what was computed; nodes: all it was computed from, oldest first
    variables the nodes whose adjoints are asked for
    given     names that the arguments of the function explained give to nodes
    values    of every node
    """

    def __init__(
        self,
        outputs: Sequence[Node],
        variables: Sequence[Node],
        *,
        given: dict[Node, str] | None = None,
        known: dict[Node, Any] | None = None,
        stop: Sequence[Node] = (),
    ) -> None:
        self.outputs, self.given = list(outputs), given or {}
        self.stop = frozenset(stop)
        self.nodes = ancestors(self.outputs, stop=self.stop)
        there = set(self.nodes)
        self.variables = [v for v in variables if v in there]
        self.missing = [v for v in variables if v not in there]
        self.values = known if known is not None else _values(self.nodes)
        self.path = self._differentiable()
        self.seed: Any = None
        self.messages: list[Message] = []
        self.bars: dict[Node, Any] = {}
        self.is_swept = False
        self.turns: dict[Node, str] = {}  # of loops that are written out, see `unroll`

    def _differentiable(self) -> list[Node]:
        """The nodes through which adjoints flow: one without its inputs' trackers was cut off."""
        follow = 0
        for v in self.variables:
            if not v.mask:
                return span(self.outputs, self.variables)  # nobody followed it: all that is known
            follow |= v.mask
        reached, path = set(self.variables), []
        for node in self.nodes:
            if node in reached or (node.mask & follow and not reached.isdisjoint(node.inputs)):
                reached.add(node)
                path.append(node)
        return path

    def computed(self, node: Node) -> bool:
        """Whether it was computed here, rather than given."""
        return bool(node.inputs) and node not in self.stop

    @property
    def consumers(self) -> dict[Node, list[Node]]:
        """Which nodes use each node, once per use."""
        found: dict[Node, list[Node]] = {n: [] for n in self.nodes}
        for node in self.nodes:
            if self.computed(node):
                for x in node.inputs:
                    found[x].append(node)
        return found

    def value(self, node: Node) -> Any:
        """The value of a node, in its full shape."""
        value = self.values[node]
        if isinstance(node.spec, tuple) or np.shape(value) == node.spec.shape:
            return value
        return np.broadcast_to(value, node.spec.shape)

    def gradient(self, node: Node) -> Any:
        """The adjoint of a node; zeros if nothing arrived."""
        bar = self.bars.get(node)
        return np.zeros(node.spec.shape, node.spec.dtype)[()] if bar is None else bar

    def seeds(self) -> list[Any]:
        """What the sweep starts from: `seed` if there is one, else ones."""
        if self.seed is not None:
            return [self.seed]
        return [np.ones(y.spec.shape, y.spec.dtype)[()] for y in self.outputs]

    def steps(self) -> Iterator[tuple[Node, Any, list[tuple[Node, Any]]]]:
        """The engine's backward sweep, one node at a time, on arrays."""
        world = Raw()
        world.recovered = dict(self.values)
        wanted = list(dict.fromkeys([*self.variables, *self.outputs]))
        with np.errstate(all="ignore"):
            ends = yield from pullback_steps(self.outputs, wanted, self.seeds(), self.path, world)
        for node, end in zip(wanted, ends, strict=True):
            if end is not None:
                self.bars[node] = end

    def sweep(self) -> Record:
        """Run it, once: fills `bars` (adjoints) and `messages`, in the order they were sent."""
        if not self.is_swept:
            self.is_swept = True
            for node, y_bar, messages in self.steps():
                self.bars[node] = y_bar
                self.messages += [Message(node, x, m) for x, m in messages]
        return self

    def widened(self, names: Container[int]) -> Record:
        """The same computation, with adjoints for every leaf of it that has a name."""
        leaves = [
            n
            for n in self.nodes
            if not self.computed(n)
            and not isinstance(n.spec, tuple)
            and n.spec.floating
            and n.serial in names
        ]
        variables = list(dict.fromkeys([*self.variables, *leaves]))
        stop = tuple(self.stop)
        wide = Record(self.outputs, variables, given=self.given, known=self.values, stop=stop)
        wide.seed = self.seed
        return wide.sweep()

    def elsewhere(self, values: dict[Node, Any]) -> Record:
        """The same computation, swept for other values of its nodes; all of them are given."""
        twins: dict[Node, Node] = {}
        for node in self.nodes:
            inputs = tuple(twins[x] for x in node.inputs) if self.computed(node) else ()
            twins[node] = Node(
                node.op, inputs, node.params, node.spec, values[node], mask=node.mask
            )
        back = {twin: node for node, twin in twins.items()}
        there = copy.copy(self)
        there.values, there.bars, there.messages = values, {}, []
        wanted = list(dict.fromkeys([*self.variables, *self.outputs]))
        outputs, inputs = [twins[y] for y in self.outputs], [twins[x] for x in wanted]
        path = [twins[n] for n in self.path]
        with np.errstate(all="ignore"):
            steps = pullback_steps(outputs, inputs, self.seeds(), path, Raw())
            try:
                while True:
                    node, y_bar, sent = next(steps)
                    there.bars[back[node]] = y_bar
                    there.messages += [Message(back[node], back[x], m) for x, m in sent]
            except StopIteration as end:
                ends = end.value
        there.bars |= {x: bar for x, bar in zip(wanted, ends, strict=True) if bar is not None}
        there.is_swept = True
        return there

    def tangents(self, x_dots: dict[Node, Any]) -> dict[Node, Any]:
        """The engine's forward sweep: the tangent of every node that one of these reaches."""
        world = Raw()
        world.recovered = dict(self.values)
        found = dict(x_dots)
        with np.errstate(all="ignore"):
            inputs = list(x_dots)
            steps = pushforward_steps(self.outputs, inputs, list(x_dots.values()), self.path, world)
            found |= {node: y_dot for node, y_dot, _ in steps}
        return found


def _values(nodes: Sequence[Node]) -> dict[Node, Any]:
    with np.errstate(all="ignore"):
        return values_of(nodes)


# -- from a tensor, a graph, or a function with its arguments ---------------------------------


def record_of(what: str, subject: Any, args: Sequence[Any] = (), wrt: Any = None) -> Record:
    """The record of a result, of a graph run on arguments, or of a function run on arguments.

    The variables are `wrt` (a tensor, the name or the number of an argument, or several); else
    whatever asks for a gradient; else every floating argument.

    Raises:  GradientError if there is nothing to differentiate by, UnknownValueError while
             tracing, DTypeError for a subject that is none of these.
    """
    if isinstance(subject, Tensor):
        if args:
            raise DTypeError(
                f"{what}: a result needs no arguments", hint="pass the function to run it on them"
            )
        if subject.value is None:
            raise UnknownValueError(
                f"{what}: the value is not known while tracing", got={"tensor": subject}
            )
        return Record([subject.node], _asked(what, [subject.node], wrt, {}))
    if isinstance(subject, Graph):
        return _of_graph(what, subject, args, wrt)
    if callable(subject):
        with unchanged(), within(jit="off"):  # a jitted step is told as what it does
            return _of_call(what, subject, args, wrt)
    raise DTypeError(
        f"{what}: {type(subject).__name__} is nothing that has a history",
        want="a result (a Tensor), a Graph, or a function followed by its arguments",
    )


def _asked(what: str, outputs: Sequence[Node], wrt: Any, given: dict[Node, str]) -> list[Node]:
    """The nodes to differentiate by."""
    if wrt is None:
        return [n for n in path_from_leaves(outputs) if asks(n)]
    found = []
    for v in wrt if isinstance(wrt, list | tuple) else [wrt]:
        if isinstance(v, Tensor):
            found.append(v.node)
        elif isinstance(v, Node):
            found.append(v)
        else:
            numbered = dict(enumerate(given))
            named = [n for n, name in given.items() if name == v] or [
                n for i, n in numbered.items() if i == v
            ]
            named = named or [n for n in ancestors(outputs) if n.name == v]
            named = named or _told_as(v, outputs, given)
            if not named:
                raise GradientError(
                    f"{what}: nothing here is called {v!r}", want="a tensor, or the name of one"
                )
            found += named[-1:]
    return found


def _told_as(name: Any, outputs: Sequence[Node], given: dict[Node, str]) -> list[Node]:
    """The nodes that a story of this computation calls so: by a textbook letter, say."""
    from .rows import Telling

    leaves = [n for n in ancestors(outputs) if not n.inputs and n.spec.floating]
    telling = Telling(Record(outputs, leaves, given=given))
    return [n for n in telling.record.nodes if telling.names.get(n.serial) == name]


def _of_graph(what: str, graph: Graph, args: Sequence[Any], wrt: Any) -> Record:
    """A traced graph run on arguments, or a recorded one, whose leaves have values."""
    leaves = tree_flatten((tuple(args), {}))[0]
    trees = graph.derived.get("trees")
    if trees is not None and leaves:
        leaves = [leaves[i] for i in trees[1]] + list(graph.derived.get("reads", ()))
    known = {n: as_tensor(a).value for n, a in zip(graph.inputs, leaves, strict=False)}
    if len(leaves) != len(graph.inputs) and any(
        n.value is None for n in graph.inputs if n not in known
    ):
        raise DTypeError(
            f"{what}: the graph has {len(graph.inputs)} inputs, {len(leaves)} values came"
        )
    values: dict[Node, Any] = {n: known.get(n, n.value) for n in graph.inputs}
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if node not in values:
                run = node.value is None and node.inputs
                values[node] = (
                    node.op.run(*(values[x] for x in node.inputs), **node.params)
                    if run
                    else node.value
                )
    given = {n: n.params.get("name") or "" for n in graph.inputs}
    outputs = [y for y in graph.outputs if not isinstance(y.spec, tuple) and y.spec.floating]
    if wrt is not None:
        from .names import names_of  # what the program calls its arguments

        called = names_of(graph.nodes, outputs, given)
        asked = _asked(what, outputs, wrt, {n: called.get(n.serial, "") for n in graph.inputs})
        return Record(outputs, asked, given=given, known=values, stop=graph.inputs)
    variables = [n for n in graph.inputs if n.spec.floating]
    return Record(outputs, variables, given=given, known=values, stop=graph.inputs)


def _of_call(what: str, f: Callable[..., Any], args: Sequence[Any], wrt: Any) -> Record:
    leaves, structure = tree_flatten(tuple(args))
    called = _argument_names(f, args)
    asked = [] if wrt is None else list(wrt) if isinstance(wrt, list | tuple) else [wrt]
    before = {  # what a parameter is now: a step that trains rebinds it
        id(v): n
        for v in asked
        if isinstance(v, Tensor) and not any(v is a for a in leaves) and (n := node_of(v))
    }
    tensors = [a if isinstance(a, Tensor) or not _is_number(a) else as_tensor(a) for a in leaves]
    floats = [
        i
        for i, t in enumerate(tensors)
        if isinstance(t, Tensor) and t.spec.floating and not t.requires_grad
    ]
    with Following([tensors[i] for i in floats]) as following:
        for i, t in zip(floats, following.inputs, strict=True):
            tensors[i] = t
        results = tree_flatten(f(*tree_unflatten(structure, tensors)))[0]
    nodes = [node_of(t) for t in results if isinstance(t, Tensor)]
    outputs = [n for n in nodes if n is not None and n.mask][:1]
    if not outputs:
        raise GradientError(
            f"{what}: the result depends on nothing that could be differentiated",
            hint="the function must return a Tensor computed from its floating arguments, or from "
            "tensors that require a gradient",
        )
    given = {t.node: n for t, n in zip(tensors, called, strict=True) if isinstance(t, Tensor) and n}
    stop = [t.node for t in following.inputs]
    numbers = {i: t.node for i, t in enumerate(tensors) if isinstance(t, Tensor)}
    passed = {id(a): t.node for t, a in zip(tensors, leaves, strict=True) if isinstance(a, Tensor)}
    wrt = [
        numbers.get(v, v) if isinstance(v, int) else before.get(id(v), passed.get(id(v), v))
        for v in asked
    ]
    wants = [n for n in path_from_leaves(outputs) if asks(n)]
    variables = _asked(what, outputs, wrt, given) if wrt else wants or stop
    return Record(outputs, variables, given=given, stop=stop)


def _is_number(a: Any) -> bool:
    return (
        isinstance(a, np.ndarray | np.generic | float | complex)
        and np.asarray(a).dtype.kind in "fc"
    )


def _argument_names(f: Callable[..., Any], args: Sequence[Any]) -> list[str | None]:
    """The name of each leaf of the arguments, as f calls it."""
    try:
        words = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        words = []
    names: list[str | None] = []
    for i, arg in enumerate(args):
        word = words[i] if i < len(words) else f"x{i}"
        own = [
            getattr(leaf, "name", None) if isinstance(leaf, Tensor) else None
            for leaf in tree_flatten(arg)[0]
        ]
        names += [n or word + path for n, (path, _) in zip(own, tree_paths(arg), strict=True)]
    return names


@contextlib.contextmanager
def unchanged() -> Iterator[list[tuple[Tensor, list[tuple[str, Any]]]]]:
    """What the body rebinds, and every gradient it writes, is put back: asking changes nothing.

    Parameters, states of optimisers and of random generators are all handles, so it is enough to
    remember every live one.
    """
    before = [(t, [(s, getattr(t, s)) for s in _SLOTS if hasattr(t, s)]) for t in _tensors()]
    try:
        yield before
    finally:
        for t, slots in before:
            was = dict(slots)
            for s in _SLOTS:
                if s in was:
                    if getattr(t, s, None) is not was[s]:
                        setattr(t, s, was[s])
                elif hasattr(t, s):
                    delattr(t, s)


def _tensors() -> list[Tensor]:
    return [t for t in gc.get_objects() if issubclass(type(t), Tensor)]


def node_of(t: Tensor) -> Node | None:
    """The node of a tensor that has one; `t.node` would make one, and asking changes nothing."""
    return t._node  # noqa: SLF001


def asks(node: Node) -> bool:
    """Whether a node is a leaf that asks for a gradient."""
    return not node.inputs and hasattr(node, "handle")


def handle_of(node: Node) -> Tensor | None:
    """The living tensor behind a leaf that asks for a gradient."""
    return node.handle() if asks(node) else None
