"""Why a gradient is zero or None: each cut is named, with the line and a cure."""

import inspect

import numpy as np
import pytest

import overbar as ob
from overbar.context import CONTEXT


def param(*values, name=None):
    return ob.tensor(list(values), requires_grad=True, name=name)


def here(f):
    lines, start = inspect.getsourcelines(f)
    return next(start + i for i, line in enumerate(lines) if line.rstrip().endswith("# here"))


CUTS = []


def cut(kind):
    def keep(f):
        CUTS.append(pytest.param(f, kind, id=f.__name__))
        return f

    return keep


@cut("detached")
def detached_later():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    h = ob.tanh(W * 2.0)
    k = h.detach() * 3.0  # here
    return W, (k * V).sum()


@cut("detached")
def detached_itself():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    L = (W.detach() * V).sum()  # here
    return W, L


@cut("no_grad")
def under_no_grad():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    with ob.no_grad():
        h = ob.tanh(W * 2.0)  # here
    return W, (h * V).sum()


@cut("stop_gradient")
def stopped():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    h = W * 2.0
    g = ob.stop_gradient(h)  # here
    return W, (g * V).sum()


@cut("integer")
def made_integers():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    k = (W * 2.0).astype(int)  # here
    return W, (k * V).sum()


@cut("comparison")
def compared():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    mask = ob.asarray(W > 1.5, dtype=float)  # here
    return W, (mask * V).sum()


@cut("plain")
def made_plain_numbers():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    scale = float((W * W).sum())  # here
    return W, (V * scale).sum()


@cut("plain")
def through_numpy():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    h = W * 2.0
    a = np.exp(h.numpy())  # here
    return W, (V * a).sum()


@cut("rounded")
def rounded():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    h = ob.round(W * 2.0)  # here
    return W, (h * V).sum()


@cut("copied")
def copied():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    fresh = ob.tensor(W * 2.0)  # here
    return W, (fresh * V).sum()


@cut("detached")
def in_a_function_of_its_own():
    def encode(x):
        hidden = ob.tanh(x)
        return hidden.detach()  # here

    W, V = param(1.0, 2.0), param(3.0, 4.0)
    code = encode(W)
    return W, (code * V).sum()


@cut("rebound")
def rebound_since():
    W = param(1.0, 2.0)
    L = (W * W).sum()
    W -= 0.1  # here
    return W, L


@cut("younger")
def made_later():
    V = param(1.0, 2.0)
    L = (V * V).sum()
    Q = param(1.0, 2.0)  # here
    return Q, L


@pytest.mark.parametrize(("f", "kind"), CUTS)
def test_a_cut_is_named_with_its_line(f, kind):
    W, L = f()
    report = ob.why_zero(W, L)
    assert report.zero
    assert report.adjoint is None
    assert report.causes[0].kind == kind
    if kind != "younger":
        assert f"line {here(f)}:" in report.causes[0].where
    assert report.causes[0].cure


def test_nothing_left_of_the_history():
    W = param(1.0, 2.0)
    h = W * 2.0
    L = h.detach().sum()
    report = ob.why_zero(W, L)
    assert (report.zero, report.causes[0].kind) == (True, "detached")
    assert "L = h.detach().sum()" in report.causes[0].where


def test_a_parameter_that_was_never_used():
    W, V = param(1.0, 2.0), param(3.0, 4.0)
    report = ob.why_zero(W, (V * V).sum())
    assert report.causes[0].kind == "unused"


def test_a_parameter_that_does_not_ask():
    W = ob.tensor([1.0, 2.0])
    report = ob.why_zero(W, (W * 2.0).sum())
    assert report.causes[0].kind == "not asked"
    assert "requires_grad=True" in report.causes[0].cure


def test_integers_have_no_derivative():
    n = ob.tensor([1, 2])
    assert ob.why_zero(n, (param(1.0, 2.0) * n).sum()).causes[0].kind == "integer"


# -- of a function: every operation is seen ---------------------------------------------------


def program(W, V):
    h = W * 2.0
    kept = ob.stop_gradient(h)
    whole = (W * 3.0).astype(int)
    with ob.no_grad():
        quiet = ob.sin(W)
    big = W > 0.0
    return (kept * V).sum() + (whole * V).sum() + (quiet * V).sum() + ob.where(big, V, 0.0).sum()


