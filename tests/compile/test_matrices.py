"""Factors, systems, inverses and determinants in machine code, against eager ones."""

import numpy as np
import pytest

import overbar as ob
from overbar.compile import native
from overbar.compile.assemble import assemble
from overbar.compile.passes import lowered
from overbar.errors import DomainError, SingularError
from tests.compile.blocks import KINDS, machine_of
from tests.compile.test_passes import traced

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.native

DTYPES = [np.float64, np.float32]
SIZES = [1, 2, 3, 4, 7, 32, 33, 100]
L = ob.linalg


def general(*shape, dtype=np.float64, seed=0):
    """Matrices that are far from singular, and need their rows exchanged."""
    a = np.random.default_rng((seed, *shape)).normal(size=shape)
    order = np.random.default_rng(seed).permutation(shape[-2])
    return (a + 3 * shape[-1] ** 0.5 * np.eye(*shape[-2:])[order]).astype(dtype)


def definite(*shape, dtype=np.float64):
    a = general(*shape)
    return (a @ a.swapaxes(-1, -2) / shape[-1] + np.eye(shape[-1])).astype(dtype)


def compiled(f, *xs):
    """What native code gives, all of it native."""
    with ob.config(jit="native"):
        step = ob.jit(f)
        y = step(*xs)
    assert "lack of a native form" not in step.report()
    return [np.asarray(v) for v in (y if isinstance(y, tuple) else (y,))]


def interpreted(f, *xs):
    with ob.config(jit="interpret"):
        y = ob.jit(f)(*xs)
    return [np.asarray(v) for v in (y if isinstance(y, tuple) else (y,))]


def assert_alike(f, *xs, ulps=400):
    for y, r in zip(compiled(f, *xs), interpreted(f, *xs), strict=True):
        assert y.dtype == r.dtype
        assert y.shape == r.shape
        scale = np.abs(r).max(initial=0)
        np.testing.assert_allclose(y, r, rtol=0, atol=ulps * scale * np.finfo(r.dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_factors_inverses_and_determinants(n, dtype):
    for lead in ((), (3,)):
        a, g = definite(*lead, n, n, dtype=dtype), general(*lead, n, n, dtype=dtype)
        assert_alike(L.cholesky, a)
        assert_alike(L.inv, g)
        assert_alike(L.det, g / n, ulps=400 * n)
        assert_alike(L.slogdet, g)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_systems(n, dtype):
    for lead, m in (((), 1), ((2, 2), 3), ((), 130)):
        a, b = general(*lead, n, n, dtype=dtype), general(*lead, n, m, dtype=dtype)
        assert_alike(L.solve, a, b)
        assert_alike(lambda a, b: L.solve(a.mT, b), a, b)
        t = definite(*lead, n, n, dtype=dtype)
        for lower in (True, False):
            assert_alike(lambda a, b, lower=lower: L.solve_triangular(a, b, lower=lower), t, b)
            assert_alike(lambda a, b, w=lower: L.solve_triangular(a.mT, b, lower=w), t, b)


@pytest.mark.parametrize("n", [3, 5, 90])
def test_what_is_computed_is_as_near_as_numpys(n):
    """Residuals of an ill-conditioned system are as small: nothing was inverted."""
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2))
    sizes = np.logspace(0, -10, n)
    a, b, spd = u * sizes @ v, rng.normal(size=(n, 2)), u * sizes @ u.T
    (x,) = compiled(L.solve, a, b)
    eps = np.finfo(float).eps
    assert np.abs(a @ x - b).max() <= 20 * n * eps * np.abs(x).max()
    (l,) = compiled(L.cholesky, (spd + spd.T) / 2)
    np.testing.assert_allclose(l @ l.T, (spd + spd.T) / 2, atol=4 * n * eps)
    (y,) = compiled(lambda a, b: L.solve_triangular(a, b, lower=True), l, b)
    assert np.abs(l @ y - b).max() <= 20 * n * eps * np.abs(y).max()


