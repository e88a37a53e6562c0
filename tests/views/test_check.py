"""A formula that somebody wrote, held against the engine: what is wrong with it is said.

The slips are those of the course notes (their list is docs/gallery/slips.md).
"""

import unicodedata

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError
from overbar.views.reading import names_in, read, said, worth


def nfd(text):
    """With every bar as the combining U+0304, as overbar writes it."""
    return unicodedata.normalize("NFD", text)


def regularised():
    w, b = ob.tensor(0.5, requires_grad=True), ob.tensor(-1.0, requires_grad=True)
    x, t, lam = 2.0, 1.0, 0.1
    z = w * x + b
    y = ob.sigmoid(z)
    R = w**2 / 2
    L = (y - t) ** 2 / 2 + lam * R
    return ob.derive(L, wrt=[w, b, z])


SLIPS = {
    "z_bar*x*R_bar*w": ("missing plus", "w goes into z and R"),  # TU Delft, the backward pass
    "z_bar*x": ("path missing", "+ R̄ w"),
    "R_bar*w": ("path missing", "+ z̄ x"),
    "z_bar*x + R_bar*w + R_bar*w": ("path twice", "through R"),
    "z_bar*x - R_bar*w": ("sign", "the sign of R̄ w"),
    "-(z_bar*x + R_bar*w)": ("sign", "the sign is wrong"),
    "2*z_bar*x + 2*R_bar*w": ("factor", "2 times too large"),
    "(z_bar*x + R_bar*w)/3": ("factor", "a factor 3 is missing"),
    "z_bar*w + R_bar*w": ("wrong name", "w stands where x is meant"),
    "z_bar + R_bar*w": ("factor missing", "the factor x is missing in the term z̄"),
    "z_bar*x + R_bar*w*x": ("factor too many", "the factor x is too many"),
    "z_bar*x + R_bar*w**2": ("square", "w² stands where w is meant"),
    "q*x": ("unknown name", "nothing here is called q"),
    "w_bar": ("unknown name", "w̄ is what is asked for"),
    "exp(z_bar)": ("wrong", ""),
}


@pytest.mark.parametrize("formula", SLIPS)
def test_a_slip_is_named(formula):
    kind, reason = SLIPS[formula]
    verdict = regularised().check(formula)
    assert not verdict
    assert verdict.kind == kind
    assert nfd(reason) in verdict.reason
    text = str(verdict)
    assert "not right" in text
    assert nfd("the rule: w̄ = z̄ x + R̄ w") in text


@pytest.mark.parametrize(
    "formula",
    [
        "z_bar*x + R_bar*w",
        "z̄ x + R̄ w",
        "w̄ = z̄ x + R̄ w",
        "w_bar = R_bar*w + x*z_bar",
        "(y - t)*sigmoid(z)*(1 - sigmoid(z))*x + lam*w",
        "(y − t) σ(z) (1 − σ(z)) x + lam w",
        "(y - t)*y*(1-y)*x + lam*w",
    ],
)
def test_a_right_formula_is_right_however_it_is_written(formula):
    verdict = regularised().check(formula)
    assert verdict
    assert verdict.kind == "right"
    assert str(verdict).endswith(": right")


def test_nyu_the_derivative_at_the_wrong_place():
    """σ(s²)(1 − σ(s²)) is right at 0 and at 1: by luck."""
    verdict = regularised().check("y_bar*sigmoid(z**2)*(1-sigmoid(z**2))", wrt="z")
    assert verdict.kind == "this point only"
    assert verdict.reason.endswith("not nearby: z² stands where z is meant")


def test_georgia_tech_a_factor_counted_twice_and_another_missing():
    w, x = ob.tensor([0.3, -0.4], requires_grad=True), ob.tensor([1.0, 2.0])
    u = w @ x
    p = ob.sigmoid(u)
    L = -ob.log(p)
    d = ob.derive(L, wrt=w)
    verdict = d.check("L_bar*p_bar*u_bar")
    assert verdict.kind == "factor too many"
    assert verdict.reason == nfd("the factor p̄ is too many; and the factor x is missing")
    assert d.check("-(1 - p)*x")
    assert d.check("u_bar * x")


def test_eth_rows_times_columns():
    W, y = np.ones((2, 3)), np.array([1.0, 0.0])
    h = ob.tensor([1.0, 2.0, 3.0], requires_grad=True)
    L = ob.sum((W @ h - y) ** 2)
    verdict = ob.derive(L, wrt=h).check("2 * W @ (W @ h - y)")
    assert (verdict.kind, verdict.reason) == ("transposed", "W is to be transposed")
    assert verdict.came is None
    assert "as it stands, the shapes do not fit" in str(verdict)


def test_georgia_tech_a_loss_without_its_logarithm():
    w, x = ob.tensor([0.3, -0.4], requires_grad=True), ob.tensor([1.0, 2.0])
    u = w @ x
    L = ob.sigmoid(u)
    verdict = ob.derive(L, wrt=u).check("-(1 - L)")
    assert verdict.reason == "the sign of 1 − L is wrong; and the factor L is missing"


