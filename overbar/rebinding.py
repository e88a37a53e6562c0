"""Many handles rebound at once: all of them, or none.

An optimiser's step moves hundreds of handles. A Ctrl-C, a timeout or any other signal that raises
in the middle would leave half of the parameters old and half of them new, with nothing to tell
which. CPython runs signal handlers between bytecodes only, so a sweep that is one call into C
cannot be divided. (Blocking or replacing the handler of SIGINT would do for that signal alone, and
for the main thread alone.)
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from .context import CONTEXT
from .errors import StructureError
from .graph import Node
from .handle import Tensor, new

_SLOTS = ("_node", "value", "spec")


def rebind(handles: Iterable[Tensor], to: Iterable[Tensor]) -> None:
    """Let each handle stand for the value of its partner; nothing can come between.

    As `handle.rebind(tensor)` for each pair. While tracing, the trace logs them one by one: it
    puts all of them back if it is interrupted.

    Raises:  StructureError if there are not as many of one as of the other, RebindError as
             `Tensor.rebind` does.
    Example:
        >>> a, b = ob.tensor(1.0), ob.tensor(2.0)
        >>> ob.rebind([a, b], [b.detach(), a.detach()])
        >>> float(a), float(b)
        (2.0, 1.0)
    """
    handles, to = list(handles), list(to)
    if len(handles) != len(to):
        raise StructureError(f"rebind: {len(handles)} handles for {len(to)} tensors")
    if CONTEXT.get().trace is not None or any(t.value is None for t in to):
        for handle, t in zip(handles, to, strict=True):
            handle.rebind(t)
        return
    deque(moves(handles, to), maxlen=0)  # one call: no bytecode runs inside, so no handler does


def moves(handles: list[Tensor], to: list[Tensor]) -> Iterator[None]:
    """The assignments that rebind each handle, made by whoever runs through them: in C, they cannot
    be divided.
    """
    columns = (
        [_node_for(h, t) for h, t in zip(handles, to, strict=True)],
        [t.value for t in to],
        [t.spec for t in to],
    )
    names = [slot for slot in _SLOTS for _ in handles]  # a list: a generator would run bytecode
    return map(setattr, handles * len(_SLOTS), names, chain.from_iterable(columns))


def _node_for(handle: Tensor, t: Tensor) -> Node | None:
    """What the handle points at afterwards: a leaf of its own if it asks for gradients."""
    if t._node is not None or not getattr(handle, "_wants", False):
        return t._node
    twin = new(Tensor)
    twin._node, twin._name, twin._wants = None, handle.name, True
    twin.value, twin.spec = t.value, t.spec
    leaf = twin._leaf()
    leaf.handle = weakref.ref(handle)
    return leaf
