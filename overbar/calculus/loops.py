"""Loops as single nodes: scan, while_loop, fori_loop, map.

The body is a Graph. The reverse of a scan is a scan the other way round, over the carries that each
step began with; the reverse of a while counts its trips, and then is scan's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..capture import Captured, Trace, inline
from ..context import CONTEXT, EVERY, within
from ..errors import ShapeError, StructureError
from ..graph import Graph
from ..handle import Tensor, as_tensor, asarray, from_value
from ..ops.arithmetic import where
from ..ops.movement import move_axis, parts
from ..ops.repeat import broadcast_to, reshape
from ..primitive import Primitive, shared
from ..replay import interpret
from ..spec import Spec, spec, spec_of
from ..trees import Structure, same_structure, tree_flatten, tree_unflatten
from .calls import arrived, floating, traced, whole
from .derived import for_lanes, pulled, pushed

# A scan's inputs are: its constants, its carries, its xs. The body takes a slice of the xs and
# gives the next carries, then the ys.


def _counts(params: dict[str, Any]) -> tuple[int, int]:
    return params["constants"], params["carries"]


def _run_scan(xp: Any, *inputs: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool) -> tuple:
    fixed, carry, xs = inputs[:constants], list(inputs[constants : constants + carries]), inputs[constants + carries :]
    ys = [np.empty((length, *y.spec.shape), y.spec.dtype) for y in body.outputs[carries:]]
    for t in range(length - 1, -1, -1) if reverse else range(length):
        outs = interpret(body, [*fixed, *carry, *(x[t] for x in xs)])
        carry = outs[:carries]
        for y, row in zip(ys, outs[carries:], strict=True):
            y[t] = row
    return (*carry, *ys)


def _scan_shape(*inputs: Spec, body: Graph, constants: int, carries: int, length: int, reverse: bool) -> tuple:
    outs = body.outputs
    return (
        *(y.spec for y in outs[:carries]),
        *(spec((length, *y.spec.shape), y.spec.dtype) for y in outs[carries:]),
    )


def _scan_back(wanted: Sequence[bool], y_bars: Any, _ys: Any, *inputs: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool) -> list[Any]:
    k, c = constants, carries
    fixed, start, xs = inputs[:k], inputs[k : k + c], inputs[k + c :]
    began = _began(body, k, c)
    history = parts(scan_(*inputs, body=began, constants=k, carries=c, length=length, reverse=reverse))[c:]
    smooth = floating(body.inputs)
    bars_of_fixed = [i for i in smooth if i < k and wanted[i]]
    bars_of_carry = [i for i in smooth if k <= i < k + c]
    bars_of_xs = [i for i in smooth if i >= k + c and wanted[i]]
    ys = [j for j in arrived(y_bars) if j >= c]
    back = _backward_body(body, k, c, tuple(bars_of_fixed), tuple(bars_of_carry), tuple(bars_of_xs), tuple(ys))
    begin = [zeros_like(fixed[i]) for i in bars_of_fixed]
    begin += [zeros_like(start[i - k]) if y_bars[i - k] is None else y_bars[i - k] for i in bars_of_carry]
    outs = parts(scan_(
        *fixed, *begin, *history, *xs, *(y_bars[j] for j in ys),
        body=back, constants=k, carries=len(begin), length=length, reverse=not reverse,
    ))  # fmt: skip
    found = dict(zip([*bars_of_fixed, *bars_of_carry, *bars_of_xs], outs, strict=True))
    return [found.get(i) if w else None for i, w in enumerate(wanted)]


def zeros_like(x: Any) -> Any:
    """Zeros, raw: they mix with both worlds."""
    of = strong(x)
    return np.zeros(of.shape, of.dtype)


def strong(x: Any) -> Spec:
    """The Spec of an operand of either world; a Python number counts as an array."""
    of = x if isinstance(x, Spec) else x.spec if isinstance(x, Tensor) else spec_of(x)
    return spec(of.shape, of.dtype)


def _began(body: Graph, k: int, c: int) -> Graph:
    """The body, whose ys are the carries it began with."""
    if "began" not in body.derived:
        body.derived["began"] = Graph(body.inputs, [*body.outputs[:c], *body.inputs[k : k + c]])
    return body.derived["began"]


def _backward_body(body: Graph, k: int, c: int, fixed: tuple, carry: tuple, xs: tuple, ys: tuple) -> Graph:
    """One step backwards: (constants; adjoints of constants and carries; carries, xs, adjoints of ys)
    -> (adjoints of constants and carries; adjoints of xs)."""
    key = "backward", fixed, carry, xs, ys
    if key not in body.derived:
        outputs = (*(i - k for i in carry), *ys)
        back = pulled(body, (*fixed, *carry, *xs), outputs)
        inputs = list(back.inputs)
        n = len(body.inputs)
        with Trace() as trace:
            constants = [trace.argument(x.spec) for x in inputs[:k]]
            sums = [trace.argument(body.inputs[i].spec) for i in fixed]
            carry_bars = [trace.argument(x.spec) for x in inputs[n : n + len(carry)]]
            began = [trace.argument(x.spec) for x in inputs[k : k + c]]
            rows = [trace.argument(x.spec) for x in inputs[k + c : n]]
            row_bars = [trace.argument(x.spec) for x in inputs[n + len(carry) :]]
            outs = inline(back, [*constants, *began, *rows, *carry_bars, *row_bars])
            outs = [*(s + b for s, b in zip(sums, outs, strict=False)), *outs[len(fixed) :]]
        body.derived[key] = Graph([t.node for t in trace.arguments], [t.node for t in outs])
    return body.derived[key]


def _scan_dot(dots: Sequence[Any], _ys: Any, *inputs: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool) -> Any:
    k, c = constants, carries
    smooth = floating(body.inputs)
    of_fixed = [i for i in smooth if i < k and dots[i] is not None]
    of_carry = [i for i in smooth if k <= i < k + c]
    of_xs = [i for i in smooth if i >= k + c and dots[i] is not None]
    ahead = _forward_body(body, k, c, tuple(of_fixed), tuple(of_carry), tuple(of_xs))
    fixed, start, xs = inputs[:k], inputs[k : k + c], inputs[k + c :]
    begin = [zeros_like(inputs[i]) if dots[i] is None else dots[i] for i in of_carry]
    outs = parts(scan_(
        *fixed, *(dots[i] for i in of_fixed), *start, *begin, *xs, *(dots[i] for i in of_xs),
        body=ahead, constants=k + len(of_fixed), carries=c + len(of_carry), length=length, reverse=reverse,
    ))  # fmt: skip
    after = outs[c + len(of_carry) :]
    found = dict(zip((i - k for i in of_carry), outs[c : c + len(of_carry)], strict=True))
    ys = after[len(body.outputs) - c :]
    return tuple(found.get(j) for j in range(c)) + tuple(ys)


def _forward_body(body: Graph, k: int, c: int, fixed: tuple, carry: tuple, xs: tuple) -> Graph:
    """One step with tangents: (constants, ẋ of constants; carries, ẋ of carries; xs, ẋ of xs) ->
    (carries, their tangents; ys, their tangents)."""
    key = "forward", fixed, carry, xs
    if key not in body.derived:
        ahead = pushed(body, (*fixed, *carry, *xs), primal=True)
        n, m = len(body.inputs), len(body.outputs)
        groups = [ahead.inputs[:k], ahead.inputs[n : n + len(fixed)], ahead.inputs[k : k + c],
                  ahead.inputs[n + len(fixed) : n + len(fixed) + len(carry)], ahead.inputs[k + c : n],
                  ahead.inputs[n + len(fixed) + len(carry) :]]  # fmt: skip
        outs, dots = ahead.outputs[:m], ahead.outputs[m:]
        body.derived[key] = Graph(
            [x for g in groups for x in g], [*outs[:c], *(dots[i - k] for i in carry), *outs[c:], *dots[c:]]
        )
    return body.derived[key]


def _scan_lanes(n: int, mapped: Sequence[bool], *inputs: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool) -> Any:
    k, c = constants, carries
    mapped = list(mapped)
    while True:  # a carry has lanes if it starts with them, or if the body gives it some
        force = (*mapped[k : k + c], *(True,) * (len(body.outputs) - c))
        wide, out = for_lanes(body, n, tuple(mapped), force)
        if list(out[:c]) == mapped[k : k + c]:
            break
        mapped[k : k + c] = out[:c]
    given = [x if m == w or not w else broadcast_to(x, (n, *x.shape))
             for x, m, w in zip(inputs, _given(mapped, inputs, body, length, k + c), mapped, strict=True)]  # fmt: skip
    given = [move_axis(x, 0, 1) if i >= k + c and m else x for i, (x, m) in enumerate(zip(given, mapped, strict=True))]
    outs = parts(scan_(*given, body=wide, constants=k, carries=c, length=length, reverse=reverse))
    last = [y if m else broadcast_to(y, (n, *y.shape)) for y, m in zip(outs[:c], mapped[k : k + c], strict=True)]
    return (*last, *(move_axis(y, 1, 0) for y in outs[c:]))


def _given(mapped: Sequence[bool], inputs: Sequence[Any], body: Graph, length: int, first_x: int) -> list[bool]:
    """Which inputs have lanes already: one axis more than the body's."""
    return [x.ndim == b.spec.ndim + (i >= first_x) + 1 for i, (x, b) in enumerate(zip(inputs, body.inputs, strict=True))]


