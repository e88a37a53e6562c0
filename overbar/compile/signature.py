"""What a call looks like to `ob.jit`: equal signatures share a trace.

Arrays and tensors count by dtype and shape, Python floats by being floats; ints, bools and strings
by value; modules and other objects by identity. The sizes of leading axes stand apart from the
rest: they are what varies from call to call. `difference` says in words why two signatures differ.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..context import UNKNOWN, WANTED, Context
from ..errors import DomainError, DTypeError
from ..handle import Tensor
from ..spec import Spec
from ..trees import LEAF, Structure, same_structure
from .likeness import PLAIN, counted
from .tracing import input_spec, kind_of


class Array(NamedTuple):
    """An argument whose numbers come at run time; the first of its sizes is not part of this."""

    handle: bool
    dtype: np.dtype
    rank: int
    rest: tuple[int, ...]
    weak: bool = False
    wanted: tuple[bool, bool] = (False, False)
    followed: bool = False

    def shown(self, size: int) -> str:
        """As a Spec is shown."""
        return f"{self.dtype}{[size, *self.rest] if self.rank else []}"


class Static(NamedTuple):
    """An argument that is built in."""

    counts: Any
    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and self.counts == other.counts

    def __hash__(self) -> int:
        return hash(self.counts)


class Same:
    """Equal to itself only: objects count by identity. It does not keep the object alive."""

    __slots__ = ("id", "kind", "ref")

    def __init__(self, thing: Any) -> None:
        self.id, self.kind = id(thing), type(thing).__name__
        try:
            self.ref: Callable[[], Any] = weakref.ref(thing)
        except TypeError:
            self.ref = lambda: thing

    @property
    def gone(self) -> bool:
        """Whether the object is no more, so that nothing will ever be equal to this again."""
        return self.ref() is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.id == other.id and self.ref() is other.ref()

    def __hash__(self) -> int:
        return self.id >> 4


class Settings(NamedTuple):
    """What holds around a call and is built in."""

    kinks: str
    dtype: Any
    grad: bool
    lanes: int


class Signature(NamedTuple):
    """Equal ones share a trace. `twins`: arguments that are one and the same tensor."""

    structure: Structure
    kinds: tuple[Any, ...]
    twins: tuple[int, ...]
    settings: Settings
    sizes: tuple[int, ...]

    @property
    def but_for_sizes(self) -> tuple[Any, ...]:
        """Equal for signatures that differ in leading sizes alone."""
        return self[:-1]

    @property
    def gone(self) -> bool:
        """Whether it can never be met again."""
        return any(isinstance(k, Same) and k.gone for k in self.kinds)


class Reader:
    """Makes signatures of the calls of one function."""

    def __init__(self, f: Callable[..., Any], static: Collection[Any], dynamic: Collection[Any]):
        self._static, self._dynamic = static, dynamic
        try:
            parameters = list(inspect.signature(f).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        self.names: list[str] = []
        self.rest = "args"
        for p in parameters:
            if p.kind is p.VAR_POSITIONAL:
                self.rest = p.name
            elif p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                self.names.append(p.name)
        kinds, said = {p.kind for p in parameters}, [p.name for p in parameters]
        for name in (*static, *dynamic) if parameters else ():
            word = isinstance(name, str)
            there = name in said if word else name < len(self.names)
            rest = inspect.Parameter.VAR_KEYWORD if word else inspect.Parameter.VAR_POSITIONAL
            if not there and rest not in kinds:
                raise DomainError(
                    f"jit: there is no argument {name!r}", want=f"among {', '.join(said)}"
                )

    def read(
        self, leaves: Sequence[Any], structure: Structure, context: Context
    ) -> tuple[Signature, list[int]]:
        """The signature of a call, and which leaves are inputs at run time."""
        kinds: list[Any] = []
        spots: list[int] = []
        sizes: list[int] = []
        handles: list[int] = []
        for i, (leaf, name) in enumerate(zip(leaves, self._arguments(structure), strict=True)):
            if self._is(name, self._static):
                kinds.append(_static(leaf, name))
                continue
            if isinstance(leaf, Tensor | np.ndarray | np.generic) and not isinstance(leaf, str):
                of = input_spec(leaf)
                if of.dtype.kind not in "biufc":
                    raise DTypeError(
                        f"jit: this argument is no array of numbers: its dtype is {of.dtype}",
                        got={"argument": str(name)},
                        want="booleans, integers, floats or complex numbers",
                    )
                kinds.append(_array(leaf, of))
                sizes += of.shape[:1]
                if isinstance(leaf, Tensor):
                    handles.append(id(leaf))
            elif type(leaf) in (float, complex) or (
                type(leaf) in (int, bool) and self._is(name, self._dynamic)
            ):
                kinds.append(type(leaf))
            else:
                plain = isinstance(leaf, PLAIN)
                kinds.append(Static(*counted(leaf)) if plain else Same(leaf))
                continue
            spots.append(i)
        twins: tuple[int, ...] = ()
        if len(set(handles)) < len(handles):
            twins = tuple(handles.index(h) for h in handles)
        lanes, grad = len(context.lane or ()), bool(context.allowed & WANTED)
        settings = Settings(context.kinks, context.dtype, grad, lanes)
        return Signature(structure, tuple(kinds), twins, settings, tuple(sizes)), spots

    def _is(self, name: Any, chosen: Collection[Any]) -> bool:
        """Whether an argument, by position or keyword, is among those named."""
        if not chosen:
            return False
        if name in chosen:
            return True
        if isinstance(name, int):
            return name < len(self.names) and self.names[name] in chosen
        return name in self.names and self.names.index(name) in chosen

    def _arguments(self, structure: Structure) -> list[Any]:
        """For each leaf of (args, kwargs): the number or the name of its argument."""
        names: list[Any] = []
        for group in structure.children:
            for name, child in zip(group.names, group.children, strict=True):
                names += [name] * child.leaves
        return names

    def paths(self, structure: Structure) -> list[str]:
        """For each leaf: what the function calls it, `x` or `batch['x'][0]`."""
        found: list[str] = []
        args, kwargs = structure.children
        for i, child in enumerate(args.children):
            named = i < len(self.names)
            found += _inside(
                child, self.names[i] if named else f"{self.rest}[{i - len(self.names)}]"
            )
        for name, child in zip(kwargs.names, kwargs.children, strict=True):
            found += _inside(child, name)
        return found


def _inside(structure: Structure, path: str) -> list[str]:
    if structure == LEAF:
        return [path]
    found = []
    fields = isinstance(structure.kind, type) and hasattr(structure.kind, "_fields")
    for name, child in zip(structure.names, structure.children, strict=True):
        found += _inside(child, f"{path}.{name}" if fields else f"{path}[{name!r}]")
    return found


def _array(leaf: Any, of: Spec) -> Array:
    if not isinstance(leaf, Tensor):
        return Array(False, of.dtype, of.ndim, of.shape[1:])
    mask = leaf._node.mask if leaf._node is not None else 0
    followed = bool(mask & ~(WANTED | UNKNOWN))
    return Array(True, of.dtype, of.ndim, of.shape[1:], of.weak, kind_of(leaf), followed)


def _static(leaf: Any, name: Any) -> Static:
    try:
        hash(leaf)
    except TypeError:
        raise DTypeError(
            f"jit: the static argument {name!r} is a {type(leaf).__name__}, which cannot be a key",
            want="something hashable",
        ) from None
    counts, text = counted(leaf)
    return Static((counts, leaf), text if counts[0] != "id" else repr(leaf))


# -- in words ---------------------------------------------------------------------------------


def difference(before: Signature, now: Signature, paths: Sequence[str]) -> str | None:
    """Why a program for one call does not serve the other, and the cure; None if it may."""
    if before.structure != now.structure:
        try:
            same_structure("", before.structure, now.structure, ("before", "now"))
        except Exception as error:  # noqa: BLE001  (its text is what is wanted)
            detail = "; ".join(line.strip() for line in str(error).splitlines()[1:3])
        return f"the structure of the arguments changed ({detail})"
    said = []
    sizes = iter(zip(before.sizes, now.sizes, strict=False))
    for path, a, b in zip(paths, before.kinds, now.kinds, strict=True):
        alike = isinstance(a, Array) and isinstance(b, Array)
        m, n = next(sizes, (0, 0)) if alike and a.rank and b.rank else (0, 0)
        if a != b or m != n:
            said.append(f"{path} changed: {_said(a, m)} -> {_said(b, n)}{_cure(a, b)}")
    if not said and before.twins != now.twins:
        said.append("which arguments are one and the same tensor changed")
    words = {
        "kinks": "ob.config(kinks=)",
        "dtype": "ob.config(dtype=)",
        "grad": "ob.no_grad()",
        "lanes": "ob.vmap around it",
    }
    for name, a, b in zip(Settings._fields, before.settings, now.settings, strict=True):
        if a != b:
            detail = f": {a} -> {b}" if name != "grad" else ""
            said.append(f"{words[name]} changed{detail}")
    return "; ".join(said[:3]) or None


def _said(kind: Any, size: int) -> str:
    if isinstance(kind, Array):
        return kind.shown(size) + (" that requires a gradient" if kind.wanted[0] else "")
    if isinstance(kind, Static):
        return kind.text
    return f"another {kind.kind}" if isinstance(kind, Same) else f"a {kind.__name__}"


def _cure(a: Any, b: Any) -> str:
    if isinstance(a, Array) and isinstance(b, Array):
        if a.dtype != b.dtype:
            return " (one dtype needs one trace: x.astype(...))"
        if a == b:
            return " (only the leading size)"
        if a.rank == b.rank and a.wanted == b.wanted:
            return " (sizes are built in: batches of one size need one trace)"
        return ""
    if isinstance(b, Static) and b.counts[0] in (int, bool):
        return " (built in; as a float, an array, or named in dynamic= it would be an input)"
    if isinstance(b, Static) and b.counts[0] not in (str, type(None)):
        return " (built in; a float, or an array, would be an input)"
    return " (objects count by identity)" if isinstance(b, Same) and isinstance(a, Same) else ""
