"""Several threads on one piece of native code: all run the same body, each knows its number.

A body is a native function

    void @body(ptr state, i64 thread, i64 threads, i64 spin, ptr arguments)

whose threads share out the work with `@take` and `@finish`, or meet at a `@barrier` (`runtime`).
Who takes which part is left to chance. Results are the same for any number of threads, because a
part computes the same whoever takes it.

`Pool.of(n).run(body, arguments)` runs a body to its end. The caller is thread 0, the others wait
in native code: at first spinning, since the next step is often a few microseconds away, then
asleep. One that wakes up when all is done does not enter the body any more: a body that divides
its work by the number of the thread has to end with a barrier. Python only starts the threads and
ends them: before a fork, so that the child begins with none, and at exit. They start again when
needed.

The code and the state of a pool stay in memory to the end of the process, whatever happens to the
objects here: a thread may still be on its way through them when Python takes itself apart.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable
from typing import ClassVar

from . import native
from .runtime import FINISH, pool_text, runtime_text

__all__ = ["Pool", "runtime_text"]

SPIN = 2000
"""Pauses before a waiting thread goes to sleep: some tens of microseconds. A barrier then takes
0.1 µs between two threads that run; a pool with 20,000 loses half its speed on a busy machine."""

MOST = 16
"""Threads of a pool that nobody gave a number: pieces of work have about as many parts."""


class Pool:
    """So many threads, the caller's among them. Made by `Pool.of`, one for each number.

    run(body, arguments)   the addresses of a body and of what it gets; returns when all is done
    run_call(call)         the address of four words: body, arguments, records of work, bytes of
                           these. The records are set to zero first. One number instead of two
                           costs less, too: prepare the words once, call often.

    A Python thread that comes while another's body runs does its own work alone: it would gain
    nothing by waiting for a pool that fills the machine.
    """

    _pools: ClassVar[dict[tuple[int, str | None], Pool]] = {}
    _making: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, threads: int, waiting: str | None = None) -> None:
        self.threads = threads
        self._library = native.load(pool_text(waiting), quick=True)
        if waiting is None:
            native.lend(FINISH, self._library.address(FINISH))
        self._worker = self._native("worker", None, 1)
        self._hold = self._native("hold", ctypes.c_int, 0)
        self._release = self._native("release", None, 1)
        self._reset = self._native("reset", None, 1)
        self._halt = self._native("halt", None, 0)
        self._workers: list[threading.Thread] = []
        self._closed = False
        self.run: Callable[[int, int], object] = self._runner("_plain", 2)
        self.run_call: Callable[[int], object] = self._runner("", 1)

    @classmethod
    def of(cls, threads: int | None = None, *, waiting: str | None = None) -> Pool:
        """The pool of this process with so many threads; None: as many as it may use, up to 16."""
        if threads is None:
            threads = min(native.host().cores, MOST)
        key = max(1, threads), waiting
        with cls._making:
            if key not in cls._pools:
                cls._pools[key] = cls(*key)
                _watch()
            return cls._pools[key]

    def stop(self, patience: float = 0.0) -> bool:
        """End the threads; the next run starts new ones. False if they were at work to the end of
        the patience (seconds).
        """
        deadline = time.monotonic() + patience
        while self._hold():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.001)
        self._end()
        self._release(0)
        return True

    def _native(self, name: str, result: type | None, count: int) -> Callable[..., int]:
        # c_void_p for every argument, numbers too: ctypes converts an int to it in half the time
        # of c_int64. A CFUNCTYPE lets other Python threads run meanwhile.
        kind = ctypes.CFUNCTYPE(result, *[ctypes.c_void_p] * count)
        return kind(self._library.address(name))

    def _runner(self, kind: str, count: int) -> Callable[..., object]:
        launch = self._native("launch" + kind, ctypes.c_int, count)
        alone, started = self._native("alone" + kind, None, count), self._start

        def run(*what: int) -> None:
            # Whether there are threads, and whether they are at work, the native side decides:
            # it takes no time there, and nothing comes in between.
            if launch(*what) and (not started() or launch(*what)):
                alone(*what)

        return alone if self.threads == 1 else run

    def _start(self) -> bool:
        """Start the threads. False if that must not be now."""
        if self._closed or self._hold():
            return False
        threads = 1
        try:
            if not self._workers:
                # With more threads than cores, who waits makes room at once.
                self._reset(SPIN if self.threads <= native.host().cores else 0)
                self._begin()
            threads += len(self._workers)
        finally:
            self._release(threads)
        return True

    def _begin(self) -> None:
        for number in range(1, self.threads):
            name = f"overbar-{number}"
            worker = threading.Thread(target=self._worker, args=(number,), name=name, daemon=True)
            try:
                worker.start()
            except RuntimeError:  # no more threads may start: at exit, or at a limit
                self._end()
                return
            self._workers.append(worker)

    def _end(self) -> None:
        if self._workers:
            self._halt()
            for worker in self._workers:
                worker.join()
            self._workers.clear()
        self._reset(0)

    def _forget(self) -> None:
        """In the child of a fork: nobody is at work, whatever it looks like."""
        self._workers.clear()
        self._reset(0)
        self._release(0)


def _before_fork() -> None:
    for pool in list(Pool._pools.values()):
        pool.stop()  # one that is at work goes on in the parent, and the child forgets it


def _in_the_child() -> None:
    Pool._making = threading.Lock()
    for pool in Pool._pools.values():
        pool._forget()


def _at_exit() -> None:
    for pool in list(Pool._pools.values()):
        pool._closed = True
        pool.stop(patience=0.2)


@functools.cache
def _watch() -> None:
    """Be told of forks and of the end.

    Only now that `native` is in use, whose own care for forks comes after ours then (the last to
    register is the first to be told): while it keeps everybody from calling LLVM, no thread must
    be waited for that may have to.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_child=_in_the_child)
    atexit.register(_at_exit)
