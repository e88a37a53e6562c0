"""A text to learn characters from, which comes with the package.

Where it is from is in SONNETS-LICENCE.md beside it.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

__all__ = ["sonnets"]


def sonnets() -> tuple[np.ndarray, str]:
    """Eight of Shakespeare's sonnets as numbers, and the characters that the numbers stand for.

    Shapes:  int64 (4922,): `characters[i]` for each i in it is the text
    Source:  Shakespeare (1609), Sonnets; in the public domain.
    Example:
        >>> text, characters = sonnets()
        >>> "".join(characters[i] for i in text[:42])
        'From fairest creatures we desire increase,'
    """
    text = resources.files("overbar.data").joinpath("sonnets.txt").read_text(encoding="ascii")
    characters = "".join(sorted(set(text)))
    return np.array([characters.index(c) for c in text], np.int64), characters
