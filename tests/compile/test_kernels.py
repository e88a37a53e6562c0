"""Kernels that do several things in one pass: what `fuse` puts together, and what they compute."""

import numpy as np
import pytest

import overbar as ob
from overbar.compile.passes import lowered
from overbar.trees import tree_flatten
from tests.compile.test_passes import traced


def array(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(dtype)


def kernels(f, *args):
    graph = lowered(traced(f, *args))
    return [n for n in graph.nodes if n.op.name in ("nest", "product")]


def agree(f, *args, tolerance=None):
    """Compiled with one thread and with two as interpreted; the threads change no bit."""
    tolerance = tolerance or (1e-11 if args[0].dtype == np.float64 else 1e-4)
    with ob.config(jit="interpret"):
        wanted = tree_flatten(ob.jit(f)(*args))[0]
    found = []
    for threads in (1, 2):
        with ob.config(threads=threads, jit="native"):
            found.append(tree_flatten(ob.jit(f)(*args))[0])
    for a, b, c in zip(*found, wanted, strict=True):
        a, b, c = (np.asarray(x) for x in (a, b, c))
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=tolerance, atol=tolerance * abs(c).max(initial=1))


# -- rows, and totals over all rows -----------------------------------------------------------


def layer_norm(x, scale, shift):
    middle = x - ob.mean(x, axis=-1, keepdims=True)
    return middle / ob.sqrt(ob.var(x, axis=-1, keepdims=True) + 1e-5) * scale + shift


def gradients(x, scale, shift, seed):
    return ob.grad(lambda *a: ob.sum(layer_norm(*a) * seed), argnums=(0, 1, 2))(x, scale, shift)


