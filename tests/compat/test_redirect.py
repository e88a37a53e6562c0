"""`redirect("autograd")`: packages that import autograd get ours."""

import subprocess
import sys

import pytest

import overbar as ob
from overbar.compat import redirect

PROGRAM = """
import overbar.compat
overbar.compat.redirect("autograd")
overbar.compat.redirect("autograd")
import autograd.numpy as np
from autograd import grad
from autograd.misc.flatten import flatten_func
import autograd.numpy.linalg as nla
import overbar.compat.autograd.numpy.linalg as ours
assert nla is ours and ours.__spec__.name.startswith("overbar")
print(grad(lambda x: np.sum(x**2))(np.ones(2)).tolist())
try:
    overbar.compat.redirect("torch")
except ValueError as error:
    print("no face" in str(error))
"""


def test_imports_of_autograd_are_ours():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["[2.0,", "2.0]", "True"]


def test_what_is_imported_already_cannot_be_redirected(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setitem(sys.modules, "autograd", sys)
    with pytest.raises(ob.errors.DomainError, match="imported already"):
        redirect("autograd")
