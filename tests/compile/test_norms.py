"""Lengths in machine code: exact in one pass, whatever the size of the entries."""

import numpy as np
import pytest

import overbar as ob
from tests.compile.blocks import KINDS, machine_of

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native

SIZES = {
    "float32": [1.0, 1e-45, 3e-39, 1e-30, 1e-19, 1e18, 1e30, 3e37],
    "float64": [1.0, 5e-324, 3e-310, 1e-300, 1e-170, 1e-140, 1e-130, 1e120, 1e149, 1e160, 3e306],
}


def compiled(f, x, threads=2):
    with ob.config(jit="native", threads=threads):
        step = ob.jit(f)
        y = step(x)
    assert "lack of a native form" not in step.report()
    return np.asarray(y)


def exact(x, axis):
    """In long double, whose range holds every square."""
    return np.sqrt((x.astype(np.longdouble) ** 2).sum(axis)).astype(x.dtype)


@pytest.mark.parametrize("dtype", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_entries_of_any_size(dtype, kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    step = ob.jit(lambda x: ob.linalg.vector_norm(x, axis=1))
    for size in SIZES[dtype]:
        x = (rng.uniform(0.1, 1, (5, 37)) * size).astype(dtype)
        x[1, 3:] = 0
        x[2, 5:] *= info.eps  # far below the rest of the row
        np.testing.assert_allclose(
            step(x).numpy(), exact(x, 1), rtol=8 * info.eps, atol=info.smallest_subnormal
        )
    great = 1e-7 * float(info.max)
    mixed = np.array([[1e-38, great, 1.0], [info.tiny, 1e-30, 0.0], [0.0, 0.0, 0.0]], dtype)
    np.testing.assert_allclose(step(mixed).numpy(), exact(mixed, 1), rtol=4 * info.eps)


@pytest.mark.parametrize("dtype", SIZES)
def test_what_is_not_finite(dtype):
    x = np.ones((7, 19), dtype)
    x[0, 3], x[1, 4], x[2, :2], x[3] = np.inf, np.nan, (np.inf, np.nan), -np.inf
    x[4, :], x[5, 0] = np.finfo(dtype).max, np.finfo(dtype).max
    y = compiled(lambda x: ob.linalg.vector_norm(x, axis=1), x)
    want = [np.inf, np.nan, np.nan, np.inf, np.inf, np.finfo(dtype).max, np.sqrt(x.dtype.type(19))]
    np.testing.assert_array_equal(y, np.array(want, dtype))


@pytest.mark.parametrize("dtype", SIZES)
def test_any_axes_and_their_gradient_on_any_number_of_threads(dtype):
    rng = np.random.default_rng(1)
    for shape, axis in (((300, 210), 1), ((300, 210), 0), ((7, 5, 9), (0, 2)), ((40001,), None)):
        x = rng.normal(size=shape).astype(dtype)
        x[..., 0] = 0
        length = lambda x, a=axis: ob.linalg.vector_norm(x, axis=a)
        both = lambda x, f=length: ob.value_and_grad(lambda x: ob.sum(ob.sqrt(f(x))))(x)[1]
        rtol = 1e-5 if dtype == "float32" else 1e-13
        for f in (length, both):
            y = compiled(f, x)
            np.testing.assert_allclose(y, np.asarray(f(x)), rtol=rtol, atol=rtol * 1e-2)
            np.testing.assert_array_equal(y, compiled(f, x, threads=1))
    np.testing.assert_array_equal(
        compiled(ob.grad(ob.linalg.vector_norm), np.zeros(3)), np.zeros(3)
    )