FUNCTIONS = {
    "cholesky": lambda a, b: L.cholesky(a),
    "solve": L.solve,
    "triangular": lambda a, b: L.solve_triangular(a, b, lower=True),
    "inv": lambda a, b: L.inv(a),
    "det": lambda a, b: L.det(a / 10),
    "slogdet": lambda a, b: L.slogdet(a)[1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_and_lanes(name):
    f = FUNCTIONS[name]
    a, b = definite(3, 6, 6), general(3, 6, 2)

    def total(a, b):
        return ob.sum(f(a, b) ** 2)

    assert_alike(ob.vmap(f), a, b)
    if name != "det":  # its derivative, the cofactors, has no native form
        assert_alike(ob.grad(total), a, b)
        assert_alike(ob.grad(total), a[0], b[0])
        assert_alike(ob.hessian(lambda t: total(a[0] * t**3, b[0])), np.float64(1.5), ulps=4000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_machines(name, kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    for dtype in DTYPES:
        a, b = definite(2, 70, 70, dtype=dtype), general(2, 70, 9, dtype=dtype)
        assert_alike(FUNCTIONS[name], a, b, ulps=4000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_machines_do_tiny_ones_alike(name, kind, monkeypatch):
    """Several are under way at a time, each with its own order of rows; and some are left over."""
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        for n in (2, 3, 4):
            a, b = definite(5, 7, n, n, dtype=dtype), general(5, 7, n, 2, dtype=dtype)
            if name not in ("cholesky", "triangular"):
                order = rng.permuted(np.broadcast_to(np.arange(n), (5, 7, n)), axis=-1)
                a = np.take_along_axis(general(5, 7, n, n, dtype=dtype), order[..., None], axis=-2)
            assert_alike(FUNCTIONS[name], a, b)


@pytest.mark.parametrize(("many", "n"), [(40, 33), (4001, 3)])
def test_two_threads_change_no_bit(many, n):
    a, b = definite(many, n, n), general(many, n, 5 if n > 4 else 3)
    for f in FUNCTIONS.values():
        found = []
        for threads in (1, 2):
            with ob.config(threads=threads):
                found += compiled(f, a, b)
        np.testing.assert_array_equal(*found)


# -- matrices without an answer ---------------------------------------------------------------

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
COLUMN = np.ones((2, 1))
SIX = np.kron(np.eye(3), SINGULAR)
REFUSED = {
    "cholesky": (L.cholesky, (-SINGULAR,)),
    "cholesky of NaN": (L.cholesky, (np.full((2, 2), np.nan),)),
    "cholesky of infinity": (L.cholesky, (np.full((1, 1), np.inf),)),
    "solve": (L.solve, (SINGULAR, COLUMN)),
    "a lane": (ob.vmap(L.solve), (np.stack([np.eye(2), SINGULAR]), np.ones((2, 2, 1)))),
    "inv": (L.inv, (SINGULAR,)),
    "inv of six": (L.inv, (SIX,)),
    "cholesky of six": (L.cholesky, (-SIX,)),
    "solve of six": (L.solve, (SIX, np.ones((6, 1)))),
    "triangle of six": (L.solve_triangular, (np.triu(SIX - 1), np.ones((6, 1)))),
    "triangle": (L.solve_triangular, (np.triu(SINGULAR - 1), COLUMN)),
}


def outcome(f, xs):
    with np.errstate(all="ignore"):
        try:
            return [np.asarray(f(*xs))]
        except (SingularError, DomainError) as error:
            return type(error), str(error)


@pytest.mark.parametrize("name", REFUSED)
def test_what_eager_code_refuses_is_refused_in_the_same_words(name):
    refused, xs = REFUSED[name]

    def f(*xs):
        return refused(*xs)  # the line that is named

    fine = [np.broadcast_to(np.eye(2), x.shape) if x.shape[-1] == 2 else x for x in xs]
    with ob.config(jit="interpret"):
        wanted = outcome(ob.jit(f), xs)
    step = ob.jit(f)
    with ob.config(jit="native"):
        if xs[0].shape[-1] == 2:
            for _ in range(5):
                step(*fine)  # the quick way is taken from some call on
        for _ in range(3):
            assert outcome(step, xs) == wanted
    assert isinstance(wanted[0], type)


@pytest.mark.parametrize("a", [SINGULAR, SIX], ids=["2", "6"])
def test_a_singular_matrix_has_no_volume_and_an_infinite_slope(a):
    assert compiled(L.det, a)[0] == 0
    assert [float(y) for y in compiled(L.slogdet, a)] == [0, -np.inf]
    slope = ob.grad(lambda a: L.slogdet(a)[1])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(compiled(slope, a), interpreted(slope, a))


def test_an_error_leaves_everything_as_it_was():
    p = ob.tensor(np.eye(2))

    @ob.jit
    def step(a):
        p[:] = p + L.cholesky(a)
        return p * 2.0

    step(np.eye(2))
    before = p.numpy().copy()
    for _ in range(2):
        with pytest.raises(SingularError):
            step(-np.eye(2))
        np.testing.assert_array_equal(p.numpy(), before)
    step(np.eye(2))
    np.testing.assert_array_equal(p.numpy(), before + np.eye(2))


def test_inside_a_loop_too():
    def shrinking(a):
        def body(c, t):
            return c - np.eye(2) * t, L.cholesky(c)

        return ob.scan(body, a, ob.tensor(np.array([0.0, 5.0, 1.0])))[1]

    assert_alike(shrinking, 20 * np.eye(2))
    with ob.config(jit="native"), pytest.raises(SingularError, match="positive definite"):
        ob.jit(shrinking)(2 * np.eye(2))


def test_programs_without_matrices_have_none_of_it():
    graph = lowered(traced(lambda x: ob.sum(ob.exp(x)), np.ones(9)))
    text = assemble(graph, {}, machine=native.host(), threads=1).text
    assert "ob.substitute" not in text
    small = lowered(traced(L.cholesky, np.eye(9)))
    text = assemble(small, {}, machine=native.host(), threads=1).text
    assert "tile_" not in text
