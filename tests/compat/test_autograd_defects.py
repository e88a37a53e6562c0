"""What autograd 1.9 gets wrong, measured, and what is right: its defects are not copied."""

import numpy as onp
import pytest

import overbar.compat.autograd.numpy as np
from overbar.compat.autograd import elementwise_grad, grad, jacobian, make_vjp
from overbar.compat.autograd.test_util import check_grads

X = onp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def test_repeat_along_a_negative_axis():
    """autograd: a wrong gradient, silently."""
    check_grads(lambda x: np.repeat(x, 2, axis=-2))(X)


def test_where_does_not_leak_what_was_not_chosen():
    """autograd: NaN."""
    f = lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))
    assert grad(f)(onp.array([0.0, 4.0])).tolist() == [0.0, 0.25]


def test_where_with_a_broadcast_branch():
    """autograd: an adjoint of the wrong shape."""
    check_grads(lambda x, y: np.where(X > 2, x, y), (0, 1))(X, onp.array([1.0, 2.0]))


def test_broadcast_to():
    check_grads(lambda x: np.broadcast_to(x, (4, 3, 2)))(X)


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (np.prod, [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
        (np.linalg.norm, [0.0, 0.0], [0.0, 0.0]),
        (np.std, [1.0, 1.0], [0.0, 0.0]),
        (np.linalg.det, [[1.0, 2.0], [2.0, 4.0]], [[4.0, -2.0], [-2.0, 1.0]]),
    ],
    ids=["prod with a zero", "norm of 0", "std of a constant", "det of a singular matrix"],
)
def test_singular_points(f, x, slope):
    """autograd: NaN, NaN, NaN and LinAlgError."""
    assert grad(f)(onp.array(x)) == pytest.approx(onp.array(slope))


def test_integers_have_no_integer_gradient():
    """autograd: [1, 1, 1] of dtype int64."""
    slope = grad(lambda x: np.sum(x) / 2)(onp.array([1, 2, 3]))
    assert slope.tolist() == [0.5, 0.5, 0.5]


def test_an_array_changed_after_the_forward_sweep():
    """autograd: silently wrong."""
    w = onp.array([1.0, 2.0])
    pull, _ = make_vjp(lambda x: np.sum(w * x))(onp.ones(2))
    w[:] = 100.0
    assert pull(1.0).tolist() == [1.0, 2.0]


def test_long_means_of_float32_are_exact():
    """autograd: off by 2.7e-3."""
    x = onp.full((300_000, 2), 0.1, onp.float32)
    pull, mean = make_vjp(lambda b: np.mean(x + b, axis=0))(onp.zeros(2, onp.float32))
    assert mean == pytest.approx(onp.full(2, 0.1), rel=1e-5)  # measured: 7e-6
    assert pull(onp.ones(2, onp.float32)) == pytest.approx(onp.ones(2), rel=1e-5)


def test_assignment_works():
    """autograd: TypeError."""

    def f(x):
        y = x * 1.0
        y[0] = x[1] ** 2
        return np.sum(y)

    assert grad(f)(onp.array([1.0, 3.0])).tolist() == [0.0, 7.0]


def test_a_deep_chain_does_not_overflow_the_stack():
    def f(x):
        for _ in range(5000):
            x = x + 1e-4
        return x

    assert grad(f)(1.0) == 1.0


def test_forward_mode_of_a_primitive_with_a_reverse_rule_only():
    """autograd: NotImplementedError for all of scipy.special and scipy.linalg."""
    from overbar.compat.autograd.scipy import special

    check_grads(special.gammaln, modes=["fwd"])(2.5)


def test_odd_sizes_of_the_real_fourier_transform():
    """autograd: NotImplementedError."""
    check_grads(np.fft.rfftn)(onp.random.default_rng(0).normal(size=(3, 5)))


def test_the_diagonal_of_the_jacobian_of_more_than_vectors():
    assert elementwise_grad(np.sin)(X) == pytest.approx(onp.cos(X))
    assert jacobian(np.sum)(X) == pytest.approx(onp.ones((3, 2)))
