"""The workloads in JAX: jitted, buffers donated where that helps."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from . import models
from .task import Task
from .workloads import Data

RUN = 100


def start(threads: int) -> None:
    """Threads are set in the environment: JAX reads them when it is imported."""


def look(x: Any) -> np.ndarray:
    """A result as an array of its own."""
    return np.array(x)


def cross_entropy(z: Any, y: Any) -> Any:
    """Averaged over the batch."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1))


def network(activation: Any, params: Any, x: Any) -> Any:
    """A stack of linear layers."""
    layers = list(zip(params[::2], params[1::2], strict=True))
    for i, (w, b) in enumerate(layers):
        x = x @ w.T + b
        if i + 1 < len(layers):
            x = activation(x)
    return x


def sgd(params: Any, grads: Any, state: Any, lr: float) -> Any:
    """Plain."""
    return [p - lr * g for p, g in zip(params, grads, strict=True)], state


def momentum(params: Any, grads: Any, state: Any, lr: float) -> Any:
    """v = 0.9 v + g"""
    state = [0.9 * v + g for v, g in zip(state, grads, strict=True)]
    return [p - lr * v for p, v in zip(params, state, strict=True)], state


def adam(params: Any, grads: Any, state: Any, lr: float) -> Any:
    """Kingma and Ba, with the customary numbers."""
    m, v, t = state
    t = t + 1
    m = [0.9 * a + 0.1 * g for a, g in zip(m, grads, strict=True)]
    v = [0.999 * a + 0.001 * g * g for a, g in zip(v, grads, strict=True)]
    c, d = 1 - 0.9**t, 1 - 0.999**t
    params = [
        p - lr * (a / c) / (jnp.sqrt(b / d) + 1e-8) for p, a, b in zip(params, m, v, strict=True)
    ]
    return params, (m, v, t)


def rmsprop(params: Any, grads: Any, state: Any, lr: float) -> Any:
    """Tieleman and Hinton, with momentum 0.9; gradients clipped to a norm of 10."""
    s, v = state
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in grads))
    grads = [g * jnp.minimum(10.0 / (norm + 1e-6), 1.0) for g in grads]
    s = [0.99 * a + 0.01 * g * g for a, g in zip(s, grads, strict=True)]
    v = [0.9 * b + g / (jnp.sqrt(a) + 1e-8) for a, b, g in zip(s, v, grads, strict=True)]
    return [p - lr * b for p, b in zip(params, v, strict=True)], (s, v)


STARTS = {
    sgd: lambda zeros: (),
    momentum: lambda zeros: zeros(),
    adam: lambda zeros: (zeros(), zeros(), jnp.float32(0)),
    rmsprop: lambda zeros: (zeros(), zeros()),
}
"""State before the first step."""


class _Training:
    """A step whose parameters and state go round."""

    def __init__(
        self, d: Data, forward: Any, update: Any, lr: float, loss: Any = cross_entropy, run: int = 1
    ) -> None:
        leaves, self.shape = jax.tree_util.tree_flatten(d["params"])
        self.leaves = [jnp.array(p) for p in leaves]
        self.state: Any = STARTS[update](lambda: [jnp.zeros_like(p) for p in self.leaves])
        self.x, self.y = jnp.array(d["x"]), jnp.array(d["y"])

        def value(leaves: Any, x: Any, y: Any) -> Any:
            return loss(forward(self.shape.unflatten(leaves), x), y)

        def step(leaves: Any, state: Any, x: Any, y: Any) -> Any:
            loss, grads = jax.value_and_grad(value)(leaves, x, y)
            return loss, *update(leaves, grads, state, lr)

        def several(leaves: Any, state: Any, x: Any, y: Any) -> Any:
            def body(_: Any, carry: Any) -> Any:
                return step(carry[1], carry[2], x, y)

            return lax.fori_loop(0, run, body, (jnp.float32(0), leaves, state))

        self.step = jax.jit(step if run == 1 else several, donate_argnums=(0, 1))

    def __call__(self) -> Any:
        loss, self.leaves, self.state = self.step(self.leaves, self.state, self.x, self.y)
        jax.block_until_ready((loss, self.leaves, self.state))
        return loss


def training(*args: Any, **kwargs: Any) -> Task:
    """The training step of d["params"]: forward(params, x), update, lr, loss(result, y)."""
    made = _Training(*args, **kwargs)
    return Task(made, lambda: made.shape.unflatten(made.leaves))


def _dense(activation: Any, update: Any, lr: float, run: int = 1) -> Any:
    return lambda d: training(d, partial(network, activation), update, lr, run=run)


def convolved(x: Any, w: Any, settings: Any) -> Any:
    """Two-dimensional."""
    stride, padding = settings["stride"], settings["padding"]
    return lax.conv_general_dilated(
        x, w, (stride, stride), [(padding, padding)] * 2, feature_group_count=settings["groups"]
    )


