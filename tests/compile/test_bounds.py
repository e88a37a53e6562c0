"""What eager refuses because of its values, a compiled program refuses too."""

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError, IndexingError
from overbar.nn import functional as F  # noqa: N812  (everybody's name for it)
from overbar.trees import tree_flatten
from tests.compile.test_kernels import array

pytestmark = pytest.mark.native


def _refusals(loss, given, bad, said):
    """In eager and in programs; and after it they go on."""
    programs = [
        loss, ob.jit(loss), ob.jit(ob.value_and_grad(loss)), ob.jit(ob.grad(loss)),
        ob.jit(lambda *xs: ob.vmap(loss)(*(x[None] for x in xs))),
    ]  # fmt: skip
    for f in programs:
        for _ in range(4):
            f(*given)
        before = np.asarray(tree_flatten(f(*given))[0][0])
        with pytest.raises((DomainError, IndexingError), match=said):
            f(*bad)
        np.testing.assert_array_equal(np.asarray(tree_flatten(f(*given))[0][0]), before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 7, 70_000])
def test_probabilities_outside(n, dtype):
    y, t = np.full(n, 0.25, dtype), np.ones(n, dtype)
    for number in (-1e-30, 1 + 1e-6, np.inf):
        bad = y.copy()
        bad[n // 2] = number
        _refusals(F.binary_cross_entropy, (y, t), (bad, t), rf"prediction\[(0, )?{n // 2}\] is")
        _refusals(F.binary_cross_entropy, (y, t), (y, bad), rf"target\[(0, )?{n // 2}\] is")
        logits = F.binary_cross_entropy_with_logits
        _refusals(logits, (y, t), (y, bad), rf"target\[(0, )?{n // 2}\] is")


def test_what_is_no_number_and_what_lies_on_the_border_is_let_pass():
    f = ob.jit(lambda x: ob.within(x, 0, 1) * 2)
    for x in ([0.0, 1.0, -0.0, np.nan], [np.nan] * 4):
        np.testing.assert_array_equal(f(np.array(x)), np.array(x) * 2)


def test_classes_outside():
    z, t = np.zeros((4, 3)), np.full((4, 3), 1 / 3)
    bad = t.copy()
    bad[2, 1] = -0.5
    _refusals(F.cross_entropy, (z, t), (z, bad), r"target\[(0, )?2, 1\] is -0.5")
    f = ob.jit(lambda i: ob.one_hot(i, 3))
    np.testing.assert_array_equal(f(np.array([0, 2])), np.eye(3)[[0, 2]])
    for i in ([0, 3], [-1, 0]):
        with pytest.raises(IndexingError, match="do not fit into 3"):
            f(np.array(i))


@pytest.mark.parametrize("number", [-1.0, 2.0])
def test_inside_loops(number):
    def total(xs):
        return ob.scan(lambda c, x: (c + ob.within(x, 0, 1), c), 0.0, xs)[0]

    f, xs = ob.jit(total), np.full(5, 0.5)
    assert float(f(xs)) == 2.5
    xs[3] = number
    for g in (f, total):
        with pytest.raises(DomainError, match=f"is {number:g}"):
            g(xs)


def test_nothing_is_written_before_it_is_refused():
    state = ob.zeros(70_000)

    @ob.jit
    def step(t):
        state.rebind(state + 1.0)
        return F.binary_cross_entropy_with_logits(state, t)

    t = np.zeros(70_000)
    for _ in range(4):
        step(t)
    t[-1] = 2.0
    with pytest.raises(DomainError, match=r"target\[69999\] is 2"):
        step(t)
    np.testing.assert_array_equal(state, np.full(70_000, 4.0))


def test_steps_run_in_native_code_stop_where_one_is_refused():
    count, weights = ob.zeros((1, 3)), ob.full((4, 3), 0.25)

    @ob.jit
    def step(x):
        total = ob.within(count, high=10, name="step: count").sum()
        count.rebind(count + (x + 0.0 * total) @ weights)
        return total

    x = np.ones((1, 4))
    for _ in range(4):
        step(x)
    (ready,) = step._ready
    assert ready.loops
    assert float(step.run(3, x)) == 18.0
    with pytest.raises(DomainError, match=r"step: count\[0, 0\] is 11"):
        step.run(1000, x)
    np.testing.assert_array_equal(count, [[11.0] * 3])
    count.rebind(ob.zeros((1, 3)))
    assert float(step.run(5, x)) == 12.0


def test_the_interpreter_looks_too_and_so_does_another_size():
    f = ob.jit(lambda x: ob.sqrt(ob.within(x, 0, name="sqrt: x")).sum())
    with ob.config(jit="interpret"):
        f(array(3) ** 2)
        with pytest.raises(DomainError, match=r"sqrt: x\[1\] is -1"):
            f(np.array([1.0, -1.0, 2.0]))
    for n in (3, 4, 5, 6):
        f(np.ones(n))
        with pytest.raises(DomainError, match=rf"sqrt: x\[{n - 1}\] is -1"):
            f(np.r_[np.ones(n - 1), -1.0])
    slopes = ob.grad(lambda x: (ob.within(x, 0) ** 2).sum())(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(slopes, [2.0, 4.0])
    with pytest.raises(DomainError, match="wanted numbers up to 1"):
        ob.within([0.0, 3.0], high=1)
    with pytest.raises(ob.errors.DTypeError, match="no order"):
        ob.within(1j)
