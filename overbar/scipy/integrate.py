"""`ob.scipy.integrate`: ordinary differential equations, differentiable.

The method of Dormand and Prince with a step size of its own, written as a loop of overbar's
operations: so gradients by the start, the times, and everything the right-hand side depends on,
forward and in reverse, to any order. Differentiated is the very sequence of steps that was taken;
how long they are is chosen by the values and is itself no path for a gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import overbar as ob
from overbar.errors import DomainError, ShapeError, UnknownValueError

__all__ = ["Solution", "odeint", "solve_ivp"]

_A = [
    [1 / 5],
    [3 / 40, 9 / 40],
    [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
]
_C = [1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1]
_E = [-71 / 57600, 0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40]
"""Dormand and Prince (1980): the stages, their times, and the difference of orders 5 and 4."""

_SAFETY, _LEAST, _MOST = 0.9, 0.2, 10.0
"""How a new step is chosen from the error, as SciPy does."""

MAX_STEPS = 100_000
"""Steps between two asked times; then the integration has failed."""


class Solution(NamedTuple):
    """What `solve_ivp` gives: y (n, times), as SciPy's."""

    t: ob.Tensor
    y: ob.Tensor
    success: Any


class _State(NamedTuple):
    """Where the integration stands: h is the next step to try, going tells whether it went well."""

    t: Any
    y: Any
    slope: Any
    h: Any
    steps: Any
    going: Any


def _combined(weights: list[float], slopes: list[Any]) -> Any:
    terms = [w * k for w, k in zip(weights, slopes, strict=True) if w]
    return sum(terms[1:], terms[0])


def _size(x: Any) -> Any:
    """The root of the mean square; no path for a gradient."""
    return ob.stop_gradient(ob.sqrt(ob.mean(x * x)))


class _Method:
    """Steps of the right-hand side f(t, y), within these tolerances."""

    def __init__(self, f: Callable[..., Any], rtol: Any, atol: Any, max_step: float) -> None:
        self.f, self.rtol, self.atol, self.max_step = f, rtol, atol, max_step

    def slope(self, t: Any, y: Any) -> ob.Tensor:
        """f(t, y), which must be like y."""
        slope = ob.asarray(self.f(t, y))
        if slope.shape != y.shape:
            raise ShapeError(
                "the right-hand side does not have the shape of y",
                got={"y": y, "f(t, y)": slope},
            )
        return ob.astype(slope, ob.float64)

    def _tolerance(self, *ys: Any) -> Any:
        size = ob.abs(ys[0])
        for y in ys[1:]:
            size = ob.maximum(size, ob.abs(y))
        return self.atol + self.rtol * size

    def first_step(self, t: Any, y: Any, slope: Any, sign: Any) -> Any:
        """A step to begin with.

        Source:  Hairer, Nørsett and Wanner (1993), Solving Ordinary Differential Equations I, II.4.
        """
        within = self._tolerance(y)
        d0, d1 = _size(y / within), _size(slope / within)
        small = (d0 < 1e-5) | (d1 < 1e-5)
        h0 = ob.where(small, 1e-6, 0.01 * d0 / ob.where(small, 1.0, d1))
        ahead = self.slope(t + h0 * sign, y + h0 * sign * slope)
        d2 = _size((ahead - slope) / within) / h0
        steep = ob.maximum(d1, d2)
        flat = steep <= 1e-15
        h1 = ob.where(flat, ob.maximum(1e-6, h0 * 1e-3), (0.01 / ob.where(flat, 1.0, steep)) ** 0.2)
        return ob.stop_gradient(ob.minimum(ob.minimum(100 * h0, h1), self.max_step))

    def step(self, state: _State, end: Any, sign: Any) -> _State:
        """One trial, taken if its error is within the tolerances."""
        t, y, h = state.t, state.y, state.h
        left = (end - t) * sign
        last = h >= left
        taken = ob.where(last, left, h) * sign
        slopes, ahead = [state.slope], y
        for weights, c in zip(_A, _C, strict=True):
            ahead = y + taken * _combined(weights, slopes)
            slopes.append(self.slope(t + c * taken, ahead))
        error = _size(taken * _combined(_E, slopes) / self._tolerance(y, ahead))
        good = error <= 1
        grow = _SAFETY * ob.where(error > 0, error, 1e-10) ** -0.2
        grow = ob.where(good, ob.clip(grow, _LEAST, _MOST), ob.clip(grow, _LEAST, 1.0))
        grow = ob.where(ob.isnan(error), _LEAST, grow)
        length = ob.abs(ob.stop_gradient(taken))
        after = ob.where(good & last, ob.maximum(h, length * grow), length * grow)
        steps = state.steps + 1
        tiny = 10 * np.finfo(float).eps * ob.abs(ob.stop_gradient(t))
        return _State(
            ob.where(good, ob.where(last, end, t + taken), t),
            ob.where(good, ahead, y),
            ob.where(good, slopes[-1], state.slope),
            ob.minimum(after, self.max_step),
            steps,
            (steps < MAX_STEPS) & (good | (after > tiny)),
        )

    def reach(self, state: _State, end: Any, sign: Any) -> _State:
        """The state at the time `end`."""
        fresh = state._replace(steps=ob.asarray(0))
        found = ob.while_loop(
            lambda s: _State(*s).going & ((end - s[0]) * sign > 0),
            lambda s: tuple(self.step(_State(*s), end, sign)),
            tuple(fresh),
        )
        return _State(*found)


