"""The scientific benchmark: every library computes the same, and the run prints a table."""

import pytest

from benchmarks import scientific

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own


@pytest.mark.parametrize("name", scientific.CELLS)
def test_every_contestant_of_a_cell_computes_the_same(name):
    contest = scientific.CELLS[name].contest(True)
    assert "overbar" in contest
    assert len(contest) > 1
    assert set(scientific.first_calls(contest)) == set(contest)


def test_other_values_are_seen():
    with pytest.raises(AssertionError, match="theirs: other values"):
        scientific.first_calls({"overbar": lambda: 1.0, "theirs": lambda: 1.1})


def test_the_run_prints_a_table(capsys):
    scientific.main(["--tiny", "gradient_4"])
    said = capsys.readouterr().out
    assert "autograd" in said
    assert "first: overbar" in said
