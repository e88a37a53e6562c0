"""A primitive: everything overbar knows about one operation, in one record.

Five walks read it. Rules are written once, in the textbook's letters, and are polymorphic: fed
raw arrays (first derivatives, fast), Tensors (higher ones) or handles without values (tracing).

* a rule's argument whose name begins with an underscore is one whose *value* the rule does not
  need (its shape is still there): that alone decides what is kept for the backward sweep;
* `vjp` and `jvp` are one function per input, `x̄ = vjp[i](ȳ, y, *xs, **params)` and
  `ẏ = Σ jvp[i](ẋᵢ, y, *xs, **params)`; or, where the inputs share work (or are of any number),
  one function for all, see `shared`;
* no broadcasting, no promotion, no normalising of axes in a rule: the engine has done it before.

Elementwise primitives state their partial derivatives and inherit the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .apply import apply
from .errors import NonFiniteError, place
from .graph import Node
from .handle import Tensor
from .origin import users_frame

PRIMITIVES: dict[str, Primitive] = {}
"""The registry: the tests' parameter list and the reference's table of contents."""


PUBLIC: dict[str, dict[str, Callable[..., Any]]] = {"": {}, "linalg": {}, "fft": {}, "special": {}}
"""The public functions by namespace; `ob.sin` is PUBLIC[""]["sin"]."""


def public(function: Any = None, *, namespace: str = "", names: Sequence[str] = ()) -> Any:
    """Offer a function to users, under its own name or under `names`."""
    if function is None:
        return partial(public, namespace=namespace, names=names)
    for name in names or (function.__name__,):
        PUBLIC[namespace][name] = function
    return function


class _Flat:
    """The derivative is zero almost everywhere: nothing flows through."""

    def __repr__(self) -> str:
        return "FLAT"


FLAT = _Flat()
LINEAR: Any = "linear"
"""For `jvp`: linear in each input alone, so the tangent goes where the input was."""


class shared:  # noqa: N801  (reads as a word in front of a rule)
    """Marks a rule that serves all inputs at once.

    vjp:  shared(rule, skips=2), rule(wanted, ȳ, y, *xs, **params) -> a sequence of x̄, None where
          not `wanted[i]`
    jvp:  shared(rule), rule(ẋs, y, *xs, **params) -> ẏ, with None for an input without a tangent
    """

    __slots__ = ("rule", "skips")

    def __init__(self, rule: Callable[..., Any], skips: int = 1) -> None:
        self.rule, self.skips = rule, skips


class Primitive:
    """One operation.

    name      unique; the key of the registry
    forward   the values: a NumPy function's name, or a function of (xp, *values, **params)
    shape     the Spec of the result, of the inputs' Specs and the params; raises ShapeError
    vjp, jvp  the derivative rules (see above), or FLAT
    batch     rule(n, mapped, *xs, **params): the operation on inputs whose mapped ones carry the
              batch as axis 0; None: lane by lane
    text      how it is written, "{0} + {1}"; tex likewise
    moves     its results' entries are entries of its inputs, or sums of them
    selects   what flows back through it is zero where something was not chosen: never leak a NaN
    numbers   its forward takes Python numbers as they are (weak), not as arrays
    samples   of a function r(*shape) making random arrays: a list of (arguments, params)
    doc       one line for the reference

    How it is compiled, if it is (else its forward is run between native parts), one of:
    native    of an elementwise one: rule(b, *xs, **params) on numbers in registers, which have
              operators; b makes constants, calls and choices (`compile.scalar.Builder`)
    declines  of a node: whether its dtypes or params are some that `native` cannot do
    entry     rule(b, i, *xs, **params): the entry at the indices i (a tuple), of functions xs that
              give an input's entry at indices
    reduces   "add", "multiply", "maximum", "minimum", "and", "or": all entries along `axis` in one
    expands   rule(*xs, **params): the same, of other primitives
    """

    weakens = False
    pointwise = False

    def __init__(
        self,
        name: str,
        *,
        forward: str | Callable[..., Any],
        shape: Callable[..., Any],
        vjp: Any,
        jvp: Any = LINEAR,
        batch: Callable[..., Any] | None = None,
        text: str | Callable[..., str] | None = None,
        tex: str | None = None,
        moves: bool = False,
        selects: bool = False,
        samples: Callable[..., list[Any]] | None = None,
        complex: bool = False,
        numbers: bool = False,
        native: Callable[..., Any] | None = None,
        declines: Callable[[Node], bool] | None = None,
        entry: Callable[..., Any] | None = None,
        reduces: str | None = None,
        expands: Callable[..., Any] | None = None,
        doc: str = "",
    ) -> None:
        self.numbers = numbers
        self.native, self.entry, self.reduces, self.expands = native, entry, reduces, expands
        self.declines = declines
        self.name, self.forward, self.shape, self.batch = name, forward, shape, batch
        self.vjp, self.jvp, self.flat = vjp, jvp, vjp is FLAT
        self.vjp_selected = vjp
        self.text, self.tex, self.doc = text or name + "({*})", tex, doc
        self.moves, self.selects, self.samples, self.complex = moves, selects, samples, complex
        self.run: Callable[..., Any] = (
            getattr(np, forward) if isinstance(forward, str) else partial(forward, np)
        )
        self._needs: dict[tuple[int, int, bool], tuple[bool, tuple[int, ...]]] = {}
        self._plans: dict[tuple[int, int, bool], tuple[bool, tuple[int, ...], Any]] = {}
        self.plans: dict[int, tuple[bool, tuple[int, ...], Any]] = {}
        if name in PRIMITIVES:
            raise ValueError(f"two primitives are named {name!r}")
        PRIMITIVES[name] = self

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Apply it: raw arrays in, raw arrays out; a Tensor among them, Tensors out."""
        for a in args:
            if isinstance(a, Tensor):
                return apply(self, args, params)
        return self.run(*args, **params)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def needs(self, wanted: int, arity: int, forward: bool = False) -> tuple[bool, tuple[int, ...]]:
        """What the rules of the wanted inputs (bits) ask for: the output?, which inputs."""
        try:
            return self._needs[wanted, arity, forward]
        except KeyError:
            found = self._asked(self.jvp if forward else self.vjp, wanted, arity)
            self._needs[wanted, arity, forward] = found
            return found

    @property
    def tells(self) -> bool:
        """Whether a zero that means "not selected" in its adjoint means so in those it sends."""
        return self.moves or self.vjp_selected is not self.vjp

    def plan(
        self, wanted: int, arity: int, chosen: bool = False
    ) -> tuple[bool, tuple[int, ...], Any]:
        """For the reverse sweep: the values to have, and the rules of the wanted inputs as
        (input, rule, RULE | PARTIAL | SCALES); a `shared` rule as itself.
        """
        found = self._plans.get((wanted, arity, chosen))
        if found is None:
            rules = self.vjp_selected if chosen else self.vjp
            if type(rules) is not shared:
                rules = tuple(
                    _kind(i, rules[i], chosen)
                    for i in range(arity)
                    if wanted >> i & 1 and callable(rules[i]) | bool(rules[i])
                )
            found = self._plans[wanted, arity, chosen] = (*self.needs(wanted, arity), rules)
        return found

    def _asked(self, rules: Any, wanted: int, arity: int) -> tuple[bool, tuple[int, ...]]:
        own: bool = False
        inputs: set[int] = set()
        if rules is LINEAR:
            several = wanted.bit_count() > 1
            inputs = {i for i in range(arity) if several or not wanted >> i & 1}
        elif type(rules) is shared:
            own, inputs = _values_used(rules.rule, rules.skips, arity)
        elif rules is not FLAT:
            for rule in (rules[i] for i in range(arity) if wanted >> i & 1):
                if callable(rule):
                    stated = getattr(rule, "asks", None)
                    y, xs = _values_used(stated or rule, 0 if stated else 1, arity)
                    own |= y
                    inputs |= xs
        return own, tuple(sorted(inputs))

    def align(self, nodes: Sequence[Node], out: Any) -> tuple[Node, ...]:
        """The inputs as the rules want them."""
        return tuple(nodes)

    def guard(self, value: Any, values: list[Any], params: dict[str, Any]) -> None:
        """Raise NonFiniteError if this operation is the first to make a NaN or an infinity."""
        for result in value if type(value) is tuple else (value,):
            if is_finite(result):
                continue
            fresh = _has_nan(result) and not any(map(_has_nan, values))  # ∞ − ∞, where ∞ is a mask
            if fresh or all(map(is_finite, values)):
                frame = users_frame(1)
                operands = [("abcdefgh"[i % 8], v) for i, v in enumerate(values)]
                at = frame.f_code.co_filename, frame.f_lineno
                raise born(self, "forward", result, operands, at)


