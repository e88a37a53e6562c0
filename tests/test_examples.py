"""Every example in a docstring of the package, the README and docs/ is run.

`ob` and `np` are at hand; spaces are normalised and `...` matches anything. An example that
draws numbers starts from a fixed seed. A document runs in an empty folder, and a picture that it
saves there is the picture that is kept beside it.
"""

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

from docs import pictures

ROOT = Path(__file__).resolve().parent.parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
OPTIONAL = {"llvmlite", "scipy", "matplotlib", "sklearn"}


def modules():
    for path in sorted((ROOT / "overbar").rglob("*.py")):
        if path.stem != "__main__" and ">>>" in path.read_text(encoding="utf-8"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__")


def documents():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if path.exists() and ">>>" in path.read_text(encoding="utf-8"):
            yield path.relative_to(ROOT).as_posix()


def names_at_hand():
    import overbar as ob

    return {"ob": ob, "np": np}


def failures(tests):
    """Run the examples; what is false comes back as text."""
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    for test in tests:
        runner.run(test, out=report.append)
    return "".join(report)


def must_be_true(tests):
    if false := failures(tests):
        pytest.fail(false, pytrace=False)


@pytest.mark.parametrize("name", list(modules()))
def test_the_examples_of_a_module_are_true(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] in OPTIONAL:
            pytest.skip(f"needs {error.name}")
        raise
    must_be_true(doctest.DocTestFinder().find(module, name, extraglobs=names_at_hand()))


@pytest.mark.parametrize("name", list(documents()))
def test_the_examples_of_a_document_are_true(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    text = "\n".join("" if line.lstrip().startswith("```") else line for line in lines)
    test = doctest.DocTestParser().get_doctest(text, names_at_hand(), name, name, 0)
    with pictures.workroom() as room:
        must_be_true([test])
        stale = pictures.stale(ROOT / name, room)
    assert not stale, f"python -m docs.outputs {name} draws them again"


def test_a_false_example_is_seen():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "sums", "sums.md", 0)
    assert "Expected:\n    3\nGot:\n    2" in failures([test])
