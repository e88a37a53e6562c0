"""Attention: means of values, weighted by how queries and keys agree.

Masks follow PyTorch: in `scaled_dot_product_attention` True marks what may be looked at, in
`MultiheadAttention` what may not; numbers are added to the scores in both. A query that may look
nowhere gets zeros.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DomainError, DTypeError, ShapeError

from . import init
from .dropout import dropout
from .linear import Linear, like, linear
from .module import Module
from .roles import Parameter

__all__ = ["MultiheadAttention", "multi_head_attention", "scaled_dot_product_attention"]

# -- functions --------------------------------------------------------------------------------


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> ob.Tensor:
    """softmax(Q Kᵀ / √d + mask) V.

    Shapes:  query (..., L, d), key (..., S, d), value (..., S, e)  ->  (..., L, e)
    attn_mask: broadcasts to (..., L, S): True where a query may look, or numbers to be added.
    is_causal: query i looks at keys 0 to i only.
    scale:   in place of 1 / √d.
    Source:  Vaswani et al. (2017), Attention is all you need.
    Example:
        >>> q = k = v = np.eye(3)
        >>> ob.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)[0]
        Tensor([1., 0., 0.], float64)
    """
    query, key, value = ob.asarray(query), ob.asarray(key), ob.asarray(value)
    got = {"query": query, "key": key, "value": value}
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            "scaled_dot_product_attention: queries and keys do not fit",
            got=got,
            want="query: (..., L, d)   key: (..., S, d)   value: (..., S, e)",
        )
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"scaled_dot_product_attention: {key.shape[-2]} keys, {value.shape[-2]} values", got=got
        )
    masks = []
    if attn_mask is not None:
        mask = ob.asarray(attn_mask)
        masks.append(~mask if mask.dtype.kind == "b" else mask)
    p = _weights(query, key, masks, is_causal, scale)
    return dropout(p, dropout_p) @ value


def _weights(
    query: ob.Tensor, key: ob.Tensor, masks: list[ob.Tensor], is_causal: bool, scale: float | None
) -> ob.Tensor:
    """softmax of the scores; of the masks, those of truth values say what is forbidden."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * scale) @ key.mT
    if is_causal:
        rows, columns = scores.shape[-2:]
        masks = [*masks, ob.asarray(np.arange(columns) > np.arange(rows)[:, None])]
    for mask in masks:
        if mask.dtype.kind == "b":
            scores = ob.where(mask, -math.inf, scores)
        else:
            scores = scores + like(mask, scores)
    return ob.softmax(scores)


def multi_head_attention(
    query: Any,
    key: Any,
    value: Any,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: ob.Tensor | None,
    out_proj_weight: ob.Tensor,
    out_proj_bias: ob.Tensor | None = None,
    *,
    key_padding_mask: Any = None,
    attn_mask: Any = None,
    is_causal: bool = False,
    dropout_p: float = 0.0,
) -> tuple[ob.Tensor, ob.Tensor]:
    """(result, weights): attention in several heads, each in its part of the features.

    Shapes:  query (N, L, E), key (N, S, K), value (N, S, V)  ->  (N, L, E), (N, heads, L, S);
             in_proj_weight (3 E, E), the rows of query, key and value one below the other, or the
             three (E, E), (E, K), (E, V); in_proj_bias (3 E,)
             key_padding_mask (N, S), attn_mask (L, S) or (N · heads, L, S): True where a query
             must not look, or numbers to be added to the scores
    """
    packed = isinstance(in_proj_weight, ob.Tensor)
    size = out_proj_weight.shape[1]
    w = in_proj_weight if packed else ob.concat(in_proj_weight[:1])
    x = [like(t, w) for t in (query, key, value)]
    if packed and query is key is value:  # one product
        y = linear(x[0], in_proj_weight, in_proj_bias)
        q, k, v = (y[..., i * size : (i + 1) * size] for i in range(3))
    else:
        rows = [slice(i * size, (i + 1) * size) for i in range(3)]
        three = [in_proj_weight[r] for r in rows] if packed else list(in_proj_weight)
        q, k, v = (
            linear(t, w, None if in_proj_bias is None else in_proj_bias[r])
            for t, w, r in zip(x, three, rows, strict=True)
        )
    n, length, d = len(q), q.shape[1], size // num_heads
    q, k, v = (_heads(t, num_heads) for t in (q, k, v))
    masks = _forbidden(n, num_heads, length, k.shape[2], attn_mask, key_padding_mask)
    p = dropout(_weights(q, k, masks, is_causal, None), dropout_p)
    y = ob.reshape(ob.permute_dims(p @ v, (0, 2, 1, 3)), (n, length, num_heads * d))
    return linear(y, out_proj_weight, out_proj_bias), p


