"""The two-column story: its text, its numbers, its names; and that telling it changes nothing."""

import gc
import runpy
import unicodedata
import weakref

import numpy as np
import pytest

import overbar as ob
from overbar.errors import FileError, GradientError
from overbar.views.formula import TEX, Symbol, formula_of, written
from overbar.views.names import ascii_of, bar, names_of, width
from overbar.views.record import record_of


def nfd(text):
    """With every bar as the combining U+0304, as overbar writes it."""
    return unicodedata.normalize("NFD", text)


STORY = nfd("""\
     forward  ↓                     backward  ↑
 1   z = w x + b       0.800        w̄ = z̄ x           -0.0685
                                    b̄ = z̄             -0.0342
 2   y = σ(z)          0.690        z̄ = ȳ y (1 − y)   -0.0342
 3   e = y − t        -0.160        ȳ = ē             -0.160
 4   L = e² / 2        0.0128       ē = L̄ e           -0.160
                                    L̄ = 1""")

IN_ASCII = """\
     forward                        backward
 1   z = w x + b       0.800        w_bar = z_bar x           -0.0685
                                    b_bar = z_bar             -0.0342
 2   y = sigmoid(z)    0.690        z_bar = y_bar y (1 - y)   -0.0342
 3   e = y - t        -0.160        y_bar = e_bar             -0.160
 4   L = e^2 / 2       0.0128       e_bar = L_bar e           -0.160
                                    L_bar = 1"""


def neuron():
    w = ob.tensor(0.3, requires_grad=True)
    b = ob.tensor(0.2, requires_grad=True)
    x, t = 2.0, 0.85
    z = w * x + b
    y = ob.sigmoid(z)
    e = y - t
    L = e**2 / 2
    return w, b, L


def test_the_story_of_a_logistic_neuron():
    *_, L = neuron()
    assert ob.explain(L).text() == STORY
    assert ob.explain(L).text(ascii=True) == IN_ASCII


def test_it_can_be_told_after_backward():
    w, b, L = neuron()
    L.backward()
    story = ob.explain(L)
    assert story.text() == STORY
    assert story["w"].adjoint == w.grad.value
    assert story["b"].adjoint == b.grad.value


def test_a_long_expression_is_told_in_textbook_letters():
    w = ob.tensor(0.3, requires_grad=True)
    b = ob.tensor(0.2, requires_grad=True)
    x, t = 2.0, 0.85
    L = (ob.sigmoid(w * x + b) - t) ** 2 / 2
    assert ob.explain(L).text() == STORY


def regularised(w, b, x, t, lam):
    z = w * x + b
    y = ob.sigmoid(z)
    L = (y - t) ** 2 / 2
    R = w**2 / 2
    Lreg = L + lam * R
    return Lreg  # noqa: RET504  (the name is what is told)


def test_s2_5_bar_notation_as_values_of_a_program():
    story = ob.explain(
        lambda w, b, x, t: regularised(w, b, x, t, 0.0), 0.5, -1.0, 2.0, 1.0, wrt=["w", "b"]
    )
    said = {m.target: m.formula for row in story.rows for m in row.messages if row.name != "R"}
    assert said["y"] == nfd("L̄ (y − t)")
    assert said["z"] == nfd("ȳ y (1 − y)")
    assert said["w"] == nfd("z̄ x")
    assert said["b"] == nfd("z̄")


def test_s2_10_regularised_least_squares():
    story = ob.explain(regularised, 0.5, -1.0, 2.0, 1.0, 0.1, wrt=["w", "b"])
    value = {row.name: row.value for row in story.rows}
    bars = {row.name: row.adjoint for row in story.rows}
    assert (value["z"], value["y"]) == (0.0, 0.5)
    assert (bars["y"], bars["z"], bars["b"]) == (-0.5, -0.125, -0.125)
    assert bars["w"] == pytest.approx(-0.2, rel=1e-15)
    parts = {m.source: m.value for m in story.at("w").incoming}
    assert parts == {"z": -0.25, "R": pytest.approx(0.05, rel=1e-15)}
    assert nfd("w̄ = z̄ x + R̄ w     -0.200") in story.text()
    assert nfd("w̄ += z̄ x          -0.250") in story.text()
    assert nfd("w̄ += R̄ w           0.0500") in story.text()


