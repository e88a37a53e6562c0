"""What a traced function stores in its surroundings: in attributes, entries of dicts, variables.

`self.last = loss` in a jitted function stores a tensor without a value. It becomes one result more,
and every call puts its own there, as it happens eagerly. If the function has also read what was
there before (`self.h = f(self.h, x)`), each call reads it there.
"""

from __future__ import annotations

import weakref
from collections.abc import Container, Iterator
from typing import Any

from ..capture import Trace
from ..errors import RebindError
from ..handle import Tensor
from ..trees import tree_flatten
from .likeness import MISSING
from .surroundings import Survey, Watch


class Spot:
    """Where something is stored: attribute `name` of an object ("slot", which is not kept alive),
    entry `name` of a dict ("key"), or a variable of an enclosing function ("cell").
    """

    __slots__ = ("_kind", "_name", "_where", "path")

    def __init__(self, path: str, watch: Watch) -> None:
        self.path = path
        self._kind, where, self._name, _ = watch
        try:
            self._where = weakref.ref(where)
        except TypeError:
            self._where = lambda: where

    def get(self) -> Any:
        """What is there now; MISSING if nothing is."""
        return Watch(self._kind, self._where(), self._name, None).now()

    def leaf(self, k: int) -> Any:
        """The k-th leaf of what is there now; None if that is no tensor."""
        leaves = tree_flatten(self.get())[0]
        return leaves[k] if k < len(leaves) and isinstance(leaves[k], Tensor) else None

    def put(self, value: Any) -> None:
        """Store it there; MISSING: leave nothing."""
        where: Any = self._where()
        name = self._name
        if self._kind == "key":
            if value is MISSING:
                where.pop(name, None)
            else:
                where[name] = value
        elif self._kind == "cell":
            if value is MISSING:
                del where.cell_contents
            else:
                where.cell_contents = value
        else:  # past the `__setattr__` of modules, which would say that their structure changed
            kind: Any = type if isinstance(where, type) else object
            if value is MISSING:
                kind.__delattr__(where, name)
            else:
                kind.__setattr__(where, name, value)


class Kept:
    """Something from outside, or plain, that is stored as it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Stores:
    """What a function has stored while it was traced.

    spots   where; values: what it has put there;  before: what was there, which is put back
    dicts   ids of the dicts (and others) that the spots are in
    reads   id of a tensor that was there before -> (number of the spot, number of the leaf there)
    """

    def __init__(self, early: Survey, later: Survey, trace: Trace, given: Container[int]) -> None:
        self._early, self._later, self._trace, self._given = early, later, trace, given
        self.spots: list[Spot] = []
        self.dicts: set[int] = set()
        self.values: list[Any] = []
        self.before: list[Any] = []
        self.reads: dict[int, tuple[int, int]] = {}
        self._husks: set[int] = set()
        for path, watch in later.held.items():
            known = early.held.get(path)
            if (known is not None and known.found is watch.found) or not self._is_known(
                path, watch
            ):
                continue
            inner = list(self._of_this_call(watch.found))
            if not inner and known is None and watch.kind != "slot":
                continue  # a new entry of a dict: a log
            self._husks.update(map(id, inner))
            self.spots.append(Spot(path, watch))
            self.dicts.add(id(watch.where))
            self.values.append(watch.found if inner else Kept(watch.found))
            self.before.append(MISSING if known is None else known.found)

    def _of_this_call(self, value: Any) -> Iterator[Tensor]:
        """The tensors made inside, or given, in something that was stored."""
        if not isinstance(value, Tensor) and self._early.knows(value):
            return
        for t in tree_flatten(value, objects=self._trace.made)[0]:
            if self._trace.is_made(t) or id(t) in self._given:
                yield t

    def _is_known(self, path: str, watch: Watch) -> bool:
        """Whether the place was there before: it is not in what is stored itself."""
        known = self._early.held.get(path)
        return self._early.knows(watch.where) or (known is not None and known.where is watch.where)

    def put_back(self) -> None:
        """Everything is as it was before; also lists that would be refused."""
        for spot, value in zip(self.spots, self.before, strict=True):
            spot.put(value)
        for path, (kind, where, _, found) in self._later.watches.items():
            known = self._early.watches.get(path)
            if kind not in ("items", "line") or known is None or known.where is not where:
                continue
            if any(map(self._trace.is_made, found)):
                where.clear()
                where.extend(known.found)

    def refuse(self) -> None:
        """Raise RebindError for what cannot be stored at every call: a parameter, or a tensor in a
        list, where it would be added once.
        """
        for path, t in self._later.tensors():
            if self._trace.is_made(t) and (
                id(t) not in self._husks or hasattr(t, "_role") or getattr(t, "_wants", False)
            ):
                origin = t.node.origin
                raise RebindError(
                    f"jit: {path} would hold a tensor that is made inside, which would happen "
                    "once and then never again",
                    got={"tensor": f"{t.spec}" + (f", made at {origin}" if origin else "")},
                    hint="return the tensor and store it outside; or change one that is there "
                    "already, with x.rebind(...) or x[...] = ...",
                )

    def loosen(self) -> None:
        """Where tensors are replaced by their like, which they are does not count for the trace."""
        for i, (spot, before) in enumerate(zip(self.spots, self.before, strict=True)):
            value = self.values[i]
            if isinstance(value, Kept) and value.value is not None:
                continue  # it may be what was somewhere else before: two that are swapped
            leaves = tree_flatten(before)[0]
            tensors = {id(t): (i, k) for k, t in enumerate(leaves) if isinstance(t, Tensor)}
            if tensors and self._early.loosen(spot.path, spot, before):
                self.reads.update(tensors)
