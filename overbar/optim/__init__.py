"""Training: optimisers, schedules of the learning rate, clipping.

The formulas are in `rules`, one pure function each; `optimizer` applies them to handles.
"""

from . import lr_scheduler
from .clip import clip_grad_norm_, clip_grad_value_
from .optimizer import Optimizer
from .optimizers import SGD, Adagrad, Adam, AdamW, ProximalSGD, RMSprop

__all__ = [
    "Optimizer", "SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "ProximalSGD", "lr_scheduler",
    "clip_grad_norm_", "clip_grad_value_",
]  # fmt: skip
