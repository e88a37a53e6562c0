"""`ob.scipy.stats`: distributions under SciPy's names, differentiable by every real argument.

Continuous: norm, t, gamma, beta, expon. On whole numbers: poisson, binom. Of vectors: dirichlet,
multivariate_normal. Each is a record of its formulas; what all share (loc, scale, the support, NaN
for parameters that make no distribution) is stated once.
"""

from .continuous import Continuous, beta, expon, gamma, norm, t
from .discrete import Discrete, binom, poisson
from .multivariate import dirichlet, multivariate_normal

__all__ = [
    "Continuous",
    "Discrete",
    "beta",
    "binom",
    "dirichlet",
    "expon",
    "gamma",
    "multivariate_normal",
    "norm",
    "poisson",
    "t",
]
