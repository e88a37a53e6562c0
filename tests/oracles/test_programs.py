"""Random programs by three libraries: overbar's values and gradients against torch's and jax's.

OVERBAR_PROGRAMS sets how many programs (400 if it is not set), OVERBAR_PROGRAMS_FROM the first.
"""

# ruff: noqa: PLW0108  (a lambda in a table gives the keywords of a step their names)

import math
import os

import jax
import jax.numpy as jnp
import jax.scipy as jsp
import numpy as np
import pytest
import torch

import overbar as ob
from tests.programs import MOVES, OVERBAR, program
from tests.rules.cases import saying, value

COUNT = int(os.environ.get("OVERBAR_PROGRAMS", "400"))
FIRST = int(os.environ.get("OVERBAR_PROGRAMS_FROM", "0"))
EACH = 20
seeds = pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, EACH), ids="from {}".format)

F = torch.nn.functional


def dims(axis, x):
    return tuple(range(x.ndim)) if axis is None else axis


def polygamma(x, n):
    """By Hurwitz's zeta function; torch's own trigamma (2.13) has ten digits only."""
    if n == 0:
        return torch.digamma(x)
    zeta = torch.special.zeta(torch.tensor(n + 1.0, dtype=torch.float64), x)
    return (-1) ** (n + 1) * math.factorial(n) * zeta


class Polygamma(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, n):
        ctx.save_for_backward(x)
        ctx.n = n
        return polygamma(x, n)

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return y_bar * polygamma(x, ctx.n + 1), None


def torch_reduce(f):
    """A torch reduction by our keywords; torch takes no empty tuple of axes for a number."""

    def reduced(x, axis=None, keepdims=False):
        if x.ndim == 0:
            return f(x.reshape(1), 0, False)
        return f(x, dims(axis, x), keepdims)

    return reduced


def torch_prod(x, axis=None, keepdims=False):
    over = sorted(
        (a % max(x.ndim, 1) for a in ((axis,) if isinstance(axis, int) else dims(axis, x))),
        reverse=True,
    )
    for a in over:
        x = torch.prod(x, a, keepdim=keepdims)
    return x


def torch_slice(x, index):
    """torch has no negative steps: flip first."""
    axis = 0
    entries = []
    for e in index:
        if isinstance(e, slice) and e.step is not None and e.step < 0:
            x, e = torch.flip(x, (axis,)), slice(None, None, -e.step)
        entries.append(e)
        axis += e is not None
    return x[tuple(entries)]


def torch_median(x, axis):
    return torch.quantile(x, 0.5, dim=axis)


def replaced(x, v, index):
    """The rows of x, some replaced by those of v; the last one wins."""
    return [v[1] if i == index[1] else v[0] if i == index[0] else x[i] for i in range(len(x))]


def torch_pool(pool):
    return lambda x, size: pool(x, size, size)