RULE, PARTIAL, SCALES = object(), object(), object()


def _kind(i: int, rule: Any, chosen: bool) -> tuple[int, Any, object]:
    """How a rule is applied: x̄ = rule(ȳ, …), ȳ · partial(…), or ȳ times a number."""
    if not callable(rule):
        return i, rule, SCALES
    stated = getattr(rule, "partial", None)
    return (i, rule, RULE) if stated is None or chosen else (i, stated, PARTIAL)


def is_finite(value: Any) -> bool:
    """Whether a value, or every one of a tuple, is free of NaN and infinities."""
    if isinstance(value, tuple):
        return all(v is None or is_finite(v) for v in value)
    value = np.asarray(value)
    return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())


def _has_nan(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_nan, value))
    value = np.asarray(value)
    return value.dtype.kind in "fc" and bool(np.isnan(value).any())


def born(
    op: Primitive,
    way: str,
    result: Any,
    operands: list[tuple[str, Any]],
    at: tuple[str, int] | None,
    sender: str = "",
) -> NonFiniteError:
    """The error that tells of the first value that is not finite.

    way: "forward" or "backward"; at, sender: the user's line, and the one the adjoint came from.
    """
    result = np.asarray(result)
    bad = np.isnan(result) if np.isnan(result).any() else ~np.isfinite(result)
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    there = [(n, np.broadcast_to(v, result.shape)[index]) for n, v in operands if _fits(v, result)]
    there = there if op.pointwise else []
    who = op.name if way == "forward" else f"the rule of {op.name}, in the backward pass,"
    place_in = f" at {list(index)}" if index else ""
    names = (f"{n} = {v}" if way == "backward" else f"{v}" for n, v in there)
    values = f" from {', '.join(names)}" if there else ""
    said = f"{who} made {result[index]}{place_in}{values}"
    error = NonFiniteError(said, where=place(*at) if at else None)
    made = "nan" if np.isnan(result[index]) else "-inf" if np.real(result[index]) < 0 else "inf"
    error.facts = {
        "op": op.name,
        "born": way,
        "made": made,
        "index": index,
        "operands": there or operands,
        "at": at,
        "sender": sender,
    }
    return error


def _fits(value: Any, result: np.ndarray) -> bool:
    if isinstance(value, tuple):
        return False
    try:
        return np.broadcast_shapes(np.shape(value), result.shape) == result.shape
    except ValueError:
        return False


def _values_used(rule: Callable[..., Any], skip: int, arity: int) -> tuple[bool, set[int]]:
    """Whether a rule names its output, and which inputs, without an underscore in front."""
    code = getattr(rule, "__code__", None)
    if code is None:
        return True, set(range(arity))
    names = code.co_varnames[skip : code.co_argcount]
    kept = [not name.startswith("_") for name in names]
    inputs = {i for i, k in enumerate(kept[1 : arity + 1]) if k}
    if code.co_flags & 0x04:  # a starred argument takes the rest
        star = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
        if not star.startswith("_"):
            inputs |= set(range(max(len(kept) - 1, 0), arity))
            if not kept:
                return True, inputs
    return bool(kept and kept[0]), inputs
