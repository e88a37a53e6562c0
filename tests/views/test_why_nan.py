"""Planted faults, each named exactly: the operation, the line, the pass; and no false alarm."""

import inspect
import math

import numpy as np
import pytest

import overbar as ob
from overbar.errors import NonFiniteError

HERE = __file__.rpartition("/")[2]


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


def param(*values):
    return ob.tensor(list(values), requires_grad=True)


FAULTS = []


def fault(op, born, made="nan", cure=""):
    """A program with one fault, on the line that ends in `# here`."""

    def keep(f):
        FAULTS.append(pytest.param(f, op, born, made, cure, id=f.__name__))
        return f

    return keep


@fault("log", "forward", cure="negative number")
def log_of_a_negative():
    x = param(1.0, -2.0)
    y = ob.log(x)  # here
    return (y * y).sum()


@fault("log", "forward", "-inf", cure="log_softmax")
def log_of_zero():
    p = ob.relu(param(1.0, -2.0))
    y = ob.log(p)  # here
    return (y * 2.0).sum()


@fault("sqrt", "forward", cure="bound it")
def root_of_a_negative():
    x = param(4.0, -1.0)
    u = x - 1.0
    y = ob.sqrt(u)  # here
    z = ob.exp(y)
    return ob.log(z).sum()


@fault("sqrt", "backward", cure="vector_norm")
def root_at_zero_times_zero():
    x = param(4.0, 0.0)
    y = ob.sqrt(x)  # here
    return (y * np.array([1.0, 0.0])).sum()


@fault("sqrt", "backward", "inf", cure="infinite at 0")
def norm_by_hand_at_zero():
    x = param(0.0, 0.0)
    squares = (x * x).sum()
    norm = ob.sqrt(squares)  # here
    return norm * 2.0


@fault("exp", "forward", "inf", cure="subtract the maximum")
def softmax_by_hand():
    x = param(800.0, 1.0)
    e = ob.exp(x)  # here
    p = e / ob.sum(e)
    return (p * p).sum()


@fault("divide", "forward", cure="0 / 0")
def zero_by_zero():
    x = param(1.0, 2.0)
    mask = np.zeros(2)
    mean = (x * mask).sum() / mask.sum()  # here
    return mean * 3.0


@fault("divide", "forward", "inf", cure="division by zero")
def division_by_zero():
    x = param(1.0, 2.0)
    y = 1.0 / (x - 1.0)  # here
    return y.sum()


@fault("exp", "forward", "inf", cure="overflow")
def difference_of_infinities():
    x = param(1000.0)
    big = ob.exp(x)  # here
    return (big - big).sum()


@fault("multiply", "forward", cure="ob.where")
def mask_that_multiplies_an_infinity():
    x = param(1.0, 2.0)
    scores = np.array([-np.inf, 1.0])
    y = (x - x) * scores  # here
    return y.sum()


@fault("matmul", "forward", cure="matrices")
def infinity_inside_a_matrix_product():
    A = param([1.0, 0.0], [0.0, 1.0])
    bias = np.array([[-np.inf, 0.0], [0.0, 0.0]])
    y = A @ bias  # here
    return y.sum()


@fault("power", "forward", cure="not whole")
def power_of_a_negative():
    x = param(-2.0, 4.0)
    y = x**0.5  # here
    return y.sum()


@fault("power", "backward", "inf", cure="infinite derivative")
def steep_power_at_zero():
    x = param(0.0, 4.0)
    y = x**0.5  # here
    return y.sum()


@fault("acos", "forward", cure="clip first")
def arccos_outside():
    x = param(1.0, 1.0000001)
    angle = ob.acos(x)  # here
    return angle.sum()


@fault("acos", "backward", "-inf", cure="edge of the domain")
def arccos_at_the_edge():
    x = param(0.5, 1.0)
    angle = ob.acos(x)  # here
    return angle.sum()


@fault("atanh", "forward", "inf", cure="inside")
def arctanh_at_one():
    x = param(0.5, 1.0)
    y = ob.atanh(x)  # here
    return y.sum()


@fault("whole_power", "forward", "inf", cure="negative power")
def negative_power_of_zero():
    x = param(0.0, 2.0)
    y = x**-2  # here
    return y.sum()


@fault("log1p", "forward", "-inf", cure="x > −1")
def log1p_at_minus_one():
    x = param(-1.0, 2.0)
    y = ob.log1p(x)  # here
    return y.sum()


@fault("square", "forward", "inf", cure="outgrow")
def overflow_in_float32():
    x = ob.tensor(np.array([1e30], np.float32), requires_grad=True)
    y = ob.square(x)  # here
    return y.sum()


@fault("whole_power", "forward", "inf", cure="outgrow")
def overflow_of_a_cube():
    x = param(1e200)
    y = x**3  # here
    return ob.log(y).sum()


@fault("cast", "forward", "inf", cure="narrower")
def cast_that_does_not_fit():
    x = param(1e300)
    y = x.astype(np.float32)  # here
    return y.sum()


