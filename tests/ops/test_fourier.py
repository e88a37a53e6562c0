"""Fourier transforms: values against NumPy, transposes, differences, and what is refused."""

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError, DTypeError, IndexingError, ShapeError
from overbar.testing import check_gradients

REAL, HALF, FULL = "real signals", "half spectra", "complex signals"
TAKES = {
    "fft": FULL,
    "ifft": FULL,
    "fftn": FULL,
    "ifftn": FULL,
    "fft2": FULL,
    "ifft2": FULL,
    "rfft": REAL,
    "rfftn": REAL,
    "rfft2": REAL,
    "ihfft": REAL,
    "irfft": HALF,
    "irfftn": HALF,
    "irfft2": HALF,
    "hfft": HALF,
}
ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
WAYS = [
    ((4,), {}),
    ((5,), {}),
    ((1,), {}),
    ((2, 6), {"axis": 0}),
    ((3, 5), {"n": 3}),
    ((3, 4), {"n": 7, "axis": -2}),
    ((4,), {"norm": "ortho"}),
    ((5,), {"norm": "forward"}),
    ((2, 3, 4), {"axis": 1, "norm": None}),
    ((3,), {"n": 1}),
    ((3, 4), {"n": 2}),
]
MANY = [
    ((3, 4), {}),
    ((2, 3, 5), {"axes": (1, 2)}),
    ((2, 3, 5), {"axes": (2, 0), "norm": "ortho"}),
    ((1, 2), {}),
    ((3, 4), {"s": (2, 6)}),
    ((3, 4), {"s": (5, 3), "axes": (1, 0), "norm": "forward"}),
]
CASES = [
    (name, shape, how)
    for name in TAKES
    for shape, how in (WAYS if name in ONE else MANY)
    # half a spectrum of one entry has no signal of its own: 2 (1 − 1) entries
    if not (TAKES[name] is HALF and shape == (1,))
]
every_case = pytest.mark.parametrize(
    ("name", "shape", "how"), CASES, ids=[f"{n} {s} {h}" for n, s, h in CASES]
)


def drawn(rng, name, shape):
    x = rng.standard_normal(shape)
    return x if TAKES[name] is REAL else x + 1j * rng.standard_normal(shape)


def numpys(name, x, how):
    """With the axes that NumPy takes by default said, as it wants them beside s."""
    if "s" in how and "axes" not in how:
        how = how | {"axes": tuple(range(-len(how["s"]), 0))}
    return getattr(np.fft, name)(x, **how)


@every_case
def test_values_are_those_of_numpy(name, shape, how, rng):
    x = drawn(rng, name, shape)
    y, wanted = getattr(ob.fft, name)(x, **how), numpys(name, x, how)
    assert (y.shape, y.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12, atol=1e-13)


@every_case
def test_reverse_and_forward_are_transposes(name, shape, how, rng):
    """Re Σ ȳ ẏ = Re Σ x̄ ẋ, nothing conjugated."""
    x, x_dot = drawn(rng, name, shape), drawn(rng, name, shape)
    f = lambda x: getattr(ob.fft, name)(x, **how)
    y, pull = ob.vjp(f, x)
    _, y_dot = ob.jvp(f, (x,), (x_dot,))
    np.testing.assert_allclose(y_dot, numpys(name, x_dot, how), rtol=1e-12, atol=1e-13)
    y_bar = rng.standard_normal(y.shape) + (
        1j * rng.standard_normal(y.shape) if y.dtype.kind == "c" else 0
    )
    (x_bar,) = pull(y_bar)
    assert (x_bar.shape, x_bar.dtype) == (x.shape, x.dtype)
    np.testing.assert_allclose(np.sum(y_bar * y_dot).real, np.sum(x_bar * x_dot).real, rtol=1e-11)


@every_case
def test_derivatives_of_the_power_agree_with_differences(name, shape, how, rng):
    x = drawn(rng, name, shape)
    check_gradients(
        lambda x: ob.sum(ob.square(ob.abs(getattr(ob.fft, name)(x, **how)))), x, order=2
    )


