"""This computer: how many cores, which caches, how wide its vectors are.

Read from the operating system where it tells (Linux), else assumed; nothing here asks LLVM. A
wrong size costs some speed and never a result.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

CACHES = (32 << 10, 512 << 10, 2 << 20)
"""Bytes of the three levels of cache, where nobody tells: what every core of today has."""

_CPU = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def registers(arch: str, features: Collection[str]) -> tuple[int, int]:
    """Bits of the widest vector register and how many there are, for the features switched on."""
    if arch.startswith(("aarch64", "arm64")):
        return 128, 32
    if {"avx512f", "avx512vl"} <= set(features):
        return 512, 32
    if {"avx2", "fma"} <= set(features):
        return 256, 16
    return 128, 16


def cores(quota: Path = _QUOTA) -> int:
    """How many cores this process may use: its affinity, and the quota of its container."""
    try:
        count = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        count = os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()[:2]
        # Rounded down: a thread more than the quota pays for is stopped for whole time slices, and
        # everybody waits for it at the next barrier.
        count = min(count, max(1, int(allowed) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": no quota
        pass
    return count


def caches(cpu: Path = _CPU) -> tuple[int, int, int]:
    """Bytes of the caches of one core: of a shared one, its share."""
    sizes: list[int] = list(CACHES)
    sharers = [1, 1, 1]
    for entry in sorted((cpu / f"cpu{_first_cpu()}" / "cache").glob("index*")):
        try:
            level, kind = int(_line(entry / "level")), _line(entry / "type")
            size, who = _bytes(_line(entry / "size")), _count(_line(entry / "shared_cpu_list"))
        except (OSError, ValueError):
            continue
        if kind != "Instruction" and 1 <= level <= 3 and size:
            sizes[level - 1], sharers[level - 1] = size, who
    siblings = sharers[0]  # the hardware threads of one core share its first level
    l1, l2, l3 = (size // max(1, who // siblings) for size, who in zip(sizes, sharers, strict=True))
    return l1, l2, l3


def _first_cpu() -> int:
    try:
        return min(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return 0


def _line(path: Path) -> str:
    return path.read_text().strip()


def _bytes(text: str) -> int:
    """48K -> 49152"""
    unit = {"K": 10, "M": 20, "G": 30}.get(text[-1:].upper())
    return int(text[:-1]) << unit if unit else int(text)


def _count(text: str) -> int:
    """0-3,8 -> 5"""
    spans = [part.partition("-") for part in text.split(",")]
    return sum(int(last or first) - int(first) + 1 for first, _, last in spans)