@pytest.mark.parametrize("shape", [(700, 130), (3, 400, 70), (66000, 1), (257, 257), (5, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.native
def test_gradients_of_a_layer_norm(shape, dtype):
    n = shape[-1]
    args = array(*shape), array(n), array(n, seed=1), array(*shape, seed=2)
    agree(gradients, *(a.astype(dtype) for a in args))


def test_a_gradient_of_a_layer_norm_reads_each_array_in_one_pass():
    """The gradient of the scale is added up while the rows are computed."""
    args = array(700, 130), array(130), array(130), array(700, 130)
    found = kernels(gradients, *args)
    assert len(found) == 2
    assert [len(n.spec) if isinstance(n.spec, tuple) else 1 for n in found] == [2, 1]


@pytest.mark.native
@pytest.mark.parametrize("n", [300, 400])
def test_a_total_over_rows_is_not_a_row(n):
    """A square array: totals and rows have the same shape."""

    def f(x):
        y = ob.softmax(x, axis=1)
        return ob.sum(y, axis=0), ob.sum(y, axis=1) + ob.sum(y, axis=0), y

    agree(f, array(n, n))


@pytest.mark.native
def test_totals_of_several_passes_and_of_what_came_in():
    def f(x, w):
        top = x - ob.max(x, axis=-1, keepdims=True)
        y = ob.exp(top * w) / ob.sum(ob.exp(top * w), axis=-1, keepdims=True)
        return y, ob.sum(y * x, axis=(0, 1)), ob.sum(top, axis=(0, 1)), ob.sum(x, axis=(0, 1))

    agree(f, array(20, 50, 90), array(90))


# -- arrays put together of parts -------------------------------------------------------------


def side_by_side(axis):
    return lambda a, b, c: ob.tanh(ob.concat([a, b * 2, c], axis=axis)) + 1


@pytest.mark.native
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_parts_side_by_side(axis, dtype):
    a = (10 * array(5, 6, 7)).astype(dtype)
    f = side_by_side(axis) if dtype is np.float32 else lambda *x: ob.concat(x, axis=axis) * 3
    agree(f, a, a[:, :, :], a + 1, tolerance=1e-5)


@pytest.mark.native
@pytest.mark.parametrize("step", [1, 2, -1])
def test_the_gradient_of_slices(step):
    def f(x):
        parts = x[:3, ::step] * 2, x[3:, 1:4], x[2:5, -2:]
        return sum(ob.sum(p * p) for p in parts)

    agree(ob.grad(f), array(6, 8))


@pytest.mark.native
def test_parts_shared_among_threads():
    a, b = array(300, 400), array(300, 55)
    agree(lambda a, b: ob.exp(ob.concat([a, b, a], axis=1)), a, b)
    agree(lambda a, b: ob.exp(ob.concat([a, b, a], axis=0)), a.T.copy(), b.T.copy())


@pytest.mark.native
def test_padding_and_empty_parts():
    a = array(4, 5)
    agree(lambda a: ob.pad(a, ((1, 2), (0, 3)), value=7.0) * 2, a)
    agree(lambda a: ob.concat([a[:, :0], a, a[:, 5:]], axis=1) + 1, a)
    agree(ob.grad(lambda a: ob.sum(ob.cumsum(ob.pad(a, ((2, 0), (0, 1))), axis=1) ** 2)), a)


@pytest.mark.native
def test_many_parts_are_decided_inside():
    a = array(3, 2)
    agree(lambda a: ob.concat([a * k for k in range(12)], axis=1) - 1, a)


@pytest.mark.native
@pytest.mark.parametrize("width", [100, 7])
def test_loops_are_shared_by_neighbours_where_there_are_many_parts(width):
    def f(x):
        parts = [x[k : k + width] * (k + 1) for k in range(0, x.shape[0], width)]
        return sum(ob.sum(p * p) for p in parts), ob.concat(parts[::-1])

    agree(f, array(53 * width))
    agree(ob.grad(lambda x: f(x)[0] + ob.sum(f(x)[1] ** 3)), array(53 * width))


# -- positions that are known -----------------------------------------------------------------


@pytest.mark.native
@pytest.mark.parametrize("at", [[2, 0, 0, 3], [-1, 2], [[0, 3], [1, 1]]])
def test_known_positions(at):
    at = np.array(at)
    agree(lambda x: ob.exp(x[at]) * 2, array(4, 5))
    agree(ob.grad(lambda x: (x[:, at] ** 2).sum()), array(3, 4))


def test_known_positions_are_not_checked():
    at = np.array([2, 0, 0, 3] * 100)
    known = ob.jit(lambda x: ob.exp(x[at]))
    given = ob.jit(lambda x, at: ob.exp(x[at]))
    x = array(4)
    np.testing.assert_array_equal(known(x), given(x, at))
    with pytest.raises(IndexError, match="is outside an axis of size 4"):
        given(x, at + 7)
    with pytest.raises(IndexError, match="index 9 is outside"):
        ob.jit(lambda x: ob.exp(x[np.array([9] * 300)]))(x)


@pytest.mark.native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_large_matrix_and_a_vector_are_a_product(dtype, threads):
    """From either side, as a row or a column, with what follows; smaller ones are sums."""
    r = np.random.default_rng(0)
    big, u, v = r.normal(size=(2049, 2051)), r.normal(size=2051), r.normal(size=2049)
    big, u, v = (x.astype(dtype) for x in (big, u, v))
    cases = [
        (lambda a, x, y: a @ x, big @ u),
        (lambda a, x, y: y @ a, v @ big),
        (lambda a, x, y: y[None] @ a, v[None] @ big),
        (lambda a, x, y: a @ x[:, None], big @ u[:, None]),
        (lambda a, x, y: ob.maximum(x @ a.T + 1, 0), np.maximum(u @ big.T + 1, 0)),
    ]
    with ob.config(threads=threads):
        for f, wanted in cases:
            step = ob.jit(f)
            tolerance = 2e-3 if dtype == "float32" else 1e-10
            np.testing.assert_allclose(step(big, u, v), wanted, rtol=0, atol=tolerance)
            assert " product " in str(step.lower())
            assert "NumPy" not in step.report()
            small = ob.jit(f)
            small(big[:9, :8], u[:8], v[:9])
            assert " product " not in str(small.lower())


# -- results in another shape -----------------------------------------------------------------

RESHAPED = {
    "flat": lambda x: ob.exp(x).reshape(-1),
    "axes of size 1": lambda x: (ob.sum(x, axis=0)[:, None], ob.exp(x)[None]),
    "repeated": lambda x: ob.repeat(x, 3, axis=1),
    "tiled": lambda x: ob.tile(x, (2, 1, 3)),
    "kron": lambda x: ob.kron(x[0], x[1]),
    "interleaved": lambda x: ob.stack([x, x], axis=-1).reshape(-1),
    "product": lambda x: (x @ x[0].mT).reshape(-1),
    "sorted": lambda x: ob.sort(x, axis=-1).reshape(x.shape[0], -1),
    "loop": lambda x: ob.scan(lambda c, r: (c + r, c * r), x[0], x)[1].reshape(-1),
    "of NumPy": lambda x: ob.linalg.qr(x[0].mT)[0].reshape(-1),
}


@pytest.mark.native
@pytest.mark.parametrize("name", RESHAPED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 3, 7), (1, 1, 1), (40, 33, 35), (2, 0, 3)])
def test_results_in_another_shape(name, dtype, shape):
    if 0 in shape and name in ("of NumPy", "kron"):
        pytest.skip("nothing to take apart")
    shape = (2, *shape[1:]) if name == "kron" else shape
    agree(RESHAPED[name], array(*shape, dtype=dtype))


@pytest.mark.native
def test_a_result_in_another_shape_is_no_copy():
    for f in (RESHAPED["flat"], RESHAPED["repeated"], RESHAPED["interleaved"]):
        assert len(kernels(f, array(5, 3, 7))) == 1
        g = ob.jit(f)
        g(array(5, 3, 7))
        assert g.memory().arena == 0


@pytest.mark.native
def test_one_array_in_two_shapes_is_two_results():
    """Each in memory of its own: what is done to one is not seen in the other."""

    def f(x):
        y = ob.exp(x)
        return y.reshape(-1), y, y.reshape(3, 5), y[1:], y.mT, x.reshape(-1)

    agree(f, array(5, 3))
    found = [y.numpy() for y in ob.jit(f)(array(5, 3))]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(found) for b in found[:i])


