"""The zoo: programs with one planted fault each, and healthy ones.

The line at fault ends in `# here`.

Every fault has a class: what `ob.health` calls it ("dead", "detached", ...), or for what is not
finite the operation and the pass. Those of `test_why_nan` are part of it. Where a program is the
example of somebody's issue, its number stands above it.
"""

import inspect
from typing import NamedTuple

import numpy as np

import overbar as ob
from overbar import nn

F = nn.functional


class Planted(NamedTuple):
    """A program whose call gives (subject, *args) for `ob.health`, and the class of its fault."""

    program: object
    kind: str

    @property
    def line(self):
        lines, start = inspect.getsourcelines(self.program)
        (at,) = [start + i for i, text in enumerate(lines) if text.rstrip().endswith("# here")]
        return at


PLANTED = []
HEALTHY = []


def planted(kind):
    def keep(f):
        PLANTED.append(Planted(f, kind))
        return f

    return keep


def healthy(f):
    HEALTHY.append(f)
    return f


def rng():
    return np.random.default_rng(0)


def drawn(seed=0):
    return ob.random.default_rng(seed)


def data(n=32, inputs=8, classes=3):
    r = rng()
    return r.normal(size=(n, inputs)), r.integers(0, classes, n)


def param(*shape, scale=1.0, name=None):
    return ob.tensor(scale * rng().normal(size=shape), requires_grad=True, name=name)


def training(model, *, lr=0.01, params=None, zero=True, optimizer=None, forward=None):
    """A whole step on fixed data."""
    x, t = data()
    opt = (optimizer or ob.optim.SGD)(list(params or model.parameters()), lr=lr)

    def step():
        if zero:
            opt.zero_grad()
        L = F.cross_entropy((forward or model)(x), t)
        L.backward()
        opt.step()
        return L.item()

    return step


# -- it vanishes, it explodes -----------------------------------------------------------------


@planted("vanishing")
def deep_sigmoids():
    layers = [nn.Linear(16, 16, rng=drawn(i)) for i in range(12)]

    def loss(x):
        for layer in layers:
            x = ob.sigmoid(layer(x))  # here
        return ob.mean(x * x)

    return loss, rng().normal(size=(8, 16))


@planted("vanishing")
def small_weights():
    weights = [param(16, 16, scale=0.01, name=f"W{i}") for i in range(6)]

    def loss(x):
        for W in weights:
            x = ob.tanh(x @ W)  # here
        return ob.sum(x)

    return loss, rng().normal(size=(8, 16))


@planted("vanishing")
def a_tiny_factor():
    A, B = param(8, 8, name="A"), param(8, 3, name="B")

    def loss(x):
        h = ob.tanh(x @ A)
        y = (h * 1e-7) @ B  # here
        return ob.sum(y * y)

    return lambda x: loss(x) * 1e3, rng().normal(size=(8, 8))


@planted("vanishing")
def forgetting():
    W, U = param(8, 8, scale=0.1, name="W"), param(4, 8, name="U")

    def loss(xs):
        h = np.zeros((5, 8))
        for x in xs:
            h = ob.tanh(h @ W + x @ U)  # here
        return ob.sum(h)

    return loss, rng().normal(size=(30, 5, 4))


@planted("exploding")
def large_weights():
    layers = [param(32, 32, scale=1.0, name=f"W{i}") for i in range(8)]

    def loss(x):
        for W in layers:
            x = ob.relu(x @ W)  # here
        return ob.mean(x)

    return loss, rng().normal(size=(8, 32))


@planted("exploding")
def an_unstable_recurrence():
    W = ob.tensor(1.6 * np.eye(6), requires_grad=True, name="W")

    def loss(x):
        for _ in range(40):
            x = x @ W  # here
        return ob.sum(x)

    return loss, rng().normal(size=(3, 6))


# -- units that do not answer -----------------------------------------------------------------


@planted("dead")
def a_bias_far_below():
    a, b = nn.Linear(8, 16, rng=drawn()), nn.Linear(16, 3, rng=drawn(1))

    def forward(x):
        h = ob.relu(a(x) - 50.0)  # here
        return b(h)

    model = nn.Sequential(a, b)
    return (training(model, forward=forward),)


@planted("dead")
def most_units_dead():
    W, V = param(8, 16, name="W"), param(16, 3, name="V")
    bias = np.where(np.arange(16) < 12, -100.0, 0.0)

    def loss(x, t):
        h = ob.maximum(x @ W + bias, 0.0)  # here
        return F.cross_entropy(h @ V, t)

    x, t = data()
    return (lambda: loss(x, t),)


