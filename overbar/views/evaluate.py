"""What a formula is worth: a tree evaluated back, so that nothing is printed that is not so.

`evaluated` gives a value and its *size*: what the value would be if nothing cancelled, by which
rounding is judged. `agrees` holds it against the engine's own number.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ops.movement import Parts
from .terms import SEVERAL, Applied, Entry, Expr, Literal, Mark, Number, Over, Product, Sum, Symbol

Env = Mapping[Symbol, Any]
"""What the symbols stand for."""

ROUNDINGS = 4096
"""So many units in the last place, of the size of what is added up, are rounding."""
_STEP = 1e-6
_LINEAR = {"matmul", "sum", "broadcast", "reshape", "transpose", "slice", "place", "concat", "tril"}


_MARKS = {
    "quotient": np.divide,
    "diag": lambda v: np.diag(np.ravel(v)),
    "kron": np.kron,
    "chain": lambda *factors: functools.reduce(np.matmul, factors),
    "vec": np.ravel,
}


class UnknownSymbolError(KeyError):
    """A formula has a symbol that stands for nothing: it cannot be evaluated."""


def value_of(e: Expr, env: Env) -> Any:
    """The value of a formula."""
    with np.errstate(all="ignore"):
        return evaluated(e, env)[0]


def evaluated(e: Expr, env: Env) -> tuple[Any, Any]:
    """(value, size) of a formula.

    Raises:  UnknownSymbolError for a symbol that is not in `env`.
    """
    if isinstance(e, Entry):
        value, size = evaluated(e.of, env)
        return entry(value, e.index), entry(size, e.index)
    if isinstance(e, Over):
        value, size = evaluated(e.body, env)
        return _over(value, e), _over(size, e)
    if isinstance(e, Symbol):
        if e not in env:
            raise UnknownSymbolError(e.name)
        return env[e], _size(env[e])
    if isinstance(e, Number | Literal):
        return e.value, _size(e.value)
    if isinstance(e, Sum):
        found = [evaluated(t, env) for t in e.terms]
        value, size = found[0]
        for v, s in found[1:]:
            value, size = value + v, size + s
        return value, size
    if isinstance(e, Product):
        return _product(e, env)
    if isinstance(e, Applied):
        return _applied(e, env)
    raise TypeError(e)


def _size(value: Any) -> Any:
    if isinstance(value, tuple):
        return value
    value = np.asarray(value)
    return np.abs(value) if value.dtype.kind in "fc" else value


LETTERS = "ijklmnprstuv"
"""The letters of an index: each has an axis of its own while entries are evaluated."""


def entry(value: Any, index: tuple[str, ...]) -> Any:
    """An array as a function of its index letters, each on its own axis; x_ii is its diagonal."""
    value = np.asarray(value)
    at = tuple(slice(None) if i.isalpha() else int(i or 0) for i in index)
    value, letters = value[at], [i for i in index if i.isalpha()]
    once = sorted(dict.fromkeys(letters), key=LETTERS.index)
    value = np.einsum(value, [LETTERS.index(c) for c in letters], [LETTERS.index(c) for c in once])
    shape = [1] * len(LETTERS)
    for letter, n in zip(once, value.shape, strict=True):
        shape[LETTERS.index(letter)] = n
    return value.reshape(shape)


def _over(value: Any, e: Over) -> Any:
    """The sum over letters; what does not depend on one of them is added up as often as it goes."""
    value = np.asarray(value)
    for letter, n in zip(e.letters, e.sizes, strict=True):
        axis = LETTERS.index(letter)
        there = value.ndim > axis and value.shape[axis] != 1
        value = np.sum(value, axis=axis, keepdims=True) if there else n * value
    return value


def _product(e: Product, env: Env) -> tuple[Any, Any]:
    value: Any = e.times
    size: Any = abs(e.times)
    for f in e.top:
        v, s = evaluated(f, env)
        value, size = value * v, size * s
    for f in e.bottom:
        v, s = evaluated(f, env)
        with np.errstate(all="ignore"):
            value, size = value / v, size * s / np.square(np.abs(v))
    return (value, size) if e.over == 1 else (value / e.over, size / e.over)


def _applied(e: Applied, env: Env) -> tuple[Any, Any]:
    found = [evaluated(a, env) for a in e.args]
    values = [np.asarray(v) if not isinstance(v, tuple) else v for v, _ in found]
    sizes = [s for _, s in found]
    if e.op is SEVERAL:
        return Parts(values), Parts(values)
    if isinstance(e.op, Mark):
        meaning = _MARKS[e.op.name]
        return meaning(*values), meaning(*map(np.abs, sizes))
    with np.errstate(all="ignore"):
        value = e.op.run(*values, **e.params)
        if isinstance(value, tuple) or any(isinstance(v, tuple) for v in values):
            return value, _size(value)
        if e.op.name in _LINEAR:
            return value, e.op.run(*map(np.asarray, sizes), **e.params)
        own = np.abs(np.asarray(value))
        if not e.op.pointwise and own.size:
            own = np.full_like(own, np.max(own))
        if own.dtype.kind == "b" or all(
            s is v or np.array_equal(s, np.abs(v)) for s, v in zip(sizes, values, strict=True)
        ):
            return value, own
        moved = e.op.run(*map(_moved, values, sizes), **e.params)
        return value, own + np.abs(moved - value) / _STEP


def _moved(value: Any, size: Any) -> Any:
    return value + (_STEP * size).astype(value.dtype) if value.dtype.kind in "fc" else value


def agrees(e: Expr, env: Env, expected: Any) -> bool:
    """Whether a formula is worth what the engine found, up to rounding; where both are finite.

    Raises:  UnknownSymbolError for a symbol that is not in `env`.
    """
    with np.errstate(all="ignore"):
        value, size = evaluated(e, env)
        return near(value, size, expected)


def near(value: Any, size: Any, expected: Any) -> bool:
    """Whether a value is the expected one, up to the rounding that its size allows."""
    if isinstance(expected, tuple):
        pairs = zip(value, size, expected, strict=True)
        return all(w is None or near(v, np.abs(s), w) for v, s, w in pairs)
    expected = np.asarray(expected)
    value = np.asarray(value)
    try:
        value = np.broadcast_to(value, expected.shape)
        size = np.broadcast_to(np.abs(size), expected.shape)
    except ValueError:
        return False
    kinds = [a.dtype for a in (value, expected) if a.dtype.kind in "fc"]
    eps = max((float(np.finfo(k).eps) for k in kinds), default=2.2e-16)
    there = np.isfinite(value) & np.isfinite(expected)
    gap = np.abs(value - expected)[there]
    room = ROUNDINGS * eps * (size + np.abs(expected))[there] + math.sqrt(np.finfo(float).tiny)
    return bool(np.all(gap <= room))
