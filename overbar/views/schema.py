"""A record as plain data: what the explorer's page is made of, and whoever wants to read it.

`data_of` writes version 1 of the schema. Everything in it is a number of the engine's sweep, a
name, or a line of source; nothing is derived here, and the page derives nothing either.

    schema, version   "overbar.record", 1
    pool      arrays in a few numbers each, see `pool.Pool`; wherever a value is meant, its number
    nodes     oldest first: leaves, and operations, each with what it does implicitly
                  name, op, kind ("parameter", "input", "given", "op"), inputs (nodes),
                  value, bar (numbers of the pool; bar is left out where nothing arrived),
                  dtype (left out if it is float64), line (of `lines`), rule (of `rules`), box,
                  turn (in a loop: "iteration 3 of 6"),
                  local (of entry-by-entry operations: the derivative by each input, by its number)
    messages  in the order they were sent: [from, to, value, share]; the share is the message's
              signed part of its receiver's adjoint, null where the messages cancel
    boxes     what can be folded, outer ones first: name, kind ("module", "run", "row"), parent;
              of a module: path, and module, its class; of a row: node (its last), inputs, rule
    open      the boxes to open at first
    sums      what a whole box sends where it sends several: [box, to, value, share]
    rules     formulas, each once: forward, and back by input number, as [text, MathML]; {0} is the
              first input, {bar 0} its adjoint, {} and {bar} are the result and its adjoint
    lines     [file, line, text] of the user's source
    outputs, variables   nodes
    slides    what the result is elsewhere, see `nudges.slides`
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..calculus.sweep import Raw, pullback
from ..elementwise import Elementwise
from ..graph import Node
from .answer import norm
from .explain import words_of
from .fold import fold
from .formula import MATHML, TEXT, Expr, Notation, constant, written
from .nudges import slides
from .operations import Operations
from .pool import Pool
from .record import asks
from .rows import Row, Telling
from .shares import ROUNDING, share_of
from .terms import SILENT

SCHEMA, VERSION = "overbar.record", 1
HEADS = ((600, 6), (6000, 4), (12000, 2), (10**9, 1))
"""How many entries of each array are kept, by how many nodes there are."""
LOCAL = 600
"""Of more nodes, local derivatives are left out: the rules say what they are."""


def data_of(telling: Telling, *, whole: bool = False) -> dict[str, Any]:
    """The record of a telling as plain data; `whole` keeps every entry of every array."""
    return _Writer(telling, whole).written()


class _Writer:
    """The tables while they fill."""

    def __init__(self, telling: Telling, whole: bool) -> None:
        self.telling, self.each = telling, Operations(telling)
        self.record = telling.record.sweep()
        head = next(n for most, n in HEADS if len(self.record.nodes) <= most)
        self.pool = Pool(head, whole=whole)
        self.rules, self.lines = _Table(), _Table()
        self._templates: dict[Any, int] = {}
        self.folding = fold(telling)
        used = {x for row in self.each.rows for x in row.inputs}
        leaves = [
            n
            for n in self.record.nodes
            if not self.record.computed(n)
            and n.serial in self.each.names
            and (n in used or n in self.record.outputs)
        ]
        self.units: list[Row | Node] = sorted(
            [*leaves, *self.each.rows],
            key=lambda u: u.node.serial if isinstance(u, Row) else u.serial,
        )
        self.number: dict[Node, int] = {
            (u.node if isinstance(u, Row) else u): i for i, u in enumerate(self.units)
        }

    def written(self) -> dict[str, Any]:
        """Everything, in the order of the schema."""
        record = self.record
        boxes, home = self._boxes()
        nodes = [self._node(u, home) for u in self.units]
        messages = self._messages()
        sums = self._sums(boxes, home)
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "outputs": [self.number[y] for y in record.outputs if y in self.number],
            "variables": [self.number[v] for v in record.variables if v in self.number],
            "nodes": nodes,
            "messages": messages,
            "boxes": boxes,
            "open": sorted(self.folding.opened(depth=2)),
            "sums": sums,
            "rules": self.rules.rows,
            "lines": self.lines.rows,
            "pool": self.pool.lines,
            "slides": [
                {**s, "node": None if s["node"] is None else self.number[s["node"]]}
                for s in slides(record)
            ],
        }

    # -- nodes ------------------------------------------------------------------------------------

    def _node(self, unit: Row | Node, home: dict[Any, int]) -> dict[str, Any]:
        row = unit if isinstance(unit, Row) else None
        node = unit.node if isinstance(unit, Row) else unit
        record = self.record
        made: dict[str, Any] = {
            "name": self.each.name(node),
            "op": row.spoken.op.name if row else "",
        }
        made["kind"] = "op" if row else self._kind(node)
        if row:
            made["inputs"] = self._inputs(row)
            made["rule"] = self._rule(self.each, row)
            made |= self._local(row)
        made["value"] = self.pool.add(record.value(node))
        bar = self.pool.add(record.bars.get(node))
        if bar is not None:
            made["bar"] = bar
        dtype = "several" if isinstance(node.spec, tuple) else str(node.spec.dtype)
        if dtype != "float64":
            made["dtype"] = dtype
        line = self._line(node)
        if line is not None:
            made["line"] = line
        if unit in home:
            made["box"] = home[unit]
        if node in record.turns:
            made["turn"] = record.turns[node]
        return made

    def _local(self, row: Row) -> dict[str, Any]:
        """The derivative of each entry by the same entry of an input, where that is all there is.

        It is what the sweep sends for an adjoint of ones.
        """
        inputs = [x for x in self.each.followed(row) if x in self.number]
        simple = (isinstance(n.op, Elementwise) or n.op.name in SILENT for n in row.members)
        alike = all(x.spec.shape == row.node.spec.shape for x in row.inputs if x in inputs)
        if len(self.record.nodes) > LOCAL or not inputs or not alike or not all(simple):
            return {}
        world = Raw()
        world.recovered = dict(self.record.values)
        ones = np.ones(row.node.spec.shape, row.node.spec.dtype)[()]
        with np.errstate(all="ignore"):
            found = pullback([row.node], inputs, [ones], world=world)
        place = {x: str(i) for i, x in enumerate(x for x in row.inputs if x in self.number)}
        pairs = zip(inputs, found, strict=True)
        return {"local": {place[x]: self.pool.add(d) for x, d in pairs if d is not None}}

    def _kind(self, node: Node) -> str:
        if asks(node):
            return "parameter"
        return "input" if node in self.record.variables else "given"

    def _inputs(self, row: Row) -> list[int]:
        return [self.number[x] for x in row.inputs if x in self.number]

    def _line(self, node: Node) -> int | None:
        where = node.origin if node.inputs or node.code is not None else None
        if where is None:
            return None
        name = where.filename.replace("\\", "/").rpartition("/")[2]
        return self.lines.add((name, where.line, where.source))

    # -- rules ------------------------------------------------------------------------------------

    def _rule(self, telling: Telling, row: Row) -> int:
        """The number of a row's rule: rows that do the same share one."""
        slots = [x for x in row.inputs if x in self.number]
        key = _signature(row, slots, set(self.record.path))
        if key not in self._templates:
            self._templates[key] = self.rules.add(_template(telling, row, slots))
        return self._templates[key]

    # -- messages ---------------------------------------------------------------------------------

    def _messages(self) -> list[list[Any]]:
        """Every message from operation to operation, in the order of the sweep."""
        unit_of = {m: u for u in self.each.rows for m in u.members}
        order: dict[tuple[Row, Node], None] = {}
        for m in self.record.messages:
            unit = unit_of[m.source]
            if m.target in self.number and (m.target not in unit.members):
                order[unit, m.target] = None
        turn: dict[Row, int] = {}
        for unit, _ in order:
            turn.setdefault(unit, len(turn))
        found = []
        for unit, target in sorted(order, key=lambda pair: turn[pair[0]]):
            value = self.each.message(unit, target)
            found.append([
                self.number[unit.node],
                self.number[target],
                self.pool.add(value),
                self._share(value, target),
            ])  # fmt: skip
        return found

    def _share(self, value: Any, target: Node) -> float | None:
        """The signed part of a message in its receiver's adjoint; None where there is none.

        So it is of several results, of an adjoint that is not finite, and where messages cancel.
        """
        whole = self.record.bars.get(target)
        if whole is None or isinstance(value, tuple) or isinstance(whole, tuple):
            return None
        size = norm(whole)
        if not ROUNDING * self._poured.get(target, 0.0) < size < math.inf:
            return None
        if value is whole:
            return 1.0
        with np.errstate(all="ignore"):
            part = share_of(value, whole)
        return part if math.isfinite(part) else None

    @functools.cached_property
    def _poured(self) -> dict[Node, float]:
        """How much each node receives, if nothing cancelled."""
        found: dict[Node, float] = {}
        for m in self.record.messages:
            found[m.target] = found.get(m.target, 0.0) + norm(m.value)
        return found

    # -- boxes ------------------------------------------------------------------------------------

    def _boxes(self) -> tuple[list[dict[str, Any]], dict[Any, int]]:
        """The boxes, outer ones first, and the innermost one of each unit."""
        boxes: list[dict[str, Any]] = []
        home: dict[Any, int] = {}
        for box, plain in zip(self.folding.boxes, self.folding.plain(), strict=True):
            made: dict[str, Any] = {"name": plain["name"], "kind": plain["kind"]}
            if plain["parent"] >= 0:
                made["parent"] = plain["parent"]
            if box.path:
                made["path"] = ".".join(box.path)
            if box.of:
                made["module"] = box.of
            boxes.append(made)
        of_row: dict[Row, list[Row]] = {}
        for part, row in self.each.row_of.items():
            of_row.setdefault(row, []).append(part)
        for row, outer in zip(self.telling.rows, self.folding.home, strict=True):
            units = of_row[row]
            if len(units) == 1:
                if outer >= 0:
                    home[units[0]] = outer
                continue
            made = {"name": self.telling.name(row.node), "kind": "row"}
            if outer >= 0:
                made["parent"] = outer
            made["node"] = self.number[row.node]
            made["inputs"] = self._inputs(row)
            made["rule"] = self._rule(self.telling, row)
            made |= self._local(row)
            boxes.append(made)
            home.update(dict.fromkeys(units, len(boxes) - 1))
        return boxes, home

    def _sums(self, boxes: Sequence[dict[str, Any]], home: dict[Any, int]) -> list[list[Any]]:
        """What each box sends to a node outside of it, where that is several messages."""
        around = [_trail(boxes, i) for i in range(len(boxes))]
        sent: dict[tuple[int, Node], list[Any]] = {}
        for part in self.each.rows:
            inner = home.get(part, -1)
            for x in part.inputs:
                if x not in self.number:
                    continue
                value = self.each.message(part, x)
                there = home.get(self._unit(x), -1)
                if value is None or inner < 0:
                    continue
                outside = set(around[there]) if there >= 0 else set()
                for box in around[inner]:
                    if box not in outside:
                        sent.setdefault((box, x), []).append(value)
        found = []
        for (box, x), values in sent.items():
            if len(values) > 1 and not isinstance(values[0], tuple):
                with np.errstate(all="ignore"):
                    total = values[-1]
                    for v in values[-2::-1]:  # youngest first, as the sweep adds
                        total = total + v
                found.append([box, self.number[x], self.pool.add(total), self._share(total, x)])
        return found

    def _unit(self, node: Node) -> Any:
        return self.units[self.number[node]]


