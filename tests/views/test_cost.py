"""cost: the work of each mode, counted in what the sweeps really compute, and the mode to take."""

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.graph import ancestors
from overbar.primitive import PRIMITIVES
from overbar.views.names import width
from overbar.views.record import record_of
from overbar.views.work import flops_of, forward_nodes, reverse_nodes, total


def rng():
    return np.random.default_rng(0)


def product(w, x):
    return x @ w


def test_a_product_costs_twice_as_much_backward_as_forward():
    """y = x w, both wanted: x̄ = ȳ wᵀ and w̄ = xᵀ ȳ are one product each."""
    w, x = rng().normal(size=(50, 20)), rng().normal(size=(4, 50))
    report = ob.cost(product, w, x)
    assert report.flops == 2 * 4 * 50 * 20
    assert report.modes["reverse"].each == 2 * report.flops


def test_many_inputs_and_one_output_are_for_reverse_mode():
    w = rng().normal(size=(30, 30))
    report = ob.cost(lambda w: ob.sum(ob.tanh(w @ w)), w)
    assert (report.inputs, report.outputs, report.best) == (900, 1, "reverse")
    assert report.modes["reverse"].passes == 1
    assert report.modes["forward"].passes == 900
    assert report.modes["numeric"].passes == 901
    assert report.modes["central"].passes == 1800
    assert report.modes["reverse"].flops < 5 * report.flops


@pytest.mark.parametrize(("n", "m"), [(100, 1), (1, 100), (50, 50)])
def test_s0_4_as_many_passes_as_the_fewer_of_inputs_and_outputs(n, m):
    """A backward sweep gives one row of the Jacobian, a forward sweep one column."""
    w = rng().normal(size=(m, n))
    report = ob.cost(lambda x: ob.tanh(w @ x), np.ones(n))
    assert (report.inputs, report.outputs) == (n, m)
    assert (report.modes["forward"].passes, report.modes["reverse"].passes) == (n, m)
    assert report.modes[report.best].passes == min(n, m)
    if n != m:
        assert report.best == ("forward" if n < m else "reverse")


def test_s4_5_differences_cost_d_to_the_fourth_and_going_back_d_squared():
    """l = ½ ‖W2 tanh(W1 x + b) − y‖², by all 2d² weights: counted FLOPs, exactly and as slopes."""
    sizes = np.array([32, 64, 128, 256])
    flops = {"numeric": [], "reverse": []}
    for d in sizes:
        v = np.ones(d)

        def loss(W1, W2, v=v):
            return ob.sum((W2 @ ob.tanh(W1 @ v + v) - v) ** 2) / 2

        modes = ob.cost(loss, np.ones((d, d)), np.ones((d, d))).modes
        assert modes["numeric"].passes == 2 * d**2 + 1
        for mode, counts in flops.items():
            counts.append(modes[mode].flops)
    run = 4 * sizes**2 + 5 * sizes + 1  # two products, then a sum, tanh, a difference, a square
    assert flops["numeric"] == list((2 * sizes**2 + 1) * run)
    assert flops["reverse"] == list(10 * sizes**2 + 11 * sizes + 3)
    for mode, power in (("numeric", 4), ("reverse", 2)):
        slope = np.polyfit(np.log(sizes), np.log(flops[mode]), 1)[0]
        assert slope == pytest.approx(power, abs=0.03)


def test_one_input_and_many_outputs_are_for_forward_mode():
    report = ob.cost(lambda s: ob.stack([ob.sin(s * k) for k in range(50)]), 0.3)
    assert (report.inputs, report.outputs, report.best) == (1, 50, "forward")
    assert report.modes["forward"].passes == 1
    assert report.modes["reverse"].passes == 50
    assert report.modes["forward"].kept == 0
    assert "1 forward sweep instead of 50" in report.why


def test_of_equal_work_the_mode_that_keeps_nothing_is_taken():
    report = ob.cost(ob.exp, np.array([0.5]))
    assert report.modes["forward"].flops == report.modes["reverse"].flops
    assert report.best == "forward"


