"""Trace tables: those of the course notes, cell by cell; and that the two sweeps are transposes."""

import unicodedata
from xml.dom import minidom

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError, GradientError, ShapeError
from overbar.primitive import PRIMITIVES
from overbar.views.names import width
from tests.views.latex import faults
from tests.views.test_explain import program


def nfd(text):
    """With bars and dots as combining characters, as overbar writes them."""
    return unicodedata.normalize("NFD", text)


def chain(w1, w2, w3, x1, x2):
    z1 = w1 * x1
    z2 = w2 * x2
    z3 = z1 + z2
    y = w3 * z3
    return y  # noqa: RET504  (the name is what is told)


def test_s0_3_the_table_forward_and_reverse():
    rng = np.random.default_rng(0)
    w1, w2, w3, x1, x2 = (float(v) for v in rng.normal(size=5))
    args, wrt = (w1, w2, w3, x1, x2), ["w1", "w2", "w3"]
    table = ob.trace_table(chain, *args, mode="forward", wrt=wrt)
    dots = {row.name: float(row.tangent) for row in table.rows}
    closed = {"w1": 1, "w2": 0, "w3": 0, "z1": x1, "z2": 0, "z3": x1, "y": x1 * w3}
    assert {k: dots[k] for k in closed} == pytest.approx(closed, rel=1e-15)
    said = {row.name: row.tangent_formula for row in table.rows if row.formula}
    assert said == {
        "z1": nfd("ẇ1 x1"),
        "z2": nfd("ẇ2 x2"),
        "z3": nfd("ż1 + ż2"),
        "y": nfd("ẇ3 z3 + ż3 w3"),
    }
    table = ob.trace_table(chain, *args, mode="reverse", wrt=wrt)
    bars = {row.name: float(row.adjoint) for row in table.rows if row.adjoint is not None}
    z3 = w1 * x1 + w2 * x2
    closed = {"y": 1, "z3": w3, "z1": w3, "z2": w3, "w1": x1 * w3, "w2": x2 * w3, "w3": z3}
    assert bars == pytest.approx(closed, rel=1e-15)
    sent = {row.name: {m.target: m.formula for m in row.sent} for row in table.rows if row.sent}
    assert sent == {
        "z1": {"w1": nfd("z̄1 x1")},
        "z2": {"w2": nfd("z̄2 x2")},
        "z3": {"z1": nfd("z̄3"), "z2": nfd("z̄3")},
        "y": {"w3": nfd("ȳ z3"), "z3": nfd("ȳ w3")},
    }


BOTH = nfd("""\
 forward ↓            │ tangent ↓   ẋ1 = 1.00     │ adjoint ↑
──────────────────────┼───────────────────────────┼────────────────────────────────
 x1          = 2.00   │ ẋ1                 = 1.00 │ x̄1                     = 5.00
 x2          = 5.00   │ ẋ2                 = 0    │ x̄2                     = 2.28
 v1 = x1 x2  = 10.0   │ v̇1 = ẋ1 x2 + ẋ2 x1 = 5.00 │ x̄1 = v̄1 x2             = 5.00
                      │                           │ x̄2 = v̄1 x1 + v̄2 cos x2 = 2.28
                      │                           │ x̄2 += v̄1 x1            = 2.00
 v2 = sin x2 = -0.959 │ v̇2 = ẋ2 cos x2     = 0    │ x̄2 += v̄2 cos x2        = 0.284
 y = v1 + v2 = 9.04   │ ẏ = v̇1 + v̇2        = 5.00 │ v̄1 = ȳ                 = 1.00
                      │                           │ v̄2 = ȳ                 = 1.00
                      │                           │ ȳ = 1

 ⟨ȳ, ẏ⟩ = 5.00 = 5.00 = ⟨x̄, ẋ⟩""")


def example(x1, x2):
    v1 = x1 * x2
    v2 = ob.sin(x2)
    y = v1 + v2
    return y  # noqa: RET504


def test_both_modes_side_by_side():
    assert ob.trace_table(example, 2.0, 5.0, mode="both").text() == BOTH


def test_s1_16_adjoints_of_all_intermediates():
    def f(x1, x2):
        a1 = ob.sin(x2)
        a2 = x1 * x2
        a3 = a1 + a2
        return a3  # noqa: RET504

    table = ob.trace_table(f, 2.0, np.pi / 3)
    bars = {row.name: float(row.adjoint) for row in table.rows}
    assert (bars["a1"], bars["a2"], bars["a3"]) == (1.0, 1.0, 1.0)
    assert bars["x2"] == pytest.approx(2.5, rel=1e-15)
    parts = {row.name: float(m.value) for row in table.rows for m in row.sent if m.target == "x2"}
    assert parts == {"a1": pytest.approx(0.5), "a2": 2.0}


def test_s1_9_the_table_of_logistic_regression():
    def f(w, x):
        u = w @ x
        p = ob.sigmoid(u)
        L = -ob.log(p)
        return L  # noqa: RET504

    table = ob.trace_table(f, np.array([0.5, -1.0]), np.array([1.0, 2.0]), wrt="w")
    text = table.text()
    for line in ("u = wᵀ x", "w̄ = ū x", "ū = p̄ p (1 − p)", "p̄ = −L̄ / p"):
        assert nfd(line) in text


def test_s2_5_and_s2_10_the_table_of_the_regularised_neuron():
    def f(w, b, x, t, lam):
        z = w * x + b
        y = ob.sigmoid(z)
        L = (y - t) ** 2 / 2
        R = w**2 / 2
        Lreg = L + lam * R
        return Lreg  # noqa: RET504

    table = ob.trace_table(f, 0.5, -1.0, 2.0, 1.0, 0.1, wrt=["w", "b"])
    bars = {row.name: row.adjoint for row in table.rows if row.adjoint is not None}
    assert (bars["y"], bars["z"], bars["b"]) == (-0.5, -0.125, -0.125)
    assert bars["w"] == pytest.approx(-0.2, rel=1e-15)
    assert nfd("w̄ = z̄ x + R̄ w") in table.text()


