"""Fixed points, differentiated through the equation they solve and not through the iteration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import defvjp, make_vjp, vspace
from ..tracer import primitive


@primitive
def fixed_point(
    f: Callable[[Any], Callable[[Any], Any]], a: Any, x0: Any, distance: Any, tol: float
) -> Any:
    """The x = f(a)(x) that the iteration from x0 reaches, to within tol of its own next step."""
    step = f(a)
    before, x = x0, step(x0)
    while distance(x, before) > tol:
        before, x = x, step(x)
    return x


def _pull(x: Any, f: Any, a: Any, x0: Any, distance: Any, tol: float) -> Callable[[Any], Any]:
    """x̄ ↦ āᵀ: w = x̄ + w ∂f/∂x is a fixed point in its turn, and ā = w ∂f/∂a."""
    pull_a, _ = make_vjp(lambda a: f(a)(x), a)

    def equation(params: Any) -> Callable[[Any], Any]:
        a, x, x_bar = params
        pull_x, _ = make_vjp(f(a), x)
        return lambda w: vspace(x).add(pull_x(w), x_bar)

    return lambda x_bar: pull_a(
        fixed_point(equation, (a, x, x_bar), vspace(x0).zeros(), distance, tol)
    )


defvjp(fixed_point, None, _pull, None)
