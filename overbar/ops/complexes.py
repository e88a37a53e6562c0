"""Complex numbers: their parts, their size and their angle; and what has one form for the real.

Adjoints are not conjugated inside the sweeps: x̄ is the number with dL = Re(x̄ dx). A holomorphic
function then has x̄ = ȳ f'(x) like any other; the functions here are the ones that have not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import apply
from ..handle import Tensor, as_tensor, asarray
from ..primitive import Primitive, public
from ..spec import Spec, real_dtype, spec
from . import movement
from .arithmetic import absolute_, at_kink, where
from .logic import equal, sign
from .movement import cast, conj_


def _real_of(x: Spec) -> Spec:
    return spec(x.shape, real_dtype(x.dtype))


def _complex_samples(r: Any) -> list[Any]:
    return [((r(3, 2) + 1j * r(3, 2),), {}), ((r() + 1j * r(),), {}), ((r(0) + 1j * r(0),), {})]


def _times_minus_i(y_bar: Any, dtype: Any) -> Any:
    return cast(y_bar, dtype=dtype) * -1j


def _unit(x: Any, y: Any) -> Any:
    """x / |x|, and 0 at 0; y is |x|."""
    return x / where(equal(y, 0), 1.0, y)


def _not_zero(x: Any) -> Any:
    return where(equal(x, 0), 1.0, x)


imag_ = Primitive(
    "imag", forward="imag", shape=_real_of, complex=True, moves=True, text="Im {0}", tex=r"\Im {0}",
    vjp=(lambda y_bar, _y, _x: _times_minus_i(y_bar, _x.dtype),),
    batch=lambda n, mapped, x: imag_(x), samples=_complex_samples, doc="The imaginary part.",
)  # fmt: skip
complex_abs = Primitive(
    "complex_abs", forward="abs", shape=_real_of, complex=True, text="|{0}|", tex="|{0}|",
    vjp=(lambda y_bar, y, x: y_bar * conj_(_unit(x, y)),),
    jvp=(lambda x_dot, y, x: movement.real(conj_(_unit(x, y)) * x_dot),),
    batch=lambda n, mapped, x: complex_abs(x), samples=_complex_samples,
    doc="The absolute value of a complex number; its derivative at 0 is 0.",
)  # fmt: skip
angle_ = Primitive(
    "angle",
    forward="angle",
    shape=_real_of,
    complex=True,
    text="arg {0}",
    tex=r"\arg {0}",
    vjp=(
        lambda y_bar, _y, x: where(equal(x, 0), 0.0, _times_minus_i(y_bar, x.dtype) / _not_zero(x)),
    ),
    jvp=(lambda x_dot, _y, x: imag_(where(equal(x, 0), 0.0, x_dot / _not_zero(x))),),
    batch=lambda n, mapped, x: angle_(x),
    samples=_complex_samples,
    doc="The angle of a complex number, from −π to π.",
)


@public(names=("abs",))
def abs_(x: Any, /) -> Tensor:
    """The absolute value, entry by entry.

    Rule:    x̄ = ȳ sign x for real numbers, 0 at 0 (`ob.config(kinks=)`); x̄ = ȳ x*/|x| for complex.
    Example:
        >>> ob.abs([-1.5, 0.0, 2.0])
        Tensor([1.5, 0. , 2. ], float64)
    """
    x = as_tensor(x)
    if x.dtype.kind == "c":
        return apply(complex_abs, (asarray(x),))
    return apply(absolute_, (x,), {"kink": at_kink(0.5)})


@public(names=("sign",))
def sign_(x: Any, /) -> Tensor:
    """−1, 0 or 1, flat; of a complex number x/|x|, and 0 at 0.

    Example:
        >>> ob.sign([-3.0, 0.0, 2.0])
        Tensor([-1.,  0.,  1.], float64)
    """
    x = as_tensor(x)
    return apply(sign, (x,)) if x.dtype.kind != "c" else asarray(_unit(x, abs_(x)))


@public
def real(x: Any, /) -> Tensor:
    """The real part.

    Example:
        >>> ob.real([1 + 2j, 3 - 1j])
        Tensor([1., 3.], float64)
    """
    return apply(movement.real, (asarray(x),))


@public
def imag(x: Any, /) -> Tensor:
    """The imaginary part.

    Rule:    x̄ = −i ȳ; nothing flows to a real number.
    Example:
        >>> ob.imag([1 + 2j, 3 - 1j])
        Tensor([ 2., -1.], float64)
    """
    x = asarray(x)
    return apply(imag_, (x,)) if x.dtype.kind == "c" else asarray(np.zeros(x.shape, x.dtype))


@public
def angle(x: Any, /) -> Tensor:
    """The angle of a complex number, from −π to π; of a real one 0 or π.

    Rule:    x̄ = −i ȳ / x, and 0 at 0; nothing flows to a real number.
    Example:
        >>> ob.angle([1j, -1 + 0j])
        Tensor([1.57079633, 3.14159265], float64)
    """
    x = asarray(x)
    return apply(
        angle_,
        (x if x.dtype.kind == "c" else movement.astype(x, np.result_type(x.dtype, np.complex64)),),
    )
