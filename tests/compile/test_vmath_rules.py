"""The native rules of smooth functions, at edges too, against the forwards that run eagerly."""

import numpy as np
import pytest

import overbar as ob
from overbar.apply import apply
from overbar.primitive import PRIMITIVES

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.native

PARAMS = {
    "whole_power": [{"n": n} for n in (0, 1, 2, 3, 4, 5, 17, -1, -2, -3, -7)],
    "elu": [{"alpha": 0.7, "kink": 0.0}],
    "scaled_erfc": [{"n": 0}],
}
NAMES = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "cbrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "sigmoid",
    "expit",
    "hypot",
    "direction",
    "atan2",
    "whole_power",
    "power",
    "logaddexp",
    "elu",
    "softplus",
    "log_sigmoid",
    "silu",
    "gelu",
    "gelu_tanh",
    "erf",
    "erfc",
    "scaled_erfc",
    "ndtr",
    "mills",
    "log_ndtr",
    "logit",
    "xlogy",
    "xlog1py",
    "entr",
]
EDGES = [0.0, 1.0, 0.5, 0.25, 0.75, 2.0, 3.0, 30.0, 1e-10, 1e30, 1e-40, np.inf]
CASES = [
    pytest.param(name, params, id=f"{name}{list(params.values()) or ''}")
    for name in NAMES
    for params in PARAMS.get(name, [{}])
]


def compiled(op, xs, params):
    with ob.config(jit="native"):
        return ob.jit(lambda *xs: apply(op, xs, params))(*map(ob.tensor, xs)).numpy()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "params"), CASES)
def test_compiled_equals_eager_at_edges_too(name, params, dtype, rng):
    op = PRIMITIVES[name]
    x = np.concatenate([EDGES, np.negative(EDGES), [np.nan], rng.normal(size=40)]).astype(dtype)
    xs = [x] if op.arity == 1 else [v.ravel() for v in np.meshgrid(x, x)]
    with np.errstate(all="ignore"):
        want, got = op.run(*xs, **params), compiled(op, xs, params)
    assert got.dtype == want.dtype
    plain = np.isfinite(want)
    np.testing.assert_array_equal(got[~plain], want[~plain])
    size = np.abs(want[plain])
    if name == "logaddexp":  # it passes through 0, where it is as good as its greater argument
        size = np.maximum(size, np.abs(np.max(xs, axis=0)[plain]))
    off = np.abs(got[plain].astype(np.float64) - want[plain]) / np.spacing(size)
    worst = int(np.argmax(off))
    assert off[worst] <= 12, (off[worst], [v[plain][worst] for v in xs])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_whole_numbers_to_whole_powers_wrap_as_in_numpy(dtype):
    x = np.arange(-9, 9, dtype=dtype)
    for n in (0, 1, 2, 3, 7, 40):
        got = compiled(PRIMITIVES["whole_power"], [x], {"n": n})
        np.testing.assert_array_equal(got, x**n)


def test_what_native_code_cannot_do_is_left_to_numpy():
    """Whole numbers to negative powers; orders of the error function's integrals."""
    x, y = np.array([2, 3, -4]), np.array([5, 0, 3])
    np.testing.assert_array_equal(compiled(PRIMITIVES["power"], [x, y], {}), x**y)
    with pytest.raises(ValueError, match="negative integer powers"):
        compiled(PRIMITIVES["power"], [x, -y], {})
    op, u = PRIMITIVES["scaled_erfc"], np.array([0.5, 2.0])
    np.testing.assert_array_equal(compiled(op, [u], {"n": 2}), op.run(u, n=2))
