"""The ways in which other systems have failed, each as a test: the ranked classes of
research on their issue trackers, and the list of bad inputs that must be refused clearly.

Classes that have files of their own: 2, 3, 7 NaN traps and exact zeros (compositions/test_traps),
5, 6, 18, 21, 22 the rules (rules/), 8, 12, 13, 14, 19 limits (test_limits), 15 nesting
(compositions/test_nesting), 16, 17 files (library/test_store).
"""

import numpy as np
import pytest

import overbar as ob
from overbar.primitive import PUBLIC
from tests.rules.cases import assert_same_bits

errors = ob.errors
linalg = PUBLIC["linalg"]


# -- 1, 9, 10: what a compiler gets wrong ----------------------------------------------------------


def test_a_constant_closed_over_is_part_of_the_key():
    """Class 10."""
    made = [ob.jit(lambda x, c=c: x * c) for c in (2.0, 3.0)]
    assert [float(f(1.0)) for f in made] == [2.0, 3.0]


def test_an_array_closed_over_may_be_replaced():
    a = {"w": np.ones(2)}
    f = ob.jit(lambda x: ob.sum(x * ob.asarray(a["w"])))
    assert float(f(np.ones(2))) == 2.0


def test_shape_dtype_stride_and_argument_order_are_told_apart():
    f = ob.jit(lambda x, y: x @ y)
    a, b = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2)
    for x, y in (
        (a, b),
        (b, a),
        (a.astype(np.float32), b),
        (b.T, a.T),
        (np.asfortranarray(a), b),
        (a[:, ::-1], b),
    ):
        np.testing.assert_allclose(f(x, y), x @ y)
        assert np.asarray(f(x, y)).dtype == (x @ y).dtype


def test_negative_zero_and_zero_are_different_constants():
    assert np.signbit(float(ob.jit(lambda x: x * -0.0)(1.0)))
    assert not np.signbit(float(ob.jit(lambda x: x * 0.0)(1.0)))
    assert np.signbit((ob.tensor(1.0) * -0.0).item())
    assert not np.signbit((ob.tensor(1.0) * 0.0).item())


def test_true_one_and_one_point_zero_are_different_constants():
    x = ob.tensor([1, 2])
    assert (x * 1).dtype == np.int64
    assert (x * 1.0).dtype == np.float64
    assert (x * True).dtype == np.int64


def test_tracing_takes_time_in_proportion():
    """Class 9: an unrolled loop of 5,000 steps is traced, swept and run, or the suite hangs."""

    def f(x):
        for _ in range(5000):
            x = ob.sin(x) * 1.01
        return x

    step = ob.jit(ob.grad(f))
    assert float(step(1.0)) == pytest.approx(float(ob.grad(f)(1.0)), rel=1e-12)


# -- 4: in place, aliasing -------------------------------------------------------------------------


class TestAliasing:
    def test_in_place_operators_rebind_and_stay_differentiable(self):
        def f(x):
            y = x * 2.0
            y += x
            y *= y
            return ob.sum(y)

        np.testing.assert_allclose(ob.grad(f)(np.array([1.0, 2.0])), 2 * 9 * np.array([1.0, 2.0]))

    def test_writing_into_an_operand_after_its_use_changes_nothing(self):
        def f(x):
            a = x * 1.0
            y = a * a
            a[0] = 100.0
            return ob.sum(y)

        np.testing.assert_allclose(ob.grad(f)(np.array([3.0, 4.0])), [6.0, 8.0])

    def test_writing_into_a_result_that_a_rule_keeps_changes_nothing(self):
        """exp keeps its output."""

        def f(x):
            y = ob.exp(x)
            z = ob.sum(y)
            y *= 0.0
            return z + ob.sum(y)

        np.testing.assert_allclose(ob.grad(f)(np.array([0.0, 1.0])), np.exp([0.0, 1.0]))

    def test_writing_through_an_index_array_with_duplicates_lets_the_last_one_win(self):
        def f(v):
            x = ob.zeros(3) * 1.0
            x[np.array([0, 0, 2])] = v
            return ob.sum(x * np.array([1.0, 10.0, 100.0]))

        np.testing.assert_allclose(ob.grad(f)(np.ones(3)), [0.0, 1.0, 100.0])

    def test_a_cotangent_handed_in_is_not_changed(self):
        x, y_bar = np.ones(3), np.arange(3.0)
        _, pull = ob.vjp(lambda v: v + v, x)
        first = pull(y_bar)[0]
        assert_same_bits(y_bar, np.arange(3.0))
        first[:] = 99.0
        assert_same_bits(pull(y_bar)[0], 2 * np.arange(3.0))

    def test_a_gradient_handed_out_may_be_changed(self):
        f = ob.grad(ob.sum)
        g = f(np.ones(3))
        g += 1.0
        assert_same_bits(f(np.ones(3)), np.ones(3))


