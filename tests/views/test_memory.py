"""memory: what it says is kept is what the engine keeps, byte for byte; so are the adjoints."""

import inspect
import tracemalloc

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.calculus.sweep import Raw, pullback_steps
from overbar.graph import ancestors
from overbar.views.keeping import buffers, keep_of
from overbar.views.names import width
from overbar.views.record import Record, asks


def rng():
    return np.random.default_rng(0)


def param(*shape, name=None):
    return ob.tensor(rng().normal(size=shape), requires_grad=True, name=name)


def two_layers():
    w, v = param(6, 5), param(5, 3)
    h = ob.tanh(rng().normal(size=(4, 6)) @ w)
    return ob.sum(ob.relu(h @ v) ** 2)


def used_twice():
    x = param(4, 4)
    y = ob.sigmoid(x * x)
    return ob.sum(y * x + ob.exp(y))


def views_and_slices():
    w = param(6, 4)
    y = ob.exp(w.T)[1:3].reshape(-1)
    return ob.sum(y * y)


def a_network():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    t = rng().integers(0, 3, 5)
    return nn.functional.cross_entropy(model(rng().normal(size=(5, 6))), t)


def convolutions():
    w = param(4, 1, 3, 3)
    y = ob.max_pool(ob.relu(ob.conv(rng().normal(size=(2, 1, 8, 8)), w, padding=1)), 2)
    return ob.mean(y**2)


def attention():
    q, k, v = param(5, 4), param(5, 4), param(5, 4)
    return ob.sum(ob.softmax(q @ k.T / 2.0) @ v)


def masked():
    x = param(6)
    return ob.sum(ob.where(x.numpy() > 0, ob.log(ob.abs(x) + 1.0), x * 3.0))


PROGRAMS = [two_layers, used_twice, views_and_slices, a_network, convolutions, attention, masked]
EACH = pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)


@EACH
def test_what_is_said_to_be_kept_is_what_the_engine_holds(f):
    L = f()
    nodes = ancestors([L.node])
    held = {n for n in nodes if n.inputs and n.value is not None}
    record = Record([L.node], [n for n in nodes if asks(n)])
    assert {h.node for h in keep_of(record).computed} == held


@EACH
def test_the_sum_of_its_bytes_is_that_of_the_arrays_the_engine_holds(f):
    L = f()
    nodes = ancestors([L.node])
    leaves = {id(b) for n in nodes if not n.inputs for b in buffers(n.value)}
    arrays = {id(b): b for n in nodes if n.inputs for b in buffers(n.value)}
    size = sum(b.nbytes for key, b in arrays.items() if key not in leaves)
    assert ob.memory(L).bytes == size


@EACH
def test_after_backward_it_says_what_was_kept(f):
    L = f()
    before = ob.memory(L)
    L.backward()
    after = ob.memory(L)
    assert (after.bytes, after.by_line) == (before.bytes, before.by_line)


@EACH
def test_of_a_function_and_of_a_step_it_is_the_same(f):
    def step():
        L = f()
        L.backward()
        return float(L)

    wanted = ob.memory(f()).bytes
    assert ob.memory(f).bytes == wanted
    assert ob.memory(step).bytes == wanted


@EACH
def test_the_lines_add_up_to_the_whole(f):
    report = ob.memory(f())
    assert sum(report.by_line.values()) == report.bytes == sum(s.bytes for s in report.saved)
    assert report.peak.bytes == max(m.bytes for m in report.timeline)


@EACH
def test_adjoints_on_their_way_are_those_of_the_engine_at_every_step(f):
    """The engine's own dictionary, read from its paused generator."""
    L = f()
    record = Record([L.node], [n for n in ancestors([L.node]) if asks(n)])
    world = Raw()
    world.recovered = dict(record.values)
    wanted = list(dict.fromkeys([*record.variables, *record.outputs]))
    steps = pullback_steps(record.outputs, wanted, record.seeds(), record.path, world)
    leaves = {id(b) for n in record.nodes if not n.inputs for b in buffers(record.values[n])}
    said = [m for m in ob.memory(L).timeline if m.backward]
    while True:
        try:
            _, y_bar, messages = next(steps)
        except StopIteration:
            break
        there = steps.gi_frame.f_locals
        alive = [*there["bar"].values(), *there["found"].values(), y_bar, *(m for _, m in messages)]
        arrays = {id(b): b for a in alive for b in buffers(a) if id(b) not in leaves}
        assert said.pop(0).adjoints == sum(b.nbytes for b in arrays.values())
    assert not said


