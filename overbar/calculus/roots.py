"""Roots of equations: differentiated by the equation, not through whoever solved it.

`implicit_root` lets any solver find x with F(x, θ) = 0; derivatives follow from the equation alone,
F_x ẋ + F_θ θ̇ = 0. The rule is stated once, forward; the reverse one is its transpose, and because
it is made of ordinary operations at a root that is itself such a root, it holds at every order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..apply import apply
from ..errors import DTypeError, ShapeError
from ..handle import Tensor, asarray
from ..ops.join import concat
from ..ops.logic import stop_gradient
from ..ops.movement import parts
from ..ops.repeat import reshape
from ..ops.solve import solve
from ..trees import same_structure, tree_flatten, tree_unflatten
from .calls import call_, is_array, traced_call
from .custom import forward_gate
from .matrices import jacfwd
from .transforms import jvp

Residual = Callable[[Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor]]
"""F of the leaves of x, and of all that it depends on besides."""


def implicit_root(residual: Callable[..., Any], solver: Callable[..., Any]) -> Callable[..., Any]:
    """A function of θ that gives the x with residual(x, *θ) = 0, as solver(*θ) finds it.

    The solver may do what it likes, with overbar, NumPy or SciPy, in a loop of any length: it sees
    θ without history and is not differentiated. x may be any tree; residual gives one like it. It
    may read other tensors as well (the parameters of a module): they are differentiated by, too.

    A fixed point x = f(x, θ) is the root of `lambda x, *θ: f(x, *θ) - x`. Under `jit` and `vmap` θ
    has no values: write the solver with overbar's functions there, or call it by `ob.callback`.

    Rule:    ẋ = −F_x⁻¹ F_θ θ̇, and θ̄ = −F_θᵀ F_x⁻ᵀ x̄, at every order.
    Cost:    of a derivative: as many forward sweeps for F_x as x has numbers, all at once, and one
             solve with it.
    Raises:  ShapeError or StructureError if residual gives something unlike x, SingularError if F_x
             has no inverse.
    Source:  Griewank and Walther (2008), Evaluating Derivatives, 15; Blondel et al. (2022),
             Efficient and modular implicit differentiation, arXiv:2105.15183.
    Example:
        >>> def newton(a):
        ...     x = 1.0
        ...     for _ in range(6):
        ...         x = (x + a / x) / 2
        ...     return x
        >>> root = ob.implicit_root(lambda x, a: x * x - a, newton)
        >>> float(ob.grad(root)(4.0)), float(ob.grad(ob.grad(root))(4.0))
        (0.25, -0.03125)
    """

    @functools.wraps(solver)
    def root(*args: Any) -> Any:
        leaves, structure = tree_flatten(args)
        fixed = [stop_gradient(asarray(v)) if is_array(v) else v for v in leaves]
        found, tree = tree_flatten(solver(*tree_unflatten(structure, fixed)))
        xs = [stop_gradient(_floating(x)) for x in found]
        captured, inputs, _ = traced_call(residual, (tree_unflatten(tree, xs), *args), {})
        same_structure("implicit_root", tree, captured.out_tree, ("x", "the residual"))
        for x, out in zip(xs, captured.graph.outputs, strict=False):
            if out.spec.shape != x.shape:
                raise ShapeError(
                    "implicit_root: the residual does not have the shape of x",
                    got={"x": x, "residual": out.spec},
                    want="as many equations as unknowns",
                )
        count, graph = captured.results, captured.graph

        def equations(unknowns: Sequence[Tensor], given: Sequence[Tensor]) -> Sequence[Tensor]:
            return parts(apply(call_, (*unknowns, *given), {"graph": graph}))[:count]

        given = [*inputs[count:], *(r.now for r in captured.reads)]
        return tree_unflatten(tree, _anchored(equations, xs, given))

    return root


def _floating(x: Any) -> Tensor:
    """A part of the solution, which must be a real floating number."""
    x = asarray(x)
    if x.dtype.kind != "f":
        raise DTypeError(
            "implicit_root: a root is made of real floating numbers", got={"x": x},
            hint="let the solver return floats; of complex unknowns take both parts",
        )  # fmt: skip
    return x


def _anchored(
    equations: Residual, xs: Sequence[Tensor], given: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The values xs, as what solves the equations for `given`."""
    n = len(xs)

    def rule(primals: list[Tensor], dots: list[Tensor]) -> list[Tensor]:
        here, at = primals[n:], dots[n:]
        roots = _anchored(equations, [stop_gradient(x) for x in primals[:n]], here)
        _, moved = jvp(lambda *g: equations(roots, g), tuple(here), tuple(at))

        def of_vector(x: Tensor) -> Tensor:
            return _vector(equations(_like(x, roots), here))

        slopes = jacfwd(of_vector)(_vector(roots))
        return list(_like(-solve(slopes, _vector(moved)), roots))

    flat = (*xs, *xs, *given)
    return parts(apply(forward_gate, flat, {"rule": rule, "results": n}))


def _vector(xs: Sequence[Tensor]) -> Tensor:
    flat = [reshape(x, (-1,)) for x in xs]
    return flat[0] if len(flat) == 1 else concat(flat)


def _like(x: Tensor, those: Sequence[Tensor]) -> list[Tensor]:
    """A vector cut into pieces of these shapes."""
    ends = [0, *np.cumsum([t.size for t in those]).tolist()]
    return [reshape(x[a:b], t.shape) for t, a, b in zip(those, ends[:-1], ends[1:], strict=True)]
