"""Arrays made from nothing, and the kinds of numbers they are made of: NumPy is the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import overbar as ob
from overbar.errors import DomainError, DTypeError, ShapeError
from overbar.ops import dtypes

MADE = {
    "zeros": (lambda xp, **k: xp.zeros((2, 3), **k)),
    "zeros, one number": (lambda xp, **k: xp.zeros(3, **k)),
    "zeros, no axis": (lambda xp, **k: xp.zeros((), **k)),
    "ones": (lambda xp, **k: xp.ones((0, 2), **k)),
    "full": (lambda xp, **k: xp.full((2,), 1.5, **k)),
    "full, whole": (lambda xp, **k: xp.full((2,), 3, **k)),
    "eye": (lambda xp, **k: xp.eye(3, **k)),
    "eye, wide": (lambda xp, **k: xp.eye(2, 4, k=1, **k)),
    "eye, lower": (lambda xp, **k: xp.eye(3, 2, k=-1, **k)),
    "arange": (lambda xp, **k: xp.arange(4, **k)),
    "arange, between": (lambda xp, **k: xp.arange(2, 9, 3, **k)),
    "arange, down": (lambda xp, **k: xp.arange(5, 1, -2, **k)),
    "arange, nothing": (lambda xp, **k: xp.arange(5, 1, **k)),
    "arange, floats": (lambda xp, **k: xp.arange(0.0, 1.0, 0.25, **k)),
    "linspace": (lambda xp, **k: xp.linspace(0.0, 1.0, 7, **k)),
    "linspace, open": (lambda xp, **k: xp.linspace(-1, 1, 4, endpoint=False, **k)),
    "linspace, one": (lambda xp, **k: xp.linspace(2.0, 3.0, 1, **k)),
    "linspace, none": (lambda xp, **k: xp.linspace(2.0, 3.0, 0, **k)),
}
made = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@made
@pytest.mark.parametrize("dtype", [None, "float32", "int64", "complex64"])
def test_what_is_made_is_what_numpy_makes(make, dtype):
    given = {} if dtype is None else {"dtype": np.dtype(dtype)}
    ours, theirs = make(ob, **given), make(np, **given)
    assert isinstance(ours, ob.Tensor)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_array_equal(ours.numpy(), theirs)


@made
def test_what_is_made_inside_a_trace_is_a_constant(make):
    theirs = make(np)
    rows = np.ones((2, *theirs.shape))
    np.testing.assert_array_equal(ob.vmap(lambda x: x + make(ob))(rows), rows + theirs)
    np.testing.assert_array_equal(
        ob.checkpoint(lambda x: x + make(ob))(ob.tensor(rows[0])).numpy(), rows[0] + theirs
    )


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "empty_like"])
def test_likeness_is_of_shape_and_dtype_only(name):
    x = ob.tensor(np.full((2, 3), 7, np.float32), requires_grad=True)
    y = getattr(ob, name)(x)
    assert (y.shape, y.dtype, y.requires_grad) == ((2, 3), np.float32, False)
    assert getattr(ob, name)(x, dtype=ob.int8).dtype == np.int8
    assert getattr(ob, name)([1, 2]).dtype == np.int64
    mapped = ob.vmap(lambda x: x + getattr(ob, name)(x))(np.ones((2, 3)))
    np.testing.assert_array_equal(mapped, np.ones((2, 3)) + (name == "ones_like"))


def test_full_takes_tensors_and_lets_something_flow_back():
    assert ob.full_like(ob.ones(2, dtype=ob.float32), 7).dtype == np.float32
    assert ob.full((2,), True).dtype == np.bool_
    assert ob.full((2,), 1j).dtype == np.complex128
    assert ob.grad(lambda v: (ob.full((2, 3), v) ** 2).sum())(2.0) == 24.0
    with pytest.raises(ShapeError, match="no number"):
        ob.full(2, [1.0, 2.0])


def test_linspace_of_tensors_flows_back_to_its_ends():
    a, b = ob.grad(lambda a, b: (ob.linspace(a, b, 5) ** 2).sum(), argnums=(0, 1))(1.0, 3.0)
    t = np.linspace(0, 1, 5)
    y = np.linspace(1.0, 3.0, 5)
    assert a == pytest.approx(np.sum(2 * y * (1 - t)))
    assert b == pytest.approx(np.sum(2 * y * t))
    whole = ob.linspace(ob.tensor([0.1, 0.2]), ob.tensor([0.7, 0.9]), 4)
    np.testing.assert_allclose(whole.numpy(), np.linspace([0.1, 0.2], [0.7, 0.9], 4), rtol=1e-15)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.sampled_from(["xy", "ij"]))
def test_meshgrid_is_numpys(sizes, indexing):
    xs = [np.arange(n) + 10.0 * i for i, n in enumerate(sizes)]
    for ours, theirs in zip(
        ob.meshgrid(*xs, indexing=indexing), np.meshgrid(*xs, indexing=indexing), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_the_default_dtype_can_be_chosen():
    with ob.config(dtype=ob.float32):
        for t in (
            ob.zeros(2),
            ob.ones(2),
            ob.eye(2),
            ob.full(2, 1.5),
            ob.linspace(0, 1, 3),
            ob.arange(0.0, 1.0, 0.5),
        ):
            assert t.dtype == ob.float32
        assert ob.arange(3).dtype == ob.int64
        assert ob.full(2, 1).dtype == ob.int64
        assert ob.__array_namespace_info__().default_dtypes()["real floating"] == ob.float32
    assert ob.zeros(2).dtype == ob.float64


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: ob.zeros(-1), ShapeError, "negative"),
        (lambda: ob.zeros(1.5), DTypeError, "no size"),
        (lambda: ob.zeros((2,), dtype="text"), DTypeError, "no dtype"),
        (lambda: ob.zeros(2, dtype="U3"), DTypeError, "no dtype"),
        (lambda: ob.zeros(2, device="cuda"), DTypeError, "no device"),
        (lambda: ob.arange(0, 1, 0), DomainError, "never arrives"),
        (lambda: ob.arange("a"), DTypeError, "no number"),
        (lambda: ob.linspace(0, 1, -2), ShapeError, "negative"),
    ],
)
def test_what_cannot_be_made_is_said(wrong, error, says):
    with pytest.raises(error, match=says):
        wrong()


# -- dtypes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", dtypes.NAMES)
def test_a_dtype_has_its_name(name):
    assert getattr(ob, name) is np.dtype(name)
    t = ob.zeros(1, dtype=getattr(ob, name))
    assert t.dtype == name
    assert t.dtype is getattr(ob, name)


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "complex64"])
def test_the_limits_of_floats(name):
    ours, theirs = ob.finfo(getattr(ob, name)), np.finfo(name)
    assert (ours.eps, ours.max, ours.min, ours.smallest_normal, ours.bits, ours.dtype) == (
        theirs.eps,
        theirs.max,
        theirs.min,
        theirs.smallest_normal,
        theirs.bits,
        theirs.dtype,
    )
    assert type(ours.eps) is float
    assert ob.finfo(ob.zeros(1, dtype=name)) == ours


@pytest.mark.parametrize("name", ["int8", "int64", "uint16"])
def test_the_limits_of_integers(name):
    ours, theirs = ob.iinfo(getattr(ob, name)), np.iinfo(name)
    assert (ours.max, ours.min, ours.bits, ours.dtype) == (
        theirs.max,
        theirs.min,
        theirs.bits,
        np.dtype(name),
    )


def test_limits_of_the_wrong_kind_name_the_right_function():
    with pytest.raises(DTypeError, match=r"ob\.iinfo"):
        ob.finfo(ob.int8)
    with pytest.raises(DTypeError, match=r"ob\.finfo"):
        ob.iinfo(ob.float32)


@pytest.mark.parametrize("a", dtypes.NAMES)
@pytest.mark.parametrize("b", dtypes.NAMES)
def test_dtypes_mix_as_numpys_do(a, b):
    a, b = np.dtype(a), np.dtype(b)
    assert ob.result_type(a, b) == np.result_type(a, b)
    assert ob.result_type(ob.zeros(1, dtype=a), b) == np.result_type(a, b)
    assert ob.can_cast(a, b) == np.can_cast(a, b)
    assert ob.can_cast(ob.zeros(1, dtype=a), b) == np.can_cast(a, b)
    assert (ob.zeros(2, dtype=a) + ob.zeros(2, dtype=b)).dtype == ob.result_type(a, b)


@pytest.mark.parametrize("a", dtypes.NAMES)
@pytest.mark.parametrize("number", [True, 1, 1.0, 1j])
def test_python_numbers_are_weak(a, number):
    assert ob.result_type(np.dtype(a), number) == np.result_type(np.dtype(a), number)
    assert ob.result_type(ob.zeros((), dtype=a), number) == np.result_type(np.dtype(a), number)


KINDS = [
    "bool",
    "signed integer",
    "unsigned integer",
    "integral",
    "real floating",
    "complex floating",
    "numeric",
]


@pytest.mark.parametrize("name", [n for n in dtypes.NAMES if n != "float16"])
@pytest.mark.parametrize("kind", [*KINDS, "float32", ("bool", "integral")], ids=str)
def test_kinds_are_the_standards(name, kind):
    theirs = tuple(
        np.dtype(k) if k == "float32" else k for k in (kind if isinstance(kind, tuple) else (kind,))
    )
    assert ob.isdtype(getattr(ob, name), kind) == np.isdtype(np.dtype(name), theirs)


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(DTypeError, match="real floating"):
        ob.isdtype(ob.float32, "floating")


def test_the_namespace_tells_what_it_can_do():
    info = ob.__array_namespace_info__()
    assert set(info.dtypes(kind="integral")) == {
        f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
    }
    assert "float16" not in info.dtypes()
    assert info.default_dtypes()["integral"] == ob.int64
    assert info.devices() == [info.default_device()] == ["cpu"]
    assert info.capabilities()["boolean indexing"] is True
    assert ob.__array_api_version__ == "2024.12"


def test_constants():
    assert (ob.pi, ob.e, ob.inf, ob.newaxis) == (np.pi, np.e, np.inf, None)
    assert np.isnan(ob.nan)
    assert ob.zeros(2)[ob.newaxis].shape == (1, 2)


def test_an_array_in_the_other_order_of_bytes_is_read():
    x = np.arange(6.0).reshape(2, 3)
    swapped = x.astype(x.dtype.newbyteorder())
    assert ob.asarray(swapped).dtype == np.float64
    np.testing.assert_array_equal(ob.sum(swapped, axis=0), x.sum(axis=0))
    np.testing.assert_array_equal(ob.grad(lambda x: ob.sum(x**2))(swapped), 2 * x)
