"""Other people's imports, answered by ours."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ..errors import DomainError

FACES = ("autograd",)


class _Redirect(MetaPathFinder, Loader):
    """Finds `name` and its submodules in `overbar.compat`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.specs: dict[ModuleType, Any] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.name:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"{__package__}.{spec.name}")
        self.specs[module] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.specs[module]  # it has run already, under its own name


def redirect(name: str) -> None:
    """Let `import autograd`, in whatever package, mean `overbar.compat.autograd` from now on.

    Call it before that package is imported.

    Raises:  DomainError for a library of which there is no face here, or that is imported already.
    Example:
        overbar.compat.redirect("autograd")
        import lifelines
    """
    if name not in FACES:
        raise DomainError(f"redirect: there is no face of {name!r} here", want=f"one of {FACES}")
    if any(type(finder) is _Redirect and finder.name == name for finder in sys.meta_path):
        return
    if name in sys.modules:
        raise DomainError(
            f"redirect: {name} is imported already", hint="call it first, at the program's top"
        )
    sys.meta_path.insert(0, _Redirect(name))
