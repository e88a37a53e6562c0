"""Images varied at random: what they become, and that the seed decides it."""

import numpy as np
import pytest

import overbar as ob
from overbar.data import normalise, random_crop, random_flip, random_shift
from overbar.errors import DataError, DomainError


@pytest.fixture
def x(rng):
    return rng.uniform(1, 2, (40, 3, 6, 5)).astype(np.float32)


def generators():
    return [lambda: np.random.default_rng(3), lambda: ob.random.default_rng(3)]


EACH = {
    "crop": lambda x, rng: random_crop(x, (4, 3), rng=rng),
    "crop with a border": lambda x, rng: random_crop(x, 6, 2, rng=rng),
    "shift": lambda x, rng: random_shift(x, 2, rng=rng),
    "flip": lambda x, rng: random_flip(x, rng=rng),
}


@pytest.mark.parametrize("vary", EACH.values(), ids=EACH)
@pytest.mark.parametrize("generator", generators(), ids=["numpy", "overbar"])
def test_the_seed_decides(vary, generator, x):
    before = x.copy()
    first, again = vary(x, generator()), vary(x, generator())
    assert np.array_equal(first, again)
    assert not np.array_equal(first, vary(x, np.random.default_rng(8)))
    assert first.dtype == np.float32
    assert np.array_equal(x, before)


@pytest.mark.parametrize("vary", EACH.values(), ids=EACH)
def test_without_a_generator_it_is_overbars_own(vary, x):
    ob.random.seed(5)
    first = vary(x, None)
    ob.random.seed(5)
    assert np.array_equal(first, vary(x, None))


def test_a_crop_is_a_window_of_its_image_and_every_window_comes(x):
    cut = random_crop(np.repeat(x[:1], 2000, 0), (4, 3), rng=np.random.default_rng(0))
    windows = {x[0, :, i : i + 4, j : j + 3].tobytes(): (i, j) for i in range(3) for j in range(3)}
    assert {windows[image.tobytes()] for image in cut} == set(windows.values())


def test_images_are_varied_each_on_its_own(x):
    same = np.repeat(x[:1], 50, 0)
    for vary in EACH.values():
        assert len({image.tobytes() for image in vary(same, np.random.default_rng(0))}) > 1


def test_a_shift_moves_everything_and_brings_zeros():
    x = np.zeros((200, 1, 5, 5))
    x[:, :, 2, 2] = 1
    moved = random_shift(x, 2, rng=np.random.default_rng(0))
    assert (moved.sum((1, 2, 3)) == 1).all()
    assert ((moved.sum(0) > 0).all()).all()


def test_a_flip_is_left_for_right_in_half_of_them(x):
    many = np.repeat(x, 50, 0)
    flipped = random_flip(many, rng=np.random.default_rng(0))
    mirrored = (flipped == many[..., ::-1]).all((1, 2, 3))
    assert ((flipped == many).all((1, 2, 3)) ^ mirrored).all()
    assert 0.45 < mirrored.mean() < 0.55
    assert np.array_equal(random_flip(x, 1.0), x[..., ::-1])
    assert np.array_equal(random_flip(x, 0.0), x)


def test_normalise_is_its_formula(x):
    mean, std = [0.5, 0.6, 0.7], [0.1, 0.2, 0.3]
    want = (x - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    found = normalise(x, mean, std)
    np.testing.assert_allclose(found, want, rtol=1e-5)
    assert found.dtype == np.float32
    assert normalise(np.full((1, 3, 2, 2), 255, np.uint8), 0, 255).max() == 1


WRONG = {
    "no batch": (lambda: random_flip(np.zeros((3, 4, 4))), DataError),
    "too large a window": (lambda: random_crop(np.zeros((1, 1, 4, 4)), 5), DomainError),
    "no probability": (lambda: random_flip(np.zeros((1, 1, 4, 4)), 2), DomainError),
    "a negative border": (lambda: random_shift(np.zeros((1, 1, 4, 4)), -1), DomainError),
    "no deviation": (lambda: normalise(np.zeros((1, 3, 4, 4)), 0, 0), DomainError),
    "channels": (lambda: normalise(np.zeros((1, 3, 4, 4)), [0, 0], 1), DomainError),
}


@pytest.mark.parametrize(("call", "error"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused(call, error):
    with pytest.raises(error):
        call()
