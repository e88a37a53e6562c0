"""Training: optimisers, schedules of the learning rate, clipping. Minimising with exact second
derivatives: `newton_cg`, `levenberg_marquardt`.

The formulas are in `rules`, one pure function each; `optimizer` applies them to handles.
"""

from . import lr_scheduler
from .clip import clip_grad_norm_, clip_grad_value_
from .lbfgs import LBFGS
from .newton import Minimum, levenberg_marquardt, newton_cg
from .optimizer import Optimizer
from .optimizers import SGD, Adagrad, Adam, AdamW, ProximalSGD, RMSprop

__all__ = [
    "Optimizer", "SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "ProximalSGD", "LBFGS",
    "lr_scheduler", "clip_grad_norm_", "clip_grad_value_",
    "newton_cg", "levenberg_marquardt", "Minimum",
]  # fmt: skip