def _heads(x: ob.Tensor, heads: int) -> ob.Tensor:
    """(N, L, heads · d) -> (N, heads, L, d)"""
    n, length, size = x.shape
    return ob.permute_dims(ob.reshape(x, (n, length, heads, size // heads)), (0, 2, 1, 3))


def _forbidden(
    n: int, heads: int, rows: int, columns: int, attn_mask: Any, key_padding_mask: Any
) -> list[ob.Tensor]:
    """The masks there are, each as wide as the scores or broadcasting to them."""
    masks = []
    if attn_mask is not None:
        mask = _mask("attn_mask", attn_mask)
        if mask.shape not in ((rows, columns), (n * heads, rows, columns)):
            raise ShapeError(
                "attention: the mask does not fit",
                got={"attn_mask": mask},
                want=f"attn_mask: {[rows, columns]} or {[n * heads, rows, columns]}",
            )
        masks.append(mask if mask.ndim == 2 else ob.reshape(mask, (n, heads, rows, columns)))
    if key_padding_mask is not None:
        mask = _mask("key_padding_mask", key_padding_mask)
        if mask.shape != (n, columns):
            raise ShapeError(
                "attention: the mask of the keys does not fit",
                got={"key_padding_mask": mask},
                want=f"key_padding_mask: {[n, columns]}",
            )
        masks.append(mask[:, None, None, :])
    return masks


def _mask(name: str, given: Any) -> ob.Tensor:
    mask = ob.asarray(given)
    if mask.dtype.kind not in "bf":
        raise DTypeError(
            f"attention: {name} is of {mask.dtype}",
            want="truth values (True: do not look), or floats to be added to the scores",
            hint="mask.astype(bool), if 1 means: do not look",
        )
    return mask


# -- the layer --------------------------------------------------------------------------------


class MultiheadAttention(Module):
    """Attention in several heads: each looks at the keys in its part of the features.

    Called with (query, key, value) it gives (result, weights): the weights (N, L, S) are the mean
    over the heads, or of each (N, heads, L, S) with average_attn_weights=False, or None with
    need_weights=False.

    Shapes:  query (L, N, E), key (S, N, kdim), value (S, N, vdim)  ->  (L, N, E); with batch_first
             (N, L, E) and so on; without N for a single sample;
             in_proj_weight (3 E, E), in_proj_bias (3 E,), out_proj.weight (E, E), out_proj.bias
             (E,); with kdim or vdim: q_proj_weight (E, E), k_proj_weight (E, kdim),
             v_proj_weight (E, vdim)
    key_padding_mask: (N, S), True for keys that are padding.
    attn_mask: (L, S) or (N · heads, L, S), True where a query must not look.
             Both may be floats instead, which are added to the scores.
    is_causal: query i looks at keys 0 to i only; no mask need be given.
    dropout: of the weights, in training.
    Start:   in_proj uniform with variance 2 / (fan in + fan out), biases 0, out_proj.weight uniform
             on ±1/√E.
    Source:  Vaswani et al. (2017), Attention is all you need.
    Example:
        >>> layer = ob.nn.MultiheadAttention(8, 2, batch_first=True)
        >>> x = np.ones((3, 5, 8))
        >>> y, weights = layer(x, x, x, is_causal=True)
        >>> y.shape, weights.shape, weights[0, 1].numpy().round(2).tolist()
        ((3, 5, 8), (3, 5, 5), [0.5, 0.5, 0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise ShapeError(
                f"MultiheadAttention: {embed_dim} features in {num_heads} heads",
                want="a number of features that is a multiple of the number of heads",
            )
        if not 0 <= dropout <= 1:
            raise DomainError(
                f"MultiheadAttention: dropout={dropout} is no probability", want="0 to 1"
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.bias, self.kdim, self.vdim, self.batch_first = bias, kdim, vdim, batch_first
        e = embed_dim
        sizes = {"q": e, "k": kdim or e, "v": vdim or e}
        if set(sizes.values()) == {e}:
            self.in_proj_weight = Parameter(init.xavier_uniform((3 * e, e), rng=rng, dtype=dtype))
        else:
            for name, size in sizes.items():
                start = init.xavier_uniform((e, size), rng=rng, dtype=dtype)
                setattr(self, f"{name}_proj_weight", Parameter(start))
        self.in_proj_bias = Parameter(init.zeros((3 * e,), dtype=dtype)) if bias else None
        self.out_proj = Linear(e, e, bias=bias, rng=rng, dtype=dtype)
        if bias:
            self.out_proj.bias = init.zeros((e,), dtype=dtype)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[ob.Tensor, ob.Tensor | None]:
        given = (query, key, value)
        single = ob.asarray(query).ndim == 2
        once = {id(t): self._batch(t, single) for t in given}  # one thing for all three stays one
        q, k, v = (once[id(t)] for t in given)
        self._check(q, k, v)
        if single and key_padding_mask is not None:
            key_padding_mask = ob.asarray(key_padding_mask)[None]
        y, p = multi_head_attention(
            q,
            k,
            v,
            self.num_heads,
            self._in_proj(),
            self.in_proj_bias,
            self.out_proj.weight,
            self.out_proj.bias,
            key_padding_mask=key_padding_mask,
            attn_mask=attn_mask,
            is_causal=is_causal,
            dropout_p=self.dropout if self.training else 0.0,
        )
        y = y[0] if single else y if self.batch_first else ob.swapaxes(y, 0, 1)
        if not need_weights:
            return y, None
        p = ob.mean(p, 1) if average_attn_weights else p
        return y, p[0] if single else p

    def _in_proj(self) -> Any:
        known = vars(self)
        if "in_proj_weight" in known:
            return self.in_proj_weight
        return tuple(known[f"{name}_proj_weight"] for name in "qkv")

    def _batch(self, x: Any, single: bool) -> ob.Tensor:
        """x as (N, L, features)."""
        x = ob.asarray(x)
        if x.ndim != (2 if single else 3):
            raise ShapeError(
                "MultiheadAttention: query, key and value have different numbers of axes, or not 3",
                got={"it": x},
                want="(N, L, E)" if self.batch_first else "(L, N, E)",
            )
        return x[None] if single else x if self.batch_first else ob.swapaxes(x, 0, 1)

    def _check(self, q: ob.Tensor, k: ob.Tensor, v: ob.Tensor) -> None:
        e = self.embed_dim
        want = (e, self.kdim or e, self.vdim or e)
        if (
            tuple(t.shape[-1] for t in (q, k, v)) != want
            or k.shape[:2] != v.shape[:2]
            or len(q) != len(k)
        ):
            raise ShapeError(
                "MultiheadAttention: query, key and value do not fit",
                got={"query": q, "key": k, "value": v},
                want="(N, L, {})   (N, S, {})   (N, S, {})".format(*want),
            )
