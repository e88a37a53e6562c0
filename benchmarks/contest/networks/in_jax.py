"""The networks in JAX: functions of a dictionary of parameters, jitted as a whole."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .. import models
from ..in_jax import Activations, adam, function, momentum, rmsprop, sgd, training
from ..task import Task
from ..workloads import Data
from .workloads import HEADS


def _using(forward: Any, d: Data) -> Task:
    return function(forward, d["params"], d["x"])


def _linear(p: Any, name: str, x: Any) -> Any:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _conv(p: Any, name: str, x: Any, stride: int = 1, padding: int = 1, groups: int = 1) -> Any:
    """With channels last, and groups apart: their gradients are else 2 to 3 times as slow."""
    w = p[f"{name}.weight"].transpose(2, 3, 1, 0)
    parts = [
        lax.conv_general_dilated(
            part, own, (stride, stride), [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        for part, own in zip(jnp.split(x, groups, 3), jnp.split(w, groups, 3), strict=True)
    ]  # fmt: skip
    return jax.nn.relu(jnp.concatenate(parts, 3) + p[f"{name}.bias"])


def _pool(x: Any, window: int) -> Any:
    """Every second place."""
    sizes, strides = (1, window, window, 1), (1, 2, 2, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, sizes, strides, "VALID")


def _flat(x: Any) -> Any:
    """As the linear layers know it: channels first."""
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def cnn(p: Any, x: Any) -> Any:
    """Three convolutions, each with pooling, and a linear layer."""
    x = x.transpose(0, 2, 3, 1)
    for name in ("0", "3", "6"):
        x = _pool(_conv(p, name, x), 2)
    return _linear(p, "10", _flat(x))


def _response_norm(x: Any) -> Any:
    """Krizhevsky's: by the squares of five neighbouring channels."""
    window, border = (1, 1, 1, 5), [(0, 0), (0, 0), (0, 0), (2, 2)]
    near = lax.reduce_window(x * x, 0.0, lax.add, window, (1, 1, 1, 1), border)
    return x * (2.0 + 1e-4 * near) ** -0.75


def alexnet(p: Any, x: Any) -> Any:
    """The original."""
    x = _conv(p, "features.0", x.transpose(0, 2, 3, 1), stride=4, padding=2)
    x = _pool(_response_norm(x), 3)
    x = _pool(_response_norm(_conv(p, "features.4", x, padding=2, groups=2)), 3)
    x = _conv(p, "features.8", x)
    x = _conv(p, "features.10", x, groups=2)
    x = _flat(_pool(_conv(p, "features.12", x, groups=2), 3))
    for name in ("classifier.2", "classifier.5"):
        x = jax.nn.relu(_linear(p, name, x))
    return _linear(p, "classifier.7", x)


# -- sequences --------------------------------------------------------------------------------


def _reader(cell: Any, carries: int, *, unroll: int = 1) -> Any:
    """A recurrent layer, and a linear one of its last output. All inputs are projected at once."""

    def forward(p: Any, x: Any) -> Any:
        bias = p["layer.bias_ih_l0"] + p["layer.bias_hh_l0"]
        u = p["layer.weight_hh_l0"].T
        start = (jnp.zeros((x.shape[1], len(u)), x.dtype),) * carries
        step = lambda carry, z: (cell(carry, z, u), None)  # noqa: E731
        last, _ = lax.scan(step, start, x @ p["layer.weight_ih_l0"].T + bias, unroll=unroll)
        return _linear(p, "out", last[0])

    return forward


def _rnn(carry: Any, z: Any, u: Any) -> Any:
    return (jnp.tanh(z + carry[0] @ u),)


