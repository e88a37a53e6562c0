"""The usual slips of a backward: for each, what turns a wrong adjoint into the right one.

Told apart by numbers alone: a slip is named if it explains what came at every point that was tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..calculus.sweep import Raw, pullback
from ..graph import Node
from ..handle import Tensor
from .pointwise import by_entries
from .trials import CLOSE, Trial, all_equal, equal

# -- the diagnosis ----------------------------------------------------------------------------


def diagnosed(trials: list[Trial], i: int, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """The (word, detail) pairs for one argument."""
    wanted = [t.wanted[i] for t in trials]
    shape = wanted[0].shape
    if any(t.came[i] is None for t in trials):
        if all(np.allclose(w, 0) for w in wanted):
            return []
        return [
            (
                "None given",
                (
                    "None stands for zero, but the adjoint is not zero: "
                    f"an array of shape {list(shape)} is wanted"
                ),
            )
        ]
    try:
        came = [
            np.asarray(t.came[i].value if isinstance(t.came[i], Tensor) else t.came[i], np.float64)
            for t in trials
        ]
    except (TypeError, ValueError):
        return [
            (
                "not an array",
                (
                    f"a {type(trials[0].came[i]).__name__} came, "
                    f"an array of shape {list(shape)} is wanted"
                ),
            )
        ]
    if came[0].shape != shape:
        return _of_another_shape(trials, came, wanted, i, names)
    if all(equal(c, w) for c, w in zip(came, wanted, strict=True)):
        return []
    return _of_the_right_shape(trials, came, wanted, i, names)


def _of_another_shape(
    trials: list[Trial],
    came: list[np.ndarray],
    wanted: list[np.ndarray],
    i: int,
    names: tuple[str, ...],
) -> list[tuple[str, str]]:
    got, shape = came[0].shape, wanted[0].shape
    shapes = f"{list(got)} came, {list(shape)} is wanted"
    if len(got) >= 2 and (*got[:-2], got[-1], got[-2]) == shape:
        turned = [np.swapaxes(c, -1, -2) for c in came]
        if all_equal(lambda c: c, turned, wanted):
            return [("transposed", f"{shapes}; its transpose is right")]
        rest = _factor(turned, wanted)
        if rest:
            return [("transposed", shapes), rest]
    try:
        fits = np.broadcast_shapes(shape, got) == got
    except ValueError:
        fits = False
    if fits:
        axes = tuple(range(len(got) - len(shape))) + tuple(
            k + len(got) - len(shape)
            for k, n in enumerate(shape)
            if n != got[k + len(got) - len(shape)]
        )
        summed = [c.sum(axis=axes).reshape(shape) for c in came]
        detail = f"{shapes}: the argument was broadcast, so its adjoint is the sum over " + _axes(
            axes
        )
        if all(map(equal, summed, wanted)):
            return [("batch sum missing", detail)]
        rest = _factor(summed, wanted)
        if rest:
            return [("batch sum missing", detail), rest]
    found = _other_product(trials, came, wanted, i)
    if found:
        return [found]
    if came[0].size == wanted[0].size and all_equal(lambda c: c.reshape(shape), came, wanted):
        return [("wrong shape", f"{shapes}; the numbers are right: reshape it")]
    return [("wrong shape", f"{shapes}: an adjoint has the shape of its argument")]


def _axes(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"the axes {', '.join(map(str, axes))}"


def _factor(came: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> tuple[str, str] | None:
    """A constant by which everything is off."""
    factors = []
    for c, w in zip(came, wanted, strict=True):
        size = float(np.sum(c * c))
        if size == 0.0:
            return None
        factors.append(float(np.sum(c * w)) / size)
    k = factors[0]
    if (
        k == 0.0
        or any(abs(f - k) > CLOSE * abs(k) for f in factors)
        or not all_equal(lambda c: k * c, came, wanted)
    ):
        return None
    if abs(k + 1) < CLOSE:
        return "sign", "what came is the negative of the right adjoint"
    much = abs(k) < 1
    simple = Fraction(1 / abs(k) if much else abs(k)).limit_denominator(64)
    size = (
        str(simple)
        if abs(float(simple) - (1 / abs(k) if much else abs(k))) < CLOSE * float(simple)
        else f"{1 / abs(k) if much else abs(k):.6g}"
    )
    said = (
        f"what came is {size} times too large"
        if much
        else f"a factor {size} is missing: what came is too small"
    )
    return f"factor {size}", said + (", and its sign is wrong" if k < 0 else "")


def _of_the_right_shape(
    trials: list[Trial],
    came: list[np.ndarray],
    wanted: list[np.ndarray],
    i: int,
    names: tuple[str, ...],
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    factor = _factor(came, wanted)
    if factor and factor[0] == "sign":
        return [factor]
    if all(not np.any(c) for c in came):
        return [("a path is missing", "zeros came: nothing flows to this argument")]
    path = _path(trials, came, wanted, i, names)
    if path or factor:
        return [f for f in (factor, path) if f]
    if came[0].ndim >= 2 and came[0].shape[-1] == came[0].shape[-2]:
        turned = [np.swapaxes(c, -1, -2) for c in came]
        if all_equal(lambda c: c, turned, wanted):
            return [("transposed", "what came is the transpose of the right adjoint")]
        rest = _factor(turned, wanted)
        if rest:
            return [
                ("transposed", "what came is the transpose of a multiple of the right adjoint"),
                rest,
            ]
    if all(equal(c, t.with_ones[i]) for c, t in zip(came, trials, strict=True)):
        return [
            (
                "ȳ is not used",
                "what came is right for ȳ = 1 only: multiply with the adjoint that arrives",
            )
        ]
    for j, name in enumerate(names):
        if j != i and all(
            t.wanted[j] is not None and equal(c, t.wanted[j])
            for c, t in zip(came, trials, strict=True)
        ):
            return [("swapped", f"what came is the adjoint of {name}")]
    turned_operand = _transposed_operand(trials, came, wanted, names)
    if turned_operand:
        return [turned_operand]
    product = _other_product(trials, came, wanted, i)
    if product:
        return [product]
    for k in range(min(len(t.rows) for t in trials)):
        if len(trials[0].rows) > 1 and all(
            equal(c, t.rows[k][i]) for c, t in zip(came, trials, strict=True)
        ):
            return [
                ("batch sum missing", f"only row {k} of the batch has contributed: sum over axis 0")
            ]
    found += by_entries(trials, came, wanted, i, names)
    if found:
        return found
    c, w = came[0], wanted[0]
    at = np.unravel_index(int(np.argmax(np.abs(c - w))), c.shape)
    where = f"at {[int(k) for k in at]} " if c.ndim else ""
    found.append(("wrong", f"{where}{c[at]:.6g} came, {w[at]:.6g} is wanted"))
    return found


# -- paths ------------------------------------------------------------------------------------


def _path(
    trials: list[Trial],
    came: list[np.ndarray],
    wanted: list[np.ndarray],
    i: int,
    names: tuple[str, ...],
) -> tuple[str, str] | None:
    """A use of some value whose contribution is exactly what is missing, or there twice."""
    candidates = [_uses(t, i) for t in trials]
    if not all(candidates):
        return None
    for uses, *others in zip(*candidates, strict=False):
        (node, said, first) = uses
        for word, sign in (("a path is missing", 1), ("a path is counted twice", -1)):
            pairs = zip(came, wanted, [first, *(o[2] for o in others)], strict=True)
            if all(np.any(part) and equal(c + sign * part, w) for c, w, part in pairs):
                value = names[i] if not node.inputs else f"`{node.name or node.op.name}`"
                verb = "nothing" if sign == 1 else "its part twice"
                return (
                    word,
                    (
                        f"{value} is used several times, and its adjoint is the sum over the uses; "
                        f"{said} {verb}"
                    ),
                )
    return None


def _uses(t: Trial, i: int) -> list[tuple[Node, str, np.ndarray]]:
    """(value, which of its uses, what these add to the adjoint of argument i)."""
    if t.graph is None:
        return []
    leaf = t.graph.leaves[[k for k, w in enumerate(t.wanted) if w is not None].index(i)]
    found = []
    for node, sent in itertools.islice(t.graph.messages(t.y_bars).items(), 30):
        parts = []
        for _, message in sent[:6]:
            (bar,) = pullback([node], [leaf], [message], world=Raw())
            parts.append(np.zeros(leaf.spec.shape) if bar is None else np.asarray(bar))
        for count in range(1, len(parts)):
            for chosen in itertools.combinations(range(len(parts)), count):
                said = " and in ".join(dict.fromkeys(_use(sent[k][0]) for k in chosen))
                plural = "uses in {} send" if count > 1 else "use in {} sends"
                found.append((node, "the " + plural.format(said), sum(parts[k] for k in chosen)))
    return found


def _use(node: Node) -> str:
    place = f" ({node.origin})" if node.origin else ""
    return f"`{node.op.name}`{place}"


# -- products ---------------------------------------------------------------------------------

PRODUCTS: dict[str, Callable[[Any, Any], Any]] = {
    "elementwise": np.multiply,
    "matrix": np.matmul,
    "outer": np.outer,
    "inner": lambda a, b: np.sum(a * b),
}


def _shape(kind: str, a: np.ndarray, b: np.ndarray) -> tuple[int, ...] | None:
    """The shape of a product, None if there is no such product of these."""
    if kind == "outer":
        return (a.size, b.size) if a.ndim == b.ndim == 1 else None
    if kind == "matrix":
        fits = (
            a.ndim
            and b.ndim
            and a.shape[-1] == b.shape[max(-2, -b.ndim)]
            and max(a.ndim, b.ndim) > 1
        )
        return (
            np.matmul(np.empty(a.shape), np.empty(b.shape)).shape
            if fits and a.ndim <= 2 >= b.ndim
            else None
        )
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return None
    return shape if kind == "elementwise" else () if a.ndim else None


def _turned(a: np.ndarray) -> np.ndarray:
    return np.swapaxes(a, -1, -2) if a.ndim > 1 else a


def _operands(t: Trial) -> tuple[list[np.ndarray], list[np.ndarray]]:
    bars, values = (
        list(t.y_bars),
        [np.asarray(x) for x in t.xs if isinstance(x, np.ndarray | np.generic)],
    )
    if t.graph is not None:
        more = t.graph.operands(t.y_bars)
        bars, values = bars + more[0], values + more[1]
    return bars, values


def _made_by(kind: str, t: Trial, targets: Sequence[np.ndarray]) -> set[tuple[Any, ...]]:
    """The recipes (which adjoint, which value, turned?, which first?) by which a product of this
    kind makes the target.
    """
    bars, values = _operands(t)
    shapes = {w.shape for w in targets}
    found: set[tuple[Any, ...]] = set()
    for (p, a), (q, b) in itertools.product(enumerate(bars), enumerate(values)):
        for turn_a, turn_b, first in itertools.product((False, True), repeat=3):
            left, right = _turned(a) if turn_a else a, _turned(b) if turn_b else b
            if (turn_a and a.ndim < 2) or (turn_b and b.ndim < 2):
                continue
            pair = (left, right) if first else (right, left)
            if _shape(kind, *pair) not in shapes:
                continue
            made = PRODUCTS[kind](*pair)
            if any(equal(np.asarray(made), w) for w in targets):
                found.add((p, q, turn_a, turn_b, first))
    return found


def _other_product(
    trials: list[Trial], came: list[np.ndarray], wanted: list[np.ndarray], i: int
) -> tuple[str, str] | None:
    """One kind of product where another belongs."""
    for mine, right in itertools.permutations(PRODUCTS, 2):
        if (
            "elementwise" not in (mine, right)
            and {mine, right} != {"outer", "inner"}
            and {mine, right} != {"matrix", "outer"}
        ):
            continue
        if all(
            _made_by(mine, t, [c]) and _made_by(right, t, [w])
            for t, c, w in zip(trials, came, wanted, strict=True)
        ):
            said = {
                "elementwise": "an elementwise product",
                "matrix": "a matrix product",
                "outer": "an outer product",
                "inner": "an inner product",
            }
            return (
                "elementwise vs matrix product",
                f"{said[mine]} came where {said[right]} is wanted",
            )
    return None


def _transposed_operand(
    trials: list[Trial], came: list[np.ndarray], wanted: list[np.ndarray], names: tuple[str, ...]
) -> tuple[str, str] | None:
    """A matrix product the wrong way round, or in which an operand lacks its transposition."""
    recipes: set[tuple[Any, ...]] | None = None
    for t, c, w in zip(trials, came, wanted, strict=True):
        pairs = itertools.product(_made_by("matrix", t, [c]), _made_by("matrix", t, [w]))
        turned = {
            (mine[1], mine[2] != right[2], mine[3] != right[3], mine[4] != right[4])
            for mine, right in pairs
            if mine[:2] == right[:2]
        }
        recipes = turned if recipes is None else recipes & turned
    if not recipes:
        return None
    q, bar, value, order = min(recipes, key=lambda r: (sum(r[1:]), r[3], r[0]))
    if order:
        more = ", and transposed" if bar or value else ""
        return "wrong order", f"the factors of the matrix product stand the wrong way round{more}"
    if bar and value:
        return "transposed", "both operands of the product are to be transposed"
    if bar:
        return "transposed", "of the product's operands, ȳ is to be transposed"
    arrays = [j for j, x in enumerate(trials[0].xs) if isinstance(x, np.ndarray | np.generic)]
    said = names[arrays[q]] if q < len(arrays) else "an inner value"
    return "transposed", f"of the product's operands, {said} is to be transposed"
