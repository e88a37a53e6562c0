"""while_loop and fori_loop: loops as long as a test holds, each a single node.

The reverse of a while counts its trips, and then is a scan's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..capture import Trace, inline
from ..context import CONTEXT
from ..errors import ShapeError
from ..graph import Graph
from ..handle import Tensor, as_tensor, asarray, from_value
from ..ops.arithmetic import where
from ..ops.movement import parts
from ..primitive import PUBLIC, Primitive, shared
from ..replay import interpret
from ..trees import tree_unflatten
from .body import Loop, forward_body, strong, zeros_like
from .calls import arrived, floating, over_lanes, traced, whole
from .deferred import deferred_
from .derived import for_lanes
from .scan import scan, scan_
from .transforms import vjp

# A while's inputs are the constants of its test, those of its body, and the carries.


def _run_while(
    xp: Any, *inputs: Any, test: Graph, body: Graph, of_test: int, of_body: int
) -> tuple:
    asked, fixed, carry = (
        inputs[:of_test],
        inputs[of_test : of_test + of_body],
        list(inputs[of_test + of_body :]),
    )
    while bool(interpret(test, [*asked, *carry])[0]):
        carry = interpret(body, [*fixed, *carry])
    return tuple(carry)


def _trips(inputs: Sequence[Any], test: Graph, body: Graph, of_test: int, of_body: int) -> int:
    asked, fixed, carry = (
        inputs[:of_test],
        inputs[of_test : of_test + of_body],
        list(inputs[of_test + of_body :]),
    )
    n = 0
    while bool(interpret(test, [*asked, *carry])[0]):
        carry = interpret(body, [*fixed, *carry])
        n += 1
    return n


def _as_scan(
    inputs: Sequence[Any], test: Graph, body: Graph, of_test: int, of_body: int
) -> tuple[Any, ...]:
    """The carries after the loop, by a scan of as many steps; the values must be known."""
    values = [x.value if isinstance(x, Tensor) else x for x in inputs]
    n = _trips(values, test, body, of_test, of_body)
    carries = len(inputs) - of_test - of_body
    return parts(
        scan_(
            *inputs[of_test:],
            body=body,
            constants=of_body,
            carries=carries,
            length=n,
            reverse=False,
        )
    )


def _while_back(
    wanted: Sequence[bool],
    y_bars: Any,
    _ys: Any,
    *inputs: Any,
    test: Graph,
    body: Graph,
    of_test: int,
    of_body: int,
) -> list[Any]:
    smooth = floating([*test.inputs[:of_test], *body.inputs])
    chosen = tuple(i for i in smooth if wanted[i] and i >= of_test)
    sent = arrived(y_bars)

    def back(*args: Any) -> Any:
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
    found = dict(
        zip(
            chosen,
            parts(deferred_(*inputs, *(y_bars[j] for j in sent), f=back, specs=specs)),
            strict=True,
        )
    )
    return [found.get(i) for i in range(len(inputs))]


def _while_dot(
    dots: Sequence[Any],
    _ys: Any,
    *inputs: Any,
    test: Graph,
    body: Graph,
    of_test: int,
    of_body: int,
) -> Any:
    k = of_test + of_body
    of_fixed = tuple(i - of_test for i in range(of_test, k) if dots[i] is not None)
    carry = tuple(i for i in floating(body.inputs) if i >= of_body)
    ahead = forward_body(body, of_body, len(inputs) - k, of_fixed, carry, ())
    begin = [
        zeros_like(inputs[of_test + i]) if dots[of_test + i] is None else dots[of_test + i]
        for i in carry
    ]
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


def _while_lanes(
    n: int,
    mapped: Sequence[bool],
    *inputs: Any,
    test: Graph,
    body: Graph,
    of_test: int,
    of_body: int,
) -> Any:
    """All lanes go on until the last one stops; one that has stopped keeps its carry."""
    k = of_test + of_body
    starts = whole(n, mapped[k:], inputs[k:])
    carries = len(starts)
    lanes = (True,) * carries
    wide_test, _ = for_lanes(test, n, (*mapped[:of_test], *lanes), (True,))
    wide_body, _ = for_lanes(body, n, (*mapped[of_test:k], *lanes), lanes)
    with Trace() as trace:
        asked = [trace.argument(x.spec) for x in wide_test.inputs]
        (going,) = inline(wide_test, asked)
        go = PUBLIC[""]["any"](going)
    any_test = Graph([t.node for t in asked], [go.node])
    with Trace() as trace:
        a = [trace.argument(x.spec) for x in wide_test.inputs[:of_test]]
        b = [trace.argument(x.spec) for x in wide_body.inputs[:of_body]]
        carry = [trace.argument(x.spec) for x in wide_body.inputs[of_body:]]
        (going,) = inline(wide_test, [*a, *carry])
        after = inline(wide_body, [*b, *carry])
        masked = [
            where(over_lanes(going, y.shape), y, x) for y, x in zip(after, carry, strict=True)
        ]
    masked_body = Graph([t.node for t in trace.arguments], [t.node for t in masked])
    return while_(
        *inputs[:of_test],
        *inputs[:k],
        *starts,
        test=any_test,
        body=masked_body,
        of_test=of_test,
        of_body=k,
    )


while_ = Primitive(
    "while", numbers=True, forward=_run_while, vjp=shared(_while_back, 2), jvp=shared(_while_dot),
    batch=_while_lanes, complex=True,
    shape=lambda *inputs, test, body, of_test, of_body: tuple(y.spec for y in body.outputs),
    doc="A loop as long as a test holds, as one operation.",
)  # fmt: skip


def while_loop(cond_fun: Callable[..., Any], body_fun: Callable[..., Any], init: Any) -> Any:
    """The carry after `while cond_fun(carry): carry = body_fun(carry)`, as one node.

    Differentiable both ways: the reverse counts the trips and goes back over them.

    Raises:  ShapeError if a step changes the carry, or if the test gives no single truth value.
    Example:
        >>> root = lambda a: ob.while_loop(
        ...     lambda x: abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, 1.0
        ... )
        >>> bool(abs(float(ob.grad(root)(2.0)) - 0.5 / 2**0.5) < 1e-9)
        True
    """
    loop = Loop("while_loop", body_fun, init, [], ys=False)
    start = loop.carry[: loop.count]
    tested = traced(lambda *xs: [cond_fun(tree_unflatten(loop.tree, xs))], start)
    verdict = tested.graph.outputs[0].spec
    if tested.results != 1 or verdict.shape != () or verdict.dtype.kind != "b":
        raise ShapeError(
            "while_loop: the test gives no single truth value", got={"test": verdict}, want="bool[]"
        )
    n = loop.count
    reads = tested.graph.inputs[n:]
    mine = {id(h): i for i, h in enumerate(loop.handles)}
    fixed = [
        (r.now, node)
        for r, node in zip(tested.reads, reads, strict=True)
        if id(r.handle) not in mine
    ]
    by_handle = {id(r.handle): node for r, node in zip(tested.reads, reads, strict=True)}
    with Trace() as trace:
        rest = [by_handle.get(id(h)) or trace.argument(h.spec).node for h in loop.handles]
    test = Graph(
        [*(node for _, node in fixed), *tested.graph.inputs[:n], *rest], tested.graph.outputs[:1]
    )
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
    known = all(
        isinstance(n, int | np.integer) or (isinstance(n, Tensor) and n.value is not None)
        for n in (lo, hi)
    )
    if (known and CONTEXT.get().trace is None) or all(
        isinstance(n, int | np.integer) for n in (lo, hi)
    ):
        numbers = from_value(np.arange(int(lo), int(hi)))
        return scan(lambda c, i: (body_fun(i, c), None), init, numbers)[0]
    last = as_tensor(hi)
    _, carry = while_loop(
        lambda s: s[0] < last, lambda s: (s[0] + 1, body_fun(*s)), (asarray(lo), init)
    )
    return carry