def _lstm(carry: Any, z: Any, u: Any) -> Any:
    h, c = carry
    i, f, g, o = jnp.split(z + h @ u, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def machine(p: Any, x: Any) -> Any:
    """A Neural Turing machine with one head that reads and one that writes."""
    n, width, hidden = x.shape[1], len(p["first_read"]), p["content.weight"].shape[1]
    heads, rows = p["first_at"].shape

    def step(state: Any, x: Any) -> Any:
        memory, at, read, h, c = state
        z = jnp.concatenate([x, read], 1) @ p["controller.weight_ih"].T + p["controller.bias_ih"]
        (h, c) = _lstm((h, c), z + p["controller.bias_hh"], p["controller.weight_hh"].T)
        told = _linear(p, "address", h).reshape(n, heads, -1)
        key, strength = jnp.tanh(told[..., :width]), jax.nn.softplus(told[..., width, None])
        lengths = jnp.sum(key * key, -1)[..., None] * jnp.sum(memory * memory, -1)[:, None]
        near = key @ memory.mT / jnp.sqrt(lengths + 0.01)
        gate = jax.nn.sigmoid(told[..., width + 1, None])
        w = gate * jax.nn.softmax(strength * near) + (1 - gate) * at
        shift = jax.nn.softmax(told[..., width + 2 : width + 5])
        w = sum(shift[..., j, None] * jnp.roll(w, j - 1, -1) for j in range(3))
        sharp = 1 + jax.nn.softplus(told[..., width + 5, None])
        at = jax.nn.softmax(sharp * jnp.log(w + 1e-12))
        erase, add = jnp.split(_linear(p, "content", h), 2, 1)
        where = at[:, 1, :, None]
        memory = memory * (1 - where * jax.nn.sigmoid(erase)[:, None])
        memory = memory + where * jnp.tanh(add)[:, None]
        read = (at[:, :1] @ memory)[:, 0]
        return (memory, at, read, h, c), _linear(p, "out", jnp.concatenate([h, read], 1))

    start = (
        jnp.full((n, rows, width), 1e-6, x.dtype),
        jnp.broadcast_to(jax.nn.softmax(p["first_at"]), (n, heads, rows)),
        jnp.broadcast_to(jnp.tanh(p["first_read"]), (n, width)),
        jnp.zeros((n, hidden), x.dtype),
        jnp.zeros((n, hidden), x.dtype),
    )
    return lax.scan(step, start, x)[1]


def copied(result: Any, y: Any) -> Any:
    """Nats per bit of what is said after the sign."""
    z = result[len(y) + 1 :]
    return jnp.mean(jax.nn.softplus(z) - z * y)


# -- attention --------------------------------------------------------------------------------

_NAMES = {
    "scale1": "norm1.weight", "shift1": "norm1.bias", "scale2": "norm2.weight",
    "shift2": "norm2.bias", "w_in": "self_attn.in_proj_weight", "b_in": "self_attn.in_proj_bias",
    "w_out": "self_attn.out_proj.weight", "b_out": "self_attn.out_proj.bias",
    "w_up": "linear1.weight", "b_up": "linear1.bias",
    "w_down": "linear2.weight", "b_down": "linear2.bias",
}  # fmt: skip


def blocks(p: Any, x: Any) -> Any:
    """Transformer blocks, one after the other."""
    f = Activations()
    for k in range(sum(name.endswith("norm1.bias") for name in p)):
        own = {name: p[f"layers.{k}.{theirs}"] for name, theirs in _NAMES.items()}
        x = models.block(jnp, f, own, x, HEADS)
    return x


def _attending(d: Data) -> Task:
    return training(d, blocks, adam, 1e-4, lambda z, y: jnp.mean((z - y) ** 2))


def _reading(forward: Any) -> Any:
    return lambda d: training(d, forward, sgd, 0.05)


_read_rnn, _read_lstm = _reader(_rnn, 1, unroll=8), _reader(_lstm, 2)
"""As many steps in one round of the loop as is best; a loop in Python is slower for both."""


TASKS = {
    "cnn_train": lambda d: training(d, cnn, sgd, 0.05),
    "cnn_use": partial(_using, cnn),
    "alexnet_train": lambda d: training(d, alexnet, momentum, 1e-3),
    "alexnet_use": partial(_using, alexnet),
    "rnn_train": _reading(_read_rnn), "rnn_loop_train": _reading(_read_rnn),
    "rnn_use": partial(_using, _read_rnn),
    "lstm_train": _reading(_read_lstm), "lstm_loop_train": _reading(_read_lstm),
    "lstm_use": partial(_using, _read_lstm),
    "ntm_train": lambda d: training(d, machine, rmsprop, 1e-4, copied),
    "ntm_use": partial(_using, machine),
    "transformer_train": _attending,
    "transformer_use": partial(_using, blocks),
    "deep_train": _attending,
}  # fmt: skip
