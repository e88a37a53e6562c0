"""ob.testing: planted mistakes are found and named; what is right is left alone."""

import dataclasses

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError, DTypeError, GradientError, RuleMissingError
from overbar.testing.differences import along, kinked

check = ob.testing.check_gradients


def spread(*shape):
    """Fixed numbers between −1.5 and 1.5, none near 0."""
    n = int(np.prod(shape))
    return np.reshape(
        np.where(np.arange(n) % 2, 1, -1) * (0.3 + 1.2 * ((np.arange(n) * 0.618) % 1)), shape
    )


# -- central differences -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "wanted"),
    [
        (np.exp, 0.3, np.exp(0.3)),
        (np.log, 1e-6, 1e6),
        (lambda x: np.sin(50 * x), 1.0, 50 * np.cos(50.0)),
        (lambda x: 1 / x, 1e-7, -1e14),
        (np.sin, 1e4, np.cos(1e4)),
        (lambda x: x * 0, 2.0, 0.0),
        (lambda x: np.abs(x - 1e-3), 0.0, -1.0),
    ],
)
def test_differences_find_the_derivative_to_nine_digits(f, x, wanted):
    slope = along(f, np.array([x]), np.ones(1))
    assert slope.value[0] == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert slope.error[0] <= 1e-8 * max(1, abs(wanted))


def test_a_kink_is_told_from_a_steep_bend():
    one = np.ones(1)
    assert kinked(np.abs, np.zeros(1), one)
    assert kinked(np.sign, np.zeros(1), one)
    assert not kinked(np.square, np.zeros(1), one)
    assert not kinked(lambda x: np.exp(20 * x), np.zeros(1), one)
    assert not kinked(np.cos, np.zeros(1), one)


# -- what is right passes ----------------------------------------------------------------------


@dataclasses.dataclass
class Layer:
    w: object
    b: object
    label: str = "layer"


def test_right_derivatives_pass():
    assert check(lambda x, w: ob.tanh(x @ w), spread(3), spread(3, 2)) is None
    check(lambda x: x**3, 2.0, order=4)
    check(lambda x: ob.sum(ob.exp(x) * x), spread(4), modes=("forward",))
    check(lambda x: ob.sum(ob.exp(x) * x), spread(4), modes=("reverse",), order=1)
    check(ob.log, 1e-8)
    check(lambda x: ob.matmul(x, x) * 2, spread(2, 2))


def test_containers_several_results_and_bystanders_pass():
    f = lambda tree, n, flag: (
        tree["a"][0] * n,
        {"s": ob.sin(tree["a"][1]) if flag else None, "i": ob.argmax(tree["b"])},
    )
    check(f, {"a": [spread(2), 0.7], "b": spread(3)}, 3, True)
    check(
        lambda layer, x: ob.relu(x @ layer.w + layer.b),
        Layer(spread(3, 2), spread(2)),
        spread(4, 3),
    )


def test_an_empty_array_has_nothing_to_get_wrong():
    check(lambda x, y: ob.sum(x) + y * y, np.zeros((0, 3)), 2.0)


def test_complex_functions_pass_holomorphic_or_not():
    z = np.array([1.0 + 2.0j, 0.5 - 0.3j])
    check(lambda z: z * z * 1j, z)
    check(lambda z: ob.abs(z) + ob.real(z * ob.conj(z)), z)
    check(lambda z, x: ob.exp(z * x), z, spread(2))


def test_large_arguments_are_sampled():
    check(lambda x, w: ob.relu(x @ w), spread(20, 15), spread(15, 10))


def test_float32_inside_lowers_the_demand_and_still_finds_a_factor():
    check(lambda x: ob.sin(x.astype(np.float32)), 1.0)

    class Wrong(ob.Function):
        def forward(self, x):
            return ob.sin(x.astype(np.float32))

        def backward(self, y_bar):
            return 2.0 * y_bar

    with pytest.raises(GradientError):
        check(Wrong, 1.0)


def test_arguments_are_made_float64_and_stay_as_they_were():
    x = np.float32([0.5, 1.5])
    seen = []

    def f(x):
        seen.append(x.dtype)
        return ob.sin(x)

    check(f, x)
    assert set(seen) == {np.dtype(np.float64)}
    np.testing.assert_array_equal(x, np.float32([0.5, 1.5]))
    w = ob.tensor([1.0, 2.0], requires_grad=True)
    check(ob.sin, w)
    assert w.grad is None


