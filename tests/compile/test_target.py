"""What is known of the computer: read where it is told, assumed where not, never an error."""

import os

import pytest

from overbar.compile import target


@pytest.mark.parametrize(
    ("arch", "features", "expected"),
    [
        ("x86_64", ["avx512f", "avx512vl", "avx2", "fma"], (512, 32)),
        ("x86_64", ["avx512f", "avx2", "fma"], (256, 16)),  # no short vectors of that kind
        ("x86_64", ["avx2"], (128, 16)),
        ("x86_64", [], (128, 16)),
        ("aarch64", ["neon", "sve"], (128, 32)),
        ("arm64", [], (128, 32)),
        ("riscv64", [], (128, 16)),
    ],
)
def test_registers_follow_from_the_features(arch, features, expected):
    assert target.registers(arch, features) == expected


def write_caches(root, *entries):
    cpu = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    for i, (level, kind, size, shared) in enumerate(entries):
        place = root / f"cpu{cpu}" / "cache" / f"index{i}"
        place.mkdir(parents=True)
        values = {"level": level, "type": kind, "size": size, "shared_cpu_list": shared}
        for name, value in values.items():
            (place / name).write_text(f"{value}\n")


def test_a_core_gets_its_share_of_a_cache(tmp_path):
    write_caches(
        tmp_path,
        (1, "Data", "48K", "0,8"),  # two threads of one core
        (1, "Instruction", "32K", "0,8"),
        (2, "Unified", "2M", "0,8"),
        (3, "Unified", "32768K", "0-15"),  # eight cores
    )
    assert target.caches(tmp_path) == (48 << 10, 2 << 20, 4 << 20)


def test_what_is_not_told_is_assumed(tmp_path):
    assert target.caches(tmp_path / "nothing") == target.CACHES
    write_caches(tmp_path, (1, "Data", "what?", "0"), (2, "Unified", "1M", "0"))
    assert target.caches(tmp_path) == (target.CACHES[0], 1 << 20, target.CACHES[2])


def test_a_container_gets_no_more_threads_than_it_pays_for(tmp_path):
    quota = tmp_path / "cpu.max"
    free = target.cores(quota)
    assert free >= 1
    for text, most in (("max 100000", free), ("100000 100000", 1), ("50000 100000", 1), ("", free)):
        quota.write_text(text)
        assert target.cores(quota) == min(free, most)


def test_this_computer_is_sane():
    l1, l2, l3 = target.caches()
    assert 4 << 10 <= l1 <= l2
    assert l3 >= 4 << 10
    assert 1 <= target.cores() <= (os.cpu_count() or 1)
