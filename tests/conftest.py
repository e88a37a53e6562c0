"""What every test runs under: hypothesis profiles and seeds.

HYPOTHESIS_PROFILE chooses the profile. `ci`, the default, tries the same few examples on every
machine, so that a red test stays red; `explore` looks for new ones; `thorough` looks for long.
"""

import os
import random
import signal
import sys
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", max_examples=200, deadline=None)
settings.register_profile("thorough", max_examples=5000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell lets what it starts in the background ignore Ctrl-C, and so would all processes that
    # tests start, which send it to them.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _seed_of(request):
    """A number that depends on the test's name only: not on its neighbours, order or worker."""
    return zlib.crc32(request.node.nodeid.encode())


@pytest.fixture(autouse=True)
def _seeds(request):
    seed = _seed_of(request)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (user code under test may draw from it)
    overbar = sys.modules.get("overbar")
    if overbar is not None and hasattr(overbar, "random"):
        overbar.random.seed(seed)


@pytest.fixture
def rng(request):
    """A NumPy generator of this test's own."""
    return np.random.default_rng(_seed_of(request))
