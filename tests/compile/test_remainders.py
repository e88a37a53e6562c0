"""Quotients rounded down and what they leave, rounding and shifts: NumPy's results to the bit."""

import numpy as np
import pytest

import overbar as ob
from tests.compile.blocks import KINDS, machine_of

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native

EDGES = [
    *(0.0, 1.0, 0.5, 3.0, 0.1, 7.25, np.inf, np.nan, 5e-324, 1.5e-45, 1e-310, 1e-40, 2.0**-126),
    *(1e-30, 1e30, 3e38, 1e300, 2.0**23, 2.0**24 - 1, 2.0**52, 2.0**53 - 1, 123456789.0),
]
WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def assert_same_bits(f, *xs):
    """Compiled and by NumPy, the signs of zeros included."""
    with ob.config(jit="native"):
        step = ob.jit(f)
        found = step(*xs)
    assert "lack of a native form" not in step.report()
    with ob.config(jit="interpret"), np.errstate(all="ignore"):
        wanted = ob.jit(f)(*xs)
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)
    if wanted.dtype.kind == "f":
        there = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found[there]), np.signbit(wanted[there]))


def pairs(dtype, seed=0):
    """All pairs of edges, and many numbers of every size, some multiples of each other."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        edges = np.array([s * x for x in EDGES for s in (1, -1)]).astype(dtype)
        a, b = (g.reshape(-1) for g in np.meshgrid(edges, edges))
        top = np.log10(float(np.finfo(dtype).max))
        size = 10.0 ** rng.uniform(-top - 6, top, (2, 4000))
        some = (rng.choice([-1, 1], size.shape) * size).astype(dtype)
        near = rng.normal(size=(2, 4000)).astype(dtype)
        times = near[1] * rng.integers(-1000, 1000, 4000)
        one_off = np.nextafter(times, dtype(rng.choice([-np.inf, np.inf])))
    left = np.concatenate([a, some[0], near[0], times.astype(dtype), one_off.astype(dtype)])
    return left, np.concatenate([b, some[1], near[1], near[1], near[1]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remainders_and_quotients_of_floating_numbers(dtype, kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    a, b = pairs(dtype)
    assert_same_bits(lambda a, b: a % b, a, b)
    assert_same_bits(lambda a, b: a // b, a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_by_a_number(dtype):
    a, _ = pairs(dtype)
    for number in (3, -2.5, 0.1, 0, np.inf):
        assert_same_bits(lambda a, n=number: a % n, a)
        assert_same_bits(lambda a, n=number: a // n, a)
        assert_same_bits(lambda a, n=number: n % a, a)
    for size in (1, 3, 17):
        assert_same_bits(lambda a: a % 0.7, a[:size])
    assert_same_bits(lambda a: a % 0.7, a[:2000].reshape(40, 50)[::2, ::-3])


def test_the_gradient():
    a, b = np.array([7.5, -7.5, 2.0]), np.array([2.0, 2.0, -3.0])
    assert_same_bits(ob.grad(lambda a, b: ob.sum((a % b) ** 2), argnums=1), a, b)


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers(dtype):
    rng = np.random.default_rng(0)
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    edges = np.array([least, most, 0, 1, 2, 7, most - 1, least + 1], dtype)
    edges = np.concatenate([edges, -edges]) if dtype[0] == "i" else edges
    a, b = (g.reshape(-1) for g in np.meshgrid(edges, edges))
    some = rng.integers(least, most, (2, 500), dtype=dtype)
    few = rng.integers(0, 9, 500).astype(dtype)
    a, b = np.concatenate([a, *some, few]), np.concatenate([b, some[1], few, some[0]])
    with np.errstate(all="ignore"):
        for f in (
            lambda a, b: a % b,
            lambda a, b: a // b,
            lambda a, b: a << b,
            lambda a, b: a >> b,
        ):
            assert_same_bits(f, a, b)
        assert_same_bits(lambda a: a % 7, a)
        assert_same_bits(lambda a: a // 7, a)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_to_decimals_and_signs(dtype):
    a, b = pairs(dtype)
    for decimals in (-3, -1, 0, 1, 2, 7):
        assert_same_bits(lambda a, d=decimals: ob.round(a, d), a)
    assert_same_bits(ob.signbit, a[~np.isnan(a)])
    assert_same_bits(ob.copysign, a, b)
    assert_same_bits(lambda i: ob.round(i, 2), np.arange(-5, 5))
    assert_same_bits(ob.signbit, np.arange(-5, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_of_the_upper_half_of_uint64_come_from_floats(kind, dtype, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    x = np.array([0, 1.5, 2**53, 2**63 - 1024, 2**63, 2**63 + 2048, 9.3e18, 1.8e19] * 3, dtype)
    y = ob.jit(lambda x: ob.astype(x, np.uint64))(x)
    np.testing.assert_array_equal(y.numpy(), x.astype(np.uint64))
