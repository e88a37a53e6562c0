"""One rival in a process of its own, which answers over a pipe.

The parent writes requests on its input, as pickles, and reads the answers from its output:

    ("prepare", workload, tiny)  ->  {"first", "values", "report", "amount"}
    ("calibrate", seconds)       ->  how many calls fill so many seconds
    ("turn", count)              ->  (seconds of a call, seconds of processor time of a call)
    ("resident", workload, tiny) ->  {"resident", "planned"}: bytes, of the process and its plan

or ("failed", what). What libraries print goes to the standard error.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

from ..measure import collector, repetitions, seconds_of
from .task import Task

MODULES = {
    "overbar": "ours", "jax": "in_jax", "torch": "in_torch", "torch.compile": "in_torch",
    "multiply": "peak", "scale": "peak",
}  # fmt: skip
LIMITS = "multiply", "scale"
"""Not libraries: what the machine can do."""
CALLS = 8
"""Until a process has taken what it ever will."""
LARGEST = 200_000
"""Numbers of an array that are sent to be compared; of larger ones, so many spread over them."""


def flat(x: Any) -> Iterator[Any]:
    """The leaves of nested containers; dicts by key."""
    if isinstance(x, dict):
        for key in sorted(x):
            yield from flat(x[key])
    elif isinstance(x, list | tuple):
        for part in x:
            yield from flat(part)
    else:
        yield x


def sample(x: np.ndarray) -> np.ndarray:
    """Not too many numbers of an array, the same ones for everybody."""
    x = x.reshape(-1)
    return x.copy() if x.size <= LARGEST else x[:: x.size // LARGEST | 1].copy()


def task_of(library: str, workload: str, tiny: bool) -> Task:
    """What this library does for a workload."""
    if library in LIMITS:
        return import_module(".peak", __package__).LIMITS[library]()
    from .networks.workloads import NETWORKS
    from .workloads import WORKLOADS

    home = ".networks." if workload in NETWORKS else "."
    make = import_module(home + MODULES[library], __package__).TASKS[workload]
    data = (WORKLOADS | NETWORKS)[workload].data(tiny)
    return make(data, library == "torch.compile") if "torch" in library else make(data)


class Worker:
    """The state between requests."""

    def __init__(self, library: str, threads: int) -> None:
        self.library, self.task = library, Task(int)
        self.module = import_module(f".{MODULES[library]}", __package__)
        self.module.start(threads)

    def prepare(self, workload: str, tiny: bool) -> dict[str, Any]:
        """Three calls; the first may compile. What they gave, and what they changed."""
        task = task_of(self.library, workload, tiny)
        values, first = [], 0.0
        for k in range(3):
            began = time.perf_counter()
            result = task.call()
            first = first if k else time.perf_counter() - began
            values += [sample(self.module.look(x)) for x in flat(result)]
        values += [sample(self.module.look(x)) for x in flat(task.state())]
        self.task = task
        return {
            "first": first, "values": values, "report": task.report(), "amount": task.amount
        }  # fmt: skip

    def resident(self, workload: str, tiny: bool) -> dict[str, int]:
        """The most that this process held in memory, from its start until after a few calls."""
        self.task = task_of(self.library, workload, tiny)
        for _ in range(CALLS):
            self.task.call()
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"resident": kilobytes * 1024, "planned": self.task.memory()}

    def calibrate(self, seconds: float) -> int:
        """How many calls fill so much time."""
        return repetitions(self.task.call, seconds)

    def turn(self, count: int) -> tuple[float, float]:
        """So many calls."""
        gc.collect()
        began = time.process_time()
        seconds = seconds_of(self.task.call, count)
        return seconds / count, (time.process_time() - began) / count


def serve(worker: Worker, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the parent hangs up."""
    while True:
        try:
            what, *args = pickle.load(requests)  # noqa: S301  written by our parent
        except EOFError:
            return
        try:
            answer = getattr(worker, what)(*args)
        except Exception as error:  # noqa: BLE001  a rival that fails is a result
            traceback.print_exc()
            answer = ("failed", f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()


def main() -> None:
    """`python -m benchmarks.contest.worker LIBRARY THREADS`"""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between
    library, threads = sys.argv[1:]
    worker = Worker(library, int(threads))
    with collector():
        serve(worker, sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
