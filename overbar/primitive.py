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

import sys
from collections.abc import Callable, Sequence
from functools import partial
from inspect import Parameter, Signature
from typing import Any

import numpy as np

from .context import CONTEXT, UNKNOWN
from .errors import NonFiniteError
from .graph import EMPTY, Node, newborn
from .origin import OURS, users_frame
from .spec import as_number, broadcast_shape, Spec, spec
from .apply import apply
from .handle import Tensor, new, scalar

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
LINEAR = "linear"
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
        complex: bool = False,  # noqa: A002  (the word of the field)
        numbers: bool = False,
        doc: str = "",
    ) -> None:
        self.numbers = numbers
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

    def plan(self, wanted: int, arity: int, chosen: bool = False) -> tuple[bool, tuple[int, ...], Any]:
        """For the reverse sweep: the values to have, and the rules of the wanted inputs as
        (input, rule, RULE | PARTIAL | SCALES); a `shared` rule as itself."""
        found = self._plans.get((wanted, arity, chosen))
        if found is None:
            rules = self.vjp_selected if chosen else self.vjp
            if type(rules) is not shared:
                rules = tuple(
                    _kind(i, rules[i], chosen) for i in range(arity) if wanted >> i & 1 and callable(rules[i]) | bool(rules[i])
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

    def align(self, nodes: Sequence[Node], out: Any) -> tuple[Node, ...]:  # noqa: ARG002
        """The inputs as the rules want them."""
        return tuple(nodes)

    def guard(self, value: Any, values: list[Any], params: dict[str, Any]) -> None:
        """Raise NonFiniteError if this operation is the first to make a NaN or an infinity."""
        for result in value if type(value) is tuple else (value,):
            if not _finite(result) and all(_finite(v) for v in values if not isinstance(v, tuple)):
                raise NonFiniteError(*_first_bad(self, result, values))


RULE, PARTIAL, SCALES = object(), object(), object()


def _kind(i: int, rule: Any, chosen: bool) -> tuple[int, Any, object]:
    """How a rule is applied: x̄ = rule(ȳ, …), ȳ · partial(…), or ȳ times a number."""
    if not callable(rule):
        return i, rule, SCALES
    stated = getattr(rule, "partial", None)
    return (i, rule, RULE) if stated is None or chosen else (i, stated, PARTIAL)


def _finite(value: Any) -> bool:
    value = np.asarray(value)
    return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())


def _first_bad(op: Primitive, result: Any, values: list[Any]) -> tuple[str]:
    result = np.asarray(result)
    at = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
    operands = ", ".join(
        f"{np.broadcast_to(v, result.shape)[at]}" for v in values if np.ndim(v) <= result.ndim and _fits(v, result)
    )
    index = f" at {list(at)}" if at else ""
    return (f"{op.name} made {result[at]}{index}" + (f" from {operands}" if operands else ""),)


def _fits(value: Any, result: np.ndarray) -> bool:
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


# -- elementwise ------------------------------------------------------------------------------


class Elementwise(Primitive):
    """Applied entry by entry: inputs of one shape, the partial derivatives are the whole rule."""

    weakens = True
    pointwise = True

    def __init__(
        self,
        name: str,
        *,
        forward: str | Callable[..., Any],
        partials: Any = (),
        rules: Any = None,
        promotes: Sequence[int] | None = None,
        domain: tuple[float, float] | Sequence[tuple[float, float]] = (-2.0, 2.0),
        arity: int = 1,
        complex: bool = False,  # noqa: A002
        **facts: Any,
    ) -> None:
        self.partials, self.arity, self.domain = partials, arity, domain
        self.promotes = tuple(range(arity)) if promotes is None else tuple(promotes)
        self._dtypes: dict[Any, np.dtype] = {}
        strong = "partial" if facts.get("selects") else ""
        rules = rules or (FLAT if partials is FLAT else tuple(_product(p, strong=strong) for p in partials))
        super().__init__(
            name,
            forward=forward,
            shape=self.result,
            vjp=rules,
            jvp=rules,
            batch=self._batched,
            moves=True,
            numbers=True,
            complex=complex,
            **facts,
        )
        if partials is not FLAT and not self.selects:
            self.vjp_selected = tuple(_product(p, strong="bar") for p in partials)
            if arity <= 2:  # noqa: PLR2004  (what the sweep's fast path takes)
                self.plans = {w: self.plan(w, arity) for w in range(1, 1 << arity)}

    def result(self, *specs: Spec, **params: Any) -> Spec:
        """The Spec of the result: the common shape, and the dtype that forward really makes."""
        shape = broadcast_shape(self.name, {"abcdef"[i]: s.shape for i, s in enumerate(specs)})
        key = (*((s.dtype, s.weak) for s in specs), *params.items()) if _hashable(params) else None
        dtype = self._dtypes.get(key) if key is not None else None
        if dtype is None:
            ones = [s.dtype.type(1).item() if s.weak else np.ones((1,), s.dtype) for s in specs]
            with np.errstate(all="ignore"):
                dtype = np.asarray(self.run(*ones, **params)).dtype
            if key is not None:
                self._dtypes[key] = dtype
        return spec(shape, dtype, all(s.weak for s in specs))

    def align(self, nodes: Sequence[Node], out: Spec) -> tuple[Node, ...]:
        """Broadcasts and casts as nodes of their own, so that no rule has to undo them."""
        if len(self.promotes) < len(nodes) or any(
            x.spec is not out and (x.mask or not x.spec.weak) for x in nodes
        ):
            together = [nodes[i].spec for i in self.promotes if i < len(nodes)]
            dtype = _common(together)
            return tuple(
                _aligned(x, out.shape, dtype if i in self.promotes else None) for i, x in enumerate(nodes)
            )
        return tuple(nodes)

    def __call__(self, *args: Any, **params: Any) -> Any:
        """As `Primitive.__call__`; Python numbers in, a Python number out: it stays weak."""
        value = super().__call__(*args, **params)
        if type(value) is not Tensor and all(type(a) in (int, float, complex, bool) for a in args):
            return as_number(value)
        return value

    def _batched(self, _n: int, _mapped: Sequence[bool], /, *xs: Any, **params: Any) -> Any:
        return self(*xs, **params)


