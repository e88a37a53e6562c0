"""ob.spy of a pattern, a plan or a sparse derivative: the pattern in the colours of its sweeps."""

import numpy as np
import pytest

import overbar as ob
from overbar.views.colours import INKS, Coloured
from overbar.views.spy import PAPER

X = np.ones(6)


def pairs(x):
    return x[1:] * x[:-1]


def test_every_pixel_has_the_colour_of_its_column():
    J = ob.sparse.jacobian(pairs)
    J(X)
    for subject in (J, J.plan):
        picture = ob.spy(subject)
        assert isinstance(picture, Coloured)
        pixels, there = picture.pixels(), J.pattern.toarray()
        assert (pixels[~there] == PAPER).all()
        for i, j in np.argwhere(there):
            assert tuple(pixels[i, j]) == INKS[J.colours[j]]


def test_rows_have_colours_where_sweeps_go_backward():
    J = ob.sparse.jacobian(lambda x: ob.sum(ob.reshape(x, (2, 3)), axis=1) * x[0], mode="reverse")
    J(X)
    picture = ob.spy(J)
    assert picture.kind == "rows"
    pixels = picture.pixels()
    for i, j in np.argwhere(J.pattern.toarray()):
        assert tuple(pixels[i, j]) == INKS[J.colours[i]]
    assert picture.tables()[0][2] == [["0", "1"], ["1", "1"]]


def test_a_pattern_is_shown_in_letters():
    picture = ob.spy(ob.sparsity(pairs, X))
    assert str(picture).splitlines() == [
        "5×6, 10 entries (33.3 %), 2 colours of the columns",
        "ab····", "·ba···", "··ab··", "···ba·", "····ab",
    ]  # fmt: skip
    assert picture.text(ascii=True).splitlines()[1] == "ab...."
    assert picture.density == pytest.approx(1 / 3)
    assert picture.svg().startswith("<svg")
    assert "2 colours of the columns" in picture.svg()
    assert picture.png().startswith(b"\x89PNG")


def test_a_large_one_is_binned():
    picture = ob.spy(ob.sparsity(pairs, np.ones(20_000)))
    assert picture.pixels().shape == (512, 512, 3)
    assert len(str(picture).splitlines()) == 73
    assert (picture.matrix > 0).sum() <= 3 * 512


def test_a_function_is_shown_as_before():
    assert not isinstance(ob.spy(pairs, X), Coloured)
