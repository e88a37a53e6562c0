"""The rows of the course notes that the library shows: each test bears the id of its row."""

import math

import numpy as np
import pytest

import overbar as ob
from overbar import nn, optim
from overbar.errors import DomainError, GradientError, ShapeError
from overbar.nn import functional as F  # noqa: N812

XOR = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], float), np.array([1, 0, 0, 1], float)
"""The table of S2: 0 1 -> 1, 1 1 -> 0, 0 0 -> 0, 1 0 -> 1."""


def test_s0_10_two_losses_share_one_traversal_and_stay_readable():
    """backward([L1, L2]) is the sum of both, and the trunk is walked once."""
    model = nn.Sequential(nn.Linear(3, 4, dtype=float), nn.Tanh(), nn.Linear(4, 2, dtype=float))
    x, t = np.ones((5, 3)), np.zeros((5, 2))

    def losses():
        y = model(x)
        return F.mse_loss(y, t), F.l1_loss(y, t + 1)

    ob.backward(losses())
    together = [p.grad.numpy() for p in model.parameters()]
    each = []
    for i in (0, 1):
        model.zero_grad()
        losses()[i].backward()
        each.append([p.grad.numpy() for p in model.parameters()])
    for both, first, second in zip(together, *each, strict=True):
        np.testing.assert_allclose(both, first + second, rtol=1e-12, atol=1e-15)

    first, second = losses()
    story = ob.explain(first + second)
    walked = [row for row in story.rows if row.formula and "tanh" in row.formula]
    assert len(walked) == 1


@pytest.mark.parametrize("rows", [(), (2,), (2, 3)])
@pytest.mark.parametrize("columns", [(), (4,), (4, 5)])
def test_s1_3_a_jacobian_has_the_output_shape_then_the_input_shape(rows, columns, rng):
    """All nine pairs of ranks 0, 1, 2; the gradient of a scalar has the input's shape."""
    a = rng.standard_normal((*rows, *columns))
    x = rng.standard_normal(columns)

    def f(x):
        return ob.sin(a * x).sum(axis=tuple(range(len(rows), a.ndim)))

    assert np.shape(f(x)) == rows
    J = ob.jacobian(f)(x)
    assert J.shape == rows + columns
    np.testing.assert_allclose(J, a * np.cos(a * x), rtol=1e-12)
    assert ob.grad(lambda x: f(x).sum())(x).shape == columns


def test_s1_4_the_augmented_weight_gives_the_gradients_of_weight_and_bias(rng):
    layer = nn.Linear(3, 2, dtype=np.float64)
    x = rng.standard_normal((5, 3))
    slopes = ob.grad(lambda layer: (layer(x) ** 2).sum())(layer)
    augmented = np.concatenate([layer.weight.numpy(), layer.bias.numpy()[:, None]], axis=1)
    one_more = ob.concat([x, np.ones((5, 1))], axis=1)
    slope = ob.grad(lambda w: ((one_more @ w.mT) ** 2).sum())(augmented)
    slope = np.asarray(slope)
    np.testing.assert_allclose(slope[:, :3], slopes.weight.numpy(), rtol=1e-12)
    np.testing.assert_allclose(slope[:, 3], slopes.bias.numpy(), rtol=1e-12)


# -- S1-11: penalties -------------------------------------------------------------------------


def test_s1_11_penalties_have_their_closed_forms(rng):
    w = rng.standard_normal((4, 3))
    w[0, 0] = 0.0
    alpha, beta = 0.3, 0.7
    value, slope = ob.value_and_grad(lambda w: nn.penalty.elastic(w, alpha, beta))(w)
    assert float(value) == pytest.approx(alpha * (w**2).sum() + beta * np.abs(w).sum(), rel=1e-14)
    np.testing.assert_allclose(slope, 2 * alpha * w + beta * np.sign(w), rtol=1e-14)
    assert slope[0, 0] == 0.0  # the subgradient of |x| at 0