# -- planted mistakes --------------------------------------------------------------------------


def planted(backward):
    """sin(x) @ w with a backward of the test's choice."""

    class Gate(ob.Function):
        def forward(self, x, w):
            self.x, self.w = x, w
            return ob.sin(x) @ w

        def backward(self, y_bar):
            return backward(y_bar, self.x, self.w)

    return lambda x, w: Gate()(x, w)  # noqa: PLW0108  (a new one each time)


RIGHT = lambda b, x, w: ((b @ w.mT) * ob.cos(x), ob.sin(x).mT @ b)
WRONG = {
    "sign": (
        lambda b, x, w: (-(b @ w.mT) * ob.cos(x), ob.sin(x).mT @ b),
        "argument 0",
        "the sign is wrong",
    ),
    "factor 2": (
        lambda b, x, w: ((b @ w.mT) * ob.cos(x), 2 * ob.sin(x).mT @ b),
        "argument 1",
        "times 0.5",
    ),
    "missing factor": (lambda b, x, w: (b @ w.mT, ob.sin(x).mT @ b), "argument 0", ""),
    "transposed": (lambda b, x, w: ((b @ w) * ob.cos(x), ob.sin(x).mT @ b), "argument 0", ""),
    "one entry": (
        lambda b, x, w: ((b @ w.mT) * ob.cos(x), ob.sin(x).mT @ b + np.eye(len(x))[0] * 1e-3),
        "argument 1, entry [",
        "",
    ),
    "zero": (lambda b, x, w: (None, ob.sin(x).mT @ b), "argument 0", ""),
}


@pytest.mark.parametrize("n", [3, 9])
@pytest.mark.parametrize("slip", WRONG)
def test_a_wrong_rule_is_caught_and_located(slip, n):
    backward, argument, hint = WRONG[slip]
    with pytest.raises(GradientError) as caught:
        check(planted(backward), spread(n, n), spread(n, n).T, order=1)
    message = str(caught.value)
    assert "is wrong in reverse mode" in message
    assert argument in message
    assert hint in message
    assert "by central differences" in message
    assert "off by" in message
    assert "test_testing.py" in message


@pytest.mark.parametrize("n", [3, 9])
def test_the_right_rule_passes_although_it_has_no_forward_mode(n):
    check(planted(RIGHT), spread(n, n), spread(n, n).T)
    with pytest.raises(RuleMissingError):
        check(planted(RIGHT), spread(n, n), spread(n, n).T, modes=("forward",))


@pytest.mark.parametrize("n", [3, 9])
def test_a_mistake_of_the_second_order_is_caught(n):
    cut = lambda b, x, w: ((b @ w.mT) * ob.cos(x), ob.stop_gradient(ob.sin(x)).mT @ b)
    check(planted(cut), spread(n, n), spread(n, n).T, order=1)
    with pytest.raises(GradientError, match="derivative of the reverse derivative"):
        check(planted(cut), spread(n, n), spread(n, n).T)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda xs, dots: (ob.sin(xs[0]), -ob.cos(xs[0]) * dots[0]),
        lambda xs, dots: (ob.sin(xs[0]), 2.0 * ob.cos(xs[0]) * dots[0]),
        lambda xs, dots: (ob.sin(xs[0]), dots[0]),
    ],
)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_wrong_forward_rule_is_caught_in_both_modes(wrong, mode):
    f = ob.custom_jvp(ob.sin)
    f.defjvp(wrong)
    with pytest.raises(GradientError, match=f"{mode} mode"):
        check(f, spread(3), modes=(mode,))


def test_modes_that_disagree_are_caught_below_the_precision_of_differences():
    op = next(p for p in [ob.sin.primitive])
    before, op.jvp = (
        op.jvp,
        (
            lambda x_dot, y, x: (
                x_dot
                * (ob.cos(x) * (1 + 3e-8) if isinstance(x, ob.Tensor) else np.cos(x) * (1 + 3e-8))
            ),
        ),
    )
    op._needs.clear()
    try:
        with pytest.raises(GradientError, match="disagree"):
            check(ob.sin, np.array([0.3, 0.4]), order=1)
    finally:
        op.jvp = before
        op._needs.clear()


