"""Tensors in the hands of NumPy and of other libraries.

`np.sin(t)`, `np.sum(t, axis=0)`, `array + t` give Tensors: NumPy asks `__array_ufunc__` and
`__array_function__`, and two tables say which function of ours is meant. What is in neither table,
and every keyword that we lack, raises; nothing falls back to plain arrays in silence, for that
would cut a gradient.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import CutError, DomainError, DTypeError, SpellingError
from ..handle import Tensor
from ..primitive import PUBLIC
from .foreign import FOREIGN

OURS = PUBLIC[""]

# -- ufuncs -----------------------------------------------------------------------------------

UFUNCS = {
    "absolute": "abs",
    "fabs": "abs",
    "power": "pow",
    "float_power": "pow",
    "conjugate": "conj",
    "rint": "round",
    "true_divide": "divide",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
    "mod": "remainder",
    "bitwise_not": "bitwise_invert",
    "degrees": "rad2deg",
    "radians": "deg2rad",
}
"""NumPy's name of a ufunc -> ours, where they differ."""

_METHODS = {
    ("add", "reduce"): "ob.sum(x, axis=0)",
    ("multiply", "reduce"): "ob.prod(x, axis=0)",
    ("maximum", "reduce"): "ob.max(x, axis=0)",
    ("minimum", "reduce"): "ob.min(x, axis=0)",
    ("logical_and", "reduce"): "ob.all(x, axis=0)",
    ("logical_or", "reduce"): "ob.any(x, axis=0)",
    ("add", "accumulate"): "ob.cumsum(x, axis=0)",
    ("multiply", "accumulate"): "ob.cumprod(x, axis=0)",
    ("multiply", "outer"): "ob.outer(x, y)",
    ("add", "at"): "ob.scatter_add(x, index, values)",
}


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """What NumPy calls for `ufunc(..., tensor, ...)`."""
    name = ufunc.__name__
    if method != "__call__":
        ours = _METHODS.get(
            (name, method),
            f"ob.{UFUNCS.get(name, name)} on whole arrays, or .numpy() on the tensor",
        )
        raise SpellingError(f"np.{name}.{method} does not take tensors", want=ours)
    for word, given in kwargs.items():
        if given is not None and not (word == "where" and given is True):
            _refuse(f"np.{name}", word)
    of_numpy = getattr(np, name, None) is ufunc
    function = OURS.get(UFUNCS.get(name, name)) if of_numpy else _special(name)
    function = function or FOREIGN.get(ufunc)
    if function is None:
        raise _unknown(f"np.{name}" if of_numpy else name)
    return function(*inputs)


def _special(name: str) -> Callable[..., Any] | None:
    """The functions of scipy.special are ufuncs as well."""
    return PUBLIC["special"].get({"psi": "digamma"}.get(name, name)) or (
        OURS["sigmoid"] if name == "expit" else None
    )


def _unknown(what: str) -> DTypeError:
    return DTypeError(
        f"{what} does not take tensors",
        want="a function of overbar",
        hint="outside of what is differentiated: .numpy() first; inside: compose it from ours, "
        "or ob.callback",
    )


def _refuse(what: str, word: str) -> None:
    if word == "out":
        raise CutError(
            f"{what}: a tensor cannot be written into an ndarray, nor into a tensor (out=, a += t)",
            want="y = ..., results are always new",
            hint="a = a + t, or make `a` a tensor: ob.asarray(a)",
        )
    hints = {
        "where": "ob.where(mask, ..., ...)",
        "dtype": ".astype(dtype) on the argument or the result",
    }
    raise DTypeError(
        f"{what}: the keyword {word}= is not supported on tensors",
        want=hints.get(word, f"no {word}="),
    )


# -- functions --------------------------------------------------------------------------------