def test_the_whole_is_the_run_and_its_passes():
    w = rng().normal(size=(6, 5))
    report = ob.cost(lambda w: ob.tanh(w @ np.ones((5, 2))), w)
    for mode in report.modes.values():
        once = report.flops if mode.exact else 0
        assert mode.flops == once + mode.passes * mode.each
    assert report.modes["numeric"].each == report.flops


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_what_is_counted_computes_the_engines_own_derivative(mode):
    """The last of the counted nodes hold the very numbers that grad and jvp give."""

    def f(w):
        return ob.sum(ob.tanh(w) * w)

    w = rng().normal(size=5)
    record = record_of("cost", f, (w,))
    nodes = (reverse_nodes if mode == "reverse" else forward_nodes)(record)
    wanted = ob.grad(f)(w) if mode == "reverse" else ob.jvp(f, (w,), (np.ones(5),))[1]
    wanted = np.asarray(wanted)
    assert any(
        n.spec.shape == wanted.shape and n.value is not None and np.array_equal(n.value, wanted)
        for n in recorded_values(nodes)
    )


def recorded_values(nodes):
    from overbar.replay import values_of

    values = values_of(nodes)
    for n in nodes:
        n.value = values[n]
    return nodes


def test_the_work_of_a_graph_is_that_of_the_compilers_own_count():
    """Of a network without loops or convolutions, whose bodies and rules that count leaves out."""
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    x = rng().normal(size=(5, 8)).astype(np.float32)
    f = ob.jit(lambda x: nn.functional.softmax(model(x)))
    f(x)
    graph = f.lower(until="trace")
    given = set(graph.inputs)
    assert f.cost().flops == total(n for n in graph.nodes if n not in given)


def test_the_body_of_a_loop_counts_as_often_as_it_runs():
    def f(x):
        return ob.scan(lambda c, _: (ob.sin(c) * 2.0, None), x, None, length=7)[0]

    x = rng().normal(size=10)
    L = ob.sum(f(ob.tensor(x, requires_grad=True)))
    (loop,) = [n for n in ancestors([L.node]) if n.op.name == "scan"]
    assert flops_of(loop) == 7 * (10 + 10)


def test_both_rules_of_a_convolution_cost_as_much_as_itself():
    w, x = rng().normal(size=(4, 3, 3, 3)), rng().normal(size=(2, 3, 8, 8))
    record = record_of("cost", lambda w, x: ob.conv(x, w), (w, x))
    forward = 2 * (2 * 4 * 6 * 6) * (3 * 3 * 3)
    assert ob.cost(lambda w, x: ob.conv(x, w), w, x).flops == forward
    assert total(reverse_nodes(record)) == 2 * forward


def test_no_primitive_is_without_a_count():
    for op in PRIMITIVES.values():
        for args, params in op.samples(lambda *s: rng().normal(size=s)) if op.samples else ():
            values = [ob.tensor(a).node for a in args]
            shapes = op.shape(*(v.spec for v in values), **params)
            node = ob.graph.Node(op, tuple(values), params, shapes)
            assert flops_of(node) >= 0


def test_the_step_of_an_optimiser_is_no_part_of_it():
    model = nn.Linear(4, 2)
    opt = ob.optim.Adam(model.parameters(), lr=0.1)
    x = rng().normal(size=(3, 4))

    def loss():
        return ob.mean(model(x) ** 2)

    def step():
        opt.zero_grad()
        L = loss()
        L.backward()
        opt.step()

    assert ob.cost(step).modes == ob.cost(loss).modes


def test_it_fits_into_80_columns():
    text = ob.cost(lambda w: ob.sum(ob.tanh(w @ w)), rng().normal(size=(60, 60))).text(columns=80)
    table = text.splitlines()[1:-1]
    assert max(map(width, table)) <= 80
    assert "take reverse mode" in text
