"""Derivations: line by line, in four styles; every line is worth what the engine finds."""

import unicodedata
from xml.dom import minidom

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError, GradientError
from overbar.views import derive as module
from overbar.views.terms import Number
from tests.views.latex import faults
from tests.views.test_every_primitive import TOLD, samples
from tests.views.test_every_primitive import total as total_of
from tests.views.test_explain import program

STYLES = ("bar", "leibniz", "jacobian", "index")


def nfd(text):
    """With every bar as the combining U+0304, as overbar writes it."""
    return unicodedata.normalize("NFD", text)


def regularised(w, b, x, t, lam):
    z = w * x + b
    y = ob.sigmoid(z)
    L = (y - t) ** 2 / 2
    R = w**2 / 2
    Lreg = L + lam * R
    return Lreg  # noqa: RET504  (the name is what is told)


POINT = (0.5, -1.0, 2.0, 1.0, 0.1)

STORY = nfd("""\
forward
  z    = w x + b      = 0
  y    = σ(z)         = 0.500
  L    = (y − t)² / 2 = 0.125
  R    = w² / 2       = 0.125
  Lreg = L + lam R    = 0.138

backward
  L̄r̄ēḡ = 1                                            = 1.00
  R̄    = L̄r̄ēḡ lam    = 1 · 0.1                        = 0.100
  L̄    = L̄r̄ēḡ                                         = 1.00
  ȳ    = L̄ (y − t)   = 1 · (0.5 − 1)                  = -0.500
  z̄    = ȳ y (1 − y) = (−0.5) · 0.5 · (1 − 0.5)       = -0.125
  w̄    = z̄ x + R̄ w   = (−0.125) · 2 + 0.1 · 0.5       = -0.200   2 paths summed

together
  w̄ = (y − t) y (1 − y) x + lam w                            = -0.200
    = (σ(w x + b) − t) σ(w x + b) (1 − σ(w x + b)) x + lam w = -0.200""")


def squeezed(text):
    return [" ".join(line.split()) for line in text.split("\n")]


def test_s2_10_the_regularised_neuron_line_by_line():
    d = ob.derive(regularised, *POINT, wrt="w")
    assert squeezed(d.text()) == squeezed(STORY)
    values = {line.left: line.value for line in d.lines if line.part == "backward"}
    assert values[nfd("w̄")] == pytest.approx(-0.2, rel=1e-15)
    assert values[nfd("z̄")] == -0.125


LEIBNIZ = """\
backward
dLreg/dR = ∂Lreg/∂R = 0.100
dLreg/dL = ∂Lreg/∂L = 1.00
dLreg/dy = dLreg/dL ∂L/∂y = 1 · (−0.5) = -0.500
dLreg/dz = dLreg/dy ∂y/∂z = (−0.5) · 0.25 = -0.125
dLreg/dw = dLreg/dz ∂z/∂w + dLreg/dR ∂R/∂w = (−0.125) · 2 + 0.1 · 0.5 = -0.200 2 paths summed"""


def test_s4_2_total_derivatives_have_a_d_and_partial_ones_a_curl():
    text = ob.derive(regularised, *POINT, wrt="w", style="leibniz").text()
    assert (
        "\n".join(squeezed(text))
        .partition("\n\nbackward")[2]
        .startswith(LEIBNIZ.removeprefix("backward"))
    )
    local = squeezed(text.partition("local derivatives\n")[2].partition("\n\n")[0])
    assert "∂z/∂w = x = 2.00" in local
    assert "∂R/∂w = w = 0.500" in local
    assert "∂y/∂z = y (1 − y) = 0.5 · (1 − 0.5) = 0.250" in local


def logistic():
    w, x = ob.tensor([0.5, -1.0], requires_grad=True), ob.tensor([1.0, 2.0])
    u = w @ x
    p = ob.sigmoid(u)
    L = -ob.log(p)
    return w, x, L


