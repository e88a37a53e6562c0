"""The course notes' rows, each as a test named after its id: exactly the numbers of the notes.

`OWNERS` says for every row of the notes where it is shown first. The rows that belong to the engine
are here, those that need layers and optimisers in tests/library/test_cases_library.py, those of the
compiler in tests/compile, the tables, formulas and pictures in tests/views.
"""

import ast
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import overbar as ob
from overbar.elementwise import Elementwise
from overbar.errors import GradientError, ShapeError
from overbar.graph import ancestors
from overbar.ops.movement import parts
from overbar.primitive import PRIMITIVES

OWNERS = {
    "engine": "S0-2 S0-3 S0-7 S0-8 S0-10 S1-1 S1-2 S1-3 S1-4 S1-9 S1-11 S1-13 S1-14 S1-15 S1-16 "
    "S1-17 S1-18 S1-20 S1-23 S1-25 S2-1 S2-2 S2-3 S2-6 S2-7 S2-8 S2-10 S3-1 S3-5 S3-6 S3-8 S3-9 "
    "S4-1 S4-2 S4-7 S4-8 S4-9",
    "compiler": "S0-9 S2-4",
    "explain": "S0-1 S0-5 S0-11 S1-7 S1-10 S1-12 S1-19 S2-5 S2-9 S3-2 S3-3 S3-7 S3-10 "
    "S4-3 S4-4 S4-5 S4-6",
    "scientific": "S0-4 S0-6 S1-5 S1-6 S1-8 S3-4 S3-11",
    "models": "S1-21 S1-22",
    "gpu": "S1-24",
}
"""Row id by the issue that shows it first."""

EXPLAINED_LATER = "S0-3 S0-4 S1-9 S1-17 S3-9 S4-2"
"""Rows whose numbers come first, and whose table, cost, formula, words or picture come later."""

ROWS = {"S0": 11, "S1": 25, "S2": 10, "S3": 11, "S4": 9}


def test_every_row_of_the_notes_has_one_owner():
    listed = [row for rows in OWNERS.values() for row in rows.split()]
    assert len(listed) == len(set(listed))
    assert set(EXPLAINED_LATER.split()) <= set(listed) - set(OWNERS["explain"].split())
    assert set(listed) == {f"{notes}-{i}" for notes, n in ROWS.items() for i in range(1, n + 1)}


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        (OWNERS["engine"], "test_cases*.py library/test_cases*.py"),
        (OWNERS["compiler"], "compile/test_*.py"),
        (OWNERS["explain"] + " " + EXPLAINED_LATER, "views/test_*.py"),
    ],
    ids=["engine", "compiler", "explain"],
)
def test_every_row_has_its_test(rows, where):
    here = Path(__file__).parent
    found = {
        f"{notes.upper()}-{i}"
        for place in where.split()
        for path in here.glob(place)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        for notes, i in re.findall(r"(?<=_)(s\d)_(\d+)(?=_|$)", node.name)
    }
    assert set(rows.split()) - found == set()


def test_every_row_is_shown_in_the_gallery():
    gallery = Path(__file__).parent.parent / "docs" / "gallery"
    pages = [page.read_text(encoding="utf-8") for page in gallery.glob("*.md")]
    shown = {row for page in pages for row in re.findall(r"\bS\d-\d+\b", page)}
    assert {row for rows in OWNERS.values() for row in rows.split()} - shown == set()


