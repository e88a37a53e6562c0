"""`overbar explain script.py:function`: a view of what a function of the user's computes.

The script is run as a module (its `if __name__ == "__main__"` part is not), then the function on
its arguments; everything shown is what `overbar` says of it.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import overbar as ob
from overbar.errors import DataError, FileError, OverbarError
from overbar.terminal import screen

Ask = Callable[..., Any]


VIEWS: dict[str, str] = {
    "story": "explain", "table": "trace_table", "derive": "derive", "draw": "draw",
    "html": "explore", "health": "health", "memory": "memory", "cost": "cost", "nan": "why_nan",
    "compiled": "compiled",
}  # fmt: skip
"""What `--view` may be, and the function that gives it."""
VARIABLES = {"story", "table", "derive", "draw", "html"}
"""The views that can be told what to differentiate by."""


def main(
    what: str, view: str, given: Sequence[str] = (), wrt: str | None = None, out: str | None = None
) -> None:
    """Show the view, or write it to a file.

    Raises:  DataError or FileError in the words of somebody who typed a command.
    """
    script, _, name = what.rpartition(":")
    if not script or not name:
        raise DataError(f"{what}: which function?", want="SCRIPT:NAME, such as lesson.py:loss")
    module = loaded(Path(script))
    subject = _found(module, script, name)
    function = callable(subject) and not isinstance(subject, ob.Tensor)
    args = _arguments(subject, name, vars(module), _values(given)) if function else []
    how = {"wrt": wrt} if wrt is not None and view in VARIABLES else {}
    if wrt is not None and view not in VARIABLES:
        raise DataError(f"--wrt: the view {view} is of all parameters at once")
    if view == "compiled" and callable(subject) and not hasattr(subject, "compilation"):
        subject = ob.jit(subject)
    answer = _view(view)(subject, *args, **how)
    if view == "html" and out is None:
        out = f"{name.rpartition('.')[2]}.html"
    to = screen()
    if out is None:
        to.plain(str(answer))
        return
    answer.save(out)
    to.line(f"{out}: written")


def _view(view: str) -> Ask:
    found = getattr(ob, VIEWS[view], None)
    if found is None:
        raise DataError(f"--view {view}: this overbar has no ob.{VIEWS[view]}")
    return found


def loaded(path: Path) -> Any:
    """The script as a module, run once; what it can import is what it could by itself.

    Raises:  FileError if there is no such script, DataError if it fails.
    """
    if not path.is_file():
        raise FileError(f"{path}: there is no such file", want="a script, such as lesson.py")
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise FileError(f"{path}: this is no script of Python", want="a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except OverbarError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"{path}: {_told(error, path)}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _told(error: BaseException, path: Path) -> str:
    """What went wrong, and in which line of the script."""
    line, at = None, error.__traceback__
    while at is not None:
        if Path(at.tb_frame.f_code.co_filename).name == path.name:
            line = at.tb_lineno
        at = at.tb_next
    line = getattr(error, "lineno", line)
    where = f"line {line}: " if line else ""
    return f"{where}{type(error).__name__}: {error}"


def _found(module: Any, script: str, name: str) -> Any:
    thing = module
    for part in name.split("."):
        if not hasattr(thing, part):
            own = [k for k, v in vars(module).items() if _is_own(v, module)]
            raise DataError(
                f"{script}: there is no {name} in it",
                hint=f"there are {', '.join(own)}" if own else None,
            )
        thing = getattr(thing, part)
    if not callable(thing) and not isinstance(thing, ob.Tensor | ob.Graph):
        raise DataError(
            f"{script}:{name} is of the kind {type(thing).__name__}",
            want="a function, a model, or a result (a Tensor)",
        )
    return thing


def _is_own(thing: Any, module: Any) -> bool:
    made_here = getattr(thing, "__module__", None) == module.__name__
    return isinstance(thing, ob.Tensor) or (inspect.isfunction(thing) and made_here)


def _values(given: Sequence[str]) -> dict[str, Any]:
    values = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            values[name.strip()] = _array(ast.literal_eval(value.strip()))
        except (ValueError, SyntaxError):
            raise DataError(
                f"--set {text}: this is no value", want="NAME=VALUE, such as x=2.5 or x=[1,2,3]"
            ) from None
    return values


def _array(value: Any) -> Any:
    """Lists become arrays of floats, whole numbers floats: they are differentiated by."""
    if isinstance(value, bool | str):
        return value
    return float(value) if isinstance(value, int | float) else ob.asarray(value, dtype=ob.float64)


def _arguments(f: Any, name: str, there: dict[str, Any], values: dict[str, Any]) -> list[Any]:
    """A value for each argument: the one set, the script's variable of that name, the default."""
    try:
        wanted = inspect.signature(getattr(f, "forward", f)).parameters.values()
    except (TypeError, ValueError):
        wanted = ()
    found = []
    unknown = values.keys() - {p.name for p in wanted}
    if unknown:
        raise DataError(f"--set {unknown.pop()}: {name} has no such argument")
    for p in wanted:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.KEYWORD_ONLY):
            continue
        if p.name in values:
            found.append(values[p.name])
        elif p.name in there:
            found.append(there[p.name])
        elif p.default is not p.empty:
            found.append(p.default)
        else:
            raise DataError(
                f"{name}({p.name}): which value?",
                hint=f"--set {p.name}=2.5, or a variable {p.name} in the script",
            )
    return found
