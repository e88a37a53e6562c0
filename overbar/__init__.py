"""overbar: automatic differentiation and deep learning. A gradient that can answer questions.

    import overbar as ob

Tensors and operations; transforms of functions (`grad`, `vmap`, `jit`, ...); control flow;
questions (`explain`, `why_nan`, ...); and the library: `nn`, `optim`, `data`. Everything above
the transforms is imported when it is first named, so that `import overbar` costs little more than
NumPy.
"""

import importlib as _importlib
from typing import Any as _Any

from .context import config, is_tracing, no_grad
from .handle import Tensor, asarray, tensor
from .ops import methods as _methods
from .ops.spellings import spelled as _spelled
from .primitive import PUBLIC as _PUBLIC

globals().update(_PUBLIC[""])  # every operation; the names below may shadow one

from . import fft, linalg, random, special
from .calculus.after import adjoint, record, trace
from .calculus.backward import backward
from .calculus.batch import vmap
from .calculus.calls import checkpoint, cond, switch
from .calculus.custom import Function, callback, custom_jvp, custom_vjp
from .calculus.matrices import ggnvp, hessian, hvp, jacfwd, jacobian, jacrev, linear_transpose
from .calculus.pattern import sparsity
from .calculus.roots import implicit_root
from .calculus.scan import map, scan
from .calculus.transforms import grad, jvp, linearize, value_and_grad, vjp
from .calculus.whiles import fori_loop, while_loop
from .compile.jit import jit
from .graph import Graph
from .rebinding import rebind
from .trees import tree_flatten, tree_map, tree_unflatten

__version__ = "0.1.0"

_LATER = {
    "sparse": "sparse", "local_jacobian": "calculus.local", "scipy": "scipy",
    "nn": "nn", "models": "models", "optim": "optim", "data": "data", "testing": "testing",
    "Trainer": "training", "metrics": "metrics",
    "save": "saving", "load": "saving",
    "explore": "views.explore", "draw": "views.draw",
    "plot_derivatives": "views.plot", "spy": "views.spy",
    "trace_table": "views.tracetable", "derive": "views.derive", "paths": "views.paths",
    "contributions": "views.contributions", "what_if": "views.whatif",
    "summary": "views.summary", "shape_table": "views.shapes",
    "explain": "views.explain", "why_zero": "views.zeros", "kinks": "views.kinks",
    "verify": "compile.verify",
    "health": "views.health", "watch": "views.watch", "cost": "views.cost",
    "memory": "views.memory", "compiled": "views.compiled",
    "why_nan": "views.nonfinite", "nan_guard": "views.nonfinite",
}  # fmt: skip
"""Where a name of the upper floors lives: a module of that name, or a name in a module."""


def _view(self: Graph, kind: str = "graph") -> _Any:
    """The graph as "modules", "bars", "jacobians" or "graph": see `overbar.views.aspects`."""
    return _importlib.import_module(f"{__name__}.views.aspects").view(self, kind)


Graph.view = _view  # type: ignore[attr-defined]


def __getattr__(name: str) -> _Any:
    place = _LATER.get(name)
    if place is None:
        _spelled(name)
    module = _importlib.import_module(f"{__name__}.{place}")
    found = module if place == name else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