def _hashable(params: dict[str, Any]) -> bool:
    try:
        hash(tuple(params.values()))
    except TypeError:
        return False
    return True


def _common(specs: Sequence[Spec]) -> np.dtype:
    """NumPy's dtype for these together; Python numbers are weak."""
    return np.result_type(*(s.dtype.type(1).item() if s.weak else s.dtype for s in specs))


def _aligned(node: Node, shape: tuple[int, ...], dtype: np.dtype | None) -> Node:
    if node.spec.weak and not node.mask:
        return node
    if dtype is not None and node.spec.dtype != dtype:
        node = _implicit("cast", node, {"dtype": dtype}, spec(node.spec.shape, dtype))
    if node.spec.shape != shape:
        node = _implicit("broadcast", node, {"shape": shape}, spec(shape, node.spec.dtype))
    return node


def _implicit(name: str, x: Node, params: dict[str, Any], out: Spec) -> Node:
    """A node that eager execution skips: if a rule needs its value, it holds its source's."""
    mask = x.mask
    if name == "cast" and not out.floating or not x.spec.floating:
        mask &= UNKNOWN | CONTEXT.get().staging
    frame = users_frame(4)
    return Node(PRIMITIVES[name], (x,), params, out, mask=mask, code=frame.f_code, at=frame.f_lasti)


def _product(p: Any, *, strong: str = "") -> Any:
    """The rule from a partial: bar · ∂y/∂x, in either direction, for the reverse rule and the
    forward one are the same. The numbers 1 and -1 stay themselves, and cost nothing.

    strong: which of the two wins where it is zero, whatever the other ("bar", "partial", or none)
    """
    if not callable(p):
        return p
    if strong == "bar":

        def rule(bar: Any, *operands: Any, **params: Any) -> Any:
            return PRIMITIVES["times"](bar, p(*operands, **params))
    elif strong == "partial":

        def rule(bar: Any, *operands: Any, **params: Any) -> Any:
            return PRIMITIVES["times"](p(*operands, **params), bar)
    else:

        def rule(bar: Any, *operands: Any, **params: Any) -> Any:
            return bar * p(*operands, **params)

        rule.partial = p  # type: ignore[attr-defined]
    rule.asks = p  # type: ignore[attr-defined]
    return rule


def elementwise(name: str, *, namespace: str | None = "", **facts: Any) -> Elementwise:
    """A primitive applied entry by entry, offered to users as `ob.name` (or in a namespace).

    Stating the partial derivatives, one per input, as a function of (y, *xs, **params) or as the
    number 1 or -1, is enough: the reverse rule, the forward rule, the batching rule and the
    diagonal Jacobian follow.
    """
    op = Elementwise(name, **facts)
    if namespace is not None:
        public(caller(op), namespace=namespace)
    return op


# -- the fast paths ---------------------------------------------------------------------------


