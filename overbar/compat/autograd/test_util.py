"""Checks of derivatives against differences: `check_grads(f)(*args)` raises AssertionError.

One random direction per check, as in autograd; `ob.testing.check_gradients` looks at all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from .core import make_jvp, make_vjp, vspace
from .wrap_util import get_name, unary_to_nary

TOL = RTOL = EPS = 1e-6


def scalar_close(a: Any, b: Any) -> bool:
    """Whether two numbers agree, absolutely or relatively, to 1e-6."""
    return bool(abs(a - b) < TOL or abs(a - b) / abs(a + b) < RTOL)


def make_numerical_jvp(f: Callable[..., Any], x: Any) -> Callable[[Any], Any]:
    """The derivative in a direction, by a central difference."""
    x_space, y_space = vspace(x), vspace(f(x))

    def push(v: Any) -> Any:
        ahead = f(x_space.add(x, x_space.scalar_mul(v, EPS / 2)))
        behind = f(x_space.add(x, x_space.scalar_mul(v, -EPS / 2)))
        rise = y_space.add(ahead, y_space.scalar_mul(behind, -1.0))
        return y_space.scalar_mul(rise, 1 / EPS)

    return push


def check_vjp(f: Callable[..., Any], x: Any) -> None:
    """Check the reverse sweep in one direction: <v, Jᵀu> = <J v, u>."""
    pull, y = make_vjp(f, x)
    x_space, y_space = vspace(x), vspace(y)
    v, u = x_space.randn(), y_space.randn()
    x_bar = x_space.covector(pull(y_space.covector(u)))
    assert vspace(x_bar) == x_space, f"the adjoint lies in {vspace(x_bar)}, not in {x_space}"
    exact = x_space.inner_prod(v, x_bar)
    numeric = y_space.inner_prod(u, make_numerical_jvp(f, x)(v))
    assert scalar_close(numeric, exact), (
        f"Derivative (VJP) check of {get_name(f)} failed with arg {x}:\n"
        f"analytic: {exact}\nnumeric:  {numeric}"
    )


def check_jvp(f: Callable[..., Any], x: Any) -> None:
    """Check the forward sweep in one direction."""
    v = vspace(x).randn()
    check_equivalent(make_jvp(f, x)(v)[1], make_numerical_jvp(f, x)(v))


def check_equivalent(x: Any, y: Any) -> None:
    """Check that two values lie in one space and agree in one random direction."""
    space, other = vspace(x), vspace(y)
    assert space == other, f"they lie in different spaces:\nx: {space}\ny: {other}"
    v = space.randn()
    close = scalar_close(space.inner_prod(x, v), space.inner_prod(y, v))
    assert close, f"the values differ:\nx: {x}\ny: {y}"


@unary_to_nary
def check_grads(
    f: Callable[..., Any], x: Any, modes: Sequence[str] = ("fwd", "rev"), order: int = 2
) -> None:
    """Check the derivatives of f up to this order, in these modes and all their mixtures."""
    assert set(modes) <= {"fwd", "rev"}, f"modes are 'fwd' and 'rev', not {modes}"
    if "fwd" in modes:
        check_jvp(f, x)
        if order > 1:
            _check_again(lambda x, v: make_jvp(f, x)(v)[1], f"jvp_{get_name(f)}",
                         (x, vspace(x).randn()), modes, order)  # fmt: skip
    if "rev" in modes:
        check_vjp(f, x)
        if order > 1:
            _check_again(lambda x, v: make_vjp(f, x)[0](v), f"vjp_{get_name(f)}",
                         (x, vspace(f(x)).randn()), modes, order)  # fmt: skip


def _check_again(f: Any, name: str, args: Any, modes: Sequence[str], order: int) -> None:
    f.__name__ = name
    check_grads(f, (0, 1), modes, order=order - 1)(*args)


def combo_check(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., None]:
    """check_grads(fun, *args, **kwargs) for all combinations of the values given next."""

    def check(*choices: Any, **named: Any) -> None:
        for xs in itertools.product(*choices):
            for values in itertools.product(*named.values()):
                words = dict(zip(named, values, strict=True))
                check_grads(fun, *args, **kwargs)(*xs, **words)

    return check
