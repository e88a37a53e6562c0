"""The workloads in overbar, as a user would write them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import overbar as ob
from overbar import nn, optim

from . import models
from .task import Task
from .workloads import Data

RUN = 100


def start(threads: int) -> None:
    """Native code on so many threads."""
    ob.config(threads=threads, jit="native")


def look(x: Any) -> np.ndarray:
    """A result as an array of its own."""
    return np.array(x.numpy() if isinstance(x, ob.Tensor) else x)


def _network(d: Data, activation: type[nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n, m in d["pairs"]:
        layers += [nn.Linear(n, m), activation()]
    model = nn.Sequential(*layers[:-1])
    _fill(list(model.parameters()), d)
    return model


def _fill(params: list[Any], d: Data) -> None:
    for p, value in zip(params, d["params"], strict=True):
        p[...] = value


def training(
    forward: Any,
    opt: Any,
    params: Any,
    d: Data,
    loss: Any = nn.functional.cross_entropy,
    clip: float | None = None,
) -> tuple[Any, Task]:
    """The training step, and its task. params: what the optimiser changes, in a list or a dict."""

    @ob.jit
    def step(x: Any, y: Any) -> ob.Tensor:
        value = loss(forward(x), y)
        value.backward()
        if clip is not None:
            optim.clip_grad_norm_(opt.params, clip)
        opt.step()
        opt.zero_grad()  # last: gradients that nobody asks for later need not be stored
        return value

    return step, jitted(step, d["x"], d["y"])._replace(state=lambda: params)


def jitted(f: Any, *args: Any) -> Task:
    """The task of calling a jitted function."""
    return Task(partial(f, *args), report=f.report, memory=lambda: _planned(f.memory()))


def _planned(memory: Any) -> int:
    """Bytes in use at once: what comes in (and is written over), and what the program keeps."""
    return memory.inputs + memory.outputs + memory.constants + memory.arena + memory.workspace


def _small(d: Data) -> tuple[Any, Task]:
    model = _network(d, nn.Tanh)
    params = list(model.parameters())
    return training(model, optim.SGD(params, lr=0.1), params, d)


def small(d: Data) -> Task:
    """SGD."""
    return _small(d)[1]


def small_run(d: Data) -> Task:
    """100 steps in one call."""
    step, task = _small(d)
    return task._replace(call=partial(step.run, RUN, d["x"], d["y"]))


def medium(d: Data) -> Task:
    """Adam."""
    model = _network(d, nn.ReLU)
    params = list(model.parameters())
    return training(model, optim.Adam(params, lr=1e-3), params, d)[1]


def large(d: Data) -> Task:
    """SGD with momentum."""
    model = _network(d, nn.ReLU)
    params = list(model.parameters())
    return training(model, optim.SGD(params, lr=0.01, momentum=0.9), params, d)[1]


def cnn(d: Data) -> Task:
    """Two convolutions and a linear layer."""
    params = [nn.Parameter(value.copy()) for value in d["params"]]
    w1, b1, w2, b2, w3, b3 = params

    def forward(x: Any) -> ob.Tensor:
        h = ob.max_pool(ob.relu(ob.conv(x, w1, padding=2) + b1.reshape(-1, 1, 1)), 2)
        h = ob.max_pool(ob.relu(ob.conv(h, w2, padding=2) + b2.reshape(-1, 1, 1)), 2)
        return h.reshape(len(x), -1) @ w3.T + b3

    return training(forward, optim.SGD(params, lr=0.05), params, d)[1]


def _function(f: Any, *args: Any) -> Task:
    return jitted(ob.jit(f), *args)


def chain(d: Data) -> Task:
    """One kernel, if all is well."""
    return _function(partial(models.chain, ob), d["x"])


def softmax(d: Data) -> Task:
    """Along rows."""
    return _function(partial(ob.softmax, axis=-1), d["x"])


def layer_norm(d: Data) -> Task:
    """Along rows."""
    return _function(partial(models.layer_norm, ob), d["x"], d["scale"], d["shift"])


def layer_norm_grad(d: Data) -> Task:
    """For a given adjoint of the result."""

    def gradients(x: Any, scale: Any, shift: Any, seed: Any) -> Any:
        _, pull = ob.vjp(partial(models.layer_norm, ob), x, scale, shift)
        return pull(seed)

    return _function(gradients, d["x"], d["scale"], d["shift"], d["seed"])


def product(d: Data) -> Task:
    """a @ b"""
    return _function(lambda a, b: a @ b, d["a"], d["b"])


def conv(d: Data) -> Task:
    """Forward."""
    return _function(partial(ob.conv, **d["settings"]), d["x"], d["w"])


def conv_grad(d: Data) -> Task:
    """Both gradients."""

    def gradients(x: Any, w: Any, seed: Any) -> Any:
        _, pull = ob.vjp(partial(ob.conv, **d["settings"]), x, w)
        return pull(seed)

    return _function(gradients, d["x"], d["w"], d["seed"])


def _sequence(d: Data, cell: Any, carries: int, scan: bool) -> Task:
    h = np.zeros((d["x"].shape[1], d["params"][1].shape[1]), np.float32)

    def loss(params: list[Any], xs: Any, y: Any) -> ob.Tensor:
        w, u, out = params
        carry = (ob.asarray(h),) * carries
        if scan:
            step = lambda carry, x: (cell(ob, ob, carry, x, (w, u)), None)  # noqa: E731
            carry, _ = ob.scan(step, carry, xs)
        else:
            for x in xs:
                carry = cell(ob, ob, carry, x, (w, u))
        return nn.functional.cross_entropy(carry[0] @ out.T, y)

    return _function(ob.value_and_grad(loss), d["params"], d["x"], d["y"])


def transformer(d: Data) -> Task:
    """Loss and gradients."""

    def loss(p: dict[str, Any], x: Any, y: Any) -> ob.Tensor:
        return ob.mean((models.block(ob, ob, p, x, d["heads"]) - y) ** 2)

    return _function(ob.value_and_grad(loss), d["params"], d["x"], d["y"])


def jacobian(d: Data) -> Task:
    """Dense."""
    return _function(ob.jacobian(partial(models.net, ob)), d["x"], d["w1"], d["w2"])


def hessian(d: Data) -> Task:
    """Dense."""
    return _function(ob.hessian(partial(models.regression, ob, ob)), d["x"], d["a"])


def gradient_4(d: Data) -> Task:
    """NumPy in and out."""
    f, x = ob.jit(ob.grad(partial(models.rosenbrock, ob))), d["x"]
    return Task(lambda: np.asarray(f(x)), report=f.report)


TASKS = {
    "small": small, "small_run": small_run, "medium": medium, "large": large, "cnn": cnn,
    "chain": chain, "softmax": softmax, "layer_norm": layer_norm,
    "layer_norm_grad": layer_norm_grad,
    "gemm_64": product, "gemm_256": product, "gemm_1024": product, "gemm_thin": product,
    "matvec": product,
    "conv": conv, "conv_grad": conv_grad, "conv_first": conv, "conv_1x1": conv,
    "conv_depthwise": conv,
    "rnn_scan": partial(_sequence, cell=models.rnn, carries=1, scan=True),
    "rnn_loop": partial(_sequence, cell=models.rnn, carries=1, scan=False),
    "lstm_scan": partial(_sequence, cell=models.lstm, carries=2, scan=True),
    "lstm_loop": partial(_sequence, cell=models.lstm, carries=2, scan=False),
    "transformer": transformer, "jacobian": jacobian, "hessian": hessian,
    "gradient_4": gradient_4,
}  # fmt: skip
