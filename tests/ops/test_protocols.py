"""Tensors in NumPy's hands: its functions give Tensors, with their history, or refuse aloud."""

import numpy as np
import pytest
import scipy.special

import overbar as ob
from overbar.errors import (
    CutError,
    DomainError,
    DTypeError,
    OverbarError,
    SpellingError,
    UnknownValueError,
)

A = np.array([[2.0, 0.5, 0.25], [0.5, 3.0, -0.5], [0.25, -0.5, 1.5]])
B = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.5], [4.0, 0.0, 1.0]])
V = np.array([3.0, 1.0, 2.0])

UFUNCS = [
    np.sin,
    np.cos,
    np.tan,
    np.exp,
    np.expm1,
    np.log,
    np.log1p,
    np.log2,
    np.log10,
    np.sqrt,
    np.square,
    np.abs,
    np.absolute,
    np.fabs,
    np.negative,
    np.positive,
    np.sign,
    np.reciprocal,
    np.tanh,
    np.sinh,
    np.cosh,
    np.arctan,
    np.arcsinh,
    np.floor,
    np.ceil,
    np.trunc,
    np.rint,
    np.isnan,
    np.isfinite,
    np.isinf,
    np.conjugate,
    np.signbit,
]
BINARY = [
    np.add,
    np.subtract,
    np.multiply,
    np.divide,
    np.true_divide,
    np.power,
    np.float_power,
    np.maximum,
    np.minimum,
    np.matmul,
    np.arctan2,
    np.hypot,
    np.floor_divide,
    np.remainder,
    np.mod,
    np.logaddexp,
    np.copysign,
    np.equal,
    np.not_equal,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
]


def same(ours, theirs):
    """The same numbers, as Tensors all the way down."""
    if isinstance(theirs, tuple | list):
        assert len(ours) == len(theirs)
        for o, t in zip(ours, theirs, strict=True):
            same(o, t)
        return
    assert isinstance(ours, ob.Tensor)
    assert ours.dtype == np.asarray(theirs).dtype
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
def test_a_ufunc_of_one_tensor_is_our_function(ufunc):
    x = np.abs(B) + 0.5
    same(ufunc(ob.tensor(x)), ufunc(x))


@pytest.mark.parametrize("ufunc", BINARY, ids=lambda f: f.__name__)
def test_a_ufunc_of_two_takes_a_tensor_on_either_side(ufunc):
    a, b = np.abs(A) + 0.5, np.abs(B) + 0.25
    for x, y in ((ob.tensor(a), ob.tensor(b)), (ob.tensor(a), b), (a, ob.tensor(b))):
        same(ufunc(x, y), ufunc(a, b))


def test_arrays_and_numpys_numbers_meet_tensors_on_both_sides():
    t = ob.tensor(A)
    for y, expected in (
        (B + t, B + A),
        (t + B, A + B),
        (B @ t, B @ A),
        (np.float64(2) * t, 2 * A),
        (t * np.float64(2), 2 * A),
        (np.int64(2) ** ob.tensor(V), 2**V),
        (V / t, V / A),
        (t > V, V < A),
        (t == V, V == A),
        (2 - t, 2 - A),
    ):
        same(y, expected)
    low = ob.tensor(V.astype(np.float32))
    assert (np.float64(2) * low).dtype == np.float64  # NumPy's numbers are strong
    assert (2.0 * low).dtype == np.float32


def test_bits():
    i = np.array([1, 6, 12])
    for ufunc in (np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.left_shift, np.right_shift):
        same(ufunc(ob.tensor(i), 2), ufunc(i, 2))
    same(np.invert(ob.tensor(i)), ~i)


@pytest.mark.parametrize(
    "name", ["erf", "erfc", "gammaln", "psi", "expit", "logit", "ndtr", "xlogy", "i0", "entr"]
)
def test_the_functions_of_scipy_special_too(name):
    f = getattr(scipy.special, name)
    x = np.array([0.25, 0.5, 0.75])
    args = (x, x + 1) if name == "xlogy" else (x,)
    same(f(*map(ob.tensor, args)), f(*args))


