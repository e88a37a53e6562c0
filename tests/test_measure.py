"""The ruler is measured before it measures."""

import gc
import time

import pytest

from benchmarks.measure import Timing, interleave, ratios, readable, show, table


def test_contestants_take_turns_and_each_leads():
    calls = []
    names = "abc"
    slow = {n: lambda n=n: (calls.append(n), time.sleep(0.002)) for n in names}
    interleave(slow, rounds=6, min_time=1e-6)
    turns = calls[-18:]
    rounds = [turns[i : i + 3] for i in range(0, 18, 3)]
    assert all(sorted(each) == list(names) for each in rounds)
    assert {each[0] for each in rounds} == set(names)


def test_a_sleep_takes_as_long_as_it_sleeps():
    timing = interleave({"nap": lambda: time.sleep(0.003)}, rounds=3, min_time=0.001)["nap"]
    assert 0.003 <= timing.low <= timing.median <= timing.high
    assert len(timing.rounds) == 3


def test_short_calls_are_repeated_until_they_fill_a_turn():
    calls = []
    interleave({"short": lambda: calls.append(0)}, rounds=1, min_time=0.002)
    assert len(calls) > 1000


def test_ratios_are_taken_within_rounds():
    drifting = {"base": Timing.of((1.0, 2.0, 4.0)), "twice": Timing.of((2.0, 4.0, 8.0))}
    twice = ratios(drifting, "base")["twice"]
    assert (twice.median, twice.low, twice.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_is_on_while_measuring_and_left_as_it_was(was_on):
    seen = []
    (gc.enable if was_on else gc.disable)()
    try:
        interleave({"look": lambda: seen.append(gc.isenabled())}, rounds=1, min_time=1e-6)
        assert gc.isenabled() == was_on
        assert gc.get_freeze_count() == 0
    finally:
        gc.enable()
    assert all(seen)


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"min_time": 0.0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="wanted rounds >= 1"):
        interleave({"a": int}, **wrong)


def test_the_table_names_units_and_ratios(capsys):
    timings = {"a": Timing.of((1e-6, 1e-6)), "b": Timing.of((3e-6, 3e-6))}
    assert table(timings, base="a")[2] == ("b", "3 µs", "3 µs to 3 µs", "3", "3 to 3")
    show(timings, base="a", title="two")
    assert "times a" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(12.34, "12.3 s"), (0.999, "999 ms"), (1e-3, "1 ms"), (4.56e-7, "456 ns"), (9.999e-4, "1 ms")],
)
def test_times_are_readable(seconds, said):
    assert readable(seconds) == said
