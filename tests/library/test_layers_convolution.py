"""Convolution and pooling layers: shapes, borders, gradients, and what they say when misused."""

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.errors import DomainError, DTypeError, OverbarError, ShapeError

F = nn.functional


@pytest.fixture(autouse=True)
def _in_double_precision():
    ob.random.seed(0)
    with ob.config(dtype=np.float64):
        yield


SHAPES = {
    "Conv1d": (lambda: nn.Conv1d(3, 4, 3), (2, 3, 8), (2, 4, 6)),
    "Conv1d, same": (lambda: nn.Conv1d(3, 4, 4, padding="same"), (2, 3, 8), (2, 4, 8)),
    "Conv2d": (lambda: nn.Conv2d(3, 4, (3, 1), stride=2, padding=1), (2, 3, 7, 5), (2, 4, 4, 4)),
    "Conv2d, one sample": (lambda: nn.Conv2d(3, 4, 3), (3, 7, 5), (4, 5, 3)),
    "Conv2d, empty batch": (lambda: nn.Conv2d(3, 4, 3), (0, 3, 7, 5), (0, 4, 5, 3)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(3, 4, 2, stride=2), (2, 3, 5), (2, 4, 10)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 3), (2, 3, 5, 4), (2, 4, 7, 6)),
    "MaxPool1d": (lambda: nn.MaxPool1d(3), (2, 3, 8), (2, 3, 2)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2), (2, 3, 55, 55), (2, 3, 27, 27)),
    "MaxPool2d, one sample": (lambda: nn.MaxPool2d(2), (3, 8, 6), (3, 4, 3)),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 1, 1), (2, 3, 8), (2, 3, 8)),
    "AvgPool2d": (lambda: nn.AvgPool2d((2, 3)), (2, 3, 4, 6), (2, 3, 2, 2)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), (2, 3, 8), (2, 3, 3)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((3, None)), (2, 3, 8, 5), (2, 3, 3, 5)),
}


@pytest.mark.parametrize(("made", "takes", "gives"), SHAPES.values(), ids=SHAPES)
def test_a_layer_gives_the_shape_it_says(made, takes, gives):
    layer, x = made(), np.ones(takes)
    assert layer(x).shape == gives
    assert ob.jit(layer)(x).shape == gives


SMOOTH = {
    "Conv1d": (lambda: nn.Conv1d(2, 4, 2, groups=2, dilation=2), (2, 2, 5)),
    "Conv2d": (lambda: nn.Conv2d(2, 2, (2, 3), stride=(1, 2), padding=1), (1, 2, 3, 4)),
    "Conv2d, circular": (lambda: nn.Conv2d(1, 2, 2, padding=1, padding_mode="circular"), (1, 3, 3)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(2, 2, 2, stride=2), (1, 2, 3)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(1, 2, 2, dilation=2), (1, 1, 2, 3)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), (2, 5, 5)),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 2, 5, 4)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((2, 3)), (1, 2, 5, 4)),
}


@pytest.mark.parametrize(("made", "takes"), SMOOTH.values(), ids=SMOOTH)
def test_gradients_of_both_orders_are_those_of_differences(rng, made, takes):
    layer = made()
    ob.testing.check_gradients(lambda layer, x: ob.sin(layer(x)), layer, rng.standard_normal(takes))


def test_a_convolution_is_what_its_formula_says(rng):
    layer, x = nn.Conv1d(2, 3, 2, stride=2), rng.standard_normal((1, 2, 5))
    w, b = layer.weight.numpy(), layer.bias.numpy()
    want = [[(w[o] * x[0, :, 2 * t : 2 * t + 2]).sum() + b[o] for t in range(2)] for o in range(3)]
    np.testing.assert_allclose(layer(x).numpy()[0], want, rtol=1e-12)


def test_the_transpose_of_a_convolution_is_its_adjoint(rng):
    conv = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, bias=False)
    back = nn.ConvTranspose2d(6, 4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, bias=False)
    back.weight = conv.weight.numpy()
    x, y = rng.standard_normal((2, 4, 7, 5)), rng.standard_normal((2, 6, 4, 4))
    left, right = (conv(x) * y).sum(), (x * back(y)).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (3, 4), (1, 1)])