# -- 11: nothing is clamped, nothing is silently an integer ----------------------------------------


@pytest.mark.parametrize(
    "index", [3, -4, np.array([0, 3]), np.array([-4]), (slice(None), 1), slice(None, None, 0)]
)
def test_an_index_outside_raises(index):
    with pytest.raises((IndexError, ValueError)):
        ob.tensor([1.0, 2.0, 3.0])[index]


# -- R13: bad inputs -------------------------------------------------------------------------------

ONE, TWO = np.ones(3), np.ones((2, 3))

BAD = {
    "matmul of unequal inner sizes": (lambda: ob.matmul(TWO, TWO), errors.ShapeError),
    "matmul of a number": (lambda: ob.matmul(2.0, TWO), errors.ShapeError),
    "shapes that do not broadcast": (lambda: ob.add(np.ones(2), ONE), errors.ShapeError),
    "where that does not broadcast": (
        lambda: ob.where(np.ones(2) > 0, ONE, ONE),
        errors.ShapeError,
    ),
    "where without a condition": (lambda: ob.where(ONE, ONE, ONE), errors.DTypeError),
    "reshape to another size": (lambda: ob.reshape(TWO, (4,)), errors.ShapeError),
    "reshape with two unknowns": (lambda: ob.reshape(TWO, (-1, -1)), errors.ShapeError),
    "broadcast_to what does not fit": (lambda: ob.broadcast_to(TWO, (3, 2)), errors.ShapeError),
    "concat of unequal shapes": (lambda: ob.concat([TWO, np.ones((2, 2))]), errors.ShapeError),
    "concat of nothing": (lambda: ob.concat([]), errors.ShapeError),
    "stack of unequal shapes": (lambda: ob.stack([ONE, np.ones(2)]), errors.ShapeError),
    "split into uneven parts": (lambda: ob.split(ONE, 2), errors.ShapeError),
    "an axis that does not exist": (lambda: ob.sum(TWO, axis=2), errors.IndexingError),
    "an axis named twice": (lambda: ob.sum(TWO, axis=(0, -2)), errors.ShapeError),
    "a float for an axis": (lambda: ob.sum(TWO, axis=0.0), errors.DTypeError),
    "transposed with a wrong order": (lambda: ob.permute_dims(TWO, (0, 0)), errors.ShapeError),
    ".mT of a vector": (lambda: ob.tensor(ONE).mT, errors.ShapeError),
    "the maximum of nothing": (lambda: ob.max(np.ones(0)), errors.ShapeError),
    "the mean of nothing": (lambda: ob.mean(np.ones(0)), errors.ShapeError),
    "take from outside": (lambda: ob.take(ONE, np.array([3]), axis=0), errors.IndexingError),
    "take_along_axis from outside": (
        lambda: ob.take_along_axis(ONE, np.array([7]), axis=0),
        errors.IndexingError,
    ),
    "an index that is a float": (lambda: ob.tensor(ONE)[1.0], errors.DTypeError),
    "an index too many": (lambda: ob.tensor(ONE)[0, 0], errors.IndexingError),
    "a mask of another shape": (lambda: ob.tensor(ONE)[np.ones(2) > 0], errors.IndexingError),
    "a value that does not fit": (
        lambda: ob.tensor(ONE).__setitem__(slice(0, 2), ONE),
        errors.ShapeError,
    ),
    "a cotangent of the wrong shape": (
        lambda: ob.vjp(ob.sin, ONE)[1](np.ones(2)),
        errors.ShapeError,
    ),
    "a complex cotangent of a real result": (
        lambda: ob.vjp(ob.sin, ONE)[1](1j * ONE),
        errors.DTypeError,
    ),
    "a cotangent of another structure": (
        lambda: ob.vjp(ob.sin, ONE)[1]((ONE, ONE)),
        errors.StructureError,
    ),
    "a tangent of the wrong shape": (lambda: ob.jvp(ob.sin, (ONE,), (TWO,)), errors.ShapeError),
    "too few tangents": (lambda: ob.jvp(ob.add, (ONE, ONE), (ONE,)), errors.ShapeError),
    "a seed of the wrong shape": (
        lambda: (ob.tensor(ONE, requires_grad=True) * 2.0).backward(TWO),
        errors.ShapeError,
    ),
    "grad of a vector": (lambda: ob.grad(ob.sin)(ONE), errors.GradientError),
    "grad of a tuple": (lambda: ob.grad(lambda x: (x, x))(1.0), errors.GradientError),
    "grad of nothing": (lambda: ob.grad(lambda x: None)(1.0), errors.GradientError),
    "hvp of a vector": (lambda: ob.hvp(ob.sin, (ONE,), (ONE,)), errors.GradientError),
    "grad by an integer": (lambda: ob.grad(lambda x: x * 1.0)(3), errors.DTypeError),
    "grad by a boolean": (lambda: ob.grad(lambda x: x * 1.0)(np.array(True)), errors.DTypeError),
    "grad by a string": (lambda: ob.grad(lambda x: 1.0)("x"), errors.DTypeError),
    "grad by an argument that did not come": (
        lambda: ob.grad(lambda x: x, argnums=1)(1.0),
        errors.GradientError,
    ),
    "backward of what asks for nothing": (lambda: ob.tensor(1.0).backward(), errors.GradientError),
    "backward of a vector": (
        (ob.tensor(ONE, requires_grad=True) * 1.0).backward,
        errors.GradientError,
    ),
    "the float of a vector": (lambda: float(ob.tensor(ONE)), errors.DTypeError),
    "the truth of a vector": (lambda: bool(ob.tensor(ONE) > 0), errors.DTypeError),
    "the length of a number": (lambda: len(ob.tensor(1.0)), errors.DTypeError),
    "a tensor of strings": (lambda: ob.tensor(["a"]), errors.DTypeError),
    "a ragged tensor": (lambda: ob.tensor([[1.0], [1.0, 2.0]]), errors.DTypeError),
    "a gradient for integers": (lambda: ob.tensor([1, 2], requires_grad=True), errors.DTypeError),
    "a gradient of another shape": (
        lambda: setattr(ob.tensor(ONE), "grad", TWO),
        errors.GradientError,
    ),
    "a branch on a traced value": (
        lambda: ob.jit(lambda x: x if x > 0 else -x)(1.0),
        errors.UnknownValueError,
    ),
    "the float of a traced value": (lambda: ob.jit(float)(1.0), errors.UnknownValueError),
    "a mask of traced values as an index": (
        lambda: ob.jit(lambda x: x[x > 0])(ONE),
        errors.UnknownValueError,
    ),
    "vmap over unequal lanes": (lambda: ob.vmap(ob.add)(ONE, np.ones(2)), errors.ShapeError),
    "vmap over a number": (lambda: ob.vmap(ob.sin)(1.0), errors.ShapeError),
    "vmap over no argument": (lambda: ob.vmap(ob.sin, in_axes=None)(ONE), errors.ShapeError),
    "vmap over an axis that does not exist": (
        lambda: ob.vmap(ob.sin, in_axes=1)(ONE),
        errors.IndexingError,
    ),
    "a scan that changes its carry": (
        lambda: ob.scan(lambda c, x: (TWO * c[0], x), ONE, ONE),
        errors.OverbarError,
    ),
    "a scan of unequal lengths": (
        lambda: ob.scan(lambda c, x: (c, None), 0.0, (ONE, np.ones(2))),
        errors.ShapeError,
    ),
    "branches that differ": (
        lambda: ob.cond(ob.tensor(True), lambda x: x, lambda x: (x, x), ONE),
        errors.OverbarError,
    ),
    "a singular solve": (
        lambda: linalg["solve"](np.zeros((2, 2)), np.ones(2)),
        errors.SingularError,
    ),
    "a singular inverse": (lambda: linalg["inv"](np.zeros((2, 2))), errors.SingularError),
    "an indefinite Cholesky": (lambda: linalg["cholesky"](-np.eye(2)), errors.OverbarError),
    "a matrix that is not square": (lambda: linalg["inv"](TWO), errors.ShapeError),
    "an einsum of too few operands": (lambda: ob.einsum("ij,jk->ik", TWO), errors.OverbarError),
    "an einsum of unequal sizes": (lambda: ob.einsum("ij,ij->", TWO, TWO.T), errors.OverbarError),
    "an einsum with an unknown result": (lambda: ob.einsum("ij->k", TWO), errors.OverbarError),
    "a convolution of unequal channels": (
        lambda: ob.conv(np.ones((1, 2, 5)), np.ones((1, 3, 2))),
        errors.ShapeError,
    ),
    "a kernel larger than the input": (
        lambda: ob.conv(np.ones((1, 1, 2)), np.ones((1, 1, 5))),
        errors.ShapeError,
    ),
    "an unknown choice": (lambda: ob.config(kinks="best"), errors.DomainError),
    "a part of a thread": (lambda: ob.config(threads=1.5), errors.DomainError),
    "parameters that are no floats": (lambda: ob.config(dtype="int32"), errors.DTypeError),
    "a guard that is neither on nor off": (lambda: ob.config(nan_guard=3), errors.DomainError),
    "adjoint of what was not involved": (
        lambda: ob.adjoint(ob.tensor(1.0, requires_grad=True) * 2.0, ob.tensor(1.0)),
        errors.GradientError,
    ),
}


