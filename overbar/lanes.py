"""Which tensors may take a value per lane under `vmap`: those that were made in its function.

A handle knows for which lanes it was made. One from outside stays when the function is over, and
the lanes do not.
"""

from __future__ import annotations

from typing import Any

from .context import Context
from .errors import RebindError


def refuse_lanes(handle: Any, to: Any, context: Context, what: str, hint: str) -> None:
    """Raise RebindError if the handle would outlive the lanes that the other's value is of."""
    if context.lane is None or to._node is None:
        return
    lasting = context.staging & ~(0 if context.trace is None else context.trace.bits)
    made_for = getattr(handle, "_lanes", ())
    own = 0 if handle._node is None else handle._node.mask
    for lane in context.lane:
        of_it = lane._node.mask & lasting & ~own
        if to._node.mask & of_it and not any(lane is own_lane for own_lane in made_for):
            raise RebindError(
                f"under vmap a tensor from outside cannot be given a {what} per lane",
                got={"tensor": handle, what: to},
                hint=hint,
            )
