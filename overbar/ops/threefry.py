"""Random bits as a pure function of a key, a tick and the element's number.

Threefry-2x32 with 13 rounds: the same bits eager, compiled, in any order and with any number of
threads. A state is two words, uint64[2]: (key, tick).

Source:  Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3. Thirteen
         rounds pass BigCrush there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..elementwise import elementwise
from ..errors import ShapeError
from ..primitive import FLAT, Primitive
from ..spec import Spec, spec
from .repeat import reshape_

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA
_ROUNDS = 13


def threefry(key: tuple[Any, Any], a: Any, b: Any, word: Any = np.uint32) -> tuple[Any, Any]:
    """The block cipher on counters (a, b), arrays of uint32, under a key of two uint32.

    word: makes a constant of 32 bits; compiled code has words of its own.
    """
    k = (*key, key[0] ^ key[1] ^ word(_PARITY))
    a, b = a + k[0], b + k[1]
    for i in range(_ROUNDS):
        a, by = a + b, _ROTATIONS[i % 8]
        b = ((b << word(by)) | (b >> word(32 - by))) ^ a
        if i % 4 == 3:
            j = i // 4 + 1
            a = a + k[j % 3]
            b = b + k[(j + 1) % 3] + word(j)
    return a, b


def _halves(word: Any) -> tuple[np.uint32, np.uint32]:
    word = int(word)
    return np.uint32(word >> 32), np.uint32(word & 0xFFFFFFFF)


def _subkey(key: Any, tick: Any) -> tuple[Any, Any]:
    """The key of one draw: ticks never meet, whatever the sizes drawn."""
    high, low = _halves(tick)
    with np.errstate(over="ignore"):
        a, b = threefry(_halves(key), np.atleast_1d(high), np.atleast_1d(low))
    return a[0], b[0]


def _bits(xp: Any, state: Any, *, shape: tuple[int, ...], width: int) -> np.ndarray:
    count = math.prod(shape)
    blocks = count if width == 64 else -(-count // 2)
    number = np.arange(blocks, dtype=np.uint64)
    counter = (number >> np.uint64(32)).astype(np.uint32), number.astype(np.uint32)
    with np.errstate(over="ignore"):
        a, b = threefry(_subkey(*state), *counter)
    if width == 64:
        return ((a.astype(np.uint64) << np.uint64(32)) | b).reshape(shape)
    return np.concatenate([a, b])[:count].reshape(shape)


def _bits_lanes(n: int, mapped: Any, state: Any, *, shape: tuple[int, ...], width: int) -> Any:
    return lanes_bits(state, shape=shape, width=width)


def _bits_of_lanes(xp: Any, states: Any, *, shape: tuple[int, ...], width: int) -> np.ndarray:
    sizes = (*states.shape[:-1], *shape)
    if not states.size:
        return np.zeros(sizes, f"uint{width}")
    rows = [_bits(xp, s, shape=shape, width=width) for s in states.reshape(-1, 2)]
    return np.stack(rows).reshape(sizes)


def _bits_entry(b: Any, i: Any, state: Any, *, shape: tuple[int, ...], width: int) -> Any:
    """The word of one element, as `_bits` makes it."""

    def word(n: int) -> Any:
        return b.constant(n, np.uint32)

    def halves(x: Any) -> tuple[Any, Any]:
        x = b.cast(x, np.uint64)
        return b.cast(x >> 32, np.uint32), b.cast(x, np.uint32)

    *lanes, number = (*i[: len(state.shape) - 1], b.constant(0, np.int64))
    for k, n in zip(i[len(lanes) :], shape, strict=True):
        number = number * n + k
    blocks = math.prod(shape) if width == 64 else -(-math.prod(shape) // 2)
    second = number >= blocks
    key = threefry(halves(state(*lanes, 0)), *halves(state(*lanes, 1)), word)
    x, y = threefry(key, *halves(b.where(second, number - blocks, number)), word)
    if width == 32:
        return b.where(second, y, x)
    return (b.cast(x, np.uint64) << 32) | b.cast(y, np.uint64)


bits_ = Primitive(
    "random_bits", forward=_bits, entry=_bits_entry, vjp=FLAT, jvp=FLAT,
    batch=_bits_lanes, text="bits({0})",
    shape=lambda state, *, shape, width: spec(shape, np.dtype(f"uint{width}")),
    samples=lambda r: [
        ((np.array([7, 3], np.uint64),), {"shape": (3, 2), "width": w}) for w in (32, 64)
    ],
    doc="Random bits of a state, one word per element.",
)  # fmt: skip
lanes_bits = Primitive(
    "random_bits_of_lanes", forward=_bits_of_lanes, entry=_bits_entry, vjp=FLAT,
    jvp=FLAT, text="bits({0})",
    shape=lambda states, *, shape, width: spec(
        (*states.shape[:-1], *shape), np.dtype(f"uint{width}")
    ),
    batch=lambda n, mapped, states, *, shape, width: lanes_bits(states, shape=shape, width=width),
    samples=lambda r: [((np.array([[7, 3], [8, 3]], np.uint64),), {"shape": (3,), "width": 64})],
    doc="Random bits of several states.",
)  # fmt: skip


def _fold(xp: Any, state: Any, number: Any) -> np.ndarray:
    states, numbers = np.broadcast_arrays(state, np.asarray(number)[..., None])
    flat = []
    for (key, tick), n in zip(states.reshape(-1, 2), numbers.reshape(-1, 2)[:, 0], strict=True):
        with np.errstate(over="ignore"):
            a, b = threefry(_halves(key), *(np.atleast_1d(h) for h in _halves(int(n) + (1 << 63))))
        flat.append(((int(a[0]) << 32) | int(b[0]), int(tick)))
    return np.array(flat, np.uint64).reshape(states.shape)


def _fold_lanes(n: int, mapped: Any, state: Any, number: Any) -> Any:
    # of one lane; aligned from the right
    rank = max(state.ndim - 1 - mapped[0], number.ndim - mapped[1])
    if mapped[0]:
        lane = state.shape[1:]
        state = reshape_(state, shape=(n, *(1,) * (rank + 1 - len(lane)), *lane))
    if mapped[1]:
        lane = number.shape[1:]
        number = reshape_(number, shape=(n, *(1,) * (rank - len(lane)), *lane))
    return fold(state, number)


fold = Primitive(
    "fold_in", forward=_fold, vjp=FLAT, jvp=FLAT, text="fold({0}, {1})",
    shape=lambda state, number: spec(
        (*np.broadcast_shapes(state.shape[:-1], number.shape), 2), state.dtype
    ),
    batch=_fold_lanes,
    samples=lambda r: [((np.array([7, 3], np.uint64), np.array(5)), {})],
    doc="The state of a numbered descendant: its key is mixed with the number.",
)  # fmt: skip


def _unit(xp: Any, bits: Any, *, dtype: np.dtype) -> Any:
    digits = 24 if dtype == np.float32 else 53
    kept = bits >> np.array(8 * bits.dtype.itemsize - digits, bits.dtype)
    return kept.astype(dtype) * dtype.type(2.0**-digits)


def _unit_native(b: Any, bits: Any, *, dtype: np.dtype) -> Any:
    digits = 24 if dtype == np.float32 else 53
    return b.cast(bits >> (8 * bits.dtype.itemsize - digits), dtype) * 2.0**-digits


unit = Primitive(
    "unit", forward=_unit, native=_unit_native, vjp=FLAT, jvp=FLAT, text="unit({0})",
    shape=lambda bits, *, dtype: spec(bits.shape, dtype),
    batch=lambda n, mapped, bits, *, dtype: unit(bits, dtype=dtype),
    samples=lambda r: [((np.array([1, 2**63], np.uint64),), {"dtype": np.dtype(np.float64)})],
    doc="Bits as numbers in [0, 1), evenly spaced.",
)  # fmt: skip
shuffled = Primitive(
    "shuffled", forward=lambda xp, bits: xp.argsort(bits, axis=-1, kind="stable"),
    shape=lambda bits: spec(bits.shape, np.dtype(np.int64)), vjp=FLAT, jvp=FLAT,
    batch=lambda n, mapped, bits: shuffled(bits),
    samples=lambda r: [((np.array([5, 1, 9], np.uint64),), {})],
    doc="The order that sorts random bits: a permutation.",
)  # fmt: skip


def check_state(state: Spec) -> None:
    """Raise ShapeError for what is no state."""
    if state.shape[-1:] != (2,):
        raise ShapeError("a random state is two words (key, tick)", got={"state": state})


below = elementwise(
    "below", namespace=None, text="{0} mod n", partials=FLAT,
    forward=lambda xp, bits, *, span: (bits % np.uint64(span)).astype(np.int64),
    native=lambda b, bits, *, span: b.cast(b.cast(bits, np.uint64) % span, np.int64),
    samples=lambda r: [((np.array([5, 17], np.uint64),), {"span": 6})],
    doc="64 random bits as a whole number in [0, span); the bias is below span / 2⁶⁴.",
)  # fmt: skip
