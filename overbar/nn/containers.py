"""Containers: modules in a row, to be run one after the other or used one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import overbar as ob
from overbar.errors import ShapeError

from .module import Module

__all__ = ["Sequential", "Residual", "ModuleList"]


class _Listed(Module):
    """Modules in a row, named "0", "1", ..."""

    def append(self, layer: Module) -> _Listed:
        """Put one more at the end; gives the list."""
        if not callable(layer):
            raise ShapeError(
                f"{type(self).__name__}: {layer!r} is no layer", want="a Module, or a function"
            )
        setattr(self, str(len(self)), layer)
        return self

    def __iter__(self) -> Iterator[Any]:
        return (thing for name, thing in vars(self).items() if name.isdigit())

    def __len__(self) -> int:
        return sum(name.isdigit() for name in vars(self))

    def __getitem__(self, i: int | slice) -> Any:
        found = list(self)[i]
        return type(self)(*found) if isinstance(i, slice) else found  # type: ignore[call-arg]


class Sequential(_Listed):
    """One layer after the other: y = f_n(… f_2(f_1(x))). Functions may stand between the layers.

    Example:
        >>> model = ob.nn.Sequential(ob.nn.Linear(2, 3), ob.nn.Tanh(), ob.nn.Linear(3, 1))
        >>> model
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): Tanh()
          (2): Linear(in_features=3, out_features=1, bias=True)
        )
        >>> model(np.zeros((5, 2))).shape
        (5, 1)
    """

    def __init__(self, *layers: Any) -> None:
        for layer in layers:
            self.append(layer)

    def forward(self, x: Any) -> Any:
        for layer in self:
            x = layer(x)
        return x


class Residual(Sequential):
    """y = x + f_n(… f_1(x)): layers beside a way round them.

    Raises:  ShapeError if what the layers give is not of the shape of x.
    Source:  He et al. (2016), Deep residual learning for image recognition.
    Example:
        >>> block = ob.nn.Residual(ob.nn.LayerNorm(4), ob.nn.Linear(4, 4))
        >>> block(np.ones((3, 4))).shape
        (3, 4)
    """

    def forward(self, x: Any) -> Any:
        x, y = ob.asarray(x), super().forward(x)
        if y.shape != x.shape:
            raise ShapeError(
                "Residual: the layers change the shape",
                got={"x": x, "layers(x)": y},
                want="equal shapes: a residual does not broadcast",
            )
        return x + y


class ModuleList(_Listed):
    """Modules in a list, to be used one by one. A plain list in an attribute does as well."""

    def __init__(self, layers: Iterable[Module] = ()) -> None:
        for layer in layers:
            self.append(layer)

    def __getitem__(self, i: int | slice) -> Any:
        found = list(self)[i]
        return ModuleList(found) if isinstance(i, slice) else found
