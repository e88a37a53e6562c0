"""Paths, contributions and what-if: the parts of a gradient add up to it, and predict changes."""

import unicodedata

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError, GradientError, ShapeError
from overbar.views.names import width
from overbar.views.record import record_of


def nfd(text):
    """With every bar as the combining U+0304, as overbar writes it."""
    return unicodedata.normalize("NFD", text)


def dag(x, y):
    h1 = 2 * x
    h2 = 2 * h1**2
    h3 = h1 + y
    l = h2 * h3
    return l  # noqa: RET504  (the name is what is told)


def test_s0_2_two_paths_and_what_each_adds():
    found = ob.paths(dag, 3.0, 5.0, wrt="x")
    assert [(p.name, float(p.value), p.formula) for p in found] == [
        ("l → h2 → h1 → x", 528.0, "h3 · 4 h1 · 2"),
        ("l → h3 → h1 → x", 144.0, "h2 · 1 · 2"),
    ]
    assert [p.share for p in found] == pytest.approx([528 / 672, 144 / 672])
    assert float(found.value) == 672.0 == 48 * 9 + 16 * 15
    assert nfd("x̄ = dl/dx = 672: 2 paths") in str(found)


def test_s4_1_sums_over_paths():
    def ell(x):
        f = x**2
        g = x * 1.0
        h = f**2 + g**2
        return h  # noqa: RET504

    found = ob.paths(ell, 2.0, wrt="x")
    assert sorted(float(p.value) for p in found) == [4.0, 32.0]
    assert float(found.value) == 36.0


def test_s3_9_a_node_used_twice_in_one_operation_is_two_paths():
    def graph(x, y, z):
        a = x * y + z
        b = a * (x + x)
        w = a * b + b
        return w  # noqa: RET504

    found = ob.paths(graph, 2.0, 3.0, 1.0, wrt="x", top=None)
    assert len(found) == 7
    assert sum(float(p.value) for p in found) == 292.0 == float(found.value)
    assert len({p.name for p in found}) == 7
    square = ob.paths(lambda x: x * x, 3.0, wrt="x")
    assert [p.name for p in square] == ["L → x (use 1)", "L → x (use 2)"]


KINDS = (
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, _: ob.sin(a),
    lambda a, b: a - b * 0.5,
    lambda a, _: ob.tanh(a) * 1.5,
)


def random_dag(seed):
    """A program over numbers with at most 12 nodes; the sources are its arguments."""
    rng = np.random.default_rng(seed)
    plan = []
    for i in range(rng.integers(4, 10)):
        there = 2 + i
        plan.append((rng.integers(5), rng.integers(there), rng.integers(there)))

    def f(x, y):
        pool = [x, y]
        for kind, i, j in plan:
            pool.append(KINDS[kind](pool[i], pool[j]))
        return pool[-1] * pool[-2] + pool[-3]

    return f


def eliminated(record):
    """dL/dx by vertex elimination: inner nodes go one after the other, their edges multiplied."""
    weight = {}
    for node in record.path:
        if node.inputs and node not in record.stop:
            for x in dict.fromkeys(node.inputs):
                if x in set(record.path):
                    weight[node, x] = local(record, node, x)
    inner = [n for n in record.path if n not in record.variables and n not in record.outputs]
    for v in inner:
        above = [(n, w) for (n, x), w in weight.items() if x is v]
        below = [(x, w) for (n, x), w in weight.items() if n is v]
        weight = {e: w for e, w in weight.items() if v not in e}
        for n, w in above:
            for x, u in below:
                weight[n, x] = weight.get((n, x), 0.0) + w * u
    return weight.get((record.outputs[0], record.variables[0]), 0.0)


def local(record, node, x):
    """∂node/∂x by a central difference of the operation."""
    values = [float(record.values[i]) for i in node.inputs]

    def at(h):
        shifted = [v + h * (i is x) for v, i in zip(values, node.inputs, strict=True)]
        return float(node.op.run(*map(np.float64, shifted), **node.params))

    return (at(1e-6) - at(-1e-6)) / 2e-6