FUNCTIONS = {
    "sum": np.sum,
    "sum axis": lambda x: np.sum(x, axis=0),
    "sum keep": lambda x: np.sum(x, axis=1, keepdims=True),
    "sum several": lambda x: np.sum(x, axis=(0, 1)),
    "prod": lambda x: np.prod(x, axis=0),
    "mean": lambda x: np.mean(x, axis=1),
    "max": lambda x: np.max(x, axis=0),
    "amax": np.amax,
    "min": np.min,
    "std": lambda x: np.std(x, axis=0),
    "std ddof": lambda x: np.std(x, ddof=1),
    "var": lambda x: np.var(x, axis=0, ddof=1),
    "any": lambda x: np.any(x > 2, axis=0),
    "all": lambda x: np.all(x > -5),
    "argmax": lambda x: np.argmax(x, axis=1),
    "argmin": np.argmin,
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "cumsum flat": np.cumsum,
    "cumprod": lambda x: np.cumprod(x, axis=0),
    "sort": lambda x: np.sort(x, axis=0),
    "argsort": lambda x: np.argsort(x, axis=1),
    "median": lambda x: np.median(x, axis=0),
    "quantile": lambda x: np.quantile(x, 0.3, axis=1),
    "where": lambda x: np.where(x > 1, x, 0.0),
    "where with numbers": lambda x: np.where(np.array([1, 0, 2]), x, -x),
    "reshape": lambda x: np.reshape(x, (9,)),
    "ravel": np.ravel,
    "transpose": np.transpose,
    "transpose axes": lambda x: np.transpose(x, (1, 0)),
    "expand_dims": lambda x: np.expand_dims(x, 0),
    "squeeze": lambda x: np.squeeze(x[None]),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 3)),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, x[0]),
    "flip": lambda x: np.flip(x, 0),
    "roll": lambda x: np.roll(x, 1, axis=0),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "tile": lambda x: np.tile(x, (1, 2)),
    "split": lambda x: np.split(x, 3),
    "array_split": lambda x: np.array_split(x, 2),
    "concatenate": lambda x: np.concatenate([x, B], axis=1),
    "concatenate flat": lambda x: np.concatenate([x, x], axis=None),
    "stack": lambda x: np.stack([x, B], axis=-1),
    "vstack": lambda x: np.vstack([x, x[0]]),
    "hstack": lambda x: np.hstack([x, x]),
    "hstack vectors": lambda x: np.hstack([x[0], x[1]]),
    "column_stack": lambda x: np.column_stack([x[0], x]),
    "append": lambda x: np.append(x, 1.0),
    "delete": lambda x: np.delete(x, 1, axis=0),
    "take": lambda x: np.take(x, [2, 0], axis=1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.argsort(B, 1), 1),
    "clip": lambda x: np.clip(x, 0, 2),
    "clip by name": lambda x: np.clip(x, a_min=0, a_max=2),
    "round": np.round,
    "dot": lambda x: np.dot(x, B),
    "dot vector": lambda x: np.dot(x, V),
    "dot number": lambda x: np.dot(x, 2.0),
    "dot vectors": lambda x: np.dot(x[0], x[1]),
    "dot of many axes": lambda x: np.dot(x, np.ones((2, 3, 4))),
    "inner": lambda x: np.inner(x, B),
    "outer": lambda x: np.outer(x[0], V),
    "kron": lambda x: np.kron(x, V),
    "tensordot": lambda x: np.tensordot(x, B, axes=1),
    "einsum": lambda x: np.einsum("ij,jk->ik", x, B),
    "einsum optimised": lambda x: np.einsum("ij,jk,k->i", x, B, V, optimize=True),
    "tril": np.tril,
    "triu": lambda x: np.triu(x, 1),
    "diagonal": np.diagonal,
    "diag": np.diag,
    "diag of a vector": lambda x: np.diag(x[0], 1),
    "diag below": lambda x: np.diag(x[0], -2),
    "trace": np.trace,
    "pad": lambda x: np.pad(x, 1),
    "pad value": lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=5.0),
    "pad edge": lambda x: np.pad(x, 1, mode="edge"),
    "zeros_like": np.zeros_like,
    "full_like": lambda x: np.full_like(x, 3),
    "copy": np.copy,
    "diff": lambda x: np.diff(x, axis=0),
    "count_nonzero": lambda x: np.count_nonzero(x > 1, axis=0),
    "isclose": lambda x: np.isclose(x, A),
    "linalg.solve": lambda x: np.linalg.solve(x, V[:, None]),
    "linalg.solve, a vector": lambda x: np.linalg.solve(x, V),
    "linalg.inv": np.linalg.inv,
    "linalg.det": np.linalg.det,
    "linalg.slogdet": lambda x: tuple(np.linalg.slogdet(x)),
    "linalg.norm": np.linalg.norm,
    "linalg.norm axis": lambda x: np.linalg.norm(x, axis=1),
    "linalg.norm 1": lambda x: np.linalg.norm(x, 1, axis=0),
    "linalg.norm nuc": lambda x: np.linalg.norm(x, "nuc"),
    "linalg.cholesky": np.linalg.cholesky,
    "linalg.eigvalsh": np.linalg.eigvalsh,
    "linalg.matrix_power": lambda x: np.linalg.matrix_power(x, 3),
    "linalg.pinv": np.linalg.pinv,
    "fft": np.fft.fft,
    "fft axis": lambda x: np.fft.fft(x, axis=0),
    "rfft": lambda x: np.fft.rfft(x, n=4),
    "ifft": np.fft.ifft,
    "fftshift": np.fft.fftshift,
    "real": np.real,
    "nonzero": lambda x: np.nonzero(x > 1),
    "meshgrid": lambda x: np.meshgrid(x[0], V),
    "unstack": np.unstack,
    "matrix_transpose": np.matrix_transpose,
    "atleast_2d": lambda x: np.atleast_2d(x[0]),
    "searchsorted": lambda x: np.searchsorted(np.sort(x[0]), V),
}


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_of_numpy_on_a_tensor_is_ours(f):
    same(f(ob.tensor(A)), f(A))


