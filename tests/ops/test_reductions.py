"""Sums, means, extremes, products and their running forms: values, derivatives where NumPy-minded
libraries give NaN or nothing, dtypes, errors."""

import itertools

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DTypeError

AXES = [None, 0, 1, -1, (0, 2), (2, 0), (0, 1, 2)]
REDUCERS = ["sum", "mean", "max", "min", "prod", "std", "var", "any", "all", "count_nonzero"]


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((3, 4, 2))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", REDUCERS)
def test_reductions_are_numpys(name, axis, keepdims, x):
    right = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    ours = getattr(ob, name)(x, axis=axis, keepdims=keepdims)
    assert ours.shape == right.shape
    np.testing.assert_allclose(ours.numpy(), right, rtol=1e-13)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["mean", "max", "min", "prod", "std", "var"])
def test_gradients_of_reductions_agree_with_finite_differences(name, axis, x):
    f = lambda x: ob.sum(getattr(ob, name)(x, axis=axis) ** 2)
    step, h = np.random.default_rng(1).standard_normal(x.shape), 1e-6
    right = (f(x + h * step).item() - f(x - h * step).item()) / (2 * h)
    assert np.sum(ob.grad(f)(x) * step) == pytest.approx(right, rel=1e-7)
    assert ob.jvp(f, (x,), (step,))[1] == pytest.approx(right, rel=1e-7)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions_are_numpys_and_the_first_of_several(name, x):
    for axis, keepdims in itertools.product([None, 0, -1], [False, True]):
        right = getattr(np, name)(x, axis=axis, keepdims=keepdims)
        np.testing.assert_array_equal(getattr(ob, name)(x, axis, keepdims).numpy(), right)
    assert getattr(ob, name)([1.0, 1.0, 1.0]) == 0


def test_methods_are_the_functions(x):
    t = ob.tensor(x)
    for name in [
        "sum",
        "mean",
        "max",
        "min",
        "prod",
        "std",
        "var",
        "argmax",
        "argmin",
        "any",
        "all",
    ]:
        np.testing.assert_array_equal(
            getattr(t, name)(axis=1).numpy(), getattr(ob, name)(x, axis=1).numpy()
        )


# -- dtypes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "name", ["sum", "mean", "max", "min", "prod", "std", "var", "cumsum", "cumprod"]
)
def test_floats_keep_their_dtype(name, kind):
    x = np.array([0.5, 1.5, 2.0], kind)
    f = getattr(ob, name)
    assert f(x).dtype == kind
    assert ob.grad(lambda x: ob.sum(f(x)))(x).dtype == kind


def test_half_precision_is_added_up_in_single():
    x = np.full(100_000, 1.5, np.float16)
    assert float(ob.mean(x)) == 1.5  # the sum alone would be infinite
    assert float(ob.var(x)) == 0.0
    assert float(ob.cumsum(np.full(4096, 0.1, np.float16))[-1]) == pytest.approx(409.6, rel=1e-3)


def test_booleans_and_small_integers_are_counted_in_64_bits():
    small = np.full(3, 100, np.int8)
    for f, right in ((ob.sum, 300), (ob.prod, 10**6), (ob.cumsum, [100, 200, 300])):
        assert f(small).dtype == np.int64
        np.testing.assert_array_equal(f(small).numpy(), right)
    assert ob.sum(np.array([True, True])).dtype == np.int64
    assert ob.mean([1, 2]).dtype == np.float64
    assert ob.var([1, 3]).item() == 1.0
    assert ob.prod(np.uint8([200, 2])).dtype == np.uint64


# -- extremes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinks", "shares"),
    [
        ("default", [0.5, 0, 0.5]),
        ("middle", [0.5, 0, 0.5]),
        ("right", [1, 0, 0]),
        ("left", [0, 0, 1]),
    ],
)
def test_ties_share_equally_or_as_chosen(kinks, shares):
    with ob.config(kinks=kinks):
        np.testing.assert_array_equal(ob.grad(ob.max)(np.array([3.0, 1.0, 3.0])), shares)
        np.testing.assert_array_equal(ob.grad(ob.min)(np.array([1.0, 3.0, 1.0])), shares)
        x = np.array([[[3.0], [1.0], [3.0]]])
        x_bar = ob.grad(lambda x: ob.sum(ob.max(x, axis=(0, 1))))(x)
        np.testing.assert_array_equal(x_bar.ravel(), shares)


def test_the_choice_of_ties_is_that_of_the_pairwise_maximum():
    x = np.array([2.0, 2.0])
    for kinks in ("default", "left", "right", "middle"):
        with ob.config(kinks=kinks):
            pair = ob.grad(lambda x: ob.maximum(x[0], x[1]))(x)
            np.testing.assert_array_equal(ob.grad(ob.max)(x), pair)


