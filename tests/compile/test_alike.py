"""Functions that differ in numbers alone are written once; the program is the same."""

import ctypes

import numpy as np
import pytest

import overbar as ob
from overbar.compile.alike import WORTH, merged
from overbar.compile.text import Module

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native


def program(constants, long=WORTH):
    """Functions `inner` (x · a + b + 1 + 1 ...), `outer` of them, and one that adds them all."""
    module = Module()
    names = []
    for k, (a, b) in enumerate(constants):
        f = module.function(f"inner{k}", [("i64", "x")], result="i64")
        y = f.let(f"mul i64 %x, {a}")
        y = f.let(f"add i64 {y}, {b}")
        for _ in range(long):
            y = f.let(f"add i64 {y}, 1")
        f.give(y)
        g = module.function(f"outer{k}", [("i64", "x")], result="i64")
        g.give(g.let(f"add i64 {g.call(f'inner{k}', 'i64', ('i64', '%x'))}, {100 * k}"))
        names.append(g.name)
    f = module.function("all", [("i64", "x")], result="i64", public=True)
    total = 0
    for name in names:
        total = f.add(total, f.call(name, "i64", ("i64", "%x")))
    f.give(total)
    return module


def value(module, change, x):
    library = native.load(module.written(change))
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("all"))(x)


@pytest.mark.parametrize("general", [False, True])
def test_many_become_one_and_compute_the_same(general):
    constants = [(2, 3), (5, 3), (7, -1), (7, -1)]

    def change(functions):
        return merged(functions, general=general)

    module = program(constants)
    wanted = sum(4 * a + b + WORTH + 100 * k for k, (a, b) in enumerate(constants))
    assert value(module, list, 4) == value(module, change, 4) == wanted
    assert module.written(change).count("define") == 1 + 4 + 1


def test_short_ones_stay_as_they_are():
    module = program([(2, 3), (5, 3)], long=3)
    assert module.written(merged) == str(module)


def test_what_must_be_known_is_not_merged():
    module = Module()
    for n in (1, 2):
        f = module.function(f"f{n}", [("<4 x float>", "x")], result="float")
        for _ in range(WORTH + 1):
            x = f.let(f"extractelement <4 x float> %x, i64 {n}")
        f.give(x)
    assert module.written(merged) == str(module)


def test_callers_follow():
    module = program([(2, 3), (5, 3), (6, 6)], long=WORTH)
    for k in range(3):  # callers that are long enough themselves
        f = module.function(f"top{k}", [("i64", "x")], result="i64")
        y = "%x"
        for _ in range(WORTH):
            y = f.call(f"inner{k}", "i64", ("i64", y))
        f.give(y)
    text = module.written(merged)
    assert text.count("@top0(") == 1
    assert "@top1(" not in text
    assert "@inner1(" not in text


def test_an_unrolled_loop_is_compiled_like_one_step():
    w, u = (np.random.default_rng(k).standard_normal((n, 5)) * 0.3 for k, n in ((0, 5), (1, 3)))

    def f(x):
        h = ob.zeros((x.shape[0], 5))
        for t in range(12):
            h = ob.tanh(x[:, t] @ u + h @ w)
        return ob.sum(h * h)

    x = np.random.default_rng(2).standard_normal((7, 12, 3))
    step = ob.jit(ob.grad(f))
    np.testing.assert_allclose(step(x), ob.grad(f)(x), rtol=1e-12, atol=1e-14)
