"""Convolution and pooling beside PyTorch: values and gradients, in double precision."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)

import overbar as ob

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
SIZES = {1: (9,), 2: (8, 7), 3: (5, 6, 5)}
SPACES = pytest.mark.parametrize("space", [1, 2, 3])


def compared(ours, theirs, *arrays, rng):
    """Value and gradients of Σ c f(xs), there and here."""
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = theirs(*tensors)
    c = rng.standard_normal(tuple(y.shape))
    y.backward(torch.tensor(c))
    np.testing.assert_allclose(ours(*arrays).numpy(), y.detach().numpy(), rtol=1e-11, atol=1e-11)
    x_bars = ob.grad(lambda *xs: (c * ours(*xs)).sum(), argnums=tuple(range(len(arrays))))(*arrays)
    for ours_bar, tensor in zip(x_bars, tensors, strict=True):
        np.testing.assert_allclose(ours_bar, tensor.grad.numpy(), rtol=1e-10, atol=1e-10)


@SPACES
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    list(itertools.product((1, 2, 3), (0, 1, 2), (1, 2), (1, 2))),
)
def test_convolution(space, stride, padding, dilation, groups, rng):
    x = rng.standard_normal((2, 4, *SIZES[space]))
    w = rng.standard_normal((6, 4 // groups, *(3, 2, 2)[:space]))
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    compared(
        lambda x, w: ob.conv(x, w, **how), lambda x, w: CONV[space](x, w, **how), x, w, rng=rng
    )


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@SPACES
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_same_padding_of_even_and_odd_kernels(space, kernel, rng):
    x = rng.standard_normal((2, 2, *SIZES[space]))
    w = rng.standard_normal((3, 2, *(kernel,) * space))
    compared(
        lambda x, w: ob.conv(x, w, padding="same"),
        lambda x, w: CONV[space](x, w, padding="same"),
        x,
        w,
        rng=rng,
    )


@SPACES
@pytest.mark.parametrize(
    ("stride", "padding", "output_padding", "dilation", "groups"),
    [
        (1, 0, 0, 1, 1),
        (2, 1, 1, 1, 1),
        (3, 0, 2, 1, 2),
        (2, 1, 0, 2, 2),
        (1, 1, 0, 2, 1),
        (3, 2, 1, 2, 1),
    ],
)
def test_transposed_convolution(space, stride, padding, output_padding, dilation, groups, rng):
    x = rng.standard_normal((2, 4, *(4, 3, 3)[:space]))
    w = rng.standard_normal((4, 3, *(3, 2, 3)[:space]))
    how = {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "dilation": dilation,
        "groups": groups,
    }
    compared(
        lambda x, w: ob.conv_transpose(x, w, **how),
        lambda x, w: TRANSPOSE[space](x, w, **how),
        x,
        w,
        rng=rng,
    )


@SPACES
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, None, 0), (3, 2, 1), (3, 1, 0), (2, 3, 1)]
)
@pytest.mark.parametrize("ties", [False, True])
def test_max_pooling(space, size, stride, padding, ties, rng):
    shape = (2, 3, *SIZES[space])
    x = rng.integers(-2, 2, shape).astype(float) if ties else rng.standard_normal(shape)
    how = {"stride": stride, "padding": padding}
    compared(
        lambda x: ob.max_pool(x, size, **how), lambda x: MAX[space](x, size, **how), x, rng=rng
    )


@SPACES
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, None, 0), (3, 2, 1), (3, 1, 0), (2, 3, 1)]
)
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_average_pooling(space, size, stride, padding, count_include_pad, rng):
    x = rng.standard_normal((2, 3, *SIZES[space]))
    how = {"stride": stride, "padding": padding, "count_include_pad": count_include_pad}
    compared(
        lambda x: ob.avg_pool(x, size, **how), lambda x: AVG[space](x, size, **how), x, rng=rng
    )
    default = torch.tensor(x)
    np.testing.assert_allclose(
        ob.avg_pool(x, size, stride=stride, padding=padding).numpy(),
        AVG[space](default, size, stride=stride, padding=padding).numpy(),
        rtol=1e-11,
    )


def test_second_derivatives_of_convolution(rng):
    x, w = rng.standard_normal((2, 4, 6, 5)), rng.standard_normal((4, 2, 3, 2))
    how = {"stride": 2, "padding": 1, "groups": 2}
    tx, tw = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
    first = torch.autograd.grad((CONV[2](tx, tw, **how) ** 3).sum(), (tx, tw), create_graph=True)
    second = torch.autograd.grad(sum((g**2).sum() for g in first), (tx, tw))

    def loss(x, w):
        return sum(
            (g**2).sum()
            for g in ob.grad(lambda x, w: (ob.conv(x, w, **how) ** 3).sum(), argnums=(0, 1))(x, w)
        )

    for ours, theirs in zip(ob.grad(loss, argnums=(0, 1))(x, w), second, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-10, atol=1e-9)


def test_unfold(rng):
    x = rng.standard_normal((2, 3, 6, 5))
    how = {"stride": 2, "padding": 1, "dilation": 1}
    compared(
        lambda x: ob.unfold(x, (2, 3), **how), lambda x: F.unfold(x, (2, 3), **how), x, rng=rng
    )


def test_arrays_pass_to_torch_and_back_by_dlpack(rng):
    a = rng.standard_normal((3, 4)).astype(np.float32)
    t = ob.tensor(a)
    there = torch.from_dlpack(t)
    np.testing.assert_array_equal(there.numpy(), a)
    there[0, 0] = 99.0
    assert t[0, 0].item() == a[0, 0]
    back = ob.from_dlpack(torch.tensor(a))
    np.testing.assert_array_equal(back, a)
    np.testing.assert_array_equal(ob.tensor(torch.tensor(a)), a)
