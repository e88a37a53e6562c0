"""The one way by which an operation happens: `apply`.

It runs the operation's forward on values, and records a node if somebody wants its history; while
tracing it records without running. The elementwise fast paths in `primitive` are `apply` written
out for the common case, and fall back on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .context import CONTEXT, UNKNOWN, Context
from .errors import (
    DomainError,
    DTypeError,
    IndexingError,
    LeakedTraceError,
    OverbarError,
    SingularError,
)
from .graph import EMPTY, Node
from .handle import Tensor, as_tensor, handle, new
from .origin import users_frame
from .spec import Specs, as_number, spec_of

_KINDS = {TypeError: DTypeError, IndexError: IndexingError, np.linalg.LinAlgError: SingularError}


def apply(op: Any, args: tuple[Any, ...], params: dict[str, Any] = EMPTY) -> Any:
    """Run one operation on handles, and record it if somebody wants its history."""
    context = CONTEXT.get()
    inputs, values, mask, wanted, bit, weak = [], [], 0, 0, 1, 0
    for a in args:
        x = a if type(a) is Tensor else as_tensor(a)
        inputs.append(x)
        values.append(x.value)
        if x.spec.weak:
            weak += 1
        before = x._node
        if before is not None and before.mask:
            mask |= before.mask
            wanted |= bit
        bit <<= 1
    if context.trace is not None:
        return context.trace.stage(op, inputs, params)
    mask &= context.allowed
    if mask & UNKNOWN:
        return _unknown(op, inputs, params, mask, context)
    if weak and not op.numbers:
        values = [np.asarray(v) if x.spec.weak else v for v, x in zip(values, inputs, strict=True)]
    try:
        value = op.run(*values, **params)
    except OverbarError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever it is, it is told in overbar's words)
        raise explained(op, inputs, params, error) from None
    if weak == len(inputs) and op.weakens:
        value = as_number(value)  # Python numbers in, a Python number out: it stays weak
    if context.guard:
        op.guard(value, values, params)
    t = new(Tensor)
    t.value = value
    t.spec = out = spec_of(value) if type(value) is not tuple else Specs(map(spec_of, value))
    if context.lane is not None:
        t._lanes = context.lane
    if op.flat:
        mask = 0
    if not mask and context.record_all is None:
        t._node = None
        return t
    t._node = node = record(op, [x._node or x.node for x in inputs], params, out, mask, 2)
    if context.record_all is not None:
        context.record_all.append(node)
    own, kept = op.needs(wanted, len(inputs))
    if context.keep:
        own, kept = True, range(len(inputs))
    if own:
        node.value = value
    for i in kept:
        x, v = node.inputs[i], values[i]
        # Rules compute with what a cast would hold: a boolean or small integer overflows.
        x.value = v if x.spec.floating is inputs[i].spec.floating else v.astype(x.spec.dtype)
    return t


def own(x: Tensor) -> Tensor:
    """x on a handle of its own, of an operation with nothing to do: `y += 1` must leave x alone."""
    trace = CONTEXT.get().trace
    if trace is not None:
        return trace.result(x)
    t = handle(x._node, x.value, x.spec)
    t._name = x.name
    return t


def _unknown(
    op: Any, inputs: list[Tensor], params: dict[str, Any], mask: int, context: Context
) -> Tensor:
    """An operation under vmap, on a value per lane."""
    check_alive(mask, context, op.name)
    for x in inputs:
        if x.value is not None:
            x.node.value = x.value  # the walk that comes after will ask for it
    return stage(op, [x.node for x in inputs], params, mask)


def explained(
    op: Any, inputs: Sequence[Any], params: dict[str, Any], error: Exception
) -> OverbarError:
    """What NumPy complained about, in overbar's words."""
    op.shape(*(x.spec for x in inputs), **params)  # raises, if the shapes are at fault
    kind = _KINDS.get(type(error), DomainError)
    got = {"abcdefgh"[i] if len(inputs) > 1 else "x": x.spec for i, x in enumerate(inputs[:8])}
    return kind(f"{op.name}: {error}", got=got)


def record(
    op: Any, nodes: list[Node], params: dict[str, Any], spec: Any, mask: int, depth: int
) -> Node:
    """A new node, its inputs aligned, with the user's place in the source."""
    frame = users_frame(depth)
    return Node(
        op, op.align(nodes, spec), params, spec, mask=mask, code=frame.f_code, at=frame.f_lasti
    )


def stage(op: Any, nodes: list[Node], params: dict[str, Any], mask: int) -> Tensor:
    """A node without a value."""
    out = op.shape(*(x.spec for x in nodes), **params)
    if type(out) is tuple:
        out = Specs(out)
    if op.pointwise:
        nodes = op.fitted(nodes, params, out)
    if op.flat:
        mask &= UNKNOWN | CONTEXT.get().staging
    node = record(op, nodes, params, out, mask | UNKNOWN, 3)
    return handle(node, None, out)


def check_alive(mask: int, context: Context, what: str) -> None:
    """Refuse a value of a trace that has ended."""
    if not mask & context.staging:
        raise LeakedTraceError(
            f"{what}: a value from inside a transform (jit, vmap, scan, ...) was used "
            "after it ended",
            hint="return it from the transformed function instead of storing it outside",
        )