def test_nan_propagates_through_extremes_and_receives_the_adjoint():
    x = np.array([[1.0, np.nan, 3.0], [1.0, 5.0, 3.0]])
    np.testing.assert_array_equal(ob.max(x, axis=1).numpy(), [np.nan, 5.0])
    np.testing.assert_array_equal(ob.min(x, axis=1).numpy(), [np.nan, 1.0])
    x_bar = ob.grad(lambda x: ob.sum(ob.max(x, axis=1)))(x)
    np.testing.assert_array_equal(x_bar, [[0, 1, 0], [0, 1, 0]])


def test_what_was_not_the_maximum_never_leaks_a_nan():
    x = np.array([0.0, 4.0])
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(ob.grad(lambda x: ob.max(ob.log(x)))(x), [0.0, 0.25])
        _, dot = ob.jvp(lambda x: ob.max(ob.log(x)), (x,), (np.array([1.0, 1.0]),))
    assert dot == 0.25


@pytest.mark.parametrize("name", ["max", "min", "mean", "std", "var", "argmax", "argmin"])
def test_an_extreme_or_mean_of_nothing_is_refused(name):
    with pytest.raises(ob.errors.ShapeError, match="of nothing"):
        getattr(ob, name)(np.zeros((3, 0)), axis=1)
    assert getattr(ob, name)(np.zeros((0, 3)), axis=1).shape == (0,)


def test_unknown_keywords_and_axes_raise():
    with pytest.raises(TypeError):
        ob.max([1.0], initial=0.0)
    with pytest.raises(ob.errors.IndexingError, match="axis 1 does not exist"):
        ob.max([1.0], axis=1)
    with pytest.raises(ob.errors.ShapeError, match="named twice"):
        ob.var(np.ones((2, 2)), axis=(0, -2))


# -- spread -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.1, 3.0, 1e8 + 0.1, -7.7e-5])
@pytest.mark.parametrize("n", [2, 3, 7, 100])
def test_the_spread_of_a_constant_is_zero_and_so_is_its_gradient(value, n):
    """Also where the mean of n equal numbers is rounded, so that NumPy gives 1e-17."""
    x = np.full(n, value)
    for f in (ob.std, ob.var):
        assert f(x).item() == 0.0
        np.testing.assert_array_equal(ob.grad(f)(x), np.zeros(n))
        np.testing.assert_array_equal(ob.grad(f)(x.astype(np.float32)), np.zeros(n))


@pytest.mark.parametrize("correction", [0, 1, 0.5])
def test_the_correction_is_subtracted_from_the_count(correction, x):
    right = np.var(x, axis=1) * 4 / (4 - correction)
    np.testing.assert_allclose(ob.var(x, axis=1, correction=correction).numpy(), right, rtol=1e-13)
    ours = ob.grad(lambda x: ob.sum(ob.std(x, axis=1, correction=correction)))(x)
    deviation = x - x.mean(1, keepdims=True)
    right = deviation / (np.sqrt(right)[:, None] * (4 - correction))
    np.testing.assert_allclose(ours, right, rtol=1e-12, atol=1e-14)


def test_a_correction_that_leaves_nothing_is_refused():
    with pytest.raises(ob.errors.DomainError, match="leaves nothing to divide by"):
        ob.std([1.0], correction=1)


def test_the_variance_of_complex_numbers_is_real():
    z = np.array([1 + 1j, 2 - 1j, 0.5j])
    assert ob.var(z).dtype == np.float64
    assert ob.var(z).item() == pytest.approx(np.var(z), rel=1e-14)


# -- products ---------------------------------------------------------------------------------

ZEROS = [
    [2.0, 3.0, -1.5, 0.5],
    [2.0, 0.0, -1.5, 0.5],
    [0.0, 3.0, 0.0, 0.5],
    [0.0, 0.0, 0.0, 2.0],
    [0.0] * 4,
]


def _without(x, *left_out):
    return np.prod([v for i, v in enumerate(x) if i not in left_out])


@pytest.mark.parametrize("x", ZEROS, ids=str)
def test_products_are_differentiated_exactly_with_any_number_of_zeros(x):
    x = np.array(x)
    first = ob.grad(ob.prod)
    np.testing.assert_allclose(first(x), [_without(x, i) for i in range(4)], rtol=1e-15)
    for i in range(4):
        row = ob.grad(lambda x, i=i: first(x)[i])(x)
        right = [0.0 if i == j else _without(x, i, j) for j in range(4)]
        np.testing.assert_allclose(row, right, rtol=1e-14, atol=0)


