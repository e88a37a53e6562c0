"""What a function reads besides its arguments: globals, closures, attributes, and what these hold.

A traced program has the plain values of its surroundings built in, so it serves only as long as
they are what they were. `Survey` walks from the code: the globals and cells that it names, the
functions it reaches (their globals, cells and defaults in turn), and of objects those attributes
that some code reached calls by name. Plain values count by type and value, containers by content,
tensors, arrays and all other objects by identity.

A survey costs a fraction of a millisecond, so every place that was looked at is also a `Watch`:
while each holds the very object it held, nothing has changed. `native` code can check that, see
`gate`.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..handle import Tensor
from ..origin import OURS
from ..primitive import Primitive
from .likeness import LARGE, MISSING, PLAIN, counted, described, shown
from .naming import ANY, named_by

HELD = (np.ndarray, np.generic, list, tuple, dict, set, frozenset, deque)
"""Types of attributes that are looked at, besides those and what can be called, if any may be."""

MOST = 20_000
"""Places that a survey looks at, at most."""

_IMPLIED = {"forward", "__call__"}
_UNREAD = {
    "__init__", "__new__", "__repr__", "__str__", "__hash__", "__del__", "__reduce__",
    "__setattr__", "__init_subclass__", "__class_getitem__", "__annotate__", "__annotate_func__",
}  # fmt: skip


class Watch(NamedTuple):
    """A place and the object that it held.

    kind    "cell" (of a closure), "key" (of a dict: `name`), "items" (of a list), "line" (of a
            deque), "size" (of a list or dict), "slot" (attribute `name`), "set", "bytes" (of an
            array), "code" (code and defaults of a function), "like" (what is in a place that the
            function itself writes: see `described`)
    """

    kind: str
    where: Any
    name: Any
    found: Any

    def now(self) -> Any:
        """What a cell, a key or a slot holds now."""
        kind, where, name, _ = self
        if kind == "key":
            return dict.get(where, name, MISSING)
        return _content(where) if kind == "cell" else getattr(where, name, MISSING)

    def holds(self) -> bool:
        """Whether it is still there."""
        kind, where, _, found = self
        if kind in ("key", "cell", "slot"):
            return self.now() is found
        if kind == "like":
            return described(where.get()) == found
        if kind in ("items", "line"):
            return len(where) == len(found) and all(a is b for a, b in zip(where, found))
        if kind == "size":
            return len(where) == found
        if kind == "set":
            return where == found
        if kind == "bytes":
            return (where.dtype, where.shape, where.tobytes()) == found
        return all(a is b for a, b in zip(_parts_of(where), found, strict=True))


class Survey:
    """What there is to see from some roots, (path, thing) pairs, and from the objects among the
    arguments, which are not kept alive.

    facts    path -> (what it counts as, how it is shown)
    watches  path -> Watch; none for what says so itself when it changes (attributes of modules)
    arrays   NumPy arrays that are reached, by id
    held     path -> Watch of every attribute, entry of a dict and variable, until the trace is made
    """

    def __init__(
        self,
        roots: Iterable[tuple[str, Any]],
        home: str = "__main__",
        given: Iterable[tuple[str, Any]] = (),
    ) -> None:
        self.facts: dict[str, tuple[Any, str]] = {}
        self.watches: dict[str, Watch] = {}
        self.arrays: dict[int, np.ndarray] = {}
        self.handles: set[int] = set()
        self.held: dict[str, Watch] = {}
        self._home = home.partition(".")[0]
        self._names: set[str] = set(_IMPLIED)
        self._ours: set[str] = set()
        self._seen: dict[
            int, tuple[str, Any]
        ] = {}  # the things too: an id is theirs while they live
        self._places: dict[str, Any] = {}
        self._stack: list[tuple[str, Any]] = []
        self._objects: list[tuple[str, Any, set[str]]] = []
        given = list(given)
        for path, thing in (*roots, *given):
            self._see(path, thing)
        while self._stack or self._more():
            if len(self.facts) > MOST:
                break
            self._open(*self._stack.pop())
        for path, thing, _ in self._objects:
            space = getattr(thing, "__dict__", None)
            if isinstance(space, dict):  # which of the attributes that count are there at all
                ours = any(map(_is_ours, type(thing).__mro__))
                hidden = _plain_of(type(thing)) if ours else {}
                there = frozenset(
                    name
                    for name, value in space.items()
                    if name not in hidden and self._is_named(name, value, ours=ours)
                )
                self.facts[path + ".[]"] = ("names", there), f"{len(there)} attributes"
        for path, thing in given:
            self._seen[id(thing)] = path, None
        del self._objects, self._stack, self._places

    def without(self, later: Survey, stored: Collection[int]) -> Survey:
        """What the traced function did not itself change, by the survey made after the trace: a
        log that it appended to is no reason to trace again, a number that it counted up is, and so
        is an attribute that was not there, or an entry of a dict (one of these, by id) that
        tensors are stored in.
        """
        for path in [p for p in self.facts if p.endswith("[]") and not p.endswith(".[]")]:
            apart = id(self.watches[path].where) not in stored
            if apart and later.facts.get(path) != self.facts[path]:
                del self.facts[path]
                self.watches.pop(path, None)
        return self

    def freeze(self, arrays: Iterable[np.ndarray]) -> None:
        """The contents of these arrays count as well: they are built in."""
        for a in arrays:
            path = self._seen[id(a)][0] + "[...]"
            if a.dtype.hasobject:
                continue
            self.facts[path] = (a.dtype.str, a.shape, a.tobytes()), "entries"
            self.watches[path] = Watch("bytes", a, None, (a.dtype, a.shape, a.tobytes()))

    def holds(self) -> bool:
        """Whether every place still holds the same object."""
        return all(w.holds() for w in self.watches.values())

    def agrees(self, now: Survey) -> bool:
        """Whether all that counts here counts the same now."""
        now.freeze(
            w.where for w in self.watches.values() if w.kind == "bytes" and now.knows(w.where)
        )
        alike = all(now.facts.get(path) == fact for path, fact in self.facts.items())
        return alike and all(w.holds() for w in self.watches.values() if w.kind == "like")

    def difference(self, now: Survey) -> str | None:
        """What counts otherwise now, in words."""
        for path, fact in self.facts.items():
            other = now.facts.get(path)
            if other == fact:
                continue
            name = path.removesuffix(".[]").removesuffix("[]").removesuffix("[...]")
            shown = "nothing" if other is None else other[1]
            if shown == fact[1]:
                return f"{name} changed: it is another thing"
            plain = not path.endswith("[]") and fact[0][0] in (bool, int, float, str)
            cure = " (pass it as an argument to keep one trace)" if plain else ""
            return f"{name} changed, {name}: {fact[1]} -> {shown}{cure}"
        return None

    def renew(self, now: Survey) -> None:
        """Watch the places as they are now, which count the same."""
        renewed = {p: now.watches[p] for p in self.watches if p in now.watches}
        likes = {p: w for p, w in self.watches.items() if w.kind == "like"}
        self.watches = renewed | likes
        self._seen = now._seen

    def loosen(self, path: str, spot: Any, value: Any) -> bool:
        """What a spot that the function writes holds counts from now on by what it is like; False
        if it counts by being the same as what is elsewhere.
        """
        if self.facts.get(path, (("missing",), ""))[0][0] in ("missing", "as"):
            return False
        for p in [p for p in self.facts if p == path or p.startswith((path + "[", path + "."))]:
            del self.facts[p]
            self.watches.pop(p, None)
        self.watches[path] = Watch("like", spot, None, described(value))
        return True

    def tensors(self) -> list[tuple[str, Tensor]]:
        """The tensors that were reached, by path."""
        return [(path, thing) for path, thing in self._seen.values() if isinstance(thing, Tensor)]

    def things(self) -> list[Any]:
        """What was reached, without the arguments."""
        return [thing for _, thing in self._seen.values()]

    def knows(self, thing: Any) -> bool:
        """Whether it was reached."""
        return id(thing) in self._seen

    # -- looking ------------------------------------------------------------------------------

    def _see(
        self, path: str, thing: Any, watch: Watch | None = None, held: Watch | None = None
    ) -> None:
        """Note a thing once per place (`held`: if not as it is watched); what is inside it is
        looked at later, once.
        """
        place = (watch.kind, id(watch.where), watch.name) if watch else id(thing)
        while path in self.facts:  # two places may be called the same: a variable of two functions
            if self._places[path] == place:
                return
            path += "'"
        self._places[path] = place
        first = self._seen.get(id(thing))
        plain = isinstance(thing, PLAIN)
        if first is None or plain:
            self.facts[path] = counted(thing)
        else:
            self.facts[path] = ("as", first[0]), first[0]
        if watch is not None:
            self.watches[path] = watch
        held = held or watch
        if held is not None:
            self.held[path] = held
        if first is None and not plain:
            self._seen[id(thing)] = path, thing
            self._stack.append((path, thing))

    def _open(self, path: str, thing: Any) -> None:
        """Look at what is inside."""
        if isinstance(thing, Tensor):
            self.handles.add(id(thing))
        elif isinstance(thing, np.ndarray):
            self.arrays[id(thing)] = thing
        elif isinstance(thing, list | tuple | dict | set | frozenset | deque):
            self._open_container(path, thing)
        elif isinstance(thing, UserDict | UserList | ChainMap):
            held = "maps" if isinstance(thing, ChainMap) else "data"
            inside = getattr(thing, held)
            self._see(f"{path}.{held}", inside, Watch("slot", thing, held, inside))
            self._objects.append((path, thing, set()))
        elif isinstance(thing, types.FunctionType):
            self._open_function(path, thing)
        elif isinstance(thing, types.MethodType):
            self._see(path + ".__self__", thing.__self__)
            self._see(path + ".__func__", thing.__func__)
        elif isinstance(thing, functools.partial):
            self._see(path + ".func", thing.func)
            self._see(path + ".args", thing.args)
            self._see(path + ".keywords", thing.keywords)
        elif isinstance(thing, staticmethod | classmethod):
            self._see(path + ".__func__", thing.__func__)
        elif isinstance(thing, property):
            for part in ("fget", "fset"):
                self._see(f"{path}.{part}", getattr(thing, part))
        elif not isinstance(thing, Primitive | np.generic | np.dtype | types.BuiltinFunctionType):
            self._objects.append((path, thing, set()))
            for _, kind in self._classes(thing):
                if _is_ours(kind):
                    self._ours |= _named_by_class(kind)

    def _open_container(self, path: str, thing: Any) -> None:
        large = len(thing) > LARGE
        if not isinstance(thing, tuple | frozenset):
            watch = Watch("size", thing, None, len(thing))
            if isinstance(thing, set):
                watch = Watch("set", thing, None, set(thing))
            elif isinstance(thing, list | deque) and not large:
                kind = "items" if isinstance(thing, list) else "line"
                watch = Watch(kind, thing, None, tuple(thing))
            self._see_size(path, watch, len(thing))
        if large:
            return
        if isinstance(thing, dict):
            for key, value in thing.items():
                self._see(f"{path}[{_key(key)}]", value, Watch("key", thing, key, value))
        elif isinstance(thing, list | tuple | deque):
            for i, value in enumerate(thing):
                self._see(f"{path}[{i}]", value)
        else:
            for value in thing:
                self._see(f"{path}{{{_key(value)}}}", value)

    def _see_size(self, path: str, watch: Watch, size: Any) -> None:
        self.watches[path + "[]"] = watch
        self.facts[path + "[]"] = (watch.kind, size), f"{size} entries"

    def _open_function(self, path: str, f: types.FunctionType) -> None:
        ours = f.__code__.co_filename in OURS
        cells = zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
        if ours:  # a wrapper (ob.grad(f), ...): what it wraps may be the user's
            for name, cell in cells:
                content = _content(cell)
                if isinstance(content, types.FunctionType | types.MethodType | functools.partial):
                    self._see(name, content)
                elif not isinstance(content, (*PLAIN, list, tuple, dict, set, types.ModuleType)):
                    self._see(f"{path}.{name}", content)
            return
        if not self._is_users(f.__module__ or "", f.__code__.co_filename):
            return
        self.watches[path + ".__code__"] = Watch("code", f, None, _parts_of(f))
        self.facts[path + ".__code__"] = ("code", id(f.__code__)), "code"
        outside, names = named_by(f.__code__)
        self._names |= names
        space = f.__globals__
        for name in outside:
            value = space.get(name, MISSING)
            self._see(self._global(f, name), value, Watch("key", space, name, value))
        for name, cell in cells:
            value = _content(cell)
            self._see(name, value, Watch("cell", cell, name, value))
        count = len(f.__defaults__ or ())
        arguments = f.__code__.co_varnames[: f.__code__.co_argcount][-count:] if count else ()
        for name, value in zip(arguments, f.__defaults__ or (), strict=True):
            self._see(f"{path}({name}=)", value)
        if f.__kwdefaults__:
            self._see(path + ".__kwdefaults__", f.__kwdefaults__)
        if vars(f):
            self._objects.append((path, f, set()))

    def _global(self, f: types.FunctionType, name: str) -> str:
        same = (f.__module__ or "").partition(".")[0] == self._home
        return name if same else f"{f.__module__}.{name}"

    # -- objects: the attributes that some code calls by name ---------------------------------

    def _more(self) -> bool:
        """Attributes of the objects seen whose names have come up since; whether there are any."""
        for path, thing, done in list(self._objects):
            for name, value, watch, inside in self._attributes(path, thing):
                if name not in done and self._is_named(name, value, ours=inside):
                    done.add(name)
                    held = Watch("slot", thing, name, value)
                    self._see(f"{path}.{name}", value, watch, held)
            for owner, kind in self._classes(thing):
                if self._is_users(kind.__module__):
                    self._see_class(owner, kind, done, implied=not isinstance(thing, type))
        return bool(self._stack)

    def _is_named(self, name: str, value: Any, *, ours: bool) -> bool:
        inner = callable(value) or isinstance(value, Tensor) or _is_ours(type(value))
        if ANY in self._names and not (ours and name in self._ours):
            return inner or isinstance(value, (*PLAIN, *HELD))
        if name in self._names or not ours:
            return name in self._names
        return (inner or name in self._ours) and not name.startswith("_")

    def _attributes(self, path: str, thing: Any) -> Iterator[tuple[str, Any, Watch | None, bool]]:
        """(name, value, Watch, whether the class is one of overbar's) of what an object holds."""
        if isinstance(thing, type):
            return
        if isinstance(thing, types.ModuleType):
            if self._is_users(thing.__name__, getattr(thing, "__file__", None)):
                space = vars(thing)
                for name in self._names & space.keys():
                    yield name, space[name], Watch("key", space, name, space[name]), False
            return
        kinds = type(thing).__mro__
        ours = any(map(_is_ours, kinds))
        told = ours and type(thing).__setattr__ is not object.__setattr__  # changes the epoch
        space = getattr(thing, "__dict__", None)
        if isinstance(space, dict):
            for name, value in list(space.items()):
                if isinstance(name, str):
                    yield name, value, None if told else Watch("key", space, name, value), ours
            if ours:  # what the class says until the object says otherwise: `training`
                for name, value in _plain_of(type(thing)).items():
                    if name not in space:
                        yield name, value, None, True
            if not told:
                self.watches[path + ".[]"] = Watch("size", space, None, len(space))
        for kind in kinds:
            slots = vars(kind).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                value = getattr(thing, name, MISSING)
                yield name, value, Watch("slot", thing, name, value), ours

    def _classes(self, thing: Any) -> list[tuple[str, type]]:
        kinds = thing.__mro__ if isinstance(thing, type) else type(thing).__mro__
        return [(kind.__name__, kind) for kind in kinds if kind is not object]

    def _see_class(self, path: str, kind: type, done: set[str], *, implied: bool) -> None:
        """Methods and plain attributes of a class of the user's."""
        space = None
        for name, value in list(vars(kind).items()):
            label = f"{path}.{name}"
            operator = implied and name.startswith("__") and name not in _UNREAD
            routine = isinstance(value, types.FunctionType | staticmethod | classmethod | property)
            computed = ANY in self._names and not name.startswith("__")
            computed = computed and (routine or isinstance(value, PLAIN))
            if label in done or not (name in self._names or computed or (operator and routine)):
                continue
            done.add(label)
            space = _space_of(kind) if space is None else space
            watch = (
                Watch("key", space, name, value)
                if space is not None
                else Watch("slot", kind, name, getattr(kind, name))
            )
            self._see(label, value, watch, Watch("slot", kind, name, value))

    def _is_users(self, module: str, file: str | None = None) -> bool:
        """Whether code is the user's own: not overbar's, nor of Python or an installed package."""
        root = module.partition(".")[0]
        if root == self._home:
            return True
        if root in sys.stdlib_module_names or root in ("overbar", "numpy"):
            return False
        if file is None:
            file = getattr(sys.modules.get(module), "__file__", None)
        return not (file or "").startswith(_libraries())


@functools.cache
def _libraries() -> tuple[str, ...]:
    """Where Python and installed packages are."""
    import sysconfig

    paths = (sysconfig.get_path(p) for p in ("stdlib", "platstdlib", "purelib", "platlib"))
    return tuple({path for path in paths if path})


def _key(key: Any) -> str:
    return shown(key) if isinstance(key, PLAIN) else f"{type(key).__name__} {id(key):x}"


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return MISSING


def _parts_of(f: Any) -> tuple[Any, ...]:
    return f.__code__, f.__defaults__, f.__kwdefaults__


@functools.cache
def _named_by_class(kind: type) -> frozenset[str]:
    """The names that the methods of one of overbar's classes use."""
    names: frozenset[str] = frozenset()
    for value in vars(kind).values():
        inner = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if isinstance(inner, types.FunctionType):
            names |= named_by(inner.__code__)[1]
    return names


@functools.cache
def _plain_of(kind: type) -> dict[str, Any]:
    """The plain attributes of overbar's classes among the bases of a class."""
    found: dict[str, Any] = {}
    for base in filter(_is_ours, reversed(kind.__mro__)):
        plain = {n: v for n, v in vars(base).items() if isinstance(v, PLAIN) and n[0] != "_"}
        found.update(plain)
    return found


@functools.cache
def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "overbar"


def _space_of(kind: type) -> dict[str, Any] | None:
    """The dict behind a class, which Python only shows through a proxy."""
    shown = vars(kind)
    for found in gc.get_referents(kind):
        if type(found) is dict and len(found) == len(shown) and found.keys() == shown.keys():
            return found
    return None
