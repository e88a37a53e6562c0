"""Four libraries, one gradient. The oracles must agree among themselves before they judge us."""

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import overbar as ob


def parameters(rng):
    """Two layers, a batch of inputs, its targets."""
    shapes = (4, 8), (8,), (8, 3), (3,), (16, 4), (16, 3)
    return [rng.standard_normal(shape) for shape in shapes]


def squared_loss(xp, w1, b1, w2, b2, x, t):
    """A small network, spelled so that all four can read it."""
    y = xp.tanh(x @ w1 + b1) @ w2 + b2
    return xp.sum((y - t) ** 2)


def by_torch(arguments):
    tensors = [torch.tensor(a, requires_grad=True) for a in arguments]
    squared_loss(torch, *tensors).backward()
    return [t.grad.numpy() for t in tensors]


def by_jax(arguments):
    return jax.grad(lambda *a: squared_loss(jnp, *a), argnums=tuple(range(6)))(*arguments)


def by_autograd(arguments):
    return autograd.grad(lambda a: squared_loss(anp, *a))(list(arguments))


def by_overbar(arguments):
    return ob.grad(lambda *a: squared_loss(ob, *a), argnums=tuple(range(6)))(*arguments)


def test_torch_is_the_version_the_tests_were_written_against():
    assert torch.__version__.partition("+")[0] == "2.13.0"


@pytest.mark.parametrize("judge", [by_jax, by_autograd, by_overbar])
def test_the_gradient_of_a_small_network_agrees_with_torch(judge, rng):
    arguments = parameters(rng)
    for ours, theirs in zip(judge(arguments), by_torch(arguments), strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-12, atol=1e-12)
