"""Batches made ahead: the same ones, in the same order, and no thread is left behind."""

import threading
import time
import traceback

import numpy as np
import pytest

import overbar as ob
from overbar.data import DataLoader, prefetch, random_flip, random_shift
from overbar.errors import DataError

X, Y = np.arange(22 * 9.0).reshape(22, 1, 3, 3), np.arange(22)


def varied(rng, x, y):
    return random_flip(random_shift(x, 1, rng=rng), rng=rng), y


def loader(ahead, **settings):
    rng = np.random.default_rng(4)
    return DataLoader(
        (X, Y), 4, shuffle=True, rng=rng, transform=varied, prefetch=ahead, **settings
    )


def threads():
    return [t for t in threading.enumerate() if t.name == "prefetch"]


def equal(one, other):
    return len(one) == len(other) and all(
        np.array_equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


@pytest.mark.parametrize("ahead", [1, 2, 50])
def test_batches_are_the_same_as_without(ahead):
    with_it, without = loader(ahead), loader(0)
    for _ in range(2):
        assert equal(list(with_it), list(without))
    assert not threads()


@pytest.mark.parametrize("ahead", [0, 3])
@pytest.mark.parametrize("stop", [0, 1, 4, 6])
def test_an_interrupted_epoch_goes_on_with_the_same_transforms(ahead, stop):
    """The state says what was handed out, not what was made ahead."""
    whole = list(loader(0))
    first = loader(ahead)
    walk = iter(first)
    begun = [next(walk) for _ in range(stop)]
    state = first.state_dict()
    again = loader(ahead)
    again.rng.bit_generator.advance(1000)
    again.load_state_dict(state) if stop else None
    rest = list(again) if stop else list(walk)
    assert equal(begun + rest, whole)


def test_only_so_many_are_made_ahead():
    made = []

    def source():
        for i in range(100):
            made.append(i)
            yield i

    walk = prefetch(source(), 3)
    assert next(walk) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(made) == 4
    walk.close()


def test_leaving_early_ends_the_thread():
    for batch in loader(2):
        assert len(batch) == 2
        assert len(threads()) == 1
        break
    assert not threads()


def test_an_unused_walk_starts_no_thread():
    prefetch(range(3))
    assert not threads()


def test_an_exception_arrives_with_its_trace_and_after_the_batches_before_it():
    def failing(rng, x, y):
        if 9 in y:
            raise ZeroDivisionError("in the making")
        return x, y

    seen, walk = [], iter(DataLoader((X, Y), 4, transform=failing, prefetch=3))
    with pytest.raises(ZeroDivisionError, match="in the making") as caught:
        seen.extend(y.tolist() for _, y in walk)
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7]]
    frames = [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert "failing" in frames
    assert not threads()


def test_settings_hold_in_the_thread():
    found = []

    def look(rng, x, y):
        found.append(ob.zeros(1).dtype)
        return x, y

    with ob.config(dtype=np.float32):
        list(DataLoader((X, Y), 22, transform=look, prefetch=1))
    assert found == [np.float32]


def test_wrong_counts_are_refused():
    with pytest.raises(DataError, match="ahead"):
        prefetch([], 0)
    with pytest.raises(DataError, match="prefetch"):
        DataLoader((X, Y), prefetch=-1)


def test_a_state_without_the_seed_of_its_transforms_is_refused():
    state = {**loader(0).state_dict(), "next": 2, "order": np.arange(22)}
    with pytest.raises(DataError, match="does not fit"):
        loader(0).load_state_dict(state)


def test_a_transform_must_give_a_batch():
    with pytest.raises(DataError, match="tuple of arrays"):
        list(DataLoader((X, Y), transform=lambda rng, x, y: x))


def test_a_generator_for_transforms_must_draw_integers():
    class Orders:
        def permutation(self, n):
            return np.arange(n)

    with pytest.raises(DataError, match="integers"):
        DataLoader((X, Y), transform=varied, rng=Orders())
