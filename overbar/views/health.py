"""health: how a gradient fares on its way through a model, and what is wrong with it, if anything.

One run of the engine's own sweep (see `runs`); nothing is differentiated here. Each check below
looks for one class of fault and yields a `Finding` with the user's line. Start at `health`, then
`CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..graph import Node, ancestors
from .answer import norm, number
from .births import finite
from .cuts import Cut, cut_before
from .names import known_as, names_of
from .nonfinite import report_of
from .record import Record
from .runs import Parameter, Run, need_something, run_of
from .stages import Stage, Trend, layer_of, stages_of, trends
from .units import Units, units_of
from .vitals import Finding, Health, Layer, Vital
from .zeros import Cause, cuts_of, kind_of, reasons

LARGE = 0.5
"""A step that moves a matrix by more than this part of its norm is no small step."""


class Facts(NamedTuple):
    """What the checks look at."""

    run: Run
    record: Record
    names: dict[int, str]
    stages: dict[str, list[Stage]]
    owner: dict[Node, str]
    units: list[Units]
    finite: bool


def health(subject: Any, *args: Any) -> Health:
    """How the gradient fares: of a model with its inputs, a loss with its arguments, a whole
    training step, or a result.

    By layer: the norm of the gradient, against that of the weights, the update that the step made,
    dead and saturated units. Named with the user's line are: gradients that vanish or explode (the
    rate per layer going back, and the layer where it begins), dead and saturated layers,
    parameters that no gradient reaches (unused, detached, under `no_grad`, ...), that no optimiser
    moves, or that move too far; layers whose units are all alike; values that are not finite.
    What a step changes is put back.

    Raises:  GradientError if nothing asks for a gradient.
    Example:
        >>> rng = ob.random.default_rng(0)
        >>> sizes = [8] * 13
        >>> layers = [ob.nn.Linear(n, n, rng=rng) for n in sizes]
        >>> def deep(x):
        ...     for layer in layers:
        ...         x = ob.sigmoid(layer(x))
        ...     return x.sum()
        >>> report = ob.health(deep, rng.normal((4, 8)))
        >>> [f.kind for f in report.findings]
        ['vanishing']
    """
    run = run_of("health", subject, args).opened()
    need_something("health", run)
    record = run.record
    record.variables = [p.node for p in run.parameters if p.node is not None]
    record.sweep()
    names = names_of(record.nodes, record.outputs, record.given)
    known = all(finite(record.value(y)) for y in record.outputs) and all(
        finite(record.bars.get(v)) for v in record.variables
    )
    stages = stages_of(record, run.parameters)
    owner = _owners(record, stages)
    units = units_of(record, owner) if known else []
    facts = Facts(run, record, names, stages, owner, units, known)
    found = [f for check in CHECKS for f in check(facts)]
    return Health(_layers(facts, found), [_vital(record, p) for p in run.parameters], found)


# -- the table --------------------------------------------------------------------------------


def _vital(record: Record, p: Parameter) -> Vital:
    bar = record.bars.get(p.node) if p.node is not None else None
    size = norm(p.before)
    update = None
    if p.moved and size:
        update = norm(np.asarray(p.after) - np.asarray(p.before)) / size
    gradient = None if bar is None else norm(bar)
    origin = p.node.origin if p.node is not None else None
    return Vital(
        p.name, gradient, size, gradient / size if gradient is not None and size else None, update,
        str(origin) if origin else "",
    )  # fmt: skip


def _layers(facts: Facts, found: list[Finding]) -> list[Layer]:
    """One row per layer, in the order in which the run met them."""
    by_layer: dict[str, list[Parameter]] = {name: [] for name in facts.stages}
    for p in facts.run.parameters:
        by_layer.setdefault(layer_of(p.name), []).append(p)
    units: dict[str, list[Units]] = {}
    for u in facts.units:
        units.setdefault(facts.owner.get(u.node, ""), []).append(u)
    rows = []
    for name, parameters in by_layer.items():
        vitals = [_vital(facts.record, p) for p in parameters]
        bars = [v.gradient for v in vitals if v.gradient is not None]
        size, stage = norm(tuple(p.before for p in parameters)), facts.stages.get(name, [])
        gradient = float(np.hypot.reduce(bars)) if bars else None
        moved = [norm(np.asarray(p.after) - np.asarray(p.before)) for p in parameters if p.moved]
        mine = units.get(name, [])
        dead = [u.dead for u in mine if u.dead is not None]
        saturated = [u.saturated for u in mine if u.saturated is not None]
        rows.append(
            Layer(
                name,
                stage[-1].size if stage else None,
                gradient,
                gradient / size if gradient is not None and size else None,
                float(np.hypot.reduce(moved)) / size if moved and size else None,
                max(dead, default=None),
                max(saturated, default=None),
                ", ".join(dict.fromkeys(f.kind for f in found if name in f.layers)),
                str(stage[-1].node.origin or "") if stage else "",
            )
        )
    return rows


def _owners(record: Record, stages: dict[str, list[Stage]]) -> dict[Node, str]:
    """The layer that each node comes after: that of the youngest stage behind it."""
    owner: dict[Node, str] = {}
    at = {s.node: name for name, uses in stages.items() for s in uses}
    age: dict[Node, int] = {}
    for node in record.path:
        if node in at:
            owner[node], age[node] = at[node], node.serial
            continue
        before = [x for x in node.inputs if x in owner]
        if before and record.computed(node):
            x = max(before, key=lambda n: age[n])
            owner[node], age[node] = owner[x], age[x]
    return owner


# -- the checks -------------------------------------------------------------------------------


def _found(kind: str, name: str, what: str, node: Node | None, cure: str, **facts: Any) -> Finding:
    origin = node.origin if node is not None else None
    file, line = (origin.filename, origin.line) if origin else ("", 0)
    return Finding(kind, name, what, file, line, cure, **facts)


def _not_finite(facts: Facts) -> Iterator[Finding]:
    if facts.finite:
        return
    report = report_of(facts.record)
    b = report.birth
    if b is not None:
        yield Finding("not finite", b.name, report.said, b.filename, b.line, b.cure, value=b.made)


def _cut_off(facts: Facts) -> Iterator[Finding]:
    """Parameters that no adjoint reaches, and why."""
    record, groups = facts.record, {}
    for p in facts.run.parameters:
        reached = p.node is not None and record.bars.get(p.node) is not None
        if reached or p.frozen:
            continue
        kind, what, file, line, cure = _why_cut(facts, p)
        groups.setdefault((kind, what, file, line, cure), []).append(p)
    for (kind, what, file, line, cure), some in groups.items():
        names = _listed([p.name for p in some])
        layers = tuple(dict.fromkeys(layer_of(p.name) for p in some))
        yield Finding(kind, names, f"no gradient: {what}", file, line, cure, layers)


def _listed(names: list[str]) -> str:
    return (
        ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
    )


def _why_cut(facts: Facts, p: Parameter) -> tuple[str, str, str, int, str]:
    record, run = facts.record, facts.run
    leaves = run.leaves_of(p)
    for leaf in leaves:
        there = Record(record.outputs, [leaf], known=record.values, stop=tuple(record.stop))
        for c in cuts_of(there) if there.variables else ():
            file, line = (c.at.filename, c.at.line) if c.at else ("", 0)
            return c.kind, c.what, file, line, c.cure
    cut = _cut_in_source(facts, p, used=bool(leaves))
    if cut is not None:
        return kind_of(cut.what), cut.what, cut.filename, cut.line, cut.cure
    origin = next((n.origin for n in run.users_of(leaves) if n.origin), None)
    if origin is not None:
        what = "it is used, but not for the loss"
        cure = "let the loss depend on what is computed from it, or leave it out"
        return "unused", what, origin.filename, origin.line, cure
    node = p.handle._node if p.handle is not None else None  # noqa: SLF001
    origin = node.origin if node is not None else None
    what, cure = "nothing is computed from it", "call the layer it belongs to, or leave it out"
    return "unused", what, origin.filename if origin else "", origin.line if origin else 0, cure


def _cut_in_source(facts: Facts, p: Parameter, *, used: bool) -> Cut | None:
    """As the source tells it, of lines whose operations were fed something without history."""
    words = {p.name, p.name.rpartition(".")[2]}
    if used:  # then the source may name no more than the layer
        words.update(p.name.split("."))
    fed = [
        (n.origin.filename, n.origin.line)
        for n in reversed(facts.record.nodes)
        if n.origin is not None and (n in facts.record.outputs or any(not x.mask for x in n.inputs))
    ]
    for filename, line in dict.fromkeys(fed):
        cut = cut_before(filename, line, (), words)
        if cut is not None:
            return cut
    return None


def _trending(facts: Facts) -> Iterator[Finding]:
    if not facts.finite:
        return
    silent = {n for u in facts.units if u.is_dead or u.is_saturated for n in u.nodes}
    for t in trends(facts.record, facts.stages):
        if t.op not in silent:  # else that is the fault, and it is told as such
            yield _told(t, facts)


def _told(t: Trend, facts: Facts) -> Finding:
    in_time = t.begins.layer == t.ends.layer
    if in_time:
        per, where = "use", f"{t.begins.layer}, uses {t.begins.use + 1} to {t.ends.use + 1}"
    else:
        per, where = "layer", f"{t.begins.layer} to {t.ends.layer}"
    word = "vanishes" if t.vanishes else "explodes"
    what = (
        f"the adjoint {word}, × {number(t.ratio)} per {per} going back, from {where}: "
        f"{number(t.begins.size)} → {number(t.ends.size)}"
    )
    if t.op is not None:
        at = f" (line {t.op.origin.line})" if t.op.origin else ""
        what += f"; most of it by {t.op.op.name}{at}, × {number(t.at_op)} each time"
    chain = list(facts.stages)
    i, j = chain.index(t.ends.layer), chain.index(t.begins.layer)
    layers = tuple(chain[min(i, j) : max(i, j) + 1])
    kind = "vanishing" if t.vanishes else "exploding"
    return _found(
        kind, t.begins.layer, what, t.begins.node, CURES[kind], layers=layers, value=t.ratio
    )


CURES = {
    "vanishing": "activations that do not shrink (relu, gelu), weights drawn for them "
    "(nn.init.kaiming_uniform, xavier_uniform), normalisation, or connections that skip layers",
    "exploding": "smaller initial weights, normalisation, or clipped gradients "
    "(optim.clip_grad_norm_)",
    "dead": "a smaller learning rate, another bias, normalised inputs, or ob.leaky_relu, which is "
    "never flat",
    "saturated": "smaller weights or inputs, normalisation before it, or a loss on the logits",
    "update too large": "a smaller learning rate, or clipped gradients",
    "not updated": "give it to the optimiser: all of model.parameters()",
    "accumulated": "optimizer.zero_grad() before backward()",
    "alike": "draw the initial weights at random (nn.init): units that start alike stay alike",
}  # fmt: skip


def _silent_units(facts: Facts) -> Iterator[Finding]:
    for u in facts.units:
        op, layer = u.node.op.name, facts.owner.get(u.node, "")
        name = known_as(facts.names, u.node)
        after = f" after {layer}" if layer else ""
        if u.is_dead:
            all_of = f"all {u.count}" if u.dead == 1 else f"{u.dead:.0%} of the {u.count}"
            what = (
                f"{all_of} units of {name}{after} are dead: nothing positive goes into {op}, for "
                f"any of {u.samples} samples"
            )
            yield _found("dead", layer or name, what, u.node, CURES["dead"], layers=(layer,),
                         value=u.dead)  # fmt: skip
        if u.is_saturated:
            many = f", over {len(u.nodes)} uses" if len(u.nodes) > 1 else ""
            what = (
                f"{u.saturated:.0%} of {name} = {op}(…){after} is saturated{many}: hardly anything "
                "of what arrives goes on"
            )
            yield _found("saturated", layer or name, what, u.node, CURES["saturated"],
                         layers=(layer,), value=u.saturated)  # fmt: skip


def _zero(facts: Facts) -> Iterator[Finding]:
    """Gradients that arrive and are exactly zero, unless dead units say why."""
    if not facts.finite:
        return
    groups: dict[tuple[str, ...], list[Parameter]] = {}
    causes: dict[tuple[str, ...], Any] = {}
    silent = [u.node for u in facts.units if u.dead == 1]
    for p in facts.run.parameters:
        bar = facts.record.bars.get(p.node) if p.node is not None else None
        if bar is None or norm(bar) > 0 or not np.size(bar):
            continue
        why = _reasons(facts, p)
        if silent and (any(c.kind == "dead" for c in why) or _meets_zeros_of(facts, p, silent)):
            continue
        key = (why[0].kind, why[0].where) if why else ()
        groups.setdefault(key, []).append(p)
        causes.setdefault(key, why)
    for key, some in groups.items():
        why = causes[key]
        what = "the gradient is zero" + (f": {why[0].what}" if why else "")
        layers = tuple(dict.fromkeys(layer_of(p.name) for p in some))
        file, line = (why[0].at.filename, why[0].at.line) if why and why[0].at else ("", 0)
        names, cure = _listed([p.name for p in some]), why[0].cure if why else ""
        yield Finding("zero", names, what, file, line, cure, layers)


def _meets_zeros_of(facts: Facts, p: Parameter, silent: list[Node]) -> bool:
    """Whether a parameter is multiplied by what dead units gave."""
    record = facts.record
    for user in facts.run.users_of([p.node] if p.node is not None else []):
        others = [x for x in user.inputs if x in record.values and norm(record.value(x)) == 0]
        if not set(silent).isdisjoint(ancestors(others)):
            return True
    return False


def _reasons(facts: Facts, p: Parameter) -> list[Cause]:
    """Why the gradient of this one parameter is zero: only what lies above it counts."""
    record = facts.record
    alone = Record(record.outputs, [p.node], known=record.values, stop=tuple(record.stop))  # type: ignore[list-item]
    alone.seed = record.seed
    return reasons(alone.sweep(), facts.names)


def _alike(facts: Facts) -> Iterator[Finding]:
    """Matrices whose rows (or columns) are equal, and get equal gradients: one unit, many times."""
    found = []
    for p in facts.run.parameters:
        bar = facts.record.bars.get(p.node) if p.node is not None else None
        if bar is None or not facts.finite or np.ndim(bar) != 2 or norm(bar) == 0:
            continue
        w, g = np.asarray(p.before), np.asarray(bar)
        if min(w.shape) > 1 and any(_equal_along(w, g, axis) for axis in (0, 1)):
            found.append(p)
    if found:
        what = "all its units are equal, and so are their gradients"
        names = _listed([p.name for p in found])
        yield _found("alike", names, what, found[0].node, CURES["alike"],
                     layers=tuple(layer_of(p.name) for p in found))  # fmt: skip


def _equal_along(w: np.ndarray, g: np.ndarray, axis: int) -> bool:
    first = (slice(None),) * axis + (slice(0, 1),)
    return bool((w == w[first]).all() and np.allclose(g, g[first], rtol=1e-9, atol=0))


def _steps(facts: Facts) -> Iterator[Finding]:
    """What the step did to the parameters: too much, nothing, or the sum of several gradients."""
    parameters = facts.run.parameters
    if not any(p.moved for p in parameters):
        return
    for p in parameters:
        vital = _vital(facts.record, p)
        layers = (layer_of(p.name),)
        if p.moved and np.ndim(p.before) >= 2 and vital.update is not None and vital.update > LARGE:
            what = f"one step moved {p.name} by {number(vital.update)} of its norm"
            yield _found("update too large", p.name, what, p.moved_by, CURES["update too large"],
                         layers=layers, value=vital.update)  # fmt: skip
    left = [
        p for p in parameters
        if not p.moved and p.node is not None and norm(facts.record.gradient(p.node)) > 0
    ]  # fmt: skip
    if left:
        names = _listed([p.name for p in left])
        what = "it has a gradient, and the step did not move it"
        layers = tuple(dict.fromkeys(layer_of(p.name) for p in left))
        used = facts.stages.get(layers[0])
        node = used[0].node if used else left[0].node
        yield _found("not updated", names, what, node, CURES["not updated"], layers=layers)
    summed = [p for p in parameters if p.moved and _is_summed(facts.record, p)]
    if summed:
        names = _listed([p.name for p in summed])
        what = "its .grad is the sum of this gradient and that of an earlier step"
        yield _found("accumulated", names, what, facts.record.outputs[0], CURES["accumulated"],
                     layers=tuple(dict.fromkeys(layer_of(p.name) for p in summed)))  # fmt: skip


def _is_summed(record: Record, p: Parameter) -> bool:
    bar = record.bars.get(p.node) if p.node is not None else None
    if p.had is None or p.has is None or bar is None or norm(p.had) == 0:
        return False
    return bool(np.array_equal(np.asarray(p.has), np.asarray(p.had) + np.asarray(bar)))


CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _not_finite, _cut_off, _trending, _silent_units, _zero, _alike, _steps,
)  # fmt: skip
"""In this order they are told."""
