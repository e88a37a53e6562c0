"""overbar: automatic differentiation and deep learning. A gradient that can answer questions."""

from .context import config, is_tracing, no_grad
from .primitive import PUBLIC
from .handle import Tensor, asarray, tensor
from .ops import methods as _methods  # the operations, which the names below may shadow

globals().update(PUBLIC[""])

from .calculus.after import adjoint, record, trace
from .calculus.backward import backward
from .calculus.batch import vmap
from .calculus.calls import checkpoint, cond, switch
from .calculus.loops import fori_loop, map, scan, while_loop
from .calculus.custom import Function, callback, custom_jvp, custom_vjp
from .calculus.matrices import hessian, hvp, jacfwd, jacobian, jacrev, linear_transpose
from .compile.jit import jit
from .calculus.transforms import grad, jvp, linearize, value_and_grad, vjp
from . import random
from .rebinding import rebind
from .trees import tree_flatten, tree_map, tree_unflatten