def test_s1_11_weight_decay_is_a_penalty_in_sgd_and_a_shrinking_in_adamw():
    start = np.array([1.0, -2.0])

    def moved(make, penalty=0.0):
        w = ob.tensor(start, requires_grad=True)
        optimizer = make([w])
        ((w - 0.5) ** 2).sum().backward() if not penalty else (
            ((w - 0.5) ** 2).sum() + penalty * nn.penalty.l2(w)
        ).backward()
        optimizer.step()
        return w.numpy()

    coupled = moved(lambda p: optim.SGD(p, lr=0.1, weight_decay=0.3))
    np.testing.assert_allclose(
        coupled, moved(lambda p: optim.SGD(p, lr=0.1), penalty=0.15), rtol=1e-14
    )
    decoupled = moved(lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.3))
    plain = moved(lambda p: optim.Adam(p, lr=0.1))
    np.testing.assert_allclose(decoupled - plain, -0.1 * 0.3 * start, rtol=1e-12)


def by_coordinate_descent(X, t, l1, sweeps=5000):
    """The minimum of ½ ‖X w − t‖² + λ ‖w‖₁, one coordinate at a time."""
    w = np.zeros(X.shape[1])
    for _ in range(sweeps):
        for j in range(len(w)):
            rest = t - X @ w + X[:, j] * w[j]
            rho = X[:, j] @ rest
            w[j] = np.sign(rho) * max(abs(rho) - l1, 0) / (X[:, j] @ X[:, j])
    return w


@pytest.mark.parametrize("l1", [2.0, 8.0])
def test_s1_11_proximal_descent_solves_the_lasso_with_exact_zeros(l1, rng):
    X = rng.standard_normal((30, 12))
    t = X[:, :3] @ np.array([2.0, -1.0, 0.5]) + 0.3 * rng.standard_normal(30)
    want = by_coordinate_descent(X, t, l1, 500)
    assert 0 < (want == 0).sum() < 12
    w = ob.tensor(np.zeros(12), requires_grad=True)
    optimizer = optim.ProximalSGD([w], lr=1 / np.linalg.eigvalsh(X.T @ X)[-1], l1=l1)
    for _ in range(1500):
        optimizer.zero_grad()
        (0.5 * F.squared_error(X @ w, t)).backward()
        optimizer.step()
    np.testing.assert_allclose(w.numpy(), want, atol=1e-6)
    np.testing.assert_array_equal(w.numpy() == 0, want == 0)


# -- S1-13: gates of one's own ----------------------------------------------------------------


class MultiplyGate(ob.Function):
    """The gate of the notes, its exercise done."""

    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, z_bar):
        return self.y * z_bar, self.x * z_bar


class ComputationalGraph:
    """The notes' class: gates in topological order, backward in the reverse order."""

    def __init__(self, gates):
        self.gates = gates

    def forward(self, values):
        self.values = dict(values)
        for name, gate, inputs in self.gates:
            self.values[name] = gate.forward(*(self.values[i] for i in inputs))
        return self.values[name]

    def backward(self):
        bars = {self.gates[-1][0]: 1.0}
        for name, gate, inputs in reversed(self.gates):
            for i, bar in zip(inputs, gate.backward(bars[name]), strict=True):
                bars[i] = bars.get(i, 0.0) + bar
        return bars


def test_s1_13_the_notes_graph_of_gates_runs_and_agrees_with_the_engine():
    graph = ComputationalGraph(
        [("z", MultiplyGate(), ("x", "y")), ("L", MultiplyGate(), ("z", "x"))]
    )
    assert graph.forward({"x": 3.0, "y": 2.0}) == 18.0
    bars = graph.backward()
    assert (bars["x"], bars["y"]) == (12.0, 9.0)  # L = x² y
    slopes = ob.grad(lambda x, y: MultiplyGate()(MultiplyGate()(x, y), x), argnums=(0, 1))(3.0, 2.0)
    assert tuple(map(float, slopes)) == (12.0, 9.0)


