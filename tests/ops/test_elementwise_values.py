"""Elementwise and special functions: values, first and second derivatives, against mpmath with 40
digits, against NumPy and SciPy at the edges, and complex ones against their definition."""

import math
import sys

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import overbar as ob

EDGES = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 5e-324, -5e-324])


def _phi(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _gelu_tanh(x):
    return x / (1 + mp.exp(-mp.sqrt(8 / mp.pi) * (x + mp.mpf(0.044715) * x**3)))


# name -> (ours, the same in mpmath, intervals to draw 200 points from)
SMOOTH = {
    "acos": (ob.acos, mp.acos, [(-0.999, 0.999)]),
    "acosh": (ob.acosh, mp.acosh, [(1.001, 50)]),
    "asin": (ob.asin, mp.asin, [(-0.999, 0.999)]),
    "asinh": (ob.asinh, mp.asinh, [(-50, 50), (1e3, 1e8)]),
    "atan": (ob.atan, mp.atan, [(-50, 50)]),
    "atanh": (ob.atanh, mp.atanh, [(-0.999, 0.999)]),
    "cbrt": (ob.cbrt, lambda x: mp.sign(x) * mp.cbrt(abs(x)), [(0.01, 50), (-50, -0.01)]),
    "cos": (ob.cos, mp.cos, [(-10, 10)]),
    "cosh": (ob.cosh, mp.cosh, [(-20, 20)]),
    "exp": (ob.exp, mp.exp, [(-50, 50)]),
    "exp2": (ob.exp2, lambda x: mp.mpf(2) ** x, [(-50, 50)]),
    "expm1": (ob.expm1, mp.expm1, [(-40, 5), (-1e-6, 1e-6)]),
    "log": (ob.log, mp.log, [(1e-3, 50)]),
    "log10": (ob.log10, mp.log10, [(1e-3, 50)]),
    "log1p": (ob.log1p, mp.log1p, [(-0.999, 50), (-1e-6, 1e-6)]),
    "log2": (ob.log2, lambda x: mp.log(x, 2), [(1e-3, 50)]),
    "reciprocal": (ob.reciprocal, lambda x: 1 / x, [(-50, -0.01), (0.01, 50)]),
    "sin": (ob.sin, mp.sin, [(-10, 10)]),
    "sinc": (ob.sinc, mp.sincpi, [(-0.45, 0.45), (-1e-5, 1e-5), (-9, 9)]),
    "sinh": (ob.sinh, mp.sinh, [(-20, 20)]),
    "sqrt": (ob.sqrt, mp.sqrt, [(1e-3, 50)]),
    "square": (ob.square, lambda x: x * x, [(-50, 50)]),
    "tan": (ob.tan, mp.tan, [(-1.5, 1.5)]),
    "tanh": (ob.tanh, mp.tanh, [(-2, 2)]),
    "elu": (
        lambda x: ob.elu(x, 0.7),
        lambda x: x if x > 0 else mp.mpf(0.7) * mp.expm1(x),
        [(-40, -1e-3), (1e-3, 9)],
    ),
    "gelu": (ob.gelu, lambda x: x * _phi(x), [(-36, -2), (-0.6, 9)]),
    "gelu_tanh": (
        lambda x: ob.gelu(x, approximate=True),
        _gelu_tanh,
        [(-9, -2), (-0.6, 1.3), (1.6, 4)],
    ),
    "log_sigmoid": (ob.log_sigmoid, lambda x: -mp.log1p(mp.exp(-x)), [(-40, 40)]),
    "sigmoid": (ob.sigmoid, lambda x: 1 / (1 + mp.exp(-x)), [(-40, -0.1), (0.1, 5)]),
    "silu": (ob.silu, lambda x: x / (1 + mp.exp(-x)), [(-40, -2.6), (-1, 2), (2.7, 40)]),
    "softplus": (lambda x: ob.softplus(x, 2), lambda x: mp.log1p(mp.exp(2 * x)) / 2, [(-40, 40)]),
    "digamma": (ob.special.digamma, mp.digamma, [(0.1, 1.3), (1.6, 30)]),
    "entr": (ob.special.entr, lambda x: -x * mp.log(x), [(1e-6, 0.3), (0.4, 30)]),
    "erf": (ob.special.erf, mp.erf, [(-5, 5)]),
    "erfc": (ob.special.erfc, mp.erfc, [(-5, 20)]),
    "erfcx": (ob.special.erfcx, lambda x: mp.exp(x * x) * mp.erfc(x), [(-5, 5), (5, 1e4)]),
    "erfinv": (ob.special.erfinv, mp.erfinv, [(-0.99, -0.01), (0.01, 0.99)]),
    "expit": (ob.special.expit, lambda x: 1 / (1 + mp.exp(-x)), [(-40, -0.1), (0.1, 40)]),
    "gamma": (ob.special.gamma, mp.gamma, [(0.1, 1.3), (1.6, 20)]),
    "gammaln": (ob.special.gammaln, mp.loggamma, [(0.1, 0.9), (2.1, 90)]),
    "i0": (ob.special.i0, lambda x: mp.besseli(0, x), [(-20, -0.1), (0.1, 20)]),
    "i1": (ob.special.i1, lambda x: mp.besseli(1, x), [(-20, -0.1), (0.1, 20)]),
    "log_ndtr": (ob.special.log_ndtr, lambda x: mp.log(_phi(x)), [(-1000, 5)]),
    "logit": (ob.special.logit, lambda x: mp.log(x / (1 - x)), [(1e-6, 0.49), (0.51, 0.999)]),
    "ndtr": (ob.special.ndtr, _phi, [(-36, -0.1), (0.1, 6)]),
    "ndtri": (
        ob.special.ndtri,
        lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1),
        [(0.001, 0.49), (0.51, 0.99)],
    ),
    "polygamma": (lambda x: ob.special.polygamma(2, x), lambda x: mp.polygamma(2, x), [(0.1, 30)]),
}


