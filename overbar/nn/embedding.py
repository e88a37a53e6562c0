"""Embeddings: a learnt row of numbers for each of a number of things."""

from __future__ import annotations

from typing import Any

import overbar as ob
from overbar.errors import IndexingError, ShapeError

from . import init
from .module import Module
from .roles import Parameter

__all__ = ["Embedding", "embedding"]


def embedding(index: Any, weight: ob.Tensor, padding_idx: int | None = None) -> ob.Tensor:
    """The rows of a table that the index names.

    Shapes:  index (...) of whole numbers, weight (n, d)  ->  (..., d)
    Rule:    W̄ᵢ is the sum of what the uses of row i receive; the row `padding_idx` gets nothing.
    Raises:  IndexingError for a row that does not exist.
    Example:
        >>> ob.nn.functional.embedding([1, 1, 0], np.eye(2))
        Tensor([[0., 1.],
                [0., 1.],
                [1., 0.]], float64)
    """
    index = ob.asarray(index)
    rows = ob.take(weight, index, axis=0)
    if padding_idx is None:
        return rows
    padding = index == padding_idx % weight.shape[0]
    return ob.where(padding[..., None], ob.stop_gradient(rows), rows)


class Embedding(Module):
    """A table with a row for each of `num_embeddings` things.

    Shapes:  index (...)  ->  (..., embedding_dim);   weight (num_embeddings, embedding_dim)
    padding_idx: a row that is zero at first and receives no gradient.
    Start:   standard normal.
    Example:
        >>> layer = ob.nn.Embedding(10, 3, padding_idx=0)
        >>> layer(np.array([[1, 2], [0, 9]])).shape, float(abs(layer([0])).sum())
        ((2, 2, 3), 0.0)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        rng: Any = None,
        dtype: Any = None,
    ) -> None:
        if num_embeddings < 0 or embedding_dim < 0:
            raise ShapeError(
                f"Embedding: {num_embeddings} rows of {embedding_dim}", want="numbers from 0"
            )
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise IndexingError(
                f"Embedding: padding_idx={padding_idx} is none of {num_embeddings} rows"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
        start = init.normal((num_embeddings, embedding_dim), rng=rng, dtype=dtype)
        if padding_idx is not None:
            kept = ob.arange(num_embeddings) != padding_idx % num_embeddings
            start = ob.where(kept[:, None], start, 0)
        self.weight = Parameter(start)

    def forward(self, index: Any) -> ob.Tensor:
        return embedding(index, self.weight, self.padding_idx)
