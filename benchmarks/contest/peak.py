"""What the machine can do at most: multiply-adds in registers, and numbers through main memory.

Two loops in LLVM's language, made like all of overbar's code. They take their turns beside the
contestants, so that a figure is held against what the machine gave in the same minute.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from overbar.compile import native, text

from .task import Task

ROUNDS = 400_000
"""Of the loop of multiply-adds: some 5 ms."""

NUMBERS = 1 << 24
"""Read and written: two arrays of 64 MiB, more than the caches hold."""

_threads = 1


def start(threads: int) -> None:
    """So many at a time."""
    global _threads  # noqa: PLW0603  a worker is one rival
    _threads = threads


def look(x: Any) -> np.ndarray:
    """Nothing to compare."""
    return np.array(x)


def _loops(module: text.Module, lanes: int, chains: int) -> None:
    """`multiply(n, out)`: so many independent chains of x = x a + a. `scale(n, out, in)`."""
    wide = text.vector("float", lanes)
    f = module.function("multiply", [("i64", "n"), ("ptr", "out")], public=True)
    a = text.splat(f, f.load("%out"), "float", lanes)
    sums = [f.variable(wide, a) for _ in range(chains)]
    with f.loop(0, "%n"):
        for s in sums:
            f.set(s, text.fused(f, f.get(s), a, a, "float", lanes))
    for k, s in enumerate(sums):
        f.store(f.get(s), f.at("%out", k * lanes), wide, align=4)
    f.give()
    arguments = [("i64", "n"), ("ptr noalias", "out"), ("ptr noalias", "in")]
    f = module.function("scale", arguments, public=True)
    with f.loop(0, "%n") as i:
        f.store(f.let(f"fmul float {f.load(f.at('%in', i))}, 0.5"), f.at("%out", i))
    f.give()


def _library() -> tuple[Any, int]:
    """The two loops, and how many operations a round of the first does."""
    machine = native.host()
    lanes = machine.lanes("float32")
    chains = 24 if machine.registers >= 32 else 12
    module = text.Module()
    _loops(module, lanes, chains)
    return native.load(str(module)), 2 * lanes * chains


def _shared(jobs: list[Any]) -> Any:
    """All jobs at once, each on a thread of its own; ctypes lets go of Python meanwhile."""
    if len(jobs) == 1:
        return jobs[0]
    pool = ThreadPoolExecutor(len(jobs))
    return lambda: [done.result() for done in [pool.submit(job) for job in jobs]]


def multiply() -> Task:
    """Multiply-adds."""
    library, per_round = _library()
    call = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(library.address("multiply"))
    places = [np.zeros(4096, np.float32) for _ in range(_threads)]
    jobs = [lambda p=p: call(ROUNDS, p.ctypes.data) for p in places]
    run = _shared(jobs)
    keep = (library, places)
    return Task(lambda: (run(), keep)[:0], amount=float(ROUNDS * per_round * _threads))


def scale() -> Task:
    """Bytes read and written."""
    library, _ = _library()
    kinds = (ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    call = ctypes.CFUNCTYPE(None, *kinds)(library.address("scale"))
    x, y = np.ones(NUMBERS, np.float32), np.ones(NUMBERS, np.float32)
    share = NUMBERS // _threads
    ends = [(y[k * share :].ctypes.data, x[k * share :].ctypes.data) for k in range(_threads)]
    run = _shared([lambda e=e: call(share, *e) for e in ends])
    keep = (library, x, y)
    return Task(lambda: (run(), keep)[:0], amount=8.0 * share * _threads)


LIMITS = {"multiply": multiply, "scale": scale}
