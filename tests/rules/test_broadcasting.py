"""Elementwise primitives on unequal shapes and dtypes: NumPy's results, and gradients that fit."""

import itertools

import numpy as np
import pytest

import overbar as ob
from tests.rules.cases import (
    ELEMENTWISE,
    assert_close,
    assert_same_bits,
    cases,
    derivative,
    directions,
    drawn,
    name_of,
    rng_for,
    saying,
    smooth_cases,
    tensors,
    value,
)

SEVERAL = [op for op in ELEMENTWISE if op.arity > 1]
SHAPES = [(), (1,), (3,), (1, 3), (2, 1), (2, 3), (1, 1, 1), (4, 1, 3), (0, 3), (0,), (2, 0, 1)]
several = pytest.mark.parametrize("op", SEVERAL, ids=name_of)


def compatible(*shapes):
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


PAIRS = [(a, b) for a, b in itertools.product(SHAPES, repeat=2) if compatible(a, b)]


def points(op, shapes, rng, like):
    """Arguments of these shapes, of the kinds of a sample."""
    if op.samples is None:
        return [drawn(op, rng, shape)[i] for i, shape in enumerate(shapes)]
    return [_resized(x, shape, rng) for x, shape in zip(like.xs, shapes, strict=True)]


def _resized(x, shape, rng):
    """Entries of a sample, shuffled and nudged, so that there are no ties but its own."""
    picked = np.asarray(rng.choice(x.reshape(-1), shape))
    if x.dtype.kind == "f":
        picked = np.asarray(picked * (1 + 1e-2 * rng.standard_normal(shape)))
    return picked


def shapes_of(op):
    """Every pair of compatible shapes; further arguments take turns."""
    for a, b in PAIRS:
        rest = [(), (3,), (1, 1)]
        shapes = [a, b, *(s for s in itertools.islice(itertools.cycle(rest), op.arity - 2))]
        if compatible(*shapes):
            yield shapes


