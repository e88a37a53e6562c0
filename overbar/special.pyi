# Made by docs/generate.py: `python tasks.py docs` makes it again.
# fmt: off
# What a type checker and an editor see of overbar.special; running programs never read it.

from .handle import Tensor
from typing import TypeAlias
import builtins
import numpy.typing as npt

ArrayLike: TypeAlias = Tensor | npt.ArrayLike

def beta(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The beta function, Γ(a) Γ(b) / Γ(a + b)."""

def betainc(x: ArrayLike, y: ArrayLike, z: ArrayLike, /) -> Tensor:
    """The regularised incomplete beta function, of a, b and x."""

def betaincinv(x: ArrayLike, y: ArrayLike, z: ArrayLike, /) -> Tensor:
    """The x for which betainc(a, b, x) is p."""

def betaln(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The logarithm of the size of the beta function."""

def digamma(x: ArrayLike, /) -> Tensor:
    """ψ, the derivative of log Γ."""

def entr(x: ArrayLike, /) -> Tensor:
    """−x log x: 0 at 0, −∞ left of it."""

def erf(x: ArrayLike, /) -> Tensor:
    """The error function, 2/√π ∫₀ˣ exp(−t²) dt."""

def erfc(x: ArrayLike, /) -> Tensor:
    """1 − erf x, with all its digits where erf x is nearly 1."""

def erfcx(x: ArrayLike, /) -> Tensor:
    """exp(x²) erfc x, which neither overflows nor underflows for x > 0."""

def erfinv(x: ArrayLike, /) -> Tensor:
    """The inverse of erf."""

def expit(x: ArrayLike, /) -> Tensor:
    """The logistic function 1 / (1 + exp(−x)), with derivatives exact far into both tails."""

def gamma(x: ArrayLike, /) -> Tensor:
    """The gamma function, (x − 1)! for whole x."""

def gammainc(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The lower incomplete gamma function over Γ(a)."""

def gammaincc(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The upper incomplete gamma function over Γ(a)."""

def gammaincinv(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The x for which gammainc(a, x) is p."""

def gammaln(x: ArrayLike, /) -> Tensor:
    """The logarithm of the size of the gamma function."""

def i0(x: ArrayLike, /) -> Tensor:
    """The modified Bessel function of the first kind, of order 0."""

def i1(x: ArrayLike, /) -> Tensor:
    """The modified Bessel function of the first kind, of order 1."""

def j0(x: ArrayLike, /) -> Tensor:
    """The Bessel function of the first kind, of order 0."""

def j1(x: ArrayLike, /) -> Tensor:
    """The Bessel function of the first kind, of order 1."""

def log_ndtr(x: ArrayLike, /) -> Tensor:
    """The logarithm of the standard normal distribution function, without underflow."""

def logit(x: ArrayLike, /) -> Tensor:
    """log(x / (1 − x)), the inverse of the logistic function."""

def ndtr(x: ArrayLike, /) -> Tensor:
    """The standard normal distribution function Φ, accurate far into its lower tail."""

def ndtri(x: ArrayLike, /) -> Tensor:
    """The inverse of the standard normal distribution function."""

def polygamma(n: int, x: ArrayLike, /) -> Tensor:
    """The n-th derivative of the digamma function, n a whole number."""

def stdtr(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Student's distribution function, of the degrees of freedom and t."""

def stdtrit(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The t for which stdtr(df, t) is p."""

def xlog1py(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """x log(1 + y), and 0 where x is 0."""

def xlogy(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """x log y, and 0 where x is 0."""
