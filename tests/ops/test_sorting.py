"""Order: sorting, the k greatest, quantiles, searching, and results of unknown size."""

import numpy as np
import pytest

import overbar as ob

NAN = np.nan


@pytest.fixture
def x():
    return np.random.default_rng(2).standard_normal((3, 4, 5))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sorting_is_numpys(axis, descending, x):
    right = np.sort(x, axis=axis)
    order = np.argsort(x, axis=axis, kind="stable")
    if descending:
        right, order = np.flip(right, axis), np.flip(order, axis)
    np.testing.assert_array_equal(ob.sort(x, axis=axis, descending=descending).numpy(), right)
    np.testing.assert_array_equal(ob.argsort(x, axis=axis, descending=descending).numpy(), order)


def test_ties_keep_their_order_up_and_down():
    x = [2.0, 1.0, 2.0, 1.0]
    np.testing.assert_array_equal(ob.argsort(x).numpy(), [1, 3, 0, 2])
    np.testing.assert_array_equal(ob.argsort(x, descending=True).numpy(), [0, 2, 1, 3])


def test_nan_counts_as_the_greatest():
    x = [NAN, 1.0, 3.0]
    np.testing.assert_array_equal(ob.sort(x).numpy(), [1, 3, NAN])
    np.testing.assert_array_equal(ob.sort(x, descending=True).numpy(), [NAN, 3, 1])
    np.testing.assert_array_equal(ob.topk(x, 2).values.numpy(), [NAN, 3])


@pytest.mark.parametrize("descending", [False, True])
def test_the_adjoint_of_a_sort_goes_back_along_the_permutation(descending, x):
    y_bar = np.random.default_rng(3).standard_normal(x.shape)
    _, pull = ob.vjp(lambda x: ob.sort(x, axis=1, descending=descending), x)
    order = ob.argsort(x, axis=1, descending=descending).numpy()
    np.testing.assert_array_equal(np.take_along_axis(pull(y_bar)[0], order, 1), y_bar)


def test_tied_entries_each_receive_one_adjoint():
    _, pull = ob.vjp(ob.sort, np.array([1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(pull(np.array([1.0, 10.0, 100.0]))[0], [10.0, 100.0, 1.0])


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_topk_gives_values_and_indices_of_the_greatest(axis, k, x):
    values, indices = ob.topk(x, k, axis)
    right = np.flip(np.sort(x, axis=axis), axis)
    right = right[:k] if axis == 0 else right[..., :k]
    np.testing.assert_array_equal(values.numpy(), right)
    np.testing.assert_array_equal(np.take_along_axis(x, indices.numpy(), axis), right)
    x_bar = ob.grad(lambda x: ob.sum(ob.topk(x, k, axis).values))(x)
    chosen = np.zeros_like(x)
    np.put_along_axis(chosen, indices.numpy(), 1.0, axis)
    np.testing.assert_array_equal(x_bar, chosen)


def test_topk_of_too_few_is_refused():
    with pytest.raises(ob.errors.ShapeError, match="4 of 3 entries"):
        ob.topk([1.0, 2.0, 3.0], 4)


def test_sorting_maps_over_lanes(x):
    f = lambda x: ob.sort(x, axis=0) * ob.argsort(x, axis=0)
    np.testing.assert_array_equal(ob.vmap(f)(x), np.stack([f(row).numpy() for row in x]))
    g = ob.grad(lambda x: ob.sum(ob.sort(x) ** 3 * np.arange(4.0)[:, None]))
    np.testing.assert_array_equal(ob.vmap(g)(x), np.stack([g(row) for row in x]))


# -- quantiles --------------------------------------------------------------------------------


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), (1, 2)])
def test_the_median_is_numpys(axis, keepdims, x):
    right = np.median(x, axis=axis, keepdims=keepdims)
    ours = ob.median(x, axis=axis, keepdims=keepdims)
    assert ours.shape == right.shape
    np.testing.assert_allclose(ours.numpy(), right, rtol=1e-15)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 1.0, [0.1, 0.9], [[0.2], [0.7]]])
@pytest.mark.parametrize("method", ["linear", "lower", "higher", "nearest", "midpoint"])
@pytest.mark.parametrize("axis", [None, 0, (0, 2)])
def test_quantiles_are_numpys(axis, method, q, keepdims, x):
    right = np.quantile(x, q, axis=axis, method=method, keepdims=keepdims)
    ours = ob.quantile(x, q, axis=axis, method=method, keepdims=keepdims)
    assert ours.shape == right.shape
    np.testing.assert_allclose(ours.numpy(), right, rtol=1e-13, atol=1e-15)


def test_quantiles_of_nan_are_nan_and_of_float32_float32():
    x = np.array([[1.0, NAN, 2.0], [3.0, 1.0, 2.0]])
    np.testing.assert_array_equal(ob.median(x, axis=1).numpy(), [NAN, 2.0])
    np.testing.assert_array_equal(ob.quantile(x, 0.0, axis=1).numpy(), [NAN, 1.0])
    assert ob.quantile(np.float32([1, 2]), 0.3).dtype == np.float32
    assert ob.median([1, 2]).item() == 1.5