def test_the_message_says_what_came_and_what_was_wanted():
    f = ob.custom_jvp(lambda d: d["w"] * 3.0)
    f.defjvp(lambda xs, dots: (xs[0]["w"] * 3.0, dots[0]["w"] * 6.0))
    with pytest.raises(GradientError) as caught:
        check(f, {"w": np.ones((2, 3))})
    message = str(caught.value)
    for fact in ("argument 0['w'], entry [", "came: 6", "off by: 3", "wanted 3", "times 0.5"):
        assert fact in message


# -- where there is nothing to compare with ----------------------------------------------------


def test_a_kink_is_said_to_be_one():
    with pytest.raises(GradientError, match="kink"):
        check(ob.relu, 0.0)
    with pytest.raises(GradientError, match="kink"), ob.config(kinks="left"):
        check(ob.abs, np.array([1.0, 0.0]))
    with pytest.raises(GradientError, match="kink"):
        check(lambda x: ob.floor(x) * x, 2.0)


def test_a_convention_that_is_the_mean_of_both_sides_agrees_with_central_differences():
    check(ob.max, np.array([1.0, 1.0, 0.0]), order=1)
    check(ob.abs, 0.0, order=1)


def test_what_cannot_be_compared_is_refused_with_a_reason():
    with pytest.raises(GradientError, match="default_rng"):
        check(lambda x: x * ob.random.normal(()), 1.0)
    with pytest.raises(GradientError, match="not finite"):
        check(ob.log, -1.0)
    with pytest.raises(GradientError, match="no floating"):
        check(lambda x: x > 0, 1.0)
    with pytest.raises(DTypeError, match=r"3\.0 instead of 3"):
        check(lambda x: x, 3)
    with pytest.raises(DomainError):
        check(ob.sin, 1.0, modes=("sideways",))
    with pytest.raises(DomainError):
        check(ob.sin, 1.0, modes=())
    with pytest.raises(DomainError):
        check(ob.sin, 1.0, order=0)


def test_a_function_that_makes_its_generator_inside_can_be_checked():
    check(lambda x: x * ob.random.default_rng(0).normal((3,)), spread(3))


# -- check_backward ----------------------------------------------------------------------------

X, W, B = spread(5, 3), spread(3, 4), spread(4)
S, T = spread(3, 3), spread(3, 3).T + np.diag([0.1, 0.7, -0.3])
v = spread(3)
linear = lambda x, w, b: x @ w + b
product = lambda a, b: a @ b
times = lambda a, b: a * b
logistic = lambda x: 1 / (1 + np.exp(-x))


def words(report):
    return [(f.argument, f.word) for f in report.findings]


CORRECT = [
    (linear, lambda y, x, w, b: (y @ w.T, x.T @ y, y.sum(0)), (X, W, B)),
    (product, lambda y, a, b: (y @ b.T, a.T @ y), (S, T)),
    (lambda w, x: w @ x, lambda y, w, x: (np.outer(y, x), w.T @ y), (S, v)),
    (np.tanh, lambda y, x: y * (1 - np.tanh(x) ** 2), (S,)),
    (lambda x: x * x, lambda y, x: 2 * y * x, (3.0,)),
    (lambda x, n: x**n, lambda y, x, n: (y * n * x ** (n - 1), None), (2.0, 3)),
    (lambda x, y: x, lambda b, x, y: (b, None), (2.0, 3.0)),
    (lambda x: (np.sin(x), x * x), lambda y, x: y[0] * np.cos(x) + 2 * x * y[1], (v,)),
    (lambda x: float(np.sum(x)), lambda y, x: [y * np.ones(3)], (v,)),
    (
        lambda x: np.array([x[0], x[1] * x[2]]),
        lambda y, x: np.array([y[0], y[1] * x[2], y[1] * x[1]]),
        (v,),
    ),
]


@pytest.mark.parametrize(("f", "backward", "args"), CORRECT)
def test_a_right_backward_is_correct(f, backward, args):
    report = ob.testing.check_backward(f, backward, *args)
    assert report.ok, str(report)
    assert report.findings == []
    assert str(report).count("correct") == 1 + len(args)
    assert "not correct" not in str(report)


