"""What is written on each card of a drawing, and how large the card is for it.

Every text is measured, so none runs over its card; every number is the record's own, rounded only
when it is written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .answer import norm, number, shape_text, value_text
from .fold import path_of
from .formula import TEXT, Symbol, written
from .measure import shortened, text_width
from .names import bar
from .record import asks
from .rows import SILENT
from .scene import Card, Scene, loop_of

SIZE = 12
LEADING = 16
MARGIN = 10
BEHIND = 5
"""How far the card behind a stack's front card looks out."""
WIDEST = 230
"""Room for a line of text."""

STYLES = ("overlay", "compact", "forward", "backward", "bipartite")
COLOURS = ("norm", "grad", "time", "memory", "dtype")


class Line(NamedTuple):
    """A line of text: `tone` is "name", "value", "bar" (an adjoint) or "note"."""

    text: str
    tone: str


class Face:
    """The card as it is drawn: its lines, its shape, its measures, and the whole truth in `tip`.

    shape   "rect", "pill", "circle" or "stack";  tone: "op", "box", "parameter", "input", "given"
    amount  what it is coloured by, or None
    """

    __slots__ = ("amount", "height", "lines", "shape", "tip", "tone", "turns", "width")

    def __init__(self, lines: list[Line], shape: str, tone: str, tip: str) -> None:
        self.lines = [Line(shortened(t, WIDEST, SIZE, bold=k == "name"), k) for t, k in lines if t]
        self.shape, self.tone, self.tip = shape, tone, tip
        self.amount: Any = None
        self.turns: list[float | None] = []
        wide = max((text_width(t, SIZE, bold=k == "name") for t, k in self.lines), default=0.0)
        tall = LEADING * len(self.lines)
        if shape == "circle":
            self.width, self.height = max(wide * 1.12 + 22, 44.0), tall * 1.15 + 18
            if abs(self.width - self.height) < 16:
                self.width = self.height = max(self.width, self.height)
        else:
            self.width, self.height = max(wide + 2 * MARGIN, 44.0), tall + 10.0
        if shape == "pill":
            self.width += 8
        elif shape == "stack":
            self.width, self.height = self.width + BEHIND, self.height + BEHIND

    def with_turns(self, turns: list[float | None]) -> None:
        """Room for a strip with a bar for each turn of a run."""
        self.turns = turns
        self.height += 18
        self.width = max(self.width, min(WIDEST, 3.0 * len(turns)) + 2 * MARGIN)


def faces(scene: Scene, style: str, colour: str | None) -> list[Face]:
    """The face of each card."""
    found = [_face(scene, card, style) for card in scene.cards]
    if colour is not None:
        for face, amount in zip(found, amounts(scene, colour), strict=True):
            face.amount = amount
    return found


def _face(scene: Scene, card: Card, style: str) -> Face:
    if card.kind == "box":
        return _box(scene, card, style)
    node, name = card.node, scene.name(card)
    value, adjoint = scene.record.value(node), scene.record.bars.get(node)
    text, said = short_value(value), barred(name, adjoint)
    if card.kind == "bundle":
        return _bundle(scene, card, style)
    if card.kind in {"leaf", "alias"}:
        tone = "parameter" if asks(node) else "input" if node in scene.record.variables else "given"
        lines = [Line(name, "name")]
        if card.kind == "leaf" and style not in {"compact", "backward"}:
            lines.append(Line(text, "value"))
        if style == "backward":
            lines = [Line(said or bar(name), "bar")]
        elif card.kind == "leaf" and style in {"overlay", "bipartite"}:
            lines.append(Line(said, "bar"))
        shape = "circle" if style == "bipartite" else "pill"
        return Face(lines, shape, tone, _tip(name, value, adjoint))
    if card.kind == "function":
        return Face([Line(words(scene, card), "name")], "rect", "op", _line(node))
    if card.kind == "tensor":
        lines = [Line(name, "name"), Line(text, "value"), Line(said, "bar")]
        return Face(lines, "circle", "tensor", _tip(name, value, adjoint))
    return _operation(scene, card, style)