TORCH = {
    **{
        name: getattr(torch, name)
        for name in [
            "negative",
            "sin",
            "cos",
            "tanh",
            "sigmoid",
            "square",
            "abs",
            "relu",
            "atan",
            "asinh",
            "exp",
            "expm1",
            "sinh",
            "cosh",
            "exp2",
            "log",
            "sqrt",
            "log1p",
            "reciprocal",
            "log2",
            "log10",
            "asin",
            "acos",
            "atanh",
            "add",
            "subtract",
            "multiply",
            "divide",
            "maximum",
            "minimum",
            "atan2",
            "hypot",
            "logaddexp",
            "matmul",
            "outer",
            "kron",
        ]
    },
    **{
        f"special.{name}": getattr(torch.special, name)
        for name in [
            "erf",
            "erfc",
            "ndtr",
            "log_ndtr",
            "gammaln",
            "expit",
            "logit",
            "erfinv",
            "ndtri",
            "entr",
            "i0",
            "i1",
            "xlogy",
        ]
    },
    "special.gamma": lambda x: torch.exp(torch.lgamma(x)),
    "special.betaln": lambda x, y: torch.lgamma(x) + torch.lgamma(y) - torch.lgamma(x + y),
    "power": torch.pow,
    "softplus": F.softplus,
    "silu": F.silu,
    "elu": F.elu,
    "log_sigmoid": F.logsigmoid,
    "hard_tanh": F.hardtanh,
    "gelu": F.gelu,
    "affine": lambda x, a, b: x * a + b,
    "weighed": lambda x, weight: torch.sum(x * torch.tensor(weight)),
    "whole_power": lambda x, n: x**n,
    "leaky_relu": lambda x, slope: F.leaky_relu(x, slope),
    "clip": lambda x, low, high: torch.clip(x, low, high),
    "where": lambda x, y, z: torch.where(x > y, x, z),
    "reshape": lambda x, shape: torch.reshape(x, shape),
    "permute_dims": lambda x, axes: torch.permute(x, axes),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "slice": torch_slice,
    "gather": lambda x, index: x[torch.tensor(index)],
    "pairs": lambda x, rows, columns: x[torch.tensor(rows), torch.tensor(columns)],
    "put": lambda x, v, index: torch.stack(replaced(x, v, index)),
    "concat": lambda *xs, axis: torch.concat(xs, dim=axis),
    "stack": lambda *xs, axis: torch.stack(xs, dim=axis),
    "flip": lambda x, axis: torch.flip(x, (axis,)),
    "roll": lambda x, shift, axis: torch.roll(x, shift, axis),
    "repeat": lambda x, n, axis: torch.repeat_interleave(x, n, dim=axis),
    "tile": lambda x, n: torch.tile(x, n),
    "expand_dims": lambda x, axis: torch.unsqueeze(x, axis),
    "pad": lambda x, widths: F.pad(x, [w for pair in reversed(widths) for w in pair]),
    "tril": lambda x, k: torch.tril(x, k),
    "triu": lambda x, k: torch.triu(x, k),
    "split": lambda x, axis, part: torch.chunk(x, 2, axis)[part],
    "take_along_axis": lambda x, index, axis: torch.take_along_dim(x, torch.tensor(index), axis),
    "take": lambda x, index, axis: torch.index_select(x, axis, torch.tensor(index) % x.shape[axis]),
    "scatter_add": lambda x, v, index: torch.index_add(x, 0, torch.tensor(index), v),
    "sum": torch_reduce(lambda x, a, k: torch.sum(x, a, k)),
    "mean": torch_reduce(lambda x, a, k: torch.mean(x, a, k)),
    "max": torch_reduce(lambda x, a, k: torch.amax(x, a, k)),
    "min": torch_reduce(lambda x, a, k: torch.amin(x, a, k)),
    "logsumexp": torch_reduce(lambda x, a, k: torch.logsumexp(x, a, k)),
    "prod": torch_prod,
    "std": torch_reduce(lambda x, a, k: torch.std(x, a, correction=0, keepdim=k)),
    "var": torch_reduce(lambda x, a, k: torch.var(x, a, correction=0, keepdim=k)),
    "softmax": lambda x, axis: torch.softmax(x, axis),
    "log_softmax": lambda x, axis: torch.log_softmax(x, axis),
    "cumsum": lambda x, axis: torch.cumsum(x, axis),
    "cumprod": lambda x, axis: torch.cumprod(x, axis),
    "sort": lambda x, axis: torch.sort(x, dim=axis).values,
    "median": torch_median,
    "einsum": lambda *xs, spec: torch.einsum(spec, *xs),
    "tensordot": lambda a, b: torch.tensordot(a, b, dims=1),
    "dominant": lambda x: x + 3 * torch.eye(x.shape[-1]),
    "gram": lambda x: x @ x.mT + torch.eye(x.shape[-2]),
    "linalg.solve": torch.linalg.solve,
    "linalg.inv": torch.linalg.inv,
    "linalg.det": torch.linalg.det,
    "linalg.cholesky": torch.linalg.cholesky,
    "linalg.norm": torch.linalg.vector_norm,
    "conv": lambda x, w, stride, padding: F.conv1d(x, w, stride=stride, padding=padding),
    "conv2": lambda x, w, stride, padding: F.conv2d(x, w, stride=stride, padding=padding),
    "positive": lambda x: +x,
    "cbrt": lambda x: x ** (1 / 3),
    "acosh": torch.acosh,
    "tan": torch.tan,
    "sinc": torch.sinc,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "special.erfcx": torch.special.erfcx,
    "special.xlog1py": torch.special.xlog1py,
    "special.digamma": lambda x: Polygamma.apply(x, 0),
    "special.polygamma": lambda x, n: Polygamma.apply(x, n),
    "special.beta": lambda x, y: torch.exp(torch.lgamma(x) + torch.lgamma(y) - torch.lgamma(x + y)),
    "ladder": lambda x: x + torch.diag(torch.tensor([0.0, 2.0, 5.0])),
    "linalg.slogdet": lambda a: torch.linalg.slogdet(a)[1],
    "linalg.eigvalsh": torch.linalg.eigvalsh,
    "linalg.svdvals": torch.linalg.svdvals,
    "linalg.norm_of_rows": lambda x, p: torch.linalg.vector_norm(x, p, -1),
    "conv_transpose": lambda x, w, stride: F.conv_transpose1d(x, w, stride=stride),
    "diagonal": lambda x: torch.diagonal(x, dim1=-2, dim2=-1),
    "unfold": lambda x, size: F.unfold(x, size),
    "max_pool": torch_pool(F.max_pool2d),
    "avg_pool": torch_pool(F.avg_pool2d),
}


