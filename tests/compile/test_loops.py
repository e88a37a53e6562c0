"""Loops: what passes `join` and `hoist` move, by the graphs; and what loops compute, by NumPy."""

import numpy as np
import pytest

import overbar as ob
from overbar.capture import Captured, Trace
from overbar.compile import block
from overbar.compile.passes import lowered
from overbar.compile.split import nest
from overbar.handle import as_tensor
from overbar.replay import interpret
from overbar.trees import tree_flatten

T, B, D, H = 7, 3, 4, 5


def traced(f, *args):
    with Trace() as trace:
        inner = [trace.argument(as_tensor(a).spec) for a in args]
        leaves, structure = tree_flatten(f(*inner), objects=False)
        results = [trace.result(as_tensor(y)) for y in leaves]
    return Captured(trace, results, structure).graph


def array(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape) / 2


def scans(graph):
    return [n for n in graph.nodes if n.op.name == "scan"]


def products(graph):
    return sum(n.op.name in ("einsum", "matmul") for n in graph.nodes)


def recurrent(x, w, u, b):
    def cell(h, x):
        h = ob.tanh(x @ w.T + h @ u.T + b)
        return h, h

    return ob.scan(cell, np.zeros((B, H)), x)


def gated(x, w, u, b):
    def cell(hc, x):
        h, c = hc
        z = x @ w.T + h @ u.T + b
        i, f, g, o = (z[:, k * H : (k + 1) * H] for k in range(4))
        c = ob.sigmoid(f) * c + ob.sigmoid(i) * ob.tanh(g)
        h = ob.sigmoid(o) * ob.tanh(c)
        return (h, c), h

    return ob.scan(cell, (np.zeros((B, H)), np.zeros((B, H))), x)


def projected(x, w, u, b):
    """The results are products of what is carried; the rows are looked up and stretched."""

    def cell(h, x):
        h = ob.tanh((ob.exp(x) * 0.1) @ w.T + h @ u + b)
        return h, ob.softmax(h @ w + 1.0, axis=-1)

    return ob.scan(cell, np.zeros((B, H)), x, reverse=True)


def fixed(x, w, u, b):
    """Something is the same in every step."""

    def cell(h, x):
        m = ob.tanh(u @ u.T) * 0.2
        h = ob.sin(h @ m + x @ w.T) * ob.exp(-b * b)
        return h, (h @ m).sum()

    return ob.scan(cell, np.zeros((B, H)), x)


def mapped(x, w, u, b):
    return None, ob.map(lambda x: ob.tanh(x @ w.T + b) @ u, x)


def nested(x, w, u, b):
    def inner(h, k):
        h = ob.tanh(h @ u + k)
        return h, h.sum()

    def cell(h, x):
        h, s = ob.scan(inner, h + x @ w.T, np.arange(3.0))
        return h * 0.5, (s, h @ u)

    return ob.scan(cell, np.zeros((B, H)), x)


def adding(x, w, u, b):
    """Carries that are only added to, by products, sums, and something else."""

    def cell(carry, x):
        h, m, s, r = carry
        h = ob.tanh(x @ w.T + h @ u)
        return (h, m + h.T @ x + ob.outer(b, b[:D]), s + h.sum(0), r * 0.9 + h.T @ x), None

    start = (np.zeros((B, H)), np.ones((H, D)), np.zeros(H), np.zeros((H, D)))
    return ob.scan(cell, start, x)


def one(x, w, u, b):
    return recurrent(x[:1], w, u, b)


def ending(x, w, u, b):
    """Steps until a test fails that needs products itself; another loop does not begin."""

    def go_on(hk):
        h, k = hk
        return ((h @ u) ** 2).sum() + k < 20.0

    def step(hk):
        h, k = hk
        return h * 1.1 + ob.tanh(h @ u + x[0] @ w.T) * 0.3, k + 1.0

    h, k = ob.while_loop(go_on, step, (np.full((B, H), 0.1), 0.0))
    return h, k, ob.while_loop(lambda h: h.sum() > 1e9, lambda h: h @ u, h)


NETS = [recurrent, gated, projected, fixed, mapped, nested, adding, one, ending]


def arguments(net):
    wide = 4 * H if net is gated else H
    return array(T, B, D), array(wide, D), array(wide, H), array(wide)


def loss(net):
    def f(*args):
        return sum((ob.sin(y) * y).sum() for y in tree_flatten(net(*args))[0])

    return f


