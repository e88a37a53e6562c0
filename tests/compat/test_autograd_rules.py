"""Primitives with rules stated from outside, vector spaces, and autograd's `misc`."""

import numpy as onp
import pytest

import overbar as ob
import overbar.compat.autograd.numpy as np
from overbar.compat.autograd import checkpoint, deriv, elementwise_grad, grad, jacobian, make_vjp
from overbar.compat.autograd.core import SparseObject
from overbar.compat.autograd.extend import (
    JVPNode,
    VJPNode,
    def_linear,
    defjvp,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    notrace_primitive,
    primitive,
    register_notrace,
    vspace,
)
from overbar.compat.autograd.misc import const_graph, flatten
from overbar.compat.autograd.misc.fixed_points import fixed_point
from overbar.compat.autograd.misc.flatten import flatten_func
from overbar.compat.autograd.misc.optimizers import adam, rmsprop, sgd
from overbar.compat.autograd.numpy.numpy_vjps import unbroadcast_f
from overbar.compat.autograd.test_util import check_equivalent, check_grads, combo_check
from overbar.compat.autograd.util import subval, subvals, toposort

X = onp.array([0.5, 1.5, 2.5])


def product():
    """x · y with both rules, in plain NumPy inside."""

    @primitive
    def times(x, y, scale=1.0):
        assert type(x) is not ob.Tensor
        assert type(y) is not ob.Tensor
        return onp.multiply(x, y) * scale

    defvjp(
        times,
        lambda z, x, y, scale=1.0: unbroadcast_f(x, lambda z_bar: z_bar * y * scale),
        lambda z, x, y, scale=1.0: unbroadcast_f(y, lambda z_bar: z_bar * x * scale),
    )
    return times


@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_one_rule_serves_both_modes_to_second_order(mode):
    times = product()
    check_grads(times, (0, 1), modes=[mode])(X, 2.0)
    check_grads(lambda x: times(x, np.sin(x), scale=3.0), modes=[mode])(X)


def test_a_forward_rule_serves_both_modes():
    cube = primitive(lambda x: x**3)
    defjvp(cube, lambda x_dot, y, x: 3 * x**2 * x_dot)
    check_grads(cube)(X)


def test_rules_of_many_arguments():
    total = primitive(lambda *xs: sum(xs))
    defvjp_argnum(total, lambda n, y, xs, kwargs: lambda y_bar: y_bar)
    check_grads(total, (0, 2))(X, X, X)
    weigh = primitive(lambda a, b: 2 * a + 3 * b)
    defvjp_argnums(weigh, lambda ns, y, xs, kw: lambda y_bar: [y_bar * (2 + n) for n in ns])
    defjvp_argnums(
        weigh, lambda ns, ds, y, xs, kw: sum((2 + n) * d for n, d in zip(ns, ds, strict=True))
    )
    check_grads(weigh, (0, 1))(X, X)
    linear = primitive(lambda a: a[::-1] * 2)
    def_linear(linear)
    check_grads(linear, modes=["fwd"])(X)
    with pytest.raises(NotImplementedError, match="VJP"):  # it would be its own transpose's
        elementwise_grad(linear)(X)


def test_none_is_zero_and_a_missing_argument_raises():
    f = primitive(lambda x, y: x * y)
    defvjp(f, None)
    assert grad(lambda x: np.sum(f(x, 2.0)) + np.sum(x))(X).tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(NotImplementedError):
        grad(f, 1)(1.0, 2.0)
    with pytest.raises(NotImplementedError, match="not defined"):
        grad(primitive(lambda x: x))(1.0)
    with pytest.raises(TypeError, match="rule"):
        defvjp(f, "same")


def test_containers_go_in_and_out():
    @primitive
    def swap(pair):
        return {"a": pair[1] * 2, "b": [pair[0]]}

    defvjp(swap, lambda y, pair: lambda bar: (bar["b"][0], 2 * bar["a"]))
    f = lambda x, y: np.sum(swap((x, y))["a"] * swap((x, y))["b"][0])
    check_grads(f, (0, 1))(X, X**2)


def test_an_array_changed_later_does_not_change_the_gradient():
    times, w = product(), onp.ones(3)
    pull, _ = make_vjp(lambda x: times(x, w))(X)
    w[:] = 100.0
    assert pull(onp.ones(3)).tolist() == [1.0, 1.0, 1.0]


def test_a_derivative_of_the_wrong_shape_is_refused():
    f = primitive(onp.sum)
    defvjp(f, lambda y, x: lambda y_bar: onp.ones(7))
    with pytest.raises(ValueError, match="wrong shape"):
        grad(f)(X)


def test_a_constant_adjoint_spreads():
    f = primitive(onp.sum)
    defvjp(f, lambda y, x: lambda y_bar: y_bar)
    assert grad(f)(X).tolist() == [1.0, 1.0, 1.0]


def test_a_rule_for_a_function_of_numpy():
    defvjp(np.unwrap, lambda y, x: lambda y_bar: y_bar)
    assert elementwise_grad(np.unwrap)(X).tolist() == [1.0, 1.0, 1.0]


def test_a_jacobian_through_plain_numpy_goes_row_by_row():
    f = primitive(onp.cumsum)
    back = primitive(lambda g: onp.cumsum(g[::-1])[::-1])
    defvjp(f, lambda y, x: back)
    assert jacobian(f)(X) == pytest.approx(onp.tril(onp.ones((3, 3))))


