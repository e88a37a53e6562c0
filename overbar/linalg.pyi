# Made by docs/generate.py: `python tasks.py docs` makes it again.
# fmt: off
# What a type checker and an editor see of overbar.linalg; running programs never read it.

from .handle import Tensor
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias
import builtins
import numpy.typing as npt

ArrayLike: TypeAlias = Tensor | npt.ArrayLike

def cholesky(a: ArrayLike, /, *, upper: builtins.bool = False) -> Tensor:
    """The lower triangle l with a positive diagonal for which l lᴴ = a; `upper`: lᴴ."""

def cross(a: ArrayLike, b: ArrayLike, /, *, axis: int = -1) -> Tensor:
    """The cross products of the vectors of size 3 along one axis."""

def det(a: ArrayLike, /) -> Tensor:
    """The determinant of a."""

def diag_embed(x: ArrayLike, /, *, offset: int = 0) -> Tensor:
    """Square matrices that carry the last axis of x on one diagonal."""

def diagonal(x: ArrayLike, /, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    """The entries x[..., i, i + offset]: one diagonal of every matrix."""

def eig(a: ArrayLike, /) -> tuple[Tensor, Tensor]:
    """(w, v): the eigenvalues of a square matrix and its eigenvectors of length 1, both complex."""

def eigh(a: ArrayLike, /) -> tuple[Tensor, Tensor]:
    """(w, v): the eigenvalues of a symmetric matrix, rising, and orthonormal eigenvectors."""

def eigvals(a: ArrayLike, /) -> Tensor:
    """The eigenvalues of a square matrix, complex."""

def eigvalsh(a: ArrayLike, /) -> Tensor:
    """The eigenvalues of a symmetric matrix, rising."""

def expm(a: ArrayLike, /) -> Tensor:
    """The exponential Σ aᵏ / k! of a square matrix."""

def inv(a: ArrayLike, /) -> Tensor:
    """The inverse y of a: y a = a y = 1. To solve a x = b, `solve` is faster and more accurate."""

def logm(a: ArrayLike, /) -> Tensor:
    """The logarithm of a symmetric matrix: the symmetric y with exp y = a."""

def lstsq(a: ArrayLike, b: ArrayLike, /, *, rtol: float | None = None) -> Tensor:
    """The x for which |a x − b|² is least; of several, the one of least norm."""

def matmul(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The matrix product a b, what `a @ b` does."""

def matrix_norm(x: ArrayLike, /, *, keepdims: builtins.bool = False, ord: Any = 'fro') -> Tensor:
    """The size of matrices: "fro" Frobenius' √Σ|x|², "nuc" the sum of the singular values, 2 (−2) the largest (smallest) of them, 1 (−1) the largest (smallest) sum of sizes in a column, inf (−inf) in a row."""

def matrix_power(a: ArrayLike, n: int, /) -> Tensor:
    """a multiplied n times by itself; of the inverse for n < 0, the identity for n = 0."""

def matrix_rank(a: ArrayLike, /, *, rtol: float | None = None) -> Tensor:
    """How many singular values of a are larger than `rtol` times the largest."""

def matrix_transpose(x: ArrayLike, /) -> Tensor:
    """x with its last two axes swapped: `x.mT`."""

def multi_dot(matrices: Sequence[Any], /) -> Tensor:
    """The product of several matrices, in the order that costs least."""

def norm(x: ArrayLike, /, ord: Any = None, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """NumPy's norm: of all entries as one vector by default; with `ord` that of the vector or the matrix that x is; with an `axis` of vectors, with two of matrices."""

def outer(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Every entry of a vector times every entry of another: a bᵀ."""

def pinv(a: ArrayLike, /, *, rtol: float | None = None) -> Tensor:
    """The pseudo-inverse p of a: p b is the least-squares solution of a x = b that has least norm."""

def qr(a: ArrayLike, /, *, mode: str = 'reduced') -> tuple[Tensor, Tensor]:
    """(q, r): orthonormal columns q and an upper triangle r with q r = a."""

def slogdet(a: ArrayLike, /) -> tuple[Tensor, Tensor]:
    """(sign, log |det a|): det(a) = sign · exp(logdet), without overflow."""

def solve(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The x for which a @ x = b."""

def solve_triangular(a: ArrayLike, b: ArrayLike, /, *, lower: builtins.bool = False) -> Tensor:
    """The x for which triangle(a) @ x = b; the other triangle of a is not looked at."""

def sqrtm(a: ArrayLike, /) -> Tensor:
    """The square root of a symmetric matrix: the symmetric y ≥ 0 with y y = a."""

def svd(a: ArrayLike, /, *, full_matrices: builtins.bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """(u, s, vh): a = u diag(s) vh, with orthonormal columns of u, rows of vh, and falling s ≥ 0."""

def svdvals(a: ArrayLike, /) -> Tensor:
    """The singular values of a, falling."""

def tensordot(a: ArrayLike, b: ArrayLike, /, *, axes: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """The sum of products over pairs of axes: the last `axes` of a with the first of b, or the pairs named in two sequences."""

def trace(x: ArrayLike, /, *, offset: int = 0, axis1: int = -2, axis2: int = -1, dtype: Any = None) -> Tensor:
    """The sum of one diagonal of every matrix."""

def vecdot(a: ArrayLike, b: ArrayLike, /, *, axis: int = -1) -> Tensor:
    """The dot products Σ a* b of the vectors along one axis; of complex ones a is conjugated."""

def vector_norm(x: ArrayLike, /, *, axis: Any = None, keepdims: builtins.bool = False, ord: float = 2) -> Tensor:
    """The length of vectors: ord 2 Euclid's √Σ|x|², 1 the sum of sizes, inf (−inf) the largest (smallest) size, 0 how many entries are not zero, else (Σ|x|^ord)^(1/ord)."""
