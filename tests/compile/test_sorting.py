"""Orders in machine code: sorting, places, searching, quantiles, running products; as eager."""

import itertools

import numpy as np
import pytest

import overbar as ob
from tests.compile.blocks import KINDS, machine_of

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native

DTYPES = ["float64", "float32", "int64", "int32", "int16", "int8", "uint8", "uint64", "bool"]


def compiled(f, *xs):
    with ob.config(jit="native"):
        step = ob.jit(f)
        y = step(*xs)
    assert "lack of a native form" not in step.report()
    return np.asarray(y)


def assert_same(f, *xs):
    """To the last bit, but for the sign of zeros."""
    y = compiled(f, *xs)
    with ob.config(jit="interpret"), np.errstate(all="ignore"):
        r = np.asarray(ob.jit(f)(*xs))
    assert y.dtype == r.dtype
    np.testing.assert_array_equal(y, r)


def numbers(shape, dtype, seed=0):
    """Many ties; of floating numbers also zeros of both signs, infinities and NaN."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind != "f":
        least, most = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        some = rng.integers(least, most, shape, endpoint=True, dtype=np.dtype(dtype))
        return np.where(rng.random(shape) < 0.3, some // 100 * 100, some).astype(dtype)
    x = np.round(rng.normal(size=shape) * 10) / 4
    x = np.where(rng.random(shape) < 0.4, rng.normal(size=shape) * 10.0 ** rng.integers(-40, 30), x)
    odd = rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310], shape)
    return np.where(rng.random(shape) < 0.2, odd, x).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_along_any_axis(dtype, descending):
    for shape, axis in (((7,), 0), ((3, 48), 1), ((2, 49, 3), 1), ((700,), 0), ((40, 500), -1)):
        x = numbers(shape, dtype)
        assert_same(lambda x, a=axis: ob.sort(x, axis=a, descending=descending), x)
        assert_same(lambda x, a=axis: ob.argsort(x, axis=a, descending=descending), x)


def test_one_number_and_none():
    for shape in ((1,), (0,), (3, 0), (0, 3), (4, 1)):
        x = np.zeros(shape)
        for f in (ob.sort, ob.argsort):
            with ob.config(jit="native"):
                np.testing.assert_array_equal(ob.jit(f)(x).numpy(), f(x).numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_all_machines(kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    for dtype in ("float64", "float32"):
        x = numbers((5, 300), dtype)
        assert_same(ob.sort, x)
        assert_same(ob.argsort, x)
        assert_same(lambda x: ob.cumprod(x, axis=1), np.abs(x) / 10)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_is_made_of_orders(dtype):
    x = np.random.default_rng(0).normal(size=(6, 37)).astype(dtype)
    assert_same(lambda x: ob.median(x, axis=1), x)
    assert_same(lambda x: ob.quantile(x, [0.1, 0.5, 0.93], axis=0), x)
    assert_same(lambda x: ob.topk(x, 5).values, x)
    assert_same(lambda x: ob.topk(x, 5, axis=0).indices, x)
    assert_same(ob.vmap(ob.argsort), x)
    assert_same(ob.grad(lambda x: ob.sum(ob.sort(x) * ob.arange(37.0).astype(x.dtype))), x)
    assert_same(ob.grad(lambda x: ob.sum(ob.median(x, axis=1))), x)
    few = x[0, :5].astype(float)
    assert_same(ob.hessian(lambda x: ob.sum(ob.sort(x) ** 2 * ob.arange(5.0))), few)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8"])
def test_searching(side, dtype):
    for n in (1, 2, 3, 15, 16, 17, 100):
        x = np.sort(numbers((n,), dtype, seed=n))
        v = np.concatenate([x, numbers((40,), dtype)])
        assert_same(lambda x, v: ob.searchsorted(x, v, side=side), x, v)
        assert_same(lambda x, v: ob.searchsorted(x, v.reshape(-1, 1), side=side), x, v)
    assert_same(lambda x, v: ob.searchsorted(x, v, side=side), np.arange(5), np.array([2.5, 9]))
    x, v = np.arange(5.0), np.arange(9.0)
    assert_same(lambda x, v: ob.searchsorted(ob.exp(x), v, side=side), x, v)


def test_a_place_outside_is_named():
    from overbar.apply import apply
    from overbar.ops.sorting import reorder

    step = ob.jit(lambda x, i: apply(reorder, (x, i), {"axis": 0}))
    with ob.config(jit="native"), pytest.raises(IndexError, match="7"):
        step(np.arange(3.0), np.array([0, 7, 1]))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_running_products(dtype):
    x = numbers((5, 9), "float64") if dtype != "int64" else numbers((5, 9), "int8")
    x = np.nan_to_num(x, nan=0.5, posinf=2.0, neginf=-2.0).astype(dtype)
    for axis in (0, 1):
        assert_same(lambda x, a=axis: ob.cumprod(x, axis=a), x)
    if dtype != "int64":
        x = np.clip(x, -2, 2)
        assert_same(ob.grad(lambda x: ob.sum(ob.cumprod(x, axis=0) ** 2)), x)
        assert_same(ob.vmap(lambda x: ob.cumprod(x, axis=0)), x)


COUNTS = ((7, 1), (7, 7), (33, 2), (64, 63), (65, 64), (66, 63), (300, 5), (300, 64), (1000, 65))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_greatest_along_any_axis(dtype):
    shapes = itertools.cycle((lambda n: ((n,), 0), lambda n: ((5, n), 1), lambda n: ((2, n, 3), 1)))
    for n, k in (*COUNTS, (1000, 400), (1000, 600), (1000, 1000)):
        shape, axis = next(shapes)(n)
        x = numbers(shape, dtype, seed=n + k)
        assert_same(lambda x, k=k, a=axis: ob.topk(x, k, a).indices, x)
    assert_same(lambda x: ob.topk(x, 5, 1).values, x)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "int16", "uint8"])
def test_the_greatest_of_lines_in_order(dtype):
    """Ascending, so that each is greater than all before; descending; the same; most the least."""
    up = np.arange(250).astype(dtype)
    least = -np.inf if np.dtype(dtype).kind == "f" else np.iinfo(dtype).min
    lines = [
        up,
        up[::-1],
        np.full(up.shape, 3, dtype),
        np.where(up % 60 == 7, up, least).astype(dtype),
    ]
    if np.dtype(dtype).kind == "f":
        lines += [np.full(up.shape, np.nan, dtype), np.where(up % 2 == 0, -np.inf, up)]
    x = np.stack(lines)
    for k in (1, 5, 64, 100):
        assert_same(lambda x, k=k: ob.topk(x, k).indices, x)
        assert_same(lambda x, k=k: ob.topk(x, k, 0).indices, np.ascontiguousarray(x.T))


@pytest.mark.parametrize("kind", KINDS)
def test_the_greatest_on_all_machines(kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    for dtype in ("float64", "float32"):
        for n, k in COUNTS[-5:]:
            x = numbers((3, n), dtype)
            assert_same(lambda x, k=k: ob.topk(x, k).indices, x)


@pytest.mark.parametrize("k", [3, 70])
def test_derivatives_of_the_greatest(k):
    x = np.random.default_rng(0).normal(size=(40, 211))
    total = lambda x: ob.sum(ob.topk(x, k, 1).values ** 3)
    along = lambda f: lambda x: ob.jvp(f, (x,), (ob.cos(x),))[1]
    for f in (ob.grad(total), along(total), along(ob.grad(total))):
        np.testing.assert_allclose(compiled(f, x), np.asarray(f(x)), rtol=1e-13)
    assert_same(ob.vmap(lambda x: ob.topk(x, k, 0).values, in_axes=0), x)
    assert_same(ob.vmap(lambda x: ob.topk(x, 3, 0).indices, in_axes=1), x)
    found = []
    for threads in (1, 2):
        with ob.config(jit="native", threads=threads):
            found.append(np.asarray(ob.jit(lambda x: ob.topk(x, k).indices)(x)))
    np.testing.assert_array_equal(*found)
