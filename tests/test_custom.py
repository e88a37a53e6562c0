"""Rules of one's own: custom_vjp, custom_jvp, Function, callback; and checkpoint."""

import gc
import tracemalloc

import numpy as np
import pytest

import overbar as ob
from overbar.errors import GradientError, RuleMissingError, ShapeError, StructureError

X = np.array([0.3, -0.7, 1.1])


def sine_by_vjp():
    """sin with a reverse rule of our own, marked by a factor 3."""

    @ob.custom_vjp
    def f(x):
        return ob.sin(x)

    f.defvjp(lambda x: (ob.sin(x), x), lambda x, y_bar: (3.0 * ob.cos(x) * y_bar,))
    return f


def sine_by_jvp():
    @ob.custom_jvp
    def f(x):
        return ob.sin(x)

    f.defjvp(lambda xs, dots: (ob.sin(xs[0]), 3.0 * ob.cos(xs[0]) * dots[0]))
    return f


class Sine(ob.Function):
    def forward(self, x):
        self.x = x
        return ob.sin(x)

    def backward(self, y_bar):
        return 3.0 * ob.cos(self.x) * y_bar


FORMS = {
    "custom_vjp": sine_by_vjp,
    "custom_jvp": sine_by_jvp,
    "Function": lambda: lambda x: Sine()(x),  # noqa: PLW0108  (a new one each time)
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def alike(a, b, rtol=1e-14):
    np.testing.assert_allclose(_plain(a), _plain(b), rtol=rtol, atol=1e-15)


def _plain(t):
    return t.detach().numpy() if isinstance(t, ob.Tensor) else np.asarray(t)


@forms
class TestAStatedRule:
    def test_is_used_instead_of_the_operations_own(self, form):
        f = form()
        alike(f(X), np.sin(X))
        alike(ob.grad(lambda x: ob.sum(f(x)))(X), 3 * np.cos(X))
        x = ob.tensor(X, requires_grad=True)
        ob.sum(f(x) * 2.0).backward()
        alike(x.grad, 6 * np.cos(X))

    def test_is_differentiated_in_its_turn(self, form):
        f = form()
        alike(ob.grad(ob.grad(f))(0.4), -3 * np.sin(0.4))
        alike(ob.jvp(ob.grad(f), (0.4,), (1.0,))[1], -3 * np.sin(0.4))
        alike(ob.grad(ob.grad(ob.grad(f)))(0.4), -3 * np.cos(0.4))

    def test_is_batched(self, form):
        f = form()
        alike(ob.vmap(f)(X), np.sin(X))
        alike(ob.vmap(ob.grad(f))(X), 3 * np.cos(X))
        alike(ob.grad(lambda x: ob.sum(ob.vmap(f)(x)))(X), 3 * np.cos(X))
        alike(ob.vmap(ob.vmap(ob.grad(f)))(X[None]), 3 * np.cos(X)[None])

    def test_is_traced(self, form):
        f = form()
        for g in (ob.jit(ob.grad(f)), ob.grad(ob.jit(f)), ob.grad(ob.checkpoint(f))):
            alike(g(0.4), 3 * np.cos(0.4))
        total = lambda x: ob.scan(lambda c, e: (c + f(e), None), 0.0, x)[0]
        alike(ob.grad(total)(X), 3 * np.cos(X))
        alike(ob.grad(lambda x: ob.cond(x > 0, f, lambda x: x, x))(0.4), 3 * np.cos(0.4))
        alike(ob.jit(ob.vmap(ob.grad(f)))(X), 3 * np.cos(X))

    def test_works_on_dtypes_and_shapes_as_they_come(self, form):
        f = form()
        g = ob.grad(lambda x: ob.sum(f(x)))
        assert g(X.astype(np.float32)).dtype == np.float32
        assert g(np.ones((2, 0, 3))).shape == (2, 0, 3)
        assert f(ob.tensor(1.0)).shape == ()

    def test_leaves_no_reference_cycles(self, form):
        f = form()
        x = ob.tensor(X, requires_grad=True)
        ob.sum(f(x)).backward()
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                ob.sum(f(x)).backward()
            assert gc.collect() == 0
        finally:
            gc.enable()


def test_a_forward_rule_serves_both_modes_and_its_transpose_is_exact():
    f = sine_by_jvp()
    alike(ob.jvp(f, (X,), (np.ones(3),))[1], 3 * np.cos(X))
    alike(ob.linearize(f, X)[1](np.ones(3)), 3 * np.cos(X))
    alike(ob.jacfwd(f)(X), ob.jacrev(f)(X))


def test_a_reverse_rule_refuses_forward_mode_and_says_the_cure():
    for f in (sine_by_vjp(), Sine()):
        with pytest.raises(RuleMissingError, match="custom_jvp"):
            ob.jvp(f, (X,), (X,))


def test_several_arguments_results_and_containers():
    @ob.custom_vjp
    def f(d, k, n):
        return {"p": d["a"] * d["b"][0] * k, "s": d["a"] + n}

    def forward(d, k, n):
        return f.f(d, k, n), (d, k)

    def backward(kept, y_bar):
        d, k = kept
        return (
            {"a": y_bar["p"] * d["b"][0] * k + y_bar["s"], "b": [y_bar["p"] * d["a"] * k]},
            None,
            None,
        )

    f.defvjp(forward, backward)

    def loss(d, k):
        y = f(d, k, 3)
        return ob.sum(y["p"] * 2.0 + y["s"] ** 2)

    d = {"a": X, "b": [2 * X]}
    found = ob.grad(loss)(d, 0.5)
    plain = ob.grad(lambda d, k: ob.sum(d["a"] * d["b"][0] * k * 2.0 + (d["a"] + 3) ** 2))(d, 0.5)
    alike(found["a"], plain["a"])
    alike(found["b"][0], plain["b"][0])
    assert float(ob.grad(loss, argnums=1)(d, 0.5)) == 0.0  # None stands for zero


def test_a_result_that_nothing_uses_sends_zeros_to_the_rule():
    seen = []

    @ob.custom_vjp
    def f(x):
        return x * 1.0, x * 2.0

    f.defvjp(
        lambda x: (f.f(x), None),
        lambda _, bars: seen.append([float(b) for b in bars]) or (bars[0] + bars[1],),
    )
    assert float(ob.grad(lambda x: f(x)[1])(3.0)) == 1.0
    assert seen == [[0.0, 1.0]]


def test_integer_and_text_arguments_pass_by():
    @ob.custom_vjp
    def f(x, n, word):
        return x**n

    f.defvjp(
        lambda x, n, word: (x**n, (x, n)),
        lambda kept, b: (b * kept[1] * kept[0] ** (kept[1] - 1), None, None),
    )
    alike(ob.grad(lambda x: f(x, 3, "word"))(2.0), 12.0)


def test_a_straight_through_rule_and_clipping():
    @ob.custom_vjp
    def rounded(x):
        return ob.round(x)

    rounded.defvjp(lambda x: (ob.round(x), None), lambda _, y_bar: (y_bar,))
    alike(ob.grad(lambda x: ob.sum(rounded(x) ** 2))(np.array([1.4, -2.6])), [2.0, -6.0])


@pytest.mark.parametrize(
    ("backward", "error", "words"),
    [
        (lambda x, b: b, StructureError, "one adjoint per argument"),
        (lambda x, b: (b, b), StructureError, "one adjoint per argument"),
        (lambda x, b: (ob.sum(b),), ShapeError, "check_backward"),
        (lambda x, b: ([b],), StructureError, "adjoint"),
    ],
)
def test_a_rule_that_returns_the_wrong_thing_is_told_so(backward, error, words):
    f = ob.custom_vjp(lambda x: x * 2.0)
    f.defvjp(lambda x: (x * 2.0, x), backward)
    with pytest.raises(error, match=words):
        ob.grad(lambda x: ob.sum(f(x)))(X)


def test_rules_that_are_not_there_are_missed():
    with pytest.raises(RuleMissingError, match="defvjp"):
        ob.custom_vjp(lambda x: x)(1.0)
    with pytest.raises(RuleMissingError, match="defjvp"):
        ob.custom_jvp(lambda x: x)(1.0)
    f = ob.custom_vjp(lambda x: x)
    f.defvjp(lambda x: x, lambda r, b: (b,))
    with pytest.raises(StructureError, match="pair"):
        f(1.0)
    g = ob.custom_jvp(lambda x: x)
    g.defjvp(lambda xs, dots: dots[0])
    with pytest.raises(StructureError, match="pair"):
        ob.grad(g)(1.0)
    with pytest.raises(NotImplementedError):
        ob.Function()(1.0)


def test_a_function_instance_serves_once():
    gate = Sine()
    gate(1.0)
    with pytest.raises(GradientError, match=r"Sine\(\)\(x\)"):
        gate(1.0)


def test_a_function_with_settings_and_several_results():
    class Split(ob.Function):
        def __init__(self, scale):
            self.scale = scale

        def forward(self, x, y):
            self.kept = {"x": x, "y": y}
            return x * y * self.scale, x + y

        def backward(self, p_bar, s_bar):
            return p_bar * self.kept["y"] * self.scale + s_bar, p_bar * self.kept[
                "x"
            ] * self.scale + s_bar

    def f(x, y):
        p, s = Split(0.5)(x, y)
        return ob.sum(p * 2.0) + ob.sum(s * s)

    wanted = ob.grad(lambda x, y: ob.sum(x * y) + ob.sum((x + y) ** 2), argnums=(0, 1))(X, 2 * X)
    for came, want in zip(ob.grad(f, argnums=(0, 1))(X, 2 * X), wanted, strict=True):
        alike(came, want)


def test_two_pullbacks_of_one_function_do_not_disturb_each_other():
    _y, pull = ob.vjp(Sine(), X)
    _z, other = ob.vjp(Sine(), 2 * X)
    alike(pull(np.ones(3))[0], 3 * np.cos(X))
    alike(other(np.ones(3))[0], 3 * np.cos(2 * X))
    alike(pull(np.ones(3))[0], 3 * np.cos(X))


# -- callback ----------------------------------------------------------------------------------


def test_opaque_numpy_runs_eager_traced_and_in_lanes():
    f = lambda x: ob.callback(np.cumsum, np.empty(3), x)
    alike(f(X), np.cumsum(X))
    alike(ob.jit(f)(X), np.cumsum(X))
    alike(ob.vmap(f)(np.stack([X, 2 * X])), np.stack([np.cumsum(X), np.cumsum(2 * X)]))
    alike(ob.scan(lambda c, e: (c, ob.callback(np.sin, e, e)), 0.0, X)[1], np.sin(X))
    both = lambda x: ob.callback(
        lambda a: (a + 1, a.astype(np.int64)), (np.empty(3), np.empty(3, np.int64)), x
    )
    alike(both(X)[0], X + 1)
    assert both(X)[1].dtype == np.int64


def test_opaque_numpy_has_no_derivative_unless_it_is_given_one():
    f = lambda x: ob.callback(np.sin, x, x)
    for ask in (lambda: ob.grad(lambda x: ob.sum(f(x)))(X), lambda: ob.jvp(f, (X,), (X,))):
        with pytest.raises(RuleMissingError, match="custom_vjp"):
            ask()
    alike(ob.grad(lambda x: ob.sum(x * ob.stop_gradient(f(ob.stop_gradient(x)))))(X), np.sin(X))
    g = ob.custom_jvp(f)
    g.defjvp(lambda xs, dots: (f(xs[0]), ob.callback(np.cos, xs[0], xs[0]) * dots[0]))
    alike(ob.grad(lambda x: ob.sum(g(x)))(X), np.cos(X))
    alike(ob.jvp(g, (X,), (X,))[1], np.cos(X) * X)


def test_what_a_callback_announces_must_come():
    for wrong in (lambda a: a[:2], lambda a: a.astype(np.float32), lambda a: (a, a)):
        with pytest.raises(ShapeError, match="announced"):
            ob.callback(wrong, np.empty(3), X)


def test_a_callback_cannot_write_into_the_graphs_values():
    def write(a):
        a[0] = 9.0
        return a

    x = ob.tensor(X)
    with pytest.raises(ValueError, match="read-only"):
        ob.callback(write, X, x)
    alike(x, X)


# -- checkpoint --------------------------------------------------------------------------------


def test_checkpoint_gives_the_same_values_and_gradients():
    w = ob.tensor(np.eye(3) + 0.1, requires_grad=True)
    v = ob.tensor(np.eye(3) + 0.1, requires_grad=True)
    f = lambda x, w: ob.tanh(ob.exp(ob.sin(x @ w)) @ w)
    ob.sum(ob.checkpoint(f)(X, w)).backward()
    ob.sum(f(ob.tensor(X), v)).backward()
    alike(w.grad, v.grad)
    g = lambda x: ob.sum(ob.checkpoint(lambda x: f(x, ob.tensor(np.eye(3) + 0.1)))(x))
    h = lambda x: ob.sum(f(x, ob.tensor(np.eye(3) + 0.1)))
    alike(ob.jvp(ob.grad(g), (X,), (X,))[1], ob.jvp(ob.grad(h), (X,), (X,))[1], 1e-12)
    alike(ob.vmap(g)(np.stack([X, 2 * X])), ob.vmap(h)(np.stack([X, 2 * X])))


def test_checkpoint_runs_its_body_again_and_not_oftener():
    ran = []

    def f(x):
        y = ob.custom_jvp(lambda x: ob.callback(lambda a: ran.append(1) or a * 1.0, x, x))
        y.defjvp(lambda xs, dots: (xs[0], dots[0]))
        return ob.sin(y(x))

    x = ob.tensor(X, requires_grad=True)
    y = ob.sum(ob.checkpoint(f)(x))
    assert len(ran) == 1
    y.backward()
    assert len(ran) == 2
    alike(x.grad, np.cos(X))


def test_checkpoint_keeps_its_inputs_only():
    def deep(x):
        for _ in range(20):
            x = ob.sin(x) + 0.1
        return x

    def kept(f):
        x = ob.tensor(np.ones(50_000), requires_grad=True)
        tracemalloc.start()
        y = f(x)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert y.requires_grad
        return size

    assert kept(ob.checkpoint(deep)) < kept(deep) / 8


def test_checkpoint_draws_the_same_random_numbers_both_times_and_moves_the_generator_once():
    for draw in (
        lambda rng, x: ob.sum(x * x * rng.normal((3,))),
        lambda rng, x: ob.sum(ob.where(rng.bernoulli(0.5, (3,)), x * x, 0.0)),
    ):
        one, two = ob.random.default_rng(5), ob.random.default_rng(5)
        for _ in range(3):
            x, z = ob.tensor(X, requires_grad=True), ob.tensor(X, requires_grad=True)
            a = ob.checkpoint(lambda x, draw=draw, one=one: draw(one, x))(x)
            b = draw(two, z)
            a.backward()
            b.backward()
            assert float(a) == float(b)
            assert x.grad.numpy().tobytes() == z.grad.numpy().tobytes()
        assert one.state.tolist() == two.state.tolist()


def test_checkpoint_reads_and_rebinds_handles():
    count, w = ob.tensor(0), ob.tensor(2.0, requires_grad=True)

    def f(x, scale=1.0):
        count.rebind(count + 1)
        return x * w * scale

    y = ob.checkpoint(f)(3.0, scale=2.0)
    assert (float(y), int(count)) == (12.0, 1)
    y.backward()
    assert float(w.grad) == 6.0
    assert int(count) == 1
    assert ob.checkpoint(f).__name__ == "f"


def test_checkpoints_nest():
    f = ob.checkpoint(
        lambda x: ob.sin(ob.checkpoint(lambda x: ob.exp(ob.checkpoint(ob.tanh)(x)))(x))
    )
    g = lambda x: ob.sin(ob.exp(ob.tanh(x)))
    alike(ob.grad(ob.grad(f))(0.3), ob.grad(ob.grad(g))(0.3), 1e-12)