def close(a, b, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(_plain(a), _plain(b), rtol=rtol, atol=atol)


def _plain(x):
    return x.detach().numpy() if isinstance(x, ob.Tensor) else np.asarray(x, np.float64)


def leaf(value, name=None):
    return ob.tensor(value, requires_grad=True, name=name)


def messages(root, node):
    """What each use of a node sends to it, in the backward sweep from a scalar root."""
    sent = []
    graph = ob.Graph([n for n in ancestors([root.node]) if not n.inputs], [root.node])
    for step in graph.steps("backward"):
        sent += [(step.node.op.name, np.asarray(m)) for x, m in step.messages if x is node]
    return sent


# -- S0 ----------------------------------------------------------------------------------------


def test_s0_2_the_two_paths_of_a_graph_add_up():
    """h1 = 2x, h2 = 2h1², h3 = h1 + y, l = h2 h3: dl/dx = 48x² + 16xy."""

    def notes(x, y):
        h1 = 2 * x
        h2 = 2 * h1**2
        h3 = h1 + y
        return h1, h2, h3, h2 * h3

    x, y = leaf(3.0, "x"), leaf(5.0, "y")
    with ob.record():
        h1, h2, h3, loss = notes(x, y)
    loss.backward(retain_graph=True)
    assert float(x.grad) == 672.0 == 48 * 9 + 16 * 15
    assert [float(ob.adjoint(loss, h)) for h in (h2, h3, h1)] == [
        11.0,
        72.0,
        336.0,
    ]  # 2x + y, 8x², 2·8x·11/… below
    through_h2 = ob.adjoint(loss, x, hold=[h3])
    through_h3 = ob.adjoint(loss, x, hold=[h2])
    assert float(through_h2) == 2 * (2 * 3 + 5) * 8 * 3 == 528
    assert float(through_h3) == 2 * 8 * 3**2 == 144
    assert float(through_h2) + float(through_h3) == 672.0
    at = lambda f, v: float(ob.grad(f)(v))
    assert at(lambda h1: 2 * h1**2, 6.0) == 4 * 6 == 8 * 3  # 4 h1 = 8x
    assert at(lambda h1: h1 + 5.0, 6.0) == 1.0
    assert at(lambda x: 2 * x, 3.0) == 2.0


def test_s0_3_every_cell_of_the_table_forward_and_reverse(rng):
    """y = w3 (w2 x2 + w1 x1)."""
    x1, x2, w1, w2, w3 = (float(v) for v in rng.standard_normal(5))

    def notes(w1, w2, w3):
        z1, z2 = w1 * x1, w2 * x2
        z3 = z1 + z2
        return z1, z2, z3, w3 * z3

    _, dots = ob.jvp(notes, (w1, w2, w3), (1.0, 0.0, 0.0))
    close(dots[0], x1)
    assert float(dots[1]) == 0.0
    close(dots[2], x1)
    close(dots[3], x1 * w3)
    leaves = [leaf(w1), leaf(w2), leaf(w3)]
    z1, z2, z3, y = notes(*leaves)
    y_bars = ob.adjoint(y, [y, z3, z2, z1, *leaves])
    for came, wanted in zip(
        y_bars, [1.0, w3, w3, w3, x1 * w3, x2 * w3, w2 * x2 + w1 * x1], strict=True
    ):
        close(came, wanted)


def test_s0_7_the_three_dimensional_tensor_of_a_linear_layer_is_never_formed():
    import tracemalloc

    n = 1024  # the rule is the same at 4096, where one array is 128 MiB
    w, x = leaf(np.ones((n, n))), ob.tensor(np.arange(float(n)))
    loss = ob.sum(w @ x)
    tracemalloc.start()
    loss.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert w.grad.shape == (n, n)
    close(w.grad, np.outer(np.ones(n), np.arange(float(n))))
    assert peak < 3 * w.value.nbytes


SMOOTH_UNARY = sorted(
    name
    for name, op in PRIMITIVES.items()
    if isinstance(op, Elementwise) and op.arity == 1 and not op.flat and not op.samples
)


@pytest.mark.parametrize("name", SMOOTH_UNARY)
def test_s0_8_one_rule_for_every_elementwise_function(name):
    """∂L/∂x = ∂L/∂y ⊙ f′(x): the Jacobian is diagonal, its diagonal what differences find."""
    op = PRIMITIVES[name]
    domain = op.domain or (-3.0, 3.0)
    low, high = domain[0] if isinstance(domain[0], tuple) else domain
    low, high = max(low, -3.0), min(high, 3.0)
    x = low + (high - low) * np.array([0.17, 0.39, 0.61, 0.83])
    ob.testing.check_gradients(lambda x: op(ob.asarray(x)), x, order=1)
    y_bar = np.array([1.0, -2.0, 0.5, 3.0])
    jacobian = ob.jacrev(lambda x: op(ob.asarray(x)))(x)
    assert np.count_nonzero(jacobian - np.diag(np.diag(jacobian))) == 0
    close(ob.vjp(lambda x: op(ob.asarray(x)), x)[1](y_bar)[0], y_bar * np.diag(jacobian), 1e-13)


def test_s0_10_two_losses_go_through_the_trunk_once(rng):
    x = rng.standard_normal((4, 3))

    def heads(w):
        y = ob.tanh(ob.tensor(x) @ w)
        return ob.sum(y**2), ob.mean(ob.abs(y - 1.0))

    w = rng.standard_normal((3, 2))
    both, one, two = leaf(w), leaf(w), leaf(w)
    l1, l2 = heads(both)
    trunk = PRIMITIVES["matmul"]
    rules, calls = trunk.vjp, []
    counting = (
        tuple((lambda *a, r=r, **k: calls.append(1) or r(*a, **k)) for r in rules)
        if isinstance(rules, tuple)
        else None
    )
    if counting is not None:
        for rule, before in zip(counting, rules, strict=True):
            rule.__name__ = before.__name__
    steps = list(ob.Graph([both.node], [l1.node, l2.node]).steps("backward"))
    assert [s.node.op.name for s in steps].count("matmul") == 1
    assert [s.node.op.name for s in steps].count("tanh") == 1
    ob.backward([l1, l2])
    heads(one)[0].backward()
    heads(two)[1].backward()
    close(both.grad, one.grad + two.grad, 1e-14)


# -- S1 ----------------------------------------------------------------------------------------


def test_s1_1_a_graph_is_stepped_through_one_node_at_a_time(rng):
    x, w = leaf(rng.standard_normal((2, 3)), "x"), leaf(rng.standard_normal((3, 2)), "w")
    with ob.record() as g:
        loss = ob.sum(ob.relu(x @ w) ** 2)
    ages = [s.node.serial for s in g.steps("backward")]
    assert ages == sorted(ages, reverse=True)
    bars = {loss.node: np.ones(())}
    for step in g.steps("backward"):
        close(step.given, bars[step.node])
        for node, message in step.messages:
            bars[node] = bars.get(node, 0) + np.asarray(message)
    close(bars[x.node], ob.adjoint(loss, x))
    close(bars[w.node], ob.adjoint(loss, w))
    forward = [s.node for s in g.steps("forward")]
    assert [n.serial for n in forward] == sorted(ages)
    assert {n.op.name for n in forward} >= {"matmul", "relu", "sum"}


def test_s1_2_a_node_gives_its_adjoints_by_argument_name(rng):
    h, w = leaf(rng.standard_normal((2, 3)), "h"), leaf(rng.standard_normal((3, 4)), "W")
    b = leaf(np.zeros(4), "b")
    z_bar = rng.standard_normal((2, 4))
    sent = (h @ w).node.vjp(z_bar)
    assert set(sent) == {"h", "W"}
    close(sent["h"], z_bar @ w.value.T)
    close(sent["W"], h.value.T @ z_bar)
    close((h @ w + b).node.vjp(z_bar)["b"], z_bar.sum(0))
    with pytest.raises(ShapeError):
        (h @ w).node.vjp(z_bar.T)
    with pytest.raises(GradientError):
        h.node.vjp(z_bar)


@pytest.mark.parametrize(("out", "into"), list(itertools.product([(), (2,), (2, 3)], repeat=2)))
def test_s1_3_a_jacobian_has_the_shape_of_the_output_then_of_the_input(out, into):
    n, m = int(np.prod(out)), int(np.prod(into))
    a = np.arange(1.0, n * m + 1).reshape(n, m)
    f = lambda x: ob.reshape(ob.asarray(a) @ ob.reshape(x, (m,)), out)
    for mode in ("forward", "reverse", "auto"):
        jacobian = ob.jacobian(f, mode=mode)(np.ones(into))
        assert np.shape(jacobian) == (*out, *into)
        close(np.reshape(jacobian, (n, m)), a)
    if out == ():
        assert np.shape(ob.grad(f)(np.ones(into))) == into


def test_s1_4_a_bias_as_an_extra_column_gives_the_same_gradients(rng):
    x, w, b = rng.standard_normal((5, 3)), rng.standard_normal((3, 2)), rng.standard_normal(2)
    t = rng.standard_normal((5, 2))
    separate = lambda w, b: ob.sum((x @ w + b - t) ** 2)
    column = np.concatenate([x, np.ones((5, 1))], axis=1)
    augmented = lambda wb: ob.sum((column @ wb - t) ** 2)
    w_bar, b_bar = ob.grad(separate, argnums=(0, 1))(w, b)
    wb_bar = ob.grad(augmented)(np.concatenate([w, b[None]]))
    close(wb_bar[:3], w_bar)
    close(wb_bar[3], b_bar)
    inside = lambda w, b: ob.sum((column @ ob.concat([w, b[None]]) - t) ** 2)
    for came, wanted in zip(ob.grad(inside, argnums=(0, 1))(w, b), (w_bar, b_bar), strict=True):
        close(came, wanted)


def test_s1_9_logistic_regression_in_bar_notation(rng):
    """p = σ(wᵀx), L = −log p: p̄ = −1/p, ū = p̄ σ(1 − σ), w̄ = ū xᵀ = −(1 − σ(wᵀx)) xᵀ."""
    x, w = rng.standard_normal(4), leaf(rng.standard_normal(4))
    u = w @ ob.tensor(x)
    p = ob.sigmoid(u)
    loss = -ob.log(p)
    p_bar, u_bar, w_bar = ob.adjoint(loss, [p, u, w])
    s = 1 / (1 + np.exp(-float(u)))
    close(p_bar, -1 / s)
    close(u_bar, -(1 - s))
    close(w_bar, -(1 - s) * x)
    stable = ob.grad(lambda w: -ob.log_sigmoid(w @ x))
    close(stable(-800 * x / (x @ x)), -x)
    assert np.all(np.isfinite(stable(-800 * x / (x @ x))))


class ComputationalGraph:
    """The notes' class, with what it lacked: `self`, kept inputs, gradients by input."""

    def __init__(self, gates):
        self.gates = gates

    def forward(self, *inputs):
        for gate in self.gates:
            inputs = (gate.forward(*inputs),)
        return inputs[0]

    def backward(self):
        z_bars = (1.0,)
        for gate in reversed(self.gates):
            z_bars = gate.backward(*z_bars)
        return z_bars


class MultiplyGate(ob.Function):
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dz):
        return dz * self.y, dz * self.x


