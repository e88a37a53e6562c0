"""Functions of functions: gradients, Jacobians, Hessians, and products with them."""

from __future__ import annotations

import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import overbar as ob

from ...errors import RuleMissingError, UnknownValueError
from . import numpy as np
from .core import defvjp_argnum, unpacked, vspace
from .core import make_jvp as _make_jvp
from .core import make_vjp as _make_vjp
from .tracer import primitive
from .wrap_util import unary_to_nary

make_vjp = unary_to_nary(_make_vjp)
make_jvp = unary_to_nary(_make_jvp)


_ONE = np.float64(1)


def _slope(name: str, fun: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    """(fun(x), its gradient) of a function with one real result."""
    pull, y = _make_vjp(fun, x)
    if type(y) is np.float64:  # nearly always
        return y, pull(_ONE)
    space = vspace(y)
    if space.size != 1 or getattr(space, "dtype", np.dtype(float)).kind not in "fc":
        raise TypeError(
            f"{name} is of a function with one real result, not of {space}; for several results "
            "use jacobian or elementwise_grad, for a complex one holomorphic_grad"
        )
    return y, pull(space.ones())


@unary_to_nary
def grad(fun: Callable[..., Any], x: Any) -> Any:
    """
    Returns a function which gives the gradient of `fun`, whose result is one
    real number, with respect to positional argument number `argnum`. It takes
    the arguments of `fun`; the gradient has the type of the argument."""  # noqa: D209, D212
    return _slope("grad", fun, x)[1]


@unary_to_nary
def value_and_grad(fun: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    """A function that gives both the value and the gradient, for scipy.optimize (jac=True)."""
    return _slope("value_and_grad", fun, x)


@unary_to_nary
def elementwise_grad(fun: Callable[..., Any], x: Any) -> Any:
    """The sum of each column of the Jacobian: its diagonal, if `fun` works entry by entry."""
    pull, y = _make_vjp(fun, x)
    space = vspace(y)
    if space.iscomplex:
        raise TypeError("elementwise_grad is of a function with real results")
    return pull(space.ones())


@unary_to_nary
def deriv(fun: Callable[..., Any], x: Any) -> Any:
    """The derivative in the direction of ones, by a forward sweep."""
    return _make_jvp(fun, x)(vspace(x).ones())[1]


@unary_to_nary
def jacobian(fun: Callable[..., Any], x: Any) -> Any:
    """The Jacobian of `fun`, of shape result + argument: all reverse sweeps at once."""
    pull, y = _make_vjp(fun, x)
    shape, n = vspace(y).shape, vspace(y).size
    basis = list(vspace(y).standard_basis())
    rows = _stacked(pull, np.array(basis), basis) if n else []
    return ob.tree_map(lambda r: np.reshape(r, (*shape, *np.shape(r)[1:])), rows)


def _stacked(pull: Callable[[Any], Any], whole: Any, basis: list[Any]) -> Any:
    """The adjoints of all vectors of the basis, along a first axis."""
    try:
        return unpacked(ob.vmap(pull)(whole))
    except (UnknownValueError, RuleMissingError):  # a rule in plain NumPy: one after the other
        rows = [pull(b) for b in basis]
    return ob.tree_map(lambda *row: np.stack(row), *rows)


@unary_to_nary
def holomorphic_grad(fun: Callable[..., Any], x: Any) -> Any:
    """The complex derivative of a function that has one."""
    if not vspace(x).iscomplex:
        warnings.warn("Input to holomorphic_grad is not complex", stacklevel=2)
    return grad(lambda z: np.real(fun(z)))(x)


def grad_named(fun: Callable[..., Any], argname: str) -> Callable[..., Any]:
    """The gradient with respect to an argument by its name."""
    return grad(fun, list(inspect.signature(fun).parameters).index(argname))


@unary_to_nary
def hessian(fun: Callable[..., Any], x: Any) -> Any:
    """The matrix of second derivatives."""
    return jacobian(jacobian(fun))(x)


@unary_to_nary
def make_hvp(fun: Callable[..., Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    """(v -> the product of the Hessian at x with v, the gradient at x)."""
    return _make_vjp(grad(fun), x)


def hessian_tensor_product(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """A function of (*args, v): the product of the Hessian with v, of the argument's shape."""

    def along(*args: Any, **kwargs: Any) -> Any:
        *rest, v = args
        return np.tensordot(grad(fun, argnum)(*rest, **kwargs), v, np.ndim(v))

    return grad(along, argnum)


hessian_vector_product = hessian_tensor_product


def tensor_jacobian_product(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """A function of (*args, v): the product of v with the Jacobian."""

    def along(*args: Any, **kwargs: Any) -> Any:
        *rest, v = args
        return np.tensordot(v, fun(*rest, **kwargs), np.ndim(v))

    return jacobian(along, argnum)


vector_jacobian_product = tensor_jacobian_product


@unary_to_nary
def make_jvp_reversemode(fun: Callable[..., Any], x: Any) -> Callable[[Any], Any]:
    """v -> the product of the Jacobian at x with v."""
    push = _make_jvp(fun, x)
    return lambda v: push(v)[1]


def make_ggnvp(
    f: Callable[..., Any],
    g: Callable[..., Any] = lambda y: np.sum(y**2, axis=-1) / 2,
    f_argnum: int = 0,
) -> Callable[..., Any]:
    """x -> (v -> Jᵀ H J v): J the Jacobian of f at x, H the Hessian of g at f(x)."""

    @unary_to_nary
    def maker(f: Callable[..., Any], x: Any) -> Callable[[Any], Any]:
        pull, y = _make_vjp(f, x)
        curvature, push = _make_vjp(grad(g), y)[0], _make_jvp(f, x)
        return lambda v: pull(curvature(push(v)[1]))

    return maker(f, f_argnum)


@unary_to_nary
def grad_and_aux(fun: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    """(The gradient of the first of two results, the second as it is)."""
    y, pull, aux = ob.vjp(fun, x, has_aux=True)
    return unpacked(pull(vspace(unpacked(y)).ones())[0]), unpacked(aux)


def multigrad_dict(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The gradients with respect to all arguments, as a dict of their names."""
    signature = inspect.signature(fun)

    def gradfun(*args: Any, **kwargs: Any) -> OrderedDict[str, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()

        def of_dict(arguments: dict[str, Any]) -> Any:
            bound.arguments = arguments
            return fun(*bound.args, **bound.kwargs)

        found = grad(of_dict)(dict(bound.arguments))
        return OrderedDict((name, found[name]) for name in signature.parameters)

    return gradfun


def checkpoint(fun: Callable[..., Any]) -> Callable[..., Any]:
    """fun, whose inner values are not kept for the backward sweep but computed again there."""
    wrapped = primitive(fun)
    defvjp_argnum(wrapped, lambda n, ans, args, kwargs: make_vjp(fun, n)(*args, **kwargs)[0])
    return wrapped
