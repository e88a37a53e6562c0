"""The networks in overbar, from the layers of `nn` and `models`."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import Any

import overbar as ob
from overbar import nn, optim

from ..ours import jitted, training
from ..task import Task
from ..workloads import Data
from .workloads import HEADS

F = nn.functional


def _training(model: nn.Module, d: Data, opt: Any, **how: Any) -> Task:
    model.load_state_dict(d["params"])
    params = dict(model.named_parameters())
    return training(model, opt(params), params, d, **how)[1]


def _using(model: nn.Module, d: Data, read: Any = lambda y: y) -> Task:
    model.load_state_dict(d["params"])
    model.eval()

    @ob.jit
    @ob.no_grad()
    def answer(x: Any) -> ob.Tensor:
        return read(model(x))

    return jitted(answer, d["x"])


def cnn() -> nn.Module:
    """Three convolutions, each with pooling, and a linear layer."""
    layers: list[nn.Module] = []
    for n, m in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(n, m, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 10))


def alexnet(d: Data) -> nn.Module:
    """As the library has it."""
    return ob.models.AlexNet(len(d["params"]["classifier.7.bias"]), dropout=0.0)


class Reader(nn.Module):
    """A recurrent layer, and a linear one of its last output; by a loop in Python, if asked."""

    def __init__(self, d: Data, kind: type[nn.Module], cell: Any = None) -> None:
        inner, hidden = d["x"].shape[2], d["params"]["out.weight"].shape[1]
        self.layer, self.out, self.cell = kind(inner, hidden), nn.Linear(hidden, 10), cell

    def forward(self, x: Any) -> ob.Tensor:
        if self.cell is None:
            return self.out(self.layer(x)[0][-1])
        state, weights = None, list(self.layer.parameters())
        for z in ob.asarray(x):
            state = self.cell(z, state, *weights)
        return self.out(state[0] if isinstance(state, tuple) else state)


def machine(d: Data) -> nn.NTM:
    """With one head of each kind."""
    p = d["params"]
    hidden, (_, rows), width = p["out.weight"].shape[1], p["first_at"].shape, len(p["first_read"])
    return nn.NTM(d["x"].shape[2], len(p["out.bias"]), hidden - width, rows, width)


def copied(result: Any, y: Any) -> ob.Tensor:
    """Nats per bit of what is said after the sign."""
    return F.binary_cross_entropy_with_logits(result[0][len(y) + 1 :], y)


def blocks(d: Data) -> nn.Module:
    """Transformer blocks, normalised first."""
    width = d["x"].shape[2]
    layer = nn.TransformerEncoderLayer(
        width, HEADS, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, sum(name.endswith("norm1.bias") for name in d["params"]))


_SGD = partial(optim.SGD, lr=0.05)
_ADAM = partial(optim.Adam, lr=1e-4)

TASKS = {
    "cnn_train": lambda d: _training(cnn(), d, _SGD),
    "cnn_use": lambda d: _using(cnn(), d),
    "alexnet_train": lambda d: _training(
        alexnet(d), d, partial(optim.SGD, lr=1e-3, momentum=0.9)
    ),
    "alexnet_use": lambda d: _using(alexnet(d), d),
    "rnn_train": lambda d: _training(Reader(d, nn.RNN), d, _SGD),
    "rnn_loop_train": lambda d: _training(Reader(d, nn.RNN, F.rnn_cell), d, _SGD),
    "rnn_use": lambda d: _using(Reader(d, nn.RNN), d),
    "lstm_train": lambda d: _training(Reader(d, nn.LSTM), d, _SGD),
    "lstm_loop_train": lambda d: _training(Reader(d, nn.LSTM, F.lstm_cell), d, _SGD),
    "lstm_use": lambda d: _using(Reader(d, nn.LSTM), d),
    "ntm_train": lambda d: _training(
        machine(d), d, partial(optim.RMSprop, lr=1e-4, momentum=0.9), loss=copied, clip=10.0
    ),
    "ntm_use": lambda d: _using(machine(d), d, itemgetter(0)),
    "transformer_train": lambda d: _training(blocks(d), d, _ADAM, loss=F.mse_loss),
    "transformer_use": lambda d: _using(blocks(d), d),
    "deep_train": lambda d: _training(blocks(d), d, _ADAM, loss=F.mse_loss),
}  # fmt: skip
