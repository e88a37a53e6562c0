"""The lines of a derivation, in four styles.

A style only says how the same product is written: as messages (bar), as a chain of derivatives
(leibniz), of matrices (jacobian), or entry by entry (index). The formulas are the rules' own, see
`story`.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..errors import GradientError
from ..graph import Node
from .evaluate import LETTERS, evaluated, near
from .formula import written
from .indices import by_entries, deltas, letters_for, local_derivative, named_derivative
from .local import CHAIN, chained
from .names import width
from .rows import Row, Telling
from .story import WIDEST, Env, Step, Story, ours, used
from .terms import (
    Applied,
    Derivative,
    Entry,
    Expr,
    Over,
    Symbol,
    facts,
    of_shape,
    parts_of,
    product,
    total,
)

STYLES = ("bar", "leibniz", "jacobian", "index")
PARTS = ("forward", "local", "backward", "together")
PATHS = 8
"""So many paths are written as products of Jacobians; of more, one step at a time."""
ENTRIES = 1 << 20
"""Products of entries that are worked out, at most, to check index notation."""


def derivation_of(telling: Telling, style: str) -> tuple[list[Step], Env]:
    """The lines in a style, and what their symbols stand for."""
    story = Story(telling)
    if style != "bar" and (
        len(story.record.outputs) != 1 or story.record.outputs[0].spec.size != 1
    ):
        raise GradientError(
            f"derive: in the style {style!r} the result is one number",
            got={"result": story.record.outputs[0]},
            hint="take ob.sum(...) of it, or style='bar'",
        )
    several = [n for n in story.order if isinstance(n.spec, tuple)]
    if several and style in ("leibniz", "jacobian"):
        raise GradientError(
            f"derive: {several[0].op.name} has several results, which the style {style!r} does not "
            "write",
            hint="style='bar' does",
        )
    made = {"bar": _bars, "leibniz": _leibniz, "jacobian": _jacobian, "index": _index}[style](story)
    return made, story.env


def _bars(story: Story) -> list[Step]:
    """z̄ = ȳ σ′(z): adjoints, each the sum of the messages that arrive."""
    back = [
        story.checked(
            Step(
                "backward",
                story.bar(n),
                story.rules[story.bar(n)],
                story.record.bars[n],
                paths=len(story.senders[n]),
            )
        )
        for n in story.order
    ]
    return [*story.forward(), *used(back), *story.together(story.bar)]


# -- Leibniz's notation, and products of Jacobians --------------------------------------------


class _Chains:
    """Derivatives as matrices: what ∂z/∂x and dL/dx stand for.

    plain   numbers are numbers, and not matrices of one entry
    """

    def __init__(self, story: Story, *, plain: bool) -> None:
        self.story, self.plain = story, plain
        self.end = story.record.outputs[0]
        self.env = story.env

    def partial(self, row: Row, x: Node) -> Derivative:
        """∂z/∂x, all else held fixed."""
        made = self._named(row.node, x, whole=False)
        J = self.story.matrices[row, x]
        if J is not None:
            self.env[made] = J.item() if made.scalar else J
        return made

    def whole(self, x: Node) -> Derivative:
        """dL/dx, along every path."""
        made = self._named(self.end, x, whole=True)
        bar = np.reshape(self.story.record.bars[x], (1, -1))
        self.env[made] = bar.item() if made.scalar else bar
        return made

    def _named(self, y: Node, x: Node, *, whole: bool) -> Derivative:
        name, (m, n) = self.story.telling.name, (y.spec.size, x.spec.size)
        shape = () if self.plain and m == n == 1 else (m, n)
        return Derivative(name(y), by=name(x), whole=whole, **of_shape(shape))

    def times(self, *factors: Expr) -> Expr:
        """The product of derivatives."""
        made = factors[0]
        for f in factors[1:]:
            made = product(made, f) if made.scalar or f.scalar else chained(made, f)
        return made

    def checked(self, step: Step, x: Node) -> Step:
        """A line held against the engine's adjoint, by matrices where these are small."""
        wanted = self.story.record.bars[x]
        step = dataclasses.replace(step, value=wanted)
        if all(s in self.env for s in _symbols(step.right)):
            value, size = evaluated(step.right, self.env)
            shape = np.shape(wanted)
            if not near(np.reshape(value, shape), np.reshape(size, shape), wanted):
                raise ours(step.left, step.right)
        return step

    def locals(self) -> list[Step]:
        """The local derivatives that have a formula."""
        steps = []
        for x in self.story.order:
            for row in self.story.senders[x]:
                e = self.story.structure(row, x)
                if e is not None:
                    J = self.story.matrices[row, x]
                    value = J.item() if J.size == 1 else J[0] if J.shape[0] == 1 else None
                    steps.append(Step("local", self.partial(row, x), e, value))
        return steps


