"""Control flow, custom rules, checkpoint and jit, composed with every transform.

Each entry pairs a function made of one of them with the same mathematics written plainly.
"""

import itertools

import numpy as np
import pytest

import overbar as ob
from tests.rules.cases import assert_same_bits, value

A = np.array([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6], [-0.2, 0.3, 0.1]])
X = np.array([0.3, -0.7, 1.1])


def recurrence(x):
    """Five steps of h ← tanh(A h + x), the sum of all states' squares."""
    h, total = x, 0.0
    for k in range(5):
        h = ob.tanh(ob.matmul(A, h) + x * float(k))
        total = total + ob.sum(h * h)
    return total


def recurrence_by_scan(x):
    def body(h, k):
        h = ob.tanh(ob.matmul(A, h) + x * k)
        return h, ob.sum(h * h)

    return ob.sum(ob.scan(body, x, np.arange(5.0))[1])


def recurrence_backwards(x):
    h, total = x, 0.0
    for k in reversed(range(5)):
        h = ob.tanh(ob.matmul(A, h) + x * float(k))
        total = total + ob.sum(h * h)
    return total


def recurrence_by_reverse_scan(x):
    def body(h, k):
        h = ob.tanh(ob.matmul(A, h) + x * k)
        return h, ob.sum(h * h)

    return ob.sum(ob.scan(body, x, np.arange(5.0), reverse=True)[1])


def recurrence_by_fori(x):
    def body(k, state):
        h, total = state
        h = ob.tanh(ob.matmul(A, h) + x * k)
        return h, total + ob.sum(h * h)

    return ob.fori_loop(0, 5, body, (x, 0.0 * ob.sum(x)))[1]


def doubling(x):
    """Doubled until its square sum exceeds 20, then a sine: the number of trips depends on x."""
    while float(ob.stop_gradient(ob.sum(x * x))) < 20:
        x = 2 * x
    return ob.sum(ob.sin(x))


def doubling_by_while(x):
    return ob.sum(ob.sin(ob.while_loop(lambda v: ob.sum(v * v) < 20, lambda v: 2 * v, x)))


def branch(x):
    return ob.sum(ob.exp(x)) if float(ob.stop_gradient(ob.sum(x))) > 0 else ob.sum(x * x)


def branch_by_cond(x):
    return ob.cond(ob.sum(x) > 0, lambda v: ob.sum(ob.exp(v)), lambda v: ob.sum(v * v), x)


def branch_by_switch(x):
    i = ob.where(ob.sum(x) > 0, 1, 0)
    return ob.switch(i, [lambda v: ob.sum(v * v), lambda v: ob.sum(ob.exp(v))], x)


def mapped(x):
    return ob.sum(ob.stack([ob.sin(x[i]) * x[i] for i in range(3)]) ** 2)


def mapped_by_map(x):
    return ob.sum(ob.map(lambda v: ob.sin(v) * v, x) ** 2)


def network(x):
    return ob.sum(ob.tanh(ob.matmul(A, ob.sin(ob.matmul(A, x)))) ** 2)


def network_checkpointed(x):
    return ob.sum(ob.checkpoint(lambda v: ob.tanh(ob.matmul(A, ob.sin(ob.matmul(A, v)))))(x) ** 2)


def network_checkpointed_twice(x):
    inner = ob.checkpoint(lambda v: ob.sin(ob.matmul(A, v)))
    return ob.sum(ob.checkpoint(lambda v: ob.tanh(ob.matmul(A, inner(v))))(x) ** 2)


@ob.custom_vjp
def squared(x):
    return x * x


squared.defvjp(lambda x: (x * x, x), lambda x, y_bar: (2 * x * y_bar,))


@ob.custom_jvp
def cubed(x):
    return x * x * x


cubed.defjvp(lambda primals, tangents: (primals[0] ** 3, 3 * primals[0] ** 2 * tangents[0]))


