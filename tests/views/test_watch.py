"""watch: right numbers, constant memory, the model as it was, next to no time."""

import math
import time

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.errors import DomainError, DTypeError
from overbar.views.sketch import Sketch
from overbar.views.watch import GRACE, SHARE, Trace


def made(seed=0):
    rng = ob.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(6, 8, rng=rng), nn.Tanh(), nn.Linear(8, 2, rng=rng))
    return model, ob.optim.SGD(model.parameters(), lr=0.1)


X = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)


def train(model, opt, steps, zero_first=True):
    gradients = []
    for _ in range(steps):
        if zero_first:
            opt.zero_grad()
        L = ob.mean(model(X) ** 2)
        if not zero_first:
            opt.zero_grad()
        L.backward()
        gradients.append([p.grad.numpy().copy() for p in model.parameters()])
        opt.step()
    return gradients


@pytest.mark.parametrize("zero_first", [True, False])
def test_the_norms_are_those_of_the_gradients_of_the_steps_looked_at(zero_first):
    model, opt = made()
    with ob.watch(model, every=3) as w:
        gradients = train(model, opt, 7, zero_first)
    assert (w.steps, w.looks) == (7, 3)
    for i, t in enumerate(w.parameters):
        norms = [float(np.linalg.norm(gradients[k][i].astype(float))) for k in (0, 3, 6)]
        assert t.first == pytest.approx(norms[0], rel=1e-12)
        assert t.gradient == pytest.approx(norms[2], rel=1e-12)
        assert t.largest == pytest.approx(max(norms), rel=1e-12)
        assert t.sketch.count == 3 * gradients[0][i].size


def test_the_update_is_that_of_the_last_step_looked_at():
    model, opt = made()
    before = [p.numpy().copy() for p in model.parameters()]
    with ob.watch(model, every=5) as w:
        train(model, opt, 1)
        after = [p.numpy().copy() for p in model.parameters()]
        train(model, opt, 2)
    for t, b, a in zip(w.parameters, before, after, strict=True):
        moved = np.linalg.norm((a - b).astype(float)) / np.linalg.norm(b.astype(float))
        assert t.update == pytest.approx(moved, rel=1e-6)


def test_training_is_the_same_bit_for_bit():
    model, opt = made()
    plain, its = made()
    with ob.watch(model, every=2):
        train(model, opt, 9)
    train(plain, its, 9)
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        assert np.array_equal(p.numpy(), q.numpy())
        assert p.is_leaf
        assert p.requires_grad


def test_the_model_is_left_as_it_was():
    model, opt = made()
    with ob.watch(model):
        train(model, opt, 2)
    assert "forward" not in vars(model)
    with pytest.raises(ZeroDivisionError), ob.watch(model):
        raise ZeroDivisionError
    assert "forward" not in vars(model)


def test_evaluation_does_not_count():
    model, opt = made()
    with ob.watch(model, every=1) as w:
        train(model, opt, 2)
        with ob.no_grad():
            model(X)
        model.eval()
        model(X)
    assert w.steps == 2


def test_its_memory_is_constant():
    model, opt = made()

    def size(w):
        return sum(t.sketch.counts.nbytes for t in w.parameters)

    with ob.watch(model, every=1) as w:
        train(model, opt, 2)
        before = size(w), len(vars(w)), len(w.parameters)
        train(model, opt, 40)
    assert (size(w), len(vars(w)), len(w.parameters)) == before
    assert w._before is None
    assert all(isinstance(t, Trace) for t in w.parameters)


@pytest.mark.timing
def test_a_look_takes_no_more_than_a_step(monkeypatch):
    """One step in fifty is looked at: 2 % of the time. The work of a network of ordinary size; the
    shortest of several, since others use the machine, too.
    """
    monkeypatch.setattr("overbar.views.watch.GRACE", math.inf)
    rng = ob.random.default_rng(0)
    model = nn.Sequential(nn.Linear(64, 256, rng=rng), nn.ReLU(), nn.Linear(256, 64, rng=rng))
    opt = ob.optim.Adam(model.parameters(), lr=1e-3)
    x = np.random.default_rng(0).normal(size=(256, 64)).astype(np.float32)

    def shortest(steps):
        took = []
        for _ in range(steps):
            start = time.perf_counter()
            opt.zero_grad()
            ob.mean(model(x) ** 2).backward()
            opt.step()
            took.append(time.perf_counter() - start)
        return min(took[1:])

    plain = shortest(60)
    with ob.watch(model, every=1):
        looking = shortest(60)
    assert looking - plain < plain


