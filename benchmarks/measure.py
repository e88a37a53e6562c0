"""Times of several ways to do one thing, taken so that they can be compared.

Two runs minutes apart differ by more than most improvements: clocks, caches and neighbours
change. So the contestants take turns inside every round, and what is reported is the median over
rounds, the spread, and ratios taken *within* rounds. Nothing here knows what is being measured.

    timings = interleave({"ours": step, "theirs": their_step})
    show(timings, base="theirs")

The garbage collector stays on while the clock runs, because a library that makes reference cycles
should pay for them. What was alive before the measurement is frozen, so that nobody pays for the
size of somebody else's imports; each turn starts after a full collection, so that nobody pays for
somebody else's garbage.

Run this file to see it work on itself.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from statistics import median, quantiles
from time import perf_counter

MOST_REPETITIONS = 10_000_000


@dataclass(frozen=True)
class Timing:
    """Seconds per call: the median over rounds, and the quartiles around it.

    `rounds` holds what each round measured, so that two contestants can be compared turn by turn.
    """

    median: float
    low: float
    high: float
    rounds: tuple[float, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, rounds: tuple[float, ...]) -> Timing:
        """Median and quartiles of what the rounds measured."""
        low, _, high = quantiles(rounds, n=4, method="inclusive") if len(rounds) > 1 else rounds * 3
        return cls(median(rounds), low, high, rounds)


def interleave(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int = 15, min_time: float = 0.02
) -> dict[str, Timing]:
    """The timings of the contestants, which take turns within each round.

    A contestant is called once unmeasured (it may compile or allocate), then as many times per
    turn as fill `min_time` seconds. The order turns round from one round to the next, so that
    nobody always runs behind the same neighbour. A call that returns before its work is done
    (another thread, another device) must wait for it inside the contestant.

    Cost:  about rounds * min_time seconds per contestant. The loop itself adds some 20 ns a call.
    """
    if rounds < 1 or min_time <= 0:
        raise ValueError(f"wanted rounds >= 1 and min_time > 0, got {rounds} and {min_time}")
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    with collector():
        counts = {name: repetitions(call, min_time) for name, call in contestants.items()}
        for turn in range(rounds):
            for name in order(list(contestants), turn):
                count = counts[name]
                gc.collect()
                seconds[name].append(seconds_of(contestants[name], count) / count)
    return {name: Timing.of(tuple(taken)) for name, taken in seconds.items()}


def ratios(timings: Mapping[str, Timing], base: str) -> dict[str, Timing]:
    """How many times as long as `base` each contestant takes: round by round, then the median."""
    divisors = timings[base].rounds
    return {
        name: Timing.of(tuple(t / d for t, d in zip(timing.rounds, divisors, strict=True)))
        for name, timing in timings.items()
    }


def table(timings: Mapping[str, Timing], base: str | None = None) -> list[tuple[str, ...]]:
    """Rows of text, the first of which is the heading; ratios if a base is named."""
    rows = [("", "median", "quartiles")]
    rows += [
        (name, readable(t.median), f"{readable(t.low)} to {readable(t.high)}")
        for name, t in timings.items()
    ]
    if base is None:
        return rows
    columns = [(f"times {base}", "quartiles")]
    columns += [
        (f"{r.median:.3g}", f"{r.low:.3g} to {r.high:.3g}") for r in ratios(timings, base).values()
    ]
    return [row + more for row, more in zip(rows, columns, strict=True)]


def show(timings: Mapping[str, Timing], base: str | None = None, title: str = "") -> None:
    """Print the table, with rich if it is installed."""
    heading, *rows = table(timings, base)
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
        for line in [(title,)] * bool(title) + [heading, *rows]:
            print("  ".join(text.ljust(n) for text, n in zip(line, widths, strict=False)).rstrip())
        return
    grid = Table(title=title or None, title_justify="left")
    for index, name in enumerate(heading):
        grid.add_column(name, justify="right" if index else "left")
    for row in rows:
        grid.add_row(*row)
    Console().print(grid)


def readable(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * size:
            return f"{seconds / size:.3g} {unit}" if seconds < 999.5 * size else f"{seconds:.0f} s"
    return f"{seconds * 1e9:.3g} ns"


def order(names: list[str], turn: int) -> list[str]:
    """Every name once: the next one leads in each round, and every second round runs backwards."""
    start = turn % len(names) if names else 0
    turned = names[start:] + names[:start]
    return turned[::-1] if turn % 2 else turned


def seconds_of(call: Callable[[], object], count: int) -> float:
    """How long so many calls take."""
    began = perf_counter()
    for _ in repeat(None, count):
        call()
    return perf_counter() - began


def repetitions(call: Callable[[], object], min_time: float) -> int:
    """How many calls fill `min_time`; the first call, which may compile, is not counted."""
    call()
    count = 1
    while (taken := seconds_of(call, count)) < min_time and count < MOST_REPETITIONS:
        aim = count * 1.1 * min_time / taken if taken > 0 else count * 10
        count = min(max(count + 1, int(aim)), count * 10, MOST_REPETITIONS)
    return count


@contextmanager
def collector() -> Iterator[None]:
    """The collector's policy, as the module's first paragraph states it."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.enable()
    try:
        yield
    finally:
        gc.unfreeze()
        if not was_on:
            gc.disable()


if __name__ == "__main__":
    numbers = list(range(1000))
    show(
        interleave(
            {
                "sum": lambda: sum(numbers),
                "sum of a generator": lambda: sum(number for number in numbers),
                "sum, again": lambda: sum(numbers),
            }
        ),
        base="sum",
        title="Adding a thousand integers; the first and the last are the same",
    )
