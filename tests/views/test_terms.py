"""Formulas as trees: evaluated back they are what the engine found, and they can be written."""

import dataclasses
import unicodedata
from xml.dom import minidom

import numpy as np
import pytest

import overbar as ob
from overbar.views.evaluate import agrees, evaluated, near, value_of
from overbar.views.formula import MATHML, TEX, TEXT, written
from overbar.views.mathml import symbol
from overbar.views.notation import tex_of_text
from overbar.views.record import record_of
from overbar.views.rows import Telling
from overbar.views.story import environment
from overbar.views.terms import (
    Number,
    Symbol,
    of_shape,
    power,
    product,
    quotient,
    rebuilt,
    simplified,
    symbols,
    total,
)
from tests.views.latex import faults
from tests.views.test_every_primitive import TOLD, samples
from tests.views.test_every_primitive import total as total_of


def nfd(text):
    """With every bar as the combining U+0304, as overbar writes it."""
    return unicodedata.normalize("NFD", text)


def telling_of(L, **how):
    return Telling(record_of("test", L).sweep(), **how)


@pytest.mark.parametrize("op", TOLD, ids=lambda op: op.name)
def test_every_formula_is_worth_what_the_engine_found(op):
    """Forward and backward, of every primitive: the tree evaluated, against value and message."""
    for args, params in samples(op):
        arrays = [np.asarray(a) for a in args]
        leaves = [ob.tensor(a, requires_grad=a.dtype.kind in "fc") for a in arrays]
        if not any(t.requires_grad for t in leaves):
            continue
        telling = telling_of(total_of(op(*leaves, **params)), longest=None)
        env = environment(telling)
        for row in telling.rows:
            assert agrees(telling.forward(row), env, telling.record.value(row.node))
            for x, e in telling.backward(row).items():
                message = telling.message(row, x)
                if message is not None:
                    assert agrees(e, env, message), written(e)


@pytest.mark.parametrize("op", TOLD, ids=lambda op: op.name)
def test_every_formula_can_be_written_in_latex_and_mathml(op):
    for args, params in samples(op):
        arrays = [np.asarray(a) for a in args]
        leaves = [ob.tensor(a, requires_grad=a.dtype.kind in "fc") for a in arrays]
        if not any(t.requires_grad for t in leaves):
            continue
        telling = telling_of(total_of(op(*leaves, **params)))
        for row in telling.rows:
            for e in (telling.forward(row), *telling.backward(row).values()):
                assert faults(written(e, TEX)) == []
                minidom.parseString(f"<math>{written(e, MATHML)}</math>")  # noqa: S318  (our own)


