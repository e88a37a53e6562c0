"""How a distribution's parameters are read: SciPy's names, in SciPy's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import overbar as ob
from overbar.errors import SpellingError


def read(
    name: str, names: Sequence[str], defaults: dict[str, Any], x: Any, args: Any, given: Any
) -> list[ob.Tensor]:
    """x and the parameters in the order of `names`, in one floating dtype.

    Raises:  SpellingError for a parameter too many, one twice, an unknown or a missing one.
    """
    found = dict(zip(names, args, strict=False))
    wrong = [k for k in given if k not in names or k in found]
    if len(args) > len(names) or wrong:
        what = f"{wrong[0]}= is unknown or given twice" if wrong else "too many arguments"
        raise SpellingError(f"{name}: {what}", want=f"x, {', '.join(names)}")
    found = {**defaults, **found, **given}
    for k in names:
        if k not in found:
            raise SpellingError(f"{name}: {k} is missing", want=f"x, {', '.join(names)}")
    given = (x, *(found[k] for k in names))
    every = [v if type(v) in (int, float) else ob.asarray(v) for v in given]
    dtype = ob.result_type(*every)
    dtype = dtype if dtype.kind == "f" else ob.float64
    return [ob.astype(ob.asarray(v), dtype) for v in every]