@pytest.mark.native
def test_a_parameter_may_become_what_was_reshaped():
    x = array(6, 1)
    w = ob.tensor(array(6), requires_grad=True)
    wanted = w.numpy().copy()

    @ob.jit
    def step(x):
        with ob.no_grad():
            y = ob.tanh(x @ ob.ones((1, 1)) + w[:, None])
            w[...] = y.reshape(-1)
        return y * 2

    for _ in range(4):
        y = step(x)
        wanted = np.tanh(x[:, 0] + wanted)
        np.testing.assert_allclose(w.numpy(), wanted, rtol=1e-12)
        np.testing.assert_allclose(y.numpy()[:, 0], 2 * wanted, rtol=1e-12)


@pytest.mark.native
def test_what_a_loop_carries_may_have_been_reshaped():
    def step(h, x):
        column = ob.tanh(ob.sin(h[:, None]) + x[:, None] * 2)
        return column.reshape(-1), (column, column.reshape(1, -1))

    agree(lambda xs: ob.scan(step, xs[0], xs), array(9, 33))
    agree(
        lambda xs: ob.while_loop(
            lambda h: h[0] < 5, lambda h: ob.exp(h[:, None] / 9)[:, 0] + h, abs(xs[0])
        ),
        array(9, 33),
    )
    agree(
        lambda xs: ob.cond(
            xs[0, 0] > 0,
            lambda xs: ob.exp(xs).reshape(-1),
            lambda xs: xs.reshape(-1),
            xs,
        ),
        abs(array(9, 33)),
    )


# -- threads ----------------------------------------------------------------------------------


@pytest.mark.native
@pytest.mark.parametrize(
    ("f", "size", "threads"),
    [
        (lambda x: x + 1, 60_000, 1),
        (lambda x: x + 1, 200_000, 2),
        (ob.exp, 10_000, 1),
        (ob.exp, 60_000, 2),
        (lambda x: abs(x) ** x, 1_000, 1),
        (lambda x: abs(x) ** x, 10_000, 2),
        (lambda x: ob.softmax(x.reshape(-1, 100), axis=1), 60_000, 2),
    ],
)
def test_what_is_costly_is_shared_by_threads_earlier(f, size, threads):
    x = array(size, dtype=np.float32)
    agree(f, x)
    with ob.config(threads=2):
        g = ob.jit(f)
        g(x)
        assert f"{threads} thread" in g.report()


# -- products whose operands are copied -------------------------------------------------------


@pytest.mark.native
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("form", "first", "second", "copied"),
    [
        ("ijk,lkj->il", "17 5 9", "33 9 5", 1),
        ("ijk,kjl->il", "40 7 6", "6 7 35", 1),
        ("jik,kjl->il", "7 40 6", "6 7 35", 1),
        ("bijk,blkj->bil", "3 17 5 9", "3 33 9 5", 1),
        ("aibjc,cjbia->", "2 3 5 2 4", "4 2 5 3 2", 0),
        ("xaybz,ybxc->azc", "3 5 4 6 7", "4 6 3 11", 1),
        ("xaybz,yqxb->aqz", "3 5 4 6 7", "4 11 3 6", 2),
        ("ajbk,cjdk->abcd", "13 6 5 7", "9 6 3 7", 2),
        ("ijk,lkj->il", "17 1 9", "33 9 1", 0),
    ],
)
def test_no_more_operands_are_copied_than_needed(form, first, second, copied, dtype):
    a, b = (array(*map(int, s.split()), dtype=dtype) for s in (first, second))
    f = lambda a, b: ob.einsum(form, a, b)
    agree(f, a, b)
    agree(ob.grad(lambda a, b: ob.sum(f(a, b) ** 2), argnums=(0, 1)), a, b)
    names = [n.op.name for n in lowered(traced(f, a, b), until="copies").nodes]
    assert names.count("copy") == copied
