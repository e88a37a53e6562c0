"""summary: the layers of a model, or the steps of a function, as they ran: what goes in, what comes
out, by which formula, with how many parameters.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..context import within
from ..errors import DTypeError
from ..graph import Node
from ..handle import Tensor
from ..trees import tree_flatten
from .answer import Answer, Table, plain, shape_text, value_text
from .columns import laid, terminal
from .explain import callers_variables
from .formula import LONGEST, TEXT, Notation, formula_of, written
from .record import asks, node_of, record_of, unchanged
from .rows import Row, Telling
from .terms import Expr, Symbol, facts, size_of

_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
LETTERS = {"weight": "W", "bias": "b", "gamma": "γ", "beta": "β"}
"""What parameters are called in the formula of a layer."""
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer, or one step, as plain data.

    depth        how deep in the model it is
    takes, gives the shapes of what goes in and of what comes out
    parameters   how many numbers of its own it has
    formula      "" for a layer that is made of others
    """

    name: str
    kind: str
    depth: int
    takes: tuple[Shape, ...]
    gives: tuple[Shape, ...]
    parameters: int
    formula: str
    value: Any


def summary(model: Any, *args: Any) -> Summary:
    """The layers of a model run on arguments: formula, shapes, parameters, value of each.

    Of a function, a Graph or a result the steps are listed, as `ob.explain` names them.

    Raises:  DTypeError for what is neither.
    Example:
        >>> rng = ob.random.default_rng(0)
        >>> model = ob.nn.Sequential(
        ...     ob.nn.Linear(3, 4, rng=rng), ob.nn.ReLU(), ob.nn.Linear(4, 2, rng=rng)
        ... )
        >>> table = ob.summary(model, ob.ones((5, 3)))
        >>> for row in table.rows:
        ...     print(row.name, row.kind, row.formula, row.gives, row.parameters)
        Sequential Sequential  ((5, 2),) 0
        0 Linear h₁ = x Wᵀ + b ((5, 4),) 16
        1 ReLU h₂ = relu(h₁) ((5, 4),) 0
        2 Linear y = h₂ Wᵀ + b ((5, 2),) 10
        >>> table.parameters
        26
    """
    if hasattr(model, "named_modules") and callable(model):
        return _of_model(model, args)
    if not (callable(model) or isinstance(model, Tensor) or hasattr(model, "nodes")):
        raise DTypeError(
            f"summary: {type(model).__name__} has no layers",
            want="a Module, a function, a Graph or a result, followed by the arguments",
        )
    return _of_function(model, args)


class Summary(Answer):
    """The table: `.rows` is plain data; `.parameters` how many there are, each counted once."""

    def __init__(self, rows: Sequence[Layer], parameters: int, size: int) -> None:
        self.rows, self.parameters, self.bytes = list(rows), parameters, size

    def _cells(self) -> list[list[str]]:
        return [
            [
                "  " * r.depth + r.name,
                r.kind,
                r.formula,
                _shapes(r.takes),
                _shapes(r.gives),
                f"{r.parameters:,}" if r.parameters else "",
                value_text(r.value, 3),
            ]
            for r in self.rows
        ]

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """The table; `columns`: the room for it."""
        cells = self._cells()
        counts = max((len(row[5]) for row in cells), default=0)
        for row in cells:
            row[5] = row[5].rjust(max(counts, 10))
        gives = [False, False, True, False, False, False, False]
        table = laid([HEADS, *cells], columns=columns, gives=gives)
        rule = "─" * max(map(len, table))
        total = f"{self.parameters:,} parameters, {self.bytes:,} bytes"
        return plain("\n".join([table[0], rule, *table[1:], rule, total]), ascii)

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii(), columns=terminal())

    __repr__ = __str__

    def tables(self) -> list[Table]:
        """The table."""
        return [(f"{self.parameters:,} parameters", HEADS, self._cells())]


HEADS = ["layer", "kind", "formula", "in", "out", "parameters", "value"]


def _shapes(shapes: Sequence[Shape]) -> str:
    return ", ".join(shape_text(s).replace(" entries", "") or "number" for s in shapes)


# -- of a model -------------------------------------------------------------------------------


@dataclasses.dataclass
class _Call:
    path: str
    module: Any
    depth: int
    takes: list[Tensor]
    gives: list[Tensor]
    inner: int = 0


def _of_model(model: Any, args: Sequence[Any]) -> Summary:
    calls: list[_Call] = []
    with unchanged(), within(jit="off", record_all=[], keep=True), _followed(model, calls):
        model(*args)
        names = _names(calls)
        rows = [_layer(model, c, names) for c in calls]
    found = {id(p): p for p in model.parameters()}
    count = sum(p.size for p in found.values())
    return Summary(rows, count, sum(p.size * p.dtype.itemsize for p in found.values()))


