"""A contest: everybody is prepared, compared, timed round by round; then the page is made."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from collections.abc import Sequence
from compileall import compile_dir
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

import numpy as np

from ..measure import order
from . import page
from .page import Contest
from .rival import ROOT, FailedError, Rival, Setting, settings
from .worker import LIMITS
from .workloads import Workload

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


def resident(name: str, rivals: Sequence[Setting], tiny: bool) -> dict[str, Any]:
    """What processes that do nothing else take: for each library, bytes or why there are none."""
    found, threads = {}, max(s.threads for s in rivals)
    for library in dict.fromkeys(s.library for s in rivals if s.library not in LIMITS):
        own = Setting(library, threads)
        with TemporaryDirectory() as folder, Rival(own, Path(folder)) as rival:
            try:
                found[library] = rival.ask("resident", name, tiny)
            except FailedError as failed:
                found[library] = {"failed": str(failed)}
    return found


def measured(
    name: str, workload: Workload, rivals: Sequence[Setting], *,
    rounds: int, min_time: float, tiny: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The record of one workload."""
    failures: dict[str, str] = {}
    data = workload.data(tiny)
    flops, moved = workload.flops(data), workload.bytes(data)
    del data
    record: dict[str, Any] = {
        "name": name, "flops": flops, "bytes": moved,
        "date": dt.datetime.now(dt.UTC).date().isoformat(), "load": os.getloadavg()[0],
        "failures": failures, "rivals": {},
    }  # fmt: skip
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        alive: dict[str, Rival] = {}
        counts: dict[str, int] = {}
        ours: list[np.ndarray] | None = None
        for setting in rivals:
            rival = stack.enter_context(Rival(setting, folder))
            try:
                made = rival.ask("prepare", name, tiny)
                if setting.library == "overbar":
                    ours = ours or made["values"]
                if setting.library not in LIMITS and ours is not None:
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
        if "overbar, 1" in alive:
            with Rival(Setting("overbar", 1), folder) as again, suppress(FailedError):
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
    if workload.memory:
        record["memory"] = resident(name, rivals, tiny)
    record["load"] = max(record["load"], os.getloadavg()[0])
    return record


def main(contest: Contest, title: str, arguments: Sequence[str] | None = None) -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=title)
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
        print("\n".join(f"{name:16} {w.title}" for name, w in contest.workloads.items()))
        return
    unknown = [name for name in asked.names if name not in contest.workloads]
    if unknown:
        parser.error(
            f"no workload {', '.join(unknown)}; wanted some of {', '.join(contest.workloads)}"
        )
    compile_dir(ROOT / "overbar", quiet=1)  # an installed package, like a rival, has its bytecode
    short = asked.quick or asked.tiny
    into = asked.into or (None if short else page.FOLDER)
    rivals = settings(asked.threads, asked.rivals, keeping=not asked.tiny, never=contest.never)
    records = []
    for name in asked.names or contest.workloads:
        record = measured(
            name, contest.workloads[name], rivals, rounds=asked.rounds or (5 if short else 15),
            min_time=0.005 if short else 0.02, tiny=asked.tiny,
        )  # fmt: skip
        records.append(record)
        if into is not None:
            page.keep(into, contest, record)
        print(page.details(record), flush=True)
    print(page.tables(contest.title, records))