@every_case
def test_vmap_equals_a_loop(name, shape, how, rng):
    x = drawn(rng, name, (3, *shape))
    found = ob.vmap(lambda x: getattr(ob.fft, name)(x, **how))(x)
    np.testing.assert_allclose(
        found, [numpys(name, lane, how) for lane in x], rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_parseval(n, rng):
    """The power of a signal is that of its spectrum, so its gradient is 2 n x."""
    x = rng.standard_normal(n)
    found = ob.grad(lambda x: ob.sum(ob.square(ob.abs(ob.fft.fft(x)))))(x)
    np.testing.assert_allclose(found, 2 * n * x, rtol=1e-12)


def test_there_and_back_is_the_identity_and_so_is_its_derivative(rng):
    for n in (4, 5):
        x, y_bar = rng.standard_normal(n), rng.standard_normal(n)
        y, pull = ob.vjp(lambda x, n=n: ob.fft.irfft(ob.fft.rfft(x), n=n), x)
        np.testing.assert_allclose(y, x, rtol=1e-12)
        np.testing.assert_allclose(pull(y_bar)[0], y_bar, rtol=1e-12)


def test_a_convolution_by_way_of_the_spectrum_has_the_gradient_of_a_convolution(rng):
    x, w, y_bar = (rng.standard_normal(8) for _ in range(3))
    circular = np.array([[w[(i - j) % 8] for j in range(8)] for i in range(8)])
    y, pull = ob.vjp(lambda x: ob.fft.irfft(ob.fft.rfft(x) * ob.fft.rfft(w), n=8), x)
    np.testing.assert_allclose(y, circular @ x, rtol=1e-12)
    np.testing.assert_allclose(pull(y_bar)[0], circular.T @ y_bar, rtol=1e-12)


def test_float32_stays_float32():
    x = np.ones(4, np.float32)
    assert ob.fft.fft(x).dtype == np.complex64
    assert ob.fft.rfft(x).dtype == np.complex64
    assert ob.fft.irfft(ob.fft.rfft(x)).dtype == np.float32
    assert (
        ob.grad(lambda x: ob.sum(ob.abs(ob.fft.rfft(x))))(x + np.arange(4, dtype=np.float32)).dtype
        == np.float32
    )


def test_integers_become_floats():
    np.testing.assert_allclose(ob.fft.fft([1, 2, 3]).numpy(), np.fft.fft([1, 2, 3]), rtol=1e-13)
    np.testing.assert_allclose(ob.fft.rfft([1, 2, 3]).numpy(), np.fft.rfft([1, 2, 3]), rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9])
def test_frequencies_and_their_order(n, rng):
    assert ob.fft.fftfreq(n, d=0.5).tolist() == np.fft.fftfreq(n, 0.5).tolist()
    assert ob.fft.rfftfreq(n, d=0.5).tolist() == np.fft.rfftfreq(n, 0.5).tolist()
    assert ob.fft.fftfreq(n, dtype=ob.float32).dtype == np.float32
    x = rng.standard_normal((n, 4, n))
    for axes in (None, 0, (0, 2), -1):
        assert ob.fft.fftshift(x, axes=axes).tolist() == np.fft.fftshift(x, axes).tolist()
        assert ob.fft.ifftshift(x, axes=axes).tolist() == np.fft.ifftshift(x, axes).tolist()
    check_gradients(lambda x: ob.fft.fftshift(x, axes=0), x)


REFUSED = {
    "norm": (DomainError, lambda: ob.fft.fft(np.ones(3), norm="both"), "'both' is not a choice"),
    "a number": (ShapeError, lambda: ob.fft.fft(1.0), "a number has no axis"),
    "nothing": (ShapeError, lambda: ob.fft.fft(np.ones(0)), "0 entries cannot be transformed"),
    "n": (ShapeError, lambda: ob.fft.rfft(np.ones(3), n=0), "0 entries cannot be transformed"),
    "axis": (IndexingError, lambda: ob.fft.fft(np.ones(3), axis=1), "axis 1 does not exist"),
    "axes": (
        ShapeError,
        lambda: ob.fft.fftn(np.ones((3, 3)), axes=(0, -2)),
        "an axis is named twice",
    ),
    "s": (
        ShapeError,
        lambda: ob.fft.fftn(np.ones((3, 3)), s=(2,), axes=(0, 1)),
        "1 sizes for 2 axes",
    ),
    "complex": (DTypeError, lambda: ob.fft.rfft(np.ones(3) + 1j), "the signal is complex"),
    "complex, inverse": (
        DTypeError,
        lambda: ob.fft.ihfft(np.ones(3) + 1j),
        "the signal is complex",
    ),
    "half of one": (ShapeError, lambda: ob.fft.irfft(np.ones(1)), "a signal of 0 entries"),
    "frequencies": (ShapeError, lambda: ob.fft.fftfreq(0), "n=0"),
    "no axis": (ShapeError, lambda: ob.fft.rfftn(np.ones(3), axes=()), "no axis is named"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_transformed_is_refused_in_words(name):
    kind, f, said = REFUSED[name]
    with pytest.raises(kind, match=said):
        f()
