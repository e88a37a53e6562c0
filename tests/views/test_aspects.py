"""Four views of one graph say the same: each, worked out in its own way, gives the same numbers."""

import unicodedata

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError, GradientError
from overbar.views import local

KINDS = ("modules", "bars", "jacobians", "graph")


def nfd(text):
    """With every bar as the combining U+0304, as overbar writes it."""
    return unicodedata.normalize("NFD", text)


def regularised(w, b, x, t, lam):
    z = w * x + b
    y = ob.sigmoid(z)
    L = (y - t) ** 2 / 2
    R = w**2 / 2
    Lreg = L + lam * R
    return Lreg  # noqa: RET504


def network(W1, b1, W2, b2, x, y):
    s1 = W1 @ x + b1
    a1 = 3 * ob.relu(s1)
    s2 = W2 @ a1 + b2
    C = ob.sum((s2 - y) ** 2)
    return C  # noqa: RET504


def batch(W, b, X, Y):
    H = ob.tanh(X @ W.mT + b)
    L = ob.nn.functional.mse_loss(ob.softmax(H), Y) + ob.logsumexp(H) / 7
    return L  # noqa: RET504


def recurrent(W, h, x):
    for _ in range(3):
        h = ob.tanh(W @ h + x)
    return ob.sum(h * h)


def reused(x):
    a = ob.sin(x)
    b = a * x + a
    L = ob.sum(b * a) - ob.max(b)
    return L  # noqa: RET504


def normal(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=s) for s in shapes]


PROGRAMS = {
    "regularised": (regularised, [0.5, -1.0, 2.0, 1.0, 0.1]),
    "network": (network, normal((4, 3), 4, (2, 4), 2, 3, 2)),
    "batch": (batch, normal((4, 3), 4, (5, 3), (5, 4))),
    "recurrent": (recurrent, normal((3, 3), 3, 3)),
    "reused": (reused, normal(4)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_s1_12_four_views_of_one_idea_give_the_same_numbers(name):
    f, args = PROGRAMS[name]
    graph = ob.trace(f)(*args)
    grads = ob.grad(f, argnums=tuple(range(len(args))))(*args)
    for kind in KINDS:
        value, adjoints = graph.view(kind).evaluate(*args)
        np.testing.assert_allclose(value, float(f(*map(ob.asarray, args))), rtol=1e-12)
        assert len(adjoints) == len(args)
        for bar, grad in zip(adjoints.values(), grads, strict=True):
            np.testing.assert_allclose(bar, grad, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_view_can_be_looked_at(name):
    f, args = PROGRAMS[name]
    graph = ob.trace(f)(*args)
    for kind in KINDS:
        view = graph.view(kind)
        assert view.text()
        assert view.text(ascii=True).isascii()
        assert view._repr_html_().startswith("<table>")


BARS = nfd("""\
z = w x + b
y = σ(z)
L = (y − t)² / 2
R = w² / 2
Lreg = L + lam R
L̄r̄ēḡ = 1
R̄ = L̄r̄ēḡ lam
L̄ = L̄r̄ēḡ
ȳ = L̄ (y − t)
z̄ = ȳ y (1 − y)
l̄ām̄ = L̄r̄ēḡ R
t̄ = −L̄ (y − t)
x̄ = z̄ w
b̄ = z̄
w̄ = z̄ x + R̄ w""")


def test_s2_5_the_program_in_bar_notation():
    graph = ob.trace(regularised)(*PROGRAMS["regularised"][1])
    assert graph.view("bars").text() == BARS


def test_the_products_of_jacobians():
    view = ob.trace(network)(*PROGRAMS["network"][1]).view("jacobians")
    text = [" ".join(line.split()) for line in view.text().split("\n")]
    assert "∂s1/∂W1 = I₄ ⊗ xᵀ 4×12" in text
    assert "dC/dW1 = ∂C/∂s2 · ∂s2/∂a1 · ∂a1/∂s1 · ∂s1/∂W1 1×12" in text
    args = PROGRAMS["network"][1]
    values = dict(zip(view.graph.inputs, args, strict=True))
    values |= {
        n: n.value for n in view.record.nodes if not view.record.computed(n) and n not in values
    }
    found = view.dense(values)
    np.testing.assert_allclose(found["∂s1/∂W1"], np.kron(np.eye(4), args[4][None]))
    np.testing.assert_allclose(found["∂a1/∂s1"], 3 * np.diag(args[0] @ args[4] + args[1] > 0))


def test_many_paths_are_written_one_step_at_a_time():
    def deep(x):
        for _ in range(6):
            s = ob.sin(x)
            x = s + x
        return x

    view = ob.trace(deep)(0.5).view("jacobians")
    assert len(view.products()) > 1
    (bar,) = view.evaluate(0.5).adjoints.values()
    assert float(bar) == pytest.approx(float(ob.grad(deep)(0.5)), rel=1e-13)


def test_a_module_list_reads_as_one():
    view = ob.trace(network)(*PROGRAMS["network"][1]).view("modules")
    lines = [" ".join(line.split()) for line in view.text().split("\n")]
    assert lines[0] == "module takes gives shape backward"
    assert lines[2] == nfd("relu, multiply s1 a1 = 3 relu(s1) 4 ā1 → s̄1")


def test_a_recorded_graph_has_views_too():
    w = ob.tensor(0.5, requires_grad=True, name="w")
    with ob.record() as graph:
        z = w * 2.0
        y = ob.sigmoid(z)
    assert float(y) == pytest.approx(0.731, abs=1e-3)
    for kind in KINDS:
        value, adjoints = graph.view(kind).evaluate()
        assert float(value) == float(y)
        assert float(adjoints["w"]) == pytest.approx(float(ob.adjoint(y, w)), rel=1e-12)


def test_what_is_no_view_is_refused(monkeypatch):
    graph = ob.trace(network)(*PROGRAMS["network"][1])
    with pytest.raises(DomainError, match="'poem' is no view"):
        graph.view("poem")
    with pytest.raises(GradientError, match="no floating result"):
        ob.trace(lambda x: x > 0)(1.0).view("bars")
    monkeypatch.setattr(local, "MOST", 10)
    with pytest.raises(GradientError, match="too large for a matrix"):
        graph.view("jacobians").evaluate(*PROGRAMS["network"][1])
