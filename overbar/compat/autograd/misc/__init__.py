"""`autograd.misc`: trees as vectors, optimisers, fixed points, replayed graphs."""

from .flatten import flatten
from .tracers import const_graph

__all__ = ["const_graph", "flatten"]
