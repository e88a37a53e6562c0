"""Memory of large results is used again when nobody can see it, and never before."""

import gc

import numpy as np
import pytest

import overbar as ob
from overbar.compile import results
from overbar.compile.objects import address_of
from overbar.compile.results import KEPT, MAPPED, Memory, blank
from overbar.spec import spec

LARGE = spec((MAPPED // 4 + 3,), np.float32)


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    monkeypatch.setattr(results, "MEMORY", memory := Memory())
    return memory


def test_what_nobody_holds_is_handed_out_again():
    first = blank(LARGE)
    where = address_of(first)
    assert where % 64 == 0
    assert first.shape == LARGE.shape
    del first
    assert address_of(blank(LARGE)) == where


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: a,
        lambda a: a[5:7],
        lambda a: a.reshape(1, -1).T,
        memoryview,
        np.from_dlpack,
        lambda a: a.base,
    ],
)
def test_what_somebody_can_see_is_not(hold):
    first = blank(LARGE)
    where = address_of(first)
    held = hold(first)
    del first
    assert address_of(blank(LARGE)) != where
    del held
    gc.collect()
    found = [blank(LARGE) for _ in range(3)]
    assert where in map(address_of, found)


def test_another_size_gets_other_memory():
    where = address_of(blank(LARGE))
    assert address_of(blank(spec((MAPPED,), np.float32))) != where


def test_no_more_is_remembered_than_agreed(memory):
    size = KEPT // 4
    held = [memory.take(size) for _ in range(7)]
    assert len(memory._blocks) == 4
    assert memory._kept == KEPT
    assert all(a is b for a, b in zip(memory._blocks, held[3:], strict=True))
    memory.take(KEPT + 1)
    assert memory._kept == KEPT


@pytest.mark.native
def test_results_of_a_compiled_function_never_change():
    f = ob.jit(lambda x: x * 2 + 1)
    xs = [ob.tensor(np.full(LARGE.shape, i, np.float32)) for i in range(12)]
    ys = [f(x) for x in xs]
    parts = [f(x)[3:5] for x in xs]
    for i, (y, part) in enumerate(zip(ys, parts, strict=True)):
        assert np.all(y.numpy() == 2 * i + 1)
        assert np.all(part.numpy() == 2 * i + 1)


@pytest.mark.native
def test_a_parameter_made_of_a_result_is_written_in_its_own_memory():
    w = ob.tensor(np.zeros(LARGE.shape, np.float32), requires_grad=True)

    @ob.jit
    def step(x):
        w.grad = None
        ob.sum(w * x).backward()
        with ob.no_grad():
            w[...] = w + w.grad
        return w * 1

    seen = [step(ob.tensor(np.ones(LARGE.shape, np.float32))) for _ in range(5)]
    for i, y in enumerate(seen, 1):
        assert np.all(y.numpy() == i)
