"""Where parameters start: tensors of a given shape, drawn or constant.

Each function takes a shape and gives a tensor; `layer.weight = init.orthogonal(layer.weight.shape)`
puts it in place of what is there. `rng=None` draws from overbar's default generator; `dtype=None`
is `ob.config(dtype=)`, or float32. A weight is (out, in), a kernel (out, in, *sizes), as PyTorch
has them: *fan in* is how many numbers one output is summed from.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DomainError, ShapeError

__all__ = [
    "constant", "zeros", "ones", "uniform", "normal", "xavier_uniform", "xavier_normal",
    "kaiming_uniform", "kaiming_normal", "orthogonal", "fans", "gain",
]  # fmt: skip

Shape = tuple[int, ...]

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2)}


def dtype_of(dtype: Any) -> np.dtype:
    """The dtype of a new parameter: as asked, as configured, or float32."""
    if dtype is None:
        with ob.config() as now:
            dtype = now.dtype or np.float32
    return np.dtype(dtype)


def constant(shape: Shape, value: float, *, dtype: Any = None) -> ob.Tensor:
    """The same number everywhere."""
    return ob.tensor(np.full(shape, value, dtype_of(dtype)))


def zeros(shape: Shape, *, dtype: Any = None) -> ob.Tensor:
    """Zeros."""
    return constant(shape, 0, dtype=dtype)


def ones(shape: Shape, *, dtype: Any = None) -> ob.Tensor:
    """Ones."""
    return constant(shape, 1, dtype=dtype)


def uniform(shape: Shape, reach: float = 1.0, *, rng: Any = None, dtype: Any = None) -> ob.Tensor:
    """Uniform on [−reach, reach).

    Example:
        >>> from overbar.nn import init
        >>> w = init.uniform((10, 4), 0.5, rng=ob.random.default_rng(0))
        >>> w.shape, w.dtype, bool((abs(w) <= 0.5).all())
        ((10, 4), dtype('float32'), True)
    """
    return _source(rng).uniform(tuple(shape), -reach, reach, dtype=dtype_of(dtype))


def normal(
    shape: Shape, std: float = 1.0, mean: float = 0.0, *, rng: Any = None, dtype: Any = None
) -> ob.Tensor:
    """Normal with this standard deviation and mean."""
    return _source(rng).normal(tuple(shape), mean, std, dtype=dtype_of(dtype))


def xavier_uniform(
    shape: Shape, gain: float = 1.0, *, rng: Any = None, dtype: Any = None
) -> ob.Tensor:
    """Uniform with variance gain² · 2 / (fan in + fan out).

    Source:  Glorot and Bengio (2010), Understanding the difficulty of training deep networks.
    """
    return uniform(shape, gain * math.sqrt(6 / sum(fans(shape))), rng=rng, dtype=dtype)


def xavier_normal(
    shape: Shape, gain: float = 1.0, *, rng: Any = None, dtype: Any = None
) -> ob.Tensor:
    """Normal with variance gain² · 2 / (fan in + fan out)."""
    return normal(shape, gain * math.sqrt(2 / sum(fans(shape))), rng=rng, dtype=dtype)


def kaiming_uniform(
    shape: Shape, gain: float = math.sqrt(2), *, rng: Any = None, dtype: Any = None
) -> ob.Tensor:
    """Uniform with variance gain² / fan in; the default gain is relu's.

    Source:  He et al. (2015), Delving deep into rectifiers.
    """
    return uniform(shape, gain * math.sqrt(3 / fans(shape)[0]), rng=rng, dtype=dtype)


def kaiming_normal(
    shape: Shape, gain: float = math.sqrt(2), *, rng: Any = None, dtype: Any = None
) -> ob.Tensor:
    """Normal with variance gain² / fan in; the default gain is relu's."""
    return normal(shape, gain * math.sqrt(1 / fans(shape)[0]), rng=rng, dtype=dtype)


def orthogonal(shape: Shape, gain: float = 1.0, *, rng: Any = None, dtype: Any = None) -> ob.Tensor:
    """Orthonormal rows (or columns, if there are fewer of them), times gain.

    Shapes:  (out, ...): the axes after the first are taken as one.
    Rule:    QR of a normal matrix, the signs of R's diagonal moved into Q, so that every
             orthogonal matrix is equally likely.
    Source:  Saxe et al. (2014); Mezzadri (2007) for the signs.
    """
    fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    drawn = normal((max(rows, columns), min(rows, columns)), rng=rng, dtype=np.float64)
    q, r = np.linalg.qr(drawn.numpy())  # numbers, once, before anything is recorded
    q *= np.where(np.diagonal(r) < 0, -1, 1)
    matrix = q if rows >= columns else q.T
    return ob.tensor(gain * matrix.reshape(shape), dtype=dtype_of(dtype))


def fans(shape: Shape) -> tuple[int, int]:
    """(fan in, fan out) of a weight (out, in) or a kernel (out, in, *sizes).

    Example:
        >>> from overbar.nn import init
        >>> init.fans((32, 64)), init.fans((8, 3, 5, 5))
        ((64, 32), (75, 200))
    """
    if len(shape) < 2:
        raise ShapeError(
            f"init: a weight has at least two axes, not the shape {tuple(shape)}",
            want="(out, in), or (out, in, *sizes) for a kernel",
            hint="biases start at zero, or uniform",
        )
    area = math.prod(shape[2:])
    return shape[1] * area, shape[0] * area


def gain(activation: str, slope: float = 0.01) -> float:
    """The factor that keeps the spread of a signal through this activation.

    Example:
        >>> from overbar.nn import init
        >>> init.gain("tanh")
        1.6666666666666667
    """
    if activation == "leaky_relu":
        return math.sqrt(2 / (1 + slope**2))
    if activation not in _GAINS:
        raise DomainError(
            f"gain: nothing is known of {activation!r}", want=f"one of {[*_GAINS, 'leaky_relu']}"
        )
    return _GAINS[activation]


def _source(rng: Any) -> Any:
    return ob.random.default_generator() if rng is None else rng
