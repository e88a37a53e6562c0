"""what_if: another value for something in the middle, and what becomes of the result.

Only what depends on it runs again. Beside what really happens stands what the adjoint predicts:
the change times the derivative, which is exact for small changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DomainError, ShapeError
from ..graph import Node
from ..handle import Tensor
from ..replay import whole_value
from .answer import Answer, Table, plain, value_text
from .explain import callers_variables
from .names import bar
from .paths import one_variable
from .record import record_of
from .rows import Telling

_MISSING = object()


def what_if(L: Any, *args: Any, node: Any = _MISSING, value: Any = _MISSING) -> WhatIf:
    """What the result would be if something in the middle had another value.

    Of a result: `what_if(L, node, value)`. Of a function or a Graph: its arguments come in
    between, `what_if(f, *args, node=, value=)`. The node is a tensor, or a name. Only what depends
    on it runs again; nothing is changed.

    Raises:  ShapeError for a value of another shape, GradientError if L does not depend on it.
    Example:
        >>> w, x, t = ob.tensor(0.5, requires_grad=True), 2.0, 1.0
        >>> z = w * x - 1
        >>> y = ob.sigmoid(z)
        >>> L = (y - t) ** 2 / 2
        >>> print(ob.what_if(L, z, 0.01))
        if z were 0.0100 instead of 0 (Δz = 0.0100)
            L would be 0.124 instead of 0.125: ΔL = -0.00125
            the adjoint predicts z̄ Δz = -0.00125; what happens is 0.997 of that
            4 of 6 operations ran again: y, L
            downhill: a greater z makes L smaller
    """
    if node is _MISSING and value is _MISSING:
        if len(args) < 2:
            raise DomainError(
                "what_if: it takes a node and its new value", want="what_if(L, z, 0.1)"
            )
        *before, node, value = args
        args = tuple(before)
    elif node is _MISSING or value is _MISSING:
        raise DomainError("what_if: node= and value= go together")
    record = one_variable("what_if", record_of("what_if", L, args, node)).sweep()
    (changed,) = record.variables
    spec = changed.spec
    new = np.asarray(value.value if isinstance(value, Tensor) else value)
    if np.broadcast_shapes(new.shape, spec.shape) != spec.shape:
        raise ShapeError(
            "what_if: the value has not the shape of what it replaces",
            got={"value": new, "node": changed},
        )
    filled = np.broadcast_to(new, spec.shape).astype(spec.dtype)[()]
    return WhatIf(Telling(record, callers_variables()), changed, filled)


class WhatIf(Answer):
    """What would happen. `print` it, or read it.

    before, after         the result; actual: their difference
    predicted             ⟨adjoint, change⟩; ratio: actual / predicted
    touched               the names of what ran again, oldest first; reran, of: how many operations
    """

    def __init__(self, telling: Telling, node: Node, value: Any) -> None:
        self.telling, record = telling, telling.record
        self.name, self.value = telling.name(node), value
        self.was = record.value(node)
        values, again = _rerun(telling, node, value)
        (y,) = record.outputs
        self.result = telling.name(y)
        self.before, self.after = record.value(y), values.get(y, record.values[y])
        self.actual = self.after - self.before
        change = np.asarray(value) - np.asarray(self.was)
        self.change = change[()]
        self.adjoint = record.gradient(node)
        self.predicted = np.sum(np.real(self.adjoint * change)).item()
        whole = float(np.sum(self.actual))
        self.ratio = whole / self.predicted if self.predicted else float("nan")
        self.reran, self.of = len(again), sum(map(record.computed, record.nodes))
        told = {row.node for row in telling.rows}
        self.touched = [telling.name(n) for n in again if n in told]
        self.values = {telling.name(n): values[n] for n in again if n in told}

    def text(self, *, ascii: bool = False) -> str:
        """What would happen."""
        n, r = self.name, self.result
        new, was, change = map(value_text, (self.value, self.was, self.change))
        lines = [f"if {n} were {new} instead of {was} (Δ{n} = {change})"]
        new, was, change = map(value_text, (self.after, self.before, self.actual))
        lines.append(f"    {r} would be {new} instead of {was}: Δ{r} = {change}")
        said = f"    the adjoint predicts {bar(n)} Δ{n} = {value_text(self.predicted)}"
        if self.predicted:
            said += f"; what happens is {value_text(self.ratio)} of that"
        lines.append(said)
        shown = ", ".join(self.touched[:8]) + (", ..." if len(self.touched) > 8 else "")
        lines.append(f"    {self.reran} of {self.of} operations ran again: {shown}")
        if np.ndim(self.adjoint) == 0 and self.adjoint:
            way = "smaller" if self.adjoint > 0 else "greater"
            lines.append(f"    downhill: a {way} {n} makes {r} smaller")
        return plain("\n".join(lines), ascii)

    def tables(self) -> list[Table]:
        """What would happen, as a table."""
        record = self.telling.record
        names = {self.telling.name(n): n for n in record.nodes if n.serial in self.telling.names}
        rows = [
            [name, value_text(record.value(names[name])), value_text(value)]
            for name, value in self.values.items()
        ]
        said = [[line.strip()] for line in self.text().split("\n")]
        return [("", [], said), ("", ["", "before", "after"], rows)]


def _rerun(telling: Telling, node: Node, value: Any) -> tuple[dict[Node, Any], list[Node]]:
    """The values that change, and the nodes that ran again, oldest first."""
    record = telling.record
    values: dict[Node, Any] = {node: value}
    again = []
    with np.errstate(all="ignore"):
        for n in record.nodes:
            if n in values or not record.computed(n) or values.keys().isdisjoint(n.inputs):
                continue
            operands = [
                whole_value(values[x] if x in values else record.values[x], x) for x in n.inputs
            ]
            values[n] = n.op.run(*operands, **n.params)
            again.append(n)
    return values, again