def test_s1_13_a_gate_works_inside_a_module_eager_compiled_and_trained():
    class Gated(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return MultiplyGate()(self.a(x), self.b(x))

    model, x = Gated(), np.ones((4, 3), np.float32)
    y = model(x)
    np.testing.assert_allclose(y.numpy(), ob.jit(model)(x).numpy(), rtol=1e-6)
    y.sum().backward()
    np.testing.assert_allclose(model.a.bias.grad.numpy(), model.b(x).numpy().sum(0), rtol=1e-6)


def test_s1_13_a_wrong_gate_is_caught():
    class WrongGate(MultiplyGate):
        def backward(self, z_bar):
            return self.x * z_bar, self.y * z_bar

    def right(x, y):
        return MultiplyGate()(x, y)

    def wrong(x, y):
        return WrongGate()(x, y)

    x, y = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    ob.testing.check_gradients(right, x, y)
    with pytest.raises(GradientError):
        ob.testing.check_gradients(wrong, x, y)


# -- S2: training on a table ------------------------------------------------------------------


def test_s2_1_two_layers_learn_xor():
    X, t = XOR
    rng = ob.random.default_rng(1)
    model = nn.Sequential(
        nn.Linear(2, 4, rng=rng), nn.Tanh(), nn.Linear(4, 1, rng=rng), nn.Sigmoid()
    )
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    for x, y in [batch for _ in range(300) for batch in ob.data.DataLoader((X, t), batch_size=4)]:
        loss = F.binary_cross_entropy(model(x)[:, 0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((model(X)[:, 0].numpy() > 0.5) == t).all()
    assert loss.item() < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_s2_1_a_single_neuron_cannot_and_its_gradient_vanishes_at_one_half(seed):
    X, t = XOR
    neuron = nn.Sequential(
        nn.Linear(2, 1, rng=ob.random.default_rng(seed), dtype=np.float64), nn.Sigmoid()
    )
    optimizer = optim.SGD(neuron.parameters(), lr=1.0)
    for _ in range(2000):
        loss = F.binary_cross_entropy(neuron(X)[:, 0], t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(neuron(X)[:, 0].numpy(), 0.5, atol=1e-6)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-9)  # the best there is: convex
    assert max(float(abs(p.grad).max()) for p in neuron.parameters()) < 1e-6
    assert ((neuron(X)[:, 0].numpy() > 0.5) == t).sum() < 4


def test_s2_10_regularised_logistic_least_squares():
    w, b = ob.tensor(0.5, requires_grad=True), ob.tensor(-1.0, requires_grad=True)
    x, t, weight = 2.0, 1.0, 0.1
    z = w * x + b
    y = ob.sigmoid(z)
    L = 0.5 * F.squared_error(y, ob.asarray(t))
    R = 0.5 * nn.penalty.l2(w)
    Lreg = L + weight * R
    Lreg.backward()
    assert (float(z), float(y)) == (0.0, 0.5)
    assert float(ob.adjoint(Lreg, y)) == -0.5
    assert float(ob.adjoint(Lreg, z)) == -0.125
    assert float(w.grad) == pytest.approx(-0.2, rel=1e-15)
    assert float(b.grad) == -0.125


# -- S3: the loop, and its losses -------------------------------------------------------------


class ThreeReLU(nn.Module):
    """f = 3 ReLU, as in S3."""

    def forward(self, x):
        return 3 * ob.relu(x)


def two_layers(seed=0):
    rng = ob.random.default_rng(seed)
    return nn.Sequential(nn.Linear(3, 5, rng=rng), ThreeReLU(), nn.Linear(5, 2, rng=rng))


def test_s3_1_the_five_steps_of_the_notes(rng):
    x, y = rng.standard_normal((8, 3)), rng.standard_normal((8, 2))
    model = two_layers()
    optimizer = optim.SGD(model.parameters(), lr=0.005)
    before = None
    for _ in range(30):
        y_tilde = model(x)  # 1. predict
        loss = F.squared_error(y_tilde, y)  # 2. compute the loss
        optimizer.zero_grad()  # 3. clear the gradients
        loss.backward()  # 4. back-propagate
        optimizer.step()  # 5. update
        before = before or loss.item()
    assert loss.item() < 0.7 * before


def test_s3_1_the_five_steps_as_one_traced_step(rng):
    x, y = rng.standard_normal((8, 3)), rng.standard_normal((8, 2))

    def trained(compiled):
        model = two_layers()
        optimizer = optim.SGD(model.parameters(), lr=0.005, momentum=0.9)

        def step(x, y):
            loss = F.squared_error(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        run = ob.jit(step) if compiled else step
        losses = [run(x, y).item() for _ in range(10)]
        return losses, [p.numpy() for p in model.parameters()]

    (eager, ps), (compiled, qs) = trained(False), trained(True)
    np.testing.assert_allclose(compiled, eager, rtol=1e-6)
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_allclose(q, p, rtol=1e-5, atol=1e-7)


def test_s3_6_binary_cross_entropy_has_the_derivative_of_the_notes(rng):
    K = 6
    y, y_tilde = rng.integers(0, 2, K).astype(float), rng.uniform(0.05, 0.95, K)
    slope = ob.grad(F.binary_cross_entropy)(y_tilde, y)
    np.testing.assert_allclose(slope, -y / y_tilde / K + (1 - y) / (1 - y_tilde) / K, rtol=1e-12)


def test_s3_6_logits_of_a_thousand_have_finite_gradients():
    z, y = np.array([1000.0, -1000.0, 1000.0, -1000.0]), np.array([0.0, 1.0, 1.0, 0.0])
    value, slope = ob.value_and_grad(F.binary_cross_entropy_with_logits)(z, y)
    assert float(value) == 500.0
    np.testing.assert_array_equal(slope, [0.25, -0.25, 0.0, 0.0])


def test_s3_6_fused_and_unfused_agree_at_moderate_logits(rng):
    z, y = rng.uniform(-5, 5, 20), rng.uniform(size=20)
    fused = ob.value_and_grad(F.binary_cross_entropy_with_logits)(z, y)
    unfused = ob.value_and_grad(lambda z: F.binary_cross_entropy(ob.sigmoid(z), y))(z)
    for one, other in zip(fused, unfused, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_s3_6_a_tanh_output_is_outside_the_domain():
    """The notes keep tanh as g: its log would be that of a negative number."""
    with pytest.raises(DomainError, match=r"prediction\[0\] is -0.76"):
        F.binary_cross_entropy(ob.tanh([-1.0, 1.0]), [0.0, 1.0])


def test_s4_7_gradient_descent_is_forward_backward_update_repeat(rng):
    """A quadratic: the walk is known in closed form, w_t − w* = (1 − 2γ)^t (w₀ − w*)."""
    goal, start, gamma = np.array([1.0, -2.0]), np.array([3.0, 5.0]), 0.1
    w = ob.tensor(start, requires_grad=True)
    optimizer = optim.SGD([w], lr=gamma)
    for step in range(1, 21):
        optimizer.zero_grad()
        F.squared_error(w, goal).backward()
        optimizer.step()
        np.testing.assert_allclose(
            w.numpy(), goal + (1 - 2 * gamma) ** step * (start - goal), rtol=1e-12
        )


def test_s4_7_gradient_descent_in_a_compiled_loop():
    goal, start = np.array([1.0, -2.0]), np.array([3.0, 5.0])
    slope = ob.grad(lambda w: F.squared_error(w, goal))
    walk = ob.jit(lambda w: ob.fori_loop(0, 20, lambda i, w: w - 0.1 * slope(w), w))
    np.testing.assert_allclose(np.asarray(walk(start)), goal + 0.8**20 * (start - goal), rtol=1e-12)


# -- 1.6: conventions -------------------------------------------------------------------------


def test_1_6_a_gradient_has_the_shape_of_its_variable_in_every_layer(rng):
    model = nn.Sequential(
        nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)
    )  # square: a transpose would fit
    x = rng.standard_normal((1, 4)).astype(np.float32)
    h = ob.tanh(model[0](x))
    z = model[2](h)
    (z[0, 1] * 1.0).backward()
    want = np.zeros((4, 4), np.float32)
    want[1] = h.numpy()[0]  # outer(z̄, h): row 1, and not column 1
    np.testing.assert_allclose(model[2].weight.grad.numpy(), want, rtol=1e-6)


def test_1_6_the_conventions_at_kinks_and_the_leaky_slope():
    assert float(ob.grad(lambda x: nn.ReLU()(x).sum())(0.0)) == 0.0
    assert float(ob.grad(lambda x: nn.LeakyReLU(0.1)(x).sum())(-2.0)) == 0.1
    assert float(nn.LeakyReLU(0.1)(-2.0)) == -0.2


def test_1_6_softmax_is_the_soft_argmax():
    e = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(nn.Softmax()(e).numpy(), np.exp(e) / np.exp(e).sum(), rtol=1e-14)
    np.testing.assert_allclose(ob.grad(ob.softmaximum)(e), nn.Softmax()(e).numpy(), rtol=1e-12)


def test_1_6_penalties_hide_no_half_and_no_mean():
    w = np.array([3.0, -4.0])
    assert (float(nn.penalty.l2(w[None])), float(nn.penalty.l1(w[None]))) == (25.0, 7.0)


def test_1_6_a_loss_never_broadcasts():
    with pytest.raises(ShapeError, match="a loss does not broadcast"):
        F.mse_loss(np.zeros((3, 1)), np.zeros(3))