def points(name, intervals, n=200):
    rng = np.random.default_rng(sum(map(ord, name)))
    share = -(-n // len(intervals))
    return np.concatenate([rng.uniform(low, high, share) for low, high in intervals])


def total(f):
    return lambda x: ob.sum(f(x))


def derivatives(f, x):
    """f, f' and f'' at every entry."""
    first = ob.grad(total(f))
    second = ob.grad(lambda t: ob.sum(first(t)))
    return np.asarray(ob.asarray(f(x)).numpy()), first(x), second(x)


def exact(f, x, order):
    with mp.workdps(60):
        return np.array(
            [
                float(mp.diff(f, mp.mpf(float(t)), order)) if order else float(f(mp.mpf(float(t))))
                for t in x
            ]
        )


def worst(ours, right):
    return np.max(np.abs(ours - right) / np.abs(right))


@pytest.mark.parametrize("name", SMOOTH)
def test_values_and_derivatives_have_twelve_digits(name):
    f, g, intervals = SMOOTH[name]
    x = points(name, intervals)
    for order, ours in enumerate(derivatives(f, x)):
        right = exact(g, x, order)
        there = np.abs(right) > 1e-300  # what underflows, or is 0, has no relative error
        assert np.all(np.abs(ours[~there] - right[~there]) < 1e-300), f"order {order}"
        if there.any():
            assert worst(ours[there], right[there]) < 1e-12, f"order {order}"


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("letter", "ij")
def test_bessel_functions_are_right_at_zero_and_across_their_own_zeros(letter, n):
    f = getattr(ob.special, f"{letter}{n}")
    g = {"i": mp.besseli, "j": mp.besselj}[letter]
    x = np.concatenate([points(letter, [(-20, 20)]), [0.0, 1e-8]])
    for order, ours in enumerate(derivatives(f, x)):
        right = exact(lambda t: g(n, t), x, order)
        assert np.max(np.abs(ours - right) / (1 + np.abs(right))) < 1e-12, f"order {order}"


def test_degrees_and_radians_have_constant_slopes():
    slope, right = ob.grad(ob.deg2rad)(90.0), math.pi / 180
    assert float(ob.deg2rad(90.0)) == pytest.approx(math.pi / 2, rel=1e-15)
    assert slope == pytest.approx(right, rel=1e-15)
    assert ob.grad(ob.rad2deg)(1.0) * right == pytest.approx(1, rel=1e-15)


def _ulps(ours, right):
    """Errors in units in the last place; `right` in mpmath."""
    return max(
        float(abs(mp.mpf(float(a)) - b) / np.spacing(abs(float(b)))) for a, b in zip(ours, right)
    )


@pytest.mark.parametrize(
    ("f", "g", "intervals"),
    [
        (ob.special.erf, mp.erf, [(-1, 1), (-6, 6), (0.86, 0.89), (-1e-9, 1e-9)]),
        (ob.special.erfc, mp.erfc, [(-1, 2), (0.8, 4.2), (-6, 26), (0.24, 0.26)]),
    ],
    ids=["erf", "erfc"],
)
def test_the_error_function_is_right_to_two_units_in_the_last_place(f, g, intervals):
    x = points("ulp", intervals, 4000)
    with mp.workdps(40):
        assert _ulps(f(x).numpy(), [g(mp.mpf(float(t))) for t in x]) <= 2


def test_the_normal_distribution_keeps_its_digits_in_the_tail():
    # x/√2 is itself rounded, which costs two of them near 1
    x = points("tail", [(-37.5, -5), (-5, 6)], 2000)
    with mp.workdps(60):
        right = [_phi(mp.mpf(float(t))) for t in x]
        assert _ulps(ob.special.ndtr(x).numpy(), right) <= 5
        assert _ulps(ob.special.log_ndtr(x).numpy(), [mp.log(p) for p in right]) <= 5


def test_erf_gelu_and_logarithms_need_no_scipy(monkeypatch):
    from overbar.ops import special

    special.scipy_special.cache_clear()
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    for name in ["erf", "erfc", "erfcx", "ndtr", "log_ndtr", "expit", "logit", "entr"]:
        assert np.isfinite(ob.grad(getattr(ob.special, name))(0.4))
    assert np.isfinite(ob.grad(ob.gelu)(0.4))
    assert np.isfinite(ob.grad(ob.special.xlogy, argnums=(0, 1))(0.4, 2.0)).all()
    with pytest.raises(ob.errors.MissingPackageError, match=r"pip install overbar\[scipy\]"):
        ob.special.gammaln(2.0)
    special.scipy_special.cache_clear()


def test_a_missing_order_is_said():
    with pytest.raises(ob.errors.DomainError, match="order"):
        ob.special.polygamma(-1, 2.0)
    with pytest.raises(ob.errors.DomainError, match="whole number"):
        ob.special.polygamma(0.5, 2.0)


# -- of two numbers ---------------------------------------------------------------------------

PAIRS = {
    "atan2": (ob.atan2, mp.atan2, (-3, 3), (0.1, 3)),
    "hypot": (ob.hypot, mp.hypot, (-3, 3), (0.1, 3)),
    "logaddexp": (ob.logaddexp, lambda x, y: mp.log(mp.exp(x) + mp.exp(y)), (-30, 30), (-30, 30)),
    "pow": (ob.pow, mp.power, (0.1, 9), (-5, 5)),
    "beta": (ob.special.beta, mp.beta, (0.2, 9), (0.2, 9)),
    "betaln": (ob.special.betaln, lambda a, b: mp.log(mp.beta(a, b)), (0.2, 9), (2, 9)),
    "xlogy": (ob.special.xlogy, lambda x, y: x * mp.log(y), (-3, 3), (0.01, 9)),
    "xlog1py": (ob.special.xlog1py, lambda x, y: x * mp.log1p(y), (-3, 3), (-0.9, 9)),
    "remainder": (ob.remainder, lambda x, y: x - mp.floor(x / y) * y, (0.01, 9), (0.3, 3)),
    "copysign": (ob.copysign, lambda x, y: abs(x) * mp.sign(y), (-3, 3), (0.1, 3)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_partial_derivatives_of_two_numbers_have_twelve_digits(name):
    f, g, *intervals = PAIRS[name]
    x, y = (points(name + "xy"[i], [intervals[i]], 60) for i in range(2))
    assert worst_of_pair(f(x, y).numpy(), g, x, y, (0, 0)) < 1e-12
    for i in range(2):
        first = ob.grad(lambda x, y: ob.sum(f(x, y)), argnums=i)
        order = (1 - i, i)
        assert worst_of_pair(first(x, y), g, x, y, order) < 1e-12, order
        for j in range(2):
            second = ob.grad(lambda x, y, first=first: ob.sum(first(x, y)), argnums=j)(x, y)
            orders = (order[0] + (j == 0), order[1] + (j == 1))
            assert worst_of_pair(second, g, x, y, orders) < 1e-12, orders


def worst_of_pair(ours, g, x, y, orders):
    """The greatest error relative to the size of the number, or to 1 where that is small."""
    with mp.workdps(60):
        pairs = [(mp.mpf(float(a)), mp.mpf(float(b))) for a, b in zip(x, y)]
        right = np.array([float(mp.diff(g, p, orders) if any(orders) else g(*p)) for p in pairs])
    return np.max(np.abs(ours - right) / np.maximum(np.abs(right), 1e-3))


# -- edges ------------------------------------------------------------------------------------

NUMPY = {
    "abs": np.abs, "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh,
    "atan": np.arctan, "atanh": np.arctanh, "cbrt": np.cbrt, "ceil": np.ceil, "cos": np.cos,
    "cosh": np.cosh, "deg2rad": np.deg2rad, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1,
    "floor": np.floor, "isfinite": np.isfinite, "isinf": np.isinf, "isnan": np.isnan,
    "log": np.log, "log10": np.log10, "log1p": np.log1p, "log2": np.log2, "negative": np.negative,
    "positive": np.positive, "rad2deg": np.rad2deg, "reciprocal": np.reciprocal,
    "round": np.round, "sign": np.sign, "signbit": np.signbit, "sin": np.sin, "sinh": np.sinh,
    "sqrt": np.sqrt, "square": np.square, "tan": np.tan, "tanh": np.tanh, "trunc": np.trunc,
}  # fmt: skip
SCIPY = [
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "gammaln",
    "gamma",
    "digamma",
    "i0",
    "i1",
    "j0",
    "j1",
    "ndtr",
    "log_ndtr",
    "ndtri",
    "entr",
    "logit",
    "expit",
]


def _same(ours, right):
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(right))
    np.testing.assert_allclose(
        ours, right, rtol=1e-14 if right.dtype != np.float32 else 2e-7, atol=0
    )
    if ours.dtype.kind == "f":
        zero = right == 0
        np.testing.assert_array_equal(np.signbit(ours[zero]), np.signbit(right[zero]))


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("name", NUMPY)
def test_at_the_edges_numpy_and_overbar_agree(name, kind):
    with np.errstate(all="ignore"):
        x = EDGES.astype(kind)
        ours, right = getattr(ob, name)(x).numpy(), NUMPY[name](x)
    assert ours.dtype == right.dtype
    _same(ours, right)


@pytest.mark.parametrize("name", SCIPY)
def test_at_the_edges_scipy_and_overbar_agree(name):
    x = np.array([0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, 1e300, 5e-324, 30.0, -30.0])
    with np.errstate(all="ignore"):
        ours, right = getattr(ob.special, name)(x).numpy(), getattr(scipy.special, name)(x)
    if name == "gammaln":
        right[x == 5e-324] = -np.log(5e-324)  # SciPy's overflows at 1 / x
    np.testing.assert_allclose(ours, right, rtol=2e-13, atol=0)
    assert getattr(ob.special, name)(np.float32([0.25, 0.5])).dtype == np.float32


@pytest.mark.parametrize(
    "name",
    [
        "atan2",
        "copysign",
        "hypot",
        "logaddexp",
        "nextafter",
        "floor_divide",
        "remainder",
        "fmax",
        "fmin",
        "maximum",
        "minimum",
    ],
)
def test_at_the_edges_of_two_numbers_numpy_and_overbar_agree(name):
    x, y = (a.reshape(-1) for a in np.meshgrid(EDGES, EDGES))
    with np.errstate(all="ignore"):
        theirs = getattr(np, {"atan2": "arctan2"}.get(name, name))
        ours, right = getattr(ob, name)(x, y).numpy(), theirs(x, y)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(right))
    np.testing.assert_allclose(ours, right, rtol=1e-15)


def test_xlogy_and_xlog1py_are_zero_where_x_is():
    x, y = np.array([0.0, 0.0, 0.0, 2.0]), np.array([0.0, np.inf, np.nan, 0.0])
    with np.errstate(all="ignore"):
        _same(ob.special.xlogy(x, y).numpy(), scipy.special.xlogy(x, y))
        _same(ob.special.xlog1py(x, -y).numpy(), scipy.special.xlog1py(x, -y))
    y_bar = ob.grad(lambda y: ob.sum(ob.special.xlogy(x[:2], y)))(y[:2])
    np.testing.assert_array_equal(y_bar, [0.0, 0.0])


def test_bits_and_rounding_are_flat_and_numpys():
    a, b = np.array([5, 3, -2]), np.array([1, 6, 2])
    for name, theirs in {
        "bitwise_and": a & b,
        "bitwise_or": a | b,
        "bitwise_xor": a ^ b,
        "bitwise_left_shift": a << b,
        "bitwise_right_shift": a >> b,
    }.items():
        np.testing.assert_array_equal(getattr(ob, name)(a, b).numpy(), theirs)
    np.testing.assert_array_equal(ob.bitwise_invert(a).numpy(), ~a)
    np.testing.assert_array_equal((~ob.tensor(a) & 6).numpy(), ~a & 6)
    assert ob.round(ob.tensor([1, 2])).dtype == np.int64
    np.testing.assert_array_equal(ob.round([1.25, 2.349], 1).numpy(), [1.2, 2.3])
    flat = lambda x: ob.sum(ob.round(x) + ob.floor(x) + ob.sign(x) + x // 2)
    assert not np.any(ob.grad(flat)(np.array([-1.5, 0.0, 2.0])))


# -- kinks and choices ------------------------------------------------------------------------


def test_clip_passes_the_adjoint_inside_and_at_the_bounds():
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, np.nan])
    value = ob.clip(x, -1.0, 1.0).numpy()
    np.testing.assert_array_equal(value, [-1, -1, 0, 1, 1, np.nan])
    clipped = lambda x, low, high: ob.sum(ob.clip(x, low, high)[:5])
    x_bar, low_bar, high_bar = ob.grad(clipped, argnums=(0, 1, 2))(x, -1.0, 1.0)
    np.testing.assert_array_equal(x_bar, [0, 1, 1, 1, 0, 0])
    assert (low_bar, high_bar) == (1.0, 1.0)
    np.testing.assert_array_equal(
        ob.grad(lambda x: ob.sum(ob.clip(x, min=-1.0)))(x[:5]), [0, 1, 1, 1, 1]
    )
    np.testing.assert_array_equal(
        ob.grad(lambda x: ob.sum(ob.clip(x, max=1.0)))(x[:5]), [1, 1, 1, 1, 0]
    )
    np.testing.assert_array_equal(ob.clip(x).numpy(), x)
    with ob.config(kinks="middle"):
        np.testing.assert_array_equal(ob.grad(clipped)(x, -1.0, 1.0), [0, 0.5, 1, 0.5, 0, 0])


