"""tasks.py, the way in: what it must manage before anything is installed."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tasks

ROOT = Path(tasks.__file__).parent


def test_an_old_python_can_read_it():
    ast.parse((ROOT / "tasks.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_this_python_will_do():
    assert tasks.a_new_enough_python() == sys.executable


def test_a_python_that_is_too_old_is_told_so(monkeypatch):
    monkeypatch.setattr(tasks, "OLDEST", (9, 9))
    with pytest.raises(SystemExit, match=r"too old for overbar[^$]*wanted Python >= 9\.9"):
        tasks.a_new_enough_python()


def test_an_unknown_task_names_the_known_ones():
    with pytest.raises(SystemExit, match="no task 'tset'\nwanted one of: demo, test"):
        tasks.main(["tset"])


def test_the_makefile_and_the_help_know_every_task():
    rules = re.findall(r"^(\w+): ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    said = re.findall(r"^ {4}python tasks\.py (\w+)", tasks.__doc__, re.MULTILINE)
    assert set(rules) == {*tasks.TASKS, "help"}
    assert set(said) == set(tasks.TASKS)


def test_help_is_printed_without_any_environment():
    asked = [sys.executable, "-I", ROOT / "tasks.py"]
    printed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert "python tasks.py demo" in printed
