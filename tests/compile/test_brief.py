"""Short last axes: their entries are written one after the other, and each arrives at its place."""

import numpy as np
import pytest

import overbar as ob
from overbar.compile.phases import Shape
from tests.compile.blocks import KINDS, machine_of

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native

CASES = {
    "channels last": (((3, 7, 50),), lambda x: ob.permute_dims(x, (1, 2, 0))),
    "turned back": (((7, 50, 3),), lambda x: ob.permute_dims(x, (2, 0, 1))),
    "rows as columns": (((301, 5), (5,)), lambda x, y: x.mT * 2 + y[:, None]),
    "images turned back": (((3, 8, 9, 4),), lambda x: ob.permute_dims(x, (0, 3, 1, 2))),
    "repeated": (((5, 101),), lambda x: ob.repeat(x, 2, axis=1)),
    "repeated twice": (((3, 40, 33),), lambda x: ob.repeat(ob.repeat(x, 2, axis=1), 3, axis=2)),
    "stacked": (((201,), (201,), (201,)), lambda *x: ob.stack(x, axis=1)),
    "joined": (((201, 2), (201, 3)), lambda *x: ob.concat(x, axis=1)),
    "a row for all": (((401, 5), (5,)), lambda x, y: x + y * 2),
    "rolled": (((300, 4),), lambda x: ob.roll(x, 1, axis=1)),
    "backwards": (((300, 7),), lambda x: x[:, ::-1] + x),
    "with a border": (((90, 6),), lambda x: ob.pad(x, ((3, 0), (1, 1)))),
    "cut out": (((90, 9),), lambda x: x[:, 2:6] + 1),
    "crowded": (((64, 8), (8,)), lambda x, y: ((x + y) * x - y) * x + y * (x - 3) + x * (x * y)),
    "few rows": (((9, 2), (2,)), lambda x, y: x * y),
    "taken": (((40, 3),), lambda x: ob.take(x, np.arange(-40, 40) // 2, axis=0)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_arrives(name, kind, monkeypatch):
    machine = machine_of(kind)
    monkeypatch.setattr(native, "host", lambda: machine)
    shapes, f = CASES[name]
    rng = np.random.default_rng(0)
    for dtype, threads in (("float32", 1), ("float32", 2), ("float64", 2), ("int16", 2)):
        xs = [rng.integers(-100, 100, s).astype(dtype) for s in shapes]
        if xs[0].dtype.kind == "f":
            for x in xs:
                x.flat[::7], x.flat[3::11] = np.nan, -0.0
        with ob.config(jit="native", threads=threads):
            y = ob.jit(f)(*xs).numpy()
        wanted = f(*map(ob.asarray, xs)).numpy()
        assert y.dtype == wanted.dtype
        np.testing.assert_allclose(y, wanted, rtol=1e-6)  # a b + c is rounded once
        signs = (np.signbit(a[~np.isnan(a)]) for a in (y, wanted))
        np.testing.assert_array_equal(*signs)


@pytest.mark.parametrize(
    ("f", "brief"),
    [
        (lambda x: x + ob.asarray(np.arange(3.0)), True),
        (lambda x: x[:, 1:] + ob.asarray(np.arange(2.0)), False),  # with gaps
        (lambda x: x[:10] + ob.asarray(np.arange(3.0)), False),
        (lambda x: ob.stack([x[:, 0], x[:, 2]], axis=1), True),
        (lambda x: ob.permute_dims(x, (1, 0)) * 2, True),
        (lambda x: ob.permute_dims(x[:, :2], (1, 0)) * 2, False),  # with gaps
    ],
)
def test_loops_that_are_written_out(f, brief):
    step = ob.jit(f)
    step(np.ones((100, 3)))
    (kernel,) = [n for n in step.lower().nodes if n.op.name == "nest"]
    shape = Shape(kernel)
    assert shape.brief is brief
    assert shape.pieces == [{}]


def test_what_is_read_is_overwritten_after_it():
    """A parameter is read and written entry by entry, also where several are taken at once."""
    p = ob.nn.Parameter(np.arange(300.0).reshape(100, 3))
    row = np.arange(3.0)

    @ob.jit
    def step(row):
        with ob.no_grad():
            p[...] = p * 2.0 + row

    step(row)
    np.testing.assert_array_equal(p.numpy(), np.arange(300.0).reshape(100, 3) * 2 + row)
    assert "1 of 1" in str(step.report())