def summed_to(bar, shape):
    """What NumPy's broadcasting repeated, added up."""
    extra = bar.ndim - len(shape)
    bar = bar.sum(axis=tuple(range(extra)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and bar.shape[i] != 1)
    return bar.sum(axis=stretched, keepdims=True)


@several
def test_it_broadcasts_as_numpy_does_and_its_adjoints_fit_their_variables(op):
    rng = rng_for(op, 500)
    like = cases(op)[0]
    for shapes in shapes_of(op):
        xs = points(op, shapes, rng, like)
        case = like.of(xs)
        with saying(case):
            common = np.broadcast_shapes(*shapes)
            full = like.of(np.broadcast_to(x, common).copy() for x in xs)
            found, wanted = op(*tensors(xs), **like.params), op(*full.xs, **like.params)
            assert_same_bits(found, wanted)
            if op.flat or not case.floats or found.dtype.kind not in "fc":
                continue
            (y_bar,) = directions([value(found)], rng)
            _, pull = ob.vjp(case, *case.points)
            _, full_pull = ob.vjp(full, *full.points)
            for x, x_bar, wide in zip(
                case.points, pull((y_bar,)), full_pull((y_bar,)), strict=True
            ):
                assert (x_bar.shape, x_bar.dtype) == (x.shape, x.dtype)
                assert_close(x_bar, summed_to(wide, x.shape), 1e-13, 1.0)


@several
def test_a_tangent_broadcasts_with_its_variable(op):
    rng = rng_for(op, 501)
    like = cases(op)[0]
    if op.flat or not like.floats:
        return
    for shapes in ([(3,), (2, 1)], [(), (2, 3)], [(2, 3), ()], [(1, 3), (4, 1, 1)]):
        xs = points(op, [*shapes, *[()] * (op.arity - 2)], rng, like)
        case = like.of(xs)
        x_dots = directions(case.points, rng)
        with saying(case):
            _, (y_dot,) = ob.jvp(case, tuple(case.points), tuple(x_dots))
            (wanted,) = derivative(case, case.points, x_dots)
            assert_close(y_dot, wanted, 1e-8)


@several
def test_of_two_dtypes_each_adjoint_has_its_variables(op):
    for like in cases(op):
        if len(like.floats) < 2:
            continue
        for kinds in itertools.product("fd", repeat=len(like.floats)):
            xs = list(like.xs)
            for i, kind in zip(like.floats, kinds, strict=True):
                xs[i] = xs[i].astype(kind)
            case = like.of(xs)
            with saying(case):
                found = op(*tensors(xs), **like.params)
                wanted = np.asarray(op(*xs, **like.params))
                assert found.dtype == wanted.dtype
                assert_close(found, wanted, 1e-6)
                if op.flat or found.dtype.kind not in "fc":
                    continue
                _, pull = ob.vjp(case, *case.points)
                for x, x_bar in zip(case.points, pull((np.ones_like(wanted),)), strict=True):
                    assert (x_bar.dtype, x_bar.shape) == (x.dtype, x.shape)


@several
def test_an_integer_beside_a_float_is_a_constant(op):
    rng = rng_for(op, 503)
    for like in cases(op):
        if op.flat or len(like.floats) < 2 or not like.points[0].size:
            continue
        for held in like.floats:
            xs = list(like.xs)
            xs[held] = np.ones(xs[held].shape, np.int64)
            case = like.of(xs)
            floats = like.of([x.astype(float) if i == held else x for i, x in enumerate(xs)])
            with saying(case):
                (y,), pull = ob.vjp(case, *case.points)
                (y_bar,) = directions([value(y)], rng)
                wanted = ob.vjp(floats, *floats.points)[1]((y_bar,))
                wanted = [b for i, b in zip(like.floats, wanted, strict=True) if i != held]
                for x_bar, w in zip(pull((y_bar,)), wanted, strict=True):
                    assert_close(x_bar, w, 1e-14)


@pytest.mark.parametrize("f", [ob.power, ob.copysign, ob.hypot, ob.atan2, ob.logaddexp])
def test_a_boolean_beside_float32_leaves_the_adjoint_float32(f):
    held = np.array([True, False, True])
    x_bar = ob.grad(lambda x: ob.sum(f(x, held)))(np.array([0.5, 2.0, 3.0], np.float32))
    wanted = ob.grad(lambda x: ob.sum(f(x, held.astype(float))))(np.array([0.5, 2.0, 3.0]))
    assert x_bar.dtype == np.float32
    assert_close(x_bar, wanted, 1e-6)


def test_a_small_integer_does_not_overflow_in_a_rule():
    """n − 1 of the least int8 is no int8."""
    n = np.array([-128, -127], np.int8)
    x_bar = ob.grad(lambda x: ob.sum(x**n))(np.array([1.5, 2.0], np.float32))
    assert_close(x_bar, n.astype(float) * np.array([1.5, 2.0]) ** (n.astype(float) - 1), 1e-6)


@several
@pytest.mark.parametrize("number", [1, 1.5], ids=["int", "float"])
def test_a_python_number_takes_the_dtype_of_what_it_meets(op, number):
    for case in cases(op, kind="f"):
        if len(case.floats) < 2:
            continue
        for held in case.floats:
            xs = tensors(case.xs)
            xs[held] = ob.handle.as_tensor(number)
            with saying(f"{case}, {held} is {number}"):
                y = op(*xs, **case.params)
                assert y.dtype.kind not in "fc" or y.dtype == np.float32
                leaves = [ob.tensor(x, requires_grad=x.dtype.kind == "f") for x in case.xs]
                leaves[held] = number
                if not op.flat and y.dtype.kind == "f" and y.size:
                    op(*leaves, **case.params).backward(np.ones(y.shape, np.float32))
                    for i in case.floats:
                        if i != held:
                            assert leaves[i].grad is None or leaves[i].grad.dtype == np.float32


@pytest.mark.parametrize("op", [op for op in ELEMENTWISE if not op.flat], ids=name_of)
def test_the_public_function_and_apply_agree_to_the_bit(op):
    """The fast path is `apply` written out."""
    function = ob.primitive.PUBLIC[""].get(op.name)
    if getattr(function, "primitive", None) is not op:
        return  # the public function does more than apply
    for case in smooth_cases(op):
        with saying(case):
            assert_same_bits(function(*case.xs), op(*case.xs, **case.params))
            slow, fast = ([ob.tensor(x, requires_grad=True) for x in case.xs] for _ in range(2))
            y, z = op(*slow, **case.params), function(*fast)
            assert_same_bits(y, z)
            y_bar = np.ones(y.shape)
            y.backward(y_bar)
            z.backward(y_bar)
            for a, b in zip(slow, fast, strict=True):
                assert_same_bits(a.grad, b.grad)