def test_s1_9_the_logistic_example_reads_as_in_the_notes():
    w, x, L = logistic()
    d = ob.derive(L, wrt=w)
    lines = {line.left: line.formula for line in d.lines if line.part == "backward"}
    assert lines == {
        nfd("L̄"): "1",
        nfd("p̄"): nfd("−L̄ / p"),
        nfd("ū"): nfd("p̄ p (1 − p)"),
        nfd("w̄"): nfd("ū x"),
    }
    closed = [line for line in d.lines if line.part == "together"]
    assert [line.formula for line in closed] == ["−(1 − p) x", "−(1 − σ(wᵀ x)) x"]
    s = 1 / (1 + np.exp(-float(w.numpy() @ x.numpy())))
    np.testing.assert_allclose(closed[-1].value, -(1 - s) * x.numpy(), rtol=1e-13)


def test_s1_10_the_shapes_along_the_product():
    w, _, L = logistic()
    d = ob.derive(L, wrt=w, style="jacobian")
    assert d.shapes["dL/dw"] == (("∂L/∂p", (1, 1)), ("∂p/∂u", (1, 1)), ("∂u/∂w", (1, 2)))
    text = d.text()
    assert "dL/dw = ∂L/∂p · ∂p/∂u · ∂u/∂w" in text
    assert "1×2     1×1     1×1     1×2" in text


def test_s1_9_where_the_rules_give_nan_the_formula_is_still_right():
    w = ob.tensor([-800.0], requires_grad=True)
    with np.errstate(all="ignore"):
        p = ob.sigmoid(w * 1.0)
        L = ob.sum(-ob.log(p))
    d = ob.derive(L, wrt=w)  # 0 · inf on the way: nothing to compare, and no false alarm
    assert any("σ" in line.formula for line in d.lines)


def network(W1, b1, W2, b2, x, y):
    s1 = W1 @ x + b1
    a1 = 3 * ob.relu(s1)
    s2 = W2 @ a1 + b2
    C = ob.sum((s2 - y) ** 2)
    return C  # noqa: RET504


def arguments():
    rng = np.random.default_rng(0)
    return [rng.normal(size=s) for s in ((4, 3), 4, (2, 4), 2, 3, 2)]


def test_s3_3_gradients_in_terms_of_the_pieces_have_the_shape_of_their_variable():
    args = arguments()
    names = ["W1", "b1", "W2", "b2"]
    d = ob.derive(network, *args, wrt=names)
    grads = ob.grad(network, argnums=(0, 1, 2, 3))(*args)
    found = {line.left: line for line in d.lines if line.part == "backward"}
    for name, grad in zip(names, grads, strict=True):
        line = found[nfd({"W1": "W̄1", "b1": "b̄1", "W2": "W̄2", "b2": "b̄2"}[name])]
        np.testing.assert_allclose(line.value, grad, rtol=1e-13)
        assert line.value.shape == np.shape(grad)
    assert found[nfd("W̄2")].formula == nfd("s̄2 a1ᵀ")
    assert found[nfd("W̄1")].formula == nfd("s̄1 xᵀ")
    assert found[nfd("s̄1")].formula == nfd("3 [relu(s1) > 0] ⊙ ā1")
    assert found[nfd("W̄1")].factors == ((nfd("s̄1"), (4,)), ("x", (3,)))


def test_s3_4_local_jacobians_by_their_structure():
    d = ob.derive(network, *arguments(), wrt=["W1", "b1", "W2"], style="jacobian")
    local = {line.left: line.formula for line in d.lines if line.part == "local"}
    assert local == {
        "∂C/∂s2": "2 (s2 − y)ᵀ",
        "∂s2/∂a1": "W2",
        "∂a1/∂s1": "3 diag([relu(s1) > 0])",
        "∂s2/∂W2": "I₂ ⊗ a1ᵀ",
        "∂s1/∂b1": "I₄",
        "∂s1/∂W1": "I₄ ⊗ xᵀ",
    }


def test_s1_6_a_relu_is_a_diagonal_matrix_and_a_product_entry_by_entry():
    x = np.array([1.0, -2.0, 3.0, -1.0])
    z_bar = np.array([4.0, -1.0, 5.0, 9.0])

    def f(x):
        z = ob.relu(x)
        L = ob.sum(z * z_bar)
        return L  # noqa: RET504

    bars = ob.derive(f, x, wrt="x")
    line = next(line for line in bars.lines if line.left == nfd("x̄") and line.part == "backward")
    assert line.formula == nfd("[z > 0] ⊙ z̄")
    np.testing.assert_array_equal(line.value, [4.0, 0.0, 5.0, 0.0])
    jacobian = ob.derive(f, x, wrt="x", style="jacobian")
    assert ("∂z/∂x", "diag([z > 0])") in [(line.left, line.formula) for line in jacobian.lines]