def _integrated(
    what: str,
    f: Callable[..., Any],
    y0: Any,
    ts: Any,
    rtol: Any,
    atol: Any,
    first_step: float | None = None,
    max_step: float = math.inf,
) -> tuple[ob.Tensor, Any]:
    """y at all times, the first of which is where y0 holds; and whether all went well."""
    if ts.ndim != 1 or not ts.shape[0]:
        raise ShapeError(f"{what}: the times are a vector", got={"t": ts}, want="t: (n,), n ≥ 1")
    method = _Method(f, rtol, atol, max_step)
    y = ob.astype(ob.asarray(y0), ob.float64)
    sign = ob.stop_gradient(ob.where(ts[-1] < ts[0], -1.0, 1.0))
    slope = method.slope(ts[0], y)
    if first_step is None:
        h = method.first_step(ts[0], y, slope, sign)
    else:
        h = ob.asarray(float(first_step))
    start = _State(ts[0], y, slope, h, ob.asarray(0), ob.isfinite(ob.sum(ob.stop_gradient(slope))))

    def onward(carry: Any, end: Any) -> Any:
        state = method.reach(_State(*carry), end, sign)
        return tuple(state), ob.where(state.going, state.y, math.nan)

    with np.errstate(all="ignore"):  # what overflows is a step that is not taken
        last, ys = ob.scan(onward, tuple(start), ts[1:])
    return ob.concat([y[None], ys]), _State(*last).going


def _times(t: Any) -> ob.Tensor:
    return ob.astype(ob.asarray(t), ob.float64)


def _known(x: Any) -> bool | None:
    try:
        return bool(x)
    except UnknownValueError:
        return None


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    args: tuple[Any, ...] = (),
    *,
    tfirst: bool = False,
    rtol: Any = 1.49012e-8,
    atol: Any = 1.49012e-8,
) -> ob.Tensor:
    """y at the times t, of y' = func(y, t, *args) and y(t[0]) = y0; `tfirst`: func(t, y, *args).

    Shapes:  y0 (...), t (n,) rising or falling  ->  (n, ...)
    Rule:    through the steps that were taken: as exact as they are.
    Raises:  ShapeError if func gives something unlike y; DomainError if the step becomes too small,
             which a stiff or singular equation brings about. (Under `jit` y is NaN from there on.)
    Source:  Dormand and Prince (1980), A family of embedded Runge-Kutta formulae.
    Example:
        >>> decay = lambda y, t, rate: -rate * y
        >>> at_2 = lambda rate: ob.scipy.integrate.odeint(decay, 1.0, [0.0, 2.0], (rate,))[-1]
        >>> bool(abs(ob.grad(at_2)(0.5) + 2 * np.exp(-1)) < 1e-7)
        True
    """
    f = (lambda t, y: func(t, y, *args)) if tfirst else (lambda t, y: func(y, t, *args))
    ts = _times(t)
    ys, well = _integrated("odeint", f, y0, ts, rtol, atol)
    if _known(well) is False:
        raise DomainError(
            "odeint: the step size became too small, or there were too many steps",
            got={"y0": ys[0], "t": ts},
            hint="the equation is stiff or has a singularity; a larger rtol and atol may pass it",
        )
    return ys


def solve_ivp(
    fun: Callable[..., Any],
    t_span: Any,
    y0: Any,
    method: str = "RK45",
    t_eval: Any = None,
    *,
    args: tuple[Any, ...] = (),
    rtol: Any = 1e-3,
    atol: Any = 1e-6,
    first_step: float | None = None,
    max_step: float = math.inf,
) -> Solution:
    """y' = fun(t, y, *args) from y(t_span[0]) = y0: `.t`, `.y`, `.success`.

    y is given at t_eval; without it at both ends of t_span (SciPy: at every step, whose number
    depends on the values).

    Shapes:  y0 (n,)  ->  .t (m,), .y (n, m)
    Rule:    that of `odeint`; the tolerances are SciPy's, and coarse: 1e-3.
    Raises:  DomainError for another method than "RK45", or times outside of t_span.
    Example:
        >>> turn = lambda t, y: ob.stack([y[1], -y[0]])
        >>> s = ob.scipy.integrate.solve_ivp(turn, (0.0, np.pi), [1.0, 0.0], rtol=1e-9, atol=1e-9)
        >>> bool(ob.max(ob.abs(s.y[:, -1] - np.array([-1.0, 0.0]))) < 1e-7)
        True
    """
    if method != "RK45":
        raise DomainError(f"solve_ivp: method={method!r} is not a choice", want='"RK45"')
    start, end = _times(t_span[0]), _times(t_span[1])
    asked = ob.stack([start, end]) if t_eval is None else _times(t_eval)
    low, high = ob.minimum(start, end), ob.maximum(start, end)
    if _known(ob.all((asked >= low) & (asked <= high))) is False:
        raise DomainError(
            "solve_ivp: t_eval leaves t_span", got={"t_span": repr(t_span), "t_eval": repr(t_eval)}
        )
    given = asked if t_eval is None else ob.concat([start[None], asked])
    ys, well = _integrated(
        "solve_ivp", lambda t, y: fun(t, y, *args), y0, given, rtol, atol, first_step, max_step
    )
    ys = ys if t_eval is None else ys[1:]
    return Solution(asked, ob.moveaxis(ys, 0, -1), well)
