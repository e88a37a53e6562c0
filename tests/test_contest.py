"""The benchmarks of compiled steps and of networks run, compare and report; no time is asserted."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import compiled, models
from benchmarks.contest import page, program
from benchmarks.contest.rival import FailedError, Rival, Setting, environment, settings
from benchmarks.contest.worker import flat, sample, task_of


def record(ours, theirs, **more):
    """A workload of 2 GFLOP on a machine of 1 TFLOP/s and 1 GB/s: 2 ms at least."""
    rivals = {
        name: {
            "setting": [library, 1, False], "rounds": rounds, "cores": [1.0] * 3,
            "first": first, "report": "", "amount": rate,
        }
        for name, library, rounds, first, rate in (
            ("overbar, 1", "overbar", ours, 0.5, 0),
            ("multiply, 1", "multiply", [1.0] * 3, 0.0, 1e12),
            ("scale, 1", "scale", [1.0] * 3, 0.0, 1e9),
            ("jax, 1", "jax", theirs, 2.0, 0),
        )
    }  # fmt: skip
    known = {"flops": 2e9, "bytes": 0, "date": "2026-01-01", "load": 0.0, "failures": {}}
    return {"name": "medium", "rivals": rivals, **known, **more}


@pytest.mark.native
def test_a_workload_is_measured_and_kept(tmp_path, capsys):
    pytest.importorskip("llvmlite")
    compiled.main(
        [
            "gemm_64",
            "--tiny",
            "--rivals",
            "--threads",
            "1",
            "--rounds",
            "2",
            "--into",
            str(tmp_path),
        ]
    )
    said = capsys.readouterr().out
    assert "overbar, 1" in said
    assert "FLOP/s" in said
    kept = json.loads((tmp_path / "compiled.json").read_text())["gemm_64"]
    assert kept["failures"] == {}
    assert {len(r["rounds"]) for r in kept["rivals"].values()} == {2}
    assert (tmp_path / "compiled.md").read_text().startswith("# Compiled steps")


@pytest.mark.native
def test_a_network_is_measured_with_its_memory(tmp_path, capsys):
    pytest.importorskip("llvmlite")
    asked = ["deep_train", "--tiny", "--rivals", "--threads", "1", "--rounds", "1"]
    models.main([*asked, "--into", str(tmp_path)])
    assert "planned by overbar" in capsys.readouterr().out
    kept = json.loads((tmp_path / "models.json").read_text())["deep_train"]
    took = kept["memory"]["overbar"]
    assert 0 < took["planned"] < took["resident"]
    assert (tmp_path / "models.md").read_text().startswith("# Networks")


# AlexNet has its 61 million parameters at any size.
SLOW = [name for name in page.KNOWN if name.startswith("alexnet")]
QUICK = [name for name in page.KNOWN if name not in SLOW]


@pytest.mark.native
@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_every_workload_runs_compiled(name):
    pytest.importorskip("llvmlite")
    import overbar as ob
    from benchmarks.contest import ours

    with ob.config(jit="native", threads=2):
        task = task_of("overbar", name, True)
        results = [ours.look(x) for x in flat(task.call())]
        assert "one by one" not in task.report()
    assert results
    assert all(np.isfinite(x).all() for x in results)
    with ob.config(jit="off"):
        plain = task_of("overbar", name, True)
        for x, y in zip(results, map(ours.look, flat(plain.call())), strict=True):
            np.testing.assert_allclose(x, y, rtol=2e-4, atol=1e-5)


def test_a_rival_that_fails_says_why(tmp_path):
    with (
        Rival(Setting("overbar", 1), tmp_path) as rival,
        pytest.raises(FailedError, match="KeyError"),
    ):
        rival.ask("prepare", "no such thing", True)


def test_every_rival_runs_with_both_allocators_and_we_with_ours():
    names = [s.name for s in settings([1, 2], ["jax"], keeping=True)]
    assert [n for n in names if n.startswith("jax")] == [
        "jax, 1", "jax, 2", "jax, 1 keeping", "jax, 2 keeping",
    ]  # fmt: skip
    assert [n for n in names if n.startswith("overbar")] == ["overbar, 1", "overbar, 2"]


def test_only_those_that_keep_memory_are_told_to(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "7")
    plain, keeping = (environment(Setting("jax", 1, keep), Path("x")) for keep in (False, True))
    assert not [k for k in plain if k.startswith("MALLOC_")]
    assert keeping["MALLOC_MMAP_MAX_"] == "0"


def test_other_values_are_refused():
    x = np.ones(3, np.float32)
    assert program.distance([x * np.float32(1.0005)], [x]) == pytest.approx(5e-4, rel=1e-2)
    for wrong in (x * 1.01, x * np.nan, np.ones(4)):
        with pytest.raises(FailedError):
            program.distance([wrong], [x])


def test_large_arrays_are_compared_by_a_sample_from_end_to_end():
    x = np.arange(10_000_000)
    taken = sample(x)
    assert len(taken) < 250_000
    assert taken[-1] > 9_999_000


def test_goals_and_floors_come_from_the_same_rounds():
    good = record([2e-3, 4e-3, 8e-3], [4e-3, 8e-3, 16e-3])
    assert page.ratio(good, "overbar, 1", "jax, 1").median == 2.0
    under, said = page.floor(good, "overbar, 1")
    assert under.median == pytest.approx(2e-3)
    assert said == "2 GFLOP"
    bad = record([4e-3] * 3, [4e-3] * 3)
    assert page.missed(bad, "overbar, 1") == ["1.00 of 1.6 x JAX", "50% of 85%"]
    assert page.missed(record([2e-3] * 3, [4e-3] * 3), "overbar, 1") == []
    assert "**missed**" in page.tables("A title", [bad])


def test_a_record_taken_beside_other_work_says_so():
    made = record([1e-3] * 3, [1e-3] * 3)
    assert "beside other work" not in page.tables("A title", [made])
    made["rivals"]["multiply, 1"]["cores"] = [0.5] * 3
    assert "beside other work" in page.tables("A title", [made])


def test_a_step_that_fell_back_is_listed():
    made = record([1e-3] * 3, [1e-3] * 3)
    made["rivals"]["overbar, 1"]["report"] = "f: 1 operation\n    with NumPy: fft"
    assert "`medium` (overbar, 1): with NumPy: fft" in page.fallbacks([made])


def test_the_goals_of_a_first_call_and_of_memory_are_held():
    made = record([1e-3] * 3, [1e-3] * 3, name="alexnet_train")
    assert "of 2 s" not in page.first_calls([made])
    made["rivals"]["overbar, 1"]["first"] = 2.5
    assert "2.50 of 2 s" in page.first_calls([made])
    gigabytes = {"torch": 2.0, "torch.compile": 1.0, "jax": 3.0}
    made["memory"] = {k: {"resident": v * 1e9, "planned": 0} for k, v in gigabytes.items()}
    made["memory"]["overbar"] = {"resident": 0.75e9, "planned": 0.5e9}
    assert "missed" not in page.memory([made])
    made["memory"]["overbar"]["resident"] = 0.9e9
    assert "0.90 of 0.8" in page.memory([made])
    made["memory"]["overbar"] = {"failed": "no such thing"}
    assert "failed" in page.tables("A title", [made])


def test_some_run_only_with_an_allocator_that_keeps_memory():
    names = [s.name for s in settings([2], ["torch", "jax"], keeping=True, never=["jax"])]
    assert names[-3:] == ["torch, 2", "torch, 2 keeping", "jax, 2 keeping"]
    assert settings([2], ["jax"], keeping=False, never=["jax"])[-1].name == "jax, 2"