@pytest.mark.parametrize(("bad", "kind"), BAD.values(), ids=BAD)
def test_a_bad_input_is_refused_with_the_users_line(bad, kind):
    with pytest.raises(kind) as caught:
        bad()
    assert "test_failures.py" in str(caught.value)
    assert isinstance(caught.value, errors.OverbarError)
    assert float(ob.grad(lambda x: x * x)(3.0)) == 6.0  # and the library goes on as before


@pytest.mark.parametrize(("bad", "kind"), BAD.values(), ids=BAD)
def test_an_overbar_error_is_also_pythons(bad, kind):
    with pytest.raises((ValueError, TypeError, IndexError, RuntimeError, np.linalg.LinAlgError)):
        bad()


def test_the_guard_names_the_first_operation_that_makes_a_nan():
    with (
        ob.config(nan_guard=True),
        np.errstate(all="ignore"),
        pytest.raises(errors.NonFiniteError, match="log"),
    ):
        ob.sqrt(ob.log(ob.tensor([1.0, -1.0])) + 1.0)


def test_a_failed_allocation_leaves_the_library_usable():
    """Class 20."""
    with pytest.raises((MemoryError, errors.OverbarError)):
        ob.zeros((2**40, 2**10))
    with pytest.raises((MemoryError, errors.OverbarError)):
        ob.broadcast_to(ob.tensor(1.0), (2**40, 2**8)) + 1.0
    assert float(ob.grad(lambda x: x * x)(3.0)) == 6.0
