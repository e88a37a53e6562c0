"""Every layer and loss as a function of tensors; what is here is written beside its layer."""

from __future__ import annotations

from overbar import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus, tanh

from .attention import multi_head_attention, scaled_dot_product_attention
from .convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from .dropout import dropout
from .embedding import embedding
from .linear import flatten, like, linear
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
    squared_error,
)
from .normalisation import batch_norm, group_norm, layer_norm, local_response_norm, rms_norm
from .pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from .recurrence import gru, gru_cell, lstm, lstm_cell, rnn, rnn_cell

__all__ = [
    "linear", "flatten", "dropout", "like", "embedding",
    "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d",
    "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "batch_norm", "layer_norm", "rms_norm", "group_norm", "local_response_norm",
    "rnn", "lstm", "gru", "rnn_cell", "lstm_cell", "gru_cell",
    "scaled_dot_product_attention", "multi_head_attention",
    "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "silu",
    "softmax", "log_softmax",
    "mse_loss", "l1_loss", "squared_error", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "cross_entropy", "nll_loss", "huber_loss", "smooth_l1_loss",
]  # fmt: skip
