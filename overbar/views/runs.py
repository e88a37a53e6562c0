"""One run of a model, a loss or a whole training step, to be asked afterwards; and undone.

A step may call `backward()`, move its parameters and return nothing. What it computed is recorded
all the same; the loss is what the engine's own sweep started from. `Run` says what there was: the
record (nodes, values, adjoints), the parameters that could have been reached, and how far each was
moved.
"""

from __future__ import annotations

import dataclasses
import dis
import inspect
from collections import Counter
from collections.abc import Iterable, Sequence
from types import CodeType, FrameType
from typing import Any

import numpy as np

from ..context import UNKNOWN, WANTED, within
from ..errors import GradientError
from ..graph import Graph, Node, ancestors
from ..handle import Tensor
from ..origin import OURS, users_frame
from ..trees import tree_flatten
from .record import Record, asks, handle_of, node_of, record_of, unchanged
from .unroll import unrolled

DEEPEST = 5
"""So far functions are followed that a function calls, in search of parameters."""


@dataclasses.dataclass
class Parameter:
    """A tensor that is meant to be trained.

    node          its leaf in the record, if it is there
    before, after its value before the run and after it
    had, has      its gradient before the run and after it, as `backward()` left them
    moved_by      the leaf that it was rebound to: the user's line that moved it
    """

    name: str
    handle: Tensor | None
    node: Node | None
    before: Any = None
    after: Any = None
    had: Any = None
    has: Any = None
    moved_by: Node | None = None

    @property
    def moved(self) -> bool:
        """Whether the run gave it another value."""
        return self.after is not self.before

    @property
    def frozen(self) -> bool:
        """Whether it does not ask for a gradient."""
        return self.handle is not None and not getattr(self.handle, "_wants", False)


@dataclasses.dataclass
class Run:
    """What was run, with every value kept; `made` holds every operation, recorded for a gradient
    or not, oldest first.
    """

    record: Record
    parameters: list[Parameter]
    made: list[Node]
    frame: FrameType

    def opened(self) -> Run:
        """The same run with its loops written out."""
        record = unrolled(self.record)
        if record is self.record:
            return self
        closed = set(self.record.nodes)
        inside = (n for n in record.nodes if record.computed(n))
        made = [*(n for n in self.made if n not in closed), *inside]
        return dataclasses.replace(self, record=record, made=made)

    def leaves_of(self, p: Parameter) -> list[Node]:
        """The leaves by which a parameter entered any operation of the run."""
        return [x for x in ancestors(self.made) if asks(x) and handle_of(x) is p.handle]

    def users_of(self, leaves: Sequence[Node]) -> list[Node]:
        """The operations of the user's that some leaves entered, oldest first."""
        behind = set(leaves)
        for n in ancestors(self.made):
            if not behind.isdisjoint(n.inputs) and n.op.name in {"broadcast", "cast", "transpose"}:
                behind.add(n)
        return [n for n in self.made if not behind.isdisjoint(n.inputs) and n not in behind]


def run_of(what: str, subject: Any, args: Sequence[Any] = ()) -> Run:
    """Run a module, a function or a step on arguments, and put back whatever that changed.

    A result, or a Graph with its arguments, has run already.

    Raises:  GradientError if nothing could be differentiated, DTypeError for what cannot be run.
    """
    frame = users_frame(1)
    if isinstance(subject, Tensor | Graph) or not callable(subject):
        record = record_of(what, subject, args)
        return Run(record, _of_leaves(record), list(record.nodes), frame)
    made: list[Node] = []
    with (
        unchanged() as before,
        within(record_all=made, keep=True, jit="off"),
        np.errstate(all="ignore"),
    ):
        results = [t for t in tree_flatten(subject(*args))[0] if isinstance(t, Tensor)]
        outputs = _roots(made, results)
        if outputs:
            there = Record(outputs, [])
            record = Record(
                outputs, [n for n in there.nodes if asks(n) and n.mask & WANTED], known=there.values
            )
            was = {id(t): dict(slots) for t, slots in before}
            meant = parameters_in(subject, args)
            return Run(record, _meant(record, meant, was), made, frame)
    with within(record_all=made, keep=True), np.errstate(all="ignore"):
        record = record_of(what, subject, args)
    return Run(record, _of_leaves(record), made, frame)


def _roots(made: Sequence[Node], results: Sequence[Tensor]) -> list[Node]:
    """Where the sweep began: what it passed (and let go) without coming from another such node.
    If nothing was swept, what was returned; else the scalars that nothing else was computed from.
    """
    mine = [n for n in made if n.mask & WANTED and not n.mask & UNKNOWN and not n.op.flat]
    swept = [n for n in mine if n.inputs and n.value is None]
    if swept:
        used = {x for n in swept for x in n.inputs}
        return [n for n in swept if n not in used]
    there = set(mine)
    given = [n for t in results if (n := node_of(t)) is not None and n in there]
    if given:
        return list(dict.fromkeys(n for n in given if not isinstance(n.spec, tuple)))
    used = {x for n in mine for x in n.inputs}
    return [
        n
        for n in mine
        if n not in used and not isinstance(n.spec, tuple) and n.spec.size == 1 and n.spec.floating
    ]