scan_ = Primitive(
    "scan", numbers=True, forward=_run_scan, shape=_scan_shape, vjp=shared(_scan_back, 2), jvp=shared(_scan_dot),
    batch=_scan_lanes, complex=True, doc="A loop over the first axis, as one operation.",
)  # fmt: skip


def scan(f: Callable[..., Any], init: Any, xs: Any = None, length: int | None = None, reverse: bool = False) -> tuple[Any, Any]:
    """(carry, ys) of the loop `carry, y = f(carry, x)` over the first axis of xs, as one node.

    init is the first carry; each carry has its structure, shapes and dtypes. xs and ys may be trees
    (or None, then `length` counts the steps). With `reverse` the loop runs from the last x to the first.
    Handles that the body rebinds are carried along.

    Raises:  ShapeError if a step changes the carry, or if the xs differ in length.
    Example:
        >>> total, sums = ob.scan(lambda c, x: (c + x, c + x), 0.0, np.array([1.0, 2.0, 3.0]))
        >>> float(total), sums
        (6.0, Tensor([1., 3., 6.], float64))
    """
    xs_leaves, xs_tree = tree_flatten(xs)
    rows = [asarray(x) for x in xs_leaves]
    for x in rows:
        if not x.ndim:
            raise ShapeError("scan: xs is looped over along its first axis, a number has none", got={"xs": x})
    lengths = {x.shape[0] for x in rows} | ({int(length)} if length is not None else set())
    if len(lengths) != 1:
        raise ShapeError(
            "scan: how many steps?" if not lengths else "scan: the xs differ in length",
            got={f"xs {i}": x for i, x in enumerate(rows)}, want="one length for all xs, or length=",
        )  # fmt: skip
    steps = lengths.pop()

    def body(carry: Any, row: list[Tensor]) -> Any:
        pair = f(carry, tree_unflatten(xs_tree, row))
        if not isinstance(pair, tuple) or len(pair) != 2:  # noqa: PLR2004
            raise StructureError("scan: the body returns a pair (carry, y)", got={"result": type(pair).__name__})
        return pair

    loop = _Loop("scan", body, init, [spec(x.shape[1:], x.dtype) for x in rows])
    graph, fixed, carry = loop.graph, loop.fixed, loop.carry
    outs = parts(apply(scan_, (*fixed, *carry, *rows), {
        "body": graph, "constants": len(fixed), "carries": len(carry), "length": steps, "reverse": bool(reverse),
    }))  # fmt: skip
    loop.rebind(outs)
    return loop.carry_of(outs), tree_unflatten(loop.y_tree, outs[len(carry) :])


