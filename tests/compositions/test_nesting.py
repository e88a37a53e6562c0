"""Transforms of transforms, to depth 4 in any order; no perturbation is taken for another."""

import itertools

import mpmath
import numpy as np
import pytest

import overbar as ob
from tests.rules.cases import assert_same_bits

# -- every order of differentiation, against derivatives in 50 digits --------------------------

FUNCTIONS = {
    "sin(x) exp(x/2)": lambda m, x: m.sin(x) * m.exp(x / 2),
    "x⁵ - 2x": lambda m, x: x**5 - 2 * x,
    "1/(1 + x²)": lambda m, x: 1 / (1 + x * x),
    "tanh(x²)": lambda m, x: m.tanh(x * x),
}


def by_grad(f):
    return ob.grad(f)


def by_jvp(f):
    return lambda x: ob.jvp(f, (x,), (1.0,))[1]


def by_vjp(f):
    return lambda x: ob.vjp(f, x)[1](1.0)[0]


def by_linearize(f):
    return lambda x: ob.linearize(f, x)[1](1.0)


def by_vmapped_grad(f):
    """Two lanes, of which the second is thrown away."""
    return lambda x: ob.vmap(ob.grad(f))(ob.stack([ob.asarray(x), 2.0 * x]))[0]


def by_vmapped_jvp(f):
    """Two directions at once, of which the second is thrown away."""
    return lambda x: ob.vmap(lambda d: ob.jvp(f, (x,), (d,))[1])(np.array([1.0, 5.0]))[0]


WAYS = [by_grad, by_jvp, by_vjp, by_linearize, by_vmapped_grad, by_vmapped_jvp]


def exact(name, x, order):
    with mpmath.workdps(50):
        return float(mpmath.diff(lambda t: FUNCTIONS[name](mpmath, t), mpmath.mpf(x), order))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_differentiating_in_any_order_gives_the_derivative(name, depth):
    wanted = exact(name, 0.7, depth)
    for ways in itertools.product(WAYS, repeat=depth):
        f = lambda x: FUNCTIONS[name](ob, x)
        for way in ways:
            f = way(f)
        assert float(f(0.7)) == pytest.approx(wanted, rel=1e-11), [w.__name__ for w in ways]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_differentiating_four_times_in_any_order_gives_the_fourth_derivative(name):
    wanted = exact(name, 0.7, 4)
    ways_of = [by_grad, by_jvp, by_vmapped_grad]
    for ways in itertools.product(ways_of, repeat=4):
        f = lambda x: FUNCTIONS[name](ob, x)
        for way in ways:
            f = way(f)
        assert float(f(0.7)) == pytest.approx(wanted, rel=1e-10), [w.__name__ for w in ways]


@pytest.mark.parametrize("outer", [by_grad, by_jvp, by_vmapped_grad])
@pytest.mark.parametrize("inner", [by_grad, by_jvp, by_linearize])
def test_vmap_of_any_two_derivatives_is_a_loop(outer, inner):
    f = outer(inner(lambda x: ob.sin(x) * ob.exp(x / 2)))
    xs = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(ob.vmap(f)(xs), [f(x) for x in xs], rtol=1e-13)


# -- containers and modules --------------------------------------------------------------------


class Layer:
    """A class that joins in with trees."""

    def __init__(self, weight, bias):
        self.weight, self.bias = weight, bias

    def tree_children(self):
        return ("weight", "bias"), (self.weight, self.bias)

    def tree_rebuild(self, children):
        return Layer(*children)

    def __call__(self, x):
        return ob.tanh(ob.matmul(x, self.weight) + self.bias)


def network(rng):
    return {
        "layers": [
            Layer(rng.standard_normal((3, 4)), rng.standard_normal(4)),
            Layer(rng.standard_normal((4, 2)), rng.standard_normal(2)),
        ],
        "scale": (rng.standard_normal(), None),
    }


def loss(net, x):
    for layer in net["layers"]:
        x = layer(x)
    return ob.sum(ob.square(x * net["scale"][0] - 0.3))


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in ob.tree_flatten(tree)[0]])


def test_a_gradient_has_the_structure_and_shapes_of_its_argument(rng):
    net, x = network(rng), rng.standard_normal((5, 3))
    gradient = ob.grad(loss)(net, x)
    assert ob.tree_flatten(gradient)[1] == ob.tree_flatten(net)[1]
    assert type(gradient["layers"][0]) is Layer
    for g, p in zip(ob.tree_flatten(gradient)[0], ob.tree_flatten(net)[0], strict=True):
        assert np.shape(g) == np.shape(p)


