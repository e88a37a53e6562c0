"""Pooling in native code against NumPy's."""

import functools
import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import overbar as ob
from overbar.apply import apply
from overbar.ops.pool import pool_winners, window_spread, window_sum
from overbar.ops.select import add_along_
from overbar.ops.windows import window_count

pytest.importorskip("llvmlite")
from overbar.compile import native
from overbar.compile.pooling import Pooling, pooling
from overbar.compile.text import Module
from tests.compile import blocks
from tests.compile.blocks import KINDS, Area, machine_of

pytestmark = pytest.mark.native

FACES = ["greatest", "chosen", "sum", "spread"]
LAYOUTS = list(itertools.product([True, False], repeat=2))  # x, y


def case(n, c, space, size, stride=None, padding=0):
    axes = len(space)
    stride = (stride,) * axes if isinstance(stride, int) else stride or size
    if isinstance(padding, int):
        padding = ((padding, padding),) * axes
    count = window_count(space, size, stride, padding, (1,) * axes)
    return Pooling(
        "float32", "sum", n, c, space, size, count, stride, padding, x_last=True, y_last=True
    )


CASES = {
    "plain": case(2, 5, (8, 6), (2, 2)),
    "overlapping": case(2, 17, (9, 8), (3, 3), 2),
    "overlapping, padded": case(3, 20, (13, 9), (3, 3), 2, 1),
    "stride 1": case(2, 3, (7, 9), (3, 3), 1, 1),
    "gaps between": case(2, 18, (9, 10), (2, 2), 4),
    "the end is left out": case(2, 4, (8, 9), (3, 3)),
    "uneven": case(2, 8, (13, 11), (3, 2), (2, 1), ((1, 0), (0, 1))),
    "whole vectors": case(2, 32, (8, 8), (2, 2)),
    "everything": case(3, 20, (5, 7), (5, 7)),
    "one of everything": case(1, 1, (1, 1), (1, 1)),
    "one axis": case(2, 5, (30,), (4,), 3, 2),
    "one axis, long": case(1, 3, (3000,), (5,), 2),
    "three axes": case(2, 5, (5, 6, 7), (2, 3, 2), (2, 1, 2), ((1, 0), (1, 1), (0, 1))),
    "no samples": case(0, 3, (5, 5), (2, 2)),
    "no channels": case(2, 0, (5, 5), (2, 2)),
    "several bands": case(1, 20, (70, 64), (3, 3), 2, 1),
    "many planes": case(5, 13, (16, 15), (2, 2)),
    "the last axis is left alone": case(2, 3, (9, 21), (5, 1), 1, ((2, 2), (0, 0))),
    "the last axes are left alone": case(2, 2, (90, 6, 19), (3, 1, 1), (2, 1, 1)),
}


def faces(kind, dtype):
    found = {}
    for at, (name, p) in enumerate(CASES.items()):
        for turn, face in enumerate(FACES):
            everything = (kind, dtype) == ("avx512", "float32")
            for x, y in LAYOUTS if everything else [LAYOUTS[(at + turn) % 4]]:
                index = "int64" if (at + x) % 2 else "int32"
                scale = 0.25 if face in ("sum", "spread") and at % 2 else 1.0
                values, winners = (True, True) if at % 3 else (y, not y)
                found[f"{name}, {face}, {x:d}{y:d}"] = replace(
                    p, dtype=dtype, face=face, x_last=x, y_last=y, index=index, scale=scale,
                    values=values, winners=winners,
                )  # fmt: skip
    return found


@functools.cache
def compiled(kind, dtype):
    machine, module, made = replace(machine_of(kind), l2=64 << 10), Module(), {}
    witness = blocks.write_witness(module)
    for at, (name, p) in enumerate(faces(kind, dtype).items()):
        kernel = pooling(module, machine, p, epilogue=witness)
        blocks.make_public(module, kernel.name, f"run{at}", 5)
        made[name] = (p, kernel, f"run{at}")
    return native.load(str(module), machine), made