@contextlib.contextmanager
def _followed(model: Any, calls: list[_Call]) -> Iterator[None]:
    """While the body runs, every call of a module in the model is noted, in order."""
    paths = {id(m): (path, m) for path, m in model.named_modules()}
    open_calls: list[_Call] = []

    def noting(path: str, module: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            call = _Call(path, module, len(open_calls), _tensors((args, kwargs)), [])
            calls.append(call)
            if open_calls:
                open_calls[-1].inner += 1
            open_calls.append(call)
            try:
                result = forward(*args, **kwargs)
            finally:
                open_calls.pop()
            call.gives = _tensors(result)
            return result

        return noted

    before = {key: vars(m).get("forward") for key, (_, m) in paths.items()}
    for path, module in paths.values():
        vars(module)["forward"] = noting(path, module, module.forward)
    try:
        yield
    finally:
        for key, (_, module) in paths.items():
            if before[key] is None:
                vars(module).pop("forward", None)
            else:
                vars(module)["forward"] = before[key]


def _tensors(tree: Any) -> list[Any]:
    return [x for x in tree_flatten(tree)[0] if hasattr(x, "shape") and hasattr(x, "dtype")]


def _names(calls: Sequence[_Call]) -> dict[int, str]:
    """x for what goes into the model, h₁ h₂ ... for what layers give, y for the last; by node."""
    names: dict[int, str] = {}
    for i, t in enumerate(calls[0].takes if calls else ()):
        node = node_of(t) if isinstance(t, Tensor) else None
        if node is not None:
            names[node.serial] = "x" + (
                str(i + 1).translate(_LOW) if len(calls[0].takes) > 1 else ""
            )
    last = [n.serial for t in calls[0].gives if isinstance(t, Tensor) and (n := node_of(t))]
    count = 0
    for call in sorted(calls[1:], key=lambda c: c.inner > 0):  # layers before what holds them
        for t in call.gives:
            node = node_of(t) if isinstance(t, Tensor) else None
            if node is not None and node.serial not in names and node.serial not in last:
                count += 1
                names[node.serial] = "h" + str(count).translate(_LOW)
    for i, serial in enumerate(last):
        names[serial] = "y" + (str(i + 1).translate(_LOW) if len(last) > 1 else "")
    return names


def _layer(model: Any, call: _Call, names: dict[int, str]) -> Layer:
    module = call.module
    inside = [id(p) for m in module.modules() if m is not module for p in m.parameters()]
    own = {id(p): p for p in module.parameters() if id(p) not in inside}
    letters: dict[Node, str] = {
        n: LETTERS.get(path.rpartition(".")[2]) or str(path.rpartition(".")[2])
        for path, p in module.named_parameters()
        if (n := node_of(p)) is not None
    }
    kind = type(module).__name__
    return Layer(
        call.path or kind,
        kind,
        call.depth,
        tuple(t.shape for t in call.takes),
        tuple(t.shape for t in call.gives),
        sum(p.size for p in own.values()),
        "" if call.inner else _formula(call, names, letters),
        call.gives[0].value if len(call.gives) == 1 and isinstance(call.gives[0], Tensor) else None,
    )


def _formula(call: _Call, names: dict[int, str], letters: dict[Node, str]) -> str:
    """What a layer gives, in terms of what it takes and of its parameters."""
    nodes = [n for t in call.gives if isinstance(t, Tensor) and (n := node_of(t)) is not None]
    if len(nodes) != 1 or isinstance(nodes[0].spec, tuple):
        return ""
    (end,) = nodes
    given = {n for t in call.takes if isinstance(t, Tensor) and (n := node_of(t)) is not None}

    def called(n: Node) -> Expr | None:
        if n in given or (n is not end and n.serial in names):
            return Symbol(names.get(n.serial, "x"), **facts(n.spec))
        if n in letters:
            return Symbol(letters[n], **facts(n.spec))
        return Symbol(n.name, **facts(n.spec)) if not n.inputs and n.name else None

    e = called(end) or formula_of(end, called)
    name = names.get(end.serial, "y")
    if size_of(e) > LONGEST // 2:
        return f"{name} = …"
    text = written(e, TEXT)
    return text if text == name else f"{name} = {text}"


# -- of a function ----------------------------------------------------------------------------


def _of_function(f: Any, args: Sequence[Any]) -> Summary:
    record = record_of("summary", f, tuple(args))
    telling = Telling(record, callers_variables(), fine=True)
    counted: set[Node] = set()
    rows = [_step(telling, row, counted, TEXT) for row in telling.rows]
    leaves = [n for n in record.nodes if asks(n)]
    size = sum(n.spec.size * n.spec.dtype.itemsize for n in leaves)
    return Summary(rows, sum(n.spec.size for n in leaves), size)


def _step(telling: Telling, row: Row, counted: set[Node], how: Notation) -> Layer:
    takes = [x for x in row.inputs if not asks(x) and not isinstance(x.spec, tuple)]
    takes = [x for x in takes if x.serial in telling.names]
    own = [x for x in row.inputs if asks(x) and x not in counted]
    counted.update(own)
    name, spec = telling.name(row.node), row.node.spec
    kinds = dict.fromkeys(n.op.name for n in row.members if n.op.name not in _QUIET)
    return Layer(
        name,
        ", ".join(kinds) or row.node.op.name,
        0,
        tuple(x.spec.shape for x in takes),
        tuple(s.shape for s in spec) if isinstance(spec, tuple) else (spec.shape,),
        sum(x.spec.size for x in own),
        f"{name} = {written(telling.forward(row), how)}",
        telling.record.value(row.node),
    )


_QUIET = {"broadcast", "cast", "alias", "reshape", "transpose", "positive"}