@pytest.mark.parametrize("op", TOLD, ids=lambda op: op.name)
def test_every_tangent_formula_is_worth_the_engines_tangent(op):
    for args, params in samples(op):
        arrays = [np.asarray(a) for a in args]
        leaves = [ob.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        if not any(t.requires_grad for t in leaves) or any(a.dtype.kind == "c" for a in arrays):
            continue
        telling = telling_of(total_of(op(*leaves, **params)), longest=None)
        record, rng = telling.record, np.random.default_rng(1)
        seeds = {
            v: rng.normal(size=v.spec.shape).astype(v.spec.dtype)[()] for v in record.variables
        }
        dots = record.tangents(seeds)
        env = environment(telling)
        for node, d in dots.items():
            name = telling.names.get(node.serial)
            env[Symbol(name, dotted=True)] = d
        for row in telling.rows:
            if row.node in dots and not isinstance(row.node.spec, tuple):
                e = telling.tangent(row)
                if all(s in env for s in symbols(e)):
                    assert agrees(e, env, dots[row.node]), written(e)


# -- identities -------------------------------------------------------------------------------

a, b = Symbol("a", shape=()), Symbol("b", shape=())
v = Symbol("v", **of_shape((3,)))
ONE = Number(1, shape=())


def test_what_is_tidied_keeps_its_worth():
    env = {a: 3.0, b: -2.0}
    e = total(product(a, b), product(Number(-1, shape=()), b), product(a, b))
    assert written(e) == "2 a b − b"
    assert value_of(e, env) == -10.0
    assert written(total(a, product(Number(-1, shape=()), a))) == "0"


def test_what_stands_above_and_below_is_cancelled_only_when_asked():
    e = product(quotient(Number(-1, shape=()), a), product(a, total(ONE, product(Number(-1), a))))
    assert written(e) == "−a (1 − a) / a"
    assert written(simplified(e)) == "−(1 − a)"
    assert written(simplified(quotient(product(a, product(a, b)), product(b, a)))) == "a"
    assert written(simplified(quotient(power(a, 3), a))) == "a²"


def test_a_symbol_is_replaced_and_the_rest_tidied():
    e = product(a, total(b, ONE))
    assert written(rebuilt(e, lambda s: ONE if s == a else None)) == "b + 1"


def test_a_column_times_a_row_is_a_matrix_product():
    x = ob.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = ob.tensor([4.0, 5.0], requires_grad=True)
    K = x.reshape(3, 1) * y.reshape(1, 2)
    L = ob.sum(K)
    telling = telling_of(L)
    assert written(telling.forward(telling.rows[0])) == "x yᵀ"
    assert "x²" not in str(ob.explain(ob.sum(x.reshape(3, 1) * x.reshape(1, 3))))


def test_a_dot_product_reads_as_in_textbooks():
    w = ob.tensor([1.0, 2.0], requires_grad=True)
    v = ob.tensor([3.0, 4.0], requires_grad=True)
    u = w @ v
    story = ob.explain(u)
    assert story["u"].formula == "wᵀ v"
    said = {m.target: m.formula for m in story["u"].messages}
    assert said == {"w": nfd("ū v"), "v": nfd("ū w")}


def test_rounding_is_judged_by_the_size_of_what_was_added():
    big = Number(1e16, shape=())
    e = total(big, a, product(Number(-1, shape=()), b))
    value, size = evaluated(e, {a: 1.0, b: 1e16})
    assert near(value, size, 1.0)
    assert not near(np.float64(1.0), np.float64(1.0), 1.0 + 1e-9)
    assert not near(np.ones(3), np.ones(3), np.ones(2))


def test_words_of_primitives_in_latex():
    assert tex_of_text("[a > b]") == "[a\\,>\\,b]"
    assert tex_of_text("into[1:3](x)") == r"\operatorname{into}[1:3](x)"
    assert tex_of_text("⌊a⌋") == r"\lfloor a\rfloor "


def test_names_in_latex_and_mathml():
    assert written(Symbol("lam"), TEX) == r"\lambda"
    assert written(Symbol("W_h", barred=True), TEX) == r"\bar{W}_{h}"
    assert written(Symbol("x_1"), TEX) == "x_{1}"
    assert written(Symbol("50%_{}"), TEX) == r"\mathrm{50\%\_\{\}}"
    assert written(Symbol("ŷ", barred=True), TEX) == r"\bar{\hat{y}}"
    assert written(Symbol("naïve_2"), TEX) == r"\mathrm{na\ddot{i}ve}_{2}"
    assert written(Symbol("Δt"), TEX) == r"\mathrm{\Delta t}"
    for name in ("a_b_c^~\\", "ỹ2", "Φ", "ℓ", "x_é", "größte_Höhe"):
        assert "\\" in written(Symbol(name), TEX)
        assert [f for f in faults(written(Symbol(name), TEX)) if "ß" not in f] == []
    assert symbol("w1", barred=True) == (
        '<msub><mrow class="ob-bar"><mi>w</mi></mrow><mn>1</mn></msub>'
    )
    assert "&lt;b&gt;" in symbol("<b>")


def test_mathml_draws_roots_fractions_and_powers():
    x = ob.tensor(2.0, requires_grad=True)
    y = ob.sqrt(x + 1) / (x * x)
    telling = telling_of(y, longest=None)
    text = written(telling.forward(telling.rows[0]), MATHML)
    assert "<mfrac>" in text
    assert "<msqrt>" in text
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in text


def test_the_axes_of_a_sum_are_said_where_it_matters():
    X = ob.tensor(np.ones((2, 3)), requires_grad=True)
    s = ob.sum(X, axis=0)
    telling = telling_of(ob.sum(s))
    how = dataclasses.replace(TEXT, axes=True)
    assert written(telling.forward(telling.rows[0]), how) == "Σ₀ X"
    assert written(telling.forward(telling.rows[1]), how) == "Σ s"
    tex = dataclasses.replace(TEX, axes=True)
    assert written(telling.forward(telling.rows[0]), tex) == r"\sum_{0} X"


@pytest.mark.parametrize(
    ("tex", "said"),
    [
        (r"\left(a", "do not match"),
        (r"\frac{a}{b", "not closed"),
        (r"a}", "not opened"),
        (r"\foo", "unknown"),
        (r"\begin{aligned} a", "not ended"),
        (r"a_{1}_{2}", "double"),
        (r"x^2^\top", "double"),
        (r"\operatorname{a_b}", "bare _"),
        ("a & b", "outside"),
        ("σ", "characters"),
    ],
)
def test_a_fault_in_latex_is_seen(tex, said):
    assert any(said in fault for fault in faults(tex))
