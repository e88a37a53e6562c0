"""The workloads in PyTorch: eager as users write them, and through `torch.compile`.

Compiled training steps are whole ones (gradients by `torch.func`, the update in place), which beats
compiling the forward part alone by 1.2 to 3 times; sequences by scan are `nn.RNN` and `nn.LSTM`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812  as everybody calls it
from torch.utils._pytree import tree_flatten, tree_unflatten

from .task import Task
from .workloads import Data

RUN = 100


def start(threads: int) -> None:
    """So many threads within an operation."""
    torch.set_num_threads(threads)


def look(x: Any) -> np.ndarray:
    """A result as an array of its own."""
    return np.array(x.detach() if isinstance(x, torch.Tensor) else x)


def tensors(x: Any) -> Any:
    """Nested containers of arrays as such of tensors."""
    if isinstance(x, dict):
        return {k: tensors(v) for k, v in x.items()}
    return [tensors(v) for v in x] if isinstance(x, list) else torch.from_numpy(x.copy())


# -- training ---------------------------------------------------------------------------------


def network(activation: Any, params: Any, x: Any) -> Any:
    """A stack of linear layers."""
    layers = list(zip(params[::2], params[1::2], strict=True))
    for i, (w, b) in enumerate(layers):
        x = F.linear(x, w, b)
        if i + 1 < len(layers):
            x = activation(x)
    return x


def sgd(params: Any, grads: Any, state: Any, lr: float) -> None:
    """Plain."""
    for p, g in zip(params, grads, strict=True):
        p.sub_(lr * g)


def momentum(params: Any, grads: Any, state: Any, lr: float) -> None:
    """v = 0.9 v + g"""
    for p, g, v in zip(params, grads, state[0], strict=True):
        v.mul_(0.9).add_(g)
        p.sub_(lr * v)


def adam(params: Any, grads: Any, state: Any, lr: float) -> None:
    """Kingma and Ba, with the customary numbers."""
    m, v, t = state
    t.add_(1)
    c, d = 1 - 0.9**t, 1 - 0.999**t
    for p, g, a, b in zip(params, grads, m, v, strict=True):
        a.mul_(0.9).add_(0.1 * g)
        b.mul_(0.999).add_(0.001 * g * g)
        p.sub_(lr * (a / c) / (torch.sqrt(b / d) + 1e-8))


def rmsprop(params: Any, grads: Any, state: Any, lr: float) -> None:
    """Tieleman and Hinton, with momentum 0.9."""
    for p, g, s, v in zip(params, grads, *state[:2], strict=True):
        s.mul_(0.99).add_(0.01 * g * g)
        v.mul_(0.9).add_(g / (torch.sqrt(s) + 1e-8))
        p.sub_(lr * v)


OPTIMISERS = {
    sgd: partial(torch.optim.SGD, fused=True),
    momentum: partial(torch.optim.SGD, momentum=0.9, fused=True),
    adam: partial(torch.optim.Adam, fused=True),
    rmsprop: partial(torch.optim.RMSprop, momentum=0.9),
}  # fmt: skip


def training(
    d: Data, compiled: bool, forward: Any, update: Any, lr: float, loss: Any = F.cross_entropy
) -> Task:
    """The training step of d["params"]: forward(params, x), update, lr, loss(result, y)."""
    params, x, y = tensors(d["params"]), tensors(d["x"]), tensors(d["y"])
    leaves, shape = tree_flatten(params)
    if compiled:
        state = [[torch.zeros_like(p) for p in leaves] for _ in range(2)]
        state.append(torch.zeros(()))

        @torch.compile
        def whole(leaves: Any, state: Any, x: Any, y: Any) -> Any:
            def value(leaves: Any) -> Any:
                return loss(forward(tree_unflatten(leaves, shape), x), y)

            grads, value = torch.func.grad_and_value(value)(leaves)
            update(leaves, grads, state, lr)
            return value

        return Task(partial(whole, leaves, state, x, y), lambda: params)
    for p in leaves:
        p.requires_grad_()
    return stepping(
        lambda x: forward(params, x), params, x, y, OPTIMISERS[update](leaves, lr=lr), loss
    )


def stepping(
    forward: Any,
    params: Any,
    x: Any,
    y: Any,
    opt: Any,
    loss: Any = F.cross_entropy,
    clip: float | None = None,
) -> Task:
    """The step as everybody writes it."""

    def step() -> Any:
        value = loss(forward(x), y)
        value.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(tree_flatten(params)[0], clip)
        opt.step()
        opt.zero_grad()
        return value

    return Task(step, lambda: params)


def _dense(activation: Any, update: Any, lr: float) -> Any:
    return lambda d, c: training(d, c, partial(network, activation), update, lr)


def small_run(d: Data, compiled: bool) -> Task:
    """A Python loop: there is no other."""
    task = _dense(torch.tanh, sgd, 0.1)(d, compiled)

    def several() -> Any:
        for _ in range(RUN):
            loss = task.call()
        return loss

    return task._replace(call=several)


def cnn(d: Data, compiled: bool) -> Task:
    """Two convolutions and a linear layer."""

    def forward(params: Any, x: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = params
        h = F.max_pool2d(F.relu(F.conv2d(x, w1, b1, padding=2)), 2)
        h = F.max_pool2d(F.relu(F.conv2d(h, w2, b2, padding=2)), 2)
        return F.linear(h.reshape(len(x), -1), w3, b3)

    return training(d, compiled, forward, sgd, 0.05)


# -- functions --------------------------------------------------------------------------------


def _function(f: Any, compiled: bool, *args: Any) -> Task:
    f = torch.compile(f) if compiled else f
    given = [tensors(a) for a in args]
    return Task(partial(torch.no_grad()(f), *given))


def _gradients(f: Any, compiled: bool, *args: Any) -> Task:
    """The vjp of f; eager by its tape, compiled by `torch.func`."""
    *primals, seed = (tensors(a) for a in args)
    if compiled:
        return Task(partial(torch.compile(lambda s, *xs: torch.func.vjp(f, *xs)[1](s)),
                            seed, *primals))  # fmt: skip
    for x in primals:
        x.requires_grad_()
    return Task(lambda: torch.autograd.grad(f(*primals), primals, seed))


def _loss_gradients(loss: Any, params: Any, compiled: bool) -> Task:
    """Loss and gradients of a list or dict of parameters."""
    if compiled:
        f = torch.compile(torch.func.grad_and_value(loss))

        def flipped() -> Any:
            grads, value = f(params)
            return value, grads

        return Task(flipped)
    flat = list(params.values()) if isinstance(params, dict) else params
    for p in flat:
        p.requires_grad_()

    def call() -> Any:
        value = loss(params)
        grads = torch.autograd.grad(value, flat)
        named = dict(zip(params, grads, strict=True)) if isinstance(params, dict) else grads
        return value, named

    return Task(call)


def chain(x: Any) -> Any:
    """Five operations on every number, one of them tanh."""
    return torch.tanh(x * 0.5 + 0.25) * x - 0.125 * x * x


def _layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    return F.layer_norm(x, x.shape[-1:], scale, shift)


def _product(d: Data, compiled: bool) -> Task:
    if compiled:
        return _function(torch.matmul, compiled, d["a"], d["b"])
    a, b = tensors(d["a"]), tensors(d["b"])
    return Task(partial(torch.matmul, a, b, out=a @ b))


def _conv(d: Data, compiled: bool) -> Task:
    return _function(partial(_convolved, **d["settings"]), compiled, d["x"], d["w"])


def _convolved(x: Any, w: Any, **settings: Any) -> Any:
    return F.conv2d(x, w, **settings)


def _conv_grad(d: Data, compiled: bool) -> Task:
    return _gradients(partial(_convolved, **d["settings"]), compiled, d["x"], d["w"], d["seed"])


# -- sequences --------------------------------------------------------------------------------


def rnn(carry: Any, x: Any, w: Any, u: Any) -> Any:
    """One step of a plain cell."""
    return (torch.tanh(F.linear(x, w) + F.linear(carry[0], u)),)


def lstm(carry: Any, x: Any, w: Any, u: Any) -> Any:
    """One step of an LSTM without biases."""
    i, keep, g, o = (F.linear(x, w) + F.linear(carry[0], u)).chunk(4, 1)
    c = torch.sigmoid(keep) * carry[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _sequence(d: Data, compiled: bool, cell: Any, carries: int, scan: bool) -> Task:
    params, xs, y = tensors(d["params"]), tensors(d["x"]), tensors(d["y"])
    w, u, out = params
    if scan:
        kind = torch.nn.RNN if cell is rnn else torch.nn.LSTM
        module = kind(w.shape[1], u.shape[1], bias=False)
        module.load_state_dict({"weight_ih_l0": w, "weight_hh_l0": u})
        params = [*module.parameters(), out]

        def loss(params: Any) -> Any:
            return F.cross_entropy(F.linear(module(xs)[0][-1], params[2]), y)

        return _loss_gradients(torch.compile(loss) if compiled else loss, params, False)
    h = torch.zeros(xs.shape[1], u.shape[1])

    def unrolled(params: Any) -> Any:
        carry = (h,) * carries
        for x in xs.unbind():
            carry = cell(carry, x, params[0], params[1])
        return F.cross_entropy(F.linear(carry[0], params[2]), y)

    return _loss_gradients(unrolled, params, compiled)


def transformer(d: Data, compiled: bool) -> Task:
    """Loss and gradients, attention by torch's own kernel."""
    heads, (x, y) = d["heads"], (tensors(d["x"]), tensors(d["y"]))
    b, t, n = x.shape

    def loss(p: Any) -> Any:
        h = F.layer_norm(x, (n,), p["scale1"], p["shift1"])
        h = F.linear(h, p["w_in"], p["b_in"]).reshape(b, t, 3, heads, n // heads)
        q, k, v = (h[:, :, i].transpose(1, 2) for i in range(3))
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, n)
        z = x + F.linear(h, p["w_out"], p["b_out"])
        h = F.layer_norm(z, (n,), p["scale2"], p["shift2"])
        z = z + F.linear(F.gelu(F.linear(h, p["w_up"], p["b_up"])), p["w_down"], p["b_down"])
        return torch.mean((z - y) ** 2)

    return _loss_gradients(loss, tensors(d["params"]), compiled)


