"""Recurrent networks as layers: RNN, LSTM, GRU, and their single steps.

Names, layouts and shapes are PyTorch's. What they compute is in `recurrence`.
"""

from __future__ import annotations

import math
from typing import Any

import overbar as ob
from overbar.errors import DomainError, ShapeError

from . import init
from .dropout import dropout
from .linear import like
from .module import Module
from .recurrence import (
    GRU_KIND,
    LSTM_KIND,
    Kind,
    State,
    Weights,
    all_steps,
    begun,
    one_step,
    simple_kind,
)
from .roles import Parameter

__all__ = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]

_SUFFIX = ("", "_reverse")


def weight_shapes(gates: int, size: int, hidden: int, bias: bool) -> dict[str, tuple[int, ...]]:
    """Shapes by name: the rows of all gates, one gate below the other."""
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih": (gates * hidden, size),
        "weight_hh": (gates * hidden, hidden),
    }
    rows = (gates * hidden,)
    return shapes | ({"bias_ih": rows, "bias_hh": rows} if bias else {})


class _Recurrent(Module):
    """Layers upon layers of one kind; the subclasses say of which."""

    kind: Kind

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        what = type(self).__name__
        if hidden_size < 1 or num_layers < 1 or input_size < 0:
            raise ShapeError(
                f"{what}: {num_layers} layers from {input_size} to {hidden_size}",
                want="at least one layer and one hidden number",
            )
        if not 0 <= dropout <= 1:
            raise DomainError(f"{what}: dropout={dropout} is no probability", want="0 to 1")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first = bias, batch_first
        self.dropout, self.bidirectional = dropout, bool(bidirectional)
        for layer in range(num_layers):
            size = input_size if layer == 0 else hidden_size * (1 + self.bidirectional)
            for backward in range(1 + self.bidirectional):
                shapes = weight_shapes(self.kind.gates, size, hidden_size, bias)
                for name, shape in shapes.items():
                    start = init.uniform(shape, 1 / math.sqrt(hidden_size), rng=rng, dtype=dtype)
                    setattr(self, f"{name}_l{layer}{_SUFFIX[backward]}", Parameter(start))

    def _weights(self, layer: int, backward: int) -> Weights:
        names = weight_shapes(1, 1, 1, self.bias)
        return Weights(*(getattr(self, f"{n}_l{layer}{_SUFFIX[backward]}") for n in names))

    def forward(self, x: Any, state: Any = None, *, lengths: Any = None) -> tuple[ob.Tensor, Any]:
        x = ob.asarray(x)
        swapped = self.batch_first and x.ndim == 3
        x = ob.swapaxes(x, 0, 1) if swapped else x
        whole = state if self.kind.states == 2 or state is None else (state,)
        begin = self._begin(x, whole)
        last = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = dropout(x, self.dropout, self.training)
            ys = []
            for backward in range(1 + self.bidirectional):
                at = None if begin is None else tuple(part[len(last)] for part in begin)
                w = self._weights(layer, backward)
                y, state = all_steps(self.kind, x, at, w, lengths, bool(backward))
                ys.append(y)
                last.append(state)
            x = ys[0] if len(ys) == 1 else ob.concat(ys, axis=-1)
        ends = tuple(ob.stack(list(parts)) for parts in zip(*last, strict=True))
        return ob.swapaxes(x, 0, 1) if swapped else x, ends if len(ends) == 2 else ends[0]

    def _begin(self, x: ob.Tensor, state: Any) -> State | None:
        if state is None:
            return None
        shape = (
            self.num_layers * (1 + self.bidirectional),
            *x.shape[1:-1],
            self.hidden_size,
        )
        return begun(self.kind, state, shape, like(x, self.weight_ih_l0))  # type: ignore[attr-defined]


