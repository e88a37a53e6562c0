# Made by docs/generate.py: `python tasks.py docs` makes it again.
# fmt: off
# What a type checker and an editor see of overbar.fft; running programs never read it.

from .handle import Tensor
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias
import builtins
import numpy.typing as npt

ArrayLike: TypeAlias = Tensor | npt.ArrayLike

def fft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str | None = 'backward') -> Tensor:
    """The discrete Fourier transform yₖ = Σⱼ xⱼ exp(−2πi jk / n) along one axis."""

def fft2(x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] = ..., norm: str | None = 'backward') -> Tensor:
    """`fft` along two axes, the last ones by default."""

def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None) -> Tensor:
    """The frequencies of `fft`'s results, in cycles per unit of the spacing d."""

def fftn(x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = 'backward') -> Tensor:
    """`fft` along several axes, all of them by default; `s` gives the entries along each."""

def fftshift(x: ArrayLike, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """The entries along the axes (all by default) by rising frequency, 0 in the middle."""

def hfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str | None = 'backward') -> Tensor:
    """The real spectrum of a signal of which half is given, the other half being its conjugate."""

def ifft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str | None = 'backward') -> Tensor:
    """The inverse of `fft`: yⱼ = 1/n Σₖ xₖ exp(2πi jk / n)."""

def ifft2(x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] = ..., norm: str | None = 'backward') -> Tensor:
    """The inverse of `fft2`."""

def ifftn(x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = 'backward') -> Tensor:
    """The inverse of `fftn`."""

def ifftshift(x: ArrayLike, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`."""

def ihfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str | None = 'backward') -> Tensor:
    """Half of the signal whose spectrum is real: the inverse of `hfft`."""

def irfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str | None = 'backward') -> Tensor:
    """The real signal of n entries whose half spectrum is x: the inverse of `rfft`."""

def irfft2(x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] = ..., norm: str | None = 'backward') -> Tensor:
    """The inverse of `rfft2`."""

def irfftn(x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = 'backward') -> Tensor:
    """The inverse of `rfftn`: `ifft` along all axes but the last, then `irfft` along that."""

def rfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str | None = 'backward') -> Tensor:
    """Half the spectrum of a real signal; the other half is its conjugate."""

def rfft2(x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] = ..., norm: str | None = 'backward') -> Tensor:
    """`rfftn` along two axes, the last ones by default."""

def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None) -> Tensor:
    """The frequencies of `rfft`'s results, in cycles per unit of the spacing d."""

def rfftn(x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = 'backward') -> Tensor:
    """`rfft` along the last of the axes, then `fft` along the others."""
