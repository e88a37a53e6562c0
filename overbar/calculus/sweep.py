"""The two sweeps of automatic differentiation, written as mirror images.

Both walk the same nodes and both can emit ordinary nodes, so a sweep can be swept again: that is
all there is to higher derivatives. Each is a generator of steps; `pullback` and `pushforward` run
it to its end, the stepper stops after every step and shows it. They cannot disagree.

In which *world* a sweep runs decides what the rules are fed: `Raw` arrays if nobody else follows
what is touched (first derivatives, fast), `Handles` otherwise.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from ..context import CONTEXT, changed
from ..graph import Node, span
from ..handle import Tensor, from_node
from ..primitive import LINEAR, PARTIAL, SCALES, born, is_finite, shared
from ..replay import is_known, values_of, whole_value


def pullback_steps(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    y_bars: Sequence[Any],
    path: list[Node],
    world: World,
    *,
    pause: bool = True,
    release: bool = False,
    selected: bool = False,
) -> Generator[tuple[Node, Any, list[tuple[Node, Any]]], None, list[Any]]:
    """Adjoints of `inputs` given adjoints of `outputs`, youngest node first.

    Yields (node, its adjoint, [(input, message), ...]) after each node; without `pause` it runs
    through. With `release`, a value kept for a node's rules goes when the sweep has passed it.
    `selected`: a zero in the adjoints of the outputs means "not selected".
    """
    on_path, wanted, found = set(path), set(inputs), {}
    bar: dict[Node, Any] = {}  # a node with no entry has received nothing
    chosen = set(outputs if selected else ())  # a zero in their adjoints means "not selected"

    for y, y_bar in zip(outputs, y_bars, strict=True):
        if y in on_path:
            bar[y] = bar[y] + y_bar if y in bar else y_bar
    for node in reversed(path):
        y_bar = bar.pop(node, None)  # complete: all its users came before
        if y_bar is None:
            continue
        if node in wanted:
            found[node] = y_bar
        op = node.op
        if not node.inputs or op.flat:
            continue
        messages = world.messages(node, y_bar, on_path, node in chosen)
        for x, x_bar in messages:  # a node used twice sums what it gets
            before = bar.get(x)
            bar[x] = x_bar if before is None else before + x_bar
        if op.selects or (node in chosen and op.tells):
            chosen.update(x for x, _ in messages)
        if release:
            node.value = None
        if pause:
            yield node, y_bar, messages
    return [found.get(x) for x in inputs]


def pushforward_steps(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    x_dots: Sequence[Any],
    path: list[Node],
    world: World,
) -> Generator[tuple[Node, Any, list[tuple[Node, Any]]], None, list[Any]]:
    """Tangents of `outputs` given tangents of `inputs`, oldest node first.

    Yields (node, its tangent, [(input, tangent), ...]).
    """
    dot: dict[Node, Any] = {}
    for x, x_dot in zip(inputs, x_dots, strict=True):
        dot[x] = dot[x] + x_dot if x in dot else x_dot
    last = {x: node for node in path for x in node.inputs}
    kept = {*outputs, *inputs}
    for node in path:
        if node in dot or not node.inputs or node.op.flat:
            continue
        given = [(i, dot[x]) for i, x in enumerate(node.inputs) if x in dot]
        if not given:
            continue
        y_dot = _tangent(node, given, world)
        if y_dot is None:
            continue
        dot[node] = y_dot
        yield node, y_dot, [(node.inputs[i], x_dot) for i, x_dot in given]
        for x in node.inputs:
            if last[x] is node and x not in kept:
                dot.pop(x, None)
    return [dot.get(y) for y in outputs]


def _tangent(node: Node, given: list[tuple[int, Any]], world: World) -> Any:
    """The tangent of a node from those of its inputs: the sum over the inputs' rules."""
    op, params = node.op, node.params
    wanted = 0
    for i, _ in given:
        wanted |= 1 << i
    y, xs = world.operands(node, *op.needs(wanted, len(node.inputs), True))
    if type(op.jvp) is shared:
        dots: list[Any] = [None] * len(xs)
        for i, x_dot in given:
            dots[i] = x_dot
        return op.jvp.rule(dots, y, *xs, **params)
    total = None
    for i, x_dot in given:
        if op.jvp is LINEAR:
            term = op(*xs[:i], x_dot, *xs[i + 1 :], **params)
        else:
            rule = op.jvp[i]
            known = type(rule) in _NUMBERS
            term = _scaled(x_dot, rule) if known else rule(x_dot, y, *xs, **params)
        total = term if total is None else total + term
    return total


