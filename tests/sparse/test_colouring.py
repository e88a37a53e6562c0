"""Colourings are valid, and as small as the structure allows; entries are read where they stand
alone.
"""

import numpy as np
import pytest

import overbar as ob
from overbar.calculus.colouring import column_colours, read_at, row_colours, star_colours
from overbar.calculus.compressed import planned
from overbar.calculus.pattern import Pattern, sparsity
from overbar.errors import DomainError


def pattern(matrix):
    return Pattern(np.shape(matrix), *np.nonzero(matrix))


def scattered(seed, m=14, n=11, share=0.2):
    return np.random.default_rng(seed).random((m, n)) < share


def symmetric(seed, n=13, share=0.2):
    half = scattered(seed, n, n, share)
    return half | half.T


def grid(n):
    """The five-point stencil of an n × n grid."""
    line = np.abs(np.arange(n)[:, None] - np.arange(n)) == 1
    return np.kron(line, np.eye(n)) + np.kron(np.eye(n), line) + np.eye(n * n) != 0


@pytest.mark.parametrize("seed", range(20))
def test_no_row_has_two_columns_of_one_colour(seed):
    a = scattered(seed)
    colours = column_colours(pattern(a)).of
    for row in a:
        assert len(set(colours[row])) == row.sum()
    np.testing.assert_array_equal(row_colours(pattern(a)).of, column_colours(pattern(a.T)).of)


@pytest.mark.parametrize("seed", range(20))
def test_every_entry_of_a_symmetric_matrix_is_read_where_it_stands_alone(seed):
    a = symmetric(seed)
    p = pattern(a)
    colouring = star_colours(p)
    values = np.random.default_rng(seed).standard_normal(a.shape)
    values = np.where(a, values + values.T, 0.0)
    lane, at = read_at(p, colouring)
    sums = colouring.seeds() @ values
    np.testing.assert_allclose(sums[lane, at], values[p.rows, p.columns], rtol=1e-13, atol=1e-13)
    assert colouring.count <= column_colours(p).count + 1


@pytest.mark.parametrize(("bandwidth", "colours"), [(0, 1), (1, 3), (2, 5)])
def test_a_band_takes_as_many_colours_as_it_is_wide(bandwidth, colours):
    i = np.arange(40)
    band = np.abs(i[:, None] - i) <= bandwidth
    assert column_colours(pattern(band)).count == row_colours(pattern(band)).count == colours


def test_a_grid_takes_few_colours_however_large():
    assert column_colours(pattern(grid(12))).count <= 8  # five at least, as rows have five
    assert star_colours(pattern(grid(12))).count <= 8


def test_an_arrow_takes_two_colours_if_its_symmetry_is_used():
    arrow = np.eye(30, dtype=bool)
    arrow[0] = arrow[:, 0] = True
    assert column_colours(pattern(arrow)).count == 30
    assert star_colours(pattern(arrow)).count == 2


def test_what_is_full_or_empty_is_coloured_without_a_search():
    assert column_colours(pattern(np.ones((3, 50)))).count == 50
    assert column_colours(pattern(np.zeros((3, 5)))).count == 1
    assert column_colours(pattern(np.zeros((0, 0)))).count == 0


def test_the_plan_takes_the_direction_with_fewer_colours():
    tall = lambda x: ob.concat([x, ob.sum(x)[None]])  # one full row: reverse
    plan = planned(sparsity(tall, np.zeros(9)))
    assert (plan.mode, plan.sweeps, plan.others) == ("reverse", 2, 9)
    wide = lambda x: x[1:] * x[0]  # one full column: forward
    plan = planned(sparsity(wide, np.zeros(9)))
    assert (plan.mode, plan.sweeps, plan.others) == ("forward", 2, 8)
    assert repr(plan).startswith("2 forward sweeps instead of 9: colours of the columns")
    forced = planned(sparsity(wide, np.zeros(9)), "reverse")
    assert (forced.mode, forced.sweeps, forced.dense) == ("reverse", 8, 8)
    with pytest.raises(DomainError, match="mode='sideways'"):
        planned(sparsity(wide, np.zeros(9)), "sideways")