class SquareGate(ob.Function):
    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dz):
        return (2.0 * dz * self.x,)


class WrongGate(MultiplyGate):
    def backward(self, dz):
        return dz * self.x, dz * self.y


def test_s1_13_gates_of_ones_own_in_eager_traced_and_compiled_code():
    graph = ComputationalGraph([MultiplyGate(), SquareGate()])
    assert graph.forward(ob.asarray(3.0), ob.asarray(5.0)) == 225.0
    assert [float(b) for b in graph.backward()] == [150.0, 90.0]
    assert [float(d) for d in ob.vjp(MultiplyGate(), 3.0, 5.0)[1](7.0)] == [
        35.0,
        21.0,
    ]
    ob.testing.check_gradients(MultiplyGate, 3.0, 5.0)
    ob.testing.check_gradients(MultiplyGate(), 3.0, 5.0)
    with pytest.raises(GradientError, match="argument 0"):
        ob.testing.check_gradients(WrongGate, 3.0, 5.0)
    f = lambda x, y: SquareGate()(MultiplyGate()(x, y))
    for wrap in (lambda f: f, ob.jit, ob.checkpoint):
        assert [float(d) for d in ob.grad(wrap(f), argnums=(0, 1))(3.0, 5.0)] == [150.0, 90.0]
    assert [float(d) for d in ob.jit(ob.grad(f, argnums=(0, 1)))(3.0, 5.0)] == [150.0, 90.0]
    close(ob.vmap(ob.grad(f))(np.array([3.0, 1.0]), np.array([5.0, 2.0])), [150.0, 8.0])
    assert "gate" in [n.op.name for n in ob.trace(f)(3.0, 5.0).nodes]


def test_s1_14_any_composition_of_primitives_differentiates_without_a_rule():
    """A long one here; tests/test_programs.py draws hundreds at random."""

    def f(x, w):
        a = ob.softplus(x @ w) / (1.0 + ob.square(x).sum())
        b = ob.where(a > ob.mean(a), ob.sin(a), ob.exp(-a))
        c = ob.cumsum(ob.sort(b.reshape(-1))) * ob.logsumexp(b)
        d = ob.concat([c[::-1], ob.max(b, axis=0), x[0, :2]])
        return ob.sum(d[np.array([0, 3, 3, 1])]) * ob.linalg.vector_norm(d) + ob.prod(
            1.0 + b[0] / 10.0
        )

    ob.testing.check_gradients(
        f, np.sin(np.arange(6.0)).reshape(2, 3), np.cos(np.arange(6.0)).reshape(3, 2)
    )


