"""Arrays in, arrays out, boxes inside: what autograd's users count on."""

import numpy as onp
import pytest

import overbar as ob
import overbar.compat.autograd.numpy as np
from overbar.compat.autograd import (
    deriv,
    elementwise_grad,
    grad,
    grad_and_aux,
    grad_named,
    hessian,
    hessian_vector_product,
    holomorphic_grad,
    jacobian,
    jit,
    make_ggnvp,
    make_hvp,
    make_jvp,
    make_jvp_reversemode,
    make_vjp,
    multigrad_dict,
    tensor_jacobian_product,
    value_and_grad,
)
from overbar.compat.autograd import isinstance as ag_isinstance
from overbar.compat.autograd import type as ag_type
from overbar.compat.autograd.numpy.numpy_boxes import ArrayBox
from overbar.compat.autograd.tracer import getval, isbox

X = onp.array([0.5, 1.5, 2.5])
A = onp.array([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0]])


def cubes(x):
    return np.sum(x**3)


# -- what comes out ---------------------------------------------------------------------------


def test_a_gradient_of_an_array_is_an_array():
    slope = grad(cubes)(X)
    assert type(slope) is onp.ndarray
    assert slope == pytest.approx(3 * X**2)


def test_a_gradient_of_a_float_is_a_number():
    slope = grad(lambda x: x**3)(2.0)
    assert isinstance(slope, float)
    assert slope == 12.0


def test_float32_stays_float32():
    assert grad(cubes)(X.astype(onp.float32)).dtype == onp.float32


def test_argnum_takes_one_or_several():
    def f(a, b, c=1.0):
        return a * b**2 * c

    assert grad(f, 1)(2.0, 3.0) == 12.0
    assert grad(f, argnum=[1, 0])(2.0, 3.0, c=2.0) == (24.0, 18.0)
    with pytest.raises(TypeError, match="argnum"):
        grad(f, "b")


def test_lists_tuples_and_dicts_come_back_as_they_are():
    slope = grad(lambda p: np.sum(p["w"] * p["b"][0]))({"w": X, "b": [2.0, (1.0,)]})
    assert slope["w"] == pytest.approx(2.0 * onp.ones(3))
    assert slope["b"] == [4.5, (0.0,)]


def test_an_array_of_integers_has_a_gradient_of_floats():
    slope = grad(cubes)(onp.array([1, 2]))
    assert slope.dtype == onp.float64
    assert slope.tolist() == [3.0, 12.0]


def test_a_python_integer_is_refused():
    with pytest.raises(TypeError, match="floating"):
        grad(lambda x: x**2)(3)


@pytest.mark.filterwarnings("ignore:Output seems independent")
@pytest.mark.parametrize(
    "f", [lambda x: x * 2, lambda x: x[0] * 1j, lambda x: np.allclose(x, x)], ids=range(3)
)
def test_only_one_real_number_has_a_gradient(f):
    with pytest.raises(TypeError):
        grad(f)(X)


def test_a_result_that_does_not_depend_warns_and_has_gradient_zero():
    with pytest.warns(UserWarning, match="independent"):
        assert grad(lambda x: 1.0)(X).tolist() == [0.0, 0.0, 0.0]


# -- operators --------------------------------------------------------------------------------


def test_the_family_agrees_with_itself():
    f = lambda x: np.tanh(A @ x)
    J = jacobian(f)(X)
    v, u = onp.array([1.0, -1.0, 0.5]), onp.array([2.0, -3.0])
    pull, y = make_vjp(f)(X)
    assert y == pytest.approx(f(X))
    assert pull(u) == pytest.approx(u @ J)
    assert make_jvp(f)(X)(v)[1] == pytest.approx(J @ v)
    assert make_jvp_reversemode(f)(X)(v) == pytest.approx(J @ v)
    assert tensor_jacobian_product(f)(X, u) == pytest.approx(u @ J)
    assert make_ggnvp(f)(X)(v) == pytest.approx(J.T @ J @ v)
    assert elementwise_grad(np.tanh)(X) == pytest.approx(1 - onp.tanh(X) ** 2)
    assert deriv(np.tanh)(0.5) == pytest.approx(1 - onp.tanh(0.5) ** 2)


def test_second_derivatives():
    H = hessian(cubes)(X)
    assert pytest.approx(onp.diag(6 * X)) == H
    assert hessian_vector_product(cubes)(X, onp.ones(3)) == pytest.approx(6 * X)
    product, slope = make_hvp(cubes)(X)
    assert product(onp.ones(3)) == pytest.approx(6 * X)
    assert slope == pytest.approx(3 * X**2)


def test_a_jacobian_has_the_shape_of_the_result_and_the_argument():
    J = jacobian(lambda x: np.outer(x, x[:2]))(X)
    assert J.shape == (3, 2, 3)
    with_rest = jacobian(lambda x, y: x * y, 1)(X, 2.0)
    assert with_rest == pytest.approx(X)