class Sine(ob.Function):
    def forward(self, x):
        self.x = x
        return ob.sin(x)

    def backward(self, y_bar):
        return y_bar * ob.cos(self.x)


PAIRS = {
    "scan": (recurrence_by_scan, recurrence),
    "scan, reversed": (recurrence_by_reverse_scan, recurrence_backwards),
    "fori_loop": (recurrence_by_fori, recurrence),
    "while_loop": (doubling_by_while, doubling),
    "cond": (branch_by_cond, branch),
    "switch": (branch_by_switch, branch),
    "map": (mapped_by_map, mapped),
    "checkpoint": (network_checkpointed, network),
    "checkpoint in checkpoint": (network_checkpointed_twice, network),
    "custom_jvp": (lambda x: ob.sum(ob.sin(cubed(x))), lambda x: ob.sum(ob.sin(x**3))),
    "jit": (ob.jit(network), network),
    "jit of scan": (ob.jit(recurrence_by_scan), recurrence),
    "jit of cond": (ob.jit(branch_by_cond), branch),
    "jit of while": (ob.jit(doubling_by_while), doubling),
    "scan in cond": (
        lambda x: ob.cond(x[0] > 0, recurrence_by_scan, branch_by_cond, x),
        lambda x: recurrence(x) if float(ob.stop_gradient(x[0])) > 0 else branch(x),
    ),
    "cond in scan": (
        lambda x: ob.scan(
            lambda c, k: (ob.cond(k > 1, ob.sin, lambda v: v * v, c), None), x, np.arange(4.0)
        )[0][1],
        lambda x: ob.sin(ob.sin((x * x) * (x * x)))[1],
    ),
    "checkpoint in scan": (
        lambda x: ob.sum(
            ob.scan(
                lambda c, _: (ob.checkpoint(lambda v: ob.sin(ob.matmul(A, v)))(c), None),
                x,
                length=3,
            )[0]
        ),
        lambda x: ob.sum(ob.sin(ob.matmul(A, ob.sin(ob.matmul(A, ob.sin(ob.matmul(A, x))))))),
    ),
    "scan in scan": (
        lambda x: ob.sum(
            ob.scan(
                lambda c, _: (
                    ob.scan(lambda d, k: (ob.sin(d) * k, None), c, np.array([1.0, 2.0]))[0],
                    None,
                ),
                x,
                length=2,
            )[0]
        ),
        lambda x: ob.sum(2 * ob.sin(ob.sin(2 * ob.sin(ob.sin(x))))),
    ),
}

# A reverse rule of one's own has no forward sweep.
REVERSE_ONLY = {
    "custom_vjp": (lambda x: ob.sum(ob.sin(squared(x))), lambda x: ob.sum(ob.sin(x * x))),
    "Function": (lambda x: ob.sum(Sine()(x * x)), lambda x: ob.sum(ob.sin(x * x))),
    "custom_vjp in scan": (
        lambda x: ob.sum(ob.scan(lambda c, _: (ob.sin(squared(c)), None), x, length=2)[0]),
        lambda x: ob.sum(ob.sin(ob.sin(x * x) ** 2)),
    ),
    "jit of custom_vjp": (
        ob.jit(lambda x: ob.sum(ob.sin(squared(x)))),
        lambda x: ob.sum(ob.sin(x * x)),
    ),
}

both_ways = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
reverse = pytest.mark.parametrize("pair", (PAIRS | REVERSE_ONLY).values(), ids=PAIRS | REVERSE_ONLY)


def close(found, wanted, tolerance=1e-12):
    np.testing.assert_allclose(value(found), value(wanted), rtol=tolerance, atol=tolerance)


@reverse
def test_the_value_and_the_gradient_are_those_of_plain_code(pair):
    f, plain = pair
    for x in (X, -X, np.abs(X)):
        (y, g), (y_plain, g_plain) = (ob.value_and_grad(h)(x) for h in (f, plain))
        close(y, y_plain)
        close(g, g_plain)