def back(p):
    return p.face in ("chosen", "spread")


def shapes(p):
    return (p.batch, p.channels, *p.space), (p.batch, p.channels, *p.count)


def awkward(shape, rng):
    """Few different numbers, infinities, NaNs."""
    x = rng.integers(0, 3, shape).astype(float)
    x[rng.random(shape) < 0.05] = np.nan
    x[rng.random(shape) < 0.4] = -np.inf
    return x


def flat(a, channels_last):
    return (blocks.last(a) if channels_last else a).ravel()


def shaped(values, shape, channels_last):
    return blocks.first(values, shape) if channels_last else values.reshape(shape)


def run(library, made, x, y, winners, rng, pool=None):
    """The result, the positions and the witness's book."""
    p, kernel, public = made
    x_shape, y_shape = shapes(p)
    given, is_last = (y, p.y_last) if back(p) else (x, p.x_last)
    area = Area(given.size, p.dtype)
    area.values[:] = flat(given, is_last)
    at = Area(math.prod(y_shape), p.index, fill=-7)
    if p.face == "chosen":
        at.values[:] = flat(winners, p.y_last)
    shape, is_last = (x_shape, p.x_last) if back(p) else (y_shape, p.y_last)
    out, book = Area(math.prod(shape), p.dtype, fill=77), Area(20_000, "int64")
    arguments = [a.address for a in (area, at, out, book)]
    blocks.work(kernel, blocks.function(library, public, 5), arguments, rng, pool)
    result = shaped(out.values.copy(), shape, is_last)
    return result, shaped(at.values.copy(), y_shape, p.y_last), book.values


def answers(p, x, y):
    """What NumPy gives: the result and the positions."""
    how = {"size": p.size, "stride": p.stride, "padding": p.padding}
    x_shape, y_shape = shapes(p)
    if p.face == "sum":
        return window_sum.forward(np, x.astype("f8"), **how) * p.scale, None
    if p.face == "spread":
        return window_spread.forward(np, y.astype("f8"), space=p.space, **how) * p.scale, None
    winners = np.zeros(y_shape, int)
    if x.size:
        winners = pool_winners.forward(np, x, **how)
    pairs = (*x_shape[:2], math.prod(p.count))
    if p.face == "greatest":
        planes = x.reshape(*x_shape[:2], math.prod(p.space))
        best = np.take_along_axis(planes, winners.reshape(pairs), 2)
        return best.reshape(y_shape), winners
    arrived = add_along_.forward(
        np, y.astype("f8").reshape(pairs), winners.reshape(pairs), axis=2, size=math.prod(p.space)
    )
    return arrived.reshape(x_shape), winners