SLIPS = [
    ("transposed", linear, lambda y, x, w, b: (y @ w.T, y.T @ x, y.sum(0)), (X, W, B), 1),
    ("transposed", product, lambda y, a, b: (y @ b.T, (a.T @ y).T), (S, T), 1),
    ("transposed", product, lambda y, a, b: (y @ b, a.T @ y), (S, T), 0),
    ("transposed", lambda w, x: w @ x, lambda y, w, x: (np.outer(x, y), w.T @ y), (S, v), 0),
    ("transposed", lambda w, x: w @ x, lambda y, w, x: (np.outer(y, x), w @ y), (S, v), 1),
    ("wrong order", product, lambda y, a, b: (b.T @ y, a.T @ y), (S, T), 0),
    ("batch sum missing", linear, lambda y, x, w, b: (y @ w.T, x.T @ y, y), (X, W, B), 2),
    ("batch sum missing", linear, lambda y, x, w, b: (y @ w.T, x.T @ y, y[0]), (X, W, B), 2),
    ("batch sum missing", times, lambda y, a, b: (y * b, y * a), (S, 2.0), 1),
    ("batch sum missing", times, lambda y, a, b: (y * b, y * a), (S, spread(3, 1)), 1),
    ("sign", times, lambda y, a, b: (y * b, -y * a), (S, T), 1),
    ("sign", np.cos, lambda y, x: y * np.sin(x), (v,), 0),
    ("factor 2", lambda x: x**2, lambda y, x: y * x, (3.0,), 0),
    ("factor 2", np.sin, lambda y, x: 2 * y * np.cos(x), (v,), 0),
    ("factor 5", np.mean, lambda y, x: y * np.ones(5), (X[:, 0],), 0),
    ("factor 3/2", np.sin, lambda y, x: 1.5 * y * np.cos(x), (v,), 0),
    ("a path is missing", lambda x: x * x + np.sin(x), lambda y, x: y * np.cos(x), (v,), 0),
    ("a path is missing", lambda x: x * x + np.sin(x), lambda y, x: 2 * y * x, (v,), 0),
    ("a path is missing", lambda x: x * x, lambda y, x: y * x, (v,), 0),
    ("a path is missing", lambda x, w: np.tanh(np.tanh(x * w) * w), None, (v, 0.7), 1),
    ("a path is missing", times, lambda y, a, b: (y * b, 0 * b), (S, T), 1),
    (
        "a path is counted twice",
        lambda x: x * x + np.sin(x),
        lambda y, x: y * (2 * x + 2 * np.cos(x)),
        (v,),
        0,
    ),
    ("elementwise vs matrix product", product, lambda y, a, b: (y * b, a.T @ y), (S, T), 0),
    ("elementwise vs matrix product", times, lambda y, a, b: (y @ b, y * a), (S, T), 0),
    (
        "elementwise vs matrix product",
        lambda w, x: w @ x,
        lambda y, w, x: (y * x, w.T @ y),
        (S, v),
        0,
    ),
    ("swapped", times, lambda y, a, b: (y * a, y * b), (S, T), 0),
    ("ȳ is not used", np.tanh, lambda y, x: 1 - np.tanh(x) ** 2, (v,), 0),
    ("None given", times, lambda y, a, b: (y * b, None), (S, T), 1),
    ("wrong shape", np.tanh, lambda y, x: (y * (1 - np.tanh(x) ** 2)).ravel(), (S,), 0),
    ("wrong shape", np.tanh, lambda y, x: y[:2], (v,), 0),
    ("not an array", np.tanh, lambda y, x: "nothing", (v,), 0),
    ("sign", lambda x: np.maximum(x, -0.1 * x), lambda y, x: y * np.where(x > 0, 1, 0.1), (v,), 0),
    ("factor missing", times, lambda y, a, b: (y, y * a), (S, T), 0),
    ("factor missing", lambda x: x**3, lambda y, x: y * 3 * x, (v,), 0),
    ("factor missing", ob.exp, lambda y, x: y, (v,), 0),
    ("factor too many", np.tanh, lambda y, x: y * (1 - np.tanh(x) ** 2) * x, (v,), 0),
    ("wrong place", ob.sigmoid, lambda y, x: y * logistic(x**2) * (1 - logistic(x**2)), (v,), 0),
    ("wrong place", ob.tanh, lambda y, x: y * (1 - np.tanh(np.tanh(x)) ** 2), (v,), 0),
    ("wrong", np.tanh, lambda y, x: y * np.exp(x), (v,), 0),
    ("wrong", np.tanh, lambda y, x: y * np.nan, (v,), 0),
]


def _without_the_first_use(y, x, w):
    inner = np.tanh(x * w)
    u_bar = y * (1 - np.tanh(inner * w) ** 2)
    inner_bar = u_bar * w
    return inner_bar * (1 - inner**2) * w, np.sum(u_bar * inner)


