"""The one way by which an operation happens: `apply`.

It runs the operation's forward on values, and records a node if somebody wants its history; while
tracing it records without running. The elementwise fast paths in `primitive` are `apply` written
out for the common case, and fall back on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .context import CONTEXT, UNKNOWN, WANTED, Context
from .errors import DomainError, DTypeError, IndexingError, LeakedTraceError, OverbarError, SingularError
from .graph import EMPTY, Node
from .handle import Tensor, as_tensor, new
from .origin import users_frame
from .spec import as_number, spec_of

if TYPE_CHECKING:
    from .primitive import Primitive

_KINDS = {TypeError: DTypeError, IndexError: IndexingError, np.linalg.LinAlgError: SingularError}


def apply(op: Primitive, args: tuple[Any, ...], params: dict[str, Any] = EMPTY) -> Any:
    """Run one operation on handles, and record it if somebody wants its history."""
    inputs = [a if isinstance(a, Tensor) else as_tensor(a) for a in args]
    context = CONTEXT.get()
    if context.trace is not None:
        return context.trace.stage(op, inputs, params)
    mask = 0
    for t in inputs:
        if t._node is not None:
            mask |= t._node.mask
    mask &= context.allowed
    if mask & UNKNOWN:
        check_alive(mask, context, op.name)
        for t in inputs:
            if t.value is not None:
                t.node.value = t.value  # the walk that comes after will ask for it
        return stage(op, [t.node for t in inputs], params, mask)
    values = [t.value for t in inputs]
    value = run(op, values, params, inputs)
    if op.flat:
        mask = 0
    if context.guard:
        op.guard(op, value, values, params)
    if not mask and context.record_all is None:
        return from_plain(value)
    nodes = [t.node for t in inputs]
    node = record(op, nodes, params, _spec_of(value), mask, 2)
    if context.record_all is not None:
        context.record_all.append(node)
    keep = True if context.keep else needed(op, nodes)
    if keep is True:
        node.value = value
        for x, v in zip(node.inputs, values, strict=True):
            x.value = v
    else:
        own, wanted = keep
        if own:
            node.value = value
        for i in wanted:
            node.inputs[i].value = values[i]
    t = new(Tensor)
    t._node, t.value, t.spec = node, value, node.spec
    return t


def from_plain(value: Any) -> Tensor:
    t = new(Tensor)
    t._node, t.value, t.spec = None, value, _spec_of(value)
    return t


def _spec_of(value: Any) -> Any:
    return tuple(map(spec_of, value)) if type(value) is tuple else spec_of(value)


def run(op: Primitive, values: list[Any], params: dict[str, Any], inputs: list[Tensor]) -> Any:
    """The operation's forward on values; an error is said in overbar's words."""
    try:
        value = op.run(*values, **params)
    except OverbarError:
        raise
    except Exception as error:
        op.shape(*(t.spec for t in inputs), **params)  # says it clearly, if the shapes are at fault
        kind = _KINDS.get(type(error), DomainError)
        got = {"abcdefgh"[i] if len(inputs) > 1 else "x": t for i, t in enumerate(inputs[:8])}
        raise kind(f"{op.name}: {error}", got=got) from None
    if op.weakens and all(t.spec.weak for t in inputs):
        return as_number(value)  # Python numbers in, a Python number out: it stays weak
    return value


def needed(op: Primitive, nodes: list[Node]) -> tuple[bool, tuple[int, ...]]:
    """Which values the rules will ask for: the output's?, and those of which inputs."""
    wanted = 0
    for i, x in enumerate(nodes):
        if x.mask:
            wanted |= 1 << i
    return op.needs(wanted, len(nodes))


def record(op: Primitive, nodes: list[Node], params: dict[str, Any], spec: Any, mask: int, depth: int) -> Node:
    """A new node, its inputs aligned, with the user's place in the source."""
    frame = users_frame(depth)
    node = Node(op, op.align(nodes, spec), params, spec, mask=mask, code=frame.f_code, at=frame.f_lasti)
    return node


def stage(op: Primitive, nodes: list[Node], params: dict[str, Any], mask: int) -> Tensor:
    """A node without a value."""
    out = op.shape(*(x.spec for x in nodes), **params)
    if op.flat:
        mask &= UNKNOWN | CONTEXT.get().staging
    node = record(op, nodes, params, out, mask | UNKNOWN, 3)
    t = new(Tensor)
    t._node, t.value, t.spec = node, None, out
    return t


def check_alive(mask: int, context: Context, what: str) -> None:
    """Refuse a value of a trace that has ended."""
    if not mask & context.staging:
        raise LeakedTraceError(
            f"{what}: a value from inside a transform (jit, vmap, scan, ...) was used after it ended",
            hint="return it from the transformed function instead of storing it outside",
        )
