"""why_zero: why a gradient is zero, or None."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np

from ..context import within
from ..errors import GradientError
from ..graph import CONST, Node
from ..handle import Tensor
from ..origin import Origin, operands, users_frame
from .answer import Answer, Table, norm, number, plain
from .cuts import CALLS, COMPARED, TO_INTEGER, Cut, cut_before
from .names import known_as, names_of
from .record import Record, asks, handle_of, node_of, record_of

TINY = 1e-8
"""A gradient smaller than this part of the result's own adjoint has vanished."""


@dataclasses.dataclass(frozen=True)
class Cause:
    """One reason: `kind` in a word, what happened, `at` which place in the source, and a cure.
    `share`: of the entries.
    """

    kind: str
    what: str
    at: Origin | Cut | None
    cure: str
    share: float | None = None

    @property
    def where(self) -> str:
        """`file, line n:  source`."""
        return str(self.at) if self.at else ""


class ZeroReport(Answer):
    """Why a gradient is zero: `.zero` whether it is, `.causes` why, `.adjoint` its value."""

    def __init__(
        self, name: str, zero: bool, said: str, causes: Sequence[Cause], adjoint: Any = None
    ) -> None:
        self.name, self.zero, self.said = name, zero, said
        self.causes, self.adjoint = list(causes), adjoint

    def __bool__(self) -> bool:
        return self.zero

    def text(self, *, ascii: bool = False) -> str:
        """What was found, one cause per paragraph."""
        lines = [self.said]
        for cause in self.causes:
            lines.append(f"    {cause.what}")
            if cause.where:
                lines.append(f"        {cause.where}")
            if cause.cure:
                lines.append(f"        cure: {cause.cure}")
        return plain("\n".join(lines), ascii)

    def tables(self) -> list[Table]:
        """One row per cause."""
        return [
            (
                self.said,
                ["", "why", "where", "cure"],
                [[c.kind, c.what, c.where, c.cure] for c in self.causes],
            )
        ]


def why_zero(parameter: Any, L: Any, *args: Any) -> ZeroReport:
    """Why the gradient of a parameter is zero, or None; and where the path to it was cut.

    L is a result, or a function with its arguments (which finds more: it is run with everything
    recorded, and changes nothing). The parameter is a tensor, or the name or number of an argument.

    Example:
        >>> w = ob.tensor([1.0, -2.0], requires_grad=True)
        >>> report = ob.why_zero(w, ob.relu(w - 3.0).sum())
        >>> report.zero, report.causes[0].kind
        (True, 'dead')
    """
    frame = users_frame(1)
    name = _name_of(parameter, frame)
    if isinstance(parameter, Tensor):
        if not parameter.spec.floating:
            what = f"{name} holds {parameter.dtype}, which has no derivative"
            return _none(name, [Cause("integer", what, None, "make it with a floating dtype")])
        if parameter.is_leaf and not parameter.requires_grad and isinstance(L, Tensor):
            what = f"{name} does not ask for a gradient"
            cure = "make it with requires_grad=True, before it is used"
            return _none(name, [Cause("not asked", what, _where(node_of(parameter)), cure)])
    try:
        record = _record(L, args, parameter)
    except GradientError as error:
        found = _source_cut(frame, L, _words(parameter, frame)) if isinstance(L, Tensor) else []
        return _none(name, found or [Cause("unused", str(error).splitlines()[0], None, "")])
    if isinstance(parameter, Tensor) and not record.variables:
        return _none(name, _off_path(parameter, L, record, frame))
    cuts = cuts_of(record)
    record.sweep()
    variable = record.variables[0]
    bar = record.bars.get(variable)
    if bar is None:
        return _none(name, cuts or _silent(record))
    size, top = norm(bar), max(norm(record.bars[y]) for y in record.outputs if y in record.bars)
    names = names_of(record.nodes, record.outputs, record.given)
    if size == 0:
        causes = reasons(record, names)
        return ZeroReport(name, True, f"the gradient of {name} is zero", causes + cuts, bar)
    if size < TINY * top:
        said = f"the gradient of {name} has vanished: its norm is {number(size)}"
        return ZeroReport(name, True, said, _weakest(record, names), bar)
    share = float(np.mean(np.asarray(bar) == 0))
    said = f"the gradient of {name} is not zero: its norm is {number(size)}"
    if share:
        said += f"; {share:.0%} of its entries are zero"
    return ZeroReport(name, False, said, _partly(record, names) if share else [], bar)