def draw(p, rng):
    x_shape, y_shape = shapes(p)
    x = awkward(x_shape, rng) if p.face == "greatest" else rng.standard_normal(x_shape)
    return x.astype(p.dtype), rng.standard_normal(y_shape).astype(p.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_pooling_is_numpys_and_the_epilogue_sees_each_number_once(kind, dtype):
    library, made = compiled(kind, dtype)
    rng, wrong = np.random.default_rng(1), []
    for name, one in made.items():
        p = one[0]
        x, y = draw(p, rng)
        want, winners = answers(p, x, y)
        got, at, book = run(library, one, x, y, winners, rng)
        if p.face == "greatest":
            expected = want if p.values else np.full_like(want, 77)
            right = np.array_equal(got, expected, equal_nan=True)
            right &= np.array_equal(at, winners if p.winners else np.full_like(winners, -7))
        else:
            sizes, _ = answers(p, np.abs(x) if p.face == "sum" else x, np.abs(y))
            right = (np.abs(got - want) <= 8 * np.finfo(dtype).eps * sizes).all()
        n, c, places = got.shape[0], got.shape[1], math.prod(got.shape[2:])
        matrices = (1, n * places, c) if (p.x_last if back(p) else p.y_last) else (n, c, places)
        right &= not got.size or bool((blocks.seen(book, matrices) == 1).all())
        if not right:
            wrong.append(name)
    assert not wrong


def test_sums_are_numpys_to_the_last_bit():
    """The numbers of a window are added in NumPy's order."""
    library, made = compiled("avx512", "float32")
    rng = np.random.default_rng(2)
    for name, one in made.items():
        p = one[0]
        how = {"size": p.size, "stride": p.stride, "padding": p.padding}
        if p.face != "sum" or p.scale != 1:
            continue
        x, y = draw(p, rng)
        got, _, _ = run(library, one, x, y, None, rng)
        assert np.array_equal(got, window_sum.forward(np, x, **how)), name


def test_neither_order_nor_threads_change_a_bit():
    library, made = compiled("avx512", "float32")
    rng = np.random.default_rng(3)
    several = [name for name, (_, kernel, _) in made.items() if kernel.parts > 1]
    assert len(several) > 8
    with ThreadPoolExecutor(2) as pool:
        for name in several:
            p = made[name][0]
            x, y = draw(p, rng)
            _, winners = answers(p, x, y)
            one, first, _ = run(library, made[name], x, y, winners, rng)
            two, second, _ = run(library, made[name], x, y, winners, rng, pool)
            assert one.tobytes() == two.tobytes(), name
            assert np.array_equal(first, second), name


# -- as it is found in programs ---------------------------------------------------------------

PROGRAMS = {  # shape, size, how
    "plain": ((3, 5, 8, 6), 2, {}),
    "overlapping": ((2, 17, 13, 11), 3, {"stride": 2, "padding": 1}),
    "one axis": ((4, 3, 30), 4, {"stride": 3}),
    "three axes": ((2, 3, 5, 6, 7), (2, 3, 2), {"stride": (2, 1, 2)}),
    "many planes": ((30, 64, 14, 15), 2, {}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_max_pooling_is_one_kernel_and_eagers_to_the_last_bit(name, dtype):
    shape, size, how = PROGRAMS[name]
    rng = np.random.default_rng(0)
    x = awkward(shape, rng).astype(dtype)

    def both(x):
        y, pull = ob.vjp(lambda x: ob.max_pool(x, size, **how), x)
        (x_bar,) = pull(ob.cos(ob.where(ob.isfinite(y), y, 0.0)))
        return y, x_bar

    want = [y.numpy() for y in both(ob.tensor(x))]
    for threads in (1, 2):
        with ob.config(threads=threads, jit="native"):
            step = ob.jit(both)
            for found, y in zip(step(x), want, strict=True):
                np.testing.assert_array_equal(np.array(found), y, strict=True)
            alone = ob.jit(lambda x: ob.max_pool(x, size, **how))
            np.testing.assert_array_equal(np.array(alone(x)), want[0], strict=True)
    assert "along" not in {n.op.name for n in step.lower().nodes}
    nodes = alone.lower().nodes
    (pool,) = [n for n in nodes if n.op.name == "max_pool"]
    assert [y.params["index"] for y in nodes if pool in y.inputs] == [0]  # no positions


def test_what_is_not_read_where_it_won_stays_apart():
    """Winners that are read elsewhere, in other planes, or not at all; whole numbers."""
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 3, 6, 6)), rng.normal(size=(2, 3, 6, 6))
    how = {"size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0))}

    def of_another(x, z):
        where = apply(pool_winners, (x,), how)
        flat = where.reshape(2, 3, 9)
        return ob.take_along_axis(z.reshape(2, 3, 36), flat, axis=2), where

    whole = rng.integers(0, 9, (2, 3, 6, 6))
    with ob.config(jit="native"):
        for f, args in ((of_another, (x, z)), (lambda x: ob.max_pool(x, 2), (whole,))):
            found, want = ob.jit(f)(*args), f(*map(ob.tensor, args))
            several = isinstance(found, tuple)
            for a, b in zip(found if several else [found], want if several else [want]):
                np.testing.assert_array_equal(np.array(a), b.numpy(), strict=True)