def test_s0_3_the_table_of_a_two_layer_product(rng):
    def f(w1, w2, w3, x1, x2):
        z1 = w1 * x1
        z2 = w2 * x2
        z3 = z1 + z2
        y = w3 * z3
        return y  # noqa: RET504

    w1, w2, w3, x1, x2 = (float(v) for v in rng.normal(size=5))
    story = ob.explain(f, w1, w2, w3, x1, x2, wrt=["w1", "w2", "w3"])
    bars = {row.name: float(row.adjoint) for row in story.rows if row.adjoint is not None}
    z3 = w1 * x1 + w2 * x2
    closed = {"y": 1, "z3": w3, "z1": w3, "z2": w3, "w1": x1 * w3, "w2": x2 * w3, "w3": z3}
    assert bars == pytest.approx(closed, rel=1e-15)
    assert story["z1"].messages[0].formula == nfd("z̄1 x1")


def test_s1_17_rules_of_thumb():
    def f(a, b, c):
        s = a + b
        p = s * c
        m = ob.maximum(p, a)
        return m  # noqa: RET504

    story = ob.explain(f, 1.0, 2.0, 3.0)
    assert story["s"].words == "add distributes: each input receives the adjoint as it is"
    assert (
        story["p"].words
        == "multiply switches: each input receives the adjoint scaled by the other's value"
    )
    assert story.rows[-1].words == (
        "max routes: the adjoint goes to the greater input, the other receives nothing; a tie "
        "shares it"
    )


def test_s2_9_what_a_node_receives_and_sends():
    story = ob.explain(regularised, 0.5, -1.0, 2.0, 1.0, 0.1, wrt=["w", "b"])
    w = story.at("w")
    assert [(m.source, m.formula) for m in w.incoming] == [("R", nfd("R̄ w")), ("z", nfd("z̄ x"))]
    assert w.adjoint == sum(m.value for m in w.incoming)
    assert story.at("y").text() == nfd(
        "y receives\n"
        "    from L   L̄   ∂L/∂y = y − t = -0.500   L̄ (y − t)       -0.500\n"
        "                                          ȳ = L̄ (y − t)   -0.500\n"
        "y sends\n"
        "    to z   ȳ y (1 − y)   -0.125\n"
        "sigmoid scales: the adjoint is multiplied by its local derivative"
    )


# -- every number is the engine's -------------------------------------------------------------

UNARY = (
    ob.tanh,
    ob.sigmoid,
    ob.sin,
    ob.relu,
    lambda x: x * x,
    lambda x: -x,
    lambda x: ob.exp(0.1 * x),
)
BINARY = (
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    ob.maximum,
    lambda a, b: a / (2 + b * b),
)


def program(seed):
    """A random program over vectors: its leaves and its result."""
    rng = np.random.default_rng(seed)
    leaves = [ob.tensor(rng.normal(size=3), requires_grad=True, name=f"p{i}") for i in range(3)]
    pool = list(leaves)
    for _ in range(rng.integers(4, 14)):
        if rng.random() < 0.5:
            pool.append(UNARY[rng.integers(len(UNARY))](pool[rng.integers(len(pool))]))
        else:
            a, b = pool[rng.integers(len(pool))], pool[rng.integers(len(pool))]
            pool.append(BINARY[rng.integers(len(BINARY))](a, b))
    M = ob.tensor(rng.normal(size=(3, 3)), requires_grad=True, name="M")
    return [*leaves, M], ob.sum(M @ pool[-1] + pool[-2] * pool[-3])


@pytest.mark.parametrize("seed", range(25))
def test_the_messages_of_every_node_sum_to_its_adjoint(seed):
    leaves, L = program(seed)
    story = ob.explain(L)
    record = story.record
    total = {}
    for m in record.messages:
        total[m.target] = total[m.target] + m.value if m.target in total else m.value
    for node, bar_of in record.bars.items():
        if node not in record.outputs:
            np.testing.assert_array_equal(total[node], bar_of)
    for row in story.rows:
        came = story.at(row.name).incoming
        if came:
            np.testing.assert_allclose(
                sum(m.value for m in came), row.adjoint, rtol=1e-12, atol=1e-15
            )
    L.backward()
    for leaf in leaves:
        if leaf.grad is not None:
            np.testing.assert_array_equal(story.adjoint(leaf), leaf.grad.value)