def cnn(d: Data) -> Task:
    """Two convolutions and a linear layer."""

    def pool(h: Any) -> Any:
        return lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def forward(params: Any, x: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = params
        same = {"stride": 1, "padding": 2, "groups": 1}
        h = pool(jax.nn.relu(convolved(x, w1, same) + b1.reshape(-1, 1, 1)))
        h = pool(jax.nn.relu(convolved(h, w2, same) + b2.reshape(-1, 1, 1)))
        return h.reshape(len(x), -1) @ w3.T + b3

    return training(d, forward, sgd, 0.05)


def function(f: Any, *args: Any) -> Task:
    """The task of calling a function, jitted."""
    f = jax.jit(f)
    args = jax.tree_util.tree_map(jnp.array, args)
    return Task(lambda: jax.block_until_ready(f(*args)))


def _gradients(f: Any, *args: Any) -> Task:
    def gradients(*given: Any) -> Any:
        *primals, seed = given
        return jax.vjp(f, *primals)[1](seed)

    return function(gradients, *args)


def conv(d: Data) -> Task:
    """Forward."""
    return function(partial(convolved, settings=d["settings"]), d["x"], d["w"])


def conv_grad(d: Data) -> Task:
    """Both gradients."""
    return _gradients(partial(convolved, settings=d["settings"]), d["x"], d["w"], d["seed"])


def _sequence(d: Data, cell: Any, carries: int, scan: bool) -> Task:
    h = np.zeros((d["x"].shape[1], d["params"][1].shape[1]), np.float32)

    def loss(params: Any, xs: Any, y: Any) -> Any:
        w, u, out = params
        carry = (jnp.array(h),) * carries
        if scan:
            step = lambda carry, x: (cell(jnp, jax.nn, carry, x, (w, u)), None)  # noqa: E731
            carry, _ = lax.scan(step, carry, xs)
        else:
            for x in xs:
                carry = cell(jnp, jax.nn, carry, x, (w, u))
        return cross_entropy(carry[0] @ out.T, y)

    return function(jax.value_and_grad(loss), d["params"], d["x"], d["y"])


def transformer(d: Data) -> Task:
    """Loss and gradients."""
    f = Activations()

    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean((models.block(jnp, f, p, x, d["heads"]) - y) ** 2)

    return function(jax.value_and_grad(loss), d["params"], d["x"], d["y"])


class Activations:
    """The names that `models` asks for."""

    softmax = staticmethod(jax.nn.softmax)
    gelu = staticmethod(partial(jax.nn.gelu, approximate=False))


def jacobian(d: Data) -> Task:
    """Fewer results than arguments: reverse."""
    return function(jax.jacrev(partial(models.net, jnp)), d["x"], d["w1"], d["w2"])


def hessian(d: Data) -> Task:
    """Dense."""
    return function(jax.hessian(partial(models.regression, jnp, jax.nn)), d["x"], d["a"])


def gradient_4(d: Data) -> Task:
    """NumPy in and out."""
    f, x = jax.jit(jax.grad(partial(models.rosenbrock, jnp))), d["x"]
    return Task(lambda: np.asarray(f(x)))


def _product(d: Data) -> Task:
    return function(lambda a, b: a @ b, d["a"], d["b"])


_layer_norm = partial(models.layer_norm, jnp)

TASKS = {
    "small": _dense(jnp.tanh, sgd, 0.1),
    "small_run": _dense(jnp.tanh, sgd, 0.1, RUN),
    "medium": _dense(jax.nn.relu, adam, 1e-3),
    "large": _dense(jax.nn.relu, momentum, 0.01),
    "cnn": cnn,
    "chain": lambda d: function(partial(models.chain, jnp), d["x"]),
    "softmax": lambda d: function(jax.nn.softmax, d["x"]),
    "layer_norm": lambda d: function(_layer_norm, d["x"], d["scale"], d["shift"]),
    "layer_norm_grad": lambda d: _gradients(
        _layer_norm, d["x"], d["scale"], d["shift"], d["seed"]
    ),
    "gemm_64": _product, "gemm_256": _product, "gemm_1024": _product, "gemm_thin": _product,
    "matvec": _product,
    "conv": conv, "conv_grad": conv_grad, "conv_first": conv, "conv_1x1": conv,
    "conv_depthwise": conv,
    "rnn_scan": partial(_sequence, cell=models.rnn, carries=1, scan=True),
    "rnn_loop": partial(_sequence, cell=models.rnn, carries=1, scan=False),
    "lstm_scan": partial(_sequence, cell=models.lstm, carries=2, scan=True),
    "lstm_loop": partial(_sequence, cell=models.lstm, carries=2, scan=False),
    "transformer": transformer, "jacobian": jacobian, "hessian": hessian,
    "gradient_4": gradient_4,
}  # fmt: skip
