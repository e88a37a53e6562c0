"""Nested tuples, lists, dicts, dataclasses and modules, as flat lists of leaves and back.

Whatever is none of these is a leaf; None is an empty subtree. Dicts (ordered and default ones are
dicts too) are taken in the order of their sorted keys, so two equal dicts are equal trees; rebuilt,
their keys stand as they stood. A class joins in with two methods, `tree_children() -> (names,
children)` and `tree_rebuild(children) -> object`.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from .errors import StructureError


class Structure(NamedTuple):
    """What is left of a tree without its leaves. Equal structures fit the same leaves."""

    kind: Any  # the class; None for an empty subtree, `Structure` for a leaf
    names: tuple  # how each child is reached: keys, indices or attributes
    children: tuple[Structure, ...]
    like: Any = None  # what rebuilding needs: the object, or a dict's order; not compared

    @property
    def leaves(self) -> int:
        """How many leaves it takes."""
        return 1 if self.kind is Structure else sum(c.leaves for c in self.children)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self[:3] == other[:3]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.kind, self.names, self.children))


LEAF = Structure(Structure, (), ())

_DICTS = (dict, OrderedDict, defaultdict)
_SIMPLE = {float, int, bool, complex, str, np.ndarray, np.float64, np.float32}
"""Leaves, known at once."""

_changes = 0


def touch() -> None:
    """Say that the structure of some object changed (an attribute that is no tensor, train/eval):
    what was traced with the old one is traced anew.
    """
    global _changes  # noqa: PLW0603  (one counter for the process)
    _changes += 1


def changes() -> int:
    """How often `touch` was called."""
    return _changes


def tree_flatten(
    tree: Any, *, objects: bool | Callable[[Any], bool] = True
) -> tuple[list[Any], Structure]:
    """The leaves, from left to right, and the structure that `tree_unflatten` takes.

    With `objects=False`, modules and dataclasses are leaves themselves; a function says of each
    whether it is opened. Dicts are then taken as they stand: `jit` asks so, and a function may
    well go through one in its order.

    Example:
        >>> leaves, structure = ob.tree_flatten({"b": [1, 2], "a": (3, None)})
        >>> leaves
        [3, 1, 2]
        >>> ob.tree_unflatten(structure, leaves)
        {'b': [1, 2], 'a': (3, None)}
    """
    if type(tree) in _SIMPLE:
        return [tree], LEAF
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves, objects)


def _flatten(
    tree: Any, leaves: list[Any], objects: bool | Callable[[Any], bool] = True
) -> Structure:
    if type(tree) in _SIMPLE:
        leaves.append(tree)
        return LEAF
    opened = _open(tree, objects is True)
    if opened is not None and opened[2] is not None:
        wanted = objects(tree) if callable(objects) else objects
        opened = opened if wanted else None
    if opened is None:
        leaves.append(tree)
        return LEAF
    names, children, like = opened
    kind = None if tree is None else type(tree)
    if kind in _DICTS:
        like = tuple(tree or ()), getattr(tree, "default_factory", None)
    return Structure(kind, names, tuple(_flatten(c, leaves, objects) for c in children), like)


def _open(tree: Any, by_key: bool = True) -> tuple[tuple, Sequence[Any], Any] | None:
    """The names and children of an inner node of a tree; None for a leaf."""
    kind = type(tree)
    if tree is None:
        return (), (), None
    if kind is tuple or kind is list:
        return tuple(range(len(tree))), tree, None
    if kind in _DICTS:
        names = tuple(tree)
        if by_key:
            with suppress(TypeError):  # keys of several kinds
                names = tuple(sorted(tree))
        return names, [tree[n] for n in names], None
    if hasattr(kind, "tree_children"):
        names, children = tree.tree_children()
        return names, children, tree
    if isinstance(tree, tuple) and hasattr(kind, "_fields"):
        return tuple(kind._fields), tree, None
    if dataclasses.is_dataclass(kind):
        names = tuple(f.name for f in dataclasses.fields(kind))
        return names, [getattr(tree, n) for n in names], tree
    return None


def tree_unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The tree of this structure with these leaves.

    Raises:  StructureError if their number is wrong.
    """
    leaves = list(leaves)
    if structure.leaves != len(leaves):
        raise StructureError(
            f"tree_unflatten: {len(leaves)} leaves for a structure of {structure.leaves}"
        )
    return _rebuild(structure, iter(leaves))


def _rebuild(structure: Structure, leaves: Iterator[Any]) -> Any:
    kind = structure.kind
    if kind is Structure:
        return next(leaves)
    if kind is None:
        return None
    children = [_rebuild(c, leaves) for c in structure.children]
    if kind is tuple or kind is list:
        return kind(children)
    if kind in _DICTS:
        found = dict(zip(structure.names, children, strict=True))
        order, factory = structure.like or (structure.names, None)
        tree = defaultdict(factory) if kind is defaultdict else kind()
        tree.update((n, found[n]) for n in order)
        return tree
    if hasattr(kind, "tree_rebuild"):
        return structure.like.tree_rebuild(children)
    if issubclass(kind, tuple):
        return kind(*children)
    return dataclasses.replace(structure.like, **dict(zip(structure.names, children, strict=True)))


def tree_map(f: Callable[..., Any], *trees: Any) -> Any:
    """f applied to each leaf, or to the leaves of several trees in the same place.

    Raises:  StructureError if the trees differ.
    Example:
        >>> ob.tree_map(lambda a, b: a + b, {"x": 1}, {"x": 2})
        {'x': 3}
    """
    leaves, structure = tree_flatten(trees[0])
    columns = [leaves]
    for other in trees[1:]:
        more, theirs = tree_flatten(other)
        same_structure("tree_map", structure, theirs)
        columns.append(more)
    return tree_unflatten(structure, [f(*row) for row in zip(*columns, strict=True)])


def same_structure(
    what: str,
    one: Structure,
    other: Structure,
    names: tuple[str, str] = ("the first", "the second"),
) -> None:
    """Raise a StructureError that names the first place where two structures differ."""
    if one != other:
        path, a, b = _difference(one, other, "")
        raise StructureError(
            f"{what}: the structures differ" + (f" at {path}" if path else ""),
            got={names[0]: _said(a), names[1]: _said(b)},
            want="the same nesting of tuples, lists, dicts and modules",
        )


def _difference(one: Structure, other: Structure, path: str) -> tuple[str, Structure, Structure]:
    if one.kind is other.kind and one.names == other.names:
        for name, a, b in zip(one.names, one.children, other.children, strict=True):
            if a != b:
                return _difference(a, b, f"{path}[{name!r}]")
    return path, one, other


def _said(s: Structure) -> str:
    if s.kind is Structure:
        return "a leaf"
    if s.kind is None:
        return "None"
    return f"a {s.kind.__name__} of {len(s.children)}" + (
        f" with {list(s.names)}" if s.kind is dict else ""
    )


def tree_paths(tree: Any) -> list[tuple[str, Any]]:
    """(path, leaf) pairs; a path reads like code: `[0].weight`, `['lr']`."""
    found: list[tuple[str, Any]] = []

    def walk(tree: Any, path: str) -> None:
        opened = _open(tree)
        if opened is None:
            found.append((path, tree))
            return
        attributes = opened[2] is not None or hasattr(type(tree), "_fields")
        for name, child in zip(opened[0], opened[1], strict=True):
            walk(child, f"{path}.{name}" if attributes else f"{path}[{name!r}]")

    walk(tree, "")
    return found