def test_georgia_tech_one_of_two_paths():
    def f(x1, x2):
        a1 = ob.sin(x2)
        a2 = x1 * x2
        a3 = a1 + a2
        return a3  # noqa: RET504

    verdict = ob.derive(f, 2.0, np.pi / 3, wrt="x2").check("a2_bar*x1")
    assert verdict.kind == "path missing"
    assert verdict.reason.endswith(nfd("+ ā1 cos x2"))
    assert (float(verdict.came), float(verdict.wanted)) == (2.0, pytest.approx(2.5))


def test_eth_right_by_luck():
    """∂y/∂w1 with ∂y/∂z2 for ∂y/∂z1: the number is the same, whatever the numbers are."""

    def table(w1, w2, w3, x1, x2):
        z1 = w1 * x1
        z2 = w2 * x2
        z3 = z1 + z2
        y = w3 * z3
        return y  # noqa: RET504

    d = ob.derive(table, 1.0, 2.0, 5.0, 3.0, 4.0, wrt="w1")
    verdict = d.check("z2_bar*x1")
    assert verdict.kind == "by luck"
    assert not verdict
    assert "w1 goes into z1, not into z2" in str(verdict)
    assert d.check("z1_bar*x1").kind == "right"


def linear(W, x, y):
    z = W @ x
    L = ob.sum((z - y) ** 2)
    return L  # noqa: RET504


def test_nyu_and_berkeley_the_transpose_of_the_gradient():
    rng = np.random.default_rng(0)
    args = rng.normal(size=(2, 3)), rng.normal(size=3), rng.normal(size=2)
    d = ob.derive(linear, *args, wrt="W")
    verdict = d.check("np.outer(x, z_bar)")
    assert verdict.kind == "transposed"
    assert "[3, 2], but a gradient has the shape of its variable, [2, 3]" in verdict.reason
    for right in ("np.outer(z_bar, x)", "z_bar @ x.T", "z̄ xᵀ", "2*(z-y) @ x.T"):
        assert d.check(right), right
    assert d.check("(z-y) @ x.T").kind == "factor"


def test_berkeley_a_guess_whose_dimensions_fit():
    rng = np.random.default_rng(1)
    args = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    d = ob.derive(linear, *args, wrt="x")
    verdict = d.check("W @ z_bar")
    assert (verdict.kind, verdict.reason) == ("transposed", "W is to be transposed")
    assert d.check("W.T @ z_bar")
    assert d.check("z_bar @ W")


def test_a_batch_is_summed_over():
    def f(W, b, X, Y):
        P = X @ W + b
        L = ob.mean((P - Y) ** 2)
        return L  # noqa: RET504

    rng = np.random.default_rng(2)
    args = [rng.normal(size=s) for s in ((3, 2), 2, (5, 3), (5, 2))]
    d = ob.derive(f, *args, wrt=["W", "b"])
    verdict = d.check("P_bar", wrt="b")
    assert verdict.kind == "shape"
    assert "a sum over axis 0 is missing" in verdict.reason
    assert d.check("P_bar.sum(axis=0)", wrt="b")
    assert d.check("X.T @ P_bar", wrt="W")
    assert d.check("P_bar.T @ X", wrt="W").kind == "transposed"


def test_asking_for_a_check_changes_nothing():
    d = regularised()
    before = d.text()
    d.check("z_bar*x*R_bar*w")
    assert d.text() == before


# -- reading ----------------------------------------------------------------------------------

READ = {
    "z_bar*x*R_bar*w": "z̄ x R̄ w",
    "-(1-σ(u)) x": "−(1 − σ(u)) x",
    "−L̄ / p": "−L̄ / p",
    "ȳ σ(z) (1 − σ(z))": "ȳ σ(z) (1 − σ(z))",
    "2 (y − t)": "2 (y − t)",
    "log p": "log(p)",
    "log p²": "log(p²)",
    "P_bar.T @ H": "P̄ᵀ H",
    "[h > 0] ⊙ h̄ ⊙ x": "[h > 0] h̄ x",
    "(a b)ᵀ c": "(a b)ᵀ c",
    "h₁ + x[0]": "h1 + x[0]",
    "x.sum(axis=0)": "Σ(x, axis=0)",
    "multiply(a, b)": "a b",
    "fc.weight * 2": "fc.weight · 2",
}


@pytest.mark.parametrize("formula", READ)
def test_a_formula_is_read(formula):
    assert said(read(formula)) == nfd(READ[formula])


def test_what_is_read_is_worth_what_python_would_say():
    values = {"a": 2.0, "b": 3.0, "M": np.arange(6.0).reshape(2, 3), "v": np.array([1.0, 2.0])}
    for formula in ("a*b - 4/a", "-a**2", "a/b/2", "np.sum(M, axis=0)", "M.T @ v", "abs(-a)*b"):
        expected = eval(formula, {"np": np, "abs": abs}, values)  # noqa: S307  (our own text)
        np.testing.assert_allclose(worth(read(formula), values), expected)
    assert names_in(read("a*b + a")) == ["a", "b"]


@pytest.mark.parametrize("formula", ["__import__('os')", "a if b else c", "lambda: 1", "a +", ""])
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(DomainError, match="is not understood"):
        read(formula)
