"""Compiled steps beside the others: overbar, JAX, PyTorch eager and compiled, and the machine.

    python -m benchmarks.compiled                   # all workloads: about an hour
    python -m benchmarks.compiled small medium      # these
    python -m benchmarks.compiled --quick           # fewer and shorter rounds
    python -m benchmarks.compiled --list            # their names

Every rival is a process of its own, with 1 and with 2 threads, with glibc's allocator as it is and
keeping its memory; what counts is its best setting, and for overbar the best number of threads with
the allocator as it is. The processes are made one after the other, which gives the time of the
first call (with empty caches); their values are compared with ours; then they take turns, round by
round, with two loops that measure what the machine can give at that time.

The results go to `benchmarks/results/` (not with --quick): `compiled.json`, a record for each
workload, and the page made of all of them, `compiled.md`.
"""

from __future__ import annotations

from functools import partial

from .contest import program
from .contest.page import Contest
from .contest.workloads import WORKLOADS

COMPILED = Contest("compiled", "Compiled steps, side by side", WORKLOADS)
main = partial(program.main, COMPILED, (__doc__ or "").splitlines()[0])

if __name__ == "__main__":
    main()
