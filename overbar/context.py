"""What holds right now: is there a trace, may history be recorded, which conventions apply.

One ContextVar, one immutable record. The engine reads it once per operation; everything that
changes it (`no_grad`, `record`, `config`, a transform, a trace) sets a new record and puts the
old one back. Threads and asyncio tasks start from the defaults and do not see each other's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .errors import DomainError, DTypeError

P = ParamSpec("P")
R = TypeVar("R")

WANTED = 1
"""The tracker of `requires_grad`: bit 0 of a node's mask."""
UNKNOWN = 2
"""Bit 1: the value is not known, because a trace or a vmap is in progress."""
EVERY = -1
"""All trackers. Those of the transforms begin at bit 2: see `tracker`."""


def tracker(level: int) -> int:
    """The bit of the transform at this depth of nesting."""
    return 4 << level


@dataclass(slots=True)
class Context:
    """The record; never changed, only replaced.

    plain       nothing out of the ordinary: the eager fast paths may be taken
    trace       the capture in progress; every operation is staged into it
    record_all  a list that every node goes to, wanted by a gradient or not (`record`)
    keep        keep every value that is recorded
    allowed     which trackers (bits) may record; `no_grad` clears them all
    active      the trackers of the transforms in progress
    staging     those of them that leave values unknown: traces and vmaps
    level       how many transforms are in progress
    lane        under vmap: the index of the lane, of each one in progress
    guard       raise at the first value that is not finite
    """

    plain: bool = True
    trace: Any = None
    record_all: Any = None
    keep: bool = False
    allowed: int = EVERY
    active: int = 0
    staging: int = 0
    level: int = 0
    lane: Any = None
    kinks: str = "default"
    threads: int | None = None
    jit: str = "native"
    dtype: Any = None
    guard: bool = False


CONTEXT: ContextVar[Context] = ContextVar("overbar", default=Context())  # noqa: B039  (never changed)


def changed(context: Context, **changes: Any) -> Context:
    """The context with these fields changed and `plain` worked out again."""
    new = object.__new__(Context)
    for field in Context.__slots__:
        setattr(new, field, changes[field] if field in changes else getattr(context, field))
    ordinary = new.trace is None and new.record_all is None and new.lane is None
    new.plain = ordinary and not new.keep and not new.guard
    return new


class within:  # noqa: N801  (used like a function)
    """The body of a `with` runs under the changed context, or a function that it decorates.

    As a decorator it is safe from Ctrl-C: an interrupt finds the context changed and the function
    in progress, or neither. Around a `with` there are moments in which Python cannot give that.
    """

    __slots__ = ("_before", "_changes")

    def __init__(self, **changes: Any) -> None:
        self._changes = changes

    def _changed(self, context: Context) -> Context:
        return changed(context, **self._changes)

    def __enter__(self) -> Context:
        before = self._before = CONTEXT.get()
        context = self._changed(before)
        try:
            CONTEXT.set(context)
        except BaseException:
            CONTEXT.set(before)
            raise
        return context

    def __exit__(self, *_: object) -> None:
        CONTEXT.set(self._before)

    def __call__(self, f: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(f)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            before = CONTEXT.get()
            try:
                CONTEXT.set(self._changed(before))
                return f(*args, **kwargs)
            finally:
                CONTEXT.set(before)

        return wrapped


class no_grad(within):  # noqa: N801  (used like a function)
    """Nothing in the body is recorded for the gradients in progress outside it. It also decorates
    functions: `@ob.no_grad()`.

    A transform entered inside (`ob.grad` and the like) works as ever.

    Example:
        >>> w = ob.tensor(2.0, requires_grad=True)
        >>> with ob.no_grad():
        ...     y = w * 3
        >>> y.requires_grad
        False
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()

    def _changed(self, context: Context) -> Context:
        return changed(context, allowed=UNKNOWN | context.staging)


_CHOICES = {
    "kinks": ("default", "left", "right", "middle"),
    "jit": ("native", "interpret", "off"),
}


class config:  # noqa: N801  (used like a function)
    """Settings, for the rest of this thread or for the body of a `with`.

    kinks     the derivative taken at a kink: "default" (relu'(0) = 0, |x|'(0) = 0, ties share
              equally), "left", "right", or "middle" (the mean of left and right)
    threads   how many threads compiled code may use
    jit       "native", "interpret" or "off"
    dtype     the dtype of new parameters and of floats made from nothing
    nan_guard raise NonFiniteError where the first NaN or infinity is born

    Example:
        >>> with ob.config(kinks="right"):
        ...     float(ob.grad(ob.relu)(0.0))
        1.0
    """

    def __init__(
        self,
        *,
        kinks: str | None = None,
        threads: int | None = None,
        jit: str | None = None,
        dtype: Any = None,
        nan_guard: bool | None = None,
    ) -> None:
        asked = {"kinks": kinks, "threads": threads, "jit": jit, "dtype": dtype, "guard": nan_guard}
        changes = {name: value for name, value in asked.items() if value is not None}
        for name, choices in _CHOICES.items():
            if name in changes and changes[name] not in choices:
                raise DomainError(
                    f"config: {name}={changes[name]!r} is not a choice", want=f"one of {choices}"
                )
        if threads is not None and (type(threads) is not int or threads < 1):
            raise DomainError(f"config: threads={threads!r}", want="a whole number from 1")
        if dtype is not None and np.dtype(dtype).kind != "f":
            raise DTypeError(f"config: dtype={dtype!r}", want="a floating dtype")
        if nan_guard not in (None, True, False):
            raise DomainError(f"config: nan_guard={nan_guard!r}", want="True or False")
        self._before = CONTEXT.get()
        CONTEXT.set(changed(self._before, **changes))

    def __enter__(self) -> Context:
        return CONTEXT.get()

    def __exit__(self, *_: object) -> None:
        CONTEXT.set(self._before)


def is_tracing() -> bool:
    """Whether a trace (jit, scan, cond, while_loop, checkpoint) is in progress."""
    return CONTEXT.get().trace is not None
