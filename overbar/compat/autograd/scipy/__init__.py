"""`autograd.scipy`: SciPy's functions, which take boxes as well where overbar has them."""

from . import integrate, linalg, signal, special, stats

__all__ = ["integrate", "linalg", "signal", "special", "stats"]