class _Loop:
    """A loop's body as a Graph of (constants, carries, rows) -> (carries, ys), and what to feed it."""

    def __init__(self, what: str, body: Callable[..., Any], init: Any, rows: list[Spec], *, ys: bool = True) -> None:
        leaves, self.tree = tree_flatten(init)
        start = [asarray(x) for x in leaves]
        self.y_tree: Structure = tree_flatten(None)[1]
        for _ in range(3):  # an integer start that becomes a float is made one first
            captured = self._captured(what, body, start, rows, ys)
            outs = captured.graph.outputs[: len(start)]
            dtypes = [np.result_type(s.dtype, o.spec.dtype) for s, o in zip(start, outs, strict=True)]
            weak = [bool(x is not s and not isinstance(x, Tensor)) for x, s in zip(leaves, start, strict=True)]
            if all(d == s.dtype or not w for d, s, w in zip(dtypes, start, weak, strict=True)):
                break
            start = [as_tensor(s, d) if w else s for s, d, w in zip(start, dtypes, weak, strict=True)]
        for i, (s, o) in enumerate(zip(start, outs, strict=True)):
            if s.spec is not o.spec:
                raise ShapeError(
                    f"{what}: a step changes the carry" + (f" (its part {i})" if len(start) > 1 else ""),
                    got={"before": s, "after": o.spec},
                    want="the same shape and dtype before and after each step",
                    hint="convert with .astype, or start from a carry of the shape it takes",
                )
        if captured.grads:
            raise StructureError(f"{what}: the body wrote a .grad", hint="use ob.grad inside, or backward() outside")
        n = len(start)
        graph, reads = captured.graph, captured.reads
        handles = captured.rebinds
        read_nodes = dict(zip((id(r.handle) for r in reads), graph.inputs[n + len(rows) :], strict=True))
        rebound_ids = {id(h) for h in handles}
        fixed_nodes = [read_nodes[id(r.handle)] for r in reads if id(r.handle) not in rebound_ids]
        self.fixed = [r.now for r in reads if id(r.handle) not in rebound_ids]
        with Trace() as trace:
            carried = [read_nodes.get(id(h)) or trace.argument(h.spec).node for h in handles]
        self.handles = handles
        self.carry = [*start, *handles]
        rebound = graph.outputs[captured.results :]
        self.graph = Graph(
            [*fixed_nodes, *graph.inputs[:n], *carried, *graph.inputs[n : n + len(rows)]],
            [*graph.outputs[:n], *rebound, *graph.outputs[n : captured.results]],
        )
        self.count = n

    def _captured(self, what: str, body: Any, start: list[Tensor], rows: list[Spec], ys: bool) -> Captured:
        n = len(start)

        def flat(*inner: Tensor) -> Any:
            result = body(tree_unflatten(self.tree, inner[:n]), *([list(inner[n:])] if ys else []))
            carry, y = result if ys else (result, None)
            out, structure = tree_flatten(carry)
            same_structure(what, self.tree, structure, ("the carry before a step", "the carry after it"))
            y_leaves, self.y_tree = tree_flatten(y)
            return [*out, *y_leaves]

        return traced(flat, [*start, *rows])

    def carry_of(self, outs: Sequence[Tensor]) -> Any:
        return tree_unflatten(self.tree, outs[: self.count])

    def rebind(self, outs: Sequence[Tensor]) -> None:
        for handle, to in zip(self.handles, outs[self.count :], strict=False):
            handle.rebind(to)


