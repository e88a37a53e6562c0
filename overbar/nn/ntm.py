"""The Neural Turing Machine: a controller beside a memory that it reads and writes by attention."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import overbar as ob
from overbar.errors import ShapeError

from . import init
from .linear import Linear, like
from .module import Module
from .recurrent import LSTMCell
from .roles import Parameter

__all__ = ["NTM", "NTMState"]


class NTMState(NamedTuple):
    """Between two steps: memory (N, rows, width), where each head looks (N, heads, rows), what was
    read (N, read heads · width), and the controller's own state.
    """

    memory: ob.Tensor
    at: ob.Tensor
    read: ob.Tensor
    h: ob.Tensor
    c: ob.Tensor


class NTM(Module):
    """A network with a memory of `rows` rows of `width` numbers, all of it differentiable.

    At each step an LSTM sees the input and what was read last, and tells every head where to look:

        by content   w_c = softmax(β cos(k, M))         a key k, its strength β
        gated        w_g = g w_c + (1 − g) w            or where it looked before
        shifted      w_s(i) = Σ_j s(j) w_g(i − j)       one to the left, stay, one to the right
        sharpened    w = w_s^γ / Σ w_s^γ

    Write heads then erase and add, M ← M (1 − w e) + w a, and read heads read w M.

    Start:   all heads look at the first row, and move rather than search: the bias of the gate is
             near −2, that of the sharpness γ = 1 + softplus near 2. A head that looks everywhere
             at once, as a random start has it, gets the same small gradient from every row; one
             that looks somewhere finds out at once what a step to the left or right would bring.
    Shapes:  x (T, N, d)  ->  y (T, N, o), and the state; the outputs are logits
    Source:  Graves, Wayne, Danihelka (2014), Neural Turing machines. The memory starts as a small
             constant: Collier, Beel (2018), Implementing neural Turing machines.
    Example:
        >>> machine = ob.nn.NTM(3, 2, rows=8, width=4, read_heads=2)
        >>> y, state = machine(np.ones((5, 7, 3)))
        >>> y.shape, state.memory.shape, state.at.shape
        ((5, 7, 2), (7, 8, 4), (7, 3, 8))
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        hidden_size: int = 100,
        rows: int = 128,
        width: int = 20,
        read_heads: int = 1,
        write_heads: int = 1,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        if min(hidden_size, rows, width, read_heads, write_heads) < 1:
            raise ShapeError("NTM: it needs a memory and heads of each kind", want="sizes from 1")
        self.input_size, self.output_size, self.hidden_size = input_size, output_size, hidden_size
        self.rows, self.width = rows, width
        self.read_heads, self.write_heads = read_heads, write_heads
        how = {"rng": rng, "dtype": dtype}
        heads, reads = read_heads + write_heads, read_heads * width
        self.controller = LSTMCell(input_size + reads, hidden_size, **how)
        self.address = Linear(hidden_size, heads * (width + 6), **how)
        self.content = Linear(hidden_size, write_heads * 2 * width, **how)
        self.out = Linear(hidden_size + reads, output_size, **how)
        bias: Any = self.address.bias
        told = np.zeros((heads, width + 6), bias.dtype)
        told[:, width + 1], told[:, width + 5] = -2, 2  # the gate, the sharpness
        self.address.bias = Parameter(bias.detach() + told.ravel())
        looked = np.zeros((heads, rows), told.dtype)
        looked[:, 0] = 8
        self.first_at = Parameter(ob.tensor(looked))
        self.first_read = Parameter(init.uniform((reads,), 0.01, **how))

    def start(self, n: int) -> NTMState:
        """The state that n sequences begin with."""
        dtype = self.first_at.dtype
        heads = self.read_heads + self.write_heads
        none = ob.zeros((n, self.hidden_size), dtype=dtype)
        return NTMState(
            memory=ob.full((n, self.rows, self.width), 1e-6, dtype=dtype),
            at=ob.broadcast_to(ob.softmax(self.first_at), (n, heads, self.rows)),
            read=ob.broadcast_to(ob.tanh(self.first_read), (n, self.first_read.shape[0])),
            h=none,
            c=none,
        )

    def step(self, x: Any, state: NTMState) -> tuple[ob.Tensor, NTMState]:
        """The output for one input (N, d), and the state after it."""
        h, c = self.controller(ob.concat([like(x, state.h), state.read], axis=-1), state[3:])
        at = self._looked(self.address(h), state)
        reading, writing = at[:, : self.read_heads], at[:, self.read_heads :]
        memory = self._written(state.memory, writing, self.content(h))
        read = ob.reshape(reading @ memory, state.read.shape)
        y = self.out(ob.concat([h, read], axis=-1))
        return y, NTMState(memory, at, read, h, c)

    def _looked(self, told: ob.Tensor, state: NTMState) -> ob.Tensor:
        """Where each head looks now: content, gate, shift, sharpening."""
        n, heads, _ = state.at.shape
        told, k = ob.reshape(told, (n, heads, -1)), self.width
        key, strength = ob.tanh(told[..., :k]), ob.softplus(told[..., k, None])
        gate = ob.sigmoid(told[..., k + 1, None])
        shift = ob.softmax(told[..., k + 2 : k + 5])
        sharp = 1 + ob.softplus(told[..., k + 5, None])
        w = gate * ob.softmax(strength * _cosines(key, state.memory)) + (1 - gate) * state.at
        w = sum(shift[..., j, None] * ob.roll(w, j - 1, axis=-1) for j in range(3))
        return ob.softmax(sharp * ob.log(w + 1e-12))  # w^γ, divided by its sum

    def _written(self, memory: ob.Tensor, at: ob.Tensor, told: ob.Tensor) -> ob.Tensor:
        """The memory after all heads have erased, then all added."""
        told = ob.reshape(told, (len(memory), self.write_heads, -1))
        erase, add = ob.sigmoid(told[..., : self.width]), ob.tanh(told[..., self.width :])
        for i in range(self.write_heads):
            memory = memory * (1 - at[:, i, :, None] * erase[:, i, None, :])
        return memory + at.mT @ add

    def forward(self, x: Any, state: NTMState | None = None) -> tuple[ob.Tensor, NTMState]:
        x = like(x, self.first_at)
        if x.ndim != 3 or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"NTM: it takes {self.input_size} features",
                got={"x": x},
                want=f"x: (T, N, {self.input_size})",
            )

        def step(state: NTMState, x: ob.Tensor) -> tuple[NTMState, ob.Tensor]:
            y, state = self.step(x, state)
            return state, y

        last, y = ob.scan(step, self.start(x.shape[1]) if state is None else state, x)
        return y, last


def _cosines(key: ob.Tensor, memory: ob.Tensor) -> ob.Tensor:
    """cos of the angles between keys (N, heads, width) and rows (N, rows, width).

    A row hardly written has no direction yet, and a gradient of |k| / |m| would make one of it that
    grows without bound from step to step; so lengths below 1/10 count less and less.
    """
    lengths = ob.sum(key * key, -1)[..., None] * ob.sum(memory * memory, -1)[:, None]
    return key @ memory.mT / ob.sqrt(lengths + 0.01)
