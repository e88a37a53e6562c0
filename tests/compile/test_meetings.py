"""Small programs in which parts of the compiler meet, or a size is 1: compiled as eager.

Each was wrong once, found by random programs.
"""

import warnings

import numpy as np
import pytest

import overbar as ob
from overbar import nn, optim

pytest.importorskip("llvmlite")

pytestmark = pytest.mark.native

rng = np.random.default_rng(0)
vector, matrix = rng.normal(size=7), rng.normal(size=(3, 3))
WEIGHTS = np.linspace(0.2, 0.9, 3)


def folded(x):
    return ob.scan(lambda c, v: (0.5 * c + v, c * v), ob.zeros(()), x)[1]


def convolved(x):
    w = ob.asarray(np.arange(6.0).reshape(2, 1, 3))
    return ob.conv(x.reshape(1, 1, -1), w, stride=2, padding=2)


def tilted(x):
    """A loop that needs an outer product, the same in every step, transposed only."""
    weighted = lambda v: ob.jacfwd(lambda v: v * ob.sin(v))(v) @ ob.asarray(WEIGHTS)
    pulled = lambda v: ob.vjp(weighted, v)[1](ob.asarray(WEIGHTS))[0]
    return ob.scan(lambda c, _: (ob.tanh(pulled(c)), None), x, None, length=2)[0]


PROGRAMS = {
    "a loop and a convolution": (lambda x: (folded(x), convolved(x)), vector),
    "the gradient of a convolution of one entry, cast": (
        ob.grad(lambda x: ob.sum(convolved(x))), np.ones(1, np.float32)
    ),
    "a convolution of one entry": (lambda x: convolved(x) * 2.0, np.ones(1)),
    "all of rows of one": (lambda x: ob.all(x, axis=0), np.array([[0.3, 0.0, np.nan, 2.0]])),
    "any of columns of one": (lambda x: ob.any(x, axis=1), np.array([[0], [256], [1 << 40]])),
    "complex ones": (lambda x: (x * (1 + 0j), x - 0j, x / (1 + 0j)), np.array([1 + 2j, np.inf])),
    "the conjugate of booleans": (ob.conj, np.array([True, False])),
    "an outer product in a loop": (tilted, vector[:3]),
    "a loop that nothing goes into": (
        lambda x: x * ob.scan(lambda c, _: (c, ob.ones(3)), None, None, length=3)[1], matrix
    ),
    "a checkpoint that nothing goes into": (
        lambda x: x * ob.checkpoint(lambda: ob.ones(3) * 2.0)(), matrix
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_computes_the_same_compiled(name):
    f, x = PROGRAMS[name]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        wanted, found = ob.tree_flatten(f(ob.asarray(x)))[0], ob.tree_flatten(ob.jit(f)(x))[0]
    for y, z in zip(wanted, found, strict=True):
        assert np.asarray(z).dtype == y.dtype
        np.testing.assert_allclose(z, y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm])
def test_a_parameter_is_not_overwritten_while_its_kernel_needs_it_again(norm):
    """With a batch of one the scale's gradient is no sum, and its update may come early."""
    ends = []
    for prepared in (lambda f: f, ob.jit):
        ob.random.seed(0)
        like = {"dtype": ob.float64}
        net = nn.Sequential(
            nn.Linear(2, 7, bias=False, **like), nn.GELU(), nn.Linear(7, 7, **like),
            norm(7, **like), nn.Tanh(), nn.Linear(7, 1, **like),
        )  # fmt: skip
        opt = optim.SGD(net.parameters(), 0.1)

        @prepared
        def step(x, net=net, opt=opt):
            opt.zero_grad()
            y = net(x)
            penalty = 0.01 * nn.penalty.l2(net.parameters())
            ob.backward([ob.mean(abs(y - 0.3)) + penalty, ob.mean(y**2)])
            opt.step()

        step(vector[None, :2])
        ends.append([p.numpy() for p in net.parameters()])
    for eager, compiled in zip(*ends, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-12, atol=1e-12)


def test_a_callback_without_arguments_runs_at_every_call():
    counted = iter(range(5))
    step = ob.jit(lambda x: x + ob.callback(lambda: np.float64(next(counted)), np.empty(())))
    assert [float(step(10.0)) for _ in range(3)] == [10.0, 11.0, 12.0]


def test_a_vmap_of_a_compiled_function_that_draws_can_be_asked_twice():
    f = ob.jit(lambda x: ob.random.default_rng(3).normal((3,)) * x)
    first, second = (ob.vmap(f)(np.ones((2, 3))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])