@planted("dead")
def dead_channels():
    w, v = param(6, 1, 3, 3, name="w"), param(6, name="v")

    def loss(x):
        y = ob.conv(x, w) - np.array([9e3, 9e3, 9e3, 9e3, 9e3, 0.0])[:, None, None]
        h = ob.relu(y)  # here
        return ob.sum(ob.sum(h, axis=(0, 2, 3)) * v)

    return loss, ob.tensor(rng().normal(size=(4, 1, 8, 8)))


@planted("saturated")
def data_not_normalised():
    W, V = param(8, 16, name="W"), param(16, 3, name="V")
    x, t = data()

    def loss():
        h = ob.tanh((1000.0 * x) @ W)  # here
        return F.cross_entropy(h @ V, t)

    return (loss,)


@planted("saturated")
def weights_too_large():
    W, V = param(8, 16, scale=100.0, name="W"), param(16, 3, name="V")
    x, t = data()

    def loss():
        h = ob.sigmoid(x @ W)  # here
        return F.cross_entropy(h @ V, t)

    return (loss,)


@planted("saturated")
def clipped_away():
    W, V = param(8, 16, name="W"), param(16, 3, name="V")
    x, t = data()

    def loss():
        h = ob.clip(20.0 * (x @ W), -1.0, 1.0)  # here
        return F.cross_entropy(h @ V, t)

    return (loss,)


@planted("saturated")
def attention_without_its_scale():
    q, k, v = param(12, 16, name="q"), param(12, 16, name="k"), param(12, 4, name="v")

    def loss():
        a = ob.softmax(100.0 * (q @ k.T))  # here
        return ob.sum((a @ v) ** 2)

    return (loss,)


# -- parameters that no gradient reaches ------------------------------------------------------


def two_matrices():
    return param(8, 8, name="W"), param(8, 3, name="V"), rng().normal(size=(5, 8))


@planted("detached")
def detached():
    W, V, x = two_matrices()

    def loss():
        h = ob.tanh(x @ W)
        k = h.detach()  # here
        return ob.sum((k @ V) ** 2)

    return (loss,)


@planted("no_grad")
def under_no_grad():
    W, V, x = two_matrices()

    def loss():
        with ob.no_grad():
            h = ob.tanh(x @ W)  # here
        return ob.sum((h @ V) ** 2)

    return (loss,)


@planted("stop_gradient")
def stopped():
    W, V, x = two_matrices()

    def loss():
        h = ob.tanh(x @ W)
        k = ob.stop_gradient(h)  # here
        return ob.sum((k @ V) ** 2)

    return (loss,)


@planted("plain")
def through_numpy():
    W, V, x = two_matrices()

    def loss():
        h = ob.tanh(x @ W)
        k = h.numpy()  # here
        return ob.sum((k @ V) ** 2)

    return (loss,)


@planted("integer")
def through_integers():
    W, V, x = two_matrices()

    def loss():
        h = x @ W
        k = h.astype(int)  # here
        return ob.sum((k @ V) ** 2)

    return (loss,)


@planted("rounded")
def through_rounding():
    W, V, x = two_matrices()

    def loss():
        h = x @ W
        k = ob.round(h)  # here
        return ob.sum((k @ V) ** 2)

    return (loss,)


@planted("comparison")
def through_a_comparison():
    W, V, x = two_matrices()

    def loss():
        h = x @ W
        k = h > 0.0  # here
        return ob.sum((k.astype(float) @ V) ** 2)

    return (loss,)


# wandb#1639: a module rebuilt its parameter, and its gradients were silently missing
@planted("copied")
def copied_into_a_new_leaf():
    W, V, x = two_matrices()

    def loss():
        w = ob.tensor(W, requires_grad=True)  # here
        return ob.sum((ob.tanh(x @ w) @ V) ** 2)

    return (loss,)


# pytorch#57776, lightning#21794: which parameters were not used, and why
@planted("unused")
def a_layer_never_called():
    model = nn.Sequential(nn.Linear(8, 3, rng=drawn()))
    model.spare = nn.Linear(4, 4, rng=drawn())  # here
    return (training(model, forward=model[0]),)


@planted("unused")
def a_head_the_loss_leaves_out():
    body, head, other = (nn.Linear(8, n, rng=drawn()) for n in (8, 3, 2))
    model = nn.ModuleList([body, head, other])

    def forward(x):
        h = ob.tanh(body(x))
        other(h)  # here
        return head(h)

    return (training(model, forward=forward),)


# -- zero, alike ------------------------------------------------------------------------------


@planted("zero")
def a_factor_of_zero():
    W, V, x = two_matrices()
    weight = 0.0

    def loss():
        h = ob.tanh(x @ W)
        extra = weight * ob.sum(h * h)  # here
        return ob.sum(x @ V) + extra

    return (loss,)