def _scaled(bar: Any, by: int) -> Any:
    """By 1 and −1 without a product."""
    return bar if by == 1 else -bar if by == -1 else bar * by


class World:
    """What the rules are fed, and how a value that was let go is found again."""

    raw = False

    def __init__(self) -> None:
        self.recovered: dict[Node, Any] | None = None

    def operands(self, node: Node, own: bool, kept: tuple[int, ...]) -> tuple[Any, list[Any]]:
        """(y, [xs]) for the rules of a node; of what is not asked for, only the shape is there."""
        raise NotImplementedError

    def messages(
        self, node: Node, y_bar: Any, on_path: set[Node], chosen: bool
    ) -> list[tuple[Node, Any]]:
        """What a node's reverse rules send to its inputs."""
        op, inputs, params = node.op, node.inputs, node.params
        wanted = 0
        for i, x in enumerate(inputs):
            if x in on_path:
                wanted |= 1 << i
        own, kept, rules = op.plan(wanted, len(inputs), chosen)
        y, xs = self.operands(node, own, kept)
        if type(rules) is shared:
            asked = tuple(bool(wanted >> i & 1) for i in range(len(inputs)))
            x_bars = rules.rule(asked, y_bar, y, *xs, **params)
            return [
                (x, x_bar)
                for x, x_bar, w in zip(inputs, x_bars, asked, strict=True)
                if w and x_bar is not None
            ]
        sent = []
        for i, rule, kind in rules:
            if kind is SCALES:
                sent.append((inputs[i], _scaled(y_bar, rule)))
            elif kind is PARTIAL:
                sent.append((inputs[i], y_bar * rule(y, *xs, **params)))
            else:
                sent.append((inputs[i], rule(y_bar, y, *xs, **params)))
        return sent

    def value(self, node: Node) -> Any:
        """A value that the rules need; if nobody kept it, the graph is replayed, once."""
        if node.value is not None:
            return node.value
        if self.recovered is None:
            self.recovered = {}
        if node not in self.recovered:
            self.recovered.update(values_of([node]))
        return self.recovered[node]


_NUMBERS = (float, int, complex)


def _operand(value: Any, x: Node) -> Any:
    """What a structural rule is fed: an array, or something of its shape and dtype."""
    if value is None:
        return x.spec
    return whole_value(np.asarray(value) if type(value) in _NUMBERS else value, x)


class Raw(World):
    """Arrays: nothing is recorded."""

    raw = True

    def operands(self, node: Node, own: bool, kept: tuple[int, ...]) -> tuple[Any, list[Any]]:
        y = node.value
        if y is None:
            y = self.value(node) if own else node.spec
        xs = [x.value for x in node.inputs]
        for i in kept:
            if xs[i] is None:
                xs[i] = self.value(node.inputs[i])
        if not node.op.pointwise:
            return y, [_operand(v, x) for v, x in zip(xs, node.inputs, strict=True)]
        of = node.spec.dtype.type  # with Python numbers, 1/0 would be an error and not infinite
        return of(y) if type(y) in _NUMBERS else y, [
            of(v) if type(v) in _NUMBERS else v for v in xs
        ]

    def messages(
        self, node: Node, y_bar: Any, on_path: set[Node], chosen: bool
    ) -> list[tuple[Node, Any]]:
        """The same, written out for elementwise primitives of one or two inputs without params:
        half of a sweep's time over small arrays. The tests hold it equal to the plain version.
        """
        op, inputs = node.op, node.inputs
        if not op.plans or chosen or node.params:
            return super().messages(node, y_bar, on_path, chosen)
        if len(inputs) == 1:
            wanted, xs = 1 if inputs[0] in on_path else 0, (inputs[0].value,)
        else:
            a, b = inputs
            wanted = (1 if a in on_path else 0) + (2 if b in on_path else 0)
            xs = a.value, b.value
        if not wanted:  # a node whose own adjoint is asked for, and nothing beyond it
            return []
        own, kept, rules = op.plans[wanted]
        y = node.value
        if own and y is None:
            return super().messages(node, y_bar, on_path, chosen)
        for i in kept:
            if xs[i] is None:
                return super().messages(node, y_bar, on_path, chosen)
        sent = []
        try:
            for i, rule, kind in rules:
                if kind is PARTIAL:
                    sent.append((inputs[i], y_bar * rule(y, *xs)))
                else:
                    sent.append((inputs[i], y_bar if rule == 1 else _scaled(y_bar, rule)))
        except (ArithmeticError, AttributeError):  # of Python numbers: NumPy's know ∞ and dtypes
            return super().messages(node, y_bar, on_path, chosen)
        return sent