@pytest.mark.parametrize("seed", range(10))
def test_every_message_formula_evaluates_to_the_message(seed):
    """The formula printed, read as Python over the values printed, gives the number printed."""
    rng = np.random.default_rng(seed)

    def f(a, b, c):
        p = a * b + c
        q = p / (b * b) - c
        r = (q - a) ** 3 / 6
        s = r * q - p**2
        return s  # noqa: RET504

    story = ob.explain(f, *rng.uniform(0.5, 2.0, 3))
    values = {row.name: float(row.value) for row in story.rows}
    bars = {row.name + "_bar": float(row.adjoint) for row in story.rows}
    checked = 0
    for row in story.rows:
        for m in row.messages:
            said = evaluated(m.formula, values | bars)
            assert said == pytest.approx(float(m.value), rel=1e-12), m.formula
            checked += 1
        if row.formula:
            assert evaluated(row.formula, values) == pytest.approx(float(row.value), rel=1e-12)
    assert checked >= 8


def evaluated(formula, values):
    """What a printed formula is, for these values of its names."""
    return eval(_as_python(ascii_of(formula)), {}, values)  # noqa: S307  (our own text)


def _as_python(formula):
    """`2 a b^2 / (3 c)` with the products written out."""
    out, before = [], ""
    for word in formula.replace("^", " ** ").replace("(", " ( ").replace(")", " ) ").split():
        starts = word[0].isalnum() or word == "("
        if starts and (before[-1:].isalnum() or before == ")"):
            out.append("*")
        out.append(word)
        before = word
    return " ".join(out)


def test_a_function_and_its_result_tell_the_same():
    by_call = ob.explain(regularised, 0.5, -1.0, 2.0, 1.0, 0.1, wrt=["w", "b"]).text()
    w, b = ob.tensor(0.5, requires_grad=True), ob.tensor(-1.0, requires_grad=True)
    L = regularised(w, b, ob.tensor(2.0), ob.tensor(1.0), ob.tensor(0.1))
    assert ob.explain(L).text() == by_call


def test_a_jitted_function_is_told_as_what_it_does():
    args = (0.5, -1.0, 2.0, 1.0, 0.1)
    expected = ob.explain(regularised, *args, wrt=["w", "b"]).text()
    jitted = ob.jit(regularised)
    assert ob.explain(jitted, *args, wrt=["w", "b"]).text() == expected
    jitted(*args)
    assert ob.explain(jitted, *args, wrt=["w", "b"]).text() == expected


def test_a_step_that_trains_is_told_with_the_parameters_it_began_with():
    w = ob.tensor([0.5, -0.5], requires_grad=True, name="w")

    def step(x):
        L = ob.sum((w * x) ** 2)
        L.backward()
        w.rebind(w.detach() - 0.1 * w.grad)
        return L

    for f in (step, ob.jit(step)):
        story = ob.explain(f, np.ones(2), wrt=w)
        np.testing.assert_array_equal(story.adjoint("w"), [1.0, -1.0])
    np.testing.assert_array_equal(w.numpy(), [0.5, -0.5])


@pytest.mark.parametrize("columns", [80, 160])
def test_a_story_fits_a_terminal(columns):
    model = ob.nn.Sequential(ob.nn.Linear(3, 4), ob.nn.Tanh(), ob.nn.Linear(4, 3))
    L = ob.nn.functional.cross_entropy(
        model(np.ones((5, 3), np.float32)), np.array([0, 1, 2, 0, 1])
    )
    text = ob.explain(L).text(columns=columns)
    assert max(map(width, text.split("\n"))) <= columns
    assert "0.w" in text


def test_a_local_derivative_is_partial_though_its_inputs_depend_on_each_other():
    def f(x):
        a = ob.sin(x)
        b = a * x
        L = a * b
        return L  # noqa: RET504

    text = ob.explain(f, 0.7).at("a").text()
    assert f"∂L/∂a = b = {float(np.sin(0.7) * 0.7):.3f}" in text


def test_a_graph_is_explained():
    g = ob.trace(lambda x, y: x * y + x)(2.0, 3.0)
    story = ob.explain(g, 2.0, 3.0)
    assert [float(story.record.bars[v]) for v in story.record.variables] == [4.0, 2.0]
    with ob.record() as recorded:
        x = ob.tensor(3.0, requires_grad=True)
        y = x * x
    assert float(ob.explain(recorded).adjoint("x")) == 6.0
    assert float(y) == 9.0


def test_wrt_chooses_what_adjoints_lead_to():
    x = ob.tensor(3.0, requires_grad=True)
    u = x * 2
    y = u * u
    story = ob.explain(y, wrt=u)
    assert story.adjoint("u") == 12.0
    assert story.adjoint("x") is None
    assert ob.explain(lambda a, b: a * b, 2.0, 5.0, wrt="b").adjoint("b") == 2.0
    assert ob.explain(lambda a, b: a * b, 2.0, 5.0, wrt=1).adjoint("b") == 2.0


