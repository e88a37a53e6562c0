"""`ob.random`: generators of random numbers, as handles on a state (key, tick).

A draw is a pure function of the state, and moves the tick by one. So the same seed gives the same
numbers eager, traced and compiled; recomputing a draw repeats it; under vmap every lane has numbers
of its own. Wherever something is drawn, `rng=None` means the default generator, see `seed`.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from .apply import apply
from .context import CONTEXT
from .errors import DomainError, DTypeError, RuleMissingError, ShapeError
from .handle import Tensor, as_tensor, asarray, from_value
from .ops import threefry
from .ops.index import getitem
from .primitive import FLAT, PUBLIC, Primitive
from .spec import spec

__all__ = [
    "Generator", "bernoulli", "categorical", "default_generator", "default_rng", "exponential",
    "gamma", "integers", "normal", "permutation", "seed", "uniform",
]  # fmt: skip

_lock = threading.Lock()


class Generator:
    """A source of random numbers: `state` is the tensor (key, tick), uint64[2]."""

    def __init__(self, state: Tensor) -> None:
        self.state = state

    def tree_children(self) -> tuple[tuple[str, ...], list[Tensor]]:
        """The state is its only leaf."""
        return ("state",), [self.state]

    def tree_rebuild(self, children: Sequence[Any]) -> Generator:
        """A generator on another state."""
        return Generator(children[0])

    def state_dict(self) -> dict[str, Tensor]:
        """What has to be saved for an exact resume."""
        return {"state": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.state.rebind(as_tensor(np.asarray(state["state"], np.uint64)))

    def _bits(self, shape: Any, width: int) -> Tensor:
        """Fresh bits; the tick moves on."""
        sizes = (
            (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
        )
        if any(n < 0 for n in sizes):
            raise ShapeError(f"random: {sizes} is no shape", want="sizes from 0")
        with _lock:
            state = self.state
            drawn = as_it_is(state)
            self.state.rebind(state + np.array([0, 1], np.uint64))
        for lane in CONTEXT.get().lane or ():
            drawn = apply(threefry.fold, (drawn, lane))
        return apply(threefry.bits_, (drawn,), {"shape": sizes, "width": width})

    def split(self, n: int = 2) -> list[Generator]:
        """n generators whose numbers have nothing to do with each other, nor with this one's."""
        with _lock:
            state = as_it_is(self.state)
            self.state.rebind(self.state + np.array([0, 1], np.uint64))
        tick = apply(threefry.bits_, (state,), {"shape": (), "width": 64})
        return [Generator(_fresh(tick, i)) for i in range(n)]

    def uniform(
        self, shape: Any = (), low: Any = 0.0, high: Any = 1.0, *, dtype: Any = None
    ) -> Tensor:
        """Uniform on [low, high). Differentiable in low and high.

        Example:
            >>> ob.random.default_rng(0).uniform((2,)).shape
            (2,)
        """
        dtype = _float(dtype)
        u = apply(
            threefry.unit, (self._bits(shape, 32 if dtype == np.float32 else 64),), {"dtype": dtype}
        )
        if type(low) is float and type(high) is float and (low, high) == (0.0, 1.0):
            return u
        return low + (high - low) * u

    def normal(
        self, shape: Any = (), mean: Any = 0.0, std: Any = 1.0, *, dtype: Any = None
    ) -> Tensor:
        """Normal with this mean and standard deviation. Differentiable in both.

        Source:  Box and Muller (1958): √(−2 log u₁) cos 2πu₂.
        """
        u1, u2 = self.uniform(shape, dtype=dtype), self.uniform(shape, dtype=dtype)
        ops = PUBLIC[""]
        z = ops["sqrt"](-2.0 * ops["log"](1.0 - u1)) * ops["cos"]((2 * math.pi) * u2)
        if type(mean) is float and type(std) is float and (mean, std) == (0.0, 1.0):
            return z
        return mean + std * z

    def integers(self, low: int, high: int | None = None, shape: Any = ()) -> Tensor:
        """Whole numbers from low to high − 1 (from 0 to low − 1 if only one bound is given)."""
        low, high = (0, low) if high is None else (low, high)
        if int(high) <= int(low):
            raise DomainError(f"integers: nothing lies in [{low}, {high})", want="low < high")
        return int(low) + apply(
            threefry.below, (self._bits(shape, 64),), {"span": int(high) - int(low)}
        )

    def permutation(self, x: Any) -> Tensor:
        """A random order of 0 … x − 1, or of an array's first axis."""
        if isinstance(x, int | np.integer):
            return apply(threefry.shuffled, (self._bits((int(x),), 64),))
        x = as_tensor(x)
        return getitem(x, self.permutation(x.shape[0]))

    def bernoulli(self, p: Any = 0.5, shape: Any = None) -> Tensor:
        """True with probability p. `shape` defaults to that of p."""
        p_shape = () if isinstance(p, int | float) else as_tensor(p).shape
        return self.uniform(p_shape if shape is None else shape) < p

    def exponential(self, shape: Any = (), scale: Any = 1.0, *, dtype: Any = None) -> Tensor:
        """Exponential with this mean. Differentiable in it."""
        return -scale * PUBLIC[""]["log1p"](-self.uniform(shape, dtype=dtype))

    def gamma(self, alpha: Any, shape: Any = None, scale: Any = 1.0) -> Tensor:
        """Gamma with this shape parameter and scale. Differentiable in the scale.

        Raises:  RuleMissingError if alpha asks for a gradient.
        """
        alpha = asarray(alpha)
        if alpha.requires_grad or (alpha._node is not None and alpha._node.mask):
            raise RuleMissingError("gamma: a draw is not differentiable in its shape parameter",
                                   hint="use ob.stop_gradient(alpha)")  # fmt: skip
        sizes = alpha.shape if shape is None else shape
        return scale * apply(gamma_draw, (alpha, self._bits((2,), 64)), {"shape": _sizes(sizes)})

    def categorical(self, logits: Any, axis: int = -1, shape: Any = None) -> Tensor:
        """The number of a class, drawn with probabilities softmax(logits) along an axis.

        Source:  the Gumbel-max trick: argmax of logits − log(−log u).
        """
        logits, ops = as_tensor(logits), PUBLIC[""]
        sizes = logits.shape if shape is None else (*_sizes(shape), *logits.shape)
        e = self.exponential(sizes)
        return ops["argmax"](logits - ops["log"](e), axis=axis)


