"""Whether a constructor of the library is given the kinds of arguments that its annotations say."""

from __future__ import annotations

import functools
import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from .errors import DTypeError


def _is_whole(x: Any) -> bool:
    return isinstance(x, numbers.Integral)


def _is_number(x: Any) -> bool:
    if isinstance(x, numbers.Real):
        return True
    return getattr(x, "shape", None) == () and getattr(x, "dtype", np.dtype("O")).kind in "biuf"


def _has_tensors(x: Any) -> bool:
    return hasattr(x, "__iter__") or hasattr(x, "parameters")


def _are_functions(x: Any) -> bool:
    if isinstance(x, str) or not isinstance(x, Sequence | Mapping):
        return False
    return all(map(callable, x.values() if isinstance(x, Mapping) else x))


def _is_dtype(x: Any) -> bool:
    try:
        return x is None or np.dtype(x).kind in "biufc"
    except (TypeError, ValueError):
        return False


KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_is_whole, "a whole number"),
    "float": (_is_number, "a number"),
    "bool": (lambda x: x is None or isinstance(x, bool | np.bool_ | int), "True or False"),
    "str": (lambda x: isinstance(x, str), "a name"),
    "tuple[float, float]": (
        lambda x: isinstance(x, Sequence) and len(x) == 2 and all(map(_is_number, x)),
        "two numbers",
    ),
    "Sequence[int]": (
        lambda x: isinstance(x, Sequence | np.ndarray) and all(map(_is_whole, x)),
        "whole numbers",
    ),
    "Optimizer": (lambda x: hasattr(x, "lr") and hasattr(x, "step"), "an optimiser"),
    "Callable[[Any], Any]": (callable, "a function"),
    "Sequence[Callable] | Mapping[str, Callable]": (_are_functions, "functions, or a dict of them"),
    "Params": (_has_tensors, "parameters"),
    "Iterable[ob.Tensor]": (_has_tensors, "parameters"),
    "dtype": (_is_dtype, "a dtype of numbers"),
}
"""By annotation: what an argument has to be, as a test and in words."""


@functools.cache
def _kinds_of(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, str]]:
    signature = inspect.signature(function)
    kinds = {}
    for name, parameter in signature.parameters.items():
        kind = "dtype" if name == "dtype" else str(parameter.annotation)
        if kind.removesuffix(" | None") in KINDS:
            kinds[name] = kind
    return signature, kinds


def check_settings(made: type, args: Sequence[Any], words: Mapping[str, Any]) -> None:
    """Refuse arguments of another kind than the constructor of one of overbar's classes states.

    Raises:  DTypeError.
    """
    if not made.__module__.startswith("overbar."):
        return
    signature, kinds = _kinds_of(made.__init__)
    try:
        given = signature.bind_partial(None, *args, **words).arguments
    except TypeError:  # of their number or names Python itself complains, in a moment
        return
    for name, kind in kinds.items():
        if name not in given or (given[name] is None and kind.endswith(" | None")):
            continue
        test, want = KINDS[kind.removesuffix(" | None")]
        if not test(given[name]):
            raise DTypeError(f"{made.__name__}: {name} is {given[name]!r}", want=want)


class Checked:
    """Its subclasses in the library are made with arguments of the kinds that they state."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        check_settings(cls, args, kwargs)
        return object.__new__(cls)
