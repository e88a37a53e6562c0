"""`ob.scipy`: overbar's exact derivatives for SciPy, under SciPy's own names.

objective, residuals, constraint   what `scipy.optimize` takes, with derivatives that are compiled
stats, linalg, integrate           functions of SciPy's names and arguments that are differentiable

SciPy itself is an optional package; what needs it says so.
"""

from . import integrate, linalg, stats
from .constraint import constraint
from .objective import Objective, Residuals, objective, residuals

__all__ = [
    "Objective",
    "Residuals",
    "constraint",
    "integrate",
    "linalg",
    "objective",
    "residuals",
    "stats",
]
