"""Mathematics for compiled loops: exp, log, sin, erf, pow and their relatives.

`define` writes a function of one number (or two) into a module. It is straight-line code: no
branch, no table, no call, so that LLVM puts it into the loop of its caller and computes as many
numbers at once as a vector holds. No liberties are taken with arithmetic: results are the same, bit
for bit, on every machine and in every loop, infinities, NaN, zeros' signs and denormal numbers are
right, and the error is below 2.5 units in the last place wherever the function is (`logaddexp`
excepted: near 0 it is as good as its greater argument). What only rare numbers need, sin of 10³⁰⁰,
is in `rare`.

The formulas are in the files by topic, in the words of `notation`, with the numbers of
`coefficients`, which `tools.coefficients` makes. Start with `exponential`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from ..text import Module

_TOPICS = {
    "exponential": "exp exp2 expm1 tanh sinh cosh",
    "logarithm": "log log2 log10 log1p",
    "logistic": "sigmoid silu gelu_tanh softplus log_sigmoid logaddexp",
    "trigonometric": "sin cos tan",
    "inverse": "asin acos atan atan2 asinh acosh atanh",
    "error": "erf erfc ndtr gelu scaled_erfc log_ndtr mills",
    "powers": "sqrt cbrt pow hypot",
    "gammas": "gammaln digamma trigamma betaln",
    "quantiles": "erfinv ndtri",
    "bessel": "i0 i1 j0 j1",
    "division": "remainder floor_divide",
}
_TOPIC = {name: topic for topic, names in _TOPICS.items() for name in names.split()}
_KINDS = {"float": ("f32", np.dtype(np.float32)), "double": ("f64", np.dtype(np.float64))}

NAMES = tuple(_TOPIC)
"""The functions there are."""


def _formula(name: str) -> Callable[..., Any]:
    """A topic is imported when one of its functions is wanted: few programs want many."""
    return getattr(import_module(f".{_TOPIC[name]}", __package__), name)


def arity(name: str) -> int:
    """How many numbers a function takes."""
    return len(inspect.signature(_formula(name)).parameters)


def define(module: Module, name: str, kind: str) -> str:
    """The name of a function of numbers of this kind ("float", "double"), which is then there."""
    from ..scalar import Builder, Scalar

    short, dtype = _KINDS[kind]

    def write() -> None:
        xs = [f"x{i}" for i in range(arity(name))]
        f = module.function(
            full, [(kind, x) for x in xs], result=kind, attributes="alwaysinline nounwind"
        )
        b = Builder(f)
        f.give(_formula(name)(*(Scalar(b, f"%{x}", dtype) for x in xs)).name)

    full = f"ob.{name}.{short}"
    return module.once(full, write)
