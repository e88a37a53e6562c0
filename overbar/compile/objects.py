"""Where CPython and NumPy keep things in their objects: the places that a prepared call looks at.

Each place is found by looking at known objects, never assumed; where one is not found (another
Python, another build of it) there is no `Layout`, and calls take the general way, which asks
Python. Nothing here is ever written to.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any, NamedTuple

import numpy as np

from ..graph import CONST, Node
from ..handle import from_value
from ..spec import spec

DATA = 16
"""Where an ndarray keeps the address of its numbers, if `layout` says so."""


class Layout(NamedTuple):
    """Offsets in bytes: of slots in a Tensor and in its Node, of fields in Python's own objects."""

    value: int
    node: int
    spec: int
    grad: int
    node_value: int
    node_mask: int
    node_inputs: int
    code: int
    defaults: int
    kwdefaults: int


@functools.cache
def layout() -> Layout | None:
    """The places, or None where this Python is not as expected."""
    cpython = sys.implementation.name == "cpython" and sys.byteorder == "little"
    if not cpython or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None  # what one thread looks at, another may be changing
    try:
        if not (_counts() and _containers() and _arrays() and _scalars()):
            return None
        return Layout(*_slots(), *_function())
    except LookupError:
        return None


def word(address: int) -> int:
    """What is written there, 8 bytes."""
    return ctypes.c_int64.from_address(address).value


def address_of(array: np.ndarray) -> int:
    """Where an array's numbers begin."""
    if layout() is not None:
        return word(id(array) + DATA)
    return array.__array_interface__["data"][0]


def _place(thing: Any, held: Any, start: int = 16) -> int:
    """Where in a thing the address of what it holds is written: at exactly one place."""
    size = type(thing).__basicsize__
    found = [at for at in range(start, size, 8) if word(id(thing) + at) == id(held)]
    if len(found) != 1:
        raise LookupError
    return found[0]


def _slots() -> tuple[int, ...]:
    t = from_value(np.zeros(3))
    t._node = Node(CONST, (CONST,), {"a": 1}, spec((7, 9), float), np.ones(2), mask=1 << 70)  # type: ignore[arg-type]
    t._grad = from_value(np.zeros(2))
    node = t._node
    tensor = (_place(t, t.value), _place(t, node), _place(t, t.spec), _place(t, t._grad))
    return (*tensor, _place(node, node.value), _place(node, node.mask), _place(node, node.inputs))


def _function() -> tuple[int, ...]:
    def f(a: Any = (1, 2), *, b: Any = 3) -> Any:
        return a, b

    return tuple(_place(f, part) for part in (f.__code__, f.__defaults__, f.__kwdefaults__))


def _counts() -> bool:
    """Whether the number of references to an object is its first word, the type its second."""
    thing = [object()]
    many = [thing] * 1000
    seen = ctypes.c_uint32.from_address(id(thing)).value
    many.append(thing)
    more = ctypes.c_uint32.from_address(id(thing)).value
    return 1000 < seen < 1010 and more == seen + 1 and word(id(thing) + 8) == id(list)


def _containers() -> bool:
    """Lists, tuples, dicts, cells and floats."""
    things = [object(), object()]
    pair = tuple(things)
    table = dict.fromkeys("abc", 0)

    def hold() -> Any:
        return things

    cell = next(iter(hold.__closure__ or ()))
    return (
        word(id(things) + 16) == 2
        and [word(word(id(things) + 24) + 8 * i) for i in range(2)] == [id(t) for t in things]
        and word(id(pair) + 16) == 2
        and [word(id(pair) + 24 + 8 * i) for i in range(2)] == [id(t) for t in things]
        and word(id(table) + 16) == 3
        and word(id(cell) + 16) == id(things)
        and ctypes.c_double.from_address(id(number := 1234.5) + 16).value == number
    )


def _scalars() -> bool:
    """NumPy's scalars keep their number where a float does."""
    for x in (np.float64(1.5), np.float32(2.5), np.int64(-3), np.int32(4), np.uint8(5), np.True_):
        raw = ctypes.string_at(id(x) + 16, x.dtype.itemsize)
        if raw != x.tobytes() or type(x).__basicsize__ < 24:
            return False
    return True


def _arrays() -> bool:
    """NumPy's array: address, rank, sizes, strides, owner, dtype, flags."""
    base = np.arange(15, dtype=np.float32).reshape(3, 5).copy()
    frozen = base[:, 1:3]
    frozen.flags.writeable = False
    odd = np.zeros(9, np.uint8)[1:].view(np.float64)
    for a in (base, frozen, base.T, odd, np.zeros(()), np.zeros((2, 0))):
        at = id(a)
        start = (word(at + DATA), ctypes.c_int32.from_address(at + 24).value)
        if start != (a.__array_interface__["data"][0], a.ndim):
            return False
        sizes = word(at + 32) and [word(word(at + 32) + 8 * i) for i in range(a.ndim)]
        if a.ndim and sizes != list(a.shape):
            return False
        owner = word(at + 48)
        if owner != (0 if a.base is None else id(a.base)) or word(at + 56) != id(a.dtype):
            return False
        flags, f = ctypes.c_int32.from_address(at + 64).value, a.flags
        bits = (f.c_contiguous, f.f_contiguous, f.owndata, f.aligned, f.writeable)
        if [bool(flags & b) for b in (1, 2, 4, 0x100, 0x400)] != list(bits):
            return False
    return True