# -- while ------------------------------------------------------------------------------------
# A while's inputs are the constants of its test, those of its body, and the carries.


def _run_while(xp: Any, *inputs: Any, test: Graph, body: Graph, of_test: int, of_body: int) -> tuple:
    asked, fixed, carry = inputs[:of_test], inputs[of_test : of_test + of_body], list(inputs[of_test + of_body :])
    while bool(interpret(test, [*asked, *carry])[0]):
        carry = interpret(body, [*fixed, *carry])
    return tuple(carry)


def _trips(inputs: Sequence[Any], test: Graph, body: Graph, of_test: int, of_body: int) -> int:
    asked, fixed, carry = inputs[:of_test], inputs[of_test : of_test + of_body], list(inputs[of_test + of_body :])
    n = 0
    while bool(interpret(test, [*asked, *carry])[0]):
        carry = interpret(body, [*fixed, *carry])
        n += 1
    return n


def _as_scan(inputs: Sequence[Any], test: Graph, body: Graph, of_test: int, of_body: int) -> tuple[Any, ...]:
    """The carries after the loop, by a scan of as many steps; the values must be known."""
    values = [x.value if isinstance(x, Tensor) else x for x in inputs]
    n = _trips(values, test, body, of_test, of_body)
    carries = len(inputs) - of_test - of_body
    return parts(scan_(*inputs[of_test:], body=body, constants=of_body, carries=carries, length=n, reverse=False))


