"""The memory of one running call: the table of addresses that native code gets, and what it names.

A program has as many frames as it has calls in progress: usually one, which is used again. Arrays
that come from outside are used where they are if they can be read as they are, else copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..spec import Spec
from .objects import address_of

ALIGN = 64
"""Bytes of a line of the cache, and of the widest vector."""


def aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """New memory that begins with a line of the cache, contents undefined."""
    return lined(np.empty(math.prod(shape) * dtype.itemsize + ALIGN, np.uint8), shape, dtype)


def lined(raw: np.ndarray, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An array in these bytes, of which there are `ALIGN` more than it needs."""
    start = -address_of(raw) % ALIGN
    return raw[start : start + raw.size - ALIGN].view(dtype).reshape(shape)


def is_tidy(array: Any, dtype: np.dtype) -> bool:
    """Whether native code can read it where it is: row by row, aligned, in this order of bytes."""
    if type(array) is not np.ndarray or array.dtype != dtype:
        return False
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def tidy(value: Any, of: Spec) -> np.ndarray:
    """A copy of a value that native code can read and write."""
    copy = aligned(of.shape, native_order(of.dtype))
    copy[...] = value
    return copy


def native_order(dtype: np.dtype) -> np.dtype:
    """The dtype in this machine's order of bytes."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


class Frame:
    """Memory for one call at a time.

    table    the addresses: of inputs, outputs and constants, then of the arena, the workspaces,
             the counters, the error record
    cells    one per input, for the values of Python numbers
    record   (check, value, step): check is 0 as long as nothing is wrong
    memory   the arena and the workspaces
    """

    def __init__(
        self,
        inputs: Sequence[Spec],
        outputs: int,
        constants: Sequence[np.ndarray],
        arena: int,
        workspace: int,
        counters: int,
        memory: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        fixed = len(inputs) + outputs + len(constants)
        self.table = np.zeros(fixed + 5, np.int64)  # the last is for what nobody reads
        self.address = address_of(self.table)
        byte = np.dtype(np.uint8)
        self.memory = memory or (aligned((arena,), byte), aligned((workspace,), byte))
        self.counters = aligned((max(counters, 1),), np.dtype(np.int64))
        self.record = np.zeros(3, np.int64)
        self.cells = [np.zeros((), native_order(s.dtype)) if s.weak else None for s in inputs]
        for i, constant in enumerate(constants):
            self.table[len(inputs) + outputs + i] = address_of(constant)
        for i, cell in enumerate(self.cells):
            if cell is not None:
                self.table[i] = address_of(cell)
        parts = *self.memory, self.counters, self.record
        for i, part in enumerate(parts):
            self.table[fixed + i] = address_of(part)
        self.constants = constants  # they live as long as their addresses

    def begin(self) -> None:
        """Before a call: nobody has taken a part of the work, nothing is wrong."""
        self.counters[:] = 0
        self.record[0] = 0