def test_values_and_named_arguments():
    def f(a, b=2.0):
        return a * b**2

    assert value_and_grad(f)(3.0, 2.0) == (12.0, 4.0)
    assert grad_named(f, "b")(3.0, 2.0) == 12.0
    assert multigrad_dict(f)(3.0) == {"a": 4.0, "b": 12.0}
    assert grad_and_aux(lambda x: (x**2, ("kept", x)))(3.0) == (6.0, ("kept", 3.0))


def test_nesting_does_not_confuse():
    inner = lambda x: grad(lambda y: x * y**2)(3.0)
    assert grad(lambda x: x * inner(x))(2.0) == pytest.approx(24.0)


def test_complex_numbers_follow_autograds_convention():
    z = 1.0 + 2.0j
    assert grad(lambda z: np.real(z) ** 2 + np.imag(z))(z) == pytest.approx(2.0 - 1.0j)
    assert holomorphic_grad(lambda z: z**3)(z) == pytest.approx(3 * z**2)


def test_gradients_compile():
    slope = jit(grad(cubes))
    assert type(slope(X)) is onp.ndarray
    assert slope(X) == pytest.approx(3 * X**2)
    assert jit(hessian(cubes))(X) == pytest.approx(onp.diag(6 * X))


# -- inside -----------------------------------------------------------------------------------


def test_a_box_shows_what_it_holds():
    def f(x):
        assert isbox(x)
        assert isinstance(x, ArrayBox)
        assert ag_isinstance(x, onp.ndarray)
        assert ag_type(x) is onp.ndarray
        assert (x._value == X).all()
        assert type(getval(x)) is onp.ndarray
        assert np.shape(x) == x.shape == (3,)
        return np.sum(x)

    assert grad(f)(X).tolist() == [1.0, 1.0, 1.0]


def test_what_is_not_followed_is_numpy():
    def f(x):
        assert type(np.argmax(x)) is not ob.Tensor
        assert type(np.floor(x)) is onp.ndarray
        assert type(np.sin(X)) is onp.ndarray
        return np.sum(x * np.sign(x))

    grad(f)(X)
    assert type(np.sum(X)) is onp.float64


def test_methods_of_boxes():
    f = lambda a: (a.transpose().dot(a.T.T).trace() + a.transpose(1, 0).round().sum()) / 2
    assert grad(f)(A[:, :2]) == pytest.approx(A[:, :2])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.array([x[0] * x[1], x[2]]),
        lambda x: np.array([[x[0], 1.0], [2.0, x[1] * x[2]]]),
        lambda x: np.sum([x[0] ** 2, x[1]]) * np.ones(2),
        lambda x: np.concatenate([x, [x[0]], np.zeros(2)]),
        lambda x: np.r_[x, 1.0, x[:1]],
        lambda x: np.c_[x, x**2],
        lambda x: np.stack([x, list(x)]),
        lambda x: np.sin([x[0], 2.0]),
        lambda x: np.full((2, 2), x[0]),
        lambda x: np.append(x, x[0]),
        lambda x: np.array(x, ndmin=3),
        lambda x: np.asarray([x, x]),
    ],
    ids=range(12),
)
def test_lists_of_boxes_become_arrays(f):
    from overbar.compat.autograd.test_util import check_grads

    check_grads(f)(X)


def test_a_name_that_cannot_be_differentiated_raises_only_when_it_meets_a_box():
    assert np.unique(onp.array([2.0, 1.0])).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="histogram"):
        grad(lambda x: np.sum(np.histogram(x)[0]))(X)


def test_integer_types_take_the_value():
    assert grad(lambda x: x[np.int64(x[0] + 0.5)])(X).tolist() == [0.0, 1.0, 0.0]
    assert isinstance(onp.int64(3), np.int64)
    assert onp.zeros(2, np.int64).dtype == onp.int64


def test_where_keeps_python_types():
    assert np.where(True, 1, 2) == 1
    assert type(np.where(False, 1, 2.0)) is float
    assert grad(lambda x: np.sum(np.where(x > 1, x**2, 0.0)))(X).tolist() == [0.0, 3.0, 5.0]


def test_triangles_of_eigh():
    a = onp.array([[2.0, 9.0], [1.0, 3.0]])
    for triangle, zero in (("L", (0, 1)), ("U", (1, 0))):
        largest = lambda a, uplo=triangle: np.linalg.eigh(a, uplo)[0][1]
        slope = grad(largest)(a)
        assert slope[zero] == 0.0
        assert largest(a) == pytest.approx(onp.linalg.eigh(a, triangle)[0][1])
        assert slope.sum() == pytest.approx(
            (largest(a + 1e-6) - largest(a - 1e-6)) / 2e-6, rel=1e-6
        )
