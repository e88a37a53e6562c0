"""Between a Python call and native code: who owns what, what is noticed, what is never changed."""

import ctypes
import gc
import os
import signal
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import overbar as ob
from overbar import ownership
from overbar.compile import gate, objects
from overbar.compile.tracing import MISS
from overbar.errors import DomainError, GradientError, IndexingError, NonFiniteError

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.native

X = np.linspace(-1, 1, 12).reshape(4, 3)


@pytest.fixture(autouse=True)
def _native():
    with ob.config(jit="native"):
        yield


def param(*shape, name=None, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return ob.tensor(values, requires_grad=True, name=name)


def descent(*params, rate=0.1):
    """A step of gradient descent, and the same on copies, eagerly."""

    def body(params, x):
        loss = sum(ob.sum((x * p) * (x * p)) for p in params)
        loss.backward()
        ob.rebind(params, [(p - rate * p.grad).detach() for p in params])
        for p in params:
            p.grad = None
        return loss.detach()

    twins = [ob.tensor(p.numpy(), requires_grad=True) for p in params]
    return ob.jit(lambda x: body(list(params), x)), lambda x: body(twins, ob.tensor(x)), twins


def close(a, b):
    a, b = (t.detach().numpy() if isinstance(t, ob.Tensor) else np.asarray(t) for t in (a, b))
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    few = 1e-5 if a.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(a, b, rtol=few, atol=few)


def is_ready(step):
    """Whether the next call can take the quick way."""
    return bool(step._ready)


def program_of(step):
    (program,) = next(reversed(step._traces)).programs.values()
    return program


# -- in place -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 3000])
def test_parameters_are_updated_where_they_are(size):
    w, v = param(size), ob.tensor(np.zeros(size))
    old = w.numpy().copy()

    @ob.jit
    def step(x):
        v.rebind(v + x)
        w.rebind((w - 0.5 * v).detach())

    step(np.ones(size))
    where = [(objects.address_of(t.value), id(t._node)) for t in (w, v)]
    for k in range(2, 7):
        step(np.ones(size))
        close(w, old - 0.5 * k * (k + 1) / 2)
        assert [(objects.address_of(t.value), id(t._node)) for t in (w, v)] == where
    assert w.is_leaf
    assert w.requires_grad
    assert is_ready(step)


LOOKS = {
    "numpy()": lambda w: w.numpy(),
    "detach()": lambda w: w.detach(),
    "a view of it": lambda w: w.numpy()[1:],
    "a view of a view": lambda w: w.numpy()[1:][:1],
    "the transpose": lambda w: w.T,
    "what the engine holds": lambda w: w.value,
    "a buffer": lambda w: memoryview(w.value),
    "the leaf of a recorded graph": lambda w: w * 2.0,
    "the leaf": lambda w: w.node,
    "a copy of the handle": lambda w: ob.asarray(w.detach()),
    "an iterator over it": lambda w: np.nditer(w.value),
    "a state": lambda w: {"w": w.detach()},
    "a flat view": lambda w: w.value.reshape(-1),
    "an array that shares it": lambda w: np.asarray(w.value),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("times", [0, 1, 3])
def test_what_was_looked_at_never_changes(look, times):
    w = param(3, 4)
    step, eager, (twin,) = descent(w)
    x = np.ones((3, 4))
    for _ in range(times):
        close(step(x), eager(x))
    seen = look(w)
    before = _content(seen)
    for _ in range(3):
        close(step(x), eager(x))
    assert np.array_equal(_content(seen), before)
    close(w, twin)


def _content(seen):
    if isinstance(seen, dict):
        seen = seen["w"]
    if isinstance(seen, ob.Tensor):
        seen = seen.detach().numpy()
    if isinstance(seen, np.nditer):
        return np.array(seen.operands[0])
    if hasattr(seen, "op"):
        return np.array(seen.value)
    return np.array(seen)


def test_a_graph_that_holds_the_leaf_differentiates_at_the_old_value():
    w = param(3)
    step, _, _ = descent(w)
    step(np.ones(3))
    old = w.numpy().copy()
    y = ob.sum(w**3)
    step(np.ones(3))
    step(np.ones(3))
    y.backward()
    np.testing.assert_allclose(w.grad.numpy(), 3 * old**2, rtol=1e-12)


def test_state_dicts_are_of_their_time():
    model = ob.nn.Linear(3, 2, dtype=np.float64)
    opt = ob.optim.Adam(model.parameters(), lr=0.1)

    @ob.jit
    def step(x):
        opt.zero_grad()
        loss = ob.mean(model(x) ** 2)
        loss.backward()
        opt.step()
        opt.zero_grad()
        return loss.detach()

    step(X)
    saved, states = model.state_dict(), opt.state_dict()
    kept = {k: v.numpy().copy() for k, v in saved.items()}
    kept_states = {k: np.array(v.numpy()) for k, v in states["state"].items()}
    for _ in range(3):
        step(X)
    for k, v in saved.items():
        assert np.array_equal(v.numpy(), kept[k])
    for k, v in states["state"].items():
        assert np.array_equal(v.numpy(), kept_states[k])
    model.load_state_dict(saved)
    opt.load_state_dict(states)
    after = [step(X) for _ in range(2)]
    model.load_state_dict(saved)
    opt.load_state_dict(states)
    for a in after:
        assert float(a) == float(step(X))


def test_two_handles_on_one_array_part_ways():
    shared = np.ones(3)
    a, b = ob.handle.from_value(shared), ob.handle.from_value(shared)

    @ob.jit
    def step(x):
        a.rebind(a + x)
        b.rebind(b * 2.0)
        return ob.sum(a)

    del shared
    for _ in range(3):
        step(np.ones(3))
    assert (a.tolist(), b.tolist()) == ([4.0] * 3, [8.0] * 3)


def test_a_parameter_that_is_also_an_argument_is_read_before_it_is_written():
    w = ob.tensor(np.ones(3))

    @ob.jit
    def step(x):
        w.rebind(w * 2.0)
        return x + w

    for k in range(3):  # x is w: rebinding one rebinds the other, as in eager
        assert step(w).tolist() == [2.0 * 2 ** (k + 1)] * 3
    x = np.ones(3)
    assert step(x).tolist() == [17.0] * 3
    assert step(w.numpy()).tolist() == [48.0] * 3
    raw = (ctypes.c_double * 3).from_address(objects.address_of(w.value))
    over = np.frombuffer(raw)  # NumPy does not know whose memory that is
    assert np.shares_memory(over, w.value)
    assert step(over).tolist() == [96.0] * 3
    assert step(over).tolist() == [32.0 + 128.0] * 3  # w has moved


def test_arrays_that_cannot_be_written_are_left_alone():
    frozen = np.ones(3)
    frozen.flags.writeable = False
    w = ob.handle.from_value(frozen)
    step = ob.jit(lambda x: w.rebind(w + x))
    for _ in range(3):
        step(np.ones(3))
    assert w.tolist() == [4.0] * 3
    assert frozen.tolist() == [1.0] * 3


def test_a_transposed_parameter_becomes_an_ordered_one():
    w = ob.tensor(X.T)
    assert not w.value.flags.c_contiguous
    step = ob.jit(lambda x: w.rebind(w + x))
    for _ in range(3):
        step(np.ones((3, 4)))
    close(w, X.T + 3)


def test_a_transposed_constant_is_copied_once():
    w = ob.tensor(X.T)
    step = ob.jit(lambda x: x @ w)
    for k in range(4):
        close(step(X + k), (X + k) @ X.T)
    assert program_of(step).copies == 1
    assert is_ready(step)
    w.rebind(ob.tensor(2 * X.T))
    for k in range(3):
        close(step(X + k), (X + k) @ (2 * X.T))


def test_the_new_value_of_a_number_is_written_where_the_old_one_was():
    count, rate = ob.tensor(0), ob.tensor(0.5)

    @ob.jit
    def step():
        count.rebind(count + 1)
        rate.rebind(rate * 0.5)
        return count * 1

    for k in range(1, 6):
        assert int(step()) == k
    assert float(rate) == 0.5**6
    assert count.dtype == np.int64
    assert is_ready(step)


def test_what_is_rebound_without_being_read():
    last, shape = ob.tensor(np.zeros(3)), ob.tensor(np.zeros(2))

    @ob.jit
    def step(x):
        last.rebind(x * 2.0)
        shape.rebind(ob.concat([shape, x[:1]]) if shape.shape[0] < 4 else shape * 2.0)
        return ob.sum(x)

    kept = []
    for k in range(5):
        step(np.full(3, float(k)))
        kept.append(last.numpy())
        assert last.tolist() == [2.0 * k] * 3
    assert [a.tolist() for a in kept] == [[2.0 * k] * 3 for k in range(5)]
    assert shape.shape == (4,)


# -- arguments ------------------------------------------------------------------------------------


def test_an_argument_that_is_rebound_is_rebound_for_the_caller():
    def body(x, n):
        x += n
        return ob.sum(x)

    step = ob.jit(body)
    x = ob.tensor(np.ones(3))
    seen = x.numpy()
    assert [float(step(x, 1.0)) for _ in range(3)] == [6.0, 9.0, 12.0]
    assert x.tolist() == [4.0] * 3
    assert seen.tolist() == [1.0] * 3
    y, z = ob.tensor(np.zeros(3)), ob.sin(0.0)
    step(y, 2.0)
    assert (y.tolist(), x.tolist()) == ([2.0] * 3, [4.0] * 3)
    assert float(step(z, 2.0)) == float(z) == 2.0
    assert len(step._traces) == 2


def test_gradients_of_arguments_are_left_with_the_caller():
    step = ob.jit(lambda p, x: ob.sum((p * x) ** 2).backward())
    for seed in (1, 2, 1):
        p = param(3, seed=seed)
        twin = ob.tensor(p.numpy(), requires_grad=True)
        for _ in range(2):
            step(p, np.arange(3.0))
            ob.sum((twin * np.arange(3.0)) ** 2).backward()
            close(p.grad, twin.grad)
    assert len(step._traces) == 2  # with a .grad, and without


def test_one_tensor_twice_is_not_two_tensors():
    def body(a, b):
        a += 1.0
        return a + b

    step = ob.jit(body)
    x, y = ob.tensor(1.0), ob.tensor(1.0)
    assert float(step(x, y)) == 3.0
    assert float(step(x, x)) == 6.0
    assert float(step(x, y)) == 5.0


class Odd(np.ndarray):
    """An array of another class."""


UNTIDY = {
    "transposed": X.T.copy().T,
    "every other": np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": X[::-1].copy()[::-1],
    "broadcast": np.broadcast_to(X[:1], (4, 3)),
    "of the other order of bytes": X.astype(X.dtype.newbyteorder()),
    "not aligned": np.frombuffer(b"\0" + X.tobytes(), np.float64, 12, 1).reshape(4, 3),
    "read-only": np.frombuffer(X.tobytes()).reshape(4, 3),
    "of another class": X.copy().view(Odd),
    "with a dtype of its own": X.copy().view(np.dtype(np.float64, metadata={"a": 1})),
}


@pytest.mark.parametrize("x", UNTIDY.values(), ids=UNTIDY)
def test_arrays_may_come_as_they_like(x):
    step = ob.jit(lambda x: ob.sum(x * 2.0, axis=0) + x[1])
    wanted = np.asarray(x).sum(0) * 2 + np.asarray(x)[1]
    for _ in range(3):
        close(step(X), 2 * X.sum(0) + X[1])
        close(step(x), wanted.astype(np.float64))
    w = ob.handle.from_value(np.asarray(x).astype(np.asarray(x).dtype.newbyteorder("=")))
    step = ob.jit(lambda: ob.sum(w * 2.0, axis=0))
    for _ in range(3):
        close(step(), 2 * np.asarray(x, np.float64).sum(0))


def test_numbers_come_in_every_form():
    step = ob.jit(lambda x, s: x * s)
    for s in (
        2.0,
        3.0,
        np.float64(2.0),
        np.float32(3.0),
        np.array(4.0),
        ob.tensor(5.0),
        ob.exp(0.0),
    ):
        close(step(X, s), (ob.tensor(X) * s).numpy())
        close(step(X, s), (ob.tensor(X) * s).numpy())
    f32 = X.astype(np.float32)
    assert step(f32, 2.0).dtype == step(f32, 3.0).dtype == np.float32
    assert step(f32, np.float64(2.0)).dtype == np.float64
    assert step(X, True).dtype == np.float64
    z = step(X, 1j)
    np.testing.assert_allclose(z.numpy(), X * 1j)


def test_containers_and_keywords_take_the_quick_way_too():
    step = ob.jit(lambda batch, *, k, name: batch["x"][0] * k + batch["y"])
    for k in range(4):
        batch = {"y": np.ones(3), "x": [X + k, None]}
        close(step(batch, name="a", k=float(k)), (X + k) * k + 1)
    assert len(step._traces) == 1
    assert is_ready(step)


def test_a_method_may_be_jitted():
    class Scale:
        def __init__(self, by):
            self.by = by

        @ob.jit
        def step(self, x):
            return x * self.by

    two, three = Scale(2.0), Scale(3.0)
    for _ in range(2):
        close(two.step(X), X * 2)
        close(three.step(X), X * 3)
    two.by = 5.0
    close(two.step(X), X * 5)
    gone = weakref.ref(three)
    del three
    gc.collect()
    assert gone() is None


# -- errors ---------------------------------------------------------------------------------------


def test_an_index_outside_is_an_error_and_nothing_was_rebound():
    table, count = param(5, 2, name="table"), ob.tensor(0)

    @ob.jit
    def step(i):
        count.rebind(count + 1)
        loss = ob.sum(table[i] ** 2)
        loss.backward()
        table.rebind((table - 0.1 * table.grad).detach())
        table.grad = None
        return loss.detach()

    good = np.array([0, 4, -5])
    step(good)
    for _ in range(3):
        before = table.numpy().copy(), int(count)
        for bad, value in ((np.array([0, 7, 1]), "7"), (np.array([-6, 0, 0]), "-6")):
            with pytest.raises(IndexingError, match=value):
                step(bad)
        assert np.array_equal(table.numpy(), before[0])
        assert int(count) == before[1]
        assert table.grad is None
        step(good)
        assert int(count) == before[1] + 1


def test_positions_that_were_looked_at_are_no_reason_to_wait():
    """All of an embedding's network is trained in place, though its own gradient comes last."""
    table, w, b = param(5, 4, name="table"), param(4, 4, name="w"), param(4, name="b")
    parameters = [table, w, b]
    optimizer = ob.optim.Adam(parameters, lr=0.1)

    @ob.jit
    def step(i):
        L = ob.mean((ob.tanh(table[i] @ w + b)[::2] + table[i][::2]) ** 2)
        L.backward()
        optimizer.step()
        optimizer.zero_grad()
        return L

    good = np.array([0, 4, -5, 1])
    step(good)
    step(good)
    places = [p.numpy().__array_interface__["data"] for p in parameters]
    before = [p.numpy().copy() for p in parameters]
    with pytest.raises(IndexingError, match="7"):
        step(np.array([0, 1, 1, 7]))
    assert all(np.array_equal(p.numpy(), x) for p, x in zip(parameters, before, strict=True))
    step(good)
    assert [p.numpy().__array_interface__["data"] for p in parameters] == places


def test_an_exception_in_a_callback_leaves_everything_as_it_was():
    w = ob.tensor(np.ones(3))
    fail = []

    def check(x):
        if fail:
            raise KeyError("mine")
        return x * 2.0

    @ob.jit
    def step(x):
        w.rebind(w + x)
        return ob.callback(check, np.empty(3), w)

    step(np.ones(3))
    fail.append(1)
    for _ in range(2):
        with pytest.raises(DomainError, match="check raised KeyError: 'mine'"):
            step(np.ones(3))
        assert w.tolist() == [2.0] * 3
    fail.clear()
    assert step(np.ones(3)).tolist() == [6.0] * 3


def test_a_function_may_be_called_while_it_runs():
    depth = []

    def again(x):
        if len(depth) < 3:
            depth.append(1)
            return step(np.asarray(x) + 1.0).numpy()
        return np.asarray(x)

    @ob.jit
    def step(x):
        y = ob.tanh(x) * 0.0 + x
        return ob.callback(again, np.empty(3), y) + y

    found = step(np.zeros(3))
    assert found.tolist() == [0.0 + 1.0 + 2.0 + 3.0 + 3.0] * 3


# -- the same, whoever asks -----------------------------------------------------------------------


class Mean(ob.nn.Module):
    """Takes off a running mean, its buffer."""

    def __init__(self, n):
        self.mean = ob.nn.Buffer(np.zeros(n))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * ob.mean(x, axis=0)
        return x - self.mean


class Network:
    """Two layers, dropout, a running mean: parameters, buffers, a generator."""

    def __init__(self, seed=3):
        rng = ob.random.default_rng(seed)
        self.rng = ob.random.default_rng(seed + 1)
        f = np.float64
        self.model = ob.nn.Sequential(
            ob.nn.Linear(3, 8, rng=rng, dtype=f), Mean(8), ob.nn.Tanh(),
            ob.nn.Dropout(0.3, rng=self.rng), ob.nn.Linear(8, 1, rng=rng, dtype=f),
        )  # fmt: skip
        self.opt = ob.optim.Adam(self.model.parameters(), lr=0.05)

    def step(self, x):
        loss = ob.mean((self.model(x) - 1.0) ** 2)
        loss.backward()
        self.opt.step()
        self.opt.zero_grad()
        return loss.detach()

    def state(self):
        handles = [*self.model.state_dict().values(), *self.opt.state_dict()["state"].values()]
        return [np.array(t.numpy()) for t in (*handles, self.rng.state)]


def test_a_network_is_trained_as_eagerly():
    eager, compiled = Network(), Network()
    step = ob.jit(compiled.step)
    for k in range(6):
        if k == 4:
            eager.opt.lr = compiled.opt.lr = 0.01
        close(step(X + k), eager.step(ob.tensor(X + k)))
    for a, b in zip(compiled.state(), eager.state(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert np.array_equal(compiled.rng.state.numpy(), eager.rng.state.numpy())
    assert len(step._traces) == 1


def test_many_steps_in_one_go_are_many_steps():
    one, two = Network(), Network()
    step, other = ob.jit(one.step), ob.jit(two.step)
    for _ in range(25):
        loss = step(X)
    assert float(other.run(25, X)) == float(loss)
    for a, b in zip(one.state(), two.state(), strict=True):
        assert np.array_equal(a, b)
    with pytest.raises(DomainError):
        step.run(0, X)


def test_a_loop_in_native_code_counts_every_step():
    count, w = ob.tensor(0), param(3)
    rng = ob.random.default_rng(5)

    @ob.jit
    def step(x):
        count.rebind(count + 1)
        w.rebind((w * 0.5 + x + rng.uniform((3,))).detach())
        return ob.sum(x) + count

    one = float(step.run(1, np.ones(3)))
    assert int(count) == 1
    assert step._ready[0].loops
    entered = []
    step._ready[0].gate.repeat = _spied(step._ready[0].gate.repeat, entered)
    many = float(step.run(40, np.ones(3)))
    assert (int(count), int(rng.state.numpy()[1])) == (41, 41)
    assert max(entered) > 1
    assert (one, many) in ((3.0, 43.0), (4.0, 44.0))
    step(np.ones(3))
    assert int(count) == 42
    held = w.numpy()
    before = held.copy()
    step.run(3, np.ones(3))
    assert np.array_equal(held, before)


def _spied(f, calls):
    def spy(n):
        calls.append(n)
        f(n)

    return spy


def test_asking_changes_nothing():
    net = Network()
    step = ob.jit(net.step)
    step(X)
    before = net.state()
    report = ob.verify(step, X)
    ob.verify(net.step, X)
    step.report(), step.cost(), step.memory(), step.lower(), step.why_compiled()
    for a, b in zip(net.state(), before, strict=True):
        assert np.array_equal(a, b)
    assert report.ulps < 1e6
    assert report.rows[0].name == "result"
    assert any(r.name == "new 0.weight" for r in report.rows)
    assert str(report).splitlines()[1].split() == [
        "output", "what", "ulps", "differ", "at", "compiled", "interpreted"
    ]  # fmt: skip


def test_results_do_not_depend_on_the_number_of_threads():
    r = np.random.default_rng(0)
    x, w = r.standard_normal((300, 200)), r.standard_normal((200, 150))
    f = lambda x, w: ob.sum(ob.tanh(x @ w) ** 2, axis=0)
    found = []
    for threads in (1, 2, 3):
        with ob.config(threads=threads):
            step = ob.jit(ob.grad(lambda x, w: ob.sum(f(x, w)), argnums=(0, 1)))
            found.append([g.numpy().tobytes() for g in map(ob.asarray, step(x, w))])
            found.append([g.numpy().tobytes() for g in map(ob.asarray, step(x, w))])
    assert all(f == found[0] for f in found)


def test_settings_choose_the_program():
    step = ob.jit(lambda x: ob.sum(x * 2.0))
    for kind in ("native", "interpret", "off", "native"):
        with ob.config(jit=kind):
            for _ in range(2):
                assert float(step(X + 1)) == pytest.approx(24.0)
    w = param(3)
    f = ob.jit(lambda x: x * w)
    for _ in range(3):
        assert f(X).requires_grad
        with ob.no_grad():
            assert not f(X).requires_grad
    slope = ob.jit(ob.grad(ob.relu))
    for _ in range(2):
        assert float(slope(0.0)) == 0.0
        with ob.config(kinks="right"):
            assert float(slope(0.0)) == 1.0


# -- nested ---------------------------------------------------------------------------------------


def test_transforms_of_jit_and_jit_of_transforms():
    r = np.random.default_rng(1)
    w, u = r.standard_normal((3, 2)), r.standard_normal((3, 2))
    f = lambda w: ob.sum(ob.tanh(X @ w) ** 2)
    for way in (
        lambda f: ob.jit(ob.grad(f)), lambda f: ob.grad(ob.jit(f)),
        lambda f: ob.jit(ob.grad(ob.jit(f))), lambda f: ob.jit(ob.jit(ob.grad(f))),
        lambda f: ob.jit(lambda w: ob.vjp(f, w)[1](1.0)[0]),
        lambda f: ob.jit(ob.checkpoint(ob.grad(f))), lambda f: ob.jit(ob.grad(ob.checkpoint(f))),
    ):  # fmt: skip
        g = way(f)
        for _ in range(2):
            close(_plain(g(w)), ob.grad(f)(w))
    close(_plain(ob.jit(ob.hessian(f))(w)), ob.hessian(f)(w))
    close(_plain(ob.hessian(ob.jit(f))(w)), ob.hessian(f)(w))
    close(_plain(ob.jit(lambda w: ob.jvp(f, (w,), (u,))[1])(w)), ob.jvp(f, (w,), (u,))[1])
    close(_plain(ob.jvp(ob.jit(f), (w,), (u,))[1]), ob.jvp(f, (w,), (u,))[1])
    rows = r.standard_normal((5, 3, 2))
    for way in (lambda f: ob.jit(ob.vmap(f)), lambda f: ob.vmap(ob.jit(f))):
        close(_plain(way(f)(rows)), np.array([f(ob.tensor(v)).numpy() for v in rows]))
        close(_plain(way(ob.grad(f))(rows)), np.stack([ob.grad(f)(v) for v in rows]))


def _plain(t):
    return t.detach().numpy() if isinstance(t, ob.Tensor) else np.asarray(t)


def test_lanes_draw_numbers_of_their_own():
    f = lambda x: x + ob.random.normal((3,))
    found = []
    for kind in ("off", "interpret", "native"):
        with ob.config(jit=kind):
            ob.random.seed(1)
            step, x = ob.jit(f), np.zeros((4, 3))
            draws = [ob.vmap(step)(x), step(x[0]), ob.vmap(step)(x), step(x[0]), step(x[0])]
            found.append([_plain(d) for d in draws])
    for a, b, c in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-14)
        np.testing.assert_allclose(c, a, rtol=1e-14)


def test_a_jitted_loss_is_followed_by_an_eager_backward():
    w, v = param(3), param(3)
    loss = ob.jit(lambda x: ob.sum((x * w) ** 2))
    for k in range(4):
        loss(X + k).backward()
        ob.sum((ob.tensor(X + k) * v) ** 2).backward()
        close(w.grad, v.grad)


def test_a_gradient_that_would_be_lost_outside_is_refused():
    w = param(3)
    y = w * 2.0
    step = ob.jit(lambda y: ob.sum(y * y).backward())
    for f in (step, ob.jit(lambda: ob.sum(y * y).backward())):
        with pytest.raises(GradientError, match="computed outside"):
            f(y) if f is step else f()
    step(w)
    np.testing.assert_allclose(w.grad.numpy(), 2 * w.numpy())
    ob.jit(lambda y: ob.sum(y.detach() * w).backward())(y)
    np.testing.assert_allclose(w.grad.numpy(), 4 * w.numpy())


def test_results_have_the_history_of_eager():
    w, b = param(3), ob.tensor(1.0)

    def body(x):
        y = x * w
        return y, y.detach(), ob.zeros(2), ob.argmax(y), x * b, w

    step = ob.jit(body)
    for _ in range(2):
        eager = [t.requires_grad for t in body(ob.tensor(X))]
        assert (
            [t.requires_grad for t in step(X)] == eager == [True, False, False, False, False, True]
        )


def test_several_losses_and_schedules():
    def make():
        w, b = param(3, 2, seed=1), param(2, seed=2)
        opt = ob.optim.SGD([w, b], lr=0.1, momentum=0.9)
        schedule = ob.optim.lr_scheduler.StepLR(opt, step_size=2, gamma=0.5)

        def body(x, weight):
            y = x @ w + b
            first, second = ob.mean(y**2), ob.mean(ob.abs(y))
            ob.backward([first, weight * second])
            opt.step()
            opt.zero_grad()
            return first.detach(), {"second": second.detach()}

        return body, schedule, (w, b)

    eager, plan, ps = make()
    body, schedule, qs = make()
    step = ob.jit(body)
    for k in range(7):
        a, b = eager(ob.tensor(X + k), 0.5 * k), step(X + k, 0.5 * k)
        close(b[0], a[0])
        close(b[1]["second"], a[1]["second"])
        plan.step()
        schedule.step()
    for p, q in zip(ps, qs, strict=True):
        close(q, p)
    assert len(step._traces) == 1


def test_rules_of_ones_own():
    @ob.custom_vjp
    def clipped(x):
        return x * x

    clipped.defvjp(lambda x: (x * x, x), lambda x, y_bar: (ob.minimum(y_bar, 1.0) * x,))

    class Cube(ob.Function):
        def forward(self, x):
            self.x = x
            return x**3

        def backward(self, y_bar):
            return y_bar * 3.0 * self.x**2

    f = lambda x: ob.sum(clipped(x) + Cube()(x))
    g = ob.jit(ob.grad(f))
    for _ in range(2):
        close(_plain(g(X)), ob.grad(f)(X))


# -- the door -------------------------------------------------------------------------------------


class Watched:
    """What a function looks at, each of it by a row of its own."""

    def __init__(self):
        self.w, self.v = ob.tensor(np.ones(3)), ob.tensor(np.ones(5))
        self.p = param(3)
        self.q = ob.tensor(X.T)  # in the order of X: it is copied
        self.data, self.mask = np.ones(3), np.array([True] * 8)
        self.steps = [2.0, 3.0]

    def body(self, x, t, r, n, c):
        self.v.rebind(self.v * 0.5 + r)  # written where it is
        self.w.rebind(ob.asarray(x) * 1.0)  # a new array each time
        self.p.grad = None
        y = self.w * r + t + self.data * n + ob.sum(self.q) + sum(self.steps)
        return ob.sum(y * self.p.detach()) + ob.sum(ob.ones(8)[self.mask]) * SCALE * c


SCALE, HELD = 2.0, []
FROZEN = np.frombuffer(np.ones(5).tobytes())


def _globals(**changes):
    return lambda s: sys.modules[__name__].__dict__.update(changes)


DOORS = {
    "nothing": (lambda s: None, None),
    "another value": (lambda s: s.v.rebind(ob.tensor(np.zeros(5))), None),
    "a global": (_globals(SCALE=3.0), "key"),
    "a closed-over list": (lambda s: s.steps.append(1.0), "items"),
    "an attribute": (lambda s: setattr(s, "data", np.zeros(3)), "key"),
    "another attribute": (lambda s: setattr(s, "more", 1), "word"),
    "the content of a mask": (lambda s: s.mask.__setitem__(1, False), "bytes"),
    "the content of an array": (lambda s: s.data.__setitem__(1, 5.0), "bytes"),
    "the shape of an array": (lambda s: setattr(s, "data", np.ones((2, 3))), "key"),
    "an array on its side": (lambda s: s.q.rebind(ob.tensor(-X.T)), "kept"),
    "who asks for gradients": (lambda s: s.p.requires_grad_(False), "read"),
    "a computed value": (lambda s: s.v.rebind(ob.sum(s.p) * s.v), "owned"),
    "a frozen value": (lambda s: s.v.rebind(ob.handle.from_value(FROZEN)), "owned"),
    "another shape": (lambda s: s.v.rebind(ob.tensor(np.ones((1, 5)))), "owned"),
    "a view of it": (lambda s: HELD.append(s.v.numpy()), "owned"),
    "a view of what is replaced": (lambda s: HELD.append(s.w.numpy()), None),
    "a gradient": (lambda s: setattr(s.p, "grad", np.ones(3)), "grad"),
}
CALLS = {
    "the same": {},
    "another array": {"x": np.arange(3.0)},
    "an array on its side": {"x": np.arange(6.0)[::2]},
    "another shape": {"x": np.ones((2, 3))},
    "another dtype": {"x": np.ones(3, np.float32)},
    "a tensor for an array": {"x": ob.tensor(np.ones(3))},
    "another tensor": {"t": ob.tensor(np.arange(3.0))},
    "a tensor that asks": {"t": ob.tensor(np.arange(3.0), requires_grad=True)},
    "an array for a tensor": {"t": np.arange(3.0)},
    "another number": {"r": 7.5},
    "a number of NumPy's": {"r": np.float64(7.5)},
    "another whole number": {"n": 5},
    "a truth": {"n": True},
    "a constant": {"c": 2},
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_door_opens_for_nothing_else(door, call, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 2.0)
    one, two = Watched(), Watched()
    step = ob.jit(one.body)
    given = {"x": np.ones(3), "t": ob.tensor(np.zeros(3)), "r": 1.5, "n": 3, "c": 1}
    for _ in range(3):
        close(step(*given.values()), two.body(*given.values()))
    assert is_ready(step)
    entered = step._ready[0]
    change, row = door
    for s in (one, two):
        change(s)
    given |= call
    for k in range(3):
        if k == 0 and not call:
            (result,) = [entered.whole(tuple(given.values()))]
            assert (result is MISS) == (row is not None)
            if row is not None:
                assert entered.gate.refused == row
            else:
                two.body(*given.values())
        found, wanted = step(*given.values()), two.body(*given.values())
        close(found, wanted)
        close(one.w, two.w)
        close(one.v, two.v)
    assert (one.p.grad, two.p.grad) == (None, None)


def test_traces_that_are_not_used_any_more_are_forgotten():
    step = ob.jit(lambda x, n: x * n)
    for n in range(150):
        close(step(X, n), X * n)
    assert len(step._traces) == 64
    for n in (149, 0, 149):
        close(step(X, n), X * n)


# -- what the surroundings are --------------------------------------------------------------------


def test_closed_over_arrays_are_read_at_each_call():
    data, mask = X.copy(), np.array([True, False, True, True])
    few = np.array([0, 2])
    f = ob.jit(lambda x: ob.sum(x * data) + ob.sum(x[mask]) + ob.sum(x[few]))

    def wanted(x):
        return np.sum(x * data) + np.sum(x[mask]) + np.sum(x[few])

    for _ in range(2):
        close(f(X), wanted(X))
    data[0] = 7.0
    close(f(X), wanted(X))
    mask[1] = True
    close(f(X), wanted(X))
    few[1] = 3
    close(f(X), wanted(X))
    data = data * 2
    close(f(X), wanted(X))


def test_a_log_that_the_function_writes_is_no_reason_to_trace_again():
    runs, kept = [], {}

    def body(x):
        runs.append(1)
        kept[len(runs)] = "a word"
        return x * 2.0

    step = ob.jit(body)
    for _ in range(4):
        step(X)
    assert len(runs) == 1


def test_train_and_eval_are_two_traces_and_no_more():
    net = ob.nn.Sequential(ob.nn.Linear(3, 3), ob.nn.Dropout(0.5))
    step = ob.jit(net)
    for _ in range(3):
        net.train()
        assert (step(X).numpy() == 0).any()
        net.eval()
        close(step(X), net(X))
    assert len(step._traces) == 2
    assert "training: True -> False" in step.why_compiled()


def test_why_it_was_traced_again_names_the_argument():
    step = ob.jit(lambda batch, n, *more, flag="a": ob.sum(batch["x"][0]) * n)
    step({"x": [X]}, 2)
    step({"x": [X[:2]]}, 2)
    step({"x": [X[:2].astype(np.float32)]}, 2)
    step({"x": [X]}, 3)
    step({"x": [X]}, 3, flag="b")
    step({"x": [X]}, 3, 1.0, flag="b")
    lines = step.why_compiled().splitlines()
    assert lines[0] == "1. the first call"
    assert "batch['x'][0] changed: float64[4, 3] -> float64[2, 3]" in lines[1]
    assert "float64[2, 3] -> float32[2, 3]" in lines[2]
    assert "n changed: 2 -> 3" in lines[3]
    assert "dynamic=" in lines[3]
    assert "structure" in lines[4]
    assert "structure" in lines[5]


# -- not finite -----------------------------------------------------------------------------------


def test_the_guard_names_the_line_of_eager_and_changes_nothing():
    w = param(3, name="w")

    def body(x):
        y = ob.log(x * w)
        loss = ob.sum(y**2)
        loss.backward()
        w.rebind((w - 0.1 * w.grad).detach())
        w.grad = None
        return loss.detach()

    step = ob.jit(body)
    before = w.numpy().copy()
    told = []
    for f in (body, step):
        with pytest.raises(NonFiniteError) as caught, ob.nan_guard():
            f(ob.tensor(np.array([1.0, -1.0, 0.0]) / before))
        told.append(str(caught.value))
        assert np.array_equal(w.numpy(), before)
        w.grad = None
    assert told[0] == told[1]
    assert "y = ob.log(x * w)" in told[0]
    graph = step.replay()
    assert any(n.op.name == "log" for n in graph.nodes)
    assert ob.why_nan(graph).birth.op == ob.why_nan(step).birth.op == "log"
    bad = np.array([1.0, -1.0, 0.0]) / before
    assert ob.why_nan(step, bad).birth.line == ob.why_nan(body, bad).birth.line
    good = np.array([2.0, 2.0, 2.0]) / before
    with ob.nan_guard():
        step(good)
    assert not np.array_equal(w.numpy(), before)
    assert all(n.value is not None for n in step.replay().inputs)


def test_the_guard_names_the_line_of_a_jitted_loss_as_well():
    w = ob.tensor(np.array([1.0, 0.0]), requires_grad=True)

    def loss(x):
        roots = ob.sqrt(w * x)
        return ob.sum(roots)

    told = []
    for f in (loss, ob.jit(loss)):
        with pytest.raises(NonFiniteError) as caught, ob.nan_guard():
            f(ob.tensor(np.array([1.0, 2.0]))).backward()
        told.append(str(caught.value))
        w.grad = None
    assert told[0] == told[1]
    assert "roots = ob.sqrt(w * x)" in told[0]


QUESTIONS = {
    "explain": lambda f, x: [(r.name, r.formula, r.where) for r in ob.explain(f, x).rows],
    "why_nan": lambda f, x: str(ob.why_nan(f, x - 1.0)),
    "kinks": lambda f, x: str(ob.kinks(f, x)),
    "cost": lambda f, x: str(ob.cost(f, x)),
    "memory": lambda f, x: str(ob.memory(f, x)),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_questions_about_a_jitted_function_are_answered_as_about_the_function(ask):
    w = param(3, name="w")

    def body(x):
        z = x * w
        y = ob.log(ob.relu(z) + x)
        return ob.sum(y)

    step = ob.jit(body)
    x = np.array([1.0, 2.0, 3.0])
    step(x)
    before, asked = w.numpy().copy(), ask(step, x)
    assert asked == ask(body, x)
    assert np.array_equal(w.numpy(), before)
    close(step(x), body(ob.tensor(x)))


def test_without_a_guard_there_is_nothing_to_replay():
    step = ob.jit(lambda x: x * 2.0)
    step(X)
    with pytest.raises(DomainError, match="nan_guard"):
        step.replay()


# -- threads, forks, signals ----------------------------------------------------------------------


def test_two_python_threads_may_call_one_step():
    w = ob.tensor(np.zeros(1000))
    step = ob.jit(lambda x: w.rebind(w + x) or ob.sum(w * 0.0 + x))
    step(np.ones(1000))
    wrong = []

    def work(k):
        x = np.full(1000, float(k))
        for _ in range(300):
            with ob.config(jit="native"):
                found = float(step(x))
            if found != 1000.0 * k:
                wrong.append((k, found))

    threads = [threading.Thread(target=work, args=(k,)) for k in (1, 2, 3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    values = np.unique(w.numpy())
    assert len(values) == 1  # torn updates would leave several


def test_a_long_step_lets_other_threads_run_and_shows_them_whole_values():
    n = 700
    w, m = ob.tensor(np.zeros(n)), np.random.default_rng(0).standard_normal((n, n))
    step = ob.jit(lambda a: w.rebind(w + 1.0) or ob.sum(ob.tanh(a @ a)))
    step(m)
    seen, torn, stop = [], [], threading.Event()

    def watch():
        while not stop.is_set():
            values = w.numpy()
            first = values.copy()
            if len(set(first.tolist())) > 1 or not np.array_equal(values, first):
                torn.append(first)
            seen.append(first[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(40):
            step(m)
    finally:
        stop.set()
        watcher.join()
    assert not torn
    assert len(set(seen)) > 3
    assert w.numpy()[0] == 41.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_of_a_fork_goes_on():
    r = np.random.default_rng(0)
    x, w = r.standard_normal((300, 300)), r.standard_normal((300, 300))
    with ob.config(threads=2):
        step = ob.jit(lambda x: ob.sum(ob.tanh(x @ w)))
        wanted = float(step(x))
        assert float(step(x)) == wanted
        child = os.fork()
        if child == 0:
            right = float(step(x)) == wanted and float(step(x)) == wanted
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert float(step(x)) == wanted


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
def test_a_signal_comes_before_a_step_or_after_it():
    params = [ob.tensor(np.zeros(50)) for _ in range(20)]
    late = ob.tensor(np.zeros(3))

    @ob.jit
    def step(x):
        for p in params:
            p.rebind(p + x)
        late.rebind(x[:3] * 0.0 + params[0][:3])
        return ob.sum(x)

    class Now(Exception):  # noqa: N818
        pass

    def ring(*_):
        raise Now

    x = np.ones(50)
    step(x)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        for k in range(60):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-4 + 1e-5 * k)
                while True:
                    step(x)
            except Now:
                pass
            seen = {float(v) for p in (*params, late) for v in p.numpy()}
            assert len(seen) == 1, seen
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# -- without --------------------------------------------------------------------------------------


def test_without_llvmlite_it_is_interpreted_and_says_so_once(monkeypatch):
    from overbar.compile import jit as module
    from overbar.compile import native

    monkeypatch.setattr(native, "available", lambda: False)
    module._say_once.cache_clear()
    step = ob.jit(lambda x: x * 2.0)
    with pytest.warns(match="llvmlite"):
        close(step(X), X * 2)
    close(step(X), X * 2)
    close(ob.jit(lambda x: x * 3.0)(X), X * 3)
    assert "llvmlite is not installed" in step.report()


def test_where_python_keeps_things_elsewhere_calls_take_the_general_way(monkeypatch):
    monkeypatch.setattr(gate.door(), "layout", None)
    w = param(3)
    step, eager, (twin,) = descent(w)
    for _ in range(4):
        close(step(X), eager(X))
    close(w, twin)
    assert not is_ready(step)


def test_the_places_are_found():
    assert objects.layout() is not None
    a = np.arange(3.0)
    assert objects.address_of(a) == a.ctypes.data
    w = ob.tensor(a)
    assert ownership.solely_owned(w)
    other = w.value
    assert not ownership.solely_owned(w)
    del other
    assert ownership.solely_owned(w)


# -- memory ---------------------------------------------------------------------------------------


def test_a_dropped_step_leaves_nothing_behind():
    gc.collect()
    gc.disable()
    try:
        w = param(1000)
        step, _, _ = descent(w)
        step(np.ones(1000))
        step(np.ones(1000))
        gone = weakref.ref(w), weakref.ref(step)
        del w, step
        assert [r() for r in gone] == [None, None]
    finally:
        gc.enable()


def _resident():
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_calls_do_not_leak():
    w = param(64)
    step, _, _ = descent(w, rate=1e-6)
    batch = ob.jit(lambda d: {"y": d["x"] * 2.0, "n": 3})
    x = np.ones(64)

    def work(n):
        for k in range(n):
            step(x)
            batch({"x": x})
            if k % 50 == 0:
                held = w.numpy()
                step(x)
                step(x.reshape(8, 8).T.reshape(64)[::1])
                del held

    work(5_000)
    gc.collect()
    before = _resident()
    work(100_000)
    gc.collect()
    assert _resident() - before < 2 << 20


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_compilations_do_not_leak():
    def work(n, start):
        for k in range(start, start + n):
            ob.jit(lambda x, k=k: ob.sum(x * float(k)))(X)

    work(100, 0)
    gc.collect()
    before = _resident()
    started = time.perf_counter()
    work(300, 100)
    gc.collect()
    assert time.perf_counter() - started < 600
    assert _resident() - before < 300 * 100_000
