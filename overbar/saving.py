"""`ob.save` and `ob.load`: models, optimisers, generators and plain numbers in one file.

The tensors go into a safetensors file under readable names, everything else into its JSON. There is
no pickle. A module made of overbar's own layers is described by their names and settings, and built
again from these; of any other object only the state is kept, and `into=` says where it goes.
"""

from __future__ import annotations

import inspect
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import overbar as ob
from overbar import store
from overbar.errors import DTypeError, FileError, OverbarError, StructureError

__all__ = ["save", "load"]

_KEY = "overbar.object"
_DEPTH = 200
_SMALL = 1 << 16
"""A setting may be so large without any tensor of that size in the file (a kernel, a stride)."""


def save(obj: Any, path: str | os.PathLike) -> None:
    """Write a module, a state, or dicts and lists of them; until it is done the old file stays.

    Taken are modules, tensors, NumPy arrays, numbers, text, None, and everything with a
    `state_dict()`: optimisers, schedules, generators, loaders. For an exact resume, save them all:

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "run.safetensors")
        >>> model = ob.nn.Sequential(ob.nn.Linear(2, 3), ob.nn.Tanh())
        >>> optimizer = ob.optim.Adam(model.parameters())
        >>> ob.save({"model": model, "optimizer": optimizer, "epoch": 7}, path)
        >>> ob.load(path)["epoch"], ob.load(path)["model"]
        (7, Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): Tanh()
        ))
        >>> run = ob.load(path, into={"model": model, "optimizer": optimizer})  # rebinds in place
    """
    arrays: dict[str, np.ndarray] = {}
    store.write(path, arrays, {_KEY: _packed(obj, "", arrays)})


def load(path: str | os.PathLike, into: Any = None) -> Any:
    """What `save` wrote: modules of overbar's layers built again, states as dicts of tensors.

    With `into` (a module, an optimiser, or a dict or list of such, as it was saved) the states are
    taken over by these objects, all or none, and what was saved beside them comes back as it is.
    A safetensors file of another library gives a dict of tensors.

    Raises:  FileError for a file that is damaged or lies, StructureError if it does not fit `into`.
    """
    arrays, meta = store.read(path)
    if _KEY in meta:
        try:
            saved = _unpacked(meta[_KEY], _Opened(path, arrays), build=into is None)
        except RecursionError:
            raise FileError(f"{path}: its record is nested too deeply") from None
    else:
        saved = {name: ob.tensor(array) for name, array in arrays.items()}
    if into is None:
        return saved
    before: list[tuple[Any, Any]] = []
    try:
        return _restored(saved, into, "", before)
    except BaseException:
        for thing, state in reversed(before):  # all or none
            _take_over(thing, state)
        raise


# -- writing ----------------------------------------------------------------------------------