SAME = """
    sum prod mean max min std var any all argmax argmin cumsum cumprod sort argsort median
    quantile where reshape expand_dims squeeze moveaxis swapaxes ravel broadcast_to
    broadcast_arrays flip roll repeat tile split array_split stack unstack atleast_1d atleast_2d
    take take_along_axis meshgrid clip round astype isclose tensordot inner outer kron tril triu
    diagonal trace einsum vecdot matrix_transpose diff searchsorted nonzero count_nonzero
    zeros_like ones_like full_like empty_like unique_values cumulative_sum cumulative_prod sinc
    cross nanmean nansum ptp argwhere
""".split()  # noqa: SIM905  (forty quotes say no more)
"""Functions that are called alike here and there."""

ALIKE = {
    "amax": "max",
    "amin": "min",
    "around": "round",
    "concat": "concat",
    "concatenate": "concat",
    "permute_dims": "permute_dims",
    "imag": "imag",
    "real": "real",
}
"""NumPy's name -> ours."""

SPACES = {
    "linalg": """
        cholesky det eigh eigvalsh eigh eig eigvals inv matrix_norm matrix_power matrix_rank
        matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace vecdot
        vector_norm cross diagonal matmul lstsq norm multi_dot cond
    """,
    "fft": """
        fft ifft fft2 ifft2 fftn ifftn rfft irfft rfftn irfftn rfft2 irfft2 hfft ihfft
        fftfreq rfftfreq fftshift ifftshift
    """,
}
"""The same, of np.linalg and np.fft."""

RENAMED = {"ddof": "correction", "a_min": "min", "a_max": "max"}
"""Keywords of NumPy -> ours, in functions that are otherwise alike."""

_ABSENT = np._NoValue  # type: ignore[attr-defined]  # noqa: SLF001  (NumPy's "not given")
_DEFAULTS: dict[str, Any] = {
    "out": None,
    "where": (True, _ABSENT),
    "initial": _ABSENT,
    "order": ("C", "K", None),
    "dtype": None,
    "optimize": (True, False, "greedy", "optimal"),
    "kind": (None, "quicksort", "stable"),
    "subok": (True, False),
    "mode": "raise",
    "casting": "same_kind",
    "stable": (None, True),
    "copy": (None, True, False),
    "overwrite_input": False,
    "method": "linear",
    "keepdims": _ABSENT,
    "correction": _ABSENT,
    "equal_nan": False,
    "bias": False,
    "UPLO": "L",
    "hermitian": False,
}
"""Keywords of NumPy that may be given if they say what is so anyway."""