def test_the_adjoint_of_a_quantile_goes_to_its_neighbours():
    x = np.array([5.0, 1.0, 3.0, 2.0])
    np.testing.assert_allclose(ob.grad(ob.median)(x), [0, 0, 0.5, 0.5])
    np.testing.assert_allclose(ob.grad(lambda x: ob.quantile(x, 0.25))(x), [0, 0.25, 0, 0.75])
    np.testing.assert_allclose(ob.grad(ob.median)(x[:3]), [0, 0, 1])


def test_quantiles_refuse_what_makes_no_sense():
    with pytest.raises(ob.errors.DomainError, match="fraction"):
        ob.quantile([1.0], 50)
    with pytest.raises(ob.errors.DomainError, match="not a choice"):
        ob.quantile([1.0], 0.5, method="hazen")
    with pytest.raises(ob.errors.ShapeError, match="of nothing"):
        ob.median(np.zeros((2, 0)), axis=1)


# -- searching and differences ----------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted_is_numpys_and_maps_over_lanes(side):
    a, v = np.array([0.0, 1.0, 1.0, 2.0]), np.array([[-1.0, 1.0], [1.5, 9.0]])
    right = np.searchsorted(a, v, side)
    np.testing.assert_array_equal(ob.searchsorted(a, v, side=side).numpy(), right)
    lists = np.stack([a, a + 1])
    f = lambda a, v: ob.searchsorted(a, v, side=side)
    for axes, args in (((0, 0), (lists, v)), ((0, None), (lists, v)), ((None, 0), (a, v))):
        loop = [
            f(*(x if m is None else x[i] for x, m in zip(args, axes))).numpy() for i in range(2)
        ]
        np.testing.assert_array_equal(ob.vmap(f, in_axes=axes)(*args), loop)


def test_searchsorted_takes_a_sorter_and_refuses_a_matrix():
    a = np.array([2.0, 0.0, 1.0])
    ours = ob.searchsorted(a, [0.5, 1.0], sorter=np.argsort(a))
    np.testing.assert_array_equal(ours.numpy(), [1, 1])
    with pytest.raises(ob.errors.ShapeError, match="one axis"):
        ob.searchsorted(np.ones((2, 2)), [1.0])
    with pytest.raises(ob.errors.DomainError, match="side"):
        ob.searchsorted([1.0], [1.0], side="middle")


@pytest.mark.parametrize("right", [False, True])
def test_digitize_is_numpys(right):
    x, bins = np.array([-1.0, 0.0, 0.5, 2.0, 9.0]), np.array([0.0, 1.0, 2.0])
    np.testing.assert_array_equal(ob.digitize(x, bins, right).numpy(), np.digitize(x, bins, right))
    with pytest.raises(ob.errors.DomainError, match="descend"):
        ob.digitize(x, bins[::-1])


@pytest.mark.parametrize("n", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("axis", [0, -1])
def test_differences_are_numpys(n, axis, x):
    np.testing.assert_array_equal(ob.diff(x, n=n, axis=axis).numpy(), np.diff(x, n=n, axis=axis))


def test_differences_take_ends_and_are_differentiated():
    x = np.array([1.0, 4.0, 9.0])
    np.testing.assert_array_equal(
        ob.diff(x, prepend=0.0, append=[9.0, 8.0]).numpy(), [1, 3, 5, 0, -1]
    )
    np.testing.assert_array_equal(ob.diff(np.array([True, False, False])).numpy(), [True, False])
    np.testing.assert_array_equal(
        ob.grad(lambda x: ob.sum(ob.diff(x) * np.array([1.0, 10.0])))(x), [-1, -9, 10]
    )


# -- results whose size depends on the values -------------------------------------------------


def test_unique_values_are_the_array_apis():
    x = np.array([[3.0, 1.0], [3.0, NAN], [NAN, -0.0]])
    ours, right = ob.unique_all(x), np.unique_all(x)
    for name in ("values", "indices", "inverse_indices", "counts"):
        np.testing.assert_array_equal(getattr(ours, name).numpy(), getattr(right, name))
    np.testing.assert_array_equal(ob.unique_values(x).numpy(), right.values)
    np.testing.assert_array_equal(ob.unique_counts(x).counts.numpy(), right.counts)
    np.testing.assert_array_equal(
        ob.unique_inverse(x).inverse_indices.numpy(), right.inverse_indices
    )


def test_the_adjoint_of_a_unique_value_goes_to_its_first_entry():
    f = lambda x: ob.sum(ob.unique_values(x) * np.array([1.0, 10.0]))
    np.testing.assert_array_equal(ob.grad(f)(np.array([3.0, 1.0, 3.0])), [10.0, 1.0, 0.0])


def test_nonzero_gives_one_array_of_indices_per_axis():
    x = np.array([[0.0, 1.0], [2.0, 0.0]])
    for ours, right in zip(ob.nonzero(x), np.nonzero(x), strict=True):
        np.testing.assert_array_equal(ours.numpy(), right)
    with pytest.raises(ob.errors.ShapeError, match="no axes"):
        ob.nonzero(2.0)


@pytest.mark.parametrize("f", [ob.nonzero, ob.unique_all, ob.unique_values])
def test_a_size_that_depends_on_unknown_values_is_refused(f):
    with pytest.raises(
        ob.errors.UnknownValueError, match="size of the result depends on the values"
    ):
        ob.vmap(f)(np.ones((2, 3)))
