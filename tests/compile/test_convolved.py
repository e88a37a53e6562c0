"""Convolutions and what is done with their results: one kernel, the numbers of NumPy."""

import math

import numpy as np
import pytest

import overbar as ob
from overbar import nn, optim

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native

CASES = {  # x, w, how
    "plain": ((3, 4, 11, 9), (7, 4, 3, 3), {"padding": 1}),
    "stride": ((2, 3, 23, 22), (18, 3, 7, 7), {"stride": 2, "padding": 3}),
    "one entry": ((3, 33, 5, 7), (20, 33, 1, 1), {}),
    "one entry, stride": ((2, 5, 9, 8), (6, 5, 1, 1), {"stride": 2}),
    "groups": ((2, 6, 10, 9), (8, 3, 3, 2), {"groups": 2, "padding": (1, 0)}),
    "depthwise": ((2, 19, 9, 9), (19, 1, 3, 3), {"groups": 19, "padding": 1}),
    "dilation": ((2, 3, 15, 14), (5, 3, 3, 3), {"dilation": 2}),
    "one place": ((4, 3, 5, 5), (6, 3, 5, 5), {}),
    "one channel, one image": ((1, 1, 9, 12), (1, 1, 3, 3), {"padding": 1}),
    "small maps": ((19, 5, 4, 4), (17, 5, 3, 3), {"padding": 1}),
    "one axis": ((3, 5, 40), (6, 5, 4), {"stride": 3}),
    "three axes": ((2, 3, 5, 6, 7), (4, 3, 2, 3, 3), {"padding": 1}),
    "bands": ((1, 8, 150, 90), (40, 8, 3, 3), {"padding": 1}),
    "many kernels": ((2, 96, 6, 6), (150, 96, 3, 3), {"padding": 1}),
}


def drawn(name, dtype):
    x, w, how = CASES[name]
    rng = np.random.default_rng(len(name))
    w = rng.normal(size=w) / math.sqrt(math.prod(w[1:]))
    b = rng.normal(size=len(w))
    return (rng.normal(size=x).astype(dtype), w.astype(dtype), b.astype(dtype)), how


def layer(x, w, b, how):
    return ob.relu(ob.conv(x, w, **how) + b.reshape(-1, *(1,) * (w.ndim - 2)))


def updated(x, w, b, how):
    """All three faces, each with something behind it, and two results of one kernel."""
    y, pull = ob.vjp(lambda x, w: layer(x, w, b, how), x, w)
    x_bar, w_bar = pull(ob.cos(y))
    return y, y * y, ob.where(x > 0, x_bar, -x_bar), w - 0.5 * w_bar, w_bar


def kernels(step):
    """What is in each kernel of a compiled function."""
    nodes = [n for n in step.lower().nodes if "graph" in n.params]
    return [{m.op.name for m in n.params["graph"].nodes if m.inputs} for n in nodes]


QUICK = ("plain", "stride", "groups", "one entry", "small maps")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_what_follows_is_done_on_the_spot(name, dtype):
    args, how = drawn(name, dtype)
    want = [y.numpy() for y in map(ob.asarray, updated(*map(ob.tensor, args), how))]
    found = []
    for threads in (1, 2):
        with ob.config(threads=threads, jit="native"):
            step = ob.jit(lambda *args: updated(*args, how))
            found.append([np.array(y) for y in step(*args)])
    for one, two, y in zip(*found, want, strict=True):
        assert one.tobytes() == two.tobytes()
        scale = np.abs(y).max()
        assert np.abs(one - y).max() <= 60 * np.finfo(dtype).eps * scale
    inside = kernels(step)
    assert any({"conv", "add", "relu"} <= ops for ops in inside)
    assert any({"conv_input", "where"} <= ops for ops in inside)
    assert any({"conv_weight", "subtract"} <= ops for ops in inside)


@pytest.mark.parametrize("kind", ["avx512", "avx2", "generic"])
@pytest.mark.parametrize(
    "name",
    [
        "plain",
        *(pytest.param(n, marks=pytest.mark.slow) for n in (*QUICK[2:], "depthwise", "bands")),
    ],
)
def test_on_every_kind_of_machine(monkeypatch, kind, name):
    try:
        machine = native.forced(kind)
    except ob.errors.DomainError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(native, "host", lambda: machine)
    args, how = drawn(name, "float64")
    want = updated(*map(ob.tensor, args), how)
    with ob.config(jit="native"):
        found = ob.jit(lambda *args: updated(*args, how))(*args)
    for y, x in zip(found, want, strict=True):
        np.testing.assert_allclose(np.array(y), x.numpy(), rtol=1e-11, atol=1e-12)


def test_kernels_are_updated_where_they_are():
    """The new ones are written over the old ones, which nothing reads any more by then."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 5, 3), nn.Flatten()
    )
    opt = optim.SGD(model.parameters(), 0.1)

    @ob.jit
    def step(x, t):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(x), t)
        loss.backward()
        opt.step()
        return loss

    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(4, 3, 10, 10)).astype("f"), rng.integers(0, 45, 4)
    start = {name: p.numpy().copy() for name, p in model.named_parameters()}
    losses = [float(step(x, t)) for _ in range(5)]
    assert "4 of 4 new values are written over the old" in str(step.report())
    model.load_state_dict(start)
    with ob.config(jit="interpret"):
        other = ob.jit(step.__wrapped__)
        np.testing.assert_allclose([float(other(x, t)) for _ in range(5)], losses, rtol=1e-5)


def test_a_convolution_of_more_axes_runs_with_numpy():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 2, 3, 3, 3, 3)), rng.normal(size=(3, 2, 2, 2, 2, 2))
    want = ob.relu(ob.conv(x, w)).numpy()
    with ob.config(jit="native"):
        found = ob.jit(lambda x, w: ob.relu(ob.conv(x, w)))(x, w)
    np.testing.assert_allclose(np.array(found), want, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "int8", "bool"])
def test_a_number_of_another_dtype_behind_one_result(dtype, kind):
    """One entry that is cast, beside a result with axes of one entry."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 1, 6, 5)).astype(dtype), rng.normal(size=(1, 1, 2, 2)).astype(dtype)
    a, b = rng.normal(size=(3, 5, 7)).astype(dtype), rng.normal(size=(7, 1)).astype(dtype)
    pooled = lambda x, w: nn.functional.max_pool2d(ob.conv(x, w), 2)
    cases = [(ob.conv, x, w), (pooled, x, w), (ob.matmul, a, b), (ob.matmul, a[0, :1], b)]
    for number in (np.ones((), kind), np.ones(1, kind), np.ones((1, 1, 1), kind)):
        for f, *xs in cases:
            f = lambda x, w, c, f=f: ob.sin(f(x, w) * np.float64(0.4) + c) * c
            total = lambda x, w, c, f=f: ob.sum(f(x, w, c))
            for g in (f, ob.grad(total, argnums=(0, 1))):
                expected, y = g(*xs, ob.asarray(number)), ob.jit(g)(*xs, ob.asarray(number))
                pairs = [(expected, y)] if g is f else zip(expected, y, strict=True)
                for e, p in pairs:
                    e, p = np.asarray(e), np.asarray(p)
                    assert e.dtype == p.dtype
                    np.testing.assert_allclose(p, e, rtol=1e-4 if dtype == "float32" else 1e-10)