@fault("log", "forward", cure="negative number")
def nan_that_many_inherit():
    x = param(3.0, -1.0)
    h = ob.log(x)  # here
    for _ in range(30):
        h = ob.tanh(h) + x
    return ob.logsumexp(h)


@fault("log", "forward", cure="negative number")
def fault_inside_a_function():
    def layer(v):
        shifted = v - 2.0
        return ob.log(shifted)  # here

    return layer(layer(param(1.5, 9.0)) * 0.0 + 3.5).sum()


@fault("sqrt", "backward", "inf", cure="infinite at 0")
def gradient_only_in_one_of_two_paths():
    x = param(0.0, 1.0)
    safe = (x * 2.0).sum()
    spread = ob.sqrt(x).sum()  # here
    return safe + 0.1 * spread


@fault("reciprocal", "forward", "inf", cure="division by zero")
def reciprocal_of_zero():
    x = param(0.0, 1.0)
    y = ob.reciprocal(x)  # here
    return ob.tanh(y).sum() + (y - y).sum()


@fault("multiply", "backward", "inf", cure="overflow")
def adjoints_that_overflow():
    x = param(1e-300)
    y = x * 1e200  # here
    return (y * 1e200).sum()


def the_line(f):
    lines, start = inspect.getsourcelines(f)
    (at,) = [start + i for i, line in enumerate(lines) if line.rstrip().endswith("# here")]
    return at


def test_there_are_faults_enough():
    assert len(FAULTS) >= 24


@pytest.mark.parametrize(("f", "op", "born", "made", "cure"), FAULTS)
def test_a_planted_fault_is_named(f, op, born, made, cure):
    birth = ob.why_nan(f()).birth
    assert (birth.op, birth.line, birth.born, birth.made) == (op, the_line(f), born, made)
    assert birth.filename == __file__
    assert birth.source.endswith("# here")
    assert cure in birth.cure
    assert birth.operands


@pytest.mark.parametrize(("f", "op", "born", "made", "cure"), FAULTS)
def test_a_planted_fault_is_named_after_backward(f, op, born, made, cure):
    L = f()
    L.backward()
    birth = ob.why_nan(L).birth
    assert (birth.op, birth.line, birth.born) == (op, the_line(f), born)


@pytest.mark.parametrize(("f", "op", "born", "made", "cure"), FAULTS)
def test_a_planted_fault_in_a_step_is_named(f, op, born, made, cure):
    def step():
        L = f()
        L.backward()
        return L

    birth = ob.why_nan(step).birth
    assert (birth.op, birth.line, birth.born, birth.made) == (op, the_line(f), born, made)
    assert cure in birth.cure


@pytest.mark.parametrize(("f", "op", "born", "made", "cure"), FAULTS)
def test_the_guard_raises_where_it_is_born(f, op, born, made, cure):
    with pytest.raises(NonFiniteError) as caught, ob.nan_guard():
        f().backward()
    facts = caught.value.facts
    assert (facts["op"], facts["born"], facts["made"]) == (op, born, made)
    assert facts["at"] == (__file__, the_line(f))
    assert cure in caught.value.hint
    assert f"{HERE}, line {the_line(f)}" in str(caught.value)
    assert str(caught.value).count("hint:") == 1


# -- what was there before anything was computed ----------------------------------------------


def test_a_nan_in_the_data_is_said_to_be_in_the_data():
    w = param(1.0, 2.0)
    data = np.array([1.0, np.nan])
    birth = ob.why_nan(ob.tanh(w * data).sum()).birth
    assert (birth.op, birth.born, birth.index, birth.name) == ("input", "input", (1,), "data")
    assert "nan_to_num" in birth.cure


def test_a_nan_in_a_parameter_is_said_to_be_in_the_parameter():
    w = ob.tensor([[1.0, np.nan]], requires_grad=True, name="fc.weight")
    birth = ob.why_nan((w * 2.0).sum()).birth
    assert (birth.op, birth.name, birth.index) == ("parameter", "fc.weight", (0, 1))
    assert "earlier step" in birth.cure


def test_a_value_without_history():
    report = ob.why_nan(ob.tensor([1.0, np.inf]))
    assert (report.birth.born, report.birth.made, report.birth.index) == ("input", "inf", (1,))
    assert not ob.why_nan(ob.tensor([1.0, 2.0]))


def test_an_argument_that_is_nan():
    birth = ob.why_nan(lambda x: (x * 2.0).sum(), np.array([1.0, np.nan])).birth
    assert (birth.born, birth.index) == ("input", (1,))


# -- the report -------------------------------------------------------------------------------


def test_the_report_in_words():
    x = param(1.0, -2.0)
    y = ob.log(x)
    z = y * 2.0
    L = z.sum()
    report = ob.why_nan(L)
    line = inspect.currentframe().f_lineno
    assert report.text() == (
        "the first value that is not finite: log made nan at [1], in the forward pass\n"
        f"    {HERE}, line {line - 4}:  y = ob.log(x)\n"
        "    x = -2.00\n"
        f"    from there: z = multiply (line {line - 3}) → L = sum (line {line - 2})\n"
        "    cure: the logarithm of a negative number: bound it first, ob.log(ob.maximum(x, "
        "1e-12)), "
        "or see why it is negative"
    )
    assert "<table>" in report._repr_html_()
    assert report


