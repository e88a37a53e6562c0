"""Activations and the softmax family: against their definitions, far out, at all −∞, and the
identities of the course notes."""

import mpmath as mp
import numpy as np
import pytest

import overbar as ob

FAR = np.array([-1e4, -800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0, 1e4])
INF = np.inf


def total(f):
    return lambda x: ob.sum(f(x))


@pytest.fixture
def x():
    return np.random.default_rng(4).standard_normal((3, 4))


def softmax(x):
    """The composition that the primitive is held against."""
    e = ob.exp(x)
    return e / ob.sum(e, axis=-1, keepdims=True)


# -- one number at a time ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "relu",
        "leaky_relu",
        "elu",
        "sigmoid",
        "tanh",
        "log_sigmoid",
        "softplus",
        "gelu",
        "silu",
        "hard_tanh",
    ],
)
def test_nothing_overflows_far_out(name):
    f = getattr(ob, name)
    first = ob.grad(total(f))
    with np.errstate(all="raise", under="ignore"):
        for y in (f(FAR).numpy(), first(FAR), ob.grad(total(first))(FAR)):
            assert np.isfinite(y).all()
    assert f(FAR.astype(np.float32)).dtype == np.float32
    assert f(2.0).shape == ()


def test_the_activations_are_their_definitions():
    x = np.linspace(-3, 3, 13)
    with mp.workdps(30):
        phi = np.array([float(mp.erfc(-mp.mpf(t) / mp.sqrt(2)) / 2) for t in x])
    s = 1 / (1 + np.exp(-x))
    for ours, right in {
        ob.elu: np.where(x > 0, x, np.expm1(x)),
        ob.gelu: x * phi,
        ob.silu: x * s,
        ob.hard_tanh: np.clip(x, -1, 1),
        ob.softplus: np.log1p(np.exp(x)),
        ob.log_sigmoid: np.log(s),
        ob.relu: np.maximum(x, 0),
        ob.leaky_relu: np.where(x > 0, x, 0.01 * x),
    }.items():
        np.testing.assert_allclose(ours(x).numpy(), right, rtol=1e-13, atol=1e-16)
    tanh_form = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    np.testing.assert_allclose(
        ob.gelu(x, approximate="tanh").numpy(), tanh_form, rtol=1e-12, atol=1e-16
    )
    with pytest.raises(ob.errors.DomainError, match="not a choice"):
        ob.gelu(x, approximate="quick")


def test_the_beta_of_softplus_is_differentiable():
    x, beta = 0.3, 1.7
    by_hand = 1 / (1 + np.exp(-beta * x)) * x / beta - np.log1p(np.exp(beta * x)) / beta**2
    assert ob.grad(ob.softplus, argnums=1)(x, beta) == pytest.approx(by_hand, rel=1e-13)


@pytest.mark.parametrize(
    ("kinks", "slope"), [("default", 0.5), ("left", 0.5), ("right", 1.0), ("middle", 0.75)]
)
def test_elu_has_the_left_slope_at_zero_or_the_one_chosen(kinks, slope):
    with ob.config(kinks=kinks):
        assert ob.grad(lambda x: ob.elu(x, 0.5))(0.0) == slope


def test_gelu_keeps_its_digits_in_the_tail():
    """erfc, not 1 + erf: at −10 the latter has none left."""
    with mp.workdps(40):
        right = float(mp.mpf(-10) * mp.erfc(10 / mp.sqrt(2)) / 2)
    assert ob.gelu(-10.0).item() == pytest.approx(right, rel=1e-15)
    np.testing.assert_array_equal(ob.gelu([INF, -INF, 0.0]).numpy(), [INF, 0.0, 0.0])


# -- softmax ----------------------------------------------------------------------------------


def _jacobian(f, x, h=1e-6):
    columns = []
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = h
        columns.append((f(x + step).numpy() - f(x - step).numpy()) / (2 * h))
    return np.stack(columns, -1)