def test_s1_15_a_recurrent_cell_built_on_the_fly_and_a_seed_of_the_wrong_shape(rng):
    x, h = ob.tensor(rng.standard_normal((1, 10))), ob.tensor(rng.standard_normal((1, 20)))
    w_x, w_h = leaf(rng.standard_normal((20, 10))), leaf(rng.standard_normal((20, 20)))
    next_h = ob.tanh(w_x @ x.T + w_h @ h.T)
    with pytest.raises(ShapeError) as caught:
        next_h.backward(np.ones((1, 20)))
    for fact in ("[1, 20]", "[20, 1]", "next_h = ob.tanh(w_x @ x.T + w_h @ h.T)"):
        assert fact in str(caught.value)
    next_h.backward(np.ones((20, 1)))
    z_bar = 1 - next_h.detach().numpy() ** 2
    close(w_x.grad, z_bar @ x.numpy())
    close(w_h.grad, z_bar @ h.numpy())


def test_s1_16_adjoints_of_all_intermediates_and_the_two_parts_of_one():
    """f = x1 x2 + sin x2 at (2, π/3)."""
    x1, x2 = leaf(2.0, "x1"), leaf(np.pi / 3, "x2")
    a1 = ob.sin(x2)
    a2 = x1 * x2
    a3 = a1 + a2
    assert [float(b) for b in ob.adjoint(a3, [a1, a2, a3])] == [1.0, 1.0, 1.0]
    x2_bar, x1_bar = ob.adjoint(a3, [x2, x1])
    assert float(x2_bar) == pytest.approx(2.5, rel=1e-15)
    assert float(x1_bar) == np.pi / 3
    part = {op: float(m) for op, m in messages(a3, x2.node)}
    assert part["sin"] == pytest.approx(0.5, rel=1e-15)
    assert part["multiply"] == 2.0
    assert float(ob.adjoint(a3, x2, hold=[a2])) == pytest.approx(0.5, rel=1e-15)
    assert float(ob.adjoint(a3, x2, hold=[a1])) == 2.0


def test_s1_17_addition_distributes_multiplication_switches_and_max_routes():
    add, multiply = ob.vjp(ob.add, 3.0, 5.0)[1](7.0), ob.vjp(ob.multiply, 3.0, 5.0)[1](7.0)
    assert [float(b) for b in add] == [7.0, 7.0]
    assert [float(b) for b in multiply] == [35.0, 21.0]
    assert [float(b) for b in ob.vjp(ob.maximum, 3.0, 5.0)[1](7.0)] == [0.0, 7.0]
    assert ob.grad(ob.max)(np.array([1.0, 9.0, 4.0])).tolist() == [0.0, 1.0, 0.0]


def test_s1_18_the_winner_of_max_is_recorded_and_ties_are_a_stated_choice():
    tie = np.array([3.0, 3.0])
    assert ob.grad(ob.max)(tie).tolist() == [0.5, 0.5]
    assert [float(b) for b in ob.vjp(ob.maximum, 3.0, 3.0)[1](1.0)] == [0.5, 0.5]
    pooled = lambda x: ob.sum(ob.max_pool(x, 2))
    assert ob.grad(pooled)(tie.reshape(1, 1, 2)).ravel().tolist() == [1.0, 0.0]  # the first wins
    image = leaf(np.random.default_rng(0).standard_normal((1, 1, 8, 8)))
    y = ob.max_pool(image, 2)
    kept = [n for n in ancestors([y.node]) if n.value is not None and n.inputs]
    total = sum(
        np.asarray(v).nbytes
        for n in kept
        for v in (n.value if isinstance(n.value, tuple) else (n.value,))
    )
    assert (
        total <= 2 * y.size * 8
    )  # where the winners were (and the result), not a mask of the whole image


LINEAR = {
    "reshape": (lambda x: ob.reshape(x, (6,)), [(2, 3)]),
    "transpose": (lambda x: x.T, [(2, 3)]),
    "broadcast": (lambda x: ob.broadcast_to(x, (4, 2, 3)), [(2, 1)]),
    "sum": (lambda x: ob.sum(x, axis=1), [(2, 3)]),
    "mean": (lambda x: ob.mean(x, axis=(0, 1)), [(2, 3)]),
    "gather": (lambda x: x[np.array([0, 2, 2, 1])], [(3, 2)]),
    "slice": (lambda x: x[::-2, 1:], [(5, 3)]),
    "scatter_add": (lambda x, v: ob.scatter_add(x, np.array([0, 2, 0]), v), [(4, 2), (3, 2)]),
    "concat": (lambda x, y: ob.concat([x, y, x], axis=1), [(2, 3), (2, 1)]),
    "split": (lambda x: ob.split(x, 3), [(6, 2)]),
    "pad": (lambda x: ob.pad(x, ((1, 0), (0, 2))), [(2, 3)]),
    "cumsum": (lambda x: ob.cumsum(x, axis=1), [(2, 3)]),
    "flip and roll": (lambda x: ob.roll(ob.flip(x, axis=0), 2, axis=1), [(2, 3)]),
    "matmul": (lambda x: ob.asarray(np.arange(8.0).reshape(4, 2)) @ x, [(2, 3)]),
    "einsum": (
        lambda x: ob.einsum("ij,jk->ki", x, ob.asarray(np.arange(6.0).reshape(3, 2))),
        [(4, 3)],
    ),
    "triangle": (lambda x: ob.tril(x) - ob.triu(x, k=1) * 2, [(3, 3)]),
    "diagonal": (ob.diagonal, [(3, 4)]),
    "repeat": (lambda x: ob.repeat(x, 2, axis=1), [(2, 3)]),
    "conv": (
        lambda x: ob.conv(x, ob.asarray(np.arange(12.0).reshape(2, 2, 3)), padding=1, stride=2),
        [(1, 2, 7)],
    ),
    "avg_pool": (lambda x: ob.avg_pool(x, 2), [(1, 1, 6)]),
    "where": (lambda x, y: ob.where(np.array([True, False, True]), x, y), [(3,), (3,)]),
}