def _bundle(scene: Scene, card: Card, style: str) -> Face:
    first, last = (scene.short(x, card.frame) for x in (card.leaves[0], card.leaves[-1]))
    bars = [scene.record.bars.get(x) for x in card.leaves]
    values = tuple(scene.record.value(x) for x in card.leaves)
    shape = np.shape(values[0])
    lines = [
        Line(f"{first} … {last}", "name"),
        Line(f"{len(values)} × {shape_text(shape) if shape else 'number'}", "value"),
    ]
    if any(b is not None for b in bars) and style not in {"compact", "forward"}:
        lines.append(Line(f"gradient ‖{number(norm(tuple(bars)))}‖", "bar"))
    tone = "parameter" if asks(card.node) else "given"
    return Face(lines, "stack", tone, ", ".join(scene.telling.name(x) for x in card.leaves))


def _operation(scene: Scene, card: Card, style: str) -> Face:
    node, name = card.node, scene.name(card)
    value, adjoint = scene.record.value(node), scene.record.bars.get(node)
    formula = f"{name} = {formula_of_card(scene, card)}"
    tip = "\n".join(filter(None, [formula, _tip(name, value, adjoint), _line(node)]))
    loop = _loop(card)
    said = barred(name, adjoint)
    if style == "backward":
        return Face([Line(said or bar(name), "bar")], "rect", "op", tip)
    lines = [Line(formula, "name")]
    if loop is not None:
        lines = [Line(f"{name} = {loop[0]}", "name"), Line(f"body of {loop[1]} operations", "note")]
    if style != "compact":
        lines.append(Line(short_value(value), "value"))
        if style == "overlay":
            lines.append(Line(said, "bar"))
    return Face(lines, "stack" if loop else "rect", "op", tip)


def _box(scene: Scene, card: Card, style: str) -> Face:
    hidden, gradient, turns = scene.parameters(card), scene.gradient(card), scene.turns(card)
    count = sum(n.op.name not in SILENT for row in card.rows for n in row.members)
    note = f"{count:,} operation{'s' * (count != 1)}"
    if len(card.rows) == 1:
        note = f"{scene.short(card.node, card.frame)} = {formula_of_card(scene, card)}"
    if hidden:
        size = sum(p.spec.size for p in hidden)
        note += f", {size:,} parameter{'s' * (size != 1)}" if len(card.rows) > 1 else ""
    end = scene.state(card)
    said = f"gradient ‖{number(gradient)}‖" if gradient is not None else ""
    if not said:
        said = barred(scene.short(end, card.frame), scene.record.bars.get(end))
    heading = scene.folding.boxes[card.box].heading
    lines = [Line(heading, "name"), Line(note, "note")]
    if style == "backward":
        lines = [Line(heading, "name"), Line(said, "bar")]
    elif style == "compact":
        lines = lines[:1]
    elif style != "forward":
        lines.append(Line(said, "bar"))
    face = Face(lines, "stack" if turns else "rect", "box", f"{heading}: {note}")
    if sum(t is not None for t in turns) > 1 and style in {"overlay", "bipartite", "backward"}:
        face.with_turns(turns)
    return face


def words(scene: Scene, card: Card) -> str:
    """The name of a card's operation."""
    node, loop = card.rows[-1].spoken, _loop(card)
    if loop:
        return loop[0]
    if node.op.name == "whole_power":
        return "square" if node.params["n"] == 2 else f"power {node.params['n']}"
    return str(node.op.name).replace("_", " ")


def _loop(card: Card) -> tuple[str, int] | None:
    """What repeats, if the card is a loop or takes one of its results."""
    return next(filter(None, map(loop_of, reversed(card.rows[-1].members))), None)


