"""What is printed: the records of workloads as tables in Markdown, with goals and floors.

A ratio is taken round by round and its median afterwards. A rival's best setting is the one with
the smallest median. Shares of the machine's limits are taken within rounds too.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from operator import mul
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from ..measure import Timing, readable
from .networks.workloads import NETWORKS
from .workloads import WORKLOADS, Workload

KNOWN = WORKLOADS | NETWORKS

FOLDER = Path(__file__).resolve().parents[1] / "results"
COMPILE = 0.5, 0.05
"""Goals: our time of the first call as a multiple of JAX's and of torch.compile's."""

QUIET = 0.9
"""Of a core: what a loop in registers gets at least where nobody else is at work."""

Record = dict[str, Any]


class Contest(NamedTuple):
    """Workloads on a page together.

    name   of the files of results
    never  libraries that run only with an allocator that keeps memory, to save time
    """

    name: str
    title: str
    workloads: dict[str, Workload]
    never: tuple[str, ...] = ()


def best(record: Record, *libraries: str) -> str | None:
    """The fastest setting of these libraries."""
    found = {
        name: median(r["rounds"])
        for name, r in record["rivals"].items()
        if r["setting"][0] in libraries and r["rounds"]
    }
    return min(found, key=found.__getitem__) if found else None


def _rounds(record: Record, name: str) -> list[float]:
    return record["rivals"][name]["rounds"]


def ratio(record: Record, ours: str, theirs: str) -> Timing:
    """How many times as fast as theirs ours is."""
    pairs = zip(_rounds(record, ours), _rounds(record, theirs), strict=False)
    return Timing.of(tuple(t / o for o, t in pairs))


def limits(record: Record, threads: int) -> tuple[list[float], list[float]]:
    """Round by round: operations and bytes a second that the machine gave."""
    rates = []
    for loop in ("multiply", "scale"):
        r = record["rivals"].get(f"{loop}, {threads}")
        rates.append([r["amount"] / t for t in r["rounds"]] if r else [])
    return rates[0], rates[1]


def floor(record: Record, ours: str) -> tuple[Timing, str] | None:
    """The time below which nothing runs with as many threads, and what sets it."""
    _, threads, _ = record["rivals"][ours]["setting"]
    flops, width = limits(record, threads)
    if not flops or not width or not (record["flops"] or record["bytes"]):
        return None
    times = [(record["flops"] / f, record["bytes"] / w) for f, w in zip(flops, width, strict=False)]
    busy, moving = (median(t[k] for t in times) for k in (0, 1))
    if busy >= moving:
        return Timing.of(tuple(t[0] for t in times)), f"{amount(record['flops'], 'FLOP')}"
    return Timing.of(tuple(t[1] for t in times)), f"{amount(record['bytes'], 'B')}"


def amount(x: float, unit: str) -> str:
    """Three digits, a prefix and a unit."""
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if x >= size:
            return f"{x / size:.3g} {prefix}{unit}"
    return f"{x:.3g} {unit}"


def _goal(record: Record) -> str:
    w = KNOWN[record["name"]]
    parts = [f"{w.jax:g} x JAX", f"{w.torch:g} x torch"]
    return ", ".join(parts + ([f"{w.share:.0%} of the floor's speed"] if w.share else []))


def missed(record: Record, ours: str) -> list[str]:
    """What is below its goal, and by how much."""
    w, short = KNOWN[record["name"]], []
    for goal, who, libraries in (
        (w.jax, "JAX", ("jax",)), (w.torch, "torch", ("torch", "torch.compile")),
    ):  # fmt: skip
        rival = best(record, *libraries)
        if rival and (got := ratio(record, ours, rival).median) < goal:
            short.append(f"{got:.2f} of {goal:g} x {who}")
    under = floor(record, ours)
    if w.share and under:
        got = median(f / t for f, t in zip(under[0].rounds, _rounds(record, ours), strict=False))
        if got < w.share:
            short.append(f"{got:.0%} of {w.share:.0%}")
    return short


def _time(t: float, steps: int) -> str:
    return readable(t / steps)


def row(record: Record) -> list[str]:
    """One workload's line in the table."""
    workload, ours = KNOWN[record["name"]], best(record, "overbar")
    title = f"{workload.title} (`{record['name']}`)"
    title += ", **measured beside other work**" if disturbed(record) else ""
    if ours is None:
        why = "; ".join(v for k, v in record["failures"].items() if k.startswith("overbar"))
        return [title, f"failed: {why}", "", "", "", "", "", ""]
    mine = Timing.of(tuple(_rounds(record, ours)))
    cells = [title, f"{_time(mine.median, workload.steps)} ({ours.partition(', ')[2]})"]
    for libraries in (("jax",), ("torch", "torch.compile")):
        rival = best(record, *libraries)
        if rival is None:
            cells.append("")
            continue
        r, theirs = ratio(record, ours, rival), median(_rounds(record, rival))
        cells.append(
            f"**{r.median:.2f}** ({r.low:.2f} to {r.high:.2f}): "
            f"{_time(theirs, workload.steps)}, {rival}"
        )
    cells.append(_rate(record, mine))
    under = floor(record, ours)
    if under is None:
        cells += ["", ""]
    else:
        share = median(f / t for f, t in zip(under[0].rounds, mine.rounds, strict=False))
        cells += [f"{_time(under[0].median, workload.steps)} ({under[1]})", f"{share:.0%}"]
    short = missed(record, ours)
    cells.append(_goal(record) + (f"; **missed**: {', '.join(short)}" if short else ""))
    return cells