@pytest.mark.parametrize("name", LINEAR)
def test_s1_20_forward_and_backward_are_transposes(name):
    """⟨v, J u⟩ = ⟨Jᵀ v, u⟩, 100 random draws: fan-out and sum, gather and scatter, and so on."""
    f, shapes = LINEAR[name]
    xs = [np.zeros(s) for s in shapes]
    y, at = ob.linearize(f, *xs)
    pull = ob.vjp(f, *xs)[1]
    leaves, structure = ob.tree_flatten(y)
    rng = np.random.default_rng(0)
    for _ in range(100):
        us = [rng.standard_normal(s) for s in shapes]
        vs = [rng.standard_normal(np.shape(t)) for t in leaves]
        dots = ob.tree_flatten(at(*us))[0]
        bars = pull(ob.tree_unflatten(structure, vs))
        left = sum(float(np.sum(v * d)) for v, d in zip(vs, dots, strict=True))
        right = sum(float(np.sum(b * u)) for b, u in zip(bars, us, strict=True))
        assert left == pytest.approx(right, rel=1e-11, abs=1e-11)


def test_s1_20_duality_holds_by_name():
    assert ob.grad(lambda x: ob.sum(x[np.array([0, 0, 2])]))(np.zeros(3)).tolist() == [
        2.0,
        0.0,
        1.0,
    ]
    assert ob.grad(lambda x: ob.sum(ob.broadcast_to(x, (5, 2))))(np.zeros(2)).tolist() == [5.0, 5.0]
    assert (
        ob.vjp(lambda x: ob.sum(x, axis=0), np.zeros((3, 2)))[1](np.array([1.0, 2.0]))[0].tolist()
        == [[1.0, 2.0]] * 3
    )
    assert float(ob.grad(lambda x: x + x + x)(1.0)) == 3.0


def test_s1_23_algorithms_differentiate_and_a_graph_grows_after_its_backward():
    def newton(x):
        y = x
        for _ in range(30):
            y = 0.5 * (y + x / y)
        return y

    for x in (0.3, 2.0, 50.0):
        assert float(ob.grad(newton)(x)) == pytest.approx(0.5 / np.sqrt(x), rel=1e-14)
        by_loop = lambda x: ob.while_loop(
            lambda y: ob.abs(y * y - x) > 1e-12 * x, lambda y: 0.5 * (y + x / y), x
        )
        assert float(ob.jit(ob.grad(by_loop))(x)) == pytest.approx(0.5 / np.sqrt(x), rel=1e-9)

    def bubble(xs):
        xs = [xs[i] for i in range(5)]
        for i, j in itertools.combinations(range(5), 2):
            if float(ob.stop_gradient(xs[i])) > float(ob.stop_gradient(xs[j])):
                xs[i], xs[j] = xs[j], xs[i]
        return ob.sum(ob.stack(xs) * np.arange(5.0))

    x = np.array([0.3, -1.0, 2.0, 0.1, 0.7])
    assert ob.grad(bubble)(x).tolist() == np.argsort(np.argsort(x)).tolist()

    w = leaf(3.0)
    u = w * w
    u.backward()
    assert float(w.grad) == 6.0
    (u * w).backward()  # the graph goes on after its backward: w³, whose slope is 27
    assert float(w.grad) == 6.0 + 27.0


def test_s1_25_a_graph_knows_its_sources_and_sinks(rng):
    """That any schedule gives the same gradient is S2-7's test."""
    w = leaf(rng.standard_normal((3, 2)), "w")
    g = ob.trace(lambda x: ob.sum(ob.tanh(x @ w) + 0.5))(rng.standard_normal((4, 3)))
    roles = [(n.op.name, n.name) for n in g.sources]
    assert ("input", "w") in roles
    assert sum(op == "const" for op, _ in roles) == 1
    assert [n.op.name for n in g.sinks] == ["sum"]


# -- S2 ----------------------------------------------------------------------------------------

XOR = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]), np.array([1.0, 0.0, 0.0, 1.0])


def test_s2_1_two_layers_learn_the_table_and_one_neuron_cannot():
    x, t = XOR
    rng = np.random.default_rng(3)
    w1, b1, w2, b2 = (
        leaf(rng.standard_normal((2, 4))),
        leaf(np.zeros(4)),
        leaf(rng.standard_normal(4)),
        leaf(0.0),
    )
    net = lambda: ob.sigmoid(ob.tanh(ob.tensor(x) @ w1 + b1) @ w2 + b2)
    for _ in range(400):
        loss = ob.mean((net() - t) ** 2)
        loss.backward()
        for p in (w1, b1, w2, b2):
            p.rebind((p - 2.0 * p.grad).detach())
            p.grad = None
    assert float(loss) < 1e-2
    assert ((net().detach().numpy() > 0.5) == t).all()

    single = lambda w, b: ob.mean((ob.sigmoid(x @ w + b) - t) ** 2)
    w, b = rng.standard_normal(2), 0.1
    for _ in range(3000):
        w_bar, b_bar = ob.grad(single, argnums=(0, 1))(w, b)
        w, b = w - 2.0 * w_bar, b - 2.0 * b_bar
    assert float(single(ob.tensor(w), ob.tensor(b))) == pytest.approx(0.25, abs=1e-6)  # the plateau
    assert max(np.max(np.abs(w_bar)), abs(b_bar)) < 1e-6
    close(ob.sigmoid(ob.tensor(x @ w + b)), np.full(4, 0.5), 1e-3)


def test_s2_2_the_gradient_of_the_cost_is_the_mean_of_the_samples_gradients(rng):
    xs, ts, w = rng.standard_normal((16, 5)), rng.standard_normal(16), rng.standard_normal(5)
    loss = lambda w, x, t: 0.5 * (ob.sigmoid(x @ w) - t) ** 2
    each = ob.vmap(ob.grad(loss), in_axes=(None, 0, 0))
    whole = ob.grad(lambda w: ob.mean(ob.vmap(loss, in_axes=(None, 0, 0))(w, xs, ts)))(w)
    assert each(w, xs, ts).shape == (16, 5)
    close(each(w, xs, ts).mean(0), whole, 1e-12)
    compiled = ob.jit(each)
    close(compiled(w, xs, ts).mean(0), whole, 1e-12)