def test_arrays_are_told_by_shape_and_norm(rng):
    W = ob.tensor(rng.normal(size=(4, 3)), requires_grad=True)
    b = ob.tensor(np.zeros(4), requires_grad=True)
    X = rng.normal(size=(5, 3))
    H = ob.tanh(X @ W.mT + b)
    L = ob.sum(H * H)
    story = ob.explain(L)
    assert story["H"].formula == "tanh(X Wᵀ + b)"
    assert story["L"].formula == "Σ H²"
    assert {m.target: m.formula for m in story["H"].messages}["b"].startswith(nfd("Σ(H̄ ⊙ "))
    assert "5×4 ‖" in story.text()
    assert story["W"].shape == (4, 3)


def test_a_network_of_layers_is_told_by_the_paths_of_its_parameters():
    model = ob.nn.Sequential(ob.nn.Linear(3, 4), ob.nn.Tanh(), ob.nn.Linear(4, 1))
    X = np.ones((2, 3), np.float32)
    y = model(X)
    L = (y * y).mean()
    names = {row.name for row in ob.explain(L).rows}
    assert {"0.weight", "0.bias", "2.weight", "2.bias", "y", "L"} <= names


def test_a_long_story_is_shortened_and_names_its_variables_first():
    w = ob.tensor(0.5, requires_grad=True)
    h = w * 1.0
    for _ in range(160):
        h = ob.tanh(h + w)
    story = ob.explain(h)
    lines = story.text().splitlines()
    assert lines[0].split() == ["w", "0.500", nfd("w̄"), *lines[0].split()[3:]]
    assert [line.strip() for line in lines if "more" in line] == ["… 137 more"]
    assert len(story.text(full=True).splitlines()) > 160
    assert story["h₁₆₁"].formula == "tanh(h₁₆₀ + w)"


# -- names ------------------------------------------------------------------------------------


def names_in(L):
    record = record_of("test", L)
    names = names_of(record.nodes, record.outputs, record.given)
    return [names.get(n.serial) for n in record.nodes]


def test_names_come_from_assignments_arguments_and_use():
    first = ob.tensor(1.0, requires_grad=True, name="given")
    second = ob.tensor(2.0, requires_grad=True)
    third: ob.Tensor = first * second
    factor = 4.0
    total = third * factor
    total += second
    assert names_in(total) == ["given", "second", "third", "factor", "total₁", "total₂"]


def test_a_call_of_several_operations_is_named_once():
    x = ob.tensor([1.0, 3.0], requires_grad=True)
    m = ob.mean(x)
    assert [n for n in names_in(m) if n] == ["x", "m"]


def test_what_a_loop_makes_is_numbered():
    w = ob.tensor(0.5, requires_grad=True)
    h = w * w
    for _ in range(3):
        h = ob.tanh(h)
    assert [n for n in names_in(h) if n] == ["w", "h₁", "h₂", "h₃", "h₄"]


def test_attributes_and_keys_lose_their_owner():
    class Holder:
        pass

    self = Holder()
    self.scale = ob.tensor(2.0, requires_grad=True)
    params = {"shift": ob.tensor(1.0, requires_grad=True)}
    y = self.scale + params["shift"]
    assert names_in(y) == ["scale", "shift", "y"]


def test_one_number_under_two_names_is_called_by_each():
    w = ob.tensor(1.0, requires_grad=True)
    a, b = 3.25, 3.25
    y = (w * a) * b
    assert ob.explain(y)["y"].formula == "w a b"


def test_values_that_a_tool_keeps_in_the_callers_frame_give_no_names():
    """pytest keeps the operands of an assertion as @py_assert1, @py_assert3, ..."""
    record = record_of("test", ob.exp(ob.tensor([1.0, 2.0], requires_grad=True)))
    names = names_of(record.nodes, record.outputs, variables={"@py_assert1": record.nodes[0]})
    assert list(names.values()) == ["w", "y"]


def test_names_are_unique_and_hold_no_array():
    x = ob.tensor(np.ones(1000), requires_grad=True)
    y = ob.sin(x)
    y = ob.cos(y)
    record = record_of("test", ob.sum(y))
    names = names_of(record.nodes, record.outputs)
    assert len(set(names.values())) == len(names)
    assert all(type(k) is int and type(v) is str for k, v in names.items())
    alive = weakref.ref(x)
    del x, y, record
    gc.collect()
    assert alive() is None
    assert names


