"""What is computed: the data, how many operations and bytes it takes at least, and the goals.

A workload's numbers are drawn here, once, with a fixed seed; every library gets the same. `flops`
counts multiplications and additions of the products only (elementwise work is not counted);
`bytes` is the traffic with main memory that no fusion can remove, and 0 where all fits into the
caches. Both together give the floor that a figure is held to: no program on this machine is faster
than the larger of flops / peak and bytes / bandwidth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Data = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """One thing to compute.

    data    draws the numbers; given True, few of them
    jax, torch   so many times as fast as the best of each we want to be
    share   of the floor's speed that we want to reach
    steps   in one call
    first   seconds that our first call, which compiles, may take
    memory  of a process: so many times as much as torch's we want to take at most
    """

    title: str
    data: Callable[[bool], Data]
    flops: Callable[[Data], float] = lambda d: 0.0
    bytes: Callable[[Data], float] = lambda d: 0.0
    jax: float = 1.0
    torch: float = 1.0
    share: float | None = None
    steps: int = 1
    first: float | None = None
    memory: float | None = None


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> np.ndarray:
    return (rng.normal(size=shape) * scale).astype(np.float32)


def _matrix(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return _normal(rng, rows, columns, scale=columns**-0.5)


# -- networks ---------------------------------------------------------------------------------


def _network(sizes: tuple[int, ...], batch: int, **more: Any) -> Callable[[bool], Data]:
    def data(tiny: bool) -> Data:
        rng, b = _rng(), 4 if tiny else batch
        widths = tuple(min(s, 16) for s in sizes) if tiny else sizes
        pairs = list(pairwise(widths))
        params = []
        for n, m in pairs:
            params += [_matrix(rng, m, n), np.zeros(m, np.float32)]
        x, y = _normal(rng, b, widths[0]), rng.integers(0, widths[-1], b)
        return {"params": params, "x": x, "y": y, "pairs": pairs, **more}

    return data


def _network_flops(d: Data) -> float:
    """Each layer's product and its two gradients; the first layer's input needs none."""
    batch = len(d["x"])
    return sum(2 * batch * n * m * (2 if i == 0 else 3) for i, (n, m) in enumerate(d["pairs"]))


def _large_bytes(d: Data) -> float:
    """Parameters and momentum, both read and written."""
    return 4 * sum(p.nbytes for p in d["params"])


def _cnn(tiny: bool) -> Data:
    rng, b = _rng(), 2 if tiny else 64
    params = [
        _normal(rng, 16, 1, 5, 5, scale=0.2), np.zeros(16, np.float32),
        _normal(rng, 32, 16, 5, 5, scale=0.05), np.zeros(32, np.float32),
        _matrix(rng, 10, 32 * 7 * 7), np.zeros(10, np.float32),
    ]  # fmt: skip
    return {"params": params, "x": _normal(rng, b, 1, 28, 28), "y": rng.integers(0, 10, b)}


def _cnn_flops(d: Data) -> float:
    first, second, last = 28 * 28 * 16 * 25, 14 * 14 * 32 * 16 * 25, 32 * 49 * 10
    return 2 * len(d["x"]) * (2 * first + 3 * second + 3 * last)


# -- memory -----------------------------------------------------------------------------------


def _chain(tiny: bool) -> Data:
    return {"x": _normal(_rng(), 1000 if tiny else 1 << 24)}


def _rows(tiny: bool) -> Data:
    rng, (n, m) = _rng(), (4, 8) if tiny else (16384, 1024)
    return {
        "x": _normal(rng, n, m), "scale": 1 + _normal(rng, m, scale=0.1),
        "shift": _normal(rng, m), "seed": _normal(rng, n, m),
    }  # fmt: skip


# -- products ---------------------------------------------------------------------------------


def _product(m: int, n: int, k: int) -> Callable[[bool], Data]:
    def data(tiny: bool) -> Data:
        rng = _rng()
        shapes = [(m, k), (k, n) if n else (k,)]
        a, b = (_normal(rng, *(min(s, 12) if tiny else s for s in shape)) for shape in shapes)
        return {"a": a, "b": b}

    return data


def _product_flops(d: Data) -> float:
    return 2.0 * d["a"].size * (d["b"].size // len(d["b"]))


def _image(
    batch: int, channels: int, size: int, filters: int, window: int, **more: int
) -> Callable[[bool], Data]:
    def data(tiny: bool) -> Data:
        rng, groups = _rng(), more.get("groups", 1)
        b, s = (2, window + 3) if tiny else (batch, size)
        w = _normal(rng, filters, channels // groups, window, window, scale=0.05)
        settings = {"stride": 1, "padding": window // 2, "groups": 1, **more}
        out = (s + 2 * settings["padding"] - window) // settings["stride"] + 1
        return {
            "x": _normal(rng, b, channels, s, s), "w": w, "settings": settings,
            "seed": _normal(rng, b, filters, out, out),
        }  # fmt: skip

    return data


def _image_flops(times: int) -> Callable[[Data], float]:
    return lambda d: times * 2.0 * d["seed"].size * d["w"][0].size


# -- sequences --------------------------------------------------------------------------------


def _sequence(gates: int) -> Callable[[bool], Data]:
    def data(tiny: bool) -> Data:
        rng = _rng()
        t, b, n, h = (3, 2, 4, 8) if tiny else (64, 32, 64, 128)
        params = [
            _matrix(rng, gates * h, n), _matrix(rng, gates * h, h), _matrix(rng, 10, h)
        ]  # fmt: skip
        return {"params": params, "x": _normal(rng, t, b, n), "y": rng.integers(0, 10, b)}

    return data


def _sequence_flops(d: Data) -> float:
    w, u, _ = d["params"]
    t, b, _ = d["x"].shape
    return 2.0 * t * b * (2 * w.size + 3 * u.size)


def _block(tiny: bool) -> Data:
    rng, (b, t, d, heads) = _rng(), (2, 4, 8, 2) if tiny else (4, 128, 512, 8)
    ones, zeros = np.ones(d, np.float32), np.zeros(d, np.float32)
    params = {
        "scale1": ones, "shift1": zeros, "scale2": ones, "shift2": zeros,
        "w_in": _matrix(rng, 3 * d, d), "b_in": np.zeros(3 * d, np.float32),
        "w_out": _matrix(rng, d, d), "b_out": zeros,
        "w_up": _matrix(rng, 4 * d, d), "b_up": np.zeros(4 * d, np.float32),
        "w_down": _matrix(rng, d, 4 * d), "b_down": zeros,
    }  # fmt: skip
    x, y = _normal(rng, b, t, d), _normal(rng, b, t, d)
    return {"params": params, "x": x, "y": y, "heads": heads}


def _block_flops(d: Data) -> float:
    b, t, n = d["x"].shape
    return 3 * (2.0 * b * t * 12 * n * n + 4.0 * b * t * t * n)


# -- derivatives ------------------------------------------------------------------------------


def _net(tiny: bool) -> Data:
    rng, (n, h, m) = _rng(), (3, 5, 2) if tiny else (128, 256, 64)
    return {"x": _normal(rng, n), "w1": _matrix(rng, h, n), "w2": _matrix(rng, m, h)}


def _net_flops(d: Data) -> float:
    (h, n), (m, _) = d["w1"].shape, d["w2"].shape
    return 2.0 * m * h * n


def _regression(tiny: bool) -> Data:
    rng, (n, m) = _rng(), (6, 3) if tiny else (512, 64)
    return {"x": _normal(rng, m, scale=0.1), "a": _normal(rng, n, m)}


def _regression_flops(d: Data) -> float:
    n, m = d["a"].shape
    return 2.0 * n * m * m


WORKLOADS: dict[str, Workload] = {
    "small": Workload(
        "64-32-10 training step, SGD, tanh, batch 32",
        _network((64, 32, 10), 32), _network_flops, jax=4, torch=25,
    ),
    "small_run": Workload(
        "the same, 100 steps in one call (`step.run`; JAX: `fori_loop`)",
        _network((64, 32, 10), 32), lambda d: 100 * _network_flops(d), jax=1, torch=25, steps=100,
    ),
    "medium": Workload(
        "784-512-256-10 training step, Adam, relu, batch 128",
        _network((784, 512, 256, 10), 128), _network_flops, jax=1.6, torch=2.5, share=0.85,
    ),
    "large": Workload(
        "1024-4096-4096-1024 training step, momentum, relu, batch 512",
        _network((1024, 4096, 4096, 1024), 512), _network_flops, _large_bytes, share=0.85,
    ),
    "chain": Workload(
        "elementwise chain over 16 million numbers", _chain, bytes=lambda d: 2 * d["x"].nbytes
    ),
    "softmax": Workload("softmax of 16384 x 1024", _rows, bytes=lambda d: 2 * d["x"].nbytes),
    "layer_norm": Workload("layer norm of 16384 x 1024", _rows, bytes=lambda d: 2 * d["x"].nbytes),
    "layer_norm_grad": Workload(
        "its gradients (x, scale, shift)", _rows, bytes=lambda d: 3 * d["x"].nbytes
    ),
    "gemm_64": Workload("product 64 x 64 x 64", _product(64, 64, 64), _product_flops),
    "gemm_256": Workload("product 256 x 256 x 256", _product(256, 256, 256), _product_flops),
    "gemm_1024": Workload(
        "product 1024 x 1024 x 1024", _product(1024, 1024, 1024), _product_flops, share=0.85
    ),
    "gemm_thin": Workload("product 4096 x 64 x 512", _product(4096, 64, 512), _product_flops),
    "matvec": Workload(
        "4096 x 4096 matrix and vector", _product(4096, 0, 4096), bytes=lambda d: d["a"].nbytes
    ),
    "conv": Workload(
        "convolution 3 x 3, 64 to 64, 32 images of 28 x 28",
        _image(32, 64, 28, 64, 3), _image_flops(1),
    ),
    "conv_grad": Workload("its two gradients", _image(32, 64, 28, 64, 3), _image_flops(2)),
    "conv_first": Workload(
        "convolution 7 x 7, 3 to 64, stride 2, 8 images of 112 x 112",
        _image(8, 3, 112, 64, 7, stride=2), _image_flops(1),
    ),
    "conv_1x1": Workload(
        "convolution 1 x 1, 256 to 64, 32 images of 14 x 14",
        _image(32, 256, 14, 64, 1), _image_flops(1),
    ),
    "conv_depthwise": Workload(
        "convolution 3 x 3 by channel, 128 channels, 16 images of 28 x 28",
        _image(16, 128, 28, 128, 3, groups=128), _image_flops(1),
    ),
    "cnn": Workload(
        "convolutional network 28 x 28, 16 and 32 filters 5 x 5, pooling, SGD, batch 64",
        _cnn, _cnn_flops,
    ),
    "rnn_scan": Workload("RNN, 64 steps, gradient, by scan", _sequence(1), _sequence_flops),
    "rnn_loop": Workload("the same by a Python loop", _sequence(1), _sequence_flops),
    "lstm_scan": Workload("LSTM, 64 steps, gradient, by scan", _sequence(4), _sequence_flops),
    "lstm_loop": Workload("the same by a Python loop", _sequence(4), _sequence_flops),
    "transformer": Workload(
        "Transformer block, width 512, 4 x 128 tokens, gradient", _block, _block_flops
    ),
    "jacobian": Workload("Jacobian of a 128-256-64 network", _net, _net_flops),
    "hessian": Workload(
        "Hessian of a sum of 512 softplus terms, 64 numbers", _regression, _regression_flops
    ),
    "gradient_4": Workload(
        "gradient of a function of 4 numbers, NumPy in and out",
        lambda tiny: {"x": np.array([1.2, 0.9, 1.1, 1.3], np.float32)}, jax=4, torch=25,
    ),
}  # fmt: skip