def test_clip_keeps_a_nan_below_a_bound_from_leaking():
    x = np.array([0.0, 4.0])
    x_bar = ob.grad(lambda x: ob.sum(ob.clip(ob.log(x), -1.0, None)))
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(x_bar(x), [0.0, 0.25])


@pytest.mark.parametrize(
    ("kinks", "slope"), [("default", 0.0), ("left", -1.0), ("right", 1.0), ("middle", 0.0)]
)
def test_the_derivative_of_abs_at_zero_can_be_chosen(kinks, slope):
    with ob.config(kinks=kinks):
        assert ob.grad(ob.abs)(0.0) == slope


def test_the_derivative_of_hypot_at_the_origin_is_zero():
    assert ob.grad(ob.hypot, argnums=(0, 1))(0.0, 0.0) == (0.0, 0.0)
    assert ob.grad(ob.hypot)(3e200, 4e200) == pytest.approx(0.6, rel=1e-15)


def test_logaddexp_of_infinities_has_finite_derivatives():
    assert ob.grad(ob.logaddexp, argnums=(0, 1))(-np.inf, -np.inf) == (0.0, 0.0)
    assert ob.grad(ob.logaddexp, argnums=(0, 1))(1e4, 1e4) == (0.5, 0.5)
    assert ob.grad(ob.logaddexp, argnums=(0, 1))(-np.inf, 3.0) == (0.0, 1.0)