def _packed(thing: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """The thing as JSON; its tensors go to `arrays`, by path."""
    if thing is None or isinstance(thing, bool | int | str):
        return thing
    if isinstance(thing, float) and not isinstance(thing, np.floating):
        return thing if math.isfinite(thing) else {"float": repr(thing)}
    if isinstance(thing, ob.Tensor | np.ndarray | np.generic):
        name = path or "value"
        if name in arrays:
            raise StructureError(
                f"save: two tensors would be called {name!r}", hint="rename one of the keys"
            )
        arrays[name] = thing.numpy() if isinstance(thing, ob.Tensor) else np.asarray(thing)
        return {"tensor" if isinstance(thing, ob.Tensor) else "array": name}
    if isinstance(thing, Mapping):
        _texts(thing, path)
        return {
            "dict": {key: _packed(part, _under(path, key), arrays) for key, part in thing.items()}
        }
    if isinstance(thing, list | tuple):
        return {
            type(thing).__name__: [
                _packed(part, _under(path, i), arrays) for i, part in enumerate(thing)
            ]
        }
    if isinstance(thing, ob.nn.Module):
        state = {
            "dict": {
                name: _packed(t, _under(path, name), arrays)
                for name, t in thing.state_dict().items()
            }
        }
        return {"module": description(thing), "state": state}
    if hasattr(thing, "state_dict"):
        return {"object": type(thing).__name__, "state": _packed(thing.state_dict(), path, arrays)}
    raise DTypeError(
        f"save: {path or 'this'} is a {type(thing).__name__}, which is not saved",
        want="modules, tensors, arrays, numbers, text, their dicts and lists, state_dict()",
    )


def _texts(thing: Mapping, path: str) -> None:
    for key in thing:
        if not isinstance(key, str):
            raise DTypeError(f"save: the key {key!r} of {path or 'the dict'} is no text")


def _under(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


def description(module: Any) -> Any:
    """A module's class and settings as JSON, inner ones too; None if it is not all overbar's."""
    kind = type(module)
    if _known(kind.__name__) is not kind:
        return None
    settings: dict[str, Any] = {}
    for name, value in module.settings().items():
        plain = description(value) if isinstance(value, ob.nn.Module) else value
        if isinstance(plain, list | tuple) and all(isinstance(n, int) for n in plain):
            plain = list(plain)  # sizes
        elif not isinstance(plain, bool | int | float | str | dict | None) or (
            plain is None and value is not None
        ):
            return None
        settings[name] = (
            {"float": repr(plain)}
            if isinstance(plain, float) and not math.isfinite(plain)
            else plain
        )
    if not isinstance(module, ob.nn.Sequential | ob.nn.ModuleList):
        return {"class": kind.__name__, "settings": settings}
    layers = [description(layer) for layer in module]
    return (
        None if None in layers else {"class": kind.__name__, "settings": settings, "layers": layers}
    )


def _known(name: Any) -> type | None:
    """The class of this name, if it is one of overbar's own layers or models."""
    for place in (ob.nn, getattr(ob, "models", None)):
        if isinstance(name, str) and name in getattr(place, "__all__", ()):
            found = getattr(place, name)
            if (
                inspect.isclass(found)
                and issubclass(found, ob.nn.Module)
                and found is not ob.nn.Module
            ):
                return found
    return None


# -- reading ----------------------------------------------------------------------------------


class _Opened:
    """A file's arrays, and what may be built from it: nothing that is larger than they are."""

    def __init__(self, path: Any, arrays: dict[str, np.ndarray]) -> None:
        self.path, self.arrays = path, arrays
        self.shapes = Counter(array.shape for array in arrays.values())
        self.longest = max((n for array in arrays.values() for n in array.shape), default=0)

    def damaged(self, what: str) -> FileError:
        return FileError(f"{self.path}: {what}", want="a file written by ob.save")

    # Layers are built with this in place of a generator: it gives zeros, once per array there is.

    def _zeros(self, shape: Any, dtype: Any) -> ob.Tensor:
        shape = tuple(shape)
        self.shapes[shape] -= 1
        if self.shapes[shape] < 0:
            raise self.damaged(
                f"it describes a layer of shape {list(shape)}, but holds no such tensor"
            )
        return ob.tensor(np.zeros(shape, dtype))

    def uniform(
        self, shape: Any = (), low: Any = 0.0, high: Any = 1.0, *, dtype: Any = None
    ) -> ob.Tensor:
        return self._zeros(shape, dtype)

    def normal(
        self, shape: Any = (), mean: Any = 0.0, std: Any = 1.0, *, dtype: Any = None
    ) -> ob.Tensor:
        return self._zeros(shape, dtype)


def _unpacked(packed: Any, file: _Opened, *, build: bool) -> Any:
    if packed is None or isinstance(packed, bool | int | float | str):
        return packed
    if not isinstance(packed, dict):
        raise file.damaged("its record has a list where none belongs")
    parts = {"dict": dict, "list": list, "tuple": list, "tensor": str, "array": str, "float": str}
    if len(packed) == 1:
        ((kind, value),) = packed.items()
        if kind in parts and isinstance(value, parts[kind]):
            return _part(kind, value, file, build=build)
    if packed.keys() in ({"module", "state"}, {"object", "state"}):
        state = _unpacked(packed["state"], file, build=build)
        if packed.get("module") is None or not build:
            return state
        module = _built(packed["module"], file, 0)
        if not isinstance(state, dict) or not all(isinstance(t, ob.Tensor) for t in state.values()):
            raise file.damaged("its state is not one of tensors")
        try:
            module.load_state_dict(state)
        except OverbarError as error:
            raise file.damaged(f"its tensors are not those of its module: {error.what}") from None
        return module
    raise file.damaged("its record holds something unknown")


def _part(kind: str, value: Any, file: _Opened, *, build: bool) -> Any:
    if kind == "dict":
        return {key: _unpacked(part, file, build=build) for key, part in value.items()}
    if kind in ("list", "tuple"):
        found = [_unpacked(part, file, build=build) for part in value]
        return tuple(found) if kind == "tuple" else found
    if kind == "float":
        return _float(value, file)
    if value not in file.arrays:
        raise file.damaged(f"it lacks the tensor {value!r:.80}")
    array = file.arrays[value]
    return ob.tensor(array) if kind == "tensor" else array if array.ndim else array[()]


def _float(text: Any, file: _Opened) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise file.damaged(f"{text!r:.40} is no number")
    return float(text)


def _built(plain: Any, file: _Opened, depth: int) -> Any:
    """The module that a description describes."""
    kind = _known(plain.get("class")) if isinstance(plain, dict) else None
    if kind is None or depth > _DEPTH or not isinstance(plain.get("settings"), dict):
        raise file.damaged("it describes a layer that overbar does not have")
    listed = issubclass(kind, ob.nn.Sequential | ob.nn.ModuleList)
    layers = plain.get("layers", []) if listed else []
    if not isinstance(layers, list) or plain.keys() != {
        "class",
        "settings",
        *(["layers"] if listed else []),
    }:
        raise file.damaged(f"it does not describe a {kind.__name__}")
    accepted = inspect.signature(kind.__init__).parameters
    settings = {
        name: _setting(name, value, accepted, file, depth)
        for name, value in plain["settings"].items()
    }
    if "rng" in accepted and "dtype" in accepted:
        settings["rng"] = file
    inner = [_built(layer, file, depth + 1) for layer in layers]
    try:
        return kind(*([inner] if kind is ob.nn.ModuleList else inner), **settings)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, FileError):
            raise
        raise file.damaged(
            f"its description of a {kind.__name__} is wrong: {error!s:.200}"
        ) from None


def _setting(name: str, value: Any, accepted: Mapping[str, Any], file: _Opened, depth: int) -> Any:
    if name not in accepted or name in ("self", "rng"):
        raise file.damaged(f"it gives a layer the setting {name!r:.40}, which it does not have")
    if isinstance(value, dict):
        return (
            _float(value["float"], file)
            if value.keys() == {"float"}
            else _built(value, file, depth + 1)
        )
    sizes = value if isinstance(value, list) else [value]
    if any(isinstance(n, int) and abs(n) > max(_SMALL, file.longest) for n in sizes):
        raise file.damaged(f"it gives a layer {name}={value}, but holds no tensor of that size")
    if name == "dtype" and value not in ("float16", "float32", "float64", None):
        raise file.damaged(f"{value!r:.40} is no dtype of parameters")
    return tuple(value) if isinstance(value, list) else value


# -- taking over ------------------------------------------------------------------------------


def _restored(saved: Any, into: Any, path: str, before: list[tuple[Any, Any]]) -> Any:
    """What was saved, with the states in the objects that stand in the same place in `into`."""
    if isinstance(into, ob.Tensor):
        if not isinstance(saved, ob.Tensor) or saved.shape != into.shape:
            raise _misfit(path, saved, f"a tensor of shape {list(into.shape)}")
        before.append((into, into.detach()))
        _take_over(into, saved)
        return into
    if hasattr(into, "load_state_dict"):
        if not isinstance(saved, dict):
            raise _misfit(path, saved, f"the state of a {type(into).__name__}")
        before.append((into, into.state_dict()))
        _take_over(into, saved)
        return into
    if isinstance(into, Mapping):
        if not isinstance(saved, dict) or not into.keys() <= saved.keys():
            missing = sorted(into.keys() - saved.keys()) if isinstance(saved, dict) else None
            raise _misfit(path, saved, f"a dict with {missing or sorted(into)}")
        rest = {key: part for key, part in saved.items() if key not in into}
        return {
            key: _restored(saved[key], part, _under(path, key), before)
            for key, part in into.items()
        } | rest
    if isinstance(into, list | tuple):
        if not isinstance(saved, list | tuple) or len(saved) != len(into):
            raise _misfit(path, saved, f"a list of {len(into)}")
        return type(into)(
            _restored(s, part, _under(path, i), before)
            for i, (s, part) in enumerate(zip(saved, into, strict=True))
        )
    return saved


def _take_over(thing: Any, state: Any) -> None:
    take: Callable[[Any], Any] = (
        thing.rebind if isinstance(thing, ob.Tensor) else thing.load_state_dict
    )
    take(ob.astype(state, thing.dtype).detach() if isinstance(thing, ob.Tensor) else state)


def _misfit(path: str, saved: Any, want: str) -> StructureError:
    got = f"a dict with {sorted(saved)}" if isinstance(saved, dict) else f"a {type(saved).__name__}"
    return StructureError(
        f"load: {path or 'what was saved'} does not fit `into`", got={"saved": got}, want=want
    )