@pytest.mark.parametrize("seed", range(20))
def test_s1_7_sums_over_paths_are_the_derivative_in_every_mode(seed):
    f = random_dag(seed)
    x, y = 0.7, -1.3
    try:
        found = ob.paths(f, x, y, wrt="x", top=None)
    except GradientError:
        assert float(ob.grad(f)(x, y)) == 0.0  # it does not depend on x at all
        return
    reverse = float(ob.grad(f)(x, y))
    _, forward = ob.jvp(f, (x, y), (1.0, 0.0))
    assert sum(float(p.value) for p in found) == pytest.approx(reverse, rel=1e-12, abs=1e-14)
    assert reverse == pytest.approx(float(forward), rel=1e-12, abs=1e-14)
    assert eliminated(record_of("test", f, (x, y), "x")) == pytest.approx(
        reverse, rel=1e-6, abs=1e-8
    )


def counted_by_products(record):
    """How many paths there are, as a power sum of the matrix of edges."""
    nodes = record.path
    A = np.zeros((len(nodes), len(nodes)))
    for i, n in enumerate(nodes):
        if n.inputs and n not in record.stop:
            for x in n.inputs:
                if x in nodes:
                    A[i, nodes.index(x)] += 1
    total, power = np.zeros_like(A), np.eye(len(nodes))
    for _ in nodes:
        power = power @ A
        total += power
    return int(total[nodes.index(record.outputs[0]), nodes.index(record.variables[0])])


@pytest.mark.parametrize("seed", range(20))
def test_paths_are_counted_before_they_are_walked(seed):
    f = random_dag(seed)
    try:
        found = ob.paths(f, 0.7, -1.3, wrt="x", top=None)
    except GradientError:
        return
    assert len(found) == counted_by_products(record_of("test", f, (0.7, -1.3), "x"))


def test_too_many_paths_are_counted_and_refused():
    def deep(x):
        for _ in range(100):
            x = ob.sin(x) + x
        return x

    with pytest.raises(GradientError, match=r"about 1\.3e\+30 paths") as caught:
        ob.paths(deep, 1.0, wrt="x")
    assert "ob.contributions" in str(caught.value)

    def many(x):
        for _ in range(13):
            x = ob.sin(x) + x
        return x

    with pytest.raises(GradientError, match="8,192 paths"):
        ob.paths(many, 1.0, wrt="x")
    parts = ob.contributions(many, 1.0, wrt="x")
    assert sum(float(p.value) for p in parts) == pytest.approx(float(ob.grad(many)(1.0)), rel=1e-13)


def test_paths_of_arrays():
    rng = np.random.default_rng(0)
    W = ob.tensor(rng.normal(size=(3, 3)), requires_grad=True)
    x = rng.normal(size=3)
    h = ob.tanh(W @ x)
    y = W @ h
    L = ob.sum(y * y)
    found = ob.paths(L, wrt=W)
    L.backward()
    np.testing.assert_allclose(sum(p.value for p in found), W.grad.value, rtol=1e-12)
    assert [p.name for p in found] == ["L → y → W (use 1)", "L → y → W (use 2)"] or len(found) == 4
    assert sum(p.share for p in found) == pytest.approx(1.0, rel=1e-12)


# -- contributions ----------------------------------------------------------------------------


def regularised():
    w, b = ob.tensor(0.5, requires_grad=True), ob.tensor(-1.0, requires_grad=True)
    x, t, lam = 2.0, 1.0, 0.1
    z = w * x + b
    y = ob.sigmoid(z)
    L = (y - t) ** 2 / 2
    R = w**2 / 2
    Lreg = L + lam * R
    return w, Lreg


MESSAGES = nfd("""\
w̄ = dLreg/dw = -0.200: 2 messages
  from z   z̄ x   -0.250      125.0 %   ███████████████
  from R   R̄ w    0.0500     -25.0 %   ░░░""")


def test_shares_are_signed_and_add_up():
    w, Lreg = regularised()
    parts = ob.contributions(Lreg, wrt=w)
    assert parts.text() == MESSAGES
    assert [p.share for p in parts] == pytest.approx([1.25, -0.25])
    assert parts.text(ascii=True).isascii()
    paths = ob.contributions(Lreg, wrt=w, by="path")
    assert {p.name: p.share for p in paths} == pytest.approx(
        {"Lreg → L → y → z → w": 1.25, "Lreg → R → w": -0.25}
    )
    losses = ob.contributions(Lreg, wrt=w, by="loss")
    assert {p.name: float(p.value) for p in losses} == pytest.approx({"L": -0.25, "lam R": 0.05})