def test_fmax_and_fmin_send_nothing_to_a_nan():
    for f in (ob.fmax, ob.fmin):
        assert ob.grad(f, argnums=(0, 1))(np.nan, 2.0) == (0.0, 1.0)
        assert ob.grad(f, argnums=(0, 1))(2.0, np.nan) == (1.0, 0.0)
        assert ob.grad(f, argnums=(0, 1))(2.0, 2.0) == (0.5, 0.5)


# -- complex numbers --------------------------------------------------------------------------

HOLOMORPHIC = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "log",
    "log10",
    "log1p",
    "log2",
    "reciprocal",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
]


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_a_holomorphic_function_has_one_complex_derivative(name):
    rng = np.random.default_rng(5)
    z = rng.uniform(-2, 2, 40) + 1j * rng.uniform(0.2, 2, 40) * rng.choice([-1, 1], 40)
    z = np.concatenate([z, 0.3 + 15j + z[:2]])  # where 1 + tan² z cancels
    f, g = (
        getattr(ob, name),
        {
            "reciprocal": lambda t: 1 / t,
            "square": lambda t: t * t,
            "log2": lambda t: mp.log(t) / mp.log(2),
        }.get(name)
        or getattr(mp, name),
    )
    ours = ob.vjp(f, z)[1](np.ones_like(z))[0]
    with mp.workdps(50):
        right = np.array([complex(mp.diff(g, mp.mpc(complex(t)))) for t in z])
    assert worst(ours, right) < 1e-12


