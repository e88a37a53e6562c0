"""The networks in PyTorch: its own layers, and where there is a choice, the fastest.

Compiled steps are whole, as in `..in_torch`, but for two: the layers `nn.RNN` and `nn.LSTM` are
programs of their own that no compiler looks into, and of the Turing machine one step is compiled,
not the 41 of a sequence, which would take minutes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812  as everybody calls it

from ..in_torch import OPTIMISERS, adam, momentum, rmsprop, sgd, stepping, tensors, training
from ..task import Task
from ..workloads import Data
from .workloads import HEADS


def _filled(model: nn.Module, d: Data) -> nn.Module:
    model.load_state_dict(tensors(d["params"]), assign=True)
    return model


def _made(make: Any, d: Data) -> nn.Module:
    with torch.device("meta"):
        model = make(d)
    model.load_state_dict(tensors(d["params"]), assign=True)
    return model


def compile_forward(model: nn.Module) -> None:
    """`model.compile()` is not seen by a call within `torch.inference_mode`."""
    model.forward = torch.compile(model.forward)


def _training(
    make: Any, d: Data, compiled: bool, update: Any, lr: float, *,
    loss: Any = F.cross_entropy, clip: float | None = None, partly: Any = None,
) -> Task:  # fmt: skip
    """partly: compiles some of a model, where the whole step cannot be."""
    if compiled and partly is None:
        with torch.device("meta"):
            model = make(d)
        return training(d, True, lambda p, x: functional_call(model, p, x), update, lr, loss)
    model = _made(make, d)
    if compiled:
        partly(model)
    params = dict(model.named_parameters())
    opt = OPTIMISERS[update](params.values(), lr=lr)
    return stepping(model, params, tensors(d["x"]), tensors(d["y"]), opt, loss, clip)


def _using(make: Any, d: Data, compiled: bool, *, partly: Any = compile_forward) -> Task:
    model = _made(make, d).eval()
    if compiled:
        partly(model)
    return Task(partial(torch.inference_mode()(model), tensors(d["x"])))


# -- images -----------------------------------------------------------------------------------


def cnn(d: Data) -> nn.Module:
    """Three convolutions, each with pooling, and a linear layer."""
    layers: list[nn.Module] = []
    for n, m in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(n, m, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 10))


class AlexNet(nn.Module):
    """The original."""

    def __init__(self, d: Data) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, stride=4, padding=2), nn.ReLU(),
            nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0), nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(),
            nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0), nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Identity(), nn.Linear(9216, 4096), nn.ReLU(), nn.Identity(),
            nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, len(d["params"]["classifier.7.bias"])),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))


# -- sequences --------------------------------------------------------------------------------


class Reader(nn.Module):
    """A recurrent layer, and a linear one of its last output."""

    def __init__(self, d: Data, kind: type[nn.Module]) -> None:
        super().__init__()
        inner, hidden = d["x"].shape[2], d["params"]["out.weight"].shape[1]
        self.layer, self.out = kind(inner, hidden), nn.Linear(hidden, 10)

    def forward(self, x: Any) -> Any:
        return self.out(self.layer(x)[0][-1])


class Loop(Reader):
    """The same in Python: what a compiler can look into. All inputs are projected at once."""

    def forward(self, x: Any) -> Any:
        w, u, b, c = self.layer.parameters()
        h = s = x.new_zeros(x.shape[1], u.shape[1])
        for z in F.linear(x, w, b + c).unbind():
            z = F.linear(h, u) + z
            if len(w) == len(u[0]):
                h = torch.tanh(z)
                continue
            i, f, g, o = z.chunk(4, 1)
            s = torch.sigmoid(f) * s + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(s)
        return self.out(h)


def _read(kind: type[nn.Module]) -> Any:
    """By the layer, which is the fastest."""
    make = partial(Reader, kind=kind)
    return lambda d, c: _training(make, d, c, sgd, 0.05, partly=compile_forward)


def _looped(kind: type[nn.Module]) -> Any:
    """By the layer, too: the loop is for the compiler."""
    return lambda d, c: _training(partial(Loop if c else Reader, kind=kind), d, c, sgd, 0.05)


class Machine(nn.Module):
    """A Neural Turing machine with one head that reads and one that writes."""

    def __init__(self, d: Data) -> None:
        super().__init__()
        p = d["params"]
        self.rows, self.width = p["first_at"].shape[1], len(p["first_read"])
        inner, hidden = d["x"].shape[2] + self.width, p["content.weight"].shape[1]
        self.controller = nn.LSTMCell(inner, hidden)
        self.address = nn.Linear(hidden, 2 * (self.width + 6))
        self.content = nn.Linear(hidden, 2 * self.width)
        self.out = nn.Linear(hidden + self.width, len(p["out.bias"]))
        self.first_at = nn.Parameter(torch.empty(2, self.rows))
        self.first_read = nn.Parameter(torch.empty(self.width))

    def compile_step(self) -> None:
        """One step, not the sequence."""
        self.step = torch.compile(self.step)

    def step(self, x: Any, memory: Any, at: Any, read: Any, h: Any, c: Any) -> Any:
        """The output, and the state after it."""
        h, c = self.controller(torch.cat([x, read], 1), (h, c))
        told = self.address(h).unflatten(1, (2, -1))
        key, strength, gate, shift, sharp = told.split([self.width, 1, 1, 3, 1], -1)
        key = torch.tanh(key)
        lengths = key.square().sum(-1)[..., None] * memory.square().sum(-1)[:, None]
        near = key @ memory.mT / torch.sqrt(lengths + 0.01)
        gate = torch.sigmoid(gate)
        w = gate * torch.softmax(F.softplus(strength) * near, -1) + (1 - gate) * at
        shift = torch.softmax(shift, -1)
        w = sum(shift[..., j, None] * torch.roll(w, j - 1, -1) for j in range(3))
        at = torch.softmax((1 + F.softplus(sharp)) * torch.log(w + 1e-12), -1)
        erase, add = self.content(h).chunk(2, 1)
        where = at[:, 1, :, None]
        memory = memory * (1 - where * torch.sigmoid(erase)[:, None])
        memory = memory + where * torch.tanh(add)[:, None]
        read = (at[:, :1] @ memory)[:, 0]
        return self.out(torch.cat([h, read], 1)), memory, at, read, h, c

    def forward(self, x: Any) -> Any:
        n, results = x.shape[1], []
        state = (
            x.new_full((n, self.rows, self.width), 1e-6),
            torch.softmax(self.first_at, -1).repeat(n, 1, 1),
            torch.tanh(self.first_read).repeat(n, 1),
            x.new_zeros(n, self.content.in_features),
            x.new_zeros(n, self.content.in_features),
        )
        for now in x.unbind():
            y, *state = self.step(now, *state)
            results.append(y)
        return torch.stack(results)


def _ntm_train(d: Data, compiled: bool) -> Task:
    def copied(result: Any, y: Any) -> Any:
        return F.binary_cross_entropy_with_logits(result[len(y) + 1 :], y)

    how = {"loss": copied, "clip": 10.0, "partly": Machine.compile_step}
    return _training(Machine, d, compiled, rmsprop, 1e-4, **how)


# -- attention --------------------------------------------------------------------------------


class Block(nn.Module):
    """A Transformer block, normalised first, with torch's own kernel of attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, HEADS)
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Any) -> Any:
        a = self.self_attn
        told = F.linear(self.norm1(x), a.in_proj_weight, a.in_proj_bias)
        q, k, v = told.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + a.out_proj(y)
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