def _while_back(wanted: Sequence[bool], y_bars: Any, _ys: Any, *inputs: Any, test: Graph, body: Graph, of_test: int, of_body: int) -> list[Any]:
    smooth = floating([*test.inputs[:of_test], *body.inputs])
    chosen = tuple(i for i in smooth if wanted[i] and i >= of_test)
    sent = arrived(y_bars)

    def back(*args: Any) -> Any:
        from .transforms import vjp  # the sweep inside the deferred function is an ordinary one

        values, bars = list(args[: len(inputs)]), args[len(inputs) :]

        def loop(*xs: Any) -> Any:
            full = list(values)
            for i, x in zip(chosen, xs, strict=True):
                full[i] = x
            outs = _as_scan(full, test, body, of_test, of_body)
            return [outs[j] for j in sent]

        _, pull = vjp(loop, *(values[i] for i in chosen))
        return list(pull(list(bars)))

    specs = tuple(strong(inputs[i]) for i in chosen)
    found = dict(zip(chosen, parts(deferred_(*inputs, *(y_bars[j] for j in sent), f=back, specs=specs)), strict=True))
    return [found.get(i) for i in range(len(inputs))]


def _while_dot(dots: Sequence[Any], _ys: Any, *inputs: Any, test: Graph, body: Graph, of_test: int, of_body: int) -> Any:
    k = of_test + of_body
    of_fixed = tuple(i - of_test for i in range(of_test, k) if dots[i] is not None)
    carry = tuple(i for i in floating(body.inputs) if i >= of_body)
    ahead = _forward_body(body, of_body, len(inputs) - k, of_fixed, carry, ())
    begin = [zeros_like(inputs[of_test + i]) if dots[of_test + i] is None else dots[of_test + i] for i in carry]
    with Trace() as trace:
        asked = [trace.argument(x.spec) for x in [*test.inputs, *(body.inputs[i] for i in carry)]]
        (go,) = inline(test, asked[: len(test.inputs)])
    longer = Graph([t.node for t in asked], [go.node])
    outs = parts(while_(
        *inputs[:k], *(dots[of_test + i] for i in of_fixed), *inputs[k:], *begin,
        test=longer, body=ahead, of_test=of_test, of_body=of_body + len(of_fixed),
    ))  # fmt: skip
    count = len(inputs) - k
    found = dict(zip((i - of_body for i in carry), outs[count:], strict=True))
    return tuple(found.get(j) for j in range(count))