@pytest.mark.parametrize("name", ["abs", "angle", "real", "imag", "conj", "sign"])
def test_the_adjoint_of_a_function_of_the_parts_is_that_of_its_parts(name):
    """dL = Re(x̄ dx) inside, and `grad` hands out the conjugate: ∂L/∂Re + i ∂L/∂Im."""
    f = lambda z: ob.real(getattr(ob, name)(z) * (2.0 - 1.5j))
    z, h = 0.7 - 1.1j, 1e-6
    ours = ob.grad(f)(z)
    along = [float((f(z + h * d) - f(z - h * d)).item() / (2 * h)) for d in (1, 1j)]
    assert ours == pytest.approx(complex(*along), rel=1e-8)
    assert ob.jvp(f, (z,), (1j,))[1] == pytest.approx(along[1], rel=1e-8)


def test_the_parts_of_real_numbers_are_what_they_should_be():
    x = np.array([-2.0, 3.0])
    np.testing.assert_array_equal(ob.angle(x).numpy(), [np.pi, 0])
    np.testing.assert_array_equal(ob.imag(x).numpy(), [0, 0])
    np.testing.assert_array_equal(ob.grad(lambda x: ob.sum(ob.angle(x) + ob.real(x)))(x), [1, 1])
    assert ob.grad(ob.abs)(0j) == 0
    assert ob.abs(np.complex64(3 + 4j)).dtype == np.float32


