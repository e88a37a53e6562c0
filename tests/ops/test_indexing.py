"""x[i], x[i] = v, take, gathers and scatters: NumPy is the oracle, for values and for positions.

Numbers are whole, so that sums are exact and everything is compared for equality.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import overbar as ob
from overbar.errors import (
    DomainError,
    DTypeError,
    IndexingError,
    ShapeError,
    UnknownValueError,
)


@st.composite
def positions(draw, n, shape):
    entries = st.lists(
        st.integers(-n, n - 1), min_size=(size := int(np.prod(shape))), max_size=size
    )
    return np.array(draw(entries), dtype=np.intp).reshape(shape)


def bounds(n):
    return st.none() | st.integers(-n - 2, n + 2)


@st.composite
def slices(draw, n):
    step = draw(st.sampled_from([None, 1, 2, 3, -1, -2, -3]))
    return slice(draw(bounds(n)), draw(bounds(n)), step)


@st.composite
def indexed(draw):
    """An array and something that NumPy takes as its index."""
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=0, max_size=4)))
    common = tuple(draw(st.lists(st.integers(0, 3), min_size=0, max_size=2)))
    masked, entries, axis, dots = draw(st.booleans()), [], 0, False
    common = common if not masked else draw(st.sampled_from([(), (1,)]))
    while axis < len(shape):
        n = shape[axis]
        kind = draw(
            st.sampled_from(["slice", "slice", "integer", "array", "mask", "new", "dots", "end"])
        )
        if kind == "end":
            break
        if kind == "new":
            entries.append(None)
        elif kind == "dots" and not dots:
            skip = draw(st.integers(0, len(shape) - axis))
            dots, after = True, axis + skip
            entries.append(...)
            rest = len(shape) - after
            entries += [draw(slices(shape[after + i])) for i in range(rest)]
            axis = len(shape)
        elif kind == "integer" and n:
            entries.append(draw(st.integers(-n, n - 1)))
            axis += 1
        elif kind == "array" and (n or 0 in common):
            cut = common[draw(st.integers(0, len(common))) :]
            where = draw(positions(n, cut)) if n else np.zeros(cut, np.intp)
            if n or where.size == 0:
                entries.append(where)
                axis += 1
        elif kind == "mask" and masked:
            masked = False
            take = draw(st.integers(1, len(shape) - axis))
            size = shape[axis : axis + take]
            mask = np.array(
                draw(st.lists(st.booleans(), min_size=(m := int(np.prod(size))), max_size=m)), bool
            )
            entries.append(mask.reshape(size))
            axis += take
        else:
            entries.append(draw(slices(n)))
            axis += 1
    index = entries[0] if len(entries) == 1 and draw(st.booleans()) else tuple(entries)
    return np.arange(1.0, 1 + np.prod(shape)).reshape(shape), index


def weights(shape):
    return 1.0 + np.arange(np.prod(shape)).reshape(shape) % 7


@given(indexed())
def test_reading_is_numpys_reading(case):
    a, index = case
    try:
        expected = a[index]
    except IndexError:
        with pytest.raises((IndexingError, ShapeError)):
            ob.tensor(a)[index]
        return
    y = ob.tensor(a)[index]
    assert y.shape == np.shape(expected)
    np.testing.assert_array_equal(y.numpy(), expected)


@given(indexed())
def test_what_was_read_receives_back_what_it_sent(case):
    a, index = case
    try:
        c = weights(a[index].shape)
    except IndexError:
        return
    expected = np.zeros(a.shape)
    np.add.at(expected, index, c)
    np.testing.assert_array_equal(ob.grad(lambda x: (c * x[index]).sum())(a), expected)


@given(indexed())
def test_writing_is_numpys_writing(case):
    a, index = case
    try:
        v = -weights(a[index].shape)
    except IndexError:
        return
    expected = a.copy()
    expected[index] = v
    x = ob.tensor(a)
    x[index] = v
    np.testing.assert_array_equal(x.numpy(), expected)
    x = ob.tensor(a)
    x[index] = -3.0
    expected[index] = -3.0
    np.testing.assert_array_equal(x.numpy(), expected)


@given(indexed())
def test_what_was_overwritten_receives_nothing_and_the_last_writer_all(case):
    a, index = case
    try:
        v = -weights(a[index].shape)
    except IndexError:
        return
    c = weights(a.shape)

    def loss(x, v):
        x = x.copy()
        x[index] = v
        return (c * x).sum()

    x_bar, v_bar = ob.grad(loss, argnums=(0, 1))(a, v)
    writer = np.full(a.shape, -1)
    writer[index] = np.arange(v.size).reshape(v.shape)
    expected = np.zeros(v.size)
    expected[writer[writer >= 0]] = c[writer >= 0]
    np.testing.assert_array_equal(x_bar, np.where(writer >= 0, 0, c))
    np.testing.assert_array_equal(v_bar, expected.reshape(v.shape))


@given(indexed())
def test_adding_at_an_index_counts_every_entry(case):
    a, index = case
    try:
        v = weights(a[index].shape)
    except IndexError:
        return
    expected = a.copy()
    np.add.at(expected, index, v)
    np.testing.assert_array_equal(ob.scatter_add(a, index, v), expected)
    c = weights(a.shape)
    x_bar, v_bar = ob.grad(lambda x, v: (c * ob.scatter_add(x, index, v)).sum(), argnums=(0, 1))(
        a, v
    )
    np.testing.assert_array_equal(x_bar, c)
    np.testing.assert_array_equal(v_bar, c[index])


@given(indexed())
def test_a_traced_index_expression_gives_the_same(case):
    a, index = case
    try:
        expected = a[index]
    except IndexError:
        return
    rows = np.stack([a, a + 100, a - 100])
    np.testing.assert_array_equal(
        ob.vmap(lambda x: x[index])(rows), np.stack([r[index] for r in rows])
    )
    c = weights(expected.shape)
    per_lane = ob.vmap(ob.grad(lambda x: (c * x[index] ** 2).sum()))(rows)
    alone = np.stack([ob.grad(lambda x: (c * x[index] ** 2).sum())(r) for r in rows])
    np.testing.assert_array_equal(per_lane, alone)


@pytest.mark.parametrize(
    "index",
    [
        True,
        False,
        (True, 1),
        (None, False),
        np.True_,
        (slice(1), True),
        (True, [0, 2]),
        ([0, 1], ..., True),
    ],
    ids=repr,
)
def test_a_single_truth_value_is_a_new_axis(index):
    a = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(ob.tensor(a)[index], a[index])


@pytest.mark.parametrize(
    "index",
    [
        ([0, 1], slice(None), [1, 2]),
        (slice(None), [0, 1], slice(None), [1, 2]),
        (0, slice(None), [1, 2]),
        (slice(None), 0, [1, 2]),
        ([[0], [1]], [1, 2]),
        (None, [0, 1], None, [1, 2]),
        ([0, 1], None, [1, 2]),
        (..., [0, 1], 2),
        ([0, 1], ..., 2),
        (slice(None), [0, 1], ..., [0, 1]),
        ([], slice(1, None)),
        (np.array(1), slice(None), np.array([2, 2])),
        (np.uint8(1), np.int16(2)),
    ],
    ids=repr,
)
def test_separated_and_mixed_indices_put_their_axes_where_numpy_does(index):
    a = np.arange(48.0).reshape(2, 3, 4, 2)[..., :2]
    a = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    try:
        expected = a[index]
    except IndexError:
        with pytest.raises(IndexingError):
            ob.tensor(a)[index]
        return
    np.testing.assert_array_equal(ob.tensor(a)[index], expected)


def test_indices_may_be_tensors_and_lists():
    a = np.arange(12.0).reshape(3, 4)
    x, i = ob.tensor(a), ob.tensor([2, 0])
    np.testing.assert_array_equal(x[i], a[[2, 0]])
    np.testing.assert_array_equal(x[i, 1], a[[2, 0], 1])
    np.testing.assert_array_equal(x[ob.tensor(1)], a[1])
    np.testing.assert_array_equal(x[x > 5], a[a > 5])
    np.testing.assert_array_equal(x[[True, False, True]], a[[True, False, True]])
    np.testing.assert_array_equal(x[ob.tensor(1) : ob.tensor(3)], a[1:3])


def test_an_index_may_be_traced():
    a, i = np.arange(12.0).reshape(3, 4), np.array([2, 0, 1])
    np.testing.assert_array_equal(ob.vmap(lambda j: ob.asarray(a)[j])(i), a[i])
    np.testing.assert_array_equal(ob.vmap(lambda x, j: x[j])(a, i), a[[0, 1, 2], i])
    np.testing.assert_array_equal(ob.vmap(lambda j: ob.asarray(a)[:, j])(i), a[:, i].T)


def test_writing_at_a_traced_index_writes_in_its_own_lane():
    def write(x, i, v):
        x = x.copy()
        x[i] = v
        return x

    a, i, v = np.arange(12.0).reshape(3, 4), np.array([2, -1, 1]), np.array([-1.0, -2.0, -3.0])
    expected = a.copy()
    expected[[0, 1, 2], i] = v
    np.testing.assert_array_equal(ob.vmap(write)(a, i, v), expected)


def test_a_traced_mask_can_be_written_through_but_not_read():
    def negatives_to(x, v):
        x = x.copy()
        x[x < 0] = v
        return x

    a = np.array([[1.0, -2.0], [-3.0, 4.0]])
    np.testing.assert_array_equal(ob.vmap(lambda x: negatives_to(x, 0.0))(a), np.maximum(a, 0))
    with pytest.raises(UnknownValueError, match=r"ob\.where"):
        ob.vmap(lambda x: x[x < 0])(a)


@pytest.mark.parametrize(
    ("index", "error", "says"),
    [
        (3, IndexingError, "index 3 is outside axis 0 of size 3"),
        (-4, IndexingError, "from -3 to 2"),
        ((0, 4), IndexingError, "axis 1 of size 4"),
        ([0, 5], IndexingError, "index 5"),
        ([0, -4], IndexingError, "index -4"),
        ((0, 0, 0), IndexingError, "3 indices for 2 axes"),
        ((..., 0, ...), IndexingError, "one ..."),
        (1.0, DTypeError, "no index|integers or booleans"),
        ("a", DTypeError, "no index"),
        (np.array([1.5]), DTypeError, "integers or booleans"),
        (([0, 1], [0, 1, 2]), ShapeError, "broadcast"),
        (np.ones((2, 4), bool), IndexingError, "mask"),
        (slice(None, None, 0), ValueError, "zero"),
    ],
    ids=repr,
)
def test_an_index_outside_or_of_the_wrong_kind_is_refused(index, error, says):
    x = ob.tensor(np.zeros((3, 4)))
    with pytest.raises(error, match=says):
        x[index]
    with pytest.raises(error):
        x[index] = 0.0


def test_an_index_on_an_empty_axis_is_refused():
    x = ob.zeros((0, 2))
    for index in (0, -1, [0]):
        with pytest.raises(IndexingError):
            x[index]
    assert x[[]].shape == (0, 2)


def test_a_value_must_fit_the_part_it_replaces():
    x = ob.zeros((3, 4))
    with pytest.raises(ShapeError, match="does not fit"):
        x[0] = np.zeros(3)
    with pytest.raises(ShapeError, match="does not fit"):
        x[[0, 1]] = np.zeros((3, 4))
    with pytest.raises(DTypeError, match="complex"):
        x[0] = 1j
    i = ob.zeros(3, dtype=ob.int64)
    with pytest.raises(DTypeError, match="floats do not fit"):
        i[0] = 0.5
    i[0] = True
    assert i.tolist() == [1, 0, 0]


def test_a_handle_is_rebound_and_old_results_stay():
    x = ob.tensor([1.0, 2.0, 3.0])
    y, z = x * 2, x
    x[1] = 10.0
    assert y.tolist() == [2.0, 4.0, 6.0]
    assert z is x
    assert x.tolist() == [1.0, 10.0, 3.0]
    assert x.dtype == np.float64


@pytest.mark.parametrize("index", [(), ..., None, (None, None), True], ids=repr)
def test_a_number_can_be_read_and_written(index):
    x = ob.sum(ob.tensor([1.0, 2.0]))
    np.testing.assert_array_equal(x[index], np.array(3.0)[index])
    x[index] = 5.0
    assert x.shape == ()
    assert x.item() == 5.0
    assert ob.grad(lambda v: (v[index] ** 2).sum())(3.0) == 6.0


def test_what_is_written_keeps_the_arrays_dtype():
    x = ob.zeros(3, dtype=ob.float32)
    x[0] = np.float64(1.5)
    x[1:] = ob.tensor([2, 3])
    assert x.dtype == ob.float32
    assert x.tolist() == [1.5, 2.0, 3.0]


def test_a_nan_that_was_overwritten_does_not_leak():
    def f(x):
        y = ob.sqrt(x)
        y[0] = 0.0
        return y.sum()

    np.testing.assert_array_equal(ob.grad(f)(np.array([0.0, 4.0])), [0.0, 0.25])


def test_second_derivatives_flow_through_reading_and_writing():
    i, a = np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0])

    def f(x):
        y = x.copy()
        y[0] = x[1] ** 3
        return (y[i] ** 2).sum()

    def g(x):  # the same, said without an index
        return x[1] ** 6 + 2 * x[2] ** 2

    np.testing.assert_allclose(ob.hessian(f)(a), ob.hessian(g)(a), rtol=1e-13)


def test_iterating_gives_the_parts():
    x = ob.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert [row.tolist() for row in x] == [[1.0, 2.0], [3.0, 4.0]]
    assert 3.0 in x
    assert 5.0 not in x
    with pytest.raises(DTypeError):
        iter(ob.tensor(1.0)).__next__()


# -- take and its kin -------------------------------------------------------------------------


@given(st.data())
def test_take_is_numpys_take(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    n = int(np.prod(shape)) if axis is None else shape[axis]
    i = data.draw(positions(n, tuple(data.draw(st.lists(st.integers(0, 3), max_size=2)))))
    a = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    expected = np.take(a, i, axis)
    np.testing.assert_array_equal(ob.take(a, i, axis=axis), expected)
    c = weights(expected.shape)
    x_bar = ob.grad(lambda x: (c * ob.take(x, i, axis=axis)).sum())(a)
    count = np.zeros(a.size)
    np.add.at(count, np.take(np.arange(a.size).reshape(shape), i, axis), c)
    np.testing.assert_array_equal(x_bar, count.reshape(shape))


@given(st.data())
def test_taking_and_putting_along_an_axis_are_numpys(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    a = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    there = list(shape)
    there[axis] = data.draw(st.integers(0, 5))
    i = data.draw(positions(shape[axis], tuple(there)))
    expected = np.take_along_axis(a, i, axis)
    np.testing.assert_array_equal(ob.take_along_axis(a, i, axis=axis), expected)
    c, put, count = weights(expected.shape), a.copy(), np.zeros(a.shape)
    np.put_along_axis(put, i, -c, axis)
    np.testing.assert_array_equal(ob.put_along_axis(a, i, -c, axis=axis), put)
    where = list(np.ogrid[tuple(slice(n) for n in there)])
    where[axis] = i
    np.add.at(count, tuple(where), c)
    np.testing.assert_array_equal(
        ob.grad(lambda x: (c * ob.take_along_axis(x, i, axis=axis)).sum())(a), count
    )
    rows = np.stack([a, -a])
    mapped = ob.vmap(lambda x: ob.take_along_axis(x, i, axis=axis))(rows)
    np.testing.assert_array_equal(mapped, np.stack([expected, -expected]))


def test_positions_outside_are_refused_and_named():
    a = np.zeros((3, 4))
    with pytest.raises(IndexingError, match="position 4 is outside an axis of size 4"):
        ob.take(a, [0, 4], axis=1)
    with pytest.raises(IndexingError, match="position -5"):
        ob.take_along_axis(a, np.full((3, 1), -5), axis=1)
    with pytest.raises(IndexingError):
        ob.scatter_add(a, [3], 1.0)
    with pytest.raises(DTypeError, match="integers"):
        ob.take(a, [0.5], axis=0)
    with pytest.raises(ShapeError, match="axes"):
        ob.take_along_axis(a, [0], axis=1)


def test_one_hot_is_the_row_of_the_identity():
    i = np.array([[2, 0], [1, 1]])
    np.testing.assert_array_equal(ob.one_hot(i, 3), np.eye(3)[i])
    assert ob.one_hot(i, 3, dtype=ob.float32).dtype == ob.float32
    assert ob.one_hot(np.zeros((0,), int), 3).shape == (0, 3)
    np.testing.assert_array_equal(ob.vmap(lambda j: ob.one_hot(j, 3))(i), np.eye(3)[i])
    with pytest.raises(IndexingError, match="from 0 to 1"):
        ob.one_hot(i, 2)
    with pytest.raises(IndexingError):
        ob.one_hot([-1], 2)
    with pytest.raises(DTypeError, match="integers"):
        ob.one_hot([1.0], 2)


# -- borders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("widths", [1, (2, 0), ((1, 2), (0, 3)), ((0, 0), (7, 9)), 0])
def test_a_border_is_numpys_border_and_sends_back_what_it_got(mode, widths):
    a = np.arange(1.0, 13).reshape(3, 4)
    expected = np.pad(a, widths, mode=mode)
    np.testing.assert_array_equal(ob.pad(a, widths, mode), expected)
    c = weights(expected.shape)
    count = np.zeros(13)
    source = np.pad(np.arange(1, 13).reshape(3, 4), widths, mode=mode)
    np.add.at(count, source, c)
    count[0] = 0
    x_bar = ob.grad(lambda x: (c * ob.pad(x, widths, mode)).sum())(a)
    np.testing.assert_array_equal(x_bar, count[1:].reshape(3, 4))


def test_the_value_of_a_border_may_be_infinite_or_a_tensor():
    a = np.array([1.0, 2.0])
    np.testing.assert_array_equal(ob.pad(a, 1, value=-np.inf), [-np.inf, 1, 2, -np.inf])
    x_bar, v_bar = ob.grad(lambda x, v: (ob.pad(x, (1, 2), value=v) ** 2).sum(), argnums=(0, 1))(
        a, 3.0
    )
    np.testing.assert_array_equal(x_bar, [2.0, 4.0])
    assert v_bar == 18.0
    assert ob.pad([1, 2], 1, value=7).dtype == ob.int64


def test_a_border_that_makes_no_sense_is_refused():
    a = np.zeros((2, 3))
    with pytest.raises(ShapeError, match="pair per axis"):
        ob.pad(a, (1, 1, 2, 2))
    with pytest.raises(ShapeError, match="negative"):
        ob.pad(a, -1)
    with pytest.raises(DomainError, match="edge"):
        ob.pad(a, 1, mode="replicate")
    with pytest.raises(ShapeError, match="empty"):
        ob.pad(np.zeros((0, 2)), 1, mode="edge")
    with pytest.raises(DTypeError):
        ob.pad([1, 2], 1, value=0.5)


def test_a_mask_from_outside_is_not_baked_into_a_trace():
    mask = ob.tensor([True, False])
    x = ob.tensor([1.0, 2.0])
    with pytest.raises(UnknownValueError, match=r"ob\.where"):
        ob.checkpoint(lambda x: x[mask].sum())(x)
    known = np.array([True, False])
    assert ob.checkpoint(lambda x: x[known].sum())(x).item() == 1.0
