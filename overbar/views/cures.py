"""What to do about a NaN or an infinity: a table from how it was born to a cure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Cure(NamedTuple):
    """For these operations, born in this pass, if the operands are so: the advice."""

    ops: tuple[str, ...]
    born: str
    when: Callable[..., bool]
    says: str


def _always(*_: Any) -> bool:
    return True


def _negative(x: Any, *_: Any) -> bool:
    return bool(np.any(np.real(x) < 0))


def _zero(x: Any, *_: Any) -> bool:
    return bool(np.any(np.asarray(x) == 0))


def _both_infinite(x: Any, y: Any, *_: Any) -> bool:
    return bool(np.any(np.isinf(x)) and np.any(np.isinf(y)))


def _zero_by_zero(x: Any, y: Any, *_: Any) -> bool:
    return bool(np.any((np.asarray(x) == 0) & (np.asarray(y) == 0)))


def _holds_infinity(*xs: Any) -> bool:
    return any(np.any(np.isinf(x)) for x in xs)


def _outside(x: Any, *_: Any) -> bool:
    return bool(np.any(np.abs(x) > 1))


def _edge(x: Any, *_: Any) -> bool:
    return bool(np.any(np.abs(x) == 1))


LOGS = ("log", "log2", "log10")

CURES = [
    Cure(
        LOGS, "forward", _negative,
        "the logarithm of a negative number: bound it first, ob.log(ob.maximum(x, 1e-12)), or"
        " see why it is negative",
    ),
    Cure(
        LOGS, "forward", _zero,
        "log 0 is −inf: of probabilities use ob.log_softmax or ob.log_sigmoid on the logits; "
        "for x log y use ob.special.xlogy; else ob.log(x + 1e-12)",
    ),
    Cure(
        ("log1p",), "forward", _always,
        "log(1 + x) needs x > −1: bound x from below",
    ),
    Cure(
        ("sqrt", "root_of_squares"), "forward", _negative,
        "the root of a negative number: bound it, ob.sqrt(ob.maximum(x, 0.0)); a difference "
        "of squares may come out just below 0",
    ),
    Cure(
        ("divide", "reciprocal"), "forward", _zero_by_zero,
        "0 / 0: of exponentials by hand use ob.softmax; of a mean over nothing test the "
        "count; else add a small number below",
    ),
    Cure(
        ("divide",), "forward", _both_infinite,
        "inf / inf: of exponentials by hand use ob.softmax, which cannot overflow",
    ),
    Cure(
        ("divide", "reciprocal", "remainder", "floor_divide"), "forward", _always,
        "a division by zero: add a small number below (x / (y + 1e-12)), or choose with "
        "ob.where",
    ),
    Cure(
        ("exp", "exp2", "expm1", "sinh", "cosh"), "forward", _always,
        "an overflow: beyond 709 (88 in float32) exp has no room; subtract the maximum first,"
        " or use ob.softmax, ob.logsumexp, ob.log_sigmoid or ob.softplus, which do",
    ),
    Cure(
        ("subtract", "add"), "forward", _both_infinite,
        "inf − inf: look where each infinity was born",
    ),
    Cure(
        ("multiply", "times"), "forward", _holds_infinity,
        "0 · inf: a mask that multiplies does not hide an infinity; choose with "
        "ob.where(mask, x, 0.0)",
    ),
    Cure(
        ("matmul", "einsum"), "forward", _holds_infinity,
        "0 · inf inside a product of matrices: replace the infinity first, ob.where(mask, x, "
        "0.0)",
    ),
    Cure(
        ("power",), "forward", _negative,
        "a negative number to a power that is not whole: bound the base, or use ob.abs(x) ** "
        "y",
    ),
    Cure(
        ("power", "whole_power"), "forward", _zero,
        "0 to a negative power: add a small number to the base",
    ),
    Cure(
        ("power", "whole_power", "square", "multiply", "times", "matmul", "add", "subtract",
        "sum", "prod", "cumprod"),
        "forward", _always,
        "an overflow: the numbers outgrow their dtype; a smaller learning rate, normalised "
        "inputs, or float64",
    ),
    Cure(
        ("cast",), "forward", _always,
        "the number does not fit the narrower dtype: scale it down before, or keep the wider "
        "dtype",
    ),
    Cure(
        ("arccos", "arcsin", "acos", "asin"), "forward", _outside,
        "defined from −1 to 1 only: clip first, ob.clip(x, -1.0, 1.0); rounding may step just"
        " outside",
    ),
    Cure(
        ("arctanh", "atanh"), "forward", _always,
        "defined inside (−1, 1): clip first, ob.clip(x, -1 + 1e-7, 1 - 1e-7)",
    ),
    Cure(
        ("arccosh", "acosh"), "forward", _always,
        "defined from 1 on: bound it, ob.maximum(x, 1.0)",
    ),
    Cure(
        ("logit",), "forward", _always,
        "logit needs 0 < p < 1: keep the logits and work with them",
    ),
    Cure(
        ("inv", "solve", "cholesky", "det", "slogdet"), "forward", _always,
        "the matrix is singular, or nearly: add a small multiple of the identity",
    ),
    Cure(
        ("sqrt",), "backward", _always,
        "the derivative of the root is infinite at 0: ob.sqrt(x + 1e-12); for a norm "
        "ob.linalg.vector_norm, for a deviation ob.std, whose derivative at 0 is 0",
    ),
    Cure(
        ("cbrt",), "backward", _always,
        "the derivative of the root is infinite at 0: add a small number",
    ),
    Cure(
        LOGS, "backward", _always,
        "the derivative of log is 1 / x, infinite at 0: ob.log(x + 1e-12), or ob.log_softmax "
        "on the logits",
    ),
    Cure(
        ("power",), "backward", _always,
        "x^y has an infinite derivative at x = 0 for y < 1: add a small number to the base",
    ),
    Cure(
        ("divide", "reciprocal"), "backward", _always,
        "the derivative of a quotient holds 1 / y and 1 / y²: keep the denominator away from "
        "0",
    ),
    Cure(
        ("arccos", "arcsin", "acos", "asin", "arctanh", "atanh", "arccosh", "acosh"),
        "backward", _always,
        "the derivative is infinite at the edge of the domain: clip a little inside it",
    ),
    Cure(
        ("multiply", "times", "matmul", "einsum"), "backward", _holds_infinity,
        "0 · inf: an infinite operand meets a zero; replace the infinity before, with "
        "ob.where",
    ),
    Cure(
        ("exp", "multiply", "matmul", "whole_power", "square", "sum", "add"), "backward", _always,
        "the adjoints overflow: clip the gradient, a smaller learning rate, or float64",
    ),
    Cure(
        ("eigh", "svd", "qr"), "backward", _always,
        "equal eigenvalues (or singular values) have no derivative of their own: break the "
        "tie, or use what does not depend on it",
    ),
    Cure(
        ("gate", "forward_gate", "callback"), "backward", _always,
        "the rule is your own: ob.testing.check_backward compares it with differences",
    ),
    Cure(
        ("parameter",), "input", _always,
        "an earlier step spoiled it: run that step under ob.nan_guard(); a smaller learning "
        "rate, or clipped gradients",
    ),
    Cure(
        ("input", "const"), "input", _always,
        "clean the data: np.isnan(x).any(axis=0) tells the columns, np.nan_to_num(x) replaces"
        " what is missing",
    ),
]  # fmt: skip
"""In this order; the first that fits is told."""


def cure_for(op: str, born: str, operands: Sequence[Any], made: str) -> str:
    """The advice for a birth; empty if none is known."""
    numbers = [np.asarray(v) for v in operands if v is not None and not isinstance(v, tuple)]
    if born == "backward" and numbers:
        numbers = [*numbers[1:], numbers[0]]  # the operands, then the adjoint
    for cure in CURES:
        if op in cure.ops and born == cure.born and _holds(cure.when, numbers):
            return cure.says
    return ""


def _holds(when: Callable[..., bool], numbers: Sequence[Any]) -> bool:
    try:
        return when(*numbers)
    except (TypeError, ValueError):
        return False