# -- S0-8 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMOOTH)
def test_s0_8_the_adjoint_of_an_elementwise_function_is_a_product(name):
    """x̄ = ȳ ⊙ f'(x), for any f, in one rule."""
    f, _, intervals = SMOOTH[name]
    x = points(name, intervals, 12).reshape(3, 4)
    y_bar = np.random.default_rng(3).standard_normal((3, 4))
    slope = ob.grad(total(f))(x)
    _, pull = ob.vjp(f, x)
    np.testing.assert_allclose(pull(y_bar)[0], y_bar * slope, rtol=1e-15)
    np.testing.assert_allclose(ob.jvp(f, (x,), (y_bar,))[1], y_bar * slope, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64", "int8", "int64"])
def test_whole_numbers_are_taken_as_what_they_are(dtype):
    x = np.array([0, 1, 2, 3, 7, 20, 100], dtype)
    special = (ob.special.expit, ob.special.logit, ob.special.entr)
    for f in (ob.sigmoid, ob.softplus, ob.log_sigmoid, ob.silu, *special):
        for g in (f, ob.jit(f)):
            y, want = g(x), f(x.astype(np.float64)).numpy()
            eps = float(np.finfo(y.dtype).eps)
            np.testing.assert_allclose(y.numpy(), want.astype(y.dtype), rtol=4 * eps, atol=eps)
