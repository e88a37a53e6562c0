"""NaN traps: where a derivative exists but the naive product of partials is 0 · ∞.

Each trap is a function, a point and the right gradient, worked out by hand. Every one is tried by
grad, by backward(), forward, traced, under vmap, and with the gradient inside a second derivative.
"""

import math

import numpy as np
import pytest

import overbar as ob
from overbar.capture import capture
from overbar.primitive import PUBLIC
from overbar.replay import interpret
from overbar.spec import spec_of
from tests.rules.cases import value

inf, nan = math.inf, math.nan
special, linalg = PUBLIC["special"], PUBLIC["linalg"]


def chosen(condition, f, otherwise=0.0):
    """Σ where(condition(x), f(x), otherwise)."""
    return lambda x: ob.sum(ob.where(condition(x), f(x), otherwise))


def positive(x):
    return x > 0


def small(x):
    return ob.abs(x) < 1


TRAPS = {
    # -- the branch not taken -------------------------------------------------------------------
    "where sqrt": (chosen(positive, ob.sqrt), [-1.0, 0.0, 4.0], [0.0, 0.0, 0.25]),
    "where sqrt, taken at 0 from the right": (
        chosen(lambda x: x >= 1, ob.sqrt),
        [0.0, 1.0],
        [0.0, 0.5],
    ),
    "where log": (chosen(positive, ob.log), [-1.0, 0.0, 2.0], [0.0, 0.0, 0.5]),
    "where log of log": (
        chosen(lambda x: x > 1, lambda x: ob.log(ob.log(x))),
        [0.0, 1.0, math.e],
        [0.0, 0.0, 1 / math.e],
    ),
    "where 1/x": (chosen(lambda x: x != 0, lambda x: 1 / x), [0.0, 2.0], [0.0, -0.25]),
    "where reciprocal": (chosen(lambda x: x != 0, ob.reciprocal), [0.0, 2.0], [0.0, -0.25]),
    "where 1/x²": (chosen(lambda x: x != 0, lambda x: 1 / (x * x)), [0.0, 2.0], [0.0, -0.25]),
    "where x/x": (chosen(lambda x: x != 0, lambda x: x / x, 1.0), [0.0, 2.0], [0.0, 0.0]),
    "where √x/x": (chosen(positive, lambda x: ob.sqrt(x) / x), [0.0, 4.0], [0.0, -1 / 16]),
    "where sin x/x": (
        chosen(lambda x: x != 0, lambda x: ob.sin(x) / x, 1.0),
        [0.0, math.pi],
        [0.0, -1 / math.pi],
    ),
    "where x log x": (chosen(positive, lambda x: x * ob.log(x)), [0.0, 1.0], [0.0, 1.0]),
    "where x^0.5": (chosen(positive, lambda x: x**0.5), [0.0, 4.0], [0.0, 0.25]),
    "where x^-1": (chosen(lambda x: x != 0, lambda x: x**-1), [0.0, 2.0], [0.0, -0.25]),
    "where x^x": (chosen(positive, lambda x: ob.pow(x, x)), [0.0, 1.0], [0.0, 1.0]),
    "where asin": (chosen(small, ob.asin), [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]),
    "where acos": (chosen(small, ob.acos), [-1.0, 3.0, 0.0], [0.0, 0.0, -1.0]),
    "where atanh": (chosen(small, ob.atanh), [1.0, -1.0, 0.0], [0.0, 0.0, 1.0]),
    "where acosh": (
        chosen(lambda x: x > 1, ob.acosh),
        [1.0, 0.0, 2.0],
        [0.0, 0.0, 1 / math.sqrt(3)],
    ),
    "where log1p": (chosen(lambda x: x > -1, ob.log1p), [-1.0, -2.0, 1.0], [0.0, 0.0, 0.5]),
    "where exp overflows": (chosen(lambda x: x < 700, ob.exp), [1000.0, 0.0], [0.0, 1.0]),
    "where sinh overflows": (chosen(lambda x: x < 700, ob.sinh), [1000.0, 0.0], [0.0, 1.0]),
    "where tan": (
        chosen(small, lambda x: ob.tan(x) / x, 1.0),
        [1e300, 0.5],
        [0.0, float((1 / np.cos(0.5) ** 2 - np.tan(0.5) / 0.5) / 0.5)],
    ),
    "where gammaln": (
        chosen(positive, special["gammaln"]),
        [0.0, 1.0],
        [0.0, -float(np.euler_gamma)],
    ),
    "where logit": (chosen(small, special["logit"]), [1.0, 0.5], [0.0, 4.0]),
    "where erfinv": (chosen(small, special["erfinv"]), [1.0, 0.0], [0.0, math.sqrt(math.pi) / 2]),
    "where in where": (
        lambda x: ob.sum(ob.where(x > 0, ob.where(x > 1, ob.sqrt(x - 1), ob.log(x)), ob.sqrt(-x))),
        [-4.0, 0.5, 1.0, 5.0],
        [-0.25, 2.0, 1.0, 0.25],
    ),
    "the other branch of where": (
        lambda x: ob.sum(ob.where(x <= 0, 0.0, ob.sqrt(x))),
        [-1.0, 0.0, 4.0],
        [0.0, 0.0, 0.25],
    ),
    "where, then more": (
        lambda x: ob.sum(ob.exp(2 * ob.where(x > 0, ob.sqrt(x), 0.0)) * 3),
        [0.0, 1.0],
        [0.0, 3 * math.e**2],
    ),
    "more, then where": (
        lambda x: ob.sum(ob.where(x > 0, 3 * ob.sin(ob.sqrt(2 * x)), 0.0)),
        [0.0, 2.0],
        [0.0, 3 * math.cos(2) / 2],
    ),
    "a chain under where": (
        chosen(positive, lambda x: ob.exp(-1 / ob.sqrt(x))),
        [0.0, 1.0],
        [0.0, 0.5 / math.e],
    ),
    "where, reshaped": (
        lambda x: ob.sum(ob.where(x > 0, ob.reshape(ob.reshape(ob.sqrt(x), (3, 1)), (3,)), 0.0)),
        [0.0, 0.0, 4.0],
        [0.0, 0.0, 0.25],
    ),
    "where, transposed": (
        lambda x: ob.sum(ob.where(x.T > 0, ob.sqrt(x).T, 0.0)),
        [[0.0, 4.0]],
        [[0.0, 0.25]],
    ),
    "where, broadcast": (
        lambda x: ob.sum(ob.where(np.array([[False], [False]]), ob.sqrt(x), 1.0)),
        [0.0, 0.0],
        [0.0, 0.0],
    ),
    "where on a number": (lambda x: ob.where(x > 0, ob.sqrt(x), x * 3), 0.0, 3.0),
    "where with a NaN that was not chosen": (
        chosen(lambda x: ob.logical_not(ob.isnan(x)), lambda x: x * x),
        [nan, 3.0],
        [0.0, 6.0],
    ),
    "where with an infinity that was not chosen": (
        chosen(ob.isfinite, lambda x: x * x),
        [inf, 3.0],
        [0.0, 6.0],
    ),
    "where with a NaN constant": (
        lambda x: ob.sum(ob.where(np.array([True, False]), x, nan)[:1]),
        [1.0, 2.0],
        [1.0, 0.0],
    ),
    "the safe square root of both": (
        lambda x: ob.sum(ob.where(x == 0, 0.0, ob.sqrt(ob.where(x == 0, 1.0, x)))),
        [0.0, 4.0],
        [0.0, 0.25],
    ),
    # -- the lesser and the greater --------------------------------------------------------------
    "maximum of sqrt": (lambda x: ob.sum(ob.maximum(ob.sqrt(x), 1.0)), [0.0, 4.0], [0.0, 0.25]),
    "minimum of 1/x": (lambda x: ob.sum(ob.minimum(1 / x, 2.0)), [0.0, 1.0], [0.0, -1.0]),
    "clip of 1/x": (lambda x: ob.sum(ob.clip(1 / x, -2.0, 2.0)), [0.0, 1.0], [0.0, -1.0]),
    "clip of log": (lambda x: ob.sum(ob.clip(ob.log(x), -5.0, 5.0)), [0.0, 2.0], [0.0, 0.5]),
    "clip of an infinity": (lambda x: ob.sum(ob.clip(x * x, 0.0, 10.0)), [inf, 2.0], [0.0, 4.0]),
    "max over √": (lambda x: ob.max(ob.sqrt(x)), [0.0, 4.0], [0.0, 0.25]),
    "min over 1/x": (lambda x: ob.min(1 / x), [0.0, 2.0], [0.0, -0.25]),
    "relu of log": (lambda x: ob.sum(ob.relu(ob.log(x))), [0.0, 2.0], [0.0, 0.5]),
    "relu of √x − 1": (lambda x: ob.sum(ob.relu(ob.sqrt(x) - 1)), [0.0, 4.0], [0.0, 0.25]),
    # -- parts that were not taken ---------------------------------------------------------------
    "a slice of √": (lambda x: ob.sum(ob.sqrt(x)[1:]), [0.0, 4.0], [0.0, 0.25]),
    "one entry of √": (lambda x: ob.sqrt(x)[1], [0.0, 4.0], [0.0, 0.25]),
    "a mask on log": (lambda x: ob.sum(ob.log(x)[np.array([False, True])]), [0.0, 2.0], [0.0, 0.5]),
    "a gather from 1/x": (lambda x: ob.sum((1 / x)[np.array([1, 1])]), [0.0, 2.0], [0.0, -0.5]),
    "tril of √": (
        lambda x: ob.sum(ob.tril(ob.sqrt(x))),
        [[1.0, 0.0], [4.0, 1.0]],
        [[0.5, 0.0], [0.25, 0.5]],
    ),
    "the diagonal of √": (
        lambda x: ob.sum(ob.diagonal(ob.sqrt(x))),
        [[1.0, 0.0], [0.0, 4.0]],
        [[0.5, 0.0], [0.0, 0.25]],
    ),
    # -- norms and deviations ---------------------------------------------------------------------
    "norm at 0": (linalg["vector_norm"], [0.0, 0.0], [0.0, 0.0]),
    "norm of rows, one of them 0": (
        lambda x: ob.sum(linalg["vector_norm"](x, axis=-1)),
        [[0.0, 0.0], [3.0, 4.0]],
        [[0.0, 0.0], [0.6, 0.8]],
    ),
    "hypot at 0": (lambda x: ob.hypot(x[0], x[1]), [0.0, 0.0], [0.0, 0.0]),
    "abs at 0": (lambda x: ob.sum(ob.abs(x)), [0.0, -2.0], [0.0, -1.0]),
    "std of a constant": (ob.std, [3.0, 3.0, 3.0], [0.0, 0.0, 0.0]),
    "std of rows, one of them constant": (
        lambda x: ob.sum(ob.std(x, axis=1)),
        [[1.0, 1.0], [0.0, 2.0]],
        [[0.0, 0.0], [-0.5, 0.5]],
    ),
    "distance of a point to itself": (
        lambda x: linalg["vector_norm"](x - np.array([1.0, 2.0])),
        [1.0, 2.0],
        [0.0, 0.0],
    ),
    # -- products, powers, logarithms ------------------------------------------------------------
    "prod with one zero": (ob.prod, [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    "prod with two zeros": (ob.prod, [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]),
    "cumprod with a zero": (lambda x: ob.sum(ob.cumprod(x)), [2.0, 0.0, 3.0], [1.0, 2 + 6.0, 0.0]),
    "det of a singular matrix": (
        linalg["det"],
        [[1.0, 2.0], [2.0, 4.0]],
        [[4.0, -2.0], [-2.0, 1.0]],
    ),
    "det of zeros": (linalg["det"], [[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]),
    "x² at 0": (lambda x: ob.sum(x**2), [0.0], [0.0]),
    "x¹ at 0": (lambda x: ob.sum(x**1), [0.0], [1.0]),
    "x⁰ at 0": (lambda x: ob.sum(x**0), [0.0], [0.0]),
    "x^2.0 at 0": (lambda x: ob.sum(ob.pow(x, 2.0)), [0.0], [0.0]),
    "x^y at x = 0, y = 2": (lambda x: ob.pow(x, np.array([2.0]))[0], [0.0], [0.0]),
    "0^y in y": (lambda y: ob.sum(ob.pow(np.zeros(1), y)), [2.0], [0.0]),
    "xlogy(0, 0)": (lambda x: ob.sum(special["xlogy"](np.zeros(1), x)), [0.0], [0.0]),
    "logsumexp of nothing likely": (ob.logsumexp, [-inf, -inf], [0.0, 0.0]),
    "logsumexp with one −∞": (ob.logsumexp, [-inf, 0.0], [0.0, 1.0]),
    "logaddexp of nothing likely": (lambda x: ob.logaddexp(x[0], x[1]), [-inf, -inf], [0.0, 0.0]),
    "softmax with a masked score": (
        lambda x: ob.softmax(x)[1],
        [-inf, 0.0, 0.0],
        [0.0, 0.25, -0.25],
    ),
    "log_softmax with a masked score": (
        lambda x: ob.log_softmax(x)[1],
        [-inf, 0.0, 0.0],
        [0.0, 0.5, -0.5],
    ),
    "masked attention": (
        lambda x: ob.softmax(ob.where(np.array([True, False]), x, -inf))[0] + 2 * ob.sum(x),
        [1.0, 5.0],
        [2.0, 2.0],
    ),
    # -- saturation -------------------------------------------------------------------------------
    "sigmoid at ±1000": (lambda x: ob.sum(ob.sigmoid(x)), [1000.0, -1000.0, 0.0], [0.0, 0.0, 0.25]),
    "log sigmoid at −800: S1-9": (
        lambda x: -ob.sum(ob.log_sigmoid(x)),
        [-800.0, 800.0],
        [-1.0, 0.0],
    ),
    "softplus at ±1000": (lambda x: ob.sum(ob.softplus(x)), [1000.0, -1000.0], [1.0, 0.0]),
    "tanh at ±1000": (lambda x: ob.sum(ob.tanh(x)), [1000.0, -1000.0], [0.0, 0.0]),
    "logsumexp at ±1e4: S3-8": (ob.logsumexp, [1e4, -1e4], [1.0, 0.0]),
    "gelu and silu at ±1e4": (lambda x: ob.sum(ob.gelu(x) + ob.silu(x)), [1e4, -1e4], [2.0, 0.0]),
    "elu at 1000": (lambda x: ob.sum(ob.elu(x)), [1000.0, -1000.0], [1.0, 0.0]),
}

traps = pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)


def points(trap):
    f, x, wanted = trap
    return f, np.asarray(x, float), np.asarray(wanted, float)


def check(found, wanted):
    np.testing.assert_allclose(value(found), wanted, rtol=1e-12, atol=1e-14)


@pytest.fixture(autouse=True)
def _infinities_are_meant():
    with np.errstate(all="ignore"):
        yield


@traps
def test_grad_is_right(trap):
    f, x, wanted = points(trap)
    check(ob.grad(f)(x), wanted)


@traps
def test_backward_is_right(trap):
    f, x, wanted = points(trap)
    leaf = ob.tensor(x, requires_grad=True)
    f(leaf).backward()
    check(leaf.grad, wanted)


@traps
def test_backward_that_is_recorded_is_right(trap):
    f, x, wanted = points(trap)
    leaf = ob.tensor(x, requires_grad=True)
    f(leaf).backward(create_graph=True)
    check(leaf.grad, wanted)


@traps
def test_the_forward_sweep_is_right(trap):
    f, x, wanted = points(trap)
    for e in np.eye(x.size):
        direction = e.reshape(x.shape)
        check(ob.jvp(f, (x,), (direction,))[1], np.sum(wanted * direction))


@traps
def test_a_traced_gradient_is_right(trap):
    f, x, wanted = points(trap)
    captured = capture(ob.grad(f), [spec_of(x)])
    (found,) = interpret(captured.graph, [x, *(r.now.value for r in captured.reads)])
    check(found, wanted)


@traps
def test_the_gradient_under_vmap_is_right(trap):
    f, x, wanted = points(trap)
    check(ob.vmap(ob.grad(f))(np.stack([x, x])), np.stack([wanted, wanted]))


NO_SECOND_DERIVATIVE = {"hypot at 0", "norm at 0"}  # 1/0: there is none to be right about


@pytest.mark.parametrize("name", [name for name in TRAPS if name not in NO_SECOND_DERIVATIVE])
def test_the_second_derivative_has_no_nan(name):
    f, x, _ = points(TRAPS[name])
    second = ob.jvp(ob.grad(f), (x,), (np.ones_like(x),))[1]
    assert not np.any(np.isnan(second))
    again = ob.grad(lambda v: ob.sum(ob.grad(f)(v)))(x)
    assert not np.any(np.isnan(again))


# -- values that must propagate ----------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        ob.relu,
        lambda x: ob.maximum(x, 0.0),
        lambda x: ob.minimum(0.0, x),
        lambda x: ob.clip(x, -1.0, 1.0),
        ob.max,
        ob.min,
        lambda x: ob.sort(x)[-1],
        ob.sigmoid,
        ob.leaky_relu,
        ob.abs,
    ],
)
def test_nan_propagates(f):
    assert np.isnan(value(f(ob.tensor([1.0, nan])))).any()