def _symbols(e: Expr) -> list[Symbol]:
    stack, found = [e], []
    while stack:
        at = stack.pop()
        if isinstance(at, Symbol):
            found.append(at)
        stack += parts_of(at)
    return found


def _leibniz(story: Story) -> list[Step]:
    """dL/dx = Σ dL/dz ∂z/∂x: d for total derivatives, ∂ for partial ones."""
    chains = _Chains(story, plain=True)
    back = []
    for x in story.order:
        terms = []
        for row in reversed(story.senders[x]):
            partial = chains.partial(row, x)
            first = row.node is chains.end
            terms.append(partial if first else chains.times(chains.whole(row.node), partial))
        if terms:
            step = Step("backward", chains.whole(x), total(*terms), None, len(terms))
            back.append(chains.checked(step, x))
    together = story.together(chains.whole)
    return [*story.forward(), *chains.locals(), *used(back), *together]


def _jacobian(story: Story) -> list[Step]:
    """dL/dx = ∂L/∂p · ∂p/∂u · ∂u/∂x: along every path the product of its local Jacobians."""
    chains = _Chains(story, plain=False)
    back = []
    for x in [v for v in story.record.variables if v in story.senders]:
        if _count(story, x) <= PATHS:
            terms = [chains.times(*(chains.partial(*step) for step in p)) for p in _paths(story, x)]
            step = Step("backward", chains.whole(x), total(*terms), None, len(terms))
            back.append(chains.checked(step, x))
        else:
            back += _one_by_one(story, chains, x, back)
    back = _marked(back)
    return [*story.forward(), *chains.locals(), *back, *story.together(chains.whole)]


def _count(story: Story, x: Node) -> int:
    """How many paths lead from the result to x."""
    count: dict[Node, int] = {}
    for n in story.order:
        arrived = sum(count.get(row.node, 0) for row in story.senders[n])
        count[n] = arrived + (n in story.record.outputs)
    return count[x]


def _paths(story: Story, x: Node) -> list[list[tuple[Row, Node]]]:
    """Every path from the result to x: (row, input) pairs, the result's first."""
    if x in story.record.outputs:
        return [[]]
    return [[*p, (row, x)] for row in reversed(story.senders[x]) for p in _paths(story, row.node)]


def _one_by_one(story: Story, chains: _Chains, x: Node, done: list[Step]) -> list[Step]:
    """dL/dx from dL/dz, for everything between the result and x that is not there yet."""
    needed, stack = set(), [x]
    while stack:
        n = stack.pop()
        if n not in needed:
            needed.add(n)
            stack += [row.node for row in story.senders[n]]
    there = {s.left for s in done}
    steps = []
    for n in story.order:
        if n not in needed or not story.senders[n] or chains.whole(n) in there:
            continue
        terms = [
            chains.partial(row, n)
            if row.node is chains.end
            else chains.times(chains.whole(row.node), chains.partial(row, n))
            for row in reversed(story.senders[n])
        ]
        step = Step("backward", chains.whole(n), total(*terms), None, len(terms))
        steps.append(chains.checked(step, n))
    return steps


def _marked(steps: list[Step]) -> list[Step]:
    """Factors that begin several products: worked out once, and used again."""
    made: list[Step] = []
    for s in steps:
        best: tuple[list[Expr], Step | None] = ([], None)
        mine = _factors(s.right)
        for other in made:
            theirs = _factors(other.right)
            same = next(
                (i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b),
                min(len(mine), len(theirs)),
            )
            if same > len(best[0]):
                best = mine[:same], other
        if best[1] is not None:
            s = dataclasses.replace(s, prefix=tuple(best[0]), like=best[1].left)
        made.append(s)
    return made


def _factors(e: Expr) -> list[Expr]:
    if isinstance(e, Applied) and e.op is CHAIN:
        return list(e.args)
    return [e]


# -- index notation ---------------------------------------------------------------------------


