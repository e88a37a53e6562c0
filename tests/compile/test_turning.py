"""Copies of transposes, turned in registers: every number arrives, and none beside them."""

import numpy as np
import pytest

import overbar as ob
from tests.compile.blocks import KINDS, machine_of

pytest.importorskip("llvmlite")
from overbar.compile import native, nest

pytestmark = pytest.mark.native

CASES = {
    "square": ((64, 64), lambda x: ob.permute_dims(x, (1, 0))),
    "least": ((32, 33), lambda x: ob.permute_dims(x, (1, 0))),
    "odd": ((257, 131), lambda x: ob.permute_dims(x, (1, 0))),
    "large": ((1001, 300), lambda x: ob.permute_dims(x, (1, 0))),
    "a part of it": ((100, 90), lambda x: ob.permute_dims(x[7:, 5:], (1, 0))),
    "images": ((3, 40, 50), lambda x: ob.permute_dims(x, (0, 2, 1))),
    "channels last": ((2, 35, 7, 9), lambda x: ob.permute_dims(x, (0, 2, 3, 1))),
    "backwards": ((36, 5, 47), lambda x: ob.permute_dims(x, (2, 1, 0))),
    "backwards, even": ((64, 33, 64), lambda x: ob.permute_dims(x, (2, 1, 0))),
    "the middle stays": ((3, 40, 8, 36), lambda x: ob.permute_dims(x, (0, 3, 2, 1))),
    "axes of one": ((1, 45, 1, 38), lambda x: ob.permute_dims(x, (3, 2, 1, 0))),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_any_kind(name, kind, monkeypatch):
    machine, turned = machine_of(kind), []
    monkeypatch.setattr(native, "host", lambda: machine)
    monkeypatch.setattr(nest, "turn", lambda *x, turn=nest.turn: turned.append(turn(*x)))
    shape, f = CASES[name]
    rng = np.random.default_rng(0)
    for dtype, threads in (
        ("float32", 1),
        ("float32", 2),
        ("float64", 2),
        ("int32", 2),
        ("int16", 2),
    ):
        x = rng.integers(-100, 100, shape).astype(dtype)
        if x.dtype.kind == "f":
            x.flat[::7], x.flat[3::11] = np.nan, -0.0
        with ob.config(jit="native", threads=threads):
            y = ob.jit(f)(x).numpy()
        assert y.dtype == x.dtype
        assert y.tobytes() == f(ob.asarray(x)).numpy().tobytes()
    assert len(turned) == 4


def test_what_is_computed_on_the_way_is_not_turned(monkeypatch):
    monkeypatch.setattr(nest, "turn", None)
    x = np.random.default_rng(0).normal(size=(70, 80))
    with ob.config(jit="native"):
        found = ob.jit(lambda x: ob.permute_dims(x, (1, 0)) * 2.0)(x).numpy()
        flipped = ob.jit(lambda x: ob.permute_dims(x[:, ::-1], (1, 0)))(x).numpy()
    np.testing.assert_array_equal(found, x.T * 2.0)
    np.testing.assert_array_equal(flipped, x[:, ::-1].T)
