"""scan and map: loops over the first axis, each a single node.

The body is a Graph. The reverse of a scan is a scan the other way round, over the carries that each
step began with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..apply import apply
from ..capture import Trace, inline
from ..errors import ShapeError, StructureError
from ..graph import Graph
from ..handle import Tensor, asarray
from ..ops.movement import move_axis, parts
from ..ops.repeat import broadcast_to
from ..primitive import Primitive, shared
from ..replay import interpret
from ..spec import Spec, spec
from ..trees import tree_flatten, tree_unflatten
from .body import Loop, forward_body, zeros_like
from .calls import arrived, floating
from .derived import for_lanes, pulled

# A scan's inputs are: its constants, its carries, its xs. The body takes a slice of the xs and
# gives the next carries, then the ys.


def _run_scan(
    xp: Any, *inputs: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool
) -> tuple:
    fixed, carry, xs = (
        inputs[:constants],
        list(inputs[constants : constants + carries]),
        inputs[constants + carries :],
    )
    ys = [np.empty((length, *y.spec.shape), y.spec.dtype) for y in body.outputs[carries:]]
    for t in range(length - 1, -1, -1) if reverse else range(length):
        outs = interpret(body, [*fixed, *carry, *(x[t] for x in xs)])
        carry = outs[:carries]
        for y, row in zip(ys, outs[carries:], strict=True):
            y[t] = row
    return (*carry, *ys)


def _scan_shape(
    *inputs: Spec, body: Graph, constants: int, carries: int, length: int, reverse: bool
) -> tuple:
    outs = body.outputs
    return (
        *(y.spec for y in outs[:carries]),
        *(spec((length, *y.spec.shape), y.spec.dtype) for y in outs[carries:]),
    )


def _scan_back(
    wanted: Sequence[bool],
    y_bars: Any,
    _ys: Any,
    *inputs: Any,
    body: Graph,
    constants: int,
    carries: int,
    length: int,
    reverse: bool,
    selected: bool = False,
) -> list[Any]:
    k, c = constants, carries
    fixed, start, xs = inputs[:k], inputs[k : k + c], inputs[k + c :]
    began = _began(body, k, c)
    history = parts(
        scan_(*inputs, body=began, constants=k, carries=c, length=length, reverse=reverse)
    )[c:]
    smooth = floating(body.inputs)
    bars_of_fixed = [i for i in smooth if i < k and wanted[i]]
    bars_of_carry = [i for i in smooth if k <= i < k + c]
    bars_of_xs = [i for i in smooth if i >= k + c and wanted[i]]
    ys = [j for j in arrived(y_bars) if j >= c]
    back = _backward_body(
        body, k, c, tuple(bars_of_fixed), tuple(bars_of_carry), tuple(bars_of_xs), tuple(ys),
        selected,
    )  # fmt: skip
    begin = [zeros_like(fixed[i]) for i in bars_of_fixed]
    begin += [
        zeros_like(start[i - k]) if y_bars[i - k] is None else y_bars[i - k] for i in bars_of_carry
    ]
    outs = parts(scan_(
        *fixed, *begin, *history, *xs, *(y_bars[j] for j in ys),
        body=back, constants=k, carries=len(begin), length=length, reverse=not reverse,
    ))  # fmt: skip
    found = dict(zip([*bars_of_fixed, *bars_of_carry, *bars_of_xs], outs, strict=True))
    return [found.get(i) if w else None for i, w in enumerate(wanted)]


def _began(body: Graph, k: int, c: int) -> Graph:
    """The body, whose ys are the carries it began with."""
    if "began" not in body.derived:
        body.derived["began"] = Graph(body.inputs, [*body.outputs[:c], *body.inputs[k : k + c]])
    return body.derived["began"]


def _backward_body(
    body: Graph, k: int, c: int, fixed: tuple, carry: tuple, xs: tuple, ys: tuple, selected: bool
) -> Graph:
    """One step backwards: (constants; adjoints of constants and carries; carries, xs, adjoints of
    ys) -> (adjoints of constants and carries; adjoints of xs).
    """
    key = "backward", fixed, carry, xs, ys, selected
    if key not in body.derived:
        outputs = (*(i - k for i in carry), *ys)
        back = pulled(body, (*fixed, *carry, *xs), outputs, selected=selected)
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


def _scan_dot(
    dots: Sequence[Any],
    _ys: Any,
    *inputs: Any,
    body: Graph,
    constants: int,
    carries: int,
    length: int,
    reverse: bool,
) -> Any:
    k, c = constants, carries
    smooth = floating(body.inputs)
    of_fixed = [i for i in smooth if i < k and dots[i] is not None]
    of_carry = [i for i in smooth if k <= i < k + c]
    of_xs = [i for i in smooth if i >= k + c and dots[i] is not None]
    ahead = forward_body(body, k, c, tuple(of_fixed), tuple(of_carry), tuple(of_xs))
    fixed, start, xs = inputs[:k], inputs[k : k + c], inputs[k + c :]
    begin = [zeros_like(inputs[i]) if dots[i] is None else dots[i] for i in of_carry]
    outs = parts(scan_(
        *fixed, *(dots[i] for i in of_fixed), *start, *begin, *xs, *(dots[i] for i in of_xs),
        body=ahead, constants=k + len(of_fixed), carries=c + len(of_carry), length=length,
        reverse=reverse,
    ))  # fmt: skip
    after = outs[c + len(of_carry) :]
    found = dict(zip((i - k for i in of_carry), outs[c : c + len(of_carry)], strict=True))
    ys = after[len(body.outputs) - c :]
    return tuple(found.get(j) for j in range(c)) + tuple(ys)


def _scan_lanes(
    n: int,
    mapped: Sequence[bool],
    *inputs: Any,
    body: Graph,
    constants: int,
    carries: int,
    length: int,
    reverse: bool,
) -> Any:
    k, c = constants, carries
    mapped = list(mapped)
    while True:  # a carry has lanes if it starts with them, or if the body gives it some
        force = (*mapped[k : k + c], *(True,) * (len(body.outputs) - c))
        wide, out = for_lanes(body, n, tuple(mapped), force)
        if list(out[:c]) == mapped[k : k + c]:
            break
        mapped[k : k + c] = out[:c]
    there = _given(mapped, inputs, body, length, k + c)
    given = [
        x if m == w or not w else broadcast_to(x, (n, *x.shape))
        for x, m, w in zip(inputs, there, mapped, strict=True)
    ]
    given = [
        move_axis(x, 0, 1) if i >= k + c and m else x
        for i, (x, m) in enumerate(zip(given, mapped, strict=True))
    ]
    outs = parts(scan_(*given, body=wide, constants=k, carries=c, length=length, reverse=reverse))
    last = [
        y if m else broadcast_to(y, (n, *y.shape))
        for y, m in zip(outs[:c], mapped[k : k + c], strict=True)
    ]
    return (*last, *(move_axis(y, 1, 0) for y in outs[c:]))


def _given(
    mapped: Sequence[bool], inputs: Sequence[Any], body: Graph, length: int, first_x: int
) -> list[bool]:
    """Which inputs have lanes already: one axis more than the body's."""
    return [
        x.ndim == b.spec.ndim + (i >= first_x) + 1
        for i, (x, b) in enumerate(zip(inputs, body.inputs, strict=True))
    ]


