"""The machine that code is made for: what the generators may know of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """A processor as the generators see it; everything else is LLVM's business.

    name, features   as LLVM calls them
    bits             of its widest vector register
    registers        how many vector registers there are
    l1, l2, l3       sizes of the caches of one core, in bytes (l3: its share)
    cores            how many cores this process may use
    """

    name: str
    features: str
    bits: int
    registers: int
    l1: int
    l2: int
    l3: int
    cores: int

    def lanes(self, dtype: str) -> int:
        """How many numbers of a dtype ("float32", "float64") one vector holds."""
        return self.bits // (64 if dtype == "float64" else 32)
