"""What can go wrong, and how it is said.

Every message carries five facts: what happened, what came, what was wanted, a cure if one
is known, and the line of the *user's* program. Each class has a page in `docs/errors`.
Nothing here knows tensors or graphs: `got` takes anything that has a shape and a dtype.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

_PACKAGE = __name__.partition(".")[0]


class OverbarError(Exception):
    """The root of everything overbar raises on purpose."""

    of_program = False
    """Whether a traced program said so: it knows the lines of the trace, not those of the call."""

    def __init__(
        self,
        what: str,
        *,
        got: Mapping[str, Any] | None = None,
        want: str | None = None,
        hint: str | None = None,
        where: str | None = None,
    ) -> None:
        lines = [what]
        lines += [f"    {name}: {_describe(thing)}" for name, thing in (got or {}).items()]
        if want:
            lines.append(f"wanted {want}")
        if hint:
            lines.append(f"hint: {hint}")
        where = where or users_line()
        if where:
            lines.append(f"    in {where}")
        super().__init__("\n".join(lines))
        self.what, self.want, self.hint, self.where = what, want, hint, where

    def of(self, where: str) -> OverbarError:
        """This error, of another line: of the operation's, where another one runs the program."""
        text = str(self).removesuffix(f"\n    in {self.where}")
        self.args, self.where = (f"{text}\n    in {where}",), where
        return self


class ShapeError(OverbarError, ValueError):
    """Shapes, axes or sizes that do not fit together."""


class DTypeError(OverbarError, TypeError):
    """A kind of number, or of thing, that the operation does not take."""


class IndexingError(OverbarError, IndexError):
    """An index, or an axis, outside the array."""


class DomainError(OverbarError, ValueError):
    """A value outside the domain of the function."""


class SingularError(OverbarError, np.linalg.LinAlgError):
    """A matrix without the inverse, or without the factors, that was asked for."""


class CutError(OverbarError, TypeError):
    """Something would have cut a gradient silently."""


class UnknownValueError(OverbarError, TypeError):
    """A value was needed while tracing, where only shapes and dtypes are known."""


class LeakedTraceError(OverbarError, RuntimeError):
    """A traced value was used outside the trace that made it."""


class RuleMissingError(OverbarError, NotImplementedError):
    """An operation has no rule for this walk, and cannot have one."""


class GradientError(OverbarError, RuntimeError):
    """A derivative that was asked for does not exist: no path, no scalar, no float."""


class NonFiniteError(OverbarError, FloatingPointError):
    """A NaN or an infinity was born; the message names the operation and the line.

    facts: op, born ("forward" or "backward"), made, index, operands (name, value), at (file, line),
    and in the backward pass the sender of the adjoint.
    """

    facts: Mapping[str, Any] = MappingProxyType({})


class RebindError(OverbarError, RuntimeError):
    """A handle was rebound where that would lose or leak a value."""


class StructureError(OverbarError, TypeError):
    """Two nested structures that should be alike are not."""


class SpellingError(OverbarError, TypeError, AttributeError):
    """A name or keyword of another library; the message says ours."""


class FileError(OverbarError, ValueError):
    """A file that is damaged, hostile, newer than this version, or not ours."""


class DataError(OverbarError, ValueError):
    """Data that cannot be used as asked; the message names row and column."""


class MissingPackageError(OverbarError, ImportError):
    """An optional package is needed; the message says how to install it."""


def _describe(thing: Any) -> str:
    shape, dtype = getattr(thing, "shape", None), getattr(thing, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{dtype}{list(shape)}"
    return thing if isinstance(thing, str) else repr(thing)


def users_line() -> str | None:
    """`file, line n:  source` of the innermost frame that is not overbar's own."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    if frame is None:
        return None
    return place(frame.f_code.co_filename, frame.f_lineno)


def file_name(filename: str) -> str:
    """A file of source as it is called in messages: without its folder; "cell" in a notebook."""
    if filename.startswith("<"):
        return filename
    folder, _, name = filename.replace("\\", "/").rpartition("/")
    return "cell" if "/ipykernel_" in folder else name


def place(filename: str, line: int) -> str:
    """A place in the user's source, as every message and every story prints it."""
    source = linecache.getline(filename, line).strip()
    name = file_name(filename)
    return f"{name}, line {line}:  {source}" if source else f"{name}, line {line}"