def _of_leaves(record: Record) -> list[Parameter]:
    """The variables of a record, as parameters."""
    from .names import known_as, names_of

    names = names_of(record.nodes, record.outputs, record.given)
    found = []
    for n in record.variables:
        handle = handle_of(n)
        value = record.values[n]
        found.append(Parameter(known_as(names, n), handle, n, value, value))
    return found


def _meant(
    record: Record, meant: dict[int, tuple[str, Tensor]], was: dict[int, dict[str, Any]]
) -> list[Parameter]:
    """Those that the program holds, and those that turned up without being held."""
    nodes: dict[int, Node] = {}
    found = []
    for n in record.variables:
        handle = handle_of(n)
        if handle is None:  # nobody holds it any more
            value = record.values[n]
            found.append(Parameter(n.name or "a parameter", None, n, value, value))
            continue
        nodes[id(handle)] = n
        if id(handle) not in meant:
            meant[id(handle)] = (handle.name or n.name or "", handle)
    for key, (name, handle) in meant.items():
        before = was.get(key, {})
        value = before.get("value", handle.value)
        had, has = before.get("_grad"), getattr(handle, "_grad", None)
        found.append(
            Parameter(
                name or "a parameter",
                handle,
                nodes.get(key),
                value,
                handle.value,
                None if had is None else had.value,
                None if has is None else has.value,
                node_of(handle),
            )
        )
    last = len(record.nodes) + max((n.serial for n in record.nodes), default=0)
    return sorted(found, key=lambda p: p.node.serial if p.node is not None else last)


# -- which tensors a program holds to be trained ----------------------------------------------


def parameters_in(*things: Any) -> dict[int, tuple[str, Tensor]]:
    """By id: the parameters of every module, optimiser, and function among these, and the tensors
    there that ask for a gradient; a function is searched in what it closes over and calls.
    """
    found: dict[int, tuple[str, Tensor]] = {}
    longer: dict[int, str] = {}  # two layers apart both have a "weight"
    seen: set[int] = set()
    stack = [("", thing, 0) for thing in reversed(things)]
    while stack:
        name, thing, depth = stack.pop()
        if id(thing) in seen or depth > DEEPEST:
            continue
        seen.add(id(thing))
        if isinstance(thing, Tensor):
            if getattr(thing, "_wants", False) and not thing.node.inputs:
                found.setdefault(id(thing), (thing.name or name, thing))
        elif callable(getattr(thing, "named_parameters", None)):
            for path, p in thing.named_parameters():
                found.setdefault(id(p), (p.name or path, p))
                longer.setdefault(id(p), f"{name}.{path}" if name else path)
        elif isinstance(thing, dict):
            stack += [(str(k), v, depth + 1) for k, v in reversed(list(thing.items()))]
        elif isinstance(thing, list | tuple):
            stack += [(f"{name}[{i}]", v, depth + 1) for i, v in enumerate(thing)][::-1]
        elif callable(getattr(thing, "zero_grad", None)) and hasattr(thing, "params"):
            stack += [(f"{name}[{i}]", p, depth) for i, p in enumerate(thing.params)][::-1]
        else:
            stack += [(k, v, depth + 1) for k, v in _seen_by(thing)][::-1]
    count = Counter(name for name, _ in found.values())
    return {
        key: (longer.get(key, name) if count[name] > 1 else name, p)
        for key, (name, p) in found.items()
    }


def _seen_by(thing: Any) -> Iterable[tuple[str, Any]]:
    """What a function (bound, wrapped, partial) can see by name; only the user's own functions."""
    f = inspect.unwrap(thing) if callable(thing) else thing
    for inner in ("func", "__func__"):
        if hasattr(f, inner):
            yield "", getattr(f, "__self__", None)
            yield "", list(getattr(f, "args", ()))
            yield "", dict(getattr(f, "keywords", {}))
            f = getattr(f, inner)
    code = getattr(f, "__code__", None)
    if not isinstance(code, CodeType) or code.co_filename in OURS:
        return
    for word, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
        try:
            yield word, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield "", list(f.__defaults__ or ())
    for word in _words(code):
        if word in f.__globals__:
            yield word, _plain(f.__globals__[word])


def _plain(thing: Any) -> Any:
    """Modules of Python, classes and the like hold nothing to be trained here."""
    return None if inspect.ismodule(thing) or inspect.isclass(thing) else thing


def _words(code: CodeType) -> list[str]:
    """The globals that a function reads, or those inside it do."""
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    own = [i.argval for i in dis.get_instructions(code) if i.opname in _READS]
    return list(dict.fromkeys([*own, *(w for c in inner for w in _words(c))]))


_READS = {"LOAD_GLOBAL", "LOAD_NAME"}


def need_something(what: str, run: Run) -> None:
    """Raise GradientError if there is nothing to differentiate by."""
    if not run.record.variables and not run.parameters:
        raise GradientError(
            f"{what}: nothing here asks for a gradient",
            hint="make the parameters with requires_grad=True, or as nn.Parameter",
        )
