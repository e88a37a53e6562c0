"""A Transformer that writes: causal attention, layer after layer, one token at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

import overbar as ob
from overbar import nn
from overbar.errors import ShapeError

from .sampling import drawn

__all__ = ["GPT"]

Cache = list[tuple[Any, Any]]


class _Block(nn.Module):
    """x ← x + attention(norm(x)), then x ← x + W₂ gelu(W₁ norm(x) + b₁) + b₂."""

    def __init__(self, width: int, heads: int, dropout: float, how: dict[str, Any]) -> None:
        dtype = how["dtype"]
        self.norm1, self.norm2 = nn.LayerNorm(width, dtype=dtype), nn.LayerNorm(width, dtype=dtype)
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True, **how)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width, **how),
            nn.GELU(),
            nn.Linear(4 * width, width, **how),
            nn.Dropout(dropout),
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: ob.Tensor) -> ob.Tensor:
        z = self.norm1(x)
        y, _ = self.attention(z, z, z, is_causal=True, need_weights=False)
        x = x + self.drop(y)
        return x + self.feed(self.norm2(x))

    def step(self, x: ob.Tensor, at: ob.Tensor, cache: tuple) -> tuple[ob.Tensor, tuple]:
        """One token (N, 1, width) at a place; the cache holds earlier keys and values."""
        attention = self.attention
        n, heads = len(x), attention.num_heads
        z = nn.functional.linear(self.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = (
            ob.reshape(part, (n, 1, heads, -1)).swapaxes(1, 2) for part in ob.split(z, 3, -1)
        )
        places = ob.arange(cache[0].shape[2])[:, None]
        keys, values = (
            ob.where(places == at, new, old) for new, old in zip((k, v), cache, strict=True)
        )
        seen = ob.reshape(places, (1, -1)) <= at
        y = nn.functional.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
        x = x + attention.out_proj(ob.reshape(y, (n, 1, -1)))
        return x + self.feed(self.norm2(x)), (keys, values)


class GPT(nn.Module):
    """What token comes next: embeddings of tokens and places, blocks, and the embedding again.

    The last linear map is the token embedding itself: one parameter in two places.

    Shapes:  index (N, T), T up to `context`  ->  logits (N, T, vocabulary)
    checkpoint: in training a block keeps what goes in only, and is computed again on the way back.
    Source:  Radford et al. (2019), Language models are unsupervised multitask learners.
    Example:
        >>> model = ob.models.GPT(50, context=16, width=8, heads=2, layers=2)
        >>> model(np.zeros((2, 10), int)).shape, model.generate([[1, 2]], 5).shape
        ((2, 10, 50), (1, 5))
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 128,
        width: int = 128,
        heads: int = 4,
        layers: int = 4,
        dropout: float = 0.0,
        *,
        checkpoint: bool = False,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        self.vocabulary, self.context, self.width, self.heads = vocabulary, context, width, heads
        self.layers, self.dropout, self.checkpoint = layers, dropout, checkpoint
        how = {"rng": rng, "dtype": dtype}
        self.tokens = nn.Embedding(vocabulary, width, **how)
        self.places = nn.Embedding(context, width, **how)
        for table in (self.tokens, self.places):
            table.weight = 0.02 * table.weight.detach()
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout, how) for _ in range(layers))
        self.norm = nn.LayerNorm(width, dtype=dtype)

    def forward(self, index: Any) -> ob.Tensor:
        index = ob.asarray(index)
        if index.ndim != 2 or index.shape[1] > self.context:
            raise ShapeError(
                f"GPT: it reads up to {self.context} tokens",
                got={"index": index},
                want=f"index: (N, T), T up to {self.context}",
            )
        x = self.drop(self.tokens(index) + self.places(ob.arange(index.shape[1])))
        again = self.checkpoint and self.training
        for block in self.blocks:
            x = ob.checkpoint(block)(x) if again else block(x)
        return self._logits(x)

    def _logits(self, x: ob.Tensor) -> ob.Tensor:
        return nn.functional.linear(self.norm(x), self.tokens.weight)

    def cache(self, n: int) -> Cache:
        """Room for the keys and values of n sequences, for `step`."""
        size = self.width // self.heads
        empty = np.zeros((n, self.heads, self.context, size), self.tokens.weight.dtype)
        return [(empty, empty) for _ in self.blocks]

    @ob.jit
    def step(self, index: Any, at: Any, cache: Cache) -> tuple[ob.Tensor, Cache]:
        """(logits (N, vocabulary), cache) after one token (N,) at place `at`, in evaluation.

        Keys and values of earlier tokens are in the cache, so a token costs what one token costs.
        """
        at, after = ob.asarray(at), []
        x = (self.tokens(index) + self.places(at))[:, None]
        for block, held in zip(self.blocks, cache, strict=True):
            x, held = block.step(x, at, held)
            after.append(held)
        return self._logits(x)[:, 0], after

    def generate(
        self,
        index: Any,
        length: int,
        *,
        temperature: float = 1.0,
        top: int | None = None,
        rng: Any = None,
    ) -> np.ndarray:
        """`length` more tokens after index (N, T), drawn one by one, all within the context.

        temperature 0 takes the likeliest, `top` draws among so many likeliest only.
        """
        index = np.asarray(index)
        if index.ndim != 2 or not index.shape[1] or index.shape[1] + length > self.context + 1:
            raise ShapeError(
                f"GPT: {length} tokens after index {list(index.shape)}",
                want=f"index: (N, T), T from 1, T + {length} up to {self.context + 1}",
            )
        mode, cache = self.training, self.cache(len(index))
        self.eval()
        more: list[np.ndarray] = []
        try:
            with ob.no_grad():
                for at in range(index.shape[1] + length - 1):
                    token = index[:, at] if at < index.shape[1] else more[-1]
                    logits, cache = self.step(token, np.array(at), cache)
                    if at >= index.shape[1] - 1:
                        more.append(drawn(logits, temperature, top, rng))
        finally:
            self.train(mode)
        return np.stack(more, 1) if more else np.zeros((len(index), 0), int)