def test_a_hessian_times_a_vector_is_the_same_by_four_routes(rng):
    net, x = network(rng), rng.standard_normal((5, 3))
    leaves, structure = ob.tree_flatten(net)
    v = ob.tree_unflatten(structure, [rng.standard_normal(np.shape(leaf)) for leaf in leaves])
    f = lambda n: loss(n, x)

    def inner(a, b):
        pairs = zip(ob.tree_flatten(a)[0], ob.tree_flatten(b)[0], strict=True)
        return sum(ob.sum(p * q) for p, q in pairs)

    forward_over_reverse = ob.jvp(ob.grad(f), (net,), (v,))[1]
    reverse_over_reverse = ob.grad(lambda n: inner(ob.grad(f)(n), v))(net)
    reverse_over_forward = ob.grad(lambda n: ob.jvp(f, (n,), (v,))[1])(net)
    by_pull = ob.vjp(ob.grad(f), net)[1](v)[0]
    for other in (reverse_over_reverse, reverse_over_forward, by_pull):
        np.testing.assert_allclose(flat(other), flat(forward_over_reverse), rtol=1e-11, atol=1e-12)


def test_per_sample_gradients_average_to_the_batch_gradient(rng):
    """S2-2: the gradient of the cost is the mean of the samples' gradients."""
    net, xs = network(rng), rng.standard_normal((6, 3))
    each = ob.vmap(ob.grad(loss), in_axes=(None, 0))(net, xs)
    whole = ob.grad(lambda n: loss(n, xs) / 6)(net)
    for samples, batch in zip(ob.tree_flatten(each)[0], ob.tree_flatten(whole)[0], strict=True):
        assert samples.shape == (6, *np.shape(batch))
        np.testing.assert_allclose(samples.mean(0), batch, rtol=1e-12, atol=1e-13)


def test_a_fourth_derivative_of_containers_is_symmetric(rng):
    net, x = network(rng), rng.standard_normal((2, 3))
    leaves, structure = ob.tree_flatten(net)
    vs = [
        ob.tree_unflatten(structure, [rng.standard_normal(np.shape(p)) for p in leaves])
        for _ in range(4)
    ]

    def along(f, v):
        return lambda n: ob.jvp(f, (n,), (v,))[1]

    def against(f, v):
        return lambda n: sum(
            ob.sum(p * q)
            for p, q in zip(ob.tree_flatten(ob.grad(f)(n))[0], ob.tree_flatten(v)[0], strict=True)
        )

    found = []
    for order, ways in itertools.product(
        [(0, 1, 2, 3), (3, 1, 0, 2)], [(along,) * 4, (against, along) * 2]
    ):
        f = lambda n: loss(n, x)
        for k, way in zip(order, ways, strict=True):
            f = way(f, vs[k])
        found.append(float(f(net)))
    np.testing.assert_allclose(found, found[0], rtol=1e-9)


# -- perturbation confusion --------------------------------------------------------------------


@pytest.mark.parametrize("inner", [by_grad, by_jvp, by_vjp, by_linearize])
@pytest.mark.parametrize("outer", [by_grad, by_jvp, by_vjp, by_linearize])
class TestPerturbationConfusion:
    def test_the_classic(self, outer, inner):
        """d/dx x · (d/dy (x + y)) = 1, not 2: Siskind and Pearlmutter (2005)."""
        assert float(outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0)) == 1.0

    def test_a_product_of_both_variables(self, outer, inner):
        assert float(outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0)) == 6.0

    def test_the_inner_point_is_the_outer_variable(self, outer, inner):
        assert float(outer(lambda x: inner(lambda y: x * y * y)(x))(3.0)) == 12.0

    def test_the_inner_function_ignores_its_variable(self, outer, inner):
        assert float(outer(lambda x: x + inner(lambda y: x * x)(x))(3.0)) == 1.0

    def test_the_inner_derivative_is_a_factor_of_itself(self, outer, inner):
        """d/dx [x · f'(x)] with f = x³ is 9x²."""
        assert float(outer(lambda x: x * inner(lambda y: y * y * y)(x))(2.0)) == 36.0

    def test_three_levels_with_all_variables(self, outer, inner):
        f = lambda x: inner(lambda y: x * outer(lambda z: x * y * y * z * z)(y))(x)
        # ∂z: 2 x y² z at z = y: 2 x y³;  times x: 2 x² y³;  ∂y: 6 x² y² at y = x: 6 x⁴;  ∂x: 24 x³
        assert float(outer(f)(1.5)) == pytest.approx(24 * 1.5**3, rel=1e-14)

    def test_an_operator_applied_to_itself(self, outer, inner):
        """Manzyuk et al. (2019): D(λx. g(x + y)) at 0, twice, of exp, at 1, is e."""
        hat = lambda way: lambda g: lambda y: way(lambda x: g(x + y))(0.0)
        assert float(hat(outer)(hat(inner)(ob.exp))(1.0)) == pytest.approx(np.e, rel=1e-14)

    def test_a_closure_made_inside_is_called_inside(self, outer, inner):
        def f(x):
            g = lambda y: ob.sin(x * y)
            return g(x) + inner(g)(x)

        # sin x² + x cos x²;  d/dx: 2x cos x² + cos x² − 2x² sin x²
        x = 0.8
        wanted = 2 * x * np.cos(x * x) + np.cos(x * x) - 2 * x * x * np.sin(x * x)
        assert float(outer(f)(x)) == pytest.approx(wanted, rel=1e-14)


