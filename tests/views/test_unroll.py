"""Loops written out: the same numbers, bit for bit, at the lines of the body."""

import numpy as np
import pytest

import overbar as ob
from overbar.views.record import record_of
from overbar.views.unroll import unrolled

RNG = np.random.default_rng(0)
W = ob.tensor(RNG.normal(size=(3, 3)) * 0.5, requires_grad=True, name="W")
U = ob.tensor(RNG.normal(size=(2, 3)) * 0.5, requires_grad=True, name="U")
X = RNG.normal(size=(6, 2))


def recurrent(x=X, length=None, reverse=False):
    def cell(h, x):
        h = ob.tanh(h @ W + x @ U)
        return h, ob.sum(h * h)

    h, ys = ob.scan(cell, ob.zeros(3), x, reverse=reverse)
    return ob.sum(ys * ob.arange(1.0, len(x) + 1)) + ob.sum(h)


def backwards(x=X):
    return recurrent(x, reverse=True)


def repeated(x=X):
    def turn(state):
        i, h = state
        return i + 1, ob.tanh(h @ W) + x[0, 0]

    _, h = ob.while_loop(lambda state: state[0] < 4, turn, (0, ob.ones(3)))
    return ob.sum(h * h)


def chosen(x=X):
    y = ob.cond(ob.sum(x) > 100, lambda x: ob.sum(x @ U), lambda x: ob.sum(ob.sin(x @ U)), x)
    return y * y


def nested(x=X):
    def outer(h, row):
        def inner(g, v):
            g = ob.tanh(g @ W + v)
            return g, g

        h, gs = ob.scan(inner, h, row @ U * ob.ones((2, 1)))
        h = ob.cond(ob.sum(h) > 0, lambda h: h * 2.0, lambda h: h, h)
        return h, ob.sum(gs)

    h, sums = ob.scan(outer, ob.ones(3), x)
    return ob.sum(sums) + ob.sum(h)


def detached(x=X):
    def cell(h, x):
        h = ob.tanh(h.detach() @ W + x @ U)
        return h, ob.sum(h)

    return ob.sum(ob.scan(cell, ob.zeros(3), x)[1])


PROGRAMS = (recurrent, backwards, repeated, chosen, nested, detached)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_values_and_gradients_are_the_loops_own(program):
    closed = record_of("x", program())
    opened = unrolled(closed)
    assert opened is not closed
    assert not {"scan", "while", "switch"} & {n.op.name for n in opened.nodes}
    for a, b in zip(closed.outputs, opened.outputs, strict=True):
        assert np.array_equal(closed.value(a), opened.value(b))
    closed.sweep()
    opened.sweep()
    assert closed.variables == opened.variables
    for v in closed.variables:
        np.testing.assert_allclose(opened.gradient(v), closed.gradient(v), rtol=1e-12, atol=1e-15)


def test_operations_stand_at_the_lines_of_the_body_and_know_their_turn():
    opened = unrolled(record_of("x", recurrent()))
    tanhs = [n for n in opened.nodes if n.op.name == "tanh"]
    assert [n.origin.source for n in tanhs] == ["h = ob.tanh(h @ W + x @ U)"] * 6
    assert [opened.turns[n] for n in tanhs] == [f"iteration {i} of 6" for i in range(1, 7)]
    inner = unrolled(record_of("x", nested()))
    said = {inner.turns[n] for n in inner.nodes if n.op.name == "tanh"}
    assert "iteration 2 of 2 within iteration 3 of 6" in said
    assert len(said) == 12


def test_a_compiled_call_is_opened_too():
    step = ob.jit(lambda x: ob.sum(ob.tanh(x @ U) ** 2))
    closed = record_of("x", step(X) * 2.0)
    assert "call" in {n.op.name for n in closed.nodes}
    opened = unrolled(closed)
    assert {"tanh", "sum"} <= {n.op.name for n in opened.nodes}
    np.testing.assert_allclose(
        opened.sweep().gradient(U.node), closed.sweep().gradient(U.node), rtol=1e-6
    )


def test_a_long_loop_stays_closed():
    closed = record_of("x", recurrent(np.ones((2000, 2))))
    assert unrolled(closed, 1000) is closed
    assert unrolled(record_of("x", ob.sum(W * W))).turns == {}


def test_a_drawing_opens_them_from_depth_2_on():
    L = recurrent()
    assert [c["name"] for c in ob.draw(L).cards if "scan" in str(c["lines"])]
    boxes = [c["name"] for c in ob.draw(L, depth=2).cards if c["kind"] == "box"]
    assert "cell × 4" in boxes
    assert len([c for c in ob.draw(L, depth=2, fold=False).cards if c["op"] == "tanh"]) == 6


def test_the_explorer_steps_through_them():
    data = ob.explore(recurrent()).data
    ops = [n for n in data["nodes"] if n["kind"] == "op"]
    assert sum(n["op"] == "tanh" for n in ops) == 6
    assert [n["turn"] for n in ops if n["op"] == "tanh"][3] == "iteration 4 of 6"
    assert {b["name"] for b in data["boxes"] if b["kind"] == "run"} == {"cell × 6", "cell × 4"}


@pytest.mark.parametrize("compiled", [False, True])
def test_a_nan_is_found_in_its_iteration(compiled):
    def f(x):
        def cell(h, x):
            h = h - x * x
            r = ob.sqrt(h)
            return h, r + ob.sum(W) * 0

        return ob.sum(ob.scan(cell, 2.5, x)[1])

    report = ob.why_nan(ob.jit(f) if compiled else f, np.ones(6))
    assert report.birth.op == "sqrt"
    assert report.birth.source == "r = ob.sqrt(h)"
    assert report.birth.turn == "iteration 3 of 6"
    assert "in iteration 3 of 6" in str(report)


def test_a_gradient_that_is_nan_is_found_in_its_iteration():
    def f(x):
        def cell(h, x):
            r = ob.sqrt(ob.sum(W) * x)
            return h + r, r

        return ob.scan(cell, 0.0, x)[0]

    report = ob.why_nan(f, np.array([1.0, 1.0, 0.0, 1.0]))
    assert (report.birth.op, report.birth.born) == ("sqrt", "backward")
    assert report.birth.turn == "iteration 3 of 4"


def test_health_sees_a_gradient_vanish_in_a_loop():
    w = ob.tensor(np.eye(4) * 0.2, requires_grad=True, name="w")
    v = ob.tensor(np.eye(4), requires_grad=True, name="v")

    def f(x):
        start = ob.tanh(x[0] @ v)
        h, _ = ob.scan(lambda h, x: (ob.tanh(h @ w + x), None), start, x)
        return ob.sum(h)

    found = ob.health(f, np.ones((20, 4))).findings
    assert [x.kind for x in found] == ["vanishing"]
    assert ob.health(recurrent).findings == []