@reverse
def test_backward_goes_through_it(pair):
    f, plain = pair
    x = ob.tensor(X, requires_grad=True)
    f(x).backward()
    close(x.grad, ob.grad(plain)(X))


@both_ways
def test_the_forward_sweep_goes_through_it(pair):
    f, plain = pair
    d = np.array([0.2, 1.0, -0.5])
    close(ob.jvp(f, (X,), (d,))[1], ob.jvp(plain, (X,), (d,))[1])


@reverse
def test_the_gradient_of_the_gradient_goes_through_it(pair):
    f, plain = pair
    twice = lambda h: ob.grad(lambda x: ob.sum(ob.grad(h)(x) * np.array([1.0, 2.0, -1.0])))
    close(twice(f)(X), twice(plain)(X), 1e-11)


@both_ways
def test_all_four_second_derivatives_agree_with_plain_code(pair):
    f, plain = pair
    d = np.array([0.2, 1.0, -0.5])
    grads = {
        "reverse": ob.grad,
        "forward": lambda h: lambda x: ob.jvp(h, (x,), (d,))[1],
    }
    for outer, inner in itertools.product(grads.values(), repeat=2):
        made = []
        for h in (f, plain):
            first = inner(h)
            scalar = lambda x, g=first: ob.sum(g(x) * d)
            made.append(outer(scalar)(X))
        close(*made, 1e-11)


@reverse
def test_vmap_of_its_gradient_equals_a_loop(pair):
    f, plain = pair
    xs = np.stack([X, -X, 0.5 * X, np.abs(X)])
    close(ob.vmap(f)(xs), np.stack([value(plain(x)) for x in xs]))
    close(ob.vmap(ob.grad(f))(xs), np.stack([ob.grad(plain)(x) for x in xs]), 1e-11)


@reverse
def test_the_gradient_of_vmap_equals_a_sum(pair):
    f, plain = pair
    xs = np.stack([X, -X, 0.5 * X])
    weights = np.array([1.0, -2.0, 0.5])
    found = ob.grad(lambda v: ob.sum(ob.vmap(f)(v) * weights))(xs)
    close(found, np.stack([w * ob.grad(plain)(x) for w, x in zip(weights, xs, strict=True)]), 1e-11)


@reverse
def test_jit_of_its_gradient_gives_the_same(pair):
    f, plain = pair
    step = ob.jit(ob.value_and_grad(f))
    for x in (X, -X, np.abs(X), X):
        y, g = step(x)
        close(y, plain(x))
        close(g, ob.grad(plain)(x), 1e-11)


@reverse
def test_the_gradient_of_jit_gives_the_same(pair):
    f, plain = pair
    step = ob.jit(f)
    close(ob.grad(step)(X), ob.grad(plain)(X))
    close(
        ob.grad(lambda x: ob.sum(ob.grad(step)(x)))(X),
        ob.grad(lambda x: ob.sum(ob.grad(plain)(x)))(X),
        1e-11,
    )


def test_a_loop_is_one_node():
    names = [n.op.name for n in ob.trace(recurrence_by_scan)(X).nodes]
    assert names.count("scan") == 1
    assert names.count("tanh") == 0


def test_a_loop_reads_what_it_closes_over():
    w = ob.tensor(A, requires_grad=True)
    h, _ = ob.scan(lambda c, _: (ob.tanh(ob.matmul(w, c)), None), X, length=3)
    ob.sum(h).backward()
    plain = lambda m: ob.sum(ob.tanh(ob.matmul(m, ob.tanh(ob.matmul(m, ob.tanh(ob.matmul(m, X)))))))
    close(w.grad, ob.grad(plain)(A))


def test_a_loop_of_no_steps_is_the_identity():
    carry, ys = ob.scan(lambda c, x: (c * x, c), X, np.ones((0,)))
    close(carry, X)
    assert ys.shape == (0, 3)
    g = ob.grad(lambda x: ob.sum(ob.scan(lambda c, y: (c * y, None), x, np.ones((0,)))[0]))(X)
    close(g, np.ones(3))


