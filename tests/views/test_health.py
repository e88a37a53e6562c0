"""health: its numbers are the engine's own, and asking changes nothing."""

import inspect
import re

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.errors import GradientError
from overbar.views.names import bar, width
from tests.views import zoo

F = nn.functional


def made():
    model = nn.Sequential(
        nn.Linear(8, 16, rng=zoo.drawn()), nn.ReLU(), nn.Linear(16, 3, rng=zoo.drawn(1))
    )
    x, t = zoo.data()
    return model, x, t


def test_its_norms_are_those_of_backward():
    model, x, t = made()
    report = ob.health(lambda: F.cross_entropy(model(x), t))
    F.cross_entropy(model(x), t).backward()
    assert [v.name for v in report.parameters] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    for v, p in zip(report.parameters, model.parameters(), strict=True):
        gradient, value = p.grad.numpy().astype(float), p.numpy().astype(float)
        assert v.gradient == pytest.approx(np.linalg.norm(gradient), rel=1e-12)
        assert v.size == pytest.approx(np.linalg.norm(value), rel=1e-12)
        assert v.ratio == pytest.approx(v.gradient / v.size, rel=1e-12)
        assert v.update is None


def test_the_adjoint_of_a_layer_is_that_where_its_weight_enters():
    W, V = zoo.param(8, 16, name="W"), zoo.param(16, 3, name="V")
    x, _ = zoo.data()
    z = x @ W
    y = ob.tanh(z) @ V
    L = ob.sum(y**2)
    report = ob.health(L)
    assert [r.name for r in report.layers] == ["W", "V"]
    for row, node in zip(report.layers, (z, y), strict=True):
        wanted = np.linalg.norm(ob.adjoint(L, node).numpy())
        assert row.adjoint == pytest.approx(wanted, rel=1e-12)


def deep(activation, layers=12):
    """Linear layers of 16 units, each followed by an activation, drawn as relu wants them."""
    rng, made = zoo.drawn(), []
    for _ in range(layers):
        linear = nn.Linear(16, 16, rng=rng)
        linear.weight = nn.Parameter(nn.init.kaiming_uniform((16, 16), rng=rng))
        made += [linear, activation()]
    return nn.Sequential(*made)


def test_s1_19_where_the_flow_dies_and_what_is_to_blame():
    """50 layers of sigmoids: σ′ and the weights, each to blame for what it takes."""
    model, x = deep(nn.Sigmoid, 50), zoo.drawn(1).normal((32, 16))
    report = ob.health(lambda: ob.sum(model(x)))
    (found,) = report.findings
    assert (found.kind, found.name) == ("vanishing", "98")
    zs, hs, h = [], [], x
    for layer in model:
        h = layer(h)
        (zs if isinstance(layer, nn.Linear) else hs).append(h)
    bars = [np.linalg.norm(b.numpy().astype(float)) for b in ob.adjoint(ob.sum(h), [*zs, *hs])]
    came, into = np.array(bars[:50]), np.array(bars[50:])
    np.testing.assert_allclose([row.adjoint for row in report.layers], came, rtol=1e-5)
    assert found.value == pytest.approx((came[0] / came[-1]) ** (1 / 49), rel=1e-4)
    by_slope = np.exp(np.mean(np.log(came[:-1] / into[:-1])))
    by_weight = np.exp(np.mean(np.log(into[:-1] / came[1:])))
    assert by_slope * by_weight == pytest.approx(found.value, rel=1e-4)
    assert by_slope < 0.25
    assert by_weight > 1  # these weights are not to blame
    assert re.search(rf"most of it by sigmoid \(line \d+\), × {by_slope:.3f} each", found.what)


def test_s1_19_weights_that_are_too_small_are_to_blame_themselves():
    model, x = deep(nn.ReLU, 50), zoo.drawn(1).normal((32, 16))
    for linear in list(model)[::2]:
        linear.weight = nn.Parameter(0.2 * linear.weight.detach())
    findings = ob.health(lambda: ob.sum(model(x))).findings
    (found,) = (f for f in findings if f.kind == "vanishing")
    assert "most of it by matmul" in found.what


def test_s3_7_relu_does_not_saturate_and_its_gradient_does_not_vanish():
    x = zoo.drawn(1).normal((32, 16))
    found = {f: ob.health(deep(f), x) for f in (nn.Sigmoid, nn.Tanh, nn.ReLU)}
    assert [f.kind for f in found[nn.Sigmoid].findings] == ["vanishing"]
    assert not found[nn.ReLU]
    first = {f: report.layers[0].adjoint for f, report in found.items()}
    assert first[nn.Sigmoid] < 1e-4
    assert first[nn.ReLU] > 1


def test_s3_7_the_share_of_saturated_units_of_every_layer():
    """A unit is saturated where |f′| < 0.01: of tanh, 1 − h² < 0.01."""
    model, h = deep(nn.Tanh), 8 * zoo.drawn(1).normal((32, 16))
    report = ob.health(model, h)
    assert [(f.kind, f.name) for f in report.findings] == [("saturated", "0")]
    layers = list(model)
    for row, (linear, f) in zip(
        report.layers, zip(layers[::2], layers[1::2], strict=True), strict=True
    ):
        h = f(linear(h))
        share = np.mean(1 - h.numpy().astype(float) ** 2 < 0.01)
        assert row.saturated == pytest.approx(share, abs=2 / h.size)
    assert report.layers[0].saturated > 0.8