def _sizes(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)


_FLOATS: tuple[np.dtype, ...] = (np.dtype(np.float32), np.dtype(np.float64))


def _float(dtype: Any) -> np.dtype:
    dtype = np.dtype(dtype or CONTEXT.get().dtype or np.float64)
    if dtype not in _FLOATS:
        raise DTypeError(f"random: {dtype} is no floating dtype here", want="float32 or float64")
    return dtype


def as_it_is(t: Tensor) -> Tensor:
    """The tensor as it is now: a later rebinding of the handle does not reach it."""
    trace = CONTEXT.get().trace
    now = trace.read(t) if trace is not None else t
    twin = object.__new__(Tensor)
    twin._node, twin.value, twin.spec = now._node, now.value, now.spec
    return twin


def _fresh(bits: Tensor, i: int) -> Tensor:
    state = PUBLIC[""]["stack"]([bits, as_tensor(np.uint64(0))])
    return apply(threefry.fold, (state, as_tensor(np.asarray(i))))


def _of_alpha(dtype: np.dtype) -> np.dtype:
    return dtype if dtype == np.float32 else np.dtype(np.float64)


def _gamma(xp: Any, alpha: Any, words: Any, *, shape: tuple[int, ...]) -> np.ndarray:
    stream = np.random.Generator(np.random.Philox(key=words))
    return np.asarray(stream.standard_gamma(np.broadcast_to(alpha, shape)), _of_alpha(alpha.dtype))


gamma_draw = Primitive(
    "gamma_draw", forward=_gamma, vjp=FLAT, jvp=FLAT,
    shape=lambda alpha, words, *, shape: spec(shape, _of_alpha(alpha.dtype)),
    samples=lambda r: [((np.array([0.5, 2.0]), np.array([1, 2], np.uint64)), {"shape": (2,)})],
    doc="Gamma-distributed numbers of shape alpha, a function of two random words.",
)  # fmt: skip


def default_rng(seed: int | None = None) -> Generator:
    """A new generator; without a seed, from the system's entropy.

    Example:
        >>> a, b = ob.random.default_rng(7), ob.random.default_rng(7)
        >>> bool((a.normal((3,)) == b.normal((3,))).all())
        True
    """
    if seed is None:
        seed = int.from_bytes(os.urandom(8), "big")
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
        raise DTypeError(f"default_rng: a seed is a whole number, not {seed!r}")
    return Generator(from_value(np.array([int(seed) % 2**64, 0], np.uint64)))


_default = default_rng(0)


def default_generator() -> Generator:
    """The generator behind `rng=None`."""
    return _default


def seed(n: int) -> None:
    """Start the default generator anew."""
    _default.state.rebind(default_rng(n).state)


def _of_default(name: str) -> Any:
    def function(*args: Any, **kwargs: Any) -> Any:
        return getattr(_default, name)(*args, **kwargs)

    function.__name__ = name
    function.__doc__ = f"`Generator.{name}` of the default generator."
    return function


normal, uniform, integers = _of_default("normal"), _of_default("uniform"), _of_default("integers")
permutation, bernoulli, exponential = (
    _of_default("permutation"),
    _of_default("bernoulli"),
    _of_default("exponential"),
)
gamma, categorical = _of_default("gamma"), _of_default("categorical")