@planted("zero")
def all_weights_zero():
    W = ob.tensor(np.zeros((8, 16)), requires_grad=True, name="W")
    V = ob.tensor(np.zeros((16, 3)), requires_grad=True, name="V")
    x, t = data()

    def loss():
        h = ob.tanh(x @ W)
        y = h @ V  # here
        return F.cross_entropy(y, t)

    return (loss,)


@planted("zero")
def parts_that_cancel():
    W, V, x = two_matrices()

    def loss():
        h = x @ W
        gap = ob.sum(h) - ob.sum(h)  # here
        return gap + ob.sum((x @ V) ** 2)

    return (loss,)


@planted("alike")
def units_that_start_alike():
    W = ob.tensor(np.full((8, 6), 0.1), requires_grad=True, name="W")  # here
    V = ob.tensor(np.full((6, 3), 0.1), requires_grad=True, name="V")
    x, _ = data()
    return (lambda: ob.sum(ob.tanh(ob.tanh(x @ W) @ V)[:, 0] ** 2),)


# -- the step itself --------------------------------------------------------------------------


@planted("update too large")
def a_learning_rate_too_large():
    model = nn.Linear(8, 3, rng=drawn())
    opt = ob.optim.SGD(model.parameters(), lr=100.0)
    x, t = data()

    def step():
        opt.zero_grad()
        F.cross_entropy(model(x), t).backward()
        opt.step()  # here

    return (step,)


@planted("not updated")
def forgotten_by_the_optimiser():
    a, b = nn.Linear(8, 8, rng=drawn()), nn.Linear(8, 3, rng=drawn(1))
    model = nn.ModuleList([a, b])

    def forward(x):
        return b(ob.tanh(a(x)))  # here

    return (training(model, params=b.parameters(), forward=forward),)


@planted("accumulated")
def gradients_never_cleared():
    model = nn.Linear(8, 3, rng=drawn())
    opt = ob.optim.SGD(model.parameters(), lr=0.01)
    x, t = data()

    def step():
        L = F.cross_entropy(model(x), t)  # here
        L.backward()
        opt.step()

    step()
    return (step,)


# -- not finite -------------------------------------------------------------------------------


@planted("not finite")
def a_step_that_meets_a_logarithm():
    W, _, x = two_matrices()
    opt = ob.optim.Adam([W], lr=0.1)

    def step():
        opt.zero_grad()
        p = ob.relu(x @ W)
        L = -ob.mean(ob.log(p))  # here
        L.backward()
        opt.step()

    return (step,)


# pytorch#160016: the gradient is infinite, the NaN comes only in the optimiser
@planted("not finite")
def infinity_that_becomes_nan_in_the_optimiser():
    w = ob.tensor(np.zeros(3), requires_grad=True, name="w")
    opt = ob.optim.Adam([w], lr=0.1)

    def step():
        opt.zero_grad()
        distance = ob.sqrt(ob.sum(w * w))  # here
        L = (distance - 1.0) ** 2
        L.backward()
        opt.step()

    return (step,)


# pytorch#160016: the anomaly mode is silent on a NaN of the forward pass
@planted("not finite")
def nan_on_the_way_forward():
    W, V, x = two_matrices()

    def loss():
        h = x @ W
        n = h / ob.sum(h * 0.0, axis=1, keepdims=True)  # here
        return ob.mean(n @ V)

    return (loss,)


# pytorch#43405: the quotient at 0, whose second derivative was blamed on no line
@planted("not finite")
def quotient_at_zero():
    x = ob.tensor(0.4, requires_grad=True)
    y = ob.tensor(0.0, requires_grad=True)

    def loss():
        return x / y  # here

    return (loss,)


# jax#25519 (of #25299, #25643), examples 1 and 2: the logarithm of minus a square, nested
@planted("not finite")
def logarithm_of_minus_a_square():
    def f(x):
        y = ob.square(x)
        return ob.log(-y)  # here

    return lambda x: ob.sum(f(x)), np.array([2.0, 0.0])


@planted("not finite")
def logarithm_of_minus_a_square_nested():
    def f(x):
        y = ob.square(x)
        return ob.log(-y)  # here

    def g(x):
        return f(x - 2.0)

    return lambda x: ob.sum(g(x)), np.array([2.0, 0.0])


# jax#475: finite for some steps, then every gradient is NaN
@planted("not finite")
def gradient_alone_is_nan():
    w = ob.tensor([1.0, 0.0], requires_grad=True, name="w")

    def loss():
        r = ob.sqrt(w)  # here
        return ob.sum(r * np.array([1.0, 0.0]))

    return (loss,)


