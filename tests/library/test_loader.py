"""Batches: each row once, in an order that the generator alone decides, and resumable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overbar.data import DataLoader, TensorDataset
from overbar.errors import DataError

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)


def rows_of(batches):
    return [y.tolist() for _, y in batches]


def generator(seed=0):
    return np.random.default_rng(seed)


# ------------------------------------------------------------------------------- the dataset


@pytest.mark.parametrize("rows", [3, -1, slice(2, 5), np.array([4, 0, 4]), [1, 2], Y > 6])
def test_a_dataset_is_indexed_like_its_arrays(rows):
    x, y = TensorDataset(X, Y)[rows]
    assert np.array_equal(x, X[rows])
    assert np.array_equal(y, Y[rows])


def test_a_dataset_takes_lists_and_has_a_length():
    dataset = TensorDataset([[1, 2], [3, 4]], [0, 1])
    assert len(dataset) == 2
    assert dataset[1][0].tolist() == [3, 4]


@pytest.mark.parametrize("arrays", [(X, Y[:9]), (X, 3.0), (), (1.0,)])
def test_arrays_of_other_lengths_are_refused(arrays):
    with pytest.raises(DataError, match="same number of rows"):
        TensorDataset(*arrays)


def test_the_message_shows_the_shapes():
    with pytest.raises(DataError, match=r"array 1: int64\[9\]"):
        TensorDataset(X, Y[:9])


# ------------------------------------------------------------------------------- the batches


def test_without_shuffling_rows_come_in_order():
    assert rows_of(DataLoader((X, Y), batch_size=4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_the_last_batch_can_be_left_out():
    loader = DataLoader((X, Y), batch_size=4, drop_last=True)
    assert rows_of(loader) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(loader) == 2


@given(
    n=st.integers(0, 40),
    batch_size=st.integers(1, 45),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    seed=st.integers(0, 5),
)
def test_each_row_comes_once_with_its_label(n, batch_size, shuffle, drop_last, seed):
    x, y = np.arange(3.0 * n).reshape(n, 3), np.arange(n)
    loader = DataLoader((x, y), batch_size, shuffle, generator(seed), drop_last)
    batches = list(loader)
    assert len(batches) == len(loader)
    rows = [row for _, labels in batches for row in labels.tolist()]
    assert len(set(rows)) == len(rows) == (n - n % batch_size if drop_last else n)
    sizes = [len(labels) for _, labels in batches]
    assert all(size == batch_size for size in sizes[:-1])
    for values, labels in batches:
        assert np.array_equal(values, x[labels])
    if not shuffle:
        assert rows == sorted(rows)


def test_a_dataset_a_list_and_one_array_are_taken():
    assert rows_of(DataLoader(TensorDataset(X, Y), batch_size=10)) == [Y.tolist()]
    assert rows_of(DataLoader([X, Y], batch_size=10)) == [Y.tolist()]
    ((alone,),) = DataLoader(X, batch_size=10)
    assert np.array_equal(alone, X)


def test_a_dataset_of_ones_own_is_taken():
    class Squares:
        def __len__(self):
            return 5

        def __getitem__(self, rows):
            return rows, rows**2

    assert [y.tolist() for _, y in DataLoader(Squares(), batch_size=3)] == [[0, 1, 4], [9, 16]]


def test_a_dataset_that_gives_no_tuple_is_refused():
    class Wrong:
        def __len__(self):
            return 5

        def __getitem__(self, rows):
            return rows

    with pytest.raises(DataError, match="did not give a tuple"):
        next(iter(DataLoader(Wrong())))


@pytest.mark.parametrize("shuffle", [False, True])
def test_changing_a_batch_changes_no_data(shuffle):
    x = np.zeros((4, 2))
    for batch, _ in DataLoader((x, Y[:4]), batch_size=2, shuffle=shuffle, rng=generator()):
        batch += 1
    assert not x.any()


@pytest.mark.parametrize("batch_size", [0, -3, 2.5, "4", None, True])
def test_a_batch_size_that_counts_nothing_is_refused(batch_size):
    with pytest.raises(DataError, match="batch_size"):
        DataLoader((X, Y), batch_size=batch_size)


def test_a_seed_is_no_generator_and_the_message_says_what_is():
    with pytest.raises(DataError, match=r"ob\.random\.default_rng"):
        DataLoader((X, Y), shuffle=True, rng=0)


# --------------------------------------------------------------------------------- the order


def test_the_generator_decides_the_order():
    def loader(seed):
        return DataLoader((X, Y), batch_size=3, shuffle=True, rng=generator(seed))

    assert rows_of(loader(1)) == rows_of(loader(1)) != rows_of(loader(2))
    one = loader(1)
    assert rows_of(one) != rows_of(one)  # the next epoch has another order


def test_an_order_depends_on_the_generator_at_the_start_only():
    """Draws in the middle of an epoch change the next epoch, not this one."""
    rng = generator()
    wanted = rows_of(DataLoader((X, Y), batch_size=2, shuffle=True, rng=generator()))
    found = []
    for _, y in DataLoader((X, Y), batch_size=2, shuffle=True, rng=rng):
        rng.random(7)
        found.append(y.tolist())
    assert found == wanted


def test_the_order_is_drawn_when_the_epoch_starts():
    rng = generator()
    epoch = iter(DataLoader((X, Y), batch_size=10, shuffle=True, rng=rng))
    rng.random(5)
    assert rows_of(epoch) == [generator().permutation(10).tolist()]


def test_any_object_with_permutation_draws():
    class Backwards:
        def permutation(self, n):
            return list(range(n))[::-1]

    loader = DataLoader((X, Y), batch_size=5, shuffle=True, rng=Backwards())
    assert rows_of(loader) == [[9, 8, 7, 6, 5], [4, 3, 2, 1, 0]]


def test_nothing_is_drawn_without_shuffling():
    class Never:
        def permutation(self, n):
            raise AssertionError

    assert len(rows_of(DataLoader((X, Y), batch_size=5, rng=Never()))) == 2


def test_by_default_overbars_own_generator_draws():
    random = pytest.importorskip("overbar.random")
    loader = DataLoader((X, Y), batch_size=3, shuffle=True)
    random.seed(3)
    first = rows_of(loader)
    assert first != rows_of(loader)
    random.seed(3)
    assert first == rows_of(loader)


# -------------------------------------------------------------------------------- resumption


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("stop", range(5))
def test_an_interrupted_epoch_goes_on_at_the_next_batch(shuffle, stop):
    """Three epochs without a stop, and with one in the second: the same batches."""
    rng = generator()
    loader = DataLoader((X, Y), batch_size=3, shuffle=shuffle, rng=rng)
    wanted = [rows_of(loader) for _ in range(3)]

    rng = generator()
    loader = DataLoader((X, Y), batch_size=3, shuffle=shuffle, rng=rng)
    found = [rows_of(loader), []]
    epoch = iter(loader)
    for _ in range(stop):
        found[1].append(next(epoch)[1].tolist())
    saved, generator_saved = loader.state_dict(), rng.bit_generator.state

    rng = generator(99)
    rng.bit_generator.state = generator_saved
    loader = DataLoader((X, Y), batch_size=3, shuffle=shuffle, rng=rng)
    loader.load_state_dict(saved)
    found[1] += rows_of(loader)
    found.append(rows_of(loader))
    assert found == wanted


def test_after_an_epoch_the_next_one_is_whole():
    loader = DataLoader((X, Y), batch_size=3, shuffle=True, rng=generator())
    list(loader)
    state = loader.state_dict()
    other = DataLoader((X, Y), batch_size=3, shuffle=True, rng=generator(5))
    other.load_state_dict(state)
    assert np.concatenate(rows_of(other)).tolist() == generator(5).permutation(10).tolist()


def test_leaving_an_epoch_starts_a_new_one():
    loader = DataLoader((X, Y), batch_size=3)
    for _ in loader:
        break
    assert rows_of(loader)[0] == [0, 1, 2]


def test_a_state_does_not_change_with_its_loader_and_can_be_asked_for_again():
    loader = DataLoader((X, Y), batch_size=3, shuffle=True, rng=generator())
    epoch = iter(loader)
    next(epoch)
    state = loader.state_dict()
    order = state["order"].copy()
    list(epoch)
    assert state["next"] == 1
    assert np.array_equal(state["order"], order)
    loader.load_state_dict(state)
    state["order"][:] = 0
    loader.state_dict()["order"][:] = 0
    again = loader.state_dict()
    assert again["next"] == 1
    assert np.array_equal(again["order"], order)


SHUFFLED = {"order": np.arange(10), "next": 1, "rows": 10, "batch_size": 3}


@pytest.mark.parametrize(
    ("change", "shuffle", "said"),
    [
        ({"rows": 9}, True, "other rows or batches"),
        ({"batch_size": 4}, True, "other rows or batches"),
        ({"order": np.zeros(10)}, True, "each row once"),
        ({"order": np.arange(9)}, True, "each row once"),
        ({"order": None}, True, "does not fit"),
        ({}, False, "does not fit"),
        ({"next": 5}, True, "does not fit"),
        ({"next": -1}, True, "does not fit"),
    ],
)
def test_a_state_of_another_loader_is_refused_and_changes_nothing(change, shuffle, said):
    loader = DataLoader((X, Y), batch_size=3, shuffle=shuffle, rng=generator())
    with pytest.raises(DataError, match=said):
        loader.load_state_dict(SHUFFLED | change)
    assert len(rows_of(loader)) == 4