def test_s0_5_factors_shared_by_several_gradients_are_worked_out_once():
    def net(W1, W2, W3, x, y):
        z1 = W1 @ x
        h1 = ob.relu(z1)
        z2 = W2 @ h1
        h2 = ob.relu(z2)
        p = W3 @ h2
        L = ob.sum((p - y) ** 2)
        return L  # noqa: RET504

    rng = np.random.default_rng(1)
    args = [rng.normal(size=s) for s in ((4, 3), (4, 4), (2, 4), 3, 2)]
    bars = ob.derive(net, *args, wrt=["W1", "W2", "W3"])
    assert bars.shared == ["p", "z2"]
    notes = {line.left: line.note for line in bars.lines if line.note}
    assert notes[nfd("p̄")] == nfd("used by h̄2, W̄3")
    assert notes[nfd("z̄2")] == nfd("used by h̄1, W̄2")
    lefts = [line.left for line in bars.lines if line.part == "backward"]
    assert len(lefts) == len(set(lefts))
    chains = ob.derive(net, *args, wrt=["W3", "W2", "W1"], style="jacobian")
    notes = {line.left: line.note for line in chains.lines if line.part == "backward"}
    assert notes["dL/dW2"] == "∂L/∂p shared with dL/dW3"
    assert notes["dL/dW1"] == "∂L/∂p · ∂p/∂h2 · ∂h2/∂z2 shared with dL/dW2"
    assert "ob-shared" in bars.mathml()


def test_s4_4_index_notation_with_kroneckers_delta():
    def cost(W1, W2, b, x, y):
        x1 = W1 @ x + b
        x2 = ob.tanh(x1)
        x3 = W2 @ x2
        x4 = x3 - y
        ell = ob.sum(x4**2) / 2
        return ell  # noqa: RET504

    rng = np.random.default_rng(2)
    args = [rng.normal(size=s) for s in ((3, 3), (3, 3), 3, 3, 3)]
    d = ob.derive(cost, *args, wrt=["W1", "b", "W2", "x"], style="index")
    local = {line.left: line.formula for line in d.lines if line.part == "local"}
    assert local["∂x1ₖ/∂W1ᵢⱼ"] == "δₖᵢ xⱼ"
    assert local["∂x2ⱼ/∂x1ᵢ"] == "δⱼᵢ (1 − x2ⱼ²)"
    assert local["∂x1ⱼ/∂xᵢ"] == "W1ⱼᵢ"
    back = [(line.left, line.formula, line.value) for line in d.lines if line.part == "backward"]
    by_formula = {formula: value for left, formula, value in back if left == nfd("W̄1ᵢⱼ")}
    assert list(by_formula) == [nfd("Σₖ x̄1ₖ ∂x1ₖ/∂W1ᵢⱼ"), nfd("x̄1ᵢ xⱼ")]
    grad = ob.grad(cost)(*args)
    np.testing.assert_allclose(by_formula[nfd("x̄1ᵢ xⱼ")], grad, rtol=1e-13)
    assert nfd("Σⱼ W1ⱼᵢ x̄1ⱼ") in [formula for left, formula, _ in back if left == nfd("x̄ᵢ")]


def test_s3_11_jacobians_of_sums_and_products_of_linear_maps():
    rng = np.random.default_rng(3)
    W1, W2, x, v = (rng.normal(size=s) for s in ((2, 3), (2, 3), 3, 2))

    def added(x, W1, W2):
        h = W1 @ x + W2 @ x
        L = ob.sum(h * v)
        return L  # noqa: RET504

    d = ob.derive(added, x, W1, W2, wrt="x", style="jacobian")
    assert ("∂h/∂x", "W1 + W2") in [(line.left, line.formula) for line in d.lines]

    def twice(x, W):
        f = W @ x
        h = W @ f
        L = ob.sum(h * v[:1])
        return L  # noqa: RET504

    W = rng.normal(size=(3, 3))
    d = ob.derive(twice, x, W, wrt="x", style="jacobian")
    product = next(line for line in d.lines if line.left == "dL/dx" and line.part == "backward")
    assert product.formula == "∂L/∂h · ∂h/∂f · ∂f/∂x"