POSITIONAL = {
    "round": lambda x: np.round(x, 1),
    "sum": lambda x: np.sum(x, 0),
    "sum in a dtype": lambda x: np.sum(x, 0, np.float32),
    "mean": lambda x: np.mean(x, 1),
    "max": lambda x: np.max(x, 0),
    "std": lambda x: np.std(x, 0),
    "cumsum": lambda x: np.cumsum(x, 0),
    "sort": lambda x: np.sort(x, 0),
    "argsort": lambda x: np.argsort(x, 0),
    "concatenate": lambda x: np.concatenate([x, x], 1),
    "stack": lambda x: np.stack([x, x], 1),
    "repeat": lambda x: np.repeat(x, 2, 1),
    "take": lambda x: np.take(x, [1], 1),
    "clip": lambda x: np.clip(x, 0, 1),
    "tril": lambda x: np.tril(x, -1),
    "triu": lambda x: np.triu(x, 1),
    "diagonal": lambda x: np.diagonal(x, 1),
    "tensordot": lambda x: np.tensordot(x, x, 1),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "roll": lambda x: np.roll(x, 1, 0),
    "flip": lambda x: np.flip(x, 1),
    "split": lambda x: np.split(x, [1], 1),
    "squeeze": lambda x: np.squeeze(x[None], 0),
    "quantile": lambda x: np.quantile(x, 0.5, 0),
    "median": lambda x: np.median(x, 0),
    "argmax": lambda x: np.argmax(x, 0),
    "diff": lambda x: np.diff(x, 1, 0),
    "fft": lambda x: np.fft.fft(x, 4, 0),
    "norm": lambda x: np.linalg.norm(x, 1, 0),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "full_like": lambda x: np.full_like(x, 2.0, np.float32),
    "trace": lambda x: np.trace(x, 1),
    "unstack": lambda x: np.unstack(x, axis=1),
    "zeros_like": lambda x: np.zeros_like(x, np.int8),
    "any": lambda x: np.any(x > 1, 0),
}


@pytest.mark.parametrize("f", POSITIONAL.values(), ids=POSITIONAL)
def test_numpys_order_of_arguments_is_not_mistaken_for_ours(f):
    same(f(ob.tensor(A)), f(A))


def test_history_is_kept():
    def f(x):
        return np.sum(np.concatenate([np.sin(x), np.ones(2)]) ** 2) + np.linalg.norm(
            np.stack([x, x])
        )

    x = np.array([0.5, 1.5])
    expected = np.sin(2 * x) + 2 * x / np.sqrt(2 * np.sum(x * x))
    np.testing.assert_allclose(ob.grad(f)(x), expected, rtol=1e-13)


def test_questions_of_shape_and_dtype_are_answered():
    x = ob.tensor(A, requires_grad=True)
    assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 0)) == ((3, 3), 2, 9, 3)
    assert np.result_type(x, np.float32) == np.float64
    assert np.iscomplexobj(x) is False
    assert np.isrealobj(x) is True
    assert np.allclose(x, A) is True
    assert np.array_equal(x, A) is True
    assert np.array_equal(x, B) is False


REFUSED = {
    "out of a ufunc": (
        lambda x: np.add(x, x, out=np.zeros((3, 3))),
        CutError,
        "results are always new",
    ),
    "out of a function": (
        lambda x: np.sum(x, out=np.zeros(())),
        CutError,
        "results are always new",
    ),
    "into an ndarray": (lambda x: B.copy().__iadd__(x), CutError, "a = a \\+ t"),
    "where of a ufunc": (lambda x: np.add(x, x, where=B > 0), DTypeError, r"ob\.where"),
    "where of a sum": (lambda x: np.sum(x, where=B > 0), DTypeError, r"ob\.where"),
    "dtype of a ufunc": (lambda x: np.add(x, x, dtype=np.float32), DTypeError, "astype"),
    "dtype of a mean": (lambda x: np.mean(x, dtype=np.float32), DTypeError, "astype"),
    "out by position": (lambda x: np.sum(x, 0, None, np.zeros(3)), CutError, "always new"),
    "casting": (lambda x: np.add(x, x, casting="unsafe"), DTypeError, "casting"),
    "initial": (lambda x: np.sum(x, initial=3.0), DTypeError, "initial"),
    "order": (lambda x: np.reshape(x, (9,), order="F"), DTypeError, "order"),
    "reduce": (np.add.reduce, SpellingError, r"ob\.sum"),
    "accumulate": (np.add.accumulate, SpellingError, r"ob\.cumsum"),
    "outer": (lambda x: np.multiply.outer(x, x), SpellingError, r"ob\.outer"),
    "at": (lambda x: np.add.at(B.copy(), [0], x), SpellingError, r"ob\.scatter_add"),
    "reduceat": (lambda x: np.add.reduceat(x, [0, 1]), SpellingError, "reduceat"),
    "a ufunc that we lack": (np.frexp, DTypeError, r"np\.frexp"),
    "a function that we lack": (np.unwrap, DTypeError, r"np\.unwrap"),
    "another": (np.histogram, DTypeError, "histogram"),
    "of linalg": (np.linalg.tensorinv, DTypeError, r"np\.linalg\.tensorinv"),
    "saving": (lambda x: np.savetxt("never", x), OverbarError, "savetxt"),
}