@pytest.mark.parametrize(
    ("name", "barred", "plain"),
    [
        ("w", "w̄", "w_bar"),
        ("loss", "l̄ōs̄s̄", "loss_bar"),
        ("W1", "W̄1", "W1_bar"),
        ("h₁₂", "h̄₁₂", "h12_bar"),
        ("fc.weight", "fc.w̄ēīḡh̄t̄", "fc.weight_bar"),
        ("xs[0]", "x̄s̄[0]", "xs_bar[0]"),
    ],
)
def test_a_bar_stands_over_the_letters(name, barred, plain):
    assert bar(name) == nfd(barred)
    assert width(bar(name)) == len(name)
    assert ascii_of(bar(name)) == plain


# -- formulas ---------------------------------------------------------------------------------


def formula(f, how=None):
    """The formula of f(a, b, c), whose arguments go by these names."""
    tensors = [
        ob.tensor(v, requires_grad=True, name=n)
        for n, v in zip("abc", (1.5, 2.5, 0.5), strict=True)
    ]
    y = f(*tensors)
    symbols = {t.node: Symbol(t.name) for t in tensors}
    e = formula_of(y.node, symbols.get)
    return written(e) if how is None else written(e, how)


FORMULAS = {
    "a + b − c": lambda a, b, c: a + b - c,
    "a − (b + c)": lambda a, b, c: a - (b + c),
    "a − (b − c)": lambda a, b, c: a - (b - c),
    "−(a + b)": lambda a, b, c: -(a + b),
    "c − 2 (a + b)": lambda a, b, c: c - 2 * (a + b),
    "a (b + c)": lambda a, b, c: a * (b + c),
    "a b + c": lambda a, b, c: a * b + c,
    "(a + b) / c": lambda a, b, c: (a + b) / c,
    "a / (b c)": lambda a, b, c: a / b / c,
    "a c / b": lambda a, b, c: a / (b / c),
    "(a + b)²": lambda a, b, c: (a + b) ** 2,
    "(a b)²": lambda a, b, c: (a * b) ** 2,
    "a^b": lambda a, b, c: a**b,
    "a^(b + c)": lambda a, b, c: a ** (b + c),
    "exp a": lambda a, b, c: ob.exp(a),
    "exp(a + b)": lambda a, b, c: ob.exp(a + b),
    "(exp a) b": lambda a, b, c: ob.exp(a) * b,
    "a exp b": lambda a, b, c: a * ob.exp(b),
    "(exp a) / b": lambda a, b, c: ob.exp(a) / b,
    "σ(a + b)": lambda a, b, c: ob.sigmoid(a + b),
    "−a": lambda a, b, c: -a,
    "a": lambda a, b, c: -(-a),  # noqa: B002
    "−a b": lambda a, b, c: (-a) * b,
    "2 a": lambda a, b, c: a + a,
    "a²": lambda a, b, c: a * a,
    "a / 2": lambda a, b, c: a / 2,
    "0.5 a": lambda a, b, c: 0.5 * a,
    "3 a / 2": lambda a, b, c: 3 * a / 2,
    "max(a, b + 1)": lambda a, b, c: ob.maximum(a, b + 1),
    "√(a + b)": lambda a, b, c: ob.sqrt(a + b),
    "|a − b|": lambda a, b, c: abs(a - b),
    "√a b": lambda a, b, c: ob.sqrt(a) * b,
    "(a where [a > b], else c)": lambda a, b, c: ob.where(ob.tensor(True, name="[a > b]"), a, c),
}


@pytest.mark.parametrize("text", FORMULAS)
def test_brackets_stand_where_they_are_needed(text):
    f = FORMULAS[text]
    if "where" in text:
        a, c = (
            ob.tensor(1.0, requires_grad=True, name="a"),
            ob.tensor(2.0, requires_grad=True, name="c"),
        )
        y = f(a, None, c)
        names = {a.node: "a", c.node: "c", y.node.inputs[0]: "[a > b]"}
        assert (
            written(formula_of(y.node, lambda n: Symbol(names[n]) if n in names else None)) == text
        )
        return
    assert formula(f) == text


def test_formulas_in_latex():
    assert formula(lambda a, b, c: (a + b) / c, TEX) == r"\frac{a + b}{c}"
    assert formula(lambda a, b, c: ob.sqrt(a + b) * c, TEX) == r"\sqrt{a + b}\,c"
    *_, L = neuron()
    tex = ob.explain(L).tex()
    assert r"\bar{z} &= \bar{y}\,y\,\left(1 - y\right)" in tex
    assert tex.count("{") == tex.count("}")