def test_however_small_the_model_looks_wait_until_they_take_little():
    model, opt = made()
    with ob.watch(model, every=1) as w:
        train(model, opt, 2000)
        lasted = time.perf_counter() - w._began
    assert 2 <= w.looks < w.steps / 3  # a look takes about as long as a step here
    longest = 0.05  # of a single look, on a machine that others use
    assert w.seconds <= GRACE + SHARE * lasted + longest


@pytest.mark.timing
def test_what_a_look_takes_is_measured_by_half_at_least(monkeypatch):
    """So that a share of 1 % measured is less than 2 %. The shortest of many, since others use the
    machine, too.
    """
    monkeypatch.setattr("overbar.views.watch.GRACE", math.inf)
    model, opt = made()
    looked, others, measured = [], [], []
    with ob.watch(model, every=3) as w:
        for _ in range(600):
            before, start = w.seconds, time.perf_counter()
            train(model, opt, 1)
            took = time.perf_counter() - start
            if w.steps % 3 == 1:
                looked.append(took)
                measured.append(w.seconds - before)
            else:
                others.append(took)
    assert min(looked) - min(others) < 2 * min(measured)


def test_between_looks_nothing_is_done():
    model, opt = made()
    with ob.watch(model, every=1000) as w:
        train(model, opt, 2)
        before = w.seconds
        train(model, opt, 20)
        assert w.seconds == before


def test_a_jitted_step_is_told_by_hand():
    model, opt = made()

    @ob.jit
    def step(x):
        opt.zero_grad()
        L = ob.mean(model(x) ** 2)
        L.backward()
        opt.step()
        return L

    with ob.watch(model, every=4) as w:
        for _ in range(9):
            step(X)
            w.step()
    assert w.steps == 9
    assert w.looks == 2
    assert all(t.update > 0 for t in w.parameters)


def test_what_is_wrong_is_said():
    model, opt = made()
    model[0].weight = np.full((8, 6), np.nan)
    with ob.watch(model) as w:
        train(model, opt, 2)
    assert "NOT FINITE since step 1" in w.text()
    model, opt = made()
    with ob.watch(model) as w:
        for _ in range(2):
            ob.mean(model(X) ** 2).backward()
    assert "NOT UPDATED" in w.text()
    with ob.watch(model) as w:
        model(X)
    assert "NO GRADIENT" in w.text()


def test_it_is_for_models():
    with pytest.raises(DTypeError, match="no model"):
        ob.watch(lambda x: x)
    with pytest.raises(DomainError, match="every=0"):
        ob.watch(nn.Linear(2, 2), every=0)


def test_quantiles_are_right_to_within_half_an_octave():
    values = np.random.default_rng(1).normal(size=2000)
    sketch = Sketch()
    sketch.add(values)
    for q in (0.01, 0.1, 0.3, 0.7, 0.9, 0.99):
        assert 2**-0.51 < sketch.quantile(q) / np.quantile(values, q) < 2**0.51
    assert sketch.count == 2000


def test_zeros_and_what_is_not_finite_are_counted_apart():
    sketch = Sketch()
    sketch.add(np.array([0.0, 0.0, np.nan, np.inf, 1.0, -1e-30, 1e40]))
    assert (sketch.zeros, sketch.bad, sketch.count) == (3, 2, 7)
    assert sketch.quantile(0.3) == 0.0
    assert np.isnan(Sketch().quantile(0.5))


def test_the_table_at_80_columns():
    model, opt = made()
    with ob.watch(model) as w:
        train(model, opt, 2)
    assert max(map(len, w.text(columns=80).splitlines())) <= 80
    assert "<table>" in w._repr_html_()
