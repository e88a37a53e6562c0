"""What the gradient of one variable is made of: by message, by path, by loss, by sample.

Every split is exact, for the sweep is linear in the adjoints it starts from: a loss, or one sample,
is followed alone by giving the others an adjoint of zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..calculus.sweep import Raw, pullback
from ..errors import DomainError, GradientError
from ..graph import Node, ancestors
from ..handle import Tensor
from .explain import callers_variables
from .formula import formula_of, written
from .names import width
from .paths import one_variable, paths_of
from .record import Record, asks, record_of
from .rows import Telling
from .shares import Parts
from .terms import SILENT

KINDS = ("message", "path", "loss", "sample")
_TERMS = {"add", "subtract", "negative"}
_SCALES = {"multiply", "divide"}
Term = tuple[str, Node, Any]
"""A name, a node, and the adjoint that arrives there."""


def contributions(L: Any, *args: Any, wrt: Any = None, by: str = "message") -> Parts:
    """The gradient of one variable, in parts that add up to it exactly.

    by   "message": for every use of the variable what comes back from it. "path": for every path,
         as `ob.paths`. "loss": for every term of the sum that the result is (or for each of
         several results, given as a list). "sample": for every row of the batch, if the result is
         a sum or a mean over axis 0

    The answer is a list of parts with `.name`, `.value`, `.share` (the signed projection on the
    gradient; shares add up to 1) and `.formula`.

    Raises:  DomainError for another `by`; GradientError if there is no sum over samples to split.
    Example:
        >>> w, x, t, lam = ob.tensor(0.5, requires_grad=True), 2.0, 1.0, 0.1
        >>> L = (ob.sigmoid(w * x - 1) - t) ** 2 / 2
        >>> R = w**2 / 2
        >>> Lreg = L + lam * R
        >>> [(p.name, round(float(p.value), 3)) for p in ob.contributions(Lreg, wrt=w, by="loss")]
        [('L', -0.25), ('lam R', 0.05)]
    """
    if by not in KINDS:
        raise DomainError(f"contributions: by={by!r}", want=f"one of {', '.join(KINDS)}")
    several = isinstance(L, list | tuple)
    record = one_variable(
        "contributions",
        _record_of_all(L, wrt) if several else record_of("contributions", L, args, wrt),
    )
    telling = Telling(record.sweep(), callers_variables())
    if by == "path":
        return paths_of(telling, None)
    made, kind = {
        "message": (_messages, ("message", "messages")),
        "loss": (_losses, ("loss", "losses")),
        "sample": (_samples, ("part", "parts")),
    }[by]
    (variable,) = record.variables
    result = " + ".join(telling.name(y) for y in record.outputs)
    whole = record.gradient(variable)
    return Parts(
        telling.name(variable),
        f"({result})" if " " in result else result,
        whole,
        made(telling, variable),
        kind,
        top=12 if by == "sample" else None,
    )


def _record_of_all(losses: Sequence[Any], wrt: Any) -> Record:
    """Several results at once: their sum is what is differentiated."""
    records = [record_of("contributions", loss, (), wrt) for loss in losses]
    if not all(isinstance(loss, Tensor) for loss in losses):
        raise GradientError("contributions: several losses are results, each a Tensor")
    outputs = [y for r in records for y in r.outputs]
    variables = list(dict.fromkeys(v for r in records for v in r.variables))
    return Record(outputs, variables)


def _messages(telling: Telling, variable: Node) -> Iterator[tuple[str, Any, str]]:
    for row in telling.rows:
        if variable not in telling.followed(row):
            continue
        uses = telling.uses(row, variable)
        for i, (formula, value) in enumerate(uses, 1):
            use = f" (use {i})" if len(uses) > 1 else ""
            yield f"from {telling.name(row.node)}{use}", value, written(formula)


# -- by loss ----------------------------------------------------------------------------------


def _losses(telling: Telling, variable: Node) -> Iterable[tuple[str, Any, str]]:
    for name, node, bar in _terms(telling):
        yield name, _from(telling, node, bar, variable), ""


def _from(telling: Telling, node: Node, bar: Any, variable: Node) -> Any:
    """What an adjoint at one node alone adds to the variable."""
    world = Raw()
    world.recovered = dict(telling.record.values)
    with np.errstate(all="ignore"):
        (found,) = pullback([node], [variable], [bar], world=world)
    spec = variable.spec
    return np.zeros(spec.shape, spec.dtype)[()] if found is None else found


def _terms(telling: Telling) -> list[Term]:
    """The terms of the sum that the result is: unfolded down to what has a name."""
    record = telling.record
    on_path = set(record.path)
    found: list[Term] = []
    seeds = record.seeds()
    stack = [(y, bar, True) for y, bar in zip(record.outputs, seeds, strict=True)][::-1]
    world = Raw()
    world.recovered = dict(record.values)
    while stack:
        node, bar, root = stack.pop()
        if node not in on_path:
            continue
        unfolds = root or node.serial not in telling.names
        if unfolds and _is_sum(node, on_path):
            with np.errstate(all="ignore"):
                sent = world.messages(node, bar, on_path, chosen=False)
            stack += [(x, m, root and node.op.name in SILENT) for x, m in reversed(sent)]
        else:
            found.append((_said(telling, node), node, bar))
    return _merged(found)


def _is_sum(node: Node, on_path: set[Node]) -> bool:
    """Whether a node is a sum, or a number times one."""
    if node.op.name in _TERMS or node.op.name in SILENT:
        return bool(node.inputs)
    if node.op.name not in _SCALES:
        return False
    inner = [x for x in node.inputs if x in on_path]
    return len(inner) == 1 and _reaches_sum(inner[0], on_path)


def _reaches_sum(node: Node, on_path: set[Node]) -> bool:
    """Whether below a factor there is a sum of several terms, with nothing else between."""
    while node.inputs:
        if node.op.name in ("add", "subtract"):
            return True
        inner = [x for x in node.inputs if x in on_path]
        if node.op.name not in _SCALES | _TERMS | SILENT or len(inner) != 1:
            return False
        node = inner[0]
    return False


def _said(telling: Telling, node: Node) -> str:
    text = written(formula_of(node, lambda n: telling.called(n) if n is not node else None))
    name = telling.names.get(node.serial)
    return name or (text if width(text) <= 24 else node.op.name)


def _merged(terms: list[Term]) -> list[Term]:
    """A node that occurs in several terms is one term."""
    found: dict[Node, Term] = {}
    for name, node, bar in terms:
        before = found.get(node)
        found[node] = (name, node, bar if before is None else before[2] + bar)
    return list(found.values())


# -- by sample --------------------------------------------------------------------------------


def _samples(telling: Telling, variable: Node) -> Iterator[tuple[str, Any, str]]:
    """For each row of what is summed over axis 0, what it adds; then what is no sum over rows."""
    split, rest = [], []
    for name, node, bar in _terms(telling):
        rows = _rows_below(telling, node, bar)
        if rows is None or not _has_data(telling.record, rows[0]):
            rest.append((name, node, bar))
        else:
            split.append(rows)
    counts = {node.spec.shape[0] for node, _ in split}
    if len(counts) != 1:
        raise GradientError(
            "contributions: there is no one sum over samples to split"
            if not counts
            else f"contributions: the sums are over different numbers of rows, {sorted(counts)}",
            want="a loss that is a sum or a mean over axis 0, the samples",
            hint="ob.vmap(ob.grad(loss_of_one_sample)) gives gradients by sample of any function",
        )
    (n,) = counts
    for i in range(n):
        value: Any = 0
        for node, bar in split:
            only = np.zeros(node.spec.shape, node.spec.dtype)
            only[i] = np.broadcast_to(bar, node.spec.shape)[i]
            value = value + _from(telling, node, only, variable)
        yield f"sample {i}", value, ""
    for name, node, bar in rest:
        value = _from(telling, node, bar, variable)
        if np.any(value):
            yield f"{name} (of no sample)", value, ""


def _has_data(record: Record, node: Node) -> bool:
    """Whether rows are rows of data, and not, say, of a weight that is penalised."""
    n = node.spec.shape[0]
    return any(
        not record.computed(x)
        and x not in record.variables
        and not asks(x)
        and not isinstance(x.spec, tuple)
        and x.spec.shape[:1] == (n,)
        for x in ancestors([node], stop=record.stop)
    )


def _rows_below(telling: Telling, node: Node, bar: Any) -> tuple[Node, Any] | None:
    """The rows that a term sums over, and the adjoint that arrives there."""
    on_path = set(telling.record.path)
    world = Raw()
    world.recovered = dict(telling.record.values)
    while node.inputs:
        sums = node.op.name == "sum" and 0 in node.params["axis"]
        inner = [x for x in node.inputs if x in on_path]
        if len(inner) != 1 or not (
            sums or node.op.name in _SCALES | SILENT | {"negative"} or node.spec.ndim == 0
        ):
            return None
        if not sums and node.op.name not in _SCALES | SILENT | {"negative"}:
            return None
        with np.errstate(all="ignore"):
            ((_, bar),) = world.messages(node, bar, on_path, chosen=False)
        node = inner[0]
        if sums:
            return node, bar
    return None