def test_a_branch_that_is_not_taken_leaks_nothing():
    f = lambda x: ob.cond(x > 0, ob.sqrt, lambda v: 0.0 * v, x)
    assert float(ob.grad(f)(0.0)) == 0.0
    with np.errstate(divide="ignore"):
        close(ob.vmap(ob.grad(f))(np.array([0.0, 4.0])), [0.0, 0.25])


def test_checkpoint_keeps_less():
    from overbar.graph import ancestors

    def tower(x):
        for _ in range(10):
            x = ob.tanh(x * 1.01)
        return x

    def kept(f):
        x = ob.tensor(np.ones(1000), requires_grad=True)
        y = ob.sum(f(x))
        return sum(
            np.asarray(n.value).nbytes
            for n in ancestors([y.node])
            if n.inputs and n.value is not None
        )

    assert kept(ob.checkpoint(tower)) <= 8000 < 10 * 8000 <= kept(tower)


def test_checkpoint_draws_the_same_numbers_again():
    def noisy(x):
        g = ob.random.default_rng(5)
        return ob.sum(ob.sin(x * g.normal((3,))))

    close(ob.grad(ob.checkpoint(noisy))(X), ob.grad(noisy)(X))


def test_jit_is_traced_once_for_each_signature():
    runs = []

    @ob.jit
    def f(x, lr):
        runs.append(1)
        return x * lr

    for lr in (0.1, 0.2, 0.3):
        close(f(X, lr), X * lr)
    assert len(runs) == 1
    f(X.astype(np.float32), 0.1)
    f(X[:2], 0.1)
    assert len(runs) == 3


def test_jit_sees_a_changed_closure_and_a_changed_global():
    scale = 2.0
    f = ob.jit(lambda x: x * scale)
    close(f(X), 2 * X)
    scale = 3.0
    close(f(X), 3 * X)


def test_jit_carries_rebinds_and_gradients_out():
    w = ob.tensor(X, requires_grad=True)

    @ob.jit
    def step(t):
        loss = ob.sum(ob.square(w - t))
        loss.backward()
        with ob.no_grad():
            g = w.grad
            w.rebind(w - 0.1 * g)
            w.grad = None
        return loss

    eager = X.copy()
    for _ in range(5):
        step(np.ones(3))
        eager = eager - 0.1 * 2 * (eager - 1)
    close(w, eager)
    assert w.grad is None
    assert w.requires_grad


def test_an_exception_inside_jit_rolls_rebinds_back():
    w = ob.tensor(X)

    @ob.jit
    def bad():
        w.rebind(w * 2)
        raise KeyError

    with pytest.raises(KeyError):
        bad()
    assert_same_bits(w, X)


def test_a_callback_runs_under_jit_and_vmap_and_refuses_a_derivative():
    f = lambda x: ob.callback(np.sort, np.empty(3), x)
    close(ob.jit(f)(X), np.sort(X))
    close(ob.vmap(f)(np.stack([X, -X])), np.stack([np.sort(X), np.sort(-X)]))
    with pytest.raises(ob.errors.RuleMissingError, match="callback"):
        ob.grad(lambda x: ob.sum(f(x)))(X)


def test_a_custom_rule_replaces_the_derivative_at_every_use():
    @ob.custom_vjp
    def twice(x):
        return x

    twice.defvjp(lambda x: (x, None), lambda _, y_bar: (2 * y_bar,))
    assert float(ob.grad(lambda x: twice(twice(x)))(1.0)) == 4.0
    close(ob.vmap(ob.grad(lambda x: twice(x) * x))(X), 3 * X)
    assert float(ob.jit(ob.grad(twice))(1.0)) == 2.0


def test_a_custom_rule_in_float32_stays_float32():
    g = ob.grad(lambda x: ob.sum(squared(x)))(X.astype(np.float32))
    assert g.dtype == np.float32