@pytest.mark.parametrize(("f", "error", "says"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("tracked", [True, False])
def test_what_is_not_supported_raises_and_never_falls_back(f, error, says, tracked):
    with pytest.raises(error, match=says):
        f(ob.tensor(A, requires_grad=tracked))


def test_a_default_may_be_spelled_out():
    x = ob.tensor(A)
    same(np.sum(x, out=None, dtype=None, where=True), np.sum(A))
    same(np.add(x, x, out=None), A + A)
    same(np.reshape(x, (9,), order="C"), A.reshape(9))
    same(np.sort(x, kind="stable"), np.sort(A))


def test_an_array_of_tensors_is_refused_where_history_would_be_lost():
    def f(x):
        return np.array([x[0], x[1]]).sum()

    with pytest.raises(CutError, match=r"ob\.stack"):
        ob.grad(f)(np.array([1.0, 2.0]))


# -- the Array API and DLPack -----------------------------------------------------------------


def test_the_namespace_is_the_package():
    x = ob.tensor(V)
    xp = x.__array_namespace__()
    assert xp is ob
    assert x.__array_namespace__(api_version="2024.12") is ob
    with pytest.raises(DomainError, match=r"2024\.12"):
        x.__array_namespace__(api_version="1999.01")
    assert xp.sum(xp.asarray(x) * 2).item() == 12.0
    assert (x.device, x.to_device("cpu") is x) == ("cpu", True)
    with pytest.raises(DomainError):
        x.to_device("cuda")


def test_numpy_gets_a_view_a_copy_or_an_error_as_it_asks():
    t = ob.tensor(A)
    view = np.asarray(t, copy=False)
    assert np.shares_memory(view, t.numpy())
    assert not view.flags.writeable
    for copy in (None, True):
        mine = np.asarray(t, copy=copy)
        assert mine.flags.writeable
        assert not np.shares_memory(mine, t.numpy())
    with pytest.raises(ValueError, match="copy"):
        np.asarray(t, dtype="float32", copy=False)


def test_divmod_is_quotient_and_remainder():
    t, u = ob.tensor([7, -7]), np.array([3, 2])
    for pair, right in ((divmod(t, u), divmod(t.numpy(), u)), (divmod(9, t), divmod(9, t.numpy()))):
        for ours, numpys in zip(pair, right, strict=True):
            np.testing.assert_array_equal(ours.numpy(), numpys)


def test_arrays_leave_by_dlpack_read_only():
    t = ob.tensor(A)
    there = np.from_dlpack(t)
    np.testing.assert_array_equal(there, A)
    assert not there.flags.writeable
    assert t.__dlpack_device__() == (1, 0)
    capsule = t.__dlpack__()  # a consumer that cannot be told read-only gets a copy
    assert "dltensor" in repr(capsule)


def test_arrays_come_in_by_dlpack_as_copies():
    a = A.copy()
    t = ob.from_dlpack(a)
    a[0, 0] = 99.0
    assert t[0, 0].item() == A[0, 0]
    with pytest.raises(DTypeError, match="copy"):
        ob.from_dlpack(a, copy=False)
    with pytest.raises(DTypeError, match="DLPack"):
        ob.from_dlpack([1.0])


def test_dlpack_cuts_no_gradient_and_shows_no_unknown():
    x = ob.tensor(A, requires_grad=True)
    with pytest.raises(CutError, match="detach"):
        np.from_dlpack(x)
    np.testing.assert_array_equal(np.from_dlpack(x.detach()), A)
    with pytest.raises(CutError):
        ob.grad(lambda x: ob.from_dlpack(np.from_dlpack(x)).sum())(V)
    with pytest.raises(UnknownValueError):
        ob.vmap(np.from_dlpack)(V)
