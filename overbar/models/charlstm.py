"""A recurrent model of text, character by character."""

from __future__ import annotations

from typing import Any

import numpy as np

import overbar as ob
from overbar import nn

from .sampling import drawn

__all__ = ["CharLSTM"]


class CharLSTM(nn.Module):
    """What character comes next: an embedding, an LSTM, and a linear map to the characters.

    Called with (index, state) it gives (logits, state); to carry on, give the next call the state.

    Shapes:  index (N, T)  ->  logits (N, T, characters)
    Example:
        >>> model = ob.models.CharLSTM(27, hidden_size=16)
        >>> logits, state = model(np.zeros((2, 10), int))
        >>> logits.shape, model.generate([[1, 2]], 5).shape
        ((2, 10, 27), (1, 5))
    """

    def __init__(
        self,
        characters: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        self.characters, self.hidden_size, self.num_layers = characters, hidden_size, num_layers
        how = {"rng": rng, "dtype": dtype}
        self.embedding = nn.Embedding(characters, hidden_size, **how)
        self.lstm = nn.LSTM(hidden_size, hidden_size, num_layers, batch_first=True, **how)
        self.head = nn.Linear(hidden_size, characters, **how)

    def forward(self, index: Any, state: Any = None) -> tuple[ob.Tensor, Any]:
        y, state = self.lstm(self.embedding(index), state)
        return self.head(y), state

    @ob.jit
    def step(self, index: Any, state: Any) -> tuple[ob.Tensor, Any]:
        """As a call, compiled: for one character after the other."""
        return self(index, state)

    def generate(
        self,
        index: Any,
        length: int,
        *,
        temperature: float = 1.0,
        top: int | None = None,
        rng: Any = None,
    ) -> np.ndarray:
        """`length` more characters after index (N, T), drawn one by one; temperature 0: the
        likeliest, `top`: among so many likeliest only.
        """
        more = []
        with ob.no_grad():
            logits, state = self(index)
            for _ in range(length):
                more.append(drawn(logits[:, -1], temperature, top, rng))
                logits, state = self.step(more[-1][:, None], state)
        return np.stack(more, 1)