def test_s2_3_total_and_partial_derivatives_are_different_questions():
    """f(x(t), y(t)) with x = t², y = sin t, f = x y."""
    t = leaf(0.7)
    x, y = t**2, ob.sin(t)
    f = x * y
    total = 2 * 0.7 * np.sin(0.7) + 0.49 * np.cos(0.7)
    assert float(ob.adjoint(f, t)) == pytest.approx(total, rel=1e-15)
    assert float(ob.adjoint(f, t, hold=[y])) == pytest.approx(2 * 0.7 * np.sin(0.7), rel=1e-15)
    assert float(ob.adjoint(f, t, hold=[x])) == pytest.approx(0.49 * np.cos(0.7), rel=1e-15)
    assert float(ob.adjoint(f, t, hold=[x, y])) == 0.0
    assert float(ob.grad(lambda t: t**2 * ob.sin(t))(0.7)) == pytest.approx(total, rel=1e-15)


def test_s2_6_operations_with_several_results_and_any_number_of_inputs(rng):
    a = rng.standard_normal((4, 4)) + 3 * np.eye(4)
    ob.testing.check_gradients(lambda x: [p * k for k, p in enumerate(ob.split(x, 2))], a)
    ob.testing.check_gradients(lambda x: list(ob.linalg.qr(x)), a, order=1)
    ob.testing.check_gradients(lambda x: next(iter(ob.linalg.eigh(x + x.T))), a, order=1)
    ob.testing.check_gradients(lambda *xs: ob.concat(xs), a, 2 * a, 3 * a, order=1)

    def lstm(x, h, c, w):
        i, f, g, o = ob.split(ob.concat([x, h]) @ w, 4)
        c = ob.sigmoid(f) * c + ob.sigmoid(i) * ob.tanh(g)
        return ob.sigmoid(o) * ob.tanh(c), c

    ob.testing.check_gradients(lstm, a[0, :3], a[1, :2], a[2, :2], rng.standard_normal((5, 8)) / 2)

    def top2(x):
        order = ob.argsort(ob.stop_gradient(x))[::-1][:2]
        return x[order], order

    (values, _), pull = ob.vjp(lambda x: (top2(x)[0], 0.0), np.array([1.0, 5.0, 3.0]))
    assert values.tolist() == [5.0, 3.0]
    assert pull((np.array([1.0, 10.0]), 0.0))[0].tolist() == [0.0, 1.0, 10.0]
    node = ob.linalg.qr(leaf(a))[0].node
    assert node.op.name == "part"
    assert isinstance(node.inputs[0].spec, tuple)
    assert len(parts(ob.linalg.qr(ob.tensor(a)))) == 2


def regularised(w, b, x, t, lam):
    """The nine nodes of the notes: w, b, x, z, y, t, L, R, Lreg."""
    z = w * x + b
    y = ob.sigmoid(z)
    loss = 0.5 * (y - t) ** 2
    penalty = 0.5 * w**2
    return z, y, loss, penalty, loss + lam * penalty


def test_s2_7_every_topological_order_of_the_graph_gives_the_same_gradient():
    w, b = leaf(0.5, "w"), leaf(-1.0, "b")
    *_, total = regularised(w, b, 2.0, 1.0, 0.1)
    graph = ob.Graph([w.node, b.node], [total.node])
    inner = [n for n in graph.order() if n.inputs]
    at = {n: i for i, n in enumerate(graph.order())}
    assert all(at[x] < at[n] for x, n in graph.edges)
    assert [n.serial for n in graph.order()] == sorted(n.serial for n in graph.order())
    ob.adjoint(total, [w, b])  # the oracle below asks for the local rules only

    def swept(order):
        bars = {total.node: np.ones(())}
        got = {n: [] for n in graph.nodes}
        got[total.node] = [(0, np.ones(()))]
        for node in reversed(order):
            bars[node] = sum(
                m for _, m in sorted(got[node], key=lambda e: e[0])
            )  # a fixed order of summation
            messages = next(
                s for s in ob.Graph(list(node.inputs), [node]).steps("backward", [bars[node]])
            ).messages
            for x, m in messages:
                got[x].append((node.serial, np.asarray(m)))
        return tuple(
            sum(m for _, m in sorted(got[leaf.node], key=lambda e: e[0])).tobytes()
            for leaf in (w, b)
        )

    orders = list(_orders(inner))
    assert len(orders) > 10
    assert len({swept(order) for order in orders[:200]}) == 1
    total.backward()
    np.testing.assert_allclose(
        [np.frombuffer(g)[0] for g in swept(inner)], [float(w.grad), float(b.grad)], rtol=1e-15
    )


def _orders(nodes, done=()):
    """Every order in which inputs come before what uses them."""
    if len(done) == len(nodes):
        yield list(done)
        return
    for n in nodes:
        if n not in done and all(x in done or not x.inputs for x in n.inputs):
            yield from _orders(nodes, (*done, n))


def reference(outputs, inputs, y_bars):
    """The notes' algorithm, word for word: n̄_N = 1, n̄_i = Σ_children n̄_j ∂n_j/∂n_i, by local
    Jacobians from central differences of the forward functions alone."""
    order = ancestors(outputs)
    values = {n: np.asarray(n.value, np.float64) for n in order if not n.inputs}
    for n in order:
        if n.inputs:
            values[n] = np.asarray(n.op.run(*(values[x] for x in n.inputs), **n.params))
    bars = {n: np.zeros(np.shape(values[n])) for n in order}
    for y, y_bar in zip(outputs, y_bars, strict=True):
        bars[y] = bars[y] + y_bar
    for n in reversed(order):
        for i, x in enumerate(n.inputs):
            if not x.spec.floating or not n.spec.floating:
                continue
            x_bar = np.zeros(x.spec.shape)
            for k in np.ndindex(*x.spec.shape):
                ahead, behind = ([values[u] for u in n.inputs] for _ in range(2))
                h = 1e-5
                ahead[i], behind[i] = ahead[i].copy(), behind[i].copy()
                ahead[i][k] += h
                behind[i][k] -= h
                x_bar[k] = np.sum(
                    bars[n] * (n.op.run(*ahead, **n.params) - n.op.run(*behind, **n.params))
                ) / (2 * h)
            bars[x] = bars[x] + x_bar
    return [bars[x] for x in inputs]


