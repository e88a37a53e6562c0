"""Batches: rows of arrays in a given or shuffled order, a few at a time.

`TensorDataset` keeps arrays side by side, `DataLoader` walks over them. Both hand out NumPy
arrays and know nothing of gradients. All that is random in an epoch is drawn once, at its start,
and is part of the loader's state, so that an interrupted epoch goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from overbar.errors import DataError

from .prefetch import prefetch as walked_ahead

Batch = tuple[np.ndarray, ...]


class TensorDataset:
    """Arrays that belong together, row by row.

    Shapes:  arrays (n, ...), all with the same n; dataset[i] is a tuple with one item per array,
             without the first axis for an integer i, with it for a slice or an array of rows.
    Example:
        >>> dataset = TensorDataset([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 0])
        >>> len(dataset), dataset[1]
        (3, (array([3., 4.]), np.int64(1)))
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays = tuple(np.asarray(array) for array in arrays)
        lengths = {len(array) if array.ndim else None for array in self.arrays}
        if len(lengths) != 1 or None in lengths:
            raise DataError(
                "TensorDataset: the arrays do not have the same number of rows",
                got={f"array {i}": array for i, array in enumerate(self.arrays)},
                want="at least one array, each with the same first axis",
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, rows: Any) -> tuple:
        return tuple(array[rows] for array in self.arrays)


class DataLoader:
    """The batches of an epoch, each time it is iterated over.

    `data` is a tuple of arrays, or a dataset: something with a length that, indexed by an array
    of row numbers, gives a tuple of arrays. A batch is such a tuple, and a copy: changing it
    changes no data. The last batch is smaller if the rows do not come out even, or left out
    with `drop_last`. `rng` is what draws the order: a generator with `.permutation(n)`; by
    default overbar's own, the one that `ob.random.seed` sets.

    transform   (rng, *batch) -> batch: augmentation, or whatever else is done to a batch; `rng` is
                a generator of NumPy's, seeded by the epoch and by the batch's number in it
    prefetch    so many batches are made ahead, in a thread; they are the same batches

    Shapes:  arrays (n, ...)  ->  tuples of (batch_size, ...)
    Resume:  `state_dict()`, taken after any batch, says which batch is next and in what order
             the epoch runs; after `load_state_dict` the next epoch is the rest of that one.
             The generator's own state is not in it: save that too, and the epochs after are the
             same as without the interruption.
    Example:
        >>> loader = DataLoader(([10, 11, 12, 13, 14], [0, 1, 0, 1, 0]), batch_size=2)
        >>> for x, y in loader:
        ...     print(x, y)
        [10 11] [0 1]
        [12 13] [0 1]
        [14] [0]
        >>> len(loader)
        3
    """

    def __init__(
        self,
        data: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        rng: Any = None,
        drop_last: bool = False,
        *,
        transform: Callable[..., Batch] | None = None,
        prefetch: int = 0,
    ) -> None:
        if isinstance(data, tuple | list):
            data = TensorDataset(*data)
        elif isinstance(data, np.ndarray):
            data = TensorDataset(data)
        asked = ["permutation"] if transform is None else ["permutation", "integers"]
        if rng is not None and not all(hasattr(rng, name) for name in asked):
            raise DataError(
                "DataLoader: rng cannot draw an order",
                got={"rng": rng},
                want=f"a generator with {' and '.join(f'.{name}' for name in asked)}",
                hint="pass rng=ob.random.default_rng(seed)",
            )
        self.dataset = data
        self.batch_size = _counted("batch_size", batch_size, 1)
        self.shuffle, self.drop_last, self.rng = shuffle, drop_last, rng
        self.transform, self.prefetch = transform, _counted("prefetch", prefetch, 0)
        self._order, self._seed = None, None  # of the epoch that runs
        self._next = 0  # the number of its next batch
        self._resuming = False

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        """The rest of a loaded epoch, or a new one, whose order is drawn now."""
        if not self._resuming:
            self._draw()
        self._resuming = False
        return self._batches(self._order, self._seed, self._next)

    def _draw(self) -> None:
        """The order of a new epoch, None if it is that of the rows, and the transform's seed."""
        rng = self.rng
        if rng is None:
            from overbar import random

            rng = random.default_generator()
        self._order, self._seed, self._next = None, None, 0
        if self.shuffle:
            self._order = np.asarray(rng.permutation(len(self.dataset)), np.int64)
        if self.transform is not None:
            self._seed = int(rng.integers(0, 1 << 32))

    def _batches(self, order: np.ndarray | None, seed: int | None, first: int) -> Iterator[Batch]:
        made = (self._made(order, seed, k) for k in range(first, len(self)))
        if self.prefetch:
            made = walked_ahead(made, self.prefetch)
        with contextlib.closing(made):  # type: ignore[type-var]  (both are generators)
            for k, batch in enumerate(made, first):
                self._order, self._seed, self._next = order, seed, k + 1
                yield batch
        self._order, self._seed, self._next = None, None, 0

    def _made(self, order: np.ndarray | None, seed: int | None, k: int) -> Batch:
        """Batch k of an epoch, from what was drawn at its start alone."""
        start = k * self.batch_size
        end = min(start + self.batch_size, len(self.dataset))
        batch = self.dataset[np.arange(start, end) if order is None else order[start:end]]
        if self.transform is not None and isinstance(batch, tuple):
            batch = self.transform(np.random.default_rng([seed or 0, k]), *batch)
        if not isinstance(batch, tuple):
            raise DataError(
                "DataLoader: the dataset, or the transform, did not give a tuple of arrays",
                got={"batch": batch},
                want="a tuple with one array per kind of data",
            )
        return batch

    def state_dict(self) -> dict:
        """Where the epoch stands: plain numbers and one array, for a checkpoint."""
        return {
            "order": None if self._order is None else self._order.copy(),
            "seed": self._seed,
            "next": self._next,
            "rows": len(self.dataset),
            "batch_size": self.batch_size,
        }

    def load_state_dict(self, state: dict) -> None:
        """Make the next epoch the rest of the one that `state` was taken in."""
        here = {"rows": len(self.dataset), "batch_size": self.batch_size}
        there = {key: state.get(key) for key in here}
        if here != there:
            raise DataError(
                "DataLoader: this state is of a loader with other rows or batches",
                got={"state": repr(there)},
                want=repr(here),
            )
        order, seed, upcoming = state["order"], state.get("seed"), int(state["next"])
        if order is not None:
            order = np.array(order, np.int64)
            if not np.array_equal(np.sort(order), np.arange(len(self.dataset))):
                raise DataError("DataLoader: the order in this state does not have each row once")
        drawn = [(self.shuffle, order), (self.transform is not None, seed)]
        lost = upcoming > 0 and any(asked and thing is None for asked, thing in drawn)
        extra = any(thing is not None and not asked for asked, thing in drawn)
        if not 0 <= upcoming <= len(self) or lost or extra:
            raise DataError(
                "DataLoader: this state does not fit the loader",
                got={"next": upcoming, "order": "none" if order is None else "shuffled"},
                want=f"next from 0 to {len(self)}, an order only with shuffle=True, "
                "a seed only with a transform",
            )
        self._order, self._seed, self._next = order, seed, upcoming
        self._resuming = order is not None or seed is not None or upcoming > 0


def _counted(name: str, n: Any, least: int) -> int:
    try:
        count = operator.index(n)
    except TypeError:
        count = -1
    if count < least or isinstance(n, bool):
        raise DataError(
            f"DataLoader: {name} has to count",
            got={name: n},
            want=f"an integer from {least} on",
        )
    return count