def _index(story: Story) -> list[Step]:
    """x̄ⱼ = Σᵢ z̄ᵢ Wᵢⱼ: entry by entry, by way of Σᵢ z̄ᵢ ∂zᵢ/∂xⱼ."""
    env = story.env
    forward = [_entries(story, s) for s in story.forward()]
    locals_, back = [], []
    for x in story.order:
        bar = story.bar(x)
        step = Step("backward", bar, story.rules[bar], story.record.bars[x], len(story.senders[x]))
        story.checked(step)
        if isinstance(x.spec, tuple):
            back.append(step)
            continue
        below = letters_for(x.spec.shape)
        terms: list[Expr] = []
        for row in reversed(story.senders[x]):
            z = row.node
            if isinstance(z.spec, tuple):
                terms = []
                break
            above = letters_for(z.spec.shape, below)
            partial = named_derivative(story.telling.name(z), story.telling.name(x), above, below)
            z_bar = story.bar(z)
            first = Entry("", of=z_bar, index=above, **of_shape(())) if z.spec.shape else z_bar
            summed = tuple(filter(None, above))
            sizes = tuple(n for n in z.spec.shape if n != 1)
            term = product(first, partial)
            terms.append(Over(summed, term, sizes, shape=()) if summed else term)
            dot = Symbol(story.telling.name(x), dotted=True, **facts(x.spec))
            tangent = story.telling.tangent(row, [x])
            e = local_derivative(tangent, dot, above, below)
            if not _mentions_dot(e) and story.matrices[row, x] is not None:
                env |= deltas(e)
                locals_.append(_local(story, row, x, partial, e, above, below))
        made = _entries(story, step)
        if terms and not (len(terms) == 1 and x in story.record.outputs):
            back.append(dataclasses.replace(made, right=total(*terms), value=None))
            made = dataclasses.replace(made, again=True, paths=1)
        back.append(made)
    together = [_entries(story, s) for s in story.together(story.bar)]
    short = [s for s in together if not s.again or width(written(s.right)) <= WIDEST]
    return [*forward, *locals_, *back, *short]


def _mentions_dot(e: Expr) -> bool:
    stack = [e]
    while stack:
        at = stack.pop()
        if isinstance(at, Symbol) and at.dotted:
            return True
        stack += [at.of] if isinstance(at, Entry) else parts_of(at)
    return False


def _entries(story: Story, step: Step) -> Step:
    """A line, entry by entry; evaluated back if that is not too much."""
    left = step.left
    if not isinstance(left, Symbol) or left.shape is None:
        return step
    index = letters_for(left.shape)
    right = by_entries(step.right, index)
    if step.value is not None and step.note == "":
        wanted = np.asarray(step.value)
        found = _worth(right, story.env, index, wanted.shape)
        if found is not None and not near(*found, wanted):
            raise ours(left, right)
    entry = Entry("", of=left, index=index, **of_shape(())) if left.shape else left
    return dataclasses.replace(step, left=entry, right=right)


def _local(
    story: Story,
    row: Row,
    x: Node,
    partial: Derivative,
    e: Expr,
    above: tuple[str, ...],
    below: tuple[str, ...],
) -> Step:
    """∂zᵢ/∂Wⱼₖ = δᵢⱼ xₖ, held against the local Jacobian."""
    J = story.matrices[row, x]
    if J is not None:
        order = sorted(filter(None, {*above, *below}), key=LETTERS.index)
        axes = [i for i in (*above, *below) if i]
        tensor = J.reshape([n for n in (*row.node.spec.shape, *x.spec.shape) if n != 1])
        wanted = np.transpose(tensor, [axes.index(i) for i in order])
        found = _worth(e, story.env, tuple(order), wanted.shape)
        if found is not None and not near(*found, wanted):
            raise ours(partial, e)
    return Step("local", partial, e, None)


def _worth(
    e: Expr, env: Env, index: tuple[str, ...], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray] | None:
    """(value, size) of a formula of entries as an array of this index; None if it is too much."""
    if any(s not in env for s in _bases(e)) or _volume(e, env) > ENTRIES:
        return None
    value, size = (np.asarray(v) for v in evaluated(e, env))
    free = [LETTERS.index(i) for i in index if i]
    full = [n for n in shape if n != 1]
    if value.ndim == len(LETTERS):
        others = tuple(k for k in range(len(LETTERS)) if k not in free)
        value, size = (
            np.squeeze(value, others),
            np.squeeze(np.broadcast_to(size, value.shape), others),
        )
    value, size = np.broadcast_to(value, full), np.broadcast_to(size, full)
    return value.reshape(shape), size.reshape(shape)


def _bases(e: Expr) -> list[Symbol]:
    """What the entries of a formula are taken from."""
    stack, found = [e], []
    while stack:
        at = stack.pop()
        if isinstance(at, Entry):
            stack.append(at.of)
        elif isinstance(at, Symbol):
            found.append(at)
        stack += parts_of(at)
    return found


def _volume(e: Expr, env: Env) -> int:
    """How many products of entries a formula takes."""
    sizes: dict[str, int] = {}
    stack = [e]
    while stack:
        at = stack.pop()
        if isinstance(at, Entry):
            sizes |= dict(zip(at.index, at.of.shape or (), strict=False))
        stack += parts_of(at)
    return math.prod(n for i, n in sizes.items() if i.isalpha())