def test_numpys_own_count_agrees_after_the_forward_pass():
    """Of large arrays, so that what Python allocates beside them is in another domain anyway."""
    w, v = param(100, 80), param(80, 60)
    x = rng().normal(size=(50, 100))
    domain = np.lib.tracemalloc_domain

    def numpys():
        found = tracemalloc.take_snapshot()
        found = found.filter_traces([tracemalloc.DomainFilter(inclusive=True, domain=domain)])
        return sum(t.size for t in found.traces)

    def f():
        return ob.sum(ob.tanh(ob.tanh(x @ w) @ v) ** 2)

    f()
    tracemalloc.start()
    try:
        before = numpys()
        L = f()
        after = numpys()
    finally:
        tracemalloc.stop()
    report = ob.memory(L)
    copied = x.nbytes  # the argument, as a constant nobody else can change
    assert after - before == report.bytes + copied


def test_why_and_where():
    w = param(6, 5, name="w")
    x = ob.tensor(rng().normal(size=(4, 6)))
    h = ob.tanh(x @ w)
    L = ob.sum(h)
    report = ob.memory(L)
    (saved,) = report.saved
    line = inspect.currentframe().f_lineno - 4
    assert (saved.name, saved.op, saved.shape, saved.bytes) == ("h", "tanh", (4, 5), 160)
    assert saved.why == ("tanh needs its output",)
    assert (saved.filename, saved.line) == (__file__, line)
    assert [(g.name, g.bytes, g.why) for g in report.given] == [
        ("x", 192, ("matmul needs its input 1",))
    ]
    source = f"test_memory.py, line {line}: h = ob.tanh(x @ w)"
    assert " ".join(report.text().split()) == (
        "kept for the backward pass: 160 bytes in 1 value; 192 bytes of parameters and inputs are "
        "needed, too, and there anyway "
        "bytes line, and what it keeps why "
        f"160 100% {source} 160 h 4×5 float64 tanh needs its output "
        f"peak: {report.peak.bytes:,} bytes, backward, in {report.peak.op} "
        f"({report.peak.values:,} of values, {report.peak.adjoints:,} of adjoints) {source}"
    )
    sizes = {"L and its adjoint": 16, "h": 160, "adjoints of h and of the product": 320}
    assert report.peak.bytes == sum(sizes.values())
    assert "<table>" in report._repr_html_()


def test_a_view_of_a_parameter_takes_no_bytes():
    w = param(6, 5, name="w")
    report = ob.memory(ob.sum(param(4, 6) @ ob.reshape(w, (6, 5))))
    assert all(s.bytes == 0 for s in report.saved if s.op == "reshape")


def test_asking_changes_nothing():
    w = param(3, 3)
    opt = ob.optim.SGD([w], lr=0.1)

    def step():
        opt.zero_grad()
        L = ob.sum(ob.tanh(w) ** 2)
        L.backward()
        opt.step()
        return L

    value, node = w.value, w._node
    ob.memory(step)
    ob.cost(step)
    ob.health(step)
    assert w.value is value
    assert w._node is node
    assert w.grad is None


def test_it_fits_into_80_columns():
    text = ob.memory(a_network).text(columns=80)
    assert max(map(width, text.splitlines())) <= 80


def test_the_same_bytes_whatever_the_graph_is_given_as():
    def f(w, x):
        return ob.sum(ob.tanh(x @ w) ** 2)

    w, x = rng().normal(size=(6, 5)), rng().normal(size=(4, 6))
    assert ob.memory(ob.trace(f)(w, x), w, x).bytes == ob.memory(f, w, x).bytes
    assert ob.memory(ob.jit(f), w, x).bytes == ob.memory(f, w, x).bytes


def test_of_a_loop_it_says_that_its_inside_is_not_counted():
    w = ob.tensor(np.eye(3), requires_grad=True)
    h, _ = ob.scan(lambda h, x: (ob.tanh(h @ w + x), h), ob.zeros(3), np.ones((5, 3)))
    report = ob.memory(ob.sum(h))
    assert len(report.loops) == 1
    assert report.loops[0].endswith("np.ones((5, 3)))")
    assert "not counted: inside of scan, test_memory.py, line" in report.text()
    assert ob.memory(ob.sum(w * w)).loops == ()