def test_the_axes_of_a_batch_are_said():
    rng = np.random.default_rng(4)
    W, b = (ob.tensor(rng.normal(size=s), requires_grad=True) for s in ((4, 3), 4))
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    H = ob.tanh(X @ W.mT + b)
    L = ob.mean((H - Y) ** 2)
    d = ob.derive(L, wrt=[W, b])
    back = {line.left: line.formula for line in d.lines if line.part == "backward"}
    assert back[nfd("b̄")] == nfd("Σ₀ z̄")
    assert back[nfd("W̄")] == nfd("z̄ᵀ X")
    assert back[nfd("z̄")] == nfd("H̄ ⊙ (1 − H²)")
    assert "used by" in d.text()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seed", range(0, 25, 3))
def test_random_programs_are_derived_in_every_style(seed, style):
    leaves, L = program(seed)
    there = [t for t in leaves if t.node in ob.explain(L).record.nodes]
    d = ob.derive(L, wrt=there, style=style)
    assert faults(d.latex()) == []
    minidom.parseString(d.mathml())  # noqa: S318  (our own)
    L.backward(retain_graph=True)
    last = {line.left: line.value for line in d.lines if line.part == "backward"}
    names = {
        "bar": lambda n: nfd({"M": "M̄"}.get(n, f"p̄{n[1:]}")),
        "leibniz": lambda n: f"dL/d{n}",
        "jacobian": lambda n: f"dL/d{n}",
        "index": lambda n: nfd({"M": "M̄ᵢⱼ"}.get(n, f"p̄{n[1:]}ᵢ")),
    }[style]
    for t in there:
        np.testing.assert_allclose(last[names(t.name)], t.grad.value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("op", TOLD, ids=lambda op: op.name)
def test_every_primitive_is_derived_entry_by_entry(op):
    for args, params in samples(op)[:2]:
        arrays = [np.asarray(a) for a in args]
        leaves = [ob.tensor(a, requires_grad=a.dtype.kind in "fc") for a in arrays]
        wanted = [t for t in leaves if t.requires_grad]
        if not wanted:
            continue
        L = total_of(op(*leaves, **params))
        d = ob.derive(L, wrt=wanted, style="index")
        assert faults(d.latex()) == []
        assert d.text()


def test_a_wrong_formula_is_an_error_of_ours(monkeypatch):
    from overbar.views import story

    rule = story.Story._rule
    monkeypatch.setattr(
        story.Story,
        "_rule",
        lambda self, node: Number(7, shape=()) if node.name == "z" else rule(self, node),
    )
    with pytest.raises(GradientError, match=r"z̄ = 7 is not worth .* mistake of overbar's"):
        ob.derive(regularised, *POINT, wrt="w")


def test_formats():
    w, _, L = logistic()
    text = ob.derive(L, wrt=w)
    assert str(text) == text.text()
    latex = ob.derive(L, wrt=w, to="latex")
    assert str(latex) == latex.latex()
    assert faults(str(latex)) == []
    assert r"\bar{u} &= \bar{p}\,p\,\left(1 - p\right)" in str(latex)
    assert r"\underset{2}{\bar{w}}" in str(latex)
    bare = ob.derive(L, wrt=w, to="latex", shapes=False, numbers=False)
    assert r"\bar{w} &= \bar{u}\,x" in str(bare)
    assert "0.182" not in str(bare)
    markdown = str(ob.derive(L, wrt=w, to="markdown"))
    assert markdown.count("$$") == 6
    assert markdown.startswith("**forward**")
    mathml = str(ob.derive(L, wrt=w, to="mathml"))
    assert mathml.startswith("<math ")
    assert 'class="ob-bar"' in mathml
    html = text._repr_html_()
    assert ".ob-bar{border-top" in html
    assert "<script" not in html
    assert "http" not in html.replace("http://www.w3.org/1998/Math/MathML", "")


def test_ascii_and_narrow_terminals():
    d = ob.derive(network, *arguments(), wrt=["W1", "b1", "W2"])
    plain = d.text(ascii=True)
    assert plain.isascii()
    assert "W1_bar" in plain
    from overbar.views.names import width

    for columns in (80, 160):
        for style in STYLES:
            d = ob.derive(network, *arguments(), wrt=["W1", "b1", "W2"], style=style)
            assert max(map(width, d.text(columns=columns).split("\n"))) <= columns


def test_numbers_and_shapes_can_be_left_out():
    d = ob.derive(regularised, *POINT, wrt="w", numbers=False)
    assert "0.1 · 0.5" not in d.text()
    d = ob.derive(network, *arguments(), wrt="W1", shapes=False)
    assert "4×3\n" not in d.text()
    assert all(line.numbers == "" for line in d.lines if line.part == "together")


def test_of_a_graph_and_of_a_jitted_step_and_after_backward():
    expected = ob.derive(regularised, *POINT, wrt="w").text()
    assert ob.derive(ob.jit(regularised), *POINT, wrt="w").text() == expected
    graph = ob.trace(regularised)(*POINT)
    assert ob.derive(graph, *POINT, wrt="w").lines[-1].value == pytest.approx(-0.2)
    w, _, L = logistic()
    before = ob.derive(L, wrt=w).text()
    L.backward()
    assert ob.derive(L, wrt=w).text() == before


def test_by_something_in_the_middle():
    _, _, L = logistic()
    d = ob.derive(L, wrt="u")
    assert d.lines[-1].formula in ("−(1 − p)", "−(1 − σ(u))", "−(1 − σ(wᵀ x))")
    assert [line.left for line in d.lines if line.part == "backward"][-1] == nfd("ū")


def test_a_long_program_is_shortened():
    w = ob.tensor(0.5, requires_grad=True)
    h = w * 1.0
    for _ in range(100):
        h = ob.tanh(h + w)
    text = ob.derive(h, wrt=w).text()
    assert "…" in text.split("\n")[module.LONG // 2 + 1]
    assert len(text.split("\n")) < 200


def test_what_cannot_be_derived_is_refused():
    w, _, L = logistic()
    for words, error, said in (
        ({"style": "newton"}, DomainError, "style='newton'"),
        ({"to": "word"}, DomainError, "to='word'"),
        ({"wrt": ob.tensor(1.0)}, GradientError, "does not depend"),
    ):
        with pytest.raises(error, match=said):
            ob.derive(L, **{"wrt": w, **words})
    with pytest.raises(GradientError, match="the result is one number"):
        ob.derive(w * 2.0, wrt=w, style="leibniz")
    A = ob.tensor([[2.0, 1.0], [0.5, 3.0]], requires_grad=True)
    Q, R = ob.linalg.qr(A)
    L = ob.sum(Q) + ob.sum(R)
    with pytest.raises(GradientError, match="several results"):
        ob.derive(L, wrt=A, style="jacobian")
    assert "qr" in ob.derive(L, wrt=A).text()


class Opaque(ob.Function):
    def forward(self, x):
        self.x = x.detach().numpy()
        return ob.tensor(np.sin(self.x))

    def backward(self, y_bar):
        return ob.tensor(y_bar.numpy() * np.cos(self.x))


def test_a_rule_that_cannot_be_read_is_said_to_be_unread():
    def f(x):
        y = Opaque()(x)
        L = y * y
        return L  # noqa: RET504

    d = ob.derive(f, 0.3, wrt="x")
    line = next(line for line in d.lines if line.left == nfd("x̄"))
    assert line.value == pytest.approx(2 * np.sin(0.3) * np.cos(0.3), rel=1e-13)
    assert line.note == "by opaque code: not checked"


def test_the_derivative_of_an_absolute_value_is_its_sign():
    def penalty(W):
        L = ob.sum(ob.abs(W)) + ob.sum(W**2)
        return L  # noqa: RET504

    d = ob.derive(penalty, np.array([[0.0, -1.0], [2.0, 0.5]]), wrt="W", numbers=False)
    assert str(d).splitlines()[-2].partition("=")[2].partition("=")[0].strip() == "sign(W) + 2 W"
    assert d.check("sign(W) + 2*W")
    with ob.config(kinks="right"):  # 1 at 0: no sign
        assert "sign" not in str(ob.derive(penalty, np.ones((2, 2)), wrt="W"))