# -- derivatives ------------------------------------------------------------------------------


def jacobian(d: Data, compiled: bool) -> Task:
    """Fewer results than arguments: reverse."""
    f = torch.func.jacrev(lambda x, w1, w2: w2 @ torch.tanh(w1 @ x))
    return _function(f, compiled, d["x"], d["w1"], d["w2"])


def hessian(d: Data, compiled: bool) -> Task:
    """Dense."""
    f = torch.func.hessian(lambda x, a: torch.sum(F.softplus(a @ x)))
    return _function(f, compiled, d["x"], d["a"])


def gradient_4(d: Data, compiled: bool) -> Task:
    """NumPy in and out."""

    def rosenbrock(x: Any) -> Any:
        a, b = x[:-1], x[1:]
        return torch.sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2)

    if compiled:
        f = torch.compile(torch.func.grad(rosenbrock))
        return Task(lambda: f(torch.from_numpy(d["x"])).numpy())

    def call() -> Any:
        x = torch.from_numpy(d["x"]).requires_grad_()
        return torch.autograd.grad(rosenbrock(x), x)[0].numpy()

    return Task(call)


TASKS = {
    "small": _dense(torch.tanh, sgd, 0.1),
    "small_run": small_run,
    "medium": _dense(F.relu, adam, 1e-3),
    "large": _dense(F.relu, momentum, 0.01),
    "cnn": cnn,
    "chain": lambda d, c: _function(chain, c, d["x"]),
    "softmax": lambda d, c: _function(partial(F.softmax, dim=-1), c, d["x"]),
    "layer_norm": lambda d, c: _function(_layer_norm, c, d["x"], d["scale"], d["shift"]),
    "layer_norm_grad": lambda d, c: _gradients(
        _layer_norm, c, d["x"], d["scale"], d["shift"], d["seed"]
    ),
    "gemm_64": _product, "gemm_256": _product, "gemm_1024": _product, "gemm_thin": _product,
    "matvec": _product,
    "conv": _conv, "conv_grad": _conv_grad, "conv_first": _conv, "conv_1x1": _conv,
    "conv_depthwise": _conv,
    "rnn_scan": partial(_sequence, cell=rnn, carries=1, scan=True),
    "rnn_loop": partial(_sequence, cell=rnn, carries=1, scan=False),
    "lstm_scan": partial(_sequence, cell=lstm, carries=2, scan=True),
    "lstm_loop": partial(_sequence, cell=lstm, carries=2, scan=False),
    "transformer": transformer, "jacobian": jacobian, "hessian": hessian,
    "gradient_4": gradient_4,
}  # fmt: skip