# chainer#3161: a rule of one's own that gives NaN
@planted("not finite")
def a_rule_that_gives_nan():
    @ob.custom_vjp
    def gate(x):
        return x * 1.0

    gate.defvjp(lambda x: (x * 1.0, None), lambda _, y_bar: (y_bar * np.nan,))
    w = param(3, name="w")

    def loss():
        return ob.sum(gate(w))  # here

    return (loss,)


# -- healthy ----------------------------------------------------------------------------------


@healthy
def a_small_classifier():
    model = nn.Sequential(nn.Linear(8, 32, rng=drawn()), nn.ReLU(), nn.Linear(32, 3, rng=drawn(1)))
    return (training(model),)


@healthy
def after_some_training():
    model = nn.Sequential(nn.Linear(8, 32, rng=drawn()), nn.ReLU(), nn.Linear(32, 3, rng=drawn(1)))
    step = training(model, lr=0.01, optimizer=ob.optim.Adam)
    for _ in range(100):
        step()
    return (step,)


@healthy
def with_tanh_and_adam():
    model = nn.Sequential(nn.Linear(8, 16, rng=drawn()), nn.Tanh(), nn.Linear(16, 3, rng=drawn(1)))
    return (training(model, lr=1e-3, optimizer=ob.optim.Adam),)


@healthy
def deep_with_connections_that_skip():
    layers = [nn.Linear(16, 16, rng=drawn(i)) for i in range(20)]
    last = nn.Linear(16, 3, rng=drawn(99))
    x, t = data(inputs=16)

    def loss():
        h = x
        for layer in layers:
            h = h + 0.1 * ob.tanh(layer(h))
        return F.cross_entropy(last(h), t)

    return (loss,)


@healthy
def a_convolutional_network():
    w, v = param(8, 1, 3, 3, scale=0.3, name="w"), param(8 * 3 * 3, 3, scale=0.1, name="v")
    x = rng().normal(size=(32, 1, 8, 8))
    t = rng().integers(0, 3, 32)

    def loss():
        h = ob.max_pool(ob.relu(ob.conv(x, w)), 2)
        return F.cross_entropy(ob.reshape(h, (32, -1)) @ v, t)

    return (loss,)


@healthy
def a_recurrent_network():
    W, U, V = (
        param(*s, scale=0.35, name=n) for s, n in (((8, 8), "W"), ((4, 8), "U"), ((8, 2), "V"))
    )
    xs, t = rng().normal(size=(12, 16, 4)), rng().integers(0, 2, 16)

    def loss():
        h = np.zeros((16, 8))
        for x in xs:
            h = ob.tanh(h @ W + x @ U)
        return F.cross_entropy(h @ V, t)

    return (loss,)


@healthy
def attention():
    q, k, v = param(12, 16, name="q"), param(12, 16, name="k"), param(12, 4, name="v")
    return (lambda: ob.sum((ob.softmax(q @ k.T / 4.0) @ v) ** 2),)


@healthy
def logistic_regression():
    w, b = param(8, name="w"), ob.tensor(0.0, requires_grad=True, name="b")
    x, t = data(classes=2)
    return (lambda: F.binary_cross_entropy_with_logits(x @ w + b, t.astype(float)),)


@healthy
def a_last_layer_of_zeros():
    W = param(8, 16, scale=0.3, name="W")
    V = ob.tensor(np.zeros((16, 3)), requires_grad=True, name="V")
    x, t = data()
    step_first = ob.optim.SGD([W, V], lr=0.1)

    def loss():
        return F.cross_entropy(ob.tanh(x @ W) @ V, t)

    loss().backward()
    step_first.step()
    return (loss,)


@healthy
def a_frozen_body():
    body, head = nn.Linear(8, 8, rng=drawn()), nn.Linear(8, 3, rng=drawn(1))
    body.requires_grad_(False)
    model = nn.ModuleList([body, head])
    return (training(model, params=head.parameters(), forward=lambda x: head(ob.tanh(body(x)))),)


@healthy
def a_gradient_of_arguments():
    def loss(w, x):
        return ob.mean(ob.tanh(x @ w) ** 2)

    return loss, rng().normal(size=(8, 4)), rng().normal(size=(16, 8))


# jax#347, pytorch#68425, diffrax#742: the branch not taken leaks no NaN here
@healthy
def a_root_behind_where():
    w = ob.tensor([1.0, 0.0, 4.0], requires_grad=True, name="w")
    return (lambda: ob.sum(ob.where(w.detach() > 0, ob.sqrt(w), 0.0)),)


# torch#2421, jax#3058, autograd#151: norm and deviation at 0
@healthy
def norm_of_nothing():
    w = ob.tensor(np.r_[np.zeros(3), 1.0], requires_grad=True, name="w")
    return (lambda: ob.linalg.vector_norm(w[:3]) + ob.std(w[:3]) + ob.sum(w * w),)