def test_backward_inside_grad_does_not_disturb_it():
    def f(x):
        w = ob.tensor(2.0, requires_grad=True)
        (w * w * 3.0).backward()
        return x * w.grad

    assert float(ob.grad(f)(5.0)) == 12.0


def test_grad_with_respect_to_a_leaf_leaves_its_grad_alone():
    w = ob.tensor(3.0, requires_grad=True)
    assert float(ob.grad(lambda x: x * x * w)(w)) == 18.0
    assert w.grad is None


def test_backward_goes_through_grad():
    """WANTED is one more level: the gradient of a gradient by backward()."""
    w = ob.tensor(3.0, requires_grad=True)
    slope = ob.grad(lambda x: x * x * x)(w)
    slope.backward()
    assert float(slope) == 27.0
    assert float(w.grad) == 18.0


def test_backward_goes_through_vmap_and_jvp():
    w = ob.tensor([1.0, 2.0, 3.0], requires_grad=True)
    _, dots = ob.jvp(ob.vmap(lambda x: x**3), (w,), (np.ones(3),))
    ob.sum(dots).backward()
    np.testing.assert_allclose(w.grad.numpy(), 6 * np.array([1.0, 2.0, 3.0]))


def test_a_transform_inside_no_grad_works_and_outside_it_nothing_is_recorded():
    w = ob.tensor(2.0, requires_grad=True)
    with ob.no_grad():
        slope = ob.grad(lambda x: x**3)(w)
    assert float(slope) == 12.0
    assert not slope.requires_grad


def test_no_grad_inside_grad_makes_constants():
    def f(x):
        with ob.no_grad():
            c = x * 10.0
        return x * c

    assert float(ob.grad(f)(3.0)) == 30.0


def test_stop_gradient_stops_every_level():
    f = lambda x: x * ob.stop_gradient(x * x)
    assert float(ob.grad(f)(3.0)) == 9.0
    assert float(ob.grad(ob.grad(f))(3.0)) == 0.0
    assert float(ob.jvp(f, (3.0,), (1.0,))[1]) == 9.0


# -- what the transforms take ------------------------------------------------------------------


def test_argnums_choose_and_order():
    f = lambda x, y, z: x * y**2 * z**3
    gx, gz = ob.grad(f, argnums=(0, 2))(2.0, 3.0, 5.0)
    assert (float(gx), float(gz)) == (9.0 * 125, 2.0 * 9 * 75)
    gz, gx = ob.grad(f, argnums=(2, 0))(2.0, 3.0, 5.0)
    assert (float(gx), float(gz)) == (9.0 * 125, 2.0 * 9 * 75)
    assert float(ob.grad(f, argnums=-1)(2.0, 3.0, 5.0)) == 2.0 * 9 * 75
    with pytest.raises(ob.errors.GradientError):
        ob.grad(f, argnums=3)(2.0, 3.0, 5.0)


def test_keyword_arguments_are_passed_on():
    assert float(ob.grad(lambda x, *, k: x**k)(2.0, k=3)) == 12.0