def _none(name: str, causes: list[Cause]) -> ZeroReport:
    return ZeroReport(
        name, True, f"the gradient of {name} is None: no path leads from the result to it", causes
    )


def _record(L: Any, args: tuple[Any, ...], parameter: Any) -> Record:
    if isinstance(L, Tensor) or not callable(L):
        return record_of("why_zero", L, args, parameter)
    with within(record_all=[], keep=True):
        return record_of("why_zero", L, args, parameter)


def _where(node: Node | None) -> Origin | None:
    return node.origin if node is not None else None


def _name_of(parameter: Any, frame: FrameType) -> str:
    if not isinstance(parameter, Tensor):
        return str(parameter)
    return parameter.name or next(iter(_words(parameter, frame)), "the parameter")


def _words(parameter: Any, frame: FrameType) -> set[str]:
    """What the caller's program calls the parameter."""
    if not isinstance(parameter, Tensor):
        return {str(parameter)}
    both = {**frame.f_globals, **frame.f_locals}
    words = {k for k, v in both.items() if v is parameter}
    for v in list(both.values()):
        inside = getattr(v, "__dict__", None)
        if isinstance(inside, dict):
            words |= {k for k, x in inside.items() if x is parameter}
    return words | ({parameter.name.rpartition(".")[2]} if parameter.name else set())


# -- no path ----------------------------------------------------------------------------------


def _off_path(parameter: Tensor, L: Any, record: Record, frame: FrameType) -> list[Cause]:
    """The parameter is nowhere in the graph: rebound, detached, or never used."""
    for node in record.nodes:
        if asks(node) and handle_of(node) is parameter:
            what = "rebound since the result was computed, by an optimiser's step or an assignment"
            return [
                Cause(
                    "rebound",
                    what,
                    _where(node_of(parameter)),
                    "ask before the step, or compute the result again",
                )
            ]
    words = _words(parameter, frame)
    for node in record.nodes:
        if node.op is CONST and node.value is parameter.value and node.spec.size:
            users = [n for n in record.nodes if node in n.inputs]
            where = next((_where(n) for n in users if _where(n)), None)
            return [
                Cause(
                    "detached", "its value is used, without its history", where, CALLS["detach"][1]
                )
            ]
    causes = _source_cut(frame, L, words)
    fed = [
        n.origin for n in record.nodes if any(not x.mask for x in n.inputs) and n.origin is not None
    ]
    for filename, line in dict.fromkeys((o.filename, o.line) for o in fed):
        if not causes:
            cut = cut_before(filename, line, (), words)
            causes = [Cause(kind_of(cut.what), cut.what, cut, cut.cure)] if cut else []
    if causes:
        return causes
    twin = [n for n in record.nodes if asks(n) and (n.origin and n.origin.name) in words]
    if twin:
        what = "the result was computed from another tensor of that name"
        return [
            Cause(
                "rebound",
                what,
                _where(twin[0]),
                "ask about the tensor that was used: keep it, or compute again",
            )
        ]
    if isinstance(L, Tensor) and parameter.node.serial > L.node.serial:
        return [
            Cause(
                "younger",
                "it was made after the result",
                _where(node_of(parameter)),
                "compute the result again",
            )
        ]
    return [
        Cause(
            "unused",
            "the result was not computed from it",
            _where(node_of(parameter)),
            "use it; or check that the layer it belongs to is called",
        )
    ]


