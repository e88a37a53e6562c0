"""Moving entries about: each function against NumPy's, and its gradient from where entries went.

A function that only moves entries tells by itself, applied to 0, 1, 2, ..., where each entry of the
result came from; what arrives there must be added up there. So one test serves them all.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import overbar as ob
from overbar.errors import DomainError, DTypeError, IndexingError, OverbarError, ShapeError

MOVES = {
    "reshape": ((2, 6), lambda x: ob.reshape(x, (3, -1)), lambda a: a.reshape(3, -1)),
    "reshape to nothing": (
        (0, 3),
        lambda x: ob.reshape(x, (3, 0, 2)),
        lambda a: a.reshape(3, 0, 2),
    ),
    "expand_dims": ((2, 3), lambda x: ob.expand_dims(x, axis=-1), lambda a: np.expand_dims(a, -1)),
    "expand_dims, several": (
        (2, 3),
        lambda x: ob.expand_dims(x, axis=(0, -1)),
        lambda a: np.expand_dims(a, (0, -1)),
    ),
    "squeeze": ((1, 2, 1), ob.squeeze, np.squeeze),
    "squeeze one": ((1, 2, 1), lambda x: ob.squeeze(x, axis=-1), lambda a: np.squeeze(a, -1)),
    "moveaxis": ((2, 3, 4), lambda x: ob.moveaxis(x, 0, -1), lambda a: np.moveaxis(a, 0, -1)),
    "moveaxis, several": (
        (2, 3, 4),
        lambda x: ob.moveaxis(x, (0, 2), (2, 1)),
        lambda a: np.moveaxis(a, (0, 2), (2, 1)),
    ),
    "swapaxes": ((2, 3, 4), lambda x: ob.swapaxes(x, 0, -1), lambda a: np.swapaxes(a, 0, -1)),
    "permute_dims": (
        (2, 3, 4),
        lambda x: ob.permute_dims(x, (2, 0, -2)),
        lambda a: np.transpose(a, (2, 0, 1)),
    ),
    "T": ((2, 3, 4), lambda x: x.T, lambda a: a.T),
    "mT": ((2, 3, 4), lambda x: x.mT, lambda a: a.mT),
    "flatten": ((2, 3, 4), lambda x: ob.flatten(x, 1), lambda a: a.reshape(2, 12)),
    "flatten a number": ((), ob.flatten, np.ravel),
    "flatten the first": ((2, 3, 4), lambda x: x.flatten(0, 1), lambda a: a.reshape(6, 4)),
    "ravel": ((2, 3), ob.ravel, np.ravel),
    "flip": ((2, 3), ob.flip, np.flip),
    "flip one": ((2, 3), lambda x: ob.flip(x, axis=-1), lambda a: np.flip(a, -1)),
    "flip several": ((2, 3, 2), lambda x: ob.flip(x, axis=(0, 2)), lambda a: np.flip(a, (0, 2))),
    "flip nothing": ((0, 3), ob.flip, np.flip),
    "flip a number": ((), ob.flip, np.flip),
    "roll": ((2, 3), lambda x: ob.roll(x, 2), lambda a: np.roll(a, 2)),
    "roll back": ((2, 3), lambda x: ob.roll(x, -4, axis=1), lambda a: np.roll(a, -4, 1)),
    "roll several": (
        (2, 3),
        lambda x: ob.roll(x, (1, 2), axis=(0, 1)),
        lambda a: np.roll(a, (1, 2), (0, 1)),
    ),
    "roll one by several": (
        (5,),
        lambda x: ob.roll(x, (1, 1), axis=0),
        lambda a: np.roll(a, (1, 1), 0),
    ),
    "roll nothing": ((0,), lambda x: ob.roll(x, 1), lambda a: np.roll(a, 1)),
    "roll all round": ((3,), lambda x: ob.roll(x, 3), lambda a: np.roll(a, 3)),
    "repeat": ((2, 3), lambda x: ob.repeat(x, 2), lambda a: np.repeat(a, 2)),
    "repeat along": ((2, 3), lambda x: ob.repeat(x, 3, axis=-1), lambda a: np.repeat(a, 3, -1)),
    "repeat unevenly": (
        (2, 3),
        lambda x: ob.repeat(x, [2, 0, 1], axis=1),
        lambda a: np.repeat(a, [2, 0, 1], 1),
    ),
    "repeat never": ((2, 3), lambda x: ob.repeat(x, 0, axis=0), lambda a: np.repeat(a, 0, 0)),
    "tile": ((2, 3), lambda x: ob.tile(x, (2, 1)), lambda a: np.tile(a, (2, 1))),
    "tile with new axes": ((2,), lambda x: ob.tile(x, (2, 3)), lambda a: np.tile(a, (2, 3))),
    "tile the last": ((2, 3), lambda x: ob.tile(x, 2), lambda a: np.tile(a, 2)),
    "tile never": ((2, 3), lambda x: ob.tile(x, (0, 1)), lambda a: np.tile(a, (0, 1))),
    "broadcast_to": (
        (3, 1),
        lambda x: ob.broadcast_to(x, (2, 3, 4)),
        lambda a: np.broadcast_to(a, (2, 3, 4)),
    ),
    "broadcast_arrays": (
        (3, 1),
        lambda x: ob.broadcast_arrays(x, np.ones(2))[0],
        lambda a: np.broadcast_to(a, (3, 2)),
    ),
    "split": ((6, 2), lambda x: ob.split(x, 3)[1], lambda a: np.split(a, 3)[1]),
    "split at points": (
        (2, 6),
        lambda x: ob.split(x, [2, 3], axis=1)[1],
        lambda a: np.split(a, [2, 3], 1)[1],
    ),
    "split beyond": ((5,), lambda x: ob.split(x, [2, 9])[2], lambda a: np.split(a, [2, 9])[2]),
    "array_split": ((7,), lambda x: ob.array_split(x, 3)[2], lambda a: np.array_split(a, 3)[2]),
    "unstack": ((2, 3), lambda x: ob.unstack(x, axis=1)[2], lambda a: np.unstack(a, axis=1)[2]),
    "concat": (
        (2, 3),
        lambda x: ob.concat([x, x[:1]], axis=0),
        lambda a: np.concatenate([a, a[:1]]),
    ),
    "concat flat": (
        (2, 3),
        lambda x: ob.concat([x, x], axis=None),
        lambda a: np.concatenate([a, a], None),
    ),
    "stack": ((2, 3), lambda x: ob.stack([x, x], axis=-1), lambda a: np.stack([a, a], -1)),
    "meshgrid": (
        (3,),
        lambda x: ob.meshgrid(x, np.ones(2))[0],
        lambda a: np.meshgrid(a, np.ones(2))[0],
    ),
    "meshgrid ij": (
        (3,),
        lambda x: ob.meshgrid(x, np.ones(2), indexing="ij")[0],
        lambda a: np.meshgrid(a, np.ones(2), indexing="ij")[0],
    ),
    "atleast_2d": ((3,), ob.atleast_2d, np.atleast_2d),
    "copy": ((2, 3), lambda x: x.copy(), np.copy),
}
moves = pytest.mark.parametrize(("shape", "ours", "theirs"), MOVES.values(), ids=MOVES)


def counting(shape):
    return np.arange(math.prod(shape)).reshape(shape)


@moves
def test_entries_go_where_numpy_takes_them(shape, ours, theirs):
    a = counting(shape) + 0.5
    y = ours(ob.tensor(a))
    assert y.shape == theirs(a).shape
    np.testing.assert_array_equal(y.numpy(), theirs(a))
    assert ours(ob.tensor(a.astype(np.float32))).dtype == np.float32


@moves
def test_what_arrives_is_added_up_where_the_entry_came_from(shape, ours, theirs):
    a, source = counting(shape) + 0.5, theirs(counting(shape))
    c = 1.0 + np.arange(source.size).reshape(source.shape) % 7
    expected = np.zeros(shape)
    np.add.at(expected.reshape(-1), source, c)
    np.testing.assert_array_equal(ob.grad(lambda x: (c * ours(x)).sum())(a), expected)
    tangent = ob.jvp(ours, (ob.tensor(a),), (ob.tensor(2 * a),))[1]
    np.testing.assert_array_equal(tangent, theirs(2 * a))


@moves
def test_lanes_are_moved_alike(shape, ours, theirs):
    rows = np.stack([counting(shape) + 0.5, -counting(shape), counting(shape) * 10.0])
    np.testing.assert_array_equal(ob.vmap(ours)(rows), np.stack([theirs(r) for r in rows]))


@moves
def test_second_derivatives_pass(shape, ours, theirs):
    a = counting(shape) + 0.5
    u = np.ones(shape)
    got = ob.hvp(lambda x: (ours(x) ** 3).sum(), (a,), (u,))
    expected = np.zeros(shape)
    np.add.at(expected.reshape(-1), theirs(counting(shape)), 6 * theirs(a))
    np.testing.assert_allclose(got, expected, rtol=1e-13)


@given(st.data())
def test_splitting_and_joining_undo_each_other(data):
    shape = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    points = data.draw(st.lists(st.integers(-5, 6), max_size=3))
    a = counting(shape) + 0.5
    parts, theirs = ob.split(a, points, axis=axis), np.split(a, points, axis)
    assert [p.shape for p in parts] == [p.shape for p in theirs]
    for p, t in zip(parts, theirs, strict=True):
        np.testing.assert_array_equal(p, t)
    np.testing.assert_array_equal(ob.concat(ob.array_split(a, 3, axis=axis), axis=axis), a)
    if shape[axis]:
        np.testing.assert_array_equal(ob.stack(ob.unstack(a, axis=axis), axis=axis), a)


def test_arrays_are_joined_in_their_common_dtype():
    assert ob.concat([np.ones(1, np.float32), np.ones(1)]).dtype == np.float64
    assert ob.concat([ob.tensor([1, 2]), ob.tensor([0.5])]).tolist() == [1.0, 2.0, 0.5]
    assert ob.stack([1.0, ob.tensor(2.0, dtype=ob.float32)]).shape == (2,)
    x_bar = ob.grad(lambda x: ob.stack([x, 2 * x, 1.0]).sum())(3.0)
    assert x_bar == 3.0


WRONG = {
    "reshape": (lambda x: ob.reshape(x, (4,)), ShapeError, "6 entries do not fill"),
    "reshape, two unknown": (lambda x: ob.reshape(x, (-1, -1)), ShapeError, "do not fill"),
    "squeeze": (lambda x: ob.squeeze(x, axis=0), ShapeError, "axis 0 has size 2"),
    "squeeze, no axis": (lambda x: ob.squeeze(x, axis=2), IndexingError, "axis 2 does not exist"),
    "expand_dims": (lambda x: ob.expand_dims(x, axis=3), IndexingError, "axis 3"),
    "expand_dims twice": (lambda x: ob.expand_dims(x, axis=(0, 0)), ShapeError, "twice"),
    "moveaxis": (lambda x: ob.moveaxis(x, (0, 1), 0), ShapeError, "as many places"),
    "permute_dims": (lambda x: ob.permute_dims(x, (0, 0)), ShapeError, "no order"),
    "swapaxes": (lambda x: ob.swapaxes(x, 0, 2), IndexingError, "axis 2"),
    "flatten": (lambda x: ob.flatten(x, 1, 0), ShapeError, "comes after"),
    "flip": (lambda x: ob.flip(x, axis=2), IndexingError, "axis 2"),
    "roll": (lambda x: ob.roll(x, (1, 2, 3), axis=(0, 1)), ShapeError, "one shift for each"),
    "repeat": (lambda x: ob.repeat(x, [1, 2], axis=1), ShapeError, "2 numbers for 3"),
    "repeat, negative": (lambda x: ob.repeat(x, -1), ShapeError, "-1 times"),
    "repeat, float": (lambda x: ob.repeat(x, 1.5), DTypeError, "integers"),
    "tile": (lambda x: ob.tile(x, (-1, 2)), ShapeError, "-1 times"),
    "split": (lambda x: ob.split(x, 4, axis=1), ShapeError, "array_split"),
    "split at floats": (lambda x: ob.split(x, [0.5]), DTypeError, "integers"),
    "concat": (lambda x: ob.concat([x, x.T]), ShapeError, "more than the joined axis"),
    "concat of nothing": (lambda x: ob.concat([]), ShapeError, "no array"),
    "stack": (lambda x: ob.stack([x, x[0]]), ShapeError, "differ in shape"),
    "broadcast_to": (lambda x: ob.broadcast_to(x, (3, 3)), ShapeError, "broadcast"),
    "broadcast_to fewer": (
        lambda x: ob.broadcast_to(x, (3,)),
        ShapeError,
        "does not fit|broadcast",
    ),
    "broadcast_arrays": (lambda x: ob.broadcast_arrays(x, np.ones(2)), ShapeError, "broadcast"),
    "unstack": (lambda x: ob.unstack(x[0, 0]), IndexingError, "no axis"),
    "meshgrid": (lambda x: ob.meshgrid(x, x), ShapeError, "vector"),
    "meshgrid, indexing": (lambda x: ob.meshgrid(x[0], indexing="yx"), DomainError, "xy"),
    "mT": (lambda x: x[0].mT, ShapeError, "two axes"),
    "an axis that is no number": (lambda x: ob.flip(x, axis=1.0), DTypeError, "integer"),
}


@pytest.mark.parametrize(("wrong", "error", "says"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_moved_so_is_said(wrong, error, says):
    with pytest.raises(error, match=says):
        wrong(ob.tensor(counting((2, 3)) + 0.5))


# -- the Tensor's own -------------------------------------------------------------------------


def test_in_place_operators_rebind_the_handle():
    x = ob.tensor([1.0, 2.0], requires_grad=True)
    z = y = x * 2
    y += 1
    y *= ob.tensor([3.0, 4.0])
    assert y is z
    assert z.tolist() == [9.0, 20.0]
    z.sum().backward()
    assert x.grad.tolist() == [6.0, 8.0]


def test_in_place_operators_keep_shape_and_dtype():
    x = ob.tensor([1.0, 2.0], dtype=ob.float32)
    x -= np.float64(0.5)
    assert x.dtype == ob.float32
    with pytest.raises(ShapeError, match="another shape"):
        x += np.ones((2, 2))
    i = ob.tensor([1, 2])
    with pytest.raises(DTypeError, match="does not fit"):
        i += 0.5
    with pytest.raises(DTypeError, match="does not fit"):
        i /= 2
    i += 1
    assert i.tolist() == [2, 3]


def test_a_copy_has_a_life_of_its_own():
    x = ob.tensor([1.0, 2.0], requires_grad=True)
    y = x.copy()
    y[0] = 5.0
    assert x.tolist() == [1.0, 2.0]
    (y * y).sum().backward()
    assert x.grad.tolist() == [0.0, 4.0]


def test_methods_are_the_functions():
    a = counting((2, 3)) + 0.5
    x = ob.tensor(a)
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == (3, 2)
    assert x.reshape(-1).shape == (6,)
    assert x.flatten().shape == x.ravel().shape == (6,)
    for name in ("sum", "mean", "max", "min", "prod", "std", "var", "argmax"):
        np.testing.assert_allclose(getattr(x, name)().numpy(), getattr(a, name)(), rtol=1e-13)
        np.testing.assert_allclose(
            getattr(x, name)(axis=1, keepdims=True).numpy(), getattr(a, name)(axis=1, keepdims=True)
        )
    assert x.astype(ob.float32).dtype == ob.float32
    assert x[None].squeeze().shape == (2, 3)
    assert x.tolist() == a.tolist()


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
    "@": lambda a, b: a @ b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "neg": lambda a, b: -a,
    "pos": lambda a, b: +a,
    "abs": lambda a, b: abs(a - b),
}
BITS = {
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "~": lambda a, b: ~a,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
}


@pytest.mark.parametrize("f", OPERATORS.values(), ids=OPERATORS)
def test_operators_are_numpys_on_either_side(f):
    a, b = np.array([[1.0, 2.0], [3.0, 4.5]]), np.array([[2.0, 2.0], [0.5, 4.5]])
    for x, y in ((ob.tensor(a), ob.tensor(b)), (ob.tensor(a), b), (a, ob.tensor(b))):
        if isinstance(f(x, y), ob.Tensor):
            np.testing.assert_allclose(f(x, y).numpy(), f(a, b), rtol=1e-15)
    assert isinstance(f(ob.tensor(a), b), ob.Tensor)


@pytest.mark.parametrize("f", [f for name, f in OPERATORS.items() if name != "@"])
def test_operators_take_python_numbers_and_leave_the_dtype(f):
    a = np.array([1.0, 2.0], np.float32)
    y = f(ob.tensor(a), 2.0)
    assert y.dtype == f(a, 2.0).dtype
    np.testing.assert_array_equal(y.numpy(), f(a, 2.0))


@pytest.mark.parametrize("f", BITS.values(), ids=BITS)
def test_operators_on_bits(f):
    a, b = np.array([1, 6, 12]), np.array([3, 2, 1])
    np.testing.assert_array_equal(f(ob.tensor(a), b).numpy(), f(a, b))


def test_comparison_with_none_and_text_is_pythons():
    x = ob.tensor([1.0])
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True


def test_every_refusal_is_ours():
    with pytest.raises(OverbarError):
        ob.tensor([1.0, 2.0]) + np.ones(3)
    with pytest.raises((OverbarError, TypeError)):
        ob.tensor([1.0]) + "a"