class Blocks(nn.Module):
    """One after the other."""

    def __init__(self, d: Data) -> None:
        super().__init__()
        count = sum(name.endswith("norm1.bias") for name in d["params"])
        self.layers = nn.Sequential(*(Block(d["x"].shape[2]) for _ in range(count)))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


def _attending(d: Data, compiled: bool) -> Task:
    return _training(Blocks, d, compiled, adam, 1e-4, loss=F.mse_loss)


TASKS = {
    "cnn_train": lambda d, c: _training(cnn, d, c, sgd, 0.05),
    "cnn_use": lambda d, c: _using(cnn, d, c),
    "alexnet_train": lambda d, c: _training(AlexNet, d, c, momentum, 1e-3),
    "alexnet_use": lambda d, c: _using(AlexNet, d, c),
    "rnn_train": _read(nn.RNN), "rnn_loop_train": _looped(nn.RNN),
    "rnn_use": lambda d, c: _using(partial(Reader, kind=nn.RNN), d, c),
    "lstm_train": _read(nn.LSTM), "lstm_loop_train": _looped(nn.LSTM),
    "lstm_use": lambda d, c: _using(partial(Reader, kind=nn.LSTM), d, c),
    "ntm_train": _ntm_train,
    "ntm_use": lambda d, c: _using(Machine, d, c, partly=Machine.compile_step),
    "transformer_train": _attending,
    "transformer_use": lambda d, c: _using(Blocks, d, c),
    "deep_train": _attending,
}  # fmt: skip
