"""Convolution and pooling: against a loop over every window, against SciPy, by differences."""

import itertools

import numpy as np
import pytest
from scipy import signal

import overbar as ob
from overbar.errors import DomainError, DTypeError, ShapeError
from overbar.ops import convolve

CASES = {
    "plain": ((2, 3, 8), (4, 3, 3), {}),
    "stride": ((2, 3, 9), (4, 3, 2), {"stride": 3}),
    "padding": ((1, 2, 5), (3, 2, 3), {"padding": 2}),
    "uneven padding": ((1, 2, 5), (3, 2, 3), {"padding": ((2, 0),)}),
    "dilation": ((2, 1, 9), (2, 1, 3), {"dilation": 3}),
    "groups": ((2, 4, 6), (6, 2, 3), {"groups": 2}),
    "depthwise": ((1, 3, 6), (6, 1, 2), {"groups": 3}),
    "plane": ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    "plane, everything": (
        (2, 4, 7, 6),
        (6, 2, 3, 2),
        {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": 2},
    ),
    "a stride that leaves a rest": ((1, 2, 8, 7), (2, 2, 3, 3), {"stride": (3, 2)}),
    "a stride beyond the kernel": ((1, 1, 9), (1, 1, 2), {"stride": 4, "padding": 1}),
    "pointwise": ((2, 3, 4, 4), (5, 3, 1, 1), {}),
    "space": ((1, 2, 4, 5, 3), (2, 2, 2, 3, 2), {"stride": (1, 2, 1), "padding": (0, 1, 1)}),
    "space, groups and dilation": (
        (1, 4, 5, 4, 4),
        (4, 2, 2, 1, 2),
        {"dilation": (2, 1, 3), "groups": 2},
    ),
    "same": ((2, 2, 5, 6), (3, 2, 3, 4), {"padding": "same"}),
    "same, dilated": ((1, 1, 7), (1, 1, 2), {"padding": "same", "dilation": 3}),
    "the kernel as large as the input": ((2, 3, 4, 5), (2, 3, 4, 5), {}),
}
case = pytest.mark.parametrize(("x_shape", "w_shape", "how"), CASES.values(), ids=CASES)


def settings(w_shape, stride=1, padding=0, dilation=1, groups=1):
    """Everything per axis, as the loop needs it."""
    space = len(w_shape) - 2

    def per_axis(n):
        return n if isinstance(n, tuple) else (n,) * space

    stride, dilation = per_axis(stride), per_axis(dilation)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, w_shape[2:], strict=True)]
        padding = tuple((t // 2, t - t // 2) for t in total)
    padding = tuple(p if isinstance(p, tuple) else (p, p) for p in per_axis(padding))
    return stride, padding, dilation, groups


def by_loops(x, w, **how):
    """The definition: for every output channel and place, the window times the kernel."""
    stride, padding, dilation, groups = settings(w.shape, **how)
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    span = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    count = [(n - m) // s + 1 for n, m, s in zip(x.shape[2:], span, stride, strict=True)]
    y = np.zeros((x.shape[0], w.shape[0], *count))
    for o in range(w.shape[0]):
        group = o // (w.shape[0] // groups)
        channels = slice(group * w.shape[1], (group + 1) * w.shape[1])
        for place in itertools.product(*map(range, count)):
            window = tuple(
                slice(i * s, i * s + m, d)
                for i, s, m, d in zip(place, stride, span, dilation, strict=True)
            )
            y[(slice(None), o, *place)] = (
                (x[(slice(None), channels, *window)] * w[o]).reshape(len(x), -1).sum(1)
            )
    return y


def differences(f, x, step=1e-6):
    """Central differences of a scalar function, one entry after the other."""
    x_bar = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        x_bar[i] = (f(up) - f(down)) / (2 * step)
    return x_bar


@case
def test_convolution_is_its_definition(x_shape, w_shape, how, rng):
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    np.testing.assert_allclose(
        ob.conv(x, w, **how).numpy(), by_loops(x, w, **how), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("space", [1, 2, 3])
def test_convolution_is_scipys_correlation(space, rng):
    x, w = rng.standard_normal((7, 6, 5)[:space]), rng.standard_normal((3, 2, 4)[:space])
    np.testing.assert_allclose(
        ob.conv(x[None, None], w[None, None]).numpy()[0, 0],
        signal.correlate(x, w, "valid"),
        rtol=1e-12,
        atol=1e-12,
    )


@case
def test_gradients_agree_with_differences(x_shape, w_shape, how, rng):
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    c = rng.standard_normal(ob.conv(x, w, **how).shape)
    x_bar, w_bar = ob.grad(lambda x, w: (c * ob.conv(x, w, **how)).sum(), argnums=(0, 1))(x, w)
    # bilinear: the difference quotient is exact but for rounding, so large steps are best
    np.testing.assert_allclose(
        x_bar,
        differences(lambda x: (c * by_loops(x, w, **how)).sum(), x, 0.5),
        rtol=1e-9,
        atol=1e-11,
    )
    np.testing.assert_allclose(
        w_bar,
        differences(lambda w: (c * by_loops(x, w, **how)).sum(), w, 0.5),
        rtol=1e-9,
        atol=1e-11,
    )


@case
def test_the_three_faces_are_transposes_of_each_other(x_shape, w_shape, how, rng):
    """Σ y conv(x, w) is one number, whichever of the three is held back."""
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    stride, padding, dilation, groups = settings(w_shape, **how)
    given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    y = convolve.conv_(x, w, **given)
    c = rng.standard_normal(y.shape)
    form = np.sum(c * y)
    assert np.sum(x * convolve.conv_input_(c, w, space=x_shape[2:], **given)) == pytest.approx(
        form, rel=1e-11, abs=1e-11
    )
    assert np.sum(w * convolve.conv_weight_(x, c, kernel=w_shape[2:], **given)) == pytest.approx(
        form, rel=1e-11, abs=1e-11
    )


@case
def test_second_derivatives_agree_with_differences_of_first_ones(x_shape, w_shape, how, rng):
    x, w, u, v = (rng.standard_normal(s) for s in (x_shape, w_shape, x_shape, w_shape))

    def loss(x, w):
        return (ob.conv(x, w, **how) ** 3).sum() / 3

    def slope(t):
        x_bar, w_bar = ob.grad(loss, argnums=(0, 1))(x + t * u, w + t * v)
        return np.sum(u * x_bar) + np.sum(v * w_bar)

    exact = ob.hvp(loss, (x, w), (u, v))
    step = 1e-4
    assert np.sum(u * exact[0]) + np.sum(v * exact[1]) == pytest.approx(
        (slope(step) - slope(-step)) / (2 * step), rel=1e-6
    )
    # and by reverse over reverse
    twice = ob.grad(
        lambda x, w: sum(
            (a * b).sum() for a, b in zip(ob.grad(loss, argnums=(0, 1))(x, w), (u, v), strict=True)
        ),
        argnums=(0, 1),
    )(x, w)
    np.testing.assert_allclose(twice[0], exact[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(twice[1], exact[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mapped", [(0, None), (None, 0), (0, 0)], ids=["x", "w", "both"])
@case
def test_vmap_is_a_loop(x_shape, w_shape, how, mapped, rng):
    lanes = 3
    x = rng.standard_normal((lanes, *x_shape) if mapped[0] == 0 else x_shape)
    w = rng.standard_normal((lanes, *w_shape) if mapped[1] == 0 else w_shape)

    def f(x, w):
        return ob.conv(x, w, **how)

    def g(x, w):
        return ob.grad(lambda x, w: (ob.conv(x, w, **how) ** 2).sum(), argnums=(0, 1))(x, w)

    pairs = [(x[i] if mapped[0] == 0 else x, w[i] if mapped[1] == 0 else w) for i in range(lanes)]
    expected = np.stack([np.asarray(f(*p)) for p in pairs])
    np.testing.assert_allclose(ob.vmap(f, in_axes=mapped)(x, w), expected, rtol=1e-12, atol=1e-12)
    for ours, one_by_one in zip(
        ob.vmap(g, in_axes=mapped)(x, w), zip(*(g(*p) for p in pairs), strict=True), strict=True
    ):
        np.testing.assert_allclose(ours, np.stack(one_by_one), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("face", ["conv_input_", "conv_weight_"])
@pytest.mark.parametrize("mapped", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_other_faces_have_lanes_too(face, mapped, groups, rng):
    op, how = (
        getattr(convolve, face),
        {"stride": (2,), "padding": ((1, 0),), "dilation": (1,), "groups": groups},
    )
    sizes = {"space": (6,)} if face == "conv_input_" else {"kernel": (3,)}
    shapes = [(2, 4, 3), (4, 2, 3)] if face == "conv_input_" else [(2, 4, 6), (2, 4, 3)]
    a, b = (rng.standard_normal((3, *s) if m else s) for s, m in zip(shapes, mapped, strict=True))
    whole = op.batch(3, mapped, ob.tensor(a), ob.tensor(b), **sizes, **how).numpy()
    for i in range(3):
        lane = op(a[i] if mapped[0] else a, b[i] if mapped[1] else b, **sizes, **how)
        np.testing.assert_allclose(whole[i], lane, rtol=1e-12, atol=1e-12)


def test_samples_in_blocks_make_no_difference(rng, monkeypatch):
    x, w = rng.standard_normal((7, 4, 6)), rng.standard_normal((4, 2, 3))

    def everything():
        return [
            *ob.grad(lambda x, w: (ob.conv(x, w, groups=2) ** 2).sum(), argnums=(0, 1))(x, w),
            ob.conv(x, w, groups=2).numpy(),
        ]

    whole = everything()
    monkeypatch.setattr(convolve, "AT_ONCE", 60)
    for a, b in zip(whole, everything(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_no_samples_give_no_results_and_no_gradient():
    x, w = np.zeros((0, 3, 5)), np.ones((2, 3, 3))
    assert ob.conv(x, w).shape == (0, 2, 3)
    x_bar, w_bar = ob.grad(lambda x, w: ob.conv(x, w).sum(), argnums=(0, 1))(x, w)
    assert x_bar.shape == x.shape
    np.testing.assert_array_equal(w_bar, np.zeros_like(w))


def test_dtypes_stay(rng):
    x, w = (
        rng.standard_normal((1, 2, 5)).astype(np.float32),
        rng.standard_normal((3, 2, 2)).astype(np.float32),
    )
    assert ob.conv(x, w).dtype == np.float32
    assert ob.grad(lambda x: ob.conv(x, w).sum())(x).dtype == np.float32
    assert ob.conv(x, w.astype(float)).dtype == np.float64
    whole = np.arange(10).reshape(1, 2, 5)
    np.testing.assert_array_equal(
        ob.conv(whole, np.ones((1, 2, 2), int)), by_loops(whole, np.ones((1, 2, 2), int))
    )
    z = x.astype(complex) * 1j
    np.testing.assert_allclose(ob.conv(z, w).numpy(), 1j * by_loops(x, w), rtol=1e-6)


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "how", "error", "says"),
    [
        ((1, 3, 5), (2, 4, 3), {}, ShapeError, "x has 3 channels, the kernel expects 4"),
        ((1, 4, 5), (2, 2, 3), {}, ShapeError, "groups=2 would fit"),
        ((1, 4, 5), (3, 2, 3), {"groups": 2}, ShapeError, "3 output channels do not make 2"),
        (
            (1, 3, 5),
            (2, 3, 6),
            {},
            ShapeError,
            "spans 6 along space axis 0, the padded input only 5",
        ),
        ((1, 3, 5), (2, 3, 3), {"dilation": 3}, ShapeError, "spans 7"),
        ((3, 5), (2, 3, 3), {}, ShapeError, r"x\[None\]"),
        ((1, 3), (2, 3), {}, ShapeError, "at least one"),
        ((1, 3, 5), (2, 3, 3, 3), {}, ShapeError, "1 space axes, the kernel 2"),
        ((1, 3, 5), (2, 3, 0), {}, ShapeError, "empty"),
        ((1, 3, 5), (2, 3, 3), {"stride": 0}, DomainError, "from 1"),
        ((1, 3, 5), (2, 3, 3), {"stride": (1, 1)}, ShapeError, "for 1 space axes"),
        ((1, 3, 5), (2, 3, 3), {"stride": 1.5}, DTypeError, "whole number"),
        ((1, 3, 5), (2, 3, 3), {"padding": -1}, DomainError, "from 0"),
        ((1, 3, 5), (2, 3, 3), {"padding": "full"}, DomainError, "same"),
        ((1, 3, 5), (2, 3, 3), {"padding": "same", "stride": 2}, DomainError, "stride 1"),
        ((1, 3, 5), (2, 3, 3), {"groups": 0}, DomainError, "from 1"),
    ],
)
def test_what_does_not_go_together_is_said(x_shape, w_shape, how, error, says):
    with pytest.raises(error, match=says):
        ob.conv(np.zeros(x_shape), np.zeros(w_shape), **how)


# -- transposed -------------------------------------------------------------------------------

TRANSPOSED = {
    "plain": ((2, 3, 4), (3, 2, 3), {}),
    "stride": ((2, 3, 4), (3, 2, 2), {"stride": 3}),
    "stride and more": ((1, 2, 3), (2, 2, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    "dilation": ((1, 2, 3), (2, 1, 3), {"dilation": 2, "padding": 1}),
    "groups": (
        (1, 4, 3, 2),
        (4, 3, 2, 2),
        {"groups": 2, "stride": (2, 3), "output_padding": (1, 2)},
    ),
    "space": ((1, 2, 2, 3, 2), (2, 2, 2, 1, 2), {"stride": 2}),
}


@pytest.mark.parametrize(("x_shape", "w_shape", "how"), TRANSPOSED.values(), ids=TRANSPOSED)
def test_a_transposed_convolution_is_the_transpose(x_shape, w_shape, how, rng):
    """<c, convᵀ(x)> = <conv(c), x>, for every c; and its own gradients agree with differences."""
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    y = ob.conv_transpose(x, w, **how)
    c = rng.standard_normal(y.shape)
    forward = {k: v for k, v in how.items() if k != "output_padding"}
    assert np.sum(c * y.numpy()) == pytest.approx(np.sum(by_loops(c, w, **forward) * x), rel=1e-11)
    x_bar, w_bar = ob.grad(lambda x, w: (c * ob.conv_transpose(x, w, **how)).sum(), argnums=(0, 1))(
        x, w
    )
    np.testing.assert_allclose(x_bar, by_loops(c, w, **forward), rtol=1e-11, atol=1e-11)
    numeric = differences(
        lambda w: float((c * ob.conv_transpose(x, w, **how).numpy()).sum()), w, 0.5
    )
    np.testing.assert_allclose(w_bar, numeric, rtol=1e-9, atol=1e-11)


def test_a_transposed_convolution_that_cannot_be_is_refused():
    x, w = np.zeros((1, 2, 3)), np.zeros((2, 1, 3))
    with pytest.raises(DomainError, match="less than the stride"):
        ob.conv_transpose(x, w, output_padding=1)
    with pytest.raises(ShapeError, match="x has 3 channels, the kernel 2"):
        ob.conv_transpose(np.zeros((1, 3, 3)), w)
    with pytest.raises(ShapeError, match="less padding"):
        ob.conv_transpose(x, w, padding=4)


# -- pooling ----------------------------------------------------------------------------------

POOLS = {
    "halves": ((2, 3, 8), 2, {}),
    "a rest": ((2, 3, 7), 3, {}),
    "overlap": ((2, 2, 7, 6), 3, {"stride": 2}),
    "padding": ((1, 2, 6, 5), 3, {"stride": 2, "padding": 1}),
    "unequal": ((1, 2, 6, 5), (2, 3), {"stride": (1, 2), "padding": (1, 0)}),
    "uneven padding": ((1, 2, 6), 3, {"padding": ((1, 0),)}),
    "space": ((1, 2, 4, 3, 4), 2, {}),
    "same": ((1, 1, 5), 3, {"stride": 1, "padding": "same"}),
}
pools = pytest.mark.parametrize(("shape", "size", "how"), POOLS.values(), ids=POOLS)


def windows_of(x, size, stride=None, padding=0):
    """(place, indices of the window's entries in x) for every place, and the count of places."""
    space = x.ndim - 2
    size = size if isinstance(size, tuple) else (size,) * space
    stride = size if stride is None else stride if isinstance(stride, tuple) else (stride,) * space
    if padding == "same":
        padding = tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in size)
    padding = padding if isinstance(padding, tuple) else (padding,) * space
    pads = [p if isinstance(p, tuple) else (p, p) for p in padding]
    count = [
        (n + a + b - k) // s + 1
        for n, k, s, (a, b) in zip(x.shape[2:], size, stride, pads, strict=True)
    ]
    for place in itertools.product(*map(range, count)):
        spans = [
            range(i * s - a, i * s - a + k)
            for i, s, k, (a, _) in zip(place, stride, size, pads, strict=True)
        ]
        inside = [
            [j for j in span if 0 <= j < n] for span, n in zip(spans, x.shape[2:], strict=True)
        ]
        yield place, count, list(itertools.product(*inside))


@pools
@pytest.mark.parametrize("ties", [False, True])
def test_max_pooling_takes_the_first_of_the_greatest(shape, size, how, ties, rng):
    x = rng.integers(-2, 2, shape).astype(float) if ties else rng.standard_normal(shape)
    y = ob.max_pool(x, size, **how).numpy()
    c = rng.standard_normal(y.shape)
    x_bar = np.zeros(shape)
    for place, count, inside in windows_of(x, size, **how):
        assert y.shape[2:] == tuple(count)
        for n, channel in np.ndindex(*shape[:2]):
            best = max(inside, key=lambda j: x[(n, channel, *j)])
            assert y[(n, channel, *place)] == x[(n, channel, *best)]
            x_bar[(n, channel, *best)] += c[(n, channel, *place)]
    np.testing.assert_allclose(
        ob.grad(lambda x: (c * ob.max_pool(x, size, **how)).sum())(x), x_bar, rtol=1e-13
    )


@pools
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_average_pooling_is_the_mean(shape, size, how, count_include_pad, rng):
    x = rng.standard_normal(shape)
    y = ob.avg_pool(x, size, **how, count_include_pad=count_include_pad).numpy()
    full = np.prod(size if isinstance(size, tuple) else (size,) * (len(shape) - 2))
    c = rng.standard_normal(y.shape)
    x_bar = np.zeros(shape)
    for place, _, inside in windows_of(x, size, **how):
        n = full if count_include_pad else len(inside)
        at = (slice(None), slice(None), *place)
        total = sum(x[(slice(None), slice(None), *j)] for j in inside)
        np.testing.assert_allclose(y[at], total / n, rtol=1e-12, atol=1e-14)
        for j in inside:
            x_bar[(slice(None), slice(None), *j)] += c[at] / n
    ours = ob.grad(
        lambda x: (c * ob.avg_pool(x, size, **how, count_include_pad=count_include_pad)).sum()
    )(x)
    np.testing.assert_allclose(ours, x_bar, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("pool", [ob.max_pool, ob.avg_pool], ids=["max", "avg"])
def test_pools_have_lanes_and_second_derivatives(pool, rng):
    x = rng.standard_normal((3, 2, 2, 5, 4))

    def loss(x):
        return (pool(x, 3, stride=2, padding=1) ** 2).sum()

    np.testing.assert_allclose(
        ob.vmap(ob.grad(loss))(x), np.stack([ob.grad(loss)(a) for a in x]), rtol=1e-13
    )
    u, step = rng.standard_normal(x[0].shape), 1e-5
    numeric = (ob.grad(loss)(x[0] + step * u) - ob.grad(loss)(x[0] - step * u)) / (2 * step)
    np.testing.assert_allclose(ob.hvp(loss, (x[0],), (u,)), numeric, rtol=1e-7, atol=1e-8)


def test_max_pooling_at_its_edges():
    low = np.full((1, 1, 4), -np.inf)
    np.testing.assert_array_equal(ob.max_pool(low, 3, stride=1, padding=1), low)
    np.testing.assert_array_equal(
        ob.grad(lambda x: ob.max_pool(x, 3, stride=1, padding=1).sum())(low),
        [[[2.0, 1.0, 1.0, 0.0]]],
    )
    nan = np.array([[[1.0, np.nan, 3.0, 4.0]]])
    np.testing.assert_array_equal(ob.max_pool(nan, 2), [[[np.nan, 4.0]]])
    np.testing.assert_array_equal(ob.max_pool(np.array([[[3, 1, 2, 9]]]), 2), [[[3, 9]]])
    assert ob.max_pool(np.zeros((0, 2, 4), np.float32), 2).shape == (0, 2, 2)
    assert ob.max_pool(np.zeros((1, 1, 4), np.float32), 2).dtype == np.float32


def test_max_pooling_keeps_positions_and_not_the_input():
    x = ob.tensor(np.arange(8.0).reshape(1, 1, 8), requires_grad=True)
    y = ob.max_pool(x * 2, 2)
    stack, kept = [y.node], []
    while stack:
        node = stack.pop()
        stack += node.inputs
        if node.inputs and node.value is not None:
            kept.append(node.value.dtype)
    assert all(d.kind == "i" for d in kept)


def test_pooling_that_makes_no_sense_is_refused():
    x = np.zeros((1, 2, 5))
    with pytest.raises(DomainError, match="half the size"):
        ob.max_pool(x, 2, padding=2)
    with pytest.raises(ShapeError, match="spans 6"):
        ob.max_pool(x, 6)
    with pytest.raises(ShapeError, match=r"x\[None\]"):
        ob.avg_pool(np.zeros((2, 5)), 2)
    with pytest.raises(DTypeError, match="integers"):
        ob.avg_pool(np.zeros((1, 2, 4), int), 2)
    with pytest.raises(DTypeError, match="complex"):
        ob.max_pool(np.zeros((1, 2, 4), complex), 2)


def test_unfolding_lays_the_windows_side_by_side(rng):
    x = rng.standard_normal((2, 3, 5, 4))
    columns = ob.unfold(x, (2, 3), stride=(1, 1), padding=(1, 0)).numpy()
    w = rng.standard_normal((4, 3, 2, 3))
    y = ob.conv(x, w, padding=(1, 0)).numpy()
    np.testing.assert_allclose(
        w.reshape(4, -1) @ columns, y.reshape(2, 4, -1), rtol=1e-12, atol=1e-12
    )
    once = ob.grad(lambda x: ob.unfold(x, 2).sum())(np.zeros((1, 1, 4)))
    np.testing.assert_array_equal(once, [[[1.0, 2.0, 2.0, 1.0]]])