def _while_lanes(n: int, mapped: Sequence[bool], *inputs: Any, test: Graph, body: Graph, of_test: int, of_body: int) -> Any:
    """All lanes go on until the last one stops; one that has stopped keeps its carry."""
    k = of_test + of_body
    inputs = [*inputs[:k], *whole(n, mapped[k:], inputs[k:])]
    carries = len(inputs) - k
    lanes = (True,) * carries
    wide_test, _ = for_lanes(test, n, (*mapped[:of_test], *lanes), (True,))
    wide_body, _ = for_lanes(body, n, (*mapped[of_test:k], *lanes), lanes)
    with Trace() as trace:
        asked = [trace.argument(x.spec) for x in wide_test.inputs]
        (going,) = inline(wide_test, asked)
        from ..primitive import PUBLIC

        go = PUBLIC[""]["any"](going)
    any_test = Graph([t.node for t in asked], [go.node])
    with Trace() as trace:
        a = [trace.argument(x.spec) for x in wide_test.inputs[:of_test]]
        b = [trace.argument(x.spec) for x in wide_body.inputs[:of_body]]
        carry = [trace.argument(x.spec) for x in wide_body.inputs[of_body:]]
        (going,) = inline(wide_test, [*a, *carry])
        after = inline(wide_body, [*b, *carry])
        masked = [where(_to(going, y.shape), y, x) for y, x in zip(after, carry, strict=True)]
    masked_body = Graph([t.node for t in trace.arguments], [t.node for t in masked])
    return while_(
        *inputs[:of_test], *inputs[:k], *inputs[k:], test=any_test, body=masked_body, of_test=of_test, of_body=k
    )


def _to(condition: Tensor, shape: tuple[int, ...]) -> Tensor:
    return broadcast_to(reshape(condition, (*condition.shape, *(1,) * (len(shape) - condition.ndim))), shape)


while_ = Primitive(
    "while", numbers=True, forward=_run_while, vjp=shared(_while_back, 2), jvp=shared(_while_dot), batch=_while_lanes, complex=True,
    shape=lambda *inputs, test, body, of_test, of_body: tuple(y.spec for y in body.outputs),
    doc="A loop as long as a test holds, as one operation.",
)  # fmt: skip


def while_loop(cond_fun: Callable[..., Any], body_fun: Callable[..., Any], init: Any) -> Any:
    """The carry after `while cond_fun(carry): carry = body_fun(carry)`, as one node.

    Differentiable both ways: the reverse counts the trips and goes back over them.

    Raises:  ShapeError if a step changes the carry, or if the test gives no single truth value.
    Example:
        >>> root = lambda a: ob.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, 1.0)
        >>> bool(abs(float(ob.grad(root)(2.0)) - 0.5 / 2**0.5) < 1e-9)
        True
    """
    loop = _Loop("while_loop", body_fun, init, [], ys=False)
    start = loop.carry[: loop.count]
    tested = traced(lambda *xs: [cond_fun(tree_unflatten(loop.tree, xs))], start)
    verdict = tested.graph.outputs[0].spec
    if tested.results != 1 or verdict.shape != () or verdict.dtype.kind != "b":
        raise ShapeError("while_loop: the test gives no single truth value", got={"test": verdict}, want="bool[]")
    n, handles = loop.count, len(loop.handles)
    reads = tested.graph.inputs[n:]
    mine = {id(h): i for i, h in enumerate(loop.handles)}
    fixed = [(r.now, node) for r, node in zip(tested.reads, reads, strict=True) if id(r.handle) not in mine]
    by_handle = {id(r.handle): node for r, node in zip(tested.reads, reads, strict=True)}
    with Trace() as trace:
        rest = [by_handle.get(id(h)) or trace.argument(h.spec).node for h in loop.handles]
    test = Graph([*(node for _, node in fixed), *tested.graph.inputs[:n], *rest], tested.graph.outputs[:1])
    assert handles == len(rest)
    outs = parts(apply(while_, (*(t for t, _ in fixed), *loop.fixed, *loop.carry), {
        "test": test, "body": loop.graph, "of_test": len(fixed), "of_body": len(loop.fixed),
    }))  # fmt: skip
    loop.rebind(outs)
    return loop.carry_of(outs)