def test_a_backward_birth_names_both_lines():
    x = param(4.0, 0.0)
    y = ob.sqrt(x)
    L = (y * 0.0).sum()
    birth = ob.why_nan(L).birth
    line = inspect.currentframe().f_lineno
    assert birth.line == line - 3
    assert f"line {line - 2}:" in birth.sender
    assert dict(birth.operands)["x"] == "4.00" if birth.index == (0,) else "0"
    assert birth.index == (1,)


def test_the_guard_says_what_stood_there():
    with pytest.raises(NonFiniteError, match=r"log made nan at \[1\] from -1\.0"), ob.nan_guard():
        ob.log(ob.tensor([1.0, -1.0]))


def test_the_guard_lets_through_what_was_there_before():
    with ob.nan_guard():
        y = ob.tensor([np.nan, 1.0]) * 2.0
    assert np.isnan(y.numpy()[0])


def test_the_guard_ends_with_its_block():
    with ob.nan_guard():
        pass
    assert np.isnan(ob.log(ob.tensor(-1.0)).item())


def test_the_guard_watches_transforms():
    with pytest.raises(NonFiniteError) as caught, ob.nan_guard():
        ob.grad(ob.sqrt)(0.0)
    assert (caught.value.facts["op"], caught.value.facts["born"]) == ("sqrt", "backward")


def test_the_guard_watches_second_derivatives():
    x = param(0.0)
    with pytest.raises(NonFiniteError) as caught, ob.nan_guard():
        (ob.sqrt(x)).sum().backward(create_graph=True)
    assert (caught.value.facts["op"], caught.value.facts["born"]) == ("sqrt", "backward")


def test_config_turns_the_guard_on():
    with ob.config(nan_guard=True), pytest.raises(NonFiniteError, match="log made -inf"):
        ob.log(ob.tensor(0.0))


def test_asking_about_a_step_undoes_it():
    w = param(1.0, 2.0)
    value, node = w.value, w._node

    def step():
        L = ob.sqrt(w - 1.5).sum()
        L.backward()
        w.rebind((w - 0.1 * w.grad).detach())

    birth = ob.why_nan(step).birth
    assert (birth.op, birth.born) == ("sqrt", "forward")
    assert w.value is value
    assert w._node is node
    assert w.grad is None


# -- no alarm ---------------------------------------------------------------------------------


def stable_softmax():
    return ob.softmax(param(800.0, -800.0, 1.0))[0]


def masked_attention():
    scores = param([1.0, 2.0], [3.0, 4.0])
    mask = np.array([[True, False], [True, True]])
    p = ob.softmax(ob.where(mask, scores, -np.inf))
    return (p * p).sum()


def guarded_log():
    x = param(1.0, -2.0)
    return ob.where(x.numpy() > 0, ob.log(x), 0.0).sum()


def norm_at_zero():
    return ob.linalg.vector_norm(param(0.0, 0.0))


def deviation_of_a_constant():
    return ob.std(param(2.0, 2.0))


def exp_of_minus_infinity():
    return ob.exp(param(1.0, 2.0) + np.array([-np.inf, 0.0])).sum()


def logsumexp_far_out():
    return ob.logsumexp(param(1e4, -1e4))


def product_with_zeros():
    return ob.prod(param(0.0, 2.0, 0.0))


def sigmoid_far_out():
    return ob.log_sigmoid(param(-1e4, 1e4)).sum()


def a_small_network():
    W = ob.tensor(np.linspace(-1, 1, 12).reshape(4, 3), requires_grad=True)
    X = np.linspace(-2, 2, 15).reshape(5, 3)
    return (ob.tanh(X @ W.mT) ** 2).mean()


def whole_power_at_zero():
    return (param(0.0, 1.0) ** 2).sum()


HEALTHY = [
    stable_softmax,
    masked_attention,
    guarded_log,
    norm_at_zero,
    deviation_of_a_constant,
    exp_of_minus_infinity,
    logsumexp_far_out,
    product_with_zeros,
    sigmoid_far_out,
    a_small_network,
    whole_power_at_zero,
]


@pytest.mark.parametrize("f", HEALTHY, ids=lambda f: f.__name__)
def test_a_healthy_program_raises_no_alarm(f):
    L = f()
    assert math.isfinite(L.item())
    report = ob.why_nan(L)
    assert not report
    assert report.text() == "no NaN and no infinity: the result is finite, and so are the gradients"
    assert not ob.why_nan(f)

    def step():
        L = f()
        L.backward()
        return float(L)

    assert not ob.why_nan(step)


def test_without_parameters_the_gradient_is_that_of_the_arguments():
    report = ob.why_nan(lambda x: ob.sum(ob.sqrt(x)), np.array([1.0, 0.0]))
    assert (report.birth.op, report.birth.born, report.birth.index) == ("sqrt", "backward", (1,))
    w = ob.tensor(1.0, requires_grad=True)  # data are not what is trained
    assert not ob.why_nan(lambda x: w * ob.sum(ob.sqrt(x)), np.array([1.0, 0.0]))