@pytest.mark.parametrize(("word", "f", "backward", "args", "argument"), SLIPS)
def test_a_slip_is_named(word, f, backward, args, argument):
    report = ob.testing.check_backward(f, backward or _without_the_first_use, *args)
    assert not report.ok
    assert (argument, word) in words(report), str(report)
    assert {f.argument for f in report.findings} <= ({0, 1} if word == "swapped" else {argument}), (
        str(report)
    )
    assert word in str(report)


def test_a_derivative_at_the_wrong_place_is_pointed_at():
    report = ob.testing.check_backward(
        ob.sigmoid, lambda y, x: y * logistic(x**2) * (1 - logistic(x**2)), v
    )
    assert report.findings[0].detail == (
        "the derivative is taken at the square of argument 0 (x), not at argument 0 (x)"
    )


def test_two_slips_in_one_adjoint_are_both_named():
    report = ob.testing.check_backward(
        linear, lambda y, x, w, b: (y @ w.T, 2 * y.T @ x, -y), X, W, B
    )
    assert words(report) == [
        (1, "transposed"),
        (1, "factor 2"),
        (2, "batch sum missing"),
        (2, "sign"),
    ]


def test_the_missing_path_is_pointed_at():
    def f(x):
        u = x * x
        return u + ob.sin(x)

    report = ob.testing.check_backward(f, lambda y, x: 2 * y * x, ob.tensor(v))
    (finding,) = report.findings
    assert "`sin`" in finding.detail
    assert "return u + ob.sin(x)" in finding.detail
    assert "argument 0 (x)" in finding.detail


def test_a_function_written_with_numpy_alone_is_judged_by_differences():
    f = lambda x: np.array([np.interp(x[0], [0, 1], [0, 2]), x[1]])
    x = np.array([0.3, 0.5])
    assert ob.testing.check_backward(f, lambda y, x: np.array([2 * y[0], y[1]]), x).ok
    assert words(ob.testing.check_backward(f, lambda y, x: np.array([-2 * y[0], -y[1]]), x)) == [
        (0, "sign")
    ]


def test_a_wrong_number_of_adjoints_is_said():
    report = ob.testing.check_backward(times, lambda y, a, b: (y * b,), S, T)
    assert words(report) == [(None, "wrong number of adjoints")]
    assert "1 came, one for each of the 2 arguments" in str(report)


class Multiply(ob.Function):
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, z_bar):
        return z_bar * self.y, z_bar * self.x


class Mistaken(Multiply):
    def backward(self, z_bar):
        return z_bar * self.y, -z_bar * self.x


@pytest.mark.parametrize("form", [lambda gate: gate, lambda gate: gate()])
def test_gates_are_taken_as_class_and_as_instance(form):
    assert ob.testing.check_backward(form(Multiply), None, 2.0, 3.0).ok
    assert ob.testing.check_backward(times, form(Multiply), S, T).ok
    assert words(ob.testing.check_backward(form(Mistaken), None, S, T)) == [(1, "sign")]
    assert words(ob.testing.check_backward(times, form(Mistaken), S, T)) == [(1, "sign")]
    assert "argument 1 (y)" in str(ob.testing.check_backward(form(Mistaken), None, S, T))


def test_an_instance_is_not_used_up_by_a_check():
    gate = Multiply()
    ob.testing.check_backward(gate, None, 2.0, 3.0)
    assert float(gate(2.0, 3.0)) == 6.0


def test_tensors_are_given_where_tensors_came():
    seen = []

    def backward(y_bar, x):
        seen.append((type(y_bar), type(x)))
        return y_bar * 2.0

    assert ob.testing.check_backward(lambda x: x * 2.0, backward, ob.tensor(v)).ok
    assert set(seen) == {(ob.Tensor, ob.Tensor)}


def test_what_cannot_be_checked_backward_is_refused():
    with pytest.raises(DTypeError, match="no backward"):
        ob.testing.check_backward(np.sin, None, 1.0)
    with pytest.raises(DTypeError, match="floating"):
        ob.testing.check_backward(lambda n: n, lambda y, n: y, 3)
    with pytest.raises(DomainError, match="not finite"), np.errstate(all="ignore"):
        ob.testing.check_backward(np.log, lambda y, x: y / x, -1.0)


def test_the_report_is_the_same_every_time():
    one, two = (str(ob.testing.check_backward(np.tanh, lambda y, x: y, v)) for _ in range(2))
    assert one == two
