"""Losses: how far predictions y are from targets t, as one number.

`reduction` is "mean", "sum" or "none" (one number per entry, or per row for classes). Targets are
taken into the dtype of the predictions. Shapes must be equal: a loss never broadcasts, since (n, 1)
against (n,) would compare every prediction with every target and train on nonsense.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DomainError, DTypeError, IndexingError, ShapeError

from .roles import as_numpy

__all__ = [
    "mse_loss", "l1_loss", "squared_error", "huber_loss", "smooth_l1_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "nll_loss",
]  # fmt: skip


def mse_loss(y: Any, t: Any, reduction: str = "mean") -> ob.Tensor:
    """(y − t)², averaged.

    Example:
        >>> float(ob.nn.functional.mse_loss([1.0, 2.0], [1.0, 4.0]))
        2.0
    """
    y, t = _pair("mse_loss", y, t)
    return _reduced("mse_loss", (y - t) ** 2, reduction)


def squared_error(y: Any, t: Any) -> ob.Tensor:
    """‖y − t‖², the sum of all squares.

    Example:
        >>> float(ob.nn.functional.squared_error([1.0, 2.0], [1.0, 4.0]))
        4.0
    """
    y, t = _pair("squared_error", y, t)
    return ((y - t) ** 2).sum()


def l1_loss(y: Any, t: Any, reduction: str = "mean") -> ob.Tensor:
    """|y − t|, averaged; its derivative where they are equal is 0."""
    y, t = _pair("l1_loss", y, t)
    return _reduced("l1_loss", abs(y - t), reduction)


def huber_loss(y: Any, t: Any, delta: float = 1.0, reduction: str = "mean") -> ob.Tensor:
    """½ e² for |e| ≤ δ and δ (|e| − ½ δ) beyond, with e = y − t.

    Source:  Huber (1964), Robust estimation of a location parameter.
    """
    y, t = _pair("huber_loss", y, t)
    if delta <= 0:
        raise DomainError(f"huber_loss: delta={delta}", want="a positive number")
    e = abs(y - t)
    near = ob.minimum(e, delta)
    return _reduced("huber_loss", near * (e - 0.5 * near), reduction)


def smooth_l1_loss(y: Any, t: Any, beta: float = 1.0, reduction: str = "mean") -> ob.Tensor:
    """The Huber loss with δ = β, divided by β: |e| − ½ β far from 0."""
    return huber_loss(y, t, beta, reduction) / beta


def binary_cross_entropy(y: Any, t: Any, reduction: str = "mean") -> ob.Tensor:
    """−(t log y + (1 − t) log(1 − y)), averaged; y are probabilities.

    A target 0 or 1 that is predicted with certainty costs 0, or infinity if it is the other.

    Raises:  DomainError naming the first prediction, or target, outside [0, 1].
    Example:
        >>> round(float(ob.nn.functional.binary_cross_entropy([0.9, 0.2], [1.0, 0.0])), 4)
        0.1643
    """
    y, t = _pair("binary_cross_entropy", y, t)
    hint = "other outputs than a sigmoid's go to binary_cross_entropy_with_logits"
    y = ob.within(y, 0, 1, name="binary_cross_entropy: prediction", hint=hint)
    t = ob.within(t, 0, 1, name="binary_cross_entropy: target")
    losses = -(ob.special.xlogy(t, y) + ob.special.xlog1py(1 - t, -y))
    return _reduced("binary_cross_entropy", losses, reduction)


def binary_cross_entropy_with_logits(z: Any, t: Any, reduction: str = "mean") -> ob.Tensor:
    """−(t log σ(z) + (1 − t) log σ(−z)), averaged: exact for logits of any size.

    Example:
        >>> float(ob.nn.functional.binary_cross_entropy_with_logits([1000.0, -1000.0], [1.0, 1.0]))
        500.0
    """
    z, t = _pair("binary_cross_entropy_with_logits", z, t)
    t = ob.within(t, 0, 1, name="binary_cross_entropy_with_logits: target")
    losses = -(t * ob.log_sigmoid(z) + (1 - t) * ob.log_sigmoid(-z))
    return _reduced("binary_cross_entropy_with_logits", losses, reduction)


def cross_entropy(z: Any, t: Any, reduction: str = "mean", *, axis: int | None = None) -> ob.Tensor:
    """−log softmax(z) at the right class, averaged; or −Σ t log softmax(z) for probabilities t.

    Shapes:  logits z (N, C), or (C,), or (N, C, ...); class labels t are integers and lack the
             class axis: (N,), (), (N, ...); probabilities have the shape of z.
             `axis` is the class axis: by default 1, or 0 if there is one axis only.
    Raises:  IndexingError naming the first label that is no class, DomainError for probabilities
             below 0, ShapeError if the shapes do not fit.
    Example:
        >>> logits = np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
        >>> round(float(ob.nn.functional.cross_entropy(logits, [0, 2])), 4)
        0.1672
    """
    z = _floats("cross_entropy", "logits", z)
    axis = _class_axis("cross_entropy", z, axis)
    log_p, t = ob.log_softmax(z, axis), ob.asarray(t)
    if t.dtype.kind not in "iub" and t.ndim >= z.ndim:
        z, t = _pair("cross_entropy", z, t)
        t = ob.within(t, 0, name="cross_entropy: target")
        return _reduced("cross_entropy", -(t * log_p).sum(axis), reduction)
    return _reduced("cross_entropy", -_chosen("cross_entropy", log_p, t, axis), reduction)


def nll_loss(log_p: Any, t: Any, reduction: str = "mean", *, axis: int | None = None) -> ob.Tensor:
    """−log p at the right class, averaged; log_p are log-probabilities, t integer labels.

    Shapes, Raises: as `cross_entropy`.
    """
    log_p = _floats("nll_loss", "log-probabilities", log_p)
    axis = _class_axis("nll_loss", log_p, axis)
    return _reduced("nll_loss", -_chosen("nll_loss", log_p, ob.asarray(t), axis), reduction)


# -- what they share --------------------------------------------------------------------------


def _floats(what: str, name: str, x: Any) -> ob.Tensor:
    x = ob.asarray(x)
    if x.dtype.kind == "c":
        raise DTypeError(
            f"{what}: a loss is real", got={name: x}, hint="take ob.abs, ob.real or ob.imag"
        )
    return x if x.dtype.kind == "f" else ob.astype(x, ob.float64)


def _pair(what: str, y: Any, t: Any) -> tuple[ob.Tensor, ob.Tensor]:
    """Predictions and targets: equal shapes, one dtype."""
    y, t = _floats(what, "prediction", y), ob.asarray(t)
    if y.shape != t.shape:
        raise ShapeError(
            f"{what}: predictions and targets differ in shape",
            got={"prediction": y, "target": t},
            want="equal shapes; a loss does not broadcast",
            hint=_cures(y.shape, t.shape),
        )
    if t.dtype.kind == "c":
        raise DTypeError(f"{what}: a loss is real", got={"target": t})
    return y, t if t.dtype == y.dtype else ob.astype(t, y.dtype)


def _cures(y: tuple[int, ...], t: tuple[int, ...]) -> str | None:
    """Both ways out of the (n, 1) against (n,) trap, or of any two shapes of one size."""
    if y == (*t, 1):
        return "drop the prediction's last axis, y[..., 0], or give the target one, t[..., None]"
    if t == (*y, 1):
        return "give the prediction a last axis, y[..., None], or drop the target's, t[..., 0]"
    if np.prod(y, dtype=int) == np.prod(t, dtype=int):
        return f"either y.reshape{t}, or t.reshape{y}"
    return None


def _reduced(what: str, losses: ob.Tensor, reduction: str) -> ob.Tensor:
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise DomainError(
        f"{what}: reduction={reduction!r} is not a choice", want='"mean", "sum" or "none"'
    )


def _class_axis(what: str, z: ob.Tensor, axis: int | None) -> int:
    if z.ndim == 0:
        raise ShapeError(
            f"{what}: there is no axis of classes", got={"logits": z}, want="(C,) or (N, C)"
        )
    axis = min(1, z.ndim - 1) if axis is None else axis
    if not -z.ndim <= axis < z.ndim:
        raise IndexingError(f"{what}: axis {axis} does not exist", got={"logits": z})
    return axis % z.ndim


def _chosen(what: str, log_p: ob.Tensor, t: ob.Tensor, axis: int) -> ob.Tensor:
    """The entry of each row that the label names."""
    classes = log_p.shape[axis]
    want = log_p.shape[:axis] + log_p.shape[axis + 1 :]
    if t.dtype.kind not in "iu":
        raise DTypeError(
            f"{what}: class labels are integers", got={"target": t}, hint="use t.astype(int)"
        )
    if t.shape != want:
        last = log_p.ndim > 2 and t.shape == log_p.shape[:-1]
        column = "drop the target's last axis, t[..., 0]" if t.shape == (*want, 1) else None
        raise ShapeError(
            f"{what}: one class label per row is wanted",
            got={"logits": log_p, "target": t},
            want=f"labels of shape {list(want)}, classes along axis {axis}",
            hint="the classes are on the last axis? say axis=-1" if last else column,
        )
    known = as_numpy(t)
    if known is not None and known.size and (known.min() < 0 or known.max() >= classes):
        first = tuple(int(i) for i in np.argwhere((known < 0) | (known >= classes))[0])
        place = f"[{', '.join(map(str, first))}]" if first else ""
        raise IndexingError(
            f"{what}: target{place} is {known[first]}, but there are {classes} classes",
            got={"logits": log_p, "target": t},
            want=f"labels from 0 to {classes - 1}",
        )
    at = ob.reshape(t, (*t.shape[:axis], 1, *t.shape[axis:]))
    if known is None and t.dtype.kind == "i":  # below 0 is outside too, not counted from the end
        at = ob.where(at < 0, ob.astype(at, ob.int64) - classes, at)
    if t.name and at is not t:
        at.name = t.name  # explanations go on calling the labels so
    return ob.reshape(ob.take_along_axis(log_p, at, axis), want)
