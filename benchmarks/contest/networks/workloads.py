"""Whole networks: one step of training each, and what they say about a single example.

Initial values are drawn here, under the names that a `state_dict` has, and scaled so that training
makes progress from the first step. Dropout is off: nobody draws the bits of somebody else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..workloads import Data, Workload

Params = dict[str, np.ndarray]

HEADS = 4
"""Of attention."""


def _uniform(rng: np.random.Generator, inner: int, *shape: int) -> np.ndarray:
    """PyTorch's start: within 1 / √(numbers that come in)."""
    x = rng.random(shape, np.float32)
    x -= np.float32(0.5)
    x *= np.float32(2 * inner**-0.5)
    return x


def _affine(rng: np.random.Generator, name: str, *shape: int, gain: float = 1.0) -> Params:
    """The weight of a linear map or a convolution, outputs first, and its bias."""
    inner = int(np.prod(shape[1:]))
    weight = _uniform(rng, inner, *shape)
    weight *= np.float32(gain)
    return {f"{name}.weight": weight, f"{name}.bias": _uniform(rng, inner, shape[0])}


def _examples(rng: np.random.Generator, classes: int, *shape: int) -> Data:
    x = rng.standard_normal(shape, np.float32)
    return {"x": x, "y": rng.integers(0, classes, shape[0])}


def _single(data: Callable[[bool], Data], axis: int = 0) -> Callable[[bool], Data]:
    """The same network and one example."""

    def one(tiny: bool) -> Data:
        d = data(tiny)
        return d | {"x": np.ascontiguousarray(d["x"].take([0], axis))}

    return one


def _bytes(times: int) -> Callable[[Data], float]:
    return lambda d: float(times * sum(p.nbytes for p in d["params"].values()))


# -- images -----------------------------------------------------------------------------------


def _cnn(tiny: bool) -> Data:
    rng = np.random.default_rng(0)
    params: Params = {}
    for name, out, inner in (("0", 32, 3), ("3", 64, 32), ("6", 128, 64)):
        params |= _affine(rng, name, out, inner, 3, 3, gain=2.0)
    params |= _affine(rng, "10", 10, 128 * 4 * 4)
    return {"params": params, **_examples(rng, 10, 2 if tiny else 64, 3, 32, 32)}


def _cnn_macs(d: Data) -> list[float]:
    sides = (32, 16, 8, 1)
    weights = [p for name, p in d["params"].items() if name.endswith("weight")]
    return [float(s * s * w.size) for s, w in zip(sides, weights, strict=True)]


ALEXNET = ((0, 96, 3, 11, 55), (4, 256, 48, 5, 27), (8, 384, 256, 3, 13), (10, 384, 192, 3, 13),
           (12, 256, 192, 3, 13))  # fmt: skip
"""Of its convolutions: the place, channels out, in (of a group), the window, the side of a map."""


def _alexnet(tiny: bool) -> Data:
    rng, classes = np.random.default_rng(0), 10 if tiny else 1000
    params: Params = {}
    for place, out, inner, window, _ in ALEXNET:
        params |= _affine(rng, f"features.{place}", out, inner, window, window, gain=2.0)
    for place, out, inner in ((2, 4096, 9216), (5, 4096, 4096), (7, classes, 4096)):
        params |= _affine(rng, f"classifier.{place}", out, inner, gain=2.0)
    return {"params": params, **_examples(rng, classes, 1 if tiny else 8, 3, 224, 224)}


def _alexnet_macs(d: Data) -> list[float]:
    convolutions = [out * inner * window**2 * side**2 for _, out, inner, window, side in ALEXNET]
    linear = [p.size for name, p in d["params"].items() if p.ndim == 2]
    return [float(macs) for macs in convolutions + linear]


def _trained(macs: Callable[[Data], list[float]]) -> Callable[[Data], float]:
    """Each layer's product and its two gradients; the first layer's input needs none."""
    return lambda d: 2 * len(d["x"]) * (3 * sum(macs(d)) - macs(d)[0])


def _used(macs: Callable[[Data], list[float]]) -> Callable[[Data], float]:
    return lambda d: 2 * len(d["x"]) * sum(macs(d))


# -- sequences --------------------------------------------------------------------------------


def _sequence(gates: int) -> Callable[[bool], Data]:
    def data(tiny: bool) -> Data:
        rng = np.random.default_rng(0)
        t, b, n, h = (3, 2, 4, 8) if tiny else (64, 32, 64, 128)
        params = {}
        for name, inner in (("ih", n), ("hh", h)):
            params[f"layer.weight_{name}_l0"] = _uniform(rng, h, gates * h, inner)
            params[f"layer.bias_{name}_l0"] = _uniform(rng, h, gates * h)
        params |= _affine(rng, "out", 10, h)
        x = rng.standard_normal((t, b, n), np.float32)
        return {"params": params, "x": x, "y": rng.integers(0, 10, b)}

    return data


def _sequence_flops(d: Data, *, trained: bool) -> float:
    t, b, _ = d["x"].shape
    w, u = (d["params"][f"layer.weight_{name}_l0"].size for name in ("ih", "hh"))
    return 2.0 * t * b * (2 * w + 3 * u if trained else w + u)


