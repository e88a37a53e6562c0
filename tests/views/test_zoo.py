"""Every planted fault is named exactly: its file, its line, its class. Nothing else is."""

import numpy as np
import pytest

import overbar as ob
from tests.views import test_why_nan, zoo

EACH = pytest.mark.parametrize("fault", zoo.PLANTED, ids=lambda f: f.program.__name__)
SOUND = pytest.mark.parametrize("f", zoo.HEALTHY, ids=lambda f: f.__name__)


def test_the_zoo_is_large_enough():
    assert len(zoo.PLANTED) + len(test_why_nan.FAULTS) >= 60
    assert len(zoo.HEALTHY) >= 10


@EACH
def test_a_fault_is_named_exactly(fault):
    report = ob.health(*fault.program())
    assert [(f.kind, f.filename, f.line) for f in report.findings] == [
        (fault.kind, zoo.__file__, fault.line)
    ]
    assert report
    (found,) = report.findings
    assert found.cure
    assert found.what in " ".join(report.text().split())
    assert f"zoo.py, line {fault.line}" in report.text()


@SOUND
def test_a_healthy_program_raises_no_alarm(f):
    report = ob.health(*f())
    assert not report.findings, report.text()
    assert not report
    assert report.text().startswith("healthy:")


@pytest.mark.parametrize(("f", "op", "born", "made", "cure"), test_why_nan.FAULTS)
def test_a_fault_of_why_nan_is_named_by_health(f, op, born, made, cure):
    with np.errstate(all="ignore"):
        kinds = {(x.kind, x.filename, x.line) for x in ob.health(f).findings}
    assert ("not finite", test_why_nan.__file__, test_why_nan.the_line(f)) in kinds
