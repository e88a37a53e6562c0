"""Formulas over a namespace of array functions: overbar's, or JAX's.

`xp` has the names of the Array API; `f` those of activations (softmax, gelu, softplus, sigmoid).
"""

from __future__ import annotations

from typing import Any


def chain(xp: Any, x: Any) -> Any:
    """Five operations on every number, one of them tanh."""
    return xp.tanh(x * 0.5 + 0.25) * x - 0.125 * x * x


def layer_norm(xp: Any, x: Any, scale: Any, shift: Any) -> Any:
    """Rows with mean 0 and variance 1, then scaled and shifted."""
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    spread = xp.mean(centred * centred, axis=-1, keepdims=True)
    return centred / xp.sqrt(spread + 1e-5) * scale + shift


def rosenbrock(xp: Any, x: Any) -> Any:
    """A valley, by neighbours."""
    a, b = x[:-1], x[1:]
    return xp.sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2)


def net(xp: Any, x: Any, w1: Any, w2: Any) -> Any:
    """Two layers."""
    return w2 @ xp.tanh(w1 @ x)


def regression(xp: Any, f: Any, x: Any, a: Any) -> Any:
    """Logistic regression's loss, all labels 0."""
    return xp.sum(f.softplus(a @ x))


def rnn(xp: Any, f: Any, carry: Any, x: Any, params: Any) -> Any:
    """One step of a plain cell."""
    w, u = params
    return (xp.tanh(x @ w.T + carry[0] @ u.T),)


def lstm(xp: Any, f: Any, carry: Any, x: Any, params: Any) -> Any:
    """One step of an LSTM without biases; gates in the order i, f, g, o."""
    (h, c), (w, u) = carry, params
    z, n = x @ w.T + h @ u.T, h.shape[-1]
    i, keep, g, o = (z[:, k * n : (k + 1) * n] for k in range(4))
    c = f.sigmoid(keep) * c + f.sigmoid(i) * xp.tanh(g)
    return f.sigmoid(o) * xp.tanh(c), c


def block(xp: Any, f: Any, p: Any, x: Any, heads: int) -> Any:
    """A Transformer block, normalised first."""
    b, t, d = x.shape
    h = layer_norm(xp, x, p["scale1"], p["shift1"])
    h = xp.reshape(h @ p["w_in"].T + p["b_in"], (b, t, 3, heads, d // heads))
    q, k, v = (xp.permute_dims(h[:, :, i], (0, 2, 1, 3)) for i in range(3))
    weights = f.softmax(q @ k.mT * (d // heads) ** -0.5, axis=-1)
    h = xp.reshape(xp.permute_dims(weights @ v, (0, 2, 1, 3)), (b, t, d))
    x = x + h @ p["w_out"].T + p["b_out"]
    h = layer_norm(xp, x, p["scale2"], p["shift2"])
    return x + f.gelu(h @ p["w_up"].T + p["b_up"]) @ p["w_down"].T + p["b_down"]
