"""Data: arrays cut into batches, images varied and read, real digits, and people's own tables.

`TensorDataset` and `DataLoader` (in `loader`) hand out batches of NumPy arrays, `prefetch` makes
them ahead, `augmentation` varies images; `images` and `idx` read files; `digits` is a small real
data set that needs no download, `sonnets` a small text; `table` and `recipe` turn a CSV or `.npz`
file into numbers a network can take.
"""

from .augmentation import normalise, random_crop, random_flip, random_shift
from .digits import digits
from .idx import read_idx, write_idx
from .images import image_folder, read_image
from .loader import DataLoader, TensorDataset
from .prefetch import prefetch
from .sonnets import sonnets

__all__ = [
    "TensorDataset", "DataLoader", "prefetch",
    "random_crop", "random_flip", "random_shift", "normalise",
    "digits", "sonnets", "read_image", "image_folder", "read_idx", "write_idx",
]  # fmt: skip
