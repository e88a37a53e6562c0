"""Operations applied entry by entry: they state their partial derivatives and inherit the rest.

From the partials follow the reverse rule and the forward rule (which are one and the same), the
batching rule, and the diagonal Jacobian. Inputs of different shapes and dtypes are brought together
here, by nodes of their own, so that no rule has to undo it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .apply import explained
from .context import CONTEXT, UNKNOWN
from .errors import DTypeError, OverbarError
from .fast import caller
from .graph import Node, number
from .handle import Tensor
from .origin import users_frame
from .primitive import FLAT, PRIMITIVES, Primitive, public
from .spec import Spec, as_number, broadcast_shape, spec


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
        complex: bool = False,
        **facts: Any,
    ) -> None:
        self.partials, self.arity, self.domain = partials, arity, domain
        self.promotes = tuple(range(arity)) if promotes is None else tuple(promotes)
        self._dtypes: dict[Any, np.dtype] = {}
        strong = "partial" if facts.get("selects") else ""
        rules = rules or (
            FLAT if partials is FLAT else tuple(_product(p, strong=strong) for p in partials)
        )
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
        if callable(forward) and not complex:
            self.run = _of_reals(name, self.run)
        if partials is not FLAT:
            strong = "both" if self.selects else "bar"
            self.vjp_selected = tuple(_product(p, strong=strong) for p in partials)
            if not self.selects and arity <= 2:
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
                _aligned(x, out.shape, dtype if i in self.promotes else None)
                for i, x in enumerate(nodes)
            )
        return tuple(nodes)

    def fitted(self, nodes: list[Node], params: dict[str, Any], out: Spec) -> list[Node]:
        """The inputs, before their values are known, with Python's integers that the dtype of the
        others has no room for: refused, as by NumPy, or ±∞ where they are compared with.
        """
        if out.dtype.kind not in "biu":
            return nodes
        numbers = [x for x in nodes if x.spec.weak and type(x.value) is int]
        arrays = [x.spec.dtype for x in nodes if not x.spec.weak]
        if not numbers or not arrays:
            return nodes
        if out.dtype.kind != "b":
            ones = [x.value if x in numbers else np.ones((1,), x.spec.dtype) for x in nodes]
            try:
                with np.errstate(all="ignore"):
                    self.run(*ones, **params)
            except OverbarError:
                raise
            except Exception as error:  # noqa: BLE001  (NumPy's, told as `apply` does)
                raise explained(self, nodes, params, error) from None
            return nodes
        room = [np.iinfo(d) for d in arrays if d.kind in "iu"]
        beyond = {
            x: number(math.copysign(math.inf, x.value))
            for x in numbers
            if room and not min(r.min for r in room) <= x.value <= max(r.max for r in room)
        }
        return [beyond.get(x, x) for x in nodes]

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
    if (name == "cast" and not out.floating) or not x.spec.floating:
        mask &= UNKNOWN | CONTEXT.get().staging
    frame = users_frame(4)
    return Node(PRIMITIVES[name], (x,), params, out, mask=mask, code=frame.f_code, at=frame.f_lasti)


def _of_reals(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """A forward that refuses complex numbers, which its formula would get wrong without a word."""

    def refusing(*values: Any, **params: Any) -> Any:
        for v in values:
            dtype = getattr(v, "dtype", None)
            if type(v) is complex or (dtype is not None and dtype.kind == "c"):
                raise DTypeError(f"{name} is not defined for complex numbers here", got={"x": v})
        return run(*values, **params)

    return refusing


def _product(p: Any, *, strong: str = "") -> Any:
    """The rule from a partial: bar · ∂y/∂x, in either direction, for the reverse rule and the
    forward one are the same. The numbers 1 and -1 stay themselves, and cost nothing.

    strong: which of the two wins where it is zero, whatever the other ("bar", "partial", "both", or
    none)
    """
    if not callable(p):
        return p
    if strong == "bar":

        def rule(bar: Any, *operands: Any, **params: Any) -> Any:
            return PRIMITIVES["times"](bar, p(*operands, **params))
    elif strong == "partial":

        def rule(bar: Any, *operands: Any, **params: Any) -> Any:
            return PRIMITIVES["times"](p(*operands, **params), bar)
    elif strong == "both":

        def rule(bar: Any, *operands: Any, **params: Any) -> Any:
            nothing = PRIMITIVES["equal"](bar, 0)
            product = PRIMITIVES["times"](p(*operands, **params), bar)
            return PRIMITIVES["where"](nothing, 0.0, product)
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