def caller(op: Elementwise) -> Callable[..., Tensor]:
    """The public function of an elementwise primitive: `apply`, written out for the common case.

    Measured: this is what keeps an eager operation at a fraction of PyTorch's time; `apply` stays
    beside it as the plain version, and the tests hold them equal.
    """
    function = _binary(op) if op.arity == 2 else _unary(op) if op.arity == 1 else _nary(op)
    function.__name__ = function.__qualname__ = op.name
    letters = "xyzuvw"[: op.arity] if op.arity != 2 else "ab"
    function.__doc__ = op.doc
    function.__signature__ = Signature([Parameter(c, Parameter.POSITIONAL_ONLY) for c in letters])  # type: ignore[attr-defined]
    function.primitive = op  # type: ignore[attr-defined]
    return function


def _nary(op: Elementwise) -> Callable[..., Tensor]:
    def function(*args: Any) -> Tensor:
        return apply(op, args)

    return function


def _unary(op: Elementwise) -> Callable[..., Tensor]:
    run, flat = op.run, op.flat
    outs: dict[Spec, Spec] = {}

    def function(x: Any, /) -> Tensor:
        context = CONTEXT.get()
        if type(x) is not Tensor or not context.plain:
            return apply(op, (x,))
        value, before = x.value, x._node
        if value is None:
            return apply(op, (x,))
        try:
            y = run(value)
        except Exception:  # noqa: BLE001  (apply raises it again, in overbar's words)
            return apply(op, (x,))
        t = new(Tensor)
        t.value = y
        out = outs.get(x.spec)
        if out is None:
            out = outs[x.spec] = spec(np.shape(y), np.result_type(y), x.spec.weak)
        if out.weak:
            t.value = y = as_number(y)  # Python numbers in, a Python number out
        t.spec = out
        if before is None or flat or not (mask := before.mask & context.allowed):
            t._node = None
            return t
        t._node = node = new(Node)
        node.op, node.inputs, node.params, node.spec = op, (before,), EMPTY, out
        node.mask, node.serial = mask, newborn()
        own, wanted = op.needs(1, 1)
        node.value = y if own else None
        if wanted:
            before.value = value
        frame = sys._getframe(1)
        node.code = code = frame.f_code
        if code.co_filename in OURS:
            frame = users_frame(1)
            node.code = frame.f_code
        node.at = frame.f_lasti
        return t

    return function


def _binary(op: Elementwise) -> Callable[..., Tensor]:
    run, flat = op.run, op.flat
    table = [op.needs(i, 2) for i in range(4)]
    outs: dict[Any, Spec] = {}

    def function(a: Any, b: Any, /) -> Tensor:
        context = CONTEXT.get()
        if not context.plain:
            return apply(op, (a, b))
        if type(a) is Tensor:
            x, na, key = a.value, a._node, a.spec
            if type(b) is Tensor:
                y, nb = b.value, b._node
                if b.spec is not key:
                    if (na is not None and na.mask) or (nb is not None and nb.mask):
                        return apply(op, (a, b))
                    key = key, b.spec  # NumPy aligns them; there is no history to align
            elif type(b) is float or type(b) is int:
                y, nb, key = b, None, (key, type(b))
            else:
                return apply(op, (a, b))
        elif type(a) is float or type(a) is int:
            x, na, y, nb, key = a, None, b.value, b._node, (type(a), b.spec)
        else:
            return apply(op, (a, b))
        if x is None or y is None:
            return apply(op, (a, b))
        try:
            z = run(x, y)
        except Exception:  # noqa: BLE001  (apply raises it again, in overbar's words)
            return apply(op, (a, b))
        t = new(Tensor)
        t.value = z
        out = outs.get(key)
        if out is None:
            weak = all(not isinstance(c, Tensor) or c.spec.weak for c in (a, b))
            out = outs[key] = spec(np.shape(z), np.result_type(z), weak)
        if out.weak:
            t.value = z = as_number(z)  # Python numbers in, a Python number out
        t.spec = out
        if flat:
            t._node = None
            return t
        mask = ((na.mask if na is not None else 0) | (nb.mask if nb is not None else 0)) & context.allowed
        if not mask:
            t._node = None
            return t
        if na is None:
            na = a.node if type(a) is Tensor else scalar(a)._node
        if nb is None:
            nb = b.node if type(b) is Tensor else scalar(b)._node
        t._node = node = new(Node)
        node.op, node.inputs, node.params, node.spec = op, (na, nb), EMPTY, out
        node.mask, node.serial = mask, newborn()
        own, wanted = table[(1 if na.mask else 0) | (2 if nb.mask else 0)]
        node.value = z if own else None
        for i in wanted:
            if i:
                nb.value = y
            else:
                na.value = x
        frame = sys._getframe(1)
        node.code = code = frame.f_code
        if code.co_filename in OURS:
            frame = users_frame(1)
            node.code = frame.f_code
        node.at = frame.f_lasti
        return t

    return function
