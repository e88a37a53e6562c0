"""The architecture, as a test.

Every module of overbar sits on a floor. Imports go down or sideways, never up; the compiler and
the views do not see each other; the library (nn, optim, ...) uses only what a user could use.
The package's own `__init__` gathers the public names and sits above all this.

A module is read, not run: imports inside functions count for the floors (what a function knows,
its module knows), those under TYPE_CHECKING too. Only imports that run when the module is
imported can make a cycle.
"""

import ast
import graphlib
import re
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAME = "overbar"

FLOORS = (
    # 0  ground: nothing of graphs. `store` knows files of named arrays, not what they hold;
    #    `terminal` how words, tables and bars are shown
    "errors settings spec trees origin context store terminal",
    # 1  what a computation is, and how one happens
    (
        "graph lanes handle operators apply primitive elementwise fast capture replay rebinding "
        "graphfile ownership work"
    ),
    "ops linalg fft special random",  # 2  mathematics: every primitive, once
    "calculus testing",  # 3  how rules are applied
    "compile sparse",  # 4  reads graphs, owns no rules
    "views",  # 5  reads graphs, owns no rules
    "nn models optim data saving metrics training scipy sklearn compat",  # 6  the library
    "cli __main__ demo asking tabular lessons",  # 7  the command line
)
BLIND = {("compile", "views"), ("views", "compile")}
LIBRARY = 6  # from here on a module may import the package itself, and on this floor only that
PUBLIC = {
    *("errors", "settings", "trees", "store", "linalg", "fft", "special", "random", "testing"),
    *("scipy", "sparse", "terminal"),
    *("nn", "nn.functional", "nn.init", "optim", "optim.lr_scheduler", "data", "models"),
}

# Where the library floor reaches below what is public. `nn.module`: a call is noted on the nodes of
# its results, for whoever draws them. `compat.autograd`: a box of autograd's is a handle, a
# primitive with rules stated from outside is an operation of the engine, and whether the result is
# followed is asked of its node.
REACHES = {
    "nn.module": "graph",
    "compat.autograd": (
        "apply calculus.transforms context graph handle ops.movement ops.protocols primitive replay"
    ),
}
FOREIGN = "compat."  # its modules have the names that another library's users import

LONGEST = 500  # lines
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "misc", "common", "base"}


@dataclass(frozen=True)
class Import:
    """One imported thing: `target` is a dotted module, `name` what is taken from it, if known."""

    target: str
    name: str | None
    line: int
    runs: bool  # when the importing module is imported


def modules_of(package):
    """Dotted name -> file, for every module of the package; the root is called by its name."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        files[".".join((NAME, *parts)).removesuffix(".__init__")] = path
    return files


def imports_of(module, path):
    """Everything a module imports, from wherever in the file."""
    inside = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    for node, runs in _walk(ast.parse(path.read_text(encoding="utf-8")), runs=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, None, node.lineno, runs)
        elif isinstance(node, ast.ImportFrom):
            above = inside[: len(inside) - node.level + 1] if node.level else []
            target = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield Import(target, alias.name, node.lineno, runs)
        elif isinstance(node, ast.Call) and node.args:
            asked, what = ast.unparse(node.func), node.args[0]
            if asked.endswith(("import_module", "__import__")) and isinstance(what, ast.Constant):
                up = len(what.value) - len(what.value.lstrip("."))
                above = inside[: len(inside) - up + 1] if up else []
                yield Import(".".join([*above, what.value.lstrip(".")]), None, node.lineno, runs)


def _walk(node, *, runs):
    """Every node below, with whether it runs as part of importing the module."""
    for child in ast.iter_child_nodes(node):
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        yield child, runs
        yield from _walk(child, runs=runs and not later and not typing)


def names_bound_in(path):
    """The names that importing this file gives to it: what a user can reach."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else ():
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.FunctionDef | ast.ClassDef):
            targets = getattr(node, "targets", [getattr(node, "target", node)])
            names |= {getattr(target, "id", getattr(target, "name", "")) for target in targets}
    return names


def seat(module):
    """`overbar.nn.linear` sits where `nn` sits."""
    return module.split(".")[1]


