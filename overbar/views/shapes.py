"""shape_table: the shapes of derivatives. One rule for all of them: first the axes of what is
differentiated, then those of what it is differentiated by.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ..errors import GradientError
from .answer import Answer, Table, plain, shape_text
from .columns import laid, terminal
from .explain import callers_variables
from .names import bar
from .record import record_of
from .rows import Telling

Shape = tuple[int, ...]
RULE = (
    "a derivative has the axes of what is differentiated, then those of what it is differentiated "
    "by; so the gradient of a number has the shape of its variable"
)
_KINDS = (("s", "a number", ()), ("v", "a vector", ("n",)), ("M", "a matrix", ("k", "l")))
_BY = (("s", "a number", ()), ("v", "a vector", ("m",)), ("M", "a matrix", ("p", "q")))


@dataclasses.dataclass(frozen=True)
class ShapeRow:
    """One variable as plain data: its shape (and that of its adjoint), the shape of its derivative
    by each of what it is computed from, and that of the result by it.
    """

    name: str
    shape: Shape
    by: dict[str, Shape]
    total: Shape


def shape_table(f: Any = None, *args: Any) -> ShapeTable:
    r"""The shapes of the derivatives of a computation; without one, of numbers, vectors, matrices.

    Example:
        >>> print(ob.shape_table())
        of \ by            a number s     a vector v (m)   a matrix M (p×q)
        a number s         number         m                p×q
        a vector v (n)     n              n×m              n×p×q
        a matrix M (k×l)   k×l            k×l×m            k×l×p×q
        >>> def f(W, x):
        ...     h = W @ x
        ...     L = ob.sum(h * h)
        ...     return L
        >>> table = ob.shape_table(f, np.ones((2, 3)), np.ones(3))
        >>> [(row.name, row.shape, row.by) for row in table.rows if row.by]
        [('h', (2,), {'W': (2, 2, 3), 'x': (2, 3)}), ('L', (), {'h': (2,)})]
    """
    if f is None:
        return ShapeTable([], "")
    record = record_of("shape_table", f, args)
    if not record.variables:
        raise GradientError(
            "shape_table: the result depends on nothing that could be differentiated by",
            hint="make a leaf with requires_grad=True, or give the function with its arguments",
        )
    telling = Telling(record, callers_variables(), fine=True)
    (end,) = record.outputs[:1]
    by = {
        row.node: {
            telling.name(x): (*row.node.spec.shape, *x.spec.shape)
            for x in telling.followed(row)
            if not isinstance(x.spec, tuple)
        }
        for row in telling.rows
        if not isinstance(row.node.spec, tuple)
    }
    nodes = [*record.variables, *(n for n in by if n in set(record.path))]
    rows = [
        ShapeRow(telling.name(n), n.spec.shape, by.get(n, {}), (*end.spec.shape, *n.spec.shape))
        for n in nodes
    ]
    return ShapeTable(rows, telling.name(end))


class ShapeTable(Answer):
    """The table; `.rows` is plain data."""

    def __init__(self, rows: list[ShapeRow], result: str) -> None:
        self.rows, self.result = rows, result

    def cells(self) -> list[list[str]]:
        """The table with its heads."""
        if not self.rows:
            heads = ["of \\ by", *(_kind(*k) for k in _BY)]
            lines = [
                [_kind(name, word, of), *(_said((*of, *by)) for _, _, by in _BY)]
                for name, word, of in _KINDS
            ]
            return [heads, *lines]
        heads = ["", "shape", "adjoint", "local derivatives", "total derivative"]
        return [heads, *(self._line(r) for r in self.rows)]

    def _line(self, r: ShapeRow) -> list[str]:
        local = ", ".join(f"∂{r.name}/∂{x} {_said(s)}" for x, s in r.by.items())
        shape = _said(r.shape)
        whole = f"d{self.result}/d{r.name} {_said(r.total)}" if r.name != self.result else ""
        return [r.name, shape, f"{bar(r.name)} {shape}", local, whole]

    def text(self, *, ascii: bool = False, columns: int | None = None) -> str:
        """The table."""
        gives = [False, False, False, True, True] if self.rows else None
        return plain("\n".join(laid(self.cells(), columns=columns, gives=gives)), ascii)

    def __str__(self) -> str:
        return self.text(ascii=self.in_ascii(), columns=terminal())

    __repr__ = __str__

    def tables(self) -> list[Table]:
        """The table; the rule is its title."""
        heads, *lines = self.cells()
        return [(RULE, heads, lines)]


def _kind(name: str, word: str, shape: tuple[str, ...]) -> str:
    return f"{word} {name}" + (f" ({'×'.join(shape)})" if shape else "")


def _said(shape: tuple[Any, ...]) -> str:
    if not shape:
        return "number"
    return shape_text(shape).removesuffix(" entries")
