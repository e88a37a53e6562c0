"""Networks: modules with parameters, layers, losses, initial values.

Start at `module.Module`; a layer holds what `functional` computes with.
"""

from . import functional, init, penalty
from .layers import (
    ELU,
    GELU,
    Dropout,
    Flatten,
    Identity,
    LeakyReLU,
    Linear,
    ModuleList,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .module import Module
from .roles import Buffer, Parameter

__all__ = [
    "Module", "Parameter", "Buffer", "Sequential", "ModuleList", "Linear", "Identity", "Flatten",
    "Dropout", "ReLU", "LeakyReLU", "ELU", "Sigmoid", "Tanh", "Softplus", "GELU", "SiLU", "Softmax",
    "functional", "init", "penalty",
]  # fmt: skip
