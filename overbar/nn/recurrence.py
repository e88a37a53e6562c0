"""Recurrences: the steps of RNN, LSTM and GRU, and the loops over whole sequences.

The inputs of all steps are projected by one matrix product before the loop; the loop, a single
`ob.scan`, adds what comes from the state. Names and layouts of the parameters are PyTorch's.

With `lengths`, a sequence ends where it ends: after that its outputs are 0 and its state stays; a
backward direction starts from its own last entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import overbar as ob
from overbar.errors import DomainError, DTypeError, ShapeError

from .linear import like, linear

__all__ = ["rnn", "lstm", "gru", "rnn_cell", "lstm_cell", "gru_cell"]

State = tuple[ob.Tensor, ...]

# -- one step ---------------------------------------------------------------------------------
# z is what the input brings to a step, x W_ihᵀ + b_ih, and b_hh too where it is just added.


def _simple(activation: Callable[[Any], ob.Tensor]) -> Callable[..., State]:
    def step(z: Any, state: State, weight: ob.Tensor, bias: ob.Tensor | None) -> State:
        return (activation(z + state[0] @ weight.mT),)

    return step


def _lstm(z: Any, state: State, weight: ob.Tensor, bias: ob.Tensor | None) -> State:
    h, c = state
    z, n = z + h @ weight.mT, h.shape[-1]
    i, f, o = (ob.sigmoid(z[..., k * n : (k + 1) * n]) for k in (0, 1, 3))
    c = f * c + i * ob.tanh(z[..., 2 * n : 3 * n])
    return o * ob.tanh(c), c


def _gru(z: Any, state: State, weight: ob.Tensor, bias: ob.Tensor | None) -> State:
    (h,) = state
    u, n = linear(h, weight, bias), h.shape[-1]
    reset = ob.sigmoid(z[..., :n] + u[..., :n])
    keep = ob.sigmoid(z[..., n : 2 * n] + u[..., n : 2 * n])
    new = ob.tanh(z[..., 2 * n :] + reset * u[..., 2 * n :])
    return (new + keep * (h - new),)


class Kind(NamedTuple):
    """What tells the three apart."""

    name: str
    gates: int  # how many rows of weights, in units of hidden_size
    states: int
    step: Callable[..., State]
    adds: bool  # whether b_hh is just added, so that it goes with the inputs


LSTM_KIND, GRU_KIND = Kind("LSTM", 4, 2, _lstm, True), Kind("GRU", 3, 1, _gru, False)
_SIMPLE = {name: Kind("RNN", 1, 1, _simple(getattr(ob, name)), True) for name in ("tanh", "relu")}


def simple_kind(nonlinearity: str) -> Kind:
    if nonlinearity not in _SIMPLE:
        raise DomainError(
            f"RNN: nonlinearity={nonlinearity!r} is not a choice", want='"tanh" or "relu"'
        )
    return _SIMPLE[nonlinearity]


class Weights(NamedTuple):
    weight_ih: ob.Tensor
    weight_hh: ob.Tensor
    bias_ih: ob.Tensor | None = None
    bias_hh: ob.Tensor | None = None


def _inputs(kind: Kind, x: ob.Tensor, w: Weights) -> ob.Tensor:
    """What the inputs bring to their steps, all at once."""
    bias = w.bias_ih if w.bias_hh is None or not kind.adds else w.bias_ih + w.bias_hh
    return linear(x, w.weight_ih, bias)


def one_step(kind: Kind, x: Any, state: State | None, w: Weights) -> State:
    x = _features(kind, x, w)
    shape = (*x.shape[:-1], w.weight_hh.shape[1])
    begin = begun(kind, state, shape, x)
    return kind.step(_inputs(kind, x, w), begin, w.weight_hh, w.bias_hh)


def rnn_cell(
    x: Any,
    h: Any,
    weight_ih: ob.Tensor,
    weight_hh: ob.Tensor,
    bias_ih: ob.Tensor | None = None,
    bias_hh: ob.Tensor | None = None,
    nonlinearity: str = "tanh",
) -> ob.Tensor:
    """h' = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh), or relu of it.

    Shapes:  x (N, d) or (d,), h (N, n)  ->  (N, n);   weight_ih (n, d), weight_hh (n, n)
    """
    w = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    return one_step(simple_kind(nonlinearity), x, None if h is None else (h,), w)[0]


def lstm_cell(
    x: Any,
    state: Any,
    weight_ih: ob.Tensor,
    weight_hh: ob.Tensor,
    bias_ih: ob.Tensor | None = None,
    bias_hh: ob.Tensor | None = None,
) -> State:
    """c' = f c + i g and h' = o tanh c', with the gates i, f, g, o from x and h.

    Shapes:  x (N, d) or (d,), state (h, c) of (N, n) each  ->  (h', c');
             weight_ih (4 n, d), weight_hh (4 n, n): the rows of i, f, g and o
    """
    return one_step(LSTM_KIND, x, state, Weights(weight_ih, weight_hh, bias_ih, bias_hh))


def gru_cell(
    x: Any,
    h: Any,
    weight_ih: ob.Tensor,
    weight_hh: ob.Tensor,
    bias_ih: ob.Tensor | None = None,
    bias_hh: ob.Tensor | None = None,
) -> ob.Tensor:
    """h' = (1 − z) n + z h, with n = tanh(W_in x + b_in + r (W_hn h + b_hn)) and gates r and z.

    Shapes:  x (N, d) or (d,), h (N, n)  ->  (N, n);
             weight_ih (3 n, d), weight_hh (3 n, n): the rows of r, z and n
    """
    w = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    return one_step(GRU_KIND, x, None if h is None else (h,), w)[0]


# -- a sequence -------------------------------------------------------------------------------


def all_steps(
    kind: Kind, x: Any, state: State | None, w: Weights, lengths: Any, reverse: bool
) -> tuple[ob.Tensor, State]:
    """The outputs of all steps, and the last state: one layer, one direction."""
    x = _features(kind, x, w)
    if x.ndim not in (2, 3):
        raise ShapeError(
            f"{kind.name}: x has {x.ndim} axes", got={"x": x}, want="x: (T, N, d) or (T, d)"
        )
    begin = begun(kind, state, (*x.shape[1:-1], w.weight_hh.shape[1]), x)
    z = _inputs(kind, x, w)
    if lengths is None:

        def step(state: State, z: ob.Tensor) -> tuple[State, ob.Tensor]:
            after = kind.step(z, state, w.weight_hh, w.bias_hh)
            return after, after[0]

        last, y = ob.scan(step, begin, z, reverse=reverse)
        return y, last

    def masked(state: State, row: tuple[ob.Tensor, ob.Tensor]) -> tuple[State, ob.Tensor]:
        z, live = row
        after = kind.step(z, state, w.weight_hh, w.bias_hh)
        kept = tuple(ob.where(live, a, s) for a, s in zip(after, state, strict=True))
        return kept, ob.where(live, after[0], 0)

    last, y = ob.scan(masked, begin, (z, _live(kind, x, lengths)), reverse=reverse)
    return y, last


def _live(kind: Kind, x: ob.Tensor, lengths: Any) -> ob.Tensor:
    """Whether a sequence still runs: (T, N, 1)."""
    lengths, steps = ob.asarray(lengths), x.shape[0]
    if lengths.dtype.kind not in "iu":
        raise DTypeError(f"{kind.name}: lengths are whole numbers", got={"lengths": lengths})
    if lengths.shape != x.shape[1:-1]:
        raise ShapeError(
            f"{kind.name}: one length per sequence is wanted",
            got={"x": x, "lengths": lengths},
            want=f"lengths: {list(x.shape[1:-1])}",
        )
    lengths = ob.within(lengths, 0, steps, name=f"{kind.name}: lengths")
    counts = ob.reshape(ob.arange(steps), (steps, *(1,) * x.ndim)[: x.ndim])
    return counts < lengths[..., None]


def _features(kind: Kind, x: Any, w: Weights) -> ob.Tensor:
    x = like(x, w.weight_ih)
    if not x.ndim or x.shape[-1] != w.weight_ih.shape[1]:
        raise ShapeError(
            f"{kind.name}: the weights take {w.weight_ih.shape[1]} features",
            got={"x": x, "weight_ih": w.weight_ih},
            want=f"x: (..., {w.weight_ih.shape[1]})",
        )
    return x


def begun(kind: Kind, state: Any, shape: tuple[int, ...], x: ob.Tensor) -> State:
    """The state a loop begins with: zeros if none is given."""
    if state is None:
        return (ob.zeros(shape, dtype=x.dtype),) * kind.states
    if not isinstance(state, list | tuple) or len(state) != kind.states:
        raise ShapeError(
            f"{kind.name}: its state is " + ("(h, c)" if kind.states == 2 else "h"),
            got={"state": f"a {type(state).__name__}"},
        )
    parts = tuple(like(part, x) for part in state)
    for name, part in zip("hc", parts, strict=False):
        if part.shape != shape:
            raise ShapeError(
                f"{kind.name}: the state does not fit", got={"x": x, name: part}, want=f"{shape}"
            )
    return parts


def rnn(
    x: Any,
    h: Any,
    weight_ih: ob.Tensor,
    weight_hh: ob.Tensor,
    bias_ih: ob.Tensor | None = None,
    bias_hh: ob.Tensor | None = None,
    *,
    nonlinearity: str = "tanh",
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[ob.Tensor, ob.Tensor]:
    """(y, h): the states after all steps, and the last; of one layer in one direction.

    Shapes:  x (T, N, d), h (N, n) or None for zeros  ->  y (T, N, n), h (N, n)
    """
    w = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    state = None if h is None else (h,)
    y, last = all_steps(simple_kind(nonlinearity), x, state, w, lengths, reverse)
    return y, last[0]


def lstm(
    x: Any,
    state: Any,
    weight_ih: ob.Tensor,
    weight_hh: ob.Tensor,
    bias_ih: ob.Tensor | None = None,
    bias_hh: ob.Tensor | None = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[ob.Tensor, State]:
    """(y, (h, c)): the outputs of all steps, and the last state; of one layer in one direction.

    Shapes:  x (T, N, d), state (h, c) of (N, n) each or None  ->  y (T, N, n), (h, c)
    """
    w = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    return all_steps(LSTM_KIND, x, state, w, lengths, reverse)


def gru(
    x: Any,
    h: Any,
    weight_ih: ob.Tensor,
    weight_hh: ob.Tensor,
    bias_ih: ob.Tensor | None = None,
    bias_hh: ob.Tensor | None = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[ob.Tensor, ob.Tensor]:
    """(y, h): the states after all steps, and the last; of one layer in one direction.

    Shapes:  x (T, N, d), h (N, n) or None for zeros  ->  y (T, N, n), h (N, n)
    """
    w = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    y, last = all_steps(GRU_KIND, x, None if h is None else (h,), w, lengths, reverse)
    return y, last[0]