def disturbed(record: Record) -> bool:
    """Whether somebody else had the processor: a loop in registers did not get a whole core."""
    r = record["rivals"].get("multiply, 1")
    return bool(r and r["rounds"]) and median(r["cores"]) < QUIET


def _rate(record: Record, mine: Timing) -> str:
    parts = []
    if record["flops"]:
        parts.append(f"{record['flops'] / mine.median / 1e9:.3g} GFLOP/s")
    if record["bytes"]:
        parts.append(f"{record['bytes'] / mine.median / 1e9:.3g} GB/s")
    return ", ".join(parts)


HEAD = (
    "workload", "overbar (threads)", "times as fast as JAX", "times as fast as PyTorch",
    "rate", "floor", "of the floor's speed", "goal",
)  # fmt: skip


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def first_calls(records: Sequence[Record]) -> str:
    """Times of the first calls, with empty caches."""
    rows = []
    for record in records:
        firsts = {
            library: next(
                (r["first"] for r in record["rivals"].values() if r["setting"][0] == library), None
            )
            for library in ("overbar", "jax", "torch.compile")
        }
        mine = firsts["overbar"]
        cells = [f"`{record['name']}`"]
        for library, first in firsts.items():
            share = f" ({mine / first:.2f})" if first and mine and library != "overbar" else ""
            cells.append(f"{first:.2f} s{share}" if first else "")
        again = record.get("again")
        cells.append(f"{again:.2f} s" if again else "")
        goals = zip(COMPILE, ("jax", "torch.compile"), strict=True)
        short = [who for goal, who in goals if mine and firsts[who] and mine / firsts[who] > goal]
        limit = KNOWN[record["name"]].first
        if limit and mine and mine > limit:
            short.append(f"{mine:.2f} of {limit:g} s")
        cells.append(f"**missed**: {', '.join(short)}" if short else "")
        rows.append(cells)
    head = ("first call", "overbar", "JAX (ours / theirs)", "torch.compile (ours / theirs)")
    goal = f"goal {COMPILE[0]} of JAX, {COMPILE[1]} of torch.compile"
    return markdown((*head, "overbar, cache full", goal), rows)


