"""S4-8: a run that meets a point without a derivative says so, with the set of subgradients."""

import numpy as np
import pytest

import overbar as ob

INF = (np.inf, np.inf)

MET = {
    "relu": (lambda x: ob.relu(x).sum(), [-1.0, 0.0, 0.0, 2.0], 2, (1,), (0.0, 1.0), 0.0),
    "ramp": (lambda x: ob.leaky_relu(x, 0.1).sum(), [0.0, 2.0], 1, (0,), (0.1, 1.0), 0.1),
    "abs": (lambda x: ob.abs(x).sum(), [1.0, 0.0], 1, (1,), (-1.0, 1.0), 0.0),
    "maximum": (lambda x: ob.maximum(x, 2.0).sum(), [1.0, 2.0, 3.0], 1, (1,), (0.0, 1.0), 0.5),
    "minimum": (lambda x: ob.minimum(x, 2.0).sum(), [1.0, 2.0, 3.0], 1, (1,), (0.0, 1.0), 0.5),
    "clip": (
        lambda x: ob.clip(x, -1.0, 1.0).sum(),
        [-1.0, 0.0, 1.0],
        2,
        (0,),
        (0.0, 1.0),
        "1 at the lower, 1 at the upper",
    ),
    "max": (ob.max, [1.0, 3.0, 3.0], 2, (1,), (0.0, 1.0), "equal shares"),
    "min": (ob.min, [1.0, 1.0, 3.0], 2, (0,), (0.0, 1.0), "equal shares"),
    "sort": (lambda x: ob.sort(x)[0], [5.0, 1.0, 5.0], 1, (1,), (0.0, 1.0), "their order is kept"),
    "sqrt": (lambda x: ob.sqrt(x).sum(), [0.0, 4.0], 1, (0,), INF, np.inf),
    "power": (lambda x: ob.pow(x, 0.5).sum(), [4.0, 0.0], 1, (1,), INF, np.inf),
    "length": (ob.linalg.vector_norm, [0.0, 0.0], 1, (), (-1.0, 1.0), 0.0),
    "root_of_squares": (ob.std, [2.0, 2.0], 1, (), (-1.0, 1.0), 0.0),
}


@pytest.mark.parametrize("op", MET)
def test_a_kink_that_is_met_is_reported(op):
    f, x, count, first, between, taken = MET[op]
    (kink,) = ob.kinks(f, np.array(x)).found
    assert (kink.op, kink.count, kink.first, kink.between) == (op, count, first, between)
    assert kink.taken == taken
    assert kink.where.startswith("test_kinks.py, line ")


@pytest.mark.parametrize(
    "op", [op for op, (*_, first, _, taken) in MET.items() if first and type(taken) is float]
)
def test_the_choice_reported_is_the_derivative_taken(op):
    f, x, _, first, between, taken = MET[op]
    gradient = ob.grad(f)(np.array(x))
    assert gradient[first] == taken
    assert between[0] <= taken <= between[1]


@pytest.mark.parametrize("op", MET)
def test_a_kink_that_is_not_met_is_not_reported(op):
    f = MET[op][0]
    report = ob.kinks(f, np.array([0.25, 0.75]))
    assert not report
    assert "no kink was met" in report.text()


@pytest.mark.parametrize(
    ("choice", "taken"), [("left", 0.0), ("right", 1.0), ("middle", 0.5), ("default", 0.0)]
)
def test_the_choice_in_force_is_read_back(choice, taken):
    with ob.config(kinks=choice):
        (kink,) = ob.kinks(ob.relu, 0.0).found
        assert kink.taken == taken
        assert float(ob.grad(ob.relu)(0.0)) == taken


def test_a_result_is_asked_after_backward():
    w = ob.tensor([1.0, 0.0], requires_grad=True)
    h = ob.relu(w)
    L = h.sum()
    L.backward()
    (kink,) = ob.kinks(L).found
    assert (kink.name, kink.op, kink.count, kink.size) == ("h", "relu", 1, 2)


def test_what_the_sweep_does_not_pass_is_left_out():
    w = ob.tensor([1.0, 2.0], requires_grad=True)
    constant = ob.abs(ob.tensor([0.0, 0.0]))
    assert not ob.kinks((w * constant).sum())


def test_the_report_in_words():
    w = ob.tensor([1.0, 0.0], requires_grad=True)
    h = ob.relu(w)
    lines = ob.kinks(h.sum()).text().splitlines()
    assert lines[0].split() == ["where", "it", "was", "met", "subgradients", "taken"]
    assert lines[1].startswith("h  relu  max(0, x) at 0  1 of 2, first at [1]  [0, 1]")
    assert lines[1].endswith("h = ob.relu(w)")
    assert "<table>" in ob.kinks(h.sum())._repr_html_()


def test_infinities_are_no_ties():
    assert not ob.kinks(lambda x: ob.maximum(x, -np.inf).sum(), np.array([1.0, 2.0]))