@pytest.mark.parametrize("seed", range(0, 25, 2))
def test_the_two_sweeps_are_transposes(seed):
    leaves, L = program(seed)
    there = [t for t in leaves if t.node in ob.explain(L).record.nodes]
    rng = np.random.default_rng(seed)
    dots = {t.name: rng.normal(size=t.shape) for t in there}
    table = ob.trace_table(L, mode="both", seed=dots)
    left, right = table.identity
    assert left == pytest.approx(right, rel=1e-11)
    _, y_dot = ob.jvp(lambda *xs: _again(seed, xs), *_primals(leaves, dots))
    assert left == pytest.approx(float(y_dot), rel=1e-11)


def _primals(leaves, dots):
    return tuple(t.numpy() for t in leaves), tuple(
        dots.get(t.name, np.zeros(t.shape)) for t in leaves
    )


def _again(seed, xs):
    """The same random program on other leaves."""
    from tests.views import test_explain as other

    rng = np.random.default_rng(seed)
    for _ in range(3):
        rng.normal(size=3)
    pool = list(xs[:3])
    for _ in range(rng.integers(4, 14)):
        if rng.random() < 0.5:
            pool.append(other.UNARY[rng.integers(len(other.UNARY))](pool[rng.integers(len(pool))]))
        else:
            a, b = pool[rng.integers(len(pool))], pool[rng.integers(len(pool))]
            pool.append(other.BINARY[rng.integers(len(other.BINARY))](a, b))
    return ob.sum(xs[3] @ pool[-1] + pool[-2] * pool[-3])


def test_rules_that_are_no_transposes_are_found(monkeypatch):
    op = PRIMITIVES["sin"]
    monkeypatch.setattr(op, "jvp", (lambda x_dot, _y, x: 3.0 * x_dot,))
    monkeypatch.setattr(op, "_needs", {})
    with pytest.raises(GradientError, match="are not transposes"):
        ob.trace_table(example, 2.0, 5.0, mode="both", seed="x2")
    assert ob.trace_table(example, 2.0, 5.0).identity is None


def test_seeds():
    table = ob.trace_table(example, 2.0, 5.0, mode="forward", seed="x2")
    assert float(table.rows[-1].tangent) == pytest.approx(2.0 + np.cos(5.0))
    table = ob.trace_table(example, 2.0, 5.0, mode="reverse", seed=3.0)
    assert float(next(r.adjoint for r in table.rows if r.name == "x1")) == 15.0
    assert "= 3.00" in table.text()
    x = ob.tensor(np.ones(3), requires_grad=True)
    y = ob.sin(x)
    table = ob.trace_table(y, seed=np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(table.rows[0].adjoint, [np.cos(1.0), 0, 0])
    table = ob.trace_table(y, mode="forward", seed={x: np.array([0.0, 1.0, 0.0])})
    np.testing.assert_allclose(table.rows[-1].tangent, [0, np.cos(1.0), 0])


def test_formats():
    rng = np.random.default_rng(0)
    W, b = (ob.tensor(rng.normal(size=s), requires_grad=True) for s in ((4, 3), 4))
    H = ob.tanh(rng.normal(size=(5, 3)) @ W.mT + b)
    L = ob.mean(H**2)
    for mode in ("reverse", "forward", "both"):
        table = ob.trace_table(L, mode=mode)
        columns = {"reverse": 2, "forward": 2, "both": 3}[mode]
        assert faults(table.latex()) == []
        assert rf"\begin{{array}}{{{'|'.join('l' * columns)}}}" in table.latex()
        lines = table.markdown().split("\n")
        assert lines[1] == "| " + " | ".join(["---"] * columns) + " |"
        assert all(line.count(" | ") == columns - 1 for line in lines if line.startswith("|"))
        html = table._repr_html_()
        minidom.parseString(html.replace("<br>", "<br/>"))  # noqa: S318  (our own)
        assert "<script" not in html
        assert table.text(ascii=True).isascii()
        for room in (80, 160):
            assert max(map(width, table.text(columns=room).split("\n"))) <= room
        assert table.tables()[0][1] == table.heads()


def test_every_number_is_the_engines():
    rng = np.random.default_rng(1)
    W = rng.normal(size=(2, 3))
    f = lambda W: ob.sum(ob.tanh(W) ** 2)
    table = ob.trace_table(f, W, mode="both")
    np.testing.assert_allclose(table.rows[0].adjoint, ob.grad(f)(W), rtol=1e-12)
    _, dot = ob.jvp(f, (W,), (np.ones_like(W),))
    np.testing.assert_allclose(table.rows[-1].tangent, dot, rtol=1e-12)


def test_what_is_no_table_is_refused():
    with pytest.raises(DomainError, match="'sideways' is no mode"):
        ob.trace_table(example, 2.0, 5.0, mode="sideways")
    with pytest.raises(DomainError, match="no variable here is called 'q'"):
        ob.trace_table(example, 2.0, 5.0, mode="forward", seed="q")
    with pytest.raises(ShapeError, match="the shape of the result"):
        ob.trace_table(example, 2.0, 5.0, seed=np.ones(3))
    with pytest.raises(ShapeError, match="the shape of its variable"):
        ob.trace_table(example, 2.0, 5.0, mode="forward", seed={"x1": np.ones(3)})
    with pytest.raises(GradientError, match="nothing that asks for a gradient"):
        ob.trace_table(ob.tensor(1.0) * 2.0)
