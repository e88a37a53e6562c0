"""why_nan and nan_guard: where the first NaN or infinity was born, and what to do about it.

From a result that is not finite, back through what it inherited it from, to the operation that made
it of finite numbers; and from a gradient that is not finite, back up the sweep to the rule that
made that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..calculus.transforms import Following
from ..context import within
from ..elementwise import Elementwise
from ..errors import DomainError, NonFiniteError, OverbarError, place
from ..graph import CONST, INPUT, Graph, Node
from ..handle import Tensor, as_tensor
from ..trees import tree_flatten, tree_unflatten
from .answer import value_text
from .births import Birth, Index, NonFiniteReport, finite, first_bad
from .cures import cure_for
from .names import bar, known_as, names_of
from .record import Record, asks, node_of, record_of, unchanged
from .unroll import unrolled

FINE = "no NaN and no infinity: the result is finite, and so are the gradients"


def why_nan(subject: Any, *args: Any) -> NonFiniteReport:
    """Where the first NaN or infinity of a result, or of its gradients, was born.

    Of a result (also after `backward()`), a Graph, or a function (a training step, say) with its
    arguments, which is run and whose changes are undone; of a jitted function alone, of its last
    call under `nan_guard`.

    Example:
        >>> x = ob.tensor([1.0, 0.0], requires_grad=True)
        >>> report = ob.why_nan((ob.sqrt(x) * 0.0).sum())
        >>> report.birth.op, report.birth.born, report.birth.index
        ('sqrt', 'backward', (1,))
    """
    subject = subject if args else _kept(subject)
    if isinstance(subject, Tensor | Graph) or not callable(subject):
        if isinstance(subject, Tensor) and subject.value is not None and node_of(subject) is None:
            return _alone(subject)
        return report_of(record_of("why_nan", subject, args))
    return _of_step(subject, args)


def _kept(subject: Any) -> Any:
    """Of a jitted function the call that it kept, if it did."""
    try:
        return subject.replay() if hasattr(subject, "replay") else subject
    except DomainError:
        return subject


def _alone(t: Tensor) -> NonFiniteReport:
    """A value without history."""
    if finite(t.value):
        return NonFiniteReport(None, FINE)
    at, made = first_bad(t.value)
    cure = "compute it under ob.record(), or ask ob.why_nan(function, *arguments)"
    birth = Birth("input", t.name or "the tensor", "input", made, at, (), "", 0, "", "", (), cure)
    return NonFiniteReport(
        birth, f"{birth.name} holds {made}{_at(at)}, and has no history that could tell why"
    )


def report_of(record: Record) -> NonFiniteReport:
    """The report of one run; of what is in a loop, with the turn."""
    record = unrolled(record)
    names = names_of(record.nodes, record.outputs, record.given)
    for y in record.outputs:
        if not finite(record.value(y)):
            return _forward(record, y, names)
    if record.variables:
        record.sweep()
        if any(not finite(record.bars.get(v)) for v in record.variables):
            return _backward(record, names)
    return NonFiniteReport(None, FINE)


# -- born on the way forward ------------------------------------------------------------------


def _forward(record: Record, end: Node, names: dict[int, str]) -> NonFiniteReport:
    """Back from a result that is not finite to where it began."""
    at: dict[Node, Index | None] = {
        end: None if isinstance(record.values[end], tuple) else first_bad(record.value(end))[0]
    }
    came: dict[Node, Node] = {}
    roots: list[Node] = []
    stack = [end]
    while stack:
        node = stack.pop()
        before = _inherited(record, node, at[node])
        if not before:
            roots.append(node)
        for x, index in before:
            if x not in at:
                at[x], came[x] = index, node
                stack.append(x)
    root = min(roots, key=lambda n: (_harmless(record, n), n.serial))
    path, node = [], root
    while node in came:
        node = came[node]
        path.append(node)
    if _harmless(record, root):  # a mask: at fault is what made a NaN of it
        spoiled = next((i for i, n in enumerate(path) if _is_nan(record, n, at[n])), None)
        if spoiled is not None:
            root, path = path[spoiled], path[spoiled + 1 :]
    return _told(record, root, at[root], path, names)


def _is_nan(record: Record, node: Node, at: Index | None) -> bool:
    return not isinstance(node.spec, tuple) and bool(
        np.isnan(record.value(node)[at] if at else record.value(node)).any()
    )


def _harmless(record: Record, node: Node) -> bool:
    """A constant infinity is likely a mask, meant to be there."""
    return node.op is CONST and not np.isnan(np.asarray(record.values[node])).any()


def _inherited(record: Record, node: Node, at: Index | None) -> list[tuple[Node, Index | None]]:
    """The inputs that were not finite where it matters, and where."""
    if not record.computed(node):
        return []
    found = []
    inputs = list(node.inputs)
    if node.op.name == "where" and at is not None:
        chosen = bool(_entry(record.value(inputs[0]), at, node.spec.shape))
        inputs = [inputs[1 if chosen else 2]]
    for x in inputs:
        value = record.values[x] if isinstance(x.spec, tuple) else record.value(x)
        if finite(value):
            continue
        if isinstance(value, tuple):
            found.append((x, None))
        elif at is not None and _entrywise(node):
            v = _entry(value, at, node.spec.shape)
            if not np.isfinite(v):
                found.append((x, _index_in(np.shape(value), at)))
        else:
            found.append((x, first_bad(value)[0]))
    return found


def _entrywise(node: Node) -> bool:
    return isinstance(node.op, Elementwise) or node.op.name in {"broadcast", "cast", "alias"}


def _index_in(shape: tuple[int, ...], at: Index) -> Index:
    """The index of the entry of a broadcast array that an index of the result reads."""
    last = at[len(at) - len(shape) :]
    return tuple(0 if n == 1 else i for n, i in zip(shape, last, strict=True))


def _entry(value: Any, at: Index, shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(np.asarray(value), shape)[at]


def _told(
    record: Record, root: Node, at: Index | None, path: Sequence[Node], names: dict[int, str]
) -> NonFiniteReport:
    value = record.values[root] if isinstance(root.spec, tuple) else record.value(root)
    index, made = first_bad(value)
    if at is not None and not isinstance(value, tuple):
        v = value[at] if np.ndim(value) else value
        index, made = at, "nan" if np.isnan(v) else "-inf" if np.real(v) < 0 else "inf"
    name = known_as(names, root)
    steps = _steps(record, path, names)
    origin = root.origin
    file, line, source = (origin.filename, origin.line, origin.source) if origin else ("", 0, "")
    if not record.computed(root):
        kind = "parameter" if asks(root) else "input"
        cure = cure_for(kind, "input", [], made)
        birth = Birth(kind, name, "input", made, index, (), file, line, source, "", steps, cure)
        return NonFiniteReport(
            birth, f"the {kind} {name} held {made}{_at(index)} before anything was computed"
        )
    operands = [
        (names.get(x.serial, "abcdefgh"[i % 8]), record.value(x)) for i, x in enumerate(root.inputs)
    ]
    there = [(n, _at_entry(v, index, root)) for n, v in operands]
    cure = cure_for(root.op.name, "forward", [v for _, v in there], made)
    shown = tuple((n, value_text(v) if v is not None else "") for n, v in there)
    birth = Birth(
        root.op.name, name, "forward", made, index, shown, file, line, source, "", steps, cure,
        record.turns.get(root, ""),
    )  # fmt: skip
    return NonFiniteReport(
        birth,
        f"the first value that is not finite: {root.op.name} made {made}{_at(index)}, in the "
        f"forward pass{_in(birth.turn)}",
    )


def _at_entry(value: Any, index: Index, node: Node) -> Any:
    """The operand at the index, for what works entry by entry; the whole operand otherwise."""
    if not _entrywise(node):
        return value
    return _entry(value, index, node.spec.shape)


def _steps(record: Record, path: Sequence[Node], names: dict[int, str]) -> tuple[str, ...]:
    """The operations of a path in words, its middle left out if it is long."""
    words = []
    for n in path:
        if n.op.name in {"broadcast", "cast", "alias", "reshape"} and n not in record.outputs:
            continue
        origin = n.origin
        name = names.get(n.serial)
        line = f" (line {origin.line})" if origin else ""
        words.append((f"{name} = {n.op.name}" if name else n.op.name) + line)
    return (*words[:4], f"{len(words) - 7} more", *words[-3:]) if len(words) > 8 else tuple(words)


def _at(index: Index) -> str:
    return f" at {list(index)}" if index else ""


def _in(turn: str) -> str:
    return f", in {turn}" if turn else ""


# -- born on the way back ---------------------------------------------------------------------


def _backward(record: Record, names: dict[int, str]) -> NonFiniteReport:
    """Back up the sweep from a gradient that is not finite to the rule that made it so."""
    order = {id(m): i for i, m in enumerate(record.messages)}
    sent: dict[Node, list[Any]] = {}
    for m in record.messages:
        sent.setdefault(m.target, []).append(m)
    births: list[Any] = []
    hit = [v for v in record.variables if not finite(record.bars.get(v))]
    stack: list[tuple[Node, tuple[Node, ...]]] = [(v, (v,)) for v in hit]
    seen = set()
    while stack:
        node, path = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        bad = [m for m in sent.get(node, ()) if not finite(m.value)]
        if not bad and sent.get(node):
            births.append((len(order), sent[node][0], path))  # finite messages whose sum is not
        for m in bad:
            if finite(record.bars.get(m.source)):
                births.append((order[id(m)], m, path))
            else:
                stack.append((m.source, (m.source, *path)))
    _, m, path = min(births, key=lambda b: b[0])
    node = m.source
    index, made = first_bad(m.value if not finite(m.value) else record.bars[m.target])
    name, operands = known_as(names, node), []
    if (
        _entrywise(node)
        and not isinstance(node.spec, tuple)
        and np.shape(m.value) == node.spec.shape
    ):
        operands.append(
            (
                bar(name if name != node.op.name else "y"),
                _entry(record.bars[node], index, node.spec.shape),
            )
        )
        operands += [
            (
                names.get(x.serial, "abcdefgh"[i % 8]),
                _entry(record.value(x), index, node.spec.shape),
            )
            for i, x in enumerate(node.inputs)
        ]
    else:
        operands.append((bar(name), record.bars[node]))
        operands += [
            (names.get(x.serial, "abcdefgh"[i % 8]), record.value(x))
            for i, x in enumerate(node.inputs)
        ]
    sender = next((str(s.source.origin) for s in sent.get(node, ()) if s.source.origin), "")
    cure = cure_for(node.op.name, "backward", [v for _, v in operands], made)
    origin = node.origin
    file, line, source = (origin.filename, origin.line, origin.source) if origin else ("", 0, "")
    shown = tuple((n, value_text(v)) for n, v in operands)
    spoiled = f"the gradient of {names.get(path[-1].serial, 'a variable')}"
    steps = (*_steps(record, path[:-1], names), spoiled)
    birth = Birth(
        node.op.name, name, "backward", made, index, shown, file, line, source, sender, steps, cure,
        record.turns.get(node, ""),
    )  # fmt: skip
    said = (
        f"the result is finite, its gradient is not: the rule of {node.op.name} made "
        f"{made}{_at(index)}, in the backward pass{_in(birth.turn)}"
    )
    return NonFiniteReport(birth, said)


# -- of a step, and while a program runs ------------------------------------------------------


def _of_step(f: Callable[..., Any], args: Sequence[Any]) -> NonFiniteReport:
    """Run a function; if anything came out that is not finite, find out why."""
    with unchanged() as before, within(jit="off"), np.errstate(all="ignore"):
        results = _run(f, args)
        ends = [t for t in results if isinstance(t, Tensor)]
        was = {id(t): dict(slots) for t, slots in before}
        new = [v for t, _ in before for v in _changed(t, was[id(t)])]
        healthy = all(finite(r) for r in results if not isinstance(r, str)) and all(
            map(finite, new)
        )
        report = None
        for t in ends:
            end = node_of(t)
            if end is not None and end.inputs and t.value is not None:
                report = report or report_of(Record([end], _asked_by(Record([end], []).nodes)))
    if report is not None and report.birth is not None:
        return report
    if healthy:
        return NonFiniteReport(None, FINE)
    with unchanged():
        try:
            with within(guard=True, jit="off"), np.errstate(all="ignore"):
                _run(f, args)
        except NonFiniteError as error:
            return _caught(error)
    birth = Birth(
        "input",
        "",
        "input",
        "nan",
        (),
        (),
        "",
        0,
        "",
        "",
        (),
        cure_for("input", "input", [], "nan"),
    )
    return NonFiniteReport(
        birth, "what is not finite was there before the step began: no operation made it"
    )


def _asked_by(nodes: Sequence[Node]) -> list[Node]:
    """What the gradient is of: what asks for one; if nothing does, the arguments."""
    floating = [n for n in nodes if not isinstance(n.spec, tuple) and n.spec.floating]
    found = [n for n in floating if asks(n) or n.op.name == "alias"]
    return found or [n for n in floating if n.op is INPUT and n.mask]


def _run(f: Callable[..., Any], args: Sequence[Any]) -> list[Any]:
    """The results, flat; the floating arguments are followed, so that their adjoints can be had."""
    leaves, structure = tree_flatten(tuple(args))
    spots = [i for i, a in enumerate(leaves) if _follows(a)]
    with Following([as_tensor(leaves[i]) for i in spots]) as following:
        for i, t in zip(spots, following.inputs, strict=True):
            leaves[i] = t
        try:
            return tree_flatten(f(*tree_unflatten(structure, leaves)))[0]
        except NonFiniteError:
            raise
        except OverbarError:
            pass  # the function reads its arguments as plain numbers: not followed, then
    return tree_flatten(f(*args))[0]


def _follows(a: Any) -> bool:
    if isinstance(a, Tensor):
        return a.spec.floating and not a.requires_grad
    return isinstance(a, np.ndarray | float | complex) and np.asarray(a).dtype.kind in "fc"


def _changed(t: Tensor, was: dict[str, Any]) -> Iterator[Any]:
    if t.value is not was.get("value"):
        yield t.value
    grad = getattr(t, "_grad", None)
    if grad is not None and grad is not was.get("_grad"):
        yield grad.value


def _caught(error: NonFiniteError) -> NonFiniteReport:
    """The report of what the guard raised."""
    facts = error.facts
    operands = facts.get("operands", ())
    shown = tuple((n, value_text(v)) for n, v in operands)
    cure = cure_for(facts["op"], facts["born"], [v for _, v in operands], facts["made"])
    file, line = facts.get("at") or ("", 0)
    where = "in the backward pass" if facts["born"] == "backward" else "in the forward pass"
    source = place(file, line).partition(":  ")[2] if file else ""
    birth = Birth(
        facts["op"],
        facts["op"],
        facts["born"],
        facts["made"],
        facts["index"],
        shown,
        file,
        line,
        source,
        facts.get("sender", ""),
        (),
        cure,
    )
    what = "the rule of " if facts["born"] == "backward" else ""
    return NonFiniteReport(
        birth,
        f"the first value that is not finite: {what}{facts['op']} made "
        f"{facts['made']}{_at(birth.index)}, {where}",
    )


@contextlib.contextmanager
def nan_guard() -> Iterator[None]:
    """In the body, the first NaN or infinity raises NonFiniteError, in either pass.

    The error names the operation, the user's line, the index, the operands and a cure. What
    already was not finite, and passes through, is left alone.

    Example:
        >>> with ob.nan_guard():
        ...     ob.log(ob.tensor([1.0, -1.0]))
        Traceback (most recent call last):
        overbar.errors.NonFiniteError: log made nan at [1] from -1.0
    """
    try:
        with within(guard=True), np.errstate(all="ignore"):
            yield
    except NonFiniteError as error:
        facts = error.facts
        if facts and error.hint is None:
            cure = cure_for(
                facts["op"], facts["born"], [v for _, v in facts.get("operands", ())], facts["made"]
            )
            error.hint = cure or None
            if cure:
                error.args = (f"{error.args[0]}\nhint: {cure}",)
        raise
