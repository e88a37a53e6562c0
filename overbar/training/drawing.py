"""The generators that a training draws from: their states, for an exact resume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import overbar as ob
from overbar.errors import DataError, StructureError

__all__ = ["generators", "load_generators"]


def generators(model: Any, loaders: Mapping[str, Any]) -> dict[str, Any]:
    """The state of each generator, by where it is used.

    Those are overbar's default one, those that modules hold (a Dropout's), and those of loaders.
    """
    return {name: _state(name, rng) for name, rng in _found(model, loaders)}


def load_generators(states: Mapping[str, Any], model: Any, loaders: Mapping[str, Any]) -> None:
    """Let each go on from its saved state."""
    found = dict(_found(model, loaders))
    if found.keys() != states.keys():
        raise StructureError(
            "Trainer: the generators are not those of the saved training",
            got={"saved": str(sorted(states)), "here": str(sorted(found))},
        )
    for name, rng in found.items():
        if isinstance(rng, np.random.Generator):
            rng.bit_generator.state = states[name]
        else:
            rng.load_state_dict(states[name])


def _found(model: Any, loaders: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "default", ob.random.default_generator()
    for i, module in enumerate(model.modules()):
        for name, thing in vars(module).items():
            if isinstance(thing, ob.random.Generator):
                yield f"{type(module).__name__}-{i}.{name}", thing
    for name, loader in loaders.items():
        if getattr(loader, "rng", None) is not None:
            yield name, loader.rng


def _state(name: str, rng: Any) -> Any:
    if isinstance(rng, np.random.Generator):
        return rng.bit_generator.state
    if not hasattr(rng, "state_dict"):
        raise DataError(
            f"Trainer: the generator of {name} has no state that could be saved",
            got={"rng": rng},
            hint="use ob.random.default_rng(seed) or np.random.default_rng(seed)",
        )
    return {key: value.detach() for key, value in rng.state_dict().items()}