def array_function(
    self: Tensor,
    function: Callable[..., Any],
    types: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> Any:
    """What NumPy calls for `function(..., tensor, ...)`."""
    ours = counterpart(function)
    name = f"{function.__module__}.{function.__name__}".replace("numpy", "np")
    if ours is None:
        raise _unknown(name)
    if function in FOREIGN:
        return ours(*args, **kwargs)
    args, named = _by_name(function, ours, args, kwargs)
    return ours(*args, **_keywords(name, ours, named))


def _by_name(
    theirs: Callable[..., Any],
    ours: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> tuple[Sequence[Any], dict[str, Any]]:
    """The arguments that we take by position, and the others by NumPy's names for them: NumPy's
    order of `axis`, `dtype`, `out`, ... is not ours.
    """
    plan = _plans.get(theirs)
    if plan is None:
        parameters = list(inspect.signature(ours).parameters.values())
        first = 0
        for p in parameters:
            if p.kind is p.VAR_POSITIONAL:
                first = sys.maxsize
            if p.kind in (p.VAR_POSITIONAL, p.KEYWORD_ONLY) or (
                p.kind is not p.POSITIONAL_ONLY and p.default is not p.empty
            ):
                break
            first += 1
        plan = _plans[theirs] = first, tuple(inspect.signature(theirs).parameters)
    first, names = plan
    named = dict(kwargs)
    given = [*args[:first]]
    while len(given) < first and names[len(given) : len(given) + 1] and names[len(given)] in named:
        given.append(named.pop(names[len(given)]))
    return given, {**dict(zip(names[first:], args[first:], strict=False)), **named}


def _keywords(name: str, ours: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """NumPy's keywords as ours; one that we lack raises, unless it says what is so anyway."""
    known = _parameters(ours)
    found = {}
    for word, given in kwargs.items():
        if word in _DEFAULTS and _is_default(given, _DEFAULTS[word]):
            continue
        renamed = word if word in known else RENAMED.get(word, word)
        if renamed not in known:
            _refuse(name, word)
        found[renamed] = given
    return found


def _is_default(given: Any, default: Any) -> bool:
    return any(
        given is d or (isinstance(d, str | bool) and type(given) is type(d) and given == d)
        for d in (default if isinstance(default, tuple) else (default,))
    )


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    found = _known.get(function)
    if found is None:
        parameters = inspect.signature(function).parameters.values()
        found = _known[function] = frozenset(
            p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY
        )
    return found


_known: dict[Callable[..., Any], frozenset[str]] = {}
_plans: dict[Callable[..., Any], tuple[int, tuple[str, ...]]] = {}
_made: dict[Callable[..., Any], Callable[..., Any]] = {}


def counterpart(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Our function for one of NumPy's, if we have it."""
    return _table().get(function)


def _table() -> dict[Callable[..., Any], Callable[..., Any]]:
    """NumPy's functions -> ours; made when it is first asked for, when all of ours are there."""
    if not _made:
        ours = PUBLIC["linalg"] | OURS  # np.trace is ob.linalg.trace
        for theirs, name in {**{n: n for n in SAME}, **ALIKE}.items():
            if hasattr(np, theirs) and name in ours:
                _made[getattr(np, theirs)] = ours[name]
        for space, names in SPACES.items():
            for name in names.split():
                if hasattr(getattr(np, space), name) and name in PUBLIC[space]:
                    _made[getattr(getattr(np, space), name)] = PUBLIC[space][name]
        _made.update(FOREIGN)
    return _made


# -- DLPack and the Array API -----------------------------------------------------------------


def array_namespace(self: Tensor, *, api_version: str | None = None) -> Any:
    """The module of this array's functions, for libraries written against the Array API."""
    known = ("2021.12", "2022.12", "2023.12", "2024.12")
    if api_version is not None and api_version not in known:
        raise DomainError(
            f"__array_namespace__: version {api_version!r} is not known", want=f"one of {known}"
        )
    return sys.modules[__name__.partition(".")[0]]


def dlpack(
    self: Tensor,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: Any = None,
    copy: bool | None = None,
) -> Any:
    """The value for another library: read-only, or a copy where it cannot be told so.

    Raises:  CutError if the tensor carries a gradient, UnknownValueError while tracing.
    """
    array = self.__array__().view()
    array.flags.writeable = False
    if copy or max_version is None or max_version < (1, 0):  # older versions cannot say read-only
        return array.copy().__dlpack__(stream=stream)
    return array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)


def dlpack_device(self: Tensor) -> tuple[int, int]:
    """(1, 0): the CPU."""
    return (1, 0)


def device_of(self: Tensor) -> str:
    """Where it lives: the CPU."""
    return "cpu"


def to_device(self: Tensor, device: str, /, *, stream: Any = None) -> Tensor:
    """The tensor on that device; there is one, "cpu"."""
    if device != "cpu":
        raise DomainError(f"to_device: there is no device {device!r}", want='"cpu"')
    return self


def install() -> None:
    """Give Tensor its protocols."""
    Tensor.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
    Tensor.__array_function__ = array_function  # type: ignore[attr-defined]
    Tensor.__array_namespace__ = array_namespace  # type: ignore[attr-defined]
    Tensor.__dlpack__ = dlpack  # type: ignore[attr-defined]
    Tensor.__dlpack_device__ = dlpack_device  # type: ignore[attr-defined]
    Tensor.device = property(device_of)  # type: ignore[attr-defined]
    Tensor.to_device = to_device  # type: ignore[attr-defined]