def _ntm(tiny: bool) -> Data:
    """A sequence of bits, a sign, and nothing: then it should say the bits."""
    rng = np.random.default_rng(0)
    length, b, bits, h, rows, width = (2, 2, 3, 8, 6, 4) if tiny else (20, 16, 8, 100, 128, 20)
    params: Params = {}
    for name, inner in (("ih", bits + 1 + width), ("hh", h)):
        params[f"controller.weight_{name}"] = _uniform(rng, h, 4 * h, inner)
        params[f"controller.bias_{name}"] = _uniform(rng, h, 4 * h)
    params |= _affine(rng, "address", 2 * (width + 6), h)
    params |= _affine(rng, "content", 2 * width, h)
    params |= _affine(rng, "out", bits, h + width)
    params["first_at"] = rng.standard_normal((2, rows), np.float32)
    params["first_read"] = _uniform(rng, 10000, width)
    y = rng.integers(0, 2, (length, b, bits)).astype(np.float32)
    x = np.zeros((2 * length + 1, b, bits + 1), np.float32)
    x[:length, :, :bits] = y
    x[length, :, bits] = 1
    return {"params": params, "x": x, "y": y}


def _ntm_flops(d: Data, *, trained: bool) -> float:
    """The maps, and three passes over the memory: keys, written, read."""
    t, b, _ = d["x"].shape
    maps = [p.size for name, p in d["params"].items() if p.ndim == 2 and name != "first_at"]
    rows, width = d["params"]["first_at"].shape[1], d["params"]["first_read"].size
    return 2.0 * t * b * (sum(maps) + 4 * rows * width) * (3 if trained else 1)


# -- attention --------------------------------------------------------------------------------


def _transformer(layers: int, batch: int) -> Callable[[bool], Data]:
    def data(tiny: bool) -> Data:
        rng = np.random.default_rng(0)
        b, t, n = (2, 4, 8) if tiny else (batch, 128, 256)
        params: Params = {}
        for k in range(min(layers, 2) if tiny else layers):
            at = f"layers.{k}"
            for name, out, inner in (
                ("self_attn.in_proj_", 3 * n, n), ("self_attn.out_proj.", n, n),
                ("linear1.", 4 * n, n), ("linear2.", n, 4 * n),
            ):  # fmt: skip
                params[f"{at}.{name}weight"] = _uniform(rng, inner, out, inner)
                params[f"{at}.{name}bias"] = _uniform(rng, inner, out)
            for name in ("norm1", "norm2"):
                params[f"{at}.{name}.weight"] = 1 + _uniform(rng, n, n)
                params[f"{at}.{name}.bias"] = _uniform(rng, n, n)
        x, y = (rng.standard_normal((b, t, n), np.float32) for _ in range(2))
        return {"params": params, "x": x, "y": y}

    return data


def _transformer_flops(d: Data, *, trained: bool) -> float:
    b, t, n = d["x"].shape
    maps = sum(p.size for p in d["params"].values() if p.ndim == 2)
    layers = sum(name.endswith("norm1.weight") for name in d["params"])
    return (3 if trained else 1) * (2.0 * b * t * maps + 4.0 * b * t * t * n * layers)


# ---------------------------------------------------------------------------------------------


def _both(flops: Callable[..., float]) -> tuple[Callable[[Data], float], Callable[[Data], float]]:
    return lambda d: flops(d, trained=True), lambda d: flops(d, trained=False)


_sequence_trained, _sequence_used = _both(_sequence_flops)
_ntm_trained, _ntm_used = _both(_ntm_flops)
_transformer_trained, _transformer_used = _both(_transformer_flops)

NETWORKS: dict[str, Workload] = {
    "cnn_train": Workload(
        "small CNN, 3 convolutions 3 x 3, 64 images 3 x 32 x 32, SGD", _cnn, _trained(_cnn_macs),
        jax=1.2, torch=1.2,
    ),
    "cnn_use": Workload("the same, one image", _single(_cnn), _used(_cnn_macs)),
    "alexnet_train": Workload(
        "AlexNet, 8 images 3 x 224 x 224, SGD with momentum", _alexnet, _trained(_alexnet_macs),
        _bytes(5), jax=1.2, torch=1.2, first=2.0, memory=0.8,
    ),
    "alexnet_use": Workload(
        "the same, one image", _single(_alexnet), _used(_alexnet_macs), _bytes(1)
    ),
    "rnn_train": Workload(
        "tanh RNN, 64 steps, 32 sequences, 64 to 128, SGD; ours by scan",
        _sequence(1), _sequence_trained, jax=3, torch=3,
    ),
    "rnn_loop_train": Workload(
        "the same; ours by a Python loop", _sequence(1), _sequence_trained, jax=3, torch=3
    ),
    "rnn_use": Workload("the same, one sequence", _single(_sequence(1), 1), _sequence_used),
    "lstm_train": Workload(
        "LSTM, 64 steps, 32 sequences, 64 to 128, SGD; ours by scan",
        _sequence(4), _sequence_trained, jax=3, torch=3,
    ),
    "lstm_loop_train": Workload(
        "the same; ours by a Python loop", _sequence(4), _sequence_trained, jax=3, torch=3
    ),
    "lstm_use": Workload("the same, one sequence", _single(_sequence(4), 1), _sequence_used),
    "ntm_train": Workload(
        "Neural Turing machine, copy of length 20, memory 128 x 20, 16 sequences, RMSprop",
        _ntm, _ntm_trained, jax=3, torch=3,
    ),
    "ntm_use": Workload("the same, one sequence", _single(_ntm, 1), _ntm_used),
    "transformer_train": Workload(
        "Transformer block, width 256, 4 heads, 8 x 128 tokens, Adam",
        _transformer(1, 8), _transformer_trained, jax=1.5, torch=1.5,
    ),
    "transformer_use": Workload(
        "the same, one sequence", _single(_transformer(1, 8)), _transformer_used
    ),
    "deep_train": Workload(
        "12 such blocks, 4 x 128 tokens, Adam", _transformer(12, 4), _transformer_trained,
        jax=1.5, torch=1.5, first=2.0, memory=0.8,
    ),
}  # fmt: skip