# -- asking changes nothing, and what comes back ----------------------------------------------


def test_asking_changes_nothing():
    w = ob.tensor([0.5, -0.5], requires_grad=True)
    (w * w).sum().backward()
    grad, node, value = w.grad, w._node, w.value
    rng = ob.random.default_rng(3)
    twin = ob.random.default_rng(3)

    def step(x):
        noise = rng.normal((2,))
        loss = ((w * x + noise) ** 2).sum()
        loss.backward()
        w.rebind(w.detach() - 0.1 * w.grad)
        return loss

    ob.explain(step, np.ones(2), wrt="x")
    ob.why_nan(step, np.ones(2))
    ob.kinks(step, np.ones(2))
    ob.why_zero("x", step, np.ones(2))
    assert w._node is node
    assert w.value is value
    assert w.grad is grad
    np.testing.assert_array_equal(rng.normal((4,)).value, twin.normal((4,)).value)
    from overbar.context import CONTEXT, Context

    assert CONTEXT.get() == Context()


def test_nodes_keep_what_they_kept():
    *_, L = neuron()
    from overbar.graph import ancestors

    before = [(n, n.value) for n in ancestors([L.node])]
    str(ob.explain(L))
    assert all(n.value is v for n, v in before)
    L.backward()
    before = [(n, n.value) for n in ancestors([L.node])]
    str(ob.explain(L))
    assert all(n.value is v for n, v in before)


def test_html_is_escaped_and_saved(tmp_path):
    x = ob.tensor(2.0, requires_grad=True, name="<b>&")
    y = x * x
    story = ob.explain(y)
    html = story._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;&amp;" in html
    assert html.startswith("<table>")
    story.save(tmp_path / "story.txt")
    assert (tmp_path / "story.txt").read_text("utf-8") == story.text() + "\n"
    story.save(tmp_path / "story.html")
    assert html in (tmp_path / "story.html").read_text("utf-8")
    with pytest.raises(FileError, match=r"\.txt or \.html"):
        story.save(tmp_path / "story.pdf")


def test_print_falls_back_on_ascii(monkeypatch):
    import io
    import sys

    *_, L = neuron()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert str(ob.explain(L)) == IN_ASCII


def test_what_cannot_be_explained_is_refused():
    with pytest.raises(GradientError, match="nothing that asks for a gradient"):
        ob.explain(ob.tensor(1.0) * 2.0)
    *_, L = neuron()
    with pytest.raises(GradientError, match="nothing here is called 'q'"):
        ob.explain(L).at("q")
    with pytest.raises(GradientError, match="nothing here is called 'q'"):
        ob.explain(L, wrt="q")
    with pytest.raises(TypeError, match="nothing that has a history"):
        ob.explain(3)


def test_operations_of_several_results_are_told():
    A = ob.tensor([[2.0, 1.0], [0.5, 3.0]], requires_grad=True)
    Q, R = ob.linalg.qr(A)
    L = ob.sum(Q) + ob.sum(R)
    story = ob.explain(L)
    L.backward()
    np.testing.assert_array_equal(story.adjoint("A"), A.grad.value)
    assert (story["Q"].formula, story["R"].formula) == ("v₁[0]", "v₁[1]")
    assert nfd("v̄₁ = (Q̄, 0) + (0, R̄)") in story.text()


def test_equal_code_in_two_files_has_its_own_place(tmp_path):
    source = "import overbar as ob\ny = ob.tensor(1.0, requires_grad=True) * 2.0\n"
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(source)
        y = runpy.run_path(str(tmp_path / name))["y"]
        assert y.node.origin.filename == str(tmp_path / name)


def test_an_argument_keeps_its_name_where_a_constant_would_get_the_same_letter():
    def spread(x):
        y = ob.broadcast_to(x, (3,))
        return ob.sum(y * np.array([1.0, 2.0, 3.0]))

    story = ob.explain(spread, 2.0)
    assert [row.name for row in story.rows] == ["x", "x₁", "y", "L"]
    assert story.adjoint("x") == 6.0


def test_what_a_split_is_unpacked_into_has_these_names():
    def gates(z):
        i, g = ob.split(z, 2)
        return ob.sum(ob.sigmoid(i) * ob.tanh(g))

    rows = ob.explain(gates, np.arange(4.0)).rows
    assert [(row.name, row.formula) for row in rows[1:3]] == [("i", "z[0:2]"), ("g", "z[2:4]")]