def test_an_adaptive_window_reaches_from_floor_to_ceiling(rng, size):
    x = rng.standard_normal((2, *size))
    y = nn.AdaptiveAvgPool2d((3, 4))(x).numpy()
    for i in range(3):
        for j in range(4):
            rows = slice(i * size[0] // 3, -(-(i + 1) * size[0] // 3))
            columns = slice(j * size[1] // 4, -(-(j + 1) * size[1] // 4))
            np.testing.assert_allclose(y[:, i, j], x[:, rows, columns].mean((1, 2)), rtol=1e-12)


def test_the_winner_of_a_window_gets_the_gradient_and_of_equals_the_first():
    x = ob.tensor(np.array([[[1.0, 3.0, 3.0, 2.0]]]), requires_grad=True)
    nn.MaxPool1d(4)(x).sum().backward()
    assert x.grad.tolist() == [[[0.0, 1.0, 0.0, 0.0]]]


def test_kernels_start_within_one_over_the_root_of_what_they_sum():
    layer = nn.Conv2d(8, 64, 5, groups=2)
    reach = np.abs(layer.weight.numpy()).max()
    assert 0.095 < reach <= 0.1
    assert np.abs(layer.bias.numpy()).max() <= 0.1
    assert 0.095 < np.abs(nn.ConvTranspose2d(64, 8, 5, groups=2).weight.numpy()).max() <= 0.1


def test_parameters_are_float32_unless_asked_and_inputs_are_taken_into_them():
    with ob.config(dtype=np.float32):
        layer = nn.Conv2d(1, 1, 2)
    assert layer(np.ones((1, 1, 3, 3))).dtype == np.float32
    assert nn.Conv1d(1, 1, 2, dtype=np.float64).weight.dtype == np.float64


WRONG = {
    "channels": (
        lambda: nn.Conv2d(3, 4, 3)(np.ones((2, 5, 8, 8))), ShapeError,
        "x has 5 channels, the kernel expects 3",
    ),
    "axes": (
        lambda: nn.Conv2d(3, 4, 3)(np.ones((2, 2, 3, 8, 8))), ShapeError,
        r"x: \(N, C, H, W\) or \(C, H, W\)",
    ),
    "a kernel larger than the image": (
        lambda: nn.Conv2d(3, 4, 9)(np.ones((3, 8, 8))), ShapeError, "the kernel spans 9",
    ),
    "groups": (lambda: nn.Conv2d(3, 4, 3, groups=2), ShapeError, "3 to 4 channels in 2 groups"),
    "a kernel of two sizes": (
        lambda: nn.Conv1d(3, 4, (3, 3)), ShapeError, r"kernel_size=\(3, 3\)",
    ),
    "a border nobody knows": (
        lambda: nn.Conv1d(3, 4, 3, padding_mode="mirror"), DomainError,
        "one of zeros, reflect, replicate, circular",
    ),
    "same with a stride": (
        lambda: nn.Conv1d(3, 4, 3, 2, "same")(np.ones((3, 8))), DomainError, "goes with stride 1",
    ),
    "pooling without channels": (
        lambda: nn.MaxPool2d(2)(np.ones((4, 4))), ShapeError, "max_pool2d: x has 2 axes",
    ),
    "padding beyond half": (
        lambda: nn.AvgPool1d(2, padding=2)(np.ones((1, 4))), DomainError, "at most half the size",
    ),
    "an output of nothing": (
        lambda: nn.AdaptiveAvgPool2d(0)(np.ones((1, 4, 4))), ShapeError, "output_size=0",
    ),
    "the mean of nothing": (
        lambda: nn.AdaptiveAvgPool2d(1)(np.ones((1, 0, 4))), ShapeError, "nothing to take the mean",
    ),
    "the mean of integers": (
        lambda: nn.AdaptiveAvgPool1d(1)(np.ones((1, 4), int)), DTypeError, "astype",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "said"), WRONG.values(), ids=WRONG)
def test_misuse_is_named(call, kind, said):
    with pytest.raises(kind, match=said):
        call()


def test_an_error_says_in_which_layer_it_happened():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3)))
    with pytest.raises(ShapeError, match=r"in the layer 1\.1: Conv2d") as caught:
        model(np.ones((1, 1, 9, 9)))
    assert caught.value.layer == "1.1"
    assert str(caught.value).count("in the layer") == 1
    with pytest.raises(OverbarError) as alone:
        nn.Conv2d(3, 4, 3)(np.ones((1, 1, 9, 9)))
    assert "in the layer" not in str(alone.value)