def test_the_square_root_at_zero_has_derivative_infinity():
    assert ob.grad(ob.sqrt)(0.0) == inf


def test_an_infinity_that_was_selected_stays_infinite():
    """Only what was *not* selected is zero; 0 · ∞ of unmarked products stays IEEE's."""
    assert ob.grad(lambda x: ob.sum(ob.where(x >= 0, ob.sqrt(x), 0.0)))(np.zeros(1))[0] == inf
    assert np.isnan(ob.grad(lambda x: 0.0 * ob.sqrt(x))(0.0))


def test_ties_share_equally():
    check(ob.grad(ob.max)(np.array([3.0, 3.0, 1.0])), [0.5, 0.5, 0.0])
    check(ob.grad(ob.min)(np.array([3.0, 1.0, 1.0])), [0.0, 0.5, 0.5])
    gx, gy = ob.grad(ob.maximum, argnums=(0, 1))(2.0, 2.0)
    assert (float(gx), float(gy)) == (0.5, 0.5)
    gx, gy = ob.grad(ob.minimum, argnums=(0, 1))(2.0, 2.0)
    assert (float(gx), float(gy)) == (0.5, 0.5)


def test_clip_passes_the_gradient_inside_and_at_the_bound():
    check(
        ob.grad(lambda x: ob.sum(ob.clip(x, -1.0, 1.0)))(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])),
        [0, 1, 1, 1, 0],
    )