def formula_of_card(scene: Scene, card: Card) -> str:
    """The right-hand side of a card's row, with names as short as its frame allows."""
    row = next(r for r in reversed(card.rows) if r.node is card.node)
    names = {scene.telling.name(x) for x in row.inputs if path_of(x)}
    last = {name: name.rpartition(".")[2] for name in names}
    shorter = {a: b for a, b in last.items() if a != b and list(last.values()).count(b) == 1}
    e = scene.telling.forward(row)
    return written(_renamed(e, shorter) if shorter else e, TEXT)


def _renamed(e: Any, names: dict[str, str]) -> Any:
    """The formula with other names in it."""
    if isinstance(e, Symbol):
        new = names.get(e.name)
        return e if new is None else Symbol(new, e.barred, scalar=e.scalar)
    changes = {}
    for field in ("args", "terms", "top", "bottom"):
        parts = getattr(e, field, None)
        if parts:
            changes[field] = tuple(_renamed(p, names) for p in parts)
    if not changes:
        return e
    import dataclasses

    return dataclasses.replace(e, **changes)


def barred(name: str, adjoint: Any) -> str:
    """`z̄ = −0.0342`, or `W̄ ‖0.12‖`; nothing where nothing arrived."""
    if adjoint is None:
        return ""
    if isinstance(adjoint, tuple) or np.ndim(adjoint):
        return f"{bar(name)} ‖{number(norm(adjoint))}‖"
    return f"{bar(name)} = {number(np.asarray(adjoint)[()])}"


def short_value(value: Any) -> str:
    """A value in a few words; of several results, their shapes."""
    if isinstance(value, tuple):
        return ", ".join(shape_text(np.shape(v)) if np.ndim(v) else number(v) for v in value)
    return value_text(value)


def message_text(message: Any) -> str:
    """A message in a word: a number, or the norm of an array."""
    if isinstance(message, tuple) or np.ndim(message):
        return f"‖{number(norm(message))}‖"
    return number(np.asarray(message)[()])


def _tip(name: str, value: Any, adjoint: Any) -> str:
    return f"{name}: {value_text(value)}" + (
        f"\n{barred(name, adjoint)}" if adjoint is not None else ""
    )


def _line(node: Any) -> str:
    origin = node.origin
    return f"line {origin.line}: {origin.source}" if origin else ""


# -- colour -------------------------------------------------------------------------------------


def amounts(scene: Scene, colour: str) -> list[Any]:
    """What each card is coloured by: a number, the name of a dtype, or None."""
    record = scene.record
    if colour == "dtype":
        return [
            None if isinstance(c.node.spec, tuple) else str(c.node.spec.dtype) for c in scene.cards
        ]
    if colour == "norm":
        return [norm(record.value(c.node)) for c in scene.cards]
    if colour == "grad":
        return [_gradient(scene, c) for c in scene.cards]
    if colour == "memory":
        return [_bytes(scene, c) for c in scene.cards]
    return [_seconds(scene, c.rows) if c.kind != "tensor" else None for c in scene.cards]


def _gradient(scene: Scene, card: Card) -> float | None:
    if card.box >= 0 and (g := scene.gradient(card)) is not None:
        return g
    adjoint = scene.record.bars.get(card.node)
    return None if adjoint is None else norm(adjoint)


def _bytes(scene: Scene, card: Card) -> int:
    """The bytes of what a card made; of a closed box, of all that its rows made."""
    nodes = [card.node] if card.box < 0 else [r.node for r in card.rows]
    specs = [s for n in nodes for s in (n.spec if isinstance(n.spec, tuple) else (n.spec,))]
    return sum(s.size * np.dtype(s.dtype).itemsize for s in specs)


def _seconds(scene: Scene, rows: Sequence[Any]) -> float | None:
    """How long its operations take here and now: the least of three runs of each."""
    nodes = [n for row in rows for n in row.members]
    if not nodes:
        return None
    total = 0.0
    with np.errstate(all="ignore"):
        for node in nodes:
            operands = [scene.record.value(x) for x in node.inputs]
            best = math.inf
            for _ in range(3):
                begin = time.perf_counter()
                node.op.run(*operands, **node.params)
                best = min(best, time.perf_counter() - begin)
            total += best
    return total
