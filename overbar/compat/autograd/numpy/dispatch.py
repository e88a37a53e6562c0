"""NumPy's functions, for arrays and boxes: which of NumPy's names means which function of ours.

A function that meets no box is NumPy's own. One that does is ours, by the tables with which
Tensors answer NumPy (`ops.protocols`); what is in none of them raises only then. Lists with boxes
among them become arrays first, as they do in NumPy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

import overbar as ob

from ....handle import Tensor
from ....ops.protocols import UFUNCS, counterpart
from ....primitive import PUBLIC
from ..tracer import called, getval, holds_box, primitive_vjps, unboxed

LISTS = set(
    """
    concatenate concat stack vstack hstack dstack column_stack row_stack block select piecewise
    broadcast_arrays atleast_1d atleast_2d atleast_3d einsum einsum_path multi_dot meshgrid ix_
    lexsort array_split
    """.split()
)
"""Functions whose lists are lists of arrays, not arrays."""
JOINS = set("concatenate concat stack vstack hstack dstack column_stack row_stack".split())
"""Of these, the ones that take any iterable, such as `params.values()`."""


def array(A: Any, *args: Any, **kwargs: Any) -> Any:
    """np.array, of boxes and nested lists of boxes too."""
    boxed = isinstance(A, Tensor)
    if not boxed and not _lists(A):
        return np.array(A, *args, **kwargs)
    given = dict(zip(("dtype",), args, strict=False)) | kwargs
    x = A if boxed else ob.stack([ob.asarray(array(a)) for a in A])
    if given.get("dtype") is not None:
        x = x.astype(np.dtype(given["dtype"]))
    missing = given.get("ndmin", 0) - x.ndim
    if missing > 0:
        x = ob.reshape(x, (1,) * missing + x.shape)
    return x


def _lists(x: Any) -> bool:
    """Whether it is a list, tuple or array of objects, with boxes in it."""
    if isinstance(x, list | tuple):
        return holds_box(x) or any(_lists(e) for e in x)
    return type(x) is np.ndarray and x.dtype == object and holds_box(x.ravel().tolist())


def lifted(theirs: Any, ours: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A function of NumPy or SciPy that takes boxes as well; for these it is `ours`, if given."""
    if isinstance(theirs, np.ufunc):
        return _ufunc(theirs, ours or PUBLIC[""].get(UFUNCS.get(theirs.__name__, theirs.__name__)))
    return _function(_of_iterables(theirs) if theirs.__name__ in JOINS else theirs, ours)


def _of_iterables(theirs: Any) -> Any:
    def joined(arrays: Any, *args: Any, **kwargs: Any) -> Any:
        known = isinstance(arrays, list | tuple | np.ndarray | Tensor)
        return theirs(arrays if known else list(arrays), *args, **kwargs)

    return functools.update_wrapper(joined, theirs)


def _ufunc(theirs: Any, ours: Callable[..., Any] | None) -> Callable[..., Any]:

    def function(*args: Any, **kwargs: Any) -> Any:
        plain = True
        for x in args:
            kind = type(x)
            if kind is Tensor:
                plain = False
            elif kind is not np.ndarray and kind is not float and _strange(x):
                return _with_boxes(function, theirs, theirs, args, kwargs)
        if plain:
            return theirs(*args, **kwargs)
        if ours is None or kwargs or function in primitive_vjps:
            return _with_boxes(function, theirs, theirs, args, kwargs)
        y = ours(*args)
        node = y._node  # noqa: SLF001
        return y if node is not None and node.mask else unboxed(y)

    return _dressed(function, theirs)


def _strange(x: Any) -> bool:
    """Whether it is no plain array or number: a list with boxes, another library's array."""
    if isinstance(x, Tensor) or _lists(x):
        return True
    return (
        not isinstance(x, np.ndarray)
        and hasattr(type(x), "__array_ufunc__")
        and not (isinstance(x, np.generic))
    )


def _function(theirs: Any, ours: Callable[..., Any] | None) -> Callable[..., Any]:
    alone = ours or counterpart(theirs)

    def function(*args: Any, **kwargs: Any) -> Any:
        single = len(args) == 1 and not kwargs and type(args[0]) is Tensor
        if single and alone is not None and function not in primitive_vjps:
            return unboxed(alone(args[0]))
        if holds_box(args) or (kwargs and holds_box(kwargs.values())):
            return _with_boxes(function, theirs, ours or theirs, args, kwargs)
        return theirs(*args, **kwargs)

    return _dressed(function, theirs)


def _with_boxes(
    function: Any, theirs: Any, ours: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    """The result of a function of NumPy on arguments with boxes among them."""
    if function in primitive_vjps:
        return called(function, theirs, tuple(args), kwargs)
    if theirs.__name__ in LISTS:
        args = [[array(e) if _lists(e) else e for e in x] if _lists(x) else x for x in args]
    else:
        args = [array(x) if _lists(x) else x for x in args]
    return unboxed(ours(*args, **kwargs))


def _dressed(function: Any, theirs: Any) -> Callable[..., Any]:
    functools.update_wrapper(function, theirs)
    function.fun = theirs
    return function


def passed(module: ModuleType, name: str) -> Any:
    """A name of the module whose face another one is; `__all__` and its like stay their own."""
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(module, name)


class _Integers(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, cls.__base__)  # type: ignore[arg-type]


def _integer(kind: type) -> type:
    """An integer type of NumPy that takes the value out of a box: nothing flows through it."""
    return _Integers(
        kind.__name__, (kind,), {"__new__": lambda cls, x=0: kind(getval(x)), "__slots__": ()}
    )


_INTEGERS = {np.int8, np.int16, np.int32, np.int64}


def wrap_namespace(old: Mapping[str, Any], new: dict[str, Any]) -> None:
    """Give `new` the public names of `old`: its functions lifted, all else as it is."""
    made: dict[int, Any] = {}
    for name, thing in list(old.items()):
        if isinstance(thing, ModuleType) or (name.startswith("__") and name.endswith("__")):
            continue
        if id(thing) not in made:
            made[id(thing)] = _wrapped(thing)
        new[name] = made[id(thing)]


def _wrapped(thing: Any) -> Any:
    if isinstance(thing, type):
        return _integer(thing) if thing in _INTEGERS else thing
    if not callable(thing) or not hasattr(thing, "__name__"):
        return thing
    return lifted(thing)
