"""Every primitive, compiled, against its forward: at sample points, and at the edges of numbers."""

import numpy as np
import pytest

import overbar as ob
from overbar.apply import apply
from overbar.elementwise import Elementwise
from overbar.ops.movement import parts
from overbar.primitive import PRIMITIVES
from tests.rules.cases import OPS, cases

pytest.importorskip("llvmlite")

pytestmark = pytest.mark.native

EDGES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-310, -1e-310, 0.5, -2.5, 3.0, 1e30]
NATIVE = [op for op in PRIMITIVES.values() if isinstance(op, Elementwise) and op.native]
TOLERANCE = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 4e-15}


def applied(op, params):
    def f(*xs):
        y = apply(op, xs, params)
        return parts(y) if isinstance(y.spec, tuple) else y

    return f


def both_ways(f, xs):
    """What NumPy gives, and what native code gives."""
    found = []
    for how in ("interpret", "native"):
        with ob.config(jit=how), np.errstate(all="ignore"):
            ys = ob.jit(f)(*xs)
        found.append([np.asarray(y.numpy()) for y in (ys if isinstance(ys, tuple) else (ys,))])
    return found


def assert_alike(compiled, wanted, tolerance):
    assert compiled.dtype == wanted.dtype
    assert compiled.shape == wanted.shape
    if wanted.dtype.kind not in "fc":
        np.testing.assert_array_equal(compiled, wanted)
        return
    np.testing.assert_allclose(compiled, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("kind", ["d", "f"])
def test_a_compiled_primitive_computes_what_its_forward_does(op, kind):
    for case in cases(op, kind=kind):
        if any(not isinstance(x, np.ndarray | np.generic) for x in case.xs):
            continue
        wanted, compiled = both_ways(applied(op, case.params), case.xs)
        for c, w in zip(compiled, wanted, strict=True):
            scale = 50 * max(1.0, float(np.max(np.abs(w), initial=0.0, where=np.isfinite(w))))
            single = np.dtype(np.float32 if w.dtype in (np.float32, np.complex64) else np.float64)
            assert_alike(c, w, TOLERANCE[single] * scale)


@pytest.mark.parametrize("op", NATIVE, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_native_rule_is_right_at_the_edges(op, dtype):
    samples, params = first_sample(op)
    if any(x.dtype.kind not in "fb" for x in samples):
        pytest.skip("of whole numbers")
    if op.name == "betaln":
        pytest.skip("SciPy's is infinite at denormal numbers: test_vmath holds it against mpmath")
    # of J₀(10³⁰) SciPy has no digit: it rounds x − π/4
    edges = [x for x in EDGES if op.name != "bessel_j" or x != 1e30]
    grid = np.meshgrid(*[np.array(edges, dtype)] * min(op.arity, 2), indexing="ij")
    xs = [g.copy() for g in grid]
    xs += [np.full(xs[0].shape, 0.25, dtype)] * (op.arity - len(xs))
    xs = [
        x > 0 if sample.dtype.kind == "b" else x
        for x, sample in zip(xs, samples or xs, strict=True)
    ]
    (wanted,), (compiled,) = both_ways(applied(op, params), xs)
    assert compiled.dtype == wanted.dtype
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(compiled, wanted)
        return
    np.testing.assert_array_equal(np.isnan(compiled), np.isnan(wanted))
    there = ~np.isnan(wanted)
    np.testing.assert_allclose(compiled[there], wanted[there], rtol=50 * TOLERANCE[wanted.dtype])


def first_sample(op):
    if not op.samples:
        return [], {}
    rng = np.random.default_rng(0)
    arguments, params = op.samples(lambda *s: rng.standard_normal(s))[0]
    return [np.asarray(x) for x in arguments], params