scan_ = Primitive(
    "scan", numbers=True, forward=_run_scan, shape=_scan_shape, vjp=shared(_scan_back, 2),
    jvp=shared(_scan_dot), batch=_scan_lanes, complex=True,
    doc="A loop over the first axis, as one operation.",
)  # fmt: skip
scan_.vjp_selected = shared(partial(_scan_back, selected=True), 2)


def scan(
    f: Callable[..., Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """(carry, ys) of the loop `carry, y = f(carry, x)` over the first axis of xs, as one node.

    init is the first carry; each carry has its structure, shapes and dtypes. xs and ys may be trees
    (or None, then `length` counts the steps). With `reverse` the loop runs from the last x to the
    first. Handles that the body rebinds are carried along.

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
            raise ShapeError(
                "scan: xs is looped over along its first axis, a number has none", got={"xs": x}
            )
    lengths = {x.shape[0] for x in rows} | ({int(length)} if length is not None else set())
    if len(lengths) != 1:
        raise ShapeError(
            "scan: how many steps?" if not lengths else "scan: the xs differ in length",
            got={f"xs {i}": x for i, x in enumerate(rows)},
            want="one length for all xs, or length=",
        )
    steps = lengths.pop()

    def body(carry: Any, row: list[Tensor]) -> Any:
        pair = f(carry, tree_unflatten(xs_tree, row))
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise StructureError(
                "scan: the body returns a pair (carry, y)", got={"result": type(pair).__name__}
            )
        return pair

    loop = Loop("scan", body, init, [spec(x.shape[1:], x.dtype) for x in rows])
    graph, fixed, carry = loop.graph, loop.fixed, loop.carry
    outs = parts(apply(scan_, (*fixed, *carry, *rows), {
        "body": graph, "constants": len(fixed), "carries": len(carry), "length": steps,
        "reverse": bool(reverse),
    }))  # fmt: skip
    loop.rebind(outs)
    return loop.carry_of(outs), tree_unflatten(loop.y_tree, outs[len(carry) :])


def map(f: Callable[..., Any], xs: Any) -> Any:
    """f applied to each entry of the first axis of xs, one after the other, stacked.

    Example:
        >>> ob.map(lambda x: x * x, np.array([1.0, 2.0, 3.0]))
        Tensor([1., 4., 9.], float64)
    """
    return scan(lambda _, x: (None, f(x)), None, xs)[1]