def test_every_cut_of_a_function_is_found():
    report = ob.why_zero("W", program, np.ones(2), np.ones(2))
    assert {c.kind for c in report.causes} == {"stop_gradient", "integer", "no_grad", "comparison"}
    start = inspect.getsourcelines(program)[1]
    lines = {c.kind: c.where.split(":")[0].rpartition(" ")[2] for c in report.causes}
    assert lines == {
        "stop_gradient": str(start + 2),
        "integer": str(start + 3),
        "no_grad": str(start + 5),
        "comparison": str(start + 6),
    }


# -- on a path, and zero ----------------------------------------------------------------------


def test_dead_units():
    W = param(1.0, 2.0)
    h = ob.relu(W - 5.0)
    report = ob.why_zero(W, h.sum())
    assert (report.causes[0].kind, report.causes[0].share) == ("dead", 1.0)
    assert "h = ob.relu(W - 5.0)" in report.causes[0].where
    assert "leaky_relu" in report.causes[0].cure


def test_saturation():
    W = param(50.0, 60.0)
    y = ob.sigmoid(W * 10.0)
    report = ob.why_zero(W, y.sum())
    assert (report.causes[0].kind, report.causes[0].share) == ("saturated", 1.0)


def test_a_gradient_that_has_vanished():
    W = param(3.0)
    h = W
    for _ in range(30):
        h = ob.sigmoid(h * 10.0)
    report = ob.why_zero(W, h.sum())
    assert report.zero
    assert "vanished" in report.said
    assert report.causes[0].kind == "saturated"


def test_multiplied_by_zero():
    W = param(1.0, 2.0)
    mask = np.zeros(2)
    report = ob.why_zero(W, (W * mask).sum())
    assert (report.causes[0].kind, report.causes[0].what) == (
        "times zero",
        "multiplied by zero: mask is zero",
    )


def test_messages_that_cancel():
    W = param(1.0, 2.0)
    h = W * 2.0
    report = ob.why_zero(W, (h - h).sum())
    assert report.causes[0].kind == "cancels"
    assert (
        report.causes[0].what
        == "messages cancel at h: 2 of them, of norms 1.41, 1.41, add up to nothing"
    )


def test_not_chosen():
    W = param(1.0, 2.0)
    report = ob.why_zero(W, ob.maximum(W, 5.0).sum())
    assert report.causes[0].kind == "not chosen"


def test_a_zero_seed():
    W = param(1.0, 2.0)
    report = ob.why_zero(W, 0.0 * (W * W).sum())
    assert (report.causes[0].kind, "number 0" in report.causes[0].what) == ("times zero", True)


def test_a_stationary_point():
    W = param(0.0)
    assert ob.why_zero(W, (W**2).sum()).causes[0].kind == "stationary"


def test_zeros_that_cover_each_other():
    W = param(1.0, -1.0)
    report = ob.why_zero(W, (ob.relu(W) * np.array([0.0, 1.0])).sum())
    assert report.zero
    assert {c.kind for c in report.causes} == {"dead", "times zero"}


def test_a_gradient_that_is_not_zero():
    W = param(1.0, -60.0)
    report = ob.why_zero(W, ob.relu(W).sum())
    assert not report
    assert (
        report.said
        == "the gradient of W is not zero: its norm is 1.00; 50% of its entries are zero"
    )
    assert (report.causes[0].kind, report.causes[0].share) == ("dead", 0.5)
    assert ob.why_zero(W, (W * W).sum()).causes == []


def test_the_report_in_words():
    W = param(1.0, 2.0)
    L = ob.relu(W - 5.0).sum()
    text = ob.why_zero(W, L).text().splitlines()
    assert text[0] == "the gradient of W is zero"
    assert text[1].startswith("    100% of the units of relu are dead")
    assert "L = ob.relu(W - 5.0).sum()" in text[2]
    assert text[3].startswith("        cure: ")
    assert "<table>" in ob.why_zero(W, L)._repr_html_()


def test_asking_leaves_no_trace():
    before = CONTEXT.get()
    W = param(1.0, 2.0)
    L = ob.relu(W - 5.0).sum()
    L.backward()
    grad, value = W.grad, W.value
    ob.why_zero(W, L)
    ob.why_zero("W", program, np.ones(2), np.ones(2))
    assert CONTEXT.get() is before
    assert W.grad is grad
    assert W.value is value