@pytest.mark.parametrize(
    "f",
    [
        lambda x, w: ob.sum(ob.tanh(x @ w)),
        lambda x, w: ob.mean(ob.sigmoid(x @ w) ** 2) + 0.1 * ob.sum(w * w),
        lambda x, w: ob.logsumexp(ob.relu(x @ w) - x[:, :2]),
        lambda x, w: ob.sum(ob.cumsum(ob.exp(x @ w), axis=0) * ob.softmax(w[:2], axis=0)),
    ],
)
def test_s2_8_the_algorithm_of_the_notes_is_the_oracle_of_the_engine(f, rng):
    x, w = leaf(rng.standard_normal((2, 3))), leaf(rng.standard_normal((3, 2)))
    y = f(x, w)
    wanted = reference([y.node], [x.node, w.node], [np.ones(())])
    y.backward()
    compiled = ob.jit(ob.grad(f, argnums=(0, 1)))(x.detach(), w.detach())
    for leaf_, bar, again in zip((x, w), wanted, compiled, strict=True):
        close(leaf_.grad, bar, 1e-7, 1e-9)
        close(again, leaf_.grad.numpy(), 1e-13, 1e-14)


def test_s2_10_regularised_logistic_least_squares():
    """w = 0.5, x = 2, b = −1, t = 1, λ = 0.1."""
    w, b = leaf(0.5), leaf(-1.0)
    z, y, loss, penalty, total = regularised(w, b, 2.0, 1.0, 0.1)
    assert (float(z), float(y)) == (0.0, 0.5)
    y_bar, z_bar, w_bar, b_bar = ob.adjoint(total, [y, z, w, b])
    assert float(y_bar) == -0.5
    assert float(z_bar) == -0.125
    assert float(w_bar) == pytest.approx(-0.2, rel=1e-15)
    assert float(b_bar) == -0.125
    assert float(ob.adjoint(total, w, hold=[penalty])) == pytest.approx(-0.25, rel=1e-15)
    assert float(ob.adjoint(total, w, hold=[loss])) == pytest.approx(0.05, rel=1e-15)
    assert float(ob.adjoint(total, penalty)) == 0.1


# -- S3 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("s", [0.0, 1.0, -1.0, 40.0, -40.0])
def test_s3_5_the_diagonals_of_tanh_and_sigmoid(s):
    import mpmath

    with mpmath.workdps(60):
        tanh = float(1 - mpmath.tanh(s) ** 2)
        sigma = 1 / (1 + mpmath.exp(-mpmath.mpf(s)))
        sigmoid = float(sigma * (1 - sigma))
    assert float(ob.grad(ob.tanh)(s)) == pytest.approx(tanh, rel=1e-12, abs=1e-30)
    assert float(ob.grad(ob.sigmoid)(s)) == pytest.approx(sigmoid, rel=1e-12)
    for f in (ob.tanh, ob.sigmoid):
        for far in (-1e4, 1e4):
            assert float(ob.grad(f)(far)) == 0.0
    jacobian = ob.jacobian(ob.tanh)(np.array([s, 0.5]))
    assert jacobian[0, 1] == jacobian[1, 0] == 0.0


def test_s3_6_binary_cross_entropy_from_probabilities_and_from_logits():
    y, p = np.array([1.0, 0.0, 1.0]), np.array([0.8, 0.3, 0.5])
    k = len(y)
    bce = lambda p: -ob.mean(ob.special.xlogy(y, p) + ob.special.xlogy(1 - y, 1 - p))
    close(ob.grad(bce)(p), -(1 / k) * y / p + (1 / k) * (1 - y) / (1 - p))
    from_logits = lambda z: ob.mean(ob.softplus(z) - z * y)
    for size in (1000.0, -1000.0):
        gradient = ob.grad(from_logits)(np.full(3, size))
        assert np.all(np.isfinite(gradient))
        close(gradient, ((size > 0) * 1.0 - y) / k)
    z = np.array([0.7, -1.2, 0.1])
    close(ob.grad(lambda z: bce(ob.sigmoid(z)))(z), ob.grad(from_logits)(z))
    close(bce(ob.sigmoid(ob.tensor(z))), from_logits(ob.tensor(z)))


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_s3_8_the_gradient_of_the_soft_maximum_is_the_soft_argmax(beta):
    e = np.array([0.3, -1.0, 2.0, 0.7])
    close(
        ob.grad(lambda e: ob.softmaximum(e, beta=beta))(e), ob.softargmax(ob.tensor(e), beta=beta)
    )
    close(ob.softargmax(ob.tensor(e), beta=beta), np.exp(beta * e) / np.exp(beta * e).sum())
    close(ob.softmaximum(ob.tensor(e), beta=beta), np.log(np.mean(np.exp(beta * e))) / beta)
    close(ob.softargmax(ob.tensor(e + 7.0), beta=beta), ob.softargmax(ob.tensor(e), beta=beta))
    close(
        ob.softmaximum(ob.tensor(e + 7.0), beta=beta), ob.softmaximum(ob.tensor(e), beta=beta) + 7.0
    )