@pytest.mark.parametrize("x", ZEROS, ids=str)
def test_running_products_are_differentiated_exactly_with_any_number_of_zeros(x):
    x = np.array(x)
    y_bar = np.array([1.0, -2.0, 0.5, 3.0])
    first = ob.grad(lambda x: ob.sum(y_bar * ob.cumprod(x)))
    right = [sum(y_bar[k] * _without(x[: k + 1], i) for k in range(i, 4)) for i in range(4)]
    np.testing.assert_allclose(first(x), right, rtol=1e-14)
    for i in range(4):
        row = ob.grad(lambda x, i=i: first(x)[i])(x)
        right = [
            0.0
            if i == j
            else sum(y_bar[k] * _without(x[: k + 1], i, j) for k in range(max(i, j), 4))
            for j in range(4)
        ]
        np.testing.assert_allclose(row, right, rtol=1e-13, atol=1e-15)


def test_a_product_along_several_axes_is_exact_with_zeros(x):
    x[0, 1, 0] = x[2, 3, 1] = 0.0
    ours = ob.grad(lambda x: ob.sum(ob.prod(x, axis=(0, 2))))(x)
    h = 1e-3  # linear in each entry: a difference quotient is exact but for rounding
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = h
        f = lambda x: np.sum(np.prod(x, axis=(0, 2)))
        assert ours[at] == pytest.approx((f(x + step) - f(x - step)) / (2 * h), rel=1e-9, abs=1e-12)


def test_third_derivatives_of_a_product_are_exact():
    x = np.array([0.0, 0.0, 0.0, 5.0])
    by_one = lambda f, i: lambda x: ob.grad(f)(x)[i]
    assert by_one(by_one(by_one(ob.prod, 0), 1), 2)(x) == 5.0


# -- running forms ----------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_running_sums_and_products_are_numpys(axis, x):
    for name in ("cumsum", "cumprod"):
        np.testing.assert_allclose(
            getattr(ob, name)(x, axis).numpy(), getattr(np, name)(x, axis), rtol=1e-13
        )


def test_the_adjoint_of_a_running_sum_runs_backwards():
    y_bar = np.array([1.0, 10.0, 100.0])
    _, pull = ob.vjp(ob.cumsum, np.zeros(3))
    np.testing.assert_array_equal(pull(y_bar)[0], [111.0, 110.0, 100.0])


def test_the_array_api_names_take_an_axis_and_an_initial_entry(x):
    y = ob.cumulative_sum(x, axis=1, include_initial=True)
    np.testing.assert_allclose(y.numpy(), np.cumulative_sum(x, axis=1, include_initial=True))
    y = ob.cumulative_prod(x, axis=0, include_initial=True)
    np.testing.assert_allclose(y.numpy(), np.cumulative_prod(x, axis=0, include_initial=True))
    with pytest.raises(ob.errors.OverbarError, match="which one"):
        ob.cumulative_sum(x)


@pytest.mark.parametrize(
    "name", ["sum", "prod", "max", "std", "cumsum", "cumprod", "argmax", "mean"]
)
def test_lanes_are_as_a_loop(name, x):
    f = lambda x: getattr(ob, name)(x, axis=0)
    np.testing.assert_allclose(ob.vmap(f)(x), np.stack([f(row).numpy() for row in x]), rtol=1e-14)
    g = ob.vmap(ob.grad(lambda x: ob.sum(ob.sin(ob.prod(x, axis=0)))))
    loop = np.stack([ob.grad(lambda x: ob.sum(ob.sin(ob.prod(x, axis=0))))(row) for row in x])
    np.testing.assert_allclose(g(x), loop, rtol=1e-13)


def test_a_long_running_product_does_not_recurse():
    x = np.full(20_000, 1.0)
    assert ob.grad(lambda x: ob.cumprod(x)[-1])(x)[0] == 1.0


@pytest.mark.parametrize("entry", [2**62, 2**63 + 2048, True])
def test_the_mean_of_integers_does_not_wrap_round(entry):
    x = np.array([entry] * 4)
    assert ob.mean(x) == ob.jit(ob.mean)(ob.tensor(x)) == np.mean(x)


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod"])
def test_sums_and_products_as_booleans_are_refused(name):
    with pytest.raises(DTypeError, match=f"{name}: .*\n.*\n.*ob.any"):
        getattr(ob, name)([1.0, 0.0, 3.0], dtype=ob.bool)


@pytest.mark.parametrize("mode", ["native", "interpret"])
@pytest.mark.parametrize(("name", "x"), [("sum", 2), ("sum", 2.5), ("mean", 2.0)])
def test_the_sum_of_a_number_is_the_number_compiled_or_not(name, x, mode):
    f = getattr(ob, name)
    with ob.config(jit=mode):
        outside, inside = ob.jit(f, dynamic=0)(x), ob.jit(lambda a: f(x) + 0 * a)(1)
    assert outside == inside == f(x) == x
    assert outside.dtype == inside.dtype == f(x).dtype