def jax_windows(x, size, start, join):
    full = (1, 1, size, size)
    return jax.lax.reduce_window(x, start, join, full, full, "VALID")


def jax_reduce(name):
    f = getattr(jnp, name)
    return lambda x, axis=None, keepdims=False: f(x, axis=axis, keepdims=keepdims)


def jax_conv(x, w, stride, padding):
    n = x.ndim - 2
    return jax.lax.conv_general_dilated(x, w, (stride,) * n, [(padding, padding)] * n)


JAX = {
    **{
        name: getattr(jnp, name)
        for name in [
            "negative",
            "sin",
            "cos",
            "tanh",
            "square",
            "abs",
            "atan",
            "asinh",
            "exp",
            "expm1",
            "sinh",
            "cosh",
            "exp2",
            "log",
            "sqrt",
            "log1p",
            "reciprocal",
            "log2",
            "log10",
            "asin",
            "acos",
            "atanh",
            "add",
            "subtract",
            "multiply",
            "divide",
            "maximum",
            "minimum",
            "power",
            "atan2",
            "hypot",
            "logaddexp",
            "matmul",
            "outer",
            "kron",
            "reshape",
            "broadcast_to",
        ]
    },
    **{
        f"special.{name}": getattr(jsp.special, name)
        for name in [
            "erf",
            "erfc",
            "ndtr",
            "log_ndtr",
            "gammaln",
            "digamma",
            "expit",
            "logit",
            "erfinv",
            "ndtri",
            "entr",
            "i0",
            "i1",
            "xlogy",
            "betaln",
            "gamma",
        ]
    },
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "log_sigmoid": jax.nn.log_sigmoid,
    "hard_tanh": jax.nn.hard_tanh,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "affine": lambda x, a, b: x * a + b,
    "weighed": lambda x, weight: jnp.sum(x * weight),
    "whole_power": lambda x, n: x**n,
    "leaky_relu": lambda x, slope: jax.nn.leaky_relu(x, slope),
    "clip": lambda x, low, high: jnp.clip(x, low, high),
    "where": lambda x, y, z: jnp.where(x > y, x, z),
    "permute_dims": lambda x, axes: jnp.transpose(x, axes),
    "slice": lambda x, index: x[index],
    "gather": lambda x, index: x[np.array(index)],
    "pairs": lambda x, rows, columns: x[np.array(rows), np.array(columns)],
    "put": lambda x, v, index: jnp.stack(replaced(x, v, index)),
    "concat": lambda *xs, axis: jnp.concatenate(xs, axis=axis),
    "stack": lambda *xs, axis: jnp.stack(xs, axis=axis),
    "flip": lambda x, axis: jnp.flip(x, axis),
    "roll": lambda x, shift, axis: jnp.roll(x, shift, axis),
    "repeat": lambda x, n, axis: jnp.repeat(x, n, axis=axis),
    "expand_dims": lambda x, axis: jnp.expand_dims(x, axis),
    "pad": lambda x, widths: jnp.pad(x, widths),
    "tril": lambda x, k: jnp.tril(x, k),
    "triu": lambda x, k: jnp.triu(x, k),
    "split": lambda x, axis, part: jnp.split(x, 2, axis)[part],
    "take_along_axis": lambda x, index, axis: jnp.take_along_axis(x, index, axis),
    "take": lambda x, index, axis: jnp.take(x, np.array(index) % x.shape[axis], axis=axis),
    "scatter_add": lambda x, v, index: x.at[np.array(index)].add(v),
    **{name: jax_reduce(name) for name in ("sum", "mean", "max", "min", "prod", "std", "var")},
    "logsumexp": lambda x, axis=None, keepdims=False: jsp.special.logsumexp(
        x, axis=axis, keepdims=keepdims
    ),
    "softmax": lambda x, axis: jax.nn.softmax(x, axis),
    "log_softmax": lambda x, axis: jax.nn.log_softmax(x, axis),
    "cumsum": lambda x, axis: jnp.cumsum(x, axis),
    "cumprod": lambda x, axis: jnp.cumprod(x, axis),
    "sort": lambda x, axis: jnp.sort(x, axis),
    "median": lambda x, axis: jnp.median(x, axis),
    "einsum": lambda *xs, spec: jnp.einsum(spec, *xs),
    "tensordot": lambda a, b: jnp.tensordot(a, b, axes=1),
    "dominant": lambda x: x + 3 * jnp.eye(x.shape[-1]),
    "gram": lambda x: x @ x.mT + jnp.eye(x.shape[-2]),
    "linalg.solve": jnp.linalg.solve,
    "linalg.inv": jnp.linalg.inv,
    "linalg.det": jnp.linalg.det,
    "linalg.cholesky": jnp.linalg.cholesky,
    "linalg.norm": jnp.linalg.vector_norm,
    "positive": lambda x: +x,
    "cbrt": jnp.cbrt,
    "acosh": jnp.acosh,
    "tan": jnp.tan,
    "sinc": jnp.sinc,
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "special.xlog1py": jsp.special.xlog1py,
    "special.polygamma": lambda x, n: jsp.special.polygamma(n, x),
    "special.beta": jsp.special.beta,
    "ladder": lambda x: x + jnp.diag(jnp.array([0.0, 2.0, 5.0])),
    "linalg.slogdet": lambda a: jnp.linalg.slogdet(a)[1],
    "linalg.eigvalsh": jnp.linalg.eigvalsh,
    "linalg.svdvals": lambda a: jnp.linalg.svd(a, compute_uv=False),
    "linalg.norm_of_rows": lambda x, p: jnp.linalg.vector_norm(x, ord=p, axis=-1),
    "diagonal": lambda x: jnp.diagonal(x, axis1=-2, axis2=-1),
    "tile": lambda x, n: jnp.tile(x, n),
    "conv": jax_conv,
    "conv2": jax_conv,
    "max_pool": lambda x, size: jax_windows(x, size, -jnp.inf, jax.lax.max),
    "avg_pool": lambda x, size: jax_windows(x, size, 0.0, jax.lax.add) / size**2,
}

