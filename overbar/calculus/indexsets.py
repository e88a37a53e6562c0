"""Sets of indices, very many at once: which inputs each entry of an array depends on.

A set is known by its number. Equal dependence is shared by number, so an operation that only moves
entries moves numbers and looks into no set; joining looks into those that differ. All sets lie one
behind the other in one array: of a stencil over 20,000 points all of them take 2.7 MB, where rows
of bits take 27 MB for every operation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

EMPTY, FULL, FIRST = 0, 1, 2
"""The empty set, the set of all, and {0}; {i} is FIRST + i."""

MOST = 1 << 26
"""Indices that one join may look at; what has more is taken as full, which is safe."""


class _Growing:
    """An array to which more is appended, at no cost but that of what is new."""

    def __init__(self, *parts: Any) -> None:
        self._room = np.concatenate(parts)
        self.array = self._room

    def append(self, more: np.ndarray) -> None:
        used, needed = self.array.size, self.array.size + more.size
        if needed > self._room.size:
            self._room = np.empty(2 * needed, np.int64)
            self._room[:used] = self.array
        self._room[used:needed] = more
        self.array = self._room[:needed]


class IndexSets:
    """Sets of indices below `size`, append only; see `grouped`, the one thing they do."""

    def __init__(self, size: int) -> None:
        self.size = size
        everything = np.arange(size)
        self.starts = _Growing([0, 0], np.arange(size, 2 * size + 1))  # and where the last one ends
        self.elements = _Growing(everything, everything)

    def singletons(self, start: int, shape: tuple[int, ...]) -> np.ndarray:
        """For an input whose entries count from `start`: each depends on itself."""
        count = int(np.prod(shape, dtype=np.int64))
        return np.arange(FIRST + start, FIRST + start + count).reshape(shape)

    def lengths(self, numbers: np.ndarray) -> np.ndarray:
        """How many indices each set has."""
        starts = self.starts.array
        return starts[numbers + 1] - starts[numbers]

    def listed(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(where in `numbers`, index) for all indices of these sets, in order."""
        lengths = self.lengths(numbers)
        owner = np.repeat(np.arange(numbers.size), lengths)
        first = np.cumsum(lengths) - lengths
        at = np.arange(owner.size) - first[owner] + self.starts.array[numbers][owner]
        return owner, self.elements.array[at]

    def grouped(self, owner: Any, numbers: Any, count: int) -> np.ndarray:
        """For each of `count` owners the number of the union of the sets that are its."""
        owner, numbers = np.ravel(owner), np.ravel(numbers)
        found = np.zeros(count, np.int64)
        if not self.size:
            return found
        total = self.starts.array.size
        keys = _distinct((owner * total + numbers)[numbers != EMPTY])
        owner, numbers = np.divmod(keys, total)
        found[owner] = numbers  # right where there is but one
        found[owner[numbers == FULL]] = FULL
        several = np.bincount(owner, minlength=count) > 1
        several &= found != FULL
        kept = several[owner]
        owner, numbers = owner[kept], numbers[kept]
        if owner.size:
            joined, which = _alike(owner, numbers)
            found[joined] = self._joined(which, owner, numbers)
        return found

    def _joined(self, which: np.ndarray, owner: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The unions of groups: `which` says for each owner, oldest first, which is like it."""
        leaders, group = np.unique(which, return_inverse=True)
        leads = np.isin(owner, leaders)
        owner, numbers = np.searchsorted(leaders, owner[leads]), numbers[leads]
        if int(self.lengths(numbers).sum()) > MOST:
            return np.full(which.size, FULL)
        inside, index = self.listed(numbers)
        if leaders.size * self.size <= 8 * index.size:  # they overlap: marking beats sorting
            marks = np.zeros((leaders.size, self.size), bool)
            marks[owner[inside], index] = True
            owner, index = np.nonzero(marks)
        else:
            keys = _distinct(owner[inside] * self.size + index)
            owner, index = np.divmod(keys, self.size)
        lengths = np.bincount(owner, minlength=leaders.size)
        starts = self.starts.array
        new = starts.size - 1 + np.arange(leaders.size)
        self.starts.append(starts[-1] + np.cumsum(lengths))
        self.elements.append(index)
        new[lengths == self.size] = FULL
        return new[group]

    def paired(self, *operands: np.ndarray) -> np.ndarray:
        """Entry by entry, the union over arrays of one shape."""
        first = operands[0]
        if all(a is first or np.array_equal(a, first) for a in operands[1:]):
            return first
        at = np.arange(first.size)
        owner = np.concatenate([at] * len(operands))
        numbers = np.concatenate([np.ravel(a) for a in operands])
        return self.grouped(owner, numbers, first.size).reshape(first.shape)

    def along(self, numbers: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """The union over some axes, which stay with size 1."""
        shape = tuple(1 if i in axes else n for i, n in enumerate(numbers.shape))
        count = int(np.prod(shape, dtype=np.int64))
        owner = np.broadcast_to(np.arange(count).reshape(shape), numbers.shape)
        return self.grouped(owner, numbers, count).reshape(shape)


def _distinct(keys: np.ndarray) -> np.ndarray:
    """Each key once, in order. np.unique hashes them (since NumPy 2.3), which for such keys takes
    many times as long.
    """
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) != 0]


def _alike(owner: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Owners whose groups are the same list: (the owners, for each the first that is like it)."""
    owners, first, lengths = np.unique(owner, return_index=True, return_counts=True)
    place = np.arange(owner.size) - np.repeat(first, lengths)
    with np.errstate(over="ignore"):
        mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        mixed *= (2 * place + 1).astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
        digest = np.add.reduceat(mixed ^ (mixed >> np.uint64(32)), first)
    _, leader, group = np.unique(digest, return_index=True, return_inverse=True)
    like = leader[group]
    same = lengths[like] == lengths  # a digest may mislead: compare what it stands for
    entry = np.minimum(np.repeat(first[like], lengths) + place, owner.size - 1)
    same &= np.logical_and.reduceat(numbers[entry] == numbers, first)
    return owners, owners[np.where(same, like, np.arange(owners.size))]