def memory(records: Sequence[Record]) -> str:
    """The most that a process held, and what our plan says; the best of torch's two counts."""
    rows = []
    for record in records:
        took = {k: m["resident"] for k, m in record["memory"].items() if "resident" in m}
        mine, cells = took.get("overbar"), [f"`{record['name']}`"]
        cells.append(amount(record["memory"]["overbar"].get("planned", 0), "B"))
        cells.append(amount(mine, "B") if mine else "failed")
        for library in ("torch", "torch.compile", "jax"):
            theirs = took.get(library)
            share = f" ({mine / theirs:.2f})" if mine and theirs else ""
            cells.append(f"{amount(theirs, 'B')}{share}" if theirs else "")
        goal = KNOWN[record["name"]].memory
        least = min((took[k] for k in ("torch", "torch.compile") if k in took), default=None)
        cells.append(f"{goal:g} x torch's")
        if goal and mine and least and mine > goal * least:
            cells[-1] += f"; **missed**: {mine / least:.2f} of {goal:g}"
        rows.append(cells)
    head = ("memory of a process", "planned by overbar", "overbar", "PyTorch (ours / theirs)",
            "torch.compile (ours / theirs)", "JAX (ours / theirs)", "goal")  # fmt: skip
    return markdown(head, rows)


def machine(records: Sequence[Record]) -> str:
    """What the machine gave, and how steadily."""
    lines = []
    for threads in (1, 2):
        pairs = [limits(r, threads) for r in records]
        for k, (what, unit) in enumerate((("multiply-adds", "FLOP/s"), ("bandwidth", "B/s"))):
            rates = [x for p in pairs for x in p[k]]
            if rates:
                t = Timing.of(tuple(rates))
                low, middle, high = (amount(x, unit) for x in (t.low, t.median, t.high))
                lines.append(
                    f"* {what}, {threads} thread{'s' if threads > 1 else ''}: "
                    f"median {middle} (quartiles {low} to {high}), best {amount(max(rates), unit)}"
                )
    return "\n".join(lines)


def versions() -> str:
    """Of everything that takes part."""
    found = [f"Python {platform.python_version()}"]
    for name in ("numpy", "llvmlite", "jax", "torch"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return f"{processor()}, {os.cpu_count()} cores; {', '.join(found)}"


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(x.partition(": ")[2] for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def fallbacks(records: Sequence[Record]) -> str:
    """What overbar computed with NumPy."""
    lines = []
    for record in records:
        for name, r in record["rivals"].items():
            said = [x.strip() for x in r["report"].splitlines() if "NumPy" in x]
            lines += [f"* `{record['name']}` ({name}): {x}" for x in said]
        lines += [f"* `{record['name']}`: {k}: {v}" for k, v in record["failures"].items()]
    return "\n".join(lines)


def tables(title: str, records: Sequence[Record]) -> str:
    """The whole page."""
    loads = [r["load"] for r in records]
    days = sorted(r["date"] for r in records)
    dates = " to ".join(dict.fromkeys((days[0], days[-1])))
    parts = [
        f"# {title}",
        f"{versions()}. {dates}; load while measuring: {min(loads):.1f} to {max(loads):.1f}.",
        machine(records),
        markdown(HEAD, [row(r) for r in records]),
        first_calls(records),
    ]
    resident = [r for r in records if "memory" in r]
    parts += [memory(resident)] if resident else []
    notes = fallbacks(records)
    return "\n\n".join(parts + (["Fallbacks and failures:\n\n" + notes] if notes else [])) + "\n"


def details(record: Record) -> str:
    """Every setting of one workload."""
    ours = best(record, "overbar")
    rows = []
    for name, r in record["rivals"].items():
        t = Timing.of(tuple(r["rounds"]))
        faster = f"{ratio(record, ours, name).median:.2f}" if ours else ""
        spread = f"{readable(t.low)} to {readable(t.high)}"
        cores = f"{median(r['cores']):.2f}"
        work = readable(median(map(mul, r["rounds"], r["cores"])))
        rows.append([name, readable(t.median), spread, faster, cores, work, f"{r['first']:.2f} s"])
    head = (
        record["name"], "median", "quartiles", "times ours", "cores busy", "processor time",
        "first call",
    )  # fmt: skip
    return markdown(head, rows) + "\n"


def keep(folder: Path, contest: Contest, record: Record) -> None:
    """Put a record among the others, and make the page anew."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{contest.name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[record["name"]] = record
    path.write_text(json.dumps(known, indent=1))
    records = [known[name] for name in contest.workloads if name in known]
    (folder / f"{contest.name}.md").write_text(tables(contest.title, records))