def _source_cut(frame: FrameType, L: Any, words: set[str]) -> list[Cause]:
    """What the caller's source says of the result."""
    both = {**frame.f_globals, **frame.f_locals}
    called = [k for k, v in both.items() if v is L]
    cut = cut_before(frame.f_code.co_filename, frame.f_lineno, called, words)
    return [Cause(kind_of(cut.what), cut.what, cut, cut.cure)] if cut else []


def kind_of(what: str) -> str:
    """The kind of a cut, by what is said of it."""
    for said, kind in (
        ("detach", "detached"),
        ("stop", "stop_gradient"),
        ("no_grad", "no_grad"),
        ("compar", "comparison"),
        ("integer", "integer"),
        ("round", "rounded"),
        ("plain", "plain"),
        ("copied", "copied"),
    ):
        if said in what:
            return kind
    return "cut"


def cuts_of(record: Record) -> list[Cause]:
    """Nodes between the parameter and the result that let nothing through."""
    reached: set[Node] = set(record.variables)
    follow = record.variables[0].mask
    causes = []
    for node in record.nodes:
        if not record.computed(node) or reached.isdisjoint(node.inputs):
            continue
        reached.add(node)
        if node.op.flat:
            what, cure = _flat_words(node)
            causes.append(Cause(kind_of(what), what, _where(node), cure))
        elif follow and not node.mask & follow and any(x.mask & follow for x in node.inputs):
            causes.append(
                Cause(
                    "no_grad",
                    "computed under no_grad()",
                    _where(node),
                    "move it out of the `with` block",
                )
            )
    return causes


def _flat_words(node: Node) -> tuple[str, str]:
    name = node.op.name
    after = operands(node.code, node.at)[0]
    if name == "stop_gradient" and after == "astype":
        return TO_INTEGER
    if name == "stop_gradient" and after == "detach":
        return CALLS["detach"]
    if node.spec.dtype.kind == "b":
        return COMPARED
    return CALLS.get(name) or (
        f"{name} is flat: its derivative is zero almost everywhere",
        "use a smooth function",
    )


def _silent(record: Record) -> list[Cause]:
    """On the path, but nothing arrives."""
    stuck = [n for n in record.path if n not in record.bars and n.inputs]
    return [Cause("cut", "the adjoint stops here", _where(n), "") for n in stuck[-1:]]


# -- a path, and zero on it -------------------------------------------------------------------


def reasons(record: Record, names: dict[int, str]) -> list[Cause]:
    """Why an adjoint that arrives is zero."""
    causes = _kills(record, names) + _cancelled(record, names)
    if all(c.share is not None and c.share < 1 for c in causes):
        causes = list(dict.fromkeys(causes + _partly(record, names))) or [COVERED]
    return causes


def _kills(record: Record, names: dict[int, str]) -> list[Cause]:
    """Rules that were given an adjoint and sent nothing but zeros."""
    found = [
        _blame(record, m.source, m.target, names)
        for m in record.messages
        if norm(record.bars[m.source]) > 0 and norm(m.value) == 0
    ]
    return list(dict.fromkeys(found))[:5]


def _cancelled(record: Record, names: dict[int, str]) -> list[Cause]:
    """Messages that are not zero and add up to zero."""
    found, by_target = [], {}
    for m in record.messages:
        by_target.setdefault(m.target, []).append(m)
    for target, sent in by_target.items():
        sizes = [norm(m.value) for m in sent]
        bar = record.bars.get(target)
        if len(sent) > 1 and bar is not None and max(sizes) > 0 and norm(bar) <= 1e-14 * max(sizes):
            terms = ", ".join(number(s) for s in sizes[:4])
            name = known_as(names, target)
            count = f"{len(sent)} of them, of norms {terms}, add up to nothing"
            what = f"messages cancel at {name}: {count}"
            found.append(
                Cause(
                    "cancels",
                    what,
                    _where(sent[0].source),
                    "the parts work against each other: look at each",
                )
            )
    return found


