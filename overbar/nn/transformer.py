"""The encoder of a Transformer: attention and a small network, each beside a way round it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import overbar as ob
from overbar.errors import DomainError, ShapeError

from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .linear import Linear, like
from .module import Module
from .normalisation import LayerNorm

__all__ = ["TransformerEncoder", "TransformerEncoderLayer"]

_ACTIVATIONS = {"relu": ob.relu, "gelu": ob.gelu}


class TransformerEncoderLayer(Module):
    """x ← norm(x + attention(x)), then x ← norm(x + W₂ f(W₁ x + b₁) + b₂).

    With norm_first, x ← x + attention(norm(x)) and x ← x + W₂ f(W₁ norm(x) + b₁) + b₂.

    Shapes:  src (L, N, E), or (N, L, E) with batch_first, or (L, E)  ->  the same;
             parameters self_attn.*, linear1.*, linear2.*, norm1.*, norm2.*
    activation: "relu", "gelu", or a function of tensors.
    src_mask, src_key_padding_mask, is_causal: as in `MultiheadAttention`.
    dropout: of the attention's weights, inside the small network, and before each sum.
    Source:  Vaswani et al. (2017), Attention is all you need; Xiong et al. (2020) on norm_first.
    Example:
        >>> layer = ob.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
        >>> layer(np.ones((3, 5, 8)), is_causal=True).shape
        (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], ob.Tensor] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        if isinstance(activation, str) and activation not in _ACTIVATIONS:
            raise DomainError(
                f"TransformerEncoderLayer: activation={activation!r} is not a choice",
                want='"relu", "gelu", or a function',
            )
        made = {"rng": rng, "dtype": dtype}
        self.d_model, self.nhead, self.dim_feedforward = d_model, nhead, dim_feedforward
        self.dropout, self.activation, self.layer_norm_eps = dropout, activation, layer_norm_eps
        self.batch_first, self.norm_first, self.bias = batch_first, norm_first, bias
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, **made
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, **made)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **made)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.drop = Dropout(dropout)

    def forward(
        self,
        src: Any,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> ob.Tensor:
        x = like(src, self.linear1.weight)
        if x.ndim not in (2, 3) or x.shape[-1] != self.d_model:
            raise ShapeError(
                f"TransformerEncoderLayer: it takes {self.d_model} features",
                got={"src": x},
                want=f"({'N, L' if self.batch_first else 'L, N'}, {self.d_model})",
            )

        def attended(x: ob.Tensor) -> ob.Tensor:
            y, _ = self.self_attn(
                x,
                x,
                x,
                attn_mask=src_mask,
                key_padding_mask=src_key_padding_mask,
                is_causal=is_causal,
                need_weights=False,
            )
            return self.drop(y)

        if self.norm_first:
            x = x + attended(self.norm1(x))
            return x + self._feed(self.norm2(x))
        x = self.norm1(x + attended(x))
        return self.norm2(x + self._feed(x))

    def _feed(self, x: ob.Tensor) -> ob.Tensor:
        f = self.activation if callable(self.activation) else _ACTIVATIONS[self.activation]
        return self.drop(self.linear2(self.drop(f(self.linear1(x)))))


class TransformerEncoder(Module):
    """One encoder layer after the other, and a last normalisation if one is given.

    Shapes:  as the layer's; parameters layers.0.*, layers.1.*, ..., norm.*
    encoder_layer: is copied num_layers times: all start alike, as in PyTorch.
    checkpoint: in training a layer keeps what goes in only, and is computed again on the way back.
    Example:
        >>> layer = ob.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)
        >>> ob.nn.TransformerEncoder(layer, 2, ob.nn.LayerNorm(8))(np.ones((5, 3, 8))).shape
        (5, 3, 8)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        *,
        checkpoint: bool = False,
    ) -> None:
        if num_layers < 1:
            raise ShapeError(f"TransformerEncoder: {num_layers} layers", want="at least one")
        self.num_layers, self.checkpoint = num_layers, checkpoint
        self.layers = ModuleList(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.norm = norm

    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor; the layer is the first of its copies."""
        return {"encoder_layer": self.layers[0], **super().settings()}

    def forward(
        self,
        src: Any,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> ob.Tensor:
        x, again = src, self.checkpoint and self.training
        for layer in self.layers:
            run = ob.checkpoint(layer) if again else layer
            x = run(
                x, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=is_causal
            )
        return x if self.norm is None else self.norm(x)
