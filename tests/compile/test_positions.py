"""Reading, adding and writing at positions along any axis; running sums; where extremes are."""

import numpy as np
import pytest

import overbar as ob
from tests.compile.blocks import KINDS, machine_of

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native

DTYPES = ["float64", "float32", "int64", "int16", "uint8"]
SHAPES = [(1, 9), (9, 1), (3, 4, 5), (33, 65), (4, 130, 3)]


def numbers(shape, dtype="float64", seed=0):
    r = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return r.normal(size=shape).astype(dtype)
    return r.integers(0, 100, shape).astype(dtype)


def positions(size, count, seed=1):
    """From both ends, some of them several times."""
    return np.random.default_rng(seed).integers(-size, size, count)


def compiled(f, *xs):
    step = ob.jit(f)
    y = step(*xs)
    assert "lack of a native form" not in step.report()
    return y.numpy() if isinstance(y, ob.Tensor) else np.asarray(y)


def assert_same(f, *xs, by=(2,)):
    """As eager, bit by bit: everything is added in the same order."""
    wanted = np.asarray(f(*(ob.tensor(x) for x in xs)))
    for threads in by:
        with ob.config(threads=threads):
            found = compiled(f, *xs)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_and_adding_along_any_axis(shape):
    for k, axis in enumerate(range(len(shape))):
        for count in (1, 40):
            dtype = DTYPES[(k + count) % len(DTYPES)]
            x, i, at = numbers(shape, dtype), positions(shape[axis], count), (slice(None),) * axis
            v = numbers((*shape[:axis], count, *shape[axis + 1 :]), dtype, seed=2)
            assert_same(lambda x, i, at=at: x[(*at, i)] * 3, x, i)
            assert_same(lambda x, i, v, at=at: ob.scatter_add(x, (*at, i), v), x, i, v)
        x = numbers(shape, DTYPES[k % 2])
        grad = ob.grad(lambda x, i, at=at: (x[(*at, i)] ** 2).sum())
        np.testing.assert_array_equal(compiled(grad, x, i), grad(x, i))


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_kinds_of_numbers(dtype):
    x, i = numbers((5, 7), dtype), positions(7, 9)
    assert_same(lambda x, i: x[:, i], x, i)
    assert_same(lambda x, i: ob.scatter_add(x, (slice(None), i), x[:, i]), x, i.astype("int32"))


def test_views_of_it():
    """What is read or added to lies otherwise in memory; several positions, some axes apart."""
    x, i, j = numbers((6, 7, 8)), positions(6, 4), positions(7, 4)
    k = positions(8, (2, 3))
    for f in (
        lambda x: x[:, :, k],
        lambda x: x[1:, ::2, k],
        lambda x: x.mT[:, k % 7],
        lambda x: x[i, j],
        lambda x: x[i, :, j],
        lambda x: x[:, i % 6, j],
        lambda x: x[:, j].mT * 2,
        lambda x: x[i].T,
        lambda x: x[:, j][:, :, k],
        lambda x: x[None, :, j, None],
        lambda x: x[2, :, k],
        lambda x: ob.exp(x)[:, j] + x[:, j],
        lambda x: ob.take(x, k, axis=2).sum(0),
    ):
        np.testing.assert_allclose(compiled(f, x), f(ob.tensor(x)).numpy(), rtol=1e-13)
        grad = ob.grad(lambda x, f=f: (f(x) ** 2).sum())
        np.testing.assert_allclose(compiled(grad, x), grad(x), rtol=1e-13)
    given = ob.jit(lambda x, j: ob.grad(lambda x: (x[:, j, 1:] ** 2).sum())(x))
    wanted = np.zeros_like(x)
    np.add.at(wanted, (slice(None), j, slice(1, None)), 2 * x[:, j, 1:])
    np.testing.assert_array_equal(given(x, j), wanted)