def test_nothing_flows_through_what_is_not_traced():
    steps = primitive(onp.floor)
    for kind in (VJPNode, JVPNode):
        register_notrace(kind, steps)
    assert grad(lambda x: x * steps(x))(2.5) == 2.0
    plain = notrace_primitive(lambda x: x)
    assert grad(lambda x: x * plain(x))(3.0) == 3.0


def test_sparse_adjoints():
    first = primitive(lambda x: x[0])

    def mut_add(y_bar):
        def added(x):
            x[0] += y_bar
            return x

        return added

    defvjp(first, lambda y, x: lambda y_bar: SparseObject(vspace(x), mut_add(y_bar)))
    assert grad(lambda x: first(x) ** 2)(X).tolist() == [1.0, 0.0, 0.0]


def test_methods_of_old_still_state_rules():
    from overbar.compat.autograd import primitive as old

    f = old(lambda x, y: x * y)
    with pytest.warns(UserWarning, match="deprecated"):
        f.defvjp(lambda g, ans, vs, gvs, x, y: g * y)
    with pytest.warns(UserWarning, match="deprecated"):
        f.defgrad(lambda ans, x, y: lambda g: g * x, argnum=1)
    check_grads(f, (0, 1))(X, X)


def test_a_primitive_under_jit_says_what_to_do():
    with pytest.raises(ob.errors.OverbarError, match="value is not known"):
        ob.jit(grad(lambda x: np.sum(product()(x, 2.0))))(X)


def test_checkpoint_runs_again():
    runs = []

    def f(x):
        runs.append(1)
        return np.sin(x) if x[0] > 0 else x

    check_grads(checkpoint(f))(X)
    runs.clear()
    grad(lambda x: np.sum(checkpoint(f)(x)))(X)
    assert len(runs) == 2


# -- vector spaces ----------------------------------------------------------------------------


def test_spaces_know_their_vectors():
    space = vspace({"a": X, "b": [1.0, 2j]})
    assert space.size == 6
    assert len(list(space.standard_basis())) == 6
    assert space == vspace({"a": 2 * X, "b": [0.0, 1j]})
    assert space != vspace({"a": X[:2], "b": [1.0, 2j]})
    assert vspace(X) != vspace(X + 0j)
    check_equivalent(space.add(space.ones(), space.zeros()), space.ones())
    with pytest.raises(TypeError, match="vector space"):
        vspace("text")
    with pytest.raises(TypeError, match="vector space"):
        vspace(3)


def test_the_checks_see_a_wrong_rule():
    for rule in (lambda y, x: lambda g: g * 2.001, lambda y, x: lambda g: g):
        f = primitive(lambda x: x * 2.0)
        defvjp(f, rule)
        with pytest.raises(AssertionError, match=r"\(VJP\) check of"):
            check_grads(f, modes=["rev"])(1.0)
    with pytest.raises(AssertionError):
        check_equivalent(1.0, 2.0)
    combo_check(np.power, (0, 1))([1.5, X], [2.0, 0.5])


# -- misc -------------------------------------------------------------------------------------


def test_flatten_and_back():
    tree = (1.0, [X, {"x": 2.0}], ())
    vector, back = flatten(tree)
    assert vector.tolist() == [1.0, 0.5, 1.5, 2.5, 2.0]
    assert flatten(back(vector))[0].tolist() == vector.tolist()
    assert grad(lambda x: np.sum(flatten([x, x])[0]))(2.0) == 2.0
    f, _, start = flatten_func(lambda t: {"y": t["x"] * 2}, {"x": X})
    assert f(start).tolist() == (2 * X).tolist()
    assert flatten(1 + 1j)[1](flatten(1 + 1j)[0]) == 1 + 1j


@pytest.mark.parametrize(
    ("optimize", "settings"),
    [(sgd, {}), (rmsprop, {"num_iters": 300}), (adam, {"num_iters": 300, "step_size": 0.05})],
)
def test_optimisers_reach_the_minimum(optimize, settings):
    seen = []
    slope = grad(lambda p, i: np.sum((p["w"] - 1.0) ** 2))
    found = optimize(
        slope, {"w": onp.zeros(2)}, callback=lambda p, i, g: seen.append(i), **settings
    )
    assert found["w"] == pytest.approx(onp.ones(2), abs=0.1)
    assert seen[:2] == [0, 1]


def test_fixed_points_are_differentiated_by_their_equation():
    newton = lambda a: lambda x: 0.5 * (x + a / x)
    distance = lambda x, y: np.abs(x - y)
    root = lambda a: fixed_point(newton, a, 1.0, distance, 1e-12)
    assert root(2.0) == pytest.approx(2**0.5)
    assert grad(root)(2.0) == pytest.approx(0.5 / 2**0.5)
    assert grad(grad(root))(2.0) == pytest.approx(-0.25 / 2**1.5, rel=1e-6)
    assert deriv(root)(2.0) == pytest.approx(0.5 / 2**0.5)


def test_a_constant_graph_is_traced_once():
    runs = []

    def f(x, y):
        runs.append(1)
        return grad(lambda x: np.sin(x) + x * 2)(x * y)

    again = const_graph(f)
    for x in (0.0, 1.0, 2.0):
        assert again(x, 0.5) == pytest.approx(onp.cos(x * 0.5) + 2)
    assert len(runs) == 1


def test_small_functions():
    assert subvals((1, 2, 3), [(0, 9), (2, 8)]) == (9, 2, 8)
    assert subval([1, 2], 1, 5) == (1, 5)
    users = {"d": "bc", "b": "a", "c": "a", "a": ""}
    order = list(toposort("d", parents=users.__getitem__))
    assert order[0] == "d"
    assert order[-1] == "a"
    assert len(order) == 4