class RNN(_Recurrent):
    """h_t = tanh(x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh), or relu, layer upon layer.

    Called with (x, h, lengths=) it gives (y, h): the last layer's states after every step, and the
    last state of every layer; h=None is zeros. To carry on, give the next call the state.

    Shapes:  x (T, N, d), or (N, T, d) if batch_first, or (T, d);
             y (T, N, n), or 2 n if bidirectional; h (layers · directions, N, n);
             weight_ih_l0 (n, d), weight_hh_l0 (n, n), bias_ih_l0 and bias_hh_l0 (n,), and so on:
             `_l1`, ... for further layers, `_l0_reverse` for the backward direction
    lengths: (N,), how long each sequence is.
    dropout: between layers, in training.
    Start:   uniform on ±1/√n.
    Example:
        >>> layer = ob.nn.RNN(3, 5, num_layers=2)
        >>> y, h = layer(np.ones((7, 4, 3)))
        >>> y.shape, h.shape
        ((7, 4, 5), (2, 4, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        self.nonlinearity, self.kind = nonlinearity, simple_kind(nonlinearity)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            rng=rng,
            dtype=dtype,
        )


class LSTM(_Recurrent):
    """c' = f c + i g and h' = o tanh c' at every step, layer upon layer.

    As `RNN`, but the state is a pair (h, c), and the weights have 4 n rows: those of i, f, g, o.

    Source:  Hochreiter, Schmidhuber (1997), Long short-term memory; the forget gate is that of
             Gers, Schmidhuber, Cummins (2000).
    Example:
        >>> layer = ob.nn.LSTM(3, 5, batch_first=True, bidirectional=True)
        >>> y, (h, c) = layer(np.ones((2, 7, 3)), lengths=[7, 4])
        >>> y.shape, h.shape, float(abs(y[1, 4:]).sum())
        ((2, 7, 10), (2, 2, 5), 0.0)
    """

    kind = LSTM_KIND


class GRU(_Recurrent):
    """h' = (1 − z) n + z h at every step, n = tanh(W_in x + b_in + r (W_hn h + b_hn)).

    As `RNN`, but the weights have 3 n rows: those of r, z and n.

    Source:  Cho et al. (2014), Learning phrase representations using RNN encoder-decoder; the reset
             gate is applied after the product, as in PyTorch and cuDNN.
    """

    kind = GRU_KIND


class _Cell(Module):
    """One step; the subclasses say of which kind."""

    kind: Kind

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        if hidden_size < 1 or input_size < 0:
            raise ShapeError(
                f"{type(self).__name__}: from {input_size} to {hidden_size}",
                want="at least one hidden number",
            )
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        for name, shape in weight_shapes(self.kind.gates, input_size, hidden_size, bias).items():
            start = init.uniform(shape, 1 / math.sqrt(hidden_size), rng=rng, dtype=dtype)
            setattr(self, name, Parameter(start))

    def forward(self, x: Any, state: Any = None) -> Any:
        whole = state if self.kind.states == 2 or state is None else (state,)
        names = weight_shapes(1, 1, 1, self.bias)
        after = one_step(self.kind, x, whole, Weights(*(getattr(self, name) for name in names)))
        return after if len(after) == 2 else after[0]


class RNNCell(_Cell):
    """h' = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh), or relu: one step of an `RNN`.

    Shapes:  x (N, d) or (d,), h (N, n) or (n,), by default zeros  ->  h';
             weight_ih (n, d), weight_hh (n, n), bias_ih and bias_hh (n,)
    Start:   uniform on ±1/√n.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        self.nonlinearity, self.kind = nonlinearity, simple_kind(nonlinearity)
        super().__init__(input_size, hidden_size, bias, rng=rng, dtype=dtype)


class LSTMCell(_Cell):
    """One step of an `LSTM`: (x, (h, c)) gives (h', c')."""

    kind = LSTM_KIND


class GRUCell(_Cell):
    """One step of a `GRU`: (x, h) gives h'."""

    kind = GRU_KIND