def test_s0_10_two_losses_on_one_trunk():
    rng = np.random.default_rng(1)
    W1 = ob.tensor(rng.normal(size=(3, 3)), requires_grad=True)
    x = rng.normal(size=(4, 3))
    y = ob.tanh(x @ W1)
    L1 = ob.sum(y**2)
    L2 = ob.mean(ob.abs(y - 1.0))
    together = L1 + L2
    for subject in ([L1, L2], together, (L1 + L2) * 3.0 / 3.0):
        parts = ob.contributions(subject, wrt=W1, by="loss")
        assert [p.name for p in parts] == ["L1", "L2"]
        for part, loss in zip(parts, (L1, L2), strict=True):
            np.testing.assert_allclose(part.value, ob.adjoint(loss, W1), rtol=1e-12)
        np.testing.assert_allclose(
            sum(p.value for p in parts), ob.adjoint(together, W1), rtol=1e-12
        )
        assert sum(p.share for p in parts) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("reduction", [ob.sum, ob.mean])
def test_by_sample_is_the_gradient_of_each_sample(reduction):
    rng = np.random.default_rng(2)
    W = ob.tensor(rng.normal(size=(2, 3)), requires_grad=True)
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    L = reduction((X @ W.mT - Y) ** 2) + 0.01 * ob.sum(W**2)
    parts = ob.contributions(L, wrt=W, by="sample")
    assert len(parts) == 6
    scale = 1.0 if reduction is ob.sum else 1 / 10

    def one(W, x, y):
        return scale * ob.sum((W @ x - y) ** 2)

    each = ob.vmap(ob.grad(one), in_axes=(None, 0, 0))(W.numpy(), X, Y)
    for part, expected in zip(parts, each, strict=False):
        np.testing.assert_allclose(part.value, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(parts[-1].value, 0.02 * W.numpy(), rtol=1e-12)
    assert "of no sample" in parts[-1].name
    np.testing.assert_allclose(sum(p.value for p in parts), ob.adjoint(L, W), rtol=1e-11)


def test_a_gradient_of_zero_has_no_shares():
    v = ob.tensor(1.0, requires_grad=True)
    q = v * v - 2 * v
    parts = ob.contributions(q, wrt=v)
    assert parts.cancels
    assert [p.share for p in parts] == [None] * 3
    assert "the messages cancel: their norms are ‖2.00‖, ‖1.00‖, ‖1.00‖" in str(parts)
    r = ob.relu(v - 5.0)
    dead = ob.contributions(r, wrt=v)
    assert not dead.cancels
    assert "the gradient is zero, and so is every part of it" in str(dead)


def test_a_list_of_parts_is_a_list():
    w, Lreg = regularised()
    parts = ob.contributions(Lreg, wrt=w)
    assert isinstance(parts, list)
    assert parts[0] in parts
    assert len(parts) == 2
    assert parts[0].norm == 0.25
    assert "125.0 %" in parts._repr_html_()


def test_what_cannot_be_split_is_refused():
    w, Lreg = regularised()
    with pytest.raises(DomainError, match="by='colour'"):
        ob.contributions(Lreg, wrt=w, by="colour")
    with pytest.raises(GradientError, match="depends on 2 variables"):
        ob.contributions(Lreg)
    with pytest.raises(GradientError, match="no one sum over samples"):
        ob.contributions(Lreg, wrt=w, by="sample")
    with pytest.raises(GradientError, match="does not depend"):
        ob.paths(Lreg, wrt=ob.tensor(1.0))


# -- what if ----------------------------------------------------------------------------------


def test_s4_6_wiggling_an_inner_node():
    w, x, t = ob.tensor(0.5, requires_grad=True), 2.0, 1.0
    z = w * x - 1
    y = ob.sigmoid(z)
    L = (y - t) ** 2 / 2
    ratios = [abs(ob.what_if(L, z, eps).ratio - 1) for eps in (1e-1, 1e-2, 1e-3, 1e-4)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < 1e-4
    answer = ob.what_if(L, z, 0.01)
    assert answer.touched == ["y", "L"]
    assert (answer.reran, answer.of) == (4, 6)
    assert answer.predicted == pytest.approx(-0.00125)
    assert float(answer.after) == pytest.approx(float((ob.sigmoid(0.01) - 1) ** 2 / 2), rel=1e-14)
    text = str(answer)
    assert "if z were 0.0100 instead of 0" in text
    assert "downhill: a greater z makes L smaller" in text


def test_only_what_depends_on_it_runs_again():
    calls = []
    W = ob.tensor(np.ones((2, 2)), requires_grad=True)
    a = W @ np.ones(2)
    b = ob.exp(W)
    L = ob.sum(a * a) + ob.sum(b)
    before = ob.what_if(L, a, a.numpy() + 1.0)
    assert "b" not in before.touched
    assert float(before.actual) == pytest.approx(10.0)
    assert not calls
    np.testing.assert_array_equal(W.numpy(), np.ones((2, 2)))


def test_of_a_function_by_name():
    answer = ob.what_if(dag, 3.0, 5.0, node="h1", value=6.1)
    assert answer.touched == ["h2", "h3", "l"]
    assert answer.predicted == pytest.approx(33.6)
    assert float(answer.after) == pytest.approx(2 * 6.1**2 * 11.1)
    jitted = ob.what_if(ob.jit(dag), 3.0, 5.0, node="h1", value=6.1)
    assert float(jitted.after) == float(answer.after)


def test_a_textbook_letter_is_a_name_too():
    w = ob.tensor(0.5, requires_grad=True)
    L = (ob.sigmoid(w * 2.0 + 0.1) - 1.0) ** 2 / 2
    assert "z = 2 w + 0.1" in str(ob.explain(L))
    answer = ob.what_if(L, "z", 1.0)
    assert answer.name == "z"
    assert float(answer.after) == pytest.approx(float((ob.sigmoid(1.0) - 1.0) ** 2 / 2), rel=1e-14)


def test_what_is_no_change_is_refused():
    _, Lreg = regularised()
    with pytest.raises(ShapeError, match="has not the shape"):
        ob.what_if(Lreg, "z", np.ones(3))
    with pytest.raises(GradientError, match="nothing here is called"):
        ob.what_if(Lreg, "q", 1.0)
    with pytest.raises(DomainError, match="a node and its new value"):
        ob.what_if(Lreg)
    with pytest.raises(DomainError, match="go together"):
        ob.what_if(Lreg, value=3.0)


# -- asking changes nothing -------------------------------------------------------------------


def test_asking_changes_nothing():
    model = ob.nn.Sequential(ob.nn.Linear(3, 4), ob.nn.Tanh(), ob.nn.Linear(4, 1))
    optimiser = ob.optim.Adam(model.parameters(), lr=0.1)
    rng = ob.random.default_rng(5)
    X, Y = np.ones((6, 3), np.float32), np.zeros((6, 1), np.float32)

    def step(X, Y):
        noise = rng.normal(X.shape).astype(np.float32)
        L = ob.mean((model(X + noise) - Y) ** 2)
        optimiser.zero_grad()
        L.backward()
        optimiser.step()
        return L

    step(X, Y)
    state = [(p, p.value.copy(), p.grad, p.grad.value.copy()) for p in model.parameters()]
    moments = {k: np.asarray(v) for k, v in _flat(optimiser.state_dict()).items()}
    twin = ob.random.default_rng(5)
    twin.normal(X.shape)
    for f in (step, ob.jit(step)):
        for ask in (
            lambda f: ob.explain(f, X, Y).text(),
            lambda f: ob.trace_table(f, X, Y, mode="both").text(),
            lambda f: ob.derive(f, X, Y, wrt=next(model.parameters())).text(),
            lambda f: ob.contributions(f, X, Y, wrt=next(model.parameters())).text(),
            lambda f: ob.what_if(f, X, Y, node=next(model.parameters()), value=0.0).text(),
            lambda f: ob.summary(f, X, Y).text(),
            lambda f: ob.shape_table(f, X, Y).text(),
        ):
            assert ask(f)
    ob.summary(model, X)
    for p, value, grad, numbers in state:
        assert p.grad is grad
        np.testing.assert_array_equal(p.value, value)
        np.testing.assert_array_equal(grad.value, numbers)
    for k, v in _flat(optimiser.state_dict()).items():
        np.testing.assert_array_equal(np.asarray(v), moments[k])
    np.testing.assert_array_equal(rng.normal((4,)).value, twin.normal((4,)).value)
    assert all("forward" not in vars(m) for m in model.modules())


def _flat(tree, path=""):
    if isinstance(tree, dict):
        return {k: v for key, part in tree.items() for k, v in _flat(part, f"{path}.{key}").items()}
    if isinstance(tree, list | tuple):
        return {k: v for i, part in enumerate(tree) for k, v in _flat(part, f"{path}.{i}").items()}
    return {path: tree.value if isinstance(tree, ob.Tensor) else tree}


def test_text_fits():
    w, Lreg = regularised()
    for answer in (
        ob.contributions(Lreg, wrt=w),
        ob.paths(Lreg, wrt=w),
        ob.what_if(Lreg, "z", 1.0),
    ):
        assert max(map(width, answer.text().split("\n"))) <= 100
