"""Which operations on numbers take long, and about how long."""

from __future__ import annotations

COSTLY = {
    "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "logaddexp", "sigmoid", "log_sigmoid",
    "softplus", "silu", "tanh", "gelu", "gelu_tanh", "sin", "cos", "tan", "asin", "acos", "atan",
    "atan2", "sinh", "cosh", "asinh", "acosh", "atanh", "cbrt", "hypot", "remainder", "erf", "erfc",
    "scaled_erfc", "ndtr", "xlogy", "xlog1py", "entr", "logit", "elu", "spherical",
}  # fmt: skip
DEAR = {
    "power", "gammaln", "gamma", "betaln", "beta", "polygamma", "bessel_i", "bessel_j", "erfinv",
    "ndtri", "log_ndtr", "mills",
}  # fmt: skip
CHAINED = {"cumsum", "running_product", "recurrence"}
COSTS = {**dict.fromkeys(COSTLY | CHAINED, 8), **dict.fromkeys(DEAR, 40)}
"""Multiply-adds that one byte of a result is worth: vectors hold half as many numbers of twice the
size. Measured: exp of a float32 takes what 32 do, gelu 61, power 166, gammaln 490; a running sum or
product, whose entries wait for each other, 77.
"""

SLOW = frozenset(COSTLY | DEAR)
"""Worth being computed of several numbers side by side: of one alone they take as long."""
KEPT = SLOW | {"divide", "sqrt"}
"""Not computed again where the result can be kept."""
