"""Mathematics for compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..text import Module
from . import exponential as _e
from . import logarithm as _l
from . import error as _r
from . import trigonometric as _t

_FUNCTIONS = {n: getattr(_e, n) for n in "exp exp2 expm1 tanh sigmoid sinh cosh".split()}
_FUNCTIONS |= {n: getattr(_l, n) for n in "log log2 log10 log1p softplus log_sigmoid logaddexp".split()}
_FUNCTIONS |= {n: getattr(_t, n) for n in "sin cos tan".split()}
_FUNCTIONS |= {n: getattr(_r, n) for n in "erf erfc ndtr gelu".split()}
NAMES = tuple(_FUNCTIONS)
ARITY = {"logaddexp": 2}


def define(module: Module, name: str, kind: str) -> str:
    from ..scalar import Builder, Scalar

    short = {"float": "f32", "double": "f64"}[kind]
    dtype = np.dtype(np.float32 if kind == "float" else np.float64)
    full = f"ob.{name}.{short}"

    def write() -> None:
        n = ARITY.get(name, 1)
        arguments = [(kind, f"x{i}") for i in range(n)]
        f = module.function(full, arguments, result=kind, attributes="alwaysinline nounwind")
        b = Builder(f)
        y = _FUNCTIONS[name](*(Scalar(b, f"%x{i}", dtype) for i in range(n)))
        f.give(y.name)

    return module.once(full, write)