class Handles(World):
    """Tensors: what the rules compute is recorded in its turn."""

    def operands(self, node: Node, own: bool, kept: tuple[int, ...]) -> tuple[Any, list[Any]]:
        return self._handle(node, own), [
            self._handle(x, i in kept) for i, x in enumerate(node.inputs)
        ]

    def _handle(self, node: Node, asked: bool) -> Any:
        t = from_node(node)
        if t.value is None and asked and is_known(node):
            t.value = self.value(node)
        return t


def _array(bar: Any) -> Any:
    """An adjoint's values; None where they are not known."""
    if isinstance(bar, tuple):
        return tuple(map(_array, bar))
    return bar.value if isinstance(bar, Tensor) else bar


def guarded(steps: Generator[Any, None, list[Any]]) -> Generator[Any, None, list[Any]]:
    """A backward sweep under `nan_guard`; without it the guard costs nothing.

    Raises:  NonFiniteError at the first rule that makes a NaN or an infinity of finite numbers.
    """
    sender: dict[Node, Node] = {}
    quiet = changed(CONTEXT.get(), guard=False)  # of what a rule computes, the sum is judged
    while True:
        token = CONTEXT.set(quiet)
        try:
            node, y_bar, messages = next(steps)
        except StopIteration as end:
            return end.value
        finally:
            CONTEXT.reset(token)
        for x, x_bar in messages:
            sent, came = _array(x_bar), _array(y_bar)
            if sent is not None and came is not None and not is_finite(sent) and is_finite(came):
                operands = [("abcdefgh"[i % 8], v.value) for i, v in enumerate(node.inputs)]
                operands = [("ȳ", came), *((n, v) for n, v in operands if v is not None)]
                several = sent if isinstance(sent, tuple) else (sent,)
                bad = next(s for s in several if s is not None and not is_finite(s))
                before = sender.get(node)
                at = (node.origin.filename, node.origin.line) if node.origin else None
                came_from = str(before.origin or "") if before else ""
                raise born(node.op, "backward", bad, operands, at, came_from)
            sender[x] = node
        yield node, y_bar, messages


def finish(steps: Generator[Any, None, list[Any]]) -> list[Any]:
    """Run a sweep to its end."""
    while True:
        try:
            while True:
                next(steps)
        except StopIteration as end:
            return end.value


def pullback(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    y_bars: Sequence[Any],
    *,
    world: World,
    mask: int = 0,
    selected: bool = False,
) -> list[Any]:
    """Adjoints of `inputs`, None where nothing arrived; see `pullback_steps`."""
    guard = CONTEXT.get().guard
    path = span(outputs, inputs, mask=mask, flows=True)
    steps = pullback_steps(outputs, inputs, y_bars, path, world, pause=guard, selected=selected)
    return finish(guarded(steps) if guard else steps)


def pushforward(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    x_dots: Sequence[Any],
    *,
    world: World,
    mask: int = 0,
) -> list[Any]:
    """Tangents of `outputs`, None where nothing arrived."""
    path = span(outputs, inputs, mask=mask, flows=True)
    return finish(pushforward_steps(outputs, inputs, x_dots, path, world))
