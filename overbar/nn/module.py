"""`Module`: a function with parameters, and the tree that modules form.

A parameter is a Tensor with a role, in any attribute of a module, or in lists, tuples and dicts
there. Nothing is registered: the tree is read from the attributes whenever it is asked for. Every
change of a parameter rebinds its handle, so optimisers, graphs and tied layers go on holding it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

import overbar as ob
from overbar.errors import DTypeError, OverbarError, RebindError, ShapeError, StructureError
from overbar.graph import newborn, note_call
from overbar.settings import check_settings
from overbar.trees import touch

from .roles import role_of

__all__ = ["Module"]


class Module:
    """A function with parameters. A subclass makes them in `__init__` and uses them in `forward`.

    Assigning to a parameter or a buffer rebinds it. Transforms take modules as arguments: the
    leaves are the parameters, each once, and a gradient comes back as a module of the same kind.
    A layer keeps each argument of its constructor under that argument's name: `repr` shows them
    from there, and a saved model is described by them.

    Example:
        >>> class Line(ob.nn.Module):
        ...     def __init__(self):
        ...         self.a, self.b = ob.nn.Parameter(2.0), ob.nn.Parameter(1.0)
        ...
        ...     def forward(self, x):
        ...         return self.a * x + self.b
        >>> line = Line()
        >>> float(line(3.0)), [name for name, _ in line.named_parameters()]
        (7.0, ['a', 'b'])
        >>> slopes = ob.grad(lambda line: line(3.0))(line)
        >>> float(slopes.a), float(slopes.b)
        (3.0, 1.0)
    """

    training = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        check_settings(cls, args, kwargs)
        self = object.__new__(cls)
        vars(self)["_local"] = ob.is_tracing()  # born inside a trace, it may be changed there
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "_named" not in vars(self):
            self._name_all()
        since = newborn()
        try:
            result = self.forward(*args, **kwargs)
        except OverbarError as error:
            _located(error, self)
            raise
        note_call(result, since, vars(self).get("_named", ""), type(self).__name__)
        return result

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; each subclass says."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x)")

    # -- the tree -----------------------------------------------------------------------------

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """(path, module), this one first (its path is ""), then depth first; each module once."""
        seen = {id(self)}
        stack = [("", self)]
        while stack:
            path, module = stack.pop()
            yield path, module
            inner = []
            for name, child in _attributes(module, Module):
                if id(child) not in seen:
                    seen.add(id(child))
                    inner.append((f"{path}.{name}" if path else name, child))
            stack += reversed(inner)

    def modules(self) -> Iterator[Module]:
        """This module and all inside it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, ob.Tensor]]:
        """(path, parameter); a parameter that is used in two places comes once."""
        if "_named" not in vars(self):
            self._name_all()
        return self._tensors("parameter")

    def named_buffers(self) -> Iterator[tuple[str, ob.Tensor]]:
        """(path, buffer), each once."""
        return self._tensors("buffer")

    def parameters(self) -> Iterator[ob.Tensor]:
        """What is trained, each once."""
        return (p for _, p in self.named_parameters())

    def buffers(self) -> Iterator[ob.Tensor]:
        """What is saved but not trained, each once."""
        return (b for _, b in self.named_buffers())

    def _tensors(self, role: str) -> Iterator[tuple[str, ob.Tensor]]:
        seen = set()
        for path, t in _held(self.named_modules(), role):
            if id(t) not in seen:
                seen.add(id(t))
                yield path, t

    def _name_all(self) -> None:
        """Name parameters as explanations do: by their paths from the outermost module."""
        for path, module in self.named_modules():
            vars(module)["_named"] = path
        for role in ("parameter", "buffer"):
            for path, t in self._tensors(role):
                if t.name is None or path.endswith("." + t.name):
                    t.name = path
                    if t.requires_grad and not ob.is_tracing():
                        made = t.node
                        t.requires_grad_()  # a new leaf, which bears the name
                        t.node.code, t.node.at = made.code, made.at

    # -- as a tree of tensors -----------------------------------------------------------------

    def tree_children(self) -> tuple[tuple[str, ...], list[ob.Tensor]]:
        """The parameters, each once, by path."""
        pairs = list(self.named_parameters())
        return tuple(path for path, _ in pairs), [p for _, p in pairs]

    def tree_rebuild(self, children: Sequence[Any]) -> Module:
        """A twin with other tensors for parameters; it shares everything else, buffers too."""
        new: dict[int, Any] = {}
        given = set()
        for p, child in zip(self.parameters(), children, strict=True):
            apart = child
            if isinstance(child, ob.Tensor):
                if id(child) in given:  # equal by chance, as gradients may be: not tied
                    apart = ob.positive(child)
                if role_of(apart) is None:
                    apart._role = "parameter"  # noqa: SLF001  (as in roles)
            given.add(id(child))
            new[id(p)] = apart
        return _twin(self, new, {})

    # -- state --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, ob.Tensor]:
        """Parameters and buffers by path, as they are now: later training does not change them.

        What is used in several places comes under each of its names, as in PyTorch.
        """
        return {path: t.detach() for path, t in self._state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over parameters and buffers, all or none; handles stay, so optimisers stay valid.

        The values are tensors, of PyTorch too, or arrays. Of the names of a tensor that is used in
        several places one is enough.

        Raises:  StructureError listing every name that is missing, not known, of another shape, or
                 given two values.
        """
        own = dict(self._state())
        given = {path: _foreign(value) for path, value in state.items()}
        there = {id(t): path for path, t in own.items() if path in given}
        wrong = [f"{path} is missing" for path, t in own.items() if id(t) not in there]
        wrong += [f"{path} is not known here" for path in given if path not in own]
        wrong += [
            f"{path} is {list(given[path].shape)}, here it is {list(t.shape)}"
            for path, t in own.items()
            if path in given and given[path].shape != t.shape
        ]
        wrong = wrong or [
            f"{path} and {there[id(t)]} are one tensor here, but differ"
            for path, t in own.items()
            if path in given and not _equal(given[path], given[there[id(t)]])
        ]
        if wrong:
            raise StructureError(
                f"load_state_dict: the state is not one of this {type(self).__name__}\n    "
                + "\n    ".join(wrong),
                want=f"exactly the {len(own)} names of state_dict()",
            )
        once = {path: own[path] for path in there.values()}
        ob.rebind(
            once.values(), [ob.astype(given[path], t.dtype).detach() for path, t in once.items()]
        )

    def _state(self) -> Iterator[tuple[str, ob.Tensor]]:
        if "_named" not in vars(self):
            self._name_all()
        for role in ("parameter", "buffer"):
            yield from _held(_places(self), role)

    def train(self, mode: bool = True) -> Module:
        """Switch to training (dropout drops, normalisation uses the batch); gives the module."""
        for module in self.modules():
            if module.training != mode:
                module.training = mode
        return self

    def eval(self) -> Module:
        """Switch to evaluation; gives the module."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters():
            p.grad = None

    def requires_grad_(self, wanted: bool = True) -> Module:
        """Ask for gradients of all parameters, or of none: a frozen module."""
        for p in self.parameters():
            p.requires_grad_(wanted)
        return self

    # -- attributes ---------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        before = vars(self).get(name)
        role = role_of(before)
        if isinstance(before, ob.Tensor) and role and value is not None and role_of(value) is None:
            _rebind(before, value, f"{type(self).__name__}.{name}", fixed=role == "parameter")
        elif ob.is_tracing() and not vars(self)["_local"] and not _has_tensors(value):
            raise RebindError(
                f"{type(self).__name__}.{name} is written while tracing: it would be written once, "
                "and not each time the compiled program runs",
                got={"value": value},
                hint="call train() and eval() outside"
                if name == "training"
                else f"in __init__ make it a tensor, self.{name} = nn.Buffer(...); assign tensors",
            )
        else:
            in_use = name in vars(self) or "_named" in vars(self)
            if in_use and (not ob.is_tracing() or role_of(value)):
                touch()  # compiled programs that knew the old attribute are traced anew
                vars(self).pop("_named", None)
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if ob.is_tracing() and not vars(self)["_local"]:
            raise RebindError(
                f"{type(self).__name__}.{name} is deleted while tracing: that would happen once",
                hint="delete it outside, or set it to None there",
            )
        object.__delattr__(self, name)
        touch()
        vars(self).pop("_named", None)

    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor, read back from the attributes."""
        found = {}
        for name, argument in inspect.signature(type(self).__init__).parameters.items():
            if name not in ("self", "rng") and argument.kind not in (
                argument.VAR_POSITIONAL,
                argument.VAR_KEYWORD,
            ):
                if name == "dtype":
                    found[name] = next((str(p.dtype) for p in self.parameters()), None)
                elif name in vars(self):
                    value = vars(self)[name]
                    present = value is not None
                    of_tensor = name == "bias" and not isinstance(value, bool)
                    found[name] = present if of_tensor else value
        return found

    def __repr__(self) -> str:
        shown = (
            f"{k}={v!r}"
            for k, v in self.settings().items()
            if k != "dtype" and not isinstance(v, Module | ob.Tensor)
        )
        head = f"{type(self).__name__}({', '.join(shown)}"
        lines = [
            f"({name}): {module!r}".replace("\n", "\n  ")
            for name, module in _attributes(self, Module)
        ]
        return f"{head}\n  " + "\n  ".join(lines) + "\n)" if lines else f"{head})"


def _has_tensors(value: Any) -> bool:
    return any(isinstance(t, ob.Tensor) for t in ob.tree_flatten(value)[0])


def _places(
    module: Module, path: str = "", above: tuple[int, ...] = ()
) -> Iterator[tuple[str, Module]]:
    """(path, module) for every way to a module: one that is used twice comes twice."""
    yield path, module
    above = (*above, id(module))
    for name, child in _attributes(module, Module):
        if id(child) not in above:
            yield from _places(child, f"{path}.{name}" if path else name, above)


def _held(modules: Iterable[tuple[str, Module]], role: str) -> Iterator[tuple[str, ob.Tensor]]:
    """(path, tensor) for the tensors of this role that the modules hold themselves."""
    for path, module in modules:
        for name, t in _attributes(module, ob.Tensor):
            if role_of(t) == role:
                yield (f"{path}.{name}" if path else name), t


def _located(error: OverbarError, module: Module) -> None:
    """Say in which layer of a model an error happened; the innermost speaks."""
    path = vars(module).get("_named")
    if not hasattr(error, "layer"):
        error.layer = path  # type: ignore[attr-defined]
        if path:
            kind = type(module).__name__
            error.args = (f"{error.args[0]}\n    in the layer {path}: {kind}", *error.args[1:])


def _foreign(value: Any) -> ob.Tensor:
    """A tensor of whatever library; one that asks for gradients there is cut off first."""
    detach = getattr(value, "detach", None)
    return ob.asarray(value if detach is None else detach())


def _equal(one: ob.Tensor, other: ob.Tensor) -> bool:
    return one is other or np.array_equal(one.numpy(), other.numpy(), equal_nan=True)


def _rebind(handle: ob.Tensor, value: Any, name: str, *, fixed: bool) -> None:
    """A parameter or buffer stands for something else from now on."""
    t = ob.asarray(value)
    if fixed and t.shape != handle.shape:
        raise ShapeError(
            f"{name} is a parameter and keeps its shape",
            got={name: handle, "assigned": t},
            hint="for another shape, assign a new nn.Parameter, and make the optimiser anew",
        )
    if t.dtype.kind == "c" and handle.dtype.kind != "c":
        raise DTypeError(f"{name} is real", got={"assigned": t}, hint="take ob.real or ob.abs")
    handle.rebind(ob.astype(t, handle.dtype).detach())


def _attributes(module: Module, kind: type) -> Iterator[tuple[str, Any]]:
    """(path, thing) for what of this kind is in the attributes, and in lists and dicts there."""
    for name, thing in vars(module).items():
        if isinstance(thing, kind):
            yield name, thing
        elif isinstance(thing, list | tuple | dict):
            yield from _inside(name, thing, kind)


def _inside(path: str, thing: Any, kind: type) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, kind):
        yield path, thing
    elif isinstance(thing, list | tuple | dict):
        for name, part in thing.items() if isinstance(thing, dict) else enumerate(thing):
            yield from _inside(f"{path}.{name}", part, kind)


def _twin(thing: Any, new: dict[int, Any], seen: dict[int, Module]) -> Any:
    """A copy of a tree of modules in which some tensors are replaced, by id."""
    if isinstance(thing, ob.Tensor):
        return new.get(id(thing), thing)
    if isinstance(thing, Module):
        if id(thing) not in seen:
            twin = seen[id(thing)] = object.__new__(type(thing))
            vars(twin).update((name, _twin(part, new, seen)) for name, part in vars(thing).items())
        return seen[id(thing)]
    if type(thing) is dict:
        return {name: _twin(part, new, seen) for name, part in thing.items()}
    if type(thing) in (list, tuple):
        return type(thing)(_twin(part, new, seen) for part in thing)
    return thing