def faults(package, floors=FLOORS):
    """Every breach of the rules above, as one readable line each."""
    files = modules_of(package)
    floor_of = {seat: floor for floor, seats in enumerate(floors) for seat in seats.split()}
    bound = names_bound_in(package / "__init__.py")
    edges = {module: set() for module in files if module != NAME}
    for module, path in files.items():
        if module == NAME:
            continue
        here = seat(module)
        if here not in floor_of:
            yield f"{module} has no floor: give `{here}` one in FLOORS"
            continue
        for found in imports_of(module, path):
            taken = f"{found.target}.{found.name}"
            target = taken if taken in files else found.target
            if target.split(".")[0] != NAME:
                continue
            at = f"{module} (line {found.line})"
            yield from _misplaced(here, target, floor_of, at)
            if floor_of[here] == LIBRARY:
                yield from _private(here, found, target, files, bound, at)
            inside = target in edges and target != module
            if inside and found.runs and not _is_up(here, target, floor_of):
                edges[module].add(target)
        if floor_of[here] == LIBRARY:
            yield from _reached_through_the_package(module, path, files, bound)
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        yield "a cycle: " + " <- ".join(error.args[1])


def _is_up(here, target, floor_of):
    return floor_of.get(seat(target), 0) > floor_of[here]


def _misplaced(here, target, floor_of, at):
    """Imports that go up, or to where this module may not look."""
    if target == NAME:
        if floor_of[here] < LIBRARY:
            yield f"{at} imports the whole package, which only floors 6 and 7 may"
    elif seat(target) not in floor_of:
        yield f"{at} imports {target}, which has no floor"
    elif _is_up(here, target, floor_of):
        yield f"{at} reaches up to {target}, floor {floor_of[seat(target)]} from {floor_of[here]}"
    elif (here, seat(target)) in BLIND:
        yield f"{at} must not see {target}"


def _private(here, found, target, files, bound, at):
    """Imports of the library floor: what the package offers, public modules, its own package."""
    named = found.name or ""
    hidden = named.startswith("_") and not named.startswith("__")
    offered = target == NAME or (found.target == NAME and named in bound)
    public = target.removeprefix(NAME + ".") in PUBLIC
    own = target != NAME and seat(target) == here
    module, below = at.partition(" ")[0].removeprefix(NAME + "."), target.removeprefix(NAME + ".")
    granted = any(module.startswith(m) and below in r.split() for m, r in REACHES.items())
    if not own and not granted and (hidden or not (offered or public)):
        what = f"{found.target}.{named}" if named else target
        yield f"{at} uses {what}, which is not public"