def _blame(record: Record, node: Node, target: Node, names: dict[int, str]) -> Cause:
    """Why a rule sent only zeros (or hardly anything)."""
    op, where = node.op.name, _where(node)
    own = known_as(names, node)
    if op in {"relu", "ramp", "elu"}:
        x = np.asarray(record.value(node.inputs[0]))
        share = float(np.mean(x <= 0))
        what = f"{share:.0%} of the units of {own} are dead: what goes into {op} is not positive"
        return Cause(
            "dead",
            what,
            where,
            "a smaller learning rate, another bias, or ob.leaky_relu, which is never flat",
            share,
        )
    if op in SATURATES:
        share = _saturated(record, node)
        what = f"{share:.0%} of {own} = {op}(…) is saturated: its derivative there is (almost) zero"
        return Cause(
            "saturated",
            what,
            where,
            "smaller weights or inputs; a loss on the logits; normalise before it",
            share,
        )
    if op in {"multiply", "times", "matmul", "divide", "einsum", "conv"}:
        for x in node.inputs:
            if x is not target and norm(record.value(x)) == 0:
                other = names.get(x.serial, "the other factor")
                other = "the number 0" if x.spec.weak and x.serial not in names else other
                return Cause(
                    "times zero",
                    f"multiplied by zero: {other} is zero",
                    where,
                    f"see why {other} is zero",
                    1.0,
                )
        return Cause(
            "times zero", f"the zeros of the other factor of {op} meet what arrives", where, ""
        )
    if op in CHOOSES:
        return Cause(
            "not chosen",
            f"nothing of it was chosen by {op}",
            where,
            "another input won, at every entry",
        )
    if op in {"whole_power", "square", "power", "prod", "abs", "cos", "length", "root_of_squares"}:
        return Cause(
            "stationary", f"the derivative of {op} is zero at this value", where, "start elsewhere"
        )
    return Cause("zero derivative", f"the rule of {op} sends zeros", where, "")


SATURATES = {
    "sigmoid",
    "tanh",
    "softmax",
    "log_softmax",
    "erf",
    "softplus",
    "log_sigmoid",
    "gelu",
    "silu",
    "exp",
    "arctan",
    "ndtr",
}
CHOOSES = {
    "maximum",
    "minimum",
    "max",
    "min",
    "where",
    "clip",
    "gather",
    "slice",
    "sort",
    "along",
    "reorder",
    "put",
}


def _saturated(record: Record, node: Node) -> float:
    """The share of entries that let less than a millionth through."""
    sent = next((m.value for m in record.messages if m.source is node), None)
    bar = np.asarray(record.bars[node])
    if sent is None or np.shape(sent) != bar.shape:
        return 1.0
    with np.errstate(all="ignore"):
        given = bar != 0
        return (
            float(np.mean(np.abs(sent)[given] <= 1e-6 * np.abs(bar)[given])) if given.any() else 1.0
        )


COVERED = Cause("zero derivative", "the zeros of several rules cover each other", None, "")


def _partly(record: Record, names: dict[int, str]) -> list[Cause]:
    """Rules that stop part of what arrives."""
    found: list[Cause] = []
    for m in record.messages:
        bar = np.asarray(record.bars[m.source]) if not isinstance(m.value, tuple) else np.zeros(0)
        sent = np.asarray(m.value) if not isinstance(m.value, tuple) else np.zeros(0)
        if sent.shape == bar.shape and sent.size:
            share = float(np.mean((sent == 0) & (bar != 0)))
            if share:
                cause = _blame(record, m.source, m.target, names)
                found.append(dataclasses.replace(cause, share=share))
    return list(dict.fromkeys(found))[:5]


def _weakest(record: Record, names: dict[int, str]) -> list[Cause]:
    """The rules that shrink the adjoint most."""
    drops: list[tuple[float, Callable[[], Cause]]] = []
    for m in record.messages:
        before, after = norm(record.bars[m.source]), norm(m.value)
        if before and after < before / 2:
            drops.append((after / before, lambda m=m: _blame(record, m.source, m.target, names)))
    drops.sort(key=lambda d: d[0])
    return [
        dataclasses.replace(c, what=f"{c.what} (× {number(r)})")
        for r, make in drops[:4]
        for c in (make(),)
    ]