def fori_loop(lo: Any, hi: Any, body_fun: Callable[..., Any], init: Any) -> Any:
    """The carry after `for i in range(lo, hi): carry = body_fun(i, carry)`, as one node.

    Example:
        >>> float(ob.fori_loop(0, 4, lambda i, c: c * 2.0, 1.0))
        16.0
    """
    known = all(isinstance(n, int | np.integer) or (isinstance(n, Tensor) and n.value is not None) for n in (lo, hi))
    if known and CONTEXT.get().trace is None or all(isinstance(n, int | np.integer) for n in (lo, hi)):
        numbers = from_value(np.arange(int(lo), int(hi)))
        return scan(lambda c, i: (body_fun(i, c), None), init, numbers)[0]
    last = as_tensor(hi)
    _, carry = while_loop(lambda s: s[0] < last, lambda s: (s[0] + 1, body_fun(*s)), (asarray(lo), init))
    return carry


def map(f: Callable[..., Any], xs: Any) -> Any:  # noqa: A001  (JAX's name)
    """f applied to each entry of the first axis of xs, one after the other, stacked.

    Example:
        >>> ob.map(lambda x: x * x, np.array([1.0, 2.0, 3.0]))
        Tensor([1., 4., 9.], float64)
    """
    return scan(lambda _, x: (None, f(x)), None, xs)[1]


# -- derivatives that wait for values ---------------------------------------------------------
# How often a while runs is known only when it runs; so its reverse is a function that is called
# then. It differentiates like any other: its derivative waits too.


def _run_deferred(xp: Any, *values: Any, f: Callable[..., Any], specs: tuple[Spec, ...]) -> tuple:
    with within(trace=None, level=0, active=0, staging=0, allowed=EVERY, lane=None):
        outs = f(*(from_value(np.asarray(v)) for v in values))
    return tuple(np.asarray(y.value if isinstance(y, Tensor) else y) for y in outs)


def _deferred_back(wanted: Sequence[bool], y_bars: Any, _ys: Any, *xs: Any, f: Callable[..., Any], specs: tuple[Spec, ...]) -> list[Any]:
    chosen = tuple(i for i, w in enumerate(wanted) if w)
    sent = arrived(y_bars)

    def back(*args: Any) -> Any:
        from .transforms import vjp

        values, bars = list(args[: len(xs)]), args[len(xs) :]

        def g(*some: Any) -> Any:
            full = list(values)
            for i, x in zip(chosen, some, strict=True):
                full[i] = x
            outs = f(*full)
            return [outs[j] for j in sent]

        return list(vjp(g, *(values[i] for i in chosen))[1](list(bars)))

    shapes = tuple(strong(xs[i]) for i in chosen)
    found = dict(zip(chosen, parts(deferred_(*xs, *(y_bars[j] for j in sent), f=back, specs=shapes)), strict=True))
    return [found.get(i) for i in range(len(xs))]


def _deferred_dot(dots: Sequence[Any], _ys: Any, *xs: Any, f: Callable[..., Any], specs: tuple[Spec, ...]) -> Any:
    chosen = tuple(i for i, d in enumerate(dots) if d is not None)

    def ahead(*args: Any) -> Any:
        from .transforms import jvp

        values, given = list(args[: len(xs)]), args[len(xs) :]

        def g(*some: Any) -> Any:
            full = list(values)
            for i, x in zip(chosen, some, strict=True):
                full[i] = x
            return list(f(*full))

        return jvp(g, [values[i] for i in chosen], list(given))[1]

    return deferred_(*xs, *(dots[i] for i in chosen), f=ahead, specs=specs)


deferred_ = Primitive(
    "deferred", numbers=True, forward=_run_deferred, shape=lambda *xs, f, specs: specs,
    vjp=shared(_deferred_back, 2), jvp=shared(_deferred_dot),
    doc="A function of tensors that needs their values; it is called when they are there.",
)  # fmt: skip
