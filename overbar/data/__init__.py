"""Data: arrays cut into batches, real handwritten digits, and people's own tables.

`TensorDataset` and `DataLoader` (in `loader`) hand out batches of NumPy arrays; `digits` is a
small real data set that needs no download, `sonnets` a small text; `table` and `recipe` turn a CSV
or `.npz` file into numbers a network can take.
"""

from .digits import digits
from .loader import DataLoader, TensorDataset
from .sonnets import sonnets

__all__ = ["TensorDataset", "DataLoader", "digits", "sonnets"]
