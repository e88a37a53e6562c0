"""What the transforms take and give: containers, argnums, aux, NumPy and Tensors, errors."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

import overbar as ob
from overbar.errors import (
    CutError,
    DomainError,
    DTypeError,
    GradientError,
    LeakedTraceError,
    ShapeError,
    StructureError,
)
from overbar.handle import from_value
from overbar.ownership import handed_out

X = np.array([1.0, 2.0, 3.0])


class Point(NamedTuple):
    x: object
    y: object


@dataclasses.dataclass
class Layer:
    w: object
    b: object
    label: str = "plain"


@dataclasses.dataclass(frozen=True)
class Frozen:
    w: object


def alike(a, b, rtol=1e-13):
    np.testing.assert_allclose(_plain(a), _plain(b), rtol=rtol, atol=1e-15)


def _plain(t):
    return t.detach().numpy() if isinstance(t, ob.Tensor) else np.asarray(t)


# -- which arguments ---------------------------------------------------------------------------


@pytest.mark.parametrize("argnums", [0, 2, -1, -3, (0,), (2, 0), (-1, 1), [0, 1], np.int64(1)])
def test_argnums_may_be_negative_a_tuple_a_list_or_numpys(argnums):
    f = lambda x, y, z: ob.sum(x * y**2 * z**3)
    args = 2.0, 3.0, 5.0
    slopes = 9.0 * 125, 12.0 * 125, 18.0 * 75
    for found in (ob.grad(f, argnums)(*args), ob.value_and_grad(f, argnums)(*args)[1]):
        if isinstance(argnums, int | np.integer):
            assert float(found) == slopes[argnums]
        else:
            assert isinstance(found, tuple)
            assert [float(g) for g in found] == [slopes[i] for i in argnums]
    if isinstance(argnums, int):
        assert float(ob.jacobian(f, argnums)(*args)) == slopes[argnums]


@pytest.mark.parametrize("argnums", [3, -4, (0, 7)])
def test_an_argument_that_is_not_there_is_said(argnums):
    for transform in (ob.grad, ob.value_and_grad, ob.jacobian, ob.jacfwd, ob.jacrev, ob.hessian):
        with pytest.raises(GradientError, match="but 3 came"):
            transform(lambda x, y, z: x * y * z, argnums)(1.0, 2.0, 3.0)


def test_jacobians_of_several_arguments_and_results_come_as_blocks():
    f = lambda x, y: {"p": x * y[0], "s": ob.sum(x) + y}
    for way in (ob.jacfwd, ob.jacrev, ob.jacobian):
        found = way(f, argnums=(0, 1))(X, np.array([2.0, 4.0]))
        alike(found["p"][0], 2.0 * np.eye(3))
        alike(found["p"][1], np.stack([X, 0 * X], 1))
        alike(found["s"][0], np.ones((2, 3)))
        alike(found["s"][1], np.eye(2))


def test_a_hessian_of_a_container_is_a_container_of_containers():
    f = lambda d: ob.sum(d["a"] ** 2) * d["b"]
    found = ob.hessian(f)({"a": X, "b": 3.0})
    alike(found["a"]["a"], 6.0 * np.eye(3))
    alike(found["a"]["b"], 2 * X)
    alike(found["b"]["a"], 2 * X)
    alike(found["b"]["b"], 0.0)


def test_mode_is_chosen_by_shape_and_both_agree():
    calls = []
    f = lambda x: (calls.append(1), ob.sin(ob.asarray(np.ones((2, x.shape[0]))) @ x))[1]
    for n in (1, 7):
        x = np.linspace(0, 1, n)
        alike(ob.jacobian(f)(x), ob.jacobian(f, mode="forward")(x))
        alike(ob.jacobian(f)(x), ob.jacobian(f, mode="reverse")(x))
    with pytest.raises(DomainError):
        ob.jacobian(f, mode="sideways")


# -- containers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "leaves"),
    [
        (X, lambda t: [t]),
        ((X, [2 * X]), lambda t: [t[0], t[1][0]]),
        ({"b": X, "a": {"c": 2 * X}}, lambda t: [t["b"], t["a"]["c"]]),
        (Point(X, 2 * X), lambda t: [t.x, t.y]),
        (Layer(X, 2 * X), lambda t: [t.w, t.b]),
        (Frozen(X), lambda t: [t.w]),
        ([None, X, ()], lambda t: [t[1]]),
    ],
    ids=["array", "tuple", "dict", "namedtuple", "dataclass", "frozen", "with None"],
)
def test_a_gradient_has_the_structure_of_its_argument(tree, leaves):
    if isinstance(tree, Layer):
        with pytest.raises(DTypeError, match="no array of numbers"):  # its label is no number
            ob.grad(lambda t: ob.sum(t.w))(tree)
        return
    f = lambda t: sum(ob.sum(x * x) for x in leaves(t))
    value, slope = ob.value_and_grad(f)(tree)
    assert type(slope) is type(tree)
    for came, x in zip(leaves(slope), leaves(tree), strict=True):
        alike(came, 2 * np.asarray(x))
    _y, dot = ob.jvp(f, (tree,), (tree,))
    alike(dot, 2 * value)
    _, pull = ob.vjp(f, tree)
    alike(leaves(pull(2.0)[0])[0], 4 * np.asarray(leaves(tree)[0]))


def test_a_classs_own_tree_protocol_is_used():
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

        def tree_children(self):
            return ("a", "b"), [self.a, self.b]

        def tree_rebuild(self, children):
            return Pair(*children)

    slope = ob.grad(lambda p: ob.sum(p.a * p.b))(Pair(X, 2 * X))
    assert type(slope) is Pair
    alike(slope.a, 2 * X)


def test_cotangents_and_tangents_have_the_structure_they_belong_to():
    _, pull = ob.vjp(lambda x: {"a": x, "b": (x * x,)}, X)
    alike(pull({"a": np.ones(3), "b": (X,)})[0], 1 + 2 * X * X)
    for wrong in (X, {"a": X}, {"a": X, "b": [X]}):
        with pytest.raises(StructureError):
            pull(wrong)
    with pytest.raises(StructureError):
        ob.jvp(lambda t: t[0], ((X, X),), (X,))
    with pytest.raises(ShapeError, match="one tangent per primal"):
        ob.jvp(lambda x, y: x * y, (X, X), (X,))
    with pytest.raises(ShapeError):
        pull({"a": np.ones(2), "b": (X,)})
    with pytest.raises(ShapeError):
        ob.jvp(ob.sin, (X,), (np.ones(2),))
    with pytest.raises(DTypeError, match="real"):
        ob.jvp(ob.sin, (X,), (1j * X,))


# -- aux ---------------------------------------------------------------------------------------


def test_aux_passes_anything_beside_the_result():
    f = lambda x: (ob.sum(x * x), {"double": 2 * x, "word": "kept", "none": None})
    (value, aux), slope = ob.value_and_grad(f, has_aux=True)(X)
    assert (float(value), aux["word"], aux["none"]) == (14.0, "kept", None)
    assert type(aux["double"]) is np.ndarray
    alike(slope, 2 * X)
    slope, aux = ob.grad(f, has_aux=True)(ob.tensor(X))
    assert type(aux["double"]) is ob.Tensor
    _y, pull, aux = ob.vjp(f, X, has_aux=True)
    alike(pull(1.0)[0], 2 * X)
    alike(aux["double"], 2 * X)
    with pytest.raises(GradientError, match="pair"):
        ob.grad(ob.sum, has_aux=True)(X)
    with pytest.raises(GradientError, match="has_aux=True"):
        ob.grad(f)(X)


def test_aux_carries_no_tracker_out():
    w = ob.tensor(X)
    _, aux = ob.grad(lambda x: (ob.sum(x), x * 2.0), has_aux=True)(w)
    alike(aux, 2 * X)
    assert not aux.requires_grad
    alike(ob.grad(lambda x: ob.sum(x * aux))(X), 2 * X)


# -- in and out --------------------------------------------------------------------------------


def test_numpy_in_numpy_out_tensors_in_tensors_out_everywhere():
    f = lambda x: ob.sum(x * x)
    t = ob.tensor(X)
    pairs = [
        (ob.grad(f)),
        (lambda x: ob.value_and_grad(f)(x)[0]),
        (lambda x: ob.jvp(f, (x,), (X,))[1]),
        (lambda x: ob.vjp(f, x)[0]),
        (lambda x: ob.vjp(f, x)[1](1.0)[0]),
        (lambda x: ob.linearize(f, x)[1](X)),
        (ob.jacobian(ob.sin)),
        (ob.hessian(f)),
        (lambda x: ob.hvp(f, (x,), (X,))),
        (ob.vmap(ob.sin)),
        (lambda x: ob.linear_transpose(lambda x: 2.0 * x, x)(x)[0]),
    ]
    for way in pairs:
        assert isinstance(way(X), np.ndarray | np.generic)
        assert isinstance(way(t), ob.Tensor)
        alike(way(X), way(t), 0)


def test_dtypes_of_gradients_are_those_of_their_arguments():
    f = lambda x, y: ob.sum(x * y)
    gx, gy = ob.grad(f, argnums=(0, 1))(np.float32([1, 2]), np.float64([3, 4]))
    assert (gx.dtype, gy.dtype) == (np.float32, np.float64)
    assert ob.grad(lambda x: ob.sum(x * 2.0))(np.ones(2, np.float16)).dtype == np.float16
    assert ob.jvp(ob.sin, (np.float32(1),), (np.float64(1),))[1].dtype == np.float32
    assert ob.grad(ob.abs)(1.0 + 1.0j).dtype == np.complex128


def test_gradients_of_a_complex_variable_point_uphill():
    z = np.array([3.0 + 4.0j])
    alike(ob.grad(lambda z: ob.sum(ob.abs(z) ** 2))(z), 2 * z)
    with pytest.raises(GradientError, match="complex"):
        ob.grad(lambda z: ob.sum(z * z))(z)


def test_results_do_not_share_memory_with_arguments():
    x = X.copy()
    slope = ob.grad(lambda x: ob.sum(x * ob.stop_gradient(x)))(x)
    x[:] = 0
    alike(slope, X)
    _y, pull = ob.vjp(lambda x: x * x, slope)
    slope[:] = 7.0
    alike(pull(np.ones(3))[0], 2 * X)


def test_results_in_numpy_are_the_callers_own():
    """Writing to one changes no tensor that the function holds, no other result, no later pull."""
    m, c = ob.tensor(np.ones((3, 3))), ob.tensor(X)
    whole = [J(lambda x: m @ x) for J in (ob.jacobian, ob.jacfwd, ob.jacrev)]
    for jacobian in (*whole, ob.jit(whole[0])):
        jacobian(X)[:] = 0
        np.testing.assert_array_equal(m.numpy(), np.ones((3, 3)))
    _, aux = ob.grad(lambda x: (ob.sum(x * x), c), has_aux=True)(X)
    y, _, more = ob.vjp(lambda x: (c, c), X, has_aux=True)
    for result in (aux, y, more):
        result[:] = 0
        np.testing.assert_array_equal(c.numpy(), X)
    y, pull = ob.vjp(ob.exp, X)
    z, at = ob.linearize(ob.exp, X)
    y[:], z[:] = 0, 0
    np.testing.assert_array_equal(pull(np.ones(3))[0], np.exp(X))
    np.testing.assert_array_equal(at(np.ones(3)), np.exp(X))


@pytest.mark.parametrize("wrap", [lambda f: f, ob.jit])
def test_two_results_in_numpy_are_two_arrays(wrap):
    def twice(x):
        y = ob.sin(x)
        return y, y

    pairs = (
        wrap(ob.grad(lambda x, y: ob.sum(x + y), argnums=(0, 1)))(X, X),
        wrap(ob.vmap(twice))(X),
        wrap(lambda x: ob.vjp(twice, x)[0])(X),
        wrap(ob.jacobian(twice))(X),
    )
    for first, second in pairs:
        before = second.copy()
        first[...] = 7
        np.testing.assert_array_equal(second, before)


def test_an_array_that_nobody_else_sees_is_handed_out_uncopied():
    for made in (lambda: np.ones(3), lambda: np.ones(4).reshape(2, 2)):
        t = from_value(made())
        address = t.value.ctypes.data
        assert handed_out(t).ctypes.data == address
    seen = np.ones(3)
    assert handed_out(from_value(seen)) is not seen
    assert handed_out(from_value(seen[1:])).base is not seen


def test_arguments_may_be_rebound_inside_without_harm():
    def f(x):
        y = x * x
        x += 1.0
        x[0] = y[1]
        return ob.sum(x * y)

    g = lambda x: ob.sum(ob.concat([(x * x)[1:2], (x + 1.0)[1:]]) * x * x)
    t = ob.tensor(X)
    for way in (
        ob.grad,
        ob.hessian,
        ob.jacfwd,
        lambda f: ob.jit(ob.grad(f)),
        lambda f: ob.grad(ob.checkpoint(f)),
    ):
        alike(way(f)(X), way(g)(X), 1e-12)
    alike(ob.vmap(f)(np.stack([X, 2 * X])), ob.vmap(g)(np.stack([X, 2 * X])))
    alike(ob.jvp(f, (t,), (X,))[1], ob.jvp(g, (t,), (X,))[1])
    alike(t, X)


# -- vmap's axes -------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_any_axis_may_count_the_lanes(axis):
    x = np.arange(24.0).reshape(2, 3, 4)
    lanes = np.moveaxis(x, axis, 0)
    wanted = np.stack([np.sin(lane) * lane for lane in lanes])
    alike(ob.vmap(lambda x: ob.sin(x) * x, in_axes=axis)(x), wanted)
    alike(ob.vmap(lambda x: ob.sin(x) * x, in_axes=axis, out_axes=axis)(x), np.sin(x) * x)


def test_axes_may_be_trees_and_prefixes():
    f = lambda d, y: {"s": d["a"] * y, "t": (d["b"],)}
    found = ob.vmap(f, in_axes=({"a": 0, "b": None}, 1), out_axes={"s": 1, "t": None})(
        {"a": X, "b": 5.0}, np.ones((2, 3))
    )
    assert found["s"].shape == (2, 3)
    assert float(found["t"][0]) == 5.0
    assert ob.vmap(lambda p: p.x + p.y)(Point(X, X)).tolist() == [2.0, 4.0, 6.0]


def test_lanes_that_cannot_be_counted_are_refused():
    for f, error in [
        (lambda: ob.vmap(lambda x, y: x)(X, np.ones(2)), ShapeError),
        (lambda: ob.vmap(lambda x: x, in_axes=None)(X), ShapeError),
        (lambda: ob.vmap(lambda x: x)(1.0), ShapeError),
        (lambda: ob.vmap(lambda x, y: x, in_axes=(0,))(X, X), ShapeError),
        (lambda: ob.vmap(lambda x: x, in_axes="0")(X), DTypeError),
        (lambda: ob.vmap(lambda x: x, in_axes=3)(X), IndexError),
    ]:
        with pytest.raises(error) as caught:
            f()
        assert "test_transforms.py" in str(caught.value)


def test_a_result_may_be_given_twice():
    def f(x):
        y = ob.sin(x) + x
        return y, y

    for twice in (ob.vmap(f), ob.jit(ob.vmap(f))):
        for y in twice(ob.tensor(X)):
            np.testing.assert_array_equal(y.numpy(), np.sin(X) + X)
    first, second = ob.jacfwd(f)(X[0])
    assert first == second == np.cos(X[0]) + 1


def test_an_outer_handle_cannot_be_given_a_value_per_lane():
    state = ob.tensor(0.0)

    def f(x):
        state.rebind(state + x)
        return x

    for mapped in (ob.vmap(f), ob.jit(ob.vmap(f)), ob.vmap(ob.jit(f))):
        with pytest.raises(ob.errors.RebindError, match=r"per lane(.|\n)*make it inside"):
            mapped(X)
    assert float(state) == 0.0


def test_a_tensor_made_in_a_mapped_function_may_be_written_to():
    def f(x):
        y = ob.zeros(3)
        y[0], y[1:] = x, ob.ones(2)
        y *= 2.0 * x

        def inner(z):
            pair = ob.ones(2)
            pair[1] = x * z
            return pair

        y[2] += ob.vmap(inner)(y).sum()
        return y

    wanted = np.stack([f(ob.tensor(x)).numpy() for x in X])
    for mapped in (ob.vmap(f), ob.jit(ob.vmap(f)), ob.vmap(ob.jit(f))):
        np.testing.assert_allclose(mapped(X), wanted, rtol=1e-15)
    slopes = ob.vmap(ob.grad(lambda x: f(x).sum()))(X)
    np.testing.assert_allclose(slopes, ob.grad(lambda x: ob.vmap(f)(x).sum())(X), rtol=1e-14)


def test_a_leaf_made_in_a_mapped_function_has_a_gradient_per_lane():
    def f(x):
        w = ob.ones(2).requires_grad_()
        (w * x).sum().backward()
        return w.grad

    for mapped in (ob.vmap(f), ob.jit(ob.vmap(f))):
        np.testing.assert_array_equal(mapped(X), np.stack([X, X], 1))


def test_lanes_do_not_outlive_their_vmap():
    kept = []

    def make(x):
        kept.append(ob.zeros(()))
        return x

    def outer(x):
        own = ob.zeros(())
        ob.vmap(own.rebind)(ob.ones(2))
        return x

    ob.vmap(make)(X)
    for f in (kept[0].rebind, outer):
        for mapped in (ob.vmap(f), ob.jit(ob.vmap(f))):
            with pytest.raises(ob.errors.RebindError, match="per lane"):
                mapped(X)
    assert float(kept[0]) == 0.0


# -- errors ------------------------------------------------------------------------------------

WRONG = {
    "no scalar": (lambda: ob.grad(lambda x: x * x)(X), GradientError, "no scalar"),
    "several results": (lambda: ob.grad(lambda x: (x, x))(1.0), GradientError, "has_aux"),
    "nothing": (lambda: ob.grad(lambda x: None)(1.0), GradientError, "NoneType"),
    "an integer": (lambda: ob.grad(lambda x: x * x)(3), DTypeError, "3.0 instead of 3"),
    "an integer array": (
        lambda: ob.grad(lambda x, y: ob.sum(x * y), 1)(X, np.arange(3)),
        DTypeError,
        "argument 1",
    ),
    "text": (lambda: ob.grad(lambda x: x)("word"), DTypeError, "array of numbers"),
    "complex result": (lambda: ob.grad(lambda x: x * 1j)(1.0), GradientError, "complex"),
    "a float taken out": (lambda: ob.grad(lambda x: float(x) * x)(1.0), CutError, "stop_gradient"),
    "an array taken out": (
        lambda: ob.grad(lambda x: ob.sum(np.array(x.numpy()) * x))(X),
        CutError,
        "stop_gradient",
    ),
    "complex jacobian": (lambda: ob.jacobian(lambda x: x * x)(X * 1j), GradientError, "two"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_question_is_answered_with_the_reason_and_the_users_line(name):
    ask, error, words = WRONG[name]
    with pytest.raises(error, match=words) as caught:
        ask()
    assert "test_transforms.py, line " in str(caught.value)


def test_a_value_of_a_transform_that_has_ended_is_a_constant_or_refused():
    kept = []
    ob.grad(lambda x: (kept.append(x * 2.0), ob.sum(x))[1])(X)
    alike(kept[0], 2 * X)
    assert ob.grad(lambda x: ob.sum(x * kept[0]))(X).tolist() == [2.0, 4.0, 6.0]
    lanes = []
    ob.vmap(lambda x: (lanes.append(x * 2.0), x)[1])(X)
    with pytest.raises(LeakedTraceError):
        lanes[0] + 1.0


def test_an_exception_inside_leaves_the_context_as_it_was():
    def broken(x):
        raise KeyError("mine")

    for way in (
        ob.grad(broken),
        ob.vmap(broken),
        ob.jit(broken),
        lambda x: ob.jvp(broken, (x,), (x,)),
        ob.checkpoint(broken),
    ):
        with pytest.raises(KeyError):
            way(X)
        assert not ob.is_tracing()
        assert float(ob.grad(lambda x: x * x)(3.0)) == 6.0
        assert type(ob.grad(lambda x: x * x)(3.0)) is not ob.Tensor


def test_the_wrapped_function_keeps_its_name():
    def loss(x):
        """The loss."""
        return x

    for way in (ob.grad, ob.value_and_grad, ob.vmap, ob.jit, ob.jacobian, ob.hessian):
        assert way(loss).__name__ == "loss"
        assert way(loss).__doc__ == "The loss."


def test_a_linear_function_transposes():
    a = np.arange(6.0).reshape(2, 3)
    transpose = ob.linear_transpose(lambda x: ob.asarray(a) @ x, np.zeros(3))
    y = np.array([1.0, -2.0])
    alike(transpose(y)[0], a.T @ y)
    alike(ob.vmap(lambda e: transpose(e)[0])(np.eye(2)), a)


def test_threads_do_not_see_each_others_transforms():
    from concurrent.futures import ThreadPoolExecutor

    def work(k):
        f = lambda x: ob.sum(ob.sin(x * k) ** 2)
        found = [ob.jvp(ob.grad(f), (X,), (X,))[1] for _ in range(20)]
        return all((g == found[0]).all() for g in found), found[0]

    with ThreadPoolExecutor(4) as pool:
        for k, (same, found) in enumerate(pool.map(work, range(1, 9)), 1):
            assert same
            alike(found, 2 * k * k * np.cos(2 * k * X) * X, 1e-11)
