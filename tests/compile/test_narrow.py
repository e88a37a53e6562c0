"""Sums over rows of narrow arrays, and what is slow and done once for each of many short rows."""

import numpy as np
import pytest

import overbar as ob
from tests.compile.blocks import KINDS, Area, machine_of
from tests.compile.test_kernels import array, kernels

pytest.importorskip("llvmlite")
from overbar.compile import native
from overbar.compile.narrow import Narrow, narrow
from overbar.compile.phases import Shape

pytestmark = pytest.mark.native

DTYPES = [np.float32, np.float64]


def at_the_end(x):
    """The same numbers right before memory that nobody may read."""
    area = Area(x.size, x.dtype)
    area.values[:] = x.reshape(-1)
    return area.values.reshape(x.shape)


def agree(f, reference, *args, sums=0):
    """Compiled as NumPy in float64, up to the rounding of so many additions, with one thread and
    with two, which change no bit.
    """
    wanted = reference(*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in args))
    found = []
    for threads in (1, 2):
        with ob.config(threads=threads, jit="native"):
            step = ob.jit(f)
            found.append(np.asarray(step(*args)))
        assert "lack of a native form" not in step.report()
    np.testing.assert_array_equal(*found)
    near = np.finfo(args[0].dtype).eps * (4 + sums)
    np.testing.assert_allclose(found[0], wanted, rtol=4 * near, atol=near)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_every_width(kind, dtype, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    for rows, columns in [
        *[(n, 10) for n in (1, 2, 7, 8, 9, 32, 255, 256, 257, 258, 259, 9001)],
        *[(263, m) for m in (2, 3, 4, 5, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65)],
        *[(11, m) for m in (2, 3, 15, 17, 33, 63)],
        (20011, 3),
    ]:
        x = at_the_end(array(rows, columns, dtype=dtype))
        agree(lambda x: ob.sum(x, axis=0), lambda x: x.sum(0), x, sums=rows)
        agree(lambda x: ob.max(x, axis=0), lambda x: x.max(0), x)


FUSED = {
    "squares": (lambda x, g: (x * x).sum(0), lambda x, g: (x * x).sum(0)),
    "vector times matrix": (lambda x, g: g @ x, lambda x, g: g @ x),
    "variance": (lambda x, g: ob.var(x, axis=0), lambda x, g: x.var(0)),
    "two at once": (
        lambda x, g: ob.max(x, axis=0) - ob.sum(x * g[:, None], axis=0),
        lambda x, g: x.max(0) - (x * g[:, None]).sum(0),
    ),
    "a slice": (lambda x, g: ob.sum(x[:, 1:-1], axis=0), lambda x, g: x[:, 1:-1].sum(0)),
    "every other": (lambda x, g: ob.sum(x[1::2, ::2], axis=0), lambda x, g: x[1::2, ::2].sum(0)),
    "backwards": (lambda x, g: ob.sum(x[::-1, ::-1], axis=0), lambda x, g: x.sum(0)[::-1]),
    "a row for all": (lambda x, g: ob.sum(x * x[0], axis=0), lambda x, g: (x * x[0]).sum(0)),
    "chosen": (
        lambda x, g: ob.sum(ob.where(x > g[:, None], x, 0.0), axis=0),
        lambda x, g: np.where(x > g[:, None], x, 0.0).sum(0),
    ),
    "normalised": (
        lambda x, g: (x - ob.mean(x, axis=0)) / ob.std(x, axis=0),
        lambda x, g: (x - x.mean(0)) / x.std(0),
    ),
    "softmax": (
        lambda x, g: ob.softmax(x, axis=0),
        lambda x, g: np.exp(x) / np.exp(x).sum(0),
    ),
    "logsumexp": (lambda x, g: ob.logsumexp(x, axis=0), lambda x, g: np.log(np.exp(x).sum(0))),
    "places": (
        lambda x, g: ob.sum(ob.take_along_axis(x, ob.argsort(x, axis=1), axis=1), axis=0),
        lambda x, g: np.sort(x, 1).sum(0),
    ),
    "whole numbers": (
        lambda x, g: ob.sum(ob.astype(x * 8, ob.int64) // 3, axis=0),
        lambda x, g: ((x * 8).astype(int) // 3).sum(0),
    ),
    "truths": (lambda x, g: ob.all(x > -3, axis=0), lambda x, g: (x > -3).all(0)),
}


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_summed_is_computed_on_the_way(name, kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    for dtype in DTYPES:
        for rows, columns in [(700, 10), (20011, 5), (523, 21)]:
            x = at_the_end(array(rows, columns, dtype=dtype))
            g = at_the_end(array(rows, dtype=dtype, seed=1))
            agree(*FUSED[name], x, g, sums=rows)


BATCHED = {
    "middle": (lambda x: ob.sum(x, axis=1), lambda x: x.sum(1)),
    "leading": (lambda x: ob.sum(x, axis=(0, 1)), lambda x: x.sum((0, 1))),
    "first": (lambda x: ob.max(x, axis=0), lambda x: x.max(0)),
    "turned": (lambda x: ob.sum(x.T, axis=0), lambda x: x.T.sum(0)),
    "minus a row": (
        lambda x: ob.sum(x - ob.max(x, axis=1, keepdims=True), axis=1),
        lambda x: (x - x.max(1, keepdims=True)).sum(1),
    ),
}


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_among_several_axes(name, dtype):
    for shape in [(3, 301, 7), (300, 2, 5), (40, 400, 12)]:
        x = at_the_end(array(*shape, dtype=dtype))
        agree(*BATCHED[name], x, sums=shape[0] * shape[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_of_the_next_row_is_seen(dtype):
    x = np.ones((1000, 6), dtype)
    x[3, 0], x[5, 1], x[7, 2], x[-1, 5] = np.nan, np.inf, -np.inf, np.nan
    with ob.config(jit="native"):
        total = np.asarray(ob.jit(lambda x: ob.sum(x, axis=0))(x))
        most = np.asarray(ob.jit(lambda x: ob.max(x, axis=0))(x))
    np.testing.assert_array_equal(total, np.array([np.nan, np.inf, -np.inf, 1e3, 1e3, np.nan]))
    np.testing.assert_array_equal(most, np.array([np.nan, np.inf, 1, 1, 1, np.nan]))


def test_sizes_that_are_known_late(monkeypatch):
    monkeypatch.setenv("OVERBAR_CACHE", "")
    step = ob.jit(lambda x, g: (ob.sum(x, axis=0), ob.var(x, axis=0), g @ x))
    compiled = []
    for n in (300, 600, 777, 256, 1001, 259, 40, 1, 50_000):
        x, g = at_the_end(array(n, 7)), at_the_end(array(n))
        before = native.counts["compiled"]
        found = step(x, g)
        compiled.append(native.counts["compiled"] - before)
        for a, b in zip(found, (x.sum(0), x.var(0), g @ x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
    assert compiled[2:7] == [0] * 5, compiled


def test_rows_are_filled_up_to_whole_vectors():
    (kernel,) = kernels(lambda x, g: g @ x, array(1000, 10), array(1000))
    machines = {kind: machine_of(kind) for kind in KINDS}
    found = {kind: narrow(Shape(kernel), machine, 0) for kind, machine in machines.items()}
    assert found == {
        "avx512": Narrow(lanes=8, vectors=2, side=2, spare=1),
        "avx2": Narrow(lanes=4, vectors=3, side=1, spare=1),
        "generic": None,
    }
    (kernel,) = kernels(lambda x: ob.sum(x, axis=0), array(1000, 3, dtype=np.float32))
    assert narrow(Shape(kernel), machines["avx512"], 0) == Narrow(16, 1, 4, spare=5)


# -- once per row -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "wanted"), [((2048, 10), 2), ((2048, 100), 1), ((100, 10), 1)], ids=str
)
def test_what_is_slow_is_done_for_many_short_rows_side_by_side(shape, wanted):
    x = array(*shape)
    assert len(kernels(lambda x: ob.exp(ob.sum(x, axis=1)), x)) == wanted
    assert len(kernels(lambda x: ob.sqrt(ob.sum(x, axis=1)), x)) == 1
    agree(
        lambda x: x - ob.logsumexp(x, axis=1, keepdims=True),
        lambda x: x - np.log(np.exp(x).sum(1, keepdims=True)),
        x,
        sums=shape[1],
    )


# -- short rows side by side ------------------------------------------------------------------


SHORT = {
    "logsumexp": (
        lambda x, y: ob.logsumexp(x, axis=-1),
        lambda x, y: np.log(np.exp(x).sum(-1)),
    ),
    "softmax": (
        lambda x, y: ob.softmax(x * 2, axis=-1),
        lambda x, y: np.exp(2 * x) / np.exp(2 * x).sum(-1, keepdims=True),
    ),
    "max": (lambda x, y: ob.max(x, axis=-1), lambda x, y: x.max(-1)),
    "argmax": (lambda x, y: ob.argmax(x, axis=-1), lambda x, y: x.argmax(-1)),
    "min of whole numbers": (lambda x, y: ob.min(y % 7, axis=-1), lambda x, y: (y % 7).min(-1)),
    "several": (
        lambda x, y: (
            ob.sum(ob.exp(x - ob.max(x, axis=-1, keepdims=True)) * y, axis=-1) - ob.mean(x, axis=-1)
        ),
        lambda x, y: (np.exp(x - x.max(-1, keepdims=True)) * y).sum(-1) - x.mean(-1),
    ),
    "chosen": (
        lambda x, y: -ob.take_along_axis(ob.log_softmax(x, axis=-1), y[..., :1] % 3, axis=-1),
        lambda x, y: (
            np.log(np.exp(x).sum(-1, keepdims=True)) - np.take_along_axis(x, y[..., :1] % 3, -1)
        ),
    ),
    "turned": (
        lambda x, y: ob.softmax(x.mT, axis=-2).mT + ob.logsumexp(x[..., ::-1], axis=-1)[..., None],
        lambda x, y: (
            np.exp(x) / np.exp(x).sum(-1, keepdims=True) + np.log(np.exp(x).sum(-1, keepdims=True))
        ),
    ),
}


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("kind", KINDS)
def test_short_rows(name, kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    for dtype in DTYPES:
        for shape in [(32, 3), (33, 10), (47, 31), (1000, 10), (2, 301, 5), (5011, 7), (65, 130)]:
            x = at_the_end(array(*shape, dtype=dtype))
            y = np.random.default_rng(1).integers(0, 100, shape)
            agree(*SHORT[name], x, y, sums=100 * shape[-1] if name == "several" else shape[-1])


def softmax_of(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


MANY_OPERANDS = {
    "masked": (
        lambda x, y, m, g: ob.softmax(ob.where(m, x, -np.inf), axis=-1),
        lambda x, y, m, g: softmax_of(np.where(m, x, -np.inf)),
    ),
    "masked by one mask": (
        lambda x, y, m, g: ob.softmax(ob.where(m[0], x, -1e9), axis=-1),
        lambda x, y, m, g: softmax_of(np.where(m[0], x, -1e9)),
    ),
    "scaled by rows and columns": (
        lambda x, y, m, g: ob.log_softmax(x * g[..., None] + x[0, 0], axis=-1),
        lambda x, y, m, g: np.log(softmax_of(x * g[..., None] + x[0, 0])),
    ),
    "whole numbers": (
        lambda x, y, m, g: ob.logsumexp(x * y, axis=-1),
        lambda x, y, m, g: np.log(np.exp(x * y).sum(-1)),
    ),
    "two results, one of truth": (
        lambda x, y, m, g: (ob.exp(x) > ob.mean(ob.exp(x), axis=-1, keepdims=True)) + ob.softmax(x),
        lambda x, y, m, g: (np.exp(x) > np.exp(x).mean(-1, keepdims=True)) + softmax_of(x),
    ),
    "backwards, turned": (
        lambda x, y, m, g: ob.softmax((x + x[:, ::-1])[..., ::-1], axis=-1),
        lambda x, y, m, g: softmax_of((x + x[:, ::-1])[..., ::-1]),
    ),
}


@pytest.mark.parametrize("name", MANY_OPERANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_turned(name, kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    f, reference = MANY_OPERANDS[name]
    rng = np.random.default_rng(2)
    for dtype in DTYPES:
        for shape in [(3, 33, 2), (2, 50, 3), (2, 129, 10), (3, 47, 36), (2, 40, 130)]:
            x = at_the_end(array(*shape, dtype=dtype))
            y, m = rng.integers(-3, 4, shape), at_the_end(rng.random(shape) < 0.7)
            m[..., -1] = True
            g = at_the_end(array(*shape[:2], dtype=dtype))
            agree(f, reference, x, y, m, g, sums=5 * shape[-1])


@pytest.mark.parametrize("width", [10, 200])
def test_a_mask_where_nothing_is_left_and_numbers_that_are_none(width):
    x, m = np.zeros((64, width), np.float32), np.ones((64, width), bool)
    x[1, 2], x[2, 3], m[3] = np.nan, np.inf, False
    found = np.asarray(ob.jit(lambda x, m: ob.softmax(ob.where(m, x, -np.inf), axis=-1))(x, m))
    with ob.config(jit="off"):
        wanted = np.asarray(ob.softmax(ob.where(m, ob.asarray(x), -np.inf), axis=-1))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    most = np.asarray(ob.jit(lambda x, m: ob.max(ob.where(m, x, -np.inf), axis=-1))(x, m))
    np.testing.assert_array_equal(most, np.where(m, x, -np.inf).max(-1))


def test_short_rows_over_their_operand():
    logits = ob.asarray(array(70, 10))
    wanted = softmax_of(logits.numpy())

    @ob.jit
    def step():
        logits[...] = ob.softmax(logits, axis=-1)

    step()
    np.testing.assert_allclose(logits.numpy(), wanted, rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_of_cross_entropy(dtype):
    x, labels = array(3001, 10, dtype=dtype), np.random.default_rng(0).integers(0, 10, 3001)
    agree(
        ob.grad(lambda x, y: ob.nn.functional.cross_entropy(x, y, reduction="sum")),
        lambda x, y: np.exp(x) / np.exp(x).sum(1, keepdims=True) - np.eye(10)[y],
        x,
        labels,
        sums=10,
    )


def test_short_rows_of_what_is_not_finite():
    x = np.zeros((300, 5))
    x[1, 2], x[2], x[3, 0], x[4, 4] = np.nan, -np.inf, np.inf, -np.inf
    found = np.asarray(ob.jit(lambda x: ob.logsumexp(x, axis=1))(x))
    np.testing.assert_allclose(found[:5], [np.log(5), np.nan, -np.inf, np.inf, np.log(4)])
    np.testing.assert_array_equal(ob.jit(lambda x: ob.max(x, axis=1))(x), x.max(1))


def test_short_rows_of_sizes_that_are_known_late(monkeypatch):
    monkeypatch.setenv("OVERBAR_CACHE", "")
    step = ob.jit(lambda x: (ob.softmax(x, axis=1), ob.max(x, axis=1)))
    compiled = []
    for n in (300, 600, 777, 257, 999, 40, 1, 5000):
        x = at_the_end(array(n, 7))
        before = native.counts["compiled"]
        found = step(x)
        compiled.append(native.counts["compiled"] - before)
        e = np.exp(x)
        for a, b in zip(found, (e / e.sum(1, keepdims=True), x.max(1)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    assert compiled[2:6] == [0] * 4, compiled
