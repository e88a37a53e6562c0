"""HIPS autograd's own tests, run against `overbar.compat.autograd`.

    python -m tools.autograd_suite [pytest's options]

Fetches autograd's source distribution with pip into a temporary folder (or takes the one that
`--sdist=PATH` names), and runs its tests with `import autograd` redirected. `--theirs` runs them
against autograd itself, for comparison.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

EXPECTED = {
    "test_graphs.py::test_assignment_raises_error": "x[i] = v inside a function works here",
    "test_fft.py::test_rfftn_odd_not_implemented": "the odd sizes that autograd lacks are here",
}
"""Tests that ask for an error where there is a derivative now."""

RUN = """
import sys
if {redirected}:
    import overbar.compat
    overbar.compat.redirect("autograd")
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def fetched(into: Path) -> Path:
    """autograd's source distribution, from the registry."""
    pip = [sys.executable, "-m", "pip", "download", "autograd", "--no-deps", "-q"]
    subprocess.run([*pip, "--no-binary", ":all:", "-d", str(into)], check=True)
    return next(into.glob("autograd-*.tar.gz"))


def run(sdist: Path, folder: Path, options: list[str], *, theirs: bool) -> int:
    """Run the tests of the distribution; the exit status is pytest's."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    tests = next(folder.glob("autograd-*/tests"))
    own = ["-c", "/dev/null", "--rootdir", ".", "-p", "no:cacheprovider", "-q"]
    left_out = [] if theirs else [f"--deselect={test}" for test in EXPECTED]
    script = RUN.format(redirected=not theirs)
    command = [sys.executable, "-c", script, *own, *left_out, *options]
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=tests, env=environment, check=False).returncode


def main(arguments: list[str]) -> int:
    """The command line."""
    given = [a.partition("=")[2] for a in arguments if a.startswith("--sdist=")]
    theirs = "--theirs" in arguments
    options = [a for a in arguments if not a.startswith("--sdist=") and a != "--theirs"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sdist = Path(given[0]) if given else fetched(folder)
        if not theirs:
            for test, why in EXPECTED.items():
                print(f"left out: {test}: {why}")
        return run(sdist, folder, options, theirs=theirs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