def test_the_update_is_what_the_step_would_do():
    model, _, _ = made()
    step = zoo.training(model, lr=0.01)
    report = ob.health(step)
    before = [p.numpy().astype(float) for p in model.parameters()]
    step()
    for v, p, b in zip(report.parameters, model.parameters(), before, strict=True):
        moved = np.linalg.norm(p.numpy().astype(float) - b) / np.linalg.norm(b)
        assert v.update == pytest.approx(moved, rel=1e-5)


def test_asking_about_a_step_undoes_it():
    model, _, _ = made()
    step = zoo.training(model, optimizer=ob.optim.Adam)
    step()
    state = [(p.value, p._node, p.grad) for p in model.parameters()]
    ob.health(step)
    for p, (value, node, grad) in zip(model.parameters(), state, strict=True):
        assert p.value is value
        assert p._node is node
        assert p.grad is grad


def test_of_a_model_a_loss_a_result_a_jitted_step_it_is_the_same():
    model, x, t = made()

    def loss(x, t):
        return F.cross_entropy(model(x), t)

    def step(x, t):
        L = loss(x, t)
        L.backward()

    reports = [
        ob.health(loss(x, t)),
        ob.health(loss, x, t),
        ob.health(step, x, t),
        ob.health(ob.jit(loss), x, t),
    ]
    assert all(r.parameters[0].gradient == reports[0].parameters[0].gradient for r in reports)
    assert ob.health(model, x).layers[0].name == "0"


def test_the_rate_per_layer_and_the_layer_where_it_begins():
    """y = (((x s) s) s) ... with s = 1/10: the adjoint shrinks to a tenth at every layer."""
    layers = [ob.tensor(0.1 * np.eye(4), requires_grad=True, name=f"W{i}") for i in range(8)]

    def loss(x):
        for W in layers:
            x = x @ W
        return ob.sum(x)

    (found,) = ob.health(loss, np.ones((2, 4))).findings
    assert (found.kind, found.name) == ("vanishing", "W7")
    assert found.value == pytest.approx(0.1, rel=1e-12)
    assert found.layers == tuple(f"W{i}" for i in range(8))
    assert "from W7 to W0" in found.what


def test_it_begins_where_the_layers_change():
    """Eight layers that keep the norm, then eight that do not."""
    scales = [0.02] * 4 + [1.0] * 6
    layers = [
        ob.tensor(s * np.eye(4), requires_grad=True, name=f"W{i}") for i, s in enumerate(scales)
    ]

    def loss(x):
        for W in layers:
            x = x @ W
        return ob.sum(x)

    (found,) = ob.health(loss, np.ones((2, 4))).findings
    assert found.kind == "vanishing"
    assert found.name == "W3"


def test_shares_of_dead_and_saturated_units_are_exact():
    W = zoo.param(8, 10, name="W")
    bias = np.where(np.arange(10) < 3, -1e3, 1e3)
    x = zoo.rng().normal(size=(20, 8))
    (row,) = ob.health(lambda: ob.sum(ob.relu(x @ W + bias))).layers
    assert row.dead == 0.3
    shift = np.where(np.arange(10) < 4, 1e3, 0.0)
    (row,) = ob.health(lambda: ob.sum(ob.tanh(0.01 * (x @ W) + shift))).layers
    assert row.saturated == 0.4


def test_a_dead_unit_is_dead_for_every_sample():
    W = ob.tensor(np.eye(4), requires_grad=True, name="W")
    x = np.array([[1.0, -1.0, -1.0, -1.0], [-1.0, 1.0, -1.0, -1.0]])
    (row,) = ob.health(lambda: ob.sum(ob.relu(x @ W))).layers
    assert row.dead == 0.5


@pytest.mark.parametrize("columns", [80, 160])
def test_it_fits(columns):
    for fault in zoo.PLANTED:
        if fault.kind in {"vanishing", "saturated", "unused", "not updated"}:
            text = ob.health(*fault.program()).text(columns=columns)
            assert max(map(width, text.splitlines())) <= columns
            break


def test_the_report_in_words():
    W = ob.tensor(np.ones((4, 4)) * -1.0 - np.eye(4), requires_grad=True, name="W")
    x = np.ones((4, 4))
    h = ob.relu(x @ W)
    L = ob.sum(h)
    line = inspect.currentframe().f_lineno - 2
    assert ob.health(L).text() == (
        "1 fault: dead\n\n"
        "DEAD  W: all 4 units of h after W are dead: nothing positive goes into relu, for any of 4 "
        "samples\n"
        f"    test_health.py, line {line}:  h = ob.relu(x @ W)\n"
        "    cure: a smaller learning rate, another bias, normalised inputs, or ob.leaky_relu, "
        "which is never\n"
        "      flat\n\n"
        f"layer  ‖{bar('y')}‖  ‖{bar('W')}‖  ‖{bar('W')}‖/‖W‖  dead\n"
        "W      0    0    0        100%  DEAD"
    )
    assert "<table>" in ob.health(L)._repr_html_()


def test_a_jitted_step_is_looked_through():
    model, _, _ = made()
    report = ob.health(ob.jit(zoo.training(model)))
    assert not report
    assert all(v.update for v in report.parameters)


def test_nothing_to_ask():
    with pytest.raises(GradientError):
        ob.health(lambda: ob.sum(ob.ones(3)))


def test_a_hundred_layers_are_told_in_sixty_lines():
    layers = [ob.tensor(np.eye(2), requires_grad=True, name=f"W{i}") for i in range(100)]

    def loss(x):
        for W in layers:
            x = x @ W
        return ob.sum(x)

    report = ob.health(loss, np.ones((2, 2)))
    assert len(report.layers) == 100
    assert "… 80 more" in report.text()
    assert len(report.text().splitlines()) < 64
