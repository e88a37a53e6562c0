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

import argparse
import datetime as dt
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np

from .contest import page
from .contest.rival import FailedError, Rival, Setting, settings
from .contest.workloads import WORKLOADS
from .measure import order

LIBRARIES = ("jax", "torch", "torch.compile")
TOLERANCE = 1e-3
PAUSE = 0.005
"""Seconds between turns: threads of the one before have gone to sleep."""


def distance(theirs: Sequence[np.ndarray], ours: Sequence[np.ndarray]) -> float:
    """The largest relative distance, array by array.

    Raises:  FailedError if it is more than TOLERANCE, or the arrays have other shapes.
    """
    shapes = [[x.shape for x in xs] for xs in (theirs, ours)]
    if shapes[0] != shapes[1]:
        raise FailedError(f"shapes {shapes[0]} against our {shapes[1]}")
    worst = 0.0
    for x, y in zip(theirs, ours, strict=True):
        size = float(np.linalg.norm(y.astype(np.float64)))
        gap = float(np.linalg.norm(x.astype(np.float64) - y.astype(np.float64)))
        gap = gap / size if size else gap
        worst = gap if not gap <= worst else worst  # a NaN stays
    if not worst <= TOLERANCE:
        raise FailedError(f"other values: {worst:.2g} from ours")
    return worst


def measured(
    name: str, rivals: Sequence[Setting], *, rounds: int, min_time: float, tiny: bool = False
) -> dict[str, Any]:
    """The record of one workload."""
    workload, failures = WORKLOADS[name], {}
    data = workload.data(tiny)
    record: dict[str, Any] = {
        "name": name, "flops": workload.flops(data), "bytes": workload.bytes(data),
        "date": dt.datetime.now(dt.UTC).date().isoformat(), "load": os.getloadavg()[0],
        "failures": failures, "rivals": {},
    }  # fmt: skip
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        alive: dict[str, Rival] = {}
        counts: dict[str, int] = {}
        ours: list[np.ndarray] | None = None
        for setting in rivals:
            rival = stack.enter_context(Rival(setting, folder))
            try:
                made = rival.ask("prepare", name, tiny)
                if setting.library == "overbar":
                    ours = ours or made["values"]
                if setting.library not in ("multiply", "scale") and ours is not None:
                    made["distance"] = distance(made["values"], ours)
                counts[setting.name] = rival.ask("calibrate", min_time)
            except FailedError as failed:
                failures[setting.name] = str(failed)
                print(f"  {name}: {setting.name}: {failed}", file=sys.stderr)
                continue
            del made["values"]
            record["rivals"][setting.name] = made | {"rounds": [], "cores": []}
            record["rivals"][setting.name]["setting"] = list(setting)
            alive[setting.name] = rival
        if any(s.library == "overbar" for s in rivals) and "overbar, 1" in alive:
            with Rival(Setting("overbar", 1), folder) as again:
                record["again"] = again.ask("prepare", name, tiny)["first"]
        for turn in range(rounds):
            for who in order(list(alive), turn):
                sleep(PAUSE)
                try:
                    seconds, work = alive[who].ask("turn", counts[who])
                except FailedError as failed:
                    failures[who] = str(failed)
                    alive.pop(who)
                    del record["rivals"][who]
                    continue
                record["rivals"][who]["rounds"].append(seconds)
                record["rivals"][who]["cores"].append(work / seconds)
    record["load"] = max(record["load"], os.getloadavg()[0])
    return record


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="workloads; all if none is named")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rivals", nargs="*", default=list(LIBRARIES), choices=LIBRARIES)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="15, or 5 with --quick")
    parser.add_argument("--tiny", action="store_true", help="hardly any numbers: a test")
    parser.add_argument("--list", action="store_true", help="the names of the workloads")
    parser.add_argument("--into", type=Path, help="the folder of results")
    asked = parser.parse_args(arguments)
    if asked.list:
        print("\n".join(f"{name:16} {w.title}" for name, w in WORKLOADS.items()))
        return
    unknown = [name for name in asked.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; wanted some of {', '.join(WORKLOADS)}")
    short = asked.quick or asked.tiny
    into = asked.into or (None if short else page.FOLDER)
    rivals = settings(asked.threads, asked.rivals, keeping=not asked.tiny)
    records = []
    for name in asked.names or WORKLOADS:
        record = measured(
            name, rivals, rounds=asked.rounds or (5 if short else 15),
            min_time=0.005 if short else 0.02, tiny=asked.tiny,
        )  # fmt: skip
        records.append(record)
        if into is not None:
            page.keep(into, record)
        print(page.details(record), flush=True)
    print(page.tables(records))


if __name__ == "__main__":
    main()
