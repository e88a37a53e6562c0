# Made by docs/generate.py: `python tasks.py docs` makes it again.
# fmt: off
# What a type checker and an editor see of `import overbar`; running programs never read it.

from . import data as data
from . import errors as errors
from . import fft as fft
from . import linalg as linalg
from . import metrics as metrics
from . import models as models
from . import nn as nn
from . import optim as optim
from . import random as random
from . import scipy as scipy
from . import sparse as sparse
from . import special as special
from . import store as store
from . import testing as testing
from . import trees as trees
from .calculus.after import adjoint as adjoint
from .calculus.after import record as record
from .calculus.after import trace as trace
from .calculus.backward import backward as backward
from .calculus.batch import vmap as vmap
from .calculus.calls import checkpoint as checkpoint
from .calculus.calls import cond as cond
from .calculus.calls import switch as switch
from .calculus.custom import Function as Function
from .calculus.custom import callback as callback
from .calculus.custom import custom_jvp as custom_jvp
from .calculus.custom import custom_vjp as custom_vjp
from .calculus.local import local_jacobian as local_jacobian
from .calculus.matrices import ggnvp as ggnvp
from .calculus.matrices import hessian as hessian
from .calculus.matrices import hvp as hvp
from .calculus.matrices import jacfwd as jacfwd
from .calculus.matrices import jacobian as jacobian
from .calculus.matrices import jacrev as jacrev
from .calculus.matrices import linear_transpose as linear_transpose
from .calculus.pattern import sparsity as sparsity
from .calculus.roots import implicit_root as implicit_root
from .calculus.scan import map as map
from .calculus.scan import scan as scan
from .calculus.transforms import grad as grad
from .calculus.transforms import jvp as jvp
from .calculus.transforms import linearize as linearize
from .calculus.transforms import value_and_grad as value_and_grad
from .calculus.transforms import vjp as vjp
from .calculus.whiles import fori_loop as fori_loop
from .calculus.whiles import while_loop as while_loop
from .compile.jit import jit as jit
from .compile.verify import verify as verify
from .context import config as config
from .context import is_tracing as is_tracing
from .context import no_grad as no_grad
from .graph import Graph as Graph
from .handle import Tensor as Tensor
from .handle import asarray as asarray
from .handle import tensor as tensor
from .ops.dtypes import ArrayNamespaceInfo
from .ops.dtypes import FloatInfo
from .ops.dtypes import IntInfo
from .ops.sorting import TopK
from .ops.sorting import UniqueAll
from .ops.sorting import UniqueCounts
from .ops.sorting import UniqueInverse
from .rebinding import rebind as rebind
from .saving import load as load
from .saving import save as save
from .training.trainer import Trainer as Trainer
from .trees import tree_flatten as tree_flatten
from .trees import tree_map as tree_map
from .trees import tree_unflatten as tree_unflatten
from .views.compiled import compiled as compiled
from .views.contributions import contributions as contributions
from .views.cost import cost as cost
from .views.derive import derive as derive
from .views.draw import draw as draw
from .views.explain import explain as explain
from .views.explore import explore as explore
from .views.health import health as health
from .views.kinks import kinks as kinks
from .views.memory import memory as memory
from .views.nonfinite import nan_guard as nan_guard
from .views.nonfinite import why_nan as why_nan
from .views.paths import paths as paths
from .views.plot import plot_derivatives as plot_derivatives
from .views.shapes import shape_table as shape_table
from .views.spy import spy as spy
from .views.summary import summary as summary
from .views.tracetable import trace_table as trace_table
from .views.watch import watch as watch
from .views.whatif import what_if as what_if
from .views.zeros import why_zero as why_zero
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias
import builtins
import numpy as np
import numpy.typing as npt

ArrayLike: TypeAlias = Tensor | npt.ArrayLike

__version__: str
__array_api_version__: str
bool: np.dtype
complex128: np.dtype
complex64: np.dtype
e: float
float16: np.dtype
float32: np.dtype
float64: np.dtype
inf: float
int16: np.dtype
int32: np.dtype
int64: np.dtype
int8: np.dtype
nan: float
newaxis: None
pi: float
uint16: np.dtype
uint32: np.dtype
uint64: np.dtype
uint8: np.dtype

def __array_namespace_info__() -> ArrayNamespaceInfo:
    """What this implementation of the Array API can do: its dtypes, devices and limits."""

def abs(x: ArrayLike, /) -> Tensor:
    """The absolute value, entry by entry."""