def first_order(net):
    return ob.value_and_grad(loss(net), argnums=(0, 1, 2, 3))


def second_order(net):
    def f(*args):
        grads = ob.grad(loss(net), argnums=(1, 2))(*args)
        return sum((g * ob.cos(g)).sum() for g in grads)

    return ob.grad(f, argnums=(1, 2))


def pushed(net):
    return lambda *args: ob.jvp(lambda w: loss(net)(args[0], w, *args[2:]), (args[1],), (args[1],))


def per_sample():
    def one(x, w, u, b):
        return ob.scan(lambda h, x: (ob.tanh(w @ x + u @ h + b), h), np.zeros(H), x)[1].sum()

    return ob.vmap(ob.grad(one, argnums=1), in_axes=(1, None, None, None))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("what", [loss, first_order, second_order, pushed])
def test_what_loops_compute_does_not_change(net, what):
    args = arguments(net)
    graph = traced(what(net), *args)
    wanted = interpret(graph, list(args))
    for until in ("join", "hoist", "contract"):
        found = interpret(lowered(graph, until=until), list(args))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.native
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("what", [loss, first_order, second_order, pushed])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_loops_equal_eager_ones(net, what, dtype):
    args = [a.astype(dtype) for a in arguments(net)]
    f = what(net)
    wanted, found = f(*map(ob.tensor, args)), ob.jit(f)(*map(ob.tensor, args))
    tolerance = {"float32": 2e-4, "float64": 1e-11}[dtype]
    for a, b in zip(tree_flatten(found)[0], tree_flatten(wanted)[0], strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)


@pytest.fixture
def all_together(monkeypatch):
    """Every loop, however small, is run by two threads together."""
    for name in ("assemble.QUIET", "control.QUIET", "control.TOGETHER"):
        monkeypatch.setattr(f"overbar.compile.{name}", 0)
    with ob.config(threads=2):
        yield