NOT_IN_TORCH = {"special.j0", "special.j1"}  # there, but without a derivative
NOT_IN_JAX = {"special.j0", "special.j1", "special.erfcx", "conv_transpose", "unfold"}


def test_every_move_has_its_counterparts():
    assert not set(MOVES) - set(TORCH) - NOT_IN_TORCH
    assert not set(MOVES) - set(JAX) - NOT_IN_JAX


def by_overbar(p):
    total, gradient = ob.value_and_grad(
        lambda *xs: p(OVERBAR, *xs), argnums=tuple(range(len(p.xs)))
    )(*p.xs)
    return total, gradient


def by_torch(p):
    torch.set_default_dtype(torch.float64)
    xs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in p.xs]
    total = p(TORCH, *xs)
    gradient = torch.autograd.grad(total, xs, allow_unused=True)
    return total.item(), [
        np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(p.xs, gradient, strict=True)
    ]


def by_jax(p):
    xs = [jnp.asarray(x) for x in p.xs]
    with jax.disable_jit():
        return jax.value_and_grad(lambda *xs: p(JAX, *xs), argnums=tuple(range(len(xs))))(*xs)


def compare(p, judge):
    total, gradient = by_overbar(p)
    theirs, their_gradient = judge(p)
    assert float(total) == pytest.approx(float(theirs), rel=1e-9, abs=1e-9)
    scale = max(1.0, *(float(np.max(np.abs(g), initial=0)) for g in gradient))
    for a, b in zip(gradient, their_gradient, strict=True):
        np.testing.assert_allclose(value(a), np.asarray(b), rtol=1e-9, atol=1e-9 * scale)


@seeds
def test_torch_gives_the_same_values_and_gradients(first):
    for seed in range(first, first + EACH):
        p = program(seed)
        if any(s.name in NOT_IN_TORCH for s in p.steps):
            continue
        with saying(f"seed {seed}:\n{p}"):
            compare(p, by_torch)


@seeds
def test_jax_gives_the_same_values_and_gradients(first):
    for seed in range(first, first + EACH, 5):  # jax takes its time: every fifth
        p = program(seed)
        if any(s.name in NOT_IN_JAX for s in p.steps):
            continue
        with saying(f"seed {seed}:\n{p}"):
            compare(p, by_jax)