def acos(x: ArrayLike, /) -> Tensor:
    """The angle whose cosine is x."""

def acosh(x: ArrayLike, /) -> Tensor:
    """The number not below 0 whose cosh is x."""

def add(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """a + b."""

def all(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """Whether every entry is true (not zero) over the given axes; true of nothing."""

def angle(x: ArrayLike, /) -> Tensor:
    """The angle of a complex number, from −π to π; of a real one 0 or π."""

def any(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """Whether one entry is true (not zero) over the given axes."""

def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Numbers from start (0, if only one is given) up to, not including, stop."""

def argmax(x: ArrayLike, /, axis: int | None = None, keepdims: builtins.bool = False) -> Tensor:
    """Where the greatest entry is (None: in x in a row), the first of several; flat."""

def argmin(x: ArrayLike, /, axis: int | None = None, keepdims: builtins.bool = False) -> Tensor:
    """Where the least entry is (None: in x in a row), the first of several; flat."""

def argsort(x: ArrayLike, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
    """The permutation that sorts along an axis; ties keep their order; flat."""

def array_split(x: ArrayLike, indices_or_sections: int | Sequence[int], /, axis: int = 0) -> list[Tensor]:
    """x cut along an axis into parts as equal as can be, or before the given points."""

def asin(x: ArrayLike, /) -> Tensor:
    """The angle whose sine is x."""

def asinh(x: ArrayLike, /) -> Tensor:
    """The number whose sinh is x."""

def astype(x: ArrayLike, dtype: Any, /, *, copy: builtins.bool = True) -> Tensor:
    """x with its entries converted to another dtype."""

def atan(x: ArrayLike, /) -> Tensor:
    """The angle whose tangent is x."""

def atan2(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The angle of the point with height a and abscissa b, from −π to π."""

def atanh(x: ArrayLike, /) -> Tensor:
    """The number whose tanh is x."""

def atleast_1d(x: ArrayLike, /) -> Tensor:
    """x, with an axis if it has none."""

def atleast_2d(x: ArrayLike, /) -> Tensor:
    """x, with axes of size 1 in front until it has two."""

def avg_pool(x: ArrayLike, size: Any, /, *, stride: Any = None, padding: Any = 0, count_include_pad: builtins.bool = True) -> Tensor:
    """The mean of every window."""

def bitwise_and(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The bits that both have."""

def bitwise_invert(x: ArrayLike, /) -> Tensor:
    """The bits it has not."""

def bitwise_left_shift(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The bits moved up."""

def bitwise_or(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The bits that one has."""

def bitwise_right_shift(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The bits moved down."""

def bitwise_xor(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The bits that just one has."""

def broadcast_arrays(*arrays: Any) -> tuple[Tensor, ...]:
    """The arrays, each repeated to their common shape."""

def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape of arrays of these shapes."""

def broadcast_to(x: ArrayLike, /, shape: Sequence[int]) -> Tensor:
    """x repeated along new axes and along axes of size 1."""

def can_cast(from_: Any, to: Any, /) -> builtins.bool:
    """Whether every number of one dtype (or of an array's) is one of the other."""

def cbrt(x: ArrayLike, /) -> Tensor:
    """The cube root of x; its derivative at 0 is infinite."""

def ceil(x: ArrayLike, /) -> Tensor:
    """The least whole number not below x."""

def clip(x: ArrayLike, /, min: Any = None, max: Any = None) -> Tensor:
    """x, but not below `min` and not above `max`, entry by entry; NaN stays NaN."""

def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Tensor:
    """The arrays joined along an axis (None: each flattened first)."""

def conj(x: ArrayLike, /) -> Tensor:
    """The complex conjugate of x."""

def conv(x: ArrayLike, w: ArrayLike, /, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    """The convolution of x with the kernels w (a correlation: kernels are not turned round)."""

def conv_transpose(x: ArrayLike, w: ArrayLike, /, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    """The transpose of a convolution: every entry of x spread by its kernel."""

def copysign(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The size of a with the sign of b, that of a zero included."""

def cos(x: ArrayLike, /) -> Tensor:
    """The cosine of x radians."""

def cosh(x: ArrayLike, /) -> Tensor:
    """The hyperbolic cosine of x."""

def count_nonzero(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """How many entries are not zero, over the given axes; flat."""

def cumprod(x: ArrayLike, /, axis: int | None = None, *, dtype: Any = None) -> Tensor:
    """The products of the entries up to each one along an axis (None: of x in a row)."""

def cumsum(x: ArrayLike, /, axis: int | None = None, *, dtype: Any = None) -> Tensor:
    """The sums of the entries up to each one along an axis (None: of x in a row)."""

def cumulative_prod(x: ArrayLike, /, *, axis: int | None = None, dtype: Any = None, include_initial: builtins.bool = False) -> Tensor:
    """`cumprod`, the Array API's way; `include_initial` puts the product of nothing, 1, in front."""

def cumulative_sum(x: ArrayLike, /, *, axis: int | None = None, dtype: Any = None, include_initial: builtins.bool = False) -> Tensor:
    """`cumsum`, the Array API's way; `include_initial` puts the sum of nothing, 0, in front."""

def deg2rad(x: ArrayLike, /) -> Tensor:
    """Degrees as radians."""

def diag(x: ArrayLike, /, *, offset: int = 0) -> Tensor:
    """Of a vector the matrix that carries it on a diagonal, of a matrix its diagonal."""

def diagonal(x: ArrayLike, /, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    """The entries x[..., i, i + offset]: one diagonal of every matrix."""

def diff(x: ArrayLike, /, *, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """The differences of neighbours along an axis, taken n times."""

def digitize(x: ArrayLike, bins: ArrayLike, /, right: builtins.bool = False) -> Tensor:
    """The number of the bin each entry falls into, given the bins' ascending bounds; flat."""

def divide(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """a / b."""

def dot(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """NumPy's product: of vectors Σ a b, of matrices a b, of a number the multiple; else the sum over the last axis of a and the last but one of b."""

def einsum(form: str, /, *operands: Any) -> Tensor:
    """Einstein's summation: entries multiplied, and summed over the letters not in the output."""

def elu(x: ArrayLike, /, alpha: float = 1.0) -> Tensor:
    """x right of zero, alpha (exp(x) − 1) left of it."""

def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array whose entries one must not rely on. Here they are zeros: runs repeat exactly."""

def empty_like(x: ArrayLike, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Entries one must not rely on (zeros), in the shape and dtype of x."""

def equal(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Whether a = b."""

def exp(x: ArrayLike, /) -> Tensor:
    """e to the power x."""

def exp2(x: ArrayLike, /) -> Tensor:
    """2 to the power x."""

def expand_dims(x: ArrayLike, /, axis: Any = 0) -> Tensor:
    """x with new axes of size 1, counted in the result."""

def expm1(x: ArrayLike, /) -> Tensor:
    """exp(x) − 1, with all its digits near 0."""

def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """The identity matrix; `k` moves its diagonal to the right."""

def finfo(type: Any, /) -> FloatInfo:
    """The limits of a floating dtype (of a complex one: those of its parts)."""

def flatten(x: ArrayLike, /, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """x with the axes from `start_axis` to `end_axis`, both included, made one."""

def flip(x: ArrayLike, /, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """x with the order of its entries reversed along the given axes (all of them by default)."""

def floor(x: ArrayLike, /) -> Tensor:
    """The greatest whole number not above x."""

def floor_divide(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The greatest whole number not above a / b."""

def fmax(x: ArrayLike, y: ArrayLike, /) -> Tensor:
    """The greater of x and y, entry by entry; where one is NaN, the other."""

def fmin(x: ArrayLike, y: ArrayLike, /) -> Tensor:
    """The lesser of x and y, entry by entry; where one is NaN, the other."""

def from_dlpack(x: ArrayLike, /, *, device: Any = None, copy: builtins.bool | None = None) -> Tensor:
    """A tensor with the data of any array that speaks DLPack: a copy, since tensors never change."""

def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array with one value everywhere."""

def full_like(x: ArrayLike, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One value everywhere, in the shape and dtype of x."""

def gelu(x: ArrayLike, /, approximate: builtins.bool | str = False) -> Tensor:
    """x Φ(x), with Φ the standard normal distribution function; accurate far into its tail."""

def greater(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Whether a > b."""

def greater_equal(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Whether a ≥ b."""

def hard_tanh(x: ArrayLike, /) -> Tensor:
    """x, cut off at −1 and 1: `clip(x, −1, 1)`."""

def hypot(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The distance of (a, b) from the origin, without overflow; its derivative there is 0."""

def iinfo(type: Any, /) -> IntInfo:
    """The limits of an integer dtype."""

def imag(x: ArrayLike, /) -> Tensor:
    """The imaginary part."""

def inner(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The sum of products over the last axis of both, not conjugated; of numbers the product."""

def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """Whether a dtype is of a kind: a dtype, "bool", "integral", "real floating", "numeric", ..."""

def isfinite(x: ArrayLike, /) -> Tensor:
    """Whether neither infinite nor NaN."""

def isin(x1: ArrayLike, x2: ArrayLike, /, *, invert: builtins.bool = False) -> Tensor:
    """Whether each entry of x1 is among those of x2 (with `invert`: is not). Nothing flows back."""

def isinf(x: ArrayLike, /) -> Tensor:
    """Whether infinite."""

def isnan(x: ArrayLike, /) -> Tensor:
    """Whether NaN."""

def kron(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Kronecker's product: every entry of a, times the whole of b."""

def leaky_relu(x: ArrayLike, /, slope: float = 0.01) -> Tensor:
    """x right of zero, slope · x left of it."""

def less(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Whether a < b."""

def less_equal(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Whether a ≤ b."""

def linspace(start: Any, stop: Any, /, num: int = 50, *, endpoint: builtins.bool = True, dtype: Any = None, device: Any = None) -> Tensor:
    """`num` numbers at equal distances from start to stop, both included."""

def log(x: ArrayLike, /) -> Tensor:
    """The natural logarithm of x."""

def log10(x: ArrayLike, /) -> Tensor:
    """The logarithm of x to the base 10."""

def log1p(x: ArrayLike, /) -> Tensor:
    """log(1 + x), with all its digits near 0."""

def log2(x: ArrayLike, /) -> Tensor:
    """The logarithm of x to the base 2."""

def log_sigmoid(x: ArrayLike, /) -> Tensor:
    """The logarithm of the logistic function, without underflow."""

def log_softmax(x: ArrayLike, /, axis: int = -1) -> Tensor:
    """The logarithm of softmax, without underflow."""

def logaddexp(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """log(exp a + exp b), without overflow."""

def logical_and(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Whether both hold."""

def logical_not(x: ArrayLike, /) -> Tensor:
    """Whether it does not hold."""

def logical_or(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Whether one holds."""

def logical_xor(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Whether exactly one holds."""

def logsumexp(x: ArrayLike, /, axis: int | tuple[int, ...] | None = None, keepdims: builtins.bool = False) -> Tensor:
    """log Σ exp(x) over the given axes (all of them by default), without overflow."""

def matmul(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The matrix product a b, what `a @ b` does."""

def matrix_transpose(x: ArrayLike, /) -> Tensor:
    """x with its last two axes swapped: `x.mT`."""

def max(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """The greatest entry over the given axes (all of them by default); NaN if one is."""

def max_pool(x: ArrayLike, size: Any, /, *, stride: Any = None, padding: Any = 0) -> Tensor:
    """The greatest entry of every window; the border counts as −∞."""

def maximum(x: ArrayLike, y: ArrayLike, /) -> Tensor:
    """The greater of x and y, entry by entry; NaN where either is."""

def mean(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """The arithmetic mean over the given axes (all of them by default)."""

def median(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """The middle of the sorted entries over the given axes, the mean of the two middle ones if their number is even; NaN if one is."""

def meshgrid(*arrays: Any, indexing: str = 'xy') -> tuple[Tensor, ...]:
    """Coordinates of a grid, from the coordinates along each axis."""

def min(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """The least entry over the given axes (all of them by default); NaN if one is."""

def minimum(x: ArrayLike, y: ArrayLike, /) -> Tensor:
    """The lesser of x and y, entry by entry; NaN where either is."""

def moveaxis(x: ArrayLike, source: int | Sequence[int], destination: int | Sequence[int], /) -> Tensor:
    """x with some axes moved to other places, the rest in their order."""

def multiply(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """a b, entry by entry."""

def negative(x: ArrayLike, /) -> Tensor:
    """−x."""

def nextafter(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """The next number after a on the way to b; as a function of a its slope is 1."""

def nonzero(x: ArrayLike, /) -> tuple[Tensor, ...]:
    """Where x is not zero (or true): one array of indices per axis; flat."""

def not_equal(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Whether a ≠ b."""

def one_hot(i: ArrayLike, n: int, /, *, dtype: Any = None) -> Tensor:
    """For each integer a row of n zeros with a one in its place."""

def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of ones."""

def ones_like(x: ArrayLike, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones in the shape and dtype of x."""

def outer(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """Every entry of a vector times every entry of another: a bᵀ."""

def pad(x: ArrayLike, /, widths: Any, mode: str = 'constant', value: Any = 0) -> Tensor:
    """x with a border."""

def permute_dims(x: ArrayLike, /, axes: Sequence[int]) -> Tensor:
    """x with its axes in the given order."""

def positive(x: ArrayLike, /) -> Tensor:
    """+x."""

def pow(x: ArrayLike, y: ArrayLike, /) -> Tensor:
    """x to the power y."""

def power(x: ArrayLike, y: ArrayLike, /) -> Tensor:
    """x to the power y."""

def prod(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False, *, dtype: Any = None) -> Tensor:
    """The product over the given axes (all of them by default)."""

def put_along_axis(x: ArrayLike, indices: ArrayLike, values: ArrayLike, /, axis: int = -1) -> Tensor:
    """A copy of x with the entries at these positions along the axis replaced; the last one wins."""

def quantile(x: ArrayLike, q: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False, *, method: str = 'linear') -> Tensor:
    """The value below which the fraction q of the entries lies, over the given axes; NaN if one is."""

def rad2deg(x: ArrayLike, /) -> Tensor:
    """Radians as degrees."""

def ravel(x: ArrayLike, /) -> Tensor:
    """All entries of x in a row."""

def real(x: ArrayLike, /) -> Tensor:
    """The real part."""

def reciprocal(x: ArrayLike, /) -> Tensor:
    """1 / x."""

def relu(x: ArrayLike, /) -> Tensor:
    """The positive part of x, max(0, x), entry by entry."""

def remainder(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """What is left of a after taking out b a whole number of times; it has the sign of b."""

def repeat(x: ArrayLike, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """x with each entry repeated in place, along an axis (None: of x flattened)."""

def reshape(x: ArrayLike, /, shape: Sequence[int] | int, *, copy: builtins.bool | None = None) -> Tensor:
    """x in another shape, its entries in the same (row by row) order; one size may be −1."""

def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype of an operation on these arrays, dtypes and Python numbers (which are weak)."""

def roll(x: ArrayLike, /, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None) -> Tensor:
    """x with its entries moved on by `shift` along an axis; what falls off comes in at the front."""

def round(x: ArrayLike, /, decimals: int = 0) -> Tensor:
    """x rounded to so many decimals, halves to even; nothing flows back through it."""

def scatter_add(x: ArrayLike, index: ArrayLike, values: ArrayLike, /) -> Tensor:
    """x with values added at x[index]; where the index names an entry twice, it receives both."""

def searchsorted(x1: ArrayLike, x2: ArrayLike, /, *, side: str = 'left', sorter: Any = None) -> Tensor:
    """Where to put the entries of x2 into the sorted list x1 so that it stays sorted; flat."""

def sigmoid(x: ArrayLike, /) -> Tensor:
    """The logistic function 1 / (1 + exp(−x))."""

def sign(x: ArrayLike, /) -> Tensor:
    """−1, 0 or 1, flat; of a complex number x/|x|, and 0 at 0."""

def signbit(x: ArrayLike, /) -> Tensor:
    """Whether the sign bit is set."""

def silu(x: ArrayLike, /) -> Tensor:
    """x times the logistic function of x."""

def sin(x: ArrayLike, /) -> Tensor:
    """The sine of x radians."""

def sinc(x: ArrayLike, /) -> Tensor:
    """sin(πx) / (πx), and 1 at 0; its derivatives do not cancel near 0."""

def sinh(x: ArrayLike, /) -> Tensor:
    """The hyperbolic sine of x."""

def softargmax(e: ArrayLike, /, beta: Any = 1, axis: int = -1) -> Tensor:
    """softmax(beta e): the larger beta, the nearer to 1 at the maximum and 0 elsewhere."""

def softmax(x: ArrayLike, /, axis: int = -1) -> Tensor:
    """exp(x) over its sum along one axis: the soft argmax, a distribution."""

def softmaximum(e: ArrayLike, /, beta: Any = 1, axis: int | tuple[int, ...] | None = None, keepdims: builtins.bool = False) -> Tensor:
    """(1/beta) log mean exp(beta e): between the mean (beta → 0) and the maximum (beta → ∞)."""

def softplus(x: ArrayLike, /, beta: Any = 1) -> Tensor:
    """(1/beta) log(1 + exp(beta x)): a smooth relu, without overflow."""

def sort(x: ArrayLike, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
    """The entries in ascending order along an axis; NaN counts as the greatest."""

def split(x: ArrayLike, indices_or_sections: int | Sequence[int], /, axis: int = 0) -> list[Tensor]:
    """x cut along an axis: into so many equal parts, or before the given points."""

def sqrt(x: ArrayLike, /) -> Tensor:
    """The square root of x; its derivative at 0 is infinite."""

def square(x: ArrayLike, /) -> Tensor:
    """x²."""

def squeeze(x: ArrayLike, /, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """x without the given axes of size 1 (None: without all of them)."""

def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Tensor:
    """The arrays, of equal shape, side by side along a new axis."""

def std(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False, *, correction: float = 0) -> Tensor:
    """The standard deviation over the given axes: the root of the variance."""

def stop_gradient(x: ArrayLike, /) -> Tensor:
    """x itself, with nothing flowing back through it."""

def subtract(a: ArrayLike, b: ArrayLike, /) -> Tensor:
    """a − b."""

def sum(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over the given axes (all of them by default)."""

def swapaxes(x: ArrayLike, axis1: int, axis2: int, /) -> Tensor:
    """x with two axes exchanged."""

def take(x: ArrayLike, indices: ArrayLike, /, *, axis: int | None = None) -> Tensor:
    """The parts of x at these positions along an axis (None: of x flattened)."""

def take_along_axis(x: ArrayLike, indices: ArrayLike, /, axis: int = -1) -> Tensor:
    """For every place of `indices`, the entry of x at that position along the axis."""

def tan(x: ArrayLike, /) -> Tensor:
    """The tangent of x radians."""

def tanh(x: ArrayLike, /) -> Tensor:
    """The hyperbolic tangent of x."""

def tensordot(a: ArrayLike, b: ArrayLike, /, *, axes: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """The sum of products over pairs of axes: the last `axes` of a with the first of b, or the pairs named in two sequences."""

def tile(x: ArrayLike, repetitions: Any, /) -> Tensor:
    """x side by side with itself, so often along each axis."""

def topk(x: ArrayLike, /, k: int, axis: int = -1) -> TopK:
    """(values, indices): the k greatest entries along an axis, in descending order."""

def tril(x: ArrayLike, /, *, k: int = 0) -> Tensor:
    """The lower triangle of x: the entries on and below the k-th diagonal, zeros above."""

def triu(x: ArrayLike, /, *, k: int = 0) -> Tensor:
    """The upper triangle of x: the entries on and above the k-th diagonal, zeros below."""

def trunc(x: ArrayLike, /) -> Tensor:
    """x without its fraction."""

def unfold(x: ArrayLike, size: Any, /, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """The windows that a kernel of this size sees, as columns."""

def unique_all(x: ArrayLike, /) -> UniqueAll:
    """The distinct values of x in ascending order, each NaN for itself; and of each the index (in x in a row) where it is first, which one each entry of x is, and how often it occurs."""

def unique_counts(x: ArrayLike, /) -> UniqueCounts:
    """The distinct values of x in ascending order, and how often each occurs: see `unique_all`."""

def unique_inverse(x: ArrayLike, /) -> UniqueInverse:
    """The distinct values of x, ascending, and which one each entry is: see `unique_all`."""

def unique_values(x: ArrayLike, /) -> Tensor:
    """The distinct values of x in ascending order, each NaN for itself: see `unique_all`."""

def unstack(x: ArrayLike, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of x along an axis, without that axis: what `ob.stack` undoes."""

def var(x: ArrayLike, /, axis: Any = None, keepdims: builtins.bool = False, *, correction: float = 0) -> Tensor:
    """The variance over the given axes: the mean square of the deviations from the mean."""

def vecdot(a: ArrayLike, b: ArrayLike, /, *, axis: int = -1) -> Tensor:
    """The dot products Σ a* b of the vectors along one axis; of complex ones a is conjugated."""

def where(condition: ArrayLike, x: ArrayLike, y: ArrayLike, /) -> Tensor:
    """x where the condition holds, y elsewhere."""

def within(x: ArrayLike, /, low: float = ..., high: float = ..., *, name: str = 'within: x', hint: str | None = None) -> Tensor:
    """x itself, after a look at its numbers: none is below `low`, none above `high`."""

def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of zeros."""

def zeros_like(x: ArrayLike, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros in the shape and dtype of x."""
