"""Who else can see the array of a tensor: each that can holds a reference to it, or to its memory.

A view of it, another handle, a recorded graph, a variable: Python counts them all. What the count
is if there is nobody is found by looking, never assumed.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np

from .graph import CONST, EMPTY, Node
from .handle import Tensor, from_value


def _references(handle: Tensor) -> tuple[int, int, int]:
    """To a tensor's array, to the owner of the array's memory, and to its node."""
    value, node = handle.value, handle._node
    base = value.base
    return (
        sys.getrefcount(value),
        0 if base is None else sys.getrefcount(base),
        0 if node is None else sys.getrefcount(node),
    )


@functools.cache
def _alone() -> dict[tuple[bool, bool, bool], tuple[int, int, int]]:
    """How many there are if nobody else holds any: (has it an owner, a node, a node with value)."""
    found = {}
    for owned in (False, True):
        for node in (False, True):
            for kept in (False, True) if node else (False,):
                value = np.zeros(8, np.uint8)
                t = from_value(value.view(np.float64) if owned else value)
                del value
                if node:
                    t._node = Node(CONST, (), EMPTY, t.spec, t.value if kept else None)
                found[owned, node, kept] = _references(t)
    return found


@functools.cache
def _unseen() -> set[tuple[int, int]]:
    """References to an array and its owner, if there are none but the handle's."""
    return {counts[:2] for (_, _, kept), counts in _alone().items() if not kept}


def solely_owned(handle: Tensor) -> bool:
    """Whether nobody but this handle, and its own leaf, can see its array: then it may be written,
    by compiled code.
    """
    value, node = handle.value, handle._node
    if type(value) is not np.ndarray or (node is not None and node.inputs):
        return False
    flags, base = value.flags, value.base
    if not (flags.c_contiguous and flags.aligned and flags.writeable):
        return False
    if base is not None and not (type(base) is np.ndarray and base.flags.owndata):
        return False
    if base is None and not flags.owndata:
        return False
    key = base is not None, node is not None, node is not None and node.value is value
    del value, node, base, flags
    return _references(handle) == _alone()[key]


def handed_out(handle: Tensor) -> Any:
    """The value of a tensor that is given up, for somebody who may write to it: a copy, if that
    would be seen elsewhere.
    """
    if type(handle.value) is not np.ndarray or _references(handle)[:2] in _unseen():
        return handle.value
    return handle.value.copy() if handle.value.flags.writeable else handle.value