def test_softmax_agrees_with_its_composition_to_second_order(x):
    y_bar = np.random.default_rng(5).standard_normal(x.shape)
    pairs = [(lambda t, f=f: ob.sum(f(t) * y_bar)) for f in (ob.softmax, softmax)]
    np.testing.assert_allclose(ob.softmax(x).numpy(), softmax(x).numpy(), rtol=1e-14)
    ours, plain = (ob.grad(f)(x) for f in pairs)
    np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-15)
    ours, plain = (ob.grad(lambda t, f=f: ob.sum(ob.grad(f)(t) ** 2))(x) for f in pairs)
    np.testing.assert_allclose(ours, plain, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_family_agrees_with_its_composition_along_any_axis(name, axis, x):
    y_bar = np.random.default_rng(6).standard_normal(x.shape)
    plain = {
        "softmax": lambda t: ob.exp(t) / ob.sum(ob.exp(t), axis=axis, keepdims=True),
        "log_softmax": lambda t: t - ob.log(ob.sum(ob.exp(t), axis=axis, keepdims=True)),
        "logsumexp": lambda t: ob.log(ob.sum(ob.exp(t), axis=axis)),
    }[name]
    f = lambda t: getattr(ob, name)(t, axis=axis)
    np.testing.assert_allclose(f(x).numpy(), plain(x).numpy(), rtol=1e-13, atol=1e-15)
    grads = [ob.grad(lambda t, g=g: ob.sum(ob.sin(g(t))))(x) for g in (f, plain)]
    np.testing.assert_allclose(*grads, rtol=1e-12, atol=1e-14)
    dots = [ob.jvp(g, (x,), (y_bar,))[1] for g in (f, plain)]
    np.testing.assert_allclose(*dots, rtol=1e-12, atol=1e-14)
    lanes = ob.vmap(lambda t: getattr(ob, name)(t, axis=0))(x)
    np.testing.assert_allclose(lanes, getattr(ob, name)(x, axis=1).numpy(), rtol=1e-15)


def test_a_row_of_minus_infinities_gives_zeros_and_no_nan():
    x = np.array([[-INF, -INF], [0.0, -INF], [1e4, -1e4]])
    np.testing.assert_array_equal(ob.softmax(x).numpy(), [[0, 0], [1, 0], [1, 0]])
    np.testing.assert_array_equal(ob.logsumexp(x, axis=1).numpy(), [-INF, 0, 1e4])
    np.testing.assert_array_equal(ob.log_softmax(x).numpy(), [[-INF, -INF], [0, -INF], [0, -2e4]])
    weights = np.array([[1.0, 2.0]])
    for f in (lambda x: ob.softmax(x) * weights, lambda x: ob.logsumexp(x, axis=1)):
        x_bar = ob.grad(total(f))(x)
        assert np.isfinite(x_bar).all()
        np.testing.assert_array_equal(x_bar[0], [0, 0])
        _, dot = ob.jvp(f, (x,), (np.ones_like(x),))
        assert np.isfinite(dot).all()
    _, pull = ob.vjp(ob.log_softmax, x)
    assert np.isfinite(pull(np.ones_like(x))[0]).all()


def test_infinity_and_nan_come_through():
    assert ob.logsumexp([INF, 0.0]).item() == INF
    assert np.isnan(ob.logsumexp([np.nan, 0.0]).item())
    assert np.isnan(ob.softmax([np.nan, 0.0]).numpy()).all()
    assert ob.logsumexp(np.zeros(0)).item() == -INF


def test_half_precision_is_summed_in_single():
    x = np.zeros(4096, np.float16)
    y = ob.softmax(x)
    assert y.dtype == np.float16
    assert ob.logsumexp(x).item() == pytest.approx(np.log(4096), rel=1e-3)
    assert float(ob.sum(y.astype(np.float32))) == pytest.approx(1, rel=1e-3)


def test_integers_and_lists_are_taken_and_complex_numbers_are_not():
    np.testing.assert_allclose(ob.softmax([0, 0]).numpy(), [0.5, 0.5])
    assert ob.logsumexp(3.0).item() == 3.0
    with pytest.raises(ob.errors.DomainError, match="real numbers"):
        ob.softmax([1j])
    with pytest.raises(ob.errors.IndexingError):
        ob.softmax(2.0)


# -- the course notes -------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.3, 1, 5.0])
def test_s3_8_the_derivative_of_the_soft_maximum_is_the_soft_argmax(beta, x):
    """The 1/N of the mean drops out."""
    ours = ob.grad(lambda e: ob.softmaximum(e, beta))(x.ravel())
    np.testing.assert_allclose(ours, ob.softargmax(x.ravel(), beta).numpy(), rtol=1e-14)
    rows = ob.grad(total(lambda e: ob.softmaximum(e, beta, axis=1)))(x)
    np.testing.assert_allclose(rows, ob.softargmax(x, beta, axis=1).numpy(), rtol=1e-14)
    log_mean = np.log(np.mean(np.exp(beta * x), axis=1)) / beta
    np.testing.assert_allclose(ob.softmaximum(x, beta, axis=1).numpy(), log_mean, rtol=1e-12)


def test_s3_8_softmax_is_the_soft_argmax(x):
    np.testing.assert_array_equal(ob.softmax(x).numpy(), ob.softargmax(x).numpy())
    np.testing.assert_array_equal(ob.softmax(x, axis=0).numpy(), ob.softargmax(x, 1, 0).numpy())


def test_s3_8_for_large_beta_they_are_the_maximum_and_its_place(x):
    e = x.ravel()
    assert ob.softmaximum(e, 1e6).item() == pytest.approx(e.max(), abs=1e-5)
    np.testing.assert_allclose(ob.softargmax(e, 1e6).numpy(), np.eye(12)[e.argmax()], atol=1e-12)
    assert ob.softmaximum(e, 1e-9).item() == pytest.approx(e.mean(), abs=1e-6)


def test_s3_8_a_shift_moves_the_soft_maximum_and_leaves_the_soft_argmax(x):
    e, shift = np.round(x.ravel() * 1024) / 1024, 8.0
    np.testing.assert_array_equal(ob.softargmax(e + shift).numpy(), ob.softargmax(e).numpy())
    assert ob.softmaximum(e + shift).item() == pytest.approx(
        ob.softmaximum(e).item() + shift, rel=1e-15
    )


def test_s3_8_nothing_overflows_at_ten_thousand():
    e = np.array([1e4, -1e4, 1e4])
    for beta in (1, 10.0):
        assert ob.softmaximum(e, beta).item() == pytest.approx(
            1e4 + np.log(2 / 3) / beta, rel=1e-15
        )
        np.testing.assert_array_equal(ob.softargmax(e, beta).numpy(), [0.5, 0, 0.5])
        np.testing.assert_array_equal(ob.grad(ob.softmaximum)(e, beta), [0.5, 0, 0.5])


def test_s3_8_the_soft_maximum_of_nothing_is_refused():
    with pytest.raises(ob.errors.ShapeError, match="nothing"):
        ob.softmaximum(np.zeros(0))


@pytest.mark.parametrize("s", [0.0, 1.0, -1.0, 40.0, -40.0])
def test_s3_5_tanh_and_sigmoid_have_the_slopes_of_the_notes(s):
    """1 − tanh² and σ (1 − σ); read off the output, so exact to 1e-16 absolutely."""
    with mp.workdps(40):
        tanh, sigma = mp.tanh(s), 1 / (1 + mp.exp(-s))
        assert abs(ob.grad(ob.tanh)(s) - float(1 - tanh**2)) < 2.3e-16
        assert abs(ob.grad(ob.sigmoid)(s) - float(sigma * (1 - sigma))) < 1.2e-16
        assert ob.grad(ob.special.expit)(s) == pytest.approx(float(sigma * (1 - sigma)), rel=1e-15)


def test_s3_6_the_loss_of_logits_has_finite_gradients_at_a_thousand():
    """−t log σ(z) − (1 − t) log σ(−z), whose derivative is σ(z) − t."""
    z, t = np.array([1000.0, -1000.0, 0.3, 1000.0]), np.array([0.0, 1.0, 1.0, 1.0])
    loss = lambda z: -ob.sum(t * ob.log_sigmoid(z) + (1 - t) * ob.log_sigmoid(-z))
    assert loss(z).item() == pytest.approx(2000 + np.log1p(np.exp(-0.3)), rel=1e-15)
    np.testing.assert_allclose(ob.grad(loss)(z), ob.sigmoid(z).numpy() - t, rtol=1e-14, atol=1e-300)
    plain = lambda z: -ob.sum(t * ob.log(ob.sigmoid(z)) + (1 - t) * ob.log(1 - ob.sigmoid(z)))
    moderate = np.array([1.5, -0.7, 0.3, 2.0])
    np.testing.assert_allclose(ob.grad(loss)(moderate), ob.grad(plain)(moderate), rtol=1e-14)


def test_s4_8_sigmoid_and_tanh_are_related_as_the_notes_say():
    x = np.linspace(-8, 8, 65)
    s = ob.sigmoid(x).numpy()
    np.testing.assert_allclose(ob.grad(total(ob.sigmoid))(x), s * (1 - s), rtol=1e-15)
    s2 = ob.sigmoid(2 * x).numpy()
    np.testing.assert_allclose(ob.tanh(x).numpy(), 2 * s2 - 1, rtol=0, atol=5e-16)
    slope = ob.grad(total(ob.tanh))(x)
    np.testing.assert_allclose(slope, 4 * s2 * (1 - s2), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("kinks", "slope"), [("default", 0), ("left", 0), ("right", 1), ("middle", 0.5)]
)
def test_s4_8_the_subgradient_of_relu_at_zero_can_be_chosen(kinks, slope):
    with ob.config(kinks=kinks):
        assert ob.grad(ob.relu)(0.0) == slope


def test_s4_9_max_of_x_and_minus_a_tenth_of_x_has_slopes_one_and_minus_a_tenth():
    f = lambda x: ob.sum(ob.maximum(x, -0.1 * x))
    np.testing.assert_array_equal(ob.grad(f)(np.array([-2.0, 3.0])), [-0.1, 1.0])
    leaky = ob.grad(total(lambda x: ob.leaky_relu(x, 0.1)))
    np.testing.assert_array_equal(leaky(np.array([-2.0, 3.0])), [0.1, 1.0])