@pytest.mark.parametrize(
    ("choice", "at_zero"), [("default", 0.0), ("left", 0.0), ("right", 1.0), ("middle", 0.5)]
)
def test_the_derivative_at_a_kink_is_a_choice(choice, at_zero):
    with ob.config(kinks=choice):
        assert float(ob.grad(ob.relu)(0.0)) == at_zero
        assert float(ob.grad(ob.abs)(0.0)) == (0.0 if choice == "default" else 2 * at_zero - 1)


def test_the_choice_at_a_kink_is_made_when_the_operation_runs():
    x = ob.tensor(0.0, requires_grad=True)
    with ob.config(kinks="right"):
        y = ob.relu(x)
    y.backward()
    assert float(x.grad) == 1.0


@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_whole_power_is_exact_at_zero_to_all_orders(n):
    f = lambda x: x**n
    for order in range(1, n + 3):
        f = ob.grad(f)
        assert float(f(0.0)) == (math.factorial(n) if order == n else 0.0)


def test_prod_and_det_are_exact_with_zeros_to_second_order():
    hessian = ob.vmap(lambda e: ob.jvp(ob.grad(ob.prod), (np.array([0.0, 2.0, 3.0]),), (e,))[1])(
        np.eye(3)
    )
    check(hessian, [[0, 3, 2], [3, 0, 0], [2, 0, 0]])
    det = linalg["det"]
    bars = ob.jvp(
        ob.grad(det), (np.array([[1.0, 2.0], [2.0, 4.0]]),), (np.array([[1.0, 0.0], [0.0, 0.0]]),)
    )[1]
    check(bars, [[0, 0], [0, 1]])
