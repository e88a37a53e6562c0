"""Parameters and buffers: ordinary tensors with a role that modules know them by."""

from __future__ import annotations

from typing import Any

import numpy as np

import overbar as ob

__all__ = ["Parameter", "Buffer"]


def Parameter(  # noqa: N802  (PyTorch's name for a class)
    data: Any, requires_grad: bool = True, *, dtype: Any = None, name: str | None = None
) -> ob.Tensor:
    """A tensor that is trained: a leaf which asks for a gradient and which modules know.

    Example:
        >>> w = ob.nn.Parameter([1.0, 2.0])
        >>> w.requires_grad, w.is_leaf
        (True, True)
    """
    return _with_role("parameter", data, dtype, name).requires_grad_(requires_grad)


def Buffer(data: Any, *, dtype: Any = None, name: str | None = None) -> ob.Tensor:  # noqa: N802  (likewise)
    """A tensor that is saved with a module but not trained: a running mean, a count."""
    return _with_role("buffer", data, dtype, name)


def _with_role(role: str, data: Any, dtype: Any, name: str | None) -> ob.Tensor:
    known = isinstance(data, ob.Tensor) and (dtype is None or data.dtype == dtype)
    t = data.detach() if known else ob.tensor(data, dtype=dtype)
    t.name, t._role = name, role  # noqa: SLF001  (the slot is there for this floor)
    return t


def role_of(thing: Any) -> str | None:
    """The role, "parameter" or "buffer"; None for everything else."""
    return getattr(thing, "_role", None) if isinstance(thing, ob.Tensor) else None


def parameters_of(thing: Any) -> list[ob.Tensor]:
    """The tensors in a module, an iterable of tensors, or a single tensor."""
    if isinstance(thing, ob.Tensor):
        return [thing]
    return list(thing.parameters() if hasattr(thing, "parameters") else thing)


def as_numpy(thing: Any) -> np.ndarray | None:
    """The numbers of a tensor, where they may be looked at: not while tracing, nor under vmap."""
    t = ob.asarray(thing)
    return None if ob.is_tracing() or t.value is None else np.asarray(t.value)