def test_s3_8_at_large_beta_it_is_the_maximum_and_nothing_overflows():
    e = np.array([0.3, -1.0, 2.0, 0.7])
    assert float(ob.softmaximum(ob.tensor(e), beta=1e4)) == pytest.approx(2.0, abs=1e-3)
    close(ob.softargmax(ob.tensor(e), beta=1e4), [0.0, 0.0, 1.0, 0.0])
    for far in (np.array([1e4, -1e4, 0.0]), np.array([-1e4, -1e4])):
        assert np.all(np.isfinite(ob.softmax(ob.tensor(far)).numpy()))
        assert np.isfinite(float(ob.logsumexp(ob.tensor(far))))
        assert np.all(np.isfinite(ob.grad(ob.softmaximum)(far)))
    assert ob.softmax is not ob.softmaximum
    close(ob.softmax(ob.tensor(e)), ob.softargmax(ob.tensor(e)))


def test_s3_9_a_variable_used_twice_in_one_operation_counts_twice():
    """a = xy + z, b = a(x + x), w = ab + b."""
    x, y, z = leaf(2.0), leaf(3.0), leaf(1.0)
    a = x * y + z
    b = a * (x + x)
    w = a * b + b
    assert (float(a), float(b), float(w)) == (7.0, 28.0, 224.0)
    assert float(w) == 2 * 2 * 7 * (7 + 1)
    w.backward()
    assert float(x.grad) == 112.0 + 180.0 == 292.0
    assert float(x.grad) == 2 * 7 * 8 + 2 * 2 * (2 * 7 + 1) * 3
    sent = messages(x + x, x.node)
    assert [float(m) for _, m in sent] == [1.0, 1.0]


# -- S4 ----------------------------------------------------------------------------------------


def test_s4_1_both_paths_of_the_composition():
    """ℓ(x) = h(f(x), g(x)) with x², x and x1² + x2²: 4x³ + 2x."""
    x = leaf(2.0)
    f, g = x**2, x * 1.0
    loss = f**2 + g**2
    assert float(ob.adjoint(loss, x)) == 36.0 == 4 * 8 + 2 * 2
    assert float(ob.adjoint(loss, x, hold=[g])) == 32.0
    assert float(ob.adjoint(loss, x, hold=[f])) == 4.0


def test_s4_2_the_total_derivative_is_the_sum_of_the_partial_ones():
    w = leaf(0.4)
    xs = [ob.sin(w), w**3, ob.exp(w)]
    f = xs[0] * xs[1] + xs[2] ** 2
    partial = [float(ob.adjoint(f, x)) for x in xs]
    inner = [np.cos(0.4), 3 * 0.16, np.exp(0.4)]
    close(partial, [0.4**3, np.sin(0.4), 2 * np.exp(0.4)])
    assert float(ob.adjoint(f, w)) == pytest.approx(
        sum(p * d for p, d in zip(partial, inner, strict=True)), rel=1e-14
    )


def test_s4_8_identities_of_the_activations_and_the_convention_at_a_kink():
    x = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])
    sigma = ob.sigmoid(ob.tensor(x)).numpy()
    slope = lambda f: ob.vmap(ob.grad(f))
    close(slope(ob.sigmoid)(x), sigma * (1 - sigma))
    twice = ob.sigmoid(ob.tensor(2 * x)).numpy()
    close(ob.tanh(ob.tensor(x)), 2 * twice - 1)
    close(slope(ob.tanh)(x), 4 * twice * (1 - twice))
    assert slope(ob.relu)(x).tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]
    for kinks, wanted in {"default": 0.0, "left": 0.0, "right": 1.0, "middle": 0.5}.items():
        with ob.config(kinks=kinks):
            assert float(ob.grad(ob.relu)(0.0)) == wanted


def test_s4_9_a_leaky_function_of_ones_own_and_the_one_with_the_right_sign():
    own = lambda x: ob.maximum(x, -0.1 * x)
    assert [float(ob.grad(own)(x)) for x in (2.0, -2.0)] == [1.0, pytest.approx(-0.1)]
    assert [float(own(ob.tensor(x))) for x in (2.0, -2.0)] == [2.0, 0.2]
    leaky = lambda x: ob.leaky_relu(x, slope=0.1)
    assert [float(ob.grad(leaky)(x)) for x in (2.0, -2.0)] == [1.0, pytest.approx(0.1)]
    assert [float(leaky(ob.tensor(x))) for x in (2.0, -2.0)] == [2.0, pytest.approx(-0.2)]


# -- the conventions that the notes disagree about ---------------------------------------------


def test_layout_a_gradient_has_the_shape_of_its_variable_and_is_never_transposed(rng):
    x, w, z_bar = rng.standard_normal(3), rng.standard_normal((2, 3)), rng.standard_normal(2)
    _, pull = ob.vjp(lambda w: w @ x, w)
    close(pull(z_bar)[0], np.outer(z_bar, x))  # z̄ xᵀ, not x z̄ᵀ
    assert ob.jacobian(lambda w: w @ x)(w).shape == (2, 2, 3)


def test_kinks_relu_and_abs_have_slope_zero_at_zero():
    assert float(ob.grad(ob.relu)(0.0)) == 0.0
    assert float(ob.grad(ob.abs)(0.0)) == 0.0


def test_leaky_relu_has_a_positive_slope_below_zero():
    assert float(ob.leaky_relu(ob.tensor(-1.0), slope=0.1)) == pytest.approx(-0.1)


def test_softmax_is_a_distribution_and_logsumexp_a_number():
    e = ob.tensor([1.0, 2.0, 3.0])
    assert ob.softmax(e).shape == (3,)
    assert float(ob.sum(ob.softmax(e))) == pytest.approx(1.0)
    assert ob.logsumexp(e).shape == ()
    assert ob.softmaximum(e).shape == ()


def test_parents_are_inputs_and_children_are_consumers():
    x = leaf(2.0)
    y = x * 3.0
    z = y + 1.0
    assert x.node in y.node.inputs
    assert [n.op.name for s, n in ob.Graph([x.node], [z.node]).edges if s is y.node] == ["add"]