@pytest.mark.native
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("what", [loss, first_order, second_order])
def test_loops_of_all_threads_give_the_same_bits(net, what, all_together):
    args, f = arguments(net), what(net)
    found = ob.jit(f)(*map(ob.tensor, args))
    with ob.config(threads=1):
        wanted = ob.jit(f)(*map(ob.tensor, args))
    for a, b in zip(tree_flatten(found)[0], tree_flatten(wanted)[0], strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


@pytest.mark.native
@pytest.mark.parametrize("length", [1, 2, 50])
def test_a_step_shared_in_parts(length):
    """Products of several parts in every step, run again and again on one set of records."""
    x, w, u = array(length, 48, 96), array(160, 96), array(160, 160)

    def f(x, w, u):
        def cell(h, x):
            h = ob.tanh(x @ w.T + h @ u.T)
            return h, h

        return (ob.scan(cell, np.zeros((48, 160)), x)[1] ** 2).sum()

    g = ob.jit(ob.grad(f, argnums=(0, 1, 2)))
    with ob.config(threads=1):
        wanted = g(x, w, u)
    with ob.config(threads=2):
        for _ in range(5):
            assert all(np.array_equal(a, b) for a, b in zip(g(x, w, u), wanted, strict=True))
    made = [p.assembled.kernels.values() for p in g._asked().programs.values()]
    assert any(k.together for kernels in made for of_step in kernels for k in of_step)


@pytest.mark.native
def test_a_loop_that_a_test_ends_is_run_by_all_threads():
    """Another number of steps at every call: 0, 1, or many; arrays and numbers are carried."""
    x, u = array(48, 160), array(160, 160) / 4

    @ob.jit
    def f(x, u, most):
        step = lambda s: (s[0] + 1, ob.tanh(s[1] @ u + x), s[1].sum())
        return ob.while_loop(lambda s: s[0] < most, step, (0, x, 0.0))

    for most in (0, 1, 2, 57, 3, 200, 0):
        with ob.config(threads=1):
            wanted = [y.numpy() for y in f(x, u, ob.tensor(most))]
        assert wanted[0] == most
        for _ in range(3):
            with ob.config(threads=2):
                found = [y.numpy() for y in f(x, u, ob.tensor(most))]
            assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    made = [p.assembled.kernels.values() for p in f._asked().programs.values()]
    assert any(k.together for kernels in made for of_step in kernels for k in of_step)


@pytest.mark.native
def test_gates_are_shared_in_parts(monkeypatch):
    """What is done entry by entry between the products of a step; the same for any threads."""
    made = []
    monkeypatch.setattr(block, "nest", lambda *args: made.append(nest(*args)) or made[-1])
    x, w, u = array(4, 32, 64), array(512, 64), array(512, 128)

    def f(x, w, u):
        def cell(hc, x):
            h, c = hc
            i, f, g, o = ob.split(x @ w.T + h @ u.T, 4, axis=-1)
            c = ob.sigmoid(f) * c + ob.sigmoid(i) * ob.tanh(g)
            h = ob.sigmoid(o) * ob.tanh(c)
            return (h, c), h

        start = np.zeros((32, 128))
        return (ob.scan(cell, (start, start), x)[1] ** 2).sum()

    g = ob.jit(ob.grad(f, argnums=(0, 1, 2)))
    with ob.config(threads=1):
        wanted = g(x, w, u)
    with ob.config(threads=2):
        assert all(np.array_equal(a, b) for a, b in zip(g(x, w, u), wanted, strict=True))
    parts = [[k.parts for k in stages.kernels] for stages in made]
    first, second = parts[: len(parts) // 2], parts[len(parts) // 2 :]
    assert first == second
    assert sum(count > 1 for of_nest in first for count in of_nest) >= 2  # there, and in reverse


@pytest.mark.native
def test_a_loop_of_all_threads_says_where_an_index_was_wrong(all_together):
    table = array(5, 4)

    @ob.jit
    def f(i):
        return ob.scan(lambda c, i: (c + ob.tensor(table)[i].sum(), c), 0.0, i)[0]

    assert float(f(np.array([0, 4, 1]))) == pytest.approx(table[[0, 4, 1]].sum())
    with pytest.raises(ob.errors.IndexingError, match="7"):
        f(np.array([0, 7, 1]))
    assert float(f(np.array([2, 2, 2]))) == pytest.approx(3 * table[2].sum())


@pytest.mark.native
def test_gradients_of_each_sample():
    args = arguments(recurrent)
    f = per_sample()
    np.testing.assert_allclose(ob.jit(f)(*args), f(*args), rtol=1e-11, atol=1e-13)


def test_a_recurrent_step_keeps_one_product_in_each_loop():
    """The minimum: h Uᵀ forward, z̄ U backward; all else is computed for all steps at once."""
    graph = lowered(traced(first_order(recurrent), *arguments(recurrent)), until="hoist")
    ahead, back = scans(graph)
    assert [products(n.params["body"]) for n in (ahead, back)] == [1, 1]
    assert not ahead.params["reverse"]
    assert back.params["reverse"]
    assert back.params["carries"] == 1  # the adjoint of h: the weights' are sums of products
    assert products(graph) == 4  # X Wᵀ; Z̄ W, Z̄ᵀ X, Z̄ᵀ H
    assert "tanh" not in str(back.params["body"])


def test_loops_over_the_same_become_one():
    graph = traced(first_order(recurrent), *arguments(recurrent))
    assert len(scans(graph)) == 3
    assert len(scans(lowered(graph, until="join"))) == 2


def test_the_same_in_every_step_is_computed_once():
    graph = lowered(traced(loss(fixed), *arguments(fixed)), until="hoist")
    (loop,) = scans(graph)
    assert "tanh" not in str(loop.params["body"])
    assert sum(n.op.name == "tanh" for n in graph.nodes) == 1


def test_what_is_left_of_a_map_is_no_loop():
    graph = lowered(traced(mapped, *arguments(mapped)), until="hoist")
    body = [n.op.name for loop in scans(graph) for n in loop.params["body"].nodes]
    assert "einsum" not in body


def test_a_loop_without_steps_stays():
    x = np.zeros((0, B, D))
    args = x, *arguments(recurrent)[1:]
    found = interpret(lowered(traced(loss(recurrent), *args), until="contract"), list(args))
    assert found[0] == 0


def test_memory_is_bounded(monkeypatch):
    """Where too much would have to be kept, a step computes again what it needs."""
    for module in ("join", "hoist"):
        monkeypatch.setattr(f"overbar.compile.{module}.STACKED", 8)
    args = arguments(recurrent)
    graph = traced(first_order(recurrent), *args)
    after = lowered(graph, until="contract")
    assert [products(n.params["body"]) for n in scans(after)] == [2, 6]
    for a, b in zip(interpret(after, list(args)), interpret(graph, list(args)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