class _Table:
    """Rows, each different one once."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._known: dict[str, int] = {}

    def add(self, row: Any) -> int:
        at = self._known.setdefault(repr(row), len(self.rows))
        if at == len(self.rows):
            self.rows.append(list(row) if isinstance(row, tuple) else row)
        return at


def _trail(boxes: Sequence[dict[str, Any]], at: int) -> list[int]:
    """A box and those around it."""
    found = [at]
    while "parent" in boxes[found[-1]]:
        found.append(boxes[found[-1]]["parent"])
    return found


# -- formulas with slots ----------------------------------------------------------------------


def _signature(row: Row, slots: Sequence[Node], path: set[Node]) -> Any:
    """Equal for rows whose formulas differ in names only."""
    place: dict[Node, Any] = {x: i for i, x in enumerate(slots)}
    for i, m in enumerate(row.members):
        place[m] = -1 - i
    for x in row.inputs:
        if x not in place:
            place[x] = repr(constant(x))
    return (
        tuple((x.spec, x in path) for x in slots),
        tuple(
            (m.op, _hashable(m.params), m.spec, tuple(place[x] for x in m.inputs))
            for m in row.members
        ),
    )


def _hashable(params: dict[str, Any]) -> Any:
    items = tuple(sorted(params.items()))
    try:
        hash(items)
    except TypeError:
        return repr(items)
    return items


def _template(telling: Telling, row: Row, slots: Sequence[Node]) -> dict[str, Any]:
    """The formulas of a row, with {0}, {bar 0}, {}, {bar} for the names."""
    place = {telling.name(x): str(i) for i, x in enumerate(slots)}
    place[telling.name(row.node)] = ""

    def symbol(how: Notation) -> Callable[[str, bool], str]:
        def slot(name: str, barred: bool) -> str:
            i = place.get(name)
            if i is None:
                return how.symbol(name, barred)
            return "{bar " + i + "}" if barred and i else "{bar}" if barred else "{" + i + "}"

        return slot

    hows = [dataclasses.replace(how, symbol=symbol(how)) for how in (TEXT, MATHML)]

    def both(e: Expr) -> list[str]:
        return [written(e, how) for how in hows]

    back = telling.backward(row)
    made: dict[str, Any] = {"forward": both(telling.forward(row))}
    made["back"] = {str(i): both(back[x]) for i, x in enumerate(slots) if x in back}
    words = words_of(row)
    if words:
        made["words"] = words
    return made
