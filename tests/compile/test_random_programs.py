"""Random programs and their gradients: native code against the interpreter, in float64.

Small arrays do not make a program split its work, or share it among threads: the thresholds are
lowered here, so that parts, split sums and several threads are met as well. How many programs are
drawn is set by OVERBAR_PROGRAMS (2,000 in CI).
"""

import os

import numpy as np
import pytest

import overbar as ob
from overbar.compile import assemble, phases
from overbar.compile.passes import lowered
from overbar.compile.place import steps_of
from overbar.errors import DomainError
from tests.compile.test_passes import traced
from tests.programs import MOVES, program

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native

EACH = 20
PROGRAMS = int(os.environ.get("OVERBAR_PROGRAMS", "100"))
FIRST = int(os.environ.get("OVERBAR_PROGRAMS_FROM", "0"))
TABLE = {name: move.run for name, move in MOVES.items()}
BLOCKS = range(FIRST, FIRST + PROGRAMS, EACH)


def gradient(seed):
    drawn = program(seed)
    return drawn, ob.grad(lambda *xs: drawn(TABLE, *xs), argnums=tuple(range(len(drawn.xs))))


def results(f, xs, how, threads=1):
    with ob.config(jit=how, threads=threads), np.errstate(all="ignore"):
        return [np.asarray(y) for y in ob.jit(f)(*xs)]


def assert_close(found, wanted, what):
    for x, y in zip(found, wanted, strict=True):
        scale = np.max(np.abs(y), initial=1.0, where=np.isfinite(y))
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-9 * scale, err_msg=what)


@pytest.mark.parametrize("start", BLOCKS)
def test_a_random_gradient_is_the_same_in_native_code(start):
    for seed in range(start, start + EACH):
        drawn, f = gradient(seed)
        wanted = results(f, drawn.xs, "interpret")
        assert_close(results(f, drawn.xs, "native"), wanted, f"seed {seed}\n{drawn}")


@pytest.mark.parametrize("start", BLOCKS[:3])
def test_the_number_of_threads_changes_no_bit(start, monkeypatch):
    monkeypatch.setattr(assemble, "QUIET", 0)
    monkeypatch.setattr(phases, "SHARED", 4)
    for seed in range(start, start + EACH):
        drawn, f = gradient(seed)
        one, two = (results(f, drawn.xs, "native", n) for n in (1, 2))
        assert_close(one, results(f, drawn.xs, "interpret"), f"seed {seed}\n{drawn}")
        for a, b in zip(one, two, strict=True):
            assert a.tobytes() == b.tobytes(), f"seed {seed}\n{drawn}"


@pytest.mark.parametrize("kind", ["avx2", "generic"])
@pytest.mark.parametrize("start", BLOCKS[:2])
def test_narrower_machines_compute_the_same(start, kind, monkeypatch):
    try:
        machine = native.forced(kind)
    except DomainError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(native, "host", lambda: machine)
    for seed in range(start, start + EACH):
        drawn, f = gradient(seed)
        wanted = results(f, drawn.xs, "interpret")
        assert_close(results(f, drawn.xs, "native"), wanted, f"seed {seed}\n{drawn}")


@pytest.mark.parametrize("start", BLOCKS[:3])
def test_no_two_arrays_share_bytes_while_both_are_needed(start):
    shared = 0
    for seed in range(start, start + EACH):
        drawn, f = gradient(seed)
        graph = lowered(traced(f, *drawn.xs))
        plan = assemble.assemble(graph, {}, machine=native.host(), threads=1).plan
        lives = []
        for step in plan.steps:
            for y in step.outputs:
                buffer = plan.buffers[y]
                if buffer.kind != "arena" or not y.spec.size:
                    continue
                readers = [s for s in plan.steps if y in s.inputs]
                last = max([s.level + s.length - 1 for s in (step, *readers)])
                end = buffer.offset + y.spec.size * y.spec.dtype.itemsize
                lives.append((step.level, last, buffer.offset, end))
        for i, (begin, last, low, high) in enumerate(lives):
            for other_begin, other_last, other_low, other_high in lives[:i]:
                apart = last < other_begin or other_last < begin
                assert apart or high <= other_low or other_high <= low, f"seed {seed}\n{graph}"
                shared += apart and not (high <= other_low or other_high <= low)
    assert shared  # some bytes were used twice, or the test proves nothing


def test_steps_of_a_graph_are_all_its_kernels():
    graph = lowered(traced(lambda x: ob.sum(ob.exp(x) @ ob.exp(x).mT), np.ones((3, 3))))
    kernels = [n for n in graph.nodes if n.op.name in ("nest", "product")]
    assert [s.node for s in steps_of(graph)] == kernels


def test_equal_parts_of_a_sum_are_added_up_alike_by_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(assemble, "QUIET", 0)
    monkeypatch.setattr(phases, "SHARED", 4)
    xs, sums = np.random.default_rng(0).standard_normal((20, 16 * 44), np.float32), []
    for threads in (1, 2):
        f = ob.jit(ob.sum)
        with ob.config(jit="native", threads=threads):
            sums.append([f(x).item() for x in xs])
    assert sums[0] == sums[1]