def _reached_through_the_package(module, path, files, bound):
    """`ob.graph.Node` and `ob._x` are no more public than their imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    handles = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == NAME
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in handles:
            name = node.attr
            hidden = name.startswith("_") and not name.startswith("__")
            inner = f"{NAME}.{name}" in files and name not in PUBLIC and name not in bound
            if hidden or inner:
                yield f"{module} (line {node.lineno}) uses {NAME}.{name}, which is not public"


# ----------------------------------------------------------------------------- the package


def test_there_is_something_to_look_at():
    assert modules_of(ROOT / NAME)


def test_imports_go_down_and_never_in_a_circle():
    assert not list(faults(ROOT / NAME))


def test_no_seat_is_empty():
    seats = set(" ".join(FLOORS).split())
    assert seats == {seat(module) for module in modules_of(ROOT / NAME) if module != NAME}


def test_no_seat_is_taken_twice():
    seats = Counter(" ".join(FLOORS).split())
    assert max(seats.values()) == 1


def test_no_file_is_longer_than_a_reader_can_hold():
    lengths = {
        module: len(path.read_text(encoding="utf-8").splitlines())
        for module, path in modules_of(ROOT / NAME).items()
    }
    assert not {module: n for module, n in lengths.items() if n > LONGEST}


def test_every_module_is_named_by_what_it_knows():
    named = [m for m in modules_of(ROOT / NAME) if not m.startswith(f"{NAME}.{FOREIGN}")]
    words = {m: set(m.lower().replace("_", ".").split(".")) for m in named}
    assert not {module for module, said in words.items() if said & EMPTY_NAMES}


def test_only_declared_packages_are_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["jit"], *extras["scipy"], *extras["plot"]]
    known = {re.match(r"\w+", requirement)[0] for requirement in asked}
    known |= sys.stdlib_module_names | {NAME, "sklearn", "PIL"}  # of the extras sklearn and images
    found = {
        f"{module} (line {each.line}) imports {each.target}"
        for module, path in modules_of(ROOT / NAME).items()
        for each in imports_of(module, path)
        if each.target.split(".")[0] not in known
    }
    assert not found


def test_one_module_at_most_speaks_to_llvm():
    speakers = {
        module
        for module, path in modules_of(ROOT / NAME).items()
        if any(each.target.split(".")[0] == "llvmlite" for each in imports_of(module, path))
    }
    assert len(speakers) <= 1, speakers


# -------------------------------------------------- the test itself: it sees what it is for

SOUND = {
    "__init__.py": "from overbar.handle import Tensor\nfrom overbar import nn\n",
    "errors.py": "class ShapeError(Exception): ...\n",
    "graph.py": "from .errors import ShapeError\n",
    "handle.py": "from overbar.graph import Node\n",
    "ops/__init__.py": "from . import arithmetic\n",
    "ops/arithmetic.py": "from ..handle import Tensor\nimport numpy as np\n",
    "calculus/sweeps.py": "from overbar.ops import arithmetic\nimport overbar.graph\n",
    "compile/llvm.py": "from overbar.graph import Node\n",
    "views/draw.py": "from overbar.calculus import sweeps\n",
    "nn/__init__.py": "from .linear import Linear\n",
    "nn/linear.py": (
        "import overbar as ob\nfrom overbar import errors, Tensor\nfrom overbar.nn import init\n"
        "ob.Tensor; ob.nn.functional\n"
    ),
    "nn/init.py": "import overbar as ob\n",
    "cli.py": "from overbar.views import draw\nimport overbar as ob\n",
}

BREACHES = {
    "upwards": ("graph.py", "from overbar.ops import add", "reaches up"),
    "upwards, relatively": ("ops/arithmetic.py", "from ..calculus import sweeps", "reaches up"),
    "upwards, in a function": ("graph.py", "def f():\n    from .views import draw", "reaches up"),
    "upwards, by name": ("graph.py", "import_module('overbar.views.draw')", "reaches up"),
    "upwards, for a type": (
        "graph.py",
        "if TYPE_CHECKING:\n    from overbar.compile.llvm import Code",
        "reaches up",
    ),
    "the package, from below": ("views/draw.py", "import overbar as ob", "whole package"),
    "the package, relatively": ("handle.py", "from . import Tensor", "whole package"),
    "views see the compiler": ("views/draw.py", "from overbar.compile import llvm", "not see"),
    "a private module": ("nn/linear.py", "from overbar.graph import Node", "not public"),
    "a private module, whole": ("nn/linear.py", "from overbar import graph", "not public"),
    "a private module of a neighbour": ("saving.py", "from overbar.nn.linear import L", "public"),
    "a private name": ("nn/linear.py", "from overbar import _secret", "not public"),
    "a private attribute": ("nn/linear.py", "import overbar\noverbar.graph.Node", "not public"),
    "a cycle": ("errors.py", "import overbar.spec", "cycle"),
    "no floor": ("utilities.py", "", "has no floor"),
    "from a module without a floor": ("cli.py", "import overbar.shed", "has no floor"),
}


def write(package, files):
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


def test_a_sound_package_passes(tmp_path):
    assert not list(faults(write(tmp_path / NAME, SOUND)))


@pytest.mark.parametrize(("file", "text", "said"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_seen(tmp_path, file, text, said):
    spec = {"spec.py": "from overbar import errors\n"}
    package = write(tmp_path / NAME, SOUND | spec | {file: text + "\n"})
    found = list(faults(package))
    assert any(said in fault for fault in found), found
    assert len(found) == 1, found


def test_a_cycle_through_a_function_is_no_cycle(tmp_path):
    late = {"spec.py": "import overbar.errors\n", "errors.py": "def f():\n    from . import spec\n"}
    assert not list(faults(write(tmp_path / NAME, SOUND | late)))


def test_a_wrong_table_of_floors_is_seen(tmp_path):
    package = write(tmp_path / NAME, SOUND)
    for lower, upper in pairwise(range(4)):
        wrong = list(FLOORS)
        wrong[lower], wrong[upper] = wrong[upper], wrong[lower]
        swapped = {FLOORS[lower].split()[0], FLOORS[upper].split()[0]}
        assert any("reaches up" in fault for fault in faults(package, wrong)), swapped