def test_has_aux_hands_out_what_came_beside_the_loss():
    def f(x):
        return ob.sum(x * x), {"double": 2 * x, "word": "kept"}

    (value, aux), gradient = ob.value_and_grad(f, has_aux=True)(np.array([1.0, 2.0]))
    assert float(value) == 5.0
    assert aux["word"] == "kept"
    assert_same_bits(aux["double"], np.array([2.0, 4.0]))
    assert_same_bits(gradient, np.array([2.0, 4.0]))
    gradient, aux = ob.grad(f, has_aux=True)(np.array([1.0, 2.0]))
    assert isinstance(aux["double"], np.ndarray)
    _y, pull, aux = ob.vjp(f, np.array([1.0, 2.0]), has_aux=True)
    assert_same_bits(pull(1.0)[0], np.array([2.0, 4.0]))


def test_an_aux_of_an_inner_transform_still_depends_on_the_outer_variable():
    def f(x):
        _, aux = ob.grad(lambda y: (x * y * y, x * y), has_aux=True)(x)
        return aux

    assert float(ob.grad(f)(3.0)) == 6.0


def test_numpy_in_gives_numpy_out_and_tensor_in_gives_tensor_out():
    f = lambda x, y: ob.sum(x * y)
    a, t = np.ones(2), ob.tensor([1.0, 2.0])
    assert type(ob.grad(f)(a, a)) is np.ndarray
    assert type(ob.grad(f)(t, a)) is ob.Tensor
    assert type(ob.grad(f)(a, t)) is ob.Tensor
    assert type(ob.vmap(lambda x: x)(a)) is np.ndarray
    assert type(ob.jvp(ob.sin, (t,), (a,))[1]) is ob.Tensor


def test_inside_a_transform_everything_is_a_tensor():
    seen = []

    def f(x):
        seen.append(type(x))
        inner = ob.grad(lambda y: y * y)(2.0)
        seen.append(type(inner))
        return x * inner

    ob.grad(f)(1.0)
    assert seen == [ob.Tensor, ob.Tensor]


def test_pull_may_be_called_again_and_later():
    _, pull = ob.vjp(lambda x: ob.sin(x) * x, np.array([1.0, 2.0]))
    first = pull(np.array([1.0, 0.0]))[0]
    again = pull(np.array([1.0, 0.0]))[0]
    assert_same_bits(first, again)
    assert pull(np.array([0.0, 1.0]))[0][0] == 0.0
    jacobian = ob.vmap(lambda e: pull(e)[0])(np.eye(2))
    np.testing.assert_allclose(
        jacobian, np.diag(np.cos([1.0, 2.0]) * [1.0, 2.0] + np.sin([1.0, 2.0]))
    )


def test_a_linearized_function_is_linear_and_is_not_run_again():
    runs = []

    def f(x):
        runs.append(1)
        return ob.exp(x) * x

    _, at = ob.linearize(f, 1.5)
    a, b = at(1.0), at(-2.5)
    assert len(runs) == 1
    assert float(b) == pytest.approx(-2.5 * float(a), rel=1e-15)


def test_an_argument_that_is_not_used_has_gradient_zero_of_its_shape():
    g = ob.grad(lambda x, y: ob.sum(x), argnums=1)(np.ones(2), np.ones((3, 1), np.float32))
    assert (g.shape, g.dtype, g.sum()) == ((3, 1), np.float32, 0.0)


def test_the_same_array_twice_is_two_arguments():
    a = np.array([1.0, 2.0])
    gx, gy = ob.grad(lambda x, y: ob.sum(x * x * y), argnums=(0, 1))(a, a)
    assert_same_bits(gx, 2 * a * a)
    assert_same_bits(gy, a * a)


def test_the_function_may_return_its_argument_or_a_constant():
    assert float(ob.grad(lambda x: x)(3.0)) == 1.0
    assert float(ob.grad(lambda x: 7.0)(3.0)) == 0.0
    assert float(ob.jvp(lambda x: x, (3.0,), (2.0,))[1]) == 2.0
    assert float(ob.jvp(lambda x: 7.0, (3.0,), (2.0,))[1]) == 0.0


def test_recursion_in_the_function_is_pythons_own():
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    assert float(ob.grad(power)(2.0, 10)) == 10 * 2.0**9


def test_newtons_loop_differentiates_to_the_derivative_of_the_root():
    """S1-23: control flow is Python's; the gradient of √x is 1/(2√x)."""

    def root(x):
        y = ob.asarray(1.0)
        while abs(float(ob.stop_gradient(y * y - x))) > 1e-14:
            y = 0.5 * (y + x / y)
        return 0.5 * (y + x / y)

    assert float(ob.grad(root)(2.0)) == pytest.approx(0.5 / np.sqrt(2), rel=1e-14)