@pytest.mark.parametrize("shape", [(200, 300), (70, 40, 30), (100_000,), (3, 70_000)])
def test_large_ones_are_shared_among_threads(shape):
    for axis in range(len(shape)):
        i = positions(shape[axis], max(20, shape[axis] // 2))
        at = (slice(None),) * axis
        x = numbers(shape, "float32")
        v = numbers((*shape[:axis], len(i), *shape[axis + 1 :]), "float32")
        assert_same(lambda x, i, at=at: x[(*at, i)], x, i, by=(1, 2))
        assert_same(lambda x, i, v, at=at: ob.scatter_add(x, (*at, i), v), x, i, v, by=(1, 2))


def test_a_batch_of_them():
    x, i = numbers((5, 8, 6)), positions(8, 7)
    many = np.stack([positions(8, 7, seed=s) for s in range(5)])
    assert_same(lambda x, i: ob.vmap(lambda x: x[i])(x), x, i)
    assert_same(ob.vmap(lambda x, i: x[i]), x, many)
    v = numbers((5, 7, 6), seed=3)
    assert_same(ob.vmap(ob.scatter_add), x, many, v)


@pytest.mark.parametrize("kind", KINDS)
def test_all_machines(kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    for dtype in ("float64", "float32"):
        x, i = numbers((37, 67), dtype), positions(37, 50)
        assert_same(lambda x, i: x[:, i], x, i)
        assert_same(lambda x, i: ob.scatter_add(x, (slice(None), i), x[:, i]), x, i)
        assert_same(lambda x, i: ob.scatter_add(x, i, x[i]), x, i)
        assert_same(lambda x: ob.cumsum(x, axis=0), x)
        assert_same(lambda x: ob.argmax(x, axis=0), x)
        assert_same(lambda x: ob.argmin(x, axis=1), x)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, i: x[:, i],
        lambda x, i: x[:, i, 1:],
        lambda x, i: ob.grad(lambda x: (x[:, :, i] ** 2).sum())(x),
        lambda x, i: ob.scatter_add(x, (slice(None), i), 1.0),
        lambda x, i: ob.scatter_add(x, i, x[:1]),
    ],
)
def test_a_position_outside_is_named(f):
    x, step = numbers((4, 4, 4)), ob.jit(f)
    step(x, np.array([0, -4, 3, 0, 0]))
    for bad in (4, -5, 99):
        with pytest.raises(IndexError, match=f"{bad} is outside an axis of size 4"):
            step(x, np.array([0, 1, bad, 0, 0]))


def test_nothing_to_read_or_add():
    x, none = numbers((3, 4)), np.zeros(0, int)
    for f in (
        lambda x, i: x[:, i],
        lambda x, i: ob.scatter_add(x, (slice(None), i), x[:, :0]),
        lambda x, i: ob.scatter_add(x, i, x[:0]),
    ):
        np.testing.assert_array_equal(ob.jit(f)(x, none), f(ob.tensor(x), ob.tensor(none)))


def test_no_copy_stands_around_columns_read_or_added():
    x, i = numbers((30, 40)), positions(40, 20)
    step = ob.jit(lambda x, i: ob.grad(lambda x: (x[:, i] ** 2).sum())(x))
    step(x, i)
    assert [n.op.name for n in step.lower().nodes if n.inputs] == ["nest", "scatter"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
@pytest.mark.parametrize("shape", [(7,), (1, 4), (5, 1, 3), (3, 20, 513)])
def test_running_sums_along_any_axis(shape, dtype):
    x = numbers(shape, "float64").astype(dtype)
    for axis in range(len(shape)):
        found = compiled(lambda x, a=axis: ob.cumsum(x, axis=a), x)
        np.testing.assert_allclose(
            found, np.cumsum(x, axis), rtol=1e-4 if dtype == "float32" else 1e-12
        )
        if dtype[0] == "f":
            grad = ob.grad(lambda x, a=axis: (ob.cumsum(x, axis=a) ** 2).sum())
            np.testing.assert_allclose(compiled(grad, x), grad(x), rtol=1e-3, atol=1e-3)
            product = compiled(lambda x, a=axis: ob.cumprod(x, axis=a), x)
            np.testing.assert_allclose(product, np.cumprod(x, axis), rtol=1e-4)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8", "uint8", "bool"])
def test_where_the_extreme_is(name, dtype):
    """The first of equals; a NaN wins; zeros of both signs are equal."""
    r = np.random.default_rng(0)
    for shape in [(1,), (1, 4), (40, 33), (3, 300, 5), (200_000,)]:
        x = r.integers(-2, 3, shape).astype(dtype)
        some = [x, np.zeros(shape, dtype), np.full(shape, x.max())]
        if x.dtype.kind == "f":
            odd = r.choice([0.0, -0.0, np.inf, -np.inf, 5e-324], shape).astype(dtype)
            nan = np.where(r.random(shape) < 0.1, x.dtype.type(np.nan), odd)
            some += [odd, nan, np.full(shape, np.nan, dtype), np.full(shape, -np.inf, dtype)]
        for axis in (*range(x.ndim), None):
            step = ob.jit(lambda x, a=axis: getattr(ob, name)(x, axis=a))
            for y in some:
                found = step(y).numpy()
                assert found.dtype == np.int64
                np.testing.assert_array_equal(found, getattr(np, name)(y, axis=axis))
            assert "NumPy" not in step.report()


def replaced(x, index, v):
    y = ob.asarray(x) * 1
    y[index] = v
    return y


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_writing_at_positions(dtype):
    """Where one is named twice the last one wins."""
    x, v = numbers((9, 8), dtype), numbers((30, 8), dtype, seed=2)
    i = positions(9, 30)
    for threads in (1, 2):
        with ob.config(threads=threads):
            for f, wanted in (
                (replaced, (i, v)),
                (lambda x, i, v: replaced(x, (i, 3), v[:, 0]), ((i, 3), v[:, 0])),
                (lambda x, i, v: replaced(x, (i, i % 8), v[:, 0]), ((i, i % 8), v[:, 0])),
                (
                    lambda x, i, v: replaced(x, (slice(None), i % 8), v[:9, :1]),
                    ((slice(None), i % 8), v[:9, :1]),
                ),
            ):
                y = x.copy()
                y[wanted[0]] = wanted[1]
                np.testing.assert_array_equal(compiled(f, x, i, v), y)
    large, few = numbers(200_000, dtype), positions(200_000, 500)
    y = large.copy()
    y[few] = numbers(500, dtype, seed=3)
    np.testing.assert_array_equal(compiled(replaced, large, few, numbers(500, dtype, seed=3)), y)
    with pytest.raises(IndexError, match="is outside"):
        ob.jit(replaced)(x, i + 20, v)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_writing_a_stretch(dtype):
    x = numbers((12, 30), "float64").astype(dtype)
    for index in (
        slice(1, -1), (slice(None), 3), (slice(2, 9, 3), slice(None, None, -2)), (0, 5), ...,
        (slice(None), slice(4, 5)), (None, 2), (slice(8, 2, -2), slice(10, 20)),
    ):  # fmt: skip
        y = x.copy()
        v = numbers(y[index].shape, "float64", seed=3).astype(dtype)
        y[index] = v
        np.testing.assert_array_equal(compiled(lambda x, v, at=index: replaced(x, at, v), x, v), y)
        if dtype[0] == "f":
            both = ob.grad(lambda x, v, at=index: (replaced(x, at, v) ** 2).sum(), argnums=(0, 1))
            for found, wanted in zip(ob.jit(both)(x, v), both(x, v), strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-6)
